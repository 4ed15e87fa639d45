#include "policy_priv.h"

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

/* Tables of lookups, each in its field. */
static const struct {
	const char *name;
	size_t field;
} policy_maps[] = {
	{ "local_domains_maps", offsetof(struct policy, local_domains) },
	{ "bypass_virus_checks_maps", offsetof(struct policy, bypass_virus) },
	{ "bypass_spam_checks_maps", offsetof(struct policy, bypass_spam) },
	{ "bypass_banned_checks_maps", offsetof(struct policy, bypass_banned) },
	{ "bypass_header_checks_maps", offsetof(struct policy, bypass_header) },
	{ "spam_tag_level_maps", offsetof(struct policy, tag_levels) },
	{ "spam_tag2_level_maps", offsetof(struct policy, tag2_levels) },
	{ "spam_kill_level_maps", offsetof(struct policy, kill_levels) },
	{ "virus_lovers_maps", offsetof(struct policy, virus_lovers) },
	{ "spam_lovers_maps", offsetof(struct policy, spam_lovers) },
	{ "unchecked_lovers_maps", offsetof(struct policy, unchecked_lovers) },
	{ "inet_acl", offsetof(struct policy, acl) },
	{ "haproxy_trusted_networks", offsetof(struct policy, proxies) },
	{ "mynetworks", offsetof(struct policy, mynetworks) },
	{ "author_to_policy_bank_maps", offsetof(struct policy, author_banks) },
	{ "virus_name_to_policy_bank_maps", offsetof(struct policy, virus_banks) },
};

static struct mw_lookup **maps_field(const struct policy *p, size_t i)
{
	return (struct mw_lookup **)(void *)((char *)(uintptr_t)p + policy_maps[i].field);
}

/* What a bank does not set it has from what it lies on: the same tables (they may have a million
 * entries), unless it reads addresses otherwise. */
static bool shares_tables(const struct policy *p, const struct mw_lookup_options *o)
{
	const struct policy *below = p->below;
	struct mw_lookup_options below_o;

	if (below == NULL || mw_conf_val(p->conf, o->name) != mw_conf_val(below->conf, o->name))
		return false;
	below_o = mw_lookup_options_of(below->conf, o->name, o->files);
	return o->case_sensitive == below_o.case_sensitive &&
	       strcmp(o->delimiters != NULL ? o->delimiters : "",
		       below_o.delimiters != NULL ? below_o.delimiters : "") == 0;
}

static enum mw_rc compile_maps(const struct policy_set *set, struct policy *p, struct mw_err *err_r)
{
	enum mw_rc rc = MW_OK;

	for (size_t i = 0; i < MW_COUNT(policy_maps) && rc == MW_OK; i++) {
		const char *name = policy_maps[i].name;
		struct mw_lookup_options o = mw_lookup_options_of(p->conf, name, set->files);

		if (shares_tables(p, &o))
			*maps_field(p, i) = mw_lookup_ref(*maps_field(p->below, i));
		else
			rc = mw_lookup_new(mw_conf_val(p->conf, name), &o, maps_field(p, i), err_r);
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
	if (rc == MW_OK && p->haproxy && p->protocol == PROTOCOL_AMPDP)
		return mw_fail(err_r, MW_ERR_CONF,
			"haproxy_target_enabled: no PROXY header stands before AM.PDP (protocol)");
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

enum mw_rc policy_compile(const struct policy_set *set, struct policy *p, struct mw_err *err_r)
{
	const struct mw_conf *conf = p->conf;
	const char *bank = p->bank;
	enum mw_rc rc;

	p->originating = mw_conf_bool(conf, "originating");
	p->delimiters = mw_conf_text(conf, "recipient_delimiter");
	p->case_sensitive = mw_conf_bool(conf, "localpart_is_case_sensitive");
	p->haproxy = mw_conf_bool(conf, "haproxy_target_enabled");
	p->haproxy_timeout_ms = (uint64_t)mw_conf_int(conf, "haproxy_timeout") * 1000;
	p->bypass_decode_parts = mw_conf_bool(conf, "bypass_decode_parts");
	p->virus_failure_fatal = mw_conf_bool(conf, "virus_scanners_failure_is_fatal");
	p->auth_required_release = mw_conf_bool(conf, "auth_required_release");
	p->spam_failure_fatal = mw_conf_bool(conf, "spam_scanners_failure_is_fatal");
	p->dkim_verify = mw_conf_bool(conf, "enable_dkim_verification");
	p->dkim_sign = mw_conf_bool(conf, "enable_dkim_signing");
	p->dkim_minimum_bits = (unsigned)mw_conf_int(conf, "dkim_minimum_key_bits");
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
		(rc = compile_maps(set, p, err_r)) != MW_OK ||
		(rc = policy_clients_compile(set, p, err_r)) != MW_OK ||
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

void policy_fini(struct policy *p)
{
	for (size_t i = 0; i < MW_COUNT(policy_maps); i++)
		mw_lookup_unref(maps_field(p, i));
	policy_clients_fini(p);
	free(p->forward.hop);
	free(p->release.hop);
	free(p->requeue.hop);
}
