/* DSNs, and the settings of databases as a whole (policy/db_dsn.c, db_conf.c, db_ldap_conf.c). */
#include "make_txn.h"

#include "policy/db_priv.h"

static void dsns_are_read(void **state)
{
	struct db_dsn d;
	struct mw_err err = { "" };

	(void)state;
	assert_int_equal(db_dsn_parse("DBI:Pg:database=mail;host=db.example.org;port=5433;"
				      "sslmode=verify-full;sslrootcert=/ca.pem",
				 &d, &err),
		MW_OK);
	assert_int_equal(d.driver, DB_PQ);
	assert_string_equal(d.database, "mail");
	assert_string_equal(d.host, "db.example.org");
	assert_int_equal(d.port, 5433);
	assert_string_equal(d.sslmode, "verify-full");
	assert_string_equal(d.tls_ca, "/ca.pem");
	assert_string_equal(d.shown, "Pg:mail@db.example.org:5433");
	assert_int_equal(
		db_dsn_parse("dbi:MYSQL:mail;mysql_socket=/run/m.sock;mysql_ssl=1;", &d, &err),
		MW_OK);
	assert_int_equal(d.driver, DB_MYSQL);
	assert_string_equal(d.database, "mail");
	assert_string_equal(d.socket, "/run/m.sock");
	assert_true(d.tls);
	assert_int_equal(db_dsn_parse("DBI:MariaDB:database=m;host=[::1]", &d, &err), MW_OK);
	assert_string_equal(d.host, "::1");
	assert_int_equal(db_dsn_parse("DBI:SQLite:dbname=/var/x:y.db", &d, &err), MW_OK);
	assert_string_equal(d.database, "/var/x:y.db");
	assert_int_equal(db_dsn_parse("DBI:SQLite:/var/x.db", &d, &err), MW_OK);
	assert_string_equal(d.database, "/var/x.db");
}

static void bad_dsns_are_refused_and_say_why(void **state)
{
	static const char *const bad[] = { "", "DBI", "DBI:", "DBI:Pg", "DBX:Pg:database=m",
		"DBI:Oracle:database=m", "DBI:Pg:", "DBI:Pg:host=h", "DBI:Pg:database=m;port=0",
		"DBI:Pg:database=m;port=65536", "DBI:Pg:database=m;port=5x",
		"DBI:Pg:database=m;port=", "DBI:Pg:database=m;mysql_ssl=1",
		"DBI:Pg:database=m;hots=x", "DBI:Pg:host=h;mail", "DBI:mysql:mail:host",
		"DBI:mysql:database=m;mysql_ssl=yes",
		"DBI:mysql:database=m;mysql_ssl_verify_server_cert=1",
		"DBI:mysql:database=m;mysql_read_default_file=/x",
		"DBI:Pg(AutoCommit=1):database=m" };
	char large[600] = "DBI:SQLite:";

	(void)state;
	for (size_t i = 0; i < MW_COUNT(bad); i++) {
		struct db_dsn d = { .port = 77 };
		struct mw_err err = { "" };

		assert_int_equal(db_dsn_parse(bad[i], &d, &err), MW_ERR_CONF);
		assert_int_equal(d.port, 77);
		assert_true(err.text[0] != '\0');
	}
	for (size_t n = 511; n <= 512; n++) {
		struct db_dsn d;

		memset(large + 11, 'a', n);
		large[11 + n] = '\0';
		assert_int_equal(db_dsn_parse(large, &d, NULL), n == 511 ? MW_OK : MW_ERR_CONF);
	}
}

static enum mw_rc reads(const char *lua, struct db_conf **c_r, struct mw_err *err)
{
	char *errors = NULL;
	struct mw_conf *conf = conf_of(lua, &errors);
	enum mw_rc rc;

	if (conf == NULL)
		fail_msg("%s", errors);
	rc = db_conf_new(conf, c_r, err);
	assert_int_equal(db_settings_check(conf, NULL), rc);
	mw_conf_destroy(&conf);
	return rc;
}

static void settings_are_read(void **state)
{
	struct db_conf *c = NULL;
	struct mw_err err = { "" };

	(void)state;
	assert_int_equal(reads("lookup_sql_dsn = { { 'DBI:Pg:database=m', 'u', 'p' }, "
			       "{ 'DBI:SQLite:/x' }, 'DBI:mysql:m' }\n"
			       "sql_clause = { sel_wblist = '' }\n",
				 &c, &err),
		MW_OK);
	assert_int_equal(c->sources[DB_SQL].count, 3);
	assert_string_equal(c->sources[DB_SQL].dsns[0].user, "u");
	assert_string_equal(c->sources[DB_SQL].dsns[0].password, "p");
	assert_null(strstr(c->sources[DB_SQL].dsns[0].shown, "p"));
	for (int syntax = 0; syntax < DB_SYNTAX_COUNT; syntax++) {
		assert_non_null(c->clauses[DB_SEL_POLICY][syntax]);
		assert_null(c->clauses[DB_SEL_WBLIST][syntax]);
	}
	assert_true(db_source_answers(c, DB_SQL, DB_SEL_POLICY));
	assert_false(db_source_answers(c, DB_SQL, DB_SEL_WBLIST));
	assert_false(db_source_answers(c, DB_LDAP, DB_SEL_POLICY));
	assert_true(c->defers);
	db_conf_unref(&c);
}

static void wrong_settings_are_told(void **state)
{
	static const struct {
		const char *lua, *said;
	} rows[] = {
		{ "lookup_sql_dsn = { 'DBI:Pg:' }", "lookup_sql_dsn: entry 1: names no database" },
		{ "lookup_sql_dsn = { 'DBI:SQLite:/x', { 'DBI:SQLite:/y', 1 } }",
			"lookup_sql_dsn: entry 2: its user" },
		{ "lookup_sql_dsn = { { 'DBI:SQLite:/x', 'u', 'p', 'q' } }", "not { dsn, user" },
		{ "sql_clause = { sel_quar = 'x' }", "sql_clause.sel_quar" },
		{ "sql_clause = { sel_policy = 1 }", "sql_clause.sel_policy" },
		{ "lookup_sql_dsn = { 'DBI:SQLite:/x' } sql_clause = { sel_policy = \"'\" }",
			"does not end" },
		{ "lookup.failure = 'defers'", "lookup.failure" },
		{ "enable_ldap = true default_ldap = { hostnam = 'x' }", "default_ldap.hostnam" },
		{ "enable_ldap = true default_ldap = { hostname = {} }", "default_ldap.hostname" },
		{ "enable_ldap = true default_ldap = { hostname = 'a b' }",
			"default_ldap.hostname" },
		{ "enable_ldap = true default_ldap = { port = 0 }", "default_ldap.port" },
		{ "enable_ldap = true default_ldap = { version = 2 }", "default_ldap.version" },
		{ "enable_ldap = true default_ldap = { scope = 'all' }", "default_ldap.scope" },
		{ "enable_ldap = true default_ldap = { sasl = 1 }", "default_ldap.sasl" },
		{ "enable_ldap = true default_ldap = { query_filter = '(mail=x)' }",
			"query_filter" },
		{ "enable_ldap = true default_ldap = { query_filter = 'mail=%m' }",
			"query_filter" },
		{ "enable_ldap = true default_ldap = { query_filter = '(|(a=%m)(b=%m))' }",
			"query_filter" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct db_conf *c = NULL;
		struct mw_err err = { "" };

		if (reads(rows[i].lua, &c, &err) != MW_ERR_CONF)
			fail_msg("%s was taken", rows[i].lua);
		assert_null(c);
		if (strstr(err.text, rows[i].said) == NULL)
			fail_msg("%s: %s", rows[i].lua, err.text);
	}
}

static void servers_of_ldap_become_uris(void **state)
{
	static const struct {
		const char *lua, *uri;
	} rows[] = {
		{ "{}", "ldap://localhost" },
		{ "{ hostname = 'h.example', port = 3890, scheme = 'ldaps' }",
			"ldaps://h.example:3890" },
		{ "{ hostname = '::1', port = 389 }", "ldap://[::1]:389" },
		{ "{ hostname = '[::1]', port = 389 }", "ldap://[::1]:389" },
		{ "{ hostname = 'h:390', port = 389 }", "ldap://h:390" },
		{ "{ hostname = 'ldaps://h' }", "ldaps://h" },
		{ "{ hostname = '/run/slapd/ldapi', scheme = 'ldapi' }",
			"ldapi://%2Frun%2Fslapd%2Fldapi" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char lua[256];
		struct db_conf *c = NULL;
		struct mw_err err = { "" };

		snprintf(lua, sizeof(lua), "enable_ldap = true default_ldap = %s", rows[i].lua);
		if (reads(lua, &c, &err) != MW_OK)
			fail_msg("%s: %s", lua, err.text);
		assert_int_equal(c->sources[DB_LDAP].count, 1);
		assert_string_equal(c->sources[DB_LDAP].dsns[0].database, rows[i].uri);
		assert_string_equal(c->ldap.key_attribute, "mail");
		db_conf_unref(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dsns_are_read),
		cmocka_unit_test(bad_dsns_are_refused_and_say_why),
		cmocka_unit_test(settings_are_read),
		cmocka_unit_test(wrong_settings_are_told),
		cmocka_unit_test(servers_of_ldap_become_uris),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
