/* mailweir lookup: what a *_maps setting says for a key, table by table. */
#include <stdint.h>
#include <stdio.h>
#include "lookup.h"
#include "lookup_dns.h"
#include "tools.h"

#define USAGE                                                                                      \
	"lookup [-c FILE]... MAP KEY [--bank BANK] [--all]\n"                                      \
	"  MAP  a setting whose value is a list of lookup tables, as local_domains_maps, or a\n"   \
	"       category in one by category: final_destiny_maps_by_ccat[CC_SPAM]\n"                \
	"  KEY  an address of mail or, as for mynetworks, of a host; \"\" or \"<>\" is the null "  \
	"address;\n"                                                                               \
	"       an author and a signature's domain are user@example.org/@signer.example"

struct request {
	const char *map, *key, *bank;
	char setting[128], category[64]; /* of map */
	bool all;
	struct mw_conf_given given;
};

static enum mw_lookup_want want; /* of the setting */

static void print_value(const struct mw_lookup_result *r)
{
	struct mw_text text = { 0 };

	if (want == MW_WANT_DESTINY && r->value.type == MW_VALUE_MILLI) {
		fputs(mw_destiny_name(r->value.milli / 1000), stdout);
		return;
	}
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
	struct mw_lookup_options o = mw_lookup_options_of(conf, q->setting, files);
	const struct mw_val *v = mw_conf_val(conf, q->setting);
	struct mw_tool_dns *dns;
	struct mw_lookup_result r;
	struct mw_lookup *l;
	struct mw_err err;

	if (*q->category != '\0' && (v = mw_val_field(v, q->category)) == NULL) {
		fprintf(stderr, "mailweir: %s says nothing about %s\n", q->setting, q->category);
		return MW_TOOL_FAILED;
	}
	want = o.want;
	dns = mw_tool_dns_new(conf);
	if (dns == NULL)
		return MW_TOOL_FAILED;
	o.dnsl = mw_tool_dns_source(dns);
	if (mw_lookup_new_in(v, &o, &l, &err) != MW_OK) {
		fprintf(stderr, "mailweir: %s\n", err.text);
		mw_tool_dns_destroy(&dns);
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
	mw_tool_dns_destroy(&dns);
	return MW_TOOL_OK;
}

static int run(const struct mw_conf *base, const struct request *q)
{
	const struct mw_setting *s = mw_setting_find(q->setting);
	struct mw_lookup_limits limits = mw_lookup_limits_of(base);
	const struct mw_conf *conf = q->bank != NULL ? mw_conf_bank(base, q->bank) : base;
	struct mw_lookup_files *files;
	int code;

	if (s == NULL ||
		(*q->category != '\0' ? !mw_setting_is_by_category(s) : s->type != MW_T_MAPS)) {
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

/* NAME or NAME[CATEGORY]. */
static bool split(struct request *q)
{
	size_t n = strcspn(q->map, "["), end = strlen(q->map);

	if (!mw_strncpy(q->setting, sizeof(q->setting), q->map, n))
		return false;
	return q->map[n] == '\0' ||
	       (end > n + 2 && q->map[end - 1] == ']' &&
		       mw_strncpy(q->category, sizeof(q->category), q->map + n + 1, end - n - 2));
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
	return ok && q->key != NULL && split(q);
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
