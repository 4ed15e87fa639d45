#include "quarantine_sweep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "log.h"
#include "quarantine_scan.h"

#define DAY_MS 86400000
#define BATCHES_PER_SECOND 10
#define BATCH_MAX 100 /* files between two commits: others' writes wait no longer */

/* ------------------------------------------------------------------ settings */

/* "CC_SPAM" as elsewhere, or "spam"; "poison" is no category. -1: neither. */
static int class_of_key(const char *key)
{
	if (mw_ieq(key, "CC_CATCHALL"))
		return 0;
	return mw_qclass_of_name(strncmp(key, "CC_", 3) == 0 ? key + 3 : key);
}

enum mw_rc mw_qretention_from(
	const struct mw_conf *conf, struct mw_qretention *r_r, struct mw_err *err_r)
{
	const struct mw_val *v = mw_conf_val(conf, "quarantine.retention");
	struct mw_qretention r = {
		.quota_octets = (uint64_t)mw_conf_int(conf, "quarantine.quota_octets"),
		.quota_entries = (uint64_t)mw_conf_int(conf, "quarantine.quota_entries"),
	};
	bool named[MW_QCLASSES] = { false };

	r.milli_days[MW_QCLASS_POISON] = MW_QNEVER;
	named[MW_QCLASS_POISON] = true;
	for (size_t i = 0; v->tag == MW_V_TABLE && i < v->count; i++) {
		const struct mw_val *days = &v->vals[i];
		int class = class_of_key(v->keys[i]);

		if (class < 0)
			return mw_fail(err_r, MW_ERR_CONF,
				"quarantine.retention: %.40s is neither a category (CC_SPAM, "
				"CC_CATCHALL ...) nor poison",
				v->keys[i]);
		if (days->tag != MW_V_NUM || !(days->num >= 0 || days->num == MW_QNEVER) ||
			days->num > 36500)
			return mw_fail(err_r, MW_ERR_CONF,
				"quarantine.retention: %.40s: expected days, 0 (for ever, but for "
				"a "
				"quota) or -1 (not for a quota either)",
				v->keys[i]);
		r.milli_days[class] = days->num < 0	  ? MW_QNEVER
				      : days->num == 0	  ? 0
				      : days->num < 0.001 ? 1
							  : (int64_t)(days->num * 1000);
		named[class] = true;
	}
	for (size_t i = 1; i < MW_QCLASSES; i++)
		if (!named[i])
			r.milli_days[i] = r.milli_days[0];
	*r_r = r;
	return MW_OK;
}

bool mw_qretention_is_idle(const struct mw_qretention *r)
{
	for (size_t i = 0; i < MW_QCLASSES; i++)
		if (r->milli_days[i] > 0)
			return false;
	return r->quota_octets == 0 && r->quota_entries == 0;
}

/* ------------------------------------------------------------------ a batch */

struct victim {
	int64_t id;
	uint64_t size;
	unsigned class;
	char *path;
};

struct batch {
	struct mw_qsweep *sweep;
	struct victim items[BATCH_MAX * MW_QCLASSES];
	size_t count;
	size_t stuck[MW_QCLASSES]; /* files that could not be taken away: they are passed over */
	bool by_quota, failed;
};

static bool on_row(void *arg, const struct mw_qentry *e)
{
	struct batch *b = arg;
	struct victim *v = &b->items[b->count];

	*v = (struct victim){ e->id, e->size, e->class, strdup(e->path) };
	b->failed = v->path == NULL;
	b->count += !b->failed;
	if (b->sweep->found != NULL && !b->by_quota && !b->failed)
		b->sweep->found(b->sweep->arg, e, false);
	return !b->failed && b->count < MW_COUNT(b->items);
}

static void batch_clear(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		free(b->items[i].path);
	b->count = 0;
}

static int by_age(const void *a, const void *b)
{
	int64_t x = ((const struct victim *)a)->id, y = ((const struct victim *)b)->id;

	return (x > y) - (x < y);
}

static size_t batch_size(const struct mw_qsweep *s)
{
	unsigned n = s->per_second / BATCHES_PER_SECOND;

	return s->per_second == 0 || n > BATCH_MAX ? BATCH_MAX : n > 0 ? n : 1;
}

/* So long that no more than per_second go in a second. */
static void pause_after(const struct mw_qsweep *s, size_t files)
{
	struct timespec t;
	uint64_t ns;

	if (s->per_second == 0 || s->dry_run)
		return;
	ns = (uint64_t)files * 1000000000 / s->per_second;
	t = (struct timespec){ (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
	nanosleep(&t, NULL);
}

/* Files first: an entry without a file is mended by the next scan, a file without an entry is never
 * thought of again. */
static enum mw_rc take_away(struct batch *b, size_t count, struct mw_err *err_r)
{
	struct mw_qsweep *s = b->sweep;
	struct mw_err why;
	enum mw_rc rc;

	for (size_t i = 0; i < count; i++) {
		struct victim *v = &b->items[i];

		rc = mw_quarantine_unlink(s->root, v->path, &why);
		if (rc == MW_ERR_IO) {
			if (s->failed++ == 0)
				mw_log(MW_WARN, "quarantine_not_removed", "file=%s why=%s",
					mw_quote(v->path), mw_quote(why.text));
			free(v->path);
			v->path = NULL;
			b->stuck[v->class]++;
			continue;
		}
		s->octets += v->size;
		*(b->by_quota ? &s->over_quota : &s->expired) += 1;
	}
	rc = mw_qindex_begin(s->index, err_r);
	for (size_t i = 0; i < count && rc == MW_OK; i++)
		if (b->items[i].path != NULL)
			rc = mw_qindex_drop(s->index, b->items[i].path, err_r);
	if (rc == MW_OK)
		rc = mw_qindex_commit(s->index, err_r);
	else
		mw_qindex_rollback(s->index);
	return rc;
}

static bool may_go_on(struct mw_qsweep *s)
{
	s->stopped = s->stopped || (s->go_on != NULL && !s->go_on(s->arg));
	return !s->stopped;
}

/* ------------------------------------------------------------------ by time, by quota */

static enum mw_rc by_time(
	struct mw_qsweep *s, struct batch *b, unsigned class, struct mw_err *err_r)
{
	uint64_t age_ms = (uint64_t)s->retention->milli_days[class] * (DAY_MS / 1000);
	struct mw_qquery q = { .class = (int)class,
		.released = -1,
		.oldest_first = true,
		.before_ms = s->now_ms > age_ms ? s->now_ms - age_ms : 1,
		.limit = batch_size(s) };
	enum mw_rc rc = MW_OK;
	size_t found;

	b->stuck[class] = 0;
	do {
		rc = mw_qindex_search(s->index, &q, on_row, b, err_r);
		found = b->count;
		if (rc == MW_OK && b->failed)
			rc = mw_fail(err_r, MW_ERR_NOMEM, "out of memory");
		if (s->dry_run) {
			s->expired += found;
			for (size_t i = 0; i < found; i++)
				s->octets += b->items[i].size;
			q.offset += found;
		} else if (rc == MW_OK && found > 0) {
			rc = take_away(b, found, err_r);
			q.offset = b->stuck[class];
		}
		batch_clear(b);
		pause_after(s, found);
	} while (rc == MW_OK && found == q.limit && may_go_on(s));
	return rc;
}

struct room {
	uint64_t entries, octets;
};

static bool is_over(const struct mw_qretention *r, const struct room *now)
{
	return (r->quota_entries > 0 && now->entries > r->quota_entries) ||
	       (r->quota_octets > 0 && now->octets > r->quota_octets);
}

static void room_without(struct room *r, const struct victim *v)
{
	r->entries -= r->entries > 0;
	r->octets -= v->size < r->octets ? v->size : r->octets;
}

/* The oldest of all categories that may go. */
static enum mw_rc find_oldest(struct mw_qsweep *s, struct batch *b, struct mw_err *err_r)
{
	enum mw_rc rc = MW_OK;

	for (unsigned class = 0; class < MW_QCLASSES && rc == MW_OK; class ++) {
		struct mw_qquery q = { .class = (int)class,
			.released = -1,
			.oldest_first = true,
			.limit = batch_size(s),
			.offset = b->stuck[class] };

		if (s->retention->milli_days[class] != MW_QNEVER)
			rc = mw_qindex_search(s->index, &q, on_row, b, err_r);
	}
	if (rc == MW_OK && b->failed)
		rc = mw_fail(err_r, MW_ERR_NOMEM, "out of memory");
	qsort(b->items, b->count, sizeof(b->items[0]), by_age);
	return rc;
}

/* How many of the batch have to go. */
static size_t too_many(const struct mw_qsweep *s, const struct batch *b, struct room left)
{
	size_t n = 0;

	while (n < b->count && n < batch_size(s) && is_over(s->retention, &left))
		room_without(&left, &b->items[n++]);
	return n;
}

static enum mw_rc by_quota(struct mw_qsweep *s, struct batch *b, struct mw_err *err_r)
{
	struct mw_qtotals totals;
	struct room now = { 0 };
	enum mw_rc rc = mw_qindex_totals(s->index, &totals, err_r);
	size_t count = 1;

	/* What never goes takes no room from the others: else poison alone could have all of them
	 * taken away. */
	for (size_t i = 0; i < MW_QCLASSES; i++) {
		if (s->retention->milli_days[i] == MW_QNEVER)
			continue;
		now.entries += totals.entries[i];
		now.octets += totals.octets[i];
	}
	memset(b->stuck, 0, sizeof(b->stuck));
	if (s->dry_run)
		return rc; /* how many it would be depends on what retention has left */
	while (rc == MW_OK && is_over(s->retention, &now) && count > 0 && may_go_on(s)) {
		rc = find_oldest(s, b, err_r);
		count = too_many(s, b, now);
		if (rc == MW_OK && count > 0)
			rc = take_away(b, count, err_r);
		for (size_t i = 0; i < count; i++)
			if (b->items[i].path != NULL)
				room_without(&now, &b->items[i]);
		batch_clear(b);
		pause_after(s, count);
	}
	return rc;
}

enum mw_rc mw_qsweep_run(struct mw_qsweep *s, struct mw_err *err_r)
{
	struct batch *b = calloc(1, sizeof(*b));
	enum mw_rc rc = MW_OK;

	if (b == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "out of memory");
	b->sweep = s;
	for (unsigned class = 0; class < MW_QCLASSES && rc == MW_OK && may_go_on(s); class ++)
		if (s->retention->milli_days[class] > 0)
			rc = by_time(s, b, class, err_r);
	b->by_quota = true;
	if (rc == MW_OK && (s->retention->quota_entries > 0 || s->retention->quota_octets > 0))
		rc = by_quota(s, b, err_r);
	batch_clear(b);
	free(b);
	return rc;
}
