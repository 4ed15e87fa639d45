/* Hooks: what they see and do, what is refused, and that no function of an admin's, however
 * hostile, does more than fail. */
#include "make_txn.h"

#include "outcome/decide.h"
#include "outcome/edit.h"
#include "outcome/reply.h"
#include "policy/hooks.h"
#include "policy/hooks_field.h"

#define MAIL                                                                                       \
	"Received: from a by b; x\r\nFrom: me@example.com\r\nSubject: =?UTF-8?Q?caf=C3=A9?=\r\n"   \
	"X-Two: one\r\nX-Two:  t\r\n\tw\0o \r\nTo: a@example.org\r\n\r\nbody\r\n"

/* A mail for a@ and b@example.org in front of those hooks. */
static struct made *made_with(const char *lua)
{
	struct made *m = make_txn(lua);

	make_rcpt(m, "a@example.org");
	make_rcpt(m, "b@example.org");
	make_body(m, MAIL, sizeof(MAIL) - 1);
	assert_int_equal(
		facts_collect(&m->txn.facts, &m->txn.arena, &m->txn.header, "x", m->txn.sender),
		MW_OK);
	m->txn.client_ip = "192.0.2.7";
	make_check(m, JOB_SCAN, MW_DONE);
	return m;
}

static const char *said(const struct made *m, enum hook_point point)
{
	return m->txn.hooked->said[point].text;
}

/* hooks.POINT = function(mail) BODY end does not fail. */
static struct made *good(enum hook_point point, const char *body)
{
	char lua[3000];
	struct made *m;

	snprintf(lua, sizeof(lua), "hooks.%s = function(mail) %s end\n", hook_names[point], body);
	m = made_with(lua);
	if (!hooks_call(&m->txn, point) || m->txn.hooked->said[point].failed)
		fail_msg("%s: %s", body, said(m, point));
	return m;
}

/* It fails, for this reason; the mail is deferred where it can be. */
static void bad(enum hook_point point, const char *body, const char *why)
{
	char lua[3000];
	struct made *m;

	snprintf(lua, sizeof(lua), "hooks.%s = function(mail) %s end\n", hook_names[point], body);
	m = made_with(lua);
	if (hooks_call(&m->txn, point) != (point >= HOOK_AFTER_SEND))
		fail_msg("%s: not as its point wants it", body);
	if (!m->txn.hooked->said[point].failed || strstr(said(m, point), why) == NULL)
		fail_msg("%s: %s", body, said(m, point));
	end_txn(m);
}

/* ------------------------------------------------------------------ what they see */

static void a_hook_sees_the_mail(void **state)
{
	static const char *const facts[] = {
		"mail.log_id == '00001-01'", "mail.mail_id == 'abcdefghijkl'",
		"mail.point == 'new'", "mail.size > 100 and mail.size < 200",
		"mail.sender == 'sender@example.com'", "mail.client_ip == '192.0.2.7'",
		"mail.client_name == nil", "mail.helo == 'client.example.com'",
		"mail.protocol == 'ESMTP'", "mail.originating == false", "#mail.policy_banks == 0",
		"mail.subject == 'caf\\xc3\\xa9'",
		"mail:header('subject') == '=?UTF-8?Q?caf=C3=A9?='",
		"mail:decoded(mail:header('subject')) == mail.subject",
		"mail:header('X-None') == nil", "mail:header('x-two') == 'one'",
		"#mail:headers('X-Two') == 2", "mail:headers('X-Two')[2] == 't\\tw\\0o'",
		"#mail:headers('X-None') == 0",
		"mail.from[1] == 'me@example.com' and #mail.from == 1",
		"mail.to[1] == 'a@example.org'", "#mail.recipients == 2",
		"mail.recipients[2].address == 'b@example.org'",
		"mail.recipients[1].is_local == nil", /* not asked yet */
		"mail.recipients[1].code == nil", "mail.spam_score == nil", "#mail.viruses == 0",
		"mail.checks.scan == 'done' and mail.checks.spam == nil", "next(mail.tests) == nil",
		"mail.is_bulk == false", "mail:match('abc', 'b') == 'b'",
		"mail:match('abc', 'x') == nil",
		"select('#', mail:match('abc', '(a)(b)(x)?')) == 4",
		"select(3, mail:match('abc', '(a)(b)(x)?')) == 'b'",
		"mail:match('t\\0x', '\\\\x00(.)') == '\\0x'", "mail:match('', '^$') == ''",
		"sa_tag2_level_deflt == 6.31", /* settings can be read */
	};
	char body[300];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(facts); i++) {
		snprintf(body, sizeof(body), "assert(%s, 'wrong')", facts[i]);
		end_txn(good(HOOK_NEW, body));
	}
}

static void findings_are_seen(void **state)
{
	static struct mw_octets macros = { (const unsigned char *)"macros", 6 };
	struct made *m = made_with(
		"hooks.checks = function(mail)\n"
		"assert(mail.viruses[1] == 'Eicar' and #mail.viruses == 1)\n"
		"assert(mail.encrypted and not mail.over_limits and mail.ambiguous)\n"
		"assert(#mail.content == 1 and mail.content[1] == 'macros')\n"
		"assert(mail.spam_score == 3.5 and mail.ip_score == 0)\n"
		"assert(mail.recipients[1].is_local and mail.recipients[1].tag_level == 2)\n"
		"assert(mail.recipients[1].score == nil)\n end\n"
		"hooks.before_send = function(mail)\n"
		"local r = mail.recipients[1]\n"
		"assert(r.category == 'Virus' and r.blocked_by == 'Virus' and r.code == 250)\n"
		"assert(r.destiny == 'D_DISCARD' and r.action == 'DISCARD' and r.score == 3.5)\n"
		"end\n");

	(void)state;
	make_virus(m, "Eicar");
	m->txn.found.encrypted = 1;
	m->txn.found.ambiguous = true;
	m->txn.found.content = (struct mw_list){ 1, &macros };
	m->txn.found.has_spam = true;
	m->txn.found.spam_milli = 3500;
	if (!hooks_call(&m->txn, HOOK_CHECKS))
		fail_msg("%s", said(m, HOOK_CHECKS));
	decide(&m->txn);
	if (!hooks_call(&m->txn, HOOK_BEFORE_SEND))
		fail_msg("%s", said(m, HOOK_BEFORE_SEND));
	end_txn(m);
}

/* ------------------------------------------------------------------ what they do */

static void a_bank_is_loaded(void **state)
{
	/* Example 7 of docs/policy.md, to the letter but for the size. */
	struct made *m =
		made_with("policy_bank.NOVIRUSCHECK = { bypass_virus_checks_maps = { 1 } }\n"
			  "hooks.new = function(mail) if mail.size > 50 then "
			  "mail:load_policy_bank(\"NOVIRUSCHECK\") end end\n");

	(void)state;
	assert_true(hooks_call(&m->txn, HOOK_NEW));
	assert_string_equal(m->txn.policy->bank, "NOVIRUSCHECK");
	assert_string_equal(said(m, HOOK_NEW), "load_policy_bank NOVIRUSCHECK");
	end_txn(m);
}

static void scores_and_tests_count(void **state)
{
	struct made *m = good(HOOK_CHECKS,
		"mail:add_score(1.5, 'LOCAL_RULE') mail:add_score(7, 'B.ONLY', 'B@example.org') "
		"mail:add_score(-0.25, 'N', mail.recipients[1])");

	(void)state;
	decide(&m->txn);
	assert_int_equal(m->txn.rcpts[0].score_milli, 1250);
	assert_int_equal(m->txn.rcpts[1].score_milli, 8500);
	assert_true(m->txn.rcpts[1].kill && !m->txn.rcpts[0].tag);
	assert_int_equal(m->txn.found.test_count, 3);
	assert_memory_equal(m->txn.found.tests[1].name.p, "B.ONLY", 6);
	assert_string_equal(said(m, HOOK_CHECKS),
		"add_score 1.5 LOCAL_RULE; add_score 7 B.ONLY b@example.org; "
		"add_score -0.25 N a@example.org");
	end_txn(m);
}

static void a_hook_makes_mail_worse(void **state)
{
	struct made *m = good(HOOK_NEW, "mail:add_virus('Local.Rule')");

	(void)state;
	assert_int_equal(m->txn.found.virus_count, 0);
	assert_int_equal(hooks_viruses(&m->txn), MW_OK);
	assert_int_equal(hooks_viruses(&m->txn), MW_OK);
	assert_int_equal(m->txn.found.virus_count, 1);
	decide(&m->txn);
	assert_int_equal(m->txn.rcpts[0].ccats[0], MW_CCAT(MW_CC_VIRUS, 0));
	assert_non_null(strstr(m->txn.rcpts[0].reply, "INFECTED: Local.Rule"));
	end_txn(m);
	m = good(HOOK_CHECKS, "mail:add_unchecked('odd archive')");
	for (size_t i = 0; i < m->txn.rcpt_count; i++)
		m->txn.rcpts[i].destinies[CCAT_UNCHECKED] = MW_D_REJECT;
	decide(&m->txn);
	assert_non_null(strstr(m->txn.rcpts[1].reply, "UNCHECKED: odd archive"));
	end_txn(m);
}

static const char *edited(struct made *m)
{
	struct mw_text out = { 0 };
	const char *s;

	decide(&m->txn);
	assert_int_equal(edit_clusters(&m->txn), MW_OK);
	for (size_t i = 0; i < m->txn.clusters[0].piece_count; i++)
		mw_text_add_octets(
			&out, m->txn.clusters[0].pieces[i].p, m->txn.clusters[0].pieces[i].n);
	for (size_t i = 0; i < out.n; i++)
		if (out.p[i] == '\0')
			out.p[i] = '0';
	s = smtp_arena_copy(&m->txn.arena, out.p, out.n);
	mw_text_fini(&out);
	return s;
}

static void header_edits_are_made(void **state)
{
	struct made *m = good(HOOK_BEFORE_SEND,
		"mail:add_field('X-Ours', 'yes') mail:add_field('X-U', 'caf\\xc3\\xa9') "
		"mail:remove_field('x-two') mail:prefix_subject('[EXT] ')");
	const char *s = edited(m);
	struct edit_change *gone;
	size_t count;

	(void)state;
	assert_non_null(strstr(s, "\r\nX-Ours: yes\r\nX-U: =?UTF-8?B?Y2Fmw6k=?=\r\n"
				  "Received: from a"));
	assert_non_null(
		strstr(s, "From: me@example.com\r\nSubject: [EXT] =?UTF-8?Q?caf=C3=A9?=\r\nTo: "));
	assert_int_equal(edit_changes(&m->txn, &m->txn.clusters[0], &gone, &count), MW_OK);
	assert_int_equal(count, 3);
	assert_memory_equal(gone[0].name.p, "Subject", 7);
	assert_int_equal(gone[1].index, 2); /* the last first */
	end_txn(m);
}

static void recipients_are_changed(void **state)
{
	struct made *m = good(HOOK_NEW,
		"mail:add_recipient('archive@example.net') mail:add_recipient('A@example.org') "
		"mail:remove_recipient(mail.recipients[2]) "
		"mail:rewrite_recipient('a@example.org', 'c@example.org')");
	struct txn *t = &m->txn;

	(void)state;
	assert_int_equal(t->rcpt_count, 3);
	assert_int_equal(t->added_count, 1);
	assert_string_equal(t->rcpts[0].addr, "c@example.org");
	assert_string_equal(t->rcpts[0].given, "a@example.org");
	assert_true(t->rcpts[1].removed);
	assert_string_equal(t->rcpts[1].reply, "250 2.7.0 Ok, discarded by policy, id=00001-01");
	assert_true(t->rcpts[2].added);
	for (size_t i = 0; i < t->rcpt_count; i++)
		rcpt_policy_resolve(t, &t->rcpts[i], NULL);
	decide(t);
	assert_int_equal(edit_clusters(t), MW_OK);
	assert_int_equal(t->cluster_count, 1);
	assert_string_equal(t->clusters[0].rcpts[0].addr, "archive@example.net"); /* first */
	/* The added one fails: the client's have to come again, the removed one too: over LMTP it
	 * may be the only one that there is a reply for. */
	for (size_t i = 0; i < 3; i += 2) {
		t->rcpts[i].code = i == 2 ? 451 : 250;
		t->rcpts[i].delivered = i != 2;
		t->rcpts[i].reply = i == 2 ? "451 no" : "250 yes";
	}
	outcome_reply(t);
	assert_int_equal(t->rcpts[0].code, 451);
	assert_int_equal(t->rcpts[1].code, 451);
	assert_int_equal(t->reply_code, 451);
	end_txn(m);
}

/* Each act means the recipients as the hook saw them, whatever those before it have done. */
static void recipients_that_change_places_are_not_mixed_up(void **state)
{
	struct made *m = good(HOOK_NEW, "local a, b = mail.recipients[1], mail.recipients[2] "
					"mail:rewrite_recipient(a, b.address) "
					"mail:rewrite_recipient(b, 'c@example.org') "
					"mail:add_score(5, 'OF_B', b)");
	struct txn *t = &m->txn;
	const char *second = t->rcpts[1].given;

	(void)state;
	assert_string_equal(t->rcpts[0].addr, second);
	assert_string_equal(t->rcpts[1].addr, "c@example.org");
	assert_int_equal(t->rcpts[0].hook_milli, 0);
	assert_int_equal(t->rcpts[1].hook_milli, 5000);
	end_txn(m);
	m = good(HOOK_NEW, "mail:rewrite_recipient('a@example.org', 'x@example.org') "
			   "mail:remove_recipient('a@example.org')");
	assert_true(m->txn.rcpts[0].removed);
	end_txn(m);
}

static void an_added_recipient_is_not_refused_to_the_client(void **state)
{
	struct made *m = good(HOOK_NEW, "mail:add_recipient('archive@example.net') "
					"mail:add_score(50, 'X', 'a@example.org')");
	struct txn *t = &m->txn;

	(void)state;
	t->rcpts[2].hook_milli = 50000;
	for (size_t i = 0; i < t->rcpt_count; i++)
		rcpt_policy_resolve(t, &t->rcpts[i], NULL);
	t->rcpts[2].kill_milli = 6000;
	for (size_t i = 0; i < t->rcpt_count; i++)
		t->rcpts[i].destinies[CCAT_SPAM] = MW_D_REJECT;
	decide(t);
	assert_int_equal(t->rcpts[0].code, 554);
	assert_int_equal(t->rcpts[1].code, 0);
	assert_int_equal(t->rcpts[2].code, 250);
	assert_int_equal(t->rcpts[2].action, MW_ACT_DISCARD);
	end_txn(m);
}

static void what_was_done_before_a_failure_is_not_done(void **state)
{
	struct made *m = made_with("policy_bank.X = {}\nhooks.new = { on_failure = 'pass',\n"
				   "run = function(mail) mail:load_policy_bank('X')\n"
				   "mail:add_virus('V') mail:add_recipient('x@example.net')\n"
				   "mail:add_field('X-A', 'b') error('late') end }\n");

	(void)state;
	assert_true(hooks_call(&m->txn, HOOK_NEW));
	assert_true(m->txn.hooked->said[HOOK_NEW].failed);
	assert_int_equal(m->front.hooks[HOOK_NEW].failed, 1);
	assert_string_equal(m->txn.policy->bank, "");
	assert_int_equal(m->txn.rcpt_count, 2);
	assert_int_equal(m->txn.hooked->virus_count, 0);
	assert_string_equal(m->txn.hooked->fields, "");
	end_txn(m);
}

static void state_is_kept_from_mail_to_mail(void **state)
{
	struct made *m = made_with("local seen = 0\nhooks.new = function(mail) seen = seen + 1\n"
				   "if seen == 3 then mail:add_virus('third') end end\n");

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(m->txn.hooked != NULL ? m->txn.hooked->virus_count : 0, 0);
		assert_true(hooks_call(&m->txn, HOOK_NEW));
	}
	assert_int_equal(m->txn.hooked->virus_count, 1);
	end_txn(m);
}

/* ------------------------------------------------------------------ what is refused */

static void wrong_arguments_are_refused(void **state)
{
	static const char *const rows[][2] = {
		{ "mail:load_policy_bank('NONE')", "no policy bank" },
		{ "mail:load_policy_bank('')", "no policy bank" },
		{ "mail:load_policy_bank()", "bad argument" },
		{ "mail.load_policy_bank('X')", "bad argument" },
		{ "mail:add_score(1, 'lower')", "name" },
		{ "mail:add_score(1, '')", "name" },
		{ "mail:add_score(1, 'A B')", "name" },
		{ "mail:add_score(1, 'A\\0')", "name" },
		{ "mail:add_score(1001, 'A')", "points" },
		{ "mail:add_score(0/0, 'A')", "points" },
		{ "mail:add_score(math.huge, 'A')", "points" },
		{ "mail:add_score(1, 'A', 'nobody@example.org')", "no recipient" },
		{ "for i = 1, 101 do mail:add_score(1, 'A') end", "more than 100" },
		{ "mail:add_virus('')", "printable" },
		{ "mail:add_virus('a\\nb')", "printable" },
		{ "for i = 1, 21 do mail:add_virus('A') end", "more than 20" },
		{ "mail:add_field('X Y', 'a')", "field's name" },
		{ "mail:add_field('X:', 'a')", "field's name" },
		{ "mail:add_field('', 'a')", "field's name" },
		{ "mail:add_field('X\\r\\nY', 'a')", "field's name" },
		{ "mail:add_field('X\\0', 'a')", "field's name" },
		{ "mail:add_field('X', 'a\\r\\nBcc: b')", "control" },
		{ "mail:add_field('X', 'a\\0b')", "control" },
		{ "mail:add_field('X', 'a\\nb')", "control" },
		{ "mail:add_field('X', '\\xff')", "neither" },
		{ "mail:add_field('X', '\\xc2\\x85')", "neither" },
		{ "mail:add_field('X', '\\xc0\\xaf')", "neither" },
		{ "local s = 'x' for i = 1, 10 do s = s .. s end mail:add_field('X', s)", "900" },
		{ "local s = 'x ' for i = 1, 13 do s = s .. s end mail:add_field('X', s)", "8192" },
		{ "for i = 1, 51 do mail:add_field('X', 'a') end", "more than 50" },
		{ "mail:add_field('Received', 'x')", "loops" },
		{ "mail:remove_field('received')", "loops" },
		{ "mail:prefix_subject('a\\r\\nb')", "printable" },
		{ "mail:add_recipient('a\\r\\nb')", "no address" },
		{ "mail:add_recipient('a@b> NOTIFY=NEVER')", "no address" },
		{ "mail:add_recipient('')", "no address" },
		{ "mail:add_recipient('\\xc3\\xa9@example.org')", "no address" },
		{ "mail:remove_recipient('nobody@example.org')", "no recipient" },
		{ "mail:rewrite_recipient('a@example.org', 'x y')", "no address" },
		{ "mail.size = 3", "read only" },
		{ "mail.recipients[1].address = 'x'", "read only" },
		{ "return mail.sizes", "a mail has no \"sizes\"" },
		{ "return mail[1]", "a mail has no \"1\"" },
		{ "return mail.recipients[1].adress", "a recipient has no" },
		{ "mail:match('a', '(')", "mail:match" },
		{ "mail:match(('a'):reverse(), nil)", "bad argument" },
		{ "originating = true", "cannot change settings" },
		{ "hooks.new = nil", "cannot change settings" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		bad(HOOK_NEW, rows[i][0], rows[i][1]);
}

static void acts_have_their_points(void **state)
{
	static const struct {
		const char *act;
		enum hook_point last;
	} rows[] = {
		{ "mail:load_policy_bank('X')", HOOK_NEW },
		{ "mail:add_recipient('x@example.org')", HOOK_NEW },
		{ "mail:remove_recipient('a@example.org')", HOOK_NEW },
		{ "mail:rewrite_recipient('a@example.org', 'x@example.org')", HOOK_NEW },
		{ "mail:add_score(1, 'A')", HOOK_CHECKS },
		{ "mail:add_virus('V')", HOOK_CHECKS },
		{ "mail:add_unchecked('why')", HOOK_CHECKS },
		{ "mail:add_field('X', 'y')", HOOK_BEFORE_SEND },
		{ "mail:remove_field('X')", HOOK_BEFORE_SEND },
		{ "mail:prefix_subject('x')", HOOK_BEFORE_SEND },
		{ "mail:log('x')", HOOK_MAIL_DONE },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		for (int p = HOOK_NEW; p < HOOK_POINTS; p++) {
			char body[200];

			snprintf(body, sizeof(body), "%s end policy_bank.X = {} do", rows[i].act);
			if (p <= (int)rows[i].last)
				end_txn(good((enum hook_point)p, body));
			else
				bad((enum hook_point)p, rows[i].act, "too late");
		}
}

static void recipients_have_their_limits(void **state)
{
	struct made *m = make_txn("smtpd_recipient_limit = 3\nhooks.new = function(mail)\n"
				  "mail:add_recipient('x@example.org')\n"
				  "mail:add_recipient('y@example.org') end\n");

	(void)state;
	make_rcpt(m, "a@example.org");
	assert_true(hooks_call(&m->txn, HOOK_NEW));
	assert_int_equal(m->txn.rcpt_count, 3);
	end_txn(m);
	m = made_with("smtpd_recipient_limit = 3\nhooks.new = function(mail)\n"
		      "mail:add_recipient('x@example.org')\n"
		      "mail:add_recipient('y@example.org') end\n");
	assert_false(hooks_call(&m->txn, HOOK_NEW));
	assert_int_equal(m->txn.rcpt_count, 2);
	end_txn(m);
}

static void settings_that_are_no_hooks_are_refused(void **state)
{
	static const char *const rows[][2] = {
		{ "hooks.new = 3", "hooks.new = 3: expected a function" },
		{ "hooks.new = {}", "expected a function" },
		{ "hooks.new = { run = 1 }", "expected a function" },
		{ "hooks.new = { run = function() end, on_failure = 'reject' }", "\"defer\" }" },
		{ "hooks.new = { run = function() end, onfailure = 'pass' }", "expected a" },
		{ "hooks.new = { function() end }", "expected a function" },
		{ "hooks.mail_done = { run = function() end, on_failure = 'defer' }",
			"on_failure = \"pass\" }" },
		{ "hooks.after_send = { run = function() end, on_failure = 'defer' }",
			"on_failure = \"pass\" }" },
		{ "hooks.check = function() end", "did you mean hooks.checks" },
		{ "hooks = function() end", "expected a table of its settings" },
		{ "hooks.new = print", "print" },
		{ "hooks.new = tostring", "not one of the library" },
		{ "policy_bank.X = { ['hooks.new'] = function() end }", "hooks.new" },
		{ "policy_bank.X = { ACTION = function() end }", "ACTION" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char *errors = NULL;
		struct mw_conf *conf = conf_of(rows[i][0], &errors);

		if (conf != NULL || strstr(errors, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], errors);
		free(errors);
	}
}

static void hooks_cost_nothing_when_none_is_set(void **state)
{
	struct made *m = made_with("hooks = { steps = 1000, time = 5, memory = 1048576 }\n");

	(void)state;
	assert_null(m->txn.set->hooks);
	assert_true(hooks_pass(&m->txn, HOOK_NEW));
	assert_null(m->txn.hooked);
	end_txn(m);
}

/* ------------------------------------------------------------------ hostile ones */

static void hostile_functions_end_at_their_budget(void **state)
{
	static const char *const rows[][2] = {
		{ "while true do end", "takes more than" },
		{ "local function f() return f() end f()", "takes more than" }, /* tail calls */
		{ "local function f() return 1 + f() end f()", "" },
		{ "local s = 'x' while true do s = s .. s end", "" },
		{ "local t = {} while true do t[#t + 1] = 'x' .. #t end", "" },
		{ "local t = {} for i = 1, 1e9 do t[i] = {} end", "" },
		{ "return ('x'):rep(1e9)", "rep" },
		{ "return string.rep('x', 1e9)", "rep" },
		{ "return ('x'):gsub('x', 'y')", "gsub" },
		{ "while true do pcall(error) end", "pcall" },
		{ "return xpcall", "xpcall" },
		{ "return coroutine.wrap(function() while true do end end)()", "coroutine" },
		{ "return setmetatable({}, { __gc = function() end })", "setmetatable" },
		{ "return getmetatable('').__index", "getmetatable" },
		{ "return load('return 1')", "load" },
		{ "return require('os')", "require" },
		{ "return os.execute('x')", "os" },
		{ "return io.open('/etc/passwd')", "io" },
		{ "return debug.getregistry()", "debug" },
		{ "error({})", "no text" },
		{ "error(mail)", "no text" },
		{ "error(function() while true do end end)", "no text" },
		{ "error()", "no text" },
		{ "error('conf0:1: \\r\\n\\0injected')", "" },
		{ "local x <close> = mail", "non-closable" },
		{ "for _ in next, {}, nil, mail do end", "non-closable" },
		{ "table.concat({}, 'x', 1, 1e15)", "" },
		{ "table.unpack({}, 1, 1e8)", "" },
		{ "table.insert(setting, 1)", "" },
		{ "local t = {} for i = 1, 99000 do t[i] = i * 7919 % 99991 end table.sort(t)",
			"takes more than" },
		{ "local a, b = 'x', 'x' for i = 1, 18 do a, b = a .. a, b .. b end "
		  "a, b = a .. 'a', b .. 'b' local t = {} for i = 1, 999 do "
		  "t[i] = i % 2 == 0 and a or b end table.sort(t)",
			"takes more than" },
		{ "local s = 'x' for i = 1, 20 do s = s .. s end "
		  "table.sort({ s, s .. 'y', s, s }, string.upper)",
			"" },
		{ "local z = '\\0' for i = 1, 20 do z = z .. z end local y = z .. '1' "
		  "while true do local b = z < y end",
			"takes more than" },
		{ "while true do mail:match(mail:header('X-Two'), 'a' ) end", "takes more than" },
		{ "local s = 'a' for i = 1, 14 do s = s .. s end "
		  "while true do mail:match(s, '(a|a)*b') end",
			"" },
		{ "for i = 1, 1e9 do mail:match('a', 'a' .. i) end", "takes more than" },
		{ "while true do local r = mail.recipients end", "takes more than" },
		{ "while true do mail:headers('X-Two') end", "takes more than" },
		{ "while true do mail:log('x') end", "takes more than" },
		{ "for i = 1, 1e9 do mail:load_policy_bank('X') end", "" },
		{ "string.format = nil local s = string.format('%d', 1)", "" },
		{ "return string.format('%99999d', 1)", "" },
		{ "return mail .. ''", "" },
		{ "return mail < mail", "" },
		{ "return mail()", "" },
		{ "return #mail", "" },
		{ "for k in pairs(mail) do end", "" },
		{ "mail.header(mail.recipients[1], 'x')", "" },
		{ "mail.header({}, 'x')", "" },
		{ "mail.header(undef, 'x')", "" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		bad(HOOK_NEW, rows[i][0], rows[i][1]);
}

static void a_failed_hook_runs_again(void **state)
{
	struct made *m =
		made_with("local n = 0\nhooks.mail_done = function(mail) n = n + 1\n"
			  "if n < 20 then local t = {} while true do t[#t + 1] = {} end end\n"
			  "assert(n == 20) end\n");

	(void)state;
	for (int i = 1; i <= 20; i++) {
		assert_true(hooks_call(&m->txn, HOOK_MAIL_DONE));
		assert_int_equal(m->txn.hooked->said[HOOK_MAIL_DONE].failed, i < 20);
	}
	assert_int_equal(m->front.hooks[HOOK_MAIL_DONE].calls, 20);
	assert_int_equal(m->front.hooks[HOOK_MAIL_DONE].failed, 19);
	end_txn(m);
}

/* What hooks keep is not taken from the functions of tables. */
static void a_greedy_hook_leaves_tables_alone(void **state)
{
	struct made *m =
		made_with("local kept = {}\nhooks.new = function(mail)\n"
			  "while true do kept[#kept + 1] = 'x' .. #kept end end\n"
			  "hooks.steps = 100000000\nhooks.time = 10000\n"
			  "spam_lovers_maps = { function(k) return ('x' .. k) == 'xa' end }\n");

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_false(hooks_call(&m->txn, HOOK_NEW));
	assert_true(mw_lookup_bool(m->txn.policy->spam_lovers, "a", false));
	end_txn(m);
}

/* A mail object that was kept is of no use outside of a hook, nor in the functions of tables. */
static void a_kept_mail_is_worth_nothing(void **state)
{
	struct made *m =
		made_with("local kept, rcpt\nhooks.new = function(mail)\n"
			  "if kept then assert(rcpt.address == 'a@example.org') end\n"
			  "kept, rcpt = mail, mail.recipients[1] end\n"
			  "spam_lovers_maps = { function(k) return kept.size > 0 end, 1 }\n"
			  "virus_lovers_maps = { function(k) return rcpt.added end, 1 }\n");

	(void)state;
	assert_true(hooks_call(&m->txn, HOOK_NEW));
	assert_true(hooks_call(&m->txn, HOOK_NEW));
	assert_true(mw_lookup_bool(m->txn.policy->spam_lovers, "a", false));
	assert_true(mw_lookup_bool(m->txn.policy->virus_lovers, "a", false));
	end_txn(m);
}

/* Two sets of policies of the same settings: the functions are the same, their mails are not. */
static void sets_of_the_same_settings_do_not_meet(void **state)
{
	struct made *m = made_with("local kept\nhooks.new = function(mail) kept = kept or mail\n"
				   "assert(mail.size > 0) local ok = kept.size end\n");
	struct policy_set *other = NULL;

	(void)state;
	assert_int_equal(policy_set_new(m->conf, &other, NULL), MW_OK);
	assert_true(hooks_call(&m->txn, HOOK_NEW));
	policy_set_unref(&m->txn.set);
	m->txn.set = other;
	m->txn.policy = other->base;
	assert_false(hooks_call(&m->txn, HOOK_NEW));
	assert_non_null(strstr(said(m, HOOK_NEW), "no mail in hand"));
	end_txn(m);
}

/* ------------------------------------------------------------------ fields */

static void values_are_folded(void **state)
{
	static const struct {
		const char *value, *expected;
		bool utf8;
	} rows[] = {
		{ "", "X: \r\n", false },
		{ " \t a  b ", "X: a  b\r\n", false },
		{ "caf\xc3\xa9", "X: caf\xc3\xa9\r\n", true },
		{ "0123456789012345678901234567890123456789 "
		  "0123456789012345678901234567890123456789",
			"X: 0123456789012345678901234567890123456789\r\n"
			" 0123456789012345678901234567890123456789\r\n",
			false },
		{ "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
		  "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
		  "\xc3\xa9\xc3\xa9\xc3\xa9",
			"X: "
			"=?UTF-8?B?w6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6k=?="
			"\r\n"
			" =?UTF-8?B?w6k=?=\r\n",
			false },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_text out = { 0 };

		assert_null(hook_field_print(
			"X", rows[i].value, strlen(rows[i].value), rows[i].utf8, &out));
		assert_string_equal(out.p, rows[i].expected);
		mw_text_fini(&out);
	}
}

/* Every octet of a character cut off, and every octet alone. */
static void no_octet_makes_a_second_field(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char value[3] = { 'a', (char)c, 'b' };
		struct mw_text out = { 0 };
		const char *wrong = hook_field_print("X", value, sizeof(value), false, &out);

		assert_int_equal(wrong == NULL, c == '\t' || (c >= ' ' && c < 0x7f));
		if (wrong == NULL)
			assert_int_equal(out.n, 8);
		mw_text_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hook_sees_the_mail),
		cmocka_unit_test(findings_are_seen),
		cmocka_unit_test(a_bank_is_loaded),
		cmocka_unit_test(scores_and_tests_count),
		cmocka_unit_test(a_hook_makes_mail_worse),
		cmocka_unit_test(header_edits_are_made),
		cmocka_unit_test(recipients_are_changed),
		cmocka_unit_test(recipients_that_change_places_are_not_mixed_up),
		cmocka_unit_test(an_added_recipient_is_not_refused_to_the_client),
		cmocka_unit_test(what_was_done_before_a_failure_is_not_done),
		cmocka_unit_test(state_is_kept_from_mail_to_mail),
		cmocka_unit_test(wrong_arguments_are_refused),
		cmocka_unit_test(acts_have_their_points),
		cmocka_unit_test(recipients_have_their_limits),
		cmocka_unit_test(settings_that_are_no_hooks_are_refused),
		cmocka_unit_test(hooks_cost_nothing_when_none_is_set),
		cmocka_unit_test(hostile_functions_end_at_their_budget),
		cmocka_unit_test(a_failed_hook_runs_again),
		cmocka_unit_test(a_greedy_hook_leaves_tables_alone),
		cmocka_unit_test(a_kept_mail_is_worth_nothing),
		cmocka_unit_test(sets_of_the_same_settings_do_not_meet),
		cmocka_unit_test(values_are_folded),
		cmocka_unit_test(no_octet_makes_a_second_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
