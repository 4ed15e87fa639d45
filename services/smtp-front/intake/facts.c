#include "facts.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "ip.h"

/* ------------------------------------------------------------------ addresses */

/* Behind a quoted string or a comment that begins at p[i]; n when it is never closed. Comments
 * nest. */
static size_t skip_quoted(const unsigned char *p, size_t n, size_t i, char open, char close)
{
	size_t depth = 0;

	for (; i < n; i++) {
		if (p[i] == '\\' && i + 1 < n)
			i++;
		else if (p[i] == (unsigned char)close && --depth == 0)
			return i + 1;
		else if (p[i] == (unsigned char)open && (open != close || depth == 0))
			depth++;
	}
	return n;
}

/* A quoted string: the opening quote counts as depth 1. */
static size_t skip_string(const unsigned char *p, size_t n, size_t i)
{
	for (i++; i < n; i++) {
		if (p[i] == '\\' && i + 1 < n)
			i++;
		else if (p[i] == '"')
			return i + 1;
	}
	return n;
}

/* An address as it grows; longer ones are none. */
struct word {
	char p[FACTS_ADDRESS_MAX];
	size_t n;
	bool too_long;
};

static void word_add(struct word *w, const unsigned char *p, size_t n)
{
	if (n > sizeof(w->p) - w->n) {
		w->too_long = true;
		return;
	}
	memcpy(w->p + w->n, p, n);
	w->n += n;
}

/* One address from the octets between separators: what stands in <>, else all but blanks and
 * comments. */
static bool one_address(
	const unsigned char *p, size_t n, struct smtp_arena *a, struct mw_octets *out)
{
	struct word w;
	size_t i = 0;
	bool angle = false;

	w.n = 0;
	w.too_long = false;
	while (i < n) {
		if (p[i] == '"') {
			size_t end = skip_string(p, n, i);

			word_add(&w, p + i, end - i);
			i = end;
		} else if (p[i] == '(') {
			i = skip_quoted(p, n, i, '(', ')');
		} else if (p[i] == '<') {
			w.n = 0; /* what came before was a display name */
			w.too_long = false;
			angle = true;
			i++;
		} else if (p[i] == '>' && angle) {
			break;
		} else {
			if (p[i] > 0x20 && p[i] != 0x7f)
				word_add(&w, p + i, 1);
			i++;
		}
	}
	if (w.n == 0 || w.too_long)
		return false; /* nothing was taken from the arena: a field of commas costs nothing
			       */
	*out = mw_octets_of(smtp_arena_copy(a, w.p, w.n), w.n);
	return out->p != NULL;
}

size_t facts_addresses(
	struct mw_octets value, struct smtp_arena *a, struct mw_octets *out, size_t most)
{
	const unsigned char *p = value.p;
	size_t start = 0, count = 0, i = 0;

	while (i <= value.n && count < most) {
		if (i == value.n || p[i] == ',' || p[i] == ';') {
			count += one_address(p + start, i - start, a, &out[count]);
			start = ++i;
		} else if (p[i] == ':') {
			start = ++i; /* a group's name */
		} else if (p[i] == '"') {
			i = skip_string(p, value.n, i);
		} else if (p[i] == '(') {
			i = skip_quoted(p, value.n, i, '(', ')');
		} else if (p[i] == '[') { /* a domain literal: the colons of IPv6 name no group */
			while (i < value.n && p[i] != ']' && p[i] != ',' && p[i] != ';')
				i++;
		} else if (p[i] == '<') {
			while (i < value.n && p[i] != '>')
				i = p[i] == '"' ? skip_string(p, value.n, i) : i + 1;
		} else {
			i++;
		}
	}
	return count;
}

size_t facts_message_ids(struct mw_octets value, struct mw_octets *out, size_t most)
{
	const unsigned char *p = value.p, *end = value.p + value.n;
	size_t count = 0;

	while (count < most && p < end && (p = memchr(p, '<', (size_t)(end - p))) != NULL) {
		const unsigned char *close = memchr(p, '>', (size_t)(end - p));

		if (close == NULL)
			break;
		if (close - p > 1 && close - p < 500 &&
			memchr(p, ' ', (size_t)(close - p)) == NULL &&
			memchr(p, '\n', (size_t)(close - p)) == NULL)
			out[count++] = mw_octets_of(p, (size_t)(close - p) + 1);
		p = close + 1;
	}
	return count;
}

/* ------------------------------------------------------------------ Received */

/* Offset of a word surrounded by blanks outside of comments; n: not there. */
static size_t find_word(const char *p, size_t n, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i < n;) {
		if (p[i] == '(') {
			i = skip_quoted((const unsigned char *)p, n, i, '(', ')');
			continue;
		}
		if ((i == 0 || isspace((unsigned char)p[i - 1])) && n - i > len &&
			strncasecmp(p + i, word, len) == 0 && isspace((unsigned char)p[i + len]))
			return i;
		i++;
	}
	return n;
}

/* The address of the sending host: the last [literal] of the from-clause that is one. */
static bool from_address(const char *p, size_t n, struct mw_ip *ip_r)
{
	bool found = false;

	for (size_t i = 0; i < n; i++) {
		const char *close;

		if (p[i] != '[')
			continue;
		close = memchr(p + i, ']', n - i);
		if (close == NULL)
			break;
		if (mw_ip_parse_octets(mw_octets_of(p + i, (size_t)(close - p) + 1 - i), ip_r))
			found = true;
		i = (size_t)(close - p);
	}
	return found;
}

struct hop {
	struct mw_ip ip;
	bool known;
	char proto[16];
};

static struct hop parse_received(const char *p, size_t n)
{
	struct hop hop = { .proto = "SMTP" };
	size_t by = find_word(p, n, "by"), with = find_word(p, n, "with"), k = 0;

	if (n > 5 && strncasecmp(p, "from", 4) == 0 && isspace((unsigned char)p[4]))
		hop.known = from_address(p + 5, (by > 5 ? by : n) - 5, &hop.ip);
	if (with == n)
		return hop;
	for (with += 4; with < n && isspace((unsigned char)p[with]); with++)
		;
	while (k + 1 < sizeof(hop.proto) && with + k < n &&
		(isalnum((unsigned char)p[with + k]) || p[with + k] == '-')) {
		hop.proto[k] = (char)toupper((unsigned char)p[with + k]);
		k++;
	}
	hop.proto[k] = '\0';
	return hop;
}

static bool seen(const struct mw_octets *list, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (mw_octets_ieq(list[i], text))
			return true;
	return false;
}

static enum mw_rc collect_hops(
	struct facts *f, struct smtp_arena *a, const struct mw_header *h, const char *own_hop)
{
	struct mw_octets *trace = smtp_arena_array(a, FACTS_HOPS_MAX, sizeof(*trace));
	struct mw_octets *protos = smtp_arena_array(a, FACTS_HOPS_MAX + 1, sizeof(*protos));
	size_t traced = 0, hops = 0;
	char value[2048];

	if (trace == NULL || protos == NULL)
		return MW_ERR_NOMEM;
	protos[hops++] = mw_octets_of_text(own_hop);
	for (size_t i = 0; i < h->count; i++) {
		char ip[MW_IP_TEXT_MAX], *text;
		struct hop hop;

		if (h->fields[i].id != MW_H_RECEIVED || ++f->received > FACTS_HOPS_MAX)
			continue;
		hop = parse_received(
			value, mw_field_unfold(h, &h->fields[i], value, sizeof(value)));
		text = hop.known ? smtp_arena_printf(
					   a, "%s://%s", hop.proto, mw_ip_format(&hop.ip, ip))
				 : smtp_arena_copy(a, "x", 1);
		if (text == NULL)
			return MW_ERR_NOMEM;
		protos[hops++] = mw_octets_of_text(text);
		if (!hop.known)
			continue;
		text = smtp_arena_copy(a, ip, strlen(ip));
		if (text == NULL)
			return MW_ERR_NOMEM;
		if (f->first_ip == NULL)
			f->first_ip = text;
		if (mw_ip_is_public_addr(&hop.ip) && !seen(trace, traced, text))
			trace[traced++] = mw_octets_of_text(text);
	}
	f->ip_trace = (struct mw_list){ traced, trace };
	f->ip_proto_trace = (struct mw_list){ hops, protos };
	return MW_OK;
}

/* ------------------------------------------------------------------ the rest */

static struct mw_octets unfolded(
	struct smtp_arena *a, const struct mw_header *h, const struct mw_field *field)
{
	char value[2048];

	if (field == NULL)
		return (struct mw_octets){ NULL, 0 };
	mw_field_unfold(h, field, value, sizeof(value));
	return mw_octets_of_text(smtp_arena_copy(a, value, strlen(value)));
}

static enum mw_rc collect_addresses(struct mw_list *list_r, struct smtp_arena *a,
	const struct mw_header *h, enum mw_field_id id)
{
	const struct mw_field *field = mw_header_last(h, id);
	struct mw_octets *out;

	if (field == NULL)
		return MW_OK;
	out = smtp_arena_array(a, FACTS_ADDRESSES_MAX, sizeof(*out));
	if (out == NULL)
		return MW_ERR_NOMEM;
	*list_r = (struct mw_list){
		facts_addresses(mw_field_value(h, field), a, out, FACTS_ADDRESSES_MAX), out
	};
	return MW_OK;
}

static enum mw_rc collect_references(
	struct facts *f, struct smtp_arena *a, const struct mw_header *h)
{
	static const enum mw_field_id ids[] = { MW_H_IN_REPLY_TO, MW_H_REFERENCES };
	struct mw_octets *out = NULL;
	size_t count = 0;

	for (size_t i = 0; i < MW_COUNT(ids); i++) {
		const struct mw_field *field = mw_header_last(h, ids[i]);

		if (field == NULL)
			continue;
		if (out == NULL)
			out = smtp_arena_array(a, FACTS_REFERENCES_MAX, sizeof(*out));
		if (out == NULL)
			return MW_ERR_NOMEM;
		count += facts_message_ids(
			mw_field_value(h, field), out + count, FACTS_REFERENCES_MAX - count);
	}
	f->references = (struct mw_list){ count, out };
	return MW_OK;
}

static bool value_is(const struct mw_header *h, enum mw_field_id id, const char *word)
{
	const struct mw_field *field = mw_header_last(h, id);

	return field != NULL && mw_octets_ieq(mw_field_value(h, field), word);
}

/* Local parts that tell who writes: ends that begin with -, beginnings that end with -, whole ones
 * otherwise. What an envelope sender has behind a + (VERP) does not count. */
static bool local_part_is(struct mw_octets address, const char *const *words, size_t count)
{
	const unsigned char *at = address.n > 0 ? memrchr(address.p, '@', address.n) : NULL;
	size_t n = at != NULL ? (size_t)(at - address.p) : address.n;
	const unsigned char *plus = n > 0 ? memchr(address.p, '+', n) : NULL;

	n = plus != NULL && plus > address.p ? (size_t)(plus - address.p) : n;
	for (size_t i = 0; i < count; i++) {
		size_t w = strlen(words[i]);
		bool ends = words[i][0] == '-', begins = words[i][w - 1] == '-';

		if (n < w || (!ends && !begins && n != w))
			continue;
		if (strncasecmp(
			    (const char *)(ends ? address.p + n - w : address.p), words[i], w) == 0)
			return true;
	}
	return false;
}

static bool author_is(const struct facts *f, const char *const *words, size_t count)
{
	for (size_t i = 0; i < f->author.count; i++)
		if (local_part_is(f->author.items[i], words, count))
			return true;
	return false;
}

/* By the names of who sends it: mailing lists, answering machines, bulk. */
static void classify_names(struct facts *f, struct mw_octets sender)
{
	static const char *const lists[] = { "owner-", "-request", "-bounces", "-owner", "-admin" };
	static const char *const machines[] = { "mailer-daemon", "double-bounce", "mailer",
		"autoreply" };
	static const char *const bulk[] = { "-relay", "postmaster", "uucp" };

	f->is_mlist = f->is_mlist || local_part_is(sender, lists, MW_COUNT(lists)) ||
		      author_is(f, lists, MW_COUNT(lists) - 1);
	f->is_auto = f->is_auto || local_part_is(sender, machines, MW_COUNT(machines)) ||
		     author_is(f, machines, MW_COUNT(machines));
	f->is_bulk = f->is_mlist || f->is_auto || f->is_bulk || author_is(f, bulk, MW_COUNT(bulk));
}

/* decision.md 16 in amavisd's terms: mailing lists, answering machines, bulk. */
static void classify(struct facts *f, const struct mw_header *h, const char *sender)
{
	const struct mw_field *automatic = mw_header_last(h, MW_H_AUTO_SUBMITTED);

	f->is_mlist = mw_header_first(h, MW_H_LIST_ID) != NULL ||
		      mw_header_first(h, MW_H_LIST_POST) != NULL ||
		      mw_header_first(h, MW_H_LIST_UNSUBSCRIBE) != NULL ||
		      mw_header_first(h, MW_H_MAILING_LIST) != NULL ||
		      value_is(h, MW_H_PRECEDENCE, "list");
	f->is_auto = *sender == '\0' || value_is(h, MW_H_PRECEDENCE, "auto-reply") ||
		     (automatic != NULL && !mw_octets_ieq(mw_field_value(h, automatic), "no"));
	f->is_bulk = value_is(h, MW_H_PRECEDENCE, "bulk") || value_is(h, MW_H_PRECEDENCE, "junk");
	classify_names(f, mw_octets_of_text(sender));
}

enum mw_rc facts_collect(struct facts *f, struct smtp_arena *a, const struct mw_header *h,
	const char *own_hop, const char *envelope_sender)
{
	const struct mw_field *agent = mw_header_last(h, MW_H_USER_AGENT),
			      *id = mw_header_last(h, MW_H_MESSAGE_ID);
	struct mw_list sender = { 0 };

	*f = (struct facts){ 0 };
	f->subject = unfolded(a, h, mw_header_last(h, MW_H_SUBJECT));
	f->user_agent = unfolded(a, h, agent != NULL ? agent : mw_header_last(h, MW_H_X_MAILER));
	if (id != NULL)
		facts_message_ids(mw_field_value(h, id), &f->message_id, 1);
	if (collect_addresses(&f->author, a, h, MW_H_FROM) != MW_OK ||
		collect_addresses(&f->to, a, h, MW_H_TO) != MW_OK ||
		collect_addresses(&f->cc, a, h, MW_H_CC) != MW_OK ||
		collect_addresses(&sender, a, h, MW_H_SENDER) != MW_OK ||
		collect_references(f, a, h) != MW_OK || collect_hops(f, a, h, own_hop) != MW_OK)
		return MW_ERR_NOMEM;
	if (sender.count > 0)
		f->sender = sender.items[0];
	classify(f, h, envelope_sender);
	return MW_OK;
}
