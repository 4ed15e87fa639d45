#include "connect.h"

#include <stdlib.h>
#include <sys/un.h>

#define STAGGER_MS 250 /* RFC 8305 section 5: Connection Attempt Delay */

struct attempt {
	struct connector *connector; /* NULL: its stream is closing */
	struct stream *stream;
	struct attempt *next;
};

struct connector {
	struct mw_loop *loop;
	struct names_question *question;
	void (*done)(void *arg, struct stream *st, int status, enum connector_step step);
	void *arg;
	uint16_t port;
	bool unix_socket;
	struct next_hop_source from; /* the hop's */
	struct names_addresses to;
	size_t at; /* addresses tried */
	struct attempt *attempts;
	struct mw_timer *timer; /* the next attempt, or the end of the last one */
	int status;		/* of the last attempt that failed */
	enum connector_step step;
};

static void attempt_closed(void *owner)
{
	free(owner);
}

static void attempt_connected(void *owner, int status);

static const struct stream_ops attempt_ops = { .connected = attempt_connected,
	.closed = attempt_closed };

/* The attempt's memory goes when its stream is closed. */
static void attempt_end(struct attempt *a)
{
	struct attempt **p = &a->connector->attempts;

	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
	a->connector = NULL;
	stream_close(&a->stream);
}

void connector_cancel(struct connector **c_p)
{
	struct connector *c = *c_p;

	*c_p = NULL;
	if (c == NULL)
		return;
	while (c->attempts != NULL)
		attempt_end(c->attempts);
	names_cancel(&c->question);
	mw_timer_destroy(&c->timer);
	free(c);
}

static void finish(struct connector *c, struct stream *st, int status, enum connector_step step)
{
	void (*done)(void *, struct stream *, int, enum connector_step) = c->done;
	void *arg = c->arg;

	connector_cancel(&c);
	done(arg, st, status, step);
}

static void attempt_connected(void *owner, int status)
{
	struct attempt *a = owner;
	struct connector *c = a->connector;
	struct attempt **p = &c->attempts;

	if (status != 0) {
		c->status = status;
		c->step = CONNECTOR_CONNECT;
		attempt_end(a);
		mw_timer_start(c->timer, 0, 0); /* no need to wait for the stagger */
		return;
	}
	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
	finish(c, a->stream, 0, CONNECTOR_CONNECT);
	free(a); /* the stream is another owner's by now */
}

static void set_port(struct sockaddr_storage *ss, uint16_t port)
{
	if (ss->ss_family == AF_INET6)
		((struct sockaddr_in6 *)ss)->sin6_port = htons(port);
	else if (ss->ss_family == AF_INET)
		((struct sockaddr_in *)ss)->sin_port = htons(port);
}

/* From the address that it has to come from, if it has to. */
static int bind_it(struct connector *c, struct stream *st, int family)
{
	bool none;
	const struct sockaddr *from = next_hop_source_for(&c->from, family, &none);
	int status = none ? UV_EADDRNOTAVAIL : from != NULL ? stream_bind(st, from) : 0;

	c->step = status != 0 ? CONNECTOR_BIND : CONNECTOR_CONNECT;
	return status;
}

static int attempt_begin(struct connector *c, struct sockaddr_storage *to)
{
	struct attempt *a = calloc(1, sizeof(*a));
	int status;

	if (a == NULL)
		return UV_ENOMEM;
	a->stream = stream_new(c->loop, c->unix_socket, &attempt_ops, a);
	if (a->stream == NULL) {
		free(a);
		return UV_ENOMEM;
	}
	a->connector = c;
	a->next = c->attempts;
	c->attempts = a;
	set_port(to, c->port);
	status = bind_it(c, a->stream, to->ss_family);
	if (status == 0)
		status = stream_connect(a->stream, (const struct sockaddr *)to);
	if (status != 0)
		attempt_end(a);
	return status;
}

/* The next address, or the end when all have failed. */
static void next_attempt(void *arg)
{
	struct connector *c = arg;

	while (c->at < c->to.count) {
		int status = attempt_begin(c, &c->to.at[c->at++]);

		if (status != 0) {
			c->status = status;
			continue;
		}
		mw_timer_start(c->timer, STAGGER_MS, 0);
		return;
	}
	if (c->attempts == NULL)
		finish(c, NULL, c->status, c->step);
}

/* IPv6 and IPv4 in turn, each family in its own order (RFC 8305 section 4). */
static void interleave(struct connector *c, const struct names_addresses *a)
{
	size_t at[2] = { 0, 0 };
	int family = a->at[0].ss_family;

	for (size_t n = 0; n < a->count;) {
		for (int turn = 0; turn < 2; turn++) {
			size_t *i = &at[turn];

			while (*i < a->count && (a->at[*i].ss_family == family) != (turn == 0))
				(*i)++;
			if (*i < a->count) {
				c->to.at[c->to.count++] = a->at[(*i)++];
				n++;
			}
		}
	}
}

static void answered(void *arg, int status, const struct names_addresses *a)
{
	struct connector *c = arg;

	c->question = NULL;
	if (status != 0) {
		finish(c, NULL, status, CONNECTOR_LOOKUP);
		return;
	}
	interleave(c, a);
	next_attempt(c);
}

/* An address literal or a path needs nobody's help. */
static bool is_known(const struct next_hop *hop, struct sockaddr_storage *ss)
{
	struct sockaddr_un *un = (struct sockaddr_un *)ss;

	*ss = (struct sockaddr_storage){ 0 };
	if (next_hop_is_unix(hop)) {
		un->sun_family = AF_UNIX;
		mw_strlcpy(un->sun_path, hop->host, sizeof(un->sun_path));
		return true;
	}
	return uv_ip4_addr(hop->host, hop->port, (struct sockaddr_in *)ss) == 0 ||
	       uv_ip6_addr(hop->host, hop->port, (struct sockaddr_in6 *)ss) == 0;
}

struct connector *connector_start(struct mw_loop *loop, struct names *names,
	const struct next_hop *hop,
	void (*done)(void *arg, struct stream *st, int status, enum connector_step step), void *arg)
{
	struct connector *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->loop = loop;
	c->done = done;
	c->arg = arg;
	c->port = hop->port;
	c->from = hop->from;
	c->unix_socket = next_hop_is_unix(hop);
	c->timer = mw_timer_new(loop, next_attempt, c);
	if (is_known(hop, &c->to.at[0])) {
		c->to.count = c->at = 1;
		c->status = attempt_begin(c, &c->to.at[0]);
		if (c->status != 0)
			mw_timer_start(c->timer, 0, 0); /* told from the loop */
	} else {
		c->question = names_ask(names, hop->host, answered, c);
		if (c->question == NULL)
			connector_cancel(&c);
	}
	return c;
}
