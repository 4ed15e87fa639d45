/* The only file of the logger that includes hiredis (0.14). */
#include "redis_out.h"

#include <hiredis/async.h>
#include <stdio.h>
#include <stdlib.h>
#include "log.h"
#include "record_json.h"

#define IN_FLIGHT_LINES 256
#define IN_FLIGHT_OCTETS (1024 * 1024)
#define ANSWER_MS 5000 /* for connecting and for any answer */
#define RETRY_FIRST_MS 100
#define RETRY_MOST_MS 5000
#define REPLY_OCTETS_MAX (64 * 1024) /* unread; answers here are numbers and short words */

enum state { DOWN, RESOLVING, GREETING, UP };

struct logsvc_redis {
	struct mw_loop *loop;
	struct logsvc_lines *lines;
	struct logsvc_cursor cursor;
	struct logsvc_redis_conf conf;
	const char *host; /* ours, for gap lines */
	int64_t limit;
	size_t place; /* in conf, the one in use */
	struct logsvc_redis_place
		target; /* where to connect: the place, or the master its sentinel named */
	enum state state;
	redisAsyncContext *ac;
	struct mw_fd *fd;
	int events;
	struct mw_timer *timer; /* DOWN: next try; else: the answer's deadline */
	uint64_t retry_ms;
	uv_getaddrinfo_t resolve;
	struct logsvc_line *sent; /* the next line to send; NULL: all are on the way */
	size_t in_flight, in_flight_octets;
	uint64_t telling;	/* skipped lines that the gap line on the way tells of */
	bool handling, dropped; /* hiredis is calling us: the context is freed after that */
	const char *why;	/* it was dropped */
	bool follow;		/* dropped because a sentinel named the target */
	bool resolving, told_down, closed;
};

/* ------------------------------------------------------------------ hiredis on our loop */

static void watch(struct logsvc_redis *r, int events)
{
	if (r->events == events || r->fd == NULL)
		return;
	r->events = events;
	mw_fd_watch(r->fd, events);
}

static void add_read(void *data)
{
	struct logsvc_redis *r = data;

	watch(r, r->events | MW_READABLE);
}

static void del_read(void *data)
{
	struct logsvc_redis *r = data;

	watch(r, r->events & ~MW_READABLE);
}

static void add_write(void *data)
{
	struct logsvc_redis *r = data;

	watch(r, r->events | MW_WRITABLE);
}

static void del_write(void *data)
{
	struct logsvc_redis *r = data;

	watch(r, r->events & ~MW_WRITABLE);
}

/* hiredis is done with the context, for whatever reason. */
static void cleanup(void *data)
{
	struct logsvc_redis *r = data;

	if (r->fd != NULL)
		mw_fd_destroy(&r->fd);
	r->ac = NULL;
}

static void lost(struct logsvc_redis *r, const char *why);
static void follow(struct logsvc_redis *r);

static void fd_ready(void *arg, int events)
{
	struct logsvc_redis *r = arg;
	redisAsyncContext *ac = r->ac;

	r->handling = true;
	if ((events & MW_READABLE) != 0) {
		if (ac->c.reader != NULL && ac->c.reader->len > REPLY_OCTETS_MAX)
			r->dropped = true;
		else
			redisAsyncHandleRead(ac);
	}
	if ((events & MW_WRITABLE) != 0 && r->ac == ac && !r->dropped)
		redisAsyncHandleWrite(ac);
	r->handling = false;
	if (r->follow)
		follow(r);
	else if (r->ac == NULL || r->dropped)
		lost(r, r->why != NULL ? r->why : "connection closed");
}

/* ------------------------------------------------------------------ up and down */

static void drop_context(struct logsvc_redis *r)
{
	redisAsyncContext *ac = r->ac;

	if (ac == NULL)
		return;
	if (r->handling) {
		r->dropped = true;
		return;
	}
	redisAsyncFree(ac); /* pending callbacks get NULL; ends in cleanup */
	r->ac = NULL;
}

/* Start again from the line at the cursor, at the next server, after a while. */
static void lost(struct logsvc_redis *r, const char *why)
{
	if (r->closed)
		return;
	drop_context(r);
	if (r->handling) {
		r->why = why;
		return; /* fd_ready calls again */
	}
	r->dropped = false;
	r->why = NULL;
	if (!r->told_down)
		mw_log(MW_WARN, "redis_down", "server=%s port=%u reason=%s waiting=%llu",
			mw_quote(r->target.host), r->target.port, mw_quote(why),
			(unsigned long long)r->cursor.waiting);
	r->told_down = true;
	r->state = DOWN;
	r->sent = NULL;
	r->in_flight = 0;
	r->in_flight_octets = 0;
	r->telling = 0;
	r->place = (r->place + 1) % r->conf.count;
	mw_timer_start(r->timer, r->retry_ms, 0);
	r->retry_ms = r->retry_ms * 2 < RETRY_MOST_MS ? r->retry_ms * 2 : RETRY_MOST_MS;
}

static void send_lines(struct logsvc_redis *r);

static void came_up(struct logsvc_redis *r)
{
	mw_log(MW_INFO, "redis_up", "server=%s port=%u waiting=%llu", mw_quote(r->target.host),
		r->target.port, (unsigned long long)r->cursor.waiting);
	r->told_down = false;
	r->retry_ms = RETRY_FIRST_MS;
	r->state = UP;
	r->sent = r->cursor.at;
	mw_timer_stop(r->timer);
	send_lines(r);
}

/* ------------------------------------------------------------------ lines */

/* Lines for which there is no key need nothing of us. */
static void pass_keyless(struct logsvc_redis *r)
{
	while (r->cursor.at != NULL && r->cursor.at != r->sent && r->cursor.at->redis_key == NULL)
		logsvc_cursor_next(r->lines, &r->cursor);
}

static bool refused(struct logsvc_redis *r, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ERROR)
		return false;
	mw_log(MW_ERROR, "redis_refused", "server=%s answer=%s", mw_quote(r->target.host),
		mw_quote(reply->str));
	r->retry_ms = RETRY_MOST_MS / 5;
	lost(r, "it refused a line");
	return true;
}

static void line_pushed(redisAsyncContext *ac, void *answer, void *data)
{
	struct logsvc_redis *r = ac->data;

	(void)data;
	if (answer == NULL || r->dropped || r->closed || refused(r, answer))
		return;
	pass_keyless(r);
	r->in_flight--;
	r->in_flight_octets -= r->cursor.at->n;
	logsvc_cursor_next(r->lines, &r->cursor);
	if (r->in_flight == 0)
		mw_timer_stop(r->timer);
	else
		mw_timer_start(r->timer, ANSWER_MS, 0);
	send_lines(r);
}

static void gap_pushed(redisAsyncContext *ac, void *answer, void *data)
{
	struct logsvc_redis *r = ac->data;

	(void)data;
	if (answer == NULL || r->dropped || r->closed || refused(r, answer))
		return;
	r->cursor.untold -= r->telling;
	r->telling = 0;
}

static void trimmed(redisAsyncContext *ac, void *answer, void *data)
{
	(void)ac;
	(void)answer;
	(void)data;
}

static bool push(struct logsvc_redis *r, redisCallbackFn *answered, const char *key,
	const char *text, size_t n)
{
	return redisAsyncCommand(r->ac, answered, NULL, "RPUSH %s %b", key, text, n) == REDIS_OK &&
	       redisAsyncCommand(r->ac, trimmed, NULL, "LTRIM %s %lld -1", key,
		       (long long)-r->limit) == REDIS_OK;
}

/* Lines were skipped while Redis was down: say how many, before those that came later. */
static bool push_gap(struct logsvc_redis *r)
{
	const struct logsvc_note note = { .host = r->host, .time_ms = mw_wall_ms() };
	struct mw_text text = { 0 };
	bool good;

	if (r->cursor.untold == 0 || r->telling > 0 || r->sent->redis_key == NULL)
		return true;
	logsvc_gap_json(&text, &note, 0, 0, r->cursor.untold, "queue");
	good = !text.failed && push(r, gap_pushed, r->sent->redis_key, text.p, text.n);
	r->telling = r->cursor.untold;
	mw_text_fini(&text);
	return good;
}

static void send_lines(struct logsvc_redis *r)
{
	if (r->state != UP)
		return;
	while (r->sent != NULL && r->in_flight < IN_FLIGHT_LINES &&
		r->in_flight_octets < IN_FLIGHT_OCTETS) {
		struct logsvc_line *line = r->sent;

		if (line->redis_key != NULL) {
			if (!push_gap(r) ||
				!push(r, line_pushed, line->redis_key, line->text, line->n - 1)) {
				lost(r, "cannot send");
				return;
			}
			if (r->in_flight++ == 0)
				mw_timer_start(r->timer, ANSWER_MS, 0);
			r->in_flight_octets += line->n;
		}
		r->sent = line->next;
	}
	if (r->in_flight == 0)
		pass_keyless(r);
}

static void more(void *arg, struct logsvc_line *line)
{
	struct logsvc_redis *r = arg;

	if (r->state == UP && r->sent == NULL)
		r->sent = line;
	send_lines(r);
}

static void before_skip(void *arg)
{
	struct logsvc_redis *r = arg;

	/* Answers still to come would be taken for the wrong lines. */
	if (r->state == UP && r->in_flight > 0)
		lost(r, "queue full");
}

/* ------------------------------------------------------------------ connecting */

static void selected(redisAsyncContext *ac, void *answer, void *data)
{
	struct logsvc_redis *r = ac->data;

	(void)data;
	if (answer == NULL || r->dropped || r->closed || refused(r, answer))
		return;
	came_up(r);
}

/* The sentinel's answer: [address, port], or nil when it knows no such master. */
static void master_named(redisAsyncContext *ac, void *answer, void *data)
{
	struct logsvc_redis *r = ac->data;
	const redisReply *reply = answer;

	(void)data;
	if (reply == NULL || r->dropped || r->closed)
		return;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
		reply->element[0]->type != REDIS_REPLY_STRING ||
		reply->element[1]->type != REDIS_REPLY_STRING ||
		!mw_strncpy(r->target.host, sizeof(r->target.host), reply->element[0]->str,
			(size_t)reply->element[0]->len)) {
		lost(r, "the sentinel knows no such master");
		return;
	}
	r->target.port = (uint16_t)strtoul(reply->element[1]->str, NULL, 10);
	r->target.master[0] = '\0';
	r->follow = true;
	drop_context(r);
}

static void greet(struct logsvc_redis *r)
{
	const struct logsvc_redis_place *t = &r->target;
	bool good = true;

	r->state = GREETING;
	if (*t->password != '\0')
		good = redisAsyncCommand(r->ac, trimmed, NULL, "AUTH %s", t->password) == REDIS_OK;
	if (*t->master != '\0')
		good = good &&
		       redisAsyncCommand(r->ac, master_named, NULL,
			       "SENTINEL get-master-addr-by-name %s", t->master) == REDIS_OK;
	else
		good = good &&
		       redisAsyncCommand(r->ac, selected, NULL, "SELECT %d", t->db) == REDIS_OK;
	if (!good)
		lost(r, "cannot send");
}

static void connect_target(struct logsvc_redis *r, const char *address)
{
	redisAsyncContext *ac = r->target.port == 0 ? redisAsyncConnectUnix(address)
						    : redisAsyncConnect(address, r->target.port);

	if (ac == NULL || ac->err != 0) {
		if (ac != NULL)
			redisAsyncFree(ac);
		lost(r, "cannot connect");
		return;
	}
	r->events = 0;
	r->fd = mw_fd_new(r->loop, ac->c.fd, fd_ready, r);
	if (r->fd == NULL) {
		redisAsyncFree(ac);
		lost(r, "the loop does not take its socket");
		return;
	}
	ac->data = r;
	ac->ev.data = r;
	ac->ev.addRead = add_read;
	ac->ev.delRead = del_read;
	ac->ev.addWrite = add_write;
	ac->ev.delWrite = del_write;
	ac->ev.cleanup = cleanup;
	r->ac = ac;
	mw_timer_start(r->timer, ANSWER_MS, 0);
	greet(r);
}

static void resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct logsvc_redis *r = req->data;
	char address[64];

	r->resolving = false;
	if (r->closed) {
		uv_freeaddrinfo(list);
		free(r);
		return;
	}
	if (status == 0 && list != NULL &&
		getnameinfo(list->ai_addr, list->ai_addrlen, address, sizeof(address), NULL, 0,
			NI_NUMERICHOST) == 0)
		connect_target(r, address);
	else
		lost(r, "its name has no address");
	uv_freeaddrinfo(list);
}

/* hiredis looks names up with a call that blocks: it gets addresses only. */
static void try_target(struct logsvc_redis *r)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };

	r->state = RESOLVING;
	if (r->target.port == 0) {
		connect_target(r, r->target.host);
		return;
	}
	r->resolve.data = r;
	mw_timer_stop(r->timer); /* the resolver has limits of its own, and cannot be taken back */
	if (uv_getaddrinfo(
		    mw_loop_uv(r->loop), &r->resolve, resolved, r->target.host, NULL, &hints) != 0)
		lost(r, "cannot look its name up");
	else
		r->resolving = true;
}

/* On to the master that the sentinel named. */
static void follow(struct logsvc_redis *r)
{
	r->follow = false;
	drop_context(r);
	r->dropped = false;
	try_target(r);
}

static void timer_fired(void *arg)
{
	struct logsvc_redis *r = arg;

	if (r->state != DOWN) {
		lost(r, "no answer in time");
		return;
	}
	r->target = r->conf.places[r->place];
	try_target(r);
}

/* ------------------------------------------------------------------ life */

enum mw_rc logsvc_redis_open(struct logsvc_redis **r_r, struct mw_loop *loop,
	struct logsvc_lines *lines, const struct logsvc_redis_conf *conf, int64_t limit, bool lossy,
	const char *host, struct mw_err *err_r)
{
	struct logsvc_redis *r = calloc(1, sizeof(*r));

	*r_r = NULL;
	if (r == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for an output");
	r->loop = loop;
	r->lines = lines;
	r->conf = *conf;
	r->limit = limit;
	r->host = host;
	r->retry_ms = RETRY_FIRST_MS;
	r->cursor =
		(struct logsvc_cursor){ .name = "redis", .lossy = lossy, .more = more, .arg = r };
	r->cursor.before_skip = before_skip;
	r->timer = mw_timer_new(loop, timer_fired, r);
	logsvc_lines_add_cursor(lines, &r->cursor);
	mw_timer_start(r->timer, 0, 0);
	*r_r = r;
	return MW_OK;
}

const struct logsvc_cursor *logsvc_redis_cursor(const struct logsvc_redis *r)
{
	return &r->cursor;
}

bool logsvc_redis_up(const struct logsvc_redis *r)
{
	return r->state == UP;
}

void logsvc_redis_close(struct logsvc_redis **r_p)
{
	struct logsvc_redis *r = *r_p;

	if (r == NULL)
		return;
	*r_p = NULL;
	r->closed = true;
	mw_timer_destroy(&r->timer);
	drop_context(r);
	if (r->resolving)
		(void)uv_cancel((uv_req_t *)&r->resolve); /* resolved() frees, in either case */
	else
		free(r);
}
