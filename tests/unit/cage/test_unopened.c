/* What nobody here opens is known, and what only looks like it is not. */
#include "doc_help.h"

#include "unopened.h"

#define IMAGE ((size_t)1 << 20)

static struct made m;

static void begin(size_t n)
{
	m.n = 0;
	put_zeros(&m, n);
}

static void at(size_t offset, const char *octets, size_t n)
{
	memcpy(m.p + offset, octets, n);
}

#define AT(offset, octets) at(offset, octets, sizeof(octets) - 1)

static bool is_known(void)
{
	static struct given g;
	struct budget b = wide();

	if (!container_unopened.knows(made(&m)))
		return false;
	assert_int_equal(read_with(&container_unopened, made(&m), &b, &g), CONTAINER_BROKEN);
	assert_int_equal(g.count, 0);
	return true;
}

static void magic_numbers_are_known(void **state)
{
	static const struct {
		size_t at;
		const char *octets;
		size_t n;
	} cases[] = {
#define CASE(at, m) { at, m, sizeof(m) - 1 }
		CASE(7, "**ACE**"),
		CASE(0, "vhdxfile"),
		CASE(0x40, "\x7f\x10\xda\xbe"),
		CASE(0, "COWD\1\0\0\0"),
		CASE(0, "# Disk DescriptorFile\nversion=1\n"),
		CASE(32, "NXSB"),
		CASE(3, "EXFAT   "),
		CASE(54, "FAT12   "),
		CASE(16, "Compressed ROMFS"),
		CASE(0, "encrcdsa"),
		CASE(IMAGE - 8, "cdsaencr"),
		CASE(IMAGE - 512, "koly\0\0\0\4"),
		CASE(0, "pbzx\0\0\0\0"),
		CASE(0, "\0\5\x16\0\0\2\0\0"),
		CASE(512, "EFI PART"),
		CASE(4096, "EFI PART"),
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		begin(IMAGE);
		assert_false(is_known());
		at(cases[i].at, cases[i].octets, cases[i].n);
		if (!is_known())
			fail_msg("%zu", i);
		m.p[cases[i].at] ^= 1;
		if (is_known())
			fail_msg("%zu: one bit is another", i);
	}
}

static void a_table_of_partitions(void **state)
{
	(void)state;
	begin(IMAGE);
	AT(510, "\x55\xaa");
	assert_false(is_known()); /* none is used */
	AT(446 + 16, "\x80\1\1\0\x0c\xfe\x3f\x10\x3f\0\0\0\0\x40\1\0");
	assert_true(is_known());
	AT(446 + 16, "\x81");
	assert_false(is_known());
	AT(446 + 16, "\0\0\0\0\x0c\0\0\0"); /* at no place, and beyond the end */
	assert_false(is_known());
	AT(446 + 16 + 8, "\1\0\0\0\4\0\0\0");
	assert_true(is_known());
	AT(446, "some text here"); /* another entry is nonsense */
	assert_false(is_known());
	AT(446, "some\0text here"); /* it is not used */
	assert_true(is_known());
	m.n = 512;
	assert_false(is_known());
	AT(446 + 16, "\0\1\1\0\x0c\xfe\x3f\x10\x3f\0\0\0\0\x40\1\0");
	assert_true(is_known()); /* cut */
}

static void a_map_of_a_mac(void **state)
{
	(void)state;
	begin(IMAGE);
	AT(0, "ER\2\0");
	assert_false(is_known());
	AT(512, "PM");
	assert_true(is_known());
	begin(IMAGE);
	AT(0, "ER\x08\0");
	AT(2048, "PM");
	assert_true(is_known());
	begin(IMAGE);
	AT(512, "PM\0\0\0\0\0\1\0\0\0\1\0\0\0\1MyDisk");
	assert_false(is_known());
	AT(512 + 48, "Apple_partition_map");
	assert_true(is_known());
}

static void a_volume_of_fat_without_a_label(void **state)
{
	static const struct {
		size_t at;
		unsigned char wrong;
	} wrongs[] = { { 0, 0xea }, { 2, 0 }, { 12, 3 }, { 13, 3 }, { 14, 0 }, { 16, 3 },
		{ 21, 1 } };

	(void)state;
	for (size_t i = 0; i <= MW_COUNT(wrongs); i++) {
		begin(IMAGE);
		AT(0, "\xeb\x3c\x90MSWIN4.1\0\2\1\1\0\2\xe0\0\x40\x0b\xf0\x09\0");
		assert_true(is_known());
		AT(0, "\xe9\0\0");
		assert_true(is_known());
		AT(0, "\xeb\x3c\x90");
		if (i == MW_COUNT(wrongs))
			break;
		m.p[wrongs[i].at] = wrongs[i].wrong;
		assert_false(is_known());
		AT(510, "\x55\xaa"); /* stands for the jump */
		assert_int_equal(is_known(), wrongs[i].at <= 2);
	}
	m.n = 512;
	assert_false(is_known()); /* a boot sector alone holds nothing */
}

static void other_file_systems(void **state)
{
	(void)state;
	begin(IMAGE);
	AT(1024, "H+\0\4");
	assert_false(is_known());
	AT(1024 + 40, "\0\0\x10\0");
	assert_true(is_known());
	AT(1024, "HX\0\5");
	assert_true(is_known());
	AT(1024, "HX\0\6");
	assert_false(is_known());
	begin(IMAGE);
	AT(1024, "BD");
	AT(1024 + 18, "\1\0\0\0\x10\0");
	AT(1024 + 36, "\5label");
	assert_true(is_known());
	begin(IMAGE);
	AT(1024, "\x80\0\0\0\0\1\0\0");
	AT(1024 + 56, "\x53\xef");
	assert_true(is_known());
	AT(1024 + 24, "\7");
	assert_false(is_known());
	begin(IMAGE);
	AT(0, "hsqs");
	assert_false(is_known());
	AT(28, "\4");
	assert_true(is_known());
	begin(IMAGE);
	AT(0, "sqsh");
	AT(28, "\0\3");
	assert_true(is_known());
}

static void discs_of_udf(void **state)
{
	static const char anchor[] = "\2\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\x80\0\0\x20";
	const struct {
		size_t at;
		bool known;
	} cases[] = { { 524288, true }, { 131072, true }, { 131072 + 512, false },
		{ IMAGE - 2048, true }, { IMAGE - 512, true }, { IMAGE - 257 * 512, true },
		{ IMAGE - 100, false } };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		begin(IMAGE);
		AT(cases[i].at, anchor);
		assert_int_equal(is_known(), cases[i].known);
		m.p[cases[i].at + 4]++; /* the sum is wrong */
		assert_false(is_known());
	}
	begin(IMAGE);
	AT(524288, anchor);
	AT(524288 + 16, "\0\0"); /* no descriptors */
	assert_false(is_known());
	begin(IMAGE);
	AT(17 * 2048 + 1, "NSR02");
	assert_true(is_known());
}

static void a_cabinet_with_something_behind_its_magic_number(void **state)
{
	(void)state;
	begin(IMAGE);
	AT(0, "MSCF\1");
	assert_false(is_known());
	AT(24, "\3\1");
	assert_true(is_known());
	AT(4, "\0");
	assert_false(is_known()); /* it has its own reader */
}

static void octets_by_chance(void **state)
{
	uint32_t v = 1;

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		begin(8192);
		for (size_t i = 0; i < m.n; i++) {
			v = v * 1664525 + 1013904223;
			m.p[i] = (unsigned char)(v >> 24);
		}
		AT(510, "\x55\xaa");
		assert_false(doc_is_disk(made(&m)));
	}
	begin(8192);
	memset(m.p, 0xff, m.n);
	assert_false(is_known());
	m.n = 0;
	assert_false(is_known());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(magic_numbers_are_known),
		cmocka_unit_test(a_table_of_partitions),
		cmocka_unit_test(a_map_of_a_mac),
		cmocka_unit_test(a_volume_of_fat_without_a_label),
		cmocka_unit_test(other_file_systems),
		cmocka_unit_test(discs_of_udf),
		cmocka_unit_test(a_cabinet_with_something_behind_its_magic_number),
		cmocka_unit_test(octets_by_chance),
	};

	return cmocka_run_group_tests_name("unopened", tests, NULL, NULL);
}
