/*
 * The folder that libclamav makes for each scan and removes behind it, though it puts nothing into
 * it for nine mails of ten: seven system calls a scan, each along a path that Landlock judges, as
 * dear as a third of the scan. The folder is made when the first file or folder is made in it; if
 * that never comes, it never was.
 *
 * Like scarcity.c, which calls later_make, this stands between libclamav and libc: chmod, opendir
 * and rmdir are defined here. What creates by another way than those that scarcity.c knows is
 * refused by the system for want of the folder: libclamav says so, and the scan is not whole.
 */
#ifndef SCAN_LATER_H
#define SCAN_LATER_H

#include <sys/types.h>

#include "base.h"

/* A scan begins: the next folder that is made is its own. */
void later_begin(void);
/* It is over: what was put off is forgotten. */
void later_end(void);

/* For mkdir: true when it is the scan's own folder, which is put off. */
bool later_put_off(const char *path, mode_t mode);
/* Something may be created: what was put off is made. */
void later_make(void);

#endif
