/* Signing keys: which files and entries are taken, and what is said about the others. */
#include "help.h"
#include <sys/stat.h>
#include <unistd.h>

#include "keys.h"

static char folder[] = "/tmp/mw-test-keys-XXXXXX";
static char rsa[128], ed[128];

static void write_file(const char *name, const char *text, mode_t mode, char *path, size_t size)
{
	FILE *f;

	snprintf(path, size, "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static int make_files(void **state)
{
	EVP_PKEY *key;
	char *pem;

	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	key = help_rsa(1024);
	pem = help_pem(key);
	write_file("rsa", pem, 0600, rsa, sizeof(rsa));
	free(pem);
	EVP_PKEY_free(key);
	key = help_ed25519();
	pem = help_pem(key);
	write_file("ed", pem, 0640, ed, sizeof(ed));
	free(pem);
	EVP_PKEY_free(key);
	return 0;
}

static int remove_files(void **state)
{
	char command[200];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

/* dkim_key entries, as the settings give them: {domain, selector, file, option, value}. */
struct entry {
	const char *domain, *selector, *file, *option, *value;
};

static enum mw_rc load(const struct entry *entries, size_t count, struct dkimsvc_key_ring **ring_r,
	struct mw_err *err)
{
	static char *names[] = { (char *)(uintptr_t) "domain", (char *)(uintptr_t) "selector",
		(char *)(uintptr_t) "file", NULL };
	struct mw_val fields[8][4], rows[8],
		list = { .tag = MW_V_TABLE, .count = count, .is_array = true, .vals = rows };
	char *keys[8][4];

	memset(fields, 0, sizeof(fields));
	for (size_t i = 0; i < count; i++) {
		const char *texts[] = { entries[i].domain, entries[i].selector, entries[i].file,
			entries[i].value };

		memcpy(keys[i], names, sizeof(names));
		keys[i][3] = (char *)(uintptr_t)entries[i].option;
		for (int j = 0; j < 4; j++)
			fields[i][j] = (struct mw_val){ .tag = MW_V_STR,
				.str = (char *)(uintptr_t)texts[j] };
		if (entries[i].value != NULL && entries[i].value[0] >= '0' &&
			entries[i].value[0] <= '9')
			fields[i][3] =
				(struct mw_val){ .tag = MW_V_NUM, .num = atof(entries[i].value) };
		rows[i] = (struct mw_val){ .tag = MW_V_TABLE,
			.count = entries[i].option != NULL ? 4 : 3,
			.keys = keys[i],
			.vals = fields[i],
			.line = (unsigned)i + 11 };
	}
	err->text[0] = '\0';
	return dkimsvc_keys_load_val(ring_r, &list, err);
}

static void keys_are_found_by_domain_and_selector(void **state)
{
	const struct entry entries[] = { { "Example.org", "A", rsa },
		{ "example.org", "b", ed, "c", "simple/relaxed" },
		{ "*.example.com", "a", rsa, "ttl", "86400" }, { "x.example.com", "a", ed } };
	const struct dkimsvc_signing_key *key;
	struct dkimsvc_key_ring *ring;
	struct mw_err err;

	(void)state;
	assert_int_equal(load(entries, 4, &ring, &err), MW_OK);
	assert_int_equal(dkimsvc_keys_count(ring), 4);
	key = dkimsvc_keys_find(ring, "EXAMPLE.org", "a");
	assert_non_null(key);
	assert_int_equal(key->alg, DKIMSVC_RSA_SHA256);
	assert_int_equal(key->bits, 1024);
	assert_true(key->header_relaxed && !key->body_relaxed);
	key = dkimsvc_keys_find(ring, "example.org", "b");
	assert_int_equal(key->alg, DKIMSVC_ED25519_SHA256);
	assert_true(!key->header_relaxed && key->body_relaxed);
	key = dkimsvc_keys_find(ring, "y.example.com", "a");
	assert_int_equal(key->ttl_s, 86400);
	assert_int_equal(
		dkimsvc_keys_find(ring, "x.example.com", "a")->alg, DKIMSVC_ED25519_SHA256);
	assert_null(dkimsvc_keys_find(ring, "example.com", "a"));
	assert_null(dkimsvc_keys_find(ring, "badexample.com", "a"));
	assert_null(dkimsvc_keys_find(ring, "example.org", "c"));
	dkimsvc_keys_unref(&ring);
	assert_null(ring);
}

static void the_same_file_is_kept_once(void **state)
{
	const struct entry entries[] = { { "a.example", "s", rsa }, { "b.example", "s", rsa } };
	struct dkimsvc_key_ring *ring;
	struct mw_err err;

	(void)state;
	assert_int_equal(load(entries, 2, &ring, &err), MW_OK);
	assert_ptr_equal(dkimsvc_keys_find(ring, "a.example", "s")->file,
		dkimsvc_keys_find(ring, "b.example", "s")->file);
	dkimsvc_keys_unref(&ring);
}

static void a_ring_lives_as_long_as_somebody_holds_it(void **state)
{
	const struct entry entries[] = { { "a.example", "s", rsa } };
	const unsigned char digest[DKIMSVC_DIGEST_OCTETS] = { 1 };
	unsigned char sig[DKIMSVC_SIGNATURE_OCTETS_MAX];
	struct dkimsvc_key_ring *ring, *held;
	struct mw_err err;
	size_t n;

	(void)state;
	assert_int_equal(load(entries, 1, &ring, &err), MW_OK);
	held = dkimsvc_keys_ref(ring);
	dkimsvc_keys_unref(&ring);
	assert_true(dkimsvc_key_sign(dkimsvc_keys_find(held, "a.example", "s"), digest, sig, &n));
	assert_int_equal(n, 128);
	dkimsvc_keys_unref(&held);
}

static void no_keys_at_all_are_fine(void **state)
{
	struct dkimsvc_key_ring *ring;
	struct mw_val nil = { 0 };

	(void)state;
	assert_int_equal(dkimsvc_keys_load_val(&ring, &nil, NULL), MW_OK);
	assert_int_equal(dkimsvc_keys_count(ring), 0);
	assert_null(dkimsvc_keys_find(ring, "a.example", "s"));
	dkimsvc_keys_unref(&ring);
}

struct bad_files {
	char open[128], weak[128], curve[128], locked[128], text[128], big[128], missing[128],
		fifo[128];
};

static void make_bad_files(struct bad_files *bad)
{
	EVP_PKEY *key = help_rsa(512), *ec = EVP_EC_gen("P-256");
	char *pem = help_pem(key), *large = malloc(DKIMSVC_KEY_FILE_MAX + 2), *data;
	BIO *bio = BIO_new(BIO_s_mem());
	long n;

	write_file("open", pem, 0604, bad->open, sizeof(bad->open));
	write_file("weak", pem, 0600, bad->weak, sizeof(bad->weak));
	free(pem);
	pem = help_pem(ec);
	write_file("curve", pem, 0600, bad->curve, sizeof(bad->curve));
	free(pem);
	PEM_write_bio_PrivateKey(
		bio, key, EVP_aes_128_cbc(), (const unsigned char *)"x", 1, NULL, NULL);
	n = BIO_get_mem_data(bio, &data);
	pem = strndup(data, (size_t)n);
	write_file("locked", pem, 0600, bad->locked, sizeof(bad->locked));
	free(pem);
	BIO_free(bio);
	write_file("text", "hello\n", 0600, bad->text, sizeof(bad->text));
	memset(large, 'x', DKIMSVC_KEY_FILE_MAX + 1);
	large[DKIMSVC_KEY_FILE_MAX + 1] = '\0';
	write_file("big", large, 0600, bad->big, sizeof(bad->big));
	free(large);
	snprintf(bad->missing, sizeof(bad->missing), "%s/missing", folder);
	snprintf(bad->fifo, sizeof(bad->fifo), "%s/fifo", folder);
	assert_int_equal(mkfifo(bad->fifo, 0600), 0);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ec);
}

static void wrong_entries_are_refused_with_line_and_reason(void **state)
{
	static struct bad_files bad;
	struct dkimsvc_key_ring *ring;
	struct mw_err err;
	const struct {
		struct entry entry;
		const char *says;
	} cases[] = {
		{ { "a.example", "s", bad.open }, "its mode 0604 gives it to everybody" },
		{ { "a.example", "s", bad.weak },
			"an RSA key of 512 bits; 1024 to 8192 are allowed" },
		{ { "a.example", "s", bad.curve }, "neither an RSA nor an Ed25519 key" },
		{ { "a.example", "s", bad.locked },
			"not a private key in PEM without a passphrase" },
		{ { "a.example", "s", bad.text }, "not a private key in PEM" },
		{ { "a.example", "s", bad.big }, "65537 octets; a key file has 1 to 65536" },
		{ { "a.example", "s", bad.missing }, "No such file" },
		{ { "a.example", "s", bad.fifo }, "not a regular file" },
		{ { "a.example", "s", folder }, "not a regular file" },
		{ { "", "s", rsa }, "domain '' is no domain name" },
		{ { "a..example", "s", rsa }, "domain 'a..example' is no domain name" },
		{ { "a.*.example", "s", rsa }, "is no domain name" },
		{ { "a.example", "s/t", rsa }, "selector 's/t' is no name" },
		{ { "a.example", "s", rsa, "c", "relaxed/nofws" },
			"option c: c is relaxed or simple" },
		{ { "a.example", "s", rsa, "k", "ed25519" }, "k is not the type of the key" },
		{ { "a.example", "s", ed, "a", "rsa-sha256" }, "a does not suit the key" },
		{ { "a.example", "s", ed, "ttl", "soon" }, "ttl is a number of seconds" },
		{ { "a.example", "s", ed, "h", "sha1" }, "h does not allow sha256" },
		{ { "a.example", "s", ed, "s", "tlsrpt" }, "s does not allow email" },
		{ { "a.example", "s", ed, "colour", "red" }, "option colour: unknown option" },
	};

	(void)state;
	make_bad_files(&bad);
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		assert_int_equal(load(&cases[i].entry, 1, &ring, &err), MW_ERR_CONF);
		assert_null(ring);
		if (strstr(err.text, cases[i].says) == NULL)
			print_error("%s\n", err.text);
		assert_non_null(strstr(err.text, cases[i].says));
		assert_non_null(strstr(err.text, "line 11"));
		assert_null(strstr(err.text, "BEGIN"));
	}
}

static void all_wrong_entries_are_told_at_once(void **state)
{
	const struct entry entries[] = { { "a.example", "s", "/nonexistent/1" },
		{ "b.example", "s", rsa }, { "B.example", "S", ed } };
	struct dkimsvc_key_ring *ring;
	struct mw_err err;

	(void)state;
	assert_int_equal(load(entries, 3, &ring, &err), MW_ERR_CONF);
	assert_non_null(strstr(err.text, "line 11: key file /nonexistent/1: No such file"));
	assert_non_null(strstr(err.text, "line 13: b.example with selector s has a key already"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_found_by_domain_and_selector),
		cmocka_unit_test(the_same_file_is_kept_once),
		cmocka_unit_test(a_ring_lives_as_long_as_somebody_holds_it),
		cmocka_unit_test(no_keys_at_all_are_fine),
		cmocka_unit_test(wrong_entries_are_refused_with_line_and_reason),
		cmocka_unit_test(all_wrong_entries_are_told_at_once),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
