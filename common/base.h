/* What every file of Mailweir shares: result codes, error texts, borrowed octets, clocks. */
#ifndef MW_BASE_H
#define MW_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MW_VERSION "0.1.0"

#define MW_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MW_BIT(n) (1u << (n))
#define MW_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Outcome of anything that can fail. Text for a person goes to struct mw_err. */
enum mw_rc {
	MW_OK = 0,
	MW_AGAIN,	     /* would block: come back when the loop says so */
	MW_ERR_NOMEM,	     /* memory ran out: for a message this is a 4xx */
	MW_ERR_PROTO,	     /* a peer broke the protocol */
	MW_ERR_LIMIT,	     /* a bound of ours was met */
	MW_ERR_IO,	     /* the system refused: disk, socket, descriptor */
	MW_ERR_CONF,	     /* a setting is wrong */
	MW_ERR_TIMEOUT,	     /* its time was up */
	MW_ERR_GONE,	     /* the peer is dead or was never there */
	MW_ERR_UNKNOWN_KIND, /* a job of a kind that this worker does not do */
	MW_RC_COUNT
};

/* "ok", "again", "no_memory" ...: a stable word for logs and verdict reasons. */
const char *mw_rc_name(enum mw_rc rc);

/* A sentence for a person, in a fixed buffer of the caller's. Never holds secrets. */
struct mw_err {
	char text[512];
};

/* printf into *err (which may be NULL) and return rc, so that a failing branch is one line. */
enum mw_rc mw_fail(struct mw_err *err, enum mw_rc rc, const char *fmt, ...) MW_PRINTF(3, 4);

/* Octets that belong to somebody else; never NUL-terminated by promise. */
struct mw_octets {
	const unsigned char *p;
	size_t n;
};

static inline struct mw_octets mw_octets_of(const void *p, size_t n)
{
	return (struct mw_octets){ (const unsigned char *)p, n };
}

static inline struct mw_octets mw_octets_of_text(const char *s)
{
	return mw_octets_of(s, s != NULL ? strlen(s) : 0);
}

/* Milliseconds of a clock that never jumps; for deadlines and ages. */
uint64_t mw_mono_ms(void);
/* The same in microseconds; for elapsed times. */
uint64_t mw_mono_us(void);
/* Wall clock, milliseconds since 1970; for records. */
uint64_t mw_wall_ms(void);
/* CPU time of this thread so far, microseconds. */
uint64_t mw_cpu_us(void);

/* Fill buf with n octets from the kernel's generator; ends the process if it has none. */
void mw_random(void *buf, size_t n);

/* strlcpy's semantics: always terminated, returns strlen(src). */
size_t mw_strlcpy(char *dst, const char *src, size_t size);
/* Copy n octets of src, cut at size - 1, terminated. True when all fitted. */
bool mw_strncpy(char *dst, size_t size, const void *src, size_t n);
/* ASCII case-insensitive, locale-free. */
bool mw_ieq(const char *a, const char *b);
bool mw_octets_ieq(struct mw_octets a, const char *b);
/* True when all n octets are printable ASCII (0x20..0x7e). */
bool mw_is_printable(const void *p, size_t n);

#endif
