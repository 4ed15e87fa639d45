/*
 * A bounded pull parser for MIME (RFC 2045, 2046, 2231): one message in memory goes in, one entity
 * a call comes out.
 *
 *   mime_open(&m, message, &limits, MIME_FIRST);
 *   while (mime_next(&m, &e))
 *           ... e.body is a range of the message, still encoded: decode.h ...
 *
 * It copies nothing, allocates nothing and recurses nowhere. It descends into multipart/ * and into
 * message/rfc822 that is not encoded; everything else is a leaf. Lines end with CRLF or LF. What is
 * broken is read as the lenient readers of this world would, and noted: errors (words for the
 * findings), ambiguous (readers may see different parts).
 *
 * An ambiguous message has more than one reading. MIME_FIRST believes the first of contradicting
 * fields and parameters, MIME_LAST the last one; a scanner looks at the leaves of both.
 */
#ifndef SCAN_MIME_H
#define SCAN_MIME_H

#include "base.h"

#define MIME_DEPTH_MAX 64     /* levels the parser can keep; limits.depth is at most this */
#define MIME_BOUNDARY_MAX 256 /* octets; RFC 2046 section 5.1.1 allows 70 */
#define MIME_NAME_MAX 256     /* octets of a declared name, with the NUL */
#define MIME_TYPE_MAX 80      /* "application/vnd.openxmlformats-officedocument..." is cut */
#define MIME_PATH_MAX 256
#define MIME_FIELD_MAX 8192 /* octets of one structured field that are looked at */

enum mime_encoding { MIME_IDENTITY, MIME_BASE64, MIME_QUOTED, MIME_OTHER };
enum mime_reading { MIME_FIRST, MIME_LAST, MIME_READINGS };

/* What was odd; bits of mime.errors. mime_error_words[] has the word of each for the findings. */
enum mime_error {
	MIME_NO_BOUNDARY,      /* multipart without a usable boundary parameter */
	MIME_NOT_FOUND,	       /* its boundary never occurs */
	MIME_NOT_CLOSED,       /* no final boundary */
	MIME_AFTER_CLOSE,      /* further parts behind the final boundary */
	MIME_TWO_FIELDS,       /* a Content-* field twice */
	MIME_TWO_PARAMETERS,   /* boundary or name twice, with different values */
	MIME_BAD_HEADER,       /* a line in a part's header that is no field */
	MIME_ENCODED_BOX,      /* multipart or message with a transfer encoding */
	MIME_UNKNOWN_ENCODING, /* Content-Transfer-Encoding that nobody knows */
	MIME_LONG_FIELD,       /* a structured field beyond MIME_FIELD_MAX */
	MIME_ERROR_COUNT
};
extern const char *const mime_error_words[MIME_ERROR_COUNT];

/* With one of these, readers may see different parts: worth a second reading. */
#define MIME_REREAD                                                                                \
	(MW_BIT(MIME_TWO_FIELDS) | MW_BIT(MIME_TWO_PARAMETERS) | MW_BIT(MIME_AFTER_CLOSE) |        \
		MW_BIT(MIME_BAD_HEADER) | MW_BIT(MIME_ENCODED_BOX) | MW_BIT(MIME_LONG_FIELD))

enum { MIME_MET_DEPTH = 1, MIME_MET_PARTS = 2 }; /* bits of mime.met */

struct mime_limits {
	unsigned depth; /* levels of boxes */
	unsigned parts; /* entities, boxes included */
};

struct mime_entity {
	bool leaf; /* false: a multipart or message whose parts follow */
	unsigned depth;
	enum mime_encoding encoding;
	char type[MIME_TYPE_MAX]; /* lower case; "text/plain" when not declared */
	char name[MIME_NAME_MAX]; /* declared file name, raw octets without controls; "" none */
	char path[MIME_PATH_MAX]; /* "2/1": where it stands */
	struct mw_octets body;	  /* as it stands in the message */
};

struct mime_frame {
	enum { MIME_IN_MULTIPART, MIME_IN_MESSAGE } kind;
	struct mw_octets rest; /* not read yet */
	unsigned child;	       /* number of the last part that was read */
	bool digest;	       /* parts are message/rfc822 unless they say otherwise */
	bool closed;
	char boundary[MIME_BOUNDARY_MAX + 3]; /* with its two dashes */
	size_t boundary_len;
};

struct mime {
	struct mime_limits limits;
	enum mime_reading reading;
	unsigned parts, errors, met;
	bool ambiguous;
	bool started;
	struct mw_octets message;
	unsigned depth; /* frames in use */
	struct mime_frame frames[MIME_DEPTH_MAX];
};

void mime_open(struct mime *m, struct mw_octets message, const struct mime_limits *limits,
	enum mime_reading reading);
/* True with the next entity, depth first; false at the end or when limits.parts is met. */
bool mime_next(struct mime *m, struct mime_entity *e_r);

#endif
