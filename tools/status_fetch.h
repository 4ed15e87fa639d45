/* `mailweir status`, where it gets the state from: one GET of /api/state, bounded in time and size.
 */
#ifndef STATUS_FETCH_H
#define STATUS_FETCH_H

#include <signal.h>

#include "base.h"
#include "text.h"

#define STATUS_FETCH_MS 5000
#define STATUS_FETCH_OCTETS                                                                        \
	(32u << 20) /* 1,000 mails and 1,000 workers of each of 64 fronts stay below it */

struct status_fetch;
/* url: "http://127.0.0.1:9130"; stop (may be NULL) ends a fetch when it becomes non-zero. NULL: no
 * memory. */
struct status_fetch *status_fetch_new(const char *url, const volatile sig_atomic_t *stop);
void status_fetch_destroy(struct status_fetch **f_p);
/* MW_OK and the answer's body in *body_r (cleared first); MW_ERR_IO, MW_ERR_LIMIT, MW_ERR_PROTO
 * with a sentence in *err_r. */
enum mw_rc status_fetch_get(struct status_fetch *f, struct mw_text *body_r, struct mw_err *err_r);

#endif
