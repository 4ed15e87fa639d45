/* fuzz: common services/scanner/cage */
/*
 * Every container's reader, two levels deep, under a small budget: they end, and what they give out
 * lies in memory that is there.
 */
#include <stdlib.h>

#include "container.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct level {
	struct budget *budget;
	unsigned depth;
	volatile unsigned char sum;
};

static void open_all(struct level *l, struct mw_octets octets, const char *name);

static bool got(void *arg, const struct container_member *m)
{
	struct level *l = arg;
	unsigned char *exact = malloc(m->octets.n != 0 ? m->octets.n : 1);

	if (strlen(m->name) >= CONTAINER_NAME_MAX || exact == NULL)
		abort();
	if (m->octets.n != 0)
		memcpy(exact, m->octets.p, m->octets.n);
	if (l->depth < 2)
		open_all(l, mw_octets_of(exact, m->octets.n), m->name);
	free(exact);
	return true;
}

static void open_all(struct level *l, struct mw_octets octets, const char *name)
{
	struct level inner = { l->budget, l->depth + 1, 0 };
	struct container_job job = {
		.octets = octets, .name = name, .budget = l->budget, .got = got, .arg = &inner
	};

	for (const struct container *const *c = container_rows; *c != NULL; c++)
		if ((*c)->knows(octets))
			(*c)->open(&job);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct budget_conf conf = { 14, 50, 1 << 18, 1 << 18, 1, 1000 };
	unsigned char *exact = malloc(size != 0 ? size : 1);
	struct budget budget;
	struct level top = { &budget, 0, 0 };

	memcpy(exact, data, size);
	budget_open(&budget, &conf, size, mw_mono_ms() + 60000);
	open_all(&top, mw_octets_of(exact, size), "foo.gz");
	free(exact);
	return 0;
}
