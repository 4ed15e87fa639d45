#include "cms.h"

#include <strings.h>

#include "decode.h"
#include "doc.h"
#include "mail.h"

#define PEM_LOOK 4096	   /* octets in which the first line of PEM is looked for */
#define PREFIX_TEXT 256	   /* octets of base64 that show what it holds */
#define TAG_OCTETS_MAX 5   /* of a tag beyond 30 */
#define PIECES_A_LOOK 4096 /* pieces of a string between two looks at the clock */
#define PEM_LABEL_MAX 64   /* octets of the rest of PEM's first line */
#define BEGIN "-----BEGIN "
#define BEGIN_N (sizeof(BEGIN) - 1)

/* ------------------------------------------------------------------ BER (ITU-T X.690) */

enum {
	BER_OCTETS = 0x04,
	BER_OID = 0x06,
	BER_OCTETS_IN_PIECES = 0x24,
	BER_SEQUENCE = 0x30,
	BER_CONTEXT_0_PRIMITIVE = 0x80,
	BER_CONTEXT_0 = 0xa0,
	BER_CONSTRUCTED = 0x20,
	BER_LONG_TAG = 0x1f,
	BER_INDEFINITE = 0x80, /* as a length */
};

/* One element. Of indefinite length: end and next are where the octets end, until ber_take looks
 * for its own end. */
struct ber {
	unsigned tag;
	bool indefinite;
	bool cut;	/* its length is beyond the octets, or its end is missing */
	size_t content; /* where it begins */
	size_t end;	/* of its content */
	size_t next;	/* behind the element */
};

/* The length at *at_p; SIZE_MAX when it is larger than that. False: none. */
static bool ber_length(struct mw_octets o, size_t *at_p, size_t *n_r)
{
	size_t at = *at_p, n = 0, count;

	if (at >= o.n)
		return false;
	count = o.p[at++];
	if (count <= BER_INDEFINITE) {
		*n_r = count;
		*at_p = at;
		return true;
	}
	for (count &= 0x7f; count > 0; count--, at++) {
		if (at >= o.n)
			return false;
		n = n > SIZE_MAX >> 8 ? SIZE_MAX : n << 8 | o.p[at];
	}
	*n_r = n;
	*at_p = at;
	return true;
}

/* A small number in the form that large ones need is the same tag to some readers. */
static bool ber_tag(struct mw_octets o, size_t *at_p, unsigned *tag_r)
{
	size_t at = *at_p, most = at + TAG_OCTETS_MAX;
	unsigned number = 0;

	if (at >= o.n)
		return false;
	*tag_r = o.p[at++];
	if ((*tag_r & BER_LONG_TAG) == BER_LONG_TAG) {
		do
			number = number << 7 | (doc_u8(o, at) & 0x7f);
		while ((doc_u8(o, at++) & 0x80) != 0 && at < most);
		if (number < BER_LONG_TAG)
			*tag_r = (*tag_r & ~(unsigned)BER_LONG_TAG) | number;
	}
	*at_p = at;
	return true;
}

/* Tag and length alone. False: what is there is no element. */
static bool ber_head(struct mw_octets o, size_t at, struct ber *e_r)
{
	size_t length_at, n;

	*e_r = (struct ber){ 0 };
	if (!ber_tag(o, &at, &e_r->tag))
		return false;
	length_at = at;
	if (!ber_length(o, &at, &n))
		return false;
	e_r->content = at;
	e_r->indefinite = o.p[length_at] == BER_INDEFINITE;
	if (e_r->indefinite && (e_r->tag & BER_CONSTRUCTED) == 0)
		return false;
	e_r->cut = !e_r->indefinite && n > o.n - at;
	e_r->end = e_r->indefinite || e_r->cut ? o.n : at + n;
	e_r->next = e_r->end;
	return true;
}

static bool is_end_of_content(struct mw_octets o, size_t at)
{
	return at + 2 <= o.n && o.p[at] == 0 && o.p[at + 1] == 0;
}

/* Where the element of indefinite length ends: in one walk, however deep others lie in it. */
static void find_end(struct mw_octets o, struct ber *e)
{
	size_t at = e->content, open = 1;
	struct ber inner;

	for (;;) {
		if (is_end_of_content(o, at)) {
			at += 2;
			if (--open > 0)
				continue;
			e->end = at - 2;
			e->next = at;
			return;
		}
		if (!ber_head(o, at, &inner) || inner.cut)
			break;
		open += inner.indefinite;
		at = inner.indefinite ? inner.content : inner.next;
	}
	e->cut = true;
}

static bool ber_take(struct mw_octets o, size_t at, struct ber *e_r)
{
	if (!ber_head(o, at, e_r))
		return false;
	if (e_r->indefinite)
		find_end(o, e_r);
	return true;
}

static bool is_sequence(struct mw_octets o)
{
	size_t at = 0;
	unsigned tag;

	return ber_tag(o, &at, &tag) && tag == BER_SEQUENCE;
}

static struct mw_octets ber_content(struct mw_octets o, const struct ber *e)
{
	return doc_range(o, e->content, e->end - e->content);
}

/* ------------------------------------------------------------------ types of content */

/* What is done with a content of that type. */
enum how {
	HOW_DATA,      /* octets */
	HOW_WRAPPED,   /* another content is somewhere among the members of a sequence */
	HOW_DEFLATED,  /* likewise, by zlib */
	HOW_OCTETS,    /* octets are among the members of a sequence */
	HOW_CONTENTS,  /* a sequence of contents with their types */
	HOW_ENCRYPTED, /* nobody gets in without a key */
	HOW_UNKNOWN,
};

/* id-data and what follows it: PKCS #7; id-ct: S/MIME's. The last octet says which. */
#define PKCS7 "\x2a\x86\x48\x86\xf7\x0d\x01\x07"
#define SMIME_CT "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01"

static const struct {
	unsigned char number;
	enum how how;
} pkcs7[] = {
	{ 1, HOW_DATA },      /* id-data */
	{ 2, HOW_WRAPPED },   /* signed */
	{ 3, HOW_ENCRYPTED }, /* enveloped */
	{ 4, HOW_ENCRYPTED }, /* signed and enveloped */
	{ 5, HOW_WRAPPED },   /* digested */
	{ 6, HOW_ENCRYPTED }, /* encrypted */
}, smime[] = {
	{ 2, HOW_WRAPPED },    /* authenticated */
	{ 9, HOW_DEFLATED },   /* compressed, RFC 3274 */
	{ 19, HOW_CONTENTS },  /* a collection, RFC 4073 */
	{ 20, HOW_CONTENTS },  /* a content with attributes */
	{ 23, HOW_ENCRYPTED }, /* authenticated and enveloped, RFC 5083 */
	{ 31, HOW_OCTETS },    /* with a time stamp, RFC 5544 */
};

/* False: the OID is none of a content. */
static bool how_of(struct mw_octets oid, enum how *how_r)
{
	*how_r = HOW_UNKNOWN;
	if (oid.n == sizeof(PKCS7) && memcmp(oid.p, PKCS7, oid.n - 1) == 0) {
		for (size_t i = 0; i < MW_COUNT(pkcs7); i++)
			if (pkcs7[i].number == oid.p[oid.n - 1])
				*how_r = pkcs7[i].how;
		return true;
	}
	if (oid.n == sizeof(SMIME_CT) && memcmp(oid.p, SMIME_CT, oid.n - 1) == 0) {
		for (size_t i = 0; i < MW_COUNT(smime); i++)
			if (smime[i].number == oid.p[oid.n - 1])
				*how_r = smime[i].how;
		return true;
	}
	return false;
}

/* The octets begin with a content and its type (RFC 5652 section 3). */
static bool is_content_info(struct mw_octets o)
{
	struct ber outer, oid;
	enum how how;

	return is_sequence(o) && ber_head(o, 0, &outer) && ber_head(o, outer.content, &oid) &&
	       oid.tag == BER_OID && !oid.cut && how_of(ber_content(o, &oid), &how);
}

/* ------------------------------------------------------------------ what is given out */

struct cms {
	const struct container_job *job;
	struct mw_octets o; /* in BER */
	enum container_end end;
	char name[CONTAINER_NAME_MAX]; /* of the file that it signs; "": none */
};

static void note_end(struct cms *c, enum container_end end)
{
	c->end = doc_worse(c->end, end);
}

/* Where an empty line ends a header section, as late as any reader sees one; o.n: nowhere. */
static size_t header_end(struct mw_octets o)
{
	const unsigned char *lf = memchr(o.p, '\n', o.n), *end, *other;

	if (lf != NULL && lf > o.p && lf[-1] == '\r') {
		end = memmem(o.p, o.n, "\r\n\r\n", 4);
	} else {
		end = memmem(o.p, o.n, "\n\n", 2);
		other = memmem(o.p, o.n, "\n\r\n", 3);
		end = end == NULL || (other != NULL && other < end) ? other : end;
	}
	return end != NULL ? (size_t)(end - o.p) : o.n;
}

static bool has_content_field(struct mw_octets o)
{
	static const char field[] = "content-";
	size_t n = o.n > 0 ? header_end(o) : 0;
	bool begins = true; /* of a line */

	for (size_t i = 0; i + sizeof(field) - 1 <= n; i++) {
		if (begins && strncasecmp((const char *)o.p + i, field, sizeof(field) - 1) == 0)
			return true;
		begins = o.p[i] == '\r' || o.p[i] == '\n';
	}
	return false;
}

/* What mail programs show of S/MIME is read as an entity of MIME. Where nothing looks like one it
 * would be a text, which is what the octets are looked at as in any case. */
static bool is_entity(struct mw_octets o)
{
	while (o.n > 0 && (o.p[0] == '\r' || o.p[0] == '\n'))
		o = doc_from(o, 1);
	return mail_begins_with_field(o) || has_content_field(o);
}

static void give(struct cms *c, struct mw_octets o, bool broken)
{
	const struct container_member m = {
		.name = c->name, .octets = o, .broken = broken, .mail = is_entity(o)
	};

	if (broken)
		note_end(c, CONTAINER_BROKEN);
	if (o.n > 0 && !doc_stops(c->end))
		note_end(c, doc_give(c->job, &m));
}

static void give_encrypted(struct cms *c)
{
	const struct container_member m = { .name = "", .encrypted = true };

	note_end(c, doc_give(c->job, &m));
}

/* A content without the sequence and the type around it that it has elsewhere: with them, so that
 * it is known, and a level of its own. */
static void give_content(struct cms *c, struct mw_octets oid, struct mw_octets o, bool broken)
{
	static const unsigned char head[] = { BER_SEQUENCE, BER_INDEFINITE, BER_OID },
				   explicit[] = { BER_CONTEXT_0, BER_INDEFINITE }, ends[4] = { 0 };
	const unsigned char n = (unsigned char)oid.n; /* one of ours: short */
	struct container_member m = { .name = "", .broken = broken };
	struct doc_buf buf = { 0 };
	const struct mw_octets pieces[] = { mw_octets_of(head, sizeof(head)), mw_octets_of(&n, 1),
		oid, mw_octets_of(explicit, sizeof(explicit)), o,
		mw_octets_of(ends, sizeof(ends)) };

	if (broken)
		note_end(c, CONTAINER_BROKEN);
	for (size_t i = 0; i < MW_COUNT(pieces) && !doc_stops(c->end); i++)
		note_end(c, doc_add(c->job->budget, &buf, pieces[i].p, pieces[i].n));
	m.octets = doc_octets(&buf);
	if (!doc_stops(c->end))
		note_end(c, doc_give(c->job, &m));
	doc_free(&buf);
}

/* Octets of a content of that type, undone. */
static void give_by_type(struct cms *c, struct mw_octets oid, struct mw_octets o, bool broken)
{
	enum how how;

	if (is_sequence(o) && how_of(oid, &how) && how != HOW_DATA && how != HOW_UNKNOWN &&
		!is_content_info(o))
		give_content(c, oid, o, broken);
	else
		give(c, o, broken);
}

static void give_inflated(struct cms *c, struct mw_octets oid, struct mw_octets o, bool broken)
{
	struct doc_buf buf = { 0 };
	enum container_end end = doc_inflate(c->job->budget, o, 15, &buf);

	if (doc_stops(end))
		note_end(c, end);
	else
		give_by_type(c, oid, doc_octets(&buf), broken || end == CONTAINER_BROKEN);
	doc_free(&buf);
}

/* ------------------------------------------------------------------ octet strings */

/* A string, or what is left of one, in pieces of pieces: all that are primitive, in their order. */
struct string {
	struct mw_octets whole; /* where it is one piece */
	struct doc_buf buf;	/* where it is several */
	unsigned pieces;
	bool broken;
};

static void add_piece(struct cms *c, struct string *s, struct mw_octets o)
{
	if (s->pieces++ == 0) {
		s->whole = o;
		return;
	}
	if (s->pieces == 2)
		note_end(c, doc_add(c->job->budget, &s->buf, s->whole.p, s->whole.n));
	if (!doc_stops(c->end))
		note_end(c, doc_add(c->job->budget, &s->buf, o.p, o.n));
}

/* The pieces between two offsets. One whose length leads beyond is taken as it says. */
static void join_pieces(struct cms *c, struct string *s, size_t at, size_t end)
{
	struct ber e;

	while (at < end && !doc_stops(c->end)) {
		if (is_end_of_content(c->o, at)) {
			at += 2;
			continue;
		}
		if (!ber_head(c->o, at, &e)) {
			s->broken = true;
			return;
		}
		if (e.tag == BER_OCTETS_IN_PIECES) {
			at = e.content;
			continue;
		}
		if (e.tag == BER_OCTETS)
			add_piece(c, s, ber_content(c->o, &e));
		else
			s->broken = true;
		s->broken = s->broken || e.cut || e.next > end;
		at = e.next;
		if (s->pieces % PIECES_A_LOOK == 0 && !budget_time(c->job->budget))
			note_end(c, CONTAINER_CUT);
	}
}

typedef void giver(struct cms *c, struct mw_octets oid, struct mw_octets o, bool broken);

/* Pieces between two offsets, put together, to be given out by `give_to`. */
static void give_string(struct cms *c, giver *give_to, struct mw_octets oid, size_t at, size_t end)
{
	struct string s = { 0 };

	join_pieces(c, &s, at, end);
	if (!doc_stops(c->end) && s.pieces == 1 && !budget_octets(c->job->budget, s.whole.n))
		note_end(c, CONTAINER_CUT);
	if (!doc_stops(c->end) && (s.pieces > 0 || s.broken))
		give_to(c, oid, s.pieces > 1 ? doc_octets(&s.buf) : s.whole, s.broken);
	doc_free(&s.buf);
}

static bool is_string(unsigned tag)
{
	return tag == BER_OCTETS || tag == BER_OCTETS_IN_PIECES;
}

/* ------------------------------------------------------------------ structures */

/* What stands in [0] behind a type: an octet string, or (RFC 2315) the content itself. */
static void take_explicit(
	struct cms *c, giver *give_to, struct mw_octets oid, const struct ber *explicit)
{
	struct ber inner;
	struct mw_octets o;

	if (explicit->tag == BER_CONTEXT_0 && explicit->content < explicit->end &&
		ber_head(c->o, explicit->content, &inner) && is_string(inner.tag)) {
		give_string(c, give_to, oid, explicit->content, explicit->end);
		return;
	}
	o = ber_content(c->o, explicit);
	if (!budget_octets(c->job->budget, o.n))
		note_end(c, CONTAINER_CUT);
	else if (o.n > 0)
		give_to(c, oid, o, explicit->cut);
}

static bool begins_with_oid(struct cms *c, const struct ber *sequence, struct ber *oid_r)
{
	return sequence->tag == BER_SEQUENCE && sequence->content < sequence->end &&
	       ber_head(c->o, sequence->content, oid_r) && oid_r->tag == BER_OID && !oid_r->cut;
}

/* A sequence that begins with an OID; *behind_r: what follows it. */
static bool take_oid(
	struct cms *c, const struct ber *sequence, struct mw_octets *oid_r, struct ber *behind_r)
{
	struct ber oid;

	if (!begins_with_oid(c, sequence, &oid) || oid.next >= sequence->end)
		return false;
	*oid_r = ber_content(c->o, &oid);
	return ber_take(c->o, oid.next, behind_r);
}

static bool is_context_0(unsigned tag)
{
	return tag == BER_CONTEXT_0 || tag == BER_CONTEXT_0_PRIMITIVE;
}

/* One member of a structure. True: it is, or looks like, a content with its type. */
static bool take_member(struct cms *c, size_t at, const struct ber *e, enum how how)
{
	const struct mw_octets none = mw_octets_of(NULL, 0);
	struct mw_octets oid;
	struct ber inner;

	if (how == HOW_OCTETS && is_string(e->tag))
		give_string(c, give_by_type, none, at, e->next);
	else if (how == HOW_CONTENTS && is_content_info(doc_from(c->o, at)))
		note_end(c, doc_give_range(c->job, "", NULL, doc_range(c->o, at, e->next - at)));
	else if (how != HOW_CONTENTS && take_oid(c, e, &oid, &inner) && is_context_0(inner.tag))
		take_explicit(c, how == HOW_DEFLATED ? give_inflated : give_by_type, oid, &inner);
	return begins_with_oid(c, e, &inner);
}

/* The members of a structure, of which some hold contents. Its version, algorithms, certificates
 * and signatures are passed; a signature that lies beside what it signs has no content in it. */
static void take_members(struct cms *c, const struct ber *structure, enum how how)
{
	size_t at = structure->content;
	bool has_content = false;
	struct ber e;

	for (; at < structure->end && !doc_stops(c->end); at = e.next) {
		if (!budget_time(c->job->budget)) {
			note_end(c, CONTAINER_CUT);
			return;
		}
		if (!ber_take(c->o, at, &e)) {
			note_end(c, CONTAINER_BROKEN);
			return;
		}
		has_content = take_member(c, at, &e, how) || has_content;
		if (e.cut || e.next > structure->end)
			note_end(c, CONTAINER_BROKEN);
	}
	if (!has_content && how != HOW_OCTETS)
		note_end(c, CONTAINER_BROKEN);
}

/* Returns where it ends. */
static size_t take_content_info(struct cms *c)
{
	struct mw_octets oid = mw_octets_of(NULL, 0);
	struct ber outer, explicit, structure;
	enum how how = HOW_UNKNOWN;

	if (!ber_take(c->o, 0, &outer) || !take_oid(c, &outer, &oid, &explicit) ||
		!is_context_0(explicit.tag) || !how_of(oid, &how) || how == HOW_UNKNOWN) {
		note_end(c, CONTAINER_BROKEN);
		return c->o.n;
	}
	if (outer.cut || explicit.cut || explicit.next > outer.end)
		note_end(c, CONTAINER_BROKEN);
	if (how == HOW_ENCRYPTED)
		give_encrypted(c);
	else if (how == HOW_DATA)
		take_explicit(c, give_by_type, oid, &explicit);
	else if (ber_take(c->o, explicit.content, &structure) && structure.tag == BER_SEQUENCE)
		take_members(c, &structure, how);
	else
		note_end(c, CONTAINER_BROKEN);
	return outer.next;
}

/* Behind its end, too, something may stand. */
static void open_ber(struct cms *c, struct mw_octets o)
{
	struct mw_octets tail;

	c->o = o;
	tail = doc_from(o, take_content_info(c));
	if (!doc_stops(c->end) && container_is_tail(tail))
		note_end(c, doc_give_range(c->job, "", NULL, tail));
}

/* ------------------------------------------------------------------ base64 */

static bool is_base64_of_content_info(struct mw_octets text)
{
	unsigned char out[PREFIX_TEXT];
	unsigned saw;

	text = doc_range(text, 0, PREFIX_TEXT);
	return text.n > 0 &&
	       is_content_info(mw_octets_of(out, mime_decode_base64(text, 0, out, &saw)));
}

static struct mw_octets without_blanks(struct mw_octets o)
{
	size_t i = 0;

	while (i < o.n && (o.p[i] == ' ' || o.p[i] == '\t' || o.p[i] == '\r' || o.p[i] == '\n'))
		i++;
	return doc_from(o, i);
}

/* Behind the end of PEM's first line; nothing where that is too long for one. */
static struct mw_octets behind_line(struct mw_octets o)
{
	size_t n = o.n < PEM_LABEL_MAX ? o.n : PEM_LABEL_MAX, i = 0;

	while (i < n && o.p[i] != '\r' && o.p[i] != '\n')
		i++;
	return i < n ? doc_from(o, i) : mw_octets_of(NULL, 0);
}

/* What follows a first line of PEM, up to its last one; *text_p goes on behind its beginning. */
static bool next_pem(struct mw_octets *text_p, struct mw_octets *body_r)
{
	const unsigned char *p, *end;
	struct mw_octets rest;

	while (text_p->n > 0 && (p = memmem(text_p->p, text_p->n, BEGIN, BEGIN_N)) != NULL) {
		*text_p = doc_from(*text_p, (size_t)(p - text_p->p) + BEGIN_N);
		rest = behind_line(*text_p);
		end = rest.n > 0 ? memmem(rest.p, rest.n, "-----", 5) : NULL;
		*body_r = end != NULL ? doc_range(rest, 0, (size_t)(end - rest.p)) : rest;
		if (is_base64_of_content_info(*body_r))
			return true;
	}
	return false;
}

static void open_base64(struct cms *c, struct mw_octets text)
{
	struct doc_buf buf = { 0 };
	unsigned saw;

	note_end(c, budget_time(c->job->budget) ? doc_room(c->job->budget, &buf, text.n)
						: CONTAINER_CUT);
	if (!doc_stops(c->end)) {
		buf.n = mime_decode_base64(text, 0, buf.p, &saw);
		open_ber(c, doc_octets(&buf));
	}
	doc_free(&buf);
}

/* ------------------------------------------------------------------ the row */

static bool is_bare_base64(struct mw_octets octets)
{
	struct mw_octets o = without_blanks(doc_range(octets, 0, PEM_LOOK));

	return o.n > 0 && o.p[0] == 'M' && is_base64_of_content_info(o);
}

static bool knows(struct mw_octets octets)
{
	struct mw_octets text = doc_range(octets, 0, PEM_LOOK), body;

	return octets.n > 0 &&
	       (is_content_info(octets) || is_bare_base64(octets) || next_pem(&text, &body));
}

/* What a signed file is called without the signature: "a.pdf" of "a.pdf.p7m". */
static void name_inside(struct cms *c)
{
	container_inner_name(c->name, c->job->name);
	if (strchr(c->name, '.') == NULL)
		c->name[0] = '\0';
}

bool cms_by_name(const char *name)
{
	size_t n = strlen(name);

	return n >= 4 && strcasecmp(name + n - 4, ".p7m") == 0;
}

static enum container_end open_cms(const struct container_job *job)
{
	struct cms c = { .job = job };
	struct mw_octets text = job->octets, body;

	if (!budget_time(job->budget))
		return CONTAINER_CUT;
	name_inside(&c);
	if (is_content_info(job->octets))
		open_ber(&c, job->octets);
	else if (is_bare_base64(job->octets))
		open_base64(&c, job->octets);
	else
		while (!doc_stops(c.end) && next_pem(&text, &body))
			open_base64(&c, body);
	return c.end;
}

const struct container container_cms = { "cms", knows, open_cms };
