/*
 * Tables from files, in amavisd's formats: an entry a line; in a hash a key, blanks and a value,
 * which is 1 when there is none. # begins a comment except inside double quotes.
 *
 * A file is read whole or not at all. When it changed it is read into a table beside the one in
 * use, which gives way only to a good one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "lookup_priv.h"

#define FILES_MAX 1000
#define LINE_MAX_OCTETS 4096
#define SETTLE_MS 1000 /* a file changed so lately may be half written: the next look takes it */

/* Which version of a file. */
struct stamp {
	int error; /* errno; the rest is then 0 */
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

struct mw_lookup_file {
	char *path;
	enum mw_made made;
	struct mw_lookup_options options; /* key, want, case_sensitive */
	struct stamp stamp;		  /* of the version in use */
	struct stamp bad_stamp;		  /* of the one that was refused */
	bool bad;
	struct mw_table table;
};

/* A policy that is compiled while mail runs may add a file while another thread looks at those that
 * are there: they never move, and the count says how many may be looked at. */
struct mw_lookup_files {
	struct mw_lookup_limits limits;
	size_t count; /* atomic */
	struct mw_lookup_file *list[FILES_MAX];
};

struct news {
	size_t file;
	struct stamp stamp;
	enum mw_rc rc;
	struct mw_table table;
	struct mw_err err;
};

struct mw_lookup_news {
	size_t count;
	struct news item[];
};

/* ------------------------------------------------------------------ lines */

/* Cut the comment and the blanks at both ends off a line; returns where it begins. */
static char *trim(char *line)
{
	bool quoted = false;
	char *end = line;

	for (; *end != '\0' && (quoted || *end != '#'); end++) {
		if (*end == '\\' && quoted && end[1] != '\0')
			end++;
		else if (*end == '"')
			quoted = !quoted;
	}
	while (end > line && strchr(" \t\r", end[-1]) != NULL)
		end--;
	*end = '\0';
	return line + strspn(line, " \t");
}

/* Behind the first word; blanks inside double quotes are part of it. */
static char *word_end(char *s)
{
	bool quoted = false;

	for (; *s != '\0' && (quoted || (*s != ' ' && *s != '\t')); s++) {
		if (*s == '\\' && quoted && s[1] != '\0')
			s++;
		else if (*s == '"')
			quoted = !quoted;
	}
	return s;
}

static enum mw_rc take_line(
	const struct mw_lookup_file *f, struct mw_table *t, char *line, struct mw_err *err_r)
{
	char *key = trim(line), *end = word_end(key);
	struct mw_cell cell;
	enum mw_rc rc;

	if (*key == '\0')
		return MW_OK;
	if (f->made != MW_MADE_READ_HASH)
		return *end == '\0' ? mw_list_add(t, key, &f->options, err_r)
				    : mw_fail(err_r, MW_ERR_CONF,
					      "expected one entry in a line: \"%.100s\"", key);
	if (*end != '\0')
		*end++ = '\0';
	end += strspn(end, " \t");
	rc = mw_cell_of_text(
		&cell, *end != '\0' ? end : "1", f->options.want, mw_hash_pool(t->hash), err_r);
	rc = mw_cell_checked(rc, &cell, mw_hash_pool(t->hash), &f->options, err_r);
	return rc == MW_OK ? mw_hash_entry(t->hash, key, &cell, &f->options, err_r) : rc;
}

/* text is changed, and has a NUL behind it. */
static enum mw_rc take_text(const struct mw_lookup_file *f, struct mw_table *t, char *text,
	size_t n, struct mw_err *err_r)
{
	char *end = text + n;
	size_t number = 0;

	while (text < end) {
		char *nl = memchr(text, '\n', (size_t)(end - text));
		char *stop = nl != NULL ? nl : end;
		struct mw_err err;
		enum mw_rc rc = MW_OK;

		number++;
		*stop = '\0';
		if ((size_t)(stop - text) > LINE_MAX_OCTETS)
			rc = mw_fail(&err, MW_ERR_LIMIT, "more than %d octets", LINE_MAX_OCTETS);
		else if (strlen(text) != (size_t)(stop - text))
			rc = mw_fail(&err, MW_ERR_CONF, "a NUL octet");
		else
			rc = take_line(f, t, text, &err);
		if (rc != MW_OK)
			return mw_fail(err_r, rc, "%.200s:%zu: %.250s", f->path, number, err.text);
		text = stop + 1;
	}
	return MW_OK;
}

/* ------------------------------------------------------------------ files */

static struct stamp stamp_of(const struct stat *st)
{
	return (struct stamp){ 0, st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim };
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->error == b->error && a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       same_time(a->mtime, b->mtime) && same_time(a->ctime, b->ctime);
}

static struct stamp look(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? stamp_of(&st) : (struct stamp){ .error = errno };
}

/* Octets of the open file, with a NUL behind them; NULL and err_r. */
static char *read_whole(
	int fd, const char *path, uint64_t most, struct stamp *stamp_r, struct mw_err *err_r)
{
	struct stat st;
	size_t n = 0, size;
	ssize_t got = 1;
	char *text;

	*stamp_r = fstat(fd, &st) == 0 ? stamp_of(&st) : (struct stamp){ .error = errno };
	if (stamp_r->error != 0 || !S_ISREG(st.st_mode)) {
		mw_fail(err_r, MW_ERR_IO, "%s: is no file", path);
		return NULL;
	}
	size = (size_t)st.st_size;
	if ((uint64_t)st.st_size > most) {
		mw_fail(err_r, MW_ERR_LIMIT, "%s: more than %llu octets (lookup.file_octets)", path,
			(unsigned long long)most);
		return NULL;
	}
	text = malloc(size + 1);
	while (text != NULL && n < size && (got = read(fd, text + n, size - n)) > 0)
		n += (size_t)got;
	if (text != NULL && n == size && fstat(fd, &st) == 0) {
		struct stamp after = stamp_of(&st);

		if (same_stamp(&after, stamp_r)) {
			text[size] = '\0';
			return text;
		}
	}
	mw_fail(err_r, MW_ERR_IO, "%s: %s", path,
		text == NULL ? "no memory"
		: got < 0    ? strerror(errno)
			     : "it changed while it was read");
	free(text);
	return NULL;
}

/* The file as a table. stamp_r: of what was read, or of what could not be. */
static enum mw_rc read_table(const struct mw_lookup_file *f, uint64_t most, struct mw_table *t_r,
	struct stamp *stamp_r, struct mw_err *err_r)
{
	struct mw_table t = { .kind = MW_LOOKUP_LABEL };
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = NULL;
	bool made;
	enum mw_rc rc;

	if (fd < 0) {
		int error = errno;

		*stamp_r = look(f->path); /* a file may be there that we may not read */
		return mw_fail(
			err_r, MW_ERR_IO, "%s: cannot be opened: %s", f->path, strerror(error));
	}
	text = read_whole(fd, f->path, most, stamp_r, err_r);
	close(fd);
	if (text == NULL)
		return MW_ERR_IO;
	if (f->made == MW_MADE_READ_HASH) {
		t.kind = MW_LOOKUP_HASH;
		made = (t.hash = mw_hash_new()) != NULL;
	} else {
		made = mw_list_new(&t, &f->options);
	}
	rc = made ? take_text(f, &t, text, (size_t)stamp_r->size, err_r)
		  : mw_fail(err_r, MW_ERR_NOMEM, "%s: no memory", f->path);
	free(text);
	if (rc != MW_OK)
		mw_table_fini(&t);
	else
		*t_r = t;
	return rc;
}

static void file_destroy(struct mw_lookup_file *f)
{
	if (f == NULL)
		return;
	mw_table_fini(&f->table);
	free(f->path);
	free(f);
}

static bool is_file(const struct mw_lookup_file *f, const char *path, enum mw_made made,
	const struct mw_lookup_options *o)
{
	return f->made == made && f->options.key == o->key && f->options.want == o->want &&
	       f->options.case_sensitive == o->case_sensitive && f->options.check == o->check &&
	       strcmp(f->path, path) == 0;
}

enum mw_rc mw_lookup_file_get(struct mw_lookup_files *files, const char *path, enum mw_made made,
	const struct mw_lookup_options *o, const struct mw_lookup_file **file_r,
	struct mw_err *err_r)
{
	struct mw_lookup_file *f;
	enum mw_rc rc;

	for (size_t i = 0; i < files->count; i++)
		if (is_file(files->list[i], path, made, o)) {
			*file_r = files->list[i];
			return MW_OK;
		}
	if (path[0] != '/')
		return mw_fail(err_r, MW_ERR_CONF, "%s(\"%s\"): expected an absolute path",
			mw_made_name(made), path);
	if (files->count == FILES_MAX)
		return mw_fail(err_r, MW_ERR_LIMIT, "more than %d files", FILES_MAX);
	f = calloc(1, sizeof(*f));
	if (f != NULL)
		f->path = strdup(path);
	if (f == NULL || f->path == NULL) {
		free(f != NULL ? f->path : NULL);
		free(f);
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory");
	}
	f->made = made;
	f->options = (struct mw_lookup_options){ .key = o->key,
		.want = o->want,
		.case_sensitive = o->case_sensitive,
		.check = o->check };
	f->table.kind = MW_LOOKUP_LABEL;
	rc = read_table(f, files->limits.file_octets, &f->table, &f->stamp, err_r);
	if (rc != MW_OK) {
		file_destroy(f);
		return rc;
	}
	files->list[files->count] = f;
	__atomic_store_n(&files->count, files->count + 1, __ATOMIC_RELEASE);
	*file_r = f;
	return MW_OK;
}

const struct mw_table *mw_lookup_file_table(const struct mw_lookup_file *file)
{
	return &file->table;
}

struct mw_lookup_files *mw_lookup_files_new(const struct mw_lookup_limits *limits)
{
	struct mw_lookup_files *files = calloc(1, sizeof(*files));

	if (files != NULL)
		files->limits = *limits;
	return files;
}

void mw_lookup_files_destroy(struct mw_lookup_files **files_p)
{
	struct mw_lookup_files *files = *files_p;

	*files_p = NULL;
	if (files == NULL)
		return;
	for (size_t i = 0; i < files->count; i++)
		file_destroy(files->list[i]);
	free(files);
}

size_t mw_lookup_files_count(const struct mw_lookup_files *files)
{
	return files->count;
}

size_t mw_lookup_files_bad(const struct mw_lookup_files *files)
{
	size_t n = 0;

	for (size_t i = 0; i < files->count; i++)
		n += files->list[i]->bad;
	return n;
}

/* ------------------------------------------------------------------ reading again */

static bool is_settled(const struct stamp *s, uint64_t now_ms)
{
	uint64_t changed_ms =
		(uint64_t)s->mtime.tv_sec * 1000 + (uint64_t)s->mtime.tv_nsec / 1000000;

	/* A time to come is somebody's clock, not a file being written. */
	return s->error != 0 || changed_ms > now_ms || now_ms - changed_ms >= SETTLE_MS;
}

static bool is_news(const struct mw_lookup_file *f, uint64_t now_ms)
{
	struct stamp s = look(f->path);

	return !same_stamp(&s, f->bad ? &f->bad_stamp : &f->stamp) && is_settled(&s, now_ms);
}

struct mw_lookup_news *mw_lookup_files_look(const struct mw_lookup_files *files)
{
	size_t count = __atomic_load_n(&files->count, __ATOMIC_ACQUIRE);
	struct mw_lookup_news *news = NULL;
	uint64_t now_ms = mw_wall_ms();

	for (size_t i = 0; i < count; i++) {
		struct news *n;

		if (!is_news(files->list[i], now_ms))
			continue;
		if (news == NULL)
			news = calloc(1, sizeof(*news) + count * sizeof(*n));
		if (news == NULL)
			return NULL; /* no memory: the next look will have it */
		n = &news->item[news->count++];
		n->file = i;
		n->table.kind = MW_LOOKUP_LABEL;
		n->rc = read_table(
			files->list[i], files->limits.file_octets, &n->table, &n->stamp, &n->err);
	}
	return news;
}

static void apply(struct mw_lookup_file *f, struct news *n)
{
	if (n->rc != MW_OK) {
		mw_log(MW_ERROR, "lookup_file_bad",
			"path=%s error=%s: its former content stays in use", mw_quote(f->path),
			mw_quote(n->err.text));
		f->bad = true;
		f->bad_stamp = n->stamp;
		return;
	}
	mw_table_fini(&f->table);
	f->table = n->table;
	f->stamp = n->stamp;
	f->bad = false;
	n->table = (struct mw_table){ .kind = MW_LOOKUP_LABEL };
	mw_log(MW_INFO, "lookup_file_read", "path=%s octets=%lld", mw_quote(f->path),
		(long long)n->stamp.size);
}

void mw_lookup_files_apply(struct mw_lookup_files *files, struct mw_lookup_news **news_p)
{
	struct mw_lookup_news *news = *news_p;

	*news_p = NULL;
	for (size_t i = 0; news != NULL && i < news->count; i++) {
		apply(files->list[news->item[i].file], &news->item[i]);
		mw_table_fini(&news->item[i].table);
	}
	free(news);
}
