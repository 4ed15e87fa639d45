#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "av_icap.h"

#define PAGE "HTTP/1.1 403 Forbidden\r\n\r\n"

static const struct {
	const char *text;
	int rc;
	unsigned status, inner;
	bool infected;
	const char *name, *body;
} responses[] = {
	{ "ICAP/1.0 204 No\r\nISTag: \"x\"\r\n\r\n", 1, 204, 0, false, "", "" },
	{ "ICAP/1.0 100 Continue\r\n\r\n", 1, 100, 0, false, "", "" },
	{ "ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\n"
	  "Encapsulated: res-hdr=0, res-body=26\r\n\r\n" PAGE
	  "5\r\nsorry\r\n1;x=y\r\n!\r\n0\r\n\r\n",
		1, 200, 403, true, "Eicar", "sorry!" },
	{ "ICAP/1.0 200 OK\r\nx-virus-id: \x80"
	  "Bad\r\nEncapsulated: null-body=0\r\n\r\n",
		1, 200, 0, true, "?Bad", "" },
	{ "ICAP/1.0 200 OK\r\nX-Violations-Found: 1\r\n\tfile\r\n\tBad.Virus\r\n\t11\r\n\t0\r\n"
	  "Encapsulated: res-hdr=0, null-body=26\r\n\r\n" PAGE,
		1, 200, 403, true, "Bad.Virus", "" },
	{ "ICAP/1.0 200 OK\r\nX-Violations-Found: 0\r\n\r\n", 1, 200, 0, false, "", "" },
	{ "ICAP/1.0 200 OK\r\nX-Violations-Found: 1\r\n\r\n", 1, 200, 0, true, "", "" },
	{ "ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\n3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n",
		1, 200, 0, false, "", "abc" },
	{ "HTTP/1.1 200 OK\r\n\r\n", -1, 0, 0, false, "", "" },
	{ "ICAP/1.0 20\r\n\r\n", -1, 0, 0, false, "", "" },
	{ "ICAP/1.0 200 OK\r\nEncapsulated: res-body=99999999\r\n\r\n", -1, 0, 0, false, "", "" },
	{ "ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\nx\r\n", -1, 0, 0, false, "", "" },
	{ "ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\n-1\r\n", -1, 0, 0, false, "", "" },
	{ "ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\n123456789\r\n", -1, 0, 0, false, "",
		"" },
	{ "ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\nffffffff\r\n", -1, 0, 0, false, "",
		"" },
	{ "ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\n1\r\nab\r\n", -1, 0, 0, false, "",
		"" },
};

static struct icap_reader r;

/* Feed text in pieces; what came of it, and all of the body. */
static int feed(const char *text, size_t n, size_t piece, char *body)
{
	const char *why = "";
	int rc = 0;

	icap_begin(&r);
	body[0] = '\0';
	for (size_t at = 0; at < n && rc == 0; at += piece) {
		struct mw_octets in = mw_octets_of(text + at, n - at < piece ? n - at : piece), got;

		do {
			rc = icap_take(&r, &in, &got, &why);
			if (rc == 2)
				strncat(body, (const char *)got.p, got.n);
		} while (rc == 2);
	}
	return rc;
}

static void responses_are_read_whole_and_octet_by_octet(void **state)
{
	char body[100];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(responses); i++) {
		size_t n = strlen(responses[i].text);

		for (size_t piece = 1; piece <= n; piece += n - 1) {
			assert_int_equal(feed(responses[i].text, n, piece, body), responses[i].rc);
			if (responses[i].rc < 0)
				continue;
			assert_int_equal(r.status, responses[i].status);
			assert_int_equal(r.inner, responses[i].inner);
			assert_int_equal(r.infected, responses[i].infected);
			assert_string_equal(r.name, responses[i].name);
			assert_string_equal(body, responses[i].body);
		}
	}
}

static void a_cut_response_is_not_whole(void **state)
{
	char body[100];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(responses); i++)
		for (size_t n = 0; responses[i].rc > 0 && n < strlen(responses[i].text); n++)
			assert_int_equal(feed(responses[i].text, n, 1000, body), 0);
}

static void options_say_what_a_server_likes(void **state)
{
	static const char text[] = "ICAP/1.0 200 OK\r\nPreview: 1024\r\nAllow: 204, 206\r\n"
				   "Options-TTL: 60\r\nMax-Connections: 12\r\nConnection: close\r\n"
				   "Encapsulated: null-body=0\r\n\r\n";
	char body[100];

	(void)state;
	assert_int_equal(feed(text, sizeof(text) - 1, 1000, body), 1);
	assert_true(r.preview == 1024 && r.allows_204 && r.ttl_s == 60 && r.connections == 12 &&
		    r.close);
}

static void a_header_beyond_its_limit_is_refused(void **state)
{
	static char text[ICAP_HEAD_MAX + 100];
	char body[100];
	int n = snprintf(text, sizeof(text), "ICAP/1.0 200 OK\r\nX: ");

	(void)state;
	memset(text + n, 'x', sizeof(text) - (size_t)n);
	assert_int_equal(feed(text, sizeof(text), 1000, body), -1);
}

static void heads_name_where_what_is(void **state)
{
	struct icap_request q = { "/run/icap.sock", "avscan", false, 68, 30 };
	char buf[ICAP_HEAD_ROOM];
	size_t n = icap_request_head(buf, sizeof(buf), &q);
	const char *inner = strstr(buf, "\r\n\r\n") + 4, *http = strstr(buf, "HTTP/1.1 200 OK");
	char want[80];

	(void)state;
	snprintf(want, sizeof(want), "Encapsulated: req-hdr=0, res-hdr=%zu, res-body=%zu\r\n",
		(size_t)(http - inner), n - (size_t)(inner - buf));
	assert_non_null(strstr(buf, want));
	assert_non_null(strstr(buf, "RESPMOD icap://localhost/avscan ICAP/1.0\r\n"));
	assert_non_null(strstr(buf, "Preview: 30\r\n"));
	assert_int_equal(icap_request_head(buf, 100, &q), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(responses_are_read_whole_and_octet_by_octet),
		cmocka_unit_test(a_cut_response_is_not_whole),
		cmocka_unit_test(options_say_what_a_server_likes),
		cmocka_unit_test(a_header_beyond_its_limit_is_refused),
		cmocka_unit_test(heads_name_where_what_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
