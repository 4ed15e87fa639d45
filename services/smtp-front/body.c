#include "body.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define FIRST_OCTETS 8192 /* what a body starts with when nobody said how large it will be */

struct smtp_body {
	struct smtp_body_pool *pool;
	unsigned refs; /* atomic */
	int fd;	       /* of the spool file, -1: memory */
	unsigned char *p;
	size_t n, cap, memory_octets;
	bool mapped;
};

void smtp_body_pool_init(struct smtp_body_pool *pool)
{
	*pool = (struct smtp_body_pool){ .held = 0 };
	pthread_mutex_init(&pool->lock, NULL);
}

void smtp_body_pool_fini(struct smtp_body_pool *pool)
{
	pthread_mutex_destroy(&pool->lock);
}

void smtp_body_pool_set(struct smtp_body_pool *pool, size_t memory_octets, uint64_t held_limit,
	const char *spool_dir)
{
	__atomic_store_n(&pool->memory_octets, memory_octets, __ATOMIC_RELAXED);
	__atomic_store_n(&pool->held_limit, held_limit, __ATOMIC_RELAXED);
	pthread_mutex_lock(&pool->lock);
	mw_strlcpy(pool->spool_dir, spool_dir, sizeof(pool->spool_dir));
	pthread_mutex_unlock(&pool->lock);
}

bool smtp_body_pool_is_full(const struct smtp_body_pool *pool)
{
	return smtp_body_held(pool) >= __atomic_load_n(&pool->held_limit, __ATOMIC_RELAXED);
}

struct smtp_body *smtp_body_new(struct smtp_body_pool *pool, size_t hint)
{
	struct smtp_body *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->pool = pool;
	b->refs = 1;
	b->fd = -1;
	b->memory_octets = __atomic_load_n(&pool->memory_octets, __ATOMIC_RELAXED);
	b->cap = hint > 0 && hint < b->memory_octets ? hint + 512 : FIRST_OCTETS;
	if (b->cap > b->memory_octets)
		b->cap = b->memory_octets;
	b->p = malloc(b->cap > 0 ? b->cap : 1);
	if (b->p == NULL) {
		free(b);
		return NULL;
	}
	return b;
}

static enum mw_rc write_all(
	int fd, const unsigned char *p, size_t n, const char *dir, struct mw_err *err_r)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return mw_fail(
				err_r, MW_ERR_IO, "spool file in %s: %s", dir, strerror(errno));
		p += done;
		n -= (size_t)done;
	}
	return MW_OK;
}

/* From memory to an unlinked file: nothing is left behind, however we end. */
static enum mw_rc move_to_spool(struct smtp_body *b, struct mw_err *err_r)
{
	char dir[sizeof(b->pool->spool_dir)];
	enum mw_rc rc;

	pthread_mutex_lock(&b->pool->lock);
	mw_strlcpy(dir, b->pool->spool_dir, sizeof(dir));
	pthread_mutex_unlock(&b->pool->lock);
	b->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (b->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
		char path[300];

		snprintf(path, sizeof(path), "%s/mailweir-XXXXXX", dir);
		b->fd = mkostemp(path, O_CLOEXEC);
		if (b->fd >= 0)
			unlink(path);
	}
	if (b->fd < 0)
		return mw_fail(err_r, MW_ERR_IO, "no spool file in %s: %s", dir, strerror(errno));
	rc = write_all(b->fd, b->p, b->n, dir, err_r);
	free(b->p);
	b->p = NULL;
	b->cap = 0;
	return rc;
}

static enum mw_rc grow(struct smtp_body *b, size_t need)
{
	size_t cap = b->cap > 0 ? b->cap : 1;
	unsigned char *p;

	while (cap < need)
		cap *= 2;
	if (cap > b->memory_octets)
		cap = b->memory_octets;
	p = realloc(b->p, cap);
	if (p == NULL)
		return MW_ERR_NOMEM;
	b->p = p;
	b->cap = cap;
	return MW_OK;
}

enum mw_rc smtp_body_append(struct smtp_body *b, const void *p, size_t n, struct mw_err *err_r)
{
	enum mw_rc rc = MW_OK;

	if (n == 0)
		return MW_OK;
	if (__atomic_add_fetch(&b->pool->held, n, __ATOMIC_RELAXED) >
		__atomic_load_n(&b->pool->held_limit, __ATOMIC_RELAXED)) {
		__atomic_sub_fetch(&b->pool->held, n, __ATOMIC_RELAXED);
		return mw_fail(err_r, MW_ERR_LIMIT, "all mails together hold front.held_octets");
	}
	if (b->fd < 0 && b->n + n > b->memory_octets)
		rc = move_to_spool(b, err_r);
	else if (b->fd < 0 && b->n + n > b->cap)
		rc = grow(b, b->n + n);
	if (rc == MW_OK && b->fd >= 0)
		rc = write_all(b->fd, p, n, b->pool->spool_dir, err_r);
	else if (rc == MW_OK)
		memcpy(b->p + b->n, p, n);
	b->n += n; /* also on failure: what was added to held is given back by unref */
	return rc;
}

enum mw_rc smtp_body_seal(struct smtp_body *b, struct mw_err *err_r)
{
	void *p;

	if (b->fd < 0)
		return MW_OK;
	p = mmap(NULL, b->n, PROT_READ, MAP_SHARED, b->fd, 0);
	if (p == MAP_FAILED)
		return mw_fail(err_r, MW_ERR_IO, "cannot map a spool file of %zu octets: %s", b->n,
			strerror(errno));
	b->p = p;
	b->mapped = true;
	close(b->fd); /* the mapping keeps the file */
	b->fd = -1;
	return MW_OK;
}

struct mw_octets smtp_body_octets(const struct smtp_body *b)
{
	return mw_octets_of(b->p, b->n);
}

size_t smtp_body_size(const struct smtp_body *b)
{
	return b->n;
}

struct smtp_body *smtp_body_ref(struct smtp_body *b)
{
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

void smtp_body_unref(struct smtp_body **b_p)
{
	struct smtp_body *b = *b_p;

	*b_p = NULL;
	if (b == NULL || __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	__atomic_sub_fetch(&b->pool->held, b->n, __ATOMIC_RELAXED);
	if (b->mapped)
		munmap(b->p, b->n);
	else
		free(b->p);
	if (b->fd >= 0)
		close(b->fd);
	free(b);
}

void smtp_body_zmq_free(void *data, void *hint)
{
	struct smtp_body *b = hint;

	(void)data;
	smtp_body_unref(&b);
}

uint64_t smtp_body_held(const struct smtp_body_pool *pool)
{
	return __atomic_load_n(&pool->held, __ATOMIC_RELAXED);
}
