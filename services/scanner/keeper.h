/*
 * One engine holder (mailweir-cage) as mailweir-scanner sees it: started, spoken to over its
 * control socket, noticed when it ends. It outlives nobody: the holder dies with this process, its
 * cages with the holder.
 */
#ifndef SCAN_KEEPER_H
#define SCAN_KEEPER_H

#include "cage/proto.h"
#include "loop.h"

struct keeper;

/* All from the loop. A callback may call keeper_release or keeper_kill on the keeper that calls. */
struct keeper_ops {
	void (*engine)(void *arg, struct keeper *k, const struct scan_engine *e);
	void (*broken)(
		void *arg, struct keeper *k, const char *text); /* it ends now: gone follows */
	void (*born)(void *arg, struct keeper *k, const struct scan_born *b,
		int fd); /* fd is the callee's */
	void (*died)(void *arg, struct keeper *k, const struct scan_died *d);
	void (*gone)(void *arg,
		struct keeper *k); /* the process is over; k is freed after this returns */
};

/* program: path of mailweir-cage. NULL with err_r filled. ops is borrowed for life. */
struct keeper *keeper_start(struct mw_loop *loop, const char *program, const struct scan_conf *conf,
	const struct keeper_ops *ops, void *arg, struct mw_err *err_r);
/* Handle what comes for at most ms, before the loop runs. False: it is over. */
bool keeper_wait(struct keeper *k, uint64_t ms);
void keeper_kill_cage(struct keeper *k, uint64_t serial);
/* No new cages: those that end are not replaced. */
void keeper_drain(struct keeper *k);
/* Let it end: its control socket is closed; gone comes when it has. */
void keeper_release(struct keeper *k);
/* End it at once; gone comes when it is over. */
void keeper_kill(struct keeper *k);
/* Kill and wait for every keeper that was started with this arg, released ones too; no callback
 * comes any more. */
void keeper_destroy_all(const void *arg);
int keeper_pid(const struct keeper *k);
uint64_t keeper_started_ms(const struct keeper *k);

#endif
