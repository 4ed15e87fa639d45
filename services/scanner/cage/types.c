#include "types.h"

#include <magic.h>
#include <stdlib.h>
#include <strings.h>

struct types {
	magic_t magic;
};

/* Lists of short types end with NULL. */
static const char *const is_o[TYPES_MAX] = { "o" };
static const char *const is_so[TYPES_MAX] = { "so" };
static const char *const is_doc[TYPES_MAX] = { "doc" };
static const char *const is_zip[TYPES_MAX] = { "zip" };
static const char *const is_wav[TYPES_MAX] = { "audio", "wav" };
static const char *const is_ani[TYPES_MAX] = { "movie", "ani" };
static const char *const is_avi[TYPES_MAX] = { "movie", "avi" };
static const char *const is_oga[TYPES_MAX] = { "audio", "oga" };
static const char *const is_ogg[TYPES_MAX] = { "audio", "ogg" };
static const char *const is_exe[TYPES_MAX] = { "exe" };
static const char *const is_java[TYPES_MAX] = { "java" };
static const char *const is_bmp[TYPES_MAX] = { "image", "bmp" };
static const char *const is_pdf[TYPES_MAX] = { "pdf" };
static const char *const is_cab[TYPES_MAX] = { "cab" };
static const char *const is_empty[TYPES_MAX] = { "empty" };
static const char *const is_asc[TYPES_MAX] = { "asc" };
static const char *const is_txt[TYPES_MAX] = { "txt" };
static const char *const is_dat[TYPES_MAX] = { "dat" };
static const char *const is_exe_ms[TYPES_MAX] = { "exe", "exe-ms" };
static const char *const is_exe_dll[TYPES_MAX] = { "exe", "dll" };
static const char *const is_exe_unix[TYPES_MAX] = { "exe", "exe-unix" };

/* ------------------------------------------------------------------ magic numbers */

#define MAGIC(at, m) at, m, sizeof(m) - 1

/* The first that matches; those that need a second look are functions below. */
static const struct magic {
	size_t at;
	const char *octets;
	size_t n;
	const char *types[TYPES_MAX];
} magics[] = {
	{ MAGIC(0, "\xff\xd8\xff"), { "image", "jpg" } },
	{ MAGIC(0, "\x89PNG\r\n\x1a\n"), { "image", "png" } },
	{ MAGIC(0, "GIF8"), { "image", "gif" } },
	{ MAGIC(0, "II*\0"), { "image", "tif" } },
	{ MAGIC(0, "MM\0*"), { "image", "tif" } },
	{ MAGIC(0, "PK\x05\x06"), { "zip" } },
	{ MAGIC(0, "PK\x07\x08"), { "zip" } },
	{ MAGIC(0, "PK00PK\x03\x04"), { "zip" } },
	{ MAGIC(0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), { "doc", "cdf-ms" } },
	{ MAGIC(0, "\x1f\x8b"), { "gz" } },
	{ MAGIC(0, "BZh"), { "bz2" } },
	{ MAGIC(0, "BZ0"), { "bz" } },
	{ MAGIC(0, "\xfd"
		   "7zXZ\0"),
		{ "xz" } },
	{ MAGIC(0, "\x5d\0\0"), { "lzma" } },
	{ MAGIC(0, "LRZI"), { "lrz" } },
	{ MAGIC(0, "\x89LZO\0\r\n\x1a\n"), { "lzo" } },
	{ MAGIC(0, "\x04\x22\x4d\x18"), { "lz4" } },
	{ MAGIC(0, "\x28\xb5\x2f\xfd"), { "zst" } },
	{ MAGIC(0, "\x1f\x9d"), { "Z" } },
	{ MAGIC(0, "\x1f\x9e"), { "F" } },
	{ MAGIC(0, "\x1f\x9f"), { "F" } },
	{ MAGIC(0, "7z\xbc\xaf\x27\x1c"), { "7z" } },
	{ MAGIC(0, "Rar!\x1a\x07"), { "rar" } },
	{ MAGIC(0, "RE~^"), { "rar" } },
	{ MAGIC(2, "-lh"), { "lha" } },
	{ MAGIC(2, "-lz"), { "lha" } },
	{ MAGIC(0, "\x60\xea"), { "arj" } },
	{ MAGIC(7, "**ACE**"), { "ace" } },
	{ MAGIC(20, "\xdc\xa7\xc4\xfd"), { "zoo" } },
	{ MAGIC(257, "ustar"), { "tar" } },
	{ MAGIC(0, "070701"), { "cpio" } },
	{ MAGIC(0, "070702"), { "cpio" } },
	{ MAGIC(0, "070707"), { "cpio" } },
	{ MAGIC(0, "\xc7\x71"), { "cpio" } },
	{ MAGIC(0, "\x71\xc7"), { "cpio" } },
	{ MAGIC(0, "SIT!"), { "sit" } },
	{ MAGIC(0, "StuffIt"), { "sit" } },
	{ MAGIC(0, "!<arch>\ndebian"), { "deb" } },
	{ MAGIC(0, "!<arch>\n"), { "a" } },
	{ MAGIC(0, "\xed\xab\xee\xdb"), { "rpm" } },
	{ MAGIC(0, "\x78\x9f\x3e\x22"), { "tnef" } },
	{ MAGIC(0, "ISc("), { "installshield" } },
	{ MAGIC(32769, "CD001"), { "iso" } },
	{ MAGIC(0, "FWS"), { "swf" } },
	{ MAGIC(0, "CWS"), { "swf" } },
	{ MAGIC(0, "ZWS"), { "swf" } },
	{ MAGIC(0, "fLaC"), { "audio", "flac" } },
	{ MAGIC(0, "ID3"), { "audio", "mpa", "mp3" } },
	{ MAGIC(0, "\0\0\x01\xba"), { "movie", "mpg" } },
	{ MAGIC(0, "\0\0\x01\xb3"), { "movie", "mpv" } },
	{ MAGIC(0, "\x1a\x45\xdf\xa3"), { "movie", "mkv" } },
	{ MAGIC(0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11"), { "movie", "wmv" } },
	{ MAGIC(0, "\xd7\xcd\xc6\x9a"), { "wmf" } },
	{ MAGIC(0, "\xf7\x02"), { "dvi" } },
	{ MAGIC(0, "\xde\x12\x04\x95"), { "mo" } },
	{ MAGIC(0, "\x95\x04\x12\xde"), { "mo" } },
	{ MAGIC(0, "\xfe\xed\xfa\xce"), { "exe" } }, /* Mach-O */
	{ MAGIC(0, "\xfe\xed\xfa\xcf"), { "exe" } },
	{ MAGIC(0, "\xce\xfa\xed\xfe"), { "exe" } },
	{ MAGIC(0, "\xcf\xfa\xed\xfe"), { "exe" } },
};

static bool has(struct mw_octets o, size_t at, const char *octets, size_t n)
{
	return o.n >= at + n && memcmp(o.p + at, octets, n) == 0;
}

static unsigned little16(struct mw_octets o, size_t at)
{
	return at + 2 <= o.n ? (unsigned)(o.p[at] | o.p[at + 1] << 8) : 0;
}

static uint32_t little32(struct mw_octets o, size_t at)
{
	return little16(o, at) | (uint32_t)little16(o, at + 2) << 16;
}

/* Programs of DOS and Windows. What begins as one is one, whatever becomes of it. */
static const char *const *types_of_mz(struct mw_octets o)
{
	size_t pe = little32(o, 0x3c);

	if (o.n >= 64 && pe < o.n && has(o, pe, "PE\0\0", 4))
		return (little16(o, pe + 22) & 0x2000) != 0 ? is_exe_dll
							    : is_exe_ms; /* IMAGE_FILE_DLL */
	return is_exe_ms;
}

static bool has_interpreter(struct mw_octets o, bool wide)
{
	size_t table = little32(o, wide ? 32 : 28), step = little16(o, wide ? 54 : 42),
	       count = little16(o, wide ? 56 : 44);

	for (size_t i = 0; i < count && table + i * step + 4 <= o.n; i++)
		if (little32(o, table + i * step) == 3) /* PT_INTERP */
			return true;
	return false;
}

static const char *const *types_of_elf(struct mw_octets o)
{
	bool big = o.n > 5 && o.p[5] == 2;
	unsigned type = o.n < 18 ? 2 : big ? o.p[17] : o.p[16];

	if (type == 1)
		return is_o;
	/* A program that can be loaded anywhere says that it is a library. */
	if (type == 3 && !big && !has_interpreter(o, o.p[4] == 2))
		return is_so;
	return is_exe_unix;
}

/* What an archive's first member says about it: documents of office programs are zip files. */
static const char *const *types_of_zip(struct mw_octets o)
{
	static const char *const office[] = { "[Content_Types].xml", "_rels/.rels", "docProps/" };

	for (size_t i = 0; i < MW_COUNT(office); i++)
		if (has(o, 30, office[i], strlen(office[i])))
			return is_doc;
	return is_zip;
}

static const char *const *types_of_riff(struct mw_octets o)
{
	if (has(o, 8, "WAVE", 4))
		return is_wav;
	if (has(o, 8, "ACON", 4))
		return is_ani;
	return has(o, 8, "AVI ", 4) ? is_avi : NULL;
}

static const char *const *types_of_ogg(struct mw_octets o)
{
	return has(o, 28,
		       "\x7f"
		       "FLAC",
		       5)
		       ? is_oga
		       : is_ogg;
}

/* Java's classes and programs of macOS for several processors begin alike: the former have versions
 * from 45 on, the latter a handful of parts. */
static const char *const *types_of_cafebabe(struct mw_octets o)
{
	return o.n >= 8 && o.p[4] == 0 && o.p[5] == 0 && o.p[6] == 0 && o.p[7] < 40 ? is_exe
										    : is_java;
}

/* Readers look at the version, not at what is behind the magic number. */
static const char *const *types_of_cab(struct mw_octets o)
{
	return has(o, 4, "\0\0\0\0", 4) || has(o, 24, "\3\1", 2) ? is_cab : NULL;
}

static const struct looked_into {
	const char *octets;
	size_t n;
	const char *const *(*types)(struct mw_octets o);
} looked_into[] = {
	{ "MZ", 2, types_of_mz },
	{ "ZM", 2, types_of_mz },
	{ "\x7f"
	  "ELF",
		4, types_of_elf },
	{ "PK\x03\x04", 4, types_of_zip },
	{ "RIFF", 4, types_of_riff },
	{ "OggS", 4, types_of_ogg },
	{ "\xca\xfe\xba\xbe", 4, types_of_cafebabe },
	{ "MSCF", 4, types_of_cab },
};

/* A text may begin with MZ. */
static bool matches(struct mw_octets o, size_t at, const char *octets, size_t n, bool text)
{
	return has(o, at, octets, n) && (!text || !mw_is_printable(octets, n));
}

static const char *const *by_magic(struct mw_octets o, bool text)
{
	const char *const *types = NULL;

	for (size_t i = 0; i < MW_COUNT(looked_into) && types == NULL; i++)
		if (matches(o, 0, looked_into[i].octets, looked_into[i].n, text))
			types = looked_into[i].types(o);
	for (size_t i = 0; i < MW_COUNT(magics) && types == NULL; i++)
		if (matches(o, magics[i].at, magics[i].octets, magics[i].n, text))
			types = magics[i].types;
	if (types == NULL && o.n >= 26 && has(o, 0, "BM", 2) && has(o, 6, "\0\0\0\0", 4))
		types = is_bmp;
	/* Readers find a PDF anywhere in the first KiB. */
	if (types == NULL && memmem(o.p, o.n < 1024 ? o.n : 1024, "%PDF-", 5) != NULL)
		types = is_pdf;
	return types;
}

/* ------------------------------------------------------------------ text */

enum text { TEXT_NONE, TEXT_ASCII, TEXT_WIDE };

/* Octets that occur in text (file(1)'s idea of it): with a NUL or another control it is none. */
static enum text text_of(struct mw_octets o)
{
	static const uint32_t allowed = MW_BIT('\a') | MW_BIT('\b') | MW_BIT('\t') | MW_BIT('\n') |
					MW_BIT('\f') | MW_BIT('\r') | MW_BIT(27);
	const uint64_t low = 0x2020202020202020, high = 0x8080808080808080;
	enum text text = TEXT_ASCII;
	size_t i = 0, n = o.n < TYPES_TEXT_OCTETS ? o.n : TYPES_TEXT_OCTETS;
	uint64_t w;

	if (n >= 2 && ((o.p[0] == 0xff && o.p[1] == 0xfe) || (o.p[0] == 0xfe && o.p[1] == 0xff)))
		return TEXT_WIDE; /* UTF-16 */
	while (i < n) {
		if (n - i >= 8 && (memcpy(&w, o.p + i, 8), ((w | (w - low)) & high) == 0)) {
			i += 8;
			continue;
		}
		if ((o.p[i] < 0x20 && (allowed & MW_BIT(o.p[i])) == 0) || o.p[i] == 0x7f)
			return TEXT_NONE;
		if (o.p[i++] >= 0x80)
			text = TEXT_WIDE;
	}
	return text;
}

/* What text begins with, in any case, behind blanks. */
static const struct opening {
	const char *text;
	const char *types[TYPES_MAX];
} openings[] = {
	{ "<!doctype html", { "html" } },
	{ "<html", { "html" } },
	{ "<head", { "html" } },
	{ "<body", { "html" } },
	{ "<script", { "html" } },
	{ "<svg", { "image", "svg" } },
	{ "<?xml", { "xml" } },
	{ "<!doctype", { "sgml" } },
	{ "%!PS", { "ps" } },
	{ "{\\rtf", { "rtf" } },
	{ "#!", { "txt" } },
	{ "begin 6", { "uue" } },
	{ "begin 7", { "uue" } },
	{ "(This file must be converted with BinHex", { "hqx" } },
	{ "[InternetShortcut]", { "url" } },
	{ "-----BEGIN PGP SIGNATURE", { "pgp", "pgp.asc" } },
	{ "-----BEGIN PGP SIGNED MESSAGE", { "pgp", "pgp.asc" } },
	{ "-----BEGIN PGP PUBLIC KEY", { "pgp", "pgp.asc" } },
	{ "-----BEGIN PGP MESSAGE", { "pgp", "pgp.enc" } },
};

static const char *const *by_opening(struct mw_octets o)
{
	size_t i = o.n >= 3 && memcmp(o.p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

	while (i < o.n && strchr(" \t\r\n", o.p[i]) != NULL && o.p[i] != '\0')
		i++;
	for (size_t k = 0; k < MW_COUNT(openings); k++) {
		size_t n = strlen(openings[k].text);

		if (o.n - i >= n && strncasecmp((const char *)o.p + i, openings[k].text, n) == 0)
			return openings[k].types;
	}
	return NULL;
}

/* ------------------------------------------------------------------ libmagic */

/* What libmagic says begins with, or holds: amavisd's table, of what our own does not know. */
static const struct said {
	const char *text;
	bool anywhere;
	const char *types[TYPES_MAX];
} said[] = {
	{ "PGP message Sig", false, { "pgp", "pgp.asc" } },
	{ "PGP message", false, { "pgp", "pgp.enc" } },
	{ "PGP RSA encrypted", false, { "pgp", "pgp.enc" } },
	{ "PGP symmetric key encrypted", false, { "pgp", "pgp.enc" } },
	{ "GPG encrypted", false, { "pgp", "pgp.enc" } },
	{ "PGP public key", false, { "pgp", "pgp.asc" } },
	{ "OpenPGP Public Key", false, { "pgp", "pgp.asc" } },
	{ "PGP", false, { "pgp" } },
	{ "OpenPGP", false, { "pgp" } },
	{ "PCX", false, { "image", "pcx" } },
	{ "PC bitmap", false, { "image", "bmp" } },
	{ "SVG", false, { "image", "svg" } },
	{ "JPEG", false, { "image", "jpg" } },
	{ "TIFF", false, { "image", "tif" } },
	{ "MPEG ADTS, layer III", false, { "audio", "mpa", "mp3" } },
	{ "MPEG ADTS", false, { "audio", "mpa", "mp2" } },
	{ "ISO Media, MPEG v4 system, 3GPP", false, { "audio", "mpa", "3gpp" } },
	{ "ISO Media, MPEG v4 system", false, { "audio", "mpa", "m4a", "m4b" } },
	{ "ISO Media, Apple iTunes ALAC/AAC", false, { "audio", "mpa", "m4a", "m4b" } },
	{ "MPEG", false, { "movie", "mpg" } },
	{ "Microsoft ASF", false, { "movie", "wmv" } },
	{ "Macromedia Flash", false, { "swf" } },
	{ "Microsoft Office", false, { "doc" } },
	{ "Microsoft Word", false, { "doc" } },
	{ "Microsoft Installer", false, { "doc" } },
	{ "Composite Document", false, { "doc", "cdf-ms" } },
	{ "ms-windows metaf", false, { "wmf" } },
	{ "Windows metafile", false, { "wmf" } },
	{ "compiled Java class", false, { "java" } },
	{ "frozen", false, { "F" } },
	{ "lzop compressed", false, { "lzo" } },
	{ "LZ4 compressed", false, { "lz4" } },
	{ "compress'd", false, { "Z" } },
	{ "Zip archive", false, { "zip" } },
	{ "RAR archive", false, { "rar" } },
	{ "LHa", false, { "lha" } },
	{ "ARC archive", false, { "arc" } },
	{ "ARJ archive", false, { "arj" } },
	{ "ACE archive", false, { "ace" } },
	{ "Zoo archive", false, { "zoo" } },
	{ "tar archive", true, { "tar" } },
	{ "cpio archive", true, { "cpio" } },
	{ "StuffIt", false, { "sit" } },
	{ "RPM", false, { "rpm" } },
	{ "Transport Neutral", false, { "tnef" } },
	{ "TNEF", false, { "tnef" } },
	{ "Microsoft Cabinet", false, { "cab" } },
	{ "InstallShield", false, { "installshield" } },
	{ "ISO 9660", false, { "iso" } },
	{ "VMS", false, { "exe", "exe-vms" } },
	{ "DOS executable (COM)", true, { "asc" } }, /* libmagic takes much for one, says amavisd */
	{ "COM executable for DOS", false, { "asc" } },
	{ "for MS Windows", true, { "exe", "exe-ms" } },
	{ "DOS executable", true, { "exe", "exe-ms" } },
	{ "ELF", false, { "exe", "exe-unix" } },
	{ "COFF", false, { "exe", "exe-unix" } },
	{ "executable", true, { "exe" } },
	{ " text", true, { "asc" } },
};

static const char *const *by_words(const char *words)
{
	for (size_t i = 0; i < MW_COUNT(said); i++)
		if (said[i].anywhere ? strcasestr(words, said[i].text) != NULL
				     : strncasecmp(words, said[i].text, strlen(said[i].text)) == 0)
			return said[i].types;
	return is_dat;
}

struct types *types_open(struct mw_err *err_r)
{
	struct types *t = calloc(1, sizeof(*t));
	const char *why;

	/* Nothing that opens files, runs programs, or that our own table does better. */
	if (t != NULL)
		t->magic = magic_open(MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_TAR |
				      MAGIC_NO_CHECK_APPTYPE | MAGIC_NO_CHECK_ELF |
				      MAGIC_NO_CHECK_TEXT | MAGIC_NO_CHECK_CDF |
				      MAGIC_NO_CHECK_CSV | MAGIC_NO_CHECK_TOKENS |
				      MAGIC_NO_CHECK_ENCODING | MAGIC_NO_CHECK_JSON);
	if (t != NULL && t->magic != NULL && magic_load(t->magic, NULL) == 0)
		return t;
	why = t != NULL && t->magic != NULL ? magic_error(t->magic) : NULL;
	mw_fail(err_r, MW_ERR_IO, "libmagic cannot be loaded: %s", why != NULL ? why : "no memory");
	types_close(&t);
	return NULL;
}

void types_close(struct types **t_p)
{
	struct types *t = *t_p;

	*t_p = NULL;
	if (t != NULL && t->magic != NULL)
		magic_close(t->magic);
	free(t);
}

const char *const *types_of(struct types *t, struct mw_octets o)
{
	const char *const *types;
	const char *words = NULL;
	enum text text;

	if (o.n == 0)
		return is_empty;
	text = text_of(o);
	types = by_magic(o, text != TEXT_NONE);
	if (types != NULL)
		return types;
	if (text != TEXT_NONE) {
		types = by_opening(o);
		if (types != NULL)
			return types;
		return text == TEXT_ASCII ? is_asc : is_txt;
	}
	if (t != NULL)
		words = magic_buffer(
			t->magic, o.p, o.n < TYPES_MAGIC_OCTETS ? o.n : TYPES_MAGIC_OCTETS);
	return words != NULL ? by_words(words) : is_dat;
}
