/* LDAP. Asks what db_ldap_conf.c has read; the only other file that knows libldap. */
#include "db_priv.h"

#include <ldap.h>
#include <stdlib.h>
#include <sys/time.h>

#define SLICE_MS 200 /* how soon a wait sees that it is not wanted any more */
#define ATTRIBUTES_MAX 80

struct ldap_conn {
	LDAP *ld;
	const struct db_conf *conf;
};

void db_ldap_library_open(void)
{
	int version = 0;

	/* The first call sets up the library's globals: not from two threads at once. */
	ldap_get_option(NULL, LDAP_OPT_PROTOCOL_VERSION, &version);
}

/* ------------------------------------------------------------------ filter and base */

/* RFC 4515 section 3: what would end or open something in a filter. */
static void add_filter_value(struct mw_text *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (strchr("*()\\", *s) != NULL || (unsigned char)*s < ' ')
			mw_text_addf(out, "\\%02x", (unsigned char)*s);
		else
			mw_text_add_octets(out, s, 1);
	}
}

/* RFC 4514 section 2.4: as part of a distinguished name. */
static void add_dn_value(struct mw_text *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (strchr("\"+,;<>\\#= /", *s) != NULL || (unsigned char)*s < ' ')
			mw_text_addf(out, "\\%02x", (unsigned char)*s);
		else
			mw_text_add_octets(out, s, 1);
	}
}

/* "(mail=%m)" becomes "(|(mail=key)(mail=key)...)". */
static void make_filter(const struct db_ldap_conf *l, const struct db_keys *k, struct mw_text *out)
{
	const char *mark = strstr(l->filter, "=%m)");
	const char *open = mark - strlen(l->key_attribute) - 1;

	mw_text_add_octets(out, l->filter, (size_t)(open - l->filter));
	mw_text_add(out, "(|");
	for (size_t i = 0; i < k->count; i++) {
		/* An empty assertion is no filter; nothing has an empty address. */
		if (*k->keys[i] == '\0')
			continue;
		mw_text_addf(out, "(%s=", l->key_attribute);
		add_filter_value(out, k->keys[i]);
		mw_text_add(out, ")");
	}
	mw_text_add(out, ")");
	mw_text_add(out, mark + 4);
}

static void make_base(const struct db_ldap_conf *l, const struct db_keys *k, struct mw_text *out)
{
	const char *p = l->base, *mark;

	for (; (mark = strstr(p, "%d")) != NULL; p = mark + 2) {
		mw_text_add_octets(out, p, (size_t)(mark - p));
		add_dn_value(out, k->domain);
	}
	mw_text_add(out, p);
}

/* ------------------------------------------------------------------ errors */

static enum mw_rc failed(int code, const struct db_limit *limit, struct mw_err *err_r)
{
	enum mw_rc rc = MW_ERR_PROTO;

	switch (code) {
	case LDAP_TIMEOUT:
	case LDAP_TIMELIMIT_EXCEEDED:
		rc = MW_ERR_TIMEOUT;
		break;
	case LDAP_SERVER_DOWN:
	case LDAP_CONNECT_ERROR:
	case LDAP_BUSY:
	case LDAP_UNAVAILABLE:
	case LDAP_INVALID_CREDENTIALS:
	case LDAP_LOCAL_ERROR:
	case LDAP_ENCODING_ERROR:
	case LDAP_DECODING_ERROR:
		rc = db_limit_over(limit) ? MW_ERR_TIMEOUT : MW_ERR_GONE;
		break;
	case LDAP_SIZELIMIT_EXCEEDED:
	case LDAP_ADMINLIMIT_EXCEEDED:
		rc = MW_ERR_LIMIT;
		break;
	case LDAP_NO_MEMORY:
		rc = MW_ERR_NOMEM;
		break;
	default:
		break;
	}
	return mw_fail(err_r, rc, "%.300s", ldap_err2string(code));
}

/* The next answer to id, or to any part of it. The caller frees it. */
static enum mw_rc wait_answer(struct ldap_conn *c, int id, int whole, LDAPMessage **answer_r,
	const struct db_limit *limit, struct mw_err *err_r)
{
	for (;;) {
		int left = db_limit_left_ms(limit, SLICE_MS), got, code = LDAP_OTHER;
		struct timeval tv = { .tv_usec = left * 1000 };

		if (left == 0)
			return mw_fail(err_r, MW_ERR_TIMEOUT, "no answer in time");
		got = ldap_result(c->ld, id, whole, &tv, answer_r);
		if (got > 0)
			return MW_OK;
		if (got < 0) {
			ldap_get_option(c->ld, LDAP_OPT_RESULT_CODE, &code);
			return failed(code, limit, err_r);
		}
	}
}

/* ------------------------------------------------------------------ connecting */

static bool set_tls(LDAP *ld, const struct db_ldap_conf *l)
{
	const struct {
		int option;
		const char *value;
	} texts[] = {
		{ LDAP_OPT_X_TLS_CACERTFILE, l->ca_file },
		{ LDAP_OPT_X_TLS_CACERTDIR, l->ca_path },
		{ LDAP_OPT_X_TLS_CERTFILE, l->cert },
		{ LDAP_OPT_X_TLS_KEYFILE, l->key },
	};
	int server_side = 0;

	for (size_t i = 0; i < MW_COUNT(texts); i++)
		if (texts[i].value[0] != '\0' &&
			ldap_set_option(ld, texts[i].option, texts[i].value) != LDAP_OPT_SUCCESS)
			return false;
	if (ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &l->verify) != LDAP_OPT_SUCCESS)
		return false;
	if (l->protocol_least != 0 && ldap_set_option(ld, LDAP_OPT_X_TLS_PROTOCOL_MIN,
					      &l->protocol_least) != LDAP_OPT_SUCCESS)
		return false;
	return ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &server_side) == LDAP_OPT_SUCCESS;
}

static bool set_options(LDAP *ld, const struct db_ldap_conf *l, const struct db_dsn *dsn,
	const struct db_limit *limit)
{
	int version = LDAP_VERSION3, left = db_limit_left_ms(limit, INT32_MAX);
	struct timeval tv = { left / 1000, left % 1000 * 1000 };

	return ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &tv) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ld, LDAP_OPT_TIMEOUT, &tv) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ld, LDAP_OPT_DEREF, &l->deref) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_ON) == LDAP_OPT_SUCCESS &&
	       ((!l->start_tls && strncmp(dsn->database, "ldaps:", 6) != 0) || set_tls(ld, l));
}

/* Also without a name: it is what connects. */
static enum mw_rc bind_name(struct ldap_conn *c, const struct db_limit *limit, struct mw_err *err_r)
{
	const struct db_ldap_conf *l = &c->conf->ldap;
	struct berval password = { strlen(l->bind_password),
		(char *)(uintptr_t)l->bind_password }; /* the library's API has no const */
	LDAPMessage *answer = NULL;
	int id = 0, code;
	enum mw_rc rc;

	code = ldap_sasl_bind(c->ld, l->bind_dn, LDAP_SASL_SIMPLE, &password, NULL, NULL, &id);
	if (code != LDAP_SUCCESS)
		return failed(code, limit, err_r);
	rc = wait_answer(c, id, LDAP_MSG_ALL, &answer, limit, err_r);
	if (rc != MW_OK)
		return rc;
	if (ldap_parse_result(c->ld, answer, &code, NULL, NULL, NULL, NULL, 1) != LDAP_SUCCESS)
		code = LDAP_DECODING_ERROR;
	return code == LDAP_SUCCESS ? MW_OK : failed(code, limit, err_r);
}

static void dir_close(void **conn_p)
{
	struct ldap_conn *c = *conn_p;

	*conn_p = NULL;
	ldap_unbind_ext_s(c->ld, NULL, NULL);
	free(c);
}

static enum mw_rc dir_connect(const struct db_conf *conf, const struct db_dsn *dsn,
	const struct db_limit *limit, void **conn_r, struct mw_err *err_r)
{
	struct ldap_conn *c = calloc(1, sizeof(*c));
	enum mw_rc rc = MW_OK;
	int code;

	if (c == NULL)
		return MW_ERR_NOMEM;
	c->conf = conf;
	code = ldap_initialize(&c->ld, dsn->database);
	if (code != LDAP_SUCCESS) {
		free(c);
		return failed(code, limit, err_r);
	}
	if (!set_options(c->ld, &conf->ldap, dsn, limit))
		rc = mw_fail(err_r, MW_ERR_GONE, "its options, or files of TLS, cannot be used");
	if (rc == MW_OK && conf->ldap.start_tls) {
		code = ldap_start_tls_s(c->ld, NULL, NULL);
		rc = code == LDAP_SUCCESS ? MW_OK : failed(code, limit, err_r);
	}
	if (rc == MW_OK)
		rc = bind_name(c, limit, err_r);
	*conn_r = c;
	if (rc != MW_OK)
		dir_close(conn_r);
	return rc;
}

static int dir_socket(void *conn)
{
	int fd = -1;

	ldap_get_option(((struct ldap_conn *)conn)->ld, LDAP_OPT_DESC, &fd);
	return fd;
}

static bool dir_usable(void *conn)
{
	(void)conn;
	return true;
}

/* ------------------------------------------------------------------ one search */

/* Place of the best of the entry's addresses among the keys: entries are sorted by it. */
static unsigned rank_of(
	LDAP *ld, LDAPMessage *entry, const char *attribute, const struct db_keys *k)
{
	struct berval **values = ldap_get_values_len(ld, entry, attribute);
	unsigned best = (unsigned)k->count;

	for (size_t v = 0; values != NULL && values[v] != NULL; v++)
		for (unsigned i = 0; i < best; i++)
			if (mw_octets_ieq(
				    mw_octets_of(values[v]->bv_val, values[v]->bv_len), k->keys[i]))
				best = i;
	ldap_value_free_len(values);
	return best;
}

static size_t count_values(LDAP *ld, LDAPMessage *entry)
{
	BerElement *at = NULL;
	size_t count = 0;

	for (char *name = ldap_first_attribute(ld, entry, &at); name != NULL;
		name = ldap_next_attribute(ld, entry, at)) {
		struct berval **values = ldap_get_values_len(ld, entry, name);

		count += (size_t)ldap_count_values_len(values);
		ldap_value_free_len(values);
		ldap_memfree(name);
	}
	ber_free(at, 0);
	return count;
}

static enum mw_rc put_values(LDAP *ld, LDAPMessage *entry, const char *name, struct db_records *r)
{
	struct berval **values = ldap_get_values_len(ld, entry, name);
	enum mw_rc rc = MW_OK;

	for (size_t i = 0; values != NULL && values[i] != NULL && rc == MW_OK; i++)
		rc = db_records_put(r, name, values[i]->bv_val, values[i]->bv_len);
	ldap_value_free_len(values);
	return rc;
}

static enum mw_rc put_entry(LDAP *ld, LDAPMessage *entry, struct db_records *r)
{
	enum mw_rc rc = db_records_add(r, DB_LDAP, count_values(ld, entry));
	BerElement *at = NULL;

	for (char *name = ldap_first_attribute(ld, entry, &at); name != NULL;
		name = ldap_next_attribute(ld, entry, at)) {
		if (rc == MW_OK)
			rc = put_values(ld, entry, name, r);
		ldap_memfree(name);
	}
	ber_free(at, 0);
	return rc;
}

static enum mw_rc take_entries(
	struct ldap_conn *c, LDAPMessage *answer, const struct db_item *item, struct mw_err *err_r)
{
	struct db_records *r = item->records;
	size_t first = r->count;
	int count = ldap_count_entries(c->ld, answer);
	unsigned *ranks = calloc((size_t)(count > 0 ? count : 1), sizeof(*ranks));
	enum mw_rc rc = ranks != NULL ? MW_OK : MW_ERR_NOMEM;

	for (LDAPMessage *e = ldap_first_entry(c->ld, answer); e != NULL && rc == MW_OK;
		e = ldap_next_entry(c->ld, e)) {
		rc = put_entry(c->ld, e, r);
		if (rc == MW_OK)
			ranks[r->count - 1 - first] = rank_of(
				c->ld, e, c->conf->ldap.key_attribute, &item->keys[DB_LDAP]);
	}
	if (rc == MW_OK)
		db_records_sort(r, first, ranks);
	else if (rc == MW_ERR_LIMIT)
		mw_fail(err_r, rc, "an answer of %d entries is too large", count);
	free(ranks);
	return rc;
}

/* What is wanted of an entry: the attributes that some setting has, and the address. */
static void list_attributes(const struct db_ldap_conf *l, char **names)
{
	size_t count = 0;

	names[count++] = (char *)(uintptr_t)l->key_attribute; /* the library's API has no const */
	for (size_t i = 0; i < db_field_count && count < ATTRIBUTES_MAX; i++)
		if (db_fields[i].attribute != NULL)
			names[count++] = (char *)(uintptr_t)db_fields[i].attribute;
	names[count] = NULL;
}

static enum mw_rc search(struct ldap_conn *c, const struct db_item *item,
	const struct db_limit *limit, const char *base, const char *filter, struct mw_err *err_r)
{
	const struct db_ldap_conf *l = &c->conf->ldap;
	int left = db_limit_left_ms(limit, INT32_MAX), id = 0, code;
	struct timeval tv = { left / 1000 + 1, 0 };
	char *names[ATTRIBUTES_MAX + 1];
	LDAPMessage *answer = NULL;
	enum mw_rc rc;

	list_attributes(l, names);
	code = ldap_search_ext(
		c->ld, base, l->scope, filter, names, 0, NULL, NULL, &tv, DB_RECORDS_MAX, &id);
	if (code != LDAP_SUCCESS)
		return failed(code, limit, err_r);
	rc = wait_answer(c, id, LDAP_MSG_ALL, &answer, limit, err_r);
	if (rc != MW_OK)
		return rc;
	if (ldap_parse_result(c->ld, answer, &code, NULL, NULL, NULL, NULL, 0) != LDAP_SUCCESS)
		code = LDAP_DECODING_ERROR;
	if (code == LDAP_SUCCESS)
		rc = take_entries(c, answer, item, err_r);
	else if (code != LDAP_NO_SUCH_OBJECT) /* no branch for that domain: nothing is known */
		rc = failed(code, limit, err_r);
	ldap_msgfree(answer);
	return rc;
}

static enum mw_rc ask_one(struct ldap_conn *c, const struct db_item *item,
	const struct db_limit *limit, struct mw_err *err_r)
{
	struct mw_text base = { 0 }, filter = { 0 };
	enum mw_rc rc = MW_ERR_NOMEM;

	make_base(&c->conf->ldap, &item->keys[DB_LDAP], &base);
	make_filter(&c->conf->ldap, &item->keys[DB_LDAP], &filter);
	if (!base.failed && !filter.failed)
		rc = search(c, item, limit, base.p != NULL ? base.p : "", filter.p, err_r);
	mw_text_fini(&base);
	mw_text_fini(&filter);
	return rc;
}

static enum mw_rc dir_ask(void *conn, struct db_item *const *items, size_t count,
	const struct db_limit *limit, struct mw_err *err_r)
{
	struct ldap_conn *c = conn;
	struct db_limit own = *limit;
	enum mw_rc rc = MW_OK;

	if (own.until_ms > mw_mono_ms() + c->conf->ldap.timeout_ms)
		own.until_ms = mw_mono_ms() + c->conf->ldap.timeout_ms;
	for (size_t i = 0; i < count && rc == MW_OK; i++)
		rc = db_limit_over(&own) ? MW_ERR_TIMEOUT : ask_one(c, items[i], &own, err_r);
	return rc;
}

const struct db_backend db_backend_ldap = {
	.connect = dir_connect,
	.socket = dir_socket,
	.usable = dir_usable,
	.ask = dir_ask,
	.close = dir_close,
};
