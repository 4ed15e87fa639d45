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
	if (l->admin || p->protocol == PROTOCOL_AMPDP)
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

static enum mw_rc open_unix(
	struct front *f, const char *path, unsigned mode, bool admin, struct mw_err *err_r)
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
	l->admin = admin;
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

/* One value of the settings: all of its sockets, or at least one where a host may lack an address
 * family. */
static enum mw_rc open_group(struct front *f, const struct policy_socket *s, size_t count,
	unsigned mode, struct mw_err *err_r)
{
	struct mw_err first = { "" }, err;
	size_t opened = 0;

	for (size_t i = 0; i < count; i++) {
		enum mw_rc rc = s[i].unix_socket ? open_unix(f, s[i].address, mode, false, &err)
						 : open_one(f, s[i].address, s[i].port, &err);

		opened += rc == MW_OK;
		if (rc != MW_OK && !s[i].may_fail) {
			*err_r = err;
			return rc;
		}
		if (rc != MW_OK && !s[i].silent && first.text[0] == '\0')
			first = err;
	}
	if (opened == 0)
		return mw_fail(err_r, MW_ERR_IO, "%s", first.text);
	if (first.text[0] != '\0')
		mw_log(MW_WARN, "listener_missing", "%s", first.text);
	return MW_OK;
}

/* "0660": octal, as an admin writes modes. */
static enum mw_rc unix_mode(const struct mw_conf *conf, unsigned *mode_r, struct mw_err *err_r)
{
	const char *text = mw_conf_text(conf, "unix_socket_mode");
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (*text == '\0' || *end != '\0' || mode > 0777)
		return mw_fail(err_r, MW_ERR_CONF,
			"unix_socket_mode = \"%s\": expected an octal mode, as \"0660\"", text);
	*mode_r = (unsigned)mode;
	return MW_OK;
}

static enum mw_rc open_all(struct front *f, const struct mw_conf *conf, struct mw_err *err_r)
{
	const struct policy_set *set = f->policies;
	unsigned mode = 0;
	enum mw_rc rc = unix_mode(conf, &mode, err_r);

	for (size_t i = 0, n; i < set->socket_count && rc == MW_OK; i += n) {
		for (n = 1; i + n < set->socket_count &&
			    set->sockets[i + n].group == set->sockets[i].group;)
			n++;
		rc = open_group(f, &set->sockets[i], n, mode, err_r);
	}
	return rc;
}

/* Releases by `mailweir quarantine`, whatever sockets the settings have. Without it all else works.
 */
static void open_admin(struct front *f, const struct mw_conf *conf)
{
	char path[128];
	struct mw_err err;

	snprintf(path, sizeof(path), "%s/smtp-front@%s" INTAKE_ADMIN_SUFFIX,
		mw_conf_text(conf, "pipeline.run_dir"), f->service->instance);
	if (open_unix(f, path, 0600, true, &err) != MW_OK)
		mw_log(MW_WARN, "admin_socket", "why=%s hint=\"%s\"", mw_quote(err.text),
			"mailweir quarantine release will not find this process");
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
	enum mw_rc rc;

	f->intake = calloc(1, sizeof(*f->intake));
	if (f->intake != NULL)
		f->intake->clients = clients_new();
	if (f->intake == NULL || f->intake->clients == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for listeners");
	f->intake->backlog = (int)mw_conf_int(conf, "listen_queue_size");
	rc = open_all(f, conf, err_r);
	if (rc != MW_OK)
		return rc;
	open_admin(f, conf);
	f->intake->tick = mw_timer_new(f->loop, tick, f);
	mw_timer_start(f->intake->tick, TICK_MS, TICK_MS);
	return MW_OK;
}

void intake_describe(const struct front *f, struct mw_text *out)
{
	for (const struct listener *l = f->intake->first; l != NULL; l = l->next) {
		const char *comma = out->n > 0 ? "," : "";

		if (l->admin)
			continue;
		if (l->unix_socket)
			mw_text_addf(out, "%s%s", comma, l->address);
		else
			mw_text_addf(out, strchr(l->address, ':') != NULL ? "%s[%s]:%u" : "%s%s:%u",
				comma, l->address, l->port);
	}
}

size_t intake_sockets(const struct front *f, struct policy_socket **sockets_r)
{
	size_t count = 0, n = 0;

	for (const struct listener *l = f->intake->first; l != NULL; l = l->next)
		count++;
	*sockets_r = calloc(count + 1, sizeof(**sockets_r));
	for (const struct listener *l = f->intake->first; l != NULL && *sockets_r != NULL;
		l = l->next) {
		struct policy_socket *s = &(*sockets_r)[n];

		if (l->admin)
			continue;
		n++;
		mw_strlcpy(s->address, l->address, sizeof(s->address));
		s->port = l->port;
		s->unix_socket = l->unix_socket;
	}
	return n;
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
