/* mailweir-cage, started in one of its roles. */
#ifndef SCAN_CAGE_START_H
#define SCAN_CAGE_START_H

#include <sys/types.h>

/* role: NULL for the engine holder, or "program". It finds control at SCAN_CONTROL_FD. 0 or an
 * errno. */
int cage_start(pid_t *pid_r, const char *program, const char *role, int control);

#endif
