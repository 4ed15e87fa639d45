#include "names.h"

#include <stdlib.h>

#define NAMES_AT_ONCE 2 /* of libuv's four threads */
#define NAMES_KEPT 256	/* names remembered; with more, the oldest answer goes */

struct name;

struct names_question {
	struct name *name;
	void (*answer)(void *arg, int status, const struct names_addresses *a);
	void *arg;
	struct names_question *next, **prev_p;
};

struct name {
	struct names *names; /* NULL: nobody is left to tell */
	struct name *next;
	char host[256];
	uv_getaddrinfo_t req;
	bool busy, known;
	bool news; /* not told yet: it serves who waits for it, however short an answer is kept */
	int status;
	uint64_t at_ms;
	struct names_addresses found;
	struct names_question *questions;
};

struct names {
	struct mw_loop *loop;
	struct mw_timer *soon; /* answers that are known already */
	uint64_t keep_ms;
	struct name *first;
	size_t count, busy;
};

static void look(struct names *n);

struct names *names_new(struct mw_loop *loop)
{
	struct names *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->loop = loop;
	n->soon = mw_timer_new(loop, (void (*)(void *))look, n);
	return n;
}

void names_configure(struct names *n, uint64_t keep_ms)
{
	n->keep_ms = keep_ms;
}

static void name_free(struct name *m)
{
	while (m->questions != NULL) {
		struct names_question *q = m->questions;

		names_cancel(&q);
	}
	free(m);
}

void names_destroy(struct names **n_p)
{
	struct names *n = *n_p;

	*n_p = NULL;
	if (n == NULL)
		return;
	while (n->first != NULL) {
		struct name *m = n->first;

		n->first = m->next;
		m->names = NULL;
		if (!m->busy) /* else looked_up() frees */
			name_free(m);
	}
	mw_timer_destroy(&n->soon);
	free(n);
}

void names_cancel(struct names_question **q_p)
{
	struct names_question *q = *q_p;

	*q_p = NULL;
	if (q == NULL)
		return;
	*q->prev_p = q->next;
	if (q->next != NULL)
		q->next->prev_p = q->prev_p;
	free(q);
}

static bool is_fresh(const struct names *n, const struct name *m)
{
	uint64_t keep = m->status == 0 ? n->keep_ms : n->keep_ms / 10;

	return m->known && mw_loop_now_ms(n->loop) - m->at_ms <= keep;
}

/* Each question leaves the list before it is answered: the answer may ask again or end others. */
static void tell(struct name *m)
{
	struct names_addresses found = m->found;
	int status = m->status;

	m->busy = true; /* make_room() leaves it alone meanwhile */
	while (m->questions != NULL) {
		struct names_question *q = m->questions;
		void (*answer)(void *, int, const struct names_addresses *) = q->answer;
		void *arg = q->arg;

		names_cancel(&q);
		answer(arg, status, &found);
	}
	m->busy = false;
}

static void take(struct name *m, const struct addrinfo *list)
{
	m->found.count = 0;
	for (; list != NULL && m->found.count < NAMES_ADDRESSES_MAX; list = list->ai_next)
		if (list->ai_addrlen <= sizeof(m->found.at[0]))
			memcpy(&m->found.at[m->found.count++], list->ai_addr, list->ai_addrlen);
}

static void looked_up(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct name *m = req->data;
	struct names *n = m->names;

	m->busy = false;
	if (n == NULL) {
		uv_freeaddrinfo(list);
		name_free(m);
		return;
	}
	n->busy--;
	m->known = m->news = true;
	m->at_ms = mw_loop_now_ms(n->loop);
	take(m, status == 0 ? list : NULL);
	m->status = status == 0 && m->found.count == 0 ? UV_EAI_NODATA : status;
	uv_freeaddrinfo(list);
	mw_timer_start(n->soon, 0, 0);
}

/* Answer what is known, begin what may begin. */
static void look(struct names *n)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };

	for (struct name *m = n->first; m != NULL; m = m->next) {
		bool serves = m->news || is_fresh(n, m);

		if (m->busy)
			continue;
		m->news = false;
		if (m->questions == NULL)
			continue;
		if (serves) {
			tell(m);
			continue;
		}
		if (n->busy == NAMES_AT_ONCE)
			continue;
		m->req.data = m;
		m->known = false;
		m->status = uv_getaddrinfo(
			mw_loop_uv(n->loop), &m->req, looked_up, m->host, NULL, &hints);
		m->busy = m->status == 0;
		n->busy += m->busy;
		if (!m->busy)
			tell(m);
	}
}

/* The oldest name that nobody waits for goes. */
static void make_room(struct names *n)
{
	struct name **oldest = NULL, *m;

	for (struct name **p = &n->first; *p != NULL; p = &(*p)->next)
		if (!(*p)->busy && (*p)->questions == NULL &&
			(oldest == NULL || (*p)->at_ms < (*oldest)->at_ms))
			oldest = p;
	if (oldest == NULL)
		return; /* each is asked for by a connection, and these are bounded */
	m = *oldest;
	*oldest = m->next;
	n->count--;
	name_free(m);
}

static struct name *find(struct names *n, const char *host)
{
	struct name *m = n->first;

	while (m != NULL && !mw_ieq(m->host, host))
		m = m->next;
	if (m != NULL)
		return m;
	if (n->count >= NAMES_KEPT)
		make_room(n);
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return NULL;
	m->names = n;
	mw_strlcpy(m->host, host, sizeof(m->host));
	m->next = n->first;
	n->first = m;
	n->count++;
	return m;
}

struct names_question *names_ask(struct names *n, const char *host,
	void (*answer)(void *arg, int status, const struct names_addresses *a), void *arg)
{
	struct name *m = find(n, host);
	struct names_question *q = m != NULL ? calloc(1, sizeof(*q)) : NULL;

	if (q == NULL)
		return NULL;
	*q = (struct names_question){ .name = m,
		.answer = answer,
		.arg = arg,
		.next = m->questions,
		.prev_p = &m->questions };
	if (q->next != NULL)
		q->next->prev_p = &q->next;
	m->questions = q;
	mw_timer_start(n->soon, 0, 0);
	return q;
}
