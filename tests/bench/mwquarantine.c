/*
 * mwquarantine: the quarantine's index at a size that no test waits for.
 *
 *	mwquarantine DIR fill N [AGE_DAYS]   N entries without files, spread over AGE_DAYS
 *	mwquarantine DIR files N AGE_DAYS    N entries with small files, that old, in hashed folders
 *	mwquarantine DIR add N [BATCH]       what it costs to add N more, in batches as smtp-front's
 *	mwquarantine DIR ask                 times of questions, a line of JSON each
 *
 * What is made up is the same each time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "quarantine_index_priv.h"

#define BATCH 20000
#define ADD_BATCH 200 /* smtp-front's largest (clerk.c) */
#define REMADE_MAX 20
#define ROUNDS 5

static uint64_t state = 88172645463325252u;

static uint64_t number(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void die(const char *what, const struct mw_err *err)
{
	fprintf(stderr, "mwquarantine: %s: %s\n", what, err != NULL ? err->text : strerror(errno));
	exit(1);
}

static void make_id(char id[13], uint64_t n)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789ab";

	n = n * 6364136223846793005u + 1442695040888963407u;
	for (int i = 0; i < 12; i++)
		id[i] = letters[n >> (i * 5) & 63];
	id[12] = '\0';
}

static const char *const words[] = { "invoice", "meeting", "offer", "account", "urgent", "password",
	"delivery", "order", "holiday", "report", "winner", "bitcoin", "update", "security",
	"newsletter", "payment" };

struct made {
	struct mw_qentry e;
	char id[13], path[64], sender[64], rcpts[160], subject[96];
};

static void make(struct made *m, uint64_t n, uint64_t time_ms)
{
	static const struct {
		const char *prefix;
		unsigned ccat;
	} kinds[] = { { "spam", MW_CCAT(MW_CC_SPAM, 0) }, { "spam", MW_CCAT(MW_CC_SPAM, 0) },
		{ "virus", MW_CCAT(MW_CC_VIRUS, 0) }, { "banned", MW_CCAT(MW_CC_BANNED, 0) } };
	unsigned kind = (unsigned)(number() % MW_COUNT(kinds));

	make_id(m->id, n);
	snprintf(m->path, sizeof(m->path), "%c/%s-%s.gz", m->id[0], kinds[kind].prefix, m->id);
	snprintf(m->sender, sizeof(m->sender), "user%u@sender%u.example.com",
		(unsigned)(number() % 100000), (unsigned)(number() % 5000));
	snprintf(m->rcpts, sizeof(m->rcpts), "rcpt%u@example.org\nrcpt%u@example.net",
		(unsigned)(number() % 20000), (unsigned)(number() % 20000));
	snprintf(m->subject, sizeof(m->subject), "%s %s number %u", words[number() % 16],
		words[number() % 16], (unsigned)(number() % 1000000));
	m->e = (struct mw_qentry){ .path = m->path,
		.mail_id = m->id,
		.secret_id = "",
		.log_id = "01234-01",
		.quar_type = 'Z',
		.time_ms = time_ms,
		.ccat = kinds[kind].ccat,
		.class = kinds[kind].ccat / 10,
		.has_score = true,
		.score_milli = (int32_t)(number() % 30000),
		.size = 3000 + number() % 5000,
		.sender = m->sender,
		.subject = m->subject,
		.rcpts = m->rcpts,
		.released_by = "" };
}

static void make_file(const char *dir, struct made *m)
{
	char path[600], text[1024];
	gzFile gz;
	int n;

	snprintf(path, sizeof(path), "%s/%c", dir, m->id[0]);
	mkdir(path, 0750);
	snprintf(path, sizeof(path), "%s/%s", dir, m->path);
	n = snprintf(text, sizeof(text),
		"Return-Path: <%s>\r\nDelivered-To: quarantine\r\nX-Envelope-From: <%s>\r\n"
		"X-Envelope-To: <a@example.org>\r\nX-Envelope-To-Blocked: <a@example.org>\r\n"
		"X-Quarantine-ID: <%s>\r\nSubject: %s\r\n\r\nbody\r\n",
		m->sender, m->sender, m->id, m->subject);
	gz = gzopen(path, "wb1");
	if (gz == NULL || gzwrite(gz, text, (unsigned)n) != n || gzclose(gz) != Z_OK)
		die(path, NULL);
	m->e.size = 300;
}

static void order(struct mw_qindex *q, const char *sql)
{
	char *why = NULL;

	if (sqlite3_exec(q->lite, sql, NULL, NULL, &why) == SQLITE_OK)
		return;
	fprintf(stderr, "mwquarantine: %s: %s\n", sql, why);
	exit(1);
}

/* What is made of all entries at once, in a fraction of the time that each by itself takes: indexes
 * (but the one that entries are put by), the words, the totals. */
struct remade {
	char *names[REMADE_MAX], *texts[REMADE_MAX];
	size_t count;
};

static void take_apart(struct mw_qindex *q, struct remade *r)
{
	sqlite3_stmt *s;
	char sql[256];

	order(q, "PRAGMA synchronous = OFF; PRAGMA cache_size = -400000");
	sqlite3_prepare_v2(q->lite,
		"SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL AND "
		"tbl_name = 'copies' AND name <> 'copies_file' AND type IN ('index', 'trigger')",
		-1, &s, NULL);
	while (r->count < REMADE_MAX && sqlite3_step(s) == SQLITE_ROW) {
		r->names[r->count] = strdup(mw_qindex_text(s, 0));
		r->texts[r->count++] = strdup(mw_qindex_text(s, 1));
	}
	sqlite3_finalize(s);
	for (size_t i = 0; i < r->count; i++) {
		snprintf(sql, sizeof(sql), "DROP %s", r->names[i]);
		order(q, sql);
	}
}

static void put_together(struct mw_qindex *q, struct remade *r)
{
	order(q, "BEGIN");
	for (size_t i = 0; i < r->count; i++) {
		order(q, r->texts[i]);
		free(r->names[i]);
		free(r->texts[i]);
	}
	order(q,
		"INSERT INTO words(words) VALUES ('rebuild'); DELETE FROM totals;"
		"INSERT INTO totals(class, entries, octets) SELECT class, count(*), sum(size) FROM "
		"copies GROUP BY class; COMMIT");
}

static void put_all(struct mw_qindex *q, const char *dir, uint64_t first, uint64_t count,
	uint64_t from_ms, uint64_t span_ms, uint64_t batch, bool files)
{
	struct mw_err err;
	struct made m;

	for (uint64_t i = 0; i < count; i++) {
		if (i % batch == 0 && mw_qindex_begin(q, &err) != MW_OK)
			die("begin", &err);
		make(&m, first + i, from_ms + span_ms / count * i);
		if (files)
			make_file(dir, &m);
		if (mw_qindex_put(q, &m.e, &err) != MW_OK)
			die("put", &err);
		if ((i % batch == batch - 1 || i + 1 == count) &&
			mw_qindex_commit(q, &err) != MW_OK)
			die("commit", &err);
	}
}

static void report(uint64_t count, uint64_t us)
{
	printf("{\"entries\": %llu, \"us_each\": %.1f}\n", (unsigned long long)count,
		(double)us / (double)(count > 0 ? count : 1));
}

static void fill(const char *dir, uint64_t count, uint64_t days, bool files)
{
	uint64_t now_ms = mw_wall_ms(), t = mw_mono_us();
	uint64_t span_ms = files ? count : days * 86400000;
	struct remade apart = { .count = 0 };
	struct mw_qindex *q;
	struct mw_err err;

	if (mw_qindex_open(&q, dir, MW_QINDEX_WRITE, &err) != MW_OK)
		die("open", &err);
	if (files)
		now_ms -= days * 86400000;
	take_apart(q, &apart);
	put_all(q, dir, files ? 1000000000 : 0, count, now_ms - span_ms, span_ms, BATCH, files);
	put_together(q, &apart);
	mw_qindex_close(&q);
	report(count, mw_mono_us() - t);
}

/* As in production: each with all that it needs, committed in batches. */
static void add(const char *dir, uint64_t count, uint64_t batch)
{
	struct mw_qindex *q;
	struct mw_err err;
	uint64_t t;

	if (mw_qindex_open(&q, dir, MW_QINDEX_WRITE, &err) != MW_OK)
		die("open", &err);
	t = mw_mono_us();
	put_all(q, dir, 2000000000 + mw_wall_ms() * 1000, count, mw_wall_ms() - count, count, batch,
		false);
	t = mw_mono_us() - t;
	mw_qindex_close(&q);
	report(count, t);
}

/* ------------------------------------------------------------------ questions */

static bool on_row(void *arg, const struct mw_qentry *e)
{
	(void)e;
	++*(unsigned *)arg;
	return true;
}

static void ask(struct mw_qindex *q, const char *what, const struct mw_qquery *query)
{
	uint64_t worst = 0, first = 0;
	unsigned rows = 0;
	struct mw_err err;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t t = mw_mono_us();

		rows = 0;
		if (mw_qindex_search(q, query, on_row, &rows, &err) != MW_OK)
			die(what, &err);
		t = mw_mono_us() - t;
		first = i == 0 ? t : first;
		worst = t > worst ? t : worst;
	}
	printf("{\"what\": \"%s\", \"rows\": %u, \"first_ms\": %.2f, \"worst_ms\": %.2f}\n", what,
		rows, (double)first / 1000, (double)worst / 1000);
}

#define QUERY(category, ...)                                                                       \
	&(const struct mw_qquery)                                                                  \
	{                                                                                          \
		.class = category, .released = -1, .limit = 50, __VA_ARGS__                        \
	}

static void questions(const char *dir)
{
	uint64_t now_ms = mw_wall_ms();
	struct mw_qtotals totals;
	struct mw_qindex *q;
	struct mw_err err;
	char id[13];
	uint64_t t;

	if (mw_qindex_open(&q, dir, MW_QINDEX_READ, &err) != MW_OK)
		die("open", &err);
	make_id(id, 4711);
	ask(q, "list the newest", QUERY(-1, .offset = 0));
	ask(q, "list of one category", QUERY(MW_CC_VIRUS, .offset = 0));
	ask(q, "list of 3 days a month ago",
		QUERY(-1, .since_ms = now_ms - 33ull * 86400000,
			.before_ms = now_ms - 30ull * 86400000));
	ask(q, "lookup by mail_id", QUERY(-1, .mail_id = id));
	ask(q, "lookup of what is not there", QUERY(-1, .mail_id = "nosuchmailid"));
	ask(q, "by recipient", QUERY(-1, .rcpt = "rcpt777@example.org"));
	ask(q, "by sender", QUERY(-1, .sender = "user77@sender7.example.com"));
	ask(q, "by sender's domain", QUERY(-1, .sender = "@sender77.example.com"));
	ask(q, "by recipients' domain", QUERY(-1, .rcpt = "@example.net"));
	ask(q, "by part of a subject", QUERY(-1, .subject = "oin numb"));
	ask(q, "by a rare part of a subject", QUERY(-1, .subject = "number 77777"));
	ask(q, "by a part that is nowhere", QUERY(-1, .text = "nowhere at all"));
	ask(q, "recipient and subject",
		QUERY(-1, .rcpt = "rcpt777@example.org", .subject = "invoice"));
	ask(q, "subject and category", QUERY(MW_CC_BANNED, .subject = "bitcoin"));
	t = mw_mono_us();
	if (mw_qindex_totals(q, &totals, &err) != MW_OK)
		die("totals", &err);
	printf("{\"what\": \"totals\", \"rows\": 1, \"first_ms\": %.2f, \"worst_ms\": %.2f}\n",
		(double)(mw_mono_us() - t) / 1000, (double)(mw_mono_us() - t) / 1000);
	mw_qindex_close(&q);
}

int main(int argc, char **argv)
{
	uint64_t n = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	uint64_t days = argc > 4 ? strtoull(argv[4], NULL, 10) : 90;

	if (argc >= 4 && strcmp(argv[2], "fill") == 0)
		fill(argv[1], n, days, false);
	else if (argc >= 5 && strcmp(argv[2], "files") == 0)
		fill(argv[1], n, days, true);
	else if (argc >= 4 && strcmp(argv[2], "add") == 0)
		add(argv[1], n, argc > 4 ? strtoull(argv[4], NULL, 10) : ADD_BATCH);
	else if (argc == 3 && strcmp(argv[2], "ask") == 0)
		questions(argv[1]);
	else {
		fprintf(stderr, "usage: mwquarantine DIR fill N [DAYS] | files N DAYS | add N "
				"[BATCH] | ask\n");
		return 64;
	}
	return 0;
}
