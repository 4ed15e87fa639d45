/* Findings of workers: what they say is taken whole, and a map that lies about its shape is a
 * failed check. */
#include "make_txn.h"

#include "checks/findings.h"
#include "outcome/decide.h"

static struct mw_octets of(const struct mw_pack *b)
{
	assert_false(b->failed);
	return mw_octets_of(b->p, b->n);
}

/* ------------------------------------------------------------------ maps as workers send them */

static void pack_texts(struct mw_pack *b, const char *key, size_t count)
{
	mw_pack_text(b, key);
	mw_pack_array(b, count);
	for (size_t i = 0; i < count; i++)
		mw_pack_text(b, "word");
}

#define DIGEST "0123456789abcdef0123456789ABCDEF" /* any 32 octets */

static void pack_part(struct mw_pack *b, unsigned parent, const char *name, const char *type)
{
	mw_pack_array(b, 9);
	mw_pack_uint(b, parent);
	mw_pack_text(b, "1/2");
	mw_pack_text(b, "text/plain");
	mw_pack_array(b, 1);
	mw_pack_text(b, name);
	mw_pack_array(b, 1);
	mw_pack_text(b, type);
	mw_pack_text(b, "UC");
	mw_pack_uint(b, 5000);
	mw_pack_text(b, DIGEST);
	mw_pack_text(b, "of a newer scanner");
}

static void good_scan(struct mw_pack *b)
{
	mw_pack_map(b, 10);
	pack_texts(b, "mime_errors", 1);
	pack_texts(b, "content", 1);
	mw_pack_text(b, "tree");
	mw_pack_array(b, 2);
	pack_part(b, 0, "a.zip", "zip");
	pack_part(b, 1, "b.exe", "exe");
	mw_pack_text(b, "viruses");
	mw_pack_array(b, 2);
	for (int i = 0; i < 2; i++) {
		mw_pack_map(b, 3);
		mw_pack_kv_text(b, "scanner", "ClamAV");
		mw_pack_kv_text(b, "name", i == 0 ? "Eicar" : "Other");
		mw_pack_kv_text(b, "part", "1/2");
	}
	pack_texts(b, "names", 2);
	pack_texts(b, "limits", 2);
	pack_texts(b, "encrypted", 1);
	mw_pack_kv_bool(b, "ambiguous", true);
	mw_pack_kv_int(b, "decode_us", 12);
	mw_pack_kv_int(b, "later", 1);
}

static void good_auth(struct mw_pack *b)
{
	mw_pack_map(b, 2);
	mw_pack_text(b, "signatures");
	mw_pack_array(b, 1);
	mw_pack_map(b, 6);
	mw_pack_kv_text(b, "d", "example.org");
	mw_pack_kv_text(b, "s", "sel");
	mw_pack_kv_text(b, "result", "pass");
	mw_pack_kv_text(b, "b", "12345678");
	mw_pack_kv_int(b, "bits", 2048);
	mw_pack_kv_bool(b, "expired", false);
	mw_pack_kv_int(b, "dns_us", 5);
}

#define REPORT_TEXT " 8.0 RULE_A   what it means\n-0.5 RULE_A\n"

static void good_spam(struct mw_pack *b)
{
	mw_pack_map(b, 4);
	mw_pack_kv_int(b, "score_milli", 7500);
	mw_pack_text(b, "tests");
	mw_pack_array(b, 2);
	for (int i = 0; i < 2; i++) {
		mw_pack_array(b, 3);
		mw_pack_text(b, "RULE_A");
		mw_pack_int(b, i == 0 ? 8000 : -500);
		mw_pack_nil(b);
	}
	mw_pack_kv_text(b, "autolearn", "no");
	mw_pack_kv_text(b, "report", REPORT_TEXT);
}

static void good_reputation(struct mw_pack *b)
{
	mw_pack_map(b, 3);
	mw_pack_kv_int(b, "score_milli", 1500);
	mw_pack_kv_text(b, "worst", "203.0.113.7");
	mw_pack_text(b, "penpals");
	mw_pack_array(b, 1);
	mw_pack_map(b, 3);
	mw_pack_kv_int(b, "rcpt", 1);
	mw_pack_kv_int(b, "age_s", 0);
	mw_pack_kv_text(b, "mail_id", "id");
}

#define SIGNATURE "DKIM-Signature: v=1; d=example.org;\r\n\tb=abc\r\n"

static void good_sign(struct mw_pack *b)
{
	mw_pack_map(b, 2);
	mw_pack_kv_text(b, "fields", SIGNATURE);
	pack_texts(b, "domains", 1);
}

static const struct {
	enum dispatch_kind kind;
	void (*pack)(struct mw_pack *b);
} good[] = {
	{ JOB_AUTH, good_auth },
	{ JOB_SCAN, good_scan },
	{ JOB_REPUTATION, good_reputation },
	{ JOB_SPAM, good_spam },
	{ JOB_SIGN, good_sign },
};

static struct made *new_txn(void)
{
	struct made *m = make_txn("enable_ip_repu = true\npenpals_bonus_score = 8\n");

	make_rcpt(m, "a@example.org");
	make_rcpt(m, "b@example.org");
	return m;
}

static void take_and_end(enum dispatch_kind kind, struct mw_octets map, enum mw_rc expected)
{
	struct made *m = new_txn();
	unsigned char *own =
		malloc(map.n > 0 ? map.n : 1); /* memory of its own: over-reading shows */

	assert_non_null(own);
	if (map.n > 0)
		memcpy(own, map.p, map.n);
	assert_int_equal(findings_take(&m->txn, kind, mw_octets_of(own, map.n)), expected);
	free(own);
	if (expected != MW_OK) {
		assert_false(m->txn.found.has_spam);
		assert_null(m->txn.found.sign_fields.p);
		assert_null(m->txn.found.report.p);
		assert_int_equal(m->txn.found.ip_milli, 0);
		decide(&m->txn); /* whatever was taken half-way is no trap */
	}
	end_txn(m);
}

/* ------------------------------------------------------------------ tests */

static void what_a_worker_says_is_taken(void **state)
{
	struct made *m = new_txn();
	struct findings *f = &m->txn.found;

	(void)state;
	m->txn.tree_ordered = true;
	for (size_t i = 0; i < MW_COUNT(good); i++) {
		struct mw_pack b = { 0 };

		good[i].pack(&b);
		assert_int_equal(findings_take(&m->txn, good[i].kind, of(&b)), MW_OK);
		memset(b.p, 0xc1, b.n); /* nothing borrows from the frame */
		mw_pack_fini(&b);
	}
	assert_int_equal(f->parts[1].digest.n, 32);
	assert_memory_equal(f->parts[1].digest.p, DIGEST, 32);
	assert_int_equal(f->virus_count, 2);
	assert_true(mw_octets_ieq(f->viruses[1].name, "Other"));
	assert_true(mw_octets_ieq(f->viruses[1].scanner, "ClamAV"));
	assert_int_equal(f->names.count, 2);
	assert_int_equal(f->content.count, 1);
	assert_true(mw_octets_ieq(f->limits, "word,word"));
	assert_int_equal(f->encrypted, 1);
	assert_true(f->ambiguous);
	assert_true(mw_octets_ieq(f->mime_errors, "word"));
	assert_true(f->has_tree);
	assert_int_equal(f->part_count, 2);
	assert_false(f->parts[0].leaf);
	assert_true(f->parts[1].leaf);
	assert_int_equal(f->parts[1].parent, 1);
	assert_true(mw_octets_ieq(f->parts[1].names.items[0], "b.exe"));
	assert_true(mw_octets_ieq(f->parts[1].types.items[0], ".exe"));
	assert_true(mw_octets_ieq(f->parts[1].attributes, "UC"));
	assert_int_equal(f->signature_count, 1);
	assert_true(mw_octets_ieq(f->signatures[0].result, "pass"));
	assert_int_equal(f->signatures[0].bits, 2048);
	assert_true(f->has_spam);
	assert_int_equal(f->spam_milli, 7500);
	assert_int_equal(f->test_count, 2);
	assert_int_equal(f->report.n, strlen(REPORT_TEXT));
	assert_memory_equal(f->report.p, REPORT_TEXT, f->report.n);
	assert_int_equal(f->tests[1].milli, -500);
	assert_int_equal(f->ip_milli, 1500);
	assert_int_equal(m->txn.rcpts[0].penpals_age_s, -1);
	assert_int_equal(m->txn.rcpts[1].penpals_age_s, 0);
	assert_int_equal(m->txn.rcpts[1].penpals_milli, -8000);
	assert_true(mw_octets_ieq(f->sign_fields, SIGNATURE));
	assert_int_equal(f->signed_domains.count, 1);
	end_txn(m);
}

static void a_part_lies_in_one_before_it(void **state)
{
	(void)state;
	for (unsigned parent = 0; parent < 4; parent++) {
		struct mw_pack b = { 0 };

		mw_pack_map(&b, 2);
		pack_texts(&b, "viruses", 0);
		mw_pack_text(&b, "tree");
		mw_pack_array(&b, 2);
		pack_part(&b, 0, "a", "asc");
		pack_part(&b, parent, "b", "asc");
		take_and_end(JOB_SCAN, of(&b), parent < 2 ? MW_OK : MW_ERR_PROTO);
		mw_pack_fini(&b);
	}
}

/* A tree of one part that ends with `fields` fields, the last one a digest of n octets. */
static void pack_digest(struct mw_pack *b, size_t fields, size_t n)
{
	mw_pack_map(b, 2);
	pack_texts(b, "viruses", 0);
	mw_pack_text(b, "tree");
	mw_pack_array(b, 1);
	mw_pack_array(b, fields);
	mw_pack_uint(b, 0);
	mw_pack_text(b, "1");
	mw_pack_text(b, "text/plain");
	mw_pack_array(b, 0);
	mw_pack_array(b, 0);
	mw_pack_text(b, "");
	mw_pack_uint(b, 5);
	if (fields > 7)
		mw_pack_octets(b, mw_octets_of(DIGEST DIGEST, n));
}

static void a_digest_is_whole_or_none(void **state)
{
	(void)state;
	for (size_t n = 0; n <= 64; n++) {
		struct mw_pack b = { 0 };

		pack_digest(&b, 8, n);
		take_and_end(JOB_SCAN, of(&b), n == 0 || n == 32 ? MW_OK : MW_ERR_PROTO);
		mw_pack_fini(&b);
	}
}

static void an_older_scanner_tells_no_digests(void **state)
{
	struct txn t = { 0 };
	struct mw_pack b = { 0 };

	(void)state;
	pack_digest(&b, 7, 0);
	assert_int_equal(findings_take(&t, JOB_SCAN, of(&b)), MW_OK);
	assert_int_equal(t.found.part_count, 1);
	assert_int_equal(t.found.parts[0].digest.n, 0);
	/* Told for the record: it may be cut, so that nobody can say that nothing is banned. */
	assert_false(t.found.has_tree);
	smtp_arena_fini(&t.arena);
	mw_pack_fini(&b);
}

/* Nothing banned among no parts would be a pass that nobody gave. */
static void a_tree_without_parts_is_none(void **state)
{
	struct txn t = { 0 };
	struct mw_pack b = { 0 };

	(void)state;
	t.tree_ordered = true;
	mw_pack_map(&b, 2);
	pack_texts(&b, "viruses", 0);
	mw_pack_text(&b, "tree");
	mw_pack_array(&b, 0);
	assert_int_equal(findings_take(&t, JOB_SCAN, of(&b)), MW_OK);
	assert_false(t.found.has_tree);
	smtp_arena_fini(&t.arena);
	mw_pack_fini(&b);
}

static void every_cut_map_is_refused_and_so_is_one_octet_too_many(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(good); i++) {
		struct mw_pack b = { 0 };

		good[i].pack(&b);
		take_and_end(good[i].kind, of(&b), MW_OK);
		for (size_t n = 0; n < b.n; n++)
			take_and_end(good[i].kind, mw_octets_of(b.p, n), MW_ERR_PROTO);
		mw_pack_nil(&b);
		take_and_end(good[i].kind, of(&b), MW_ERR_PROTO);
		mw_pack_fini(&b);
	}
}

enum shape {
	NIL,
	TRUE,
	ONE,
	MINUS,
	HUGE,
	TEXT,
	EMPTY_MAP,
	EMPTY_LIST,
	LIST_OF_ONE,
	LIST_OF_NIL,
	LIST_OF_LIST,
	SHAPES
};

static void pack_shape(struct mw_pack *b, enum shape shape)
{
	switch (shape) {
	case TRUE:
		mw_pack_bool(b, true);
		break;
	case ONE:
		mw_pack_uint(b, 1);
		break;
	case MINUS:
		mw_pack_int(b, INT64_MIN);
		break;
	case HUGE:
		mw_pack_uint(b, UINT64_MAX);
		break;
	case TEXT:
		mw_pack_text(b, "text");
		break;
	case EMPTY_MAP:
		mw_pack_map(b, 0);
		break;
	case LIST_OF_ONE:
	case LIST_OF_NIL:
	case LIST_OF_LIST:
		mw_pack_array(b, 1);
		pack_shape(b, shape == LIST_OF_ONE ? ONE : shape == LIST_OF_NIL ? NIL : EMPTY_LIST);
		break;
	case EMPTY_LIST:
		mw_pack_array(b, 0);
		break;
	default:
		mw_pack_nil(b);
		break;
	}
}

#define ANY_LIST                                                                                   \
	(MW_BIT(EMPTY_LIST) | MW_BIT(LIST_OF_ONE) | MW_BIT(LIST_OF_NIL) | MW_BIT(LIST_OF_LIST))

static void a_value_of_another_shape_is_refused(void **state)
{
	static const struct {
		enum dispatch_kind kind;
		const char *key;
		unsigned taken; /* shapes that are right */
	} rows[] = {
		{ JOB_SCAN, "viruses", MW_BIT(EMPTY_LIST) },
		{ JOB_SCAN, "names", MW_BIT(EMPTY_LIST) },
		{ JOB_SCAN, "limits", MW_BIT(EMPTY_LIST) },
		{ JOB_SCAN, "content", MW_BIT(EMPTY_LIST) },
		{ JOB_SCAN, "encrypted", ANY_LIST }, /* only counted */
		{ JOB_SCAN, "ambiguous", MW_BIT(TRUE) },
		{ JOB_AUTH, "signatures", MW_BIT(EMPTY_LIST) },
		{ JOB_SPAM, "score_milli", MW_BIT(ONE) },
		{ JOB_REPUTATION, "score_milli", MW_BIT(ONE) },
		{ JOB_REPUTATION, "penpals", MW_BIT(EMPTY_LIST) },
		{ JOB_SIGN, "fields", 0 },
		{ JOB_SCAN, "unknown", MW_BIT(SHAPES) - 1 },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		for (int shape = 0; shape < SHAPES; shape++) {
			bool taken = (rows[i].taken & MW_BIT(shape)) != 0;
			struct mw_pack b = { 0 };

			mw_pack_map(&b, 2);
			mw_pack_text(&b, rows[i].key);
			pack_shape(&b, (enum shape)shape);
			pack_texts(&b, "viruses", 0); /* the first of two counts */
			take_and_end(rows[i].kind, of(&b), taken ? MW_OK : MW_ERR_PROTO);
			mw_pack_fini(&b);
		}
}

static void silence_about_what_was_asked_is_refused(void **state)
{
	static const enum mw_rc empty[] = {
		[JOB_AUTH] = MW_OK, /* the mail has no signature */
		[JOB_SCAN] = MW_ERR_PROTO,
		[JOB_REPUTATION] = MW_OK, /* nothing is known */
		[JOB_SPAM] = MW_ERR_PROTO,
		[JOB_SIGN] = MW_ERR_PROTO,
	};

	(void)state;
	for (size_t kind = 0; kind < MW_COUNT(empty); kind++)
		take_and_end((enum dispatch_kind)kind, mw_octets_of("\x80", 1), empty[kind]);
}

static void findings_that_are_no_map_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(good); i++)
		for (int shape = 0; shape < SHAPES; shape++) {
			struct mw_pack b = { 0 };

			if (shape == EMPTY_MAP)
				continue;
			pack_shape(&b, (enum shape)shape);
			take_and_end(good[i].kind, of(&b), MW_ERR_PROTO);
			mw_pack_fini(&b);
		}
}

static void lists_have_at_most_1000_items(void **state)
{
	static const char *const keys[] = { "names", "limits", "encrypted" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(keys); i++)
		for (size_t count = 1000; count <= 1001; count++) {
			struct mw_pack b = { 0 };

			mw_pack_map(&b, 2);
			pack_texts(&b, "viruses", 0);
			pack_texts(&b, keys[i], count);
			take_and_end(JOB_SCAN, of(&b), count == 1000 ? MW_OK : MW_ERR_PROTO);
			mw_pack_fini(&b);
		}
}

static void a_count_that_no_octets_stand_behind_is_refused(void **state)
{
	static const struct {
		enum dispatch_kind kind;
		const char *octets;
		size_t n;
	} rows[] = {
		{ JOB_SCAN, "\x81\xa7viruses\xdd\xff\xff\xff\xff", 14 },
		{ JOB_SCAN, "\xdf\xff\xff\xff\xff", 5 },
		{ JOB_SCAN,
			"\x81\xa9"
			"encrypted\xdc\x00\x05",
			14 },
		{ JOB_AUTH, "\x81\xaasignatures\x91\xdf\xff\xff\xff\xff", 18 },
		{ JOB_SPAM, "\x81\xa5tests\xdd\x00\x00\x03\xe8", 12 },
		{ JOB_SIGN,
			"\x81\xa6"
			"fields\xdb\xff\xff\xff\xff",
			13 },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		take_and_end(rows[i].kind, mw_octets_of(rows[i].octets, rows[i].n), MW_ERR_PROTO);
}

static void a_virus_without_a_name_is_a_virus(void **state)
{
	struct made *m = new_txn();
	struct mw_pack b = { 0 };

	(void)state;
	mw_pack_map(&b, 1);
	mw_pack_text(&b, "viruses");
	mw_pack_array(&b, 4);
	mw_pack_map(&b, 0);
	mw_pack_map(&b, 1);
	mw_pack_kv_int(&b, "name", 7);
	mw_pack_map(&b, 1);
	mw_pack_kv_text(&b, "name", "");
	mw_pack_map(&b, 1);
	mw_pack_kv_text(&b, "name", "A\r\nB: \xc3");
	assert_int_equal(findings_take(&m->txn, JOB_SCAN, of(&b)), MW_OK);
	mw_pack_fini(&b);
	assert_int_equal(m->txn.found.virus_count, 4);
	make_check(m, JOB_SCAN, MW_DONE);
	assert_string_equal(decide_virus_names(&m->txn), "unnamed, A??B: ?");
	decide(&m->txn);
	assert_int_equal(decide_ccat(&m->txn), MW_CCAT(MW_CC_VIRUS, 0));
	end_txn(m);
}

static void a_signature_without_a_result_is_refused(void **state)
{
	struct mw_pack b = { 0 };

	(void)state;
	mw_pack_map(&b, 1);
	mw_pack_text(&b, "signatures");
	mw_pack_array(&b, 1);
	mw_pack_map(&b, 1);
	mw_pack_kv_text(&b, "d", "example.org");
	take_and_end(JOB_AUTH, of(&b), MW_ERR_PROTO);
	mw_pack_fini(&b);
}

static void spam_is_said_with_a_score_that_can_be(void **state)
{
	static const struct {
		int64_t score, test;
		const char *name;
		bool ok;
	} rows[] = {
		{ 0, 0, "A", true },
		{ 100000000, 100000000, "A", true },
		{ -100000000, -100000000, "A", true },
		{ 100000001, 0, "A", false },
		{ -100000001, 0, "A", false },
		{ INT64_MAX, 0, "A", false },
		{ INT64_MIN, 0, "A", false },
		{ 0, 100000001, "A", false },
		{ 0, INT64_MIN, "A", false },
		{ 0, 0, "A\r\nB", false },
		{ 0, 0, "\xc3\xa4", false },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_pack b = { 0 };

		mw_pack_map(&b, 2);
		mw_pack_kv_int(&b, "score_milli", rows[i].score);
		mw_pack_text(&b, "tests");
		mw_pack_array(&b, 1);
		mw_pack_array(&b, 2);
		mw_pack_text(&b, rows[i].name);
		mw_pack_int(&b, rows[i].test);
		take_and_end(JOB_SPAM, of(&b), rows[i].ok ? MW_OK : MW_ERR_PROTO);
		mw_pack_fini(&b);
	}
}

static int32_t ip_milli(const char *lua, int64_t score)
{
	struct made *m = make_txn(lua);
	struct mw_pack b = { 0 };
	int32_t milli;

	mw_pack_map(&b, 1);
	mw_pack_kv_int(&b, "score_milli", score);
	assert_int_equal(findings_take(&m->txn, JOB_REPUTATION, of(&b)), MW_OK);
	mw_pack_fini(&b);
	milli = m->txn.found.ip_milli;
	end_txn(m);
	return milli;
}

static void take_report(const char *p, size_t n, enum mw_rc expected)
{
	struct mw_pack b = { 0 };

	mw_pack_map(&b, 3);
	mw_pack_kv_int(&b, "score_milli", 1);
	mw_pack_text(&b, "tests");
	mw_pack_array(&b, 0);
	mw_pack_kv_octets(&b, "report", mw_octets_of(p, n));
	take_and_end(JOB_SPAM, of(&b), expected);
	mw_pack_fini(&b);
}

static void a_report_is_lines_that_a_field_can_carry(void **state)
{
	static const struct {
		const char *text;
		enum mw_rc expected;
	} rows[] = {
		{ "", MW_OK },
		{ "a\n", MW_OK },
		{ "\n  \na\n", MW_OK }, /* blank lines go nowhere */
		{ "a", MW_ERR_PROTO },
		{ "a\r\n", MW_ERR_PROTO },
		{ "a\tb\n", MW_ERR_PROTO },
		{ "a\nb\x1b\n", MW_ERR_PROTO },
		{ "\xc3\xa4\n", MW_ERR_PROTO },
	};
	static char text[MW_SPAM_REPORT_MAX + 2];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		take_report(rows[i].text, strlen(rows[i].text), rows[i].expected);
	take_report("a\0\n", 3, MW_ERR_PROTO);
	memset(text, 'x', sizeof(text));
	for (size_t i = MW_SPAM_REPORT_LINE_MAX; i < sizeof(text); i += 128)
		text[i] = '\n';
	text[MW_SPAM_REPORT_MAX - 1] = '\n';
	text[MW_SPAM_REPORT_MAX] = '\n';
	take_report(text, MW_SPAM_REPORT_MAX, MW_OK);
	take_report(text, MW_SPAM_REPORT_MAX + 1, MW_ERR_PROTO);
	text[MW_SPAM_REPORT_LINE_MAX] = 'x'; /* a line one octet longer */
	text[MW_SPAM_REPORT_LINE_MAX + 1] = '\n';
	take_report(text, MW_SPAM_REPORT_MAX, MW_ERR_PROTO);
}

static void reputation_counts_from_half_a_point_up_to_its_limit(void **state)
{
	(void)state;
	assert_int_equal(ip_milli("enable_ip_repu = true\n", 499), 0);
	assert_int_equal(ip_milli("enable_ip_repu = true\n", 500), 500);
	assert_int_equal(ip_milli("enable_ip_repu = true\nip_repu_score_limit = 3\n", 3000), 3000);
	assert_int_equal(ip_milli("enable_ip_repu = true\nip_repu_score_limit = 3\n", 3001), 3000);
	assert_int_equal(
		ip_milli("enable_ip_repu = true\nip_repu_score_limit = 0\n", 90000), 90000);
	assert_int_equal(ip_milli("enable_ip_repu = false\n", 90000), 0);
}

static void a_pen_pal_is_a_recipient_of_this_mail(void **state)
{
	static const struct {
		int64_t rcpt, age;
		enum mw_rc rc;
	} rows[] = {
		{ 0, 0, MW_OK },
		{ 1, INT64_MAX, MW_OK },
		{ 2, 0, MW_ERR_PROTO },
		{ -1, 0, MW_ERR_PROTO },
		{ INT64_MAX, 0, MW_ERR_PROTO },
		{ 0, -1, MW_ERR_PROTO },
		{ 0, INT64_MIN, MW_ERR_PROTO },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_pack b = { 0 };

		mw_pack_map(&b, 1);
		mw_pack_text(&b, "penpals");
		mw_pack_array(&b, 1);
		mw_pack_map(&b, 2);
		mw_pack_kv_int(&b, "rcpt", rows[i].rcpt);
		mw_pack_kv_int(&b, "age_s", rows[i].age);
		take_and_end(JOB_REPUTATION, of(&b), rows[i].rc);
		mw_pack_fini(&b);
	}
}

static void pen_pals_of_a_map_that_lies_rescue_nobody(void **state)
{
	struct made *m = new_txn();
	struct mw_pack b = { 0 };

	(void)state;
	mw_pack_map(&b, 1);
	mw_pack_text(&b, "penpals");
	mw_pack_array(&b, 2);
	for (int i = 0; i < 2; i++) {
		mw_pack_map(&b, 2);
		mw_pack_kv_int(&b, "rcpt", i * 7);
		mw_pack_kv_int(&b, "age_s", 1);
	}
	assert_int_equal(findings_take(&m->txn, JOB_REPUTATION, of(&b)), MW_ERR_PROTO);
	mw_pack_fini(&b);
	assert_int_equal(m->txn.rcpts[0].penpals_milli, 0);
	assert_int_equal(m->txn.rcpts[0].penpals_age_s, -1);
	end_txn(m);
}

static void a_signature_is_fields_and_nothing_but(void **state)
{
	static const struct {
		const char *fields;
		bool ok;
	} rows[] = {
		{ SIGNATURE, true },
		{ SIGNATURE SIGNATURE, true },
		{ "DKIM-Signature: v=1; b=x\r\n", true },
		{ "", false },
		{ "DKIM-Signature: v=1; b=x", false },
		{ "DKIM-Signature: v=1; b=x\n", false },
		{ "X" SIGNATURE, false },
		{ SIGNATURE "\r\n", false },
		{ SIGNATURE "Subject: x\r\n", false },
		{ SIGNATURE "Delivered-To: x\r\n", false },
		{ "DKIM-Signature: v=1;\r\n\r\nbody\r\n", false },
		{ "DKIM-Signature: v=1;\n\tb=x y z\r\n", false },
		{ "DKIM-Signature: v=1;\r\tb=x y z\r\n", false },
		{ "DKIM-Signature: v=1; b=x y z\r\r\n", false },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_pack b = { 0 };

		mw_pack_map(&b, 1);
		mw_pack_kv_text(&b, "fields", rows[i].fields);
		take_and_end(JOB_SIGN, of(&b), rows[i].ok ? MW_OK : MW_ERR_PROTO);
		mw_pack_fini(&b);
	}
}

static void long_texts_are_cut(void **state)
{
	struct made *m = new_txn();
	struct mw_pack b = { 0 };
	static char name[5000];

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	mw_pack_map(&b, 2);
	pack_texts(&b, "viruses", 0);
	mw_pack_text(&b, "names");
	mw_pack_array(&b, 1);
	mw_pack_text(&b, name);
	assert_int_equal(findings_take(&m->txn, JOB_SCAN, of(&b)), MW_OK);
	mw_pack_fini(&b);
	assert_int_equal(m->txn.found.names.items[0].n, 1000);
	end_txn(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_worker_says_is_taken),
		cmocka_unit_test(a_part_lies_in_one_before_it),
		cmocka_unit_test(a_digest_is_whole_or_none),
		cmocka_unit_test(an_older_scanner_tells_no_digests),
		cmocka_unit_test(a_tree_without_parts_is_none),
		cmocka_unit_test(every_cut_map_is_refused_and_so_is_one_octet_too_many),
		cmocka_unit_test(a_value_of_another_shape_is_refused),
		cmocka_unit_test(silence_about_what_was_asked_is_refused),
		cmocka_unit_test(findings_that_are_no_map_are_refused),
		cmocka_unit_test(lists_have_at_most_1000_items),
		cmocka_unit_test(a_count_that_no_octets_stand_behind_is_refused),
		cmocka_unit_test(a_virus_without_a_name_is_a_virus),
		cmocka_unit_test(a_signature_without_a_result_is_refused),
		cmocka_unit_test(spam_is_said_with_a_score_that_can_be),
		cmocka_unit_test(a_report_is_lines_that_a_field_can_carry),
		cmocka_unit_test(reputation_counts_from_half_a_point_up_to_its_limit),
		cmocka_unit_test(a_pen_pal_is_a_recipient_of_this_mail),
		cmocka_unit_test(pen_pals_of_a_map_that_lies_rescue_nobody),
		cmocka_unit_test(a_signature_is_fields_and_nothing_but),
		cmocka_unit_test(long_texts_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
