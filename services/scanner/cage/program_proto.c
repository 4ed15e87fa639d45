#include "program_proto.h"

#include <stdlib.h>

#define VERSION 1
#define ORDER_FIELDS 11
#define RAN_FIELDS 8

static void put_texts(struct mw_pack *b, const struct program_texts *t)
{
	mw_pack_array(b, t->count);
	for (unsigned i = 0; i < t->count; i++)
		mw_pack_text(b, t->items[i]);
}

static bool take_text(struct mw_cur *c, const char **text_r)
{
	struct mw_octets o;

	*text_r =
		mw_cur_octets(c, PROGRAM_ARGUMENT_MAX, &o) ? strndup((const char *)o.p, o.n) : NULL;
	return *text_r != NULL;
}

static bool take_texts(struct mw_cur *c, struct program_texts *t)
{
	size_t n;

	if (!mw_cur_array(c, &n) || n > PROGRAM_ARGUMENTS_MAX)
		return false;
	for (t->count = 0; t->count < n; t->count++)
		if (!take_text(c, &t->items[t->count]))
			return false;
	return true;
}

void program_order_encode(struct mw_pack *b, const struct program_order *o)
{
	mw_pack_array(b, ORDER_FIELDS);
	mw_pack_uint(b, VERSION);
	mw_pack_uint(b, SCAN_MSG_PROGRAM);
	mw_pack_text(b, o->program);
	mw_pack_text(b, o->temp_dir);
	put_texts(b, &o->arguments);
	put_texts(b, &o->reads);
	mw_pack_uint(b, o->timeout_ms);
	mw_pack_uint(b, o->memory);
	mw_pack_uint(b, o->file_size);
	mw_pack_uint(b, o->quota);
	mw_pack_bool(b, o->strict);
}

static bool take_head(struct mw_cur *c, enum scan_message type, size_t fields)
{
	uint64_t version, got;
	size_t n;

	return mw_cur_array(c, &n) && n == fields && mw_cur_uint(c, UINT8_MAX, &version) &&
	       version == VERSION && mw_cur_uint(c, UINT8_MAX, &got) && got == (uint64_t)type;
}

static void free_texts(struct program_texts *t)
{
	for (unsigned i = 0; i < t->count; i++)
		free((void *)t->items[i]);
	t->count = 0;
}

void program_order_fini(struct program_order *o)
{
	free((void *)o->program);
	free((void *)o->temp_dir);
	o->program = o->temp_dir = NULL;
	free_texts(&o->arguments);
	free_texts(&o->reads);
}

enum mw_rc program_order_decode(struct mw_octets m, struct program_order *o_r)
{
	struct mw_cur c = mw_cur_of(m.p, m.n);
	struct program_order o = { 0 };

	if (!take_head(&c, SCAN_MSG_PROGRAM, ORDER_FIELDS) || !take_text(&c, &o.program) ||
		!take_text(&c, &o.temp_dir) || !take_texts(&c, &o.arguments) ||
		!take_texts(&c, &o.reads) || !mw_cur_uint(&c, UINT32_MAX, &o.timeout_ms) ||
		!mw_cur_uint(&c, INT64_MAX, &o.memory) ||
		!mw_cur_uint(&c, INT64_MAX, &o.file_size) ||
		!mw_cur_uint(&c, INT64_MAX, &o.quota) || !mw_cur_bool(&c, &o.strict) ||
		!mw_cur_end(&c)) {
		program_order_fini(&o);
		return MW_ERR_PROTO;
	}
	*o_r = o;
	return MW_OK;
}

void program_ran_encode(struct mw_pack *b, const struct program_ran *r)
{
	mw_pack_array(b, RAN_FIELDS);
	mw_pack_uint(b, VERSION);
	mw_pack_uint(b, SCAN_MSG_RAN);
	mw_pack_uint(b, r->first);
	mw_pack_uint(b, r->count);
	mw_pack_uint(b, r->code);
	mw_pack_uint(b, r->signal);
	mw_pack_bool(b, r->late);
	mw_pack_octets(b, r->output);
}

enum mw_rc program_ran_decode(struct mw_octets m, struct program_ran *r_r)
{
	struct mw_cur c = mw_cur_of(m.p, m.n);
	struct program_ran r;

	if (!take_head(&c, SCAN_MSG_RAN, RAN_FIELDS) || !mw_cur_uint(&c, INT32_MAX, &r.first) ||
		!mw_cur_uint(&c, INT32_MAX, &r.count) || !mw_cur_uint(&c, 255, &r.code) ||
		!mw_cur_uint(&c, 255, &r.signal) || !mw_cur_bool(&c, &r.late) ||
		!mw_cur_octets(&c, PROGRAM_OUTPUT_MAX, &r.output) || !mw_cur_end(&c))
		return MW_ERR_PROTO;
	*r_r = r;
	return MW_OK;
}
