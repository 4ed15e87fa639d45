/* The path of one mail: trace, policy, checks, decide, keep, edit, sign, deliver (in
 * transaction_delivery.c), reply, record. */
#include "transaction.h"

#include <stdio.h>
#include <stdlib.h>

#include "checks/banned.h"
#include "checks/findings.h"
#include "checks/header_check.h"
#include "checks/plan.h"
#include "checks/poison.h"
#include "digest.h"
#include "log.h"
#include "outcome/address_change.h"
#include "outcome/always_bcc.h"
#include "outcome/body_plan.h"
#include "outcome/clerk.h"
#include "outcome/decide.h"
#include "outcome/edit.h"
#include "outcome/notify.h"
#include "outcome/own_mail.h"
#include "outcome/quarantine.h"
#include "outcome/quarantine_stored.h"
#include "outcome/reply.h"
#include "policy/db.h"
#include "policy/dnsl.h"
#include "policy/hooks.h"
#include "policy/mail_policy.h"
#include "policy/mail_senders.h"
#include "policy/message_banks.h"
#include "report.h"
#include "transaction_priv.h"

#define LEARN_MS                                                                                   \
	10000 /* a lesson that finds no worker for so long is dropped: nobody waits for it */
#define BANK_FAILED "its policy banks cannot be loaded"
#define OVERDUE_MS 10000 /* behind the deadline that every step keeps by itself */

static void recipients_known(struct txn *t, const char *failed);
static void checks_first(struct txn *t);
static void auth_first(struct txn *t);
static void step_virus_banks(struct txn *t);
static void checks_spam(struct txn *t);
static void checks_over(struct txn *t);
static void step_keep(struct txn *t);
static void step_notices(struct txn *t);
static void step_edit(struct txn *t);
static void step_edit_header(struct txn *t, enum mw_rc rc);
static void step_sign(struct txn *t);

/* ------------------------------------------------------------------ ids */

/*
 * As amavisd's (protocols of release know them): the secret is random, the id is its MD5 cut to the
 * same length, both in base64url; the id's first and last character are alphanumeric.
 */
static bool make_mail_id(struct txn *t)
{
	static unsigned char pool[1024];
	static size_t used = sizeof(pool);
	size_t n = t->set->mail_id_octets;
	unsigned char digest[MW_MD5_OCTETS];
	char *id = t->mail_id;

	do {
		if (used + n > sizeof(pool)) {
			mw_random(pool, sizeof(pool));
			used = 0;
		}
		mw_base64url(pool + used, n, t->secret_id);
		if (!mw_md5(pool + used, n, digest))
			return false;
		mw_base64url(digest, n, id);
		used += n;
	} while (strchr("-_", id[0]) != NULL || strchr("-_", id[n / 3 * 4 - 1]) != NULL);
	return true;
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
	t->sender = smtp_arena_copy(&t->arena, sender, strlen(sender));
	if (!make_mail_id(t) || t->sender == NULL || !copy_origin(t, origin))
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

bool txn_has_room(const struct txn *t, size_t rcpts, size_t octets)
{
	return t->rcpt_count + rcpts <= t->policy->recipient_limit &&
	       t->rcpt_octets + octets <= RCPT_OCTETS_MAX;
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
	t->rcpts[t->rcpt_count++] = (struct txn_rcpt){ .addr = addr,
		.params = *params,
		.penpals_age_s = -1,
		.destiny = MW_D_PASS,
		.copy = -1 };
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
	own_mail_gone(t);
	if (t->claimed)
		clerk_unclaim(f->clerk, t->parent_mail_id);
	cancel_checks(t);
	dnsl_ask_destroy(&t->lists);
	db_cancel(&t->asking);
	mail_senders_forget(t);
	mail_policy_forget(t);
	delivery_cancel(&t->run);
	notify_forget(&t->telling);
	quarantine_forget(&t->keeping);
	body_forget(t);
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

/* One that came and was checked, neither released nor of our own: hooks, figures and lessons are
 * about those. */
static bool is_mail(const struct txn *t)
{
	return !t->released && t->own_kind == MW_OWN_NONE;
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
	if (t->phase >= TXN_CHECKS && is_mail(t)) {
		t->front->stats.aborted++;
		report_mail(t, true);
		hooks_pass(t, HOOK_MAIL_DONE);
	}
	txn_destroy(&t);
}

/* ------------------------------------------------------------------ an end without a decision */

void txn_defer(struct txn *t, const char *why)
{
	txn_log(t, MW_WARN, "deferred", "log_id=%s mail_id=%s why=%s", t->log_id, t->mail_id,
		mw_quote(why));
	t->deferred = true;
	cancel_checks(t);
	db_cancel(&t->asking);
	for (size_t i = 0; i < t->rcpt_count; i++) {
		struct txn_rcpt *r = &t->rcpts[i];

		if (r->delivered)
			continue; /* past the point of no return for this one */
		r->code = 451;
		r->action = MW_ACT_TEMPFAIL;
		r->reply = smtp_arena_printf(
			&t->arena, "451 4.5.0 Error in processing, id=%s, %s", t->log_id, why);
	}
	txn_reply(t);
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
			body_cancel(t);
			delivery_cancel(&t->run);
			notify_forget(&t->telling);
			txn_defer(t, "deadline exceeded");
			next = f->txns; /* one end may be others' */
		}
		t = next;
	}
}

/* ------------------------------------------------------------------ 1 trace, 2 policy */

enum mw_rc txn_read(struct txn *t)
{
	struct mw_octets message = smtp_body_octets(t->body);
	/* x: a Unix socket's client has no address */
	const char *hop = t->peer_ip[0] == '\0' ? "x"
						: smtp_arena_printf(&t->arena, "%s://[%s]:%u",
							  t->protocol, t->peer_ip, t->peer_port);
	enum mw_rc rc = mw_header_index(&t->header, message);

	if (rc == MW_OK && hop != NULL)
		rc = facts_collect(&t->facts, &t->arena, &t->header, hop, t->sender);
	if (rc != MW_OK || hop == NULL)
		return rc != MW_OK ? rc : MW_ERR_NOMEM;
	t->client_ip = t->has_xforward ? t->xforward.addr : t->facts.first_ip;
	if (t->has_xforward && t->xforward.port != NULL)
		t->client_port = (unsigned)strtoul(t->xforward.port, NULL, 10) & 0xffff;
	return MW_OK;
}

static bool step_trace(struct txn *t)
{
	enum mw_rc rc = txn_read(t);

	if (rc != MW_OK) {
		txn_defer(
			t, rc == MW_ERR_LIMIT ? "header section over its limits" : "out of memory");
		return false;
	}
	if (t->facts.received > FACTS_HOPS_MAX) {
		for (size_t i = 0; i < t->rcpt_count; i++) {
			t->rcpts[i].code = 554;
			t->rcpts[i].action = MW_ACT_REJECT;
			t->rcpts[i].reply =
				"554 5.4.6 too many hops: more than 100 Received fields";
		}
		txn_reply(t);
		return false;
	}
	return true;
}

/* A hook has the last word on banks and recipients. */
static void ask_about_recipients(struct txn *t)
{
	if (hooks_pass(t, HOOK_NEW))
		mail_policy_recipients(t, recipients_known);
	else
		txn_defer(t, "hook FAILED: new");
}

/* Banks that depend on the message come before its recipients are asked about. Signatures that
 * could bring some are verified first; all others beside the other checks. */
static void step_policy(struct txn *t)
{
	if (message_banks_wait_for_auth(t) && plan_auth(t))
		auth_first(t);
	else
		ask_about_recipients(t);
}

/* Signatures that nobody could verify bring no bank. */
static void step_author_banks(struct txn *t)
{
	if (message_banks_by_author(t))
		ask_about_recipients(t);
	else
		txn_defer(t, BANK_FAILED);
}

/* Hooks have taken all recipients off: nobody will see what is in it. */
static bool nobody_is_left(const struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (!t->rcpts[i].removed)
			return false;
	return t->rcpt_count > 0;
}

static void recipients_known(struct txn *t, const char *failed)
{
	if (failed != NULL)
		txn_defer(t, failed);
	else if (nobody_is_left(t))
		checks_over(t);
	else
		checks_first(t);
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
	if (step_trace(t))
		step_policy(t);
}

/* ------------------------------------------------------------------ 3 checks */

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
	if (t->rescanned != NULL) {
		void (*done)(struct txn * t) = t->rescanned;

		t->rescanned = NULL;
		done(t);
	} else if (t->auth_first) {
		t->auth_first = false;
		step_author_banks(t);
	} else if (kind == JOB_SIGN) {
		step_sign(t);
	} else if (kind == JOB_SPAM) {
		checks_over(t);
	} else {
		step_virus_banks(t);
	}
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
		txn_log(t, MW_WARN, "bad_findings", "log_id=%s kind=%s worker=%s", t->log_id,
			dispatch_kind_names[c->kind], c->worker);
		check_failed(c, "findings not understood");
	}
	if (c->poison && c->kind == JOB_SCAN) {
		t->poison = true;
		poison_remember(t);
	}
	t->cpu_checks_us += mw_mono_us() - cpu;
	t->checks_waiting--;
	check_next(t, c->kind);
}

static void submit_until(struct txn *t, enum dispatch_kind kind, const struct dispatch_part *parts,
	size_t count, uint64_t deadline_ms)
{
	struct txn_check *c = &t->checks[kind];

	if (!c->orders.failed && !t->rcpts_packed.failed)
		c->job = dispatch_submit(t->front->dispatch, kind, &c->what, parts, count,
			deadline_ms, check_done, c);
	if (c->job == NULL) {
		check_failed(c, "queue of jobs is full");
		return;
	}
	dispatch_speak_as(c->job, &t->policy->voice);
	c->state = CHECK_WAITING;
	t->checks_waiting++;
}

static void submit(
	struct txn *t, enum dispatch_kind kind, const struct dispatch_part *parts, size_t count)
{
	submit_until(t, kind, parts, count, t->checks_deadline_ms);
}

/* All attempts together, and the wait for a worker, take no more than one attempt may: the other
 * checks need their time, too. */
static void auth_first(struct txn *t)
{
	struct dispatch_part whole = { smtp_body_octets(t->body), t->body };
	uint64_t until_ms = mw_mono_ms() + t->set->auth_timeout_ms;

	t->auth_first = true;
	submit_until(t, JOB_AUTH, &whole, 1,
		until_ms < t->checks_deadline_ms ? until_ms : t->checks_deadline_ms);
	check_next(t, JOB_AUTH);
}

/* A scan that may not be tried again fails here; step_keep makes no second copy of it. */
static bool poison_before(struct txn *t)
{
	if (!poison_is_known(t))
		return false;
	t->poison_known = true;
	check_failed(&t->checks[JOB_SCAN], "two cages died on this mail before");
	return true;
}

static void checks_first(struct txn *t)
{
	struct dispatch_part whole = { smtp_body_octets(t->body), t->body };

	txn_state(t, 'D');
	if (t->checks[JOB_AUTH].state != CHECK_OVER && plan_auth(t))
		submit(t, JOB_AUTH, &whole, 1);
	if (plan_scan(t) && !poison_before(t))
		submit(t, JOB_SCAN, &whole, 1);
	if (plan_reputation(t))
		submit(t, JOB_REPUTATION, NULL, 0);
	check_next(t, JOB_SCAN);
}

void txn_rescan(struct txn *t, size_t from, void (*done)(struct txn *t))
{
	struct mw_octets all = smtp_body_octets(t->body);
	struct dispatch_part part = { mw_octets_of(all.p + from, all.n - from), t->body };

	t->released = true;
	t->rescanned = done;
	t->phase = TXN_CHECKS;
	t->dot_us = mw_mono_us();
	t->deadline_ms = mw_mono_ms() + t->policy->child_timeout_ms;
	t->checks_deadline_ms = t->deadline_ms - t->policy->child_timeout_ms *
							 t->set->delivery_reserve_percent / 100;
	plan_rescan(t, part.octets.n);
	submit(t, JOB_SCAN, &part, 1);
	check_next(t, JOB_SCAN);
}

static void virus_rcpts_known(struct txn *t, const char *failed)
{
	if (failed != NULL)
		txn_defer(t, failed);
	else
		checks_spam(t);
}

static void step_virus_banks(struct txn *t)
{
	bool loaded;

	if (hooks_viruses(t) != MW_OK)
		txn_defer(t, "out of memory");
	else if (!message_banks_by_virus(t, &loaded))
		txn_defer(t, BANK_FAILED);
	else if (loaded)
		mail_policy_recipients(t, virus_rcpts_known);
	else
		checks_spam(t);
}

static void senders_known(struct txn *t, const char *failed)
{
	struct dispatch_part whole = { smtp_body_octets(t->body), t->body };

	if (failed != NULL) {
		txn_defer(t, failed);
		return;
	}
	decide_senders(t);
	if (plan_spam(t)) {
		txn_state(t, 'S');
		submit(t, JOB_SPAM, &whole, 1);
	}
	check_next(t, JOB_SPAM);
}

static void checks_spam(struct txn *t)
{
	const char *failed;

	if (header_check_mail(t) != MW_OK || banned_check(t, &failed) != MW_OK)
		failed = "out of memory";
	if (failed != NULL) {
		txn_defer(t, failed);
		return;
	}
	t->check_failure = decide_check_failure(t);
	decide_viruses(t);
	mail_senders_ask(t, senders_known);
}

static void checks_over(struct txn *t)
{
	uint64_t cpu = mw_mono_us();

	t->checks_us = mw_mono_us();
	txn_state(t, 'r');
	t->check_failure = decide_check_failure(t);
	/* A mail that is deferred comes again. */
	if (t->check_failure == NULL && (!hooks_pass(t, HOOK_CHECKS) || hooks_viruses(t) != MW_OK))
		t->check_failure = "hook FAILED: checks";
	decide(t);
	t->cpu_checks_us += mw_mono_us() - cpu;
	step_keep(t);
}

/* ------------------------------------------------------------------ 5 keep */

static void kept(void *arg, enum mw_rc rc, const char *error)
{
	struct txn *t = arg;

	t->keeping = NULL;
	if (rc != MW_OK) {
		txn_log(t, MW_ERROR, "quarantine_failed", "log_id=%s mail_id=%s %s", t->log_id,
			t->mail_id, error);
		txn_defer(t, "quarantine FAILED"); /* 2xx for discarded mail only behind a copy that
						  is on disk */
		return;
	}
	t->quarantined = quarantine_keeps_from_somebody(t);
	step_notices(t);
}

static void step_keep(struct txn *t)
{
	enum mw_rc rc = MW_OK;

	t->phase = TXN_KEEP;
	t->sending_us = mw_mono_us();
	/* A mail that is deferred comes again: only poison is set aside all the same, once. */
	if (t->check_failure == NULL || t->poison)
		rc = quarantine_plan(t);
	if (rc != MW_OK) {
		txn_defer(t, "quarantine FAILED: out of memory");
	} else if (t->copy_count == 0) {
		step_notices(t);
	} else {
		txn_state(t, 'Q');
		t->quarantine_octets = smtp_body_size(t->body);
		rc = quarantine_keep(t, &t->keeping, kept, t);
		if (rc != MW_OK)
			txn_defer(t, "quarantine FAILED");
	}
}

static void others_told(struct txn *t, const char *failed)
{
	if (failed != NULL)
		txn_defer(t, failed);
	else
		step_edit(t);
}

/* Before anybody gets it: what cannot be told is deferred whole. */
static void step_notices(struct txn *t)
{
	if (t->check_failure == NULL)
		notify_others(t, others_told);
	else
		step_edit(t);
}

/* ------------------------------------------------------------------ 6 edit, 7 sign */

static void step_edit(struct txn *t)
{
	uint64_t cpu = mw_mono_us();
	enum mw_rc rc;

	t->edit_us = cpu;
	if (t->check_failure != NULL) {
		txn_defer(t, t->check_failure);
		return;
	}
	if (!hooks_pass(t, HOOK_BEFORE_SEND)) {
		txn_defer(t, "hook FAILED: before_send");
		return;
	}
	rc = always_bcc(t);
	if (rc == MW_OK) {
		address_changes(t);
		rc = body_plan(t, step_edit_header);
	}
	t->cpu_sending_us += mw_mono_us() - cpu;
	if (rc != MW_AGAIN)
		step_edit_header(t, rc);
}

static void step_edit_header(struct txn *t, enum mw_rc rc)
{
	uint64_t cpu = mw_mono_us();

	if (rc == MW_OK)
		rc = edit_clusters(t);
	t->cpu_sending_us += mw_mono_us() - cpu;
	if (rc != MW_OK) {
		txn_defer(t, "out of memory");
		return;
	}
	t->phase = TXN_SIGN;
	t->cluster_at = 0;
	step_sign(t);
}

/* One job for each cluster in turn: each has a header section of its own. */
static void sign_cluster(struct txn *t, struct txn_cluster *c, const struct policy_signer *signer)
{
	struct body_view view = body_view_of(t, c->form);
	struct dispatch_part parts[1 + BODY_PARTS_MAX];
	struct mw_octets first = view.parts[0].octets;

	if (edit_final_header(t, c) != MW_OK) {
		check_failed(&t->checks[JOB_SIGN], "out of memory");
		return;
	}
	parts[0] = (struct dispatch_part){ smtp_body_octets(c->header_owner), c->header_owner };
	parts[1] = (struct dispatch_part){ mw_octets_of(first.p + view.header->body,
						   first.n - view.header->body),
		view.parts[0].owner };
	for (size_t i = 1; i < view.part_count; i++)
		parts[1 + i] = view.parts[i];
	plan_sign_orders(t, signer);
	submit(t, JOB_SIGN, parts, 1 + view.part_count);
}

static void step_sign(struct txn *t)
{
	const struct policy_signer *signer = NULL;

	if (t->checks[JOB_SIGN].state == CHECK_OVER && t->checks[JOB_SIGN].status == MW_DONE) {
		struct txn_cluster *c = &t->clusters[t->cluster_at++];

		c->pieces[0] = t->found.sign_fields;
	}
	if (t->checks[JOB_SIGN].state == CHECK_OVER && t->checks[JOB_SIGN].status != MW_DONE) {
		txn_defer(t, "DKIM signing FAILED");
		return;
	}
	if (t->cluster_at < t->cluster_count && plan_sign(t, &signer)) {
		sign_cluster(t, &t->clusters[t->cluster_at], signer);
		if (t->checks[JOB_SIGN].state == CHECK_OVER && t->checks_waiting == 0)
			txn_defer(t, "DKIM signing FAILED");
		return;
	}
	t->cluster_at = 0;
	txn_deliver(t);
}

void txn_send_own(struct txn *t, const char *fields, size_t from, bool sign)
{
	t->dots = true;
	t->dot_us = t->checks_us = t->sending_us = mw_mono_us();
	t->phase = TXN_SIGN;
	if (edit_nothing(t, fields, from) != MW_OK)
		txn_defer(t, "out of memory");
	else if (sign)
		step_sign(t);
	else
		txn_deliver(t);
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
	if (!t->check_failure && is_mail(t) && plan_learn(t) && !c->orders.failed)
		c->job = dispatch_submit(t->front->dispatch, JOB_LEARN, &c->what, NULL, 0,
			mw_mono_ms() + LEARN_MS, learned, c);
	if (c->job == NULL) {
		txn_destroy(&t);
		return;
	}
	dispatch_speak_as(c->job, &t->policy->voice);
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

/* Who has got a mail out of the quarantine. */
static void tell_books(struct txn *t)
{
	if (t->is_report)
		return;
	clerk_released(t->front->clerk, t);
	if (t->is_stored)
		stored_released(t);
}

void txn_reply(struct txn *t)
{
	struct txn_client *client = t->client;
	bool sent = t->phase == TXN_DELIVER && is_mail(t);

	t->phase = TXN_OVER;
	txn_state(t, '.');
	outcome_reply(t);
	if (sent)
		hooks_pass(t, HOOK_AFTER_SEND);
	if (is_mail(t))
		count(t);
	else if (t->own_kind != MW_OWN_NONE)
		t->front->stats.own[t->own_kind][t->reply_code / 100 != 2]++;
	else
		tell_books(t);
	t->client = NULL;
	mw_log_hold();
	if (t->own_kind != MW_OWN_NONE) {
		txn_log(t, t->reply_code / 100 == 2 ? MW_INFO : MW_WARN, "own_mail_over",
			"log_id=%s mail_id=%s parent_mail_id=%s kind=%s code=%u reply=%s",
			t->log_id, t->mail_id, t->parent_mail_id, mw_own_name(t->own_kind),
			t->reply_code, mw_quote(t->reply));
		if (client != NULL)
			client->over(client, t);
	} else if (client != NULL && client->over(client, t)) {
		txn_log(t, MW_INFO, "reply_sent", "log_id=%s mail_id=%s code=%u", t->log_id,
			t->mail_id, t->reply_code);
	} else {
		txn_log(t, MW_WARN, "nobody_to_tell", "log_id=%s mail_id=%s code=%u", t->log_id,
			t->mail_id, t->reply_code);
	}
	if (!t->released)
		report_mail(t, false);
	mw_log_release();
	if (is_mail(t))
		hooks_pass(t, HOOK_MAIL_DONE);
	let_go(t);
}
