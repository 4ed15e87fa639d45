#include <stdlib.h>

#include "grow.h"
#include "lzw.h"

#define HEAD 3 /* octets: two of the magic number, one of flags */
#define LITERALS 256
#define EMPTIED 256 /* the code that empties the table, where the flags say that there is one */
#define FIRST_WIDTH 9
#define WIDEST 16
#define CODES (1u << WIDEST)
#define CODES_A_LOOK 4096 /* codes between two looks at the clock */

enum { WIDTH_BITS = 0x1f, RESERVED = 0x60, HAS_EMPTIED = 0x80 };

struct lzw {
	struct mw_octets o;
	size_t group;	/* offset of the first code of this width */
	uint64_t bits;	/* of the codes since then */
	unsigned width; /* of the next code */
	unsigned most;	/* widest */
	unsigned free;	/* the next code that gets a meaning */
	bool has_emptied;
	int last;		    /* -1: none, behind the beginning or an emptied table */
	unsigned char first;	    /* the first octet of what the last code stood for */
	uint16_t before[CODES];	    /* what a code stands for: what that one does ... */
	unsigned char octet[CODES]; /* ... and this octet */
	unsigned char text[CODES];  /* of one code, from the end of it backwards */
};

/*
 * Codes are written in groups of eight; whoever changes their width fills the group first, so that
 * the next one begins at a whole number of octets.
 */
static void new_group(struct lzw *z, unsigned width)
{
	uint64_t group = (uint64_t)z->width * 8, bits = (z->bits + group - 1) / group * group;

	z->group += (size_t)(bits / 8);
	z->bits = 0;
	z->width = width;
}

/* False: not all of its bits are there, which is how a file ends. */
static bool next_code(struct lzw *z, unsigned *code_r)
{
	size_t at;
	uint32_t three = 0;

	if (z->free > (1u << z->width) - 1 && z->width < z->most)
		new_group(z, z->width + 1);
	at = z->group + (size_t)(z->bits / 8);
	if (z->group > z->o.n || z->bits + z->width > (uint64_t)(z->o.n - z->group) * 8)
		return false;
	for (unsigned i = 0; i < 3 && at + i < z->o.n; i++)
		three |= (uint32_t)z->o.p[at + i] << (8 * i);
	*code_r = three >> (z->bits % 8) & ((1u << z->width) - 1);
	z->bits += z->width;
	return true;
}

static void learn(struct lzw *z)
{
	if (z->last < 0 || z->free >= 1u << z->most)
		return;
	z->before[z->free] = (uint16_t)z->last;
	z->octet[z->free] = z->first;
	z->free++;
}

/* What the code stands for; empty: it stands for nothing. A code may be the very next one that gets
 * a meaning: then it ends with its own first octet. */
static struct mw_octets text_of(struct lzw *z, unsigned code)
{
	size_t at = sizeof(z->text);
	unsigned c = code;

	if (code > z->free || (code == z->free && (z->last < 0 || z->free >= 1u << z->most)))
		return mw_octets_of(NULL, 0);
	if (code == z->free) {
		z->text[--at] = z->first;
		c = (unsigned)z->last;
	}
	while (c >= LITERALS) {
		z->text[--at] = z->octet[c];
		c = z->before[c];
	}
	z->text[--at] = z->first = (unsigned char)c;
	learn(z);
	z->last = (int)code;
	return mw_octets_of(z->text + at, sizeof(z->text) - at);
}

static enum container_end decode(struct lzw *z, struct budget *budget, struct grow *g)
{
	struct mw_octets text;
	unsigned code;

	for (unsigned count = 0; next_code(z, &code); count++) {
		if (count % CODES_A_LOOK == 0 && !budget_time(budget))
			return CONTAINER_CUT;
		if (code == EMPTIED && z->has_emptied) {
			new_group(z, FIRST_WIDTH);
			z->free = EMPTIED + 1;
			z->last = -1;
			continue;
		}
		text = text_of(z, code);
		if (text.n == 0)
			return CONTAINER_BROKEN;
		if (!budget_octets(budget, text.n))
			return CONTAINER_CUT;
		if (!grow_put(g, g->n, text.p, text.n))
			return CONTAINER_NO_MEMORY;
	}
	return CONTAINER_WHOLE;
}

static bool begin(struct lzw *z, struct mw_octets o)
{
	unsigned flags = o.n >= HEAD ? o.p[2] : RESERVED;

	z->o = o;
	z->group = HEAD;
	z->width = FIRST_WIDTH;
	z->most = flags & WIDTH_BITS;
	z->has_emptied = (flags & HAS_EMPTIED) != 0;
	z->free = z->has_emptied ? EMPTIED + 1 : EMPTIED;
	z->last = -1;
	return (flags & RESERVED) == 0 && z->most >= FIRST_WIDTH && z->most <= WIDEST;
}

enum container_end lzw_open(const struct container_job *job)
{
	char name[CONTAINER_NAME_MAX];
	struct container_member m = { .name = name };
	enum container_end end = CONTAINER_NO_MEMORY;
	struct lzw *z = calloc(1, sizeof(*z));
	struct grow g = { 0 };

	if (z == NULL)
		return end;
	if (!begin(z, job->octets)) {
		end = CONTAINER_BROKEN;
		goto out;
	}
	if (!budget_file(job->budget)) {
		end = CONTAINER_CUT;
		goto out;
	}
	container_inner_name(name, job->name);
	end = decode(z, job->budget, &g);
	if (end == CONTAINER_NO_MEMORY)
		goto out;
	m.octets = mw_octets_of(g.p, g.n);
	m.broken = end == CONTAINER_BROKEN;
	/* Of a width of 9 some readers make 10 once the table is full. */
	m.ambiguous = z->most == FIRST_WIDTH && z->free >= 1u << FIRST_WIDTH;
	if (m.ambiguous && job->ambiguous_r != NULL)
		*job->ambiguous_r = true;
	if (!job->got(job->arg, &m))
		end = CONTAINER_CUT;
out:
	grow_fini(&g);
	free(z);
	return end;
}
