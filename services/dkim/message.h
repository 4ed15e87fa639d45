/* A job's octets as DKIM wants them: an indexed header section and a body in a few pieces, nothing
 * copied. */
#ifndef DKIMSVC_MESSAGE_H
#define DKIMSVC_MESSAGE_H

#include "header.h"
#include "wire.h"

struct dkimsvc_message {
	struct mw_header header;
	struct mw_octets body[MW_JOB_PARTS_MAX];
	size_t body_count;
	bool header_has_nul; /* libopendkim would take the field as ending there */
};

/*
 * m: zeroed. The header section lies in the job's first part; what follows it there and the other
 * parts are the body. MW_OK, MW_ERR_LIMIT (header.h), MW_ERR_NOMEM, or MW_ERR_PROTO when there are
 * no octets. Borrows from the job.
 */
enum mw_rc dkimsvc_message_open(struct dkimsvc_message *m, const struct mw_job *job);
void dkimsvc_message_fini(struct dkimsvc_message *m);

/* A field without its last CRLF, as libopendkim takes it. */
struct mw_octets dkimsvc_message_field(const struct dkimsvc_message *m, const struct mw_field *f);

/*
 * The body in pieces of at most DKIMSVC_CHUNK_OCTETS, cut behind a CRLF where there is one:
 * libopendkim keeps no state about a line's begin. *at is 0 first and is moved on. False: no more.
 */
#define DKIMSVC_CHUNK_OCTETS 65536
struct dkimsvc_body_pos {
	size_t piece, at;
};
bool dkimsvc_message_chunk(
	const struct dkimsvc_message *m, struct dkimsvc_body_pos *pos, struct mw_octets *chunk_r);
/* False for a body that is not empty and does not end in CRLF: canonicalization adds one (RFC 6376
 * section 3.4.3). */
bool dkimsvc_message_ends_in_crlf(const struct dkimsvc_message *m);
/* True when a line feed stands without a carriage return, in header or body. Looks at every octet.
 */
bool dkimsvc_message_has_bare_lf(const struct dkimsvc_message *m);
size_t dkimsvc_message_octets(const struct dkimsvc_message *m);

#endif
