#include "rcpt_texts.h"

#include <strings.h>

#include "db.h"
#include "lookup_keys.h"
#include "mail_policy.h"
#include "outcome/body_plan.h"
#include "policy_priv.h"
#include "transaction.h"

#define BCC_OCTETS_MAX 254 /* RFC 5321 section 4.5.3.1.3, without <> */

static const char *const by_ccat_settings[RCPT_TEXTS] = {
	[TEXT_EXTENSION] = "addr_extension_maps_by_ccat",
	[TEXT_REWRITE] = "addr_rewrite_maps_by_ccat",
	[TEXT_DEFANG] = "defang_maps_by_ccat",
	[TEXT_ADMIN] = "admin_maps_by_ccat",
	[TEXT_WARNING] = "warnrecip_maps_by_ccat",
};

/* The settings without a category in their value; a database's column is called as they are. */
static const struct plain {
	enum rcpt_text which;
	enum ccat_slot slot;
	const char *setting;
} plains[] = {
	{ TEXT_EXTENSION, CCAT_VIRUS, "addr_extension_virus_maps" },
	{ TEXT_EXTENSION, CCAT_BANNED, "addr_extension_banned_maps" },
	{ TEXT_EXTENSION, CCAT_SPAM, "addr_extension_spam_maps" },
	{ TEXT_EXTENSION, CCAT_SPAMMY, "addr_extension_spam_maps" },
	{ TEXT_EXTENSION, CCAT_BADH, "addr_extension_bad_header_maps" },
	{ TEXT_DEFANG, CCAT_VIRUS, "defang_virus" },
	{ TEXT_DEFANG, CCAT_BANNED, "defang_banned" },
	{ TEXT_DEFANG, CCAT_UNCHECKED, "defang_undecipherable" },
	{ TEXT_DEFANG, CCAT_SPAM, "defang_spam" },
	{ TEXT_DEFANG, CCAT_SPAMMY, "defang_spam" },
	{ TEXT_DEFANG, CCAT_BADH, "defang_bad_header" },
	{ TEXT_ADMIN, CCAT_VIRUS, "virus_admin_maps" },
	{ TEXT_ADMIN, CCAT_UNCHECKED, "virus_admin_maps" },
	{ TEXT_ADMIN, CCAT_BANNED, "banned_admin_maps" },
	{ TEXT_ADMIN, CCAT_SPAM, "spam_admin_maps" },
	{ TEXT_ADMIN, CCAT_BADH, "bad_header_admin_maps" },
	{ TEXT_NEWVIRUS_ADMIN, CCAT_VIRUS, "newvirus_admin_maps" },
	{ TEXT_WARNING, CCAT_VIRUS, "warnvirusrecip_maps" },
	{ TEXT_WARNING, CCAT_BANNED, "warnbannedrecip_maps" },
	{ TEXT_WARNING, CCAT_BADH, "warnbadhrecip_maps" },
};
_Static_assert(MW_COUNT(plains) <= RCPT_TEXT_PLAINS, "room for all of them");

/* ------------------------------------------------------------------ what texts may be */

bool rcpt_text_is_extension(const char *text)
{
	/* RFC 5322 section 3.2.3, atext and dots: it is put into any local part. */
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "!#$%&'*+-/=?^_`{|}~.") == strlen(text);
}

bool rcpt_text_is_address(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if (*p <= 0x20 || *p == 0x7f || strchr(",<>", *p) != NULL)
			return false;
	return *text == '\0' || (strchr(text, '@') != NULL && strcmp(text, "@") != 0);
}

static enum mw_rc check_extension(const char *text, struct mw_err *err_r)
{
	return rcpt_text_is_extension(text)
		       ? MW_OK
		       : mw_fail(err_r, MW_ERR_CONF,
				 "\"%.80s\": expected what may stand in a local part without "
				 "quotes, without the delimiter",
				 text);
}

/* amavisd takes a list and delivers to its first address only. */
static enum mw_rc check_address(const char *text, struct mw_err *err_r)
{
	return rcpt_text_is_address(text)
		       ? MW_OK
		       : mw_fail(err_r, MW_ERR_CONF,
				 "\"%.80s\": expected one address, as user@domain, user@ or "
				 "@domain; copies for others are made by always_bcc",
				 text);
}

static enum mw_rc check_defang(const char *text, struct mw_err *err_r)
{
	enum body_treatment how;

	return body_treatment_of(text, &how)
		       ? MW_OK
		       : mw_fail(err_r, MW_ERR_CONF,
				 "\"%.80s\": expected attach, altermime, disclaimer, null, "
				 "nulldisclaimer, true or false",
				 text);
}

bool rcpt_text_is_mailbox(const char *text)
{
	const char *at = strrchr(text, '@');

	return rcpt_text_is_address(text) && at != NULL && at > text && at[1] != '\0' &&
	       strlen(text) <= BCC_OCTETS_MAX;
}

static enum mw_rc check_mailbox(const char *text, struct mw_err *err_r)
{
	return *text == '\0' || rcpt_text_is_mailbox(text)
		       ? MW_OK
		       : mw_fail(err_r, MW_ERR_CONF,
				 "\"%.80s\": expected one address, as user@domain, or \"\" for "
				 "nobody",
				 text);
}

enum mw_rc (*rcpt_texts_check(const char *setting))(const char *text, struct mw_err *err_r)
{
	if (strstr(setting, "admin_maps") != NULL)
		return check_mailbox;
	if (strncmp(setting, "addr_extension_", 15) == 0)
		return check_extension;
	if (strncmp(setting, "addr_rewrite_", 13) == 0)
		return check_address;
	return strncmp(setting, "defang_", 7) == 0 ? check_defang : NULL;
}

/* ------------------------------------------------------------------ compiling */

static enum mw_rc compile_by_ccat(
	const struct policy_set *set, struct policy *p, enum rcpt_text which, struct mw_err *err_r)
{
	const char *setting = by_ccat_settings[which];
	struct mw_lookup_options o;
	const struct mw_val *v;
	bool shared;

	if (setting == NULL)
		return MW_OK;
	v = mw_conf_val(p->conf, setting);
	o = mw_lookup_options_of(p->conf, setting, set->files);
	o.check = rcpt_texts_check(setting);
	shared = policy_shares_tables(p, &o);
	for (size_t i = 0; i < v->count; i++) {
		struct mw_err why = { "" };
		enum ccat_slot slot;
		enum mw_rc rc = ccat_of_key(v->keys[i], &slot, &why);

		if (rc != MW_OK)
			return mw_fail(err_r, rc, "%s%s%s: %s", p->bank,
				*p->bank != '\0' ? ": " : "", setting, why.text);
		if (shared)
			p->rcpt_texts.by_ccat[which][slot] =
				mw_lookup_ref(p->below->rcpt_texts.by_ccat[which][slot]);
		else
			rc = mw_lookup_new_in(
				&v->vals[i], &o, &p->rcpt_texts.by_ccat[which][slot], err_r);
		if (rc != MW_OK)
			return rc;
		p->rcpt_texts.used[which] |=
			!mw_lookup_is_empty(p->rcpt_texts.by_ccat[which][slot]);
	}
	return MW_OK;
}

static enum mw_rc compile_plain(
	const struct policy_set *set, struct policy *p, size_t i, struct mw_err *err_r)
{
	const char *setting = plains[i].setting;
	struct mw_lookup_options o = mw_lookup_options_of(p->conf, setting, set->files);
	enum mw_rc rc = MW_OK;

	o.check = rcpt_texts_check(setting);
	if (i > 0 && strcmp(plains[i - 1].setting, setting) == 0)
		p->rcpt_texts.plain[i] = mw_lookup_ref(p->rcpt_texts.plain[i - 1]);
	else if (policy_shares_tables(p, &o))
		p->rcpt_texts.plain[i] = mw_lookup_ref(p->below->rcpt_texts.plain[i]);
	else
		rc = mw_lookup_new(
			mw_conf_val(p->conf, setting), &o, &p->rcpt_texts.plain[i], err_r);
	if (rc == MW_OK)
		p->rcpt_texts.used[plains[i].which] |= !mw_lookup_is_empty(p->rcpt_texts.plain[i]);
	return rc;
}

static enum mw_rc take_bcc(const struct policy *p, struct policy_bcc *bcc, const char *setting,
	enum ccat_slot slot, const struct mw_val *v, struct mw_err *err_r)
{
	const char *to = mw_val_text(v, NULL);

	if (v->tag == MW_V_NIL)
		return MW_OK;
	if (to == NULL || !rcpt_text_is_address(to) || *to == '@' || strlen(to) > BCC_OCTETS_MAX)
		return mw_fail(err_r, MW_ERR_CONF,
			"%s%s%s: expected one address of at most %d octets, or \"\"", p->bank,
			*p->bank != '\0' ? ": " : "", setting, BCC_OCTETS_MAX);
	bcc->to[slot] = to;
	bcc->any |= *to != '\0';
	return MW_OK;
}

/* By category, and the plain one where that says nothing of any. */
static enum mw_rc compile_bcc(const struct policy *p, struct policy_bcc *bcc, const char *plain,
	const char *by_ccat, struct mw_err *err_r)
{
	const struct mw_val *v = mw_conf_val(p->conf, by_ccat);
	enum mw_rc rc = take_bcc(p, bcc, plain, CCAT_CATCHALL, mw_conf_val(p->conf, plain), err_r);

	for (size_t i = 0; i < v->count && rc == MW_OK; i++) {
		struct mw_err why = { "" };
		enum ccat_slot slot;

		rc = ccat_of_key(v->keys[i], &slot, &why);
		if (rc != MW_OK)
			return mw_fail(err_r, rc, "%s%s%s: %s", p->bank,
				*p->bank != '\0' ? ": " : "", by_ccat, why.text);
		rc = take_bcc(p, bcc, by_ccat, slot, &v->vals[i], err_r);
	}
	return rc;
}

enum mw_rc rcpt_texts_compile(const struct policy_set *set, struct policy *p, struct mw_err *err_r)
{
	enum mw_rc rc = MW_OK;

	for (unsigned which = 0; which < RCPT_TEXTS && rc == MW_OK; which++)
		rc = compile_by_ccat(set, p, (enum rcpt_text)which, err_r);
	for (size_t i = 0; i < MW_COUNT(plains) && rc == MW_OK; i++)
		rc = compile_plain(set, p, i, err_r);
	if (rc == MW_OK)
		rc = compile_bcc(p, &p->bcc, "always_bcc", "always_bcc_by_ccat", err_r);
	return rc == MW_OK ? compile_bcc(p, &p->dsn_bcc, "dsn_bcc", "dsn_bcc_by_ccat", err_r) : rc;
}

void rcpt_texts_fini(struct policy *p)
{
	for (unsigned which = 0; which < RCPT_TEXTS; which++)
		for (unsigned slot = 0; slot < CCAT_SLOTS; slot++)
			mw_lookup_unref(&p->rcpt_texts.by_ccat[which][slot]);
	for (size_t i = 0; i < MW_COUNT(plains); i++)
		mw_lookup_unref(&p->rcpt_texts.plain[i]);
}

/* ------------------------------------------------------------------ asking */

bool rcpt_texts_asked(const struct txn *t, enum rcpt_text which)
{
	return t->policy->rcpt_texts.used[which] ||
	       (which != TEXT_REWRITE && which != TEXT_DEFANG && t->front->db != NULL &&
		       db_enabled(t->front->db));
}

struct question {
	struct txn *t;
	const struct txn_rcpt *r;
	enum rcpt_text which;
	struct mw_asker asker;
	struct mw_lookup_result result;
};

/* Somebody could say something of it, also when nobody does. */
static const struct plain *plain_of(enum rcpt_text which, enum ccat_slot slot)
{
	for (size_t i = 0; i < MW_COUNT(plains); i++)
		if (plains[i].which == which && plains[i].slot == slot)
			return &plains[i];
	return NULL;
}

static bool is_present(const struct question *q, enum ccat_slot slot)
{
	for (enum ccat_slot at = slot; at != CCAT_SLOTS; at = ccat_above(at))
		if ((at != CCAT_CATCHALL || slot == CCAT_CATCHALL) &&
			(q->t->policy->rcpt_texts.by_ccat[q->which][at] != NULL ||
				plain_of(q->which, at) != NULL))
			return true;
	return false;
}

static const char *said_by(struct question *q, const struct mw_lookup *l)
{
	if (l == NULL || !mw_asker_lookup(&q->asker, l, &q->result))
		return NULL;
	if (q->result.value.type == MW_VALUE_BOOL)
		return q->result.value.b ? "1" : "";
	if (q->result.value.type != MW_VALUE_TEXT)
		return NULL;
	return smtp_arena_copy(&q->t->arena, q->result.value.text, strlen(q->result.value.text));
}

static const char *said_by_database(struct question *q, const struct plain *p)
{
	const struct db_records *records = mail_policy_answer(q->t, (size_t)(q->r - q->t->rcpts));
	const struct db_field *f = p != NULL ? db_field_find(p->setting) : NULL;
	struct mw_octets text;
	bool b;

	if (records != NULL && f != NULL && f->type == DB_BOOL)
		return !db_field_bool(records, f, &b) ? NULL : b ? "1" : "";
	if (records == NULL || f == NULL ||
		!db_field_text(
			records, f, q->t->front->db != NULL && db_trims(q->t->front->db), &text) ||
		(text.n > 0 && memchr(text.p, '\0', text.n) != NULL))
		return NULL;
	return smtp_arena_copy(&q->t->arena, text.n > 0 ? (const char *)text.p : "", text.n);
}

static const char *ask(struct question *q, enum ccat_slot slot)
{
	const struct policy_rcpt_texts *texts = &q->t->policy->rcpt_texts;
	const char *said = NULL;

	for (enum ccat_slot at = slot; said == NULL && at != CCAT_SLOTS; at = ccat_above(at)) {
		const struct plain *p = plain_of(q->which, at);

		if (at == CCAT_CATCHALL && slot != CCAT_CATCHALL)
			break;
		said = said_by_database(q, p);
		if (said == NULL)
			said = said_by(q, texts->by_ccat[q->which][at]);
		if (said == NULL && p != NULL)
			said = said_by(q, texts->plain[p - plains]);
	}
	return said;
}

static void begin(struct question *q, struct txn *t, const struct txn_rcpt *r, enum rcpt_text which)
{
	q->t = t;
	q->r = r;
	q->which = which;
	mw_asker_init(&q->asker, r->addr);
}

const char *rcpt_text_for(
	struct txn *t, const struct txn_rcpt *r, enum rcpt_text which, enum ccat_slot slot)
{
	struct question q;

	begin(&q, t, r, which);
	return ask(&q, slot);
}

const char *rcpt_text(struct txn *t, const struct txn_rcpt *r, enum rcpt_text which)
{
	struct question q;

	begin(&q, t, r, which);
	for (size_t i = 0; i < r->ccat_count; i++)
		if ((r->ccat_blocking == 0 || r->ccats[i] == r->ccat_blocking) &&
			is_present(&q, ccat_slot_of(r->ccats[i])))
			return ask(&q, ccat_slot_of(r->ccats[i]));
	return ask(&q, CCAT_CATCHALL);
}
