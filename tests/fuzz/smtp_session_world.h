/*
 * What stands around an SMTP session in fuzz_smtp_session.c: a stream without a socket, mails that
 * end as the input says, a clock that only moves when told. No system call is made for any of it.
 * A header, because a target is one object; it is included once.
 */
#ifndef FUZZ_SMTP_SESSION_WORLD_H
#define FUZZ_SMTP_SESSION_WORLD_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "outcome/quarantine_priv.h"
#include "policy/mail_senders.h"
#include "intake/clients.h"
#include "intake/smtp_session_priv.h"
#include "log.h"
#include "outcome/body_plan.h"
#include "outcome/body_program.h"
#include "policy/db.h"
#include "policy/db_priv.h"
#include "policy/mail_policy.h"

#define FATES 16	 /* octets of input that say what happens next, round and round */
#define RCPTS_MOST 8	 /* the larger smtpd_recipient_limit */
#define READ_MOST 65536	 /* octets of one read, as stream.c's buffer */
#define REPLY_OCTETS 700 /* of the replies that mails here get */
#define OUT_MOST                                                                                   \
	(65536 + 16384) /* replies not yet handed over: the session's bound, and one more */

struct stream {
	const struct stream_ops *ops;
	void *owner;
	const char *left; /* of a write that was not taken at once */
	size_t left_n;
	bool reading, writing, closed, shut, tls, shaking;
};

/* A mail that was handed over. */
struct world_mail {
	char *octets;
	size_t n, rcpts;
	unsigned codes[RCPTS_MOST], code; /* as they have to be told */
	bool over;
};

static struct world {
	const uint8_t *fates;
	size_t fate;
	uint64_t now_ms;
	struct policy policy;
	struct policy_set set;
	struct listener listener;
	struct intake intake;
	struct stream *st;
	struct txn *busy; /* runs, and is not over */
	struct txn *asks; /* waits for DNS lists */
	void (*ready)(struct txn *t);
	size_t txns;
	bool full; /* the queue of jobs */
	struct mw_text in, out;
	struct world_mail *mails;
	size_t mail_count;
} world;
static struct front front;

void __wrap_mw_log(enum mw_level level, const char *event, const char *fmt, ...) MW_PRINTF(3, 4);

static void require(bool promise)
{
	if (!promise)
		abort();
}

static unsigned fate(void)
{
	return world.fates[world.fate++ % FATES];
}

/* ------------------------------------------------------------------ clock, log, events */

uint64_t mw_loop_now_ms(const struct mw_loop *loop)
{
	(void)loop;
	return world.now_ms;
}

/* No databases, and none of their threads. */
bool db_enabled(const struct db *db)
{
	(void)db;
	return false;
}

bool db_trims(const struct db *db)
{
	(void)db;
	return false;
}

enum mw_rc db_enqueue_work(
	struct db *db, const struct db_ask *ask, struct db_work *w, struct db_request **request_r)
{
	(void)db;
	(void)ask;
	(void)w;
	(void)request_r;
	return MW_ERR_GONE;
}

/* Whatever a client says, it is one line. */
void __wrap_mw_log(enum mw_level level, const char *event, const char *fmt, ...)
{
	char line[4096];
	va_list args;
	int n;

	(void)level;
	va_start(args, fmt);
	n = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	require(n >= 0 && (size_t)n < sizeof(line) && mw_is_printable(event, strlen(event)));
	require(mw_is_printable(line, (size_t)n));
}

void mw_publish_alert(struct mw_publisher *p, const char *event, const char *fmt, ...)
{
	(void)p;
	(void)event;
	(void)fmt;
}

const char *dispatch_full(const struct dispatch *d)
{
	(void)d;
	return world.full ? "scan" : NULL;
}

/* ------------------------------------------------------------------ the stream */

struct stream *stream_new(
	struct mw_loop *loop, bool unix_socket, const struct stream_ops *ops, void *owner)
{
	struct stream *st = calloc(1, sizeof(*st));

	(void)loop;
	(void)unix_socket;
	require(st != NULL && world.st == NULL);
	st->ops = ops;
	st->owner = owner;
	world.st = st;
	return st;
}

int stream_accept(struct stream *st, uv_stream_t *listener)
{
	(void)st;
	(void)listener;
	return 0;
}

int stream_addresses(
	const struct stream *st, struct sockaddr_storage *peer_r, struct sockaddr_storage *local_r)
{
	(void)st;
	uv_ip4_addr("192.0.2.1", 40000, (struct sockaddr_in *)peer_r);
	uv_ip4_addr("192.0.2.2", 10024, (struct sockaddr_in *)local_r);
	return 0;
}

void stream_read(struct stream *st, bool wanted)
{
	require(!st->closed);
	st->reading = wanted;
}

/* Never a word after the last one, and no second write before the first is over. */
int stream_write(struct stream *st, uv_buf_t *bufs, unsigned count)
{
	unsigned f = fate();
	size_t n;

	require(count == 1 && bufs->len > 0 && bufs->len <= OUT_MOST);
	require(!st->closed && !st->shut && !st->writing && !st->shaking);
	if (f % 64 == 63)
		return UV_EPIPE;
	n = f % 4 == 3 ? (f / 4) % bufs->len : bufs->len;
	mw_text_add_octets(&world.out, bufs->base, n);
	if (n == bufs->len)
		return 0;
	st->left = bufs->base + n;
	st->left_n = bufs->len - n;
	st->writing = true;
	return 1;
}

static void world_written(struct stream *st, int status)
{
	if (status == 0)
		mw_text_add_octets(&world.out, st->left, st->left_n);
	st->writing = false;
	st->ops->written(st->owner, status);
}

bool stream_start_tls(struct stream *st, struct mw_tls_ctx *ctx, const char *name, bool verify)
{
	struct smtp_session *s = st->owner;

	require(ctx == world.set.tls_in && name == NULL && !verify);
	require(!st->closed && !st->tls && !st->writing && s->held_n == 0 && s->out.n == 0);
	st->tls = st->shaking = true;
	return true;
}

const char *stream_tls_describe(const struct stream *st, char buf[MW_TLS_TEXT_MAX])
{
	require(st->tls && !st->shaking);
	mw_strlcpy(buf, "TLSv1.3 with cipher X (256/256 bits)", MW_TLS_TEXT_MAX);
	return buf;
}

const char *stream_strerror(const struct stream *st, int status)
{
	(void)st;
	return uv_strerror(status);
}

int stream_shutdown(struct stream *st)
{
	require(!st->closed && !st->shut && !st->writing);
	st->shut = true;
	return fate() % 32 == 31 ? UV_ENOTCONN : 0;
}

void stream_close(struct stream **st_p)
{
	require(!(*st_p)->closed);
	(*st_p)->closed = true;
	*st_p = NULL;
}

/* ------------------------------------------------------------------ no quarantine, no lists of
 * senders
 */

struct quarantine_names quarantine_names_of(const struct txn *t, const char *digest)
{
	(void)t;
	(void)digest;
	return (struct quarantine_names){ 0 };
}

size_t mail_senders_of(struct txn *t, const char *senders[MAIL_SENDERS_MAX])
{
	(void)t;
	(void)senders;
	return 0;
}

bool mail_senders_any(const struct txn *t)
{
	(void)t;
	return false;
}

void mail_senders_hear(struct txn *t, size_t rcpt, size_t sender, struct mail_senders_said *said)
{
	(void)t;
	(void)rcpt;
	(void)sender;
	(void)said;
}

/* ------------------------------------------------------------------ mails */

/* Where there are DNS lists, they answer at once or later. */
enum mw_rc mail_policy_ready(struct txn *t, void (*ready)(struct txn *t))
{
	unsigned f = world.policy.dns_lists > 0 ? fate() : 0;

	require(world.asks == NULL && world.busy == NULL);
	if (f % 16 == 15)
		return MW_ERR_NOMEM;
	if (f % 2 == 0)
		return MW_OK;
	world.asks = t;
	world.ready = ready;
	return MW_AGAIN;
}

static void world_ready(void)
{
	struct txn *t = world.asks;

	world.asks = NULL;
	world.ready(t);
}

bool mail_policy_is_undecided(const struct txn *t)
{
	return t->undecided;
}

/* No program changes bodies, and none of libuv's threads is there for one. */
const char *body_program(struct txn *t, struct body_form *f, const char *option,
	void (*done)(struct txn *t, struct body_form *f, const char *why))
{
	(void)t;
	(void)f;
	(void)option;
	(void)done;
	return "there is none";
}

void body_cancel(struct txn *t)
{
	(void)t;
}

/* No databases answer. */
const struct db_records *mail_policy_answer(const struct txn *t, size_t i)
{
	(void)t;
	(void)i;
	return NULL;
}

/* The mail keeps its socket's policy. */
bool mail_policy_begin(struct txn *t, const char *asked)
{
	require(t->policy == &world.policy && asked == NULL && world.asks == NULL);
	t->undecided = world.policy.dns_lists > 0 && fate() % 4 == 3;
	return !t->undecided;
}

struct txn *txn_new(struct front *f, struct txn_client *client, const struct txn_origin *origin,
	const char *sender)
{
	struct txn *t = calloc(1, sizeof(*t));

	require(t != NULL && origin->helo != NULL && origin->policy == &world.policy);
	t->front = f;
	t->client = client;
	t->per_rcpt = client->per_rcpt;
	t->policy = origin->policy;
	t->sender = sender;
	t->phase = TXN_ENVELOPE;
	world.txns++;
	return t;
}

bool txn_is_full(const struct txn *t)
{
	return t->rcpt_count >= t->policy->recipient_limit;
}

enum mw_rc txn_add_rcpt(struct txn *t, const char *addr, const struct smtp_rcpt_params *params)
{
	require(t->phase == TXN_ENVELOPE && t->rcpt_count < RCPTS_MOST && *addr != '\0');
	if (t->rcpts == NULL)
		t->rcpts = smtp_arena_array(&t->arena, RCPTS_MOST, sizeof(*t->rcpts));
	require(t->rcpts != NULL);
	t->rcpts[t->rcpt_count++] = (struct txn_rcpt){ .addr = addr, .params = *params };
	return MW_OK;
}

void txn_state(struct txn *t, char letter)
{
	(void)t;
	(void)letter;
}

static void world_txn_free(struct txn *t)
{
	smtp_body_unref(&t->body);
	smtp_arena_fini(&t->arena);
	free(t);
	world.txns--;
}

void txn_abandon(struct txn **t_p)
{
	if (world.busy == *t_p)
		world.busy = NULL;
	if (world.asks == *t_p)
		world.asks = NULL;
	world_txn_free(*t_p);
	*t_p = NULL;
}

/* "CODE E.0.0 mail N", sometimes long, in lines or with what a next hop should not have said. */
static const char *world_reply(struct txn *t, unsigned code, unsigned f)
{
	static const char *const more[] = { "", "", "\nsecond\nthird", "\n" };
	char *text = smtp_arena_get(&t->arena, REPLY_OCTETS);
	size_t n;

	require(text != NULL);
	n = (size_t)snprintf(text, REPLY_OCTETS, "%u %s%s%s%s", code, f & 16 ? "" : "5.0.0 ",
		t->log_id, more[f & 3], "");
	if ((f & 12) == 12)
		for (; n + 1 < REPLY_OCTETS; n++)
			text[n] = 'x';
	text[n] = '\0';
	return text;
}

/* What the session must say of a recipient. As outcome/reply.c has it, a 2xx that nobody stands
 * behind, and what is no reply, cannot be told. */
static unsigned world_rcpt(struct txn *t, struct txn_rcpt *r)
{
	static const unsigned codes[] = { 250, 250, 451, 550, 421, 354, 250 };
	unsigned f = fate();

	r->code = codes[f % MW_COUNT(codes)];
	r->delivered = f % MW_COUNT(codes) < 2;
	r->reply = f >= 250 ? NULL : world_reply(t, r->code, f / 8);
	r->told = r->code == 354 || (r->code == 250 && !r->delivered) ? NULL : r->reply;
	return r->told == NULL ? 451 : r->code;
}

static void world_over(struct txn *t)
{
	static const unsigned codes[] = { 250, 250, 451, 550, 421 };
	struct world_mail *m = &world.mails[world.mail_count - 1];
	unsigned f = fate();

	require(!m->over);
	m->over = true;
	world.busy = NULL;
	t->phase = TXN_OVER;
	t->reply_code = m->code = codes[f % MW_COUNT(codes)];
	t->reply = world_reply(t, t->reply_code, f / 8);
	for (size_t i = 0; i < t->rcpt_count; i++)
		m->codes[i] = world_rcpt(t, &t->rcpts[i]);
	t->client->over(t->client, t);
	world_txn_free(t);
}

void txn_run(struct txn *t)
{
	struct mw_octets o = smtp_body_octets(t->body);
	struct world_mail *m;

	require(t->phase == TXN_DATA && t->rcpt_count > 0 && world.busy == NULL);
	require(o.n <= t->policy->message_size_limit);
	world.mails = realloc(world.mails, (world.mail_count + 1) * sizeof(*world.mails));
	require(world.mails != NULL);
	m = &world.mails[world.mail_count++];
	*m = (struct world_mail){ .n = o.n, .rcpts = t->rcpt_count, .octets = malloc(o.n + 1) };
	require(m->octets != NULL);
	memcpy(m->octets, o.p, o.n);
	snprintf(t->log_id, sizeof(t->log_id), "mail-%zu", world.mail_count - 1);
	t->phase = TXN_CHECKS;
	world.busy = t;
	if (fate() % 4 == 3)
		world_over(t);
}

/* ------------------------------------------------------------------ begin and end */

static void world_begin(const uint8_t fates[FATES])
{
	mw_text_clear(&world.in);
	mw_text_clear(&world.out);
	world.fates = fates;
	world.fate = 0;
	world.now_ms = 1000000;
	world.full = false;
	world.listener.front = &front;
	world.listener.refs = 1;
	world.listener.port = 10024;
	mw_strlcpy(world.listener.address, "192.0.2.2", sizeof(world.listener.address));
	world.set = (struct policy_set){
		.refs = 1, .base = &world.policy, .count = 1, .tls_in = (struct mw_tls_ctx *)&world
	};
	world.intake = (struct intake){ .clients = clients_new() };
	front.policies = &world.set;
	front.intake = &world.intake;
	front.bare_lf_told_ms = front.drain_until_ms = 0;
}

/* The callback from the loop, once all that was called before has returned. */
static void world_close(void)
{
	struct stream *st = world.st;

	st->ops->closed(st->owner);
	free(st);
	world.st = NULL;
}

/* Nothing is left of a session. */
static void world_end(void)
{
	require(world.st == NULL && world.busy == NULL && world.asks == NULL && world.txns == 0);
	require(world.intake.sessions == NULL && world.intake.session_count == 0);
	require(world.listener.refs == 1 && world.set.refs == 1);
	require(smtp_body_held(&front.bodies) == 0);
	clients_destroy(&world.intake.clients);
	for (size_t i = 0; i < world.mail_count; i++)
		free(world.mails[i].octets);
	free(world.mails);
	world.mails = NULL;
	world.mail_count = 0;
}

#endif
