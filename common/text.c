#include "text.h"

#include <stdarg.h>
#include <stdlib.h>

#include "format.h"

void mw_text_fini(struct mw_text *t)
{
	free(t->p);
	*t = (struct mw_text){ 0 };
}

void mw_text_clear(struct mw_text *t)
{
	t->n = 0;
	t->failed = false;
	if (t->p != NULL)
		t->p[0] = '\0';
}

/* Room for n more octets and the NUL. */
static bool text_room(struct mw_text *t, size_t n)
{
	size_t cap = t->cap != 0 ? t->cap : 256;
	char *p;

	if (t->failed)
		return false;
	if (n < t->cap - t->n)
		return true;
	while (cap - t->n <= n)
		cap *= 2;
	p = realloc(t->p, cap);
	if (p == NULL) {
		t->failed = true;
		return false;
	}
	t->p = p;
	t->cap = cap;
	return true;
}

void mw_text_add_octets(struct mw_text *t, const void *p, size_t n)
{
	if (!text_room(t, n))
		return;
	if (n > 0)
		memcpy(t->p + t->n, p, n);
	t->n += n;
	t->p[t->n] = '\0';
}

void mw_text_add(struct mw_text *t, const char *s)
{
	mw_text_add_octets(t, s, strlen(s));
}

void mw_text_addf(struct mw_text *t, const char *fmt, ...)
{
	va_list args, again;
	size_t room = t->cap - t->n;
	int n;

	va_start(args, fmt);
	va_copy(again, args);
	n = mw_vformat(room > 0 ? t->p + t->n : NULL, room, fmt, args);
	va_end(args);
	if (n < 0 || t->failed)
		t->failed = true;
	else if ((size_t)n < room)
		t->n += (size_t)n; /* the usual case: it fitted at once */
	else if (text_room(t, (size_t)n)) {
		mw_vformat(t->p + t->n, (size_t)n + 1, fmt, again);
		t->n += (size_t)n;
	}
	if (t->failed && t->p != NULL)
		t->p[t->n] = '\0';
	va_end(again);
}

void mw_text_add_label(struct mw_text *t, const char *name, const char *value)
{
	mw_text_add(t, name);
	mw_text_add(t, "=\"");
	for (const char *p = value; *p != '\0'; p++) {
		char c = mw_is_printable(p, 1) ? *p : '?';

		if (c == '"' || c == '\\')
			mw_text_add(t, "\\");
		mw_text_add_octets(t, &c, 1);
	}
	mw_text_add(t, "\"");
}
