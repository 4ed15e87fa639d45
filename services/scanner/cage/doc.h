/*
 * What the readers of documents share, and their rows. A reader looks for what it knows from the
 * beginning to the end, rather than where a table of contents says: the table may lie. Members that
 * stand in the octets as they are are given out in place, everything else is decoded into a doc_buf
 * within the budget.
 */
#ifndef SCAN_DOC_H
#define SCAN_DOC_H

#include "container.h"

extern const struct container container_text; /* text_uu.c: uuencode, yEnc, BinHex */
extern const struct container container_tnef; /* doc_tnef.c */
extern const struct container container_cfb;  /* doc_cfb.c: compound files: doc, xls, ppt, msg */
extern const struct container container_pdf;  /* doc_pdf.c */
extern const struct container container_rtf;  /* doc_rtf.c */
extern const struct container container_html; /* doc_html.c: data: addresses */
extern const struct container container_mbox; /* doc_mbox.c */
extern const struct container container_odf;  /* doc_xml.c: what is encrypted in OpenDocument */
extern const struct container container_xml; /* doc_xml.c: office documents that are one XML file */
extern const struct container container_mso; /* doc_mso.c: ActiveMime */
extern const struct container container_wide;	/* doc_wide.c: texts in UTF-16 */
extern const struct container container_one;	/* doc_one.c: OneNote */
extern const struct container container_script; /* doc_script.c: files in base64 in scripts */
extern const struct container container_ical;	/* doc_ical.c: calendars and cards */
extern const struct container container_page; /* doc_page.c: MHTML behind the beginning of a PDF */

/* ------------------------------------------------------------------ numbers and ranges */

/* Little-endian numbers at an offset; octets that are not there are 0. */
static inline unsigned doc_u8(struct mw_octets o, size_t at)
{
	return at < o.n ? o.p[at] : 0;
}

static inline unsigned doc_u16(struct mw_octets o, size_t at)
{
	return doc_u8(o, at) | doc_u8(o, at + 1) << 8;
}

static inline uint32_t doc_u32(struct mw_octets o, size_t at)
{
	return doc_u16(o, at) | (uint32_t)doc_u16(o, at + 2) << 16;
}

/* The n octets at an offset, or as many as there are. */
static inline struct mw_octets doc_range(struct mw_octets o, size_t at, size_t n)
{
	if (o.n == 0)
		return o;
	if (at > o.n)
		at = o.n;
	return mw_octets_of(o.p + at, n < o.n - at ? n : o.n - at);
}

static inline struct mw_octets doc_from(struct mw_octets o, size_t at)
{
	return doc_range(o, at, o.n);
}

static inline bool doc_starts(struct mw_octets o, const char *magic, size_t n)
{
	return o.n >= n && memcmp(o.p, magic, n) == 0;
}

/* 0..15; -1: no hexadecimal digit. */
int doc_hex(unsigned char c);

/* ------------------------------------------------------------------ decoded octets */

struct doc_buf {
	unsigned char *p;
	size_t n, cap;
};

/* WHOLE; CUT: beyond the budget, which is charged n octets; NO_MEMORY. */
enum container_end doc_room(struct budget *budget, struct doc_buf *buf, size_t n);
enum container_end doc_add(struct budget *budget, struct doc_buf *buf, const void *p, size_t n);
void doc_free(struct doc_buf *buf);
static inline struct mw_octets doc_octets(const struct doc_buf *buf)
{
	return mw_octets_of(buf->p, buf->n);
}

/*
 * Inflate in behind what is in *buf: window_bits as zlib's (15: with its header, -15: raw).
 * BROKEN: damaged or cut; what came out before that is there.
 */
enum container_end doc_inflate(
	struct budget *budget, struct mw_octets in, int window_bits, struct doc_buf *buf);
/* Compressed RTF of MAPI, [MS-OXRTFCP], behind what is in *buf. */
enum container_end doc_lzfu(struct budget *budget, struct mw_octets in, struct doc_buf *buf);

/* ------------------------------------------------------------------ members */

/* One member, whose octets are charged already. WHOLE: go on; CUT: stop. */
enum container_end doc_give(const struct container_job *job, const struct container_member *m);
/* A range of the container's own octets, which is charged here. */
enum container_end doc_give_range(
	const struct container_job *job, const char *name, const char *also, struct mw_octets o);

/* The worse of two ends; more than BROKEN ends a reader. */
static inline enum container_end doc_worse(enum container_end a, enum container_end b)
{
	return a > b ? a : b;
}

static inline bool doc_stops(enum container_end end)
{
	return end > CONTAINER_BROKEN;
}

/* UTF-16 as UTF-8, its octets; to has room for three of each unit. */
size_t doc_utf8(char *to, struct mw_octets o, bool little);
/* A name in UTF-16 (little-endian), up to its NUL, as UTF-8; cut at the front. */
void doc_name16(char buf[CONTAINER_NAME_MAX], struct mw_octets o);
/* A name in octets, up to its NUL. */
void doc_name8(char buf[CONTAINER_NAME_MAX], struct mw_octets o);
/* What stands behind the last slash or backslash. */
const char *doc_base(const char *path);

/* All names of one member: programs differ about which one they save it under. */
struct doc_names {
	unsigned n;
	unsigned char ranks[1 + CONTAINER_ALIASES_MAX];
	char text[1 + CONTAINER_ALIASES_MAX][CONTAINER_NAME_MAX];
};

/* Put a name where its rank wants it (0: the likeliest one), unless it is empty or there already;
 * false: there is no room. */
bool doc_names_add(struct doc_names *names, unsigned rank, const char *name);
/* The names of *m; they are borrowed. */
void doc_names_tell(const struct doc_names *names, struct container_member *m);

/* ------------------------------------------------------------------ addresses */

#define DOC_TYPE_MAX 80 /* octets of a declared type that are told */

/* What stands in an address, of which o is what is behind its "data:", instead of what is in *buf;
 * nothing when it is prose. type: the declared one, in lower case. */
enum container_end doc_decode_address(
	struct budget *budget, struct mw_octets o, char type[DOC_TYPE_MAX], struct doc_buf *buf);

/* ------------------------------------------------------------------ strings of scripts */

/* The next piece of the string whose piece ends at p, with its quote; NULL: that was the last.
 * joints: the characters that may stand between them. */
const unsigned char *doc_next_piece(
	const unsigned char *p, const unsigned char *end, const char *joints);
/* Octets of an escape sequence at p that is a line end or a tab, or no character at all; 0: none.
 */
size_t doc_escaped_blank(const unsigned char *p, const unsigned char *end);

/* ------------------------------------------------------------------ objects of OLE 1 */

/*
 * What a Windows packager put into a document ([MS-OLEDS] section 2.3.6, native data): size_first
 * when the stream begins with its own size. Gives the file with its names out, or nothing
 * (CONTAINER_BROKEN) when it is none.
 */
enum container_end doc_give_package(
	const struct container_job *job, struct mw_octets o, bool size_first);
/* An ObjectHeader with its native data ([MS-OLEDS] section 2.2.5), likewise. */
enum container_end doc_give_ole1(const struct container_job *job, struct mw_octets o);

#endif
