#include "hooks.h"

#include <stdlib.h>

#include "hooks_priv.h"

const char *const hook_names[HOOK_POINTS] = {
	[HOOK_NEW] = "new",
	[HOOK_CHECKS] = "checks",
	[HOOK_BEFORE_SEND] = "before_send",
	[HOOK_AFTER_SEND] = "after_send",
	[HOOK_MAIL_DONE] = "mail_done",
};

/* ------------------------------------------------------------------ settings */

static const char *setting_of(enum hook_point point, char *buf, size_t size)
{
	mw_strlcpy(buf, "hooks.", size);
	mw_strlcpy(buf + 6, hook_names[point], size - 6);
	return buf;
}

/* What was not done shall not go unseen: where the mail can still be deferred it is. */
static void read_points(struct hooks *h, const struct mw_conf *conf)
{
	char name[40];

	for (int i = 0; i < HOOK_POINTS; i++) {
		const struct mw_val *v =
			mw_conf_val(conf, setting_of((enum hook_point)i, name, sizeof(name)));
		const char *on_failure = mw_val_text(mw_val_field(v, "on_failure"), "");

		h->points[i].run = mw_val_field(v, "run");
		h->points[i].defers = i < HOOK_AFTER_SEND && strcmp(on_failure, "pass") != 0;
		if (h->points[i].run != NULL)
			h->any = h->points[i].run;
	}
}

enum mw_rc hooks_new(const struct mw_conf *conf, struct hooks **hooks_r, struct mw_err *err_r)
{
	struct hooks *h = calloc(1, sizeof(*h));

	*hooks_r = NULL;
	if (h == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "hooks: no memory");
	read_points(h, conf);
	if (h->any == NULL) {
		free(h);
		return MW_OK;
	}
	h->limits = (struct mw_func_limits){ (unsigned)mw_conf_int(conf, "hooks.steps"),
		(unsigned)mw_conf_int(conf, "hooks.time"),
		(size_t)mw_conf_int(conf, "hooks.memory") };
	h->mail_ref = LUA_NOREF;
	mw_func_reserve(h->any, h->limits.octets);
	*hooks_r = h;
	return MW_OK;
}

static int close_mail(lua_State *L)
{
	struct hooks *h = lua_touserdata(L, 2);

	luaL_unref(L, LUA_REGISTRYINDEX, h->mail_ref);
	return 0;
}

/* Functions of the program may have kept the mail object, and live on in other settings. */
void hooks_destroy(struct hooks **hooks_p)
{
	struct hooks *h = *hooks_p;
	struct mw_err why;

	*hooks_p = NULL;
	if (h == NULL)
		return;
	if (h->self != NULL)
		*h->self = NULL;
	if (h->mail_ref != LUA_NOREF)
		mw_func_run(h->any, close_mail, h, &h->limits, &why);
	for (size_t i = 0; i < HOOK_PATTERNS_MAX; i++)
		mw_pattern_destroy(&h->patterns[i]);
	free(h);
}
