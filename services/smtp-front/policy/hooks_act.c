/* What a hook asks for: each method checks its arguments and notes an act; hooks_apply.c does them
 * all once the function has returned. */
#include <math.h>

#include "hooks_field.h"
#include "hooks_priv.h"
#include "log.h"

#define AT_NEW MW_BIT(HOOK_NEW)
#define UNTIL_DECIDED (AT_NEW | MW_BIT(HOOK_CHECKS))
#define UNTIL_SENT (UNTIL_DECIDED | MW_BIT(HOOK_BEFORE_SEND))

/* ------------------------------------------------------------------ notes */

/* An act of that kind, where such acts still have an effect. */
static struct hook_act *note(
	lua_State *L, struct hook_call *c, enum hook_act_kind kind, unsigned points)
{
	struct hook_act *a = &c->acts[c->act_count];

	if ((points & MW_BIT(c->point)) == 0)
		luaL_error(L, "too late for this in hooks.%s", hook_names[c->point]);
	if (c->act_count == HOOK_ACTS_MAX)
		luaL_error(L, "more than %d acts in one call", HOOK_ACTS_MAX);
	*a = (struct hook_act){ .kind = kind };
	return a;
}

static int noted(struct hook_call *c)
{
	c->act_count++;
	return 0;
}

static const char *keep(lua_State *L, struct hook_call *c, const char *s, size_t n)
{
	const char *copy = smtp_arena_copy(&c->t->arena, s, n);

	if (copy == NULL) {
		c->nomem = true;
		luaL_error(L, "out of memory");
	}
	return copy;
}

/* A text argument of 1 to `most` octets of printable ASCII, kept. */
static const char *printable_arg(lua_State *L, struct hook_call *c, int at, size_t most)
{
	size_t n;
	const char *s = luaL_checklstring(L, at, &n);

	if (n == 0 || n > most || !mw_is_printable(s, n))
		luaL_error(L, "expected a text of 1 to %d printable ASCII characters", (int)most);
	return keep(L, c, s, n);
}

/* ------------------------------------------------------------------ policy, findings */

static int on_load_policy_bank(lua_State *L)
{
	struct hook_call *c = hook_call_of(L);
	struct hook_act *a = note(L, c, ACT_LOAD_BANK, AT_NEW);
	size_t n;
	const char *name = luaL_checklstring(L, 2, &n);

	if (strlen(name) != n || !policy_has_bank(c->t->set, name, n))
		return luaL_error(L, "there is no policy bank \"%s\"", name);
	a->text = keep(L, c, name, n);
	return noted(c);
}

static bool is_test_name(const char *s, size_t n)
{
	return n > 0 && n <= 60 && strlen(s) == n &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") == n;
}

/* mail:add_score(points, "NAME" [, recipient]) */
static int on_add_score(lua_State *L)
{
	struct hook_call *c = hook_call_of(L);
	struct hook_act *a = note(L, c, ACT_ADD_SCORE, UNTIL_DECIDED);
	double points = luaL_checknumber(L, 2);
	size_t n;
	const char *name = luaL_checklstring(L, 3, &n);

	if (!isfinite(points) || fabs(points) > HOOK_SCORE_MAX)
		return luaL_error(
			L, "add_score: expected -%d to %d points", HOOK_SCORE_MAX, HOOK_SCORE_MAX);
	if (!is_test_name(name, n))
		return luaL_error(L, "add_score: a test's name is 1 to 60 of A-Z, 0-9, _ and .");
	if (c->tests == HOOK_TESTS_MAX)
		return luaL_error(L, "add_score: more than %d scores for one mail", HOOK_TESTS_MAX);
	a->milli = (int32_t)lround(points * 1000);
	a->text = keep(L, c, name, n);
	a->for_all = lua_isnoneornil(L, 4);
	if (!a->for_all)
		a->more = hook_rcpt_arg(L, c, 4);
	c->tests++;
	return noted(c);
}

static int on_add_virus(lua_State *L)
{
	struct hook_call *c = hook_call_of(L);
	struct hook_act *a = note(L, c, ACT_ADD_VIRUS, UNTIL_DECIDED);

	a->text = printable_arg(L, c, 2, 100);
	if (c->viruses == HOOK_VIRUSES_MAX)
		return luaL_error(
			L, "add_virus: more than %d viruses for one mail", HOOK_VIRUSES_MAX);
	c->viruses++;
	return noted(c);
}

static int on_add_unchecked(lua_State *L)
{
	struct hook_call *c = hook_call_of(L);
	struct hook_act *a = note(L, c, ACT_ADD_UNCHECKED, UNTIL_DECIDED);

	a->text = printable_arg(L, c, 2, 100);
	return noted(c);
}

/* ------------------------------------------------------------------ header edits */

static void count_edit(lua_State *L, struct hook_call *c, size_t octets)
{
	if (c->edits == HOOK_EDITS_MAX)
		luaL_error(L, "more than %d header edits for one mail", HOOK_EDITS_MAX);
	if (octets > HOOK_EDIT_OCTETS_MAX - c->edit_octets)
		luaL_error(L, "header edits of more than %d octets for one mail",
			HOOK_EDIT_OCTETS_MAX);
	c->edits++;
	c->edit_octets += octets;
}

static const char *name_arg(lua_State *L, int at, size_t *n_r)
{
	const char *name = luaL_checklstring(L, at, n_r);

	if (!hook_field_name(name, *n_r))
		luaL_error(L,
			"a field's name is 1 to %d printable characters without blank and "
			"colon (RFC 5322)",
			HOOK_FIELD_NAME_MAX);
	if (mw_ieq(name, "Received"))
		luaL_error(L, "Received fields stay as they are: they end loops");
	return name;
}

/* mail:add_field(name, value) */
static int on_add_field(lua_State *L)
{
	struct hook_call *c = hook_call_of(L);
	struct hook_act *a = note(L, c, ACT_ADD_FIELD, UNTIL_SENT);
	struct mw_text out = { 0 };
	size_t name_n, n;
	const char *name = name_arg(L, 2, &name_n), *value = luaL_checklstring(L, 3, &n), *wrong;

	count_edit(L, c, name_n + n);
	a->text = keep(L, c, name, name_n);
	wrong = hook_field_print(name, value, n, c->t->params.smtputf8, &out);
	if (wrong == NULL && !out.failed)
		a->more = smtp_arena_copy(&c->t->arena, out.p, out.n);
	mw_text_fini(&out);
	if (wrong != NULL)
		return luaL_error(L, "add_field: %s", wrong);
	if (a->more == NULL) {
		c->nomem = true;
		return luaL_error(L, "out of memory");
	}
	return noted(c);
}

static int on_remove_field(lua_State *L)
{
	struct hook_call *c = hook_call_of(L);
	struct hook_act *a = note(L, c, ACT_REMOVE_FIELD, UNTIL_SENT);
	size_t n;
	const char *name = name_arg(L, 2, &n);

	count_edit(L, c, n);
	a->text = keep(L, c, name, n);
	return noted(c);
}

static int on_prefix_subject(lua_State *L)
{
	struct hook_call *c = hook_call_of(L);
	struct hook_act *a = note(L, c, ACT_PREFIX_SUBJECT, UNTIL_SENT);

	a->text = printable_arg(L, c, 2, HOOK_PREFIX_MAX);
	count_edit(L, c, strlen(a->text));
	return noted(c);
}

/* ------------------------------------------------------------------ recipients */

/* As it may stand in RCPT. */
static const char *address_arg(lua_State *L, struct hook_call *c, int at)
{
	struct smtp_arena *arena = &c->t->arena;
	struct smtp_refusal why;
	size_t n;
	const char *s = luaL_checklstring(L, at, &n), *addr = NULL, *rest = NULL;
	char *path;

	if (n > SMTP_PATH_MAX || strlen(s) != n || strpbrk(s, "\r\n") != NULL)
		luaL_error(L, "this is no address");
	path = smtp_arena_printf(arena, "TO:<%s>", s);
	if (path == NULL) {
		c->nomem = true;
		luaL_error(L, "out of memory");
	}
	if (!smtp_command_path(
		    arena, path, "TO:", false, c->t->params.smtputf8, &addr, &rest, &why) ||
		*rest != '\0')
		luaL_error(L, "\"%s\" is no address that RCPT would take", s);
	return addr;
}

static int on_add_recipient(lua_State *L)
{
	struct hook_call *c = hook_call_of(L);
	struct hook_act *a = note(L, c, ACT_ADD_RCPT, AT_NEW);

	a->text = address_arg(L, c, 2);
	return noted(c);
}

static int on_remove_recipient(lua_State *L)
{
	struct hook_call *c = hook_call_of(L);
	struct hook_act *a = note(L, c, ACT_REMOVE_RCPT, AT_NEW);

	a->text = hook_rcpt_arg(L, c, 2);
	return noted(c);
}

/* mail:rewrite_recipient(recipient, address) */
static int on_rewrite_recipient(lua_State *L)
{
	struct hook_call *c = hook_call_of(L);
	struct hook_act *a = note(L, c, ACT_REWRITE_RCPT, AT_NEW);

	a->text = hook_rcpt_arg(L, c, 2);
	a->more = address_arg(L, c, 3);
	return noted(c);
}

/* ------------------------------------------------------------------ log */

/* At once: it helps to find out why a hook fails. */
static int on_log(lua_State *L)
{
	struct hook_call *c = hook_call_of(L);
	char text[HOOK_LOG_OCTETS_MAX + 8];
	size_t n;
	const char *s = luaL_checklstring(L, 2, &n);

	mw_func_charge(L, 100);
	if (c->log_count < HOOK_LOGS_MAX)
		mw_log(MW_INFO, "hook", "log_id=%s point=%s text=%s", c->t->log_id,
			hook_names[c->point], mw_quote_octets(text, sizeof(text), s, n));
	else if (c->log_count == HOOK_LOGS_MAX)
		mw_log(MW_INFO, "hook", "log_id=%s point=%s text=\"(more than %d lines)\"",
			c->t->log_id, hook_names[c->point], HOOK_LOGS_MAX);
	c->log_count += c->log_count <= HOOK_LOGS_MAX;
	return 0;
}

void hook_acts_open(lua_State *L)
{
	static const luaL_Reg methods[] = { { "load_policy_bank", on_load_policy_bank },
		{ "add_score", on_add_score }, { "add_virus", on_add_virus },
		{ "add_unchecked", on_add_unchecked }, { "add_field", on_add_field },
		{ "remove_field", on_remove_field }, { "prefix_subject", on_prefix_subject },
		{ "add_recipient", on_add_recipient }, { "remove_recipient", on_remove_recipient },
		{ "rewrite_recipient", on_rewrite_recipient }, { "log", on_log }, { NULL, NULL } };

	luaL_setfuncs(L, methods, 0);
}
