/*
 * One job: the message is taken apart, every leaf and the message as a whole go to the engine. No
 * socket, no process: memory in, findings out (cage.c does the rest).
 *
 * Status: done when every leaf and the whole message went through the engine to its end; limit when
 * something was not looked into (what was found is true); failed when the engine could not work.
 * Where both the engine failed on one part and another is infected, the status is limit: the virus
 * must not get lost.
 */
#ifndef SCAN_WORK_H
#define SCAN_WORK_H

#include "av.h"
#include "findings.h"
#include "proto.h"
#include "types.h"

struct work;
/* All are borrowed for life; types NULL: our own table alone. NULL: no memory. */
struct work *work_new(const struct scan_conf *conf, struct av *av, struct types *types);
void work_destroy(struct work **w_p);
/* The next message's leaves go there, too (leaves.h); -1: to nobody. The descriptor stays the
 * caller's. With others to look, an engine that could not work makes the status limit, not failed.
 */
void work_leaves(struct work *w, int fd);
/* How the engine fared with the last message. */
enum scan_engine_end work_engine(const struct work *w);
/*
 * Look through message. Findings are appended to *b; r_status, reason and worn (this process should
 * not be used again) are filled. deadline_ms: mw_mono_ms() when it stops by itself.
 */
enum mw_status work_run(struct work *w, struct mw_octets message, const struct scan_order *order,
	uint64_t deadline_ms, struct mw_pack *b, char reason[MW_REASON_MAX], bool *worn_r);

#endif
