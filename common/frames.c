/* Control frames and job headers: the array of each type, field by field. Grammar: docs/wire.md. */
#include "wire.h"

/* Fields of each frame, version and type included; a peer may send more, never less. */
enum {
	HELLO_FIELDS = 10,
	ALIVE_FIELDS = 8,
	VERDICT_FIELDS = 10,
	WELCOME_FIELDS = 4,
	PLAIN_FIELDS = 3,
	JOB_FIELDS = 11,
	ENVELOPE_FIELDS = 9,
	FRAME_JOB = 16
};

static const char *const status_names[MW_STATUS_COUNT] = { "done", "limit", "failed" };

const char *mw_status_name(enum mw_status status)
{
	return (unsigned)status < MW_STATUS_COUNT ? status_names[status] : "unknown";
}

/* Array head, version and type; *left_r: fields after those the grammar names, to be skipped. */
static bool open_frame(struct mw_cur *c, uint64_t type, size_t fields, size_t *left_r)
{
	uint64_t version, got;
	size_t have;

	if (!mw_cur_array(c, &have) || have < fields || !mw_cur_uint(c, UINT8_MAX, &version) ||
		version != MW_WIRE_VERSION || !mw_cur_uint(c, UINT8_MAX, &got) || got != type)
		return false;
	*left_r = have - fields;
	return true;
}

static bool close_frame(struct mw_cur *c, size_t left)
{
	return mw_cur_skip(c, left) &&
	       mw_cur_end(c); /* octets left over: the peers disagree, so refuse */
}

static void begin_frame(struct mw_pack *b, uint64_t type, size_t fields)
{
	mw_pack_array(b, fields);
	mw_pack_uint(b, MW_WIRE_VERSION);
	mw_pack_uint(b, type);
}

enum mw_frame mw_frame_type(struct mw_octets frame)
{
	struct mw_cur c = mw_cur_of(frame.p, frame.n);
	uint64_t version, type;
	size_t fields;

	if (!mw_cur_array(&c, &fields) || fields < 2 || !mw_cur_uint(&c, UINT8_MAX, &version) ||
		version != MW_WIRE_VERSION || !mw_cur_uint(&c, MW_FRAME_COUNT - 1, &type))
		return MW_FRAME_NONE;
	return (enum mw_frame)type;
}

static void pack_kinds(struct mw_pack *b, const struct mw_kind_slots *kinds, size_t count)
{
	mw_pack_array(b, count);
	for (size_t i = 0; i < count; i++) {
		mw_pack_array(b, 2);
		mw_pack_text(b, kinds[i].kind);
		mw_pack_uint(b, kinds[i].slots);
	}
}

static bool cur_kinds(struct mw_cur *c, struct mw_kind_slots *kinds, size_t *count_r)
{
	size_t count, fields;
	uint64_t slots;

	if (!mw_cur_array(c, &count) || count > MW_KINDS_MAX)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!mw_cur_array(c, &fields) || fields < 2 ||
			!mw_cur_text(c, kinds[i].kind, sizeof(kinds[i].kind)) ||
			!mw_cur_uint(c, UINT16_MAX, &slots) || !mw_cur_skip(c, fields - 2))
			return false;
		kinds[i].slots = (uint32_t)slots;
	}
	*count_r = count;
	return true;
}

void mw_hello_encode(struct mw_pack *b, const struct mw_hello *v)
{
	begin_frame(b, MW_FRAME_HELLO, HELLO_FIELDS);
	mw_pack_text(b, v->service);
	mw_pack_text(b, v->worker);
	mw_pack_text(b, v->endpoint);
	mw_pack_text(b, v->key);
	mw_pack_text(b, v->software);
	mw_pack_text(b, v->engine);
	mw_pack_uint(b, v->pid);
	pack_kinds(b, v->kinds, v->kind_count);
}

enum mw_rc mw_hello_decode(struct mw_octets frame, struct mw_hello *v_r)
{
	struct mw_cur c = mw_cur_of(frame.p, frame.n);
	struct mw_hello v = { 0 };
	size_t left;

	if (frame.n > MW_CONTROL_FRAME_MAX)
		return MW_ERR_LIMIT;
	if (!open_frame(&c, MW_FRAME_HELLO, HELLO_FIELDS, &left) ||
		!mw_cur_text(&c, v.service, sizeof(v.service)) ||
		!mw_cur_text(&c, v.worker, sizeof(v.worker)) ||
		!mw_cur_text(&c, v.endpoint, sizeof(v.endpoint)) ||
		!mw_cur_text(&c, v.key, sizeof(v.key)) ||
		!mw_cur_text(&c, v.software, sizeof(v.software)) ||
		!mw_cur_text(&c, v.engine, sizeof(v.engine)) ||
		!mw_cur_uint(&c, UINT32_MAX, &v.pid) || !cur_kinds(&c, v.kinds, &v.kind_count) ||
		!close_frame(&c, left))
		return MW_ERR_PROTO;
	*v_r = v;
	return MW_OK;
}

void mw_alive_encode(struct mw_pack *b, const struct mw_alive *v)
{
	begin_frame(b, MW_FRAME_ALIVE, ALIVE_FIELDS + 1);
	mw_pack_uint(b, v->incarnation);
	mw_pack_uint(b, v->done);
	mw_pack_uint(b, v->load_permille);
	mw_pack_text(b, v->engine);
	pack_kinds(b, v->kinds, v->kind_count);
	mw_pack_array(b, v->held_count);
	for (size_t i = 0; i < v->held_count; i++) {
		mw_pack_array(b, 4);
		mw_pack_uint(b, v->held[i].job);
		mw_pack_uint(b, v->held[i].attempt);
		mw_pack_text(b, v->held[i].phase);
		mw_pack_uint(b, v->held[i].age_ms);
	}
	mw_pack_array(b, v->down.count);
	for (size_t i = 0; i < v->down.count; i++)
		mw_pack_text(b, v->down.names[i]);
}

static bool cur_held(struct mw_cur *c, struct mw_held *held, size_t *count_r)
{
	uint64_t attempt, age;
	size_t count, fields;

	if (!mw_cur_array(c, &count) || count > MW_HELD_MAX)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!mw_cur_array(c, &fields) || fields < 4 ||
			!mw_cur_uint(c, UINT64_MAX, &held[i].job) ||
			!mw_cur_uint(c, UINT32_MAX, &attempt) ||
			!mw_cur_text(c, held[i].phase, sizeof(held[i].phase)) ||
			!mw_cur_uint(c, UINT32_MAX, &age) || !mw_cur_skip(c, fields - 4))
			return false;
		held[i].attempt = (uint32_t)attempt;
		held[i].age_ms = (uint32_t)age;
	}
	*count_r = count;
	return true;
}

/* The last field, and the newest: a worker of before does not send it. */
static bool cur_down(struct mw_cur *c, size_t *left, struct mw_down *down)
{
	if (*left == 0)
		return true;
	--*left;
	if (!mw_cur_array(c, &down->count) || down->count > MW_DOWN_MAX)
		return false;
	for (size_t i = 0; i < down->count; i++)
		if (!mw_cur_text(c, down->names[i], sizeof(down->names[i])))
			return false;
	return true;
}

enum mw_rc mw_alive_decode(struct mw_octets frame, struct mw_alive *v_r)
{
	struct mw_cur c = mw_cur_of(frame.p, frame.n);
	struct mw_alive v = { 0 };
	uint64_t load;
	size_t left;

	if (frame.n > MW_CONTROL_FRAME_MAX)
		return MW_ERR_LIMIT;
	if (!open_frame(&c, MW_FRAME_ALIVE, ALIVE_FIELDS, &left) ||
		!mw_cur_uint(&c, UINT64_MAX, &v.incarnation) ||
		!mw_cur_uint(&c, UINT64_MAX, &v.done) || !mw_cur_uint(&c, UINT32_MAX, &load) ||
		!mw_cur_text(&c, v.engine, sizeof(v.engine)) ||
		!cur_kinds(&c, v.kinds, &v.kind_count) || !cur_held(&c, v.held, &v.held_count) ||
		!cur_down(&c, &left, &v.down) || !close_frame(&c, left))
		return MW_ERR_PROTO;
	v.load_permille = (uint32_t)load;
	*v_r = v;
	return MW_OK;
}

void mw_welcome_encode(struct mw_pack *b, const struct mw_welcome *v)
{
	begin_frame(b, MW_FRAME_WELCOME, WELCOME_FIELDS);
	mw_pack_uint(b, v->incarnation);
	mw_pack_text(b, v->software);
}

enum mw_rc mw_welcome_decode(struct mw_octets frame, struct mw_welcome *v_r)
{
	struct mw_cur c = mw_cur_of(frame.p, frame.n);
	struct mw_welcome v = { 0 };
	size_t left;

	if (frame.n > MW_CONTROL_FRAME_MAX)
		return MW_ERR_LIMIT;
	if (!open_frame(&c, MW_FRAME_WELCOME, WELCOME_FIELDS, &left) ||
		!mw_cur_uint(&c, UINT64_MAX, &v.incarnation) ||
		!mw_cur_text(&c, v.software, sizeof(v.software)) || !close_frame(&c, left))
		return MW_ERR_PROTO;
	*v_r = v;
	return MW_OK;
}

void mw_plain_encode(struct mw_pack *b, enum mw_frame type, const char *why)
{
	begin_frame(b, type, PLAIN_FIELDS);
	mw_pack_text(b, why);
}

enum mw_rc mw_plain_decode(struct mw_octets frame, char *why_r, size_t size)
{
	struct mw_cur c = mw_cur_of(frame.p, frame.n);
	enum mw_frame type = mw_frame_type(frame);
	char why[MW_REASON_MAX];
	size_t left;

	if (frame.n > MW_CONTROL_FRAME_MAX)
		return MW_ERR_LIMIT;
	if (type != MW_FRAME_BYE && type != MW_FRAME_WHO && type != MW_FRAME_REFUSED)
		return MW_ERR_PROTO;
	if (!open_frame(&c, type, PLAIN_FIELDS, &left) || !mw_cur_text(&c, why, sizeof(why)) ||
		!close_frame(&c, left))
		return MW_ERR_PROTO;
	mw_strlcpy(why_r, why, size);
	return MW_OK;
}

void mw_verdict_encode(struct mw_pack *b, const struct mw_verdict *v)
{
	begin_frame(b, MW_FRAME_VERDICT, VERDICT_FIELDS);
	mw_pack_uint(b, v->job);
	mw_pack_uint(b, v->attempt);
	mw_pack_text(b, v->kind);
	mw_pack_uint(b, v->status);
	mw_pack_text(b, v->reason);
	mw_pack_uint(b, v->wall_us);
	mw_pack_uint(b, v->cpu_us);
	if (v->findings.n == 0)
		mw_pack_map(b, 0);
	else
		mw_pack_raw(b, v->findings);
}

enum mw_rc mw_verdict_decode(struct mw_octets frame, struct mw_verdict *v_r)
{
	struct mw_cur c = mw_cur_of(frame.p, frame.n);
	struct mw_verdict v = { 0 };
	uint64_t attempt, status;
	size_t left;

	if (frame.n > MW_VERDICT_FRAME_MAX)
		return MW_ERR_LIMIT;
	/* A cursor, not msgpack_unpack: that one maps 128 GiB for a five-octet header that claims
	 * an array so long. */
	if (!open_frame(&c, MW_FRAME_VERDICT, VERDICT_FIELDS, &left) ||
		!mw_cur_uint(&c, UINT64_MAX, &v.job) || !mw_cur_uint(&c, UINT32_MAX, &attempt) ||
		!mw_cur_text(&c, v.kind, sizeof(v.kind)) ||
		!mw_cur_uint(&c, MW_STATUS_COUNT - 1, &status) ||
		!mw_cur_text(&c, v.reason, sizeof(v.reason)) ||
		!mw_cur_uint(&c, UINT64_MAX, &v.wall_us) ||
		!mw_cur_uint(&c, UINT64_MAX, &v.cpu_us) || !mw_cur_raw_map(&c, &v.findings) ||
		!close_frame(&c, left))
		return MW_ERR_PROTO;
	v.attempt = (uint32_t)attempt;
	v.status = (enum mw_status)status;
	*v_r = v; /* published last, and whole */
	return MW_OK;
}

void mw_job_encode(struct mw_pack *b, const struct mw_job *v)
{
	begin_frame(b, FRAME_JOB, JOB_FIELDS);
	mw_pack_uint(b, v->job);
	mw_pack_uint(b, v->attempt);
	mw_pack_text(b, v->kind);
	mw_pack_uint(b, v->deadline_ms);
	mw_pack_text(b, v->log_id);
	mw_pack_text(b, v->mail_id);
	mw_pack_uint(b, v->size);
	mw_pack_array(b, ENVELOPE_FIELDS);
	mw_pack_octets(b, v->sender);
	if (v->rcpts.n == 0)
		mw_pack_array(b, 0);
	else
		mw_pack_raw(b, v->rcpts);
	mw_pack_octets(b, v->helo);
	mw_pack_octets(b, v->client_ip);
	mw_pack_octets(b, v->client_name);
	mw_pack_uint(b, v->client_port);
	mw_pack_octets(b, v->client_source);
	mw_pack_octets(b, v->auth);
	mw_pack_octets(b, v->tls);
	if (v->orders.n == 0)
		mw_pack_map(b, 0);
	else
		mw_pack_raw(b, v->orders);
}

#define ADDRESS_MAX 1024 /* RFC 5321 4.5.3.1.3 says 256; RFC 6531 and sloppy peers send more */

/* An array of strings, borrowed raw once every one of them has been seen. */
static bool cur_rcpts(struct mw_cur *c, struct mw_octets *raw_r)
{
	const unsigned char *start = c->p;
	struct mw_octets one;
	size_t count;

	if (!mw_cur_array(c, &count) || count > MW_RCPTS_MAX)
		return false;
	for (; count > 0; count--)
		if (!mw_cur_octets(c, ADDRESS_MAX, &one))
			return false;
	*raw_r = mw_octets_of(start, (size_t)(c->p - start));
	return true;
}

static bool cur_envelope(struct mw_cur *c, struct mw_job *v)
{
	size_t fields;
	uint64_t port;

	if (!mw_cur_array(c, &fields) || fields < ENVELOPE_FIELDS ||
		!mw_cur_octets(c, ADDRESS_MAX, &v->sender) || !cur_rcpts(c, &v->rcpts) ||
		!mw_cur_octets(c, ADDRESS_MAX, &v->helo) ||
		!mw_cur_octets(c, ADDRESS_MAX, &v->client_ip) ||
		!mw_cur_octets(c, ADDRESS_MAX, &v->client_name) ||
		!mw_cur_uint(c, UINT16_MAX, &port) ||
		!mw_cur_octets(c, ADDRESS_MAX, &v->client_source) ||
		!mw_cur_octets(c, ADDRESS_MAX, &v->auth) ||
		!mw_cur_octets(c, ADDRESS_MAX, &v->tls) ||
		!mw_cur_skip(c, fields - ENVELOPE_FIELDS))
		return false;
	v->client_port = (uint32_t)port;
	return true;
}

/* A deadline further away than this is no deadline of ours. */
#define JOB_MS_MAX (24u * 3600 * 1000)

enum mw_rc mw_job_decode(struct mw_octets frame, uint64_t now_ms, struct mw_job *v_r)
{
	struct mw_cur c = mw_cur_of(frame.p, frame.n);
	struct mw_job v = { 0 };
	uint64_t attempt, ms_left;
	size_t left;

	if (frame.n > MW_JOB_HEADER_MAX)
		return MW_ERR_LIMIT;
	if (!open_frame(&c, FRAME_JOB, JOB_FIELDS, &left) || !mw_cur_uint(&c, UINT64_MAX, &v.job) ||
		!mw_cur_uint(&c, UINT32_MAX, &attempt) ||
		!mw_cur_text(&c, v.kind, sizeof(v.kind)) ||
		!mw_cur_uint(&c, JOB_MS_MAX, &ms_left) ||
		!mw_cur_text(&c, v.log_id, sizeof(v.log_id)) ||
		!mw_cur_text(&c, v.mail_id, sizeof(v.mail_id)) ||
		!mw_cur_uint(&c, UINT64_MAX, &v.size) || !cur_envelope(&c, &v) ||
		!mw_cur_raw_map(&c, &v.orders) || !close_frame(&c, left))
		return MW_ERR_PROTO;
	v.attempt = (uint32_t)attempt;
	v.deadline_ms = now_ms + ms_left;
	*v_r = v;
	return MW_OK;
}

#define JOB_NAME_FIELDS 5

enum mw_rc mw_job_name_decode(struct mw_octets frame, struct mw_job *v_r)
{
	struct mw_cur c = mw_cur_of(frame.p, frame.n);
	struct mw_job v = { 0 };
	uint64_t attempt;
	size_t left;

	if (!open_frame(&c, FRAME_JOB, JOB_NAME_FIELDS, &left) ||
		!mw_cur_uint(&c, UINT64_MAX, &v.job) || !mw_cur_uint(&c, UINT32_MAX, &attempt) ||
		!mw_cur_text(&c, v.kind, sizeof(v.kind)))
		return MW_ERR_PROTO;
	v.attempt = (uint32_t)attempt;
	*v_r = v;
	return MW_OK;
}
