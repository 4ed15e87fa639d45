/* The pools of connections: which one takes which mail, and when one is closed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "client_tls.h"
#include "tls_memory.h"

#define TICK_MS 250 /* grain of the time limits */

/* The connections to one hop from one address. */
struct hop_pool {
	struct next_hop hop;
	struct client *idle; /* last used first: the others grow old and go */
	size_t connections;
	uint64_t skip_until_ms; /* it could not be talked to: others of a list go before */
	struct hop_pool *next;
};

struct delivery {
	struct mw_loop *loop;
	struct client_limits limits;
	unsigned max_connections, max_uses;
	uint64_t idle_ms;
	uint64_t hop_pause_ms;
	struct names *names;
	struct client *clients;			      /* all */
	struct hop_pool *pools;			      /* one for each hop that we have to do with */
	struct delivery_run *waiting, **waiting_last; /* no connection free */
	struct mw_timer *tick, *soon;
	struct delivery_stats stats;
	struct tls_memory tls_failed;
	bool closing;
};

const struct client_limits *delivery_limits(const struct delivery *d)
{
	return &d->limits;
}

struct mw_loop *delivery_loop(const struct delivery *d)
{
	return d->loop;
}

struct names *delivery_names(const struct delivery *d)
{
	return d->names;
}

struct delivery_stats delivery_stats(const struct delivery *d)
{
	return d->stats;
}

static void waiting_append(struct delivery *d, struct delivery_run *run);

/* ------------------------------------------------------------------ who takes which mail */

static struct hop_pool *pool_find(const struct delivery *d, const struct next_hop *hop)
{
	struct hop_pool *p = d->pools;

	while (p != NULL && (strcmp(p->hop.text, hop->text) != 0 ||
				    strcmp(p->hop.from.text, hop->from.text) != 0))
		p = p->next;
	return p;
}

/* NULL: no memory. */
static struct hop_pool *pool_of(struct delivery *d, const struct next_hop *hop)
{
	struct hop_pool *p = pool_find(d, hop);

	if (p == NULL && (p = calloc(1, sizeof(*p))) != NULL) {
		p->hop = *hop;
		p->next = d->pools;
		d->pools = p;
	}
	return p;
}

/* Hops that nobody has to do with any more: with smtp:*:* each client is one. */
static void forget_pools(struct delivery *d, uint64_t now)
{
	for (struct hop_pool **at = &d->pools; *at != NULL;) {
		struct hop_pool *p = *at;

		if (p->connections == 0 && now >= p->skip_until_ms) {
			*at = p->next;
			free(p);
		} else {
			at = &p->next;
		}
	}
}

static void idle_add(struct client *c)
{
	c->idle_next = c->pool->idle;
	c->idle_prev_p = &c->pool->idle;
	if (c->idle_next != NULL)
		c->idle_next->idle_prev_p = &c->idle_next;
	c->pool->idle = c;
}

static void idle_remove(struct client *c)
{
	*c->idle_prev_p = c->idle_next;
	if (c->idle_next != NULL)
		c->idle_next->idle_prev_p = c->idle_prev_p;
	c->idle_prev_p = NULL;
}

static struct client *take_idle(
	struct delivery *d, const struct delivery_run *run, const struct next_hop *hop)
{
	struct hop_pool *p = pool_find(d, hop);
	struct client *c = p != NULL ? p->idle : NULL;

	while (c != NULL && !client_tls_fits(c, run, hop))
		c = c->idle_next;

	if (c != NULL)
		idle_remove(c);
	return c;
}

static struct client *open_client(struct delivery *d, const struct next_hop *hop)
{
	struct hop_pool *p = pool_of(d, hop);
	struct client *c;

	if (p == NULL || p->connections >= d->max_connections)
		return NULL;
	c = client_new(d, hop);
	if (c == NULL)
		return NULL;
	c->pool = p;
	p->connections++;
	c->next = d->clients;
	if (c->next != NULL)
		c->next->prev_p = &c->next;
	c->prev_p = &d->clients;
	d->clients = c;
	d->stats.connections++;
	d->stats.conn_new++;
	return c;
}

static bool is_skipped(const struct delivery *d, const struct next_hop *hop)
{
	const struct hop_pool *p = pool_find(d, hop);

	return p != NULL && mw_loop_now_ms(d->loop) < p->skip_until_ms;
}

/* The first that has not been tried, before those that failed a moment ago. */
static const struct next_hop *pick_hop(const struct delivery *d, const struct delivery_run *run)
{
	const struct delivery_mail *m = run->mail;
	const struct next_hop *second = NULL;

	for (size_t i = 0; i < m->hop_count; i++) {
		if ((run->tried & MW_BIT(i)) != 0)
			continue;
		if (!is_skipped(d, &m->hops[i]))
			return &m->hops[i];
		if (second == NULL)
			second = &m->hops[i];
	}
	return second;
}

/* One that waits, but not for this mail: it goes when there is no room for another. */
static void make_room(struct delivery *d, const struct next_hop *hop)
{
	const struct hop_pool *p = pool_find(d, hop);

	if (p == NULL || p->connections < d->max_connections || p->idle == NULL)
		return;
	d->stats.conn_quit++;
	client_close(p->idle, true);
}

static bool assign(struct delivery *d, struct delivery_run *run)
{
	const struct delivery_mail *m = run->mail;
	const struct next_hop *hop;
	struct client *c = NULL;

	for (size_t i = 0; i < m->hop_count && c == NULL; i++)
		c = take_idle(d, run, &m->hops[i]);
	if (c != NULL) {
		d->stats.conn_reuse++;
		client_take(c, run);
		return true;
	}
	hop = pick_hop(d, run);
	if (hop == NULL)
		hop = &m->hops[0];
	make_room(d, hop);
	c = open_client(d, hop);
	if (c == NULL)
		return false;
	client_take(c, run);
	client_start(c);
	return true;
}

bool delivery_hop_failed(struct delivery_run *run, struct client *c)
{
	struct delivery *d = run->d;
	const struct delivery_mail *m = run->mail;
	uint64_t now = mw_loop_now_ms(d->loop);

	c->pool->skip_until_ms = now + d->hop_pause_ms;
	for (size_t i = 0; i < m->hop_count; i++)
		if (strcmp(m->hops[i].text, c->hop.text) == 0)
			run->tried |= MW_BIT(i);
	if (now >= m->deadline_ms || pick_hop(d, run) == NULL)
		return false;
	waiting_append(d, run);
	mw_timer_start(d->soon, 0, 0);
	return true;
}

static void waiting_append(struct delivery *d, struct delivery_run *run)
{
	run->next = NULL;
	run->prev_p = d->waiting_last;
	*d->waiting_last = run;
	d->waiting_last = &run->next;
}

static void waiting_remove(struct delivery *d, struct delivery_run *run)
{
	*run->prev_p = run->next;
	if (run->next != NULL)
		run->next->prev_p = run->prev_p;
	else
		d->waiting_last = run->prev_p;
	run->prev_p = NULL;
}

/* Every mail that waits is tried: one hop at its limit does not hold up another's. */
static void pump(void *arg)
{
	struct delivery *d = arg;
	struct delivery_run *run = d->waiting, *rest = NULL, **rest_last = &rest;

	d->waiting = NULL;
	d->waiting_last = &d->waiting;
	while (run != NULL) {
		struct delivery_run *next = run->next;

		run->next = NULL;
		run->prev_p = NULL;
		if (!assign(d, run)) {
			*rest_last = run;
			rest_last = &run->next;
		}
		run = next;
	}
	while (rest != NULL) {
		run = rest;
		rest = rest->next;
		waiting_append(d, run);
	}
}

struct delivery_run *delivery_send(struct delivery *d, const struct delivery_mail *mail,
	void (*done)(void *arg, bool new_connection), void *arg)
{
	struct delivery_run *run = calloc(1, sizeof(*run));

	if (run == NULL)
		return NULL;
	*run = (struct delivery_run){ .d = d, .mail = mail, .done = done, .arg = arg };
	if (!assign(d, run))
		waiting_append(d, run);
	return run;
}

bool delivery_committed(const struct delivery_run *run)
{
	return run != NULL && run->committed;
}

void delivery_cancel(struct delivery_run **run_p)
{
	struct delivery_run *run = *run_p;

	*run_p = NULL;
	if (run == NULL)
		return;
	if (run->client != NULL) {
		struct client *c = run->client;

		c->run = NULL;
		client_close(c, false);
	} else if (run->prev_p != NULL) {
		waiting_remove(run->d, run);
	}
	free(run);
}

/* ------------------------------------------------------------------ what the connections tell */

void delivery_client_idle(struct client *c)
{
	struct delivery *d = c->d;

	if (c->uses >= d->max_uses || d->idle_ms == 0 || d->closing) {
		d->stats.conn_quit++;
		client_close(c, true);
		return;
	}
	idle_add(c);
	if (d->waiting != NULL)
		mw_timer_start(d->soon, 0, 0);
}

void delivery_hop_works(struct client *c)
{
	c->pool->skip_until_ms = 0;
}

void delivery_client_gone(struct client *c)
{
	struct delivery *d = c->d;

	c->pool->connections--;
	if (c->idle_prev_p != NULL)
		idle_remove(c);
	*c->prev_p = c->next;
	if (c->next != NULL)
		c->next->prev_p = c->prev_p;
	d->stats.connections--;
	if (d->waiting != NULL && !d->closing)
		mw_timer_start(d->soon, 0, 0);
}

void delivery_run_over(struct delivery_run *run, struct client *c)
{
	struct delivery *d = run->d;
	const struct delivery_mail *m = run->mail;

	for (size_t i = 0; i < m->rcpt_count; i++) {
		if (m->rcpts[i].code < 200)
			m->rcpts[i].code =
				451; /* no way here may leave a recipient without a result */
		if (m->rcpts[i].code / 100 == 2 && i == 0)
			for (size_t p = 0; p < m->piece_count; p++)
				d->stats.octets += m->pieces[p].n;
	}
	d->stats.mails++;
	run->done(run->arg, c != NULL);
	free(run);
}

void delivery_run_again(struct delivery_run *run)
{
	run->d->stats.conn_reuse_fail++;
	for (size_t i = 0; i < run->mail->rcpt_count; i++) {
		run->mail->rcpts[i].code = 0;
		run->mail->rcpts[i].own_words = run->mail->rcpts[i].held_back =
			run->mail->rcpts[i].waits = false;
	}
	waiting_append(run->d, run);
	mw_timer_start(run->d->soon, 0, 0);
}

void delivery_run_plain(struct delivery_run *run)
{
	waiting_append(run->d, run);
	mw_timer_start(run->d->soon, 0, 0);
}

void delivery_tls_stands(struct client *c)
{
	c->d->stats.tls++;
}

void delivery_tls_failed(struct client *c)
{
	c->d->stats.tls_failed++;
	tls_memory_add(&c->d->tls_failed, c->hop.text, mw_loop_now_ms(c->d->loop));
}

bool delivery_tls_is_down(const struct delivery *d, const struct next_hop *hop)
{
	return tls_memory_has(&d->tls_failed, hop->text, mw_loop_now_ms(d->loop));
}

static void fail_waiting(struct delivery *d, uint64_t now)
{
	struct delivery_run *next;

	for (struct delivery_run *run = d->waiting; run != NULL; run = next) {
		next = run->next;
		if (now < run->mail->deadline_ms)
			continue;
		waiting_remove(d, run);
		client_tell_all(
			run, 450, "4.4.1", "no connection to the next hop became free in time");
		delivery_run_over(run, NULL);
		next = d->waiting; /* done() may have changed the list */
	}
}

static void tick(void *arg)
{
	struct delivery *d = arg;
	uint64_t now = mw_loop_now_ms(d->loop);
	struct client *c = d->clients;

	while (c != NULL) {
		if (c->state == CLIENT_IDLE && now - c->idle_since_ms >= d->idle_ms) {
			d->stats.conn_quit++;
			client_close(c, true);
		} else if (c->state != CLIENT_IDLE && now >= c->until_ms) {
			client_timeout(c);
		} else {
			c = c->next;
			continue;
		}
		c = d->clients; /* one that ended may have ended or begun others: from the start */
	}
	fail_waiting(d, now);
	pump(d);
	forget_pools(d, now);
}

/* ------------------------------------------------------------------ life */

void delivery_configure(struct delivery *d, const struct mw_conf *conf)
{
	d->limits = (struct client_limits){
		.connect_ms = (uint64_t)mw_conf_int(conf, "delivery.connect_timeout") * 1000,
		.greeting_ms = (uint64_t)mw_conf_int(conf, "delivery.greeting_timeout") * 1000,
		.command_ms = (uint64_t)mw_conf_int(conf, "delivery.command_timeout") * 1000,
		.data_ms = (uint64_t)mw_conf_int(conf, "delivery.data_timeout") * 1000,
		.dot_ms = (uint64_t)mw_conf_int(conf, "delivery.dot_timeout") * 1000,
	};
	d->max_connections = (unsigned)mw_conf_int(conf, "delivery.max_connections");
	d->max_uses = (unsigned)mw_conf_int(conf, "delivery.max_uses");
	d->idle_ms = mw_conf_bool(conf, "smtp_connection_cache_enable")
			     ? (uint64_t)mw_conf_int(conf, "delivery.idle_time") * 1000
			     : 0;
	d->hop_pause_ms = (uint64_t)mw_conf_int(conf, "delivery.hop_pause") * 1000;
	names_configure(d->names, (uint64_t)mw_conf_int(conf, "delivery.name_time") * 1000);
}

static void try_one(const struct sockaddr *from, socklen_t size, const char *bank, const char *text)
{
	int fd = socket(from->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, from, size) != 0)
		mw_log(MW_WARN, "bind_address_unusable",
			"bank=%s local_client_bind_address=%s family=%s error=%s hint=\"mail of "
			"this "
			"bank is deferred\"",
			mw_quote(bank), text, from->sa_family == AF_INET6 ? "IPv6" : "IPv4",
			mw_quote(strerror(errno)));
	if (fd >= 0)
		close(fd);
}

void delivery_try_source(const struct next_hop_source *from, const char *bank)
{
	if (from->v4.sin_family != 0)
		try_one((const struct sockaddr *)&from->v4, sizeof(from->v4), bank, from->text);
	if (from->v6.sin6_family != 0)
		try_one((const struct sockaddr *)&from->v6, sizeof(from->v6), bank, from->text);
}

enum mw_rc delivery_open(struct delivery **d_r, struct mw_loop *loop, const struct mw_conf *conf,
	struct mw_err *err_r)
{
	struct delivery *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for delivery");
	d->loop = loop;
	d->waiting_last = &d->waiting;
	d->names = names_new(loop);
	if (d->names == NULL) {
		free(d);
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for delivery");
	}
	delivery_configure(d, conf);
	d->tick = mw_timer_new(loop, tick, d);
	d->soon = mw_timer_new(loop, pump, d);
	mw_timer_start(d->tick, TICK_MS, TICK_MS);
	*d_r = d;
	return MW_OK;
}

void delivery_close(struct delivery **d_p)
{
	struct delivery *d = *d_p;

	*d_p = NULL;
	if (d == NULL)
		return;
	d->closing = true;
	while (d->clients != NULL) /* transactions are gone before us: no run is left */
		client_close(d->clients, d->clients->state == CLIENT_IDLE);
	forget_pools(d, UINT64_MAX);
	names_destroy(&d->names);
	mw_timer_destroy(&d->tick);
	mw_timer_destroy(&d->soon);
	free(d);
}
