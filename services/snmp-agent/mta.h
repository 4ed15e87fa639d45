/* Sizes of Postfix's queues: files are counted on libuv's pool, never in the loop. */
#ifndef SNMPSVC_MTA_H
#define SNMPSVC_MTA_H

#include "loop.h"

#define SNMPSVC_QUEUES 4	     /* maildrop incoming active deferred */
#define SNMPSVC_MTA_REFRESH_MS 18000 /* counts younger than that are not taken again */
#define SNMPSVC_MTA_GIVE_UP_MS 5000  /* for one queue: then what was counted so far */

struct snmpsvc_mta;

/* NULL when there is no readable "active" in the folder: then the group is not served. */
struct snmpsvc_mta *snmpsvc_mta_new(struct mw_loop *loop, const char *folder);
/* A value was asked for: count again when it is old. Counts go to values[0..3]. */
void snmpsvc_mta_wanted(struct snmpsvc_mta *m, uint64_t now_ms);
const uint64_t *snmpsvc_mta_values(const struct snmpsvc_mta *m);
void snmpsvc_mta_destroy(struct snmpsvc_mta **m_p);

#endif
