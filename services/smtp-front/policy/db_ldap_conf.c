/* default_ldap: amavisd's hash of how to reach a directory. */
#include "db_priv.h"

#include <ctype.h>
#include <ldap.h>
#include <stdio.h>

struct reading {
	struct db_ldap_conf *ldap;
	struct db_source_conf *servers;
	const struct mw_val *hosts;
	const char *scheme;
	unsigned port; /* 0: the scheme's */
	struct mw_err *err_r;
};

static enum mw_rc wrong(const struct reading *r, const char *field, const char *wanted)
{
	return mw_fail(r->err_r, MW_ERR_CONF, "default_ldap.%s is not %s", field, wanted);
}

/* ------------------------------------------------------------------ fields of one shape */

static enum mw_rc take_text(
	const struct reading *r, const char *field, const struct mw_val *v, char *p, size_t size)
{
	const char *text = mw_val_text(v, NULL);

	if (text == NULL || mw_strlcpy(p, text, size) >= size)
		return mw_fail(r->err_r, MW_ERR_CONF,
			"default_ldap.%s is not a text of at most %zu octets", field, size - 1);
	return MW_OK;
}

static enum mw_rc take_int(const struct reading *r, const char *field, const struct mw_val *v,
	int64_t least, int64_t most, int64_t *n_r)
{
	char wanted[64];

	*n_r = mw_val_int(v, least - 1);
	if (v->tag == MW_V_NUM && (double)*n_r == v->num && *n_r >= least && *n_r <= most)
		return MW_OK;
	snprintf(wanted, sizeof(wanted), "a whole number from %lld to %lld", (long long)least,
		(long long)most);
	return wrong(r, field, wanted);
}

struct word {
	const char *text;
	int value;
};

static enum mw_rc take_word(const struct reading *r, const char *field, const struct mw_val *v,
	const struct word *words, size_t count, int *value_r)
{
	const char *text = mw_val_text(v, "");

	for (size_t i = 0; i < count; i++) {
		if (!mw_ieq(text, words[i].text))
			continue;
		*value_r = words[i].value;
		return MW_OK;
	}
	return wrong(r, field, "one of its words: see docs/policy-databases.md");
}

/* ------------------------------------------------------------------ one function a field */

static enum mw_rc take_hostname(struct reading *r, const char *field, const struct mw_val *v)
{
	if (v->tag != MW_V_STR && !(v->tag == MW_V_TABLE && v->is_array && v->count > 0 &&
					  v->count <= DB_ENDPOINTS_MAX))
		return wrong(r, field, "a host, nor a list of at most 8 of them");
	r->hosts = v;
	return MW_OK;
}

static enum mw_rc take_port(struct reading *r, const char *field, const struct mw_val *v)
{
	int64_t n = 0;
	enum mw_rc rc = take_int(r, field, v, 1, 65535, &n);

	r->port = (unsigned)n;
	return rc;
}

static enum mw_rc take_scheme(struct reading *r, const char *field, const struct mw_val *v)
{
	r->scheme = mw_val_text(v, "");
	if (strcmp(r->scheme, "ldap") != 0 && strcmp(r->scheme, "ldaps") != 0 &&
		strcmp(r->scheme, "ldapi") != 0)
		return wrong(r, field, "ldap, ldaps or ldapi");
	return MW_OK;
}

static enum mw_rc take_version(struct reading *r, const char *field, const struct mw_val *v)
{
	int64_t n;

	return take_int(r, field, v, 3, 3, &n);
}

static enum mw_rc take_timeout(struct reading *r, const char *field, const struct mw_val *v)
{
	int64_t n = 0;
	enum mw_rc rc = take_int(r, field, v, 1, 3600, &n);

	r->ldap->timeout_ms = (uint64_t)n * 1000;
	return rc;
}

static enum mw_rc take_base(struct reading *r, const char *field, const struct mw_val *v)
{
	return take_text(r, field, v, r->ldap->base, sizeof(r->ldap->base));
}

static enum mw_rc take_filter(struct reading *r, const char *field, const struct mw_val *v)
{
	return take_text(r, field, v, r->ldap->filter, sizeof(r->ldap->filter));
}

static enum mw_rc take_scope(struct reading *r, const char *field, const struct mw_val *v)
{
	static const struct word words[] = { { "base", LDAP_SCOPE_BASE },
		{ "one", LDAP_SCOPE_ONELEVEL }, { "sub", LDAP_SCOPE_SUBTREE } };

	return take_word(r, field, v, words, MW_COUNT(words), &r->ldap->scope);
}

static enum mw_rc take_deref(struct reading *r, const char *field, const struct mw_val *v)
{
	static const struct word words[] = { { "never", LDAP_DEREF_NEVER },
		{ "search", LDAP_DEREF_SEARCHING }, { "find", LDAP_DEREF_FINDING },
		{ "always", LDAP_DEREF_ALWAYS } };

	return take_word(r, field, v, words, MW_COUNT(words), &r->ldap->deref);
}

static enum mw_rc take_bind_dn(struct reading *r, const char *field, const struct mw_val *v)
{
	return take_text(r, field, v, r->ldap->bind_dn, sizeof(r->ldap->bind_dn));
}

static enum mw_rc take_password(struct reading *r, const char *field, const struct mw_val *v)
{
	return take_text(r, field, v, r->ldap->bind_password, sizeof(r->ldap->bind_password));
}

static enum mw_rc take_tls(struct reading *r, const char *field, const struct mw_val *v)
{
	if (v->tag == MW_V_BOOL)
		r->ldap->start_tls = v->b;
	else if (v->tag == MW_V_NUM && (v->num == 0 || v->num == 1))
		r->ldap->start_tls = v->num != 0;
	else
		return wrong(r, field, "true or false");
	return MW_OK;
}

static enum mw_rc take_verify(struct reading *r, const char *field, const struct mw_val *v)
{
	static const struct word words[] = { { "none", LDAP_OPT_X_TLS_NEVER },
		{ "optional", LDAP_OPT_X_TLS_TRY }, { "require", LDAP_OPT_X_TLS_DEMAND } };

	return take_word(r, field, v, words, MW_COUNT(words), &r->ldap->verify);
}

static enum mw_rc take_sslversion(struct reading *r, const char *field, const struct mw_val *v)
{
	static const struct word words[] = { { "tlsv1.2", LDAP_OPT_X_TLS_PROTOCOL_TLS1_2 },
		{ "tlsv1.3", LDAP_OPT_X_TLS_PROTOCOL_TLS1_3 } };

	return take_word(r, field, v, words, MW_COUNT(words), &r->ldap->protocol_least);
}

static enum mw_rc take_cafile(struct reading *r, const char *field, const struct mw_val *v)
{
	return take_text(r, field, v, r->ldap->ca_file, sizeof(r->ldap->ca_file));
}

static enum mw_rc take_capath(struct reading *r, const char *field, const struct mw_val *v)
{
	return take_text(r, field, v, r->ldap->ca_path, sizeof(r->ldap->ca_path));
}

static enum mw_rc take_cert(struct reading *r, const char *field, const struct mw_val *v)
{
	return take_text(r, field, v, r->ldap->cert, sizeof(r->ldap->cert));
}

static enum mw_rc take_key(struct reading *r, const char *field, const struct mw_val *v)
{
	return take_text(r, field, v, r->ldap->key, sizeof(r->ldap->key));
}

static const struct {
	const char *name;
	enum mw_rc (*take)(struct reading *r, const char *field, const struct mw_val *v);
} ldap_fields[] = {
	{ "hostname", take_hostname },
	{ "port", take_port },
	{ "scheme", take_scheme },
	{ "version", take_version },
	{ "timeout", take_timeout },
	{ "base", take_base },
	{ "scope", take_scope },
	{ "query_filter", take_filter },
	{ "deref", take_deref },
	{ "bind_dn", take_bind_dn },
	{ "bind_password", take_password },
	{ "tls", take_tls },
	{ "verify", take_verify },
	{ "sslversion", take_sslversion },
	{ "clientcert", take_cert },
	{ "clientkey", take_key },
	{ "cafile", take_cafile },
	{ "capath", take_capath },
};

/* ------------------------------------------------------------------ what follows from them */

/* Record `mail` of a filter's "(mail=%m)". */
static enum mw_rc find_key_attribute(const struct reading *r)
{
	struct db_ldap_conf *l = r->ldap;
	const char *mark = strstr(l->filter, "=%m)"), *open;

	for (open = mark; open != NULL && open > l->filter && open[-1] != '('; open--)
		if (!isalnum((unsigned char)open[-1]) && strchr("-;.", open[-1]) == NULL)
			return wrong(r, "query_filter", "a filter with one (attribute=%m) in it");
	if (mark == NULL || open == l->filter || open == mark || strstr(mark + 2, "%m") != NULL ||
		!mw_strncpy(
			l->key_attribute, sizeof(l->key_attribute), open, (size_t)(mark - open)))
		return wrong(r, "query_filter", "a filter with one (attribute=%m) in it");
	return MW_OK;
}

/* A path of ldapi is one word in a URI: its slashes are escaped. */
static void add_path(char *uri, size_t size, const char *path)
{
	size_t n = strlen(uri);

	for (; *path != '\0' && n + 4 < size; path++)
		n += (size_t)snprintf(uri + n, size - n,
			isalnum((unsigned char)*path) ? "%c" : "%%%02X", (unsigned char)*path);
}

static enum mw_rc add_server(const struct reading *r, const struct mw_val *host)
{
	struct db_dsn *dsn = &r->servers->dsns[r->servers->count];
	const char *text = mw_val_text(host, NULL);
	bool ldapi = strcmp(r->scheme, "ldapi") == 0;
	int n;

	if (text == NULL || strlen(text) > 150 || text[strcspn(text, " \t,;?<>\"")] != '\0')
		return wrong(r, "hostname", "a host, nor a list of at most 8 of them");
	memset(dsn, 0, sizeof(*dsn));
	dsn->driver = DB_LDAP_SERVER;
	if (ldapi) {
		snprintf(dsn->database, sizeof(dsn->database), "ldapi://");
		if (*text == '/')
			add_path(dsn->database, sizeof(dsn->database), text);
	} else if (strncmp(text, "ldap://", 7) == 0 || strncmp(text, "ldaps://", 8) == 0 ||
		   strncmp(text, "ldapi://", 8) == 0) {
		mw_strlcpy(dsn->database, text, sizeof(dsn->database));
	} else {
		bool bare_v6 = text[0] != '[' && strchr(text, ':') != strrchr(text, ':');

		n = snprintf(dsn->database, sizeof(dsn->database), "%s://%s%s%s", r->scheme,
			bare_v6 ? "[" : "", text, bare_v6 ? "]" : "");
		if (r->port != 0 && (bare_v6 || text[strcspn(text, ":")] == '\0' ||
					    text[strlen(text) - 1] == ']'))
			snprintf(dsn->database + n, sizeof(dsn->database) - (size_t)n, ":%u",
				r->port);
	}
	mw_strlcpy(dsn->shown, dsn->database, sizeof(dsn->shown));
	if (!mw_is_printable(dsn->shown, strlen(dsn->shown)))
		return wrong(r, "hostname", "printable");
	r->servers->count++;
	return MW_OK;
}

static enum mw_rc add_servers(const struct reading *r)
{
	const struct mw_val localhost = { .tag = MW_V_STR, .str = (char[]){ "localhost" } };
	const struct mw_val *hosts = r->hosts != NULL ? r->hosts : &localhost;
	enum mw_rc rc = MW_OK;

	if (hosts->tag == MW_V_STR)
		return add_server(r, hosts);
	for (size_t i = 0; i < hosts->count && rc == MW_OK; i++)
		rc = add_server(r, &hosts->vals[i]);
	return rc;
}

static enum mw_rc take_fields(struct reading *r, const struct mw_val *table)
{
	for (size_t i = 0; table->tag == MW_V_TABLE && i < table->count; i++) {
		size_t f = 0;
		enum mw_rc rc;

		while (f < MW_COUNT(ldap_fields) &&
			strcmp(table->keys[i], ldap_fields[f].name) != 0)
			f++;
		if (f == MW_COUNT(ldap_fields))
			return mw_fail(r->err_r, MW_ERR_CONF,
				"default_ldap.%.60s: this version has no such field",
				table->keys[i]);
		rc = ldap_fields[f].take(r, ldap_fields[f].name, &table->vals[i]);
		if (rc != MW_OK)
			return rc;
	}
	return MW_OK;
}

enum mw_rc db_ldap_conf_read(const struct mw_val *table, struct db_ldap_conf *ldap_r,
	struct db_source_conf *servers_r, struct mw_err *err_r)
{
	struct reading r = { ldap_r, servers_r, NULL, "ldap", 0, err_r };
	enum mw_rc rc;

	*ldap_r = (struct db_ldap_conf){
		.filter = "(&(objectClass=amavisAccount)(mail=%m))",
		.scope = LDAP_SCOPE_SUBTREE,
		.deref = LDAP_DEREF_FINDING,
		.verify = LDAP_OPT_X_TLS_DEMAND,
		.timeout_ms = 120000,
	};
	rc = take_fields(&r, table);
	if (rc == MW_OK)
		rc = find_key_attribute(&r);
	if (rc == MW_OK)
		rc = add_servers(&r);
	return rc;
}
