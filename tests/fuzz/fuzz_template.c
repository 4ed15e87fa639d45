/* fuzz: services/smtp-front common */
/* Texts in the language of templates, and values, that anybody may have written: what compiles is
 * expanded within its bounds, twice with one result, and no value brings a line end into a line.
 * Up to the first NUL the text, behind it values, each up to the next NUL. */
#include <stdlib.h>

#include "outcome/template_priv.h"
#include "transaction.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void front_txn_over(struct front *f);

#define VALUES 4
#define MOST 4096

/* main.c's. */
void front_txn_over(struct front *f)
{
	(void)f;
}

static void require(bool promise)
{
	if (!promise)
		abort();
}

static struct mw_octets values[VALUES];

static void give_value(struct template_call *c, int arg)
{
	template_say(c, values[arg]);
}

static void give_values(struct template_call *c, int arg)
{
	(void)arg;
	template_list(c);
	for (size_t i = 0; i < VALUES; i++)
		template_item(c, values[i]);
}

/* The functions of the real table, and macros whose values are the input's. */
static const struct template_table *table(void)
{
	static struct template_macro rows[300];
	static struct template_table made;

	for (size_t i = 0; i < template_macros.count && made.rows == NULL; i++) {
		static const char *const functions[] = { "wrap", "lc", "uc", "substr", "index",
			"len", "incr", "decr", "min", "max", "sprintf", "join", "limit", "dquote",
			"uquote", "rot13", "hexenc", "b64encode", "b64enc", "b64urlenc",
			"mail_addr_decode", "mime_decode", "mime2utf8" };

		for (size_t k = 0; k < MW_COUNT(functions); k++)
			if (strcmp(template_macros.rows[i].name, functions[k]) == 0)
				rows[made.count++] = template_macros.rows[i];
	}
	if (made.rows == NULL) {
		rows[made.count++] =
			(struct template_macro){ "R", give_values, 0, TEMPLATE_FOREIGN };
		rows[made.count++] =
			(struct template_macro){ "s", give_value, 0, TEMPLATE_FOREIGN };
		rows[made.count++] =
			(struct template_macro){ "j", give_value, 1, TEMPLATE_FOREIGN };
		rows[made.count++] =
			(struct template_macro){ "list", give_values, 0, TEMPLATE_FOREIGN };
		rows[made.count++] =
			(struct template_macro){ "SCORE", give_value, 2, TEMPLATE_FOREIGN };
		made.rows = rows;
	}
	return &made;
}

static void take_values(const uint8_t *p, const uint8_t *end)
{
	for (size_t i = 0; i < VALUES; i++) {
		const uint8_t *stop = p < end ? memchr(p, '\0', (size_t)(end - p)) : NULL;

		values[i] = mw_octets_of(p, (size_t)((stop != NULL ? stop : end) - p));
		p = stop != NULL ? stop + 1 : end;
	}
}

/* A value and what functions make of it holds no control character. */
static void values_stay_in_their_line(void)
{
	static const char text[] = "%s|%R|[:mime_decode|%j|99|1]|[:sprintf|%%c%%s|10|%s]|"
				   "[:lc|%s]|[%R|[:dquote|%R]|,]|[~%s|[\"(.)\"]|[\"%1%0\"]]";
	const struct template_scope scope = { .most = MOST, .escape = true };
	struct template_code *t = NULL;
	struct mw_text out = { 0 };

	require(template_compile(text, table(), &t, NULL) == MW_OK);
	template_expand(t, &scope, &out);
	for (size_t i = 0; i < out.n; i++)
		require((unsigned char)out.p[i] >= 0x20 && out.p[i] != 0x7f);
	template_unref(&t);
	mw_text_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n = strnlen((const char *)data, size);
	const struct template_scope scopes[] = { { .most = MOST },
		{ .most = MOST, .escape = true } };
	struct template_code *t = NULL;
	struct mw_err err = { "" };
	char *text = strndup((const char *)data, n);

	require(text != NULL);
	take_values(data + (n < size ? n + 1 : n), data + size);
	values_stay_in_their_line();
	if (template_compile(text, table(), &t, &err) != MW_OK) {
		require(err.text[0] != '\0');
		free(text);
		return 0;
	}
	for (size_t i = 0; i < MW_COUNT(scopes); i++) {
		struct mw_text first = { 0 }, again = { 0 };
		enum mw_rc rc = template_expand(t, &scopes[i], &first);

		require(rc == MW_OK || rc == MW_ERR_LIMIT);
		require(first.n <= MOST);
		require(template_expand(t, &scopes[i], &again) == rc);
		require(first.n == again.n &&
			(first.n == 0 || memcmp(first.p, again.p, first.n) == 0));
		mw_text_fini(&first);
		mw_text_fini(&again);
	}
	template_unref(&t);
	free(text);
	return 0;
}
