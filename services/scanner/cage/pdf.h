/*
 * The words of PDF (ISO 32000-1 section 7.2, 7.3) and its filters (7.4), as tolerant as readers
 * are. Nothing is allocated for words: they are ranges of the octets.
 */
#ifndef SCAN_PDF_H
#define SCAN_PDF_H

#include "doc.h"

#define PDF_NAME_MAX 32 /* octets of a name that matters; longer ones match nothing */

enum pdf_kind {
	PDF_END,
	PDF_OPEN,  /* << or [ */
	PDF_CLOSE, /* >> or ] */
	PDF_NAME,  /* name: without its slash, #xx undone */
	PDF_TEXT,  /* (...) or <...>, with its brackets */
	PDF_NUMBER,
	PDF_WORD, /* obj, stream, R ... */
};

struct pdf_token {
	enum pdf_kind kind;
	struct mw_octets octets;
	uint32_t number; /* capped; fractions and signs are dropped */
	char name[PDF_NAME_MAX];
};

struct pdf_lex {
	const unsigned char *p, *end;
};

static inline struct pdf_lex pdf_lex_of(struct mw_octets o)
{
	return (struct pdf_lex){ o.p, o.n != 0 ? o.p + o.n : o.p };
}

void pdf_next(struct pdf_lex *l, struct pdf_token *t_r);
bool pdf_is_word(const struct pdf_token *t, const char *word);
/* The value at hand, however deep: up to its end, or in front of a word that begins or ends
 * objects. */
struct mw_octets pdf_value(struct pdf_lex *l);
/* The value of a key of the dictionary that dict begins with; false: it has none. Of several, most
 * readers take the last one. */
bool pdf_get(struct mw_octets dict, const char *key, struct mw_octets *value_r);
/* The next value of a key, where l stands in a dictionary, behind its opening; false: no more. */
bool pdf_get_next(struct pdf_lex *l, const char *key, struct mw_octets *value_r);
/* Stand in front of a dictionary's first key; false: it is none. */
bool pdf_enter(struct mw_octets dict, struct pdf_lex *l_r);
/* Whether that value is such a name. */
bool pdf_is(struct mw_octets dict, const char *key, const char *name);
/* The value is "N G R". */
bool pdf_is_reference(struct mw_octets value, uint32_t *number_r);
#define PDF_TEXT_MAX 1024 /* octets of a text that are looked at */

/* A text's octets, without brackets and escapes; 0 when it is none. */
size_t pdf_text(struct mw_octets value, unsigned char out[PDF_TEXT_MAX]);
/* A text's octets, in any of their encodings, as a member's name. They are changed. */
void pdf_name(unsigned char *text, size_t n, char buf[CONTAINER_NAME_MAX]);

/* One filter, with what its parameters say (7.4.4.3). */
struct pdf_step {
	char name[PDF_NAME_MAX];
	uint32_t predictor, colors, bits, columns; /* 0: not said */
	bool late; /* LZW: codes become longer only when they have to */
};

#define PDF_STEPS_MAX 8 /* filters, one after the other */

struct pdf_steps {
	struct pdf_step step[PDF_STEPS_MAX];
	unsigned count;
	bool unclear; /* more than there is room for, or something that is no name */
};

/*
 * Undo filters one after the other. BROKEN: damaged, or a filter that nobody here knows (images):
 * what came out before it is there.
 */
enum container_end pdf_decode(struct budget *budget, const struct pdf_steps *steps,
	struct mw_octets stream, struct doc_buf *out);
/* Undo a predictor in place. BROKEN: one that nobody here knows. */
enum container_end pdf_unpredict(const struct pdf_step *step, struct doc_buf *buf);

#endif
