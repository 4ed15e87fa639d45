/* What conf_lua.c (running a settings file) and conf_lua_values.c (reading what it left) share.
 * Nobody else does. */
#ifndef MW_CONF_LUA_H
#define MW_CONF_LUA_H

#include <lua.h>
#include <lauxlib.h>
#include "conf_priv.h"

/* Of a load; when functions stay behind, of their calls too: then raw, errors and lines are NULL.
 */
struct mw_lua_reader {
	unsigned refs;
	lua_State *L;
	struct mw_conf_raw *raw;
	struct mw_conf_errors *errors;
	struct mw_conf_lines *lines;
	size_t file; /* number of the one that runs */
	size_t memory, memory_max, memory_base, values;
	size_t reserved; /* of memory, what hooks may have beside the tables' functions */
	long steps, steps_max;
	int look_every; /* instructions between two looks at the bounds */
	uint64_t cpu_began_us, cpu_max_us;
	char path[MW_CONF_PATH_MAX]; /* of the value in hand, as conf_lines.c writes paths */
};

/* Registry key, by its address: name of a table setting -> { key -> line of the statement that set
 * it }. */
extern char mw_lua_lines_key;

/* Registry key: metatable of what a function made -> enum mw_made. Its own address is `undef`. */
extern char mw_lua_made_key;

/* Append a key to the path; the length before, or SIZE_MAX when it does not fit (then it is as it
 * was). */
size_t mw_lua_path_push(struct mw_lua_reader *r, const char *key);
void mw_lua_path_pop(struct mw_lua_reader *r, size_t had);
/* What made the table at that index. */
enum mw_made mw_lua_made(lua_State *L, int value);
/* Place of that line of a chunk: chunks are named by the numbers of their files. */
unsigned mw_lua_at(const char *chunk, int line);
/* A table of ours (conf_lua.c) that stands for a setting: no value. */
bool mw_lua_is_proxy(lua_State *L, int value);
/* Text of a key at that index, for paths and messages. */
const char *mw_lua_key_text(lua_State *L, int at, char *buf, size_t size);
/* The value at the top of Lua's stack into *v, of which the line is set; its path is in r. depth: 1
 * at the top. */
void mw_lua_convert(struct mw_lua_reader *r, const char *name, struct mw_val *v, unsigned depth);

/* Count so many instructions, and look at the bounds every hundred; raises an error when one is
 * met. */
void mw_lua_charge(struct mw_lua_reader *r, long steps);
struct mw_lua_reader *mw_lua_reader_of(lua_State *L);
/* Called for every look_every instructions: set by whoever calls functions. */
void mw_lua_look_every(struct mw_lua_reader *r, int steps);

#endif
