#include "policy_texts.h"

#include <stdio.h>

#include "outcome/log_texts.h"
#include "outcome/template.h"
#include "policy.h"

/* The setting is the same value as below: nothing in the bank says it. */
static bool from_below(const struct policy *p, const char *name)
{
	return p->below != NULL && mw_conf_val(p->conf, name) == mw_conf_val(p->below->conf, name);
}

static enum mw_rc compile(const char *setting, const char *text, struct template_code **template_r,
	struct mw_err *err_r)
{
	struct mw_err why = { "" };
	enum mw_rc rc = MW_OK;

	*template_r = NULL;
	if (*text != '\0')
		rc = template_new(text, template_r, &why);
	if (rc != MW_OK)
		return mw_fail(err_r, rc, "%s: %s", setting, why.text);
	if (*template_r != NULL && template_is_empty(*template_r))
		template_unref(template_r);
	return MW_OK;
}

/* What a text setting says; its own name, or another's, stands for a text that is ready. */
static const char *text_of(const struct mw_conf *conf, const char *name, const char **setting_r)
{
	static const struct {
		const char *name, *text;
		bool set; /* a setting may say otherwise */
	} ready[] = {
		{ "log_short_templ", log_short_text, true },
		{ "log_verbose_templ", log_verbose_text, true },
		{ "log_recip_templ", log_recip_text, false },
	};
	const char *said = mw_conf_text(conf, name), *own;

	*setting_r = name;
	for (size_t i = 0; i < MW_COUNT(ready); i++) {
		if (strcmp(said != NULL ? said : ready[0].name, ready[i].name) != 0)
			continue;
		own = ready[i].set ? mw_conf_text(conf, ready[i].name) : NULL;
		*setting_r = own != NULL ? ready[i].name : name;
		return own != NULL ? own : ready[i].text;
	}
	return said;
}

static enum mw_rc compile_line(struct policy *p, const char *name, struct template_code **own,
	struct template_code *below, struct mw_err *err_r)
{
	const char *setting, *text;

	if (from_below(p, name)) {
		*own = template_ref(below);
		return MW_OK;
	}
	text = text_of(p->conf, name, &setting);
	return compile(setting, text, own, err_r);
}

static enum mw_rc compile_reasons(struct policy *p, struct mw_err *err_r)
{
	static const char name[] = "smtp_reason_by_ccat";
	const struct mw_val *table = mw_conf_val(p->conf, name);
	bool shared = from_below(p, name);
	enum mw_rc rc = MW_OK;

	for (unsigned i = 0; i < CCAT_SLOTS && shared; i++)
		p->texts.reasons[i] = template_ref(p->below->texts.reasons[i]);
	for (size_t i = 0; !shared && rc == MW_OK && table != NULL && i < table->count; i++) {
		const struct mw_val *v = &table->vals[i];
		enum ccat_slot slot;
		struct mw_err why = { "" };
		char setting[80];

		snprintf(setting, sizeof(setting), "%s[%.40s]", name, table->keys[i]);
		rc = ccat_of_key(table->keys[i], &slot, &why);
		if (rc == MW_OK && v->tag != MW_V_STR && v->tag != MW_V_NIL)
			rc = mw_fail(&why, MW_ERR_CONF, "expected a text");
		if (rc != MW_OK)
			mw_fail(err_r, rc, "%s: %s", setting, why.text);
		else
			rc = compile(setting, mw_val_text(v, ""), &p->texts.reasons[slot], err_r);
	}
	return rc;
}

enum mw_rc policy_texts_compile(struct policy *p, struct mw_err *err_r)
{
	const struct policy_texts *below = p->below != NULL ? &p->below->texts : &p->texts;
	struct policy_texts *t = &p->texts;
	enum mw_rc rc = compile_line(p, "log_templ", &t->log_line, below->log_line, err_r);

	t->line_octets = (size_t)mw_conf_int(p->conf, "logline_maxlen");
	t->tests = (size_t)mw_conf_int(p->conf, "macro_tests_sanity_limit");
	if (rc == MW_OK)
		rc = compile_line(p, "log_recip_templ", &t->log_rcpt, below->log_rcpt, err_r);
	return rc == MW_OK ? compile_reasons(p, err_r) : rc;
}

void policy_texts_fini(struct policy *p)
{
	template_unref(&p->texts.log_line);
	template_unref(&p->texts.log_rcpt);
	for (unsigned i = 0; i < CCAT_SLOTS; i++)
		template_unref(&p->texts.reasons[i]);
}
