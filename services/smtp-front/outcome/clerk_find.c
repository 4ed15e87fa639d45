#include "clerk_find.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "quarantine_scan.h"

#define FOLDERS_MAX 1000 /* recipients' own folders that are looked through */
/* Files that are read because the id is in their names: an id of one letter, which a client may
 * well ask for, is in those of the whole quarantine. */
#define READS_MAX (CLERK_COPIES_MAX + 100)

void clerk_found_fini(struct clerk_found *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->paths[i]);
	free(f->rcpts);
	free(f->releases);
	mw_text_fini(&f->texts);
	*f = (struct clerk_found){ 0 };
}

struct search {
	const char *dir, *mail_id;
	struct mw_qindex *index;
	struct clerk_found *found;
	struct mw_text blocked, all; /* recipients of copies that name blocked ones, of others */
	unsigned reads;
};

static void add_lines(struct mw_text *all, const char *rcpts)
{
	for (const char *p = rcpts; *p != '\0';) {
		size_t n = strcspn(p, "\n");
		bool known = false;

		for (const char *a = all->p; a != NULL && *a != '\0' && !known;
			a += strcspn(a, "\n"), a += *a == '\n')
			known = strcspn(a, "\n") == n && memcmp(a, p, n) == 0;
		if (!known) {
			if (all->n > 0)
				mw_text_add(all, "\n");
			mw_text_add_octets(all, p, n);
		}
		p += n + (p[n] == '\n');
	}
}

/* The file says itself whether it is a copy of that mail. */
static void consider(struct search *s, const char *path, bool indexed)
{
	struct clerk_found *f = s->found;
	struct mw_qhead h;
	struct mw_err err;

	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->paths[i], path) == 0)
			return;
	if (f->count == CLERK_COPIES_MAX || s->reads == READS_MAX)
		return;
	s->reads++;
	if (mw_qhead_read(&h, s->dir, path, false, &err) == MW_OK &&
		strcmp(h.e.mail_id, s->mail_id) == 0 &&
		(f->paths[f->count] = strdup(path)) != NULL) {
		f->count++;
		add_lines(h.blocked ? &s->blocked : &s->all, h.e.rcpts);
		if (!indexed && s->index != NULL)
			mw_qindex_put(s->index, &h.e, &err);
	}
	mw_qhead_fini(&h);
}

static bool on_row(void *arg, const struct mw_qentry *e)
{
	if (strchr("FZB", e->quar_type) != NULL)
		consider(arg, e->path, true);
	return true;
}

/* ------------------------------------------------------------------ the folders */

static void look_in(struct search *s, const char *folder)
{
	char path[MW_QINDEX_PATH_MAX * 2];
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", s->dir, folder);
	dir = opendir(path);
	if (dir == NULL)
		return;
	for (struct dirent *d; s->reads < READS_MAX && (d = readdir(dir)) != NULL;) {
		if (d->d_name[0] == '.' || strstr(d->d_name, s->mail_id) == NULL)
			continue;
		snprintf(path, sizeof(path), "%s%s%s", folder, *folder != '\0' ? "/" : "",
			d->d_name);
		consider(s, path, false);
	}
	closedir(dir);
}

/* A folder, and within it the one of the id's first character. */
static void look_in_hashed(struct search *s, const char *folder)
{
	char hashed[MW_QINDEX_PATH_MAX];

	look_in(s, folder);
	snprintf(hashed, sizeof(hashed), "%s%s%c", folder, *folder != '\0' ? "/" : "",
		s->mail_id[0]);
	look_in(s, hashed);
}

/* QUARANTINEDIR, and the folders that recipients have of their own in it. */
static void look_everywhere(struct search *s)
{
	DIR *dir = opendir(s->dir);
	unsigned seen = 0;

	look_in_hashed(s, "");
	for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL && seen < FOLDERS_MAX;) {
		struct stat st;

		if (d->d_name[0] == '.' || d->d_name[1] == '\0' ||
			fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
			!S_ISDIR(st.st_mode))
			continue;
		seen++;
		look_in_hashed(s, d->d_name);
	}
	if (dir != NULL)
		closedir(dir);
}

/* ------------------------------------------------------------------ releases */

static bool on_release(void *arg, const char *rcpt, const char *who, uint64_t time_ms)
{
	struct clerk_found *f = arg;
	struct clerk_release *more =
		realloc(f->releases, (f->release_count + 1) * sizeof(*f->releases));

	if (more == NULL)
		return false;
	f->releases = more;
	/* Offsets, until the text has stopped moving. */
	more[f->release_count] = (struct clerk_release){ (const char *)(uintptr_t)f->texts.n,
		(const char *)(uintptr_t)(f->texts.n + strlen(rcpt) + 1), time_ms };
	mw_text_add_octets(&f->texts, rcpt, strlen(rcpt) + 1);
	mw_text_add_octets(&f->texts, who, strlen(who) + 1);
	f->release_count++;
	return !f->texts.failed;
}

/* Those whom the mail is kept from; where no copy names any, as of mail that passed, all. */
static void take_rcpts(struct search *s)
{
	struct mw_text *rcpts = s->blocked.n > 0 || s->blocked.failed ? &s->blocked : &s->all;

	s->found->rcpts = rcpts->failed ? NULL : rcpts->p != NULL ? strdup(rcpts->p) : strdup("");
	mw_text_fini(&s->blocked);
	mw_text_fini(&s->all);
}

void clerk_look_up(
	const char *dir, struct mw_qindex *index, const char *mail_id, struct clerk_found *f)
{
	struct search s = { .dir = dir, .mail_id = mail_id, .index = index, .found = f };
	const struct mw_qquery q = {
		.mail_id = mail_id, .class = -1, .released = -1, .limit = CLERK_COPIES_MAX
	};
	struct mw_err err;

	f->known = index != NULL && mw_qindex_search(index, &q, on_row, &s, &err) == MW_OK &&
		   mw_qindex_releases(index, mail_id, on_release, f, &err) == MW_OK;
	/* Always: of several copies the index may know some and not yet the others. */
	look_everywhere(&s);
	for (size_t i = 0; i < f->release_count; i++) {
		f->releases[i].rcpt = f->texts.p + (uintptr_t)f->releases[i].rcpt;
		f->releases[i].who = f->texts.p + (uintptr_t)f->releases[i].who;
	}
	take_rcpts(&s);
	if (f->rcpts == NULL || f->texts.failed) {
		mw_log(MW_WARN, "quarantine_look_up", "mail_id=%s why=\"out of memory\"", mail_id);
		clerk_found_fini(f);
	}
}
