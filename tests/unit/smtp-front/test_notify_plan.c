/* Who is told of what: and that a mail which looks like a notice of ours cannot switch that off. */
#include "make_txn.h"

#include "outcome/decide.h"
#include "outcome/notify_plan.h"

#define SETTINGS                                                                                   \
	"final_bad_header_destiny = D_PASS\n"                                                      \
	"virus_admin_maps = { 'admin@example.org' }\nwarnvirusrecip_maps = { true }\n"             \
	"bad_header_admin_maps = { 'admin@example.org' }\n"
#define ALIKE "From: \"x\" <postmaster@mx.example.org>\r\nAuto-Submitted: auto-generated\r\n\r\n"

static struct made *notice_alike(const char *settings)
{
	struct made *m = make_txn(settings);
	static const struct mw_octets author[] = { { (const unsigned char *)"postmaster@mx."
									    "example.org",
		25 } };

	make_body(m, ALIKE, strlen(ALIKE));
	m->txn.sender = "";
	m->txn.facts.author = (struct mw_list){ 1, author };
	make_check(m, JOB_SCAN, MW_DONE);
	make_rcpt(m, "a@example.org");
	return m;
}

static size_t notices_of(struct made *m)
{
	struct notify_plan *plans = NULL;
	size_t count = 99;

	decide(&m->txn);
	assert_true(notify_plan_others(&m->txn, &plans, &count));
	return count;
}

static void a_notice_that_comes_by_again_makes_none(void **state)
{
	struct made *m = notice_alike(SETTINGS);

	(void)state;
	m->txn.badh.count = 1;
	m->txn.badh.minors = MW_BIT(7);
	m->txn.badh.texts = (const char *[]){ "x" };
	assert_int_equal(notices_of(m), 0);
	m->txn.sender = "x@example.com"; /* it is none */
	assert_int_equal(notices_of(m), 1);
	end_txn(m);
}

/* Settings name another envelope sender than the null one. */
static void one_with_a_sender_of_ours_makes_none_neither(void **state)
{
	struct made *m =
		notice_alike(SETTINGS "mailfrom_notify_admin = 'virusalert@example.org'\n"
				      "hdrfrom_notify_recip = 'Filter <filter@example.org>'\n");

	(void)state;
	m->txn.badh.count = 1;
	m->txn.badh.minors = MW_BIT(7);
	m->txn.badh.texts = (const char *[]){ "x" };
	m->txn.sender = "VirusAlert@example.org";
	assert_int_equal(notices_of(m), 0);
	m->txn.sender = "";
	assert_int_equal(notices_of(m), 0);
	/* Another author's sender, and nobody's. */
	m->txn.facts.author.items =
		(const struct mw_octets[]){ mw_octets_of_text("filter@example.org") };
	assert_int_equal(notices_of(m), 0);
	m->txn.sender = "virusalert@example.org";
	assert_int_equal(notices_of(m), 1);
	m->txn.sender = "x@example.com";
	assert_int_equal(notices_of(m), 1);
	end_txn(m);
}

static void what_looks_like_one_and_is_infected_is_told_of_but_not_for_ever(void **state)
{
	struct made *m = notice_alike(SETTINGS);

	(void)state;
	make_virus(m, "Eicar");
	for (int i = 0; i < NOTIFY_ALIKE_MAX; i++)
		assert_int_equal(notices_of(m), 2); /* the administrator's, the recipient's */
	assert_int_equal(notices_of(m), 0);
	m->txn.sender = "x@example.com";
	assert_int_equal(notices_of(m), 2);
	m->txn.sender = "";
	m->front.alike.since_ms -= 60u * 60 * 1000; /* an hour later */
	assert_int_equal(notices_of(m), 2);
	end_txn(m);
}

/* A notice that is refused for now defers the mail, and the virus is told of when it comes again.
 */
static void a_virus_is_new_until_it_was_told_of(void **state)
{
	struct made *m = make_txn("newvirus_admin_maps = { 'new@example.org' }\n");

	(void)state;
	make_check(m, JOB_SCAN, MW_DONE);
	make_rcpt(m, "a@example.org");
	make_virus(m, "Eicar");
	assert_int_equal(notices_of(m), 1);
	assert_int_equal(notices_of(m), 1);
	notify_plan_told(&m->txn);
	assert_int_equal(notices_of(m), 0);
	make_virus(m, "Another");
	assert_int_equal(notices_of(m), 1);
	notify_plan_told(&m->txn);
	assert_int_equal(notices_of(m), 0);
	end_txn(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_notice_that_comes_by_again_makes_none),
		cmocka_unit_test(one_with_a_sender_of_ours_makes_none_neither),
		cmocka_unit_test(a_virus_is_new_until_it_was_told_of),
		cmocka_unit_test(what_looks_like_one_and_is_infected_is_told_of_but_not_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
