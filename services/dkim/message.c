#include "message.h"

static void add_body(struct dkimsvc_message *m, struct mw_octets piece)
{
	if (piece.n > 0)
		m->body[m->body_count++] = piece;
}

enum mw_rc dkimsvc_message_open(struct dkimsvc_message *m, const struct mw_job *job)
{
	struct mw_octets first;
	enum mw_rc rc;

	m->body_count = 0;
	if (job->part_count == 0)
		return MW_ERR_PROTO;
	first = job->parts[0];
	rc = mw_header_index(&m->header, first);
	if (rc != MW_OK)
		return rc;
	add_body(m, mw_octets_of(first.p + m->header.body, first.n - m->header.body));
	for (size_t i = 1; i < job->part_count; i++)
		add_body(m, job->parts[i]);
	m->header_has_nul = m->header.section.n > 0 &&
			    memchr(m->header.section.p, '\0', m->header.section.n) != NULL;
	return MW_OK;
}

void dkimsvc_message_fini(struct dkimsvc_message *m)
{
	mw_header_fini(&m->header);
}

struct mw_octets dkimsvc_message_field(const struct dkimsvc_message *m, const struct mw_field *f)
{
	const unsigned char *p = m->header.section.p;
	size_t end = f->end;

	if (end - f->at >= 2 && p[end - 2] == '\r' && p[end - 1] == '\n')
		end -= 2;
	return mw_octets_of(p + f->at, end - f->at);
}

/* How much of p[0..n) to take: all, or up to the last CRLF within DKIMSVC_CHUNK_OCTETS. */
static size_t chunk_size(const unsigned char *p, size_t n)
{
	if (n <= DKIMSVC_CHUNK_OCTETS)
		return n;
	for (size_t i = DKIMSVC_CHUNK_OCTETS; i > 1;) {
		const unsigned char *lf = memrchr(p, '\n', i);

		if (lf == NULL || lf == p)
			break;
		if (lf[-1] == '\r')
			return (size_t)(lf + 1 - p);
		i = (size_t)(lf - p);
	}
	return DKIMSVC_CHUNK_OCTETS;
}

bool dkimsvc_message_chunk(
	const struct dkimsvc_message *m, struct dkimsvc_body_pos *pos, struct mw_octets *chunk_r)
{
	const struct mw_octets *piece;

	while (pos->piece < m->body_count && pos->at == m->body[pos->piece].n)
		*pos = (struct dkimsvc_body_pos){ pos->piece + 1, 0 };
	if (pos->piece == m->body_count)
		return false;
	piece = &m->body[pos->piece];
	*chunk_r = mw_octets_of(
		piece->p + pos->at, chunk_size(piece->p + pos->at, piece->n - pos->at));
	pos->at += chunk_r->n;
	return true;
}

bool dkimsvc_message_ends_in_crlf(const struct dkimsvc_message *m)
{
	unsigned char last[2] = { '\r', '\n' };
	size_t n = 0;

	for (size_t i = m->body_count; i > 0 && n < 2; i--)
		for (size_t at = m->body[i - 1].n; at > 0 && n < 2; at--)
			last[1 - n++] = m->body[i - 1].p[at - 1];
	return n == 0 || (n == 2 && last[0] == '\r' && last[1] == '\n');
}

/* before: the octet in front of o. */
static bool bare_lf_in(struct mw_octets o, unsigned char before)
{
	const unsigned char *p = o.p, *end = o.p + o.n, *lf;

	while (p < end && (lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		if ((lf == o.p ? before : lf[-1]) != '\r')
			return true;
		p = lf + 1;
	}
	return false;
}

bool dkimsvc_message_has_bare_lf(const struct dkimsvc_message *m)
{
	unsigned char before = 0;

	if (bare_lf_in(m->header.section, 0))
		return true;
	for (size_t i = 0; i < m->body_count; i++) {
		if (bare_lf_in(m->body[i], before))
			return true;
		before = m->body[i].p[m->body[i].n - 1];
	}
	return false;
}

size_t dkimsvc_message_octets(const struct dkimsvc_message *m)
{
	size_t n = m->header.section.n;

	for (size_t i = 0; i < m->body_count; i++)
		n += m->body[i].n;
	return n;
}
