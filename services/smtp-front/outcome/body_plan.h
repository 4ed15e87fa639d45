/*
 * What becomes of the body of passed mail (decision.md 12), by recipient: defang_maps_by_ccat,
 * defang_all, disclaimers. Mail that nothing is said about is not looked at.
 */
#ifndef SMTP_BODY_PLAN_H
#define SMTP_BODY_PLAN_H

#include "body_form.h"

enum body_treatment {
	BODY_AS_IS,
	BODY_DEFAULT, /* "true": by altermime where that is set, else attached */
	BODY_ATTACH,
	BODY_ALTERMIME,
	BODY_NULL, /* only says that it was changed */
	BODY_DISCLAIMER,
	BODY_NULL_DISCLAIMER,
	BODY_TREATMENTS
};

/* A value of defang_maps_by_ccat. False: nobody knows that word. */
bool body_treatment_of(const char *text, enum body_treatment *how_r);

struct txn_rcpt;
/*
 * The form of each recipient that passes (txn_rcpt.form), and with it resend_method. MW_OK, or
 * MW_ERR_NOMEM; MW_AGAIN: an external program is at work, and ready comes from the loop unless the
 * mail ends before.
 */
enum mw_rc body_plan(struct txn *t, void (*ready)(struct txn *t, enum mw_rc rc));
/* Let go of a program at work; what it has made is thrown away. */
void body_cancel(struct txn *t);
/* And of all forms; at the mail's end. */
void body_forget(struct txn *t);

#endif
