/*
 * Clauses of sql_clause, made ready for one kind of database. amavisd's placeholders become bound
 * parameters, never text:
 *
 *	%k	all keys of the address (db_keys.h), as many parameters as there are keys
 *	%a %l %u %e %d	the address, its local part, user, extension with delimiter, domain
 *	?	the next of the query's arguments, empty when they are used up
 *
 * Inside of quotes and comments they are text as everything else. "%%" is no placeholder either;
 * like every other "%" it stays what it is.
 */
#ifndef SMTP_DB_CLAUSE_H
#define SMTP_DB_CLAUSE_H

#include "db_keys.h"

#define DB_CLAUSE_MAX 8192 /* octets of a clause */
#define DB_PARTS_MAX 32	   /* placeholders in a clause */
#define DB_ARGS_MAX 4	   /* arguments of a query */

/* How a kind of database writes parameters and quotes. */
enum db_syntax {
	DB_SYNTAX_PQ,	  /* $1, $2 ... */
	DB_SYNTAX_MYSQL,  /* ?; a backslash in quotes hides the next octet, # begins a comment */
	DB_SYNTAX_SQLITE, /* ? */
	DB_SYNTAX_COUNT
};

struct db_clause;

/* name: for *err_r. MW_ERR_CONF: what of it cannot be; MW_ERR_NOMEM. */
enum mw_rc db_clause_new(const char *name, const char *text, enum db_syntax syntax,
	struct db_clause **clause_r, struct mw_err *err_r);
void db_clause_destroy(struct db_clause **clause_p);

/* The statement for that many keys, 1 to DB_KEYS_MAX. It stays the same pointer. */
const char *db_clause_text(const struct db_clause *c, size_t keys);
/* How many parameters that statement has. */
size_t db_clause_params(const struct db_clause *c, size_t keys);
/* Its parameters in order: values has db_clause_params() places. They are borrowed. */
void db_clause_values(const struct db_clause *c, const struct db_keys *k, const char *const *args,
	size_t arg_count, const char **values);

#endif
