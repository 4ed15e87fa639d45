/* request=release, requeue and report: a mail out of the quarantine, to whom it was kept from, or
 * shown to somebody. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include <strings.h>
#include <time.h>

#include "ampdp_answer.h"
#include "ampdp_secret.h"
#include "ampdp_session_priv.h"
#include "log.h"
#include "outcome/clerk.h"
#include "outcome/decide.h"
#include "outcome/edit.h"
#include "outcome/quarantine_stored.h"
#include "outcome/release_form.h"
#include "quarantine_audit.h"
#include "quarantine_copy.h"

/* The envelope and findings on top of a copy count for nothing in smtpd_message_size_limit. */
#define ENVELOPE_OCTETS_MAX MW_HEADER_OCTETS_MAX
#define ADDRESS_VALUE_MAX (SMTP_PATH_MAX + 2)

/* What a release gathers on its way. */
struct ampdp_release {
	struct clerk_found found;
	struct smtp_body *body;	     /* the copy, until the transaction has it */
	struct stored_job *asked;    /* the database, for it */
	bool is_stored;		     /* it is rows of that database */
	int64_t stored_in;	     /* their partition_tag */
	const char *stored_released; /* whom they say it was released to, a line each; "" */
	const char *name;	     /* of its file */
	struct release_form form;
	size_t original; /* where the mail begins */
	bool eight_bit, is_poison;
	char claimed[65]; /* mail_id, until the transaction has the claim; "": none */
};

static bool is_yes(const char *value)
{
	return value != NULL && (mw_ieq(value, "yes") || strcmp(value, "1") == 0);
}

static bool is_requeue(const struct ampdp_session *s)
{
	return strcmp(s->request.request, "requeue") == 0;
}

/* Nobody gets the mail by it: it is shown to whoever it is reported to. */
static bool is_report(const struct ampdp_session *s)
{
	return strcmp(s->request.request, "report") == 0;
}

static void refuse(struct ampdp_session *s, const char *text)
{
	char whole[400];

	snprintf(whole, sizeof(whole), "ERROR %.380s", text);
	ampdp_session_refuse(s, 450, "4.5.0", whole);
}

static bool is_mail_id(const char *id)
{
	size_t n = strlen(id);

	if (n == 0 || n >= MW_NAME_MAX || !isalnum((unsigned char)id[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)id[i]) && strchr("-_+", id[i]) == NULL)
			return false;
	return true;
}

/* Nobody else may release it from here on: before it is asked who has got it. */
static bool claim(struct ampdp_session *s, const char *mail_id)
{
	struct ampdp_release *r = s->releasing;

	if (!mw_strncpy(r->claimed, sizeof(r->claimed), mail_id, strlen(mail_id)))
		return false;
	if (!clerk_claim(s->in.front->clerk, mail_id)) {
		r->claimed[0] = '\0';
		return false;
	}
	return true;
}

static void refuse_claimed(struct ampdp_session *s)
{
	refuse(s, "it is being released at this moment (or that cannot be known, which the log "
		  "says)");
}

/* ------------------------------------------------------------------ where it is kept */

struct names {
	const char **items;
	size_t count, cap;
	bool failed;
};

static void add_name(struct ampdp_session *s, struct names *n, const char *template)
{
	const char *m = strstr(template, "%m"), *id = s->request.mail_id, *name;

	if (m == NULL || n->count == n->cap)
		return;
	name = smtp_arena_printf(
		&s->request.arena, "%c/%.*s%s%s", id[0], (int)(m - template), template, id, m + 2);
	n->failed = n->failed || name == NULL;
	for (size_t i = 0; i < n->count && name != NULL; i++)
		if (strcmp(n->items[i], name) == 0)
			return;
	n->items[n->count++] = name;
}

/*
 * mail_file as it is given, then what the clerk has found, then what quarantine.c would have called
 * mail_id under any bank: an amavisd-release that is given an id alone sends it as both.
 */
static bool find_names(struct ampdp_session *s, struct names *n)
{
	const struct policy_set *set = s->in.set;
	const struct ampdp_request *q = &s->request;

	const struct clerk_found *found = &s->releasing->found;

	n->cap = CCAT_SLOTS * set->count + 1 + found->count;
	n->items = smtp_arena_array(&s->request.arena, n->cap, sizeof(*n->items));
	if (n->items == NULL)
		return false;
	if (q->mail_file != NULL)
		n->items[n->count++] = q->mail_file;
	if (q->mail_id == NULL || (q->mail_file != NULL && strchr(q->mail_file, '/') != NULL))
		return true;
	for (size_t i = 0; i < found->count; i++)
		n->items[n->count++] = found->paths[i];
	for (const struct policy *p = set->base; p != NULL; p = p->next) {
		for (unsigned slot = 0; slot < CCAT_SLOTS; slot++)
			if (p->quarantine[slot] != NULL &&
				p->quarantine[slot]->kind == QUARANTINE_LOCAL)
				add_name(s, n, p->quarantine[slot]->template);
	}
	return !n->failed;
}

static bool is_type(const struct ampdp_request *q, const char *letters)
{
	return q->quar_type != NULL && q->quar_type[0] != '\0' && q->quar_type[1] == '\0' &&
	       strchr(letters, q->quar_type[0]) != NULL;
}

/* Rows are found by mail_id; who names a file, or its kind, wants that. */
static bool may_be_stored(const struct ampdp_session *s)
{
	const struct ampdp_request *q = &s->request;

	return q->mail_id != NULL && !is_type(q, "FZB") &&
	       (q->mail_file == NULL || strchr(q->mail_file, '/') == NULL) &&
	       stored_is_set_up(s->in.front);
}

/* False: that is no number. partition_r may be NULL. */
static bool partition_of(const struct ampdp_request *q, int64_t *partition_r)
{
	const char *tag = q->partition_tag;
	char *end;
	long long n = STORED_ANY;

	if (tag != NULL && *tag != '\0') {
		n = strtoll(tag, &end, 10);
		if (*end != '\0' || n < 0 || n > INT32_MAX)
			return false;
	}
	if (partition_r != NULL)
		*partition_r = n;
	return true;
}

/* NULL when it may be asked for; otherwise why not. */
static const char *forbidden(const struct ampdp_session *s)
{
	const struct ampdp_request *q = &s->request;

	if (is_type(q, "ML"))
		return "a copy that was mailed (quar_type M, L) lies in the mailbox it was sent to";
	if (q->quar_type != NULL && !is_type(q, "FZBQ"))
		return "quar_type is F, Z, B, Q or nothing";
	if (q->mail_id == NULL && q->mail_file == NULL)
		return "neither mail_id nor mail_file is given";
	if (q->mail_id != NULL && !is_mail_id(q->mail_id))
		return "that is no mail_id";
	if (is_type(q, "Q") && q->mail_id == NULL)
		return "quar_type Q needs a mail_id";
	if (is_type(q, "Q") && !stored_is_set_up(s->in.front))
		return "quar_type Q: storage_sql_dsn names no database";
	if (*s->in.set->quarantine_dir == '\0' && !may_be_stored(s))
		return "QUARANTINEDIR is not set";
	if (is_report(s) && q->recipient_count == 0)
		return "a report needs a recipient";
	return partition_of(q, NULL) ? NULL : "partition_tag is a number";
}

/* Who asks at our own administrators' socket need not know secrets. */
static const char *secret_is_wrong(const struct ampdp_session *s, struct mw_octets id)
{
	const char *secret = s->request.secret_id;
	bool given = secret != NULL && *secret != '\0';

	if (given)
		return ampdp_secret_is_of(secret, id) ? NULL
						      : "secret_id is not that of this mail_id";
	return s->in.policy->auth_required_release && !s->in.listener->admin
		       ? "auth_required_release is set, and no secret_id is given"
		       : NULL;
}

/* ------------------------------------------------------------------ to whom */

/* Its own recipients, or those that the request puts in their place. NULL: all taken. */
static const char *add_recipient(struct txn *t, const char *value)
{
	const char *addr;

	if (txn_is_full(t))
		return "too many recipients (smtpd_recipient_limit)";
	if (!ampdp_address(&t->arena, value, false, &addr, &t->params.smtputf8))
		return "bad recipient address";
	return txn_add_rcpt(t, addr, &(struct smtp_rcpt_params){ 0 }) == MW_OK ? NULL
									       : "out of memory";
}

static const char *add_kept(struct txn *t, const struct mw_quarantine_copy *c, bool blocked)
{
	char text[ADDRESS_VALUE_MAX + 1];
	struct mw_octets value;
	size_t at = 0;
	const char *no = NULL;

	while (no == NULL && mw_quarantine_copy_rcpt(c, blocked, &at, &value))
		no = mw_strncpy(text, sizeof(text), value.p, value.n) ? add_recipient(t, text)
								      : "bad recipient address";
	return no;
}

/* Of the other copies of the mail, which other recipients' folders have. */
static const char *add_lines(struct txn *t, const char *lines)
{
	char text[ADDRESS_VALUE_MAX + 1];
	const char *no = NULL;

	for (const char *p = lines; *p != '\0' && no == NULL;) {
		size_t n = strcspn(p, "\n");

		if (n > 0)
			no = mw_strncpy(text, sizeof(text), p, n) ? add_recipient(t, text)
								  : "bad recipient address";
		p += n + (p[n] == '\n');
	}
	return no;
}

static const char *add_recipients(
	struct ampdp_session *s, struct txn *t, const struct mw_quarantine_copy *c)
{
	const struct ampdp_request *q = &s->request;
	const struct clerk_found *found = &s->releasing->found;
	const char *no = NULL;

	for (size_t i = 0; i < q->recipient_count && no == NULL; i++)
		no = add_recipient(t, q->recipients[i]);
	/* Others have had it already. Who names a file wants those of that copy. */
	if (no == NULL && t->rcpt_count == 0 && found->count > 1 &&
		(q->mail_file == NULL ||
			(q->mail_id != NULL && strcmp(q->mail_file, q->mail_id) == 0)))
		no = add_lines(t, found->rcpts);
	if (no == NULL && t->rcpt_count == 0)
		no = add_kept(t, c, true);
	if (no == NULL && t->rcpt_count == 0)
		no = add_kept(t, c, false);
	return no == NULL && t->rcpt_count == 0 ? "it names no recipient" : no;
}

static enum release_format format_of(const struct ampdp_session *s)
{
	return is_requeue(s)  ? RELEASE_RESEND
	       : is_report(s) ? s->in.policy->report_format
			      : s->in.policy->release_format;
}

static struct txn *begin(
	struct ampdp_session *s, const struct mw_quarantine_copy *c, const char **no_r)
{
	const struct txn_origin origin = {
		.helo = "localhost",
		.peer_ip = s->in.peer_ip,
		.local_ip = s->in.local_ip,
		.protocol = "AM.PDP",
		.peer_port = s->in.peer_port,
		.local_port = s->in.local_port,
		.set = s->in.set,
		.policy = s->in.policy,
	};
	struct ampdp_request *q = &s->request;
	char text[ADDRESS_VALUE_MAX + 1];
	const char *sender;
	bool utf8 = false;
	struct txn *t;

	*no_r = "bad sender address";
	if (format_of(s) != RELEASE_RESEND) /* what comes back is not for the mail's sender */
		mw_strlcpy(text, s->in.policy->notices.mailfrom[AUTHOR_TO_RCPT], sizeof(text));
	else if (!mw_strncpy(text, sizeof(text), c->sender.p, c->sender.n))
		return NULL;
	if (!ampdp_address(&q->arena, q->sender != NULL ? q->sender : text, true, &sender, &utf8))
		return NULL;
	s->client.delivers = false;
	s->client.per_rcpt = true;
	t = txn_new(s->in.front, &s->client, &origin, sender);
	*no_r = t != NULL ? add_recipients(s, t, c) : "out of memory";
	if (t == NULL)
		return NULL;
	t->params.smtputf8 = t->params.smtputf8 || utf8;
	snprintf(t->log_id, sizeof(t->log_id), "rel-%.20s", t->mail_id);
	return t;
}

/* ------------------------------------------------------------------ the mail */

/* False: no memory. */
static bool make_form(struct ampdp_session *s, struct txn *t, const struct mw_quarantine_copy *c)
{
	const struct release_want want = { .format = format_of(s),
		.report = is_report(s),
		.requeue = is_requeue(s),
		.eight_bit = s->releasing->eight_bit };
	const char *by = NULL;
	bool utf8 = false;

	if (s->request.requested_by == NULL ||
		!ampdp_address(&s->request.arena, s->request.requested_by, false, &by, &utf8) ||
		utf8)
		by = NULL;
	return release_form_make(t, c, &want, by, &s->releasing->form) == MW_OK;
}

/* ------------------------------------------------------------------ once is enough */

static const struct clerk_release *was_released(const struct clerk_found *f, const char *rcpt)
{
	for (size_t i = 0; i < f->release_count; i++)
		if (strcasecmp(f->releases[i].rcpt, rcpt) == 0)
			return &f->releases[i];
	return NULL;
}

static bool is_line_of(const char *lines, const char *text)
{
	for (const char *p = lines; *p != '\0';) {
		size_t n = strcspn(p, "\n");

		if (strlen(text) == n && strncasecmp(p, text, n) == 0)
			return true;
		p += n + (p[n] == '\n');
	}
	return false;
}

/* The rows have it as it fits into their columns. */
static bool is_stored_as_released(struct ampdp_session *s, const char *address)
{
	const char *stored = stored_address(&s->request.arena, address);

	return stored != NULL && is_line_of(s->releasing->stored_released, stored);
}

static const char *already(struct txn *t, const struct clerk_release *r)
{
	static const char plain[] = "250 2.5.0 Ok, already released; not sent again";
	const char *reply = NULL;
	char when[32];
	struct tm tm;
	time_t at;

	if (r != NULL) { /* another host may have done it, and then only the database knows */
		at = (time_t)(r->time_ms / 1000);
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", gmtime_r(&at, &tm));
		reply = smtp_arena_printf(&t->arena,
			"250 2.5.0 Ok, already released on %s UTC by %s; not sent again", when,
			r->who);
	}
	return reply != NULL ? reply : plain;
}

/* Those who have it are told so and get it no second time. How many are left? */
static size_t pass_over_released(struct ampdp_session *s, struct txn *t)
{
	size_t left = 0;

	for (size_t i = 0; i < t->rcpt_count; i++) {
		struct txn_rcpt *r = &t->rcpts[i];
		const struct clerk_release *before = was_released(&s->releasing->found, r->addr);

		if (is_yes(s->request.again) ||
			(before == NULL && !is_stored_as_released(s, r->addr))) {
			left++;
			continue;
		}
		r->code = 250;
		r->action = MW_ACT_DISCARD;
		r->reply = already(t, before);
	}
	return left;
}

/* Rows of a database say themselves who has got them; of files only the index knows. */
static bool history_is_missing(const struct ampdp_session *s)
{
	return !s->releasing->found.known && !s->releasing->is_stored && !is_yes(s->request.again);
}

/* ------------------------------------------------------------------ scanned again */

static const char *viruses_of(struct txn *t)
{
	const char *names = decide_virus_names(t);

	return names != NULL ? names : "?";
}

static void forward(struct ampdp_session *s)
{
	struct ampdp_release *r = s->releasing;

	s->txn->tail = r->form.tail;
	txn_forward(s->txn,
		is_requeue(s)  ? &s->in.policy->requeue
		: is_report(s) ? &s->in.policy->notify
			       : &s->in.policy->release,
		r->form.fields, r->original, format_of(s) == RELEASE_RESEND);
}

static void refuse_release(struct ampdp_session *s, const char *why)
{
	txn_log(s->txn, MW_WARN, "release_refused", "log_id=%s parent_mail_id=%s who=%s why=%s",
		s->txn->log_id, s->txn->parent_mail_id, mw_quote(s->txn->released_by),
		mw_quote(why));
	refuse(s, why);
}

/* What the scan could not look into, though it came to its end; NULL: nothing. */
static const char *unseen(const struct findings *f)
{
	return f->limit_count > 0 ? "parts beyond a limit"
	       : f->encrypted > 0 ? "encrypted parts"
	       : f->broken	  ? "a damaged archive"
	       : f->ambiguous	  ? "a structure that others may read in another way"
				  : NULL;
}

/* Why a mail that was scanned again must not leave; NULL: it is clean. */
static const char *unclean(struct txn *t, char *why, size_t size)
{
	static const char all_the_same[] = "(rescan=no, --no-scan, releases it all the same)";
	const struct txn_check *scan = &t->checks[JOB_SCAN];

	if (t->found.virus_count > 0)
		snprintf(why, size, "not released: infected by %.150s, as scanned now %s",
			viruses_of(t), all_the_same);
	else if (scan->state != CHECK_OVER || scan->status == MW_FAILED)
		snprintf(why, size, "not released: it could not be scanned: %.150s", scan->reason);
	else if (scan->status != MW_DONE)
		snprintf(why, size, "not released: it could not be scanned to its end: %.150s %s",
			scan->reason, all_the_same);
	else if (unseen(&t->found) != NULL)
		snprintf(why, size, "not released: it could not be scanned whole: %s %s",
			unseen(&t->found), all_the_same);
	else
		return NULL;
	return why;
}

/* What was not scanned whole is not clean: whoever wants it all the same has to say so. */
static void rescanned(struct txn *t)
{
	struct ampdp_session *s = (struct ampdp_session *)((char *)t->client -
							   offsetof(struct ampdp_session, client));
	char text[300];
	const char *why = unclean(t, text, sizeof(text));

	if (why != NULL)
		refuse_release(s, why);
	else
		forward(s);
}

static bool wants_rescan(const struct ampdp_session *s)
{
	const char *said = s->request.rescan;

	return said != NULL && *said != '\0' ? is_yes(said) : s->in.policy->release_rescan;
}

/* It is never offered to a cage again: who wants it all the same has to say so, or name its file.
 */
static bool may_be_poison(const struct ampdp_session *s)
{
	const char *said = s->request.rescan;

	return said != NULL && *said != '\0' ? !is_yes(said)
					     : s->request.mail_file != NULL && !wants_rescan(s);
}

/* ------------------------------------------------------------------ step by step */

/* Whose the request is: the user at the other end of a Unix socket, or the client's address. */
static const char *asker(struct ampdp_session *s)
{
	const char *by = s->request.requested_by;
	char user[MW_QINDEX_WHO_MAX];
	unsigned uid;

	if (stream_peer_user(s->in.stream, &uid))
		mw_qaudit_user(uid, user);
	else
		snprintf(user, sizeof(user), "[%s]", s->in.peer_ip);
	if (by == NULL || *by == '\0' || !mw_is_printable(by, strlen(by)))
		return smtp_arena_copy(&s->txn->arena, user, strlen(user));
	return smtp_arena_printf(&s->txn->arena, "%s for %.60s", user, by);
}

/* The mail is here, and what is known of it. */
static void begin_release(struct ampdp_session *s, const struct mw_quarantine_copy *c)
{
	struct ampdp_release *r = s->releasing;
	const char *no = NULL;
	struct txn *t;

	t = s->txn = begin(s, c, &no);
	if (no == NULL && !make_form(s, t, c))
		no = "out of memory";
	if (no == NULL) {
		mw_strncpy(t->parent_mail_id, sizeof(t->parent_mail_id), c->id.p, c->id.n);
		t->released_by = asker(s);
	}
	if (no != NULL || t->parent_mail_id[0] == '\0' || t->released_by == NULL) {
		refuse(s, no != NULL ? no : "out of memory");
		return;
	}
	t->claimed = true; /* it ends it */
	r->claimed[0] = '\0';
	r->original = c->original;
	t->body = r->body;
	r->body = NULL;
	t->params.body = r->eight_bit ? SMTP_BODY_8BITMIME : SMTP_BODY_NONE;
	t->released = true;
	t->is_report = is_report(s);
	t->is_stored = r->is_stored;
	t->stored_in = r->stored_in;
	txn_log(t, r->is_poison ? MW_WARN : MW_INFO, "release",
		"log_id=%s request=%s parent_mail_id=%s file=%s rcpts=%zu who=%s", t->log_id,
		s->request.request, t->parent_mail_id, mw_quote(r->name), t->rcpt_count,
		mw_quote(t->released_by));
	ampdp_session_run(s);
	if (is_report(s))
		forward(s);
	else if (history_is_missing(s))
		refuse_release(s, "not released: who has got it before cannot be read, the index "
				  "cannot be had (again=yes releases it all the same)");
	else if (pass_over_released(s, t) == 0)
		txn_release_nothing(t);
	else if (r->is_poison && !may_be_poison(s))
		refuse_release(s, "not released: two cages died on it (rescan=no releases it all "
				  "the same)");
	else if (wants_rescan(s))
		txn_rescan(t, r->original, rescanned);
	else
		forward(s);
}

/* What was known of the mail_id of a file. */
static void history_known(void *arg, struct clerk_found *found)
{
	struct ampdp_session *s = arg;
	struct mw_quarantine_copy c;

	s->asking = NULL;
	clerk_found_fini(&s->releasing->found);
	s->releasing->found = *found;
	*found = (struct clerk_found){ 0 };
	if (mw_quarantine_copy_read(smtp_body_octets(s->releasing->body), &c))
		begin_release(s, &c);
	else
		refuse(s, "that is no quarantine copy");
}

/* NULL: these octets are the copy that is asked for, and whoever asks may have it. */
static const char *unfit(const struct ampdp_session *s, const struct smtp_body *body, char id_r[65])
{
	const struct ampdp_request *q = &s->request;
	struct mw_quarantine_copy c;

	if (!mw_quarantine_copy_read(smtp_body_octets(body), &c))
		return "that is no quarantine copy";
	if (q->mail_id != NULL &&
		!(c.id.n == strlen(q->mail_id) && memcmp(c.id.p, q->mail_id, c.id.n) == 0))
		return "that copy has another mail_id";
	if (!mw_strncpy(id_r, 65, c.id.p, c.id.n) || !is_mail_id(id_r))
		return "that copy has no mail_id";
	return secret_is_wrong(s, c.id);
}

/* The copy is here: *body_p is taken. */
static void take_copy(struct ampdp_session *s, struct smtp_body **body_p, const char *name)
{
	struct ampdp_release *r = s->releasing;
	struct mw_quarantine_copy c;
	char id[65];
	const char *no = unfit(s, *body_p, id);

	r->name = smtp_arena_copy(&s->request.arena, name, strlen(name));
	if (no != NULL || r->name == NULL) {
		refuse(s, no != NULL ? no : "out of memory");
		return;
	}
	r->body = *body_p;
	*body_p = NULL;
	if (s->request.mail_id == NULL) {
		if (!claim(s, id)) {
			refuse_claimed(s);
			return;
		}
		ampdp_session_ask(s);
		s->asking = clerk_find(s->in.front->clerk, id, history_known, s);
		if (s->asking == NULL)
			refuse(s, "too many releases wait");
	} else if (mw_quarantine_copy_read(smtp_body_octets(r->body), &c)) {
		begin_release(s, &c);
	}
}

/* ------------------------------------------------------------------ a copy that is rows */

static void fetched(void *arg, struct stored_got *got)
{
	struct ampdp_session *s = arg;
	struct ampdp_release *r = s->releasing;
	const struct stored_row *row = got->rows;
	const char *lines;

	r->asked = NULL;
	if (got->rc != MW_OK) {
		refuse(s, got->err.text);
		return;
	}
	r->is_stored = true;
	r->stored_in = row->partition;
	r->eight_bit = got->eight_bit;
	lines = smtp_arena_copy(&s->request.arena, row->released, strlen(row->released));
	if (lines == NULL) {
		refuse(s, "out of memory");
		return;
	}
	r->stored_released = lines;
	take_copy(s, &got->body, row->e.path);
}

static void fetch(struct ampdp_session *s)
{
	int64_t partition = STORED_ANY;

	partition_of(&s->request, &partition);
	ampdp_session_ask(s);
	s->releasing->asked = stored_load(s->in.front, s->request.mail_id, partition,
		s->in.policy->message_size_limit + ENVELOPE_OCTETS_MAX, fetched, s);
	if (s->releasing->asked == NULL)
		refuse(s, "too many mails wait for the database (storage.queue_limit)");
}

/* ------------------------------------------------------------------ a copy that is a file */

static void loaded(void *arg, struct mail_file_got *got)
{
	struct ampdp_session *s = arg;
	struct ampdp_release *r = s->releasing;

	s->loading = NULL;
	if (got->rc == MW_ERR_GONE && may_be_stored(s)) {
		fetch(s);
		return;
	}
	if (got->rc != MW_OK) {
		refuse(s, got->rc == MW_ERR_GONE ? "no such mail is kept" : got->err.text);
		return;
	}
	r->eight_bit = got->eight_bit;
	r->is_poison = strncmp(got->name, "poison/", 7) == 0;
	take_copy(s, &got->body, got->name);
}

static void over(struct ampdp_session *s, struct txn *t)
{
	ampdp_answer_head(&s->out, t->log_id);
	for (size_t i = 0; i < t->rcpt_count; i++)
		ampdp_answer_setreply(&s->out, t->rcpts[i].reply);
	ampdp_put_end(&s->out);
}

static void load(struct ampdp_session *s)
{
	struct mail_file_want want = {
		.root = s->in.set->quarantine_dir,
		.limit = s->in.policy->message_size_limit + ENVELOPE_OCTETS_MAX,
		.unwraps = true,
	};
	struct names n = { 0 };

	if (is_type(&s->request, "Q") || *want.root == '\0') {
		fetch(s);
		return;
	}
	if (!find_names(s, &n)) {
		refuse(s, "out of memory");
		return;
	}
	want.names = n.items;
	want.name_count = n.count;
	ampdp_session_load(s, &want, loaded);
}

/* Where its copies are, and who has got it before. */
static void copies_known(void *arg, struct clerk_found *found)
{
	struct ampdp_session *s = arg;

	s->asking = NULL;
	s->releasing->found = *found;
	*found = (struct clerk_found){ 0 };
	load(s);
}

void ampdp_release(struct ampdp_session *s)
{
	const char *no = forbidden(s);

	/* Without the right secret nobody is told whether there is such a mail. */
	if (no == NULL && (s->request.mail_id != NULL || s->request.secret_id == NULL))
		no = secret_is_wrong(s, mw_octets_of_text(s->request.mail_id));
	if (no == NULL)
		s->releasing = smtp_arena_array(&s->request.arena, 1, sizeof(*s->releasing));
	if (no != NULL || s->releasing == NULL) {
		refuse(s, no != NULL ? no : "out of memory");
		return;
	}
	*s->releasing = (struct ampdp_release){ .stored_released = "" };
	s->over = over;
	if (s->request.mail_id == NULL) {
		load(s);
		return;
	}
	if (!claim(s, s->request.mail_id)) {
		refuse_claimed(s);
		return;
	}
	ampdp_session_ask(s);
	s->asking = clerk_find(s->in.front->clerk, s->request.mail_id, copies_known, s);
	if (s->asking == NULL)
		refuse(s, "too many releases wait");
}

void ampdp_release_clean_up(struct ampdp_session *s)
{
	clerk_forget(&s->asking);
	if (s->releasing == NULL)
		return;
	if (s->releasing->claimed[0] != '\0')
		clerk_unclaim(s->in.front->clerk, s->releasing->claimed);
	stored_forget(&s->releasing->asked);
	smtp_body_unref(&s->releasing->body);
	clerk_found_fini(&s->releasing->found);
	s->releasing = NULL;
}
