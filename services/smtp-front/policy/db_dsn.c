#include "db_dsn.h"

#include <stddef.h>
#include <stdio.h>

#include "log.h"

#define DSN_MAX 2000 /* octets of a DSN */

static const struct {
	const char *name;
	enum db_driver driver;
} drivers[] = {
	{ "Pg", DB_PQ },
	{ "mysql", DB_MYSQL },
	{ "MariaDB", DB_MYSQL },
	{ "SQLite", DB_SQLITE },
};

enum shape { TEXT, PORT, FLAG };

#define PLACE(field) offsetof(struct db_dsn, field), sizeof(((struct db_dsn *)0)->field)
#define ON(driver) MW_BIT(driver)

/* What may stand in a DSN; what stands nowhere here is refused, it would be left out silently. */
static const struct field {
	const char *name;
	unsigned drivers;
	enum shape shape;
	size_t at, size;
} fields[] = {
	{ "database", ON(DB_PQ) | ON(DB_MYSQL) | ON(DB_SQLITE), TEXT, PLACE(database) },
	{ "dbname", ON(DB_PQ) | ON(DB_MYSQL) | ON(DB_SQLITE), TEXT, PLACE(database) },
	{ "db", ON(DB_PQ) | ON(DB_MYSQL) | ON(DB_SQLITE), TEXT, PLACE(database) },
	{ "host", ON(DB_PQ) | ON(DB_MYSQL), TEXT, PLACE(host) },
	{ "hostname", ON(DB_MYSQL), TEXT, PLACE(host) },
	{ "port", ON(DB_PQ) | ON(DB_MYSQL), PORT, PLACE(port) },
	{ "sslmode", ON(DB_PQ), TEXT, PLACE(sslmode) },
	{ "sslrootcert", ON(DB_PQ), TEXT, PLACE(tls_ca) },
	{ "sslcert", ON(DB_PQ), TEXT, PLACE(tls_cert) },
	{ "sslkey", ON(DB_PQ), TEXT, PLACE(tls_key) },
	{ "mysql_socket", ON(DB_MYSQL), TEXT, PLACE(socket) },
	{ "mariadb_socket", ON(DB_MYSQL), TEXT, PLACE(socket) },
	{ "mysql_ssl", ON(DB_MYSQL), FLAG, PLACE(tls) },
	{ "mariadb_ssl", ON(DB_MYSQL), FLAG, PLACE(tls) },
	{ "mysql_ssl_verify_server_cert", ON(DB_MYSQL), FLAG, PLACE(tls_verify) },
	{ "mariadb_ssl_verify_server_cert", ON(DB_MYSQL), FLAG, PLACE(tls_verify) },
	{ "mysql_ssl_ca_file", ON(DB_MYSQL), TEXT, PLACE(tls_ca) },
	{ "mariadb_ssl_ca_file", ON(DB_MYSQL), TEXT, PLACE(tls_ca) },
	{ "mysql_ssl_client_cert", ON(DB_MYSQL), TEXT, PLACE(tls_cert) },
	{ "mariadb_ssl_client_cert", ON(DB_MYSQL), TEXT, PLACE(tls_cert) },
	{ "mysql_ssl_client_key", ON(DB_MYSQL), TEXT, PLACE(tls_key) },
	{ "mariadb_ssl_client_key", ON(DB_MYSQL), TEXT, PLACE(tls_key) },
};

static enum mw_rc set_text(
	char *p, size_t size, const char *value, size_t n, const char *name, struct mw_err *err_r)
{
	/* Brackets around an IPv6 address are a habit of other settings. */
	if (n > 2 && value[0] == '[' && value[n - 1] == ']') {
		value++;
		n -= 2;
	}
	if (!mw_strncpy(p, size, value, n))
		return mw_fail(err_r, MW_ERR_CONF, "%s is longer than %zu octets", name, size - 1);
	return MW_OK;
}

static enum mw_rc set_field(struct db_dsn *dsn, const struct field *f, const char *value, size_t n,
	struct mw_err *err_r)
{
	unsigned char *p = (unsigned char *)dsn + f->at;
	uint16_t port = 0;

	if (f->shape == TEXT)
		return set_text((char *)p, f->size, value, n, f->name, err_r);
	if (f->shape == FLAG) {
		if (n != 1 || (*value != '0' && *value != '1'))
			return mw_fail(err_r, MW_ERR_CONF, "%s is not 0 or 1", f->name);
		*(bool *)p = *value == '1';
		return MW_OK;
	}
	for (size_t i = 0; i < n; i++) {
		unsigned digit = (unsigned)(value[i] - '0');

		if (digit > 9 || port > (UINT16_MAX - digit) / 10)
			return mw_fail(err_r, MW_ERR_CONF, "port is not 1 to 65535");
		port = (uint16_t)(port * 10 + digit);
	}
	if (port == 0)
		return mw_fail(err_r, MW_ERR_CONF, "port is not 1 to 65535");
	memcpy(p, &port, sizeof(port));
	return MW_OK;
}

static const struct field *find_field(enum db_driver driver, const char *name, size_t n)
{
	for (size_t i = 0; i < MW_COUNT(fields); i++)
		if ((fields[i].drivers & ON(driver)) != 0 && strlen(fields[i].name) == n &&
			strncmp(fields[i].name, name, n) == 0)
			return &fields[i];
	return NULL;
}

/* One "name=value", or the database's name alone where it is the first. */
static enum mw_rc take_item(
	struct db_dsn *dsn, const char *item, size_t n, bool first, struct mw_err *err_r)
{
	const char *equals = memchr(item, '=', n);
	const struct field *f;
	size_t name_n = equals != NULL ? (size_t)(equals - item) : 0;

	if (n == 0)
		return MW_OK; /* a semicolon at the end */
	if (equals == NULL) {
		if (!first || (dsn->driver != DB_SQLITE && memchr(item, ':', n) != NULL))
			return mw_fail(err_r, MW_ERR_CONF, "not name=value");
		return set_text(dsn->database, sizeof(dsn->database), item, n, "database", err_r);
	}
	f = find_field(dsn->driver, item, name_n);
	if (f == NULL) {
		char quoted[80];

		return mw_fail(err_r, MW_ERR_CONF, "%s is not known for this driver",
			mw_quote_octets(quoted, sizeof(quoted), item, name_n));
	}
	return set_field(dsn, f, equals + 1, n - name_n - 1, err_r);
}

static enum mw_rc take_driver(struct db_dsn *dsn, const char **text, struct mw_err *err_r)
{
	const char *p = *text, *colon;

	if ((p[0] | 0x20) != 'd' || (p[1] | 0x20) != 'b' || (p[2] | 0x20) != 'i' || p[3] != ':')
		return mw_fail(err_r, MW_ERR_CONF, "does not begin with DBI:");
	p += 4;
	colon = strchr(p, ':');
	for (size_t i = 0; colon != NULL && i < MW_COUNT(drivers); i++) {
		if (!mw_octets_ieq(mw_octets_of(p, (size_t)(colon - p)), drivers[i].name))
			continue;
		dsn->driver = drivers[i].driver;
		*text = colon + 1;
		return MW_OK;
	}
	return mw_fail(err_r, MW_ERR_CONF,
		"its driver is none of Pg, mysql, MariaDB, SQLite, followed by a colon");
}

static void show(struct db_dsn *dsn)
{
	static const char *const names[] = { "Pg", "mysql", "SQLite" };
	const char *host = dsn->socket[0] != '\0' ? dsn->socket : dsn->host;
	char port[8] = "", text[sizeof(dsn->shown)];

	if (dsn->port != 0)
		snprintf(port, sizeof(port), ":%u", dsn->port);
	if (dsn->driver == DB_SQLITE)
		snprintf(text, sizeof(text), "SQLite:%.300s", dsn->database);
	else
		snprintf(text, sizeof(text), "%s:%.60s@%.200s%s", names[dsn->driver], dsn->database,
			host[0] != '\0' ? host : "localhost", port);
	for (char *p = text; *p != '\0'; p++)
		if (*p <= ' ' || *p == '"' || (unsigned char)*p > 0x7e)
			*p = '_';
	mw_strlcpy(dsn->shown, text, sizeof(dsn->shown));
}

enum mw_rc db_dsn_parse(const char *text, struct db_dsn *dsn_r, struct mw_err *err_r)
{
	struct db_dsn dsn = { 0 };
	bool first = true;
	enum mw_rc rc;

	if (strlen(text) > DSN_MAX)
		return mw_fail(err_r, MW_ERR_CONF, "longer than %d octets", DSN_MAX);
	rc = take_driver(&dsn, &text, err_r);
	while (rc == MW_OK) {
		size_t n = strcspn(text, ";");

		rc = take_item(&dsn, text, n, first, err_r);
		first = false;
		if (text[n] == '\0')
			break;
		text += n + 1;
	}
	if (rc == MW_OK && dsn.database[0] == '\0')
		rc = mw_fail(err_r, MW_ERR_CONF, "names no database");
	if (rc == MW_OK && dsn.tls_verify && !dsn.tls)
		rc = mw_fail(err_r, MW_ERR_CONF,
			"mysql_ssl_verify_server_cert=1 needs mysql_ssl=1, or nothing is verified");
	if (rc != MW_OK)
		return rc;
	show(&dsn);
	*dsn_r = dsn;
	return MW_OK;
}

/* ------------------------------------------------------------------ the setting */

static enum mw_rc take_login(
	const struct mw_val *entry, const char *key, char *p, size_t size, struct mw_err *err_r)
{
	const struct mw_val *v = mw_val_field(entry, key);
	const char *text = mw_val_text(v, v == NULL || v->tag == MW_V_NIL ? "" : NULL);

	if (text == NULL || mw_strlcpy(p, text, size) >= size)
		return mw_fail(err_r, MW_ERR_CONF, "its %s is not a text of at most %zu octets",
			*key == '2' ? "user" : "password", size - 1);
	return MW_OK;
}

static enum mw_rc take_entry(const struct mw_val *entry, struct db_dsn *dsn, struct mw_err *err_r)
{
	const struct mw_val *first = entry;
	const char *text;
	enum mw_rc rc;

	if (entry->tag == MW_V_TABLE) {
		if (!entry->is_array || entry->count < 1 || entry->count > 3)
			return mw_fail(err_r, MW_ERR_CONF, "not { dsn, user, password }");
		first = mw_val_field(entry, "1");
	}
	text = mw_val_text(first, NULL);
	if (text == NULL)
		return mw_fail(err_r, MW_ERR_CONF, "not a text, nor { dsn, user, password }");
	rc = db_dsn_parse(text, dsn, err_r);
	if (rc == MW_OK && entry->tag == MW_V_TABLE)
		rc = take_login(entry, "2", dsn->user, sizeof(dsn->user), err_r);
	if (rc == MW_OK && entry->tag == MW_V_TABLE)
		rc = take_login(entry, "3", dsn->password, sizeof(dsn->password), err_r);
	return rc;
}

enum mw_rc db_dsn_list(const char *setting, const struct mw_val *list, struct db_dsn *dsns_r,
	size_t *count_r, struct mw_err *err_r)
{
	struct mw_err why = { "" };

	*count_r = 0;
	if (list->tag == MW_V_NIL || (list->tag == MW_V_TABLE && list->count == 0))
		return MW_OK;
	if (list->tag != MW_V_TABLE || !list->is_array || list->count > DB_ENDPOINTS_MAX)
		return mw_fail(err_r, MW_ERR_CONF, "%s: not a list of at most %d databases",
			setting, DB_ENDPOINTS_MAX);
	for (size_t i = 0; i < list->count; i++)
		if (take_entry(&list->vals[i], &dsns_r[i], &why) != MW_OK)
			return mw_fail(
				err_r, MW_ERR_CONF, "%s: entry %zu: %s", setting, i + 1, why.text);
	*count_r = list->count;
	return MW_OK;
}
