/*
 * A transaction without a running front: settings from a text, recipients, octets, checks that are
 * over. What the rooms policy, checks/findings and outcome need, and no loop, socket or worker.
 */
#ifndef TEST_MAKE_TXN_H
#define TEST_MAKE_TXN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "outcome/body_plan.h"
#include "policy/mail_policy.h"
#include "transaction.h"

#define MADE_NAMES "myhostname = \"mx.example.org\"\nlocal_domains_maps = { \".example.org\" }\n"

struct made {
	struct front front;
	struct mw_conf *conf;
	struct txn txn;
};

/* main.c's: nothing waits for the last mail of a drain here. */
void front_txn_over(struct front *f)
{
	(void)f;
}

/* The text as a settings file; NULL with *errors_r (to be freed) when it is refused. */
static inline struct mw_conf *conf_of(const char *lua, char **errors_r)
{
	char path[] = "/tmp/mailweir-test-front-XXXXXX";
	struct mw_conf *conf = NULL;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, lua, strlen(lua)), (ssize_t)strlen(lua));
	close(fd);
	mw_conf_load(path, &conf, errors_r);
	unlink(path);
	return conf;
}

static inline struct made *make_txn(const char *lua)
{
	struct made *m = calloc(1, sizeof(*m));
	struct mw_err err = { "" };
	char whole[4096], *errors = NULL;
	struct txn *t;

	assert_non_null(m);
	t = &m->txn;
	snprintf(whole, sizeof(whole), "%s%s", MADE_NAMES, lua);
	m->conf = conf_of(whole, &errors);
	if (m->conf == NULL)
		fail_msg("%s", errors);
	if (policy_set_new(m->conf, &t->set, &err) != MW_OK)
		fail_msg("%s", err.text);
	m->front.bodies = (struct smtp_body_pool){
		.memory_octets = 131072, .held_limit = 1u << 30, .spool_dir = "/tmp"
	};
	t->front = &m->front;
	t->policy = t->set->base;
	t->time_ms = 1700000000000;
	t->helo = "client.example.com";
	t->peer_ip = "192.0.2.1";
	t->local_ip = "127.0.0.1";
	t->local_port = 10024;
	t->protocol = "ESMTP";
	t->sender = "sender@example.com";
	snprintf(t->log_id, sizeof(t->log_id), "00001-01");
	snprintf(t->mail_id, sizeof(t->mail_id), "abcdefghijkl");
	return m;
}

static inline struct txn_rcpt *make_rcpt(struct made *m, const char *addr)
{
	assert_int_equal(txn_add_rcpt(&m->txn, addr, &(struct smtp_rcpt_params){ 0 }), MW_OK);
	rcpt_policy_resolve(&m->txn, &m->txn.rcpts[m->txn.rcpt_count - 1], NULL);
	return &m->txn.rcpts[m->txn.rcpt_count - 1];
}

static inline void make_body(struct made *m, const char *octets, size_t n)
{
	m->txn.body = smtp_body_new(&m->front.bodies, n);
	assert_non_null(m->txn.body);
	assert_int_equal(smtp_body_append(m->txn.body, octets, n, NULL), MW_OK);
	assert_int_equal(smtp_body_seal(m->txn.body, NULL), MW_OK);
	assert_int_equal(mw_header_index(&m->txn.header, smtp_body_octets(m->txn.body)), MW_OK);
}

static inline void make_check(struct made *m, enum dispatch_kind kind, enum mw_status status)
{
	m->txn.checks[kind].kind = kind;
	m->txn.checks[kind].state = CHECK_OVER;
	m->txn.checks[kind].status = status;
	snprintf(m->txn.checks[kind].reason, sizeof(m->txn.checks[kind].reason), "%s",
		status == MW_DONE ? "" : "cage_died");
}

static inline void make_virus(struct made *m, const char *name)
{
	struct finding_virus *v =
		smtp_arena_array(&m->txn.arena, m->txn.found.virus_count + 1, sizeof(*v));

	for (size_t i = 0; i < m->txn.found.virus_count; i++)
		v[i] = m->txn.found.viruses[i];
	v[m->txn.found.virus_count].name = mw_octets_of_text(name);
	m->txn.found.viruses = v;
	m->txn.found.virus_count++;
}

static inline void end_txn(struct made *m)
{
	struct txn *t = &m->txn;

	body_forget(t);
	for (int kind = 0; kind < JOB_KINDS; kind++)
		mw_pack_fini(&t->checks[kind].orders);
	for (size_t i = 0; i < t->cluster_count; i++)
		smtp_body_unref(&t->clusters[i].header_owner);
	mw_pack_fini(&t->rcpts_packed);
	mw_header_fini(&t->header);
	smtp_body_unref(&t->body);
	policy_set_unref(&t->set);
	free(t->rcpts);
	smtp_arena_fini(&t->arena);
	assert_int_equal(smtp_body_held(&m->front.bodies), 0);
	mw_conf_destroy(&m->conf);
	free(m);
}

#endif
