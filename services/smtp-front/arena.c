#include "arena.h"

#include <stdarg.h>
#include <stdlib.h>

#include "format.h"

#define BLOCK_OCTETS 8192 /* most mails live in one */
#define ALIGN 16

struct smtp_arena_block {
	struct smtp_arena_block *next;
	size_t used, size;
	_Alignas(ALIGN) unsigned char octets[];
};

void *smtp_arena_get(struct smtp_arena *a, size_t n)
{
	struct smtp_arena_block *b = a->blocks;
	void *p;

	if (n > SIZE_MAX - ALIGN - sizeof(*b))
		return NULL;
	n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (b == NULL || b->size - b->used < n) {
		size_t size = n > BLOCK_OCTETS ? n : BLOCK_OCTETS;

		b = malloc(sizeof(*b) + size);
		if (b == NULL)
			return NULL;
		*b = (struct smtp_arena_block){ .next = a->blocks, .size = size };
		a->blocks = b;
		a->octets += size;
	}
	p = b->octets + b->used;
	b->used += n;
	return p;
}

void *smtp_arena_array(struct smtp_arena *a, size_t count, size_t size)
{
	void *p;

	if (size != 0 && count > SIZE_MAX / size)
		return NULL;
	p = smtp_arena_get(a, count * size);
	if (p != NULL)
		memset(p, 0, count * size);
	return p;
}

char *smtp_arena_copy(struct smtp_arena *a, const void *p, size_t n)
{
	char *s = smtp_arena_get(a, n + 1);

	if (s != NULL) {
		if (n > 0)
			memcpy(s, p, n);
		s[n] = '\0';
	}
	return s;
}

char *smtp_arena_printf(struct smtp_arena *a, const char *fmt, ...)
{
	va_list args, again;
	char usual[256], *s;
	int n;

	va_start(args, fmt);
	va_copy(again, args);
	n = mw_vformat(usual, sizeof(usual), fmt, args);
	va_end(args);
	s = n < 0 ? NULL : smtp_arena_get(a, (size_t)n + 1);
	if (s != NULL && (size_t)n < sizeof(usual))
		memcpy(s, usual, (size_t)n + 1);
	else if (s != NULL)
		mw_vformat(s, (size_t)n + 1, fmt, again);
	va_end(again);
	return s;
}

void smtp_arena_fini(struct smtp_arena *a)
{
	while (a->blocks != NULL) {
		struct smtp_arena_block *b = a->blocks;

		a->blocks = b->next;
		free(b);
	}
	a->octets = 0;
}
