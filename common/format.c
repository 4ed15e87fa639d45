#include "format.h"

#include <limits.h>
#include <stdio.h>

struct out {
	char *buf;
	size_t room; /* for octets, without the NUL */
	size_t n;    /* that were wanted */
};

static void put(struct out *o, const char *s, size_t n)
{
	if (o->n < o->room)
		memcpy(o->buf + o->n, s, n < o->room - o->n ? n : o->room - o->n);
	o->n += n;
}

static void put_uint(struct out *o, unsigned long long v, bool minus)
{
	char text[24], *at = text + sizeof(text);

	do
		*--at = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	if (minus)
		*--at = '-';
	put(o, at, (size_t)(text + sizeof(text) - at));
}

static void put_int(struct out *o, long long v)
{
	put_uint(o, v < 0 ? 0ULL - (unsigned long long)v : (unsigned long long)v, v < 0);
}

/* One conversion; *fmt_p is behind its '%'. False: it is one for libc. */
static bool convert(struct out *o, const char **fmt_p, va_list *args)
{
	const char *f = *fmt_p, *s;
	int most = -1;
	unsigned longs = 0;

	if (f[0] == '.' && f[1] == '*' && f[2] == 's') {
		most = va_arg(*args, int);
		f += 2;
	}
	while (*f == 'l' && longs < 2 && most < 0) {
		longs++;
		f++;
	}
	if (*f == 'z' && longs == 0 && most < 0) {
		longs = 3;
		f++;
	}
	*fmt_p = f + 1;
	switch (*f) {
	case 's':
		s = va_arg(*args, const char *);
		if (longs != 0 || s == NULL)
			return false;
		put(o, s, most >= 0 ? strnlen(s, (size_t)most) : strlen(s));
		return true;
	case 'u':
		put_uint(o,
			longs == 3   ? va_arg(*args, size_t)
			: longs == 2 ? va_arg(*args, unsigned long long)
			: longs == 1 ? va_arg(*args, unsigned long)
				     : va_arg(*args, unsigned),
			false);
		return true;
	case 'd':
		if (longs == 3)
			return false;
		put_int(o, longs == 2	? va_arg(*args, long long)
			   : longs == 1 ? va_arg(*args, long)
					: va_arg(*args, int));
		return true;
	case 'c':
		if (longs != 0)
			return false;
		put(o, (char[]){ (char)va_arg(*args, int) }, 1);
		return true;
	case '%':
		put(o, "%", 1);
		return longs == 0;
	default:
		return false;
	}
}

int mw_vformat(char *buf, size_t size, const char *fmt, va_list args)
{
	struct out o = { .buf = buf, .room = size > 0 ? size - 1 : 0 };
	const char *f = fmt;
	bool ours = true;
	va_list own;

	va_copy(own, args);
	while (*f != '\0' && ours) {
		size_t n = (size_t)(strchrnul(f, '%') - f);

		put(&o, f, n);
		f += n;
		if (*f == '%') {
			f++;
			ours = convert(&o, &f, &own);
		}
	}
	va_end(own);
	if (!ours || o.n > INT_MAX)
		return vsnprintf(buf, size, fmt, args);
	if (size > 0)
		buf[o.n < size ? o.n : size - 1] = '\0';
	return (int)o.n;
}

int mw_format(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = mw_vformat(buf, size, fmt, args);
	va_end(args);
	return n;
}
