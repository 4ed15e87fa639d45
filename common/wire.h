/*
 * The only place that knows the bytes: wire.c has cursor and packer, frames.c the fields of each
 * frame. Grammar: docs/wire.md.
 *
 * Every frame is one msgpack array: version, type, then fields in a fixed order, appended and never
 * reordered. A newer peer's extra fields are skipped; missing or ill-typed ones and left-over
 * octets refuse the frame. Frames are read through a bounded cursor that allocates nothing: what is
 * decoded borrows from the frame.
 */
#ifndef MW_WIRE_H
#define MW_WIRE_H

#include "base.h"
#include "down.h"

#define MW_WIRE_VERSION 1
#define MW_NAME_MAX 32		    /* kind, worker, service names: [a-z0-9_.-]+ and the NUL */
#define MW_SPAM_REPORT_MAX 8192	    /* octets of a spam check's report ... */
#define MW_SPAM_REPORT_LINE_MAX 240 /* ... and of one of its lines, without its newline */
#define MW_REASON_MAX                                                                              \
	160 /* why a verdict is not MW_DONE; printable ASCII, may end up in an SMTP reply */
#define MW_ENDPOINT_MAX 256 /* a ZeroMQ endpoint */
#define MW_KINDS_MAX 4	    /* kinds of job one worker process does */
#define MW_HELD_MAX 256	    /* jobs named in one alive */
#define MW_CONTROL_FRAME_MAX (64 * 1024)
#define MW_VERDICT_FRAME_MAX (1024 * 1024)
#define MW_JOB_HEADER_MAX (1024 * 1024)
#define MW_RCPTS_MAX 2000 /* recipients in one job; smtpd_recipient_limit is bounded by it */
#define MW_JOB_PARTS_MAX                                                                           \
	4 /* octet frames after a job's header: their concatenation is the message */
#define MW_KEY_TEXT_MAX 41 /* Z85 of a CURVE key and the NUL */

/* ------------------------------------------------------------------ reading: a bounded cursor over
 * msgpack */

/*
 * Each mw_cur_* returns false and leaves the cursor failed when the next item is not of that shape;
 * a failed cursor refuses everything after, so a chain of && needs one test at its end.
 */
struct mw_cur {
	const unsigned char *p, *end;
	bool failed;
};

struct mw_cur mw_cur_of(const void *p, size_t n);
bool mw_cur_array(struct mw_cur *c, size_t *items_r);
bool mw_cur_map(struct mw_cur *c, size_t *pairs_r);
bool mw_cur_uint(struct mw_cur *c, uint64_t most, uint64_t *v_r);
bool mw_cur_int(struct mw_cur *c, int64_t *v_r);
bool mw_cur_bool(struct mw_cur *c, bool *v_r);
/* A msgpack str or bin, borrowed. */
bool mw_cur_octets(struct mw_cur *c, size_t most, struct mw_octets *v_r);
/* Printable ASCII only, copied and terminated; refused when it does not fit. */
bool mw_cur_text(struct mw_cur *c, char *buf, size_t size);
/* Any one value, whole, borrowed as its raw msgpack octets; nesting at most 16 deep. */
bool mw_cur_raw(struct mw_cur *c, struct mw_octets *v_r);
/* The same, but it must be a map (findings, orders). */
bool mw_cur_raw_map(struct mw_cur *c, struct mw_octets *v_r);
/* Skip that many values of any shape. */
bool mw_cur_skip(struct mw_cur *c, size_t values);
/* True when nothing failed and no octet is left. */
bool mw_cur_end(const struct mw_cur *c);
/* Next map key as borrowed octets; then read or skip its value. */
bool mw_cur_key(struct mw_cur *c, struct mw_octets *key_r);
bool mw_key_is(struct mw_octets key, const char *name);

/* Look name up in a raw msgpack map (findings, orders): *value_r then points at its value. False:
 * not there. */
bool mw_map_find(struct mw_octets map, const char *name, struct mw_cur *value_r);
/* The common shapes of that; the default when absent or ill-typed. */
int64_t mw_map_int(struct mw_octets map, const char *name, int64_t dflt);
bool mw_map_bool(struct mw_octets map, const char *name, bool dflt);
/* Borrowed; .p NULL when absent. */
struct mw_octets mw_map_octets(struct mw_octets map, const char *name);

/* ------------------------------------------------------------------ writing */

/* A growing buffer that msgpack-c packs into. failed is sticky: check once at the end. */
struct mw_pack {
	unsigned char *p;
	size_t n, cap;
	bool failed; /* memory ran out */
};

void mw_pack_init(struct mw_pack *b);
void mw_pack_fini(struct mw_pack *b);
void mw_pack_array(struct mw_pack *b, size_t items);
void mw_pack_map(struct mw_pack *b, size_t pairs);
void mw_pack_uint(struct mw_pack *b, uint64_t v);
void mw_pack_int(struct mw_pack *b, int64_t v);
void mw_pack_bool(struct mw_pack *b, bool v);
void mw_pack_nil(struct mw_pack *b);
void mw_pack_text(struct mw_pack *b, const char *s); /* NULL packs as "" */
void mw_pack_octets(struct mw_pack *b, struct mw_octets o);
/* What is no text, for readers that tell them apart. */
void mw_pack_bin(struct mw_pack *b, struct mw_octets o);
/* Append one already packed value. */
void mw_pack_raw(struct mw_pack *b, struct mw_octets value);
/* Map pairs in one call. */
void mw_pack_kv_text(struct mw_pack *b, const char *key, const char *s);
void mw_pack_kv_octets(struct mw_pack *b, const char *key, struct mw_octets o);
void mw_pack_kv_int(struct mw_pack *b, const char *key, int64_t v);
void mw_pack_kv_bool(struct mw_pack *b, const char *key, bool v);

/* ------------------------------------------------------------------ frames */

enum mw_frame {
	MW_FRAME_NONE,	  /* not a frame of ours */
	MW_FRAME_HELLO,	  /* worker -> front */
	MW_FRAME_ALIVE,	  /* worker -> front, every 500 ms */
	MW_FRAME_VERDICT, /* worker -> front */
	MW_FRAME_BYE,	  /* worker -> front: no new jobs, please */
	MW_FRAME_WELCOME, /* front -> worker */
	MW_FRAME_WHO,	  /* front -> worker: say hello again */
	MW_FRAME_REFUSED, /* front -> worker: why */
	MW_FRAME_COUNT
};

/* Version and type of a control frame, without reading the rest. MW_FRAME_NONE when it is none. */
enum mw_frame mw_frame_type(struct mw_octets frame);

struct mw_kind_slots {
	char kind[MW_NAME_MAX]; /* scan, spam, auth, sign, reputation, learn */
	uint32_t slots;		/* jobs of this kind this front may have at the worker at once */
};

/* hello: a worker offers itself to one front. */
struct mw_hello {
	char service[MW_NAME_MAX]; /* scanner, dkim, reputation */
	char worker[MW_NAME_MAX];  /* unique per process: host-pid-random, for logs and the status
				      view */
	char endpoint[MW_ENDPOINT_MAX]; /* of its PULL, as bound; tcp: port joined to the
					   Peer-Address */
	char key[MW_KEY_TEXT_MAX];	/* CURVE public key of that PULL, Z85; "" without CURVE */
	char software[MW_NAME_MAX];	/* MW_VERSION */
	char engine[96]; /* engine and signature version; "" when the kind has none */
	uint64_t pid;
	size_t kind_count;
	struct mw_kind_slots kinds[MW_KINDS_MAX];
};

/* One job that a worker holds, as told in alive: a 40 s archive is not a hang, nor a hang work. */
struct mw_held {
	uint64_t job;
	uint32_t attempt;
	char phase[MW_NAME_MAX];
	uint32_t age_ms;
};

struct mw_alive {
	uint64_t incarnation;	/* of the front, from its welcome */
	uint64_t done;		/* jobs finished since start, all fronts */
	uint32_t load_permille; /* of one core, since the last alive */
	char engine[96];
	size_t kind_count;
	struct mw_kind_slots kinds[MW_KINDS_MAX]; /* what this front may use from now on */
	size_t held_count;
	struct mw_held held[MW_HELD_MAX];
	struct mw_down down; /* of what the worker's checks depend on */
};

struct mw_welcome {
	uint64_t incarnation;
	char software[MW_NAME_MAX];
};

/*
 * Verdict: what one worker measured on one message. It never says what to do about it: that is
 * smtp-front's, by policy.
 */
enum mw_status {
	MW_DONE,   /* the check ran to its end: the findings are whole */
	MW_LIMIT,  /* a limit cut it short: the findings are true, not whole */
	MW_FAILED, /* it could not run: no findings, and the message is NOT clean */
	MW_STATUS_COUNT
};
const char *mw_status_name(enum mw_status status);

/* The reason of a verdict that tells the front that a cage died on this very job (poison counting).
 */
#define MW_REASON_CAGE_DIED "cage_died"

struct mw_verdict {
	uint64_t job;
	uint32_t attempt;
	enum mw_status status;
	char kind[MW_NAME_MAX];
	char reason[MW_REASON_MAX];
	uint64_t wall_us, cpu_us;  /* spent on this job by the worker (cages included) */
	struct mw_octets findings; /* a raw msgpack map, borrowed from the frame it was read from */
};

/* Encoders append to *b; *b->failed tells of no memory. Decoders: MW_OK, or MW_ERR_PROTO /
 * MW_ERR_LIMIT and *_r untouched. */
void mw_hello_encode(struct mw_pack *b, const struct mw_hello *v);
enum mw_rc mw_hello_decode(struct mw_octets frame, struct mw_hello *v_r);
void mw_alive_encode(struct mw_pack *b, const struct mw_alive *v);
enum mw_rc mw_alive_decode(struct mw_octets frame, struct mw_alive *v_r);
void mw_welcome_encode(struct mw_pack *b, const struct mw_welcome *v);
enum mw_rc mw_welcome_decode(struct mw_octets frame, struct mw_welcome *v_r);
void mw_verdict_encode(struct mw_pack *b, const struct mw_verdict *v);
enum mw_rc mw_verdict_decode(struct mw_octets frame, struct mw_verdict *v_r);
/* bye, who: nothing but the type. refused: one text. */
void mw_plain_encode(struct mw_pack *b, enum mw_frame type, const char *why);
enum mw_rc mw_plain_decode(struct mw_octets frame, char *why_r, size_t size);

/*
 * Job: [header frame][0 to 2 octet frames]. The frames' concatenation is the message, CRLF line
 * ends, no dot stuffing. `reputation` and `learn` jobs carry no octets; `sign` carries the edited
 * header and the body as two.
 */
struct mw_job {
	uint64_t job;
	uint32_t attempt; /* from 1 */
	char kind[MW_NAME_MAX];
	uint64_t deadline_ms; /* on the wire: what is left; after decoding: mw_mono_ms() clock */
	char log_id[MW_NAME_MAX];
	char mail_id[MW_NAME_MAX];
	uint64_t size; /* octets of the message, also when none are sent along */
	/* envelope and client, all borrowed from the header frame; printable except addresses
	 * (SMTPUTF8) */
	struct mw_octets sender; /* without <>; empty: null sender */
	struct mw_octets
		rcpts; /* raw msgpack array of strings: walk with mw_cur_of + mw_cur_array */
	struct mw_octets helo, client_ip, client_name, client_source, auth, tls;
	uint32_t client_port;
	struct mw_octets orders; /* raw msgpack map, by kind */
	/* set by the worker loop from the following frames */
	size_t part_count;
	struct mw_octets parts[MW_JOB_PARTS_MAX];
};

void mw_job_encode(struct mw_pack *b, const struct mw_job *v);
/* now_ms: mw_mono_ms() of the receiver, added to what is left. parts stay empty. */
enum mw_rc mw_job_decode(struct mw_octets frame, uint64_t now_ms, struct mw_job *v_r);
/* Only job, attempt and kind, whatever follows: who to answer about a header that was not
 * understood. */
enum mw_rc mw_job_name_decode(struct mw_octets frame, struct mw_job *v_r);

#endif
