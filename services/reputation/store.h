/*
 * Where reputation lives, seen from the checks: two questions, each answered by one call at the
 * server. Nothing here knows of Redis; redis_store.c is the implementation.
 */
#ifndef REP_STORE_H
#define REP_STORE_H

#include "conf.h"
#include "ip.h"
#include "loop.h"
#include "score.h"
#include "wire.h"

#define REP_IPS_MAX                                                                                \
	100 /* addresses of one message: a Received chain of 100 is refused as a loop              \
	     */
#define REP_REFERENCES_MAX 50  /* Message-IDs of one message that are looked up */
#define REP_MESSAGE_ID_MAX 998 /* octets: a header line, RFC 5322 section 2.1.1 */
#define REP_ADDRESS_MAX                                                                            \
	512 /* octets: 256 of a path (RFC 5321 section 4.5.3.1.3), and room for UTF-8 */
#define REP_PAIRS_MAX                                                                              \
	10000 /* correspondence keys looked up for one message: recipients times references */

/* What is asked about one message before it is judged. Texts are borrowed, addresses in their key
 * form (orders.h). */
struct rep_query {
	char mail_id[MW_NAME_MAX];
	int64_t time_ms; /* of reception, since 1970 */
	bool save;	 /* originating: keep mail_id if nobody has it */
	bool again;	 /* asked before: an equal mail_id with this time is ours */
	size_t ip_count;
	struct mw_ip ips[REP_IPS_MAX]; /* public and distinct */
	struct mw_octets sender;       /* empty: null sender, or no pen pals wanted */
	size_t rcpt_count;	       /* 0: no pen pals wanted */
	struct mw_octets *rcpts;
	uint32_t *rcpt_index; /* which recipient of the job each one is */
	size_t ref_count;
	struct mw_octets refs[REP_REFERENCES_MAX];
};

/* What is learned from one message when all is over. */
struct rep_lesson {
	char mail_id[MW_NAME_MAX];
	char log_id[MW_NAME_MAX];
	int64_t time_ms;
	char outcome; /* 's', 'h', 'b'; 0: counts only as a message */
	bool keep;    /* originating: rcpts are kept as correspondents; without any the mail_id is
			 forgotten */
	size_t ip_count;
	struct mw_ip ips[REP_IPS_MAX]; /* public and distinct, ignored networks left out */
	struct mw_octets sender, message_id;
	size_t rcpt_count;
	struct mw_octets *rcpts;
};

struct rep_ip_record {
	struct rep_counts counts;
	int64_t first_ms, last_ms, ttl_s;
};

enum rep_by { REP_BY_MID = 1, REP_BY_RID = 2, REP_BY_BOTH = 3 };

struct rep_penpal {
	uint32_t rcpt; /* index in the job */
	enum rep_by by;
	int64_t age_s;
	char mail_id[MW_NAME_MAX];
};

struct rep_answer {
	bool saved;
	bool cut;	 /* REP_PAIRS_MAX was met: there may be more pen pals */
	size_t ip_count; /* as asked, in that order */
	struct rep_ip_record ips[REP_IPS_MAX];
	size_t penpal_count; /* one for a recipient at most, in order of index */
	struct rep_penpal *penpals;
	uint64_t elapsed_us;
};

/*
 * failed: NULL, or a word (and a detail) of printable ASCII for the verdict's reason. answer: NULL
 * when failed and after a lesson; borrowed for the call.
 */
typedef void rep_done(void *arg, const char *failed, const struct rep_answer *answer);

struct rep_store;
struct rep_op;

/* Reads its settings. MW_ERR_CONF with a sentence when they make no sense. Connects in the
 * background. */
enum mw_rc rep_store_open(struct rep_store **store_r, struct mw_loop *loop,
	const struct mw_conf *conf, struct mw_err *err_r);
/* Settings anew: what is under way is asked again of the new server. On error nothing changes. */
enum mw_rc rep_store_reload(
	struct rep_store *store, const struct mw_conf *conf, struct mw_err *err_r);
/* done is not called any more for what is under way. */
void rep_store_close(struct rep_store **store_p);

/*
 * Ask; *q and what it borrows stay the caller's and must live until done is called or
 * rep_store_cancel returns. done is called exactly once, within the time budget (redis.timeout_ms,
 * or deadline_ms on mw_mono_ms's clock if sooner), perhaps before this returns; never after
 * rep_store_cancel. *op_r is what to cancel until then, and is written before done can be called.
 * MW_OK; or MW_ERR_NOMEM, and done is not called.
 */
enum mw_rc rep_store_query(struct rep_store *store, const struct rep_query *q, uint64_t deadline_ms,
	rep_done *done, void *arg, struct rep_op **op_r);
enum mw_rc rep_store_learn(struct rep_store *store, const struct rep_lesson *l,
	uint64_t deadline_ms, rep_done *done, void *arg, struct rep_op **op_r);
void rep_store_cancel(struct rep_store *store, struct rep_op **op_p);

/* It cannot be reached, and that was told. */
bool rep_store_is_down(const struct rep_store *store);
/* Server software and version, "redis 7.0.15"; "" while none is known. */
const char *rep_store_engine(const struct rep_store *store);

/*
 * Look at the server once, before anything else runs, for at most wait_ms: MW_ERR_CONF when it can
 * never serve (a cluster), MW_OK when it can, MW_ERR_GONE with a sentence when that cannot be told
 * now.
 */
enum mw_rc rep_store_probe(const struct mw_conf *conf, uint64_t wait_ms, struct mw_err *err_r);

#endif
