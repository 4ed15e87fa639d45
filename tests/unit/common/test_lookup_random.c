/* Random lists and hashes against a naive reading of the rules, with fixed seeds. */
#include "lookup_help.h"

#include "lookup_priv.h"

#define ENTRIES_MAX 60
#define ASKED 100
#define ROUNDS 300

static uint64_t seed;

static unsigned next_random(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 11) % below;
}

/* Few labels, so that entries and addresses meet. */
static void random_domain(char *buf, size_t size)
{
	static const char *const labels[] = { "a", "b", "example", "com" };
	unsigned n = 1 + next_random(4);

	buf[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		size_t had = strlen(buf);

		snprintf(buf + had, size - had, "%s%s", i > 0 ? "." : "", labels[next_random(4)]);
	}
}

static void random_address(char *buf, size_t size)
{
	static const char *const locals[] = { "u", "v", "u+x", "v+y+z" };
	char domain[80];

	random_domain(domain, sizeof(domain));
	if (next_random(30) == 0)
		buf[0] = '\0';
	else
		snprintf(buf, size, "%s@%s", locals[next_random(4)], domain);
}

static void random_entry(char *buf, size_t size, bool is_list)
{
	char text[100];

	switch (next_random(8)) {
	case 0:
		strcpy(text, next_random(3) == 0 ? "." : "");
		break;
	case 1:
	case 2:
		random_address(text, sizeof(text));
		break;
	case 3:
		strcpy(text, is_list ? "b" : next_random(2) ? "u@" : "u+x@");
		break;
	case 4:
		random_domain(text, sizeof(text));
		break;
	default:
		text[0] = '.';
		random_domain(text + 1, sizeof(text) - 1);
	}
	snprintf(buf, size, "%s%s", is_list ? &"!!"[next_random(3)] : "", text);
}

/* ------------------------------------------------------------------ lists */

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

static bool naive_entry(const char *entry, const char *address)
{
	const char *at = strchr(address, '@');
	char dotted[120];

	if (strcmp(entry, ".") == 0)
		return true;
	if (*entry == '\0')
		return *address == '\0';
	if (strchr(entry, '@') != NULL)
		return strcmp(entry, address) == 0;
	if (at == NULL)
		return false;
	snprintf(dotted, sizeof(dotted), ".%s", at + 1);
	return entry[0] == '.' ? ends_with(dotted, entry) : strcmp(entry, at + 1) == 0;
}

/* 1, 0, -1: nothing matched. */
static int naive_list(char entries[][120], size_t count, const char *address)
{
	for (size_t i = 0; i < count; i++) {
		const char *e = entries[i];
		int yes = 1;

		for (; *e == '!'; e++)
			yes = !yes;
		if (naive_entry(e, address))
			return yes;
	}
	return -1;
}

static void lists_say_what_a_walk_through_them_says(void **state)
{
	static const struct mw_lookup_options o = { .want = MW_WANT_BOOL, .delimiters = "+" };
	static char entries[ENTRIES_MAX][120];

	(void)state;
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		struct mw_table t = { 0 };
		size_t count;

		seed = round * 0x9e3779b97f4a7c15u;
		count = next_random(ENTRIES_MAX);
		assert_true(mw_list_new(&t, &o));
		for (size_t i = 0; i < count; i++) {
			random_entry(entries[i], sizeof(entries[i]), true);
			assert_int_equal(mw_list_add(&t, entries[i], &o, NULL), MW_OK);
		}
		for (size_t i = 0; i < ASKED; i++) {
			char address[120];
			struct mw_lookup_result r;
			struct mw_keys k;
			int got = -1, want;

			random_address(address, sizeof(address));
			want = naive_list(entries, count, address);
			mw_keys_of_address(&k, address, "+", false);
			if (mw_hash_first(t.hash, &k, MW_KEY_ADDRESS, &r))
				got = r.value.b;
			if (got != want)
				fail_msg("round %u: %s: %d, not %d", (unsigned)round, address, got,
					want);
		}
		mw_table_fini(&t);
	}
}

/* ------------------------------------------------------------------ hashes */

static int naive_get(char entries[][120], size_t count, const char *key)
{
	for (size_t i = count; i > 0; i--) /* the last of equal keys counts */
		if (strcmp(entries[i - 1], key) == 0)
			return (int)i - 1;
	return -1;
}

/* Place of the entry that answers, from the sequence as the reference has it; -1. */
static int naive_hash(char entries[][120], size_t count, const char *address)
{
	char keys[40][120], user[60], full[60];
	const char *at = strchr(address, '@'), *domain = at != NULL ? at + 1 : "";
	size_t n = 0;

	snprintf(full, sizeof(full), "%.*s", (int)(at != NULL ? at - address : 0), address);
	snprintf(user, sizeof(user), "%.*s", (int)strcspn(full, "+"), full);
	snprintf(keys[n++], 120, "%s", address);
	snprintf(keys[n++], 120, "%s@%s", user, domain);
	snprintf(keys[n++], 120, "%s@", full);
	snprintf(keys[n++], 120, "%s@", user);
	if (at != NULL)
		snprintf(keys[n++], 120, "%s", domain);
	for (const char *d = domain; at != NULL && d != NULL; d = strchr(d, '.')) {
		d += *d == '.';
		snprintf(keys[n++], 120, ".%s", d);
	}
	snprintf(keys[n++], 120, ".");
	for (size_t i = 0; i < n; i++) {
		int found = naive_get(entries, count, keys[i]);

		if (found >= 0)
			return found;
	}
	return -1;
}

static void hashes_say_what_trying_every_key_says(void **state)
{
	static const struct mw_lookup_options o = { .want = MW_WANT_MILLI, .delimiters = "+" };
	static char entries[ENTRIES_MAX][120];

	(void)state;
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		struct mw_hash *h = mw_hash_new();
		size_t count;

		seed = round * 0x9e3779b97f4a7c15u;
		count = next_random(ENTRIES_MAX);
		for (size_t i = 0; i < count; i++) {
			struct mw_cell c = { .type = MW_VALUE_MILLI, .milli = (int64_t)i };

			random_entry(entries[i], sizeof(entries[i]), false);
			assert_int_equal(mw_hash_entry(h, entries[i], &c, &o, NULL), MW_OK);
		}
		for (size_t i = 0; i < ASKED; i++) {
			char address[120];
			struct mw_lookup_result r;
			struct mw_keys k;
			size_t at = 0;
			int64_t got = -1, want;

			random_address(address, sizeof(address));
			want = naive_hash(entries, count, address);
			mw_keys_of_address(&k, address, "+", false);
			if (mw_hash_find(h, &k, &at, &r))
				got = r.value.milli;
			if (got != want)
				fail_msg("round %u: %s: %d, not %d", (unsigned)round, address,
					(int)got, (int)want);
		}
		mw_hash_destroy(&h);
	}
}

static void a_hundred_thousand_keys_are_all_found_and_no_others(void **state)
{
	static const struct mw_lookup_options o = { .want = MW_WANT_MILLI };
	struct mw_hash *h = mw_hash_new();
	char address[64];

	(void)state;
	for (int i = 0; i < 100000; i++) {
		struct mw_cell c = { .type = MW_VALUE_MILLI, .milli = i };

		snprintf(address, sizeof(address), "User%d@Example.org", i * 2);
		assert_int_equal(mw_hash_entry(h, address, &c, &o, NULL), MW_OK);
	}
	assert_int_equal(mw_hash_count(h), 100000);
	for (int i = 0; i < 200000; i++) {
		struct mw_lookup_result r;
		struct mw_keys k;
		size_t at = 0;

		snprintf(address, sizeof(address), "user%d@example.org", i);
		mw_keys_of_address(&k, address, NULL, false);
		assert_int_equal(mw_hash_find(h, &k, &at, &r), i % 2 == 0);
		if (i % 2 == 0)
			assert_int_equal(r.value.milli, i / 2);
	}
	mw_hash_destroy(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_say_what_a_walk_through_them_says),
		cmocka_unit_test(hashes_say_what_trying_every_key_says),
		cmocka_unit_test(a_hundred_thousand_keys_are_all_found_and_no_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
