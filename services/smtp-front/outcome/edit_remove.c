/* What of the original's header section does not go on: claims that others trust when they are
 * ours. */
#include <stdlib.h>
#include <strings.h>

#include "edit_priv.h"

/* ------------------------------------------------------------------ Authentication-Results */

/* What stands behind a / in an authserv-id tells instances of one host apart. */
static bool is_our_id(const struct txn *t, struct mw_octets id)
{
	struct mw_octets own = mw_octets_of_text(t->policy->authserv_id);
	const unsigned char *slash = own.n > 0 ? memchr(own.p, '/', own.n) : NULL;

	if (slash != NULL)
		own.n = (size_t)(slash - own.p);
	slash = id.n > 0 ? memchr(id.p, '/', id.n) : NULL;
	if (slash != NULL)
		id.n = (size_t)(slash - id.p);
	return id.n == own.n && strncasecmp((const char *)id.p, (const char *)own.p, id.n) == 0;
}

/* RFC 8601 section 2.2 lets the id be a quoted string; behind its opening quote. What never ends
 * may mean us as well. Behind a / it may be as long as it likes. */
static bool is_our_name_quoted(
	const struct txn *t, const unsigned char *p, const unsigned char *end)
{
	char id[sizeof(t->policy->authserv_id)];
	bool instance = false, too_long = false;
	size_t n = 0;

	for (; p < end && *p != '"'; p++) {
		if (*p == '\\' && p + 1 < end)
			p++;
		instance = instance || *p == '/';
		too_long = too_long || (!instance && n == sizeof(id));
		if (!instance && !too_long)
			id[n++] = (char)*p;
	}
	return p == end || (!too_long && is_our_id(t, mw_octets_of(id, n)));
}

/* The authserv-id is ours: a claim in our name that we did not make (RFC 8601 section 5). */
static bool is_ours(const struct txn *t, struct mw_octets value)
{
	const unsigned char *p = value.p, *end = value.p + value.n;
	size_t n = 0;

	while (p < end && *p <= ' ')
		p++;
	if (p < end && *p == '"')
		return is_our_name_quoted(t, p + 1, end);
	while (p + n < end && p[n] > ' ' && strchr(";(", p[n]) == NULL)
		n++; /* an empty name (a comment in front, say) is not to be told from ours */
	return n == 0 || is_our_id(t, mw_octets_of(p, n));
}

/* ------------------------------------------------------------------ by name */

static bool hook_removes(const struct txn *t, struct mw_octets name)
{
	for (size_t i = 0; i < t->hooked->removed_count; i++)
		if (mw_octets_ieq(name, t->hooked->removed[i]))
			return true;
	return false;
}

/* What settings and hooks want to go, whatever its value. */
static bool is_unwanted(const struct txn *t, struct mw_octets name)
{
	return (t->hooked != NULL && hook_removes(t, name)) ||
	       (t->policy->x_scanned_goes && mw_octets_ieq(name, t->policy->x_header_tag));
}

/*
 * A line that is no field to us (octets CR, a fold in front of the colon) may be one to somebody
 * who joins lines first, or drops what he does not like. False: it has no such name.
 */
#define HIDDEN_NAME_MAX 128 /* no name that goes is longer */

static bool hidden_name(
	const struct mw_header *h, const struct mw_field *f, char name[], size_t *n_r)
{
	const unsigned char *p = h->section.p + f->at, *end = h->section.p + f->end;
	size_t n = 0;

	for (; p < end && *p != ':'; p++) {
		if (*p == '\r' || *p == '\n' || *p == ' ' || *p == '\t' || *p == '\0')
			continue;
		if (*p < ' ' || *p > '~' || n == HIDDEN_NAME_MAX)
			return false;
		name[n++] = (char)*p;
	}
	*n_r = n;
	return p < end && n > 0;
}

/* Fields that begin with the name of who says so. */
static bool is_result(unsigned id)
{
	return id == MW_H_AUTHENTICATION_RESULTS || id == MW_H_MIME_AMBIGUITY_RESULTS;
}

static bool hides_a_claim(
	const struct txn *t, const struct mw_header *h, bool spam_goes, const struct mw_field *f)
{
	char name[HIDDEN_NAME_MAX];
	enum mw_field_id id;
	size_t n;

	/* What begins with a blank goes on a field of ours (edit_guard). */
	if (h->section.p[f->at] == ' ' || h->section.p[f->at] == '\t' ||
		!hidden_name(h, f, name, &n))
		return false;
	id = mw_field_id_of(mw_octets_of(name, n));
	return (id == MW_H_X_SPAM && spam_goes) || id == MW_H_X_AMAVIS ||
	       id == MW_H_X_QUARANTINE_ID || is_result(id) || is_unwanted(t, mw_octets_of(name, n));
}

bool edit_removes_of(
	const struct txn *t, const struct mw_header *h, bool spam_goes, const struct mw_field *f)
{
	struct mw_octets name = mw_field_name(h, f);

	if (f->name_len == 0)
		return hides_a_claim(t, h, spam_goes, f);
	if (is_unwanted(t, name))
		return true;
	switch (f->id) {
	case MW_H_X_SPAM:
		return spam_goes;
	case MW_H_X_AMAVIS: /* fields others trust when they come from us */
	case MW_H_X_QUARANTINE_ID:
		return true;
	case MW_H_AUTHENTICATION_RESULTS:
	case MW_H_MIME_AMBIGUITY_RESULTS:
		return is_ours(t, mw_field_value(h, f));
	default:
		return false;
	}
}

bool edit_removes(const struct txn *t, const struct txn_rcpt *r, const struct mw_field *f)
{
	return edit_removes_of(t, &t->header, r->spam_fields_go, f);
}

/* ------------------------------------------------------------------ by name and index */

/* A field that goes, or one of a name of which some stay: then all count. */
struct named {
	struct mw_octets name;
	size_t at; /* among the mail's fields */
	unsigned index;
	bool gone;
};

/* By name, and those of one name as they stand. The sender chooses names: sorted they cost the same
 * whatever they are, where a hash could be made to collide. */
static int by_name(const void *a, const void *b)
{
	const struct named *x = *(struct named *const *)a, *y = *(struct named *const *)b;
	int less;

	if (x->name.n != y->name.n)
		return x->name.n < y->name.n ? -1 : 1;
	less = strncasecmp((const char *)x->name.p, (const char *)y->name.p, x->name.n);
	return less != 0 ? less : (x->at > y->at) - (x->at < y->at);
}

static bool same_name(struct mw_octets a, struct mw_octets b)
{
	return a.n == b.n && strncasecmp((const char *)a.p, (const char *)b.p, a.n) == 0;
}

/* False: no memory. */
static bool number_names(struct txn *t, struct named *all, size_t count)
{
	struct named **sorted = smtp_arena_array(&t->arena, count + 1, sizeof(struct named *));

	if (sorted == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		sorted[i] = &all[i];
	qsort(sorted, count, sizeof(struct named *), by_name);
	for (size_t i = 0; i < count; i++)
		sorted[i]->index = i > 0 && same_name(sorted[i - 1]->name, sorted[i]->name)
					   ? sorted[i - 1]->index + 1
					   : 1;
	return true;
}

static bool goes(const struct txn *t, const struct txn_cluster *c, const struct mw_field *f)
{
	return f->name_len > 0 && edit_removes_of(t, &t->header, c->spam_fields_go, f);
}

/* The mail's Subject fields with that in front of them. */
static enum mw_rc change_subjects(
	struct txn *t, const struct txn_cluster *c, struct edit_change *list, size_t *count)
{
	struct mw_text text = { 0 };
	enum mw_rc rc = MW_OK;
	unsigned index = 0;

	for (size_t i = 0; i < t->header.count && edit_changes_subject(t, c->tag) && rc == MW_OK;
		i++) {
		const struct mw_field *f = &t->header.fields[i];
		struct edit_change *e = &list[*count];

		if (f->id != MW_H_SUBJECT || ++index > EDIT_SUBJECTS_MAX || goes(t, c, f))
			continue;
		mw_text_clear(&text);
		edit_add_subject(t, c->tag, &t->header, f, &text);
		e->name = mw_field_name(&t->header, f);
		e->index = index;
		e->field = mw_octets_of(
			text.failed ? NULL : smtp_arena_copy(&t->arena, text.p, text.n), text.n);
		rc = e->field.p != NULL ? MW_OK : MW_ERR_NOMEM;
		(*count)++;
	}
	mw_text_fini(&text);
	return rc;
}

/* Those whose places are wanted; NULL: no memory. */
static struct named *names_of(
	struct txn *t, const struct txn_cluster *c, size_t *count_r, size_t *going_r)
{
	const struct mw_header *h = &t->header;
	size_t count = 0;
	struct named *all;

	*count_r = *going_r = 0;
	for (size_t i = 0; i < h->count; i++)
		count += is_result(h->fields[i].id) || goes(t, c, &h->fields[i]);
	all = smtp_arena_array(&t->arena, count + 1, sizeof(*all));
	for (size_t i = 0; i < h->count && all != NULL && *count_r < count; i++) {
		const struct mw_field *f = &h->fields[i];
		bool gone = goes(t, c, f);

		if (!gone && !is_result(f->id))
			continue;
		*going_r += gone;
		all[(*count_r)++] = (struct named){ mw_field_name(h, f), i, 0, gone };
	}
	return all != NULL && number_names(t, all, count) ? all : NULL;
}

enum mw_rc edit_changes(
	struct txn *t, const struct txn_cluster *c, struct edit_change **list_r, size_t *count_r)
{
	size_t count, going, at, changed = 0;
	struct named *all = names_of(t, c, &count, &going);
	struct edit_change *list =
		smtp_arena_array(&t->arena, going + EDIT_SUBJECTS_MAX, sizeof(*list));

	if (all == NULL || list == NULL || change_subjects(t, c, list, &changed) != MW_OK)
		return MW_ERR_NOMEM;
	at = changed + going;
	for (size_t i = 0; i < count; i++)
		if (all[i].gone)
			list[--at] = (struct edit_change){ all[i].name, all[i].index, { NULL, 0 } };
	*list_r = list;
	*count_r = changed + going;
	return MW_OK;
}
