/*
 * Events: what smtp-front tells the world, and how nobody misses a mail record.
 *
 * On the wire an event is [topic][header][payload]; header = [version, incarnation, sequence].
 * Topics:
 *
 *   mail    one record a message (record.h); numbered without gaps, kept for replay
 *   state   a snapshot every 500 ms while anybody listens: mails in flight, workers (mw_state)
 *   alert   poison, back-pressure, dependency down and up: [event name, text]; numbered with the
 *           mails, kept likewise
 *
 * A snapshot instead of an event per change costs a mail nothing and cannot be missed.
 *
 * The publisher keeps mail records for replay: events.replay_memory octets in memory, older ones in
 * an unlinked spool file up to events.replay_spool. Publishing never waits: a subscriber that is
 * too slow loses, sees the gap and asks.
 */
#ifndef MW_EVENTS_H
#define MW_EVENTS_H

#include "down.h"
#include "endpoint.h"
#include "loop.h"
#include "record.h"
#include "zsock.h"

/* ------------------------------------------------------------------ publisher: smtp-front */

struct mw_publisher;
/* Binds the events and replay doors. incarnation: the front's, the same as in its welcomes; never
 * 0. */
enum mw_rc mw_publisher_open(struct mw_publisher **pub_r, struct mw_zctx *z, struct mw_loop *loop,
	const struct mw_conf *conf, const struct mw_front_address *doors, uint64_t incarnation,
	struct mw_err *err_r);
void mw_publisher_close(struct mw_publisher **pub_p);
/* Publish a mail record (incarnation and sequence are filled in). Never waits, never fails the
 * mail. */
void mw_publish_mail(struct mw_publisher *pub, struct mw_record *r);
void mw_publish_alert(struct mw_publisher *pub, const char *event, const char *fmt, ...)
	MW_PRINTF(3, 4);
/*
 * An alert for each dependency of who that went down or came up between *before and now, which
 * *before becomes.
 */
void mw_publish_dependencies(struct mw_publisher *pub, const char *who, struct mw_down *before,
	const struct mw_down *now);
/* True while a subscriber of that topic is connected. */
bool mw_publisher_wanted(const struct mw_publisher *pub, const char *topic);
/* payload: an encoded struct mw_state. */
void mw_publish_state(struct mw_publisher *pub, const struct mw_pack *payload);
/* For the front's metrics. */
struct mw_publisher_stats {
	uint64_t newest, oldest; /* sequence numbers kept for replay; oldest > newest: none */
	uint64_t memory_octets;	 /* of the replay memory in use */
	uint64_t replayed;	 /* events sent again */
	uint64_t bad_requests;	 /* frames on the replay door that were refused */
	uint64_t not_sent; /* events that libzmq or memory did not take: subscribers ask for them */
};
void mw_publisher_stats(const struct mw_publisher *pub, struct mw_publisher_stats *stats_r);

/* ------------------------------------------------------------------ the state snapshot */

struct mw_state_task {
	char log_id[MW_NAME_MAX];
	uint64_t age_ms;
	char letter;	    /* amavisd's: m d = G D V S P r Q F . */
	char states[12];    /* letters seen so far, in order */
	uint64_t size;	    /* octets received so far */
	char client_ip[64]; /* original client */
	char detail[64];    /* checks waited for: "scan,auth" */
};

struct mw_state_worker {
	char service[MW_NAME_MAX], worker[MW_NAME_MAX], address[MW_ENDPOINT_MAX],
		software[MW_NAME_MAX], engine[96];
	uint64_t seen_ms_ago, since_ms, done;
	uint32_t load_permille;
	bool draining;
	size_t kind_count;
	struct {
		char kind[MW_NAME_MAX];
		uint32_t slots, busy;
	} kinds[MW_KINDS_MAX];
};

#define MW_STATE_TASKS_MAX 1000
#define MW_STATE_WORKERS_MAX 1000
struct mw_state {
	char host[256], front[MW_NAME_MAX], software[MW_NAME_MAX];
	uint64_t uptime_ms, sessions, in_flight, held_octets, mails_done;
	struct {
		char kind[MW_NAME_MAX];
		uint32_t waiting, most;
	} queues[8];
	size_t queue_count;
	size_t task_count; /* of in_flight, at most MW_STATE_TASKS_MAX are told */
	struct mw_state_task *tasks;
	size_t worker_count;
	struct mw_state_worker *workers;
};
#define MW_STATE_FRAME_MAX                                                                         \
	(1984u * 1024) /* octets of a snapshot: with both lists full it is about 1 MiB */
void mw_state_encode(struct mw_pack *b, const struct mw_state *s);
/* Allocates tasks and workers; mw_state_fini frees them. */
enum mw_rc mw_state_decode(struct mw_octets payload, struct mw_state *s_r);
void mw_state_fini(struct mw_state *s);

/* ------------------------------------------------------------------ subscriber: logger,
 * snmp-agent, status */

struct mw_subscriber_ops {
	/* A mail record; in order and once per publisher incarnation as long as the process lives.
	 * NULL: not wanted. */
	void (*mail)(void *arg, const struct mw_record *r);
	void (*alert)(void *arg, uint64_t incarnation, uint64_t sequence, const char *event,
		struct mw_octets text);
	/* Latest state of the front that listens at that endpoint. */
	void (*state)(void *arg, const char *front_endpoint, const struct mw_state *s);
	/* Records from..to (inclusive) of that incarnation are lost for good: say so. */
	void (*gap)(void *arg, uint64_t incarnation, uint64_t from, uint64_t to);
	/* A front came or went (went: no event and no replay answer for 5 s). May be NULL. */
	void (*front)(void *arg, const char *front_endpoint, bool up);
};

/* Where to go on after a restart: the last record that was taken, per incarnation. */
struct mw_position {
	uint64_t incarnation, sequence;
};

struct mw_subscriber;
/*
 * Subscribes to every front of pipeline.front (looked up again every few seconds, endpoint.h).
 * positions: for fronts whose incarnation is named there, replay goes on after that sequence; for
 * others it starts with the oldest kept record when from_oldest, else now (a front that takes the
 * place of one that went: with the oldest). Ops with NULL are not subscribed to.
 */
enum mw_rc mw_subscriber_open(struct mw_subscriber **sub_r, struct mw_zctx *z, struct mw_loop *loop,
	const struct mw_conf *conf, const struct mw_subscriber_ops *ops, void *arg,
	const struct mw_position *positions, size_t position_count, bool from_oldest,
	struct mw_err *err_r);
/* The positions reached, for a state file: fills up to `most`, returns how many. */
size_t mw_subscriber_positions(
	const struct mw_subscriber *sub, struct mw_position *out, size_t most);
/* true: deliver no mail and no alert until false; the fronts keep them and are asked again then. */
void mw_subscriber_pause(struct mw_subscriber *sub, bool pause);
struct mw_subscriber_stats {
	uint64_t mails, alerts, states; /* delivered */
	uint64_t gaps, lost;		/* holes that could not be filled, and the events in them */
	uint64_t bad_frames;		/* refused */
	uint64_t replay_asks;
	size_t fronts, fronts_up;
};
void mw_subscriber_stats(const struct mw_subscriber *sub, struct mw_subscriber_stats *stats_r);
void mw_subscriber_close(struct mw_subscriber **sub_p);

#endif
