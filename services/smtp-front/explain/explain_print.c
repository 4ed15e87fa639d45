/* The answer for a person. */
#include <strings.h>

#include "explain.h"

static void head(struct mw_text *out, const char *title)
{
	mw_text_addf(out, "%s%s\n", out->n > 0 ? "\n" : "", title);
}

static void print_mail(struct mw_text *out, const struct explain *x)
{
	const struct txn *t = x->txn;

	mw_text_addf(out, "Mail from <%s>, client %s, by ", t->sender,
		t->has_xforward ? t->xforward.addr : "unknown");
	if (x->socket.unix_socket)
		mw_text_addf(out, "%s", x->socket.address);
	else
		mw_text_addf(out, "[%s]:%u", x->socket.address, x->socket.port);
	mw_text_addf(out, "%s\n", t->originating ? ", originating" : "");
	if (x->refused != NULL)
		mw_text_addf(out, "It would get: %s\n", x->refused);
}

static void print_banks(struct mw_text *out, const struct explain *x)
{
	head(out, "Policy banks, each on top of those before it");
	if (x->bank_count == 0)
		mw_text_add(out, "  none\n");
	for (size_t i = 0; i < x->bank_count; i++)
		mw_text_addf(out, "  %-20s %s\n  %-20s %s\n", x->banks[i].name, x->banks[i].why, "",
			x->banks[i].origin);
}

static void print_settings(struct mw_text *out, const struct explain *x)
{
	head(out, "Settings that are not the defaults");
	if (x->setting_count == 0)
		mw_text_add(out, "  none\n");
	for (size_t i = 0; i < x->setting_count; i++) {
		const struct explain_setting *s = &x->settings[i];

		mw_text_addf(out, "  %s = %s\n  %-20s %s%s%s\n", s->name, s->value, "", s->origin,
			s->bank != NULL ? ", bank " : "", s->bank != NULL ? s->bank : "");
	}
}

static void print_when(struct mw_text *out, const char *what, enum explain_when when, int32_t milli)
{
	char text[80];

	if (when == EXPLAIN_FROM || when == EXPLAIN_BELOW)
		snprintf(text, sizeof(text), "%s a score of %.10g",
			when == EXPLAIN_FROM ? "from" : "below", (double)milli / 1000);
	else
		snprintf(text, sizeof(text), "%s", when == EXPLAIN_ALWAYS ? "yes" : "no");
	mw_text_addf(out, "  %-24s %-22s ", what, text);
}

static void print_fields(struct mw_text *out, const struct explain *x, const struct explain_rcpt *r)
{
	const char *only = x->ask->header;
	size_t count = 0;

	mw_text_add(out, "\n  Header fields that it gets\n");
	for (size_t k = 0; k < MW_COUNT(r->fields); k++) {
		const struct explain_field *f = &r->fields[k];

		if (only != NULL && strcasecmp(only, f->name) != 0)
			continue;
		print_when(out, f->name, f->when, f->at_milli);
		mw_text_addf(out, "%s\n", f->why);
		count++;
	}
	if (count == 0)
		mw_text_addf(out, "  %s is no field of ours\n", only);
}

static void print_hops(struct mw_text *out, const struct explain_rcpt *r)
{
	for (size_t i = 0; i < r->hop_count; i++)
		mw_text_addf(out, "  %-24s %s\n", i == 0 ? "next hop" : "", r->hops[i]);
	if (r->no_hop != NULL)
		mw_text_addf(out, "  %-24s none: %s\n", "next hop", r->no_hop);
}

static void print_rcpt(struct mw_text *out, const struct explain *x, const struct explain_rcpt *r)
{
	mw_text_addf(out, "\nRecipient <%s>\n", r->address);
	for (size_t i = 0; i < r->said_count; i++)
		mw_text_addf(out, "  %-24s %-22s %s\n", r->said[i].name, r->said[i].value,
			r->said[i].from);
	print_hops(out, r);
	if (x->check_count == 0)
		return;
	print_when(out, "blocked", r->blocked, r->blocked_milli);
	mw_text_addf(out, "%s\n", r->reply != NULL ? r->reply : "");
	print_fields(out, x, r);
}

static void print_checks(struct mw_text *out, const struct explain *x)
{
	if (x->check_count == 0)
		return;
	head(out, "Checks");
	for (size_t i = 0; i < x->check_count; i++)
		mw_text_addf(out, "  %-24s %-22s %s\n", x->checks[i].kind,
			x->checks[i].why == NULL ? "yes" : "no",
			x->checks[i].why != NULL ? x->checks[i].why : "");
}

static void print_brought(struct mw_text *out, const struct explain *x)
{
	if (x->brought != NULL)
		mw_text_addf(out, "\n%s in our name is %s.\n", x->ask->header, x->brought);
}

bool explain_print(const struct explain *x, struct mw_text *out)
{
	struct mw_text warnings = { 0 };

	print_mail(out, x);
	print_banks(out, x);
	print_settings(out, x);
	for (size_t i = 0; i < x->txn->rcpt_count; i++)
		print_rcpt(out, x, &x->rcpts[i]);
	print_checks(out, x);
	print_brought(out, x);
	policy_warn_print(x->set, &warnings);
	if (warnings.n > 0) {
		head(out, "Warnings");
		mw_text_add(out, warnings.p);
	}
	mw_text_fini(&warnings);
	return !out->failed;
}
