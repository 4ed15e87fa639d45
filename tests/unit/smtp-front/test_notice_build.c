/* Messages of notices: whatever is put into them, they stay what they are. */
#include "make_txn.h"

#include "outcome/notice_build.h"

static struct notice usual(const char *text)
{
	return (struct notice){
		.text = mw_octets_of_text(text),
		.from = "\"Filter\" <postmaster@mx.example.org>",
		.to = "ann@example.com",
		.subject = "Notice",
		.message_id = "<1@mx.example.org>",
		.date = "Mon, 2 Mar 2026 08:15:30 +0000",
	};
}

static struct mw_text built(const struct notice *n)
{
	struct mw_text out = { 0 };
	bool eight_bit = false;

	notice_build(n, &out, &eight_bit);
	assert_false(out.failed);
	assert_true(notice_is_8bit(mw_octets_of(out.p, out.n)));
	assert_true(eight_bit || notice_is_7bit(mw_octets_of(out.p, out.n)));
	return out;
}

static size_t fields_named(const struct mw_text *t, const char *name)
{
	struct mw_header h = { 0 };
	size_t n = 0;

	assert_int_equal(mw_header_index(&h, mw_octets_of(t->p, t->n)), MW_OK);
	for (size_t i = 0; i < h.count; i++) {
		assert_true(h.fields[i].name_len > 0); /* every line is a field's */
		n += mw_octets_ieq(mw_field_name(&h, &h.fields[i]), name);
	}
	mw_header_fini(&h);
	return n;
}

static void each_field_is_there_once(void **state)
{
	static const char *const names[] = { "From", "To", "Date", "Subject", "Message-ID",
		"Auto-Submitted", "MIME-Version", "Content-Type", "Content-Transfer-Encoding" };
	static const char *const texts[] = { "", "text", "\ntext\n", "Subject: x\n\ntext\n",
		"Subject: x\nSubject: y\nFrom: <a@b>\nTo: <c@d>\nDate: x\nMessage-ID: <x>\n\ntext",
		"Content-Type: text/html\nMIME-Version: 2\nAuto-Submitted: no\nBcc: <x@y>\n\n<b>",
		"Subject: a\n b\n c\n\n", "Subject: x\r\n\r\ntext\r\n", "no field\nSubject: x\n\n",
		": x\n\n", "Subject:\n\nx", "Subject: x", "\r\r\n\n" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(texts); i++) {
		struct notice n = usual(texts[i]);
		struct mw_text t = built(&n);

		for (size_t k = 0; k < MW_COUNT(names); k++)
			if (fields_named(&t, names[k]) != 1)
				fail_msg("text %zu: %s", i, names[k]);
		assert_int_equal(fields_named(&t, "Bcc"), 0);
		mw_text_fini(&t);
	}
}

static void hostile_octets_end_nothing(void **state)
{
	static const char evil[] = "x\r\nBcc: <e@x>\r\n\r\n--b\n.\n\xff\xfe\xe2\x80\xae\x01\x7f y";
	char text[600];

	(void)state;
	for (int utf8 = 0; utf8 < 2; utf8++) {
		struct notice n = usual(text);
		struct mw_text t;

		snprintf(text, sizeof(text), "Subject: %.1s\nX-Y: \xc3\xa4 %s", evil, evil + 3);
		n.utf8 = utf8 != 0;
		n.to = evil;
		n.from = evil;
		n.in_reply_to = evil;
		n.subject = n.message_id = n.date = evil;
		t = built(&n);
		assert_int_equal(fields_named(&t, "To"), 1);
		assert_null(strstr(t.p, "\r\nBcc"));
		mw_text_fini(&t);
	}
}

static void a_report_has_three_parts(void **state)
{
	static const char mail[] = "Subject: \xff\r\nX: y\r\n\r\n\xc3\xa4\r\n";
	struct notice n = usual("Subject: x\n\n\xc3\xa4 text with --=_mailweir_ in it\n");
	size_t parts = 0;
	struct mw_text t;

	(void)state;
	n.status = mw_octets_of_text("Reporting-MTA: dns; x\r\n\r\nAction: failed\r\n");
	n.original = mw_octets_of_text(mail);
	n.header_octets = 19;
	for (int whole = 0; whole < 2; whole++) {
		n.whole = whole != 0;
		t = built(&n);
		for (const char *p = t.p; (p = strstr(p, "\r\n--=_mailweir_")) != NULL; p++)
			parts++;
		assert_int_equal(parts, 4); /* with the end */
		parts = 0;
		assert_non_null(strstr(t.p, whole ? "message/rfc822" : "text/rfc822-headers"));
		assert_true((strstr(t.p, "Subject: =FF\r\nX: y\r\n") != NULL) == !whole);
		mw_text_fini(&t);
	}
	/* A line that is too long, a bare CR, a NUL: the header section alone, encoded. */
	n.original = mw_octets_of("A: b\r\n\r\nx\ry\r\n", 13);
	n.header_octets = 6;
	t = built(&n);
	assert_null(strstr(t.p, "message/rfc822"));
	mw_text_fini(&t);
}

static void quoted_printable_keeps_what_it_is_given(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "a=b\r\n", "a=3Db\r\n" },
		{ "a \r\nb\t", "a=20\r\nb=09=\r\n" },
		{ "\xc3\xa4", "=C3=A4=\r\n" },
		{ "a\rb\nc", "a=0Db=0Ac=\r\n" },
		{ "", "" },
	};
	struct mw_text out = { 0 };
	char line[200];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		mw_text_clear(&out);
		notice_add_quoted(&out, mw_octets_of_text(rows[i].in));
		assert_string_equal(out.n > 0 ? out.p : "", rows[i].out);
	}
	memset(line, 'x', sizeof(line));
	mw_text_clear(&out);
	notice_add_quoted(&out, mw_octets_of(line, sizeof(line)));
	for (size_t i = 0, at = 0; i < out.n; i++) {
		at = out.p[i] == '\n' ? 0 : at + 1;
		assert_true(at <= 77); /* 76 and the CR */
	}
	mw_text_fini(&out);
}

static void xtext_is_decoded_or_refused(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "a+2Bb", "a+b" },
		{ "a", "a" },
		{ "\\x{E4}x", "\xc3\xa4x" },
		{ "\\x{20AC}", "\xe2\x82\xac" },
		{ "\\x{1F600}", "\xf0\x9f\x98\x80" },
		{ "", NULL },
		{ "a+0Db", NULL },
		{ "a+", NULL },
		{ "a+2", NULL },
		{ "a b", NULL },
		{ "\\x{D800}", NULL },
		{ "\\x{110000}", NULL },
		{ "\\x{}", NULL },
		{ "\\x{A", NULL },
		{ "\\x{0A}", NULL },
		{ "\\x{0000001}", NULL },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_text out = { 0 };

		if (notice_add_xtext(&out, rows[i].in) != (rows[i].out != NULL))
			fail_msg("%s", rows[i].in);
		if (rows[i].out != NULL)
			assert_string_equal(out.p, rows[i].out);
		mw_text_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_field_is_there_once),
		cmocka_unit_test(hostile_octets_end_nothing),
		cmocka_unit_test(a_report_has_three_parts),
		cmocka_unit_test(quoted_printable_keeps_what_it_is_given),
		cmocka_unit_test(xtext_is_decoded_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
