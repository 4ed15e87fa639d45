#include <stdio.h>
#include <strings.h>

#include "field.h"
#include "lines.h"
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
	[MIME_BOUNDARY_FORMS] = "boundary_forms",
	[MIME_BOUNDARY_PREFIX] = "boundary_prefix",
	[MIME_CROSSED] = "boundaries_crossed",
	[MIME_GUESSED] = "boundary_guessed",
	[MIME_BLANK_LINE] = "blank_header_line",
	[MIME_ODD_NAME] = "blank_before_colon",
	[MIME_NUL] = "nul_in_header",
	[MIME_BARE_CR] = "bare_cr",
	[MIME_BARE_LF] = "bare_lf",
	[MIME_ENCODING_JUNK] = "encoding_junk",
	[MIME_BASE64_PADDING] = "base64_after_padding",
	[MIME_BASE64_JUNK] = "base64_junk",
	[MIME_OUTSIDE] = "encoded_outside_parts",
	[MIME_PARTIAL] = "partial_message",
	[MIME_BAD_TYPE] = "bad_type",
	[MIME_EXTERNAL] = "external_body",
};

void mime_open(struct mime *m, struct mw_octets message, const struct mime_limits *limits,
	unsigned choices)
{
	const unsigned char *lf = message.n > 0 ? memchr(message.p, '\n', message.n) : NULL;

	/* The frames are left as they are: clearing 20 KiB for every mail is not free, and depth
	 * says which are in use. */
	m->limits = *limits;
	if (m->limits.depth > MIME_DEPTH_MAX)
		m->limits.depth = MIME_DEPTH_MAX;
	m->choices = choices;
	m->choices_met = 0;
	m->parts = m->errors = m->met = m->depth = m->lost_count = 0;
	m->ambiguous = false;
	m->crlf = lf != NULL && lf > message.p && lf[-1] == '\r';
	m->state = MIME_AT_START;
	m->message = message;
	m->at = m->next_cr = 0;
	m->outside.n = 0;
}

#define LINE_WINDOW 128 /* octets: more than most lines have */

/* One of the two may be far away, or nowhere: where the other one is near, that is enough. */
size_t mime_line_next_cr(struct mw_octets text, size_t i, bool bare_lf)
{
	for (size_t window = LINE_WINDOW; i < text.n; window *= 2) {
		size_t n = window < text.n - i ? window : text.n - i;
		const unsigned char *p = text.p + i, *cr, *lf = bare_lf ? memchr(p, '\n', n) : NULL;

		cr = memchr(p, '\r', lf != NULL ? (size_t)(lf - p) : n);
		if (cr != NULL) {
			i = (size_t)(cr - text.p) + 1;
			return i < text.n && text.p[i] == '\n' ? i + 1 : i;
		}
		if (lf != NULL)
			return (size_t)(lf - text.p) + 1;
		i += n;
	}
	return text.n;
}

static bool chosen(const struct mime *m, enum mime_choice choice)
{
	return (m->choices & MW_BIT(choice)) != 0;
}

/* An oddity that readers answer in two ways. */
static void question(struct mime *m, enum mime_error error, enum mime_choice choice)
{
	m->errors |= MW_BIT(error);
	m->choices_met |= MW_BIT(choice);
}

static void note(struct mime *m, enum mime_error error)
{
	m->errors |= MW_BIT(error);
}

static struct mw_octets range(const struct mime *m, size_t from, size_t to)
{
	return mw_octets_of(m->message.p + from, to > from ? to - from : 0);
}

/* The octets from `from` to the delimiter, whose line end in front belongs to it. */
static struct mw_octets range_before(
	const struct mime *m, size_t from, const struct mime_delimiter *d)
{
	return range(m, from, d->frame < 0 ? d->at : mime_line_trim(m->message, d->at, m->choices));
}

/* ------------------------------------------------------------------ delimiters (RFC 2046 section
 * 5.1.1) */

/* What may follow the boundary on its line: "--" (final), then blanks. */
static bool delimiter_ends(struct mime *m, size_t i, struct mime_delimiter *d_r)
{
	struct mw_octets text = m->message;

	d_r->final = text.n - i >= 2 && text.p[i] == '-' && text.p[i + 1] == '-';
	if (d_r->final)
		i += 2;
	while (i < text.n && (text.p[i] == ' ' || text.p[i] == '\t'))
		i++;
	if (i < text.n && text.p[i] == '\r') {
		i++;
		if (i < text.n && text.p[i] != '\n') {
			question(m, MIME_BARE_CR, MIME_CHOOSE_CR);
			d_r->next = i;
			return chosen(m, MIME_CHOOSE_CR);
		}
	} else if (i < text.n && text.p[i] == '\n' && m->crlf) {
		question(m, MIME_BARE_LF, MIME_CHOOSE_LF);
		if (chosen(m, MIME_CHOOSE_LF))
			return false;
	}
	if (i < text.n && text.p[i] != '\n')
		return false;
	d_r->next = i < text.n ? i + 1 : i;
	return true;
}

static bool begins_with(struct mw_octets text, size_t i, const char *what, size_t n)
{
	return text.n - i >= n && memcmp(text.p + i, what, n) == 0;
}

/* Does a multipart that was given up go on here? */
static void look_for_lost(struct mime *m, size_t line)
{
	struct mime_delimiter d;
	unsigned kept = m->lost_count < MIME_LOST_MAX ? m->lost_count : MIME_LOST_MAX;

	for (unsigned i = 0; i < kept; i++)
		if (begins_with(m->message, line, m->lost[i].text, m->lost[i].n) &&
			delimiter_ends(m, line + m->lost[i].n, &d))
			question(m, MIME_CROSSED, MIME_CHOOSE_INNER);
}

/* The line at i begins with two dashes: whose delimiter is it? The innermost multipart's first. */
static bool delimiter_at(struct mime *m, size_t line, struct mime_delimiter *d_r)
{
	int prefix = -1;

	d_r->at = line;
	for (int k = (int)m->depth - 1; k >= 0; k--) {
		const struct mime_frame *f = &m->frames[k];

		if (!f->multipart)
			continue;
		if (begins_with(m->message, line, f->boundary, f->boundary_len)) {
			if (delimiter_ends(m, line + f->boundary_len, d_r)) {
				d_r->frame = k;
				if (m->crlf && line > 1 && m->message.p[line - 1] == '\n' &&
					m->message.p[line - 2] != '\r')
					question(m, MIME_BARE_LF, MIME_CHOOSE_LF);
				return true;
			}
			/* Dashes alone begin any delimiter. */
			prefix = prefix < 0 && f->boundary_len > 2 ? k : prefix;
		}
		if (chosen(m, MIME_CHOOSE_INNER) && !f->closed)
			break;
	}
	if (m->lost_count > 0)
		look_for_lost(m, line);
	if (prefix < 0)
		return false;
	question(m, MIME_BOUNDARY_PREFIX, MIME_CHOOSE_PREFIX);
	if (!chosen(m, MIME_CHOOSE_PREFIX))
		return false;
	d_r->frame = prefix;
	d_r->final = begins_with(m->message, line + m->frames[prefix].boundary_len, "--", 2);
	d_r->next = mime_line_next(m->message, line, m->choices);
	return true;
}

/* Bare octets CR in the line [i, end) that dashes follow: where a CR ends lines, that may be a
 * delimiter. */
static void look_at_cr(struct mime *m, size_t end)
{
	struct mw_octets text = m->message;

	while (m->next_cr < end) {
		const unsigned char *cr = memchr(text.p + m->next_cr, '\r', text.n - m->next_cr);

		if (cr == NULL) {
			m->next_cr = text.n;
			return;
		}
		m->next_cr = (size_t)(cr - text.p);
		if (m->next_cr >= end)
			return;
		m->next_cr++;
		if (begins_with(text, m->next_cr, "--", 2))
			question(m, MIME_BARE_CR, MIME_CHOOSE_CR);
	}
}

static bool in_multipart(const struct mime *m)
{
	for (unsigned k = 0; k < m->depth; k++)
		if (m->frames[k].multipart)
			return true;
	return false;
}

/* The first delimiter of any open multipart from the line at i on. */
static void delimiter_find(struct mime *m, size_t i, struct mime_delimiter *d_r)
{
	struct mw_octets text = m->message;

	*d_r = (struct mime_delimiter){ text.n, text.n, -1, false };
	if (!in_multipart(m))
		return;
	if (m->next_cr < i)
		m->next_cr = i;
	while (i < text.n) {
		size_t end;

		if (text.p[i] == '-' && begins_with(text, i, "--", 2) && delimiter_at(m, i, d_r))
			return;
		end = mime_line_next(text, i, m->choices);
		if (m->next_cr < end)
			look_at_cr(m, end);
		i = end;
	}
	*d_r = (struct mime_delimiter){ text.n, text.n, -1, false };
}

static bool is_delimiter(void *arg, size_t line)
{
	struct mime *m = arg;
	struct mime_delimiter d;

	return m->depth > 0 && delimiter_at(m, line, &d);
}

/* ------------------------------------------------------------------ text outside of parts */

static const char *const hints[] = { "content-", "begin ", "begin-base64 ", "=ybegin " };
#define RUN_MIN 20 /* octets without a blank: shorter ones are words */

static bool line_hides(const unsigned char *p, size_t n)
{
	size_t run = 0;

	for (size_t i = 0; i < MW_COUNT(hints); i++)
		if (n >= strlen(hints[i]) &&
			strncasecmp((const char *)p, hints[i], strlen(hints[i])) == 0)
			return true;
	for (size_t i = 0; i < n && run < RUN_MIN; i++) {
		if (p[i] == '<')
			return true;
		run = p[i] == ' ' || p[i] == '\t' || p[i] == '\r' || p[i] == '\n' ? 0 : run + 1;
	}
	return run >= RUN_MIN;
}

/*
 * Is it worth a look of its own? Prose, as "This is a multi-part message in MIME format.", is not:
 * the message is scanned as a whole besides. What may be encoded or HTML is.
 */
static void keep_outside(struct mime *m, struct mw_octets text, const char *step)
{
	for (size_t i = 0; i < text.n;) {
		size_t end = mime_line_next(text, i, MW_BIT(MIME_CHOOSE_CR));

		if (line_hides(text.p + i, end - i)) {
			m->outside = text;
			m->outside_step = step;
			return;
		}
		i = end;
	}
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

static struct mime_frame *push(struct mime *m, bool multipart, const char *type)
{
	struct mime_frame *f = &m->frames[m->depth++];

	f->multipart = multipart;
	f->digest = strcmp(type, "multipart/digest") == 0;
	f->closed = false;
	f->child = 0;
	f->boundary_len = 0;
	return f;
}

/* Ends the innermost multipart or message, at a delimiter of an outer one or at the end. */
static void pop(struct mime *m)
{
	const struct mime_frame *f = &m->frames[--m->depth];
	unsigned slot = m->lost_count % MIME_LOST_MAX;

	if (!f->multipart || f->closed)
		return;
	note(m, MIME_NOT_CLOSED);
	m->lost[slot].n = f->boundary_len;
	memcpy(m->lost[slot].text, f->boundary, f->boundary_len);
	m->lost_count++;
}

/*
 * The first line of the body up to the delimiter m->end that looks like one whose boundary nobody
 * told: dashes and more, not a signature's "-- " or a rule, and what follows looks like a header.
 * empty: two dashes alone, and a field behind them.
 */
static bool boundary_guess(
	const struct mime *m, size_t i, bool empty, char boundary[MIME_BOUNDARY_MAX])
{
	struct mw_octets text = range(m, 0, m->end.at);

	while (i < text.n) {
		size_t end = mime_line_next(text, i, m->choices);
		size_t n = mime_line_trim(text, end, m->choices), next_n;
		const unsigned char *colon;

		while (n > i && (text.p[n - 1] == ' ' || text.p[n - 1] == '\t'))
			n--;
		next_n = mime_line_trim(text, mime_line_next(text, end, m->choices), m->choices);
		colon = next_n > end ? memchr(text.p + end, ':', next_n - end) : NULL;
		if (empty && n == i + 2 && begins_with(text, i, "--", 2) && colon != NULL) {
			boundary[0] = '\0';
			return true;
		}
		if (!empty && n > i + 2 && n - i - 2 < MIME_BOUNDARY_MAX &&
			begins_with(text, i, "--", 2) && text.p[n - 1] != '-' &&
			(next_n <= end || colon != NULL) && end < text.n) {
			memcpy(boundary, text.p + i + 2, n - i - 2);
			boundary[n - i - 2] = '\0';
			return memchr(boundary, '\0', n - i - 2) == NULL;
		}
		i = end;
	}
	return false;
}

/*
 * Enter a multipart: its frame is at the first delimiter then, which is m->end. False: it has none,
 * and m->end is where it ends.
 */
static bool enter_multipart(struct mime *m, const char *type, const char *boundary, size_t body)
{
	struct mime_frame *f = push(m, true, type);

	f->boundary_len = strlen(boundary) + 2;
	memcpy(f->boundary, "--", 2);
	memcpy(f->boundary + 2, boundary, f->boundary_len - 2);
	delimiter_find(m, body, &m->end);
	if (m->end.frame == (int)m->depth - 1) {
		keep_outside(m, range_before(m, body, &m->end), "preamble");
		m->state = MIME_AT_DELIMITER;
		return true;
	}
	m->depth--;
	return false;
}

static bool enter_guessed(struct mime *m, const struct mime_head *h, size_t body)
{
	char boundary[MIME_BOUNDARY_MAX];

	/* To some readers a boundary that is not told, or "", is the empty one. */
	if (h->boundary[0] == '\0' && boundary_guess(m, body, true, boundary)) {
		question(m, MIME_GUESSED, MIME_CHOOSE_FORM);
		if (chosen(m, MIME_CHOOSE_FORM))
			return enter_multipart(m, h->type, boundary, body);
	}
	if (!boundary_guess(m, body, false, boundary))
		return false;
	question(m, MIME_GUESSED, MIME_CHOOSE_GUESS);
	return chosen(m, MIME_CHOOSE_GUESS) && enter_multipart(m, h->type, boundary, body);
}

static bool is_message(const char *type)
{
	return strcmp(type, "message/rfc822") == 0 || strcmp(type, "message/global") == 0 ||
	       strcmp(type, "message/news") == 0;
}

static bool is_encoded(const struct mime_head *h)
{
	return h->encoding == MIME_BASE64 || h->encoding == MIME_QUOTED;
}

/* The multipart's end is m->end when it is not entered. */
static bool take_multipart(struct mime *m, const struct mime_head *h, size_t body)
{
	/* RFC 2045 section 6.4 forbids to encode it; readers either ignore the encoding or undo it.
	 */
	if (is_encoded(h)) {
		note(m, MIME_ENCODED_BOX);
		if (h->boundary[0] != '\0' && chosen(m, MIME_CHOOSE_BOX)) {
			delimiter_find(m, body, &m->end);
			return false;
		}
	}
	if (h->boundary[0] == '\0') {
		note(m, MIME_NO_BOUNDARY);
		delimiter_find(m, body, &m->end);
		return enter_guessed(m, h, body);
	}
	if (enter_multipart(m, h->type, h->boundary, body)) {
		if (is_encoded(h))
			question(m, MIME_ENCODED_BOX, MIME_CHOOSE_BOX);
		return true;
	}
	note(m, MIME_NOT_FOUND);
	return !is_encoded(h) && enter_guessed(m, h, body);
}

/* Does it begin as a header section does? Then the encoding may be a lie. */
static bool begins_with_field(const struct mime *m, size_t body)
{
	size_t end = mime_line_next(m->message, body, m->choices);

	return end > body && memchr(m->message.p + body, ':', end - body) != NULL;
}

static bool take_message(struct mime *m, const struct mime_head *h, size_t body)
{
	if (is_encoded(h)) {
		note(m, MIME_ENCODED_BOX);
		if (begins_with_field(m, body))
			m->choices_met |= MW_BIT(MIME_CHOOSE_BOX);
		if (!begins_with_field(m, body) || !chosen(m, MIME_CHOOSE_BOX)) {
			delimiter_find(m, body, &m->end);
			return false;
		}
	}
	push(m, false, h->type);
	m->at = body;
	m->state = MIME_AT_ENTITY;
	return true;
}

/* Descend into a box, unless its encoding or a limit forbids. False: a leaf, ended by m->end. */
static bool enter(struct mime *m, const struct mime_head *h, size_t body)
{
	bool multipart = strncmp(h->type, "multipart/", 10) == 0;

	if (strcmp(h->type, "message/partial") == 0) {
		note(m, MIME_PARTIAL);
		m->ambiguous = true;
	} else if (strcmp(h->type, "message/external-body") == 0) {
		note(m, MIME_EXTERNAL);
	}
	if (h->delimited || (!multipart && !is_message(h->type))) {
		delimiter_find(m, body, &m->end);
		return false;
	}
	if (m->depth >= m->limits.depth) {
		m->met |= MIME_MET_DEPTH;
		delimiter_find(m, body, &m->end);
		return false;
	}
	return multipart ? take_multipart(m, h, body) : take_message(m, h, body);
}

/* ------------------------------------------------------------------ from one entity to the next */

/* The text behind a final delimiter, up to the next one, which becomes m->end. */
static void skip_epilogue(struct mime *m)
{
	size_t from = m->end.next;

	delimiter_find(m, from, &m->end);
	keep_outside(m, range_before(m, from, &m->end), "epilogue");
}

/* From m->end to the next entity; also stops with text outside of parts. False: the end. */
static bool next_entity(struct mime *m)
{
	while (m->state == MIME_AT_DELIMITER && m->outside.n == 0) {
		struct mime_frame *f;

		while ((int)m->depth - 1 > m->end.frame)
			pop(m);
		if (m->end.frame < 0) {
			m->state = MIME_AT_END;
			break;
		}
		f = &m->frames[m->end.frame];
		if (m->end.final) {
			f->closed = true;
			skip_epilogue(m);
			continue;
		}
		if (f->closed) { /* some readers show them */
			note(m, MIME_AFTER_CLOSE);
			m->ambiguous = true;
			f->closed = false;
		}
		m->at = m->end.next;
		m->state = MIME_AT_ENTITY;
		/* A delimiter that nothing follows begins no part. */
		if (m->at == m->message.n)
			m->end = (struct mime_delimiter){ m->at, m->at, -1, false };
		if (m->at == m->message.n)
			m->state = MIME_AT_DELIMITER;
	}
	return m->state != MIME_AT_END || m->outside.n != 0;
}

static bool count_part(struct mime *m)
{
	if (m->parts < m->limits.parts) {
		m->parts++;
		return true;
	}
	m->met |= MIME_MET_PARTS;
	m->state = MIME_AT_END;
	m->outside.n = 0;
	return false;
}

static void entity_clear(const struct mime *m, struct mime_entity *e)
{
	path_of(m, e->path);
	e->leaf = true;
	e->outside = e->junk = false;
	e->depth = m->depth;
	e->encoding = MIME_IDENTITY;
	e->boundary[0] = e->name[0] = '\0';
	e->names.count = 0;
	e->names.cut = false;
	e->names.n = 0;
}

static bool give_outside(struct mime *m, struct mime_entity *e_r)
{
	unsigned depth = m->depth;
	size_t n;

	if (!count_part(m))
		return false;
	/* It lies in the multipart that the delimiter belongs to, or that is still open. */
	m->depth = depth > 0 ? depth - 1 : 0;
	entity_clear(m, e_r);
	m->depth = depth;
	e_r->depth = depth;
	e_r->outside = true;
	n = strlen(e_r->path);
	snprintf(e_r->path + n, sizeof(e_r->path) - n, "/%s", m->outside_step);
	mw_strlcpy(e_r->type, "text/plain", sizeof(e_r->type));
	e_r->body = m->outside;
	m->outside.n = 0;
	return true;
}

static void take_head(struct mime *m, const struct mime_head *h, struct mime_entity *e_r)
{
	m->errors |= h->errors;
	m->choices_met |= h->choices_met;
	m->ambiguous = m->ambiguous || h->ambiguous;
	if (h->forms_cut)
		m->met |= MIME_MET_FORMS;
	e_r->encoding = h->encoding;
	e_r->junk = h->encoding_junk;
	mw_strlcpy(e_r->type, h->type, sizeof(e_r->type));
	mw_strlcpy(e_r->name, h->name, sizeof(e_r->name));
	e_r->names.count = h->names.count;
	e_r->names.cut = h->names.cut;
	e_r->names.n = h->names.n;
	memcpy(e_r->names.text, h->names.text, h->names.n);
}

/* A part of a digest that says no type is a message (RFC 2046 section 5.1.5); one that says what is
 * none, too, or a text (RFC 2045 section 5.2). */
static bool is_default_message(struct mime *m, const struct mime_head *h)
{
	if (h->bad_type)
		question(m, MIME_BAD_TYPE, MIME_CHOOSE_TEXT);
	return !h->has_type && !(h->bad_type && chosen(m, MIME_CHOOSE_TEXT));
}

bool mime_next(struct mime *m, struct mime_entity *e_r)
{
	const struct mime_how how = { m->choices, m->crlf, is_delimiter, m };
	struct mime_head h;
	bool digest = false;

	if (m->state == MIME_AT_START)
		m->state = MIME_AT_ENTITY;
	if (!next_entity(m))
		return false;
	if (m->outside.n != 0)
		return give_outside(m, e_r);
	if (!count_part(m))
		return false;
	if (m->depth > 0) {
		m->frames[m->depth - 1].child++;
		digest = m->frames[m->depth - 1].digest;
	}
	entity_clear(m, e_r);
	mime_head_read(&h, m->message, m->at, &how);
	take_head(m, &h, e_r);
	if (digest && is_default_message(m, &h)) {
		mw_strlcpy(h.type, "message/rfc822", sizeof(h.type));
		mw_strlcpy(e_r->type, h.type, sizeof(e_r->type));
	}
	e_r->leaf = !enter(m, &h, h.body);
	e_r->body = range(m, h.body, m->message.n);
	if (!e_r->leaf)
		return true;
	e_r->body = range_before(m, h.body, &m->end);
	if (is_encoded(&h) && strncmp(h.type, "multipart/", 10) == 0)
		mw_strlcpy(e_r->boundary, h.boundary, sizeof(e_r->boundary));
	m->state = MIME_AT_DELIMITER;
	return true;
}

bool mime_open_body(struct mime *m, struct mw_octets body, const struct mime_entity *box,
	const struct mime_limits *limits, unsigned choices)
{
	mime_open(m, body, limits, choices);
	if (m->limits.depth == 0)
		return false;
	return box->boundary[0] != '\0' && enter_multipart(m, box->type, box->boundary, 0);
}
