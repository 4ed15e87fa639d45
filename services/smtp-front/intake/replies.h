/* The replies of the intake, as constants of replies.def. */
#ifndef SMTP_REPLIES_H
#define SMTP_REPLIES_H

enum smtp_reply_id {
#define SMTP_REPLY(name, code, enhanced, text, when) REPLY_##name,
#include "replies.def"
#undef SMTP_REPLY
	REPLY_COUNT
};

/* A reply to be said: one of the table's. */
struct smtp_refusal {
	unsigned code;
	const char *enhanced, *text; /* static; a % in text stands for what the code fills in */
};

extern const struct smtp_refusal smtp_replies[REPLY_COUNT];

#endif
