/* What the two halves of the dispatcher share: dispatch.c (jobs) and workers.c (workers). */
#ifndef SMTP_DISPATCH_PRIV_H
#define SMTP_DISPATCH_PRIV_H

#include "dispatch.h"

#define IDENTITY_MAX 255 /* octets of a ZeroMQ routing id */

struct dispatch_worker;

struct dispatch_job {
	struct dispatch_job *next,
		**prev_p; /* in a FIFO, in a worker's list, or in the list of those that end soon */
	struct dispatch_job *hash_next;
	uint64_t id;
	enum dispatch_kind kind;
	uint32_t attempt;
	unsigned cage_deaths, worker_deaths, timeouts;
	uint64_t deadline_ms, attempt_until_ms;
	uint64_t submitted_us, sent_us;
	struct dispatch_worker *worker; /* whose it is, NULL: waiting */
	char avoid[MW_NAME_MAX];	/* who had the attempt before; "": the first */
	const struct mw_job *what;
	const struct mw_log_voice *voice; /* of lines about it; NULL: as all others */
	struct dispatch_part parts[MW_JOB_PARTS_MAX];
	size_t part_count;
	/* NULL: a ghost. Cancelled, or taken away for time, it only keeps its worker's slot: until
	 * the verdict, the worker's death or attempt_until_ms. The job itself may wait, or be with
	 * another worker, under the same id. */
	void (*done)(void *arg, const struct dispatch_result *result);
	void *arg;
};

struct job_list {
	struct dispatch_job *first, **last_p;
	size_t count;
};

struct dispatch_worker {
	struct dispatch_worker *next;
	struct dispatch *d;
	unsigned char identity[IDENTITY_MAX]; /* of its DEALER at our ROUTER */
	size_t identity_n;
	struct mw_hello hello;
	char address[MW_ENDPOINT_MAX]; /* where its PUSH is connected */
	void *push, *monitor;
	struct mw_zwatch *push_watch, *monitor_watch;
	struct {
		uint32_t slots, busy;
	} kinds[JOB_KINDS];
	struct job_list jobs;
	uint64_t seen_ms, since_ms, done;
	uint32_t load_permille;
	char engine[96];
	struct mw_down down;
	uint64_t blocked_ms;
	bool blocked; /* the PUSH took no more since blocked_ms: wait for its writable */
	bool reached; /* it took a job once */
	bool unreachable_said;
	bool draining; /* it said bye */
	bool dead;     /* to be freed at the end of this turn */
};

#define JOB_BUCKETS 4096

struct dispatch {
	struct mw_zctx *z;
	struct mw_loop *loop;
	struct mw_publisher *pub;
	uint64_t incarnation;
	void *router;
	struct mw_zwatch *router_watch;
	struct mw_timer *tick, *soon;
	uint64_t ticked_ms;
	struct dispatch_worker *workers;
	size_t worker_count;
	unsigned max_workers, most_workers; /* now; what the ZeroMQ context has sockets for */
	unsigned monitor_serial;
	struct job_list waiting[JOB_KINDS];
	struct dispatch_job *buckets[JOB_BUCKETS];
	uint32_t next_id;
	size_t queue_limit;
	uint64_t time_limit_ms[JOB_KINDS];
	struct dispatch_stats stats;
	bool full_said;
};

/* dispatch.c */
void job_list_init(struct job_list *l);
void dispatch_run(
	struct dispatch *d, enum dispatch_kind kind); /* give waiting jobs to free workers */
void dispatch_run_all(struct dispatch *d);
void dispatch_give_back(struct dispatch *d, struct dispatch_worker *w); /* a dead worker's jobs */
struct dispatch_job *dispatch_find(struct dispatch *d, uint64_t id);
void dispatch_verdict(struct dispatch *d, struct dispatch_worker *w, const struct mw_verdict *v);

/* workers.c */
enum mw_rc workers_open(struct dispatch *d, const char *endpoint, struct mw_err *err_r);
void workers_close(struct dispatch *d);
void workers_tick(struct dispatch *d, uint64_t now_ms);
/* We did nothing for so long: what the workers sent meanwhile is not read yet, so their silence was
 * ours. */
void workers_excuse(struct dispatch *d, uint64_t gap_ms, uint64_t now_ms);
/* Send one job; MW_OK, MW_AGAIN (no room: w is blocked; or it broke: w is dead), or no memory for
 * the header. */
enum mw_rc worker_send(struct dispatch_worker *w, struct dispatch_job *job, uint64_t now_ms);
/* A worker that said bye and holds nothing any more is told so. */
void worker_drained(struct dispatch_worker *w);

#endif
