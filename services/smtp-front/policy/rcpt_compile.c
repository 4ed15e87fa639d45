/* Which tables are asked about a recipient, and in which order. */
#include "rcpt_policy.h"

#include <stdio.h>

#include "log.h"
#include "policy_priv.h"
#include "policy_route.h"

/* The settings without a category in their names, by category. */
static const struct plain {
	const char *destiny, *lovers, *quarantine_to, *quarantine_method;
	size_t lovers_at, quarantine_to_at; /* in struct policy */
} plains[CCAT_SLOTS] = {
	[CCAT_VIRUS] = { "final_virus_destiny", "virus_lovers_maps", "virus_quarantine_to_maps",
		"virus_quarantine_method", offsetof(struct policy, virus_lovers),
		offsetof(struct policy, virus_quarantine_to) },
	[CCAT_UNCHECKED] = { "final_unchecked_destiny", "unchecked_lovers_maps",
		"unchecked_quarantine_to_maps", "unchecked_quarantine_method",
		offsetof(struct policy, unchecked_lovers),
		offsetof(struct policy, unchecked_quarantine_to) },
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
	if (rc == MW_OK && plains[slot].destiny != NULL)
		rc = add_number(c, mw_conf_int(c->p->conf, plains[slot].destiny) * 1000,
			plains[slot].destiny);
	/* What is over somebody's limit was limited by somebody. */
	if (rc == MW_OK && slot == CCAT_OVERSIZED && c->closed_by == NULL)
		rc = add_number(c, MW_D_REJECT * 1000, "");
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
		struct chain c = { p, &p->asks[first + s], NULL, false, err_r };

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

/* They are checked: those of tables when these were compiled. */
static void make_folders(struct policy *p)
{
	for (unsigned s = 0; s < CCAT_SLOTS; s++) {
		struct policy_ask *ask = &p->asks[ASK_QUARANTINE + s];

		if (ask->dflt.type != MW_VALUE_TEXT ||
			!rcpt_policy_folder(ask->dflt.text, &ask->folder))
			ask->folder = "";
	}
}

/* Where blocked mail of that category is kept: text alone, and the same for all recipients. */
static void order_methods(struct policy *p)
{
	for (unsigned s = 0; s < CCAT_SLOTS; s++) {
		p->quarantine[s] = "";
		for (enum ccat_slot at = (enum ccat_slot)s; at != CCAT_SLOTS; at = ccat_above(at))
			if (p->by_ccat[at].quarantine_method != NULL) {
				p->quarantine[s] = p->by_ccat[at].quarantine_method;
				break;
			}
	}
}

bool policy_keeps_mail(const struct policy *p)
{
	for (unsigned s = 0; s < CCAT_SLOTS; s++)
		if (*p->quarantine[s] != '\0')
			return true;
	return false;
}

/* ------------------------------------------------------------------ the other questions */

static enum mw_rc order_plain(struct policy *p, struct mw_err *err_r)
{
	static const struct mw_value no = { .type = MW_VALUE_BOOL },
				     none = { .type = MW_VALUE_UNDEF };
	const struct mw_value tag = { .type = MW_VALUE_MILLI, .milli = p->tag_milli },
			      tag2 = { .type = MW_VALUE_MILLI, .milli = p->tag2_milli },
			      kill = { .type = MW_VALUE_MILLI, .milli = p->kill_milli };
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
		{ ASK_TAG, p->tag_levels, &tag, "spam_tag_level_maps", "sa_tag_level_deflt" },
		{ ASK_TAG2, p->tag2_levels, &tag2, "spam_tag2_level_maps", "sa_tag2_level_deflt" },
		{ ASK_KILL, p->kill_levels, &kill, "spam_kill_level_maps", "sa_kill_level_deflt" },
		{ ASK_SIZE, p->size_limits, &none, "", NULL },
		{ ASK_NEXT_HOP, p->forward_methods, &none, "forward_method_maps",
			"forward_method" },
	};
	enum mw_rc rc = MW_OK;

	for (size_t i = 0; i < MW_COUNT(rows) && rc == MW_OK; i++) {
		struct chain c = { p, &p->asks[rows[i].ask], NULL, true, err_r };

		c.ask->dflt = *rows[i].dflt;
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
	by->destiny = (enum mw_destiny)mw_val_int(v, MW_D_BOUNCE);
	if (by->destiny == MW_D_BOUNCE || mw_destiny_name(by->destiny) == NULL)
		return mw_fail(err_r, MW_ERR_CONF,
			"expected D_PASS, D_REJECT, D_DISCARD or D_TEMPFAIL (this version sends no "
			"bounces)");
	return MW_OK;
}

static enum mw_rc by_ccat_method(
	const struct mw_val *v, struct policy_by_ccat *by, struct mw_err *err_r)
{
	if (v->tag != MW_V_STR && v->tag != MW_V_NIL)
		return mw_fail(err_r, MW_ERR_CONF, "expected a text");
	return rcpt_policy_method(mw_val_text(v, ""), &by->quarantine_method, err_r);
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

/* Quarantine by now is one gzip file a mail: local:NAME%m.gz. */
enum mw_rc rcpt_policy_method(const char *text, const char **method_r, struct mw_err *err_r)
{
	size_t n = strlen(text);

	*method_r = text;
	if (n == 0)
		return MW_OK;
	if (strncmp(text, "local:", 6) != 0 || n < 12 || n > RCPT_METHOD_MAX ||
		strcmp(text + n - 3, ".gz") != 0 || strstr(text, "%m") == NULL ||
		strchr(text, '/') != NULL)
		return mw_fail(err_r, MW_ERR_CONF,
			"\"%.100s\": expected local:NAME with %%m in it, ending in .gz", text);
	*method_r = text + 6;
	return MW_OK;
}

/* The settings without a category; what is by category was there before. */
static enum mw_rc plain_methods(struct policy *p, struct mw_err *err_r)
{
	for (unsigned s = 0; s < CCAT_SLOTS; s++) {
		const char *setting = plains[s].quarantine_method, *text, *method;
		struct mw_err why = { "" };
		enum mw_rc rc;

		if (setting == NULL)
			continue;
		text = mw_conf_text(p->conf, setting);
		rc = rcpt_policy_method(text != NULL ? text : "", &method, &why);
		if (rc != MW_OK)
			return wrong(p, setting, mw_conf_val(p->conf, setting), rc, &why, err_r);
		if (p->by_ccat[s].quarantine_method == NULL)
			p->by_ccat[s].quarantine_method = method;
	}
	return MW_OK;
}

static enum mw_rc plain_destinies(struct policy *p, struct mw_err *err_r)
{
	for (unsigned s = 0; s < CCAT_SLOTS; s++) {
		const char *setting = plains[s].destiny;

		if (setting != NULL && mw_conf_int(p->conf, setting) == MW_D_BOUNCE)
			return mw_fail(err_r, MW_ERR_CONF,
				"%s%s%s = D_BOUNCE: this version sends no bounces; use D_REJECT, "
				"D_DISCARD, D_TEMPFAIL or D_PASS",
				p->bank, *p->bank != '\0' ? ": " : "", setting);
	}
	return MW_OK;
}

/* ------------------------------------------------------------------ all */

/*
 * A folder below QUARANTINEDIR, or one of the names that amavisd's local_delivery_aliases has for
 * that itself.
 */
static enum mw_rc check_folder(const char *text, struct mw_err *err_r)
{
	const char *folder;

	if (rcpt_policy_folder(text, &folder))
		return MW_OK;
	return mw_fail(err_r, MW_ERR_CONF,
		"\"%.80s\": this version keeps mail in files below QUARANTINEDIR and sends no "
		"copies: expected a folder's name (2 to 60 letters, digits and . _ -), or \"\" for "
		"not to be kept",
		text);
}

enum mw_rc (*rcpt_policy_check(const struct policy *p, const char *setting))(
	const char *text, struct mw_err *err_r)
{
	const char *level = mw_conf_text(p->conf, "tls_security_level_out");

	if (strcmp(setting, "forward_method_maps") == 0)
		return level != NULL && strcmp(level, "verify") == 0 ? policy_route_check_named
								     : policy_route_check;
	return strstr(setting, "quarantine_to") != NULL ? check_folder : NULL;
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
		rc = by_ccat_values(p, "final_destiny_by_ccat", by_ccat_destiny, err_r);
	if (rc == MW_OK)
		rc = by_ccat_values(p, "quarantine_method_by_ccat", by_ccat_method, err_r);
	if (rc == MW_OK)
		rc = plain_methods(p, err_r);
	if (rc == MW_OK)
		rc = plain_destinies(p, err_r);
	if (rc == MW_OK)
		rc = order_plain(p, err_r);
	if (rc == MW_OK)
		rc = order_by_category(p, ASK_DESTINY, add_destinies, pass, err_r);
	if (rc == MW_OK)
		rc = order_by_category(p, ASK_LOVES, add_lovers, no, err_r);
	if (rc == MW_OK)
		rc = order_by_category(p, ASK_QUARANTINE, add_quarantine, kept, err_r);
	make_folders(p);
	order_methods(p);
	return rc;
}

void rcpt_policy_fini(struct policy *p)
{
	for (unsigned s = 0; s < CCAT_SLOTS; s++) {
		mw_lookup_unref(&p->by_ccat[s].destinies);
		mw_lookup_unref(&p->by_ccat[s].lovers);
		mw_lookup_unref(&p->by_ccat[s].quarantine_to);
	}
}
