/*
 * The AgentX side (RFC 2741): the only file that includes net-snmp. A subtree is registered with
 * the master agent and GET, GETNEXT and GETBULK below it are answered from the table. net-snmp's
 * descriptors and timeouts are served by our loop. A master that is dead is looked for every few
 * seconds; one that is there but silent holds us up for at most SNMPSVC_MASTER_WAIT_S per request
 * of ours (net-snmp waits for its answers), during which events wait in their sockets.
 */
#ifndef SNMPSVC_AGENTX_H
#define SNMPSVC_AGENTX_H

#include "loop.h"
#include "objects.h"

#define SNMPSVC_MASTER_WAIT_S 1
#define SNMPSVC_MASTER_RETRY_S 2 /* also how often the master is asked whether it lives */

struct snmpsvc_reply {
	enum snmpsvc_type type;
	uint64_t number;
	const char *text;
};

struct snmpsvc_agentx;
/* socket: "unix:/path", "tcp:host:port". ask fills the reply for an object of the table; queues:
 * serve group 3 too. */
enum mw_rc snmpsvc_agentx_open(struct snmpsvc_agentx **a_r, struct mw_loop *loop,
	const char *socket, bool queues,
	void (*ask)(void *arg, size_t object, struct snmpsvc_reply *reply), void *arg,
	struct mw_err *err_r);
/* Requests answered, and whether there is a session with the master. */
uint64_t snmpsvc_agentx_requests(const struct snmpsvc_agentx *a);
bool snmpsvc_agentx_connected(const struct snmpsvc_agentx *a);
void snmpsvc_agentx_close(struct snmpsvc_agentx **a_p);

#endif
