/* A growing NUL-terminated text, for what is printed: metrics, JSON, header fields. failed is
 * sticky. */
#ifndef MW_TEXT_H
#define MW_TEXT_H

#include "base.h"

struct mw_text {
	char *p; /* NULL while empty */
	size_t n, cap;
	bool failed; /* memory ran out */
};

void mw_text_fini(struct mw_text *t);
void mw_text_clear(struct mw_text *t); /* keeps the memory */
void mw_text_add(struct mw_text *t, const char *s);
void mw_text_add_octets(struct mw_text *t, const void *p, size_t n);
void mw_text_addf(struct mw_text *t, const char *fmt, ...) MW_PRINTF(2, 3);
/* NAME="VALUE" as Prometheus' text has it: " and \ escaped, what is not printable ASCII a '?'. */
void mw_text_add_label(struct mw_text *t, const char *name, const char *value);

#endif
