/* mailweir config get, dump, doc. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "tools.h"

#define USAGE "config get NAME [--origin] [--bank BANK] | dump | doc"

/* Passwords are for the services alone. */
static bool is_hidden(const struct mw_setting *s, const struct mw_val *v)
{
	bool empty = v->tag == MW_V_NIL || (v->tag == MW_V_TABLE && v->count == 0);

	return !empty && mw_setting_is_secret(s);
}

static void print_value(const struct mw_conf *conf, const struct mw_setting *s)
{
	const struct mw_val *v = mw_conf_val(conf, s->name);
	const char *destiny =
		s->type == MW_T_DESTINY ? mw_destiny_name(mw_conf_int(conf, s->name)) : NULL;
	struct mw_text text = { 0 };

	if (is_hidden(s, v))
		mw_text_add(&text, "\"(hidden)\"");
	else if (destiny != NULL && v->tag != MW_V_NIL)
		mw_text_add(&text, destiny);
	else
		mw_val_print(&text, v, SIZE_MAX);
	fputs(text.p != NULL ? text.p : "", stdout);
	mw_text_fini(&text);
}

static int get(const struct mw_conf *conf, const char *name, bool origin)
{
	const struct mw_setting *s = mw_setting_find(name);
	char where[1024];

	if (s == NULL) {
		fprintf(stderr,
			"mailweir: %s: there is no such setting; docs/settings.md has them all\n",
			name);
		return MW_TOOL_FAILED;
	}
	print_value(conf, s);
	if (origin)
		printf("\t%s", mw_conf_origin(conf, name, where, sizeof(where)));
	putchar('\n');
	return MW_TOOL_OK;
}

static int dump(const struct mw_conf *conf)
{
	for (size_t i = 0; i < mw_settings_count; i++) {
		char where[1024];

		printf("%s = ", mw_settings[i].name);
		print_value(conf, &mw_settings[i]);
		printf(" -- %s\n", mw_conf_origin(conf, mw_settings[i].name, where, sizeof(where)));
	}
	return MW_TOOL_OK;
}

static int run(const struct mw_conf *base, int argc, char **argv)
{
	const struct mw_conf *conf = base;
	const char *name = NULL;
	bool origin = false;

	if (strcmp(argv[1], "dump") == 0 && argc == 2)
		return dump(base);
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--origin") == 0) {
			origin = true;
		} else if (strcmp(argv[i], "--bank") == 0 && i + 1 < argc) {
			conf = mw_conf_bank(base, argv[++i]);
			if (conf == NULL) {
				fprintf(stderr, "mailweir: %s: there is no such policy bank\n",
					argv[i]);
				return MW_TOOL_FAILED;
			}
		} else if (name == NULL && argv[i][0] != '-') {
			name = argv[i];
		} else {
			name = NULL;
			break;
		}
	}
	if (strcmp(argv[1], "get") != 0 || name == NULL) {
		mw_tool_usage(USAGE);
		return MW_TOOL_USAGE;
	}
	return get(conf, name, origin);
}

int mw_tool_config(int argc, char **argv)
{
	struct mw_conf *conf;
	int code;

	if (argc == 2 && strcmp(argv[1], "doc") == 0) {
		mw_tool_config_doc();
		return MW_TOOL_OK;
	}
	if (argc < 2 || strcmp(argv[1], "--help") == 0) {
		mw_tool_usage(USAGE);
		return MW_TOOL_USAGE;
	}
	conf = mw_tool_conf(mw_tool_config_path());
	if (conf == NULL)
		return MW_TOOL_CONFIG;
	code = run(conf, argc, argv);
	mw_conf_destroy(&conf);
	return code;
}
