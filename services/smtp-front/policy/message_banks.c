#include "message_banks.h"

#include "log.h"
#include "lookup_keys.h"
#include "mail_policy.h"

/* ------------------------------------------------------------------ banks to be loaded */

/* Each once, in the order in which they were named. One more than a policy takes is enough for the
 * load to be refused. */
struct bank_list {
	struct txn *t;
	const char *map, *approved;
	enum mail_bank_rule rule;
	size_t count;
	const char *name[POLICY_BANKS_MAX + 1];
	bool failed;
};

static bool has(const struct bank_list *l, struct mw_octets bank)
{
	for (size_t i = 0; i < l->count; i++)
		if (strlen(l->name[i]) == bank.n && memcmp(l->name[i], bank.p, bank.n) == 0)
			return true;
	return false;
}

static void add_bank(struct bank_list *l, struct mw_octets bank)
{
	char shown[128];

	/* Names in the settings were checked at load: this one is a function's, has $n in it, or
	 * came with a file that changed. */
	if (!policy_has_bank(l->t->set, (const char *)bank.p, bank.n)) {
		txn_log(l->t, MW_WARN, "unknown_bank", "log_id=%s map=%s bank=%s", l->t->log_id,
			l->map, mw_quote_octets(shown, sizeof(shown), bank.p, bank.n));
		return;
	}
	if (has(l, bank) || l->count == MW_COUNT(l->name))
		return;
	l->name[l->count] = smtp_arena_copy(&l->t->arena, bank.p, bank.n);
	if (l->name[l->count] == NULL)
		l->failed = true;
	else
		l->count++;
}

static void add_value(struct bank_list *l, const char *value)
{
	const char *rest = policy_banks_meant(l->t->set, value, l->approved);
	struct mw_octets bank;

	while (rest != NULL && (bank = policy_next_bank(&rest)).n > 0)
		add_bank(l, bank);
}

static bool load(const struct bank_list *l)
{
	if (l->failed)
		txn_log(l->t, MW_ERROR, "policy_bank_failed", "log_id=%s why=\"out of memory\"",
			l->t->log_id);
	for (size_t i = 0; i < l->count && !l->failed; i++)
		if (!mail_policy_load(l->t, l->rule, l->name[i]))
			return false;
	return !l->failed;
}

/* ------------------------------------------------------------------ signers and authors */

/* Domains of signatures, each once. */
struct signers {
	size_t count;
	bool more; /* than there is room for */
	char domain[MESSAGE_SIGNERS_MAX][MW_KEYS_DOMAIN_MAX];
};

static void add_signer(struct signers *s, struct mw_octets domain)
{
	for (size_t i = 0; i < s->count; i++)
		if (mw_octets_ieq(domain, s->domain[i]))
			return;
	if (s->count == MESSAGE_SIGNERS_MAX)
		s->more = true;
	else if (domain.n > 0 && memchr(domain.p, '\0', domain.n) == NULL &&
		 mw_strncpy(s->domain[s->count], sizeof(s->domain[0]), (const char *)domain.p,
			 domain.n))
		s->count++;
}

/* What the tables say of one author and one signature: to the address where its own domain signed,
 * and to both together. True as soon as each returns true for a text. */
static bool ask_pair(const struct mw_lookup *l, const char *author, const char *signer,
	bool (*each)(void *arg, const char *value), void *arg)
{
	struct mw_lookup_result r;

	if (mw_keys_same_domain(author, signer) && mw_lookup_signed(l, author, NULL, &r) &&
		r.value.type == MW_VALUE_TEXT && each(arg, r.value.text))
		return true;
	return mw_lookup_signed(l, author, signer, &r) && r.value.type == MW_VALUE_TEXT &&
	       each(arg, r.value.text);
}

/* Signature by signature, and for each author by author, as amavisd does. */
static bool ask_all(const struct txn *t, const struct signers *s,
	bool (*each)(void *arg, const char *value), void *arg)
{
	const struct mw_list *authors = &t->facts.author;

	for (size_t i = 0; i < s->count; i++)
		for (size_t a = 0; a < authors->count && a < MESSAGE_AUTHORS_MAX; a++) {
			struct mw_octets author = authors->items[a];

			/* A C string since facts made it, unless there is a NUL within quotes. */
			if (memchr(author.p, '\0', author.n) == NULL &&
				ask_pair(t->policy->author_banks, (const char *)author.p,
					s->domain[i], each, arg))
				return true;
		}
	return false;
}

/*
 * A mail has one From (RFC 5322 section 3.6). Of two, a signature covers the lower one, and the
 * reader is shown the upper: whose word would it be?
 */
static bool has_one_from(const struct txn *t)
{
	const struct mw_field *from = mw_header_first(&t->header, MW_H_FROM);

	return from != NULL && from == mw_header_last(&t->header, MW_H_FROM);
}

/* ------------------------------------------------------------------ what the header claims */

#define D_OCTETS_MAX 1000 /* of a d= that is read: a domain with any folds in it */

/* The value of a tag d= at the begin of a tag, without the blanks that may stand within it. */
static void take_tag(struct signers *s, const unsigned char *p, const unsigned char *end)
{
	static const char blanks[] = " \t\r\n";
	char d[D_OCTETS_MAX];
	size_t n = 0;

	while (p < end && *p != '\0' && strchr(blanks, *p) != NULL)
		p++;
	if (p == end || *p++ != 'd')
		return;
	while (p < end && *p != '\0' && strchr(blanks, *p) != NULL)
		p++;
	if (p == end || *p++ != '=')
		return;
	for (; p < end && n < sizeof(d); p++)
		if (*p == '\0' || strchr(blanks, *p) == NULL)
			d[n++] = (char)*p;
	add_signer(s, mw_octets_of(d, n));
}

static void take_field(struct signers *s, struct mw_octets value)
{
	const unsigned char *p = value.p, *end = value.p + value.n;

	while (p < end && !s->more) {
		const unsigned char *stop = memchr(p, ';', (size_t)(end - p));

		if (stop == NULL)
			stop = end;
		take_tag(s, p, stop);
		p = stop < end ? stop + 1 : end;
	}
}

static bool may_mean_banks(void *arg, const char *value)
{
	const struct txn *t = arg;

	return policy_banks_meant(t->set, value, BANK_OF_AUTHORS) != NULL;
}

bool message_banks_wait_for_auth(const struct txn *t)
{
	const struct mw_header *h = &t->header;
	struct signers s;

	if (mw_lookup_is_empty(t->policy->author_banks))
		return false;
	s.count = 0;
	s.more = false;
	if (!has_one_from(t))
		return false;
	for (size_t i = 0; i < h->count && !s.more; i++)
		if (h->fields[i].id == MW_H_DKIM_SIGNATURE)
			take_field(&s, mw_field_value(h, &h->fields[i]));
	return s.more || ask_all(t, &s, may_mean_banks, (void *)(uintptr_t)t);
}

/* ------------------------------------------------------------------ what was found */

/* A signer that is testing asks for its signature to count as none (RFC 6376 section 3.6.1, t=y).
 */
static bool counts(const struct policy *p, const struct finding_signature *s)
{
	bool rsa = s->a.n >= 3 && memcmp(s->a.p, "rsa", 3) == 0;

	return mw_octets_ieq(s->result, "pass") && !s->expired && !s->testing &&
	       (!rsa || s->bits >= (int64_t)p->dkim_minimum_bits);
}

static bool take_value(void *arg, const char *value)
{
	add_value(arg, value);
	return false;
}

bool message_banks_by_author(struct txn *t)
{
	struct bank_list l = { .t = t,
		.map = "author_to_policy_bank_maps",
		.rule = MAIL_BANK_OF_AUTHOR,
		.approved = BANK_OF_AUTHORS };
	struct signers s;

	s.count = 0;
	s.more = false;
	for (size_t i = 0; i < t->found.signature_count; i++)
		if (counts(t->policy, &t->found.signatures[i]))
			add_signer(&s, t->found.signatures[i].d);
	if (has_one_from(t))
		ask_all(t, &s, take_value, &l);
	return load(&l);
}

bool message_banks_by_virus(struct txn *t, bool *loaded_r)
{
	struct bank_list l = { .t = t,
		.map = "virus_name_to_policy_bank_maps",
		.rule = MAIL_BANK_OF_VIRUS,
		.approved = BANK_OF_VIRUSES };
	const struct policy *before = t->policy;
	bool ok;

	*loaded_r = false;
	if (t->found.virus_count == 0 || mw_lookup_is_empty(before->virus_banks))
		return true;
	for (size_t i = 0; i < t->found.virus_count; i++) {
		struct mw_octets name = t->found.viruses[i].name;
		struct mw_lookup_result r;

		/* A C string since it was kept; one without a name has the empty one. */
		if (name.n > 0 && memchr(name.p, '\0', name.n) != NULL)
			continue;
		if (mw_lookup(before->virus_banks, name.n > 0 ? (const char *)name.p : "", &r) &&
			r.value.type == MW_VALUE_TEXT)
			add_value(&l, r.value.text);
	}
	ok = load(&l);
	*loaded_r = t->policy != before;
	return ok;
}
