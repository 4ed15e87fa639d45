/* fuzz: common services/smtp-front -Wl,--wrap=mw_log */
/*
 * Header edits of hostile mail: an octet of switches, one of the tag's length, the tag, the mail.
 * Whatever stands there, what leaves is as edit_judge.h has it, and so is what AM.PDP is told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"
#include "policy/mail_policy.h"

#define require(promise) ((promise) ? (void)0 : broken(__LINE__, #promise))
#define JUDGE(promise) require(promise)

static void broken(int line, const char *promise)
{
	fprintf(stderr, "line %d: %s\n", line, promise);
	abort();
}

#include "edit_judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __wrap_mw_log(enum mw_level level, const char *event, const char *fmt, ...);

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

static struct policy_set *the_set(void)
{
	static struct policy_set *set;
	static const char lua[] = "myhostname = 'mx.example.org' local_domains_maps = { true }\n"
				  "remove_existing_x_scanned_headers = true\n";
	struct mw_conf *conf = NULL;
	char path[64], *errors = NULL;
	int fd;

	if (set != NULL)
		return set;
	fd = memfd_create("conf", MFD_CLOEXEC);
	require(fd >= 0 && write(fd, lua, sizeof(lua) - 1) == (ssize_t)sizeof(lua) - 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	require(mw_conf_load(path, &conf, &errors) == MW_OK);
	close(fd);
	require(policy_set_new(conf, &set, NULL) == MW_OK);
	return set;
}

/* The changes that a client is told make of the original what they say. */
static void judge_changes(struct txn *t, const struct txn_cluster *c)
{
	struct edit_change *list;
	struct mw_header h = { 0 };
	size_t count;

	require(edit_changes(t, c, &list, &count) == MW_OK);
	for (size_t i = 0; i < count; i++) {
		require(list[i].name.n > 0 && list[i].index > 0);
		if (list[i].field.n == 0)
			continue;
		require(mw_header_index(&h, list[i].field) == MW_OK && h.count == 1);
		require(h.fields[0].id == MW_H_SUBJECT);
	}
	mw_header_fini(&h);
}

static void edit(struct txn *t, const uint8_t *mail, size_t n)
{
	t->body = smtp_body_new(&t->front->bodies, n);
	require(t->body != NULL && smtp_body_append(t->body, mail, n, NULL) == MW_OK &&
		smtp_body_seal(t->body, NULL) == MW_OK);
	if (mw_header_index(&t->header, smtp_body_octets(t->body)) == MW_OK) {
		require(edit_clusters(t) == MW_OK && t->cluster_count == 1);
		edit_judge(t, &t->clusters[0], &t->rcpts[0]);
		judge_changes(t, &t->clusters[0]);
		require(edit_final_header(t, &t->clusters[0]) == MW_OK);
		smtp_body_unref(&t->clusters[0].header_owner);
	}
	mw_header_fini(&t->header);
	smtp_body_unref(&t->body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct front front;
	struct policy policy = *the_set()->base;
	struct txn t = { .front = &front,
		.set = the_set(),
		.policy = &policy,
		.route = &policy.forward,
		.helo = "h",
		.peer_ip = "192.0.2.1",
		.local_ip = "127.0.0.1",
		.protocol = "ESMTP",
		.sender = "s@example.com",
		.log_id = "1-1",
		.mail_id = "abcdefghijkl" };
	struct txn_rcpt *r;
	size_t tag;

	if (size < 2)
		return 0;
	front.bodies = (struct smtp_body_pool){
		.memory_octets = 1u << 20, .held_limit = 1u << 30, .spool_dir = "/tmp"
	};
	tag = data[1] < size - 2 ? data[1] : size - 2;
	policy.fix_header = (data[0] & 1) != 0;
	policy.fix_folding = (data[0] & 2) != 0;
	policy.fix_long_lines = (data[0] & 4) != 0;
	t.client_delivers = (data[0] & 8) != 0;
	require(txn_add_rcpt(&t, "a@example.org", &(struct smtp_rcpt_params){ 0 }) == MW_OK);
	r = &t.rcpts[0];
	r->is_local = true;
	r->spam_fields_go = (data[0] & 16) != 0;
	r->has_score = true;
	r->score_milli = 7000;
	r->tag = r->tag2 = (data[0] & 32) != 0;
	r->ccats[r->ccat_count++] = MW_CCAT(MW_CC_SPAMMY, 0);
	r->subject_tags[CCAT_SPAMMY] = smtp_arena_copy(&t.arena, data + 2, tag);
	edit(&t, data + 2 + tag, size - 2 - tag);
	free(t.rcpts);
	smtp_arena_fini(&t.arena);
	return 0;
}
