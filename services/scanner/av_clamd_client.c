/* clamd over its socket: one session a mail, files by INSTREAM or as descriptors (FILDES). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "av_clamd.h"
#include "av_client.h"

#define HEAD_MAX 32
#define SENDS_MAX 64 /* of one turn of the loop */

struct clamd {
	struct avs_ask *ask;
	const struct avs_task *task;
	int fd;
	struct mw_fd *watch;
	bool connected, heard, refused;
	char why[AVS_WHY_MAX]; /* a file that it would not look at */
	struct clamd_session session;
	struct clamd_reader reader;
	/* What is being sent: head, data, tail; then the next of it. */
	char head[HEAD_MAX];
	struct mw_octets out[3];
	size_t file, at; /* the file at hand and how many of its octets are out */
	bool in_file;
	int pass; /* a descriptor that goes with the next octet; -1: none */
};

/* ------------------------------------------------------------------ letting go */

static void clamd_free(struct clamd *c)
{
	mw_fd_destroy(&c->watch);
	if (c->fd >= 0)
		close(c->fd);
	if (c->pass >= 0)
		close(c->pass);
	free(c);
}

static void clamd_cancel(struct avs_ask *ask)
{
	struct avs_task *t = avs_ask_task(ask);

	if (t->client != NULL)
		clamd_free(t->client);
	t->client = NULL;
}

static void clamd_end(struct clamd *c, enum avs_answer answer, const char *why)
{
	struct avs_ask *ask = c->ask;
	char text[AVS_WHY_MAX];

	mw_strlcpy(text, why, sizeof(text));
	clamd_cancel(ask);
	avs_ask_end(ask, answer, text);
}

/* The connection broke. Before the first word it may be that clamd was just started anew. */
static void clamd_broke(struct clamd *c, const char *why)
{
	struct avs_ask *ask = c->ask;

	if (c->heard) { /* it closes, too, where a file is larger than its StreamMaxLength */
		clamd_end(c, c->refused ? AVS_REFUSED : AVS_FAILED, c->refused ? c->why : why);
		return;
	}
	clamd_cancel(ask);
	avs_ask_again(ask, why);
}

/* ------------------------------------------------------------------ what is sent */

static void put_length(char head[4], size_t n)
{
	head[0] = (char)(n >> 24);
	head[1] = (char)(n >> 16);
	head[2] = (char)(n >> 8);
	head[3] = (char)n;
}

/* A chunk (its length in four octets, the high one first, then its octets), the end of the file
 * behind the last one. */
static void next_chunk(struct clamd *c, size_t head)
{
	static const char end[4] = { 0 };
	const struct avs_file *f = &c->task->files[c->file];
	struct mw_octets chunk = avs_file_at(f, c->at, CLAMD_CHUNK_MAX);

	if (chunk.n > 0) {
		put_length(c->head + head, chunk.n);
		head += 4;
	}
	c->at += chunk.n;
	c->out[0] = mw_octets_of(c->head, head);
	c->out[1] = chunk;
	c->out[2] = mw_octets_of(end, c->at >= f->octets ? sizeof(end) : 0);
	c->in_file = c->at < f->octets;
	c->file += !c->in_file;
}

/* A file of its own, because clamd looks at all that a descriptor shows. -1 with errno. */
static int file_descriptor(const struct avs_file *f)
{
	int fd = memfd_create("mailweir", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	for (unsigned i = 0; fd >= 0 && i < f->piece_count; i++)
		for (size_t at = 0; at < f->pieces[i].n;) {
			ssize_t n = write(fd, f->pieces[i].p + at, f->pieces[i].n - at);

			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0) {
				close(fd);
				return -1;
			}
			at += (size_t)n;
		}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

static bool next_descriptor(struct clamd *c, size_t head)
{
	c->pass = file_descriptor(&c->task->files[c->file++]);
	c->out[0] = mw_octets_of(c->head, head);
	c->out[1] = c->out[2] = mw_octets_of(NULL, 0);
	return c->pass >= 0;
}

/* Fill out with what comes next. MW_AGAIN: nothing, for now; MW_ERR_IO: no descriptor. */
static enum mw_rc next_out(struct clamd *c)
{
	static const char begin[] = "zIDSESSION", instream[] = "zINSTREAM", fildes[] = "zFILDES";
	const char *command = c->task->entry->by_descriptor ? fildes : instream;
	size_t n = 0;

	if (c->in_file) {
		next_chunk(c, 0);
		return MW_OK;
	}
	if (c->file == c->task->file_count || !clamd_may_ask(&c->session))
		return MW_AGAIN;
	if (c->session.asked == 0) {
		memcpy(c->head, begin, sizeof(begin)); /* with its NUL, which ends a command */
		n = sizeof(begin);
	}
	memcpy(c->head + n, command, strlen(command) + 1);
	n += strlen(command) + 1;
	clamd_asked(&c->session, c->file);
	c->at = 0;
	if (c->task->entry->by_descriptor)
		return next_descriptor(c, n) ? MW_OK : MW_ERR_IO;
	next_chunk(c, n);
	return MW_OK;
}

/* The descriptor goes with an octet of its own, behind the command: so does clamdscan. */
static enum mw_rc send_descriptor(struct clamd *c)
{
	static const char nothing[1] = { 0 };
	enum mw_rc rc = scan_send(c->fd, mw_octets_of(nothing, 1), NULL, 0, c->pass);

	if (rc == MW_OK) {
		close(c->pass);
		c->pass = -1;
	}
	return rc;
}

static enum mw_rc send_out(struct clamd *c)
{
	struct iovec v[3];
	struct msghdr m = { .msg_iov = v };
	ssize_t n;

	for (unsigned i = 0; i < 3; i++)
		if (c->out[i].n > 0)
			v[m.msg_iovlen++] = (struct iovec){ (void *)c->out[i].p, c->out[i].n };
	if (m.msg_iovlen == 0)
		return c->pass >= 0 ? send_descriptor(c) : MW_OK;
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

static bool is_out(const struct clamd *c)
{
	return c->out[0].n + c->out[1].n + c->out[2].n == 0 && c->pass < 0;
}

/* MW_OK: nothing to be sent now. */
static enum mw_rc clamd_send(struct clamd *c)
{
	for (int i = 0; i < SENDS_MAX; i++) {
		enum mw_rc rc = is_out(c) ? next_out(c) : MW_OK;

		if (rc != MW_OK)
			return rc == MW_AGAIN ? MW_OK : rc;
		rc = send_out(c);
		if (rc != MW_OK)
			return rc;
	}
	return MW_AGAIN; /* let others run */
}

/* ------------------------------------------------------------------ what comes back */

/* False: the session is over, and c is no more. */
static bool take_reply(struct clamd *c, const struct clamd_reply *r)
{
	size_t file;

	bool is_last = r->id == c->session.asked;

	c->heard = true;
	if (!clamd_answered(&c->session, r->id, &file)) {
		clamd_end(c, AVS_FAILED, "answers what was not asked");
		return false;
	}
	if (r->word == CLAMD_OK && is_last && (c->in_file || !is_out(c))) {
		clamd_end(c, AVS_FAILED, "answers before it has the whole file");
		return false;
	}
	if (r->word == CLAMD_FOUND)
		avs_ask_virus(c->ask, r->text, file);
	if (r->word == CLAMD_ERROR && !c->refused) {
		c->refused = true;
		mw_strlcpy(c->why, r->text, sizeof(c->why));
	}
	return true;
}

static bool clamd_receive(struct clamd *c)
{
	unsigned char buf[8192];
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);
	struct mw_octets in = mw_octets_of(buf, n > 0 ? (size_t)n : 0);
	struct clamd_reply r = { 0 };
	int rc;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) {
		clamd_broke(c, n == 0 ? "clamd closed the connection" : strerror(errno));
		return false;
	}
	while ((rc = clamd_read(&c->reader, &in, &r)) > 0)
		if (!take_reply(c, &r))
			return false;
	if (rc < 0) {
		clamd_end(c, AVS_FAILED, r.text);
		return false;
	}
	return true;
}

static void clamd_ready(void *arg, int events)
{
	struct clamd *c = arg;
	enum mw_rc rc;

	if (!c->connected) {
		int error = address_error(c->fd);

		if (error != 0) {
			clamd_broke(c, strerror(error));
			return;
		}
		c->connected = true;
		avs_ask_connected(c->ask);
	}
	/* What it has to say comes first: it may be why it hears no more. */
	if ((events & MW_READABLE) != 0 && !clamd_receive(c))
		return;
	rc = clamd_send(c);
	if (rc == MW_ERR_IO) {
		clamd_end(c, AVS_FAILED, "no room for a file");
		return;
	}
	if (rc == MW_ERR_GONE) { /* its last words, then the end: both are read */
		mw_fd_watch(c->watch, MW_READABLE);
		return;
	}
	if (rc == MW_OK && c->file == c->task->file_count && c->session.waiting == 0 && is_out(c)) {
		scan_send(c->fd, mw_octets_of("zEND", 5), NULL, 0, -1);
		clamd_end(c, c->refused ? AVS_REFUSED : AVS_CLEAN, c->why);
		return;
	}
	mw_fd_watch(c->watch, MW_READABLE | (rc == MW_AGAIN ? MW_WRITABLE : 0));
}

static void clamd_start(struct avs_ask *ask)
{
	struct avs_task *t = avs_ask_task(ask);
	struct clamd *c = calloc(1, sizeof(*c));
	int error = 0;

	if (c == NULL) {
		avs_ask_end(ask, AVS_FAILED, "no memory");
		return;
	}
	c->ask = ask;
	c->task = t;
	c->pass = -1;
	t->client = c;
	if (address_connect(&t->entry->address, &c->fd, &error) != MW_OK) {
		clamd_broke(c, strerror(error));
		return;
	}
	c->watch = mw_fd_new(t->loop, c->fd, clamd_ready, c);
	mw_fd_watch(c->watch, MW_WRITABLE);
}

const struct avs_client avs_clamd_client = { .start = clamd_start, .cancel = clamd_cancel };
