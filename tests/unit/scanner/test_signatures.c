#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "signatures.h"

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void a_folder_changes_with_its_files(void **state)
{
	char folder[] = "/tmp/mw-sig-XXXXXX", a[64], b[64], missing[64];
	struct signatures s = { 0 };

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(a, sizeof(a), "%s/a.ndb", folder);
	snprintf(b, sizeof(b), "%s/b.ndb", folder);
	snprintf(missing, sizeof(missing), "%s/none", folder);
	assert_false(signatures_look(&s, folder)); /* the first look */
	assert_false(signatures_look(&s, folder));
	put(a, "one");
	assert_true(signatures_look(&s, folder));
	assert_false(signatures_look(&s, folder));
	put(a, "three");
	assert_true(signatures_look(&s, folder)); /* another size */
	assert_int_equal(rename(a, b), 0);
	assert_true(signatures_look(&s, folder)); /* another name */
	put(a, "three");
	assert_true(signatures_look(&s, folder));
	unlink(a);
	assert_true(signatures_look(&s, folder));
	unlink(b);
	assert_true(signatures_look(&s, folder));
	assert_false(signatures_look(&s, missing)); /* empty and missing are alike */
	assert_false(signatures_look(&s, ""));
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_folder_changes_with_its_files) };

	return cmocka_run_group_tests_name("signatures", tests, NULL, NULL);
}
