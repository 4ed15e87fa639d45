/* Listening sockets, and the tick of all sessions. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ampdp_session.h"
#include "clients.h"
#include "log.h"
#include "smtp_session.h"

#define TICK_MS 1000

static void on_connection(uv_stream_t *server, int status)
{
	struct listener *l = server->data;
	const struct policy *p = policy_for_socket(l->front->policies, l->address, l->port);

	if (status != 0)
		return;
	if (p->protocol == PROTOCOL_AMPDP)
		ampdp_session_accept(l);
	else
		smtp_session_accept(l);
}

static void listener_closed(uv_handle_t *h)
{
	struct listener *l = h->data;

	if (--l->refs == 0)
		free(l);
}

static struct listener *listener_new(struct front *f, const char *address)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->front = f;
	l->refs = 1;
	mw_strlcpy(l->address, address, sizeof(l->address));
	return l;
}

/* Listen, and go behind the others: the ready line names them in the order of the settings. */
static int listener_start(struct listener *l)
{
	struct listener **last = &l->front->intake->first;
	int failed = uv_listen(&l->h.stream, l->front->intake->backlog, on_connection);

	if (failed != 0)
		return failed;
	while (*last != NULL)
		last = &(*last)->next;
	*last = l;
	return 0;
}

static enum mw_rc open_one(
	struct front *f, const char *address, unsigned port, struct mw_err *err_r)
{
	struct listener *l;
	struct sockaddr_storage ss, bound;
	int size = sizeof(bound), failed;

	if (uv_ip4_addr(address, (int)port, (struct sockaddr_in *)&ss) != 0 &&
		uv_ip6_addr(address, (int)port, (struct sockaddr_in6 *)&ss) != 0)
		return mw_fail(err_r, MW_ERR_CONF,
			"inet_socket_bind, inet_socket_port: \"%s\" is no address", address);
	l = listener_new(f, address);
	if (l == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for a listener");
	uv_tcp_init(mw_loop_uv(f->loop), &l->h.tcp);
	l->h.handle.data = l;
	/* IPv6 sockets are IPv6 only, so that [::] and 0.0.0.0 can stand side by side. */
	failed = uv_tcp_bind(
		&l->h.tcp, (struct sockaddr *)&ss, ss.ss_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0);
	if (failed == 0)
		failed = uv_tcp_getsockname(&l->h.tcp, (struct sockaddr *)&bound, &size);
	if (failed == 0) {
		l->port = ntohs(bound.ss_family == AF_INET6
					? ((struct sockaddr_in6 *)&bound)->sin6_port
					: ((struct sockaddr_in *)&bound)->sin_port);
		failed = listener_start(l);
	}
	if (failed != 0) {
		uv_close(&l->h.handle, listener_closed);
		return mw_fail(err_r, MW_ERR_IO, "cannot listen at [%s]:%u: %s", address, port,
			uv_strerror(failed));
	}
	return MW_OK;
}

/* A socket file that nobody listens at any more is in the way of the next start; one that somebody
 * answers at is his. */
static enum mw_rc clear_path(const struct sockaddr_un *un, struct mw_err *err_r)
{
	struct stat st;
	int fd, refused;

	if (lstat(un->sun_path, &st) != 0)
		return errno == ENOENT ? MW_OK
				       : mw_fail(err_r, MW_ERR_IO, "unix_socketname: %s: %s",
						 un->sun_path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return mw_fail(err_r, MW_ERR_CONF, "unix_socketname: %s is there and is no socket",
			un->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return mw_fail(err_r, MW_ERR_IO, "unix_socketname: %s", strerror(errno));
	refused =
		connect(fd, (const struct sockaddr *)un, sizeof(*un)) != 0 && errno == ECONNREFUSED;
	close(fd);
	if (!refused)
		return mw_fail(err_r, MW_ERR_IO, "unix_socketname: another process listens at %s",
			un->sun_path);
	unlink(un->sun_path);
	return MW_OK;
}

static enum mw_rc open_unix(struct front *f, const char *path, unsigned mode, struct mw_err *err_r)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct listener *l;
	enum mw_rc rc;
	int failed;

	if (path[0] != '/' || !mw_strncpy(un.sun_path, sizeof(un.sun_path), path, strlen(path)))
		return mw_fail(err_r, MW_ERR_CONF,
			"unix_socketname: \"%s\": expected an absolute path of at most %zu octets",
			path, sizeof(un.sun_path) - 1);
	rc = clear_path(&un, err_r);
	if (rc != MW_OK)
		return rc;
	l = listener_new(f, path);
	if (l == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for a listener");
	l->unix_socket = true;
	uv_pipe_init(mw_loop_uv(f->loop), &l->h.pipe, 0);
	l->h.handle.data = l;
	failed = uv_pipe_bind(&l->h.pipe, path);
	if (failed == 0 && chmod(path, (mode_t)mode) != 0)
		failed = -errno;
	if (failed == 0)
		failed = listener_start(l);
	if (failed != 0) {
		uv_close(&l->h.handle, listener_closed);
		return mw_fail(
			err_r, MW_ERR_IO, "cannot listen at %s: %s", path, uv_strerror(failed));
	}
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

/* "0660": octal, as an admin writes modes. */
static enum mw_rc open_unix_all(struct front *f, const struct mw_conf *conf, struct mw_err *err_r)
{
	const char *const *paths;
	const char *text = mw_conf_text(conf, "unix_socket_mode");
	size_t count = mw_conf_list(conf, "unix_socketname", &paths);
	char *end;
	unsigned long mode = strtoul(text, &end, 8);
	enum mw_rc rc = MW_OK;

	if (*text == '\0' || *end != '\0' || mode > 0777)
		return mw_fail(err_r, MW_ERR_CONF,
			"unix_socket_mode = \"%s\": expected an octal mode, as \"0660\"", text);
	for (size_t i = 0; i < count && rc == MW_OK; i++)
		rc = open_unix(f, paths[i], (unsigned)mode, err_r);
	return rc;
}

static bool names(const struct listener *l, const char *key)
{
	char whole[128], number[8];

	if (l->unix_socket)
		return strcmp(key, "SOCK") == 0 || strcmp(key, l->address) == 0;
	snprintf(whole, sizeof(whole), "[%s]:%u", l->address, l->port);
	snprintf(number, sizeof(number), "%u", l->port);
	return strcmp(key, number) == 0 || strcmp(key, whole) == 0;
}

/* A classic mistake: mail that was to have a bank's treatment comes in without it. */
static void tell_unused_banks(const struct front *f)
{
	const struct policy_set *set = f->policies;

	for (size_t i = 0; i < set->port_count; i++) {
		const struct listener *l = f->intake->first;

		while (l != NULL && !names(l, set->ports[i].key))
			l = l->next;
		if (l == NULL)
			mw_log(MW_WARN, "interface_policy_unused",
				"key=%s hint=\"nobody listens there: see inet_socket_port, "
				"inet_socket_bind and unix_socketname\"",
				mw_quote(set->ports[i].key));
	}
}

static void tick(void *arg)
{
	struct front *f = arg;
	struct intake_session *next;
	uint64_t now = mw_loop_now_ms(f->loop);

	for (struct intake_session *s = f->intake->sessions; s != NULL; s = next) {
		next = s->next;
		s->ops->tick(s, now);
	}
}

enum mw_rc intake_open(struct front *f, const struct mw_conf *conf, struct mw_err *err_r)
{
	const struct mw_val *ports = mw_conf_val(conf, "inet_socket_port");
	enum mw_rc rc = MW_OK;

	f->intake = calloc(1, sizeof(*f->intake));
	if (f->intake != NULL)
		f->intake->clients = clients_new();
	if (f->intake == NULL || f->intake->clients == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for listeners");
	f->intake->backlog = (int)mw_conf_int(conf, "listen_queue_size");
	if (ports->tag != MW_V_TABLE)
		rc = open_value(f, conf, ports, err_r);
	for (size_t i = 0; ports->tag == MW_V_TABLE && i < ports->count && rc == MW_OK; i++)
		rc = open_value(f, conf, &ports->vals[i], err_r);
	if (rc == MW_OK)
		rc = open_unix_all(f, conf, err_r);
	if (rc != MW_OK)
		return rc;
	tell_unused_banks(f);
	f->intake->tick = mw_timer_new(f->loop, tick, f);
	mw_timer_start(f->intake->tick, TICK_MS, TICK_MS);
	return MW_OK;
}

void intake_describe(const struct front *f, struct mw_text *out)
{
	for (const struct listener *l = f->intake->first; l != NULL; l = l->next) {
		const char *comma = out->n > 0 ? "," : "";

		if (l->unix_socket)
			mw_text_addf(out, "%s%s", comma, l->address);
		else
			mw_text_addf(out, strchr(l->address, ':') != NULL ? "%s[%s]:%u" : "%s%s:%u",
				comma, l->address, l->port);
	}
}

void intake_drain(struct front *f)
{
	struct intake_session *next;

	while (f->intake->first != NULL) {
		struct listener *l = f->intake->first;

		f->intake->first = l->next;
		uv_close(&l->h.handle, listener_closed); /* takes a Unix socket's path away, too */
	}
	f->intake->closing = true;
	for (struct intake_session *s = f->intake->sessions; s != NULL; s = next) {
		next = s->next;
		s->ops->dismiss(s);
	}
}

void intake_close(struct front *f)
{
	struct intake_session *next;

	if (f->intake == NULL)
		return;
	intake_drain(f);
	for (struct intake_session *s = f->intake->sessions; s != NULL; s = next) {
		next = s->next;
		s->ops->kill(s);
	}
	mw_timer_destroy(&f->intake->tick);
	clients_destroy(&f->intake->clients);
	/* The struct itself goes with the process: closing handles still count their sessions down
	 * in it. */
}
