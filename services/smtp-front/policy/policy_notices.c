#include "policy_notices.h"

#include <stdio.h>

#include "outcome/notice_texts.h"
#include "outcome/template.h"
#include "policy_priv.h"

/* Texts without a category in their value. */
static const struct plain {
	enum notice_text which;
	enum ccat_slot slot;
	const char *setting;
} plains[] = {
	{ TEXT_FOR_SENDER, CCAT_VIRUS, "notify_virus_sender_templ" },
	{ TEXT_FOR_SENDER, CCAT_BANNED, "notify_virus_sender_templ" },
	{ TEXT_FOR_SENDER, CCAT_SPAM, "notify_spam_sender_templ" },
	{ TEXT_FOR_SENDER, CCAT_CATCHALL, "notify_sender_templ" },
	{ TEXT_FOR_ADMIN, CCAT_SPAM, "notify_spam_admin_templ" },
	{ TEXT_FOR_ADMIN, CCAT_CATCHALL, "notify_virus_admin_templ" },
	{ TEXT_FOR_RCPT, CCAT_SPAM, "notify_spam_recips_templ" },
	{ TEXT_FOR_RCPT, CCAT_CATCHALL, "notify_virus_recips_templ" },
};

static const char *const by_ccat[NOTICE_TEXTS] = {
	[TEXT_FOR_SENDER] = "notify_sender_templ_by_ccat",
	[TEXT_FOR_ADMIN] = "notify_admin_templ_by_ccat",
	[TEXT_FOR_RCPT] = "notify_recips_templ_by_ccat",
};

static enum mw_rc wrong(const struct policy *p, const char *setting, enum mw_rc rc,
	const struct mw_err *why, struct mw_err *err_r)
{
	return mw_fail(
		err_r, rc, "%s%s%s: %s", p->bank, *p->bank != '\0' ? ": " : "", setting, why->text);
}

/* ------------------------------------------------------------------ texts */

/* A bank that says nothing of them has those below it. */
static bool shares_texts(const struct policy *p)
{
	if (p->below == NULL)
		return false;
	for (size_t i = 0; i < MW_COUNT(plains); i++)
		if (mw_conf_val(p->conf, plains[i].setting) !=
			mw_conf_val(p->below->conf, plains[i].setting))
			return false;
	for (size_t i = 0; i < NOTICE_TEXTS; i++)
		if (mw_conf_val(p->conf, by_ccat[i]) != mw_conf_val(p->below->conf, by_ccat[i]))
			return false;
	return true;
}

/* *text_r NULL: it is empty, and nothing is sent. */
static enum mw_rc make_text(struct policy_notices *n, const char *text,
	struct template_code **text_r, struct mw_err *err_r)
{
	struct template_code *made;
	enum mw_rc rc;

	*text_r = NULL;
	if (*text == '\0')
		return MW_OK;
	rc = template_new(text, &made, err_r);
	if (rc != MW_OK)
		return rc;
	n->owned[n->owned_count++] = made;
	if (!template_is_empty(made))
		*text_r = made;
	return MW_OK;
}

struct said {
	bool known[CCAT_SLOTS];
	struct template_code *texts[CCAT_SLOTS];
};

static enum mw_rc take_by_ccat(
	struct policy *p, enum notice_text which, struct said *said, struct mw_err *err_r)
{
	const struct mw_val *v = mw_conf_val(p->conf, by_ccat[which]);

	for (size_t i = 0; i < v->count; i++) {
		const char *text = mw_val_text(&v->vals[i], NULL);
		struct mw_err why = { "" };
		enum ccat_slot slot;
		enum mw_rc rc = ccat_of_key(v->keys[i], &slot, &why);

		if (rc == MW_OK && text == NULL)
			rc = mw_fail(&why, MW_ERR_CONF, "%s: expected a text", v->keys[i]);
		if (rc == MW_OK)
			rc = make_text(&p->notices, text, &said->texts[slot], &why);
		if (rc != MW_OK)
			return wrong(p, by_ccat[which], rc, &why, err_r);
		said->known[slot] = true;
	}
	return MW_OK;
}

static enum mw_rc take_plains(
	struct policy *p, enum notice_text which, struct said *said, struct mw_err *err_r)
{
	for (size_t i = 0; i < MW_COUNT(plains); i++) {
		const struct plain *at = &plains[i];
		const char *text = mw_conf_text(p->conf, at->setting);
		struct mw_err why = { "" };
		enum mw_rc rc;

		if (at->which != which || said->known[at->slot])
			continue;
		text = text != NULL ? text : notice_text_default(at->setting);
		rc = make_text(&p->notices, text, &said->texts[at->slot], &why);
		if (rc != MW_OK)
			return wrong(p, at->setting, rc, &why, err_r);
		said->known[at->slot] = true;
	}
	return MW_OK;
}

static enum mw_rc compile_text(struct policy *p, enum notice_text which, struct mw_err *err_r)
{
	struct said said = { 0 };
	enum mw_rc rc = take_by_ccat(p, which, &said, err_r);

	if (rc == MW_OK)
		rc = take_plains(p, which, &said, err_r);
	for (unsigned s = 0; s < CCAT_SLOTS && rc == MW_OK; s++)
		for (enum ccat_slot at = (enum ccat_slot)s; at != CCAT_SLOTS; at = ccat_above(at))
			if (said.known[at]) {
				p->notices.texts[which][s] = said.texts[at];
				break;
			}
	return rc;
}

/* ------------------------------------------------------------------ the rest */

static enum mw_rc compile_authors(
	const struct policy_set *set, struct policy *p, struct mw_err *err_r)
{
	/* RFC 3464 section 2: a notification's envelope sender is null, whatever anybody says. */
	static const char *const mailfrom[NOTICE_AUTHORS] = { NULL, "mailfrom_notify_admin",
		"mailfrom_notify_spamadmin", "mailfrom_notify_recip" };
	static const char *const hdrfrom[NOTICE_AUTHORS] = { "hdrfrom_notify_sender",
		"hdrfrom_notify_admin", "hdrfrom_notify_spamadmin", "hdrfrom_notify_recip",
		"hdrfrom_notify_release", "hdrfrom_notify_report" };
	struct policy_notices *n = &p->notices;

	for (int i = 0; i < NOTICE_AUTHORS; i++) {
		const char *from = mailfrom[i] != NULL ? mw_conf_text(p->conf, mailfrom[i]) : NULL;
		const char *header = mw_conf_text(p->conf, hdrfrom[i]);
		struct mw_err why = { "" };

		n->mailfrom[i] = from != NULL ? from : "";
		if (*n->mailfrom[i] != '\0' && !rcpt_text_is_mailbox(n->mailfrom[i])) {
			mw_fail(&why, MW_ERR_CONF,
				"\"%.80s\": expected one address, or \"\" for the null sender",
				from);
			return wrong(p, mailfrom[i], MW_ERR_CONF, &why, err_r);
		}
		if (header != NULL && strchr(header, '@') == NULL) {
			mw_fail(&why, MW_ERR_CONF, "\"%.80s\": expected \"Name\" <user@domain>",
				header);
			return wrong(p, hdrfrom[i], MW_ERR_CONF, &why, err_r);
		}
		if (header != NULL)
			mw_strlcpy(n->hdrfrom[i], header, sizeof(n->hdrfrom[i]));
		else
			snprintf(n->hdrfrom[i], sizeof(n->hdrfrom[i]),
				"\"Content-filter at %.200s\" <postmaster@%.200s>", set->myhostname,
				set->myhostname);
	}
	return MW_OK;
}

/* warnsender_by_ccat, where that says nothing of one warnbannedsender and warnbadhsender. */
static enum mw_rc compile_warnings(struct policy *p, struct mw_err *err_r)
{
	static const char setting[] = "warnsender_by_ccat";
	const struct mw_val *v = mw_conf_val(p->conf, setting);
	struct policy_notices *n = &p->notices;
	bool known[CCAT_SLOTS] = { false }, says[CCAT_SLOTS] = { false };

	says[CCAT_BANNED] = mw_conf_bool(p->conf, "warnbannedsender");
	says[CCAT_BADH] = mw_conf_bool(p->conf, "warnbadhsender");
	for (size_t i = 0; i < v->count; i++) {
		struct mw_err why = { "" };
		enum ccat_slot slot;
		enum mw_rc rc = ccat_of_key(v->keys[i], &slot, &why);

		if (rc == MW_OK && v->vals[i].tag != MW_V_BOOL && v->vals[i].tag != MW_V_NIL)
			rc = mw_fail(&why, MW_ERR_CONF, "%s: expected true or false", v->keys[i]);
		if (rc != MW_OK)
			return wrong(p, setting, rc, &why, err_r);
		says[slot] = mw_val_bool(&v->vals[i], false);
		known[slot] = true;
	}
	known[CCAT_BANNED] = known[CCAT_BADH] = true;
	for (unsigned s = 0; s < CCAT_SLOTS; s++)
		for (enum ccat_slot at = (enum ccat_slot)s; at != CCAT_SLOTS; at = ccat_above(at))
			if (known[at]) {
				n->warns_sender[s] = says[at];
				n->warns_any_sender = n->warns_any_sender || says[at];
				break;
			}
	return MW_OK;
}

enum mw_rc policy_notices_compile(
	const struct policy_set *set, struct policy *p, struct mw_err *err_r)
{
	struct policy_notices *n = &p->notices;
	enum mw_rc rc = compile_authors(set, p, err_r);

	n->warns_offsite = mw_conf_bool(p->conf, "warn_offsite");
	n->propagates = mw_conf_bool(p->conf, "propagate_dsn_if_possible");
	n->success_ends_here = mw_conf_bool(p->conf, "terminate_dsn_on_notify_success");
	n->full_octets = (uint64_t)mw_conf_int(p->conf, "notices.full_octets");
	n->limit = (unsigned)mw_conf_int(p->conf, "notices.limit");
	if (rc == MW_OK)
		rc = compile_warnings(p, err_r);
	if (rc == MW_OK && shares_texts(p)) {
		memcpy(n->texts, p->below->notices.texts, sizeof(n->texts));
		return MW_OK;
	}
	for (unsigned which = 0; which < NOTICE_TEXTS && rc == MW_OK; which++)
		rc = compile_text(p, (enum notice_text)which, err_r);
	return rc;
}

void policy_notices_fini(struct policy *p)
{
	for (size_t i = 0; i < p->notices.owned_count; i++)
		template_unref(&p->notices.owned[i]);
}
