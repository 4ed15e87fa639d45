#include "db_records.h"

#include <stdlib.h>

#define BLOCK_LEAST 512 /* blocks double, so that a small answer stays small in the cache */
#define BLOCK_MOST 16384
#define ALIGN 8

struct db_records_block {
	struct db_records_block *next;
	size_t used, size;
	_Alignas(ALIGN) unsigned char octets[];
};

struct db_records *db_records_new(void)
{
	struct db_records *r = calloc(1, sizeof(*r));

	if (r != NULL) {
		r->refs = 1;
		r->octets = sizeof(*r);
	}
	return r;
}

struct db_records *db_records_ref(struct db_records *r)
{
	r->refs++;
	return r;
}

void db_records_unref(struct db_records **r_p)
{
	struct db_records *r = *r_p;

	*r_p = NULL;
	if (r == NULL || --r->refs > 0)
		return;
	while (r->blocks != NULL) {
		struct db_records_block *b = r->blocks;

		r->blocks = b->next;
		free(b);
	}
	free(r->records);
	free(r);
}

const struct db_cell *db_record_cell(const struct db_record *record, const char *name)
{
	for (size_t i = record->count; i > 0; i--)
		if (mw_ieq(record->cells[i - 1].name, name))
			return &record->cells[i - 1];
	return NULL;
}

const struct db_cell *db_record_value(const struct db_record *record, const char *name, size_t nth)
{
	for (size_t i = 0; i < record->count; i++)
		if (mw_ieq(record->cells[i].name, name) && nth-- == 0)
			return &record->cells[i];
	return NULL;
}

static enum mw_rc get(struct db_records *r, size_t n, void **p_r)
{
	struct db_records_block *b = r->blocks;
	size_t size;

	if (n > DB_RECORDS_OCTETS_MAX)
		return MW_ERR_LIMIT;
	n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (b == NULL || b->size - b->used < n) {
		size = b == NULL ? BLOCK_LEAST : b->size < BLOCK_MOST ? b->size * 2 : BLOCK_MOST;
		size = size < n ? n : size;
		if (r->octets + sizeof(*b) + size > DB_RECORDS_OCTETS_MAX)
			return MW_ERR_LIMIT;
		b = malloc(sizeof(*b) + size);
		if (b == NULL)
			return MW_ERR_NOMEM;
		*b = (struct db_records_block){ .next = r->blocks, .size = size };
		r->blocks = b;
		r->octets += sizeof(*b) + size;
	}
	*p_r = b->octets + b->used;
	b->used += n;
	return MW_OK;
}

enum mw_rc db_records_add(struct db_records *r, enum db_source source, size_t cells)
{
	void *p = NULL;
	enum mw_rc rc;

	if (r->count == DB_RECORDS_MAX || cells > DB_RECORDS_OCTETS_MAX / sizeof(struct db_cell))
		return MW_ERR_LIMIT;
	if (r->count == r->room) {
		size_t room = r->room == 0 ? 2 : r->room * 2;
		struct db_record *more = realloc(r->records, room * sizeof(*more));

		if (more == NULL)
			return MW_ERR_NOMEM;
		r->octets += (room - r->room) * sizeof(*more);
		r->records = more;
		r->room = room;
	}
	rc = get(r, cells * sizeof(struct db_cell), &p);
	if (rc == MW_OK)
		r->records[r->count++] = (struct db_record){ source, 0, cells, p };
	return rc;
}

/* The records of one answer have the same names: they are kept once. */
static enum mw_rc keep_name(struct db_records *r, const char *name, const char **name_r)
{
	size_t at = r->records[r->count - 1].count, n = strlen(name) + 1;
	void *p = NULL;
	enum mw_rc rc;

	if (r->count > 1) {
		const struct db_record *above = &r->records[r->count - 2];

		if (at < above->count && strcmp(above->cells[at].name, name) == 0) {
			*name_r = above->cells[at].name;
			return MW_OK;
		}
	}
	rc = get(r, n, &p);
	if (rc == MW_OK)
		*name_r = memcpy(p, name, n);
	return rc;
}

enum mw_rc db_records_put(struct db_records *r, const char *name, const void *value, size_t n)
{
	struct db_record *record = &r->records[r->count - 1];
	struct db_cell cell = { .n = value != NULL ? n : 0 };
	void *p = NULL;
	enum mw_rc rc;

	if (record->count == record->room)
		return MW_ERR_LIMIT;
	rc = keep_name(r, name, &cell.name);
	if (rc == MW_OK && value != NULL) {
		rc = n < SIZE_MAX ? get(r, n + 1, &p) : MW_ERR_LIMIT;
		if (rc == MW_OK) {
			memcpy(p, value, n);
			((char *)p)[n] = '\0';
			cell.value = p;
		}
	}
	if (rc == MW_OK)
		record->cells[record->count++] = cell;
	return rc;
}

void db_records_cut(struct db_records *r, size_t count)
{
	if (count < r->count)
		r->count = count;
}

void db_records_sort(struct db_records *r, size_t first, unsigned *ranks)
{
	struct db_record *records = r->records + first;

	/* By insertion: an address has a handful of entries. */
	for (size_t i = 1; i < r->count - first; i++) {
		struct db_record record = records[i];
		unsigned rank = ranks[i];
		size_t at = i;

		for (; at > 0 && ranks[at - 1] > rank; at--) {
			records[at] = records[at - 1];
			ranks[at] = ranks[at - 1];
		}
		records[at] = record;
		ranks[at] = rank;
	}
}
