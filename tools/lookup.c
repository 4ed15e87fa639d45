/* mailweir lookup: what a *_maps setting says for a key, table by table. */
#include <stdint.h>
#include <stdio.h>
#include "lookup.h"
#include "tools.h"

#define USAGE                                                                                      \
	"lookup [-c FILE]... MAP KEY [--bank BANK] [--all]\n"                                      \
	"  MAP  a setting whose value is a list of lookup tables, as local_domains_maps\n"         \
	"  KEY  an address; \"\" or \"<>\" is the null address; an author and a signature's "      \
	"domain are\n"                                                                             \
	"       user@example.org/@signer.example"

struct request {
	const char *map, *key, *bank;
	bool all;
	struct mw_conf_given given;
};

static void print_value(const struct mw_lookup_result *r)
{
	struct mw_text text = { 0 };

	mw_value_print(&text, &r->value);
	fputs(text.p != NULL ? text.p : "", stdout);
	mw_text_fini(&text);
}

/* table 2  hash  line 12 of the settings: key ".example.org" -> true */
static void print_step(void *arg, const struct mw_lookup_result *r)
{
	const struct mw_conf *conf = arg;
	char where[300];

	printf("  table %u  %-9s", r->table + 1, mw_lookup_kind_name(r->kind));
	if (MW_CONF_FILE(r->line) > 0)
		printf("  %s", mw_conf_where(conf, r->line, where, sizeof(where)));
	else if (r->line > 0)
		printf("  line %u", r->line);
	if (r->source != NULL)
		printf("  %s", r->source);
	if (r->error != NULL) {
		printf(": failed: %s\n", r->error);
		return;
	}
	if (r->key != NULL)
		printf(": \"%s\"", r->key);
	if (r->key == NULL && r->value.type == MW_VALUE_UNDEF) {
		printf(": nothing\n");
		return;
	}
	printf(" -> ");
	print_value(r);
	putchar('\n');
}

static bool print_one(void *arg, const struct mw_lookup_result *r)
{
	print_step(arg, r);
	return true;
}

static int ask(const struct mw_conf *conf, const struct request *q, struct mw_lookup_files *files)
{
	struct mw_lookup_options o = mw_lookup_options_of(conf, q->map, files);
	struct mw_lookup_result r;
	struct mw_lookup *l;
	struct mw_err err;

	if (mw_lookup_new(mw_conf_val(conf, q->map), &o, &l, &err) != MW_OK) {
		fprintf(stderr, "mailweir: %s\n", err.text);
		return MW_TOOL_CONFIG;
	}
	printf("%s for %s\n", q->map, *q->key != '\0' ? q->key : "<>");
	if (q->all) {
		mw_lookup_all(l, q->key, &r, print_one, (void *)(uintptr_t)conf);
	} else {
		r.value.type = MW_VALUE_UNDEF;
		mw_lookup_trace(l, q->key, &r, print_step, (void *)(uintptr_t)conf);
		printf("= ");
		print_value(&r);
		putchar('\n');
	}
	mw_lookup_unref(&l);
	return MW_TOOL_OK;
}

static int run(const struct mw_conf *base, const struct request *q)
{
	const struct mw_setting *s = mw_setting_find(q->map);
	struct mw_lookup_limits limits = mw_lookup_limits_of(base);
	const struct mw_conf *conf = q->bank != NULL ? mw_conf_bank(base, q->bank) : base;
	struct mw_lookup_files *files;
	int code;

	if (s == NULL || s->type != MW_T_MAPS) {
		fprintf(stderr, "mailweir: %s: there is no such list of lookup tables\n", q->map);
		return MW_TOOL_FAILED;
	}
	if (conf == NULL) {
		fprintf(stderr, "mailweir: %s: there is no such policy bank\n", q->bank);
		return MW_TOOL_FAILED;
	}
	files = mw_lookup_files_new(&limits);
	if (files == NULL)
		return MW_TOOL_FAILED;
	code = ask(conf, q, files);
	mw_lookup_files_destroy(&files);
	return code;
}

static bool parse(int argc, char **argv, struct request *q)
{
	bool ok = true;

	for (int i = 1; i < argc && ok; i++) {
		if (strcmp(argv[i], "--all") == 0)
			q->all = true;
		else if (strcmp(argv[i], "--bank") == 0 && i + 1 < argc)
			q->bank = argv[++i];
		else if (strcmp(argv[i], "-c") == 0 && i + 1 < argc)
			ok = mw_tool_give(&q->given, argv[++i]);
		else if (q->map == NULL && argv[i][0] != '-')
			q->map = argv[i];
		else if (q->map != NULL && q->key == NULL)
			q->key = argv[i];
		else
			return false;
	}
	return ok && q->key != NULL;
}

int mw_tool_lookup(int argc, char **argv)
{
	struct request q = { 0 };
	struct mw_conf *conf;
	int code;

	if (!parse(argc, argv, &q)) {
		mw_tool_usage(USAGE);
		return MW_TOOL_USAGE;
	}
	conf = mw_tool_conf(&q.given);
	if (conf == NULL)
		return MW_TOOL_CONFIG;
	code = run(conf, &q);
	mw_conf_destroy(&conf);
	return code;
}
