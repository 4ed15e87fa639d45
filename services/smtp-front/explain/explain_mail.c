/* The mail that is asked about, on the path of every mail as far as its checks. */
#include <stdio.h>
#include <stdlib.h>

#include "checks/plan.h"
#include "explain.h"
#include "log.h"
#include "policy/db.h"
#include "policy/dnsl.h"
#include "policy/hooks.h"
#include "policy/mail_policy.h"
#include "policy/message_banks.h"

#define EXPLAIN_KEY_BITS 2048 /* of the signatures that are taken to be there */

static struct explain *asking; /* one question a process */
static bool known;

static bool complain(const char *what, const char *why)
{
	fprintf(stderr, "mailweir explain: %s%s%s\n", what, *why != '\0' ? ": " : "", why);
	return false;
}

/* ------------------------------------------------------------------ the socket */

static bool is_meant(const struct explain_ask *a, const struct policy_socket *s)
{
	if (a->socket != NULL)
		return s->unix_socket && strcmp(s->address, a->socket) == 0;
	return !s->unix_socket && (a->port == 0 || s->port == a->port || s->port == 0) &&
	       (a->address == NULL || strcmp(s->address, a->address) == 0);
}

static bool find_socket(struct explain *x)
{
	const struct explain_ask *a = x->ask;
	struct mw_text all = { 0 };
	size_t i = 0;

	while (i < x->set->socket_count && !is_meant(a, &x->set->sockets[i]))
		i++;
	if (i < x->set->socket_count) {
		x->socket = x->set->sockets[i];
		if (a->port != 0)
			x->socket.port = a->port; /* the kernel may pick it */
		x->socket_policy = policy_for_socket(x->set, x->socket.address, x->socket.port);
		return true;
	}
	for (i = 0; i < x->set->socket_count; i++) {
		const struct policy_socket *s = &x->set->sockets[i];

		if (s->unix_socket)
			mw_text_addf(&all, " %s", s->address);
		else
			mw_text_addf(&all, " [%s]:%u", s->address, s->port);
	}
	fprintf(stderr,
		"mailweir explain: nobody listens there: inet_socket_port, inet_socket_bind and "
		"unix_socketname make%s\n",
		all.p != NULL ? all.p : " no socket");
	mw_text_fini(&all);
	return false;
}

/* ------------------------------------------------------------------ the envelope */

/* As a client's MAIL or RCPT would be read. NULL: it was told. */
static const char *address(struct explain *x, const char *keyword, const char *s, bool null_ok)
{
	size_t n = strlen(s);
	bool bare = n == 0 || s[0] != '<' || s[n - 1] != '>';
	const char *args = explain_text(x, bare ? "%s<%s>" : "%s%s", keyword, s);
	const char *addr = NULL, *rest = NULL;
	struct smtp_refusal why;

	if (smtp_command_path(&x->arena, args, keyword, null_ok, true, &addr, &rest, &why))
		return addr;
	complain(s, why.text);
	return NULL;
}

static bool over(struct txn_client *client, const struct txn *t)
{
	(void)client;
	(void)t;
	return true;
}

static void lists_ready(struct txn *t)
{
	known = true;
	mw_loop_stop(t->front->loop);
}

/* What DNS lists say of the client. */
static bool ask_lists(struct explain *x)
{
	struct front *f = x->front;
	struct mw_err err = { "" };
	enum mw_rc rc;

	f->loop = mw_loop_new();
	f->dnsl = f->loop != NULL ? dnsl_new(f->loop) : NULL;
	if (f->dnsl == NULL)
		return complain("out of memory", "");
	if (dnsl_configure(f->dnsl, x->conf, x->set->dns_lists > 0, &err) != MW_OK)
		return complain("DNS lists", err.text);
	known = false;
	rc = mail_policy_ready(x->txn, lists_ready);
	if (rc == MW_AGAIN && !known)
		mw_loop_run(f->loop);
	return rc != MW_ERR_NOMEM || complain("out of memory", "");
}

static bool begin(struct explain *x)
{
	static struct txn_client client = { .over = over };
	const struct explain_ask *a = x->ask;
	struct txn_origin origin = { .helo = a->helo,
		.peer_ip = x->socket.unix_socket ? "" : a->peer,
		.local_ip = x->socket.unix_socket ? "" : x->socket.address,
		.local_port = x->socket.port,
		.set = x->set,
		.policy = x->socket_policy };
	struct smtp_xforward forwarded = { 0 };
	struct smtp_refusal why;
	const char *from = address(x, "FROM:", a->from, true);

	if (from == NULL)
		return false;
	origin.protocol = origin.policy->protocol == PROTOCOL_AMPDP  ? "AM.PDP"
			  : origin.policy->protocol == PROTOCOL_LMTP ? "LMTP"
								     : "ESMTP";
	client.delivers = origin.policy->protocol == PROTOCOL_AMPDP;
	client.per_rcpt = origin.policy->protocol >= PROTOCOL_LMTP;
	if (a->client != NULL) {
		if (!smtp_command_xforward(
			    &x->arena, explain_text(x, "ADDR=%s", a->client), &forwarded, &why))
			return complain(a->client, why.text);
		origin.xforward = &forwarded;
	}
	x->txn = txn_new(x->front, &client, &origin, from);
	if (x->txn == NULL)
		return complain("out of memory", "");
	if (!ask_lists(x))
		return false;
	if (mail_policy_begin(x->txn, a->asked))
		return true;
	if (!mail_policy_is_undecided(x->txn))
		return complain(
			"a policy bank cannot be loaded; its reason stands in the log above", "");
	x->refused = "451 4.4.3 a DNS list about the client does not answer, try again later";
	return true;
}

/* What MAIL and RCPT would refuse. */
static bool recipients(struct explain *x)
{
	struct txn *t = x->txn;

	if (x->ask->size > t->policy->message_size_limit)
		x->refused = explain_text(x, "552 5.3.4 more than smtpd_message_size_limit = %llu",
			(unsigned long long)t->policy->message_size_limit);
	for (size_t i = 0; i < x->ask->to_count; i++) {
		const char *addr = address(x, "TO:", x->ask->to[i], false);

		if (addr == NULL)
			return false;
		if (txn_is_full(t) && x->refused == NULL)
			x->refused = explain_text(x,
				"452 4.5.3 more than smtpd_recipient_limit = %u recipients",
				t->policy->recipient_limit);
		if (txn_add_rcpt(t, addr, &(struct smtp_rcpt_params){ 0 }) != MW_OK)
			return complain("out of memory", "");
	}
	return true;
}

/* A hook has the last word on banks and recipients. */
static bool hook(struct explain *x)
{
	struct txn *t = x->txn;

	if (!hooks_pass(t, HOOK_NEW))
		x->refused = "451 4.5.0 hook FAILED: new";
	x->rcpts = smtp_arena_array(&x->arena, t->rcpt_count, sizeof(*x->rcpts));
	for (size_t i = 0; x->rcpts != NULL && i < t->rcpt_count; i++)
		x->rcpts[i].address = t->rcpts[i].addr;
	return x->rcpts != NULL || complain("out of memory", "");
}

/* ------------------------------------------------------------------ the message */

/* A plain mail of the sender's; the field that is asked about is one of it. */
static bool message(struct explain *x)
{
	struct txn *t = x->txn;
	struct mw_text m = { 0 };
	const char *author =
		x->ask->author != NULL ? address(x, "FROM:", x->ask->author, false) : t->sender;
	enum mw_rc rc = MW_ERR_NOMEM;

	if (author == NULL)
		return false;
	if (x->ask->header != NULL)
		mw_text_addf(&m, "%s: %s\r\n", x->ask->header, t->policy->authserv_id);
	for (size_t i = 0; i < x->ask->signer_count; i++)
		mw_text_addf(&m,
			"DKIM-Signature: v=1; a=rsa-sha256; d=%s; s=explain; h=From; bh=; b=\r\n",
			x->ask->signer[i]);
	mw_text_addf(&m, "From: <%s>\r\nTo: <%s>\r\nSubject: explain\r\n\r\nexplain\r\n", author,
		t->rcpts[0].addr);
	smtp_body_pool_set(&x->front->bodies, (size_t)mw_conf_int(x->conf, "front.memory_octets"),
		(uint64_t)mw_conf_int(x->conf, "front.held_octets"),
		mw_conf_text(x->conf, "front.spool_dir"));
	t->body = m.failed ? NULL : smtp_body_new(&x->front->bodies, m.n);
	if (t->body != NULL && (rc = smtp_body_append(t->body, m.p, m.n, NULL)) == MW_OK)
		rc = smtp_body_seal(t->body, NULL);
	mw_text_fini(&m);
	if (rc == MW_OK)
		rc = txn_read(t);
	return rc == MW_OK || complain("no memory for a mail", "");
}

/* ------------------------------------------------------------------ signatures */

/* All that the mail has are valid. */
static bool verify(struct explain *x)
{
	struct txn *t = x->txn;
	const struct explain_ask *a = x->ask;

	t->found.signatures =
		smtp_arena_array(&t->arena, a->signer_count + 1, sizeof(*t->found.signatures));
	for (size_t i = 0; t->found.signatures != NULL && i < a->signer_count; i++)
		t->found.signatures[t->found.signature_count++] = (struct finding_signature){
			.d = mw_octets_of_text(a->signer[i]),
			.s = mw_octets_of_text("explain"),
			.a = mw_octets_of_text("rsa-sha256"),
			.result = mw_octets_of_text("pass"),
			.bits = EXPLAIN_KEY_BITS,
		};
	return t->found.signatures != NULL;
}

/* As in the mail's path: where they could bring banks, signatures are looked at first. */
static bool message_banks(struct explain *x)
{
	struct txn *t = x->txn;

	if (!message_banks_wait_for_auth(t) || !plan_auth(t))
		return true;
	t->checks[JOB_AUTH].state = CHECK_OVER;
	t->checks[JOB_AUTH].status = MW_DONE;
	return (verify(x) && message_banks_by_author(t)) ||
	       complain("a policy bank cannot be loaded; its reason stands in the log above", "");
}

/* ------------------------------------------------------------------ recipients' settings */

static void hears(struct txn *t, size_t rcpt, const struct db_records *records)
{
	(void)t;
	explain_said(asking, rcpt, records);
}

static void answered(struct txn *t, const char *failed)
{
	if (failed != NULL)
		asking->refused = explain_text(asking, "451 4.5.0 %s", failed);
	known = true;
	mw_loop_stop(t->front->loop);
}

static bool ask_recipients(struct explain *x)
{
	struct front *f = x->front;
	struct mw_err err = { "" };

	if (db_new(f->loop, x->conf, &f->db, &err) != MW_OK)
		return complain("lookups", err.text);
	known = false;
	x->txn->checks_deadline_ms = mw_mono_ms() + x->txn->policy->child_timeout_ms;
	x->txn->hears = hears;
	asking = x;
	mail_policy_recipients(x->txn, answered);
	if (!known)
		mw_loop_run(f->loop);
	return true;
}

/* ------------------------------------------------------------------ checks, next hop */

/* It runs, ends well and finds nothing. */
static void planned(struct explain *x, enum dispatch_kind kind, bool runs)
{
	struct txn_check *c = &x->txn->checks[kind];

	x->checks[x->check_count++] =
		(struct explain_check){ dispatch_kind_names[kind], runs ? NULL : c->skipped };
	if (runs) {
		c->state = CHECK_OVER;
		c->status = MW_DONE;
	}
}

static void checks(struct explain *x)
{
	planned(x, JOB_AUTH, x->txn->checks[JOB_AUTH].state == CHECK_OVER || plan_auth(x->txn));
	planned(x, JOB_SCAN, plan_scan(x->txn));
	planned(x, JOB_REPUTATION, plan_reputation(x->txn));
	planned(x, JOB_SPAM, plan_spam(x->txn));
}

static bool next_hop(struct explain *x, struct explain_rcpt *r)
{
	struct txn *t = x->txn;
	const struct txn_rcpt *rcpt = &t->rcpts[r - x->rcpts];
	const struct next_hops *route = rcpt->route != NULL ? rcpt->route : t->route;

	if (rcpt->no_route != NULL) {
		r->no_hop = rcpt->no_route;
		return true;
	}
	if (t->client_delivers) {
		r->no_hop = "the client delivers by itself (AM.PDP)";
		return true;
	}
	if (!txn_find_hops(t, route, &r->no_hop))
		return true;
	r->hops = smtp_arena_array(&x->arena, route->count, sizeof(*r->hops));
	for (size_t i = 0; r->hops != NULL && i < route->count; i++)
		r->hops[r->hop_count++] = explain_text(x, "%s", t->hops[i].text);
	return r->hops != NULL || complain("out of memory", "");
}

static void brought(struct explain *x)
{
	struct txn *t = x->txn;

	if (x->ask->header != NULL && t->header.count > 0 && t->rcpt_count > 0)
		x->brought = edit_removes(t, &t->rcpts[0], &t->header.fields[0])
				     ? "taken away from the mail that brings it"
				     : "left as the mail brings it";
}

bool explain_mail(struct explain *x)
{
	if (!find_socket(x) || !begin(x) || !recipients(x) || !message(x) || !message_banks(x) ||
		!hook(x) || !explain_banks(x) || !explain_settings(x) || !ask_recipients(x))
		return false;
	if (x->refused == NULL) {
		checks(x);
		explain_outcome(x);
	}
	brought(x);
	for (size_t i = 0; i < x->txn->rcpt_count; i++)
		if (!next_hop(x, &x->rcpts[i]))
			return false;
	return true;
}
