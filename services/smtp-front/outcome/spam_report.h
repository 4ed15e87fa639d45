/*
 * The spam check's report: a line for each rule, "score NAME description", the description padded
 * to a column and carried on in lines that begin further right. Findings hold it as lines of
 * printable ASCII, each with its newline (docs/wire.md, "spam").
 */
#ifndef SMTP_SPAM_REPORT_H
#define SMTP_SPAM_REPORT_H

#include "base.h"
#include "text.h"

/* The next line of *rest, without its newline; blank ones are left out. False: there is none. */
bool spam_report_next(struct mw_octets *rest, struct mw_octets *line_r);
size_t spam_report_lines(struct mw_octets report);
/*
 * The form for header fields, SpamAssassin's _REPORT_: lines "* score NAME description", and
 * "*      " where a description goes on. before and after stand around each.
 */
void spam_report_terse(
	struct mw_octets report, const char *before, const char *after, struct mw_text *out);

#endif
