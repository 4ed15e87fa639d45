#include "conf_func.h"

#include <stdio.h>

#include "conf_lua.h"

struct call {
	const struct mw_val *f;
	const char *arg;
	struct mw_func_answer *answer;
};

/* Protected: whatever Lua raises ends here. */
static int do_call(lua_State *L)
{
	struct call *c = lua_touserdata(L, 1);
	struct mw_func_answer *a = c->answer;
	const char *s;
	size_t n;

	lua_settop(L, 0);
	lua_rawgeti(L, LUA_REGISTRYINDEX, c->f->func);
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
	struct mw_lua_reader *r = f->program;
	struct call c = { f, arg, answer_r };
	lua_State *L = r->L;
	const char *text;
	int status, skip = 0;

	answer_r->type = MW_FUNC_NIL;
	answer_r->b = false;
	answer_r->num = 0;
	lua_settop(L, 0);
	r->steps = 0;
	r->steps_max = limits->steps;
	r->cpu_began_us = mw_cpu_us();
	r->cpu_max_us = (uint64_t)limits->time_ms * 1000;
	/* What functions keep from call to call counts too; garbage does not, Lua collects it
	 * before it gives up. */
	r->memory_max = r->memory_base + limits->octets;
	lua_pushcfunction(L, do_call);
	lua_pushlightuserdata(L, &c);
	status = lua_pcall(L, 1, 0, 0);
	if (status == LUA_OK)
		return MW_OK;
	answer_r->type = MW_FUNC_NIL;
	text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error that is no text";
	/* "conf2:14: ...": the number of the file says nothing to a reader, its line does */
	if (sscanf(text, "conf%*u:%n", &skip) == 0 && skip > 0)
		mw_fail(err_r, MW_ERR_CONF, "line %s", text + skip);
	else
		mw_fail(err_r, MW_ERR_CONF, "%s", text);
	lua_settop(L, 0);
	lua_gc(L, LUA_GCCOLLECT);
	return status == LUA_ERRMEM || r->steps > r->steps_max ? MW_ERR_LIMIT : MW_ERR_CONF;
}
