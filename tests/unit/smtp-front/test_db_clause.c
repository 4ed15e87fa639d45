/* Clauses become statements with bound parameters (policy/db_clause.c). */
#include "make_txn.h"

#include "policy/db_clause.h"

static struct db_clause *made(const char *text, enum db_syntax syntax)
{
	struct db_clause *c = NULL;
	struct mw_err err = { "" };

	if (db_clause_new("sel_policy", text, syntax, &c, &err) != MW_OK)
		fail_msg("%s: %s", text, err.text);
	return c;
}

static void becomes(const char *text, enum db_syntax syntax, size_t keys, const char *expected)
{
	struct db_clause *c = made(text, syntax);

	assert_string_equal(db_clause_text(c, keys), expected);
	db_clause_destroy(&c);
}

static void keys_are_as_many_parameters(void **state)
{
	(void)state;
	becomes("SELECT * FROM users WHERE email IN (%k)", DB_SYNTAX_PQ, 1,
		"SELECT * FROM users WHERE email IN ($1)");
	becomes("SELECT * FROM users WHERE email IN (%k)", DB_SYNTAX_PQ, 4,
		"SELECT * FROM users WHERE email IN ($1,$2,$3,$4)");
	becomes("a IN (%k) OR b IN (%k)", DB_SYNTAX_PQ, 2, "a IN ($1,$2) OR b IN ($3,$4)");
	becomes("a IN (%k)", DB_SYNTAX_MYSQL, 3, "a IN (?,?,?)");
	becomes("a IN (%k)", DB_SYNTAX_SQLITE, DB_KEYS_MAX,
		"a IN (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
}

static void all_placeholders_are_numbered_in_order(void **state)
{
	(void)state;
	becomes("rid=? AND %a %l%u %e,%d IN (%k) ?", DB_SYNTAX_PQ, 2,
		"rid=$1 AND $2 $3$4 $5,$6 IN ($7,$8) $9");
}

static void quotes_and_comments_are_left_alone(void **state)
{
	static const char *const same[] = { "x LIKE '%k?'", "\"a?b\"", "'it''s ?'", "1 -- ? %k",
		"1 /* ? ' %k */", "5 %% 3 %x %", "a %%k", NULL };

	(void)state;
	for (size_t i = 0; same[i] != NULL; i++)
		for (int syntax = 0; syntax < DB_SYNTAX_COUNT; syntax++)
			becomes(same[i], (enum db_syntax)syntax, 2, same[i]);
	becomes("1 -- ?\n?", DB_SYNTAX_SQLITE, 1, "1 -- ?\n?");
	becomes("1 -- ?\n?", DB_SYNTAX_PQ, 1, "1 -- ?\n$1");
	/* What one kind of database takes for a quote or a comment, another does not. */
	becomes("'\\' ? '", DB_SYNTAX_MYSQL, 1, "'\\' ? '");
	becomes("'\\' ?", DB_SYNTAX_PQ, 1, "'\\' $1");
	becomes("# ?\n", DB_SYNTAX_MYSQL, 1, "# ?\n");
	becomes("a # ?", DB_SYNTAX_PQ, 1, "a # $1");
	becomes("5--?", DB_SYNTAX_MYSQL, 1, "5--?");
	becomes("5--%d", DB_SYNTAX_MYSQL, 1, "5--?");
}

static void what_cannot_be_is_refused(void **state)
{
	static const char *const bad[] = { "", "'", "a = 'b", "\"", "`x", "/* ", "'\\'" };
	char many[4 * DB_PARTS_MAX + 8] = "", large[DB_CLAUSE_MAX + 2];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(bad); i++) {
		struct db_clause *c = NULL;
		struct mw_err err = { "" };

		assert_int_equal(db_clause_new("sel_policy", bad[i], DB_SYNTAX_MYSQL, &c, &err),
			MW_ERR_CONF);
		assert_null(c);
		assert_non_null(strstr(err.text, "sql_clause.sel_policy"));
	}
	for (int i = 0; i < DB_PARTS_MAX; i++)
		strcat(many, "%k,");
	for (int more = 0; more < 2; more++, strcat(many, "?")) {
		struct db_clause *c = NULL;
		enum mw_rc rc = db_clause_new("x", many, DB_SYNTAX_PQ, &c, NULL);

		assert_int_equal(rc, more == 0 ? MW_OK : MW_ERR_CONF);
		if (c != NULL)
			assert_int_equal(
				db_clause_params(c, DB_KEYS_MAX), DB_PARTS_MAX * DB_KEYS_MAX);
		db_clause_destroy(&c);
	}
	memset(large, 'a', sizeof(large));
	for (size_t n = DB_CLAUSE_MAX; n <= DB_CLAUSE_MAX + 1; n++) {
		struct db_clause *c = NULL;

		large[n] = '\0';
		assert_int_equal(db_clause_new("x", large, DB_SYNTAX_PQ, &c, NULL),
			n == DB_CLAUSE_MAX ? MW_OK : MW_ERR_CONF);
		db_clause_destroy(&c);
		large[n] = 'a';
	}
}

static void values_come_in_the_order_of_the_parameters(void **state)
{
	static const char *const expected[] = { "7", "Us+Er@E.org", "Us+Er", "us", "+er", "e.org",
		"Us+Er@E.org", "us+er@e.org", "us@e.org", "@e.org", "@.e.org", "@.org", "@.", "" };
	struct db_clause *c = made("? %a %l %u %e %d %k ?", DB_SYNTAX_PQ);
	struct smtp_arena arena = { 0 };
	struct db_keys k;
	const char *values[64], *args[] = { "7" };

	(void)state;
	assert_int_equal(
		db_keys_make(&arena, "Us+Er@E.org", &(struct db_notation){ .delimiter = "+" }, &k),
		MW_OK);
	assert_int_equal(db_clause_params(c, k.count), MW_COUNT(expected));
	db_clause_values(c, &k, args, 1, values);
	for (size_t i = 0; i < MW_COUNT(expected); i++)
		assert_string_equal(values[i], expected[i]);
	smtp_arena_fini(&arena);
	db_clause_destroy(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_as_many_parameters),
		cmocka_unit_test(all_placeholders_are_numbered_in_order),
		cmocka_unit_test(quotes_and_comments_are_left_alone),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(values_come_in_the_order_of_the_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
