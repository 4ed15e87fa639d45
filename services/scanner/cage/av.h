/*
 * The adapter to libclamav: the only file that includes <clamav.h>.
 *
 * libclamav says CLEAN when it ran out of something, so a scan is AV_CLEAN only when the return
 * code is CL_CLEAN, no message of level WARN or above came, no engine limit was exceeded, and the
 * system refused nothing (scarcity.h). Everything else is AV_LIMIT or AV_FAILED.
 *
 * Its cache of clean files is off: it is keyed by MD5, which can be forged, and would remember a
 * false CLEAN.
 */
#ifndef SCAN_AV_H
#define SCAN_AV_H

#include "base.h"

#define AV_NAME_MAX 128 /* octets of a virus name with the NUL; longer ones are cut */
#define AV_WHY_MAX 120
#define AV_VIRUSES_MAX 4 /* names kept of one scan */

struct av_conf {
	const char *database;	/* folder; missing or empty: the project's own signatures */
	const char *temp_dir;	/* for loading; a cage sets its own by av_temp_dir */
	uint64_t max_file;	/* octets of one file that are scanned */
	uint64_t max_scan;	/* octets in all that one scan may unpack */
	uint64_t max_recursion; /* levels inside libclamav */
	uint64_t max_files;	/* files inside libclamav */
};

enum av_end {
	AV_CLEAN,
	AV_VIRUS,  /* names are true, whatever else happened */
	AV_LIMIT,  /* not looked into whole; why says what libclamav said */
	AV_TIME,   /* its time was up */
	AV_FAILED, /* the engine could not work; why is a word or its message */
};

struct av_result {
	enum av_end end;
	bool whole;	   /* false: beside a virus something was not looked into */
	uint64_t unpacked; /* octets that came out of the ones given and were scanned likewise */
	bool worn; /* the engine met want of memory, files or room: do not use this process again */
	unsigned viruses;
	char names[AV_VIRUSES_MAX][AV_NAME_MAX];
	char why[AV_WHY_MAX]; /* printable ASCII */
};

struct av;
/* Load the signatures and try them on EICAR; err_r names the folder and libclamav's reason. */
enum mw_rc av_open(struct av **av_r, const struct av_conf *conf, struct mw_err *err_r);
void av_close(struct av **av_p);
/* Where this process unpacks; the folder must exist. */
enum mw_rc av_temp_dir(struct av *av, const char *path);

/* How much the scans that follow may unpack each, beyond av_conf's own limits: octets in all and of
 * one file, files. What is given itself is always scanned. */
struct av_room {
	uint64_t octets, file, files;
};
void av_allow(struct av *av, const struct av_room *room);

/*
 * Scan octets from memory. mail: let libclamav's own mail parser at them, too (slow: it writes
 * every part to a file). quota: octets it may write to its folder. Never fails: the result says how
 * it went.
 */
void av_scan(struct av *av, struct mw_octets octets, bool mail, uint64_t quota, uint64_t ms_left,
	struct av_result *r);

const char *av_engine(const struct av *av); /* "ClamAV 1.4.6/27500 2025-11-20" */
uint64_t av_signatures(const struct av *av);
bool av_knows_eicar(const struct av *av); /* it found the test file when it was loaded */
bool av_is_project(const struct av *av);  /* the project's own signatures: a test database */

/* The project's signature file, embedded; data/eicar.ndb is the same. */
struct mw_octets av_project_signatures(void);

#endif
