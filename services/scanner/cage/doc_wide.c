/*
 * Texts in UTF-16: browsers and office programs read HTML and XML in it, and what looks for words
 * here knows octets. Such a text is given out once more, in UTF-8.
 */
#include "doc.h"

#define LOOKED_AT 8 /* octets that say what it is where no mark does */
#define MARK 2	    /* octets of the byte order mark */

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
