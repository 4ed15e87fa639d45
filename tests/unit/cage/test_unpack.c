#include "containers.h"

#include "decode.h"
#include "unpack.h"

#include <archive.h>
#include <archive_entry.h>

/* A zip, tar or gzip'ed tar of members, made by libarchive itself. */
static size_t make(unsigned char *out, size_t size, int (*format)(struct archive *),
	int (*filter)(struct archive *), const char *const *names, size_t count, size_t octets)
{
	struct archive *a = archive_write_new();
	size_t used = 0;
	char *content = malloc(octets + 1);

	memset(content, 'x', octets);
	assert_int_equal(format(a), ARCHIVE_OK);
	if (filter != NULL)
		assert_int_equal(filter(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_memory(a, out, size, &used), ARCHIVE_OK);
	for (size_t i = 0; i < count; i++) {
		struct archive_entry *e = archive_entry_new();

		archive_entry_set_pathname(e, names[i]);
		archive_entry_set_size(e, (la_int64_t)octets);
		archive_entry_set_filetype(e, AE_IFREG);
		archive_entry_set_perm(e, 0644);
		assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
		archive_write_data(a, content, octets);
		archive_entry_free(e);
	}
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	free(content);
	return used;
}

static void every_member_is_given_out(void **state)
{
	static const struct {
		int (*format)(struct archive *);
		int (*filter)(struct archive *);
		const char *kind;
	} cases[] = {
		{ archive_write_set_format_zip, NULL, "zip" },
		{ archive_write_set_format_7zip, NULL, "7z" },
		{ archive_write_set_format_ustar, NULL, "tar" },
		{ archive_write_set_format_ustar, archive_write_add_filter_gzip, "gzip" },
		{ archive_write_set_format_ustar, archive_write_add_filter_xz, "xz" },
		{ archive_write_set_format_ustar, archive_write_add_filter_bzip2, "bzip2" },
		{ archive_write_set_format_cpio_newc, archive_write_add_filter_zstd, "zstd" },
		{ archive_write_set_format_iso9660, NULL, "iso9660" },
	};
	const char *const names[] = { "a.txt", "dir/b.exe" };
	static unsigned char out[4 << 20];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		size_t n = make(out, sizeof(out), cases[i].format, cases[i].filter, names, 2, 1000);
		struct budget b = wide_budget();
		struct seen s = { .into = cases[i].filter != NULL ? &b : NULL };

		if (strcmp(cases[i].kind, "zip") != 0)
			assert_string_equal(unpack_kind_name(unpack_kind_of(mw_octets_of(out, n))),
				cases[i].kind);
		assert_int_equal(open_all(mw_octets_of(out, n), &b, &s), CONTAINER_WHOLE);
		assert_int_equal(s.octets, 2000);
		assert_int_equal(s.count, 2);
		if (strcmp(cases[i].kind, "iso9660") != 0) /* names are upper-cased there */
			assert_string_equal(s.names, "a.txt;dir/b.exe;");
		assert_int_equal(s.others > 0, strcmp(cases[i].kind, "iso9660") == 0);
		assert_int_equal(b.met, 0);
	}
}

/* To a reader of tar zeros are an archive that has ended. */
static void zeros_in_a_compressed_file_hide_nothing(void **state)
{
	static unsigned char out[1 << 16];
	unsigned char content[4000] = { 0 };
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	struct budget b = wide_budget();
	struct seen s = { 0 };
	size_t n = 0;

	(void)state;
	memcpy(content + sizeof(content) - 5, "EVIL!", 5);
	archive_write_set_format_raw(a);
	archive_write_add_filter_gzip(a);
	archive_write_open_memory(a, out, sizeof(out), &n);
	archive_entry_set_filetype(e, AE_IFREG);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	archive_write_data(a, content, sizeof(content));
	archive_entry_free(e);
	archive_write_close(a);
	archive_write_free(a);
	assert_int_equal(
		open_with(mw_octets_of(out, n), &b, &s, "zeros.exe.gz", NULL), CONTAINER_WHOLE);
	assert_string_equal(s.names, "zeros.exe;");
	assert_int_equal(s.octets, sizeof(content));
}

static const unsigned char hello_gz[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd,
	0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0 };

/* Systems show a disc whatever stands in front of its first sector, and tar what has its check sum.
 */
static void what_is_an_archive_of_two_kinds_is_opened_as_both(void **state)
{
	static const char *const names[] = { "A.EXE", "0707-report.txt" };
	static unsigned char out[4 << 20];
	struct budget b = wide_budget();
	struct seen s = { 0 };
	size_t n = make(out, sizeof(out), archive_write_set_format_iso9660, NULL, names, 1, 1000);
	unsigned sum = 0;

	(void)state;
	memcpy(out, hello_gz, sizeof(hello_gz));
	assert_int_equal(open_all(mw_octets_of(out, n), &b, &s), CONTAINER_WHOLE);
	assert_non_null(strstr(s.names, "A.EXE;"));
	assert_non_null(strstr(s.contents, "hello;"));
	assert_true(s.ambiguous);
	n = make(out, sizeof(out), archive_write_set_format_ustar, NULL, names, 1, 1000);
	memcpy(out, hello_gz, sizeof(hello_gz));
	memset(out + 257, 0, 8); /* "ustar" would be the first kind */
	memset(out + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += out[i];
	snprintf((char *)out + 148, 8, "%06o", sum);
	b = wide_budget();
	assert_int_equal(open_all(mw_octets_of(out, n), &b, &s), CONTAINER_WHOLE);
	assert_true(s.octets >= 1000 + 5);
	assert_true(s.ambiguous);
	n = make(out, sizeof(out), archive_write_set_format_ustar, NULL, names + 1, 1, 1000);
	b = wide_budget();
	assert_int_equal(open_all(mw_octets_of(out, n), &b, &s), CONTAINER_WHOLE);
	assert_string_equal(s.names, "0707-report.txt;");
	assert_false(s.ambiguous);
}

static void a_compressed_file_that_is_no_archive_is_one_member(void **state)
{
	struct budget b = wide_budget();
	struct seen s = { 0 };

	(void)state;
	assert_int_equal(
		open_all(mw_octets_of(hello_gz, sizeof(hello_gz)), &b, &s), CONTAINER_WHOLE);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.octets, 5);
}

/* An empty log that was compressed is no damage; one whose end is missing is. */
static void a_compressed_file_of_nothing_is_whole(void **state)
{
	static const unsigned char gz[] = { 0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3, 'a', 0, 3, 0, 0, 0,
		0, 0, 0, 0, 0, 0 };
	static const unsigned char bz[] = "BZh9\x17\x72\x45\x38\x50\x90\0\0\0";
	struct budget b = wide_budget();
	struct seen s = { 0 };

	(void)state;
	assert_int_equal(open_all(mw_octets_of(gz, sizeof(gz)), &b, &s), CONTAINER_WHOLE);
	assert_int_equal(open_all(mw_octets_of(bz, sizeof(bz)), &b, &s), CONTAINER_WHOLE);
	assert_int_equal(s.count, 0);
	for (size_t n = 3; n < sizeof(gz); n++)
		assert_int_equal(open_all(mw_octets_of(gz, n), &b, &s), CONTAINER_BROKEN);
	for (size_t n = 10; n < sizeof(bz); n++)
		assert_int_equal(open_all(mw_octets_of(bz, n), &b, &s), CONTAINER_BROKEN);
	for (size_t n = 3; n < sizeof(hello_gz); n++)
		assert_int_equal(open_all(mw_octets_of(hello_gz, n), &b, &s), CONTAINER_BROKEN);
}

/* What the inner of two files of gzip does not have is behind the end of that, not of the outer. */
static void one_layer_of_compression_is_taken_off(void **state)
{
	static const unsigned char twice[] = { 0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02,
		0x03, 0x93, 0xef, 0xe6, 0x60, 0x00, 0x01, 0x26, 0xe6, 0xd5, 0x0c, 0x0c, 0xcd, 0x62,
		0x77, 0x7a, 0x18, 0x81, 0x1c, 0xd7, 0x30, 0x4f, 0x1f, 0x45, 0x05, 0x20, 0xc0, 0x60,
		0x00, 0x00, 0x20, 0xae, 0x4f, 0x9c, 0x2f, 0x00, 0x00, 0x00 };
	struct budget b = wide_budget();
	struct seen s = { 0 };

	(void)state;
	assert_int_equal(open_all(mw_octets_of(twice, sizeof(twice)), &b, &s), CONTAINER_WHOLE);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.octets, 47);
}

static void text_and_short_octets_are_no_archive(void **state)
{
	(void)state;
	assert_null(unpack_kind_of(mw_octets_of_text("hello, this is a text")));
	assert_null(unpack_kind_of(mw_octets_of_text("PK\x03")));
	assert_null(unpack_kind_of(mw_octets_of_text("")));
}

/* libarchive would give the octets out as they are, to be taken for the same again. */
static void a_magic_number_that_lies_is_a_broken_archive(void **state)
{
	static const char *const cases[] = {
		"\x1f\x8b\x08 but nothing of gzip follows, as far as it goes",
		"BZh91AY&SY and no bzip2", "LZIP and text, not more"
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct budget b = wide_budget();
		struct seen s = { 0 };

		assert_int_equal(open_all(mw_octets_of_text(cases[i]), &b, &s), CONTAINER_BROKEN);
		assert_int_equal(s.octets, 0);
	}
	assert_null(unpack_kind_of(mw_octets_of_text("BZhello, this is a text")));
}

/* Of a method that it does not know, and with fewer octets than it says, libarchive warns without
 * end. */
static void a_warning_that_comes_again_and_again_ends_a_member(void **state)
{
	static const unsigned char lh1[] = "\x1a\x92-lh1-Q\0\0\0Q\0\0\0\0\0bZ \1\1a\xc9"
					   "4U\0\0hello";
	struct budget b = wide_budget();
	struct seen s = { 0 };

	(void)state;
	assert_int_equal(open_all(mw_octets_of(lh1, sizeof(lh1)), &b, &s), CONTAINER_BROKEN);
	assert_string_equal(s.names, "a;");
	assert_int_equal(s.broken, 1);
	assert_int_equal(b.met, 0);
}

/* .lzma has no magic number: some tables of numbers begin as it does. */
static void what_looks_like_lzma_by_chance_is_not_broken(void **state)
{
	static const unsigned char chance[] = { 0, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2,
		0, 0, 0, 'x', 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 8, 0x40, 1, 2, 3,
		4 };
	static const unsigned char bad[] = { 0x5d, 0, 0, 0x80, 0, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4 };
	static const unsigned char nothing[] = { 0x5d, 0, 0, 0x80, 0, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4 };
	struct mw_octets o = mw_octets_of(chance, sizeof(chance));
	struct budget b = wide_budget();
	struct seen s = { 0 };

	(void)state;
	assert_string_equal(unpack_kind_name(unpack_kind_of(o)), "lzma");
	assert_int_equal(open_all(o, &b, &s), CONTAINER_WHOLE);
	assert_int_equal(s.broken, 0);
	assert_int_equal(open_with(o, &b, &s, "a.lzma", NULL), CONTAINER_BROKEN);
	assert_int_equal(open_all(mw_octets_of(bad, sizeof(bad)), &b, &s), CONTAINER_BROKEN);
	assert_null(unpack_kind_of(mw_octets_of(nothing, sizeof(nothing))));
}

static void octets_beyond_the_budget_are_not_unpacked(void **state)
{
	const char *const names[] = { "a", "b", "c" };
	static unsigned char out[1 << 20];
	size_t n = make(out, sizeof(out), archive_write_set_format_zip, NULL, names, 3, 100000);
	struct budget b = wide_budget();
	struct seen s = { 0 };

	(void)state;
	b.octets = 300000;
	assert_int_equal(open_all(mw_octets_of(out, n), &b, &s), CONTAINER_WHOLE);
	b = wide_budget();
	b.by_ratio = false;
	b.octets = 299999;
	assert_int_equal(open_all(mw_octets_of(out, n), &b, &s), CONTAINER_CUT);
	assert_int_equal(b.met, MW_BIT(SCAN_LIMIT_OCTETS));
	assert_true(s.octets < 300000);
	assert_int_equal(s.count, 3); /* what was there of the third was given out */
}

static void members_beyond_the_number_are_not_unpacked(void **state)
{
	const char *const names[] = { "a", "b", "c" };
	static unsigned char out[1 << 20];
	size_t n = make(out, sizeof(out), archive_write_set_format_zip, NULL, names, 3, 10);
	struct budget b = wide_budget();
	struct seen s = { 0 };

	(void)state;
	b.files = 3;
	assert_int_equal(open_all(mw_octets_of(out, n), &b, &s), CONTAINER_WHOLE);
	b = wide_budget();
	b.files = 2;
	assert_int_equal(open_all(mw_octets_of(out, n), &b, &s), CONTAINER_CUT);
	assert_int_equal(b.met, MW_BIT(SCAN_LIMIT_PARTS));
	assert_int_equal(s.count, 2);
}

static void time_and_the_callback_end_it(void **state)
{
	const char *const names[] = { "a", "b", "c" };
	static unsigned char out[1 << 20];
	size_t n = make(out, sizeof(out), archive_write_set_format_zip, NULL, names, 3, 10);
	struct budget b = wide_budget();
	struct seen s = { 0 };

	(void)state;
	b.deadline_ms = 1;
	assert_int_equal(open_all(mw_octets_of(out, n), &b, &s), CONTAINER_CUT);
	assert_int_equal(b.met, MW_BIT(SCAN_LIMIT_TIME));
	b = wide_budget();
	s.stop_after = 2;
	assert_int_equal(open_all(mw_octets_of(out, n), &b, &s), CONTAINER_CUT);
	assert_int_equal(s.count, 2);
}

static void an_encrypted_member_is_told_without_its_octets(void **state)
{
	static unsigned char zip[512];
	size_t n = mime_decode(MIME_BASE64, mw_octets_of_text(EICAR_ZIP_BASE64), zip);
	unsigned char *central = memmem(zip, n, "PK\x01\x02", 4);
	struct budget b = wide_budget();
	struct seen s = { 0 };

	(void)state;
	zip[6] |= 1;
	central[8] |= 1;
	assert_int_equal(open_all(mw_octets_of(zip, n), &b, &s), CONTAINER_WHOLE);
	assert_int_equal(s.encrypted, 1);
	assert_int_equal(s.octets, 0);
	assert_string_equal(s.names, "eicar.com;");
}

/* Whatever is cut off or flipped: it ends, within its bounds, and never claims more than there is.
 */
static void cut_and_altered_archives_end(void **state)
{
	const char *const names[] = { "a", "b" };
	static unsigned char whole[1 << 16];
	size_t n = make(whole, sizeof(whole), archive_write_set_format_zip, NULL, names, 2, 50);
	struct seen s = { 0 };

	(void)state;
	for (size_t cut = 4; cut < n; cut++) {
		unsigned char *copy = malloc(cut);
		struct budget b = wide_budget();

		memcpy(copy, whole, cut);
		open_all(mw_octets_of(copy, cut), &b, &s);
		assert_true(s.octets <= 100);
		free(copy);
	}
	for (size_t at = 4; at < n; at++) {
		unsigned char *copy = malloc(n);
		struct budget b = wide_budget();

		memcpy(copy, whole, n);
		copy[at] ^= 0xff;
		open_all(mw_octets_of(copy, n), &b, &s);
		free(copy);
	}
}

/* A disc is read by no library: whatever it says of places and sizes lies in the octets or is
 * broken. */
static void cut_and_altered_discs_end(void **state)
{
	const char *const names[] = { "a.txt", "dir/b.exe" };
	static unsigned char whole[4 << 20];
	size_t n = make(whole, sizeof(whole), archive_write_set_format_iso9660, NULL, names, 2, 50);
	struct seen s = { 0 };

	(void)state;
	for (size_t cut = 16 * 2048; cut < n; cut += 509) {
		unsigned char *copy = malloc(cut);
		struct budget b = wide_budget();

		memcpy(copy, whole, cut);
		open_all(mw_octets_of(copy, cut), &b, &s);
		assert_true(s.octets <= 100);
		free(copy);
	}
	for (size_t at = 16 * 2048; at < n && at < 64 * 2048; at++) {
		struct budget b = wide_budget();

		if (whole[at] == 0)
			continue;
		whole[at] ^= 0xff;
		open_all(mw_octets_of(whole, n), &b, &s);
		whole[at] ^= 0xff;
	}
}

static void put_record(unsigned char *to, unsigned sector, size_t size, unsigned flags, char name)
{
	memset(to, 0, 34);
	to[0] = 34;
	to[2] = (unsigned char)sector;
	to[3] = (unsigned char)(sector >> 8);
	for (unsigned i = 0; i < 4; i++)
		to[10 + i] = (unsigned char)(size >> (8 * i));
	to[25] = (unsigned char)flags;
	to[32] = 1;
	to[33] = (unsigned char)name;
}

/* Each folder begins one sector further and goes on to the end of the disc: with all of them read,
 * a disc of 2 MiB would have 1 GiB of records. */
static void folders_of_a_disc_that_lie_over_each_other_are_broken(void **state)
{
	const size_t sectors = 1024, from = 20;
	unsigned char *o = calloc(sectors, 2048);
	uint64_t begin = mw_mono_ms();
	struct budget b = wide_budget();
	struct seen s = { 0 };

	(void)state;
	assert_non_null(o);
	memcpy(o + 16 * 2048, "\1CD001\1", 7);
	memcpy(o + 17 * 2048, "\377CD001\1", 7);
	put_record(o + 16 * 2048 + 156, (unsigned)from, (sectors - from) * 2048, 2, 0);
	for (size_t i = from; i < sectors; i++) {
		unsigned next = (unsigned)(i + 1 < sectors ? i + 1 : from);

		put_record(o + i * 2048, next, (sectors - next) * 2048, 2, 'a');
		put_record(o + i * 2048 + 34, (unsigned)i, 2048, 0, 'b');
	}
	assert_int_equal(open_all(mw_octets_of(o, sectors * 2048), &b, &s), CONTAINER_BROKEN);
	assert_true(s.others <= sectors && s.octets > 0); /* as many records as it has octets for */
	assert_true(mw_mono_ms() - begin < 2000);
	free(o);
}

static void long_names_keep_their_end(void **state)
{
	char name[600];
	const char *const names[] = { name };
	static unsigned char out[1 << 16];
	struct budget b = wide_budget();
	struct seen s = { 0 };
	size_t n;

	(void)state;
	memset(name, 'n', sizeof(name));
	strcpy(name + sizeof(name) - 10, "tail\n.exe");
	n = make(out, sizeof(out), archive_write_set_format_zip, NULL, names, 1, 1);
	open_all(mw_octets_of(out, n), &b, &s);
	assert_int_equal(strlen(s.names), CONTAINER_NAME_MAX); /* with its semicolon */
	assert_non_null(strstr(s.names, "tail?.exe;"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_member_is_given_out),
		cmocka_unit_test(zeros_in_a_compressed_file_hide_nothing),
		cmocka_unit_test(what_is_an_archive_of_two_kinds_is_opened_as_both),
		cmocka_unit_test(a_compressed_file_that_is_no_archive_is_one_member),
		cmocka_unit_test(a_compressed_file_of_nothing_is_whole),
		cmocka_unit_test(one_layer_of_compression_is_taken_off),
		cmocka_unit_test(text_and_short_octets_are_no_archive),
		cmocka_unit_test(a_magic_number_that_lies_is_a_broken_archive),
		cmocka_unit_test(a_warning_that_comes_again_and_again_ends_a_member),
		cmocka_unit_test(what_looks_like_lzma_by_chance_is_not_broken),
		cmocka_unit_test(octets_beyond_the_budget_are_not_unpacked),
		cmocka_unit_test(members_beyond_the_number_are_not_unpacked),
		cmocka_unit_test(time_and_the_callback_end_it),
		cmocka_unit_test(an_encrypted_member_is_told_without_its_octets),
		cmocka_unit_test(cut_and_altered_archives_end),
		cmocka_unit_test(cut_and_altered_discs_end),
		cmocka_unit_test(folders_of_a_disc_that_lie_over_each_other_are_broken),
		cmocka_unit_test(long_names_keep_their_end),
	};

	return cmocka_run_group_tests_name("unpack", tests, NULL, NULL);
}
