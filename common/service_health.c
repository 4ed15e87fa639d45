/* Health over a unix socket (no HTTP configured), and --health, which asks for it. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "log.h"
#include "service_priv.h"

#define BACKLOG 16

struct mw_health {
	int fd;
	struct mw_fd *watch;
	struct sockaddr_un address;
	bool (*say)(void *arg, struct mw_err *why);
	void *arg;
};

static enum mw_rc run_address(
	struct sockaddr_un *a, const char *file, const struct mw_conf *conf, struct mw_err *err_r)
{
	int n;

	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	n = snprintf(a->sun_path, sizeof(a->sun_path), "%s/%s",
		mw_conf_text(conf, "pipeline.run_dir"), file);
	if (n < 0 || (size_t)n >= sizeof(a->sun_path))
		return mw_fail(err_r, MW_ERR_CONF,
			"pipeline.run_dir and instance: path of the socket %s of more than %zu "
			"octets",
			file, sizeof(a->sun_path) - 1);
	return MW_OK;
}

static const char *health_file(char buf[MW_RUN_FILE_MAX], const char *name, const char *instance)
{
	snprintf(buf, MW_RUN_FILE_MAX, "%s-%s.health", name, instance);
	return buf;
}

/* One line and good-bye: it fits any socket buffer, so nobody is waited for. */
static void on_connect(void *arg, int events)
{
	struct mw_health *h = arg;

	(void)events;
	for (int i = 0; i < MW_BATCH; i++) {
		struct mw_err why = { "" };
		char line[sizeof(why.text) + 16];
		int fd = accept4(h->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		bool well;

		if (fd < 0)
			return;
		well = h->say(h->arg, &why);
		snprintf(line, sizeof(line), well ? "ok%s\n" : "unhealthy: %s\n", why.text);
		if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
			mw_log(MW_DEBUG, "health_unread", "reason=\"%s\"", strerror(errno));
		close(fd);
	}
}

static bool is_alive(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool alive = fd >= 0 &&
		     (connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 || errno == EAGAIN);

	if (fd >= 0)
		close(fd);
	return alive;
}

enum mw_rc mw_run_socket_open(int *fd_r, struct sockaddr_un *a, const char *file,
	const struct mw_conf *conf, struct mw_err *err_r)
{
	enum mw_rc rc = run_address(a, file, conf, err_r);
	int fd;

	*fd_r = -1;
	if (rc != MW_OK)
		return rc;
	if (is_alive(a))
		return MW_OK;
	unlink(a->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)a, sizeof(*a)) < 0 || listen(fd, BACKLOG) < 0) {
		rc = mw_fail(err_r, MW_ERR_IO, "socket %s: %s", a->sun_path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	*fd_r = fd;
	return MW_OK;
}

enum mw_rc mw_health_open(struct mw_health **h_r, struct mw_loop *loop, const struct mw_conf *conf,
	const char *name, const char *instance, bool (*say)(void *arg, struct mw_err *why),
	void *arg, struct mw_err *err_r)
{
	struct mw_health *h = calloc(1, sizeof(*h));
	char file[MW_RUN_FILE_MAX];
	enum mw_rc rc;

	*h_r = NULL;
	if (h == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "health socket: out of memory");
	h->say = say;
	h->arg = arg;
	rc = mw_run_socket_open(
		&h->fd, &h->address, health_file(file, name, instance), conf, err_r);
	if (rc != MW_OK || h->fd < 0) {
		if (rc == MW_OK)
			mw_log(MW_INFO, "health_socket_taken",
				"path=%s hint=\"give each process its own -i\"",
				h->address.sun_path);
		free(h);
		return rc;
	}
	h->watch = mw_fd_new(loop, h->fd, on_connect, h);
	mw_fd_watch(h->watch, MW_READABLE);
	*h_r = h;
	return MW_OK;
}

void mw_health_close(struct mw_health **h_p)
{
	struct mw_health *h = *h_p;

	*h_p = NULL;
	if (h == NULL)
		return;
	mw_fd_destroy(&h->watch);
	unlink(h->address.sun_path);
	close(h->fd);
	free(h);
}

/* ------------------------------------------------------------------ the one who asks */

/* Where http.listen can be reached from this host: the wildcard addresses are no destination. */
static int connect_http(const char *listen_on)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV },
			*found;
	const char *colon = strrchr(listen_on, ':');
	char host[64] = "";
	int fd = -1;

	if (colon == NULL ||
		!mw_strncpy(host, sizeof(host), listen_on, (size_t)(colon - listen_on)))
		return -1;
	if (host[0] == '[') {
		memmove(host, host + 1, strlen(host));
		host[strcspn(host, "]")] = '\0';
	}
	if (strcmp(host, "0.0.0.0") == 0)
		mw_strlcpy(host, "127.0.0.1", sizeof(host));
	if (strcmp(host, "::") == 0)
		mw_strlcpy(host, "::1", sizeof(host));
	if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
		return -1;
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) < 0) {
		close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

static int connect_unix(const struct mw_conf *conf, const char *name, const char *instance)
{
	char file[MW_RUN_FILE_MAX];
	struct sockaddr_un a;
	struct mw_err err;
	int fd;

	if (run_address(&a, health_file(file, name, instance), conf, &err) != MW_OK) {
		fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Read to the end of the stream, but not longer than MW_HEALTH_WAIT_MS. */
static size_t read_answer(int fd, char *buf, size_t size)
{
	uint64_t until = mw_mono_ms() + MW_HEALTH_WAIT_MS;
	size_t n = 0;

	while (n < size - 1) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = mw_mono_ms();
		ssize_t got;

		if (now >= until || poll(&p, 1, (int)(until - now)) <= 0)
			break;
		got = read(fd, buf + n, size - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	buf[n] = '\0';
	return n;
}

int mw_health_ask(const struct mw_conf *conf, const char *name, const char *instance)
{
	const char *listen_on = mw_conf_text(conf, "http.listen");
	size_t n = listen_on != NULL ? strlen(listen_on) : 0;
	/* Port 0 is one that the kernel chose: only the running process knows it, so it has the
	 * other socket too. */
	bool http = n > 2 && strcmp(listen_on + n - 2, ":0") != 0;
	static const char request[] =
		"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	char answer[4096], *body = answer;
	bool well;
	int fd = http ? connect_http(listen_on) : connect_unix(conf, name, instance);

	if (fd < 0) {
		printf("unhealthy: mailweir-%s instance %s does not answer\n", name, instance);
		return 1;
	}
	if (http && send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
		answer[0] = '\0';
	read_answer(fd, answer, sizeof(answer));
	close(fd);
	if (http) {
		well = strncmp(answer, "HTTP/1.1 200", 12) == 0;
		body = strstr(answer, "\r\n\r\n");
		body = body != NULL ? body + 4 : answer;
	} else {
		well = strncmp(answer, "ok", 2) == 0;
	}
	printf("%s%s", *body != '\0' ? body : "unhealthy: no answer in time",
		*body != '\0' && body[strlen(body) - 1] == '\n' ? "" : "\n");
	return well ? 0 : 1;
}
