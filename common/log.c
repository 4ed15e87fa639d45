#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "format.h"
#include "log_syslog.h"

#define LOG_LINE_MAX                                                                               \
	2048 /* octets of a line; longer ones are cut: below PIPE_BUF, so that lines never mix */
#define LOG_HEAD_MAX 160 /* of them, in front of level and event */

static const struct {
	const char *name;
	int least;	  /* log_level that shows it */
	int severity;	  /* RFC 3164 section 4.1.1 */
	const char *mark; /* of a line without level and event */
} levels[MW_LEVEL_COUNT] = {
	[MW_CRIT] = { "crit", -3, 2, "(!!)" },
	[MW_ERROR] = { "error", -2, 3, "(!!)" },
	[MW_WARN] = { "warn", -1, 4, "(!)" },
	[MW_INFO] = { "info", 0, 5, "" },
	[MW_DETAIL] = { "detail", 2, 6, "" },
	[MW_DEBUG] = { "debug", 3, 7, "" },
};

/* The process's voice, and where lines go. Two of them, used in turn: a thread in the middle of a
 * line goes on reading the old one. */
static struct manner {
	struct mw_log_voice voice;
	bool syslog;
	struct sockaddr_un to;
} manners[2] = { { .voice = { .facility = 2 << 3, .ident = "mailweir" } } };
static struct manner *manner_now = &manners[0];

static char log_service[64] = "mailweir";
static int syslog_fd = -1; /* kept once it is open */
static uint64_t dropped;

static const struct manner *manner(void)
{
	return __atomic_load_n(&manner_now, __ATOMIC_ACQUIRE);
}

static void change_manner(const struct manner *fresh)
{
	struct manner *other = manner() == &manners[0] ? &manners[1] : &manners[0];

	*other = *fresh;
	__atomic_store_n(&manner_now, other, __ATOMIC_RELEASE);
}

void mw_log_open(const char *service, enum mw_level most)
{
	struct manner fresh = { .voice = { .facility = 2 << 3 } };

	mw_strlcpy(log_service, service, sizeof(log_service));
	snprintf(fresh.voice.ident, sizeof(fresh.voice.ident), "mailweir-%.32s", service);
	fresh.voice.level = levels[most].least;
	change_manner(&fresh);
}

void mw_log_level(enum mw_level most)
{
	struct manner fresh = *manner();

	fresh.voice.level = levels[most].least;
	change_manner(&fresh);
}

bool mw_log_configure(const struct mw_log_voice *voice, const char *syslog_path)
{
	struct manner fresh = *manner();

	fresh.voice = *voice;
	if (voice->ident[0] == '\0')
		snprintf(fresh.voice.ident, sizeof(fresh.voice.ident), "mailweir-%.32s",
			log_service);
	fresh.syslog = syslog_path != NULL && mw_syslog_address(syslog_path, &fresh.to);
	if (fresh.syslog && syslog_fd < 0)
		syslog_fd = mw_syslog_socket();
	if (syslog_fd < 0)
		fresh.syslog = false;
	change_manner(&fresh);
	return fresh.syslog || syslog_path == NULL;
}

static int level_of(const struct mw_log_voice *voice)
{
	return voice != NULL && voice->level != MW_LOG_LEVEL_OF_ALL ? voice->level
								    : manner()->voice.level;
}

bool mw_log_voice_wants(const struct mw_log_voice *voice, enum mw_level level)
{
	return levels[level].least <= level_of(voice);
}

bool mw_log_wants(enum mw_level level)
{
	return mw_log_voice_wants(NULL, level);
}

uint64_t mw_log_dropped(void)
{
	return __atomic_load_n(&dropped, __ATOMIC_RELAXED);
}

static void count_dropped(void)
{
	__atomic_add_fetch(&dropped, 1, __ATOMIC_RELAXED);
}

/* The date's text up to the second, made once a second and thread. */
static size_t print_second(char *line, size_t size, time_t second)
{
	static _Thread_local time_t made;
	static _Thread_local char text[32];

	if (second != made) {
		struct tm tm;

		gmtime_r(&second, &tm);
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
		made = second;
	}
	return mw_strlcpy(line, text, size);
}

/* Not more than a pipe takes as one (POSIX: PIPE_BUF), so that lines of processes do not mix. */
#define HELD_MAX 4096

static _Thread_local struct {
	bool holds;
	size_t n, lines;
	char octets[HELD_MAX];
} held;

static void write_out(const char *p, size_t n, size_t lines)
{
	if (n > 0 && write(STDERR_FILENO, p, n) != (ssize_t)n)
		__atomic_add_fetch(&dropped, lines, __ATOMIC_RELAXED);
}

static void write_held(void)
{
	write_out(held.octets, held.n, held.lines);
	held.n = held.lines = 0;
}

static void write_line(const char *p, size_t n)
{
	if (held.n > 0 && (!held.holds || n > sizeof(held.octets) - held.n))
		write_held();
	if (!held.holds || n > sizeof(held.octets)) {
		write_out(p, n, 1);
		return;
	}
	memcpy(held.octets + held.n, p, n);
	held.n += n;
	held.lines++;
}

void mw_log_hold(void)
{
	held.holds = true;
}

void mw_log_release(void)
{
	held.holds = false;
	write_held();
}

/* line: room for a head in front of the n octets of text, and for the newline behind. */
static void to_stderr(char *line, size_t n, const struct timespec *now, const char *behind)
{
	char head[LOG_HEAD_MAX];
	size_t at = print_second(head, sizeof(head), now->tv_sec);
	long ms = now->tv_nsec / 1000000;

	at += (size_t)mw_format(head + at, sizeof(head) - at, ".%c%c%cZ %s[%d]%s ",
		(int)('0' + ms / 100), (int)('0' + ms / 10 % 10), (int)('0' + ms % 10), log_service,
		(int)getpid(), behind);
	memcpy(line + LOG_HEAD_MAX - at, head, at);
	line[LOG_HEAD_MAX + n] = '\n';
	write_line(line + LOG_HEAD_MAX - at, at + n + 1);
}

/* False: nobody is there. */
static bool to_syslog(char *line, size_t n, const struct timespec *now, enum mw_level level,
	const struct manner *m, const struct mw_log_voice *voice)
{
	const char *ident =
		voice != NULL && voice->ident[0] != '\0' ? voice->ident : m->voice.ident;
	int facility = voice != NULL && voice->facility != 0 ? voice->facility : m->voice.facility;
	char head[LOG_HEAD_MAX];
	size_t at = mw_syslog_head(head, sizeof(head), facility | levels[level].severity,
		now->tv_sec, ident, (int)getpid());
	enum mw_syslog_sent sent;

	memcpy(line + LOG_HEAD_MAX - at, head, at);
	sent = mw_syslog_send(syslog_fd, &m->to, line + LOG_HEAD_MAX - at, at + n);
	if (sent == MW_SYSLOG_FULL)
		count_dropped();
	return sent != MW_SYSLOG_AWAY;
}

static void say(const struct mw_log_voice *voice, enum mw_level level, const char *event,
	const char *fmt, va_list args) MW_PRINTF(4, 0);
static void say(const struct mw_log_voice *voice, enum mw_level level, const char *event,
	const char *fmt, va_list args)
{
	const struct manner *m = manner();
	int saved = errno, more;
	char line[LOG_LINE_MAX], *text = line + LOG_HEAD_MAX;
	size_t room = sizeof(line) - LOG_HEAD_MAX - 1, n; /* the newline stays free */
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	n = (size_t)mw_format(text, room, "%s %s ", levels[level].name, event);
	if (n >= room)
		n = room - 1;
	more = mw_vformat(text + n, room - n, fmt, args);
	if (more > 0)
		n += (size_t)more < room - n ? (size_t)more : room - n - 1;
	if (!m->syslog || !to_syslog(line, n, &now, level, m, voice))
		to_stderr(line, n, &now, "");
	errno = saved;
}

void mw_log(enum mw_level level, const char *event, const char *fmt, ...)
{
	va_list args;

	if (!mw_log_wants(level))
		return;
	va_start(args, fmt);
	say(NULL, level, event, fmt, args);
	va_end(args);
}

void mw_log_as(const struct mw_log_voice *voice, enum mw_level level, const char *event,
	const char *fmt, ...)
{
	va_list args;

	if (!mw_log_voice_wants(voice, level))
		return;
	va_start(args, fmt);
	say(voice, level, event, fmt, args);
	va_end(args);
}

/* ------------------------------------------------------------------ lines of others' forms */

#define PIECE_MAX (MW_LOG_MOST_MAX + LOG_HEAD_MAX + 8)

/* So many octets of p, not cutting through a character of UTF-8 while there is another place. */
static size_t piece_of(const unsigned char *p, size_t n, size_t room)
{
	size_t at = room;

	if (n <= room)
		return n;
	while (at > 0 && room - at < 4 && (p[at] & 0xc0) == 0x80)
		at--;
	return at > 0 && (p[at] & 0xc0) != 0x80 ? at : room;
}

/* Copies, with what would end a line or move a terminal's cursor taken for '?'. */
static void copy_safe(char *to, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = p[i] < 0x20 || p[i] == 0x7f ? '?' : (char)p[i];
}

void mw_log_line_as(const struct mw_log_voice *voice, enum mw_level level, const char *id,
	struct mw_octets text, size_t most)
{
	const struct manner *m = manner();
	int saved = errno;
	char line[PIECE_MAX], *out = line + LOG_HEAD_MAX;
	struct timespec now;
	size_t begun;

	if (!mw_log_voice_wants(voice, level))
		return;
	if (!m->syslog || most > MW_LOG_MOST_MAX)
		most = m->syslog ? MW_LOG_MOST_MAX : LOG_LINE_MAX - LOG_HEAD_MAX - 1;
	clock_gettime(CLOCK_REALTIME, &now);
	begun = (size_t)snprintf(out, 64, "(%.40s) %s", id, levels[level].mark);
	for (int piece = 0; piece < MW_LOG_PIECES_MAX && (piece == 0 || text.n > 0); piece++) {
		size_t n = begun, room, take;

		if (piece > 0) {
			memcpy(out + n, "...", 3);
			n += 3;
		}
		/* An id that leaves no room is longer than any setting allows for. */
		room = most > n + 8 ? most - n : 8;
		take = text.n <= room ? text.n : piece_of(text.p, text.n, room - 3);
		copy_safe(out + n, text.p, take);
		n += take;
		text.p += take;
		text.n -= take;
		if (text.n > 0) {
			memcpy(out + n, "...", 3);
			n += 3;
		}
		if (!m->syslog || !to_syslog(line, n, &now, level, m, voice))
			to_stderr(line, n, &now, ":");
	}
	errno = saved;
}

const char *mw_quote_octets(char *buf, size_t size, const void *p, size_t n)
{
	static const char hex[] = "0123456789ABCDEF";
	const unsigned char *s = p;
	size_t at = 0;

	buf[at++] = '"';
	for (size_t i = 0; i < n; i++) {
		if (at + 4 + 5 > size) { /* an escape, then `..."` and the NUL */
			memcpy(buf + at, "...", 3);
			at += 3;
			break;
		}
		if (s[i] >= 0x20 && s[i] <= 0x7e && s[i] != '"' && s[i] != '\\') {
			buf[at++] = (char)s[i];
		} else {
			buf[at++] = '\\';
			buf[at++] = 'x';
			buf[at++] = hex[s[i] >> 4];
			buf[at++] = hex[s[i] & 15];
		}
	}
	buf[at++] = '"';
	buf[at] = '\0';
	return buf;
}
