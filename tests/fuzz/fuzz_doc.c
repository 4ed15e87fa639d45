/* fuzz: common services/scanner/cage */
/*
 * Every reader of documents and texts that hold files, over whatever comes, and over what it gives
 * out, two levels deep: they end, keep within the budget, and read nothing that is not theirs.
 */
#include <stdlib.h>

#include "doc.h"
#include "mail.h"
#include "unopened.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OCTETS (1u << 20)
#define FILES 200
#define DEPTH 2

static const struct container *const rows[] = {
	&container_text,
	&container_mbox,
	&container_tnef,
	&container_cfb,
	&container_mso,
	&container_html,
	&container_rtf,
	&container_pdf,
	&container_odf,
	&container_xml,
	&container_wide,
	&container_one,
	&container_script,
	&container_page,
	&container_ical,
	&container_unopened,
};

struct level {
	struct budget *budget;
	uint64_t octets, files; /* given out so far */
	unsigned depth;
	struct level *outer;
};

static volatile unsigned sum;

static void open_all(struct mw_octets octets, struct level *l);

static bool got(void *arg, const struct container_member *m)
{
	struct level *l = arg;
	struct level inner = { .budget = l->budget, .depth = l->depth + 1, .outer = l };

	if (strlen(m->name) >= CONTAINER_NAME_MAX ||
		(m->aliases[0] != NULL && strlen(m->aliases[0]) >= CONTAINER_NAME_MAX) ||
		(m->encrypted && m->octets.n != 0))
		abort();
	for (size_t i = 0; i < m->octets.n; i++)
		sum += m->octets.p[i];
	mail_by_content(m->octets);
	for (struct level *at = l; at != NULL; at = at->outer) {
		at->octets += m->octets.n;
		if (++at->files > FILES || at->octets > OCTETS)
			abort();
	}
	if (inner.depth < DEPTH)
		open_all(m->octets, &inner);
	return true;
}

static void open_all(struct mw_octets octets, struct level *l)
{
	unsigned marks = 0;
	const struct container_job job = {
		.octets = octets, .budget = l->budget, .got = got, .arg = l, .marks = &marks
	};

	for (size_t i = 0; i < MW_COUNT(rows); i++)
		if (rows[i]->knows(octets))
			rows[i]->open(&job);
	if (marks >= MW_BIT(CONTAINER_MARKS))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct budget_conf conf = { 14, FILES, OCTETS, OCTETS, 0, 500 };
	unsigned char *exact =
		malloc(size != 0 ? size : 1); /* so that reading one octet too many is seen */
	struct budget budget;
	struct level l = { .budget = &budget };

	budget_open(&budget, &conf, size, mw_mono_ms() + 5000);
	memcpy(exact, data, size);
	open_all(mw_octets_of(exact, size), &l);
	free(exact);
	return 0;
}
