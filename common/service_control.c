/*
 * Orders to a running process, over a unix socket: so far "reload". A signal does that, too, but
 * whoever sends one does not hear whether the settings were taken.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "log.h"
#include "service_priv.h"

#define PEERS_MAX 8
#define PEER_WAIT_MS 5000 /* from connecting to the whole order */
#define ORDER_MAX 32

struct peer {
	struct mw_control *control;
	int fd; /* -1: free */
	struct mw_fd *watch;
	struct mw_timer *late;
	char order[ORDER_MAX];
	size_t n;
};

struct mw_control {
	int fd;
	struct mw_loop *loop;
	struct mw_fd *watch;
	struct sockaddr_un address;
	char *(*reload)(void *arg, struct mw_text *said);
	void *arg;
	struct peer peers[PEERS_MAX];
};

static void peer_close(struct peer *p)
{
	mw_timer_destroy(&p->late);
	mw_fd_destroy(&p->watch);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	p->n = 0;
}

static void on_late(void *arg)
{
	peer_close(arg);
}

/* Root, and who we are: others have no business here, whatever the folder's modes say. */
static bool may_order(int fd)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
	       (who.uid == 0 || who.uid == geteuid());
}

static void answer(struct peer *p, const char *first, const char *rest)
{
	struct mw_text text = { 0 };
	size_t n;

	mw_text_addf(&text, "%s\n%s", first, rest != NULL ? rest : "");
	n = text.n < MW_CONTROL_ANSWER_MAX ? text.n : MW_CONTROL_ANSWER_MAX;
	if (text.p != NULL && send(p->fd, text.p, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		mw_log(MW_WARN, "control_unread", "reason=\"%s\"", strerror(errno));
	mw_text_fini(&text);
}

static void obey(struct peer *p)
{
	struct mw_control *c = p->control;
	struct mw_text said = { 0 };
	char *errors;

	if (strcmp(p->order, "reload") != 0) {
		answer(p, "refused", "unknown order\n");
		return;
	}
	mw_text_add(&said, "ok ");
	errors = c->reload(c->arg, &said);
	answer(p, errors == NULL && said.p != NULL ? said.p : "refused", errors);
	free(errors);
	mw_text_fini(&said);
}

static void on_readable(void *arg, int events)
{
	struct peer *p = arg;
	ssize_t got = recv(p->fd, p->order + p->n, sizeof(p->order) - 1 - p->n, MSG_DONTWAIT);
	char *end;

	(void)events;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0) {
		p->n += (size_t)got;
		p->order[p->n] = '\0';
		end = strchr(p->order, '\n');
		if (end == NULL && p->n < sizeof(p->order) - 1)
			return;
		if (end != NULL)
			*end = '\0';
		obey(p);
	}
	peer_close(p);
}

static void take_peer(struct mw_control *c, int fd)
{
	struct peer *p = NULL;

	for (size_t i = 0; i < PEERS_MAX && p == NULL; i++)
		if (c->peers[i].fd < 0)
			p = &c->peers[i];
	if (p == NULL || !may_order(fd)) {
		mw_log(MW_WARN, "control_refused", "reason=\"%s\"",
			p == NULL ? "too many at once" : "neither root nor our own user");
		close(fd);
		return;
	}
	p->fd = fd;
	p->n = 0;
	p->watch = mw_fd_new(c->loop, fd, on_readable, p);
	p->late = mw_timer_new(c->loop, on_late, p);
	if (p->watch == NULL || p->late == NULL) {
		peer_close(p);
		return;
	}
	mw_timer_start(p->late, PEER_WAIT_MS, 0);
	mw_fd_watch(p->watch, MW_READABLE);
}

static void on_connect(void *arg, int events)
{
	struct mw_control *c = arg;

	(void)events;
	for (int i = 0; i < MW_BATCH; i++) {
		int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		take_peer(c, fd);
	}
}

enum mw_rc mw_control_open(struct mw_control **c_r, struct mw_loop *loop,
	const struct mw_conf *conf, const char *name, const char *instance,
	char *(*reload)(void *arg, struct mw_text *said), void *arg, struct mw_err *err_r)
{
	struct mw_control *c = calloc(1, sizeof(*c));
	char file[MW_RUN_FILE_MAX];
	enum mw_rc rc;

	*c_r = NULL;
	if (c == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "control socket: out of memory");
	snprintf(file, sizeof(file), "%s@%s" MW_CONTROL_SUFFIX, name, instance);
	rc = mw_run_socket_open(&c->fd, &c->address, file, conf, err_r);
	if (rc != MW_OK || c->fd < 0) {
		if (rc == MW_OK)
			mw_log(MW_INFO, "control_socket_taken",
				"path=%s hint=\"give each process its own -i\"",
				c->address.sun_path);
		free(c);
		return rc;
	}
	c->loop = loop;
	c->reload = reload;
	c->arg = arg;
	for (size_t i = 0; i < PEERS_MAX; i++)
		c->peers[i] = (struct peer){ .control = c, .fd = -1 };
	c->watch = mw_fd_new(loop, c->fd, on_connect, c);
	mw_fd_watch(c->watch, MW_READABLE);
	*c_r = c;
	return MW_OK;
}

void mw_control_close(struct mw_control **c_p)
{
	struct mw_control *c = *c_p;

	*c_p = NULL;
	if (c == NULL)
		return;
	for (size_t i = 0; i < PEERS_MAX; i++)
		peer_close(&c->peers[i]);
	mw_fd_destroy(&c->watch);
	unlink(c->address.sun_path);
	close(c->fd);
	free(c);
}
