#include "rar_quick.h"

#include "doc.h"
#include "ends.h"
#include "inflate.h"

#define RECORD_LOCATOR 1
#define HAS_QUICK 0x1  /* of a locator's flags */
#define RECORD_LEAST 7 /* octets, of check sum and size; less is not read */
#define SIZE_MOST 3    /* octets of a size */

/* Where the copies are said to begin; 0: nowhere. */
static uint64_t quick_at(const struct rar_block *main)
{
	struct mw_octets extra = main->extra, record;
	uint64_t type, flags, offset, at = 0;

	while (rar5_record(&extra, &type, &record))
		if (type == RECORD_LOCATOR && rar5_number(&record, &flags) &&
			(flags & HAS_QUICK) != 0 && rar5_number(&record, &offset) && offset != 0 &&
			__builtin_add_overflow(offset, main->at, &at))
			at = 0;
	return at;
}

struct copy {
	struct mw_octets head;
	size_t at; /* of the header */
};

/* The next copy in *rest_p, which is moved. quick: where their own block begins. False: it cannot
 * be read. */
static bool next_copy(struct mw_octets *rest_p, size_t quick, struct copy *c)
{
	struct mw_octets sized = doc_from(*rest_p, 4), rest = sized, record;
	uint64_t size, flags, offset, n;

	if (rest_p->n < RECORD_LEAST || !rar5_number(&rest, &size) ||
		sized.n - rest.n > SIZE_MOST || size == 0 || size > rest.n)
		return false;
	record = doc_range(rest, 0, (size_t)size);
	sized = doc_range(sized, 0, (size_t)(record.p - sized.p) + record.n);
	if (doc_u32(*rest_p, 0) != inflate_crc32(sized))
		return false;
	*rest_p = doc_from(rest, (size_t)size);
	if (!rar5_number(&record, &flags) || !rar5_number(&record, &offset) ||
		!rar5_number(&record, &n) || offset > quick || n > record.n)
		return false;
	c->head = doc_range(record, 0, (size_t)n);
	c->at = quick - (size_t)offset;
	return true;
}

static bool is_copy(struct mw_octets o, const struct copy *c)
{
	struct mw_octets head = doc_range(o, c->at, c->head.n);

	return head.n == c->head.n && (head.n == 0 || memcmp(head.p, c->head.p, head.n) == 0);
}

static enum container_end give_other(const struct container_job *job, const struct copy *c,
	enum container_end (*open)(const struct container_job *job))
{
	char name[CONTAINER_NAME_MAX];
	struct rar_block b;

	if (!rar5_block_read(c->head, job->octets, c->at, &b) || b.kind != RAR_FILE || b.cut)
		return CONTAINER_WHOLE;
	rar_block_name(&b, name);
	return rar_give_block(job, &b, name, open);
}

enum container_end rar_check_quick(const struct container_job *job, const struct rar_block *main,
	enum container_end (*open)(const struct container_job *job), bool *other_r)
{
	enum container_end end = CONTAINER_WHOLE;
	uint64_t at = quick_at(main);
	struct rar_block quick;
	struct mw_octets rest;
	struct copy c;

	/* Where there are none, nobody reads them. */
	if (at == 0 || at >= job->octets.n ||
		!rar5_block_read(
			doc_from(job->octets, (size_t)at), job->octets, (size_t)at, &quick) ||
		!rar_is_service(&quick, "QO"))
		return CONTAINER_WHOLE;
	if (!quick.stored || quick.encrypted || quick.size != quick.data.n)
		*other_r = true;
	rest = quick.data;
	while (rest.n > 0 && !doc_stops(end)) {
		if (!budget_time(job->budget))
			return CONTAINER_CUT;
		if (!next_copy(&rest, quick.at, &c)) {
			*other_r = true;
			break;
		}
		if (is_copy(job->octets, &c))
			continue;
		*other_r = true;
		end = doc_worse(end, give_other(job, &c, open));
	}
	return end;
}
