#include "db_priv.h"

#include <stdlib.h>

/* Names of sql_clause, and amavisd's clause where the admin sets none. */
static const struct {
	const char *name, *dflt;
} clause_rows[DB_CLAUSE_COUNT] = {
	[DB_SEL_POLICY] = { "sel_policy",
		"SELECT *,users.id FROM users LEFT JOIN policy ON users.policy_id=policy.id"
		" WHERE users.email IN (%k) ORDER BY users.priority DESC" },
	[DB_SEL_WBLIST] = { "sel_wblist",
		"SELECT wb FROM wblist JOIN mailaddr ON wblist.sid=mailaddr.id"
		" WHERE wblist.rid=? AND mailaddr.email IN (%k) ORDER BY mailaddr.priority DESC" },
};

static enum mw_rc check_names(const struct mw_val *table, struct mw_err *err_r)
{
	for (size_t i = 0; table->tag == MW_V_TABLE && i < table->count; i++) {
		size_t row = 0;

		while (row < DB_CLAUSE_COUNT && strcmp(table->keys[i], clause_rows[row].name) != 0)
			row++;
		if (row == DB_CLAUSE_COUNT)
			return mw_fail(err_r, MW_ERR_CONF,
				"sql_clause.%.60s: this version knows sel_policy and sel_wblist",
				table->keys[i]);
		if (table->vals[i].tag != MW_V_STR)
			return mw_fail(
				err_r, MW_ERR_CONF, "sql_clause.%s is not a text", table->keys[i]);
	}
	return MW_OK;
}

/* For every kind of database of the list, once. */
static enum mw_rc compile(const struct mw_val *table, struct db_conf *c, struct mw_err *err_r)
{
	const struct db_source_conf *sql = &c->sources[DB_SQL];
	enum mw_rc rc = check_names(table, err_r);

	for (size_t id = 0; id < DB_CLAUSE_COUNT; id++) {
		const char *name = clause_rows[id].name;
		const char *text = mw_val_text(mw_val_field(table, name), clause_rows[id].dflt);

		for (size_t i = 0; i < sql->count && *text != '\0' && rc == MW_OK; i++) {
			enum db_syntax syntax = db_backend_of(sql->dsns[i].driver)->syntax;

			if (c->clauses[id][syntax] == NULL)
				rc = db_clause_new(
					name, text, syntax, &c->clauses[id][syntax], err_r);
		}
	}
	return rc;
}

static enum mw_rc read_failure(const struct mw_conf *conf, struct db_conf *c, struct mw_err *err_r)
{
	const char *word = mw_conf_text(conf, "lookup.failure");

	c->defers = strcmp(word, "defer") == 0;
	if (!c->defers && strcmp(word, "ignore") != 0)
		return mw_fail(err_r, MW_ERR_CONF, "lookup.failure is not defer or ignore");
	return MW_OK;
}

static enum mw_rc fill(const struct mw_conf *conf, struct db_conf *c, struct mw_err *err_r)
{
	struct db_source_conf *sql = &c->sources[DB_SQL];
	enum mw_rc rc;

	c->sql_no_at = mw_conf_bool(conf, "sql_lookups_no_at_means_domain");
	c->ldap_no_at = mw_conf_bool(conf, "ldap_lookups_no_at_means_domain");
	c->trims = mw_conf_bool(conf, "trim_trailing_space_in_lookup_result_fields");
	c->threads = (unsigned)mw_conf_int(conf, "lookup.threads");
	c->queue_limit = (size_t)mw_conf_int(conf, "lookup.queue_limit");
	c->timeout_ms = (uint64_t)mw_conf_int(conf, "lookup.timeout") * 1000;
	c->connect_ms = (uint64_t)mw_conf_int(conf, "lookup.connect_timeout") * 1000;
	c->cache_ms = (uint64_t)mw_conf_int(conf, "lookup.cache_time") * 1000;
	if (c->connect_ms > c->timeout_ms)
		c->connect_ms = c->timeout_ms; /* nobody would wait for the rest */
	c->failback_ms = (uint64_t)mw_conf_int(conf, "lookup.failback_time") * 1000;
	c->cache_entries = (size_t)mw_conf_int(conf, "lookup.cache_entries");
	c->cache_octets = (size_t)mw_conf_int(conf, "lookup.cache_octets");
	rc = read_failure(conf, c, err_r);
	if (rc == MW_OK)
		rc = db_dsn_list("lookup_sql_dsn", mw_conf_val(conf, "lookup_sql_dsn"), sql->dsns,
			&sql->count, err_r);
	if (rc == MW_OK)
		rc = compile(mw_conf_val(conf, "sql_clause"), c, err_r);
	if (rc == MW_OK && mw_conf_bool(conf, "enable_ldap"))
		rc = db_ldap_conf_read(
			mw_conf_val(conf, "default_ldap"), &c->ldap, &c->sources[DB_LDAP], err_r);
	return rc;
}

static enum mw_rc fill_store(const struct mw_conf *conf, struct db_conf *c, struct mw_err *err_r)
{
	struct db_source_conf *sql = &c->sources[DB_SQL];

	c->writes = true;
	c->threads = (unsigned)mw_conf_int(conf, "storage.threads");
	c->queue_limit = (size_t)mw_conf_int(conf, "storage.queue_limit");
	c->timeout_ms = (uint64_t)mw_conf_int(conf, "storage.timeout") * 1000;
	c->connect_ms = (uint64_t)mw_conf_int(conf, "lookup.connect_timeout") * 1000;
	if (c->connect_ms > c->timeout_ms)
		c->connect_ms = c->timeout_ms;
	c->failback_ms = (uint64_t)mw_conf_int(conf, "lookup.failback_time") * 1000;
	return db_dsn_list("storage_sql_dsn", mw_conf_val(conf, "storage_sql_dsn"), sql->dsns,
		&sql->count, err_r);
}

static enum mw_rc new_conf(const struct mw_conf *conf,
	enum mw_rc (*how)(const struct mw_conf *, struct db_conf *, struct mw_err *),
	struct db_conf **conf_r, struct mw_err *err_r)
{
	struct db_conf *c = calloc(1, sizeof(*c));
	enum mw_rc rc;

	if (c == NULL)
		return MW_ERR_NOMEM;
	atomic_init(&c->refs, 1);
	rc = how(conf, c, err_r);
	if (rc != MW_OK)
		db_conf_unref(&c);
	else
		*conf_r = c;
	return rc;
}

enum mw_rc db_conf_new(const struct mw_conf *conf, struct db_conf **conf_r, struct mw_err *err_r)
{
	return new_conf(conf, fill, conf_r, err_r);
}

enum mw_rc db_store_conf_new(
	const struct mw_conf *conf, struct db_conf **conf_r, struct mw_err *err_r)
{
	return new_conf(conf, fill_store, conf_r, err_r);
}

enum mw_rc db_settings_check(const struct mw_conf *conf, struct mw_err *err_r)
{
	struct db_conf *c = NULL;
	enum mw_rc rc = db_conf_new(conf, &c, err_r);

	db_conf_unref(&c);
	return rc;
}

struct db_conf *db_conf_ref(struct db_conf *conf)
{
	atomic_fetch_add(&conf->refs, 1);
	return conf;
}

void db_conf_unref(struct db_conf **conf_p)
{
	struct db_conf *c = *conf_p;

	*conf_p = NULL;
	if (c == NULL || atomic_fetch_sub(&c->refs, 1) > 1)
		return;
	for (size_t id = 0; id < DB_CLAUSE_COUNT; id++)
		for (size_t syntax = 0; syntax < DB_SYNTAX_COUNT; syntax++)
			db_clause_destroy(&c->clauses[id][syntax]);
	free(c);
}

bool db_source_answers(const struct db_conf *conf, enum db_source source, enum db_clause_id clause)
{
	const struct db_source_conf *list = &conf->sources[source];

	if (list->count == 0)
		return false;
	if (source == DB_LDAP)
		return clause == DB_SEL_POLICY;
	return conf->clauses[clause][db_backend_of(list->dsns[0].driver)->syntax] != NULL;
}

const struct db_backend *db_backend_of(enum db_driver driver)
{
	static const struct db_backend *const backends[DB_DRIVER_COUNT] = {
		[DB_PQ] = &db_backend_pq,
		[DB_MYSQL] = &db_backend_mysql,
		[DB_SQLITE] = &db_backend_sqlite,
		[DB_LDAP_SERVER] = &db_backend_ldap,
	};

	return backends[driver];
}
