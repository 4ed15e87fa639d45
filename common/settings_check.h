/* What settings have to be beyond their types, whoever will use them: for `mailweir check-config`.
 */
#ifndef MW_SETTINGS_CHECK_H
#define MW_SETTINGS_CHECK_H

#include "conf.h"

/* A line in errors for each mistake, of the base and of every bank; returns how many. */
size_t mw_settings_check(const struct mw_conf *conf, struct mw_text *errors);

#endif
