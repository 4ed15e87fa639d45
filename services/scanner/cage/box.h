/*
 * The cage itself: a folder of its own, limits, and what it gives up before it sees the first octet
 * of a mail.
 */
#ifndef SCAN_BOX_H
#define SCAN_BOX_H

#include "proto.h"

struct box {
	char path[SCAN_PATH_MAX]; /* of its folder */
	int dir;		  /* opened, for looking whether it is empty */
	int sock;
	uint64_t cpu_limit_s; /* in force; 0: none yet */
};

/* Make its folder below root (mode 0700). By the holder, which also removes it. */
enum mw_rc box_make_folder(
	char path_r[SCAN_PATH_MAX], const char *root, uint64_t serial, struct mw_err *err);
/* Octets in a folder and all below, with something for each name; UINT64_MAX: there is something
 * that cannot be looked into. By the holder, while the cage works. */
uint64_t box_usage(const char *path);
/* Octets of files without a name that a process has open on the folder's file system, as far as
 * that can be seen; 0 while less than `least` is in use there. */
uint64_t box_open_usage(int pid, const char *path, uint64_t least);
/* Remove everything in the folder; with itself also the folder, whatever its rights and depth. */
void box_empty(const char *path, bool itself);

/* In the cage: open the folder, close what is not needed, set limits, drop rights. parent: the
 * holder's pid. */
enum mw_rc box_enter(struct box *box, const struct scan_conf *conf, int parent, struct mw_err *err);
/* CPU time of this process so far. It is a system call: once a mail is enough. */
uint64_t box_cpu_us(void);
/* Allow that many CPU seconds, and up to one more, beyond used_us. Costs nothing while the limit
 * that is in force is the very same. */
void box_cpu_limit(struct box *box, uint64_t used_us, uint64_t seconds);
/* After each mail: true when the folder is empty again, emptied if it was not. */
bool box_clean(struct box *box);

#endif
