#include "redis_conf.h"

#include <stdlib.h>

#define REDIS_PORT 6379
#define SENTINEL_PORT 26379

bool logsvc_redis_place_parse(
	const char *text, uint16_t default_port, struct logsvc_redis_place *p_r)
{
	const char *host = text, *end = text + strlen(text), *colon;
	unsigned long port = default_port;
	char *rest;

	if (*text == '/') {
		p_r->port = 0;
		return mw_strlcpy(p_r->host, text, sizeof(p_r->host)) < sizeof(p_r->host);
	}
	colon = strrchr(text, ':');
	if (*text == '[') {
		host = text + 1;
		end = strchr(text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return false;
		colon = end[1] == ':' ? end + 1 : NULL;
	} else if (colon != NULL && strchr(text, ':') != colon) {
		colon = NULL; /* a bare IPv6 address */
	} else if (colon != NULL) {
		end = colon;
	}
	if (colon != NULL) {
		port = strtoul(colon + 1, &rest, 10);
		if (colon[1] < '0' || colon[1] > '9' || *rest != '\0' || port == 0 ||
			port > UINT16_MAX)
			return false;
	}
	p_r->port = (uint16_t)port;
	return end > host && mw_strncpy(p_r->host, sizeof(p_r->host), host, (size_t)(end - host));
}

static enum mw_rc add(struct logsvc_redis_conf *c, const struct mw_val *entry, const char *text,
	uint16_t port, const char *master, struct mw_err *err_r)
{
	struct logsvc_redis_place *p = &c->places[c->count];

	if (c->count == LOGSVC_REDIS_PLACES_MAX)
		return mw_fail(err_r, MW_ERR_CONF, "storage_redis_dsn: more than %d servers",
			LOGSVC_REDIS_PLACES_MAX);
	if (!logsvc_redis_place_parse(text, port, p))
		return mw_fail(err_r, MW_ERR_CONF,
			"storage_redis_dsn: \"%.100s\" is neither host:port nor a path", text);
	p->db = (int)mw_val_int(mw_val_field(entry, "db_id"), 0);
	if (mw_strlcpy(p->master, master, sizeof(p->master)) >= sizeof(p->master) ||
		mw_strlcpy(p->password, mw_val_text(mw_val_field(entry, "password"), ""),
			sizeof(p->password)) >= sizeof(p->password))
		return mw_fail(
			err_r, MW_ERR_CONF, "storage_redis_dsn: a name or password is too long");
	c->count++;
	return MW_OK;
}

static enum mw_rc add_entry(
	struct logsvc_redis_conf *c, const struct mw_val *entry, struct mw_err *err_r)
{
	const struct mw_val *sentinels = mw_val_field(entry, "sentinels");
	const char *master = mw_val_text(mw_val_field(entry, "master"), "mymaster");
	const char *server = mw_val_text(
		mw_val_field(entry, "server"), mw_val_text(mw_val_field(entry, "sock"), NULL));
	enum mw_rc rc = MW_OK;

	if (sentinels == NULL || sentinels->tag != MW_V_TABLE)
		return add(c, entry, server != NULL ? server : "127.0.0.1", REDIS_PORT, "", err_r);
	for (size_t i = 0; i < sentinels->count && rc == MW_OK; i++)
		rc = add(c, entry, mw_val_text(&sentinels->vals[i], ""), SENTINEL_PORT, master,
			err_r);
	return rc;
}

enum mw_rc logsvc_redis_conf_read(
	struct logsvc_redis_conf *c_r, const struct mw_conf *conf, struct mw_err *err_r)
{
	const struct mw_val *list = mw_conf_val(conf, "storage_redis_dsn");
	const char *one = mw_conf_text(conf, "redis.server");
	enum mw_rc rc = MW_OK;

	c_r->count = 0;
	for (size_t i = 0; list->tag == MW_V_TABLE && i < list->count && rc == MW_OK; i++)
		rc = add_entry(c_r, &list->vals[i], err_r);
	if (rc == MW_OK && c_r->count == 0 && one != NULL && *one != '\0')
		rc = add(c_r, NULL, one, REDIS_PORT, "", err_r);
	return rc;
}
