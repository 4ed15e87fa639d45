/*
 * SpamAssassin's spamd protocol (SPAMC/1.5, spamd/PROTOCOL in its source), as octets in memory: the
 * request, and a reader of the reply that takes it piece by piece. REPORT is asked for, because its
 * table has the score of each rule.
 *
 * The report quotes the mail (a preview of its text): what an attacker writes there must not be
 * read as rules. Rules are taken only from behind the last line of dashes, which the preview cannot
 * come after. The same lines are the report that people are shown; the preview is not.
 */
#ifndef SCAN_SPAMD_H
#define SCAN_SPAMD_H

#include "base.h"
#include "wire.h"

#define SPAMD_REPLY_MAX (256 * 1024) /* octets of one reply; more: refused */
#define SPAMD_TESTS_MAX 256	     /* rules of one mail that are told */
#define SPAMD_TEST_NAME_MAX 64
#define SPAMD_HEADER_MAX (64 * 1024) /* octets of a truncated mail's header that are given */
#define SPAMD_TRUNCATE_MIN 5120	     /* less than this beyond the limit is not cut off */

struct spamd_test {
	char name[SPAMD_TEST_NAME_MAX];
	int32_t milli;
};

struct spamd_result {
	int32_t score_milli, required_milli;
	bool spam;
	char version[16]; /* of the protocol, as "1.1" */
	size_t test_count;
	struct spamd_test tests[SPAMD_TESTS_MAX];
	/* What the table says, SpamAssassin's _SUMMARY_: lines of printable ASCII, each with its
	 * newline. What is none is written \x{C3}; lines and the whole are cut at the limits. */
	size_t report_n;
	char report[MW_SPAM_REPORT_MAX];
};

/* A reply that is coming in. */
struct spamd_reply {
	char *text; /* malloc'ed, NUL-terminated */
	size_t n, cap;
};
void spamd_reply_fini(struct spamd_reply *r);
/* Take more octets. 1: the reply is whole (its Content-length came); 0: more wanted; -1: refused.
 */
int spamd_reply_take(struct spamd_reply *r, const void *p, size_t n);
/*
 * Read it, when it is whole or the connection was closed. MW_OK; or MW_ERR_PROTO with why_r: what
 * spamd answered instead of a score, or what is wrong with it.
 */
enum mw_rc spamd_reply_read(
	const struct spamd_reply *r, struct spamd_result *result_r, struct mw_err *why_r);

/*
 * What of a message (one or two parts whose concatenation it is) the engine is given: all of it;
 * or, when it is larger than its limits by more than SPAMD_TRUNCATE_MIN, at most SPAMD_HEADER_MAX
 * octets of its header and body_limit octets of its body. body_limit 0: all. Pieces go to out
 * (borrowed), their number to *count_r. Returns true when it was cut.
 */
#define SPAMD_PIECES_MAX 4
bool spamd_cut(const struct mw_octets *parts, size_t count, uint64_t body_limit,
	struct mw_octets out[SPAMD_PIECES_MAX], size_t *count_r);
/* The request's head, with Content-length: total octets of what follows it. Returns its length. */
size_t spamd_request_head(char *buf, size_t size, uint64_t octets);

#endif
