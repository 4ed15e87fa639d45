/* Whose words a mail of our users' is: who decides about disclaimers. */
#ifndef SMTP_BODY_ORIGIN_H
#define SMTP_BODY_ORIGIN_H

#include "transaction.h"

struct body_origin {
	bool is_local;	    /* one of From, Resent-From, Resent-Sender, Sender, MAIL FROM is */
	const char *option; /* disclaimer_options_bysender_maps of the first of them; "" */
};

#define BODY_OPTION_MAX 100 /* octets of an option */

void body_origin_find(struct txn *t, struct body_origin *o_r);

#endif
