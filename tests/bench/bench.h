/* What the load generator, the sink and the bare libclamav loop share. Header only: each is one
 * program, one file. */
#ifndef MW_BENCH_H
#define MW_BENCH_H

#include <netdb.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static inline __attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

static inline uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* CPU time of this process so far, user and system. */
static inline uint64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static inline void *need(void *p)
{
	if (p == NULL)
		die("out of memory");
	return p;
}

/* The whole number in text, within least..most, or the end of the program. */
static inline long number(const char *option, const char *text, long least, long most)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (end == text || *end != '\0' || v < least || v > most)
		die("%s=%s is no number within %ld..%ld", option, text, least, most);
	return v;
}

/* "127.0.0.1:25" or "[::1]:25" as a socket address; ends the program on anything else. */
static inline socklen_t address_of(const char *text, struct sockaddr_storage *addr_r)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	struct addrinfo *found = NULL;
	char host[64];
	const char *colon = strrchr(text, ':');
	const char *from = text;
	size_t n = colon != NULL ? (size_t)(colon - text) : 0;
	socklen_t len;

	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		from++;
		n -= 2;
	}
	if (n == 0 || n >= sizeof(host))
		die("'%s' is not ADDRESS:PORT", text);
	memcpy(host, from, n);
	host[n] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
		die("'%s' is not ADDRESS:PORT with a numeric address", text);
	len = found->ai_addrlen;
	memcpy(addr_r, found->ai_addr, len);
	freeaddrinfo(found);
	return len;
}

/* The same way round: what a socket is bound to, or whom it is connected with. */
static inline const char *address_text(const struct sockaddr_storage *addr, char *buf, size_t size)
{
	char host[64], port[16];

	if (getnameinfo((const struct sockaddr *)addr, sizeof(*addr), host, sizeof(host), port,
		    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(buf, size, "?");
	else
		snprintf(buf, size, addr->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return buf;
}

/* Growing octets. */
struct buf {
	char *p;
	size_t n, cap;
};

static inline void buf_room(struct buf *b, size_t n)
{
	size_t cap = b->cap != 0 ? b->cap : 512;

	while (cap < b->n + n)
		cap *= 2;
	if (cap != b->cap) {
		b->p = need(realloc(b->p, cap));
		b->cap = cap;
	}
}

static inline void buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	buf_room(b, n);
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static inline void buf_text(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

static inline void buf_eat(struct buf *b, size_t n)
{
	if (n < b->n)
		memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

static inline void buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ 0 };
}

#endif
