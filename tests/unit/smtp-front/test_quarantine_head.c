/* Whom a copy names: who it is for, and whom it is kept from, to whom a release goes. */
#include "make_txn.h"

#include "outcome/decide.h"
#include "outcome/quarantine_priv.h"

#define LEVELS "sa_tag2_level_deflt = 5\nsa_kill_level_deflt = 8\nfinal_spam_destiny = D_DISCARD\n"
#define A "a@example.org"
#define B "b@example.org"
#define C "c@example.org"

/* Spam for A, B and C. */
static struct made *spam_with(const char *lua)
{
	char whole[1000];
	struct made *m;

	snprintf(whole, sizeof(whole), LEVELS "%s", lua);
	m = make_txn(whole);
	make_body(m, "Subject: x\r\n\r\n", 14);
	make_check(m, JOB_SCAN, MW_DONE);
	make_check(m, JOB_SPAM, MW_DONE);
	m->txn.found.has_spam = true;
	m->txn.found.spam_milli = 9000;
	make_rcpt(m, A);
	make_rcpt(m, B);
	make_rcpt(m, C);
	return m;
}

static void plan(struct made *m)
{
	decide(&m->txn);
	assert_int_equal(quarantine_plan(&m->txn), MW_OK);
}

/* The value of that field on top of the copy, in one line. */
static void names(struct made *m, size_t copy, const char *field, const char *value)
{
	struct mw_text head = { 0 }, got = { 0 };
	char line[100];
	const char *p;

	quarantine_head(&m->txn, &m->txn.copies[copy], &head);
	assert_false(head.failed);
	snprintf(line, sizeof(line), "\r\n%s:", field);
	p = strstr(head.p, line);
	assert_non_null(p);
	for (p += strlen(line); *p != '\0' && !(p[0] == '\n' && p[1] != ' '); p++)
		if (*p != '\r' && *p != '\n')
			mw_text_add_octets(&got, p, 1);
	assert_string_equal(got.p != NULL ? got.p : "", value);
	mw_text_fini(&head);
	mw_text_fini(&got);
}

static void a_copy_is_kept_from_those_whose_it_is(void **state)
{
	struct made *m =
		spam_with("spam_quarantine_to_maps = { { ['" B "'] = 'own', ['.'] = 'all' } }\n");

	(void)state;
	plan(m);
	assert_int_equal(m->txn.copy_count, 2);
	names(m, 0, "X-Envelope-To", " <" A ">, <" B ">, <" C ">");
	names(m, 0, "X-Envelope-To-Blocked", " <" A ">, <" C ">");
	names(m, 1, "X-Envelope-To-Blocked", " <" B ">");
	end_txn(m);
}

static void a_copy_that_is_nobodys_is_kept_from_all_that_are_blocked(void **state)
{
	struct made *m =
		spam_with("spam_lovers_maps = { { '" C "' } }\n"
			  "spam_quarantine_to_maps = { { ['" C "'] = 'own', ['.'] = 'all' } }\n"
			  "spam_quarantine_bysender_to_maps = { 'sender' }\n"
			  "archive_quarantine_method = 'local:archive-%m'\n"
			  "archive_quarantine_to_maps = { 'archive' }\n");

	(void)state;
	plan(m);
	assert_int_equal(m->txn.copy_count, 4);
	assert_string_equal(m->txn.copies[0].folder, "all");
	assert_string_equal(m->txn.copies[1].folder, "own"); /* of who loves spam, and has it */
	assert_string_equal(m->txn.copies[2].folder, "sender");
	assert_true(m->txn.copies[3].archive);
	for (size_t i = 0; i < 4; i++) {
		names(m, i, "X-Envelope-To", " <" A ">, <" B ">, <" C ">");
		names(m, i, "X-Envelope-To-Blocked", " <" A ">, <" B ">");
	}
	end_txn(m);
}

static void a_copy_of_mail_that_passes_names_nobody_as_blocked(void **state)
{
	struct made *m = spam_with("spam_lovers_maps = { true }\n");

	(void)state;
	plan(m);
	assert_int_equal(m->txn.copy_count, 1);
	names(m, 0, "X-Envelope-To-Blocked", "");
	end_txn(m);
}

static void who_was_taken_off_is_named_nowhere(void **state)
{
	struct made *m = spam_with("spam_quarantine_bysender_to_maps = { 'sender' }\n");

	(void)state;
	m->txn.rcpts[1].removed = true;
	m->txn.rcpts[1].code = 250;
	plan(m);
	assert_int_equal(m->txn.copy_count, 2);
	for (size_t i = 0; i < 2; i++) {
		names(m, i, "X-Envelope-To", " <" A ">, <" C ">");
		names(m, i, "X-Envelope-To-Blocked", " <" A ">, <" C ">");
	}
	m->txn.rcpts[0].removed = m->txn.rcpts[2].removed = true;
	m->txn.rcpts[0].code = m->txn.rcpts[2].code = 250;
	plan(m);
	assert_int_equal(m->txn.copy_count, 0);
	end_txn(m);
}

static void no_name_of_a_test_begins_a_field(void **state)
{
	struct made *m =
		spam_with("virus_name_to_spam_score_maps = { { ['Eicar\\r\\nX-Evil: x'] = 1 } }\n");
	struct mw_text head = { 0 };

	(void)state;
	make_virus(m, "Eicar\r\nX-Evil: x");
	plan(m);
	assert_int_equal(m->txn.found.virus_count, 0); /* it is points */
	quarantine_head(&m->txn, &m->txn.copies[0], &head);
	assert_non_null(strstr(head.p, "AV:Eicar??X-Evil: x=1"));
	assert_null(strstr(head.p, "\nX-Evil"));
	mw_text_fini(&head);
	end_txn(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_is_kept_from_those_whose_it_is),
		cmocka_unit_test(a_copy_that_is_nobodys_is_kept_from_all_that_are_blocked),
		cmocka_unit_test(a_copy_of_mail_that_passes_names_nobody_as_blocked),
		cmocka_unit_test(who_was_taken_off_is_named_nowhere),
		cmocka_unit_test(no_name_of_a_test_begins_a_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
