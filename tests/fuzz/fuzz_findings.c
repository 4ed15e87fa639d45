/* fuzz: common services/smtp-front */
/* Findings of workers: the first octet is the kind, the rest its map. Whatever it is, a refused one
 * leaves no score, no signature and no pen pal, a taken one only what the decision can live with.
 */
#include <stdlib.h>

#include "checks/findings.h"
#include "outcome/decide.h"

#define RCPTS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

static void signature_is_fields(struct mw_octets o)
{
	for (size_t i = 0; i < o.n; i++) {
		require(o.p[i] != '\0');
		require(o.p[i] != '\n' || (i > 0 && o.p[i - 1] == '\r'));
		require(o.p[i] != '\n' || i + 1 == o.n || strchr(" \tD", o.p[i + 1]) != NULL);
	}
}

static void refused_leaves_nothing(const struct txn *t)
{
	require(!t->found.has_spam && t->found.sign_fields.p == NULL && t->found.ip_milli == 0);
	for (size_t i = 0; i < t->rcpt_count; i++)
		require(t->rcpts[i].penpals_age_s == -1 && t->rcpts[i].penpals_milli == 0);
}

static void look_at(struct txn *t, enum dispatch_kind kind)
{
	const char *names = decide_virus_names(t);

	require(mw_is_printable(names, strlen(names)));
	require(t->found.virus_count <= 1000 && t->found.signature_count <= 1000 &&
		t->found.test_count <= 1000);
	for (size_t i = 0; i < t->found.test_count; i++)
		require(mw_is_printable(t->found.tests[i].name.p, t->found.tests[i].name.n));
	for (size_t i = 0; i < t->found.signature_count; i++)
		require(t->found.signatures[i].result.n > 0);
	require(t->found.ip_milli >= 0 && t->found.ip_milli <= 100000000);
	signature_is_fields(t->found.sign_fields);
	t->checks[kind].state = CHECK_OVER;
	decide(t);
	for (size_t i = 0; i < t->rcpt_count; i++) {
		require(t->rcpts[i].ccat_count > 0 && t->rcpts[i].ccat_count <= TXN_CCATS_MAX);
		require(t->found.virus_count == 0 ||
			t->rcpts[i].ccats[0] == MW_CCAT(MW_CC_VIRUS, 0));
		require((t->rcpts[i].ccat_blocking != 0) == (t->found.virus_count > 0));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct policy policy = { .ip_repu = true,
		.penpals_bonus_milli = 8000,
		.penpals_halflife_s = 1000,
		.tag_milli = 2000,
		.tag2_milli = 6310,
		.kill_milli = 6310 };
	static struct txn t;
	struct txn_rcpt rcpts[RCPTS] = { { .penpals_age_s = -1, .is_local = true },
		{ .penpals_age_s = -1 }, { .penpals_age_s = -1 } };
	enum dispatch_kind kind;

	if (size < 1)
		return 0;
	memset(&t, 0, sizeof(t));
	t.policy = &policy;
	for (size_t i = 0; i < RCPTS; i++)
		for (unsigned s = 0; s < CCAT_SLOTS; s++)
			rcpts[i].destinies[s] = s == CCAT_VIRUS ? MW_D_REJECT : MW_D_PASS;
	t.rcpts = rcpts;
	t.rcpt_count = RCPTS;
	kind = (enum dispatch_kind)(data[0] % JOB_LEARN);
	if (findings_take(&t, kind, mw_octets_of(data + 1, size - 1)) == MW_OK)
		look_at(&t, kind);
	else
		refused_leaves_nothing(&t);
	smtp_arena_fini(&t.arena);
	return 0;
}
