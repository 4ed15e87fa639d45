/* What content is called, by our own table and by libmagic. */
#include "help.h"

#include "types.h"

static struct types *types;

static int open_types(void **state)
{
	struct mw_err err;

	(void)state;
	types = types_open(&err);
	return types != NULL ? 0 : -1;
}

static int close_types(void **state)
{
	(void)state;
	types_close(&types);
	return 0;
}

/* "exe,exe-ms" */
static const char *names_of(struct types *t, const void *octets, size_t n)
{
	static char out[200];
	const char *const *list = types_of(t, mw_octets_of(octets, n));
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; list[i] != NULL; i++)
		at += (size_t)snprintf(
			out + at, sizeof(out) - at, "%s%s", i > 0 ? "," : "", list[i]);
	return out;
}

#define PE(characteristics)                                                                        \
	"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0\xb8\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0"                 \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\0\0"                       \
	"PE\0\0\x4c\1\1\0\0\0\0\0\0\0\0\0\0\0\0\0\xe0\0" characteristics
#define ROW(octets, names)                                                                         \
	{                                                                                          \
		octets, sizeof(octets) - 1, names                                                  \
	}

static const struct row {
	const char *octets;
	size_t n;
	const char *names;
} rows[] = {
	ROW("", "empty"),
	ROW("hello", "asc"),
	ROW("a\r\nb\tc\f\x1b[0m\b\a\n", "asc"),
	ROW("caf\xc3\xa9", "txt"),
	ROW("caf\xe9", "txt"),
	ROW("\xff\xfeh\0i\0", "txt"),
	ROW("MZ is not always a program", "asc"),
	ROW("BZhere", "asc"),
	ROW("  \r\n<!DOCTYPE HTML PUBLIC", "html"),
	ROW("\xef\xbb\xbf<html>", "html"),
	ROW("<?xml version=\"1.0\"?>", "xml"),
	ROW("<svg xmlns=", "image,svg"),
	ROW("#!/bin/sh\n", "txt"),
	ROW("begin 644 foo.exe\n", "uue"),
	ROW("{\\rtf1", "rtf"),
	ROW("%!PS-Adobe", "ps"),
	ROW("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "pdf"),
	ROW("junk %PDF-1.4\n\0", "pdf"),
	ROW("[InternetShortcut]\r\nURL=", "url"),
	ROW("-----BEGIN PGP MESSAGE-----\n", "pgp,pgp.enc"),
	ROW("-----BEGIN PGP SIGNATURE-----\n", "pgp,pgp.asc"),
	ROW(PE("\x02\x01"), "exe,exe-ms"),
	ROW(PE("\x02\x21"), "exe,dll"),
	ROW("MZ\0", "exe,exe-ms"),
	ROW("\x7f"
	    "ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\x3e\0",
		"exe,exe-unix"),
	ROW("\x7f"
	    "ELF\2\1\1\0\0\0\0\0\0\0\0\0\1\0\x3e\0",
		"o"),
	ROW("\x7f"
	    "ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0\x3e\0",
		"so"),
	ROW("\x7f"
	    "ELF",
		"exe,exe-unix"),
	ROW("PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0a.exe", "zip"),
	ROW("PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x13\0\0\0[Content_Types].xml",
		"doc"),
	ROW("PK\5\6\0\0\0\0", "zip"),
	ROW("\x1f\x8b\x08", "gz"),
	ROW("BZh91AY&SY\0\1", "bz2"),
	ROW("\xfd"
	    "7zXZ\0",
		"xz"),
	ROW("7z\xbc\xaf\x27\x1c", "7z"),
	ROW("Rar!\x1a\x07\1\0", "rar"),
	ROW("MSCF\0\0\0\0", "cab"),
	ROW("MSCF\1\2\3\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\3\1", "cab"),
	ROW("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "doc,cdf-ms"),
	ROW("\x89PNG\r\n\x1a\n", "image,png"),
	ROW("\xff\xd8\xff\xe0\0\x10JFIF", "image,jpg"),
	ROW("GIF89a\1\0\1\0", "image,gif"),
	ROW("RIFF\0\1\0\0WAVEfmt ", "audio,wav"),
	ROW("RIFF\0\1\0\0AVI LIST", "movie,avi"),
	ROW("ID3\4\0\0", "audio,mpa,mp3"),
	ROW("\xca\xfe\xba\xbe\0\0\0\x34", "java"),
	ROW("\xca\xfe\xba\xbe\0\0\0\2", "exe"),
	ROW("\x78\x9f\x3e\x22\0", "tnef"),
	ROW("!<arch>\ndebian-binary ", "deb"),
	ROW("!<arch>\nfoo", "a"),
	ROW("\xed\xab\xee\xdb\3\0", "rpm"),
	ROW("\0\1\2\3\4\5\6\7", "dat"),
};

static void content_has_short_types(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		const char *names = names_of(types, rows[i].octets, rows[i].n);

		if (strcmp(names, rows[i].names) != 0)
			fail_msg("row %zu (%.20s): %s, expected %s", i, rows[i].octets, names,
				rows[i].names);
	}
}

/* Each of the table, at its own length: a step too far would be seen. */
static void cut_content_is_read_to_its_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		for (size_t n = 0; n < rows[i].n; n++) {
			char *copy = malloc(n > 0 ? n : 1);

			assert_non_null(copy);
			memcpy(copy, rows[i].octets, n);
			assert_non_null(types_of(NULL, mw_octets_of(copy, n))[0]);
			free(copy);
		}
}

static void without_libmagic_our_table_answers(void **state)
{
	(void)state;
	assert_string_equal(names_of(NULL, "PK\5\6\0", 5), "zip");
	assert_string_equal(names_of(NULL, "\0\1\2\3", 4), "dat");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_has_short_types),
		cmocka_unit_test(cut_content_is_read_to_its_end),
		cmocka_unit_test(without_libmagic_our_table_answers),
	};

	return cmocka_run_group_tests(tests, open_types, close_types);
}
