#include <stdio.h>
#include <stdlib.h>

#include "disc.h"
#include "doc.h"
#include "zisofs.h"

#define SECTOR ((size_t)2048)
#define FIRST_SECTOR 16
#define DESCRIPTORS_MAX 84 /* sectors in which Linux looks for them */
#define TREES_MAX 8
#define UNIT ((size_t)512) /* the smallest block: no two folders begin in one */
#define FOLDERS_MAX 10000
#define FILES_MAX 100000 /* records, of all lists */
#define RECORD_LEAST 34
#define CONTINUED_MAX 8	   /* areas of Rock Ridge behind one record, none longer than a sector */
#define RECORDS_A_LOOK 256 /* records between two looks at the clock */

/* Types of descriptors (ECMA-119 section 8), flags of records (9.1.6). */
enum { PRIMARY = 1, SUPPLEMENTARY = 2, LAST = 255 };
enum { IS_FOLDER = 0x02, GOES_ON = 0x80 };

/* One list of files: a descriptor, read with one size of blocks. */
struct tree {
	struct mw_octets descriptor;
	size_t block;
	bool wide;   /* names are UTF-16, highest octet first */
	size_t skip; /* octets in front of Rock Ridge's fields */
};

struct folder {
	struct mw_octets records;
	size_t known; /* octets from the place where it begins that are walked, or will be */
	char path[CONTAINER_NAME_MAX];
};

struct file {
	size_t at, n;	 /* octets, from the disc's first one; at is below the disc's end */
	size_t record;	 /* offset of its first record */
	unsigned folder; /* whose records these are */
	unsigned char tree;
	bool broken; /* beyond the disc's end, or in pieces that nobody writes */
};

struct disc {
	const struct container_job *job;
	struct mw_octets o;
	struct tree trees[TREES_MAX];
	unsigned tree_count;
	unsigned tree; /* which is walked */
	struct folder *folders;
	size_t folder_count, folder_cap;
	struct file *files;
	size_t file_count, file_cap;
	uint32_t *walked; /* for each unit: the folder that begins there, from 1; 0: none yet */
	size_t left;	  /* octets of folders that this tree may have: as many as the disc */
	bool broken, ambiguous;
};

/* ------------------------------------------------------------------ records */

struct record {
	struct mw_octets o;    /* all of it */
	struct mw_octets name; /* as it stands there */
	size_t place, size;
	unsigned flags;
};

/* The record at *at_p of a folder, behind which that is moved. False: no more of them. */
static bool next_record(struct disc *d, struct mw_octets folder, size_t *at_p, struct record *r)
{
	while (*at_p < folder.n) {
		unsigned n = folder.p[*at_p];

		r->o = doc_range(folder, *at_p, n);
		r->name = doc_range(r->o, 33, doc_u8(r->o, 32));
		if (n >= RECORD_LEAST && r->o.n == n && r->name.n == r->o.p[32]) {
			*at_p += n;
			r->place = (size_t)doc_u32(r->o, 2) * d->trees[d->tree].block;
			r->size = doc_u32(r->o, 10);
			r->flags = doc_u8(r->o, 25);
			return true;
		}
		d->broken = d->broken || n != 0;
		*at_p = (*at_p / SECTOR + 1) * SECTOR; /* none goes from one to the next */
	}
	return false;
}

static bool is_self_or_parent(const struct record *r)
{
	return r->name.n == 1 && r->name.p[0] <= 1;
}

/* ------------------------------------------------------------------ names */

/* What Rock Ridge (IEEE P1282) says of a record. */
struct rock {
	char name[CONTAINER_NAME_MAX];
	size_t n;
	bool link, device;
};

static void take_field(struct rock *rock, struct mw_octets field)
{
	if (doc_starts(field, "SL", 2))
		rock->link = true;
	else if (doc_starts(field, "PN", 2))
		rock->device = true;
	else if (doc_starts(field, "NM", 2))
		for (size_t i = 5; i < field.n && rock->n < CONTAINER_NAME_MAX - 1; i++)
			rock->name[rock->n++] = (char)field.p[i];
}

/* The fields of an area, and of those that it goes on in. */
static void read_rock(struct disc *d, struct mw_octets area, struct rock *rock)
{
	*rock = (struct rock){ .n = 0 };
	for (unsigned i = 0; i < CONTINUED_MAX && area.n >= 4; i++) {
		struct mw_octets more = { NULL, 0 };

		while (area.n >= 4 && area.p[2] >= 4 && area.p[2] <= area.n) {
			struct mw_octets field = doc_range(area, 0, area.p[2]);

			if (doc_starts(field, "CE", 2))
				more = doc_range(d->o,
					(size_t)doc_u32(field, 4) * d->trees[d->tree].block +
						doc_u32(field, 12),
					doc_u32(field, 20) < SECTOR ? doc_u32(field, 20) : SECTOR);
			take_field(rock, field);
			area = doc_from(area, field.n);
		}
		area = more;
	}
	d->ambiguous = d->ambiguous || area.n >= 4; /* others may read on */
}

static struct mw_octets rock_area(const struct disc *d, const struct record *r)
{
	size_t from = 33 + r->name.n + (r->name.n % 2 == 0 ? 1 : 0);

	return doc_from(r->o, from + d->trees[d->tree].skip);
}

/* Without its version; "README." has nothing behind its dot. */
static size_t strip(char *name, size_t n)
{
	size_t end = n;

	while (end > 0 && name[end - 1] >= '0' && name[end - 1] <= '9')
		end--;
	if (end > 0 && end < n && name[end - 1] == ';')
		n = end - 1;
	if (n > 1 && name[n - 1] == '.')
		n--;
	return n;
}

static void own_name(const struct disc *d, const struct record *r, char to[CONTAINER_NAME_MAX])
{
	char text[UINT8_MAX * 3 / 2 + 3];
	size_t n = r->name.n;

	if (d->trees[d->tree].wide)
		n = doc_utf8(text, r->name, false);
	else if (n > 0)
		memcpy(text, r->name.p, n);
	container_name(to, text, strip(text, n));
}

static void join(char to[CONTAINER_NAME_MAX], const char *path, const char *name)
{
	char both[2 * CONTAINER_NAME_MAX];
	int n = snprintf(both, sizeof(both), "%s%s%s", path, path[0] != '\0' ? "/" : "", name);

	container_name(to, both, n > 0 ? (size_t)n : 0);
}

/* ------------------------------------------------------------------ walking */

/* Room for one more; false: no memory. */
static bool room(void **list_p, size_t count, size_t *cap_p, size_t each)
{
	size_t cap = *cap_p != 0 ? 2 * *cap_p : 64;
	void *list;

	if (count < *cap_p)
		return true;
	list = realloc(*list_p, cap * each);
	if (list == NULL)
		return false;
	*list_p = list;
	*cap_p = cap;
	return true;
}

static bool push_folder(struct disc *d, size_t place, size_t size, const char *path)
{
	void *list = d->folders;
	struct folder *f;

	if (d->folder_count == FOLDERS_MAX) {
		d->broken = true;
		return true;
	}
	if (!room(&list, d->folder_count, &d->folder_cap, sizeof(*d->folders)))
		return false;
	d->folders = list;
	f = &d->folders[d->folder_count++];
	f->records = doc_range(d->o, place, size);
	f->known = size;
	d->broken = d->broken || f->records.n < size;
	mw_strlcpy(f->path, path, sizeof(f->path));
	return true;
}

/* False: no memory. */
static bool add_folder(struct disc *d, size_t place, size_t size, const char *path)
{
	size_t unit = place / UNIT;
	struct folder *f;

	if (place >= d->o.n) {
		d->broken = true;
		return true;
	}
	if (d->walked[unit] == 0) {
		d->walked[unit] = (uint32_t)(d->folder_count + (d->folder_count < FOLDERS_MAX));
		return push_folder(d, place, size, path);
	}
	/* No folder has two places; this is how some go round and round. But it may be said to be
	 * longer, and readers differ in whom they believe. */
	f = &d->folders[d->walked[unit] - 1];
	if (size <= f->known)
		return true;
	d->ambiguous = true;
	place += f->known;
	size -= f->known;
	f->known += size;
	return push_folder(d, place, size, path);
}

/* Readers that know of attributes in front of a folder begin behind them. */
static bool add_folder_of(
	struct disc *d, size_t place, size_t size, unsigned extended, const char *path)
{
	if (extended > 0) {
		d->ambiguous = true;
		if (!add_folder(d, place + extended * d->trees[d->tree].block, size, path))
			return false;
	}
	return add_folder(d, place, size, path);
}

static bool add_file(struct disc *d, const struct file *f)
{
	void *list = d->files;

	if (d->file_count == FILES_MAX) {
		d->broken = true;
		return true;
	}
	if (!room(&list, d->file_count, &d->file_cap, sizeof(*d->files)))
		return false;
	d->files = list;
	d->files[d->file_count++] = *f;
	return true;
}

/* The record of a file, or a further one of a file that has begun (*open_p). */
static bool take_file(struct disc *d, unsigned folder, const struct record *r, bool *open_p)
{
	struct file f = { .at = r->place,
		.n = r->size,
		.record = (size_t)(r->o.p - d->o.p),
		.folder = folder,
		.tree = (unsigned char)d->tree };
	struct file *before = *open_p && d->file_count > 0 ? &d->files[d->file_count - 1] : NULL;
	size_t extended = doc_u8(r->o, 1) * d->trees[d->tree].block;

	*open_p = (r->flags & GOES_ON) != 0;
	if (f.at > d->o.n)
		f.at = d->o.n;
	f.broken = f.n > d->o.n - f.at || doc_u8(r->o, 26) != 0 || doc_u8(r->o, 27) != 0;
	if (before != NULL && before->at + before->n == f.at) {
		before->n += f.n; /* one behind the other */
		before->broken = before->broken || f.broken;
		return true;
	}
	if (before != NULL) { /* each piece on its own: nobody here joins them */
		f.broken = before->broken = true;
		f.record = before->record;
	}
	if (!add_file(d, &f))
		return false;
	if (extended == 0)
		return true;
	/* Attributes stand in front of its octets, to those readers that know of them. */
	d->ambiguous = true;
	f.at = extended < d->o.n - f.at ? f.at + extended : d->o.n;
	f.broken = f.n > d->o.n - f.at;
	return add_file(d, &f);
}

static enum container_end tell_folder(struct disc *d, const char *name, const char *path)
{
	struct container_member m = { .name = name, .kind = 'D', .aliases = { path } };

	if (d->tree != 0)
		return CONTAINER_WHOLE; /* those of the first list are enough */
	return d->job->got(d->job->arg, &m) ? CONTAINER_WHOLE : CONTAINER_CUT;
}

static enum container_end take_folder(struct disc *d, const char *parent, const struct record *r)
{
	char own[CONTAINER_NAME_MAX], name[CONTAINER_NAME_MAX], path[CONTAINER_NAME_MAX];
	enum container_end end;
	struct rock rock;

	own_name(d, r, own);
	read_rock(d, rock_area(d, r), &rock);
	container_name(name, rock.name, rock.n);
	join(path, parent, name[0] != '\0' ? name : own);
	join(own, parent, own);
	end = tell_folder(d, path, own);
	if (end != CONTAINER_WHOLE)
		return end;
	return add_folder_of(d, r->place, r->size, doc_u8(r->o, 1), path) ? end
									  : CONTAINER_NO_MEMORY;
}

/* Its first record: some readers believe what that says of the folder's place and size. */
static bool itself(struct disc *d, const struct folder *folder, const struct record *r)
{
	size_t place = (size_t)(folder->records.p - d->o.p);

	if (r->place != place)
		d->ambiguous = true;
	return add_folder_of(d, r->place, r->size, doc_u8(r->o, 1), folder->path);
}

static enum container_end walk_folder(struct disc *d, unsigned number)
{
	struct folder folder = d->folders[number];
	enum container_end end = CONTAINER_WHOLE;
	unsigned count = 0;
	bool open = false;
	struct record r;
	size_t at = 0;

	if (folder.records.n > d->left) { /* they lie over each other */
		d->broken = true;
		return CONTAINER_WHOLE;
	}
	d->left -= folder.records.n;
	while (end == CONTAINER_WHOLE && next_record(d, folder.records, &at, &r)) {
		if (count++ % RECORDS_A_LOOK == 0 && !budget_time(d->job->budget))
			return CONTAINER_CUT;
		if (count == 1 && r.name.n == 1 && r.name.p[0] == 0 && !itself(d, &folder, &r))
			return CONTAINER_NO_MEMORY;
		if (is_self_or_parent(&r))
			continue;
		if ((r.flags & IS_FOLDER) != 0)
			end = take_folder(d, folder.path, &r);
		else if (!take_file(d, number, &r, &open))
			end = CONTAINER_NO_MEMORY;
	}
	return end;
}

static enum container_end walk_folders(struct disc *d, size_t from)
{
	enum container_end end = CONTAINER_WHOLE;

	for (size_t i = from; end == CONTAINER_WHOLE && i < d->folder_count; i++)
		end = walk_folder(d, (unsigned)i);
	return end;
}

/* Folders of the path table (ECMA-119 section 9.4) that the tree does not lead to: Windows looks
 * them up there. Their first record, which is of themselves, has their size. */
static enum container_end walk_table(struct disc *d)
{
	const struct tree *t = &d->trees[d->tree];
	size_t at = 0;
	struct mw_octets table = doc_range(
		d->o, (size_t)doc_u32(t->descriptor, 140) * t->block, doc_u32(t->descriptor, 132));
	size_t from = d->folder_count;
	unsigned count = 0;

	while (at + 8 <= table.n && table.p[at] != 0) {
		size_t place = (size_t)doc_u32(table, at + 2) * t->block, n = table.p[at];
		struct record r = { .name = doc_range(table, at + 8, n) };
		char name[CONTAINER_NAME_MAX];

		if (count++ % RECORDS_A_LOOK == 0 && !budget_time(d->job->budget))
			return CONTAINER_CUT;
		own_name(d, &r, name);
		/* what does not begin with itself is no folder */
		if (doc_u8(d->o, place) >= RECORD_LEAST && doc_u8(d->o, place + 32) == 1 &&
			doc_u8(d->o, place + 33) == 0 &&
			!add_folder(d, place, doc_u32(d->o, place + 10), name))
			return CONTAINER_NO_MEMORY;
		at += 8 + n + n % 2;
	}
	if (d->folder_count > from)
		d->ambiguous = true;
	return walk_folders(d, from);
}

/* Rock Ridge's fields begin behind as many octets as the root's own record says (SUSP section
 * 5.3); in extended architecture discs that one itself stands behind 14. */
static size_t skipped(const struct disc *d, size_t root)
{
	struct mw_octets own = doc_range(d->o, root, doc_u8(d->o, root));
	struct mw_octets area = doc_from(own, 34);

	if (doc_starts(area, "SP\7\1\xbe\xef", 6))
		return doc_u8(area, 6);
	return doc_starts(doc_from(area, 14), "SP\7\1\xbe\xef", 6) ? 14 : 0;
}

static enum container_end walk_tree(struct disc *d)
{
	struct mw_octets root = doc_from(d->trees[d->tree].descriptor, 156);
	size_t place = (size_t)doc_u32(root, 2) * d->trees[d->tree].block;
	size_t from = d->folder_count;
	enum container_end end;

	memset(d->walked, 0, (d->o.n / UNIT + 1) * sizeof(*d->walked));
	d->left = d->o.n;
	d->trees[d->tree].skip = skipped(d, place);
	if (!add_folder_of(d, place, doc_u32(root, 10), doc_u8(root, 1), ""))
		return CONTAINER_NO_MEMORY;
	end = walk_folders(d, from);
	return end == CONTAINER_WHOLE ? walk_table(d) : end;
}

/* ------------------------------------------------------------------ what came of it */

/* By place and size, those of the first list first. */
static int by_place(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	if (x->tree != y->tree)
		return x->tree < y->tree ? -1 : 1;
	return x->record < y->record ? -1 : x->record > y->record;
}

struct called {
	char names[1 + CONTAINER_ALIASES_MAX][CONTAINER_NAME_MAX];
	unsigned count;
};

/* True: there was room for it, or it is there. */
static bool call(struct called *c, const char *path, const char *name)
{
	char both[CONTAINER_NAME_MAX];

	join(both, path, name);
	for (unsigned i = 0; i < c->count; i++)
		if (strcmp(c->names[i], both) == 0)
			return true;
	if (c->count == MW_COUNT(c->names))
		return false;
	mw_strlcpy(c->names[c->count++], both, CONTAINER_NAME_MAX);
	return true;
}

/* The names of one record: false when there is no room for them. */
static bool call_file(
	struct disc *d, const struct file *f, struct called *c, struct container_member *m)
{
	const char *path = d->folders[f->folder].path;
	struct record r = { .o = doc_range(d->o, f->record, d->o.p[f->record]) };
	char own[CONTAINER_NAME_MAX], name[CONTAINER_NAME_MAX];
	struct rock rock;

	d->tree = f->tree;
	r.name = doc_range(r.o, 33, doc_u8(r.o, 32));
	own_name(d, &r, own);
	read_rock(d, rock_area(d, &r), &rock);
	container_name(name, rock.name, rock.n);
	if (f->n == 0)
		m->kind = rock.link ? 'L' : rock.device ? 'S' : m->kind;
	m->broken = m->broken || f->broken;
	return (name[0] == '\0' || call(c, path, name)) && call(c, path, own);
}

/* As Linux shows it; as it stands there where that cannot be. */
static enum container_end give_transparent(struct disc *d, struct container_member *m)
{
	struct doc_buf buf = { 0 };
	enum container_end end = zisofs_open(d->job->budget, m->octets, &buf);

	if (end != CONTAINER_NO_MEMORY && (end != CONTAINER_BROKEN || buf.n > 0))
		m->octets = doc_octets(&buf);
	m->broken = m->broken || end == CONTAINER_BROKEN;
	d->broken = d->broken || m->broken;
	if (end != CONTAINER_NO_MEMORY)
		end = doc_worse(end, doc_give(d->job, m));
	doc_free(&buf);
	return end == CONTAINER_BROKEN ? CONTAINER_WHOLE : end; /* the next one may be whole */
}

static enum container_end give_called(
	struct disc *d, struct container_member *m, const struct called *c)
{
	m->name = c->names[0];
	for (unsigned i = 1; i < c->count; i++)
		m->aliases[i - 1] = c->names[i];
	if (m->kind != '\0')
		return d->job->got(d->job->arg, m) ? CONTAINER_WHOLE : CONTAINER_CUT;
	if (zisofs_is(m->octets))
		return give_transparent(d, m);
	return budget_octets(d->job->budget, m->octets.n) ? doc_give(d->job, m) : CONTAINER_CUT;
}

/* Files of the same octets are one member of all their names; where those are too many, several. */
static enum container_end give_group(struct disc *d, const struct file *from, size_t count)
{
	enum container_end end = CONTAINER_WHOLE;

	for (size_t i = 0; end == CONTAINER_WHOLE && i < count;) {
		struct container_member m = { .octets = doc_range(d->o, from->at, from->n) };
		struct called c = { .count = 0 };
		size_t first = i;

		if (!budget_time(d->job->budget))
			return CONTAINER_CUT;
		while (i < count && (call_file(d, &from[i], &c, &m) || i == first))
			if (++i % RECORDS_A_LOOK == 0 && !budget_time(d->job->budget))
				return CONTAINER_CUT;
		d->broken = d->broken || m.broken;
		end = give_called(d, &m, &c);
	}
	return end;
}

/* Octets that the one list leads to and the other does not. */
static void compare(struct disc *d, const struct file *from, size_t count)
{
	unsigned has = 0, all = 0;

	for (size_t i = 0; i < count; i++)
		has |= 1u << from[i].tree;
	for (unsigned i = 0; i < d->tree_count; i++)
		all |= 1u << i;
	d->ambiguous = d->ambiguous || has != all;
}

static enum container_end give_files(struct disc *d)
{
	enum container_end end = CONTAINER_WHOLE;
	size_t n = d->file_count, same;

	if (n > 0)
		qsort(d->files, n, sizeof(*d->files), by_place);
	for (size_t i = 0; end == CONTAINER_WHOLE && i < n; i += same) {
		const struct file *f = &d->files[i];

		for (same = 1; i + same < n && f[same].at == f->at && f[same].n == f->n; same++)
			;
		if (f->n > 0)
			compare(d, f, same);
		if (f->n > 0 || f->tree == 0) /* an empty one hides nothing under another name */
			end = give_group(d, f, same);
	}
	return end;
}

/* ------------------------------------------------------------------ descriptors */

static void add_tree(struct disc *d, struct mw_octets descriptor, size_t block, bool wide)
{
	if (d->tree_count == TREES_MAX) {
		d->broken = true;
		return;
	}
	d->trees[d->tree_count++] = (struct tree){ descriptor, block, wide, 0 };
}

/* Joliet is a supplementary one whose names are UCS-2, of one of three levels. */
static bool is_wide(struct mw_octets descriptor)
{
	const unsigned char *escape = descriptor.p + 88;

	return descriptor.p[0] == SUPPLEMENTARY && escape[0] == '%' && escape[1] == '/' &&
	       memchr("@CE", escape[2], 3) != NULL;
}

/* Sectors among them that are none are passed over by some, and are the end to others. */
static void find_trees(struct disc *d)
{
	bool odd = false;

	for (unsigned i = 0; i < DESCRIPTORS_MAX; i++) {
		struct mw_octets v = doc_range(d->o, (FIRST_SECTOR + i) * SECTOR, SECTOR);
		size_t block = doc_u16(v, 128);

		if (v.n < SECTOR)
			return;
		if (memcmp(v.p + 1, "CD001", 5) != 0) {
			odd = true;
			continue;
		}
		d->ambiguous = d->ambiguous || odd;
		if (v.p[0] == LAST)
			return;
		if (v.p[0] != PRIMARY && v.p[0] != SUPPLEMENTARY)
			continue;
		add_tree(d, v, SECTOR, is_wide(v));
		if (block != 512 && block != 1024)
			continue;
		add_tree(d, v, block, is_wide(v)); /* Windows knows of no such blocks */
		d->ambiguous = true;
	}
}

enum container_end disc_open(const struct container_job *job)
{
	struct disc d = { .job = job, .o = job->octets };
	enum container_end end = CONTAINER_WHOLE;

	find_trees(&d);
	d.walked = calloc(d.o.n / UNIT + 1, sizeof(*d.walked));
	if (d.walked == NULL)
		end = CONTAINER_NO_MEMORY;
	for (; end == CONTAINER_WHOLE && d.tree < d.tree_count; d.tree++)
		end = walk_tree(&d);
	if (end == CONTAINER_WHOLE)
		end = give_files(&d);
	free(d.walked);
	free(d.folders);
	free(d.files);
	if (d.ambiguous && job->ambiguous_r != NULL)
		*job->ambiguous_r = true;
	return end == CONTAINER_WHOLE && (d.broken || d.tree_count == 0) ? CONTAINER_BROKEN : end;
}
