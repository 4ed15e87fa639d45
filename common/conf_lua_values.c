/* From Lua's values to ours: trees with the line of every key. */
#include <stdio.h>
#include <stdlib.h>
#include "conf_lua.h"

char mw_lua_lines_key, mw_lua_made_key;

size_t mw_lua_path_push(struct mw_lua_reader *r, const char *key)
{
	size_t had = strlen(r->path);

	if (had + strlen(key) + 2 > sizeof(r->path))
		return SIZE_MAX;
	if (had > 0)
		r->path[had] = MW_CONF_SEP;
	strcpy(r->path + had + (had > 0), key);
	return had;
}

void mw_lua_path_pop(struct mw_lua_reader *r, size_t had)
{
	if (had != SIZE_MAX)
		r->path[had] = '\0';
}

enum mw_made mw_lua_made(lua_State *L, int value)
{
	int top = lua_gettop(L), made = MW_MADE_NOT;

	if (lua_istable(L, value) && lua_getmetatable(L, value)) {
		lua_rawgetp(L, LUA_REGISTRYINDEX, &mw_lua_made_key);
		lua_insert(L, -2);
		lua_rawget(L, -2);
		made = (int)lua_tointeger(L, -1);
	}
	lua_settop(L, top);
	return (enum mw_made)made;
}

unsigned mw_lua_at(const char *chunk, int line)
{
	unsigned file = 0;

	sscanf(chunk, "=conf%u", &file);
	return line > 0 ? mw_conf_at(file, (unsigned)line) : 0;
}

bool mw_lua_is_proxy(lua_State *L, int value)
{
	return lua_istable(L, value) && lua_getmetatable(L, value) &&
	       (lua_pop(L, 1), mw_lua_made(L, value) == MW_MADE_NOT);
}

const char *mw_lua_key_text(lua_State *L, int at, char *buf, size_t size)
{
	if (lua_type(L, at) == LUA_TSTRING)
		mw_strlcpy(buf, lua_tostring(L, at), size);
	else if (lua_isinteger(L, at))
		snprintf(buf, size, "%lld", (long long)lua_tointeger(L, at));
	else
		snprintf(buf, size, "[%s]", luaL_typename(L, at));
	return buf;
}

struct ranked {
	char *key;
	struct mw_val val;
	size_t order;
};

static int ranked_compare(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return strcmp(x->key, y->key);
}

static size_t count_fields(lua_State *L, int table)
{
	size_t n = 0;

	for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1))
		n++;
	return n;
}

/* Keys in the order of the source where it is known, else of the alphabet; Lua's own order is that
 * of its hash. */
static bool sort_fields(struct mw_val *v, const size_t *order)
{
	struct ranked *all = calloc(v->count + 1, sizeof(*all));

	if (all == NULL)
		return false;
	for (size_t i = 0; i < v->count; i++)
		all[i] = (struct ranked){ v->keys[i], v->vals[i], order[i] };
	qsort(all, v->count, sizeof(*all), ranked_compare);
	for (size_t i = 0; i < v->count; i++) {
		v->keys[i] = all[i].key;
		v->vals[i] = all[i].val;
	}
	free(all);
	return true;
}

/* One field: key below the top, value at the top of Lua's stack. base: line of the table. */
static void convert_field(struct mw_lua_reader *r, const char *name, struct mw_val *table, size_t i,
	size_t *order, unsigned depth)
{
	lua_State *L = r->L;
	char key[256];
	size_t had;

	if ((lua_type(L, -2) != LUA_TSTRING && !lua_isinteger(L, -2)) ||
		lua_rawlen(L, -2) >= sizeof(key) ||
		(lua_type(L, -2) == LUA_TSTRING &&
			strlen(lua_tostring(L, -2)) != lua_rawlen(L, -2))) {
		mw_conf_error(r->errors, table->line,
			"%s: a key must be a text of less than %zu octets or a whole number", name,
			sizeof(key));
		table->keys[i] = strdup("?");
		order[i] = i;
		return;
	}
	mw_lua_key_text(L, -2, key, sizeof(key));
	table->keys[i] = strdup(key);
	had = mw_lua_path_push(r, key);
	table->vals[i].line = table->line;
	order[i] = SIZE_MAX;
	if (had != SIZE_MAX)
		table->vals[i].line =
			mw_conf_lines_field(r->lines, r->path, table->line, &order[i]);
	if (depth == 1) { /* set by a statement of its own? */
		lua_rawgetp(L, LUA_REGISTRYINDEX, &mw_lua_lines_key);
		if (lua_getfield(L, -1, name) == LUA_TTABLE) {
			lua_pushvalue(L, -4);
			if (lua_rawget(L, -2) == LUA_TNUMBER)
				table->vals[i].line = (unsigned)lua_tointeger(L, -1);
			lua_pop(L, 1);
		}
		lua_pop(L, 2);
	}
	mw_lua_convert(r, name, &table->vals[i], depth + 1);
	mw_lua_path_pop(r, had);
}

static void convert_table(
	struct mw_lua_reader *r, const char *name, struct mw_val *v, unsigned depth)
{
	lua_State *L = r->L;
	int table = lua_gettop(L);
	size_t n = count_fields(L, table), length = 0, i = 0, *order;

	if (depth > MW_CONF_DEPTH_MAX || !lua_checkstack(L, 10)) {
		mw_conf_error(r->errors, v->line, "%s: more than %d tables within tables", name,
			MW_CONF_DEPTH_MAX);
		return;
	}
	if (mw_lua_is_proxy(L, table)) {
		mw_conf_error(r->errors, v->line, "%s: another setting's table cannot be its value",
			name);
		return;
	}
	while (length < n && lua_rawgeti(L, table, (lua_Integer)length + 1) != LUA_TNIL) {
		lua_pop(L, 1);
		length++;
	}
	lua_settop(L, table);
	r->values += n;
	order = r->values <= MW_CONF_VALUES_MAX ? calloc(n + 1, sizeof(*order)) : NULL;
	if (order == NULL || !mw_val_set_table(v, n)) {
		mw_conf_error(
			r->errors, v->line, "%s: more than %d values", name, MW_CONF_VALUES_MAX);
		free(order);
		mw_val_fini(v);
		return;
	}
	v->is_array = length == n;
	if (v->is_array)
		for (i = 0; i < n; i++) {
			lua_pushinteger(L, (lua_Integer)i + 1);
			lua_rawgeti(L, table, (lua_Integer)i + 1);
			convert_field(r, name, v, i, order, depth);
			lua_settop(L, table);
		}
	else
		for (lua_pushnil(L); i < n && lua_next(L, table) != 0; lua_pop(L, 1))
			convert_field(r, name, v, i++, order, depth);
	lua_settop(L, table);
	for (i = 0; i < n; i++)
		if (v->keys[i] == NULL) { /* no memory: nothing half-made goes on */
			mw_conf_error(r->errors, v->line, "%s: out of memory", name);
			v->keys[i] = strdup("");
		}
	if (!v->is_array && !sort_fields(v, order))
		mw_conf_error(r->errors, v->line, "%s: out of memory", name);
	free(order);
}

/* What a function made holds its argument as [1] and the line of the call as [2]. */
static void convert_made(
	struct mw_lua_reader *r, const char *name, struct mw_val *v, unsigned depth)
{
	lua_State *L = r->L;
	int table = lua_gettop(L);

	unsigned line = v->line;

	if (depth > MW_CONF_DEPTH_MAX || !lua_checkstack(L, 10) || !mw_val_set_table(v, 1) ||
		(v->keys[0] = strdup("1")) == NULL) {
		mw_conf_error(
			r->errors, line, "%s: out of memory, or too many tables in tables", name);
		mw_val_fini(v);
		v->line = line;
		return;
	}
	v->made = mw_lua_made(L, table);
	v->is_array = true;
	if (lua_rawgeti(L, table, 2) == LUA_TNUMBER && lua_tointeger(L, -1) > 0)
		v->line = (unsigned)lua_tointeger(L, -1);
	v->vals[0].line = v->line;
	lua_rawgeti(L, table, 1);
	if (lua_istable(L, -1) && mw_lua_made(L, -1) != MW_MADE_NOT)
		mw_conf_error(r->errors, v->line, "%s: %s(%s(...)): expected a plain table", name,
			mw_made_name(v->made), mw_made_name(mw_lua_made(L, -1)));
	else
		mw_lua_convert(r, name, &v->vals[0], depth + 1);
	lua_settop(L, table);
}

static void convert_function(struct mw_lua_reader *r, const char *name, struct mw_val *v)
{
	lua_State *L = r->L;
	lua_Debug ar;

	if (lua_iscfunction(L, -1)) {
		mw_conf_error(r->errors, v->line,
			"%s: expected a value or a function of yours, not one of the library",
			name);
		return;
	}
	lua_pushvalue(L, -1);
	if (lua_getinfo(L, ">S", &ar) && ar.linedefined > 0)
		v->line = mw_lua_at(ar.source, ar.linedefined);
	lua_pushvalue(L, -1);
	v->func = luaL_ref(L, LUA_REGISTRYINDEX);
	v->program = mw_conf_program_ref(r);
	v->tag = MW_V_FUNC;
}

void mw_lua_convert(struct mw_lua_reader *r, const char *name, struct mw_val *v, unsigned depth)
{
	lua_State *L = r->L;
	unsigned line = v->line;
	size_t n;
	const char *s;

	switch (lua_type(L, -1)) {
	case LUA_TNIL:
		break;
	case LUA_TBOOLEAN:
		v->tag = MW_V_BOOL;
		v->b = lua_toboolean(L, -1);
		break;
	case LUA_TNUMBER:
		v->tag = MW_V_NUM;
		v->num = lua_tonumber(L, -1);
		break;
	case LUA_TSTRING:
		s = lua_tolstring(L, -1, &n);
		if (memchr(s, '\0', n) != NULL)
			mw_conf_error(
				r->errors, line, "%s: a text must not hold a NUL octet", name);
		else if (!mw_val_set_text(v, s, n))
			mw_conf_error(r->errors, line, "%s: out of memory", name);
		break;
	case LUA_TFUNCTION:
		convert_function(r, name, v);
		break;
	case LUA_TLIGHTUSERDATA: /* undef: the only one there is */
		break;
	case LUA_TTABLE:
		if (mw_lua_made(L, lua_gettop(L)) != MW_MADE_NOT) {
			convert_made(r, name, v, depth);
			break;
		}
		convert_table(r, name, v, depth);
		v->line = line;
		break;
	default:
		mw_conf_error(r->errors, line, "%s: expected a value, not a %s", name,
			luaL_typename(L, -1));
	}
}
