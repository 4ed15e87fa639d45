/* mailweir config get, dump, doc, table. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "tools.h"

#define USAGE                                                                                      \
	"config [-c FILE]... get NAME [--origin] [--bank BANK] | dump [--all] [--bank BANK] | "    \
	"doc | table"

static int get(const struct mw_conf *conf, const char *name, bool origin)
{
	const struct mw_setting *s = mw_setting_find(name);
	struct mw_text text = { 0 };
	char where[1024];

	if (s == NULL) {
		fprintf(stderr,
			"mailweir: %s: there is no such setting; docs/settings.md has them all\n",
			name);
		return MW_TOOL_FAILED;
	}
	mw_conf_print(&text, conf, s, SIZE_MAX);
	printf("%s", text.p != NULL ? text.p : "");
	if (origin)
		printf("\t%s", mw_conf_origin(conf, name, where, sizeof(where)));
	putchar('\n');
	mw_text_fini(&text);
	return MW_TOOL_OK;
}

/* ------------------------------------------------------------------ dump */

/* NULL: errors were printed. */
static struct mw_conf *defaults(void)
{
	struct mw_conf *conf = NULL;
	char *errors = NULL;

	if (mw_conf_defaults(&conf, &errors) != MW_OK)
		fputs(errors, stderr);
	free(errors);
	return conf;
}

/* A hash a key a line: several files may have set it. */
static void dump_hash(const struct mw_conf *conf, const struct mw_setting *s)
{
	const struct mw_val *v = mw_conf_val(conf, s->name);

	for (size_t i = 0; i < v->count; i++) {
		struct mw_text text = { 0 };
		struct mw_val key = { .tag = MW_V_STR, .str = v->keys[i] };
		char where[1024];

		mw_text_addf(&text, "%s[", s->name);
		mw_val_print(&text, &key, SIZE_MAX);
		mw_text_add(&text, "] = ");
		if (mw_setting_is_secret(v->keys[i], &v->vals[i]))
			mw_text_add(&text, "\"(hidden)\"");
		else
			mw_val_print(&text, &v->vals[i], SIZE_MAX);
		printf("%s -- %s\n", text.p != NULL ? text.p : "",
			mw_conf_where(conf, v->vals[i].line, where, sizeof(where)));
		mw_text_fini(&text);
	}
}

static void dump_one(
	const struct mw_conf *conf, const struct mw_conf *base, const struct mw_setting *s)
{
	const struct mw_val *v = mw_conf_val(conf, s->name);
	struct mw_text text = { 0 };
	char where[1024];

	if (base != NULL && !mw_conf_differs(conf, base, s))
		return; /* as it always is */
	mw_conf_print(&text, conf, s, SIZE_MAX);
	if (s->type == MW_T_TABLE && v->count > 0 && !v->is_array)
		dump_hash(conf, s);
	else
		printf("%s = %s -- %s\n", s->name, text.p != NULL ? text.p : "",
			mw_conf_origin(conf, s->name, where, sizeof(where)));
	mw_text_fini(&text);
}

static int dump(const struct mw_conf *conf, bool all)
{
	struct mw_conf *base = all ? NULL : defaults();

	if (!all && base == NULL)
		return MW_TOOL_FAILED;
	for (size_t i = 0; i < mw_settings_count; i++)
		dump_one(conf, base, &mw_settings[i]);
	mw_conf_destroy(&base);
	return MW_TOOL_OK;
}

/* ------------------------------------------------------------------ the command */

struct options {
	const char *words[2]; /* "get" and a name, or "dump" */
	size_t word_count;
	const char *bank;
	bool origin, all;
	struct mw_conf_given given;
};

static bool parse(int argc, char **argv, struct options *o)
{
	bool ok = true;

	for (int i = 1; i < argc && ok; i++) {
		bool more = i + 1 < argc;

		if (strcmp(argv[i], "--origin") == 0)
			o->origin = true;
		else if (strcmp(argv[i], "--all") == 0)
			o->all = true;
		else if (strcmp(argv[i], "--bank") == 0 && more)
			o->bank = argv[++i];
		else if (strcmp(argv[i], "-c") == 0 && more)
			ok = mw_tool_give(&o->given, argv[++i]);
		else if (argv[i][0] == '-' || o->word_count == MW_COUNT(o->words))
			return false;
		else
			o->words[o->word_count++] = argv[i];
	}
	if (!ok || o->word_count == 0)
		return false;
	if (strcmp(o->words[0], "get") == 0)
		return o->word_count == 2 && !o->all;
	return o->word_count == 1 && !o->origin &&
	       (strcmp(o->words[0], "dump") == 0 ||
		       (argc == 2 && (strcmp(o->words[0], "doc") == 0 ||
					     strcmp(o->words[0], "table") == 0)));
}

static int run(const struct mw_conf *base, const struct options *o)
{
	const struct mw_conf *conf = o->bank != NULL ? mw_conf_bank(base, o->bank) : base;

	if (conf == NULL) {
		fprintf(stderr, "mailweir: %s: there is no such policy bank\n", o->bank);
		return MW_TOOL_FAILED;
	}
	return o->word_count == 1 ? dump(conf, o->all) : get(conf, o->words[1], o->origin);
}

int mw_tool_config(int argc, char **argv)
{
	struct options o = { 0 };
	struct mw_conf *conf;
	int code;

	if (!parse(argc, argv, &o)) {
		mw_tool_usage(USAGE);
		return MW_TOOL_USAGE;
	}
	if (strcmp(o.words[0], "doc") == 0) {
		mw_tool_config_doc();
		return MW_TOOL_OK;
	}
	if (strcmp(o.words[0], "table") == 0) {
		mw_tool_config_table();
		return MW_TOOL_OK;
	}
	conf = mw_tool_conf(&o.given);
	if (conf == NULL)
		return MW_TOOL_CONFIG;
	code = run(conf, &o);
	mw_conf_destroy(&conf);
	return code;
}
