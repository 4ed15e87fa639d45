/* Lookup tables: constants, lists, hashes, and in which order an address is looked for. */
#include "make_txn.h"

#include "policy/lookup.h"

#define UNSAID 2 /* no table says anything: the default counts */

static int ask(const char *maps, const char *address)
{
	char text[4096], *errors = NULL;
	struct mw_conf *conf;
	struct lookup_maps *m;
	bool no, yes;

	snprintf(text, sizeof(text), "local_domains_maps = %s\n", maps);
	conf = conf_of(text, &errors);
	if (conf == NULL)
		fail_msg("%s", errors);
	m = lookup_maps_new(mw_conf_val(conf, "local_domains_maps"));
	assert_non_null(m);
	mw_conf_destroy(&conf); /* the tables stand alone */
	no = lookup_maps_bool(m, address, false);
	yes = lookup_maps_bool(m, address, true);
	lookup_maps_destroy(&m);
	assert_null(m);
	return no == yes ? (int)yes : UNSAID;
}

static void tables_answer_by_what_they_hold(void **state)
{
	static const struct {
		const char *maps, *address;
		int answer;
	} rows[] = {
		/* constants */
		{ "{}", "a@example.org", UNSAID },
		{ "{ true }", "a@example.org", 1 },
		{ "{ 1 }", "", 1 },
		{ "{ false }", "a@example.org", 0 },
		{ "{ 0 }", "a@example.org", 0 },
		{ "true", "a@example.org", 1 },
		{ "{ {} }", "a@example.org", UNSAID },
		{ "{ {}, 1 }", "a@example.org", 1 },
		/* lists */
		{ "{ \".example.org\" }", "a@example.org", 1 },
		{ "{ \".example.org\" }", "a@sub.example.org", 1 },
		{ "{ \".example.org\" }", "a@notexample.org", UNSAID },
		{ "{ \".example.org\" }", "a@example.org.evil", UNSAID },
		{ "{ \"example.org\" }", "a@example.org", 1 },
		{ "{ \"example.org\" }", "a@sub.example.org", UNSAID },
		{ "{ \"a@example.org\" }", "a@example.org", 1 },
		{ "{ \"a@example.org\" }", "b@example.org", UNSAID },
		{ "{ \".org\" }", "a@x.y.org", 1 },
		{ "{ \".\" }", "a@anything", 1 },
		{ "{ \".\" }", "", 1 },
		{ "{ \"!a@example.org\", \".example.org\" }", "a@example.org", 0 },
		{ "{ \"!a@example.org\", \".example.org\" }", "b@example.org", 1 },
		{ "{ \".example.org\", \"!a@example.org\" }", "a@example.org", 1 },
		{ "{ \"!.sub.example.org\", \".example.org\", \"!.\" }", "a@sub.example.org", 0 },
		{ "{ \"!.sub.example.org\", \".example.org\", \"!.\" }", "a@other.example.org", 1 },
		{ "{ \"!.sub.example.org\", \".example.org\", \"!.\" }", "a@elsewhere", 0 },
		{ "{ \"!!.example.org\" }", "a@example.org", 1 },
		{ "{ \".example.org\", \"!.example.org\" }", "a@example.org", 1 },
		/* hashes: the most special key wins, whatever the order */
		{ "{ { [\".example.org\"] = true, [\"a@example.org\"] = false } }", "a@example.org",
			0 },
		{ "{ { [\".example.org\"] = true, [\"a@example.org\"] = false } }", "b@example.org",
			1 },
		{ "{ { [\".\"] = 1, [\".org\"] = 0, [\".example.org\"] = 1, [\"example.org\"] = 0 "
		  "} }",
			"a@example.org", 0 },
		{ "{ { [\".\"] = 1, [\".org\"] = 0, [\".example.org\"] = 1, [\"example.org\"] = 0 "
		  "} }",
			"a@sub.example.org", 1 },
		{ "{ { [\".\"] = 1, [\".org\"] = 0 } }", "a@example.org", 0 },
		{ "{ { [\".\"] = 1, [\".org\"] = 0 } }", "a@example.com", 1 },
		{ "{ { [\"!a@example.org\"] = true } }", "a@example.org", UNSAID },
		{ "{ { [\"a@example.org\"] = \"\" } }", "a@example.org", 0 },
		{ "{ { [\"a@example.org\"] = \"x\" } }", "a@example.org", 1 },
		/* the first table that says anything decides */
		{ "{ { \"!a@example.org\" }, { \".example.org\" } }", "a@example.org", 0 },
		{ "{ { \"!a@example.org\" }, { \".example.org\" } }", "b@example.org", 1 },
		{ "{ { [\"a@x\"] = 0 }, { \".\" } }", "a@x", 0 },
		{ "{ { [\"a@x\"] = 0 }, { \".\" } }", "b@x", 1 },
		{ "{ \"a@x\", { \"b@x\" }, false }", "a@x", 1 },
		{ "{ \"a@x\", { \"b@x\" }, false }", "b@x", 1 },
		{ "{ \"a@x\", { \"b@x\" }, false }", "c@x", 0 },
		/* case, odd addresses */
		{ "{ \".Example.ORG\" }", "A@eXample.oRg", 1 },
		{ "{ { [\"A@Example.org\"] = true } }", "a@EXAMPLE.ORG", 1 },
		{ "{ \".example.org\" }", "\"x@y\"@example.org", 1 },
		{ "{ \".example.org\" }", "postmaster", UNSAID },
		{ "{ \"postmaster\" }", "postmaster", 1 },
		{ "{ \".example.org\" }", "a@", UNSAID },
		{ "{ \".example.org\" }", "", UNSAID },
		{ "{ \".example.org\" }", "a@.example.org", 1 },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		if (ask(rows[i].maps, rows[i].address) != rows[i].answer)
			fail_msg("%s in %s: not %d", rows[i].address, rows[i].maps, rows[i].answer);
}

static void an_address_beyond_all_limits_matches_constants_only(void **state)
{
	char address[2048];

	(void)state;
	memset(address, 'a', sizeof(address));
	memcpy(address + sizeof(address) - 13, "@example.org", 13);
	assert_int_equal(ask("{ \".example.org\", \".\" }", address), UNSAID);
	assert_int_equal(ask("{ { \".example.org\" }, true }", address), 1);
	assert_int_equal(ask("{ \".example.org\" }", address + 1023), 1);
	assert_int_equal(ask("{ \".example.org\" }", address + 1022), UNSAID);
}

static void a_thousand_keys_are_all_found(void **state)
{
	struct mw_text maps = { 0 };
	char address[64], *errors = NULL;
	struct mw_conf *conf;
	struct lookup_maps *m;

	(void)state;
	mw_text_add(&maps, "local_domains_maps = { {");
	for (int i = 0; i < 1000; i++)
		mw_text_addf(
			&maps, " [\"u%d@example.org\"] = %s,", i, i % 3 == 0 ? "true" : "false");
	mw_text_add(&maps, " } }\n");
	conf = conf_of(maps.p, &errors);
	assert_non_null(conf);
	m = lookup_maps_new(mw_conf_val(conf, "local_domains_maps"));
	assert_false(lookup_maps_empty(m));
	for (int i = 0; i < 1000; i++) {
		snprintf(address, sizeof(address), "u%d@example.org", i);
		assert_int_equal(lookup_maps_bool(m, address, i % 3 != 0), i % 3 == 0);
	}
	lookup_maps_destroy(&m);
	mw_conf_destroy(&conf);
	mw_text_fini(&maps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_answer_by_what_they_hold),
		cmocka_unit_test(an_address_beyond_all_limits_matches_constants_only),
		cmocka_unit_test(a_thousand_keys_are_all_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
