/* What tables answer: values at rest, and with $n put in. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lookup_priv.h"

#define MILLI_MAX                                                                                  \
	9e12 /* a score of that size is a mistake, and an int64_t holds it in thousandths */

/* ------------------------------------------------------------------ pool */

void mw_pool_fini(struct mw_pool *pool)
{
	free(pool->p);
	*pool = (struct mw_pool){ 0 };
}

uint32_t mw_pool_add(struct mw_pool *pool, const char *s, size_t n)
{
	size_t at = pool->n, cap = pool->cap;
	char *p;

	if (pool->last + n < at && memcmp(pool->p + pool->last, s, n) == 0 &&
		pool->p[pool->last + n] == '\0')
		return pool->last;
	if (at + n + 1 >= UINT32_MAX)
		return UINT32_MAX;
	while (cap < at + n + 1)
		cap = cap > 0 ? cap * 2 : 64;
	if (cap > pool->cap) {
		p = realloc(pool->p, cap);
		if (p == NULL)
			return UINT32_MAX;
		pool->p = p;
		pool->cap = cap;
	}
	memcpy(pool->p + at, s, n);
	pool->p[at + n] = '\0';
	pool->n = at + n + 1;
	pool->last = (uint32_t)at;
	return pool->last;
}

/* ------------------------------------------------------------------ to rest */

/* $1, ${1} or $(1) at p: its number, and where it ends. 0: none. */
static unsigned reference_at(const char *p, const char **end_r)
{
	char close = p[1] == '{' ? '}' : p[1] == '(' ? ')' : '\0';
	const char *digit = p + (close != '\0' ? 2 : 1);
	unsigned n = 0;

	if (p[0] != '$')
		return 0;
	for (; *digit >= '0' && *digit <= '9' && n <= MW_PATTERN_CAPTURES_MAX; digit++) {
		n = n * 10 + (unsigned)(*digit - '0');
		if (close == '\0') { /* $12 is $1 and a 2 */
			digit++;
			break;
		}
	}
	if (close != '\0' && *digit != close)
		return 0;
	*end_r = digit + (close != '\0');
	return n <= MW_PATTERN_CAPTURES_MAX ? n : 0;
}

static bool has_reference(const char *s)
{
	const char *end;

	for (s = strchr(s, '$'); s != NULL; s = strchr(s + 1, '$'))
		if (reference_at(s, &end) > 0)
			return true;
	return false;
}

static enum mw_rc cell_text(
	struct mw_cell *c, const char *text, struct mw_pool *pool, struct mw_err *err_r)
{
	if (strlen(text) >= MW_LOOKUP_TEXT_MAX)
		return mw_fail(err_r, MW_ERR_LIMIT, "a value of more than %d octets",
			MW_LOOKUP_TEXT_MAX - 1);
	*c = (struct mw_cell){ .type = MW_VALUE_TEXT, .subst = has_reference(text) };
	c->text = mw_pool_add(pool, text, strlen(text));
	return c->text != UINT32_MAX ? MW_OK : mw_fail(err_r, MW_ERR_NOMEM, "no memory");
}

static enum mw_rc cell_number(struct mw_cell *c, double num, struct mw_err *err_r)
{
	if (!(fabs(num) <= MILLI_MAX / 1000))
		return mw_fail(err_r, MW_ERR_CONF, "%.10g is beyond all numbers here", num);
	*c = (struct mw_cell){ .type = MW_VALUE_MILLI, .milli = llround(num * 1000) };
	return MW_OK;
}

/* By name or number. */
static enum mw_rc cell_destiny(
	struct mw_cell *c, const char *text, double num, struct mw_err *err_r)
{
	for (int d = MW_D_TEMPFAIL; d <= MW_D_PASS; d++) {
		const char *name = mw_destiny_name(d);

		if (name == NULL || (text != NULL ? strcmp(text, name) != 0 : num != d))
			continue;
		*c = (struct mw_cell){ .type = MW_VALUE_MILLI, .milli = d * 1000 };
		return MW_OK;
	}
	return mw_fail(
		err_r, MW_ERR_CONF, "expected D_PASS, D_REJECT, D_BOUNCE, D_DISCARD or D_TEMPFAIL");
}

/* A whole number, or a name. */
static enum mw_rc destiny_of_text(struct mw_cell *c, const char *text, struct mw_err *err_r)
{
	char *end;
	long num = strtol(text, &end, 10);
	bool number = end != text && *end == '\0';

	return cell_destiny(c, number ? NULL : text, (double)num, err_r);
}

static void cell_bool(struct mw_cell *c, bool b)
{
	*c = (struct mw_cell){ .type = MW_VALUE_BOOL, .b = b };
}

enum mw_rc mw_cell_of_text(struct mw_cell *c_r, const char *text, enum mw_lookup_want want,
	struct mw_pool *pool, struct mw_err *err_r)
{
	double num;
	char *end;

	switch (want) {
	case MW_WANT_BOOL: /* as amavisd's Perl sees it */
		cell_bool(c_r, *text != '\0' && strcmp(text, "0") != 0);
		return MW_OK;
	case MW_WANT_MILLI:
		num = strtod(text, &end);
		if (end == text || *end != '\0' || strpbrk(text, "xXnN") != NULL)
			return mw_fail(err_r, MW_ERR_CONF, "\"%.40s\" is no number", text);
		return cell_number(c_r, num, err_r);
	case MW_WANT_DESTINY:
		return destiny_of_text(c_r, text, err_r);
	default:
		return cell_text(c_r, text, pool, err_r);
	}
}

static enum mw_rc cell_of_number(struct mw_cell *c_r, double num, enum mw_lookup_want want,
	struct mw_pool *pool, struct mw_err *err_r)
{
	char text[40];

	if (want == MW_WANT_BOOL) {
		cell_bool(c_r, num != 0);
		return MW_OK;
	}
	if (want == MW_WANT_DESTINY)
		return cell_destiny(c_r, NULL, num, err_r);
	if (want != MW_WANT_TEXT)
		return cell_number(c_r, num, err_r);
	snprintf(text, sizeof(text), "%.14g", num);
	return cell_text(c_r, text, pool, err_r);
}

enum mw_rc mw_cell_of_val(struct mw_cell *c_r, const struct mw_val *v, enum mw_lookup_want want,
	struct mw_pool *pool, struct mw_err *err_r)
{
	switch (v->tag) {
	case MW_V_NIL:
		*c_r = (struct mw_cell){ .type = MW_VALUE_UNDEF };
		return MW_OK;
	case MW_V_BOOL:
		if (want == MW_WANT_TEXT)
			return cell_text(c_r, v->b ? "1" : "", pool, err_r);
		if (want == MW_WANT_MILLI)
			return cell_number(c_r, v->b, err_r);
		if (want == MW_WANT_DESTINY)
			return cell_destiny(c_r, "", 0, err_r);
		cell_bool(c_r, v->b);
		return MW_OK;
	case MW_V_NUM:
		return cell_of_number(c_r, v->num, want, pool, err_r);
	case MW_V_STR:
		return mw_cell_of_text(c_r, v->str, want, pool, err_r);
	default:
		return mw_fail(err_r, MW_ERR_CONF, "expected %s as the value",
			want == MW_WANT_BOOL	? "true or false"
			: want == MW_WANT_MILLI ? "a number"
			: want == MW_WANT_TEXT	? "a text"
						: "a destiny");
	}
}

enum mw_rc mw_cell_checked(enum mw_rc made, const struct mw_cell *c, const struct mw_pool *pool,
	const struct mw_lookup_options *o, struct mw_err *err_r)
{
	if (made != MW_OK || o->check == NULL || c->type != MW_VALUE_TEXT || c->subst)
		return made;
	return o->check(pool->p + c->text, err_r);
}

bool mw_lists_answer(const struct mw_lookup_options *o)
{
	return o->check == NULL && o->want != MW_WANT_DESTINY;
}

/* ------------------------------------------------------------------ out */

/* Cut where the buffer ends: values and keys are bounded, so only very long ones meet it. */
static void substitute(const char *s, struct mw_octets (*arg)(const void *from, unsigned n),
	const void *from, char *buf, size_t size)
{
	size_t made = 0;

	while (*s != '\0') {
		const char *end = s + 1;
		unsigned n = reference_at(s, &end);
		struct mw_octets piece = n > 0 ? arg(from, n) : mw_octets_of(s, 1);
		size_t take = piece.n < size - 1 - made ? piece.n : size - 1 - made;

		if (take > 0)
			memcpy(buf + made, piece.p, take);
		made += take;
		s = n > 0 ? end : s + 1;
	}
	buf[made] = '\0';
}

void mw_cell_read(const struct mw_cell *c, const struct mw_pool *pool,
	struct mw_octets (*arg)(const void *from, unsigned n), const void *from,
	struct mw_lookup_result *r)
{
	r->value = (struct mw_value){ .type = (enum mw_value_type)c->type, .b = c->b };
	if (c->type == MW_VALUE_MILLI)
		r->value.milli = c->milli;
	if (c->type == MW_VALUE_TABLE)
		r->value.table = c->table;
	if (c->type != MW_VALUE_TEXT)
		return;
	r->value.text = pool->p + c->text;
	if (c->subst && arg != NULL) {
		substitute(r->value.text, arg, from, r->text, sizeof(r->text));
		r->value.text = r->text;
	}
}

void mw_value_print(struct mw_text *out, const struct mw_value *v)
{
	struct mw_val shown = { .tag = MW_V_NIL };

	switch (v->type) {
	case MW_VALUE_UNDEF:
		mw_text_add(out, "undef");
		return;
	case MW_VALUE_TABLE:
		mw_val_print(out, v->table, SIZE_MAX);
		return;
	case MW_VALUE_BOOL:
		shown.tag = MW_V_BOOL;
		shown.b = v->b;
		break;
	case MW_VALUE_MILLI:
		shown.tag = MW_V_NUM;
		shown.num = (double)v->milli / 1000;
		break;
	case MW_VALUE_TEXT:
		shown.tag = MW_V_STR;
		shown.str = (char *)(uintptr_t)v->text; /* printed, not changed */
		break;
	}
	mw_val_print(out, &shown, SIZE_MAX);
}
