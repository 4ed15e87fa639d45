/*
 * A bounded pull parser for MIME (RFC 2045, 2046, 2231): one message in memory goes in, one entity
 * a call comes out.
 *
 *   mime_open(&m, message, &limits, 0);
 *   while (mime_next(&m, &e))
 *           ... e.body is a range of the message, still encoded: decode.h ...
 *
 * It copies nothing, allocates nothing, recurses nowhere and walks over the message once, whatever
 * its nesting. It descends into multipart/ * and into message/rfc822; everything else is a leaf,
 * and so is text before the first and behind the last delimiter in which something may be hidden.
 *
 * What is broken or contradicts itself is read in one way by this reader and in another by that
 * one. Each such question is a bit of enum mime_choice: clear is the answer that most readers give,
 * set is the other one. The parser notes which questions the message put to it (choices_met);
 * whoever wants to see all that any reader may see opens it again with other answers.
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

/* All names that an entity declares: those of Content-Disposition and Content-Type, as they stand
 * and decoded (RFC 2231, RFC 2047), each once. */
#define MIME_NAMES_OCTETS 4096
struct mime_names {
	unsigned count;
	bool cut; /* there were more */
	size_t n;
	char text[MIME_NAMES_OCTETS]; /* NUL-terminated, one behind the other */
};

enum mime_encoding { MIME_IDENTITY, MIME_BASE64, MIME_QUOTED, MIME_OTHER };

/* Questions that readers answer differently; bits of choices. */
enum mime_choice {
	MIME_CHOOSE_FIELD,  /* of a Content-* field that is there twice: the last one, not the first
			     */
	MIME_CHOOSE_FORM,   /* of the forms that a boundary has: the second ... */
	MIME_CHOOSE_FORM_2, /* ... the third; both: the fourth */
	MIME_CHOOSE_HEADER, /* a line that is no field, or of blanks alone, ends the header section
			     */
	MIME_CHOOSE_NAME,   /* a field with blanks before its colon is none */
	MIME_CHOOSE_NUL,    /* a field ends at an octet NUL, instead of being read without it */
	MIME_CHOOSE_CR,	    /* a bare CR ends a line */
	MIME_CHOOSE_LF,	    /* a bare LF does not end one, where lines end with CRLF */
	MIME_CHOOSE_BOX,    /* an encoded multipart is decoded before it is taken apart */
	MIME_CHOOSE_PREFIX, /* a line that only begins with a delimiter is one (RFC 2046
			       section 5.1.1) */
	MIME_CHOOSE_INNER,  /* an outer delimiter does not end an inner multipart */
	MIME_CHOOSE_GUESS,  /* where no delimiter is known, the first line that looks like one is it
			     */
	MIME_CHOOSE_TEXT,   /* in a digest a type that is none makes a text, not a message */
	MIME_CHOICES
};
#define MIME_FORMS_MAX 4 /* of one boundary */

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
	MIME_BOUNDARY_FORMS,   /* a boundary that may be read in several ways: quotes, blanks,
				  comments */
	MIME_BOUNDARY_PREFIX,  /* a line that goes on behind the boundary */
	MIME_CROSSED,	       /* an inner multipart goes on behind an outer delimiter */
	MIME_GUESSED,	       /* no boundary, and lines that look like one */
	MIME_BLANK_LINE,       /* a line of blanks alone in a header section */
	MIME_ODD_NAME,	       /* blanks before the colon of a Content-* field */
	MIME_NUL,	       /* octets NUL in a Content-* field */
	MIME_BARE_CR,	       /* where readers would split lines */
	MIME_BARE_LF,	       /* where other lines end with CRLF */
	MIME_ENCODING_JUNK,    /* something behind the word of Content-Transfer-Encoding */
	MIME_BASE64_PADDING,   /* base64 goes on behind its padding */
	MIME_BASE64_JUNK,      /* characters in it that are not base64's */
	MIME_OUTSIDE,	       /* encoded content before the first or behind the last delimiter */
	MIME_PARTIAL,	       /* message/partial: a piece, whose rest comes in other mails */
	MIME_BAD_TYPE,	       /* in a digest: a Content-Type that is none */
	MIME_EXTERNAL,	       /* message/external-body: the content is somewhere else */
	MIME_ERROR_COUNT
};
extern const char *const mime_error_words[MIME_ERROR_COUNT];

/* Bits of mime.met; FORMS: a boundary has more forms than can be chosen from. */
enum { MIME_MET_DEPTH = 1, MIME_MET_PARTS = 2, MIME_MET_FORMS = 4 };

struct mime_limits {
	unsigned depth; /* levels of boxes */
	unsigned parts; /* entities, boxes included */
};

struct mime_entity {
	bool leaf;    /* false: a multipart or message whose parts follow */
	bool outside; /* a leaf of text before the first or behind the last delimiter of a multipart
		       */
	bool junk;    /* something stands behind the encoding's word: some readers do not know it */
	unsigned depth;
	enum mime_encoding encoding;
	char type[MIME_TYPE_MAX]; /* lower case; "text/plain" when not declared */
	char name[MIME_NAME_MAX]; /* declared file name, raw octets without controls; "" none */
	char path[MIME_PATH_MAX]; /* "2/1": where it stands */
	struct mw_octets body; /* as it stands in the message; a box's goes to the message's end */
	/* of a multipart that is a leaf because it is encoded: it can be opened once it is decoded
	 */
	char boundary[MIME_BOUNDARY_MAX];
	struct mime_names names; /* last: filled as far as names.n says */
};

struct mime_frame {
	bool multipart; /* false: a message, which has one child and no delimiters */
	bool digest;	/* parts are message/rfc822 unless they say otherwise */
	bool closed;
	unsigned child; /* number of the last part that was read */
	size_t boundary_len;
	char boundary[MIME_BOUNDARY_MAX + 2]; /* with its two dashes */
};

/* A delimiter line; frame < 0: the end of the message. */
struct mime_delimiter {
	size_t at;   /* of its first dash */
	size_t next; /* behind its line end */
	int frame;
	bool final;
};

#define MIME_LOST_MAX 4 /* multiparts that ended without a final delimiter, and are remembered */

struct mime {
	struct mime_limits limits;
	unsigned choices, choices_met;
	unsigned parts, errors, met;
	bool ambiguous; /* by itself, whatever other readings show */
	bool crlf;	/* the first line ends so */
	enum { MIME_AT_START, MIME_AT_ENTITY, MIME_AT_DELIMITER, MIME_AT_END } state;
	struct mw_octets message;
	size_t at;		   /* of the next entity */
	size_t next_cr;		   /* first CR that was not looked at yet */
	struct mime_delimiter end; /* what ended the last one */
	struct mw_octets outside;  /* text to be given out first; and where it stands */
	const char *outside_step;
	unsigned lost_count; /* all; the last MIME_LOST_MAX are kept */
	struct {
		size_t n;
		char text[MIME_BOUNDARY_MAX + 2];
	} lost[MIME_LOST_MAX];
	unsigned depth; /* frames in use */
	struct mime_frame frames[MIME_DEPTH_MAX];
};

void mime_open(struct mime *m, struct mw_octets message, const struct mime_limits *limits,
	unsigned choices);
/* Open the content of a multipart that was decoded: a body, which has no header section. False: it
 * has no delimiter. */
bool mime_open_body(struct mime *m, struct mw_octets body, const struct mime_entity *box,
	const struct mime_limits *limits, unsigned choices);
/* True with the next entity, depth first; false at the end or when limits.parts is met. */
bool mime_next(struct mime *m, struct mime_entity *e_r);

#endif
