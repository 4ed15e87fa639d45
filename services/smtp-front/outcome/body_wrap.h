/* Defanging by wrapping: a new mail that warns, with the original attached (decision.md 12). */
#ifndef SMTP_BODY_WRAP_H
#define SMTP_BODY_WRAP_H

#include "body_form.h"
#include "text.h"

#define BODY_REASON_MAX 100 /* characters of a line of the warning */

struct txn;
struct txn_rcpt;

/* One line of a warning, cut at BODY_REASON_MAX; what is not printable ASCII is '?'. */
void body_wrap_line(struct mw_text *out, const char *line, size_t n);
/*
 * f->text, lines that end with CRLF, then the original as message/rfc822, its very octets, which
 * are borrowed. MW_OK, or MW_ERR_NOMEM, MW_ERR_LIMIT (front.held_octets), MW_ERR_IO (spool).
 */
enum mw_rc body_wrap(struct txn *t, struct body_form *f, struct mw_err *err_r);

#endif
