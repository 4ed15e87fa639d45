/* One block of a RAR by itself: as it stands, or in an archive that is made for it. */
#include "doc.h"
#include "inflate.h"
#include "rar_blocks.h"

/* ------------------------------------------------------------------ an archive of one file */

#define HEAD_MOST 64 /* octets of a header that is made here; RAR 5: its size is one octet */

/* A header that is being put together. */
struct head {
	unsigned char p[HEAD_MOST];
	size_t n;
};

static void put(struct head *h, uint64_t value, unsigned octets)
{
	for (unsigned i = 0; i < octets; i++)
		h->p[h->n++] = (unsigned char)(value >> (8 * i));
}

static void put_number(struct head *h, uint64_t n)
{
	for (; n > 0x7f; n >>= 7)
		put(h, n | 0x80, 1);
	put(h, n, 1);
}

/* Add it, with the check sum in front of it, which has so many octets. */
static enum container_end add_head(
	const struct container_job *job, struct doc_buf *out, struct head *h, unsigned check)
{
	uint32_t crc = inflate_crc32(mw_octets_of(h->p + check, h->n - check));
	size_t n = h->n;

	h->n = 0;
	put(h, crc, check);
	return doc_add(job->budget, out, h->p, n);
}

#define SOLID5 0x40
enum { FILE5 = 2, DATA5 = 2, CRC5 = 4, UNKNOWN5 = 8, ARCHIVE5 = 0x20 };

static enum container_end add_head5(
	const struct container_job *job, struct doc_buf *out, struct head *h)
{
	h->p[4] = (unsigned char)(h->n - 5);
	return add_head(job, out, h, 4);
}

static enum container_end build5(
	const struct container_job *job, const struct rar_block *b, struct doc_buf *out)
{
	struct head main = { { 0, 0, 0, 0, 0, 1 }, 8 }, file = { .n = 5 },
		    last = { { 0, 0, 0, 0, 0, 5 }, 8 };
	enum container_end end = doc_add(job->budget, out, "Rar!\x1a\x07\x01\0", 8);

	put_number(&file, FILE5);
	put_number(&file, DATA5);
	put_number(&file, b->data.n);
	put_number(&file, (b->has_crc ? CRC5 : 0) | (b->size_unknown ? UNKNOWN5 : 0));
	put_number(&file, b->size);
	put_number(&file, ARCHIVE5);
	if (b->has_crc)
		put(&file, b->crc, 4);
	put_number(&file, b->method & ~(uint64_t)SOLID5);
	put_number(&file, 0); /* Windows */
	put_number(&file, 1);
	put(&file, 'x', 1);
	if (end == CONTAINER_WHOLE)
		end = add_head5(job, out, &main);
	if (end == CONTAINER_WHOLE)
		end = add_head5(job, out, &file);
	if (end == CONTAINER_WHOLE)
		end = doc_add(job->budget, out, b->data.p, b->data.n);
	return end == CONTAINER_WHOLE ? add_head5(job, out, &last) : end;
}

enum { MAIN4 = 0x73, FILE4, LAST4 = 0x7b, LONG4 = 0x8000 };
enum { WINDOW4 = 0xe0, WINDOW4_MOST = 0xc0 }; /* all of its bits are a folder's */
#define AT_WINDOWS 2

static struct head head4(unsigned type, unsigned flags, unsigned size)
{
	struct head h = { .n = 2 };

	put(&h, type, 1);
	put(&h, flags, 2);
	put(&h, size, 2);
	return h;
}

static enum container_end build4(
	const struct container_job *job, const struct rar_block *b, struct doc_buf *out)
{
	unsigned window = doc_u16(b->head, 3) & WINDOW4;
	struct head main = head4(MAIN4, 0, 13), last = head4(LAST4, 0x4000, 7),
		    file = head4(FILE4, LONG4 | (window < WINDOW4 ? window : WINDOW4_MOST), 33);
	enum container_end end = doc_add(job->budget, out, "Rar!\x1a\x07\0", 7);

	put(&main, 0, 6);
	put(&file, b->data.n, 4);
	put(&file, b->size, 4);
	put(&file, AT_WINDOWS, 1);
	put(&file, b->crc, 4);
	put(&file, doc_u32(b->head, 20), 4); /* time */
	put(&file, doc_u8(b->head, 24), 1);  /* version */
	put(&file, b->method, 1);
	put(&file, 1, 2);
	put(&file, 0x20, 4);
	put(&file, 'x', 1);
	if (end == CONTAINER_WHOLE)
		end = add_head(job, out, &main, 2);
	if (end == CONTAINER_WHOLE)
		end = add_head(job, out, &file, 2);
	if (end == CONTAINER_WHOLE)
		end = doc_add(job->budget, out, b->data.p, b->data.n);
	return end == CONTAINER_WHOLE ? add_head(job, out, &last, 2) : end;
}

/* ------------------------------------------------------------------ giving it out */

/* The member of the archive that was made, under the name it has. */
struct renamed {
	const struct container_job *job;
	const char *name;
	bool gave;
};

static bool renamed_got(void *arg, const struct container_member *m)
{
	struct renamed *r = arg;
	struct container_member renamed = *m;

	renamed.name = r->name;
	r->gave = true;
	return r->job->got(r->job->arg, &renamed);
}

static enum container_end give_packed(const struct container_job *job, const struct rar_block *b,
	const char *name, enum container_end (*open)(const struct container_job *job))
{
	struct renamed r = { job, name, false };
	struct container_job one = *job;
	struct doc_buf archive = { 0 };
	enum container_end end = (b->version == 5 ? build5 : build4)(job, b, &archive);

	one.octets = doc_octets(&archive);
	one.got = renamed_got;
	one.arg = &r;
	if (end == CONTAINER_WHOLE)
		end = open(&one);
	if (end == CONTAINER_WHOLE && !r.gave)
		end = CONTAINER_BROKEN;
	doc_free(&archive);
	return end;
}

static enum container_end give_stored(
	const struct container_job *job, const struct rar_block *b, const char *name)
{
	struct container_member m = { .name = name, .octets = b->data };

	if (!b->size_unknown && b->size < m.octets.n)
		m.octets.n = (size_t)b->size;
	if (!budget_octets(job->budget, m.octets.n))
		return CONTAINER_CUT;
	m.broken = (!b->size_unknown && b->size > m.octets.n) ||
		   (b->has_crc && inflate_crc32(m.octets) != b->crc);
	return doc_worse(doc_give(job, &m), m.broken ? CONTAINER_BROKEN : CONTAINER_WHOLE);
}

enum container_end rar_give_block(const struct container_job *job, const struct rar_block *b,
	const char *name, enum container_end (*open)(const struct container_job *job))
{
	const struct container_member sealed = { .name = name, .encrypted = true };

	if (b->encrypted)
		return doc_give(job, &sealed);
	return b->stored ? give_stored(job, b, name) : give_packed(job, b, name, open);
}
