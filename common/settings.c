/* The one table of all settings, put together from the parts' own lists. */
#include "conf.h"
#include "signed_fields.h" /* its list is a default */

#define MW_SETTING(name, type, scope, dflt, least, most, unit, env, meaning)                       \
	{ name, type, scope, dflt, least, most, unit, env, meaning },

const struct mw_setting mw_settings[] = {
#include "settings/common.def"
#include "settings/front.def"
#include "settings/scanner.def"
#include "settings/dkim.def"
#include "settings/reputation.def"
#include "settings/logger.def"
#include "settings/snmp.def"
#include "settings/status.def"
};

const size_t mw_settings_count = MW_COUNT(mw_settings);
