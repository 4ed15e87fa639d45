/* Values of settings for a person: without secrets, and told apart from the defaults. */
#include <stdint.h>
#include <stdlib.h>
#include "conf_priv.h"

/* Passwords are for the services alone. */
static bool is_secret(const struct mw_setting *s, const struct mw_val *v)
{
	bool empty = v->tag == MW_V_NIL || (v->tag == MW_V_TABLE && v->count == 0);

	return !empty && mw_setting_is_secret(s->name, v);
}

void mw_conf_print(
	struct mw_text *out, const struct mw_conf *conf, const struct mw_setting *s, size_t most)
{
	const struct mw_val *v = mw_conf_val(conf, s->name);
	const char *destiny =
		s->type == MW_T_DESTINY ? mw_destiny_name(mw_conf_int(conf, s->name)) : NULL;

	if (is_secret(s, v))
		mw_text_add(out, "\"(hidden)\"");
	else if (destiny != NULL && v->tag != MW_V_NIL)
		mw_text_add(out, destiny);
	else
		mw_val_print(out, v, most);
}

enum mw_rc mw_conf_defaults(struct mw_conf **conf_r, char **errors_r)
{
	for (size_t i = 0; i < mw_settings_count; i++)
		if (mw_settings[i].env != NULL)
			unsetenv(mw_settings[i].env);
	return mw_conf_load(NULL, conf_r, errors_r);
}

bool mw_conf_differs(
	const struct mw_conf *conf, const struct mw_conf *defaults, const struct mw_setting *s)
{
	struct mw_text text = { 0 }, usual = { 0 };
	bool differs;

	if (!mw_conf_is_set(conf, s->name))
		return false;
	mw_conf_print(&text, conf, s, SIZE_MAX);
	mw_conf_print(&usual, defaults, s, SIZE_MAX);
	differs = is_secret(s, mw_conf_val(conf, s->name)) || text.p == NULL || usual.p == NULL ||
		  strcmp(text.p, usual.p) != 0;
	mw_text_fini(&text);
	mw_text_fini(&usual);
	return differs;
}
