#include "containers.h"

#include "zip.h"
#include "zip_head.h"

#include <zlib.h>

/* ------------------------------------------------------------------ writing zips that lie */

struct bytes {
	unsigned char p[16384];
	size_t n;
};

static void put(struct bytes *b, uint64_t v, unsigned octets)
{
	for (; octets > 0; octets--, v >>= 8)
		b->p[b->n++] = (unsigned char)v;
}

static void put_text(struct bytes *b, const char *text)
{
	memcpy(b->p + b->n, text, strlen(text));
	b->n += strlen(text);
}

/* A member as one of its two headers tells it. */
struct told {
	const char *name;
	unsigned method, flags;
	size_t packed, size;
	uint32_t crc;
	size_t local;
};

static void put_local(struct bytes *b, const struct told *t)
{
	put_text(b, "PK\x03\x04");
	put(b, 20, 2);
	put(b, t->flags, 2);
	put(b, t->method, 2);
	put(b, 0, 4);
	put(b, t->crc, 4);
	put(b, t->packed, 4);
	put(b, t->size, 4);
	put(b, strlen(t->name), 2);
	put(b, 0, 2);
	put_text(b, t->name);
}

static void put_central(struct bytes *b, const struct told *t)
{
	put_text(b, "PK\x01\x02");
	put(b, 20, 2);
	put(b, 20, 2);
	put(b, t->flags, 2);
	put(b, t->method, 2);
	put(b, 0, 4);
	put(b, t->crc, 4);
	put(b, t->packed, 4);
	put(b, t->size, 4);
	put(b, strlen(t->name), 2);
	put(b, 0, 2 + 2 + 2 + 2 + 4);
	put(b, t->local, 4);
	put_text(b, t->name);
}

static void put_end(struct bytes *b, size_t count, size_t directory, size_t before)
{
	size_t size = b->n - directory;

	put_text(b, "PK\x05\x06");
	put(b, 0, 4);
	put(b, count, 2);
	put(b, count, 2);
	put(b, size, 4);
	put(b, directory - before, 4);
	put(b, 0, 2);
}

static struct told stored(const char *name, const char *text, size_t local)
{
	size_t n = strlen(text);

	return (struct told){ name, 0, 0, n, n,
		(uint32_t)crc32(0, (const unsigned char *)text, (unsigned)n), local };
}

/* Raw deflate of text into out. */
static size_t deflated(const char *text, unsigned char *out, size_t size)
{
	z_stream z = { 0 };

	deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
	z.next_in = (unsigned char *)(uintptr_t)text;
	z.avail_in = (unsigned)strlen(text);
	z.next_out = out;
	z.avail_out = (unsigned)size;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return size - z.avail_out;
}

static struct mw_octets octets_of(const struct bytes *b)
{
	return mw_octets_of(b->p, b->n);
}

static enum container_end read_it(const struct bytes *b, struct seen *s)
{
	struct budget budget = wide_budget();
	unsigned char *exact = malloc(b->n + 1); /* so that reading one octet too many is seen */
	enum container_end end;

	memcpy(exact, b->p, b->n);
	end = open_all(mw_octets_of(exact, b->n), &budget, s);
	free(exact);
	return end;
}

/* One stored member, whose headers say what the caller makes of them. */
static void one_member(
	struct bytes *b, const struct told *local, const struct told *central, const char *octets)
{
	size_t directory;

	b->n = 0;
	put_local(b, local);
	put_text(b, octets);
	directory = b->n;
	put_central(b, central);
	put_end(b, 1, directory, 0);
}

/* ------------------------------------------------------------------ tests */

static void both_headers_agree_in_a_zip_that_does_not_lie(void **state)
{
	struct told t = stored("a.txt", "hello", 0);
	static struct bytes b;
	struct seen s = { 0 };

	(void)state;
	one_member(&b, &t, &t, "hello");
	assert_int_equal(read_it(&b, &s), CONTAINER_WHOLE);
	assert_string_equal(s.names, "a.txt;");
	assert_string_equal(s.contents, "hello;");
	assert_false(s.ambiguous);
}

static void each_disagreement_is_ambiguous_and_all_its_readings_are_given(void **state)
{
	static const struct {
		const char *what;
		struct told local, central;
		const char *names, *contents;
	} cases[] = {
		{ "name", { "a.txt", 0, 0, 9, 9, 0, 0 }, { "b.exe", 0, 0, 9, 9, 0, 0 },
			"b.exe|a.txt;", "goodEVIL!;" },
		{ "size", { "a", 0, 0, 9, 9, 0, 0 }, { "a", 0, 0, 4, 4, 0, 0 }, "a;a;a;",
			"good;goodEVIL!;good;" },
		{ "size of the local one", { "a", 0, 0, 4, 4, 0, 0 }, { "a", 0, 0, 9, 9, 0, 0 },
			"a;a;a;", "goodEVIL!;good;good;" },
		{ "unpacked size", { "a", 0, 0, 9, 9, 0, 0 }, { "a", 0, 0, 9, 4, 0, 0 }, "a;a;",
			"goodEVIL!;good;" },
		{ "encryption", { "a", 0, 1, 9, 9, 0, 0 }, { "a", 0, 0, 9, 9, 0, 0 }, "a;a;",
			"goodEVIL!;;" },
		{ "encryption by the directory", { "a", 0, 0, 9, 9, 0, 0 },
			{ "a", 0, 1, 9, 9, 0, 0 }, "a;a;", ";goodEVIL!;" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct told local = cases[i].local, central = cases[i].central;
		static struct bytes b;
		struct seen s = { 0 };

		one_member(&b, &local, &central, "goodEVIL!");
		read_it(&b, &s);
		if (!s.ambiguous || strcmp(s.names, cases[i].names) != 0 ||
			strcmp(s.contents, cases[i].contents) != 0)
			fail_msg("%s: ambiguous=%d %s %s", cases[i].what, s.ambiguous, s.names,
				s.contents);
	}
}

static void a_method_in_one_header_alone_gives_both_readings(void **state)
{
	unsigned char packed[64];
	size_t n = deflated("EVIL!", packed, sizeof(packed));
	struct told local = { "a", 8, 0, n, 5, 0, 0 }, central = { "a", 0, 0, n, n, 0, 0 };
	static struct bytes b;
	struct seen s = { 0 };

	(void)state;
	packed[n] = '\0';
	one_member(&b, &local, &central, (const char *)packed);
	read_it(&b, &s);
	assert_true(s.ambiguous);
	assert_int_equal(s.count, 3); /* stored, the same as short as the other says, inflated */
	assert_non_null(strstr(s.contents, "EVIL!;"));
}

static void names_are_told_as_each_reader_sees_them(void **state)
{
	struct told t = { "evil.exe/", 0, 0, 5, 5, 0, 0 };
	static struct bytes b;
	struct seen s = { 0 };

	(void)state;
	one_member(&b, &t, &t, "EVIL!");
	read_it(&b, &s);
	assert_string_equal(s.names, "evil.exe;"); /* no folder: it has octets */
	t.name = "evil.exe_.txt";
	one_member(&b, &t, &t, "EVIL!");
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] == '_')
			b.p[i] = '\0';
	read_it(&b, &s);
	assert_string_equal(s.names, "evil.exe?.txt|evil.exe;");
}

static void a_member_that_no_directory_lists_is_given(void **state)
{
	struct told good = stored("good", "good", 0), evil = stored("evil", "EVIL!", 0);
	static struct bytes b;
	struct seen s = { 0 };
	size_t directory;

	(void)state;
	for (int before = 0; before < 2; before++) {
		b.n = 0;
		if (before) {
			put_local(&b, &evil);
			put_text(&b, "EVIL!");
		}
		good.local = b.n;
		put_local(&b, &good);
		put_text(&b, "good");
		if (!before) {
			put_local(&b, &evil);
			put_text(&b, "EVIL!");
		}
		directory = b.n;
		put_central(&b, &good);
		put_end(&b, 1, directory, 0);
		assert_int_equal(read_it(&b, &s), CONTAINER_WHOLE);
		assert_true(s.ambiguous);
		assert_string_equal(s.contents, before ? "EVIL!;good;" : "good;EVIL!;");
	}
}

static void a_directory_entry_that_points_at_nothing_is_told_by_name(void **state)
{
	struct told good = stored("good", "good", 0), gone = stored("gone.exe", "gone", 7777);
	static struct bytes b;
	struct seen s = { 0 };
	size_t directory;

	(void)state;
	b.n = 0;
	put_local(&b, &good);
	put_text(&b, "good");
	directory = b.n;
	put_central(&b, &good);
	put_central(&b, &gone);
	put_end(&b, 2, directory, 0);
	assert_int_equal(read_it(&b, &s), CONTAINER_BROKEN);
	assert_true(s.ambiguous);
	assert_string_equal(s.names, "good;gone.exe;");
}

static void of_two_archives_one_behind_the_other_both_are_given(void **state)
{
	struct told t;
	static struct bytes b;
	struct seen s = { 0 };

	(void)state;
	b.n = 0;
	for (int i = 0; i < 2; i++) {
		const char *text = i == 0 ? "first" : "second";
		size_t begin = b.n, directory;

		t = stored(text, text, 0);
		put_local(&b, &t);
		put_text(&b, text);
		directory = b.n;
		put_central(&b, &t);
		put_end(&b, 1, directory, begin);
	}
	assert_int_equal(read_it(&b, &s), CONTAINER_WHOLE);
	assert_true(s.ambiguous);
	assert_string_equal(s.names, "first;second;");
}

static void what_stands_before_and_behind_is_no_disagreement(void **state)
{
	struct told t = stored("a", "hello", 0);
	static struct bytes b, whole;
	struct seen s = { 0 };

	(void)state;
	one_member(&b, &t, &t, "hello");
	for (int counted = 0; counted < 2; counted++) {
		whole.n = 0;
		put_text(&whole, "MZ some program that unpacks what stands behind it");
		if (counted) { /* offsets from the beginning of the file */
			size_t directory;

			t.local = whole.n;
			put_local(&whole, &t);
			put_text(&whole, "hello");
			directory = whole.n;
			put_central(&whole, &t);
			put_end(&whole, 1, directory, 0);
		} else {
			memcpy(whole.p + whole.n, b.p, b.n);
			whole.n += b.n;
		}
		put_text(&whole, "and a tail behind it, for instance a signature");
		assert_true(zip_knows(octets_of(&whole)));
		assert_int_equal(read_it(&whole, &s), CONTAINER_WHOLE);
		assert_false(s.ambiguous);
		assert_string_equal(s.names, "a;;");
		assert_non_null(strstr(s.contents, "and a tail"));
	}
}

static void an_archive_stored_in_an_archive_is_no_disagreement(void **state)
{
	struct told t = stored("a", "hello", 0), box;
	static struct bytes b, whole;
	struct seen s = { 0 };
	size_t directory;

	(void)state;
	one_member(&b, &t, &t, "hello");
	box = (struct told){ "in.zip", 0, 0, b.n, b.n, (uint32_t)crc32(0, b.p, (unsigned)b.n), 0 };
	whole.n = 0;
	put_local(&whole, &box);
	memcpy(whole.p + whole.n, b.p, b.n);
	whole.n += b.n;
	directory = whole.n;
	put_central(&whole, &box);
	put_end(&whole, 1, directory, 0);
	assert_int_equal(read_it(&whole, &s), CONTAINER_WHOLE);
	assert_false(s.ambiguous);
	assert_string_equal(s.names, "in.zip;");
}

static void sizes_behind_the_octets_are_no_disagreement(void **state)
{
	unsigned char packed[64];
	size_t n = deflated("hello hello", packed, sizeof(packed)), directory;
	struct told central = { "a", 8, 8, n, 11,
		(uint32_t)crc32(0, (const unsigned char *)"hello hello", 11), 0 };
	struct told local = { "a", 8, 8, 0, 0, 0, 0 };
	static struct bytes b;
	struct seen s = { 0 };

	(void)state;
	for (int with_directory = 1; with_directory >= 0; with_directory--) {
		b.n = 0;
		put_local(&b, &local);
		memcpy(b.p + b.n, packed, n);
		b.n += n;
		put_text(&b, "PK\x07\x08");
		put(&b, central.crc, 4);
		put(&b, n, 4);
		put(&b, 11, 4);
		directory = b.n;
		put_central(&b, &central);
		if (with_directory)
			put_end(&b, 1, directory, 0);
		assert_int_equal(
			read_it(&b, &s), with_directory ? CONTAINER_WHOLE : CONTAINER_BROKEN);
		assert_false(s.ambiguous);
		assert_string_equal(s.contents, "hello hello;");
	}
}

static void a_stream_longer_than_its_size_is_given_to_its_end(void **state)
{
	unsigned char packed[64];
	size_t n = deflated("good and then the EVIL!", packed, sizeof(packed) - 1);
	struct told t = { "a", 8, 0, 6, 23, 0, 0 };
	static struct bytes b;
	struct seen s = { 0 };
	size_t directory;

	(void)state;
	b.n = 0;
	put_local(&b, &t);
	memcpy(b.p + b.n, packed, n);
	b.n += n;
	directory = b.n;
	put_central(&b, &t);
	put_end(&b, 1, directory, 0);
	read_it(&b, &s);
	assert_true(s.ambiguous);
	assert_non_null(strstr(s.contents, "EVIL!;"));
}

static void a_bomb_ends_at_the_budget(void **state)
{
	static unsigned char zeros[1 << 20];
	static struct bytes b;
	struct budget budget = wide_budget();
	struct seen s = { 0 };
	z_stream z = { 0 };
	struct told t = { "bomb", 8, 0, 0, 0, 0, 0 };
	size_t directory, most = 5000000;

	(void)state;
	b.n = 0;
	deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
	z.next_out = b.p + 34;
	z.avail_out = (unsigned)sizeof(b.p) - 200;
	for (int i = 0; i < 10; i++) {
		z.next_in = zeros;
		z.avail_in = sizeof(zeros);
		deflate(&z, i == 9 ? Z_FINISH : Z_NO_FLUSH);
	}
	t.packed = z.total_out;
	t.size = 10 << 20;
	deflateEnd(&z);
	put_local(&b, &t);
	b.n += t.packed;
	directory = b.n;
	put_central(&b, &t);
	put_end(&b, 1, directory, 0);
	budget.octets = most;
	assert_int_equal(open_all(octets_of(&b), &budget, &s), CONTAINER_CUT);
	assert_int_not_equal(budget.met, 0);
	assert_int_equal(s.octets, most);
	budget = wide_budget();
	budget.octets = 10 << 20; /* exactly */
	open_all(octets_of(&b), &budget, &s);
	assert_int_equal(budget.met, 0);
	assert_int_equal(s.octets, 10 << 20);
}

static void every_cut_and_every_altered_octet_ends(void **state)
{
	struct told t = stored("a", "hello", 0), u = { "b", 8, 0, 0, 11, 0, 0 };
	unsigned char packed[64];
	static struct bytes b, changed;
	struct seen s = { 0 };
	size_t directory;

	(void)state;
	u.packed = deflated("hello hello", packed, sizeof(packed));
	b.n = 0;
	put_local(&b, &t);
	put_text(&b, "hello");
	u.local = b.n;
	put_local(&b, &u);
	memcpy(b.p + b.n, packed, u.packed);
	b.n += u.packed;
	directory = b.n;
	put_central(&b, &t);
	put_central(&b, &u);
	put_end(&b, 2, directory, 0);
	for (size_t cut = 0; cut < b.n; cut++) {
		changed = b;
		changed.n = cut;
		read_it(&changed, &s);
	}
	for (size_t at = 0; at < b.n; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			changed = b;
			changed.p[at] ^= (unsigned char)(1u << bit);
			read_it(&changed, &s);
			assert_true(s.octets < 200);
		}
}

static void text_is_no_zip(void **state)
{
	(void)state;
	assert_false(zip_knows(mw_octets_of_text("")));
	assert_false(zip_knows(mw_octets_of_text("PK\x03")));
	assert_false(
		zip_knows(mw_octets_of_text("a text with PK\x05\x06 in it, and nothing else")));
}

/* Two files side by side in a tar are no two views of one archive. */
static void zips_in_another_archive_are_not_ambiguous(void **state)
{
	static struct bytes b;
	struct seen s = { 0 };

	(void)state;
	for (unsigned inside = 0; inside < 2; inside++) {
		b.n = 0;
		if (inside != 0)
			put_text(&b, "070707"); /* cpio's; the reader of that one calls it broken */
		for (unsigned i = 0; i < 2; i++) {
			struct told t = stored(i == 0 ? "a" : "b", "hello", 0);
			size_t from = b.n, directory;

			put_text(&b, "some octets in front of it");
			t.local = b.n - from;
			put_local(&b, &t);
			put_text(&b, "hello");
			directory = b.n;
			put_central(&b, &t);
			put_end(&b, 1, directory, from);
		}
		read_it(&b, &s);
		assert_non_null(strstr(s.names, "a;"));
		assert_non_null(strstr(s.names, "b;"));
		assert_int_equal(s.ambiguous, inside == 0);
	}
}

/* zip64's record may stand for the other one, or only for what that one has no room for. */
static void both_records_at_the_end_are_believed(void **state)
{
	struct told evil = stored("evil.exe", "evil", 0), good = stored("good", "hello", 0);
	static struct bytes b;
	struct seen s = { 0 };
	size_t of_evil, of_good, end64;

	(void)state;
	b.n = 0;
	put_text(&b, "what stands in front is not searched");
	evil.local = b.n;
	put_local(&b, &evil);
	put_text(&b, "evil");
	good.local = b.n;
	put_local(&b, &good);
	put_text(&b, "hello");
	of_evil = b.n;
	put_central(&b, &evil);
	of_good = b.n;
	put_central(&b, &good);
	end64 = b.n;
	put_text(&b, "PK\x06\x06");
	put(&b, 44, 8);
	put(&b, 0, 2 + 2 + 4 + 4);
	put(&b, 1, 8);
	put(&b, 1, 8);
	put(&b, of_good - of_evil, 8);
	put(&b, of_evil, 8);
	put_text(&b, "PK\x06\x07");
	put(&b, 0, 4);
	put(&b, end64, 8);
	put(&b, 1, 4);
	put_text(&b, "PK\x05\x06");
	put(&b, 0, 4);
	put(&b, 1, 2);
	put(&b, 1, 2);
	put(&b, end64 - of_good, 4);
	put(&b, of_good, 4);
	put(&b, 0, 2);
	assert_int_equal(read_it(&b, &s), CONTAINER_WHOLE);
	assert_string_equal(s.names, "evil.exe;good;");
	assert_true(s.ambiguous);
}

/* Info-ZIP's name, in the extra area behind the header at `from`. */
static void put_unicode(struct bytes *b, size_t from, size_t extra_at, const char *name)
{
	b->p[from + extra_at] = (unsigned char)(9 + strlen(name));
	put(b, 0x7075, 2);
	put(b, 5 + strlen(name), 2);
	put(b, 1, 1 + 4);
	put_text(b, name);
}

static void all_of_a_members_names_are_told(void **state)
{
	struct told local = stored("c.txt", "hello", 0), central = stored("a.txt", "hello", 0);
	static struct bytes b;
	struct seen s = { 0 };
	size_t directory;

	(void)state;
	b.n = 0;
	put_local(&b, &local);
	put_unicode(&b, 0, 28, "evil.exe");
	put_text(&b, "hello");
	directory = b.n;
	put_central(&b, &central);
	put_unicode(&b, directory, 30, "b.txt");
	put_end(&b, 1, directory, 0);
	assert_int_equal(read_it(&b, &s), CONTAINER_WHOLE);
	assert_string_equal(s.names, "a.txt|b.txt|c.txt|evil.exe;");
}

/* A name may hide behind more fields than are looked at; zeros that pad are none. */
static void an_extra_area_of_many_fields_is_told(void **state)
{
	static struct bytes b;
	struct seen s = { 0 };

	(void)state;
	for (unsigned fields = 0; fields <= 1000; fields += 500)
		for (unsigned kind = 0; kind < 2; kind++) {
			struct told t = stored("a.txt", "hello", 0);
			size_t directory;

			b.n = 0;
			put_local(&b, &t);
			b.p[28] = (unsigned char)(fields * 4);
			b.p[29] = (unsigned char)(fields * 4 >> 8);
			for (unsigned i = 0; i < fields; i++)
				put(&b, kind, 4);
			put_text(&b, "hello");
			directory = b.n;
			put_central(&b, &t);
			put_end(&b, 1, directory, 0);
			assert_int_equal(read_it(&b, &s), CONTAINER_WHOLE);
			assert_string_equal(s.contents, "hello;");
			assert_int_equal(s.ambiguous, fields > 0 && kind != 0);
		}
}

static void an_empty_file_that_is_packed_is_whole(void **state)
{
	static const char *const packed[] = { "BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0",
		"\x09\x04\x05\0]\0\0\x80\0\0\x83\xff\xfb\xff\xff\xc0\0\0\0" };
	static const struct told told[] = { { "a", 12, 0, 14, 0, 0, 0 },
		{ "a", 14, 2, 19, 0, 0, 0 } };
	static struct bytes b;
	struct seen s = { 0 };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(told); i++) {
		size_t directory;

		b.n = 0;
		put_local(&b, &told[i]);
		memcpy(b.p + b.n, packed[i], told[i].packed);
		b.n += told[i].packed;
		directory = b.n;
		put_central(&b, &told[i]);
		put_end(&b, 1, directory, 0);
		assert_int_equal(read_it(&b, &s), CONTAINER_WHOLE);
		assert_false(s.ambiguous);
		assert_int_equal(s.broken, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_headers_agree_in_a_zip_that_does_not_lie),
		cmocka_unit_test(each_disagreement_is_ambiguous_and_all_its_readings_are_given),
		cmocka_unit_test(a_method_in_one_header_alone_gives_both_readings),
		cmocka_unit_test(names_are_told_as_each_reader_sees_them),
		cmocka_unit_test(a_member_that_no_directory_lists_is_given),
		cmocka_unit_test(a_directory_entry_that_points_at_nothing_is_told_by_name),
		cmocka_unit_test(of_two_archives_one_behind_the_other_both_are_given),
		cmocka_unit_test(what_stands_before_and_behind_is_no_disagreement),
		cmocka_unit_test(an_archive_stored_in_an_archive_is_no_disagreement),
		cmocka_unit_test(sizes_behind_the_octets_are_no_disagreement),
		cmocka_unit_test(a_stream_longer_than_its_size_is_given_to_its_end),
		cmocka_unit_test(a_bomb_ends_at_the_budget),
		cmocka_unit_test(every_cut_and_every_altered_octet_ends),
		cmocka_unit_test(zips_in_another_archive_are_not_ambiguous),
		cmocka_unit_test(both_records_at_the_end_are_believed),
		cmocka_unit_test(all_of_a_members_names_are_told),
		cmocka_unit_test(an_extra_area_of_many_fields_is_told),
		cmocka_unit_test(an_empty_file_that_is_packed_is_whole),
		cmocka_unit_test(text_is_no_zip),
	};

	return cmocka_run_group_tests_name("zip", tests, NULL, NULL);
}
