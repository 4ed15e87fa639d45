/* The final header section of many mails, word for word: subjects, repairs, which fields; and what
 * must be true of any mail at all (tests/fuzz/edit_judge.h). */
#include "make_txn.h"

#include "outcome/decide.h"

#define JUDGE(promise) assert_true(promise)
#include "../../fuzz/edit_judge.h"

#define F "From: a@x\r\n"

/* What leaves of that mail to one recipient, our fields apart; "" in front: none of the original's
 * name. */
static const char *left_of(struct made *m, const char *mail)
{
	const struct txn_cluster *c;
	struct mw_octets all;

	make_body(m, mail, strlen(mail));
	assert_int_equal(edit_clusters(&m->txn), MW_OK);
	assert_int_equal(m->txn.cluster_count, 1);
	c = &m->txn.clusters[0];
	edit_judge(&m->txn, c, &m->txn.rcpts[0]);
	all = edit_judge_joined(&m->txn, c);
	return (const char *)all.p + strlen(c->fields);
}

static struct txn_rcpt *spammy(struct made *m)
{
	struct txn_rcpt *r = make_rcpt(m, "a@example.org");

	r->ccats[r->ccat_count++] = MW_CCAT(MW_CC_SPAMMY, 0);
	r->ccats[r->ccat_count++] = MW_CCAT(MW_CC_CLEAN, 1);
	r->has_score = r->tag = r->tag2 = true;
	r->score_milli = 7125;
	return r;
}

static void subjects_are_tagged_where_they_stand(void **state)
{
	static const struct {
		const char *tag, *before, *after;
	} rows[] = {
		{ "***SPAM*** ", "Subject: plain", "Subject: ***SPAM*** plain" },
		{ "***SPAM*** ", "SUBJECT :plain", "SUBJECT: ***SPAM*** plain" },
		{ "***SPAM*** ", "Subject:", "Subject: ***SPAM***" },
		{ "***SPAM*** ", "Subject:   \t ", "Subject: ***SPAM***" },
		{ "***SPAM*** ", "Subject:\r\n\tfolded", "Subject: ***SPAM*** folded" },
		{ "***SPAM*** ", "Subject: one\r\n two", "Subject: ***SPAM*** one\r\n two" },
		{ "***SPAM*** ", "Subject: one\r\nSubject: two",
			"Subject: ***SPAM*** one\r\nSubject: ***SPAM*** two" },
		/* old tags */
		{ "***SPAM*** ", "Subject: ***SPAM*** x", "Subject: ***SPAM*** x" },
		{ "***SPAM*** ", "Subject: Re: ***SPAM*** x", "Subject: ***SPAM*** Re: x" },
		{ "***SPAM*** ", "Subject: ***SPAM***\r\n x", "Subject: ***SPAM*** x" },
		{ "***SPAM*** ", "Subject: ***SPAM***x", "Subject: ***SPAM*** ***SPAM***x" },
		{ "***SPAM*** ", "Subject: ***SPAM*** ***SPAM*** x", "Subject: ***SPAM*** x" },
		{ "* ", "Subject: * x", "Subject: * * x" }, /* too short to be looked for */
		{ "***SPAM*** ", "Subject: =?UTF-8?Q?***SPAM***_x?=", "Subject: ***SPAM*** x" },
		{ "***SPAM*** ", "Subject: =?ISO-8859-1?Q?***SPAM***_=FC?=",
			"Subject: ***SPAM*** =?UTF-8?Q?=C3=BC?=" },
		{ "***SPAM*** ", "Subject: =?x-unknown?Q?***SPAM***_=FC?=",
			"Subject: ***SPAM*** =?x-unknown?Q?***SPAM***_=FC?=" },
		/* encoded words: RFC 2047 section 6.2 */
		{ "***SPAM*** ", "Subject: =?UTF-8?Q?=C3=BC?= x",
			"Subject: ***SPAM*** =?UTF-8?Q?=C3=BC?= x" },
		{ "[SPAM]", "Subject: =?UTF-8?Q?=C3=BC?=",
			"Subject: =?UTF-8?Q?[SPAM]?= =?UTF-8?Q?=C3=BC?=" },
		{ "[SPAM]", "Subject: plain", "Subject: [SPAM]plain" },
		{ "\xe2\x9a\xa0 ", "Subject: plain", "Subject: =?UTF-8?Q?=E2=9A=A0?= plain" },
		{ "\xe2\x9a\xa0 ", "Subject: =?UTF-8?Q?=C3=BC?=",
			"Subject: =?UTF-8?Q?=E2=9A=A0_?= =?UTF-8?Q?=C3=BC?=" },
		{ "\xe2\x9a\xa0 ", "Subject: =?UTF-8?Q?=E2=9A=A0?= plain",
			"Subject: =?UTF-8?Q?=E2=9A=A0?= plain" },
		{ "\xe2\x9a\xa0", "Subject:", "Subject: =?UTF-8?Q?=E2=9A=A0?=" },
		/* 8-bit as it is */
		{ "***SPAM*** ", "Subject: \xfc\xe4", "Subject: ***SPAM*** \xfc\xe4" },
		{ "\xff\x01 x ", "Subject: y", "Subject: ?  x y" },
		/* long ones */
		{ "***SPAM*** ",
			"Subject: a word and a word and a word and a word and a word and a word "
			"and",
			"Subject: ***SPAM*** a word and a word and a word and a word and a word "
			"and "
			"a\r\n word and" },
		{ "_SCORE_ of _REQD_ _YESNO_ _YESNOCAPS_ _X_ ", "Subject: y",
			"Subject: 7.125 of 6.31 Yes YES _X_ y" },
		{ "_LOGID_ _MAILID_ _U_ _HOSTNAME__SUBJPREFIX_ ", "Subject: y",
			"Subject: 00001-01 abcdefghijkl 20231114T221320Z mx.example.org y" },
		{ "", "Subject:  untouched \r\n \t", "Subject:  untouched \r\n \t" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct made *m = make_txn("allow_fixing_improper_header = false\n");
		char mail[1024], expected[1024];
		const char *left;

		spammy(m)->subject_tags[CCAT_SPAMMY] = rows[i].tag;
		snprintf(mail, sizeof(mail), F "%s\r\nTo: b\r\n\r\nbody\r\n", rows[i].before);
		snprintf(
			expected, sizeof(expected), F "%s\r\nTo: b\r\n\r\nbody\r\n", rows[i].after);
		left = left_of(m, mail);
		if (strcmp(left, expected) != 0)
			fail_msg("%s + %s became %s", rows[i].tag, rows[i].before, left);
		end_txn(m);
	}
}

static void a_mail_without_a_subject_gets_one_on_top(void **state)
{
	struct made *m = make_txn("sa_spam_subject_tag = \"***SPAM*** \"\n");

	(void)state;
	spammy(m);
	assert_string_equal(left_of(m, F "\r\n"), F "\r\n");
	assert_non_null(strstr(m->txn.clusters[0].fields, "\r\nSubject: ***SPAM***\r\nReceived: "));
	assert_true(m->txn.rcpts[0].tagged);
	end_txn(m);
}

static void the_first_category_with_a_text_has_the_word(void **state)
{
	static const struct {
		const char *lua;
		unsigned ccats[3];
		const char *tag;
	} rows[] = {
		{ "", { MW_CCAT(MW_CC_VIRUS, 0), MW_CCAT(MW_CC_SPAMMY, 0), 10 },
			"***INFECTED*** " },
		{ "", { MW_CCAT(MW_CC_UNCHECKED, 1), 10, 10 }, "***UNCHECKED*** " },
		{ "undecipherable_subject_tag = ''", { MW_CCAT(MW_CC_UNCHECKED, 1), 11, 10 },
			"1 " },
		{ "", { MW_CCAT(MW_CC_SPAM, 0), MW_CCAT(MW_CC_SPAMMY, 0), 11 }, "2 " },
		{ "", { MW_CCAT(MW_CC_SPAM, 0), 11, 10 }, "1 " },
		{ "", { MW_CCAT(MW_CC_SPAMMY, 1), MW_CCAT(MW_CC_SPAMMY, 0), 11 }, "2 " },
		{ "spam_subject_tag3_maps = { '3 ' }",
			{ MW_CCAT(MW_CC_SPAMMY, 1), MW_CCAT(MW_CC_SPAMMY, 0), 11 }, "3 " },
		{ "spam_subject_tag2_maps = { { ['a@example.org'] = 'mine ' } }",
			{ MW_CCAT(MW_CC_SPAMMY, 0), 11, 10 }, "mine " },
		{ "spam_subject_tag2_maps = { { ['b@example.org'] = 'mine ' } }",
			{ MW_CCAT(MW_CC_SPAMMY, 0), 11, 10 }, "2 " },
		{ "subject_tag_maps_by_ccat = { [CC_BANNED] = { 'B ' }, [CC_CATCHALL] = 'C ' }",
			{ MW_CCAT(MW_CC_BANNED, 0), 10, 10 }, "B " },
		{ "subject_tag_maps_by_ccat = { [CC_BANNED] = { 'B ' }, [CC_CATCHALL] = 'C ' }",
			{ 10, 10, 10 }, "C " },
		{ "subject_tag_maps_by_ccat = { [CC_VIRUS] = { '' } }",
			{ MW_CCAT(MW_CC_VIRUS, 0), MW_CCAT(MW_CC_SPAMMY, 0), 10 }, "2 " },
		{ "", { 10, 10, 10 }, "" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char lua[512];
		struct txn_rcpt *r;
		struct made *m;

		snprintf(lua, sizeof(lua),
			"sa_spam_subject_tag = '2 ' sa_spam_subject_tag1 = '1 '\n%s\n",
			rows[i].lua);
		m = make_txn(lua);
		r = make_rcpt(m, "a@example.org");
		for (size_t k = 0; k < 3; k++)
			r->ccats[r->ccat_count++] = rows[i].ccats[k];
		if (strcmp(edit_subject_tag(&m->txn, r), rows[i].tag) != 0)
			fail_msg("%zu: %s", i, edit_subject_tag(&m->txn, r));
		r->is_local = false;
		assert_string_equal(edit_subject_tag(&m->txn, r), "");
		end_txn(m);
	}
}

static void a_header_section_is_repaired(void **state)
{
	char long_line[1200], cut[1001];
	static const struct {
		const char *before, *after;
	} rows[] = {
		{ F "A: b\r\n \t\r\n c\r\n", F "A: b\r\n c\r\n" },
		{ F "A: b\r\n\t\r\n", F "A: b\r\n" },
		{ " \r\n" F, F },
		{ F "A: b\rc\r\n", F "A: bc\r\n" },
		{ F "A: b\r\r\n", F "A: b\r\n" },
		{ F "\r\r\n" F, F F }, /* never an empty line */
		{ F "A: b\r\n \r\r\n" F, F "A: b\r\n" F },
		{ F "\rX-Spam-Flag: NO\r\n", F }, /* a field by our own doing */
		{ F "X-Am\ravis-Alert: x\r\n", F },
		{ F "A: b\r\n\r c\r\n", F "A: b\r\n c\r\n" },
		{ F "\r.\r\n", F ".\r\n" },
		{ F "X-Spam-Flag\r\n : NO\r\n", F },
		{ F "x-spam-flag : NO\r\n", F },
	};
	struct made *m;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char mail[512], expected[512];
		const char *left;

		m = make_txn("");
		make_rcpt(m, "a@example.org");
		snprintf(mail, sizeof(mail), "%s\r\nbody\rof \r\n \r\nit\r\n", rows[i].before);
		snprintf(expected, sizeof(expected), "%s\r\nbody\rof \r\n \r\nit\r\n",
			rows[i].after);
		left = left_of(m, mail);
		if (strcmp(left, expected) != 0)
			fail_msg("%s became %s", rows[i].before, left);
		assert_int_equal(m->txn.dots, strchr(rows[i].before, '.') != NULL || m->txn.dots);
		end_txn(m);
	}
	memset(long_line, 'y', sizeof(long_line));
	for (size_t n = 996; n <= 1010; n++) {
		char mail[1400];
		const char *left;

		m = make_txn("");
		make_rcpt(m, "a@example.org");
		snprintf(mail, sizeof(mail), "A: %.*s\r\n\r\n", (int)n - 3, long_line);
		memcpy(cut, mail, 995);
		strcpy(cut + 995, "...");
		left = left_of(m, mail);
		assert_int_equal(strcspn(left, "\r"), n <= 998 ? n : 998);
		assert_memory_equal(left, n <= 998 ? mail : cut, n <= 998 ? n : 998);
		end_txn(m);
	}
}

static void what_may_not_be_repaired_stays(void **state)
{
	static const char mail[] = F "A: b\rc\r\n \t\r\n d\r\n\r\n";
	struct made *m = make_txn("allow_fixing_improper_header = false\n");

	(void)state;
	make_rcpt(m, "a@example.org");
	assert_string_equal(left_of(m, mail), mail);
	assert_false(m->txn.dots);
	end_txn(m);
	m = make_txn("allow_fixing_improper_header_folding = false\n");
	make_rcpt(m, "a@example.org");
	assert_string_equal(left_of(m, mail), F "A: bc\r\n \t\r\n d\r\n\r\n");
	end_txn(m);
}

static bool adds(const char *lua, const char *name)
{
	struct made *m = make_txn(lua);
	bool found;

	spammy(m);
	make_check(m, JOB_SCAN, MW_DONE);
	left_of(m, F "\r\n");
	found = strstr(m->txn.clusters[0].fields, name) != NULL;
	end_txn(m);
	return found;
}

static void fields_are_added_as_allowed(void **state)
{
	(void)state;
	assert_true(adds("", "X-Spam-Flag: YES\r\n"));
	assert_true(adds("", "X-Spam-Score: 7.125\r\n"));
	assert_false(adds("", "X-Amavis-Category"));
	assert_true(adds("allowed_added_header_fields = { ['x-amavis-category'] = true }",
		"X-Amavis-Category: mx.example.org; category=Spammy\r\n"));
	assert_false(
		adds("allowed_added_header_fields = { ['X-Spam-Flag'] = false }", "X-Spam-Flag"));
	assert_true(
		adds("allowed_added_header_fields = { ['X-Spam-Flag'] = false }", "X-Spam-Score"));
	assert_false(adds("allowed_added_header_fields = { Received = false }", "Received"));
	assert_false(
		adds("allowed_added_header_fields = { REPLACE = true, Received = true }", "X-S"));
	assert_true(adds(
		"allowed_added_header_fields = { REPLACE = true, Received = true }", "Received"));
	assert_true(adds("X_HEADER_TAG = 'X-Seen' X_HEADER_LINE = 'yes'", "X-Seen: yes\r\n"));
	assert_false(
		adds("X_HEADER_TAG = 'X-Seen' allowed_added_header_fields = { ['x-seen'] = false }",
			"X-Seen"));
}

#define REPORT                                                                                     \
	" 1.2 FIRST                  BODY: what it  means\n"                                       \
	"                            [and more]\n"                                                 \
	"      \n"                                                                                 \
	"1000 GTUBE\n"                                                                             \
	"odd\n"

/* Whether a spammy mail with that report gets the field. */
static bool reports(const char *lua, const char *report, bool tag2, bool local, const char *field)
{
	struct made *m = make_txn(lua);
	struct txn_rcpt *r = spammy(m);
	bool told;

	r->tag2 = tag2;
	r->is_local = local;
	m->txn.found.report = mw_octets_of_text(report);
	left_of(m, F "\r\n");
	told = strstr(m->txn.clusters[0].fields, field) != NULL;
	end_txn(m);
	return told;
}

static void a_report_is_a_field_where_it_is_wanted(void **state)
{
	static const char on[] = "allowed_added_header_fields = { ['X-Spam-Report'] = true }";

	(void)state;
	assert_true(reports(on, REPORT, true, true,
		"X-Spam-Report:\r\n *  1.2 FIRST BODY: what it  means\r\n *      [and more]\r\n"
		" * 1000 GTUBE\r\n * odd\r\n"));
	assert_false(reports("", REPORT, true, true, "X-Spam-Report"));
	assert_false(reports(on, REPORT, false, true, "X-Spam-Report"));
	assert_false(reports(on, REPORT, true, false, "X-Spam-Report"));
	assert_false(reports(on, "", true, true, "X-Spam-Report"));
	assert_false(reports(on, "   \n", true, true, "X-Spam-Report"));
}

static void names_that_nobody_knows_are_refused(void **state)
{
	static const char *const wrong[] = { "{ ['X-Spam-Staus'] = false }", "{ Received = 1 }",
		"{ 'Received' }" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(wrong); i++) {
		char lua[200], *errors = NULL;
		struct policy_set *set = NULL;
		struct mw_err err = { "" };
		struct mw_conf *conf;

		snprintf(lua, sizeof(lua), "allowed_added_header_fields = %s\n", wrong[i]);
		conf = conf_of(lua, &errors);
		if (conf != NULL) {
			assert_int_equal(policy_set_new(conf, &set, &err), MW_ERR_CONF);
			assert_non_null(strstr(err.text, "allowed_added_header_fields"));
			policy_set_unref(&set);
		}
		mw_conf_destroy(&conf);
		free(errors);
	}
}

static void recipients_who_keep_spam_fields_have_a_mail_of_their_own(void **state)
{
	static const char mail[] = F "X-Spam-Flag: NO\r\nX-Amavis-Hold: x\r\n\r\n";
	struct made *m = make_txn(
		"remove_existing_spam_headers_maps = { { ['b@example.org'] = false }, true }\n");

	(void)state;
	make_rcpt(m, "a@example.org");
	make_rcpt(m, "b@example.org");
	make_rcpt(m, "c@example.org");
	make_body(m, mail, strlen(mail));
	assert_int_equal(edit_clusters(&m->txn), MW_OK);
	assert_int_equal(m->txn.cluster_count, 2);
	assert_int_equal(m->txn.rcpts[0].cluster, m->txn.rcpts[2].cluster);
	for (size_t i = 0; i < 2; i++) {
		struct mw_octets all = edit_judge_joined(&m->txn, &m->txn.clusters[i]);

		edit_judge(&m->txn, &m->txn.clusters[i], &m->txn.rcpts[i]);
		assert_int_equal(strstr((const char *)all.p, "X-Spam-Flag: NO") != NULL, i == 1);
		assert_null(strstr((const char *)all.p, "X-Amavis-Hold"));
	}
	end_txn(m);
}

static void listed_senders_and_missing_levels_are_told(void **state)
{
	struct made *m = make_txn("");
	struct txn_rcpt *r = spammy(m);
	const char *fields;

	(void)state;
	r->black = true;
	r->has_score = false;
	r->tag_milli = RCPT_NO_LEVEL;
	left_of(m, F "\r\n");
	fields = m->txn.clusters[0].fields;
	assert_non_null(strstr(fields, "X-Spam-Score: 64\r\nX-Spam-Level: ****"));
	assert_non_null(
		strstr(fields, "X-Spam-Status: Yes, score=x required=6.31 BLACKLISTED tests=[]\r\n "
			       "autolearn=unavailable\r\n"));
	end_txn(m);
	m = make_txn("");
	r = spammy(m);
	r->white = true;
	left_of(m, F "\r\n");
	fields = m->txn.clusters[0].fields;
	assert_non_null(strstr(fields, "X-Spam-Score: 0\r\nX-Spam-Level:\r\n"));
	assert_non_null(strstr(fields, " WHITELISTED"));
	end_txn(m);
}

/* A domain is the signer's to write: no second result, no comment, is begun in it. */
static void a_signers_domain_says_nothing_else(void **state)
{
	struct finding_signature s = { .d = mw_octets_of_text("x; dkim=pass(header.d=b\r\n.\xe4"),
		.result = mw_octets_of_text("fail") };
	struct made *m = make_txn("");

	(void)state;
	make_rcpt(m, "a@example.org");
	make_check(m, JOB_AUTH, MW_DONE);
	m->txn.found.signatures = &s;
	m->txn.found.signature_count = 1;
	left_of(m, F "\r\n");
	assert_non_null(strstr(m->txn.clusters[0].fields,
		"dkim=fail\r\n header.d=x??dkim?pass?header.d?b??.?\r\n"));
	end_txn(m);
}

static void signatures_are_told_apart_where_that_can_be(void **state)
{
	struct finding_signature s[3] = {
		{ .d = mw_octets_of_text("a.example"),
			.result = mw_octets_of_text("pass"),
			.reason = mw_octets_of_text("pass"),
			.b = mw_octets_of_text("AAAAbbbb"),
			.bits = 2048 },
		{ .d = mw_octets_of_text("b.example"),
			.result = mw_octets_of_text("fail"),
			.reason = mw_octets_of_text("a \"b\" \\"),
			.b = mw_octets_of_text("CCCCdddd") },
		{ .d = mw_octets_of_text("c.example"),
			.result = mw_octets_of_text("fail"),
			.b = mw_octets_of_text("CCCCdddd") },
	};
	struct made *m = make_txn("");

	(void)state;
	make_rcpt(m, "a@example.org");
	make_check(m, JOB_AUTH, MW_DONE);
	m->txn.found.signatures = s;
	m->txn.found.signature_count = 3;
	left_of(m, F "\r\n");
	assert_non_null(strstr(m->txn.clusters[0].fields,
		"Authentication-Results: mx.example.org (mailweir); dkim=pass (2048-bit key)\r\n"
		" header.d=a.example header.b=\"AAAAbbbb\"; dkim=fail reason=\"a \\\"b\\\" "
		"\\\\\"\r\n"
		" header.d=b.example; dkim=fail header.d=c.example\r\n"));
	end_txn(m);
	m = make_txn("");
	make_rcpt(m, "a@example.org");
	make_check(m, JOB_AUTH, MW_DONE);
	left_of(m, F "\r\n");
	assert_null(strstr(m->txn.clusters[0].fields, "Authentication-Results"));
	end_txn(m);
}

/* Mails put together from what hurts. */
static void any_mail_leaves_whole(void **state)
{
	static const char *const bits[] = {
		"\r\n", "\r", "\n", " ", "\t", ":", "Subject: ", "SP ", "X-Spam-Flag",
		"X-Amavis-Alert: ", "From: a", "\r\n ", "\r\n\t\r\n", ".", "=?UTF-8?Q?",
		"?=", "\xc3\xa4", "\xff", "Authentication-Results: mx.example.org;", "\r\n\r\n",
		"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
	};
	uint32_t seed = 1;

	(void)state;
	for (unsigned n = 0; n < 3000; n++) {
		struct made *m = make_txn(n % 2 ? "allow_fixing_improper_header = false\n" : "");
		char mail[2048] = "";

		for (unsigned i = 0; i < n % 20; i++) {
			seed = seed * 1664525 + 1013904223;
			strcat(mail, bits[(seed >> 16) % MW_COUNT(bits)]);
		}
		spammy(m)->subject_tags[CCAT_SPAMMY] = n % 3 ? "SP " : "\xc3\xa4 SP ";
		left_of(m, mail);
		assert_int_equal(edit_final_header(&m->txn, &m->txn.clusters[0]), MW_OK);
		end_txn(m);
	}
}

static void what_is_ambiguous_is_told_with_the_scanners_words(void **state)
{
	static const struct {
		const char *words, *field;
	} rows[] = {
		{ "duplicate_field",
			"MIME-Ambiguity-Results: mx.example.org; duplicate_field\r\n" },
		{ "boundary_not_found,duplicate_field,bare_cr",
			"MIME-Ambiguity-Results: mx.example.org; boundary_not_found, "
			"duplicate_field,\r\n bare_cr\r\n" },
		{ "", "MIME-Ambiguity-Results: mx.example.org; ambiguous\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < 2 * MW_COUNT(rows); i++) {
		struct made *m = make_txn("");
		bool ambiguous = i < MW_COUNT(rows);

		make_rcpt(m, "a@example.org");
		m->txn.found.ambiguous = ambiguous;
		m->txn.found.mime_errors = mw_octets_of_text(rows[i % MW_COUNT(rows)].words);
		left_of(m, F "\r\n");
		if (ambiguous)
			assert_non_null(
				strstr(m->txn.clusters[0].fields, rows[i % MW_COUNT(rows)].field));
		else
			assert_null(strstr(m->txn.clusters[0].fields, "MIME-Ambiguity"));
		end_txn(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subjects_are_tagged_where_they_stand),
		cmocka_unit_test(a_mail_without_a_subject_gets_one_on_top),
		cmocka_unit_test(the_first_category_with_a_text_has_the_word),
		cmocka_unit_test(a_header_section_is_repaired),
		cmocka_unit_test(what_may_not_be_repaired_stays),
		cmocka_unit_test(fields_are_added_as_allowed),
		cmocka_unit_test(a_report_is_a_field_where_it_is_wanted),
		cmocka_unit_test(names_that_nobody_knows_are_refused),
		cmocka_unit_test(recipients_who_keep_spam_fields_have_a_mail_of_their_own),
		cmocka_unit_test(listed_senders_and_missing_levels_are_told),
		cmocka_unit_test(a_signers_domain_says_nothing_else),
		cmocka_unit_test(signatures_are_told_apart_where_that_can_be),
		cmocka_unit_test(any_mail_leaves_whole),
		cmocka_unit_test(what_is_ambiguous_is_told_with_the_scanners_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
