/*
 * Subject tags: which, with what in their macros, and how they stand in front of a subject. Words
 * that are encoded already stay as they are (RFC 2047); only a subject that has the very tag within
 * an encoded word is written anew.
 */
#include <stdio.h>

#include "edit_priv.h"
#include "subject.h"
#include "utf8.h"

#define WORD_MAX 60 /* octets of an encoded word: with "Subject: " a line of RFC 2047's 76 */
#define WORD_BEGIN "=?UTF-8?Q?"
#define WORD_END "?="
#define REMOVED_MIN                                                                                \
	3 /* octets of a tag that is looked for in old subjects: amavisd's precaution              \
	   */

/* ------------------------------------------------------------------ which tag */

const char *edit_subject_raw(const struct txn *t, const struct txn_rcpt *r)
{
	const char *tag;

	(void)t;
	for (size_t i = 0; i < r->ccat_count; i++)
		for (enum ccat_slot s = ccat_slot_of(r->ccats[i]);
			s != CCAT_CATCHALL && s != CCAT_SLOTS; s = ccat_above(s))
			if ((tag = r->subject_tags[s]) != NULL && *tag != '\0')
				return tag;
	tag = r->subject_tags[CCAT_CATCHALL];
	return tag != NULL ? tag : "";
}

static size_t utf8_char(const char *s, size_t n)
{
	return mw_utf8_length((const unsigned char *)s, n);
}

enum macro { SCORE, REQD, YESNOCAPS, YESNO, HOSTNAME, DATE, U, LOGID, MAILID, SUBJPREFIX, MACROS };

static void add_macro(struct txn *t, const struct txn_rcpt *r, enum macro m, struct mw_text *out)
{
	time_t at = (time_t)(t->time_ms / 1000);
	char utc[32];
	struct tm tm;

	switch (m) {
	case SCORE:
		edit_add_score(out, r->has_score ? r->score_milli : 0);
		break;
	case REQD:
		if (r->tag2_milli == RCPT_NO_LEVEL)
			mw_text_add(out, "-");
		else
			edit_add_score(out, r->tag2_milli);
		break;
	case YESNOCAPS:
		mw_text_add(out, r->tag2 ? "YES" : "NO");
		break;
	case YESNO:
		mw_text_add(out, r->tag2 ? "Yes" : "No");
		break;
	case HOSTNAME:
		mw_text_add(out, t->set->myhostname);
		break;
	case DATE:
		mw_text_add(out, edit_date(at));
		break;
	case U:
		gmtime_r(&at, &tm);
		strftime(utc, sizeof(utc), "%Y%m%dT%H%M%SZ", &tm);
		mw_text_add(out, utc);
		break;
	case LOGID:
		mw_text_add(out, t->log_id);
		break;
	case MAILID:
		mw_text_add(out, t->mail_id);
		break;
	case SUBJPREFIX: /* spamd does not tell it */
	case MACROS:
		break;
	}
}

/* Its length; 0: no macro is there. */
static size_t macro_at(const char *s, enum macro *m_r)
{
	static const char *const names[MACROS] = { "_SCORE_", "_REQD_", "_YESNOCAPS_", "_YESNO_",
		"_HOSTNAME_", "_DATE_", "_U_", "_LOGID_", "_MAILID_", "_SUBJPREFIX_" };

	for (unsigned i = 0; i < MACROS; i++)
		if (strncmp(s, names[i], strlen(names[i])) == 0) {
			*m_r = (enum macro)i;
			return strlen(names[i]);
		}
	return 0;
}

static void expand(struct txn *t, const struct txn_rcpt *r, const char *raw, struct mw_text *out)
{
	size_t left = strlen(raw), n;

	for (enum macro m; left > 0 && out->n < EDIT_SUBJECT_TAG_MAX; raw += n, left -= n) {
		n = *raw == '_' ? macro_at(raw, &m) : 0;
		if (n > 0) {
			add_macro(t, r, m, out);
			continue;
		}
		n = utf8_char(raw, left);
		if (n == 0 || (unsigned char)*raw < 0x20 || *raw == 0x7f)
			mw_text_add(out, n == 0 ? "?" : " ");
		else
			mw_text_add_octets(out, raw, n);
		n = n == 0 ? 1 : n;
	}
}

const char *edit_subject_tag(struct txn *t, const struct txn_rcpt *r)
{
	const char *raw = r->is_local ? edit_subject_raw(t, r) : "";
	struct mw_text out = { 0 };
	const char *tag;

	if (*raw == '\0')
		return "";
	expand(t, r, raw, &out);
	tag = out.failed ? NULL : smtp_arena_copy(&t->arena, out.p != NULL ? out.p : "", out.n);
	mw_text_fini(&out);
	return tag;
}

/* ------------------------------------------------------------------ encoded words */

static bool is_ascii(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] >= 0x80)
			return false;
	return true;
}

/* One character, as it stands in a word (RFC 2047 section 4.2). Returns its length. */
static size_t encode_char(const char *s, size_t n, char to[13])
{
	size_t len = 0;

	if (n == 1 && *s > ' ' && *s < 0x7f && strchr("=?_", *s) == NULL)
		to[len++] = *s;
	else if (n == 1 && *s == ' ')
		to[len++] = '_';
	else
		for (size_t i = 0; i < n; i++)
			len += (size_t)snprintf(to + len, 4, "=%02X", (unsigned char)s[i]);
	return len;
}

/* Words with blanks between them, whole characters in each (RFC 2047 section 5); s is UTF-8. */
static void add_words(struct mw_text *out, const char *s, size_t n)
{
	size_t word = 0; /* octets of the one that is being written */

	for (size_t i = 0, step; i < n; i += step) {
		char c[13];
		size_t len;

		step = utf8_char(s + i, n - i);
		step = step == 0 ? 1 : step;
		len = encode_char(s + i, step, c);
		if (word > 0 && word + len + sizeof(WORD_END) - 1 > WORD_MAX) {
			mw_text_add(out, WORD_END " ");
			word = 0;
		}
		if (word == 0) {
			mw_text_add(out, WORD_BEGIN);
			word = sizeof(WORD_BEGIN) - 1;
		}
		mw_text_add_octets(out, c, len);
		word += len;
	}
	if (word > 0)
		mw_text_add(out, WORD_END);
}

/* The tag with the blank that parts it from what follows. Blanks between two encoded words are
 * nothing, those next to other text are (section 6.2). */
static void add_tag(struct mw_text *out, const char *tag, const char *next)
{
	size_t n = strlen(tag);
	bool before_word = strncmp(next, "=?", 2) == 0, blank = n > 0 && tag[n - 1] == ' ';

	if (is_ascii(tag, n) && (blank || !before_word || n == 0)) {
		mw_text_add(out, tag);
		return;
	}
	if (blank && !before_word)
		n--; /* the one that stands behind the word */
	add_words(out, tag, n);
	if (*next != '\0')
		mw_text_add(out, " ");
}

/* ------------------------------------------------------------------ the old subject */

/* Unfolded, or not; what else would end a line is a blank. */
static void take_value(struct mw_octets raw, bool folded, struct mw_text *out)
{
	bool cut = raw.n > EDIT_SUBJECT_MAX;
	size_t n = cut ? EDIT_SUBJECT_MAX : raw.n;

	while (cut && n > 0 && (raw.p[n] & 0xc0) == 0x80)
		n--;
	for (size_t i = 0; i < n;) {
		size_t from = i;

		while (i < n && raw.p[i] != '\r' && raw.p[i] != '\n' && raw.p[i] != '\0')
			i++;
		mw_text_add_octets(out, raw.p + from, i - from);
		if (i + 1 < n && raw.p[i] == '\r' && raw.p[i + 1] == '\n') {
			mw_text_add(out, folded ? "\r\n" : "");
			i += 2;
		} else if (i < n) {
			mw_text_add(out, " ");
			i++;
		}
	}
	if (cut)
		mw_text_add(out, "...");
}

static void remove_all(struct mw_text *s, const char *tag)
{
	size_t n = strlen(tag);
	char *from = s->p, *to = s->p, *at;

	if (s->n == 0)
		return;
	while ((at = strstr(from, tag)) != NULL) {
		memmove(to, from, (size_t)(at - from));
		to += at - from;
		from = at + n;
	}
	memmove(to, from, (size_t)(s->p + s->n - from) + 1);
	s->n -= (size_t)(from - to);
}

static bool is_clean_utf8(const struct mw_text *s)
{
	for (size_t i = 0, step; i < s->n; i += step) {
		step = utf8_char(s->p + i, s->n - i);
		if (step == 0 || (unsigned char)s->p[i] < 0x20 || s->p[i] == 0x7f)
			return false;
	}
	return true;
}

/* The tag within encoded words: then they are decoded, and what is left is encoded again. */
static void remove_encoded(struct mw_text *old, const char *tag)
{
	struct mw_text plain = { 0 };

	if (old->n == 0 || strstr(old->p, "=?") == NULL)
		return;
	mw_subject_decode(mw_octets_of(old->p, old->n), &plain);
	if (!plain.failed && plain.n > 0 && is_clean_utf8(&plain) && strstr(plain.p, tag) != NULL) {
		remove_all(&plain, tag);
		mw_text_clear(old);
		if (is_ascii(plain.p, plain.n) && strstr(plain.p, "=?") == NULL)
			mw_text_add(old, plain.p);
		else
			add_words(old, plain.p, plain.n);
	}
	mw_text_fini(&plain);
}

/* Without the tag. A short one that has none keeps its folds, others get new ones. */
static void take_old(struct mw_octets raw, const char *tag, size_t room, struct mw_text *out)
{
	bool has_tag = false;

	take_value(raw, false, out);
	if (strlen(tag) >= REMOVED_MIN && out->n > 0) {
		has_tag = strstr(out->p, tag) != NULL || strstr(out->p, "=?") != NULL;
		remove_all(out, tag);
		remove_encoded(out, tag);
	}
	if (has_tag || raw.n > room)
		return;
	mw_text_clear(out);
	take_value(raw, true, out);
}

void edit_add_subject(const struct txn *t, const char *tag, const struct mw_header *h,
	const struct mw_field *f, struct mw_text *out)
{
	const char *prefix = t->hooked != NULL && t->hooked->subject_prefix != NULL
				     ? t->hooked->subject_prefix
				     : "";
	struct mw_text old = { 0 };
	const char *begin = "";
	size_t from = out->n, used = strlen("Subject: ") + strlen(tag) + strlen(prefix);

	if (f != NULL)
		take_old(mw_field_value(h, f), tag, used < EDIT_FOLD_AT ? EDIT_FOLD_AT - used : 0,
			&old);
	if (old.n > 0)
		begin = old.p + strspn(old.p, " \t");
	if (f != NULL)
		mw_text_add_octets(out, h->section.p + f->at, f->name_len);
	else
		mw_text_add(out, "Subject");
	mw_text_add(out, ": ");
	add_tag(out, tag, *prefix != '\0' ? prefix : begin);
	mw_text_add(out, prefix);
	mw_text_add(out, begin);
	/* Nothing at its end that could stand there as a line of its own. */
	while (!out->failed && strchr(" \t\r\n", out->p[out->n - 1]) != NULL)
		out->p[--out->n] = '\0';
	if (old.failed)
		out->failed = true;
	mw_text_fini(&old);
	edit_fold_words(out, from);
}
