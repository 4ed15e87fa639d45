/*
 * The octets of one mail, from the first one received to the last reference: CRLF line ends, no dot
 * stuffing. Small ones live in memory, large ones in an unlinked spool file that is mapped once it
 * is whole. References are counted atomically, because ZeroMQ's I/O thread drops the ones it
 * borrowed.
 */
#ifndef SMTP_BODY_H
#define SMTP_BODY_H

#include <pthread.h>

#include "base.h"

/*
 * Where bodies may grow, and how much all of them hold together: one per front. Bodies are made by
 * the loop and by the threads that read mail files, while the loop may load new settings.
 */
struct smtp_body_pool {
	pthread_mutex_t lock;
	char spool_dir[256];  /* under the lock */
	size_t memory_octets; /* atomic: a body up to this size stays in memory */
	uint64_t held_limit;  /* atomic: all bodies together, memory and spool */
	uint64_t held;	      /* atomic */
};

struct smtp_body;

void smtp_body_pool_init(struct smtp_body_pool *pool);
void smtp_body_pool_fini(struct smtp_body_pool *pool);
/* New limits; bodies that are there keep their memory_octets. */
void smtp_body_pool_set(struct smtp_body_pool *pool, size_t memory_octets, uint64_t held_limit,
	const char *spool_dir);
/* All bodies together hold what they may. */
bool smtp_body_pool_is_full(const struct smtp_body_pool *pool);
/* An empty body with one reference; hint: octets expected (SIZE=), 0 unknown. NULL: no memory. */
struct smtp_body *smtp_body_new(struct smtp_body_pool *pool, size_t hint);
/* MW_OK; MW_ERR_LIMIT (held_limit), MW_ERR_NOMEM or MW_ERR_IO (spool): the body is spoilt and can
 * only be dropped. */
enum mw_rc smtp_body_append(struct smtp_body *b, const void *p, size_t n, struct mw_err *err_r);
/* No more octets come: map the spool file. After this smtp_body_octets is valid. */
enum mw_rc smtp_body_seal(struct smtp_body *b, struct mw_err *err_r);
struct mw_octets smtp_body_octets(const struct smtp_body *b);
size_t smtp_body_size(const struct smtp_body *b);
struct smtp_body *smtp_body_ref(struct smtp_body *b);
/* Drop one reference and set *b_p to NULL. */
void smtp_body_unref(struct smtp_body **b_p);
/* zmq_free_fn: hint is the body. */
void smtp_body_zmq_free(void *data, void *hint);
/* Octets of all bodies. */
uint64_t smtp_body_held(const struct smtp_body_pool *pool);

#endif
