#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "later.h"
#include "scarcity.h"

#if defined(__SANITIZE_ADDRESS__)
#define OWN_ALLOCATOR 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define OWN_ALLOCATOR 0
#endif
#endif
#ifndef OWN_ALLOCATOR
#define OWN_ALLOCATOR 1
#endif

static struct scarcity counts;
static uint64_t quota_left = UINT64_MAX;
static uint64_t refusals; /* of memory, before the counts began anew */

void scarcity_begin(uint64_t quota)
{
	refusals += counts.memory;
	memset(&counts, 0, sizeof(counts));
	quota_left = quota;
}

const struct scarcity *scarcity_now(void)
{
	return &counts;
}

uint64_t scarcity_refusals(void)
{
	return refusals + counts.memory;
}

const char *scarcity_word(const struct scarcity *s)
{
	if (s->memory != 0)
		return "no_memory";
	if (s->files != 0)
		return "no_files";
	if (s->room != 0)
		return "no_temp_space";
	return s->limit != 0 ? "temp_limit" : NULL;
}

/* ------------------------------------------------------------------ counting */

/* An errno that speaks of want. creating: any refusal to make a file is one, but that it is there
 * already. */
static void count_errno(int error, bool creating)
{
	switch (error) {
	case ENOMEM:
		counts.memory++;
		break;
	case EMFILE:
	case ENFILE:
		counts.files++;
		break;
	case EFBIG:
		counts.limit++;
		break;
	case ENOSPC:
	case EDQUOT:
	case EROFS:
	case EIO:
		counts.room++;
		break;
	default:
		if (creating && error != EEXIST && error != EINTR)
			counts.room++;
	}
}

static long counted(long result, bool creating)
{
	int error = errno;

	if (result == -1) {
		count_errno(error, creating);
		errno = error;
	}
	return result;
}

/* True when n more octets may be written. */
static bool within_quota(size_t n)
{
	counts.written += n;
	if (n <= quota_left) {
		if (quota_left != UINT64_MAX)
			quota_left -= n;
		return true;
	}
	counts.limit++;
	errno = ENOSPC;
	return false;
}

/* ------------------------------------------------------------------ memory */

#if OWN_ALLOCATOR
/* glibc's allocator under its other names, so that nothing has to be looked up before it can be
 * used. */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t count, size_t n);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);

void *malloc(size_t n)
{
	void *p = __libc_malloc(n);

	counts.memory += p == NULL;
	return p;
}

void *calloc(size_t count, size_t n)
{
	void *p = __libc_calloc(count, n);

	counts.memory += p == NULL;
	return p;
}

void *realloc(void *old, size_t n)
{
	void *p = __libc_realloc(old, n);

	counts.memory += p == NULL && n != 0;
	return p;
}

int posix_memalign(void **p_r, size_t align, size_t n)
{
	void *p;

	if (align < sizeof(void *) || (align & (align - 1)) != 0)
		return EINVAL;
	p = __libc_memalign(align, n);
	counts.memory += p == NULL;
	if (p == NULL)
		return ENOMEM;
	*p_r = p;
	return 0;
}

static void *map_counted(void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
	return (void *)counted(syscall(SYS_mmap, at, n, prot, flags, fd, offset), false);
}

void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
	return map_counted(at, n, prot, flags, fd, offset);
}

void *mmap64(void *at, size_t n, int prot, int flags, int fd, off64_t offset)
{
	return map_counted(at, n, prot, flags, fd, offset);
}
#endif

/* ------------------------------------------------------------------ files */

static int open_counted(int dir, const char *path, int flags, mode_t mode)
{
	later_make();
	return (int)counted(
		syscall(SYS_openat, dir, path, flags | O_LARGEFILE, mode), (flags & O_CREAT) != 0);
}

/* The mode is there only when something may be created. */
#define MODE_OF(flags, last, mode)                                                                 \
	do {                                                                                       \
		va_list args;                                                                      \
                                                                                                   \
		va_start(args, last);                                                              \
		mode = ((flags) & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;          \
		va_end(args);                                                                      \
	} while (0)

int open(const char *path, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, flags, mode);
	return open_counted(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, flags, mode);
	return open_counted(AT_FDCWD, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, flags, mode);
	return open_counted(dir, path, flags, mode);
}

int scarcity_mkdir(const char *path, mode_t mode)
{
	return (int)counted(syscall(SYS_mkdirat, AT_FDCWD, path, mode), true);
}

int mkdir(const char *path, mode_t mode)
{
	later_make();
	return later_put_off(path, mode) ? 0 : scarcity_mkdir(path, mode);
}

int dup(int fd)
{
	return (int)counted(syscall(SYS_dup, fd), false);
}

/* A write that stops short of a file's end is a refusal too: the next one would say so, if it came.
 */
static ssize_t write_counted(long result, size_t n)
{
	counted(result, false);
	counts.room += result >= 0 && (size_t)result < n;
	return result;
}

ssize_t write(int fd, const void *p, size_t n)
{
	if (fd > STDERR_FILENO && !within_quota(n))
		return -1;
	return write_counted(syscall(SYS_write, fd, p, n), n);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	if (!within_quota(n))
		return -1;
	return write_counted(syscall(SYS_pwrite64, fd, p, n, at), n);
}

ssize_t writev(int fd, const struct iovec *v, int count)
{
	size_t n = 0;

	for (int i = 0; i < count; i++)
		n += v[i].iov_len;
	if (fd > STDERR_FILENO && !within_quota(n))
		return -1;
	return write_counted(syscall(SYS_writev, fd, v, count), n);
}

int ftruncate64(int fd, off64_t n)
{
	return (int)counted(syscall(SYS_ftruncate, fd, n), true);
}

/* ------------------------------------------------------------------ stdio: its system calls do not
 * come by here */

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

FILE *fopen64(const char *path, const char *mode)
{
	static __typeof__(&fopen64) next;
	FILE *f;

	later_make();
	if (next == NULL)
		next = NEXT(fopen64);
	f = next(path, mode);
	counted(f != NULL ? 0 : -1, mode[0] != 'r');
	return f;
}

size_t fwrite(const void *p, size_t size, size_t count, FILE *f)
{
	static __typeof__(&fwrite) next;
	size_t done;

	if (next == NULL)
		next = NEXT(fwrite);
	if (fileno(f) > STDERR_FILENO && !within_quota(size * count))
		return 0;
	done = next(p, size, count, f);
	if (done < count)
		counted(-1, true);
	return done;
}

int fflush(FILE *f)
{
	static __typeof__(&fflush) next;

	if (next == NULL)
		next = NEXT(fflush);
	return (int)counted(next(f), true);
}

int fclose(FILE *f)
{
	static __typeof__(&fclose) next;

	if (next == NULL)
		next = NEXT(fclose);
	return (int)counted(next(f), true);
}
