#include "doc.h"
#include "ends.h"
#include "inflate.h"
#include "sfx.h"
#include "unpack.h"
#include "zip_head.h"

/*
 * WinRAR and 7-Zip look for their archives behind some megabytes of whatever stands before them;
 * in a program it may stand anywhere (IExpress keeps its cabinet among the resources).
 */
#define WITHIN ((size_t)8 << 20)
#define FOUND_MAX 8 /* archives given out of one file */

/* ------------------------------------------------------------------ is it one? */

static bool is_7z(struct mw_octets o)
{
	return o.n > 32 && zip_32(o.p + 8) == inflate_crc32(mw_octets_of(o.p + 12, 20));
}

#define RAR_N 7 /* octets of the magic number of RAR 4, of RAR 5 one more */
#define RAR_SIZE_MOST 3
#define RAR_MAIN4 0x73
#define RAR_MAIN4_N 13

/* CRC-16 of a block's header, the low half of zip's. A main block may have its comment in it, of
 * which there is another one. */
static bool is_rar(struct mw_octets o)
{
	struct mw_octets block = doc_from(o, RAR_N);
	size_t size = doc_u16(block, 5);

	if (size < 7 || size > block.n)
		return false;
	if (doc_u16(block, 0) == (inflate_crc32(doc_range(block, 2, size - 2)) & UINT16_MAX))
		return true;
	return doc_u8(block, 2) == RAR_MAIN4 && size > RAR_MAIN4_N &&
	       doc_u16(block, 0) ==
		       (inflate_crc32(doc_range(block, 2, RAR_MAIN4_N - 2)) & UINT16_MAX);
}

/* Any first block will do: unrar goes on to the main one. */
static bool is_rar5(struct mw_octets o)
{
	struct mw_octets block = doc_from(o, RAR_N + 1), sized = doc_from(block, 4), rest = sized;
	uint64_t size;

	if (!rar5_number(&rest, &size) || sized.n - rest.n > RAR_SIZE_MOST || size == 0 ||
		size > rest.n)
		return false;
	return doc_u32(block, 0) ==
	       inflate_crc32(doc_range(sized, 0, sized.n - rest.n + (size_t)size));
}

/* [MS-CAB] section 2.1, CFHEADER: version 1.3, no longer than what is there. */
static bool is_cab(struct mw_octets o)
{
	return o.n >= 36 && zip_32(o.p + 8) <= o.n && zip_32(o.p + 8) >= 36 && o.p[24] == 3 &&
	       o.p[25] == 1;
}

/* The octet that is looked for is one that text does not have: then text costs next to nothing. */
static const struct hidden {
	const char *magic;
	size_t n, rare; /* rare: which octet of it */
	bool (*is)(struct mw_octets from_here);
	bool in_programs; /* it is looked for in programs alone */
} hidden[] = {
	{ "Rar!\x1a\x07\0", 7, 4, is_rar, false },
	{ "Rar!\x1a\x07\x01\0", 8, 4, is_rar5, false },
	{ "7z\xbc\xaf\x27\x1c", 6, 2, is_7z, false },
	{ "MSCF\0\0\0\0", 8, 3, is_cab, true },
};

/* The next place of it in [from, to); SIZE_MAX: none. */
static size_t find(struct mw_octets o, const struct hidden *h, size_t from, size_t to)
{
	size_t at = from + h->rare;

	to = to < o.n ? to : o.n;
	while (at < to) {
		const unsigned char *p = memchr(o.p + at, h->magic[h->rare], to - at);
		size_t start;

		if (p == NULL)
			return SIZE_MAX;
		start = (size_t)(p - o.p) - h->rare;
		if (h->n <= o.n - start && memcmp(o.p + start, h->magic, h->n) == 0 &&
			h->is(mw_octets_of(o.p + start, o.n - start)))
			return start;
		at = start + h->rare + 1;
	}
	return SIZE_MAX;
}

static bool is_program(struct mw_octets o)
{
	return o.n > 64 && (memcmp(o.p, "MZ", 2) == 0 || memcmp(o.p,
								 "\x7f"
								 "ELF",
								 4) == 0);
}

/* The first of any kind behind `from`. */
static size_t find_any(struct mw_octets o, size_t from)
{
	bool program = is_program(o);
	size_t to = program ? o.n : WITHIN, first = SIZE_MAX;

	for (size_t i = 0; i < MW_COUNT(hidden); i++) {
		size_t at;

		if (hidden[i].in_programs && !program)
			continue;
		at = find(o, &hidden[i], from, to);
		first = at < first ? at : first;
	}
	return first;
}

/* ------------------------------------------------------------------ the row */

/* What is an archive from its first octet on has its own reader, and may hold others unpacked. */
static bool knows(struct mw_octets o)
{
	return o.n > 64 && unpack_kind_of(o) == NULL && !doc_starts(o, "PK", 2) &&
	       find_any(o, 1) != SIZE_MAX;
}

static enum container_end open_behind(const struct container_job *job)
{
	struct mw_octets o = job->octets;
	size_t at = 0;

	for (unsigned i = 0; i < FOUND_MAX && (at = find_any(o, at + 1)) != SIZE_MAX; i++) {
		struct container_member m = { .name = "",
			.octets = mw_octets_of(o.p + at, o.n - at) };

		if (zip_is(o, at, "MSCF"))
			m.octets.n = zip_32(o.p + at + 8);
		if (!budget_file(job->budget) || !budget_time(job->budget) ||
			!job->got(job->arg, &m))
			return CONTAINER_CUT;
		if (!zip_is(o, at, "MSCF")) /* the archive's own reader looks at its tail */
			break;
		at += m.octets.n - 1;
	}
	return CONTAINER_WHOLE;
}

const struct container container_sfx = { "behind", knows, open_behind };
