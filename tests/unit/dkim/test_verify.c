/* Signing and verifying, with keys made here: our signer, a second tiny one, and everything that
 * must not pass. */
#include "help.h"
#include <time.h>

#include "keys.h"
#include "sign.h"
#include "verify.h"

#define FROM "From: Ann <ann@example.org>\r\n"
#define SUBJECT "Subject: hello\r\n"
#define HEAD FROM SUBJECT "Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nTo: bob@example.net\r\n"
#define BODY "Hello,\r\n\r\nthis is a mail.\r\n"
#define TAGS "v=1; a=rsa-sha256; c=simple/simple; d=example.org; s=sel; h=from:subject;"

static struct dkimsvc_verifier *verifier;
static struct dkimsvc_signer *signer;
static EVP_PKEY *rsa1024, *rsa2048, *ed25519;
static const atomic_bool never;

static int open_all(void **state)
{
	struct mw_err err;

	(void)state;
	rsa1024 = help_rsa(1024);
	rsa2048 = help_rsa(2048);
	ed25519 = help_ed25519();
	return dkimsvc_verifier_open(&verifier, &err) == MW_OK &&
			       dkimsvc_signer_open(&signer, &err) == MW_OK
		       ? 0
		       : -1;
}

static int close_all(void **state)
{
	(void)state;
	EVP_PKEY_free(rsa1024);
	EVP_PKEY_free(rsa2048);
	EVP_PKEY_free(ed25519);
	dkimsvc_verifier_close(&verifier);
	dkimsvc_signer_close(&signer);
	return 0;
}

/* A mail under test: octets, its index, the signatures found in it. */
struct mail {
	char *octets;
	size_t n;
	struct dkimsvc_message m;
	struct dkimsvc_checked checked[DKIMSVC_SIGNATURES_MAX];
	size_t count;
};

static void mail_open(struct mail *mail, const char *octets, size_t n, uint64_t now_s)
{
	struct mw_job job;

	memset(mail, 0, sizeof(*mail));
	mail->octets = malloc(n > 0 ? n : 1);
	memcpy(mail->octets, octets, n);
	mail->n = n;
	job = help_job(mail->octets, n);
	assert_int_equal(dkimsvc_message_open(&mail->m, &job), MW_OK);
	for (size_t i = 0; i < mail->m.header.count && mail->count < DKIMSVC_SIGNATURES_MAX; i++) {
		const struct mw_field *f = &mail->m.header.fields[i];

		if (f->id != MW_H_DKIM_SIGNATURE)
			continue;
		mail->checked[mail->count].field = f;
		dkimsvc_sig_scan(mw_field_value(&mail->m.header, f), now_s,
			&mail->checked[mail->count++].sig);
	}
}

static void mail_close(struct mail *mail)
{
	dkimsvc_message_fini(&mail->m);
	free(mail->octets);
}

static void give_record(struct dkimsvc_checked *c, const char *record)
{
	unsigned char rdata[2048];
	struct mw_dns_answer txt = { .state = MW_DNS_FOUND, .count = 1 };

	txt.records[0] = mw_octets_of(rdata, help_rdata(record, rdata, sizeof(rdata)));
	dkimsvc_key_choose(&txt, c->sig.alg, &c->key);
}

/* Verify octets with one record for all signatures; the first one's outcome. */
static struct dkimsvc_checked verify_record(
	const char *octets, size_t n, const char *record, uint64_t now_s)
{
	struct dkimsvc_checked first;
	struct mail mail;

	mail_open(&mail, octets, n, now_s);
	assert_true(mail.count > 0);
	for (size_t i = 0; i < mail.count; i++)
		give_record(&mail.checked[i], record);
	assert_int_equal(
		dkimsvc_verify(verifier, &mail.m, mail.checked, mail.count, &never), MW_OK);
	first = mail.checked[0];
	mail_close(&mail);
	return first;
}

static struct dkimsvc_checked verify(const char *text, EVP_PKEY *key)
{
	char record[2500];

	help_record(key, record, sizeof(record));
	return verify_record(text, strlen(text), record, (uint64_t)time(NULL));
}

static char *join(const char *a, const char *b, const char *c)
{
	char *text;

	assert_true(asprintf(&text, "%s%s%s", a, b, c) > 0);
	return text;
}

/* Sign head + body with our signer; the mail with its signature on top, to be freed. NULL: refused.
 */
static char *sign_with(const struct dkimsvc_sign_order *order, const char *head, const char *body,
	enum mw_rc *rc_r)
{
	struct mw_job job = { .part_count = 2 };
	struct dkimsvc_message m = { 0 };
	struct dkimsvc_body_hashes hashes = { 0 };
	struct mw_text fields = { 0 };
	struct mw_err err = { "" };
	char *section = join(head, "\r\n", ""), *all = NULL;

	job.parts[0] = mw_octets_of(section, strlen(section));
	job.parts[1] = mw_octets_of(body, strlen(body));
	assert_int_equal(dkimsvc_message_open(&m, &job), MW_OK);
	*rc_r = dkimsvc_sign(signer, &m, order, &hashes, &fields, &never, &err);
	if (*rc_r == MW_OK)
		all = join(fields.p, section, body);
	else
		assert_int_equal(fields.n, 0);
	dkimsvc_message_fini(&m);
	mw_text_fini(&fields);
	free(section);
	return all;
}

static struct dkimsvc_sign_order order_of(const struct dkimsvc_signing_key *key)
{
	return (struct dkimsvc_sign_order){
		.key = key, .domain = "example.org", .identity = "", .now_s = (uint64_t)time(NULL)
	};
}

static char *sign(EVP_PKEY *pkey, const char *head, const char *body)
{
	struct dkimsvc_key_ring *ring = help_ring(pkey);
	struct dkimsvc_sign_order order = order_of(dkimsvc_keys_find(ring, "example.org", "sel"));
	enum mw_rc rc;
	char *all;

	all = sign_with(&order, head, body, &rc);
	assert_int_equal(rc, MW_OK);
	dkimsvc_keys_unref(&ring);
	return all;
}

/* Replace the first occurrence of `from`, same length. */
static void alter(char *text, const char *from, const char *to)
{
	char *at = strstr(text, from);

	assert_non_null(at);
	assert_int_equal(strlen(from), strlen(to));
	memcpy(at, to, strlen(to));
}

/* ------------------------------------------------------------------ our signatures */

static void what_we_sign_verifies_with_its_bits(void **state)
{
	EVP_PKEY *const keys[] = { rsa1024, rsa2048, ed25519 };
	static const unsigned bits[] = { 1024, 2048, 256 };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(keys); i++) {
		char *mail = sign(keys[i], HEAD, BODY);
		struct dkimsvc_checked c = verify(mail, keys[i]);

		assert_null(c.sig.error);
		assert_int_equal(c.result, DKIMSVC_PASS);
		assert_string_equal(c.reason, "");
		assert_int_equal(c.bits, bits[i]);
		assert_string_equal(c.sig.d, "example.org");
		free(mail);
	}
}

/* The first field of a mail without its blanks and folds, to be freed. Every fold is followed by a
 * blank. */
static char *flat_field(const char *mail, const char *next)
{
	const char *end = strstr(mail, next);
	char *flat = strdup(mail), *to = flat;

	assert_non_null(end);
	for (const char *c = mail; c < end; c++) {
		if (*c == '\n')
			assert_true(c[-1] == '\r' && (c + 1 == end || c[1] == '\t'));
		if (*c != '\r' && *c != '\n' && *c != '\t' && *c != ' ')
			*to++ = *c;
	}
	*to = '\0';
	return flat;
}

static void a_new_field_is_folded_ends_in_crlf_and_oversigns(void **state)
{
	char *mail = sign(rsa2048, HEAD, BODY), *flat = flat_field(mail, "From: ");

	(void)state;
	assert_int_equal(strncmp(mail, "DKIM-Signature: v=1;", 20), 0);
	assert_non_null(strstr(mail, "\r\nFrom: "));
	assert_non_null(strstr(flat, "c=relaxed/simple"));
	assert_non_null(strstr(flat,
		"h=From:Subject:Date:From:Date:Subject:Content-Type;")); /* To is not signed */
	for (const char *line = mail, *end; (end = strstr(line, "\r\n")) != NULL; line = end + 2)
		assert_true(end - line <= 78);
	free(flat);
	free(mail);
}

static void altered_header_body_or_signature_does_not_pass(void **state)
{
	static const struct {
		const char *from, *to, *reason;
	} cases[] = {
		{ "Subject: hello", "Subject: hallo", "signature did not verify" },
		{ "this is a mail", "this is a maid", "body has been altered" },
		{ "ann@example.org", "bob@example.org", "signature did not verify" },
		{ "\tbh=", "\tbH=", NULL },
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char *mail = sign(ed25519, HEAD, BODY);
		struct dkimsvc_checked c;

		alter(mail, cases[i].from, cases[i].to);
		c = verify(mail, ed25519);
		assert_int_equal(c.result, DKIMSVC_FAIL);
		assert_string_equal(c.reason, cases[i].reason);
		assert_int_equal(c.bits, 256);
		free(mail);
	}
}

static void a_field_added_to_an_oversigned_one_breaks_the_signature(void **state)
{
	char *mail = sign(rsa1024, HEAD, BODY);
	char *two = join("From: mallory@example.com\r\n", mail, ""),
	     *below = strstr(mail, "\r\n\r\n"), *more;
	char *to = join("To: carol@example.net\r\n", mail, "");

	(void)state;
	assert_int_equal(verify(two, rsa1024).result, DKIMSVC_FAIL);
	assert_int_equal(verify(to, rsa1024).result, DKIMSVC_PASS); /* To is free to change */
	below[2] = '\0';
	more = join(mail, "From: mallory@example.com\r\n\r\n", BODY);
	assert_int_equal(verify(more, rsa1024).result, DKIMSVC_FAIL);
	free(more);
	free(to);
	free(two);
	free(mail);
}

static void every_canonicalization_and_body_shape_round_trips(void **state)
{
	static const char *const bodies[] = { "", "\r\n", "\r\n\r\n\r\n", "x", "x\r\n",
		"x \t y  \r\n\r\n", "no end of line", "a\r\n.\r\n..\r\n", "8-bit \xe4\xff\r\n",
		"bare\rreturn\r\n", "ends in return\r" };
	struct dkimsvc_key_ring *ring = help_ring(ed25519);

	(void)state;
	for (size_t i = 0; i < MW_COUNT(bodies) * 4; i++) {
		struct dkimsvc_signing_key key = *dkimsvc_keys_find(ring, "example.org", "sel");
		struct dkimsvc_sign_order order = order_of(&key);
		enum mw_rc rc;
		char *mail;

		key.header_relaxed = (i & 1) != 0;
		key.body_relaxed = (i & 2) != 0;
		mail = sign_with(&order, HEAD, bodies[i / 4], &rc);
		assert_int_equal(rc, MW_OK);
		if (verify(mail, ed25519).result != DKIMSVC_PASS)
			print_error("body %zu way %zu: %s\n", i / 4, i % 4,
				verify(mail, ed25519).reason);
		assert_int_equal(verify(mail, ed25519).result, DKIMSVC_PASS);
		free(mail);
	}
	dkimsvc_keys_unref(&ring);
}

static void a_large_body_is_hashed_across_its_pieces(void **state)
{
	size_t n = 3 * DKIMSVC_CHUNK_OCTETS + 17;
	char *body = malloc(n + 1), *mail;

	(void)state;
	for (size_t i = 0; i < n; i++)
		body[i] = i % 71 == 69 ? '\r' : i % 71 == 70 ? '\n' : 'a';
	memset(body + 70000, 'b', 80000); /* and a line longer than a piece */
	body[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (body[i] == '\n' && body[i - 1] != '\r')
			body[i] = 'c';
	mail = sign(ed25519, HEAD, body);
	assert_int_equal(verify(mail, ed25519).result, DKIMSVC_PASS);
	mail[strlen(mail) - 40] ^= 1;
	assert_int_equal(verify(mail, ed25519).result, DKIMSVC_FAIL);
	free(mail);
	free(body);
}

static void orders_choose_fields_identity_and_time_to_live(void **state)
{
	const struct mw_octets names[] = { mw_octets_of_text("to"), mw_octets_of_text("TO"),
		mw_octets_of_text("X-Mine") };
	struct dkimsvc_key_ring *ring = help_ring(ed25519);
	char *mail, *flat;
	struct dkimsvc_signing_key key = *dkimsvc_keys_find(ring, "example.org", "sel");
	struct dkimsvc_sign_order order = { .key = &key,
		.domain = "example.org",
		.identity = "@mail.example.org",
		.now_s = (uint64_t)time(NULL),
		.ttl_s = 60,
		.name_count = 3,
		.names = names };
	struct dkimsvc_checked c;
	char record[2500];
	enum mw_rc rc;

	(void)state;
	mail = sign_with(&order, HEAD "X-Mine: 1\r\nX-Mine: 2\r\n", BODY, &rc);
	assert_int_equal(rc, MW_OK);
	flat = flat_field(mail, "From: ");
	assert_non_null(strstr(flat, "i=@mail.example.org;h=From:To:X-Mine:X-Mine:to;"));
	free(flat);
	help_record(ed25519, record, sizeof(record));
	c = verify_record(mail, strlen(mail), record, (uint64_t)time(NULL));
	assert_int_equal(c.result, DKIMSVC_PASS);
	assert_string_equal(c.sig.i, "@mail.example.org");
	assert_int_equal(c.sig.x - c.sig.t, 60);
	c = verify_record(mail, strlen(mail), record, (uint64_t)time(NULL) + 62);
	assert_int_equal(c.result, DKIMSVC_FAIL);
	assert_true(c.sig.expired);
	assert_string_equal(c.reason, "signature expired");
	assert_int_equal(c.bits, 256); /* measured all the same */
	free(mail);
	dkimsvc_keys_unref(&ring);
}

static void mail_that_cannot_be_signed_is_refused(void **state)
{
	static const struct {
		const char *head, *body;
	} cases[] = { { "Subject: x\r\n", BODY },
		{ "From: a@example.org\r\nSubject: a\nb\r\n", BODY }, { FROM, "bare\nfeed\r\n" } };
	static const char nul[] = "From: a@example.org\r\nSubject: a\0b\r\n\r\n";
	struct dkimsvc_key_ring *ring = help_ring(ed25519);
	char *many = calloc(1, 20000);
	struct dkimsvc_body_hashes hashes = { 0 };
	struct dkimsvc_signing_key key = *dkimsvc_keys_find(ring, "example.org", "sel");
	struct dkimsvc_sign_order order = order_of(&key);
	struct mw_job job = help_job(nul, sizeof(nul) - 1);
	struct dkimsvc_message m = { 0 };
	struct mw_text fields = { 0 };
	struct mw_err err;
	enum mw_rc rc;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		assert_null(sign_with(&order, cases[i].head, cases[i].body, &rc));
		assert_int_equal(rc, MW_ERR_PROTO);
	}
	assert_int_equal(dkimsvc_message_open(&m, &job), MW_OK);
	assert_int_equal(
		dkimsvc_sign(signer, &m, &order, &hashes, &fields, &never, &err), MW_ERR_PROTO);
	dkimsvc_message_fini(&m);
	strcpy(many, FROM);
	for (int i = 1; i < DKIMSVC_SIGNED_FIELDS_MAX; i++)
		strcat(many, "Subject: x\r\n");
	free(sign_with(&order, many, BODY, &rc));
	assert_int_equal(rc, MW_OK);
	strcat(many, "Subject: x\r\n");
	assert_null(sign_with(&order, many, BODY, &rc));
	assert_int_equal(rc, MW_ERR_LIMIT);
	free(many);
	dkimsvc_keys_unref(&ring);
}

/* ------------------------------------------------------------------ signatures by the second
 * signer */

static void a_signature_made_without_libopendkim_verifies(void **state)
{
	EVP_PKEY *const keys[] = { rsa1024, rsa2048 };
	char *field, *mail;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(keys); i++) {
		field = help_signature(keys[i], TAGS, FROM SUBJECT, BODY, strlen(BODY));
		mail = join(field, HEAD "\r\n", BODY);
		assert_int_equal(verify(mail, keys[i]).result, DKIMSVC_PASS);
		free(mail);
		free(field);
	}
	field = help_signature(ed25519,
		"v=1; a=ed25519-sha256; c=simple/simple; d=example.org; s=sel; h=from:subject;",
		FROM SUBJECT, BODY, strlen(BODY));
	mail = join(field, HEAD "\r\n", BODY);
	assert_int_equal(verify(mail, ed25519).result, DKIMSVC_PASS);
	free(mail);
	free(field);
}

static void more_names_in_h_than_fields_do_no_harm(void **state)
{
	/* Every field of the mail is chosen and h= goes on: libopendkim needs a spare place then.
	 */
	static const char tags[] =
		"v=1; a=rsa-sha256; c=simple/simple; d=example.org; s=sel;"
		" h=from:subject:from:subject:date:to:cc:x:y:z:received:received;";
	char *field = help_signature(rsa1024, tags, FROM SUBJECT, BODY, strlen(BODY));

	(void)state;
	for (int i = 0; i < 20; i++) {
		char *mail = join(field, FROM SUBJECT "\r\n", BODY);

		assert_int_equal(verify(mail, rsa1024).result, DKIMSVC_PASS);
		free(mail);
	}
	free(field);
}

static void a_length_that_ends_before_the_body_does_passes_and_one_beyond_fails(void **state)
{
	char *field = help_signature(rsa1024, TAGS " l=8;", FROM SUBJECT, BODY, 8),
	     *mail = join(field, HEAD "\r\n", BODY);

	(void)state;
	assert_int_equal(verify(mail, rsa1024).result, DKIMSVC_PASS);
	free(mail);
	free(field);
	field = help_signature(rsa1024, TAGS " l=99;", FROM SUBJECT, BODY, strlen(BODY));
	mail = join(field, HEAD "\r\n", BODY);
	assert_int_equal(verify(mail, rsa1024).result, DKIMSVC_FAIL);
	free(mail);
	free(field);
}

static void what_the_key_forbids_is_permerror(void **state)
{
	static const struct {
		const char *prefix, *tags, *reason;
	} cases[] = {
		{ "v=DKIM1; t=s; ", TAGS " i=@sub.example.org;",
			"the key does not allow sub-domains in i=" },
		{ "v=DKIM1; h=sha1; ", TAGS, "the key does not allow this hash" },
		{ "v=DKIM1; s=tlsrpt; ", TAGS, "the key is not for mail" },
		{ "v=DKIM1; p=MIGf; n=", TAGS, "no valid key record" }, /* p= twice */
	};
	char record[2500], with[3000];

	(void)state;
	help_record(rsa1024, record, sizeof(record));
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		char *field =
			help_signature(rsa1024, cases[i].tags, FROM SUBJECT, BODY, strlen(BODY));
		char *mail = join(field, HEAD "\r\n", BODY);
		struct dkimsvc_checked c;

		snprintf(with, sizeof(with), "%s%s", cases[i].prefix, record + strlen("v=DKIM1; "));
		c = verify_record(mail, strlen(mail), with, (uint64_t)time(NULL));
		assert_int_equal(c.result, DKIMSVC_PERMERROR);
		assert_string_equal(c.reason, cases[i].reason);
		free(mail);
		free(field);
	}
}

static void keys_that_are_no_keys_are_permerror_and_wrong_keys_fail(void **state)
{
	char *mail = sign(rsa1024, HEAD, BODY);
	uint64_t now = (uint64_t)time(NULL);

	(void)state;
	assert_int_equal(verify_record(mail, strlen(mail), "v=DKIM1; p=AAAA", now).result,
		DKIMSVC_PERMERROR);
	assert_int_equal(
		verify_record(mail, strlen(mail), "v=DKIM1; p=*", now).result, DKIMSVC_PERMERROR);
	assert_int_equal(
		verify_record(mail, strlen(mail), "v=DKIM1; p=", now).result, DKIMSVC_PERMERROR);
	assert_int_equal(verify(mail, rsa2048).result, DKIMSVC_FAIL);
	assert_string_equal(verify(mail, ed25519).reason, "key of another type");
	free(mail);
}

static void a_key_in_test_mode_passes_and_says_so(void **state)
{
	char *mail = sign(ed25519, HEAD, BODY), record[2500], with[2600];
	struct dkimsvc_checked c;

	(void)state;
	help_record(ed25519, record, sizeof(record));
	snprintf(with, sizeof(with), "v=DKIM1; t=y; %s", record + strlen("v=DKIM1; "));
	c = verify_record(mail, strlen(mail), with, (uint64_t)time(NULL));
	assert_int_equal(c.result, DKIMSVC_PASS);
	assert_true(c.key.testing);
	assert_string_equal(c.reason, "test mode");
	free(mail);
}

/* ------------------------------------------------------------------ several at once, and hostile
 * messages */

static void each_of_many_signatures_gets_its_own_result(void **state)
{
	char *good = help_signature(rsa1024, TAGS, FROM SUBJECT, BODY, strlen(BODY)), record[2500];
	char *bad = help_signature(rsa1024, TAGS, FROM SUBJECT, "other\r\n", 7),
	     *text = calloc(1, 40000);
	struct mw_dns_answer silent = { .state = MW_DNS_FAILED,
		.why = "DNS did not answer in time" };
	struct mail mail;

	(void)state;
	help_record(rsa1024, record, sizeof(record));
	for (int i = 0; i < 20; i++)
		strcat(text, i % 4 == 0	  ? good
			     : i % 4 == 1 ? bad
			     : i % 4 == 2 ? "DKIM-Signature: v=1; nonsense\r\n"
					  : good);
	strcat(text, HEAD "\r\n" BODY);
	mail_open(&mail, text, strlen(text), (uint64_t)time(NULL));
	assert_int_equal(mail.count, 20);
	for (size_t i = 0; i < 20; i++) {
		give_record(&mail.checked[i], record);
		if (i % 4 == 3)
			dkimsvc_key_choose(&silent, DKIMSVC_RSA_SHA256, &mail.checked[i].key);
	}
	assert_int_equal(dkimsvc_verify(verifier, &mail.m, mail.checked, 20, &never), MW_OK);
	for (size_t i = 0; i < 20; i++) {
		static const enum dkimsvc_result want[] = { DKIMSVC_PASS, DKIMSVC_FAIL,
			DKIMSVC_NEUTRAL, DKIMSVC_TEMPERROR };

		assert_int_equal(mail.checked[i].result, want[i % 4]);
		assert_non_null(mail.checked[i].reason);
	}
	mail_close(&mail);
	free(text);
	free(bad);
	free(good);
}

static void a_signature_beyond_those_checked_is_not_given_to_the_library(void **state)
{
	char *good = help_signature(rsa1024, TAGS, FROM SUBJECT, BODY, strlen(BODY)),
	     *twice = join(good, good, HEAD "\r\n");
	char *text = join(twice, BODY, ""), record[2500];
	struct mail mail;

	(void)state;
	help_record(rsa1024, record, sizeof(record));
	mail_open(&mail, text, strlen(text), (uint64_t)time(NULL));
	give_record(&mail.checked[0], record);
	assert_int_equal(dkimsvc_verify(verifier, &mail.m, mail.checked, 1, &never), MW_OK);
	assert_int_equal(mail.checked[0].result, DKIMSVC_PASS);
	mail_close(&mail);
	free(text);
	free(twice);
	free(good);
}

static void nul_and_bare_line_feeds_never_pass(void **state)
{
	char *good = help_signature(rsa1024, TAGS, FROM SUBJECT, BODY, strlen(BODY)), record[2500];
	static const char after[] = FROM "Subject: hello\0 and more\r\n\r\n" BODY;
	char text[8000];
	size_t n = strlen(good);
	struct dkimsvc_checked c;

	(void)state;
	help_record(rsa1024, record, sizeof(record));
	memcpy(text, good, n);
	memcpy(text + n, after, sizeof(after) - 1);
	c = verify_record(text, n + sizeof(after) - 1, record, (uint64_t)time(NULL));
	assert_int_equal(c.result, DKIMSVC_PERMERROR);
	assert_string_equal(c.reason, "NUL in the header");
	snprintf(text, sizeof(text), "%s" HEAD "\r\nHello,\n\r\nthis is a mail.\r\n", good);
	c = verify_record(text, strlen(text), record, (uint64_t)time(NULL));
	assert_int_equal(c.result, DKIMSVC_PERMERROR);
	assert_string_equal(c.reason, "line feed without carriage return");
	free(good);
}

static void odd_headers_do_not_disturb_a_signature(void **state)
{
	char *good = help_signature(rsa1024, TAGS, FROM SUBJECT, BODY, strlen(BODY));
	static const char *const odd[] = { "no field at all\r\n", ": empty name\r\n",
		"X;Y: semicolon\r\n", "X-8bit: \xe4\xf6\r\n", "X-Empty:\r\n",
		"X-Fold:\r\n \r\n\t\r\n", "x y: blank\r\n", "From : obsolete\r\n",
		"DKIM-Signature:\r\n", "DKIM-Signature: ;\r\n", "DKIM-Signature : v=1\r\n" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(odd); i++) {
		char *mail = join(good, HEAD, "\r\n" BODY),
		     *with = join(good, odd[i], HEAD "\r\n" BODY);

		if (i != 7) /* a From above the signed one is no instance that h= takes: from the
			       bottom up */
			assert_int_equal(verify(with, rsa1024).result, DKIMSVC_PASS);
		free(with);
		free(mail);
	}
	free(good);
}

static void a_mail_cut_at_any_octet_is_verified_without_harm(void **state)
{
	char *mail = sign(ed25519, HEAD, BODY), record[2500];
	size_t n = strlen(mail);

	(void)state;
	help_record(ed25519, record, sizeof(record));
	for (size_t cut = 16; cut < n; cut++)
		assert_int_not_equal(verify_record(mail, cut, record, (uint64_t)time(NULL)).result,
			DKIMSVC_PASS + 100);
	/* Without its last line end it is the same mail to DKIM; without more it is not. */
	assert_int_equal(
		verify_record(mail, n - 2, record, (uint64_t)time(NULL)).result, DKIMSVC_PASS);
	assert_int_equal(
		verify_record(mail, n - 3, record, (uint64_t)time(NULL)).result, DKIMSVC_FAIL);
	free(mail);
}

static void work_that_is_stopped_says_gone(void **state)
{
	static const atomic_bool stopped = true;
	char *text = sign(ed25519, HEAD, BODY), record[2500];
	struct mail mail;

	(void)state;
	help_record(ed25519, record, sizeof(record));
	mail_open(&mail, text, strlen(text), (uint64_t)time(NULL));
	give_record(&mail.checked[0], record);
	assert_int_equal(dkimsvc_verify(verifier, &mail.m, mail.checked, 1, &stopped), MW_ERR_GONE);
	mail_close(&mail);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_we_sign_verifies_with_its_bits),
		cmocka_unit_test(a_new_field_is_folded_ends_in_crlf_and_oversigns),
		cmocka_unit_test(altered_header_body_or_signature_does_not_pass),
		cmocka_unit_test(a_field_added_to_an_oversigned_one_breaks_the_signature),
		cmocka_unit_test(every_canonicalization_and_body_shape_round_trips),
		cmocka_unit_test(a_large_body_is_hashed_across_its_pieces),
		cmocka_unit_test(orders_choose_fields_identity_and_time_to_live),
		cmocka_unit_test(mail_that_cannot_be_signed_is_refused),
		cmocka_unit_test(a_signature_made_without_libopendkim_verifies),
		cmocka_unit_test(more_names_in_h_than_fields_do_no_harm),
		cmocka_unit_test(
			a_length_that_ends_before_the_body_does_passes_and_one_beyond_fails),
		cmocka_unit_test(what_the_key_forbids_is_permerror),
		cmocka_unit_test(keys_that_are_no_keys_are_permerror_and_wrong_keys_fail),
		cmocka_unit_test(a_key_in_test_mode_passes_and_says_so),
		cmocka_unit_test(each_of_many_signatures_gets_its_own_result),
		cmocka_unit_test(a_signature_beyond_those_checked_is_not_given_to_the_library),
		cmocka_unit_test(nul_and_bare_line_feeds_never_pass),
		cmocka_unit_test(odd_headers_do_not_disturb_a_signature),
		cmocka_unit_test(a_mail_cut_at_any_octet_is_verified_without_harm),
		cmocka_unit_test(work_that_is_stopped_says_gone),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
