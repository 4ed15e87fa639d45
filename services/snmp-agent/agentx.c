#include <net-snmp/net-snmp-config.h>
#include <net-snmp/net-snmp-includes.h>
#include <net-snmp/agent/net-snmp-agent-includes.h>
#include <net-snmp/agent/agent_callbacks.h>

#include "agentx.h"

#include <stdlib.h>
#include "log.h"

#define FDS_MAX 16    /* descriptors of net-snmp at once: the master's, hardly more */
#define NUDGE_MS 1000 /* net-snmp's alarms are looked at so often when it names no time */
#define APP "mailweir-snmp-agent"

static const oid base_oid[] = { 1, 3, 6, 1, 4, 1, 15312, 2, 1 };
static const oid sys_object_id[] = { 1, 3, 6, 1, 4, 1, 15312, 2 };

struct snmpsvc_agentx {
	struct mw_loop *loop;
	struct mw_timer *timer;
	struct mw_fd *watches[FDS_MAX];
	int fds[FDS_MAX];
	size_t fd_count;
	void (*ask)(void *arg, size_t object, struct snmpsvc_reply *reply);
	void *arg;
	uint64_t requests;
	bool connected;
};

/* ------------------------------------------------------------------ answering */

static size_t object_oid(const struct snmpsvc_object *o, oid *name)
{
	size_t n = OID_LENGTH(base_oid);

	memcpy(name, base_oid, sizeof(base_oid));
	for (size_t i = 0; i < o->tail_n; i++)
		name[n++] = o->tail[i];
	name[n++] = 0; /* a scalar's instance */
	return n;
}

/* The first object whose instance is behind name (or is it, when equal counts). SNMPSVC_OBJECTS:
 * none. */
static size_t object_from(const oid *name, size_t name_n, bool equal)
{
	size_t low = 0, high = SNMPSVC_OBJECTS;

	while (low < high) {
		size_t middle = (low + high) / 2;
		oid there[MAX_OID_LEN];
		size_t there_n = object_oid(&snmpsvc_objects[middle], there);
		int c = snmp_oid_compare(there, there_n, name, name_n);

		if (c > 0 || (c == 0 && equal))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void set_number(netsnmp_variable_list *v, u_char type, uint64_t number)
{
	if (type == ASN_COUNTER64) {
		struct counter64 c = { .high = (u_long)(number >> 32),
			.low = (u_long)(number & UINT32_MAX) };

		snmp_set_var_typed_value(v, type, (u_char *)&c, sizeof(c));
	} else {
		snmp_set_var_typed_integer(v, type, (long)number);
	}
}

static void answer(struct snmpsvc_agentx *a, size_t object, netsnmp_variable_list *v)
{
	static const u_char types[] = {
		[SNMPSVC_TEXT] = ASN_OCTET_STR,
		[SNMPSVC_OID] = ASN_OBJECT_ID,
		[SNMPSVC_TICKS] = ASN_TIMETICKS,
		[SNMPSVC_INT] = ASN_INTEGER,
		[SNMPSVC_C32] = ASN_COUNTER,
		[SNMPSVC_C64] = ASN_COUNTER64,
		[SNMPSVC_GAUGE] = ASN_GAUGE,
		[SNMPSVC_INTERVAL] = ASN_INTEGER,
	};
	struct snmpsvc_reply reply = { .type = snmpsvc_objects[object].type, .text = "" };

	a->ask(a->arg, object, &reply);
	if (reply.type == SNMPSVC_TEXT)
		snmp_set_var_typed_value(
			v, ASN_OCTET_STR, (const u_char *)reply.text, strlen(reply.text));
	else if (reply.type == SNMPSVC_OID)
		snmp_set_var_typed_value(
			v, ASN_OBJECT_ID, (const u_char *)sys_object_id, sizeof(sys_object_id));
	else
		set_number(v, types[reply.type], reply.number);
}

/* For GETNEXT an answer behind the registered subtree is none: the next registration has it. */
static void answer_next(
	struct snmpsvc_agentx *a, netsnmp_handler_registration *reg, netsnmp_variable_list *v)
{
	size_t object = object_from(v->name, v->name_length, false);
	oid name[MAX_OID_LEN];
	size_t n;

	/* A walk may begin before the subtree. */
	if (snmp_oid_compare(v->name, v->name_length, reg->rootoid, reg->rootoid_len) < 0)
		object = object_from(reg->rootoid, reg->rootoid_len, false);
	if (object == SNMPSVC_OBJECTS)
		return;
	n = object_oid(&snmpsvc_objects[object], name);
	if (snmp_oidtree_compare(name, n, reg->rootoid, reg->rootoid_len) != 0)
		return;
	snmp_set_var_objid(v, name, n);
	answer(a, object, v);
}

static void answer_get(
	struct snmpsvc_agentx *a, netsnmp_agent_request_info *info, netsnmp_request_info *request)
{
	netsnmp_variable_list *v = request->requestvb;
	size_t object = object_from(v->name, v->name_length, true);
	oid name[MAX_OID_LEN];
	size_t n = object < SNMPSVC_OBJECTS ? object_oid(&snmpsvc_objects[object], name) : 0;

	if (n > 0 && snmp_oid_compare(name, n, v->name, v->name_length) == 0)
		answer(a, object, v);
	else
		netsnmp_set_request_error(info, request, SNMP_NOSUCHOBJECT);
}

static int handle(netsnmp_mib_handler *handler, netsnmp_handler_registration *reg,
	netsnmp_agent_request_info *info, netsnmp_request_info *requests)
{
	struct snmpsvc_agentx *a = handler->myvoid;

	for (netsnmp_request_info *r = requests; r != NULL; r = r->next) {
		if (r->processed != 0)
			continue;
		a->requests++;
		if (info->mode == MODE_GETNEXT)
			answer_next(a, reg, r->requestvb);
		else if (info->mode == MODE_GET)
			answer_get(a, info, r);
		else
			netsnmp_set_request_error(info, r, SNMP_ERR_NOTWRITABLE);
	}
	return SNMP_ERR_NOERROR;
}

static bool register_group(struct snmpsvc_agentx *a, oid group, const char *name)
{
	oid root[OID_LENGTH(base_oid) + 1];
	netsnmp_handler_registration *reg;

	memcpy(root, base_oid, sizeof(base_oid));
	root[OID_LENGTH(base_oid)] = group;
	reg = netsnmp_create_handler_registration(
		name, handle, root, OID_LENGTH(root), HANDLER_CAN_RONLY);
	if (reg == NULL)
		return false;
	reg->handler->myvoid = a;
	return netsnmp_register_handler(reg) == MIB_REGISTERED_OK;
}

/* ------------------------------------------------------------------ net-snmp in our loop */

static void sync_watches(struct snmpsvc_agentx *a);

static void fd_ready(void *arg, int events)
{
	struct snmpsvc_agentx *a = arg;
	fd_set fds;

	(void)events;
	FD_ZERO(&fds);
	for (size_t i = 0; i < a->fd_count; i++)
		FD_SET(a->fds[i], &fds);
	/* Those without data: net-snmp would block in reading them. */
	if (select(FD_SETSIZE, &fds, NULL, NULL, &(struct timeval){ 0, 0 }) > 0)
		snmp_read(&fds);
	run_alarms();
	netsnmp_check_outstanding_agent_requests();
	sync_watches(a);
}

static void timer_fired(void *arg)
{
	struct snmpsvc_agentx *a = arg;

	snmp_timeout();
	run_alarms();
	netsnmp_check_outstanding_agent_requests();
	sync_watches(a);
}

/* net-snmp opens and closes descriptors inside any of its calls: watch afresh what it has now. */
static void sync_watches(struct snmpsvc_agentx *a)
{
	struct timeval wait = { NUDGE_MS / 1000, NUDGE_MS % 1000 * 1000 };
	int fd_end = 0, block = 0;
	uint64_t ms;
	fd_set fds;

	for (size_t i = 0; i < a->fd_count; i++)
		mw_fd_destroy(&a->watches[i]);
	a->fd_count = 0;
	FD_ZERO(&fds);
	(void)snmp_select_info(&fd_end, &fds, &wait, &block);
	for (int fd = 0; fd < fd_end && a->fd_count < FDS_MAX; fd++) {
		if (!FD_ISSET(fd, &fds))
			continue;
		a->watches[a->fd_count] = mw_fd_new(a->loop, fd, fd_ready, a);
		if (a->watches[a->fd_count] == NULL)
			continue;
		mw_fd_watch(a->watches[a->fd_count], MW_READABLE);
		a->fds[a->fd_count++] = fd;
	}
	ms = block ? NUDGE_MS : (uint64_t)wait.tv_sec * 1000 + (uint64_t)wait.tv_usec / 1000 + 1;
	mw_timer_start(a->timer, ms < NUDGE_MS ? ms : NUDGE_MS, 0);
}

/* ------------------------------------------------------------------ life */

/* net-snmp's own words, as our log lines. */
static int library_says(int major, int minor, void *server, void *client)
{
	const struct snmp_log_message *m = server;
	size_t n = strlen(m->msg);

	(void)major;
	(void)minor;
	(void)client;
	while (n > 0 && m->msg[n - 1] == '\n')
		n--;
	mw_log(MW_DEBUG, "net_snmp", "text=%s",
		mw_quote_octets((char[MW_QUOTE_MAX]){ 0 }, MW_QUOTE_MAX, m->msg, n));
	return 0;
}

/* A session with the master began or ended (net-snmp's words for it are index start and stop). */
static int session_changed(int major, int minor, void *server, void *client)
{
	struct snmpsvc_agentx *a = *(struct snmpsvc_agentx **)client;

	(void)major;
	(void)server;
	a->connected = minor == SNMPD_CALLBACK_INDEX_START;
	mw_log(MW_INFO, a->connected ? "master_connected" : "master_gone", "retry_s=%d",
		SNMPSVC_MASTER_RETRY_S);
	return 0;
}

/* net-snmp 5.9 frees the argument of every callback in snmp_shutdown: each gets a pointer to us of
 * its own. */
static void follow_sessions(struct snmpsvc_agentx *a)
{
	static const int changes[] = { SNMPD_CALLBACK_INDEX_START, SNMPD_CALLBACK_INDEX_STOP };

	for (size_t i = 0; i < MW_COUNT(changes); i++) {
		struct snmpsvc_agentx **us = malloc(sizeof(*us));

		if (us == NULL)
			return; /* at start: only the health answer is without it */
		*us = a;
		(void)snmp_register_callback(
			SNMP_CALLBACK_APPLICATION, changes[i], session_changed, us);
	}
}

static void set_options(const char *socket)
{
	snmp_disable_stderrlog();
	snmp_enable_calllog();
	snmp_register_callback(SNMP_CALLBACK_LIBRARY, SNMP_CALLBACK_LOGGING, library_says, NULL);
	netsnmp_enable_subagent();
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_ALARM_DONT_USE_SIG,
		1); /* the loop runs them */
	/* No snmp.conf of the system decides about us, and nothing is kept in its folders. */
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_READ_CONFIGS, 1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_PERSIST_STATE, 1);
	netsnmp_ds_set_string(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_X_SOCKET, socket);
	netsnmp_ds_set_int(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_AGENTX_PING_INTERVAL,
		SNMPSVC_MASTER_RETRY_S);
	netsnmp_ds_set_int(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_AGENTX_TIMEOUT,
		SNMPSVC_MASTER_WAIT_S * ONE_SEC);
	netsnmp_ds_set_int(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_AGENTX_RETRIES, 0);
}

enum mw_rc snmpsvc_agentx_open(struct snmpsvc_agentx **a_r, struct mw_loop *loop,
	const char *socket, bool queues,
	void (*ask)(void *arg, size_t object, struct snmpsvc_reply *reply), void *arg,
	struct mw_err *err_r)
{
	struct snmpsvc_agentx *a = calloc(1, sizeof(*a));

	*a_r = NULL;
	if (a == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for the agent");
	a->loop = loop;
	a->ask = ask;
	a->arg = arg;
	set_options(socket);
	follow_sessions(a);
	if (init_agent(APP) != 0 || !register_group(a, 1, "mailweirStats") ||
		!register_group(a, 2, "mailweirProc") ||
		(queues && !register_group(a, 3, "mailweirMta"))) {
		free(a);
		return mw_fail(err_r, MW_ERR_IO, "net-snmp does not start");
	}
	init_snmp(APP);
	a->timer = mw_timer_new(loop, timer_fired, a);
	sync_watches(a);
	*a_r = a;
	return MW_OK;
}

uint64_t snmpsvc_agentx_requests(const struct snmpsvc_agentx *a)
{
	return a->requests;
}

bool snmpsvc_agentx_connected(const struct snmpsvc_agentx *a)
{
	return a->connected;
}

void snmpsvc_agentx_close(struct snmpsvc_agentx **a_p)
{
	struct snmpsvc_agentx *a = *a_p;

	if (a == NULL)
		return;
	for (size_t i = 0; i < a->fd_count; i++)
		mw_fd_destroy(&a->watches[i]);
	mw_timer_destroy(&a->timer);
	snmp_shutdown(APP);
	free(a);
	*a_p = NULL;
}
