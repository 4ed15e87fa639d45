#include "body_plan.h"

#include <strings.h>

#include "body_origin.h"
#include "body_program.h"
#include "body_wrap.h"
#include "decide.h"
#include "policy/rcpt_texts.h"
#include "transaction.h"

/* How each is called in settings, and in X-Amavis-Modified, as amavisd does. */
static const struct {
	const char *word, *said;
} words[] = {
	[BODY_AS_IS] = { "0", "" },
	[BODY_DEFAULT] = { "1", "defanged" },
	[BODY_ATTACH] = { "attach", "using attach" },
	[BODY_ALTERMIME] = { "altermime", "using altermime" },
	[BODY_NULL] = { "null", "using null" },
	[BODY_DISCLAIMER] = { "disclaimer", "using disclaimer" },
	[BODY_NULL_DISCLAIMER] = { "nulldisclaimer", "using nulldisclaimer" },
};

bool body_treatment_of(const char *text, enum body_treatment *how_r)
{
	*how_r = BODY_AS_IS;
	if (*text == '\0' || strcasecmp(text, "false") == 0)
		return true;
	*how_r = BODY_DEFAULT;
	if (strcasecmp(text, "true") == 0)
		return true;
	for (unsigned i = 0; i < BODY_TREATMENTS; i++)
		if (strcasecmp(text, words[i].word) == 0) {
			*how_r = (enum body_treatment)i;
			return true;
		}
	return false;
}

struct body_view body_view_of(const struct txn *t, const struct body_form *form)
{
	if (form != NULL)
		return form->view;
	return (struct body_view){ .header = &t->header,
		.parts = { { smtp_body_octets(t->body), t->body } },
		.part_count = 1 };
}

/* ------------------------------------------------------------------ what for whom */

/* A word that only a function or a database can say: what is asked for has to happen somehow. */
static enum body_treatment treatment_of(
	const struct txn *t, const struct txn_rcpt *r, const char *text)
{
	enum body_treatment how;

	if (body_treatment_of(text, &how))
		return how;
	txn_log(t, MW_WARN, "unknown_defang", "log_id=%s rcpt=%s value=%s", t->log_id,
		mw_quote(r->addr), mw_quote(text));
	return BODY_DEFAULT;
}

/* Categories with the same tables, a minor and its major, follow one another. */
static bool is_first_of_slot(const struct txn_rcpt *r, size_t i)
{
	return i == 0 || ccat_slot_of(r->ccats[i]) != ccat_slot_of(r->ccats[i - 1]);
}

/* The first word from the top category down; "0" is one. */
static enum body_treatment treatment_wanted(struct txn *t, const struct txn_rcpt *r)
{
	const char *text = NULL;
	enum body_treatment how = BODY_AS_IS;

	for (size_t i = 0; i <= r->ccat_count && (text == NULL || *text == '\0'); i++)
		if (i == r->ccat_count)
			text = rcpt_text_for(t, r, TEXT_DEFANG, CCAT_CATCHALL);
		else if (is_first_of_slot(r, i))
			text = rcpt_text_for(t, r, TEXT_DEFANG, ccat_slot_of(r->ccats[i]));
	if (text != NULL)
		how = treatment_of(t, r, text);
	return how == BODY_AS_IS && t->policy->defang_all ? BODY_DEFAULT : how;
}

/* Defanging is for mail to our users, disclaimers are for mail of theirs. */
static enum body_treatment treatment(
	struct txn *t, const struct txn_rcpt *r, const struct body_origin *origin)
{
	enum body_treatment how = treatment_wanted(t, r);

	if (how == BODY_DISCLAIMER || how == BODY_NULL_DISCLAIMER)
		return t->policy->allow_disclaimers && origin->is_local &&
				       !(t->policy->outbound_disclaimers_only && r->is_local)
			       ? how
			       : BODY_AS_IS;
	if (!r->is_local)
		return BODY_AS_IS;
	if (how == BODY_DEFAULT)
		return t->set->altermime[0] != '\0' ? BODY_ALTERMIME : BODY_ATTACH;
	return how;
}

/* ------------------------------------------------------------------ the warning */

static void add_line(struct mw_text *out, const char *line)
{
	body_wrap_line(out, line, strlen(line));
}

/* Words that fill lines of 78. */
static void add_wrapped(struct mw_text *out, const char *text)
{
	const char *p = text;

	while (*p != '\0') {
		size_t n = strlen(p), take = n;

		if (n > 78) {
			take = 78;
			while (take > 1 && p[take] != ' ')
				take--;
			if (p[take] != ' ')
				take = strcspn(p, " ");
		}
		body_wrap_line(out, p, take);
		p += take;
		p += *p == ' ';
	}
}

static void warn_spam(struct txn *t, const struct txn_rcpt *r, struct mw_text *out)
{
	struct mw_text line = { 0 };

	mw_text_addf(&line, "WARNING: spam, score=%.3f tests=", r->score_milli / 1000.0);
	for (size_t i = 0; i < t->found.test_count && line.n < 1000; i++)
		mw_text_addf(&line, "%s%.*s=%.3f", i > 0 ? ", " : "", (int)t->found.tests[i].name.n,
			(const char *)t->found.tests[i].name.p, t->found.tests[i].milli / 1000.0);
	add_wrapped(out, line.p != NULL ? line.p : "WARNING: spam");
	out->failed |= line.failed;
	mw_text_fini(&line);
}

static void warn_bad_header(struct txn *t, struct mw_text *out)
{
	struct mw_text line = { 0 };

	mw_text_add(&line, "WARNING: bad headers -");
	for (size_t i = 0; i < t->badh.count && line.n < 1000; i++)
		mw_text_addf(&line, " %s", t->badh.texts[i]);
	if (line.n > 1000)
		strcpy(line.p + 1000 - 3, "...");
	add_wrapped(out, line.p != NULL ? line.p : "WARNING: bad headers");
	out->failed |= line.failed;
	mw_text_fini(&line);
}

static void warn_unchecked(unsigned ccat, struct mw_text *out)
{
	static const char *const lines[] = { "WARNING: NOT CHECKED FOR VIRUSES",
		"WARNING: contains undecipherable part",
		"WARNING: NOT CHECKED FOR VIRUSES (mail bomb?): over limits",
		"WARNING: ambiguous structure, programs may see different contents" };

	add_line(out, lines[ccat % 10 < MW_COUNT(lines) ? ccat % 10 : 0]);
}

static void warn(struct txn *t, const struct txn_rcpt *r, unsigned ccat, struct mw_text *out)
{
	switch (ccat / 10) {
	case MW_CC_VIRUS:
		add_line(out, smtp_arena_printf(&t->arena, "WARNING: contains virus %s",
				      decide_virus_names(t)));
		break;
	case MW_CC_BANNED:
		add_line(out, "WARNING: banning rules detected suspect part(s),");
		add_line(out, "do not open unless you know what you are doing");
		break;
	case MW_CC_UNCHECKED:
		warn_unchecked(ccat, out);
		break;
	case MW_CC_SPAM:
	case MW_CC_SPAMMY:
		warn_spam(t, r, out);
		break;
	case MW_CC_BADH:
		warn_bad_header(t, out);
		break;
	case MW_CC_OVERSIZED:
		add_line(out, "WARNING: oversized");
		break;
	default:
		break;
	}
}

/* A major is told of with its first minor, spam and spammy once. */
static bool was_told(const struct txn_rcpt *r, size_t i)
{
	unsigned major = r->ccats[i] / 10;

	for (size_t k = 0; k < i; k++)
		if (r->ccats[k] / 10 == major ||
			(r->ccats[k] / 10 == MW_CC_SPAM && major == MW_CC_SPAMMY))
			return true;
	return false;
}

/* Every category that is to be defanged is a reason; NULL: no memory. */
static const char *warning(struct txn *t, const struct txn_rcpt *r)
{
	struct mw_text out = { 0 };
	const char *s = NULL;

	for (size_t i = 0; i < r->ccat_count; i++) {
		enum ccat_slot slot = ccat_slot_of(r->ccats[i]);
		const char *text = was_told(r, i) ? NULL : rcpt_text_for(t, r, TEXT_DEFANG, slot);
		enum body_treatment how = BODY_DEFAULT;

		if (text != NULL && (!body_treatment_of(text, &how) || how != BODY_AS_IS))
			warn(t, r, r->ccats[i], &out);
	}
	if (out.n == 0)
		add_line(&out, "The original mail is attached.");
	if (!out.failed)
		s = smtp_arena_copy(&t->arena, out.p, out.n);
	mw_text_fini(&out);
	return s;
}

/* ------------------------------------------------------------------ forms */

static struct body_form *form_like(struct txn *t, unsigned how, const char *said, const char *text)
{
	for (struct body_form *f = t->forms; f != NULL; f = f->next)
		if (f->how == how && strcmp(f->said, said) == 0 && strcmp(f->text, text) == 0)
			return f;
	return NULL;
}

static enum mw_rc make_form(struct txn *t, struct body_form *f)
{
	struct mw_err why = { "" };
	enum mw_rc rc = MW_OK;

	f->view = body_view_of(t, NULL);
	if (f->how == BODY_ATTACH)
		rc = body_wrap(t, f, &why);
	if (rc != MW_OK)
		txn_log(t, MW_ERROR, "body_not_changed", "log_id=%s how=%s why=%s", t->log_id,
			words[f->how].word, mw_quote(why.text));
	return rc;
}

/* The form for r: one that another has already, or a new one. */
static enum mw_rc give_form(struct txn *t, struct txn_rcpt *r, const struct body_origin *origin)
{
	enum body_treatment wanted = treatment_wanted(t, r), how = treatment(t, r, origin);
	const char *text = how == BODY_ATTACH ? warning(t, r) : "";
	struct body_form *f;

	if (how == BODY_AS_IS)
		return MW_OK;
	if (t->client_delivers) { /* it can change fields, and no body */
		txn_log(t, MW_WARN, "body_not_changed",
			"log_id=%s rcpt=%s how=%s why=\"the client delivers by itself\"", t->log_id,
			mw_quote(r->addr), words[how].word);
		return MW_OK;
	}
	if (text == NULL)
		return MW_ERR_NOMEM;
	f = form_like(t, how, words[wanted].said, text);
	if (f == NULL) {
		f = smtp_arena_array(&t->arena, 1, sizeof(*f));
		if (f == NULL)
			return MW_ERR_NOMEM;
		*f = (struct body_form){ .how = how, .said = words[wanted].said, .text = text };
		f->next = t->forms;
		t->forms = f;
		txn_log(t, MW_INFO, "body_changed", "log_id=%s mail_id=%s rcpt=%s how=%s",
			t->log_id, t->mail_id, mw_quote(r->addr), words[how].word);
		if (make_form(t, f) != MW_OK)
			return MW_ERR_NOMEM;
	}
	r->form = f;
	return MW_OK;
}

/* ------------------------------------------------------------------ all */

/* Those whose form could not be made get the mail as it is, as amavisd has it. */
static void settle(struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++) {
		struct txn_rcpt *r = &t->rcpts[i];

		if (r->form != NULL && r->form->failed)
			r->form = NULL;
		if (r->form == NULL)
			continue;
		r->body_modified = r->form->said;
		if (t->policy->resend.count > 0)
			r->route = &t->policy->resend;
	}
}

static bool needs_program(const struct body_form *f)
{
	return (f->how == BODY_ALTERMIME || f->how == BODY_DISCLAIMER) && f->made == NULL &&
	       !f->failed;
}

/* One program at a time for a mail. */
static enum mw_rc next_program(struct txn *t);

static void program_done(struct txn *t, struct body_form *f, const char *why)
{
	if (why != NULL) {
		f->failed = true;
		txn_log(t, MW_ERROR, "body_not_changed", "log_id=%s mail_id=%s how=%s why=%s",
			t->log_id, t->mail_id, words[f->how].word, mw_quote(why));
	}
	if (next_program(t) != MW_AGAIN)
		t->formed(t, MW_OK);
}

static enum mw_rc next_program(struct txn *t)
{
	for (struct body_form *f = t->forms; f != NULL; f = f->next) {
		const char *why;

		if (!needs_program(f))
			continue;
		why = body_program(t, f, f->how == BODY_DISCLAIMER ? t->disclaimer_option : NULL,
			program_done);
		if (why == NULL)
			return MW_AGAIN;
		f->failed = true;
		txn_log(t, MW_ERROR, "body_not_changed", "log_id=%s mail_id=%s how=%s why=%s",
			t->log_id, t->mail_id, words[f->how].word, mw_quote(why));
	}
	settle(t);
	return MW_OK;
}

enum mw_rc body_plan(struct txn *t, void (*ready)(struct txn *t, enum mw_rc rc))
{
	struct body_origin origin = { false, "" };
	enum mw_rc rc = MW_OK;

	if (!rcpt_texts_asked(t, TEXT_DEFANG) && !t->policy->defang_all)
		return MW_OK;
	if (t->policy->allow_disclaimers)
		body_origin_find(t, &origin);
	t->disclaimer_option = origin.option;
	t->formed = ready;
	for (size_t i = 0; i < t->rcpt_count && rc == MW_OK; i++)
		if (t->rcpts[i].code == 0)
			rc = give_form(t, &t->rcpts[i], &origin);
	return rc == MW_OK ? next_program(t) : rc;
}

void body_forget(struct txn *t)
{
	body_cancel(t);
	for (struct body_form *f = t->forms; f != NULL; f = f->next) {
		mw_header_fini(&f->own);
		smtp_body_unref(&f->made);
	}
	t->forms = NULL;
}
