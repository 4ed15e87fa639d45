/* fuzz: common services/smtp-front */
/* Findings of workers: the first octet is the kind, the rest its map. Whatever it is, a refused one
 * leaves no score, no signature and no pen pal, a taken one only what the decision can live with.
 */
#include <stdlib.h>
#include <unistd.h>

#include "checks/banned.h"
#include "checks/findings.h"
#include "digest.h"
#include "outcome/decide.h"
#include "outcome/spam_report.h"

#define RCPTS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void front_txn_over(struct front *f);

/* main.c's. */
void front_txn_over(struct front *f)
{
	(void)f;
}

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

/* Whatever a worker calls a report: its form for a field is continuation lines. */
static void report_is_lines(struct mw_octets report)
{
	struct mw_text out = { 0 };
	size_t lines = 0;

	spam_report_terse(report, " ", "\n", &out);
	for (size_t i = 0, from = 0; i < out.n; i++) {
		require(mw_is_printable(out.p + i, 1) || out.p[i] == '\n');
		if (out.p[i] != '\n')
			continue;
		require(memcmp(out.p + from, " * ", 3) == 0 && i - from < 998);
		from = i + 1;
		lines++;
	}
	require(lines == spam_report_lines(report));
	mw_text_fini(&out);
}

/* A tree: nothing lies in itself or in what comes behind it, a leaf holds nothing, a digest is one.
 */
static void tree_is_one(const struct findings *f)
{
	require(!f->has_tree || f->part_count > 0);
	for (size_t i = 0; i < f->part_count; i++) {
		require(f->parts[i].parent <= i);
		require(f->parts[i].parent == 0 || !f->parts[f->parts[i].parent - 1].leaf);
		require(f->parts[i].digest.n == 0 || f->parts[i].digest.n == MW_SHA256_OCTETS);
		for (size_t k = 0; k < f->parts[i].types.count; k++)
			require(f->parts[i].types.items[k].p[0] == '.');
	}
}

static const char settings[] =
	"enable_ip_repu = true\npenpals_bonus_score = 8\npenpals_halflife = 1000\n"
	"banned_filename_re = new_RE { '[.]exe$(?# exe )', { '^[.]zip$', 'DISCARD' }, "
	"{ 'UNDECIPHERABLE', false } }\nbanned_namepath_re = new_RE { 'N=x$' }\n";

static struct policy_set *the_set(void)
{
	static struct policy_set *set;
	char path[] = "/tmp/mailweir-fuzz-findings-XXXXXX", *errors = NULL;
	struct mw_conf *conf = NULL;
	struct mw_err err;
	int fd;

	if (set != NULL)
		return set;
	fd = mkstemp(path);
	require(fd >= 0 &&
		write(fd, settings, sizeof(settings) - 1) == (ssize_t)sizeof(settings) - 1);
	close(fd);
	mw_conf_load(path, &conf, &errors);
	unlink(path);
	require(conf != NULL && policy_set_new(conf, &set, &err) == MW_OK);
	mw_conf_destroy(&conf);
	return set;
}

/* Whatever the parts are called: what is told of them can stand in a reply. */
static void ban(struct txn *t)
{
	const char *failed;

	t->checks[JOB_SCAN].state = CHECK_OVER;
	require(banned_check(t, &failed) == MW_OK);
	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct txn_rcpt *r = &t->rcpts[i];

		require(r->banned == (r->banned_part != NULL));
		require(!r->banned || (mw_is_printable(r->banned_part, strlen(r->banned_part)) &&
					      r->banned_count > 0));
		for (size_t k = 0; k < r->banned_count; k++)
			require(mw_is_printable(r->banned_paths[k], strlen(r->banned_paths[k])));
	}
}

static void refused_leaves_nothing(const struct txn *t)
{
	require(!t->found.has_spam && t->found.sign_fields.p == NULL && t->found.ip_milli == 0);
	require(t->found.report.n == 0);
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
	report_is_lines(t->found.report);
	tree_is_one(&t->found);
	if (kind == JOB_SCAN)
		ban(t);
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
	static struct txn t;
	struct txn_rcpt rcpts[RCPTS] = { { .penpals_age_s = -1, .is_local = true },
		{ .penpals_age_s = -1 }, { .penpals_age_s = -1 } };
	enum dispatch_kind kind;

	if (size < 1)
		return 0;
	memset(&t, 0, sizeof(t));
	t.set = the_set();
	t.policy = t.set->base;
	for (size_t i = 0; i < RCPTS; i++) {
		rcpts[i].tag_milli = 2000;
		rcpts[i].tag2_milli = rcpts[i].kill_milli = 6310;
		rcpts[i].tag3_milli = RCPT_NO_LEVEL;
		for (unsigned s = 0; s < CCAT_SLOTS; s++)
			rcpts[i].destinies[s] = s == CCAT_VIRUS ? MW_D_REJECT : MW_D_PASS;
	}
	t.rcpts = rcpts;
	t.rcpt_count = RCPTS;
	t.tree_ordered = true;
	kind = (enum dispatch_kind)(data[0] % JOB_LEARN);
	if (findings_take(&t, kind, mw_octets_of(data + 1, size - 1)) == MW_OK)
		look_at(&t, kind);
	else
		refused_leaves_nothing(&t);
	smtp_arena_fini(&t.arena);
	return 0;
}
