/*
 * A compiled template is expanded. Evaluating tokens takes one level of quotes off; what stood in
 * them stays tokens (code) until it is evaluated again, or becomes the text it is written as. What
 * an iterator, a regexp or a call puts in the place of %x holds for all that is within, quotes,
 * too: it goes along with the code as its env.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "format.h"
#include "template_priv.h"

#define DIGITS 10
#define MATCH_STEPS 100 /* of the steps of an expansion, that a regexp costs */

struct env;

/* A text; or code, tokens from..to, with what holds for them. */
struct piece {
	struct mw_octets text;
	uint32_t from, to; /* code: from < to */
	const struct env *env;
};

struct value {
	size_t count, cap;
	struct piece *pieces;
};

struct env {
	const struct env *outer;
	int name;		    /* %x, or -1: %0 to %9 */
	struct mw_octets item;	    /* of %x */
	const struct value *digits; /* DIGITS of them */
};

struct definition {
	struct mw_octets name;
	struct value body;
};

struct run {
	const struct template_code *t;
	const struct template_scope *scope;
	struct smtp_arena arena;
	unsigned steps, depth, patterns;
	size_t octets;
	struct mw_text scratch;
	size_t definition_count;
	struct definition *definitions;
	enum mw_rc rc; /* anything but MW_OK: it is over */
};

/* Where evaluation puts what it finds: text, or pieces of a value. */
struct sink {
	struct mw_text *text;
	size_t most; /* octets of *text */
	struct value *value;
};

static void eval(struct run *r, size_t from, size_t to, const struct env *env, struct sink *out);

/* ------------------------------------------------------------------ bounds */

static bool step(struct run *r)
{
	if (r->rc == MW_OK && ++r->steps > TEMPLATE_STEPS_MAX)
		r->rc = MW_ERR_LIMIT;
	return r->rc == MW_OK;
}

static bool enter(struct run *r)
{
	if (r->rc == MW_OK && r->depth == TEMPLATE_DEPTH_MAX)
		r->rc = MW_ERR_LIMIT;
	if (r->rc != MW_OK)
		return false;
	r->depth++;
	return true;
}

static void *get(struct run *r, size_t n)
{
	void *p = NULL;

	r->octets += n;
	if (r->octets > TEMPLATE_WORK_OCTETS)
		r->rc = MW_ERR_LIMIT;
	else if ((p = smtp_arena_get(&r->arena, n)) == NULL)
		r->rc = MW_ERR_NOMEM;
	return p;
}

static struct mw_octets keep(struct run *r, const void *p, size_t n)
{
	char *copy = get(r, n + 1);

	if (copy == NULL)
		return mw_octets_of("", 0);
	if (n > 0)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return mw_octets_of(copy, n);
}

/* ------------------------------------------------------------------ sinks */

static void add_piece(struct run *r, struct value *v, const struct piece *p)
{
	if (v->count == v->cap) {
		size_t cap = v->cap != 0 ? v->cap * 2 : 4;
		struct piece *pieces = get(r, cap * sizeof(*pieces));

		if (pieces == NULL)
			return;
		if (v->count > 0)
			memcpy(pieces, v->pieces, v->count * sizeof(*pieces));
		v->pieces = pieces;
		v->cap = cap;
	}
	v->pieces[v->count++] = *p;
}

/* Text that lives as long as the expansion. */
static void emit(struct run *r, struct sink *out, struct mw_octets text)
{
	if (text.n == 0 || r->rc != MW_OK)
		return;
	if (out->value != NULL) {
		add_piece(r, out->value, &(struct piece){ .text = text });
		return;
	}
	if (text.n > out->most - out->text->n) {
		text.n = out->most - out->text->n;
		r->rc = MW_ERR_LIMIT;
	}
	mw_text_add_octets(out->text, text.p, text.n);
	if (out->text->failed)
		r->rc = MW_ERR_NOMEM;
}

static struct mw_octets written(const struct run *r, const struct template_token *k)
{
	return mw_octets_of(r->t->pool + k->at, k->n);
}

/* ------------------------------------------------------------------ what holds for %x */

/* The outermost is the first that was put in its place. */
static const struct env *env_of(const struct env *env, unsigned char name)
{
	const struct env *outer = env != NULL ? env_of(env->outer, name) : NULL;

	if (outer != NULL || env == NULL)
		return outer;
	if (env->name < 0)
		return name >= '0' && name <= '9' ? env : NULL;
	return env->name == name ? env : NULL;
}

static void write_value(struct run *r, const struct value *v, struct sink *out);

/* The text that tokens are written as. */
static void write_code(
	struct run *r, size_t from, size_t to, const struct env *env, struct sink *out)
{
	for (size_t i = from; i < to && step(r); i++) {
		const struct template_token *k = &r->t->tokens[i];
		const struct env *bound = k->kind == TEMPLATE_MACRO ? env_of(env, k->ch) : NULL;

		if (bound == NULL)
			emit(r, out, written(r, k));
		else if (bound->name >= 0)
			emit(r, out, bound->item);
		else
			write_value(r, &bound->digits[k->ch - '0'], out);
	}
}

static void write_value(struct run *r, const struct value *v, struct sink *out)
{
	if (!enter(r))
		return;
	for (size_t i = 0; i < v->count && step(r); i++)
		if (v->pieces[i].from < v->pieces[i].to)
			write_code(r, v->pieces[i].from, v->pieces[i].to, v->pieces[i].env, out);
		else
			emit(r, out, v->pieces[i].text);
	r->depth--;
}

/* A value is evaluated once more; digits: what its %0 to %9 are, or NULL. */
static void eval_value(
	struct run *r, const struct value *v, const struct value *digits, struct sink *out)
{
	for (size_t i = 0; i < v->count && step(r); i++) {
		const struct piece *p = &v->pieces[i];
		const struct env *env = p->env;

		if (p->from >= p->to) {
			emit(r, out, p->text);
			continue;
		}
		if (digits != NULL) {
			struct env *fresh = get(r, sizeof(*fresh));

			if (fresh == NULL)
				return;
			*fresh = (struct env){ .outer = p->env, .name = -1, .digits = digits };
			env = fresh;
		}
		eval(r, p->from, p->to, env, out);
	}
}

/* The same as text, without evaluating. */
static void write_with(
	struct run *r, const struct value *v, const struct value *digits, struct sink *out)
{
	for (size_t i = 0; i < v->count && step(r); i++) {
		const struct piece *p = &v->pieces[i];
		struct env env = { .outer = p->env, .name = -1, .digits = digits };

		if (p->from < p->to)
			write_code(r, p->from, p->to, &env, out);
		else
			emit(r, out, p->text);
	}
}

/* ------------------------------------------------------------------ arguments */

static struct mw_octets text_of(struct run *r, size_t begun)
{
	struct mw_octets text;

	if (r->scratch.failed)
		r->rc = MW_ERR_NOMEM;
	if (r->rc != MW_OK || r->scratch.n == begun)
		return mw_octets_of("", 0);
	text = keep(r, r->scratch.p + begun, r->scratch.n - begun);
	r->scratch.n = begun;
	return text;
}

static struct sink scratch_sink(struct run *r)
{
	return (struct sink){ .text = &r->scratch, .most = TEMPLATE_WORK_OCTETS };
}

/* One text is that text: nothing is copied. */
static struct mw_octets text_of_value(struct run *r, const struct value *v)
{
	struct sink out = scratch_sink(r);
	size_t begun = r->scratch.n;

	if (v->count == 0)
		return mw_octets_of("", 0);
	if (v->count == 1 && v->pieces[0].from >= v->pieces[0].to)
		return v->pieces[0].text;
	write_value(r, v, &out);
	return text_of(r, begun);
}

static struct value eval_arg(struct run *r, size_t from, size_t to, const struct env *env)
{
	struct value v = { 0 };

	eval(r, from, to, env, &(struct sink){ .value = &v });
	return v;
}

static struct mw_octets text_arg(struct run *r, size_t from, size_t to, const struct env *env)
{
	struct value v = eval_arg(r, from, to, env);

	return text_of_value(r, &v);
}

/* The argument that begins behind token i (an opening or a separator) ends here. */
static size_t arg_end(const struct run *r, size_t i)
{
	return r->t->tokens[i].next;
}

static bool more_args(const struct run *r, size_t i)
{
	return r->t->tokens[i].kind == TEMPLATE_SEP;
}

/* ------------------------------------------------------------------ values of macros */

struct mw_octets template_arg(const struct template_call *c, size_t i)
{
	return i < c->argc ? c->argv[i] : mw_octets_of("", 0);
}

void template_list(struct template_call *c)
{
	c->set = c->list = true;
}

void template_item(struct template_call *c, struct mw_octets item)
{
	template_list(c);
	if (c->count == c->cap) {
		size_t cap = c->cap != 0 ? c->cap * 2 : 8;
		struct mw_octets *items = smtp_arena_get(c->arena, cap * sizeof(*items));

		if (items == NULL) {
			c->failed = true;
			return;
		}
		if (c->count > 0)
			memcpy(items, c->items, c->count * sizeof(*items));
		c->items = items;
		c->cap = cap;
	}
	c->items[c->count++] = item;
}

void template_say(struct template_call *c, struct mw_octets text)
{
	c->set = true;
	c->list = false;
	c->one = text;
	c->items = &c->one;
	c->count = 1;
	c->cap = 0;
}

void template_say_text(struct template_call *c, const char *text)
{
	template_say(c, mw_octets_of_text(text != NULL ? text : ""));
}

void template_sayf(struct template_call *c, const char *fmt, ...)
{
	char usual[256];
	va_list args;
	int n;

	va_start(args, fmt);
	n = mw_vformat(usual, sizeof(usual), fmt, args);
	va_end(args);
	if (n >= 0) {
		size_t len = (size_t)n < sizeof(usual) ? (size_t)n : sizeof(usual) - 1;
		char *text = smtp_arena_copy(c->arena, usual, len);

		c->failed |= text == NULL;
		template_say(c, mw_octets_of(text != NULL ? text : "", text != NULL ? len : 0));
	}
}

static bool must_escape(unsigned char c, enum template_trust trust)
{
	switch (c) {
	case '\\':
		return trust == TEMPLATE_FOREIGN;
	case '\t':
		return trust != TEMPLATE_READ && trust != TEMPLATE_LINED;
	case '\n':
		return trust != TEMPLATE_LINED;
	default:
		return c < 0x20 || c == 0x7f;
	}
}

/* amavisd's way of writing them. */
static struct mw_octets escaped(struct run *r, struct mw_octets s, enum template_trust trust)
{
	static const char codes[] = "\b\033\n\r\t\f\\", names[] = "benrtf\\",
			  hex[] = "0123456789ABCDEF";
	size_t first = 0, n = 0;
	char *to;

	while (first < s.n && !must_escape(s.p[first], trust))
		first++;
	if (first == s.n)
		return s;
	to = get(r, s.n * 4 + 1);
	if (to == NULL)
		return mw_octets_of("", 0);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];
		const char *known = c != '\0' && must_escape(c, trust) ? strchr(codes, c) : NULL;

		if (!must_escape(c, trust)) {
			to[n++] = (char)c;
			continue;
		}
		to[n++] = '\\';
		if (known != NULL) {
			to[n++] = names[known - codes];
			continue;
		}
		to[n++] = 'x';
		to[n++] = hex[c >> 4];
		to[n++] = hex[c & 15];
	}
	return mw_octets_of(to, n);
}

/* A macro of the caller's or of the table; index: in the table + 1, 0: none of that name. */
static void ask(struct run *r, struct mw_octets name, unsigned index, const struct mw_octets *argv,
	size_t argc, struct template_call *c)
{
	const struct template_macro *row = index > 0 ? &r->t->table->rows[index - 1] : NULL;
	enum template_trust trust = row != NULL ? row->trust : TEMPLATE_FOREIGN;
	bool own = true;

	*c = (struct template_call){
		.scope = r->scope, .arena = &r->arena, .argc = argc, .argv = argv
	};
	for (size_t i = 0; i < r->scope->extra_count; i++) {
		const struct template_extra *x = &r->scope->extras[i];

		if (strlen(x->name) != name.n || memcmp(x->name, name.p, name.n) != 0)
			continue;
		row = NULL;
		trust = TEMPLATE_FOREIGN;
		own = false;
		c->set = x->count > 0;
		c->list = x->count > 1;
		c->count = x->count;
		c->items = (struct mw_octets *)(uintptr_t)x->items;
		break;
	}
	if (row != NULL)
		row->give(c, row->arg);
	/* In a loop over recipients, values as large as a header section come again and again. */
	if (r->arena.octets > TEMPLATE_VALUES_OCTETS)
		r->rc = MW_ERR_LIMIT;
	if (c->failed)
		r->rc = MW_ERR_NOMEM;
	if (!r->scope->escape || trust == TEMPLATE_OURS)
		return;
	if (trust == TEMPLATE_FOREIGN && r->scope->lines)
		trust = TEMPLATE_READ;
	else if (trust == TEMPLATE_LINED && !r->scope->lines)
		trust = TEMPLATE_FOREIGN;
	for (size_t i = 0; i < c->count && r->rc == MW_OK; i++) {
		struct mw_octets clean = escaped(r, c->items[i], trust);

		if (clean.p == c->items[i].p)
			continue;
		if (!own) { /* the caller's */
			struct mw_octets *items = get(r, c->count * sizeof(*items));

			if (items == NULL)
				return;
			memcpy(items, c->items, c->count * sizeof(*items));
			c->items = items;
			own = true;
		}
		c->items[i] = clean;
	}
}

static void emit_items(struct run *r, const struct template_call *c, struct sink *out)
{
	for (size_t i = 0; i < c->count && step(r); i++) {
		if (i > 0)
			emit(r, out, mw_octets_of(", ", 2));
		emit(r, out, c->items[i]);
	}
}

static struct definition *definition_of(const struct run *r, struct mw_octets name)
{
	for (size_t i = 0; i < r->definition_count; i++)
		if (r->definitions[i].name.n == name.n &&
			memcmp(r->definitions[i].name.p, name.p, name.n) == 0)
			return &r->definitions[i];
	return NULL;
}

/* Without arguments: %x, or the list of an iterator. */
static void plain_value(
	struct run *r, struct mw_octets name, unsigned index, struct template_call *c)
{
	static const struct value none[DIGITS];
	const struct definition *d = definition_of(r, name);
	struct sink out = scratch_sink(r);
	size_t begun = r->scratch.n;

	if (d == NULL) {
		ask(r, name, index, NULL, 0, c);
		return;
	}
	*c = (struct template_call){ .arena = &r->arena };
	if (!enter(r))
		return;
	write_with(r, &d->body, none, &out);
	template_say(c, text_of(r, begun));
	r->depth--;
}

/* ------------------------------------------------------------------ what stands in brackets */

static void eval_macro(
	struct run *r, const struct template_token *k, const struct env *env, struct sink *out)
{
	const struct env *bound = env_of(env, k->ch);
	struct template_call c;

	if (bound != NULL && bound->name >= 0) {
		emit(r, out, bound->item);
		return;
	}
	if (bound != NULL) {
		if (enter(r)) {
			eval_value(r, &bound->digits[k->ch - '0'], NULL, out);
			r->depth--;
		}
		return;
	}
	plain_value(r, mw_octets_of(&k->ch, 1), k->macro, &c);
	emit_items(r, &c, out);
}

/* %#x: items of a list; of a text whether there is anything in it. */
static void eval_count(struct run *r, const struct template_token *k, struct sink *out)
{
	struct template_call c;
	size_t count, n;
	char number[24];

	plain_value(r, mw_octets_of(&k->ch, 1), k->macro, &c);
	count = c.list ? c.count : c.count > 0 && template_trim(c.items[0]).n > 0;
	n = (size_t)mw_format(number, sizeof(number), "%zu", count);
	emit(r, out, keep(r, number, n));
}

/* [:name|...] and [@name|...], also _NAME(text)_. */
static void call(struct run *r, struct mw_octets name, unsigned index, const struct value *argv,
	size_t argc, bool active, struct sink *out)
{
	const struct definition *d = definition_of(r, name);
	struct mw_octets texts[TEMPLATE_ARGS_MAX];
	struct template_call c;

	if (d == NULL) {
		for (size_t i = 0; i < argc; i++)
			texts[i] = text_of_value(r, &argv[i]);
		if (r->rc != MW_OK)
			return;
		ask(r, name, index, texts, argc, &c);
		emit_items(r, &c, out);
		return;
	}
	if (enter(r)) {
		struct value body = d->body, *digits = get(r, DIGITS * sizeof(*digits));

		if (digits != NULL) {
			memset(digits, 0, DIGITS * sizeof(*digits));
			add_piece(r, &digits[0], &(struct piece){ .text = name });
			for (size_t i = 0; i < argc && i + 1 < DIGITS; i++)
				digits[i + 1] = argv[i];
			if (active)
				eval_value(r, &body, digits, out);
			else
				write_with(r, &body, digits, out);
		}
		r->depth--;
	}
}

static void eval_name(struct run *r, const struct template_token *k, struct sink *out)
{
	struct mw_octets all = written(r, k);
	struct value arg = { 0 };
	bool has_arg = all.n > (size_t)k->name_len + 2;

	if (has_arg)
		add_piece(r, &arg,
			&(struct piece){ .text = mw_octets_of(all.p + k->name_len + 2,
						 all.n - k->name_len - 4) });
	call(r, mw_octets_of(all.p + 1, k->name_len), k->macro, &arg, has_arg, false, out);
}

/* A name, which mostly stands there: *macro_r is then known since the text was compiled. */
static struct mw_octets name_arg(
	struct run *r, size_t open, const struct env *env, unsigned *macro_r)
{
	const struct template_token *k = &r->t->tokens[open];
	size_t to = arg_end(r, open);
	struct mw_octets name;

	if (to == open + 2 && k[1].kind == TEMPLATE_TEXT) {
		*macro_r = k->macro;
		return template_trim(written(r, &k[1]));
	}
	name = template_trim(text_arg(r, open + 1, to, env));
	*macro_r = r->rc == MW_OK ? template_find(r->t->table, name) : 0;
	return name;
}

static void eval_call(struct run *r, size_t open, const struct env *env, struct sink *out)
{
	bool active = r->t->tokens[open].kind == TEMPLATE_ACTIVE;
	size_t at = arg_end(r, open), argc = 0;
	unsigned macro;
	struct mw_octets name = name_arg(r, open, env, &macro);
	struct value argv[TEMPLATE_ARGS_MAX];

	for (; more_args(r, at) && argc < TEMPLATE_ARGS_MAX && r->rc == MW_OK;
		at = arg_end(r, at), argc++) {
		argv[argc] = eval_arg(r, at + 1, arg_end(r, at), env);
		if (!active && argv[argc].count > 0) {
			struct mw_octets text = text_of_value(r, &argv[argc]);

			argv[argc] = (struct value){ 0 };
			add_piece(r, &argv[argc], &(struct piece){ .text = text });
		}
	}
	if (r->rc == MW_OK)
		call(r, name, macro, argv, argc, active, out);
}

static void eval_definition(struct run *r, size_t open, const struct env *env)
{
	size_t at = arg_end(r, open);
	struct mw_octets name = template_trim(text_arg(r, open + 1, at, env));
	struct value body = { 0 };
	struct definition *d;

	if (more_args(r, at))
		body = eval_arg(r, at + 1, arg_end(r, at), env);
	if (r->rc != MW_OK)
		return;
	if (r->definitions == NULL)
		r->definitions = get(r, TEMPLATE_DEFINITIONS_MAX * sizeof(*r->definitions));
	if (r->definitions == NULL)
		return;
	d = definition_of(r, name);
	if (d == NULL && r->definition_count == TEMPLATE_DEFINITIONS_MAX) {
		r->rc = MW_ERR_LIMIT;
		return;
	}
	if (d == NULL)
		d = &r->definitions[r->definition_count++];
	*d = (struct definition){ name, body };
}

/* Blank is 0, a decimal number itself, anything else 1. */
static size_t choice(struct mw_octets s)
{
	size_t n = 0;

	s = template_trim(s);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return 1;
		n = n * 10 + (size_t)(s.p[i] - '0');
		if (n > TEMPLATE_TOKENS_MAX)
			n = TEMPLATE_TOKENS_MAX;
	}
	return n;
}

static void eval_select(struct run *r, size_t open, const struct env *env, struct sink *out)
{
	size_t at = arg_end(r, open), given = 0, wanted = choice(text_arg(r, open + 1, at, env));
	size_t chosen = at;

	for (size_t i = at; more_args(r, i); i = arg_end(r, i), given++)
		if (given <= wanted)
			chosen = i;
	if (given == 0 || (given == 1 && wanted > 0) || r->rc != MW_OK)
		return;
	eval(r, chosen + 1, arg_end(r, chosen), env, out);
}

/* The text is matched; a pattern that nobody knows yet is compiled for this once. */
static bool matches(struct run *r, size_t separator, const struct env *env, struct mw_octets text,
	struct mw_pattern **made_r, struct mw_pattern **pattern_r)
{
	unsigned known = r->t->tokens[separator].pattern;
	struct mw_octets written_so;

	if (known == 0) {
		written_so = text_arg(r, separator + 1, arg_end(r, separator), env);
		written_so = keep(r, written_so.p, written_so.n); /* a NUL behind it */
		if (r->rc != MW_OK || r->patterns++ >= TEMPLATE_PATTERNS_MAX ||
			memchr(written_so.p, '\0', written_so.n) != NULL ||
			mw_pattern_new((const char *)written_so.p, made_r, NULL) != MW_OK)
			return false;
	}
	r->steps += MATCH_STEPS;
	*pattern_r = known > 0 ? r->t->patterns[known - 1] : *made_r;
	return mw_pattern_match(*pattern_r, text) == MW_OK;
}

/* %0 is the whole text, %1 to %9 what the groups caught. */
static struct value *captures(struct run *r, const struct mw_pattern *p, struct mw_octets text)
{
	struct value *digits = get(r, DIGITS * sizeof(*digits));

	if (digits == NULL)
		return NULL;
	memset(digits, 0, DIGITS * sizeof(*digits));
	for (unsigned i = 0; i < DIGITS; i++) {
		struct mw_octets s = i == 0	 ? text
				     : p != NULL ? mw_pattern_capture(p, text, i)
						 : mw_octets_of("", 0);

		if (s.n > 0)
			add_piece(r, &digits[i], &(struct piece){ .text = s });
	}
	return digits;
}

static void eval_regexp(struct run *r, size_t open, const struct env *env, struct sink *out)
{
	size_t at = arg_end(r, open);
	struct mw_octets text = text_arg(r, open + 1, at, env);
	struct mw_pattern *made = NULL, *pattern = NULL;
	const struct value *digits = NULL;
	bool found = false;

	while (more_args(r, at) && r->rc == MW_OK) {
		size_t then = arg_end(r, at);

		if (!more_args(r, then)) { /* the else */
			digits = captures(r, NULL, text);
			found = true;
			break;
		}
		found = matches(r, at, env, text, &made, &pattern);
		if (found) {
			digits = captures(r, pattern, text);
			at = then;
			break;
		}
		mw_pattern_destroy(&made);
		at = arg_end(r, then);
	}
	mw_pattern_destroy(&made);
	if (found && digits != NULL) {
		struct value chosen = eval_arg(r, at + 1, arg_end(r, at), env);

		eval_value(r, &chosen, digits, out);
	}
}

/* ------------------------------------------------------------------ iterator */

/* The first %x of from..to that nothing holds for yet. */
static const struct template_token *first_macro(
	const struct run *r, size_t from, size_t to, const struct env *env)
{
	for (size_t i = from; i < to; i++)
		if (r->t->tokens[i].kind == TEMPLATE_MACRO &&
			env_of(env, r->t->tokens[i].ch) == NULL)
			return &r->t->tokens[i];
	return NULL;
}

struct loop {
	size_t body, separator; /* tokens they stand behind; separator 0: none */
	unsigned char name;	/* of %x in the body */
};

static void eval_each(struct run *r, const struct loop *l, const struct template_call *items,
	const struct env *env, struct sink *out)
{
	for (size_t i = 0; i < items->count && step(r); i++) {
		struct env *one = get(r, sizeof(*one));

		if (one == NULL)
			return;
		*one = (struct env){ .outer = env, .name = l->name, .item = items->items[i] };
		if (i > 0 && l->separator != 0)
			eval(r, l->separator + 1, arg_end(r, l->separator), env, out);
		eval(r, l->body + 1, arg_end(r, l->body), one, out);
	}
}

static void eval_iterator(struct run *r, size_t open, const struct env *env, struct sink *out)
{
	size_t first = arg_end(r, open);
	bool three = more_args(r, first) && more_args(r, arg_end(r, first));
	const struct template_token *k = first_macro(r, open + 1, first, env);
	struct loop l = { .body = three ? first : open };
	struct template_call items;
	struct mw_octets name;
	unsigned macro;

	l.separator = three ? arg_end(r, first) : more_args(r, first) ? first : 0;
	if (k != NULL) {
		l.name = k->ch;
		plain_value(r, mw_octets_of(&k->ch, 1), k->macro, &items);
	} else if (three) {
		l.name = 'x';
		name = name_arg(r, open, env, &macro);
		plain_value(r, name, macro, &items);
	} else { /* nothing to go through */
		return;
	}
	eval_each(r, &l, &items, env, out);
}

/* ------------------------------------------------------------------ all kinds */

static void eval_bracket(struct run *r, size_t i, const struct env *env, struct sink *out)
{
	const struct template_token *k = &r->t->tokens[i];

	if (!enter(r))
		return;
	switch ((enum template_kind)k->kind) {
	case TEMPLATE_QUOTE:
		if (out->value == NULL)
			write_code(r, i + 1, k->end, env, out);
		else if (i + 1 < k->end)
			add_piece(r, out->value,
				&(struct piece){
					.from = (uint32_t)i + 1, .to = k->end, .env = env });
		break;
	case TEMPLATE_ITERATOR:
		eval_iterator(r, i, env, out);
		break;
	case TEMPLATE_SELECT:
		eval_select(r, i, env, out);
		break;
	case TEMPLATE_REGEXP:
		eval_regexp(r, i, env, out);
		break;
	case TEMPLATE_DEFINE:
		eval_definition(r, i, env);
		break;
	default:
		eval_call(r, i, env, out);
		break;
	}
	r->depth--;
}

static void eval(struct run *r, size_t from, size_t to, const struct env *env, struct sink *out)
{
	for (size_t i = from; i < to && step(r); i++) {
		const struct template_token *k = &r->t->tokens[i];

		switch ((enum template_kind)k->kind) {
		case TEMPLATE_TEXT:
		case TEMPLATE_SEP: /* of no bracket */
		case TEMPLATE_CLOSE:
			emit(r, out, written(r, k));
			break;
		case TEMPLATE_MACRO:
			eval_macro(r, k, env, out);
			break;
		case TEMPLATE_COUNT:
			eval_count(r, k, out);
			break;
		case TEMPLATE_NAME:
			eval_name(r, k, out);
			break;
		case TEMPLATE_HASH:
			i = k->next - 1;
			break;
		default:
			eval_bracket(r, i, env, out);
			i = k->end;
			break;
		}
	}
}

enum mw_rc template_expand(
	struct template_code *t, const struct template_scope *scope, struct mw_text *out)
{
	struct run r = { .t = t, .scope = scope };
	struct sink to = { .text = out, .most = out->n + scope->most };

	eval(&r, 0, t->count, NULL, &to);
	mw_text_fini(&r.scratch);
	smtp_arena_fini(&r.arena);
	return r.rc;
}
