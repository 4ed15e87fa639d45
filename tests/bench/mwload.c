/*
 * mwload: sends mails over many connections from one epoll loop, and says how fast they were taken.
 *
 * Latency of a mail is the time from writing its MAIL FROM to reading its final reply. With --retry
 * it does as an MTA does: what was not taken for good is offered again, after a pause, until it is
 * or time is up.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "bench_tls.h"

#define REPLY_OCTETS 16384 /* of replies not read to their end yet */
#define EVENTS_AT_ONCE 256
#define OPENING_MOST 500 /* idle connections that are not there yet */
#define CORPUS_MAX 100000
#define RETRY_FIRST_MS 50 /* pause before the second attempt; doubled up to RETRY_MOST_MS */
#define RETRY_MOST_MS 1000
#define CONNECT_PAUSE_MS 50 /* after a refused or broken connection */
#define CODES 600

enum state {
	S_OFF,
	S_CONNECTING,
	S_BANNER,
	S_EHLO,
	S_STARTTLS,
	S_TLS,
	S_IDLE,
	S_MAIL,
	S_RCPT,
	S_DATA,
	S_DOT,
	S_QUIT
};

/* A mail of the corpus as it goes over the wire: dot-stuffed, CRLF, with the final CRLF.CRLF. */
struct wire_mail {
	char *p;
	size_t n;
};

/* One mail to be sent. */
struct job {
	uint64_t due_us;   /* not before */
	uint64_t first_us; /* of the first attempt */
	uint32_t attempts;
	uint16_t code; /* final reply; 0: none yet */
};

struct conn {
	int fd;
	enum state state;
	struct bench_tls tls;
	bool want_write, failed_mail;
	uint64_t due_us;       /* OFF: connect then */
	uint64_t sent_us;      /* MAIL FROM of the mail under way */
	long job;	       /* -1: none */
	unsigned replies_due;  /* pipelined: MAIL, RCPT and DATA replies still to come */
	unsigned mails;	       /* over this connection so far */
	int worst;	       /* code of the first refusal in this transaction */
	struct buf out;	       /* commands not written yet */
	struct wire_mail body; /* rest of the mail not written yet; borrowed */
	size_t in_n;
	char in[REPLY_OCTETS];
};

static struct {
	struct sockaddr_storage to;
	socklen_t to_len;
	long connections, mails, reuse, rate, retry_for_s, idle, size, timeout_s;
	const char *corpus, *from, *rcpt, *helo, *tag, *log_path;
	bool pipeline, json, lmtp, tls;
	FILE *log;
} opt = { .connections = 1,
	.mails = 1000,
	.reuse = 0,
	.retry_for_s = -1,
	.size = 5700,
	.timeout_s = 120,
	.from = "sender@load.test",
	.rcpt = "rcpt@example.org",
	.helo = "load.test" };

static int epoll_fd;
static struct mw_tls_ctx *tls_ctx;
static volatile sig_atomic_t stop;
static struct wire_mail *corpus;
static size_t corpus_count;
static struct job *jobs;
static struct conn *conns;
static uint32_t *latency_us;
static size_t latency_count;
static long next_fresh, settled, retries, disconnects, connect_errors;
static long *again; /* ring of jobs to be tried again */
static size_t again_head, again_count;
static long replies[CODES];
static uint64_t started_us;

/* ------------------------------------------------------------------ corpus */

/* CRLF line ends, dots stuffed, final dot: as it will be written. */
static struct wire_mail wire_of(const char *p, size_t n)
{
	struct buf b = { 0 };
	bool line_start = true;

	buf_room(&b, n + n / 8 + 16);
	for (size_t i = 0; i < n; i++) {
		if (line_start && p[i] == '.')
			buf_add(&b, ".", 1);
		if (p[i] == '\n' && (i == 0 || p[i - 1] != '\r'))
			buf_add(&b, "\r", 1);
		buf_add(&b, p + i, 1);
		line_start = p[i] == '\n';
	}
	if (!line_start)
		buf_text(&b, "\r\n");
	buf_text(&b, ".\r\n");
	return (struct wire_mail){ b.p, b.n };
}

static void corpus_file(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text;

	if (fd < 0 || fstat(fd, &st) != 0)
		die("cannot read %s: %s", path, strerror(errno));
	if (S_ISREG(st.st_mode)) {
		text = need(malloc((size_t)st.st_size + 1));
		if (read(fd, text, (size_t)st.st_size) != st.st_size)
			die("cannot read %s whole", path);
		corpus[corpus_count++] = wire_of(text, (size_t)st.st_size);
		free(text);
	}
	close(fd);
}

static int visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void load_corpus(void)
{
	struct dirent **names = NULL;
	char path[4096];
	int n = scandir(opt.corpus, &names, visible, alphasort);

	if (n <= 0)
		die("no mails in %s", opt.corpus);
	corpus = need(calloc((size_t)n, sizeof(*corpus)));
	for (int i = 0; i < n; i++) {
		if (i < CORPUS_MAX && i < opt.mails) {
			snprintf(path, sizeof(path), "%s/%s", opt.corpus, names[i]->d_name);
			corpus_file(path);
		}
		free(names[i]);
	}
	free(names);
	if (corpus_count == 0)
		die("no mails in %s", opt.corpus);
}

/* A plain mail of about that many octets. */
static void synthesise(size_t size)
{
	static const char line[] =
		"The quick brown fox jumps over the lazy dog, and the dog sleeps on.\n";
	struct buf b = { 0 };

	buf_text(&b, "From: Sender <sender@load.test>\nTo: Rcpt <rcpt@example.org>\n"
		     "Date: Mon, 02 Mar 2026 08:15:30 +0000\nSubject: synthetic mail\n"
		     "MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\n");
	while (b.n < size)
		buf_text(&b, line);
	corpus = need(calloc(1, sizeof(*corpus)));
	corpus[corpus_count++] = wire_of(b.p, b.n);
	buf_free(&b);
}

/* ------------------------------------------------------------------ which mail next */

static bool all_settled(void)
{
	return settled == opt.mails;
}

/* A job that may go now, or -1; *wait_us_r: when to ask again. */
static long job_take(uint64_t now, uint64_t *wait_us_r)
{
	*wait_us_r = UINT64_MAX;
	for (size_t i = 0; i < again_count; i++) {
		long j = again[again_head];

		again_head = (again_head + 1) % (size_t)opt.mails;
		if (jobs[j].due_us <= now) {
			again_count--;
			return j;
		}
		if (jobs[j].due_us < *wait_us_r)
			*wait_us_r = jobs[j].due_us;
		again[(again_head + again_count - 1) % (size_t)opt.mails] = j;
	}
	if (next_fresh < opt.mails) {
		uint64_t at = opt.rate == 0 ? 0
					    : started_us + (uint64_t)next_fresh * 1000000 /
								   (uint64_t)opt.rate;

		if (at <= now)
			return next_fresh++;
		if (at < *wait_us_r)
			*wait_us_r = at;
	}
	return -1;
}

static void job_settle(long j, int code)
{
	jobs[j].code = (uint16_t)code;
	settled++;
	if (opt.log != NULL)
		fprintf(opt.log, "%ld\t%d\t%u\n", j, code, jobs[j].attempts);
}

/* An attempt ended with that code (0: the connection broke). */
static void job_result(long j, int code)
{
	struct job *job = &jobs[j];
	uint64_t now = now_us(), pause;

	replies[code < CODES ? code : 0]++;
	if (code >= 200 && code < 300) {
		job_settle(j, code);
		return;
	}
	if (code >= 500 || opt.retry_for_s < 0 ||
		now - job->first_us > (uint64_t)opt.retry_for_s * 1000000) {
		job_settle(j, code);
		return;
	}
	retries++;
	pause = (uint64_t)RETRY_FIRST_MS << (job->attempts < 8 ? job->attempts - 1 : 7);
	if (pause > RETRY_MOST_MS)
		pause = RETRY_MOST_MS;
	job->due_us = now + pause * 1000;
	again[(again_head + again_count++) % (size_t)opt.mails] = j;
}

/* ------------------------------------------------------------------ connections */

static void conn_watch(struct conn *c, bool want_write)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };

	if (want_write)
		ev.events |= EPOLLOUT;
	if (want_write != c->want_write)
		epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
	c->want_write = want_write;
}

static void conn_close(struct conn *c, uint64_t pause_us)
{
	close(c->fd);
	bench_tls_end(&c->tls);
	c->fd = -1;
	c->state = S_OFF;
	c->due_us = now_us() + pause_us;
	c->out.n = 0;
	c->body.n = 0;
	c->in_n = 0;
	c->mails = 0;
}

/* The peer is gone, or talks nonsense. */
static void conn_broken(struct conn *c)
{
	long j = c->job;

	if (c->state == S_CONNECTING)
		connect_errors++;
	else
		disconnects++;
	c->job = -1;
	conn_close(c, CONNECT_PAUSE_MS * 1000);
	if (j >= 0)
		job_result(j, 0);
}

static void conn_open(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT, .data.ptr = c };
	int on = 1;

	c->fd = socket(opt.to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->state = S_CONNECTING;
	c->want_write = true;
	c->job = -1;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		die("epoll: %s", strerror(errno));
	if (connect(c->fd, (struct sockaddr *)&opt.to, opt.to_len) != 0 && errno != EINPROGRESS)
		conn_broken(c);
}

/* The same encrypted, a record at a time. */
static ssize_t conn_send_tls(struct conn *c)
{
	if (c->out.n == 0 && c->body.n == 0)
		return bench_tls_send(&c->tls, c->fd, NULL, 0);
	if (c->out.n != 0 && c->body.n != 0) { /* what stands before a mail goes with it */
		size_t n = c->body.n < MW_TLS_RECORD ? c->body.n : MW_TLS_RECORD - 1;

		n = c->out.n < n ? n - c->out.n : 0;
		buf_add(&c->out, c->body.p, n);
		c->body.p += n;
		c->body.n -= n;
	}
	return c->out.n != 0 ? bench_tls_send(&c->tls, c->fd, c->out.p, c->out.n)
			     : bench_tls_send(&c->tls, c->fd, c->body.p, c->body.n);
}

/* Write what there is: commands, then the mail, in one go where the kernel takes it. */
static bool conn_flush(struct conn *c)
{
	while (c->out.n != 0 || c->body.n != 0 || c->tls.cipher.n != 0) {
		struct iovec iov[2] = { { c->out.p, c->out.n }, { c->body.p, c->body.n } };
		struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
		ssize_t n = c->tls.open ? conn_send_tls(c) : sendmsg(c->fd, &msg, MSG_NOSIGNAL);
		size_t from_out;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			conn_broken(c);
			return false;
		}
		from_out = (size_t)n < c->out.n ? (size_t)n : c->out.n;
		buf_eat(&c->out, from_out);
		c->body.p += (size_t)n - from_out;
		c->body.n -= (size_t)n - from_out;
	}
	conn_watch(c, c->out.n != 0 || c->body.n != 0 || c->tls.cipher.n != 0);
	return true;
}

static void say(struct conn *c, const char *a, const char *b, const char *d)
{
	buf_text(&c->out, a);
	buf_text(&c->out, b);
	buf_text(&c->out, d);
}

/* ------------------------------------------------------------------ the dialogue */

static void begin_mail(struct conn *c, long j, uint64_t now)
{
	c->job = j;
	c->sent_us = now;
	c->worst = 0;
	if (jobs[j].attempts++ == 0)
		jobs[j].first_us = now;
	say(c, "MAIL FROM:<", opt.from, ">\r\n");
	c->state = S_MAIL;
	if (opt.pipeline) {
		say(c, "RCPT TO:<", opt.rcpt, ">\r\nDATA\r\n");
		c->replies_due = 3;
	}
	conn_flush(c);
}

/* Idle connections take work. Returns the time to look again. */
static uint64_t hand_out(struct conn *c, uint64_t now)
{
	uint64_t wait;
	long j = job_take(now, &wait);

	if (j < 0)
		return wait;
	begin_mail(c, j, now);
	return 0;
}

static void send_body(struct conn *c)
{
	char head[256];

	c->body = corpus[(size_t)c->job % corpus_count];
	if (opt.tag != NULL) {
		snprintf(head, sizeof(head), "Message-ID: <%s-%06ld@load.test>\r\n", opt.tag,
			c->job);
		buf_text(&c->out, head);
	}
	c->state = S_DOT;
}

/* The transaction ended with that code; what is next on this connection? */
static void end_mail(struct conn *c, int code, bool rset)
{
	long j = c->job;

	c->job = -1;
	c->mails++;
	if (code < 300 && latency_count < (size_t)opt.mails)
		latency_us[latency_count++] = (uint32_t)(now_us() - c->sent_us);
	job_result(j, code);
	if (code == 421) {
		conn_close(c, CONNECT_PAUSE_MS * 1000);
	} else if (opt.reuse != 0 && c->mails >= (unsigned)opt.reuse) {
		say(c, "QUIT\r\n", "", "");
		c->state = S_QUIT;
	} else {
		c->state = S_IDLE;
		if (rset) {
			say(c, "RSET\r\n", "", "");
			c->state = S_EHLO; /* its 250 leads to S_IDLE as EHLO's does */
		}
	}
}

/* A reply while MAIL, RCPT or DATA is under way. */
static void envelope_reply(struct conn *c, int code)
{
	bool refused = code >= 400;

	if (refused && c->worst == 0)
		c->worst = code;
	if (opt.pipeline) {
		if (--c->replies_due != 0)
			return;
		if (code == 354 && c->worst != 0) {
			/* DATA went on in spite of a refusal: an empty mail ends it. */
			say(c, ".\r\n", "", "");
			c->state = S_DOT;
		} else if (code == 354) {
			send_body(c);
		} else {
			end_mail(c, c->worst != 0 ? c->worst : code, true);
		}
		return;
	}
	if (refused) {
		end_mail(c, code, true);
	} else if (c->state == S_MAIL) {
		say(c, "RCPT TO:<", opt.rcpt, ">\r\n");
		c->state = S_RCPT;
	} else if (c->state == S_RCPT) {
		say(c, "DATA\r\n", "", "");
		c->state = S_DATA;
	} else {
		send_body(c);
	}
}

static void reply(struct conn *c, int code)
{
	switch (c->state) {
	case S_BANNER:
		if (code != 220) {
			conn_close(c, CONNECT_PAUSE_MS * 1000);
			connect_errors++;
			return;
		}
		say(c, opt.lmtp ? "LHLO " : "EHLO ", opt.helo, "\r\n");
		c->state = S_EHLO;
		break;
	case S_EHLO:
		if (code != 250) {
			conn_broken(c);
			return;
		}
		c->state = S_IDLE;
		if (opt.tls && !c->tls.open) {
			say(c, "STARTTLS\r\n", "", "");
			c->state = S_STARTTLS;
		}
		break;
	case S_STARTTLS:
		if (code != 220) {
			conn_broken(c);
			return;
		}
		bench_tls_begin(&c->tls, tls_ctx);
		c->state = S_TLS;
		break;
	case S_MAIL:
	case S_RCPT:
	case S_DATA:
		if (code == 421) {
			end_mail(c, code, false);
			return;
		}
		envelope_reply(c, code);
		break;
	case S_DOT:
		end_mail(c, c->worst != 0 ? c->worst : code, false);
		break;
	case S_QUIT:
		conn_close(c, 0);
		return;
	default:
		conn_broken(c); /* a reply nobody asked for, as 421 when idle */
		return;
	}
}

/* Take whole replies out of what was read. */
static void take_replies(struct conn *c)
{
	size_t at = 0;

	while (c->fd >= 0) {
		const char *p = c->in + at;
		const char *eol = memchr(p, '\n', c->in_n - at);
		size_t n = eol != NULL ? (size_t)(eol - p) + 1 : 0;

		if (n == 0)
			break;
		at += n;
		if (n < 5 || !isdigit(p[0]) || !isdigit(p[1]) || !isdigit(p[2])) {
			conn_broken(c);
			return;
		}
		if (p[3] == '-')
			continue;
		reply(c, (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0'));
	}
	if (c->fd < 0)
		return;
	memmove(c->in, c->in + at, c->in_n - at);
	c->in_n -= at;
	if (c->in_n == sizeof(c->in))
		conn_broken(c);
}

static void conn_shake(struct conn *c)
{
	int done = bench_tls_shake(&c->tls, c->fd);

	if (done < 0) {
		conn_broken(c);
	} else if (done > 0) {
		say(c, "EHLO ", opt.helo, "\r\n");
		c->state = S_EHLO;
		conn_flush(c);
	}
}

static ssize_t conn_recv(struct conn *c)
{
	char *p = c->in + c->in_n;
	size_t room = sizeof(c->in) - c->in_n;

	return c->tls.open ? bench_tls_recv(&c->tls, c->fd, p, room) : recv(c->fd, p, room, 0);
}

static void conn_ready(struct conn *c, unsigned events)
{
	int err = 0;
	socklen_t len = sizeof(err);
	ssize_t n;

	if (c->state == S_CONNECTING) {
		if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0 || err != 0) {
			conn_broken(c);
			return;
		}
		c->state = S_BANNER;
		conn_watch(c, false);
	}
	if (c->state == S_TLS) {
		conn_shake(c);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		n = conn_recv(c);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			if (c->state == S_QUIT)
				conn_close(c, 0);
			else
				conn_broken(c);
			return;
		}
		if (n > 0) {
			c->in_n += (size_t)n;
			take_replies(c);
		}
	}
	if (c->fd >= 0 && c->state == S_TLS)
		conn_shake(c);
	else if (c->fd >= 0)
		conn_flush(c);
}

/* ------------------------------------------------------------------ results */

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t percentile(unsigned p)
{
	if (latency_count == 0)
		return 0;
	return latency_us[(latency_count - 1) * p / 100];
}

static void print_replies(const char *format, const char *separator)
{
	bool first = true;

	for (int i = 0; i < CODES; i++) {
		if (replies[i] == 0)
			continue;
		if (!first)
			fputs(separator, stdout);
		printf(format, i, replies[i]);
		first = false;
	}
}

static void report(double seconds)
{
	long taken = 0, refused = 0, gave_up = 0;

	for (long i = 0; i < opt.mails; i++) {
		taken += jobs[i].code >= 200 && jobs[i].code < 300;
		refused += jobs[i].code >= 500;
		gave_up += jobs[i].code < 200 || (jobs[i].code >= 300 && jobs[i].code < 500);
	}
	qsort(latency_us, latency_count, sizeof(*latency_us), by_value);
	if (opt.json) {
		printf("{\"mails\":%ld,\"taken\":%ld,\"refused\":%ld,\"gave_up\":%ld,\"seconds\":%."
		       "3f,"
		       "\"rate\":%.1f,\"p50_us\":%u,\"p95_us\":%u,\"p99_us\":%u,\"max_us\":%u,"
		       "\"retries\":%ld,\"disconnects\":%ld,\"connect_errors\":%ld,\"replies\":{",
			opt.mails, taken, refused, gave_up, seconds, (double)taken / seconds,
			percentile(50), percentile(95), percentile(99), percentile(100), retries,
			disconnects, connect_errors);
		print_replies("\"%d\":%ld", ",");
		puts("}}");
	} else {
		printf("mails=%ld taken=%ld refused=%ld gave_up=%ld seconds=%.3f mails/s=%.1f\n"
		       "latency p50=%u p95=%u p99=%u max=%u us\n"
		       "retries=%ld disconnects=%ld connect_errors=%ld\nreplies ",
			opt.mails, taken, refused, gave_up, seconds, (double)taken / seconds,
			percentile(50), percentile(95), percentile(99), percentile(100), retries,
			disconnects, connect_errors);
		print_replies("%d:%ld", " ");
		puts("");
	}
	fflush(stdout);
}

/* ------------------------------------------------------------------ running */

/* Connections on their way to S_IDLE. */
static long count_opening(void)
{
	long n = 0;

	for (long i = 0; i < opt.connections; i++)
		n += conns[i].state != S_OFF && conns[i].state != S_IDLE;
	return n;
}

/*
 * Start connections that are due, give idle ones work; returns how long epoll may sleep, in ms. Of
 * those that shall only be there no more come at once than a listen queue holds: one whose last ACK
 * finds it full is there for us, and for nobody else.
 */
static int tick(uint64_t now)
{
	uint64_t least = now + 1000000;
	long opening = opt.idle != 0 ? count_opening() : 0;

	for (long i = 0; i < opt.connections; i++) {
		struct conn *c = &conns[i];
		uint64_t again_us = UINT64_MAX;

		if (c->state == S_OFF && c->due_us > now)
			again_us = c->due_us;
		else if (c->state == S_OFF && opt.idle != 0 && opening++ < OPENING_MOST)
			conn_open(c);
		else if (c->state == S_OFF && opt.idle == 0 && !all_settled())
			conn_open(c);
		if (c->state == S_IDLE && opt.idle == 0)
			again_us = hand_out(c, now);
		if (again_us < least)
			least = again_us;
	}
	return least <= now ? 0 : (int)((least - now + 999) / 1000);
}

static long count_idle(void)
{
	long n = 0;

	for (long i = 0; i < opt.connections; i++)
		n += conns[i].state == S_IDLE;
	return n;
}

static void run(void)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	uint64_t moved_us = now_us();
	long moved = -1;
	bool said = false;

	started_us = now_us();
	while (!stop && (opt.idle != 0 || !all_settled())) {
		int n = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, tick(now_us()));

		for (int i = 0; i < n; i++)
			if (((struct conn *)events[i].data.ptr)->fd >= 0)
				conn_ready(events[i].data.ptr, events[i].events);
		if (opt.idle != 0 && !said && count_idle() == opt.idle) {
			said = true;
			printf("ready idle=%ld\n", opt.idle);
			fflush(stdout);
		}
		if (settled != moved) {
			moved = settled;
			moved_us = now_us();
		} else if (opt.idle == 0 &&
			   now_us() - moved_us > (uint64_t)opt.timeout_s * 1000000) {
			fprintf(stderr, "nothing was settled for %ld s\n", opt.timeout_s);
			break;
		}
	}
}

static const char usage[] =
	"mwload: sends mails over SMTP and measures\n"
	"  --to ADDR:PORT     whom to send to\n"
	"  --connections N    at once (1)\n"
	"  --mails M          in all (1000)\n"
	"  --corpus DIR       mails are the files of this folder, in turn; LF or CRLF\n"
	"  --size N           a synthetic mail of N octets instead (5700)\n"
	"  --pipeline         MAIL, RCPT and DATA in one write\n"
	"  --reuse K          mails over one connection; 0: no limit (0)\n"
	"  --rate R           mails a second at most; 0: as fast as it goes (0)\n"
	"  --from A, --rcpt A, --helo NAME   envelope\n"
	"  --tag TEXT         put Message-ID: <TAG-NUMBER@load.test> in front of every mail\n"
	"  --retry-for S      offer again what got 4xx or a broken connection, for S seconds each\n"
	"  --log FILE         a line a mail: number, final code, attempts\n"
	"  --timeout S        give up when nothing was settled for so long (120)\n"
	"  --lmtp             say LHLO: LMTP (RFC 2033)\n"
	"  --tls              STARTTLS, and no look at the certificate\n"
	"  --json             result as JSON\n"
	"  --idle N           only open N connections, say EHLO, and wait for SIGTERM\n";

static void arguments(int argc, char **argv)
{
	static const struct option longs[] = { { "to", 1, NULL, 't' },
		{ "connections", 1, NULL, 'c' }, { "mails", 1, NULL, 'm' },
		{ "corpus", 1, NULL, 'C' }, { "size", 1, NULL, 's' }, { "pipeline", 0, NULL, 'p' },
		{ "reuse", 1, NULL, 'u' }, { "rate", 1, NULL, 'r' }, { "from", 1, NULL, 'f' },
		{ "rcpt", 1, NULL, 'R' }, { "helo", 1, NULL, 'H' }, { "tag", 1, NULL, 'T' },
		{ "retry-for", 1, NULL, 'y' }, { "log", 1, NULL, 'l' }, { "timeout", 1, NULL, 'o' },
		{ "json", 0, NULL, 'j' }, { "idle", 1, NULL, 'i' }, { "lmtp", 0, NULL, 'L' },
		{ "tls", 0, NULL, 'S' }, { "help", 0, NULL, 'h' }, { 0 } };
	static const struct {
		int option;
		long *value;
		long least, most;
	} numbers[] = { { 'c', &opt.connections, 1, 20000 }, { 'm', &opt.mails, 1, 10000000 },
		{ 's', &opt.size, 1, 512L << 20 }, { 'u', &opt.reuse, 0, 10000000 },
		{ 'r', &opt.rate, 0, 1000000 }, { 'y', &opt.retry_for_s, 0, 86400 },
		{ 'o', &opt.timeout_s, 1, 86400 }, { 'i', &opt.idle, 1, 20000 } };
	static const struct {
		int option;
		const char **value;
	} texts[] = { { 'C', &opt.corpus }, { 'f', &opt.from }, { 'R', &opt.rcpt },
		{ 'H', &opt.helo }, { 'T', &opt.tag }, { 'l', &opt.log_path } };
	int o;

	while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
			if (numbers[i].option == o)
				*numbers[i].value =
					number("value", optarg, numbers[i].least, numbers[i].most);
		for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
			if (texts[i].option == o)
				*texts[i].value = optarg;
		if (o == 't')
			opt.to_len = address_of(optarg, &opt.to);
		opt.pipeline |= o == 'p';
		opt.json |= o == 'j';
		opt.lmtp |= o == 'L';
		opt.tls |= o == 'S';
		if (o == 'h') {
			fputs(usage, stdout);
			exit(0);
		}
		if (o == '?')
			exit(2);
	}
	if (opt.to_len == 0)
		die("--to is missing");
	if (opt.idle != 0)
		opt.connections = opt.idle;
}

static void on_signal(int signum)
{
	(void)signum;
	stop = 1;
}

int main(int argc, char **argv)
{
	const struct sigaction end = { .sa_handler = on_signal };

	arguments(argc, argv);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (opt.log_path != NULL && (opt.log = fopen(opt.log_path, "we")) == NULL)
		die("cannot write %s: %s", opt.log_path, strerror(errno));
	if (opt.corpus != NULL)
		load_corpus();
	else
		synthesise((size_t)opt.size);
	jobs = need(calloc((size_t)opt.mails, sizeof(*jobs)));
	again = need(calloc((size_t)opt.mails, sizeof(*again)));
	latency_us = need(calloc((size_t)opt.mails, sizeof(*latency_us)));
	conns = need(calloc((size_t)opt.connections, sizeof(*conns)));
	for (long i = 0; i < opt.connections; i++)
		conns[i] = (struct conn){ .fd = -1, .job = -1 };
	if (opt.tls && mw_tls_client("", NULL, MW_TLS_1_2, &tls_ctx, NULL) != MW_OK)
		die("no TLS");
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	run();
	if (opt.log != NULL)
		fclose(opt.log);
	if (opt.idle != 0)
		return 0;
	report((double)(now_us() - started_us) / 1e6);
	return settled == opt.mails ? 0 : 1;
}
