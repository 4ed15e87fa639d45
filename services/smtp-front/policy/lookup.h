/* Lookup tables of *_maps settings, compiled once at load. By now: constants, lists (ACL) and
 * hashes of strings. */
#ifndef SMTP_LOOKUP_H
#define SMTP_LOOKUP_H

#include "conf.h"

struct lookup_maps;

/*
 * maps: { table, table, ... }; a table is a constant (true, 1, false, 0), a list of keys ("!" in
 * front: no), or a hash key = value. Strings that stand directly in maps form one list. NULL: no
 * memory.
 */
struct lookup_maps *lookup_maps_new(const struct mw_val *maps);
void lookup_maps_destroy(struct lookup_maps **m_p);
/*
 * The first defined value for an address (policy-and-lookups 4): user@sub.example.org, then
 * sub.example.org, .sub.example.org, .example.org, .org, ".". Case-insensitive. dflt: no table says
 * anything.
 */
bool lookup_maps_bool(const struct lookup_maps *m, const char *address, bool dflt);
/* True when no table is there at all. */
bool lookup_maps_empty(const struct lookup_maps *m);

#endif
