/*
 * Test builds only (make triggers): a mail with the field `X-Mailweir-Test-Cage: WORD` makes
 * the cage that scans it crash, hang, or try what a cage must not be able to do. In every other
 * build this is nothing.
 */
#ifndef SCAN_TRIGGERS_H
#define SCAN_TRIGGERS_H

#include "base.h"

#ifdef MW_TEST_TRIGGERS
void triggers_fire(struct mw_octets message);
#else
static inline void triggers_fire(struct mw_octets message)
{
	(void)message;
}
#endif

#endif
