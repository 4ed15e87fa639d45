/*
 * ICAP (RFC 3507) as octets in memory: the heads of requests, and a reader of responses that takes
 * them piece by piece.
 *
 * Of a response these are read: its status, what it says of an infection (X-Infection-Found,
 * X-Virus-ID, X-Violations-Found, as c-icap, Trend, Symantec and others send them), the status of
 * the HTTP message inside, and its body, which a server must not change without a word.
 */
#ifndef SCAN_AV_ICAP_H
#define SCAN_AV_ICAP_H

#include "base.h"

#define ICAP_HEAD_MAX (16 * 1024) /* octets of all header fields of a response */
#define ICAP_LINE_MAX 256	  /* of a chunk's head or a trailer's line */
#define ICAP_NAME_MAX 128
#define ICAP_PREVIEW_MAX (64 * 1024) /* octets that are sent ahead, whatever the server likes */
#define ICAP_BODY_MAX (1u << 30)     /* octets of a body that are read */
#define ICAP_HEAD_ROOM 2048	     /* of a request's heads */

enum icap_where {
	ICAP_AT_HEAD,  /* fields of ICAP, then of HTTP */
	ICAP_AT_CHUNK, /* the length of the next chunk */
	ICAP_AT_DATA,  /* octets of a chunk */
	ICAP_AT_DATA_END,
	ICAP_AT_TRAILER,
	ICAP_AT_END
};

struct icap_reader {
	enum icap_where where;
	size_t n, icap_n; /* of head; of it: ICAP's own fields, 0: not all there */
	char head[ICAP_HEAD_MAX];
	size_t line_n;
	char line[ICAP_LINE_MAX];
	uint64_t chunk_left, body_octets;
	/* read from the head */
	unsigned status, inner; /* inner 0: no HTTP response inside */
	size_t inner_n;		/* octets of HTTP's heads */
	bool has_body, close;
	bool infected;
	char name[ICAP_NAME_MAX]; /* printable ASCII; "" when it is infected by nothing in
				     particular */
	long preview;		  /* of OPTIONS; -1: none */
	bool allows_204;
	unsigned ttl_s, connections; /* 0: it did not say */
};

void icap_begin(struct icap_reader *r);
/*
 * Take octets from *in. 1: the response is whole (status 100 too), what is left in *in is of the
 * next; 0: more wanted; 2: *body_r (borrowed from *in) is of the body, call again; -1: refused, and
 * why_r says why.
 */
int icap_take(
	struct icap_reader *r, struct mw_octets *in, struct mw_octets *body_r, const char **why_r);

/* The heads that go before a body's octets; 0: they do not fit. preview < 0: none. last: the
 * preview is all there is. */
struct icap_request {
	const char *host, *service; /* "127.0.0.1:1344" or a socket's path; "avscan" */
	bool reqmod;
	uint64_t octets;
	long preview;
};
size_t icap_options_head(char *buf, size_t size, const struct icap_request *q);
size_t icap_request_head(char *buf, size_t size, const struct icap_request *q);

#endif
