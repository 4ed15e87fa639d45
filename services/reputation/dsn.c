#include "dsn.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>

#define UNIX_PATH_MAX 107 /* sun_path without its NUL, unix(7) */
#define DB_ID_MOST 65535
#define TTL_S_MOST INT64_C(3153600000) /* a hundred years */

/* ------------------------------------------------------------------ places */

static bool parse_port(const char *text, uint16_t *port_r)
{
	char *end;
	unsigned long v;

	if (text[0] < '0' || text[0] > '9')
		return false;
	v = strtoul(text, &end, 10);
	if (*end != '\0' || v == 0 || v > UINT16_MAX)
		return false;
	*port_r = (uint16_t)v;
	return true;
}

/* A name or address: nothing that a resolver or a log line would trip over. */
static bool is_host(const char *text)
{
	size_t n =
		strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:%");

	return n > 0 && text[n] == '\0' && text[0] != '-';
}

bool rep_place_parse(const char *text, uint16_t default_port, struct rep_place *place_r)
{
	struct rep_place p = { .port = default_port };
	const char *host = text, *host_end = text + strlen(text), *colon;

	if (text[0] == '/') {
		p.port = 0;
		if ((size_t)(host_end - text) > UNIX_PATH_MAX)
			return false;
		mw_strlcpy(p.host, text, sizeof(p.host));
		*place_r = p;
		return true;
	}
	if (text[0] == '[') {
		host = text + 1;
		host_end = strchr(host, ']');
		if (host_end == NULL || (host_end[1] != '\0' && host_end[1] != ':'))
			return false;
		colon = host_end[1] == ':' ? host_end + 1 : NULL;
	} else {
		colon = strchr(text, ':');
		/* Several colons without brackets: an IPv6 address alone. */
		if (colon != NULL && strchr(colon + 1, ':') != NULL)
			colon = NULL;
		if (colon != NULL)
			host_end = colon;
	}
	if (colon != NULL && !parse_port(colon + 1, &p.port))
		return false;
	if (!mw_strncpy(p.host, sizeof(p.host), host, (size_t)(host_end - host)) ||
		!is_host(p.host))
		return false;
	*place_r = p;
	return true;
}

const char *rep_place_format(const struct rep_place *place, char *buf, size_t size)
{
	if (place->port == 0)
		snprintf(buf, size, "%s", place->host);
	else if (strchr(place->host, ':') != NULL)
		snprintf(buf, size, "[%s]:%u", place->host, place->port);
	else
		snprintf(buf, size, "%s:%u", place->host, place->port);
	return buf;
}

/* ------------------------------------------------------------------ entries: a field each */

struct entry {
	struct rep_server *server;
	unsigned number;
	struct mw_err *err_r;
};

static enum mw_rc wrong(const struct entry *e, const char *field, const char *wanted)
{
	return mw_fail(e->err_r, MW_ERR_CONF, "storage_redis_dsn: entry %u: %s is not %s",
		e->number, field, wanted);
}

static enum mw_rc read_place(const struct entry *e, const struct mw_val *v, const char *field)
{
	const char *text = mw_val_text(v, NULL);

	if (text == NULL || !rep_place_parse(text, REP_REDIS_PORT, &e->server->place))
		return wrong(e, field,
			"host:port, [IPv6]:port or the absolute path of a Unix socket (107 "
			"octets)");
	return MW_OK;
}

static enum mw_rc read_int(const struct entry *e, const struct mw_val *v, const char *field,
	int64_t most, int64_t *v_r)
{
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "a whole number from 0 to %lld", (long long)most);
	if (v->tag != MW_V_NUM || !(v->num >= 0 && v->num <= (double)most) ||
		v->num != (double)(int64_t)v->num)
		return wrong(e, field, wanted);
	*v_r = (int64_t)v->num;
	return MW_OK;
}

static enum mw_rc read_db_id(const struct entry *e, const struct mw_val *v, const char *field)
{
	return read_int(e, v, field, DB_ID_MOST, &e->server->db_id);
}

static enum mw_rc read_ttl(const struct entry *e, const struct mw_val *v, const char *field)
{
	return read_int(e, v, field, TTL_S_MOST, &e->server->ttl_s);
}

static enum mw_rc read_password(const struct entry *e, const struct mw_val *v, const char *field)
{
	const char *text = mw_val_text(v, NULL);

	if (text == NULL ||
		mw_strlcpy(e->server->password, text, REP_PASSWORD_MAX) >= REP_PASSWORD_MAX)
		return wrong(e, field, "a text of at most 511 octets");
	return MW_OK;
}

static enum mw_rc read_master(const struct entry *e, const struct mw_val *v, const char *field)
{
	const char *text = mw_val_text(v, NULL);
	size_t size = sizeof(e->server->master);

	if (text == NULL || text[0] == '\0' || mw_strlcpy(e->server->master, text, size) >= size)
		return wrong(e, field, "a name of at most 63 octets");
	return MW_OK;
}

static enum mw_rc read_sentinels(const struct entry *e, const struct mw_val *v, const char *field)
{
	struct rep_server *s = e->server;

	if (v->tag != MW_V_TABLE || v->count == 0 || v->count > REP_SENTINELS_MAX)
		return wrong(e, field, "a list of 1 to 8 places");
	for (s->sentinel_count = 0; s->sentinel_count < v->count; s->sentinel_count++) {
		const char *text = mw_val_text(&v->vals[s->sentinel_count], NULL);
		struct rep_place *p = &s->sentinels[s->sentinel_count];

		if (text == NULL || !rep_place_parse(text, REP_SENTINEL_PORT, p))
			return wrong(e, field, "a list of host:port, [IPv6]:port or paths");
	}
	return MW_OK;
}

static const struct field {
	const char *name;
	enum mw_rc (*read)(const struct entry *e, const struct mw_val *v, const char *field);
} fields[] = {
	{ "server", read_place },
	{ "sock", read_place }, /* amavisd's other name for it */
	{ "db_id", read_db_id },
	{ "password", read_password },
	{ "ttl", read_ttl },
	{ "sentinels", read_sentinels },
	{ "master", read_master },
};

static const struct field *find_field(const char *name)
{
	for (size_t i = 0; i < MW_COUNT(fields); i++) {
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	}
	return NULL;
}

static enum mw_rc read_entry(const struct entry *e, const struct mw_val *table)
{
	bool place = mw_val_field(table, "server") != NULL || mw_val_field(table, "sock") != NULL;

	if (table->tag != MW_V_TABLE)
		return wrong(e, "it",
			"a table { server = ..., db_id = ..., password = ..., ttl = ... }");
	for (size_t i = 0; i < table->count; i++) {
		const struct field *f = find_field(table->keys[i]);
		enum mw_rc rc;

		if (f == NULL)
			return mw_fail(e->err_r, MW_ERR_CONF,
				"storage_redis_dsn: entry %u: %s is no field of it; there are "
				"server, db_id, password, ttl, sentinels and master",
				e->number, mw_quote(table->keys[i]));
		rc = f->read(e, &table->vals[i], f->name);
		if (rc != MW_OK)
			return rc;
	}
	if (e->server->sentinel_count > 0 && (place || e->server->master[0] == '\0'))
		return wrong(e, "sentinels", "with the name of a master, and without a server");
	return MW_OK;
}

enum mw_rc rep_dsn_read(struct rep_dsn *dsn_r, const struct mw_val *list, int64_t default_ttl_s,
	struct mw_err *err_r)
{
	memset(dsn_r, 0, sizeof(*dsn_r));
	if (list->tag == MW_V_NIL)
		return MW_OK;
	if (list->tag != MW_V_TABLE || (list->count > 0 && !list->is_array) ||
		list->count > REP_SERVERS_MAX)
		return mw_fail(err_r, MW_ERR_CONF,
			"storage_redis_dsn: not a list of at most %d servers", REP_SERVERS_MAX);
	for (size_t i = 0; i < list->count; i++) {
		struct entry e = { &dsn_r->servers[i], (unsigned)i + 1, err_r };
		enum mw_rc rc;

		rep_place_parse("127.0.0.1", REP_REDIS_PORT, &e.server->place);
		e.server->ttl_s = default_ttl_s;
		rc = read_entry(&e, &list->vals[i]);
		if (rc != MW_OK)
			return rc;
		dsn_r->count++;
	}
	return MW_OK;
}

/* ------------------------------------------------------------------ endpoints */

static size_t endpoints_of(const struct rep_server *s)
{
	return s->sentinel_count > 0 ? s->sentinel_count : 1;
}

size_t rep_dsn_endpoints(const struct rep_dsn *dsn)
{
	size_t n = 0;

	for (size_t i = 0; i < dsn->count; i++)
		n += endpoints_of(&dsn->servers[i]);
	return n;
}

const struct rep_server *rep_dsn_endpoint(const struct rep_dsn *dsn, size_t i, size_t *sentinel_r)
{
	const struct rep_server *s = dsn->servers;

	for (; i >= endpoints_of(s); s++)
		i -= endpoints_of(s);
	*sentinel_r = i;
	return s;
}
