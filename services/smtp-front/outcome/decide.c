#include "decide_priv.h"

#include "checks/banned.h"
#include "reason.h"

static bool failed(const struct txn *t, enum dispatch_kind kind)
{
	return t->checks[kind].state == CHECK_OVER && t->checks[kind].status == MW_FAILED;
}

const char *decide_check_failure(struct txn *t)
{
	const char *why;
	static const struct {
		enum dispatch_kind kind;
		const char *name;
	} fatal[] = { { JOB_SCAN, "virus" }, { JOB_SPAM, "spam" }, { JOB_SIGN, "DKIM signing" } };

	for (size_t i = 0; i < MW_COUNT(fatal); i++) {
		bool counts = fatal[i].kind == JOB_SCAN ? t->policy->virus_failure_fatal
			      : fatal[i].kind == JOB_SPAM
				      ? t->policy->spam_failure_fatal
				      : true; /* unsigned mail would fail at its receivers' DMARC */

		if (!counts || !failed(t, fatal[i].kind))
			continue;
		why = smtp_arena_printf(&t->arena, "%s check FAILED: %s", fatal[i].name,
			t->checks[fatal[i].kind].reason);
		return why != NULL ? why : "check FAILED"; /* NULL would say that none did */
	}
	return NULL;
}

const char *decide_virus_names(struct txn *t)
{
	struct mw_text names = { 0 };
	const char *s;

	for (size_t i = 0; i < t->found.virus_count && i < 5; i++) {
		struct mw_octets name = t->found.viruses[i].name;
		char text[128];
		bool again = false;

		for (size_t k = 0; k < i && !again; k++)
			again = t->found.viruses[k].name.n == name.n &&
				(name.n == 0 ||
					memcmp(t->found.viruses[k].name.p, name.p, name.n) == 0);
		if (again)
			continue;
		mw_strncpy(text, sizeof(text), name.n > 0 ? (const char *)name.p : "unnamed",
			name.n > 0 ? name.n : 7);
		for (char *p = text; *p != '\0'; p++)
			if (*p < 0x20 || *p > 0x7e)
				*p = '?'; /* it goes into SMTP replies and header fields */
		mw_text_addf(&names, "%s%s", names.n > 0 ? ", " : "", text);
	}
	s = smtp_arena_copy(&t->arena, names.p, names.n);
	mw_text_fini(&names);
	return s != NULL ? s : "";
}

/* ------------------------------------------------------------------ categories */

struct ccats {
	unsigned *ccats;
	size_t *count;
};

static struct ccats ccats_of(struct txn_rcpt *r)
{
	return (struct ccats){ r->ccats, &r->ccat_count };
}

/* Each once, most important first (decision.md 2). */
static void add(const struct ccats *c, unsigned ccat)
{
	size_t i = 0;

	while (i < *c->count && c->ccats[i] > ccat)
		i++;
	if (*c->count == TXN_CCATS_MAX || (i < *c->count && c->ccats[i] == ccat))
		return;
	memmove(c->ccats + i + 1, c->ccats + i, (*c->count - i) * sizeof(c->ccats[0]));
	c->ccats[i] = ccat;
	(*c->count)++;
}

static void add_limited(const struct txn *t, const struct ccats *c)
{
	const struct txn_check *scan = &t->checks[JOB_SCAN];

	if (scan->state == CHECK_OVER && (scan->status == MW_LIMIT || t->found.limit_count > 0))
		add(c, MW_CCAT(MW_CC_UNCHECKED, 2));
}

/* Why parts, or all of it, could not be looked at. */
static void add_unchecked(const struct txn *t, const struct ccats *c)
{
	add_limited(t, c);
	if (t->found.encrypted > 0)
		add(c, MW_CCAT(MW_CC_UNCHECKED, 1));
	if (failed(t, JOB_SCAN) || t->found.broken || (t->hooked != NULL && t->hooked->unchecked))
		add(c, MW_CCAT(MW_CC_UNCHECKED, 0));
}

/* Why parts that rules on banned ones ask for may not have been told. Of encrypted ones the rules
 * can say what they want. */
static void add_untold(const struct txn *t, const struct ccats *c)
{
	add_limited(t, c);
	if (t->found.broken)
		add(c, MW_CCAT(MW_CC_UNCHECKED, 0));
}

/* Every kind of fault, so that each may have a destiny of its own. */
static void add_bad_header(const struct txn *t, const struct ccats *c)
{
	if (t->badh.count > 0 && t->badh.minors == 0)
		add(c, MW_CCAT(MW_CC_BADH, 0));
	for (unsigned minor = 1; minor < 10; minor++)
		if ((t->badh.minors & MW_BIT(minor)) != 0)
			add(c, MW_CCAT(MW_CC_BADH, minor));
}

/* All but spam, which comes last: a recipient that bypasses a check does not get its category. */
static void categorise(const struct txn *t, struct txn_rcpt *r)
{
	struct ccats c = ccats_of(r);

	if (!r->bypass_virus) {
		if (t->found.virus_count > 0)
			add(&c, MW_CCAT(MW_CC_VIRUS, 0));
		add_unchecked(t, &c);
	} else if (!r->bypass_banned && failed(t, JOB_SCAN)) {
		add(&c, MW_CCAT(MW_CC_UNCHECKED, 0)); /* its parts are not known either */
	} else if (banned_wanted_for(t, r)) {
		add_untold(t, &c);
	}
	if (t->found.ambiguous) /* what their reader sees nobody knows, whoever bypasses what */
		add(&c, MW_CCAT(MW_CC_UNCHECKED, 3));
	if (r->banned && !r->bypass_banned)
		add(&c, MW_CCAT(MW_CC_BANNED, 0));
	if (!r->bypass_header)
		add_bad_header(t, &c);
	if (r->size_limit != 0 && t->body != NULL && smtp_body_size(t->body) > r->size_limit)
		add(&c, MW_CCAT(MW_CC_OVERSIZED, 0));
}

static void categorise_spam(const struct txn *t, struct txn_rcpt *r)
{
	struct ccats c = ccats_of(r);

	if (failed(t, JOB_SPAM) && !r->bypass_spam)
		add(&c, MW_CCAT(MW_CC_UNCHECKED, 4));
	if (r->kill)
		add(&c, MW_CCAT(MW_CC_SPAM, 0));
	if (r->tag2)
		add(&c, MW_CCAT(MW_CC_SPAMMY, r->tag3 ? 1 : 0));
	add(&c, MW_CCAT(MW_CC_CLEAN, r->tag ? 1 : 0));
}

/* What any check has found, for whomever. */
static void categorise_mail(struct txn *t)
{
	struct ccats c = { t->ccats, &t->ccat_count };

	t->ccat_count = 0;
	if (t->found.virus_count > 0)
		add(&c, MW_CCAT(MW_CC_VIRUS, 0));
	add_unchecked(t, &c);
	if (t->found.ambiguous)
		add(&c, MW_CCAT(MW_CC_UNCHECKED, 3));
	add_bad_header(t, &c);
	for (size_t i = 0; i < t->rcpt_count; i++)
		for (size_t k = 0; k < t->rcpts[i].ccat_count; k++)
			add(&c, t->rcpts[i].ccats[k]);
}

/* ------------------------------------------------------------------ destinies */

static enum mw_destiny destiny_of(const struct txn *t, const struct txn_rcpt *r, unsigned ccat)
{
	enum mw_destiny d = r->destinies[ccat_slot_of(ccat)];

	/* A sender who is to be warned of what is thrown away gets it bounced. */
	if (d == MW_D_DISCARD &&
		((ccat / 10 == MW_CC_BANNED && t->policy->warn_banned_sender) ||
			(ccat / 10 == MW_CC_BADH && t->policy->warn_bad_header_sender)))
		return MW_D_BOUNCE;
	return d;
}

/* From the most important category down: the first that blocks the mail for r. */
static bool find_block(
	const struct txn *t, const struct txn_rcpt *r, unsigned *ccat_r, enum mw_destiny *destiny_r)
{
	for (size_t i = 0; i < r->ccat_count; i++) {
		unsigned ccat = r->ccats[i];
		enum mw_destiny d = destiny_of(t, r, ccat);

		if (d == MW_D_PASS)
			continue;
		/* What would block a mail does not for those who love it. */
		if (r->loves[ccat_slot_of(ccat)])
			continue;
		/* Faults of mailing lists and of bounces are nobody's to be told of. */
		if (d == MW_D_BOUNCE && ccat / 10 == MW_CC_BADH &&
			(*t->sender == '\0' || t->facts.is_bulk))
			continue;
		*ccat_r = ccat;
		*destiny_r = d;
		return true;
	}
	return false;
}

bool decide_all_blocked(struct txn *t)
{
	size_t asked = 0;

	for (size_t i = 0; i < t->rcpt_count; i++) {
		struct txn_rcpt *r = &t->rcpts[i];
		enum mw_destiny destiny;
		unsigned ccat;
		bool blocked;

		if (r->removed)
			continue;
		r->ccat_count = 0;
		categorise(t, r);
		blocked = find_block(t, r, &ccat, &destiny);
		r->ccat_count = 0;
		/* What any score would let pass, or be tagged, has to be scored. */
		if (!blocked)
			return false;
		asked++;
	}
	return asked > 0;
}

/* ------------------------------------------------------------------ replies of our own */

/* RFC 3463: 3.4 is a mail too large for the system, 6.0 and 6.3 are content that somebody on the
 * way cannot have, 7.0 one that policy is against. */
static void status_of(unsigned ccat, unsigned *code_r, const char **enhanced_r)
{
	static const struct {
		unsigned least, most, code;
		const char *enhanced;
	} rows[] = {
		{ MW_CCAT(MW_CC_MTA, 0), MW_CCAT(MW_CC_MTA, 9), 550, "3.5" },
		{ MW_CCAT(MW_CC_OVERSIZED, 0), MW_CCAT(MW_CC_OVERSIZED, 9), 552, "3.4" },
		{ MW_CCAT(MW_CC_BADH, 2), MW_CCAT(MW_CC_BADH, 2), 554, "6.3" },
		{ MW_CCAT(MW_CC_BADH, 0), MW_CCAT(MW_CC_BADH, 9), 554, "6.0" },
	};

	*code_r = 554;
	*enhanced_r = "7.0";
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		if (ccat >= rows[i].least && ccat <= rows[i].most) {
			*code_r = rows[i].code;
			*enhanced_r = rows[i].enhanced;
			return;
		}
}

/* soft_bounce: what cannot be undone comes again. */
static bool is_softened(const struct txn *t, enum mw_destiny destiny)
{
	if (!t->policy->soft_bounce || destiny == MW_D_TEMPFAIL)
		return false;
	return destiny != MW_D_DISCARD || t->policy->soft_bounce_discards;
}

/* decision.md 7: STATUS WORD, REASON. */
static void block(struct txn *t, struct txn_rcpt *r, unsigned ccat, enum mw_destiny destiny)
{
	static const struct {
		enum mw_destiny destiny;
		unsigned code; /* 0: the category's */
		const char *word;
		enum mw_action action;
	} words[] = {
		{ MW_D_REJECT, 0, "Reject", MW_ACT_REJECT },
		{ MW_D_BOUNCE, 0, "Bounce", MW_ACT_BOUNCE },
		{ MW_D_DISCARD, 250, "Ok, discarded", MW_ACT_DISCARD },
		{ MW_D_TEMPFAIL, 450, "Temporary failure", MW_ACT_TEMPFAIL },
	};
	bool soft;
	size_t i = 0;
	unsigned code;
	const char *enhanced;

	/* Nobody can be told that a recipient unknown to the client is refused. */
	if (r->added && (destiny == MW_D_REJECT || destiny == MW_D_BOUNCE))
		destiny = MW_D_DISCARD;
	while (i + 1 < MW_COUNT(words) && words[i].destiny != destiny)
		i++; /* the last one also for a destiny that has no row: blocked is never delivered
		      */
	soft = is_softened(t, destiny);
	status_of(ccat, &code, &enhanced);
	code = soft ? 450 : words[i].code != 0 ? words[i].code : code;
	r->ccat_blocking = ccat;
	r->destiny = soft ? MW_D_TEMPFAIL : destiny;
	r->cluster = -1;
	r->code = code;
	r->action = soft ? MW_ACT_TEMPFAIL : words[i].action;
	r->reply = smtp_arena_printf(&t->arena, "%u %u.%s %s%s, %.450s", code, code / 100, enhanced,
		words[i].word, soft ? " (soft_bounce)" : "", reason_text(t, r, ccat));
}

/* Where to is not known: nowhere else, and not for ever either. */
static void wait_for_route(struct txn *t, struct txn_rcpt *r)
{
	r->cluster = -1;
	r->code = 451;
	r->action = MW_ACT_TEMPFAIL;
	r->reply = smtp_arena_printf(
		&t->arena, "451 4.3.5 Error in processing, id=%s, %s", t->log_id, r->no_route);
}

/* ------------------------------------------------------------------ the decision */

static void begin_anew(struct txn_rcpt *r)
{
	r->ccat_count = 0;
	r->tag = r->tag2 = r->tag3 = r->kill = false;
	if (r->removed)
		return; /* by a hook: it has its reply */
	r->ccat_blocking = 0;
	r->destiny = MW_D_PASS;
	r->code = 0;
	r->reply = NULL;
}

static void decide_rcpt(struct txn *t, struct txn_rcpt *r)
{
	enum mw_destiny destiny;
	unsigned ccat;

	begin_anew(r);
	if (!r->removed)
		decide_score(t, r);
	categorise(t, r);
	categorise_spam(t, r);
	if (r->removed)
		return;
	if (find_block(t, r, &ccat, &destiny))
		block(t, r, ccat, destiny);
	else if (r->no_route != NULL && !t->client_delivers)
		wait_for_route(t, r);
}

void decide(struct txn *t)
{
	decide_viruses(t);
	decide_senders(t);
	for (size_t i = 0; i < t->rcpt_count; i++)
		decide_rcpt(t, &t->rcpts[i]);
	categorise_mail(t);
	decide_add_tests(t);
}

/* ------------------------------------------------------------------ the next hop's refusals */

static void turn(struct txn *t, struct txn_rcpt *r, unsigned code, const char *enhanced,
	const char *word, enum mw_action action, unsigned ccat)
{
	const char *reply = smtp_arena_printf(&t->arena, "%u %s %s%.450s, %s", code, enhanced, word,
		reason_text(t, r, ccat), r->reply);

	if (reply == NULL)
		return; /* as it is, it is true, too */
	r->code = code;
	r->reply = reply;
	r->action = action;
	r->from_next_hop = false;
}

enum mw_destiny decide_of_refusal(const struct txn *t, const struct txn_rcpt *r)
{
	enum mw_destiny d = r->destinies[ccat_slot_of(MW_CCAT(MW_CC_MTA, 2))];

	if (r->ccat_count == 0 || d == MW_D_PASS) /* nothing was decided about it: released mail */
		d = MW_D_REJECT;
	return r->ccat_count > 0 && is_softened(t, d) ? MW_D_TEMPFAIL : d;
}

void decide_hop_refusal(struct txn *t, struct txn_rcpt *r)
{
	bool for_good = r->code / 100 == 5;
	unsigned ccat = MW_CCAT(MW_CC_MTA, for_good ? 2 : 1);
	struct ccats own = ccats_of(r), all = { t->ccats, &t->ccat_count };
	enum mw_destiny d;

	if (r->ccat_count == 0)
		return; /* nothing was decided about it: released mail */
	d = r->destinies[ccat_slot_of(ccat)];
	add(&own, ccat);
	add(&all, ccat);
	if (d == MW_D_PASS)
		d = for_good ? MW_D_REJECT : MW_D_TEMPFAIL;
	r->ccat_blocking = ccat;
	if (!for_good)
		d = MW_D_TEMPFAIL; /* what may yet go well is not given up */
	else if (d == MW_D_TEMPFAIL || is_softened(t, d))
		turn(t, r, 450, "4.5.0", d == MW_D_TEMPFAIL ? "" : "(soft_bounce) ",
			MW_ACT_TEMPFAIL, ccat);
	else if (d == MW_D_DISCARD)
		turn(t, r, 250, "2.5.0", "Discarded ", MW_ACT_DISCARD, ccat);
	else if (d == MW_D_BOUNCE)
		r->action = MW_ACT_BOUNCE;
	r->destiny = r->code / 100 == 4 ? MW_D_TEMPFAIL : d;
}

/* ------------------------------------------------------------------ the mail as a whole */

unsigned decide_ccat(const struct txn *t)
{
	unsigned blocking = 0;

	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].ccat_blocking > blocking)
			blocking = t->rcpts[i].ccat_blocking;
	if (blocking != 0)
		return blocking;
	if (t->ccat_count > 0)
		return t->ccats[0];
	/* Nothing was decided: it was put off before, or nobody waits for it any more. */
	if (t->released || t->own_kind != MW_OWN_NONE)
		return MW_CCAT(MW_CC_CLEAN, 0);
	return t->found.virus_count > 0 ? MW_CCAT(MW_CC_VIRUS, 0) : MW_CCAT(MW_CC_UNCHECKED, 0);
}
