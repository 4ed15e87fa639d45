#include "reason.h"

#include "decide.h"
#include "template_priv.h" /* template_trim */

/* A minor without a text has its major's; behind that the catch-all's. */
static struct template_code *set_for(const struct txn *t, unsigned ccat)
{
	for (enum ccat_slot s = ccat_slot_of(ccat); s < CCAT_SLOTS; s = ccat_above(s))
		if (t->policy->texts.reasons[s] != NULL)
			return t->policy->texts.reasons[s];
	return NULL;
}

/* It goes into one reply, whose only line ends are ours: anything but printable ASCII becomes ?,
 * UTF-8 too, for who reads a reply need not know it (RFC 6531 section 3.7.4.2). */
static const char *one_line(struct txn *t, const char *p, size_t n)
{
	char *s = smtp_arena_copy(&t->arena, p, n < REASON_MAX ? n : REASON_MAX);

	for (char *c = s; c != NULL && *c != '\0'; c++)
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
	return s;
}

static const char *expanded(struct txn *t, const struct txn_rcpt *r, struct template_code *text)
{
	const struct template_scope scope = {
		.txn = t, .rcpt = r, .most = 4 * REASON_MAX, .escape = true
	};
	struct mw_text out = { 0 };
	enum mw_rc rc = template_expand(text, &scope, &out);
	struct mw_octets said = template_trim(mw_octets_of(out.p != NULL ? out.p : "", out.n));
	const char *s =
		rc != MW_ERR_NOMEM && said.n > 0 ? one_line(t, (const char *)said.p, said.n) : NULL;

	mw_text_fini(&out);
	return s;
}

static const char *unchecked(struct txn *t)
{
	const struct txn_check *scan = &t->checks[JOB_SCAN];
	bool failed = scan->state == CHECK_OVER && scan->status == MW_FAILED;

	if (failed || t->hooked == NULL || !t->hooked->unchecked)
		return "UNCHECKED";
	return smtp_arena_printf(&t->arena, "UNCHECKED: %s", t->hooked->unchecked_why);
}

/* decision.md 7 has amavisd's words. */
static const char *by_default(struct txn *t, const struct txn_rcpt *r, unsigned ccat)
{
	static const struct {
		unsigned ccat;
		const char *text;
	} texts[] = {
		{ MW_CCAT(MW_CC_UNCHECKED, 1), "UNCHECKED: encrypted" },
		{ MW_CCAT(MW_CC_UNCHECKED, 2), "UNCHECKED: over limits" },
		{ MW_CCAT(MW_CC_UNCHECKED, 3), "UNCHECKED: ambiguous content" },
		{ MW_CCAT(MW_CC_UNCHECKED, 4), "UNCHECKED: spam check failed" },
		{ MW_CCAT(MW_CC_SPAM, 0), "spam" },
		{ MW_CCAT(MW_CC_SPAMMY, 0), "spammy" },
		{ MW_CCAT(MW_CC_SPAMMY, 1), "spammy (tag3)" },
		{ MW_CCAT(MW_CC_BADH, 0), "BAD HEADER" },
		{ MW_CCAT(MW_CC_BADH, 1), "BAD HEADER: MIME error" },
		{ MW_CCAT(MW_CC_BADH, 2), "BAD HEADER: nonencoded 8-bit character" },
		{ MW_CCAT(MW_CC_BADH, 3), "BAD HEADER: contains invalid control character" },
		{ MW_CCAT(MW_CC_BADH, 4), "BAD HEADER: line made up entirely of whitespace" },
		{ MW_CCAT(MW_CC_BADH, 5), "BAD HEADER: line longer than RFC 5322 limit" },
		{ MW_CCAT(MW_CC_BADH, 6), "BAD HEADER: syntax error" },
		{ MW_CCAT(MW_CC_BADH, 7), "BAD HEADER: missing required header field" },
		{ MW_CCAT(MW_CC_BADH, 8), "BAD HEADER: duplicate header field" },
		{ MW_CCAT(MW_CC_OVERSIZED, 0), "Message size exceeds recipient's size limit" },
		{ MW_CCAT(MW_CC_MTA, 0), "Unable to relay message back to MTA" },
		{ MW_CCAT(MW_CC_MTA, 1), "Temporary MTA failure on relaying" },
		{ MW_CCAT(MW_CC_MTA, 2), "Rejected by next-hop MTA on relaying" },
		{ MW_CCAT(MW_CC_CLEAN, 0), "CLEAN" },
		{ MW_CCAT(MW_CC_CLEAN, 1), "CLEAN" },
	};

	if (ccat == MW_CCAT(MW_CC_VIRUS, 0))
		return smtp_arena_printf(&t->arena, "INFECTED: %s", decide_virus_names(t));
	if (ccat == MW_CCAT(MW_CC_BANNED, 0))
		return smtp_arena_printf(
			&t->arena, "BANNED: %s", r->banned_part != NULL ? r->banned_part : "");
	if (ccat == MW_CCAT(MW_CC_UNCHECKED, 0))
		return unchecked(t);
	for (size_t i = 0; i < MW_COUNT(texts); i++)
		if (texts[i].ccat == ccat)
			return texts[i].text;
	return "OTHER";
}

const char *reason_text(struct txn *t, const struct txn_rcpt *r, unsigned ccat)
{
	struct template_code *own = set_for(t, ccat);
	const char *said = own != NULL ? expanded(t, r, own) : NULL, *text;

	if (said != NULL)
		return said;
	text = by_default(t, r, ccat);
	text = smtp_arena_printf(&t->arena, "id=%s - %s", t->log_id, text != NULL ? text : "OTHER");
	text = text != NULL ? one_line(t, text, strlen(text)) : NULL;
	return text != NULL ? text : "OTHER";
}
