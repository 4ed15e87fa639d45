#include "log_line.h"

#include <stdio.h>

#include "template.h"
#include "transaction.h"

#define LOG_LINES_MAX (32 * 1024) /* octets of all lines of a mail, and of those of a recipient */
#define RCPT_LINES_MAX 1000	  /* recipients of one mail that have lines */

/* Lines end with newlines of the template's own; there are none in values. */
static void write_lines(const struct txn *t, const struct mw_text *lines)
{
	const char *p = lines->p, *end = p + lines->n;

	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((lf != NULL ? lf : end) - p);

		if (n > strspn(p, " ") && n > 0)
			mw_log_line_as(&t->policy->voice, MW_INFO, t->log_id, mw_octets_of(p, n),
				t->policy->texts.line_octets);
		p += n + 1;
	}
}

static void expand(struct txn *t, struct template_code *text, const struct txn_rcpt *rcpt,
	const struct mw_record *r, struct mw_text *lines)
{
	const struct template_scope scope = {
		.txn = t, .rcpt = rcpt, .record = r, .most = LOG_LINES_MAX, .escape = true
	};
	enum mw_rc rc = template_expand(text, &scope, lines);

	if (rc != MW_OK)
		txn_log(t, MW_WARN, "log_line_cut", "log_id=%s why=%s", t->log_id, mw_rc_name(rc));
	if (lines->n > 0)
		write_lines(t, lines);
	mw_text_clear(lines);
}

/* A mail that nobody has got and nothing was decided about comes again. */
static bool is_decided(const struct txn *t, const struct mw_record *r)
{
	bool delivered = false;

	for (size_t i = 0; i < t->rcpt_count; i++)
		delivered |= t->rcpts[i].delivered;
	return !r->aborted && (!t->deferred || delivered);
}

void log_line(struct txn *t, const struct mw_record *r)
{
	const struct policy_texts *texts = &t->policy->texts;
	struct mw_text lines = { 0 };

	if ((texts->log_line == NULL && texts->log_rcpt == NULL) ||
		!mw_log_voice_wants(&t->policy->voice, MW_INFO) || !is_decided(t, r))
		return;
	if (texts->log_line != NULL)
		expand(t, texts->log_line, NULL, r, &lines);
	for (size_t i = 0; texts->log_rcpt != NULL && i < t->rcpt_count && i < RCPT_LINES_MAX; i++)
		expand(t, texts->log_rcpt, &t->rcpts[i], r, &lines);
	mw_text_fini(&lines);
}

/* ------------------------------------------------------------------ timing */

struct section {
	const char *name;
	uint64_t us;
};

static void add_ms(struct mw_text *out, uint64_t us)
{
	if (us < 5000)
		mw_text_addf(out, "%llu.%llu", (unsigned long long)((us + 50) / 1000),
			(unsigned long long)((us + 50) / 100 % 10));
	else
		mw_text_addf(out, "%llu", (unsigned long long)((us + 500) / 1000));
}

/* "SECTION: D (P%)Q": time, share of the total, and share until here. */
static void add_sections(
	struct mw_text *out, const struct section *sections, size_t count, uint64_t total)
{
	uint64_t until = 0;

	total = total > 0 ? total : 1;
	for (size_t i = 0; i < count; i++) {
		until += sections[i].us;
		mw_text_addf(out, "%s%s: ", i > 0 ? ", " : "", sections[i].name);
		add_ms(out, sections[i].us);
		mw_text_addf(out, " (%llu%%)%llu",
			(unsigned long long)((sections[i].us * 100 + total / 2) / total),
			(unsigned long long)((until * 100 + total / 2) / total));
	}
}

static uint64_t between(uint64_t from_us, uint64_t to_us)
{
	return from_us != 0 && to_us > from_us ? to_us - from_us : 0;
}

/* Checks run side by side and elsewhere: their times stand on a line of their own. */
static void log_checks(const struct txn *t)
{
	struct mw_text out = { 0 };

	for (int kind = 0; kind < JOB_LEARN; kind++) {
		const struct txn_check *c = &t->checks[kind];

		if (c->state != CHECK_OVER || c->wall_us == 0)
			continue;
		mw_text_addf(&out, "%s%s: ", out.n > 0 ? ", " : "", dispatch_kind_names[kind]);
		add_ms(&out, c->wall_us);
		mw_text_add(&out, " cpu ");
		add_ms(&out, c->cpu_us);
		mw_text_add(&out, " wait ");
		add_ms(&out, c->wait_us);
	}
	if (out.n > 0 && !out.failed) {
		struct mw_text line = { 0 };

		mw_text_addf(&line, "TIMING-CHECKS [%s]", out.p);
		if (!line.failed)
			mw_log_line_as(&t->policy->voice, MW_DETAIL, t->log_id,
				mw_octets_of(line.p, line.n), t->policy->texts.line_octets);
		mw_text_fini(&line);
	}
	mw_text_fini(&out);
}

void log_timing(const struct txn *t, const struct mw_record *r)
{
	uint64_t now = mw_mono_us(), total = now - t->start_us,
		 data = t->data_us != 0 ? t->data_us : t->dot_us,
		 checks = t->checks_us != 0 ? t->checks_us : now,
		 kept = t->edit_us != 0 ? t->edit_us : now,
		 deliver = t->deliver_us != 0 ? t->deliver_us : now,
		 own = t->cpu_receiving_us + t->cpu_checks_us + t->cpu_sending_us, all = own;
	const struct section sections[] = {
		{ "SMTP MAIL", between(t->start_us, data) },
		{ "SMTP DATA", between(data, t->dot_us) },
		{ "checks", between(t->dot_us, checks) },
		{ "save-to-quarantine", between(t->checks_us, kept) },
		{ "write-header", between(t->edit_us, deliver) },
		{ "fwd-end-chkpnt", between(t->deliver_us, now) },
	};
	struct section ran[MW_COUNT(sections)];
	size_t count = 0;
	struct mw_text out = { 0 };

	if (!mw_log_voice_wants(&t->policy->voice, MW_DETAIL))
		return;
	for (int kind = 0; kind < JOB_LEARN; kind++)
		all += t->checks[kind].cpu_us;
	for (size_t i = 0; i < MW_COUNT(sections); i++)
		if (sections[i].us > 0)
			ran[count++] = sections[i];
	mw_text_addf(&out, "size: %llu, TIMING [total ", (unsigned long long)r->size);
	add_ms(&out, total);
	mw_text_add(&out, " ms, cpu ");
	add_ms(&out, all);
	mw_text_add(&out, " ms, AM-cpu ");
	add_ms(&out, own);
	mw_text_add(&out, " ms");
	if (t->checks[JOB_SPAM].cpu_us > 0) {
		mw_text_add(&out, ", SA-cpu ");
		add_ms(&out, t->checks[JOB_SPAM].cpu_us);
		mw_text_add(&out, " ms");
	}
	mw_text_add(&out, "] - ");
	add_sections(&out, ran, count, total);
	if (!out.failed)
		mw_log_line_as(&t->policy->voice, MW_DETAIL, t->log_id, mw_octets_of(out.p, out.n),
			t->policy->texts.line_octets);
	mw_text_fini(&out);
	log_checks(t);
}
