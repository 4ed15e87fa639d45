/*
 * Host names of next hops, looked up without blocking the loop. libuv's pool does it, where the
 * quarantine's fsync waits too: so at most NAMES_AT_ONCE look-ups are under way, one for a name
 * however many ask, and an answer serves everybody for a while. A resolver that hangs holds up the
 * mail that needs it and nothing else.
 */
#ifndef SMTP_NAMES_H
#define SMTP_NAMES_H

#include <sys/socket.h>
#include "loop.h"

#define NAMES_ADDRESSES_MAX 16 /* of one name; more are not tried */

struct names;
struct names_question;

struct names *names_new(struct mw_loop *loop);
/* Open questions are forgotten; look-ups under way end by themselves. */
void names_destroy(struct names **n_p);
/* How long an answer serves; a failure serves a tenth of it. */
void names_configure(struct names *n, uint64_t keep_ms);

struct names_addresses {
	size_t count;
	struct sockaddr_storage at[NAMES_ADDRESSES_MAX]; /* ports are 0 */
};

/*
 * Ask for host (a name, not an address). answer() is called from the loop, never from inside; with
 * a uv error and no addresses when there are none. NULL: no memory.
 */
struct names_question *names_ask(struct names *n, const char *host,
	void (*answer)(void *arg, int status, const struct names_addresses *a), void *arg);
/* The answer is not wanted any more. Sets *q_p to NULL. */
void names_cancel(struct names_question **q_p);

#endif
