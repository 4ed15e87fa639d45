#include "quarantine_priv.h"

#include <signal.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "clerk.h"
#include "log.h"
#include "policy/rcpt_policy.h"

/* ------------------------------------------------------------------ which copies */

/* What a copy is looked for by: a file has a folder, a mail a next hop. */
struct want {
	const struct quarantine_method *method;
	const struct next_hops *route;
	const char *folder, *to;
	bool archive;
};

static bool is_same(const struct txn_copy *c, const struct want *w)
{
	if (c->route != NULL && c->route == w->route)
		return true;
	/* One mail has one set of rows. */
	if (c->method->kind == QUARANTINE_SQL && w->method->kind == QUARANTINE_SQL)
		return true;
	return (c->route != NULL) == (w->route != NULL) &&
	       strcmp(c->method->text, w->method->text) == 0 && strcmp(c->folder, w->folder) == 0;
}

static bool add_to(struct txn *t, struct txn_copy *c, const char *to)
{
	for (size_t i = 0; i < c->to_count; i++)
		if (strcmp(c->to[i], to) == 0)
			return true;
	if (c->to == NULL)
		/* Everybody may want another place, and the sender one more. */
		c->to = smtp_arena_array(&t->arena, t->rcpt_count + 1, sizeof(*c->to));
	if (c->to == NULL)
		return false;
	c->to[c->to_count++] = to;
	return true;
}

/* The copy that does for it, or a new one; -1: no memory. */
static int copy_for(struct txn *t, const struct want *w)
{
	for (size_t i = 0; i < t->copy_count; i++)
		if (is_same(&t->copies[i], w))
			return add_to(t, &t->copies[i], w->to) ? (int)i : -1;
	if (t->copy_count == QUARANTINE_COPIES_MAX) {
		txn_log(t, MW_WARN, "quarantine_copies", "log_id=%s wanted=%s kept=%s", t->log_id,
			mw_quote(w->to), mw_quote(t->copies[0].to[0]));
		return 0;
	}
	t->copies[t->copy_count] = (struct txn_copy){
		.method = w->method, .route = w->route, .folder = w->folder, .archive = w->archive
	};
	return add_to(t, &t->copies[t->copy_count], w->to) ? (int)t->copy_count++ : -1;
}

/*
 * An address is mailed to, whatever the method for files is. Other ways than files have no folders,
 * and batch SMTP keeps the envelope as it was.
 */
static struct want want_of(const struct txn *t, const struct quarantine_method *m, const char *to,
	const char *rcpt, bool archive)
{
	struct want w = { .method = m, .folder = "", .to = to, .archive = archive };

	if (rcpt != NULL && (strcmp(to, "%a") == 0 || m->kind == QUARANTINE_BSMTP))
		w.to = rcpt;
	if (m->kind == QUARANTINE_LOCAL && quarantine_is_address(w.to))
		w.route = &t->policy->notify;
	else if (m->kind == QUARANTINE_LOCAL)
		w.folder = rcpt_policy_folder(to);
	else if (m->kind == QUARANTINE_MAIL)
		w.route = &m->hops;
	return w;
}

static bool is_off(const struct quarantine_method *m)
{
	return m == NULL || m->kind == QUARANTINE_NOWHERE;
}

/* Of a mail that nothing blocks: the first category, from the most important down, that somebody
 * says something of (decision.md 3), "nowhere" included. */
static enum ccat_slot slot_of_passed(const struct policy *p, const struct txn_rcpt *r)
{
	for (size_t i = 0; i < r->ccat_count; i++) {
		enum ccat_slot slot = ccat_slot_of(r->ccats[i]), at = slot;

		while (at != CCAT_CATCHALL && p->by_ccat[at].quarantine_method == NULL)
			at = ccat_above(at);
		if (at != CCAT_CATCHALL)
			return slot;
	}
	return CCAT_CATCHALL;
}

static bool is_spam(unsigned ccat)
{
	return ccat / 10 == MW_CC_SPAM || ccat / 10 == MW_CC_SPAMMY;
}

/* Spam that is beyond doubt is not worth its room. */
static bool is_cut_off(const struct txn_rcpt *r)
{
	unsigned ccat = r->ccat_blocking != 0 ? r->ccat_blocking : r->ccats[0];

	return is_spam(ccat) && r->quarantine_cutoff_milli != RCPT_NO_LEVEL &&
	       ((r->black && !r->white) ||
		       (r->has_score && r->score_milli >= r->quarantine_cutoff_milli));
}

/* What is deferred comes again. */
static bool plan_rcpt(struct txn *t, struct txn_rcpt *r)
{
	const struct policy *p = t->policy;
	enum ccat_slot slot;
	struct want w;

	if (r->removed || r->destiny == MW_D_TEMPFAIL || r->code / 100 == 4)
		return true;
	slot = r->ccat_blocking != 0 ? ccat_slot_of(r->ccat_blocking) : slot_of_passed(p, r);
	if (is_off(p->quarantine[slot]) || r->keep_to[slot] == NULL || is_cut_off(r))
		return true;
	w = want_of(t, p->quarantine[slot], r->keep_to[slot], r->addr, false);
	r->copy = copy_for(t, &w);
	return r->copy >= 0;
}

/* By the sender, spam may be kept once more. */
static bool plan_sender(struct txn *t)
{
	const struct policy *p = t->policy;
	struct mw_lookup_result result;
	bool any_spam = false;
	const char *place;
	struct want w;

	for (size_t i = 0; i < t->rcpt_count && !any_spam; i++)
		any_spam = !t->rcpts[i].removed && t->rcpts[i].ccat_count > 0 &&
			   t->rcpts[i].ccats[0] / 10 == MW_CC_SPAM;
	if (!any_spam || is_off(p->quarantine[CCAT_SPAM]) || p->spam_by_sender == NULL ||
		!mw_lookup(p->spam_by_sender, t->sender, &result) ||
		result.value.type != MW_VALUE_TEXT ||
		!rcpt_policy_place(result.value.text, &place) || place == NULL)
		return true;
	place = smtp_arena_copy(&t->arena, place, strlen(place));
	if (place == NULL)
		return false;
	w = want_of(t, p->quarantine[CCAT_SPAM], place, NULL, false);
	return copy_for(t, &w) >= 0;
}

/* Of every mail; "%a" is the recipient, so that the archive gets it as its recipients would. */
static bool plan_archive(struct txn *t)
{
	const struct quarantine_method *m = t->policy->archive_method;

	if (is_off(m))
		return true;
	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct txn_rcpt *r = &t->rcpts[i];
		struct want w;

		if (r->removed || r->archive_to == NULL)
			continue;
		w = want_of(t, m, r->archive_to, r->addr, true);
		if (copy_for(t, &w) < 0)
			return false;
	}
	return true;
}

static enum mw_rc plan_poison(struct txn *t)
{
	static const struct quarantine_method poison = {
		.kind = QUARANTINE_LOCAL, .text = "local:poison-%m.gz", .template = "poison-%m.gz"
	};
	struct want w = { .method = &poison, .folder = "poison", .to = "quarantine" };

	if (*t->set->quarantine_dir == '\0')
		return MW_OK;
	return copy_for(t, &w) >= 0 ? MW_OK : MW_ERR_NOMEM;
}

enum mw_rc quarantine_plan(struct txn *t)
{
	t->copy_count = t->copy_at = 0;
	t->copies = smtp_arena_array(&t->arena, QUARANTINE_COPIES_MAX, sizeof(*t->copies));
	if (t->copies == NULL)
		return MW_ERR_NOMEM;
	/* Deferred, it comes again; passed, it is mail as any other. So it is where it has no
	 * place: the alert says that. */
	if (t->poison && (*t->set->quarantine_dir != '\0' || t->check_failure != NULL)) {
		enum mw_rc rc = plan_poison(t);

		return rc == MW_OK && t->check_failure == NULL && !plan_archive(t) ? MW_ERR_NOMEM
										   : rc;
	}
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (!plan_rcpt(t, &t->rcpts[i]))
			return MW_ERR_NOMEM;
	return plan_sender(t) && plan_archive(t) ? MW_OK : MW_ERR_NOMEM;
}

static bool is_blocked(const struct txn_rcpt *r)
{
	return r->ccat_blocking != 0 && !r->removed;
}

bool quarantine_is_kept_from(const struct txn *t, size_t at, const struct txn_rcpt *r)
{
	if (!is_blocked(r))
		return false;
	for (size_t i = 0; i < t->rcpt_count && !t->poison; i++)
		if (is_blocked(&t->rcpts[i]) && t->rcpts[i].copy == (int)at)
			return r->copy == (int)at;
	return true;
}

bool quarantine_keeps_from_somebody(const struct txn *t)
{
	return t->copy_count > 0 && !t->copies[0].archive;
}

/* ------------------------------------------------------------------ names */

/* ISO 8601's week of the mail's time: partitions that are thrown away as a whole. */
static unsigned partition_of(const struct txn *t)
{
	time_t second = (time_t)(t->time_ms / 1000);
	char week[8];
	struct tm tm;

	if (!t->set->partition_by_week)
		return t->set->partition_tag;
	localtime_r(&second, &tm);
	strftime(week, sizeof(week), "%V", &tm);
	return (unsigned)strtoul(week, NULL, 10);
}

struct quarantine_names quarantine_names_of(const struct txn *t, const char *digest)
{
	return (struct quarantine_names){ .mail_id = t->mail_id,
		.log_id = t->log_id,
		.sender = t->sender,
		.digest = digest,
		.partition_tag = partition_of(t),
		.time_ms = t->time_ms };
}

/* Folders hashed by the id's first character: none grows past a sixty-second of all. */
static const char *file_name(const struct quarantine_job *j, const struct txn_copy *c)
{
	struct txn *t = j->txn;
	struct quarantine_names names = quarantine_names_of(t, j->digest);
	char name[QUARANTINE_PATH_MAX];

	quarantine_method_name(c->method, &names, name);
	if (c->method->kind == QUARANTINE_BSMTP || strcmp(c->folder, "poison") == 0 ||
		!t->set->quarantine_subdirs)
		return smtp_arena_printf(
			&t->arena, "%s%s%s", c->folder, *c->folder != '\0' ? "/" : "", name);
	return smtp_arena_printf(&t->arena, "%s%s%c/%s", c->folder, *c->folder != '\0' ? "/" : "",
		t->mail_id[0], name);
}

static char letter_of(const struct txn_copy *c)
{
	size_t n = strlen(c->method->text);

	switch (c->method->kind) {
	case QUARANTINE_BSMTP:
		return 'B';
	case QUARANTINE_SQL:
		return 'Q';
	case QUARANTINE_MAIL:
		return c->route->hop[0].lmtp ? 'L' : 'M';
	default:
		if (c->route != NULL)
			return 'M';
		return n > 3 && strcmp(c->method->text + n - 3, ".gz") == 0 ? 'Z' : 'F';
	}
}

/* ------------------------------------------------------------------ one after the other */

static const struct quarantine_way *way_of(const struct txn_copy *c)
{
	return c->method->kind == QUARANTINE_SQL ? &quarantine_way_sql
	       : c->route != NULL		 ? &quarantine_way_mail
						 : &quarantine_way_file;
}

static enum mw_rc start_copy(struct quarantine_job *j)
{
	struct txn_copy *c = &j->txn->copies[j->txn->copy_at];
	const char *name;
	enum mw_rc rc;

	if (c->route == NULL && c->method->wants_digest && j->digest[0] == '\0')
		return quarantine_digest(j);
	j->way = way_of(c);
	name = c->method->kind == QUARANTINE_SQL ? j->txn->mail_id
	       : c->route != NULL		 ? c->to[0]
						 : file_name(j, c);
	if (name == NULL)
		return MW_ERR_NOMEM;
	c->name = name;
	c->type = letter_of(c);
	quarantine_trigger("begin");
	rc = j->way->start(j, c);
	if (rc != MW_OK) {
		c->name = NULL;
		j->way = NULL;
	}
	return rc;
}

static void end(struct quarantine_job *j, enum mw_rc rc, const char *error)
{
	void (*done)(void *arg, enum mw_rc rc, const char *error) = j->done;
	void *arg = j->arg;
	char text[300];

	mw_strlcpy(text, error, sizeof(text));
	free(j);
	done(arg, rc, text);
}

void quarantine_copy_done(struct quarantine_job *j, enum mw_rc rc, const char *error)
{
	struct txn *t = j->txn;
	struct txn_copy *c = &t->copies[t->copy_at];

	if (j->way == NULL && rc == MW_OK) { /* that was the digest */
		rc = start_copy(j);
		if (rc != MW_OK)
			end(j, rc, mw_rc_name(rc));
		return;
	}
	j->way = NULL;
	if (rc != MW_OK) {
		c->name = NULL;
		end(j, rc, error);
		return;
	}
	quarantine_trigger("kept");
	/* Of a mailed one it is an address, which a sender may have chosen. */
	txn_log(t, MW_INFO, c->archive ? "archived" : "quarantined",
		"log_id=%s mail_id=%s file=%s type=%c", t->log_id, t->mail_id,
		c->route != NULL ? mw_quote(c->name) : c->name, c->type);
	/* What is below QUARANTINEDIR is in its index. */
	if (c->route == NULL && c->name[0] != '/' && c->type != 'Q')
		clerk_kept(t->front->clerk, t, c->name);
	if (++t->copy_at < t->copy_count)
		rc = start_copy(j);
	if (rc != MW_OK || t->copy_at == t->copy_count)
		end(j, rc, mw_rc_name(rc));
}

enum mw_rc quarantine_keep(struct txn *t, struct quarantine_job **job_r,
	void (*done)(void *arg, enum mw_rc rc, const char *error), void *arg)
{
	struct quarantine_job *j = calloc(1, sizeof(*j));
	enum mw_rc rc;

	if (j == NULL)
		return MW_ERR_NOMEM;
	j->txn = t;
	j->done = done;
	j->arg = arg;
	rc = start_copy(j);
	if (rc != MW_OK)
		free(j);
	else
		*job_r = j;
	return rc;
}

void quarantine_forget(struct quarantine_job **job_p)
{
	struct quarantine_job *j = *job_p;

	*job_p = NULL;
	if (j == NULL)
		return;
	if (j->way != NULL)
		j->way->forget(j);
	else
		quarantine_way_file.forget(j);
	free(j);
}

#ifdef MW_TEST_TRIGGERS
void quarantine_trigger(const char *step)
{
	const char *wanted = getenv("MAILWEIR_TEST_KEEP");

	if (wanted != NULL && strcmp(wanted, step) == 0)
		kill(getpid(), SIGKILL);
}
#endif
