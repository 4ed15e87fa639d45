#include "base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static const char *const rc_names[MW_RC_COUNT] = {
	[MW_OK] = "ok",
	[MW_AGAIN] = "again",
	[MW_ERR_NOMEM] = "no_memory",
	[MW_ERR_PROTO] = "protocol_error",
	[MW_ERR_LIMIT] = "limit",
	[MW_ERR_IO] = "io_error",
	[MW_ERR_CONF] = "configuration_error",
	[MW_ERR_TIMEOUT] = "timeout",
	[MW_ERR_GONE] = "gone",
	[MW_ERR_UNKNOWN_KIND] = "unknown_kind",
};

const char *mw_rc_name(enum mw_rc rc)
{
	return (unsigned)rc < MW_RC_COUNT ? rc_names[rc] : "unknown";
}

enum mw_rc mw_fail(struct mw_err *err, enum mw_rc rc, const char *fmt, ...)
{
	va_list args;

	if (err != NULL) {
		va_start(args, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, args);
		va_end(args);
	}
	return rc;
}

static uint64_t clock_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t mw_mono_ms(void)
{
	return clock_us(CLOCK_MONOTONIC) / 1000;
}

uint64_t mw_mono_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

uint64_t mw_wall_ms(void)
{
	return clock_us(CLOCK_REALTIME) / 1000;
}

uint64_t mw_cpu_us(void)
{
	return clock_us(CLOCK_THREAD_CPUTIME_ID);
}

void mw_random(void *buf, size_t n)
{
	unsigned char *p = buf;

	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		if (got <= 0)
			abort(); /* ids that can be guessed or repeat are worse than no service */
		p += got;
		n -= (size_t)got;
	}
}

size_t mw_strlcpy(char *dst, const char *src, size_t size)
{
	size_t n = strlen(src);

	if (size > 0)
		mw_strncpy(dst, size, src, n);
	return n;
}

bool mw_strncpy(char *dst, size_t size, const void *src, size_t n)
{
	size_t take = n < size ? n : size - 1;

	if (take > 0)
		memcpy(dst, src, take);
	dst[take] = '\0';
	return take == n;
}

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

bool mw_ieq(const char *a, const char *b)
{
	while (*a != '\0' && lower((unsigned char)*a) == lower((unsigned char)*b)) {
		a++;
		b++;
	}
	return *a == *b;
}

bool mw_octets_ieq(struct mw_octets a, const char *b)
{
	size_t i;

	for (i = 0; i < a.n; i++)
		if (b[i] == '\0' || lower(a.p[i]) != lower((unsigned char)b[i]))
			return false;
	return b[i] == '\0';
}

bool mw_is_printable(const void *p, size_t n)
{
	const unsigned char *s = p;

	for (size_t i = 0; i < n; i++)
		if (s[i] < 0x20 || s[i] > 0x7e)
			return false;
	return true;
}
