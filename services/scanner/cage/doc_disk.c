/*
 * Images of disks, by what a system, or 7-Zip, that opens them as folders looks at. A few octets
 * that other files have by chance are not enough: each kind is one in less than 10^9 files of
 * random octets, and the second looks are no stricter than the programs that open it.
 */
#include "doc.h"
#include "unopened.h"

#define SECTOR ((size_t)512)

static uint32_t big16(struct mw_octets o, size_t at)
{
	return doc_u8(o, at) << 8 | doc_u8(o, at + 1);
}

static uint32_t big32(struct mw_octets o, size_t at)
{
	return big16(o, at) << 16 | big16(o, at + 2);
}

static bool has(struct mw_octets o, size_t at, const char *octets, size_t n)
{
	return doc_starts(doc_from(o, at), octets, n);
}

static bool is_power(uint32_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

/* ------------------------------------------------------------------ tables of partitions */

#define MBR_TABLE 446
#define MBR_ENTRY 16
#define MBR_ENTRIES 4
#define MBR_MARK 510

/* Where it is, in cylinders, heads and sectors: sectors count from 1. */
static bool has_places(struct mw_octets o, size_t entry)
{
	return (doc_u8(o, entry + 2) & 0x3f) != 0 && (doc_u8(o, entry + 6) & 0x3f) != 0;
}

/* A kernel of Linux has the mark, and parameters where the last partition would stand: it ends
 * beyond the file, and is at no place. */
static bool is_partition(struct mw_octets o, size_t entry)
{
	uint64_t first = doc_u32(o, entry + 8), count = doc_u32(o, entry + 12);

	return (doc_u8(o, entry) & 0x7f) == 0 && first != 0 && count != 0 &&
	       first + count <= UINT32_MAX &&
	       (has_places(o, entry) || first + count <= o.n / SECTOR);
}

/* A boot record with a table: one partition at least, and none that is nonsense. Of an entry that
 * is not used readers look at nothing else. */
static bool is_mbr(struct mw_octets o)
{
	unsigned partitions = 0;

	if (!has(o, MBR_MARK, "\x55\xaa", 2))
		return false;
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		size_t entry = MBR_TABLE + i * MBR_ENTRY;

		if (doc_u8(o, entry + 4) == 0)
			continue;
		if (!is_partition(o, entry))
			return false;
		partitions++;
	}
	return partitions != 0;
}

/* The sector behind the first, of whatever size it is. */
static bool is_gpt(struct mw_octets o)
{
	return has(o, SECTOR, "EFI PART", 8) || has(o, 8 * SECTOR, "EFI PART", 8);
}

/* A Mac's: the driver's record, which may be missing, and the map's first entry. */
static bool is_apple_map(struct mw_octets o)
{
	uint32_t block = big16(o, 2);

	return (doc_starts(o, "ER", 2) &&
		       (has(o, SECTOR, "PM", 2) ||
			       (is_power(block) && block > SECTOR && has(o, block, "PM", 2)))) ||
	       (has(o, SECTOR, "PM\0\0", 4) && has(o, SECTOR + 48, "Apple_", 6));
}

/* ------------------------------------------------------------------ file systems */

/* A volume needs no label, and not every reader wants both the jump and the mark. */
static bool is_fat(struct mw_octets o)
{
	bool jump = doc_u8(o, 0) == 0xe9 || (doc_u8(o, 0) == 0xeb && doc_u8(o, 2) == 0x90);
	uint32_t sector = doc_u16(o, 11);

	return o.n > SECTOR && (jump || has(o, MBR_MARK, "\x55\xaa", 2)) && is_power(sector) &&
	       sector >= 512 && sector <= 4096 && is_power(doc_u8(o, 13)) && doc_u16(o, 14) != 0 &&
	       (doc_u8(o, 16) == 1 || doc_u8(o, 16) == 2) &&
	       (doc_u8(o, 21) == 0xf0 || doc_u8(o, 21) >= 0xf8) &&
	       (doc_u16(o, 19) != 0 || doc_u32(o, 32) != 0);
}

/* The volume's header stands in the third sector: HFS, HFS+ and HFSX. */
#define HFS ((size_t)1024)
static bool is_hfs(struct mw_octets o)
{
	uint32_t size = big32(o, HFS + 20);

	if (has(o, HFS, "H+\0\4", 4) || has(o, HFS, "HX\0\5", 4))
		return is_power(big32(o, HFS + 40)) && big32(o, HFS + 40) >= SECTOR;
	return has(o, HFS, "BD", 2) && big16(o, HFS + 18) != 0 && size != 0 && size % SECTOR == 0 &&
	       size < 1 << 24 && doc_u8(o, HFS + 36) - 1 < 27;
}

#define EXT ((size_t)1024)
static bool is_ext(struct mw_octets o)
{
	return has(o, EXT + 56, "\x53\xef", 2) && doc_u32(o, EXT + 24) <= 6 &&
	       doc_u32(o, EXT) != 0 && doc_u32(o, EXT + 4) != 0;
}

/* In either order of octets; versions up to 4. */
static bool is_squash(struct mw_octets o)
{
	static const char *const magics[] = { "hsqs", "sqsh", "shsq", "qshs" };
	bool magic = false;

	for (size_t i = 0; i < MW_COUNT(magics); i++)
		magic = magic || doc_starts(o, magics[i], 4);
	return magic && (doc_u16(o, 28) - 1 < 4 || big16(o, 28) - 1 < 4);
}

/* ------------------------------------------------------------------ UDF */

/* ECMA-167 part 2, section 9: one of the descriptors of a disc is named so. Systems prefer it to
 * the ISO 9660 that may stand beside it with other files. */
#define DISC_SECTOR ((size_t)2048)
#define DISC_FIRST 16
#define DISC_LAST 64
static bool is_named_udf(struct mw_octets o)
{
	for (size_t at = DISC_FIRST * DISC_SECTOR; at < DISC_LAST * DISC_SECTOR && at + 8 <= o.n;
		at += DISC_SECTOR)
		if (memcmp(o.p + at + 1, "NSR0", 4) == 0)
			return true;
	return false;
}

/* A tag that says what is behind it (part 3, section 7.2), and where the volume's descriptors are
 * (section 10.2): inside of the file. */
static bool is_anchor(struct mw_octets o, size_t at, size_t sector)
{
	unsigned sum = 0;
	uint32_t octets = doc_u32(o, at + 16), first = doc_u32(o, at + 20);

	for (size_t i = 0; i < 16; i++)
		sum += i != 4 ? doc_u8(o, at + i) : 0;
	return doc_u16(o, at) == 2 && (sum & 0xff) == doc_u8(o, at + 4) && doc_u8(o, at + 5) == 0 &&
	       octets != 0 && octets % sector == 0 && first != 0 && first < o.n / sector;
}

#define ANCHOR ((size_t)256) /* its sector, from the beginning, or from the end */
static bool has_anchor(struct mw_octets o)
{
	for (size_t sector = 256; sector <= 4096; sector *= 2) {
		if (o.n < (ANCHOR + 1) * sector)
			break;
		if (is_anchor(o, ANCHOR * sector, sector) || is_anchor(o, o.n - sector, sector) ||
			is_anchor(o, o.n - ANCHOR * sector, sector) ||
			is_anchor(o, o.n - (ANCHOR + 1) * sector, sector))
			return true;
	}
	return false;
}

/* ------------------------------------------------------------------ all of them */

bool doc_is_disk(struct mw_octets o)
{
	static bool (*const kinds[])(struct mw_octets o) = { is_mbr, is_gpt, is_apple_map, is_fat,
		is_hfs, is_ext, is_squash, is_named_udf, has_anchor };

	for (size_t i = 0; i < MW_COUNT(kinds); i++)
		if (kinds[i](o))
			return true;
	return false;
}
