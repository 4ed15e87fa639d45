#include "rar_streams.h"

#include "doc.h"
#include "rar_blocks.h"

#define STREAM "STM"
#define STREAM_N 3
#define RECORD_SERVICE 7 /* RAR 5 */

static void stream_name5(const struct rar_block *b, char name[CONTAINER_NAME_MAX])
{
	struct mw_octets extra = b->extra, record;
	uint64_t type;

	while (rar5_record(&extra, &type, &record))
		if (type == RECORD_SERVICE)
			container_name(name, (const char *)record.p, record.n);
}

/* It stands behind the block's own, in UTF-16 unless its second octet says otherwise. */
static void stream_name4(const struct rar_block *b, char name[CONTAINER_NAME_MAX])
{
	struct mw_octets rest = doc_from(b->head, (size_t)(b->name.p - b->head.p) + STREAM_N);

	if (doc_u8(rest, 1) == 0)
		doc_name16(name, rest);
	else
		doc_name8(name, rest);
}

static enum container_end give_stream(const struct container_job *job, const struct rar_block *b,
	enum container_end (*open)(const struct container_job *job))
{
	char name[CONTAINER_NAME_MAX] = "";

	(b->version == 5 ? stream_name5 : stream_name4)(b, name);
	return rar_give_block(job, b, name[0] == ':' ? name + 1 : name, open);
}

/* What there is of it, packed as it may be: the rest is in another volume, and nobody here joins
 * them. */
static enum container_end give_cut(const struct container_job *job, const struct rar_block *b)
{
	char name[CONTAINER_NAME_MAX];
	const struct container_member m = { .name = name,
		.encrypted = b->encrypted,
		.broken = true,
		.octets = b->encrypted ? mw_octets_of(NULL, 0) : b->data };
	enum container_end end;

	rar_block_name(b, name);
	end = budget_octets(job->budget, m.octets.n) ? doc_give(job, &m) : CONTAINER_CUT;
	return doc_worse(end, CONTAINER_BROKEN);
}

enum container_end rar_give_streams(const struct container_job *job,
	enum container_end (*open)(const struct container_job *job))
{
	enum container_end end = CONTAINER_WHOLE;
	struct rar_walk w;
	struct rar_block b;

	rar_begin(&w, job->octets);
	while (!doc_stops(end) && rar_next(&w, &b)) {
		if (!budget_time(job->budget))
			return CONTAINER_CUT;
		if (rar_is_service(&b, STREAM))
			end = doc_worse(end, give_stream(job, &b, open));
		else if (b.cut)
			end = doc_worse(end, give_cut(job, &b));
	}
	return end;
}
