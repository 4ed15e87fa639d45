#include "dsn.h"

#include <stdio.h>
#include <stdlib.h>

#include "edit.h"
#include "notice_text.h"
#include "reply.h"

/* ------------------------------------------------------------------ the tests */

static bool comes_again(const struct dsn_case *c)
{
	return c->class == 4;
}

static bool is_told_by_reply(const struct dsn_case *c)
{
	return c->class == 5 && c->reply_tells;
}

/* RFC 3461 section 4.1: what is not said is FAILURE. */
static bool wants_no_failures(const struct dsn_case *c)
{
	return c->class == 5 &&
	       ((c->notify != 0 && (c->notify & SMTP_NOTIFY_FAILURE) == 0) || c->null_sender);
}

static bool wants_no_success(const struct dsn_case *c)
{
	return c->class == 2 && (c->notify & SMTP_NOTIFY_SUCCESS) == 0 && !c->warns;
}

static bool is_passed_on(const struct dsn_case *c)
{
	return c->class == 2 && c->passed_on && !c->warns;
}

static bool wants_nothing(const struct dsn_case *c)
{
	return (c->notify & SMTP_NOTIFY_NEVER) != 0 || c->null_sender;
}

static bool is_discarded(const struct dsn_case *c)
{
	return c->discarded;
}

static bool has_reason(const struct dsn_case *c)
{
	return c->why_not != NULL;
}

static bool reaches_sender_cutoff(const struct dsn_case *c)
{
	return c->sender_cutoff;
}

static bool reaches_rcpt_cutoff(const struct dsn_case *c)
{
	return c->rcpt_cutoff;
}

static bool is_bulk(const struct dsn_case *c)
{
	return c->bulk;
}

static bool always(const struct dsn_case *c)
{
	(void)c;
	return true;
}

/* decision.md 16, in its order; p0f's guess is left out: hard-coded, and about the past. */
const struct dsn_test dsn_tests[DSN_TESTS] = {
	{ "temporary failure", comes_again, DSN_STOPS },
	{ "the reply tells", is_told_by_reply, DSN_STOPS },
	{ "failures are not wanted", wants_no_failures, DSN_SUPPRESSES },
	{ "success is not wanted", wants_no_success, DSN_STOPS },
	{ "the next hop tells", is_passed_on, DSN_STOPS },
	{ "nothing is wanted", wants_nothing, DSN_SUPPRESSES },
	{ "discarded", is_discarded, DSN_SUPPRESSES },
	{ "no sender to tell", has_reason, DSN_SUPPRESSES },
	{ "cutoff of the sender", reaches_sender_cutoff, DSN_SUPPRESSES },
	{ "cutoff of the recipient", reaches_rcpt_cutoff, DSN_SUPPRESSES },
	{ "bulk mail", is_bulk, DSN_SUPPRESSES },
	{ "reported", always, DSN_REPORTS },
};

const struct dsn_test *dsn_judge(const struct dsn_case *c)
{
	size_t i = 0;

	while (!dsn_tests[i].is(c))
		i++;
	return &dsn_tests[i];
}

/* ------------------------------------------------------------------ a case */

static bool is_domain_of(struct mw_octets domain, const char *address)
{
	const char *at = strrchr(address, '@');

	return at != NULL && domain.n > 0 && mw_octets_ieq(domain, at + 1);
}

bool dsn_sender_is_credible(const struct txn *t)
{
	if (t->originating)
		return true;
	for (size_t i = 0; i < t->found.signature_count; i++) {
		const struct finding_signature *s = &t->found.signatures[i];

		if (mw_octets_ieq(s->result, "pass") && !s->expired &&
			is_domain_of(s->d, t->sender))
			return true;
	}
	return false;
}

static bool reaches(const struct txn_rcpt *r, int64_t level)
{
	return level != RCPT_NO_LEVEL && r->has_score && r->score_milli >= level;
}

static bool over_sender_cutoff(const struct txn *t, const struct txn_rcpt *r, bool credible)
{
	const struct policy *p = t->policy;

	return reaches(r,
		mw_lookup_milli(credible ? p->sender_credible_dsn_cutoffs : p->sender_dsn_cutoffs,
			t->sender, credible ? p->credible_dsn_cutoff_milli : p->dsn_cutoff_milli));
}

static bool over_rcpt_cutoff(const struct txn_rcpt *r, bool credible)
{
	int32_t level = credible ? r->credible_dsn_cutoff_milli : r->dsn_cutoff_milli;

	return reaches(r, level) || (level != RCPT_NO_LEVEL && r->black && !r->white);
}

/* RFC 3461 section 4.1: who names what is wanted, and not delays, wants no such notes. */
static bool warns_sender(const struct txn *t, const struct txn_rcpt *r)
{
	if (!r->delivered || (r->params.notify != 0 && (r->params.notify & SMTP_NOTIFY_DELAY) == 0))
		return false;
	for (size_t i = 0; i < r->ccat_count; i++)
		if (t->policy->notices.warns_sender[ccat_slot_of(r->ccats[i])])
			return true;
	return false;
}

void dsn_case_of(struct txn *t, const struct txn_rcpt *r, struct dsn_case *c_r)
{
	bool credible = dsn_sender_is_credible(t);
	/* Something was found: what the next hop refuses (MTA) is no reason to tell nobody. */
	bool unclean = r->ccat_count > 0 && r->ccats[0] >= MW_CCAT(MW_CC_OVERSIZED, 0);

	*c_r = (struct dsn_case){
		.class = r->code / 100,
		.reply_tells = r->code / 100 == 5 && !reply_needs_dsn(t, r),
		.notify = r->params.notify,
		.null_sender = *t->sender == '\0',
		.warns = warns_sender(t, r),
		.passed_on = t->client_delivers ||
			     (r->dsn_known && !t->policy->notices.success_ends_here),
		.discarded = r->code / 100 == 2 && !r->delivered,
		.why_not = t->found.fakes_sender	     ? "a virus that fakes senders"
			   : r->banned && r->banned_discards ? "the banned rule says DISCARD"
							     : NULL,
		.sender_cutoff = over_sender_cutoff(t, r, credible),
		.rcpt_cutoff = over_rcpt_cutoff(r, credible),
		.bulk = t->facts.is_bulk && unclean,
	};
}

/* ------------------------------------------------------------------ the report */

struct report {
	struct mw_text *out;
	bool utf8;
};

/* "Name: type; text" */
static void add_typed(
	const struct report *p, const char *name, const char *type, struct mw_octets value)
{
	struct mw_text line = { 0 };

	mw_text_addf(&line, "%s; ", type);
	notice_add_line(&line, value, !p->utf8, 800);
	notice_add_field(p->out, name, mw_octets_of(line.p, line.n), p->utf8);
	p->out->failed = p->out->failed || line.failed;
	mw_text_fini(&line);
}

static void add_plain(const struct report *p, const char *name, const char *value)
{
	notice_add_field(p->out, name, mw_octets_of_text(value), false);
}

static bool is_ascii(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s > 0x7e)
			return false;
	return true;
}

static void add_mail(const struct report *p, const struct txn *t)
{
	struct mw_text from = { 0 };

	add_typed(p, "Reporting-MTA", "dns", mw_octets_of_text(t->set->myhostname));
	if (*t->helo != '\0') {
		notice_add_line(&from, mw_octets_of_text(t->helo), true, 255);
		if (*t->peer_ip != '\0')
			mw_text_addf(&from, " ([%s])", t->peer_ip);
		add_typed(p, "Received-From-MTA", "dns", mw_octets_of(from.p, from.n));
	}
	add_plain(p, "Arrival-Date", edit_date((time_t)(t->time_ms / 1000)));
	if (t->params.envid != NULL) {
		mw_text_clear(&from);
		if (notice_add_xtext(&from, t->params.envid))
			notice_add_field(p->out, "Original-Envelope-Id",
				mw_octets_of(from.p, from.n), p->utf8);
	}
	p->out->failed = p->out->failed || from.failed;
	mw_text_fini(&from);
}

/* "type;xtext", as RCPT brought it. */
static void add_original_rcpt(const struct report *p, const char *orcpt)
{
	const char *semicolon = orcpt != NULL ? strchr(orcpt, ';') : NULL;
	struct mw_text value = { 0 };
	char type[64];

	if (semicolon == NULL ||
		!mw_strncpy(type, sizeof(type), orcpt, (size_t)(semicolon - orcpt)))
		return;
	if (notice_add_xtext(&value, semicolon + 1))
		add_typed(p, "Original-Recipient", type, mw_octets_of(value.p, value.n));
	p->out->failed = p->out->failed || value.failed;
	mw_text_fini(&value);
}

/* Of "from MTA(smtp:[host]:port)" in a reply, the host as a name or an address literal. */
static void add_remote(const struct report *p, const char *reply)
{
	const char *mta = strstr(reply, "from MTA("), *host = mta != NULL ? strchr(mta, '[') : NULL;
	const char *end = host != NULL ? strchr(host, ']') : NULL;
	bool is_name = false;

	if (end == NULL || end - host > 256 || memchr(mta, ')', (size_t)(host - mta)) != NULL)
		return;
	for (const char *c = host + 1; c < end && !is_name; c++)
		is_name = strchr("0123456789abcdefABCDEF:.", *c) == NULL;
	if (is_name)
		add_typed(p, "Remote-MTA", "dns", mw_octets_of(host + 1, (size_t)(end - host - 1)));
	else
		add_typed(p, "Remote-MTA", "dns", mw_octets_of(host, (size_t)(end - host + 1)));
}

/* The enhanced code behind the first word of a reply; the class's undefined one where there is
 * none. */
static void status_of(const struct txn_rcpt *r, char out[16])
{
	const char *p = strchr(r->reply, ' ');
	size_t n = p != NULL ? strspn(p + 1, "0123456789.") : 0;

	if (n >= 5 && n < 12 && p[1] == (char)('0' + r->code / 100) && p[2] == '.')
		snprintf(out, 16, "%.*s", (int)n, p + 1);
	else
		snprintf(out, 16, "%u.0.0", r->code / 100);
}

static const char *action_of(const struct txn_rcpt *r)
{
	return r->code / 100 == 5 ? "failed"
	       : !r->delivered	  ? "delivered"
	       : r->dsn_warns	  ? "delayed"
				  : "relayed";
}

static void add_rcpt(const struct report *p, const struct txn *t, const struct txn_rcpt *r)
{
	struct mw_octets reply = mw_octets_of_text(r->reply);
	/* RFC 3464 section 2.3.2: as it was when the mail was accepted. */
	const char *addr = txn_rcpt_given(r);
	char status[16], id[2 * MW_NAME_MAX + 2];

	mw_text_add(p->out, "\r\n");
	add_original_rcpt(p, r->params.orcpt);
	add_typed(p, "Final-Recipient", p->utf8 && !is_ascii(addr) ? "utf-8" : "rfc822",
		mw_octets_of_text(addr));
	add_plain(p, "Action", action_of(r));
	status_of(r, status);
	add_plain(p, "Status", status);
	if (r->from_next_hop)
		add_remote(p, r->reply);
	add_typed(p, "Diagnostic-Code", "smtp", reply);
	add_plain(p, "Last-Attempt-Date", edit_date((time_t)(mw_wall_ms() / 1000)));
	snprintf(id, sizeof(id), "%s/%s", t->log_id, t->mail_id);
	add_plain(p, "Final-Log-ID", id);
}

void dsn_add_report(struct txn *t, const bool *reported, bool utf8, struct mw_text *out)
{
	const struct report p = { out, utf8 };

	add_mail(&p, t);
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (reported[i])
			add_rcpt(&p, t, &t->rcpts[i]);
}
