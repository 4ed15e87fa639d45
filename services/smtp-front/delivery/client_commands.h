/* What EHLO offers, and the commands of one mail as octets: XFORWARD, MAIL, RCPT. Memory to memory.
 */
#ifndef SMTP_CLIENT_COMMANDS_H
#define SMTP_CLIENT_COMMANDS_H

#include "intake/smtp_command.h"
#include "text.h"

#define XFORWARD_ATTRIBUTES 7
#define XFORWARDS_MAX XFORWARD_ATTRIBUTES /* commands for one mail */

/* What a next hop's EHLO or LHLO offered, of what we can use. */
struct client_offers {
	bool pipelining, size, eightbit, dsn, smtputf8, starttls;
	uint64_t size_limit; /* 0: none told */
	unsigned xforward;   /* a bit for each attribute that it takes */
};

/* reply: the lines of its reply without codes, joined by LF, as smtp_reply.h has them. */
void client_offers_read(struct client_offers *o_r, const char *reply);
/* Bit for each attribute that the EHLO line's arguments name ("NAME ADDR PORT"). */
unsigned client_xforward_offer(const char *args);
/*
 * Divide the attributes that are offered into commands of at most 512 octets (RFC 5321 section
 * 4.5.3.1.4): first_r gets the bits of each command. Returns their number.
 */
size_t client_xforward_plan(
	const struct smtp_xforward *x, unsigned offered, unsigned bits_r[XFORWARDS_MAX]);
/* One line with CRLF: the attributes of bits, [UNAVAILABLE] where nothing is known. */
void client_add_xforward(struct mw_text *out, const struct smtp_xforward *x, unsigned bits);
/* True when addr can be said to this hop: it is ASCII, SMTPUTF8 is offered, or A-labels will do. */
bool client_can_say(const char *addr, const struct client_offers *o);
/* Addresses that client_can_say; DSN's and SMTPUTF8's parameters where these are offered. */
void client_add_mail(struct mw_text *out, const char *sender, const struct smtp_mail_params *p,
	size_t octets, const struct client_offers *o);
void client_add_rcpt(struct mw_text *out, const char *addr, const struct smtp_rcpt_params *p,
	const struct client_offers *o);

#endif
