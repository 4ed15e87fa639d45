/* Calling a hook: the mail object into its hands, what it asked for done, its failure told. */
#include "hooks_priv.h"
#include "log.h"

#define TOLD_MS 1000 /* between two lines about one point's failures */

_Static_assert(MW_COUNT(((struct front *)NULL)->hooks) == HOOK_POINTS, "front.h counts each point");

/* With the first call of a set of settings. */
static int open_mail(lua_State *L)
{
	struct hooks *h = lua_touserdata(L, 2), **self;

	lua_settop(L, 0);
	hook_mail_open(L);
	self = lua_newuserdatauv(L, sizeof(*self), 0);
	*self = h;
	luaL_setmetatable(L, HOOK_MAIL);
	h->mail_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	h->self = self; /* nothing can fail any more */
	return 0;
}

static int run(lua_State *L)
{
	struct hook_call *c = lua_touserdata(L, 2);

	lua_settop(L, 1);
	lua_rawgeti(L, LUA_REGISTRYINDEX, c->h->mail_ref);
	lua_call(L, 1, 0);
	return 0;
}

static void tell_failure(const struct hook_call *c, bool defers, const char *why)
{
	static uint64_t told_ms[HOOK_POINTS], untold[HOOK_POINTS];
	uint64_t now = mw_mono_ms();

	if (told_ms[c->point] != 0 && now - told_ms[c->point] < TOLD_MS) {
		untold[c->point]++;
		return;
	}
	mw_log(MW_WARN, "hook_failed",
		"log_id=%s mail_id=%s point=%s on_failure=%s why=%s untold=%llu", c->t->log_id,
		c->t->mail_id, hook_names[c->point], defers ? "defer" : "pass", mw_quote(why),
		(unsigned long long)untold[c->point]);
	told_ms[c->point] = now;
	untold[c->point] = 0;
}

/* It goes into the record, and messages of Lua may hold what came from outside. */
static const char *printable(struct txn *t, const char *text)
{
	size_t n = strlen(text);
	char *s = smtp_arena_copy(&t->arena, text, n < HOOK_SAID_MAX ? n : HOOK_SAID_MAX);

	for (char *p = s; p != NULL && *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	return s != NULL ? s : "";
}

static const char *acts_text(const struct hook_call *c)
{
	struct mw_text out = { 0 };
	const char *s = "";

	if (c->act_count == 0)
		return s;
	hook_acts_text(c, &out);
	s = printable(c->t, out.p != NULL ? out.p : "");
	mw_text_fini(&out);
	return s;
}

static bool begin(struct hook_call *c)
{
	struct txn *t = c->t;
	struct txn_hooked *all = t->hooked;

	if (all == NULL) {
		all = smtp_arena_array(&t->arena, 1, sizeof(*all));
		if (all == NULL)
			return false;
		all->fields = "";
		t->hooked = all;
	}
	c->tests = all->test_count;
	c->viruses = all->virus_count;
	c->edits = all->edit_count;
	c->edit_octets = all->edit_octets;
	return true;
}

bool hooks_call(struct txn *t, enum hook_point point)
{
	struct hooks *h = t->set->hooks;
	struct mw_err why = { "" };
	struct hook_call c;
	struct hook_said *said;
	uint64_t wall;
	enum mw_rc rc;
	bool defers;

	if (h->points[point].run == NULL)
		return true;
	memset(&c, 0, offsetof(struct hook_call, acts));
	c.h = h;
	c.t = t;
	c.point = point;
	if (!begin(&c)) {
		tell_failure(&c, point < HOOK_AFTER_SEND, "out of memory");
		return point >= HOOK_AFTER_SEND;
	}
	wall = mw_mono_us();
	h->call = &c;
	rc = h->self != NULL ? MW_OK : mw_func_run(h->any, open_mail, h, &h->limits, &why);
	if (rc == MW_OK)
		rc = mw_func_run(h->points[point].run, run, &c, &h->limits, &why);
	h->call = NULL;
	if (c.nomem)
		rc = MW_ERR_NOMEM;
	if (rc == MW_OK)
		rc = hook_apply(&c, &why);
	said = &t->hooked->said[point];
	*said = (struct hook_said){ .called = true,
		.failed = rc != MW_OK,
		.wall_us = mw_mono_us() - wall,
		.text = rc == MW_OK ? acts_text(&c) : printable(t, why.text) };
	t->front->hooks[point].calls++;
	t->front->hooks[point].us += said->wall_us;
	if (rc == MW_OK)
		return true;
	/* Without memory of ours nobody can say what was done. */
	defers = point < HOOK_AFTER_SEND && (h->points[point].defers || rc == MW_ERR_NOMEM);
	t->front->hooks[point].failed++;
	tell_failure(&c, defers, why.text);
	return !defers;
}
