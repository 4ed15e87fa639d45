#include "db_clause.h"

#include <stdlib.h>

#include "text.h"

struct db_clause {
	enum db_syntax syntax;
	size_t count;
	char kinds[DB_PARTS_MAX];     /* k a l u e d ? in the order of the clause */
	size_t key_lists;	      /* how many of them are %k */
	char *texts[DB_KEYS_MAX + 1]; /* by the number of keys; [0] is not used */
};

struct cut {
	const char *at; /* first octet of the placeholder */
	size_t n;	/* its octets */
};

/* ------------------------------------------------------------------ where placeholders stand */

/* The octet behind the quotation that begins at p, NULL: it does not end. */
static const char *behind_quotes(const char *p, enum db_syntax syntax)
{
	char quote = *p++;

	for (; *p != '\0'; p++) {
		if (*p == '\\' && syntax == DB_SYNTAX_MYSQL && quote != '`' && p[1] != '\0')
			p++;
		else if (*p == quote)
			return p + 1; /* a doubled quote begins the next one at once */
	}
	return NULL;
}

/* The octet behind the comment at p; p itself when there is none; NULL: it does not end. */
static const char *behind_comment(const char *p, enum db_syntax syntax)
{
	bool mysql = syntax == DB_SYNTAX_MYSQL;

	/* There "5--3" is a sum: its comment needs a blank. */
	if (p[0] == '-' && p[1] == '-' && (!mysql || (unsigned char)p[2] <= ' '))
		return p + strcspn(p, "\n");
	if (p[0] == '#' && mysql)
		return p + strcspn(p, "\n");
	if (p[0] != '/' || p[1] != '*')
		return p;
	p = strstr(p + 2, "*/");
	return p != NULL ? p + 2 : NULL;
}

static size_t placeholder_octets(const char *p)
{
	if (*p == '?')
		return 1;
	return *p == '%' && p[1] != '\0' && strchr("kalued", p[1]) != NULL ? 2 : 0;
}

/* Fills kinds and cuts. */
static enum mw_rc find_cuts(const char *name, const char *text, struct db_clause *c,
	struct cut *cuts, struct mw_err *err_r)
{
	for (const char *p = text; *p != '\0';) {
		const char *next = strchr("'\"`", *p) != NULL ? behind_quotes(p, c->syntax)
							      : behind_comment(p, c->syntax);
		size_t n = placeholder_octets(p);

		if (next == NULL)
			return mw_fail(err_r, MW_ERR_CONF,
				"sql_clause.%s: the quotation or comment at octet %zu does not end",
				name, (size_t)(p - text) + 1);
		if (next != p) {
			p = next;
			continue;
		}
		if (n > 0 && c->count == DB_PARTS_MAX)
			return mw_fail(err_r, MW_ERR_CONF,
				"sql_clause.%s: more than %d placeholders", name, DB_PARTS_MAX);
		if (n > 0) {
			cuts[c->count] = (struct cut){ p, n };
			c->kinds[c->count++] = p[n - 1];
			c->key_lists += p[n - 1] == 'k';
		}
		/* "%%k" is an operator and a letter, not a placeholder behind a sign. */
		p += n > 0 ? n : p[0] == '%' && p[1] == '%' ? 2 : 1;
	}
	return MW_OK;
}

/* ------------------------------------------------------------------ statements */

static void add_params(struct mw_text *out, enum db_syntax syntax, size_t count, size_t *param)
{
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			mw_text_add(out, ",");
		++*param;
		if (syntax == DB_SYNTAX_PQ)
			mw_text_addf(out, "$%zu", *param);
		else
			mw_text_add(out, "?");
	}
}

static char *make_text(
	const struct db_clause *c, const char *text, const struct cut *cuts, size_t keys)
{
	struct mw_text out = { 0 };
	size_t param = 0;

	for (size_t i = 0; i < c->count; i++) {
		mw_text_add_octets(&out, text, (size_t)(cuts[i].at - text));
		add_params(&out, c->syntax, c->kinds[i] == 'k' ? keys : 1, &param);
		text = cuts[i].at + cuts[i].n;
	}
	mw_text_add(&out, text);
	if (out.failed)
		mw_text_fini(&out);
	return out.p;
}

static enum mw_rc fill(
	const char *name, const char *text, struct db_clause *c, struct mw_err *err_r)
{
	struct cut cuts[DB_PARTS_MAX];
	size_t n = strlen(text);
	enum mw_rc rc;

	if (n == 0 || n > DB_CLAUSE_MAX)
		return mw_fail(err_r, MW_ERR_CONF, "sql_clause.%s: %zu octets, not 1 to %d", name,
			n, DB_CLAUSE_MAX);
	rc = find_cuts(name, text, c, cuts, err_r);
	for (size_t keys = 1; keys <= DB_KEYS_MAX && rc == MW_OK; keys++) {
		c->texts[keys] = make_text(c, text, cuts, keys);
		if (c->texts[keys] == NULL)
			rc = MW_ERR_NOMEM;
	}
	return rc;
}

enum mw_rc db_clause_new(const char *name, const char *text, enum db_syntax syntax,
	struct db_clause **clause_r, struct mw_err *err_r)
{
	struct db_clause *c = calloc(1, sizeof(*c));
	enum mw_rc rc;

	if (c == NULL)
		return MW_ERR_NOMEM;
	c->syntax = syntax;
	rc = fill(name, text, c, err_r);
	if (rc != MW_OK)
		db_clause_destroy(&c);
	else
		*clause_r = c;
	return rc;
}

void db_clause_destroy(struct db_clause **clause_p)
{
	struct db_clause *c = *clause_p;

	*clause_p = NULL;
	if (c == NULL)
		return;
	for (size_t i = 0; i <= DB_KEYS_MAX; i++)
		free(c->texts[i]);
	free(c);
}

const char *db_clause_text(const struct db_clause *c, size_t keys)
{
	return c->texts[keys];
}

size_t db_clause_params(const struct db_clause *c, size_t keys)
{
	return c->count - c->key_lists + c->key_lists * keys;
}

static const char *part_value(const struct db_keys *k, char kind)
{
	switch (kind) {
	case 'a':
		return k->address;
	case 'l':
		return k->localpart;
	case 'u':
		return k->user;
	case 'e':
		return k->extension;
	default:
		return k->domain;
	}
}

void db_clause_values(const struct db_clause *c, const struct db_keys *k, const char *const *args,
	size_t arg_count, const char **values)
{
	size_t arg = 0;

	for (size_t i = 0; i < c->count; i++) {
		if (c->kinds[i] == 'k') {
			for (size_t j = 0; j < k->count; j++)
				*values++ = k->keys[j];
		} else if (c->kinds[i] == '?') {
			*values++ = arg < arg_count ? args[arg] : "";
			arg++;
		} else {
			*values++ = part_value(k, c->kinds[i]);
		}
	}
}
