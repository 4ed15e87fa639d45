#include "rar_check.h"

#include "doc.h"
#include "rar_blocks.h"
#include "rar_quick.h"
#include "utf8.h"

struct record {
	uint64_t at, octets;
};

void rar_given_add(struct rar_given *g, uint64_t at, uint64_t octets)
{
	const struct record r = { at, octets };

	if (!grow_put(&g->records, g->records.n, &r, sizeof(r)))
		g->lost = true;
}

void rar_given_fini(struct rar_given *g)
{
	grow_fini(&g->records);
}

struct check {
	const struct container_job *job;
	enum container_end (*open)(const struct container_job *job);
	const struct rar_given *given;
	size_t next; /* of the records: where it begins */
	bool other;  /* readers see other blocks than were given */
	bool main;   /* the main block was there */
};

static bool has_record(const struct check *c, struct record *r)
{
	if (c->given->records.n - c->next < sizeof(*r))
		return false;
	memcpy(r, c->given->records.p + c->next, sizeof(*r));
	return true;
}

/* The member that this block is; those before it are no block's. Where a link of Unix leads to is
 * read with its header. */
static bool was_given(struct check *c, const struct rar_block *b, struct record *r)
{
	size_t at = b->at + b->head.n;

	for (; has_record(c, r) && r->at < at; c->next += sizeof(*r))
		c->other = true;
	if (!has_record(c, r) || !(r->at == at || (b->link && r->at == at + b->data.n)))
		return false;
	c->next += sizeof(*r);
	return true;
}

/* What comes out of it when unrar writes it: whatever it is said to be, what has data is written as
 * a file by some. */
static bool is_all(const struct rar_block *b, uint64_t octets)
{
	if (b->data.n == 0 || b->encrypted)
		return true;
	if (b->size_unknown)
		return b->stored ? octets == b->data.n : octets > 0;
	return octets == b->size;
}

/* libarchive gives the name of a member of RAR 5 as a text, or none at all. */
static bool has_name(const struct rar_block *b)
{
	size_t at = 0, n;

	if (b->version != 5)
		return true;
	while (at < b->name.n && (n = mw_utf8_length(b->name.p + at, b->name.n - at)) != 0)
		at += n;
	return at == b->name.n;
}

static enum container_end give(const struct check *c, const struct rar_block *b)
{
	char name[CONTAINER_NAME_MAX];

	rar_block_name(b, name);
	return rar_give_block(c->job, b, name, c->open);
}

static enum container_end check_file(struct check *c, const struct rar_block *b)
{
	struct record r;

	if (!was_given(c, b, &r)) {
		/* Of what is encrypted there is no more to be seen. */
		c->other = c->other || !b->encrypted;
		return give(c, b);
	}
	if (is_all(b, r.octets))
		return has_name(b) ? CONTAINER_WHOLE : give(c, b);
	if (r.octets > 0)
		return CONTAINER_BROKEN;
	return doc_worse(give(c, b), b->link ? CONTAINER_WHOLE : CONTAINER_BROKEN);
}

/* There is one: what a second one tells of is told without a look, so that a million of them costs
 * nothing. */
static enum container_end check_main(struct check *c, const struct rar_block *b)
{
	if (c->main)
		c->other = true;
	if (c->main || b->version != 5)
		return CONTAINER_WHOLE;
	c->main = true;
	return rar_check_quick(c->job, b, c->open, &c->other);
}

/* What another volume has a part of is given out elsewhere. */
static enum container_end check_block(struct check *c, const struct rar_block *b)
{
	struct record r;

	if (b->loose)
		c->other = true;
	if (b->kind == RAR_MAIN)
		return check_main(c, b);
	if (b->kind != RAR_FILE)
		return CONTAINER_WHOLE;
	if (!b->cut)
		return check_file(c, b);
	was_given(c, b, &r);
	return CONTAINER_WHOLE;
}

enum container_end rar_check(const struct container_job *job, const struct rar_given *given,
	enum container_end (*open)(const struct container_job *job))
{
	struct check c = { .job = job, .open = open, .given = given };
	enum container_end end = given->lost ? CONTAINER_NO_MEMORY : CONTAINER_WHOLE;
	struct rar_walk w;
	struct rar_block b;
	struct record r;

	rar_begin(&w, job->octets);
	if (w.version == 0)
		return CONTAINER_WHOLE;
	while (!doc_stops(end) && rar_next(&w, &b)) {
		if (!budget_time(job->budget))
			return CONTAINER_CUT;
		end = doc_worse(end, check_block(&c, &b));
	}
	if (doc_stops(end))
		return end;
	if (!c.other && (w.sealed || !has_record(&c, &r)))
		return end;
	if (job->ambiguous_r != NULL)
		*job->ambiguous_r = true;
	return CONTAINER_BROKEN;
}
