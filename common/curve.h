/*
 * CURVE keys and ZAP: who may speak on tcp. Keys are czmq certificates (zcert) in the folder
 * pipeline.keys: SERVICE.key_secret       this process's own pair (front, scanner, dkim,
 * reputation, logger, snmp-agent, status) SERVICE.key              the public half
 *   authorised/NAME.key      public keys that are let in, looked at again when the folder changes
 * `mailweir keys DIR` makes them all. Default is to refuse: an unknown key gets no job and no
 * event, and one log line (curve_refused, with the peer's address; at most one a second) says so.
 */
#ifndef MW_CURVE_H
#define MW_CURVE_H

#include "loop.h"
#include "zsock.h"

/* Reads the own pair and the authorised folder; err_r names the file. */
enum mw_rc mw_curve_open(
	struct mw_curve **curve_r, const char *folder, const char *service, struct mw_err *err_r);
void mw_curve_close(struct mw_curve **curve_p);
const char *mw_curve_public(const struct mw_curve *curve); /* Z85 */
const char *mw_curve_secret(const struct mw_curve *curve); /* Z85; never logged */
/* Public key of another service, from SERVICE.key in the folder; NULL when there is none. */
const char *mw_curve_key_of(struct mw_curve *curve, const char *service);
bool mw_curve_is_authorised(struct mw_curve *curve, const char *z85_public);
/* Answer ZAP requests of this context (inproc://zeromq.zap.01) from the loop. Before any CURVE
 * server socket binds. */
enum mw_rc mw_curve_serve_zap(
	struct mw_curve *curve, void *zmq_ctx, struct mw_loop *loop, struct mw_err *err_r);
/* Make SERVICE.key and SERVICE.key_secret (mode 0600) for every service, and the authorised folder;
 * existing files stay. */
enum mw_rc mw_curve_make_keys(const char *folder, struct mw_err *err_r);

#endif
