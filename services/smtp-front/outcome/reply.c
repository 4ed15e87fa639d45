#include "reply.h"

/* The client has one reply for all, and not one for each. */
static bool one_for_all(const struct txn *t)
{
	return !t->per_rcpt || t->client_delivers;
}

/* A 2xx that nobody stands behind, or nothing that is a reply at all. */
static bool is_unfinished(const struct txn_rcpt *r)
{
	unsigned class = r->code / 100;

	if (r->reply == NULL || (class != 2 && class != 4 && class != 5))
		return true;
	return class == 2 && !r->delivered && r->action != MW_ACT_DISCARD;
}

/* Refused, and no notification of ours has told the sender. */
static bool is_untold(const struct txn_rcpt *r)
{
	return r->code / 100 == 5 && r->dsn == DSN_NONE;
}

/* ------------------------------------------------------------------ how it stands */

struct count {
	size_t unfinished, later, delivered, discarded, refused, untold, bounced;
};

static struct count count_of(const struct txn *t)
{
	struct count n = { 0 };

	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct txn_rcpt *r = &t->rcpts[i];
		unsigned class = r->code / 100;

		n.unfinished += is_unfinished(r);
		n.later += class == 4;
		n.delivered += class == 2 && r->delivered;
		n.discarded += class == 2 && !r->delivered;
		n.refused += class == 5;
		n.untold += is_untold(r);
		n.bounced += class == 5 && (r->action == MW_ACT_BOUNCE || r->dsn != DSN_NONE);
	}
	return n;
}

/* Rejected, and in no copy. */
static const struct txn_rcpt *first_unkept(const struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (is_untold(&t->rcpts[i]) && (!t->quarantined || t->rcpts[i].copy < 0))
			return &t->rcpts[i];
	return NULL;
}

/* The first that applies. */
static enum reply_case case_of(const struct txn *t, const struct count *n)
{
	if (t->rcpt_count == 0)
		return CASE_NOBODY;
	if (n->unfinished > 0)
		return CASE_UNFINISHED;
	if (n->later > 0)
		return CASE_TEMPFAILED;
	if (n->discarded == t->rcpt_count)
		return CASE_DISCARDED;
	if (n->discarded + n->refused == t->rcpt_count && n->bounced == 0)
		return CASE_REFUSED;
	/* Without notifications only the client can tell the sender, unless the mail is kept and it
	 * is the client who delivers. */
	if (n->untold > 0 && one_for_all(t) &&
		(!t->client_delivers || n->delivered == 0 || first_unkept(t) != NULL))
		return CASE_UNTOLD;
	return CASE_PASSED;
}

static const struct txn_rcpt *added_and_missing(const struct txn *t)
{
	const struct txn_rcpt *missing = NULL;

	for (size_t i = 0; i < t->rcpt_count && t->added_count > 0; i++)
		/* A 5xx: one of the client's was refused, so nobody has it, and it hears so. */
		if (t->rcpts[i].added && t->rcpts[i].code / 100 != 2 && t->rcpts[i].code / 100 != 5)
			missing = &t->rcpts[i];
	return missing;
}

bool reply_needs_dsn(const struct txn *t, const struct txn_rcpt *r)
{
	struct count n;

	if (r->code / 100 != 5 || is_unfinished(r) || added_and_missing(t) != NULL)
		return false;
	if (!one_for_all(t))
		return r->action == MW_ACT_BOUNCE;
	n = count_of(t);
	if (n.unfinished > 0 || n.later > 0)
		return false; /* the client sends to all again */
	return r->action == MW_ACT_BOUNCE || n.delivered > 0 || n.bounced > 0;
}

const char *reply_later(struct txn *t)
{
	const char *text =
		smtp_arena_printf(&t->arena, "451 4.5.0 id=%s, not delivered for now", t->log_id);

	return text != NULL ? text : "451 4.5.0 not delivered for now";
}

/* ------------------------------------------------------------------ one reply for all */

static void say(struct txn *t, unsigned code, const char *text)
{
	t->reply_code = text != NULL ? code : 451;
	t->reply = text != NULL ? text : "451 4.3.0 out of memory";
}

/* The client knows nothing of recipients that policy has added: their addresses and their hops'
 * words are not for it. Who delivers by itself is told of them. */
static bool is_hidden(const struct txn *t, const struct txn_rcpt *r)
{
	return r->added && !t->client_delivers;
}

static const struct txn_rcpt *first_with(const struct txn *t, unsigned class, bool next_hop_only)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].code / 100 == class && !is_hidden(t, &t->rcpts[i]) &&
			(!next_hop_only || t->rcpts[i].from_next_hop))
			return &t->rcpts[i];
	return NULL;
}

/* The next hop's words before our own. NULL: only who is hidden has such a code. */
static const struct txn_rcpt *best_with(const struct txn *t, unsigned class)
{
	const struct txn_rcpt *r = first_with(t, class, true);

	return r != NULL ? r : first_with(t, class, false);
}

static const struct txn_rcpt *first_delivered(const struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].delivered && !is_hidden(t, &t->rcpts[i]))
			return &t->rcpts[i];
	return NULL;
}

/* How many recipients the client knows of, and how many of them have the mail. */
static size_t known_to_client(const struct txn *t, size_t *delivered_r)
{
	size_t count = 0;

	*delivered_r = 0;
	for (size_t i = 0; i < t->rcpt_count; i++) {
		if (is_hidden(t, &t->rcpts[i]))
			continue;
		count++;
		*delivered_r += t->rcpts[i].code / 100 == 2 && t->rcpts[i].delivered;
	}
	return count;
}

static void say_nobody(struct txn *t, const struct count *n)
{
	(void)n;
	say(t, 250, smtp_arena_printf(&t->arena, "250 2.5.0 Ok, id=%s", t->log_id));
}

static void say_unfinished(struct txn *t, const struct count *n)
{
	(void)n;
	say(t, 451,
		smtp_arena_printf(&t->arena, "451 4.5.0 Error in processing, id=%s", t->log_id));
}

static void say_theirs(struct txn *t, const struct count *n)
{
	const struct txn_rcpt *r = n->later > 0	    ? best_with(t, 4)
				   : n->refused > 0 ? best_with(t, 5)
						    : &t->rcpts[0];

	if (r != NULL)
		say(t, r->code, r->reply);
	else
		say(t, 451, reply_later(t));
}

static void say_untold(struct txn *t, const struct count *n)
{
	const struct txn_rcpt *r =
		t->client_delivers && n->delivered > 0 ? first_unkept(t) : best_with(t, 5);
	size_t delivered, count = known_to_client(t, &delivered);

	if (r == NULL)
		say(t, 451, reply_later(t));
	else if (delivered == 0)
		say(t, r->code, r->reply);
	else if (t->client_delivers)
		say(t, r->code,
			smtp_arena_printf(&t->arena, "%s (for %zu of %zu recipients)", r->reply,
				n->refused, count));
	else
		say(t, r->code,
			smtp_arena_printf(&t->arena, "%s (delivered to %zu of %zu recipients)",
				r->reply, delivered, count));
}

/* ", but 1 REJECT, and 2 DISCARD": what became of those who have not got it. */
static void add_others(const struct txn *t, struct mw_text *out)
{
	enum { REJECTED, BOUNCED, SUPPRESSED, DISCARDED, FATES };
	static const char *const words[FATES] = { "REJECT", "BOUNCE", "DISCARD(bounce.suppressed)",
		"DISCARD" };
	size_t counts[FATES] = { 0 }, delivered, count = known_to_client(t, &delivered);
	const char *between = "but ";

	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct txn_rcpt *r = &t->rcpts[i];

		if (is_hidden(t, r))
			continue;
		if (r->code / 100 == 5)
			counts[r->action != MW_ACT_BOUNCE  ? REJECTED
				: r->dsn == DSN_SUPPRESSED ? SUPPRESSED
							   : BOUNCED]++;
		else
			counts[DISCARDED] += !r->delivered;
	}
	for (int f = 0; f < FATES; f++)
		if (counts[f] > 0 && counts[f] == count) {
			mw_text_addf(out, ", %s", words[f]);
		} else if (counts[f] > 0) {
			mw_text_addf(out, ", %s%zu %s", between, counts[f], words[f]);
			between = "and ";
		}
}

static void say_passed(struct txn *t, const struct count *n)
{
	const struct txn_rcpt *passed = first_delivered(t);
	struct mw_text text = { 0 };
	unsigned code = 250;

	(void)n;
	if (passed != NULL && !t->client_delivers) {
		code = passed->code;
		mw_text_add(&text, passed->reply);
	} else {
		mw_text_addf(&text, "250 2.5.0 Ok, id=%s%s", t->log_id,
			passed != NULL ? ", continue delivery" : "");
	}
	add_others(t, &text);
	say(t, code, text.failed ? NULL : smtp_arena_copy(&t->arena, text.p, text.n));
	mw_text_fini(&text);
}

/* The client, who was to deliver, does not: it has one reply for all. */
static void take_back(struct txn *t, enum mw_action action)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].delivered) {
			t->rcpts[i].delivered = false;
			t->rcpts[i].code = t->reply_code;
			t->rcpts[i].reply = t->reply;
			t->rcpts[i].action = action;
		}
}

/* What is said in which case. AM.PDP's answer to it: intake/ampdp_answer.c. */
static const struct {
	void (*say)(struct txn *t, const struct count *n);
	bool takes_back; /* from a client who delivers by itself */
	enum mw_action action;
} cases[CASE_COUNT] = {
	[CASE_NOBODY] = { say_nobody, false, MW_ACT_PASS },
	[CASE_UNFINISHED] = { say_unfinished, false, MW_ACT_TEMPFAIL },
	[CASE_TEMPFAILED] = { say_theirs, true, MW_ACT_TEMPFAIL },
	[CASE_DISCARDED] = { say_theirs, false, MW_ACT_DISCARD },
	[CASE_REFUSED] = { say_theirs, false, MW_ACT_REJECT },
	[CASE_UNTOLD] = { say_untold, true, MW_ACT_REJECT },
	[CASE_PASSED] = { say_passed, false, MW_ACT_PASS },
};

/* ------------------------------------------------------------------ one for each */

/* LMTP: a notification of ours makes a refusal the sender's affair no more. NULL: there is none
 * that could be said. */
static const char *told(struct txn *t, const struct txn_rcpt *r)
{
	static const char *const words[] = {
		[DSN_SENT] = "DSN was sent", [DSN_SUPPRESSED] = "DSN suppressed"
	};

	if (is_unfinished(r))
		return NULL;
	if (r->code / 100 != 5 || r->dsn == DSN_NONE)
		return r->reply;
	return smtp_arena_printf(&t->arena, "250 2.5.0 Ok <%s>, %s (%s)", txn_rcpt_given(r),
		words[r->dsn], r->reply);
}

/* Not one that the next hop was not even asked about, as another had been refused. */
static bool is_blocked_by_policy(const struct txn_rcpt *r)
{
	return r->ccat_blocking != 0 && r->ccat_blocking / 10 != MW_CC_MTA;
}

/* A recipient that hooks have added has not got the mail: those that the client gave have to be
 * sent again, also those that are done with, for LMTP has no reply for the added one. A refusal of
 * the next hop's or of policy is said still. */
static void wait_for_added(struct txn *t)
{
	const struct txn_rcpt *missing = added_and_missing(t);

	for (size_t i = 0; i < t->rcpt_count && missing != NULL; i++) {
		struct txn_rcpt *r = &t->rcpts[i];

		if (r->code / 100 == 4 ||
			(r->code / 100 == 5 && (r->from_next_hop || is_blocked_by_policy(r))))
			continue;
		r->code = 451;
		r->action = MW_ACT_TEMPFAIL;
		r->reply = reply_later(t);
	}
	/* What its next hop said of it is for the administrator alone. */
	if (missing != NULL)
		txn_log(t, MW_INFO, "added_not_delivered", "log_id=%s mail_id=%s rcpt=%s reply=%s",
			t->log_id, t->mail_id, mw_quote(missing->addr),
			mw_quote(missing->reply != NULL ? missing->reply : "-"));
}

void outcome_reply(struct txn *t)
{
	struct count n;

	wait_for_added(t);
	n = count_of(t);
	t->reply_case = case_of(t, &n);
	cases[t->reply_case].say(t, &n);
	if (t->client_delivers && cases[t->reply_case].takes_back)
		take_back(t, cases[t->reply_case].action);
	for (size_t i = 0; i < t->rcpt_count && !one_for_all(t); i++)
		t->rcpts[i].told = told(t, &t->rcpts[i]);
}
