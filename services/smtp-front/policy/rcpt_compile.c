/* Which tables are asked about a recipient, and in which order. */
#include "rcpt_policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "policy_priv.h"
#include "policy_route.h"
#include "rcpt_texts.h"

/* The settings without a category in their names, by category. */
static const struct plain {
	const char *destiny, *lovers, *quarantine_to, *quarantine_method;
	size_t lovers_at, quarantine_to_at; /* in struct policy */
} plains[CCAT_SLOTS] = {
	[CCAT_VIRUS] = { "final_virus_destiny", "virus_lovers_maps", "virus_quarantine_to_maps",
		"virus_quarantine_method", offsetof(struct policy, virus_lovers),
		offsetof(struct policy, virus_quarantine_to) },
	[CCAT_BANNED] = { "final_banned_destiny", "banned_files_lovers_maps",
		"banned_quarantine_to_maps", "banned_files_quarantine_method",
		offsetof(struct policy, banned_lovers),
		offsetof(struct policy, banned_quarantine_to) },
	[CCAT_UNCHECKED] = { "final_unchecked_destiny", "unchecked_lovers_maps",
		"unchecked_quarantine_to_maps", "unchecked_quarantine_method",
		offsetof(struct policy, unchecked_lovers),
		offsetof(struct policy, unchecked_quarantine_to) },
	[CCAT_BADH] = { "final_bad_header_destiny", "bad_header_lovers_maps",
		"bad_header_quarantine_to_maps", "bad_header_quarantine_method",
		offsetof(struct policy, bad_header_lovers),
		offsetof(struct policy, bad_header_quarantine_to) },
	[CCAT_CLEAN] = { .quarantine_to = "clean_quarantine_to_maps",
		.quarantine_method = "clean_quarantine_method",
		.quarantine_to_at = offsetof(struct policy, clean_quarantine_to) },
	[CCAT_SPAM] = { "final_spam_destiny", "spam_lovers_maps", "spam_quarantine_to_maps",
		"spam_quarantine_method", offsetof(struct policy, spam_lovers),
		offsetof(struct policy, spam_quarantine_to) },
	[CCAT_SPAMMY] = { .lovers = "spam_lovers_maps",
		.quarantine_to = "spam_quarantine_to_maps",
		.lovers_at = offsetof(struct policy, spam_lovers),
		.quarantine_to_at = offsetof(struct policy, spam_quarantine_to) },
};

static const struct mw_lookup *map_at(const struct policy *p, size_t at)
{
	return *(struct mw_lookup *const *)(const void *)((const char *)p + at);
}

/* ------------------------------------------------------------------ one question's order */

struct chain {
	const struct policy *p;
	struct policy_ask *ask;
	const char *closed_by; /* it answers everybody: nothing behind it is ever asked */
	enum ccat_slot of;     /* whose question it is; of those by category */
	bool may_hide;	       /* a default that everybody sets, and tables that end with another */
	struct mw_err *err_r;
};

/* This policy's own layer sets it, not one below. */
static bool is_own(const struct policy *p, const char *setting)
{
	return p->below == NULL
		       ? mw_conf_is_set(p->conf, setting)
		       : mw_conf_val(p->conf, setting) != mw_conf_val(p->below->conf, setting);
}

/*
 * Something that was set is never asked. In one layer that is a contradiction; a bank that says
 * something and does not get its way may be meant, and is worth a line.
 */
static enum mw_rc hidden(struct chain *c, const char *setting)
{
	const char *bank = c->p->bank;

	if (c->closed_by == NULL || !is_own(c->p, setting))
		return MW_OK;
	if (!c->may_hide && is_own(c->p, c->closed_by) && strcmp(setting, c->closed_by) != 0)
		return mw_fail(c->err_r, MW_ERR_CONF,
			"%s%s%s is set and never asked: %s is asked before it, and answers "
			"everybody",
			bank, *bank != '\0' ? ": " : "", setting, c->closed_by);
	if (strcmp(setting, c->closed_by) != 0)
		mw_log(MW_WARN, "setting_hidden", "bank=%s setting=%s by=%s", bank, setting,
			c->closed_by);
	return MW_OK;
}

static enum mw_rc add_map(struct chain *c, const struct mw_lookup *l, const char *setting)
{
	if (l == NULL || mw_lookup_is_empty(l))
		return MW_OK;
	if (c->closed_by != NULL)
		return hidden(c, setting);
	if (mw_lookup_fixed(l, &c->ask->dflt)) {
		c->closed_by = setting;
		return MW_OK;
	}
	c->ask->maps[c->ask->count++] = l;
	if (mw_lookup_always_answers(l))
		c->closed_by = setting;
	return MW_OK;
}

static enum mw_rc add_number(struct chain *c, int64_t milli, const char *setting)
{
	if (c->closed_by != NULL)
		return hidden(c, setting);
	c->ask->dflt = (struct mw_value){ .type = MW_VALUE_MILLI, .milli = milli };
	c->closed_by = setting;
	return MW_OK;
}

/* ------------------------------------------------------------------ questions by category */

static enum mw_rc add_destinies(struct chain *c, enum ccat_slot slot)
{
	const struct policy_by_ccat *by = &c->p->by_ccat[slot];
	enum mw_rc rc = add_map(c, by->destinies, "final_destiny_maps_by_ccat");

	if (rc == MW_OK && by->has_destiny)
		rc = add_number(c, by->destiny * 1000, "final_destiny_by_ccat");
	/* A spam check that failed does not make it what encrypted mail is: unless that is said,
	 * it passes with a mark. */
	if (rc == MW_OK && slot == CCAT_UNSCORED && c->closed_by == NULL)
		rc = add_number(c, MW_D_PASS * 1000, "");
	if (rc == MW_OK && plains[slot].destiny != NULL)
		rc = add_number(c, mw_conf_int(c->p->conf, plains[slot].destiny) * 1000,
			plains[slot].destiny);
	if (rc != MW_OK || c->closed_by != NULL)
		return rc;
	/* What is over somebody's limit was limited by somebody. */
	if (slot == CCAT_OVERSIZED)
		rc = add_number(c, MW_D_REJECT * 1000, "");
	/* What the next hop refuses is refused. */
	if (slot == CCAT_MTA)
		rc = add_number(
			c, (c->of == CCAT_MTA_REJECTED ? MW_D_REJECT : MW_D_TEMPFAIL) * 1000, "");
	return rc;
}

static enum mw_rc add_lovers(struct chain *c, enum ccat_slot slot)
{
	enum mw_rc rc = add_map(c, c->p->by_ccat[slot].lovers, "lovers_maps_by_ccat");

	if (rc == MW_OK && plains[slot].lovers != NULL)
		rc = add_map(c, map_at(c->p, plains[slot].lovers_at), plains[slot].lovers);
	return rc;
}

static enum mw_rc add_quarantine(struct chain *c, enum ccat_slot slot)
{
	const char *setting = plains[slot].quarantine_to;
	enum mw_rc rc = add_map(c, c->p->by_ccat[slot].quarantine_to, "quarantine_to_maps_by_ccat");

	if (rc != MW_OK || setting == NULL)
		return rc;
	/* Nothing said is not kept; in a category that has no tables of its own it is. */
	if (c->closed_by == NULL)
		c->ask->dflt = (struct mw_value){ .type = MW_VALUE_TEXT, .text = "" };
	return add_map(c, map_at(c->p, plains[slot].quarantine_to_at), setting);
}

static enum mw_rc order_by_category(struct policy *p, enum rcpt_ask first,
	enum mw_rc (*add)(struct chain *c, enum ccat_slot slot), struct mw_value dflt,
	struct mw_err *err_r)
{
	enum mw_rc rc = MW_OK;

	for (unsigned s = 0; s < CCAT_SLOTS && rc == MW_OK; s++) {
		struct chain c = { p, &p->asks[first + s], NULL, (enum ccat_slot)s, false, err_r };

		c.ask->dflt = dflt;
		for (enum ccat_slot at = (enum ccat_slot)s; at != CCAT_SLOTS && rc == MW_OK;
			at = ccat_above(at)) {
			/* A minor's own word against its major's is no contradiction. */
			if (at != s && c.closed_by != NULL)
				break;
			rc = add(&c, at);
		}
		c.ask->said_by = c.closed_by;
	}
	return rc;
}

/*
 * Tags in front of subjects: of a category exactly its own. Which of a recipient's categories has
 * the first word is for the edit to find out: what is empty has none.
 */
static enum mw_rc order_subject_tags(struct policy *p, struct mw_err *err_r)
{
	const struct {
		enum ccat_slot slot;
		const struct mw_lookup *map;
		const char *maps, *setting; /* NULL, setting: a text of our own */
		const char *text;
	} rows[] = {
		{ CCAT_VIRUS, NULL, NULL, NULL, "***INFECTED*** " },
		{ CCAT_UNCHECKED, NULL, NULL, "undecipherable_subject_tag", NULL },
		{ CCAT_SPAMMY3, p->subject_tags3, "spam_subject_tag3_maps", NULL, NULL },
		{ CCAT_SPAMMY, p->subject_tags2, "spam_subject_tag2_maps", "sa_spam_subject_tag",
			NULL },
		{ CCAT_CLEAN_TAG, p->subject_tags, "spam_subject_tag_maps", "sa_spam_subject_tag1",
			NULL },
	};
	enum mw_rc rc = MW_OK;

	for (unsigned s = 0; s < CCAT_SLOTS && rc == MW_OK; s++) {
		struct chain c = { p, &p->asks[ASK_SUBJECT_TAG + s], NULL, (enum ccat_slot)s, true,
			err_r };
		const char *text = NULL;
		size_t i = 0;

		rc = add_map(&c, p->by_ccat[s].subject_tags, "subject_tag_maps_by_ccat");
		while (i < MW_COUNT(rows) && rows[i].slot != s)
			i++;
		if (rc == MW_OK && i < MW_COUNT(rows)) {
			text = rows[i].setting != NULL ? mw_conf_text(p->conf, rows[i].setting)
						       : rows[i].text;
			rc = add_map(&c, rows[i].map, rows[i].maps);
			if (rc == MW_OK && rows[i].setting != NULL)
				rc = hidden(&c, rows[i].setting);
		}
		if (c.closed_by == NULL && text != NULL)
			c.ask->dflt = (struct mw_value){ .type = MW_VALUE_TEXT, .text = text };
		c.ask->said_by = c.closed_by != NULL  ? c.closed_by
				 : i < MW_COUNT(rows) ? rows[i].setting
						      : NULL;
	}
	return rc;
}

/* They are checked: those of tables when these were compiled. */
static void make_place(struct policy_ask *ask)
{
	if (ask->dflt.type != MW_VALUE_TEXT || !rcpt_policy_place(ask->dflt.text, &ask->place))
		ask->place = RCPT_OTHER;
}

static void make_places(struct policy *p)
{
	for (unsigned s = 0; s < CCAT_SLOTS; s++)
		make_place(&p->asks[ASK_QUARANTINE + s]);
	make_place(&p->asks[ASK_ARCHIVE]);
}

/* The way to a mailbox is as safe as that to the next hop. */
static enum mw_rc finish_method(
	const struct policy *p, struct quarantine_method *m, struct mw_err *err_r)
{
	if (m == NULL || m->kind != QUARANTINE_MAIL)
		return MW_OK;
	m->hops.hop->tls = p->forward.hop[0].tls;
	m->hops.hop->from = p->source;
	if (m->hops.hop->tls == TLS_VERIFY && next_hop_is_unix(m->hops.hop))
		return mw_fail(err_r, MW_ERR_CONF,
			"%s has no name that a certificate could have (tls_security_level_out = "
			"\"verify\")",
			m->text);
	return MW_OK;
}

static enum mw_rc finish_methods(struct policy *p, struct mw_err *err_r)
{
	enum mw_rc rc = finish_method(p, p->archive_method, err_r);

	for (unsigned s = 0; s < CCAT_SLOTS && rc == MW_OK; s++)
		rc = finish_method(p, p->by_ccat[s].quarantine_method, err_r);
	return rc;
}

/* How mail of that category is kept: the same for all recipients. */
static void order_methods(struct policy *p)
{
	for (unsigned s = 0; s < CCAT_SLOTS; s++) {
		p->quarantine[s] = NULL;
		for (enum ccat_slot at = (enum ccat_slot)s;
			at != CCAT_SLOTS && p->quarantine[s] == NULL; at = ccat_above(at))
			p->quarantine[s] = p->by_ccat[at].quarantine_method;
	}
}

static bool is_kind(const struct quarantine_method *m, enum quarantine_kind kind)
{
	return m != NULL && m->kind == kind;
}

bool policy_keeps(const struct policy *p, enum quarantine_kind kind)
{
	for (unsigned s = 0; s < CCAT_SLOTS; s++)
		if (is_kind(p->quarantine[s], kind))
			return true;
	return is_kind(p->archive_method, kind);
}

/* An absolute path of batch SMTP lies elsewhere. */
static bool is_below(const struct quarantine_method *m)
{
	return is_kind(m, QUARANTINE_LOCAL) ||
	       (is_kind(m, QUARANTINE_BSMTP) && m->template[0] != '/');
}

bool policy_keeps_files(const struct policy *p)
{
	for (unsigned s = 0; s < CCAT_SLOTS; s++)
		if (is_below(p->quarantine[s]))
			return true;
	return is_below(p->archive_method);
}

/* ------------------------------------------------------------------ the other questions */

static struct mw_value level_set(const struct policy *p, const char *setting)
{
	if (mw_conf_val(p->conf, setting)->tag == MW_V_NIL)
		return (struct mw_value){ .type = MW_VALUE_UNDEF };
	return (struct mw_value){ .type = MW_VALUE_MILLI, .milli = mw_conf_int(p->conf, setting) };
}

static enum mw_rc order_plain(struct policy *p, struct mw_err *err_r)
{
	static const struct mw_value no = { .type = MW_VALUE_BOOL },
				     yes = { .type = MW_VALUE_BOOL, .b = true },
				     none = { .type = MW_VALUE_UNDEF },
				     empty = { .type = MW_VALUE_TEXT, .text = "" };
	const struct {
		enum rcpt_ask ask;
		const struct mw_lookup *map;
		const struct mw_value *dflt;
		const char *maps, *setting; /* its default's, when that is a setting too */
	} rows[] = {
		{ ASK_LOCAL, p->local_domains, &no, "", NULL },
		{ ASK_BYPASS_VIRUS, p->bypass_virus, &no, "", NULL },
		{ ASK_BYPASS_SPAM, p->bypass_spam, &no, "", NULL },
		{ ASK_BYPASS_BANNED, p->bypass_banned, &no, "", NULL },
		{ ASK_BYPASS_HEADER, p->bypass_header, &no, "", NULL },
		{ ASK_TAG, p->tag_levels, NULL, "spam_tag_level_maps", "sa_tag_level_deflt" },
		{ ASK_TAG2, p->tag2_levels, NULL, "spam_tag2_level_maps", "sa_tag2_level_deflt" },
		{ ASK_TAG3, p->tag3_levels, NULL, "spam_tag3_level_maps", "sa_tag3_level_deflt" },
		{ ASK_KILL, p->kill_levels, NULL, "spam_kill_level_maps", "sa_kill_level_deflt" },
		{ ASK_QUARANTINE_CUTOFF, p->quarantine_cutoffs, NULL,
			"spam_quarantine_cutoff_level_maps", "sa_quarantine_cutoff_level" },
		{ ASK_ADMIN_CUTOFF, p->admin_cutoffs, &none, "spam_notifyadmin_cutoff_level_maps",
			NULL },
		{ ASK_DSN_CUTOFF, p->dsn_cutoffs, NULL, "spam_dsn_cutoff_level_maps",
			"sa_dsn_cutoff_level" },
		{ ASK_CREDIBLE_DSN_CUTOFF, p->credible_dsn_cutoffs, NULL,
			"spam_crediblefrom_dsn_cutoff_level_maps",
			"sa_crediblefrom_dsn_cutoff_level" },
		{ ASK_SIZE, p->size_limits, &none, "", NULL },
		{ ASK_SPAM_FIELDS_GO, p->spam_fields_go, &yes, "remove_existing_spam_headers_maps",
			NULL },
		{ ASK_NEXT_HOP, p->forward_methods, &none, "forward_method_maps",
			"forward_method" },
		{ ASK_ARCHIVE, p->archive_to, &empty, "archive_quarantine_to_maps", NULL },
	};
	enum mw_rc rc = MW_OK;

	for (size_t i = 0; i < MW_COUNT(rows) && rc == MW_OK; i++) {
		struct chain c = { p, &p->asks[rows[i].ask], NULL, CCAT_CATCHALL, true, err_r };

		c.ask->dflt = rows[i].dflt != NULL ? *rows[i].dflt : level_set(p, rows[i].setting);
		rc = add_map(&c, rows[i].map, rows[i].maps);
		if (rc == MW_OK && rows[i].setting != NULL)
			rc = hidden(&c, rows[i].setting);
		c.ask->said_by = c.closed_by != NULL ? c.closed_by : rows[i].setting;
	}
	return rc;
}

/* ------------------------------------------------------------------ *_by_ccat */

static enum mw_rc wrong(const struct policy *p, const char *setting, const struct mw_val *v,
	enum mw_rc rc, const struct mw_err *why, struct mw_err *err_r)
{
	char where[300] = "";

	if (v->line > 0)
		mw_conf_where(p->conf, v->line, where, sizeof(where));
	return mw_fail(err_r, rc, "%s%s%s%s%s: %s", p->bank, *p->bank != '\0' ? ": " : "", setting,
		*where != '\0' ? ", " : "", where, why->text);
}

static enum mw_rc by_ccat_maps(const struct policy_set *set, struct policy *p, const char *setting,
	size_t at, struct mw_err *err_r)
{
	const struct mw_val *v = mw_conf_val(p->conf, setting);
	struct mw_lookup_options o = mw_lookup_options_of(p->conf, setting, set->files);
	bool shared;

	o.check = rcpt_policy_check(p, setting);
	shared = policy_shares_tables(p, &o);
	for (size_t i = 0; i < v->count; i++) {
		struct mw_lookup **l;
		struct mw_err why = { "" };
		enum ccat_slot slot;
		enum mw_rc rc = ccat_of_key(v->keys[i], &slot, &why);

		if (rc != MW_OK)
			return wrong(p, setting, &v->vals[i], rc, &why, err_r);
		l = (struct mw_lookup **)(void *)((char *)&p->by_ccat[slot] + at);
		if (shared)
			*l = mw_lookup_ref(*(struct mw_lookup *const *)(const void
					*)((const char *)&p->below->by_ccat[slot] + at));
		else
			rc = mw_lookup_new_in(&v->vals[i], &o, l, err_r);
		if (rc != MW_OK)
			return rc;
	}
	return MW_OK;
}

/* What final_destiny_by_ccat and quarantine_method_by_ccat say of one category. */
static enum mw_rc by_ccat_destiny(
	const struct mw_val *v, struct policy_by_ccat *by, struct mw_err *err_r)
{
	by->has_destiny = true;
	by->destiny = (enum mw_destiny)mw_val_int(v, 0);
	if (v->tag != MW_V_NUM || mw_destiny_name(mw_val_int(v, 0)) == NULL)
		return mw_fail(err_r, MW_ERR_CONF,
			"expected D_PASS, D_REJECT, D_BOUNCE, D_DISCARD or D_TEMPFAIL");
	return MW_OK;
}

static enum mw_rc by_ccat_method(
	const struct mw_val *v, struct policy_by_ccat *by, struct mw_err *err_r)
{
	if (v->tag != MW_V_STR && v->tag != MW_V_NIL)
		return mw_fail(err_r, MW_ERR_CONF, "expected a text");
	return quarantine_method_new(mw_val_text(v, ""), &by->quarantine_method, err_r);
}

static enum mw_rc by_ccat_values(struct policy *p, const char *setting,
	enum mw_rc (*take)(const struct mw_val *v, struct policy_by_ccat *by, struct mw_err *err_r),
	struct mw_err *err_r)
{
	const struct mw_val *v = mw_conf_val(p->conf, setting);

	for (size_t i = 0; i < v->count; i++) {
		struct mw_err why = { "" };
		enum ccat_slot slot;
		enum mw_rc rc = ccat_of_key(v->keys[i], &slot, &why);

		if (rc == MW_OK)
			rc = take(&v->vals[i], &p->by_ccat[slot], &why);
		if (rc != MW_OK)
			return wrong(p, setting, &v->vals[i], rc, &why, err_r);
	}
	return MW_OK;
}

static enum mw_rc plain_method(struct policy *p, const char *setting,
	struct quarantine_method **method_r, struct mw_err *err_r)
{
	const char *text = mw_conf_text(p->conf, setting);
	struct mw_err why = { "" };
	enum mw_rc rc = quarantine_method_new(text != NULL ? text : "", method_r, &why);

	return rc == MW_OK ? rc : wrong(p, setting, mw_conf_val(p->conf, setting), rc, &why, err_r);
}

/* The settings without a category; what is by category was there before. */
static enum mw_rc plain_methods(struct policy *p, struct mw_err *err_r)
{
	for (unsigned s = 0; s < CCAT_SLOTS; s++) {
		const char *setting = plains[s].quarantine_method;
		struct quarantine_method *method;
		enum mw_rc rc;

		if (setting == NULL)
			continue;
		rc = plain_method(p, setting, &method, err_r);
		if (rc != MW_OK)
			return rc;
		if (p->by_ccat[s].quarantine_method == NULL)
			p->by_ccat[s].quarantine_method = method;
		else
			quarantine_method_destroy(&method);
	}
	return plain_method(p, "archive_quarantine_method", &p->archive_method, err_r);
}

/* ------------------------------------------------------------------ all */

/*
 * A folder below QUARANTINEDIR, one of the names that amavisd's local_delivery_aliases has for that
 * itself, or an address that a copy is mailed to.
 */
static enum mw_rc check_place(const char *text, struct mw_err *err_r)
{
	const char *place;

	if (rcpt_policy_place(text, &place))
		return MW_OK;
	return mw_fail(err_r, MW_ERR_CONF,
		"\"%.80s\": expected a folder's name (2 to 60 letters, digits and . _ -), an "
		"address, %%a for the recipient's, or \"\" for not to be kept",
		text);
}

enum mw_rc (*rcpt_policy_check(const struct policy *p, const char *setting))(
	const char *text, struct mw_err *err_r)
{
	const char *level = mw_conf_text(p->conf, "tls_security_level_out");

	if (strcmp(setting, "forward_method_maps") == 0)
		return level != NULL && strcmp(level, "verify") == 0 ? policy_route_check_named
								     : policy_route_check;
	return strstr(setting, "quarantine_to") != NULL ||
			       strstr(setting, "quarantine_bysender_to") != NULL
		       ? check_place
		       : rcpt_texts_check(setting);
}

enum mw_rc rcpt_policy_compile(const struct policy_set *set, struct policy *p, struct mw_err *err_r)
{
	static const struct mw_value no = { .type = MW_VALUE_BOOL },
				     pass = { .type = MW_VALUE_MILLI, .milli = MW_D_PASS * 1000 },
				     kept = { .type = MW_VALUE_TEXT, .text = RCPT_OTHER };
	enum mw_rc rc = by_ccat_maps(set, p, "final_destiny_maps_by_ccat",
		offsetof(struct policy_by_ccat, destinies), err_r);

	if (rc == MW_OK)
		rc = by_ccat_maps(set, p, "lovers_maps_by_ccat",
			offsetof(struct policy_by_ccat, lovers), err_r);
	if (rc == MW_OK)
		rc = by_ccat_maps(set, p, "quarantine_to_maps_by_ccat",
			offsetof(struct policy_by_ccat, quarantine_to), err_r);
	if (rc == MW_OK)
		rc = by_ccat_maps(set, p, "subject_tag_maps_by_ccat",
			offsetof(struct policy_by_ccat, subject_tags), err_r);
	if (rc == MW_OK)
		rc = by_ccat_values(p, "final_destiny_by_ccat", by_ccat_destiny, err_r);
	if (rc == MW_OK)
		rc = by_ccat_values(p, "quarantine_method_by_ccat", by_ccat_method, err_r);
	if (rc == MW_OK)
		rc = plain_methods(p, err_r);
	if (rc == MW_OK)
		rc = order_plain(p, err_r);
	if (rc == MW_OK)
		rc = order_by_category(p, ASK_DESTINY, add_destinies, pass, err_r);
	if (rc == MW_OK)
		rc = order_by_category(p, ASK_LOVES, add_lovers, no, err_r);
	if (rc == MW_OK)
		rc = order_by_category(p, ASK_QUARANTINE, add_quarantine, kept, err_r);
	if (rc == MW_OK)
		rc = order_subject_tags(p, err_r);
	if (rc == MW_OK)
		rc = finish_methods(p, err_r);
	make_places(p);
	order_methods(p);
	return rc == MW_OK ? rcpt_policy_prepare(p, err_r) : rc;
}

void rcpt_policy_fini(struct policy *p)
{
	for (unsigned s = 0; s < CCAT_SLOTS; s++) {
		mw_lookup_unref(&p->by_ccat[s].destinies);
		mw_lookup_unref(&p->by_ccat[s].lovers);
		mw_lookup_unref(&p->by_ccat[s].quarantine_to);
		mw_lookup_unref(&p->by_ccat[s].subject_tags);
		quarantine_method_destroy(&p->by_ccat[s].quarantine_method);
	}
	quarantine_method_destroy(&p->archive_method);
	free(p->usual);
	p->usual = NULL;
}
