/*
 * Questions to the quarantine's index. Each is led by the one condition that an index answers
 * newest first, and stops when it has enough rows; the other conditions are asked of those rows.
 */
#include <stdio.h>
#include <stdlib.h>

#include "quarantine_index_priv.h"

#define ID_BITS 20
#define VALUES_MAX 16
#define PIECE 6		 /* octets of a longer text that lead to its rows */
#define STEPS_MS 30000	 /* a search that takes longer is given up */
#define STEPS_EVERY 5000 /* of SQLite's machine, between two looks at the clock */

struct search {
	struct mw_text from, where, match;
	char *values[VALUES_MAX]; /* sqlite3_mprintf's; bound in this order */
	size_t count;
	bool led, failed, is_guess; /* the rows of match may be others, too */
	const char *id;		    /* what the leading table calls it */
};

static void add_value(struct search *s, char *value)
{
	s->failed = s->failed || value == NULL || s->count == VALUES_MAX;
	if (s->count < VALUES_MAX)
		s->values[s->count++] = value;
	else
		sqlite3_free(value);
}

static void search_fini(struct search *s)
{
	for (size_t i = 0; i < s->count; i++)
		sqlite3_free(s->values[i]);
	mw_text_fini(&s->from);
	mw_text_fini(&s->where);
	mw_text_fini(&s->match);
}

/* "%part%" for LIKE, \ before what means something there. */
static char *like_of(const char *part)
{
	struct mw_text t = { 0 };
	char *value;

	mw_text_add(&t, "%");
	for (const char *p = part; *p != '\0'; p++)
		mw_text_addf(&t, strchr("%_\\", *p) != NULL ? "\\%c" : "%c", *p);
	mw_text_add(&t, "%");
	value = t.failed ? NULL : sqlite3_mprintf("%s", t.p);
	mw_text_fini(&t);
	return value;
}

/* "a@example.org", or "@example.org" with a dot inside: a domain. */
static bool is_address(const char *text)
{
	const char *at = strrchr(text, '@'), *dot = at != NULL ? strrchr(at, '.') : NULL;

	if (at == text)
		return dot != NULL && dot > at + 1 && dot[1] != '\0';
	return at != NULL && at[1] != '\0';
}

/* One phrase of FTS5's language: all is literal between quotes. */
static void add_phrase(struct search *s, const char *columns, const char *part, size_t n)
{
	mw_text_addf(&s->match, "%s{%s} : \"", s->match.n > 0 ? " AND " : "", columns);
	for (size_t i = 0; i < n; i++)
		mw_text_addf(&s->match, part[i] == '"' ? "\"\"" : "%c", part[i]);
	mw_text_add(&s->match, "\"");
}

/* How seldom a character is in addresses and subjects, by guess. */
static unsigned rarity(unsigned char c)
{
	static const char common[] = " eaotinsrlcdm.u@";
	const char *found = strchr(common, c >= 'A' && c <= 'Z' ? c + 32 : c);

	return found != NULL ? (unsigned)(found - common) : 20 + (c >= '0' && c <= '9') * 4;
}

/*
 * A phrase costs an iterator for each of its trigrams, and most of those are in every row. So the
 * piece that is probably the rarest leads, and LIKE is asked whether the rest agrees. LIKE knows
 * upper and lower case of ASCII only: other texts stay whole.
 */
static void add_match(struct search *s, const char *columns, const char *part)
{
	size_t n = strlen(part), best = 0;
	unsigned best_rarity = 0;

	if (n <= PIECE || !mw_is_printable(part, n)) {
		add_phrase(s, columns, part, n);
		return;
	}
	for (size_t at = 0; at + PIECE <= n; at++) {
		unsigned sum = 0;

		for (size_t i = 0; i < PIECE; i++)
			sum += rarity((unsigned char)part[at + i]);
		if (sum > best_rarity) {
			best_rarity = sum;
			best = at;
		}
	}
	add_phrase(s, columns, part + best, PIECE);
	s->is_guess = true;
}

static void and_part(struct search *s, const char *column, const char *part)
{
	mw_text_addf(&s->where, " AND c.%s LIKE ? ESCAPE '\\'", column);
	add_value(s, like_of(part));
}

/* ------------------------------------------------------------------ leading and other conditions
 */

static void lead(struct search *s, const char *from, const char *id, const char *value)
{
	mw_text_add(&s->from, from);
	s->id = id;
	s->led = true;
	add_value(s, sqlite3_mprintf("%s", value));
}

/* Which conditions are parts of texts, by column. */
static void find_parts(const struct mw_qquery *q, const char *parts[4])
{
	parts[0] = q->sender != NULL && !is_address(q->sender) ? q->sender : NULL;
	parts[1] = q->rcpt != NULL && !is_address(q->rcpt) ? q->rcpt : NULL;
	parts[2] = q->subject;
	parts[3] = q->text;
}

static void lead_by_best(struct search *s, const struct mw_qquery *q, const char *parts[4])
{
	static const char *const columns[] = { "sender", "rcpts", "subject",
		"sender rcpts subject" };

	if (q->mail_id != NULL) {
		lead(s, "FROM copies c WHERE c.mail_id = ?", "c.id", q->mail_id);
	} else if (q->rcpt != NULL && parts[1] == NULL) {
		lead(s, "FROM rcpts r CROSS JOIN copies c ON c.id = r.id WHERE r.rcpt = ?", "r.id",
			q->rcpt);
	} else if (q->sender != NULL && parts[0] == NULL) {
		lead(s,
			q->sender[0] == '@'
				? "FROM copies c WHERE substr(c.sender, instr(c.sender, "
				  "'@')) = ? COLLATE NOCASE"
				: "FROM copies c WHERE c.sender = ? COLLATE NOCASE",
			"c.id", q->sender);
	} else {
		for (size_t i = 0; i < MW_COUNT(columns); i++)
			if (parts[i] != NULL)
				add_match(s, columns[i], parts[i]);
		if (s->match.n > 0)
			lead(s,
				"FROM words CROSS JOIN copies c ON c.id = words.rowid WHERE words "
				"MATCH ?",
				"words.rowid", s->match.p);
	}
	if (!s->led) {
		mw_text_add(&s->from, "FROM copies c WHERE 1");
		s->id = "c.id";
	}
}

static void add_rest(struct search *s, const struct mw_qquery *q, const char *parts[4])
{
	static const char *const columns[] = { "sender", "rcpts", "subject" };

	/* What has led is true of its rows already: asking again costs next to nothing. */
	if (q->rcpt != NULL && parts[1] == NULL && strncmp(s->id, "r.", 2) != 0) {
		mw_text_add(&s->where,
			" AND EXISTS (SELECT 1 FROM rcpts WHERE rcpt = ? AND id = c.id)");
		add_value(s, sqlite3_mprintf("%s", q->rcpt));
	}
	if (q->sender != NULL && parts[0] == NULL) {
		mw_text_add(&s->where, q->sender[0] == '@'
					       ? " AND substr(+c.sender, instr(c.sender, '@')) = ? "
						 "COLLATE NOCASE"
					       : " AND +c.sender = ? COLLATE NOCASE");
		add_value(s, sqlite3_mprintf("%s", q->sender));
	}
	for (size_t i = 0; i < 3 && (s->match.n == 0 || s->is_guess); i++)
		if (parts[i] != NULL)
			and_part(s, columns[i], parts[i]);
	if (parts[3] != NULL && (s->match.n == 0 || s->is_guess)) {
		mw_text_add(&s->where, " AND (c.sender || char(10) || c.rcpts || char(10) || "
				       "c.subject) LIKE ? ESCAPE '\\'");
		add_value(s, like_of(parts[3]));
	}
	if (q->class >= 0)
		mw_text_addf(&s->where, " AND %sc.class = %d", s->led ? "+" : "", q->class);
	if (q->released >= 0)
		mw_text_addf(&s->where, " AND c.released IS %sNULL", q->released > 0 ? "NOT " : "");
	if (q->since_ms > 0)
		mw_text_addf(&s->where, " AND %s >= %llu", s->id,
			(unsigned long long)q->since_ms << ID_BITS);
	if (q->before_ms > 0)
		mw_text_addf(&s->where, " AND %s < %llu", s->id,
			(unsigned long long)q->before_ms << ID_BITS);
}

/* ------------------------------------------------------------------ rows */

#define COLUMNS                                                                                    \
	"c.id, (SELECT path FROM folders f WHERE f.id = c.folder), c.name, c.mail_id, "            \
	"c.secret_id, "                                                                            \
	"c.log_id, c.quar_type, c.ccat, c.class, c.score, c.size, c.sender, c.rcpts, c.subject, "  \
	"c.released, c.released_by"

static void take_row(sqlite3_stmt *s, char *path, size_t size, struct mw_qentry *e_r)
{
	const char *folder = mw_qindex_text(s, 1);

	snprintf(path, size, "%s%s%s", folder, *folder != '\0' ? "/" : "", mw_qindex_text(s, 2));
	*e_r = (struct mw_qentry){
		.id = sqlite3_column_int64(s, 0),
		.path = path,
		.mail_id = mw_qindex_text(s, 3),
		.secret_id = mw_qindex_text(s, 4),
		.log_id = mw_qindex_text(s, 5),
		.quar_type = mw_qindex_text(s, 6)[0],
		.time_ms = (uint64_t)sqlite3_column_int64(s, 0) >> ID_BITS,
		.ccat = (unsigned)sqlite3_column_int(s, 7),
		.class = (unsigned)sqlite3_column_int(s, 8),
		.has_score = sqlite3_column_type(s, 9) != SQLITE_NULL,
		.score_milli = sqlite3_column_int(s, 9),
		.size = (uint64_t)sqlite3_column_int64(s, 10),
		.sender = mw_qindex_text(s, 11),
		.rcpts = mw_qindex_text(s, 12),
		.subject = mw_qindex_text(s, 13),
		.released_ms = (uint64_t)sqlite3_column_int64(s, 14),
		.released_by = mw_qindex_text(s, 15),
	};
}

struct limit {
	uint64_t until_ms;
};

static int on_progress(void *arg)
{
	return mw_mono_ms() > ((struct limit *)arg)->until_ms;
}

static enum mw_rc run(struct mw_qindex *q, const char *sql, const struct search *search,
	bool (*row)(void *arg, const struct mw_qentry *e), void *arg, struct mw_err *err_r)
{
	struct limit limit = { mw_mono_ms() + STEPS_MS };
	char path[2 * MW_QINDEX_PATH_MAX];
	sqlite3_stmt *s = NULL;
	struct mw_qentry e;
	int code = q->lite != NULL ? sqlite3_prepare_v2(q->lite, sql, -1, &s, NULL) : SQLITE_MISUSE;

	for (size_t i = 0; i < search->count && code == SQLITE_OK; i++)
		mw_qindex_bind_text(s, (int)i + 1, search->values[i]);
	if (code == SQLITE_OK)
		sqlite3_progress_handler(q->lite, STEPS_EVERY, on_progress, &limit);
	while (code == SQLITE_OK || code == SQLITE_ROW) {
		code = sqlite3_step(s);
		if (code != SQLITE_ROW)
			break;
		take_row(s, path, sizeof(path), &e);
		if (!row(arg, &e))
			code = SQLITE_DONE;
	}
	sqlite3_finalize(s);
	if (q->lite != NULL)
		sqlite3_progress_handler(q->lite, 0, NULL, NULL);
	return code == SQLITE_DONE ? MW_OK : mw_qindex_failed(q, code, err_r);
}

enum mw_rc mw_qindex_search(struct mw_qindex *q, const struct mw_qquery *query,
	bool (*row)(void *arg, const struct mw_qentry *e), void *arg, struct mw_err *err_r)
{
	struct search s = { 0 };
	struct mw_text sql = { 0 };
	const char *parts[4];
	enum mw_rc rc;

	find_parts(query, parts);
	for (size_t i = 0; i < MW_COUNT(parts); i++)
		if (parts[i] != NULL && strlen(parts[i]) < MW_QINDEX_NEEDLE_MIN)
			return mw_fail(err_r, MW_ERR_CONF,
				"\"%s\" is too short to look for: %d characters at least", parts[i],
				MW_QINDEX_NEEDLE_MIN);
	lead_by_best(&s, query, parts);
	add_rest(&s, query, parts);
	mw_text_addf(&sql, "SELECT " COLUMNS " %s%s ORDER BY %s%s LIMIT %lld OFFSET %zu",
		s.from.p != NULL ? s.from.p : "", s.where.p != NULL ? s.where.p : "", s.id,
		query->oldest_first ? "" : " DESC",
		query->limit > 0 ? (long long)query->limit : -1LL, query->offset);
	if (s.failed || s.from.failed || s.where.failed || s.match.failed || sql.failed)
		rc = mw_fail(err_r, MW_ERR_NOMEM, "out of memory");
	else
		rc = run(q, sql.p, &s, row, arg, err_r);
	mw_text_fini(&sql);
	search_fini(&s);
	return rc;
}

enum mw_rc mw_qindex_totals(struct mw_qindex *q, struct mw_qtotals *t_r, struct mw_err *err_r)
{
	sqlite3_stmt *s = NULL;
	int code = q->lite != NULL
			   ? sqlite3_prepare_v2(q->lite,
				     "SELECT class, entries, octets FROM totals", -1, &s, NULL)
			   : SQLITE_MISUSE;

	*t_r = (struct mw_qtotals){ 0 };
	while (code == SQLITE_OK || code == SQLITE_ROW) {
		code = sqlite3_step(s);
		if (code == SQLITE_ROW) {
			unsigned class = (unsigned)sqlite3_column_int(s, 0);

			if (class < MW_QCLASSES) {
				t_r->entries[class] = (uint64_t)sqlite3_column_int64(s, 1);
				t_r->octets[class] = (uint64_t)sqlite3_column_int64(s, 2);
			}
		}
	}
	sqlite3_finalize(s);
	return code == SQLITE_DONE ? MW_OK : mw_qindex_failed(q, code, err_r);
}
