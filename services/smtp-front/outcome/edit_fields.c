/* The fields of ours: one table row each, in amavisd's order, wording and folding. */
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "decide.h"
#include "edit_priv.h"
#include "spam_report.h"

#define LEVEL_BAR_MAX 64   /* characters of X-Spam-Level */
#define LISTED_SCORE 64000 /* X-Spam-Score of a blacklisted sender's mail at least */
#define NOT_LOCAL "the recipient is not local (local_domains_maps)"
#define FOR_OCTETS_MAX 900 /* an address that fits a line of 998 (RFC 5322 section 2.1.1) */

/* ------------------------------------------------------------------ single fields */

static void add_text(struct mw_text *out, const char *name, const char *value)
{
	size_t from = out->n;

	mw_text_addf(out, "%s: ", name);
	edit_add_safe(out, mw_octets_of_text(value));
	edit_fold_words(out, from);
}

/* A HELO name as it may stand outside of comments: a parenthesis in it would hide the rest of the
 * field. */
static void add_host(struct mw_text *out, const char *s)
{
	if (*s == '\0')
		mw_text_add(out, "unknown");
	for (; *s != '\0'; s++)
		mw_text_add_octets(out,
			isalnum((unsigned char)*s) || strchr(".:_[]-", *s) != NULL ? s : "?", 1);
}

/* RFC 5322 section 3.3, made once a second: the zone's rules cost more than the rest of the field.
 */
const char *edit_date(time_t second)
{
	static time_t made;
	static char text[64];

	if (second != made) {
		struct tm tm;

		localtime_r(&second, &tm);
		strftime(text, sizeof(text), "%a, %e %b %Y %H:%M:%S %z (%Z)", &tm);
		made = second;
	}
	return text;
}

/* RFC 5321 section 4.4; `with` only for registered protocol names. */
void edit_received(const struct txn *t, struct mw_text *out)
{
	const char *v6 = strchr(t->peer_ip, ':') != NULL ? "IPv6:" : "";
	const char *own6 = strchr(t->local_ip, ':') != NULL ? "IPv6:" : "";
	struct edit_fold f = edit_fold_begin(out);

	mw_text_add(out, "Received: from ");
	add_host(out, t->helo);
	if (t->peer_ip[0] != '\0')
		mw_text_addf(out, " ([%s%s])", v6, t->peer_ip);
	if (t->tls != NULL && *t->tls != '\0') {
		edit_fold_here(&f);
		mw_text_addf(out, " (using %s)", t->tls);
	}
	edit_fold_here(&f);
	mw_text_addf(out, " by %s", t->policy->localhost_name);
	if (t->local_ip[0] != '\0')
		mw_text_addf(out, " (%s [%s%s]) (mailweir, port %u)", t->set->myhostname, own6,
			t->local_ip, t->local_port);
	else /* by a Unix socket, which has no address */
		mw_text_add(out, " (mailweir, unix socket)");
	if (strcmp(t->protocol, "AM.PDP") != 0) {
		edit_fold_here(&f);
		mw_text_addf(out, " with %s", t->protocol);
	}
	edit_fold_here(&f);
	mw_text_addf(out, " id %s", t->mail_id);
	/* A UTF-8 address would make the header section one that not every hop takes (RFC 6532). */
	if (t->rcpt_count == 1 && strlen(t->rcpts[0].addr) <= FOR_OCTETS_MAX &&
		mw_is_printable(t->rcpts[0].addr, strlen(t->rcpts[0].addr))) {
		edit_fold_here(&f);
		mw_text_addf(out, " for <%s>", t->rcpts[0].addr);
	}
	mw_text_add(out, ";");
	edit_fold_here(&f);
	mw_text_addf(out, " %s", edit_date((time_t)(t->time_ms / 1000)));
	edit_fold_end(&f);
}

static void add_level(struct edit_fold *f, const char *name, int32_t milli)
{
	if (milli == RCPT_NO_LEVEL)
		return;
	edit_fold_here(f);
	mw_text_add(f->out, name);
	edit_add_score(f->out, milli);
}

/* decision.md 10: Yes or No, score=S tagged_above=T required=T2 tests=[A=1, B=2] autolearn=X,
 * folded at blanks and commas. */
static void add_spam_status(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	struct edit_fold f = edit_fold_begin(out);

	(void)tag;
	mw_text_addf(out, "X-Spam-Status: %s,", r->tag2 ? "Yes" : "No");
	edit_fold_here(&f);
	mw_text_add(out, " score=");
	if (r->has_score)
		edit_add_score(out, r->score_milli);
	else
		mw_text_add(out, "x");
	add_level(&f, " tagged_above=", r->tag_milli);
	add_level(&f, " required=", r->tag2_milli);
	if (r->black) {
		edit_fold_here(&f);
		mw_text_add(out, " BLACKLISTED");
	}
	if (r->white) {
		edit_fold_here(&f);
		mw_text_add(out, " WHITELISTED");
	}
	edit_fold_here(&f);
	mw_text_add(out, " tests=[");
	for (size_t i = 0; i < t->found.test_count; i++) {
		const struct mw_record_test *test = &t->found.tests[i];

		if (i > 0) {
			mw_text_add(out, ",");
			edit_fold_here(&f);
			mw_text_add(out, " ");
		}
		edit_add_safe(out, test->name);
		mw_text_add(out, "=");
		edit_add_score(out, test->milli);
	}
	mw_text_add(out, "]");
	edit_fold_here(&f);
	mw_text_add(out, " autolearn=");
	edit_add_safe(out,
		t->found.autolearn.n > 0 ? t->found.autolearn : mw_octets_of_text("unavailable"));
	edit_fold_end(&f);
}

/* Its lines as continuation lines, as SpamAssassin's own field has them. */
static void add_spam_report(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	(void)r;
	(void)tag;
	mw_text_add(out, "X-Spam-Report:\r\n");
	spam_report_terse(t->found.report, " ", "\r\n", out);
}

static void add_spam_flag(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	(void)t;
	(void)tag;
	mw_text_addf(out, "X-Spam-Flag: %s\r\n", r->tag2 ? "YES" : "NO");
}

static void add_spam_score(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	int32_t milli = r->has_score ? r->score_milli : 0;

	(void)t;
	(void)tag;
	if (r->black && milli < LISTED_SCORE)
		milli = LISTED_SCORE;
	if (r->white && milli > 0)
		milli = 0;
	mw_text_add(out, "X-Spam-Score: ");
	edit_add_score(out, milli);
	mw_text_add(out, "\r\n");
}

static int level_bar(const struct txn_rcpt *r)
{
	int bar = r->white	 ? 0
		  : r->black	 ? LEVEL_BAR_MAX
		  : r->has_score ? r->score_milli / 1000
				 : 0;

	return bar > LEVEL_BAR_MAX ? LEVEL_BAR_MAX : bar;
}

static void add_spam_level(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	(void)tag;
	/* as amavisd has it: an empty bar is an empty field */
	mw_text_add(out, level_bar(r) > 0 ? "X-Spam-Level: " : "X-Spam-Level:");
	for (int i = level_bar(r); i > 0; i--)
		mw_text_add(out, t->policy->level_char);
	mw_text_add(out, "\r\n");
}

/* RFC 6008: header.b tells signatures apart, where there are several and its octets do so. */
static bool b_tells(const struct findings *f, const struct finding_signature *s)
{
	size_t same = 0;

	for (size_t i = 0; i < f->signature_count; i++)
		same += f->signatures[i].b.n == s->b.n &&
			(s->b.n == 0 || memcmp(f->signatures[i].b.p, s->b.p, s->b.n) == 0);
	for (size_t i = 0; i < s->b.n; i++)
		if (!isalnum(s->b.p[i]) && s->b.p[i] != '+' && s->b.p[i] != '/')
			return false;
	return f->signature_count > 1 && s->b.n == 8 && same == 1;
}

/* A quoted-string (RFC 5322 section 3.2.4) of what is not the result's word again. */
static void add_reason(const struct finding_signature *s, struct edit_fold *f)
{
	struct mw_text *out = f->out;

	if (s->reason.n == 0 || (s->reason.n == s->result.n &&
					strncasecmp((const char *)s->reason.p,
						(const char *)s->result.p, s->reason.n) == 0))
		return;
	edit_fold_here(f);
	mw_text_add(out, " reason=\"");
	for (size_t i = 0; i < s->reason.n; i++) {
		if (s->reason.p[i] == '"' || s->reason.p[i] == '\\')
			mw_text_add(out, "\\");
		edit_add_safe(out, mw_octets_of(s->reason.p + i, 1));
	}
	mw_text_add(out, "\"");
}

/* A pvalue without quotes (RFC 8601 section 2.2): what is no domain's character could begin another
 * result, or hide those behind it in a comment. */
static void add_domain(struct mw_text *out, struct mw_octets d)
{
	for (size_t i = 0; i < d.n; i++)
		mw_text_add_octets(out,
			isalnum(d.p[i]) || (d.p[i] != '\0' && strchr("._-", d.p[i]) != NULL)
				? (const char *)d.p + i
				: "?",
			1);
}

static void add_signature(
	const struct findings *found, const struct finding_signature *s, struct edit_fold *f)
{
	mw_text_add(f->out, ";");
	edit_fold_here(f);
	mw_text_add(f->out, " dkim=");
	edit_add_safe(f->out, s->result);
	if (s->bits > 0)
		mw_text_addf(f->out, " (%lld-bit key)", (long long)s->bits);
	add_reason(s, f);
	if (s->d.n > 0) {
		edit_fold_here(f);
		mw_text_add(f->out, " header.d=");
		add_domain(f->out, s->d);
	}
	if (b_tells(found, s)) {
		edit_fold_here(f);
		mw_text_addf(f->out, " header.b=\"%.8s\"", (const char *)s->b.p);
	}
}

/* decision.md 10.1, RFC 8601. A check that did not run is temperror, never silence. */
static void add_authentication_results(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	const struct txn_check *auth = &t->checks[JOB_AUTH];
	struct edit_fold f = edit_fold_begin(out);

	(void)r;
	(void)tag;
	mw_text_addf(out, "Authentication-Results: %s (mailweir)", t->policy->authserv_id);
	if (auth->status == MW_FAILED || t->found.signature_count == 0) {
		mw_text_add(out, ";");
		edit_fold_here(&f);
		mw_text_add(out, " dkim=temperror");
		edit_fold_here(&f);
		mw_text_addf(out, " reason=\"%s\"",
			auth->status == MW_FAILED ? "check failed" : "over limits");
	}
	for (size_t i = 0; auth->status != MW_FAILED && i < t->found.signature_count; i++)
		add_signature(&t->found, &t->found.signatures[i], &f);
	edit_fold_end(&f);
}

static void add_penpals(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	int64_t s = r->penpals_age_s;

	(void)t;
	(void)tag;
	mw_text_addf(out, "X-Amavis-PenPals: age %lld %lld:%02lld:%02lld\r\n",
		(long long)(s / 86400), (long long)(s / 3600 % 24), (long long)(s / 60 % 60),
		(long long)(s % 60));
}

static void add_alert(struct mw_text *out, const char *what, const char *which)
{
	size_t from = out->n;

	mw_text_addf(out, "X-Amavis-Alert: %s", what);
	edit_add_safe(out, mw_octets_of_text(which));
	edit_fold_words(out, from);
}

static void add_infected(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	(void)r;
	(void)tag;
	add_alert(out, "INFECTED, message contains virus: ", decide_virus_names(t));
}

static void add_banned(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	(void)t;
	(void)tag;
	add_alert(out, "BANNED, message contains ",
		r->banned_part != NULL ? r->banned_part : "a part of an unknown name");
}

/* What other programs look for in the quarantine is the first finding. */
static void add_badh(struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	(void)r;
	(void)tag;
	add_alert(out, "BAD HEADER SECTION, ",
		t->badh.count > 0 ? t->badh.texts[0] : "MIME structure");
}

static void add_unchecked(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	(void)tag;
	for (size_t i = 0; i < r->ccat_count; i++)
		if (r->ccats[i] / 10 == MW_CC_UNCHECKED)
			add_alert(out, "UNCHECKED, ", mw_ccat_name(r->ccats[i]));
	if (t->hooked != NULL && t->hooked->unchecked && !r->bypass_virus)
		add_alert(out, "UNCHECKED: ", t->hooked->unchecked_why);
}

static void add_no_score(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	(void)r;
	(void)tag;
	add_alert(out, "UNCHECKED, spam check failed: ", t->checks[JOB_SPAM].reason);
}

static void add_scanned(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	(void)r;
	(void)tag;
	add_text(out, t->policy->x_header_tag, t->policy->x_header_line);
}

static void add_received(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	(void)r;
	(void)tag;
	edit_received(t, out);
}

static void add_hold(struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	size_t from = out->n;

	(void)r;
	(void)tag;
	mw_text_add(out, "X-Amavis-Hold: decoding limits met");
	if (t->found.limits.n > 0) {
		mw_text_add(out, ": ");
		edit_add_safe(out, t->found.limits);
	}
	edit_fold_words(out, from);
}

/* Of the filter: which engine scored is the scanner's affair. */
static void add_checker(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	(void)r;
	(void)tag;
	mw_text_addf(out, "X-Spam-Checker-Version: mailweir %s on %s\r\n", MW_VERSION,
		t->set->myhostname);
}

static void add_quarantine_id(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	(void)r;
	(void)tag;
	mw_text_addf(out, "X-Quarantine-ID: <%s>\r\n", t->mail_id);
}

static void add_modified(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	size_t from = out->n;

	(void)tag;
	mw_text_addf(out, "X-Amavis-Modified: Mail body modified (%s) - %s", r->body_modified,
		t->set->myhostname);
	edit_fold_words(out, from);
}

static void add_category(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	size_t from = out->n;

	(void)tag;
	mw_text_addf(out, "X-Amavis-Category: %s; category=%s", t->policy->authserv_id,
		mw_ccat_name(r->ccat_count > 0 ? r->ccats[0] : MW_CCAT(MW_CC_CLEAN, 0)));
	edit_fold_words(out, from);
}

/*
 * draft-chen-email-mime-ambiguity-defense: who says so, and the scanner's words for what may be
 * read in several ways.
 */
static void add_ambiguity(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	const struct mw_octets *words = &t->found.mime_errors;
	struct edit_fold f = edit_fold_begin(out);

	(void)r;
	(void)tag;
	mw_text_addf(out, "MIME-Ambiguity-Results: %s;", t->policy->authserv_id);
	for (size_t i = 0, n; i < words->n; i += n + 1) {
		const unsigned char *comma = memchr(words->p + i, ',', words->n - i);

		n = comma != NULL ? (size_t)(comma - words->p) - i : words->n - i;
		if (i > 0)
			mw_text_add(out, ",");
		edit_fold_here(&f);
		mw_text_add(out, " ");
		edit_add_safe(out, mw_octets_of(words->p + i, n));
	}
	if (words->n == 0)
		mw_text_add(out, " ambiguous");
	edit_fold_end(&f);
}

static void add_new_subject(
	struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out)
{
	(void)r;
	edit_add_subject(t, tag, &t->header, NULL, out);
}

/* ------------------------------------------------------------------ who gets which field */

/* Each says whether, and why or why not, for a person who asks. */
static bool because(const char **why_r, const char *why, bool yes)
{
	*why_r = why;
	return yes;
}

static bool has_major(const struct txn_rcpt *r, unsigned major)
{
	for (size_t i = 0; i < r->ccat_count; i++)
		if (r->ccats[i] / 10 == major)
			return true;
	return false;
}

static bool wants_received(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	(void)r;
	return t->client_delivers
		       ? because(why_r, "the client delivers by itself: this is no hop", false)
		       : because(why_r, "every mail that is sent on has it", true);
}

static bool wants_scanned(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	const struct txn_check *scan = &t->checks[JOB_SCAN];

	if (scan->state != CHECK_OVER)
		return because(why_r, scan->skipped, false);
	if (scan->status == MW_FAILED)
		return because(why_r, "the virus check failed", false);
	if (t->policy->x_header_line[0] == '\0')
		return because(why_r, "X_HEADER_LINE is empty", false);
	return r->bypass_virus ? because(why_r, "bypass_virus_checks of the recipient", false)
			       : because(why_r, "the mail was scanned", true);
}

static bool wants_infected(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	if (t->found.virus_count == 0)
		return because(why_r, "no virus was found", false);
	return r->bypass_virus ? because(why_r, "bypass_virus_checks of the recipient", false)
			       : because(why_r, "a virus was found", true);
}

static bool wants_banned(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	(void)t;
	return has_major(r, MW_CC_BANNED) ? because(why_r, "a banned part was found", true)
					  : because(why_r, "no banned part was found", false);
}

static bool wants_badh(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	(void)t;
	return has_major(r, MW_CC_BADH) ? because(why_r, "the header section is bad", true)
					: because(why_r, "the header section is not bad", false);
}

static bool wants_unchecked(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	(void)t;
	return has_major(r, MW_CC_UNCHECKED)
		       ? because(why_r, "the mail could not be checked whole", true)
		       : because(why_r, "nothing was left unchecked", false);
}

static bool wants_hold(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	const struct txn_check *scan = &t->checks[JOB_SCAN];

	(void)r;
	return scan->state == CHECK_OVER && (scan->status == MW_LIMIT || t->found.limit_count > 0)
		       ? because(why_r, "the mail met limits of decoding", true)
		       : because(why_r, "no limit of decoding was met", false);
}

static bool wants_checker(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	const struct txn_check *spam = &t->checks[JOB_SPAM];

	if (spam->state != CHECK_OVER || spam->status == MW_FAILED)
		return because(why_r,
			spam->skipped != NULL ? spam->skipped : "the spam check failed", false);
	return because(why_r, r->is_local ? "the mail was scored" : NOT_LOCAL, r->is_local);
}

static bool wants_quarantine_id(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	if (!r->is_local)
		return because(why_r, NOT_LOCAL, false);
	return t->quarantined ? because(why_r, "the mail is in the quarantine", true)
			      : because(why_r, "the mail is not in the quarantine", false);
}

static bool wants_modified(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	(void)t;
	return r->body_modified != NULL ? because(why_r, "the body was changed", true)
					: because(why_r, "the body is as it came", false);
}

static bool wants_no_score(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	const struct txn_check *spam = &t->checks[JOB_SPAM];

	if (spam->state != CHECK_OVER || spam->status != MW_FAILED)
		return because(why_r, "the spam check did not fail", false);
	if (r->bypass_spam)
		return because(why_r, "bypass_spam_checks of the recipient", false);
	return because(why_r, r->is_local ? "the spam check failed" : NOT_LOCAL, r->is_local);
}

static bool wants_spam(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	(void)t;
	if (!r->is_local)
		return because(why_r, NOT_LOCAL, false);
	if (r->bypass_spam)
		return because(why_r, "bypass_spam_checks of the recipient", false);
	if (!r->has_score && !r->black)
		return because(why_r,
			r->tag ? "no score counts as 0, which reaches spam_tag_level"
			       : "no score counts as 0, which is below spam_tag_level",
			r->tag);
	return because(why_r,
		r->tag ? "the score reaches spam_tag_level" : "the score is below spam_tag_level",
		r->tag);
}

static bool wants_report(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	if (!r->is_local)
		return because(why_r, NOT_LOCAL, false);
	if (r->bypass_spam)
		return because(why_r, "bypass_spam_checks of the recipient", false);
	if (!r->tag2)
		return because(why_r, "the score is below spam_tag2_level", false);
	return spam_report_lines(t->found.report) > 0
		       ? because(why_r, "the score reaches spam_tag2_level", true)
		       : because(why_r, "the spam check has no report", false);
}

static bool wants_level(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	if (!wants_spam(t, r, why_r))
		return false;
	return t->policy->level_char[0] != '\0' ||
	       because(why_r, "sa_spam_level_char is empty", false);
}

static bool wants_penpals(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	(void)t;
	if (!r->is_local)
		return because(why_r, NOT_LOCAL, false);
	return r->penpals_age_s >= 0
		       ? because(why_r, "the recipient wrote to the sender before", true)
		       : because(why_r, "no pen pals, or nobody asked", false);
}

static bool wants_results(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	const struct txn_check *auth = &t->checks[JOB_AUTH];

	if (!r->is_local)
		return because(why_r, NOT_LOCAL, false);
	if (auth->state != CHECK_OVER)
		return because(why_r, auth->skipped, false);
	return auth->status == MW_DONE && t->found.signature_count == 0
		       ? because(why_r, "no signature was found", false)
		       : because(why_r, "signatures were looked at", true);
}

static bool wants_ambiguity(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	if (!r->is_local)
		return because(why_r, NOT_LOCAL, false);
	return t->found.ambiguous
		       ? because(why_r, "programs may see different contents in the mail", true)
		       : because(why_r, "the mail is not ambiguous", false);
}

static bool wants_subject(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	if (t->hooked != NULL && t->hooked->subject_prefix != NULL)
		return because(why_r, "a hook puts something before it", true);
	if (!r->is_local)
		return because(why_r, NOT_LOCAL, false);
	return *edit_subject_raw(t, r) != '\0'
		       ? because(why_r, "a category of the mail has a tag", true)
		       : because(why_r, "no category of the mail has a tag", false);
}

static bool wants_category(const struct txn *t, const struct txn_rcpt *r, const char **why_r)
{
	(void)t;
	(void)r;
	return because(why_r, "allowed_added_header_fields has it", true);
}

/* All fields of ours, top-down: the only place that says who gets one. */
static const struct edit_rule {
	const char *field; /* NULL: X_HEADER_TAG's */
	bool (*wanted)(const struct txn *t, const struct txn_rcpt *r, const char **why_r);
	/* tag: edit_subject_tag's */
	void (*add)(struct txn *t, const struct txn_rcpt *r, const char *tag, struct mw_text *out);
} rules[EDIT_FIELDS] = {
	[EDIT_HOLD] = { "X-Amavis-Hold", wants_hold, add_hold },
	[EDIT_CHECKER] = { "X-Spam-Checker-Version", wants_checker, add_checker },
	[EDIT_QUARANTINE_ID] = { "X-Quarantine-ID", wants_quarantine_id, add_quarantine_id },
	[EDIT_MODIFIED] = { "X-Amavis-Modified", wants_modified, add_modified },
	[EDIT_SCANNED] = { NULL, wants_scanned, add_scanned },
	[EDIT_INFECTED] = { "X-Amavis-Alert", wants_infected, add_infected },
	[EDIT_BANNED] = { "X-Amavis-Alert", wants_banned, add_banned },
	[EDIT_BADH] = { "X-Amavis-Alert", wants_badh, add_badh },
	[EDIT_UNCHECKED] = { "X-Amavis-Alert", wants_unchecked, add_unchecked },
	[EDIT_NO_SCORE] = { "X-Amavis-Alert", wants_no_score, add_no_score },
	[EDIT_SPAM_FLAG] = { "X-Spam-Flag", wants_spam, add_spam_flag },
	[EDIT_SPAM_SCORE] = { "X-Spam-Score", wants_spam, add_spam_score },
	[EDIT_SPAM_LEVEL] = { "X-Spam-Level", wants_level, add_spam_level },
	[EDIT_SPAM_STATUS] = { "X-Spam-Status", wants_spam, add_spam_status },
	[EDIT_SPAM_REPORT] = { "X-Spam-Report", wants_report, add_spam_report },
	[EDIT_PENPALS] = { "X-Amavis-PenPals", wants_penpals, add_penpals },
	[EDIT_RESULTS] = { "Authentication-Results", wants_results, add_authentication_results },
	[EDIT_AMBIGUITY] = { "MIME-Ambiguity-Results", wants_ambiguity, add_ambiguity },
	[EDIT_SUBJECT] = { "Subject", wants_subject, add_new_subject },
	[EDIT_RECEIVED] = { "Received", wants_received, add_received },
	[EDIT_CATEGORY] = { "X-Amavis-Category", wants_category, add_category },
};

static bool is_wanted(
	const struct txn *t, const struct txn_rcpt *r, unsigned field, const char **why_r)
{
	if ((t->policy->fields_off & MW_BIT(field)) != 0)
		return because(why_r, "allowed_added_header_fields", false);
	return rules[field].wanted(t, r, why_r);
}

void edit_verdicts(
	const struct txn *t, const struct txn_rcpt *r, struct edit_verdict verdicts[EDIT_FIELDS])
{
	for (unsigned i = 0; i < EDIT_FIELDS; i++) {
		struct edit_verdict *v = &verdicts[i];

		v->field = rules[i].field != NULL ? rules[i].field : t->policy->x_header_tag;
		v->added = is_wanted(t, r, i, &v->why);
	}
}

/* ------------------------------------------------------------------ allowed_added_header_fields */

/* Names that amavisd has, and nothing here adds. */
static const char *const never_added[] = { "VBR-Info", "X-Amavis-OS-Fingerprint",
	"X-Amavis-PolicyBank", "X-Bogosity", "X-CRM114-Action", "X-CRM114-CacheID",
	"X-CRM114-Notice", "X-CRM114-Status", "X-DSPAM-Class", "X-DSPAM-Confidence",
	"X-DSPAM-Factors", "X-DSPAM-Probability", "X-DSPAM-Processed", "X-DSPAM-Result",
	"X-DSPAM-Signature", "X-DSPAM-User", "X-Spam-Tests" };

static bool is_never_added(const char *name)
{
	for (size_t i = 0; i < MW_COUNT(never_added); i++)
		if (mw_ieq(name, never_added[i]))
			return true;
	return false;
}

/* The bits of all fields of that name. */
static uint32_t bits_of(const char *name, const char *x_header_tag)
{
	uint32_t bits = mw_ieq(name, "DKIM-Signature") ? EDIT_SIGNATURE_OFF : 0;

	for (unsigned i = 0; i < EDIT_FIELDS; i++)
		if (i != EDIT_SUBJECT &&
			mw_ieq(name, rules[i].field != NULL ? rules[i].field : x_header_tag))
			bits |= MW_BIT(i);
	return bits;
}

enum mw_rc edit_fields_off(const struct mw_conf *conf, uint32_t *off_r, struct mw_err *err_r)
{
	const struct mw_val *v = mw_conf_val(conf, "allowed_added_header_fields");
	const char *tag = mw_conf_text(conf, "X_HEADER_TAG");

	/* What is not named is off: the row's default names all. X_HEADER_TAG's is named by it. */
	*off_r = (EDIT_SIGNATURE_OFF | (MW_BIT(EDIT_FIELDS) - 1)) & ~MW_BIT(EDIT_SUBJECT) &
		 ~MW_BIT(EDIT_SCANNED);
	for (size_t i = 0; i < v->count; i++) {
		uint32_t bits = bits_of(v->keys[i], tag != NULL ? tag : "");

		if (mw_ieq(v->keys[i], "REPLACE"))
			continue;
		if (v->vals[i].tag != MW_V_BOOL || v->is_array)
			return mw_fail(err_r, MW_ERR_CONF,
				"allowed_added_header_fields[\"%.60s\"]: expected true or false",
				v->keys[i]);
		if (bits == 0 && !is_never_added(v->keys[i]))
			return mw_fail(err_r, MW_ERR_CONF,
				"allowed_added_header_fields[\"%.60s\"]: no field of that name is "
				"ever added",
				v->keys[i]);
		*off_r = v->vals[i].b ? *off_r & ~bits : *off_r | bits;
	}
	return MW_OK;
}

/* ------------------------------------------------------------------ all of them */

static bool begins_with_blank(struct mw_octets o)
{
	return o.n > 0 && (o.p[0] == ' ' || o.p[0] == '\t');
}

void edit_guard(const struct txn *t, struct mw_text *out)
{
	if (begins_with_blank(smtp_body_octets(t->body)))
		mw_text_add(out, EDIT_GUARD_FIELD);
}

char *edit_fields(struct txn *t, const struct txn_rcpt *r, const char *tag, bool has_subject,
	struct mw_octets first)
{
	struct mw_text out = { 0 };
	const char *why;
	char *s = NULL;

	for (unsigned i = 0; i < EDIT_FIELDS; i++)
		if (i == EDIT_SUBJECT ? edit_changes_subject(t, tag) && !has_subject
				      : is_wanted(t, r, i, &why))
			rules[i].add(t, r, tag, &out);
	if (t->hooked != NULL)
		mw_text_add(&out, t->hooked->fields);
	if (begins_with_blank(first))
		mw_text_add(&out, EDIT_GUARD_FIELD);
	if (!out.failed)
		s = smtp_arena_copy(&t->arena, out.p, out.n);
	mw_text_fini(&out);
	return s;
}
