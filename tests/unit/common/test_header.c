#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <cmocka.h>

#include "header.h"

static struct mw_header h;

static enum mw_rc index_text(const char *text)
{
	return mw_header_index(&h, mw_octets_of_text(text));
}

static void assert_octets(struct mw_octets o, const char *expected)
{
	assert_int_equal(o.n, strlen(expected));
	assert_memory_equal(o.p, expected, o.n);
}

static void every_known_name_has_its_id_in_any_case(void **state)
{
	static const struct {
		const char *name;
		enum mw_field_id id;
	} names[] = {
		{ "Received", MW_H_RECEIVED },
		{ "Return-Path", MW_H_RETURN_PATH },
		{ "From", MW_H_FROM },
		{ "Sender", MW_H_SENDER },
		{ "Reply-To", MW_H_REPLY_TO },
		{ "To", MW_H_TO },
		{ "Cc", MW_H_CC },
		{ "Bcc", MW_H_BCC },
		{ "Subject", MW_H_SUBJECT },
		{ "Date", MW_H_DATE },
		{ "Message-ID", MW_H_MESSAGE_ID },
		{ "In-Reply-To", MW_H_IN_REPLY_TO },
		{ "References", MW_H_REFERENCES },
		{ "User-Agent", MW_H_USER_AGENT },
		{ "X-Mailer", MW_H_X_MAILER },
		{ "Precedence", MW_H_PRECEDENCE },
		{ "Auto-Submitted", MW_H_AUTO_SUBMITTED },
		{ "List-Id", MW_H_LIST_ID },
		{ "List-Post", MW_H_LIST_POST },
		{ "List-Unsubscribe", MW_H_LIST_UNSUBSCRIBE },
		{ "Mailing-List", MW_H_MAILING_LIST },
		{ "DKIM-Signature", MW_H_DKIM_SIGNATURE },
		{ "Authentication-Results", MW_H_AUTHENTICATION_RESULTS },
		{ "MIME-Ambiguity-Results", MW_H_MIME_AMBIGUITY_RESULTS },
		{ "Content-Type", MW_H_CONTENT_TYPE },
		{ "Content-Transfer-Encoding", MW_H_CONTENT_TRANSFER_ENCODING },
		{ "Content-ID", MW_H_CONTENT_ID },
		{ "Content-Description", MW_H_CONTENT_DESCRIPTION },
		{ "Content-Disposition", MW_H_CONTENT_DISPOSITION },
		{ "MIME-Version", MW_H_MIME_VERSION },
		{ "X-Spam-Status", MW_H_X_SPAM },
		{ "X-Spam-Level", MW_H_X_SPAM },
		{ "X-Spam-Flag", MW_H_X_SPAM },
		{ "X-Spam-Score", MW_H_X_SPAM },
		{ "X-Spam-Report", MW_H_X_SPAM },
		{ "X-Spam-Checker-Version", MW_H_X_SPAM },
		{ "X-Spam-Tests", MW_H_X_SPAM },
		{ "X-Virus-Scanned", MW_H_X_VIRUS_SCANNED },
		{ "X-Amavis-Alert", MW_H_X_AMAVIS },
		{ "X-Amavis-OS-Fingerprint", MW_H_X_AMAVIS },
		{ "X-Quarantine-ID", MW_H_X_QUARANTINE_ID },
	};
	uint64_t seen = (uint64_t)1 << MW_H_OTHER;
	char line[80];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(names); i++) {
		for (int form = 0; form < 3; form++) {
			snprintf(line, sizeof(line), "%s: v\r\n", names[i].name);
			for (char *p = line; form > 0 && *p != ':'; p++)
				if ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z')
					*p = form == 1 ? (char)(*p | 0x20) : (char)(*p & ~0x20);
			assert_int_equal(index_text(line), MW_OK);
			assert_int_equal(h.count, 1);
			assert_int_equal(h.fields[0].id, names[i].id);
		}
		seen |= (uint64_t)1 << names[i].id;
	}
	assert_int_equal(seen, ((uint64_t)1 << MW_H_COUNT) - 1);
}

static void names_that_only_look_alike_are_others(void **state)
{
	static const char *const lines[] = { "Tos: x\r\n", "T: x\r\n", "Fram: x\r\n", "Fros: x\r\n",
		"Receive: x\r\n", "Receivedd: x\r\n", "X-Spam-: x\r\n", "X-Spam-Other: x\r\n",
		"X-Amavis-: x\r\n", "X-Amavis: x\r\n", "X: x\r\n", "XX-Mailer: x\r\n",
		"Reply_To: x\r\n", "Rece)ved: x\r\n", "X-Spam-Fl!g: x\r\n" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(lines); i++) {
		assert_int_equal(index_text(lines[i]), MW_OK);
		assert_int_equal(h.count, 1);
		assert_int_equal(h.fields[0].id, MW_H_OTHER);
		assert_true(h.fields[0].name_len > 0);
	}
}

static void fields_folds_and_body_are_found(void **state)
{
	(void)state;
	assert_int_equal(index_text("Received: one\r\n\tfolded\r\nReceived: two\r\n"
				    "Subject:  hello\r\n  world \r\n\r\nbody\r\n\r\nmore"),
		MW_OK);
	assert_int_equal(h.count, 3);
	assert_octets(mw_octets_of(h.section.p + h.body, 12), "body\r\n\r\nmore");
	assert_int_equal(h.body, h.section.n + 2);
	assert_ptr_equal(mw_header_first(&h, MW_H_RECEIVED), &h.fields[0]);
	assert_ptr_equal(mw_header_last(&h, MW_H_RECEIVED), &h.fields[1]);
	assert_null(mw_header_first(&h, MW_H_FROM));
	assert_null(mw_header_last(&h, MW_H_FROM));
	assert_octets(mw_field_name(&h, &h.fields[2]), "Subject");
	assert_octets(mw_field_value(&h, &h.fields[0]), "one\r\n\tfolded");
	assert_octets(mw_field_value(&h, &h.fields[2]), "hello\r\n  world ");
}

/* The fields' octets together are the section: nothing is dropped. */
static void assert_fields_tile_the_section(size_t message_size)
{
	size_t at = 0;

	for (size_t i = 0; i < h.count; i++) {
		const struct mw_field *f = &h.fields[i];

		assert_int_equal(f->at, at);
		assert_true(f->end > f->at);
		assert_true(f->value >= f->at + f->name_len && f->value <= f->end);
		at = f->end;
	}
	assert_int_equal(at, h.section.n);
	assert_true(h.body == h.section.n + 2 || (h.body == h.section.n && h.body == message_size));
}

static void lines_that_are_no_fields_are_kept_without_a_name(void **state)
{
	static const char *const lines[] = { "From bob Mon Nov 12 10:00:00 2001\r\n",
		"no colon here\r\n", ": no name\r\n", " begins with a blank: x\r\n",
		"caf\xc3\xa9: x\r\n", "Sub\x01ject: x\r\n", "Two Words: x\r\n", "\r\r\n", "\n\r\n",
		"Subject", "Subject \t" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(lines); i++) {
		assert_int_equal(index_text(lines[i]), MW_OK);
		assert_int_equal(h.count, 1);
		assert_int_equal(h.fields[0].name_len, 0);
		assert_int_equal(h.fields[0].id, MW_H_OTHER);
		assert_fields_tile_the_section(strlen(lines[i]));
		assert_null(mw_header_first(&h, MW_H_SUBJECT));
	}
	assert_int_equal(index_text("no field\r\nnor this\r\n and its fold\r\nTo: x\r\n"), MW_OK);
	assert_int_equal(h.count, 3);
	assert_null(mw_header_first(&h, MW_H_OTHER));
}

static void blanks_before_the_colon_are_the_obsolete_syntax(void **state)
{
	(void)state;
	assert_int_equal(index_text("Subject \t : x\r\n"), MW_OK);
	assert_octets(mw_field_name(&h, &h.fields[0]), "Subject");
	assert_int_equal(h.fields[0].id, MW_H_SUBJECT);
	assert_octets(mw_field_value(&h, &h.fields[0]), "x");
}

static void only_crlf_ends_a_line(void **state)
{
	(void)state;
	assert_int_equal(index_text("Subject: a\nTo: b\rCc: c\n\nd\r\n\r\nbody"), MW_OK);
	assert_int_equal(h.count, 1);
	assert_octets(mw_field_value(&h, &h.fields[0]), "a\nTo: b\rCc: c\n\nd");
	assert_int_equal(mw_header_index(&h, mw_octets_of("To: \0x\r\n\r\n", 10)), MW_OK);
	assert_int_equal(mw_field_value(&h, &h.fields[0]).n, 2);
}

static void messages_without_header_or_body_are_whole(void **state)
{
	(void)state;
	assert_int_equal(mw_header_index(&h, mw_octets_of(NULL, 0)), MW_OK);
	assert_int_equal(h.count + h.section.n + h.body, 0);
	assert_int_equal(index_text("\r\n"), MW_OK);
	assert_int_equal(h.count, 0);
	assert_int_equal(h.body, 2);
	assert_int_equal(index_text("\r\nTo: body\r\n"), MW_OK);
	assert_int_equal(h.count, 0);
	assert_int_equal(index_text("To: x\r\n"), MW_OK);
	assert_int_equal(h.body, 7);
	assert_int_equal(h.section.n, 7);
	assert_int_equal(index_text("To: x\r"), MW_OK);
	assert_octets(mw_field_value(&h, &h.fields[0]), "x\r");
}

static void every_cut_message_is_indexed_without_loss(void **state)
{
	static const char whole[] =
		"Received: a\r\n\tb\r\nFrom bad\r\nSubject :x\r\n\r\n y\r\n\r\nbody";
	struct mw_header mine = { 0 };

	(void)state;
	for (size_t n = 0; n < sizeof(whole); n++) {
		/* Memory of just that size, so that the sanitizer sees a look behind it. */
		unsigned char *copy = malloc(n + (n == 0));

		assert_non_null(copy);
		memcpy(copy, whole, n);
		assert_int_equal(mw_header_index(&h, mw_octets_of(copy, n)), MW_OK);
		assert_fields_tile_the_section(n);
		assert_int_equal(mw_header_index(&mine, mw_octets_of(copy, n)), MW_OK);
		assert_int_equal(mine.count, h.count);
		mw_header_fini(&mine);
		free(copy);
	}
}

static void memory_is_kept_from_one_message_to_the_next(void **state)
{
	const struct mw_field *fields;

	(void)state;
	assert_int_equal(index_text("To: x\r\nCc: y\r\n"), MW_OK);
	fields = h.fields;
	assert_int_equal(index_text("Subject: x\r\n"), MW_OK);
	assert_ptr_equal(h.fields, fields);
	assert_int_equal(h.count, 1);
}

static void more_fields_than_the_limit_are_refused(void **state)
{
	size_t line = 4, n = (MW_HEADER_FIELDS_MAX + 1) * line;
	char *m = malloc(n + 2);

	(void)state;
	assert_non_null(m);
	for (size_t i = 0; i < n; i += line)
		memcpy(m + i, "a:\r\n", line);
	memcpy(m + n, "\r\n", 2);
	assert_int_equal(mw_header_index(&h, mw_octets_of(m + line, n + 2 - line)), MW_OK);
	assert_int_equal(h.count, MW_HEADER_FIELDS_MAX);
	assert_int_equal(mw_header_index(&h, mw_octets_of(m, n + 2)), MW_ERR_LIMIT);
	assert_int_equal(h.count, 0);
	/* Folds do not count. */
	for (size_t i = line; i < n; i += line)
		memcpy(m + i, "\tx\r\n", line);
	assert_int_equal(mw_header_index(&h, mw_octets_of(m, n + 2)), MW_OK);
	assert_int_equal(h.count, 1);
	free(m);
}

static void a_section_longer_than_the_limit_is_refused(void **state)
{
	size_t n = MW_HEADER_OCTETS_MAX;
	char *m = malloc(n + 16);

	(void)state;
	assert_non_null(m);
	memset(m, 'x', n + 16);
	memcpy(m, "To: ", 4);
	memcpy(m + n - 2, "\r\n\r\nbody", 8);
	assert_int_equal(mw_header_index(&h, mw_octets_of(m, n + 16)), MW_OK);
	assert_int_equal(h.section.n, n);
	assert_int_equal(h.body, n + 2);
	assert_int_equal(mw_header_index(&h, mw_octets_of(m, n)), MW_OK);
	assert_int_equal(h.body, n);
	memcpy(m + n - 2, "x\r\n\r\nbod", 8);
	assert_int_equal(mw_header_index(&h, mw_octets_of(m, n + 16)), MW_ERR_LIMIT);
	assert_int_equal(mw_header_index(&h, mw_octets_of(m, n + 1)), MW_ERR_LIMIT);
	memset(m + n - 2, 'x', 8);
	assert_int_equal(mw_header_index(&h, mw_octets_of(m, n + 16)), MW_ERR_LIMIT);
	free(m);
}

static void a_name_of_64_kib_is_no_name(void **state)
{
	size_t n = UINT16_MAX;
	char *m = malloc(n + 4);

	(void)state;
	assert_non_null(m);
	memset(m, 'x', n + 1);
	memcpy(m + n, ":\r\n", 3);
	assert_int_equal(mw_header_index(&h, mw_octets_of(m, n + 3)), MW_OK);
	assert_int_equal(h.fields[0].name_len, UINT16_MAX);
	memcpy(m + n, "x:\r\n", 4);
	assert_int_equal(mw_header_index(&h, mw_octets_of(m, n + 4)), MW_OK);
	assert_int_equal(h.fields[0].name_len, 0);
	free(m);
}

static void unfolding_removes_crlf_and_trims(void **state)
{
	static const struct {
		const char *line, *expected;
	} rows[] = {
		{ "S: a\r\n b\r\n\tc\r\n", "a b\tc" },
		{ "S:\r\n a\r\n", "a" },
		{ "S: \t a \t\r\n \r\n\t\r\n", "a" },
		{ "S:\r\n", "" },
		{ "S: \r\n \r\n", "" },
		{ "S: a\rb\r\r\n c\r\n", "a\rb\r c" },
		{ "S: a\n", "a\n" },
		{ "S: a", "a" },
		{ "S:", "" },
	};
	char buf[16];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		assert_int_equal(index_text(rows[i].line), MW_OK);
		assert_int_equal(h.count, 1);
		assert_int_equal(mw_field_unfold(&h, &h.fields[0], buf, sizeof(buf)),
			strlen(rows[i].expected));
		assert_string_equal(buf, rows[i].expected);
	}
}

static void unfolding_is_cut_at_the_buffers_end(void **state)
{
	char buf[8];

	(void)state;
	assert_int_equal(index_text("S: ab\r\n cdef\r\n"), MW_OK);
	for (size_t size = 1; size <= 8; size++) {
		memset(buf, '#', sizeof(buf));
		assert_int_equal(mw_field_unfold(&h, &h.fields[0], buf, size), size - 1);
		assert_memory_equal(buf, "ab cdef", size - 1);
		assert_int_equal(buf[size - 1], '\0');
	}
	buf[0] = '#';
	assert_int_equal(mw_field_unfold(&h, &h.fields[0], buf, 0), 0);
	assert_int_equal(buf[0], '#');
}

static int fini(void **state)
{
	(void)state;
	mw_header_fini(&h);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_known_name_has_its_id_in_any_case),
		cmocka_unit_test(names_that_only_look_alike_are_others),
		cmocka_unit_test(fields_folds_and_body_are_found),
		cmocka_unit_test(lines_that_are_no_fields_are_kept_without_a_name),
		cmocka_unit_test(blanks_before_the_colon_are_the_obsolete_syntax),
		cmocka_unit_test(only_crlf_ends_a_line),
		cmocka_unit_test(messages_without_header_or_body_are_whole),
		cmocka_unit_test(every_cut_message_is_indexed_without_loss),
		cmocka_unit_test(memory_is_kept_from_one_message_to_the_next),
		cmocka_unit_test(more_fields_than_the_limit_are_refused),
		cmocka_unit_test(a_section_longer_than_the_limit_is_refused),
		cmocka_unit_test(a_name_of_64_kib_is_no_name),
		cmocka_unit_test(unfolding_removes_crlf_and_trims),
		cmocka_unit_test(unfolding_is_cut_at_the_buffers_end),
	};

	return cmocka_run_group_tests_name("header", tests, NULL, fini);
}
