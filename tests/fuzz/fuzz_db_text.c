/* fuzz: common services/smtp-front */
/*
 * Texts of the database lookups, picked by the first octet: a DSN, a clause, an address. What the
 * parsers make of them is bounded; a clause's parameters are as many as its statement shows outside
 * of quotes, which stay as they were; an address's keys are UTF-8 and different.
 */
#include <stdio.h>
#include <stdlib.h>

#include "policy/db_clause.h"
#include "policy/db_dsn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

static void dsn(const char *text)
{
	struct db_dsn d = { 0 };
	struct mw_err err = { "" };

	if (db_dsn_parse(text, &d, &err) == MW_OK) {
		require(d.database[0] != '\0' && d.driver < DB_LDAP_SERVER);
		require(mw_is_printable(d.shown, strlen(d.shown)) && strchr(d.shown, ' ') == NULL);
	} else {
		require(mw_is_printable(err.text, strlen(err.text)) && err.text[0] != '\0');
	}
}

/* Placeholders of the statement are $1 to $count in order: those of the clause itself are not ours.
 */
static void numbered(const struct db_clause *c, size_t keys)
{
	const char *text = db_clause_text(c, keys), *at = text;
	size_t count = db_clause_params(c, keys);

	require(strlen(text) <= DB_CLAUSE_MAX + DB_PARTS_MAX * DB_KEYS_MAX * 5);
	for (size_t i = 1; i <= count; i++) {
		char mark[16];

		snprintf(mark, sizeof(mark), "$%zu", i);
		at = strstr(at, mark);
		require(at != NULL);
	}
}

static void clause(const char *text, const struct db_keys *k)
{
	const char *args[] = { "1" };

	for (int syntax = 0; syntax < DB_SYNTAX_COUNT; syntax++) {
		struct db_clause *c = NULL;
		struct mw_err err = { "" };
		const char *values[DB_PARTS_MAX * DB_KEYS_MAX];
		size_t count;

		if (db_clause_new("sel_policy", text, (enum db_syntax)syntax, &c, &err) != MW_OK) {
			require(c == NULL && err.text[0] != '\0');
			continue;
		}
		if (syntax == DB_SYNTAX_PQ && strchr(text, '$') == NULL) {
			numbered(c, 1);
			numbered(c, DB_KEYS_MAX);
		}
		count = db_clause_params(c, k->count);
		require(count <= MW_COUNT(values));
		db_clause_values(c, k, args, 1, values);
		for (size_t i = 0; i < count; i++)
			require(strlen(values[i]) <= 2 * DB_ADDRESS_MAX + 8);
		db_clause_destroy(&c);
	}
}

static void keys(struct smtp_arena *a, const char *text, uint8_t flags, struct db_keys *k)
{
	struct db_notation how = {
		.delimiter = (flags & 1) != 0 ? "+-" : NULL,
		.case_sensitive = (flags & 2) != 0,
		.no_at_means_domain = (flags & 4) != 0,
		.local = (flags & 8) != 0,
		.brackets_for_null = (flags & 16) != 0,
	};
	enum mw_rc rc = db_keys_make(a, text, &how, k);

	if (rc != MW_OK) {
		require(rc == MW_ERR_LIMIT && strlen(text) > DB_ADDRESS_MAX);
		return;
	}
	require(k->count >= 1 && k->count <= DB_KEYS_MAX);
	for (size_t i = 0; i < k->count; i++)
		for (size_t j = 0; j < i; j++)
			require(strcmp(k->keys[i], k->keys[j]) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_arena arena = { 0 };
	struct db_keys k = { 0 };
	char *text;

	if (size < 2)
		return 0;
	text = malloc(size - 1);
	require(text != NULL);
	memcpy(text, data + 2, size - 2);
	text[size - 2] = '\0';
	switch (data[0] % 3) {
	case 0:
		dsn(text);
		break;
	case 1:
		keys(&arena, "Us+Er@a.Example.org", data[1], &k);
		clause(text, &k);
		break;
	default:
		keys(&arena, text, data[1], &k);
		break;
	}
	free(text);
	smtp_arena_fini(&arena);
	return 0;
}
