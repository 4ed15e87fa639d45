/* fuzz: common */
/* Addresses and networks, an entry a line and the last line an address: the prefix tree says what a
 * walk through the list says, and what an entry reads as prints and reads as itself. */
#include <stdlib.h>

#include "lookup_priv.h"

#define NETS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

static void look_at_address(const char *text)
{
	char printed[MW_IP_TEXT_MAX], normal[MW_KEYS_TEXT_MAX];
	enum mw_key_sort sort;
	struct mw_ip ip, again;
	struct mw_keys k;
	bool is_ip = mw_ip_parse(text, &ip);
	bool is_key = mw_key_normalise(text, MW_KEY_IP, false, normal, sizeof(normal), &sort);

	if (!is_ip)
		return;
	require(is_key);
	require(mw_ip_parse(mw_ip_format(&ip, printed), &again) && mw_ip_equal(&ip, &again));
	mw_keys_of_ip(&k, &ip);
	require(k.count == (mw_ip_is_v4(&ip) ? 5 : 1));
	require(strlen(normal) == k.key[0].n && memcmp(normal, k.key[0].p, k.key[0].n) == 0);
}

static void compare(
	const struct mw_nets *tree, const struct mw_net *list, size_t count, const struct mw_ip *ip)
{
	struct mw_lookup_result r;
	int want = mw_nets_find(list, count, ip);
	bool found = mw_nets_lookup(tree, ip, &r);

	require(found == (want >= 0));
	require(!found || r.value.b == (want == 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), *rest = text, *line;
	struct mw_nets *tree = mw_nets_new();
	struct mw_net list[NETS_MAX];
	size_t count = 0;

	require(text != NULL && tree != NULL);
	while ((line = strsep(&rest, "\n")) != NULL) {
		struct mw_cell c = { .type = MW_VALUE_BOOL };
		struct mw_ip ip;

		look_at_address(line);
		if (mw_ip_parse(line, &ip))
			compare(tree, list, count, &ip);
		if (count == NETS_MAX || !mw_net_parse(line, &list[count]))
			continue;
		c.b = !list[count].negated;
		require(mw_nets_add(tree, &list[count++], line, &c));
	}
	compare(tree, list, count, NULL);
	for (size_t i = 0; i < count; i++)
		compare(tree, list, count, &list[i].ip);
	mw_nets_destroy(&tree);
	free(text);
	return 0;
}
