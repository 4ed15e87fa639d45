#include "zip_head.h"

#define LOCAL_OCTETS 30
#define CENTRAL_OCTETS 46
#define LOCATOR_OCTETS 20
#define ZIP_LOCATOR "PK\x06\x07"
#define END64_OCTETS 56
#define END64_WITHIN                                                                               \
	4096		   /* octets before the locator, when something stands before the archive  \
			    */
#define FLAGS_KNOWN 0x387f /* section 4.4.4 */
#define NAME_LIKELY 1024   /* octets */
#define EXTRA_ZIP64 0x0001
#define EXTRA_UNICODE_PATH 0x7075
#define FIELDS_MAX 64 /* of an extra area that are looked at; a dozen is much */

uint16_t zip_16(const unsigned char *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t zip_32(const unsigned char *p)
{
	return zip_16(p) | (uint32_t)zip_16(p + 2) << 16;
}

uint64_t zip_64(const unsigned char *p)
{
	return zip_32(p) | (uint64_t)zip_32(p + 4) << 32;
}

bool zip_is(struct mw_octets o, size_t at, const char *signature)
{
	return at <= o.n && o.n - at >= 4 && memcmp(o.p + at, signature, 4) == 0;
}

size_t zip_find(struct mw_octets o, const char *signature, size_t from, size_t to)
{
	const unsigned char *p;

	to = to < o.n ? to : o.n;
	if (from >= to)
		return SIZE_MAX;
	p = memmem(o.p + from, to - from, signature, 4);
	return p != NULL ? (size_t)(p - o.p) : SIZE_MAX;
}

/* From the end, four octets at a step unless the signature may begin sooner: octets that are made
 * to look like its end cost no more than others. */
size_t zip_find_last(struct mw_octets o, const char *signature, size_t from, size_t to)
{
	size_t at;

	to = to < o.n ? to : o.n;
	if (to < from || to - from < 4)
		return SIZE_MAX;
	for (at = to - 4;;) {
		size_t step = 4;

		if (memcmp(o.p + at, signature, 4) == 0)
			return at;
		for (size_t i = 3; i > 0; i--)
			if (o.p[at] == (unsigned char)signature[i])
				step = i;
		if (at - from < step)
			return SIZE_MAX;
		at -= step;
	}
}

/* ------------------------------------------------------------------ extra fields */

/* An extra area gone through; what is left of it when no more is looked at. */
struct fields {
	struct mw_octets left;
	unsigned seen;
	bool padding; /* zeros up to the end were looked for */
};

static bool is_all_zero(struct mw_octets o)
{
	return o.n > 0 && o.p[0] == 0 && memcmp(o.p, o.p + 1, o.n - 1) == 0;
}

/* False: no more fields. Some writers of programs for telephones pad with thousands of zeros. */
static bool next_field(struct fields *f, unsigned *id_r, struct mw_octets *field_r)
{
	const unsigned char *p = f->left.p;
	size_t n;

	if (f->left.n < 4 || f->seen == FIELDS_MAX)
		return false;
	n = zip_16(p + 2);
	*id_r = zip_16(p);
	if (*id_r == 0 && n == 0 && !f->padding) {
		f->padding = true;
		if (is_all_zero(f->left)) {
			f->left = mw_octets_of(p + f->left.n, 0);
			return false;
		}
	}
	if (n > f->left.n - 4) {
		f->left = mw_octets_of(p + f->left.n, 0);
		return false;
	}
	*field_r = mw_octets_of(p + 4, n);
	f->left = mw_octets_of(p + 4 + n, f->left.n - 4 - n);
	f->seen++;
	return true;
}

struct mw_octets zip_extra(struct mw_octets extra, unsigned id)
{
	struct fields f = { .left = extra };
	struct mw_octets field;
	unsigned this;

	while (next_field(&f, &this, &field))
		if (this == id)
			return field;
	return mw_octets_of(extra.p, 0);
}

static void take_64(struct mw_octets *field, uint64_t *n, uint32_t stands_for)
{
	if (*n != stands_for || field->n < 8)
		return;
	*n = zip_64(field->p);
	*field = mw_octets_of(field->p + 8, field->n - 8);
}

/* Fields that readers look into; which stands where there may be two of. */
enum wanted { WANTED_64, WANTED_NAME, WANTED_AES, WANTED_COUNT };

static enum wanted wanted_of(unsigned id)
{
	static const unsigned ids[WANTED_COUNT] = { EXTRA_ZIP64, EXTRA_UNICODE_PATH,
		ZIP_EXTRA_AES };
	unsigned i = 0;

	while (i < WANTED_COUNT && ids[i] != id)
		i++;
	return (enum wanted)i;
}

static bool same(struct mw_octets a, struct mw_octets b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static struct mw_octets unicode_of(struct mw_octets field)
{
	return field.n > 5 ? mw_octets_of(field.p + 5, field.n - 5) : mw_octets_of(field.p, 0);
}

/* What the fixed fields had no room for (section 4.5.3), and Info-ZIP's name (4.6.9). */
static void take_extra(struct zip_head *h, bool central)
{
	struct mw_octets field, first[WANTED_COUNT] = { 0 };
	struct fields f = { .left = h->extra };
	unsigned id;

	while (next_field(&f, &id, &field)) {
		enum wanted w = wanted_of(id);

		if (w == WANTED_COUNT)
			continue;
		if (first[w].p == NULL)
			first[w] = field;
		else if (!same(first[w], field))
			h->odd_extra = true;
		if (w == WANTED_NAME)
			h->unicode[1] = unicode_of(field);
	}
	h->unicode[0] = unicode_of(first[WANTED_NAME]);
	field = first[WANTED_64];
	take_64(&field, &h->size, UINT32_MAX);
	take_64(&field, &h->packed, UINT32_MAX);
	if (central)
		take_64(&field, &h->local, UINT32_MAX);
	h->odd_extra = h->odd_extra || f.left.n >= 4;
}

/* ------------------------------------------------------------------ headers */

size_t zip_local_end(struct mw_octets o, size_t at)
{
	size_t behind;

	if (!zip_is(o, at, ZIP_LOCAL) || o.n - at < LOCAL_OCTETS)
		return SIZE_MAX;
	behind = (size_t)zip_16(o.p + at + 26) + zip_16(o.p + at + 28);
	return behind <= o.n - at - LOCAL_OCTETS ? at + LOCAL_OCTETS + behind : SIZE_MAX;
}

static bool is_method(unsigned method)
{
	return method <= 10 || method == 12 || method == 14 || (method >= 16 && method <= 20) ||
	       (method >= 92 && method <= 99);
}

/* Programs that know zip have the four octets in them: a method that there is, and a name, tell
 * those from headers. Version, flags and sizes may be anything: readers go on. */
bool zip_local_is_likely(struct mw_octets o, size_t at)
{
	const unsigned char *p = o.p + at, *nul;
	size_t name;

	if (zip_local_end(o, at) == SIZE_MAX || !is_method(zip_16(p + 8)))
		return false;
	name = zip_16(p + 26);
	if (name == 0) /* then more of it has to be right */
		return p[4] >= 10 && p[4] <= 63 && (zip_16(p + 6) & ~FLAGS_KNOWN) == 0;
	nul = memchr(p + LOCAL_OCTETS, '\0', name);
	return name <= NAME_LIKELY && (nul == NULL || nul == p + LOCAL_OCTETS + name - 1);
}

bool zip_local_read(struct mw_octets o, size_t at, struct zip_head *h_r)
{
	const unsigned char *p = o.p + at;
	struct zip_head h = { 0 };
	size_t name, extra;

	h.end = zip_local_end(o, at);
	if (h.end == SIZE_MAX)
		return false;
	name = zip_16(p + 26);
	extra = zip_16(p + 28);
	h.flags = zip_16(p + 6);
	h.method = zip_16(p + 8);
	h.time = zip_16(p + 10);
	h.crc = zip_32(p + 14);
	h.packed = zip_32(p + 18);
	h.size = zip_32(p + 22);
	h.name = mw_octets_of(p + LOCAL_OCTETS, name);
	h.extra = mw_octets_of(p + LOCAL_OCTETS + name, extra);
	take_extra(&h, false);
	*h_r = h;
	return true;
}

bool zip_central_read(struct mw_octets o, size_t at, struct zip_head *h_r)
{
	const unsigned char *p = o.p + at;
	struct zip_head h = { 0 };
	size_t name, extra, comment;

	if (!zip_is(o, at, ZIP_CENTRAL) || o.n - at < CENTRAL_OCTETS)
		return false;
	name = zip_16(p + 28);
	extra = zip_16(p + 30);
	comment = zip_16(p + 32);
	if (o.n - at - CENTRAL_OCTETS < name + extra + comment)
		return false;
	h.made_by = zip_16(p + 4);
	h.flags = zip_16(p + 8);
	h.method = zip_16(p + 10);
	h.time = zip_16(p + 12);
	h.crc = zip_32(p + 16);
	h.packed = zip_32(p + 20);
	h.size = zip_32(p + 24);
	h.attributes = zip_32(p + 38);
	h.local = zip_32(p + 42);
	h.name = mw_octets_of(p + CENTRAL_OCTETS, name);
	h.extra = mw_octets_of(p + CENTRAL_OCTETS + name, extra);
	h.end = at + CENTRAL_OCTETS + name + extra + comment;
	take_extra(&h, true);
	*h_r = h;
	return true;
}

bool zip_end_is_dear(struct mw_octets o, size_t at)
{
	return at >= LOCATOR_OCTETS && zip_is(o, at - LOCATOR_OCTETS, ZIP_LOCATOR);
}

/* Section 4.3.14 and 4.3.15: a locator before the record says where zip64's is. */
static void take_end64(struct mw_octets o, unsigned way, struct zip_end *e)
{
	size_t locator, at;
	uint64_t said;

	if (e->at < LOCATOR_OCTETS + END64_OCTETS)
		return;
	locator = e->at - LOCATOR_OCTETS;
	if (!zip_is(o, locator, ZIP_LOCATOR))
		return;
	said = zip_64(o.p + locator + 8);
	at = (way & ZIP_END_NEAREST) == 0 && said <= locator &&
			     zip_is(o, (size_t)said, "PK\x06\x06")
		     ? (size_t)said
		     : zip_find_last(o, "PK\x06\x06",
			       locator > END64_WITHIN ? locator - END64_WITHIN : 0, locator);
	if (at == SIZE_MAX || locator - at < END64_OCTETS)
		return;
	if (e->count == UINT16_MAX || (way & ZIP_END_REPLACES) != 0)
		e->count = zip_64(o.p + at + 32);
	if (e->directory_size == UINT32_MAX || (way & ZIP_END_REPLACES) != 0)
		e->directory_size = zip_64(o.p + at + 40);
	if (e->directory == UINT32_MAX || (way & ZIP_END_REPLACES) != 0)
		e->directory = zip_64(o.p + at + 48);
	e->at = at;
}

bool zip_end_read(struct mw_octets o, size_t at, unsigned way, struct zip_end *e_r)
{
	const unsigned char *p = o.p + at;
	struct zip_end e;
	size_t comment;

	if (!zip_is(o, at, ZIP_END) || o.n - at < ZIP_END_OCTETS)
		return false;
	comment = zip_16(p + 20);
	e.at = at;
	e.count = zip_16(p + 10);
	e.directory_size = zip_32(p + 12);
	e.directory = zip_32(p + 16);
	e.comment = at + ZIP_END_OCTETS;
	e.after = o.n - at - ZIP_END_OCTETS < comment ? o.n : at + ZIP_END_OCTETS + comment;
	if ((way & ZIP_END_WITHOUT) == 0)
		take_end64(o, way, &e);
	*e_r = e;
	return true;
}
