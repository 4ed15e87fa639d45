/*
 * Regular expressions (PCRE2) for octets from outside: compiled once to machine code, matched under
 * limits, so that neither a pattern nor an address can burn CPU. The only file that knows PCRE2.
 *
 * A pattern holds the memory of its matches: it is for one thread at a time.
 */
#ifndef MW_PATTERN_H
#define MW_PATTERN_H

#include "base.h"

#define MW_PATTERN_MAX 8192	     /* octets of a pattern */
#define MW_PATTERN_CAPTURES_MAX 99   /* capture groups of a pattern */
#define MW_PATTERN_BACKTRACKS 100000 /* steps back of one match; some milliseconds of CPU */
#define MW_PATTERN_HEAP_KIB 2048     /* memory of one match without machine code */

struct mw_pattern;

/*
 * Case counts unless the pattern says (?i). A pattern with octets above 0x7f is UTF-8, and so is
 * then what it is matched against (octets that are none match nothing). err_r says what is wrong
 * and where.
 */
enum mw_rc mw_pattern_new(const char *text, struct mw_pattern **pattern_r, struct mw_err *err_r);
void mw_pattern_destroy(struct mw_pattern **pattern_p);
const char *mw_pattern_text(const struct mw_pattern *p);

/* MW_OK: it matches, anywhere in the subject. MW_ERR_GONE: it does not. MW_ERR_LIMIT: nobody knows,
 * a limit was met. Nothing is allocated, but for the heap that a match without JIT may need. */
enum mw_rc mw_pattern_match(struct mw_pattern *p, struct mw_octets subject);
/* What the n-th group of the last match caught; empty when there is none. 0: all that matched. */
unsigned mw_pattern_captures(const struct mw_pattern *p); /* how many groups it has */
struct mw_octets mw_pattern_capture(
	const struct mw_pattern *p, struct mw_octets subject, unsigned n);

#endif
