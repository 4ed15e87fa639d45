/* mailweir quarantine list, search, show. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "batch_smtp.h"
#include "quarantine.h"
#include "quarantine_copy.h"
#include "quarantine_scan.h"
#include "utf8.h"

#define ALL ((size_t)-1)

/* ------------------------------------------------------------------ hostile texts */

/* Controls, and what turns text round, hides or joins it. */
static bool is_tricky(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) ||
	       (c >= 0xe0000 && c <= 0xe0fff);
}

void qtool_put_text(FILE *out, const char *text, size_t n, size_t most)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t put = 0;

	while (n > 0 && put < most) {
		uint32_t c = 0;
		size_t len = mw_utf8_read(p, n, &c);

		if (most != ALL && put + 1 == most && n > (len > 0 ? len : 1)) {
			fputs("~", out);
			return;
		}
		if (len == 0)
			fprintf(out, "\\x%02x", *p);
		else if (is_tricky(c))
			fprintf(out, c < 0x100 ? "\\x%02x" : "\\u{%x}", c);
		else
			fwrite(p, 1, len, out);
		len = len > 0 ? len : 1;
		p += len;
		n -= len;
		put++;
	}
}

/* JSON is UTF-8: other octets are taken as Latin-1, so that nothing is lost. */
static json_t *json_of(const char *text, size_t n)
{
	json_t *j = json_stringn(text, n);
	struct mw_text t = { 0 };

	if (j != NULL)
		return j;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		char two[2] = { (char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f)) };

		mw_text_add_octets(&t, c < 0x80 ? (const char *)&c : two, c < 0x80 ? 1 : 2);
	}
	j = json_stringn(t.p != NULL ? t.p : "", t.n);
	mw_text_fini(&t);
	return j;
}

static json_t *json_text(const char *text)
{
	return json_of(text, strlen(text));
}

/* ------------------------------------------------------------------ rows */

static json_t *rcpts_of(const char *rcpts)
{
	json_t *all = json_array();

	for (const char *p = rcpts; *p != '\0';) {
		size_t n = strcspn(p, "\n");

		json_array_append_new(all, json_of(p, n));
		p += n + (p[n] == '\n');
	}
	return all;
}

static json_t *json_entry(const struct mw_qentry *e)
{
	char type[2] = { e->quar_type, '\0' };
	json_t *j = json_object();

	json_object_set_new(j, "mail_id", json_text(e->mail_id));
	if (*e->secret_id != '\0')
		json_object_set_new(j, "secret_id", json_text(e->secret_id));
	json_object_set_new(j, "log_id", json_text(e->log_id));
	json_object_set_new(j, "time", json_real((double)e->time_ms / 1000));
	json_object_set_new(j, "category", json_text(mw_qclass_name(e->class)));
	json_object_set_new(j, "content_type", json_text(mw_ccat_name(e->ccat)));
	json_object_set_new(j, "sender", json_text(e->sender));
	json_object_set_new(j, "recipients", rcpts_of(e->rcpts));
	json_object_set_new(j, "subject", json_text(e->subject));
	json_object_set_new(j, "size", json_integer((json_int_t)e->size));
	json_object_set_new(j, "file", json_text(e->path));
	json_object_set_new(j, "quar_type", json_text(type));
	if (e->has_score)
		json_object_set_new(j, "score", json_real(e->score_milli / 1000.0));
	json_object_set_new(j, "status", json_string(e->released_ms != 0 ? "released" : "kept"));
	if (e->released_ms != 0) {
		if (e->released_ms != MW_QRELEASED_SOMETIME)
			json_object_set_new(
				j, "released", json_real((double)e->released_ms / 1000));
		json_object_set_new(j, "released_by", json_text(e->released_by));
	}
	return j;
}

void qtool_put_entry(const struct qtool *t, const struct mw_qentry *e)
{
	char when[32];
	size_t first = strcspn(e->rcpts, "\n"), more = 0;

	if (t->json) {
		json_t *j = json_entry(e);

		json_dumpf(j, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(13));
		putchar('\n');
		json_decref(j);
		return;
	}
	for (const char *p = e->rcpts + first; *p != '\0'; p++)
		more += *p == '\n';
	printf("%s  %-9s  ", qtool_time(e->time_ms, when), mw_qclass_name(e->class));
	qtool_put_text(stdout, e->mail_id, strlen(e->mail_id), 32);
	printf("  %7llu %c%s  <", (unsigned long long)e->size, e->quar_type,
		e->released_ms != 0 ? "R" : " ");
	qtool_put_text(stdout, e->sender, strlen(e->sender), 40);
	printf("> -> <");
	qtool_put_text(stdout, e->rcpts, first, 40);
	printf(more > 0 ? "> and %zu  " : ">  ", more);
	qtool_put_text(stdout, e->subject, strlen(e->subject), 60);
	putchar('\n');
}

/* The index and the database, merged by time. */
struct listing {
	const struct qtool *tool;
	struct qtool_rows sql;
	size_t sql_at, skip, rows;
};

static bool put_row(struct listing *l, const struct mw_qentry *e)
{
	if (l->skip > 0) {
		l->skip--;
		return true;
	}
	if (l->rows == l->tool->query.limit)
		return false;
	if (l->rows++ == 0 && !l->tool->json)
		printf("%-19s  %-9s  %-12s  %7s     %s\n", "time", "category", "mail_id", "octets",
			"sender -> recipient  subject");
	qtool_put_entry(l->tool, e);
	return !ferror(stdout);
}

static bool comes_first(const struct listing *l, const struct mw_qentry *a, uint64_t time_ms)
{
	return l->tool->query.oldest_first ? a->time_ms <= time_ms : a->time_ms >= time_ms;
}

static bool on_row(void *arg, const struct mw_qentry *e)
{
	struct listing *l = arg;

	while (l->sql_at < l->sql.count && comes_first(l, &l->sql.items[l->sql_at].e, e->time_ms))
		if (!put_row(l, &l->sql.items[l->sql_at++].e))
			return false;
	return put_row(l, e);
}

/* What is left of the database's rows, when the index has no more. */
static void put_rest(struct listing *l)
{
	while (l->sql_at < l->sql.count && put_row(l, &l->sql.items[l->sql_at].e))
		l->sql_at++;
}

static void put_totals(struct mw_qindex *q)
{
	struct mw_qtotals t;
	struct mw_err err;
	uint64_t entries = 0, octets = 0;

	if (mw_qindex_totals(q, &t, &err) != MW_OK)
		return;
	for (unsigned i = 0; i < MW_QCLASSES; i++) {
		entries += t.entries[i];
		octets += t.octets[i];
		if (t.entries[i] > 0)
			printf("%s%s %llu", i > 0 && entries > t.entries[i] ? ", " : "kept: ",
				mw_qclass_name(i), (unsigned long long)t.entries[i]);
	}
	if (entries > 0)
		printf("; together %llu copies, %llu octets\n", (unsigned long long)entries,
			(unsigned long long)octets);
	else
		printf("nothing is kept\n");
}

/* Rows of the database are asked for by the front: both lists from their beginning, so that the
 * offset counts what is printed. False: told why not. */
static bool begin_merged(struct qtool *t, struct listing *l, struct mw_qquery *query)
{
	if (!qtool_has_sql(t))
		return true;
	l->skip = t->query.offset;
	query->limit += query->offset;
	query->offset = 0;
	return qtool_sql_find(t, query->limit, &l->sql);
}

static int put_index(struct qtool *t, struct listing *l, const struct mw_qquery *query, bool totals)
{
	struct mw_qindex *q = *t->dir != '\0' ? qtool_open(t, MW_QINDEX_READ) : NULL;
	enum mw_rc rc = MW_OK;
	struct mw_err err;

	if (q == NULL && *t->dir != '\0')
		return MW_TOOL_FAILED;
	if (q != NULL)
		rc = mw_qindex_search(q, query, on_row, l, &err);
	if (rc != MW_OK)
		fprintf(stderr, "mailweir: %s\n", err.text);
	else
		put_rest(l);
	if (rc == MW_OK && q != NULL && totals && !t->json)
		put_totals(q);
	else if (rc == MW_OK && !totals && l->rows == 0 && !t->json)
		printf("nothing like that is kept\n");
	mw_qindex_close(&q);
	return rc == MW_OK ? MW_TOOL_OK : rc == MW_ERR_CONF ? MW_TOOL_USAGE : MW_TOOL_FAILED;
}

static int list(struct qtool *t, bool totals)
{
	struct listing l = { .tool = t };
	struct mw_qquery query = t->query;
	bool all = begin_merged(t, &l, &query);
	int code = put_index(t, &l, &query, totals);

	qtool_rows_fini(&l.sql);
	return code == MW_TOOL_OK && !all ? MW_TOOL_FAILED : code;
}

int qtool_list(struct qtool *t)
{
	if (t->name_count > 0) {
		mw_tool_usage("quarantine list takes no text; search does");
		return MW_TOOL_USAGE;
	}
	return list(t, true);
}

int qtool_search(struct qtool *t)
{
	if (t->name_count > 1) {
		fprintf(stderr, "mailweir: one text, please: put quotes around it\n");
		return MW_TOOL_USAGE;
	}
	if (t->name_count == 1)
		t->query.text = t->names[0];
	return list(t, false);
}

/* ------------------------------------------------------------------ show */

/* The copy's first octets, line by line up to the end of the mail's header section. */
static void put_header(const unsigned char *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		const unsigned char *lf = memchr(p + at, '\n', n - at);
		size_t end = lf != NULL ? (size_t)(lf - p) : n, len = end - at;

		if (len > 0 && p[at + len - 1] == '\r')
			len--;
		if (len == 0)
			return;
		qtool_put_text(stdout, (const char *)p + at, len, ALL);
		putchar('\n');
		at = end + 1;
	}
}

/* A copy's octets as they are read: of batch SMTP what is in it. */
struct reading {
	gzFile gz;
	unsigned char *in;
	bool begun, is_batch;
	struct mw_batch batch;
	struct mw_text out; /* of batch SMTP */
};

/* The next ones, at most MW_QHEAD_MAX at first; 0: no more; -1: it cannot be read whole. */
static int next_octets(struct reading *r, struct mw_octets *o_r)
{
	int n = 0, got, want = r->begun ? MW_QHEAD_MAX / 4 : MW_QHEAD_MAX;

	while (n < want && (got = gzread(r->gz, r->in + n, (unsigned)(want - n))) != 0) {
		if (got < 0)
			return -1;
		n += got;
	}
	*o_r = mw_octets_of(r->in, (size_t)n);
	if (!r->begun)
		r->is_batch = mw_batch_begins(*o_r);
	r->begun = true;
	if (!r->is_batch)
		return n > 0;
	mw_text_clear(&r->out);
	if (mw_batch_feed(&r->batch, *o_r, &r->out) < 0 || (n == 0 && !r->batch.over))
		return -1;
	*o_r = mw_octets_of(r->out.p != NULL ? r->out.p : "", r->out.n);
	return n > 0;
}

/* raw: the mail as it came, without what the quarantine put on top. */
static bool put_octets(const struct qtool *t, struct reading *r)
{
	struct mw_quarantine_copy c;
	struct mw_octets o;
	int more = next_octets(r, &o);

	if (more < 0)
		return false;
	if (!t->raw) {
		put_header(o.p, o.n);
		return true;
	}
	if (!mw_quarantine_copy_read(o, &c))
		return false;
	fwrite(o.p + c.original, 1, o.n - c.original, stdout);
	while ((more = next_octets(r, &o)) > 0)
		fwrite(o.p, 1, o.n, stdout);
	return more == 0;
}

static bool put_file(const struct qtool *t, const char *path)
{
	int fd = mw_quarantine_open(t->dir, path);
	struct reading r = { .gz = fd >= 0 ? gzdopen(fd, "rb") : NULL, .in = malloc(MW_QHEAD_MAX) };
	bool ok = r.gz != NULL && r.in != NULL && put_octets(t, &r);

	if (r.gz != NULL && gzclose_r(r.gz) != Z_OK && t->raw)
		ok = false; /* it ends in the middle */
	else if (r.gz == NULL && fd >= 0)
		close(fd);
	mw_batch_fini(&r.batch);
	mw_text_fini(&r.out);
	free(r.in);
	if (!ok) {
		fputs("mailweir: ", stderr);
		qtool_put_text(stderr, path, strlen(path), ALL);
		fputs(" cannot be read whole\n", stderr);
	}
	return ok;
}

static bool is_there(const struct qtool *t, const char *path)
{
	int fd = mw_quarantine_open(t->dir, path);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void put_details(const struct qtool *t, const struct mw_qentry *e)
{
	char when[32];

	if (t->json) {
		qtool_put_entry(t, e);
		return;
	}
	printf("mail_id     ");
	qtool_put_text(stdout, e->mail_id, strlen(e->mail_id), ALL);
	printf("\ntime        %s\ncategory    %s (%s)\n", qtool_time(e->time_ms, when),
		mw_qclass_name(e->class), mw_ccat_name(e->ccat));
	printf("file        ");
	qtool_put_text(stdout, e->path, strlen(e->path), ALL);
	printf("\nsize        %llu octets\n", (unsigned long long)e->size);
	if (e->has_score)
		printf("score       %.3f\n", e->score_milli / 1000.0);
	if (*e->log_id != '\0') {
		printf("log_id      ");
		qtool_put_text(stdout, e->log_id, strlen(e->log_id), ALL);
		putchar('\n');
	}
	printf("sender      <");
	qtool_put_text(stdout, e->sender, strlen(e->sender), ALL);
	printf(">\n");
	for (const char *p = e->rcpts; *p != '\0';) {
		size_t n = strcspn(p, "\n");

		printf("recipient   <");
		qtool_put_text(stdout, p, n, ALL);
		printf(">\n");
		p += n + (p[n] == '\n');
	}
	if (e->released_ms == MW_QRELEASED_SOMETIME) {
		printf("released    to one or more of them\n");
	} else if (e->released_ms != 0) {
		printf("released    %s by ", qtool_time(e->released_ms, when));
		qtool_put_text(stdout, e->released_by, strlen(e->released_by), ALL);
		putchar('\n');
	}
	putchar('\n');
}

struct shown {
	const struct qtool *tool;
	unsigned count;
	bool failed;
};

static bool on_shown(void *arg, const struct mw_qentry *e)
{
	struct shown *s = arg;

	s->count++;
	if (s->tool->raw) {
		/* One mail as it is, however many copies there are of it: the first that still is
		 * there. */
		s->failed = !put_file(s->tool, e->path);
		return s->failed && !is_there(s->tool, e->path);
	}
	put_details(s->tool, e);
	if (!s->tool->json)
		s->failed = !put_file(s->tool, e->path) || s->failed;
	return true;
}

/* Of the database. False: there is no such mail, or it was told why it cannot be shown. */
static bool show_row(struct qtool *t, const char *mail_id, bool *gone_r)
{
	struct qtool_rows rows;
	bool ok = qtool_sql_mail(t, "show", mail_id, &rows, gone_r) && rows.count == 1;

	if (ok && !t->raw)
		put_details(t, &rows.items[0].e);
	if (ok && t->raw)
		fwrite(rows.octets.p, 1, rows.octets.n, stdout);
	else if (ok && !t->json)
		put_header((const unsigned char *)rows.octets.p, rows.octets.n);
	qtool_rows_fini(&rows);
	return ok;
}

static bool show(struct qtool *t, struct mw_qindex *q, const char *mail_id)
{
	const struct mw_qquery query = { .class = -1, .released = -1, .mail_id = mail_id };
	struct shown s = { .tool = t };
	bool gone = true, rows = false;
	struct mw_err err;

	if (q != NULL && mw_qindex_search(q, &query, on_shown, &s, &err) != MW_OK)
		fprintf(stderr, "mailweir: %s\n", err.text);
	if (qtool_has_sql(t) && (s.count == 0 || !t->raw))
		rows = show_row(t, mail_id, &gone);
	if (s.count == 0 && !rows && gone)
		fprintf(stderr, "mailweir: no mail %s is kept, as far as the index knows\n",
			mail_id);
	return !s.failed && (s.count > 0 || rows) && (rows || gone);
}

int qtool_show(struct qtool *t)
{
	struct mw_qindex *q = *t->dir != '\0' ? qtool_open(t, MW_QINDEX_READ) : NULL;
	int code = MW_TOOL_OK;

	if (q == NULL && *t->dir != '\0')
		return MW_TOOL_FAILED;
	for (size_t i = 0; i < t->name_count; i++)
		if (!show(t, q, t->names[i]))
			code = MW_TOOL_FAILED;
	mw_qindex_close(&q);
	return code;
}
