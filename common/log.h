/*
 * One event, one line: mw_log(MW_INFO, "event_name", "key=%s ...", ...).
 *
 * The event name is a stable word that people grep for. Ids come first (session=, job=, log_id=),
 * keys carry units (_ms, _bytes). Text from outside goes through mw_quote(). Credentials and bodies
 * never go in. Lines go to stderr as "TIME SERVICE[PID] LEVEL event key=value...", or to syslog
 * (do_syslog) as "IDENT[PID]: LEVEL event key=value..."; errno is kept; a line that is not taken at
 * once is dropped and counted, never waited for. While no syslog is there its lines go to stderr.
 */
#ifndef MW_LOG_H
#define MW_LOG_H

#include "base.h"

/* Behind each the least log_level that shows it, and its priority in syslog. */
enum mw_level {
	MW_CRIT,   /* -3, CRIT: the process cannot go on */
	MW_ERROR,  /* -2, ERR: ours, somebody must look */
	MW_WARN,   /* -1, WARNING: a peer's fault, or something the admin should change */
	MW_INFO,   /* 0, NOTICE: someone may want it tomorrow */
	MW_DETAIL, /* 2, INFO: where a mail's time went */
	MW_DEBUG,  /* 3, DEBUG: only when asked for */
	MW_LEVEL_COUNT
};

#define MW_LOG_IDENT_MAX 49
#define MW_LOG_LEVEL_OF_ALL (-100)

/* How lines about one thing, a mail, are said where that is not as all others are: by its policy.
 */
struct mw_log_voice {
	int level;		      /* log_level, -3 to 5; MW_LOG_LEVEL_OF_ALL: the process's */
	int facility;		      /* as syslog(3) counts them, LOG_MAIL; 0: the process's */
	char ident[MW_LOG_IDENT_MAX]; /* in syslog; "": the process's */
};

/* Name of the program in every line; lines above `most` are left out. Call once at start. */
void mw_log_open(const char *service, enum mw_level most);
void mw_log_level(enum mw_level most);
bool mw_log_wants(enum mw_level level);
void mw_log(enum mw_level level, const char *event, const char *fmt, ...) MW_PRINTF(3, 4);
/* The same with a voice; NULL: the process's. */
void mw_log_as(const struct mw_log_voice *voice, enum mw_level level, const char *event,
	const char *fmt, ...) MW_PRINTF(4, 5);
/*
 * A line for other people's eyes: "(ID) text" without level and event, as amavisd writes them, in
 * the level's priority; at level MW_WARN and above with its mark, (!) or (!!), in front. In syslog
 * a line of more than `most` octets ends with "..." and goes on, "(ID) ..." in front, on up to
 * MW_LOG_PIECES_MAX lines; on stderr "SERVICE[PID]: " stands before it. Control characters become
 * \xHH: text should hold none.
 */
#define MW_LOG_PIECES_MAX 64
#define MW_LOG_MOST_MAX 8192 /* of `most` */
void mw_log_line_as(const struct mw_log_voice *voice, enum mw_level level, const char *id,
	struct mw_octets text, size_t most);
bool mw_log_voice_wants(const struct mw_log_voice *voice, enum mw_level level);
/* Between the two, lines of this thread for stderr are gathered, and written with one call: a mail
 * has several at its end. They do not nest. */
void mw_log_hold(void);
void mw_log_release(void);
/*
 * From now on: the process's own voice, and the path of syslog's socket, NULL: stderr. Other
 * threads may be in the middle of a line. False: no socket can be had, and stderr it is.
 */
bool mw_log_configure(const struct mw_log_voice *voice, const char *syslog_path);
/* Lines dropped because stderr or syslog was full. */
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
