#include "notify_plan.h"

#include <strings.h>

#include "always_bcc.h"
#include "dsn.h"
#include "front.h"
#include "notify.h"

static const struct {
	const char *name, *prefix, *subject;
} kinds[] = {
	[NOTICE_SENDER] = { "sender", "DSN", "Delivery status" },
	[NOTICE_SENDER_COPY] = { "dsn_bcc", "DSN", "Delivery status" },
	[NOTICE_ADMIN] = { "admin", "VA", "Notice about a message" },
	[NOTICE_RCPT] = { "recipient", "VR", "Notice about a message to you" },
};

const char *notice_kind_name(enum notice_kind kind)
{
	return kinds[kind].name;
}

const char *notice_kind_prefix(enum notice_kind kind)
{
	return kinds[kind].prefix;
}

const char *notice_kind_subject(enum notice_kind kind)
{
	return kinds[kind].subject;
}

struct plan {
	struct txn *t;
	struct notify_plan *items;
	size_t count, cap, left_out;
	bool failed;
};

static void add(struct plan *p, enum notice_kind kind, const char *to, enum notice_author author,
	const struct txn_rcpt *r, struct template_code *text)
{
	const struct policy_notices *n = &p->t->policy->notices;

	if (p->count == n->limit) {
		p->left_out++;
		return;
	}
	if (p->count == p->cap) {
		size_t cap = p->cap != 0 ? p->cap * 2 : 4;
		struct notify_plan *items = smtp_arena_array(&p->t->arena, cap, sizeof(*items));

		p->failed = p->failed || items == NULL;
		if (items == NULL)
			return;
		if (p->count > 0)
			memcpy(items, p->items, p->count * sizeof(*items));
		p->items = items;
		p->cap = cap;
	}
	p->items[p->count++] = (struct notify_plan){ .kind = kind,
		.to = to,
		.mailfrom = n->mailfrom[author],
		.hdrfrom = n->hdrfrom[author],
		.rcpt = r,
		.text = text };
}

/* ------------------------------------------------------------------ viruses met before */

static uint64_t hash_of(struct mw_octets name)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ name.p[i]) * 1099511628211u;
	return h;
}

static bool is_new(const struct front *f, uint64_t name)
{
	for (size_t i = 0; i < f->viruses.count; i++)
		if (f->viruses.seen[i] == name)
			return false;
	return true;
}

static bool any_new_virus(const struct txn *t)
{
	for (size_t i = 0; i < t->found.virus_count; i++)
		if (is_new(t->front, hash_of(t->found.viruses[i].name)))
			return true;
	return false;
}

/* Of the last NOTIFY_VIRUSES_MAX; the one that has been there longest makes room. */
void notify_plan_told(struct txn *t)
{
	struct front *f = t->front;

	for (size_t i = 0; i < t->found.virus_count && t->tells_new_virus; i++) {
		uint64_t name = hash_of(t->found.viruses[i].name);

		if (!is_new(f, name))
			continue;
		f->viruses.seen[f->viruses.next] = name;
		f->viruses.next = (f->viruses.next + 1) % NOTIFY_VIRUSES_MAX;
		f->viruses.count += f->viruses.count < NOTIFY_VIRUSES_MAX;
	}
}

/* ------------------------------------------------------------------ administrators */

/* What decides for this one: what blocks it, or what is worst. */
static unsigned ccat_for(const struct txn_rcpt *r)
{
	return r->ccat_blocking != 0 ? r->ccat_blocking : r->ccats[0];
}

/* A mail that comes again is told of then; what hooks took away is nobody's. */
static bool is_to_be_told(const struct txn_rcpt *r)
{
	return !r->removed && r->ccat_count > 0 && r->code / 100 != 4 &&
	       r->destiny != MW_D_TEMPFAIL;
}

static bool reaches_admin_cutoff(const struct txn_rcpt *r)
{
	return r->admin_cutoff_milli != RCPT_NO_LEVEL &&
	       ((r->has_score && r->score_milli >= r->admin_cutoff_milli) ||
		       (r->black && !r->white));
}

static bool has_admin(const struct plan *p, const char *to)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->items[i].kind == NOTICE_ADMIN && strcasecmp(p->items[i].to, to) == 0)
			return true;
	return false;
}

static void add_admin(struct plan *p, const struct txn_rcpt *r, const char *to)
{
	enum ccat_slot slot = ccat_slot_of(ccat_for(r));
	struct template_code *text = p->t->policy->notices.texts[TEXT_FOR_ADMIN][slot];

	if (to == NULL || text == NULL || has_admin(p, to))
		return;
	/* Only a table's function or a database can say what is none. */
	if (*to != '\0' && rcpt_text_is_mailbox(to))
		add(p, NOTICE_ADMIN, to, slot == CCAT_SPAM ? AUTHOR_OF_SPAM : AUTHOR_TO_ADMIN, NULL,
			text);
	else if (*to != '\0')
		txn_log(p->t, MW_WARN, "bad_admin", "log_id=%s rcpt=%s admin=%s", p->t->log_id,
			mw_quote(r->addr), mw_quote(to));
}

static void plan_admins(struct plan *p)
{
	struct txn *t = p->t;
	bool asks = rcpt_texts_asked(t, TEXT_ADMIN),
	     asks_new = rcpt_texts_asked(t, TEXT_NEWVIRUS_ADMIN) && any_new_virus(t);

	for (size_t i = 0; i < t->rcpt_count && (asks || asks_new); i++) {
		const struct txn_rcpt *r = &t->rcpts[i];
		unsigned major = r->ccat_count > 0 ? ccat_for(r) / 10 : 0;

		if (!is_to_be_told(r))
			continue;
		if (asks && !(major == MW_CC_SPAM && reaches_admin_cutoff(r)))
			add_admin(p, r, rcpt_text(t, r, TEXT_ADMIN));
		if (asks_new && major == MW_CC_VIRUS) {
			const char *to = rcpt_text_for(t, r, TEXT_NEWVIRUS_ADMIN, CCAT_VIRUS);

			t->tells_new_virus = t->tells_new_virus || (to != NULL && *to != '\0');
			add_admin(p, r, to);
		}
	}
}

/* ------------------------------------------------------------------ recipients */

static void plan_rcpts(struct plan *p)
{
	struct txn *t = p->t;
	const struct policy_notices *n = &t->policy->notices;

	for (size_t i = 0; i < t->rcpt_count && rcpt_texts_asked(t, TEXT_WARNING); i++) {
		const struct txn_rcpt *r = &t->rcpts[i];
		struct template_code *text;
		const char *said;

		if (!is_to_be_told(r) || r->added || (!r->is_local && !n->warns_offsite))
			continue;
		text = n->texts[TEXT_FOR_RCPT][ccat_slot_of(ccat_for(r))];
		said = text != NULL ? rcpt_text(t, r, TEXT_WARNING) : NULL;
		if (said != NULL && *said != '\0')
			add(p, NOTICE_RCPT, r->addr, AUTHOR_TO_RCPT, r, text);
	}
}

/* ------------------------------------------------------------------ all */

static bool is_author(const struct txn *t, const char *mailbox)
{
	const char *at = strrchr(mailbox, '<');
	struct mw_octets said = t->facts.author.items[0];
	size_t n;

	at = at != NULL ? at + 1 : mailbox;
	n = strcspn(at, ">");
	return said.n == n && strncasecmp((const char *)said.p, at, n) == 0;
}

/* It looks like a notice of ours: by its sender (null, or what mailfrom_notify_* says of that
 * author), by whom it says that it is from, and by what it says of itself. Anybody can write that.
 */
static bool is_notice(const struct txn *t)
{
	const struct mw_field *automatic = mw_header_last(&t->header, MW_H_AUTO_SUBMITTED);
	const struct policy_notices *own = &t->policy->notices;
	struct mw_octets value;

	if (automatic == NULL || t->facts.author.count != 1)
		return false;
	value = mw_field_value(&t->header, automatic);
	if (!mw_octets_ieq(value, "auto-generated") && !mw_octets_ieq(value, "auto-replied"))
		return false;
	for (int i = 0; i < NOTICE_AUTHORS; i++)
		if ((*t->sender == '\0' || strcasecmp(t->sender, own->mailfrom[i]) == 0) &&
			is_author(t, own->hdrfrom[i]))
			return true;
	return false;
}

#define HOUR_MS (60u * 60 * 1000)

/*
 * A notice of ours that comes by again makes no notice, or they would follow each other for ever.
 * What is infected or banned may be no notice of ours, whatever it looks like: so many of those are
 * told of all the same, after which a loop is over.
 */
static bool ends_here(const struct txn *t)
{
	struct front *f = t->front;
	uint64_t now = mw_mono_ms();

	if (!is_notice(t))
		return false;
	if (t->ccat_count == 0 || t->ccats[0] < MW_CCAT(MW_CC_BANNED, 0))
		return true;
	if (now - f->alike.since_ms >= HOUR_MS) {
		f->alike.since_ms = now;
		f->alike.count = 0;
	}
	if (f->alike.count == NOTIFY_ALIKE_MAX) {
		txn_log(t, MW_WARN, "notices_ended", "log_id=%s mail_id=%s hint=\"%s\"", t->log_id,
			t->mail_id, "it looks like a notice of ours, as many others in this hour");
		return true;
	}
	f->alike.count++;
	return false;
}

bool notify_plan_others(struct txn *t, struct notify_plan **plans_r, size_t *count_r)
{
	struct plan p = { .t = t };

	if ((rcpt_texts_asked(t, TEXT_ADMIN) || rcpt_texts_asked(t, TEXT_NEWVIRUS_ADMIN) ||
		    rcpt_texts_asked(t, TEXT_WARNING)) &&
		!ends_here(t)) {
		plan_admins(&p);
		plan_rcpts(&p);
	}
	if (p.left_out > 0)
		txn_log(t, MW_WARN, "notices_left_out",
			"log_id=%s mail_id=%s left_out=%zu notices.limit=%u", t->log_id, t->mail_id,
			p.left_out, t->policy->notices.limit);
	*plans_r = p.items;
	*count_r = p.count;
	return !p.failed;
}

/* ------------------------------------------------------------------ the sender */

/* Nearly all mail: nobody is refused, and nobody wants to hear of success. */
static bool nobody_to_report(const struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].code / 100 == 5 ||
			(t->rcpts[i].params.notify & SMTP_NOTIFY_SUCCESS) != 0)
			return false;
	return !t->policy->notices.warns_any_sender;
}

/* The worst of what is reported decides which text is sent. */
static enum ccat_slot judge_all(struct txn *t, bool *reported, size_t *count_r)
{
	unsigned worst = 0;

	*count_r = 0;
	for (size_t i = 0; i < t->rcpt_count; i++) {
		struct txn_rcpt *r = &t->rcpts[i];
		const struct dsn_test *test;
		struct dsn_case c;

		if (r->removed || r->added || r->ccat_count == 0)
			continue;
		dsn_case_of(t, r, &c);
		test = dsn_judge(&c);
		r->dsn_warns = c.warns;
		reported[i] = test->fate == DSN_REPORTS;
		if (test->fate == DSN_SUPPRESSES) {
			r->dsn = DSN_SUPPRESSED;
			txn_log(t, MW_INFO, "dsn_suppressed", "log_id=%s mail_id=%s rcpt=%s why=%s",
				t->log_id, t->mail_id, mw_quote(r->addr),
				mw_quote(c.why_not != NULL ? c.why_not : test->name));
		}
		if (!reported[i])
			continue;
		++*count_r;
		worst = ccat_for(r) > worst ? ccat_for(r) : worst;
	}
	return ccat_slot_of(worst);
}

bool notify_plan_sender(
	struct txn *t, bool **reported_r, struct notify_plan **plans_r, size_t *count_r)
{
	struct plan p = { .t = t };
	struct template_code *text;
	const char *bcc;
	enum ccat_slot slot;
	size_t count;

	*count_r = 0;
	if (nobody_to_report(t))
		return true;
	*reported_r = smtp_arena_array(&t->arena, t->rcpt_count, sizeof(**reported_r));
	if (*reported_r == NULL)
		return false;
	slot = judge_all(t, *reported_r, &count);
	text = t->policy->notices.texts[TEXT_FOR_SENDER][slot];
	if (count == 0 || text == NULL)
		return true;
	add(&p, NOTICE_SENDER, t->sender, AUTHOR_TO_SENDER, NULL, text);
	bcc = t->policy->dsn_bcc.any ? always_bcc_address(t, &t->policy->dsn_bcc) : NULL;
	if (bcc != NULL && *bcc != '\0' && t->policy->notices.limit > 1)
		add(&p, NOTICE_SENDER_COPY, bcc, AUTHOR_TO_SENDER, NULL, text);
	*plans_r = p.items;
	*count_r = p.count;
	return !p.failed;
}
