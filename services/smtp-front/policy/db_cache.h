/* Answers by what was asked, for a set time; bounded in number and octets, the one not used for
 * longest goes first. Negative answers too. One thread. */
#ifndef SMTP_DB_CACHE_H
#define SMTP_DB_CACHE_H

#include "db_records.h"

struct db_cache;

/* ttl_ms 0 or entries 0: nothing is kept. NULL: no memory. */
struct db_cache *db_cache_new(uint64_t ttl_ms, size_t entries, size_t octets);
void db_cache_destroy(struct db_cache **cache_p);
/* A reference of the caller's, or NULL. */
struct db_records *db_cache_get(struct db_cache *c, struct mw_octets key, uint64_t now_ms);
/* The cache takes a reference of its own; what it has no room or memory for it leaves. */
void db_cache_put(
	struct db_cache *c, struct mw_octets key, struct db_records *records, uint64_t now_ms);
size_t db_cache_entries(const struct db_cache *c);
size_t db_cache_octets(const struct db_cache *c);

#endif
