#include "ampdp_answer.h"

#include <stdio.h>

#include "log.h"
#include "outcome/edit.h"

#define WORDS_MAX 480 /* octets; as an SMTP reply's */

/* What a milter returns, and what a helper program would exit with (decision.md 8). */
enum answer { TEMPFAIL, REJECT, DISCARD, CONTINUE };
static const struct {
	const char *word, *exit_code;
} answers[] = {
	[TEMPFAIL] = { "tempfail", "75" },
	[REJECT] = { "reject", "69" },
	[DISCARD] = { "discard", "99" },
	[CONTINUE] = { "continue", "0" },
};

void ampdp_answer_head(struct mw_text *out, const char *log_id)
{
	ampdp_put_text(out, "version_server", "2");
	if (log_id != NULL)
		ampdp_put_text(out, "log_id", log_id);
}

static void put_answer(struct mw_text *out, enum answer a)
{
	ampdp_put_text(out, "return_value", answers[a].word);
	ampdp_put_text(out, "exit_code", answers[a].exit_code);
	ampdp_put_end(out);
}

void ampdp_answer_setreply(struct mw_text *out, const char *reply)
{
	char enhanced[16], words[WORDS_MAX + 1];
	const char *p;
	size_t n;

	if (reply == NULL)
		reply = "451 4.3.0 out of memory";
	p = reply + strcspn(reply, " ");
	p += *p == ' ';
	n = strspn(p, "0123456789.");
	if (n >= 5 && n < sizeof(enhanced) && p[n] == ' ') {
		mw_strncpy(enhanced, sizeof(enhanced), p, n);
		p += n + 1;
	} else {
		snprintf(enhanced, sizeof(enhanced), "%c.0.0", reply[0]);
	}
	n = strcspn(p, "\r\n");
	mw_strncpy(words, sizeof(words), p, n < WORDS_MAX ? n : WORDS_MAX);
	/* libmilter takes one line of ASCII, and a % in it for something of its own. */
	for (char *w = words; *w != '\0'; w++)
		if (*w < 0x20 || *w > 0x7e || *w == '%')
			*w = '?';
	ampdp_put(out, "setreply",
		(const struct mw_octets[]){ mw_octets_of(reply, strcspn(reply, " ")),
			mw_octets_of_text(enhanced), mw_octets_of_text(words) },
		3);
}

void ampdp_answer_failure(struct mw_text *out, const char *log_id, unsigned code,
	const char *enhanced, const char *text)
{
	char reply[WORDS_MAX];

	snprintf(reply, sizeof(reply), "%u %s %s", code, enhanced, text);
	ampdp_answer_head(out, log_id);
	ampdp_answer_setreply(out, reply);
	put_answer(out, code / 100 == 5 ? REJECT : TEMPFAIL);
}

/* ------------------------------------------------------------------ edits */

static void put_recipient(struct mw_text *out, const char *name, const char *given)
{
	char addr[SMTP_PATH_MAX + 3];

	if (*given == '<') {
		ampdp_put_text(out, name, given);
		return;
	}
	snprintf(addr, sizeof(addr), "<%s>", given);
	ampdp_put_text(out, name, addr);
}

/* Those that go in the words that the client's MTA knows them by; the old form of one that hooks
 * or address tables have changed goes, too. */
static void put_recipients(struct mw_text *out, const struct txn *t, const struct ampdp_request *q)
{
	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct txn_rcpt *r = &t->rcpts[i];

		bool changed = r->given != NULL || r->deliver_to != NULL;

		if (!r->added && (!r->delivered || changed))
			put_recipient(out, "delrcpt", q->recipients[i]);
		if (r->delivered && (r->added || changed))
			put_recipient(
				out, "addrcpt", r->deliver_to != NULL ? r->deliver_to : r->addr);
		if (!r->delivered)
			txn_log(t, MW_INFO, "recipient_removed", "log_id=%s rcpt=%s why=%s",
				t->log_id, mw_quote(r->addr), mw_quote(r->reply));
	}
}

/* A field's value as MTAs give it to each other over milter: folds by LF alone. what: the attribute
 * and where the field is. */
static void put_field(struct mw_text *out, const char *what, unsigned at, struct mw_text *value,
	const struct mw_header *h, const struct mw_field *f)
{
	char index[16];

	struct mw_octets raw = mw_field_value(h, f);

	mw_text_clear(value);
	for (size_t from = 0; from < raw.n;) {
		const unsigned char *cr = memchr(raw.p + from, '\r', raw.n - from);
		size_t to = cr != NULL ? (size_t)(cr - raw.p) : raw.n;

		mw_text_add_octets(value, raw.p + from, to - from);
		from = to + 1;
	}
	snprintf(index, sizeof(index), "%u", at);
	ampdp_put(out, what,
		(const struct mw_octets[]){ mw_octets_of_text(index), mw_field_name(h, f),
			mw_octets_of(value->p, value->n) },
		3);
}

/* Each at the same place, so the lowest comes first. */
static void put_fields(struct mw_text *out, const char *what, unsigned at, struct mw_octets fields)
{
	struct mw_header h = { 0 };
	struct mw_text value = { 0 };

	if (fields.n > 0 && mw_header_index(&h, fields) != MW_OK)
		out->failed = true;
	for (size_t i = h.count; i-- > 0 && !out->failed;)
		if (h.fields[i].name_len > 0)
			put_field(out, what, at, &value, &h, &h.fields[i]);
	out->failed = out->failed || value.failed;
	mw_header_fini(&h);
	mw_text_fini(&value);
}

static void put_edits(struct mw_text *out, struct txn *t)
{
	const struct txn_cluster *c = &t->clusters[0];
	struct edit_change *changes;
	size_t count;

	if (t->cluster_count > 1)
		txn_log(t, MW_WARN, "edits_differ",
			"log_id=%s sets=%zu: the client can make one set only, the first "
			"recipient's",
			t->log_id, t->cluster_count);
	if (edit_changes(t, c, &changes, &count) != MW_OK) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < count; i++) {
		char index[16];

		snprintf(index, sizeof(index), "%u", changes[i].index);
		if (changes[i].field.n > 0)
			put_fields(out, "chgheader", changes[i].index, changes[i].field);
		else
			ampdp_put(out, "delheader",
				(const struct mw_octets[]){
					mw_octets_of_text(index), changes[i].name },
				2);
	}
	put_fields(out, "insheader", t->policy->field_index, c->pieces[1]);
	/* the signature goes above them */
	put_fields(out, "insheader", t->policy->field_index, c->pieces[0]);
}

static enum answer answer_of(const struct txn *t)
{
	static const enum answer by_case[CASE_COUNT] = {
		[CASE_NOBODY] = DISCARD,
		[CASE_UNFINISHED] = TEMPFAIL,
		[CASE_TEMPFAILED] = TEMPFAIL,
		[CASE_DISCARDED] = DISCARD,
		[CASE_REFUSED] = REJECT,
		[CASE_UNTOLD] = REJECT,
		[CASE_PASSED] = CONTINUE,
	};
	enum answer a = t->reply_code / 100 == 4 ? TEMPFAIL : by_case[t->reply_case];

	for (size_t i = 0; i < t->rcpt_count && a == CONTINUE; i++)
		if (t->rcpts[i].delivered && t->client_delivers)
			return CONTINUE;
	/* What we delivered, or notified of, the client shall not deliver again. */
	return a == CONTINUE ? DISCARD : a;
}

void ampdp_answer(struct mw_text *out, struct txn *t, const struct ampdp_request *q)
{
	enum answer a = answer_of(t);
	struct mw_text whole = { 0 };

	ampdp_answer_head(&whole, t->log_id);
	ampdp_answer_setreply(&whole, t->reply);
	if (a == CONTINUE) {
		put_recipients(&whole, t, q);
		put_edits(&whole, t);
	}
	put_answer(&whole, a);
	if (whole.failed)
		ampdp_answer_failure(out, t->log_id, 451, "4.3.0", "out of memory");
	else
		mw_text_add_octets(out, whole.p, whole.n);
	mw_text_fini(&whole);
}
