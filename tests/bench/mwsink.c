/*
 * mwsink: the next hop of tests and benchmarks. An SMTP server on one epoll loop that takes every
 * mail, forgets it, or keeps it (--store), and that can be told to misbehave at any stage of the
 * dialogue.
 *
 * It is also the yardstick of `make bench`: nothing is done for a mail beyond reading it and
 * answering.
 */
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include "bench_tls.h"
#include "keep.h"

#define READ_OCTETS (256 * 1024) /* at most taken from one connection at once */
#define LINE_MAX_OCTETS                                                                            \
	(64 * 1024)		     /* of a command line; XFORWARD and long paths fit many times  \
				      */
#define MAIL_MAX_OCTETS (512u << 20) /* kept of one mail */
#define EVENTS_AT_ONCE 256
#define RULES_MAX 32

enum stage { ST_CONNECT, ST_BANNER, ST_EHLO, ST_MAIL, ST_RCPT, ST_DATA, ST_DOT, ST_COUNT };
static const char *const stage_names[ST_COUNT] = { "connect", "banner", "ehlo", "mail", "rcpt",
	"data", "dot" };

/* What happens at a stage instead of, or before, the usual answer. */
struct misbehaviour {
	const char *reply; /* this text instead */
	long delay_ms;	   /* the answer comes so much later */
	bool drop;	   /* the connection is closed instead */
	bool silent;	   /* no answer, ever */
};

enum mode { MODE_COMMAND, MODE_DATA, MODE_WAIT, MODE_SILENT };

struct conn {
	int fd;
	struct bench_tls tls;
	bool starttls;		    /* its 220 is not written yet */
	enum mode mode, mode_after; /* WAIT: what follows the delayed answer */
	bool line_start;	    /* DATA: the next octet begins a line */
	bool lmtp, closing, want_write, dead;
	uint64_t due_us; /* WAIT */
	struct buf in;	 /* octets not used yet */
	struct buf out;	 /* answers not written yet */
	struct buf delayed;
	struct buf mail;     /* body being kept */
	struct buf envelope; /* its lines, as kept */
	struct buf from, rcpts, xforward;
	char helo[256], peer[80];
	unsigned rcpt_count;
	struct conn *next;	       /* of those that wait */
	struct conn *grave;	       /* of those to be freed */
	struct conn *older, **newer_p; /* all that live */
};

static struct {
	bool keep;  /* mails are wanted whole */
	long times; /* misbehave so often, then behave; -1: always */
	struct misbehaviour at[ST_COUNT];
	struct {
		char addr[256];
		const char *reply;
	} rcpt_rules[RULES_MAX];
	size_t rcpt_rule_count;
	unsigned long size_limit;
} opt = { .times = -1, .size_limit = MAIL_MAX_OCTETS };

static int epoll_fd, listen_fd;
static struct mw_tls_ctx *tls_ctx; /* NULL: not offered */
static volatile sig_atomic_t stop;
static uint64_t mails, accepted_connections;
static char read_buf[READ_OCTETS];
static struct conn *waiting, *graveyard, *living;

/* ------------------------------------------------------------------ connections */

static void conn_bury(struct conn *c)
{
	if (c->dead)
		return;
	c->dead = true;
	close(c->fd);
	bench_tls_end(&c->tls);
	*c->newer_p = c->older;
	if (c->older != NULL)
		c->older->newer_p = c->newer_p;
	c->grave = graveyard;
	graveyard = c;
}

static void conn_watch(struct conn *c)
{
	struct epoll_event ev = { .data.ptr = c };

	if (c->mode != MODE_WAIT)
		ev.events |= EPOLLIN;
	if (c->out.n != 0 || c->tls.cipher.n != 0)
		ev.events |= EPOLLOUT;
	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

static void conn_free(struct conn *c)
{
	buf_free(&c->in);
	buf_free(&c->out);
	buf_free(&c->delayed);
	buf_free(&c->mail);
	buf_free(&c->envelope);
	buf_free(&c->from);
	buf_free(&c->rcpts);
	buf_free(&c->xforward);
	free(c);
}

static void conn_flush(struct conn *c)
{
	ssize_t n;
	bool wanted = c->want_write;

	if (c->out.n != 0 || c->tls.cipher.n != 0) {
		n = c->tls.open ? bench_tls_send(&c->tls, c->fd, c->out.p, c->out.n)
				: send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL);
		if (n > 0)
			buf_eat(&c->out, (size_t)n);
		else if (n < 0 && errno != EAGAIN && errno != EINTR)
			conn_bury(c);
	}
	if (c->dead)
		return;
	c->want_write = c->out.n != 0 || c->tls.cipher.n != 0;
	if (c->want_write != wanted)
		conn_watch(c);
	if (c->closing && !c->want_write) {
		conn_bury(c);
	} else if (c->starttls && !c->want_write) {
		c->starttls = false;
		bench_tls_begin(&c->tls, tls_ctx);
	}
}

static void conn_hold(struct conn *c, enum mode after, long delay_ms)
{
	c->mode = MODE_WAIT;
	c->mode_after = after;
	c->due_us = now_us() + (uint64_t)delay_ms * 1000;
	c->next = waiting;
	waiting = c;
	conn_watch(c);
}

/*
 * Answer at a stage with the usual text, or misbehave. after: the mode when the answer is a 2xx or
 * 3xx. True when the answer given (now or later) is not a refusal.
 */
static bool answer(struct conn *c, enum stage stage, const char *usual, enum mode after)
{
	const struct misbehaviour *m = &opt.at[stage];
	const char *text = usual;
	bool special = m->reply != NULL || m->drop || m->silent || m->delay_ms != 0;

	if (special && opt.times == 0)
		special = false;
	if (special && opt.times > 0)
		opt.times--;
	if (special && m->drop) {
		conn_bury(c);
		return false;
	}
	if (special && m->silent) {
		c->mode = MODE_SILENT;
		return false;
	}
	if (special && m->reply != NULL) {
		text = m->reply;
		after = text[0] == '2' || text[0] == '3' ? after : MODE_COMMAND;
		c->closing = strncmp(text, "421", 3) == 0;
	}
	if (special && m->delay_ms != 0) {
		buf_text(&c->delayed, text);
		buf_text(&c->delayed, "\r\n");
		conn_hold(c, after, m->delay_ms);
	} else {
		buf_text(&c->out, text);
		buf_text(&c->out, "\r\n");
		c->mode = after;
	}
	return text[0] == '2' || text[0] == '3';
}

static void transaction_reset(struct conn *c)
{
	c->from.n = 0;
	c->rcpts.n = 0;
	c->envelope.n = 0;
	c->mail.n = 0;
	c->rcpt_count = 0;
	if (c->mail.cap > (1u << 20))
		buf_free(&c->mail);
}

static void envelope_line(struct conn *c, const char *key, const char *value, size_t n)
{
	if (!opt.keep)
		return;
	buf_text(&c->envelope, key);
	buf_add(&c->envelope, "=", 1);
	buf_add(&c->envelope, value, n);
	buf_add(&c->envelope, "\n", 1);
}

/* The final dot came: keep, count, answer. */
static void mail_done(struct conn *c)
{
	const struct misbehaviour *m = &opt.at[ST_DOT];
	char id[32], text[80];
	const struct kept k = { id, &c->envelope, &c->mail, &c->from, &c->rcpts };
	bool taken = opt.times == 0 ||
		     (!m->drop && !m->silent && (m->reply == NULL || m->reply[0] == '2'));
	unsigned answers = c->lmtp ? c->rcpt_count : 1;

	snprintf(id, sizeof(id), "%X%08lX", (unsigned)getpid(), (unsigned long)(mails + 1));
	snprintf(text, sizeof(text), "250 2.0.0 Ok: queued as %s", id);
	if (taken) {
		mails++;
		if (keep.store != NULL)
			keep_file(&k);
		if (opt.keep)
			keep_index(&k);
		keep_count(mails);
	}
	for (unsigned i = 0; i < answers && !c->dead; i++)
		answer(c, ST_DOT, text, MODE_COMMAND);
	transaction_reset(c);
}

/* ------------------------------------------------------------------ commands */

/* Path between < and >, or the whole argument up to a blank, as it stands. */
static void path_of(const char *args, size_t n, const char **p_r, size_t *n_r)
{
	const char *open = memchr(args, '<', n);
	const char *close = open != NULL ? memrchr(args, '>', n) : NULL;

	if (close != NULL && close > open) {
		*p_r = open + 1;
		*n_r = (size_t)(close - open) - 1;
	} else {
		*p_r = args;
		*n_r = n;
	}
}

static void cmd_ehlo(struct conn *c, const char *args, size_t n)
{
	static const char features[] =
		"250-mwsink\r\n250-PIPELINING\r\n250-SIZE 17179869184\r\n"
		"250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-SMTPUTF8\r\n250-DSN\r\n"
		"%s250 XFORWARD NAME ADDR PORT PROTO HELO SOURCE IDENT";
	char text[300];

	snprintf(text, sizeof(text), features,
		tls_ctx != NULL && !c->tls.open ? "250-STARTTLS\r\n" : "");
	snprintf(c->helo, sizeof(c->helo), "%.*s", (int)n, args);
	transaction_reset(c);
	answer(c, ST_EHLO, text, MODE_COMMAND);
}

static void cmd_starttls(struct conn *c, const char *args, size_t n)
{
	(void)args;
	(void)n;
	if (tls_ctx == NULL || c->tls.open) {
		buf_text(&c->out, "502 5.5.1 not here, not now\r\n");
		return;
	}
	buf_text(&c->out, "220 2.0.0 Ready to start TLS\r\n");
	c->starttls = true;
}

static void cmd_lhlo(struct conn *c, const char *args, size_t n)
{
	c->lmtp = true;
	cmd_ehlo(c, args, n);
}

static void cmd_helo(struct conn *c, const char *args, size_t n)
{
	snprintf(c->helo, sizeof(c->helo), "%.*s", (int)n, args);
	transaction_reset(c);
	answer(c, ST_EHLO, "250 mwsink", MODE_COMMAND);
}

static void cmd_mail(struct conn *c, const char *args, size_t n)
{
	const char *path;
	size_t len;

	transaction_reset(c);
	path_of(args, n, &path, &len);
	if (!answer(c, ST_MAIL, "250 2.1.0 Ok", MODE_COMMAND))
		return;
	buf_add(&c->from, "<", 1);
	buf_add(&c->from, path, len);
	buf_add(&c->from, ">", 1);
	if (opt.keep) {
		envelope_line(c, "client", c->peer, strlen(c->peer));
		envelope_line(c, "helo", c->helo, strlen(c->helo));
		if (c->xforward.n != 0)
			envelope_line(c, "xforward", c->xforward.p, c->xforward.n);
	}
	envelope_line(c, "mail", args, n);
}

static const char *rcpt_rule(const char *path, size_t n)
{
	for (size_t i = 0; i < opt.rcpt_rule_count; i++)
		if (strlen(opt.rcpt_rules[i].addr) == n &&
			strncasecmp(opt.rcpt_rules[i].addr, path, n) == 0)
			return opt.rcpt_rules[i].reply;
	return NULL;
}

static void cmd_rcpt(struct conn *c, const char *args, size_t n)
{
	const char *path, *rule;
	size_t len;

	if (c->from.n == 0) {
		buf_text(&c->out, "503 5.5.1 need MAIL command\r\n");
		return;
	}
	path_of(args, n, &path, &len);
	rule = rcpt_rule(path, len);
	if (rule != NULL) {
		buf_text(&c->out, rule);
		buf_text(&c->out, "\r\n");
		if (rule[0] != '2')
			return;
	} else if (!answer(c, ST_RCPT, "250 2.1.5 Ok", MODE_COMMAND)) {
		return;
	}
	if (c->rcpt_count++ != 0)
		buf_add(&c->rcpts, ",", 1);
	buf_add(&c->rcpts, path, len);
	envelope_line(c, "rcpt", args, n);
}

static void cmd_data(struct conn *c, const char *args, size_t n)
{
	(void)args;
	(void)n;
	if (c->rcpt_count == 0) {
		buf_text(&c->out, "554 5.5.1 no valid recipients\r\n");
		return;
	}
	c->line_start = true;
	answer(c, ST_DATA, "354 End data with <CR><LF>.<CR><LF>", MODE_DATA);
}

static void cmd_rset(struct conn *c, const char *args, size_t n)
{
	(void)args;
	(void)n;
	transaction_reset(c);
	buf_text(&c->out, "250 2.0.0 Ok\r\n");
}

static void cmd_noop(struct conn *c, const char *args, size_t n)
{
	(void)args;
	(void)n;
	buf_text(&c->out, "250 2.0.0 Ok\r\n");
}

static void cmd_quit(struct conn *c, const char *args, size_t n)
{
	(void)args;
	(void)n;
	buf_text(&c->out, "221 2.0.0 Bye\r\n");
	c->closing = true;
}

static void cmd_xforward(struct conn *c, const char *args, size_t n)
{
	if (c->xforward.n != 0)
		buf_add(&c->xforward, " ", 1);
	buf_add(&c->xforward, args, n);
	buf_text(&c->out, "250 2.0.0 Ok\r\n");
}

static const struct {
	const char *name;
	void (*handle)(struct conn *c, const char *args, size_t n);
} commands[] = {
	{ "MAIL", cmd_mail },
	{ "RCPT", cmd_rcpt },
	{ "DATA", cmd_data },
	{ "RSET", cmd_rset },
	{ "EHLO", cmd_ehlo },
	{ "LHLO", cmd_lhlo },
	{ "HELO", cmd_helo },
	{ "QUIT", cmd_quit },
	{ "NOOP", cmd_noop },
	{ "XFORWARD", cmd_xforward },
	{ "STARTTLS", cmd_starttls },
};

static void command(struct conn *c, const char *line, size_t n)
{
	const char *blank = memchr(line, ' ', n);
	size_t verb = blank != NULL ? (size_t)(blank - line) : n;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strlen(commands[i].name) != verb ||
			strncasecmp(line, commands[i].name, verb) != 0)
			continue;
		commands[i].handle(
			c, blank != NULL ? blank + 1 : line + n, blank != NULL ? n - verb - 1 : 0);
		return;
	}
	buf_text(&c->out, "502 5.5.2 command not recognized\r\n");
}

/* ------------------------------------------------------------------ input */

static void data_keep(struct conn *c, const char *p, size_t n)
{
	if (opt.keep && c->mail.n + n <= opt.size_limit)
		buf_add(&c->mail, p, n);
}

/*
 * Take message octets from p; returns how many were used. Only CRLF.CRLF ends the mail; a dot that
 * begins a line is taken away. What cannot be judged yet (a dot, or a CR at the end) is left for
 * the next call.
 */
static size_t data_take(struct conn *c, const char *p, size_t n)
{
	const char *start = p, *end = p + n, *hit;

	while (p < end) {
		if (c->line_start && *p == '.') {
			if (end - p < 2 || (p[1] == '\r' && end - p < 3))
				break;
			if (p[1] == '\r' && p[2] == '\n') {
				mail_done(c);
				return (size_t)(p - start) + 3;
			}
			p++;
		}
		c->line_start = false;
		hit = memmem(p, (size_t)(end - p), "\r\n.", 3);
		if (hit != NULL) {
			data_keep(c, p, (size_t)(hit - p) + 2);
			p = hit + 2;
			c->line_start = true;
			continue;
		}
		hit = end;
		if (end[-1] == '\r')
			hit = end - 1;
		else if (end - p >= 2 && end[-1] == '\n' && end[-2] == '\r')
			c->line_start = true;
		data_keep(c, p, (size_t)(hit - p));
		p = hit;
		break;
	}
	return (size_t)(p - start);
}

/* Use as much of p as the dialogue allows now; returns how many octets. */
static size_t consume(struct conn *c, const char *p, size_t n)
{
	size_t at = 0;

	while (at < n && !c->dead && !c->closing) {
		if (c->starttls)
			return n; /* plaintext behind STARTTLS is nobody's */
		const char *eol;
		size_t used;

		if (c->mode == MODE_WAIT)
			break;
		if (c->mode == MODE_SILENT)
			return n;
		if (c->mode == MODE_DATA) {
			used = data_take(c, p + at, n - at);
			if (used == 0)
				break;
			at += used;
			continue;
		}
		eol = memchr(p + at, '\n', n - at);
		if (eol == NULL) {
			if (n - at > LINE_MAX_OCTETS)
				conn_bury(c);
			break;
		}
		used = (size_t)(eol - (p + at));
		command(c, p + at, used != 0 && eol[-1] == '\r' ? used - 1 : used);
		at += used + 1;
	}
	return at;
}

static void conn_read(struct conn *c)
{
	size_t had = c->in.n, used;
	ssize_t n;

	/* What was left over is seldom more than a few octets: move it in front of the fresh ones.
	 */
	if (had >= sizeof(read_buf)) {
		used = consume(c, c->in.p, had);
		buf_eat(&c->in, used);
		return;
	}
	if (had != 0)
		memcpy(read_buf, c->in.p, had);
	n = c->tls.open ? bench_tls_recv(&c->tls, c->fd, read_buf + had, sizeof(read_buf) - had)
			: recv(c->fd, read_buf + had, sizeof(read_buf) - had, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_bury(c);
		return;
	}
	used = consume(c, read_buf, had + (size_t)n);
	c->in.n = 0;
	if (!c->dead)
		buf_add(&c->in, read_buf + used, had + (size_t)n - used);
}

static void conn_ready(struct conn *c, unsigned events)
{
	if (c->dead)
		return;
	if (c->tls.tls != NULL && !c->tls.open) {
		int done = bench_tls_shake(&c->tls, c->fd);

		if (done < 0)
			conn_bury(c);
		if (done <= 0)
			return;
		events = EPOLLIN; /* its EHLO may have come with the end of the handshake */
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		if (c->mode == MODE_WAIT)
			conn_bury(c); /* hung up while it waits for a delayed answer */
		else
			conn_read(c);
	}
	if (!c->dead)
		conn_flush(c);
}

/* Its delayed answer is due: say it, and go on with what came meanwhile. */
static void conn_resume(struct conn *c)
{
	size_t used;

	c->mode = c->mode_after;
	buf_add(&c->out, c->delayed.p, c->delayed.n);
	c->delayed.n = 0;
	conn_watch(c);
	used = consume(c, c->in.p, c->in.n);
	buf_eat(&c->in, used);
	if (!c->dead)
		conn_flush(c);
}

/* Delayed answers whose time has come; returns how long epoll may sleep. */
static int waiting_tick(void)
{
	struct conn *list = waiting, *c;
	uint64_t now = list != NULL ? now_us() : 0, least = UINT64_MAX;

	waiting = NULL; /* those that wait on, or anew, put themselves back */
	while ((c = list) != NULL) {
		list = c->next;
		if (c->dead)
			continue;
		if (c->due_us <= now) {
			conn_resume(c);
			continue;
		}
		c->next = waiting;
		waiting = c;
	}
	for (c = waiting; c != NULL; c = c->next)
		if (!c->dead && c->due_us < least)
			least = c->due_us;
	if (least == UINT64_MAX)
		return -1;
	return least <= now ? 0 : (int)((least - now) / 1000) + 1;
}

/* Free the dead, once nothing of this round points at them any more. */
static void bury_all(void)
{
	struct conn *c;

	while ((c = graveyard) != NULL) {
		graveyard = c->grave;
		conn_free(c);
	}
}

/* ------------------------------------------------------------------ listening */

static void conn_new(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct linger at_once = { .l_onoff = 1 };
	struct sockaddr_storage peer = { 0 };
	socklen_t len = sizeof(peer);
	struct conn *c;
	int on = 1;

	accepted_connections++;
	if (opt.at[ST_CONNECT].drop) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(fd);
		return;
	}
	c = need(calloc(1, sizeof(*c)));
	c->fd = fd;
	c->newer_p = &living;
	c->older = living;
	if (living != NULL)
		living->newer_p = &c->older;
	living = c;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (opt.keep && getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
		address_text(&peer, c->peer, sizeof(c->peer));
	ev.data.ptr = c;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0)
		die("epoll: %s", strerror(errno));
	answer(c, ST_BANNER, "220 mwsink ESMTP", MODE_COMMAND);
	if (!c->dead)
		conn_flush(c);
}

static void accept_all(void)
{
	int fd;

	while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		conn_new(fd);
	if (errno == EMFILE || errno == ENFILE)
		die("out of descriptors after %llu connections, raise ulimit -n",
			(unsigned long long)accepted_connections);
}

static void open_listener(const char *text)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = address_of(text, &addr);
	struct epoll_event ev = { .events = EPOLLIN };
	char name[80];
	int on = 1;

	listen_fd = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listen_fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listen_fd, (struct sockaddr *)&addr, len) != 0 || listen(listen_fd, 4096) != 0)
		die("cannot listen on %s: %s", text, strerror(errno));
	len = sizeof(addr);
	getsockname(listen_fd, (struct sockaddr *)&addr, &len);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!opt.at[ST_CONNECT].silent)
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &ev);
	printf("ready endpoint=%s\n", address_text(&addr, name, sizeof(name)));
	fflush(stdout);
}

/* ------------------------------------------------------------------ arguments */

static const char usage[] =
	"mwsink: an SMTP server that takes everything, for tests and benchmarks\n"
	"  --listen ADDR:PORT   port 0 picks one; printed as `ready endpoint=ADDR:PORT`\n"
	"  --store DIR          keep each mail in a file named by its queue id: envelope lines, an "
	"empty\n"
	"                       line, the octets as received without dot stuffing; and DIR/index\n"
	"  --index FILE         append a line a mail: queue id, sender, recipients, octets, sha256 "
	"of the\n"
	"                       body, Message-ID, time; separated by tabs\n"
	"  --count-file FILE    number of mails taken, in decimal\n"
	"  --reply STAGE=TEXT   answer TEXT instead; STAGE is one of\n"
	"                       connect banner ehlo mail rcpt data dot\n"
	"  --rcpt-reply A=TEXT  answer TEXT to RCPT of address A\n"
	"  --delay-ms STAGE=N   answer N ms later\n"
	"  --drop STAGE         close the connection instead of answering\n"
	"  --silent STAGE       do not answer, ever\n"
	"  --tls-cert FILE      offer STARTTLS with this certificate and key in PEM\n"
	"  --times N            misbehave N times, then be good\n"
	"SIGTERM ends it.\n";

/* "STAGE" or "STAGE=VALUE". */
static struct misbehaviour *stage_of(const char *option, const char *text, const char **value_r)
{
	size_t n = strcspn(text, "=");

	*value_r = text[n] == '=' ? text + n + 1 : NULL;
	for (unsigned i = 0; i < ST_COUNT; i++)
		if (strlen(stage_names[i]) == n && strncmp(text, stage_names[i], n) == 0)
			return &opt.at[i];
	die("--%s %s: no such stage", option, text);
}

static void add_rcpt_rule(const char *text)
{
	size_t n = strcspn(text, "=");

	if (text[n] != '=' || n >= sizeof(opt.rcpt_rules[0].addr) ||
		opt.rcpt_rule_count == RULES_MAX)
		die("--rcpt-reply %s is not ADDRESS=TEXT, or one too many", text);
	memcpy(opt.rcpt_rules[opt.rcpt_rule_count].addr, text, n);
	opt.rcpt_rules[opt.rcpt_rule_count++].reply = text + n + 1;
}

static void misbehave(int option, const char *arg)
{
	struct misbehaviour *m;
	const char *value;

	if (option == 'r') {
		m = stage_of("reply", arg, &value);
		if (value == NULL || strlen(value) < 3)
			die("--reply wants STAGE=TEXT");
		m->reply = value;
	} else if (option == 'y') {
		m = stage_of("delay-ms", arg, &value);
		m->delay_ms = number("delay-ms", value != NULL ? value : "", 1, 3600000);
	} else if (option == 'd') {
		stage_of("drop", arg, &value)->drop = true;
	} else {
		stage_of("silent", arg, &value)->silent = true;
	}
}

static void open_tls(const char *file)
{
	struct mw_err err;

	if (mw_tls_server("--tls-cert", file, "--tls-cert", file, MW_TLS_1_2, &tls_ctx, &err) !=
		MW_OK)
		die("%s", err.text);
}

static const char *arguments(int argc, char **argv)
{
	static const struct option longs[] = { { "listen", 1, NULL, 'l' },
		{ "store", 1, NULL, 's' }, { "index", 1, NULL, 'i' },
		{ "count-file", 1, NULL, 'c' }, { "reply", 1, NULL, 'r' },
		{ "rcpt-reply", 1, NULL, 'R' }, { "delay-ms", 1, NULL, 'y' },
		{ "drop", 1, NULL, 'd' }, { "silent", 1, NULL, 'n' }, { "times", 1, NULL, 't' },
		{ "tls-cert", 1, NULL, 'T' }, { "help", 0, NULL, 'h' }, { 0 } };
	const char *listen_at = "127.0.0.1:0", *count = NULL;
	int o;

	while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (o) {
		case 'l':
			listen_at = optarg;
			break;
		case 's':
			keep.store = optarg;
			break;
		case 'i':
			keep.index_path = optarg;
			break;
		case 'c':
			count = optarg;
			break;
		case 'R':
			add_rcpt_rule(optarg);
			break;
		case 'T':
			open_tls(optarg);
			break;
		case 't':
			opt.times = number("times", optarg, 1, 1000000);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case '?':
			exit(2);
		default:
			misbehave(o, optarg);
		}
	}
	if (count != NULL)
		keep_count_in(count);
	return listen_at;
}

static void on_signal(int signum)
{
	(void)signum;
	stop = 1;
}

int main(int argc, char **argv)
{
	const struct sigaction end = { .sa_handler = on_signal };
	struct epoll_event events[EVENTS_AT_ONCE];
	const char *listen_at = arguments(argc, argv);

	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	signal(SIGPIPE, SIG_IGN);
	keep_open();
	opt.keep = keep.index_path != NULL;
	open_listener(listen_at);
	while (!stop) {
		int timeout = waiting_tick();
		int n;

		bury_all();
		n = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, timeout);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				accept_all();
			else
				conn_ready(events[i].data.ptr, events[i].events);
		}
	}
	while (living != NULL)
		conn_bury(living);
	bury_all();
	fprintf(stderr, "mails=%llu connections=%llu cpu_us=%llu\n", (unsigned long long)mails,
		(unsigned long long)accepted_connections, (unsigned long long)cpu_us());
	return 0;
}
