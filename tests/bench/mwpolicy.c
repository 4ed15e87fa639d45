/*
 * mwpolicy: what it costs to know who gets which treatment, for a mail with many recipients.
 *
 *   mwpolicy SETTINGS [--rcpts N] [--mails N] [--domain NAME]
 *
 * The policy room of smtp-front without a front around it: for every mail the banks of its client
 * and sender are loaded and all that is said about its recipients is asked, as transaction.c does.
 * Where the settings have a database, the first mail asks it and the others have its answers from
 * the cache; the figure is theirs.
 */
#include "bench.h"

#include "log.h"
#include "policy/db.h"
#include "policy/mail_policy.h"

#define FOLDED_MAILS 200 /* so many different sets of recipients */

struct run {
	long rcpts, mails;
	const char *domain;
	struct front front;
	struct txn txn;
	const char *failed;
	bool over;
};

/* main.c's. */
void front_txn_over(struct front *f)
{
	(void)f;
}

static struct run *run_of(struct txn *t)
{
	return (struct run *)(void *)((char *)t - offsetof(struct run, txn));
}

static void known(struct txn *t, const char *failed)
{
	run_of(t)->failed = failed;
	run_of(t)->over = true;
	mw_loop_stop(t->front->loop);
}

/* Forget what the last mail loaded and was told; its recipients are others. */
static void next_mail(struct run *r, long mail)
{
	struct txn *t = &r->txn;

	mail_policy_forget(t);
	t->policy = t->set->base;
	t->originating = false;
	t->rcpt_count = 0;
	t->rcpt_octets = 0;
	for (long i = 0; i < r->rcpts; i++) {
		const char *addr = smtp_arena_printf(
			&t->arena, "User%ld@%s", mail % FOLDED_MAILS * r->rcpts + i, r->domain);

		if (addr == NULL || txn_add_rcpt(t, addr, &(struct smtp_rcpt_params){ 0 }) != MW_OK)
			die("out of memory");
	}
}

static void ask(struct run *r)
{
	struct txn *t = &r->txn;
	uint64_t now = mw_mono_ms();

	t->deadline_ms = t->checks_deadline_ms = now + 60000;
	r->over = false;
	if (!mail_policy_begin(t, NULL))
		die("a bank cannot be loaded");
	mail_policy_recipients(t, known);
	if (!r->over)
		mw_loop_run(t->front->loop);
	if (r->failed != NULL)
		die("%s", r->failed);
}

static void open_front(struct run *r, const char *path)
{
	struct mw_conf *conf = NULL;
	struct mw_err err = { "" };
	char *errors = NULL;

	if (mw_conf_load(path, &conf, &errors) != MW_OK)
		die("%s", errors != NULL ? errors : "no settings");
	mw_log_open("mwpolicy", MW_WARN);
	r->front.loop = need(mw_loop_new());
	if (policy_set_new(conf, &r->front.policies, &err) != MW_OK ||
		db_new(r->front.loop, conf, &r->front.db, &err) != MW_OK)
		die("%s", err.text);
	mw_conf_destroy(&conf);
	r->txn.front = &r->front;
	r->txn.set = policy_set_ref(r->front.policies);
	r->txn.sender = "boss@example.org";
	r->txn.peer_ip = "127.0.0.1";
	r->txn.has_xforward = true;
	r->txn.xforward.addr = "192.0.2.7";
	snprintf(r->txn.log_id, sizeof(r->txn.log_id), "00001-01");
}

int main(int argc, char **argv)
{
	static struct run r = { .rcpts = 50, .mails = 2000, .domain = "example.org" };
	uint64_t asking = 0, first = 0;

	for (int i = 2; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--rcpts") == 0)
			r.rcpts = number(argv[i], argv[i + 1], 1, 1000);
		else if (strcmp(argv[i], "--mails") == 0)
			r.mails = number(argv[i], argv[i + 1], 1, 1000000);
		else if (strcmp(argv[i], "--domain") == 0)
			r.domain = argv[i + 1];
		else
			die("unknown option %s", argv[i]);
	}
	if (argc < 2)
		die("usage: mwpolicy SETTINGS [--rcpts N] [--mails N] [--domain NAME]");
	open_front(&r, argv[1]);
	for (long m = 0; m < FOLDED_MAILS + r.mails; m++) {
		uint64_t began;

		if (m % FOLDED_MAILS == 0) {
			mail_policy_forget(&r.txn);
			smtp_arena_fini(&r.txn.arena);
		}
		next_mail(&r, m);
		began = now_us();
		ask(&r);
		began = now_us() - began;
		first += m == 0 ? began : 0;
		asking += m >= FOLDED_MAILS ? began : 0;
	}
	printf("%ld recipients, %zu banks: %.1f us a mail, the first %.1f us\n", r.rcpts,
		r.txn.policy->bank_count, (double)asking / (double)r.mails, (double)first);
	mail_policy_forget(&r.txn);
	policy_set_unref(&r.txn.set);
	policy_set_unref(&r.front.policies);
	db_destroy(&r.front.db);
	free(r.txn.rcpts);
	smtp_arena_fini(&r.txn.arena);
	mw_loop_destroy(&r.front.loop);
	return 0;
}
