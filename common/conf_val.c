/* The tree of values that a settings file is, and the list of what is wrong with it. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "conf_priv.h"
#include "text.h"

const char *mw_made_name(enum mw_made made)
{
	static const char *const names[MW_MADE_COUNT] = { NULL, "new_RE", "read_hash", "read_array",
		"read_cidr", "opaque", "dnsl", "label" };

	return names[made];
}

const struct mw_val *mw_val_field(const struct mw_val *table, const char *key)
{
	if (table == NULL || table->tag != MW_V_TABLE)
		return NULL;
	for (size_t i = 0; i < table->count; i++)
		if (strcmp(table->keys[i], key) == 0)
			return &table->vals[i];
	return NULL;
}

const char *mw_val_text(const struct mw_val *v, const char *dflt)
{
	return v != NULL && v->tag == MW_V_STR ? v->str : dflt;
}

int64_t mw_val_int(const struct mw_val *v, int64_t dflt)
{
	if (v == NULL || v->tag != MW_V_NUM || !(fabs(v->num) <= 9007199254740992.0))
		return dflt;
	return (int64_t)v->num;
}

bool mw_val_bool(const struct mw_val *v, bool dflt)
{
	if (v != NULL && v->tag == MW_V_NUM)
		return v->num != 0;
	return v != NULL && v->tag == MW_V_BOOL ? v->b : dflt;
}

void mw_val_fini(struct mw_val *v)
{
	for (size_t i = 0; i < v->count; i++) {
		free(v->keys[i]);
		mw_val_fini(&v->vals[i]);
	}
	free(v->keys);
	free(v->vals);
	free(v->str);
	if (v->tag == MW_V_FUNC)
		mw_conf_program_unref(&v->program);
	*v = (struct mw_val){ .tag = MW_V_NIL };
}

bool mw_val_has_code(const struct mw_val *v)
{
	if (v->tag == MW_V_FUNC || v->made != MW_MADE_NOT)
		return true;
	for (size_t i = 0; i < v->count; i++)
		if (mw_val_has_code(&v->vals[i]))
			return true;
	return false;
}

bool mw_val_set_text(struct mw_val *v, const char *s, size_t n)
{
	char *copy = strndup(s, n);

	if (copy == NULL)
		return false;
	v->tag = MW_V_STR;
	v->str = copy;
	return true;
}

bool mw_val_set_table(struct mw_val *v, size_t count)
{
	v->tag = MW_V_TABLE;
	v->keys = calloc(count + 1, sizeof(*v->keys));
	v->vals = calloc(count + 1, sizeof(*v->vals));
	if (v->keys == NULL || v->vals == NULL)
		return false;
	v->count = count;
	return true;
}

bool mw_val_copy(struct mw_val *dst, const struct mw_val *src)
{
	bool ok = true;

	*dst = (struct mw_val){ .tag = src->tag,
		.b = src->b,
		.num = src->num,
		.line = src->line,
		.made = src->made,
		.func = src->func };
	if (src->tag == MW_V_FUNC)
		dst->program = mw_conf_program_ref(src->program);
	if (src->tag == MW_V_STR)
		ok = mw_val_set_text(dst, src->str, strlen(src->str));
	if (src->tag == MW_V_TABLE)
		ok = mw_val_set_table(dst, src->count);
	dst->is_array = src->is_array;
	for (size_t i = 0; ok && i < src->count; i++) {
		dst->keys[i] = strdup(src->keys[i]);
		ok = dst->keys[i] != NULL && mw_val_copy(&dst->vals[i], &src->vals[i]);
	}
	if (!ok)
		mw_val_fini(dst);
	return ok;
}

static bool append(struct mw_val *table, const char *key, struct mw_val *v)
{
	char **keys = realloc(table->keys, (table->count + 1) * sizeof(*keys));
	struct mw_val *vals;

	if (keys == NULL)
		return false;
	table->keys = keys;
	vals = realloc(table->vals, (table->count + 1) * sizeof(*vals));
	if (vals == NULL)
		return false;
	table->vals = vals;
	keys[table->count] = strdup(key);
	if (keys[table->count] == NULL)
		return false;
	vals[table->count++] = *v;
	table->is_array = false;
	return true;
}

bool mw_val_put(struct mw_val *table, const char *key, const struct mw_val *src)
{
	struct mw_val copy;

	if (!mw_val_copy(&copy, src))
		return false;
	for (size_t i = 0; i < table->count; i++) {
		if (strcmp(table->keys[i], key) != 0)
			continue;
		mw_val_fini(&table->vals[i]);
		table->vals[i] = copy;
		return true;
	}
	if (append(table, key, &copy))
		return true;
	mw_val_fini(&copy);
	return false;
}

/* ------------------------------------------------------------------ as Lua source again */

static void print_text(struct mw_text *out, const char *s, size_t most)
{
	size_t n = 0;

	mw_text_add(out, "\"");
	for (; n < most && s[n] != '\0'; n++) {
		unsigned char c = (unsigned char)s[n];

		if (c == '"' || c == '\\')
			mw_text_addf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			mw_text_addf(out, "\\x%02x", c);
		else
			mw_text_add_octets(out, &c, 1);
	}
	mw_text_add(out, s[n] != '\0' ? "...\"" : "\"");
}

static bool is_name(const char *key)
{
	if (*key == '\0' || (*key >= '0' && *key <= '9'))
		return false;
	return key[strspn(key,
		       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] == '\0';
}

static void print_table(struct mw_text *out, const struct mw_val *v, size_t most)
{
	if (v->made != MW_MADE_NOT) {
		/* dnsl's arguments are kept as one list. */
		const struct mw_val *args = v->made == MW_MADE_DNSL ? v->vals[0].vals : v->vals;
		size_t count = v->made == MW_MADE_DNSL ? v->vals[0].count : 1;

		mw_text_addf(out, "%s(", mw_made_name(v->made));
		for (size_t i = 0; i < count; i++) {
			mw_text_add(out, i > 0 ? ", " : "");
			mw_val_print(out, &args[i], most);
		}
		mw_text_add(out, ")");
		return;
	}
	mw_text_add(out, v->count > 0 ? "{ " : "{}");
	for (size_t i = 0; i < v->count; i++) {
		if (i > 0)
			mw_text_add(out, ", ");
		if (out->n > most) {
			mw_text_add(out, "...");
			break;
		}
		if (!v->is_array && is_name(v->keys[i])) {
			mw_text_addf(out, "%s = ", v->keys[i]);
		} else if (!v->is_array) {
			mw_text_add(out, "[");
			print_text(out, v->keys[i], most);
			mw_text_add(out, "] = ");
		}
		mw_val_print(out, &v->vals[i], most);
	}
	if (v->count > 0)
		mw_text_add(out, " }");
}

void mw_val_print(struct mw_text *out, const struct mw_val *v, size_t most)
{
	switch (v->tag) {
	case MW_V_NIL:
		mw_text_add(out, "nil");
		break;
	case MW_V_FUNC:
		mw_text_addf(out, "function --[[ line %u ]]", v->line);
		break;
	case MW_V_BOOL:
		mw_text_add(out, v->b ? "true" : "false");
		break;
	case MW_V_NUM:
		mw_text_addf(out, "%.14g", v->num);
		break;
	case MW_V_STR:
		print_text(out, v->str, most);
		break;
	case MW_V_TABLE:
		print_table(out, v, most);
		break;
	}
}

/* ------------------------------------------------------------------ errors */

void mw_conf_error(struct mw_conf_errors *e, unsigned line, const char *fmt, ...)
{
	char text[1024];
	int n = 0;
	va_list args;

	if (e->count == MW_CONF_ERRORS_MAX) {
		e->more++;
		return;
	}
	if (e->files != NULL && MW_CONF_LINE(line) > 0)
		n = snprintf(text, sizeof(text), "%.500s:%u: ", e->files[MW_CONF_FILE(line)],
			MW_CONF_LINE(line));
	va_start(args, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, args);
	va_end(args);
	e->list[e->count].text = strdup(text);
	e->list[e->count].line = line;
	e->list[e->count].order = e->count;
	e->count++;
}

static int error_compare(const void *a, const void *b)
{
	const struct mw_conf_error *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

char *mw_conf_errors_take(struct mw_conf_errors *e)
{
	struct mw_text out = { 0 };

	if (e->count == 0)
		return NULL;
	qsort(e->list, e->count, sizeof(e->list[0]), error_compare);
	for (size_t i = 0; i < e->count; i++) {
		mw_text_addf(&out, "%s\n",
			e->list[i].text != NULL ? e->list[i].text : "(out of memory)");
		free(e->list[i].text);
	}
	if (e->more > 0)
		mw_text_addf(&out, "and %zu more\n", e->more);
	e->count = e->more = 0;
	if (out.failed) {
		mw_text_fini(&out);
		return strdup("out of memory\n");
	}
	return out.p;
}
