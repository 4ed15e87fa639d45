/* Who gets the same mail, and its octets: ours on top, what of the original stays, our subject in
 * the place of the old one. */
#include "body_plan.h"
#include "edit_priv.h"
#include "policy/rcpt_policy.h"

/* What all clusters of one form of the mail are made from. */
struct edit_source {
	struct edit_source *next;
	const struct body_form *form; /* NULL: as received */
	struct body_view view;
	struct mw_octets section; /* the header section, as it is or repaired */
	const struct mw_header *h;
	struct mw_header repaired; /* what h is then */
	size_t subjects;	   /* fields of that name that would be changed */
	bool spam_fields;	   /* it has some that go for those who want that */
};

/* ------------------------------------------------------------------ pieces */

/* A new subject for each: in one text, which the pieces of the cluster borrow. */
static enum mw_rc make_subjects(struct txn *t, const struct txn_cluster *c,
	const struct edit_source *s, struct mw_octets *subjects)
{
	size_t ends[EDIT_SUBJECTS_MAX], count = 0, from = 0;
	struct mw_text text = { 0 };
	const char *all;

	for (size_t i = 0; i < s->h->count && count < s->subjects; i++)
		if (s->h->fields[i].id == MW_H_SUBJECT) {
			edit_add_subject(t, c->tag, s->h, &s->h->fields[i], &text);
			ends[count++] = text.n;
		}
	all = text.failed ? NULL : smtp_arena_copy(&t->arena, text.p, text.n);
	mw_text_fini(&text);
	for (size_t i = 0; i < count && all != NULL; from = ends[i++])
		subjects[i] = mw_octets_of(all + from, ends[i] - from);
	return all != NULL ? MW_OK : MW_ERR_NOMEM;
}

static void add_piece(struct txn_cluster *c, const unsigned char *from, const unsigned char *to)
{
	if (to > from)
		c->pieces[c->piece_count++] = mw_octets_of(from, (size_t)(to - from));
}

/* Slices between the fields that go or change, then the rest of the form with the body. */
static enum mw_rc fill_pieces(struct txn *t, struct txn_cluster *c, const struct edit_source *s)
{
	struct mw_octets first = s->view.parts[0].octets, subjects[EDIT_SUBJECTS_MAX];
	const unsigned char *at = s->section.p;
	size_t going = 0, changed = edit_changes_subject(t, c->tag) ? s->subjects : 0, next = 0;

	for (size_t i = 0; i < s->h->count; i++)
		going += edit_removes_of(t, s->h, c->spam_fields_go, &s->h->fields[i]);
	if (changed > 0 && make_subjects(t, c, s, subjects) != MW_OK)
		return MW_ERR_NOMEM;
	/* signature, our fields, the slices and what stands between them, the body, other parts */
	c->pieces = smtp_arena_array(
		&t->arena, going + 2 * changed + 3 + s->view.part_count, sizeof(*c->pieces));
	if (c->pieces == NULL)
		return MW_ERR_NOMEM;
	c->pieces[c->piece_count++] = (struct mw_octets){ NULL, 0 };
	c->pieces[c->piece_count++] = mw_octets_of_text(c->fields);
	for (size_t i = 0; i < s->h->count && going + changed > 0; i++) {
		const struct mw_field *f = &s->h->fields[i];
		bool subject = f->id == MW_H_SUBJECT && next < changed;

		if (!edit_removes_of(t, s->h, c->spam_fields_go, f) && !subject)
			continue;
		add_piece(c, at, s->section.p + f->at);
		if (subject)
			c->pieces[c->piece_count++] = subjects[next++];
		at = s->section.p + f->end;
	}
	if (s->section.p == first.p) { /* not repaired: the rest is one run with the body */
		add_piece(c, at, first.p + first.n);
	} else {
		add_piece(c, at, s->section.p + s->section.n);
		add_piece(c, first.p + s->view.header->section.n, first.p + first.n);
	}
	for (size_t i = 1; i < s->view.part_count; i++)
		c->pieces[c->piece_count++] = s->view.parts[i].octets;
	return MW_OK;
}

/* ------------------------------------------------------------------ clusters */

static struct txn_cluster *cluster_for(struct txn *t, const struct txn_cluster *key)
{
	for (struct txn_cluster *c = t->clusters; c < t->clusters + t->cluster_count; c++)
		if (c->form == key->form && c->spam_fields_go == key->spam_fields_go &&
			next_hops_same(c->route, key->route) &&
			strcmp(c->fields, key->fields) == 0 && strcmp(c->tag, key->tag) == 0)
			return c;
	t->clusters[t->cluster_count] = *key;
	return &t->clusters[t->cluster_count++];
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Two recipients that agree in everything that edit_fields looks at need not be printed twice. */
static bool same_edits(const struct txn_rcpt *a, const struct txn_rcpt *b)
{
	return a->form == b->form && a->is_local == b->is_local &&
	       a->bypass_virus == b->bypass_virus && a->bypass_spam == b->bypass_spam &&
	       a->tag == b->tag && a->tag2 == b->tag2 && a->white == b->white &&
	       a->black == b->black && a->has_score == b->has_score &&
	       a->tag_milli == b->tag_milli && a->tag2_milli == b->tag2_milli &&
	       a->score_milli == b->score_milli && a->penpals_age_s == b->penpals_age_s &&
	       a->ccat_count == b->ccat_count &&
	       memcmp(a->ccats, b->ccats, a->ccat_count * sizeof(a->ccats[0])) == 0 &&
	       same_text(a->banned_part, b->banned_part) &&
	       same_text(a->body_modified, b->body_modified);
}

/* Marked as something for its reader to see: amavisd's "tagged" in log and figures. */
static bool is_tagged(const struct txn_rcpt *r, const char *tag)
{
	if (*tag != '\0' || (r->is_local && r->tag2))
		return true;
	for (size_t i = 0; i < r->ccat_count; i++)
		if (r->ccats[i] / 10 == MW_CC_VIRUS || r->ccats[i] / 10 == MW_CC_BANNED)
			return true;
	return false;
}

/* ------------------------------------------------------------------ sources */

struct putting {
	struct edit_source *sources;   /* one for each form that is met */
	const struct txn_rcpt *before; /* the recipient put last, and where */
	struct txn_cluster *c;
};

/* The header section in its repaired form, where it needs one: a program may leave it as it came.
 */
static enum mw_rc repair(struct txn *t, struct edit_source *s)
{
	enum mw_rc rc;

	/* Who delivers by himself edits by the names and places of the original's. */
	if (t->client_delivers)
		return MW_OK;
	rc = edit_repair(t, &s->section);
	if (rc != MW_OK || s->section.p == s->h->section.p)
		return rc;
	s->h = &s->repaired;
	return mw_header_index(&s->repaired, s->section);
}

static void look_at_fields(const struct txn *t, struct edit_source *s)
{
	bool without = false;

	for (size_t i = 0; i < s->h->count; i++) {
		const struct mw_field *f = &s->h->fields[i];

		/* what is no field may hide one */
		s->spam_fields = s->spam_fields || f->id == MW_H_X_SPAM || f->name_len == 0;
		if (f->id == MW_H_SUBJECT && s->subjects < EDIT_SUBJECTS_MAX) {
			without = without || edit_removes_of(t, s->h, false, f);
			s->subjects++;
		}
	}
	if (without) /* a hook takes them all away: a new one is added on top */
		s->subjects = 0;
}

static struct edit_source *source_of(struct txn *t, struct putting *p, const struct body_form *form)
{
	struct edit_source *s = p->sources;

	while (s != NULL && s->form != form)
		s = s->next;
	if (s != NULL)
		return s;
	s = smtp_arena_array(&t->arena, 1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->form = form;
	s->view = body_view_of(t, form);
	s->h = s->view.header;
	s->section = s->h->section;
	s->next = p->sources;
	p->sources = s;
	if (repair(t, s) != MW_OK)
		return NULL;
	look_at_fields(t, s);
	return s;
}

/* ------------------------------------------------------------------ recipients */

/* What tells r's cluster from others. */
static enum mw_rc make_key(struct txn *t, const struct putting *p, const struct txn_rcpt *r,
	const struct edit_source *s, struct txn_cluster *key)
{
	*key = (struct txn_cluster){ .route = r->route != NULL ? r->route : t->route,
		.form = r->form,
		.spam_fields_go = s->spam_fields && r->spam_fields_go,
		.tag = edit_subject_tag(t, r) };
	if (key->tag == NULL)
		return MW_ERR_NOMEM;
	if (p->before != NULL && same_edits(p->before, r) && strcmp(p->c->tag, key->tag) == 0)
		key->fields = p->c->fields;
	else
		key->fields = edit_fields(t, r, key->tag, s->subjects > 0, s->section);
	return key->fields != NULL ? MW_OK : MW_ERR_NOMEM;
}

static bool is_key_of(const struct txn_cluster *c, const struct txn_cluster *key)
{
	return c != NULL && key->fields == c->fields && key->route == c->route &&
	       key->form == c->form && key->spam_fields_go == c->spam_fields_go &&
	       strcmp(key->tag, c->tag) == 0;
}

/* Room for one more: twice as much whenever it is full, for a mail may have as many clusters as
 * recipients. False: no memory. */
static bool rcpt_room(struct txn *t, struct txn_cluster *c)
{
	size_t cap = c->rcpt_cap > 0 ? 2 * c->rcpt_cap : 1;
	struct delivery_rcpt *rcpts;
	size_t *index;

	if (c->rcpt_count < c->rcpt_cap)
		return true;
	cap = cap < t->rcpt_count ? cap : t->rcpt_count;
	rcpts = smtp_arena_array(&t->arena, cap, sizeof(*rcpts));
	index = smtp_arena_array(&t->arena, cap, sizeof(*index));
	if (rcpts == NULL || index == NULL)
		return false;
	if (c->rcpt_count > 0) {
		memcpy(rcpts, c->rcpts, c->rcpt_count * sizeof(*rcpts));
		memcpy(index, c->rcpt_index, c->rcpt_count * sizeof(*index));
	}
	c->rcpts = rcpts;
	c->rcpt_index = index;
	c->rcpt_cap = cap;
	return true;
}

static enum mw_rc put_rcpt(struct txn *t, size_t i, struct putting *p)
{
	struct txn_rcpt *r = &t->rcpts[i];
	const struct edit_source *s = source_of(t, p, r->form);
	struct txn_cluster key, *c;

	if (s == NULL || make_key(t, p, r, s, &key) != MW_OK)
		return MW_ERR_NOMEM;
	c = is_key_of(p->c, &key) ? p->c : cluster_for(t, &key);
	p->before = r;
	p->c = c;
	r->cluster = (int)(c - t->clusters);
	r->tagged = r->tagged || is_tagged(r, c->tag);
	if ((c->pieces == NULL && fill_pieces(t, c, s) != MW_OK) || !rcpt_room(t, c))
		return MW_ERR_NOMEM;
	c->rcpt_index[c->rcpt_count] = i;
	c->rcpts[c->rcpt_count].params = r->params;
	c->rcpts[c->rcpt_count++].addr = r->deliver_to != NULL ? r->deliver_to : r->addr;
	return MW_OK;
}

enum mw_rc edit_clusters(struct txn *t)
{
	struct putting p = { 0 };
	/* When those that hooks have added do not get it, nobody else shall have it: they go first.
	 * Who delivers by itself makes the first client's recipient's edits. */
	bool added = t->added_count > 0 && !t->client_delivers;
	enum mw_rc rc = MW_OK;

	t->clusters = smtp_arena_array(&t->arena, t->rcpt_count, sizeof(*t->clusters));
	if (t->clusters == NULL)
		return MW_ERR_NOMEM;
	for (int turn = 0; turn < 1 + (t->added_count > 0); turn++, added = !added)
		for (size_t i = 0; i < t->rcpt_count && rc == MW_OK; i++)
			if (t->rcpts[i].code == 0 && t->rcpts[i].added == added) /* not blocked */
				rc = put_rcpt(t, i, &p);
	for (struct edit_source *s = p.sources; s != NULL; s = s->next)
		mw_header_fini(&s->repaired);
	return rc;
}

/* ------------------------------------------------------------------ one for all */

/* A cluster of all recipients that have no reply yet, its pieces still to be filled in: so many at
 * most. NULL: no memory. */
static struct txn_cluster *one_cluster(struct txn *t, const char *fields, size_t pieces)
{
	struct txn_cluster *c = smtp_arena_array(&t->arena, 1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->fields = fields;
	c->tag = "";
	c->route = t->route;
	/* and signature, fields, tail */
	c->pieces = smtp_arena_array(&t->arena, 3 + pieces, sizeof(*c->pieces));
	c->rcpts = smtp_arena_array(&t->arena, t->rcpt_count, sizeof(*c->rcpts));
	c->rcpt_index = smtp_arena_array(&t->arena, t->rcpt_count, sizeof(*c->rcpt_index));
	if (c->pieces == NULL || c->rcpts == NULL || c->rcpt_index == NULL)
		return NULL;
	c->piece_count = 1;
	c->pieces[c->piece_count++] = mw_octets_of_text(fields);
	for (size_t i = 0; i < t->rcpt_count; i++) {
		if (t->rcpts[i].code != 0)
			continue; /* it has got it before */
		c->rcpts[c->rcpt_count].addr = t->rcpts[i].addr;
		c->rcpts[c->rcpt_count].params = t->rcpts[i].params;
		c->rcpt_index[c->rcpt_count++] = i;
	}
	t->clusters = c;
	t->cluster_count = c->rcpt_count > 0;
	return c;
}

static void add_tail(const struct txn *t, struct txn_cluster *c)
{
	if (t->tail != NULL && *t->tail != '\0')
		c->pieces[c->piece_count++] = mw_octets_of_text(t->tail);
}

enum mw_rc edit_nothing(struct txn *t, const char *fields, size_t from)
{
	struct mw_octets message = smtp_body_octets(t->body);
	struct txn_cluster *c = one_cluster(t, fields, 1);

	if (c == NULL)
		return MW_ERR_NOMEM;
	add_piece(c, message.p + from, message.p + message.n);
	add_tail(t, c);
	return MW_OK;
}

/* Nothing was decided about the recipients of such a mail: what settings say of them. */
static bool spam_fields_go(struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++) {
		struct txn_rcpt r = { .addr = t->rcpts[i].addr };

		rcpt_policy_resolve(t, &r, NULL);
		if (r.spam_fields_go)
			return true;
	}
	return false;
}

enum mw_rc edit_claims(struct txn *t, const char *fields, size_t from)
{
	struct mw_octets all = smtp_body_octets(t->body),
			 message = mw_octets_of(all.p + from, all.n - from);
	const unsigned char *at = message.p;
	bool spam_goes = spam_fields_go(t);
	struct mw_header h = { 0 };
	struct txn_cluster *c;
	enum mw_rc rc = mw_header_index(&h, message);
	size_t going = 0;

	for (size_t i = 0; i < h.count && rc == MW_OK; i++)
		going += edit_removes_of(t, &h, spam_goes, &h.fields[i]);
	c = rc == MW_OK ? one_cluster(t, fields, going + 1) : NULL;
	if (c == NULL) {
		mw_header_fini(&h);
		return rc != MW_OK ? rc : MW_ERR_NOMEM;
	}
	for (size_t i = 0; i < h.count && going > 0; i++) {
		if (!edit_removes_of(t, &h, spam_goes, &h.fields[i]))
			continue;
		add_piece(c, at, h.section.p + h.fields[i].at);
		at = h.section.p + h.fields[i].end;
	}
	add_piece(c, at, message.p + message.n);
	add_tail(t, c);
	mw_header_fini(&h);
	return MW_OK;
}

/* Pieces 1.. up to the body, which begins within one of the form's first part or behind all. */
enum mw_rc edit_final_header(struct txn *t, struct txn_cluster *c)
{
	struct body_view view = body_view_of(t, c->form);
	const unsigned char *first = view.parts[0].octets.p, *body = first + view.header->body,
			    *end = first + view.parts[0].octets.n;
	size_t n = 0;

	for (size_t i = 1; i < c->piece_count; i++)
		n += c->pieces[i].p != body ? c->pieces[i].n : 0;
	c->header_owner = smtp_body_new(&t->front->bodies, n);
	if (c->header_owner == NULL)
		return MW_ERR_NOMEM;
	for (size_t i = 1; i < c->piece_count; i++) {
		struct mw_octets o = c->pieces[i];
		bool last = o.p >= first && o.p <= body && o.p + o.n >= body && o.p + o.n <= end;

		if (last)
			o.n = (size_t)(body - o.p);
		if (smtp_body_append(c->header_owner, o.p, o.n, NULL) != MW_OK)
			return MW_ERR_NOMEM;
		if (last)
			break;
	}
	return smtp_body_seal(c->header_owner, NULL);
}
