/* Next hops whose TLS failed a moment ago: at level may the next mails do not try it again, but go
 * in plaintext at once. */
#ifndef SMTP_TLS_MEMORY_H
#define SMTP_TLS_MEMORY_H

#include "base.h"

#define TLS_MEMORY_HOPS 32   /* the oldest goes first */
#define TLS_MEMORY_MS 60000u /* then it is tried again */

struct tls_memory {
	struct {
		char hop[300];
		uint64_t until_ms;
	} at[TLS_MEMORY_HOPS];
	unsigned next;
};

void tls_memory_add(struct tls_memory *m, const char *hop, uint64_t now_ms);
bool tls_memory_has(const struct tls_memory *m, const char *hop, uint64_t now_ms);

#endif
