#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "leaves.h"

/* All of them or nothing that counts: a record that is cut short ends the list for whoever reads
 * it. */
static bool write_all(int fd, struct iovec *v, int count)
{
	while (count > 0) {
		ssize_t n = writev(fd, v, count);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		for (; count > 0 && (size_t)n >= v->iov_len; v++, count--)
			n -= (ssize_t)v->iov_len;
		if (count > 0) {
			v->iov_base = (char *)v->iov_base + n;
			v->iov_len -= (size_t)n;
		}
	}
	return true;
}

void leaves_add(struct leaves *l, const char *path, struct mw_octets octets)
{
	struct scan_leaf_head h = { octets.n, (uint32_t)strlen(path), SCAN_LEAF_MARK };
	struct iovec v[] = { { &h, sizeof(h) }, { (void *)path, h.path },
		{ (void *)octets.p, octets.n } };
	uint64_t all = sizeof(h) + h.path + (uint64_t)octets.n;
	off_t before = l->fd >= 0 ? lseek(l->fd, 0, SEEK_CUR) : -1;

	if (before < 0 || octets.n == 0 || l->cut)
		return;
	l->cut = all > l->left;
	if (!l->cut && !write_all(l->fd, v, MW_COUNT(v))) {
		l->cut = true; /* what is there of it would spoil the list (scanner.temp_file_size)
				*/
		if (ftruncate(l->fd, before) != 0)
			_exit(CAGE_EXIT_BAD);
	}
	l->left -= l->cut ? 0 : all;
}
