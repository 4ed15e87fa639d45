/* Events kept for replay: replay.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "log.h"
#include "replay.h"

#define SPILL_OCTETS (256u * 1024) /* written to the file at a time */
#define INDEX_FIRST 1024

/* One event: in memory, or at an offset of the file. */
struct kept {
	union {
		unsigned char *octets;
		uint64_t offset;
	} at;
	uint32_t n;
	uint8_t topic;
	bool spooled, hole;
};

struct mw_replay {
	struct mw_loop *loop;
	void (*trouble)(void *arg, const char *what);
	void *arg;
	size_t memory, memory_used;
	/* events first .. first + count - 1, a ring */
	struct kept *ring;
	size_t cap, head, count, spooled; /* the first `spooled` of them are in the file */
	uint64_t first;
	/* file */
	int fd;
	uint64_t spool, tail; /* tail: where the next octets go */
	uv_fs_t write_req;
	unsigned char *write_buf;
	uint64_t write_first, write_at;
	size_t write_events, write_octets;
	bool writing, lagging; /* lagging: the disk is slower than mail, and that was logged */
	/* one read at a time */
	uv_fs_t read_req;
	unsigned char *read_buf;
	uint64_t read_first, read_at;
	size_t read_events, read_octets;
	struct mw_replay_reader reader;
	bool reading;
	bool closed;
};

static struct kept *kept_at(struct mw_replay *r, size_t i)
{
	return &r->ring[(r->head + i) & (r->cap - 1)];
}

/* ------------------------------------------------------------------ the file */

static int spool_file(const char *dir)
{
	char path[PATH_MAX];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	/* Not every file system has O_TMPFILE (overlayfs of older kernels, NFS). */
	if ((size_t)snprintf(path, sizeof(path), "%s/mailweir-events-XXXXXX", dir) >= sizeof(path))
		return -1;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		(void)unlink(path);
	return fd;
}

static void spool_give_up(struct mw_replay *r, const char *what)
{
	if (r->spool == 0)
		return;
	r->spool = 0; /* nothing goes there any more; what it holds may still be read */
	mw_log(MW_ERROR, "events_spool_failed", "reason=%s effect=\"replay keeps memory only\"",
		mw_quote(what));
	if (r->trouble != NULL && !r->closed)
		r->trouble(r->arg, what);
}

/* ------------------------------------------------------------------ dropping and growing */

static void drop_oldest(struct mw_replay *r)
{
	struct kept *k = kept_at(r, 0);

	if (k->spooled) {
		r->spooled--;
	} else {
		r->memory_used -= k->n;
		free(k->at.octets);
	}
	r->head = (r->head + 1) & (r->cap - 1);
	r->count--;
	r->first++;
}

static bool grow(struct mw_replay *r)
{
	size_t cap = r->cap > 0 ? r->cap * 2 : INDEX_FIRST;
	struct kept *ring;

	if (cap > MW_REPLAY_INDEX_MAX)
		return false;
	ring = malloc(cap * sizeof(*ring));
	if (ring == NULL)
		return false;
	for (size_t i = 0; i < r->count; i++)
		ring[i] = *kept_at(r, i);
	free(r->ring);
	r->ring = ring;
	r->cap = cap;
	r->head = 0;
	return true;
}

/* ------------------------------------------------------------------ writing out */

static void spill(struct mw_replay *r);
static void maybe_free(struct mw_replay *r);

/* The events of the finished write that are still wanted are in the file now. */
static void spill_account(struct mw_replay *r)
{
	uint64_t offset = r->write_at;

	for (size_t i = 0; i < r->write_events; i++) {
		uint64_t sequence = r->write_first + i;
		struct kept *k;
		uint32_t n;

		memcpy(&n, r->write_buf + r->write_octets + i * sizeof(n), sizeof(n));
		if (sequence >= r->first) { /* else dropped meanwhile */
			k = kept_at(r, (size_t)(sequence - r->first));
			free(k->at.octets);
			k->at.offset = offset;
			k->spooled = true;
			r->memory_used -= n;
			r->spooled++;
		}
		offset += n;
	}
	r->tail = r->write_at + r->write_octets;
}

static void spilled(uv_fs_t *req)
{
	struct mw_replay *r = req->data;
	ssize_t n = req->result;

	uv_fs_req_cleanup(req);
	r->writing = false;
	if (n == (ssize_t)r->write_octets) {
		spill_account(r);
		r->lagging = false;
	} else {
		spool_give_up(r, n < 0 ? uv_strerror((int)n) : "short write");
	}
	free(r->write_buf);
	r->write_buf = NULL;
	if (r->closed)
		maybe_free(r);
	else
		spill(r);
}

/* Make n octets free at the tail of the file's ring; what stands there is the oldest. */
static void make_room(struct mw_replay *r, size_t n)
{
	if (r->tail + n > r->spool) {
		while (r->spooled > 0 && kept_at(r, 0)->at.offset >= r->tail)
			drop_oldest(r);
		r->tail = 0;
	}
	while (r->spooled > 0 && kept_at(r, 0)->at.offset < r->tail + n &&
		kept_at(r, 0)->at.offset + kept_at(r, 0)->n > r->tail)
		drop_oldest(r);
}

/* How many of the oldest events in memory go next, and their octets. */
static size_t spill_choose(struct mw_replay *r, size_t *octets_r)
{
	size_t most = r->spool / 2 < SPILL_OCTETS ? (size_t)(r->spool / 2) : SPILL_OCTETS;
	size_t events = 0, octets = 0;

	while (r->spooled + events < r->count) {
		const struct kept *k = kept_at(r, r->spooled + events);

		if (events > 0 && octets + k->n > most)
			break;
		octets += k->n;
		events++;
	}
	*octets_r = octets;
	return events;
}

/* The number stays, the event is lost: subscribers that need it report a gap. */
static void make_hole(struct mw_replay *r, struct kept *k)
{
	free(k->at.octets);
	r->memory_used -= k->n;
	k->at.octets = NULL;
	k->n = 0;
	k->hole = true;
}

/* Put the octets of these events, then their lengths, into one buffer. */
static unsigned char *spill_pack(struct mw_replay *r, size_t events, size_t octets)
{
	unsigned char *buf = malloc(octets + events * sizeof(uint32_t));
	size_t done = 0;

	if (buf == NULL)
		return NULL;
	for (size_t i = 0; i < events; i++) {
		const struct kept *k = kept_at(r, r->spooled + i);

		if (k->n > 0)
			memcpy(buf + done, k->at.octets, k->n);
		memcpy(buf + octets + i * sizeof(k->n), &k->n, sizeof(k->n));
		done += k->n;
	}
	return buf;
}

static void spill_write(struct mw_replay *r, size_t events, size_t octets)
{
	uv_buf_t buf;

	r->write_buf = spill_pack(r, events, octets);
	if (r->write_buf == NULL)
		return; /* tried again at the next event */
	r->write_first =
		r->first + r->spooled; /* a number: dropping the oldest does not change it */
	make_room(r, octets);
	r->write_events = events;
	r->write_octets = octets;
	r->write_at = r->tail;
	r->write_req.data = r;
	buf = uv_buf_init((char *)r->write_buf, (unsigned)octets);
	r->writing = true;
	if (uv_fs_write(mw_loop_uv(r->loop), &r->write_req, r->fd, &buf, 1, (int64_t)r->write_at,
		    spilled) < 0) {
		r->writing = false;
		free(r->write_buf);
		r->write_buf = NULL;
	}
}

static void spill(struct mw_replay *r)
{
	size_t octets = 0, events;

	while (!r->writing && r->spool > 0 && r->memory_used > r->memory) {
		events = spill_choose(r, &octets);
		if (events == 0)
			return;
		if (octets > r->spool) { /* one event larger than the whole file */
			make_hole(r, kept_at(r, r->spooled));
			continue;
		}
		if (octets > 0) {
			spill_write(r, events, octets);
			return;
		}
		for (size_t i = 0; i < events; i++) { /* holes need no room in the file */
			kept_at(r, r->spooled)->at.offset = r->tail;
			kept_at(r, r->spooled++)->spooled = true;
		}
	}
}

/* The disk is slower than mail: the oldest events that are neither in the file nor on their way
 * there are lost. */
static void shed(struct mw_replay *r)
{
	size_t i = r->spooled;

	if (r->writing && r->write_first + r->write_events > r->first + i)
		i = (size_t)(r->write_first + r->write_events - r->first);
	for (; i + 1 < r->count && r->memory_used > r->memory + r->memory / 2; i++) {
		if (kept_at(r, i)->n == 0)
			continue;
		make_hole(r, kept_at(r, i));
		if (!r->lagging)
			mw_log(MW_WARN, "events_spool_slow",
				"effect=\"events are lost for replay\"");
		r->lagging = true;
	}
}

void mw_replay_put(struct mw_replay *r, unsigned topic, unsigned char *payload, size_t n)
{
	while (r->count == r->cap && !grow(r) && r->count > 0)
		drop_oldest(r);
	if (r->count == r->cap) { /* no memory even for the first index: this number has no event */
		free(payload);
		r->first++;
		return;
	}
	*kept_at(r, r->count++) = (struct kept){
		.at.octets = payload,
		.n = payload != NULL ? (uint32_t)n : 0,
		.topic = (uint8_t)topic,
		.hole = payload == NULL,
	};
	r->memory_used += payload != NULL ? n : 0;
	spill(r);
	if (r->spool > 0)
		shed(r);
	else
		while (r->count > 1 && r->memory_used > r->memory)
			drop_oldest(r);
}

/* ------------------------------------------------------------------ reading */

static void read_done(struct mw_replay *r, uint64_t next)
{
	struct mw_replay_reader reader = r->reader;

	r->reading = false;
	reader.done(reader.arg, next);
}

/* Events in memory are borrowed as they are. Reading stops where the file's part ends or begins. */
static void read_memory(struct mw_replay *r, uint64_t from, uint64_t to)
{
	size_t octets = 0;
	uint64_t at = from;

	for (unsigned i = 0;
		i < MW_REPLAY_READ_EVENTS && at <= to && octets < MW_REPLAY_READ_OCTETS;
		i++, at++) {
		const struct kept *k = kept_at(r, (size_t)(at - r->first));

		if (!k->hole)
			r->reader.take(
				r->reader.arg, at, k->topic, mw_octets_of(k->at.octets, k->n));
		octets += k->n;
	}
	read_done(r, at);
}

/* Hand out what was read, unless its place was given to newer events meanwhile. */
static void read_deliver(struct mw_replay *r)
{
	for (size_t i = 0; i < r->read_events; i++) {
		uint64_t sequence = r->read_first + i;
		const struct kept *k;

		if (sequence < r->first)
			continue;
		k = kept_at(r, (size_t)(sequence - r->first));
		if (!k->hole)
			r->reader.take(r->reader.arg, sequence, k->topic,
				mw_octets_of(r->read_buf + (k->at.offset - r->read_at), k->n));
	}
}

static void was_read(uv_fs_t *req)
{
	struct mw_replay *r = req->data;
	ssize_t n = req->result;

	uv_fs_req_cleanup(req);
	if (!r->closed && n == (ssize_t)r->read_octets)
		read_deliver(r);
	else if (!r->closed)
		spool_give_up(r, n < 0 ? uv_strerror((int)n) : "short read");
	free(r->read_buf);
	r->read_buf = NULL;
	if (r->closed) {
		r->reading = false;
		maybe_free(r);
	} else {
		read_done(r, r->read_first + r->read_events);
	}
}

/* A run of events that stand one after the other in the file, in one read. */
static enum mw_rc read_file(struct mw_replay *r, uint64_t from, uint64_t to)
{
	size_t at = (size_t)(from - r->first), events = 0, octets = 0;
	uv_buf_t buf;

	r->read_at = kept_at(r, at)->at.offset;
	while (events < MW_REPLAY_READ_EVENTS && from + events <= to && at + events < r->spooled) {
		const struct kept *k = kept_at(r, at + events);

		if (k->at.offset != r->read_at + octets ||
			(events > 0 && octets + k->n > MW_REPLAY_READ_OCTETS))
			break;
		octets += k->n;
		events++;
	}
	r->read_buf = malloc(octets + 1);
	if (r->read_buf == NULL)
		return MW_ERR_NOMEM;
	r->read_first = from;
	r->read_events = events;
	r->read_octets = octets;
	r->read_req.data = r;
	buf = uv_buf_init((char *)r->read_buf, (unsigned)octets);
	if (uv_fs_read(mw_loop_uv(r->loop), &r->read_req, r->fd, &buf, 1, (int64_t)r->read_at,
		    was_read) < 0) {
		free(r->read_buf);
		r->read_buf = NULL;
		return MW_ERR_IO;
	}
	return MW_OK;
}

enum mw_rc mw_replay_read(
	struct mw_replay *r, uint64_t from, uint64_t to, const struct mw_replay_reader *reader)
{
	enum mw_rc rc;

	if (r->reading)
		return MW_AGAIN;
	if (from < r->first)
		from = r->first;
	if (to > mw_replay_newest(r))
		to = mw_replay_newest(r);
	r->reader = *reader;
	r->reading = true;
	if (from > to) {
		read_done(r, from);
		return MW_OK;
	}
	if (from - r->first >= r->spooled) {
		read_memory(r, from, to);
		return MW_OK;
	}
	rc = read_file(r, from, to);
	if (rc != MW_OK)
		r->reading = false;
	return rc;
}

uint64_t mw_replay_newest(const struct mw_replay *r)
{
	return r->first + r->count - 1;
}

uint64_t mw_replay_oldest(const struct mw_replay *r)
{
	return r->first;
}

size_t mw_replay_memory(const struct mw_replay *r)
{
	return r->memory_used;
}

/* ------------------------------------------------------------------ life */

struct mw_replay *mw_replay_new(struct mw_loop *loop, size_t memory, uint64_t spool,
	const char *dir, void (*trouble)(void *arg, const char *what), void *arg)
{
	struct mw_replay *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	*r = (struct mw_replay){
		.loop = loop, .trouble = trouble, .arg = arg, .memory = memory, .spool = spool
	};
	r->first = 1;
	r->fd = spool > 0 ? spool_file(dir) : -1;
	if (spool > 0 && r->fd < 0) {
		mw_log(MW_ERROR, "events_spool_failed",
			"dir=%s errno=%d effect=\"replay keeps memory only\"", mw_quote(dir),
			errno);
		r->spool = 0;
	}
	return r;
}

/* Freed when nothing of it is on the pool any more. */
static void maybe_free(struct mw_replay *r)
{
	if (r->writing || r->reading)
		return;
	while (r->count > 0)
		drop_oldest(r);
	free(r->ring);
	if (r->fd >= 0)
		(void)close(r->fd);
	free(r);
}

void mw_replay_destroy(struct mw_replay **r_p)
{
	struct mw_replay *r = *r_p;

	if (r == NULL)
		return;
	*r_p = NULL;
	r->closed = true;
	maybe_free(r);
}
