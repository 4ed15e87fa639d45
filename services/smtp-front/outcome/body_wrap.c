#include "body_wrap.h"

#include "idna.h"
#include "transaction.h"

#define LINE_MAX_OCTETS 998 /* RFC 5322 section 2.1.1 */
#define OWN_FIELDS 3	    /* that the new header section has behind those it keeps */
#define OWN_OCTETS 512	    /* of these, and more */
#define BOUNDARY_OCTETS 18  /* random ones of a boundary: 36 characters */

/* ------------------------------------------------------------------ the header section */

/* Fields that the new mail keeps, as amavisd has them. */
static const char *const kept[] = { "Received", "From", "Sender", "To", "Cc", "Reply-To", "Date",
	"Message-ID", "Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Date",
	"Resent-Message-ID", "In-Reply-To", "References", "Subject", "Comments", "Keywords",
	"Organization", "Organisation", "User-Agent", "X-Mailer", "DKIM-Signature",
	"DomainKey-Signature" };

static bool is_kept(struct mw_octets name)
{
	for (size_t i = 0; i < MW_COUNT(kept); i++)
		if (mw_octets_ieq(name, kept[i]))
			return true;
	return false;
}

static void add_clean(struct mw_text *out, const unsigned char *p, size_t n)
{
	size_t from = out->n;

	mw_text_add_octets(out, p, n > LINE_MAX_OCTETS ? LINE_MAX_OCTETS - 3 : n);
	for (size_t i = from; i < out->n; i++)
		if (out->p[i] == '\0' || out->p[i] == '\r' || out->p[i] == '\n')
			out->p[i] = '?';
	mw_text_add(out, n > LINE_MAX_OCTETS ? "...\r\n" : "\r\n");
}

static bool is_blank(const unsigned char *p, size_t n)
{
	while (n > 0 && (*p == ' ' || *p == '\t'))
		p++, n--;
	return n == 0;
}

/* Where the line's CRLF begins; the end where there is none. An LF alone ends no line: what stands
 * behind it would become a field of the new mail. */
static const unsigned char *line_end(const unsigned char *p, const unsigned char *end)
{
	const unsigned char *crlf = memmem(p, (size_t)(end - p), "\r\n", 2);

	return crlf != NULL ? crlf : end;
}

/* Line by line: none too long, none of blanks alone, nothing that ends a line where none ends. */
static void add_field(struct mw_text *out, struct mw_octets field)
{
	const unsigned char *p = field.p, *end = field.p + field.n, *next;

	for (; p < end; p = next) {
		const unsigned char *crlf = line_end(p, end);
		size_t n = (size_t)(crlf - p);

		if (p == field.p || !is_blank(p, n))
			add_clean(out, p, n);
		next = crlf < end ? crlf + 2 : end;
	}
}

/* With our own the section stays within what a header section may be. */
static void add_kept_fields(const struct txn *t, struct mw_text *out)
{
	size_t left = MW_HEADER_FIELDS_MAX - OWN_FIELDS;

	for (size_t i = 0; i < t->header.count && left > 0; i++) {
		const struct mw_field *f = &t->header.fields[i];

		if (f->name_len == 0 || !is_kept(mw_field_name(&t->header, f)) ||
			out->n + (f->end - f->at) + OWN_OCTETS > MW_HEADER_OCTETS_MAX)
			continue;
		add_field(out, mw_octets_of(t->header.section.p + f->at, f->end - f->at));
		left--;
	}
}

/* ------------------------------------------------------------------ the body */

void body_wrap_line(struct mw_text *out, const char *line, size_t n)
{
	size_t from = out->n;
	bool cut = n > BODY_REASON_MAX;

	mw_text_add_octets(out, line, cut ? BODY_REASON_MAX - 3 : n);
	for (size_t i = from; i < out->n; i++)
		if (out->p[i] < 0x20 || out->p[i] > 0x7e)
			out->p[i] = '?';
	mw_text_add(out, cut ? "...\r\n" : "\r\n");
}

/*
 * Made after the mail's last octet has come, of 144 random bits: nothing in the mail can be that
 * line (RFC 2046 section 5.1.1), and no look at its octets is needed to know.
 */
static void make_boundary(char boundary[2 * BOUNDARY_OCTETS + 1])
{
	unsigned char random[BOUNDARY_OCTETS];

	mw_random(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++) {
		boundary[2 * i] = "0123456789abcdef"[random[i] >> 4];
		boundary[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
	}
	boundary[2 * sizeof(random)] = '\0';
}

/* RFC 2045 section 6.2: a composite type says which octets are in it. */
static void add_head(
	const struct txn *t, const struct body_form *f, const char *boundary, struct mw_text *out)
{
	struct mw_octets message = smtp_body_octets(t->body), section = t->header.section;
	bool ascii = mw_is_ascii(message.p, message.n);
	const char *encoding = ascii ? "7bit" : "8bit", *type = "message/rfc822";

	if (t->params.smtputf8 && !mw_is_ascii(section.p, section.n))
		type = "message/global"; /* RFC 6532 section 3.7 */
	add_kept_fields(t, out);
	mw_text_addf(out,
		"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_%s\"\r\n"
		"Content-Transfer-Encoding: %s\r\n\r\n"
		"This is a message in MIME format with the original mail attached.\r\n\r\n",
		boundary, encoding);
	mw_text_addf(out,
		"--=_%s\r\nContent-Type: text/plain; charset=us-ascii\r\n"
		"Content-Transfer-Encoding: 7bit\r\n\r\n%s\r\n",
		boundary, f->text);
	mw_text_addf(out,
		"--=_%s\r\nContent-Type: %s; x-spam-type=original\r\n"
		"Content-Disposition: attachment; filename=\"message\"\r\n"
		"Content-Description: Original message\r\n"
		"Content-Transfer-Encoding: %s\r\n\r\n",
		boundary, type, encoding);
}

enum mw_rc body_wrap(struct txn *t, struct body_form *f, struct mw_err *err_r)
{
	char boundary[2 * BOUNDARY_OCTETS + 1];
	struct mw_text head = { 0 }, tail = { 0 };
	struct mw_octets made;
	enum mw_rc rc = MW_ERR_NOMEM;

	make_boundary(boundary);
	add_head(t, f, boundary, &head);
	mw_text_addf(&tail, "\r\n--=_%s--\r\n", boundary);
	if (head.failed || tail.failed ||
		(f->made = smtp_body_new(&t->front->bodies, head.n + tail.n)) == NULL)
		goto out;
	rc = smtp_body_append(f->made, head.p, head.n, err_r);
	if (rc == MW_OK)
		rc = smtp_body_append(f->made, tail.p, tail.n, err_r);
	if (rc == MW_OK)
		rc = smtp_body_seal(f->made, err_r);
	if (rc != MW_OK)
		goto out;
	made = smtp_body_octets(f->made);
	rc = mw_header_index(&f->own, mw_octets_of(made.p, head.n));
	f->view.header = &f->own;
	f->view.parts[0] = (struct dispatch_part){ mw_octets_of(made.p, head.n), f->made };
	f->view.parts[1] = (struct dispatch_part){ smtp_body_octets(t->body), t->body };
	f->view.parts[2] = (struct dispatch_part){ mw_octets_of(made.p + head.n, tail.n), f->made };
	f->view.part_count = 3;
out:
	mw_text_fini(&head);
	mw_text_fini(&tail);
	return rc;
}
