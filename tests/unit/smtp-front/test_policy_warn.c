/* The classic mistakes: each is told, with its line, and settings that are well are not. */
#include "make_txn.h"
#include "policy/policy_warn.h"

#define SEEN_MAX 20
#define ELSEWHERE                                                                                  \
	"spam_quarantine_method = \"\"\nunchecked_quarantine_method = \"\"\n"                      \
	"banned_files_quarantine_method = \"\"\nbad_header_quarantine_method = \"\"\n"             \
	"final_virus_destiny = D_REJECT final_banned_destiny = D_REJECT\n"                         \
	"final_spam_destiny = D_REJECT\n"
#define QUARANTINE "QUARANTINEDIR = \"/tmp\" quarantine = { quota_entries = 1000 }\n"
#define WELL "local_domains_maps = { \".example.org\" }\n" QUARANTINE

struct seen {
	size_t count;
	char names[SEEN_MAX][64], texts[SEEN_MAX][POLICY_WARNING_MAX];
	unsigned lines[SEEN_MAX];
};

static void see(void *arg, const struct policy_warning *w)
{
	struct seen *s = arg;

	assert_true(s->count < SEEN_MAX);
	assert_true(w->hint[0] != '\0');
	mw_strlcpy(s->names[s->count], w->name, sizeof(s->names[0]));
	mw_strlcpy(s->texts[s->count], w->text, sizeof(s->texts[0]));
	s->lines[s->count++] = w->line;
}

static struct policy_set *set_of(const char *lua)
{
	char *errors = NULL;
	struct mw_conf *conf = conf_of(lua, &errors);
	struct policy_set *set = NULL;
	struct mw_err err = { "" };

	if (conf == NULL)
		fail_msg("%s", errors);
	if (policy_set_new(conf, &set, &err) != MW_OK)
		fail_msg("%s", err.text);
	mw_conf_destroy(&conf);
	return set;
}

static void warnings_of(const char *lua, struct seen *seen)
{
	struct policy_set *set = set_of(lua);

	memset(seen, 0, sizeof(*seen));
	policy_warn(set, set->sockets, set->socket_count, see, seen);
	policy_set_unref(&set);
}

static void expect_none(const char *lua)
{
	struct seen seen;

	warnings_of(lua, &seen);
	if (seen.count > 0)
		fail_msg("%s: %s", lua, seen.texts[0]);
}

static void expect_one(const char *lua, const char *name, unsigned line, const char *part)
{
	struct seen seen;

	warnings_of(lua, &seen);
	if (seen.count != 1)
		fail_msg("%s: %zu warnings, the second is %s", lua, seen.count,
			seen.count > 1 ? seen.texts[1] : "-");
	assert_string_equal(seen.names[0], name);
	assert_int_equal(seen.lines[0], line);
	if (strstr(seen.texts[0], part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", seen.texts[0], part);
}

static void settings_that_are_well_have_no_warning(void **state)
{
	(void)state;
	expect_none(WELL);
	expect_none(WELL "inet_socket_port = { 10024, 10026 }\n"
			 "interface_policy[\"10026\"] = \"ORIGINATING\"\n"
			 "policy_bank.ORIGINATING = { originating = true, sa_tag2_level_deflt = 5, "
			 "sa_kill_level_deflt = 5 }\n"
			 "policy_bank.MYNETS = {}\npolicy_bank.MYUSERS = {}\n");
	/* No folder is needed where nothing is kept. */
	expect_none("local_domains_maps = { 1 }\nQUARANTINEDIR = \"/nonexistent\"\n"
		    "virus_quarantine_method = \"\"\n" ELSEWHERE);
	expect_none("local_domains_maps = { 1 }\nQUARANTINEDIR = \"\"\n"
		    "virus_quarantine_method = \"bsmtp:/var/spool/%m\"\n" ELSEWHERE);
}

static void each_mistake_is_told_with_its_line(void **state)
{
	static const struct {
		const char *lua, *name;
		unsigned line;
		const char *part;
	} rows[] = {
		{ QUARANTINE, "local_domains_missing", 0, "no recipient is local" },
		{ WELL "bypass_virus_checks_maps = { 1 }\n", "checks_bypassed", 3, "viruses" },
		{ WELL "checks = { spam = true }\nbypass_spam_checks_maps = { true }\n",
			"checks_bypassed", 4, "spam" },
		{ WELL "sa_kill_level_deflt = 6\n", "kill_below_tag2", 3,
			"sa_kill_level_deflt is 6, below sa_tag2_level_deflt 6.31" },
		{ WELL "spam_kill_level_maps = { { [\"a@example.org\"] = 1 }, 2 }\n",
			"kill_below_tag2", 3, "spam_kill_level_maps is 2" },
		{ WELL "interface_policy[\"10024\"] = \"A\"\n"
		       "policy_bank.A = { sa_tag2_level_deflt = 9 }\n",
			"kill_below_tag2", 4, "bank A" },
		{ WELL "sa_tag_level_deflt = 7\n", "tag_above_tag2", 3,
			"below sa_tag_level_deflt 7" },
		{ "local_domains_maps = { 1 }\nQUARANTINEDIR = \"/tmp\"\n", "retention_missing", 2,
			"for ever" },
		{ WELL "virus_quarantine_method = \"\" final_virus_destiny = D_DISCARD\n",
			"discarded_unkept", 3, "mail of CC_VIRUS is discarded" },
		{ WELL "final_destiny_by_ccat = { CC_OVERSIZED = D_DISCARD }\n", "discarded_unkept",
			3, "mail of CC_OVERSIZED" },
		{ WELL "policy_bank.A = { spam_quarantine_method = \"\", final_spam_destiny = "
		       "D_DISCARD }\ninterface_policy[\"10024\"] = \"A\"\n",
			"discarded_unkept", 3, "CC_SPAM (bank A)" },
		{ "local_domains_maps = { 1 }\nQUARANTINEDIR = \"/nonexistent/q\" quarantine = { "
		  "quota_entries = 9 }\n",
			"quarantine_missing", 2, "\"/nonexistent/q\" is not there" },
		{ "local_domains_maps = { 1 }\nQUARANTINEDIR = \"\" quarantine = { "
		  "quota_entries = 9 }\nvirus_quarantine_method = \"bsmtp:out-%m\"\n" ELSEWHERE,
			"quarantine_missing", 2, "\"\" is not there" },
		{ "local_domains_maps = { 1 }\nQUARANTINEDIR = \"/etc/passwd\" quarantine = { "
		  "quota_entries = "
		  "9 }\n",
			"quarantine_missing", 2, "is no folder" },
		{ WELL "enable_dkim_signing = true\n", "signing_without_key", 3, "no dkim_key" },
		{ WELL "dkim_key(\"example.org\", \"s\", \"/k\")\n", "keys_without_signing", 3,
			"nothing is signed" },
		{ WELL "mynetworks = { \"10.0.0.0/8\", \"0.0.0.0/0\" }\n", "networks_open", 3,
			"0.0.0.0/0" },
		{ WELL "mynetworks = { \"::/0\" }\n", "networks_open", 3, "::/0" },
		{ WELL "client_ipaddr_policy = { { { \"0/0\" }, \"A\" } }\n"
		       "policy_bank.A = { originating = true }\n",
			"networks_open", 3, "originating" },
		{ WELL "client_ipaddr_policy = { { { \"10/8\" }, \"A\" },\n"
		       "{ { \"10.1.0.0/16\", \"10.2.3.4\" }, \"B\" } }\n"
		       "policy_bank.A = {}\npolicy_bank.B = {}\n",
			"bank_shadowed", 4, "\"B\" is never loaded" },
		{ WELL "interface_policy[\"10026\"] = \"A\"\npolicy_bank.A = {}\n",
			"interface_policy_unused", 3,
			"without a bank are [127.0.0.1]:10024 [::1]:10024" },
		{ WELL "inet_socket_port = { 0 }\ninterface_policy.SOCK = \"A\"\n"
		       "policy_bank.A = {}\n",
			"interface_policy_unused", 4, "SOCK" },
		{ WELL "policy_bank.A = {}\n", "bank_unused", 3, "policy_bank.A" },
		{ WELL "policy_bank.MYUSERS = {}\n", "bank_unused", 3, "MYUSERS" },
		{ WELL "client_ipaddr_policy = { { { \"10/8\" }, \"A\" } }\npolicy_bank.A = {}\n"
		       "policy_bank.MYNETS = {}\n",
			"bank_unused", 5, "MYNETS" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		expect_one(rows[i].lua, rows[i].name, rows[i].line, rows[i].part);
}

static void what_is_nearly_a_mistake_is_none(void **state)
{
	static const char *const rows[] = {
		/* Databases say who is local. */
		QUARANTINE "lookup_sql_dsn = { { \"DBI:SQLite:/tmp/x\" } }\n",
		QUARANTINE "interface_policy[\"10024\"] = \"A\"\n"
			   "policy_bank.A = { local_domains_maps = { 1 } }\n",
		WELL "bypass_virus_checks_maps = { 0 }\nbypass_spam_checks_maps = { 1 }\n",
		WELL "bypass_virus_checks_maps = { { \"a@example.org\" }, 1 }\n",
		WELL "mynetworks = { \"!0.0.0.0/0\" }\n",
		WELL "client_ipaddr_policy = { { { \"0/0\" }, \"A\" } }\npolicy_bank.A = {}\n",
		WELL "client_ipaddr_policy = { { { \"!10.1/16\", \"10/8\" }, \"A\" }, "
		     "{ { \"10.1/16\" }, \"A\" } }\npolicy_bank.A = {}\n",
		WELL "inet_socket_port = { 0 }\ninterface_policy[\"10026\"] = \"A\"\n"
		     "policy_bank.A = {}\n",
		/* Clients of AM.PDP ask for banks. */
		WELL
		"interface_policy[\"10024\"] = \"P\"\npolicy_bank.P = { protocol = \"AM.PDP\" }\n"
		"policy_bank.A = {}\n",
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		expect_none(rows[i]);
}

static void a_mistake_of_the_base_is_not_told_again_of_its_banks(void **state)
{
	struct seen seen;

	(void)state;
	warnings_of(WELL "sa_kill_level_deflt = 6\ninterface_policy[\"10024\"] = \"A\"\n"
			 "policy_bank.A = {}\npolicy_bank.MYNETS = {}\n",
		&seen);
	assert_int_equal(seen.count, 1);
}

static void a_flood_of_mistakes_is_cut(void **state)
{
	struct mw_text lua = { 0 }, out = { 0 };
	struct policy_set *set;
	size_t lines = 0;

	(void)state;
	mw_text_add(&lua, WELL);
	for (unsigned i = 0; i < 2 * POLICY_WARNINGS_MAX; i++)
		mw_text_addf(&lua, "policy_bank.B%u = {}\n", i);
	set = set_of(lua.p);
	policy_warn_print(set, &out);
	for (const char *p = out.p; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	assert_int_equal(lines, POLICY_WARNINGS_MAX);
	policy_set_unref(&set);
	mw_text_fini(&lua);
	mw_text_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_that_are_well_have_no_warning),
		cmocka_unit_test(each_mistake_is_told_with_its_line),
		cmocka_unit_test(what_is_nearly_a_mistake_is_none),
		cmocka_unit_test(a_mistake_of_the_base_is_not_told_again_of_its_banks),
		cmocka_unit_test(a_flood_of_mistakes_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
