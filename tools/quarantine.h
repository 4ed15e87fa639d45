/* What the parts of `mailweir quarantine` share. */
#ifndef MW_TOOLS_QUARANTINE_H
#define MW_TOOLS_QUARANTINE_H

#include <stdio.h>
#include "quarantine_index.h"
#include "tools.h"

#define MW_TOOL_NAMES_MAX 1000 /* mail_ids of one command line */

struct qtool {
	struct mw_conf *conf;
	const char *dir; /* QUARANTINEDIR */
	char who[MW_QINDEX_WHO_MAX];
	/* options */
	bool json, raw, repair, quick, dry_run, again, no_scan, requeue, has_limit;
	const char *recipient, *secret;
	struct mw_qquery query;
	char *const *names; /* what stands behind the options */
	size_t name_count;
};

/* Each returns the exit code. */
int qtool_list(struct qtool *t);
int qtool_search(struct qtool *t);
int qtool_show(struct qtool *t);
int qtool_release(struct qtool *t);
int qtool_delete(struct qtool *t);
int qtool_expire(struct qtool *t);
int qtool_verify(struct qtool *t);

/* The index for reading or writing; NULL after telling why not. */
struct mw_qindex *qtool_open(const struct qtool *t, enum mw_qindex_mode mode);
/* Octets of strangers for a terminal: what would move its cursor, turn its text round or is no
 * UTF-8 comes as \xHH or \u{HHHH}; at most so many characters. */
void qtool_put_text(FILE *out, const char *text, size_t n, size_t most);
/* "2026-11-28 19:20:11" here. */
const char *qtool_time(uint64_t time_ms, char buf[32]);
/* One row of a table, or one line of JSON. */
void qtool_put_entry(const struct qtool *t, const struct mw_qentry *e);

/* ---- quarantine_ask.c: AM.PDP (docs/am-pdp.md) with an smtp-front that runs here */

/* A connection to any one; -1 after telling why not. */
int qtool_front(const struct qtool *t);
void qtool_add_line(struct mw_text *request, const char *name, const char *value);
/* Ends the request. False: no answer. */
bool qtool_ask(int fd, struct mw_text *request, struct mw_text *answer_r);
/* In place; how many octets it has then. */
size_t qtool_decode(char *text);
/* quarantine_release.c: the replies of an answer, printed; false: not all are well. */
bool qtool_put_replies(const char *mail_id, char *answer);

/* ---- quarantine_sql.c: copies that are rows of the databases of storage_sql_dsn */

struct qtool_row {
	struct mw_qentry e; /* texts point into the answer */
	char place[32];	    /* e.path */
};

struct qtool_rows {
	struct qtool_row *items;
	size_t count;
	struct mw_text answer, octets; /* of the mail that is shown */
};

/* Is there a database to ask about? */
bool qtool_has_sql(const struct qtool *t);
/* Those that fit t->query, in its order, limit of them. False after telling why not. */
bool qtool_sql_find(const struct qtool *t, size_t limit, struct qtool_rows *rows_r);
/* action: "show", "drop". False: there is none, or it was told why not; *gone_r: there is none. */
bool qtool_sql_mail(const struct qtool *t, const char *action, const char *mail_id,
	struct qtool_rows *rows_r, bool *gone_r);
void qtool_rows_fini(struct qtool_rows *rows);

#endif
