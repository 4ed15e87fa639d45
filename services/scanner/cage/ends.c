#include "ends.h"
#include "inflate.h"
#include "zip_head.h"

size_t end_unknown(struct mw_octets o)
{
	return o.n;
}

/* ------------------------------------------------------------------ 7z: 7zFormat.txt,
 * SignatureHeader
 */

#define START_7Z 32

size_t end_of_7z(struct mw_octets o)
{
	uint64_t offset, size, end;

	if (o.n < START_7Z)
		return o.n;
	offset = zip_64(o.p + 12);
	size = zip_64(o.p + 20);
	if (__builtin_add_overflow(offset, size, &end) || end > o.n - START_7Z)
		return o.n;
	return START_7Z + (size_t)end;
}

/* ------------------------------------------------------------------ gzip: RFC 1952 section 2.3 */

#define GZIP_FIXED 10
enum { GZIP_SUM = 0x02, GZIP_EXTRA = 0x04, GZIP_NAME = 0x08, GZIP_COMMENT = 0x10 };

/* The text at *at_p, behind whose NUL that is moved; to the end when there is none. */
static struct mw_octets take_text(struct mw_octets o, size_t *at_p)
{
	const unsigned char *from = o.p + *at_p, *nul = memchr(from, '\0', o.n - *at_p);
	size_t n = nul != NULL ? (size_t)(nul - from) : o.n - *at_p;

	*at_p = nul != NULL ? *at_p + n + 1 : o.n;
	return mw_octets_of(from, n);
}

size_t gzip_head(struct mw_octets o, struct mw_octets *name_r)
{
	size_t at = GZIP_FIXED;
	unsigned flags;

	*name_r = mw_octets_of(NULL, 0);
	if (o.n < GZIP_FIXED || o.p[0] != 0x1f || o.p[1] != 0x8b)
		return 0;
	flags = o.p[3];
	if ((flags & GZIP_EXTRA) != 0) {
		if (o.n - at < 2 || zip_16(o.p + at) > o.n - at - 2)
			return 0;
		at += 2 + zip_16(o.p + at);
	}
	if ((flags & GZIP_NAME) != 0)
		*name_r = take_text(o, &at);
	if ((flags & GZIP_COMMENT) != 0)
		take_text(o, &at);
	if ((flags & GZIP_SUM) != 0)
		at += 2;
	return at < o.n ? at : 0;
}

bool gzip_is_empty(struct mw_octets o)
{
	static const char nothing[10] = { 3 }; /* an empty last block; sum and size */
	struct mw_octets name;
	size_t at = gzip_head(o, &name);

	return at != 0 && o.n - at == sizeof(nothing) &&
	       memcmp(o.p + at, nothing, sizeof(nothing)) == 0;
}

/* ------------------------------------------------------------------ xz: xz-file-format 2.1.2 */

#define FOOTER_XZ 12
#define XZ_CHECK_MAX 15

/* CRC of what follows it, backward size, flags, "YZ". Streams that readers join may each have
 * another check: its number is the last one's. */
static bool is_footer(struct mw_octets o, size_t at)
{
	const unsigned char *p = o.p + at;

	return p[8] == 0 && p[9] <= XZ_CHECK_MAX && p[10] == 'Y' && p[11] == 'Z' &&
	       zip_32(p) == inflate_crc32(mw_octets_of(p + 4, 6));
}

size_t end_of_xz(struct mw_octets o)
{
	size_t to = o.n;

	if (o.n < 2 * FOOTER_XZ)
		return o.n;
	while (to > FOOTER_XZ) {
		const unsigned char *z = memrchr(o.p + FOOTER_XZ, 'Z', to - FOOTER_XZ);
		size_t end;

		if (z == NULL)
			return o.n;
		end = (size_t)(z - o.p) + 1;
		if (end >= 2 * FOOTER_XZ && is_footer(o, end - FOOTER_XZ))
			return end;
		to = end - 1;
	}
	return o.n;
}

/* ------------------------------------------------------------------ lzma: lzma-file-format.txt */

#define LZMA_HEAD 13
#define LZMA_PROPERTIES (5 * 5 * 9)
#define LZMA_SIZE_BITS 56 /* of what is written; more is no size but a chance */
#define LZMA_DICTIONARY_LEAST 4096

/* A power of two, or one and a half of it: what 7-Zip and xz take. */
static bool is_dictionary(uint32_t n)
{
	while (n > 3 && n % 2 == 0)
		n /= 2;
	return n == 2 || n == 3 || n == UINT32_MAX;
}

static bool lzma_is_endless(struct mw_octets o)
{
	return zip_64(o.p + 5) == UINT64_MAX;
}

/* The octet behind the header is the first of the range coder's, always zero. */
bool is_lzma(struct mw_octets o)
{
	uint32_t dictionary;

	if (o.n <= LZMA_HEAD || o.p[0] >= LZMA_PROPERTIES || o.p[LZMA_HEAD] != 0 ||
		(!lzma_is_endless(o) && zip_64(o.p + 5) >> LZMA_SIZE_BITS != 0))
		return false;
	dictionary = zip_32(o.p + 1);
	return is_dictionary(dictionary) || (o.p[0] == 0x5d && (dictionary & UINT16_MAX) == 0);
}

bool is_surely_lzma(struct mw_octets o)
{
	return lzma_is_endless(o) ||
	       ((o.p[0] == 0x5d || o.p[0] == 0x5e) && zip_32(o.p + 1) >= LZMA_DICTIONARY_LEAST);
}

/* ------------------------------------------------------------------ zstd: RFC 8878 section 3.1 */

#define SKIPPABLE 0x184d2a50u
#define ZSTD_MAGIC 0xfd2fb528u

/* Octets of a frame's header behind its magic number (section 3.1.1.1). */
static size_t frame_header(unsigned char descriptor)
{
	static const size_t content[4] = { 0, 2, 4, 8 }, dictionary[4] = { 0, 1, 2, 4 };
	bool single = (descriptor & 0x20) != 0;
	unsigned size = descriptor >> 6;

	return 1 + !single + dictionary[descriptor & 3] + (size == 0 && single ? 1 : content[size]);
}

/* Offset behind the frame at `at`; 0: there is none, or not the whole of it. */
static size_t behind_frame(struct mw_octets o, size_t at)
{
	uint32_t block = 0;
	bool sum;

	if (o.n - at < 8)
		return 0;
	if ((zip_32(o.p + at) & 0xfffffff0u) == SKIPPABLE)
		return zip_32(o.p + at + 4) <= o.n - at - 8 ? at + 8 + zip_32(o.p + at + 4) : 0;
	if (zip_32(o.p + at) != ZSTD_MAGIC)
		return 0;
	sum = (o.p[at + 4] & 4) != 0;
	at += 4 + frame_header(o.p[at + 4]);
	while ((block & 1) == 0) { /* not the last one */
		size_t n;

		if (at > o.n || o.n - at < 3)
			return 0;
		block = zip_16(o.p + at) | (uint32_t)o.p[at + 2] << 16;
		n = (block >> 1 & 3) == 1 ? 1 : block >> 3; /* one octet, many times */
		if (n > o.n - at - 3)
			return 0;
		at += 3 + n;
	}
	return sum && o.n - at < 4 ? 0 : at + (sum ? 4 : 0);
}

static size_t end_of_frames(struct mw_octets o, size_t (*behind)(struct mw_octets o, size_t at))
{
	size_t at = 0, next;

	while (at < o.n && (next = behind(o, at)) != 0)
		at = next;
	return at != 0 ? at : o.n;
}

size_t end_of_zstd(struct mw_octets o)
{
	return end_of_frames(o, behind_frame);
}

/* ------------------------------------------------------------------ lz4: lz4_Frame_format.md */

#define LZ4_MAGIC 0x184d2204u
#define LZ4_LEGACY 0x184c2102u
#define LZ4_LEGACY_MOST ((8u << 20) + (8u << 20) / 255 + 16) /* octets of a block of those */
enum { LZ4_CONTENT_SUM = 0x04, LZ4_CONTENT_SIZE = 0x08, LZ4_BLOCK_SUM = 0x10, LZ4_DICTIONARY = 1 };

/* Blocks without an end mark: as far as there are sizes, which the next frame's magic is none of.
 */
static size_t behind_legacy(struct mw_octets o, size_t at)
{
	for (at += 4; o.n - at >= 4 && zip_32(o.p + at) <= LZ4_LEGACY_MOST;) {
		size_t n = zip_32(o.p + at);

		at += 4;
		if (n > o.n - at)
			return 0;
		at += n;
	}
	return at;
}

/* Offset behind the frame at `at`; 0: there is none, or not the whole of it. */
static size_t behind_lz4(struct mw_octets o, size_t at)
{
	unsigned char flags;

	if (o.n - at < 11)
		return 0;
	if ((zip_32(o.p + at) & 0xfffffff0u) == SKIPPABLE)
		return behind_frame(o, at);
	if (zip_32(o.p + at) == LZ4_LEGACY)
		return behind_legacy(o, at);
	if (zip_32(o.p + at) != LZ4_MAGIC)
		return 0;
	flags = o.p[at + 4];
	at += 7 + ((flags & LZ4_CONTENT_SIZE) != 0 ? 8 : 0) +
	      ((flags & LZ4_DICTIONARY) != 0 ? 4 : 0);
	for (;;) {
		size_t n;

		if (at > o.n || o.n - at < 4)
			return 0;
		n = zip_32(o.p + at) & 0x7fffffffu; /* the highest bit: not compressed */
		at += 4;
		if (n == 0)
			break;
		n += (flags & LZ4_BLOCK_SUM) != 0 ? 4 : 0;
		if (n > o.n - at)
			return 0;
		at += n;
	}
	if ((flags & LZ4_CONTENT_SUM) == 0)
		return at;
	return o.n - at < 4 ? 0 : at + 4;
}

size_t end_of_lz4(struct mw_octets o)
{
	return end_of_frames(o, behind_lz4);
}

/* ------------------------------------------------------------------ tar */

#define TAR_BLOCK 512
#define TAR_SUM_AT 148
#define TAR_SUM_OCTETS 8

bool is_old_tar(struct mw_octets o)
{
	unsigned long said = 0, sum = 0, sum_signed = 0;
	unsigned digits = 0;

	if (o.n < TAR_BLOCK || o.p[0] == '\0')
		return false;
	for (size_t i = TAR_SUM_AT; i < TAR_SUM_AT + TAR_SUM_OCTETS; i++) {
		if (o.p[i] >= '0' && o.p[i] <= '7') {
			said = said * 8 + (o.p[i] - '0');
			digits++;
		} else if (o.p[i] != ' ' && o.p[i] != '\0') {
			return false;
		} else if (digits > 0) {
			break;
		}
	}
	if (digits < 3)
		return false;
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		bool blank = i >= TAR_SUM_AT && i < TAR_SUM_AT + TAR_SUM_OCTETS;

		sum += blank ? ' ' : o.p[i];
		sum_signed += blank ? (unsigned long)' ' : (unsigned long)(long)(signed char)o.p[i];
	}
	return said == sum || said == sum_signed; /* some old writers summed signed octets */
}

/* ------------------------------------------------------------------ RAR 5: technote.htm, "Archive
 * blocks"
 */

#define RAR5_MAGIC 8
enum { BLOCK_FILE = 2, BLOCK_ENCRYPTION = 4, BLOCK_LAST = 5 };
enum { HAS_EXTRA = 1, HAS_DATA = 2 };
#define RECORD_ENCRYPTION 1

bool rar5_number(struct mw_octets *o, uint64_t *n_r)
{
	uint64_t n = 0;

	for (unsigned shift = 0; shift < 63 && o->n > 0; shift += 7) {
		unsigned char c = o->p[0];

		*o = mw_octets_of(o->p + 1, o->n - 1);
		n |= (uint64_t)(c & 0x7f) << shift;
		if ((c & 0x80) == 0) {
			*n_r = n;
			return true;
		}
	}
	return false;
}

static bool has_encryption(struct mw_octets extra)
{
	uint64_t size, type;

	while (rar5_number(&extra, &size) && size <= extra.n) {
		struct mw_octets record = mw_octets_of(extra.p, (size_t)size);

		if (rar5_number(&record, &type) && type == RECORD_ENCRYPTION)
			return true;
		extra = mw_octets_of(extra.p + size, extra.n - (size_t)size);
	}
	return false;
}

void rar5_begin(struct rar5_walk *w, struct mw_octets o)
{
	w->o = o;
	w->at = o.n < RAR5_MAGIC ? o.n : RAR5_MAGIC;
}

/* One block; *type_r 0: no more. */
static bool block(struct rar5_walk *w, uint64_t *type_r, bool *encrypted_r)
{
	struct mw_octets rest = mw_octets_of(w->o.p + w->at, w->o.n - w->at), head;
	uint64_t size, flags, extra = 0, data = 0;

	if (rest.n < 4)
		return false;
	rest = mw_octets_of(rest.p + 4, rest.n - 4);
	if (!rar5_number(&rest, &size) || size > rest.n)
		return false;
	head = mw_octets_of(rest.p, (size_t)size);
	if (!rar5_number(&head, type_r) || !rar5_number(&head, &flags) ||
		((flags & HAS_EXTRA) != 0 && !rar5_number(&head, &extra)) ||
		((flags & HAS_DATA) != 0 && !rar5_number(&head, &data)))
		return false;
	*encrypted_r = extra <= head.n &&
		       has_encryption(mw_octets_of(head.p + head.n - extra, (size_t)extra));
	rest = mw_octets_of(rest.p + size, rest.n - (size_t)size);
	w->at = data <= rest.n ? (size_t)(rest.p - w->o.p) + (size_t)data : w->o.n;
	return true;
}

enum rar5_next rar5_next(struct rar5_walk *w)
{
	uint64_t type = 0;
	bool encrypted = false;

	while (block(w, &type, &encrypted) && type != BLOCK_LAST) {
		if (type == BLOCK_ENCRYPTION)
			return RAR5_ENCRYPTED_ARCHIVE;
		if (type == BLOCK_FILE)
			return encrypted ? RAR5_ENCRYPTED_FILE : RAR5_FILE;
	}
	return RAR5_END;
}
