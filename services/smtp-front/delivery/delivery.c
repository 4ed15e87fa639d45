/* The pools of connections: which one takes which mail, and when one is closed. */
#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "client_tls.h"
#include "tls_memory.h"

#define TICK_MS 250 /* grain of the time limits */

struct delivery {
	struct mw_loop *loop;
	struct client_limits limits;
	unsigned max_connections, max_uses;
	uint64_t idle_ms;
	struct client *clients; /* all */
	struct client *idle;	/* last used first: the others grow old and go */
	struct delivery_run *waiting, **waiting_last; /* no connection free */
	struct mw_timer *tick, *soon;
	struct delivery_stats stats;
	struct tls_memory tls_failed;
	bool closing;
};

enum mw_rc next_hop_parse(const char *method, struct next_hop *h_r, struct mw_err *err_r)
{
	struct next_hop h = { 0 };
	const char *host = method + 5, *end, *colon;
	unsigned long port;
	char *stop;

	if (strncmp(method, "smtp:", 5) != 0)
		return mw_fail(err_r, MW_ERR_CONF,
			"forward_method = \"%s\": only smtp:[address]:port and smtp:host:port "
			"are known",
			method);
	if (*host == '[') {
		host++;
		end = strchr(host, ']');
		colon = end != NULL && end[1] == ':' ? end + 1 : NULL;
	} else {
		end = colon = strrchr(host, ':');
	}
	port = colon != NULL ? strtoul(colon + 1, &stop, 10) : 0;
	if (colon == NULL || *stop != '\0' || port == 0 || port > 65535 || end == host ||
		!mw_strncpy(h.host, sizeof(h.host), host, (size_t)(end - host)) ||
		strpbrk(h.host, " *") != NULL)
		return mw_fail(err_r, MW_ERR_CONF,
			"forward_method = \"%s\": expected smtp:[address]:port or smtp:host:port",
			method);
	h.port = (uint16_t)port;
	snprintf(h.text, sizeof(h.text), "smtp:[%s]:%lu", h.host, port);
	*h_r = h;
	return MW_OK;
}

const struct client_limits *delivery_limits(const struct delivery *d)
{
	return &d->limits;
}

struct mw_loop *delivery_loop(const struct delivery *d)
{
	return d->loop;
}

struct delivery_stats delivery_stats(const struct delivery *d)
{
	return d->stats;
}

/* ------------------------------------------------------------------ who takes which mail */

static struct client *take_idle(struct delivery *d, const struct delivery_run *run)
{
	for (struct client **p = &d->idle; *p != NULL; p = &(*p)->idle_next)
		if (strcmp((*p)->hop.text, run->mail->hop->text) == 0 && client_tls_fits(*p, run)) {
			struct client *c = *p;

			*p = c->idle_next;
			return c;
		}
	return NULL;
}

static size_t connections_to(const struct delivery *d, const struct next_hop *hop)
{
	size_t n = 0;

	for (const struct client *c = d->clients; c != NULL; c = c->next)
		n += strcmp(c->hop.text, hop->text) == 0;
	return n;
}

static struct client *open_client(struct delivery *d, const struct next_hop *hop)
{
	struct client *c;

	if (connections_to(d, hop) >= d->max_connections)
		return NULL;
	c = client_new(d, hop);
	if (c == NULL)
		return NULL;
	c->next = d->clients;
	if (c->next != NULL)
		c->next->prev_p = &c->next;
	c->prev_p = &d->clients;
	d->clients = c;
	d->stats.connections++;
	d->stats.conn_new++;
	return c;
}

/* One that waits, but not for this mail: it goes when there is no room for another. */
static void make_room(struct delivery *d, const struct next_hop *hop)
{
	for (struct client *c = d->idle; c != NULL; c = c->idle_next)
		if (strcmp(c->hop.text, hop->text) == 0) {
			d->stats.conn_quit++;
			client_close(c, true);
			return;
		}
}

static bool assign(struct delivery *d, struct delivery_run *run)
{
	struct client *c = take_idle(d, run);

	if (c != NULL) {
		d->stats.conn_reuse++;
		client_take(c, run);
		return true;
	}
	if (connections_to(d, run->mail->hop) >= d->max_connections)
		make_room(d, run->mail->hop);
	c = open_client(d, run->mail->hop);
	if (c == NULL)
		return false;
	client_take(c, run);
	client_start(c);
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
	c->idle_next = d->idle;
	d->idle = c;
	if (d->waiting != NULL)
		mw_timer_start(d->soon, 0, 0);
}

void delivery_client_gone(struct client *c)
{
	struct delivery *d = c->d;

	for (struct client **p = &d->idle; *p != NULL; p = &(*p)->idle_next)
		if (*p == c) {
			*p = c->idle_next;
			break;
		}
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
		if (m->rcpts[i].code == 0)
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
		run->mail->rcpts[i].own_words = false;
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
	d->idle_ms = (uint64_t)mw_conf_int(conf, "delivery.idle_time") * 1000;
}

enum mw_rc delivery_open(struct delivery **d_r, struct mw_loop *loop, const struct mw_conf *conf,
	struct mw_err *err_r)
{
	struct delivery *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for delivery");
	d->loop = loop;
	d->waiting_last = &d->waiting;
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
	mw_timer_destroy(&d->tick);
	mw_timer_destroy(&d->soon);
	free(d);
}
