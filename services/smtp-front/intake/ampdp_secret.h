/* secret_id: who knows it may release a mail. The mail_id was made of it. */
#ifndef SMTP_AMPDP_SECRET_H
#define SMTP_AMPDP_SECRET_H

#include "base.h"

/*
 * base64url(MD5(base64url-decode(secret_id))) begins with mail_id, as amavisd makes them (log id
 * and secret of any length). Also in the older alphabets with + and /.
 */
bool ampdp_secret_is_of(const char *secret_id, struct mw_octets mail_id);

#endif
