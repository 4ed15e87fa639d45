/* The state snapshot on the wire: one msgpack array. Grammar: docs/wire.md, "State snapshot". */
#include <stdlib.h>
#include "events.h"

#define STATE_VERSION 1
#define STATE_FIELDS 12
#define QUEUE_FIELDS 3
#define TASK_FIELDS 7
#define WORKER_FIELDS 11
#define KIND_FIELDS 3

/* Readers take printable ASCII only; what a client sent (an address, a helo) must not make the
 * snapshot unreadable. */
static void put_text(struct mw_pack *b, const char *s, size_t size)
{
	char text[MW_ENDPOINT_MAX];
	size_t n = 0;

	for (; n + 1 < sizeof(text) && n + 1 < size && s[n] != '\0'; n++)
		text[n] = mw_is_printable(s + n, 1) ? s[n] : '?';
	text[n] = '\0';
	mw_pack_text(b, text);
}
#define PUT(b, field) put_text((b), (field), sizeof(field))

static void put_task(struct mw_pack *b, const struct mw_state_task *t)
{
	const char letter[2] = { t->letter, '\0' };

	mw_pack_array(b, TASK_FIELDS);
	PUT(b, t->log_id);
	mw_pack_uint(b, t->age_ms);
	PUT(b, letter);
	PUT(b, t->states);
	mw_pack_uint(b, t->size);
	PUT(b, t->client_ip);
	PUT(b, t->detail);
}

static void put_worker(struct mw_pack *b, const struct mw_state_worker *w)
{
	size_t kinds = w->kind_count < MW_KINDS_MAX ? w->kind_count : MW_KINDS_MAX;

	mw_pack_array(b, WORKER_FIELDS);
	PUT(b, w->service);
	PUT(b, w->worker);
	PUT(b, w->address);
	PUT(b, w->software);
	PUT(b, w->engine);
	mw_pack_uint(b, w->seen_ms_ago);
	mw_pack_uint(b, w->since_ms);
	mw_pack_uint(b, w->done);
	mw_pack_uint(b, w->load_permille);
	mw_pack_bool(b, w->draining);
	mw_pack_array(b, kinds);
	for (size_t i = 0; i < kinds; i++) {
		mw_pack_array(b, KIND_FIELDS);
		PUT(b, w->kinds[i].kind);
		mw_pack_uint(b, w->kinds[i].slots);
		mw_pack_uint(b, w->kinds[i].busy);
	}
}

void mw_state_encode(struct mw_pack *b, const struct mw_state *s)
{
	size_t queues = s->queue_count < MW_COUNT(s->queues) ? s->queue_count : MW_COUNT(s->queues);
	size_t tasks = s->task_count < MW_STATE_TASKS_MAX ? s->task_count : MW_STATE_TASKS_MAX;
	size_t workers =
		s->worker_count < MW_STATE_WORKERS_MAX ? s->worker_count : MW_STATE_WORKERS_MAX;

	mw_pack_array(b, STATE_FIELDS);
	mw_pack_uint(b, STATE_VERSION);
	PUT(b, s->host);
	PUT(b, s->front);
	PUT(b, s->software);
	mw_pack_uint(b, s->uptime_ms);
	mw_pack_uint(b, s->sessions);
	mw_pack_uint(b, s->in_flight);
	mw_pack_uint(b, s->held_octets);
	mw_pack_uint(b, s->mails_done);
	mw_pack_array(b, queues);
	for (size_t i = 0; i < queues; i++) {
		mw_pack_array(b, QUEUE_FIELDS);
		PUT(b, s->queues[i].kind);
		mw_pack_uint(b, s->queues[i].waiting);
		mw_pack_uint(b, s->queues[i].most);
	}
	mw_pack_array(b, tasks);
	for (size_t i = 0; i < tasks; i++)
		put_task(b, &s->tasks[i]);
	mw_pack_array(b, workers);
	for (size_t i = 0; i < workers; i++)
		put_worker(b, &s->workers[i]);
}

/* ------------------------------------------------------------------ decode */

static bool get_u32(struct mw_cur *c, uint32_t *v_r)
{
	uint64_t v;

	if (!mw_cur_uint(c, UINT32_MAX, &v))
		return false;
	*v_r = (uint32_t)v;
	return true;
}

/* An array that may be longer than we know: *extra_r values are to be skipped after the known ones.
 */
static bool get_struct(struct mw_cur *c, size_t known, size_t *extra_r)
{
	size_t items;

	if (!mw_cur_array(c, &items) || items < known)
		return false;
	*extra_r = items - known;
	return true;
}

/* Count of a list: within our bound and within what the octets left could hold. */
static bool get_count(struct mw_cur *c, size_t most, size_t *n_r)
{
	return mw_cur_array(c, n_r) && *n_r <= most && *n_r <= (size_t)(c->end - c->p);
}

static bool get_task(struct mw_cur *c, struct mw_state_task *t)
{
	char letter[2];
	size_t extra;

	if (!get_struct(c, TASK_FIELDS, &extra) || !mw_cur_text(c, t->log_id, sizeof(t->log_id)) ||
		!mw_cur_uint(c, UINT64_MAX, &t->age_ms) ||
		!mw_cur_text(c, letter, sizeof(letter)) ||
		!mw_cur_text(c, t->states, sizeof(t->states)) ||
		!mw_cur_uint(c, UINT64_MAX, &t->size) ||
		!mw_cur_text(c, t->client_ip, sizeof(t->client_ip)) ||
		!mw_cur_text(c, t->detail, sizeof(t->detail)) || !mw_cur_skip(c, extra))
		return false;
	t->letter = letter[0];
	return true;
}

static bool get_kinds(struct mw_cur *c, struct mw_state_worker *w)
{
	size_t extra;

	if (!get_count(c, MW_KINDS_MAX, &w->kind_count))
		return false;
	for (size_t i = 0; i < w->kind_count; i++)
		if (!get_struct(c, KIND_FIELDS, &extra) ||
			!mw_cur_text(c, w->kinds[i].kind, sizeof(w->kinds[i].kind)) ||
			!get_u32(c, &w->kinds[i].slots) || !get_u32(c, &w->kinds[i].busy) ||
			!mw_cur_skip(c, extra))
			return false;
	return true;
}

static bool get_worker(struct mw_cur *c, struct mw_state_worker *w)
{
	size_t extra;

	return get_struct(c, WORKER_FIELDS, &extra) &&
	       mw_cur_text(c, w->service, sizeof(w->service)) &&
	       mw_cur_text(c, w->worker, sizeof(w->worker)) &&
	       mw_cur_text(c, w->address, sizeof(w->address)) &&
	       mw_cur_text(c, w->software, sizeof(w->software)) &&
	       mw_cur_text(c, w->engine, sizeof(w->engine)) &&
	       mw_cur_uint(c, UINT64_MAX, &w->seen_ms_ago) &&
	       mw_cur_uint(c, UINT64_MAX, &w->since_ms) && mw_cur_uint(c, UINT64_MAX, &w->done) &&
	       get_u32(c, &w->load_permille) && mw_cur_bool(c, &w->draining) && get_kinds(c, w) &&
	       mw_cur_skip(c, extra);
}

static bool get_queues(struct mw_cur *c, struct mw_state *s)
{
	size_t extra;

	if (!get_count(c, MW_COUNT(s->queues), &s->queue_count))
		return false;
	for (size_t i = 0; i < s->queue_count; i++)
		if (!get_struct(c, QUEUE_FIELDS, &extra) ||
			!mw_cur_text(c, s->queues[i].kind, sizeof(s->queues[i].kind)) ||
			!get_u32(c, &s->queues[i].waiting) || !get_u32(c, &s->queues[i].most) ||
			!mw_cur_skip(c, extra))
			return false;
	return true;
}

static enum mw_rc get_lists(struct mw_cur *c, struct mw_state *s)
{
	if (!get_count(c, MW_STATE_TASKS_MAX, &s->task_count))
		return MW_ERR_PROTO;
	s->tasks = calloc(s->task_count + 1, sizeof(*s->tasks));
	if (s->tasks == NULL)
		return MW_ERR_NOMEM;
	for (size_t i = 0; i < s->task_count; i++)
		if (!get_task(c, &s->tasks[i]))
			return MW_ERR_PROTO;
	if (!get_count(c, MW_STATE_WORKERS_MAX, &s->worker_count))
		return MW_ERR_PROTO;
	s->workers = calloc(s->worker_count + 1, sizeof(*s->workers));
	if (s->workers == NULL)
		return MW_ERR_NOMEM;
	for (size_t i = 0; i < s->worker_count; i++)
		if (!get_worker(c, &s->workers[i]))
			return MW_ERR_PROTO;
	return MW_OK;
}

enum mw_rc mw_state_decode(struct mw_octets payload, struct mw_state *s_r)
{
	struct mw_cur c = mw_cur_of(payload.p, payload.n);
	struct mw_state s = { 0 };
	enum mw_rc rc = MW_ERR_PROTO;
	uint64_t version;
	size_t extra;

	if (payload.n > MW_STATE_FRAME_MAX)
		return MW_ERR_LIMIT;
	if (get_struct(&c, STATE_FIELDS, &extra) && mw_cur_uint(&c, UINT8_MAX, &version) &&
		version == STATE_VERSION && mw_cur_text(&c, s.host, sizeof(s.host)) &&
		mw_cur_text(&c, s.front, sizeof(s.front)) &&
		mw_cur_text(&c, s.software, sizeof(s.software)) &&
		mw_cur_uint(&c, UINT64_MAX, &s.uptime_ms) &&
		mw_cur_uint(&c, UINT64_MAX, &s.sessions) &&
		mw_cur_uint(&c, UINT64_MAX, &s.in_flight) &&
		mw_cur_uint(&c, UINT64_MAX, &s.held_octets) &&
		mw_cur_uint(&c, UINT64_MAX, &s.mails_done) && get_queues(&c, &s))
		rc = get_lists(&c, &s);
	if (rc == MW_OK && (!mw_cur_skip(&c, extra) || !mw_cur_end(&c)))
		rc = MW_ERR_PROTO;
	if (rc == MW_OK)
		*s_r = s;
	else
		mw_state_fini(&s);
	return rc;
}

void mw_state_fini(struct mw_state *s)
{
	free(s->tasks);
	free(s->workers);
	s->tasks = NULL;
	s->workers = NULL;
	s->task_count = 0;
	s->worker_count = 0;
}
