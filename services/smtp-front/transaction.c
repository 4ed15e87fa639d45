/* The path of one mail: trace, policy, checks, decide, keep, edit, sign, deliver, reply, record. */
#include "transaction.h"

#include <stdio.h>
#include <stdlib.h>

#include "checks/findings.h"
#include "checks/plan.h"
#include "log.h"
#include "outcome/decide.h"
#include "outcome/edit.h"
#include "outcome/quarantine.h"
#include "outcome/reply.h"
#include "report.h"

#define LEARN_MS                                                                                   \
	10000 /* a lesson that finds no worker for so long is dropped: nobody waits for it */
#define OVERDUE_MS 10000 /* behind the deadline that every step keeps by itself */

static void checks_first(struct txn *t);
static void checks_spam(struct txn *t);
static void checks_over(struct txn *t);
static void step_keep(struct txn *t);
static void step_edit(struct txn *t);
static void step_sign(struct txn *t);
static void step_deliver(struct txn *t);
static void step_reply(struct txn *t);

/* ------------------------------------------------------------------ ids */

/* 72 random bits as amavisd's mail_id: base64url, first and last character alphanumeric. */
static void make_mail_id(char id[MW_NAME_MAX])
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	static unsigned char pool[768];
	static size_t used = sizeof(pool);

	do {
		if (used + 12 > sizeof(pool)) {
			mw_random(pool, sizeof(pool));
			used = 0;
		}
		for (size_t i = 0; i < 12; i++)
			id[i] = alphabet[pool[used + i] & 63];
		used += 12;
	} while (strchr("-_", id[0]) != NULL || strchr("-_", id[11]) != NULL);
	id[12] = '\0';
}

static uint64_t digest_on(uint64_t h, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 1099511628211u;
	return h;
}

/*
 * FNV-1a: recognises a mail that came before, nothing that must resist an enemy. Without its
 * Received fields, of which every retry brings new ones.
 */
static uint64_t digest_of(const struct txn *t)
{
	struct mw_octets o = smtp_body_octets(t->body);
	uint64_t h = 1469598103934665603u;
	size_t at = 0;

	for (size_t i = 0; i < t->header.count; i++) {
		const struct mw_field *f = &t->header.fields[i];

		if (f->id != MW_H_RECEIVED)
			continue;
		h = digest_on(h, o.p + at, f->at - at);
		at = f->end;
	}
	return digest_on(h, o.p + at, o.n - at);
}

void txn_state(struct txn *t, char letter)
{
	size_t n = strlen(t->states);

	if (n + 1 < sizeof(t->states)) {
		t->states[n] = letter;
		t->states[n + 1] = '\0';
	}
}

/* ------------------------------------------------------------------ life */

static bool copy_origin(struct txn *t, const struct txn_origin *s)
{
	struct smtp_arena *a = &t->arena;

	t->helo = smtp_arena_copy(a, s->helo, strlen(s->helo));
	t->peer_ip = smtp_arena_copy(a, s->peer_ip, strlen(s->peer_ip));
	t->local_ip = smtp_arena_copy(a, s->local_ip, strlen(s->local_ip));
	t->protocol = s->protocol;
	t->tls = s->tls != NULL ? smtp_arena_copy(a, s->tls, strlen(s->tls)) : "";
	t->peer_port = s->peer_port;
	t->local_port = s->local_port;
	if (s->xforward != NULL) {
		const char **fields[] = { &t->xforward.name, &t->xforward.addr, &t->xforward.port,
			&t->xforward.proto, &t->xforward.helo, &t->xforward.ident,
			&t->xforward.source };

		t->has_xforward = true;
		t->xforward = *s->xforward;
		for (size_t i = 0; i < MW_COUNT(fields); i++)
			if (*fields[i] != NULL && (*fields[i] = smtp_arena_copy(a, *fields[i],
							   strlen(*fields[i]))) == NULL)
				return false;
	}
	return t->helo != NULL && t->peer_ip != NULL && t->local_ip != NULL && t->tls != NULL;
}

static void link_txn(struct txn *t, struct txn **list)
{
	t->next = *list;
	t->prev_p = list;
	if (t->next != NULL)
		t->next->prev_p = &t->next;
	*list = t;
}

struct txn *txn_new(struct front *f, struct txn_client *client, const struct txn_origin *origin,
	const char *sender)
{
	struct txn *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->front = f;
	t->client = client;
	t->per_rcpt = client->per_rcpt;
	t->client_delivers = client->delivers;
	t->set = policy_set_ref(origin->set);
	t->policy = origin->policy;
	t->route = &t->policy->forward;
	t->originating = t->policy->originating;
	t->time_ms = mw_wall_ms();
	t->start_us = mw_mono_us();
	link_txn(t, &f->txns);
	f->txn_count++;
	snprintf(t->log_id, sizeof(t->log_id), "%05d-%02llu", (int)getpid(),
		(unsigned long long)++f->next_txn);
	make_mail_id(t->mail_id);
	t->sender = smtp_arena_copy(&t->arena, sender, strlen(sender));
	if (t->sender == NULL || !copy_origin(t, origin))
		txn_destroy(&t);
	else
		txn_state(t, 'm');
	return t;
}

/* Half of what a job's header may be: workers refuse larger ones. */
#define RCPT_OCTETS_MAX (MW_JOB_HEADER_MAX / 2)

bool txn_is_full(const struct txn *t)
{
	return t->rcpt_count >= t->policy->recipient_limit || t->rcpt_octets >= RCPT_OCTETS_MAX;
}

enum mw_rc txn_add_rcpt(struct txn *t, const char *addr, const struct smtp_rcpt_params *params)
{
	struct txn_rcpt *r;

	if (t->rcpt_count == t->rcpt_cap) {
		size_t cap = t->rcpt_cap != 0 ? t->rcpt_cap * 2 : 4;

		r = realloc(t->rcpts, cap * sizeof(*r));
		if (r == NULL)
			return MW_ERR_NOMEM;
		t->rcpts = r;
		t->rcpt_cap = cap;
	}
	t->rcpt_octets += strlen(addr);
	t->rcpts[t->rcpt_count++] = (struct txn_rcpt){
		.addr = addr, .params = *params, .penpals_age_s = -1, .destiny = MW_D_PASS
	};
	return MW_OK;
}

static void cancel_checks(struct txn *t)
{
	for (int kind = 0; kind < JOB_KINDS; kind++)
		dispatch_cancel(t->front->dispatch, &t->checks[kind].job);
	t->checks_waiting = 0;
}

static void unlink_txn(struct txn *t)
{
	*t->prev_p = t->next;
	if (t->next != NULL)
		t->next->prev_p = t->prev_p;
	t->front->txn_count -= !t->learning;
}

void txn_destroy(struct txn **t_p)
{
	struct txn *t = *t_p;
	struct front *f;

	*t_p = NULL;
	if (t == NULL)
		return;
	f = t->front;
	cancel_checks(t);
	delivery_cancel(&t->run);
	quarantine_forget(&t->keeping);
	for (int kind = 0; kind < JOB_KINDS; kind++)
		mw_pack_fini(&t->checks[kind].orders);
	for (size_t i = 0; i < t->cluster_count; i++) {
		for (size_t r = 0; r < t->clusters[i].rcpt_count; r++)
			free(t->clusters[i].rcpts[r].text);
		smtp_body_unref(&t->clusters[i].header_owner);
	}
	mw_pack_fini(&t->rcpts_packed);
	mw_header_fini(&t->header);
	smtp_body_unref(&t->body);
	policy_set_unref(&t->set);
	unlink_txn(t);
	free(t->rcpts);
	smtp_arena_fini(&t->arena);
	free(t);
	front_txn_over(f);
}

void txn_destroy_all(struct front *f)
{
	while (f->txns != NULL || f->learning != NULL) {
		struct txn *t = f->txns != NULL ? f->txns : f->learning;

		txn_destroy(&t);
	}
}

void txn_abandon(struct txn **t_p)
{
	struct txn *t = *t_p;

	*t_p = NULL;
	if (t == NULL)
		return;
	t->client = NULL;
	if (t->phase == TXN_OVER ||
		(t->phase == TXN_DELIVER && (t->cluster_at > 0 || delivery_committed(t->run))))
		return; /* the next hop may have it already: the path ends by itself, and the record
			   tells */
	if (t->phase >= TXN_CHECKS && !t->released) {
		t->front->stats.aborted++;
		report_mail(t, true);
	}
	txn_destroy(&t);
}

/* ------------------------------------------------------------------ an end without a decision */

/* Everything that goes wrong on our side: 451, the client keeps the mail (decision.md 17). */
static void defer(struct txn *t, const char *why)
{
	mw_log(MW_WARN, "deferred", "log_id=%s mail_id=%s why=%s", t->log_id, t->mail_id,
		mw_quote(why));
	cancel_checks(t);
	for (size_t i = 0; i < t->rcpt_count; i++) {
		struct txn_rcpt *r = &t->rcpts[i];

		if (r->delivered)
			continue; /* past the point of no return for this one */
		r->code = 451;
		r->action = MW_ACT_TEMPFAIL;
		r->reply = smtp_arena_printf(
			&t->arena, "451 4.5.0 Error in processing, id=%s, %s", t->log_id, why);
	}
	step_reply(t);
}

void txn_tick(struct front *f)
{
	uint64_t now = mw_mono_ms();
	struct txn *t = f->txns;

	while (t != NULL) {
		struct txn *next = t->next;

		if (t->phase >= TXN_CHECKS && t->phase < TXN_OVER &&
			now > t->deadline_ms + OVERDUE_MS) {
			quarantine_forget(&t->keeping);
			delivery_cancel(&t->run);
			defer(t, "deadline exceeded");
			next = f->txns; /* one end may be others' */
		}
		t = next;
	}
}

/* ------------------------------------------------------------------ 1 trace, 2 policy */

static bool step_trace(struct txn *t)
{
	struct mw_octets message = smtp_body_octets(t->body);
	const char *hop =
		smtp_arena_printf(&t->arena, "%s://[%s]:%u", t->protocol, t->peer_ip, t->peer_port);
	enum mw_rc rc = mw_header_index(&t->header, message);

	if (rc == MW_OK && hop != NULL)
		rc = facts_collect(&t->facts, &t->arena, &t->header, hop, t->sender);
	if (rc != MW_OK || hop == NULL) {
		defer(t, rc == MW_ERR_LIMIT ? "header section over its limits" : "out of memory");
		return false;
	}
	t->client_ip = t->has_xforward ? t->xforward.addr : t->facts.first_ip;
	if (t->has_xforward && t->xforward.port != NULL)
		t->client_port = (unsigned)strtoul(t->xforward.port, NULL, 10) & 0xffff;
	if (t->facts.received > FACTS_HOPS_MAX) {
		for (size_t i = 0; i < t->rcpt_count; i++) {
			t->rcpts[i].code = 554;
			t->rcpts[i].action = MW_ACT_REJECT;
			t->rcpts[i].reply =
				"554 5.4.6 too many hops: more than 100 Received fields";
		}
		step_reply(t);
		return false;
	}
	return true;
}

static void step_policy(struct txn *t)
{
	const struct policy *p = t->policy;

	for (size_t i = 0; i < t->rcpt_count; i++) {
		struct txn_rcpt *r = &t->rcpts[i];

		r->is_local = mw_lookup_bool(p->local_domains, r->addr, false);
		r->bypass_virus = mw_lookup_bool(p->bypass_virus, r->addr, false);
		r->bypass_spam = mw_lookup_bool(p->bypass_spam, r->addr, false);
		r->bypass_banned = mw_lookup_bool(p->bypass_banned, r->addr, false);
	}
}

void txn_run(struct txn *t)
{
	t->phase = TXN_CHECKS;
	t->dot_us = mw_mono_us();
	t->deadline_ms = mw_mono_ms() + t->policy->child_timeout_ms;
	t->checks_deadline_ms = t->deadline_ms - t->policy->child_timeout_ms *
							 t->set->delivery_reserve_percent / 100;
	t->front->stats.mails++;
	txn_state(t, '=');
	if (!step_trace(t))
		return;
	step_policy(t);
	checks_first(t);
}

/* ------------------------------------------------------------------ 3 checks */

/* A mail that killed two cages before is not offered to a third (DESIGN: poison). */
static bool known_poison(struct txn *t)
{
	struct front *f = t->front;
	uint64_t now = mw_mono_ms(), digest;

	if (f->poison_count == 0)
		return false;
	digest = digest_of(t);
	for (size_t i = 0; i < f->poison_count; i++)
		if (f->poison[i].digest == digest && now - f->poison[i].at_ms < FRONT_POISON_MS)
			return true;
	return false;
}

static void remember_poison(struct txn *t)
{
	struct front *f = t->front;

	f->poison[f->poison_next] = (struct front_poison){ digest_of(t), mw_mono_ms() };
	f->poison_next = (f->poison_next + 1) % FRONT_POISON_MAX;
	if (f->poison_count < FRONT_POISON_MAX)
		f->poison_count++;
	mw_log(MW_WARN, "poison", "log_id=%s mail_id=%s octets=%zu", t->log_id, t->mail_id,
		smtp_body_size(t->body));
	mw_publish_alert(f->pub, "poison", "log_id=%s mail_id=%s: two cages died on it", t->log_id,
		t->mail_id);
}

static void check_failed(struct txn_check *c, const char *reason)
{
	c->state = CHECK_OVER;
	c->status = MW_FAILED;
	mw_strlcpy(c->reason, reason, sizeof(c->reason));
}

static void check_next(struct txn *t, enum dispatch_kind kind)
{
	if (t->checks_waiting > 0)
		return;
	if (kind == JOB_SIGN)
		step_sign(t);
	else if (kind == JOB_SPAM)
		checks_over(t);
	else
		checks_spam(t);
}

static void check_done(void *arg, const struct dispatch_result *r)
{
	struct txn_check *c = arg;
	struct txn *t = c->txn;
	uint64_t cpu = mw_mono_us();

	c->job = NULL;
	c->state = CHECK_OVER;
	c->status = r->status;
	c->poison = r->poison;
	mw_strlcpy(c->reason, r->reason, sizeof(c->reason));
	mw_strlcpy(c->worker, r->worker, sizeof(c->worker));
	c->attempts = r->attempts;
	c->wait_us = r->wait_us;
	c->wall_us = r->wall_us;
	c->cpu_us = r->cpu_us;
	if (r->status != MW_FAILED && findings_take(t, c->kind, r->findings) != MW_OK) {
		mw_log(MW_WARN, "bad_findings", "log_id=%s kind=%s worker=%s", t->log_id,
			dispatch_kind_names[c->kind], c->worker);
		check_failed(c, "findings not understood");
	}
	if (c->poison && c->kind == JOB_SCAN) {
		t->poison = true;
		remember_poison(t);
	}
	t->cpu_checks_us += mw_mono_us() - cpu;
	t->checks_waiting--;
	check_next(t, c->kind);
}

static void submit(
	struct txn *t, enum dispatch_kind kind, const struct dispatch_part *parts, size_t count)
{
	struct txn_check *c = &t->checks[kind];

	if (!c->orders.failed && !t->rcpts_packed.failed)
		c->job = dispatch_submit(t->front->dispatch, kind, &c->what, parts, count,
			t->checks_deadline_ms, check_done, c);
	if (c->job == NULL) {
		check_failed(c, "queue of jobs is full");
		return;
	}
	c->state = CHECK_WAITING;
	t->checks_waiting++;
}

/* A scan that may not be tried again fails here; step_keep makes no second copy of it. */
static bool poison_before(struct txn *t)
{
	if (!known_poison(t))
		return false;
	t->poison_known = true;
	check_failed(&t->checks[JOB_SCAN], "two cages died on this mail before");
	return true;
}

static void checks_first(struct txn *t)
{
	struct dispatch_part whole = { smtp_body_octets(t->body), t->body };

	txn_state(t, 'D');
	if (plan_auth(t))
		submit(t, JOB_AUTH, &whole, 1);
	if (plan_scan(t) && !poison_before(t))
		submit(t, JOB_SCAN, &whole, 1);
	if (plan_reputation(t))
		submit(t, JOB_REPUTATION, NULL, 0);
	check_next(t, JOB_SCAN);
}

static void checks_spam(struct txn *t)
{
	struct dispatch_part whole = { smtp_body_octets(t->body), t->body };

	t->check_failure = decide_check_failure(t);
	if (plan_spam(t)) {
		txn_state(t, 'S');
		submit(t, JOB_SPAM, &whole, 1);
	}
	check_next(t, JOB_SPAM);
}

static void checks_over(struct txn *t)
{
	uint64_t cpu = mw_mono_us();

	t->checks_us = mw_mono_us();
	txn_state(t, 'r');
	t->check_failure = decide_check_failure(t);
	decide(t);
	t->cpu_checks_us += mw_mono_us() - cpu;
	step_keep(t);
}

/* ------------------------------------------------------------------ 5 keep */

static bool anyone_blocked(const struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].ccat_blocking != 0 && t->rcpts[i].destiny != MW_D_TEMPFAIL)
			return true;
	return false;
}

static void kept(void *arg, enum mw_rc rc, const char *error)
{
	struct txn *t = arg;

	t->keeping = NULL;
	if (rc != MW_OK) {
		mw_log(MW_ERROR, "quarantine_failed", "log_id=%s mail_id=%s %s", t->log_id,
			t->mail_id, error);
		defer(t, "quarantine FAILED"); /* 2xx for discarded mail only behind a copy that is
						  on disk */
		return;
	}
	t->quarantined = true;
	mw_log(MW_INFO, "quarantined", "log_id=%s mail_id=%s file=%s", t->log_id, t->mail_id,
		t->quarantine_file);
	step_edit(t);
}

static void step_keep(struct txn *t)
{
	t->phase = TXN_KEEP;
	t->sending_us = mw_mono_us();
	/* A mail that is deferred comes again: only poison is set aside all the same, once. */
	if ((t->check_failure == NULL && anyone_blocked(t)) || t->poison)
		t->quarantine_file = quarantine_name(t);
	if (t->quarantine_file == NULL) {
		step_edit(t);
		return;
	}
	txn_state(t, 'Q');
	t->quarantine_octets = smtp_body_size(t->body);
	t->keeping = quarantine_keep(t, t->quarantine_file, kept, t);
	if (t->keeping == NULL)
		defer(t, "quarantine FAILED: out of memory");
}

/* ------------------------------------------------------------------ 6 edit, 7 sign */

static void step_edit(struct txn *t)
{
	uint64_t cpu = mw_mono_us();
	enum mw_rc rc;

	if (t->check_failure != NULL) {
		defer(t, t->check_failure);
		return;
	}
	rc = edit_clusters(t);
	t->cpu_sending_us += mw_mono_us() - cpu;
	if (rc != MW_OK) {
		defer(t, "out of memory");
		return;
	}
	t->phase = TXN_SIGN;
	t->cluster_at = 0;
	step_sign(t);
}

/* One job for each cluster in turn: each has a header section of its own. */
static void sign_cluster(struct txn *t, struct txn_cluster *c, const struct policy_signer *signer)
{
	struct dispatch_part parts[2];
	struct mw_octets message = smtp_body_octets(t->body);

	if (edit_final_header(t, c) != MW_OK) {
		check_failed(&t->checks[JOB_SIGN], "out of memory");
		return;
	}
	parts[0] = (struct dispatch_part){ smtp_body_octets(c->header_owner), c->header_owner };
	parts[1] = (struct dispatch_part){
		mw_octets_of(message.p + t->header.body, message.n - t->header.body), t->body
	};
	plan_sign_orders(t, signer);
	submit(t, JOB_SIGN, parts, 2);
}

static void step_sign(struct txn *t)
{
	const struct policy_signer *signer = NULL;

	if (t->checks[JOB_SIGN].state == CHECK_OVER && t->checks[JOB_SIGN].status == MW_DONE) {
		struct txn_cluster *c = &t->clusters[t->cluster_at++];

		c->pieces[0] = t->found.sign_fields;
	}
	if (t->checks[JOB_SIGN].state == CHECK_OVER && t->checks[JOB_SIGN].status != MW_DONE) {
		defer(t, "DKIM signing FAILED");
		return;
	}
	if (t->cluster_at < t->cluster_count && plan_sign(t, &signer)) {
		sign_cluster(t, &t->clusters[t->cluster_at], signer);
		if (t->checks[JOB_SIGN].state == CHECK_OVER && t->checks_waiting == 0)
			defer(t, "DKIM signing FAILED");
		return;
	}
	t->cluster_at = 0;
	step_deliver(t);
}

/* ------------------------------------------------------------------ 8 deliver */

static void take_result(struct txn *t, struct txn_rcpt *r, const struct delivery_rcpt *d)
{
	r->code = d->code;
	r->from_next_hop = d->own_words;
	r->delivered = d->code / 100 == 2;
	r->reply = d->text != NULL ? smtp_arena_copy(&t->arena, d->text, strlen(d->text)) : NULL;
	if (r->reply == NULL)
		r->reply = r->delivered ? "250 2.6.0 delivered" : "451 4.3.0 out of memory";
	r->action = r->delivered	 ? MW_ACT_PASS
		    : d->code / 100 == 5 ? MW_ACT_REJECT
					 : MW_ACT_TEMPFAIL;
	if (!r->delivered && d->code / 100 != 5)
		r->code = d->code / 100 == 4 ? d->code : 451;
	if (!r->delivered && r->ccats[0] < MW_CCAT(MW_CC_MTA, 0))
		r->ccats[0] = MW_CCAT(MW_CC_MTA, d->code / 100 == 5 ? 2 : 1);
}

static void delivered(void *arg, bool new_connection)
{
	struct txn *t = arg;
	struct txn_cluster *c = &t->clusters[t->cluster_at++];

	t->run = NULL;
	t->conn_new += new_connection;
	for (size_t i = 0; i < c->rcpt_count; i++)
		take_result(t, &t->rcpts[c->rcpt_index[i]], &c->rcpts[i]);
	step_deliver(t);
}

/* SMTP has one reply: a 4xx for one recipient makes the client send to all again, so nobody may get
 * it before. */
static bool must_not_go_on(const struct txn *t)
{
	if (t->per_rcpt)
		return false;
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].code / 100 == 4)
			return true;
	return false;
}

static void skip_rest(struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].code == 0) {
			t->rcpts[i].code = 450;
			t->rcpts[i].action = MW_ACT_TEMPFAIL;
			t->rcpts[i].reply =
				"450 4.5.0 not sent: another recipient was refused for now";
		}
}

/* Where to, with * filled in for this mail. False: it was deferred. */
static bool find_hops(struct txn *t)
{
	const struct next_hops *route = t->route;
	struct next_hop *own = NULL;

	t->hops = route->hop;
	for (size_t i = 0; i < route->count; i++) {
		if (!route->hop[i].any_host && !route->hop[i].any_port)
			continue;
		if (own == NULL) {
			own = smtp_arena_array(&t->arena, route->count, sizeof(*own));
			if (own == NULL) {
				defer(t, "out of memory");
				return false;
			}
			memcpy(own, route->hop, route->count * sizeof(*own));
			t->hops = own;
		}
		if (!next_hop_fill(&own[i], t->peer_ip, t->local_port)) {
			defer(t, "the next hop's method has *, and the mail came by a Unix socket");
			return false;
		}
	}
	return true;
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
	step_reply(t);
}

static void step_deliver(struct txn *t)
{
	struct txn_cluster *c;

	t->phase = TXN_DELIVER;
	if (t->client_delivers) {
		hand_back(t);
		return;
	}
	if (must_not_go_on(t))
		skip_rest(t);
	if (t->cluster_at == t->cluster_count || must_not_go_on(t)) {
		step_reply(t);
		return;
	}
	if (t->cluster_at == 0) {
		txn_state(t, 'F');
		if (!find_hops(t))
			return;
	}
	c = &t->clusters[t->cluster_at];
	c->mail = (struct delivery_mail){
		.hops = t->hops,
		.hop_count = t->route->count,
		.tls = t->set->tls_out,
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
		.dots = t->dots,
		.all_or_nothing = !t->per_rcpt,
		.deadline_ms = t->deadline_ms,
	};
	t->run = c->mail.message_id != NULL
			 ? delivery_send(t->front->delivery, &c->mail, delivered, t)
			 : NULL;
	if (t->run == NULL)
		defer(t, "out of memory");
}

void txn_forward(struct txn *t, const struct next_hops *route, const char *fields, size_t from)
{
	t->released = true;
	t->route = route;
	t->dots = true;
	t->dot_us = t->checks_us = t->sending_us = mw_mono_us();
	t->deadline_ms = mw_mono_ms() + t->policy->child_timeout_ms;
	t->phase = TXN_DELIVER;
	if (edit_nothing(t, fields, from) != MW_OK) {
		defer(t, "out of memory");
		return;
	}
	step_deliver(t);
}

/* ------------------------------------------------------------------ 9 reply, 10 record */

/* learn: a job nobody waits for. What it borrows has to outlive the mail, so the mail waits for it,
 * silently. */
static void learned(void *arg, const struct dispatch_result *r)
{
	struct txn_check *c = arg;
	struct txn *t = c->txn;

	(void)r;
	c->job = NULL;
	txn_destroy(&t);
}

static void let_go(struct txn *t)
{
	struct txn_check *c = &t->checks[JOB_LEARN];

	/* The octets are not needed any more; they count against front.held_octets. */
	if (!t->check_failure && !t->released && plan_learn(t) && !c->orders.failed)
		c->job = dispatch_submit(t->front->dispatch, JOB_LEARN, &c->what, NULL, 0,
			mw_mono_ms() + LEARN_MS, learned, c);
	if (c->job == NULL) {
		txn_destroy(&t);
		return;
	}
	smtp_body_unref(&t->body);
	unlink_txn(t);
	t->learning = true;
	link_txn(t, &t->front->learning);
}

static void count(struct txn *t)
{
	unsigned class = t->reply_code / 100;

	t->front->stats.tempfailed += class == 4;
	t->front->stats.rejected += class == 5;
	for (size_t i = 0; i < t->rcpt_count && class == 2; i++)
		if (t->rcpts[i].delivered) {
			t->front->stats.passed++;
			return;
		}
	t->front->stats.discarded += class == 2;
}

static void step_reply(struct txn *t)
{
	struct txn_client *client = t->client;

	t->phase = TXN_OVER;
	txn_state(t, '.');
	outcome_reply(t);
	if (!t->released)
		count(t);
	t->client = NULL;
	if (client != NULL && client->over(client, t)) {
		mw_log(MW_INFO, "reply_sent", "log_id=%s mail_id=%s code=%u", t->log_id, t->mail_id,
			t->reply_code);
	} else {
		mw_log(MW_WARN, "nobody_to_tell", "log_id=%s mail_id=%s code=%u", t->log_id,
			t->mail_id, t->reply_code);
	}
	if (!t->released)
		report_mail(t, false);
	let_go(t);
}
