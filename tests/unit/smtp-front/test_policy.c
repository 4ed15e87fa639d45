/* Policies: which bank a socket gets, what each says, and what is refused at load instead of at the
 * first mail. */
#include "make_txn.h"

static enum mw_rc load(const char *lua, struct policy_set **set_r, struct mw_err *err)
{
	char *errors = NULL;
	struct mw_conf *conf = conf_of(lua, &errors);
	enum mw_rc rc;

	err->text[0] = '\0';
	if (conf == NULL) { /* the settings' own check was first */
		mw_strlcpy(err->text, errors, sizeof(err->text));
		free(errors);
		return MW_ERR_CONF;
	}
	rc = policy_set_new(conf, set_r, err);
	mw_conf_destroy(&conf); /* a set stands alone: mails in flight outlive a reload */
	return rc;
}

static struct policy_set *loaded(const char *lua)
{
	struct policy_set *set = NULL;
	struct mw_err err;

	if (load(lua, &set, &err) != MW_OK)
		fail_msg("%s", err.text);
	return set;
}

static const struct policy *bank_of(struct policy_set *set, const char *bank)
{
	struct mw_err err = { "" };
	const struct policy *p =
		policy_load(set, set->base, bank, strlen(bank), POLICIES_MAX, &err);

	if (p == NULL)
		fail_msg("%s", err.text);
	return p;
}

static enum mw_destiny destiny(const struct policy *p, enum ccat_slot slot)
{
	assert_int_equal(p->asks[ASK_DESTINY + slot].count, 0);
	return (enum mw_destiny)(p->asks[ASK_DESTINY + slot].dflt.milli / 1000);
}

static void a_socket_gets_the_bank_of_its_address_before_that_of_its_port(void **state)
{
	struct policy_set *set =
		loaded("interface_policy = { [\"10026\"] = \"ORIG\", [\"[::1]:10026\"] = \"SIX\", "
		       "[\"[127.0.0.1]:10028\"] = \"FOUR\" }\n"
		       "policy_bank.ORIG = { originating = true }\n"
		       "policy_bank.SIX = { final_virus_destiny = D_REJECT }\n"
		       "policy_bank.FOUR = { child_timeout = 60 }\n");
	static const struct {
		const char *address;
		unsigned port;
		const char *bank;
	} rows[] = {
		{ "127.0.0.1", 10024, "" },
		{ "127.0.0.1", 10026, "ORIG" },
		{ "::1", 10026, "SIX" },
		{ "::", 10026, "ORIG" },
		{ "127.0.0.1", 10028, "FOUR" },
		{ "127.0.0.2", 10028, "" },
		{ "::1", 1002, "" },
		{ "::1", 110026, "" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		assert_string_equal(
			policy_for_socket(set, rows[i].address, rows[i].port)->bank, rows[i].bank);
	assert_false(set->base->originating);
	assert_true(policy_for_socket(set, "127.0.0.1", 10026)->originating);
	assert_int_equal(
		destiny(policy_for_socket(set, "127.0.0.1", 10026), CCAT_VIRUS), MW_D_DISCARD);
	assert_int_equal(destiny(policy_for_socket(set, "::1", 10026), CCAT_VIRUS), MW_D_REJECT);
	assert_int_equal(policy_for_socket(set, "127.0.0.1", 10028)->child_timeout_ms, 60000);
	policy_set_unref(&set);
	assert_null(set);
}

static void the_defaults_defer_what_was_not_checked_and_pass_no_virus(void **state)
{
	struct policy_set *set = loaded("myhostname = \"mx.example.org\"\n");
	const struct policy *p = set->base;

	(void)state;
	assert_true(p->virus_failure_fatal);
	assert_int_equal(destiny(p, CCAT_VIRUS), MW_D_DISCARD);
	assert_string_equal(p->quarantine[CCAT_VIRUS]->template, "virus-%m.gz");
	assert_int_equal(p->asks[ASK_TAG2].dflt.milli, 6310);
	assert_string_equal(p->x_header_line, "mailweir at mx.example.org");
	assert_string_equal(p->authserv_id, "mx.example.org");
	assert_string_equal(p->localhost_name, "mx.example.org");
	assert_string_equal(p->forward.hop[0].text, "smtp:[127.0.0.1]:10025");
	assert_true(mw_lookup_bool(p->acl, "127.0.0.1", false));
	assert_true(mw_lookup_bool(p->acl, "::1", false));
	assert_false(mw_lookup_bool(p->acl, "192.0.2.1", false));
	assert_false(set->check_spam);
	assert_false(set->check_reputation);
	policy_set_unref(&set);
}

static void a_bank_overlays_the_base_with_what_it_names(void **state)
{
	struct policy_set *set = loaded(
		"myhostname = \"mx\"\nsa_kill_level_deflt = 10\nmyauthservid = \"id\"\n"
		"local_domains_maps = { \".base\" }\nforward_method = \"smtp:[::1]:26\"\n"
		"policy_bank.B = { sa_kill_level_deflt = 4.5, local_domains_maps = { \".bank\" }, "
		"virus_quarantine_method = \"\", sa_spam_level_char = \"+\" }\n");
	const struct policy *base = set->base, *b = bank_of(set, "B");

	(void)state;
	assert_int_equal(set->count, 2);
	assert_int_equal(base->asks[ASK_KILL].dflt.milli, 10000);
	assert_int_equal(b->asks[ASK_KILL].dflt.milli, 4500);
	assert_string_equal(b->authserv_id, "id");
	assert_true(mw_lookup_bool(base->local_domains, "a@base", false));
	assert_false(mw_lookup_bool(b->local_domains, "a@base", false));
	assert_true(mw_lookup_bool(b->local_domains, "a@bank", false));
	assert_int_equal(b->quarantine[CCAT_VIRUS]->kind, QUARANTINE_NOWHERE);
	assert_string_equal(b->level_char, "+");
	assert_string_equal(b->forward.hop[0].host, "::1");
	assert_int_equal(b->forward.hop[0].port, 26);
	policy_set_unref(&set);
}

static void what_cannot_be_done_is_refused_by_its_setting_s_name(void **state)
{
	static const struct {
		const char *lua, *named;
	} rows[] = {
		{ "score_sender_maps = { 'a@example.org' }\n", "score_sender_maps" },
		{ "score_sender_maps = { { ['a@example.org'] = { { ['.com'] = {} } } } }\n",
			"score_sender_maps" },
		{ "per_recip_whitelist_sender_lookup_tables = { { { '.com' } } }\n",
			"per_recip_whitelist_sender_lookup_tables" },
		{ "forward_method = \"pipe:x\"\n", "forward_method" },
		{ "forward_method = \"smtp:\"\n", "forward_method" },
		{ "forward_method = \"smtp:host\"\n", "forward_method" },
		{ "forward_method = \"smtp:host:\"\n", "forward_method" },
		{ "forward_method = \"smtp::25\"\n", "forward_method" },
		{ "forward_method = \"smtp:[]:25\"\n", "forward_method" },
		{ "forward_method = \"smtp:[127.0.0.1:25\"\n", "forward_method" },
		{ "forward_method = \"smtp:[127.0.0.1]25\"\n", "forward_method" },
		{ "forward_method = \"smtp:host:0\"\n", "forward_method" },
		{ "forward_method = \"smtp:host:65536\"\n", "forward_method" },
		{ "forward_method = \"smtp:host:25x\"\n", "forward_method" },
		{ "forward_method = \"smtp:host:-1\"\n", "forward_method" },
		{ "release_method = \"pipe:x\"\n", "release_method" },
		{ "policy_bank.B = { requeue_method = \"smtp:host\" }\n", "requeue_method" },
		{ "protocol = \"QMQP\"\n", "protocol" },
		{ "ampdp.mail_dirs = { \"tmp\" }\n", "ampdp.mail_dirs" },
		{ "interface_policy = { [\"10026\"] = \"NONE\" }\n", "10026" },
		{ "inet_acl = { \"127.0.0.1\", \"example.org\" }\n", "example.org" },
		{ "virus_quarantine_method = \"pipe:argv=/bin/cat\"\n", "virus_quarantine_method" },
		{ "spam_quarantine_method = \"local:spam-%q\"\n", "spam_quarantine_method" },
		{ "unchecked_quarantine_method = \"local:x.gz\"\n", "unchecked_quarantine_method" },
		{ "virus_quarantine_method = \"local:../%m.gz\"\n", "virus_quarantine_method" },
		{ "policy_bank.B = { spam_quarantine_method = \"sql:x\" }\n",
			"spam_quarantine_method" },
		{ "policy_bank.B = { spam_quarantine_method = \"sql:\" }\n", "storage_sql_dsn" },
		{ "policy_bank[\"A B\"] = {}\n", "A B" },
		{ "policy_bank.MYNETS = {}\nmynetworks = { \"localhost\" }\n", "mynetworks" },
		{ "client_ipaddr_policy = { { { \"10/8\" }, \"NONE\" } }\n", "NONE" },
		{ "client_ipaddr_policy = { { { \"x\" }, \"\" } }\n", "\"x\"" },
		{ "client_ipaddr_policy = { { \"10/8\" } }\n", "client_ipaddr_policy" },
		{ "client_ipaddr_policy = { { { \"10/8\" } } }\n", "client_ipaddr_policy" },
		{ "client_ipaddr_policy = { { { 10 }, \"\" } }\n", "client_ipaddr_policy" },
		{ "policy_bank.A = {}\ninterface_policy = { [\"25\"] = \"A, X\" }\n", "X" },
		/* right alone, wrong together */
		{ "policy_bank.A = { tls_security_level_out = \"verify\" }\n"
		  "interface_policy = { [\"25\"] = \"A\" }\n"
		  "policy_bank.MYNETS = { forward_method = \"smtp:/run/x.sock\" }\n",
			"/run/x.sock" },
		{ "policy_bank.MYUSERS = { tls_security_level_out = \"verify\" }\n"
		  "policy_bank.A = { forward_method = \"smtp:/run/x.sock\" }\n"
		  "client_ipaddr_policy = { { { \"10/8\" }, \"A\" } }\n",
			"/run/x.sock" },
		{ "policy_bank.A = {}\npolicy_bank.B = {}\nclient_ipaddr_policy = { { { \"10/8\" "
		  "}, "
		  "\"A,B,A,B,A,B,A,B,A,B,A,B,A\" } }\n",
			"more than 12 banks" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct policy_set *set = NULL;
		struct mw_err err;

		if (load(rows[i].lua, &set, &err) == MW_OK)
			fail_msg("taken: %s", rows[i].lua);
		assert_null(set);
		if (strstr(err.text, rows[i].named) == NULL)
			fail_msg("%s: %s", rows[i].lua, err.text);
	}
}

static void a_key_is_found_by_the_domain_after_the_last_at(void **state)
{
	struct policy_set *set = loaded("dkim_key(\"example.org\", \"s1\", \"/k/a.pem\")\n"
					"dkim_key(\"example.net\", \"s2\", \"/k/b.pem\")\n");
	static const struct {
		const char *address, *selector;
	} rows[] = {
		{ "a@example.org", "s1" },
		{ "a@EXAMPLE.net", "s2" },
		{ "\"a@example.org\"@example.net", "s2" },
		{ "a@sub.example.org", NULL },
		{ "a@example.org.evil", NULL },
		{ "example.org", NULL },
		{ "", NULL },
		{ "a@", NULL },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		const struct policy_signer *s = policy_signer_for(set, rows[i].address);

		assert_int_equal(s != NULL, rows[i].selector != NULL);
		if (s != NULL)
			assert_string_equal(s->selector, rows[i].selector);
	}
	policy_set_unref(&set);
}

static void spam_and_reputation_are_asked_when_an_engine_is_set(void **state)
{
	static const struct {
		const char *lua;
		bool spam, reputation;
	} rows[] = {
		{ "", false, false },
		{ "scanner.spamd = \"127.0.0.1:783\"\n", true, false },
		{ "checks.spam = true\n", true, false },
		{ "checks.spam = false\nscanner.spamd = \"127.0.0.1:783\"\n", false, false },
		{ "redis.server = \"127.0.0.1:6379\"\n", false, true },
		{ "redis.server = \"127.0.0.1:6379\"\nchecks.reputation = false\n", false, false },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct policy_set *set = loaded(rows[i].lua);

		assert_int_equal(set->check_spam, rows[i].spam);
		assert_int_equal(set->check_reputation, rows[i].reputation);
		policy_set_unref(&set);
	}
}

static void a_set_lives_until_the_last_mail_lets_go(void **state)
{
	struct policy_set *set = loaded(""), *mail = policy_set_ref(set);

	(void)state;
	policy_set_unref(&set);
	assert_null(set);
	assert_string_equal(mail->base->bank, "");
	policy_set_unref(&mail);
	policy_set_unref(&mail); /* of none: nothing */
}

static void a_bank_is_found_by_its_whole_name(void **state)
{
	struct policy_set *set =
		loaded("policy_bank.AUTH = { originating = true }\n"
		       "policy_bank.PDP = { protocol = \"AM.PDP\", release_method = "
		       "\"smtp:[::1]:26\" }\n");

	(void)state;
	assert_true(policy_load(set, set->base, "AUTH,X", 4, POLICIES_MAX, NULL)->originating);
	assert_null(policy_load(set, set->base, "AUTH", 3, POLICIES_MAX, NULL));
	assert_null(policy_load(set, set->base, "AUTHX", 5, POLICIES_MAX, NULL));
	assert_null(policy_load(set, set->base, "", 0, POLICIES_MAX, NULL));
	assert_int_equal(bank_of(set, "PDP")->protocol, PROTOCOL_AMPDP);
	assert_int_equal(bank_of(set, "AUTH")->protocol, PROTOCOL_AUTO);
	assert_string_equal(bank_of(set, "PDP")->release.hop[0].text, "smtp:[::1]:26");
	assert_string_equal(
		bank_of(set, "PDP")->requeue.hop[0].text, bank_of(set, "PDP")->forward.hop[0].text);
	assert_true(set->base->auth_required_release);
	policy_set_unref(&set);
}

static const struct policy *load_all(struct policy_set *set, const char *banks)
{
	struct mw_err err = { "" };
	const struct policy *p = policy_load_all(set, set->base, banks, &err);

	if (p == NULL)
		fail_msg("%s: %s", banks, err.text);
	return p;
}

static void banks_lie_on_top_of_one_another_in_their_order(void **state)
{
	struct policy_set *set = loaded(
		"local_domains_maps = { \".base\" }\nsa_kill_level_deflt = 10\n"
		"policy_bank.A = { sa_kill_level_deflt = 1, sa_tag2_level_deflt = 1 }\n"
		"policy_bank.B = { sa_kill_level_deflt = 2, local_domains_maps = { \".b\" } }\n"
		"policy_bank.MYNETS = { final_spam_destiny = D_REJECT }\n"
		"policy_bank.OUT = { originating = false }\n");
	const struct policy *ab = load_all(set, "A, B"), *ba = load_all(set, "B A");

	(void)state;
	assert_int_equal(ab->asks[ASK_KILL].dflt.milli, 2000);
	assert_int_equal(ab->asks[ASK_TAG2].dflt.milli, 1000);
	assert_int_equal(ba->asks[ASK_KILL].dflt.milli, 1000);
	assert_string_equal(ab->bank, "B");
	assert_int_equal(ab->bank_count, 2);
	assert_string_equal(ab->banks[0], "A");
	assert_string_equal(ab->banks[1], "B");
	/* The same again is the same, twice in a row is once, nothing is the base. */
	assert_ptr_equal(load_all(set, "A,B"), ab);
	assert_ptr_equal(load_all(set, ",A,,A, B B ,"), ab);
	assert_ptr_equal(load_all(set, ""), set->base);
	assert_int_equal(load_all(set, "A B A")->bank_count, 3);
	/* A table that no bank touches is one for all. */
	assert_ptr_equal(load_all(set, "A")->local_domains, set->base->local_domains);
	assert_ptr_equal(ba->local_domains, load_all(set, "B")->local_domains);
	assert_ptr_not_equal(ab->local_domains, set->base->local_domains);
	assert_true(mw_lookup_bool(ab->local_domains, "x@b", false));
	/* MYNETS makes a mail originating, and a later bank may say otherwise. */
	assert_true(load_all(set, "MYNETS")->originating);
	assert_true(load_all(set, "MYNETS A")->originating);
	assert_false(load_all(set, "MYNETS OUT")->originating);
	assert_true(load_all(set, "OUT MYNETS")->originating);
	policy_set_unref(&set);
}

static void banks_upon_banks_have_a_limit(void **state)
{
	struct policy_set *set = loaded("policy_bank.A = {}\npolicy_bank.B = {}\n");
	const struct policy *p = set->base;
	struct mw_err err = { "" };

	(void)state;
	for (unsigned i = 0; i < POLICY_BANKS_MAX; i++)
		p = policy_load(set, p, i % 2 == 0 ? "A" : "B", 1, POLICIES_MAX, &err);
	assert_non_null(p);
	assert_int_equal(p->bank_count, POLICY_BANKS_MAX);
	assert_null(policy_load(set, p, "A", 1, POLICIES_MAX, &err));
	assert_non_null(strstr(err.text, "more than 12 banks"));
	assert_ptr_equal(policy_load(set, p, "B", 1, POLICIES_MAX, &err), p);
	policy_set_unref(&set);
}

static void a_set_has_a_limit_of_sequences(void **state)
{
	struct mw_text lua = { 0 };
	struct policy_set *set;
	struct mw_err err = { "" };

	(void)state;
	for (unsigned i = 0; i < 40; i++)
		mw_text_addf(&lua, "policy_bank.B%u = {}\n", i);
	set = loaded(lua.p);
	for (unsigned i = 0; i < 40; i++)
		for (unsigned k = 0; k < 40; k++) {
			char two[16];

			snprintf(two, sizeof(two), "B%u B%u", i, k);
			policy_load_all(set, set->base, two, NULL);
		}
	assert_null(policy_load_all(set, set->base, "B39 B38", &err));
	assert_int_equal(set->count, POLICIES_MAX);
	assert_non_null(strstr(err.text, "1000 sequences"));
	assert_non_null(load_all(set, "B0 B1")); /* what is there still serves */
	policy_set_unref(&set);
	mw_text_fini(&lua);
}

static void a_client_s_address_loads_the_banks_of_the_first_pair_that_matches(void **state)
{
	static const struct {
		const char *lua, *ip, *banks;
	} rows[] = {
		{ "policy_bank.MYNETS = {}\n", "10.1.2.3", "MYNETS" },
		{ "policy_bank.MYNETS = {}\n", "127.0.0.1", "MYNETS" },
		{ "policy_bank.MYNETS = {}\n", "::1", "MYNETS" },
		{ "policy_bank.MYNETS = {}\n", "fe80::1", "MYNETS" },
		{ "policy_bank.MYNETS = {}\n", "fd00::1", "MYNETS" },
		{ "policy_bank.MYNETS = {}\n", "172.32.0.1", NULL },
		{ "policy_bank.MYNETS = {}\n", "2001:db8::1", NULL },
		{ "policy_bank.MYNETS = {}\n", NULL, NULL },
		{ "policy_bank.MYNETS = {}\nmynetworks = { \"0.0.0.0\" }\n", NULL, "MYNETS" },
		{ "policy_bank.MYNETS = {}\n", "mx.example.org", NULL },
		{ "policy_bank.MYNETS = {}\n", "", NULL },
		{ "", "10.1.2.3", NULL }, /* no such bank: nothing to load */
		{ "policy_bank.MYNETS = {}\nmynetworks = { \"!10.1.0.0/16\", \"10/8\" }\n",
			"10.1.2.3", NULL },
		{ "policy_bank.MYNETS = {}\nmynetworks = { \"!10.1.0.0/16\", \"10/8\" }\n",
			"10.2.2.3", "MYNETS" },
		{ "policy_bank.A = {}\npolicy_bank.B = {}\nclient_ipaddr_policy = { { { "
		  "\"192.0.2.1\" }, \"A\" }, { { \"192.0.2.0/24\", \"[2001:db8::]/32\" }, \"B, "
		  "A\" } }\n",
			"192.0.2.1", "A" },
		{ "policy_bank.A = {}\npolicy_bank.B = {}\nclient_ipaddr_policy = { { { "
		  "\"192.0.2.1\" }, \"A\" }, { { \"192.0.2.0/24\", \"[2001:db8::]/32\" }, \"B, "
		  "A\" } }\n",
			"2001:db8::5", "B, A" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct policy_set *set = loaded(rows[i].lua);
		struct mw_lookup_result r;
		const char *banks = policy_banks_of_client(set, set->base, rows[i].ip, NULL, &r);

		if ((banks == NULL) != (rows[i].banks == NULL))
			fail_msg("row %zu: %s", i, banks != NULL ? banks : "none");
		if (banks != NULL)
			assert_string_equal(banks, rows[i].banks);
		policy_set_unref(&set);
	}
}

static void a_port_s_address_has_the_port_s_banks_below_its_own(void **state)
{
	struct policy_set *set =
		loaded("policy_bank.A = { sa_kill_level_deflt = 1 }\n"
		       "policy_bank.B = { sa_tag2_level_deflt = 1 }\n"
		       "policy_bank.C = { originating = true }\n"
		       "interface_policy = { [\"10024\"] = \"A\", [\"[::1]:10024\"] = \"B, C\", "
		       "SOCK = \"C\", [\"/run/x.sock\"] = \"A\" }\n");
	const struct policy *p = policy_for_socket(set, "::1", 10024);

	(void)state;
	assert_ptr_equal(p, load_all(set, "A B C"));
	assert_int_equal(p->asks[ASK_KILL].dflt.milli, 1000);
	assert_int_equal(p->asks[ASK_TAG2].dflt.milli, 1000);
	assert_true(p->originating);
	assert_ptr_equal(policy_for_socket(set, "127.0.0.1", 10024), load_all(set, "A"));
	assert_ptr_equal(policy_for_socket(set, "/run/x.sock", 0), load_all(set, "C A"));
	assert_ptr_equal(policy_for_socket(set, "/run/y.sock", 0), load_all(set, "C"));
	assert_ptr_equal(policy_for_socket(set, "::1", 10025), set->base);
	policy_set_unref(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_socket_gets_the_bank_of_its_address_before_that_of_its_port),
		cmocka_unit_test(the_defaults_defer_what_was_not_checked_and_pass_no_virus),
		cmocka_unit_test(a_bank_overlays_the_base_with_what_it_names),
		cmocka_unit_test(what_cannot_be_done_is_refused_by_its_setting_s_name),
		cmocka_unit_test(a_key_is_found_by_the_domain_after_the_last_at),
		cmocka_unit_test(spam_and_reputation_are_asked_when_an_engine_is_set),
		cmocka_unit_test(a_set_lives_until_the_last_mail_lets_go),
		cmocka_unit_test(a_bank_is_found_by_its_whole_name),
		cmocka_unit_test(banks_lie_on_top_of_one_another_in_their_order),
		cmocka_unit_test(banks_upon_banks_have_a_limit),
		cmocka_unit_test(a_set_has_a_limit_of_sequences),
		cmocka_unit_test(a_client_s_address_loads_the_banks_of_the_first_pair_that_matches),
		cmocka_unit_test(a_port_s_address_has_the_port_s_banks_below_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
