#include "notify.h"

#include <stdio.h>
#include <stdlib.h>

#include "dsn.h"
#include "edit.h"
#include "notice_build.h"
#include "notify_plan.h"
#include "own_mail.h"

struct notify {
	struct txn *t;
	void (*next)(struct txn *t, const char *failed);
	size_t count, at;
	struct notify_plan *plans;
	bool *reported; /* of a notification: which recipients it is about */
	bool whole;	/* and with the original as it is */
	bool utf8;
	struct own_mail *mail;
	struct smtp_body *body; /* of the last message */
	struct smtp_mail_params params;
};

static void send_next(struct notify *n);

void notify_forget(struct notify **n_p)
{
	struct notify *n = *n_p;

	*n_p = NULL;
	if (n == NULL)
		return;
	own_mail_cancel(&n->mail);
	smtp_body_unref(&n->body);
	free(n);
}

static void end(struct notify *n, const char *failed)
{
	struct txn *t = n->t;
	void (*next)(struct txn * t, const char *failed) = n->next;

	notify_forget(&t->telling);
	next(t, failed);
}

/* ------------------------------------------------------------------ one message */

static bool is_ascii(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s > 0x7e)
			return false;
	return true;
}

/* Nobody can guess the next one, and none comes twice. */
static const char *message_id(struct txn *t, const struct notify_plan *plan)
{
	unsigned char random[4];

	mw_random(random, sizeof(random));
	return smtp_arena_printf(&t->arena, "<%s.%s.%02x%02x%02x%02x@%s>",
		notice_kind_prefix(plan->kind), t->mail_id, random[0], random[1], random[2],
		random[3], t->set->myhostname);
}

/* A Message-ID that may stand in a field of ours. */
static const char *replied_to(struct txn *t)
{
	struct mw_octets id = t->facts.message_id;

	return id.n > 2 && id.n < 250 && mw_is_printable(id.p, id.n) &&
			       memchr(id.p, ' ', id.n) == NULL
		       ? smtp_arena_copy(&t->arena, id.p, id.n)
		       : NULL;
}

static void add_original(const struct notify *n, struct notice *notice)
{
	const struct txn *t = n->t;

	notice->original = smtp_body_octets(t->body);
	notice->header_octets = t->header.section.n;
	notice->whole = n->whole;
}

/* The octets of a plan's message as n->body; false: no memory. */
static bool make_body(struct notify *n, const struct notify_plan *plan, struct mw_octets text)
{
	struct txn *t = n->t;
	struct mw_text report = { 0 }, out = { 0 };
	bool dsn = plan->kind == NOTICE_SENDER, eight_bit = false, ok;
	struct notice notice = {
		.text = text,
		.from = plan->hdrfrom,
		.to = plan->to,
		.subject = notice_kind_subject(plan->kind),
		.message_id = message_id(t, plan),
		.in_reply_to = dsn ? replied_to(t) : NULL,
		.date = edit_date((time_t)(mw_wall_ms() / 1000)),
		.replies = dsn,
		.utf8 = n->utf8 || !is_ascii(plan->to),
	};

	if (dsn) {
		dsn_add_report(t, n->reported, n->utf8, &report);
		notice.status = mw_octets_of(report.p, report.n);
		add_original(n, &notice);
	}
	if (!report.failed && notice.message_id != NULL)
		notice_build(&notice, &out, &eight_bit);
	smtp_body_unref(&n->body);
	n->body = smtp_body_new(&t->front->bodies, out.n);
	ok = n->body != NULL && out.n > 0 && !out.failed &&
	     smtp_body_append(n->body, out.p, out.n, NULL) == MW_OK &&
	     smtp_body_seal(n->body, NULL) == MW_OK;
	n->params = (struct smtp_mail_params){
		.body = eight_bit ? SMTP_BODY_8BITMIME : SMTP_BODY_NONE,
		.smtputf8 = notice.utf8,
	};
	mw_text_fini(&report);
	mw_text_fini(&out);
	return ok;
}

/* ------------------------------------------------------------------ what came of it */

static void told_sender(struct notify *n)
{
	for (size_t i = 0; i < n->t->rcpt_count; i++)
		if (n->reported[i])
			n->t->rcpts[i].dsn = DSN_SENT;
}

static bool anyone_delivered(const struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].delivered)
			return true;
	return false;
}

/*
 * The sender has not been told, for now. Where nobody has the mail, or each recipient has a reply,
 * the client keeps it for those that it was about; where somebody has it the reply refuses, as if
 * there were no notifications.
 */
static void sender_later(struct notify *n, const char *why)
{
	struct txn *t = n->t;

	if (anyone_delivered(t) && (!t->per_rcpt || t->client_delivers))
		return;
	for (size_t i = 0; i < t->rcpt_count; i++) {
		struct txn_rcpt *r = &t->rcpts[i];

		if (!n->reported[i] || r->code / 100 != 5)
			continue;
		r->code = 451;
		r->action = MW_ACT_TEMPFAIL;
		r->from_next_hop = false;
		r->reply = smtp_arena_printf(&t->arena,
			"451 4.5.0 Error in processing, id=%s, notification FAILED: %s", t->log_id,
			why);
	}
}

static void failed_for_now(struct notify *n, const struct notify_plan *plan, const char *why)
{
	struct txn *t = n->t;
	const char *said;

	txn_log(t, MW_WARN, "notice_failed", "log_id=%s mail_id=%s kind=%s to=%s why=%s", t->log_id,
		t->mail_id, notice_kind_name(plan->kind), mw_quote(plan->to), mw_quote(why));
	switch (plan->kind) {
	case NOTICE_SENDER:
		sender_later(n, why);
		end(n, NULL);
		return;
	case NOTICE_SENDER_COPY: /* the sender has been told: that is what counts */
		n->at++;
		send_next(n);
		return;
	default:
		said = smtp_arena_printf(&t->arena, "notice FAILED: %.200s", why);
		end(n, said != NULL ? said : "notice FAILED"); /* NULL would say that all went */
	}
}

static void refused(struct notify *n, const struct notify_plan *plan, const char *text)
{
	struct txn *t = n->t;

	/* Too large for them, or 8bit: without the original's body it may be neither. */
	if (plan->kind == NOTICE_SENDER && n->whole) {
		n->whole = false;
		send_next(n);
		return;
	}
	txn_log(t, MW_WARN, "notice_refused", "log_id=%s mail_id=%s kind=%s to=%s reply=%s",
		t->log_id, t->mail_id, notice_kind_name(plan->kind), mw_quote(plan->to),
		mw_quote(text));
	n->at = plan->kind == NOTICE_SENDER ? n->count : n->at + 1;
	send_next(n);
}

static void done(void *arg, unsigned code, const char *text)
{
	struct notify *n = arg;
	const struct notify_plan *plan = &n->plans[n->at];

	n->mail = NULL;
	if (code / 100 == 2) {
		if (plan->kind == NOTICE_SENDER)
			told_sender(n);
		n->at++;
		send_next(n);
	} else if (code / 100 == 5) {
		refused(n, plan, text);
	} else {
		failed_for_now(n, plan, text != NULL ? text : "no reply");
	}
}

/* ------------------------------------------------------------------ one after the other */

static bool expand(struct notify *n, const struct notify_plan *plan, struct mw_text *text)
{
	const struct mw_octets to = mw_octets_of_text(plan->to),
			       from = mw_octets_of_text(plan->hdrfrom);
	/* Who knows it may have the mail released: administrators. */
	const struct mw_octets secret = mw_octets_of_text(n->t->secret_id);
	const struct template_extra extras[] = { { "f", 1, &from }, { "T", 1, &to },
		{ "secret_id", 1, &secret } };
	struct template_scope scope = {
		.txn = n->t,
		.rcpt = plan->rcpt,
		.extra_count = MW_COUNT(extras) - (plan->kind != NOTICE_ADMIN),
		.extras = extras,
		.most = NOTICE_TEXT_MAX,
		.escape = true,
		.for_sender = plan->kind == NOTICE_SENDER,
		.lines = true,
	};
	enum mw_rc rc = template_expand(plan->text, &scope, text);

	return rc == MW_OK || rc == MW_ERR_LIMIT; /* cut is better than untold */
}

static void send_one(struct notify *n, const struct notify_plan *plan)
{
	struct txn *t = n->t;
	const struct own_mail_rcpt to = { .addr = plan->to };
	struct own_mail_spec spec = {
		.kind = plan->kind <= NOTICE_SENDER_COPY ? MW_OWN_DSN : MW_OWN_NOTICE,
		.sender = plan->mailfrom,
		.params = n->params,
		.rcpts = &to,
		.rcpt_count = 1,
		.route = &t->policy->notify,
		.fields = "",
		.body = n->body,
		.sign = true,
		.done = done,
		.arg = n,
	};

	n->mail = own_mail_send(t, &spec);
	if (n->mail == NULL)
		failed_for_now(n, plan, "it could not be sent");
}

static void send_next(struct notify *n)
{
	const struct notify_plan *plan = &n->plans[n->at];
	struct mw_text text = { 0 };
	bool made;

	if (n->at == n->count) {
		if (n->reported == NULL)
			notify_plan_told(n->t);
		end(n, NULL);
		return;
	}
	made = plan->kind == NOTICE_SENDER_COPY ||
	       (expand(n, plan, &text) && make_body(n, plan, mw_octets_of(text.p, text.n)));
	mw_text_fini(&text);
	if (made)
		send_one(n, plan);
	else
		failed_for_now(n, plan, "out of memory");
}

static struct notify *begin(struct txn *t, void (*next)(struct txn *t, const char *failed))
{
	struct notify *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->t = t;
	n->next = next;
	t->telling = n;
	return n;
}

/* ------------------------------------------------------------------ to whom */

void notify_others(struct txn *t, void (*next)(struct txn *t, const char *failed))
{
	struct notify_plan *plans;
	size_t count;
	struct notify *n;

	if (!notify_plan_others(t, &plans, &count)) {
		next(t, "out of memory");
		return;
	}
	if (count == 0) {
		next(t, NULL);
		return;
	}
	n = begin(t, next);
	if (n == NULL) {
		next(t, "out of memory");
		return;
	}
	n->plans = plans;
	n->count = count;
	send_next(n);
}

/* RFC 3461 section 4.3: who asks for all of it gets it, unless that would do harm. Spam names whom
 * it likes as its sender, and asks on his behalf. What was found for one recipient is in the mail
 * also when those that are reported bypass that check. */
static bool goes_back_whole(const struct txn *t, const bool *reported)
{
	unsigned harmful = MW_CCAT(MW_CC_SPAMMY, 0);

	if (t->params.ret != SMTP_RET_FULL ||
		smtp_body_size(t->body) > t->policy->notices.full_octets)
		return false;
	if (t->found.virus_count > 0 || (t->ccat_count > 0 && t->ccats[0] >= harmful))
		return false;
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (reported[i] && t->rcpts[i].ccats[0] >= harmful)
			return false;
	return true;
}

static bool needs_utf8(const struct txn *t, const bool *reported)
{
	if (t->params.smtputf8 || !is_ascii(t->sender))
		return true;
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (reported[i] && !is_ascii(txn_rcpt_given(&t->rcpts[i])))
			return true;
	return false;
}

void notify_sender(struct txn *t, void (*next)(struct txn *t, const char *failed))
{
	struct notify_plan *plans;
	struct notify *n;
	bool *reported;
	size_t count;

	if (!notify_plan_sender(t, &reported, &plans, &count) || count == 0 ||
		(n = begin(t, next)) == NULL) {
		next(t, NULL); /* without memory nobody is told, and the reply says so */
		return;
	}
	n->plans = plans;
	n->count = count;
	n->reported = reported;
	n->whole = goes_back_whole(t, reported);
	n->utf8 = needs_utf8(t, reported);
	send_next(n);
}
