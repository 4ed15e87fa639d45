/*
 * What databases said about one address: records in their order, each with its cells. Made by one
 * thread, never changed afterwards; counted and freed by the loop alone.
 */
#ifndef SMTP_DB_RECORDS_H
#define SMTP_DB_RECORDS_H

#include "base.h"

#define DB_RECORDS_MAX 1000		/* records about one address; more fail the request */
#define DB_RECORDS_OCTETS_MAX (1 << 20) /* and their octets in memory */

enum db_source { DB_SQL, DB_LDAP, DB_SOURCE_COUNT };

struct db_cell {
	const char *name;  /* column or attribute, as the database writes it */
	const char *value; /* n octets and a NUL behind them; NULL: the database has NULL */
	size_t n;
};

struct db_record {
	enum db_source source;
	size_t count, room;
	struct db_cell *cells; /* an attribute with several values has as many cells */
};

struct db_records_block;
struct db_records {
	unsigned refs;
	size_t count, room;
	struct db_record *records; /* those of SQL before those of LDAP */
	size_t octets;		   /* all of it in memory */
	struct db_records_block *blocks;
};

struct db_records *db_records_new(void); /* one reference; NULL: no memory */
struct db_records *db_records_ref(struct db_records *r);
void db_records_unref(struct db_records **r_p);

/*
 * The cell of that name, case-insensitively; NULL: the record has none. Of several in a record of
 * SQL (a join with two columns id) the last, as amavisd has it.
 */
const struct db_cell *db_record_cell(const struct db_record *record, const char *name);
/* The nth (from 0) value of an attribute that may have several. */
const struct db_cell *db_record_value(const struct db_record *record, const char *name, size_t nth);

/* ---- for backends; MW_ERR_LIMIT at either bound, MW_ERR_NOMEM ---- */

/* A new record at the end, with room for that many cells. */
enum mw_rc db_records_add(struct db_records *r, enum db_source source, size_t cells);
/* A cell of the last record; value NULL: NULL. */
enum mw_rc db_records_put(struct db_records *r, const char *name, const void *value, size_t n);
/* Forget the records behind the first `count`: an attempt failed half-way. */
void db_records_cut(struct db_records *r, size_t count);
/* Put the records from `first` into the order of their ranks; equal ones keep theirs. ranks has
 * r->count - first places and is sorted too. */
void db_records_sort(struct db_records *r, size_t first, unsigned *ranks);

#endif
