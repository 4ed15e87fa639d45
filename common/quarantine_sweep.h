/*
 * What becomes of copies in time: those older than their category's retention go, and the oldest of
 * all while a quota is passed. Off the mail path, so many files a second and no more.
 */
#ifndef MW_QUARANTINE_SWEEP_H
#define MW_QUARANTINE_SWEEP_H

#include "conf.h"
#include "quarantine_index.h"

#define MW_QNEVER (-1) /* neither time nor a quota takes it */

struct mw_qretention {
	int64_t milli_days[MW_QCLASSES];      /* 0: no limit of time; MW_QNEVER */
	uint64_t quota_octets, quota_entries; /* 0: none */
};
/* The settings quarantine.*. MW_ERR_CONF: err_r names what is wrong. */
enum mw_rc mw_qretention_from(
	const struct mw_conf *conf, struct mw_qretention *r_r, struct mw_err *err_r);
/* Nothing would ever go. */
bool mw_qretention_is_idle(const struct mw_qretention *r);

struct mw_qsweep {
	struct mw_qindex *index;
	const char *root;
	const struct mw_qretention *retention;
	uint64_t now_ms;
	unsigned per_second;	  /* files taken away; 0: no limit */
	bool dry_run;		  /* count, take nothing */
	bool (*go_on)(void *arg); /* between two batches; false: stop here. NULL: never */
	void (*found)(void *arg, const struct mw_qentry *e, bool by_quota); /* NULL */
	void *arg;
	/* what came of it */
	uint64_t expired, over_quota, octets, failed;
	bool stopped;
};
enum mw_rc mw_qsweep_run(struct mw_qsweep *s, struct mw_err *err_r);

#endif
