/* Whom passed mail is delivered to: extensions, rewriting, ORCPT; what does not fit is left out. */
#include "make_txn.h"

#include "outcome/address_change.h"
#include "outcome/decide.h"

#define X8 "xxxxxxxx"
#define X56 X8 X8 X8 X8 X8 X8 X8
#define D50 ".dddddddddddddddddddddddddddddddddddddddddddddddd"
#define D244                                                                                       \
	"dddddddd"                                                                                 \
	"d" D50 D50 D50 D50 ".dddddddddddddddddddddddddddddddddddddd"

static void extensions(void **state)
{
	static const struct {
		const char *addr, *extension, *delimiters;
		bool keep;	/* the old extension */
		const char *is; /* NULL: it cannot be */
	} rows[] = {
		{ "user@example.org", "spam", "+", false, "user+spam@example.org" },
		{ "User@Example.ORG", "spam", "+", false, "User+spam@Example.ORG" },
		{ "user+a@example.org", "spam", "+", false, "user+spam@example.org" },
		{ "user+a@example.org", "spam", "+", true, "user+a+spam@example.org" },
		{ "user+a+b@example.org", "spam", "+", false, "user+spam@example.org" },
		{ "user-a@example.org", "spam", "+-", false, "user+spam@example.org" },
		{ "user-a@example.org", "spam", "-", false, "user-spam@example.org" },
		/* names that have no extension, whatever they look like */
		{ "owner-x@example.org", "spam", "-", false, "owner-x-spam@example.org" },
		{ "x-request@example.org", "spam", "-", false, "x-request-spam@example.org" },
		{ "owner-x-request@example.org", "spam", "-", false,
			"owner-x-request-spam@example.org" },
		{ "owner-x+y@example.org", "spam", "+", false, "owner-x+spam@example.org" },
		{ "postmaster@example.org", "spam", "+", false, "postmaster+spam@example.org" },
		{ "+a@example.org", "spam", "+", false, "+a+spam@example.org" },
		/* no domain, no local part */
		{ "postmaster", "spam", "+", false, "postmaster+spam" },
		{ "@example.org", "spam", "+", false, NULL },
		{ "", "spam", "+", false, NULL },
		/* quoted ones stay so, and what is within the quotes is not syntax */
		{ "\"a b\"@example.org", "spam", "+", false, "\"a b+spam\"@example.org" },
		{ "\"a b+c@d\"@example.org", "spam", "+", false, "\"a b+spam\"@example.org" },
		{ "\"a\\\"b\\\\c\"@example.org", "spam", "+", false,
			"\"a\\\"b\\\\c+spam\"@example.org" },
		{ "\"@\"@example.org", "spam", "+", false, "\"@+spam\"@example.org" },
		{ "j\303\266rg+x@example.org", "spam", "+", false, "j\303\266rg+spam@example.org" },
		{ "user@[192.0.2.1]", "spam", "+", false, "user+spam@[192.0.2.1]" },
		/* RFC 5321 section 4.5.3.1: 64 octets, 256 with <> */
		{ X56 "xxx@example.org", "spam", "+", false, X56 "xxx+spam@example.org" },
		{ X56 "xxxx@example.org", "spam", "+", false, NULL },
		{ X56 "xxxx+old@example.org", "spam", "+", false, NULL },
		{ "user@" D244, "spam", "+", false, "user+spam@" D244 },
		{ "user45@" D244, "spam", "+", false, NULL },
	};
	struct smtp_arena a = { NULL };

	(void)state;
	assert_int_equal(strlen("user+spam@" D244), ADDRESS_MAX);
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		const char *why = NULL;
		char *is = address_extend(&a, rows[i].addr, rows[i].extension, rows[i].delimiters,
			!rows[i].keep, &why);

		if (rows[i].is == NULL ? is != NULL || why == NULL
				       : is == NULL || strcmp(is, rows[i].is) != 0)
			fail_msg("%s became %s, not %s", rows[i].addr, is != NULL ? is : "nothing",
				rows[i].is);
	}
	smtp_arena_fini(&a);
}

static void rewriting(void **state)
{
	static const struct {
		const char *addr, *to, *delimiters, *is;
	} rows[] = {
		{ "user@example.org", "other@example.net", NULL, "other@example.net" },
		{ "user@example.org", "other@", NULL, "other@example.org" },
		{ "user@example.org", "@example.net", NULL, "user@example.net" },
		{ "user+a@example.org", "@example.net", "+", "user+a@example.net" },
		{ "user+a@example.org", "other@example.net", "+", "other+a@example.net" },
		{ "user+a@example.org", "other+b@example.net", "+", "other+b@example.net" },
		{ "user+a@example.org", "other@example.net", NULL, "other@example.net" },
		{ "\"a b\"@example.org", "@example.net", "+", "\"a b\"@example.net" },
		{ "\"a b+c\"@example.org", "o@example.net", "+", "\"o+c\"@example.net" },
		{ "postmaster", "@example.net", "+", "postmaster@example.net" },
		{ "@example.org", "@example.net", "+", NULL },
		{ "user@example.org", "a@example.net, b@example.net", NULL, NULL },
		{ "user@example.org", "a@example.net,b@example.net", NULL, NULL },
		{ "user@example.org", "other", NULL, NULL },
		{ "user@example.org", "@", NULL, NULL },
		{ "user@example.org", "a\r\nb@example.net", NULL, NULL },
		{ "user@example.org", X56 X8 "x@", NULL, NULL },
	};
	struct smtp_arena a = { NULL };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		const char *why = NULL;
		char *is = address_rewrite(&a, rows[i].addr, rows[i].to, rows[i].delimiters, &why);

		if (rows[i].is == NULL ? is != NULL || why == NULL
				       : is == NULL || strcmp(is, rows[i].is) != 0)
			fail_msg("%s became %s, not %s", rows[i].addr, is != NULL ? is : "nothing",
				rows[i].is);
	}
	smtp_arena_fini(&a);
}

static void original_recipients(void **state)
{
	struct smtp_arena a = { NULL };
	char long_addr[400];

	(void)state;
	assert_string_equal(address_orcpt(&a, "user@example.org"), "rfc822;user@example.org");
	assert_string_equal(address_orcpt(&a, "u+a=b@example.org"), "rfc822;u+2Ba+3Db@example.org");
	assert_string_equal(
		address_orcpt(&a, "\"a b\"@example.org"), "rfc822;\"a+20b\"@example.org");
	/* RFC 6533 section 3, utf-8-addr-xtext */
	assert_string_equal(address_orcpt(&a, "j\303\266rg+x@example.org"),
		"utf-8;j\\x{F6}rg\\x{2B}x@example.org");
	assert_string_equal(address_orcpt(&a, "\360\237\230\200\\@x"), "utf-8;\\x{1F600}\\x{5C}@x");
	assert_string_equal(address_orcpt(&a, "\303"), "utf-8;\\x{C3}");
	memset(long_addr, '+', sizeof(long_addr) - 1);
	long_addr[sizeof(long_addr) - 1] = '\0';
	assert_null(address_orcpt(&a, long_addr)); /* 500 octets: RFC 3461 section 5.4 */
	smtp_arena_fini(&a);
}

/* ------------------------------------------------------------------ in a mail */

#define SETTINGS                                                                                   \
	"recipient_delimiter = \"+\"\naddr_extension_virus_maps = \"virus\"\n"                     \
	"addr_extension_spam_maps = { { [\"a@example.org\"] = \"spam\" }, \"junk\" }\n"            \
	"virus_lovers_maps = true\nspam_lovers_maps = true\n"

static struct made *spam_for(const char *settings, const char *addr, const char *orcpt)
{
	struct made *m = make_txn(settings);
	struct smtp_rcpt_params params = { .orcpt = orcpt };

	assert_int_equal(txn_add_rcpt(&m->txn, addr, &params), MW_OK);
	rcpt_policy_resolve(&m->txn, &m->txn.rcpts[0], NULL);
	make_body(m, "Subject: x\r\n\r\n", 14);
	m->txn.found.has_spam = true;
	m->txn.found.spam_milli = 10000;
	decide(&m->txn);
	return m;
}

static void goes_to(struct made *m, const char *to, const char *orcpt)
{
	struct txn_rcpt *r = &m->txn.rcpts[0];

	address_changes(&m->txn);
	if (to == NULL)
		assert_null(r->deliver_to);
	else
		assert_string_equal(r->deliver_to, to);
	if (orcpt == NULL)
		assert_null(r->params.orcpt);
	else
		assert_string_equal(r->params.orcpt, orcpt);
	end_txn(m);
}

static void local_recipients_get_extensions(void **state)
{
	(void)state;
	goes_to(spam_for(SETTINGS, "a@example.org", NULL), "a+spam@example.org",
		"rfc822;a@example.org");
	goes_to(spam_for(SETTINGS, "b@example.org", NULL), "b+junk@example.org",
		"rfc822;b@example.org");
	goes_to(spam_for(SETTINGS, "b@example.org", "rfc822;z@example.org"), "b+junk@example.org",
		"rfc822;z@example.org");
	goes_to(spam_for(SETTINGS, "b@example.net", NULL), NULL, NULL);
	goes_to(spam_for(SETTINGS "replace_existing_extension = false\n", "b+x@example.org", NULL),
		"b+x+junk@example.org", "rfc822;b+2Bx@example.org");
	goes_to(spam_for("addr_extension_spam_maps = \"spam\"\nspam_lovers_maps = true\n",
			"a@example.org", NULL),
		NULL, NULL); /* no delimiter */
	goes_to(spam_for(SETTINGS "final_spam_destiny = D_REJECT\nspam_lovers_maps = {}\n",
			"a@example.org", NULL),
		NULL, NULL); /* blocked */
}

/* As amavisd has it: the most important category that has tables, also when they say nothing. */
static void the_most_important_category_decides(void **state)
{
	struct made *m =
		spam_for(SETTINGS "addr_extension_maps_by_ccat = { CC_CATCHALL = \"any\" }",
			"a@example.org", NULL);

	(void)state;
	make_virus(m, "Eicar");
	m->txn.rcpts[0].ccat_count = 0;
	decide(&m->txn);
	goes_to(m, "a+virus@example.org", "rfc822;a@example.org");
	m = spam_for("recipient_delimiter = \"+\"\naddr_extension_spam_maps = \"spam\"\n"
		     "virus_lovers_maps = true\nspam_lovers_maps = true\n"
		     "addr_extension_maps_by_ccat = { CC_CATCHALL = \"any\" }",
		"a@example.org", NULL);
	make_virus(m, "Eicar");
	m->txn.rcpts[0].ccat_count = 0;
	decide(&m->txn);
	goes_to(m, NULL, NULL);
	m = make_txn("recipient_delimiter = \"+\"\n"
		     "addr_extension_maps_by_ccat = { CC_CATCHALL = \"any\" }");
	make_rcpt(m, "a@example.org");
	make_body(m, "Subject: x\r\n\r\n", 14);
	decide(&m->txn);
	goes_to(m, "a+any@example.org", "rfc822;a@example.org");
}

static void a_rewritten_address_gets_the_extension(void **state)
{
	(void)state;
	goes_to(spam_for(SETTINGS "addr_rewrite_maps_by_ccat = { CC_SPAM = \"box@example.net\" }",
			"b@example.org", NULL),
		"box+junk@example.net", "rfc822;b@example.org");
	goes_to(spam_for("addr_rewrite_maps_by_ccat = { CC_SPAM = { new_RE { { \"^(.*)@(.*)$\", "
			 "\"$1,x@$2\" } } } }\nspam_lovers_maps = true",
			"b@example.org", NULL),
		NULL, NULL); /* two addresses are none, and the mail goes to where it came for */
}

static void wrong_values_are_refused(void **state)
{
	static const char *const rows[] = {
		"addr_rewrite_maps_by_ccat = { CC_SPAM = \"a@x, b@x\" }",
		"addr_rewrite_maps_by_ccat = { CC_SPAM = \"nobody\" }",
		"addr_extension_spam_maps = \"a b\"",
		"addr_extension_maps_by_ccat = { CC_SPAM = \"a@b\" }",
		"defang_virus = \"attch\"",
		"defang_maps_by_ccat = { CC_SPAM = \"anomy\" }",
		"always_bcc = \"a@x, b@x\"",
		"always_bcc = \"nobody\"",
		"always_bcc_by_ccat = { CC_NOTHING = \"a@x\" }",
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_err err = { "" };
		struct policy_set *set = NULL;
		char *errors = NULL;
		struct mw_conf *conf = conf_of(rows[i], &errors);

		if (conf != NULL && policy_set_new(conf, &set, &err) == MW_OK)
			fail_msg("%s was taken", rows[i]);
		policy_set_unref(&set);
		mw_conf_destroy(&conf);
		free(errors);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extensions),
		cmocka_unit_test(rewriting),
		cmocka_unit_test(original_recipients),
		cmocka_unit_test(local_recipients_get_extensions),
		cmocka_unit_test(the_most_important_category_decides),
		cmocka_unit_test(a_rewritten_address_gets_the_extension),
		cmocka_unit_test(wrong_values_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
