/* How copies are kept: methods as they are set, and the names that templates become. */
#include "make_txn.h"

#include <time.h>

#include "outcome/quarantine_method.h"

static void methods_are_told_apart(void **state)
{
	static const struct {
		const char *text;
		enum quarantine_kind kind;
		bool wants_digest;
	} rows[] = {
		{ "", QUARANTINE_NOWHERE, false },
		{ "local:virus-%m", QUARANTINE_LOCAL, false },
		{ "local:%b-%m.gz", QUARANTINE_LOCAL, true },
		{ "LOCAL:%m", QUARANTINE_LOCAL, false },
		{ "local:%m%%b", QUARANTINE_LOCAL, false },
		{ "bsmtp:out/%i-%n-%s-%m", QUARANTINE_BSMTP, false },
		{ "bsmtp:/var/spool/batch/%m", QUARANTINE_BSMTP, false },
		{ "smtp:[127.0.0.1]:10025", QUARANTINE_MAIL, false },
		{ "lmtp:/run/lmtp", QUARANTINE_MAIL, false },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct quarantine_method *m = NULL;
		struct mw_err err = { "" };

		if (quarantine_method_new(rows[i].text, &m, &err) != MW_OK)
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_int_equal(m->kind, rows[i].kind);
		assert_int_equal(m->wants_digest, rows[i].wants_digest);
		assert_int_equal(m->hops.count, rows[i].kind == QUARANTINE_MAIL);
		quarantine_method_destroy(&m);
		assert_null(m);
	}
}

static void what_names_no_place_is_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "x", "expected local:" },
		{ "file:%m", "expected local:" },
		{ "pipe:argv=/bin/cat", "no programs" },
		{ "local:", "no file's name" },
		{ "local:spam.gz", "no %m" },
		{ "local:%%m", "no %m" },
		{ "local:%m%", "placeholder" },
		{ "local:%m%q", "placeholder" },
		{ "local:%m%s", "placeholder" },
		{ "local:../%m", "folder" },
		{ "local:a/%m", "folder" },
		{ "local:.%m", "dot" },
		{ "local:a b%m", "character" },
		{ "local:a\n%m", "character" },
		{ "local:a\\%m", "character" },
		{ "bsmtp:../%m", "dot" },
		{ "bsmtp:a/../%m", "dot" },
		{ "bsmtp:a/..%m", "dot" },
		{ "bsmtp:a//%m", "empty" },
		{ "bsmtp://%m", "empty" },
		{ "bsmtp:%s%m%s%s", "longer" },
		{ "sql:somewhere", "storage_sql_dsn" },
		{ "smtp:", "method" },
		{ "smtp:[::1", "method" },
	};
	char longer[300] = "local:%m";

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct quarantine_method *m = NULL;
		struct mw_err err = { "" };

		if (quarantine_method_new(rows[i].text, &m, &err) == MW_OK)
			fail_msg("%s was taken", rows[i].text);
		if (strstr(err.text, rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_null(m);
	}
	for (size_t n = 8; n < sizeof(longer) - 1; n++) {
		struct quarantine_method *m = NULL;
		struct mw_err err = { "" };
		bool taken;

		longer[n] = 'x';
		longer[n + 1] = '\0';
		taken = quarantine_method_new(longer, &m, &err) == MW_OK;
		assert_int_equal(taken, n + 1 <= 6 + QUARANTINE_TEMPLATE_MAX);
		quarantine_method_destroy(&m);
	}
}

static void placeholders_become_what_they_stand_for(void **state)
{
	static const struct {
		const char *text, *name;
	} rows[] = {
		{ "local:virus-%m.gz", "virus-aBcD-9_xYz12.gz" },
		{ "local:%m-%n-%b-%P-%%", "aBcD-9_xYz12-00123-01-d41d8cd9-7-%" },
		{ "local:%i_%m", "20240229T123456_aBcD-9_xYz12" },
		{ "bsmtp:out/%s/%m", "out/a=b=.._at_x.example=/aBcD-9_xYz12" },
	};
	struct tm when = { .tm_year = 124,
		.tm_mon = 1,
		.tm_mday = 29,
		.tm_hour = 12,
		.tm_min = 34,
		.tm_sec = 56,
		.tm_isdst = -1 };
	struct quarantine_names names = { .mail_id = "aBcD-9_xYz12",
		.log_id = "00123-01",
		.sender = "a/b\n..@x.example ",
		.digest = "d41d8cd9",
		.partition_tag = 7,
		.time_ms = (uint64_t)mktime(&when) * 1000 };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct quarantine_method *m = NULL;
		char name[QUARANTINE_PATH_MAX];

		assert_int_equal(quarantine_method_new(rows[i].text, &m, NULL), MW_OK);
		quarantine_method_name(m, &names, name);
		assert_string_equal(name, rows[i].name);
		quarantine_method_destroy(&m);
	}
}

/* A sender of any octets never leaves the folder, hides the file or makes its name too long. */
static void no_sender_leaves_the_folder(void **state)
{
	static const char *const senders[] = { "", ".", "..", "../../x", "/etc/passwd", "@@@@@@@@",
		"\xff\xfe\x01", "a\"b'c;d|e`f$g" };
	struct quarantine_method *m = NULL;
	char sender[1001], name[QUARANTINE_PATH_MAX];
	struct quarantine_names names = { .mail_id = "x", .log_id = "y", .sender = sender };

	(void)state;
	assert_int_equal(quarantine_method_new("bsmtp:s-%s-%m", &m, NULL), MW_OK);
	for (size_t i = 0; i <= MW_COUNT(senders); i++) {
		memset(sender, 'x', sizeof(sender) - 1);
		sender[sizeof(sender) - 1] = '\0';
		if (i < MW_COUNT(senders))
			mw_strlcpy(sender, senders[i], sizeof(sender));
		quarantine_method_name(m, &names, name);
		assert_null(strchr(name, '/'));
		assert_true(strlen(name) < 255 && strncmp(name, "s-", 2) == 0);
		for (const char *p = name; *p != '\0'; p++)
			assert_true(*p > 0x20 && *p < 0x7f);
		assert_string_equal(name + strlen(name) - 2, "-x");
	}
	quarantine_method_destroy(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(methods_are_told_apart),
		cmocka_unit_test(what_names_no_place_is_refused),
		cmocka_unit_test(placeholders_become_what_they_stand_for),
		cmocka_unit_test(no_sender_leaves_the_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
