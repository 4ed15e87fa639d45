/* Whether some octets are a mail: a file with an innocent type, or in an archive, may be one. */
#ifndef SCAN_MAIL_H
#define SCAN_MAIL_H

#include "base.h"

/* Readers of mail open a file of that name whatever is in it: .eml, .mht ... */
bool mail_by_name(const char *name);
/* It begins with a header section as mails have it; the word "From " begins a mailbox instead. */
bool mail_by_content(struct mw_octets octets);
/* The octets begin with a field (RFC 5322 section 2.2). */
bool mail_begins_with_field(struct mw_octets octets);

#endif
