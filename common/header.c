#include "header.h"

#include <stdlib.h>

#define FIELDS_AT_FIRST 64 /* a usual mail has 20 to 50 */

/* ftext of RFC 5322 section 3.6.8: printable ASCII but the colon. */
static bool is_name_octet(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != ':';
}

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t';
}

/*
 * lower holds lower-case letters, digits and hyphens only. In a name or 0x20 makes just capitals
 * into small letters: the control octets that it would map on a hyphen or digit do not occur there.
 */
static bool name_is(const unsigned char *name, const char *lower, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((name[i] | 0x20) != (unsigned char)lower[i])
			return false;
	return true;
}

/* The whole family of X-Spam-* that spam engines write, and that is removed or looked at as one. */
static bool is_x_spam(const unsigned char *rest, size_t n)
{
	static const char *const names[] = { "status", "level", "flag", "score", "report", "tests",
		"checker-version" };

	for (size_t i = 0; i < MW_COUNT(names); i++)
		if (strlen(names[i]) == n && name_is(rest, names[i], n))
			return true;
	return false;
}

static enum mw_field_id x_name_id(const unsigned char *name, size_t n)
{
	if (n > 7 && name_is(name, "x-spam-", 7))
		return is_x_spam(name + 7, n - 7) ? MW_H_X_SPAM : MW_H_OTHER;
	if (n > 9 && name_is(name, "x-amavis-", 9))
		return MW_H_X_AMAVIS;
	if (n == 8 && name_is(name, "x-mailer", n))
		return MW_H_X_MAILER;
	if (n == 15 && name_is(name, "x-virus-scanned", n))
		return MW_H_X_VIRUS_SCANNED;
	if (n == 15 && name_is(name, "x-quarantine-id", n))
		return MW_H_X_QUARANTINE_ID;
	return MW_H_OTHER;
}

/*
 * A perfect hash: length and middle letter leave one name to compare with. Two names with the same
 * key do not compile (duplicate case).
 */
#define KEY(n, middle) ((n)*32u + ((middle)&31u))
#define NAME_2(middle, id, lower, id_2, lower_2) /* two that have the same key */                  \
	case KEY(sizeof(lower) - 1, middle):                                                       \
		return name_is(name, lower, sizeof(lower) - 1)	     ? (id)                        \
		       : name_is(name, lower_2, sizeof(lower_2) - 1) ? (id_2)                      \
								     : MW_H_OTHER;
#define NAME(middle, id, lower)                                                                    \
	case KEY(sizeof(lower) - 1, middle):                                                       \
		return name_is(name, lower, sizeof(lower) - 1) ? (id) : MW_H_OTHER;

static enum mw_field_id name_id(const unsigned char *name, size_t n)
{
	if (n < 2)
		return MW_H_OTHER;
	if ((name[0] | 0x20) == 'x' && name[1] == '-')
		return x_name_id(name, n);
	/* clang-format off */
	switch (KEY(n, name[n / 2])) {
	NAME('o', MW_H_TO, "to")
	NAME('c', MW_H_CC, "cc")
	NAME('c', MW_H_BCC, "bcc")
	NAME('o', MW_H_FROM, "from")
	NAME('t', MW_H_DATE, "date")
	NAME('d', MW_H_SENDER, "sender")
	NAME('j', MW_H_SUBJECT, "subject")
	NAME('t', MW_H_LIST_ID, "list-id")
	NAME('i', MW_H_RECEIVED, "received")
	NAME('y', MW_H_REPLY_TO, "reply-to")
	NAME('-', MW_H_LIST_POST, "list-post")
	NAME('g', MW_H_MESSAGE_ID, "message-id")
	NAME('e', MW_H_REFERENCES, "references")
	NAME('a', MW_H_USER_AGENT, "user-agent")
	NAME('d', MW_H_PRECEDENCE, "precedence")
	NAME('n', MW_H_RETURN_PATH, "return-path")
	NAME('p', MW_H_IN_REPLY_TO, "in-reply-to")
	NAME('t', MW_H_CONTENT_TYPE, "content-type")
	NAME('g', MW_H_MAILING_LIST, "mailing-list")
	NAME('b', MW_H_AUTO_SUBMITTED, "auto-submitted")
	NAME('g', MW_H_DKIM_SIGNATURE, "dkim-signature")
	NAME('u', MW_H_LIST_UNSUBSCRIBE, "list-unsubscribe")
	NAME_2('i', MW_H_AUTHENTICATION_RESULTS, "authentication-results",
		MW_H_MIME_AMBIGUITY_RESULTS, "mime-ambiguity-results")
	NAME('s', MW_H_CONTENT_TRANSFER_ENCODING, "content-transfer-encoding")
	NAME('n', MW_H_CONTENT_ID, "content-id")
	NAME('e', MW_H_CONTENT_DESCRIPTION, "content-description")
	NAME('i', MW_H_CONTENT_DISPOSITION, "content-disposition")
	NAME('e', MW_H_MIME_VERSION, "mime-version")
	default:
		return MW_H_OTHER;
	}
	/* clang-format on */
}

/* Fill *f for the line p[at..end), which does not begin with a blank or is the message's first. */
static void field_begin(struct mw_field *f, const unsigned char *p, size_t at, size_t end)
{
	size_t i = at, name_end;

	*f = (struct mw_field){ .at = (uint32_t)at, .value = (uint32_t)at };
	while (i < end && is_name_octet(p[i]))
		i++;
	name_end = i;
	while (i < end && is_blank(p[i])) /* obsolete syntax, RFC 5322 section 4.5 */
		i++;
	if (name_end == at || name_end - at > UINT16_MAX || i == end || p[i] != ':')
		return;
	f->name_len = (uint16_t)(name_end - at);
	f->value = (uint32_t)(i + 1);
	f->id = (uint16_t)name_id(p + at, f->name_len);
}

static enum mw_rc field_room(struct mw_header *h)
{
	size_t cap = h->cap == 0 ? FIELDS_AT_FIRST : h->cap * 2;
	struct mw_field *bigger;

	if (h->count < h->cap)
		return MW_OK;
	if (h->count >= MW_HEADER_FIELDS_MAX)
		return MW_ERR_LIMIT;
	bigger = realloc(h->fields, cap * sizeof(*bigger));
	if (bigger == NULL)
		return MW_ERR_NOMEM;
	h->fields = bigger;
	h->cap = cap;
	return MW_OK;
}

/* Offset behind the CRLF of the line at `at`; n when there is none. A lone LF is an octet like any
 * other. */
static size_t line_end(const unsigned char *p, size_t at, size_t n)
{
	const unsigned char *lf = p + at;

	while ((lf = memchr(lf, '\n', (size_t)(p + n - lf))) != NULL) {
		if (lf > p + at && lf[-1] == '\r')
			return (size_t)(lf + 1 - p);
		if (++lf == p + n)
			break;
	}
	return n;
}

static enum mw_rc index_lines(struct mw_header *h, struct mw_octets m)
{
	/* No further than the limit: a large body without an empty line before it is not walked
	 * through. */
	size_t most = m.n < MW_HEADER_OCTETS_MAX + 2 ? m.n : MW_HEADER_OCTETS_MAX + 2;
	size_t at = 0, end;
	enum mw_rc rc;

	for (; at < most; at = end) {
		end = line_end(m.p, at, most);
		if (end - at == 2 && m.p[at] == '\r' && m.p[at + 1] == '\n') {
			h->section.n = at;
			h->body = end;
			return MW_OK;
		}
		if (end > MW_HEADER_OCTETS_MAX)
			return MW_ERR_LIMIT;
		if (is_blank(m.p[at]) && h->count > 0) {
			h->fields[h->count - 1].end = (uint32_t)end;
			continue;
		}
		rc = field_room(h);
		if (rc != MW_OK)
			return rc;
		field_begin(&h->fields[h->count], m.p, at, end);
		h->fields[h->count++].end = (uint32_t)end;
	}
	h->section.n = m.n;
	h->body = m.n;
	return MW_OK;
}

enum mw_rc mw_header_index(struct mw_header *h, struct mw_octets message)
{
	enum mw_rc rc;

	h->section = mw_octets_of(message.p, 0);
	h->body = 0;
	h->count = 0;
	rc = index_lines(h, message);
	if (rc != MW_OK) {
		h->section.n = 0;
		h->count = 0;
	}
	return rc;
}

void mw_header_fini(struct mw_header *h)
{
	free(h->fields);
	*h = (struct mw_header){ 0 };
}

struct mw_octets mw_field_name(const struct mw_header *h, const struct mw_field *f)
{
	return mw_octets_of(h->section.p + f->at, f->name_len);
}

static bool is_crlf(const unsigned char *p, const unsigned char *end)
{
	return end - p >= 2 && p[0] == '\r' && p[1] == '\n';
}

struct mw_octets mw_field_value(const struct mw_header *h, const struct mw_field *f)
{
	const unsigned char *p = h->section.p + f->value, *end = h->section.p + f->end;

	if (end - p >= 2 && is_crlf(end - 2, end))
		end -= 2;
	/* A value that begins on the next line has its fold among its leading blanks. */
	for (;;) {
		if (p < end && is_blank(*p))
			p++;
		else if (is_crlf(p, end))
			p += 2;
		else
			break;
	}
	return mw_octets_of(p, (size_t)(end - p));
}

const struct mw_field *mw_header_first(const struct mw_header *h, enum mw_field_id id)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->fields[i].id == id && h->fields[i].name_len > 0)
			return &h->fields[i];
	return NULL;
}

const struct mw_field *mw_header_last(const struct mw_header *h, enum mw_field_id id)
{
	for (size_t i = h->count; i > 0; i--)
		if (h->fields[i - 1].id == id && h->fields[i - 1].name_len > 0)
			return &h->fields[i - 1];
	return NULL;
}

size_t mw_field_unfold(const struct mw_header *h, const struct mw_field *f, char *buf, size_t size)
{
	struct mw_octets v = mw_field_value(h, f);
	const unsigned char *p = v.p, *end = v.p + v.n, *stop;
	size_t n = 0, take;

	if (size == 0)
		return 0;
	for (;;) {
		if (end > p && is_blank(end[-1]))
			end--;
		else if (end - p >= 2 && is_crlf(end - 2, end))
			end -= 2;
		else
			break;
	}
	while (p < end && n < size - 1) {
		if (is_crlf(p, end)) {
			p += 2;
			continue;
		}
		/* Up to the next CR, which may be a lone one: that is taken along. */
		stop = memchr(p + 1, '\r', (size_t)(end - p - 1));
		take = (size_t)((stop != NULL ? stop : end) - p);
		if (take > size - 1 - n)
			take = size - 1 - n;
		memcpy(buf + n, p, take);
		n += take;
		p += take;
	}
	buf[n] = '\0';
	return n;
}

enum mw_field_id mw_field_id_of(struct mw_octets name)
{
	return name_id(name.p, name.n);
}
