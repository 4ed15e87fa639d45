/* Lists of regular expressions, tried in their order. */
#include <stdio.h>
#include <stdlib.h>

#include "lookup_priv.h"

struct regexp {
	struct mw_pattern *pattern;
	struct mw_cell cell;
};

struct mw_regexps {
	size_t count;
	struct mw_pool pool;
	struct regexp entry[];
};

struct mw_regexps *mw_regexps_new(size_t count)
{
	return calloc(1, sizeof(struct mw_regexps) + count * sizeof(struct regexp));
}

void mw_regexps_destroy(struct mw_regexps **x_p)
{
	struct mw_regexps *x = *x_p;

	*x_p = NULL;
	if (x == NULL)
		return;
	for (size_t i = 0; i < x->count; i++)
		mw_pattern_destroy(&x->entry[i].pattern);
	mw_pool_fini(&x->pool);
	free(x);
}

struct mw_pool *mw_regexps_pool(struct mw_regexps *x)
{
	return &x->pool;
}

enum mw_rc mw_regexps_add(
	struct mw_regexps *x, const char *pattern, const struct mw_cell *c, struct mw_err *err_r)
{
	enum mw_rc rc = mw_pattern_new(pattern, &x->entry[x->count].pattern, err_r);

	if (rc == MW_OK)
		x->entry[x->count++].cell = *c;
	return rc;
}

bool mw_regexps_each(const struct mw_regexps *x,
	bool (*each)(void *arg, const char *key, const struct mw_cell *c), void *arg)
{
	bool more = true;

	for (size_t i = 0; i < x->count && more; i++)
		more = each(arg, mw_pattern_text(x->entry[i].pattern), &x->entry[i].cell);
	return more;
}

#define MATCHES_A_LOOK 8 /* between two looks at the clock */

struct caught {
	const struct mw_pattern *pattern;
	struct mw_octets subject;
};

static struct mw_octets capture(const void *from, unsigned n)
{
	const struct caught *c = from;

	return mw_pattern_capture(c->pattern, c->subject, n);
}

static bool matches(const struct regexp *x, struct mw_octets subject, struct mw_lookup_result *r)
{
	enum mw_rc rc = mw_pattern_match(x->pattern, subject);

	if (rc == MW_ERR_LIMIT) {
		snprintf(r->error_text, sizeof(r->error_text),
			"pattern \"%.100s\" met its limit of work", mw_pattern_text(x->pattern));
		r->error = r->error_text;
	}
	return rc == MW_OK;
}

bool mw_regexps_find(const struct mw_regexps *x, struct mw_octets subject, size_t *at,
	struct mw_lookup_result *r)
{
	while (*at < x->count) {
		const struct regexp *e = &x->entry[(*at)++];
		struct caught c = { .pattern = e->pattern, .subject = subject };
		bool found = matches(e, subject, r);

		/* Whether this entry or a later one decides nobody knows: not to be guessed. */
		if (r->error != NULL)
			return false;
		if (!found)
			continue;
		r->key = mw_pattern_text(e->pattern);
		mw_cell_read(&e->cell, &x->pool, capture, &c, r);
		return true;
	}
	return false;
}

static bool find_on(const struct mw_regexps *x, const struct regexp *e, struct mw_octets subject,
	struct mw_lookup_result *r)
{
	struct caught c = { .pattern = e->pattern, .subject = subject };

	if (!matches(e, subject, r))
		return false;
	r->key = mw_pattern_text(e->pattern);
	mw_cell_read(&e->cell, &x->pool, capture, &c, r);
	return true;
}

bool mw_regexps_find_any(const struct mw_regexps *x, const struct mw_octets *subjects, size_t count,
	uint64_t until_us, struct mw_lookup_result *r)
{
	unsigned matches_left = 0;

	for (size_t i = 0; i < x->count; i++)
		for (size_t k = 0; k < count; k++) {
			if (matches_left-- == 0) {
				if (mw_lookup_is_late(until_us, r))
					return false;
				matches_left = MATCHES_A_LOOK;
			}
			/* An entry with an undefined value ends its table. */
			if (find_on(x, &x->entry[i], subjects[k], r))
				return true;
			if (r->error != NULL)
				return false;
		}
	return false;
}
