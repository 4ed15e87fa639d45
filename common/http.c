/* HTTP for health, metrics and the status pages: the only file that knows libmicrohttpd. */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "log.h"

/* Bounds. A scraper needs one connection and a few hundred octets. */
#define HTTP_CONNECTIONS_MAX 64
#define HTTP_PER_ADDRESS_MAX 16
#define HTTP_MEMORY_OCTETS (16 * 1024) /* request line and header fields of one connection */
#define HTTP_TIMEOUT_S 10	       /* a connection that says nothing */
#define HTTP_BACKLOG 64

struct mw_http {
	const struct mw_http_route *routes;
	void *arg;
	struct MHD_Daemon *daemon;
	struct mw_fd *watch;
	struct mw_timer *timer;
	unsigned port;
};

static enum MHD_Result reply(
	struct MHD_Connection *c, unsigned status, struct mw_text *body, const char *type)
{
	struct MHD_Response *r;
	enum MHD_Result result = MHD_NO;

	if (body->failed)
		return MHD_NO; /* no memory: the connection is closed */
	r = MHD_create_response_from_buffer(
		body->n, body->p != NULL ? body->p : (void *)"", MHD_RESPMEM_MUST_COPY);
	if (r == NULL)
		return MHD_NO;
	if (MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
		MHD_add_response_header(r, "X-Content-Type-Options", "nosniff") == MHD_YES &&
		MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES &&
		(status != MHD_HTTP_METHOD_NOT_ALLOWED ||
			MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES))
		result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

static const struct mw_http_route *route_of(const struct mw_http *http, const char *path)
{
	for (const struct mw_http_route *r = http->routes; r->path != NULL; r++)
		if (strcmp(r->path, path) == 0)
			return r;
	return NULL;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_size,
	void **state)
{
	struct mw_http *http = arg;
	const struct mw_http_route *route = route_of(http, url);
	const char *type = "text/plain; charset=utf-8";
	struct mw_text body = { 0 };
	enum MHD_Result result;
	unsigned status;

	(void)version;
	(void)upload;
	(void)upload_size;
	(void)state;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		status = MHD_HTTP_METHOD_NOT_ALLOWED;
		mw_text_add(&body, "only GET and HEAD\n");
	} else if (route == NULL) {
		status = MHD_HTTP_NOT_FOUND;
		mw_text_add(&body, "no such page\n");
	} else {
		status = route->get(http->arg, url, &body, &type);
	}
	result = reply(c, status, &body, type);
	mw_text_fini(&body);
	return result;
}

/* ------------------------------------------------------------------ in our loop */

static void run(struct mw_http *http)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	MHD_run(http->daemon);
	if (MHD_get_timeout(http->daemon, &wait_ms) == MHD_YES)
		mw_timer_start(http->timer, (uint64_t)wait_ms, 0);
	else
		mw_timer_stop(http->timer);
}

static void on_ready(void *arg, int events)
{
	(void)events;
	run(arg);
}

static void on_timer(void *arg)
{
	run(arg);
}

/* ------------------------------------------------------------------ opening */

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static bool parse_port(const char *text, in_port_t *port_r)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || port > UINT16_MAX)
		return false;
	*port_r = htons((in_port_t)port);
	return true;
}

/* "127.0.0.1:9100" or "[::1]:9100". */
static bool parse_listen(const char *listen, union address *a, socklen_t *size_r)
{
	const char *colon = strrchr(listen, ':');
	char host[INET6_ADDRSTRLEN];
	bool six = listen[0] == '[';

	memset(a, 0, sizeof(*a));
	if (colon == NULL || (six && (colon == listen || colon[-1] != ']')) ||
		!mw_strncpy(
			host, sizeof(host), listen + six, (size_t)(colon - listen) - (six ? 2 : 0)))
		return false;
	*size_r = six ? sizeof(a->in6) : sizeof(a->in);
	a->sa.sa_family = six ? AF_INET6 : AF_INET;
	if (six)
		return inet_pton(AF_INET6, host, &a->in6.sin6_addr) == 1 &&
		       parse_port(colon + 1, &a->in6.sin6_port);
	return inet_pton(AF_INET, host, &a->in.sin_addr) == 1 &&
	       parse_port(colon + 1, &a->in.sin_port);
}

static int listening_socket(const char *listen_on, unsigned *port_r, struct mw_err *err_r)
{
	union address a;
	socklen_t size;
	int one = 1, fd;

	if (!parse_listen(listen_on, &a, &size)) {
		mw_fail(err_r, MW_ERR_CONF,
			"\"%s\": expected ADDRESS:PORT, as 127.0.0.1:9100 or [::1]:9100",
			listen_on);
		return -1;
	}
	fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
		bind(fd, &a.sa, size) < 0 || listen(fd, HTTP_BACKLOG) < 0 ||
		getsockname(fd, &a.sa, &size) < 0) {
		mw_fail(err_r, MW_ERR_IO, "cannot listen at %s: %s", listen_on, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*port_r = ntohs(a.sa.sa_family == AF_INET6 ? a.in6.sin6_port : a.in.sin_port);
	return fd;
}

enum mw_rc mw_http_open(struct mw_http **http_r, struct mw_loop *loop, const char *listen_on,
	const struct mw_http_route *routes, void *arg, struct mw_err *err_r)
{
	struct mw_http *http = calloc(1, sizeof(*http));
	const union MHD_DaemonInfo *info;
	int fd;

	if (http == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "http: out of memory");
	http->routes = routes;
	http->arg = arg;
	fd = listening_socket(listen_on, &http->port, err_r);
	if (fd < 0) {
		free(http);
		return MW_ERR_CONF;
	}
	http->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, http,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		(unsigned)HTTP_PER_ADDRESS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)HTTP_MEMORY_OCTETS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_TIMEOUT_S,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (http->daemon == NULL) {
		close(fd);
		free(http);
		return mw_fail(err_r, MW_ERR_IO, "the HTTP server at %s does not start", listen_on);
	}
	info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	http->timer = mw_timer_new(loop, on_timer, http);
	http->watch = mw_fd_new(loop, info->epoll_fd, on_ready, http);
	mw_fd_watch(http->watch, MW_READABLE);
	run(http);
	*http_r = http;
	return MW_OK;
}

unsigned mw_http_port(const struct mw_http *http)
{
	return http->port;
}

void mw_http_close(struct mw_http **http_p)
{
	struct mw_http *http = *http_p;

	*http_p = NULL;
	if (http == NULL)
		return;
	mw_fd_destroy(&http->watch);
	mw_timer_destroy(&http->timer);
	MHD_stop_daemon(http->daemon); /* closes the listening socket too */
	free(http);
}
