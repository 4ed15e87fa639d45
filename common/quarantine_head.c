/* What a copy says of itself: an entry of the index from a file that anybody may have written. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "batch_smtp.h"
#include "quarantine_copy.h"
#include "quarantine_scan.h"
#include "subject.h"

#define READ_OCTETS 65536
#define WHOLE_OCTETS_MAX (20ull << 30) /* what inflates beyond that is damaged, or a bomb */

void mw_qhead_fini(struct mw_qhead *h)
{
	mw_text_fini(&h->text);
}

/* ------------------------------------------------------------------ category */

/* amavisd's words behind X-Amavis-Alert, the worst first; and templates' prefixes of names. */
static const struct {
	const char *alert, *prefix;
	unsigned ccat;
} kinds[] = {
	{ "INFECTED", "virus-", MW_CCAT(MW_CC_VIRUS, 0) },
	{ "BANNED", "banned-", MW_CCAT(MW_CC_BANNED, 0) },
	{ "UNCHECKED", "unchecked-", MW_CCAT(MW_CC_UNCHECKED, 0) },
	{ NULL, "spam-", MW_CCAT(MW_CC_SPAM, 0) },
	{ "BAD HEADER", "badh-", MW_CCAT(MW_CC_BADH, 0) },
	{ NULL, "clean-", MW_CCAT(MW_CC_CLEAN, 0) },
	{ NULL, "archive-", MW_CCAT(MW_CC_CLEAN, 0) },
};

static struct mw_octets trimmed(struct mw_octets o)
{
	while (o.n > 0 && o.p[0] <= ' ') {
		o.p++;
		o.n--;
	}
	while (o.n > 0 && o.p[o.n - 1] <= ' ')
		o.n--;
	return o;
}

static bool begins(struct mw_octets o, const char *with)
{
	size_t n = strlen(with);

	return o.n >= n && memcmp(o.p, with, n) == 0;
}

/* By its file's name, which the method that kept it gave; else by the worst alert. */
static unsigned category(const struct mw_quarantine_copy *c, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	struct mw_octets value;
	size_t at;

	for (size_t i = 0; i < MW_COUNT(kinds); i++)
		if (strncmp(name, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
			return kinds[i].ccat;
	for (size_t i = 0; i < MW_COUNT(kinds); i++)
		for (at = 0; kinds[i].alert != NULL &&
			     mw_quarantine_copy_field(c, false, "X-Amavis-Alert", &at, &value);)
			if (begins(trimmed(value), kinds[i].alert))
				return kinds[i].ccat;
	at = 0;
	if (mw_quarantine_copy_field(c, false, "X-Spam-Flag", &at, &value) &&
		begins(trimmed(value), "YES"))
		return MW_CCAT(MW_CC_SPAM, 0);
	return MW_CCAT(MW_CC_CATCHALL, 0);
}

/* "6.31", bounded; false: no number. */
static bool score(const struct mw_quarantine_copy *c, int32_t *milli_r)
{
	struct mw_octets value;
	char text[24], *end;
	size_t at = 0;
	double number;

	if (!mw_quarantine_copy_field(c, false, "X-Spam-Score", &at, &value))
		return false;
	value = trimmed(value);
	if (value.n == 0 || !mw_strncpy(text, sizeof(text), value.p, value.n))
		return false;
	number = strtod(text, &end);
	if (*end != '\0' || !(number > -100000 && number < 100000))
		return false;
	*milli_r = (int32_t)(number * 1000 + (number < 0 ? -0.5 : 0.5));
	return true;
}

/* ------------------------------------------------------------------ texts */

static bool is_mail_id(struct mw_octets id)
{
	if (id.n == 0 || id.n > 64 || !isalnum(id.p[0]))
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (!isalnum(id.p[i]) && strchr("-_+", id.p[i]) == NULL)
			return false;
	return true;
}

/* Without brackets, and with nothing in it that would end a line. */
static void add_address(struct mw_text *out, struct mw_octets o)
{
	if (o.n >= 2 && o.p[0] == '<' && o.p[o.n - 1] == '>')
		o = mw_octets_of(o.p + 1, o.n - 2);
	for (size_t i = 0; i < o.n && i < MW_QINDEX_TEXT_MAX; i++)
		if (o.p[i] >= 0x20 && o.p[i] != 0x7f)
			mw_text_add_octets(out, o.p + i, 1);
}

static size_t add_rcpts(struct mw_text *out, const struct mw_quarantine_copy *c, bool blocked)
{
	struct mw_octets value;
	size_t count = 0, at = 0;

	while (count < MW_QINDEX_RCPTS_MAX && mw_quarantine_copy_rcpt(c, blocked, &at, &value)) {
		if (count++ > 0)
			mw_text_add(out, "\n");
		add_address(out, value);
	}
	return count;
}

static void add_subject(struct mw_text *out, const struct mw_quarantine_copy *c)
{
	struct mw_text flat = { 0 }, decoded = { 0 };
	struct mw_octets value;
	size_t at = 0;

	if (!mw_quarantine_copy_field(c, true, "Subject", &at, &value))
		return;
	for (size_t i = 0; i < value.n && i < MW_SUBJECT_MAX; i++)
		if (value.p[i] != '\r' && value.p[i] != '\n')
			mw_text_add_octets(&flat, value.p + i, 1);
	if (flat.n > 0)
		mw_subject_decode(mw_octets_of(flat.p, flat.n), &decoded);
	/* A NUL would end it early everywhere else. */
	for (size_t i = 0; i < decoded.n; i++)
		mw_text_add_octets(out, decoded.p[i] != '\0' ? decoded.p + i : " ", 1);
	out->failed = out->failed || flat.failed || decoded.failed;
	mw_text_fini(&flat);
	mw_text_fini(&decoded);
}

static void end_text(struct mw_text *t)
{
	mw_text_add_octets(t, "", 1);
}

enum mw_rc mw_qhead_parse(struct mw_qhead *h_r, struct mw_octets file, const char *path)
{
	struct mw_text *t = &h_r->text;
	struct mw_quarantine_copy c;
	size_t sender, rcpts, subject;
	bool blocked;

	if (!mw_quarantine_copy_read(file, &c) || !is_mail_id(c.id))
		return MW_ERR_PROTO;
	mw_text_add_octets(t, c.id.p, c.id.n);
	end_text(t);
	sender = t->n;
	add_address(t, c.sender);
	end_text(t);
	rcpts = t->n;
	blocked = add_rcpts(t, &c, true) > 0;
	if (!blocked)
		add_rcpts(t, &c, false);
	end_text(t);
	subject = t->n;
	add_subject(t, &c);
	end_text(t);
	if (t->failed)
		return MW_ERR_NOMEM;
	h_r->e = (struct mw_qentry){
		.path = path,
		.mail_id = t->p,
		.secret_id = "",
		.log_id = "",
		.sender = t->p + sender,
		.rcpts = t->p + rcpts,
		.subject = t->p + subject,
		.ccat = category(&c, path),
		.released_by = "",
	};
	h_r->blocked = blocked;
	h_r->e.has_score = score(&c, &h_r->e.score_milli);
	h_r->e.class = strncmp(path, "poison/", 7) == 0 ? MW_QCLASS_POISON : h_r->e.ccat / 10;
	return MW_OK;
}

/* ------------------------------------------------------------------ the file */

/* Every step below root by itself: a link leads nowhere. Its folder only: *name_r is what is left
 * of the path. -1: errno tells. */
static int open_below(const char *root, const char *path, const char **name_r)
{
	int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC), next;
	char part[NAME_MAX + 1];

	while (fd >= 0) {
		size_t n = strcspn(path, "/");
		bool last = path[n] == '\0';

		if (n == 0 || n > NAME_MAX || (n == 1 && path[0] == '.') ||
			(n == 2 && path[0] == '.' && path[1] == '.')) {
			close(fd);
			errno = ELOOP;
			return -1;
		}
		if (last && name_r != NULL) {
			*name_r = path;
			return fd;
		}
		memcpy(part, path, n);
		part[n] = '\0';
		next = openat(fd, part,
			O_NOFOLLOW | O_CLOEXEC |
				(last ? O_RDONLY | O_NONBLOCK | O_NOCTTY : O_PATH | O_DIRECTORY));
		close(fd);
		fd = next;
		if (last)
			break;
		path += n + 1;
	}
	return fd;
}

/* Most header sections are shorter than the first step. */
static unsigned step_of(size_t at)
{
	size_t left = MW_QHEAD_MAX - at, step = at == 0 ? 16384 : READ_OCTETS * 4;

	return (unsigned)(left < step ? left : step);
}

/* Batch SMTP: what is in it, in place of it. The rest of the file is read for its end alone. */
struct unwrapping {
	bool is_batch, failed;
	struct mw_batch batch;
	struct mw_text text, rest;
};

static void unwrap(struct unwrapping *u, const unsigned char *p, size_t n, struct mw_text *out)
{
	mw_text_clear(out);
	u->failed = u->failed || mw_batch_feed(&u->batch, mw_octets_of(p, n), out) < 0;
}

/* What zlib did not like. A disk or a memory that fails says nothing of the file. */
static enum mw_rc failure(int code, struct mw_err *e)
{
	if (code == Z_ERRNO)
		return mw_fail(e, MW_ERR_IO, "%s", strerror(errno));
	if (code == Z_MEM_ERROR)
		return mw_fail(e, MW_ERR_NOMEM, "out of memory");
	return mw_fail(e, MW_ERR_PROTO, "it does not inflate to its end");
}

/* zlib reads what is not compressed as it is. */
static enum mw_rc read_head(int fd, bool whole, unsigned char *head, size_t *n_r,
	struct unwrapping *u, struct mw_err *e)
{
	gzFile gz = gzdopen(fd, "rb");
	unsigned char *rest = whole ? malloc(READ_OCTETS) : NULL;
	uint64_t total = 0;
	enum mw_rc rc = MW_OK;
	int n = 0, error = Z_OK, code;

	*n_r = 0;
	if (gz == NULL || (whole && rest == NULL)) {
		free(rest);
		if (gz != NULL)
			gzclose_r(gz);
		else
			close(fd);
		return mw_fail(e, MW_ERR_NOMEM, "out of memory");
	}
	gzbuffer(gz, READ_OCTETS);
	while (*n_r < MW_QHEAD_MAX && (n = gzread(gz, head + *n_r, step_of(*n_r))) > 0) {
		*n_r += (size_t)n;
		if (!whole && (memmem(head, *n_r, "\n\n", 2) != NULL ||
				      memmem(head, *n_r, "\n\r\n", 3) != NULL))
			break; /* the original's header section ends here */
	}
	u->is_batch = mw_batch_begins(mw_octets_of(head, *n_r));
	if (u->is_batch)
		unwrap(u, head, *n_r, &u->text);
	while (whole && n > 0 && total < WHOLE_OCTETS_MAX &&
		(n = gzread(gz, rest, READ_OCTETS)) > 0) {
		total += (uint64_t)n;
		if (u->is_batch)
			unwrap(u, rest, (size_t)n, &u->rest);
	}
	if (n < 0)
		gzerror(gz, &error);
	if (error != Z_OK || total >= WHOLE_OCTETS_MAX)
		rc = failure(error, e);
	code = gzclose_r(gz);
	/* Z_BUF_ERROR: the stream ends in the middle, unless it is we who have stopped there. */
	if (rc == MW_OK && code != Z_OK && (n <= 0 || code != Z_BUF_ERROR))
		rc = failure(code, e);
	free(rest);
	if (rc != MW_OK)
		return rc;
	if (u->failed || (whole && u->is_batch && !u->batch.over))
		return mw_fail(e, MW_ERR_PROTO, "batch SMTP that is not whole");
	return MW_OK;
}

static void unwrapping_fini(struct unwrapping *u)
{
	mw_batch_fini(&u->batch);
	mw_text_fini(&u->text);
	mw_text_fini(&u->rest);
}

/* The headers of many copies fit into a fraction of what one may have at most. */
static enum mw_rc parse_file(struct mw_qhead *h, int fd, const char *path, bool whole, char *type_r,
	struct mw_err *err_r)
{
	unsigned char *head = malloc(MW_QHEAD_MAX), magic[2] = { 0, 0 };
	struct unwrapping u = { 0 };
	enum mw_rc rc;
	size_t n = 0;

	if (head == NULL) {
		close(fd);
		return mw_fail(err_r, MW_ERR_NOMEM, "out of memory");
	}
	*type_r = pread(fd, magic, 2, 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b ? 'Z' : 'F';
	rc = read_head(fd, whole, head, &n, &u, err_r);
	if (rc == MW_OK &&
		(rc = mw_qhead_parse(h,
			 u.is_batch ? mw_octets_of(u.text.p != NULL ? u.text.p : "", u.text.n)
				    : mw_octets_of(head, n),
			 path)) != MW_OK)
		mw_fail(err_r, rc,
			rc == MW_ERR_PROTO ? "it is no quarantine copy" : "out of memory");
	*type_r = u.is_batch ? 'B' : *type_r;
	unwrapping_fini(&u);
	free(head);
	return rc;
}

enum mw_rc mw_qhead_read(
	struct mw_qhead *h_r, const char *root, const char *path, bool whole, struct mw_err *err_r)
{
	int fd = open_below(root, path, NULL);
	struct stat st;
	char type = 'F';
	enum mw_rc rc;

	*h_r = (struct mw_qhead){ 0 };
	if (fd < 0)
		return mw_fail(err_r,
			errno == ENOENT || errno == ENOTDIR ? MW_ERR_GONE
			: errno == ELOOP || errno == ENXIO  ? MW_ERR_PROTO
							    : MW_ERR_IO,
			"%s", errno == ELOOP ? "a symbolic link" : strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink > 1) {
		close(fd);
		return mw_fail(err_r, MW_ERR_PROTO, "not a regular file of one name");
	}
	rc = parse_file(h_r, fd, path, whole, &type, err_r);
	h_r->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	h_r->e.size = (uint64_t)st.st_size;
	h_r->e.time_ms = h_r->mtime_ns > 0 ? (uint64_t)h_r->mtime_ns / 1000000 : 0;
	h_r->e.quar_type = type;
	return rc;
}

int mw_quarantine_open(const char *root, const char *path)
{
	return open_below(root, path, NULL);
}

enum mw_rc mw_quarantine_unlink(const char *root, const char *path, struct mw_err *err_r)
{
	const char *name;
	int fd = open_below(root, path, &name), error;

	if (fd >= 0 && unlinkat(fd, name, 0) == 0)
		error = 0;
	else
		error = errno;
	if (fd >= 0)
		close(fd);
	if (error == 0)
		return MW_OK;
	return mw_fail(err_r, error == ENOENT || error == ENOTDIR ? MW_ERR_GONE : MW_ERR_IO,
		"%.300s: %s", path, strerror(error));
}
