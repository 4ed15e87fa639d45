/*
 * HTTP server of a service (libmicrohttpd, polled by our loop: no thread). Answers GET only; the
 * rest is 405. Bounded: connections, request line, header octets, time (table in http.c).
 */
#ifndef MW_HTTP_H
#define MW_HTTP_H

#include "loop.h"
#include "text.h"

struct mw_http;

/* One resource. Fill *body and *type_r (static text), return the status code: 200, 404, 503...
 * query may be NULL. */
struct mw_http_route {
	const char *path; /* exact, "/health" */
	unsigned (*get)(void *arg, const char *path, struct mw_text *body, const char **type_r);
};

/* listen: "127.0.0.1:9100", "[::1]:9100", port 0 picks one. routes: ends with path NULL; borrowed
 * for life. */
enum mw_rc mw_http_open(struct mw_http **http_r, struct mw_loop *loop, const char *listen,
	const struct mw_http_route *routes, void *arg, struct mw_err *err_r);
/* The port it really listens on. */
unsigned mw_http_port(const struct mw_http *http);
void mw_http_close(struct mw_http **http_p);

#endif
