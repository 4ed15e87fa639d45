/* The sink's keeping: mails as files, an index line a mail, a count that others can read at any
 * time. */
#ifndef MW_BENCH_KEEP_H
#define MW_BENCH_KEEP_H

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bench.h"

#define COUNT_DIGITS 20

static struct {
	const char *store;	/* folder; NULL: no files */
	const char *index_path; /* NULL: no index */
	int index_fd;
	char *count_text; /* mapped count file, or NULL */
} keep = { .index_fd = -1 };

/* One mail as the sink has it. */
struct kept {
	const char *id;
	const struct buf *envelope, *mail, *from, *rcpts;
};

/* Behind the header section's empty line. */
static size_t body_offset(const struct buf *mail)
{
	const char *gap;

	if (mail->n >= 2 && memcmp(mail->p, "\r\n", 2) == 0)
		return 2;
	gap = mail->n != 0 ? memmem(mail->p, mail->n, "\r\n\r\n", 4) : NULL;
	return gap != NULL ? (size_t)(gap - mail->p) + 4 : mail->n;
}

/* Value of the first Message-ID in the header section, without blanks and control characters. */
static void message_id_of(const struct buf *mail, size_t header, char *out, size_t size)
{
	static const char name[] = "message-id:";
	const char *p = mail->p, *end = mail->p + header, *eol;
	size_t n = 0;

	for (; p != NULL && p < end; p = eol + 1) {
		eol = memchr(p, '\n', (size_t)(end - p));
		if (eol == NULL)
			eol = end - 1;
		if ((size_t)(eol - p) < sizeof(name) || strncasecmp(p, name, sizeof(name) - 1) != 0)
			continue;
		for (p += sizeof(name) - 1; p < eol && n + 1 < size; p++)
			if ((unsigned char)*p > ' ')
				out[n++] = *p;
		break;
	}
	if (n == 0)
		out[n++] = '-';
	out[n] = '\0';
}

static void write_all(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n != 0) {
		ssize_t done = write(fd, at, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			die("cannot keep mail: %s", strerror(errno));
		at += done;
		n -= (size_t)done;
	}
}

static void keep_index(const struct kept *k)
{
	unsigned char sum[SHA256_DIGEST_LENGTH];
	char hex[2 * SHA256_DIGEST_LENGTH + 1], message_id[512];
	size_t body = body_offset(k->mail);
	struct buf line = { 0 };
	struct timespec t;
	char tail[700];

	SHA256((const unsigned char *)k->mail->p + body, k->mail->n - body, sum);
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
	message_id_of(k->mail, body, message_id, sizeof(message_id));
	clock_gettime(CLOCK_REALTIME, &t);
	buf_text(&line, k->id);
	buf_add(&line, "\t", 1);
	buf_add(&line, k->from->p, k->from->n);
	buf_add(&line, "\t", 1);
	buf_add(&line, k->rcpts->p, k->rcpts->n);
	snprintf(tail, sizeof(tail), "\t%zu\t%s\t%s\t%lld.%06ld\n", k->mail->n, hex, message_id,
		(long long)t.tv_sec, t.tv_nsec / 1000);
	buf_text(&line, tail);
	write_all(keep.index_fd, line.p, line.n); /* O_APPEND: one line, one write */
	buf_free(&line);
}

static void keep_file(const struct kept *k)
{
	char tmp[4096], path[4096];
	int fd;

	snprintf(tmp, sizeof(tmp), "%s/.%s.tmp", keep.store, k->id);
	snprintf(path, sizeof(path), "%s/%s", keep.store, k->id);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		die("cannot make %s: %s", tmp, strerror(errno));
	write_all(fd, k->envelope->p, k->envelope->n);
	write_all(fd, "\n", 1);
	write_all(fd, k->mail->p, k->mail->n);
	close(fd);
	if (rename(tmp, path) != 0)
		die("cannot rename to %s: %s", path, strerror(errno));
}

static void keep_open(void)
{
	static char path[4096];

	if (keep.store != NULL && mkdir(keep.store, 0700) != 0 && errno != EEXIST)
		die("cannot make %s: %s", keep.store, strerror(errno));
	if (keep.store != NULL && keep.index_path == NULL) {
		snprintf(path, sizeof(path), "%s/index", keep.store);
		keep.index_path = path;
	}
	if (keep.index_path == NULL)
		return;
	keep.index_fd = open(keep.index_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (keep.index_fd < 0)
		die("cannot open %s: %s", keep.index_path, strerror(errno));
}

static void keep_count_in(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || ftruncate(fd, COUNT_DIGITS) != 0)
		die("cannot write %s: %s", path, strerror(errno));
	keep.count_text = mmap(NULL, COUNT_DIGITS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (keep.count_text == MAP_FAILED)
		die("cannot map %s: %s", path, strerror(errno));
	close(fd);
	snprintf(keep.count_text, COUNT_DIGITS, "%0*d", COUNT_DIGITS - 1, 0);
}

static void keep_count(unsigned long long mails)
{
	if (keep.count_text != NULL)
		snprintf(keep.count_text, COUNT_DIGITS, "%0*llu", COUNT_DIGITS - 1, mails);
}

#endif
