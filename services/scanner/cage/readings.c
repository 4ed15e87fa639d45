#include <stdlib.h>
#include <strings.h>

#include "cms.h"
#include "decode.h"
#include "lines.h"
#include "mail.h"
#include "work_priv.h"

#define SEEN_KEEP 4096	       /* leaves whose places are kept between mails */
#define SAID_KEEP (256u << 10) /* octets of what they say of themselves, likewise */
#define QUEUE_MAX 256	       /* ways to read a message that are remembered; above any setting */

/* ------------------------------------------------------------------ leaves of the message */

/* A leaf, and where it stands. */
struct spot {
	const struct mime_entity *e;
	const char *part;
	unsigned level;
	unsigned box, number; /* among the parts that are told: what it lies in, and itself */
};

static bool has_mail_name(const struct mime_entity *e)
{
	const char *name = e->names.text;

	for (unsigned i = 0; i < e->names.count; i++, name += strlen(name) + 1)
		if (mail_by_name(name))
			return true;
	return false;
}

/* A mail that is sent as a file. A text that begins as one is a text, unless its name says more. */
static bool is_attached_mail(const struct mime_entity *e, struct mw_octets octets)
{
	return has_mail_name(e) || (strncmp(e->type, "text/", 5) != 0 && mail_by_content(octets));
}

static void part_name(char part[SCAN_PATH_MAX], const char *prefix, const struct mime_entity *e)
{
	mw_strlcpy(part, prefix, SCAN_PATH_MAX);
	work_path_add(part, e->path);
	work_path_add(part, e->name);
}

static void note(struct work *w, enum mime_error error, bool ambiguous)
{
	w->f.mime_errors |= MW_BIT(error);
	w->f.ambiguous = w->f.ambiguous || ambiguous;
}

/* A box that is encoded (forbidden, and sent all the same): decoded, it is a message, or the body
 * of a multipart. */
static bool is_box(const struct mime_entity *e)
{
	return e->encoding != MIME_IDENTITY &&
	       (e->boundary[0] != '\0' || (strncmp(e->type, "message/", 8) == 0 &&
						  strcmp(e->type, "message/partial") != 0 &&
						  strcmp(e->type, "message/external-body") != 0));
}

/* Mail programs open it as S/MIME, and it is none. */
static bool is_damaged_smime(const struct mime_entity *e, struct mw_octets octets)
{
	const char *name = e->names.text;
	bool smime = strcmp(e->type, "application/pkcs7-mime") == 0 ||
		     strcmp(e->type, "application/x-pkcs7-mime") == 0;

	for (unsigned i = 0; i < e->names.count; i++, name += strlen(name) + 1)
		smime = smime || cms_by_name(name);
	return smime && octets.n > 0 && !container_cms.knows(octets);
}

/* Octets of a leaf, as they are or in w->scratch. */
static void take_octets(
	struct work *w, const struct spot *s, struct mw_octets octets, unsigned number)
{
	w->f.decoded_octets += octets.n;
	work_digest(w, octets, number);
	if (is_box(s->e) && octets.p == w->scratch)
		work_read_inside(w, octets, s->e->boundary[0] != '\0' ? s->e : NULL, s->part,
			s->level + 1, number);
	else if (is_attached_mail(s->e, octets))
		work_read_file(w, octets, s->part, s->level + 1, number);
	if (is_damaged_smime(s->e, octets)) {
		w->f.archive_broken = true;
		findings_part_has(&w->f, number, PART_UNDECIPHERABLE);
	}
	work_look_into(w, octets, s->part, s->level, number);
}

/* The same leaf as other readers decode it is one more part. */
static bool variant_begin(struct work *w, const struct spot *s, unsigned *number_r)
{
	if (!budget_time(&w->budget) || !budget_file(&w->budget))
		return false;
	*number_r = w->f.tell_parts ? findings_part(&w->f, s->box, s->e->path, s->e->type,
					      s->e->names.text, s->e->names.count)
				    : FINDINGS_ROOT;
	findings_part_has(&w->f, *number_r, PART_AMBIGUOUS);
	return true;
}

static bool decode_begin(struct work *w, const struct spot *s)
{
	return budget_octets(&w->budget, s->e->body.n) && work_scratch_for(w, s->e->body.n);
}

static void take_base64(struct work *w, const struct spot *s, unsigned ways)
{
	unsigned number, saw;

	if (!variant_begin(w, s, &number) || !decode_begin(w, s))
		return;
	take_octets(w, s,
		mw_octets_of(w->scratch, mime_decode_base64(s->e->body, ways, w->scratch, &saw)),
		number);
}

/* base64 that is not clean is read in as many ways as there are decoders. What somebody has put
 * behind it in words is no ambiguity to speak of. */
static void take_base64_ways(struct work *w, const struct spot *s, unsigned saw)
{
	bool prose = (saw & MIME_SAW_PROSE) != 0;

	if ((saw & MIME_SAW_PADDING) != 0) {
		if (!prose)
			note(w, MIME_BASE64_PADDING, true);
		take_base64(w, s, MIME_STOP_AT_PADDING);
		take_base64(w, s, MIME_JOIN_PADDING);
	}
	if ((saw & MIME_SAW_JUNK) != 0) {
		if (!prose)
			note(w, MIME_BASE64_JUNK, true);
		take_base64(w, s, MIME_STOP_AT_JUNK);
	}
	if ((saw & MIME_SAW_URL) != 0)
		take_base64(w, s, MIME_URL_ALPHABET);
}

static void take_encoded(struct work *w, const struct spot *s)
{
	const struct mime_entity *e = s->e;
	unsigned saw = 0, number;
	size_t n;

	if (!decode_begin(w, s))
		return;
	n = e->encoding == MIME_BASE64 ? mime_decode_base64(e->body, 0, w->scratch, &saw)
				       : mime_decode(e->encoding, e->body, w->scratch);
	take_octets(w, s, mw_octets_of(w->scratch, n), s->number);
	if (saw != 0)
		take_base64_ways(w, s, saw);
	if (e->junk && variant_begin(w, s, &number)) { /* to some readers it is not encoded */
		w->f.ambiguous = true;
		take_octets(w, s, e->body, number);
	}
}

/* Nobody knows the encoding: as it is, and as whatever it may be. */
static void take_unknown(struct work *w, const struct spot *s)
{
	const struct mime_entity *e = s->e;
	unsigned number;
	bool sure;

	take_octets(w, s, e->body, s->number);
	if (mime_looks_base64(e->body)) {
		note(w, e->outside ? MIME_OUTSIDE : MIME_UNKNOWN_ENCODING, true);
		take_base64(w, s, 0);
	}
	if (!e->outside && mime_looks_quoted(e->body, &sure) && variant_begin(w, s, &number) &&
		decode_begin(w, s)) {
		w->f.ambiguous = w->f.ambiguous || sure;
		take_octets(w, s,
			mw_octets_of(w->scratch, mime_decode(MIME_QUOTED, e->body, w->scratch)),
			number);
	}
}

/* Where a field of MIME's begins a line in text outside of parts: text.n when it does nowhere. */
static size_t find_field(struct mw_octets text)
{
	static const char field[] = "content-";
	size_t i = 0;

	while (i < text.n &&
		(text.n - i < sizeof(field) - 1 ||
			strncasecmp((const char *)text.p + i, field, sizeof(field) - 1) != 0))
		i = mime_line_next(text, i, MW_BIT(MIME_CHOOSE_CR));
	return i;
}

/* The delimiter that stands on the line before offset `at`, as the boundary of *box_r. */
static bool delimiter_before(struct mw_octets text, size_t at, struct mime_entity *box_r)
{
	size_t end = mime_line_trim(text, at, MW_BIT(MIME_CHOOSE_CR)), from = end;

	while (from > 0 && text.p[from - 1] != '\n' && text.p[from - 1] != '\r')
		from--;
	if (end - from < 3 || end - from > MIME_BOUNDARY_MAX ||
		memcmp(text.p + from, "--", 2) != 0 ||
		memchr(text.p + from, '\0', end - from) != NULL)
		return false;
	memset(box_r, 0, offsetof(struct mime_entity, names.text));
	mw_strlcpy(box_r->type, "multipart/mixed", sizeof(box_r->type));
	memcpy(box_r->boundary, text.p + from + 2, end - from - 2);
	return true;
}

/* Text before the first and behind the last delimiter: may be encoded, may hold parts. */
static void take_outside(struct work *w, const struct spot *s)
{
	struct mw_octets text = s->e->body;
	size_t at = find_field(text);
	struct mime_entity box;

	take_unknown(w, s);
	if (at == text.n || !budget_level(&w->budget, s->level + 1))
		return;
	note(w, MIME_OUTSIDE, true);
	if (delimiter_before(text, at, &box))
		work_read_message(w, text, &box, s->part, s->level + 1, s->number);
	else
		work_read_message(w, mw_octets_of(text.p + at, text.n - at), NULL, s->part,
			s->level + 1, s->number);
}

static void take_leaf(struct work *w, const struct spot *s)
{
	const struct mime_entity *e = s->e;

	if (e->outside) {
		take_outside(w, s);
	} else if (e->encoding == MIME_BASE64 || e->encoding == MIME_QUOTED) {
		take_encoded(w, s);
	} else if (e->encoding == MIME_OTHER) {
		w->odd = true;
		take_unknown(w, s);
	} else {
		take_octets(w, s, e->body, s->number);
	}
}

/* ------------------------------------------------------------------ each leaf once */

/* The same octets are another leaf where they are to be opened as something else, or with another
 * boundary. Compared octet by octet: a sum of them can be met by whoever writes the mail. */
static bool same_leaf(const struct reader *r, const struct leaf *a, const struct leaf *b)
{
	return a->body.p == b->body.p && a->body.n == b->body.n && a->encoding == b->encoding &&
	       a->junk == b->junk && a->kind == b->kind &&
	       (a->kind < LEAF_MULTIPART ||
		       strcmp(r->boundaries.p + a->boundary, r->boundaries.p + b->boundary) == 0);
}

static size_t leaf_slot(const struct reader *r, const struct leaf *l)
{
	uint64_t h = (uint64_t)(uintptr_t)l->body.p * 0x9e3779b97f4a7c15u;

	h = (h ^ (h >> 29) ^ l->body.n ^ (uint64_t)l->encoding << 56 ^ (uint64_t)l->kind << 48) *
	    0xbf58476d1ce4e5b9u;
	for (size_t i = (size_t)(h >> 32) & (r->index_size - 1);;
		i = (i + 1) & (r->index_size - 1)) {
		const struct leaf *other = r->index[i] != 0 ? &r->seen[r->index[i] - 1] : NULL;

		if (other == NULL || same_leaf(r, other, l))
			return i;
	}
}

/* Make the index, with room for as many leaves again. */
static bool index_make(struct reader *r)
{
	size_t size = 64;
	uint32_t *index;

	while (size < 4 * (r->seen_count + 1))
		size *= 2;
	index = realloc(r->index, size * sizeof(*index));
	if (index == NULL)
		return false;
	r->index = index;
	r->index_size = size;
	memset(index, 0, size * sizeof(*index));
	for (size_t i = 0; i < r->seen_count; i++) {
		uint32_t *slot = &index[leaf_slot(r, &r->seen[i])];

		if (*slot == 0) /* else the same under further names */
			*slot = (uint32_t)i + 1;
	}
	return true;
}

static bool seen_add(struct reader *r, const struct leaf *l)
{
	if (r->seen_count == r->seen_cap) {
		size_t cap = r->seen_cap * 2 + 64;
		struct leaf *bigger = realloc(r->seen, cap * sizeof(*bigger));

		if (bigger == NULL)
			return false;
		r->seen = bigger;
		r->seen_cap = cap;
	}
	r->seen[r->seen_count++] = *l;
	return true;
}

static enum leaf_kind kind_of(const struct mime_entity *e)
{
	if (!is_box(e))
		return strncmp(e->type, "text/", 5) == 0 ? LEAF_TEXT : LEAF_FILE;
	if (e->boundary[0] == '\0')
		return LEAF_MESSAGE;
	return strcmp(e->type, "multipart/digest") == 0 ? LEAF_DIGEST : LEAF_MULTIPART;
}

/* ------------------------------------------------------------------ what a leaf says of itself */

static void say(struct reader *r, const struct mime_entity *e)
{
	mw_text_add_octets(&r->said, e->type, strlen(e->type) + 1);
	mw_text_add_octets(&r->said, e->names.text, e->names.n);
	mw_text_add_octets(&r->said, "", 1);
}

/* The names that a leaf of seen has; its type stands before them. */
static const char *said_names(const struct reader *r, const struct leaf *l)
{
	const char *type = r->said.p + l->said;

	return type + strlen(type) + 1;
}

static const struct leaf *said_further(const struct reader *r, const struct leaf *l)
{
	return l->further != 0 ? &r->seen[l->further - 1] : NULL;
}

static bool was_type(const struct reader *r, const struct leaf *l, const char *type)
{
	for (; l != NULL; l = said_further(r, l))
		if (strcmp(r->said.p + l->said, type) == 0)
			return true;
	return false;
}

static bool was_name(const struct reader *r, const struct leaf *l, const char *name)
{
	for (; l != NULL; l = said_further(r, l))
		for (const char *p = said_names(r, l); *p != '\0'; p += strlen(p) + 1)
			if (strcmp(p, name) == 0)
				return true;
	return false;
}

static bool was_mail(const struct reader *r, const struct leaf *l)
{
	for (; l != NULL; l = said_further(r, l))
		for (const char *p = said_names(r, l); *p != '\0'; p += strlen(p) + 1)
			if (mail_by_name(p))
				return true;
	return false;
}

/* A name, or a type that is told, which no reading before has shown. */
static bool says_more(const struct reader *r, const struct leaf *l, const struct mime_entity *e)
{
	const char *names = said_names(r, l), *name = e->names.text;
	size_t said = r->said.n - (size_t)(names - r->said.p);

	if (strcmp(e->type, "text/plain") != 0 && !was_type(r, l, e->type))
		return true;
	if (said >= e->names.n && memcmp(names, name, e->names.n) == 0)
		return false; /* nearly always */
	for (unsigned i = 0; i < e->names.count; i++, name += strlen(name) + 1)
		if (!was_name(r, l, name))
			return true;
	return false;
}

/* ------------------------------------------------------------------ is it new? */

enum sight {
	SIGHT_NEW,
	SIGHT_SEEN,
	SIGHT_RENAMED, /* the same octets under further names, or of another type */
	SIGHT_MAIL     /* likewise, and that makes it a mail */
};

/* l is among those that were seen from now on. False: no memory, which is noted. */
static bool remember(
	struct work *w, struct reader *r, const struct mime_entity *e, const struct leaf *l)
{
	say(r, e);
	if (!r->said.failed && !r->boundaries.failed && seen_add(r, l))
		return true;
	w->no_memory = true;
	return false;
}

/* Did a reading before have this very leaf, under these names? If not, it is the last one of seen
 * now. The first reading only collects. */
static enum sight leaf_sight(
	struct work *w, struct reader *r, const struct mime_entity *e, bool first)
{
	struct leaf l = { .body = e->body,
		.encoding = e->encoding,
		.junk = e->junk,
		.kind = kind_of(e),
		.boundary = r->boundaries.n,
		.said = r->said.n };
	uint32_t *slot, before;
	bool mail;

	if (l.kind >= LEAF_MULTIPART)
		mw_text_add_octets(&r->boundaries, e->boundary, strlen(e->boundary) + 1);
	if (first)
		return remember(w, r, e, &l) ? SIGHT_NEW : SIGHT_SEEN;
	if (r->boundaries.failed || (r->index_size < 2 * (r->seen_count + 1) && !index_make(r))) {
		w->no_memory = true;
		return SIGHT_SEEN;
	}
	slot = &r->index[leaf_slot(r, &l)];
	before = *slot;
	if (before == 0) {
		if (!remember(w, r, e, &l))
			return SIGHT_SEEN;
		*slot = (uint32_t)r->seen_count;
		return SIGHT_NEW;
	}
	r->boundaries.n = l.boundary;
	if (!says_more(r, &r->seen[before - 1], e))
		return SIGHT_SEEN;
	mail = has_mail_name(e) && !was_mail(r, &r->seen[before - 1]);
	l.further = r->seen[before - 1].further;
	l.number = r->seen[before - 1].number;
	if (!remember(w, r, e, &l))
		return SIGHT_SEEN;
	r->seen[before - 1].further = (uint32_t)r->seen_count;
	return mail ? SIGHT_MAIL : SIGHT_RENAMED;
}

static void reader_begin(struct reader *r)
{
	r->seen_count = 0;
	r->index_size = 0;
	mw_text_fini(&r->boundaries);
	if (r->said.cap > SAID_KEEP)
		mw_text_fini(&r->said);
	mw_text_clear(&r->said);
	if (r->seen_cap > SEEN_KEEP) {
		free(r->seen);
		r->seen = NULL;
		r->seen_cap = 0;
	}
}

/* ------------------------------------------------------------------ readings of a message */

/* What it says about itself, among the parts that are told. Boxes come before what is in them. */
static unsigned entity_part(
	struct work *w, const struct mime_entity *e, unsigned boxes[MIME_DEPTH_MAX + 1], bool first)
{
	unsigned number;

	if (!w->f.tell_parts || (!first && !e->leaf))
		return FINDINGS_ROOT; /* other readings' boxes are those of the first, nearly */
	/* boxes[0] is what the message lies in. */
	number = findings_part(&w->f, first ? boxes[e->depth] : boxes[0], e->path, e->type,
		e->names.text, e->names.count);
	w->f.parts_cut = w->f.parts_cut || e->names.cut;
	if (!first || e->outside)
		findings_part_has(&w->f, number, PART_AMBIGUOUS);
	if (strstr(e->type, "encrypted") != NULL) {
		findings_part_has(&w->f, number, PART_UNDECIPHERABLE);
		findings_part_has(&w->f, number, PART_CRYPTED);
	}
	if (strcmp(e->type, "message/partial") == 0 ||
		strcmp(e->type, "message/external-body") == 0)
		findings_part_has(&w->f, number, PART_UNDECIPHERABLE); /* it is not all here */
	if (e->depth < MIME_DEPTH_MAX)
		boxes[e->depth + 1] = number;
	return number;
}

/* Is there more in it than a multipart that this reading does not get open? */
static bool is_different(const struct mime_entity *e)
{
	return e->body.n > 0 && strncmp(e->type, "multipart/", 10) != 0;
}

/* One reading. True when it had a leaf, or of one a name, that none before had. */
static bool read_once(struct work *w, struct reader *r, const char *prefix, unsigned level,
	bool first, unsigned number)
{
	unsigned boxes[MIME_DEPTH_MAX + 1] = { number };
	struct mime *m = &r->mime;
	struct mime_entity e;
	char part[SCAN_PATH_MAX];
	bool fresh = false;

	while (budget_time(&w->budget) && mime_next(m, &e)) {
		struct spot s = { &e, part, level + e.depth, boxes[first ? e.depth : 0], 0 };
		enum sight sight = e.leaf ? leaf_sight(w, r, &e, first) : SIGHT_NEW;

		if (sight == SIGHT_SEEN)
			continue;
		if (!budget_file(&w->budget))
			break;
		if (first && !e.outside) {
			w->f.parts++;
			findings_name(&w->f, e.name, level + e.depth);
		}
		part_name(part, prefix, &e);
		s.number = entity_part(w, &e, boxes, first);
		fresh = fresh || (e.leaf && is_different(&e));
		if (e.leaf && sight != SIGHT_RENAMED)
			take_leaf(w, &s);
		else if (e.leaf)
			findings_part_same(&w->f, s.number, r->seen[r->seen_count - 1].number);
		if (e.leaf)
			r->seen[r->seen_count - 1].number = s.number;
	}
	if (first || fresh) {
		w->f.mime_errors |= m->errors;
		w->f.ambiguous = w->f.ambiguous || m->ambiguous || !first;
	}
	if (m->met & MIME_MET_DEPTH)
		w->budget.met |= MW_BIT(SCAN_LIMIT_DEPTH);
	if (m->met & MIME_MET_PARTS)
		w->budget.met |= MW_BIT(SCAN_LIMIT_PARTS);
	if (m->met & MIME_MET_FORMS)
		w->budget.met |= MW_BIT(SCAN_LIMIT_READINGS);
	return fresh;
}

/* The ways to read a message that come to mind, each once, in the order in which they are tried. */
struct queue {
	unsigned count;
	unsigned choices[QUEUE_MAX];
};

static bool queue_add(struct queue *q, unsigned choices)
{
	for (unsigned i = 0; i < q->count; i++)
		if (q->choices[i] == choices)
			return true;
	if (q->count == QUEUE_MAX)
		return false;
	q->choices[q->count++] = choices;
	return true;
}

/* Each question that a reading met, answered the other way, is one more reading. */
static bool queue_add_next(struct queue *q, unsigned choices, unsigned met)
{
	bool all = true;

	for (unsigned i = 0; i < MIME_CHOICES; i++)
		if ((met & MW_BIT(i)) != 0)
			all = queue_add(q, choices | MW_BIT(i)) && all;
	return all;
}

static void read_all(struct work *w, struct reader *r, struct mw_octets message,
	const struct mime_entity *box, const char *prefix, unsigned level, unsigned number)
{
	struct mime_limits limits = {
		.depth = w->budget.levels - (level < w->budget.levels ? level : w->budget.levels),
		.parts = (unsigned)w->conf->budget.max_files
	};
	struct queue q; /* a kibibyte: not cleared */
	unsigned asked = 0, met;

	/* A box that is decoded already is opened here, not by the parser that tells of the depth.
	 */
	if (box != NULL && !budget_level(&w->budget, level + 1))
		return;
	q.count = 1;
	q.choices[0] = 0;
	reader_begin(r);
	for (unsigned i = 0; i < q.count; i++) {
		if (i == w->conf->mime_readings) {
			w->budget.met |= MW_BIT(SCAN_LIMIT_READINGS);
			return;
		}
		if (box == NULL)
			mime_open(&r->mime, message, &limits, q.choices[i]);
		else if (!mime_open_body(&r->mime, message, box, &limits, q.choices[i]))
			continue;
		else
			w->f.ambiguous = true; /* most readers would not do that */
		/* A reading that shows nothing new leads on by questions that are new alone. */
		met = read_once(w, r, prefix, level, i == 0, number) ? r->mime.choices_met
								     : r->mime.choices_met & ~asked;
		asked |= r->mime.choices_met;
		if (!queue_add_next(&q, q.choices[i], met))
			w->budget.met |= MW_BIT(SCAN_LIMIT_READINGS);
	}
}

/* box: of which message is the body, decoded; NULL: it has a header section. */
void work_read_message(struct work *w, struct mw_octets message, const struct mime_entity *box,
	const char *prefix, unsigned level, unsigned number)
{
	struct reader *r;

	if (level == 0) {
		read_all(w, &w->reader, message, NULL, prefix, level, number);
		return;
	}
	r = malloc(sizeof(*r));
	if (r == NULL) {
		w->no_memory = true;
		return;
	}
	r->seen = NULL;
	r->index = NULL;
	r->boundaries = r->said = (struct mw_text){ 0 };
	r->seen_cap = 0;
	read_all(w, r, message, box, prefix, level, number);
	free(r->seen);
	free(r->index);
	mw_text_fini(&r->boundaries);
	mw_text_fini(&r->said);
	free(r);
}

/* A message in the octets of a part: they stay as they are while it decodes into memory of its own.
 */
void work_read_inside(struct work *w, struct mw_octets mail, const struct mime_entity *box,
	const char *part, unsigned level, unsigned number)
{
	unsigned char *own = w->scratch;
	size_t own_cap = w->scratch_cap;

	if (!budget_level(&w->budget, level))
		return;
	w->scratch = NULL;
	w->scratch_cap = 0;
	work_read_message(w, mail, box, part, level, number);
	free(w->scratch);
	w->scratch = own;
	w->scratch_cap = own_cap;
}

/* Empty lines in front of the first field: they are its whole header section, or nothing. */
void work_read_file(
	struct work *w, struct mw_octets mail, const char *part, unsigned level, unsigned number)
{
	size_t i = 0;

	work_read_inside(w, mail, NULL, part, level, number);
	while (i < mail.n && (mail.p[i] == '\r' || mail.p[i] == '\n'))
		i++;
	if (i == 0 || !mail_begins_with_field(mw_octets_of(mail.p + i, mail.n - i)))
		return;
	note(w, MIME_BLANK_LINE, true);
	work_read_inside(w, mw_octets_of(mail.p + i, mail.n - i), NULL, part, level, number);
}
