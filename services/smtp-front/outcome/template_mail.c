/* Macros of a mail: what its octets, its envelope and its client say. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include <openssl/evp.h>

#include "digest.h"
#include "quarantine_priv.h"
#include "template_give.h"

#define FIELD_MAX (64 * 1024) /* octets of a field that a macro says */
#define RESPONSES_MAX 100     /* distinct ones of all recipients */
#define ADDRESSES_MAX FACTS_ADDRESSES_MAX

static struct txn *txn(const struct template_call *c)
{
	return c->scope->txn;
}

const struct txn_rcpt *give_scope(const struct template_call *c, size_t *n_r)
{
	*n_r = c->scope->rcpt != NULL ? 1 : txn(c)->rcpt_count;
	return c->scope->rcpt != NULL ? c->scope->rcpt : txn(c)->rcpts;
}

static void say_if(struct template_call *c, const char *text)
{
	if (text != NULL && *text != '\0')
		template_say_text(c, text);
}

static struct mw_octets made(struct template_call *c, const char *text)
{
	c->failed |= text == NULL;
	return mw_octets_of_text(text != NULL ? text : "");
}

static struct mw_octets bracketed(struct template_call *c, struct mw_octets address)
{
	char *p = smtp_arena_get(c->arena, address.n + 2);

	if (p == NULL)
		return made(c, NULL);
	p[0] = '<';
	if (address.n > 0)
		memcpy(p + 1, address.p, address.n);
	p[address.n + 1] = '>';
	return mw_octets_of(p, address.n + 2);
}

/* ------------------------------------------------------------------ identity, time */

void give_id(struct template_call *c, int what)
{
	const struct txn *t = txn(c);
	const char *texts[] = {
		[ID_LOG] = t->log_id,
		[ID_MAIL] = t->mail_id,
		[ID_PARENT] = t->parent_mail_id,
		[ID_HOST] = t->set->myhostname,
		[ID_QUEUE] = t->xforward.ident,
		[ID_CLIENT_HELO] = t->xforward.helo,
		[ID_CLIENT_PROTO] = t->xforward.proto,
		[ID_PROTOCOL] = t->protocol,
		[ID_CLIENT_NAME] = t->xforward.name,
		[ID_PEER] = t->peer_ip,
	};

	say_if(c, texts[what]);
}

void give_partition(struct template_call *c, int arg)
{
	unsigned tag = quarantine_names_of(txn(c), "").partition_tag;

	(void)arg;
	if (tag != 0)
		template_sayf(c, "%u", tag);
}

void give_banks(struct template_call *c, int arg)
{
	const struct policy *p = txn(c)->policy;
	struct mw_text t = { 0 };

	(void)arg;
	if (p->bank_count == 1)
		template_say_text(c, p->banks[0]);
	if (p->bank_count < 2)
		return;
	for (size_t i = 0; i < p->bank_count; i++)
		mw_text_addf(&t, "%s%s", i > 0 ? "/" : "", p->banks[i]);
	c->failed |= t.failed;
	template_say(c, give_copy(c, t.p, t.n));
	mw_text_fini(&t);
}

void give_size(struct template_call *c, int arg)
{
	const struct txn *t = txn(c);

	(void)arg;
	template_sayf(c, "%zu", t->body != NULL ? smtp_body_size(t->body) : 0);
}

/* Lines end with LF there, as amavisd keeps them. Runs of lines, for a body may be one line end
 * after the other. */
static bool hash_lines(EVP_MD_CTX *ctx, const unsigned char *p, const unsigned char *end)
{
	unsigned char run[16 * 1024];
	size_t n = 0;
	bool ok = true;

	while (p < end && ok) {
		size_t left = (size_t)(end - p), room = sizeof(run) - n;
		size_t most = left < room ? left : room;
		const unsigned char *cr = memchr(p, '\r', most);
		size_t take = cr != NULL ? (size_t)(cr - p) : most;

		memcpy(run + n, p, take);
		n += take;
		p += take;
		if (cr != NULL && (p + 1 == end || p[1] != '\n'))
			run[n++] = '\r'; /* ends no line: it stays */
		p += cr != NULL;
		if (n == sizeof(run)) {
			ok = EVP_DigestUpdate(ctx, run, n) == 1;
			n = 0;
		}
	}
	return ok && EVP_DigestUpdate(ctx, run, n) == 1;
}

/* MD5 of the body: a name for it, no protection. */
static bool make_body_digest(struct txn *t)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct mw_octets m = smtp_body_octets(t->body);
	bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
		  hash_lines(ctx, m.p + t->header.body, m.p + m.n) &&
		  EVP_DigestFinal_ex(ctx, t->body_digest, NULL) == 1;

	EVP_MD_CTX_free(ctx);
	return ok;
}

/* Once for each mail: a text may ask for it for each of a thousand recipients. */
void give_body_digest(struct template_call *c, int raw)
{
	struct txn *t = c->scope->txn;
	char hex[2 * MW_MD5_OCTETS + 1];

	if (t->body == NULL)
		return;
	t->has_body_digest = t->has_body_digest || make_body_digest(t);
	if (!t->has_body_digest)
		return;
	mw_hex(t->body_digest, MW_MD5_OCTETS, hex);
	template_say(c, raw ? give_copy(c, t->body_digest, MW_MD5_OCTETS)
			    : give_copy(c, hex, 2 * MW_MD5_OCTETS));
}

void give_elapsed(struct template_call *c, int arg)
{
	(void)arg;
	template_sayf(
		c, "%llu", (unsigned long long)((mw_mono_us() - txn(c)->start_us + 500) / 1000));
}

void give_time(struct template_call *c, int what)
{
	static const char *const forms[] = {
		[TIME_RFC5322] = "%a, %d %b %Y %H:%M:%S %z (%Z)",
		[TIME_ISO_UTC] = "%Y%m%dT%H%M%SZ",
		[TIME_ISO_LOCAL] = "%Y%m%dT%H%M%S%z",
		[TIME_WEEK] = "%V",
		[TIME_WEEKDAY] = "%u",
	};
	time_t second = (time_t)(txn(c)->time_ms / 1000);
	struct tm tm;
	char text[80];
	size_t n;

	if (what == TIME_UNIX) {
		template_sayf(c, "%010lld", (long long)second);
		return;
	}
	if (what == TIME_ISO_UTC)
		gmtime_r(&second, &tm);
	else
		localtime_r(&second, &tm);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	n = strftime(text, sizeof(text), forms[what], &tm);
#pragma GCC diagnostic pop
	template_say(c, give_copy(c, text + (what == TIME_WEEK && text[0] == '0'),
				n - (what == TIME_WEEK && text[0] == '0')));
}

/* ------------------------------------------------------------------ envelope */

void give_sender(struct template_call *c, int origin)
{
	const struct txn *t = txn(c);
	const struct mw_list *trace = &t->facts.ip_trace;
	struct mw_octets ip =
		trace->count > 0 ? trace->items[trace->count - 1] : mw_octets_of_text(t->client_ip);

	/* Viruses write to whom they like in whose name they like. */
	if (origin && t->found.virus_count > 0 && ip.n > 0)
		template_say(c, made(c, smtp_arena_printf(c->arena, "?@[%.*s]", (int)ip.n,
						(const char *)ip.p)));
	else
		template_say(c, bracketed(c, mw_octets_of_text(t->sender)));
}

/* Somebody has it, or is to get it. */
static bool is_delivered(const struct txn_rcpt *r)
{
	return r->delivered || (r->code == 0 && r->ccat_blocking == 0 && !r->removed);
}

/* Added ones (always_bcc's, hooks') and those whose mail hooks or destinies discard. */
static bool is_hidden_from_sender(const struct txn_rcpt *r)
{
	return r->added || r->removed || (r->code / 100 == 2 && !r->delivered);
}

void give_rcpts(struct template_call *c, int which)
{
	size_t count;
	const struct txn_rcpt *r = give_scope(c, &count);
	bool for_sender = c->scope->for_sender;

	template_list(c);
	for (size_t i = 0; i < count; i++, r++) {
		const char *addr = for_sender ? txn_rcpt_given(r) : r->addr;
		struct mw_octets address = mw_octets_of_text(addr);

		if (for_sender && is_hidden_from_sender(r))
			continue;
		if (which == RCPTS_ALL)
			template_item(c, address);
		else if ((which == RCPTS_DELIVERED) != is_delivered(r))
			continue;
		else if (which != RCPTS_WHY_NOT)
			template_item(c, bracketed(c, address));
		else
			template_item(c, made(c, smtp_arena_printf(c->arena, "<%s>:\n   %s", addr,
							 r->reply != NULL ? r->reply : "")));
	}
}

void give_originating(struct template_call *c, int arg)
{
	(void)arg;
	template_say_text(c, txn(c)->originating ? "1" : "");
}

static int by_name(const void *a, const void *b)
{
	const struct mw_octets *x = a, *y = b;
	size_t n = x->n < y->n ? x->n : y->n;
	int less = n > 0 ? memcmp(x->p, y->p, n) : 0;

	return less != 0 ? less : (x->n > y->n) - (x->n < y->n);
}

/* Local domains, each once, sorted; EXT is all others. */
void give_log_domains(struct template_call *c, int arg)
{
	size_t count, n = 0;
	const struct txn_rcpt *r = give_scope(c, &count);
	struct mw_octets *all = smtp_arena_array(c->arena, count, sizeof(*all));
	struct mw_text t = { 0 };

	(void)arg;
	for (size_t i = 0; all != NULL && i < count; i++, r++) {
		const char *at = strrchr(r->addr, '@');
		struct mw_octets domain = mw_octets_of_text(!r->is_local ? "EXT"
							    : at != NULL ? at + 1
									 : "");
		struct mw_octets copy = give_copy(c, domain.p, domain.n);

		for (size_t k = 0; r->is_local && k < copy.n; k++)
			((unsigned char *)(uintptr_t)copy.p)[k] = (unsigned char)tolower(copy.p[k]);
		all[n++] = copy;
	}
	qsort(all, n, sizeof(*all), by_name);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || by_name(&all[i - 1], &all[i]) != 0)
			mw_text_addf(&t, "%s%.*s", i > 0 ? "," : "", (int)all[i].n,
				(const char *)all[i].p);
	c->failed |= t.failed || all == NULL;
	template_say(c, give_copy(c, t.p, t.n));
	mw_text_fini(&t);
}

void give_dsn_notify(struct template_call *c, int arg)
{
	static const struct {
		unsigned bit;
		const char *word;
	} words[] = { { SMTP_NOTIFY_NEVER, "NEVER" }, { SMTP_NOTIFY_SUCCESS, "SUCCESS" },
		{ SMTP_NOTIFY_FAILURE, "FAILURE" }, { SMTP_NOTIFY_DELAY, "DELAY" } };
	unsigned said = 0;
	size_t count, n = 0;
	const struct txn_rcpt *r = give_scope(c, &count);
	char text[64] = "";

	(void)arg;
	for (size_t i = 0; i < count; i++)
		said |= r[i].params.notify != 0 ? r[i].params.notify : SMTP_NOTIFY_FAILURE;
	if (*txn(c)->sender == '\0')
		said = SMTP_NOTIFY_NEVER;
	for (size_t i = 0; i < MW_COUNT(words); i++)
		if ((said & words[i].bit) != 0)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n > 0 ? "," : "",
				words[i].word);
	template_say(c, give_copy(c, text, n));
}

/* ------------------------------------------------------------------ header fields */

static struct mw_octets unfolded(struct template_call *c, const struct mw_field *f)
{
	const struct mw_header *h = &txn(c)->header;
	size_t size = f->end - f->value + 1;
	char *buf;

	size = size < FIELD_MAX ? size : FIELD_MAX;
	buf = smtp_arena_get(c->arena, size);
	if (buf == NULL)
		return made(c, NULL);
	return mw_octets_of(buf, mw_field_unfold(h, f, buf, size));
}

/* The index-th of that name from the top, or from the bottom: -1 is the last. */
static const struct mw_field *field_named(
	const struct template_call *c, struct mw_octets name, long index)
{
	const struct mw_header *h = &txn(c)->header;
	size_t seen = 0;

	if (txn(c)->body == NULL)
		return NULL;
	for (size_t i = 0; i < h->count; i++) {
		const struct mw_field *f = &h->fields[index < 0 ? h->count - 1 - i : i];

		if (name.n == 0 || f->name_len != name.n ||
			strncasecmp((const char *)h->section.p + f->at, (const char *)name.p,
				name.n) != 0)
			continue;
		if (seen++ == (size_t)(index < 0 ? -1 - index : index))
			return f;
	}
	return NULL;
}

/* header_field(name, most, index), and fields that have a macro of their own. */
void give_field(struct template_call *c, int id)
{
	const struct txn *t = txn(c);
	const struct mw_field *f;
	long most;

	if (id == MW_H_SUBJECT && t->facts.subject.n > 0)
		template_say(c, t->facts.subject);
	if (id == MW_H_MESSAGE_ID && t->facts.message_id.n > 0)
		template_say(c, t->facts.message_id);
	if (id >= 0)
		return;
	f = field_named(c, template_trim(template_arg(c, 0)), give_arg_number(c, 2, -1));
	most = give_arg_number(c, 1, 0);
	if (f != NULL)
		template_say(c, give_cut(c, unfolded(c, f), most > 0 ? (size_t)most : 0));
}

static void say_addresses(struct template_call *c, struct mw_list list)
{
	struct mw_text t = { 0 };

	for (size_t i = 0; i < list.count; i++)
		mw_text_addf(&t, "%s<%.*s>", i > 0 ? ", " : "", (int)list.items[i].n,
			(const char *)list.items[i].p);
	c->failed |= t.failed;
	template_say(c, give_copy(c, t.p, t.n));
	mw_text_fini(&t);
}

void give_addresses(struct template_call *c, int sender)
{
	const struct facts *f = &txn(c)->facts;
	struct mw_list one = { f->sender.n > 0, &f->sender };

	say_addresses(c, sender ? one : f->author);
}

void give_resent(struct template_call *c, int which)
{
	static const char *const names[] = { [RESENT_MESSAGE_ID] = "Resent-Message-ID",
		[RESENT_FROM] = "Resent-From",
		[RESENT_SENDER] = "Resent-Sender" };
	const struct mw_field *f = field_named(c, mw_octets_of_text(names[which]), 0);
	struct mw_octets found[ADDRESSES_MAX];

	if (f == NULL)
		return;
	if (which == RESENT_MESSAGE_ID) {
		/* As Message-ID: without blanks, short. */
		if (facts_message_ids(mw_field_value(&txn(c)->header, f), found, 1) == 1)
			template_say(c, found[0]);
		return;
	}
	say_addresses(c, (struct mw_list){ facts_addresses(mw_field_value(&txn(c)->header, f),
						   c->arena, found, ADDRESSES_MAX),
				 found });
}

/* useragent(name), useragent(body), or both. */
void give_useragent(struct template_call *c, int arg)
{
	const struct mw_header *h = &txn(c)->header;
	const struct mw_field *f = txn(c)->body != NULL ? mw_header_last(h, MW_H_USER_AGENT) : NULL;
	const char *name = f != NULL ? "User-Agent" : "X-Mailer";
	struct mw_octets wanted = template_trim(template_arg(c, 0)), body;

	(void)arg;
	if (f == NULL && txn(c)->body != NULL)
		f = mw_header_last(h, MW_H_X_MAILER);
	if (f == NULL)
		return;
	body = unfolded(c, f);
	if (mw_octets_ieq(wanted, "name"))
		template_say_text(c, name);
	else if (mw_octets_ieq(wanted, "body"))
		template_say(c, body);
	else
		template_say(c, made(c, smtp_arena_printf(c->arena, "%s: %.*s", name, (int)body.n,
						(const char *)body.p)));
}

/* Each field as it stands, but for its last line end. */
void give_header(struct template_call *c, int arg)
{
	const struct mw_header *h = &txn(c)->header;

	(void)arg;
	template_list(c);
	for (size_t i = 0; txn(c)->body != NULL && i < h->count; i++) {
		const struct mw_field *f = &h->fields[i];
		char *copy = smtp_arena_get(c->arena, f->end - f->at + 1);
		size_t n = 0;

		if (copy == NULL) {
			c->failed = true;
			return;
		}
		for (uint32_t k = f->at; k < f->end; k++)
			if (h->section.p[k] != '\r' || k + 1 == f->end ||
				h->section.p[k + 1] != '\n')
				copy[n++] = (char)h->section.p[k];
		n -= n > 0 && copy[n - 1] == '\n';
		template_item(c, mw_octets_of(copy, n));
	}
}

/* ------------------------------------------------------------------ client, trace */

static const char *client_ip(const struct txn *t)
{
	return t->client_ip != NULL ? t->client_ip : t->peer_ip;
}

void give_client(struct template_call *c, int what)
{
	const struct txn *t = txn(c);
	const char *ip = client_ip(t);

	if (what == CLIENT_PORT) {
		if (t->client_port != 0)
			template_sayf(c, "%u", t->client_port);
	} else if (*ip == '\0') {
		return;
	} else if (what == CLIENT_IP) {
		template_say_text(c, ip);
	} else if (t->client_port != 0) {
		template_sayf(c, "[%s]:%u", ip, t->client_port);
	} else {
		template_sayf(c, "[%s]", ip);
	}
}

void give_peer_name(struct template_call *c, int arg)
{
	(void)arg;
	if (*txn(c)->peer_ip != '\0')
		template_sayf(c, "[%s]", txn(c)->peer_ip);
}

/* The cipher, where it is told behind the version. */
void give_tls(struct template_call *c, int arg)
{
	const char *tls = txn(c)->tls, *cipher = tls != NULL ? strstr(tls, "cipher ") : NULL;

	(void)arg;
	if (cipher != NULL)
		template_say(c, mw_octets_of(cipher + 7, strcspn(cipher + 7, " )")));
	else
		say_if(c, tls);
}

/* "inner ([192.0.2.1]) by mx ..." to "inner [192.0.2.1]": who came first, as the oldest Received
 * says. */
static void oldest_received(struct template_call *c)
{
	const struct mw_field *f =
		txn(c)->body != NULL ? mw_header_last(&txn(c)->header, MW_H_RECEIVED) : NULL;
	struct mw_octets v = f != NULL ? unfolded(c, f) : mw_octets_of("", 0);
	const char *by;
	struct mw_text t = { 0 };

	if (v.n < 5 || strncasecmp((const char *)v.p, "from ", 5) != 0)
		return;
	v = mw_octets_of(v.p + 5, v.n - 5);
	by = memmem(v.p, v.n, " by ", 4);
	if (by != NULL)
		v.n = (size_t)(by - (const char *)v.p);
	v = template_trim(v);
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] != '(' && v.p[i] != ')')
			mw_text_add_octets(&t, v.p + i, 1);
	c->failed |= t.failed;
	template_say(c, give_copy(c, t.p, t.n));
	mw_text_fini(&t);
}

/* "ESMTP://[192.0.2.1]:25": the address in it; empty: none is known. */
static struct mw_octets ip_of_hop(struct mw_octets hop)
{
	const unsigned char *open = hop.n > 0 ? memchr(hop.p, '[', hop.n) : NULL, *close;

	close = open != NULL ? memchr(open, ']', hop.n - (size_t)(open - hop.p)) : NULL;
	if (close != NULL)
		return mw_octets_of(open + 1, (size_t)(close - open) - 1);
	open = hop.n > 0 ? memmem(hop.p, hop.n, "://", 3) : NULL;
	if (open == NULL)
		return mw_octets_of("", 0);
	return mw_octets_of(open + 3, hop.n - (size_t)(open + 3 - hop.p));
}

static bool same(struct mw_octets a, struct mw_octets b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static bool is_public(const struct txn *t, struct mw_octets ip)
{
	for (size_t i = 0; i < t->facts.ip_trace.count; i++)
		if (same(t->facts.ip_trace.items[i], ip))
			return true;
	return false;
}

/* The hop that the MTA told us of stands for the MTA's own connection to us. */
static void trace_protocols(struct template_call *c, bool public_only)
{
	const struct txn *t = txn(c);
	const struct mw_list *hops = &t->facts.ip_proto_trace;
	const char *ip = t->has_xforward ? t->xforward.addr : NULL;

	template_list(c);
	if (ip != NULL && *ip != '\0')
		template_item(
			c, made(c, smtp_arena_printf(c->arena,
					   t->client_port != 0 ? "%s://[%s]:%u" : "%s://[%s]",
					   t->xforward.proto != NULL ? t->xforward.proto : "SMTP",
					   ip, t->client_port)));
	for (size_t i = 1; i < hops->count; i++) {
		struct mw_octets at = ip_of_hop(hops->items[i]);

		if (i == 1 && ip != NULL && same(at, mw_octets_of_text(ip)))
			continue; /* the MTA's own field says it once more */
		if (!public_only || is_public(t, at))
			template_item(c, hops->items[i]);
	}
}

static void trace_addresses(struct template_call *c)
{
	const struct txn *t = txn(c);
	const struct mw_list *hops = &t->facts.ip_proto_trace;
	const char *ip = t->has_xforward ? t->xforward.addr : NULL;

	template_list(c);
	if (*t->peer_ip != '\0')
		template_item(c, mw_octets_of_text(t->peer_ip));
	if (ip != NULL && *ip != '\0')
		template_item(c, mw_octets_of_text(ip));
	for (size_t i = 1; i < hops->count; i++) {
		struct mw_octets at = ip_of_hop(hops->items[i]);

		if (at.n > 0 && !(i == 1 && ip != NULL && same(at, mw_octets_of_text(ip))))
			template_item(c, at);
	}
}

void give_trace(struct template_call *c, int what)
{
	const struct txn *t = txn(c);
	const struct mw_list *trace = &t->facts.ip_trace;

	switch (what) {
	case TRACE_OLDEST:
		if (trace->count > 0)
			template_say(c, trace->items[trace->count - 1]);
		else
			say_if(c, t->client_ip);
		break;
	case TRACE_FIELD:
		oldest_received(c);
		break;
	case TRACE_ALL:
		trace_addresses(c);
		break;
	case TRACE_PUBLIC:
		template_list(c);
		for (size_t i = 0; i < trace->count; i++)
			template_item(c, trace->items[i]);
		break;
	default:
		trace_protocols(c, what == TRACE_PROTO_PUBLIC);
		break;
	}
}

/* "250 2.0.0 from MTA(smtp:[192.0.2.1]:25): 250 Ok": whole, the MTA's name, or its words. */
static struct mw_octets part_of_reply(const char *reply, int what)
{
	const char *from = strstr(reply, "from MTA("),
		   *end = from != NULL ? strstr(from, "): ") : NULL;

	if (what == RESPONSE_WHOLE)
		return mw_octets_of_text(reply);
	if (end == NULL)
		return mw_octets_of("", 0);
	if (what == RESPONSE_MTA)
		return mw_octets_of(from + 9, (size_t)(end - from) - 9);
	return mw_octets_of_text(end + 3);
}

/* Distinct values of all recipients. */
void give_response(struct template_call *c, int what)
{
	size_t count;
	const struct txn_rcpt *r = give_scope(c, &count);

	template_list(c);
	for (size_t i = 0; i < count && c->count < RESPONSES_MAX; i++, r++) {
		struct mw_octets part;
		bool known = false;

		if (r->reply == NULL ||
			(what != RESPONSE_WHOLE && !r->delivered && !r->from_next_hop))
			continue;
		part = part_of_reply(r->reply, what);
		for (size_t k = 0; k < c->count && !known; k++)
			known = same(c->items[k], part);
		if (part.n > 0 && !known)
			template_item(c, part);
	}
}
