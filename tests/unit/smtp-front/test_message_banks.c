/* Banks by the author's signature and by virus name: which are loaded, in which order, and when the
 * signatures have to be known first. */
#include "make_txn.h"

#include "policy/message_banks.h"

#define BANKS                                                                                      \
	"policy_bank = { WHITELIST = {}, SPECIAL = {}, MILD_WHITELIST = {}, AUTHOR_APPROVED = "    \
	"{}, "                                                                                     \
	"VIRUS = {}, A = {}, B = {}, C = {} }\n"
#define MAP BANKS "enable_dkim_verification = true\nauthor_to_policy_bank_maps = "

static struct made *mail_of(const char *lua, const char *header)
{
	struct made *m = make_txn(lua);
	char octets[8192];
	int n = snprintf(octets, sizeof(octets), "%s\r\nbody\r\n", header);

	make_body(m, octets, (size_t)n);
	assert_int_equal(
		facts_collect(&m->txn.facts, &m->txn.arena, &m->txn.header, "x", m->txn.sender),
		MW_OK);
	return m;
}

/* "d result a bits flags", of which the last three have defaults: rsa-sha256, 2048, none. */
static void found_signature(struct made *m, const char *text)
{
	struct findings *f = &m->txn.found;
	struct finding_signature *s =
		smtp_arena_array(&m->txn.arena, f->signature_count + 1, sizeof(*s));
	char d[300], result[20], a[20] = "rsa-sha256", flags[20] = "";
	int bits = 2048;

	assert_true(sscanf(text, "%299s %19s %19s %d %19s", d, result, a, &bits, flags) >= 2);
	for (size_t i = 0; i < f->signature_count; i++)
		s[i] = f->signatures[i];
	s[f->signature_count++] = (struct finding_signature){
		.d = mw_octets_of_text(smtp_arena_copy(&m->txn.arena, d, strlen(d))),
		.a = mw_octets_of_text(smtp_arena_copy(&m->txn.arena, a, strlen(a))),
		.result = mw_octets_of_text(smtp_arena_copy(&m->txn.arena, result, strlen(result))),
		.bits = bits,
		.expired = strcmp(flags, "expired") == 0,
		.testing = strcmp(flags, "testing") == 0,
	};
	f->signatures = s;
}

static const char *banks_of(const struct txn *t, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < t->policy->bank_count; i++)
		n += (size_t)snprintf(
			buf + n, size - n, "%s%s", i > 0 ? " " : "", t->policy->banks[i]);
	return buf;
}

#define EXAMPLE                                                                                    \
	"{ { ['uni.example'] = 'WHITELIST', ['.shop.example'] = 'WHITELIST', "                     \
	"['lab.example'] = 'SPECIAL', ['.network.example'] = 'MILD_WHITELIST', "                   \
	"['daily@stars.example'] = 'MILD_WHITELIST' } }\n"

static void a_valid_signature_brings_the_banks_of_its_author(void **state)
{
	static const struct {
		const char *map, *from, *signatures[4], *banks;
	} rows[] = {
		/* the example of docs/policy.md */
		{ EXAMPLE, "a@uni.example", { "uni.example pass" }, "WHITELIST" },
		{ EXAMPLE, "A <a@UNI.example>", { "Uni.Example pass" }, "WHITELIST" },
		{ EXAMPLE, "a@sub.uni.example", { "sub.uni.example pass" }, "" },
		{ EXAMPLE, "a@sub.uni.example", { "uni.example pass" }, "" },
		{ EXAMPLE, "a@shop.example", { "shop.example pass" }, "WHITELIST" },
		{ EXAMPLE, "a@x.shop.example", { "x.shop.example pass" }, "WHITELIST" },
		{ EXAMPLE, "a@x.shop.example", { "shop.example pass" }, "" },
		{ EXAMPLE, "a@shop.example", { "x.shop.example pass" }, "" },
		{ EXAMPLE, "a@lab.example", { "lab.example pass" }, "SPECIAL" },
		{ EXAMPLE, "daily@stars.example", { "stars.example pass" }, "MILD_WHITELIST" },
		{ EXAMPLE, "other@stars.example", { "stars.example pass" }, "" },
		{ EXAMPLE, "a@uni.example", { "evil.example pass" }, "" },
		/* not valid */
		{ EXAMPLE, "a@uni.example", { NULL }, "" },
		{ EXAMPLE, "a@uni.example", { "uni.example fail" }, "" },
		{ EXAMPLE, "a@uni.example", { "uni.example neutral" }, "" },
		{ EXAMPLE, "a@uni.example", { "uni.example temperror" }, "" },
		{ EXAMPLE, "a@uni.example", { "uni.example permerror" }, "" },
		{ EXAMPLE, "a@uni.example", { "uni.example passed" }, "" },
		{ EXAMPLE, "a@uni.example", { "uni.example fail rsa-sha256 2048 expired" }, "" },
		{ EXAMPLE, "a@uni.example", { "uni.example pass rsa-sha256 2048 expired" }, "" },
		{ EXAMPLE, "a@uni.example", { "uni.example pass rsa-sha256 2048 testing" }, "" },
		/* keys */
		{ EXAMPLE, "a@uni.example", { "uni.example pass rsa-sha256 1024" }, "WHITELIST" },
		{ EXAMPLE, "a@uni.example", { "uni.example pass rsa-sha256 1023" }, "" },
		{ EXAMPLE, "a@uni.example", { "uni.example pass rsa-sha256 512" }, "" },
		{ EXAMPLE, "a@uni.example", { "uni.example pass rsa-sha256 0" }, "" },
		{ EXAMPLE, "a@uni.example", { "uni.example pass ed25519-sha256 256" },
			"WHITELIST" },
		/* one of several signatures */
		{ EXAMPLE, "a@uni.example", { "uni.example fail", "uni.example pass" },
			"WHITELIST" },
		{ EXAMPLE, "a@uni.example", { "esp.example pass", "uni.example pass" },
			"WHITELIST" },
		/* a list's signature */
		{ "{ { ['.uni.example/@lists.example'] = 'A' } }", "a@x.uni.example",
			{ "lists.example pass" }, "A" },
		{ "{ { ['.uni.example/@lists.example'] = 'A' } }", "a@x.uni.example",
			{ "x.uni.example pass" }, "" },
		{ "{ { ['./@lists.example'] = 'A' } }", "a@anywhere.example",
			{ "lists.example pass" }, "A" },
		{ "{ { ['./@lists.example'] = 'A' } }", "a@anywhere.example",
			{ "lists.example fail" }, "" },
		/* its own signature is a signature, too */
		{ "{ { ['uni.example/@uni.example'] = 'B', ['uni.example'] = 'A' } }",
			"a@uni.example", { "uni.example pass" }, "A B" },
		/* several authors and signatures, each bank once */
		{ "{ { ['a.example'] = 'A', ['b.example'] = 'B' } }", "x@a.example, y@b.example",
			{ "b.example pass", "a.example pass" }, "B A" },
		{ "{ { ['a.example'] = 'A', ['b.example'] = 'B' } }", "x@a.example, y@b.example",
			{ "a.example pass" }, "A" },
		{ "{ { ['a.example'] = 'A,B', ['b.example'] = 'B, C, A' } }",
			"x@a.example, y@b.example", { "a.example pass", "b.example pass" },
			"A B C" },
		{ "{ { ['.'] = 'A' } }", "x@a.example, y@b.example",
			{ "a.example pass", "b.example pass" }, "A" },
		/* 1 and true */
		{ "{ { 'uni.example' } }", "a@uni.example", { "uni.example pass" },
			"AUTHOR_APPROVED" },
		{ "{ { ['uni.example'] = true } }", "a@uni.example", { "uni.example pass" },
			"AUTHOR_APPROVED" },
		{ "{ { ['uni.example'] = 1 } }", "a@uni.example", { "uni.example pass" },
			"AUTHOR_APPROVED" },
		{ "{ { '!bad@uni.example', 'uni.example' } }", "bad@uni.example",
			{ "uni.example pass" }, "" },
		/* defined and no bank: the search is over */
		{ "{ { ['uni.example'] = false }, 'A' }", "a@uni.example", { "uni.example pass" },
			"A" }, /* the constant answers for "/@uni.example" */
		{ "{ { ['.'] = false, ['./@uni.example'] = '' }, 'A' }", "a@uni.example",
			{ "uni.example pass" }, "" },
		/* a constant is for every valid signature */
		{ "{ 'A' }", "a@uni.example", { "esp.example pass" }, "A" },
		{ "{ 'A' }", "a@uni.example", { "esp.example fail" }, "" },
		/* what only the lookup knows */
		{ "{ new_RE { { '@(.).example$', '$1' } } }", "x@A.example", { "a.example pass" },
			"A" },
		{ "{ new_RE { { '@(.).example$', '$1, B' } } }", "x@z.example",
			{ "z.example pass" }, "B" },
		{ "{ function(k) if k == 'x@a.example' then return 'C' end end }", "x@a.example",
			{ "a.example pass" }, "C" },
		{ "{ function(k) return 'NONE' end }", "x@a.example", { "a.example pass" }, "" },
		/* names that look like what they are not */
		{ EXAMPLE, "\"a@uni.example\"@evil.example", { "evil.example pass" }, "" },
		{ EXAMPLE, "\"a@uni.example\" <b@evil.example>", { "evil.example pass" }, "" },
		{ EXAMPLE, "a@uni.example@evil.example", { "evil.example pass" }, "" },
		{ "{ { ['a@uni.example/@lists.example'] = 'A' } }", "a@uni.example/@evil.example",
			{ "evil.example pass" }, "" },
		{ EXAMPLE, "a", { "uni.example pass" }, "" },
		{ EXAMPLE, "", { "uni.example pass" }, "" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char lua[2048], header[1024], got[256];
		struct made *m;

		snprintf(lua, sizeof(lua), MAP "%s\n", rows[i].map);
		snprintf(header, sizeof(header), "From: %s\r\n", rows[i].from);
		m = mail_of(lua, header);
		for (size_t k = 0; k < 4 && rows[i].signatures[k] != NULL; k++)
			found_signature(m, rows[i].signatures[k]);
		assert_true(message_banks_by_author(&m->txn));
		if (strcmp(banks_of(&m->txn, got, sizeof(got)), rows[i].banks) != 0)
			fail_msg("row %zu, From: %s: \"%s\", not \"%s\"", i, rows[i].from, got,
				rows[i].banks);
		end_txn(m);
	}
}

static void signatures_are_waited_for_only_where_they_could_bring_a_bank(void **state)
{
	static const struct {
		const char *map, *header;
		bool waits;
	} rows[] = {
		{ EXAMPLE, "DKIM-Signature: v=1; d=uni.example; s=x\r\nFrom: a@uni.example\r\n",
			true },
		{ EXAMPLE, "DKIM-Signature: v=1; d=UNI.example\r\nFrom: a@uni.Example\r\n", true },
		{ EXAMPLE,
			"DKIM-Signature: v=1;\r\n\td\r\n = uni.\r\n example ; s=x\r\nFrom: "
			"a@uni.example\r\n",
			true },
		{ EXAMPLE, "DKIM-Signature:d=uni.example\r\nFrom: a@uni.example\r\n", true },
		{ EXAMPLE, "DKIM-Signature: v=1; d=evil.example\r\nFrom: a@uni.example\r\n",
			false },
		{ EXAMPLE, "DKIM-Signature: v=1; s=d=uni.example\r\nFrom: a@uni.example\r\n",
			false },
		{ EXAMPLE, "DKIM-Signature: v=1; D=uni.example\r\nFrom: a@uni.example\r\n", false },
		{ EXAMPLE, "DKIM-Signature: v=1; bd=uni.example\r\nFrom: a@uni.example\r\n",
			false },
		{ EXAMPLE, "DKIM-Signature: \r\nFrom: a@uni.example\r\n", false },
		{ EXAMPLE, "DKIM-Signature: d=;d\r\nFrom: a@uni.example\r\n", false },
		{ EXAMPLE, "From: a@uni.example\r\n", false },
		{ EXAMPLE, "DKIM-Signature: d=uni.example\r\n", false },
		{ EXAMPLE, "DKIM-Signature: d=uni.example\r\nFrom: a@evil.example\r\n", false },
		/* the second of two, of both */
		{ EXAMPLE,
			"DKIM-Signature: d=evil.example\r\nDKIM-Signature: "
			"d=uni.example\r\nFrom: a@x.example, a@uni.example\r\n",
			true },
		/* of two From fields nobody knows which is meant */
		{ EXAMPLE,
			"DKIM-Signature: d=uni.example\r\nFrom: a@evil.example\r\nFrom: "
			"a@uni.example\r\n",
			false },
		{ "{ { ['./@lists.example'] = 'A' } }",
			"DKIM-Signature: d=lists.example\r\nFrom: a@b.example\r\n", true },
		{ "{ { ['.'] = '' } }", "DKIM-Signature: d=b.example\r\nFrom: a@b.example\r\n",
			false },
		{ "{ { ['.'] = false } }", "DKIM-Signature: d=b.example\r\nFrom: a@b.example\r\n",
			false },
		{ "{ 'A' }", "DKIM-Signature: d=z.example\r\nFrom: a@b.example\r\n", true },
		{ "{ 'A' }", "From: a@b.example\r\n", false },
		{ "{}", "DKIM-Signature: d=b.example\r\nFrom: a@b.example\r\n", false },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char lua[2048];
		struct made *m;

		snprintf(lua, sizeof(lua), MAP "%s\n", rows[i].map);
		m = mail_of(lua, rows[i].header);
		if (message_banks_wait_for_auth(&m->txn) != rows[i].waits)
			fail_msg("row %zu: %s", i, rows[i].header);
		end_txn(m);
	}
}

/* What is said of the first signatures only would be a way around the rest. */
static void more_signatures_than_are_looked_at_are_waited_for(void **state)
{
	struct mw_text header = { 0 };
	struct made *m;

	(void)state;
	for (int i = 0; i < MESSAGE_SIGNERS_MAX; i++)
		mw_text_addf(&header, "DKIM-Signature: d=d%d.example\r\n", i);
	mw_text_add(&header, "From: a@uni.example\r\n");
	m = mail_of(MAP EXAMPLE, header.p);
	assert_false(message_banks_wait_for_auth(&m->txn));
	end_txn(m);
	mw_text_add(&header, "DKIM-Signature: d=again.example\r\n");
	m = mail_of(MAP EXAMPLE, header.p);
	assert_true(message_banks_wait_for_auth(&m->txn));
	end_txn(m);
	mw_text_fini(&header);
}

static void authors_beyond_the_limit_bring_nothing(void **state)
{
	struct mw_text header = { 0 };
	struct made *m;
	char got[256];

	(void)state;
	mw_text_add(&header, "From: ");
	for (int i = 0; i < MESSAGE_AUTHORS_MAX - 1; i++)
		mw_text_addf(&header, "a@d%d.example,\r\n ", i);
	mw_text_add(&header, "a@uni.example,\r\n a@lab.example\r\n");
	m = mail_of(MAP EXAMPLE, header.p);
	found_signature(m, "uni.example pass");
	found_signature(m, "lab.example pass");
	assert_true(message_banks_by_author(&m->txn));
	assert_string_equal(banks_of(&m->txn, got, sizeof(got)), "WHITELIST");
	end_txn(m);
	mw_text_fini(&header);
}

static void octets_of_a_signature_cut_anywhere_are_read_within_bounds(void **state)
{
	static const char field[] = "DKIM-Signature: v=1; \td =\r\n uni.exa mple ;d=uni.example; x";
	char header[200];

	(void)state;
	for (size_t n = 15; n < sizeof(field); n++) {
		struct made *m;

		snprintf(header, sizeof(header), "From: a@uni.example\r\n%.*s\r\n", (int)n, field);
		m = mail_of(MAP EXAMPLE, header);
		message_banks_wait_for_auth(&m->txn);
		end_txn(m);
	}
}

static void a_second_from_takes_the_word_from_the_signature(void **state)
{
	struct made *m = mail_of(MAP EXAMPLE, "From: a@evil.example\r\nFrom: a@uni.example\r\n");
	char got[256];

	(void)state;
	found_signature(m, "uni.example pass");
	assert_true(message_banks_by_author(&m->txn));
	assert_string_equal(banks_of(&m->txn, got, sizeof(got)), "");
	end_txn(m);
}

static void more_banks_than_lie_on_one_another_are_no_policy(void **state)
{
	struct mw_text lua = { 0 };
	struct made *m;

	(void)state;
	mw_text_add(&lua, "enable_dkim_verification = true\n");
	for (int i = 0; i <= POLICY_BANKS_MAX; i++)
		mw_text_addf(&lua, "policy_bank.b%d = {}\n", i);
	mw_text_add(&lua, "author_to_policy_bank_maps = { new_RE { { '^(b)', '$10");
	for (int i = 1; i <= POLICY_BANKS_MAX; i++)
		mw_text_addf(&lua, ",${1}%d", i);
	mw_text_add(&lua, "' } } }\n");
	m = mail_of(lua.p, "From: b@uni.example\r\n");
	found_signature(m, "uni.example pass");
	assert_false(message_banks_by_author(&m->txn));
	end_txn(m);
	mw_text_fini(&lua);
}

static void a_virus_brings_the_banks_of_its_name(void **state)
{
	static const struct {
		const char *map, *names[3], *banks;
	} rows[] = {
		{ "{ { ['Eicar'] = 'A' } }", { "Eicar" }, "A" },
		{ "{ { ['Eicar'] = 'A' } }", { "eicar" }, "" },
		{ "{ { ['Eicar'] = 'A' } }", { NULL }, "" },
		{ "{ { ['Eicar'] = true } }", { "Eicar" }, "VIRUS" },
		{ "{ { 'Eicar', '!Other' } }", { "Other", "Eicar" }, "VIRUS" },
		{ "{ { '!Other' } }", { "Other" }, "" },
		{ "{ { ['Eicar'] = '' }, 'A' }", { "Eicar" }, "" },
		{ "{ { ['Eicar'] = undef }, 'A' }", { "Eicar" }, "A" },
		{ "{ new_RE { { '^Phish', 'B' }, { '.', 'A, C' } } }", { "Phish.1", "Win.2" },
			"B A C" },
		{ "{ new_RE { { '^(.)', '$1' } } }", { "C.1", "X.2" }, "C" },
		{ "{ 'A' }", { "" }, "A" },
		{ "{ { [''] = 'B' } }", { "" }, "B" },
		{ "{}", { "Eicar" }, "" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char lua[1024], got[256];
		struct made *m;
		bool loaded;

		snprintf(lua, sizeof(lua), BANKS "virus_name_to_policy_bank_maps = %s\n",
			rows[i].map);
		m = mail_of(lua, "From: a@b.example\r\n");
		for (size_t k = 0; k < 3 && rows[i].names[k] != NULL; k++)
			make_virus(m, rows[i].names[k]);
		assert_true(message_banks_by_virus(&m->txn, &loaded));
		if (strcmp(banks_of(&m->txn, got, sizeof(got)), rows[i].banks) != 0)
			fail_msg("row %zu: \"%s\", not \"%s\"", i, got, rows[i].banks);
		assert_int_equal(loaded, *rows[i].banks != '\0');
		end_txn(m);
	}
}

static void true_needs_no_bank_of_that_name(void **state)
{
	struct made *m = mail_of("enable_dkim_verification = true\n"
				 "author_to_policy_bank_maps = { { '.' } }\n"
				 "virus_name_to_policy_bank_maps = { true }\n",
		"DKIM-Signature: d=b.example\r\nFrom: a@b.example\r\n");
	bool loaded;

	(void)state;
	assert_false(message_banks_wait_for_auth(&m->txn));
	make_virus(m, "Eicar");
	assert_true(message_banks_by_virus(&m->txn, &loaded));
	assert_false(loaded);
	end_txn(m);
}

static void what_a_message_may_load_is_made_at_load(void **state)
{
	struct made *m =
		make_txn(BANKS "author_to_policy_bank_maps = { { a = 'A', b = 'B, C', c = 1 } }\n"
			       "virus_name_to_policy_bank_maps = { { x = 'C' } }\n"
			       "enable_dkim_verification = true\n");
	size_t count = m->txn.set->count;
	char got[256];

	(void)state;
	/* the base, 8 banks, B C, and C on base, A, (B) C, AUTHOR_APPROVED: what was there is not
	 * made again */
	assert_int_equal(count, 1 + 8 + 1 + 2);
	assert_true(mail_policy_load(&m->txn, MAIL_BANK_OF_HOOK, "B,C"));
	assert_string_equal(banks_of(&m->txn, got, sizeof(got)), "B C");
	assert_int_equal(m->txn.set->count, count);
	m->txn.policy = m->txn.set->base;
	assert_true(mail_policy_load(&m->txn, MAIL_BANK_OF_HOOK, "A,C"));
	assert_int_equal(m->txn.set->count, count);
	end_txn(m);
}

static void banks_that_do_not_go_together_are_told_at_load(void **state)
{
	static const char *const rows[] = {
		"policy_bank.P = { protocol = 'AM.PDP' }\npolicy_bank.H = { haproxy_target_enabled "
		"= true }\nauthor_to_policy_bank_maps = { { a = 'P, H' } }\n",
		"policy_bank.P = { protocol = 'AM.PDP' }\npolicy_bank.H = { haproxy_target_enabled "
		"= true }\nauthor_to_policy_bank_maps = { { a = 'P' } }\n"
		"virus_name_to_policy_bank_maps = { 'H' }\n",
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char *errors = NULL;
		struct mw_conf *conf = conf_of(rows[i], &errors);
		struct policy_set *set = NULL;
		struct mw_err err = { "" };

		assert_non_null(conf);
		assert_int_not_equal(policy_set_new(conf, &set, &err), MW_OK);
		assert_non_null(strstr(err.text, "policy_bank_maps, \""));
		mw_conf_destroy(&conf);
	}
}

/* However many values a table has, loading ends, and there is room for what mail brings. */
static void a_table_of_many_values_leaves_room(void **state)
{
	struct mw_text lua = { 0 };
	struct policy_set *set = NULL;
	struct mw_err err = { "" };
	char *errors = NULL;
	struct mw_conf *conf;

	(void)state;
	mw_text_add(&lua, "client_ipaddr_policy = {}\n");
	for (int i = 0; i < 30; i++)
		mw_text_addf(&lua,
			"policy_bank.b%d = {}\nclient_ipaddr_policy[%d] = { { "
			"'192.0.2.%d' }, 'b%d' }\n",
			i, i + 1, i, i);
	mw_text_add(&lua, "author_to_policy_bank_maps = { {");
	for (int i = 0; i < 200; i++)
		mw_text_addf(&lua, "d%d = 'b%d,b%d',\n", i, i % 30, (i + 1 + i / 30) % 30);
	mw_text_add(&lua, "} }\n");
	conf = conf_of(lua.p, &errors);
	assert_non_null(conf);
	assert_int_equal(policy_set_new(conf, &set, &err), MW_OK);
	assert_true(set->count <= POLICIES_MADE_MAX);
	policy_set_unref(&set);
	mw_conf_destroy(&conf);
	mw_text_fini(&lua);
}

/* Printed, not asserted: machines differ. */
static void asking_whether_to_wait_costs_little(void **state)
{
	char path[] = "/tmp/mailweir-test-banks-XXXXXX", lua[400];
	const unsigned rounds = 100000;
	struct made *m;
	FILE *f = fdopen(mkstemp(path), "w");
	uint64_t from_us;
	unsigned waits = 0;

	(void)state;
	assert_non_null(f);
	for (int i = 0; i < 100000; i++)
		fprintf(f, "%sd%d.example WHITELIST\n", i % 2 ? "." : "", i);
	fclose(f);
	snprintf(lua, sizeof(lua), MAP "{ read_hash('%s') }\n", path);
	m = mail_of(lua,
		"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=mail.other.example; "
		"s=x;\r\n\th=From:To:Date; bh=x;\r\n\tb=y\r\nFrom: a@mail.other.example\r\n");
	from_us = mw_mono_us();
	for (unsigned i = 0; i < rounds; i++)
		waits += message_banks_wait_for_auth(&m->txn);
	print_message("        %.0f ns for a mail with one signature, tables of 100,000 domains\n",
		(double)(mw_mono_us() - from_us) * 1000 / rounds);
	assert_int_equal(waits, 0);
	end_txn(m);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_valid_signature_brings_the_banks_of_its_author),
		cmocka_unit_test(signatures_are_waited_for_only_where_they_could_bring_a_bank),
		cmocka_unit_test(more_signatures_than_are_looked_at_are_waited_for),
		cmocka_unit_test(authors_beyond_the_limit_bring_nothing),
		cmocka_unit_test(octets_of_a_signature_cut_anywhere_are_read_within_bounds),
		cmocka_unit_test(a_second_from_takes_the_word_from_the_signature),
		cmocka_unit_test(more_banks_than_lie_on_one_another_are_no_policy),
		cmocka_unit_test(a_virus_brings_the_banks_of_its_name),
		cmocka_unit_test(true_needs_no_bank_of_that_name),
		cmocka_unit_test(what_a_message_may_load_is_made_at_load),
		cmocka_unit_test(banks_that_do_not_go_together_are_told_at_load),
		cmocka_unit_test(a_table_of_many_values_leaves_room),
		cmocka_unit_test(asking_whether_to_wait_costs_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
