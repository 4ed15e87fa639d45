/* fuzz: common services/smtp-front -Wl,--wrap=mw_log */
/*
 * Hooks: the first octet is the point, then the body of a function, then, behind 0x1e, the mail's
 * octets. Whatever the function does, it ends at its budget, the client's recipients stay, findings
 * do not go away, and what it adds on top of the mail is header fields, as many as it said.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"
#include "outcome/decide.h"
#include "outcome/edit.h"
#include "outcome/reply.h"
#include "policy/hooks.h"
#include "policy/mail_policy.h"

#define BODY_MAX 3000
#define MAIL_MARK 0x1e

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __wrap_mw_log(enum mw_level level, const char *event, const char *fmt, ...);

/* Failures are what is looked for here: nothing to tell. */
void __wrap_mw_log(enum mw_level level, const char *event, const char *fmt, ...)
{
	(void)level;
	(void)event;
	(void)fmt;
}

/* main.c's. */
void front_txn_over(struct front *f)
{
	(void)f;
}

static void require(bool promise)
{
	if (!promise)
		abort();
}

/* NULL: the body is no Lua. */
static struct mw_conf *conf_with(enum hook_point point, const uint8_t *body, size_t n)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);
	struct mw_conf *conf = NULL;
	char path[64], *errors = NULL;

	require(fd >= 0);
	dprintf(fd,
		"myhostname = 'mx.example.org' policy_bank.X = {} hooks.steps = 2000\n"
		"hooks.memory = 262144 hooks.time = 200\n"
		"local kept\nhooks.%s = function(mail) %.*s\nend\n",
		hook_names[point], (int)n, (const char *)body);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	mw_conf_load(path, &conf, &errors);
	close(fd);
	free(errors);
	return conf;
}

static void look_at_edits(struct txn *t)
{
	struct txn_hooked *all = t->hooked;
	struct mw_header h = { 0 };

	require(all->test_count <= 100 && all->edit_count <= 50 && all->edit_octets <= 8192);
	require(mw_header_index(&h, mw_octets_of_text(all->fields)) == MW_OK);
	require(h.count + all->removed_count <= all->edit_count);
	for (size_t i = 0; i < h.count; i++)
		require(h.fields[i].name_len > 0);
	mw_header_fini(&h);
	for (int i = 0; i < HOOK_POINTS; i++)
		require(all->said[i].text == NULL ||
			mw_is_printable(all->said[i].text, strlen(all->said[i].text)));
}

static void look_at_recipients(const struct txn *t)
{
	require(t->rcpt_count == 2 + t->added_count);
	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct txn_rcpt *r = &t->rcpts[i];

		require(r->added == (i >= 2));
		require(strpbrk(r->addr, "\r\n") == NULL && *r->addr != '\0');
		require(!r->removed || (r->code == 250 && r->action == MW_ACT_DISCARD));
	}
}

static void end_as_a_mail_does(struct txn *t)
{
	require(hooks_viruses(t) == MW_OK);
	require(t->found.virus_count >= 1); /* the scan's */
	for (size_t i = 0; i < t->rcpt_count; i++) {
		rcpt_policy_resolve(t, &t->rcpts[i], NULL);
		for (unsigned s = 0; s < CCAT_SLOTS; s++)
			t->rcpts[i].destinies[s] = MW_D_PASS;
	}
	decide(t);
	for (size_t i = 0; i < t->rcpt_count; i++)
		require(t->rcpts[i].ccats[0] == MW_CCAT(MW_CC_VIRUS, 0));
	require(edit_clusters(t) == MW_OK);
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].code == 0) {
			t->rcpts[i].code = 250;
			t->rcpts[i].delivered = true;
			t->rcpts[i].reply = "250 ok";
		}
	outcome_reply(t);
	require(t->reply_code == 250);
}

static void run(struct policy_set *set, enum hook_point point, const uint8_t *mail, size_t n)
{
	static struct front front;
	struct finding_virus virus = { mw_octets_of_text("a"), mw_octets_of_text("b") };
	struct txn t = { .front = &front,
		.set = set,
		.policy = set->base,
		.helo = "h",
		.peer_ip = "192.0.2.1",
		.local_ip = "127.0.0.1",
		.protocol = "ESMTP",
		.sender = "s@example.com",
		.log_id = "1-1",
		.mail_id = "abcdefghijkl" };

	front.bodies = (struct smtp_body_pool){
		.memory_octets = 1u << 20, .held_limit = 1u << 30, .spool_dir = "/tmp"
	};
	t.found.viruses = &virus;
	t.found.virus_count = 1;
	t.checks[JOB_SCAN].state = CHECK_OVER;
	t.body = smtp_body_new(&front.bodies, n);
	require(t.body != NULL && smtp_body_append(t.body, mail, n, NULL) == MW_OK &&
		smtp_body_seal(t.body, NULL) == MW_OK);
	require(txn_add_rcpt(&t, "a@example.org", &(struct smtp_rcpt_params){ 0 }) == MW_OK &&
		txn_add_rcpt(&t, "b@example.org", &(struct smtp_rcpt_params){ 0 }) == MW_OK);
	if (mw_header_index(&t.header, smtp_body_octets(t.body)) == MW_OK &&
		facts_collect(&t.facts, &t.arena, &t.header, "x", t.sender) == MW_OK)
		for (int i = 0; i < 3; i++) /* what it keeps is there again */
			hooks_call(&t, point);
	if (t.hooked != NULL) {
		look_at_edits(&t);
		look_at_recipients(&t);
		end_as_a_mail_does(&t);
	}
	mw_header_fini(&t.header);
	smtp_body_unref(&t.body);
	free(t.rcpts);
	smtp_arena_fini(&t.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_set *set = NULL;
	enum hook_point point;
	struct mw_conf *conf;
	const uint8_t *mail;
	size_t n;

	if (size < 1)
		return 0;
	point = (enum hook_point)(data[0] % HOOK_POINTS);
	mail = memchr(data + 1, MAIL_MARK, size - 1);
	n = mail != NULL ? (size_t)(mail - data) - 1 : size - 1;
	if (n > BODY_MAX)
		return 0;
	conf = conf_with(point, data + 1, n);
	if (conf != NULL && policy_set_new(conf, &set, NULL) == MW_OK && set->hooks != NULL)
		run(set, point, mail != NULL ? mail + 1 : data, mail != NULL ? size - n - 2 : 0);
	policy_set_unref(&set);
	mw_conf_destroy(&conf);
	return 0;
}
