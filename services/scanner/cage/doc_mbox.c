/*
 * Mailboxes: messages one behind the other, each after a line "From sender date" (RFC 4155). One
 * message is a mailbox, too.
 */
#include "doc.h"
#include "mail.h"

#define MARK "From "
#define MARK_N 5

/* Behind the line that p is at the beginning of. */
static const unsigned char *behind_line(const unsigned char *p, const unsigned char *end)
{
	const unsigned char *lf = memchr(p, '\n', (size_t)(end - p));

	return lf != NULL ? lf + 1 : end;
}

/* A line "From ", and a header section behind it: so no sentence ends a message. */
static bool begins_message(const unsigned char *p, const unsigned char *end)
{
	const unsigned char *head;

	if ((size_t)(end - p) < MARK_N || memcmp(p, MARK, MARK_N) != 0)
		return false;
	head = behind_line(p, end);
	return mail_begins_with_field(mw_octets_of(head, (size_t)(end - head)));
}

/* Where the message that begins at p ends: in front of the next one, or at the end of all. */
static const unsigned char *message_end(const unsigned char *p, const unsigned char *end)
{
	const unsigned char *at = p;

	while ((at = memmem(at, (size_t)(end - at), "\n" MARK, MARK_N + 1)) != NULL)
		if (begins_message(++at, end))
			return at;
	return end;
}

static bool knows(struct mw_octets octets)
{
	return octets.n > MARK_N && begins_message(octets.p, octets.p + octets.n);
}

static enum container_end open_mbox(const struct container_job *job)
{
	const unsigned char *p = job->octets.p, *end = p + job->octets.n, *next;
	enum container_end got = CONTAINER_WHOLE;

	for (; p < end && got == CONTAINER_WHOLE; p = next) {
		struct container_member m = { .name = "", .type = "message/rfc822" };

		p = behind_line(p, end);
		next = message_end(p, end);
		m.octets = mw_octets_of(p, (size_t)(next - p));
		got = budget_octets(job->budget, m.octets.n) ? doc_give(job, &m) : CONTAINER_CUT;
	}
	return got;
}

const struct container container_mbox = { "mbox", knows, open_mbox };
