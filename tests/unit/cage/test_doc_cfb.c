/* Compound files: streams with their paths, packages, messages' attachments, macros; loops and
 * cuts. */
#include "doc_help.h"

#include "cfb.h"

#define SECTOR 512u
#define CUTOFF 4096u
#define FREE 0xffffffffu
#define END 0xfffffffeu

struct file {
	const char *name; /* \1 and MSI's packed characters are no matter: ASCII is widened */
	unsigned parent;  /* index of the storage it lies in, from 1; 0: the root */
	const char *text; /* NULL: a storage */
	size_t n;	  /* 0: of text */
};

/* Where things stand in what was built, for those who break it. */
static struct {
	size_t fat, directory, minifat, mini;
	uint32_t large; /* first sector of the large streams */
} at;

static void set32(struct made *m, size_t where, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		m->p[where + i] = (unsigned char)(v >> 8 * i);
}

static uint32_t sectors_of(size_t n)
{
	return (uint32_t)((n + SECTOR - 1) / SECTOR);
}

static size_t size_of(const struct file *f)
{
	return f->text == NULL ? 0 : f->n != 0 ? f->n : strlen(f->text);
}

static void put_entry(struct made *m, const char *name, unsigned kind, uint32_t right,
	uint32_t child, uint32_t start, size_t size)
{
	size_t from = m->n, n = strlen(name);

	put_zeros(m, 128);
	for (size_t i = 0; i < n; i++)
		m->p[from + 2 * i] = (unsigned char)name[i];
	m->p[from + 64] = (unsigned char)(2 * n + 2);
	m->p[from + 66] = (unsigned char)kind;
	set32(m, from + 68, FREE);
	set32(m, from + 72, right);
	set32(m, from + 76, child);
	set32(m, from + 116, start);
	set32(m, from + 120, (uint32_t)size);
}

/* The first (from == 0) or next file in a storage. */
static uint32_t sibling(const struct file *files, size_t count, size_t from, unsigned parent)
{
	for (size_t i = from; i < count; i++)
		if (files[i].parent == parent)
			return (uint32_t)i + 1;
	return FREE;
}

/* A file of version 3: FAT, directory, mini FAT, mini stream, large streams; backwards: the sectors
 * of large streams follow each other from the last to the first. */
static void build(struct made *m, const struct file *files, size_t count, bool backwards)
{
	uint32_t dir = sectors_of((count + 1) * 128), minis = 0, next, mini_at = 0, mini_sectors;

	for (size_t i = 0; i < count; i++)
		if (size_of(&files[i]) < CUTOFF)
			minis += (uint32_t)(size_of(&files[i]) + 63) / 64;
	mini_sectors = sectors_of((size_t)minis * 64);
	m->n = 0;
	put(m, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8);
	put_zeros(m, 16);
	put16(m, 0x3e);
	put16(m, 3);
	put16(m, 0xfffe);
	put16(m, 9);
	put16(m, 6);
	put_zeros(m, 10);
	put32(m, 1); /* sectors of the FAT */
	put32(m, 1); /* the directory's first */
	put32(m, 0);
	put32(m, CUTOFF);
	put32(m, minis != 0 ? 1 + dir : END);
	put32(m, minis != 0);
	put32(m, END);
	put32(m, 0);
	put32(m, 0);
	while (m->n < SECTOR)
		put32(m, FREE);
	at.fat = m->n;
	while (m->n < 2 * SECTOR)
		put32(m, FREE);
	set32(m, at.fat, 0xfffffffd);
	for (uint32_t i = 0; i < dir; i++)
		set32(m, at.fat + 4 * (1 + i), i + 1 < dir ? 2 + i : END);
	at.directory = m->n;
	next = 1 + dir;
	if (minis != 0)
		set32(m, at.fat + 4 * next++, END);
	put_entry(m, "Root Entry", 5, FREE, sibling(files, count, 0, 0), minis != 0 ? next : END,
		(size_t)minis * 64);
	for (uint32_t i = 0; i < mini_sectors; i++)
		set32(m, at.fat + 4 * (next + i), i + 1 < mini_sectors ? next + i + 1 : END);
	next += mini_sectors;
	at.large = next;
	for (size_t i = 0; i < count; i++) {
		const struct file *f = &files[i];
		uint32_t n = sectors_of(size_of(f)), start = mini_at;

		if (size_of(f) >= CUTOFF) {
			start = backwards ? next + n - 1 : next;
			next += n;
		} else {
			mini_at += (uint32_t)(size_of(f) + 63) / 64;
		}
		put_entry(m, f->name, f->text != NULL ? 2 : 1,
			sibling(files, count, i + 1, f->parent),
			f->text != NULL ? FREE : sibling(files, count, 0, (unsigned)i + 1), start,
			size_of(f));
	}
	while (m->n % SECTOR != 0)
		put_zeros(m, 1);
	at.minifat = m->n;
	if (minis != 0) {
		for (uint32_t i = 0; i < SECTOR / 4; i++)
			put32(m, FREE);
		at.mini = m->n;
		mini_at = 0;
		for (size_t i = 0; i < count; i++) {
			uint32_t n = (uint32_t)(size_of(&files[i]) + 63) / 64;

			if (n == 0 || size_of(&files[i]) >= CUTOFF)
				continue;
			for (uint32_t k = 0; k < n; k++)
				set32(m, at.minifat + 4 * (mini_at + k),
					k + 1 < n ? mini_at + k + 1 : END);
			mini_at += n;
			put(m, files[i].text, size_of(&files[i]));
			while ((m->n - at.mini) % 64 != 0)
				put_zeros(m, 1);
		}
		while (m->n % SECTOR != 0)
			put_zeros(m, 1);
	}
	next = at.large;
	for (size_t i = 0; i < count; i++) {
		size_t size = size_of(&files[i]);
		uint32_t n = sectors_of(size);

		if (size < CUTOFF)
			continue;
		for (uint32_t k = 0; k < n; k++) {
			uint32_t piece = backwards ? n - 1 - k : k;
			size_t from = (size_t)piece * SECTOR;

			put(m, files[i].text + from, size - from < SECTOR ? size - from : SECTOR);
			while (m->n % SECTOR != 0)
				put_zeros(m, 1);
			set32(m, at.fat + 4 * (next + k),
				piece + 1 == n ? END
				: backwards    ? next + k - 1
					       : next + k + 1);
		}
		next += n;
	}
	assert_true(next <= SECTOR / 4);
}

#define PACKAGE "\x2a\0\0\0\2\0a.pdf\0C:\\x\\b.exe\0\0\0\3\0\x0c\0\0\0C:\\t\\b2.exe\0\5\0\0\0hello"
static const struct file usual[] = {
	{ "one", 0, "1", 0 },
	{ "Store", 0, NULL, 0 },
	{ "two", 2, "22", 0 },
	{ "deep", 2, NULL, 0 },
	{ "\1Ole10Native", 4, PACKAGE, sizeof(PACKAGE) - 1 },
};

static struct made m;

static void streams_come_with_their_paths_and_packages_are_opened(void **state)
{
	const char *got;

	(void)state;
	build(&m, usual, MW_COUNT(usual), false);
	got = members(&container_cfb, made(&m));
	assert_int_equal(strncmp(got, "one=1;Store/two=22;Store/deep/?Ole10Native=", 43), 0);
	assert_non_null(strstr(got, ";a.pdf|b2.exe|b.exe=hello;"));
}

/* Behind the file its names stand in UTF-16, and what shows it may be any number. */
static void a_package_has_all_its_names(void **state)
{
	static const char native[] =
		"\x2a\0\0\0\1\0a.pdf\0C:\\x\\b.txt\0\0\0\3\0\1\0\0\0c\5\0\0\0hello"
		"\5\0\0\0C\0:\0\\\0d\0\0\0\4\0\0\0e\0.\0j\0s\0\3\0\0\0x\0\\\0f\0";
	static const struct file files[] = { { "\1Ole10Native", 0, native, sizeof(native) - 1 } };

	(void)state;
	build(&m, files, 1, false);
	assert_non_null(
		strstr(members(&container_cfb, made(&m)), ";a.pdf|e.js|c|d|b.txt|f=hello;"));
	every_damage_ends(&container_cfb, made(&m));
}

static void large_streams_are_put_together_in_their_order(void **state)
{
	static char text[5001], want[5100];
	const struct file files[] = { { "big", 0, text, 0 }, { "small", 0, "s", 0 } };

	(void)state;
	for (size_t i = 0; i < 5000; i++)
		text[i] = (char)('a' + i / 100 % 26);
	snprintf(want, sizeof(want), "big=%s;small=s;", text);
	build(&m, files, 2, false);
	assert_string_equal(members(&container_cfb, made(&m)), want);
	build(&m, files, 2, true);
	assert_string_equal(members(&container_cfb, made(&m)), want);
	every_limit_is_told(&container_cfb, made(&m));
}

static enum container_end end_of(struct given *g)
{
	struct budget b = wide();

	return read_with(&container_cfb, made(&m), &b, g);
}

static void loops_end(void **state)
{
	static char text[5001];
	const struct file files[] = { { "big", 0, text, 0 }, { "s", 0, "1", 0 },
		{ "t", 0, "2", 0 } };
	static struct given g;

	(void)state;
	memset(text, 'x', 5000);
	build(&m, files, 3, false);
	set32(&m, at.fat + 4 * at.large, at.large);    /* a sector that follows itself */
	assert_int_equal(end_of(&g), CONTAINER_WHOLE); /* as long as the directory says */
	set32(&m, at.directory + 128 + 120, 1u << 30);
	assert_int_equal(end_of(&g), CONTAINER_BROKEN);
	assert_true(g.octets <= m.n);
	build(&m, files, 3, false);
	set32(&m, at.fat + 4, 1); /* the directory follows itself */
	assert_int_equal(end_of(&g), CONTAINER_BROKEN);
	assert_true(g.count >= 3);
	build(&m, files, 3, false);
	set32(&m, at.directory + 3 * 128 + 72, 1); /* siblings in a ring */
	assert_int_equal(end_of(&g), CONTAINER_BROKEN);
	assert_int_equal(g.count, 3);
	build(&m, files, 3, false);
	set32(&m, 68, at.large); /* a FAT of data */
	set32(&m, at.minifat, 0);
	assert_true(end_of(&g) <= CONTAINER_BROKEN);
}

static void what_the_tree_does_not_lead_to_is_seen(void **state)
{
	static struct given g;

	(void)state;
	build(&m, usual, MW_COUNT(usual), false);
	set32(&m, at.directory + 128 + 72, FREE); /* nothing behind "one" */
	end_of(&g);
	assert_non_null(strstr(g.text, "two=22;"));
	assert_non_null(strstr(g.text, "a.pdf|b2.exe|b.exe=hello;"));
}

static void attachments_of_a_message_have_their_names(void **state)
{
	static const struct file files[] = {
		{ "__attach_version1.0_#00000000", 0, NULL, 0 },
		{ "__substg1.0_37010102", 1, "hello", 0 },
		{ "__substg1.0_3704001E", 1, "A~1.EXE", 0 },
		{ "__substg1.0_3707001F", 1, "a\0b\0.\0e\0x\0e\0", 12 },
		{ "__substg1.0_0037001F", 0, "a\0 \0s\0", 6 }, /* the subject is no file */
		{ "__substg1.0_10130102", 0, "<p>", 0 },
		{ "__properties_version1.0", 0, "x", 0 },
		{ "__substg1.0_10090102", 0, "\0\0\0\0\0\0\0\0MELA\0\0\0\0{\\rtf1}", 23 },
	};
	const char *got;

	(void)state;
	build(&m, files, MW_COUNT(files), false);
	got = members(&container_cfb, made(&m));
	assert_non_null(strstr(got, "ab.exe|A~1.EXE=hello;"));
	assert_non_null(strstr(got, "body.rtf={\\rtf1};"));
	assert_non_null(strstr(got, "__substg1.0_10130102=<p>;"));
	assert_null(strstr(got, "0037001F"));
	assert_null(strstr(got, "__properties"));
	every_limit_is_told(&container_cfb, made(&m));
}

static void an_attachment_has_all_its_names(void **state)
{
	static const struct file files[] = {
		{ "__attach_version1.0_#00000000", 0, NULL, 0 },
		{ "__substg1.0_37010102", 1, "hello", 0 },
		{ "__substg1.0_370C001E", 1, "way.js", 0 },
		{ "__substg1.0_3001001E", 1, "shown.js", 0 },
		{ "__substg1.0_3704001E", 1, "short.js", 0 },
		{ "__substg1.0_3707001E", 1, "long.txt", 0 },
		{ "__substg1.0_3707001F", 1, "a\0.\0j\0s\0", 8 },
		{ "__substg1.0_3707001E", 1, "twice.js", 0 },
		{ "__substg1.0_3703001E", 1, ".js", 0 },
		{ "__substg1.0_3707001F", 0, "o\0", 2 }, /* somebody else's */
	};

	(void)state;
	build(&m, files, MW_COUNT(files), false);
	assert_non_null(strstr(members(&container_cfb, made(&m)),
		"a.js|long.txt|twice.js|short.js|shown.js|way.js=hello;"));
}

static void macros_and_encryption_are_told(void **state)
{
	static const struct {
		struct file file;
		unsigned marks, encrypted;
	} cases[] = {
		{ { "_VBA_PROJECT", 0, "x", 0 }, MW_BIT(CONTAINER_MACROS), 0 },
		{ { "vba", 0, NULL, 0 }, MW_BIT(CONTAINER_MACROS), 0 },
		{ { "Workbook", 0, "\x09\x08\0\0\x85\0\7\0\0\0\0\0\0\1n", 15 },
			MW_BIT(CONTAINER_MACROS), 0 },
		{ { "Book", 0, "\x2f\0\0\0", 4 }, MW_BIT(CONTAINER_ENCRYPTED), 1 },
		{ { "WordDocument", 0, "\xec\xa5\0\0\0\0\0\0\0\0\0\1", 12 },
			MW_BIT(CONTAINER_ENCRYPTED), 1 },
		{ { "EncryptedPackage", 0, "x", 0 }, MW_BIT(CONTAINER_ENCRYPTED), 1 },
		{ { "WordDocument", 0, "\xec\xa5", 2 }, 0, 0 },
	};
	static struct given g;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		build(&m, &cases[i].file, 1, false);
		assert_int_equal(end_of(&g), CONTAINER_WHOLE);
		assert_int_equal(g.marks, cases[i].marks);
		assert_int_equal(g.encrypted, cases[i].encrypted);
	}
}

/* zlib's form of "hello", stored. */
#define DEFLATED "\x78\x01\x01\5\0\xfa\xffhello\x06\x2c\x02\x15"

static void objects_of_a_presentation_are_opened(void **state)
{
	static const char records[] =
		"\x0f\0\xe8\3\x25\0\0\0" /* a box */
		"\x10\0\x11\x10\x14\0\0\0\5\0\0\0" DEFLATED "\0\0\x11\x10\1\0\0\0z";
	const struct file file = { "PowerPoint Document", 0, records, sizeof(records) - 1 };
	const char *got;

	(void)state;
	build(&m, &file, 1, false);
	got = members(&container_cfb, made(&m));
	assert_non_null(strstr(got, "object=hello;object=z;"));
	every_damage_ends(&container_cfb, doc_range(made(&m), 0, 600));
}

static void damage_ends(void **state)
{
	(void)state;
	build(&m, usual, MW_COUNT(usual), false);
	every_damage_ends(&container_cfb, made(&m));
}

#define NOTHING "\x78\x9c\x03\0\0\0\0\1"

static void active_mime_is_inflated(void **state)
{
	static const char file[] =
		"ActiveMime\0\0\1\xf0\4\0\0\0\xff\xff\xff\xff\0\0\7\xf0" DEFLATED;

	(void)state;
	assert_string_equal(members(&container_mso, mw_octets_of(file, sizeof(file) - 1)),
		"editdata.mso=hello;");
	every_damage_ends(&container_mso, mw_octets_of(file, sizeof(file) - 1));
	every_limit_is_told(&container_mso, mw_octets_of(file, sizeof(file) - 1));
}

/* An empty file, another one and a broken one stand in front of it. */
static void active_mime_is_looked_for_behind_decoys(void **state)
{
	static const char file[] =
		"ActiveMime\0\0\1\xf0" NOTHING "\4\0\0\0" DEFLATED "\x78\x9c\x4b\x4c" DEFLATED;
	static const char empty[] = "ActiveMime\0\0\1\xf0" NOTHING;
	static struct given g;
	struct budget b = wide();

	(void)state;
	assert_string_equal(members(&container_mso, mw_octets_of(file, sizeof(file) - 1)),
		"editdata.mso=hello;editdata.mso=hello;");
	assert_int_equal(read_with(&container_mso, mw_octets_of(empty, sizeof(empty) - 1), &b, &g),
		CONTAINER_BROKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_come_with_their_paths_and_packages_are_opened),
		cmocka_unit_test(a_package_has_all_its_names),
		cmocka_unit_test(large_streams_are_put_together_in_their_order),
		cmocka_unit_test(loops_end),
		cmocka_unit_test(what_the_tree_does_not_lead_to_is_seen),
		cmocka_unit_test(attachments_of_a_message_have_their_names),
		cmocka_unit_test(an_attachment_has_all_its_names),
		cmocka_unit_test(macros_and_encryption_are_told),
		cmocka_unit_test(objects_of_a_presentation_are_opened),
		cmocka_unit_test(active_mime_is_inflated),
		cmocka_unit_test(active_mime_is_looked_for_behind_decoys),
		cmocka_unit_test(damage_ends),
	};

	return cmocka_run_group_tests_name("doc_cfb", tests, NULL, NULL);
}
