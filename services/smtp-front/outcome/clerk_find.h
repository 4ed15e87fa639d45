/* What a mail_id stands for: asked of the index, and of the folders where that does not know. */
#ifndef SMTP_CLERK_FIND_H
#define SMTP_CLERK_FIND_H

#include "clerk.h"

/* On the clerk's thread. index may be NULL. Copies that the index did not know are added to it. */
void clerk_look_up(
	const char *dir, struct mw_qindex *index, const char *mail_id, struct clerk_found *f);

#endif
