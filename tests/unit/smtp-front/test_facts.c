/* What a header section says: hops, addresses, ids, bulk; all of it a sender's claim, and all of it
 * bounded. */
#include "make_txn.h"

#include "intake/facts.h"

static struct smtp_arena arena;
static struct mw_header header;

static int free_all(void **state)
{
	(void)state;
	smtp_arena_fini(&arena);
	mw_header_fini(&header);
	return 0;
}

static struct facts facts_of(const char *fields)
{
	struct facts f;

	assert_int_equal(mw_header_index(&header, mw_octets_of_text(fields)), MW_OK);
	assert_int_equal(
		facts_collect(&f, &arena, &header, "ESMTP://[192.0.2.1]:25", "sender@example.com"),
		MW_OK);
	return f;
}

/* "a|b|c" */
static const char *joined(const struct mw_octets *items, size_t count)
{
	struct mw_text text = { 0 };
	const char *s;

	for (size_t i = 0; i < count; i++) {
		mw_text_add(&text, i > 0 ? "|" : "");
		mw_text_add_octets(&text, items[i].p, items[i].n);
	}
	s = smtp_arena_copy(&arena, text.p, text.n);
	mw_text_fini(&text);
	return s;
}

static void addresses_are_found_among_names_comments_and_traps(void **state)
{
	static const struct {
		const char *value, *addresses;
	} rows[] = {
		{ "a@example.org", "a@example.org" },
		{ "  a@example.org  ", "a@example.org" },
		{ "<a@example.org>", "a@example.org" },
		{ "Name <a@example.org>", "a@example.org" },
		{ "\"Name, with comma\" <a@example.org>", "a@example.org" },
		{ "\"x@evil.example\" <a@example.org>", "a@example.org" },
		{ "\"<x@evil.example>\" <a@example.org>", "a@example.org" },
		{ "\"a \\\" <x@evil.example>\" <a@example.org>", "a@example.org" },
		{ "x@evil.example <a@example.org>", "a@example.org" },
		{ "(x@evil.example) a@example.org", "a@example.org" },
		{ "(a (nested, ) <x@evil.example>) a@example.org (b)", "a@example.org" },
		{ "(\\) <x@evil.example>) a@example.org", "a@example.org" },
		{ "a @ example . org", "a@example.org" },
		{ "a@(comment)example.org", "a@example.org" },
		{ "a@example.org,b@example.org", "a@example.org|b@example.org" },
		{ "A <a@example.org>,\r\n B <b@example.org>", "a@example.org|b@example.org" },
		{ ", ,a@example.org,,", "a@example.org" },
		{ "friends: a@example.org, B <b@example.org>;", "a@example.org|b@example.org" },
		{ "undisclosed-recipients:;", "" },
		{ "\"a,b\"@example.org", "\"a,b\"@example.org" },
		{ "<\"a>b\"@example.org>", "\"a>b\"@example.org" },
		{ "<@route,@two:a@example.org>, b@example.org",
			"@route,@two:a@example.org|b@example.org" },
		{ "a@[192.0.2.1]", "a@[192.0.2.1]" },
		{ "a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]" },
		{ "A <a@[IPv6:2001:db8::1]>, b@[::2]", "a@[IPv6:2001:db8::1]|b@[::2]" },
		{ "\xc3\xa4@example.org", "\xc3\xa4@example.org" },
		{ "", "" },
		{ "<>", "" },
		/* never closed */
		{ "<a@example.org", "a@example.org" },
		{ "a@example.org (", "a@example.org" },
		{ "a@example.org (\\", "a@example.org" },
		{ "\"", "\"" },
		{ "<<a@example.org>>", "a@example.org" },
		{ "a@[x, b@example.org", "a@[x|b@example.org" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_octets out[8];
		size_t n = strlen(rows[i].value);
		char *own = malloc(n + 1); /* memory of its own: over-reading shows */
		const char *got;

		memcpy(own, rows[i].value, n);
		got = joined(
			out, facts_addresses(mw_octets_of(own, n), &arena, out, MW_COUNT(out)));
		free(own);
		if (strcmp(got, rows[i].addresses) != 0)
			fail_msg("%s: %s", rows[i].value, got);
	}
}

static void a_list_cut_anywhere_is_read_within_its_octets(void **state)
{
	static const char whole[] = "\"a\\\"b\" <a@[x]>, g: (c(\\))) <\"q\\>\"@x>;";
	struct mw_octets out[4];

	(void)state;
	for (size_t n = 0; n < sizeof(whole); n++) {
		char *own = malloc(n + 1);

		memcpy(own, whole, n);
		own = realloc(own, n > 0 ? n : 1);
		assert_true(facts_addresses(mw_octets_of(own, n), &arena, out, MW_COUNT(out)) <=
			    MW_COUNT(out));
		free(own);
	}
}

static void addresses_stop_at_their_limits(void **state)
{
	static char many[16 * (FACTS_ADDRESSES_MAX + 1) + 16] = "To: ";
	struct mw_octets out[FACTS_ADDRESSES_MAX + 1];
	char lengthy[FACTS_ADDRESS_MAX + 100];
	struct facts f;

	(void)state;
	for (int i = 0; i <= FACTS_ADDRESSES_MAX; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many), "u%d@x.org, ", i);
	strcat(many, "\r\n\r\n");
	f = facts_of(many);
	assert_int_equal(f.to.count, FACTS_ADDRESSES_MAX);
	memset(lengthy, 'a', sizeof(lengthy));
	assert_int_equal(
		facts_addresses(mw_octets_of(lengthy, FACTS_ADDRESS_MAX), &arena, out, 1), 1);
	assert_int_equal(
		facts_addresses(mw_octets_of(lengthy, FACTS_ADDRESS_MAX + 1), &arena, out, 1), 0);
	memcpy(lengthy + sizeof(lengthy) - 4, "<b@x", 4); /* a long name before it is no harm */
	assert_int_equal(
		facts_addresses(mw_octets_of(lengthy, sizeof(lengthy)), &arena, out, 1), 1);
	assert_string_equal((const char *)out[0].p, "b@x");
}

static void a_field_of_nothing_takes_no_memory(void **state)
{
	struct mw_octets out[4];
	struct smtp_arena fresh = { 0 };
	char commas[4096];

	(void)state;
	memset(commas, ',', sizeof(commas));
	assert_int_equal(
		facts_addresses(mw_octets_of(commas, sizeof(commas)), &fresh, out, MW_COUNT(out)),
		0);
	assert_null(fresh.blocks);
}

static void message_ids_stand_in_brackets(void **state)
{
	static const struct {
		const char *value, *ids;
	} rows[] = {
		{ "<a@x>", "<a@x>" },
		{ "<a@x> <b@x>\r\n <c@x>", "<a@x>|<b@x>|<c@x>" },
		{ "text <a@x>, \"name\" <b@x>;", "<a@x>|<b@x>" },
		{ "a@x", "" },
		{ "<>", "" },
		{ "<a b@x> <c@x>", "<c@x>" },
		{ "<a\r\n b@x> <c@x>", "<c@x>" },
		{ "<a@x", "" },
		{ "<a@x> <b@x", "<a@x>" },
		{ "> <a@x>", "<a@x>" },
	};
	char lengthy[502];
	struct mw_octets out[4];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		const char *got = joined(out,
			facts_message_ids(mw_octets_of_text(rows[i].value), out, MW_COUNT(out)));

		if (strcmp(got, rows[i].ids) != 0)
			fail_msg("%s: %s", rows[i].value, got);
	}
	assert_int_equal(
		facts_message_ids(mw_octets_of_text("<1><2><3><4><5>"), out, MW_COUNT(out)),
		MW_COUNT(out));
	memset(lengthy, 'i', sizeof(lengthy));
	lengthy[0] = '<';
	lengthy[499] = '>';
	assert_int_equal(facts_message_ids(mw_octets_of(lengthy, 500), out, 4), 1);
	lengthy[499] = 'i';
	lengthy[500] = '>';
	assert_int_equal(facts_message_ids(mw_octets_of(lengthy, 501), out, 4), 0);
}

static void the_received_chain_is_told_newest_first(void **state)
{
	struct facts f = facts_of(
		"Received: from mx.example.org ([203.0.113.7]) by us (mailweir) with ESMTP id x; "
		"date\r\n"
		"Received: from [10.1.2.3] (helo=there) by mx.example.org\r\n\twith SMTP; date\r\n"
		"Received: from claims [198.51.100.1] (real [IPv6:2001:db8::7]) by relay with "
		"esmtps (TLS) id y; date\r\n"
		"Received: by relay with local (Exim) id z; date\r\n"
		"Received: from again ([203.0.113.7]) by other [192.0.2.99] with http; date\r\n"
		"Received: (qmail 1234 invoked by uid 0 from network [192.0.2.77]); date\r\n"
		"Received: from x ([999.1.1.1]) by y; date\r\n"
		"Received:\r\n"
		"\r\n");

	(void)state;
	assert_int_equal(f.received, 8);
	assert_string_equal(f.first_ip, "203.0.113.7");
	assert_string_equal(joined(f.ip_trace.items, f.ip_trace.count), "203.0.113.7|2001:db8::7");
	assert_string_equal(joined(f.ip_proto_trace.items, f.ip_proto_trace.count),
		"ESMTP://[192.0.2.1]:25|ESMTP://203.0.113.7|SMTP://10.1.2.3|ESMTPS://"
		"2001:db8::7|x|HTTP://203.0.113.7|x|x|x");
}

static void more_than_100_hops_are_counted_and_not_kept(void **state)
{
	struct mw_text text = { 0 };
	struct facts f;

	(void)state;
	for (int i = 0; i < FACTS_HOPS_MAX + 5; i++)
		mw_text_addf(&text, "Received: from a ([203.0.113.%d]) by b with SMTP; date\r\n",
			i % 200);
	mw_text_add(&text, "\r\n");
	f = facts_of(text.p);
	assert_int_equal(f.received, FACTS_HOPS_MAX + 5);
	assert_int_equal(f.ip_trace.count, FACTS_HOPS_MAX);
	assert_int_equal(f.ip_proto_trace.count, FACTS_HOPS_MAX + 1);
	mw_text_fini(&text);
}

static void a_hop_longer_than_what_is_read_does_no_harm(void **state)
{
	struct mw_text text = { 0 };
	struct facts f;

	(void)state;
	mw_text_add(&text, "Received: from ");
	for (int i = 0; i < 3000; i++)
		mw_text_add(&text, "([");
	mw_text_add(&text, "203.0.113.7] by with\r\n\r\n");
	f = facts_of(text.p);
	assert_int_equal(f.received, 1);
	assert_null(f.first_ip);
	mw_text_fini(&text);
}

static void texts_and_ids_are_told_unfolded(void **state)
{
	struct facts f = facts_of(
		"Message-ID: <1@x>\r\nSubject: one\r\n two\r\nX-Mailer: m\r\nUser-Agent: u\r\n"
		"From: A <a@example.org>, b@example.org\r\nSender: S <s@example.org>\r\nTo: "
		"t@x\r\nCc: c@x\r\n"
		"In-Reply-To: <r@x>\r\nReferences: <p@x>\r\n <q@x>\r\n\r\nSubject: body\r\n");

	(void)state;
	assert_true(mw_octets_ieq(f.message_id, "<1@x>"));
	assert_true(mw_octets_ieq(f.subject, "one two"));
	assert_true(mw_octets_ieq(f.user_agent, "u"));
	assert_true(mw_octets_ieq(f.sender, "s@example.org"));
	assert_string_equal(joined(f.author.items, f.author.count), "a@example.org|b@example.org");
	assert_string_equal(joined(f.to.items, f.to.count), "t@x");
	assert_string_equal(joined(f.cc.items, f.cc.count), "c@x");
	assert_string_equal(joined(f.references.items, f.references.count), "<r@x>|<p@x>|<q@x>");
}

static void a_mail_without_a_header_says_nothing(void **state)
{
	struct facts f = facts_of("\r\nbody\r\n");

	(void)state;
	assert_int_equal(
		f.received + f.author.count + f.to.count + f.references.count + f.ip_trace.count,
		0);
	assert_int_equal(f.ip_proto_trace.count, 1);
	assert_null(f.first_ip);
	assert_false(f.is_auto || f.is_mlist || f.is_bulk);
}

static void lists_and_machines_are_recognised(void **state)
{
	static const struct {
		const char *fields;
		bool automatic, mlist, bulk;
	} rows[] = {
		{ "Subject: x\r\n", false, false, false },
		{ "List-Id: <l>\r\n", false, true, true },
		{ "List-Post: <l>\r\n", false, true, true },
		{ "List-Unsubscribe: <l>\r\n", false, true, true },
		{ "Mailing-List: l\r\n", false, true, true },
		{ "Precedence: list\r\n", false, true, true },
		{ "Precedence: BULK\r\n", false, false, true },
		{ "Precedence: junk\r\n", false, false, true },
		{ "Precedence: first-class\r\n", false, false, false },
		{ "Precedence: auto-reply\r\n", true, false, true },
		{ "Auto-Submitted: auto-replied\r\n", true, false, true },
		{ "Auto-Submitted: No\r\n", false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char text[128];
		struct facts f;

		snprintf(text, sizeof(text), "%s\r\n", rows[i].fields);
		f = facts_of(text);
		if (f.is_auto != rows[i].automatic || f.is_mlist != rows[i].mlist ||
			f.is_bulk != rows[i].bulk)
			fail_msg("%s", rows[i].fields);
		assert_int_equal(facts_collect(&f, &arena, &header, "x", ""),
			MW_OK); /* a null sender is a machine */
		assert_true(f.is_auto && f.is_bulk);
	}
}

static void names_of_lists_and_machines_are_recognised(void **state)
{
	static const struct {
		const char *sender, *from;
		bool automatic, mlist, bulk;
	} rows[] = {
		{ "ann@example.org", "ann@example.org", false, false, false },
		{ "list-request@example.org", "ann@example.org", false, true, true },
		{ "List-Bounces+ann=example.org@example.org", "x@y", false, true, true },
		{ "list-owner@x", "x@y", false, true, true },
		{ "list-admin@x", "x@y", false, true, true },
		{ "owner-list@x", "x@y", false, true, true },
		{ "ownerlist@x", "x@y", false, false, false },
		{ "bounces@x", "x@y", false, false, false },
		{ "", "x@y", true, false, true },
		{ "ann@x", "owner-l@y", false, true, true },
		{ "ann@x", "l-request@y", false, true, true },
		{ "ann@x", "l-admin@y", false, false, false },
		{ "MAILER-DAEMON@x", "x@y", true, false, true },
		{ "double-bounce@x", "x@y", true, false, true },
		{ "mailer@x", "x@y", true, false, true },
		{ "autoreply@x", "x@y", true, false, true },
		{ "mailer-daemons@x", "x@y", false, false, false },
		{ "ann@x", "Mailer-Daemon@y", true, false, true },
		{ "ann@x", "host-relay@y", false, false, true },
		{ "ann@x", "postmaster@y", false, false, true },
		{ "ann@x", "uucp", false, false, true },
		{ "postmaster@x", "x@y", false, false, false },
		{ "+@x", "+y@z", false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char text[128];
		struct facts f;

		snprintf(text, sizeof(text), "From: <%s>\r\n\r\n", rows[i].from);
		facts_of(text);
		assert_int_equal(facts_collect(&f, &arena, &header, "x", rows[i].sender), MW_OK);
		if (f.is_auto != rows[i].automatic || f.is_mlist != rows[i].mlist ||
			f.is_bulk != rows[i].bulk)
			fail_msg("%s %s", rows[i].sender, rows[i].from);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_found_among_names_comments_and_traps),
		cmocka_unit_test(a_list_cut_anywhere_is_read_within_its_octets),
		cmocka_unit_test(addresses_stop_at_their_limits),
		cmocka_unit_test(a_field_of_nothing_takes_no_memory),
		cmocka_unit_test(message_ids_stand_in_brackets),
		cmocka_unit_test(the_received_chain_is_told_newest_first),
		cmocka_unit_test(more_than_100_hops_are_counted_and_not_kept),
		cmocka_unit_test(a_hop_longer_than_what_is_read_does_no_harm),
		cmocka_unit_test(texts_and_ids_are_told_unfolded),
		cmocka_unit_test(a_mail_without_a_header_says_nothing),
		cmocka_unit_test(lists_and_machines_are_recognised),
		cmocka_unit_test(names_of_lists_and_machines_are_recognised),
	};

	return cmocka_run_group_tests(tests, NULL, free_all);
}
