/* What a policy says about notices and notifications (docs/notices.md). Who is told by recipient is
 * rcpt_texts.h's. */
#ifndef SMTP_POLICY_NOTICES_H
#define SMTP_POLICY_NOTICES_H

#include "ccat.h"
#include "conf.h"

struct policy;
struct policy_set;
struct template_code;

enum notice_text { TEXT_FOR_SENDER, TEXT_FOR_ADMIN, TEXT_FOR_RCPT, NOTICE_TEXTS };

/* Who writes: in the envelope ("" is the null sender) and in From. */
enum notice_author {
	AUTHOR_TO_SENDER,
	AUTHOR_TO_ADMIN,
	AUTHOR_OF_SPAM,
	AUTHOR_TO_RCPT,
	AUTHOR_OF_RELEASE, /* of these From alone is their own */
	AUTHOR_OF_REPORT,
	NOTICE_AUTHORS
};

#define NOTICE_OWNED_MAX (NOTICE_TEXTS * (CCAT_SLOTS + 4))

struct policy_notices {
	bool warns_sender[CCAT_SLOTS]; /* of passed mail of that category */
	bool warns_any_sender;	       /* one of them is set */
	bool warns_offsite;
	bool propagates, success_ends_here;
	uint64_t full_octets;
	unsigned limit; /* notices about one mail */
	const char *mailfrom[NOTICE_AUTHORS];
	char hdrfrom[NOTICE_AUTHORS][512];
	struct template_code *texts[NOTICE_TEXTS][CCAT_SLOTS]; /* NULL: nothing is sent */
	struct template_code *owned[NOTICE_OWNED_MAX];	       /* of them, made by this policy */
	size_t owned_count;
};

enum mw_rc policy_notices_compile(
	const struct policy_set *set, struct policy *p, struct mw_err *err_r);
void policy_notices_fini(struct policy *p);

#endif
