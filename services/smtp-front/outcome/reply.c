#include "reply.h"

static void say(struct txn *t, unsigned code, const char *text)
{
	t->reply_code = text != NULL ? code : 451;
	t->reply = text != NULL ? text : "451 4.3.0 out of memory";
}

static const struct txn_rcpt *first_with(const struct txn *t, unsigned class, bool next_hop_only)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].code / 100 == class &&
			(!next_hop_only || t->rcpts[i].from_next_hop))
			return &t->rcpts[i];
	return NULL;
}

/* A mixture: somebody got it, somebody else never will. */
static void say_mixture(struct txn *t)
{
	const struct txn_rcpt *passed = NULL, *r;
	size_t rejected = 0, discarded = 0;

	for (size_t i = 0; i < t->rcpt_count; i++) {
		r = &t->rcpts[i];
		if (r->delivered && passed == NULL)
			passed = r;
		rejected += r->code / 100 == 5;
		discarded += r->code / 100 == 2 && !r->delivered;
	}
	r = first_with(t, 5, true);
	r = r != NULL ? r : first_with(t, 5, false);
	if (r != NULL) /* without bounces of our own only the client can tell the sender */
		say(t, r->code,
			smtp_arena_printf(&t->arena, "%s (delivered to %zu of %zu recipients)",
				r->reply, t->rcpt_count - rejected - discarded, t->rcpt_count));
	else if (discarded > 0)
		say(t, passed->code,
			smtp_arena_printf(
				&t->arena, "%s, but %zu DISCARD", passed->reply, discarded));
	else
		say(t, passed->code, passed->reply);
}

/* Rejected, and in no copy. */
static const struct txn_rcpt *first_unkept(const struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].code / 100 == 5 && (!t->quarantined || t->rcpts[i].copy < 0))
			return &t->rcpts[i];
	return NULL;
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

/*
 * The same for a client that delivers by itself: it can take recipients off, but has one reply for
 * its own client. A reject that it cannot tell has to be in the quarantine; otherwise all are
 * refused, so that the sender hears of it.
 */
static void say_to_deliverer(struct txn *t, size_t rejected, size_t discarded)
{
	const struct txn_rcpt *no = first_unkept(t);

	if (no == NULL) {
		struct mw_text but = { 0 };

		if (rejected > 0)
			mw_text_addf(&but, ", but %zu REJECT", rejected);
		if (discarded > 0)
			mw_text_addf(
				&but, ", %s %zu DISCARD", rejected > 0 ? "and" : "but", discarded);
		say(t, 250,
			smtp_arena_printf(&t->arena, "250 2.5.0 Ok, id=%s, continue delivery%s",
				t->log_id, but.p != NULL ? but.p : ""));
		mw_text_fini(&but);
		return;
	}
	say(t, no->code,
		smtp_arena_printf(&t->arena, "%s (for %zu of %zu recipients)", no->reply, rejected,
			t->rcpt_count));
	take_back(t, MW_ACT_REJECT);
}

/* A recipient that hooks have added has not got the mail: those that the client gave have to be
 * sent again, also those that are done with, for LMTP has no reply for the added one. A refusal of
 * the next hop's or of policy is said still. */
static void wait_for_added(struct txn *t)
{
	const struct txn_rcpt *missing = NULL;

	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].added && t->rcpts[i].code / 100 != 2)
			missing = &t->rcpts[i];
	for (size_t i = 0; i < t->rcpt_count && missing != NULL; i++) {
		struct txn_rcpt *r = &t->rcpts[i];

		if (r->code / 100 == 4 ||
			(r->code / 100 == 5 && (r->from_next_hop || r->ccat_blocking != 0)))
			continue;
		r->code = 451;
		r->action = MW_ACT_TEMPFAIL;
		r->reply = smtp_arena_printf(&t->arena,
			"451 4.5.0 id=%s, a recipient that policy added has not got it: %s",
			t->log_id, missing->reply != NULL ? missing->reply : "-");
	}
}

void outcome_reply(struct txn *t)
{
	const struct txn_rcpt *r;
	size_t discarded = 0, rejected = 0;

	if (t->added_count > 0)
		wait_for_added(t);

	if (t->rcpt_count == 0) {
		say(t, 250, smtp_arena_printf(&t->arena, "250 2.5.0 Ok, id=%s", t->log_id));
		return;
	}
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].code / 100 < 2 || t->rcpts[i].code / 100 > 5 ||
			t->rcpts[i].code / 100 == 3 || t->rcpts[i].reply == NULL ||
			(t->rcpts[i].code / 100 == 2 && !t->rcpts[i].delivered &&
				t->rcpts[i].action != MW_ACT_DISCARD)) {
			/* A 2xx that nobody stands behind is never passed on. */
			say(t, 451,
				smtp_arena_printf(&t->arena, "451 4.5.0 Error in processing, id=%s",
					t->log_id));
			return;
		}
	if ((r = first_with(t, 4, true)) != NULL || (r = first_with(t, 4, false)) != NULL) {
		say(t, r->code, r->reply);
		if (t->client_delivers)
			take_back(t, MW_ACT_TEMPFAIL);
		return;
	}
	for (size_t i = 0; i < t->rcpt_count; i++) {
		discarded += t->rcpts[i].code / 100 == 2 && !t->rcpts[i].delivered;
		rejected += t->rcpts[i].code / 100 == 5;
	}
	if (discarded == t->rcpt_count) {
		say(t, t->rcpts[0].code, t->rcpts[0].reply);
	} else if (discarded + rejected == t->rcpt_count) {
		r = first_with(t, 5, true);
		r = r != NULL ? r : first_with(t, 5, false);
		say(t, r->code, r->reply);
	} else if (t->client_delivers) {
		say_to_deliverer(t, rejected, discarded);
	} else {
		say_mixture(t);
	}
}
