#include "rar_blocks.h"

#include "doc.h"
#include "ends.h"

/* ------------------------------------------------------------------ RAR 5: technote.htm */

#define RAR5 "Rar!\x1a\x07\x01\0"
#define RAR5_N 8
#define SIZE5_MOST 3   /* octets of a block's size, beyond which unrar reads no further */
#define NUMBER5_MOST 8 /* octets of any other number, beyond which libarchive takes it apart */
enum { MAIN5 = 1, FILE5, SERVICE5, CRYPT5, LAST5 };
enum { EXTRA5 = 0x1, DATA5 = 0x2, CUT5 = 0x8 | 0x10 };
enum { TIME5 = 2, CRC5 = 4, UNKNOWN5 = 8 };
enum { NUMBERED5 = 2 }; /* of the main block */
enum { RECORD_ENCRYPTION = 1, RECORD_LOCATOR = 1 };

bool rar5_record(struct mw_octets *extra_p, uint64_t *type_r, struct mw_octets *record_r)
{
	uint64_t size;

	if (!rar5_number(extra_p, &size) || size == 0 || size > extra_p->n)
		return false;
	*record_r = doc_range(*extra_p, 0, (size_t)size);
	*extra_p = doc_from(*extra_p, (size_t)size);
	return rar5_number(record_r, type_r);
}

/* The fields of a header, one behind the other. What is not there is 0, as unrar takes it. */
struct fields {
	struct mw_octets o;
	bool loose;
};

static uint64_t take_number(struct fields *f)
{
	size_t before = f->o.n;
	uint64_t n = 0;

	if (!rar5_number(&f->o, &n) || before - f->o.n > NUMBER5_MOST)
		f->loose = true;
	return n;
}

static uint32_t take_32(struct fields *f)
{
	uint32_t n = doc_u32(f->o, 0);

	f->loose = f->loose || f->o.n < 4;
	f->o = doc_from(f->o, 4);
	return n;
}

/* What a file's or service's header says behind its sizes. */
static void take_file5(struct fields *f, struct rar_block *b)
{
	uint64_t flags = take_number(f), n, type;
	struct mw_octets extra = b->extra, record;

	b->size = take_number(f);
	b->size_unknown = (flags & UNKNOWN5) != 0;
	take_number(f); /* attributes */
	if ((flags & TIME5) != 0)
		take_32(f);
	b->has_crc = (flags & CRC5) != 0;
	if (b->has_crc)
		b->crc = take_32(f);
	b->method = take_number(f);
	b->stored = (b->method >> 7 & 7) == 0;
	take_number(f); /* the system it was packed on */
	n = take_number(f);
	f->loose = f->loose || n > f->o.n;
	b->name = doc_range(f->o, 0, n < f->o.n ? (size_t)n : f->o.n);
	f->o = doc_from(f->o, b->name.n);
	while (rar5_record(&extra, &type, &record))
		b->encrypted = b->encrypted || type == RECORD_ENCRYPTION;
	f->loose = f->loose || extra.n > 0;
}

/* A main block has no data and one record, if any: where others are to be found. */
static void take_main5(struct fields *f, struct rar_block *b)
{
	struct mw_octets extra = b->extra;
	struct fields record = { 0 };
	uint64_t flags, type;

	if ((take_number(f) & NUMBERED5) != 0)
		take_number(f);
	f->loose = f->loose || b->data.n > 0;
	if (extra.n == 0)
		return;
	if (!rar5_record(&extra, &type, &record.o) || type != RECORD_LOCATOR || extra.n > 0) {
		f->loose = true;
		return;
	}
	flags = take_number(&record);
	for (unsigned i = 0; i < 2; i++)
		if ((flags >> i & 1) != 0)
			take_number(&record);
	f->loose = f->loose || record.loose || record.o.n > 0;
}

static void take_fields5(struct fields *f, uint64_t type, struct rar_block *b)
{
	switch (type) {
	case MAIN5:
		b->kind = RAR_MAIN;
		take_main5(f, b);
		break;
	case FILE5:
	case SERVICE5:
		b->kind = type == FILE5 ? RAR_FILE : RAR_SERVICE;
		take_file5(f, b);
		break;
	case CRYPT5:
	case LAST5:
		return;
	default:
		b->loose = true;
		return;
	}
	b->loose = f->loose || f->o.n != b->extra.n;
}

/* *type_r as it stands in the header. */
static bool read5(
	struct mw_octets head, struct mw_octets o, size_t at, struct rar_block *b, uint64_t *type_r)
{
	struct mw_octets sized = doc_from(head, 4), rest = sized;
	struct fields f = { .loose = false };
	uint64_t size, flags, extra, data;

	if (!rar5_number(&rest, &size) || sized.n - rest.n > SIZE5_MOST || size == 0 ||
		size > rest.n)
		return false;
	f.o = rest = doc_range(rest, 0, (size_t)size);
	*type_r = take_number(&f);
	flags = take_number(&f);
	extra = (flags & EXTRA5) != 0 ? take_number(&f) : 0;
	data = (flags & DATA5) != 0 ? take_number(&f) : 0;
	*b = (struct rar_block){ .kind = RAR_OTHER, .version = 5, .at = at };
	b->head = doc_range(head, 0, (size_t)(rest.p - head.p) + rest.n);
	o = doc_from(o, at + b->head.n);
	b->data = doc_range(o, 0, data < o.n ? (size_t)data : o.n);
	if (extra <= f.o.n)
		b->extra = doc_from(f.o, f.o.n - (size_t)extra);
	else
		f.loose = true;
	take_fields5(&f, *type_r, b);
	b->cut = b->kind == RAR_FILE && (flags & CUT5) != 0;
	return true;
}

bool rar5_block_read(struct mw_octets head, struct mw_octets o, size_t at, struct rar_block *b_r)
{
	uint64_t type;

	return read5(head, o, at, b_r, &type);
}

static bool next5(struct rar_walk *w, struct rar_block *b)
{
	uint64_t type;

	if (!read5(doc_from(w->o, w->at), w->o, w->at, b, &type))
		return false;
	if (type == LAST5) {
		w->end = w->at + b->head.n;
		return false;
	}
	w->sealed = type == CRYPT5;
	return true;
}

/* ------------------------------------------------------------------ RAR 4 and before */

#define RAR4 "Rar!\x1a\x07\0"
#define RAR4_N 7
#define SHORT4 7 /* octets that every block has */
#define HEAD4 32 /* octets of a file's block in front of its name */
#define OF_UNIX 3
enum {
	MARK4 = 0x72,
	MAIN4,
	FILE4,
	COMMENT4,
	PROTECT4 = 0x78,
	OLD_SERVICE4 = 0x77,
	SERVICE4 = 0x7a,
	LAST4 = 0x7b
};
enum { CUT4 = 0x1 | 0x2, ENCRYPTED4 = 0x4, LARGE4 = 0x100, LONG4 = 0x8000 };
enum { SEALED4 = 0x80 }; /* of the main block */

/* Octets behind a header. Whether it has any is its type's to say: the flag counts for types alone
 * that have no rule of their own. */
static uint64_t packed4(struct mw_octets head, unsigned type, unsigned flags)
{
	switch (type) {
	case MAIN4:
	case COMMENT4:
	case LAST4:
		return 0;
	case FILE4:
	case SERVICE4:
		return doc_u32(head, 7) |
		       ((flags & LARGE4) != 0 ? (uint64_t)doc_u32(head, HEAD4) << 32 : 0);
	case OLD_SERVICE4:
	case PROTECT4:
		return doc_u32(head, 7);
	default:
		return (flags & LONG4) != 0 ? doc_u32(head, 7) : 0;
	}
}

static void take_file4(unsigned flags, struct rar_block *b)
{
	bool large = (flags & LARGE4) != 0;
	uint32_t high = large ? doc_u32(b->head, HEAD4 + 4) : 0;

	b->size = doc_u32(b->head, 11) | (uint64_t)high << 32;
	b->size_unknown = doc_u32(b->head, 11) == UINT32_MAX && (!large || high == UINT32_MAX);
	b->has_crc = true;
	b->crc = doc_u32(b->head, 16);
	b->method = doc_u8(b->head, 25);
	b->stored = b->method == 0x30;
	b->name = doc_range(b->head, HEAD4 + (large ? 8 : 0), doc_u16(b->head, 26));
	b->encrypted = (flags & ENCRYPTED4) != 0;
	b->link = doc_u8(b->head, 15) == OF_UNIX && (doc_u32(b->head, 28) & 0xf000) == 0xa000;
}

static enum rar_kind kind4(unsigned type)
{
	return type == MAIN4	  ? RAR_MAIN
	       : type == FILE4	  ? RAR_FILE
	       : type == SERVICE4 ? RAR_SERVICE
				  : RAR_OTHER;
}

/* libarchive goes by the flag alone. */
static bool is_loose4(struct mw_octets head, unsigned type, unsigned flags, uint64_t packed)
{
	if (type < MARK4 || type > LAST4)
		return true;
	return type >= COMMENT4 && type < SERVICE4 &&
	       packed != ((flags & LONG4) != 0 ? doc_u32(head, 7) : 0);
}

static bool next4(struct rar_walk *w, struct rar_block *b)
{
	struct mw_octets rest = doc_from(w->o, w->at);
	unsigned type = doc_u8(rest, 2), flags = doc_u16(rest, 3), n = doc_u16(rest, 5);
	uint64_t packed;

	if (n < SHORT4 || n > rest.n)
		return false;
	if (type == LAST4) {
		w->end = w->at + n;
		return false;
	}
	*b = (struct rar_block){ .kind = kind4(type), .version = 4, .at = w->at };
	b->head = doc_range(rest, 0, n);
	packed = packed4(b->head, type, flags);
	b->loose = is_loose4(b->head, type, flags, packed);
	rest = doc_from(rest, n);
	b->data = doc_range(rest, 0, packed < rest.n ? (size_t)packed : rest.n);
	b->cut = type == FILE4 && (flags & CUT4) != 0;
	if (type == FILE4 || type == SERVICE4)
		take_file4(flags, b);
	w->sealed = type == MAIN4 && (flags & SEALED4) != 0;
	return true;
}

/* ------------------------------------------------------------------ both */

void rar_begin(struct rar_walk *w, struct mw_octets o)
{
	*w = (struct rar_walk){ .o = o };
	if (doc_starts(o, RAR5, RAR5_N)) {
		w->version = 5;
		w->at = RAR5_N;
	} else if (doc_starts(o, RAR4, RAR4_N)) {
		w->version = 4;
		w->at = RAR4_N;
	}
}

bool rar_next(struct rar_walk *w, struct rar_block *b_r)
{
	if (w->version == 0 || w->sealed || w->at >= w->o.n ||
		!(w->version == 5 ? next5 : next4)(w, b_r))
		return false;
	w->at = b_r->at + b_r->head.n + b_r->data.n;
	return true;
}

#define BEGINNING 64 /* octets of a file */

struct rar_extent rar_extent_of(struct mw_octets o, size_t *left_p)
{
	struct rar_extent all = { o.n, o.n };
	size_t beginning = SIZE_MAX;
	struct rar_walk w;
	struct rar_block b;

	rar_begin(&w, o);
	while (*left_p > 0 && rar_next(&w, &b)) {
		(*left_p)--;
		if (b.kind == RAR_FILE && beginning == SIZE_MAX)
			beginning = b.at + b.head.n + (b.data.n < BEGINNING ? b.data.n : BEGINNING);
	}
	if (w.sealed || *left_p == 0)
		return all;
	all.n = w.end != 0 ? w.end : w.at;
	all.beginning = beginning < all.n ? beginning : all.n;
	return all;
}

bool rar_is_service(const struct rar_block *b, const char *name)
{
	size_t n = strlen(name);

	return b->kind == RAR_SERVICE && doc_starts(b->name, name, n) &&
	       (b->name.n == n || b->name.p[n] == '\0');
}

void rar_block_name(const struct rar_block *b, char name[CONTAINER_NAME_MAX])
{
	doc_name8(name, b->name);
}
