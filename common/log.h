/*
 * One event, one line: mw_log(MW_INFO, "event_name", "key=%s ...", ...).
 *
 * The event name is a stable word that people grep for. Ids come first (session=, job=, log_id=),
 * keys carry units (_ms, _bytes). Text from outside goes through mw_quote(). Credentials and bodies
 * never go in. Lines go to stderr as "TIME SERVICE[PID] LEVEL event key=value..."; errno is kept; a
 * line that stderr does not take at once is dropped and counted, never waited for.
 */
#ifndef MW_LOG_H
#define MW_LOG_H

#include "base.h"

enum mw_level {
	MW_ERROR, /* ours: somebody must look */
	MW_WARN,  /* a peer's fault, or something the admin should change */
	MW_INFO,  /* someone may want it tomorrow */
	MW_DEBUG, /* only when asked for */
	MW_LEVEL_COUNT
};

/* Name of the program in every line; lines above `most` are left out. Call once at start. */
void mw_log_open(const char *service, enum mw_level most);
void mw_log_level(enum mw_level most);
bool mw_log_wants(enum mw_level level);
void mw_log(enum mw_level level, const char *event, const char *fmt, ...) MW_PRINTF(3, 4);
/* Lines dropped because stderr was full. */
uint64_t mw_log_dropped(void);

#define MW_QUOTE_MAX 256
/*
 * Text from outside, made safe for one log line: in double quotes, everything that is not printable
 * ASCII, and
 * `"` and `\`, as \xHH; cut to what fits, with "..." at the cut. Returns buf.
 */
const char *mw_quote_octets(char *buf, size_t size, const void *p, size_t n);
/* The same in a compound literal that lives until the end of the caller's block. */
#define mw_quote(s) mw_quote_octets((char[MW_QUOTE_MAX]){ 0 }, MW_QUOTE_MAX, (s), strlen(s))

#endif
