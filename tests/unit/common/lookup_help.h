/* Tables from a text of settings: what follows `local_domains_maps =` in the file. */
#ifndef TEST_LOOKUP_HELP_H
#define TEST_LOOKUP_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "lookup.h"
#include "text.h"

static inline void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fputs(text, f) < 0, 0);
	assert_int_equal(fclose(f), 0);
}

static inline struct mw_conf *conf_of(const char *lua)
{
	char path[] = "/tmp/mailweir-test-lookup-XXXXXX", *errors = NULL;
	struct mw_conf *conf = NULL;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	write_file(path, lua);
	mw_conf_load(path, &conf, &errors);
	unlink(path);
	if (conf == NULL)
		fail_msg("%s", errors);
	return conf;
}

/* NULL and *err_r when it is refused. The settings are gone then: tables stand alone. */
static inline struct mw_lookup *maps_of(
	const char *maps, const struct mw_lookup_options *o, struct mw_err *err_r)
{
	struct mw_text lua = { 0 };
	struct mw_lookup_options own = *o;
	struct mw_lookup *l = NULL;
	struct mw_conf *conf;

	mw_text_addf(&lua, "local_domains_maps = %s\n", maps);
	conf = conf_of(lua.p);
	mw_text_fini(&lua);
	own.name = "some_maps";
	if (own.limits.file_octets == 0)
		own.limits = mw_lookup_limits_of(conf);
	mw_lookup_new(mw_conf_val(conf, "local_domains_maps"), &own, &l, err_r);
	mw_conf_destroy(&conf);
	return l;
}

static inline struct mw_lookup *good_maps(const char *maps, const struct mw_lookup_options *o)
{
	struct mw_err err;
	struct mw_lookup *l = maps_of(maps, o, &err);

	if (l == NULL)
		fail_msg("%s: %s", maps, err.text);
	return l;
}

/* The value as Lua writes it, in buf. */
static inline const char *shown(const struct mw_value *v, char *buf, size_t size)
{
	struct mw_text out = { 0 };

	mw_value_print(&out, v);
	mw_strlcpy(buf, out.p, size);
	mw_text_fini(&out);
	return buf;
}

struct answer_row {
	const char *maps, *key, *value;
};

/* Fails with the row whose value is another. */
static inline void check_rows(
	const struct answer_row *rows, size_t count, const struct mw_lookup_options *o)
{
	for (size_t i = 0; i < count; i++) {
		struct mw_lookup *l = good_maps(rows[i].maps, o);
		struct mw_lookup_result r;
		char buf[2000];
		bool found = mw_lookup(l, rows[i].key, &r);

		if (strcmp(shown(&r.value, buf, sizeof(buf)), rows[i].value) != 0)
			fail_msg("%s in %s: %s, not %s", rows[i].key, rows[i].maps, buf,
				rows[i].value);
		assert_int_equal(found, strcmp(rows[i].value, "undef") != 0);
		mw_lookup_unref(&l);
		assert_null(l);
	}
}

/* What all tables say, as "a|b|c". */
static inline bool add_value(void *arg, const struct mw_lookup_result *r)
{
	struct mw_text *out = arg;

	if (out->n > 0)
		mw_text_add(out, "|");
	mw_value_print(out, &r->value);
	return true;
}

#endif
