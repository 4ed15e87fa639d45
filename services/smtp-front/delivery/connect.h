/*
 * A connection to one next hop: its name is looked up, its addresses are tried with a short stagger
 * (RFC 8305, IPv6 and IPv4 in turn), the first that stands is handed over and the others are
 * closed.
 */
#ifndef SMTP_CONNECT_H
#define SMTP_CONNECT_H

#include "names.h"
#include "next_hop.h"
#include "stream.h"

struct connector;

/* What failed. */
enum connector_step { CONNECTOR_CONNECT, CONNECTOR_LOOKUP, CONNECTOR_BIND };

/*
 * done() is called once, from the loop and never from inside: with a stream, which the
 * callee makes its own by stream_give, and status 0; or with NULL and the uv error of the last
 * attempt; step: where. The connector is gone then. NULL: no memory. No time
 * limit here: cancel it.
 */
struct connector *connector_start(struct mw_loop *loop, struct names *names,
	const struct next_hop *hop,
	void (*done)(void *arg, struct stream *st, int status, enum connector_step step),
	void *arg);
/* Sets *c_p to NULL; done() is not called. */
void connector_cancel(struct connector **c_p);

#endif
