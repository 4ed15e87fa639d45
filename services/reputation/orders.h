/*
 * From a job to what the store is asked: orders are read with every bound checked, addresses
 * brought into the one form that keys have.
 */
#ifndef REP_ORDERS_H
#define REP_ORDERS_H

#include "store.h"

/*
 * Key form of an address: ASCII lower case, and a quoted local part unquoted where the quotes are
 * not needed (RFC 5321 section 4.1.2: "joe"@x and joe@x are the same mailbox). Written to out,
 * which has room for address.n octets; returns how many.
 */
size_t rep_address_key(struct mw_octets address, unsigned char *out);

/* One or the other, and the memory that its texts lie in. */
struct rep_orders {
	struct rep_query query;
	struct rep_lesson lesson;
	size_t rcpts_total; /* of the job */
	unsigned char *mem;
	struct mw_octets *rcpts;
	uint32_t *rcpt_index;
	bool cut; /* more addresses or references than the limits of store.h; the first ones were
		     taken */
};

/* MW_OK, MW_ERR_PROTO (a front's fault: *err_r says which field) or MW_ERR_NOMEM. */
enum mw_rc rep_orders_query(struct rep_orders *o, const struct mw_job *job, struct mw_err *err_r);
/* ignored: networks that are not learned about. */
enum mw_rc rep_orders_lesson(struct rep_orders *o, const struct mw_job *job,
	const struct mw_net *ignored, size_t ignored_count, struct mw_err *err_r);
void rep_orders_fini(struct rep_orders *o);

#endif
