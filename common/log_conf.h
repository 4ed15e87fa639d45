/* What the settings say about the log: of the process, or in a policy bank's view. */
#ifndef MW_LOG_CONF_H
#define MW_LOG_CONF_H

#include "conf.h"
#include "log.h"

/* MW_ERR_CONF: a facility or a name that syslog does not have. */
enum mw_rc mw_log_voice_of(
	const struct mw_conf *conf, struct mw_log_voice *voice_r, struct mw_err *err_r);

#endif
