/* What stands on top of a copy: the fields and the order are amavisd's, so that its tools read our
 * copies and ours read its. */
#include "quarantine_priv.h"

#include <stdlib.h>

#include "decide.h"
#include "edit.h"
#include "policy/rcpt_policy.h"

#define LEVEL_BAR_MAX 64   /* characters of X-Spam-Level */
#define FOLD_AT 76	   /* columns */
#define LISTED_MILLI 64000 /* what the score of a sender on a black list is at least */

/* ------------------------------------------------------------------ the envelope */

static void put_octets(struct mw_text *out, const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x20 && *s != 0x7f)
			mw_text_add_octets(out, s, 1);
}

static void put_address(struct mw_text *out, const char *addr)
{
	mw_text_add(out, "<");
	put_octets(out, addr);
	mw_text_add(out, ">");
}

/* A list of addresses is one field, each on a line of its own. */
static void put_rcpts(struct txn *t, const struct txn_copy *c, const char *name, bool blocked,
	struct mw_text *out)
{
	const char *between = " ";

	mw_text_addf(out, "%s:", name);
	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct txn_rcpt *r = &t->rcpts[i];

		/* A hook has taken it off: it is not to get the mail, by a release neither. */
		if (r->removed ||
			(blocked && !quarantine_is_kept_from(t, (size_t)(c - t->copies), r)))
			continue;
		mw_text_add(out, between);
		put_address(out, r->addr);
		between = ",\r\n ";
	}
	mw_text_add(out, "\r\n");
}

static void put_envelope(struct txn *t, const struct txn_copy *c, struct mw_text *out)
{
	bool file = c->route == NULL && c->method->kind == QUARANTINE_LOCAL;
	const char *sender = t->policy->quarantine_sender;

	if (file) { /* of others it is the next hop's to add, or the envelope is there */
		mw_text_add(out, "Return-Path: ");
		put_address(out, sender != NULL ? sender : t->sender);
		mw_text_add(out, "\r\nDelivered-To: ");
		for (size_t i = 0; i < c->to_count; i++) {
			mw_text_add(out, i > 0 ? ",\r\n " : "");
			put_octets(out, c->to[i]);
		}
		mw_text_add(out, "\r\n");
	}
	mw_text_add(out, "X-Envelope-From: ");
	put_address(out, t->sender);
	mw_text_add(out, "\r\n");
	if (c->method->kind != QUARANTINE_BSMTP)
		put_rcpts(t, c, "X-Envelope-To", false, out);
	put_rcpts(t, c, "X-Envelope-To-Blocked", true, out);
	mw_text_addf(out, "X-Quarantine-ID: <%s>\r\n", t->mail_id);
}

/* ------------------------------------------------------------------ alerts */

static void put_safe_octets(struct mw_text *out, struct mw_octets o)
{
	for (size_t i = 0; i < o.n; i++)
		mw_text_add_octets(
			out, o.p[i] < 0x20 || o.p[i] > 0x7e ? "?" : (const char *)o.p + i, 1);
}

static void put_safe(struct mw_text *out, const char *s)
{
	put_safe_octets(out, mw_octets_of_text(s));
}

static bool is_in(const struct txn *t, unsigned major)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		for (size_t k = 0; k < t->rcpts[i].ccat_count; k++)
			if (t->rcpts[i].ccats[k] / 10 == major)
				return true;
	return false;
}

static void put_unchecked(const struct txn *t, struct mw_text *out)
{
	unsigned told = 0;

	for (size_t i = 0; i < t->rcpt_count; i++)
		for (size_t k = 0; k < t->rcpts[i].ccat_count; k++) {
			unsigned ccat = t->rcpts[i].ccats[k];

			if (ccat / 10 != MW_CC_UNCHECKED || (told & MW_BIT(ccat % 10)) != 0)
				continue;
			told |= MW_BIT(ccat % 10);
			mw_text_addf(out, "X-Amavis-Alert: UNCHECKED, %s\r\n", mw_ccat_name(ccat));
		}
}

static void put_alerts(struct txn *t, struct mw_text *out)
{
	if (t->found.virus_count > 0)
		mw_text_addf(out, "X-Amavis-Alert: INFECTED, message contains virus: %s\r\n",
			decide_virus_names(t));
	/* The first recipient's part speaks for all, as in amavisd's copies. */
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].banned && t->rcpts[i].banned_part != NULL) {
			mw_text_add(out, "X-Amavis-Alert: BANNED, message contains ");
			put_safe(out, t->rcpts[i].banned_part);
			mw_text_add(out, "\r\n");
			break;
		}
	if (is_in(t, MW_CC_BADH) && t->badh.count > 0) {
		mw_text_add(out, "X-Amavis-Alert: BAD HEADER SECTION, ");
		put_safe(out, t->badh.texts[0]);
		mw_text_add(out, "\r\n");
	}
	put_unchecked(t, out);
	if (t->poison)
		mw_text_add(out, "X-Amavis-Alert: UNCHECKED, two cages died on this mail\r\n");
}

/* ------------------------------------------------------------------ spam */

/* Over all recipients: a copy is not for one of them. */
struct spread {
	bool has_score, tag2, kill, white, black;
	int32_t least, most;
	int32_t tag, tag2_at, kill_at; /* least levels that are set; NO_LEVEL: none */
};

#define NO_LEVEL INT32_MAX

static void take_level(int32_t *least, int32_t milli)
{
	if (milli != RCPT_NO_LEVEL && milli < *least)
		*least = milli;
}

static struct spread spread_of(const struct txn *t)
{
	struct spread s = { .least = INT32_MAX,
		.most = INT32_MIN,
		.tag = NO_LEVEL,
		.tag2_at = NO_LEVEL,
		.kill_at = NO_LEVEL };

	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct txn_rcpt *r = &t->rcpts[i];

		if (!r->has_score)
			continue;
		s.has_score = true;
		s.least = r->score_milli < s.least ? r->score_milli : s.least;
		s.most = r->score_milli > s.most ? r->score_milli : s.most;
		s.tag2 = s.tag2 || r->tag2;
		s.kill = s.kill || r->kill;
		s.white = s.white || r->white;
		s.black = s.black || r->black;
		if (r->bypass_spam || !(r->tag || r->tag2 || r->kill))
			continue;
		take_level(&s.tag, r->tag_milli);
		take_level(&s.tag2_at, r->tag2_milli);
		take_level(&s.kill_at, r->kill_milli);
	}
	return s;
}

static void put_points(struct mw_text *out, int32_t milli)
{
	mw_text_addf(out, "%s%d.%03d", milli < 0 ? "-" : "", abs(milli / 1000), abs(milli % 1000));
	while (out->n > 1 && out->p[out->n - 1] == '0')
		out->p[--out->n] = '\0';
	if (out->n > 0 && out->p[out->n - 1] == '.')
		out->p[--out->n] = '\0';
}

static void put_level(struct mw_text *out, const char *name, int32_t milli)
{
	mw_text_addf(out, " %s=", name);
	if (milli != NO_LEVEL)
		put_points(out, milli);
	else
		mw_text_add(out, "x");
}

/* Folded at commas. */
static void put_tests(const struct txn *t, struct mw_text *out, size_t line)
{
	for (size_t i = 0; i < t->found.test_count; i++) {
		const struct mw_record_test *test = &t->found.tests[i];

		if (out->n - line + test->name.n + 10 > FOLD_AT && i > 0) {
			mw_text_add(out, ",\r\n ");
			line = out->n;
		} else if (i > 0) {
			mw_text_add(out, ", ");
		}
		put_safe_octets(out, test->name);
		mw_text_add(out, "=");
		put_points(out, test->milli);
	}
}

static void put_status(const struct txn *t, const struct spread *s, struct mw_text *out)
{
	mw_text_addf(out, "X-Spam-Status: %s, score=", s->tag2 || s->kill ? "Yes" : "No");
	put_points(out, s->least);
	if (s->least != s->most) {
		mw_text_add(out, "..");
		put_points(out, s->most);
	}
	put_level(out, "tag", s->tag);
	put_level(out, "tag2", s->tag2_at);
	put_level(out, "kill", s->kill_at);
	mw_text_addf(out, "\r\n %s%stests=[", s->black ? "BLACKLISTED " : "",
		s->white ? "WHITELISTED " : "");
	put_tests(t, out, out->n - 8);
	mw_text_add(out, "] autolearn=");
	if (t->found.autolearn.n > 0)
		put_safe(out, (const char *)t->found.autolearn.p);
	else
		mw_text_add(out, "unavailable");
	mw_text_add(out, "\r\n");
}

/* Nothing of a mail that has no score: silence, not "No". */
static void put_spam(struct txn *t, struct mw_text *out)
{
	struct spread s = spread_of(t);
	int32_t shown = s.most;
	int bar;

	if (!s.has_score)
		return;
	if (s.black && shown < LISTED_MILLI)
		shown = LISTED_MILLI;
	if (s.white && shown > 0)
		shown = 0;
	bar = s.white ? 0 : s.black ? LEVEL_BAR_MAX : s.most / 1000;
	mw_text_addf(out, "X-Spam-Flag: %s\r\nX-Spam-Score: ", s.tag2 ? "YES" : "NO");
	put_points(out, shown);
	mw_text_add(out, "\r\n");
	if (t->policy->level_char[0] != '\0') {
		mw_text_add(out, "X-Spam-Level: ");
		for (int i = 0; i < bar && i < LEVEL_BAR_MAX; i++)
			mw_text_add(out, t->policy->level_char);
		mw_text_add(out, "\r\n");
	}
	put_status(t, &s, out);
}

/* Received stands last: behind it the original begins, whatever its first fields are called. */
void quarantine_head(struct txn *t, const struct txn_copy *c, struct mw_text *out)
{
	put_envelope(t, c, out);
	put_alerts(t, out);
	put_spam(t, out);
	edit_received(t, out);
	edit_guard(t, out);
}
