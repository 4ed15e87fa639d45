/*
 * What must be true of the edits of any mail, whoever made it: for the unit tests and the fuzz
 * target. JUDGE(promise) is theirs.
 */
#ifndef EDIT_JUDGE_H
#define EDIT_JUDGE_H

#include <stdlib.h>

#include "outcome/edit.h"
#include "outcome/edit_priv.h"

static inline struct mw_octets edit_judge_joined(struct txn *t, const struct txn_cluster *c)
{
	struct mw_text all = { 0 };
	struct mw_octets o;

	for (size_t i = 0; i < c->piece_count; i++)
		mw_text_add_octets(&all, c->pieces[i].p, c->pieces[i].n);
	o = mw_octets_of(smtp_arena_copy(&t->arena, all.p, all.n), all.n);
	mw_text_fini(&all);
	return o;
}

/* Lines of ours: fields and folds of printable text, none too long, none blank. */
static inline void edit_judge_lines(const char *fields)
{
	while (*fields != '\0') {
		const char *end = strstr(fields, "\r\n");

		JUDGE(end != NULL && end - fields <= EDIT_LINE_MAX && end > fields);
		JUDGE(strspn(fields, " \t") < (size_t)(end - fields));
		for (; fields < end; fields++)
			JUDGE((unsigned char)*fields >= 0x20 || *fields == '\t');
		fields = end + 2;
	}
}

/* A name that somebody could read there who joins lines and drops what is not printable. */
static inline bool edit_judge_claims(const struct mw_header *h, const struct mw_field *f, bool spam)
{
	const unsigned char *p = h->section.p + f->at, *end = h->section.p + f->end;
	char name[64];
	enum mw_field_id id;
	size_t n = 0;

	if (*p == ' ' || *p == '\t')
		return false;
	for (; p < end && *p != ':' && n < sizeof(name); p++)
		if (*p > ' ' && *p < 0x7f)
			name[n++] = (char)*p;
		else if (*p != '\r' && *p != '\n' && *p != ' ' && *p != '\t' && *p != '\0')
			return false;
	if (p == end || *p != ':')
		return false;
	id = mw_field_id_of(mw_octets_of(name, n));
	return (id == MW_H_X_SPAM && spam) || id == MW_H_X_AMAVIS || id == MW_H_X_QUARANTINE_ID;
}

/* The original's fields that stay stand there in their order with their very octets; Subjects may
 * have something in front. Not for mail that was repaired. */
static inline void edit_judge_kept(struct txn *t, const struct txn_cluster *c,
	const struct txn_rcpt *r, const struct mw_header *h, size_t from)
{
	size_t at = from;
	/* A first line that is a fold goes on the last field of ours. */
	bool orphan = t->header.count > 0 &&
		      (t->header.section.p[0] == ' ' || t->header.section.p[0] == '\t');

	for (size_t i = 0; i < t->header.count; i++) {
		const struct mw_field *f = &t->header.fields[i], *g;
		size_t n = f->end - f->at;

		if ((i == 0 && orphan) || edit_removes(t, r, f))
			continue;
		JUDGE(at < h->count);
		g = &h->fields[at++];
		if (f->id == MW_H_SUBJECT && edit_changes_subject(t, c->tag)) {
			JUDGE(g->id == MW_H_SUBJECT);
			continue;
		}
		JUDGE(g->end - g->at == n &&
			memcmp(h->section.p + g->at, t->header.section.p + f->at, n) == 0);
	}
	JUDGE(at == h->count);
}

static inline void edit_judge(struct txn *t, const struct txn_cluster *c, const struct txn_rcpt *r)
{
	struct mw_octets all = edit_judge_joined(t, c), message = smtp_body_octets(t->body);
	size_t rest = message.n - t->header.section.n;
	struct mw_header h = { 0 }, ours = { 0 };

	JUDGE(all.p != NULL && all.n >= rest);
	/* the body, and the line in front of it */
	JUDGE(rest == 0 ||
		memcmp(all.p + all.n - rest, message.p + t->header.section.n, rest) == 0);
	edit_judge_lines(c->fields);
	JUDGE(mw_header_index(&ours, mw_octets_of_text(c->fields)) == MW_OK);
	for (size_t i = 0; i < ours.count; i++)
		JUDGE(ours.fields[i].name_len > 0);
	if (mw_header_index(&h, all) == MW_OK) {
		/* No line of ours or of the original's ends it earlier than before. */
		JUDGE(h.section.n == all.n - rest);
		for (size_t i = ours.count; i < h.count; i++)
			JUDGE(!edit_judge_claims(&h, &h.fields[i], r->spam_fields_go));
		if (!t->policy->fix_header)
			edit_judge_kept(t, c, r, &h, ours.count);
	}
	mw_header_fini(&h);
	mw_header_fini(&ours);
}

#endif
