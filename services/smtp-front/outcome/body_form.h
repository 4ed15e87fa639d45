/*
 * A mail's octets in another form than they came in: a header section of its own, which edit.c then
 * edits as it does the original's, and a body. What is unchanged is borrowed, never copied.
 */
#ifndef SMTP_BODY_FORM_H
#define SMTP_BODY_FORM_H

#include "checks/dispatch.h"
#include "header.h"

#define BODY_PARTS_MAX 3

/* The octets are the parts one after the other; the header section is within the first. */
struct body_view {
	const struct mw_header *header;
	struct dispatch_part parts[BODY_PARTS_MAX];
	size_t part_count;
};

struct body_form {
	struct body_form *next; /* of the mail's */
	unsigned how;		/* enum body_treatment */
	const char *text;	/* of the warning; "" */
	const char *said;	/* for X-Amavis-Modified: "defanged", "using disclaimer" */
	bool failed;		/* it could not be made: the mail stays as it is */
	struct mw_header own;	/* what view.header is, unless that is the original's */
	struct smtp_body *made; /* octets that are not the original's; NULL: none */
	struct body_view view;
};

struct txn;
/* form NULL: as it was received. */
struct body_view body_view_of(const struct txn *t, const struct body_form *form);

#endif
