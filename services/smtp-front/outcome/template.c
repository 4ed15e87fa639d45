/* A template's text becomes tokens, its brackets are joined to their ends, regexps that stand in
 * it are compiled. */
#include <stdlib.h>

#include "template_priv.h"

struct lexer {
	struct template_code *t;
	const char *text, *at, *end;
	struct {
		size_t token; /* that opened it */
		size_t last;  /* the opening, or the last separator of its level */
		const char *at;
	} open[TEMPLATE_NESTING_MAX];
	size_t depth, quotes;
	bool full; /* memory ran out */
	struct mw_err *err;
};

static enum mw_rc fail_at(
	const struct lexer *l, const char *at, enum mw_rc rc, const char *what, const char *more)
{
	unsigned line = 1;
	size_t column = 1;

	for (const char *p = l->text; p < at; p++) {
		column++;
		if (*p == '\n') {
			line++;
			column = 1;
		}
	}
	return mw_fail(l->err, rc, "line %u, character %zu: %s%s", line, column, what, more);
}

/* ------------------------------------------------------------------ tokens */

static size_t pool_add(struct lexer *l, const char *p, size_t n)
{
	struct template_code *t = l->t;
	size_t at = t->pool_n;

	if (t->pool_cap - t->pool_n < n) {
		size_t cap = t->pool_cap != 0 ? t->pool_cap * 2 : 1024;
		char *pool;

		while (cap - t->pool_n < n)
			cap *= 2;
		pool = realloc(t->pool, cap);
		if (pool == NULL) {
			l->full = true;
			return 0;
		}
		t->pool = pool;
		t->pool_cap = cap;
	}
	memcpy(t->pool + at, p, n);
	t->pool_n += n;
	return at;
}

static struct template_token *token_add(
	struct lexer *l, enum template_kind kind, const char *p, size_t n)
{
	static struct template_token nowhere;
	struct template_code *t = l->t;

	if (t->count == t->cap) {
		size_t cap = t->cap != 0 ? t->cap * 2 : 64;
		struct template_token *tokens = realloc(t->tokens, cap * sizeof(*tokens));

		if (tokens == NULL) {
			l->full = true;
			return &nowhere;
		}
		t->tokens = tokens;
		t->cap = cap;
	}
	t->tokens[t->count] = (struct template_token){
		.kind = (uint8_t)kind, .at = (uint32_t)pool_add(l, p, n), .n = (uint32_t)n
	};
	return &t->tokens[t->count++];
}

/* Text grows at its end; but a newline in quotes stands alone, where a comment may end. */
static void add_text(struct lexer *l, const char *p, size_t n)
{
	struct template_code *t = l->t;
	struct template_token *last = t->count > 0 ? &t->tokens[t->count - 1] : NULL;
	bool alone = l->quotes > 0 && n == 1 && *p == '\n';

	if (last != NULL && last->kind == TEMPLATE_TEXT && !alone && last->ch != '\n' &&
		last->at + last->n == t->pool_n) {
		pool_add(l, p, n);
		if (!l->full)
			last->n += (uint32_t)n;
		return;
	}
	token_add(l, TEMPLATE_TEXT, p, n)->ch = alone ? '\n' : 0;
}

/* Behind a backslash. */
static enum mw_rc lex_escape(struct lexer *l)
{
	static const char names[] = "nrfbeat", means[] = "\n\r\f\b\033\a\t";
	const char *known;
	char c;

	if (l->at == l->end) {
		add_text(l, "\\", 1);
		return MW_OK;
	}
	c = *l->at++;
	known = c != '\0' ? strchr(names, c) : NULL;
	if (c == '\n' || c == '_')
		return MW_OK;
	if (c >= '0' && c <= '7') {
		unsigned code = (unsigned)(c - '0');

		for (int i = 0; i < 2 && l->at < l->end && *l->at >= '0' && *l->at <= '7'; i++)
			code = code * 8 + (unsigned)(*l->at++ - '0');
		if (code > 0xff)
			return fail_at(l, l->at - 3, MW_ERR_CONF,
				"no character has that code: ", "at most \\377");
		c = (char)code;
	} else if (known != NULL) {
		c = means[known - names];
	}
	add_text(l, &c, 1);
	if (c == '\n') /* no end of a comment */
		l->t->tokens[l->t->count - 1].ch = 0;
	return MW_OK;
}

/* Outside of quotes, behind #: all up to the next newline of the text. */
static void skip_comment(struct lexer *l)
{
	while (l->at < l->end && *l->at != '\n')
		l->at += *l->at == '\\' && l->at + 1 < l->end ? 2 : 1;
	l->at += l->at < l->end;
}

/* Behind %. */
static void lex_percent(struct lexer *l)
{
	const char *p = l->at - 1;
	bool count = l->end - l->at >= 2 && *l->at == '#';
	struct template_token *k;
	char name;

	if (l->at == l->end || *l->at == '%') {
		l->at += l->at < l->end;
		add_text(l, "%", 1);
		return;
	}
	l->at += count ? 2 : 1;
	name = l->at[-1];
	k = token_add(l, count ? TEMPLATE_COUNT : TEMPLATE_MACRO, p, (size_t)(l->at - p));
	k->ch = (unsigned char)name;
	k->macro = (uint16_t)template_find(l->t->table, mw_octets_of(&name, 1));
}

/* _NAME_ or _NAME(text)_ at l->at - 1; false: it is neither. */
static bool lex_name(struct lexer *l)
{
	const char *p = l->at, *name = p;
	struct template_token *k;
	size_t n;

	while (p < l->end && *p >= 'A' && *p <= 'Z')
		p++;
	n = (size_t)(p - name);
	if (p < l->end && *p == '(') {
		p = memchr(p, ')', (size_t)(l->end - p));
		p = p != NULL ? p + 1 : l->end;
	}
	if (n == 0 || n > UINT16_MAX || p == l->end || *p != '_')
		return false;
	l->at = p + 1;
	k = token_add(l, TEMPLATE_NAME, name - 1, (size_t)(l->at - name) + 1);
	k->name_len = (uint16_t)n;
	k->macro = (uint16_t)template_find(l->t->table, mw_octets_of(name, n));
	return true;
}

static enum mw_rc lex_open(struct lexer *l)
{
	static const char marks[] = "\"?~@:=";
	static const enum template_kind kinds[] = { TEMPLATE_QUOTE, TEMPLATE_SELECT,
		TEMPLATE_REGEXP, TEMPLATE_ACTIVE, TEMPLATE_NEUTRAL, TEMPLATE_DEFINE };
	const char *p = l->at - 1,
		   *mark = l->at < l->end && *l->at != '\0' ? strchr(marks, *l->at) : NULL;
	enum template_kind kind = mark != NULL ? kinds[mark - marks] : TEMPLATE_ITERATOR;

	if (l->depth == TEMPLATE_NESTING_MAX)
		return fail_at(l, p, MW_ERR_LIMIT, "brackets are nested too deeply", "");
	l->at += mark != NULL;
	token_add(l, kind, p, (size_t)(l->at - p));
	l->open[l->depth].token = l->open[l->depth].last = l->t->count - 1;
	l->open[l->depth].at = p;
	l->depth++;
	l->quotes += kind == TEMPLATE_QUOTE;
	return MW_OK;
}

static void close_bracket(struct lexer *l, const char *p, size_t n)
{
	size_t at = l->t->count;

	token_add(l, TEMPLATE_CLOSE, p, n);
	l->depth--;
	if (l->full)
		return;
	l->t->tokens[l->open[l->depth].last].next = (uint32_t)at;
	l->t->tokens[l->open[l->depth].token].end = (uint32_t)at;
	l->quotes -= l->t->tokens[l->open[l->depth].token].kind == TEMPLATE_QUOTE;
}

/* ] and "]: each ends what it belongs to; the other one's quote is a character. */
static enum mw_rc lex_close(struct lexer *l, bool quote)
{
	bool quoted = l->depth > 0 && !l->full &&
		      l->t->tokens[l->open[l->depth - 1].token].kind == TEMPLATE_QUOTE;

	if (l->depth == 0) {
		add_text(l, quote ? "\"]" : "]", quote ? 2 : 1);
	} else if (quoted && quote) {
		close_bracket(l, "\"]", 2);
	} else if (quoted) {
		return fail_at(l, l->open[l->depth - 1].at, MW_ERR_CONF,
			"a quote [\" ends with ] in place of \"]", "");
	} else {
		if (quote)
			add_text(l, "\"", 1);
		close_bracket(l, "]", 1);
	}
	return MW_OK;
}

static void lex_separator(struct lexer *l)
{
	size_t at = l->t->count;

	token_add(l, TEMPLATE_SEP, "|", 1);
	if (l->depth == 0 || l->full)
		return;
	l->t->tokens[l->open[l->depth - 1].last].next = (uint32_t)at;
	l->open[l->depth - 1].last = at;
}

static enum mw_rc lex_one(struct lexer *l)
{
	const char *p = l->at++;

	switch (*p) {
	case '\\':
		return lex_escape(l);
	case '#':
		if (l->quotes == 0)
			skip_comment(l);
		else
			token_add(l, TEMPLATE_HASH, "#", 1);
		return MW_OK;
	case '%':
		lex_percent(l);
		return MW_OK;
	case '[':
		return lex_open(l);
	case ']':
		return lex_close(l, false);
	case '"':
		if (l->at == l->end || *l->at != ']')
			break;
		l->at++;
		return lex_close(l, true);
	case '|':
		lex_separator(l);
		return MW_OK;
	case '_':
		if (lex_name(l))
			return MW_OK;
		break;
	default:
		break;
	}
	add_text(l, p, 1);
	return MW_OK;
}

static enum mw_rc lex(struct lexer *l)
{
	enum mw_rc rc = MW_OK;

	while (l->at < l->end && rc == MW_OK && !l->full) {
		const char *p = l->at;

		rc = lex_one(l);
		if (rc == MW_OK && l->t->count > TEMPLATE_TOKENS_MAX)
			rc = fail_at(l, p, MW_ERR_LIMIT, "the text has too many parts", "");
	}
	if (rc == MW_OK && l->full)
		return mw_fail(l->err, MW_ERR_NOMEM, "no memory");
	if (rc == MW_OK && l->depth > 0)
		return fail_at(l, l->open[l->depth - 1].at, MW_ERR_CONF,
			"what begins here has no end: a ] is missing", "");
	return rc;
}

/* A # within quotes ends with the next newline of the text, whatever stands between. */
static void join_comments(struct template_code *t)
{
	uint32_t behind = (uint32_t)t->count;

	for (size_t i = t->count; i-- > 0;) {
		struct template_token *k = &t->tokens[i];

		if (k->kind == TEMPLATE_TEXT && k->ch == '\n')
			behind = (uint32_t)i + 1;
		else if (k->kind == TEMPLATE_HASH)
			k->next = behind;
	}
}

/* Names of calls, and of iterators, that are one text. */
static void find_names(struct template_code *t)
{
	for (size_t i = 0; i + 2 < t->count; i++) {
		struct template_token *k = &t->tokens[i];

		if ((k->kind != TEMPLATE_ACTIVE && k->kind != TEMPLATE_NEUTRAL &&
			    k->kind != TEMPLATE_ITERATOR) ||
			k[1].kind != TEMPLATE_TEXT || k->next != i + 2)
			continue;
		k->macro = (uint16_t)template_find(
			t->table, template_trim(mw_octets_of(t->pool + k[1].at, k[1].n)));
	}
}

/* ------------------------------------------------------------------ regexps */

/* Where tokens from..to are text whatever the mail, what they say. */
static bool constant(const struct template_code *t, size_t from, size_t to, struct mw_text *out)
{
	bool quoted = from < to && t->tokens[from].kind == TEMPLATE_QUOTE &&
		      t->tokens[from].end == to - 1;

	if (quoted) {
		from++;
		to--;
	}
	for (size_t i = from; i < to; i++) {
		const struct template_token *k = &t->tokens[i];

		if (k->kind == TEMPLATE_MACRO || (k->kind != TEMPLATE_TEXT && !quoted))
			return false;
		mw_text_add_octets(out, t->pool + k->at, k->n);
	}
	return true;
}

static enum mw_rc compile_regexp(
	struct template_code *t, size_t separator, const char *text, struct mw_err *err_r)
{
	struct mw_pattern *pattern, **all;
	struct mw_err why = { "" };
	enum mw_rc rc = mw_pattern_new(text, &pattern, &why);

	if (rc != MW_OK)
		return mw_fail(err_r, rc, "regexp %.100s: %s", text, why.text);
	all = realloc(t->patterns, (t->pattern_count + 1) * sizeof(*all));
	if (all == NULL) {
		mw_pattern_destroy(&pattern);
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory");
	}
	t->patterns = all;
	all[t->pattern_count++] = pattern;
	t->tokens[separator].pattern = (uint16_t)t->pattern_count;
	return MW_OK;
}

/* Those of one [~ ]: behind its first separator, its third, and so on, where one more follows. */
static enum mw_rc compile_regexps(struct template_code *t, size_t open, struct mw_err *err_r)
{
	enum mw_rc rc = MW_OK;

	for (size_t i = t->tokens[open].next; rc == MW_OK && t->tokens[i].kind == TEMPLATE_SEP;) {
		size_t to = t->tokens[i].next;
		struct mw_text text = { 0 };

		if (t->tokens[to].kind != TEMPLATE_SEP)
			break; /* that is the else */
		if (constant(t, i + 1, to, &text) && text.n == strlen(text.p != NULL ? text.p : ""))
			rc = text.failed
				     ? mw_fail(err_r, MW_ERR_NOMEM, "no memory")
				     : compile_regexp(t, i, text.p != NULL ? text.p : "", err_r);
		mw_text_fini(&text);
		i = t->tokens[to].next;
	}
	return rc;
}

/* ------------------------------------------------------------------ outside */

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

struct mw_octets template_trim(struct mw_octets s)
{
	while (s.n > 0 && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

unsigned template_find(const struct template_table *table, struct mw_octets name)
{
	for (size_t i = 0; i < table->count; i++)
		if (strlen(table->rows[i].name) == name.n &&
			memcmp(table->rows[i].name, name.p, name.n) == 0)
			return (unsigned)i + 1;
	return 0;
}

enum mw_rc template_compile(const char *text, const struct template_table *table,
	struct template_code **template_r, struct mw_err *err_r)
{
	struct template_code *t = calloc(1, sizeof(*t));
	struct lexer l = {
		.t = t, .text = text, .at = text, .end = text + strlen(text), .err = err_r
	};
	enum mw_rc rc;

	if (t == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory");
	t->refs = 1;
	t->table = table;
	rc = l.end - l.at <= TEMPLATE_TEXT_MAX
		     ? lex(&l)
		     : mw_fail(err_r, MW_ERR_LIMIT, "more than %d octets", TEMPLATE_TEXT_MAX);
	if (rc == MW_OK) {
		join_comments(t);
		find_names(t);
	}
	for (size_t i = 0; i < t->count && rc == MW_OK; i++)
		if (t->tokens[i].kind == TEMPLATE_REGEXP)
			rc = compile_regexps(t, i, err_r);
	if (rc == MW_OK)
		*template_r = t;
	else
		template_unref(&t);
	return rc;
}

enum mw_rc template_new(const char *text, struct template_code **template_r, struct mw_err *err_r)
{
	return template_compile(text, &template_macros, template_r, err_r);
}

struct template_code *template_ref(struct template_code *t)
{
	if (t != NULL)
		t->refs++;
	return t;
}

void template_unref(struct template_code **template_p)
{
	struct template_code *t = *template_p;

	*template_p = NULL;
	if (t == NULL || --t->refs > 0)
		return;
	for (size_t i = 0; i < t->pattern_count; i++)
		mw_pattern_destroy(&t->patterns[i]);
	free(t->patterns);
	free(t->tokens);
	free(t->pool);
	free(t);
}

bool template_is_empty(const struct template_code *t)
{
	return t->count == 0;
}
