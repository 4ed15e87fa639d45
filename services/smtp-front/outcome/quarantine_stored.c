#include "quarantine_stored.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "clerk.h"
#include "intake/mail_fill.h"
#include "log.h"
#include "policy/db_store.h"
#include "transaction.h"

#define PAGE_ROWS 100	     /* of msgs, asked for at once */
#define CHUNKS_MAX (1 << 20) /* rows of one mail in table quarantine */
#define TEXT_LEAST MW_QINDEX_NEEDLE_MIN

enum stored_deed { STORED_LOAD, STORED_FIND, STORED_DROP, STORED_RELEASED };

/* The thread's until it is done; the transaction that asked may be gone meanwhile. */
struct stored_job {
	struct db_work work;
	struct db_request *request;
	struct smtp_body_pool *bodies;
	enum stored_deed deed;
	void (*done)(void *arg, struct stored_got *got); /* NULL: nobody waits */
	void *arg;
	char mail_id[65];
	int64_t partition;
	struct mail_fill *fill; /* of a load */
	struct mw_qquery query;
	struct mw_text texts; /* of the query; of a release: recipients, NUL-terminated each */
	struct stored_got got;
	struct front *front;
	bool claimed; /* of a release: it has the claim of the mail until it is over */
};

const char *stored_address(struct smtp_arena *a, const char *address)
{
	char *s = smtp_arena_copy(a, address, strnlen(address, STORED_ADDRESS_MAX));

	if (s != NULL)
		db_make_utf8(s);
	return s;
}

bool stored_is_set_up(const struct front *f)
{
	return f->store != NULL && db_enabled(f->store);
}

/* ------------------------------------------------------------------ values */

static struct db_value text(const char *s)
{
	return (struct db_value){ .type = DB_V_TEXT, .p = s, .n = strlen(s) };
}

static struct db_value number(int64_t n)
{
	return (struct db_value){ .type = DB_V_INT, .number = n };
}

static const char *cell(const struct db_record *r, const char *name)
{
	const struct db_cell *c = db_record_cell(r, name);

	return c != NULL && c->value != NULL ? c->value : "";
}

static int64_t cell_number(const struct db_record *r, const char *name)
{
	return strtoll(cell(r, name), NULL, 10);
}

/* Ask, and put what comes into *records_r, which is the caller's to give back, whatever it returns.
 */
static enum mw_rc ask(struct db_session *s, enum db_statement id, const struct db_value *v,
	size_t count, struct db_records **records_r)
{
	*records_r = db_records_new();
	return *records_r != NULL ? db_run(s, id, v, count, *records_r) : MW_ERR_NOMEM;
}

/* ------------------------------------------------------------------ a row */

/* amavisd's letters of contents (msgs.content), and the category that each is. */
static unsigned category_of(char letter)
{
	static const struct {
		char letter;
		unsigned ccat;
	} letters[] = {
		{ 'V', MW_CCAT(MW_CC_VIRUS, 0) },
		{ 'B', MW_CCAT(MW_CC_BANNED, 0) },
		{ 'U', MW_CCAT(MW_CC_UNCHECKED, 0) },
		{ 'S', MW_CCAT(MW_CC_SPAM, 0) },
		{ 'Y', MW_CCAT(MW_CC_SPAMMY, 0) },
		{ 'M', MW_CCAT(MW_CC_BADH, 1) },
		{ 'H', MW_CCAT(MW_CC_BADH, 0) },
		{ 'O', MW_CCAT(MW_CC_OVERSIZED, 0) },
		{ 'T', MW_CCAT(MW_CC_MTA, 0) },
		{ 'C', MW_CCAT(MW_CC_CLEAN, 0) },
	};

	for (size_t i = 0; i < MW_COUNT(letters); i++)
		if (letters[i].letter == letter)
			return letters[i].ccat;
	return MW_CCAT(MW_CC_CATCHALL, 0);
}

static size_t add(struct mw_text *t, const char *s)
{
	size_t at = t->n;

	mw_text_add_octets(t, s, strlen(s) + 1);
	return at;
}

/* Those whose column has one of the letters; NULL: all. */
static size_t add_rcpts(
	struct mw_text *t, const struct db_records *rcpts, const char *column, const char *letters)
{
	size_t at = t->n;
	bool first = true;

	for (size_t i = 0; i < rcpts->count; i++) {
		const char *is = column != NULL ? cell(&rcpts->records[i], column) : "";

		if (column != NULL && (*is == '\0' || strchr(letters, *is) == NULL))
			continue;
		mw_text_addf(t, "%s%s", first ? "" : "\n", cell(&rcpts->records[i], "email"));
		first = false;
	}
	mw_text_add_octets(t, "", 1);
	return at;
}

static enum mw_rc fill_row(
	struct stored_row *row, const struct db_record *r, const struct db_records *rcpts)
{
	struct mw_text *t = &row->texts;
	size_t path, id, secret, log, sender, subject, all, blocked, released;
	char place[32];

	row->partition = cell_number(r, "partition_tag");
	snprintf(place, sizeof(place), "sql:%lld", (long long)row->partition);
	path = add(t, place);
	id = add(t, cell(r, "mail_id"));
	secret = add(t, cell(r, "secret_id"));
	log = add(t, cell(r, "am_id"));
	sender = add(t, cell(r, "email"));
	subject = add(t, cell(r, "subject"));
	all = add_rcpts(t, rcpts, NULL, "");
	blocked = add_rcpts(t, rcpts, "ds", "RBDT");
	released = add_rcpts(t, rcpts, "rs", "R");
	if (t->failed)
		return MW_ERR_NOMEM;
	row->released = t->p + released;
	row->e = (struct mw_qentry){ .path = t->p + path,
		.mail_id = t->p + id,
		.secret_id = t->p + secret,
		.log_id = t->p + log,
		.quar_type = 'Q',
		.time_ms = (uint64_t)cell_number(r, "time_num") * 1000,
		.ccat = category_of(*cell(r, "content")),
		.has_score = *cell(r, "spam_level") != '\0',
		.score_milli = (int32_t)(strtod(cell(r, "spam_level"), NULL) * 1000),
		.size = (uint64_t)cell_number(r, "size"),
		.sender = t->p + sender,
		.subject = t->p + subject,
		.rcpts = t->p + (t->p[blocked] != '\0' ? blocked : all),
		.released_ms = t->p[released] != '\0' ? MW_QRELEASED_SOMETIME : 0,
		.released_by = "" };
	row->e.class = row->e.ccat / 10;
	return MW_OK;
}

static void rows_fini(struct stored_got *g)
{
	for (size_t i = 0; i < g->count; i++)
		mw_text_fini(&g->rows[i].texts);
	free(g->rows);
	g->rows = NULL;
	g->count = 0;
}

/* One more row of the answer, with the recipients that the tables have of it. */
static enum mw_rc add_row(struct stored_job *j, struct db_session *s, const struct db_record *r)
{
	const struct db_value v[] = { number(cell_number(r, "partition_tag")),
		text(cell(r, "mail_id")) };
	struct stored_row *more = realloc(j->got.rows, (j->got.count + 1) * sizeof(*more));
	struct db_records *rcpts = NULL;
	enum mw_rc rc;

	if (more == NULL)
		return MW_ERR_NOMEM;
	j->got.rows = more;
	more[j->got.count] = (struct stored_row){ 0 };
	rc = ask(s, DB_RCPTS_GET, v, MW_COUNT(v), &rcpts);
	if (rc == MW_OK)
		rc = fill_row(&more[j->got.count++], r, rcpts);
	db_records_unref(&rcpts);
	return rc;
}

/* ------------------------------------------------------------------ by mail_id */

/* What is said of a mail is no failure of the database. */
static enum mw_rc say(struct stored_job *j, enum mw_rc rc, const char *why)
{
	j->got.rc = mw_fail(&j->got.err, rc, "%s", why);
	return MW_OK;
}

static enum mw_rc find_mail(struct stored_job *j, struct db_session *s)
{
	const struct db_value v[] = { text(j->mail_id) };
	struct db_records *mails = NULL;
	const struct db_record *found = NULL;
	enum mw_rc rc = ask(s, DB_MAIL_GET, v, MW_COUNT(v), &mails);
	size_t count = 0;

	for (size_t i = 0; rc == MW_OK && i < mails->count; i++) {
		const struct db_record *r = &mails->records[i];

		/* A collation may take a for A. */
		if (strcmp(cell(r, "mail_id"), j->mail_id) != 0 ||
			(j->partition != STORED_ANY &&
				cell_number(r, "partition_tag") != j->partition))
			continue;
		found = r;
		count++;
	}
	if (rc == MW_OK && count == 0)
		rc = say(j, MW_ERR_GONE, "no such mail is kept");
	else if (rc == MW_OK && count > 1)
		rc = say(j, MW_ERR_CONF, "several partitions have it: partition_tag says which");
	else if (rc == MW_OK)
		rc = add_row(j, s, found);
	db_records_unref(&mails);
	return rc;
}

static enum mw_rc count_chunks(struct stored_job *j, struct db_session *s, int64_t *count_r)
{
	const struct db_value v[] = { number(j->got.rows[0].partition), text(j->mail_id) };
	struct db_records *counted = NULL;
	enum mw_rc rc = ask(s, DB_CHUNK_COUNT, v, MW_COUNT(v), &counted);

	*count_r = rc == MW_OK && counted->count == 1 ? cell_number(&counted->records[0], "chunks")
						      : 0;
	db_records_unref(&counted);
	return rc;
}

static void take_chunk(struct mail_fill *l, const struct db_cell *c)
{
	const unsigned char *p = (const unsigned char *)c->value;

	for (size_t at = 0; at < c->n; at += MAIL_FILL_OCTETS)
		if (!mail_fill_take(
			    l, p + at, c->n - at < MAIL_FILL_OCTETS ? c->n - at : MAIL_FILL_OCTETS))
			return;
}

/*
 * In their order, from 1, as many as there were when it began: a mail that somebody takes away
 * meanwhile, or of which a piece is gone, is never taken for a whole one.
 */
static enum mw_rc read_chunks(struct stored_job *j, struct db_session *s)
{
	int64_t count;
	enum mw_rc rc = count_chunks(j, s, &count);

	if (rc == MW_OK && (count <= 0 || count > CHUNKS_MAX))
		return say(j, MW_ERR_PROTO, "its octets are not in table quarantine");
	for (int64_t index = 1; rc == MW_OK && j->fill->rc == MW_OK && index <= count; index++) {
		const struct db_value v[] = { number(j->got.rows[0].partition), text(j->mail_id),
			number(index) };
		struct db_records *chunk = NULL;
		const struct db_cell *c = NULL;

		rc = ask(s, DB_CHUNK_GET, v, MW_COUNT(v), &chunk);
		if (rc == MW_OK && chunk->count == 1)
			c = db_record_cell(&chunk->records[0], "mail_text");
		if (c != NULL && c->value != NULL)
			take_chunk(j->fill, c);
		db_records_unref(&chunk);
		if (rc == MW_OK && c == NULL)
			return say(j, MW_ERR_PROTO, "a piece of it is missing in table quarantine");
	}
	return rc;
}

static enum mw_rc load(struct stored_job *j, struct db_session *s)
{
	enum mw_rc rc = find_mail(j, s);

	if (rc != MW_OK || j->got.rc != MW_OK)
		return rc;
	mail_fill_begin(j->fill, j->bodies, (size_t)j->got.rows[0].e.size);
	rc = read_chunks(j, s);
	if (rc != MW_OK || j->got.rc != MW_OK)
		return rc;
	mail_fill_end(j->fill);
	j->got.rc = j->fill->rc;
	j->got.err = j->fill->err;
	j->got.eight_bit = j->fill->eight_bit;
	j->got.body = j->fill->body;
	j->fill->body = NULL;
	return MW_OK;
}

static enum mw_rc drop(struct stored_job *j, struct db_session *s)
{
	static const enum db_statement steps[] = { DB_CHUNKS_DROP, DB_RCPTS_DROP, DB_MAIL_DROP };
	enum mw_rc rc = find_mail(j, s);

	if (rc != MW_OK || j->got.rc != MW_OK)
		return rc;
	rc = db_run(s, DB_BEGIN, NULL, 0, NULL);
	for (size_t i = 0; i < MW_COUNT(steps) && rc == MW_OK; i++) {
		const struct db_value v[] = { number(j->got.rows[0].partition), text(j->mail_id) };

		rc = db_run(s, steps[i], v, MW_COUNT(v), NULL);
	}
	return rc == MW_OK ? db_run(s, DB_COMMIT, NULL, 0, NULL) : rc;
}

static enum mw_rc mark_released(struct stored_job *j, struct db_session *s)
{
	enum mw_rc rc = MW_OK;

	for (size_t at = 0; at < j->texts.n && rc == MW_OK; at += strlen(j->texts.p + at) + 1) {
		const struct db_value v[] = { number(j->partition), text(j->mail_id),
			number(j->partition), text(j->texts.p + at) };

		rc = db_run(s, DB_RCPT_RELEASED, v, MW_COUNT(v), NULL);
	}
	return rc;
}

/* ------------------------------------------------------------------ a search */

static bool has(const char *haystack, const char *needle)
{
	return strcasestr(haystack, needle) != NULL;
}

/* A whole address, "@domain", or a part of one; addresses are lines. */
static bool any_address(const char *lines, const char *wanted)
{
	size_t m = strlen(wanted);

	if (strchr(wanted, '@') == NULL)
		return has(lines, wanted);
	for (const char *p = lines; *p != '\0';) {
		size_t n = strcspn(p, "\n");

		if (n >= m && (*wanted == '@' || n == m) && strncasecmp(p + n - m, wanted, m) == 0)
			return true;
		p += n + (p[n] == '\n');
	}
	return false;
}

static bool fits(const struct mw_qquery *q, const struct mw_qentry *e)
{
	return (q->class < 0 || e->class == (unsigned)q->class) &&
	       (q->released < 0 || (e->released_ms != 0) == (q->released == 1)) &&
	       (q->sender == NULL || any_address(e->sender, q->sender)) &&
	       (q->rcpt == NULL || any_address(e->rcpts, q->rcpt)) &&
	       (q->subject == NULL || has(e->subject, q->subject)) &&
	       (q->text == NULL || has(e->sender, q->text) || has(e->rcpts, q->text) ||
		       has(e->subject, q->text));
}

/* Rows that do not fit are dropped as they come. */
static enum mw_rc take_page(
	struct stored_job *j, struct db_session *s, const struct db_records *page, size_t limit)
{
	enum mw_rc rc = MW_OK;

	for (size_t i = 0; i < page->count && rc == MW_OK && j->got.count < limit; i++) {
		rc = add_row(j, s, &page->records[i]);
		if (rc == MW_OK && !fits(&j->query, &j->got.rows[j->got.count - 1].e))
			mw_text_fini(&j->got.rows[--j->got.count].texts);
	}
	return rc;
}

static enum mw_rc find(struct stored_job *j, struct db_session *s)
{
	const struct mw_qquery *q = &j->query;
	size_t limit = q->limit == 0 || q->limit > STORED_ROWS_MAX ? STORED_ROWS_MAX : q->limit;
	int64_t before = q->before_ms != 0 ? (int64_t)((q->before_ms + 999) / 1000) : INT32_MAX;
	size_t got = PAGE_ROWS;
	enum mw_rc rc = MW_OK;

	for (size_t at = 0;
		rc == MW_OK && got == PAGE_ROWS && j->got.count < limit && at < STORED_LOOK_MAX;
		at += PAGE_ROWS) {
		const struct db_value v[] = { number((int64_t)(q->since_ms / 1000)), number(before),
			number(PAGE_ROWS), number((int64_t)at) };
		struct db_records *page = NULL;

		rc = ask(s, q->oldest_first ? DB_MAILS_GET_OLDEST : DB_MAILS_GET, v, MW_COUNT(v),
			&page);
		if (rc == MW_OK) {
			got = page->count;
			rc = take_page(j, s, page, limit);
		}
		db_records_unref(&page);
	}
	return rc;
}

/* ------------------------------------------------------------------ the job */

/* Again from its beginning, when another connection is tried. */
static enum mw_rc run(struct db_work *work, struct db_session *s)
{
	static enum mw_rc (*const deeds[])(struct stored_job * j, struct db_session * s) = {
		[STORED_LOAD] = load,
		[STORED_FIND] = find,
		[STORED_DROP] = drop,
		[STORED_RELEASED] = mark_released,
	};
	struct stored_job *j = (struct stored_job *)work;

	rows_fini(&j->got);
	smtp_body_unref(&j->got.body);
	j->got.rc = MW_OK;
	j->got.err.text[0] = '\0';
	return deeds[j->deed](j, s);
}

static void destroy(struct db_work *work)
{
	struct stored_job *j = (struct stored_job *)work;

	rows_fini(&j->got);
	smtp_body_unref(&j->got.body);
	if (j->fill != NULL)
		mail_fill_fini(j->fill);
	free(j->fill);
	mw_text_fini(&j->texts);
	free(j);
}

static void over(void *arg, enum mw_rc rc, struct db_records *const *answers, const char *error)
{
	struct stored_job *j = arg;

	(void)answers;
	j->request = NULL;
	if (rc != MW_OK) {
		mw_log(MW_ERROR, "quarantine_sql", "mail_id=%s why=%s", mw_quote(j->mail_id),
			mw_quote(error));
		j->got.rc = mw_fail(&j->got.err, MW_ERR_IO,
			"the database of storage_sql_dsn does not answer as it should: %.150s",
			error);
	}
	if (j->done != NULL)
		j->done(j->arg, &j->got);
	if (j->claimed)
		clerk_unclaim(j->front->clerk, j->mail_id);
}

static struct stored_job *job_new(struct front *f, enum stored_deed deed, const char *mail_id,
	int64_t partition, void (*done)(void *arg, struct stored_got *got), void *arg)
{
	struct stored_job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->work = (struct db_work){ run, destroy };
	j->front = f;
	j->bodies = &f->bodies;
	j->deed = deed;
	j->partition = partition;
	j->done = done;
	j->arg = arg;
	mw_strlcpy(j->mail_id, mail_id, sizeof(j->mail_id));
	return j;
}

static struct stored_job *start(struct front *f, struct stored_job *j)
{
	return db_store_do(f->store, &j->work, 0, over, j, &j->request) == MW_OK ? j : NULL;
}

struct stored_job *stored_load(struct front *f, const char *mail_id, int64_t partition,
	uint64_t limit, void (*done)(void *arg, struct stored_got *got), void *arg)
{
	struct stored_job *j = job_new(f, STORED_LOAD, mail_id, partition, done, arg);

	if (j == NULL)
		return NULL;
	j->fill = calloc(1, sizeof(*j->fill));
	if (j->fill == NULL) {
		destroy(&j->work);
		return NULL;
	}
	j->fill->limit = limit;
	return start(f, j);
}

struct stored_job *stored_drop(struct front *f, const char *mail_id, int64_t partition,
	void (*done)(void *arg, struct stored_got *got), void *arg)
{
	struct stored_job *j = job_new(f, STORED_DROP, mail_id, partition, done, arg);

	return j != NULL ? start(f, j) : NULL;
}

/* The query's texts are the caller's. */
static bool copy_query(struct stored_job *j, const struct mw_qquery *query)
{
	const char **texts[] = { &j->query.sender, &j->query.rcpt, &j->query.subject,
		&j->query.text };
	size_t at[MW_COUNT(texts)];

	j->query = *query;
	for (size_t i = 0; i < MW_COUNT(texts); i++)
		at[i] = *texts[i] != NULL ? add(&j->texts, *texts[i]) : 0;
	for (size_t i = 0; i < MW_COUNT(texts) && !j->texts.failed; i++)
		if (*texts[i] != NULL)
			*texts[i] = j->texts.p + at[i];
	return !j->texts.failed;
}

struct stored_job *stored_find(struct front *f, const struct mw_qquery *query,
	void (*done)(void *arg, struct stored_got *got), void *arg)
{
	struct stored_job *j = job_new(f, STORED_FIND, "", STORED_ANY, done, arg);

	if (j == NULL)
		return NULL;
	if (!copy_query(j, query)) {
		destroy(&j->work);
		return NULL;
	}
	return start(f, j);
}

void stored_forget(struct stored_job **job_p)
{
	struct stored_job *j = *job_p;
	struct db_request *request;

	*job_p = NULL;
	if (j == NULL)
		return;
	j->done = NULL;
	request = j->request;
	j->request = NULL;
	db_cancel(&request);
}

/* False: no memory. */
static bool add_address(struct stored_job *j, struct txn *t, const char *address)
{
	const char *stored = stored_address(&t->arena, address);

	if (stored != NULL)
		add(&j->texts, stored);
	return stored != NULL && !j->texts.failed;
}

void stored_released(struct txn *t)
{
	bool ok = true;
	struct stored_job *j =
		job_new(t->front, STORED_RELEASED, t->parent_mail_id, t->stored_in, NULL, NULL);

	for (size_t i = 0; j != NULL && ok && i < t->rcpt_count; i++)
		if (t->rcpts[i].delivered)
			ok = add_address(j, t, t->rcpts[i].addr);
	if (j != NULL && j->texts.n == 0 && ok) {
		destroy(&j->work); /* nobody has got it */
		return;
	}
	if (j != NULL && ok) {
		j->claimed = t->claimed;
		j = start(t->front, j);
		t->claimed = t->claimed && j == NULL;
	} else if (j != NULL) {
		destroy(&j->work);
		j = NULL;
	}
	if (j == NULL) /* the audit has it; another host may send it once more */
		mw_log(MW_WARN, "quarantine_sql", "mail_id=%s why=\"not marked as released\"",
			mw_quote(t->parent_mail_id));
}
