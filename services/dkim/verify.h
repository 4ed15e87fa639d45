/*
 * Verifying with libopendkim, from memory to memory: a message, its signatures and their keys in,
 * results out. No input or output: the key of each signature was looked up before and is handed
 * over by libopendkim's key hook, so that its parser never waits for DNS and never sees a DNS
 * packet.
 */
#ifndef DKIMSVC_VERIFY_H
#define DKIMSVC_VERIFY_H

#include <stdatomic.h>
#include "keyrec.h"
#include "message.h"

struct dkimsvc_verifier;
/* Fails when the library cannot do SHA-256 and Ed25519. */
enum mw_rc dkimsvc_verifier_open(struct dkimsvc_verifier **v_r, struct mw_err *err_r);
void dkimsvc_verifier_close(struct dkimsvc_verifier **v_p);
/* "libopendkim 2.11.0" */
const char *dkimsvc_verifier_version(void);

/* One signature: in by the first half, out by the second. */
struct dkimsvc_checked {
	const struct mw_field *field;
	struct dkimsvc_sig sig;
	struct dkimsvc_key key; /* not looked at when sig.error is set */

	enum dkimsvc_result result;
	const char *reason; /* static text, "" when there is nothing to say */
	unsigned bits;	    /* of the key, 0 when none was used */
};

/*
 * Fill result, reason and bits of each of count signatures (at most DKIMSVC_SIGNATURES_MAX,
 * top-down). May run in any thread; one verifier serves many. MW_OK, MW_ERR_NOMEM, or MW_ERR_GONE
 * when *stop became true.
 */
enum mw_rc dkimsvc_verify(struct dkimsvc_verifier *v, const struct dkimsvc_message *m,
	struct dkimsvc_checked *checked, size_t count, const atomic_bool *stop);

#endif
