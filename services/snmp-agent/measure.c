/* What a mail record adds to an object: quantity, condition, direction. */
#include "objects.h"

static bool has_way(
	enum snmpsvc_way way, const struct mw_record *r, const struct mw_record_rcpt *rcpt)
{
	switch (way) {
	case SNMPSVC_ANY:
		return true;
	case SNMPSVC_ORIGINATING:
		return r->originating;
	case SNMPSVC_LOCAL:
		return rcpt->is_local;
	default:
		return (enum snmpsvc_way)mw_record_direction(r, rcpt) == way;
	}
}

/* Conditions that recipients meet, each for itself. */
static bool rcpt_meets(const struct snmpsvc_object *o, const struct mw_record *r,
	const struct mw_record_rcpt *rcpt)
{
	switch (o->condition) {
	case SNMPSVC_STATUS:
		return (o->argument & MW_BIT(mw_record_outcome(rcpt))) != 0;
	case SNMPSVC_PENPALS:
		return r->penpals_asked;
	case SNMPSVC_PENPALS_HIT:
		return r->penpals_asked && rcpt->penpals_age_s >= 0;
	case SNMPSVC_PENPALS_MISS:
		return r->penpals_asked && rcpt->penpals_age_s < 0;
	default:
		return true;
	}
}

/* Conditions of the mail as a whole. */
static bool mail_meets(const struct snmpsvc_object *o, const struct mw_record *r)
{
	switch (o->condition) {
	case SNMPSVC_CONTENT:
		return r->ccat / 10 == o->argument;
	case SNMPSVC_NULL_SENDER:
		return r->mail_from.n == 0;
	case SNMPSVC_IS_BOUNCE:
		return r->is_bounce;
	case SNMPSVC_BY_SMTP:
		return !r->out_lmtp;
	case SNMPSVC_BY_LMTP:
		return r->out_lmtp;
	case SNMPSVC_DECODED:
		return mw_record_section(r, "decode") != NULL;
	case SNMPSVC_SPAM_RAN:
		return mw_record_ran(r, "spam");
	case SNMPSVC_SCAN_RAN:
		return mw_record_ran(r, "scan");
	default:
		return true;
	}
}

static uint64_t rcpts_matching(const struct snmpsvc_object *o, const struct mw_record *r)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->rcpt_count; i++)
		n += has_way(o->way, r, &r->rcpts[i]) && rcpt_meets(o, r, &r->rcpts[i]) ? 1 : 0;
	return n;
}

static uint64_t elapsed_us(const struct snmpsvc_object *o, const struct mw_record *r)
{
	const struct mw_record_elapsed *e = mw_record_section(r, snmpsvc_sections[o->argument]);

	return e != NULL ? e->wall_us : 0;
}

/* out_msgs counts every delivery that got an answer; the others say which answer it was. */
static uint64_t delivers(const struct mw_record *r)
{
	uint64_t others = (uint64_t)r->out_msgs_failed + r->out_msgs_rejected;

	return r->out_msgs > others ? r->out_msgs - others : 0;
}

static uint64_t quantity(const struct snmpsvc_object *o, const struct mw_record *r)
{
	switch (o->quantity) {
	case SNMPSVC_MAILS:
		return 1;
	case SNMPSVC_OCTETS:
		return r->size;
	case SNMPSVC_RELAYS:
		return r->out_msgs;
	case SNMPSVC_DELIVERS:
		return delivers(r);
	case SNMPSVC_FAILS:
		return r->out_msgs_failed;
	case SNMPSVC_REJECTS:
		return r->out_msgs_rejected;
	case SNMPSVC_RELAYED:
		return r->out_octets;
	case SNMPSVC_COPIES:
		return r->quarantines.count;
	case SNMPSVC_COPIED:
		return r->quarantine_octets;
	case SNMPSVC_SENT:
		return (uint64_t)r->out_msgs + r->quarantines.count;
	case SNMPSVC_SENT_OCTETS:
		return r->out_octets + r->quarantine_octets;
	case SNMPSVC_SUBMITS:
		return r->quarantines.count;
	case SNMPSVC_SUBMITTED:
		return r->quarantine_octets;
	case SNMPSVC_CONN_NEW:
		return r->conn_new;
	case SNMPSVC_CONN_QUIT:
		return r->conn_quit;
	case SNMPSVC_CONN_REUSE:
		return r->conn_reuse;
	case SNMPSVC_CONN_REUSE_FAIL:
		return r->conn_reuse_fail;
	case SNMPSVC_ELAPSED:
		return elapsed_us(o, r);
	default:
		return 0;
	}
}

/* A mail of our own was not received: only what was sent counts. */
static uint64_t own_quantity(const struct snmpsvc_object *o, const struct mw_record *r)
{
	switch (o->quantity) {
	case SNMPSVC_SUBMITS:
		return r->out_msgs;
	case SNMPSVC_SUBMITTED:
		return r->out_octets;
	case SNMPSVC_OWN:
		return o->argument == r->own ? r->out_msgs : 0;
	case SNMPSVC_OWN_OCTETS:
		return o->argument == r->own ? r->out_octets : 0;
	case SNMPSVC_DELIVERS:
	case SNMPSVC_FAILS:
	case SNMPSVC_REJECTS:
	case SNMPSVC_SENT:
	case SNMPSVC_SENT_OCTETS:
	case SNMPSVC_CONN_NEW:
	case SNMPSVC_CONN_QUIT:
	case SNMPSVC_CONN_REUSE:
	case SNMPSVC_CONN_REUSE_FAIL:
		return quantity(o, r);
	default:
		return 0;
	}
}

uint64_t snmpsvc_measure(const struct snmpsvc_object *o, const struct mw_record *r)
{
	if (r->own != MW_OWN_NONE)
		return own_quantity(o, r);
	if (o->quantity == SNMPSVC_NOTHING || !mail_meets(o, r))
		return 0;
	if (o->quantity == SNMPSVC_RCPTS)
		return rcpts_matching(o, r);
	/* A mail goes in the directions of its recipients: it may count in two. */
	if ((o->way != SNMPSVC_ANY || o->condition == SNMPSVC_STATUS) && rcpts_matching(o, r) == 0)
		return 0;
	return quantity(o, r);
}
