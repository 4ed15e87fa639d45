/*
 * The keys that an address is looked up by in SQL and LDAP: amavisd's order, most special first, in
 * the notation of databases. For User+Foo@Sub.Example.com with the delimiter "+":
 *
 *	User+Foo@Sub.Example.com   as it came
 *	user+foo@sub.example.com   user@sub.example.com
 *	user+foo   user            recipients that are local by the static tables, nobody else
 *	@sub.example.com
 *	@.sub.example.com   @.example.com   @.com   @.
 *
 * With no_at_means_domain the users have the "@" and the domains have not: user@, sub.example.com,
 * .com, "." The null sender has the keys "" and "@" and "@."; an address literal is not split.
 */
#ifndef SMTP_DB_KEYS_H
#define SMTP_DB_KEYS_H

#include "arena.h"

#define DB_ADDRESS_MAX 1024 /* octets of an address; RFC 5321 section 4.5.3.1.3 has 254 */
#define DB_DOTTED_KEYS_MAX 20
#define DB_KEYS_MAX (1 + 2 + 2 + 1 + DB_DOTTED_KEYS_MAX + 1) /* the last: LDAP's "<>" */

struct db_notation {
	const char *delimiter; /* recipient_delimiter: any of its characters; NULL or "": none */
	bool case_sensitive;   /* of local parts */
	bool no_at_means_domain;
	bool local;		/* the recipient is local: its bare user is a key too */
	bool brackets_for_null; /* LDAP: "<>" goes before the null address's other keys */
};

/* All of it lives as long as the arena. */
struct db_keys {
	const char *address;   /* %a: as it came */
	const char *localpart; /* %l: the whole of it, as it came */
	const char *user;      /* %u: without extension, folded */
	const char *extension; /* %e: with its delimiter, "" when there is none */
	const char *domain;    /* %d: lower case, A-labels, without the dots at its end */
	size_t count;	       /* at least 1 */
	const char *keys[DB_KEYS_MAX];
};

/*
 * address: without brackets. What is not UTF-8 becomes "?" octet by octet, in all of *keys_r:
 * databases refuse such text, and a query that fails would defer the mail for ever. MW_ERR_LIMIT:
 * the address is too long; MW_ERR_NOMEM.
 */
enum mw_rc db_keys_make(struct smtp_arena *a, const char *address, const struct db_notation *how,
	struct db_keys *keys_r);
/* What is not UTF-8 becomes "?" octet by octet, in place. */
void db_make_utf8(char *s);

#endif
