#include "settings_check.h"

#include "banner.h"
#include "log_conf.h"
#include "quarantine_sweep.h"
#include "signed_fields.h"

#define CHECKS 5

static enum mw_rc check_log(const struct mw_conf *view, struct mw_err *err_r)
{
	struct mw_log_voice voice;

	return mw_log_voice_of(view, &voice, err_r);
}

static enum mw_rc check_banner(const struct mw_conf *view, const char *name, struct mw_err *err_r)
{
	const char *host = mw_conf_text(view, "localhost_name");
	struct mw_banner_words words = {
		.helo_name = host != NULL ? host : "", .myhostname = "", .protocol = "ESMTP"
	};
	char banner[MW_BANNER_MAX];

	return mw_banner_fill(name, mw_conf_text(view, name), &words, banner, err_r);
}

static enum mw_rc check_greeting(const struct mw_conf *view, struct mw_err *err_r)
{
	return check_banner(view, "smtpd_greeting_banner", err_r);
}

static enum mw_rc check_goodbye(const struct mw_conf *view, struct mw_err *err_r)
{
	return check_banner(view, "smtpd_quit_banner", err_r);
}

static enum mw_rc check_signed(const struct mw_conf *view, struct mw_err *err_r)
{
	struct mw_pack names;
	enum mw_rc rc =
		mw_signed_fields_pack(mw_conf_val(view, "signed_header_fields"), &names, err_r);

	if (rc == MW_OK)
		mw_pack_fini(&names);
	return rc;
}

static enum mw_rc check_retention(const struct mw_conf *view, struct mw_err *err_r)
{
	struct mw_qretention retention;

	return mw_qretention_from(view, &retention, err_r);
}

/* What the base has wrong is not told again of its banks. */
static size_t check_view(const struct mw_conf *view, const char *bank, const bool *told,
	bool *wrong_r, struct mw_text *errors)
{
	static enum mw_rc (*const checks[CHECKS])(const struct mw_conf *, struct mw_err *) = {
		check_log,
		check_greeting,
		check_goodbye,
		check_signed,
		check_retention,
	};
	size_t wrong = 0;

	for (size_t i = 0; i < CHECKS; i++) {
		struct mw_err err = { "" };

		wrong_r[i] = checks[i](view, &err) != MW_OK;
		if (!wrong_r[i] || (told != NULL && told[i]))
			continue;
		mw_text_addf(errors, "%s%s%s%s\n", bank != NULL ? "policy bank " : "",
			bank != NULL ? bank : "", bank != NULL ? ": " : "", err.text);
		wrong++;
	}
	return wrong;
}

size_t mw_settings_check(const struct mw_conf *conf, struct mw_text *errors)
{
	const struct mw_val *banks = mw_conf_val(conf, "policy_bank");
	bool base[CHECKS], own[CHECKS];
	size_t wrong = check_view(conf, NULL, NULL, base, errors);

	for (size_t i = 0; i < banks->count; i++)
		wrong += check_view(
			mw_conf_bank(conf, banks->keys[i]), banks->keys[i], base, own, errors);
	return wrong;
}
