/* What banks say about lines of the log, connections, banners and signatures. */
#include "make_txn.h"

static struct policy_set *load(const char *lua, struct mw_err *err)
{
	struct policy_set *set = NULL;
	char *errors = NULL;
	struct mw_conf *conf = conf_of(lua, &errors);

	err->text[0] = '\0';
	if (conf == NULL) {
		mw_strlcpy(err->text, errors, sizeof(err->text));
		free(errors);
		return NULL;
	}
	if (policy_set_new(conf, &set, err) != MW_OK)
		set = NULL;
	mw_conf_destroy(&conf);
	return set;
}

static struct policy_set *loaded(const char *lua)
{
	struct mw_err err;
	struct policy_set *set = load(lua, &err);

	if (set == NULL)
		fail_msg("%s", err.text);
	return set;
}

static const struct policy *on_top(
	struct policy_set *set, const struct policy *below, const char *bank)
{
	struct mw_err err = { "" };
	const struct policy *p = policy_load(set, below, bank, strlen(bank), POLICIES_MAX, &err);

	if (p == NULL)
		fail_msg("%s", err.text);
	return p;
}

/* "From From Date ...": the order `headers`, in its order. */
static const char *names_of(const struct policy *p)
{
	static char names[4096];
	struct mw_cur c = mw_cur_of((const unsigned char *)p->signed_fields.p, p->signed_fields.n);
	struct mw_octets name;
	size_t count, at = 0;

	names[0] = '\0';
	if (p->signed_fields.n == 0)
		return names;
	assert_true(mw_cur_array(&c, &count));
	while (count-- > 0) {
		assert_true(mw_cur_octets(&c, 100, &name));
		at += (size_t)snprintf(
			names + at, sizeof(names) - at, "%.*s ", (int)name.n, (const char *)name.p);
	}
	return names;
}

static void signed_fields_lie_on_one_another_whatever_their_case(void **state)
{
	struct policy_set *set =
		loaded("policy_bank.LIST = { signed_header_fields = { Sender = 1 } }\n"
		       "policy_bank.MORE = { signed_header_fields = { SENDER = 2, subject = 0 } }\n"
		       "policy_bank.ALONE = { signed_header_fields = { REPLACE = true, "
		       "[\"X-Mine\"] = 1, To = 2 } }\n"
		       "policy_bank.SILENT = {}\n");
	const struct policy *list = on_top(set, set->base, "LIST"),
			    *more = on_top(set, list, "MORE");

	(void)state;
	assert_string_equal(names_of(set->base), ""); /* the worker's own */
	assert_string_equal(names_of(on_top(set, set->base, "SILENT")), "");
	assert_non_null(strstr(names_of(list), " From From "));
	assert_non_null(strstr(names_of(list), " Sender "));
	assert_null(strstr(names_of(list), " Sender Sender"));
	assert_null(strstr(names_of(list), " To "));
	assert_non_null(strstr(names_of(more), " Sender Sender "));
	assert_null(strstr(names_of(more), "ubject"));
	assert_string_equal(names_of(on_top(set, more, "ALONE")), "x-mine To To ");
	policy_set_unref(&set);
}

static void the_base_s_signed_fields_go_on_top_of_the_default(void **state)
{
	struct policy_set *set = loaded("signed_header_fields.sender = 1\n");

	(void)state;
	assert_non_null(strstr(names_of(set->base), " From From "));
	assert_non_null(strstr(names_of(set->base), " Sender "));
	policy_set_unref(&set);
	set = loaded("signed_header_fields = { REPLACE = true, Subject = 2 }\n");
	assert_string_equal(names_of(set->base), "Subject Subject ");
	policy_set_unref(&set);
}

static void lines_have_the_level_of_the_bank_that_says_one(void **state)
{
	struct policy_set *set =
		loaded("log_level = 1\n"
		       "policy_bank.LOUD = { log_level = 5, syslog_ident = \"loud\", "
		       "syslog_facility = \"local1\" }\n"
		       "policy_bank.SILENT = {}\n");
	const struct policy *loud = on_top(set, set->base, "LOUD"),
			    *same = on_top(set, loud, "SILENT");

	(void)state;
	assert_int_equal(set->base->voice.level, MW_LOG_LEVEL_OF_ALL); /* -d may say otherwise */
	assert_int_equal(on_top(set, set->base, "SILENT")->voice.level, MW_LOG_LEVEL_OF_ALL);
	assert_int_equal(loud->voice.level, 5);
	assert_string_equal(loud->voice.ident, "loud");
	assert_int_equal(loud->voice.facility, 17 << 3);
	assert_int_equal(same->voice.level, 5);
	assert_string_equal(same->voice.ident, "loud");
	assert_int_equal(set->base->voice.facility, 2 << 3);
	policy_set_unref(&set);
}

static void banners_are_those_of_the_bank_s_protocol_and_name(void **state)
{
	struct policy_set *set =
		loaded("myhostname = \"host.example\"\n"
		       "policy_bank.L = { protocol = \"LMTP\", localhost_name = \"l.example\" }\n"
		       "policy_bank.B = { smtpd_greeting_banner = \"${myhostname} $protocol\" }\n");
	const struct policy *l = on_top(set, set->base, "L");

	(void)state;
	assert_string_equal(set->base->greeting, "host.example ESMTP Mailweir service ready");
	assert_string_equal(set->base->goodbye[0], "host.example closing transmission channel");
	assert_string_equal(l->greeting, "l.example LMTP Mailweir service ready");
	assert_string_equal(on_top(set, l, "B")->greeting, "host.example LMTP");
	policy_set_unref(&set);
}

static void connections_come_from_the_bank_s_address(void **state)
{
	struct policy_set *set = loaded(
		"policy_bank.ONE = { local_client_bind_address = \"192.0.2.6\" }\n"
		"policy_bank.BOTH = { local_client_bind_address = { \"[2001:db8::6]\", "
		"\"192.0.2.7\" }, forward_method = { \"smtp:[::1]:25\", \"smtp:mx:25\" } }\n");
	const struct policy *one = on_top(set, set->base, "ONE"),
			    *both = on_top(set, set->base, "BOTH");
	bool none;

	(void)state;
	assert_string_equal(set->base->forward.hop[0].from.text, "");
	assert_null(next_hop_source_for(&set->base->source, AF_INET, &none));
	assert_false(none);
	assert_string_equal(one->forward.hop[0].from.text, "192.0.2.6");
	assert_string_equal(one->requeue.hop[0].from.text, "192.0.2.6");
	assert_int_equal(next_hop_source_for(&one->source, AF_INET, &none)->sa_family, AF_INET);
	assert_null(next_hop_source_for(&one->source, AF_INET6, &none));
	assert_true(none); /* from no other address than that */
	assert_null(next_hop_source_for(&one->source, AF_UNIX, &none));
	assert_false(none);
	assert_string_equal(both->forward.hop[1].from.text, "2001:db8::6,192.0.2.7");
	assert_int_equal(next_hop_source_for(&both->source, AF_INET6, &none)->sa_family, AF_INET6);
	policy_set_unref(&set);
}

static void a_size_limit_below_64_kib_is_one_unless_the_admin_means_it(void **state)
{
	struct policy_set *set = loaded("smtpd_message_size_limit = 2000\n");

	(void)state;
	assert_int_equal(set->base->message_size_limit, 65536);
	policy_set_unref(&set);
	set = loaded("smtpd_message_size_limit = 2000\n"
		     "enforce_smtpd_message_size_limit_64kb_min = false\n");
	assert_int_equal(set->base->message_size_limit, 2000);
	policy_set_unref(&set);
}

static void what_cannot_be_is_refused_by_its_setting_s_name(void **state)
{
	static const struct {
		const char *lua, *says;
	} rows[] = {
		{ "policy_bank.X = { signed_header_fields = { FROM = 0 } }",
			"From is signed always" },
		{ "signed_header_fields = { To = 3 }", "signed_header_fields[\"To\"]" },
		{ "signed_header_fields = { To = \"1\" }", "signed_header_fields[\"To\"]" },
		{ "signed_header_fields = { [\"a b\"] = 1 }", "no name of a header field" },
		{ "signed_header_fields = { [\"a;b\"] = 1 }", "no name of a header field" },
		{ "signed_header_fields = { [\"a:b\"] = 1 }", "no name of a header field" },
		{ "signed_header_fields = { [\"DKIM-Signature\"] = 1 }",
			"signatures are not signed" },
		{ "for i = 1, 200 do signed_header_fields[\"X-\" .. i] = 1 end", "may name" },
		{ "smtpd_quit_banner = \"${x}\"", "smtpd_quit_banner" },
		{ "policy_bank.X = { smtpd_greeting_banner = \"a\\nb\" }",
			"smtpd_greeting_banner" },
		{ "policy_bank.X = { syslog_ident = \"a b\" }", "syslog_ident" },
		{ "policy_bank.X = { syslog_facility = \"post\" }", "syslog_facility" },
		{ "policy_bank.X = { do_syslog = true }", "cannot stand in a policy bank" },
		{ "local_client_bind_address = \"mx.example\"", "local_client_bind_address" },
		{ "local_client_bind_address = { \"192.0.2.1\", \"192.0.2.2\" }", "one IPv4" },
		{ "local_client_bind_address = { \"::1\", \"::2\" }", "one IPv4" },
		{ "max_requests = 10", "amavisd's is not needed: the front holds" },
		{ "policy_bank.X = { decoders = {} }", "amavisd's is not needed: the scanner" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_err err;
		struct policy_set *set = load(rows[i].lua, &err);

		if (set != NULL)
			fail_msg("%s was taken", rows[i].lua);
		if (strstr(err.text, rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].lua, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signed_fields_lie_on_one_another_whatever_their_case),
		cmocka_unit_test(the_base_s_signed_fields_go_on_top_of_the_default),
		cmocka_unit_test(lines_have_the_level_of_the_bank_that_says_one),
		cmocka_unit_test(banners_are_those_of_the_bank_s_protocol_and_name),
		cmocka_unit_test(connections_come_from_the_bank_s_address),
		cmocka_unit_test(a_size_limit_below_64_kib_is_one_unless_the_admin_means_it),
		cmocka_unit_test(what_cannot_be_is_refused_by_its_setting_s_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
