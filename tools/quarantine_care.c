/* mailweir quarantine delete, expire, verify. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "quarantine.h"
#include "quarantine_audit.h"
#include "quarantine_scan.h"
#include "quarantine_sweep.h"

#define LOCK_TRIES 300 /* for so long a scan of smtp-front's is waited for: 30 s */
#define LOCK_PAUSE_NS 100000000

/* In the log as well, so that it is found where everything else is. */
static bool audit(const struct qtool *t, const char *action, const char *mail_id, const char *path,
	const char *detail)
{
	const struct mw_qaudit a = { action, mail_id, path, t->who, detail, mw_wall_ms() };
	struct mw_err err;

	if (mw_qaudit_write(t->dir, &a, &err) == MW_OK)
		return true;
	fprintf(stderr, "mailweir: nothing is done that cannot be written down: %s\n", err.text);
	return false;
}

/* ------------------------------------------------------------------ delete */

struct paths {
	char *items[100];
	size_t count;
};

static bool on_copy(void *arg, const struct mw_qentry *e)
{
	struct paths *p = arg;

	if (p->count == MW_COUNT(p->items))
		return false;
	p->items[p->count] = strdup(e->path);
	return p->items[p->count] != NULL && ++p->count > 0;
}

static bool delete_copy(struct qtool *t, struct mw_qindex *q, const char *mail_id, const char *path)
{
	struct mw_err err;
	enum mw_rc rc;

	if (!audit(t, "delete", mail_id, path, NULL))
		return false;
	rc = mw_quarantine_unlink(t->dir, path, &err);
	if (rc != MW_OK && rc != MW_ERR_GONE) { /* the path is in it */
		fputs("mailweir: ", stderr);
		qtool_put_text(stderr, err.text, strlen(err.text), SIZE_MAX);
		fputs("\n", stderr);
		return false;
	}
	if (mw_qindex_drop(q, path, &err) != MW_OK)
		fprintf(stderr, "mailweir: %s; the next scan mends it\n", err.text);
	printf("%s: deleted ", mail_id);
	qtool_put_text(stdout, path, strlen(path), SIZE_MAX);
	putchar('\n');
	return true;
}

/* Of the database: the front does it, and writes it into its log. */
static bool delete_row(struct qtool *t, const char *mail_id, bool *gone_r)
{
	struct qtool_rows rows;
	bool ok;

	ok = qtool_sql_mail(t, "drop", mail_id, &rows, gone_r) && rows.count == 1;
	if (ok) {
		printf("%s: deleted %s\n", mail_id, rows.items[0].e.path);
		if (*t->dir != '\0')
			audit(t, "delete", mail_id, rows.items[0].e.path, NULL);
	}
	qtool_rows_fini(&rows);
	return ok;
}

static bool delete_mail(struct qtool *t, struct mw_qindex *q, const char *mail_id)
{
	const struct mw_qquery query = { .mail_id = mail_id, .class = -1, .released = -1 };
	struct paths p = { .count = 0 };
	bool ok = true, gone = true, rows = false;
	struct mw_err err;

	if (q != NULL && mw_qindex_search(q, &query, on_copy, &p, &err) != MW_OK)
		fprintf(stderr, "mailweir: %s\n", err.text);
	for (size_t k = 0; k < p.count; k++) {
		ok = delete_copy(t, q, mail_id, p.items[k]) && ok;
		free(p.items[k]);
	}
	if (qtool_has_sql(t))
		rows = delete_row(t, mail_id, &gone);
	if (p.count == 0 && !rows && gone)
		fprintf(stderr, "mailweir: no mail %s is kept, as far as the index knows\n",
			mail_id);
	return ok && (p.count > 0 || rows) && (rows || gone);
}

int qtool_delete(struct qtool *t)
{
	struct mw_qindex *q = *t->dir != '\0' ? qtool_open(t, MW_QINDEX_WRITE) : NULL;
	int code = MW_TOOL_OK;

	if (q == NULL && *t->dir != '\0')
		return MW_TOOL_FAILED;
	for (size_t i = 0; i < t->name_count; i++)
		if (!delete_mail(t, q, t->names[i]))
			code = MW_TOOL_FAILED;
	mw_qindex_close(&q);
	return code;
}

/* ------------------------------------------------------------------ expire */

static int lock_house(const struct qtool *t)
{
	const struct timespec pause = { 0, LOCK_PAUSE_NS };
	int lock = -1;

	for (int i = 0; i < LOCK_TRIES; i++) {
		lock = mw_quarantine_lock(t->dir, MW_QHOUSEKEEPER_LOCK, false);
		if (lock >= 0 || errno != EWOULDBLOCK)
			break;
		nanosleep(&pause, NULL);
	}
	if (lock < 0)
		fprintf(stderr,
			errno == EWOULDBLOCK
				? "mailweir: smtp-front is at it in %s; try again later\n"
				: "mailweir: %s: it cannot be locked\n",
			t->dir);
	return lock;
}

static int expire(struct qtool *t, struct mw_qindex *q, const struct mw_qretention *r)
{
	struct mw_qsweep s = { .index = q,
		.root = t->dir,
		.retention = r,
		.now_ms = mw_wall_ms(),
		.per_second = (unsigned)mw_conf_int(t->conf, "quarantine.expire_rate"),
		.dry_run = t->dry_run };
	char detail[128];
	struct mw_err err;
	enum mw_rc rc = mw_qsweep_run(&s, &err);

	snprintf(detail, sizeof(detail), "expired=%llu over_quota=%llu octets=%llu failed=%llu",
		(unsigned long long)s.expired, (unsigned long long)s.over_quota,
		(unsigned long long)s.octets, (unsigned long long)s.failed);
	printf("%s%s\n", detail, t->dry_run ? " (nothing was taken away)" : "");
	if (!t->dry_run && s.expired + s.over_quota > 0 && !audit(t, "expire", NULL, NULL, detail))
		return MW_TOOL_FAILED;
	if (rc != MW_OK)
		fprintf(stderr, "mailweir: %s\n", err.text);
	return rc == MW_OK && s.failed == 0 ? MW_TOOL_OK : MW_TOOL_FAILED;
}

int qtool_expire(struct qtool *t)
{
	struct mw_qretention r;
	struct mw_err err;
	struct mw_qindex *q;
	int lock, code = MW_TOOL_FAILED;

	if (mw_qretention_from(t->conf, &r, &err) != MW_OK) {
		fprintf(stderr, "mailweir: %s\n", err.text);
		return MW_TOOL_CONFIG;
	}
	lock = lock_house(t);
	if (lock < 0)
		return MW_TOOL_FAILED;
	q = qtool_open(t, MW_QINDEX_WRITE);
	if (q != NULL)
		code = expire(t, q, &r);
	mw_qindex_close(&q);
	close(lock);
	return code;
}

/* ------------------------------------------------------------------ verify */

static void on_found(void *arg, const char *what, const char *path, const char *why)
{
	(void)arg;
	printf("%-10s ", what);
	qtool_put_text(stdout, path, strlen(path), 200);
	printf(": ");
	qtool_put_text(stdout, why, strlen(why), 200);
	putchar('\n');
}

/* False: the index itself is broken and stays so. */
static bool check_index(struct qtool *t, struct mw_qindex *q)
{
	struct mw_err err = { "" };
	bool is_new = false;

	if (mw_qindex_check(q, &err) == MW_OK)
		return true;
	printf("broken     %s: %s\n", MW_QINDEX_FILE, err.text);
	return t->repair && mw_qindex_refresh(q, &is_new, &err) == MW_OK;
}

static int verify(struct qtool *t, struct mw_qindex *q)
{
	struct mw_qscan s = { .index = q,
		.root = t->dir,
		.all = true,
		.read_only = !t->repair,
		.whole = !t->quick,
		.found = on_found };
	struct mw_err err = { "" };
	enum mw_rc rc;

	if (!check_index(t, q))
		return MW_TOOL_FAILED;
	rc = t->repair ? mw_qaudit_catch_up(t->dir, q, &err) : MW_OK;
	if (rc == MW_OK)
		rc = mw_qscan_run(&s, &err);
	if (rc != MW_OK) {
		fprintf(stderr, "mailweir: %s\n", err.text);
		return MW_TOOL_FAILED;
	}
	printf("%llu folders, %llu files read: %llu missing, %llu unknown, %llu with a wrong id, "
	       "%llu damaged, %llu that are no copies%s\n",
		(unsigned long long)s.folders, (unsigned long long)s.files,
		(unsigned long long)s.dropped, (unsigned long long)s.added,
		(unsigned long long)s.wrong, (unsigned long long)s.damaged,
		(unsigned long long)s.strangers, t->repair ? "; the index says so now" : "");
	if (s.unreadable > 0)
		printf("%llu could not be read: nobody knows what they are\n",
			(unsigned long long)s.unreadable);
	if (t->repair && s.dropped + s.added + s.wrong > 0 &&
		!audit(t, "repair", NULL, NULL, "the index was made to agree with the files"))
		return MW_TOOL_FAILED;
	/* Damage stays: nobody but a person can say what is to become of it. */
	if (s.damaged + s.unreadable > 0 || (!t->repair && s.dropped + s.added + s.wrong > 0))
		return MW_TOOL_FAILED;
	return MW_TOOL_OK;
}

int qtool_verify(struct qtool *t)
{
	int lock = t->repair ? lock_house(t) : -1, code = MW_TOOL_FAILED;
	struct mw_qindex *q;

	if (t->repair && lock < 0)
		return MW_TOOL_FAILED;
	q = qtool_open(t, t->repair ? MW_QINDEX_WRITE : MW_QINDEX_READ);
	if (q != NULL)
		code = verify(t, q);
	mw_qindex_close(&q);
	if (lock >= 0)
		close(lock);
	return code;
}
