/*
 * A settings file is a Lua program that assigns; this file runs it and says what was assigned, and
 * on which line. Several files are one program: each sees what those before it have set.
 *
 * The program sees no library that reaches outside or whose single call can run for long, and has
 * bounds on instructions, CPU time and memory. Settings are not Lua globals: _ENV is an empty table
 * whose metamethods note each assignment. Own tables (pipeline, scanner ...) and settings of type
 * table are such proxies too, so that `pipeline.run_dir = "x"` and `pipeline = { run_dir = "x" }`
 * mean the same.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include "conf_lua.h"

#define LOOK_STEPS 100 /* instructions between two looks at the bounds */
#define LOOK_STEPS_LARGE                                                                           \
	10 /* while much memory is in use: an instruction on a text takes longer then */
#define LARGE_OCTETS (1u << 20)
#define SORT_OCTETS_A_STEP 64 /* octets compared that count as an instruction */
#define TABLE_ITEMS_MAX                                                                            \
	100000 /* items of a table that table.insert and table.remove will shift                   \
		*/

/* Registry keys: their addresses. */
static char store_key;	 /* name -> value as assigned */
static char proxies_key; /* name -> proxy */
static char library_key; /* what programs may call, and the constants */

struct mw_lua_reader *mw_lua_reader_of(lua_State *L)
{
	return *(struct mw_lua_reader **)lua_getextraspace(L);
}

/* ------------------------------------------------------------------ bounds */

static void *bounded_alloc(void *ud, void *p, size_t had, size_t want)
{
	struct mw_lua_reader *r = ud;
	void *q;

	if (p == NULL)
		had = 0; /* Lua tells the kind of object here */
	if (want == 0) {
		r->memory -= had;
		free(p);
		return NULL;
	}
	if (want > had && r->memory + (want - had) > r->memory_max)
		return NULL;
	q = realloc(p, want);
	if (q != NULL)
		r->memory = r->memory - had + want;
	return q;
}

static void look_at_bounds(struct mw_lua_reader *r)
{
	const char *what = r->raw != NULL ? "file" : "function";

	if (r->steps > r->steps_max)
		luaL_error(r->L, "the %s takes more than %d instructions", what, (int)r->steps_max);
	if (mw_cpu_us() - r->cpu_began_us > r->cpu_max_us)
		luaL_error(r->L, "the %s takes more than %d ms of CPU time", what,
			(int)(r->cpu_max_us / 1000));
}

void mw_lua_charge(struct mw_lua_reader *r, long steps)
{
	long before = r->steps;

	r->steps += steps;
	if (before / LOOK_STEPS != r->steps / LOOK_STEPS)
		look_at_bounds(r);
}

static void budget(lua_State *L, lua_Debug *ar)
{
	struct mw_lua_reader *r = mw_lua_reader_of(L);

	if (ar->event == LUA_HOOKLINE) {
		mw_conf_lines_passed(r->lines, mw_conf_at(r->file, (unsigned)ar->currentline));
		return;
	}
	r->steps += r->look_every;
	look_at_bounds(r);
	if (r->raw == NULL)
		mw_lua_look_every(r,
			r->memory > r->memory_base + LARGE_OCTETS ? LOOK_STEPS_LARGE : LOOK_STEPS);
}

void mw_lua_look_every(struct mw_lua_reader *r, int steps)
{
	if (r->look_every == steps)
		return;
	r->look_every = steps;
	lua_sethook(r->L, budget, LUA_MASKCOUNT, steps);
}

/* ------------------------------------------------------------------ library */

/* table.insert and table.remove behind a look at the length: with a made-up border they could shift
 * for years. */
static int shift_bounded(lua_State *L)
{
	if (luaL_len(L, 1) > TABLE_ITEMS_MAX)
		return luaL_error(L, "table of more than %d items", TABLE_ITEMS_MAX);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
	return lua_gettop(L);
}

/* Two items, whoever compares them, at their price: sorting runs outside of Lua's own count. */
static int compare_bounded(lua_State *L)
{
	struct mw_lua_reader *r = mw_lua_reader_of(L);
	size_t a = lua_rawlen(L, 1), b = lua_rawlen(L, 2);

	mw_lua_charge(r, 1 + (long)((a < b ? a : b) / SORT_OCTETS_A_STEP));
	lua_settop(L, 2);
	if (lua_isnil(L, lua_upvalueindex(1))) {
		lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
		return 1;
	}
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, 2, 1);
	return 1;
}

static int sort_bounded(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	if (luaL_len(L, 1) > TABLE_ITEMS_MAX)
		return luaL_error(L, "table of more than %d items", TABLE_ITEMS_MAX);
	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	lua_pushcclosure(L, compare_bounded, 1);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, 2, 0);
	return 0;
}

/* What programs may call. Patterns, rep, format-free: no single call may take long or much. */
static const struct {
	const char *table;
	const char *names[14];
} allowed[] = {
	{ "string", { "byte", "char", "format", "len", "lower", "reverse", "sub", "upper" } },
	{ "table", { "concat", "insert", "remove", "sort", "unpack" } },
	{ "math", { "abs", "ceil", "floor", "fmod", "huge", "max", "maxinteger", "min",
			  "mininteger", "pi", "sqrt", "tointeger", "type" } },
	{ NULL, { "assert", "error", "ipairs", "next", "pairs", "select", "tonumber", "tostring",
			"type" } },
};

/* Leave in the table at the top only the named fields. */
static void keep_only(lua_State *L, const char *const *names, size_t most)
{
	lua_newtable(L);
	for (size_t i = 0; i < most && names[i] != NULL; i++) {
		lua_getfield(L, -2, names[i]);
		if (strcmp(names[i], "insert") == 0 || strcmp(names[i], "remove") == 0)
			lua_pushcclosure(L, shift_bounded, 1);
		else if (strcmp(names[i], "sort") == 0)
			lua_pushcclosure(L, sort_bounded, 1);
		lua_setfield(L, -2, names[i]);
	}
	lua_remove(L, -2);
}

static unsigned current_line(lua_State *L)
{
	lua_Debug ar;

	for (int level = 0; lua_getstack(L, level, &ar); level++)
		if (lua_getinfo(L, "Sl", &ar) && ar.currentline > 0)
			return mw_lua_at(ar.source, ar.currentline);
	return 0;
}

/* dnsl("zone", answers, options) has up to three arguments: they become one, a list. */
static void pack_arguments(lua_State *L)
{
	int count = lua_gettop(L);

	if (count < 1 || count > 3 || lua_type(L, 1) != LUA_TSTRING)
		luaL_error(L, "dnsl: expected a zone, and answers and options behind it");
	for (int i = 2; i <= count; i++)
		if (lua_isnil(L, i))
			luaL_error(L, "dnsl: argument %d is nil", i);
	lua_createtable(L, count, 0);
	lua_insert(L, 1);
	for (int i = count; i >= 1; i--)
		lua_rawseti(L, 1, i);
}

/* new_RE { ... }, read_hash("file") and the like: the argument, marked by a metatable that programs
 * cannot reach. What it means is said where the setting is compiled. */
static int on_make(lua_State *L)
{
	static const int wanted[MW_MADE_COUNT] = { [MW_MADE_RE] = LUA_TTABLE,
		[MW_MADE_READ_HASH] = LUA_TSTRING,
		[MW_MADE_READ_ARRAY] = LUA_TSTRING,
		[MW_MADE_READ_CIDR] = LUA_TSTRING,
		[MW_MADE_LABEL] = LUA_TSTRING,
		[MW_MADE_OPAQUE] = LUA_TNIL };
	enum mw_made made = (enum mw_made)lua_tointeger(L, lua_upvalueindex(2));

	if (made == MW_MADE_DNSL)
		pack_arguments(L);
	else if (lua_gettop(L) != 1 ||
		 (wanted[made] != LUA_TNIL && lua_type(L, 1) != wanted[made]) || lua_isnil(L, 1))
		return luaL_error(L, "%s: expected one argument, %s", mw_made_name(made),
			wanted[made] == LUA_TTABLE    ? "a table"
			: wanted[made] == LUA_TSTRING ? "a string"
						      : "a value");
	lua_createtable(L, 2, 0);
	lua_insert(L, 1);
	lua_rawseti(L, 1, 1);
	lua_pushinteger(L, current_line(L));
	lua_rawseti(L, 1, 2);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_setmetatable(L, 1);
	return 1;
}

/* Into the table at `library`: the functions that make tables, and undef. */
static void add_makers(lua_State *L, int library)
{
	lua_newtable(L);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &mw_lua_made_key);
	for (int made = MW_MADE_NOT + 1; made < MW_MADE_COUNT; made++) {
		lua_newtable(L);
		lua_pushvalue(L, -1);
		lua_pushinteger(L, made);
		lua_rawset(L, -4);
		lua_pushinteger(L, made);
		lua_pushcclosure(L, on_make, 2);
		lua_setfield(L, library, mw_made_name((enum mw_made)made));
	}
	lua_pop(L, 1);
	lua_pushlightuserdata(L, &mw_lua_made_key);
	lua_setfield(L, library, "undef");
}

/* Contents categories as keys: [CC_SPAM], ["CC_UNCHECKED,1"]. Which of them are decided on is the
 * front's to say. */
static const char *const ccats[] = { "CC_CATCHALL", "CC_CLEAN", "CC_MTA", "CC_OVERSIZED", "CC_BADH",
	"CC_SPAMMY", "CC_SPAM", "CC_UNCHECKED", "CC_BANNED", "CC_VIRUS" };

static void push_library(lua_State *L)
{
	luaL_requiref(L, "string", luaopen_string, 0);
	luaL_requiref(L, "table", luaopen_table, 0);
	luaL_requiref(L, "math", luaopen_math, 0);
	luaL_requiref(L, "_G", luaopen_base, 0);
	lua_settop(L, 0);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_getfield(L, 1, "_G");
	keep_only(L, allowed[3].names, MW_COUNT(allowed[3].names));
	for (size_t i = 0; i < 3; i++) {
		lua_getfield(L, 1, allowed[i].table);
		keep_only(L, allowed[i].names, MW_COUNT(allowed[i].names));
		lua_setfield(L, 2, allowed[i].table);
	}
	for (int i = MW_D_TEMPFAIL; i <= MW_D_PASS; i++) {
		if (mw_destiny_name(i) == NULL)
			continue;
		lua_pushinteger(L, i);
		lua_setfield(L, 2, mw_destiny_name(i));
	}
	for (size_t i = 0; i < MW_COUNT(ccats); i++) {
		lua_pushstring(L, ccats[i]);
		lua_setfield(L, 2, ccats[i]);
	}
	add_makers(L, 2);
	/* ("x"):rep(n) reaches the library through the metatable of strings. */
	lua_pushliteral(L, "");
	lua_getmetatable(L, -1);
	lua_getfield(L, 2, "string");
	lua_setfield(L, -2, "__index");
	lua_settop(L, 2);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &library_key);
	lua_settop(L, 0);
}

/* ------------------------------------------------------------------ assignments */

/* Functions run when the settings are in use already. */
static void must_load(lua_State *L)
{
	if (mw_lua_reader_of(L)->raw == NULL)
		luaL_error(L, "a function cannot change settings");
}

/* "pipeline.run_dir" as the scanner of lines writes it. */
static void path_set_name(struct mw_lua_reader *r, const char *name)
{
	mw_strlcpy(r->path, name, sizeof(r->path));
	for (char *p = r->path; *p != '\0'; p++)
		if (*p == '.')
			*p = MW_CONF_SEP;
}

static void push_proxy(lua_State *L, const char *name);
static void assign(lua_State *L, const char *name, int value, unsigned line);

/* Every field of a table that was assigned to an own table's name. */
static void assign_group(lua_State *L, const char *name, int value, unsigned line)
{
	struct mw_lua_reader *r = mw_lua_reader_of(L);

	if (!lua_istable(L, value) || mw_lua_is_proxy(L, value)) {
		mw_conf_error(r->errors, line, "%s = %s: expected a table of its settings", name,
			luaL_typename(L, value));
		return;
	}
	luaL_checkstack(L, 8, NULL);
	for (lua_pushnil(L); lua_next(L, value) != 0; lua_pop(L, 1)) {
		char full[160];
		const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "[...]";

		snprintf(full, sizeof(full), "%s.%s", name, key);
		path_set_name(r, full);
		assign(L, full, lua_gettop(L), mw_conf_lines_field(r->lines, r->path, line, NULL));
	}
}

/* value: absolute index. name may be any text of the file. */
static void assign(lua_State *L, const char *name, int value, unsigned line)
{
	struct mw_lua_reader *r = mw_lua_reader_of(L);
	int i = mw_setting_index(name);
	char hint[MW_HINT_MAX];

	if (i < 0 && mw_setting_is_group(name)) {
		assign_group(L, name, value, line);
		return;
	}
	if (i < 0) {
		mw_conf_error(r->errors, line, "%.100s: unknown setting%s", name,
			mw_setting_hint(name, hint, sizeof(hint)));
		return;
	}
	if (mw_lua_is_proxy(L, value)) {
		mw_conf_error(r->errors, line,
			"%s: another setting's table cannot be its value, copy the fields", name);
		return;
	}
	r->raw[i].set = true;
	r->raw[i].val.line = line;
	lua_rawgetp(L, LUA_REGISTRYINDEX, &store_key);
	lua_pushvalue(L, value);
	lua_setfield(L, -2, name);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &mw_lua_lines_key);
	lua_pushnil(L);
	lua_setfield(L, -2, name);
	lua_pop(L, 2);
}

/* The table that is the value of that table setting so far; made when there is none. */
static void push_content(lua_State *L, const char *name)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &store_key);
	if (lua_getfield(L, -1, name) != LUA_TTABLE) {
		lua_pop(L, 1);
		lua_newtable(L);
		lua_pushvalue(L, -1);
		lua_setfield(L, -3, name);
	}
	lua_remove(L, -2);
}

/* Store top of stack under the key below it in that table setting; pops both. line: of the
 * statement. */
static void assign_key(lua_State *L, const char *name, unsigned line)
{
	struct mw_lua_reader *r = mw_lua_reader_of(L);
	int i = mw_setting_index(name), key = lua_gettop(L) - 1;

	push_content(L, name);
	lua_pushvalue(L, key);
	lua_pushvalue(L, key + 1);
	lua_rawset(L, -3);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &mw_lua_lines_key);
	luaL_getsubtable(L, -1, name);
	lua_pushvalue(L, key);
	lua_pushinteger(L, line);
	lua_rawset(L, -3);
	if (!r->raw[i].set)
		r->raw[i].val.line = line;
	r->raw[i].set = true;
	lua_settop(L, key - 1);
}

/* name of the setting or own table that a proxy's function belongs to; "" for _ENV. */
static const char *full_name(lua_State *L, int key, char *buf, size_t size)
{
	const char *prefix = lua_tostring(L, lua_upvalueindex(1));
	char text[100];

	snprintf(buf, size, "%s%s%s", prefix, *prefix != '\0' ? "." : "",
		mw_lua_key_text(L, key, text, sizeof(text)));
	return buf;
}

/* Evaluate a setting's default and push it. */
static void push_default(lua_State *L, const struct mw_setting *s)
{
	char source[1200];

	snprintf(source, sizeof(source), "return %s", s->dflt);
	if (luaL_loadbufferx(L, source, strlen(source), s->name, "t") != LUA_OK)
		lua_error(L);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &library_key);
	lua_setupvalue(L, -2, 1);
	lua_call(L, 0, 1);
}

/* A read of a setting: what was assigned, or its default; tables of which a part may be set are
 * proxies. */
static void push_setting(lua_State *L, int i, const char *name)
{
	struct mw_lua_reader *r = mw_lua_reader_of(L);

	if (mw_settings[i].type == MW_T_TABLE) {
		push_proxy(L, name);
		return;
	}
	lua_rawgetp(L, LUA_REGISTRYINDEX, &store_key);
	if (lua_getfield(L, -1, name) != LUA_TNIL || (r->raw != NULL && r->raw[i].set))
		return;
	push_default(L, &mw_settings[i]);
	if (!lua_istable(L, -1) || r->raw == NULL)
		return;
	/* The program may go on to change it in place (table.insert): then this is its value. */
	assign(L, name, lua_gettop(L), current_line(L));
}

static int on_read(lua_State *L)
{
	char name[200], hint[MW_HINT_MAX];
	int i;

	if (*lua_tostring(L, lua_upvalueindex(1)) == '\0' && lua_type(L, 2) == LUA_TSTRING) {
		lua_rawgetp(L, LUA_REGISTRYINDEX, &library_key);
		lua_pushvalue(L, 2);
		if (lua_rawget(L, -2) != LUA_TNIL)
			return 1;
	}
	full_name(L, 2, name, sizeof(name));
	i = mw_setting_index(name);
	if (i >= 0) {
		push_setting(L, i, name);
		return 1;
	}
	if (mw_setting_is_group(name)) {
		push_proxy(L, name);
		return 1;
	}
	if (mw_lua_reader_of(L)->raw == NULL)
		return luaL_error(L, "%s: unknown name", name);
	mw_conf_error(mw_lua_reader_of(L)->errors, current_line(L), "%.100s: unknown name%s", name,
		mw_setting_hint(name, hint, sizeof(hint)));
	lua_pushnil(L);
	return 1;
}

static int on_write(lua_State *L)
{
	struct mw_lua_reader *r = mw_lua_reader_of(L);
	unsigned line = current_line(L);
	char name[200];

	must_load(L);
	full_name(L, 2, name, sizeof(name));
	path_set_name(r, name);
	assign(L, name, 3, mw_conf_lines_statement(r->lines, r->path, line));
	return 0;
}

/* The same two for a setting that is a table. */
static int on_table_read(lua_State *L)
{
	push_content(L, lua_tostring(L, lua_upvalueindex(1)));
	lua_pushvalue(L, 2);
	lua_rawget(L, -2);
	return 1;
}

static int on_table_write(lua_State *L)
{
	struct mw_lua_reader *r = mw_lua_reader_of(L);
	const char *name = lua_tostring(L, lua_upvalueindex(1));
	unsigned line = current_line(L);
	char key[100];
	size_t had;

	must_load(L);
	path_set_name(r, name);
	had = mw_lua_path_push(r, mw_lua_key_text(L, 2, key, sizeof(key)));
	line = mw_conf_lines_statement(r->lines, r->path, line);
	mw_lua_path_pop(r, had);
	lua_settop(L, 3);
	assign_key(L, name, line);
	return 0;
}

static int on_table_pairs(lua_State *L)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &library_key);
	lua_getfield(L, -1, "next");
	push_content(L, lua_tostring(L, lua_upvalueindex(1)));
	lua_pushnil(L);
	return 3;
}

static int on_table_len(lua_State *L)
{
	push_content(L, lua_tostring(L, lua_upvalueindex(1)));
	lua_pushinteger(L, (lua_Integer)lua_rawlen(L, -1));
	return 1;
}

/* dkim_key("domain", "selector", "file", { options }): one more entry of the list. */
static int on_dkim_key(lua_State *L)
{
	static const char *const names[] = { "domain", "selector", "file" };
	const char *name = lua_tostring(L, lua_upvalueindex(1));
	unsigned line = current_line(L);

	must_load(L);
	lua_settop(L, 5); /* the proxy, three texts, options */
	for (int i = 0; i < 3; i++)
		if (lua_type(L, 2 + i) != LUA_TSTRING) {
			mw_conf_error(mw_lua_reader_of(L)->errors, line,
				"dkim_key: argument %d: expected the %s as a string", i + 1,
				names[i]);
			return 0;
		}
	if (!lua_isnil(L, 5) && !lua_istable(L, 5)) {
		mw_conf_error(mw_lua_reader_of(L)->errors, line,
			"dkim_key: argument 4: expected a table of options");
		return 0;
	}
	push_content(L, name); /* 6 */
	lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 6) + 1);
	lua_newtable(L); /* 8 */
	if (lua_istable(L, 5))
		for (lua_pushnil(L); lua_next(L, 5) != 0;) {
			lua_pushvalue(L, -2);
			lua_insert(L, -2);
			lua_rawset(L, 8);
		}
	for (int i = 0; i < 3; i++) {
		lua_pushvalue(L, 2 + i);
		lua_setfield(L, 8, names[i]);
	}
	assign_key(L, name, line);
	return 0;
}

static void set_meta(lua_State *L, const char *event, lua_CFunction f, const char *name)
{
	lua_pushstring(L, name);
	lua_pushcclosure(L, f, 1);
	lua_setfield(L, -2, event);
}

/* An empty table whose reads and writes are those of the setting or own table of that name ("" is
 * _ENV). */
static void push_proxy(lua_State *L, const char *name)
{
	bool is_setting = mw_setting_index(name) >= 0;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &proxies_key);
	if (lua_getfield(L, -1, name) != LUA_TNIL) {
		lua_remove(L, -2);
		return;
	}
	lua_pop(L, 1);
	lua_newtable(L);
	lua_newtable(L);
	set_meta(L, "__index", is_setting ? on_table_read : on_read, name);
	set_meta(L, "__newindex", is_setting ? on_table_write : on_write, name);
	if (is_setting) {
		set_meta(L, "__pairs", on_table_pairs, name);
		set_meta(L, "__len", on_table_len, name);
	}
	if (strcmp(name, "dkim_key") == 0)
		set_meta(L, "__call", on_dkim_key, name);
	lua_setmetatable(L, -2);
	lua_pushvalue(L, -1);
	lua_setfield(L, -3, name);
	lua_remove(L, -2);
}

/* ------------------------------------------------------------------ runs */

static int convert_all(lua_State *L)
{
	struct mw_lua_reader *r = mw_lua_reader_of(L);

	for (size_t i = 0; i < mw_settings_count; i++) {
		if (!r->raw[i].set)
			continue;
		lua_settop(L, 0);
		lua_rawgetp(L, LUA_REGISTRYINDEX, &store_key);
		lua_getfield(L, 1, mw_settings[i].name);
		path_set_name(r, mw_settings[i].name);
		mw_lua_convert(r, mw_settings[i].name, &r->raw[i].val, 1);
	}
	return 0;
}

static int prepare(lua_State *L)
{
	push_library(L);
	lua_newtable(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &store_key);
	lua_newtable(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &mw_lua_lines_key);
	lua_newtable(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &proxies_key);
	return 0;
}

static int run_file(lua_State *L)
{
	const struct mw_conf_source *src = lua_touserdata(L, 1);
	struct mw_lua_reader *r = mw_lua_reader_of(L);
	char chunk[32];

	snprintf(chunk, sizeof(chunk), "=conf%zu", mw_lua_reader_of(L)->file);
	lua_sethook(L, budget, LUA_MASKCOUNT | LUA_MASKLINE, r->look_every);
	if (luaL_loadbufferx(L, src->text, src->n, chunk, "t") != LUA_OK)
		return lua_error(L);
	push_proxy(L, "");
	lua_setupvalue(L, -2, 1);
	lua_call(L, 0, 0);
	return 0;
}

static int read_defaults(lua_State *L)
{
	struct mw_lua_reader *r = mw_lua_reader_of(L);

	for (size_t i = 0; i < mw_settings_count; i++) {
		lua_settop(L, 0);
		push_default(L, &mw_settings[i]);
		mw_strlcpy(r->path, mw_settings[i].name, sizeof(r->path));
		mw_lua_convert(r, mw_settings[i].name, &r->raw[i].val, 1);
	}
	return 0;
}

/* Call f protected; what it threw becomes an error of the file. */
static bool protected_call(struct mw_lua_reader *r, lua_CFunction f, void *arg)
{
	lua_State *L = r->L;
	const char *text;
	unsigned file = (unsigned)r->file, line = 0;
	int skip = 0;

	lua_settop(L, 0);
	lua_pushcfunction(L, f); /* a light C function: takes no memory */
	lua_pushlightuserdata(L, arg);
	if (lua_pcall(L, 1, 0, 0) == LUA_OK)
		return true;
	lua_sethook(L, NULL, 0, 0);
	text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "error that is no text";
	if (sscanf(text, "conf%u:%u: %n", &file, &line, &skip) == 2 && skip > 0)
		text += skip;
	mw_conf_error(r->errors, mw_conf_at(file, line > 0 ? line : 1), "%s", text);
	return false;
}

static bool reader_open(struct mw_lua_reader *r)
{
	r->look_every = LOOK_STEPS;
	r->memory_max = MW_CONF_MEMORY_MAX;
	r->steps_max = MW_CONF_STEPS_MAX;
	r->cpu_max_us = MW_CONF_CPU_US_MAX;
	r->L = lua_newstate(bounded_alloc, r);
	if (r->L == NULL) {
		mw_conf_error(r->errors, 1, "out of memory");
		return false;
	}
	*(struct mw_lua_reader **)lua_getextraspace(r->L) = r;
	r->cpu_began_us = mw_cpu_us();
	return protected_call(r, prepare, NULL);
}

/* True when no file that comes after could run either. */
static bool is_spent(const struct mw_lua_reader *r)
{
	return r->steps > r->steps_max || mw_cpu_us() - r->cpu_began_us > r->cpu_max_us;
}

void mw_conf_lua_read(const struct mw_conf_source *files, size_t count, struct mw_conf_raw *raw,
	struct mw_conf_errors *e)
{
	struct mw_lua_reader *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		mw_conf_error(e, 1, "out of memory");
		return;
	}
	r->refs = 1;
	r->raw = raw;
	r->errors = e;
	r->lines = mw_conf_lines_scan(files, count);
	if (reader_open(r)) {
		/* Also after a failure: what was set before it is checked, so that all errors are
		 * told at once. */
		for (r->file = 0; r->file < count && !is_spent(r); r->file++)
			if (files[r->file].text != NULL)
				protected_call(r, run_file, (void *)(uintptr_t)&files[r->file]);
		r->file = 0;
		r->memory_max += MW_CONF_MEMORY_MAX; /* reading what it left behind must not fail
							for its greed */
		protected_call(r, convert_all, NULL);
	}
	if (r->refs > 1) { /* functions stay: this is what their calls start from */
		lua_sethook(r->L, budget, LUA_MASKCOUNT, r->look_every);
		lua_gc(r->L, LUA_GCCOLLECT);
	}
	r->memory_base = r->memory;
	mw_conf_lines_destroy(&r->lines);
	r->raw = NULL;
	r->errors = NULL;
	mw_conf_program_unref(&r);
}

struct mw_lua_reader *mw_conf_program_ref(struct mw_lua_reader *r)
{
	r->refs++;
	return r;
}

void mw_conf_program_unref(struct mw_lua_reader **r_p)
{
	struct mw_lua_reader *r = *r_p;

	*r_p = NULL;
	if (r == NULL || --r->refs > 0)
		return;
	if (r->L != NULL)
		lua_close(r->L);
	free(r);
}

bool mw_conf_lua_defaults(struct mw_val *vals)
{
	struct mw_conf_raw *raw = calloc(mw_settings_count + 1, sizeof(*raw));
	char *const files[] = { (char *)"built-in defaults" };
	struct mw_conf_errors errors = { .files = files };
	struct mw_lua_reader r = { .raw = raw, .errors = &errors };
	char *text;

	if (raw == NULL)
		return false;
	if (reader_open(&r))
		protected_call(&r, read_defaults, NULL);
	if (r.L != NULL)
		lua_close(r.L);
	text = mw_conf_errors_take(&errors);
	if (text != NULL) {
		fputs(text, stderr);
		abort(); /* common/settings/: our bug */
	}
	for (size_t i = 0; i < mw_settings_count; i++)
		vals[i] = raw[i].val;
	free(raw);
	return true;
}
