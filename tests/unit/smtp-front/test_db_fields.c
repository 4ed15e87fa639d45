/* Typed fields over records in their order, and the records themselves (policy/db_fields.c,
 * db_records.c, db_cache.c). */
#include "make_txn.h"

#include "policy/db_cache.h"
#include "policy/db_fields.h"

/* "name=value" cells, "name" alone is NULL, "|" begins the next record. */
static struct db_records *records_of(enum db_source source, const char *const *cells)
{
	struct db_records *r = db_records_new();

	assert_non_null(r);
	assert_int_equal(db_records_add(r, source, 8), MW_OK);
	for (; *cells != NULL; cells++) {
		const char *equals = strchr(*cells, '=');
		char name[64];

		if (strcmp(*cells, "|") == 0) {
			assert_int_equal(db_records_add(r, source, 8), MW_OK);
			continue;
		}
		mw_strncpy(name, sizeof(name), *cells,
			equals != NULL ? (size_t)(equals - *cells) : strlen(*cells));
		assert_int_equal(db_records_put(r, name, equals != NULL ? equals + 1 : NULL,
					 equals != NULL ? strlen(equals + 1) : 0),
			MW_OK);
	}
	return r;
}

#define SQL(...) records_of(DB_SQL, (const char *const[]){ __VA_ARGS__, NULL })
#define LDAP(...) records_of(DB_LDAP, (const char *const[]){ __VA_ARGS__, NULL })
#define UNDEFINED -1

static void reads_bool(struct db_records *r, const char *setting, int expected)
{
	bool value = false, defined = db_field_bool(r, db_field_find(setting), &value);

	assert_int_equal(defined ? value : UNDEFINED, expected);
	db_records_unref(&r);
}

static void the_first_value_that_is_not_null_counts(void **state)
{
	struct db_records *r = SQL("email=a@b", "spam_kill_level", "spam_subject_tag2", "|",
		"email=@b", "spam_kill_level=7.25", "spam_subject_tag2=***", "|", "email=@.",
		"spam_kill_level=1", "spam_subject_tag2=x");
	struct mw_octets text;
	int64_t milli = 0;

	(void)state;
	assert_true(db_field_milli(r, db_field_find("spam_kill_level_maps"), &milli));
	assert_int_equal(milli, 7250);
	assert_true(db_field_text(r, db_field_find("spam_subject_tag2_maps"), false, &text));
	assert_memory_equal(text.p, "***", 4);
	assert_false(db_field_text(r, db_field_find("virus_quarantine_to_maps"), false, &text));
	db_records_unref(&r);
}

static void booleans_are_read_as_perl_does(void **state)
{
	static const char *const no[] = { "N", "n", "F", "f", "0", "000", "", " ", "   ", "N  ",
		"0 " };
	static const char *const yes[] = { "Y", "y", "T", "t", "1", "01", "No", "false", "0.0", "-",
		" N" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(no) + MW_COUNT(yes); i++) {
		bool is_no = i < MW_COUNT(no);
		char cell[64];

		snprintf(cell, sizeof(cell), "virus_lover=%s",
			is_no ? no[i] : yes[i - MW_COUNT(no)]);
		reads_bool(SQL(cell), "virus_lovers_maps", !is_no);
	}
}

static void nuls_are_false(void **state)
{
	struct db_records *r = db_records_new();

	(void)state;
	assert_int_equal(db_records_add(r, DB_SQL, 1), MW_OK);
	assert_int_equal(db_records_put(r, "virus_lover", "\0\0  ", 4), MW_OK);
	reads_bool(r, "virus_lovers_maps", false);
	r = db_records_new();
	assert_int_equal(db_records_add(r, DB_SQL, 1), MW_OK);
	assert_int_equal(db_records_put(r, "virus_lover", "\001", 1), MW_OK);
	reads_bool(r, "virus_lovers_maps", true);
}

static void ldap_knows_one_word_for_true(void **state)
{
	(void)state;
	reads_bool(LDAP("mail=a@b", "amavisVirusLover=TRUE"), "virus_lovers_maps", true);
	reads_bool(LDAP("mail=a@b", "AMAVISVIRUSLOVER=TRUE"), "virus_lovers_maps", true);
	reads_bool(LDAP("mail=a@b", "amavisVirusLover=FALSE"), "virus_lovers_maps", false);
	reads_bool(LDAP("mail=a@b", "amavisVirusLover=1"), "virus_lovers_maps", false);
	reads_bool(LDAP("mail=a@b", "virus_lover=Y"), "virus_lovers_maps", UNDEFINED);
	reads_bool(SQL("email=a@b", "amavisVirusLover=TRUE"), "virus_lovers_maps", UNDEFINED);
}

static void a_record_without_the_column_local_is_local(void **state)
{
	(void)state;
	reads_bool(SQL("email=a@b"), "local_domains_maps", true);
	reads_bool(SQL("email=a@b", "local=N"), "local_domains_maps", false);
	reads_bool(SQL("email=a@b", "local"), "local_domains_maps", UNDEFINED);
	reads_bool(SQL("email=@."), "local_domains_maps", UNDEFINED);
	reads_bool(SQL("email=@.", "local=Y"), "local_domains_maps", true);
	reads_bool(SQL("email=@.", "|", "email=@b"), "local_domains_maps", true);
	reads_bool(LDAP("mail=a@b"), "local_domains_maps", true);
	reads_bool(LDAP("mail=@."), "local_domains_maps", UNDEFINED);
	reads_bool(SQL("email=a@b"), "virus_lovers_maps", UNDEFINED);
	reads_bool(db_records_new(), "local_domains_maps", UNDEFINED);
}

static void numbers_are_what_a_text_begins_with(void **state)
{
	static const struct {
		const char *text;
		double number;
	} rows[] = { { "6.31", 6.31 }, { " -3 ", -3 }, { "1e2x", 100 }, { "", 0 }, { "abc", 0 },
		{ "0x1F", 0 }, { "inf", 0 }, { "nan", 0 }, { "1e999", 0 }, { "5 apples", 5 },
		{ "+.5", 0.5 } };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char cell[64];
		double got = 99;
		struct db_records *r;

		snprintf(cell, sizeof(cell), "spam_tag_level=%s", rows[i].text);
		r = SQL(cell);
		assert_true(db_field_number(r, db_field_find("spam_tag_level_maps"), &got));
		assert_true(got > rows[i].number - 1e-9 && got < rows[i].number + 1e-9);
		db_records_unref(&r);
	}
}

static void thousandths_fit(void **state)
{
	struct db_records *r = SQL("message_size_limit=1e300", "spam_tag_level=-1e300");
	int64_t milli;

	(void)state;
	assert_true(db_field_milli(r, db_field_find("message_size_limit_maps"), &milli));
	assert_true(milli == 9007199254740992);
	assert_true(db_field_milli(r, db_field_find("spam_tag_level_maps"), &milli));
	assert_true(milli == -9007199254740992);
	db_records_unref(&r);
}

static void blanks_at_the_end_go_on_request(void **state)
{
	struct db_records *r = SQL("spam_subject_tag2=*** ");
	const struct db_field *f = db_field_find("spam_subject_tag2_maps");
	struct mw_octets text;

	(void)state;
	assert_true(db_field_text(r, f, false, &text) && text.n == 4);
	assert_true(db_field_text(r, f, true, &text) && text.n == 3);
	db_records_unref(&r);
}

static void every_setting_has_one_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < db_field_count; i++)
		assert_ptr_equal(db_field_find(db_fields[i].setting), &db_fields[i]);
	assert_null(db_field_find("no_such_maps"));
}

static void of_two_columns_with_a_name_the_last_counts(void **state)
{
	struct db_records *r = SQL("id=1", "policy_name=x", "ID=7");
	struct db_records *l =
		LDAP("amavisWhitelistSender=a@b", "mail=u@e", "amavisWhitelistSender=.c");

	(void)state;
	assert_string_equal(db_record_cell(&r->records[0], "id")->value, "7");
	assert_string_equal(
		db_record_value(&l->records[0], "amaviswhitelistsender", 1)->value, ".c");
	assert_null(db_record_value(&l->records[0], "amavisWhitelistSender", 2));
	db_records_unref(&r);
	db_records_unref(&l);
}

static void entries_are_sorted_and_stay_in_order_where_equal(void **state)
{
	struct db_records *r = SQL("n=0", "|", "n=1", "|", "n=2", "|", "n=3");
	unsigned ranks[] = { 5, 2, 2 };

	(void)state;
	db_records_sort(r, 1, ranks);
	assert_string_equal(r->records[0].cells[0].value, "0");
	assert_string_equal(r->records[1].cells[0].value, "2");
	assert_string_equal(r->records[2].cells[0].value, "3");
	assert_string_equal(r->records[3].cells[0].value, "1");
	db_records_unref(&r);
}

static void records_have_their_bounds(void **state)
{
	struct db_records *r = db_records_new();
	char *large = calloc(1, DB_RECORDS_OCTETS_MAX);

	(void)state;
	for (int i = 0; i < DB_RECORDS_MAX; i++)
		assert_int_equal(db_records_add(r, DB_SQL, 1), MW_OK);
	assert_int_equal(db_records_add(r, DB_SQL, 1), MW_ERR_LIMIT);
	assert_int_equal(db_records_put(r, "a", large, DB_RECORDS_OCTETS_MAX), MW_ERR_LIMIT);
	assert_int_equal(db_records_put(r, "a", large, 1000), MW_OK);
	assert_int_equal(db_records_put(r, "b", "", 0), MW_ERR_LIMIT); /* one cell was said */
	assert_true(r->octets <= DB_RECORDS_OCTETS_MAX);
	db_records_cut(r, 3);
	assert_int_equal(r->count, 3);
	assert_int_equal(db_records_add(r, DB_SQL, 1), MW_OK);
	free(large);
	db_records_unref(&r);
}

/* ------------------------------------------------------------------ cache */

static struct mw_octets key_of(const char *s)
{
	return mw_octets_of_text(s);
}

static void cached(struct db_cache *c, const char *key, uint64_t now_ms, bool expected)
{
	struct db_records *r = db_cache_get(c, key_of(key), now_ms);

	assert_int_equal(r != NULL, expected);
	db_records_unref(&r);
}

static void an_answer_ends_with_its_time(void **state)
{
	struct db_cache *c = db_cache_new(1000, 10, 1000000);
	struct db_records *r = db_records_new();

	(void)state;
	db_cache_put(c, key_of("a"), r, 5000);
	cached(c, "a", 5999, true);
	cached(c, "b", 5999, false);
	cached(c, "a", 6000, false);
	assert_int_equal(db_cache_entries(c), 0);
	assert_int_equal(db_cache_octets(c), 0);
	assert_int_equal(r->refs, 1);
	db_records_unref(&r);
	db_cache_destroy(&c);
}

static void the_one_not_used_for_longest_goes(void **state)
{
	struct db_cache *c = db_cache_new(1000, 2, 1000000);
	struct db_records *r = db_records_new();

	(void)state;
	db_cache_put(c, key_of("a"), r, 0);
	db_cache_put(c, key_of("b"), r, 0);
	cached(c, "a", 1, true);
	db_cache_put(c, key_of("c"), r, 1);
	cached(c, "b", 2, false);
	cached(c, "a", 2, true);
	cached(c, "c", 2, true);
	db_cache_put(c, key_of("c"), r, 500); /* again: its time is new, it is there once */
	assert_int_equal(db_cache_entries(c), 2);
	cached(c, "c", 1499, true);
	db_records_unref(&r);
	db_cache_destroy(&c);
}

static void octets_are_bounded_too(void **state)
{
	struct db_records *r = db_records_new();
	struct db_cache *c = db_cache_new(1000, 1000, 20 * r->octets);

	(void)state;
	for (int i = 0; i < 100; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%d", i);
		db_cache_put(c, key_of(key), r, 0);
		assert_true(db_cache_octets(c) <= 20 * r->octets);
	}
	assert_true(db_cache_entries(c) > 5 && db_cache_entries(c) < 20);
	cached(c, "99", 1, true);
	db_records_unref(&r);
	db_cache_destroy(&c);
}

static void without_time_nothing_is_kept(void **state)
{
	struct db_records *r = db_records_new();
	struct db_cache *c = db_cache_new(0, 10, 1000000);

	(void)state;
	db_cache_put(c, key_of("a"), r, 0);
	cached(c, "a", 0, false);
	db_cache_destroy(&c);
	c = db_cache_new(1000, 10, 10); /* room for none */
	db_cache_put(c, key_of("a"), r, 0);
	cached(c, "a", 0, false);
	db_cache_destroy(&c);
	db_records_unref(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_value_that_is_not_null_counts),
		cmocka_unit_test(booleans_are_read_as_perl_does),
		cmocka_unit_test(nuls_are_false),
		cmocka_unit_test(ldap_knows_one_word_for_true),
		cmocka_unit_test(a_record_without_the_column_local_is_local),
		cmocka_unit_test(numbers_are_what_a_text_begins_with),
		cmocka_unit_test(thousandths_fit),
		cmocka_unit_test(blanks_at_the_end_go_on_request),
		cmocka_unit_test(every_setting_has_one_row),
		cmocka_unit_test(of_two_columns_with_a_name_the_last_counts),
		cmocka_unit_test(entries_are_sorted_and_stay_in_order_where_equal),
		cmocka_unit_test(records_have_their_bounds),
		cmocka_unit_test(an_answer_ends_with_its_time),
		cmocka_unit_test(the_one_not_used_for_longest_goes),
		cmocka_unit_test(octets_are_bounded_too),
		cmocka_unit_test(without_time_nothing_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
