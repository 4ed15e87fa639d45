/* fuzz: common services/scanner/cage */
/*
 * The zip reader: both readings of whatever is taken for an archive. It ends, never gives out more
 * than the budget, and what it gives out lies in memory that is there.
 */
#include <stdlib.h>

#include "zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct taken {
	uint64_t octets;
	unsigned count;
	volatile unsigned char sum;
};

static bool got(void *arg, const struct container_member *m)
{
	struct taken *t = arg;

	t->octets += m->octets.n;
	t->count++;
	for (size_t i = 0; i < m->octets.n; i++)
		t->sum ^= m->octets.p[i];
	if (strlen(m->name) >= CONTAINER_NAME_MAX || (m->encrypted && m->octets.n != 0))
		abort();
	return t->count < 200;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct budget_conf conf = { 14, 100, 1 << 20, 1 << 20, 1, 1000 };
	static struct passwords passwords;
	unsigned char *exact = malloc(size != 0 ? size : 1);
	struct taken t = { 0 };
	struct budget budget;
	bool ambiguous = false;
	struct container_job job = { .octets = mw_octets_of(exact, size),
		.budget = &budget,
		.passwords = &passwords,
		.got = got,
		.arg = &t,
		.ambiguous_r = &ambiguous };

	memcpy(exact, data, size);
	budget_open(&budget, &conf, size, mw_mono_ms() + 60000);
	/* The octets are the mail, too: its words are tried on its members. */
	passwords_begin(&passwords, job.octets, mw_octets_of("secret", 7), 4);
	if (zip_knows(job.octets))
		container_zip.open(&job);
	/* Views of what was unpacked already cost nothing: one for each size that a header says. */
	if (t.octets > (((uint64_t)1 << 20) + size) * 4)
		abort();
	free(exact);
	return 0;
}
