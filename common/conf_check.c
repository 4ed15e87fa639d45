/* Raw values against the table of settings: names, types, ranges, and what to say when they do not
 * fit. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "conf_priv.h"
#include "signed_fields.h"
#include "text.h"

#define SHOWN_MAX 60 /* octets of a wrong value that an error repeats */

static const struct {
	const char *name;
	enum mw_destiny value;
} destinies[] = {
	{ "D_PASS", MW_D_PASS },
	{ "D_DISCARD", MW_D_DISCARD },
	{ "D_BOUNCE", MW_D_BOUNCE },
	{ "D_REJECT", MW_D_REJECT },
	{ "D_TEMPFAIL", MW_D_TEMPFAIL },
};

const char *mw_destiny_name(int64_t value)
{
	for (size_t i = 0; i < MW_COUNT(destinies); i++)
		if (destinies[i].value == value)
			return destinies[i].name;
	return NULL;
}

/* ------------------------------------------------------------------ names */

#define INDEX_SLOTS 2048		/* power of two, well above the number of settings */
static int16_t name_index[INDEX_SLOTS]; /* setting + 1; 0: free */
static pthread_once_t name_index_once = PTHREAD_ONCE_INIT;

static size_t name_hash(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return h & (INDEX_SLOTS - 1);
}

static void name_index_fill(void)
{
	if (mw_settings_count > INDEX_SLOTS / 2)
		abort(); /* a build with more settings than the index was made for */
	for (size_t i = 0; i < mw_settings_count; i++) {
		size_t slot = name_hash(mw_settings[i].name);

		while (name_index[slot] != 0)
			slot = (slot + 1) & (INDEX_SLOTS - 1);
		name_index[slot] = (int16_t)(i + 1);
	}
}

int mw_setting_index(const char *name)
{
	pthread_once(&name_index_once, name_index_fill);
	for (size_t slot = name_hash(name); name_index[slot] != 0;
		slot = (slot + 1) & (INDEX_SLOTS - 1))
		if (strcmp(mw_settings[name_index[slot] - 1].name, name) == 0)
			return name_index[slot] - 1;
	return -1;
}

const struct mw_setting *mw_setting_find(const char *name)
{
	int i = mw_setting_index(name);

	return i < 0 ? NULL : &mw_settings[i];
}

bool mw_setting_is_group(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < mw_settings_count; i++)
		if (strncmp(mw_settings[i].name, name, n) == 0 && mw_settings[i].name[n] == '.')
			return true;
	return false;
}

#define NAME_CMP_MAX 64 /* longer names are never near another */

/* Edits that make b of a (insert, drop, change), NAME_CMP_MAX when a name is too long. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NAME_CMP_MAX + 1];
	size_t m = strlen(a), n = strlen(b);

	if (m > NAME_CMP_MAX || n > NAME_CMP_MAX)
		return NAME_CMP_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= m; i++) {
		unsigned corner = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= n; j++) {
			unsigned change = corner + (a[i - 1] != b[j - 1]);
			unsigned best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

			corner = row[j];
			row[j] = change < best ? change : best;
		}
	}
	return row[n];
}

static void nearer(const char *name, const char *candidate, unsigned *least, const char **best)
{
	unsigned d = distance(name, candidate);

	if (d < *least) {
		*least = d;
		*best = candidate;
	}
}

static const struct {
	const char *names, *why;
} without[] = {
#define MW_WITHOUT(names, why) { names, why },
#include "settings/amavisd.def"
#undef MW_WITHOUT
};

/* Why amavisd's variable of that name has no place here; NULL: it is none of these. */
static const char *why_without(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < MW_COUNT(without); i++)
		for (const char *p = without[i].names; *p != '\0'; p += strspn(p, " ")) {
			size_t word = strcspn(p, " ");

			if (word == n && strncmp(p, name, n) == 0)
				return without[i].why;
			p += word;
		}
	return NULL;
}

const char *mw_setting_hint(const char *name, char *buf, size_t size)
{
	const char *why = why_without(name);
	unsigned least = (unsigned)strlen(name) / 3 + 2;
	const char *best = NULL;

	for (size_t i = 0; i < mw_settings_count; i++)
		nearer(name, mw_settings[i].name, &least, &best);
	for (size_t i = 0; i < MW_COUNT(destinies); i++)
		nearer(name, destinies[i].name, &least, &best);
	/* "run_dir" alone: the field of an own table, with its table forgotten. */
	for (size_t i = 0; best == NULL && i < mw_settings_count; i++) {
		const char *dot = strchr(mw_settings[i].name, '.');

		if (dot != NULL && strcmp(dot + 1, name) == 0)
			best = mw_settings[i].name;
	}
	buf[0] = '\0';
	if (why != NULL)
		snprintf(buf, size, "; amavisd's is not needed: %s", why);
	else if (best != NULL)
		snprintf(buf, size, "; did you mean %s?", best);
	return buf;
}

/* ------------------------------------------------------------------ types */

static bool is_whole(const struct mw_val *v)
{
	return v->tag == MW_V_NUM && isfinite(v->num) && v->num == floor(v->num) &&
	       fabs(v->num) < 9e15;
}

static bool in_range(const struct mw_setting *s, double v)
{
	return v >= (double)s->least && v <= (double)s->most;
}

static bool fits_bool(const struct mw_setting *s, struct mw_val *v)
{
	(void)s;
	if (v->tag == MW_V_NUM && (v->num == 0 || v->num == 1)) { /* as amavisd.conf writes it */
		v->tag = MW_V_BOOL;
		v->b = v->num != 0;
	}
	return v->tag == MW_V_BOOL;
}

static bool fits_int(const struct mw_setting *s, struct mw_val *v)
{
	return is_whole(v) && in_range(s, v->num);
}

static bool fits_milli(const struct mw_setting *s, struct mw_val *v)
{
	double milli = v->num * 1000;

	return v->tag == MW_V_NUM && isfinite(milli) && fabs(milli) < 9e15 &&
	       fabs(milli - round(milli)) < 1e-6 && in_range(s, round(milli));
}

static bool fits_text(const struct mw_setting *s, struct mw_val *v)
{
	return v->tag == MW_V_STR && in_range(s, (double)strlen(v->str));
}

static bool fits_list(const struct mw_setting *s, struct mw_val *v)
{
	if (v->tag != MW_V_TABLE || !v->is_array || v->made != MW_MADE_NOT ||
		!in_range(s, (double)v->count))
		return false;
	for (size_t i = 0; i < v->count; i++)
		if (v->vals[i].tag != MW_V_STR)
			return false;
	return true;
}

static bool fits_destiny(const struct mw_setting *s, struct mw_val *v)
{
	(void)s;
	return is_whole(v) && mw_destiny_name((int64_t)v->num) != NULL;
}

/* What stands in the tables is checked where they are compiled: lookup_compile.c. */
static bool fits_maps(const struct mw_setting *s, struct mw_val *v)
{
	return v->tag == MW_V_TABLE && v->is_array &&
	       (s->most == 0 || in_range(s, (double)v->count));
}

/* Settings in a policy bank are checked one by one, the lookup tables in pairs of
 * client_ipaddr_policy and lists of senders where they are compiled; elsewhere nobody would know
 * what to do with code.
 */
static bool fits_table(const struct mw_setting *s, struct mw_val *v)
{
	bool may_have_code =
		v->made == MW_MADE_NOT && (strcmp(s->name, "policy_bank") == 0 ||
						  strcmp(s->name, "client_ipaddr_policy") == 0 ||
						  strcmp(s->unit, "points by sender") == 0 ||
						  strcmp(s->unit, "senders by recipient") == 0);

	return v->tag == MW_V_TABLE && in_range(s, (double)v->count) &&
	       (may_have_code || mw_setting_is_by_category(s) || !mw_val_has_code(v));
}

bool mw_setting_is_by_category(const struct mw_setting *s)
{
	return s->type == MW_T_TABLE &&
	       (strstr(s->unit, " by category") != NULL || strstr(s->unit, " by name") != NULL);
}

/* A function alone is { run = function }. */
static bool fits_hook(const struct mw_setting *s, struct mw_val *v)
{
	const struct mw_val *run = mw_val_field(v, "run"),
			    *on_failure = mw_val_field(v, "on_failure");
	const char *word = on_failure != NULL ? mw_val_text(on_failure, "") : "pass";
	struct mw_val table = { .tag = MW_V_NIL, .line = v->line };

	if (v->tag == MW_V_TABLE)
		return v->made == MW_MADE_NOT && run != NULL && run->tag == MW_V_FUNC &&
		       v->count == 1u + (on_failure != NULL) &&
		       (strcmp(word, "pass") == 0 || (strcmp(word, "defer") == 0 && s->most > 0));
	if (v->tag != MW_V_FUNC || !mw_val_set_table(&table, 0) || !mw_val_put(&table, "run", v)) {
		mw_val_fini(&table);
		return false;
	}
	mw_val_fini(v);
	*v = table;
	return true;
}

static bool (*const fits[])(const struct mw_setting *s, struct mw_val *v) = {
	[MW_T_BOOL] = fits_bool,
	[MW_T_INT] = fits_int,
	[MW_T_MILLI] = fits_milli,
	[MW_T_TEXT] = fits_text,
	[MW_T_LIST] = fits_list,
	[MW_T_DESTINY] = fits_destiny,
	[MW_T_MAPS] = fits_maps,
	[MW_T_TABLE] = fits_table,
	[MW_T_HOOK] = fits_hook,
};

/* A table setting whose default is a list of items, as inet_socket_port, and not a hash. */
static bool is_listing(const struct mw_setting *s)
{
	return s->type == MW_T_TABLE && strcmp(s->dflt, "{}") != 0 && s->dflt[0] == '{' &&
	       strchr(s->dflt, '=') == NULL;
}

const char *mw_setting_expected(const struct mw_setting *s, char *buf, size_t size)
{
	const char *gap = s->unit[0] != '\0' ? " " : "";

	switch (s->type) {
	case MW_T_BOOL:
		snprintf(buf, size, "true or false");
		break;
	case MW_T_INT:
		snprintf(buf, size, "a whole number from %lld to %lld%s%s", (long long)s->least,
			(long long)s->most, gap, s->unit);
		break;
	case MW_T_MILLI:
		snprintf(buf, size, "a number from %.10g to %.10g%s%s with at most three decimals",
			(double)s->least / 1000, (double)s->most / 1000, gap, s->unit);
		break;
	case MW_T_TEXT:
		snprintf(buf, size, "a string of %lld to %lld octets", (long long)s->least,
			(long long)s->most);
		break;
	case MW_T_LIST:
		snprintf(buf, size, "a list of %lld to %lld strings, as { \"a\", \"b\" }",
			(long long)s->least, (long long)s->most);
		break;
	case MW_T_DESTINY:
		snprintf(buf, size, "D_PASS, D_DISCARD, D_BOUNCE, D_REJECT or D_TEMPFAIL");
		break;
	case MW_T_MAPS:
		snprintf(buf, size,
			"a list of lookup tables, as { { \".example.org\" }, read_hash(\"/file\") "
			"}");
		break;
	case MW_T_TABLE:
		snprintf(buf, size, "a %s of at most %lld entries%s%s",
			is_listing(s) ? "list" : "table", (long long)s->most,
			is_listing(s) ? ", as " : "", is_listing(s) ? s->dflt : "");
		break;
	case MW_T_HOOK:
		snprintf(buf, size, "a function, or { run = function, on_failure = \"pass\"%s }",
			s->most > 0 ? " or \"defer\"" : "");
		break;
	}
	return buf;
}

/* amavisd.conf writes a list of one as the item alone: `inet_socket_port = 10024`. */
static void wrap_single(const struct mw_setting *s, struct mw_val *v)
{
	bool wraps = s->type == MW_T_MAPS || is_listing(s)
			     ? v->tag != MW_V_TABLE || v->made != MW_MADE_NOT
			     : s->type == MW_T_LIST && v->tag == MW_V_STR;
	struct mw_val list = { .tag = MW_V_NIL, .line = v->line };

	if (!wraps || !mw_val_set_table(&list, 0) || !mw_val_put(&list, "1", v)) {
		mw_val_fini(&list);
		return;
	}
	list.is_array = true;
	mw_val_fini(v);
	*v = list;
}

bool mw_setting_is_secret(const char *name, const struct mw_val *v)
{
	/* Where a password has no name of its own the setting goes by its name. */
	if (strstr(name, "password") != NULL || strstr(name, "secret") != NULL ||
		strstr(name, "sql_dsn") != NULL || strcmp(name, "default_ldap") == 0)
		return true;
	for (size_t i = 0; v != NULL && i < v->count; i++)
		if (mw_setting_is_secret(v->keys[i], &v->vals[i]))
			return true;
	return false;
}

bool mw_setting_check(
	const struct mw_setting *s, const char *shown, struct mw_val *v, struct mw_conf_errors *e)
{
	struct mw_text value = { 0 };
	char expected[160];

	if (v->tag == MW_V_NIL)
		return true;
	wrap_single(s, v);
	if (fits[s->type](s, v))
		return true;
	if (mw_setting_is_secret(s->name, v))
		mw_text_add(&value, "(hidden)");
	else
		mw_val_print(&value, v, SHOWN_MAX);
	mw_conf_error(e, v->line, "%s = %s: expected %s", shown, value.p != NULL ? value.p : "?",
		mw_setting_expected(s, expected, sizeof(expected)));
	mw_text_fini(&value);
	return false;
}

const char *mw_setting_key(const struct mw_setting *s, const char *key, char *buf, size_t size)
{
	return strcmp(s->name, "signed_header_fields") == 0 ? mw_signed_field_name(key, buf, size)
							    : key;
}

/* ------------------------------------------------------------------ MAILWEIR_* variables */

static bool env_bool(const char *text, struct mw_val *v)
{
	static const char *const words[][2] = { { "0", "1" }, { "false", "true" }, { "no", "yes" },
		{ "off", "on" } };

	v->tag = MW_V_BOOL;
	for (size_t i = 0; i < MW_COUNT(words); i++)
		for (size_t j = 0; j < 2; j++)
			if (mw_ieq(text, words[i][j])) {
				v->b = j == 1;
				return true;
			}
	return false;
}

static bool env_number(const char *text, struct mw_val *v)
{
	char *end;

	v->tag = MW_V_NUM;
	v->num = strtod(text, &end);
	return *end == '\0';
}

static bool env_destiny(const char *text, struct mw_val *v)
{
	v->tag = MW_V_NUM;
	for (size_t i = 0; i < MW_COUNT(destinies); i++)
		if (mw_ieq(text, destinies[i].name)) {
			v->num = destinies[i].value;
			return true;
		}
	return false;
}

/* An item of a list of anything: what reads as a number is one. */
static void numeric_item(struct mw_val *v)
{
	char *end;
	double num = strtod(v->str, &end);

	if (*end != '\0' || end == v->str)
		return;
	mw_val_fini(v);
	v->tag = MW_V_NUM;
	v->num = num;
}

/* Items between commas and blanks. */
static bool env_list(const char *text, bool numbers, struct mw_val *v)
{
	size_t items = 0, i = 0;

	for (const char *p = text + strspn(text, ", "); *p != '\0'; items++) {
		p += strcspn(p, ", ");
		p += strspn(p, ", ");
	}
	if (!mw_val_set_table(v, items))
		return false;
	v->is_array = true;
	for (const char *p = text + strspn(text, ", "); *p != '\0'; i++) {
		size_t n = strcspn(p, ", ");

		if (asprintf(&v->keys[i], "%zu", i + 1) < 0) {
			v->keys[i] = NULL;
			return false;
		}
		if (!mw_val_set_text(&v->vals[i], p, n))
			return false;
		if (numbers)
			numeric_item(&v->vals[i]);
		p += n;
		p += strspn(p, ", ");
	}
	return true;
}

bool mw_setting_from_env(
	const struct mw_setting *s, const char *text, struct mw_val *v, struct mw_conf_errors *e)
{
	char expected[160];
	bool ok = false;

	switch (s->type) {
	case MW_T_BOOL:
		ok = env_bool(text, v);
		break;
	case MW_T_INT:
	case MW_T_MILLI:
		ok = env_number(text, v);
		break;
	case MW_T_DESTINY:
		ok = env_destiny(text, v);
		break;
	case MW_T_TEXT:
		ok = mw_val_set_text(v, text, strlen(text));
		break;
	case MW_T_LIST:
		ok = env_list(text, false, v);
		break;
	case MW_T_MAPS:
	case MW_T_TABLE:
		ok = env_list(text, true, v);
		break;
	case MW_T_HOOK: /* no variable holds a program */
		break;
	}
	if (ok && fits[s->type](s, v))
		return true;
	mw_conf_error(e, 0, "%s = \"%.60s\" (environment, for %s): expected %s", s->env,
		mw_setting_is_secret(s->name, NULL) ? "(hidden)" : text, s->name,
		mw_setting_expected(s, expected, sizeof(expected)));
	mw_val_fini(v);
	return false;
}

int64_t mw_setting_number(const struct mw_setting *s, const struct mw_val *v)
{
	if (v->tag != MW_V_NUM)
		return 0;
	return s->type == MW_T_MILLI ? llround(v->num * 1000) : (int64_t)v->num;
}
