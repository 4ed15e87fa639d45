/* The settings of kind scan, read once per load of the settings file. */
#ifndef SCAN_SCAN_CONF_H
#define SCAN_SCAN_CONF_H

#include "cage/proto.h"
#include "conf.h"

struct scan_settings {
	struct scan_conf cage; /* what the holder and its cages get */
	uint64_t cores;
	uint64_t scan_timeout_ms, cage_grace_ms, engine_timeout_ms, check_interval_ms;
	char program[SCAN_PATH_MAX]; /* mailweir-cage */
};

/* err_r names the setting; also when Landlock is missing and sandbox is strict. */
enum mw_rc scan_settings_read(
	struct scan_settings *s_r, const struct mw_conf *conf, struct mw_err *err_r);

#endif
