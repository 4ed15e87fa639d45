#include "rar_streams.h"

#include "doc.h"
#include "ends.h"
#include "inflate.h"

#define STREAM "STM"
#define STREAM_N 3

/* A block of either version that libarchive does not tell of: a stream, or a file that is cut by
 * the volume's end or beginning. */
enum block_kind { BLOCK_OTHER, BLOCK_STREAM, BLOCK_CUT };

struct stream {
	enum block_kind kind;
	struct mw_octets head; /* from where its check sum begins to count */
	struct mw_octets data;
	size_t type_at; /* in head */
	bool encrypted;
	char name[CONTAINER_NAME_MAX];
};

/* ------------------------------------------------------------------ RAR 5 */

#define RAR5 "Rar!\x1a\x07\x01\0"
#define RAR5_N 8
enum { FILE5 = 2, SERVICE5 = 3, LAST5 = 5 };
enum { EXTRA5 = 0x1, DATA5 = 0x2, CUT5 = 0x8 | 0x10 };
enum { TIME5 = 2, CRC5 = 4 };
enum { RECORD_ENCRYPTION = 1, RECORD_SERVICE = 7 };

/* What its records say. */
static void take_records5(struct mw_octets extra, struct stream *s)
{
	uint64_t size, type;

	while (rar5_number(&extra, &size) && size <= extra.n) {
		struct mw_octets record = doc_range(extra, 0, (size_t)size);

		extra = doc_from(extra, (size_t)size);
		if (!rar5_number(&record, &type))
			continue;
		s->encrypted = s->encrypted || type == RECORD_ENCRYPTION;
		if (type == RECORD_SERVICE)
			container_name(s->name, (const char *)record.p, record.n);
	}
}

/* The name in a file's or service's block, behind its sizes; empty: there is none. */
static struct mw_octets name5(struct mw_octets fields)
{
	uint64_t flags, n;

	if (!rar5_number(&fields, &flags) || !rar5_number(&fields, &n) || !rar5_number(&fields, &n))
		return mw_octets_of(NULL, 0);
	fields = doc_from(fields, ((flags & TIME5) != 0 ? 4 : 0) + ((flags & CRC5) != 0 ? 4 : 0));
	if (!rar5_number(&fields, &n) || !rar5_number(&fields, &n) || !rar5_number(&fields, &n))
		return mw_octets_of(NULL, 0);
	return doc_range(fields, 0, n < fields.n ? (size_t)n : fields.n);
}

static bool is_stream(struct mw_octets name)
{
	return name.n == STREAM_N && memcmp(name.p, STREAM, STREAM_N) == 0;
}

/* The block at *at_p, behind which that is moved. False: there is none. */
static bool next5(struct mw_octets o, size_t *at_p, struct stream *s)
{
	struct mw_octets sized = doc_from(o, *at_p + 4), rest = sized, head, name;
	uint64_t size, type, flags, extra = 0, data = 0;

	*s = (struct stream){ .name = "" };
	if (!rar5_number(&rest, &size) || size > rest.n)
		return false;
	head = doc_range(rest, 0, (size_t)size);
	s->type_at = (size_t)(rest.p - sized.p);
	s->head = doc_range(sized, 0, s->type_at + (size_t)size);
	rest = doc_from(rest, (size_t)size);
	if (!rar5_number(&head, &type) || !rar5_number(&head, &flags) ||
		((flags & EXTRA5) != 0 && !rar5_number(&head, &extra)) ||
		((flags & DATA5) != 0 && !rar5_number(&head, &data)) || type == LAST5)
		return false;
	s->data = doc_range(rest, 0, data < rest.n ? (size_t)data : rest.n);
	*at_p = (size_t)(s->data.p - o.p) + s->data.n;
	name = name5(head);
	if (type == FILE5 && (flags & CUT5) != 0) {
		s->kind = BLOCK_CUT;
		container_name(s->name, (const char *)name.p, name.n);
	} else if (type == SERVICE5 && is_stream(name)) {
		s->kind = BLOCK_STREAM;
		if (extra <= head.n)
			take_records5(doc_from(head, head.n - (size_t)extra), s);
	}
	return true;
}

static enum container_end put_block5(
	struct budget *budget, struct doc_buf *out, struct mw_octets sized)
{
	uint32_t crc = inflate_crc32(sized);
	const unsigned char sum[4] = { (unsigned char)crc, (unsigned char)(crc >> 8),
		(unsigned char)(crc >> 16), (unsigned char)(crc >> 24) };
	enum container_end end = doc_add(budget, out, sum, sizeof(sum));

	return end == CONTAINER_WHOLE ? doc_add(budget, out, sized.p, sized.n) : end;
}

/* An archive of one file: its main block, the stream's as a file's, the last one. */
static enum container_end build5(struct budget *budget, const struct stream *s, struct doc_buf *out)
{
	enum container_end end = doc_add(budget, out, RAR5, RAR5_N);
	size_t from;

	if (end == CONTAINER_WHOLE)
		end = put_block5(budget, out, mw_octets_of("\3\1\0\0", 4));
	from = out->n + 4;
	if (end == CONTAINER_WHOLE)
		end = doc_add(budget, out, "\0\0\0\0", 4);
	if (end == CONTAINER_WHOLE)
		end = doc_add(budget, out, s->head.p, s->head.n);
	if (end == CONTAINER_WHOLE) {
		struct mw_octets sized = doc_from(doc_octets(out), from);
		uint32_t crc;

		out->p[from + s->type_at] = FILE5;
		crc = inflate_crc32(sized);
		for (unsigned i = 0; i < 4; i++)
			out->p[from - 4 + i] = (unsigned char)(crc >> (8 * i));
		end = doc_add(budget, out, s->data.p, s->data.n);
	}
	return end == CONTAINER_WHOLE ? put_block5(budget, out, mw_octets_of("\3\5\0\0", 4)) : end;
}

/* ------------------------------------------------------------------ RAR 4 */

#define RAR4 "Rar!\x1a\x07\0"
#define RAR4_N 7
#define HEAD4 32 /* octets of a file's block in front of its name */
enum { FILE4 = 0x74, SERVICE4 = 0x7a, LAST4 = 0x7b };
enum { CUT4 = 0x1 | 0x2, ENCRYPTED4 = 0x4, LARGE4 = 0x100, LONG4 = 0x8000 };

static bool next4(struct mw_octets o, size_t *at_p, struct stream *s)
{
	struct mw_octets head = doc_range(o, *at_p, doc_u16(o, *at_p + 5)), name;
	unsigned type = doc_u8(head, 2), flags = doc_u16(head, 3), n = doc_u16(head, 26);
	size_t data = (flags & LONG4) != 0 || type == SERVICE4 || type == FILE4 ? doc_u32(head, 7)
										: 0,
	       at = HEAD4 + ((flags & LARGE4) != 0 ? 8 : 0);

	*s = (struct stream){ .type_at = 0, .encrypted = (flags & ENCRYPTED4) != 0 };
	if (head.n < 7 || type == LAST4)
		return false;
	s->head = doc_from(head, 2);
	s->data = doc_range(o, *at_p + head.n, data);
	*at_p += head.n + s->data.n;
	name = doc_range(head, at, n);
	if (type == FILE4 && (flags & CUT4) != 0) {
		s->kind = BLOCK_CUT;
		doc_name8(s->name, name);
	} else if (type == SERVICE4 && is_stream(name)) {
		s->kind = BLOCK_STREAM;
		name = doc_from(head, at + STREAM_N);
		if (doc_u8(name, 1) == 0)
			doc_name16(s->name, name);
		else
			doc_name8(s->name, name);
	}
	return true;
}

static enum container_end put_block4(
	struct budget *budget, struct doc_buf *out, struct mw_octets rest, unsigned type)
{
	size_t from = out->n;
	enum container_end end = doc_add(budget, out, "\0\0", 2);
	uint32_t crc;

	if (end == CONTAINER_WHOLE)
		end = doc_add(budget, out, rest.p, rest.n);
	if (end != CONTAINER_WHOLE)
		return end;
	out->p[from + 2] = (unsigned char)type;
	crc = inflate_crc32(doc_from(doc_octets(out), from + 2));
	out->p[from] = (unsigned char)crc;
	out->p[from + 1] = (unsigned char)(crc >> 8);
	return CONTAINER_WHOLE;
}

static enum container_end build4(struct budget *budget, const struct stream *s, struct doc_buf *out)
{
	enum container_end end = doc_add(budget, out, RAR4, RAR4_N);

	if (end == CONTAINER_WHOLE)
		end = put_block4(budget, out, mw_octets_of("\x73\0\0\x0d\0\0\0\0\0\0\0", 11), 0x73);
	if (end == CONTAINER_WHOLE)
		end = put_block4(budget, out, s->head, FILE4);
	if (end == CONTAINER_WHOLE)
		end = doc_add(budget, out, s->data.p, s->data.n);
	return end == CONTAINER_WHOLE
		       ? put_block4(budget, out, mw_octets_of("\x7b\0\x40\x07\0", 5), LAST4)
		       : end;
}

/* ------------------------------------------------------------------ both */

static const struct version {
	const char *magic;
	size_t n;
	bool (*next)(struct mw_octets o, size_t *at_p, struct stream *s);
	enum container_end (*build)(
		struct budget *budget, const struct stream *s, struct doc_buf *out);
} versions[] = {
	{ RAR5, RAR5_N, next5, build5 },
	{ RAR4, RAR4_N, next4, build4 },
};

/* The member of the archive that was made for a stream, under the stream's name. */
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

static enum container_end give_stream(const struct container_job *job, const struct version *v,
	const struct stream *s, enum container_end (*open)(const struct container_job *job))
{
	struct renamed r = { job, s->name[0] == ':' ? s->name + 1 : s->name, false };
	const struct container_member sealed = { .name = r.name, .encrypted = true };
	struct container_job one = *job;
	struct doc_buf archive = { 0 };
	enum container_end end;

	if (s->encrypted)
		return doc_give(job, &sealed);
	end = v->build(job->budget, s, &archive);
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

/* What there is of it, packed as it may be: the rest is in another volume, and nobody here joins
 * them. */
static enum container_end give_cut(const struct container_job *job, const struct stream *s)
{
	const struct container_member m = { .name = s->name,
		.encrypted = s->encrypted,
		.broken = true,
		.octets = s->encrypted ? mw_octets_of(NULL, 0) : s->data };
	enum container_end end =
		budget_octets(job->budget, m.octets.n) ? doc_give(job, &m) : CONTAINER_CUT;

	return doc_worse(end, CONTAINER_BROKEN);
}

enum container_end rar_give_streams(const struct container_job *job,
	enum container_end (*open)(const struct container_job *job))
{
	enum container_end end = CONTAINER_WHOLE;
	const struct version *v = NULL;
	struct stream s;
	size_t at;

	for (size_t i = 0; i < MW_COUNT(versions) && v == NULL; i++)
		if (doc_starts(job->octets, versions[i].magic, versions[i].n))
			v = &versions[i];
	if (v == NULL)
		return CONTAINER_WHOLE;
	at = v->n;
	while (!doc_stops(end) && v->next(job->octets, &at, &s)) {
		if (!budget_time(job->budget))
			return CONTAINER_CUT;
		if (s.kind == BLOCK_STREAM)
			end = doc_worse(end, give_stream(job, v, &s, open));
		else if (s.kind == BLOCK_CUT)
			end = doc_worse(end, give_cut(job, &s));
	}
	return end;
}
