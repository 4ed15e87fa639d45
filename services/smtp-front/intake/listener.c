/* Listening sockets, and the tick of all sessions. */
#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "smtp_session.h"

#define BACKLOG 1024 /* connections the kernel holds for us */
#define TICK_MS 1000

static void on_connection(uv_stream_t *server, int status)
{
	if (status == 0)
		smtp_session_accept(server->data);
}

static void listener_closed(uv_handle_t *h)
{
	free(h->data);
}

static enum mw_rc open_one(
	struct front *f, const char *address, unsigned port, struct mw_err *err_r)
{
	struct smtp_listener *l = calloc(1, sizeof(*l)), **last;
	struct sockaddr_storage ss, bound;
	int size = sizeof(bound), failed;

	if (l == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for a listener");
	if (uv_ip4_addr(address, (int)port, (struct sockaddr_in *)&ss) != 0 &&
		uv_ip6_addr(address, (int)port, (struct sockaddr_in6 *)&ss) != 0) {
		free(l);
		return mw_fail(err_r, MW_ERR_CONF,
			"inet_socket_bind, inet_socket_port: \"%s\" is no address", address);
	}
	l->front = f;
	mw_strlcpy(l->address, address, sizeof(l->address));
	uv_tcp_init(mw_loop_uv(f->loop), &l->tcp);
	l->tcp.data = l;
	/* IPv6 sockets are IPv6 only, so that [::] and 0.0.0.0 can stand side by side. */
	failed = uv_tcp_bind(
		&l->tcp, (struct sockaddr *)&ss, ss.ss_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0);
	if (failed == 0)
		failed = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
	if (failed == 0)
		failed = uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&bound, &size);
	if (failed != 0) {
		uv_close((uv_handle_t *)&l->tcp, listener_closed);
		return mw_fail(err_r, MW_ERR_IO, "cannot listen at [%s]:%u: %s", address, port,
			uv_strerror(failed));
	}
	l->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
						    : ((struct sockaddr_in *)&bound)->sin_port);
	for (last = &f->listeners->first; *last != NULL; last = &(*last)->next)
		;
	*last = l; /* in the order of the settings: the ready line names them so */
	return MW_OK;
}

/* "address:port", "[v6]:port" */
static enum mw_rc open_text(struct front *f, const char *text, struct mw_err *err_r)
{
	const char *colon = strrchr(text, ':');
	char address[64];
	char *end;
	unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 65536;
	bool bracket = text[0] == '[';

	if (port > 65535 || *end != '\0' || (bracket && colon[-1] != ']') ||
		!mw_strncpy(address, sizeof(address), text + bracket,
			(size_t)(colon - text) - 2 * (size_t)bracket))
		return mw_fail(err_r, MW_ERR_CONF,
			"inet_socket_port: \"%s\" is neither a port nor address:port", text);
	return open_one(f, address, (unsigned)port, err_r);
}

static enum mw_rc open_port(
	struct front *f, const struct mw_conf *conf, unsigned port, struct mw_err *err_r)
{
	const char *const *addresses;
	size_t count = mw_conf_list(conf, "inet_socket_bind", &addresses), opened = 0;
	struct mw_err first = { "" }, err;

	for (size_t i = 0; i < count; i++) {
		bool any = strcmp(addresses[i], "*") == 0;
		char plain[64];
		size_t n = strlen(addresses[i]);
		enum mw_rc rc;

		if (addresses[i][0] == '[' && n > 2)
			mw_strncpy(plain, sizeof(plain), addresses[i] + 1, n - 2);
		else
			mw_strlcpy(plain, any ? "0.0.0.0" : addresses[i], sizeof(plain));
		rc = open_one(f, plain, port, &err);
		opened += rc == MW_OK;
		if (any)
			opened += open_one(f, "::", port, &err) == MW_OK;
		if (rc == MW_ERR_CONF) {
			*err_r = err;
			return rc;
		}
		if (rc != MW_OK && first.text[0] == '\0')
			first = err;
	}
	/* A host without IPv6 (or without IPv4) has the other one; but one has to be there. */
	if (opened == 0)
		return mw_fail(err_r, MW_ERR_IO, "%s",
			first.text[0] != '\0' ? first.text : "inet_socket_bind is empty");
	if (first.text[0] != '\0')
		mw_log(MW_WARN, "listener_missing", "%s", first.text);
	return MW_OK;
}

static enum mw_rc open_value(
	struct front *f, const struct mw_conf *conf, const struct mw_val *v, struct mw_err *err_r)
{
	char *end;
	unsigned long port;

	if (v->tag == MW_V_NUM && v->num >= 0 && v->num <= 65535)
		return open_port(f, conf, (unsigned)v->num, err_r);
	if (v->tag != MW_V_STR)
		return mw_fail(err_r, MW_ERR_CONF,
			"inet_socket_port: expected ports (0 to 65535) or \"address:port\"");
	port = strtoul(v->str, &end, 10);
	if (*v->str != '\0' && *end == '\0' && port <= 65535)
		return open_port(f, conf, (unsigned)port, err_r);
	return open_text(f, v->str, err_r);
}

static void tick(void *arg)
{
	struct front *f = arg;
	struct smtp_session *next;
	uint64_t now = mw_loop_now_ms(f->loop);

	for (struct smtp_session *s = f->listeners->sessions; s != NULL; s = next) {
		next = smtp_session_next(s);
		smtp_session_tick(s, now);
	}
}

enum mw_rc listeners_open(struct front *f, const struct mw_conf *conf, struct mw_err *err_r)
{
	const struct mw_val *ports = mw_conf_val(conf, "inet_socket_port");
	enum mw_rc rc = MW_OK;

	f->listeners = calloc(1, sizeof(*f->listeners));
	if (f->listeners == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for listeners");
	if (ports->tag != MW_V_TABLE)
		rc = open_value(f, conf, ports, err_r);
	for (size_t i = 0; ports->tag == MW_V_TABLE && i < ports->count && rc == MW_OK; i++)
		rc = open_value(f, conf, &ports->vals[i], err_r);
	if (rc != MW_OK)
		return rc;
	f->listeners->tick = mw_timer_new(f->loop, tick, f);
	mw_timer_start(f->listeners->tick, TICK_MS, TICK_MS);
	return MW_OK;
}

void listeners_describe(const struct front *f, struct mw_text *out)
{
	for (const struct smtp_listener *l = f->listeners->first; l != NULL; l = l->next)
		mw_text_addf(out, strchr(l->address, ':') != NULL ? "%s[%s]:%u" : "%s%s:%u",
			out->n > 0 ? "," : "", l->address, l->port);
}

void listeners_drain(struct front *f)
{
	struct smtp_session *next;

	while (f->listeners->first != NULL) {
		struct smtp_listener *l = f->listeners->first;

		f->listeners->first = l->next;
		uv_close((uv_handle_t *)&l->tcp, listener_closed);
	}
	f->listeners->closing = true;
	for (struct smtp_session *s = f->listeners->sessions; s != NULL; s = next) {
		next = smtp_session_next(s);
		smtp_session_dismiss(s);
	}
}

void listeners_close(struct front *f)
{
	struct smtp_session *next;

	if (f->listeners == NULL)
		return;
	listeners_drain(f);
	for (struct smtp_session *s = f->listeners->sessions; s != NULL; s = next) {
		next = smtp_session_next(s);
		smtp_session_kill(s);
	}
	mw_timer_destroy(&f->listeners->tick);
	/* The struct itself goes with the process: closing handles still count their sessions down
	 * in it. */
}
