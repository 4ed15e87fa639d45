#include "containers.h"

#include "passwords.h"

/* The words of a mail, the likeliest first, each with a semicolon. */
static const char *words_of(const char *mail, unsigned most)
{
	static struct passwords p;
	static char all[8192];
	struct mw_octets word;

	passwords_begin(&p, mw_octets_of_text(mail), mw_octets_of("infected", 9), most);
	all[0] = '\0';
	for (unsigned i = 0; passwords_next(&p, i, 0, &word); i++) {
		note(all, sizeof(all), (const char *)word.p, word.n);
		note(all, sizeof(all), ";", 1);
	}
	return all;
}

static bool says(const char *words, const char *word)
{
	char with[80];
	const char *at;

	snprintf(with, sizeof(with), "%s;", word);
	at = strstr(words, with);
	return at != NULL && (at == words || at[-1] == ';');
}

static void words_behind_password_are_found_in_many_tongues(void **state)
{
	static const struct {
		const char *text, *word;
	} cases[] = {
		{ "The password is geheim123.", "geheim123" },
		{ "Password: geheim123", "geheim123" },
		{ "password:geheim123", "geheim123" },
		{ "PASSWORD=geheim123", "geheim123" },
		{ "Passwort lautet \"geheim123\"", "geheim123" },
		{ "Kennwort: <geheim123>", "geheim123" },
		{ "le mot de passe est geheim123", "geheim123" },
		{ "contrase\u00f1a: geheim123", "geheim123" },
		{ "\u043f\u0430\u0440\u043e\u043b\u044c geheim123", "geheim123" },
		{ "\u5bc6\u7801\uff1ageheim123", "geheim123" },
		{ "PIN 4711", "4711" },
		{ "The password is Password123.", "Password123" },
		{ "Passwort: passwort", "passwort" },
		{ "pw 4711", "4711" },
		{ "archive password\r\n\r\n   geheim123\r\n", "geheim123" },
		{ "4711 is your passcode", "4711" },
		{ "password: Secret! and so on", "Secret!" },
		{ "password: Secret! and so on", "Secret" },
		{ "the password is \u201egeheim123\u201c", "geheim123" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		char mail[400];

		snprintf(mail, sizeof(mail), "Subject: x\r\n\r\n%s\r\n", cases[i].text);
		if (!says(words_of(mail, 10), cases[i].word))
			fail_msg("%s: %s", cases[i].text, words_of(mail, 10));
	}
}

static void html_base64_later_parts_and_the_subject_are_read(void **state)
{
	const char *const mail =
		"Subject: the pin is 1111\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n"
		"--bb\r\nContent-Type: application/zip\r\n\r\npassword: no\r\n"
		"--bb\r\nContent-Type: text/html\r\n\r\n<p>password:&nbsp;<b>2222</b></p>\r\n"
		"--bb\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
		"cGFzc3dvcmQ6IDMzMzMK\r\n--bb--\r\n";

	(void)state;
	assert_true(says(words_of(mail, 40), "1111"));
	assert_true(says(words_of(mail, 40), "2222"));
	assert_true(says(words_of(mail, 40), "3333"));
	assert_false(says(words_of(mail, 40), "no"));
}

static void the_number_of_words_is_bounded_and_the_set_ones_are_last(void **state)
{
	char mail[20000] = "\r\n\r\n";

	(void)state;
	for (int i = 0; i < 500; i++)
		snprintf(mail + strlen(mail), 40, "password: w%d ", i);
	assert_true(strncmp(words_of(mail, 3), "w0;w1;w2;infected;", 18) == 0);
	assert_non_null(strstr(words_of(mail, 64), "infected;")); /* has its place in any case */
	assert_string_equal(words_of(mail, 0), "infected;");
	assert_string_equal(words_of("", 10), "infected;");
	assert_string_equal(words_of("Subject: x\r\n\r\nhello, see there\r\n", 10), "infected;");
}

static void the_word_that_fitted_is_tried_first(void **state)
{
	static struct passwords p;
	struct mw_octets word;

	(void)state;
	passwords_begin(&p, mw_octets_of_text("\r\n\r\npassword: one\r\npassword: two\r\n"),
		mw_octets_of("three", 6), 10);
	while (passwords_next(&p, 0, 1, &word) && word.n != 5)
		passwords_fitted(&p, p.count - 1);
	assert_memory_equal(word.p, "three", 5);
	assert_true(p.opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_behind_password_are_found_in_many_tongues),
		cmocka_unit_test(html_base64_later_parts_and_the_subject_are_read),
		cmocka_unit_test(the_number_of_words_is_bounded_and_the_set_ones_are_last),
		cmocka_unit_test(the_word_that_fitted_is_tried_first),
	};

	return cmocka_run_group_tests_name("passwords", tests, NULL, NULL);
}
