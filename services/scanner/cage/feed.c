#include <errno.h>

#include "feed.h"

/*
 * Octets at once. Few, for they may stand for some thousand times as many; not fewer, because what
 * goes from one piece to the next is copied.
 */
#define PIECE ((size_t)16 << 10)
#define HEAD_PIECES                                                                                \
	4 /* a longer header may collect anything: from there on the heap is looked at */

static bool is_allowed(struct feed *f)
{
	if (f->stopped || !budget_time(f->budget))
		return false;
	if (f->head_pieces == 0 || ++f->head_pieces <= HEAD_PIECES)
		return true;
	return budget_memory(f->budget, UINT64_MAX);
}

static la_ssize_t next_piece(struct archive *a, void *arg, const void **p_r)
{
	struct feed *f = arg;
	size_t n = f->o.n - f->at < PIECE ? f->o.n - f->at : PIECE;

	if (!is_allowed(f)) {
		f->stopped = true;
		archive_set_error(a, ECANCELED, "a limit was met");
		return ARCHIVE_FATAL;
	}
	if (f->ahead.n > 0) {
		*p_r = f->ahead.p;
		n = f->ahead.n;
		f->ahead.n = 0;
		return (la_ssize_t)n;
	}
	*p_r = f->o.p + f->at;
	f->at += n;
	return (la_ssize_t)n;
}

static la_int64_t skip(struct archive *a, void *arg, la_int64_t n)
{
	struct feed *f = arg;
	size_t left = f->o.n - f->at, step = n > 0 ? (size_t)n : 0;

	(void)a;
	if (step > left)
		step = left;
	f->at += step;
	return (la_int64_t)step;
}

static la_int64_t seek(struct archive *a, void *arg, la_int64_t offset, int whence)
{
	struct feed *f = arg;
	la_int64_t from = whence == SEEK_SET   ? 0
			  : whence == SEEK_CUR ? (la_int64_t)f->at
					       : (la_int64_t)f->o.n,
		   to;

	(void)a;
	if (__builtin_add_overflow(from, offset, &to) || to < 0 || (uint64_t)to > f->o.n)
		return ARCHIVE_FAILED;
	f->at = (size_t)to;
	return to;
}

void feed_head(struct feed *f)
{
	f->head_pieces = 1;
}

void feed_octets(struct feed *f)
{
	f->head_pieces = 0;
}

bool feed_open(struct feed *f, struct archive *a)
{
	feed_head(f);
	archive_read_set_read_callback(a, next_piece);
	archive_read_set_skip_callback(a, skip);
	archive_read_set_seek_callback(a, seek);
	archive_read_set_callback_data(a, f);
	return archive_read_open1(a) == ARCHIVE_OK;
}
