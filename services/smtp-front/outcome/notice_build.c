#include "notice_build.h"

#include <stdio.h>
#include <strings.h>

#include "policy/hooks_field.h"

/* ------------------------------------------------------------------ what the template says */

struct head {
	size_t count;
	struct head_field {
		char name[HOOK_FIELD_NAME_MAX + 1];
		struct mw_octets value; /* with its folds */
	} fields[NOTICE_FIELDS_MAX];
};

static struct mw_octets next_line(struct mw_octets *rest)
{
	const unsigned char *lf = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;
	size_t n = lf != NULL ? (size_t)(lf - rest->p) : rest->n, behind = n + (lf != NULL);
	struct mw_octets line = mw_octets_of(rest->p, n);

	while (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	*rest = mw_octets_of(rest->p + behind, rest->n - behind);
	return line;
}

/* What only we know, and what would be said in somebody else's name. */
static bool is_ours(const char *name)
{
	static const char *const ours[] = { "MIME-Version", "Auto-Submitted", "Return-Path",
		"Received", "Bcc", "DKIM-Signature", "Authentication-Results", "In-Reply-To" };

	for (size_t i = 0; i < MW_COUNT(ours); i++)
		if (strcasecmp(name, ours[i]) == 0)
			return true;
	return strncasecmp(name, "Content-", 8) == 0 || strncasecmp(name, "Resent-", 7) == 0;
}

/* The field's name; false: the line is none. */
static bool field_of(struct mw_octets line, struct head_field *f)
{
	const unsigned char *colon = line.n > 0 ? memchr(line.p, ':', line.n) : NULL;
	size_t n = colon != NULL ? (size_t)(colon - line.p) : 0;

	if (n == 0 || n > HOOK_FIELD_NAME_MAX || !hook_field_name((const char *)line.p, n))
		return false;
	mw_strncpy(f->name, sizeof(f->name), line.p, n);
	f->value = mw_octets_of(colon + 1, line.n - n - 1);
	return true;
}

/* Fields up to an empty line, or to the first that is none: what is left is the text. */
static void read_head(struct mw_octets *text, struct head *h)
{
	struct head_field skipped, *last = NULL;

	h->count = 0;
	while (text->n > 0) {
		struct mw_octets rest = *text, line = next_line(&rest);

		if (line.n == 0) {
			*text = rest;
			return;
		}
		if (last != NULL && (line.p[0] == ' ' || line.p[0] == '\t')) {
			last->value.n = (size_t)(line.p + line.n - last->value.p);
			*text = rest;
			continue;
		}
		last = h->count < NOTICE_FIELDS_MAX ? &h->fields[h->count] : &skipped;
		if (!field_of(line, last))
			return;
		if (last != &skipped && !is_ours(last->name))
			h->count++;
		else
			last = &skipped;
		*text = rest;
	}
}

static bool is_blank(struct mw_octets o)
{
	for (size_t i = 0; i < o.n; i++)
		if (strchr(" \t\r\n", o.p[i]) == NULL || o.p[i] == '\0')
			return false;
	return true;
}

/* A field that says nothing is none. */
static const struct head_field *find(const struct head *h, const char *name)
{
	for (size_t i = 0; i < h->count; i++)
		if (strcasecmp(h->fields[i].name, name) == 0 && !is_blank(h->fields[i].value))
			return &h->fields[i];
	return NULL;
}

static bool is_first(const struct head *h, const struct head_field *f)
{
	return find(h, f->name) == f;
}

/* ------------------------------------------------------------------ the header section */

static void add_address(struct mw_text *out, const char *addr, bool utf8)
{
	struct mw_text line = { 0 };

	mw_text_add(&line, "<");
	notice_add_line(&line, mw_octets_of_text(addr), !utf8, NOTICE_LINE_MAX - 10);
	mw_text_add(&line, ">");
	notice_add_field(out, "To", mw_octets_of(line.p, line.n), utf8);
	out->failed = out->failed || line.failed;
	mw_text_fini(&line);
}

static void add_head(struct mw_text *out, const struct notice *n, const struct head *h)
{
	for (size_t i = 0; i < h->count; i++) {
		const struct head_field *f = &h->fields[i];
		struct mw_text value = { 0 };

		/* RFC 5322 section 3.6: one of each; a hostile value cannot bring a second. */
		if (!is_first(h, f))
			continue;
		notice_add_line(&value, f->value, false, NOTICE_LINE_MAX);
		if (strcasecmp(f->name, "From") == 0 || strcasecmp(f->name, "To") == 0 ||
			strcasecmp(f->name, "Cc") == 0 || strcasecmp(f->name, "Reply-To") == 0)
			notice_add_mailbox(out, f->name, value.p != NULL ? value.p : "", n->utf8);
		else
			notice_add_field(out, f->name, mw_octets_of(value.p, value.n), n->utf8);
		out->failed = out->failed || value.failed;
		mw_text_fini(&value);
	}
	if (find(h, "From") == NULL)
		notice_add_mailbox(out, "From", n->from, n->utf8);
	if (find(h, "To") == NULL)
		add_address(out, n->to, n->utf8);
	if (find(h, "Subject") == NULL)
		notice_add_field(out, "Subject", mw_octets_of_text(n->subject), n->utf8);
	if (find(h, "Date") == NULL)
		notice_add_field(out, "Date", mw_octets_of_text(n->date), false);
	if (find(h, "Message-ID") == NULL)
		notice_add_field(out, "Message-ID", mw_octets_of_text(n->message_id), false);
	if (n->in_reply_to != NULL) {
		notice_add_field(out, "In-Reply-To", mw_octets_of_text(n->in_reply_to), n->utf8);
		if (find(h, "References") == NULL)
			notice_add_field(
				out, "References", mw_octets_of_text(n->in_reply_to), n->utf8);
	}
	mw_text_addf(out, "Auto-Submitted: %s\r\nMIME-Version: 1.0\r\n",
		n->replies ? "auto-replied" : "auto-generated");
}

/* ------------------------------------------------------------------ parts */

/* Fields and octets of one: as they are when they can go so. */
static void add_part(struct mw_text *out, const char *type, struct mw_octets o)
{
	bool plain = notice_is_7bit(o);

	mw_text_addf(out, "Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n", type,
		plain ? "7bit" : "quoted-printable");
	if (plain)
		mw_text_add_octets(out, o.p, o.n);
	else
		notice_add_quoted(out, o);
}

static void add_text(struct mw_text *out, struct mw_octets text)
{
	struct mw_text clean = { 0 };

	notice_add_text(&clean, text, NOTICE_TEXT_MAX);
	add_part(out, "text/plain; charset=utf-8", mw_octets_of(clean.p, clean.n));
	out->failed = out->failed || clean.failed;
	mw_text_fini(&clean);
}

/* Whole lines of it. */
static struct mw_octets cut(struct mw_octets o, size_t most)
{
	if (o.n <= most)
		return o;
	while (most > 0 && o.p[most - 1] != '\n')
		most--;
	return mw_octets_of(o.p, most);
}

static void add_original(struct mw_text *out, const struct notice *n, bool *eight_bit_r)
{
	if (n->whole && notice_is_8bit(n->original)) {
		*eight_bit_r = *eight_bit_r || !notice_is_7bit(n->original);
		mw_text_addf(out,
			"Content-Type: message/%s\r\nContent-Transfer-Encoding: %s\r\n\r\n",
			n->utf8 ? "global" : "rfc822", *eight_bit_r ? "8bit" : "7bit");
		mw_text_add_octets(out, n->original.p, n->original.n);
		return;
	}
	add_part(out, n->utf8 ? "message/global-headers" : "text/rfc822-headers",
		cut(mw_octets_of(n->original.p, n->header_octets), NOTICE_ORIGINAL_MAX));
}

/* Nobody can know it before: nothing in the parts can end one. */
static void make_boundary(char out[48])
{
	unsigned char random[16];

	mw_random(random, sizeof(random));
	strcpy(out, "=_mailweir_");
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(out + 11 + 2 * i, 3, "%02x", random[i]);
}

static void add_report(
	struct mw_text *out, const struct notice *n, struct mw_octets text, bool *eight_bit_r)
{
	const char *type = n->utf8 ? "global-delivery-status" : "delivery-status";
	char boundary[48], status_type[40];
	struct mw_text parts = { 0 };

	make_boundary(boundary);
	snprintf(status_type, sizeof(status_type), "message/%s", type);
	mw_text_addf(&parts, "--%s\r\nContent-Description: Notification\r\n", boundary);
	add_text(&parts, text);
	mw_text_addf(&parts, "\r\n--%s\r\nContent-Description: Delivery report\r\n", boundary);
	add_part(&parts, status_type, n->status);
	mw_text_addf(&parts, "\r\n--%s\r\nContent-Description: Undelivered mail\r\n", boundary);
	add_original(&parts, n, eight_bit_r);
	mw_text_addf(&parts, "\r\n--%s--\r\n", boundary);
	mw_text_addf(out,
		"Content-Type: multipart/report; report-type=%s;\r\n\tboundary=\"%s\"\r\n"
		"Content-Transfer-Encoding: %s\r\n\r\n"
		"This is a notification in MIME form, see RFC 3464.\r\n\r\n",
		type, boundary, *eight_bit_r ? "8bit" : "7bit");
	mw_text_add_octets(out, parts.p, parts.n);
	out->failed = out->failed || parts.failed;
	mw_text_fini(&parts);
}

void notice_build(const struct notice *n, struct mw_text *out, bool *eight_bit_r)
{
	struct mw_octets text = n->text;
	size_t from = out->n;
	struct head head;

	read_head(&text, &head);
	add_head(out, n, &head);
	/* With SMTPUTF8 its fields may be UTF-8. */
	*eight_bit_r = out->n > from && !notice_is_7bit(mw_octets_of(out->p + from, out->n - from));
	if (n->status.n > 0)
		add_report(out, n, text, eight_bit_r);
	else
		add_text(out, text);
}
