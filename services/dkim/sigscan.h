/*
 * Tag lists of DKIM (RFC 6376 section 3.2) and what a DKIM-Signature says, read without
 * libopendkim.
 *
 * Two reasons. The names to look up must be known before libopendkim runs. And libopendkim was
 * written for honest input: it takes the last of two equal tags, cuts long lists without a word,
 * reads past the end of an i= that ends in
 * "=", and turns an l= near 2^64 into a negative length. So it only ever sees signatures that are
 * well-formed here.
 */
#ifndef DKIMSVC_SIGSCAN_H
#define DKIMSVC_SIGSCAN_H

#include "base.h"

#define DKIMSVC_SIGNATURES_MAX 20     /* signatures of one mail that are verified */
#define DKIMSVC_SIG_OCTETS_MAX 8192   /* of one DKIM-Signature value */
#define DKIMSVC_TAGS_MAX 40	      /* tags in one list */
#define DKIMSVC_HLIST_MAX 512	      /* names in h= */
#define DKIMSVC_HLIST_OCTETS_MAX 4000 /* of h= without blanks; libopendkim cuts at 4096 */
#define DKIMSVC_DOMAIN_MAX 254	      /* RFC 1035 section 2.3.4, and the NUL */
#define DKIMSVC_IDENTITY_MAX 252      /* libopendkim decodes i= into 256 octets */
#define DKIMSVC_CLOCK_DRIFT_S 300     /* a t= that far in the future is our clock's fault */
#define DKIMSVC_EPOCH_S 1000000000    /* 2001: before this nobody signed with DKIM */

/* RFC 8601 section 2.7.1; names as in docs/wire.md, "auth". */
enum dkimsvc_result {
	DKIMSVC_PASS,
	DKIMSVC_FAIL,
	DKIMSVC_NEUTRAL,
	DKIMSVC_TEMPERROR,
	DKIMSVC_PERMERROR,
	DKIMSVC_RESULT_COUNT
};
const char *dkimsvc_result_name(enum dkimsvc_result result);

/* One tag of a list; name and value are borrowed, blanks around them are gone. */
struct dkimsvc_tag {
	struct mw_octets name, value;
};

/* Walk a tag list: 1 *tag_r is the next one, 0 the list has ended, -1 it is no tag list. *rest is
 * moved on. */
int dkimsvc_tag_next(struct mw_octets *rest, struct dkimsvc_tag *tag_r);

enum dkimsvc_alg { DKIMSVC_RSA_SHA256, DKIMSVC_ED25519_SHA256 };

/* What one DKIM-Signature claims. Text is printable ASCII; what could not be read is "". */
struct dkimsvc_sig {
	const char *error;	/* NULL: well-formed; else why not, static text */
	enum dkimsvc_result as; /* the result that such an error is */
	enum dkimsvc_alg alg;
	char a[24];
	char d[DKIMSVC_DOMAIN_MAX], s[DKIMSVC_DOMAIN_MAX];
	char i[DKIMSVC_IDENTITY_MAX + DKIMSVC_DOMAIN_MAX]; /* "@d" when the field has none */
	char b[9];					   /* first 8 characters of b= */
	uint64_t t, x;					   /* 0: not given */
	bool expired;
};

/*
 * Read the value of one DKIM-Signature field (folds and all). Never fails: *sig_r tells what is
 * wrong, and as much of d, s, i, a and b as could be read for the report. now_s: seconds since
 * 1970.
 */
void dkimsvc_sig_scan(struct mw_octets value, uint64_t now_s, struct dkimsvc_sig *sig_r);

/* "s._domainkey.d" in lower case; false when that is longer than a domain name can be. */
bool dkimsvc_key_name(const struct dkimsvc_sig *sig, char *buf, size_t size);

#endif
