#include "always_bcc.h"

#include "decide.h"

/* The mail's categories, all recipients' together, by slot. */
static void slots_of(const struct txn *t, bool slots[CCAT_SLOTS])
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		for (size_t k = 0; k < t->rcpts[i].ccat_count; k++)
			slots[ccat_slot_of(t->rcpts[i].ccats[k])] = true;
}

static bool is_blocked(const struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].ccat_blocking != 0)
			return true;
	return false;
}

/* Slots stand in the order of importance. Of a mail that is blocked for some only that counts. */
const char *always_bcc_address(const struct txn *t, const struct policy_bcc *bcc)
{
	bool slots[CCAT_SLOTS] = { false };

	if (is_blocked(t))
		slots[ccat_slot_of(decide_ccat(t))] = true;
	else
		slots_of(t, slots);
	slots[CCAT_CATCHALL] = true;
	for (unsigned s = 0; s < CCAT_SLOTS; s++)
		for (enum ccat_slot at = (enum ccat_slot)s; slots[s] && at != CCAT_SLOTS;
			at = at == ccat_major(at) ? CCAT_SLOTS : ccat_major(at))
			if (bcc->to[at] != NULL)
				return bcc->to[at];
	return NULL;
}

static bool somebody_gets_it(const struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].code == 0)
			return true;
	return false;
}

static void decide_like(struct txn_rcpt *r, const struct txn_rcpt *like)
{
	memcpy(r->ccats, like->ccats, sizeof(r->ccats));
	r->ccat_count = like->ccat_count;
	r->has_score = like->has_score;
	r->score_milli = like->score_milli;
	r->tag = like->tag;
	r->tag2 = like->tag2;
	r->tag3 = like->tag3;
	r->kill = like->kill;
	r->white = like->white;
	r->black = like->black;
	r->tag_milli = like->tag_milli;
	r->tag2_milli = like->tag2_milli;
	r->banned_part = like->banned_part;
}

enum mw_rc always_bcc(struct txn *t)
{
	const char *to = t->policy->bcc.any && somebody_gets_it(t)
				 ? always_bcc_address(t, &t->policy->bcc)
				 : NULL;
	struct txn_rcpt *r;
	size_t like = 0;

	if (to == NULL || *to == '\0')
		return MW_OK;
	if (txn_add_rcpt(t, to, &(struct smtp_rcpt_params){ .notify = SMTP_NOTIFY_NEVER }) != MW_OK)
		return MW_ERR_NOMEM;
	r = &t->rcpts[t->rcpt_count - 1];
	rcpt_policy_resolve(t, r, NULL);
	r->route = &t->policy->notify;
	r->added = true;
	t->added_count++;
	/* Its category is the mail's: what was decided for the one whose is the highest. */
	for (size_t i = 1; i + 1 < t->rcpt_count; i++)
		if (t->rcpts[i].ccat_count > 0 &&
			(t->rcpts[like].ccat_count == 0 ||
				t->rcpts[i].ccats[0] > t->rcpts[like].ccats[0]))
			like = i;
	decide_like(r, &t->rcpts[like]);
	txn_log(t, MW_INFO, "always_bcc", "log_id=%s mail_id=%s rcpt=%s", t->log_id, t->mail_id,
		mw_quote(to));
	return MW_OK;
}
