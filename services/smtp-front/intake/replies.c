#include "replies.h"

const struct smtp_refusal smtp_replies[REPLY_COUNT] = {
#define SMTP_REPLY(name, code, enhanced, text, when) [REPLY_##name] = { code, enhanced, text },
#include "replies.def"
#undef SMTP_REPLY
};
