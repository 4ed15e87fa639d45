#include "mail_policy.h"

#include "log.h"

#define OUR_USERS "MYUSERS"

static bool loaded(struct txn *t, const struct policy *p, const struct mw_err *why)
{
	if (p == NULL) {
		mw_log(MW_ERROR, "policy_bank_failed", "log_id=%s why=%s", t->log_id,
			mw_quote(why->text));
		return false;
	}
	t->policy = p;
	t->originating = p->originating;
	t->route = &p->forward;
	return true;
}

static bool load(struct txn *t, const char *banks)
{
	struct mw_err why = { "" };

	return loaded(t,
		banks != NULL ? policy_load_all(t->set, t->policy, banks, &why) : t->policy, &why);
}

/* A peer that names a bank we do not have has other settings than ours: worth a warning each time,
 * and no reason to lose its mail. */
static bool load_asked(struct txn *t, const char *banks)
{
	struct mw_err why = { "" };

	while (banks != NULL && *banks != '\0') {
		char name[64];
		size_t n;

		banks += strspn(banks, ", \t");
		n = strcspn(banks, ", \t");
		if (n > 0 && !policy_has_bank(t->set, banks, n))
			mw_log(MW_WARN, "unknown_bank", "log_id=%s peer=%s bank=%s", t->log_id,
				t->peer_ip, mw_quote_octets(name, sizeof(name), banks, n));
		else if (n > 0 &&
			 !loaded(t,
				 policy_load(t->set, t->policy, banks, n, POLICIES_ASKED_MAX, &why),
				 &why))
			return false;
		banks += n;
	}
	return true;
}

static bool is_ours(const struct txn *t)
{
	return t->originating && policy_has_bank(t->set, OUR_USERS, strlen(OUR_USERS)) &&
	       mw_lookup_bool(t->policy->local_domains, t->sender, false);
}

bool mail_policy_begin(struct txn *t, const char *asked)
{
	const char *client = t->has_xforward ? t->xforward.addr : NULL;

	return load(t, policy_banks_of_client(t->set, t->policy, client)) && load_asked(t, asked) &&
	       load(t, is_ours(t) ? OUR_USERS : NULL);
}

/* A score that a table gives is as large as it likes; ours have bounds (MW_T_MILLI of the
 * settings). */
static int32_t level_of(const struct mw_lookup *l, const char *addr, int32_t dflt)
{
	int64_t milli = mw_lookup_milli(l, addr, dflt);

	return milli > INT32_MAX ? INT32_MAX : milli < INT32_MIN ? INT32_MIN : (int32_t)milli;
}

void mail_policy_recipient(const struct policy *p, struct txn_rcpt *r)
{
	r->is_local = mw_lookup_bool(p->local_domains, r->addr, false);
	r->bypass_virus = mw_lookup_bool(p->bypass_virus, r->addr, false);
	r->bypass_spam = mw_lookup_bool(p->bypass_spam, r->addr, false);
	r->bypass_banned = mw_lookup_bool(p->bypass_banned, r->addr, false);
	r->virus_lover = mw_lookup_bool(p->virus_lovers, r->addr, false);
	r->spam_lover = mw_lookup_bool(p->spam_lovers, r->addr, false);
	r->unchecked_lover = mw_lookup_bool(p->unchecked_lovers, r->addr, false);
	r->tag_milli = level_of(p->tag_levels, r->addr, p->tag_milli);
	r->tag2_milli = level_of(p->tag2_levels, r->addr, p->tag2_milli);
	r->kill_milli = level_of(p->kill_levels, r->addr, p->kill_milli);
}
