/* Which line of the settings, which entry of a table or database says so. */
#include <stdio.h>
#include <stdlib.h>

#include "explain.h"
#include "lookup_keys.h"
#include "policy/dnsl.h"
#include "policy/policy_origin.h"

static const char *place(struct explain *x, unsigned line)
{
	char where[1024];

	return explain_text(x, "%s", mw_conf_where(x->conf, line, where, sizeof(where)));
}

static unsigned bank_line(const struct explain *x, const char *bank)
{
	return policy_origin_of_bank(x->set, bank);
}

const char *explain_origin(
	struct explain *x, const struct policy *p, const char *setting, const char **bank_r)
{
	char buf[POLICY_ORIGIN_MAX];

	return explain_text(x, "%s", policy_origin(x->set, p, setting, bank_r, buf));
}

static const char *kept(struct explain *x, struct mw_text *text)
{
	const char *s = explain_text(x, "%s", text->p != NULL ? text->p : "");

	mw_text_fini(text);
	return s;
}

static const char *entry(struct explain *x, const struct mw_lookup_result *r)
{
	struct mw_text text = { 0 };

	policy_origin_entry(&text, r);
	return kept(x, &text);
}

/* ------------------------------------------------------------------ banks */

static void why_socket(struct explain *x, struct explain_bank *b)
{
	const struct mw_val *table = mw_conf_val(x->conf, "interface_policy");

	for (size_t i = 0; i < table->count; i++)
		if (policy_socket_is(&x->socket, table->keys[i]) &&
			policy_names_bank(mw_val_text(&table->vals[i], ""), b->name)) {
			b->why = explain_text(x, "interface_policy[\"%s\"]", table->keys[i]);
			b->origin = place(x, table->vals[i].line);
			return;
		}
}

static void why_client(struct explain *x, struct explain_bank *b)
{
	const struct txn *t = x->txn;
	const char *ip = t->has_xforward ? t->xforward.addr : NULL, *banks;
	struct dnsl_ask *lists = NULL;
	struct mw_lookup_result r;
	struct mw_ip addr;

	/* What DNS lists said a moment ago is kept; what is not is unknown, as it was for the mail.
	 */
	if (x->socket_policy->dns_lists > 0 && ip != NULL && mw_ip_parse(ip, &addr))
		lists = dnsl_ask_new(x->front->dnsl, &addr);
	banks = policy_banks_of_client(
		x->set, x->socket_policy, ip, lists != NULL ? dnsl_ask_source(lists) : NULL, &r);
	dnsl_ask_destroy(&lists);
	if (banks == NULL)
		return;
	b->why = explain_text(x, "%s: client %s, %s",
		x->socket_policy->client_count > 0 ? "client_ipaddr_policy" : "mynetworks",
		ip != NULL ? ip : "unknown", entry(x, &r));
	b->origin = place(x, r.line);
}

static void why_user(struct explain *x, struct explain_bank *b)
{
	const struct policy *p = x->txn->policy;
	struct mw_lookup_result r;

	while (p->below != NULL && strcmp(p->bank, b->name) != 0)
		p = p->below;
	/* As it was asked before the bank lay on it. */
	if (p->below == NULL || !mw_lookup(p->below->local_domains, x->txn->sender, &r))
		return;
	b->why = explain_text(
		x, "originating, and the sender is in local_domains_maps: %s", entry(x, &r));
	b->origin = place(x, r.line);
}

static void why_asked(struct explain *x, struct explain_bank *b)
{
	b->why = "the client asks for it";
	b->origin = place(x, bank_line(x, b->name));
}

/* The entry for that author, signed by signer (NULL: by the author's own domain), names the bank.
 */
static bool author_names(struct explain *x, const struct policy *p, const char *author,
	const char *signer, const char *bank, struct mw_lookup_result *r)
{
	const char *banks;

	if (!mw_lookup_signed(p->author_banks, author, signer, r) || r->value.type != MW_VALUE_TEXT)
		return false;
	banks = policy_banks_meant(x->set, r->value.text, BANK_OF_AUTHORS);
	return banks != NULL && policy_names_bank(banks, bank);
}

/* Of all signatures the first that names the bank. */
static void why_author(struct explain *x, struct explain_bank *b)
{
	const struct txn *t = x->txn;
	const struct policy *p = t->policy;
	struct mw_lookup_result r;

	b->why = "author_to_policy_bank_maps";
	while (p->below != NULL && t->bank_rules[p->bank_count - 1] == MAIL_BANK_OF_AUTHOR)
		p = p->below; /* as they were asked */
	for (size_t i = 0; i < x->ask->signer_count; i++) {
		const char *signer = x->ask->signer[i], *author;

		if (t->facts.author.count == 0)
			return;
		author = (const char *)t->facts.author.items[0].p;
		if (!(mw_keys_same_domain(author, signer) &&
			    author_names(x, p, author, NULL, b->name, &r)) &&
			!author_names(x, p, author, signer, b->name, &r))
			continue;
		b->why = explain_text(x, "author_to_policy_bank_maps: %s, signed by %s: %s", author,
			signer, entry(x, &r));
		b->origin = place(x, r.line);
		return;
	}
}

static void why_message(struct explain *x, struct explain_bank *b)
{
	b->why = "what the message is";
	b->origin = place(x, bank_line(x, b->name));
}

static void why_hook(struct explain *x, struct explain_bank *b)
{
	const char *bank;

	b->why = "hooks.new";
	b->origin = explain_origin(x, x->set->base, "hooks.new", &bank);
}

bool explain_banks(struct explain *x)
{
	static void (*const whys[])(struct explain *, struct explain_bank *) = {
		[MAIL_BANK_OF_SOCKET] = why_socket,
		[MAIL_BANK_OF_CLIENT] = why_client,
		[MAIL_BANK_ASKED] = why_asked,
		[MAIL_BANK_OF_USER] = why_user,
		[MAIL_BANK_OF_AUTHOR] = why_author,
		[MAIL_BANK_OF_VIRUS] = why_message,
		[MAIL_BANK_OF_HOOK] = why_hook,
	};
	const struct txn *t = x->txn;

	for (size_t i = 0; i < t->policy->bank_count; i++) {
		struct explain_bank *b = &x->banks[x->bank_count++];

		*b = (struct explain_bank){ .name = t->policy->banks[i], .why = "", .origin = "" };
		whys[t->bank_rules[i]](x, b);
	}
	return true;
}

/* ------------------------------------------------------------------ settings */

static const char *printed(
	struct explain *x, const struct mw_conf *conf, const struct mw_setting *s)
{
	struct mw_text text = { 0 };
	const char *copy;

	mw_conf_print(&text, conf, s, EXPLAIN_VALUE_MAX);
	copy = explain_text(x, "%s", text.p != NULL ? text.p : "");
	mw_text_fini(&text);
	return copy;
}

bool explain_settings(struct explain *x)
{
	const struct policy *p = x->txn->policy;

	x->settings = smtp_arena_array(&x->arena, mw_settings_count, sizeof(*x->settings));
	for (size_t i = 0; i < mw_settings_count && x->settings != NULL; i++) {
		const struct mw_setting *s = &mw_settings[i];
		struct explain_setting *to = &x->settings[x->setting_count];

		/* Banks are there one by one where they are loaded. */
		if (strcmp(s->name, "policy_bank") == 0 ||
			!mw_conf_differs(p->conf, x->defaults, s))
			continue;
		to->name = s->name;
		to->value = printed(x, p->conf, s);
		to->origin = explain_origin(x, p, s->name, &to->bank);
		x->setting_count++;
	}
	return x->settings != NULL;
}

/* ------------------------------------------------------------------ recipients */

static const char *who_said(struct explain *x, const struct rcpt_said *said)
{
	struct mw_text text = { 0 };

	policy_origin_said(&text, x->set, x->txn->policy, said);
	return kept(x, &text);
}

bool explain_said(struct explain *x, size_t rcpt, const struct db_records *records)
{
	struct txn_rcpt *from = &x->txn->rcpts[rcpt];
	struct explain_rcpt *r = &x->rcpts[rcpt];
	struct rcpt_said *said = malloc(sizeof(*said));

	r->said_count = 0;
	r->said = smtp_arena_array(&x->arena, RCPT_ASKS, sizeof(*r->said));
	for (size_t i = 0;
		said != NULL && r->said != NULL && rcpt_policy_say(x->txn, from, records, i, said);
		i++)
		if (said->name != NULL)
			r->said[r->said_count++] = (struct explain_said){ said->name,
				explain_text(x, "%s", said->value), who_said(x, said) };
	free(said);
	return r->said != NULL;
}
