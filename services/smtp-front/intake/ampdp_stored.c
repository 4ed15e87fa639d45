/*
 * request=stored: what `mailweir quarantine` asks about copies that are rows of a database, at the
 * administrators' socket alone. docs/am-pdp.md does not have it: both ends are ours, and of one
 * version.
 *
 *	action=find  since before limit category released oldest sender recipient subject text
 *	action=show  mail_id partition_tag raw
 *	action=drop  mail_id partition_tag
 *
 * The answer is a line `row` for each, with the fields of put_row, `octets` of a mail that is
 * shown, and a setreply.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ampdp_answer.h"
#include "ampdp_session_priv.h"
#include "log.h"
#include "outcome/quarantine_stored.h"
#include "quarantine_audit.h"
#include "quarantine_copy.h"

#define PIECE_OCTETS 4096
#define HEADER_OCTETS_MAX (256 << 10) /* of a mail that is shown */
#define RAW_OCTETS_MAX (32 << 20)     /* of one that is shown as it came */

static void fail(struct ampdp_session *s, const char *why)
{
	char text[400];

	snprintf(text, sizeof(text), "ERROR %.380s", why);
	ampdp_session_refuse(s, 450, "4.5.0", text);
}

static void put_row(struct mw_text *out, const struct stored_row *row)
{
	const struct mw_qentry *e = &row->e;
	char numbers[6][32];
	const uint64_t values[] = { (uint64_t)row->partition, e->time_ms, e->ccat, e->size };

	for (size_t i = 0; i < MW_COUNT(values); i++)
		snprintf(numbers[i], sizeof(numbers[i]), "%llu", (unsigned long long)values[i]);
	if (e->has_score)
		snprintf(numbers[4], sizeof(numbers[4]), "%d", e->score_milli);
	else
		numbers[4][0] = '\0';
	ampdp_put(out, "row",
		(const struct mw_octets[]){ mw_octets_of_text(e->mail_id),
			mw_octets_of_text(numbers[0]), mw_octets_of_text(numbers[1]),
			mw_octets_of_text(numbers[2]), mw_octets_of_text(numbers[3]),
			mw_octets_of_text(numbers[4]), mw_octets_of_text(e->secret_id),
			mw_octets_of_text(e->log_id), mw_octets_of_text(e->sender),
			mw_octets_of_text(e->subject), mw_octets_of_text(e->rcpts),
			mw_octets_of_text(row->released) },
		12);
}

static void put_octets(struct mw_text *out, const unsigned char *p, size_t n)
{
	for (size_t at = 0; at < n; at += PIECE_OCTETS)
		ampdp_put(out, "octets",
			(const struct mw_octets[]){ mw_octets_of(
				p + at, n - at < PIECE_OCTETS ? n - at : PIECE_OCTETS) },
			1);
}

static void done(struct ampdp_session *s)
{
	ampdp_answer_setreply(&s->out, "250 2.0.0 Ok");
	ampdp_put_end(&s->out);
	ampdp_session_answered(s);
}

/* The rows, or why there are none. False: answered. */
static bool begin_answer(struct ampdp_session *s, const struct stored_got *got)
{
	s->stored = NULL;
	if (got->rc != MW_OK) {
		fail(s, got->err.text);
		return false;
	}
	ampdp_answer_head(&s->out, NULL);
	for (size_t i = 0; i < got->count; i++)
		put_row(&s->out, &got->rows[i]);
	return true;
}

static void found(void *arg, struct stored_got *got)
{
	if (begin_answer(arg, got))
		done(arg);
}

/* The header section, with what the quarantine put on top; raw: the mail as it came. */
static void shown(void *arg, struct stored_got *got)
{
	struct ampdp_session *s = arg;
	bool raw = s->request.raw != NULL;
	struct mw_quarantine_copy c;
	struct mw_octets all;
	const unsigned char *end;

	if (got->rc == MW_OK && !mw_quarantine_copy_read(smtp_body_octets(got->body), &c))
		got->rc = mw_fail(&got->err, MW_ERR_PROTO, "that is no quarantine copy");
	if (got->rc == MW_OK && raw && c.file.n > RAW_OCTETS_MAX)
		got->rc =
			mw_fail(&got->err, MW_ERR_LIMIT, "it is too large to be shown: release it");
	if (!begin_answer(s, got))
		return;
	all = raw ? mw_octets_of(c.file.p + c.original, c.file.n - c.original) : c.file;
	end = raw ? NULL : memmem(all.p, all.n, "\r\n\r\n", 4);
	if (!raw)
		all.n = end != NULL ? (size_t)(end - all.p) + 2 : all.n;
	put_octets(&s->out, all.p, raw || all.n < HEADER_OCTETS_MAX ? all.n : HEADER_OCTETS_MAX);
	done(s);
}

static void dropped(void *arg, struct stored_got *got)
{
	struct ampdp_session *s = arg;
	char user[MW_QINDEX_WHO_MAX] = "?";
	unsigned uid;

	if (stream_peer_user(s->in.stream, &uid))
		mw_qaudit_user(uid, user);
	if (got->rc == MW_OK)
		mw_log(MW_INFO, "quarantine_deleted", "mail_id=%s file=%s who=%s",
			mw_quote(s->request.mail_id), mw_quote(got->rows[0].e.path),
			mw_quote(user));
	found(s, got);
}

/* ------------------------------------------------------------------ the request */

static uint64_t number_of(const char *text)
{
	return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static struct stored_job *find(struct ampdp_session *s)
{
	const struct ampdp_request *q = &s->request;
	const struct mw_qquery query = {
		.class = q->category != NULL ? (int)number_of(q->category) : -1,
		.released = q->released != NULL ? (int)number_of(q->released) : -1,
		.since_ms = number_of(q->since),
		.before_ms = number_of(q->before),
		.limit = number_of(q->limit),
		.oldest_first = q->oldest != NULL,
		.sender = q->sender,
		.rcpt = q->recipient_count > 0 ? q->recipients[0] : NULL,
		.subject = q->subject,
		.text = q->text,
	};

	return stored_find(s->in.front, &query, found, s);
}

static int64_t partition_of(const struct ampdp_request *q)
{
	return q->partition_tag != NULL ? (int64_t)number_of(q->partition_tag) : STORED_ANY;
}

static struct stored_job *show(struct ampdp_session *s)
{
	return stored_load(s->in.front, s->request.mail_id, partition_of(&s->request),
		s->in.policy->message_size_limit + MW_HEADER_OCTETS_MAX, shown, s);
}

static struct stored_job *drop(struct ampdp_session *s)
{
	return stored_drop(s->in.front, s->request.mail_id, partition_of(&s->request), dropped, s);
}

void ampdp_stored(struct ampdp_session *s)
{
	static const struct {
		const char *name;
		struct stored_job *(*start)(struct ampdp_session *s);
		bool wants_id;
	} actions[] = { { "find", find, false }, { "show", show, true }, { "drop", drop, true } };
	const char *action = s->request.action != NULL ? s->request.action : "";
	size_t i = 0;

	while (i < MW_COUNT(actions) && strcmp(actions[i].name, action) != 0)
		i++;
	if (!s->in.listener->admin || i == MW_COUNT(actions) ||
		(actions[i].wants_id && s->request.mail_id == NULL)) {
		ampdp_session_refuse(s, 450, "4.5.0", "this request= is not served");
		return;
	}
	if (!stored_is_set_up(s->in.front)) {
		fail(s, "storage_sql_dsn names no database");
		return;
	}
	ampdp_session_ask(s);
	s->stored = actions[i].start(s);
	if (s->stored == NULL)
		fail(s, "too many mails wait for the database (storage.queue_limit)");
}
