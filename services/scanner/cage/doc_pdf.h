/* What the files of the reader of PDF share: doc_pdf.c (objects, files), doc_pdf_crypt.c (how it is
 * encrypted). Nobody else includes this. */
#ifndef SCAN_DOC_PDF_H
#define SCAN_DOC_PDF_H

#include "pdf_crypt.h"

#define PDF_CRYPTS_MAX 4 /* keys of one document; more are told encrypted */
#define PDF_TRIED_MAX 8	 /* encryption dictionaries that are remembered */
#define PDF_TRIED_OCTETS 48
/* Octets of a number, or of a reference: what is longer is neither, and may be meant from
 * everywhere. */
#define PDF_SHORT_MAX 64

struct pdf_object {
	uint32_t number, generation, order; /* order: in the file */
	uint32_t length; /* the object that says how long the stream is; NO_NUMBER: none */
	bool has_stream;
	bool packed; /* in a stream of objects: its texts are not encrypted once more */
	struct mw_octets body, stream; /* body begins with the value */
};

/* A text, and the object that it stands in, which its cipher's key depends on. */
struct pdf_doc_text {
	struct mw_octets value;
	uint32_t number, generation;
	bool packed;
};

/* A file specification's names, for the stream that it refers to. */
struct pdf_spec {
	uint32_t number;
	struct pdf_doc_text name, also;
};

struct pdf {
	const struct container_job *job;
	bool encrypted; /* it says so */
	bool locked;	/* it says how in some place, and no password opens that */
	bool by_word;	/* a key asks for a password */
	struct pdf_crypt crypts[PDF_CRYPTS_MAX]; /* that its dictionaries may mean */
	unsigned crypt_count, tried_count;
	unsigned char tried[PDF_TRIED_MAX][2 * PDF_TRIED_OCTETS]; /* O and U of dictionaries */
	bool sealed; /* objects are encrypted: what they say nobody knows */
	bool deep;   /* dictionaries too deep to be searched, or objects behind too long comments */
	bool oldest; /* the first of several is believed */
	bool several; /* there were several to believe */
	struct pdf_object *objects;
	size_t count, cap, sorted; /* sorted: so many, by number; others are behind them */
	struct pdf_spec *specs;
	size_t spec_count, spec_cap;
	struct doc_buf *unpacked; /* object streams, which objects lie in */
	size_t unpacked_count, unpacked_cap;
	struct doc_buf file, plain; /* the one at hand; what its octets are without the cipher */
	const struct pdf_object *resolved; /* the last that a reference led to */
};

/* A dictionary's value for a key, resolved. */
bool pdf_doc_get(struct pdf *p, struct mw_octets dict, const char *key, struct mw_octets *value_r);
/* The same, as a number; 0: it is not there. */
uint32_t pdf_doc_number(struct pdf *p, struct mw_octets dict, const char *key);
/* Look for how it is encrypted, and for keys: p->encrypted, locked, by_word, crypts. Objects are
 * sorted. */
void pdf_doc_open(struct pdf *p);

#endif
