/*
 * vsnprintf for the conversions that texts of ours are made of: %s %.*s %c %u %d with l, ll and z,
 * and %%, without flags and widths; a format with anything else goes to libc. A mail is some forty
 * small texts (replies, fields, log lines), and libc's took a tenth of all that it costs.
 */
#ifndef MW_FORMAT_H
#define MW_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

#include "base.h"

/* As vsnprintf: what it would take, cut at size - 1, NUL-terminated if size is not 0. */
int mw_vformat(char *buf, size_t size, const char *fmt, va_list args) MW_PRINTF(3, 0);
int mw_format(char *buf, size_t size, const char *fmt, ...) MW_PRINTF(3, 4);

#endif
