#include "plan.h"

#include "outcome/edit.h"

#include <stdlib.h>

#include "banned.h"
#include "ip.h"
#include "outcome/decide.h"

#define IPS_MAX 32 /* addresses asked about for one mail */

static bool skip(struct txn *t, enum dispatch_kind kind, const char *why)
{
	t->checks[kind].state = CHECK_SKIPPED;
	t->checks[kind].skipped = why;
	return false;
}

static struct mw_octets of_text(const char *s)
{
	return mw_octets_of_text(s != NULL ? s : "");
}

static struct mw_octets packed_rcpts(struct txn *t)
{
	if (t->rcpts_packed.n == 0) {
		mw_pack_array(&t->rcpts_packed, t->rcpt_count);
		for (size_t i = 0; i < t->rcpt_count; i++)
			mw_pack_text(&t->rcpts_packed, t->rcpts[i].addr);
	}
	return mw_octets_of(t->rcpts_packed.p, t->rcpts_packed.n);
}

void plan_what(struct txn *t, enum dispatch_kind kind)
{
	struct txn_check *c = &t->checks[kind];

	c->txn = t;
	c->kind = kind;
	c->what = (struct mw_job){
		.size = smtp_body_size(t->body),
		.sender = of_text(t->sender),
		.rcpts = packed_rcpts(t),
		.helo = of_text(t->xforward.helo != NULL ? t->xforward.helo : t->helo),
		.client_ip = of_text(t->client_ip),
		.client_name = of_text(t->xforward.name),
		.client_port = t->client_port,
		.client_source = of_text(t->xforward.source),
		.tls = of_text(t->tls),
		.orders = mw_octets_of(c->orders.p, c->orders.n),
	};
	mw_strlcpy(c->what.log_id, t->log_id, sizeof(c->what.log_id));
	mw_strlcpy(c->what.mail_id, t->mail_id, sizeof(c->what.mail_id));
}

static bool all_bypass(const struct txn *t, size_t offset)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (!t->rcpts[i].removed && !*(const bool *)((const char *)&t->rcpts[i] + offset))
			return false;
	return t->rcpt_count > 0;
}

bool plan_auth(struct txn *t)
{
	if (!t->policy->dkim_verify)
		return skip(t, JOB_AUTH, "enable_dkim_verification is off");
	if (mw_header_first(&t->header, MW_H_DKIM_SIGNATURE) == NULL)
		return skip(t, JOB_AUTH, "no signature");
	plan_what(t, JOB_AUTH);
	return true;
}

bool plan_scan(struct txn *t)
{
	struct mw_pack *orders = &t->checks[JOB_SCAN].orders;

	bool virus = !all_bypass(t, offsetof(struct txn_rcpt, bypass_virus)),
	     parts = banned_wanted(t),
	     digests = t->policy->part_digests && !t->policy->bypass_decode_parts;

	if (!virus && !parts)
		return skip(t, JOB_SCAN, "all recipients bypass virus checks");
	mw_pack_map(orders, 2 + parts + digests);
	mw_pack_kv_bool(orders, "virus", virus);
	mw_pack_kv_bool(orders, "decode", !t->policy->bypass_decode_parts);
	if (parts)
		mw_pack_kv_bool(orders, "parts", true);
	if (digests)
		mw_pack_kv_bool(orders, "digests", true);
	t->tree_ordered = parts;
	plan_what(t, JOB_SCAN);
	return true;
}

void plan_rescan(struct txn *t, size_t octets)
{
	struct mw_pack *orders = &t->checks[JOB_SCAN].orders;

	mw_pack_map(orders, 2);
	mw_pack_kv_bool(orders, "virus", true);
	mw_pack_kv_bool(orders, "decode", !t->policy->bypass_decode_parts);
	plan_what(t, JOB_SCAN);
	t->checks[JOB_SCAN].what.size = octets;
}

/* The client's address, then the public ones of the trace, each once. */
static size_t public_ips(const struct txn *t, struct mw_octets *out)
{
	size_t n = 0;

	if (t->client_ip != NULL && mw_ip_is_public(t->client_ip))
		out[n++] = of_text(t->client_ip);
	for (size_t i = 0; i < t->facts.ip_trace.count && n < IPS_MAX; i++)
		if (n == 0 || t->client_ip == NULL ||
			!mw_octets_ieq(t->facts.ip_trace.items[i], t->client_ip))
			out[n++] = t->facts.ip_trace.items[i];
	return n;
}

static void pack_list(
	struct mw_pack *b, const char *key, const struct mw_octets *items, size_t count)
{
	mw_pack_text(b, key);
	mw_pack_array(b, count);
	for (size_t i = 0; i < count; i++)
		mw_pack_octets(b, items[i]);
}

bool plan_reputation(struct txn *t)
{
	struct mw_pack *orders = &t->checks[JOB_REPUTATION].orders;
	struct mw_octets ips[IPS_MAX];
	size_t count = public_ips(t, ips);
	bool penpals = t->policy->penpals_bonus_milli > 0 && t->policy->penpals_halflife_s > 0 &&
		       !t->originating;

	if (!t->set->check_reputation)
		return skip(t, JOB_REPUTATION, "no Redis is set");
	if (!t->policy->ip_repu)
		count = 0;
	if (count == 0 && !penpals && !t->originating)
		return skip(t, JOB_REPUTATION, "nothing to ask");
	mw_pack_map(orders, 6);
	mw_pack_kv_int(orders, "time_ms", (int64_t)t->time_ms);
	pack_list(orders, "ips", ips, count);
	mw_pack_kv_bool(orders, "originating", t->originating);
	mw_pack_kv_bool(orders, "penpals", penpals);
	pack_list(orders, "references", t->facts.references.items, t->facts.references.count);
	mw_pack_text(orders, "local");
	mw_pack_array(orders, t->rcpt_count);
	for (size_t i = 0; i < t->rcpt_count; i++)
		mw_pack_bool(orders, t->rcpts[i].is_local);
	plan_what(t, JOB_REPUTATION);
	return true;
}

bool plan_spam(struct txn *t)
{
	if (!t->set->check_spam)
		return skip(t, JOB_SPAM, "no spam engine is set");
	if (all_bypass(t, offsetof(struct txn_rcpt, bypass_spam)))
		return skip(t, JOB_SPAM, "all recipients bypass spam checks");
	if (decide_all_blocked(t))
		return skip(t, JOB_SPAM,
			t->found.virus_count > 0 ? "infected"
						 : "all recipients are blocked already");
	if (decide_all_listed(t))
		return skip(t, JOB_SPAM, "the sender is listed for all recipients");
	if (t->check_failure != NULL)
		return skip(t, JOB_SPAM, "the mail is deferred already");
	plan_what(t, JOB_SPAM);
	return true;
}

bool plan_sign(struct txn *t, const struct policy_signer **signer_r)
{
	*signer_r = NULL;
	if (!t->policy->dkim_sign || t->set->signer_count == 0)
		return skip(t, JOB_SIGN, "enable_dkim_signing is off, or no dkim_key");
	if (!t->originating)
		return skip(t, JOB_SIGN, "not originating");
	if ((t->policy->fields_off & EDIT_SIGNATURE_OFF) != 0)
		return skip(t, JOB_SIGN, "allowed_added_header_fields");
	if (t->found.virus_count > 0)
		return skip(t, JOB_SIGN, "infected");
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].tag2 || t->rcpts[i].kill)
			return skip(t, JOB_SIGN, "spam is not signed");
	for (size_t i = 0; i < t->facts.author.count && *signer_r == NULL; i++) {
		char *addr = smtp_arena_copy(
			&t->arena, t->facts.author.items[i].p, t->facts.author.items[i].n);

		if (addr != NULL)
			*signer_r = policy_signer_for(t->set, addr);
	}
	if (*signer_r == NULL && t->facts.sender.n > 0)
		*signer_r = policy_signer_for(
			t->set, smtp_arena_printf(&t->arena, "%.*s", (int)t->facts.sender.n,
					(const char *)t->facts.sender.p));
	if (*signer_r == NULL)
		*signer_r = policy_signer_for(t->set, t->sender);
	return *signer_r != NULL || skip(t, JOB_SIGN, "no key for the author's domain");
}

void plan_sign_orders(struct txn *t, const struct policy_signer *signer)
{
	struct mw_pack *orders = &t->checks[JOB_SIGN].orders;
	const struct mw_pack *fields = &t->policy->signed_fields;

	mw_pack_fini(orders);
	mw_pack_map(orders, 1);
	mw_pack_text(orders, "signers");
	mw_pack_array(orders, 1);
	mw_pack_map(orders, fields->n > 0 ? 3 : 2);
	mw_pack_kv_text(orders, "d", signer->domain);
	mw_pack_kv_text(orders, "s", signer->selector);
	if (fields->n > 0) {
		mw_pack_text(orders, "headers");
		mw_pack_raw(orders, mw_octets_of(fields->p, fields->n));
	}
	plan_what(t, JOB_SIGN);
}

/* reputation.md 4.2: b infected, h highest score below 0.5, s lowest score from 5; the IP's own
 * part taken out. */
static const char *ip_outcome(const struct txn *t)
{
	int32_t low = INT32_MAX, high = INT32_MIN;

	if (t->found.virus_count > 0)
		return "b";
	if (!t->found.has_spam)
		return "";
	for (size_t i = 0; i < t->rcpt_count; i++) {
		int32_t score = t->rcpts[i].score_milli - t->found.ip_milli;

		if (t->rcpts[i].removed || t->rcpts[i].ccat_count == 0)
			continue; /* by a hook; or nothing was decided: nobody has its score */
		low = score < low ? score : low;
		high = score > high ? score : high;
	}
	if (low > high)
		return "";
	return high < 500 ? "h" : low >= 5000 ? "s" : "";
}

bool plan_learn(struct txn *t)
{
	struct mw_pack *orders = &t->checks[JOB_LEARN].orders;
	struct mw_octets ips[IPS_MAX], *passed;
	size_t count = t->policy->ip_repu ? public_ips(t, ips) : 0, n = 0;

	if (!t->set->check_reputation || (count == 0 && !t->originating))
		return skip(t, JOB_LEARN, "nothing to learn");
	passed = smtp_arena_array(&t->arena, t->rcpt_count, sizeof(*passed));
	if (passed == NULL)
		return skip(t, JOB_LEARN, "no memory");
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].delivered && t->found.virus_count == 0 && !t->rcpts[i].tag2 &&
			!t->rcpts[i].kill)
			passed[n++] = of_text(t->rcpts[i].addr);
	mw_pack_map(orders, 8);
	mw_pack_kv_int(orders, "time_ms", (int64_t)t->time_ms);
	pack_list(orders, "ips", ips, count);
	mw_pack_kv_text(orders, "outcome", ip_outcome(t));
	mw_pack_kv_bool(orders, "originating", t->originating);
	mw_pack_kv_text(orders, "log_id", t->log_id);
	mw_pack_kv_text(orders, "mail_id", t->mail_id);
	mw_pack_kv_octets(orders, "message_id", t->facts.message_id);
	pack_list(orders, "passed", passed, n);
	plan_what(t, JOB_LEARN);
	return true;
}
