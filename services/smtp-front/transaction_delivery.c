/* The path's eighth step: each cluster of a mail goes to the next hop, one after the other. */
#include <stdlib.h>

#include "outcome/decide.h"
#include "outcome/edit.h"
#include "outcome/notify.h"
#include "outcome/reply.h"
#include "transaction_priv.h"

static void take_result(struct txn *t, struct txn_rcpt *r, const struct delivery_rcpt *d)
{
	r->code = d->code;
	r->from_next_hop = d->own_words;
	r->dsn_known = d->dsn_known;
	r->delivered = d->code / 100 == 2;
	r->reply = d->text != NULL ? smtp_arena_copy(&t->arena, d->text, strlen(d->text)) : NULL;
	if (r->reply == NULL)
		r->reply = r->delivered ? "250 2.6.0 delivered" : "451 4.3.0 out of memory";
	r->action = r->delivered	 ? MW_ACT_PASS
		    : d->code / 100 == 5 ? MW_ACT_REJECT
					 : MW_ACT_TEMPFAIL;
	if (!r->delivered && d->code / 100 != 5)
		r->code = d->code / 100 == 4 ? d->code : 451;
	/* Held back: what policy has for refusals (D_DISCARD) is for those who were refused. */
	if (!r->delivered && !d->held_back)
		decide_hop_refusal(t, r);
	/* Nor hear that there are others than those it gave. */
	if (d->waits && t->added_count > 0 && !r->added) {
		r->code = 451;
		r->reply = reply_later(t);
	}
	/* The client cannot be told of a recipient that it does not know, and a 2xx means that all
	 * have the mail. */
	if (!r->delivered && r->added && r->code / 100 == 5 && (t->per_rcpt || !d->held_back)) {
		r->code = 451;
		r->action = MW_ACT_TEMPFAIL;
		r->from_next_hop = false;
		r->reply = smtp_arena_printf(&t->arena,
			"451 4.5.0 id=%s, a recipient that policy added was refused: %s", t->log_id,
			r->reply);
	}
}

static void delivered(void *arg, bool new_connection)
{
	struct txn *t = arg;
	struct txn_cluster *c = &t->clusters[t->cluster_at++];

	t->run = NULL;
	t->conn_new += new_connection;
	for (size_t i = 0; i < c->rcpt_count; i++)
		take_result(t, &t->rcpts[c->rcpt_index[i]], &c->rcpts[i]);
	txn_deliver(t);
}

/* SMTP has one reply: a 4xx for one recipient makes the client send to all again, so nobody may get
 * it before. So it is for whoever sends to recipients beside whom hooks have put others. */
static bool must_not_go_on(const struct txn *t)
{
	if (t->per_rcpt && t->added_count == 0)
		return false;
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].code / 100 == 4)
			return true;
	return false;
}

static void skip_rest(struct txn *t)
{
	const char *reply = t->added_count > 0
				    ? reply_later(t)
				    : "450 4.5.0 not sent: another recipient was refused for now";

	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].code == 0) {
			t->rcpts[i].code = (unsigned)strtoul(reply, NULL, 10);
			t->rcpts[i].action = MW_ACT_TEMPFAIL;
			t->rcpts[i].reply = reply;
		}
}

bool txn_find_hops(struct txn *t, const struct next_hops *route, const char **why_r)
{
	struct next_hop *own = NULL;

	t->hops = route->hop;
	for (size_t i = 0; i < route->count; i++) {
		if (!route->hop[i].any_host && !route->hop[i].any_port)
			continue;
		if (own == NULL) {
			own = smtp_arena_array(&t->arena, route->count, sizeof(*own));
			if (own == NULL) {
				*why_r = "out of memory";
				return false;
			}
			memcpy(own, route->hop, route->count * sizeof(*own));
			t->hops = own;
		}
		if (!next_hop_fill(&own[i], t->peer_ip, t->local_port)) {
			*why_r = "the next hop's method has *, and the mail came by a Unix socket";
			return false;
		}
	}
	return true;
}

static void sender_told(struct txn *t, const char *failed)
{
	(void)failed; /* the reply says what could not be told */
	txn_reply(t);
}

/* Of those whose refusal no reply will tell; nothing that is our own makes a notification. */
static void tell_sender(struct txn *t)
{
	if (t->released || t->own_kind != MW_OWN_NONE)
		txn_reply(t);
	else
		notify_sender(t, sender_told);
}

/* Of what the next hop refuses a notification tells. */
static bool can_tell_sender(const struct txn *t)
{
	return !t->released && t->own_kind == MW_OWN_NONE &&
	       t->policy->notices.texts[TEXT_FOR_SENDER][CCAT_MTA_REJECTED] != NULL;
}

/* RFC 3461 section 4.1: success is told by us, and the next hop is not asked to. */
static void end_success_here(const struct txn *t, struct txn_cluster *c)
{
	for (size_t i = 0; i < c->rcpt_count && t->policy->notices.success_ends_here; i++) {
		unsigned *notify = &c->rcpts[i].params.notify;

		if ((*notify & SMTP_NOTIFY_SUCCESS) == 0)
			continue;
		*notify &= ~(unsigned)SMTP_NOTIFY_SUCCESS;
		if (*notify == 0)
			*notify = SMTP_NOTIFY_NEVER; /* nothing else was wanted */
	}
}

/* Whoever passes is the client's to deliver to. */
static void hand_back(struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++) {
		struct txn_rcpt *r = &t->rcpts[i];

		if (r->code != 0)
			continue;
		r->code = 250;
		r->action = MW_ACT_PASS;
		r->delivered = true;
		r->reply = smtp_arena_printf(
			&t->arena, "250 2.5.0 Ok, id=%s, continue delivery", t->log_id);
	}
	tell_sender(t);
}

/* Somebody among its recipients whose refusal is everybody's. */
static bool has_added(const struct txn *t, const struct txn_cluster *c)
{
	for (size_t i = 0; i < c->rcpt_count; i++)
		if (t->rcpts[c->rcpt_index[i]].added)
			return true;
	return false;
}

/*
 * A 5xx for r must not come when others have the mail: it is everybody's, for the client does not
 * know of r; it becomes a 4xx, and the client sends to all again; or only the client could tell the
 * sender.
 */
static bool refusal_stops(const struct txn *t, const struct txn_rcpt *r)
{
	enum mw_destiny d = decide_of_refusal(t, r);

	if (d == MW_D_DISCARD)
		return false;
	return r->added || (!t->per_rcpt && (d == MW_D_TEMPFAIL || !can_tell_sender(t)));
}

static void set_refusal_stops(const struct txn *t, struct txn_cluster *c)
{
	for (size_t i = 0; i < c->rcpt_count; i++)
		c->rcpts[i].refusal_stops = refusal_stops(t, &t->rcpts[c->rcpt_index[i]]);
}

/* Whose next hop cannot be said for this mail is told before anybody gets it. */
static void check_routes(struct txn *t)
{
	const char *why;

	for (size_t i = 0; i < t->cluster_count; i++) {
		struct txn_cluster *c = &t->clusters[i];

		if (txn_find_hops(t, c->route, &why))
			continue;
		txn_log(t, MW_WARN, "deferred", "log_id=%s mail_id=%s why=%s", t->log_id,
			t->mail_id, mw_quote(why));
		for (size_t k = 0; k < c->rcpt_count; k++) {
			struct txn_rcpt *r = &t->rcpts[c->rcpt_index[k]];

			r->code = 451;
			r->action = MW_ACT_TEMPFAIL;
			r->reply = smtp_arena_printf(&t->arena,
				"451 4.5.0 Error in processing, id=%s, %s", t->log_id, why);
		}
	}
}

void txn_deliver(struct txn *t)
{
	bool first = t->cluster_at == 0;
	struct txn_cluster *c;
	const char *why;

	t->phase = TXN_DELIVER;
	if (t->client_delivers) {
		hand_back(t);
		return;
	}
	if (first) {
		t->deliver_us = mw_mono_us();
		check_routes(t);
	}
	if (must_not_go_on(t))
		skip_rest(t);
	while (t->cluster_at < t->cluster_count &&
		t->rcpts[t->clusters[t->cluster_at].rcpt_index[0]].code != 0)
		t->cluster_at++;
	if (t->cluster_at == t->cluster_count) {
		tell_sender(t);
		return;
	}
	if (first)
		txn_state(t, 'F');
	c = &t->clusters[t->cluster_at];
	if (!txn_find_hops(t, c->route, &why)) {
		txn_defer(t, why);
		return;
	}
	end_success_here(t, c);
	set_refusal_stops(t, c);
	c->mail = (struct delivery_mail){
		.hops = t->hops,
		.hop_count = c->route->count,
		.tls = t->set->tls_out,
		.voice = &t->policy->voice,
		.log_id = t->log_id,
		.mail_id = t->mail_id,
		.message_id = smtp_arena_printf(&t->arena, "%.*s", (int)t->facts.message_id.n,
			t->facts.message_id.n > 0 ? (const char *)t->facts.message_id.p : ""),
		.helo_name = t->policy->localhost_name,
		.sender = t->sender,
		.params = &t->params,
		.xforward = t->has_xforward ? &t->xforward : NULL,
		.rcpts = c->rcpts,
		.rcpt_count = c->rcpt_count,
		.pieces = c->pieces,
		.piece_count = c->piece_count,
		.dots = t->dots || c->form != NULL,
		.no_dsn = !t->policy->notices.propagates && t->own_kind == MW_OWN_NONE,
		.all_or_nothing = !t->per_rcpt || has_added(t, c),
		.deadline_ms = t->deadline_ms,
	};
	t->run = c->mail.message_id != NULL
			 ? delivery_send(t->front->delivery, &c->mail, delivered, t)
			 : NULL;
	if (t->run == NULL)
		txn_defer(t, "out of memory");
}

void txn_release_nothing(struct txn *t)
{
	t->released = true;
	t->phase = TXN_DELIVER;
	txn_reply(t);
}

void txn_forward(struct txn *t, const struct next_hops *route, const char *fields, size_t from,
	bool as_itself)
{
	enum mw_rc rc;

	t->released = true;
	t->route = route;
	t->dots = true;
	t->dot_us = t->checks_us = t->sending_us = mw_mono_us();
	t->deadline_ms = mw_mono_ms() + t->policy->child_timeout_ms;
	t->phase = TXN_DELIVER;
	rc = as_itself ? edit_claims(t, fields, from) : edit_nothing(t, fields, from);
	if (rc != MW_OK) {
		txn_defer(
			t, rc == MW_ERR_LIMIT ? "header section over its limits" : "out of memory");
		return;
	}
	txn_deliver(t);
}
