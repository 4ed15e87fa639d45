#include "log_conf.h"

#include "log_syslog.h"

enum mw_rc mw_log_voice_of(
	const struct mw_conf *conf, struct mw_log_voice *voice_r, struct mw_err *err_r)
{
	const char *facility = mw_conf_text(conf, "syslog_facility"),
		   *ident = mw_conf_text(conf, "syslog_ident");
	struct mw_log_voice v = { .level = (int)mw_conf_int(conf, "log_level"),
		.facility = mw_syslog_facility(facility) };

	if (v.facility < 0)
		return mw_fail(err_r, MW_ERR_CONF,
			"syslog_facility = %s: expected one of user, mail, daemon, auth, syslog, "
			"lpr, "
			"news, uucp, cron, authpriv, ftp, local0 to local7",
			mw_quote(facility));
	if (ident != NULL && !mw_syslog_is_ident(ident))
		return mw_fail(err_r, MW_ERR_CONF,
			"syslog_ident = %s: expected 1 to %d letters, digits and ._-/@+",
			mw_quote(ident), MW_LOG_IDENT_MAX - 1);
	if (ident != NULL)
		mw_strlcpy(v.ident, ident, sizeof(v.ident));
	*voice_r = v;
	return MW_OK;
}
