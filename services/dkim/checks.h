/* The two kinds of job of this service; rows of main.c's table. Findings: docs/wire.md, "auth" and
 * "sign". */
#ifndef DKIMSVC_CHECKS_H
#define DKIMSVC_CHECKS_H

#include "worker.h"

extern const struct mw_check dkimsvc_auth_check;
extern const struct mw_check dkimsvc_sign_check;

#endif
