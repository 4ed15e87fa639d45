/* What the query script answers, read with every bound checked: the server may hold anything. */
#ifndef REP_ANSWER_H
#define REP_ANSWER_H

#include "store.h"

/*
 * reply: msgpack [nonce, saved, cut, [[n, s, h, b, first_ms, last_ms, ttl_s], ...], [[rcpt,
 * mail_id, age_s, by], ...]]. MW_OK; MW_ERR_PROTO when it is not an answer to q (a wrong nonce,
 * another number of addresses, a recipient that was not asked about, text that is no mail_id);
 * MW_ERR_NOMEM. On MW_OK fini when done; else *a_r is empty.
 */
enum mw_rc rep_answer_decode(
	struct mw_octets reply, const struct rep_query *q, struct rep_answer *a_r);
void rep_answer_fini(struct rep_answer *a);

#endif
