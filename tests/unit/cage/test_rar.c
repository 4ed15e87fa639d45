#include "containers.h"

#include "decode.h"
#include "sfx.h"

#include <errno.h>

// clang-format off
/* Archives that libarchive and unrar do not read alike, in base64; from tests/e2e/mwarchive.py. */
#define RAR5_TYPE_0 \
	"UmFyIRoHAQDFGjMyAwEAAM9pl78XAgIFBAUghqYQNgAACnJlYWRtZS50eHRoZWxsb3wNxfwCAAA6l0SjEgICBQQF" \
	"IDo0gxsAAAV4LmV4ZWV2aWwhGbI6NQMFAAA="
#define RAR5_GAP \
	"UmFyIRoHAQDFGjMyAwEAAJd0yCgDCQYpz2mXvxcCAgUEBSCGphA2AAAKcmVhZG1lLnR4dGhlbGxvGbI6NQMFAAA6" \
	"l0SjEgICBQQFIDo0gxsAAAV4LmV4ZWV2aWwhGbI6NQMFAAA="
#define RAR5_LOOSE_MAIN \
	"UmFyIRoHAQCavr2vLAEAAM9pl78XAgIFBAUghqYQNgAACnJlYWRtZS50eHRoZWxsbxmyOjUDBQAAOpdEoxICAgUE" \
	"BSA6NIMbAAAFeC5leGVldmlsIRmyOjUDBQAA"
#define RAR5_LONG_NAME \
	"UmFyIRoHAQDFGjMyAwEAAMp0GrMTAgIFBAUgOjSDGwAA0A94LmV4ZWV2aWwhGbI6NQMFAAA="
#define RAR4_RECOVERY \
	"UmFyIRoHAM+QcwAADQAAAAAAAACfengAAA4ANgAAAAAAACsgdACAKgAFAAAABQAAAAKGphA2AABiWh0wCgAgAAAA" \
	"cmVhZG1lLnR4dGhlbGxvxD17AEAHAFDwdACAJQAFAAAABQAAAAI6NIMbAABiWh0wBQAgAAAAeC5leGVldmlsIcQ9" \
	"ewBABwA="
#define RAR4_OLD_SERVICE \
	"UmFyIRoHAM+QcwAADQAAAAAAAADu5XcAAA4ANgAAAAAAACsgdACAKgAFAAAABQAAAAKGphA2AABiWh0wCgAgAAAA" \
	"cmVhZG1lLnR4dGhlbGxvxD17AEAHAFDwdACAJQAFAAAABQAAAAI6NIMbAABiWh0wBQAgAAAAeC5leGVldmlsIcQ9" \
	"ewBABwA="
#define RAR5_FIFO \
	"UmFyIRoHAQDFGjMyAwEAADk/ENUTAgIFBAWkIzo0gxsAAQV4LmV4ZWV2aWwhGbI6NQMFAAA="
#define RAR5_LINK \
	"UmFyIRoHAQDFGjMyAwEAACVXsScUAgIFBAX/wwI6NIMbAAEFeC5leGVldmlsIRmyOjUDBQAA"
#define RAR4_DEVICE \
	"UmFyIRoHAM+QcwAADQAAAAAAAAAbp3QAgCUABQAAAAUAAAADOjSDGwAAYlodMAUApCEAAHguZXhlZXZpbCHEPXsA" \
	"QAcA"
#define RAR4_LINK_OF_MAC \
	"UmFyIRoHAM+QcwAADQAAAAAAAAAqw3QAgCUABQAAAAUAAAAEOjSDGwAAYlodMAUA/6EAAHguZXhlZXZpbCHEPXsA" \
	"QAcA"
#define RAR4_LINK \
	"UmFyIRoHAM+QcwAADQAAAAAAAABq/XQAgCUABQAAAAUAAAADOjSDGwAAYlodMAUA/6EAAHguZXhlZXZpbCHEPXsA" \
	"QAcA"
#define RAR5_QUICK \
	"UmFyIRoHAQA+akGMCgEBBgAFAQGrgAA6l0SjEgICBQQFIDo0gxsAAAV4LmV4ZWV2aWwhoFH4MwsDAh8AHwAAAAJR" \
	"T6HKzbYaABwXOpdEoxICAgUEBSA6NIMbAAAFeC5leGUZsjo1AwUAAA=="
#define RAR5_QUICK_OTHER \
	"UmFyIRoHAQB78ZT5CgEBBgAFAQHsgAAwqJN3FwICQQRBINfunFcAAApyZWFkbWUudHh0bm9pc2Vub2lzZW5vaXNl" \
	"bm9pc2Vub2lzZW5vaXNlbm9pc2Vub2lzZW5vaXNlbm9pc2Vub2lzZW5vaXNlZXZpbCFm/cIGCwMCYABgAAAAAlFP" \
	"zrOnWVsAXVhKgzqTUwIDQAUEBSA6NIMbAAAFeC5leGU/UAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAGbI6NQMFAAA="
#define BEHIND_LONG_MAIN \
	"dGV4dCB0ZXh0IHRleHQgdGV4dCB0ZXh0IHRleHQgdGV4dCB0ZXh0IHRleHQgdGV4dCB0ZXh0IHRleHQgdGV4dCB0" \
	"ZXh0IHRleHQgdGV4dCB0ZXh0IHRleHQgdGV4dCB0ZXh0IFJhciEaBwEAYeL7R70BAQG4AQC2AXAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAOpdEoxICAgUEBSA6NIMbAAAFeC5leGVldmls" \
	"IRmyOjUDBQAA"
#define BEHIND_PADDED_SIZE \
	"dGV4dCB0ZXh0IHRleHQgdGV4dCB0ZXh0IHRleHQgdGV4dCB0ZXh0IHRleHQgdGV4dCB0ZXh0IHRleHQgdGV4dCB0" \
	"ZXh0IHRleHQgdGV4dCB0ZXh0IHRleHQgdGV4dCB0ZXh0IFJhciEaBwEAaFemMYMAAQAAOpdEoxICAgUEBSA6NIMb" \
	"AAAFeC5leGVldmlsIRmyOjUDBQAA"
#define BEHIND_OTHER_FIRST \
	"dGV4dCB0ZXh0IHRleHQgdGV4dCB0ZXh0IHRleHQgdGV4dCB0ZXh0IHRleHQgdGV4dCB0ZXh0IHRleHQgdGV4dCB0" \
	"ZXh0IHRleHQgdGV4dCB0ZXh0IHRleHQgdGV4dCB0ZXh0IFJhciEaBwBk43kAAAcAz5BzAAANAAAAAAAAAFDwdACA" \
	"JQAFAAAABQAAAAI6NIMbAABiWh0wBQAgAAAAeC5leGVldmlsIcQ9ewBABwA="
#define IN_ZIP_COMMENT \
	"UEsDBBQAAAAIAAAAYlqGphA2BwAAAAUAAAAFAAAAYS50eHTLSM3JyQcAUEsBAhQAFAAAAAgAAABiWoamEDYHAAAA" \
	"BQAAAAUAAAAAAAAAAAAAAAAAAAAAAGEudHh0UEsFBgAAAAABAAEAMwAAACoAAAA0AFJhciEaBwEAxRozMgMBAAA6" \
	"l0SjEgICBQQFIDo0gxsAAAV4LmV4ZWV2aWwhGbI6NQMFAAA="
#define IN_GZIP_FIELD \
	"H4sIBAAAAAAAAzgAeHg0AFJhciEaBwEAxRozMgMBAAA6l0SjEgICBQQFIDo0gxsAAAV4LmV4ZWV2aWwhGbI6NQMF" \
	"AAALyUhVKEotyC8qUcgsVkgsKUlMzkhN0VMIGRUHiwMASk4inyABAAA="
#define BEHIND_PK \
	"UEsAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/" \
	"UmFyIRoHAQDFGjMyAwEAADqXRKMSAgIFBAUgOjSDGwAABXguZXhlZXZpbCEZsjo1AwUAAA=="
#define STORED_IN_ZIP \
	"UEsDBBQAAAAAAAAAYlov+vhIeAAAAHgAAAAFAAAAYS50eHRoZWxsbyBoZWxsbyBoZWxsbyBoZWxsbyBoZWxsbyBo" \
	"ZWxsbyBoZWxsbyBoZWxsbyBoZWxsbyBoZWxsbyBoZWxsbyBoZWxsbyBoZWxsbyBoZWxsbyBoZWxsbyBoZWxsbyBo" \
	"ZWxsbyBoZWxsbyBoZWxsbyBoZWxsbyBQSwMEFAAAAAAAAABiWhoFXSg0AAAANAAAAAUAAABhLnJhclJhciEaBwEA" \
	"xRozMgMBAAA6l0SjEgICBQQFIDo0gxsAAAV4LmV4ZWV2aWwhGbI6NQMFAABQSwECFAAUAAAAAAAAAGJaL/r4SHgA" \
	"AAB4AAAABQAAAAAAAAAAAAAAAAAAAAAAYS50eHRQSwECFAAUAAAAAAAAAGJaGgVdKDQAAAA0AAAABQAAAAAAAAAA" \
	"AAAAAACbAAAAYS5yYXJQSwUGAAAAAAIAAgBmAAAA8gAAAAAA"
#define STORED_IN_GZIP \
	"H4sIAAAAAAAEAwE0AMv/UmFyIRoHAQDFGjMyAwEAADqXRKMSAgIFBAUgOjSDGwAABXguZXhlZXZpbCEZsjo1AwUA" \
	"ABoFXSg0AAAA"
#define CUT_IN_ZIP \
	"UEsDBBQAAAAAAAAAYlojDXFLKAAAACgAAAAFAAAAYS5yYXJSYXIhGgcBAMUaMzIDAQAAOpdEoxICAgUEBSA6NIMb" \
	"AAAFeC5leGVlUmFyIRoHAQDFGjMyAwEAADqXRKMSAgIFBAUgOjSDGwAABXguZXhlZXZpbCEZsjo1AwUAAFBLAQIU" \
	"ABQAAAAAAAAAYlojDXFLKAAAACgAAAAFAAAAAAAAAAAAAAAAAAAAAABhLnJhclBLBQYAAAAAAQABADMAAAB/AAAA" \
	"AAA="
#define RAR5_RAW_NAME \
	"UmFyIRoHAQDFGjMyAwEAAKxbm24TAgIFBAUgOjSDGwAABv94LmV4ZWV2aWwhGbI6NQMFAAA="
// clang-format on

static struct mw_octets sample(const char *base64)
{
	static unsigned char out[4096];

	return mw_octets_of(out, mime_decode(MIME_BASE64, mw_octets_of_text(base64), out));
}

static void what_libarchive_passes_over_is_found_and_told(void **state)
{
	static const char *const cases[] = { RAR5_TYPE_0, RAR5_GAP, RAR5_LOOSE_MAIN, RAR5_LONG_NAME,
		RAR4_RECOVERY, RAR4_OLD_SERVICE, RAR5_QUICK_OTHER };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct budget b = wide_budget();
		struct seen s = { 0 };

		assert_int_equal(open_all(sample(cases[i]), &b, &s), CONTAINER_BROKEN);
		assert_non_null(strstr(s.names, "x.exe;"));
		assert_non_null(strstr(s.contents, "evil!;"));
		assert_true(s.ambiguous);
	}
}

/* unrar writes a file whatever its attributes say; nothing else has octets. */
static void what_is_called_no_file_gives_its_octets(void **state)
{
	static const char *const cases[] = { RAR5_FIFO, RAR5_LINK, RAR4_DEVICE, RAR4_LINK_OF_MAC,
		RAR4_LINK };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct budget b = wide_budget();
		struct seen s = { 0 };

		open_all(sample(cases[i]), &b, &s);
		assert_non_null(strstr(s.contents, "evil!;"));
		assert_non_null(strstr(s.names, "x.exe;"));
	}
}

/* libarchive has no name for it, and ends the process when memory was refused at any time before.
 */
static void a_name_that_is_no_text_is_told(void **state)
{
	struct budget b = wide_budget();
	struct seen s = { 0 };

	(void)state;
	errno = ENOMEM;
	assert_int_equal(open_all(sample(RAR5_RAW_NAME), &b, &s), CONTAINER_WHOLE);
	assert_non_null(strstr(s.names, "x.exe;"));
}

/* WinRAR writes both. */
static void links_and_copies_of_headers_are_nothing_odd(void **state)
{
	static const char *const cases[] = { RAR4_LINK, RAR5_QUICK };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct budget b = wide_budget();
		struct seen s = { 0 };

		assert_int_equal(open_all(sample(cases[i]), &b, &s), CONTAINER_WHOLE);
		assert_false(s.ambiguous);
		assert_int_equal(s.broken, 0);
	}
}

/* Whatever octet of the copies is another one: unrar would read another header. */
static void copies_of_headers_that_differ_are_told(void **state)
{
	struct mw_octets o = sample(RAR5_QUICK);
	const unsigned char *block = memmem(o.p, o.n, "QO", 2);
	size_t from = (size_t)(block - o.p) + 2;

	(void)state;
	for (size_t at = from; at + 8 < o.n; at++) { /* behind them is the last block */
		unsigned char altered[4096];
		struct budget b = wide_budget();
		struct seen s = { 0 };

		memcpy(altered, o.p, o.n);
		altered[at] ^= 0x41;
		assert_int_equal(open_all(mw_octets_of(altered, o.n), &b, &s), CONTAINER_BROKEN);
		assert_true(s.ambiguous);
	}
}

static void whatever_block_is_the_first_it_is_found_behind_text(void **state)
{
	static const char *const cases[] = { BEHIND_LONG_MAIN, BEHIND_PADDED_SIZE,
		BEHIND_OTHER_FIRST };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct budget b = wide_budget();
		struct seen s = { .into = &b };

		open_all(sample(cases[i]), &b, &s);
		assert_string_equal(s.names, "x.exe;");
		assert_string_equal(s.contents, "evil!;");
	}
}

static bool sfx_gives(struct mw_octets o, bool *ambiguous_r)
{
	struct budget b = wide_budget();
	struct seen s = { 0 };
	struct container_job job = { .octets = o,
		.name = "",
		.budget = &b,
		.got = seen_got,
		.arg = &s,
		.ambiguous_r = ambiguous_r };

	*ambiguous_r = false;
	return container_sfx.knows(o) && container_sfx.open(&job) == CONTAINER_WHOLE && s.count > 0;
}

/* WinRAR shows the one, whatever stands around it; the archive's own reader has not seen it. */
static void an_archive_that_is_no_member_of_its_archive_is_found(void **state)
{
	static const char *const cases[] = { IN_GZIP_FIELD, CUT_IN_ZIP };
	bool ambiguous;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		assert_true(sfx_gives(sample(cases[i]), &ambiguous));
		assert_true(ambiguous);
	}
	assert_true(sfx_gives(sample(BEHIND_PK), &ambiguous));
}

/* Of a zip's comment its own reader gives it out. */
static void an_archive_in_a_comment_is_found_once(void **state)
{
	struct budget b = wide_budget();
	struct seen s = { .into = &b };
	bool ambiguous;

	(void)state;
	open_all(sample(IN_ZIP_COMMENT), &b, &s);
	assert_true(s.ambiguous);
	assert_non_null(strstr(s.contents, "evil!"));
	assert_false(sfx_gives(sample(IN_ZIP_COMMENT), &ambiguous));
}

static void an_archive_that_is_a_member_is_not_given_twice(void **state)
{
	static const char *const cases[] = { STORED_IN_ZIP, STORED_IN_GZIP };
	bool ambiguous;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		assert_true(container_sfx.knows(sample(cases[i])));
		assert_false(sfx_gives(sample(cases[i]), &ambiguous));
		assert_false(ambiguous);
	}
}

static void every_cut_and_altered_octet_ends(void **state)
{
	static const char *const cases[] = { RAR5_TYPE_0, RAR5_GAP, RAR5_LOOSE_MAIN, RAR5_LONG_NAME,
		RAR4_RECOVERY, RAR4_OLD_SERVICE, RAR4_LINK, RAR5_QUICK, RAR5_QUICK_OTHER,
		IN_ZIP_COMMENT, IN_GZIP_FIELD, STORED_IN_ZIP, STORED_IN_GZIP };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct mw_octets o = sample(cases[i]);

		for (size_t n = 0; n < 2 * o.n; n++) {
			size_t octets = n < o.n ? n : o.n;
			unsigned char *exact = malloc(octets + 1);
			struct budget b = wide_budget();
			struct seen s = { 0 };

			memcpy(exact, o.p, octets);
			exact[n < o.n ? n / 2 : n - o.n] ^= 0x41;
			open_all(mw_octets_of(exact, octets), &b, &s);
			free(exact);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_libarchive_passes_over_is_found_and_told),
		cmocka_unit_test(what_is_called_no_file_gives_its_octets),
		cmocka_unit_test(a_name_that_is_no_text_is_told),
		cmocka_unit_test(links_and_copies_of_headers_are_nothing_odd),
		cmocka_unit_test(copies_of_headers_that_differ_are_told),
		cmocka_unit_test(whatever_block_is_the_first_it_is_found_behind_text),
		cmocka_unit_test(an_archive_that_is_no_member_of_its_archive_is_found),
		cmocka_unit_test(an_archive_in_a_comment_is_found_once),
		cmocka_unit_test(an_archive_that_is_a_member_is_not_given_twice),
		cmocka_unit_test(every_cut_and_altered_octet_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
