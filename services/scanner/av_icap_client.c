/* An ICAP server over its socket: files one after the other on one connection, which is kept for
 * the next mail. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "av_client.h"
#include "av_icap.h"

#define CHUNK_MAX (64 * 1024)
#define IDLE_MAX 16 /* connections that are kept for the next mail */
#define OPTIONS_MS                                                                                 \
	(10 * 60 * 1000) /* what the server said of itself is believed so long, or as it says */
#define SENDS_MAX 64

/* What is known of a server from mail to mail. */
struct icap_server {
	bool known;
	long preview; /* -1: it wants none */
	uint64_t known_until_ms;
	unsigned idle_count;
	int idle[IDLE_MAX];
};

struct icap {
	struct avs_ask *ask;
	const struct avs_task *task;
	struct icap_server *server;
	int fd;
	struct mw_fd *watch;
	bool connected, reused, heard;
	bool options; /* OPTIONS is being asked */
	size_t file;
	/* the request at hand */
	long preview;	      /* as its head says; another mail may ask the server anew meanwhile */
	bool need_head, done; /* done: nothing more is to be sent, for now or at all */
	size_t at, limit;     /* octets of the file that are out; of what is sent in one go */
	char head[ICAP_HEAD_ROOM], tail[16];
	struct mw_octets out[3];
	/* the response */
	struct icap_reader in;
	size_t same; /* octets of its body that are the file's */
	bool changed;
	bool refused;
	char why[AVS_WHY_MAX];
};

/* ------------------------------------------------------------------ connections */

static void icap_disconnect(struct icap *c, bool keep)
{
	struct icap_server *s = c->server;

	mw_fd_destroy(&c->watch);
	if (c->fd >= 0 && keep && s->idle_count < IDLE_MAX)
		s->idle[s->idle_count++] = c->fd;
	else if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static void icap_let_go(struct avs_ask *ask, bool keep)
{
	struct avs_task *t = avs_ask_task(ask);
	struct icap *c = t->client;

	t->client = NULL;
	if (c == NULL)
		return;
	icap_disconnect(c, keep);
	free(c);
}

static void icap_cancel(struct avs_ask *ask)
{
	icap_let_go(ask, false);
}

static void icap_forget(void **kept)
{
	struct icap_server *s = *kept;

	*kept = NULL;
	for (unsigned i = 0; i < s->idle_count; i++)
		close(s->idle[i]);
	free(s);
}

/* One that is idle and still there; -1: none. Whoever speaks unasked is not spoken with. */
static int idle_connection(struct icap_server *s)
{
	while (s->idle_count > 0) {
		int fd = s->idle[--s->idle_count];
		char c;

		if (recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN)
			return fd;
		close(fd);
	}
	return -1;
}

static void icap_end(struct icap *c, enum avs_answer answer, const char *why, bool keep)
{
	struct avs_ask *ask = c->ask;
	char text[AVS_WHY_MAX];

	mw_strlcpy(text, why, sizeof(text));
	icap_let_go(ask, keep);
	avs_ask_end(ask, answer, text);
}

static void icap_connect(struct icap *c);

/* A connection that was kept may have died of age: that is nobody's fault, once. */
static void icap_broke(struct icap *c, const char *why)
{
	struct avs_ask *ask = c->ask;

	if (c->reused && !c->heard) {
		icap_disconnect(c, false);
		icap_connect(c);
		return;
	}
	if (c->heard) {
		icap_end(c, AVS_FAILED, why, false);
		return;
	}
	icap_cancel(ask);
	avs_ask_again(ask, why);
}

/* ------------------------------------------------------------------ what is sent */

static void begin_file(struct icap *c)
{
	const struct avs_file *f = &c->task->files[c->file];
	size_t preview;

	c->preview = c->server->preview;
	preview = c->preview >= 0 ? (size_t)c->preview : SIZE_MAX;
	c->at = c->same = 0;
	c->limit = preview < f->octets ? preview : f->octets;
	c->need_head = true;
	c->done = c->changed = false;
	icap_begin(&c->in);
}

static void begin(struct icap *c)
{
	c->options = !c->server->known || mw_mono_ms() >= c->server->known_until_ms;
	c->file = 0;
	for (unsigned i = 0; i < 3; i++)
		c->out[i] = mw_octets_of(NULL, 0);
	begin_file(c);
}

static size_t put_head(struct icap *c)
{
	const struct avs_entry *e = c->task->entry;
	struct icap_request q = { .host = e->host,
		.service = e->service,
		.reqmod = e->reqmod,
		.octets = c->task->files[c->file].octets,
		.preview = c->preview };

	if (!c->need_head)
		return 0;
	c->need_head = false;
	return c->options ? icap_options_head(c->head, sizeof(c->head), &q)
			  : icap_request_head(c->head, sizeof(c->head), &q);
}

/* The end of the preview, of a file that is all in it (RFC 3507 section 4.5), or of the file. */
static const char *end_of(const struct icap *c)
{
	bool preview = c->preview >= 0 && c->limit <= (size_t)c->preview,
	     whole = c->limit == c->task->files[c->file].octets;

	return preview && whole ? "0; ieof\r\n\r\n" : "0\r\n\r\n";
}

static void next_out(struct icap *c)
{
	const struct avs_file *f = &c->task->files[c->file];
	struct mw_octets chunk = { NULL, 0 };
	size_t n = put_head(c), most = c->limit - c->at;

	if (!c->options) {
		chunk = avs_file_at(f, c->at, most < CHUNK_MAX ? most : CHUNK_MAX);
		if (chunk.n > 0)
			n += (size_t)snprintf(c->head + n, sizeof(c->head) - n, "%zx\r\n", chunk.n);
		c->at += chunk.n;
		c->done = c->at == c->limit;
		snprintf(c->tail, sizeof(c->tail), "%s%s", chunk.n > 0 ? "\r\n" : "",
			c->done ? end_of(c) : "");
	} else {
		c->done = true;
		c->tail[0] = '\0';
	}
	c->out[0] = mw_octets_of(c->head, n);
	c->out[1] = chunk;
	c->out[2] = mw_octets_of_text(c->tail);
}

static enum mw_rc send_out(struct icap *c)
{
	struct iovec v[3];
	struct msghdr m = { .msg_iov = v };
	ssize_t n;

	for (unsigned i = 0; i < 3; i++)
		if (c->out[i].n > 0)
			v[m.msg_iovlen++] = (struct iovec){ (void *)c->out[i].p, c->out[i].n };
	n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? MW_AGAIN : MW_ERR_GONE;
	for (unsigned i = 0; i < 3; i++) {
		size_t took = (size_t)n < c->out[i].n ? (size_t)n : c->out[i].n;

		c->out[i] = mw_octets_of(c->out[i].p + took, c->out[i].n - took);
		n -= (ssize_t)took;
	}
	return MW_OK;
}

static bool is_out(const struct icap *c)
{
	return c->out[0].n + c->out[1].n + c->out[2].n == 0;
}

/* MW_OK: nothing to be sent now. */
static enum mw_rc icap_send(struct icap *c)
{
	for (int i = 0; i < SENDS_MAX; i++) {
		enum mw_rc rc;

		if (is_out(c) && c->done)
			return MW_OK;
		if (is_out(c))
			next_out(c);
		rc = send_out(c);
		if (rc != MW_OK)
			return rc;
	}
	return MW_AGAIN;
}

/* ------------------------------------------------------------------ what comes back */

static void compare(struct icap *c, struct mw_octets body)
{
	const struct avs_file *f = &c->task->files[c->file];

	while (body.n > 0 && !c->changed) {
		struct mw_octets ours = avs_file_at(f, c->same, body.n);

		c->changed = ours.n == 0 || memcmp(ours.p, body.p, ours.n) != 0;
		c->same += ours.n;
		body = mw_octets_of(body.p + ours.n, body.n - ours.n);
	}
}

static void refuse(struct icap *c, const char *why)
{
	if (!c->refused)
		mw_strlcpy(c->why, why, sizeof(c->why));
	c->refused = true;
}

/* What a final response says of the file. Whoever finds nothing before the file's end, behind a
 * preview too, has not looked at all of it. */
static void judge(struct icap *c)
{
	const struct icap_reader *r = &c->in;
	/* Asked for a request, a server that blocks it answers with a page of its own. */
	bool page = r->inner >= 400 || (c->task->entry->reqmod && r->inner != 0);
	bool whole = c->at == c->task->files[c->file].octets && is_out(c);
	char why[AVS_WHY_MAX];

	if (r->infected) {
		avs_ask_virus(c->ask, r->name, c->file);
	} else if (r->status != 200 && r->status != 204) {
		snprintf(why, sizeof(why), "ICAP status %u", r->status);
		refuse(c, why);
	} else if (r->status == 200 && page) {
		avs_ask_virus(c->ask, "blocked", c->file);
	} else if (!whole) {
		refuse(c, "answered before it had the whole file");
	} else if (r->status == 204) {
		return;
	} else if (c->changed || c->same != c->task->files[c->file].octets) {
		refuse(c, "changed the file without a word");
	}
}

static void take_options(struct icap *c)
{
	const struct icap_reader *r = &c->in;

	c->server->known = true;
	c->server->preview = r->preview;
	c->server->known_until_ms =
		mw_mono_ms() + (r->ttl_s != 0 ? (uint64_t)r->ttl_s * 1000 : OPTIONS_MS);
	c->options = false;
}

/* A response is whole. False: c is no more. */
static bool take_response(struct icap *c)
{
	bool close = c->in.close;

	if (c->options) {
		if (c->in.status != 200) {
			char why[AVS_WHY_MAX];

			snprintf(why, sizeof(why), "OPTIONS: ICAP status %u", c->in.status);
			icap_end(c, AVS_FAILED, why, false);
			return false;
		}
		take_options(c);
		begin_file(c);
	} else if (c->in.status == 100 && c->done && is_out(c) &&
		   c->limit < c->task->files[c->file].octets) {
		c->limit = c->task->files[c->file].octets; /* it wants the rest */
		c->done = false;
		icap_begin(&c->in);
		return true;
	} else if (c->in.status ==
		   100) { /* the answer to come would be taken for the next file's */
		icap_end(c, AVS_FAILED, "100 Continue where nothing is left", false);
		return false;
	} else {
		/* An answer before the end of the file: what is left of it cannot be taken back. */
		close = close || !is_out(c) || !c->done;
		judge(c);
		c->file++;
		if (c->file == c->task->file_count) {
			icap_end(c, c->refused ? AVS_REFUSED : AVS_CLEAN, c->why, !close);
			return false;
		}
		begin_file(c);
	}
	if (close) { /* the next file over another connection */
		icap_disconnect(c, false);
		for (unsigned i = 0; i < 3; i++)
			c->out[i] = mw_octets_of(NULL, 0);
		icap_connect(c);
		return false; /* nothing more to be done with the one that was */
	}
	return true;
}

static bool icap_receive(struct icap *c)
{
	unsigned char buf[16384];
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);
	struct mw_octets in = mw_octets_of(buf, n > 0 ? (size_t)n : 0), body;
	const char *why = "";

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) {
		icap_broke(c, n == 0 ? "the server closed the connection" : strerror(errno));
		return false;
	}
	c->heard = true;
	while (in.n > 0) {
		int rc = icap_take(&c->in, &in, &body, &why);

		if (rc == 2) {
			compare(c, body);
		} else if (rc == 1 && in.n > 0) {
			icap_end(c, AVS_FAILED, "answers what was not asked", false);
			return false;
		} else if (rc == 1) {
			return take_response(c);
		} else if (rc < 0) {
			icap_end(c, AVS_FAILED, why, false);
			return false;
		}
	}
	return true;
}

static void icap_ready(void *arg, int events)
{
	struct icap *c = arg;
	enum mw_rc rc;

	if (!c->connected) {
		int error = address_error(c->fd);

		if (error != 0) {
			icap_broke(c, strerror(error));
			return;
		}
		c->connected = true;
		avs_ask_connected(c->ask);
	}
	if ((events & MW_READABLE) != 0 && !icap_receive(c))
		return;
	rc = icap_send(c);
	/* A server that hears no more may have said why: its words, then the end, are read. */
	mw_fd_watch(c->watch, MW_READABLE | (rc == MW_AGAIN ? MW_WRITABLE : 0));
}

/* From the file at hand on: those before it are judged. */
static void icap_connect(struct icap *c)
{
	size_t file = c->file;
	int error = 0;

	c->connected = c->heard = c->reused = false;
	if (address_connect(&c->task->entry->address, &c->fd, &error) != MW_OK) {
		icap_broke(c, strerror(error));
		return;
	}
	begin(c);
	c->file = file;
	begin_file(c);
	c->watch = mw_fd_new(c->task->loop, c->fd, icap_ready, c);
	mw_fd_watch(c->watch, MW_WRITABLE);
}

static void icap_start(struct avs_ask *ask)
{
	struct avs_task *t = avs_ask_task(ask);
	struct icap_server *s = *t->kept;
	struct icap *c = calloc(1, sizeof(*c));

	if (s == NULL)
		*t->kept = s = calloc(1, sizeof(*s));
	if (c == NULL || s == NULL) {
		free(c);
		avs_ask_end(ask, AVS_FAILED, "no memory");
		return;
	}
	t->client = c;
	c->ask = ask;
	c->task = t;
	c->server = s;
	c->fd = idle_connection(s);
	if (c->fd < 0) {
		icap_connect(c);
		return;
	}
	c->reused = true;
	begin(c);
	c->watch = mw_fd_new(t->loop, c->fd, icap_ready, c);
	mw_fd_watch(c->watch, MW_WRITABLE);
}

const struct avs_client avs_icap_client = {
	.start = icap_start, .cancel = icap_cancel, .forget = icap_forget
};
