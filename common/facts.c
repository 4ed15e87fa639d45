/* What several subscribers derive from a mail record in the same way: record.h. */
#include "record.h"

#include <stdio.h>

enum mw_outcome mw_record_outcome(const struct mw_record_rcpt *rcpt)
{
	switch (rcpt->action) {
	case MW_ACT_PASS:
		if (!rcpt->delivered)
			return MW_OUT_ACCEPTED;
		return rcpt->tagged ? MW_OUT_RELAYED_TAGGED : MW_OUT_RELAYED;
	case MW_ACT_REJECT:
	case MW_ACT_BOUNCE: /* the sender hears of it by us, or the client by the reply */
		return rcpt->dsn == MW_DSN_SENT		? MW_OUT_BOUNCED
		       : rcpt->dsn == MW_DSN_SUPPRESSED ? MW_OUT_NO_BOUNCE
							: MW_OUT_REJECTED;
	case MW_ACT_DISCARD:
		return MW_OUT_DISCARDED;
	default:
		return MW_OUT_TEMPFAILED;
	}
}

enum mw_direction mw_record_direction(const struct mw_record *r, const struct mw_record_rcpt *rcpt)
{
	if (r->originating)
		return rcpt->is_local ? MW_DIR_INTERNAL : MW_DIR_OUTBOUND;
	return rcpt->is_local ? MW_DIR_INBOUND : MW_DIR_OPENRELAY;
}

size_t mw_record_actions(const struct mw_record *r, char by, char text[MW_ACTIONS_MAX])
{
	static const struct {
		enum mw_outcome outcome;
		const char *word;
	} words[] = {
		{ MW_OUT_ACCEPTED, "Accepted" },
		{ MW_OUT_BOUNCED, "Bounced" },
		{ MW_OUT_DISCARDED, "Discarded" },
		{ MW_OUT_NO_BOUNCE, "NoBounce" },
		{ MW_OUT_REJECTED, "Rejected" },
		{ MW_OUT_RELAYED_TAGGED, "RelayedTagged" },
		{ MW_OUT_RELAYED, "Relayed" }, /* sorted as RelayedUntagged, as amavisd does */
		{ MW_OUT_TEMPFAILED, "TempFailed" },
	};
	static const struct {
		enum mw_direction direction;
		const char *word;
	} directions[] = {
		{ MW_DIR_INBOUND, "Inbound" },
		{ MW_DIR_INTERNAL, "Internal" },
		{ MW_DIR_OPENRELAY, "OpenRelay" },
		{ MW_DIR_OUTBOUND, "Outbound" },
	};
	const char comma[2] = { by, '\0' };
	bool seen[MW_OUT_COUNT][MW_DIR_COUNT] = { 0 };
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < r->rcpt_count; i++)
		seen[mw_record_outcome(&r->rcpts[i])][mw_record_direction(r, &r->rcpts[i])] = true;
	for (size_t w = 0; w < MW_COUNT(words); w++)
		for (size_t d = 0; d < MW_COUNT(directions); d++)
			if (seen[words[w].outcome][directions[d].direction])
				n += (size_t)snprintf(text + n, MW_ACTIONS_MAX - n, "%s%s%s",
					n > 0 ? comma : "", words[w].word, directions[d].word);
	if (r->quarantine.n > 0)
		n += (size_t)snprintf(
			text + n, MW_ACTIONS_MAX - n, "%sQuarantined", n > 0 ? comma : "");
	return n;
}

const struct mw_record_elapsed *mw_record_section(const struct mw_record *r, const char *section)
{
	for (size_t i = 0; i < r->elapsed_count; i++)
		if (mw_key_is(r->elapsed[i].section, section))
			return &r->elapsed[i];
	return NULL;
}

bool mw_record_ran(const struct mw_record *r, const char *kind)
{
	for (size_t i = 0; i < r->check_count; i++)
		if (r->checks[i].ran && mw_key_is(r->checks[i].kind, kind))
			return true;
	return false;
}
