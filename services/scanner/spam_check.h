/* Kind spam: SpamAssassin's spamd. Without scanner.spamd the kind has no slots. */
#ifndef SCAN_SPAM_CHECK_H
#define SCAN_SPAM_CHECK_H

#include "worker.h"

extern const struct mw_check spam_check;

#endif
