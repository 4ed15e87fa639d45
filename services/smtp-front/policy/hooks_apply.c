/* Doing what a hook has asked for, after it has returned. */
#include "hooks_priv.h"
#include "mail_policy.h"

/* ------------------------------------------------------------------ policy, recipients */

static bool same_rcpt(const struct txn_rcpt *r, const char *addr)
{
	return !r->removed && mw_ieq(r->addr, addr);
}

static bool has_rcpt(const struct txn *t, const char *addr)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (same_rcpt(&t->rcpts[i], addr))
			return true;
	return false;
}

/* The limits of recipients hold for what is there in the end. */
static bool has_room(const struct hook_call *c)
{
	size_t count = 0, octets = 0;

	for (size_t i = 0; i < c->act_count; i++) {
		const struct hook_act *a = &c->acts[i];

		count += a->kind == ACT_ADD_RCPT;
		if (a->kind == ACT_ADD_RCPT || a->kind == ACT_REWRITE_RCPT)
			octets += strlen(a->kind == ACT_ADD_RCPT ? a->text : a->more);
	}
	return count + octets == 0 || txn_has_room(c->t, count, octets);
}

/* Banks, all or none. */
static bool load_banks(const struct hook_call *c)
{
	struct txn *t = c->t;
	const struct policy *policy = t->policy;
	const struct next_hops *route = t->route;
	bool originating = t->originating;

	for (size_t i = 0; i < c->act_count; i++)
		if (c->acts[i].kind == ACT_LOAD_BANK &&
			!mail_policy_load(t, MAIL_BANK_OF_HOOK, c->acts[i].text)) {
			t->policy = policy;
			t->route = route;
			t->originating = originating;
			return false;
		}
	return true;
}

static enum mw_rc add_rcpt(struct txn *t, const char *addr)
{
	if (has_rcpt(t, addr))
		return MW_OK;
	if (txn_add_rcpt(t, addr, &(struct smtp_rcpt_params){ 0 }) != MW_OK)
		return MW_ERR_NOMEM;
	t->rcpts[t->rcpt_count - 1].added = true;
	t->added_count++;
	return MW_OK;
}

/* Accepted from the client and dropped; its reply and the record say so. One that the client does
 * not know is as if it had never been added. */
static void remove_rcpt(struct txn *t, struct txn_rcpt *r)
{
	r->removed = true;
	r->code = 250;
	r->action = MW_ACT_DISCARD;
	r->destiny = MW_D_DISCARD;
	r->reply =
		smtp_arena_printf(&t->arena, "250 2.7.0 Ok, discarded by policy, id=%s", t->log_id);
}

static void rewrite_rcpt(struct txn *t, struct txn_rcpt *r, const char *addr)
{
	t->rcpt_octets += strlen(addr);
	t->rcpt_octets -= strlen(r->addr);
	if (r->given == NULL)
		r->given = r->addr;
	r->addr = addr;
}

/* Is the recipient at i the one that the hook means? It saw those of before its acts: one may have
 * got the address that another had. */
static bool is_meant(const struct hook_call *c, size_t i, const char *addr)
{
	const struct txn_rcpt *r = &c->t->rcpts[i];

	return !r->removed && mw_ieq(i < c->seen_count ? c->seen[i] : r->addr, addr);
}

static void change_rcpts(struct hook_call *c, const struct hook_act *a)
{
	struct txn *t = c->t;

	for (size_t i = 0; i < t->rcpt_count; i++) {
		if (!is_meant(c, i, a->text))
			continue;
		if (a->kind == ACT_REMOVE_RCPT)
			remove_rcpt(t, &t->rcpts[i]);
		else
			rewrite_rcpt(t, &t->rcpts[i], a->more);
	}
}

/* ------------------------------------------------------------------ findings */

static enum mw_rc add_score(struct hook_call *c, const struct hook_act *a)
{
	struct txn *t = c->t;
	struct txn_hooked *all = t->hooked;

	if (all->tests == NULL)
		all->tests = smtp_arena_array(&t->arena, HOOK_TESTS_MAX, sizeof(*all->tests));
	if (all->tests == NULL)
		return MW_ERR_NOMEM;
	all->tests[all->test_count++] =
		(struct mw_record_test){ mw_octets_of_text(a->text), a->milli };
	if (a->for_all)
		all->milli += a->milli;
	for (size_t i = 0; i < t->rcpt_count && !a->for_all; i++)
		if (is_meant(c, i, a->more))
			t->rcpts[i].hook_milli += a->milli;
	return MW_OK;
}

static enum mw_rc add_virus(struct txn *t, const char *name)
{
	struct txn_hooked *all = t->hooked;

	if (all->viruses == NULL)
		all->viruses = smtp_arena_array(&t->arena, HOOK_VIRUSES_MAX, sizeof(*all->viruses));
	if (all->viruses == NULL)
		return MW_ERR_NOMEM;
	all->viruses[all->virus_count++] =
		(struct finding_virus){ mw_octets_of_text("hook"), mw_octets_of_text(name) };
	return MW_OK;
}

enum mw_rc hooks_viruses(struct txn *t)
{
	struct txn_hooked *all = t->hooked;
	struct finding_virus *v;

	if (all == NULL || all->virus_count == 0)
		return MW_OK;
	v = smtp_arena_array(&t->arena, t->found.virus_count + all->virus_count, sizeof(*v));
	if (v == NULL)
		return MW_ERR_NOMEM;
	if (t->found.virus_count > 0)
		memcpy(v, t->found.viruses, t->found.virus_count * sizeof(*v));
	memcpy(v + t->found.virus_count, all->viruses, all->virus_count * sizeof(*v));
	t->found.viruses = v;
	t->found.virus_count += all->virus_count;
	all->viruses = NULL;
	all->virus_count = 0;
	return MW_OK;
}

/* ------------------------------------------------------------------ edits */

static enum mw_rc add_field(struct txn *t, const char *field)
{
	const char *all = smtp_arena_printf(&t->arena, "%s%s", t->hooked->fields, field);

	if (all == NULL)
		return MW_ERR_NOMEM;
	t->hooked->fields = all;
	return MW_OK;
}

static enum mw_rc remove_field(struct txn *t, const char *name)
{
	struct txn_hooked *all = t->hooked;

	if (all->removed == NULL)
		all->removed = smtp_arena_array(&t->arena, HOOK_EDITS_MAX, sizeof(*all->removed));
	if (all->removed == NULL)
		return MW_ERR_NOMEM;
	all->removed[all->removed_count++] = name;
	return MW_OK;
}

static enum mw_rc prefix_subject(struct txn *t, const char *prefix)
{
	const char *before = t->hooked->subject_prefix != NULL ? t->hooked->subject_prefix : "";
	const char *all = smtp_arena_printf(&t->arena, "%s%s", before, prefix);

	if (all == NULL)
		return MW_ERR_NOMEM;
	t->hooked->subject_prefix = all;
	return MW_OK;
}

/* ------------------------------------------------------------------ all */

static enum mw_rc do_act(struct hook_call *c, const struct hook_act *a)
{
	struct txn *t = c->t;

	switch (a->kind) {
	case ACT_LOAD_BANK:
		return MW_OK; /* load_banks() */
	case ACT_ADD_SCORE:
		return add_score(c, a);
	case ACT_ADD_VIRUS:
		return add_virus(t, a->text);
	case ACT_ADD_UNCHECKED:
		t->hooked->unchecked = true;
		t->hooked->unchecked_why = a->text;
		return MW_OK;
	case ACT_ADD_FIELD:
		return add_field(t, a->more);
	case ACT_REMOVE_FIELD:
		return remove_field(t, a->text);
	case ACT_PREFIX_SUBJECT:
		return prefix_subject(t, a->text);
	case ACT_ADD_RCPT:
		return add_rcpt(t, a->text);
	case ACT_REMOVE_RCPT:
	case ACT_REWRITE_RCPT:
		change_rcpts(c, a);
		return MW_OK;
	}
	return MW_OK;
}

static enum mw_rc see_rcpts(struct hook_call *c)
{
	c->seen = smtp_arena_array(&c->t->arena, c->t->rcpt_count, sizeof(*c->seen));
	if (c->seen == NULL)
		return MW_ERR_NOMEM;
	c->seen_count = c->t->rcpt_count;
	for (size_t i = 0; i < c->seen_count; i++)
		c->seen[i] = c->t->rcpts[i].addr;
	return MW_OK;
}

enum mw_rc hook_apply(struct hook_call *c, struct mw_err *err_r)
{
	struct txn_hooked *all = c->t->hooked;
	enum mw_rc rc = c->act_count > 0 ? see_rcpts(c) : MW_OK;

	/* What can refuse comes first; the rest can only run out of memory. */
	if (!has_room(c))
		return mw_fail(err_r, MW_ERR_LIMIT,
			"more recipients than smtpd_recipient_limit, or than a job's header holds");
	if (!load_banks(c))
		return mw_fail(err_r, MW_ERR_CONF, "a policy bank cannot be loaded");
	for (size_t i = 0; i < c->act_count && rc == MW_OK; i++)
		rc = do_act(c, &c->acts[i]);
	/* Jobs from here on name the recipients of now; the one before, of signatures, is over. */
	if (c->point == HOOK_NEW)
		mw_pack_fini(&c->t->rcpts_packed);
	all->edit_count = c->edits;
	all->edit_octets = c->edit_octets;
	return rc == MW_OK ? MW_OK : mw_fail(err_r, rc, "out of memory");
}

void hook_acts_text(const struct hook_call *c, struct mw_text *out)
{
	static const char *const names[] = {
		[ACT_LOAD_BANK] = "load_policy_bank",
		[ACT_ADD_SCORE] = "add_score",
		[ACT_ADD_VIRUS] = "add_virus",
		[ACT_ADD_UNCHECKED] = "add_unchecked",
		[ACT_ADD_FIELD] = "add_field",
		[ACT_REMOVE_FIELD] = "remove_field",
		[ACT_PREFIX_SUBJECT] = "prefix_subject",
		[ACT_ADD_RCPT] = "add_recipient",
		[ACT_REMOVE_RCPT] = "remove_recipient",
		[ACT_REWRITE_RCPT] = "rewrite_recipient",
	};

	for (size_t i = 0; i < c->act_count && out->n < HOOK_SAID_MAX; i++) {
		const struct hook_act *a = &c->acts[i];

		mw_text_addf(out, "%s%s ", i > 0 ? "; " : "", names[a->kind]);
		if (a->kind == ACT_ADD_SCORE)
			mw_text_addf(out, "%g ", a->milli / 1000.0);
		mw_text_add(out, a->text);
		if (a->kind == ACT_REWRITE_RCPT || (a->kind == ACT_ADD_SCORE && !a->for_all))
			mw_text_addf(out, " %s", a->more);
	}
}
