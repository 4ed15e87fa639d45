/* fuzz: common */
/* Keys of an address: whatever it holds they are bounded and lie in their buffers, the address as a
 * key of a table is found again, and tables answer or not, but never read beyond them. First octet:
 * which delimiter, whether case counts. */
#include <stdlib.h>

#include "lookup_keys.h"
#include "lookup_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

static bool inside(const char *buf, size_t size, const char *p, size_t n)
{
	return p >= buf && p + n <= buf + size;
}

static void look_at(const struct mw_keys *k)
{
	require(k->count >= 2 && k->count <= MW_KEYS_MAX);
	for (size_t i = 0; i < k->count; i++) {
		const struct mw_key *key = &k->key[i];

		require(key->n < MW_KEYS_TEXT_MAX);
		require(key->n <= 1 || inside(k->text, sizeof(k->text), key->p, key->n) ||
			inside(k->plain, sizeof(k->plain), key->p, key->n) ||
			inside(k->dotted, sizeof(k->dotted), key->p, key->n));
	}
	require(k->user.n + k->extension.n == k->full_local.n);
	require(inside(k->given, sizeof(k->given), (const char *)k->raw.p, k->raw.n));
}

static void ask(struct mw_keys *k, const char *address, bool case_sensitive)
{
	const struct mw_lookup_options o = { .want = MW_WANT_TEXT,
		.case_sensitive = case_sensitive };
	struct mw_table list = { 0 };
	struct mw_hash *h = mw_hash_new();
	struct mw_pool *pool = mw_hash_pool(h);
	struct mw_lookup_result r = { .value.type = MW_VALUE_UNDEF };
	struct mw_cell c;
	size_t at = 0;

	require(mw_cell_of_text(&c, "$1|$2|$3|$4|$5", MW_WANT_TEXT, pool, NULL) == MW_OK);
	require(mw_hash_entry(h, address, &c, &o, NULL) == MW_OK);
	/* An address is a key of its own table, whatever form it has: but bare keys are domains
	 * there. */
	if (memchr(k->key[0].p, '@', k->key[0].n) != NULL && k->domain.n > 0)
		require(mw_hash_find(h, k, &at, &r));
	require(mw_list_new(&list, &o));
	require(mw_list_add(&list, address, &o, NULL) == MW_OK);
	require(mw_list_add(&list, ".", &o, NULL) == MW_OK);
	require(mw_hash_first(list.hash, k, MW_KEY_ADDRESS, &r));
	mw_table_fini(&list);
	mw_hash_destroy(&h);
}

/* An author and a signature, as one key of a table and as two texts of a mail, are found again. */
static void ask_author(const char *key, const char *delimiters, bool case_sensitive)
{
	const struct mw_lookup_options o = {
		.key = MW_KEY_AUTHOR, .want = MW_WANT_BOOL, .case_sensitive = case_sensitive
	};
	size_t n = mw_keys_find_suffix(key), at = 0;
	struct mw_hash *h;
	struct mw_lookup_result r;
	struct mw_cell c = { .type = MW_VALUE_BOOL, .b = true };
	struct mw_keys k;
	struct mw_err err;
	char *author;

	require(n <= strlen(key));
	if (key[n] == '\0')
		return;
	author = strndup(key, n);
	h = mw_hash_new();
	require(author != NULL && h != NULL);
	mw_keys_same_domain(author, key + n + 2);
	mw_keys_of_author(&k, author, key + n + 2, delimiters, case_sensitive);
	if (!k.too_long && mw_hash_entry(h, key, &c, &o, &err) == MW_OK &&
		memchr(k.key[0].p, '@', k.key[0].n) != NULL && k.domain.n > 0)
		require(mw_hash_find(h, &k, &at, &r));
	require(k.too_long || (k.given[k.raw.n + k.suffix.n] == '\0' && k.suffix.n >= 2));
	mw_hash_destroy(&h);
	free(author);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const delimiters[] = { NULL, "+", "-", "+-=" };
	char *address;
	struct mw_keys k;
	bool case_sensitive;

	if (size == 0)
		return 0;
	address = strndup((const char *)data + 1, size - 1);
	require(address != NULL);
	case_sensitive = (data[0] & 4) != 0;
	mw_keys_of_address(&k, address, delimiters[data[0] & 3], case_sensitive);
	require(k.too_long == (strlen(address) > MW_LOOKUP_KEY_MAX));
	if (!k.too_long) {
		look_at(&k);
		ask(&k, address, case_sensitive);
	}
	ask_author(address, delimiters[data[0] & 3], case_sensitive);
	free(address);
	return 0;
}
