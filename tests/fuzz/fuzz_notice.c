/* fuzz: common services/smtp-front */
/* A notice made of octets that somebody else chose: its header section stays fields, each of ours
 * once, its lines stay within the limit, and its parts end where we say. */
#include <stdlib.h>

#include "header.h"
#include "outcome/notice_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* main.c's: nothing waits for the last mail of a drain here. */
struct front;
void front_txn_over(struct front *f);
void front_txn_over(struct front *f)
{
	(void)f;
}

static void require(bool promise)
{
	if (!promise)
		abort();
}

static size_t count_named(const struct mw_header *h, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < h->count; i++)
		n += mw_octets_ieq(mw_field_name(h, &h->fields[i]), name);
	return n;
}

static void check_header(struct mw_octets message, bool report)
{
	static const char *const once[] = { "From", "To", "Date", "Message-ID", "Subject",
		"Auto-Submitted", "MIME-Version", "Content-Type", "Content-Transfer-Encoding" };
	struct mw_header h = { 0 };

	require(mw_header_index(&h, message) == MW_OK);
	require(h.body < message.n || !report);
	for (size_t i = 0; i < h.count; i++)
		require(h.fields[i].name_len > 0);
	for (size_t i = 0; i < MW_COUNT(once); i++)
		require(count_named(&h, once[i]) == 1);
	require(count_named(&h, "Bcc") == 0);
	mw_header_fini(&h);
}

/* How often the delimiter that ends a report stands at the beginning of a line. */
static size_t delimiters(const struct mw_text *t)
{
	char line[80];
	size_t n = 0, at = t->n - 4;

	while (at > 2 && t->p[at - 1] != '\n')
		at--;
	require(t->n > 4 && t->n - 4 - at + 2 < sizeof(line));
	line[0] = '\r';
	line[1] = '\n';
	mw_strncpy(line + 2, sizeof(line) - 2, t->p + at, t->n - 4 - at);
	for (const char *p = t->p;
		(p = memmem(p, t->n - (size_t)(p - t->p), line, strlen(line))) != NULL; p++)
		n++;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned bits = size > 0 ? data[0] : 0;
	char text[256];
	struct notice n = {
		.text = mw_octets_of(data, size),
		.from = "<postmaster@mx.example.org>",
		.to = text,
		.subject = "Notice",
		.message_id = "<1@mx.example.org>",
		.in_reply_to = (bits & 8) != 0 ? text : NULL,
		.date = "Mon, 2 Mar 2026 08:15:30 +0000",
		.utf8 = (bits & 1) != 0,
		.replies = (bits & 2) != 0,
		.original = mw_octets_of(data, size),
		.header_octets = size / 2,
		.whole = (bits & 4) != 0,
	};
	struct mw_text out = { 0 }, status = { 0 };
	bool eight_bit = false, report = (bits & 16) != 0;

	if (size == 0)
		return 0;
	mw_strncpy(text, sizeof(text), data, size);
	if (report) {
		mw_text_add(&status, "Reporting-MTA: dns; x\r\n\r\n");
		notice_add_field(&status, "Diagnostic-Code", n.text, n.utf8);
		n.status = mw_octets_of(status.p, status.n);
	}
	notice_build(&n, &out, &eight_bit);
	require(!out.failed && notice_is_8bit(mw_octets_of(out.p, out.n)));
	require(eight_bit || notice_is_7bit(mw_octets_of(out.p, out.n)));
	check_header(mw_octets_of(out.p, out.n), report);
	require(!report || delimiters(&out) == 4);
	mw_text_clear(&status);
	if (notice_add_xtext(&status, text))
		require(status.n > 0);
	mw_text_fini(&status);
	mw_text_fini(&out);
	return 0;
}
