/*
 * Copies as rows of amavisd's tables: msgs, msgrcpt, and the mail's octets in chunks in quarantine,
 * written in one transaction; the copy is kept once that is committed. Rows of maddr, which are
 * shared by all mails, come before it where others may write at the same time, so that no mail
 * waits for another's chunks, and no two for each other.
 */
#include "quarantine_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "log.h"
#include "policy/db_store.h"
#include "quarantine_stored.h"
#include "subject.h"

#define VARCHAR_MAX 255 /* characters of amavisd's columns */
#define AM_ID_MAX 20

struct sql_rcpt {
	const char *address, *domain;
	bool is_local, white, black, has_score;
	char content, fate;
	int32_t score_milli;
	int64_t id; /* of maddr */
};

/* All that the thread needs: the transaction may be gone meanwhile. */
struct sql_work {
	struct db_work work;
	struct smtp_arena arena;
	struct quarantine_job *job; /* NULL: forgotten */
	struct db_request *request;
	struct smtp_body *body; /* borrowed: its octets go out as they are */
	struct mw_text head;
	size_t chunk_octets;
	int64_t partition, time_s, size;
	char mail_id[MW_NAME_MAX], secret_id[MW_NAME_MAX], am_id[AM_ID_MAX + 1], time_iso[20];
	const char *sender, *sender_domain, *policy, *client, *message_id, *from, *subject, *host;
	bool originating, has_score;
	int32_t score_milli;
	char content;
	size_t rcpt_count;
	struct sql_rcpt *rcpts;
	int64_t sender_id;
};

/* ------------------------------------------------------------------ values */

static struct db_value text(const char *s)
{
	return (struct db_value){ .type = DB_V_TEXT, .p = s, .n = strlen(s) };
}

static struct db_value number(int64_t n)
{
	return (struct db_value){ .type = DB_V_INT, .number = n };
}

static struct db_value points(bool known, int32_t milli)
{
	return (struct db_value){ .type = known ? DB_V_REAL : DB_V_NULL, .real = milli / 1000.0 };
}

/* One character of a set, as a text; the compound literal lives as long as its block. */
#define LETTER(c) text((const char[]){ (c), '\0' })
#define YES_NO(is) text((is) ? "Y" : "N")

/* ------------------------------------------------------------------ in the thread */

static enum mw_rc find_address(
	struct sql_work *w, struct db_session *s, const char *address, int64_t *id_r)
{
	const struct db_value v[] = { number(w->partition), text(address) };
	struct db_records *records = db_records_new();
	const struct db_cell *cell = NULL;
	enum mw_rc rc = MW_ERR_NOMEM;

	if (records != NULL)
		rc = db_run(s, DB_ADDRESS_GET, v, MW_COUNT(v), records);
	if (rc == MW_OK && records->count > 0)
		cell = db_record_cell(&records->records[0], "id");
	*id_r = cell != NULL && cell->value != NULL ? strtoll(cell->value, NULL, 10) : -1;
	db_records_unref(&records);
	return rc;
}

static enum mw_rc have_address(struct sql_work *w, struct db_session *s, const char *address,
	const char *domain, int64_t *id_r)
{
	const struct db_value v[] = { number(w->partition), text(address), text(domain) };
	enum mw_rc rc = find_address(w, s, address, id_r);

	if (rc != MW_OK || *id_r >= 0)
		return rc;
	rc = db_run(s, DB_ADDRESS_PUT, v, MW_COUNT(v), NULL);
	if (rc == MW_OK)
		rc = find_address(w, s, address, id_r);
	if (rc == MW_OK && *id_r < 0)
		rc = mw_fail(db_session_err(s), MW_ERR_PROTO, "maddr took an address and has none");
	return rc;
}

static enum mw_rc have_addresses(struct sql_work *w, struct db_session *s)
{
	enum mw_rc rc = have_address(w, s, w->sender, w->sender_domain, &w->sender_id);

	for (size_t i = 0; i < w->rcpt_count && rc == MW_OK; i++)
		rc = have_address(w, s, w->rcpts[i].address, w->rcpts[i].domain, &w->rcpts[i].id);
	return rc;
}

static enum mw_rc put_mail(struct sql_work *w, struct db_session *s)
{
	const struct db_value v[] = { number(w->partition), text(w->mail_id), text(w->secret_id),
		text(w->am_id), number(w->time_s), text(w->time_iso), number(w->sender_id),
		text(w->policy), text(w->client), number(w->size), YES_NO(w->originating),
		LETTER(w->content), text("Q"), text(w->mail_id),
		points(w->has_score, w->score_milli), text(w->message_id), text(w->from),
		text(w->subject), text(w->host) };

	return db_run(s, DB_MAIL_PUT, v, MW_COUNT(v), NULL);
}

static enum mw_rc put_rcpts(struct sql_work *w, struct db_session *s)
{
	enum mw_rc rc = MW_OK;

	for (size_t i = 0; i < w->rcpt_count && rc == MW_OK; i++) {
		const struct sql_rcpt *r = &w->rcpts[i];
		const struct db_value v[] = { number(w->partition), text(w->mail_id),
			number((int64_t)i + 1), number(r->id), YES_NO(r->is_local),
			LETTER(r->content), LETTER(r->fate), text(" "), YES_NO(r->black),
			YES_NO(r->white), points(r->has_score, r->score_milli) };

		rc = db_run(s, DB_RCPT_PUT, v, MW_COUNT(v), NULL);
	}
	return rc;
}

/* Octets of the copy from there on: of the head, of the mail, or of both, which only then are
 * copied together. */
static const void *piece(
	const struct sql_work *w, struct mw_octets mail, size_t at, size_t n, unsigned char *both)
{
	size_t head = w->head.n > at ? w->head.n - at : 0;

	if (head >= n)
		return w->head.p + at;
	if (head == 0)
		return mail.p + (at - w->head.n);
	memcpy(both, w->head.p + at, head);
	memcpy(both + head, mail.p, n - head);
	return both;
}

static enum mw_rc put_chunks(struct sql_work *w, struct db_session *s)
{
	struct mw_octets mail = smtp_body_octets(w->body);
	size_t all = w->head.n + mail.n;
	unsigned char *both = malloc(w->chunk_octets);
	enum mw_rc rc = both != NULL ? MW_OK : MW_ERR_NOMEM;
	int64_t index = 1;

	for (size_t at = 0; at < all && rc == MW_OK; at += w->chunk_octets, index++) {
		size_t n = all - at < w->chunk_octets ? all - at : w->chunk_octets;
		const struct db_value v[] = { number(w->partition), text(w->mail_id), number(index),
			{ .type = DB_V_OCTETS, .p = piece(w, mail, at, n, both), .n = n } };

		rc = db_run(s, DB_CHUNK_PUT, v, MW_COUNT(v), NULL);
		quarantine_trigger("written");
	}
	free(both);
	return rc;
}

/* Where a commit ends with the connection nobody knows whether it is done: it is not tried again,
 * the client is asked to. */
static enum mw_rc commit(struct db_session *s)
{
	enum mw_rc rc = db_run(s, DB_COMMIT, NULL, 0, NULL);

	return rc == MW_ERR_GONE ? MW_ERR_IO : rc;
}

static enum mw_rc save(struct db_work *work, struct db_session *s)
{
	struct sql_work *w = (struct sql_work *)work;
	bool inside = db_session_is_exclusive(s);
	enum mw_rc rc = inside ? MW_OK : have_addresses(w, s);

	if (rc == MW_OK)
		rc = db_run(s, DB_BEGIN, NULL, 0, NULL);
	if (rc == MW_OK && inside)
		rc = have_addresses(w, s);
	if (rc == MW_OK)
		rc = put_mail(w, s);
	if (rc == MW_OK)
		rc = put_rcpts(w, s);
	if (rc == MW_OK)
		rc = put_chunks(w, s);
	quarantine_trigger("synced");
	return rc == MW_OK ? commit(s) : rc;
}

static void work_destroy(struct db_work *work)
{
	struct sql_work *w = (struct sql_work *)work;

	smtp_body_unref(&w->body);
	mw_text_fini(&w->head);
	smtp_arena_fini(&w->arena);
	free(w);
}

/* ------------------------------------------------------------------ what the rows say */

/* NULL: no memory. As much as a column takes, cut between two characters. */
static const char *column(struct smtp_arena *a, const void *octets, size_t n)
{
	char *s = smtp_arena_copy(a, octets, n < 4 * VARCHAR_MAX ? n : 4 * VARCHAR_MAX);
	size_t characters = 0;

	if (s == NULL)
		return NULL;
	db_make_utf8(s);
	for (char *p = s; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
		if (((unsigned char)*p & 0xc0) != 0x80 && ++characters > VARCHAR_MAX) {
			*p = '\0';
			break;
		}
	}
	return s;
}

/* The domain with its labels in reverse, as amavisd writes it: "org.example". */
static const char *reversed_domain(struct smtp_arena *a, const char *address)
{
	const char *at = strrchr(address, '@');
	const char *domain = at != NULL ? at + 1 : "";
	size_t n = strlen(domain), out = 0;
	char *s = smtp_arena_get(a, n + 1);

	if (s == NULL)
		return NULL;
	for (size_t end = n; end > 0;) {
		size_t from = end;

		while (from > 0 && domain[from - 1] != '.')
			from--;
		for (size_t i = from; i < end; i++)
			s[out++] = domain[i] >= 'A' && domain[i] <= 'Z' ? (char)(domain[i] | 0x20)
									: domain[i];
		if (from > 0)
			s[out++] = '.';
		end = from > 0 ? from - 1 : 0;
	}
	s[out] = '\0';
	return s;
}

/* amavisd's letters of contents (msgs.content). */
static char letter_of_content(const struct txn_rcpt *r)
{
	static const char letters[] = {
		[MW_CC_CLEAN] = 'C',
		[MW_CC_MTA] = 'T',
		[MW_CC_OVERSIZED] = 'O',
		[MW_CC_BADH] = 'H',
		[MW_CC_SPAMMY] = 'Y',
		[MW_CC_SPAM] = 'S',
		[MW_CC_UNCHECKED] = 'U',
		[MW_CC_BANNED] = 'B',
		[MW_CC_VIRUS] = 'V',
	};
	unsigned ccat = r->ccat_blocking != 0 ? r->ccat_blocking
			: r->ccat_count > 0   ? r->ccats[0]
					      : 0;
	unsigned major = ccat / 10;

	if (major == MW_CC_BADH && ccat % 10 == 1)
		return 'M';
	return major < sizeof(letters) && letters[major] != '\0' ? letters[major] : ' ';
}

/* msgrcpt.ds: what is about to become of it. */
static char letter_of_fate(const struct txn_rcpt *r)
{
	if (r->ccat_blocking == 0)
		return 'P';
	switch (r->destiny) {
	case MW_D_REJECT:
		return 'R';
	case MW_D_BOUNCE:
		return 'B';
	case MW_D_DISCARD:
		return 'D';
	case MW_D_TEMPFAIL:
		return 'T';
	default:
		return 'P';
	}
}

static bool fill_rcpts(struct sql_work *w, const struct txn *t)
{
	w->rcpts = smtp_arena_array(&w->arena, t->rcpt_count, sizeof(*w->rcpts));
	if (w->rcpts == NULL)
		return false;
	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct txn_rcpt *in = &t->rcpts[i];
		struct sql_rcpt *r = &w->rcpts[w->rcpt_count];

		if (in->removed)
			continue;
		*r = (struct sql_rcpt){ .address = stored_address(&w->arena, in->addr),
			.domain = reversed_domain(&w->arena, in->addr),
			.is_local = in->is_local,
			.white = in->white,
			.black = in->black,
			.has_score = in->has_score,
			.score_milli = in->score_milli,
			.content = letter_of_content(in),
			.fate = letter_of_fate(in) };
		if (r->address != NULL && r->domain != NULL)
			r->domain = column(&w->arena, r->domain, strlen(r->domain));
		if (r->address == NULL || r->domain == NULL)
			return false;
		if (w->rcpt_count++ == 0)
			w->content = r->content;
	}
	return true;
}

static bool fill_banks(struct sql_work *w, const struct txn *t)
{
	struct mw_text path = { 0 };

	for (size_t i = 0; i < t->policy->bank_count; i++)
		mw_text_addf(&path, "%s%s", i > 0 ? "/" : "", t->policy->banks[i]);
	w->policy = path.failed ? NULL : column(&w->arena, path.p != NULL ? path.p : "", path.n);
	mw_text_fini(&path);
	return w->policy != NULL;
}

/* Of the header section: decoded, as people read it. */
static const char *decoded(struct sql_work *w, struct mw_octets raw)
{
	struct mw_text out = { 0 };
	const char *s = NULL;

	mw_subject_decode(raw, &out);
	if (!out.failed)
		s = column(&w->arena, out.p != NULL ? out.p : "", out.n);
	mw_text_fini(&out);
	return s;
}

static bool fill_header(struct sql_work *w, const struct txn *t)
{
	const struct mw_field *from = mw_header_first(&t->header, MW_H_FROM);
	struct mw_octets id = t->facts.message_id;

	w->subject = decoded(w, t->facts.subject);
	w->from =
		decoded(w, from != NULL ? mw_field_value(&t->header, from) : mw_octets_of_text(""));
	w->message_id = column(&w->arena, id.n > 0 ? (const void *)id.p : "", id.n);
	return w->subject != NULL && w->from != NULL && w->message_id != NULL;
}

static bool fill(struct sql_work *w, struct txn *t, const struct txn_copy *c)
{
	time_t second = (time_t)(t->time_ms / 1000);
	const char *client = t->client_ip != NULL ? t->client_ip : "";
	struct tm tm;

	quarantine_head(t, c, &w->head);
	w->chunk_octets = t->set->sql_chunk_octets;
	w->partition = quarantine_names_of(t, "").partition_tag;
	w->time_s = (int64_t)second;
	strftime(w->time_iso, sizeof(w->time_iso), "%Y%m%dT%H%M%SZ", gmtime_r(&second, &tm));
	w->size = (int64_t)smtp_body_size(t->body);
	if (w->size > INT32_MAX)
		w->size = INT32_MAX; /* what the column takes */
	mw_strlcpy(w->mail_id, t->mail_id, sizeof(w->mail_id));
	mw_strlcpy(w->secret_id, t->secret_id, sizeof(w->secret_id));
	mw_strlcpy(w->am_id, t->log_id, sizeof(w->am_id));
	w->originating = t->originating;
	w->has_score = t->found.has_spam;
	w->score_milli = t->found.spam_milli;
	w->sender = stored_address(&w->arena, t->sender);
	w->sender_domain = reversed_domain(&w->arena, t->sender);
	w->client = smtp_arena_copy(&w->arena, client, strlen(client));
	w->host = column(&w->arena, t->set->myhostname, strlen(t->set->myhostname));
	if (w->sender_domain != NULL)
		w->sender_domain = column(&w->arena, w->sender_domain, strlen(w->sender_domain));
	return !w->head.failed && w->sender != NULL && w->sender_domain != NULL &&
	       w->client != NULL && w->host != NULL && fill_banks(w, t) && fill_header(w, t) &&
	       fill_rcpts(w, t);
}

/* ------------------------------------------------------------------ the way */

static void saved(void *arg, enum mw_rc rc, struct db_records *const *answers, const char *error)
{
	struct sql_work *w = arg;
	struct quarantine_job *j = w->job;
	char quoted[420];

	(void)answers;
	j->work = NULL;
	snprintf(quoted, sizeof(quoted), "storage_sql_dsn: %s", mw_quote(error));
	quarantine_copy_done(j, rc, quoted);
}

static enum mw_rc sql_start(struct quarantine_job *j, struct txn_copy *c)
{
	struct txn *t = j->txn;
	struct sql_work *w = calloc(1, sizeof(*w));
	uint64_t now = mw_mono_ms();
	enum mw_rc rc;

	if (w == NULL)
		return MW_ERR_NOMEM;
	w->work = (struct db_work){ save, work_destroy };
	w->job = j;
	w->body = smtp_body_ref(t->body);
	if (!fill(w, t, c)) {
		work_destroy(&w->work);
		return MW_ERR_NOMEM;
	}
	rc = db_store_do(t->front->store, &w->work, t->deadline_ms > now ? t->deadline_ms - now : 1,
		saved, w, &w->request);
	j->work = rc == MW_OK ? w : NULL;
	if (rc != MW_OK)
		txn_log(t, MW_ERROR, "quarantine_sql", "log_id=%s why=%s", t->log_id,
			rc == MW_ERR_LIMIT ? "\"storage.queue_limit mails wait\"" : mw_rc_name(rc));
	return rc;
}

static void sql_forget(struct quarantine_job *j)
{
	struct sql_work *w = j->work;
	struct db_request *r = w != NULL ? w->request : NULL;

	j->work = NULL;
	db_cancel(&r);
}

const struct quarantine_way quarantine_way_sql = { sql_start, sql_forget };
