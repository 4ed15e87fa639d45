/*
 * The keys under which an address is looked for, most special first. Example, with the delimiter
 *"+": User+Foo@Sub.Example.com
 *
 *	user+foo@sub.example.com  user@sub.example.com  user+foo@  user@
 *	sub.example.com  .sub.example.com  .example.com  .com  .
 *
 * The domain is lower case, in A-labels, without dots at its end; the local part without quotes,
 *lower case (ASCII) unless case counts. An address literal is not split: [192.0.2.1], then ".". The
 *null address is "", "@", ".". Of the dotted keys at most the last 20 are tried in a hash.
 */
#ifndef MW_LOOKUP_KEYS_H
#define MW_LOOKUP_KEYS_H

#include "lookup.h"

#define MW_KEYS_DOTTED_MAX 20
#define MW_KEYS_MAX (6 + MW_KEYS_DOTTED_MAX)
#define MW_KEYS_DOMAIN_MAX 260			    /* A-labels, a dot in front, NUL */
#define MW_KEYS_SUFFIX_MAX (2 + MW_KEYS_DOMAIN_MAX) /* "/@" and such a domain */
/* Local part, @, domain, suffix. */
#define MW_KEYS_TEXT_MAX (MW_LOOKUP_KEY_MAX + MW_KEYS_DOMAIN_MAX + MW_KEYS_SUFFIX_MAX)

/* Of which sort a key is: tables know which sorts they hold. */
enum mw_key_sort {
	MW_SORT_NULL,	 /* "" */
	MW_SORT_ADDRESS, /* user@domain, and local parts without a domain */
	MW_SORT_USER,	 /* user@ */
	MW_SORT_DOMAIN,
	MW_SORT_DOTTED,
	MW_SORT_COUNT,
	MW_SORT_SIGNED = MW_SORT_COUNT, /* is added to that of a key with a suffix */
	MW_SORT_ALL = 2 * MW_SORT_COUNT
};

struct mw_key {
	const char *p;
	uint32_t n;
	uint32_t hash; /* 0: not computed yet */
	enum mw_key_sort sort;
};

struct mw_keys {
	bool too_long; /* nothing below is set: meets constants only */
	size_t count;
	struct mw_key key[MW_KEYS_MAX];
	struct mw_octets raw; /* as given, but for quotes; what regexps see */
	struct mw_octets full_local, user, extension, domain;
	struct mw_octets suffix; /* is part of every key; of length 0: there is none */
	char suffix_text[MW_KEYS_SUFFIX_MAX];
	char text[MW_KEYS_TEXT_MAX];   /* user+foo@sub.example.com */
	char plain[MW_KEYS_TEXT_MAX];  /* user@sub.example.com, when there is an extension */
	char dotted[MW_KEYS_TEXT_MAX]; /* .sub.example.com */
	char given[MW_LOOKUP_KEY_MAX + MW_KEYS_SUFFIX_MAX]; /* raw, the suffix, NUL */
};

/* Keys of an address; they point into *k. */
void mw_keys_of_address(
	struct mw_keys *k, const char *address, const char *delimiters, bool case_sensitive);
/*
 * The same of an author with a signature of that domain: the suffix is "/@" and the domain in its
 * one form. A domain that is longer than domains are meets constants only.
 */
void mw_keys_of_author(struct mw_keys *k, const char *address, const char *signer,
	const char *delimiters, bool case_sensitive);
/* Where "/@" stands, behind which a signature's domain is; strlen(key) when it does not. */
size_t mw_keys_find_suffix(const char *key);
/* The domain of the address is that one, both in their one form. */
bool mw_keys_same_domain(const char *address, const char *domain);
/* One key as it is. */
void mw_keys_of_text(struct mw_keys *k, const char *text);
/* a.b.c.d, a.b.c, a.b, a, and the full form 0000:0000:0000:0000:0000:ffff:c000:0201; IPv6 only
 * that. */
void mw_keys_of_ip(struct mw_keys *k, const struct mw_ip *ip);

/*
 * One address that several settings are asked about: its keys are made once. All are of addresses,
 * with the same delimiters and the same mind about case.
 */
struct mw_asker {
	const char *address;
	bool ready;
	struct mw_keys keys;
};
void mw_asker_init(struct mw_asker *a, const char *address);
/* As mw_lookup(). */
bool mw_asker_lookup(struct mw_asker *a, const struct mw_lookup *l, struct mw_lookup_result *r);

/*
 * A key as it stands in a table in the form in which it is looked for. size: of buf, at least
 * MW_KEYS_TEXT_MAX. False: too long.
 */
bool mw_key_normalise(const char *key, enum mw_lookup_key type, bool case_sensitive, char *buf,
	size_t size, enum mw_key_sort *sort_r);

uint32_t mw_key_hash(const char *p, size_t n); /* never 0 */

/* What an address is made of, its case kept. */
struct mw_address_parts {
	char local[MW_LOOKUP_KEY_MAX]; /* without quotes, NUL behind it */
	size_t local_len;
	size_t user;	    /* octets of it in front of the extension; all: there is none */
	bool quoted;	    /* it stood in quotes */
	const char *domain; /* of the address given, from its @ on; "" */
};
/* delimiters: recipient_delimiter, or NULL. False: longer than any key may be. */
bool mw_address_split(
	const char *address, const char *delimiters, struct mw_address_parts *parts_r);

#endif
