#include "edit.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "decide.h"

#define LEVEL_BAR_MAX 64    /* characters of X-Spam-Level */
#define FOLD_AT 76	    /* columns */
#define LINE_MAX_OCTETS 998 /* RFC 5322 section 2.1.1 */
#define NOT_LOCAL "the recipient is not local (local_domains_maps)"
#define FOR_OCTETS_MAX 900 /* an address that fits a line of 998 (RFC 5322 section 2.1.1) */

/* ------------------------------------------------------------------ single fields */

/* Text from outside in a header field: no line may end there, nothing may be hidden. */
static void add_safe(struct mw_text *out, const char *s)
{
	size_t from = out->n;

	if (s == NULL)
		return;
	mw_text_add(out, s);
	for (size_t i = from; i < out->n; i++)
		if (out->p[i] < 0x20 || out->p[i] > 0x7e)
			out->p[i] = '?';
}

/* A HELO name as it may stand outside of comments: a parenthesis in it would hide the rest of the
 * field. */
static void add_host(struct mw_text *out, const char *s)
{
	for (; *s != '\0'; s++)
		mw_text_add_octets(out,
			isalnum((unsigned char)*s) || strchr(".:_[]-", *s) != NULL ? s : "?", 1);
}

/* RFC 5322 section 3.3, made once a second: the zone's rules cost more than the rest of the field.
 */
const char *edit_date(time_t second)
{
	static time_t made;
	static char text[64];

	if (second != made) {
		struct tm tm;

		localtime_r(&second, &tm);
		strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S %z (%Z)", &tm);
		made = second;
	}
	return text;
}

/* RFC 5321 section 4.4; `with` only for registered protocol names. */
void edit_received(const struct txn *t, struct mw_text *out)
{
	const char *v6 = strchr(t->peer_ip, ':') != NULL ? "IPv6:" : "";
	const char *own6 = strchr(t->local_ip, ':') != NULL ? "IPv6:" : "";

	mw_text_add(out, "Received: from ");
	add_host(out, t->helo);
	if (t->peer_ip[0] != '\0')
		mw_text_addf(out, " ([%s%s])", v6, t->peer_ip);
	if (t->tls != NULL && *t->tls != '\0')
		mw_text_addf(out, "\r\n\t(using %s)", t->tls);
	mw_text_addf(out, "\r\n\tby %s (%s", t->policy->localhost_name, t->set->myhostname);
	if (t->local_ip[0] != '\0')
		mw_text_addf(out, " [%s%s]) (mailweir, port %u)\r\n\t", own6, t->local_ip,
			t->local_port);
	else /* by a Unix socket, which has no address */
		mw_text_add(out, ") (mailweir)\r\n\t");
	if (strcmp(t->protocol, "AM.PDP") != 0)
		mw_text_addf(out, "with %s ", t->protocol);
	mw_text_addf(out, "id %s", t->mail_id);
	/* A UTF-8 address would make the header section one that not every hop takes (RFC 6532). */
	if (t->rcpt_count == 1 && strlen(t->rcpts[0].addr) <= FOR_OCTETS_MAX &&
		mw_is_printable(t->rcpts[0].addr, strlen(t->rcpts[0].addr)))
		mw_text_addf(out, "\r\n\tfor <%s>", t->rcpts[0].addr);
	mw_text_addf(out, ";\r\n\t%s\r\n", edit_date((time_t)(t->time_ms / 1000)));
}

static void add_score(struct mw_text *out, int32_t milli)
{
	mw_text_addf(out, "%s%d.%03d", milli < 0 ? "-" : "", abs(milli / 1000), abs(milli % 1000));
	while (out->n > 2 && out->p[out->n - 1] == '0' && out->p[out->n - 2] != '.')
		out->p[--out->n] = '\0';
}

/* decision.md 10: Yes or No, score=S tagged_above=T required=T2 tests=[A=1, B=2] autolearn=X,
 * folded. */
static void add_spam_status(struct txn *t, const struct txn_rcpt *r, struct mw_text *out)
{
	size_t line;

	mw_text_addf(out, "X-Spam-Status: %s, score=", r->tag2 ? "Yes" : "No");
	add_score(out, r->score_milli);
	mw_text_add(out, " tagged_above=");
	add_score(out, r->tag_milli);
	mw_text_add(out, " required=");
	add_score(out, r->tag2_milli);
	mw_text_add(out, "\r\n\ttests=[");
	line = out->n - 8;
	for (size_t i = 0; i < t->found.test_count; i++) {
		const struct mw_record_test *test = &t->found.tests[i];

		if (out->n - line + test->name.n + 10 > FOLD_AT && i > 0) {
			mw_text_add(out, ",\r\n\t");
			line = out->n;
		} else if (i > 0) {
			mw_text_add(out, ", ");
		}
		mw_text_add_octets(out, test->name.p, test->name.n);
		mw_text_add(out, "=");
		add_score(out, test->milli);
	}
	mw_text_add(out, "]");
	if (t->found.autolearn.n > 0) {
		mw_text_add(out, " autolearn=");
		add_safe(out, (const char *)t->found.autolearn.p);
	}
	mw_text_add(out, "\r\n");
}

static void add_spam_flag(struct txn *t, const struct txn_rcpt *r, struct mw_text *out)
{
	(void)t;
	mw_text_addf(out, "X-Spam-Flag: %s\r\n", r->tag2 ? "YES" : "NO");
}

static void add_spam_score(struct txn *t, const struct txn_rcpt *r, struct mw_text *out)
{
	(void)t;
	mw_text_add(out, "X-Spam-Score: ");
	add_score(out, r->score_milli);
	mw_text_add(out, "\r\n");
}

static void add_spam_level(struct txn *t, const struct txn_rcpt *r, struct mw_text *out)
{
	int bar = r->score_milli / 1000;

	mw_text_add(out, "X-Spam-Level: ");
	for (int i = 0; i < bar && i < LEVEL_BAR_MAX; i++)
		mw_text_add(out, t->policy->level_char);
	mw_text_add(out, "\r\n");
}

/* decision.md 10.1, RFC 8601. Nothing without signatures; a check that did not run is temperror,
 * never silence. */
static void add_authentication_results(struct txn *t, const struct txn_rcpt *r, struct mw_text *out)
{
	const struct txn_check *auth = &t->checks[JOB_AUTH];

	(void)r;
	mw_text_addf(out, "Authentication-Results: %s (mailweir)", t->policy->authserv_id);
	if (auth->status == MW_FAILED)
		mw_text_add(out, ";\r\n\tdkim=temperror reason=\"check failed\"");
	else if (t->found.signature_count == 0)
		mw_text_add(out, auth->status == MW_LIMIT
					 ? ";\r\n\tdkim=temperror reason=\"over limits\""
					 : ";\r\n\tdkim=none");
	for (size_t i = 0; auth->status != MW_FAILED && i < t->found.signature_count; i++) {
		const struct finding_signature *s = &t->found.signatures[i];

		mw_text_add(out, ";\r\n\tdkim=");
		add_safe(out, (const char *)s->result.p);
		if (s->bits > 0)
			mw_text_addf(out, " (%lld-bit key)", (long long)s->bits);
		if (s->reason.n > 0) {
			mw_text_add(out, " reason=\"");
			for (size_t k = 0; k < s->reason.n; k++)
				mw_text_addf(out, "%c",
					s->reason.p[k] < 0x20 || s->reason.p[k] > 0x7e ||
							s->reason.p[k] == '"' ||
							s->reason.p[k] == '\\'
						? '\''
						: s->reason.p[k]);
			mw_text_add(out, "\"");
		}
		if (s->d.n > 0) {
			mw_text_add(out, "\r\n\theader.d=");
			add_safe(out, (const char *)s->d.p);
		}
		if (t->found.signature_count > 1 && s->b.n == 8) {
			mw_text_add(out, " header.b=\"");
			add_safe(out, (const char *)s->b.p);
			mw_text_add(out, "\"");
		}
	}
	mw_text_add(out, "\r\n");
}

static void add_penpals(struct txn *t, const struct txn_rcpt *r, struct mw_text *out)
{
	int64_t s = r->penpals_age_s;

	(void)t;
	mw_text_addf(out, "X-Amavis-PenPals: age %lld %lld:%02lld:%02lld\r\n",
		(long long)(s / 86400), (long long)(s / 3600 % 24), (long long)(s / 60 % 60),
		(long long)(s % 60));
}

static void add_infected(struct txn *t, const struct txn_rcpt *r, struct mw_text *out)
{
	(void)r;
	mw_text_addf(out, "X-Amavis-Alert: INFECTED, message contains virus: %s\r\n",
		decide_virus_names(t));
}

static void add_unchecked(struct txn *t, const struct txn_rcpt *r, struct mw_text *out)
{
	(void)t;
	for (size_t i = 0; i < r->ccat_count; i++)
		if (r->ccats[i] / 10 == MW_CC_UNCHECKED)
			mw_text_addf(out, "X-Amavis-Alert: UNCHECKED, %s\r\n",
				mw_ccat_name(r->ccats[i]));
	if (t->hooked != NULL && t->hooked->unchecked && !r->bypass_virus)
		mw_text_addf(out, "X-Amavis-Alert: UNCHECKED: %s\r\n", t->hooked->unchecked_why);
}

static void add_no_score(struct txn *t, const struct txn_rcpt *r, struct mw_text *out)
{
	(void)r;
	mw_text_add(out, "X-Amavis-Alert: UNCHECKED, spam check failed: ");
	add_safe(out, t->checks[JOB_SPAM].reason);
	mw_text_add(out, "\r\n");
}

static void add_scanned(struct txn *t, const struct txn_rcpt *r, struct mw_text *out)
{
	(void)r;
	mw_text_addf(out, "%s: %s\r\n", t->policy->x_header_tag, t->policy->x_header_line);
}

static void add_received(struct txn *t, const struct txn_rcpt *r, struct mw_text *out)
{
	(void)r;
	edit_received(t, out);
}

void edit_guard(const struct txn *t, struct mw_text *out)
{
	struct mw_octets message = smtp_body_octets(t->body);

	if (message.n > 0 && (message.p[0] == ' ' || message.p[0] == '\t'))
		mw_text_add(out, EDIT_GUARD_FIELD);
}

static bool hook_removes(const struct txn *t, const char *name, size_t n)
{
	for (size_t i = 0; i < t->hooked->removed_count; i++)
		if (mw_octets_ieq(mw_octets_of(name, n), t->hooked->removed[i]))
			return true;
	return false;
}

/* The subject with what hooks put before it; the original's first line may be long. */
static void add_subject(const struct txn *t, struct mw_text *out)
{
	const struct mw_field *f = mw_header_first(&t->header, MW_H_SUBJECT);
	struct mw_octets value = f != NULL ? mw_field_value(&t->header, f) : mw_octets_of("", 0);
	const unsigned char *end = value.n > 0 ? memchr(value.p, '\r', value.n) : NULL;
	size_t first = end != NULL ? (size_t)(end - value.p) : value.n, from = out->n;

	mw_text_addf(out, "Subject: %s", t->hooked->subject_prefix);
	if (first + out->n - from > LINE_MAX_OCTETS)
		mw_text_add(out, "\r\n ");
	if (hook_removes(t, "Subject", 7))
		value.n = 0;
	mw_text_add_octets(out, value.p, value.n);
	mw_text_add(out, "\r\n");
}

/* ------------------------------------------------------------------ who gets which field */

/* Each says whether, and why or why not, for a person who asks. */
static bool because(const char **why_r, const char *why, bool yes)
{
	*why_r = why;
	return yes;
}

static bool wants_received(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	(void)r;
	return t->client_delivers
		       ? because(why_r, "the client delivers by itself: this is no hop", false)
		       : because(why_r, "every mail that is sent on has it", true);
}

static bool wants_scanned(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	const struct txn_check *scan = &t->checks[JOB_SCAN];

	if (scan->state != CHECK_OVER)
		return because(why_r, scan->skipped, false);
	if (scan->status == MW_FAILED)
		return because(why_r, "the virus check failed", false);
	return r->bypass_virus ? because(why_r, "bypass_virus_checks of the recipient", false)
			       : because(why_r, "the mail was scanned", true);
}

static bool wants_infected(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	if (t->found.virus_count == 0)
		return because(why_r, "no virus was found", false);
	return r->bypass_virus ? because(why_r, "bypass_virus_checks of the recipient", false)
			       : because(why_r, "a virus was found", true);
}

static bool wants_unchecked(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	(void)t;
	for (size_t i = 0; i < r->ccat_count; i++)
		if (r->ccats[i] / 10 == MW_CC_UNCHECKED)
			return because(why_r, "the mail could not be checked whole", true);
	return because(why_r, "nothing was left unchecked", false);
}

static bool wants_no_score(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	const struct txn_check *spam = &t->checks[JOB_SPAM];

	if (spam->state != CHECK_OVER || spam->status != MW_FAILED)
		return because(why_r, "the spam check did not fail", false);
	if (r->bypass_spam)
		return because(why_r, "bypass_spam_checks of the recipient", false);
	return because(why_r, r->is_local ? "the spam check failed" : NOT_LOCAL, r->is_local);
}

static bool wants_spam(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	const struct txn_check *spam = &t->checks[JOB_SPAM];

	if (!r->is_local)
		return because(why_r, NOT_LOCAL, false);
	if (r->bypass_spam)
		return because(why_r, "bypass_spam_checks of the recipient", false);
	if (!r->has_score)
		return because(why_r,
			spam->skipped != NULL ? spam->skipped : "the mail has no score", false);
	return because(why_r,
		r->tag ? "the score reaches spam_tag_level" : "the score is below spam_tag_level",
		r->tag);
}

static bool wants_level(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	if (!wants_spam(t, r, why_r))
		return false;
	if (t->policy->level_char[0] == '\0')
		return because(why_r, "sa_spam_level_char is empty", false);
	return r->score_milli >= 1000 || because(why_r, "the score is below 1", false);
}

static bool wants_penpals(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	(void)t;
	if (!r->is_local)
		return because(why_r, NOT_LOCAL, false);
	return r->penpals_age_s >= 0
		       ? because(why_r, "the recipient wrote to the sender before", true)
		       : because(why_r, "no pen pals, or nobody asked", false);
}

static bool wants_results(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	const struct txn_check *auth = &t->checks[JOB_AUTH];

	if (!r->is_local)
		return because(why_r, NOT_LOCAL, false);
	return auth->state == CHECK_OVER ? because(why_r, "signatures were looked at", true)
					 : because(why_r, auth->skipped, false);
}

/* All fields of ours, top-down: the only place that says who gets one. */
static const struct edit_rule {
	const char *field; /* NULL: X_HEADER_TAG's */
	bool (*wanted)(const struct txn *t, const struct txn_rcpt *r, const char **why_r);
	void (*add)(struct txn *t, const struct txn_rcpt *r, struct mw_text *out);
} rules[EDIT_FIELDS] = {
	{ "Received", wants_received, add_received },
	{ NULL, wants_scanned, add_scanned },
	{ "X-Amavis-Alert", wants_infected, add_infected },
	{ "X-Amavis-Alert", wants_unchecked, add_unchecked },
	{ "X-Amavis-Alert", wants_no_score, add_no_score },
	{ "X-Spam-Flag", wants_spam, add_spam_flag },
	{ "X-Spam-Score", wants_spam, add_spam_score },
	{ "X-Spam-Level", wants_level, add_spam_level },
	{ "X-Spam-Status", wants_spam, add_spam_status },
	{ "X-Amavis-PenPals", wants_penpals, add_penpals },
	{ "Authentication-Results", wants_results, add_authentication_results },
};

void edit_verdicts(
	const struct txn *t, const struct txn_rcpt *r, struct edit_verdict verdicts[EDIT_FIELDS])
{
	for (size_t i = 0; i < EDIT_FIELDS; i++) {
		struct edit_verdict *v = &verdicts[i];

		v->field = rules[i].field != NULL ? rules[i].field : t->policy->x_header_tag;
		v->added = rules[i].wanted(t, r, &v->why);
	}
}

/* Everything of ours for one recipient. */
static char *fields_for(struct txn *t, const struct txn_rcpt *r)
{
	struct mw_text out = { 0 };
	const char *why;
	char *s = NULL;

	for (size_t i = 0; i < EDIT_FIELDS; i++)
		if (rules[i].wanted(t, r, &why))
			rules[i].add(t, r, &out);
	if (t->hooked != NULL) {
		mw_text_add(&out, t->hooked->fields);
		if (t->hooked->subject_prefix != NULL)
			add_subject(t, &out);
	}
	edit_guard(t, &out);
	if (!out.failed)
		s = smtp_arena_copy(&t->arena, out.p, out.n);
	mw_text_fini(&out);
	return s;
}

/* ------------------------------------------------------------------ what of the original stays */

/* RFC 8601 section 2.2 lets the id be a quoted string; behind its opening quote. What never ends
 * may mean us as well. */
static bool is_our_name_quoted(
	const struct txn *t, const unsigned char *p, const unsigned char *end)
{
	char id[sizeof(t->policy->authserv_id)];
	size_t n = 0;

	for (; p < end && *p != '"' && n < sizeof(id); p++) {
		if (*p == '\\' && p + 1 < end)
			p++;
		id[n++] = (char)*p;
	}
	return p == end || mw_octets_ieq(mw_octets_of(id, n), t->policy->authserv_id);
}

/* The authserv-id is ours: a claim in our name that we did not make (RFC 8601 section 5). */
static bool is_ours(const struct txn *t, struct mw_octets value)
{
	const unsigned char *p = value.p, *end = value.p + value.n;
	size_t n = 0;

	while (p < end && *p <= ' ')
		p++;
	if (p < end && *p == '"')
		return is_our_name_quoted(t, p + 1, end);
	while (p + n < end && p[n] > ' ' && strchr(";/(", p[n]) == NULL)
		n++; /* an empty name (a comment in front, say) is not to be told from ours */
	return n == 0 || mw_octets_ieq(mw_octets_of(p, n), t->policy->authserv_id);
}

bool edit_removes(const struct txn *t, const struct mw_field *f)
{
	struct mw_octets name = mw_field_name(&t->header, f);

	if (t->hooked != NULL &&
		(hook_removes(t, (const char *)name.p, name.n) ||
			(t->hooked->subject_prefix != NULL && f->id == MW_H_SUBJECT &&
				f == mw_header_first(&t->header, MW_H_SUBJECT))))
		return true;
	switch (f->id) {
	case MW_H_X_SPAM:
	case MW_H_X_AMAVIS: /* fields others trust when they come from us */
	case MW_H_X_QUARANTINE_ID:
		return true;
	case MW_H_AUTHENTICATION_RESULTS:
		return is_ours(t, mw_field_value(&t->header, f));
	default:
		return false;
	}
}

/* Slices between the fields that go, then the rest with the body. */
static enum mw_rc fill_pieces(struct txn *t, struct txn_cluster *c)
{
	struct mw_octets message = smtp_body_octets(t->body);
	size_t going = 0, at = 0;

	for (size_t i = 0; i < t->header.count; i++)
		going += edit_removes(t, &t->header.fields[i]);
	/* signature, our fields, the slices, the end */
	c->pieces = smtp_arena_array(&t->arena, going + 4, sizeof(*c->pieces));
	if (c->pieces == NULL)
		return MW_ERR_NOMEM;
	c->pieces[c->piece_count++] = (struct mw_octets){ NULL, 0 };
	c->pieces[c->piece_count++] = mw_octets_of_text(c->fields);
	for (size_t i = 0; i < t->header.count && going > 0; i++) {
		const struct mw_field *f = &t->header.fields[i];

		if (!edit_removes(t, f))
			continue;
		if (f->at > at)
			c->pieces[c->piece_count++] = mw_octets_of(message.p + at, f->at - at);
		at = f->end;
	}
	if (message.n > at)
		c->pieces[c->piece_count++] = mw_octets_of(message.p + at, message.n - at);
	return MW_OK;
}

/* ------------------------------------------------------------------ removals by name and index */

static uint32_t name_hash(struct mw_octets name)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (unsigned)tolower(name.p[i])) * 16777619u;
	return h;
}

static bool same_name(struct mw_octets a, struct mw_octets b)
{
	return a.n == b.n && strncasecmp((const char *)a.p, (const char *)b.p, a.n) == 0;
}

/* How often each name was seen: a hash, as a mail may bring thousands of names. */
struct name_count {
	struct mw_octets name;
	unsigned seen;
};

static unsigned count_name(struct name_count *table, size_t size, struct mw_octets name)
{
	size_t i = name_hash(name) & (size - 1);

	while (table[i].seen > 0 && !same_name(table[i].name, name))
		i = (i + 1) & (size - 1);
	table[i].name = name;
	return ++table[i].seen;
}

enum mw_rc edit_removals(struct txn *t, struct edit_removal **list_r, size_t *count_r)
{
	size_t going = 0, size = 1, at;
	struct name_count *table;
	struct edit_removal *list;

	for (size_t i = 0; i < t->header.count; i++)
		going += edit_removes(t, &t->header.fields[i]);
	while (size < 2 * going + 1)
		size *= 2;
	list = smtp_arena_array(&t->arena, going + 1, sizeof(*list));
	table = smtp_arena_array(&t->arena, size, sizeof(*table));
	if (list == NULL || table == NULL)
		return MW_ERR_NOMEM;
	at = going;
	for (size_t i = 0; i < t->header.count && going > 0; i++) {
		const struct mw_field *f = &t->header.fields[i];

		/* Of a name of which some stay (Authentication-Results) all count. */
		if (edit_removes(t, f) || f->id == MW_H_AUTHENTICATION_RESULTS) {
			struct mw_octets name = mw_field_name(&t->header, f);
			unsigned index = count_name(table, size, name);

			if (edit_removes(t, f))
				list[--at] = (struct edit_removal){ name, index };
		}
	}
	*list_r = list;
	*count_r = going;
	return MW_OK;
}

/* ------------------------------------------------------------------ clusters */

static struct txn_cluster *cluster_for(
	struct txn *t, const char *fields, const struct next_hops *route)
{
	for (size_t i = 0; i < t->cluster_count; i++)
		if (next_hops_same(t->clusters[i].route, route) &&
			strcmp(t->clusters[i].fields, fields) == 0)
			return &t->clusters[i];
	t->clusters[t->cluster_count].fields = fields;
	t->clusters[t->cluster_count].route = route;
	return &t->clusters[t->cluster_count++];
}

/* Two recipients that agree in everything fields_for() looks at need not be printed twice. */
static bool same_edits(const struct txn_rcpt *a, const struct txn_rcpt *b)
{
	return a->is_local == b->is_local && a->bypass_virus == b->bypass_virus &&
	       a->bypass_spam == b->bypass_spam && a->tag == b->tag && a->tag2 == b->tag2 &&
	       a->tag_milli == b->tag_milli && a->tag2_milli == b->tag2_milli &&
	       a->score_milli == b->score_milli && a->penpals_age_s == b->penpals_age_s &&
	       a->ccat_count == b->ccat_count &&
	       memcmp(a->ccats, b->ccats, a->ccat_count * sizeof(a->ccats[0])) == 0;
}

/* The recipient at i into the cluster of its edits: *c_p, where *before was put, or another. */
static enum mw_rc put_rcpt(
	struct txn *t, size_t i, const struct txn_rcpt **before, struct txn_cluster **c_p)
{
	struct txn_rcpt *r = &t->rcpts[i];
	const struct next_hops *route = r->route != NULL ? r->route : t->route;
	const char *fields = *c_p != NULL ? (*c_p)->fields : NULL;
	struct txn_cluster *c;

	if (*before == NULL || !same_edits(*before, r))
		fields = fields_for(t, r);
	if (fields == NULL)
		return MW_ERR_NOMEM;
	if (*c_p == NULL || fields != (*c_p)->fields || route != (*c_p)->route)
		*c_p = cluster_for(t, fields, route);
	*before = r;
	c = *c_p;
	r->cluster = (int)(c - t->clusters);
	r->tagged = r->is_local && r->tag2;
	if (c->rcpts == NULL) {
		c->rcpts = smtp_arena_array(&t->arena, t->rcpt_count, sizeof(*c->rcpts));
		c->rcpt_index = smtp_arena_array(&t->arena, t->rcpt_count, sizeof(*c->rcpt_index));
		if (c->rcpts == NULL || c->rcpt_index == NULL || fill_pieces(t, c) != MW_OK)
			return MW_ERR_NOMEM;
	}
	c->rcpt_index[c->rcpt_count] = i;
	c->rcpts[c->rcpt_count].params = r->params;
	c->rcpts[c->rcpt_count++].addr = r->addr;
	return MW_OK;
}

enum mw_rc edit_clusters(struct txn *t)
{
	const struct txn_rcpt *before = NULL;
	struct txn_cluster *c = NULL;
	/* When those that hooks have added do not get it, nobody else shall have it: they go first.
	 * Who delivers by itself makes the first client's recipient's edits. */
	bool added = t->added_count > 0 && !t->client_delivers;

	t->clusters = smtp_arena_array(&t->arena, t->rcpt_count, sizeof(*t->clusters));
	if (t->clusters == NULL)
		return MW_ERR_NOMEM;
	for (int turn = 0; turn < 1 + (t->added_count > 0); turn++, added = !added)
		for (size_t i = 0; i < t->rcpt_count; i++)
			if (t->rcpts[i].code == 0 && t->rcpts[i].added == added && /* not blocked */
				put_rcpt(t, i, &before, &c) != MW_OK)
				return MW_ERR_NOMEM;
	return MW_OK;
}

enum mw_rc edit_nothing(struct txn *t, const char *fields, size_t from)
{
	struct mw_octets message = smtp_body_octets(t->body);
	struct txn_cluster *c = smtp_arena_array(&t->arena, 1, sizeof(*c));

	if (c == NULL)
		return MW_ERR_NOMEM;
	c->fields = fields;
	c->route = t->route;
	c->pieces = smtp_arena_array(&t->arena, 2, sizeof(*c->pieces));
	c->rcpts = smtp_arena_array(&t->arena, t->rcpt_count, sizeof(*c->rcpts));
	c->rcpt_index = smtp_arena_array(&t->arena, t->rcpt_count, sizeof(*c->rcpt_index));
	if (c->pieces == NULL || c->rcpts == NULL || c->rcpt_index == NULL)
		return MW_ERR_NOMEM;
	c->pieces[c->piece_count++] = mw_octets_of_text(fields);
	if (message.n > from)
		c->pieces[c->piece_count++] = mw_octets_of(message.p + from, message.n - from);
	for (size_t i = 0; i < t->rcpt_count; i++) {
		c->rcpts[i].addr = t->rcpts[i].addr;
		c->rcpt_index[i] = i;
	}
	c->rcpt_count = t->rcpt_count;
	t->clusters = c;
	t->cluster_count = 1;
	return MW_OK;
}

enum mw_rc edit_final_header(struct txn *t, struct txn_cluster *c)
{
	const unsigned char *message = smtp_body_octets(t->body).p,
			    *body = message + t->header.body;
	size_t n = 0;

	/* Pieces 1.. up to the body; the last one may reach into it. */
	for (size_t i = 1; i < c->piece_count; i++)
		n += c->pieces[i].n;
	n -= smtp_body_size(t->body) - t->header.body;
	c->header_owner = smtp_body_new(&t->front->bodies, n);
	if (c->header_owner == NULL)
		return MW_ERR_NOMEM;
	for (size_t i = 1; i < c->piece_count; i++) {
		struct mw_octets o = c->pieces[i];

		if (o.p >= message && o.p < message + smtp_body_size(t->body) && o.p + o.n > body)
			o.n = o.p < body ? (size_t)(body - o.p) : 0;
		if (smtp_body_append(c->header_owner, o.p, o.n, NULL) != MW_OK)
			return MW_ERR_NOMEM;
	}
	return smtp_body_seal(c->header_owner, NULL);
}
