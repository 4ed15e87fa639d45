#include "av_icap.h"

#include <ctype.h>
#include <stdio.h>

#define CHUNK_DIGITS_MAX 8

/* ------------------------------------------------------------------ requests */

/* A socket's path is no host name (RFC 3507 section 4.2). */
static const char *host_of(const struct icap_request *q)
{
	return q->host[0] == '/' ? "localhost" : q->host;
}

static size_t fits(int n, size_t size)
{
	return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

size_t icap_options_head(char *buf, size_t size, const struct icap_request *q)
{
	return fits(snprintf(buf, size,
			    "OPTIONS icap://%s/%s ICAP/1.0\r\nHost: %s\r\nUser-Agent: Mailweir\r\n"
			    "Encapsulated: null-body=0\r\n\r\n",
			    host_of(q), q->service, host_of(q)),
		size);
}

/* What is inside: a file that was asked for, or one that is sent. */
static size_t inner_heads(char *buf, size_t size, const struct icap_request *q, size_t *first_r)
{
	int first = q->reqmod ? snprintf(buf, size,
					"POST http://mail.invalid/part HTTP/1.1\r\nHost: "
					"mail.invalid\r\nContent-Type: application/octet-stream\r\n"
					"Content-Length: %llu\r\n\r\n",
					(unsigned long long)q->octets)
			      : snprintf(buf, size,
					"GET http://mail.invalid/part HTTP/1.1\r\nHost: "
					"mail.invalid\r\n\r\n");
	int second;

	*first_r = fits(first, size);
	if (*first_r == 0 || q->reqmod)
		return *first_r;
	second = snprintf(buf + first, size - (size_t)first,
		"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: "
		"%llu\r\n\r\n",
		(unsigned long long)q->octets);
	return fits(second, size - (size_t)first) != 0 ? (size_t)(first + second) : 0;
}

size_t icap_request_head(char *buf, size_t size, const struct icap_request *q)
{
	char inner[512], where[80], preview[40] = "";
	size_t first = 0, n = inner_heads(inner, sizeof(inner), q, &first), head;

	if (n == 0)
		return 0;
	if (q->reqmod)
		snprintf(where, sizeof(where), "req-hdr=0, req-body=%zu", n);
	else
		snprintf(where, sizeof(where), "req-hdr=0, res-hdr=%zu, res-body=%zu", first, n);
	if (q->preview >= 0)
		snprintf(preview, sizeof(preview), "Preview: %ld\r\n", q->preview);
	head = fits(snprintf(buf, size,
			    "%s icap://%s/%s ICAP/1.0\r\nHost: %s\r\nUser-Agent: Mailweir\r\n"
			    "Allow: 204\r\n%sEncapsulated: %s\r\n\r\n%s",
			    q->reqmod ? "REQMOD" : "RESPMOD", host_of(q), q->service, host_of(q),
			    preview, where, inner),
		size);
	return head;
}

/* ------------------------------------------------------------------ a response's head */

void icap_begin(struct icap_reader *r)
{
	r->where = ICAP_AT_HEAD;
	r->n = r->icap_n = r->line_n = r->inner_n = 0;
	r->chunk_left = r->body_octets = 0;
	r->status = r->inner = 0;
	r->has_body = r->close = r->infected = r->allows_204 = false;
	r->name[0] = '\0';
	r->preview = -1;
	r->ttl_s = r->connections = 0;
}

static const char *find(const char *text, size_t n, const char *what)
{
	return memmem(text, n, what, strlen(what));
}

/* "ICAP/1.0 204 No modifications needed". 0: it is none. */
static unsigned status_of(const char *line, size_t n, const char *protocol)
{
	size_t m = strlen(protocol);
	const char *p =
		n > m + 7 && memcmp(line, protocol, m) == 0 ? memchr(line, ' ', m + 4) : NULL;

	if (p == NULL || line + n - p < 4 || !isdigit((unsigned char)p[1]) ||
		!isdigit((unsigned char)p[2]) || !isdigit((unsigned char)p[3]))
		return 0;
	return (unsigned)((p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0'));
}

static unsigned long number_of(const char *p, size_t n, unsigned long most)
{
	unsigned long v = 0;

	for (; n > 0 && isdigit((unsigned char)*p); p++, n--) {
		v = v * 10 + (unsigned long)(*p - '0');
		if (v > most)
			return most;
	}
	return v;
}

static void keep_name(struct icap_reader *r, const char *p, size_t n)
{
	r->infected = true;
	if (r->name[0] != '\0' || n == 0)
		return;
	mw_strncpy(r->name, sizeof(r->name), p, n);
	for (char *c = r->name; *c != '\0'; c++)
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
}

/* "Type=0; Resolution=2; Threat=Eicar-Test-Signature;" */
static void take_infection(struct icap_reader *r, const char *p, size_t n)
{
	const char *threat = find(p, n, "Threat=");
	const char *from = threat != NULL ? threat + 7 : p, *end;

	n -= (size_t)(from - p);
	end = memchr(from, ';', n);
	keep_name(r, from, end != NULL ? (size_t)(end - from) : n);
}

/* "1" and then lines of their own with file, name, number, what was done (a folded field). */
static void take_violations(struct icap_reader *r, const char *p, size_t n)
{
	unsigned long count = number_of(p, n, 1000000);
	const char *line = count > 0 ? memchr(p, '\n', n) : NULL;

	if (count == 0)
		return;
	r->infected = true;
	/* The second of the four lines is its name. */
	for (int i = 0; line != NULL && i < 1; i++)
		line = memchr(line + 1, '\n', n - (size_t)(line + 1 - p));
	if (line != NULL) {
		const char *from = line + 1 + strspn(line + 1, " \t");
		size_t left = n - (size_t)(from - p);
		const char *end = left <= n ? memchr(from, '\r', left) : NULL;

		if (left <= n)
			keep_name(r, from, end != NULL ? (size_t)(end - from) : left);
	}
}

static void take_virus_id(struct icap_reader *r, const char *p, size_t n)
{
	keep_name(r, p, n);
}

static void take_connection(struct icap_reader *r, const char *p, size_t n)
{
	r->close = r->close || (n >= 5 && strncasecmp(p, "close", 5) == 0);
}

static void take_preview(struct icap_reader *r, const char *p, size_t n)
{
	r->preview =
		n > 0 && isdigit((unsigned char)*p) ? (long)number_of(p, n, ICAP_PREVIEW_MAX) : -1;
}

static void take_allow(struct icap_reader *r, const char *p, size_t n)
{
	r->allows_204 = find(p, n, "204") != NULL;
}

static void take_ttl(struct icap_reader *r, const char *p, size_t n)
{
	r->ttl_s = (unsigned)number_of(p, n, 86400);
}

static void take_connections(struct icap_reader *r, const char *p, size_t n)
{
	r->connections = (unsigned)number_of(p, n, 10000);
}

/* "res-hdr=0, res-body=137": where the body is, and whether there is one. */
static void take_encapsulated(struct icap_reader *r, const char *p, size_t n)
{
	const char *body = find(p, n, "-body=");

	r->has_body = body != NULL && (body - p < 4 || memcmp(body - 4, "null", 4) != 0);
	r->inner_n = body != NULL
			     ? number_of(body + 6, n - (size_t)(body + 6 - p), ICAP_HEAD_MAX + 1)
			     : 0;
}

static const struct {
	const char *name;
	void (*take)(struct icap_reader *r, const char *p, size_t n);
} fields[] = {
	{ "X-Infection-Found", take_infection },
	{ "X-Violations-Found", take_violations },
	{ "X-Virus-ID", take_virus_id },
	{ "X-Virus-Name", take_virus_id },
	{ "Connection", take_connection },
	{ "Preview", take_preview },
	{ "Allow", take_allow },
	{ "Options-TTL", take_ttl },
	{ "Max-Connections", take_connections },
	{ "Encapsulated", take_encapsulated },
};

/* One field with its folds; n without the last CRLF. */
static void take_field(struct icap_reader *r, const char *p, size_t n)
{
	for (size_t i = 0; i < MW_COUNT(fields); i++) {
		size_t m = strlen(fields[i].name);
		const char *v = p + m + 1;

		if (n <= m || p[m] != ':' || strncasecmp(p, fields[i].name, m) != 0)
			continue;
		while (v < p + n && (*v == ' ' || *v == '\t'))
			v++;
		fields[i].take(r, v, (size_t)(p + n - v));
	}
}

static void take_fields(struct icap_reader *r)
{
	const char *p = r->head, *end = r->head + r->icap_n - 2; /* the empty line */

	while (p < end) {
		const char *line = p, *next;

		do {
			next = find(line, (size_t)(end - line), "\r\n");
			line = next != NULL ? next + 2 : end;
		} while (next != NULL && line < end && (*line == ' ' || *line == '\t'));
		take_field(r, p, (size_t)((next != NULL ? next : end) - p));
		p = line;
	}
}

static int refuse(const char **why_r, const char *why)
{
	*why_r = why;
	return -1;
}

/* ICAP's fields are there: what is inside? */
static int head_of_icap(struct icap_reader *r, const char **why_r)
{
	r->status = status_of(r->head, r->icap_n, "ICAP/");
	if (r->status == 0)
		return refuse(why_r, "not an ICAP server's response");
	take_fields(r);
	if (r->status == 100 || r->status == 204)
		r->has_body = false, r->inner_n = 0;
	if (r->inner_n > ICAP_HEAD_MAX - r->icap_n)
		return refuse(why_r, "header too long");
	return 0;
}

static int head_of_http(struct icap_reader *r)
{
	if (r->inner_n > 0)
		r->inner = status_of(r->head + r->icap_n, r->inner_n, "HTTP/");
	r->where = r->has_body ? ICAP_AT_CHUNK : ICAP_AT_END;
	return 0;
}

static int take_head(struct icap_reader *r, struct mw_octets *in, const char **why_r)
{
	while (in->n > 0) {
		if (r->icap_n > 0 && r->n == r->icap_n + r->inner_n)
			return head_of_http(r);
		if (r->n == sizeof(r->head))
			return refuse(why_r, "header too long");
		r->head[r->n++] = (char)in->p[0];
		*in = mw_octets_of(in->p + 1, in->n - 1);
		if (r->icap_n == 0 && r->n >= 4 && memcmp(r->head + r->n - 4, "\r\n\r\n", 4) == 0) {
			r->icap_n = r->n;
			if (head_of_icap(r, why_r) < 0)
				return -1;
		}
	}
	return r->icap_n > 0 && r->n == r->icap_n + r->inner_n ? head_of_http(r) : 0;
}

/* ------------------------------------------------------------------ its body: chunks (RFC
 * 9112 7.1) */

/* 1: a whole line is in r->line, without its CRLF, terminated. */
static int take_line(struct icap_reader *r, struct mw_octets *in, const char **why_r)
{
	while (in->n > 0) {
		char c = (char)in->p[0];

		*in = mw_octets_of(in->p + 1, in->n - 1);
		if (c == '\n') {
			if (r->line_n > 0 && r->line[r->line_n - 1] == '\r')
				r->line_n--;
			r->line[r->line_n] = '\0';
			r->line_n = 0;
			return 1;
		}
		if (r->line_n == sizeof(r->line) - 1)
			return refuse(why_r, "line too long");
		r->line[r->line_n++] = c;
	}
	return 0;
}

static int take_chunk(struct icap_reader *r, const char **why_r)
{
	size_t n = strspn(r->line, "0123456789abcdefABCDEF");

	if (n == 0 || n > CHUNK_DIGITS_MAX ||
		(r->line[n] != '\0' && r->line[n] != ';' && r->line[n] != ' '))
		return refuse(why_r, "bad chunk");
	r->chunk_left = 0;
	for (size_t i = 0; i < n; i++) {
		int c = tolower((unsigned char)r->line[i]);

		r->chunk_left = r->chunk_left * 16 + (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	if (r->chunk_left > ICAP_BODY_MAX - r->body_octets)
		return refuse(why_r, "body too long");
	r->where = r->chunk_left > 0 ? ICAP_AT_DATA : ICAP_AT_TRAILER;
	return 0;
}

static void take_data(struct icap_reader *r, struct mw_octets *in, struct mw_octets *body_r)
{
	size_t n = in->n < r->chunk_left ? in->n : (size_t)r->chunk_left;

	*body_r = mw_octets_of(in->p, n);
	*in = mw_octets_of(in->p + n, in->n - n);
	r->chunk_left -= n;
	r->body_octets += n;
	if (r->chunk_left == 0)
		r->where = ICAP_AT_DATA_END;
}

static int take_body(
	struct icap_reader *r, struct mw_octets *in, struct mw_octets *body_r, const char **why_r)
{
	int rc;

	if (r->where == ICAP_AT_DATA) {
		take_data(r, in, body_r);
		return 2;
	}
	rc = take_line(r, in, why_r);
	if (rc <= 0)
		return rc;
	switch (r->where) {
	case ICAP_AT_CHUNK:
		return take_chunk(r, why_r);
	case ICAP_AT_DATA_END:
		if (r->line[0] != '\0')
			return refuse(why_r, "bad chunk");
		r->where = ICAP_AT_CHUNK;
		return 0;
	default: /* a trailer ends with an empty line */
		if (r->line[0] == '\0')
			r->where = ICAP_AT_END;
		return 0;
	}
}

int icap_take(
	struct icap_reader *r, struct mw_octets *in, struct mw_octets *body_r, const char **why_r)
{
	int rc = 0;

	while (rc == 0 && r->where != ICAP_AT_END && in->n > 0)
		rc = r->where == ICAP_AT_HEAD ? take_head(r, in, why_r)
					      : take_body(r, in, body_r, why_r);
	return rc != 0 ? rc : r->where == ICAP_AT_END;
}
