#include <sys/stat.h>

#include "inflate.h"
#include "unpack.h"
#include "zip_crypt.h"
#include "zip_walk.h"

#define MADE_BY_UNIX 3
#define READINGS_MAX 6 /* of one member */
/* So many folders count as one file: no archive that is meant to be unpacked is of folders alone,
 * and engines are slow with those that are. */
#define FOLDERS_A_FILE 8

/* One way to read a member: from where to where, by which method. */
struct reading {
	const struct zip_head *head; /* flags, crc, and so on */
	uint16_t method;
	struct mw_octets packed;
};

struct giving {
	struct zip_walk *w;
	const struct zip_view *v;
	struct container_member m; /* name, aliases, kind */
	char names[1 + CONTAINER_ALIASES_MAX][CONTAINER_NAME_MAX];
	struct reading done[READINGS_MAX];
	unsigned count;
	size_t shortest;	   /* octets of the shortest reading */
	bool ambiguous, cut_short; /* cut_short: its octets end before the stream does */
};

static void doubt(struct giving *g)
{
	g->ambiguous = g->w->ambiguous = true;
}

static void shorter(struct giving *g, size_t used)
{
	if (used < g->shortest)
		g->shortest = used;
}

/* ------------------------------------------------------------------ names */

static void add_name(struct giving *g, struct mw_octets name)
{
	char text[CONTAINER_NAME_MAX];
	unsigned i = 0;

	container_name(text, (const char *)name.p, name.n);
	if (text[0] == '\0' || strcmp(text, g->names[0]) == 0)
		return;
	if (g->names[0][0] == '\0') {
		mw_strlcpy(g->names[0], text, sizeof(g->names[0]));
		return;
	}
	while (i < CONTAINER_ALIASES_MAX && g->m.aliases[i] != NULL) {
		if (strcmp(g->m.aliases[i], text) == 0)
			return;
		i++;
	}
	if (i == CONTAINER_ALIASES_MAX) {
		doubt(g); /* there is no room to tell this one */
		return;
	}
	mw_strlcpy(g->names[1 + i], text, sizeof(g->names[0]));
	g->m.aliases[i] = g->names[1 + i];
}

/* A name as it stands, and as it is for those to whom it ends at a NUL, or to whom what has octets
 * is no folder. */
static void add_names(struct giving *g, struct mw_octets name)
{
	const unsigned char *nul = name.n > 0 ? memchr(name.p, '\0', name.n) : NULL;

	if (name.n > 1 && name.p[name.n - 1] == '/' && g->m.kind != 'D')
		add_name(g, mw_octets_of(name.p, name.n - 1));
	else
		add_name(g, name);
	if (nul != NULL)
		add_name(g, mw_octets_of(name.p, (size_t)(nul - name.p)));
}

static void add_unicode(struct giving *g, const struct zip_head *h)
{
	for (unsigned i = 0; i < MW_COUNT(h->unicode); i++)
		add_names(g, h->unicode[i]);
}

static char kind_of(const struct zip_head *h)
{
	unsigned mode = h->made_by >> 8 == MADE_BY_UNIX ? h->attributes >> 16 : 0;

	if (h->name.n > 0 && h->name.p[h->name.n - 1] == '/' && h->size == 0)
		return 'D';
	return S_ISLNK(mode) ? 'L' : '\0';
}

/* ------------------------------------------------------------------ octets of one reading */

static enum container_end plain_octets(
	struct zip_walk *w, const struct reading *r, struct mw_octets *octets_r, size_t *used_r)
{
	struct budget *b = w->job->budget;
	enum container_end end;

	*used_r = r->packed.n;
	*octets_r = mw_octets_of(r->packed.p, 0);
	switch (r->method) {
	case ZIP_STORED: /* no copy, but as dear as one */
		octets_r->n = r->packed.n <= b->octets ? r->packed.n : (size_t)b->octets;
		return budget_octets(b, r->packed.n) ? CONTAINER_WHOLE : CONTAINER_CUT;
	case ZIP_DEFLATED:
		end = inflate_raw(r->packed, b, &w->out, used_r);
		break;
	default:
		end = unpack_zip_method(r->method, r->packed, r->head->size, b, &w->out, used_r);
		break;
	}
	*octets_r = mw_octets_of(w->out.p, w->out.n);
	return end;
}

static bool crc_fits(const struct zip_head *h, struct mw_octets octets)
{
	return zip_aes_of(h).version == 2 || inflate_crc32(octets) == h->crc;
}

/* One reading that is encrypted, and what came out of it. */
struct opened {
	struct mw_octets octets;
	size_t behind; /* octets behind the stream's end */
	enum container_end end;
};

/* One password on one reading. True: it fits, and *o_r is what came out. */
static bool try_password(
	struct zip_walk *w, const struct reading *r, struct mw_octets word, struct opened *o_r)
{
	struct zip_aes aes = zip_aes_of(r->head);
	struct reading inner = { .head = r->head,
		.method = aes.strength != 0 ? aes.method : r->method };
	uint64_t octets = w->job->budget->octets;
	unsigned met = w->job->budget->met;
	enum zip_key key = zip_decrypt(r->head, r->packed, word, &w->plain);
	size_t used;

	if (key == ZIP_KEY_NO_MEMORY)
		o_r->end = CONTAINER_NO_MEMORY;
	if (key != ZIP_KEY_FITS)
		return false;
	inner.packed = mw_octets_of(w->plain.p, w->plain.n);
	o_r->end = plain_octets(w, &inner, &o_r->octets, &used);
	if (o_r->end == CONTAINER_NO_MEMORY)
		return false;
	o_r->behind = inner.packed.n - used;
	/* AES has a MAC. Of the other cipher one wrong word in 256 comes so far. */
	if (aes.strength != 0 || o_r->end == CONTAINER_CUT || crc_fits(r->head, o_r->octets))
		return true;
	w->job->budget->octets = octets;
	w->job->budget->met = met;
	return false;
}

static bool open_sealed(struct zip_walk *w, const struct reading *r, struct opened *o_r)
{
	unsigned cost =
		zip_aes_of(r->head).strength != 0 ? PASSWORDS_COST_DEAR : PASSWORDS_COST_CHEAP;
	struct mw_octets word;

	o_r->end = CONTAINER_WHOLE;
	for (unsigned i = 0;
		budget_time(w->job->budget) && passwords_next(w->job->passwords, i, cost, &word);
		i++) {
		if (try_password(w, r, word, o_r)) {
			passwords_fitted(w->job->passwords, i);
			return true;
		}
		if (o_r->end == CONTAINER_NO_MEMORY)
			return false;
	}
	o_r->end = CONTAINER_WHOLE;
	return false;
}

/* ------------------------------------------------------------------ giving them out */

static enum container_end give(
	struct giving *g, struct mw_octets octets, bool encrypted, bool broken)
{
	struct container_member m = g->m;
	size_t n = strlen(g->names[0]);

	while (octets.n > 0 && n > 1 && g->names[0][n - 1] == '/')
		g->names[0][--n] = '\0'; /* what has octets is no folder */
	m.name = g->names[0];
	m.octets = octets;
	m.encrypted = encrypted;
	m.broken = broken;
	m.ambiguous = g->ambiguous;
	g->w->broken = g->w->broken || broken;
	return g->w->job->got(g->w->job->arg, &m) ? CONTAINER_WHOLE : CONTAINER_CUT;
}

/* A folder; false, *end_r: its local header, whose sizes are to follow, has a stream behind it all
 * the same. */
static bool is_folder(struct giving *g, size_t at, enum container_end *end_r)
{
	const struct zip_head *l = g->v->local;
	struct mw_octets o = g->w->o, octets;
	struct reading r = { l, l->method, mw_octets_of(o.p + at, o.n - at) };
	size_t used;

	*end_r = CONTAINER_WHOLE;
	if (l->method != ZIP_DEFLATED || (l->flags & ZIP_SIZES_FOLLOW) == 0)
		return true;
	*end_r = plain_octets(g->w, &r, &octets, &used);
	if (octets.n == 0 || *end_r == CONTAINER_NO_MEMORY)
		return true;
	doubt(g);
	shorter(g, used);
	if (!budget_file(g->w->job->budget) ||
		give(g, octets, false, *end_r == CONTAINER_BROKEN) != CONTAINER_WHOLE)
		*end_r = CONTAINER_CUT;
	return false;
}

static enum container_end give_folder(struct giving *g)
{
	if (++g->w->folders % FOLDERS_A_FILE == 0 && !budget_file(g->w->job->budget))
		return CONTAINER_CUT;
	return give(g, mw_octets_of("", 0), false, false);
}

/* Readers that stop at the size that a header says see less than the stream has. */
static enum container_end give_shorter(struct giving *g, struct mw_octets octets)
{
	const struct zip_head *heads[2] = { g->v->central, g->v->local };
	uint64_t last = octets.n;

	for (unsigned i = 0; i < 2; i++) {
		const struct zip_head *h = heads[i];
		enum container_end end;

		if (h == NULL || h->size == 0 || h->size >= octets.n || h->size == last)
			continue;
		last = h->size;
		doubt(g);
		if (!budget_file(g->w->job->budget))
			return CONTAINER_CUT;
		end = give(g, mw_octets_of(octets.p, (size_t)h->size), false, false);
		if (end != CONTAINER_WHOLE)
			return end;
	}
	return CONTAINER_WHOLE;
}

static bool done_already(const struct giving *g, const struct reading *r)
{
	for (unsigned i = 0; i < g->count; i++)
		if (g->done[i].packed.n == r->packed.n && g->done[i].method == r->method &&
			zip_aes_of(g->done[i].head).method == zip_aes_of(r->head).method &&
			((g->done[i].head->flags ^ r->head->flags) & ZIP_ENCRYPTED) == 0)
			return true;
	return false;
}

static enum container_end give_reading(struct giving *g, struct reading r, size_t *used_r)
{
	struct zip_walk *w = g->w;
	struct opened o = { .octets = mw_octets_of(r.packed.p, 0) };
	enum container_end given;
	bool sealed = (r.head->flags & ZIP_ENCRYPTED) != 0;

	*used_r = r.packed.n;
	if (g->count == READINGS_MAX || done_already(g, &r))
		return CONTAINER_WHOLE;
	g->done[g->count++] = r;
	if (!budget_file(w->job->budget))
		return CONTAINER_CUT;
	if (sealed && !open_sealed(w, &r, &o))
		return o.end != CONTAINER_WHOLE ? o.end
						: give(g, mw_octets_of(NULL, 0), true, false);
	if (sealed)
		*used_r = r.packed.n - o.behind;
	else
		o.end = plain_octets(w, &r, &o.octets, used_r);
	if (o.end == CONTAINER_NO_MEMORY)
		return o.end;
	g->cut_short = o.end == CONTAINER_BROKEN && !sealed && r.method == ZIP_DEFLATED &&
		       *used_r == r.packed.n;
	if (o.end == CONTAINER_WHOLE && *used_r < r.packed.n)
		doubt(g); /* what stands behind the stream's end is hidden from most */
	if (o.end == CONTAINER_WHOLE && !crc_fits(r.head, o.octets))
		w->broken = true;
	given = give(g, o.octets, false, o.end == CONTAINER_BROKEN);
	if (o.end == CONTAINER_CUT || given != CONTAINER_WHOLE)
		return CONTAINER_CUT;
	return give_shorter(g, o.octets);
}

/* Octets of a stored member whose size nobody says: as far as the next record. */
static size_t to_next_record(struct mw_octets o, size_t at)
{
	static const char *const records[] = { ZIP_LOCAL, ZIP_CENTRAL, ZIP_END, ZIP_DESCRIPTOR };
	size_t nearest = o.n;

	for (size_t i = 0; i < MW_COUNT(records); i++) {
		size_t found = zip_find(o, records[i], at, nearest);

		if (found != SIZE_MAX)
			nearest = found;
	}
	return nearest - at;
}

static struct reading reading_of(
	struct mw_octets o, const struct zip_head *h, size_t at, uint64_t packed)
{
	size_t left = o.n - at;

	return (struct reading){ h, h->method,
		mw_octets_of(o.p + at, packed < left ? (size_t)packed : left) };
}

/* Some readers take as many octets of a stored file as it is to have, others as it is said to take.
 */
static enum container_end give_by_size(struct giving *g, const struct zip_head *h, size_t at)
{
	size_t used;

	if (h->method != ZIP_STORED || (h->flags & ZIP_ENCRYPTED) != 0 || h->size <= h->packed)
		return CONTAINER_WHOLE;
	doubt(g);
	return give_reading(g, reading_of(g->w->o, h, at, h->size), &used);
}

/* The size that a descriptor behind the octets says: one that stands where it says that it does.
 * SIZE_MAX: there is none up to the next record behind `packed` octets. */
static size_t described(struct mw_octets o, size_t at, uint64_t packed)
{
	size_t last = packed < o.n - at ? at + (size_t)packed : o.n;
	size_t to = last + to_next_record(o, last), d = at;

	to = to < o.n - 3 ? to + 4 : o.n;
	for (; (d = zip_find(o, ZIP_DESCRIPTOR, d, to)) != SIZE_MAX && o.n - d >= 12; d++)
		if (zip_32(o.p + d + 8) == d - at)
			return d - at;
	return SIZE_MAX;
}

/* Readers of streams find the end of a stored file by its descriptor: when that is not where the
 * directory says, they see another file, and go on there. */
static enum container_end give_described(struct giving *g, size_t at)
{
	const struct zip_head *c = g->v->central, *l = g->v->local;
	enum container_end end;
	size_t packed, used;

	if ((l->flags & ZIP_SIZES_FOLLOW) == 0 || (l->flags & ZIP_ENCRYPTED) != 0 ||
		l->method != ZIP_STORED || l->packed != 0)
		return CONTAINER_WHOLE;
	packed = described(g->w->o, at, c->packed);
	if (packed == SIZE_MAX || packed == c->packed)
		return CONTAINER_WHOLE;
	doubt(g);
	end = give_reading(g, reading_of(g->w->o, l, at, packed), &used);
	shorter(g, used);
	return end;
}

/* A deflated stream from there to wherever it ends. */
static enum container_end give_stream(
	struct giving *g, const struct zip_head *h, size_t at, size_t *used_r)
{
	struct reading r = reading_of(g->w->o, h, at, UINT64_MAX);
	struct mw_octets octets;
	enum container_end end;

	*used_r = 0;
	if (!budget_file(g->w->job->budget))
		return CONTAINER_CUT;
	end = plain_octets(g->w, &r, &octets, used_r);
	if (end == CONTAINER_NO_MEMORY)
		return end;
	if (give(g, octets, false, end == CONTAINER_BROKEN) != CONTAINER_WHOLE)
		return CONTAINER_CUT;
	return end == CONTAINER_CUT ? end : CONTAINER_WHOLE;
}

/* As a reader sees it that goes from local header to local header. */
static enum container_end give_local(struct giving *g, size_t at)
{
	const struct zip_head *h = g->v->local;
	struct mw_octets o = g->w->o;
	bool follows = (h->flags & ZIP_SIZES_FOLLOW) != 0 && h->packed == 0;
	enum container_end end;
	size_t used;

	if (follows && g->v->central != NULL)
		return CONTAINER_WHOLE; /* the directory's reading has the same beginning */
	if (!follows && h->packed > o.n - at)
		g->w->broken = true;
	if (follows && h->method == ZIP_DEFLATED && (h->flags & ZIP_ENCRYPTED) == 0)
		end = give_stream(g, h, at, &used);
	else
		end = give_reading(g,
			reading_of(o, h, at, follows ? to_next_record(o, at) : h->packed), &used);
	shorter(g, used);
	return end == CONTAINER_WHOLE && !follows ? give_by_size(g, h, at) : end;
}

static enum container_end give_central(struct giving *g, size_t at)
{
	const struct zip_head *h = g->v->central;
	struct reading r = reading_of(g->w->o, h, at, h->packed);
	enum container_end end;
	size_t used;

	if (h->packed > g->w->o.n - at)
		g->w->broken = true;
	end = give_reading(g, r, &used);
	shorter(g, used);
	if (end == CONTAINER_WHOLE)
		end = give_by_size(g, h, at);
	if (end == CONTAINER_WHOLE)
		end = give_described(g, at);
	if (end != CONTAINER_WHOLE || !g->cut_short || r.packed.n == g->w->o.n - at)
		return end;
	doubt(g); /* the stream goes on behind its size: readers differ in where they stop */
	return give_stream(g, h, at, &used);
}

/* True when the two headers do not say the same of the octets. */
static bool heads_differ(const struct zip_head *c, const struct zip_head *l)
{
	bool follows = (l->flags & ZIP_SIZES_FOLLOW) != 0;

	if ((c->flags & ZIP_MASKED) != 0 || (l->flags & ZIP_MASKED) != 0)
		return false;
	return c->method != l->method || zip_aes_of(c).method != zip_aes_of(l).method ||
	       ((c->flags ^ l->flags) & ZIP_ENCRYPTED) != 0 || c->name.n != l->name.n ||
	       memcmp(c->name.p, l->name.p, c->name.n) != 0 ||
	       (c->packed != l->packed && !(follows && l->packed == 0)) ||
	       (c->size != l->size && !(follows && l->size == 0));
}

enum container_end zip_give(struct zip_walk *w, const struct zip_view *v, size_t *end_r)
{
	const struct zip_head *any = v->central != NULL ? v->central : v->local;
	struct giving g = { .w = w, .v = v, .shortest = SIZE_MAX };
	enum container_end end = CONTAINER_WHOLE;
	size_t at;

	if (v->central == NULL ? w->listed : v->local == NULL || heads_differ(v->central, v->local))
		doubt(&g);
	if ((v->central != NULL && v->central->odd_extra) ||
		(v->local != NULL && v->local->odd_extra))
		doubt(&g);
	g.m.kind = kind_of(any);
	add_names(&g, any->name);
	add_unicode(&g, any);
	if (v->local != NULL) {
		add_names(&g, v->local->name);
		add_unicode(&g, v->local);
	}
	if (v->local == NULL)
		return budget_file(w->job->budget) ? give(&g, mw_octets_of("", 0), false, true)
						   : CONTAINER_CUT;
	at = v->local->end;
	*end_r = at;
	if (g.m.kind == 'D' && any->packed == 0 && v->local->packed == 0) {
		if (is_folder(&g, at, &end))
			return end == CONTAINER_NO_MEMORY ? end : give_folder(&g);
	} else {
		if (v->central != NULL)
			end = give_central(&g, at);
		if (end == CONTAINER_WHOLE)
			end = give_local(&g, at);
	}
	if (g.shortest != SIZE_MAX)
		*end_r = at + g.shortest;
	return end;
}
