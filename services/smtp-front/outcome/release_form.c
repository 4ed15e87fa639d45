#include "release_form.h"

#include <stdio.h>
#include <strings.h>

#include "edit.h"
#include "ip.h"
#include "notice_text.h"

#define RCPTS_MAX 100 /* told in a report */

/* ------------------------------------------------------------------ what the copy knows */

/* The Received field that stood on top when it was kept: ours, or amavisd's. Empty: there is none.
 */
static struct mw_octets received_of(const struct mw_quarantine_copy *c)
{
	struct mw_octets value = { 0 };
	size_t at = 0;

	if (c->file.n - c->original < 9 ||
		strncasecmp((const char *)c->file.p + c->original, "Received:", 9) != 0 ||
		!mw_quarantine_copy_field(c, true, "Received", &at, &value))
		return mw_octets_of("", 0);
	return value;
}

/* "from HELO (NAME [ADDRESS])": the client's. False: it says none. */
static bool client_of(struct mw_octets received, char address[MW_IP_TEXT_MAX])
{
	const unsigned char *open = received.n > 0 ? memchr(received.p, '[', received.n) : NULL;
	size_t left = open != NULL ? received.n - (size_t)(open + 1 - received.p) : 0;
	const unsigned char *end = left > 0 ? memchr(open + 1, ']', left) : NULL;
	struct mw_octets text;
	struct mw_ip ip;

	if (end == NULL)
		return false;
	text = mw_octets_of(open + 1, (size_t)(end - open - 1));
	if (text.n > 5 && strncasecmp((const char *)text.p, "IPv6:", 5) == 0)
		text = mw_octets_of(text.p + 5, text.n - 5);
	return mw_ip_parse_octets(text, &ip) && mw_strncpy(address, MW_IP_TEXT_MAX, text.p, text.n);
}

/* ------------------------------------------------------------------ header section */

static void add_to(struct mw_text *out, const struct txn *t)
{
	const char *addr = t->rcpts[0].addr;

	if (t->rcpt_count == 1 && mw_is_printable(addr, strlen(addr)))
		mw_text_addf(out, "To: <%s>\r\n", addr);
	else
		mw_text_add(out, "To: undisclosed-recipients:;\r\n");
}

static void add_head(
	struct mw_text *out, struct txn *t, const struct mw_quarantine_copy *c, bool report)
{
	struct mw_octets subject = { 0 };
	struct mw_text line = { 0 };
	size_t at = 0;

	edit_received(t, out);
	notice_add_mailbox(out, "From",
		t->policy->notices.hdrfrom[report ? AUTHOR_OF_REPORT : AUTHOR_OF_RELEASE], false);
	add_to(out, t);
	mw_text_add(&line, report ? "Report of a mail: " : "Released mail: ");
	if (mw_quarantine_copy_field(c, true, "Subject", &at, &subject))
		notice_add_line(&line, subject, true, 200);
	notice_add_field(out, "Subject", mw_octets_of(line.p, line.n), false);
	mw_text_addf(out,
		"Date: %s\r\nMessage-ID: <%s%s@%s>\r\nAuto-Submitted: auto-generated\r\n"
		"MIME-Version: 1.0\r\n",
		edit_date((time_t)(t->time_ms / 1000)), report ? "ARF" : "QRA", t->mail_id,
		t->set->myhostname);
	out->failed = out->failed || line.failed;
	mw_text_fini(&line);
}

/* ------------------------------------------------------------------ text and report */

static void add_line(struct mw_text *out, const char *name, struct mw_octets value)
{
	struct mw_text line = { 0 };

	notice_add_line(&line, value, true, 300);
	if (line.n > 0)
		mw_text_addf(out, "%s: %s\r\n", name, line.p + strspn(line.p, " "));
	out->failed = out->failed || line.failed;
	mw_text_fini(&line);
}

static void add_text(struct mw_text *out, const struct txn *t, const struct mw_quarantine_copy *c,
	bool report, const char *asked)
{
	mw_text_addf(out,
		report ? "This is a report about a mail that the mail content filter at %s has "
			 "kept.\r\n"
		       : "The mail below was kept by the mail content filter at %s, and has been "
			 "released\r\nto you. Please be careful with what is in it.\r\n",
		t->set->myhostname);
	mw_text_add(out, "\r\n");
	add_line(out, "Mail id", c->id);
	add_line(out, "Sender", c->sender);
	if (asked != NULL)
		add_line(out, "Asked for by", mw_octets_of_text(asked));
	mw_text_add(out, "\r\n");
}

/* RFC 5965 section 3. What the mail says of itself is not repeated: it is there. */
static void add_feedback(
	struct mw_text *out, const struct txn *t, const struct mw_quarantine_copy *c)
{
	struct mw_octets received = received_of(c), value;
	const unsigned char *date = received.n > 0 ? memrchr(received.p, ';', received.n) : NULL;
	char address[MW_IP_TEXT_MAX];
	size_t at = 0, count = 0;

	mw_text_addf(out,
		"Feedback-Type: abuse\r\nUser-Agent: Mailweir/" MW_VERSION "\r\nVersion: 1\r\n");
	add_line(out, "Original-Mail-From", c->sender);
	if (date != NULL)
		add_line(out, "Arrival-Date",
			mw_octets_of(date + 1, received.n - (size_t)(date + 1 - received.p)));
	mw_text_addf(out, "Reporting-MTA: dns; %s\r\n", t->set->myhostname);
	if (client_of(received, address))
		mw_text_addf(out, "Source-IP: %s\r\n", address);
	while (count++ < RCPTS_MAX && mw_quarantine_copy_rcpt(c, false, &at, &value))
		add_line(out, "Original-Rcpt-To", value);
	mw_text_add(out, "Incidents: 1\r\n");
}

/* ------------------------------------------------------------------ the whole */

/* Nobody can know it before: nothing in the mail can end a part of ours. */
static void make_boundary(char out[RELEASE_BOUNDARY_MAX])
{
	unsigned char random[16];

	mw_random(random, sizeof(random));
	strcpy(out, "=_mailweir_");
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(out + 11 + 2 * i, 3, "%02x", random[i]);
}

static void add_parts(struct mw_text *out, const struct txn *t, const struct mw_quarantine_copy *c,
	const struct release_want *want, const char *asked, const char *boundary)
{
	const char *encoding = want->eight_bit ? "8bit" : "7bit";
	bool arf = want->format == RELEASE_ARF;

	mw_text_addf(out,
		"Content-Type: multipart/%s;\r\n\tboundary=\"%s\"\r\n"
		"Content-Transfer-Encoding: %s\r\n\r\nThis is a mail in MIME form.\r\n\r\n"
		"--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n",
		arf ? "report; report-type=feedback-report" : "mixed", boundary, encoding,
		boundary);
	add_text(out, t, c, want->report, asked);
	if (arf) {
		mw_text_addf(
			out, "\r\n--%s\r\nContent-Type: message/feedback-report\r\n\r\n", boundary);
		add_feedback(out, t, c);
	}
	mw_text_addf(out,
		"\r\n--%s\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: %s\r\n"
		"Content-Disposition: %s\r\n\r\n",
		boundary, encoding, arf ? "inline" : "attachment; filename=\"mail.eml\"");
}

/* RFC 5322 section 3.6.6; above them the trace. */
static void add_resent(struct mw_text *out, const struct txn *t, const char *asked)
{
	const char *host = t->set->myhostname, *to = t->rcpts[0].addr;

	if (asked != NULL)
		mw_text_addf(out, "Resent-From: <%s>\r\nResent-Sender: <postmaster@%s>\r\n", asked,
			host);
	else
		mw_text_addf(out, "Resent-From: <postmaster@%s>\r\n", host);
	if (t->rcpt_count == 1 && mw_is_printable(to, strlen(to)))
		mw_text_addf(out, "Resent-To: <%s>\r\n", to);
	else
		mw_text_add(out, "Resent-To: undisclosed-recipients:;\r\n");
	mw_text_addf(out, "Resent-Date: %s\r\nResent-Message-ID: <%s@%s>\r\n",
		edit_date((time_t)(t->time_ms / 1000)), t->log_id, host);
}

/* As it came. */
static void add_trace(struct mw_text *out, struct txn *t, const struct mw_quarantine_copy *c,
	const struct release_want *want, const char *asked)
{
	edit_received(t, out);
	if (!want->requeue)
		add_resent(out, t, asked);
	if (c->original < c->file.n &&
		(c->file.p[c->original] == ' ' || c->file.p[c->original] == '\t'))
		mw_text_add(out, EDIT_GUARD_FIELD);
}

static void add_plain(struct mw_text *out, struct txn *t, const struct mw_quarantine_copy *c,
	const struct release_want *want, const char *asked)
{
	mw_text_addf(out,
		"Content-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n",
		want->eight_bit ? "utf-8" : "us-ascii", want->eight_bit ? "8bit" : "7bit");
	add_text(out, t, c, want->report, asked);
}

enum mw_rc release_form_make(struct txn *t, const struct mw_quarantine_copy *c,
	const struct release_want *want, const char *asked, struct release_form *f_r)
{
	char boundary[RELEASE_BOUNDARY_MAX];
	struct mw_text out = { 0 };

	*f_r = (struct release_form){ .tail = "" };
	if (want->format != RELEASE_RESEND)
		add_head(&out, t, c, want->report);
	if (want->format == RELEASE_RESEND) {
		add_trace(&out, t, c, want, asked);
	} else if (want->format == RELEASE_PLAIN) {
		add_plain(&out, t, c, want, asked);
	} else {
		make_boundary(boundary);
		add_parts(&out, t, c, want, asked, boundary);
		f_r->tail = smtp_arena_printf(&t->arena, "\r\n--%s--\r\n", boundary);
	}
	if (!out.failed)
		f_r->fields = smtp_arena_copy(&t->arena, out.p, out.n);
	mw_text_fini(&out);
	return f_r->fields != NULL && f_r->tail != NULL ? MW_OK : MW_ERR_NOMEM;
}
