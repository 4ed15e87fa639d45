#include "doc.h"

#include <stdlib.h>
#include <zlib.h>

#include "utf8.h"

#define BUF_LEAST 4096
#define INFLATE_STEP 16384
#define NAME16_UNITS 255 /* of a longer name the end is looked at */

int doc_hex(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ------------------------------------------------------------------ decoded octets */

enum container_end doc_room(struct budget *budget, struct doc_buf *buf, size_t n)
{
	size_t cap = buf->cap != 0 ? buf->cap : BUF_LEAST;
	unsigned char *bigger;

	if (!budget_octets(budget, n))
		return CONTAINER_CUT;
	if (n <= buf->cap - buf->n)
		return CONTAINER_WHOLE;
	while (cap - buf->n < n) /* the budget is far below SIZE_MAX / 2 */
		cap *= 2;
	bigger = realloc(buf->p, cap);
	if (bigger == NULL)
		return CONTAINER_NO_MEMORY;
	buf->p = bigger;
	buf->cap = cap;
	return CONTAINER_WHOLE;
}

enum container_end doc_add(struct budget *budget, struct doc_buf *buf, const void *p, size_t n)
{
	enum container_end end = doc_room(budget, buf, n);

	if (end != CONTAINER_WHOLE || n == 0)
		return end;
	memcpy(buf->p + buf->n, p, n);
	buf->n += n;
	return CONTAINER_WHOLE;
}

void doc_free(struct doc_buf *buf)
{
	free(buf->p);
	*buf = (struct doc_buf){ 0 };
}

static enum container_end inflate_all(struct budget *budget, z_stream *z, struct doc_buf *buf)
{
	unsigned char step[INFLATE_STEP];
	enum container_end end;
	int rc;

	for (;;) {
		z->next_out = step;
		z->avail_out = sizeof(step);
		rc = inflate(z, Z_NO_FLUSH);
		end = doc_add(budget, buf, step, sizeof(step) - z->avail_out);
		if (end != CONTAINER_WHOLE)
			return end;
		if (rc == Z_STREAM_END)
			return CONTAINER_WHOLE;
		if (rc == Z_MEM_ERROR)
			return CONTAINER_NO_MEMORY;
		if (rc != Z_OK)
			return CONTAINER_BROKEN;
		if (!budget_time(budget))
			return CONTAINER_CUT;
	}
}

enum container_end doc_inflate(
	struct budget *budget, struct mw_octets in, int window_bits, struct doc_buf *buf)
{
	z_stream z = { 0 };
	enum container_end end;

	if (in.n > UINT32_MAX)
		return CONTAINER_BROKEN; /* no mail is that large */
	z.next_in = (unsigned char *)(uintptr_t)in.p;
	z.avail_in = (unsigned)in.n;
	if (inflateInit2(&z, window_bits) != Z_OK)
		return CONTAINER_NO_MEMORY;
	end = inflate_all(budget, &z, buf);
	inflateEnd(&z);
	return end;
}

/* ------------------------------------------------------------------ members */

enum container_end doc_give(const struct container_job *job, const struct container_member *m)
{
	return budget_file(job->budget) && job->got(job->arg, m) ? CONTAINER_WHOLE : CONTAINER_CUT;
}

enum container_end doc_give_range(
	const struct container_job *job, const char *name, const char *also, struct mw_octets o)
{
	const struct container_member m = { .name = name, .aliases = { also }, .octets = o };

	return budget_octets(job->budget, o.n) ? doc_give(job, &m) : CONTAINER_CUT;
}

static uint32_t unit16(struct mw_octets o, size_t i, bool little)
{
	unsigned v = doc_u16(o, 2 * i);

	return little ? v : __builtin_bswap16((uint16_t)v);
}

size_t doc_utf8(char *to, struct mw_octets o, bool little)
{
	size_t units = o.n / 2, n = 0;

	for (size_t i = 0; i < units; i++) {
		uint32_t c = unit16(o, i, little), low = unit16(o, i + 1, little);

		if ((c & 0xfc00) == 0xd800 && i + 1 < units && (low & 0xfc00) == 0xdc00) {
			c = 0x10000 + ((c & 0x3ff) << 10 | (low & 0x3ff));
			i++;
		} else if ((c & 0xf800) == 0xd800) {
			c = '?';
		}
		n += mw_utf8_write(to + n, c);
	}
	return n;
}

void doc_name16(char buf[CONTAINER_NAME_MAX], struct mw_octets o)
{
	char text[NAME16_UNITS * 3 + 1];
	size_t units = 0, from;

	while (units < o.n / 2 && doc_u16(o, 2 * units) != 0)
		units++;
	from = units > NAME16_UNITS ? units - NAME16_UNITS : 0;
	container_name(buf, text, doc_utf8(text, doc_range(o, 2 * from, 2 * (units - from)), true));
}

void doc_name8(char buf[CONTAINER_NAME_MAX], struct mw_octets o)
{
	container_name(buf, (const char *)o.p, o.n == 0 ? 0 : strnlen((const char *)o.p, o.n));
}

const char *doc_base(const char *path)
{
	const char *base = path;

	for (; *path != '\0'; path++)
		if (*path == '/' || *path == '\\')
			base = path + 1;
	return base;
}

bool doc_names_add(struct doc_names *names, unsigned rank, const char *name)
{
	unsigned at = 0;

	for (unsigned i = 0; i < names->n; i++)
		if (strcmp(names->text[i], name) == 0)
			return true;
	if (name[0] == '\0')
		return true;
	if (names->n == MW_COUNT(names->text))
		return false;
	while (at < names->n && names->ranks[at] <= rank)
		at++;
	memmove(names->text[at + 1], names->text[at], (names->n - at) * sizeof(names->text[0]));
	memmove(names->ranks + at + 1, names->ranks + at, names->n - at);
	mw_strlcpy(names->text[at], name, CONTAINER_NAME_MAX);
	names->ranks[at] = (unsigned char)rank;
	names->n++;
	return true;
}

void doc_names_tell(const struct doc_names *names, struct container_member *m)
{
	m->name = names->n != 0 ? names->text[0] : "";
	for (unsigned i = 0; i < CONTAINER_ALIASES_MAX; i++)
		m->aliases[i] = i + 1 < names->n ? names->text[i + 1] : NULL;
}
