/* Addresses for next hops that do not take UTF-8. */
#ifndef SMTP_IDN_H
#define SMTP_IDN_H

#include "intake/smtp_command.h"

#define IDN_ADDRESS_MAX (SMTP_PATH_MAX + 256 + 2) /* local part, @, a domain of A-labels, NUL */

/*
 * addr in ASCII: itself, or in buf with the domain as A-labels (RFC 5891, UTS #46
 * non-transitional). NULL: its local part is not ASCII, or its domain is none.
 */
const char *idn_address(const char *addr, char buf[IDN_ADDRESS_MAX]);

#endif
