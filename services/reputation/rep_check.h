/* The jobs `reputation` and `learn`: from orders to the store, from its answer to findings. One
 * store serves both. */
#ifndef REP_CHECK_H
#define REP_CHECK_H

#include "worker.h"

#define REP_CHECKS 2
extern const struct mw_check rep_checks[REP_CHECKS];

#endif
