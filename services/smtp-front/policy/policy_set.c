/* All policies of the settings: banks on top of one another, sockets, and what is no bank's. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "banned_rules.h"
#include "db.h"
#include "db_store.h"
#include "hooks.h"
#include "policy_origin.h"
#include "policy_priv.h"
#include "policy_route.h"

static void copy_text(
	char *dst, size_t size, const struct mw_conf *conf, const char *name, const char *dflt)
{
	const char *s = mw_conf_text(conf, name);

	mw_strlcpy(dst, s != NULL ? s : dflt, size);
}

/* ------------------------------------------------------------------ banks */

/* A policy that lies on another, or the base; in the set already, whatever comes of it. */
static enum mw_rc add_policy(struct policy_set *set, const struct policy *below, const char *bank,
	struct policy **p_r, struct mw_err *err_r)
{
	struct policy *p = calloc(1, sizeof(*p));
	enum mw_rc rc;

	if (p == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for the policies");
	mw_strlcpy(p->bank, bank, sizeof(p->bank));
	p->below = below;
	if (below != NULL) {
		memcpy(p->banks, below->banks, sizeof(p->banks));
		p->bank_count = below->bank_count;
		p->banks[p->bank_count++] = p->bank;
		rc = mw_conf_overlay(below->conf, bank, &p->conf, err_r);
	} else {
		p->conf = mw_conf_ref(set->conf);
		rc = MW_OK;
	}
	if (rc == MW_OK)
		rc = policy_compile(set, p, err_r);
	if (rc != MW_OK) {
		if (p->conf != NULL)
			policy_fini(p);
		mw_conf_destroy(&p->conf);
		free(p);
		return rc;
	}
	*set->last_p = p;
	set->last_p = &p->next;
	set->count++;
	set->bans |= p->bans;
	*p_r = p;
	return MW_OK;
}

bool policy_has_bank(const struct policy_set *set, const char *bank, size_t n)
{
	const struct mw_val *banks = mw_conf_val(set->conf, "policy_bank");
	char name[sizeof(set->base->bank)];

	return n > 0 && mw_strncpy(name, sizeof(name), bank, n) &&
	       mw_val_field(banks, name) != NULL;
}

const struct policy *policy_load(struct policy_set *set, const struct policy *p, const char *bank,
	size_t n, size_t most, struct mw_err *err_r)
{
	struct policy *below = (struct policy *)p,
		      *loaded; /* ours: the set's are not const to us */
	char name[sizeof(p->bank)];

	if (!policy_has_bank(set, bank, n) || !mw_strncpy(name, sizeof(name), bank, n)) {
		mw_fail(err_r, MW_ERR_CONF, "there is no policy bank \"%.*s\"",
			(int)(n < sizeof(name) ? n : sizeof(name) - 1), bank);
		return NULL;
	}
	if (strcmp(p->bank, name) == 0)
		return p;
	for (loaded = p->above; loaded != NULL; loaded = loaded->beside)
		if (strcmp(loaded->bank, name) == 0)
			return loaded;
	if (p->bank_count == POLICY_BANKS_MAX || set->count >= most) {
		mw_fail(err_r, MW_ERR_LIMIT,
			"policy bank \"%s\": more than %d banks on top of one another, or %zu "
			"sequences of banks",
			name, POLICY_BANKS_MAX, most);
		return NULL;
	}
	if (add_policy(set, p, name, &loaded, err_r) != MW_OK)
		return NULL;
	loaded->beside = below->above;
	below->above = loaded;
	return loaded;
}

const struct policy *policy_load_all(
	struct policy_set *set, const struct policy *p, const char *banks, struct mw_err *err_r)
{
	while (p != NULL) {
		size_t n;

		banks += strspn(banks, ", \t");
		n = strcspn(banks, ", \t");
		if (n == 0)
			break;
		p = policy_load(set, p, banks, n, POLICIES_MAX, err_r);
		banks += n;
	}
	return p;
}

bool policy_names_bank(const char *banks, const char *bank)
{
	size_t n;

	for (; *banks != '\0'; banks += n) {
		banks += strspn(banks, ", \t");
		n = strcspn(banks, ", \t");
		if (n == strlen(bank) && strncmp(banks, bank, n) == 0)
			return true;
	}
	return false;
}

/* Each on the base: what is wrong with one is told now. */
static enum mw_rc compile_banks(struct policy_set *set, struct mw_err *err_r)
{
	const struct mw_val *banks = mw_conf_val(set->conf, "policy_bank");
	size_t count = banks->tag == MW_V_TABLE ? banks->count : 0;

	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(banks->keys[i]);

		if (n == 0 || n >= sizeof(set->base->bank) || strcspn(banks->keys[i], ", \t") != n)
			return mw_fail(err_r, MW_ERR_CONF,
				"policy_bank[\"%.80s\"]: a name has 1 to %zu octets, no commas and "
				"no blanks",
				banks->keys[i], sizeof(set->base->bank) - 1);
		if (policy_load(set, set->base, banks->keys[i], n, POLICIES_MAX, err_r) == NULL)
			return MW_ERR_CONF;
	}
	return MW_OK;
}

/* ------------------------------------------------------------------ sockets */

/* What every socket of that kind has: the port of "[address]:port", SOCK of a path. */
static const char *general_key(const char *key)
{
	const char *colon = strrchr(key, ':');

	if (key[0] == '/')
		return "SOCK";
	return colon != NULL ? colon + 1 : NULL;
}

static enum mw_rc compile_ports(struct policy_set *set, struct mw_err *err_r)
{
	const struct mw_val *table = mw_conf_val(set->conf, "interface_policy");

	if (table->tag != MW_V_TABLE)
		return MW_OK;
	set->ports = calloc(table->count + 1, sizeof(*set->ports));
	if (set->ports == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "interface_policy: no memory");
	for (size_t i = 0; i < table->count; i++) {
		const char *general = general_key(table->keys[i]);
		const struct mw_val *first = general != NULL ? mw_val_field(table, general) : NULL;
		struct policy_port *port = &set->ports[set->port_count];
		struct mw_err why = { "" };

		mw_strlcpy(port->key, table->keys[i], sizeof(port->key));
		port->policy = set->base;
		if (first != NULL)
			port->policy =
				policy_load_all(set, set->base, mw_val_text(first, ""), &why);
		if (port->policy != NULL)
			port->policy = policy_load_all(
				set, port->policy, mw_val_text(&table->vals[i], ""), &why);
		if (port->policy == NULL)
			return mw_fail(err_r, MW_ERR_CONF, "interface_policy[\"%s\"]: %s",
				table->keys[i], why.text);
		set->port_count++;
	}
	return MW_OK;
}

/* What mail of any client and user may load on a socket's policy, or the base. */
static enum mw_rc compile_mail(
	struct policy_set *set, const struct policy *socket, struct mw_err *err_r)
{
	static const char users[] = "MYUSERS", ours[] = "MYNETS";
	bool default_pair = socket->client_count == 0 && policy_has_bank(set, ours, strlen(ours));
	size_t count = socket->client_count + default_pair;
	struct mw_err why = { "" };

	for (size_t i = 0; i <= count; i++) {
		const char *banks = i == count		       ? "" /* of no client */
				    : i < socket->client_count ? socket->clients[i].banks
							       : ours;
		const struct policy *p = policy_load_all(set, socket, banks, &why);

		if (p != NULL && policy_banks_compile(set, p, err_r) != MW_OK)
			return MW_ERR_CONF;
		if (p != NULL && policy_has_bank(set, users, strlen(users)))
			p = policy_load_all(set, p, users, &why);
		if (p != NULL && policy_banks_compile(set, p, err_r) != MW_OK)
			return MW_ERR_CONF;
		if (p == NULL)
			return mw_fail(err_r, MW_ERR_CONF, "client_ipaddr_policy, \"%s\": %s",
				banks, why.text);
	}
	return MW_OK;
}

static enum mw_rc compile_mails(struct policy_set *set, struct mw_err *err_r)
{
	enum mw_rc rc = compile_mail(set, set->base, err_r);

	for (size_t i = 0; i < set->port_count && rc == MW_OK; i++)
		rc = compile_mail(set, set->ports[i].policy, err_r);
	return rc;
}

/* ------------------------------------------------------------------ what all have */

static enum mw_rc compile_signers(
	const struct mw_conf *conf, struct policy_set *set, struct mw_err *err_r)
{
	const struct mw_val *keys = mw_conf_val(conf, "dkim_key");

	if (keys->tag != MW_V_TABLE)
		return MW_OK;
	set->signers = calloc(keys->count + 1, sizeof(*set->signers));
	if (set->signers == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "dkim_key: no memory");
	for (size_t i = 0; i < keys->count; i++) {
		struct policy_signer *s = &set->signers[set->signer_count++];

		mw_strlcpy(s->domain, mw_val_text(mw_val_field(&keys->vals[i], "domain"), ""),
			sizeof(s->domain));
		mw_strlcpy(s->selector, mw_val_text(mw_val_field(&keys->vals[i], "selector"), ""),
			sizeof(s->selector));
	}
	return MW_OK;
}

static enum mw_rc compile_mail_dirs(
	const struct mw_conf *conf, struct policy_set *set, struct mw_err *err_r)
{
	const char *const *dirs;
	size_t count = mw_conf_list(conf, "ampdp.mail_dirs", &dirs);

	set->mail_dirs = calloc(count + 1, sizeof(*set->mail_dirs));
	for (size_t i = 0; i < count && set->mail_dirs != NULL; i++) {
		if (dirs[i][0] != '/')
			return mw_fail(err_r, MW_ERR_CONF,
				"ampdp.mail_dirs: \"%s\" is no absolute path", dirs[i]);
		set->mail_dirs[i] = strdup(dirs[i]);
		if (set->mail_dirs[i] == NULL)
			break;
		set->mail_dir_count++;
	}
	return set->mail_dir_count == count
		       ? MW_OK
		       : mw_fail(err_r, MW_ERR_NOMEM, "ampdp.mail_dirs: no memory");
}

static void compile_globals(const struct mw_conf *conf, struct policy_set *set)
{
	char host[256] = "localhost";
	const char *spamd = mw_conf_text(conf, "scanner.spamd");
	const struct mw_val *redis = mw_conf_val(conf, "storage_redis_dsn");
	const char *server = mw_conf_text(conf, "redis.server");

	gethostname(host, sizeof(host) - 1);
	copy_text(set->myhostname, sizeof(set->myhostname), conf, "myhostname", host);
	copy_text(set->altermime, sizeof(set->altermime), conf, "altermime", "");
	copy_text(set->spool_dir, sizeof(set->spool_dir), conf, "front.spool_dir", "/var/tmp");
	set->altermime_timeout_ms = (uint64_t)mw_conf_int(conf, "altermime_timeout") * 1000;
	copy_text(set->quarantine_dir, sizeof(set->quarantine_dir), conf, "QUARANTINEDIR", "");
	set->quarantine_subdirs = mw_conf_int(conf, "quarantine_subdir_levels") > 0;
	set->quarantine_sync = mw_conf_bool(conf, "quarantine.sync");
	set->sql_chunk_octets = (size_t)mw_conf_int(conf, "sql_quarantine_chunksize_max");
	set->partition_tag = (unsigned)mw_conf_int(conf, "partition_tag");
	set->partition_by_week = mw_conf_bool(conf, "quarantine.partition_by_week");
	/* A character is 6 bits: in whole groups of 4. */
	set->mail_id_octets = (unsigned)mw_conf_int(conf, "mail_id_size_bits") / 24 * 3;
	set->check_spam = mw_conf_is_set(conf, "checks.spam") ? mw_conf_bool(conf, "checks.spam")
							      : spamd != NULL && *spamd != '\0';
	set->check_reputation = mw_conf_is_set(conf, "checks.reputation")
					? mw_conf_bool(conf, "checks.reputation")
					: (redis->tag == MW_V_TABLE && redis->count > 0) ||
						  (server != NULL && *server != '\0');
	set->auth_timeout_ms = (uint64_t)mw_conf_int(conf, "checks.auth_timeout") * 1000;
	set->delivery_reserve_percent = (unsigned)mw_conf_int(conf, "checks.delivery_reserve");
	set->loaded_ms = mw_wall_ms();
	set->decisions_recipients = (size_t)mw_conf_int(conf, "decisions.recipients");
}

/* ------------------------------------------------------------------ the set */

static bool keeps_in_sql(const struct policy_set *set)
{
	for (const struct policy *p = set->base; p != NULL; p = p->next)
		if (policy_keeps(p, QUARANTINE_SQL))
			return true;
	return false;
}

enum mw_rc policy_set_new(
	const struct mw_conf *conf, struct policy_set **set_r, struct mw_err *err_r)
{
	struct policy_set *set = calloc(1, sizeof(*set));
	struct mw_lookup_limits limits = mw_lookup_limits_of(conf);
	enum mw_rc rc;

	if (set == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for the policies");
	set->refs = 1;
	set->last_p = &set->base;
	set->conf = mw_conf_ref(conf);
	compile_globals(conf, set);
	set->files = mw_lookup_files_new(&limits);
	rc = set->files != NULL ? banned_rules_new(set, &set->banned_rules, err_r)
				: mw_fail(err_r, MW_ERR_NOMEM, "no memory for the policies");
	if (rc == MW_OK)
		rc = add_policy(set, NULL, "", &set->base, err_r);
	if (rc == MW_OK)
		rc = compile_banks(set, err_r);
	if (rc == MW_OK)
		rc = db_settings_check(conf, err_r);
	if (rc == MW_OK)
		rc = db_store_settings_check(conf, keeps_in_sql(set), err_r);
	if (rc == MW_OK)
		rc = policy_sockets_compile(set, err_r);
	if (rc == MW_OK)
		rc = compile_ports(set, err_r);
	if (rc == MW_OK)
		rc = compile_mails(set, err_r);
	for (const struct policy *p = set->base; rc == MW_OK && p != NULL; p = p->next)
		set->dns_lists |= p->dns_lists > 0;
	if (rc == MW_OK)
		rc = compile_signers(conf, set, err_r);
	if (rc == MW_OK)
		rc = compile_mail_dirs(conf, set, err_r);
	if (rc == MW_OK)
		rc = policy_tls_open(conf, set, err_r);
	if (rc == MW_OK)
		rc = hooks_new(conf, &set->hooks, err_r);
	if (rc != MW_OK)
		policy_set_unref(&set);
	*set_r = set;
	return rc;
}

struct policy_set *policy_set_ref(struct policy_set *set)
{
	set->refs++;
	return set;
}

/* Whatever lies on another goes first: it shares what is below. */
static void destroy_policies(struct policy_set *set)
{
	struct policy *turned = NULL, *next;

	for (struct policy *p = set->base; p != NULL; p = next) {
		next = p->next;
		p->next = turned;
		turned = p;
	}
	for (; turned != NULL; turned = next) {
		next = turned->next;
		policy_fini(turned);
		mw_conf_destroy(&turned->conf);
		free(turned);
	}
}

void policy_set_unref(struct policy_set **set_p)
{
	struct policy_set *set = *set_p;

	*set_p = NULL;
	if (set == NULL || --set->refs > 0)
		return;
	destroy_policies(set);
	banned_rules_destroy(&set->banned_rules);
	policy_routes_destroy(&set->routes);
	hooks_destroy(&set->hooks);
	mw_lookup_files_destroy(&set->files);
	for (size_t i = 0; i < set->mail_dir_count; i++)
		free(set->mail_dirs[i]);
	free(set->mail_dirs);
	free(set->ports);
	free(set->sockets);
	free(set->signers);
	policy_origins_destroy(&set->origins);
	mw_tls_ctx_unref(&set->tls_in);
	mw_tls_ctx_unref(&set->tls_out);
	mw_conf_destroy(&set->conf);
	free(set);
}

const struct policy *policy_for_socket(
	const struct policy_set *set, const char *address, unsigned port)
{
	char whole[128], number[8] = "SOCK";
	const char *keys[2] = { whole, number };

	if (address[0] == '/') {
		mw_strlcpy(whole, address, sizeof(whole));
	} else {
		snprintf(whole, sizeof(whole), "[%s]:%u", address, port);
		snprintf(number, sizeof(number), "%u", port);
	}
	for (size_t k = 0; k < MW_COUNT(keys); k++)
		for (size_t i = 0; i < set->port_count; i++)
			if (strcmp(set->ports[i].key, keys[k]) == 0)
				return set->ports[i].policy;
	return set->base;
}

const struct policy_signer *policy_signer_for(const struct policy_set *set, const char *address)
{
	const char *at = strrchr(address, '@');

	for (size_t i = 0; at != NULL && i < set->signer_count; i++)
		if (strcasecmp(set->signers[i].domain, at + 1) == 0)
			return &set->signers[i];
	return NULL;
}
