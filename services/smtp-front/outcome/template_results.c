/* Macros of a mail: what was found in it, and what became of it. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <sys/resource.h>

#include "spam_report.h"
#include "template_give.h"

#define STARS_MAX 50
#define SCORE_APART_MILLI 100 /* recipients' scores that differ by less are one */

static struct txn *txn(const struct template_call *c)
{
	return c->scope->txn;
}

/* ------------------------------------------------------------------ categories, what became of it
 */

/* The main and the blocking category; blocking 0: nobody is blocked. */
static void categories(const struct template_call *c, unsigned *main_r, unsigned *blocking_r)
{
	size_t count;
	const struct txn_rcpt *r = give_scope(c, &count);

	*main_r = *blocking_r = 0;
	for (size_t i = 0; i < count; i++, r++) {
		if (r->ccat_blocking > *blocking_r)
			*blocking_r = r->ccat_blocking;
		if (r->ccat_count > 0 && r->ccats[0] > *main_r)
			*main_r = r->ccats[0];
	}
}

/* ccat(what, which): which is main, blocking, or the blocking one where somebody is blocked. */
void give_ccat(struct template_call *c, int what)
{
	struct mw_octets name = template_trim(template_arg(c, what == CCAT_BY_ARG)),
			 which = template_trim(template_arg(c, 1));
	unsigned main, blocking, ccat;

	if (what == CCAT_BY_ARG)
		name = template_trim(template_arg(c, 0));
	categories(c, &main, &blocking);
	ccat = mw_octets_ieq(which, "main") ? main : blocking != 0 ? blocking : main;
	if (mw_octets_ieq(which, "blocking"))
		ccat = blocking;
	if (what == CCAT_BY_ARG && mw_octets_ieq(name, "is_blocking"))
		template_say_text(c, blocking != 0 ? "1" : "");
	else if (what == CCAT_BY_ARG && mw_octets_ieq(name, "is_nonblocking"))
		template_say_text(c, blocking == 0 ? "1" : "");
	else if (what == CCAT_BY_ARG && mw_octets_ieq(name, "is_blocked_by_nonmain"))
		template_say_text(c, blocking != 0 && blocking != main ? "1" : "");
	else if (mw_octets_ieq(which, "blocking") && blocking == 0)
		return;
	else if (what == CCAT_NAME || mw_octets_ieq(name, "name"))
		template_say_text(c, mw_ccat_name(ccat));
	else if (what == CCAT_MAJOR || mw_octets_ieq(name, "major"))
		template_sayf(c, "%u", ccat / 10);
	else if (what == CCAT_MINOR || mw_octets_ieq(name, "minor"))
		template_sayf(c, "%u", ccat % 10);
	else if (what == CCAT_BY_ARG && name.n == 0)
		template_sayf(c, "(%u,%u)", ccat / 10, ccat % 10);
}

void give_actions(struct template_call *c, int arg)
{
	char text[MW_ACTIONS_MAX];

	(void)arg;
	if (c->scope->record != NULL)
		template_say(c, give_copy(c, text, mw_record_actions(c->scope->record, ',', text)));
}

/* A recipient may read it: its own copy, and not the addresses that it was mailed to, which may be
 * another recipient's. */
static void give_own_copy(struct template_call *c)
{
	const struct txn *t = txn(c);
	int at = c->scope->rcpt->copy;
	bool kept = t->quarantined && at >= 0 && (size_t)at < t->copy_count;
	const struct txn_copy *copy = kept ? &t->copies[at] : NULL;

	if (copy != NULL && !copy->archive && copy->name != NULL)
		template_item(c, mw_octets_of_text(copy->route != NULL ? t->mail_id : copy->name));
}

void give_quarantined(struct template_call *c, int arg)
{
	const struct txn *t = txn(c);

	(void)arg;
	template_list(c);
	if (c->scope->rcpt != NULL) {
		give_own_copy(c);
		return;
	}
	for (size_t i = 0; i < t->copy_count && t->quarantined; i++)
		template_item(c, mw_octets_of_text(t->copies[i].name));
}

/* ------------------------------------------------------------------ scores */

static bool scores(const struct template_call *c, int32_t *least_r, int32_t *most_r)
{
	size_t count;
	const struct txn_rcpt *r = give_scope(c, &count);
	bool any = false;

	for (size_t i = 0; i < count; i++, r++) {
		if (!r->has_score)
			continue;
		*least_r = !any || r->score_milli < *least_r ? r->score_milli : *least_r;
		*most_r = !any || r->score_milli > *most_r ? r->score_milli : *most_r;
		any = true;
	}
	return any;
}

/* SCORE(0), SCORE( ): the integer part is as wide as the argument. */
void give_score(struct template_call *c, int arg)
{
	struct mw_octets pad = template_arg(c, 0);
	size_t width = pad.n < 20 ? pad.n : 20, n;
	char fill = pad.n > 0 && pad.p[0] == '0' ? '0' : ' ', text[128];
	int32_t least = 0, most = 0;

	(void)arg;
	if (!scores(c, &least, &most)) {
		template_say_text(c, "-");
		return;
	}
	n = give_milli(text, 60, least, width, fill);
	if (most - least >= SCORE_APART_MILLI) {
		n += mw_strlcpy(text + n, "..", 3);
		n += give_milli(text + n, 60, most, width, fill);
	}
	template_say(c, give_copy(c, text, n));
}

void give_stars(struct template_call *c, int arg)
{
	struct mw_octets star = template_arg(c, 0);
	int32_t least = 0, most = 0;
	char text[STARS_MAX];
	size_t n;

	(void)arg;
	if (!scores(c, &least, &most) || least < 1000)
		return;
	n = (size_t)least / 1000 < STARS_MAX ? (size_t)least / 1000 : STARS_MAX;
	memset(text, star.n > 0 ? star.p[0] : '*', n);
	template_say(c, give_copy(c, text, n));
}

/* TESTS(separator). */
void give_tests(struct template_call *c, int how)
{
	const struct txn *t = txn(c);
	struct mw_octets by = c->argc > 0 ? c->argv[0] : mw_octets_of(", ", 2);
	size_t shown = t->found.test_count < t->policy->texts.tests ? t->found.test_count
								    : t->policy->texts.tests;
	struct mw_text all = { 0 };

	template_list(c);
	for (size_t i = 0; i < shown; i++) {
		const struct mw_record_test *test = &t->found.tests[i];
		char score[40];
		size_t n = give_milli(score, sizeof(score), test->milli, 0, ' '), begun;

		if (i > 0 && how != TESTS_LIST)
			mw_text_add_octets(&all, by.p, by.n);
		begun = how == TESTS_LIST ? 0 : all.n;
		if (how == TESTS_LIST)
			mw_text_clear(&all);
		mw_text_add_octets(&all, test->name.p, test->name.n);
		if (how != TESTS_NAMES)
			mw_text_addf(&all, "=%.*s", (int)n, score);
		if (how == TESTS_LIST && !all.failed)
			template_item(c, give_copy(c, all.p + begun, all.n));
	}
	if (shown < t->found.test_count && how == TESTS_LIST)
		template_item(c, mw_octets_of_text("..."));
	else if (shown < t->found.test_count)
		mw_text_addf(&all, "%.*s...", (int)by.n, (const char *)by.p);
	c->failed |= all.failed;
	if (how != TESTS_LIST)
		template_say(c, give_copy(c, all.p, all.n));
	mw_text_fini(&all);
}

static int32_t level(const struct txn_rcpt *r, int which)
{
	return which == LEVEL_TAG    ? r->tag_milli
	       : which == LEVEL_TAG2 ? r->tag2_milli
				     : r->kill_milli;
}

static void say_milli(struct template_call *c, int32_t milli)
{
	char text[40];
	size_t n = give_milli(text, sizeof(text), milli, 0, ' ');

	template_say(c, give_copy(c, text, n));
}

/* tag_level and so on, of one recipient; x: it has none, for its mail is not scored. */
void give_level(struct template_call *c, int which)
{
	const struct txn_rcpt *r = c->scope->rcpt;

	if (r == NULL)
		return;
	if (r->bypass_spam || level(r, which) == RCPT_NO_LEVEL)
		template_say_text(c, "x");
	else
		say_milli(c, level(r, which));
}

void give_required(struct template_call *c, int arg)
{
	size_t count;
	const struct txn_rcpt *r = give_scope(c, &count);
	int32_t least = INT32_MAX;

	(void)arg;
	for (size_t i = 0; i < count; i++, r++)
		if (!r->bypass_spam && r->tag2_milli != RCPT_NO_LEVEL && r->tag2_milli < least)
			least = r->tag2_milli;
	if (least == INT32_MAX)
		template_say_text(c, "-");
	else
		say_milli(c, least);
}

static bool above(const struct template_call *c, int which)
{
	size_t count;
	const struct txn_rcpt *r = give_scope(c, &count);

	for (size_t i = 0; i < count; i++, r++)
		if (which == LEVEL_TAG ? r->tag : which == LEVEL_TAG2 ? r->tag2 : r->kill)
			return true;
	return false;
}

void give_above(struct template_call *c, int which)
{
	template_say_text(c, above(c, which) ? "Y" : "0");
}

void give_yesno(struct template_call *c, int capitals)
{
	bool yes = above(c, LEVEL_TAG2);
	size_t i = yes ? 0 : 1;

	if (i < c->argc)
		template_say(c, c->argv[i]);
	else if (capitals)
		template_say_text(c, yes ? "YES" : "NO");
	else
		template_say_text(c, yes ? "Yes" : "No");
}

void give_autolearn(struct template_call *c, int arg)
{
	(void)arg;
	if (txn(c)->found.autolearn.n > 0)
		template_say(c, txn(c)->found.autolearn);
}

/* supplementary_info(key, format): of what scanners say of their own only AUTOLEARN comes here. */
void give_supplementary(struct template_call *c, int arg)
{
	struct mw_octets value = txn(c)->found.autolearn, fmt = template_arg(c, 1);
	const unsigned char *at = fmt.n > 0 ? memmem(fmt.p, fmt.n, "%s", 2) : NULL;
	struct mw_text t = { 0 };

	(void)arg;
	if (value.n == 0 || !mw_octets_ieq(template_arg(c, 0), "AUTOLEARN"))
		return;
	if (at == NULL) {
		template_say(c, value);
		return;
	}
	mw_text_add_octets(&t, fmt.p, (size_t)(at - fmt.p));
	mw_text_add_octets(&t, value.p, value.n);
	mw_text_add_octets(&t, at + 2, fmt.n - 2 - (size_t)(at - fmt.p));
	c->failed |= t.failed;
	template_say(c, give_copy(c, t.p, t.n));
	mw_text_fini(&t);
}

void give_report(struct template_call *c, int how)
{
	struct mw_octets report = txn(c)->found.report, line;
	struct mw_text t = { 0 };

	switch ((enum give_report)how) {
	case REPORT_LIST:
		template_list(c);
		while (spam_report_next(&report, &line))
			template_item(c, line);
		break;
	case REPORT_SUMMARY:
		template_say(c, report);
		break;
	case REPORT_TERSE:
		spam_report_terse(report, "", "\n", &t);
		c->failed |= t.failed;
		template_say(c, give_copy(c, t.p, t.n));
		mw_text_fini(&t);
		break;
	}
}

/* ------------------------------------------------------------------ viruses */

static bool same(struct mw_octets a, struct mw_octets b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static bool was_before(const struct finding_virus *v, size_t i, bool by_scanner)
{
	for (size_t k = 0; k < i; k++)
		if (by_scanner ? same(v[k].scanner, v[i].scanner) : same(v[k].name, v[i].name))
			return true;
	return false;
}

/* "Eicar-Test,Other" of one scanner. */
static void add_names(struct mw_text *t, const struct findings *f, size_t of, const char *comma)
{
	bool any = false;

	for (size_t i = of; i < f->virus_count; i++) {
		if (!same(f->viruses[i].scanner, f->viruses[of].scanner))
			continue;
		mw_text_addf(t, "%s%.*s", any ? comma : "", (int)f->viruses[i].name.n,
			(const char *)f->viruses[i].name.p);
		any = true;
	}
}

/* Names, each once; scanners that found something, with any argument and what each found. */
void give_virus(struct template_call *c, int what)
{
	const struct findings *f = &txn(c)->found;

	template_list(c);
	for (size_t i = 0; i < f->virus_count; i++) {
		const struct finding_virus *v = &f->viruses[i];
		struct mw_text t = { 0 };

		if (was_before(f->viruses, i, what != VIRUS_NAMES))
			continue;
		if (what == VIRUS_NAMES) {
			template_item(c, v->name.n > 0 ? v->name : mw_octets_of_text("unnamed"));
			continue;
		}
		mw_text_add_octets(&t, v->scanner.p, v->scanner.n);
		if (what == VIRUS_OUTPUT || c->argc > 0) {
			mw_text_add(&t, what == VIRUS_OUTPUT ? ": " : ":[");
			add_names(&t, f, i, what == VIRUS_OUTPUT ? ", " : ",");
			mw_text_add(&t, what == VIRUS_OUTPUT ? "" : "]");
		}
		c->failed |= t.failed;
		template_item(c, give_copy(c, t.p, t.n));
		mw_text_fini(&t);
	}
}

/* ------------------------------------------------------------------ header */

void give_header_findings(struct template_call *c, int arg)
{
	const struct header_findings *f = &txn(c)->badh;

	(void)arg;
	template_list(c);
	for (size_t i = 0; i < f->count; i++)
		template_item(c, mw_octets_of_text(f->texts[i]));
}

/* ------------------------------------------------------------------ signatures */

static bool is_valid(const struct finding_signature *s)
{
	return mw_octets_ieq(s->result, "pass") && !s->expired;
}

/* The domain itself. */
static bool is_domain(struct mw_octets address, struct mw_octets domain)
{
	return domain.n > 0 && address.n > domain.n + 1 &&
	       address.p[address.n - domain.n - 1] == '@' &&
	       strncasecmp((const char *)address.p + address.n - domain.n, (const char *)domain.p,
		       domain.n) == 0;
}

static bool is_author(const struct txn *t, const struct finding_signature *s)
{
	for (size_t i = 0; i < t->facts.author.count; i++)
		if (is_domain(t->facts.author.items[i], s->d))
			return true;
	return false;
}

/* A domain, or with a leading dot one with all below it. */
static bool is_wanted(struct mw_octets d, struct mw_octets wanted)
{
	bool below = wanted.n > 0 && wanted.p[0] == '.';
	struct mw_octets w = below ? mw_octets_of(wanted.p + 1, wanted.n - 1) : wanted;

	if (w.n == 0 || d.n < w.n ||
		strncasecmp((const char *)d.p + d.n - w.n, (const char *)w.p, w.n) != 0)
		return false;
	return d.n == w.n || (below && d.p[d.n - w.n - 1] == '.');
}

/* What dkim(what) tells of each valid signature. */
static struct mw_octets told(
	struct template_call *c, const struct finding_signature *s, struct mw_octets what)
{
	char *text;

	if (mw_octets_ieq(what, "selector"))
		return s->s;
	if (mw_octets_ieq(what, "domain"))
		return s->d;
	if (mw_octets_ieq(what, "identity"))
		text = smtp_arena_printf(c->arena, "@%.*s", (int)s->d.n, (const char *)s->d.p);
	else
		text = smtp_arena_printf(c->arena, "%.*s:%.*s", (int)s->s.n, (const char *)s->s.p,
			(int)s->d.n, (const char *)s->d.p);
	c->failed |= text == NULL;
	return mw_octets_of_text(text != NULL ? text : "");
}

static void add_once(struct mw_text *t, struct mw_octets item, struct mw_octets *seen, size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		if (same(seen[i], item))
			return;
	if (*n > 0)
		mw_text_add(t, ",");
	mw_text_add_octets(t, item.p, item.n);
	seen[(*n)++] = item;
}

#define SIGNATURES_MAX 20 /* that are told */

/* "selector:domain" of signatures that we have made. */
static void signed_by_us(const struct txn *t, struct template_call *c, struct mw_text *text)
{
	struct mw_octets seen[SIGNATURES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < t->found.signed_domains.count && n < SIGNATURES_MAX; i++) {
		struct mw_octets d = t->found.signed_domains.items[i];
		const char *selector = "";
		char *one;

		for (size_t k = 0; k < t->set->signer_count; k++)
			if (mw_octets_ieq(d, t->set->signers[k].domain))
				selector = t->set->signers[k].selector;
		one = smtp_arena_printf(c->arena, "%s:%.*s", selector, (int)d.n, (const char *)d.p);
		c->failed |= one == NULL;
		if (one != NULL)
			add_once(text, mw_octets_of_text(one), seen, &n);
	}
}

static bool told_of_each(struct mw_octets what)
{
	static const char *const words[] = { "identity", "selector", "domain", "sig_sd" };

	for (size_t i = 0; i < MW_COUNT(words); i++)
		if (mw_octets_ieq(what, words[i]))
			return true;
	return false;
}

static bool counts(const struct txn *t, const struct finding_signature *s, struct mw_octets what)
{
	struct mw_octets sender = mw_octets_of_text(t->sender);

	if (mw_octets_ieq(what, "author"))
		return is_author(t, s);
	if (mw_octets_ieq(what, "sender"))
		return is_domain(t->facts.sender, s->d);
	if (mw_octets_ieq(what, "thirdparty"))
		return !is_author(t, s);
	if (mw_octets_ieq(what, "envsender"))
		return is_domain(sender, s->d);
	return what.n == 0 || mw_octets_ieq(what, "any") || is_wanted(s->d, what);
}

/* dkim(what): of valid signatures what each says, or how many are such. author, sender,
 * thirdparty and envsender say the domains. */
void give_dkim(struct template_call *c, int arg)
{
	const struct txn *t = txn(c);
	struct mw_octets what = template_trim(template_arg(c, 0)), seen[SIGNATURES_MAX];
	bool each = told_of_each(what), domains = false;
	size_t n = 0, found = 0;
	struct mw_text text = { 0 };

	(void)arg;
	for (size_t i = 0; i < t->found.signature_count && n < SIGNATURES_MAX; i++) {
		const struct finding_signature *s = &t->found.signatures[i];

		if (!is_valid(s))
			continue;
		if (each) {
			add_once(&text, told(c, s, what), seen, &n);
		} else if (counts(t, s, what)) {
			found++;
			domains = memchr("astel", what.n > 0 ? what.p[0] : 0, 5) != NULL &&
				  !mw_octets_ieq(what, "any") && !is_wanted(s->d, what);
			if (domains)
				add_once(&text, s->d, seen, &n);
		}
	}
	if (mw_octets_ieq(what, "newsig_sd"))
		signed_by_us(t, c, &text);
	c->failed |= text.failed;
	if (text.n > 0)
		template_say(c, give_copy(c, text.p, text.n));
	else if (found > 0)
		template_sayf(c, "%zu", found);
	mw_text_fini(&text);
}

/* ------------------------------------------------------------------ the rest */

/* rusage(ru_maxrss) and so on: of the front's process since it began. */
void give_usage(struct template_call *c, int arg)
{
	struct rusage u;
	struct mw_octets what = template_trim(template_arg(c, 0));

	(void)arg;
	if (what.n == 0 || getrusage(RUSAGE_SELF, &u) != 0)
		return;
	if (mw_octets_ieq(what, "ru_utime"))
		template_sayf(c, "%lld.%06ld", (long long)u.ru_utime.tv_sec, u.ru_utime.tv_usec);
	else if (mw_octets_ieq(what, "ru_stime"))
		template_sayf(c, "%lld.%06ld", (long long)u.ru_stime.tv_sec, u.ru_stime.tv_usec);
	else if (mw_octets_ieq(what, "ru_maxrss"))
		template_sayf(c, "%ld", u.ru_maxrss);
	else if (mw_octets_ieq(what, "ru_minflt"))
		template_sayf(c, "%ld", u.ru_minflt);
	else if (mw_octets_ieq(what, "ru_majflt"))
		template_sayf(c, "%ld", u.ru_majflt);
	else if (mw_octets_ieq(what, "ru_inblock"))
		template_sayf(c, "%ld", u.ru_inblock);
	else if (mw_octets_ieq(what, "ru_oublock"))
		template_sayf(c, "%ld", u.ru_oublock);
	else if (mw_octets_ieq(what, "ru_nvcsw"))
		template_sayf(c, "%ld", u.ru_nvcsw);
	else if (mw_octets_ieq(what, "ru_nivcsw"))
		template_sayf(c, "%ld", u.ru_nivcsw);
}

void give_number(struct template_call *c, int arg)
{
	(void)arg;
	if (c->scope->rcpt != NULL)
		template_sayf(c, "%zu", (size_t)(c->scope->rcpt - txn(c)->rcpts) + 1);
}

void give_local(struct template_call *c, int arg)
{
	(void)arg;
	if (c->scope->rcpt != NULL)
		template_say_text(c, c->scope->rcpt->is_local ? "L" : "0");
}
