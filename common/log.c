#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX                                                                               \
	2048 /* octets of a line; longer ones are cut: below PIPE_BUF, so that lines never mix */

static const char *const level_names[MW_LEVEL_COUNT] = { "error", "warn", "info", "debug" };
static char log_service[64] = "mailweir";
static enum mw_level log_most = MW_INFO;
static uint64_t dropped; /* only a count for people: torn reads across threads do no harm */

void mw_log_open(const char *service, enum mw_level most)
{
	mw_strlcpy(log_service, service, sizeof(log_service));
	log_most = most;
}

void mw_log_level(enum mw_level most)
{
	log_most = most;
}

bool mw_log_wants(enum mw_level level)
{
	return level <= log_most;
}

uint64_t mw_log_dropped(void)
{
	return __atomic_load_n(&dropped, __ATOMIC_RELAXED);
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

void mw_log(enum mw_level level, const char *event, const char *fmt, ...)
{
	int saved = errno;
	char line[LOG_LINE_MAX];
	struct timespec now;
	va_list args;
	size_t n;
	int more;

	if (level > log_most)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	n = print_second(line, sizeof(line), now.tv_sec);
	n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03ldZ %s[%d] %s %s ",
		now.tv_nsec / 1000000, log_service, (int)getpid(), level_names[level], event);
	va_start(args, fmt);
	more = vsnprintf(line + n, sizeof(line) - n - 1, fmt, args);
	va_end(args);
	if (more > 0)
		n += (size_t)more < sizeof(line) - n - 1 ? (size_t)more : sizeof(line) - n - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) != (ssize_t)n)
		__atomic_add_fetch(&dropped, 1, __ATOMIC_RELAXED);
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
