/*
 * Texts in UTF-16: browsers and office programs read HTML and XML in it, and what looks for words
 * here knows octets. Such a text is given out once more, in UTF-8.
 */
#include "doc.h"

#define LOOKED_AT 8	   /* octets that say what it is where no mark does */
#define LOOKED_WITHIN 4096 /* ... or in which there is a run of so many ASCII characters */
#define RUN 12
#define MARK 2 /* octets of the byte order mark */

enum order { ORDER_NONE, ORDER_LITTLE, ORDER_BIG };

static bool is_text(unsigned char c)
{
	return (c >= ' ' && c < 0x7f) || c == '\t' || c == '\n' || c == '\r';
}

/* What an office document has two of begins with the same mark ([MS-OLEPS] section 2.21). */
static bool is_property_set(struct mw_octets o)
{
	uint32_t sets = doc_u32(o, 24);

	return doc_u16(o, 2) <= 1 && (sets == 1 || sets == 2);
}

/* A unit in either order. */
static unsigned unit_at(struct mw_octets o, size_t i, bool little)
{
	return little ? doc_u16(o, i) : doc_u8(o, i) << 8 | doc_u8(o, i + 1);
}

/* A text may begin with other letters than ours, and its mail alone say what it is: then a tag, or
 * words, stand soon behind them, and no NUL or control in front of them. */
static bool has_run(struct mw_octets o, bool little)
{
	size_t run = 0, n = o.n < LOOKED_WITHIN ? o.n : LOOKED_WITHIN;

	for (size_t i = 0; i + 1 < n && run < RUN; i += 2) {
		unsigned c = unit_at(o, i, little);

		if (c < 0x80 && !is_text((unsigned char)c))
			return false;
		run = c < 0x80 ? run + 1 : 0;
	}
	return run >= RUN;
}

static enum order order_of(struct mw_octets o)
{
	bool little = o.n >= LOOKED_AT, big = little;

	if (doc_starts(o, "\xff\xfe", MARK))
		return ORDER_LITTLE;
	if (doc_starts(o, "\xfe\xff", MARK))
		return is_property_set(o) ? ORDER_NONE : ORDER_BIG;
	for (size_t i = 0; i + 1 < LOOKED_AT && (little || big); i += 2) {
		little = little && is_text(o.p[i]) && o.p[i + 1] == 0;
		big = big && is_text(o.p[i + 1]) && o.p[i] == 0;
	}
	if (o.n >= LOOKED_AT && !little && !big) {
		little = has_run(o, true);
		big = !little && has_run(o, false);
	}
	return little ? ORDER_LITTLE : big ? ORDER_BIG : ORDER_NONE;
}

static bool knows(struct mw_octets octets)
{
	return octets.n >= LOOKED_AT && order_of(octets) != ORDER_NONE;
}

static enum container_end open_wide(const struct container_job *job)
{
	struct mw_octets o = job->octets;
	bool little = order_of(o) == ORDER_LITTLE;
	bool marked = doc_starts(o, little ? "\xff\xfe" : "\xfe\xff", MARK);
	struct container_member m = { .name = "" };
	struct doc_buf buf = { 0 };
	enum container_end end;

	/* A unit becomes three octets at most. */
	end = budget_time(job->budget) ? doc_room(job->budget, &buf, o.n / 2 * 3) : CONTAINER_CUT;
	if (end == CONTAINER_WHOLE) {
		buf.n = doc_utf8((char *)buf.p, doc_from(o, marked ? MARK : 0), little);
		m.octets = doc_octets(&buf);
		end = doc_give(job, &m);
	}
	doc_free(&buf);
	return end;
}

const struct container container_wide = { "wide", knows, open_wide };
