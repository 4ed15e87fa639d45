/*
 * mwlookup: what one question to a lookup table costs.
 *
 *   mwlookup [--entries N] [--networks N] [--questions N]
 *
 * A hash of N addresses (from a file, as a site would have it) is asked for addresses that are
 * there, that are not, and that only their domain answers; a list of N networks for addresses
 * within and outside; a list of a thousand domains; a hundred patterns. Keys come in random order,
 * so that caches see what mail shows them.
 */
#include "bench.h"

#include <unistd.h>

#include "lookup.h"

#define ROUNDS 3

struct run {
	size_t entries, networks, questions;
	uint64_t seed;
};

static uint64_t next_random(struct run *r)
{
	r->seed ^= r->seed << 13;
	r->seed ^= r->seed >> 7;
	r->seed ^= r->seed << 17;
	return r->seed >> 8;
}

static struct mw_val value_of(enum mw_made made, size_t count)
{
	struct mw_val v = { .tag = MW_V_TABLE, .made = made, .is_array = true, .count = count };

	v.keys = calloc(count + 1, sizeof(*v.keys));
	v.vals = calloc(count + 1, sizeof(*v.vals));
	if (v.keys == NULL || v.vals == NULL)
		die("no memory");
	return v;
}

static void set_text(struct mw_val *list, size_t i, const char *text)
{
	list->keys[i] = strdup("");
	list->vals[i] = (struct mw_val){ .tag = MW_V_STR, .str = strdup(text) };
}

static struct mw_lookup *compiled(struct mw_val table, enum mw_lookup_key key,
	struct mw_lookup_files *files, const char *what)
{
	struct mw_val maps = value_of(MW_MADE_NOT, 1);
	struct mw_lookup_options o = {
		.name = what, .key = key, .want = MW_WANT_BOOL, .delimiters = "+", .files = files
	};
	uint64_t began = now_us();
	struct mw_lookup *l;
	struct mw_err err;

	maps.keys[0] = strdup("1");
	maps.vals[0] = table;
	if (mw_lookup_new(&maps, &o, &l, &err) != MW_OK)
		die("%s", err.text);
	printf("%-44s %10.1f ms to build\n", what, (double)(now_us() - began) / 1000);
	mw_val_fini(&maps);
	return l;
}

/* Ask all of the keys once; every one of them must answer as expected. */
static void ask(struct run *run, const struct mw_lookup *l, const char *what, bool there,
	void (*key)(struct run *run, char *buf, size_t size))
{
	enum { KEY = 64 };
	char *keys = malloc(run->questions * KEY);
	struct mw_lookup_result r;
	size_t found = 0;
	uint64_t took = UINT64_MAX;

	if (keys == NULL)
		die("no memory");
	for (size_t i = 0; i < run->questions; i++)
		key(run, keys + i * KEY, KEY);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t began = cpu_us();

		found = 0;
		for (size_t i = 0; i < run->questions; i++)
			found += mw_lookup(l, keys + i * KEY, &r);
		took = cpu_us() - began < took ? cpu_us() - began : took;
	}
	if (found != (there ? run->questions : 0))
		die("%s: %zu of %zu answered", what, found, run->questions);
	printf("  %-42s %10.0f ns\n", what, (double)took * 1000 / (double)run->questions);
	free(keys);
}

static void ask_ips(struct run *run, const struct mw_lookup *l, const char *what, bool v6)
{
	struct mw_ip *ips = calloc(run->questions, sizeof(*ips));
	struct mw_lookup_result r;
	size_t found = 0;
	uint64_t took = UINT64_MAX;

	if (ips == NULL)
		die("no memory");
	for (size_t i = 0; i < run->questions; i++) {
		uint64_t x = next_random(run), y = next_random(run);

		if (v6)
			memcpy(ips[i].a, "\x20\x01\x0d\xb8", 4);
		else
			memset(ips[i].a + 10, 0xff, 2);
		memcpy(ips[i].a + (v6 ? 4 : 12), &x, 4);
		if (v6)
			memcpy(ips[i].a + 8, &y, 7);
	}
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t began = cpu_us();

		found = 0;
		for (size_t i = 0; i < run->questions; i++)
			found += mw_lookup_ip(l, &ips[i], &r);
		took = cpu_us() - began < took ? cpu_us() - began : took;
	}
	printf("  %-42s %10.0f ns (%.1f %% listed)\n", what,
		(double)took * 1000 / (double)run->questions,
		(double)found * 100 / (double)run->questions);
	free(ips);
}

/* ------------------------------------------------------------------ keys */

static void key_there(struct run *run, char *buf, size_t size)
{
	uint64_t n = next_random(run) % run->entries;

	snprintf(buf, size, "User%llu@dept%llu.example.org", (unsigned long long)n,
		(unsigned long long)n % 1000);
}

static void key_extended(struct run *run, char *buf, size_t size)
{
	uint64_t n = next_random(run) % run->entries;

	snprintf(buf, size, "user%llu+lists@dept%llu.example.org", (unsigned long long)n,
		(unsigned long long)n % 1000);
}

static void key_not_there(struct run *run, char *buf, size_t size)
{
	snprintf(buf, size, "nobody%llu@some.where.example.net",
		(unsigned long long)(next_random(run) % 1000000));
}

static void key_domain(struct run *run, char *buf, size_t size)
{
	snprintf(buf, size, "user%llu@mx.d%llu.example.com",
		(unsigned long long)(next_random(run) % 1000000),
		(unsigned long long)(next_random(run) % 1000));
}

/* ------------------------------------------------------------------ parts */

static void hash_part(struct run *run)
{
	char path[] = "/tmp/mwlookup-XXXXXX", name[100];
	struct mw_lookup_limits limits = { .file_octets = 1u << 30 };
	struct mw_lookup_files *files = mw_lookup_files_new(&limits);
	struct mw_val table = value_of(MW_MADE_READ_HASH, 1);
	int fd = mkstemp(path);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	struct mw_lookup *l;

	if (f == NULL || files == NULL)
		die("%s: cannot be written", path);
	for (size_t i = 0; i < run->entries; i++)
		fprintf(f, "user%zu@dept%zu.example.org %zu\n", i, i % 1000, i % 2);
	fclose(f);
	set_text(&table, 0, path);
	snprintf(name, sizeof(name), "hash of %zu addresses from a file", run->entries);
	l = compiled(table, MW_KEY_ADDRESS, files, name);
	unlink(path);
	ask(run, l, "address there", true, key_there);
	ask(run, l, "address with an extension, user there", true, key_extended);
	ask(run, l, "nothing of it there", false, key_not_there);
	mw_lookup_unref(&l);
	mw_lookup_files_destroy(&files);
}

static void net_part(struct run *run)
{
	struct mw_val table = value_of(MW_MADE_NOT, run->networks);
	struct mw_lookup *l;
	char text[100];

	for (size_t i = 0; i < run->networks; i++) {
		unsigned x = (unsigned)next_random(run);

		if (i % 2 == 0)
			snprintf(text, sizeof(text), "%s%u.%u.%u.0/%u", i % 10 == 0 ? "!" : "",
				x & 255, x >> 8 & 255, x >> 16 & 255, 12 + x % 13);
		else
			snprintf(text, sizeof(text), "2001:db8:%x:%x::/%u", x & 0xffff,
				x >> 16 & 0xffff, 40 + x % 25);
		set_text(&table, i, text);
	}
	snprintf(text, sizeof(text), "list of %zu networks", run->networks);
	l = compiled(table, MW_KEY_IP, NULL, text);
	ask_ips(run, l, "IPv4 address", false);
	ask_ips(run, l, "IPv6 address", true);
	mw_lookup_unref(&l);
}

static void small_parts(struct run *run)
{
	struct mw_val list = value_of(MW_MADE_NOT, 1000), regexps = value_of(MW_MADE_RE, 1);
	struct mw_lookup *l;
	char text[100];

	for (size_t i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), ".d%zu.example.com", i);
		set_text(&list, i, text);
	}
	l = compiled(list, MW_KEY_ADDRESS, NULL, "list of 1000 domains");
	ask(run, l, "sub-domain of one", true, key_domain);
	ask(run, l, "none", false, key_not_there);
	mw_lookup_unref(&l);
	regexps.keys[0] = strdup("1");
	regexps.vals[0] = value_of(MW_MADE_NOT, 100);
	for (size_t i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "^(bulk|offers)%zu[^@]*@", i);
		set_text(&regexps.vals[0], i, text);
	}
	l = compiled(regexps, MW_KEY_ADDRESS, NULL, "100 patterns");
	ask(run, l, "none of them", false, key_not_there);
	mw_lookup_unref(&l);
}

int main(int argc, char **argv)
{
	struct run run = { .entries = 1000000,
		.networks = 100000,
		.questions = 1000000,
		.seed = 0x9e3779b97f4a7c15u };

	for (int i = 1; i + 1 < argc; i += 2) {
		size_t n = strtoul(argv[i + 1], NULL, 10);

		if (n == 0)
			die("%s: expected a number", argv[i + 1]);
		if (strcmp(argv[i], "--entries") == 0)
			run.entries = n;
		else if (strcmp(argv[i], "--networks") == 0)
			run.networks = n;
		else if (strcmp(argv[i], "--questions") == 0)
			run.questions = n;
		else
			die("usage: mwlookup [--entries N] [--networks N] [--questions N]");
	}
	hash_part(&run);
	net_part(&run);
	small_parts(&run);
	return 0;
}
