#include "containers.h"

#include "decode.h"
#include "ends.h"
#include "sfx.h"
#include "zip.h"
#include "unopened.h"
#include "unpack.h"

#include <lzo/lzo1x.h>

// clang-format off
/* Archives that no library here writes, in base64; made with arj 3.10, Info-ZIP zip 3.0 and by hand. */
#define ARJ_METHOD_1 \
	"YOoqACILAQIQAAIECGsLawhrC2sAAAAAAAAAAAAAAAAAAAAAAABtMS5hcmoAAPjzSPcAAGDqNQAuCwEC" \
	"EAEACAhrC2s8AAAAngEAAPuwEEQAAKQRAAAAAAAACGsLawhrC2sAAAAAdC50eHQAALsCTK0AAAAqS46A" \
	"v/c+oB/ocGGwKEvkJs4BIJNUBtRoqSyAAEgc9yGDSQ8teOED65rH3MHozrAbpUvjljXP2/CaCGDqAAA="
#define ARJ_METHOD_4 \
	"YOoqACILAQIQAAIECGsLawhrC2sAAAAAAAAAAAAAAAAAAAAAAABtNC5hcmoAAF/ccKUAAGDqNQAuCwEC" \
	"EAQACAhrC2s1AAAAngEAAPuwEEQAAKQRAAAAAAAACGsLawhrC2sAAAAAdC50eHQAALpRVaMAADoaDKID" \
	"mYTaZRAdzecjIcxYIO4HmE3GTsCYgMJnMJpNw6EAwGIyGY0Go2G44HIK//xE/MCIYOoAAA=="
#define ARJ_GARBLED \
	"YOopACILAQIRAAIACGsLawhrC2sAAAAAAAAAAAAAAAABAAAAAABnLmFyagAA/PZ5qQAAYOo1AC4LAQIR" \
	"AQAICGsLazwAAACeAQAA+7AQRAAApBEAAAAAAAAIawtrCGsLawAAAAB0LnR4dAAAqC0UIgAAe0cg9O3D" \
	"jFPLZYUMGt1DMYlatWxL6Tl6rwXCVu18M3GcW+41dEATm26X4aq3u4Wyy3bOMY7qTqKwivd0YOoAAA=="
#define ZIP_TRADITIONAL \
	"UEsDBBQACQAIAAQAfV37sBBEQAAAAJ4BAAAFABwAdC50eHRVVAkAAwhrC2sIawtrdXgLAAEEAAAAAAQA" \
	"AAAADDsZpsBLdntXCnc46A8bQO1EiOiyD1vjeNGRouj5ulFw2HvCQNrjTzGFHn8/sibImhw5gOEIkuHp" \
	"SMoYpfYrylBLBwj7sBBEQAAAAJ4BAABQSwECHgMUAAkACAAEAH1d+7AQREAAAACeAQAABQAYAAAAAAAB" \
	"AAAApIEAAAAAdC50eHRVVAUAAwhrC2t1eAsAAQQAAAAABAAAAABQSwUGAAAAAAEAAQBLAAAAjwAAAAAA"
#define ZIP_AES_256 \
	"UEsDBBQAAQBjAAAAYloAAAAATgAAAJ4BAAAFAAsAdC50eHQBmQcAAgBBRQMIAAcICQoLDA0ODxAREhMU" \
	"FRYeOhGDnUX7/s2+N+zvN+ZWFo/qnNk+u+ifkwIe+U4ih+TIE6otUE34IspT0tnDp8FJw534yHULZNDu" \
	"2hCDI1BLAQIUABQAAQBjAAAAYloAAAAATgAAAJ4BAAAFAAsAAAAAAAAAAAAAAAAAAAB0LnR4dAGZBwAC" \
	"AEFFAwgAUEsFBgAAAAABAAEAPgAAAHwAAAAAAA=="
#define RAR5_PLAIN \
	"UmFyIRoHAQDFGjMyAwEAAGCZXbgSAgIFBAUghqYQNgAABXQudHh0aGVsbG8Zsjo1AwUAAA=="
#define RAR5_SEALED_MEMBER \
	"UmFyIRoHAQDFGjMyAwEAANWVT5I4AgMlQARAIEDuFzMAAAV0LnR4dCQBAAAPAAECAwQFBgcICQoLDA0O" \
	"DxAREhMUFRYXGBkaGxwdHh+bcdIkvWLzeF2W1GrT6j1zMZv7wokMqtri3/clGWc8pyMjw9mbpcEdfHrM" \
	"bhS4xdoMRmNHXC5cOt70b3O83sBDGbI6NQMFAAA="
#define SEVEN_PLAIN \
	"N3q8ryccAARz87noBQAAAAAAAAAuAAAAAAAAAGJRoNZoZWxsbwEEBgABCQUABwsBAAEBAAwFAAgKAYam" \
	"EDYAAAUBEQ0AdAAuAHQAeAB0AAAAAAA="
#define RAR5_STREAM \
	"UmFyIRoHAQDFGjMyAwEAAM9pl78XAgIFBAUghqYQNgAACnJlYWRtZS50eHRoZWxsbwp4DRIZAwMIBQQFADo0" \
	"gxsAAANTVE0HBzp4LmV4ZWV2aWwhGbI6NQMFAAA="
#define RAR4_STREAM \
	"UmFyIRoHAM+QcwAADQAAAAAAAAArIHQAgCoABQAAAAUAAAAChqYQNgAAYlodMAoAIAAAAHJlYWRtZS50eHRo" \
	"ZWxsbwtzegCALwAFAAAABQAAAAI6NIMbAABiWh0wAwAAAAAAU1RNOgB4AC4AZQB4AGUAZXZpbCHEPXsAQAcA"
#define RAR5_GOES_ON \
	"UmFyIRoHAQBTKjRFAwEAAbG6geISAhIFBAogOjSDGwAABXguZXhlZXZpbCGPgj1CAwUAAQ=="
#define RAR5_WENT_ON \
	"UmFyIRoHAQBTKjRFAwEAAVJswBMSAgoFBAogOjSDGwAABXguZXhlZXZpbCGPgj1CAwUAAQ=="
#define RAR4_GOES_ON \
	"UmFyIRoHAPH7cwEADQAAAAAAAACmBHQCgCUABQAAAAoAAAACOjSDGwAAYlodMAUAIAAAAHguZXhlZXZpbCGh" \
	"WnsBQAcA"
#define RAR4_WENT_ON \
	"UmFyIRoHAPH7cwEADQAAAAAAAAD893QBgCUABQAAAAoAAAACOjSDGwAAYlodMAUAIAAAAHguZXhlZXZpbCGh" \
	"WnsBQAcA"
// clang-format on

static const char *text(void)
{
	static char all[512];

	all[0] = '\0';
	for (int i = 0; i < 6; i++)
		strcat(all,
			"the same words, the same words, and the same words again: 0123456789\n");
	return all;
}

static struct mw_octets sample(const char *base64)
{
	static unsigned char out[4096];

	return mw_octets_of(out, mime_decode(MIME_BASE64, mw_octets_of_text(base64), out));
}

/* The octets behind `before`, before `behind`. */
static struct mw_octets between(const char *before, struct mw_octets o, const char *behind)
{
	static unsigned char out[8192];
	size_t n = strlen(before), m = strlen(behind);

	memcpy(out, before, n);
	memcpy(out + n, o.p, o.n);
	memcpy(out + n + o.n, behind, m);
	return mw_octets_of(out, n + o.n + m);
}

static bool keep_text(void *arg, const struct container_member *m)
{
	char *kept = arg;

	if (m->octets.n < 512) {
		memcpy(kept, m->octets.p, m->octets.n);
		kept[m->octets.n] = '\0';
	}
	return true;
}

static void arj_is_undone_whatever_its_method(void **state)
{
	static const char *const cases[] = { ARJ_METHOD_1, ARJ_METHOD_4 };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct budget b = wide_budget();
		char kept[512] = "";
		struct container_job job = {
			.octets = sample(cases[i]), .budget = &b, .got = keep_text, .arg = kept
		};
		struct seen s = { 0 };

		assert_int_equal(open_all(job.octets, &b, &s), CONTAINER_WHOLE);
		assert_string_equal(s.names, "t.txt;");
		assert_int_equal(s.broken, 0);
		for (const struct container *const *c = container_rows; *c != NULL; c++)
			if ((*c)->knows(job.octets))
				(*c)->open(&job);
		assert_string_equal(kept, text());
	}
}

static void every_altered_octet_of_an_arj_ends(void **state)
{
	static const char *const cases[] = { ARJ_METHOD_1, ARJ_METHOD_4 };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct mw_octets o = sample(cases[i]);

		for (size_t at = 0; at < o.n; at++) {
			unsigned char *copy = malloc(o.n);
			struct budget b = wide_budget();
			struct seen s = { 0 };

			memcpy(copy, o.p, o.n);
			copy[at] ^= 0x55;
			open_all(mw_octets_of(copy, o.n), &b, &s);
			open_all(mw_octets_of(copy, at), &b, &s);
			free(copy);
		}
	}
}

static void encrypted_members_are_told_as_such(void **state)
{
	static const struct {
		const char *base64, *names;
	} cases[] = {
		{ ARJ_GARBLED, "t.txt;" },
		{ ZIP_TRADITIONAL, "t.txt;" },
		{ ZIP_AES_256, "t.txt;" },
		{ RAR5_SEALED_MEMBER, "t.txt;" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct budget b = wide_budget();
		struct seen s = { 0 };

		assert_int_equal(open_all(sample(cases[i].base64), &b, &s), CONTAINER_WHOLE);
		assert_int_equal(s.encrypted, 1);
		assert_int_equal(s.octets, 0);
		assert_string_equal(s.names, cases[i].names);
	}
}

static void the_password_of_the_text_opens_them(void **state)
{
	static const char *const cases[] = { ZIP_TRADITIONAL, ZIP_AES_256 };
	static struct passwords words;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++)
		for (int set = 0; set < 3; set++) {
			struct budget b = wide_budget();
			struct seen s = { 0 };

			passwords_begin(&words,
				mw_octets_of_text(set == 0 ? "Subject: x\r\n\r\nThe password is "
							     "geheim123.\r\n"
							   : "Subject: x\r\n\r\nsee there\r\n"),
				set == 1 ? mw_octets_of("geheim123", 10) : mw_octets_of("", 0), 10);
			assert_int_equal(
				open_with(sample(cases[i]), &b, &s, "", &words), CONTAINER_WHOLE);
			assert_int_equal(s.encrypted, set == 2);
			assert_int_equal(s.octets, set == 2 ? 0 : strlen(text()));
			assert_int_equal(words.opened, set != 2);
		}
}

static void trying_passwords_has_an_end(void **state)
{
	static struct passwords words;
	struct mw_octets word;
	unsigned tries = 0;

	(void)state;
	passwords_begin(&words, mw_octets_of_text("\r\n\r\npassword: one\r\n"),
		mw_octets_of("two\0three", 10), 10);
	while (passwords_next(&words, tries % 3, PASSWORDS_COST_DEAR, &word))
		tries++;
	assert_int_equal(tries, PASSWORDS_COST_MAX / PASSWORDS_COST_DEAR);
}

static void lzop_is_undone(void **state)
{
	static unsigned char work[LZO1X_1_MEM_COMPRESS], out[1024], plain[1024];
	static const unsigned char head[] = "\x89LZO\0\r\n\x1a\n\x10\x30\x20\x80\x09\x40\x01\x05"
					    "\0\0\0\0\0\0\x81\xa4\0\0\0\0\0\0\0\0\x05n.exe\0\0\0";
	struct budget b = wide_budget();
	struct seen s = { 0 };
	lzo_uint n = 0;
	size_t at = sizeof(head);

	(void)state;
	memset(plain, 'x', sizeof(plain));
	memcpy(out, head, sizeof(head)); /* its NUL ends the checksum */
	assert_int_equal(lzo1x_1_compress(plain, 1000, out + at + 8, &n, work), LZO_E_OK);
	memcpy(out + at, "\0\0\x03\xe8", 4);
	memcpy(out + at + 4, "\0\0\0", 3);
	out[at + 7] = (unsigned char)n;
	at += 8 + n;
	memcpy(out + at, "\0\0\0\0", 4);
	assert_int_equal(open_all(mw_octets_of(out, at + 4), &b, &s), CONTAINER_WHOLE);
	assert_string_equal(s.names, "n.exe;");
	assert_int_equal(s.octets, 1000);
	for (size_t cut = 0; cut < at + 4; cut++) {
		unsigned char *exact = malloc(cut + 1);

		memcpy(exact, out, cut);
		open_all(mw_octets_of(exact, cut), &b, &s);
		free(exact);
	}
	b = wide_budget();
	b.octets = 999;
	assert_int_equal(open_all(mw_octets_of(out, at + 4), &b, &s), CONTAINER_CUT);
	assert_int_not_equal(b.met, 0);
	out[sizeof(head) + 3]++; /* one octet more than there is in the block */
	b = wide_budget();
	assert_int_equal(open_all(mw_octets_of(out, at + 4), &b, &s), CONTAINER_BROKEN);
	assert_int_equal(s.octets, 1000);
}

static void what_stands_behind_an_archive_is_a_member(void **state)
{
	static const char *const cases[] = { ARJ_METHOD_1, RAR5_PLAIN, SEVEN_PLAIN };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct budget b = wide_budget();
		struct seen s = { 0 };

		assert_int_equal(
			open_all(between("", sample(cases[i]), "here is a tail, no padding"), &b,
				&s),
			CONTAINER_WHOLE);
		assert_non_null(strstr(s.contents, "here is a tail, no padding;"));
		open_all(between("", sample(cases[i]), "short"), &b, &s);
		assert_null(strstr(s.contents, "short"));
	}
}

/* libarchive passes them over; WinRAR writes them to where they say. */
static void streams_of_ntfs_are_given_out(void **state)
{
	static const char *const cases[] = { RAR5_STREAM, RAR4_STREAM };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct mw_octets o = sample(cases[i]);
		struct budget b = wide_budget();
		struct seen s = { 0 };

		assert_int_equal(open_all(o, &b, &s), CONTAINER_WHOLE);
		assert_string_equal(s.names, "readme.txt;x.exe;");
		assert_string_equal(s.contents, "hello;evil!;");
		for (size_t n = 0; n < o.n; n++) {
			unsigned char *exact = malloc(n + 1);

			memcpy(exact, o.p, n);
			exact[n / 2] ^= 0x41;
			b = wide_budget();
			open_all(mw_octets_of(exact, n), &b, &s);
			free(exact);
		}
	}
}

/* One half of a file is no file: the other one comes in another volume. */
static void files_that_are_cut_by_a_volume_are_broken(void **state)
{
	static const char *const cases[] = { RAR5_GOES_ON, RAR5_WENT_ON, RAR4_GOES_ON,
		RAR4_WENT_ON };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct budget b = wide_budget();
		struct seen s = { 0 };

		assert_int_equal(open_all(sample(cases[i]), &b, &s), CONTAINER_BROKEN);
		assert_true(s.broken > 0);
		assert_non_null(strstr(s.names, "x.exe;"));
		assert_non_null(strstr(s.contents, "evil!;"));
	}
}

static void archives_behind_something_are_found(void **state)
{
	static const char *const cases[] = { RAR5_PLAIN, SEVEN_PLAIN };
	const char *const program =
		"MZ a program that unpacks what stands behind it, as long as it has to be";

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct budget b = wide_budget();
		struct seen s = { 0 };
		struct mw_octets o = between(program, sample(cases[i]), "");
		unsigned char *at = memmem(o.p, o.n, i == 0 ? "Rar!" : "7z", 2);

		assert_true(container_sfx.knows(o));
		open_all(o, &b, &s);
		assert_int_equal(s.count, 1);
		assert_int_equal(s.octets, o.n - strlen(program));
		at[9] ^= 1; /* its checksum does not fit any more: it is none */
		assert_false(container_sfx.knows(o));
	}
}

/* A zip behind it is one more, and hides it from nobody. */
static void an_archive_between_something_and_a_zip_is_found(void **state)
{
	static const char *const zip =
		"UEsDBBQAAAAAAAAAAACDFtyMAQAAAAEAAAABAAAAYXhQSwECFAAUAAAAAAAAAAAAgxbcjAEAAAABAAAA"
		"AQAAAAAAAAAAAAAAAAAAAAAAYVBLBQYAAAAAAQABAC8AAAAgAAAAAAA=";
	struct mw_octets rar = sample(RAR5_PLAIN), behind;
	static unsigned char all[4096];
	struct budget b = wide_budget();
	struct seen s = { 0 };
	size_t n = 0;

	(void)state;
	memset(all, 'x', 100);
	memcpy(all + 100, rar.p, rar.n);
	n = 100 + rar.n;
	behind = sample(zip);
	memcpy(all + n, behind.p, behind.n);
	assert_true(zip_knows(mw_octets_of(all, n + behind.n)));
	assert_true(container_sfx.knows(mw_octets_of(all, n + behind.n)));
	open_all(mw_octets_of(all, n + behind.n), &b, &s);
	assert_non_null(strstr(s.names, "a;"));
	assert_int_equal(s.count, 2);
}

static void a_compressed_file_holds_what_its_name_says(void **state)
{
	static const struct {
		const char *name, *inner;
	} cases[] = { { "foo.exe.gz", "foo.exe" }, { "x.TGZ", "x.tar" }, { "a.svgz", "a.svg" },
		{ ".gz", "" }, { "foo", "" }, { "", "" }, { "report.pdf.xz", "report.pdf" } };
	char name[CONTAINER_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		container_inner_name(name, cases[i].name);
		assert_string_equal(name, cases[i].inner);
	}
	container_inner_name(name, NULL);
	assert_string_equal(name, "");
}

static void archives_without_a_reader_are_broken(void **state)
{
	static unsigned char image[40 * 2048];
	struct budget b = wide_budget();
	struct seen s = { 0 };

	(void)state;
	assert_false(container_unopened.knows(mw_octets_of_text("StuffIt, the program for Macs")));
	assert_false(container_libarchive.knows(mw_octets_of_text("0707-123456 is my number")));
	assert_int_equal(open_all(mw_octets_of_text("1234567**ACE** \1 and so on"), &b, &s),
		CONTAINER_BROKEN);
	assert_int_equal(s.count, 0);
	assert_int_equal(
		open_all(mw_octets_of_text("vhdxfile \1 and so on"), &b, &s), CONTAINER_BROKEN);
	memcpy(image + sizeof(image) - 512, "conectix", 8);
	assert_int_equal(open_all(mw_octets_of(image, sizeof(image)), &b, &s), CONTAINER_BROKEN);
	image[sizeof(image) - 512] = 'x';
	assert_int_equal(open_all(mw_octets_of(image, sizeof(image)), &b, &s), CONTAINER_WHOLE);
	memcpy(image + 18 * 2048 + 1, "NSR02", 5);
	assert_int_equal(open_all(mw_octets_of(image, sizeof(image)), &b, &s), CONTAINER_BROKEN);
}

static void ends_that_lie_are_not_believed(void **state)
{
	static const char *const starts[] = { "7z\xbc\xaf\x27\x1c",
		"\xfd"
		"7zXZ",
		"\x28\xb5\x2f\xfd", "\x04\x22\x4d\x18", "\x50\x2a\x4d\x18" };
	unsigned char o[64];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(starts); i++)
		for (unsigned fill = 0; fill < 256; fill++)
			for (size_t n = 0; n < sizeof(o); n++) {
				unsigned char *exact = malloc(n + 1);
				struct mw_octets cut = mw_octets_of(exact, n);

				memset(o, (int)fill, sizeof(o));
				memcpy(o, starts[i], strlen(starts[i]));
				memcpy(exact, o, n);
				assert_true(end_of_7z(cut) <= n && end_of_xz(cut) <= n &&
					    end_of_zstd(cut) <= n && end_of_lz4(cut) <= n);
				free(exact);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arj_is_undone_whatever_its_method),
		cmocka_unit_test(every_altered_octet_of_an_arj_ends),
		cmocka_unit_test(encrypted_members_are_told_as_such),
		cmocka_unit_test(the_password_of_the_text_opens_them),
		cmocka_unit_test(trying_passwords_has_an_end),
		cmocka_unit_test(lzop_is_undone),
		cmocka_unit_test(what_stands_behind_an_archive_is_a_member),
		cmocka_unit_test(streams_of_ntfs_are_given_out),
		cmocka_unit_test(files_that_are_cut_by_a_volume_are_broken),
		cmocka_unit_test(archives_behind_something_are_found),
		cmocka_unit_test(an_archive_between_something_and_a_zip_is_found),
		cmocka_unit_test(a_compressed_file_holds_what_its_name_says),
		cmocka_unit_test(archives_without_a_reader_are_broken),
		cmocka_unit_test(ends_that_lie_are_not_believed),
	};

	return cmocka_run_group_tests_name("archives", tests, NULL, NULL);
}
