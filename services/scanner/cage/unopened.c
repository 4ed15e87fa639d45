#include "doc.h"
#include "unopened.h"
#include "unpack.h"

#define MAGIC(at, m) at, m, sizeof(m) - 1

static const struct {
	size_t at;
	const char *octets;
	size_t n;
} magics[] = {
	{ MAGIC(7, "**ACE**") }, { MAGIC(20, "\xdc\xa7\xc4\xfd") },	     /* zoo */
	{ MAGIC(0, "SIT!") },						     /* StuffIt */
	{ MAGIC(0, "StuffIt") }, { MAGIC(0, "LRZI") },			     /* lrzip */
	{ MAGIC(0, "\x1f\x9e") },					     /* freeze */
	{ MAGIC(0, "\x1f\x9f") }, { MAGIC(0, "BZ0") },			     /* bzip */
	{ MAGIC(0, "RE~^") },						     /* RAR before 1.5 */
	{ MAGIC(0, "ALZ\x01") }, { MAGIC(0, "EGGA") }, { MAGIC(0, "ISc(") }, /* InstallShield */
	{ MAGIC(0, "MSWIM\0\0\0") }, { MAGIC(0, "zPQ") },
	{ MAGIC(0, "7kSt\xa0\x31\x83\xd3") },					    /* zpaq */
	{ MAGIC(2, "-pm") },							    /* PMarc */
	{ MAGIC(0, "SZDD\x88\xf0\x27\x33") }, { MAGIC(0, "KWAJ\x88\xf0\x27\xd1") }, /* expand */
	{ MAGIC(0, "\x1f\x1e") },
	{ MAGIC(0, "\x1f\xa0") }, /* what gunzip knows besides: pack, lzh */
	{ MAGIC(0, "vhdxfile") }, /* disk images: Windows opens them as folders */
	{ MAGIC(0, "conectix") }, { MAGIC(0, "KDMV") }, { MAGIC(0, "QFI\xfb") },
	{ MAGIC(3, "NTFS    ") }, { MAGIC(54, "FAT12   ") }, { MAGIC(54, "FAT16   ") },
	{ MAGIC(82, "FAT32   ") }, { MAGIC(3, "EXFAT   ") }, { MAGIC(3, "ReFS\0\0\0\0") },
	{ MAGIC(0x40, "\x7f\x10\xda\xbe") },				     /* VDI */
	{ MAGIC(0, "COWD\1\0\0\0") }, { MAGIC(0, "# Disk DescriptorFile") }, /* VMDK */
	{ MAGIC(32, "NXSB") },						     /* APFS */
	{ MAGIC(16, "Compressed ROMFS") }, { MAGIC(0, "encrcdsa") }, /* DMG with a password */
	{ MAGIC(0, "pbzx\0\0") },				     /* in packages of a Mac */
	{ MAGIC(0, "\0\5\x16\0\0\1\0\0") }, { MAGIC(0, "\0\5\x16\0\0\2\0\0") }, /* AppleSingle */
	{ MAGIC(0, "ITSF") },							/* compiled help */
	{ MAGIC(0, "!BDN") }, /* Outlook's folders */
};

/* Disk images that say what they are at their end: a fixed VHD, those of a Mac. */
static const struct {
	size_t from_end;
	const char *octets;
} footers[] = { { 512, "conectix" }, { 512, "koly\0\0\0\4" }, { 8, "cdsaencr" } };

static bool has_footer(struct mw_octets o)
{
	for (size_t i = 0; i < MW_COUNT(footers); i++)
		if (o.n > 512 && memcmp(o.p + o.n - footers[i].from_end, footers[i].octets, 8) == 0)
			return true;
	return false;
}

/* Readers of cabinets look at the version ([MS-CAB] section 2.1), and not at what stands behind the
 * magic number, which others want to be zero. */
static bool is_odd_cab(struct mw_octets o)
{
	const struct unpack_kind *kind;

	if (!doc_starts(o, "MSCF", 4) || !doc_starts(doc_from(o, 24), "\3\1", 2))
		return false;
	kind = unpack_kind_of(o);
	return kind == NULL || strcmp(unpack_kind_name(kind), "cab") != 0;
}

/* Words that a text may begin with: in all of these octets that no text has follow soon. */
#define HEAD 512
static bool is_text(struct mw_octets o)
{
	for (size_t i = 0; i < o.n && i < HEAD; i++)
		if (o.p[i] < 0x20 && (o.p[i] < '\t' || o.p[i] > '\r'))
			return false;
	return true;
}

static bool has_magic(struct mw_octets o)
{
	for (size_t i = 0; i < MW_COUNT(magics); i++)
		if (o.n > magics[i].at + magics[i].n &&
			memcmp(o.p + magics[i].at, magics[i].octets, magics[i].n) == 0)
			return magics[i].octets[0] == '#' || !is_text(o);
	return false;
}

static bool knows(struct mw_octets o)
{
	return has_magic(o) || has_footer(o) || doc_is_disk(o) || is_odd_cab(o);
}

static enum container_end open_none(const struct container_job *job)
{
	(void)job;
	return CONTAINER_BROKEN;
}

const struct container container_unopened = { "unopened", knows, open_none };
