/*
 * Reading a setting from what databases said about an address. The records are walked in their
 * order and the first value that is not NULL counts, whichever record holds it.
 */
#ifndef SMTP_DB_FIELDS_H
#define SMTP_DB_FIELDS_H

#include "db_records.h"

enum db_type { DB_BOOL, DB_NUMBER, DB_TEXT };

struct db_field {
	const char *setting;   /* the *_maps that it stands before, or a name of its own */
	const char *column;    /* of SQL; NULL: has none */
	const char *attribute; /* of LDAP; NULL: has none */
	enum db_type type;
	/* A record without that column: true (amavisd's B1), or as if it were NULL (B-, N-, S-). */
	bool missing_is_true;
};

extern const struct db_field db_fields[];
extern const size_t db_field_count;

/* NULL: no database has that setting. */
const struct db_field *db_field_find(const char *setting);

/* The record that defines the setting, also by not having such a field; NULL: none does. */
const struct db_record *db_field_record(const struct db_records *r, const struct db_field *f);
/* The address or domain that a record is about, as it stands there; NULL: it does not say. */
const char *db_record_key(const struct db_record *record);

/*
 * False: undefined, and what stands behind the databases in the maps is asked. trim: without the
 * blanks at its end (trim_trailing_space_in_lookup_result_fields), for CHAR columns. The text is
 * borrowed from the records, with a NUL behind it only when nothing was trimmed.
 */
bool db_field_text(
	const struct db_records *r, const struct db_field *f, bool trim, struct mw_octets *text_r);
/* SQL: N n F f, zeros, NULs and nothing, blanks behind them or not, are false, all else true. LDAP:
 * TRUE is true, all else false. */
bool db_field_bool(const struct db_records *r, const struct db_field *f, bool *value_r);
/* The number that the text begins with, 0 when it begins with none; finite. */
bool db_field_number(const struct db_records *r, const struct db_field *f, double *value_r);
/* The same as thousandths, as scores are kept; cut to what fits. */
bool db_field_milli(const struct db_records *r, const struct db_field *f, int64_t *milli_r);

#endif
