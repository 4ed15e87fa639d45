/* Which parts are banned for whom: rules by recipient, trees made by hand. */
#include "make_txn.h"

#include "checks/banned.h"

#define RE "banned_filename_re = new_RE { "

/* A node as the scanner tells it: "parent placement type names types attributes", names and types
 * with commas, - for none. */
static void add_part(struct made *m, const char *text)
{
	struct findings *f = &m->txn.found;
	char copy[600], *save = NULL, *fields[6];
	struct finding_part *p;

	if (f->parts == NULL)
		f->parts = smtp_arena_array(&m->txn.arena, 100, sizeof(*f->parts));
	f->has_tree = true;
	p = &f->parts[f->part_count++];
	mw_strlcpy(copy, text, sizeof(copy));
	for (int i = 0; i < 6; i++) {
		fields[i] = strtok_r(i == 0 ? copy : NULL, " ", &save);
		assert_non_null(fields[i]);
		if (strcmp(fields[i], "-") == 0)
			fields[i] = (char *)"";
		fields[i] = smtp_arena_copy(&m->txn.arena, fields[i], strlen(fields[i]));
	}
	*p = (struct finding_part){ .parent = (size_t)atoi(fields[0]),
		.placement = mw_octets_of_text(fields[1]),
		.type = mw_octets_of_text(fields[2]),
		.attributes = mw_octets_of_text(fields[5]),
		.leaf = true };
	if (p->parent > 0)
		f->parts[p->parent - 1].leaf = false;
	for (int list = 0; list < 2; list++) {
		struct mw_octets *items = smtp_arena_array(&m->txn.arena, 10, sizeof(*items));
		size_t n = 0;

		for (char *one = strtok_r(fields[3 + list], ",", &save); one != NULL && n < 10;
			one = strtok_r(NULL, ",", &save))
			items[n++] = mw_octets_of_text(one);
		*(list == 0 ? &p->names : &p->types) = (struct mw_list){ n, items };
	}
}

static struct made *new_mail(const char *lua)
{
	struct made *m = make_txn(lua);

	make_check(m, JOB_SCAN, MW_DONE);
	return m;
}

static void check(struct made *m)
{
	const char *failed = "not asked";

	assert_int_equal(banned_check(&m->txn, &failed), MW_OK);
	assert_null(failed);
}

#define ZIP                                                                                        \
	"0 1 multipart/mixed - - -", "1 1/1 text/plain - .asc -",                                  \
		"1 1/2 application/zip a.zip .zip -", "3 - - in/b.exe .exe,.exe-ms -"

static const struct row {
	const char *lua, *parts[5];
	const char *part, *key, *comment, *path; /* NULL: not banned */
	bool discards;
} rows[] = {
	{ "", { ZIP }, NULL, NULL, NULL, NULL, false },
	{ RE "'nothing' }", { ZIP }, NULL, NULL, NULL, NULL, false },
	{ RE "'[.]exe$' }", { ZIP }, ".exe,.exe-ms,in/b.exe", "[.]exe$", "[.]exe$",
		"multipart/mixed | application/zip,.zip,a.zip | .exe,.exe-ms,in/b.exe", false },
	/* what a part lies in counts with it */
	{ RE "'^[.]zip$' }", { ZIP }, ".exe,.exe-ms,in/b.exe", "^[.]zip$", "^[.]zip$",
		"multipart/mixed | application/zip,.zip,a.zip | .exe,.exe-ms,in/b.exe", false },
	{ RE "'^multipart/' }", { ZIP }, "text/plain,.asc", "^multipart/", "^multipart/",
		"multipart/mixed | text/plain,.asc", false },
	/* each rule is tried on everything before the next one is */
	{ RE "{ '^[.]exe$', false }, '[.]exe$' }", { ZIP }, NULL, NULL, NULL, NULL, false },
	{ RE "'[.]exe$', { '^[.]zip$', false } }", { ZIP }, ".exe,.exe-ms,in/b.exe", "[.]exe$",
		"[.]exe$", "multipart/mixed | application/zip,.zip,a.zip | .exe,.exe-ms,in/b.exe",
		false },
	{ RE "{ '[.]exe$', 0 } }", { ZIP }, NULL, NULL, NULL, NULL, false },
	{ RE "{ '[.]exe$', '' } }", { ZIP }, NULL, NULL, NULL, NULL, false },
	{ RE "{ '[.]exe$', 'no programs' } }", { ZIP }, ".exe,.exe-ms,in/b.exe", "[.]exe$",
		"[.]exe$", "multipart/mixed | application/zip,.zip,a.zip | .exe,.exe-ms,in/b.exe",
		false },
	{ RE "{ '[.]exe$', 'DISCARDed' } }", { ZIP }, ".exe,.exe-ms,in/b.exe", "[.]exe$", "[.]exe$",
		"multipart/mixed | application/zip,.zip,a.zip | .exe,.exe-ms,in/b.exe", true },
	{ RE "'(?#  a program )[.]exe$(?#!)' }", { "0 1 a/b x.exe .asc -" },
		"a program !:a/b,.asc,x.exe", "(?#  a program )[.]exe$(?#!)", "a program !",
		"a/b,.asc,x.exe", false },
	{ RE "'^UNDECIPHERABLE$' }", { "0 1 a/b x - UC" }, "a/b,x,UNDECIPHERABLE",
		"^UNDECIPHERABLE$", "^UNDECIPHERABLE$", "a/b,x,UNDECIPHERABLE", false },
	{ RE "'^UNDECIPHERABLE$' }", { "0 1 a/b x - B" }, NULL, NULL, NULL, NULL, false },
	{ RE "'x' }", { "0 1 a/b x\xc3\xa9\ny .dat -" }, "a/b,.dat,x\\x{C3}\\x{A9}\\x{0A}y", "x",
		"x", "a/b,.dat,x\\x{C3}\\x{A9}\\x{0A}y", false },
	/* the whole path, for those whom nothing else concerns */
	{ "banned_namepath_re = new_RE { '(?m)^P=p003\\tL=1/2\\tM=application/zip\\tT=zip"
	  "\\tN=a[.]zip\\nP=p004\\tT=exe\\tT=exe-ms\\tN=in/b[.]exe$' }",
		{ ZIP }, ".exe,.exe-ms,in/b.exe",
		"(?m)^P=p003\\x{09}L=1/2\\x{09}M=application/zip\\x{09}T=zip\\x{09}N=a[.]zip"
		"\\x{0A}P=p004\\x{09}T=exe\\x{09}T=exe-ms\\x{09}N=in/b[.]exe$",
		"(?m)^P=p003\\x{09}L=1/2\\x{09}M=application/zip\\x{09}T=zip\\x{09}N=a[.]zip"
		"\\x{0A}P=p004\\x{09}T=exe\\x{09}T=exe-ms\\x{09}N=in/b[.]exe$",
		"multipart/mixed | application/zip,.zip,a.zip | .exe,.exe-ms,in/b.exe", false },
	{ "banned_namepath_re = new_RE { 'A=C' }", { "0 1 a/b x - UC" }, "a/b,x,UNDECIPHERABLE",
		"A=C", "A=C", "a/b,x,UNDECIPHERABLE", false },
	{ RE "{ 'exe', false } }\nbanned_namepath_re = new_RE { 'exe' }", { ZIP }, NULL, NULL, NULL,
		NULL, false },
	/* other tables are asked for one key after the other */
	{ "banned_rules = { DEFAULT = { { ['.exe'] = true } } }", { ZIP }, ".exe,.exe-ms,in/b.exe",
		".exe", ".exe",
		"multipart/mixed | application/zip,.zip,a.zip | .exe,.exe-ms,in/b.exe", false },
};

static void rules_say_what_is_banned(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct made *m = new_mail(rows[i].lua);
		const struct txn_rcpt *r = make_rcpt(m, "a@example.org");

		for (size_t k = 0; k < MW_COUNT(rows[i].parts) && rows[i].parts[k] != NULL; k++)
			add_part(m, rows[i].parts[k]);
		check(m);
		if (r->banned != (rows[i].part != NULL))
			fail_msg("row %zu, %s: banned %d", i, rows[i].lua, r->banned);
		assert_int_equal(r->banned_discards, rows[i].discards);
		if (r->banned) {
			assert_string_equal(r->banned_part, rows[i].part);
			assert_string_equal(r->banned_key, rows[i].key);
			assert_string_equal(r->banned_comment, rows[i].comment);
			assert_string_equal(r->banned_paths[0], rows[i].path);
		}
		end_txn(m);
	}
}

static void without_rules_nobody_is_asked(void **state)
{
	struct made *m = new_mail("");

	(void)state;
	make_rcpt(m, "a@example.org");
	assert_false(banned_wanted(&m->txn));
	check(m); /* no tree is there, and none is missed */
	assert_false(m->txn.banned_checked);
	end_txn(m);
}

static void a_recipient_may_bypass_it(void **state)
{
	struct made *m = new_mail(RE "'exe' }\nbypass_banned_checks_maps = { 'b@example.org' }");

	(void)state;
	make_rcpt(m, "b@example.org");
	assert_false(banned_wanted(&m->txn));
	make_rcpt(m, "a@example.org");
	assert_true(banned_wanted(&m->txn));
	add_part(m, "0 1 a/b x.exe - -");
	check(m);
	assert_false(m->txn.rcpts[0].banned);
	assert_true(m->txn.rcpts[1].banned);
	assert_true(m->txn.banned_checked);
	end_txn(m);
}

static void a_database_names_rules_besides_the_tables(void **state)
{
	struct made *m = new_mail("banned_rules = { A = new_RE { 'a$' }, B = new_RE { 'b$' } }\n"
				  "banned_filename_maps = { { ['.example.org'] = 'B' } }");

	(void)state;
	for (int i = 0; i < 3; i++)
		make_rcpt(m, i < 2 ? "x@example.org" : "x@example.com");
	m->txn.rcpts[0].banned_rulenames = "NONE, A";
	add_part(m, "0 1 m/m - - -");
	add_part(m, "1 1/1 t/t x.a - -");
	check(m);
	assert_true(m->txn.rcpts[0].banned);
	assert_false(m->txn.rcpts[1].banned);
	assert_false(m->txn.rcpts[2].banned);
	add_part(m, "1 1/2 t/t x.b - -");
	check(m);
	assert_int_equal(m->txn.rcpts[0].banned_count, 2);
	assert_string_equal(m->txn.rcpts[1].banned_part, "t/t,x.b");
	assert_false(m->txn.rcpts[2].banned);
	end_txn(m);
}

static void what_cannot_be_known_defers_the_mail(void **state)
{
	struct made *m = new_mail(RE "'exe' }\nbypass_virus_checks_maps = { 'b@example.org' }");
	const char *failed;

	(void)state;
	make_rcpt(m, "a@example.org");
	assert_int_equal(banned_check(&m->txn, &failed), MW_OK);
	assert_string_equal(failed, "banned check FAILED: the scan told of no parts");
	/* A failed scan is the decision's, for those whose mail it is for. */
	make_check(m, JOB_SCAN, MW_FAILED);
	check(m);
	make_rcpt(m, "b@example.org");
	assert_int_equal(banned_check(&m->txn, &failed), MW_OK);
	assert_string_equal(failed, "banned check FAILED: the mail was not taken apart");
	end_txn(m);
}

/* A rule that met its limit of work has not said that a part is allowed. */
static void a_rule_that_gives_up_bans(void **state)
{
	struct made *m = new_mail(RE "'^(a+)+$' }");
	char part[600] = "0 1 t/t ";

	(void)state;
	make_rcpt(m, "a@example.org");
	memset(part + 8, 'a', 200);
	strcpy(part + 208, "! - -");
	add_part(m, part);
	check(m);
	assert_true(m->txn.rcpts[0].banned);
	assert_non_null(strstr(m->txn.rcpts[0].banned_key, "limit of work"));
	end_txn(m);
}

static void a_thousand_recipients_are_one_question(void **state)
{
	struct made *m = new_mail("banned_rules = { A = new_RE { 'a$' }, B = new_RE { 'b$' } }\n"
				  "banned_filename_maps = { { ['b@'] = 'B', ['a@'] = 'A' } }");

	(void)state;
	for (int i = 0; i < 1000; i++)
		make_rcpt(m, i % 2 ? "a@example.org" : "b@example.org");
	add_part(m, "0 1 t/t x.a - -");
	check(m);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(m->txn.rcpts[i].banned, i % 2);
		/* the very same text: it was made once */
		if (i % 2)
			assert_ptr_equal(m->txn.rcpts[i].banned_part, m->txn.rcpts[1].banned_part);
	}
	end_txn(m);
}

static void names_of_rules_must_be_there(void **state)
{
	static const struct {
		const char *lua, *told;
	} wrong[] = {
		{ "banned_filename_maps = { 'DEFAULT, X' }", "there is no rule \"X\"" },
		{ "banned_filename_maps = { { ['a@b'] = 'Y' } }", "there is no rule \"Y\"" },
		{ "banned_filename_maps = { { ['a@b'] = { new_RE { '(' } } } }", "pattern" },
		{ "banned_rules = { A = new_RE { '(' } }", "pattern" },
		{ "banned_rules = { ['A B'] = new_RE { 'x' } }", "no blanks" },
		{ "banned_rules = { A = 5, B = { 7 } }\nbanned_filename_maps = { 'C' }", "\"C\"" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(wrong); i++) {
		struct policy_set *set = NULL;
		struct mw_err err = { "" };
		char *errors = NULL;
		struct mw_conf *conf = conf_of(wrong[i].lua, &errors);

		assert_non_null(conf);
		assert_int_equal(policy_set_new(conf, &set, &err), MW_ERR_CONF);
		if (strstr(err.text, wrong[i].told) == NULL)
			fail_msg("%s: %s", wrong[i].lua, err.text);
		mw_conf_destroy(&conf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_say_what_is_banned),
		cmocka_unit_test(without_rules_nobody_is_asked),
		cmocka_unit_test(a_recipient_may_bypass_it),
		cmocka_unit_test(a_database_names_rules_besides_the_tables),
		cmocka_unit_test(what_cannot_be_known_defers_the_mail),
		cmocka_unit_test(a_rule_that_gives_up_bans),
		cmocka_unit_test(a_thousand_recipients_are_one_question),
		cmocka_unit_test(names_of_rules_must_be_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
