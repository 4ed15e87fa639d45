/*
 * The mail record on the wire: one msgpack array, described once by tables that both directions
 * walk, so that the encoder and the decoder cannot disagree about the order. Grammar: docs/wire.md,
 * "Mail record".
 */
#include <stdlib.h>
#include "record.h"

enum shape { OCTETS, UINT64, UINT32, INT64, INT32, SMALL, BOOL, LIST, ROWS };

struct row;
struct field {
	enum shape shape;
	size_t at;	       /* of the member */
	size_t count_at;       /* ROWS: of the member that counts */
	unsigned most;	       /* SMALL: largest value */
	const struct row *row; /* ROWS: what one element looks like */
};

struct row {
	const struct field *fields;
	size_t field_count, size;
};

#define ROW(table, type)                                                                           \
	{                                                                                          \
		(table), MW_COUNT(table), sizeof(struct type)                                      \
	}

#define F(s, m)                                                                                    \
	{                                                                                          \
		.shape = (s), .at = offsetof(struct mw_record_check, m)                            \
	}
static const struct field check_fields[] = {
	F(OCTETS, kind),
	F(OCTETS, worker),
	F(BOOL, ran),
	{ .shape = SMALL,
		.at = offsetof(struct mw_record_check, status),
		.most = MW_STATUS_COUNT - 1 },
	F(OCTETS, reason),
	F(UINT32, attempts),
	F(UINT64, wait_us),
	F(UINT64, wall_us),
	F(UINT64, cpu_us),
};
#undef F
static const struct row check_row = ROW(check_fields, mw_record_check);

static const struct field test_fields[] = {
	{ .shape = OCTETS, .at = offsetof(struct mw_record_test, name) },
	{ .shape = INT32, .at = offsetof(struct mw_record_test, milli) },
};
static const struct row test_row = ROW(test_fields, mw_record_test);

static const struct field av_fields[] = {
	{ .shape = OCTETS, .at = offsetof(struct mw_record_av, scanner) },
	{ .shape = OCTETS, .at = offsetof(struct mw_record_av, name) },
};
static const struct row av_row = ROW(av_fields, mw_record_av);

#define F(s, m)                                                                                    \
	{                                                                                          \
		.shape = (s), .at = offsetof(struct mw_record_part, m)                             \
	}
static const struct field part_fields[] = {
	F(UINT32, parent),
	F(OCTETS, place),
	F(OCTETS, type),
	F(OCTETS, name),
	F(OCTETS, attributes),
	F(UINT64, size),
	F(OCTETS, digest),
};
#undef F
static const struct row part_row = ROW(part_fields, mw_record_part);

static const struct field elapsed_fields[] = {
	{ .shape = OCTETS, .at = offsetof(struct mw_record_elapsed, section) },
	{ .shape = UINT64, .at = offsetof(struct mw_record_elapsed, wall_us) },
	{ .shape = UINT64, .at = offsetof(struct mw_record_elapsed, cpu_us) },
};
static const struct row elapsed_row = ROW(elapsed_fields, mw_record_elapsed);

static const struct field said_fields[] = {
	{ .shape = OCTETS, .at = offsetof(struct mw_record_said, name) },
	{ .shape = OCTETS, .at = offsetof(struct mw_record_said, value) },
	{ .shape = OCTETS, .at = offsetof(struct mw_record_said, by) },
};
static const struct row said_row = ROW(said_fields, mw_record_said);

#define CCAT_MOST 99 /* major * 10 + minor */

#define F(s, m)                                                                                    \
	{                                                                                          \
		.shape = (s), .at = offsetof(struct mw_record_rcpt, m)                             \
	}
static const struct field rcpt_fields[] = {
	F(OCTETS, addr),
	F(BOOL, is_local),
	{ .shape = SMALL, .at = offsetof(struct mw_record_rcpt, action), .most = MW_ACT_COUNT - 1 },
	F(OCTETS, smtp_response),
	F(OCTETS, queued_as),
	F(BOOL, has_score),
	F(INT32, score_milli),
	F(BOOL, bypass_virus),
	F(BOOL, bypass_banned),
	F(BOOL, bypass_spam),
	{ .shape = SMALL, .at = offsetof(struct mw_record_rcpt, ccat_main), .most = CCAT_MOST },
	{ .shape = SMALL, .at = offsetof(struct mw_record_rcpt, ccat_blocking), .most = CCAT_MOST },
	F(OCTETS, mail_id_related),
	F(INT64, penpals_age_s),
	F(BOOL, tagged),
	F(BOOL, delivered),
	{ .shape = ROWS,
		.at = offsetof(struct mw_record_rcpt, said),
		.count_at = offsetof(struct mw_record_rcpt, said_count),
		.row = &said_row },
	F(OCTETS, ccats),
	F(OCTETS, destiny),
	F(INT32, cluster),
	F(OCTETS, deliver_to),
	{ .shape = SMALL, .at = offsetof(struct mw_record_rcpt, dsn), .most = MW_DSN_COUNT - 1 },
	F(OCTETS, banned_part),
	F(OCTETS, banned_key),
	F(OCTETS, banned_comment),
	F(LIST, banned_paths),
};
#undef F
static const struct row rcpt_row = ROW(rcpt_fields, mw_record_rcpt);

#define F(s, m)                                                                                    \
	{                                                                                          \
		.shape = (s), .at = offsetof(struct mw_record, m)                                  \
	}
#define R(m, n, r)                                                                                 \
	{                                                                                          \
		.shape = ROWS, .at = offsetof(struct mw_record, m),                                \
		.count_at = offsetof(struct mw_record, n), .row = &(r)                             \
	}
static const struct field record_fields[] = {
	F(UINT64, incarnation),
	F(UINT64, sequence),
	F(OCTETS, host),
	F(OCTETS, log_id),
	F(OCTETS, mail_id),
	F(OCTETS, mail_id_parent),
	F(UINT64, time_ms),
	F(LIST, policy_banks),
	F(BOOL, originating),
	F(OCTETS, src_ip),
	F(OCTETS, dst_ip),
	F(OCTETS, client_ip),
	F(OCTETS, client_name),
	F(OCTETS, helo),
	F(OCTETS, protocol),
	F(OCTETS, queue_id),
	F(UINT32, src_port),
	F(UINT32, dst_port),
	F(UINT32, client_port),
	F(LIST, ip_trace),
	F(LIST, ip_proto_trace),
	F(OCTETS, mail_from),
	F(OCTETS, sender),
	F(OCTETS, subject),
	F(OCTETS, message_id),
	F(OCTETS, user_agent),
	F(LIST, author),
	F(LIST, to_addr),
	F(LIST, cc_addr),
	F(LIST, references),
	F(LIST, attached_file_names),
	F(UINT64, size),
	F(BOOL, is_auto),
	F(BOOL, is_mlist),
	F(BOOL, is_bulk),
	F(BOOL, is_bounce),
	{ .shape = SMALL, .at = offsetof(struct mw_record, ccat), .most = CCAT_MOST },
	R(checks, check_count, check_row),
	F(BOOL, has_score),
	F(INT32, score_milli),
	F(INT32, ip_repu_milli),
	R(tests, test_count, test_row),
	R(av, av_count, av_row),
	F(OCTETS, quarantine),
	F(OCTETS, quar_type),
	F(LIST, quarantines),
	F(UINT64, quarantine_octets),
	F(LIST, dkim_valid_sig),
	F(LIST, dkim_new_sig),
	F(OCTETS, dkim_author_sig),
	F(UINT32, dkim_signatures),
	F(BOOL, penpals_asked),
	F(BOOL, poison),
	F(OCTETS, reply),
	F(BOOL, aborted),
	R(rcpts, rcpt_count, rcpt_row),
	R(elapsed, elapsed_count, elapsed_row),
	F(UINT32, out_msgs),
	F(UINT32, out_msgs_failed),
	F(UINT32, out_msgs_rejected),
	F(UINT64, out_octets),
	F(BOOL, out_lmtp),
	F(UINT32, conn_new),
	F(UINT32, conn_quit),
	F(UINT32, conn_reuse),
	F(UINT32, conn_reuse_fail),
	F(UINT64, settings_ms),
	F(LIST, bank_rules),
	F(LIST, edits),
	{ .shape = SMALL, .at = offsetof(struct mw_record, own), .most = MW_OWN_COUNT - 1 },
	F(BOOL, header_checked),
	F(BOOL, banned_checked),
	F(LIST, bad_header),
	R(parts, part_count, part_row),
};
#undef F
#undef R
static const struct row record_row = ROW(record_fields, mw_record);

/* ------------------------------------------------------------------ names */

const char *mw_ccat_name(unsigned ccat)
{
	static const char *const names[MW_CC_COUNT][10] = {
		[MW_CC_CATCHALL] = { "CatchAll" },
		[MW_CC_CLEAN] = { "Clean", "CleanTag" },
		[MW_CC_MTA] = { "MtaFailed", "MtaTempFailed", "MtaRejected" },
		[MW_CC_OVERSIZED] = { "Oversized" },
		[MW_CC_BADH] = { "BadHdr", "BadHdrMime", "BadHdr8bit", "BadHdrChar", "BadHdrSpace",
			"BadHdrLong", "BadHdrSyntax", "BadHdrMissing", "BadHdrDupl" },
		[MW_CC_SPAMMY] = { "Spammy", "Spammy3" },
		[MW_CC_SPAM] = { "Spam" },
		[MW_CC_UNCHECKED] = { "Unchecked", "UncheckedEncrypted", "UncheckedOverLimits",
			"UncheckedAmbiguousContent", "UncheckedNotScored" },
		[MW_CC_BANNED] = { "Banned" },
		[MW_CC_VIRUS] = { "Virus" },
	};
	unsigned major = ccat / 10;

	if (major >= MW_CC_COUNT)
		return names[MW_CC_CATCHALL][0];
	return names[major][ccat % 10] != NULL ? names[major][ccat % 10] : names[major][0];
}

const char *mw_action_name(enum mw_action action)
{
	static const char *const names[MW_ACT_COUNT] = { "PASS", "REJECT", "DISCARD", "BOUNCE",
		"TEMPFAIL" };

	return (unsigned)action < MW_ACT_COUNT ? names[action] : "?";
}

const char *mw_own_name(enum mw_own own)
{
	static const char *const names[MW_OWN_COUNT] = { "mail", "dsn", "notice", "copy" };

	return (unsigned)own < MW_OWN_COUNT ? names[own] : "?";
}

/* ------------------------------------------------------------------ encode */

/* How much is told when a record would not fit in MW_RECORD_FRAME_MAX: header texts are the
 * sender's to inflate. */
struct cut {
	size_t text, item, list, rows; /* rows: of recipients all are always told */
	size_t inner;		       /* items of a list, rows of a table that stands in a row */
	size_t most; /* octets in the packet: beyond that nothing is added, it is no good anyway */
};
static const struct cut cuts[] = {
	{ MW_RECORD_TEXT_MAX, MW_RECORD_ITEM_MAX, MW_RECORD_LIST_MAX, MW_RECORD_LIST_MAX,
		MW_RECORD_LIST_MAX },
	{ 1024, 320, 256, 1024, 256 },
	{ 256, 128, 32, 256, 4 },
	{ 128, 64, 16, 64, 0 },
};

static void put_octets(struct mw_pack *b, struct mw_octets o, size_t most)
{
	mw_pack_octets(b, mw_octets_of(o.p, o.n < most ? o.n : most));
}

static void put_list(struct mw_pack *b, const struct mw_list *list, const struct cut *cut)
{
	size_t n = list->count < cut->list ? list->count : cut->list;

	mw_pack_array(b, n);
	for (size_t i = 0; i < n && b->n <= cut->most; i++)
		put_octets(b, list->items[i], cut->item);
}

static void put_fields(struct mw_pack *b, const struct row *row, const char *base,
	const struct cut *cut, size_t text);

static void put_rows(
	struct mw_pack *b, const struct field *f, const char *base, const struct cut *cut)
{
	size_t n = *(const size_t *)(const void *)(base + f->count_at);
	const struct cut inside = { cut->item, cut->item, cut->inner, cut->inner, cut->inner,
		cut->most };
	const char *rows;

	memcpy(&rows, base + f->at, sizeof(rows));
	if (f->row != &rcpt_row && n > cut->rows)
		n = cut->rows;
	if (n > MW_RECORD_LIST_MAX)
		n = MW_RECORD_LIST_MAX;
	mw_pack_array(b, n);
	for (size_t i = 0; i < n && b->n <= cut->most; i++) {
		mw_pack_array(b, f->row->field_count);
		put_fields(b, f->row, rows + i * f->row->size, &inside, cut->item);
	}
}

static void put_field(struct mw_pack *b, const struct field *f, const char *base,
	const struct cut *cut, size_t text)
{
	const void *p = base + f->at;

	switch (f->shape) {
	case OCTETS:
		put_octets(b, *(const struct mw_octets *)p, text);
		break;
	case UINT64:
		mw_pack_uint(b, *(const uint64_t *)p);
		break;
	case UINT32:
		mw_pack_uint(b, *(const uint32_t *)p);
		break;
	case INT64:
		mw_pack_int(b, *(const int64_t *)p);
		break;
	case INT32:
		mw_pack_int(b, *(const int32_t *)p);
		break;
	case SMALL:
		mw_pack_uint(b, *(const unsigned *)p);
		break;
	case BOOL:
		mw_pack_bool(b, *(const bool *)p);
		break;
	case LIST:
		put_list(b, p, cut);
		break;
	case ROWS:
		put_rows(b, f, base, cut);
		break;
	}
}

static void put_fields(struct mw_pack *b, const struct row *row, const char *base,
	const struct cut *cut, size_t text)
{
	for (size_t i = 0; i < row->field_count; i++)
		put_field(b, &row->fields[i], base, cut, text);
}

void mw_record_encode(struct mw_pack *b, const struct mw_record *r)
{
	size_t start = b->n;

	for (size_t i = 0; i < MW_COUNT(cuts) && !b->failed; i++) {
		struct cut cut = cuts[i];

		cut.most = start + MW_RECORD_FRAME_MAX;
		b->n = start;
		mw_pack_array(b, record_row.field_count + 1);
		mw_pack_uint(b, MW_RECORD_VERSION);
		put_fields(b, &record_row, (const char *)r, &cut, cut.text);
		if (b->n - start <= MW_RECORD_FRAME_MAX)
			break; /* the last cut always fits (test_record) */
	}
}

/* ------------------------------------------------------------------ decode */

struct mw_record_arena {
	struct mw_record_arena *next;
	size_t used, size;
	max_align_t octets[];
};

#define ARENA_BLOCK 4000 /* octets: holds the arrays of an ordinary record */

static void *arena_take(struct mw_record_arena **arena, size_t n)
{
	struct mw_record_arena *a = *arena;
	void *p;

	n = (n + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (a == NULL || a->size - a->used < n) {
		size_t size = n > ARENA_BLOCK ? n : ARENA_BLOCK;

		a = malloc(sizeof(*a) + size);
		if (a == NULL)
			return NULL;
		a->used = 0;
		a->size = size;
		a->next = *arena;
		*arena = a;
	}
	p = (char *)a->octets + a->used;
	a->used += n;
	return memset(p, 0, n);
}

void mw_record_fini(struct mw_record_arena **arena_p)
{
	for (struct mw_record_arena *a = *arena_p, *next; a != NULL; a = next) {
		next = a->next;
		free(a);
	}
	*arena_p = NULL;
}

struct reader {
	struct mw_cur c;
	struct mw_record_arena *arena;
	enum mw_rc rc; /* why it was refused, when it is not MW_ERR_PROTO */
};

/* An array's count and room for its elements. Each element takes an octet at least, so a claim is
 * checked first. */
static bool get_array(struct reader *rd, size_t size, size_t *count_r, void *rows_r)
{
	void *rows = NULL;

	if (!mw_cur_array(&rd->c, count_r) || *count_r > (size_t)(rd->c.end - rd->c.p))
		return false;
	if (*count_r > MW_RECORD_LIST_MAX) {
		rd->rc = MW_ERR_LIMIT;
		return false;
	}
	if (*count_r > 0) {
		rows = arena_take(&rd->arena, *count_r * size);
		if (rows == NULL) {
			rd->rc = MW_ERR_NOMEM;
			return false;
		}
	}
	memcpy(rows_r, &rows, sizeof(rows));
	return true;
}

static bool get_list(struct reader *rd, struct mw_list *list)
{
	struct mw_octets *items;

	if (!get_array(rd, sizeof(*items), &list->count, &items))
		return false;
	for (size_t i = 0; i < list->count; i++)
		if (!mw_cur_octets(&rd->c, MW_RECORD_TEXT_MAX, &items[i]))
			return false;
	list->items = items;
	return true;
}

static bool get_fields(struct reader *rd, const struct row *row, char *base);

static bool get_rows(struct reader *rd, const struct field *f, char *base)
{
	size_t n, items;
	char *rows;

	if (!get_array(rd, f->row->size, &n, &rows))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!mw_cur_array(&rd->c, &items) || items < f->row->field_count ||
			!get_fields(rd, f->row, rows + i * f->row->size) ||
			!mw_cur_skip(&rd->c, items - f->row->field_count))
			return false;
	memcpy(base + f->at, &rows, sizeof(rows));
	memcpy(base + f->count_at, &n, sizeof(n));
	return true;
}

static bool get_uint(struct reader *rd, uint64_t most, uint64_t *v)
{
	return mw_cur_uint(&rd->c, most, v);
}

static bool get_field(struct reader *rd, const struct field *f, char *base)
{
	void *p = base + f->at;
	uint64_t u;
	int64_t s;

	switch (f->shape) {
	case OCTETS:
		return mw_cur_octets(&rd->c, MW_RECORD_TEXT_MAX, p);
	case UINT64:
		return get_uint(rd, UINT64_MAX, p);
	case UINT32:
		if (!get_uint(rd, UINT32_MAX, &u))
			return false;
		*(uint32_t *)p = (uint32_t)u;
		return true;
	case INT64:
		return mw_cur_int(&rd->c, p);
	case INT32:
		if (!mw_cur_int(&rd->c, &s) || s < INT32_MIN || s > INT32_MAX)
			return false;
		*(int32_t *)p = (int32_t)s;
		return true;
	case SMALL:
		if (!get_uint(rd, f->most, &u))
			return false;
		*(unsigned *)p = (unsigned)u;
		return true;
	case BOOL:
		return mw_cur_bool(&rd->c, p);
	case LIST:
		return get_list(rd, p);
	case ROWS:
		return get_rows(rd, f, base);
	}
	return false;
}

static bool get_fields(struct reader *rd, const struct row *row, char *base)
{
	for (size_t i = 0; i < row->field_count; i++)
		if (!get_field(rd, &row->fields[i], base))
			return false;
	return true;
}

enum mw_rc mw_record_decode(
	struct mw_octets frame, struct mw_record *r_r, struct mw_record_arena **arena_r)
{
	struct reader rd = { .c = mw_cur_of(frame.p, frame.n), .rc = MW_ERR_PROTO };
	struct mw_record r = { 0 };
	uint64_t version;
	size_t items;

	*arena_r = NULL;
	if (frame.n > MW_RECORD_FRAME_MAX)
		return MW_ERR_LIMIT;
	if (mw_cur_array(&rd.c, &items) && items > record_row.field_count &&
		mw_cur_uint(&rd.c, UINT8_MAX, &version) && version == MW_RECORD_VERSION &&
		get_fields(&rd, &record_row, (char *)&r) &&
		mw_cur_skip(&rd.c, items - record_row.field_count - 1) && mw_cur_end(&rd.c)) {
		*r_r = r;
		*arena_r = rd.arena;
		return MW_OK;
	}
	mw_record_fini(&rd.arena);
	return rd.rc;
}
