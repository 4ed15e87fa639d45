/* fuzz: common services/scanner/cage */
/*
 * The reader of CMS and PKCS #7, over whatever comes and over what it gives out, some levels deep:
 * it ends, keeps within the budget, and reads nothing that is not its own.
 */
#include <stdlib.h>

#include "cms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OCTETS (1u << 20)
#define FILES 200
#define DEPTH 4

struct level {
	struct budget *budget;
	unsigned depth;
	uint64_t *octets, *files; /* given out so far, on all levels */
};

static volatile unsigned sum;

static void open_one(struct mw_octets octets, struct level *l);

static bool got(void *arg, const struct container_member *m)
{
	struct level *l = arg;
	struct level inner = { l->budget, l->depth + 1, l->octets, l->files };

	if (strlen(m->name) >= CONTAINER_NAME_MAX || (m->encrypted && m->octets.n != 0))
		abort();
	for (size_t i = 0; i < m->octets.n; i++)
		sum += m->octets.p[i];
	*l->octets += m->octets.n;
	if (++*l->files > FILES || *l->octets > OCTETS)
		abort();
	if (inner.depth < DEPTH)
		open_one(m->octets, &inner);
	return true;
}

static void open_one(struct mw_octets octets, struct level *l)
{
	const struct container_job job = {
		.octets = octets, .name = "a.pdf.p7m", .budget = l->budget, .got = got, .arg = l
	};

	if (container_cms.knows(octets) && container_cms.open(&job) > CONTAINER_NO_MEMORY)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct budget_conf conf = { 14, FILES, OCTETS, OCTETS, 0, 500 };
	unsigned char *exact =
		malloc(size != 0 ? size : 1); /* so that reading one octet too many is seen */
	uint64_t octets = 0, files = 0;
	struct budget budget;
	struct level l = { &budget, 0, &octets, &files };

	budget_open(&budget, &conf, size, mw_mono_ms() + 5000);
	memcpy(exact, data, size);
	open_one(mw_octets_of(exact, size), &l);
	free(exact);
	return 0;
}
