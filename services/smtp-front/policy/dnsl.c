#include "dnsl.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "dnsl_cache.h"
#include "log.h"
#include "resolver.h"

#define BUCKETS 1024 /* of questions in flight */
#define ZONES_MAX 64 /* whose failures are counted; others are always asked */

struct query;

enum item_state { ITEM_MISSING, ITEM_ASKED, ITEM_KNOWN, ITEM_UNKNOWN };

/* One list, for one mail. */
struct item {
	LIST_ENTRY(item) beside; /* ASKED: all that wait for the same question */
	struct dnsl_ask *ask;
	struct query *query;
	enum item_state state;
	const char *zone, *why;
	struct mw_dnsl_answer answer;
};

struct dnsl_ask {
	TAILQ_ENTRY(dnsl_ask) due; /* while it waits */
	struct mw_dnsl_source source;
	struct dnsl *dnsl;
	struct mw_ip ip;
	uint64_t until_ms;
	void (*done)(void *arg);
	void *arg;
	bool started;
	size_t waiting; /* items ASKED */
	size_t count;
	struct item items[DNSL_LISTS_MAX];
};

/* A question in flight; it goes on when nobody waits any more, and its answer is kept. */
struct query {
	TAILQ_ENTRY(query) all;
	struct query *next; /* same bucket */
	struct dnsl *dnsl;
	struct mw_dns_lookup *lookup;
	size_t bucket;
	bool late; /* counted as a failure of its zone already */
	struct mw_ip ip;
	LIST_HEAD(, item) items;
	char zone[];
};

struct zone {
	char name[MW_DNSL_ZONE_MAX + 1];
	unsigned failures; /* in a row */
	uint64_t pause_until_ms;
};

struct dnsl {
	struct mw_loop *loop;
	struct mw_timer *timer;
	struct mw_resolver *resolver; /* NULL: nobody needed it yet */
	struct mw_conf *conf;	      /* what it was made from */
	bool resolver_gone, ending;   /* its thread ended; those who wait are just being told */
	uint64_t retry_ms; /* another that could not be had is tried no sooner: it takes seconds */
	uint64_t timeout_ms, seed;
	size_t most_queries, query_count, cache_entries;
	struct dnsl_cache *cache;
	struct query *buckets[BUCKETS];
	TAILQ_HEAD(, query) queries;
	TAILQ_HEAD(due_list, dnsl_ask) asks; /* the one that is due first is first */
	struct zone zones[ZONES_MAX];
	size_t zone_count;
	struct {
		uint64_t queries, cached, joined, failed, late, refused, paused;
	} stats;
};

/* ------------------------------------------------------------------ zones that do not answer */

static struct zone *zone_of(struct dnsl *d, const char *name)
{
	for (size_t i = 0; i < d->zone_count; i++)
		if (strcmp(d->zones[i].name, name) == 0)
			return &d->zones[i];
	if (d->zone_count == ZONES_MAX)
		return NULL;
	mw_strlcpy(d->zones[d->zone_count].name, name, sizeof(d->zones[0].name));
	return &d->zones[d->zone_count++];
}

static void zone_failed(struct dnsl *d, const char *name)
{
	struct zone *z = zone_of(d, name);

	if (z == NULL || ++z->failures < DNSL_FAILURES_MAX)
		return;
	if (z->failures == DNSL_FAILURES_MAX)
		mw_log(MW_WARN, "dns_list_down", "zone=%s failures=%u pause_ms=%u", name,
			z->failures, DNSL_PAUSE_MS);
	z->failures = DNSL_FAILURES_MAX + 1; /* told; the next one alone pauses it again */
	z->pause_until_ms = mw_mono_ms() + DNSL_PAUSE_MS;
}

static void zone_answered(struct dnsl *d, const char *name)
{
	struct zone *z = zone_of(d, name);

	if (z == NULL)
		return;
	if (z->failures > DNSL_FAILURES_MAX)
		mw_log(MW_INFO, "dns_list_up", "zone=%s", name);
	z->failures = 0;
	z->pause_until_ms = 0;
}

void dnsl_down(const struct dnsl *d, struct mw_down *down)
{
	for (size_t i = 0; i < d->zone_count; i++)
		if (d->zones[i].failures > DNSL_FAILURES_MAX)
			mw_down_add(down, d->zones[i].name);
}

static bool zone_pauses(struct dnsl *d, const char *name)
{
	const struct zone *z = zone_of(d, name);

	return z != NULL && mw_mono_ms() < z->pause_until_ms;
}

/* ------------------------------------------------------------------ those who wait */

static void arm(struct dnsl *d)
{
	const struct dnsl_ask *first = TAILQ_FIRST(&d->asks);
	uint64_t now = mw_mono_ms();

	if (first == NULL)
		mw_timer_stop(d->timer);
	else
		mw_timer_start(d->timer, first->until_ms > now ? first->until_ms - now : 1, 0);
}

static void item_leave(struct item *i, enum item_state state, const char *why)
{
	LIST_REMOVE(i, beside);
	i->query = NULL;
	i->state = state;
	i->why = why;
	i->ask->waiting--;
}

/* All of it has come, or will not come. */
static void ask_over(struct dnsl_ask *a)
{
	TAILQ_REMOVE(&a->dnsl->asks, a, due);
	a->done(a->arg); /* it may destroy a */
}

static void on_time(void *arg)
{
	struct dnsl *d = arg;
	struct dnsl_ask *a;
	uint64_t now = mw_mono_ms();

	while ((a = TAILQ_FIRST(&d->asks)) != NULL && a->until_ms <= now) {
		for (size_t i = 0; i < a->count; i++) {
			struct query *q = a->items[i].query;

			if (q == NULL)
				continue;
			if (!q->late)
				zone_failed(d, q->zone);
			q->late = true;
			d->stats.late++;
			item_leave(&a->items[i], ITEM_UNKNOWN, "no answer in time");
		}
		ask_over(a);
	}
	arm(d);
}

/* The time limit is the same for all but just after a reload. */
static void ask_wait(struct dnsl_ask *a)
{
	struct dnsl *d = a->dnsl;
	struct dnsl_ask *before = TAILQ_LAST(&d->asks, due_list);

	a->until_ms = mw_mono_ms() + d->timeout_ms;
	while (before != NULL && before->until_ms > a->until_ms)
		before = TAILQ_PREV(before, due_list, due);
	if (before != NULL) {
		TAILQ_INSERT_AFTER(&d->asks, before, a, due);
		return;
	}
	TAILQ_INSERT_HEAD(&d->asks, a, due);
	arm(d);
}

/* ------------------------------------------------------------------ questions */

/* Nobody finds it any more; those who wait for it still do. */
static void query_unlink(struct query *q)
{
	struct query **p = &q->dnsl->buckets[q->bucket];

	while (*p != q)
		p = &(*p)->next;
	*p = q->next;
	TAILQ_REMOVE(&q->dnsl->queries, q, all);
	q->dnsl->query_count--;
}

/* answer NULL: there is none, and why. */
static void query_over(struct query *q, const struct mw_dnsl_answer *answer, const char *why)
{
	struct item *i;

	query_unlink(q);
	while ((i = LIST_FIRST(&q->items)) != NULL) {
		struct dnsl_ask *a = i->ask;

		if (answer != NULL)
			i->answer = *answer;
		item_leave(i, answer != NULL ? ITEM_KNOWN : ITEM_UNKNOWN, why);
		if (a->waiting == 0)
			ask_over(a);
	}
	free(q);
}

static void came(void *arg, const struct mw_dns_answer *dns)
{
	struct query *q = arg;
	struct dnsl *d = q->dnsl;
	struct mw_dnsl_answer answer;
	const char *why = mw_dnsl_read(dns, &answer);

	q->lookup = NULL;
	if (why != NULL) {
		d->stats.failed++;
		if (!q->late)
			zone_failed(d, q->zone);
		query_over(q, NULL, why);
		return;
	}
	zone_answered(d, q->zone);
	dnsl_cache_put(d->cache, &q->ip, q->zone, &answer, dns->ttl_s, mw_mono_ms());
	query_over(q, &answer, NULL);
}

static bool query_send(struct query *q)
{
	char name[MW_DNSL_NAME_MAX];

	q->dnsl->stats.queries++;
	q->lookup = mw_resolver_ask(
		q->dnsl->resolver, mw_dnsl_name(&q->ip, q->zone, name), MW_DNS_A, came, q);
	return q->lookup != NULL;
}

static struct query *query_find(struct dnsl *d, const struct mw_ip *ip, const char *zone)
{
	struct query *q = d->buckets[dnsl_hash(d->seed, ip, zone, BUCKETS)];

	while (q != NULL && !(mw_ip_equal(&q->ip, ip) && strcmp(q->zone, zone) == 0))
		q = q->next;
	return q;
}

/* NULL: it cannot be asked, and *why_r. */
static struct query *query_new(
	struct dnsl *d, const struct mw_ip *ip, const char *zone, const char **why_r)
{
	size_t n = strlen(zone) + 1;
	struct query *q;

	*why_r = "lookup.dns_queries questions wait already";
	if (d->query_count >= d->most_queries)
		return NULL;
	*why_r = "it cannot be asked: no memory, or no resolver";
	q = d->resolver != NULL && !d->resolver_gone ? calloc(1, sizeof(*q) + n) : NULL;
	if (q == NULL)
		return NULL;
	q->dnsl = d;
	q->ip = *ip;
	memcpy(q->zone, zone, n);
	if (!query_send(q)) {
		free(q);
		return NULL;
	}
	q->bucket = dnsl_hash(d->seed, ip, zone, BUCKETS);
	q->next = d->buckets[q->bucket];
	d->buckets[q->bucket] = q;
	TAILQ_INSERT_TAIL(&d->queries, q, all);
	d->query_count++;
	return q;
}

/* ------------------------------------------------------------------ asks */

struct dnsl_ask *dnsl_ask_new(struct dnsl *d, const struct mw_ip *ip)
{
	struct dnsl_ask *a = malloc(sizeof(*a));

	if (a == NULL)
		return NULL;
	a->dnsl = d;
	a->ip = *ip;
	a->started = false;
	a->waiting = a->count = 0;
	a->source = (struct mw_dnsl_source){ 0 };
	return a;
}

void dnsl_ask_destroy(struct dnsl_ask **a_p)
{
	struct dnsl_ask *a = *a_p;

	*a_p = NULL;
	if (a == NULL)
		return;
	if (a->waiting > 0)
		TAILQ_REMOVE(&a->dnsl->asks, a, due);
	for (size_t i = 0; i < a->count; i++)
		if (a->items[i].query != NULL)
			item_leave(&a->items[i], ITEM_UNKNOWN, NULL);
	free(a);
}

static struct item *item_new(struct dnsl_ask *a, const char *zone)
{
	struct dnsl *d = a->dnsl;
	struct item *i = &a->items[a->count++];

	i->ask = a;
	i->query = NULL;
	i->zone = zone;
	i->state = ITEM_MISSING;
	if (dnsl_cache_get(d->cache, &a->ip, zone, mw_mono_ms(), &i->answer)) {
		d->stats.cached++;
		i->state = ITEM_KNOWN;
	}
	return i;
}

static enum mw_dnsl_state find(struct mw_dnsl_source *src, const struct mw_ip *ip, const char *zone,
	const struct mw_dnsl_answer **answer_r, const char **why_r)
{
	struct dnsl_ask *a = (struct dnsl_ask *)((char *)src - offsetof(struct dnsl_ask, source));
	struct item *i = NULL;

	(void)ip; /* a->ip */
	for (size_t k = 0; k < a->count && i == NULL; k++)
		if (strcmp(a->items[k].zone, zone) == 0)
			i = &a->items[k];
	if (i == NULL && !a->started && a->count < DNSL_LISTS_MAX)
		i = item_new(a, zone);
	*why_r = i != NULL ? i->why : "it was not asked";
	if (i == NULL)
		return MW_DNSL_UNKNOWN;
	*answer_r = &i->answer;
	return i->state == ITEM_KNOWN	  ? MW_DNSL_KNOWN
	       : i->state == ITEM_UNKNOWN ? MW_DNSL_UNKNOWN
					  : MW_DNSL_PENDING;
}

struct mw_dnsl_source *dnsl_ask_source(struct dnsl_ask *a)
{
	a->source.find = find;
	a->source.undecided = false;
	return &a->source;
}

/* Join those who ask the same, or be the first. */
static void item_ask(struct item *i)
{
	struct dnsl *d = i->ask->dnsl;
	struct query *q = query_find(d, &i->ask->ip, i->zone);

	/* A question that is late already is no reason to wait for it once more. */
	if ((q == NULL || q->late) && zone_pauses(d, i->zone)) {
		d->stats.paused++;
		i->why = "not asked: it did not answer before";
		q = NULL;
	} else if (q != NULL) {
		d->stats.joined++;
	} else {
		q = query_new(d, &i->ask->ip, i->zone, &i->why);
		d->stats.refused += q == NULL;
	}
	if (q == NULL) {
		i->state = ITEM_UNKNOWN;
		return;
	}
	i->state = ITEM_ASKED;
	i->query = q;
	LIST_INSERT_HEAD(&q->items, i, beside);
	i->ask->waiting++;
}

static enum mw_rc open_resolver(struct dnsl *d, const struct mw_conf *conf,
	struct mw_resolver **resolver_r, struct mw_err *err_r);

bool dnsl_ask_start(struct dnsl_ask *a, void (*done)(void *arg), void *arg)
{
	struct dnsl *d = a->dnsl;
	struct mw_err err;

	if (d->resolver_gone && !d->ending && mw_mono_ms() >= d->retry_ms) {
		mw_resolver_close(&d->resolver);
		if (open_resolver(d, d->conf, &d->resolver, &err) != MW_OK) {
			mw_log(MW_ERROR, "resolver_failed", "%s", err.text);
			d->retry_ms = mw_mono_ms() + DNSL_PAUSE_MS;
		} else {
			d->resolver_gone = false;
		}
	}
	a->started = true;
	a->done = done;
	a->arg = arg;
	for (size_t i = 0; i < a->count; i++)
		if (a->items[i].state == ITEM_MISSING)
			item_ask(&a->items[i]);
	if (a->waiting == 0)
		return true;
	ask_wait(a);
	return false;
}

/* ------------------------------------------------------------------ life and settings */

/* Its thread is gone: what was asked is not answered any more. The next ask makes another. */
static void on_gone(void *arg)
{
	struct dnsl *d = arg;

	d->resolver_gone = d->ending = true;
	while (!TAILQ_EMPTY(&d->queries)) {
		struct query *q = TAILQ_FIRST(&d->queries);

		mw_dns_lookup_forget(&q->lookup);
		query_over(q, NULL, "the resolver is gone");
	}
	d->ending = false;
}

static enum mw_rc open_resolver(struct dnsl *d, const struct mw_conf *conf,
	struct mw_resolver **resolver_r, struct mw_err *err_r)
{
	struct mw_resolver_conf rc = {
		.section = "lookup", .resolv_conf = MW_RESOLV_CONF, .gone = on_gone, .gone_arg = d
	};

	rc.nameserver_count = mw_conf_list(conf, "lookup.nameservers", &rc.nameservers);
	return mw_resolver_open(resolver_r, d->loop, &rc, err_r);
}

static bool same_nameservers(const struct mw_conf *a, const struct mw_conf *b)
{
	const char *const *x, *const *y;
	size_t n = mw_conf_list(a, "lookup.nameservers", &x);

	if (n != mw_conf_list(b, "lookup.nameservers", &y))
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(x[i], y[i]) != 0)
			return false;
	return true;
}

/* Mails that wait go on waiting, for the other nameservers. */
static void ask_others(struct dnsl *d, struct mw_resolver *resolver)
{
	struct query *q, *next;

	mw_resolver_close(&d->resolver); /* frees the look-ups */
	d->resolver = resolver;
	d->resolver_gone = false;
	TAILQ_FOREACH(q, &d->queries, all)
	q->lookup = NULL;
	for (q = TAILQ_FIRST(&d->queries); q != NULL; q = next) {
		bool sent = q->lookup != NULL || query_send(q); /* a new one among them was */

		next = TAILQ_NEXT(q, all);
		if (!sent)
			query_over(q, NULL, "it cannot be asked again");
	}
}

enum mw_rc dnsl_configure(
	struct dnsl *d, const struct mw_conf *conf, bool wanted, struct mw_err *err_r)
{
	bool other = wanted && (d->conf == NULL || !same_nameservers(d->conf, conf));
	size_t entries = (size_t)mw_conf_int(conf, "lookup.dns_cache_entries");
	struct dnsl_cache *cache = NULL;
	struct mw_resolver *resolver = NULL;
	enum mw_rc rc;

	if (other && (rc = open_resolver(d, conf, &resolver, err_r)) != MW_OK)
		return rc;
	if (other || d->cache == NULL || entries != d->cache_entries)
		cache = dnsl_cache_new(entries);
	if (cache != NULL) {
		dnsl_cache_destroy(&d->cache);
		d->cache = cache;
		d->cache_entries = entries;
	}
	if (d->cache == NULL) {
		mw_resolver_close(&resolver);
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for the answers of DNS lists");
	}
	d->timeout_ms = (uint64_t)mw_conf_int(conf, "lookup.dns_timeout");
	d->most_queries = (size_t)mw_conf_int(conf, "lookup.dns_queries");
	if (!other)
		return MW_OK;
	mw_conf_destroy(&d->conf);
	d->conf = mw_conf_ref(conf);
	d->zone_count = 0;
	memset(d->zones, 0, sizeof(d->zones));
	ask_others(d, resolver);
	return MW_OK;
}

struct dnsl *dnsl_new(struct mw_loop *loop)
{
	struct dnsl *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->loop = loop;
	d->timer = mw_timer_new(loop, on_time, d);
	TAILQ_INIT(&d->queries);
	TAILQ_INIT(&d->asks);
	mw_random(&d->seed, sizeof(d->seed));
	return d;
}

void dnsl_destroy(struct dnsl **d_p)
{
	struct dnsl *d = *d_p;

	*d_p = NULL;
	if (d == NULL)
		return;
	mw_resolver_close(&d->resolver);
	while (!TAILQ_EMPTY(&d->queries)) {
		struct query *q = TAILQ_FIRST(&d->queries);

		while (!LIST_EMPTY(&q->items))
			item_leave(LIST_FIRST(&q->items), ITEM_UNKNOWN, "");
		query_unlink(q);
		free(q);
	}
	mw_timer_destroy(&d->timer);
	dnsl_cache_destroy(&d->cache);
	mw_conf_destroy(&d->conf);
	free(d);
}

/* ------------------------------------------------------------------ figures */

static void metric(struct mw_text *out, const char *name, uint64_t value)
{
	mw_text_addf(out, "mailweir_front_dns_list_%s %llu\n", name, (unsigned long long)value);
}

void dnsl_metrics(const struct dnsl *d, struct mw_text *out)
{
	metric(out, "queries_total", d->stats.queries);
	metric(out, "cached_total", d->stats.cached);
	metric(out, "joined_total", d->stats.joined);
	metric(out, "failed_total", d->stats.failed);
	metric(out, "late_total", d->stats.late);
	metric(out, "refused_total", d->stats.refused);
	metric(out, "paused_total", d->stats.paused);
	metric(out, "waiting", d->query_count);
	metric(out, "cache_entries", dnsl_cache_entries(d->cache));
}
