#include "address_change.h"

#include "idna.h"
#include "lookup_keys.h"
#include "policy/rcpt_texts.h"
#include "text.h"
#include "utf8.h"

/* ------------------------------------------------------------------ addresses */

/* A local part as SMTP writes it: in quotes when the address came so (RFC 5321 section 4.1.2). */
static void add_local(struct mw_text *out, const char *local, size_t n, bool quoted)
{
	if (!quoted) {
		mw_text_add_octets(out, local, n);
		return;
	}
	mw_text_add(out, "\"");
	for (size_t i = 0; i < n; i++) {
		if (local[i] == '"' || local[i] == '\\')
			mw_text_add(out, "\\");
		mw_text_add_octets(out, &local[i], 1);
	}
	mw_text_add(out, "\"");
}

/* local is written already; NULL when the whole is too long for an address. */
static char *finish(
	struct smtp_arena *a, struct mw_text *out, const char *domain, const char **why_r)
{
	char *s = NULL;

	*why_r = NULL;
	if (out->n > ADDRESS_LOCAL_MAX)
		*why_r = "the local part would be longer than 64 octets";
	mw_text_add(out, domain);
	if (*why_r == NULL && out->n > ADDRESS_MAX)
		*why_r = "the address would be longer than 254 octets";
	if (*why_r == NULL && !out->failed)
		s = smtp_arena_copy(a, out->p, out->n);
	if (s == NULL && *why_r == NULL)
		*why_r = "out of memory";
	mw_text_fini(out);
	return s;
}

char *address_extend(struct smtp_arena *a, const char *addr, const char *extension,
	const char *delimiters, bool replace, const char **why_r)
{
	struct mw_address_parts was;
	struct mw_text local = { 0 }, out = { 0 };

	if (!mw_address_split(addr, delimiters, &was) || was.local_len == 0) {
		*why_r = "the address has no local part, or one that is too long";
		return NULL;
	}
	mw_text_add_octets(&local, was.local, replace ? was.user : was.local_len);
	mw_text_add_octets(&local, delimiters, 1);
	mw_text_add(&local, extension);
	add_local(&out, local.p != NULL ? local.p : "", local.n, was.quoted);
	out.failed |= local.failed;
	mw_text_fini(&local);
	return finish(a, &out, was.domain, why_r);
}

char *address_rewrite(struct smtp_arena *a, const char *addr, const char *to,
	const char *delimiters, const char **why_r)
{
	struct mw_address_parts was, is;
	const struct mw_address_parts *user = &is;
	struct mw_text local = { 0 }, out = { 0 };

	*why_r = "it is no address";
	if (!rcpt_text_is_address(to) || !mw_address_split(addr, delimiters, &was) ||
		!mw_address_split(to, delimiters, &is))
		return NULL;
	if (is.local_len == 0)
		user = &was;
	if (user->local_len == 0)
		return NULL;
	mw_text_add_octets(&local, user->local, user->user);
	if (user->user == user->local_len)
		user = &was;
	mw_text_add_octets(&local, user->local + user->user, user->local_len - user->user);
	add_local(&out, local.p != NULL ? local.p : "", local.n, was.quoted || is.quoted);
	out.failed |= local.failed;
	mw_text_fini(&local);
	return finish(a, &out, is.domain[0] == '@' && is.domain[1] != '\0' ? is.domain : was.domain,
		why_r);
}

/* ------------------------------------------------------------------ ORCPT */

/* One character of UTF-8 at p: its octets; 1 for what is none, as Latin-1. */
static size_t character(const unsigned char *p, uint32_t *point_r)
{
	size_t n = mw_utf8_read(p, strnlen((const char *)p, MW_UTF8_MOST), point_r);

	if (n == 0)
		*point_r = *p;
	return n > 0 ? n : 1;
}

char *address_orcpt(struct smtp_arena *a, const char *addr)
{
	bool ascii = mw_is_ascii(addr, strlen(addr));
	struct mw_text out = { 0 };
	char *s = NULL;

	mw_text_add(&out, ascii ? "rfc822;" : "utf-8;");
	for (const unsigned char *p = (const unsigned char *)addr; *p != '\0';) {
		uint32_t point;
		size_t n = character(p, &point);

		if (n == 1 && *p > 0x20 && *p < 0x7f && *p != '+' && *p != '=' &&
			(ascii || *p != '\\'))
			mw_text_add_octets(&out, p, 1);
		else if (ascii)
			mw_text_addf(&out, "+%02X", *p);
		else
			mw_text_addf(&out, "\\x{%02X}", point);
		p += n;
	}
	if (!out.failed && out.n <= SMTP_ORCPT_MAX)
		s = smtp_arena_copy(a, out.p, out.n);
	mw_text_fini(&out);
	return s;
}

/* ------------------------------------------------------------------ all recipients */

static void left_out(const struct txn *t, const struct txn_rcpt *r, const char *what,
	const char *to, const char *why)
{
	txn_log(t, MW_WARN, "address_not_changed", "log_id=%s rcpt=%s setting=%s value=%s why=%s",
		t->log_id, mw_quote(r->addr), what, mw_quote(to), mw_quote(why));
}

static const char *rewritten(struct txn *t, const struct txn_rcpt *r, const char *addr)
{
	const char *to = rcpt_texts_asked(t, TEXT_REWRITE) ? rcpt_text(t, r, TEXT_REWRITE) : NULL;
	const char *why, *made;

	if (to == NULL || *to == '\0')
		return addr;
	made = address_rewrite(&t->arena, addr, to, t->policy->delimiters, &why);
	if (made != NULL)
		return made;
	left_out(t, r, "addr_rewrite_maps_by_ccat", to, why);
	return addr;
}

static const char *extended(struct txn *t, struct txn_rcpt *r, const char *addr)
{
	const char *delimiters = t->policy->delimiters, *extension, *made,
		   *why = "it cannot stand in a local part";

	if (delimiters == NULL || *delimiters == '\0' || !rcpt_texts_asked(t, TEXT_EXTENSION))
		return addr;
	extension = rcpt_text(t, r, TEXT_EXTENSION);
	if (extension == NULL || *extension == '\0')
		return addr;
	made = rcpt_text_is_extension(extension)
		       ? address_extend(&t->arena, addr, extension, delimiters,
				 t->policy->replaces_extension, &why)
		       : NULL;
	if (made == NULL) {
		left_out(t, r, "addr_extension_maps_by_ccat", extension, why);
		return addr;
	}
	r->tagged = true;
	return made;
}

/* RFC 3461 section 5.2.1: who changes an address and knows no ORCPT adds the one it was given. */
static void change(struct txn *t, struct txn_rcpt *r)
{
	const char *to = extended(t, r, rewritten(t, r, r->addr));

	if (strcmp(to, r->addr) == 0)
		return;
	r->deliver_to = to;
	if (r->params.orcpt == NULL && !r->added)
		r->params.orcpt = address_orcpt(&t->arena, txn_rcpt_given(r));
	txn_log(t, MW_INFO, "address_changed", "log_id=%s rcpt=%s to=%s", t->log_id,
		mw_quote(r->addr), mw_quote(to));
}

void address_changes(struct txn *t)
{
	if (!rcpt_texts_asked(t, TEXT_EXTENSION) && !rcpt_texts_asked(t, TEXT_REWRITE))
		return;
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].code == 0 && t->rcpts[i].is_local)
			change(t, &t->rcpts[i]);
}
