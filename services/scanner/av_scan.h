/*
 * The virus scanners beside each other: who is asked, how long, what they answered, and which of
 * them can be trusted. Answers come from clients (av_client.h), one a type.
 *
 * A verdict of any scanner of a list is enough; none is a failure (av_check.c). A scanner that
 * failed AVS_FAILURES_MAX times in a row, or did not find the EICAR test file, is down: it is not
 * asked for mails, so that nobody waits for a dead one, but given the test file every
 * scanner.av_retry_interval until it finds it. The others are given it every
 * scanner.self_test_interval.
 */
#ifndef SCAN_AV_SCAN_H
#define SCAN_AV_SCAN_H

#include "av_conf.h"
#include "cage/proto.h"
#include "down.h"
#include "loop.h"
#include "text.h"

#define AVS_FAILURES_MAX 3
#define AVS_VIRUS_MAX 128 /* octets of a name with the NUL; longer ones are cut */
#define AVS_WHY_MAX 120
#define AVS_FINDS_MAX 32

/* One thing to look at: the mail itself, or one of its leaves. All borrowed. */
struct avs_file {
	struct mw_octets path;
	struct mw_octets pieces[MW_JOB_PARTS_MAX]; /* their concatenation */
	unsigned piece_count;
	uint64_t octets;
};

enum avs_answer {
	AVS_CLEAN,
	AVS_INFECTED,
	AVS_SILENT,  /* found nothing, and never vouches */
	AVS_REFUSED, /* would not look at some file (its limits): as failed, but it is alive */
	AVS_FAILED,
	AVS_ANSWERS
};
const char *avs_answer_name(enum avs_answer answer);

struct avs_find {
	const char *scanner;
	char name[AVS_VIRUS_MAX]; /* printable ASCII */
	char part[SCAN_PATH_MAX]; /* UTF-8 */
};

struct avs_told {
	const char *scanner;
	enum avs_answer answer;
	char why[AVS_WHY_MAX]; /* printable ASCII */
	uint64_t us;
};

/* Octets of the file from `at` on, at most `most`, as far as they lie in one piece; empty at its
 * end. */
struct mw_octets avs_file_at(const struct avs_file *f, size_t at, size_t most);

/* What a list of scanners said of one mail. */
struct avs_result {
	unsigned told_count, find_count;
	struct avs_told told[AVS_ENTRIES_MAX];
	struct avs_find finds[AVS_FINDS_MAX];
};
/* One of them vouches for its verdict. */
bool avs_answered(const struct avs_result *r);

struct avs;
struct avs_ops {
	/* Give libclamav the test file; avs_builtin_tested() of the same a follows. */
	void (*test_builtin)(void *arg, struct avs *a);
	/* All of a have been tried once. */
	void (*ready)(void *arg, struct avs *a);
};
/* Reads the settings and tests every scanner. cages: program and folder of mailweir-cage. */
enum mw_rc avs_open(struct avs **a_r, struct mw_loop *loop, const struct mw_conf *conf,
	const struct avs_ops *ops, void *arg, struct mw_err *err_r);
/* Its owner has no use for it any more: it tests nobody, calls nobody back but for scans that are
 * at work, and ends with the last who holds it. */
void avs_close(struct avs **a_p);
struct avs *avs_hold(struct avs *a);
void avs_release(struct avs **a_p);
bool avs_ready(const struct avs *a);
/* The file that every scanner must find. */
struct mw_octets avs_test_file(void);

/* libclamav is in that list, and can be trusted; *listed_r: it is in it. */
bool avs_builtin(const struct avs *a, bool backup, bool *listed_r, const char **why_r);
void avs_builtin_tested(struct avs *a, bool found, const char *why);
/* Other signatures are at work; eicar: they found the test file when they were loaded. They are
 * tested through a cage soon. */
void avs_builtin_changed(struct avs *a, bool eicar);
/* What libclamav said of a mail, for the counters. */
void avs_builtin_told(struct avs *a, enum avs_answer answer, uint64_t us);
void avs_down(const struct avs *a, struct mw_down *down);
/* Each scanner's state and counters since the settings were read, for GET /metrics. */
void avs_metrics(const struct avs *a, struct mw_text *out);
/* There are others in that list. */
bool avs_others(const struct avs *a, bool backup);
bool avs_first_stops(const struct avs *a);
const char *avs_builtin_name(const struct avs *a);
/* Mails that may be at scanners at once, beyond those in cages. */
unsigned avs_slots(const struct avs *a);
/* "" or what is down, for the worker's engine text: "; clamd down". */
const char *avs_state(const struct avs *a);

/* One mail at all the others of a list. */
struct avs_scan;
/* files is borrowed until done or cancelled; done never comes before this returns. */
struct avs_scan *avs_scan_start(struct avs *a, bool backup, const struct avs_file *files,
	size_t count, uint64_t until_ms, void (*done)(void *arg, const struct avs_result *r),
	void *arg);
void avs_scan_cancel(struct avs_scan **s_p);

#endif
