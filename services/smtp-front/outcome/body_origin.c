#include "body_origin.h"

static bool is_option(const char *s)
{
	/* It becomes part of a path: no slash, and not the folder above. */
	return strlen(s) <= BODY_OPTION_MAX && s[0] != '.' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		       strlen(s);
}

struct search {
	struct txn *t;
	struct body_origin *o;
	bool found; /* an option */
};

static void look_at(struct search *s, struct mw_octets address)
{
	struct mw_lookup_result r;
	struct txn *t = s->t;
	const char *addr = address.n > 0 ? smtp_arena_copy(&t->arena, address.p, address.n) : NULL;

	if (addr == NULL || s->found || !mw_lookup_bool(t->policy->local_domains, addr, false))
		return;
	s->o->is_local = true;
	if (!mw_lookup(t->policy->disclaimer_options, addr, &r) || r.value.type != MW_VALUE_TEXT)
		return;
	s->found = true;
	if (!is_option(r.value.text)) {
		txn_log(t, MW_WARN, "bad_disclaimer_option", "log_id=%s address=%s value=%s",
			t->log_id, mw_quote(addr), mw_quote(r.value.text));
		return;
	}
	s->o->option = smtp_arena_copy(&t->arena, r.value.text, strlen(r.value.text));
	if (s->o->option == NULL)
		s->o->option = "";
}

/* Those of the one who sent it on, block by block as they stand (RFC 5322 section 3.6.6). */
static void look_at_resent(struct search *s)
{
	struct mw_octets found[FACTS_ADDRESSES_MAX];
	size_t left = FACTS_ADDRESSES_MAX;

	for (size_t i = 0; i < s->t->header.count && left > 0 && !s->found; i++) {
		const struct mw_field *f = &s->t->header.fields[i];
		struct mw_octets name = mw_field_name(&s->t->header, f);
		size_t n;

		if (!mw_octets_ieq(name, "Resent-From") && !mw_octets_ieq(name, "Resent-Sender"))
			continue;
		n = facts_addresses(mw_field_value(&s->t->header, f), &s->t->arena, found, left);
		left -= n;
		for (size_t k = 0; k < n; k++)
			look_at(s, found[k]);
	}
}

void body_origin_find(struct txn *t, struct body_origin *o_r)
{
	struct search s = { .t = t, .o = o_r };

	*o_r = (struct body_origin){ .option = "" };
	for (size_t i = 0; i < t->facts.author.count; i++)
		look_at(&s, t->facts.author.items[i]);
	look_at_resent(&s);
	look_at(&s, t->facts.sender);
	look_at(&s, mw_octets_of_text(t->sender));
}
