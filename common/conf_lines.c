/*
 * Where in a settings file a name is set. Lua tells the line where a statement ended; people want
 * the line of the key. This is a light scanner, not a parser: it finds `path =` and the keys of
 * constructors behind it. What it does not find costs only precision: the caller then tells the
 * line that Lua knows.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include "conf_priv.h"

#define ENTRIES_MAX 50000 /* names with a line of their own */

enum token_kind { T_END, T_NAME, T_STRING, T_NUMBER, T_SIGN };

struct token {
	enum token_kind kind;
	const char *p; /* of a string: without its quotes */
	size_t n;
	unsigned line;
	bool plain; /* a string without escapes */
};

struct entry {
	char *path;
	unsigned line;
	size_t order;
	bool statement; /* not in a constructor */
};

struct mw_conf_lines {
	size_t count, cap;
	struct entry *entries; /* sorted by path, then order */
	size_t file_count;
	struct passed {
		unsigned lines;
		unsigned char *bits; /* NULL: there was no memory */
	} * passed;		     /* by file */
};

struct scanner {
	const char *p, *end;
	unsigned line;
	size_t file;
	struct token *tokens;
	size_t count, cap;
	struct mw_conf_lines *lines;
	char path[MW_CONF_PATH_MAX];
};

/* ------------------------------------------------------------------ tokens */

static bool at(const struct scanner *s, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(s->end - s->p) >= n && memcmp(s->p, word, n) == 0;
}

static void step(struct scanner *s)
{
	if (*s->p == '\n')
		s->line++;
	s->p++;
}

/* Length of a long bracket's opening "[==[", 0 when there is none here. */
static size_t long_open(const struct scanner *s)
{
	const char *q = s->p;

	if (q == s->end || *q != '[')
		return 0;
	for (q++; q < s->end && *q == '='; q++)
		;
	return q < s->end && *q == '[' ? (size_t)(q - s->p) + 1 : 0;
}

/* Pass a long bracket of which the opening has that length; fills t when it is not a comment. */
static void long_text(struct scanner *s, size_t open, struct token *t)
{
	const char *body;

	s->p += open;
	body = s->p;
	for (; s->p < s->end; step(s)) {
		size_t n = 1;

		if (*s->p != ']' || (size_t)(s->end - s->p) < open)
			continue;
		while (n < open - 1 && s->p[n] == '=')
			n++;
		if (n == open - 1 && s->p[n] == ']')
			break;
	}
	t->p = body;
	t->n = (size_t)(s->p - body);
	t->plain = t->n > 0 && body[0] != '\n';
	s->p = (size_t)(s->end - s->p) >= open ? s->p + open : s->end;
}

static void quoted(struct scanner *s, struct token *t)
{
	char quote = *s->p++;

	t->p = s->p;
	t->plain = true;
	while (s->p < s->end && *s->p != quote && *s->p != '\n') {
		if (*s->p == '\\') {
			t->plain = false;
			step(s);
			if (s->p == s->end)
				break;
		}
		step(s);
	}
	t->n = (size_t)(s->p - t->p);
	if (s->p < s->end && *s->p == quote)
		s->p++;
}

static void skip_blanks(struct scanner *s)
{
	while (s->p < s->end) {
		struct token dropped;

		if (at(s, "--")) {
			size_t open;

			s->p += 2;
			open = long_open(s);
			if (open > 0)
				long_text(s, open, &dropped);
			else
				while (s->p < s->end && *s->p != '\n')
					s->p++;
		} else if (isspace((unsigned char)*s->p)) {
			step(s);
		} else {
			return;
		}
	}
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static void word(struct scanner *s, struct token *t)
{
	bool number = isdigit((unsigned char)*s->p);

	t->kind = number ? T_NUMBER : T_NAME;
	while (s->p < s->end && (is_word(*s->p) || (number && *s->p == '.')))
		s->p++;
	t->n = (size_t)(s->p - t->p);
}

static void sign(struct scanner *s, struct token *t)
{
	static const char *const doubles[] = { "==", "~=", "<=", ">=", "..", "::", "//" };

	t->kind = T_SIGN;
	t->n = 1;
	for (size_t i = 0; i < MW_COUNT(doubles); i++)
		if (at(s, doubles[i]))
			t->n = 2;
	s->p += t->n;
}

static struct token next_token(struct scanner *s)
{
	struct token t = { .kind = T_END };
	size_t open;

	skip_blanks(s);
	t.line = s->line;
	t.p = s->p;
	if (s->p == s->end)
		return t;
	open = long_open(s);
	if (open > 0 || *s->p == '"' || *s->p == '\'') {
		t.kind = T_STRING;
		if (open > 0)
			long_text(s, open, &t);
		else
			quoted(s, &t);
	} else if (is_word(*s->p)) {
		word(s, &t);
	} else {
		sign(s, &t);
	}
	return t;
}

static bool tokenise(struct scanner *s)
{
	for (;;) {
		if (s->count == s->cap) {
			size_t cap = s->cap > 0 ? 2 * s->cap : 1024;
			struct token *grown = realloc(s->tokens, cap * sizeof(*grown));

			if (grown == NULL)
				return false;
			s->tokens = grown;
			s->cap = cap;
		}
		s->tokens[s->count] = next_token(s);
		if (s->tokens[s->count++].kind == T_END)
			return true;
	}
}

/* ------------------------------------------------------------------ names */

static const struct token *token_at(const struct scanner *s, size_t i)
{
	return &s->tokens[i < s->count ? i : s->count - 1];
}

static bool is_sign(const struct scanner *s, size_t i, const char *text)
{
	const struct token *t = token_at(s, i);

	return t->kind == T_SIGN && t->n == strlen(text) && memcmp(t->p, text, t->n) == 0;
}

static bool is_key(const struct token *t)
{
	return t->kind == T_NAME || t->kind == T_NUMBER || (t->kind == T_STRING && t->plain);
}

/* Append a key to the path; the length before, or SIZE_MAX when it is full (then nothing was
 * appended). */
static size_t path_push(struct scanner *s, const char *key, size_t n)
{
	size_t had = strlen(s->path);

	if (had + n + 2 > sizeof(s->path) || memchr(key, '\0', n) != NULL)
		return SIZE_MAX;
	if (had > 0)
		s->path[had] = MW_CONF_SEP;
	memcpy(s->path + had + (had > 0), key, n);
	s->path[had + (had > 0) + n] = '\0';
	return had;
}

static void path_pop(struct scanner *s, size_t had)
{
	if (had != SIZE_MAX)
		s->path[had] = '\0';
}

static void remember(struct scanner *s, unsigned line, bool statement)
{
	struct mw_conf_lines *l = s->lines;

	if (l->count == ENTRIES_MAX)
		return;
	if (l->count == l->cap) {
		size_t cap = l->cap > 0 ? 2 * l->cap : 256;
		struct entry *grown = realloc(l->entries, cap * sizeof(*grown));

		if (grown == NULL)
			return;
		l->entries = grown;
		l->cap = cap;
	}
	l->entries[l->count].path = strdup(s->path);
	if (l->entries[l->count].path == NULL)
		return;
	l->entries[l->count].line = mw_conf_at(s->file, line);
	l->entries[l->count].statement = statement;
	l->entries[l->count].order = l->count;
	l->count++;
}

/* Behind a value that is no constructor: at the next , ; or closing brace of this level. */
static size_t skip_value(const struct scanner *s, size_t i)
{
	unsigned depth = 0;

	for (; token_at(s, i)->kind != T_END; i++) {
		if (is_sign(s, i, "(") || is_sign(s, i, "{") || is_sign(s, i, "["))
			depth++;
		else if (depth == 0 &&
			 (is_sign(s, i, ",") || is_sign(s, i, ";") || is_sign(s, i, "}")))
			break;
		else if (depth > 0 &&
			 (is_sign(s, i, ")") || is_sign(s, i, "}") || is_sign(s, i, "]")))
			depth--;
	}
	return i;
}

/* i: behind the opening brace. Returns the index behind the closing one. */
static size_t constructor(struct scanner *s, size_t i, unsigned depth)
{
	unsigned position = 0;

	while (token_at(s, i)->kind != T_END && !is_sign(s, i, "}")) {
		const struct token *t = token_at(s, i);
		unsigned line = t->line;
		char number[16];
		size_t had;

		if (t->kind == T_NAME && is_sign(s, i + 1, "=")) {
			had = path_push(s, t->p, t->n);
			i += 2;
		} else if (is_sign(s, i, "[") && is_key(token_at(s, i + 1)) &&
			   is_sign(s, i + 2, "]") && is_sign(s, i + 3, "=")) {
			had = path_push(s, token_at(s, i + 1)->p, token_at(s, i + 1)->n);
			i += 4;
		} else {
			int n = snprintf(number, sizeof(number), "%u", ++position);

			had = path_push(s, number, (size_t)n);
		}
		if (had != SIZE_MAX)
			remember(s, line, false);
		if (is_sign(s, i, "{") && had != SIZE_MAX && depth < MW_CONF_DEPTH_MAX)
			i = constructor(s, i + 1, depth + 1);
		i = skip_value(s, i);
		path_pop(s, had);
		if (is_sign(s, i, ",") || is_sign(s, i, ";"))
			i++;
	}
	return i + 1;
}

/* A path `a.b["c"]` at i. Returns the index behind it; the path is in s->path. */
static size_t read_path(struct scanner *s, size_t i)
{
	s->path[0] = '\0';
	path_push(s, token_at(s, i)->p, token_at(s, i)->n);
	for (i++;;) {
		const struct token *key = token_at(s, i + 1);

		if (is_sign(s, i, ".") && key->kind == T_NAME)
			i += 2;
		else if (is_sign(s, i, "[") && is_key(key) && is_sign(s, i + 2, "]"))
			i += 3;
		else
			return i;
		if (path_push(s, key->p, key->n) == SIZE_MAX)
			return i;
	}
}

static void find_names(struct scanner *s)
{
	size_t i = 0;

	while (token_at(s, i)->kind != T_END) {
		unsigned line = token_at(s, i)->line;

		if (token_at(s, i)->kind != T_NAME) {
			i++;
			continue;
		}
		i = read_path(s, i);
		if (!is_sign(s, i, "="))
			continue;
		remember(s, line, true);
		i++;
		if (is_sign(s, i, "{"))
			i = constructor(s, i + 1, 1);
	}
}

static int entry_compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int c = strcmp(x->path, y->path);

	return c != 0 ? c : (x->order > y->order) - (x->order < y->order);
}

static void scan_file(struct mw_conf_lines *l, const struct mw_conf_source *src, size_t file)
{
	struct scanner s = {
		.p = src->text, .end = src->text + src->n, .line = 1, .file = file, .lines = l
	};

	if (tokenise(&s))
		find_names(&s);
	free(s.tokens);
	l->passed[file].lines = s.line + 1;
	l->passed[file].bits = calloc(s.line / 8 + 1, 1);
}

struct mw_conf_lines *mw_conf_lines_scan(const struct mw_conf_source *files, size_t count)
{
	struct mw_conf_lines *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->passed = calloc(count + 1, sizeof(*l->passed));
	l->file_count = l->passed != NULL ? count : 0;
	for (size_t i = 0; i < l->file_count; i++)
		if (files[i].text != NULL)
			scan_file(l, &files[i], i);
	if (l->count > 0)
		qsort(l->entries, l->count, sizeof(struct entry), entry_compare);
	return l;
}

/* Its bit, NULL when there is none; mask_r is filled. */
static unsigned char *passed_bit(const struct mw_conf_lines *l, unsigned at, unsigned char *mask_r)
{
	unsigned line = MW_CONF_LINE(at);
	const struct passed *p;

	if (l == NULL || MW_CONF_FILE(at) >= l->file_count)
		return NULL;
	p = &l->passed[MW_CONF_FILE(at)];
	*mask_r = (unsigned char)MW_BIT(line % 8);
	return p->bits != NULL && line < p->lines ? &p->bits[line / 8] : NULL;
}

void mw_conf_lines_passed(struct mw_conf_lines *l, unsigned at)
{
	unsigned char mask, *bit = passed_bit(l, at, &mask);

	if (bit != NULL)
		*bit |= mask;
}

static bool is_passed(const struct mw_conf_lines *l, unsigned at)
{
	unsigned char mask, *bit = passed_bit(l, at, &mask);

	return bit != NULL && (*bit & mask) != 0;
}

void mw_conf_lines_destroy(struct mw_conf_lines **l_p)
{
	struct mw_conf_lines *l = *l_p;

	*l_p = NULL;
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->count; i++)
		free(l->entries[i].path);
	for (size_t i = 0; i < l->file_count; i++)
		free(l->passed[i].bits);
	free(l->passed);
	free(l->entries);
	free(l);
}

/* Index of the first entry that is not below (path, order 0). */
static size_t first_of(const struct mw_conf_lines *l, const char *path)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(l->entries[mid].path, path) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

unsigned mw_conf_lines_statement(const struct mw_conf_lines *l, const char *path, unsigned reported)
{
	unsigned line = 0;

	if (l == NULL)
		return reported;
	for (size_t i = first_of(l, path); i < l->count && strcmp(l->entries[i].path, path) == 0;
		i++)
		if (l->entries[i].line <= reported &&
			MW_CONF_FILE(l->entries[i].line) == MW_CONF_FILE(reported))
			line = l->entries[i].line;
	return line > 0 ? line : reported;
}

unsigned mw_conf_lines_field(
	const struct mw_conf_lines *l, const char *path, unsigned from, size_t *order_r)
{
	const struct entry *found = NULL;
	size_t order = SIZE_MAX;

	for (size_t i = l != NULL ? first_of(l, path) : 0;
		l != NULL && i < l->count && strcmp(l->entries[i].path, path) == 0; i++) {
		const struct entry *e = &l->entries[i];

		if (e->line < from)
			continue;
		/* In a constructor it is the first behind `from`; a statement goes above that. */
		if (e->statement ? !is_passed(l, e->line)
				 : found != NULL || MW_CONF_FILE(e->line) != MW_CONF_FILE(from))
			continue;
		order = found != NULL ? order : e->order;
		found = e;
	}
	if (order_r != NULL)
		*order_r = order;
	return found != NULL ? found->line : from;
}
