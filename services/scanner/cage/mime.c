#include <stdio.h>

#include "field.h"
#include "mime.h"

const char *const mime_error_words[MIME_ERROR_COUNT] = {
	[MIME_NO_BOUNDARY] = "no_boundary",
	[MIME_NOT_FOUND] = "boundary_not_found",
	[MIME_NOT_CLOSED] = "no_final_boundary",
	[MIME_AFTER_CLOSE] = "parts_after_final_boundary",
	[MIME_TWO_FIELDS] = "duplicate_field",
	[MIME_TWO_PARAMETERS] = "duplicate_parameter",
	[MIME_BAD_HEADER] = "bad_header_line",
	[MIME_ENCODED_BOX] = "encoded_multipart",
	[MIME_UNKNOWN_ENCODING] = "unknown_encoding",
	[MIME_LONG_FIELD] = "long_field",
};

void mime_open(struct mime *m, struct mw_octets message, const struct mime_limits *limits,
	enum mime_reading reading)
{
	/* The frames are left as they are: clearing 20 KiB for every mail is not free, and depth
	 * says which are in use. */
	m->limits = *limits;
	if (m->limits.depth > MIME_DEPTH_MAX)
		m->limits.depth = MIME_DEPTH_MAX;
	m->reading = reading;
	m->parts = m->errors = m->met = m->depth = 0;
	m->ambiguous = m->started = false;
	m->message = message;
}

static void note(struct mime *m, enum mime_error error, bool ambiguous)
{
	m->errors |= MW_BIT(error);
	m->ambiguous = m->ambiguous || ambiguous;
}

/* ------------------------------------------------------------------ boundaries (RFC 2046
 * section 5.1.1) */

struct delimiter {
	size_t at;   /* of its first dash */
	size_t next; /* behind its line end */
	bool final;
};

/* What may follow the boundary on its line: "--" (final), then blanks. */
static bool delimiter_ends(struct mw_octets text, size_t i, struct delimiter *d_r)
{
	d_r->final = text.n - i >= 2 && text.p[i] == '-' && text.p[i + 1] == '-';
	if (d_r->final)
		i += 2;
	while (i < text.n && (text.p[i] == ' ' || text.p[i] == '\t'))
		i++;
	if (i < text.n && text.p[i] == '\r')
		i++;
	if (i < text.n && text.p[i] != '\n')
		return false;
	d_r->next = i < text.n ? i + 1 : i;
	return true;
}

static bool delimiter_find(const struct mime_frame *f, struct mw_octets text, struct delimiter *d_r)
{
	size_t from = 0;

	while (text.n - from >= f->boundary_len) {
		const unsigned char *p =
			memmem(text.p + from, text.n - from, f->boundary, f->boundary_len);
		size_t at;

		if (p == NULL)
			return false;
		at = (size_t)(p - text.p);
		if ((at == 0 || text.p[at - 1] == '\n') &&
			delimiter_ends(text, at + f->boundary_len, d_r)) {
			d_r->at = at;
			return true;
		}
		from = at + 1;
	}
	return false;
}

/* The line end before a delimiter belongs to the delimiter. */
static size_t without_line_end(struct mw_octets text, size_t n)
{
	if (n > 0 && text.p[n - 1] == '\n')
		n--;
	if (n > 0 && text.p[n - 1] == '\r')
		n--;
	return n;
}

static struct mw_octets octets_from(struct mw_octets o, size_t at)
{
	return mw_octets_of(o.p + at, o.n - at);
}

/* ------------------------------------------------------------------ frames */

/* Where the entity stands: 1 is the message itself, then the number of the part on each level. */
static void path_of(const struct mime *m, char path[MIME_PATH_MAX])
{
	size_t n = mw_strlcpy(path, "1", MIME_PATH_MAX);

	for (unsigned i = 0; i < m->depth && n < MIME_PATH_MAX - 12; i++) {
		int w = snprintf(path + n, MIME_PATH_MAX - n, "/%u", m->frames[i].child);

		n += w > 0 ? (size_t)w : 0;
	}
}

/* Enter a multipart: its frame starts at the first delimiter. False: read it as a leaf. */
static bool enter_multipart(struct mime *m, const struct mime_head *h, struct mw_octets body)
{
	struct mime_frame *f = &m->frames[m->depth];
	struct delimiter d;

	if (h->boundary[0] == '\0') {
		note(m, MIME_NO_BOUNDARY, false);
		return false;
	}
	f->boundary_len = (size_t)snprintf(f->boundary, sizeof(f->boundary), "--%s", h->boundary);
	if (!delimiter_find(f, body, &d)) {
		note(m, MIME_NOT_FOUND, false);
		return false;
	}
	f->kind = MIME_IN_MULTIPART;
	f->child = 0;
	f->digest = strcmp(h->type, "multipart/digest") == 0;
	f->closed = d.final;
	f->rest = octets_from(body, d.next);
	m->depth++;
	return true;
}

static void enter_message(struct mime *m, struct mw_octets body)
{
	struct mime_frame *f = &m->frames[m->depth++];

	f->kind = MIME_IN_MESSAGE;
	f->child = 0;
	f->digest = false;
	f->rest = body;
}

/*
 * Next part of the innermost multipart. Parts behind the final boundary are read too: some readers
 * show them. False: no more.
 */
static bool next_part(struct mime *m, struct mime_frame *f, struct mw_octets *part_r)
{
	struct delimiter d;

	while (f->closed) {
		if (!delimiter_find(f, f->rest, &d))
			return false;
		note(m, MIME_AFTER_CLOSE, true);
		f->closed = d.final;
		f->rest = octets_from(f->rest, d.next);
	}
	if (delimiter_find(f, f->rest, &d)) {
		*part_r = mw_octets_of(f->rest.p, without_line_end(f->rest, d.at));
		f->rest = octets_from(f->rest, d.next);
		f->closed = d.final;
		return true;
	}
	if (f->rest.n == 0 && f->child > 0)
		return false;
	note(m, MIME_NOT_CLOSED, false);
	*part_r = f->rest;
	f->rest = mw_octets_of(f->rest.p + f->rest.n, 0);
	f->closed = true;
	return part_r->n > 0;
}

static bool next_range(struct mime *m, struct mw_octets *range_r, bool *digest_r)
{
	*digest_r = false;
	if (!m->started) {
		m->started = true;
		*range_r = m->message;
		return true;
	}
	while (m->depth > 0) {
		struct mime_frame *f = &m->frames[m->depth - 1];
		bool more = f->kind == MIME_IN_MULTIPART ? next_part(m, f, range_r) : f->child == 0;

		if (more) {
			if (f->kind == MIME_IN_MESSAGE)
				*range_r = f->rest;
			f->child++;
			*digest_r = f->digest;
			return true;
		}
		m->depth--;
	}
	return false;
}

static bool is_message(const char *type)
{
	return strcmp(type, "message/rfc822") == 0 || strcmp(type, "message/global") == 0 ||
	       strcmp(type, "message/news") == 0;
}

/* Descend into a box, unless its encoding or a limit forbids. True: its parts follow. */
static bool enter(struct mime *m, const struct mime_head *h, struct mw_octets body)
{
	bool multipart = strncmp(h->type, "multipart/", 10) == 0;

	if (!multipart && !is_message(h->type))
		return false;
	if (h->encoding == MIME_BASE64 || h->encoding == MIME_QUOTED) {
		/* RFC 2045 section 6.4 forbids it; readers either ignore the encoding or undo it.
		 */
		note(m, MIME_ENCODED_BOX, false);
		if (!multipart || m->reading == MIME_LAST)
			return false;
	}
	if (m->depth >= m->limits.depth) {
		m->met |= MIME_MET_DEPTH;
		return false;
	}
	if (multipart)
		return enter_multipart(m, h, body);
	enter_message(m, body);
	return true;
}

bool mime_next(struct mime *m, struct mime_entity *e_r)
{
	struct mime_head h;
	struct mw_octets range;
	bool digest;

	if (!next_range(m, &range, &digest))
		return false;
	if (m->parts == m->limits.parts) {
		m->met |= MIME_MET_PARTS;
		m->depth = 0;
		return false;
	}
	m->parts++;
	mime_head_read(&h, range, m->reading);
	if (digest && !h.has_type)
		mw_strlcpy(h.type, "message/rfc822", sizeof(h.type));
	m->errors |= h.errors;
	m->ambiguous = m->ambiguous || h.ambiguous;
	path_of(m, e_r->path);
	e_r->depth = m->depth;
	e_r->encoding = h.encoding;
	mw_strlcpy(e_r->type, h.type, sizeof(e_r->type));
	mw_strlcpy(e_r->name, h.name, sizeof(e_r->name));
	e_r->body = octets_from(range, h.body);
	e_r->leaf = !enter(m, &h, e_r->body);
	return true;
}
