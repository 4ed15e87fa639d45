/* Header edits: what goes on top, what of the original goes, and that all the rest is the
 * original's very octets. */
#include "make_txn.h"

#include "outcome/decide.h"
#include "outcome/edit.h"

#define BODY "\r\nbody\r\n..dots\r\nX-Spam-Flag: in the body stays\r\n"

static const char *joined(struct made *m, const struct txn_cluster *c, size_t from)
{
	struct mw_text text = { 0 };
	const char *s;

	for (size_t i = from; i < c->piece_count; i++)
		mw_text_add_octets(&text, c->pieces[i].p, c->pieces[i].n);
	s = smtp_arena_copy(&m->txn.arena, text.p, text.n);
	mw_text_fini(&text);
	return s;
}

static struct txn_cluster *one_cluster(struct made *m)
{
	assert_int_equal(edit_clusters(&m->txn), MW_OK);
	assert_int_equal(m->txn.cluster_count, 1);
	return &m->txn.clusters[0];
}

/* The mail's octets as they leave, without what we put on top. */
static void original_becomes(const char *fields, const char *left)
{
	char whole[2048], expected[2048];
	struct made *m = make_txn("");
	struct mw_octets body;
	struct txn_cluster *c;

	make_rcpt(m, "a@example.org");
	snprintf(whole, sizeof(whole), "%s%s", fields, BODY);
	snprintf(expected, sizeof(expected), "%s%s", left, BODY);
	make_body(m, whole, strlen(whole));
	decide(&m->txn);
	c = one_cluster(m);
	if (strcmp(joined(m, c, 2), expected) != 0)
		fail_msg("%s became %s", fields, joined(m, c, 2));
	body = smtp_body_octets(m->txn.body);
	for (size_t i = 2; i < c->piece_count; i++) /* slices, not copies */
		assert_true(c->pieces[i].p >= body.p &&
			    c->pieces[i].p + c->pieces[i].n <= body.p + body.n);
	assert_int_equal(c->pieces[0].n, 0); /* the signature's place */
	assert_string_equal((const char *)c->pieces[1].p, c->fields);
	end_txn(m);
}

#define F "From: a@x\r\n"
#define S "Subject: y\r\n"

#define LONG_8 "AAAAAAAA"
#define LONG_64 LONG_8 LONG_8 LONG_8 LONG_8 LONG_8 LONG_8 LONG_8 LONG_8
#define LONG LONG_64 LONG_64 LONG_64 LONG_64 LONG_64

static void authentication_results_in_our_name_go(void **state)
{
	static const char *const ours[] = {
		"Authentication-Results: mx.example.org; dkim=pass\r\n",
		"authentication-results:MX.Example.ORG; dkim=pass\r\n",
		"Authentication-Results: mx.example.org;\r\n\tdkim=pass\r\n",
		"Authentication-Results:\r\n\tmx.example.org; dkim=pass\r\n",
		"Authentication-Results: mx.example.org\r\n ; dkim=pass\r\n",
		"Authentication-Results: mx.example.org 1; dkim=pass\r\n",
		"Authentication-Results: mx.example.org\t1; dkim=pass\r\n",
		"Authentication-Results: mx.example.org/1; dkim=pass\r\n",
		"Authentication-Results: mx.example.org(comment); dkim=pass\r\n",
		"Authentication-Results : mx.example.org; dkim=pass\r\n",
		"Authentication-Results: mx.example.org\r\n",
		"Authentication-Results: \"mx.example.org\"; dkim=pass\r\n",
		"Authentication-Results: \"MX.exam\\ple.org\" 1; dkim=pass\r\n",
		"Authentication-Results: \"mx.example.org/" LONG "\"; dkim=pass\r\n",
		"Authentication-Results: \"mx.example.org\\/" LONG "\"; dkim=pass\r\n",
		"Authentication-Results: mx.example.org/" LONG "; dkim=pass\r\n",
		"Authentication-Results: \"" LONG "\r\n",
		"MIME-Ambiguity-Results: mx.example.org; duplicate_field\r\n",
		"mime-ambiguity-results:\r\n MX.example.org\r\n",
		/* not to be read: nobody else's either */
		"Authentication-Results:\r\n",
		"Authentication-Results: ; dkim=pass\r\n",
		"Authentication-Results: (comment) mx.example.org; dkim=pass\r\n",
		"Authentication-Results: \"mx.example.org; dkim=pass\r\n",
		"Authentication-Results: \"\\\r\n",
	};
	static const char *const others[] = {
		"Authentication-Results: other.example.org; dkim=pass\r\n",
		"Authentication-Results: mx.example.org.evil; dkim=pass\r\n",
		"Authentication-Results: xmx.example.org; dkim=pass\r\n",
		"Authentication-Results: \"other\"; x=\"mx.example.org\"\r\n",
		"Authentication-Results: \"\"; dkim=pass\r\n",
		"Authentication-Results: \"" LONG "/mx.example.org\"; dkim=pass\r\n",
		"ARC-Authentication-Results: i=1; mx.example.org; dkim=pass\r\n",
		"X-Authentication-Results: mx.example.org; dkim=pass\r\n",
		"MIME-Ambiguity-Results: other.example.org; duplicate_field\r\n",
	};
	char whole[512];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(ours); i++) {
		snprintf(whole, sizeof(whole), F "%s" S, ours[i]);
		original_becomes(whole, F S);
	}
	for (size_t i = 0; i < MW_COUNT(others); i++) {
		snprintf(whole, sizeof(whole), F "%s" S, others[i]);
		original_becomes(whole, whole);
	}
}

static void marks_that_others_made_go_wherever_they_stand(void **state)
{
	static const struct {
		const char *fields, *left;
	} rows[] = {
		{ F S, F S },
		{ "", "" },
		{ "X-Spam-Flag: YES\r\n", "" },
		{ "X-Spam-Flag: YES\r\n" F, F },
		{ F "X-Spam-Flag: YES\r\n", F },
		{ F "X-Spam-Flag: YES\r\n" S, F S },
		{ "X-Spam-Flag: YES\r\n" F "X-Spam-Score: 1\r\nX-Spam-Level: *\r\n" S
		  "X-Spam-Status: No,\r\n\tscore=1\r\n",
			F S },
		{ F "x-SPAM-report: a\r\n b\r\n\tc\r\nX-Spam-Tests: x\r\nX-Spam-Checker-Version: "
		    "3\r\n" S,
			F S },
		{ F "X-Amavis-Alert: INFECTED\r\nX-Amavis-Hold: x\r\nX-Quarantine-ID: <x>\r\n" S,
			F S },
		{ F "X-Spam-Flag : YES\r\n" S, F S },
		/* and these are nobody's business */
		{ F "X-Spam-Other: x\r\nX-Spamming: y\r\nX-Spam: z\r\n" S,
			F "X-Spam-Other: x\r\nX-Spamming: y\r\nX-Spam: z\r\n" S },
		{ F "no field at all\r\n\xc3\xa4: 8-bit\r\n" S,
			F "no field at all\r\n\xc3\xa4: 8-bit\r\n" S },
		{ " X-Spam-Flag: a fold of nothing\r\n" F,
			" X-Spam-Flag: a fold of nothing\r\n" F },
		{ F "X-Bare: X-Spam-Flag: YES\r\n" S, F "X-Bare: X-Spam-Flag: YES\r\n" S },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		original_becomes(rows[i].fields, rows[i].left);
}

/* With a fold in front of the colon, or octets CR, they are fields to others. */
static void what_settings_and_hooks_take_away_hides_in_no_spelling(void **state)
{
	static const char *const spellings[] = { "X-Virus-Scanned: clean\r\n",
		"X-Virus-Scanned\r\n : clean\r\n", "X-Virus-\r\n Scanned: clean\r\n",
		"X-Vi\rrus-Scanned: clean\r\n", "X-To-Go: x\r\n", "x-to-go\r\n : x\r\n",
		"X-To\r-Go: x\r\n" };
	struct txn_hooked hooked = {
		.removed_count = 1, .removed = (const char *[]){ "X-To-Go" }, .fields = ""
	};

	(void)state;
	for (size_t i = 0; i < 2 * MW_COUNT(spellings); i++) {
		bool goes = i % 2 == 0;
		struct made *m = make_txn(goes ? "remove_existing_x_scanned_headers = true\n"
						 "allow_fixing_improper_header = false\n"
					       : "allow_fixing_improper_header = false\n");
		char whole[256];

		make_rcpt(m, "a@example.org");
		snprintf(whole, sizeof(whole), F "%s" S BODY, spellings[i / 2]);
		make_body(m, whole, strlen(whole));
		m->txn.hooked = goes ? &hooked : NULL;
		assert_string_equal(joined(m, one_cluster(m), 2), goes ? F S BODY : whole);
		end_txn(m);
	}
}

static void a_mail_of_any_octets_leaves_with_them(void **state)
{
	static const char *const mails[] = { "", "\r\n", "a", "From: a@x", "From: a@x\r\n",
		"\r\nbody", "X-Spam-Flag: YES", "X-Spam-Flag: YES\r\n",
		"X-Spam-Flag: YES\r\n\r\n" };
	static const size_t left[] = { 0, 2, 1, 9, 11, 6, 0, 0, 2 };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(mails); i++) {
		struct made *m = make_txn("");
		struct txn_cluster *c;
		size_t n = strlen(mails[i]);

		make_rcpt(m, "a@example.org");
		make_body(m, mails[i], n);
		decide(&m->txn);
		c = one_cluster(m);
		assert_string_equal(joined(m, c, 2), mails[i] + n - left[i]);
		assert_int_equal(edit_final_header(&m->txn, c), MW_OK);
		end_txn(m);
	}
}

static void a_fold_on_top_goes_on_with_no_field_that_others_trust(void **state)
{
	static const char *const mails[] = { "\t; dkim=pass header.d=bank.example\r\n" F BODY,
		" x\r\n\r\n", "\tx" };
	static const char end[] = "\r\nX-Amavis-Alert: BAD HEADER SECTION, the first line begins "
				  "with white space\r\n";

	(void)state;
	for (size_t i = 0; i < MW_COUNT(mails); i++) {
		struct made *m = make_txn("");
		const char *fields;

		make_rcpt(m, "a@example.org");
		make_body(m, mails[i], strlen(mails[i]));
		make_check(m, JOB_AUTH, MW_DONE);
		decide(&m->txn);
		fields = one_cluster(m)->fields;
		assert_string_equal(fields + strlen(fields) - strlen(end), end);
		assert_string_equal(joined(m, &m->txn.clusters[0], 2), mails[i]);
		end_txn(m);
	}
}

static void the_header_to_sign_is_what_leaves_above_the_body(void **state)
{
	static const char *const fields[] = { F S, "", F "X-Spam-Flag: YES\r\n" S,
		"X-Spam-Flag: YES\r\n", F "X-Spam-Flag: YES\r\n",
		"Authentication-Results: mx.example.org; x\r\n" F "X-Spam-Level: **\r\n" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(fields); i++) {
		struct made *m = make_txn("");
		const char *whole;
		struct txn_cluster *c;
		struct mw_octets head, message;
		char octets[1024];

		make_rcpt(m, "a@example.org");
		snprintf(octets, sizeof(octets), "%s%s", fields[i], BODY);
		make_body(m, octets, strlen(octets));
		message = smtp_body_octets(m->txn.body);
		decide(&m->txn);
		c = one_cluster(m);
		assert_int_equal(edit_final_header(&m->txn, c), MW_OK);
		head = smtp_body_octets(c->header_owner);
		whole = joined(m, c, 1);
		assert_int_equal(head.n + message.n - m->txn.header.body, strlen(whole));
		assert_memory_equal(head.p, whole, head.n);
		assert_memory_equal(head.p + head.n - 2, "\r\n", 2);
		assert_memory_equal(whole + head.n, message.p + m->txn.header.body,
			message.n - m->txn.header.body);
		end_txn(m);
	}
}

static const char *fields_of(struct made *m, size_t rcpt)
{
	return m->txn.clusters[m->txn.rcpts[rcpt].cluster].fields;
}

static bool has(const char *fields, const char *text)
{
	return strstr(fields, text) != NULL;
}

static void recipients_with_equal_edits_share_a_delivery(void **state)
{
	struct made *m = make_txn("final_spam_destiny = D_PASS\n");

	(void)state;
	make_rcpt(m, "a@example.org");
	make_rcpt(m, "x@example.com");
	make_rcpt(m, "b@example.org");
	make_rcpt(m, "y@example.com")->bypass_spam = true;
	make_rcpt(m, "c@example.org")->bypass_virus = true;
	make_body(m, F BODY, strlen(F BODY));
	make_check(m, JOB_SCAN, MW_DONE);
	m->txn.found.has_spam = true;
	m->txn.found.spam_milli = 7000;
	decide(&m->txn);
	assert_int_equal(edit_clusters(&m->txn), MW_OK);
	assert_int_equal(m->txn.cluster_count, 3);
	assert_int_equal(m->txn.rcpts[0].cluster, m->txn.rcpts[2].cluster);
	assert_int_equal(m->txn.rcpts[1].cluster, m->txn.rcpts[3].cluster);
	assert_int_equal(m->txn.clusters[0].rcpt_count, 2);
	assert_string_equal(m->txn.clusters[0].rcpts[1].addr, "b@example.org");
	assert_int_equal(m->txn.clusters[0].rcpt_index[1], 2);
	assert_true(has(fields_of(m, 0),
		"X-Spam-Flag: YES\r\nX-Spam-Score: 7\r\nX-Spam-Level: *******\r\n"));
	assert_false(has(fields_of(m, 1), "X-Spam")); /* not local */
	assert_true(has(fields_of(m, 0), "X-Virus-Scanned: mailweir at mx.example.org\r\n"));
	assert_false(has(fields_of(m, 4), "X-Virus-Scanned"));
	assert_true(m->txn.rcpts[0].tagged);
	assert_false(m->txn.rcpts[1].tagged);
	end_txn(m);
}

static void a_blocked_recipient_is_in_no_cluster(void **state)
{
	struct made *m = make_txn("final_virus_destiny = D_DISCARD\n");

	(void)state;
	make_rcpt(m, "a@example.org");
	make_rcpt(m, "b@example.org")->bypass_virus = true;
	make_body(m, F BODY, strlen(F BODY));
	make_check(m, JOB_SCAN, MW_DONE);
	make_virus(m, "Eicar");
	decide(&m->txn);
	assert_int_equal(one_cluster(m)->rcpt_count, 1);
	assert_int_equal(m->txn.rcpts[0].cluster, -1);
	assert_string_equal(m->txn.clusters[0].rcpts[0].addr, "b@example.org");
	end_txn(m);
}

/* Each with edits of its own, or all with the same. */
static void memory_grows_with_recipients_and_not_with_their_square(void **state)
{
	enum { MANY = 1000 };

	(void)state;
	for (int alike = 0; alike < 2; alike++) {
		struct made *m = make_txn("sa_tag_level_deflt = -1000\n");
		char addr[MANY][32];
		size_t before;

		for (int i = 0; i < MANY; i++) {
			snprintf(addr[i], sizeof(addr[i]), "a%d@example.org", i);
			make_rcpt(m, addr[i]);
		}
		make_body(m, F BODY, strlen(F BODY));
		m->txn.found.has_spam = true;
		decide(&m->txn);
		for (int i = 0; i < MANY && alike == 0; i++)
			m->txn.rcpts[i].score_milli = i;
		before = m->txn.arena.octets;
		assert_int_equal(edit_clusters(&m->txn), MW_OK);
		assert_int_equal(m->txn.cluster_count, alike ? 1 : MANY);
		assert_true(m->txn.arena.octets - before < MANY * 4096);
		for (int i = 0; i < MANY; i++) {
			const struct txn_cluster *c = &m->txn.clusters[alike ? 0 : i];
			size_t at = alike ? (size_t)i : 0;

			assert_int_equal(c->rcpt_index[at], i);
			assert_ptr_equal(c->rcpts[at].addr, addr[i]);
		}
		end_txn(m);
	}
}

static void what_did_not_run_is_marked_and_never_called_scanned(void **state)
{
	struct made *m = make_txn("virus_scanners_failure_is_fatal = false\n");

	(void)state;
	make_rcpt(m, "a@example.org");
	make_body(m, F BODY, strlen(F BODY));
	make_check(m, JOB_SCAN, MW_FAILED);
	make_check(m, JOB_SPAM, MW_FAILED);
	make_check(m, JOB_AUTH, MW_FAILED);
	decide(&m->txn);
	one_cluster(m);
	assert_false(has(fields_of(m, 0), "X-Virus-Scanned"));
	assert_true(has(fields_of(m, 0), "X-Amavis-Alert: UNCHECKED, "));
	assert_true(has(
		fields_of(m, 0), "X-Amavis-Alert: UNCHECKED, spam check failed: cage_died\r\n"));
	assert_true(has(fields_of(m, 0),
		"Authentication-Results: mx.example.org (mailweir); dkim=temperror\r\n "));
	end_txn(m);
}

/* Every line is a field or a fold, and ends by CRLF. */
static void is_fields(const char *p)
{
	bool start = true;

	for (; *p != '\0'; p++) {
		assert_true(!start || *p == '\t' || *p == ' ' || (*p >= 'A' && *p <= 'Z'));
		assert_true(*p != '\n' || p[-1] == '\r');
		assert_true(*p != '\r' || p[1] == '\n');
		assert_true((unsigned char)*p < 0x7f);
		start = *p == '\n';
	}
	assert_true(start);
}

static void hostile_texts_break_out_of_no_field(void **state)
{
	struct mw_octets evil = mw_octets_of("x\r\nEvil: \"\\y\n", 13);
	struct finding_signature signatures[2] = {
		{ .d = evil, .s = evil, .result = evil, .reason = evil, .b = { evil.p, 8 } },
		{ .d = evil, .result = evil, .bits = -1 }
	};
	struct made *m = make_txn("final_virus_destiny = D_PASS\n");

	(void)state;
	m->txn.helo = "evil\r\nX: y\xc3";
	make_rcpt(m, "\"a\r\nEvil: b\"@example.org");
	make_body(m, F BODY, strlen(F BODY));
	make_check(m, JOB_SCAN, MW_DONE);
	make_check(m, JOB_SPAM, MW_FAILED);
	make_check(m, JOB_AUTH, MW_DONE);
	snprintf(m->txn.checks[JOB_SPAM].reason, sizeof(m->txn.checks[JOB_SPAM].reason),
		"a\r\nEvil: b");
	make_virus(m, "a\r\nEvil: b");
	m->txn.found.signatures = signatures;
	m->txn.found.signature_count = 2;
	m->txn.found.has_spam = true;
	m->txn.found.spam_milli = 7000;
	m->txn.found.autolearn = evil;
	decide(&m->txn);
	one_cluster(m);
	is_fields(fields_of(m, 0));
	assert_false(has(fields_of(m, 0), "\nEvil"));
	end_txn(m);
}

static void the_spam_status_tells_every_test_and_folds(void **state)
{
	struct mw_record_test tests[40];
	char names[40][16];
	struct made *m = make_txn("");
	const char *fields;

	(void)state;
	for (size_t i = 0; i < 40; i++) {
		snprintf(names[i], sizeof(names[i]), "RULE_%zu", i);
		tests[i] =
			(struct mw_record_test){ mw_octets_of_text(names[i]), (int32_t)i * 10 - 5 };
	}
	make_rcpt(m, "a@example.org");
	make_body(m, F BODY, strlen(F BODY));
	m->txn.found.has_spam = true;
	m->txn.found.spam_milli = 2005;
	m->txn.found.tests = tests;
	m->txn.found.test_count = 40;
	m->txn.found.autolearn = mw_octets_of_text("no");
	decide(&m->txn);
	one_cluster(m);
	fields = fields_of(m, 0);
	is_fields(fields);
	assert_true(has(fields, "X-Spam-Status: No, score=2.005 tagged_above=2 required=6.31\r\n"
				" tests=[RULE_0=-0.005, "));
	assert_true(has(fields, "RULE_39=0.385]"));
	assert_true(has(fields, " autolearn=no\r\n"));
	for (const char *line = fields, *end; (end = strstr(line, "\r\n")) != NULL; line = end + 2)
		assert_true(end - line <= 78);
	end_txn(m);
}

static void the_level_bar_ends_at_64(void **state)
{
	static const struct {
		int32_t milli;
		int bar;
	} rows[] = { { 2999, 2 }, { 63999, 63 }, { 64000, 64 }, { 65000, 64 }, { 100000000, 64 } };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct made *m = make_txn("sa_spam_level_char = \"+\"\n");
		const char *p;

		make_rcpt(m, "a@example.org");
		make_body(m, F BODY, strlen(F BODY));
		m->txn.found.has_spam = true;
		m->txn.found.spam_milli = rows[i].milli;
		decide(&m->txn);
		one_cluster(m);
		p = strstr(fields_of(m, 0), "X-Spam-Level: ");
		assert_non_null(p);
		assert_int_equal(strspn(p + 14, "+"), rows[i].bar);
		end_txn(m);
	}
}

/* "index name, ..." of what goes. */
static const char *removals(struct made *m)
{
	const struct txn_cluster c = { .tag = "", .spam_fields_go = true };
	struct edit_change *list;
	struct mw_text text = { 0 };
	const char *s;
	size_t count;

	assert_int_equal(edit_changes(&m->txn, &c, &list, &count), MW_OK);
	for (size_t i = 0; i < count; i++)
		mw_text_addf(&text, "%u %.*s, ", list[i].index, (int)list[i].name.n,
			(const char *)list[i].name.p);
	s = smtp_arena_copy(&m->txn.arena, text.p != NULL ? text.p : "", text.n);
	mw_text_fini(&text);
	return s;
}

static void what_goes_is_named_by_its_place_among_its_like_the_last_first(void **state)
{
	static const struct {
		const char *fields, *removals;
	} rows[] = {
		{ F S, "" },
		{ "X-Spam-Flag: 1\r\n" F, "1 X-Spam-Flag, " },
		{ "X-Spam-Flag: 1\r\n" F "x-spam-flag: 2\r\nX-Spam-Level: *\r\nX-SPAM-FLAG: 3\r\n",
			"3 X-SPAM-FLAG, 1 X-Spam-Level, 2 x-spam-flag, 1 X-Spam-Flag, " },
		/* those that stay count, too */
		{ "Authentication-Results: other; x\r\n"
		  "authentication-results: mx.example.org; x\r\n"
		  "Authentication-Results: third; x\r\n"
		  "Authentication-Results: mx.example.org; y\r\n",
			"4 Authentication-Results, 2 authentication-results, " },
		{ "MIME-Ambiguity-Results: other; x\r\n" F
		  "Authentication-Results: mx.example.org; x\r\n"
		  "MIME-Ambiguity-Results: mx.example.org; x\r\n",
			"2 MIME-Ambiguity-Results, 1 Authentication-Results, " },
		{ "X-Amavis-A: 1\r\nX-Amavis-B: 1\r\nX-Amavis-A: 2\r\nX-Quarantine-ID: <x>\r\n",
			"1 X-Quarantine-ID, 2 X-Amavis-A, 1 X-Amavis-B, 1 X-Amavis-A, " },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct made *m = make_txn("");

		make_rcpt(m, "a@example.org");
		make_body(m, rows[i].fields, strlen(rows[i].fields));
		if (strcmp(removals(m), rows[i].removals) != 0)
			fail_msg("%s: %s", rows[i].fields, removals(m));
		end_txn(m);
	}
}

static void a_thousand_names_that_go_keep_their_places(void **state)
{
	const struct txn_cluster c = { .tag = "", .spam_fields_go = true };
	struct mw_text mail = { 0 };
	struct edit_change *list;
	struct made *m = make_txn("");
	size_t count;

	(void)state;
	for (unsigned i = 0; i < 4000; i++)
		mw_text_addf(&mail, "X-Amavis-%u: x\r\n", i % 1000);
	make_rcpt(m, "a@example.org");
	make_body(m, mail.p, mail.n);
	assert_int_equal(edit_changes(&m->txn, &c, &list, &count), MW_OK);
	assert_int_equal(count, 4000);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(list[i].index, 4 - i / 1000);
	mw_text_fini(&mail);
	end_txn(m);
}

static uint32_t old_hash(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return h;
}

/* The least of three tries for 4,000 names that go whose FNV-1a has none of these bits. */
static uint64_t us_for_names(uint32_t bits)
{
	const struct txn_cluster c = { .tag = "", .spam_fields_go = true };
	struct mw_text mail = { 0 };
	struct edit_change *list;
	struct made *m = make_txn("");
	uint64_t least = UINT64_MAX;
	size_t count, made = 0;
	char name[32];

	for (unsigned i = 0; made < 4000; i++) {
		snprintf(name, sizeof(name), "x-amavis-%u", i);
		if ((old_hash(name) & bits) != 0)
			continue;
		mw_text_addf(&mail, "%s: x\r\n", name);
		made++;
	}
	make_rcpt(m, "a@example.org");
	make_body(m, mail.p, mail.n);
	for (int i = 0; i < 3; i++) {
		uint64_t start = mw_mono_us(), took;

		assert_int_equal(edit_changes(&m->txn, &c, &list, &count), MW_OK);
		took = mw_mono_us() - start;
		least = took < least ? took : least;
		assert_int_equal(count, 4000);
	}
	mw_text_fini(&mail);
	end_txn(m);
	return least;
}

/* Names can be chosen so that they are one run in a hash that anybody knows. */
static void names_that_collide_cost_no_more_than_others(void **state)
{
	uint64_t others = us_for_names(0), colliding = us_for_names(0xfff);

	(void)state;
	if (colliding > 5 * others + 100)
		fail_msg("%llu us, others %llu us", (unsigned long long)colliding,
			(unsigned long long)others);
}

static void who_delivers_by_himself_gets_no_received_field(void **state)
{
	struct made *m = make_txn("");

	(void)state;
	m->txn.client_delivers = true;
	make_rcpt(m, "a@example.org");
	make_body(m, F BODY, strlen(F BODY));
	make_check(m, JOB_SCAN, MW_DONE);
	decide(&m->txn);
	assert_string_equal(
		one_cluster(m)->fields, "X-Virus-Scanned: mailweir at mx.example.org\r\n");
	end_txn(m);
}

static void a_utf8_recipient_stands_in_no_received_field(void **state)
{
	static const struct {
		const char *addr;
		bool stands;
	} rows[] = { { "a@example.org", true }, { "\xc3\xbc@example.org", false },
		{ "a@ex\xc3\xa4mple.org", false } };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct made *m = make_txn("");
		struct mw_text out = { 0 };

		make_rcpt(m, rows[i].addr);
		make_body(m, F BODY, strlen(F BODY));
		edit_received(&m->txn, &out);
		assert_int_equal(strstr(out.p, " for <") != NULL, rows[i].stands);
		assert_null(strchr(out.p, '?'));
		mw_text_fini(&out);
		end_txn(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(authentication_results_in_our_name_go),
		cmocka_unit_test(marks_that_others_made_go_wherever_they_stand),
		cmocka_unit_test(what_settings_and_hooks_take_away_hides_in_no_spelling),
		cmocka_unit_test(a_mail_of_any_octets_leaves_with_them),
		cmocka_unit_test(a_fold_on_top_goes_on_with_no_field_that_others_trust),
		cmocka_unit_test(the_header_to_sign_is_what_leaves_above_the_body),
		cmocka_unit_test(recipients_with_equal_edits_share_a_delivery),
		cmocka_unit_test(a_blocked_recipient_is_in_no_cluster),
		cmocka_unit_test(memory_grows_with_recipients_and_not_with_their_square),
		cmocka_unit_test(what_did_not_run_is_marked_and_never_called_scanned),
		cmocka_unit_test(hostile_texts_break_out_of_no_field),
		cmocka_unit_test(the_spam_status_tells_every_test_and_folds),
		cmocka_unit_test(the_level_bar_ends_at_64),
		cmocka_unit_test(what_goes_is_named_by_its_place_among_its_like_the_last_first),
		cmocka_unit_test(a_thousand_names_that_go_keep_their_places),
		cmocka_unit_test(names_that_collide_cost_no_more_than_others),
		cmocka_unit_test(who_delivers_by_himself_gets_no_received_field),
		cmocka_unit_test(a_utf8_recipient_stands_in_no_received_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
