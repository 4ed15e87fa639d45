#include "conf_func.h"

#include <stdio.h>

#include "conf_lua.h"

struct call {
	const char *arg;
	struct mw_func_answer *answer;
};

/* ------------------------------------------------------------------ within limits */

struct run {
	const struct mw_val *f;
	lua_CFunction body;
	void *arg;
};

/* Protected: whatever Lua raises ends here. */
static int enter(lua_State *L)
{
	const struct run *run = lua_touserdata(L, 1);

	lua_settop(L, 0);
	lua_rawgeti(L, LUA_REGISTRYINDEX, run->f->func);
	lua_pushlightuserdata(L, run->arg);
	return run->body(L);
}

static void tell(lua_State *L, struct mw_err *err_r)
{
	const char *text =
		lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error that is no text";
	int skip = 0;

	/* "conf2:14: ...": the number of the file says nothing to a reader, its line does */
	if (sscanf(text, "conf%*u:%n", &skip) == 0 && skip > 0)
		mw_fail(err_r, MW_ERR_CONF, "line %s", text + skip);
	else
		mw_fail(err_r, MW_ERR_CONF, "%s", text);
}

static enum mw_rc run_within(struct mw_lua_reader *r, struct run *run,
	const struct mw_func_limits *limits, size_t octets, struct mw_err *err_r)
{
	lua_State *L = r->L;
	int status;

	lua_settop(L, 0);
	r->steps = 0;
	r->steps_max = limits->steps;
	r->cpu_began_us = mw_cpu_us();
	r->cpu_max_us = (uint64_t)limits->time_ms * 1000;
	/* What functions keep from call to call counts too; garbage does not, Lua collects it
	 * before it gives up. */
	r->memory_max = r->memory_base + octets;
	lua_pushcfunction(L, enter);
	lua_pushlightuserdata(L, run);
	status = lua_pcall(L, 1, 0, 0);
	if (status == LUA_OK)
		return MW_OK;
	tell(L, err_r);
	lua_settop(L, 0);
	lua_gc(L, LUA_GCCOLLECT);
	return status == LUA_ERRMEM || r->steps > r->steps_max ||
			       mw_cpu_us() - r->cpu_began_us > r->cpu_max_us
		       ? MW_ERR_LIMIT
		       : MW_ERR_CONF;
}

enum mw_rc mw_func_run(const struct mw_val *f, int (*body)(struct lua_State *L), void *arg,
	const struct mw_func_limits *limits, struct mw_err *err_r)
{
	struct run run = { f, body, arg };

	return run_within(f->program, &run, limits, limits->octets, err_r);
}

void mw_func_charge(lua_State *L, size_t steps)
{
	struct mw_lua_reader *r = mw_lua_reader_of(L);
	size_t left = r->steps <= r->steps_max ? (size_t)(r->steps_max - r->steps) : 0;

	mw_lua_charge(r, (long)(steps <= left ? steps : left + 1));
}

void mw_func_reserve(const struct mw_val *f, size_t octets)
{
	struct mw_lua_reader *r = f->program;

	lua_gc(r->L, LUA_GCCOLLECT);
	r->memory_base = r->memory;
	r->reserved = octets;
}

/* ------------------------------------------------------------------ a text in, a scalar out */

static int call_with_text(lua_State *L)
{
	struct call *c = lua_touserdata(L, 2);
	struct mw_func_answer *a = c->answer;
	const char *s;
	size_t n;

	lua_settop(L, 1);
	lua_pushstring(L, c->arg);
	lua_call(L, 1, 1);
	switch (lua_type(L, 1)) {
	case LUA_TNIL:
	case LUA_TLIGHTUSERDATA: /* undef */
		break;
	case LUA_TBOOLEAN:
		a->type = MW_FUNC_BOOL;
		a->b = lua_toboolean(L, 1);
		break;
	case LUA_TNUMBER:
		a->type = MW_FUNC_NUM;
		a->num = lua_tonumber(L, 1);
		break;
	case LUA_TSTRING:
		s = lua_tolstring(L, 1, &n);
		if (n >= sizeof(a->text) || memchr(s, '\0', n) != NULL)
			return luaL_error(L,
				"it returned a text of more than %d octets, or with a NUL",
				MW_FUNC_TEXT_MAX - 1);
		memcpy(a->text, s, n + 1);
		a->type = MW_FUNC_TEXT;
		break;
	default:
		return luaL_error(L,
			"it returned a %s; expected true, false, a number, a text or nil",
			luaL_typename(L, 1));
	}
	return 0;
}

enum mw_rc mw_func_call(const struct mw_val *f, const char *arg,
	const struct mw_func_limits *limits, struct mw_func_answer *answer_r, struct mw_err *err_r)
{
	struct call c = { arg, answer_r };
	struct run run = { f, call_with_text, &c };
	enum mw_rc rc;

	answer_r->type = MW_FUNC_NIL;
	answer_r->b = false;
	answer_r->num = 0;
	rc = run_within(f->program, &run, limits, limits->octets + f->program->reserved, err_r);
	if (rc != MW_OK)
		answer_r->type = MW_FUNC_NIL;
	return rc;
}
