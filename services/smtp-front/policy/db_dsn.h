/*
 * Where a database is: one entry of lookup_sql_dsn or storage_sql_dsn, whose text has Perl DBI's
 *form, or one of LDAP's servers.
 *
 *	DBI:Pg:database=mail;host=db.example.org;port=5432;sslmode=verify-full
 *	DBI:mysql:database=mail;host=127.0.0.1;port=3306	also DBI:MariaDB:
 *	DBI:mysql:mail;mysql_socket=/run/mysqld/mysqld.sock
 *	DBI:SQLite:dbname=/var/lib/mailweir/policy.sqlite
 */
#ifndef SMTP_DB_DSN_H
#define SMTP_DB_DSN_H

#include "conf.h"

#define DB_ENDPOINTS_MAX 8 /* entries of lookup_sql_dsn, servers of default_ldap */

enum db_driver { DB_PQ, DB_MYSQL, DB_SQLITE, DB_LDAP_SERVER, DB_DRIVER_COUNT };

struct db_dsn {
	enum db_driver driver;
	char database[512]; /* SQLite: the path of its file; LDAP: the URI */
	char host[256], socket[108];
	uint16_t port; /* 0: the library's own */
	char user[128], password[512];
	char sslmode[16];     /* Pg: as libpq's */
	bool tls, tls_verify; /* MySQL */
	char tls_ca[300], tls_cert[300], tls_key[300];
	char shown[320]; /* for log lines: driver, place and database, printable, without user and
			    password */
};

/* MW_ERR_CONF: what of it cannot be. User and password are left empty. */
enum mw_rc db_dsn_parse(const char *text, struct db_dsn *dsn_r, struct mw_err *err_r);

/*
 * The setting: { { dsn, user, password }, ... }, or texts in place of the inner tables. dsns_r has
 * DB_ENDPOINTS_MAX places.
 */
enum mw_rc db_dsn_list(const char *setting, const struct mw_val *list, struct db_dsn *dsns_r,
	size_t *count_r, struct mw_err *err_r);

#endif
