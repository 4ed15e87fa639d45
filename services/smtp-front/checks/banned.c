#include "banned.h"

#include <stdlib.h>

#include "log.h"
#include "policy/banned_rules.h"
#include "policy/db.h"

#define DISCARD "DISCARD" /* a value that begins with it asks for no notification */

/* Recipients with the same tables, and what these say about the mail. */
struct group {
	struct banned_tables tables;
	bool banned, discards;
	const char *part, *key, *comment;
	const char *paths[BANNED_PATHS_MAX];
	size_t count;
};

struct check {
	struct txn *t;
	struct group *groups;
	size_t group_count;
	unsigned *of; /* group of each recipient, from 1; 0: none */
	uint64_t until_us;
	bool too_much;
	/* the part at hand: what stands on the path to it */
	size_t path[64], depth;
	struct mw_octets keys[BANNED_KEYS_MAX];
	size_t key_count;
	struct mw_lookup_result r;
	struct mw_text namepath;
};

static bool is_checked(const struct txn_rcpt *r)
{
	return !r->removed && !r->bypass_banned;
}

bool banned_wanted_for(const struct txn *t, const struct txn_rcpt *r)
{
	/* A virus may load a bank that bans. */
	bool bans =
		t->policy->bans || (t->set->bans && !mw_lookup_is_empty(t->policy->virus_banks));

	return is_checked(r) && (bans || r->banned_rulenames != NULL) &&
	       !t->policy->bypass_decode_parts;
}

bool banned_wanted(const struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (banned_wanted_for(t, &t->rcpts[i]))
			return true;
	return false;
}

/* ------------------------------------------------------------------ who goes by which tables */

static struct group *group_with(struct check *c, const struct banned_tables *tables)
{
	for (size_t i = 0; i < c->group_count; i++) {
		struct group *g = &c->groups[i];

		if (g->tables.count == tables->count &&
			memcmp(g->tables.tables, tables->tables,
				tables->count * sizeof(tables->tables[0])) == 0)
			return g;
	}
	c->groups[c->group_count].tables = *tables;
	return &c->groups[c->group_count++];
}

static bool make_groups(struct check *c)
{
	struct txn *t = c->t;
	const char *unknown;

	for (size_t i = 0; i < t->rcpt_count; i++) {
		struct txn_rcpt *r = &t->rcpts[i];
		struct banned_tables tables;

		if (!is_checked(r))
			continue;
		if (!banned_tables_of(
			    t->set, t->policy, r->addr, r->banned_rulenames, &tables, &unknown))
			return false;
		if (unknown != NULL)
			txn_log(t, MW_WARN, "banned_rule_unknown", "log_id=%s rcpt=%s rule=%s",
				t->log_id, mw_quote(r->addr), mw_quote(unknown));
		if (tables.count > 0 || !mw_lookup_is_empty(t->policy->banned_namepath))
			c->of[i] = (unsigned)(group_with(c, &tables) - c->groups) + 1;
	}
	return true;
}

/* ------------------------------------------------------------------ the path to a part */

static void add_key(struct check *c, struct mw_octets key)
{
	if (key.n == 0)
		return;
	c->too_much = c->too_much || c->key_count == BANNED_KEYS_MAX;
	if (!c->too_much)
		c->keys[c->key_count++] = key;
}

static bool has_letter(const struct finding_part *p, char letter)
{
	return p->attributes.n > 0 && memchr(p->attributes.p, letter, p->attributes.n) != NULL;
}

/* In amavisd's order: declared type, short types, names, whether it can be read. */
static void add_node(struct check *c, const struct finding_part *p)
{
	add_key(c, p->type);
	for (size_t i = 0; i < p->types.count; i++)
		add_key(c, p->types.items[i]);
	for (size_t i = 0; i < p->names.count; i++)
		add_key(c, p->names.items[i]);
	if (has_letter(p, 'U'))
		add_key(c, mw_octets_of_text("UNDECIPHERABLE"));
}

/* The numbers of the parts from the top to this one. */
static void find_path(struct check *c, size_t number)
{
	const struct finding_part *parts = c->t->found.parts;
	size_t depth = 0;

	for (size_t n = number; n > 0 && depth <= MW_COUNT(c->path); n = parts[n - 1].parent)
		depth++;
	c->too_much = c->too_much || depth > MW_COUNT(c->path);
	if (c->too_much)
		return;
	c->depth = depth;
	for (size_t n = number; n > 0; n = parts[n - 1].parent)
		c->path[--depth] = n;
}

static void describe(struct check *c, size_t number)
{
	find_path(c, number);
	c->key_count = 0;
	for (size_t i = 0; i < c->depth && !c->too_much; i++)
		add_node(c, &c->t->found.parts[c->path[i] - 1]);
}

/* Tabs and line ends divide there: in what is said they are blanks. */
static void add_item(struct mw_text *x, char what, struct mw_octets value)
{
	size_t at;

	if (value.n == 0)
		return;
	if (x->n > 0 && x->p[x->n - 1] != '\n')
		mw_text_add(x, "\t");
	mw_text_addf(x, "%c=", what);
	at = x->n;
	mw_text_add_octets(x, value.p, value.n);
	for (; !x->failed && at < x->n; at++)
		if (x->p[at] == '\t' || x->p[at] == '\n')
			x->p[at] = ' ';
}

static void describe_namepath(struct check *c)
{
	struct mw_text *x = &c->namepath;
	char number[16];

	mw_text_clear(x);
	for (size_t i = 0; i < c->depth; i++) {
		const struct finding_part *p = &c->t->found.parts[c->path[i] - 1];

		if (i > 0)
			mw_text_add(x, "\n");
		snprintf(number, sizeof(number), "p%03zu", c->path[i]);
		add_item(x, 'P', mw_octets_of_text(number));
		add_item(x, 'L', p->placement);
		add_item(x, 'M', p->type);
		for (size_t k = 0; k < p->types.count; k++) /* without the dot */
			add_item(x, 'T',
				mw_octets_of(p->types.items[k].p + 1, p->types.items[k].n - 1));
		for (size_t k = 0; k < p->names.count; k++)
			add_item(x, 'N', p->names.items[k]);
		for (size_t k = 0; k < p->attributes.n; k++)
			add_item(x, 'A', mw_octets_of(p->attributes.p + k, 1));
	}
}

/* ------------------------------------------------------------------ what is told */

/* Printable, blanks by the half dozen as " ... ", cut with "...". */
static void add_clean(struct mw_text *out, struct mw_octets o)
{
	for (size_t i = 0; i < o.n && out->n < BANNED_TEXT_MAX; i++) {
		size_t blanks = 0;

		while (i + blanks < o.n && (o.p[i + blanks] == ' ' || o.p[i + blanks] == '\t'))
			blanks++;
		if (blanks >= 6) {
			mw_text_add(out, " ... ");
			i += blanks - 1;
		} else if (o.p[i] >= 0x20 && o.p[i] < 0x7f) {
			mw_text_add_octets(out, o.p + i, 1);
		} else {
			mw_text_addf(out, "\\x{%02X}", o.p[i]);
		}
	}
}

static const char *keep(struct check *c, struct mw_text *x)
{
	const char *s;

	if (x->n > BANNED_TEXT_MAX) {
		x->n = BANNED_TEXT_MAX;
		mw_text_add(x, "...");
	}
	s = x->failed ? NULL : smtp_arena_copy(&c->t->arena, x->p, x->n);
	mw_text_fini(x);
	return s;
}

static void add_part(struct mw_text *x, const struct finding_part *p)
{
	const char *gap = "";
	const struct mw_octets *lists[] = { &p->type, p->types.items, p->names.items };
	const size_t counts[] = { p->type.n > 0, p->types.count, p->names.count };

	for (size_t l = 0; l < MW_COUNT(lists); l++)
		for (size_t i = 0; i < counts[l]; i++) {
			mw_text_add(x, gap);
			add_clean(x, lists[l][i]);
			gap = ",";
		}
	if (has_letter(p, 'U'))
		mw_text_addf(x, "%sUNDECIPHERABLE", gap);
}

/* "multipart/mixed | application/zip,.zip,a.zip | .exe,.exe-ms,b.exe" */
static const char *path_text(struct check *c)
{
	struct mw_text x = { 0 };

	for (size_t i = 0; i < c->depth; i++) {
		mw_text_add(&x, i > 0 ? " | " : "");
		add_part(&x, &c->t->found.parts[c->path[i] - 1]);
	}
	return keep(c, &x);
}

/* The comments of a pattern, (?# ...), joined by blanks. */
static void add_comments(struct mw_text *x, const char *pattern)
{
	while ((pattern = strstr(pattern, "(?#")) != NULL) {
		const char *end = strchr(pattern, ')');

		pattern += 3;
		if (end == NULL)
			return;
		while (pattern < end && *pattern == ' ')
			pattern++;
		while (end > pattern && end[-1] == ' ')
			end--;
		if (end > pattern) {
			mw_text_add(x, x->n > 0 ? " " : "");
			add_clean(x, mw_octets_of(pattern, (size_t)(end - pattern)));
		}
	}
}

/* The first that is banned: as amavisd's banning_reason_short, and what the rule says of itself. */
static bool tell_first(struct check *c, struct group *g, const char *key)
{
	struct mw_text x = { 0 }, comments = { 0 }, clean = { 0 };

	add_comments(&comments, key);
	if (comments.n > 0)
		mw_text_addf(&x, "%s:", comments.p);
	add_part(&x, &c->t->found.parts[c->path[c->depth - 1] - 1]);
	add_clean(&clean, mw_octets_of_text(key));
	if (comments.n == 0)
		mw_text_add(&comments, clean.p != NULL ? clean.p : "");
	g->part = keep(c, &x);
	g->comment = keep(c, &comments);
	g->key = keep(c, &clean);
	return g->part != NULL && g->comment != NULL && g->key != NULL;
}

/* ------------------------------------------------------------------ what the rules say */

static bool is_true(const struct mw_value *v)
{
	switch (v->type) {
	case MW_VALUE_BOOL:
		return v->b;
	case MW_VALUE_MILLI:
		return v->milli != 0;
	case MW_VALUE_TEXT:
		return *v->text != '\0' && strcmp(v->text, "0") != 0;
	default:
		return false;
	}
}

/* False: no memory. */
static bool take(struct check *c, struct group *g)
{
	const struct mw_value *v = &c->r.value;
	/* A rule that met its limit of work on this part has not allowed it. */
	bool error = c->r.error != NULL, first = !g->banned;

	if (!error && !is_true(v))
		return true;
	g->banned = true;
	g->discards = g->discards || (!error && v->type == MW_VALUE_TEXT &&
					     strncmp(v->text, DISCARD, strlen(DISCARD)) == 0);
	if (first && !tell_first(c, g, error ? c->r.error : c->r.key != NULL ? c->r.key : ""))
		return false;
	if (g->count == BANNED_PATHS_MAX)
		return true;
	g->paths[g->count] = path_text(c);
	return g->paths[g->count++] != NULL;
}

/* The first table that says something, be it yes or no. */
static bool asked(struct check *c, const struct group *g)
{
	for (size_t i = 0; i < g->tables.count; i++)
		if (mw_lookup_any(g->tables.tables[i], c->keys, c->key_count, c->until_us, &c->r) ||
			c->r.error != NULL)
			return true;
	return false;
}

static bool check_leaf(struct check *c, size_t number)
{
	const struct mw_lookup *namepath = c->t->policy->banned_namepath;
	struct mw_octets whole;

	describe(c, number);
	if (!mw_lookup_is_empty(namepath))
		describe_namepath(c);
	if (c->namepath.failed)
		return false;
	for (size_t i = 0; i < c->group_count && !c->too_much; i++) {
		bool said = asked(c, &c->groups[i]);

		if (!said && !mw_lookup_is_empty(namepath)) {
			whole = mw_octets_of(c->namepath.p, c->namepath.n);
			said = mw_lookup_any(namepath, &whole, 1, c->until_us, &c->r) ||
			       c->r.error != NULL;
		}
		if (said && !take(c, &c->groups[i]))
			return false;
		c->too_much = c->too_much || mw_mono_us() > c->until_us;
	}
	return true;
}

/* Level by level, in the message's order within one: that is amavisd's, and says which part is told
 * of first. */
static bool check_tree(struct check *c)
{
	const struct findings *f = &c->t->found;
	size_t deepest = 0, *depths = calloc(f->part_count + 1, sizeof(*depths));
	bool ok = depths != NULL;

	for (size_t n = 1; n <= f->part_count && ok; n++) {
		depths[n] = depths[f->parts[n - 1].parent] + 1;
		deepest = depths[n] > deepest ? depths[n] : deepest;
	}
	c->too_much = c->too_much || deepest > MW_COUNT(c->path);
	for (size_t depth = 1; depth <= deepest && ok && !c->too_much; depth++)
		for (size_t n = 1; n <= f->part_count && ok && !c->too_much; n++)
			if (depths[n] == depth && f->parts[n - 1].leaf)
				ok = check_leaf(c, n);
	free(depths);
	return ok;
}

/* ------------------------------------------------------------------ a mail */

static void forget(struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++) {
		struct txn_rcpt *r = &t->rcpts[i];

		r->banned = r->banned_discards = false;
		r->banned_part = r->banned_key = r->banned_comment = NULL;
		r->banned_paths = NULL;
		r->banned_count = 0;
	}
}

static enum mw_rc hand_out(struct check *c)
{
	for (size_t i = 0; i < c->group_count; i++) {
		struct group *g = &c->groups[i];
		const char **paths = NULL;

		if (!g->banned)
			continue;
		paths = smtp_arena_array(&c->t->arena, g->count + 1, sizeof(*paths));
		if (paths == NULL)
			return MW_ERR_NOMEM;
		memcpy(paths, g->paths, g->count * sizeof(*paths));
		for (size_t k = 0; k < c->t->rcpt_count; k++) {
			struct txn_rcpt *r = &c->t->rcpts[k];

			if (c->of[k] != i + 1)
				continue;
			r->banned = true;
			r->banned_discards = g->discards;
			r->banned_part = g->part;
			r->banned_key = g->key;
			r->banned_comment = g->comment;
			r->banned_paths = paths;
			r->banned_count = g->count;
		}
	}
	return MW_OK;
}

static enum mw_rc run(struct check *c, const char **failed_r)
{
	struct txn *t = c->t;

	c->until_us = mw_mono_us() + BANNED_CPU_US_MAX;
	if (!make_groups(c))
		return MW_ERR_NOMEM;
	if (c->group_count == 0)
		return MW_OK;
	if (!t->found.has_tree) {
		*failed_r = "banned check FAILED: the scan told of no parts";
		return MW_OK;
	}
	if (!check_tree(c))
		return MW_ERR_NOMEM;
	if (c->too_much)
		*failed_r = "banned check FAILED: too many parts, names or rules";
	t->banned_checked = !c->too_much;
	return c->too_much ? MW_OK : hand_out(c);
}

/* Mail of those who bypass virus checks is not told of as unchecked when the scan fails. */
static const char *scan_failed(const struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (is_checked(&t->rcpts[i]) && t->rcpts[i].bypass_virus)
			return "banned check FAILED: the mail was not taken apart";
	return NULL;
}

enum mw_rc banned_check(struct txn *t, const char **failed_r)
{
	const struct txn_check *scan = &t->checks[JOB_SCAN];
	struct check *c;
	enum mw_rc rc = MW_ERR_NOMEM;

	*failed_r = NULL;
	forget(t);
	if (!banned_wanted(t) || scan->state != CHECK_OVER)
		return MW_OK;
	if (scan->status == MW_FAILED) {
		*failed_r = scan_failed(t);
		return MW_OK;
	}
	c = calloc(1, sizeof(*c));
	if (c != NULL) {
		c->t = t;
		c->groups = calloc(t->rcpt_count + 1, sizeof(*c->groups));
		c->of = calloc(t->rcpt_count + 1, sizeof(*c->of));
	}
	if (c != NULL && c->groups != NULL && c->of != NULL)
		rc = run(c, failed_r);
	if (c != NULL) {
		mw_text_fini(&c->namepath);
		free(c->groups);
		free(c->of);
	}
	free(c);
	return rc;
}
