/* What several subscribers derive from a mail record in the same way: record.h. */
#include "record.h"

enum mw_outcome mw_record_outcome(const struct mw_record_rcpt *rcpt)
{
	switch (rcpt->action) {
	case MW_ACT_PASS:
		if (!rcpt->delivered)
			return MW_OUT_ACCEPTED;
		return rcpt->tagged ? MW_OUT_RELAYED_TAGGED : MW_OUT_RELAYED;
	case MW_ACT_REJECT:
		return MW_OUT_REJECTED;
	case MW_ACT_DISCARD:
		return MW_OUT_DISCARDED;
	case MW_ACT_BOUNCE:
		return MW_OUT_NO_BOUNCE; /* nothing here sends notifications of its own */
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
