#include "tls_memory.h"

void tls_memory_add(struct tls_memory *m, const char *hop, uint64_t now_ms)
{
	unsigned i = 0;

	while (i < TLS_MEMORY_HOPS && strcmp(m->at[i].hop, hop) != 0)
		i++;
	if (i == TLS_MEMORY_HOPS) {
		i = m->next;
		m->next = (m->next + 1) % TLS_MEMORY_HOPS;
		mw_strlcpy(m->at[i].hop, hop, sizeof(m->at[i].hop));
	}
	m->at[i].until_ms = now_ms + TLS_MEMORY_MS;
}

bool tls_memory_has(const struct tls_memory *m, const char *hop, uint64_t now_ms)
{
	for (unsigned i = 0; i < TLS_MEMORY_HOPS; i++)
		if (now_ms < m->at[i].until_ms && strcmp(m->at[i].hop, hop) == 0)
			return true;
	return false;
}
