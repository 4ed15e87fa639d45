#include <lzo/lzo1x.h>

#include "grow.h"
#include "lzop.h"

#define MAGIC "\x89LZO\0\r\n\x1a\n"
#define MAGIC_OCTETS 9
#define BLOCK_MOST ((size_t)64 << 20) /* lzop's own MAX_BLOCK_SIZE */

/* Bits of the header's flags. */
enum {
	ADLER_PLAIN = 0x1,
	ADLER_PACKED = 0x2,
	EXTRA_FIELD = 0x40,
	MULTIPART = 0x400,
	CRC_PLAIN = 0x100,
	CRC_PACKED = 0x200,
	HAS_FILTER = 0x800
};
#define VERSION_WITH_LEVEL 0x0940

struct reader {
	struct mw_octets o;
	size_t at;
	bool cut; /* it asked for more than there is */
};

static uint32_t take(struct reader *r, unsigned octets)
{
	uint32_t n = 0;

	if (r->cut || r->o.n - r->at < octets) {
		r->cut = true;
		return 0;
	}
	for (unsigned i = 0; i < octets; i++)
		n = n << 8 | r->o.p[r->at++];
	return n;
}

static struct mw_octets take_octets(struct reader *r, size_t n)
{
	struct mw_octets o = { r->o.p + r->at, n };

	if (r->cut || r->o.n - r->at < n) {
		r->cut = true;
		return mw_octets_of("", 0);
	}
	r->at += n;
	return o;
}

/* Behind the magic number. False: no header that can be read on from. */
static bool head(struct reader *r, uint32_t *flags_r, bool *changed_r, struct mw_octets *name_r)
{
	uint32_t version = take(r, 2);

	take(r, 2); /* of the library */
	if (version >= VERSION_WITH_LEVEL)
		take(r, 2); /* version that is needed */
	take(r, 1);	    /* method: all of them are LZO1X */
	if (version >= VERSION_WITH_LEVEL)
		take(r, 1); /* level */
	*flags_r = take(r, 4);
	/* A filter, or a file in several: what comes out is not what was packed. */
	*changed_r = (*flags_r & MULTIPART) != 0;
	if ((*flags_r & HAS_FILTER) != 0)
		*changed_r = take(r, 4) != 0 || *changed_r;
	take_octets(r, version >= VERSION_WITH_LEVEL ? 12 : 8); /* mode, times */
	*name_r = take_octets(r, take(r, 1));
	take(r, 4); /* checksum */
	if ((*flags_r & EXTRA_FIELD) != 0) {
		take_octets(r, take(r, 4));
		take(r, 4);
	}
	return !r->cut;
}

/* CONTAINER_WHOLE, *last_r: the zero that ends a file. */
static enum container_end block(
	struct reader *r, uint32_t flags, struct budget *budget, struct grow *g, bool *last_r)
{
	size_t plain = take(r, 4), packed;
	struct mw_octets octets;
	lzo_uint n = plain;

	*last_r = plain == 0 && !r->cut;
	if (*last_r)
		return CONTAINER_WHOLE;
	packed = take(r, 4);
	take_octets(r, ((flags & ADLER_PLAIN) != 0 ? 4 : 0) + ((flags & CRC_PLAIN) != 0 ? 4 : 0));
	if (packed < plain)
		take_octets(r, ((flags & ADLER_PACKED) != 0 ? 4 : 0) +
				       ((flags & CRC_PACKED) != 0 ? 4 : 0));
	octets = take_octets(r, packed);
	if (r->cut || packed > plain || plain > BLOCK_MOST)
		return CONTAINER_BROKEN;
	if (!budget_octets(budget, plain) || !budget_time(budget))
		return CONTAINER_CUT;
	if (packed == plain) /* stored */
		return grow_put(g, g->n, octets.p, octets.n) ? CONTAINER_WHOLE
							     : CONTAINER_NO_MEMORY;
	if (!grow_room(g, g->n + plain))
		return CONTAINER_NO_MEMORY;
	if (lzo1x_decompress_safe(octets.p, octets.n, g->p + g->n, &n, NULL) != LZO_E_OK)
		return CONTAINER_BROKEN;
	g->n += n;
	return n == plain ? CONTAINER_WHOLE : CONTAINER_BROKEN;
}

/* Its octets are added to those of the files before it. */
static enum container_end one_file(
	struct reader *r, const struct container_job *job, struct grow *g)
{
	size_t from = g->n;
	char name[CONTAINER_NAME_MAX], inner[CONTAINER_NAME_MAX];
	struct container_member m = { .name = name };
	enum container_end end = CONTAINER_WHOLE;
	struct mw_octets declared;
	bool last = false, changed;
	uint32_t flags;

	if (!head(r, &flags, &changed, &declared))
		return CONTAINER_BROKEN;
	if (!budget_file(job->budget))
		return CONTAINER_CUT;
	container_name(name, (const char *)declared.p, declared.n);
	container_inner_name(inner, job->name);
	if (name[0] == '\0')
		m.name = inner;
	else if (inner[0] != '\0' && strcmp(name, inner) != 0)
		m.aliases[0] = inner; /* programs take the one or the other */
	while (end == CONTAINER_WHOLE && !last)
		end = block(r, flags, job->budget, g, &last);
	if (end == CONTAINER_NO_MEMORY)
		return end;
	if (end == CONTAINER_WHOLE && changed)
		end = CONTAINER_BROKEN;
	m.octets = mw_octets_of(g->n > from ? g->p + from : NULL, g->n - from);
	m.broken = end == CONTAINER_BROKEN;
	return job->got(job->arg, &m) ? end : CONTAINER_CUT;
}

static bool has_magic(struct mw_octets o, size_t at)
{
	return o.n - at >= MAGIC_OCTETS && memcmp(o.p + at, MAGIC, MAGIC_OCTETS) == 0;
}

static bool knows(struct mw_octets o)
{
	return has_magic(o, 0);
}

/* Several files are several to some readers, to others the pieces of one. */
static enum container_end give_joined(const struct container_job *job, const struct grow *g)
{
	char name[CONTAINER_NAME_MAX];
	struct container_member m = { .name = name, .octets = mw_octets_of(g->p, g->n) };

	container_inner_name(name, job->name);
	if (job->ambiguous_r != NULL)
		*job->ambiguous_r = true;
	if (!budget_file(job->budget) || !job->got(job->arg, &m))
		return CONTAINER_CUT;
	return CONTAINER_WHOLE;
}

static enum container_end open_lzop(const struct container_job *job)
{
	struct reader r = { .o = job->octets };
	struct container_member tail = { .name = "" };
	enum container_end end = CONTAINER_WHOLE;
	struct grow g = { 0 };
	unsigned files = 0;

	for (; end == CONTAINER_WHOLE && has_magic(r.o, r.at); files++) {
		r.at += MAGIC_OCTETS;
		end = one_file(&r, job, &g);
	}
	if (files > 1 && end <= CONTAINER_BROKEN && give_joined(job, &g) == CONTAINER_CUT)
		end = CONTAINER_CUT;
	grow_fini(&g);
	tail.octets = mw_octets_of(r.o.p + r.at, r.o.n - r.at);
	if (end != CONTAINER_WHOLE || !container_is_tail(tail.octets))
		return end;
	if (!budget_file(job->budget) || !job->got(job->arg, &tail))
		return CONTAINER_CUT;
	return CONTAINER_WHOLE;
}

const struct container container_lzop = { "lzop", knows, open_lzop };
