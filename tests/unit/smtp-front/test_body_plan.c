/* What becomes of a mail's body, for whom, and what the wrapped mail looks like. */
#include "make_txn.h"

#include "outcome/body_origin.h"
#include "outcome/body_plan.h"
#include "outcome/body_wrap.h"
#include "outcome/decide.h"
#include "outcome/edit.h"

#define MAIL                                                                                       \
	"Received: from x\r\nX-Other: goes\r\nFrom: a@example.org\r\nSubject: y\r\n z\r\n"         \
	"DKIM-Signature: v=1; b=x\r\n\r\n.body\r\n"

static void never(struct txn *t, enum mw_rc rc)
{
	(void)t;
	(void)rc;
	fail_msg("nothing runs here");
}

static struct made *mail_of(const char *settings, const char *octets)
{
	struct made *m = make_txn(settings);

	make_rcpt(m, "a@example.org");
	make_rcpt(m, "b@example.net");
	make_body(m, octets, strlen(octets));
	return m;
}

static void plan(struct made *m)
{
	decide(&m->txn);
	assert_int_equal(body_plan(&m->txn, never), MW_OK);
}

static void words(void **state)
{
	static const struct {
		const char *text;
		bool known;
		enum body_treatment how;
	} rows[] = { { "", true, BODY_AS_IS }, { "0", true, BODY_AS_IS },
		{ "false", true, BODY_AS_IS }, { "1", true, BODY_DEFAULT },
		{ "true", true, BODY_DEFAULT }, { "attach", true, BODY_ATTACH },
		{ "ATTACH", true, BODY_ATTACH }, { "altermime", true, BODY_ALTERMIME },
		{ "null", true, BODY_NULL }, { "disclaimer", true, BODY_DISCLAIMER },
		{ "NullDisclaimer", true, BODY_NULL_DISCLAIMER }, { "anomy", false, 0 },
		{ "attached", false, 0 }, { "2", false, 0 } };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		enum body_treatment how;
		bool known = body_treatment_of(rows[i].text, &how);

		if (known != rows[i].known || (known && how != rows[i].how))
			fail_msg("%s", rows[i].text);
	}
}

/* virus, unchecked, spam: what each row's mail is; expected: of the local recipient. */
static void who_gets_what(void **state)
{
	static const struct {
		const char *settings;
		bool virus, spam;
		const char *said; /* NULL: as received */
	} rows[] = {
		{ "defang_virus = true\n", false, false, NULL },
		{ "defang_virus = true\n", true, false, "defanged" },
		{ "defang_virus = 1\n", true, false, "defanged" },
		{ "defang_virus = \"attach\"\n", true, false, "using attach" },
		{ "defang_virus = 0\ndefang_spam = \"null\"\n", true, true, NULL },
		{ "defang_virus = \"\"\ndefang_spam = \"null\"\n", true, true, "using null" },
		{ "defang_spam = \"null\"\n", true, true, "using null" },
		{ "defang_spam = \"null\"\n", false, true, "using null" },
		{ "defang_spam = false\ndefang_all = true\n", false, true, "defanged" },
		{ "defang_all = true\n", false, false, "defanged" },
		{ "defang_maps_by_ccat = { CC_CATCHALL = \"null\" }\n", false, false,
			"using null" },
		{ "defang_maps_by_ccat = { CC_SPAM = { { [\"a@example.org\"] = \"null\" } } }\n"
		  "defang_spam = \"attach\"\n",
			false, true, "using null" },
		{ "defang_maps_by_ccat = { CC_SPAM = { { [\"z@example.org\"] = \"null\" } } }\n"
		  "defang_spam = \"attach\"\n",
			false, true, "using attach" },
		{ "defang_maps_by_ccat = { CC_CATCHALL = \"disclaimer\" }\n", false, false, NULL },
		{ "defang_maps_by_ccat = { CC_CATCHALL = \"nulldisclaimer\" }\n"
		  "allow_disclaimers = true\n",
			false, false, "using nulldisclaimer" },
		{ "defang_maps_by_ccat = { CC_CATCHALL = \"nulldisclaimer\" }\n"
		  "allow_disclaimers = true\noutbound_disclaimers_only = true\n",
			false, false, NULL },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char settings[600];
		struct made *m;
		struct txn_rcpt *r;

		snprintf(settings, sizeof(settings),
			"virus_lovers_maps = true\nspam_lovers_maps = true\n%s", rows[i].settings);
		m = mail_of(settings, MAIL);
		m->txn.sender = "a@example.org";
		if (rows[i].virus)
			make_virus(m, "Eicar");
		m->txn.found.has_spam = rows[i].spam;
		m->txn.found.spam_milli = 10000;
		plan(m);
		r = &m->txn.rcpts[0];
		if (rows[i].said == NULL ? r->body_modified != NULL || r->form != NULL
					 : r->body_modified == NULL || r->form == NULL ||
						   strcmp(r->body_modified, rows[i].said) != 0)
			fail_msg("%s: %s", rows[i].settings,
				r->body_modified != NULL ? r->body_modified : "as received");
		/* of the other one's only a disclaimer is changed */
		if (rows[i].said == NULL || strstr(rows[i].said, "disclaimer") == NULL)
			assert_null(strstr(rows[i].settings, "outbound") == NULL
					    ? m->txn.rcpts[1].form
					    : NULL);
		end_txn(m);
	}
}

static void disclaimers_are_for_our_users_words(void **state)
{
	static const struct {
		const char *sender, *header, *option;
		bool local;
	} rows[] = {
		{ "x@example.com", "From: x@example.com\r\n", "", false },
		{ "x@example.com", "From: a@example.org\r\n", "from-a", true },
		{ "a@example.org", "From: x@example.com\r\n", "from-a", true },
		{ "a@example.org", "From: b@example.org\r\n", "from-b", true },
		{ "a@example.org", "From: none@example.org\r\n", "from-a", true },
		{ "x@example.com",
			"From: x@example.com\r\nSender: b@example.org\r\n"
			"Resent-From: a@example.org\r\n",
			"from-a", true },
		{ "x@example.com", "From: x@example.com\r\nSender: b@example.org\r\n", "from-b",
			true },
		{ "x@example.com", "From: evil@example.org\r\n", "", true },
		{ "", "From: none@example.org\r\n", "", true },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct body_origin o;
		char octets[300];
		struct made *m;

		snprintf(octets, sizeof(octets), "%s\r\nbody\r\n", rows[i].header);
		m = mail_of("disclaimer_options_bysender_maps = { { [\"a@example.org\"] = "
			    "\"from-a\", [\"b@example.org\"] = \"from-b\", "
			    "[\"evil@example.org\"] = \"../../etc/x\" } }",
			octets);
		m->txn.sender = rows[i].sender;
		assert_int_equal(facts_collect(&m->txn.facts, &m->txn.arena, &m->txn.header, "x",
					 m->txn.sender),
			MW_OK);
		body_origin_find(&m->txn, &o);
		if (o.is_local != rows[i].local || strcmp(o.option, rows[i].option) != 0)
			fail_msg("row %zu: %d %s", i, o.is_local, o.option);
		end_txn(m);
	}
}

/* ------------------------------------------------------------------ wrapping */

static const char *joined(struct made *m, const struct body_view *v)
{
	struct mw_text text = { 0 };
	const char *s;

	for (size_t i = 0; i < v->part_count; i++)
		mw_text_add_octets(&text, v->parts[i].octets.p, v->parts[i].octets.n);
	s = smtp_arena_copy(&m->txn.arena, text.p, text.n);
	mw_text_fini(&text);
	return s;
}

static void the_original_is_attached_as_it_came(void **state)
{
	struct made *m = mail_of("defang_virus = true\nvirus_lovers_maps = true\n", MAIL);
	struct mw_octets original;
	struct body_view v;
	const char *s;

	(void)state;
	make_virus(m, "Eicar-Test");
	plan(m);
	v = m->txn.rcpts[0].form->view;
	original = smtp_body_octets(m->txn.body);
	assert_ptr_equal(v.parts[1].octets.p, original.p); /* a slice, not a copy */
	assert_int_equal(v.parts[1].octets.n, original.n);
	s = joined(m, &v);
	assert_int_equal(strncmp(s,
				 "Received: from x\r\nFrom: a@example.org\r\nSubject: y\r\n z\r\n"
				 "DKIM-Signature: v=1; b=x\r\nMIME-Version: 1.0\r\n"
				 "Content-Type: multipart/mixed; boundary=\"=_",
				 142),
		0);
	assert_non_null(strstr(s, "\r\n\r\nWARNING: contains virus Eicar-Test\r\n"));
	assert_non_null(strstr(s, "Content-Transfer-Encoding: 7bit\r\n\r\n" MAIL "\r\n--=_"));
	assert_int_equal(edit_clusters(&m->txn), MW_OK);
	assert_int_equal(m->txn.cluster_count, 2);
	end_txn(m);
}

static void what_a_kept_field_hides_is_made_harmless(void **state)
{
	static const char octets[] = "Subject: a\0b\rc\r\n \t \r\n d\r\nFrom: a@x\r\n\r\n\xff\r\n";
	struct made *m = make_txn("defang_all = true\n");
	const char *s;

	(void)state;
	make_rcpt(m, "a@example.org");
	make_body(m, octets, sizeof(octets) - 1);
	plan(m);
	s = joined(m, &m->txn.rcpts[0].form->view);
	assert_int_equal(strncmp(s, "Subject: a?b?c\r\n d\r\nFrom: a@x\r\nMIME", 35), 0);
	assert_non_null(strstr(s, "Content-Transfer-Encoding: 8bit\r\n"));
	end_txn(m);
}

/* bare_newline = "pass": neither a field of the new mail's nor thousands. */
static void a_bare_newline_ends_no_line_of_a_kept_field(void **state)
{
	struct made *m = make_txn("defang_all = true\n");
	struct mw_text octets = { 0 };
	const char *s;

	(void)state;
	mw_text_add(&octets, "Subject: x\nContent-Type: multipart/mixed; boundary=b\r\n \n\r\n");
	mw_text_add(&octets, "Comments: ");
	for (int i = 0; i < 5000; i++)
		mw_text_add(&octets, "\nA:");
	mw_text_add(&octets, "\r\n\r\n");
	make_rcpt(m, "a@example.org");
	make_body(m, octets.p, octets.n);
	plan(m);
	s = joined(m, &m->txn.rcpts[0].form->view);
	assert_ptr_equal(
		s, strstr(s, "Subject: x?Content-Type: multipart/mixed; boundary=b\r\n ?\r\n"
			     "Comments: ?A:?A:"));
	mw_text_fini(&octets);
	end_txn(m);
}

static void a_line_of_the_warning_has_a_hundred_characters(void **state)
{
	struct mw_text out = { 0 };
	char line[300];

	(void)state;
	memset(line, 'x', sizeof(line));
	for (size_t n = 98; n <= 102; n++) {
		mw_text_clear(&out);
		body_wrap_line(&out, line, n);
		assert_int_equal(out.n, (n <= 100 ? n : 100) + 2);
		assert_int_equal(strcmp(out.p + out.n - 5, "...\r\n") == 0, n > 100);
	}
	mw_text_clear(&out);
	body_wrap_line(&out, "a\r\n.b\0\377", 7);
	assert_string_equal(out.p, "a??.b??\r\n");
	mw_text_fini(&out);
}

static void same_warnings_share_a_form(void **state)
{
	struct made *m = make_txn("defang_spam = true\nspam_lovers_maps = true\n"
				  "spam_tag2_level_maps = { { [\"c@example.org\"] = 20 } }\n"
				  "spam_kill_level_maps = { { [\"c@example.org\"] = 20 } }\n"
				  "defang_maps_by_ccat = { CC_CATCHALL = \"attach\" }\n");

	(void)state;
	make_rcpt(m, "a@example.org");
	make_rcpt(m, "b@example.org");
	make_rcpt(m, "c@example.org");
	make_body(m, MAIL, strlen(MAIL));
	m->txn.found.has_spam = true;
	m->txn.found.spam_milli = 10000;
	plan(m);
	assert_ptr_equal(m->txn.rcpts[0].form, m->txn.rcpts[1].form);
	assert_ptr_not_equal(m->txn.rcpts[0].form, m->txn.rcpts[2].form);
	assert_non_null(strstr(m->txn.rcpts[0].form->text, "WARNING: spam, score=10.000"));
	assert_string_equal(m->txn.rcpts[2].form->text, "The original mail is attached.\r\n");
	end_txn(m);
}

static void a_program_that_is_not_set_changes_nothing(void **state)
{
	struct made *m = mail_of("defang_maps_by_ccat = { CC_CATCHALL = \"altermime\" }\n", MAIL);

	(void)state;
	plan(m);
	assert_null(m->txn.rcpts[0].form);
	assert_null(m->txn.rcpts[0].body_modified);
	end_txn(m);
}

static void clients_that_deliver_get_no_other_body(void **state)
{
	struct made *m = mail_of("defang_all = true\n", MAIL);

	(void)state;
	m->txn.client_delivers = true;
	plan(m);
	assert_null(m->txn.rcpts[0].form);
	end_txn(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(who_gets_what),
		cmocka_unit_test(disclaimers_are_for_our_users_words),
		cmocka_unit_test(the_original_is_attached_as_it_came),
		cmocka_unit_test(what_a_kept_field_hides_is_made_harmless),
		cmocka_unit_test(a_bare_newline_ends_no_line_of_a_kept_field),
		cmocka_unit_test(a_line_of_the_warning_has_a_hundred_characters),
		cmocka_unit_test(same_warnings_share_a_form),
		cmocka_unit_test(a_program_that_is_not_set_changes_nothing),
		cmocka_unit_test(clients_that_deliver_get_no_other_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
