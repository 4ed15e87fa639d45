#include "policy_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "text.h"

static void copy_text(
	char *dst, size_t size, const struct mw_conf *conf, const char *name, const char *dflt)
{
	const char *s = mw_conf_text(conf, name);

	mw_strlcpy(dst, s != NULL ? s : dflt, size);
}

static enum mw_rc compile_destiny(const struct mw_conf *conf, const char *bank, const char *name,
	enum mw_destiny *d_r, struct mw_err *err_r)
{
	int64_t v = mw_conf_int(conf, name);

	if (v == MW_D_BOUNCE)
		return mw_fail(err_r, MW_ERR_CONF,
			"%s%s%s = D_BOUNCE: this version sends no bounces; use D_REJECT, "
			"D_DISCARD, "
			"D_TEMPFAIL or D_PASS",
			bank, *bank != '\0' ? ": " : "", name);
	*d_r = (enum mw_destiny)v;
	return MW_OK;
}

static const struct {
	const char *name;
	size_t field;
} policy_maps[] = {
	{ "local_domains_maps", offsetof(struct policy, local_domains) },
	{ "bypass_virus_checks_maps", offsetof(struct policy, bypass_virus) },
	{ "bypass_spam_checks_maps", offsetof(struct policy, bypass_spam) },
	{ "bypass_banned_checks_maps", offsetof(struct policy, bypass_banned) },
	{ "bypass_header_checks_maps", offsetof(struct policy, bypass_header) },
	{ "inet_acl", offsetof(struct policy, acl) },
};

static struct mw_lookup **maps_field(struct policy *p, size_t i)
{
	return (struct mw_lookup **)(void *)((char *)p + policy_maps[i].field);
}

/* What a bank does not set it has from the base: the same tables, unless it reads addresses
 * otherwise. */
static bool shares_tables(const struct mw_conf *conf, const struct mw_lookup_options *o,
	const struct mw_conf *base, const struct mw_lookup_options *base_o)
{
	const char *d = o->delimiters != NULL ? o->delimiters : "";
	const char *base_d = base_o->delimiters != NULL ? base_o->delimiters : "";

	return mw_conf_val(conf, o->name) == mw_conf_val(base, o->name) &&
	       o->case_sensitive == base_o->case_sensitive && strcmp(d, base_d) == 0;
}

static enum mw_rc compile_maps(const struct mw_conf *conf, const struct mw_conf *base,
	const struct policy_set *set, struct policy *p, struct mw_err *err_r)
{
	enum mw_rc rc = MW_OK;

	for (size_t i = 0; i < MW_COUNT(policy_maps) && rc == MW_OK; i++) {
		const char *name = policy_maps[i].name;
		struct mw_lookup_options o = mw_lookup_options_of(conf, name, set->files);
		struct mw_lookup_options base_o = mw_lookup_options_of(base, name, set->files);

		if (p != &set->policies[0] && shares_tables(conf, &o, base, &base_o))
			*maps_field(p, i) = mw_lookup_ref(*maps_field(&set->policies[0], i));
		else
			rc = mw_lookup_new(mw_conf_val(conf, name), &o, maps_field(p, i), err_r);
	}
	return rc;
}

/* Which of words a text setting names, whatever its case. */
static enum mw_rc compile_word(const struct mw_conf *conf, const char *name,
	const char *const *words, size_t count, unsigned *i_r, struct mw_err *err_r)
{
	const char *s = mw_conf_text(conf, name);
	struct mw_text all = { 0 };

	for (unsigned i = 0; i < count; i++) {
		if (strcasecmp(s != NULL ? s : "", words[i]) == 0) {
			*i_r = i;
			mw_text_fini(&all);
			return MW_OK;
		}
		mw_text_addf(&all, "%s\"%s\"", i > 0 ? ", " : "", words[i]);
	}
	mw_fail(err_r, MW_ERR_CONF, "%s = \"%s\": expected one of %s", name, s,
		all.p != NULL ? all.p : "");
	mw_text_fini(&all);
	return MW_ERR_CONF;
}

static enum mw_rc compile_offers(const struct mw_conf *conf, struct policy *p, struct mw_err *err_r)
{
	const char *const *words;
	size_t count = mw_conf_list(conf, "smtpd_discard_ehlo_keywords", &words);

	p->offers = SMTP_OFFERS_ALL;
	for (size_t i = 0; i < count; i++) {
		enum smtp_offer o = smtp_offer_named(words[i]);

		if (o == SMTP_OFFERS_COUNT)
			return mw_fail(err_r, MW_ERR_CONF,
				"smtpd_discard_ehlo_keywords: \"%s\" is no keyword that EHLO "
				"offers",
				words[i]);
		p->offers &= ~MW_BIT(o);
	}
	if ((p->offers & MW_BIT(SMTP_OFFERS_8BITMIME)) == 0)
		p->offers &= ~MW_BIT(SMTP_OFFERS_SMTPUTF8); /* RFC 6531 section 3.1: it needs it */
	return MW_OK;
}

static enum mw_rc compile_intake(const struct mw_conf *conf, struct policy *p, struct mw_err *err_r)
{
	static const char *const protocols[] = { "", "SMTP", "LMTP", "AM.PDP" },
				 *const newlines[] = { "reject", "normalise", "pass" };
	unsigned protocol = 0, newline = 0;
	enum mw_rc rc =
		compile_word(conf, "protocol", protocols, MW_COUNT(protocols), &protocol, err_r);

	if (rc == MW_OK)
		rc = compile_word(
			conf, "bare_newline", newlines, MW_COUNT(newlines), &newline, err_r);
	p->protocol = (enum policy_protocol)protocol;
	p->bare_newline = (enum policy_newline)newline;
	return rc == MW_OK ? compile_offers(conf, p, err_r) : rc;
}

/* An empty list is forward_method's. */
static enum mw_rc compile_route(
	const struct mw_conf *conf, const char *name, struct next_hops *to, struct mw_err *err_r)
{
	const char *const *methods;

	to->count = mw_conf_list(conf, name, &methods);
	if (to->count == 0)
		to->count = mw_conf_list(conf, "forward_method", &methods);
	to->hop = calloc(to->count, sizeof(*to->hop));
	if (to->hop == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "%s: no memory", name);
	return next_hops_parse(name, methods, to->count, to->hop, err_r);
}

static enum mw_rc compile_hops(const struct mw_conf *conf, struct policy *p, struct mw_err *err_r)
{
	enum mw_rc rc = compile_route(conf, "forward_method", &p->forward, err_r);

	if (rc == MW_OK)
		rc = compile_route(conf, "release_method", &p->release, err_r);
	return rc == MW_OK ? compile_route(conf, "requeue_method", &p->requeue, err_r) : rc;
}

/* Quarantine by now is one gzip file a mail: local:NAME%m.gz. */
static enum mw_rc compile_quarantine(
	const struct mw_conf *conf, const char *name, char *dst, size_t size, struct mw_err *err_r)
{
	const char *s = mw_conf_text(conf, name);
	size_t n = s != NULL ? strlen(s) : 0;

	dst[0] = '\0';
	if (n == 0)
		return MW_OK;
	if (strncmp(s, "local:", 6) != 0 || n < 12 || strcmp(s + n - 3, ".gz") != 0 ||
		strstr(s, "%m") == NULL || strchr(s, '/') != NULL)
		return mw_fail(err_r, MW_ERR_CONF,
			"%s = \"%s\": expected local:NAME with %%m in it, ending in .gz", name, s);
	mw_strlcpy(dst, s + 6, size);
	return MW_OK;
}

static void compile_scores(const struct mw_conf *conf, struct policy *p)
{
	p->tag_milli = (int32_t)mw_conf_int(conf, "sa_tag_level_deflt");
	p->tag2_milli = (int32_t)mw_conf_int(conf, "sa_tag2_level_deflt");
	p->kill_milli = (int32_t)mw_conf_int(conf, "sa_kill_level_deflt");
	p->ip_repu = mw_conf_bool(conf, "enable_ip_repu");
	p->ip_repu_limit_milli = (int32_t)mw_conf_int(conf, "ip_repu_score_limit");
	p->penpals_bonus_milli = (int32_t)mw_conf_int(conf, "penpals_bonus_score");
	p->penpals_halflife_s = (uint64_t)mw_conf_int(conf, "penpals_halflife");
	p->penpals_threshold_low_milli = (int32_t)mw_conf_int(conf, "penpals_threshold_low");
}

static void compile_texts(
	const struct mw_conf *conf, const struct policy_set *set, struct policy *p)
{
	char line[256];

	copy_text(p->localhost_name, sizeof(p->localhost_name), conf, "localhost_name",
		set->myhostname);
	copy_text(p->authserv_id, sizeof(p->authserv_id), conf, "myauthservid", set->myhostname);
	copy_text(
		p->x_header_tag, sizeof(p->x_header_tag), conf, "X_HEADER_TAG", "X-Virus-Scanned");
	snprintf(line, sizeof(line), "mailweir at %.200s", set->myhostname);
	copy_text(p->x_header_line, sizeof(p->x_header_line), conf, "X_HEADER_LINE", line);
	copy_text(p->level_char, sizeof(p->level_char), conf, "sa_spam_level_char", "");
}

static enum mw_rc compile_policy(const struct mw_conf *conf, const struct mw_conf *base,
	const struct policy_set *set, const char *bank, struct policy *p, struct mw_err *err_r)
{
	enum mw_rc rc;

	mw_strlcpy(p->bank, bank, sizeof(p->bank));
	p->originating = mw_conf_bool(conf, "originating");
	p->bypass_decode_parts = mw_conf_bool(conf, "bypass_decode_parts");
	p->virus_failure_fatal = mw_conf_bool(conf, "virus_scanners_failure_is_fatal");
	p->auth_required_release = mw_conf_bool(conf, "auth_required_release");
	p->spam_failure_fatal = mw_conf_bool(conf, "spam_scanners_failure_is_fatal");
	p->dkim_verify = mw_conf_bool(conf, "enable_dkim_verification");
	p->dkim_sign = mw_conf_bool(conf, "enable_dkim_signing");
	p->message_size_limit = (uint64_t)mw_conf_int(conf, "smtpd_message_size_limit");
	p->recipient_limit = (unsigned)mw_conf_int(conf, "smtpd_recipient_limit");
	p->smtpd_timeout_ms = (uint64_t)mw_conf_int(conf, "smtpd_timeout") * 1000;
	p->child_timeout_ms = (uint64_t)mw_conf_int(conf, "child_timeout") * 1000;
	compile_scores(conf, p);
	compile_texts(conf, set, p);
	if ((rc = compile_destiny(conf, bank, "final_virus_destiny", &p->virus_destiny, err_r)) !=
			MW_OK ||
		(rc = compile_destiny(conf, bank, "final_spam_destiny", &p->spam_destiny, err_r)) !=
			MW_OK ||
		(rc = compile_destiny(conf, bank, "final_unchecked_destiny", &p->unchecked_destiny,
			 err_r)) != MW_OK ||
		(rc = compile_maps(conf, base, set, p, err_r)) != MW_OK ||
		(rc = compile_intake(conf, p, err_r)) != MW_OK ||
		(rc = compile_hops(conf, p, err_r)) != MW_OK ||
		(rc = policy_tls_levels(conf, bank, p, err_r)) != MW_OK ||
		(rc = compile_quarantine(conf, "virus_quarantine_method", p->virus_quarantine,
			 sizeof(p->virus_quarantine), err_r)) != MW_OK ||
		(rc = compile_quarantine(conf, "spam_quarantine_method", p->spam_quarantine,
			 sizeof(p->spam_quarantine), err_r)) != MW_OK)
		return rc;
	return compile_quarantine(conf, "unchecked_quarantine_method", p->unchecked_quarantine,
		sizeof(p->unchecked_quarantine), err_r);
}

static enum mw_rc compile_ports(
	const struct mw_conf *conf, struct policy_set *set, struct mw_err *err_r)
{
	const struct mw_val *table = mw_conf_val(conf, "interface_policy");

	if (table->tag != MW_V_TABLE)
		return MW_OK;
	set->ports = calloc(table->count + 1, sizeof(*set->ports));
	if (set->ports == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "interface_policy: no memory");
	for (size_t i = 0; i < table->count; i++) {
		const char *bank = mw_val_text(&table->vals[i], "");
		struct policy_port *port = &set->ports[set->port_count];

		for (size_t p = 0; p < set->count; p++)
			if (strcmp(set->policies[p].bank, bank) == 0)
				port->policy = &set->policies[p];
		if (port->policy == NULL)
			return mw_fail(err_r, MW_ERR_CONF,
				"interface_policy[\"%s\"] names no known bank: \"%s\"",
				table->keys[i], bank);
		mw_strlcpy(port->key, table->keys[i], sizeof(port->key));
		set->port_count++;
	}
	return MW_OK;
}

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
	copy_text(set->quarantine_dir, sizeof(set->quarantine_dir), conf, "QUARANTINEDIR", "");
	set->check_spam = mw_conf_is_set(conf, "checks.spam") ? mw_conf_bool(conf, "checks.spam")
							      : spamd != NULL && *spamd != '\0';
	set->check_reputation = mw_conf_is_set(conf, "checks.reputation")
					? mw_conf_bool(conf, "checks.reputation")
					: (redis->tag == MW_V_TABLE && redis->count > 0) ||
						  (server != NULL && *server != '\0');
	set->delivery_reserve_percent = (unsigned)mw_conf_int(conf, "checks.delivery_reserve");
}

enum mw_rc policy_set_new(
	const struct mw_conf *conf, struct policy_set **set_r, struct mw_err *err_r)
{
	const struct mw_val *banks = mw_conf_val(conf, "policy_bank");
	size_t bank_count = banks->tag == MW_V_TABLE ? banks->count : 0;
	struct policy_set *set = calloc(1, sizeof(*set));
	struct mw_lookup_limits limits;
	enum mw_rc rc;

	if (set == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for the policies");
	set->refs = 1;
	compile_globals(conf, set);
	set->policies = calloc(bank_count + 1, sizeof(*set->policies));
	limits = mw_lookup_limits_of(conf);
	set->files = mw_lookup_files_new(&limits);
	rc = set->policies != NULL && set->files != NULL
		     ? compile_policy(conf, conf, set, "", &set->policies[set->count++], err_r)
		     : mw_fail(err_r, MW_ERR_NOMEM, "no memory for the policies");
	for (size_t i = 0; i < bank_count && rc == MW_OK; i++)
		rc = compile_policy(mw_conf_bank(conf, banks->keys[i]), conf, set, banks->keys[i],
			&set->policies[set->count++], err_r);
	if (rc == MW_OK)
		rc = compile_ports(conf, set, err_r);
	if (rc == MW_OK)
		rc = compile_signers(conf, set, err_r);
	if (rc == MW_OK)
		rc = compile_mail_dirs(conf, set, err_r);
	if (rc == MW_OK)
		rc = policy_tls_open(conf, set, err_r);
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

void policy_set_unref(struct policy_set **set_p)
{
	struct policy_set *set = *set_p;

	*set_p = NULL;
	if (set == NULL || --set->refs > 0)
		return;
	for (size_t i = 0; i < set->count; i++) {
		struct policy *p = &set->policies[i];

		for (size_t m = 0; m < MW_COUNT(policy_maps); m++)
			mw_lookup_unref(maps_field(p, m));
		free(p->forward.hop);
		free(p->release.hop);
		free(p->requeue.hop);
	}
	mw_lookup_files_destroy(&set->files);
	for (size_t i = 0; i < set->mail_dir_count; i++)
		free(set->mail_dirs[i]);
	free(set->mail_dirs);
	free(set->policies);
	free(set->ports);
	free(set->signers);
	mw_tls_ctx_unref(&set->tls_in);
	mw_tls_ctx_unref(&set->tls_out);
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
	return &set->policies[0];
}

const struct policy *policy_named(const struct policy_set *set, const char *bank, size_t n)
{
	for (size_t i = 1; i < set->count; i++) /* [0] is the base, which has no name */
		if (strlen(set->policies[i].bank) == n &&
			memcmp(set->policies[i].bank, bank, n) == 0)
			return &set->policies[i];
	return NULL;
}

const struct policy_signer *policy_signer_for(const struct policy_set *set, const char *address)
{
	const char *at = strrchr(address, '@');

	for (size_t i = 0; at != NULL && i < set->signer_count; i++)
		if (strcasecmp(set->signers[i].domain, at + 1) == 0)
			return &set->signers[i];
	return NULL;
}
