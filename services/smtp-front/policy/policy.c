#include "policy_priv.h"
#include "sender_lists.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "banned_rules.h"
#include "checks/header_check.h"
#include "log_conf.h"
#include "signed_fields.h"
#include "outcome/edit.h"
#include "text.h"

#define SMTP_CONTENT_MIN 65536 /* RFC 5321 section 4.5.3.1.7: a server has to take so much */

static void copy_text(
	char *dst, size_t size, const struct mw_conf *conf, const char *name, const char *dflt)
{
	const char *s = mw_conf_text(conf, name);

	mw_strlcpy(dst, s != NULL ? s : dflt, size);
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
	{ "banned_filename_maps", offsetof(struct policy, banned_filename) },
	{ "spam_tag_level_maps", offsetof(struct policy, tag_levels) },
	{ "spam_tag2_level_maps", offsetof(struct policy, tag2_levels) },
	{ "spam_tag3_level_maps", offsetof(struct policy, tag3_levels) },
	{ "spam_kill_level_maps", offsetof(struct policy, kill_levels) },
	{ "spam_quarantine_cutoff_level_maps", offsetof(struct policy, quarantine_cutoffs) },
	{ "spam_notifyadmin_cutoff_level_maps", offsetof(struct policy, admin_cutoffs) },
	{ "spam_dsn_cutoff_level_maps", offsetof(struct policy, dsn_cutoffs) },
	{ "spam_dsn_cutoff_level_bysender_maps", offsetof(struct policy, sender_dsn_cutoffs) },
	{ "spam_crediblefrom_dsn_cutoff_level_maps",
		offsetof(struct policy, credible_dsn_cutoffs) },
	{ "spam_crediblefrom_dsn_cutoff_level_bysender_maps",
		offsetof(struct policy, sender_credible_dsn_cutoffs) },
	{ "virus_lovers_maps", offsetof(struct policy, virus_lovers) },
	{ "spam_lovers_maps", offsetof(struct policy, spam_lovers) },
	{ "unchecked_lovers_maps", offsetof(struct policy, unchecked_lovers) },
	{ "banned_files_lovers_maps", offsetof(struct policy, banned_lovers) },
	{ "bad_header_lovers_maps", offsetof(struct policy, bad_header_lovers) },
	{ "message_size_limit_maps", offsetof(struct policy, size_limits) },
	{ "forward_method_maps", offsetof(struct policy, forward_methods) },
	{ "virus_quarantine_to_maps", offsetof(struct policy, virus_quarantine_to) },
	{ "spam_quarantine_to_maps", offsetof(struct policy, spam_quarantine_to) },
	{ "unchecked_quarantine_to_maps", offsetof(struct policy, unchecked_quarantine_to) },
	{ "archive_quarantine_to_maps", offsetof(struct policy, archive_to) },
	{ "spam_quarantine_bysender_to_maps", offsetof(struct policy, spam_by_sender) },
	{ "banned_quarantine_to_maps", offsetof(struct policy, banned_quarantine_to) },
	{ "bad_header_quarantine_to_maps", offsetof(struct policy, bad_header_quarantine_to) },
	{ "clean_quarantine_to_maps", offsetof(struct policy, clean_quarantine_to) },
	{ "spam_subject_tag_maps", offsetof(struct policy, subject_tags) },
	{ "spam_subject_tag2_maps", offsetof(struct policy, subject_tags2) },
	{ "spam_subject_tag3_maps", offsetof(struct policy, subject_tags3) },
	{ "remove_existing_spam_headers_maps", offsetof(struct policy, spam_fields_go) },
	{ "disclaimer_options_bysender_maps", offsetof(struct policy, disclaimer_options) },
	{ "inet_acl", offsetof(struct policy, acl) },
	{ "haproxy_trusted_networks", offsetof(struct policy, proxies) },
	{ "mynetworks", offsetof(struct policy, mynetworks) },
	{ "author_to_policy_bank_maps", offsetof(struct policy, author_banks) },
	{ "virus_name_to_policy_bank_maps", offsetof(struct policy, virus_banks) },
	{ "virus_name_to_spam_score_maps", offsetof(struct policy, virus_scores) },
	{ "viruses_that_fake_sender_maps", offsetof(struct policy, virus_fakers) },
	{ "whitelist_sender_maps", offsetof(struct policy, white_senders) },
	{ "blacklist_sender_maps", offsetof(struct policy, black_senders) },
};

static struct mw_lookup **maps_field(const struct policy *p, size_t i)
{
	return (struct mw_lookup **)(void *)((char *)(uintptr_t)p + policy_maps[i].field);
}

bool policy_shares_tables(const struct policy *p, const struct mw_lookup_options *o)
{
	const struct policy *below = p->below;
	struct mw_lookup_options below_o;

	if (below == NULL || mw_conf_val(p->conf, o->name) != mw_conf_val(below->conf, o->name))
		return false;
	below_o = mw_lookup_options_of(below->conf, o->name, o->files);
	return o->case_sensitive == below_o.case_sensitive &&
	       o->check == rcpt_policy_check(below, o->name) &&
	       strcmp(o->delimiters != NULL ? o->delimiters : "",
		       below_o.delimiters != NULL ? below_o.delimiters : "") == 0;
}

static enum mw_rc compile_maps(const struct policy_set *set, struct policy *p, struct mw_err *err_r)
{
	enum mw_rc rc = MW_OK;

	for (size_t i = 0; i < MW_COUNT(policy_maps) && rc == MW_OK; i++) {
		const char *name = policy_maps[i].name;
		struct mw_lookup_options o = mw_lookup_options_of(p->conf, name, set->files);

		o.check = rcpt_policy_check(p, name);
		if (policy_shares_tables(p, &o))
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
				 *const newlines[] = { "reject", "normalise", "pass" },
				 *const formats[] = { "resend", "attach", "plain", "arf" };
	unsigned protocol = 0, newline = 0, release = 0, report = 0;
	enum mw_rc rc =
		compile_word(conf, "protocol", protocols, MW_COUNT(protocols), &protocol, err_r);

	if (rc == MW_OK)
		rc = compile_word(
			conf, "bare_newline", newlines, MW_COUNT(newlines), &newline, err_r);
	if (rc == MW_OK)
		rc = compile_word(conf, "release_format", formats, RELEASE_ARF, &release, err_r);
	if (rc == MW_OK)
		rc = compile_word(
			conf, "report_format", formats, MW_COUNT(formats), &report, err_r);
	p->release_format = (enum release_format)release;
	p->report_format = (enum release_format)report;
	p->protocol = (enum policy_protocol)protocol;
	p->bare_newline = (enum policy_newline)newline;
	if (rc == MW_OK && p->haproxy && p->protocol == PROTOCOL_AMPDP)
		return mw_fail(err_r, MW_ERR_CONF,
			"haproxy_target_enabled: no PROXY header stands before AM.PDP (protocol)");
	return rc == MW_OK ? compile_offers(conf, p, err_r) : rc;
}

/* An empty list is another setting's, and that one's forward_method's. */
static enum mw_rc compile_route(const struct mw_conf *conf, const char *name, const char *other,
	struct next_hops *to, struct mw_err *err_r)
{
	const char *const *methods;

	to->count = mw_conf_list(conf, name, &methods);
	if (to->count == 0)
		to->count = mw_conf_list(conf, other, &methods);
	if (to->count == 0)
		to->count = mw_conf_list(conf, "forward_method", &methods);
	to->hop = calloc(to->count, sizeof(*to->hop));
	if (to->hop == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "%s: no memory", name);
	return next_hops_parse(name, methods, to->count, to->hop, err_r);
}

static enum mw_rc compile_source(const struct mw_conf *conf, struct policy *p, struct mw_err *err_r)
{
	struct next_hops *routes[] = { &p->forward, &p->notify, &p->release, &p->requeue,
		&p->resend };
	const char *const *addresses;
	size_t count = mw_conf_list(conf, "local_client_bind_address", &addresses);
	enum mw_rc rc = next_hop_source_parse(
		"local_client_bind_address", addresses, count, &p->source, err_r);

	for (size_t r = 0; r < MW_COUNT(routes) && rc == MW_OK; r++)
		for (size_t i = 0; i < routes[r]->count; i++)
			routes[r]->hop[i].from = p->source;
	return rc;
}

static enum mw_rc compile_hops(const struct mw_conf *conf, struct policy *p, struct mw_err *err_r)
{
	enum mw_rc rc = compile_route(conf, "forward_method", "forward_method", &p->forward, err_r);

	if (rc == MW_OK)
		rc = compile_route(conf, "notify_method", "forward_method", &p->notify, err_r);
	if (rc == MW_OK)
		rc = compile_route(conf, "release_method", "notify_method", &p->release, err_r);
	if (rc == MW_OK)
		rc = compile_route(conf, "requeue_method", "forward_method", &p->requeue, err_r);
	/* Changed mail without a hop of its own goes where each recipient's goes. */
	if (rc == MW_OK && mw_conf_list(conf, "resend_method", &(const char *const *){ NULL }) > 0)
		rc = compile_route(conf, "resend_method", "forward_method", &p->resend, err_r);
	return rc == MW_OK ? compile_source(conf, p, err_r) : rc;
}

static int32_t level_of(const struct mw_conf *conf, const char *name)
{
	return mw_conf_val(conf, name)->tag != MW_V_NIL ? (int32_t)mw_conf_int(conf, name)
							: RCPT_NO_LEVEL;
}

static void compile_scores(const struct mw_conf *conf, struct policy *p)
{
	p->dsn_cutoff_milli = level_of(conf, "sa_dsn_cutoff_level");
	p->credible_dsn_cutoff_milli = level_of(conf, "sa_crediblefrom_dsn_cutoff_level");
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

/* Where nobody says anything the worker has the same list. */
static enum mw_rc compile_signed_fields(struct policy *p, struct mw_err *err_r)
{
	static const char name[] = "signed_header_fields";

	return mw_conf_is_set(p->conf, name)
		       ? mw_signed_fields_pack(mw_conf_val(p->conf, name), &p->signed_fields, err_r)
		       : MW_OK;
}

static enum mw_rc compile_banners(
	const struct policy_set *set, struct policy *p, struct mw_err *err_r)
{
	static const char greeting[] = "smtpd_greeting_banner", goodbye[] = "smtpd_quit_banner";
	struct mw_banner_words words = { .helo_name = p->localhost_name,
		.myhostname = set->myhostname,
		.protocol = p->protocol == PROTOCOL_LMTP ? "LMTP" : "ESMTP" };
	enum mw_rc rc = mw_banner_fill(
		greeting, mw_conf_text(p->conf, greeting), &words, p->greeting, err_r);

	for (int lmtp = 0; lmtp < 2 && rc == MW_OK; lmtp++) {
		words.protocol = lmtp ? "LMTP" : "ESMTP";
		rc = mw_banner_fill(
			goodbye, mw_conf_text(p->conf, goodbye), &words, p->goodbye[lmtp], err_r);
	}
	return rc;
}

/* Where no bank says otherwise the level is the process's, which -d may have changed. */
static enum mw_rc compile_voice(
	const struct policy_set *set, struct policy *p, struct mw_err *err_r)
{
	enum mw_rc rc = mw_log_voice_of(p->conf, &p->voice, err_r);

	if (mw_conf_val(p->conf, "log_level") == mw_conf_val(set->conf, "log_level"))
		p->voice.level = MW_LOG_LEVEL_OF_ALL;
	return rc;
}

static enum mw_rc compile_edits(const struct mw_conf *conf, struct policy *p, struct mw_err *err_r)
{
	p->x_scanned_goes = mw_conf_bool(conf, "remove_existing_x_scanned_headers");
	p->fix_header = mw_conf_bool(conf, "allow_fixing_improper_header");
	p->fix_folding = mw_conf_bool(conf, "allow_fixing_improper_header_folding");
	p->fix_long_lines = mw_conf_bool(conf, "allow_fixing_long_header_lines");
	p->field_index = (unsigned)mw_conf_int(conf, "prepend_header_fields_hdridx");
	return edit_fields_off(conf, &p->fields_off, err_r);
}

/* No search by PATH: which program changes mail is said. */
static enum mw_rc check_altermime(const struct policy_set *set, struct mw_err *err_r)
{
	return set->altermime[0] == '\0' || set->altermime[0] == '/'
		       ? MW_OK
		       : mw_fail(err_r, MW_ERR_CONF,
				 "altermime = \"%s\": expected a path, as /usr/bin/altermime",
				 set->altermime);
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
	p->warn_banned_sender = mw_conf_bool(conf, "warnbannedsender");
	p->warn_bad_header_sender = mw_conf_bool(conf, "warnbadhsender");
	p->soft_bounce = mw_conf_bool(conf, "soft_bounce");
	p->soft_bounce_discards = mw_conf_bool(conf, "soft_bounce_discards");
	p->bypass_decode_parts = mw_conf_bool(conf, "bypass_decode_parts");
	p->part_digests = mw_conf_bool(conf, "part_digests");
	p->virus_failure_fatal = mw_conf_bool(conf, "virus_scanners_failure_is_fatal");
	p->auth_required_release = mw_conf_bool(conf, "auth_required_release");
	p->release_rescan = mw_conf_bool(conf, "quarantine.release_rescan");
	p->spam_failure_fatal = mw_conf_bool(conf, "spam_scanners_failure_is_fatal");
	p->dkim_verify = mw_conf_bool(conf, "enable_dkim_verification");
	p->dkim_sign = mw_conf_bool(conf, "enable_dkim_signing");
	p->dkim_minimum_bits = (unsigned)mw_conf_int(conf, "dkim_minimum_key_bits");
	p->message_size_limit = (uint64_t)mw_conf_int(conf, "smtpd_message_size_limit");
	if (p->message_size_limit < SMTP_CONTENT_MIN &&
		mw_conf_bool(conf, "enforce_smtpd_message_size_limit_64kb_min"))
		p->message_size_limit = SMTP_CONTENT_MIN;
	p->quarantine_sender = mw_conf_text(conf, "mailfrom_to_quarantine");
	p->recipient_limit = (unsigned)mw_conf_int(conf, "smtpd_recipient_limit");
	p->smtpd_timeout_ms = (uint64_t)mw_conf_int(conf, "smtpd_timeout") * 1000;
	p->size_limit_64k = mw_conf_bool(conf, "enforce_smtpd_message_size_limit_64kb_min");
	p->child_timeout_ms = (uint64_t)mw_conf_int(conf, "child_timeout") * 1000;
	p->replaces_extension = mw_conf_bool(conf, "replace_existing_extension");
	p->defang_all = mw_conf_bool(conf, "defang_all");
	p->allow_disclaimers = mw_conf_bool(conf, "allow_disclaimers");
	p->outbound_disclaimers_only = mw_conf_bool(conf, "outbound_disclaimers_only");
	compile_scores(conf, p);
	compile_texts(conf, set, p);
	if ((rc = compile_voice(set, p, err_r)) != MW_OK ||
		(rc = policy_texts_compile(p, err_r)) != MW_OK ||
		(rc = compile_maps(set, p, err_r)) != MW_OK ||
		(rc = check_altermime(set, err_r)) != MW_OK ||
		(rc = rcpt_texts_compile(set, p, err_r)) != MW_OK ||
		(rc = policy_notices_compile(set, p, err_r)) != MW_OK ||
		(rc = sender_lists_compile(set, p, err_r)) != MW_OK ||
		(rc = banned_policy_compile(set, p, err_r)) != MW_OK ||
		(rc = policy_clients_compile(set, p, err_r)) != MW_OK ||
		(rc = compile_intake(conf, p, err_r)) != MW_OK ||
		(rc = compile_signed_fields(p, err_r)) != MW_OK ||
		(rc = compile_edits(conf, p, err_r)) != MW_OK ||
		(rc = header_tests_of(conf, &p->header_tests, err_r)) != MW_OK ||
		(rc = compile_banners(set, p, err_r)) != MW_OK ||
		(rc = compile_hops(conf, p, err_r)) != MW_OK ||
		(rc = policy_tls_levels(conf, bank, p, err_r)) != MW_OK)
		return rc;
	return rcpt_policy_compile(set, p, err_r);
}

void policy_fini(struct policy *p)
{
	for (size_t i = 0; i < MW_COUNT(policy_maps); i++)
		mw_lookup_unref(maps_field(p, i));
	rcpt_policy_fini(p);
	rcpt_texts_fini(p);
	policy_notices_fini(p);
	banned_policy_fini(p);
	sender_lists_unref(&p->rcpt_white_senders);
	sender_lists_unref(&p->rcpt_black_senders);
	sender_lists_unref(&p->sender_scores);
	policy_texts_fini(p);
	policy_clients_fini(p);
	mw_pack_fini(&p->signed_fields);
	free(p->forward.hop);
	free(p->notify.hop);
	free(p->release.hop);
	free(p->requeue.hop);
	free(p->resend.hop);
}
