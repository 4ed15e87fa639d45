#include "policy_warn.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define NETS_MAX 64 /* networks of a pair that are compared with others' */

struct look;
struct warning_row {
	const char *name;
	void (*look)(struct look *l);
	const char *hint;
};

struct look {
	const struct policy_set *set;
	const struct policy_socket *sockets;
	size_t socket_count;
	const struct warning_row *row;
	void (*tell)(void *arg, const struct policy_warning *w);
	void *arg;
	size_t told;
	char texts[POLICY_WARNINGS_MAX][POLICY_WARNING_MAX]; /* each is told once */
};

static void MW_PRINTF(3, 4) say(struct look *l, unsigned line, const char *fmt, ...)
{
	struct policy_warning w = { .line = line };
	va_list args;

	if (l->told == POLICY_WARNINGS_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(l->texts[l->told], POLICY_WARNING_MAX, fmt, args);
	va_end(args);
	for (size_t i = 0; i < l->told; i++)
		if (strcmp(l->texts[i], l->texts[l->told]) == 0)
			return;
	w.name = l->row->name;
	w.hint = l->row->hint;
	w.text = l->texts[l->told++];
	l->tell(l->arg, &w);
}

static const struct mw_val *value(const struct policy *p, const char *name)
{
	return mw_conf_val(p->conf, name);
}

/* What a policy does not set itself was looked at with the one below. */
static bool is_own(const struct policy *p, const char *name)
{
	return p->below == NULL || value(p, name) != value(p->below, name);
}

/* ", bank A" behind what a bank says. */
static const char *of_bank(const struct policy *p, char *buf, size_t size)
{
	buf[0] = '\0';
	if (p->bank[0] != '\0')
		snprintf(buf, size, " (bank %s)", p->bank);
	return buf;
}

#define OF_BANK(p) of_bank(p, (char[80]){ 0 }, 80)

/* ------------------------------------------------------------------ recipients */

static bool asks_databases(const struct mw_conf *conf)
{
	return mw_conf_val(conf, "lookup_sql_dsn")->count > 0 || mw_conf_bool(conf, "enable_ldap");
}

static void look_local_domains(struct look *l)
{
	if (asks_databases(l->set->conf))
		return;
	for (const struct policy *p = l->set->base; p != NULL; p = p->next)
		if (value(p, "local_domains_maps")->count > 0)
			return;
	say(l, value(l->set->base, "local_domains_maps")->line,
		"local_domains_maps is empty: no recipient is local, so that nobody gets X-Spam-* "
		"or Authentication-Results fields");
}

/* For all recipients the same: a constant that stands first. */
static const struct mw_val *constant_of(const struct policy *p, const char *maps)
{
	const struct mw_val *v = value(p, maps);

	return v->tag == MW_V_TABLE && v->made == MW_MADE_NOT && v->is_array && v->count > 0 &&
			       (v->vals[0].tag == MW_V_NUM || v->vals[0].tag == MW_V_BOOL)
		       ? &v->vals[0]
		       : NULL;
}

static void look_bypass(struct look *l)
{
	static const struct {
		const char *maps, *what;
	} checks[] = { { "bypass_virus_checks_maps", "viruses" },
		{ "bypass_spam_checks_maps", "spam" } };

	for (size_t i = 0; i < MW_COUNT(checks); i++) {
		const struct mw_val *v = constant_of(l->set->base, checks[i].maps);

		if (v != NULL && mw_val_bool(v, false) && (i == 0 || l->set->check_spam))
			say(l, v->line,
				"%s begins with a constant that is true: no mail at all is "
				"checked for %s, as some distributions ship it",
				checks[i].maps, checks[i].what);
	}
}

/* ------------------------------------------------------------------ levels */

struct level {
	const char *maps, *dflt, *name; /* who says it in the end */
	double points;
	unsigned line;
};

/* The level of whoever no table names. */
static struct level level_of(const struct policy *p, const char *maps, const char *dflt)
{
	const struct mw_val *v = value(p, maps);
	struct level level = { .maps = maps,
		.dflt = dflt,
		.name = dflt,
		.points = (double)mw_conf_int(p->conf, dflt) / 1000,
		.line = value(p, dflt)->line };

	for (size_t i = 0; v->tag == MW_V_TABLE && v->is_array && i < v->count; i++)
		if (v->vals[i].tag == MW_V_NUM) {
			level.name = maps;
			level.points = v->vals[i].num;
			level.line = v->vals[i].line;
			break;
		}
	return level;
}

static bool sets_level(const struct policy *p, const struct level *level)
{
	return is_own(p, level->maps) || is_own(p, level->dflt);
}

/* lower must not lie above upper; the warning is about the one that the policy set. */
static void compare_levels(
	struct look *l, const char *const lower[2], const char *const upper[2], const char *so_that)
{
	for (const struct policy *p = l->set->base; p != NULL; p = p->next) {
		struct level low = level_of(p, lower[0], lower[1]);
		struct level up = level_of(p, upper[0], upper[1]);

		if (low.points > up.points && (sets_level(p, &low) || sets_level(p, &up)))
			say(l, sets_level(p, &up) && up.line != 0 ? up.line : low.line,
				"%s is %g, below %s %g%s: %s", up.name, up.points, low.name,
				low.points, OF_BANK(p), so_that);
	}
}

static const char *const tag_level[] = { "spam_tag_level_maps", "sa_tag_level_deflt" },
			 *const tag2_level[] = { "spam_tag2_level_maps", "sa_tag2_level_deflt" },
			 *const kill_level[] = { "spam_kill_level_maps", "sa_kill_level_deflt" };

static void look_kill(struct look *l)
{
	compare_levels(l, tag2_level, kill_level,
		"mail is blocked as spam that is not even marked as spam");
}

static void look_tag(struct look *l)
{
	compare_levels(
		l, tag_level, tag2_level, "mail is spam and has no X-Spam fields that say so");
}

/* ------------------------------------------------------------------ quarantine, signatures */

static bool keeps_files(const struct policy_set *set)
{
	for (const struct policy *p = set->base; p != NULL; p = p->next)
		if (policy_keeps_files(p))
			return true;
	return false;
}

static void look_quarantine(struct look *l)
{
	const char *dir = l->set->quarantine_dir;
	struct stat st;
	bool there = stat(dir, &st) == 0;

	if (!keeps_files(l->set) || (there && S_ISDIR(st.st_mode) && access(dir, W_OK | X_OK) == 0))
		return;
	say(l, value(l->set->base, "QUARANTINEDIR")->line,
		"QUARANTINEDIR = \"%s\" %s, and blocked mail is kept there", dir,
		!there		       ? "is not there"
		: !S_ISDIR(st.st_mode) ? "is no folder"
				       : "cannot be written by the user who asks this");
}

/* Nothing is ever taken away by default, as with amavisd: the disk is full one day. */
static void look_retention(struct look *l)
{
	const struct policy *base = l->set->base;

	if (keeps_files(l->set) && value(base, "quarantine.retention")->count == 0 &&
		mw_conf_int(base->conf, "quarantine.quota_octets") == 0 &&
		mw_conf_int(base->conf, "quarantine.quota_entries") == 0)
		say(l, value(base, "QUARANTINEDIR")->line,
			"what is kept in QUARANTINEDIR is kept for ever");
}

/* Of the recipients that no table says anything else of. */
static bool is_lost(const struct policy *p, enum ccat_slot slot)
{
	const struct policy_ask *ask = &p->asks[ASK_DESTINY + slot];
	const struct quarantine_method *m = p->quarantine[slot];

	return ask->dflt.type == MW_VALUE_MILLI && ask->dflt.milli == MW_D_DISCARD * 1000 &&
	       (m == NULL || m->kind == QUARANTINE_NOWHERE) &&
	       (p->archive_method == NULL || p->archive_method->kind == QUARANTINE_NOWHERE);
}

/* A wrong finding cannot be undone then. */
static void look_discarded(struct look *l)
{
	for (const struct policy *p = l->set->base; p != NULL; p = p->next)
		for (enum ccat_slot slot = CCAT_VIRUS; slot < CCAT_CATCHALL; slot++) {
			const char *by = p->asks[ASK_DESTINY + slot].said_by;

			/* A minor that its major speaks for is told with that. */
			if (!is_lost(p, slot) || (p->below != NULL && is_lost(p->below, slot)) ||
				(ccat_major(slot) != slot && is_lost(p, ccat_major(slot))))
				continue;
			say(l, by != NULL && *by != '\0' ? value(p, by)->line : 0,
				"mail of %s%s is discarded, and no copy of it is kept",
				ccat_key(slot), OF_BANK(p));
		}
}

static void look_sign(struct look *l)
{
	for (const struct policy *p = l->set->base; p != NULL && l->set->signer_count == 0;
		p = p->next)
		if (p->dkim_sign && is_own(p, "enable_dkim_signing"))
			say(l, value(p, "enable_dkim_signing")->line,
				"enable_dkim_signing is true%s and there is no dkim_key: nothing "
				"is "
				"signed",
				OF_BANK(p));
}

static void look_keys(struct look *l)
{
	if (l->set->signer_count == 0)
		return;
	for (const struct policy *p = l->set->base; p != NULL; p = p->next)
		if (p->dkim_sign && p->originating)
			return;
	say(l, value(l->set->base, "dkim_key")->line,
		"dkim_key has keys, and no bank is both originating and signing: nothing is "
		"signed");
}

/* ------------------------------------------------------------------ networks */

/* An entry that every address of a family lies in. */
static bool is_open(const struct mw_val *v)
{
	struct mw_net net;

	return v->tag == MW_V_STR && mw_net_parse(v->str, &net) && !net.negated &&
	       (net.bits == 0 || (net.bits == 96 && mw_ip_is_v4(&net.ip)));
}

/* NULL: there is none. */
static const struct mw_val *find_open(const struct mw_val *nets)
{
	for (size_t i = 0; nets->tag == MW_V_TABLE && nets->made == MW_MADE_NOT && i < nets->count;
		i++) {
		const struct mw_val *v = &nets->vals[i];
		const struct mw_val *inner = v->tag == MW_V_TABLE ? find_open(v) : NULL;

		if (inner != NULL || is_open(v))
			return inner != NULL ? inner : v;
	}
	return NULL;
}

static bool makes_ours(const struct policy_set *set, const char *banks)
{
	char name[sizeof(set->base->bank)];

	while (*banks != '\0') {
		const struct mw_conf *bank;
		size_t n;

		banks += strspn(banks, ", \t");
		n = strcspn(banks, ", \t");
		bank = mw_strncpy(name, sizeof(name), banks, n) ? mw_conf_bank(set->conf, name)
								: NULL;
		if (bank != NULL && mw_conf_bool(bank, "originating"))
			return true;
		banks += n;
	}
	return false;
}

static void look_open(struct look *l)
{
	for (const struct policy *p = l->set->base; p != NULL; p = p->next) {
		const struct mw_val *pairs = value(p, "client_ipaddr_policy");
		const struct mw_val *open = find_open(value(p, "mynetworks"));

		if (open != NULL && is_own(p, "mynetworks"))
			say(l, open->line,
				"mynetworks has %s%s: the whole world's mail is taken for ours",
				open->str, OF_BANK(p));
		for (size_t i = 0; is_own(p, "client_ipaddr_policy") && i < p->client_count; i++) {
			open = find_open(&pairs->vals[i].vals[0]);
			if (open != NULL && makes_ours(l->set, p->clients[i].banks))
				say(l, open->line,
					"client_ipaddr_policy has %s for \"%s\"%s, which is "
					"originating: the whole world's mail is taken for ours",
					open->str, p->clients[i].banks, OF_BANK(p));
		}
	}
}

/* Plain networks alone; 0: there are others, or too many. */
static size_t plain_nets(const struct mw_val *v, struct mw_net nets[NETS_MAX])
{
	if (v->tag != MW_V_TABLE || v->made != MW_MADE_NOT || v->count > NETS_MAX)
		return 0;
	for (size_t i = 0; i < v->count; i++)
		if (v->vals[i].tag != MW_V_STR || !mw_net_parse(v->vals[i].str, &nets[i]) ||
			nets[i].negated)
			return 0;
	return v->count;
}

static bool covers(const struct mw_net *outer, size_t outer_count, const struct mw_net *inner,
	size_t inner_count)
{
	for (size_t i = 0; i < inner_count; i++) {
		bool covered = false;

		for (size_t o = 0; o < outer_count && !covered; o++)
			covered = outer[o].bits <= inner[i].bits &&
				  mw_net_contains(&outer[o], &inner[i].ip);
		if (!covered)
			return false;
	}
	return inner_count > 0;
}

/* Of pairs the first that matches is loaded. */
static void look_shadowed(struct look *l)
{
	static struct mw_net outer[NETS_MAX], inner[NETS_MAX];

	for (const struct policy *p = l->set->base; p != NULL; p = p->next) {
		const struct mw_val *pairs = value(p, "client_ipaddr_policy");

		for (size_t i = 1; is_own(p, "client_ipaddr_policy") && i < p->client_count; i++) {
			size_t count = plain_nets(&pairs->vals[i].vals[0], inner), k = 0;

			while (k < i && !covers(outer, plain_nets(&pairs->vals[k].vals[0], outer),
						inner, count))
				k++;
			if (k < i)
				say(l, pairs->vals[i].line,
					"client_ipaddr_policy: \"%s\"%s is never loaded, all of "
					"its "
					"networks lie in those of \"%s\" before it",
					p->clients[i].banks, OF_BANK(p), p->clients[k].banks);
		}
	}
}

/* ------------------------------------------------------------------ banks and sockets */

/* " 10024 [::1]:10026": who listens and loads no bank. */
static const char *without_bank(const struct look *l, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < l->socket_count && n < size; i++) {
		const struct policy_socket *s = &l->sockets[i];

		if (policy_for_socket(l->set, s->address, s->port) != l->set->base)
			continue;
		n += (size_t)(s->unix_socket ? snprintf(buf + n, size - n, " %s", s->address)
					     : snprintf(buf + n, size - n, " [%s]:%u", s->address,
						       s->port));
	}
	return buf;
}

static void look_sockets(struct look *l)
{
	const struct mw_val *table = value(l->set->base, "interface_policy");
	bool any_port = false;
	char free_ones[160];

	without_bank(l, free_ones, sizeof(free_ones));
	for (size_t i = 0; i < l->socket_count; i++)
		any_port |= !l->sockets[i].unix_socket && l->sockets[i].port == 0;
	for (size_t i = 0; i < l->set->port_count; i++) {
		const char *key = l->set->ports[i].key;
		const struct mw_val *v = mw_val_field(table, key);
		bool is_path = key[0] == '/' || strcmp(key, "SOCK") == 0;
		size_t k = 0;

		while (k < l->socket_count && !policy_socket_is(&l->sockets[k], key))
			k++;
		if (k < l->socket_count || (any_port && !is_path))
			continue;
		say(l, v != NULL ? v->line : 0,
			"interface_policy[\"%s\"]: nobody listens there%s%s", key,
			free_ones[0] != '\0' ? "; without a bank are" : "", free_ones);
	}
}

struct banks_of_tables {
	const struct policy_set *set;
	const char *approved, *bank; /* what "1" means; which is looked for */
	bool found;
};

static bool look_entry(void *arg, const struct mw_lookup_entry *entry)
{
	struct banks_of_tables *b = arg;
	const char *banks = policy_banks_meant(b->set, entry->text, b->approved);

	b->found = banks != NULL && policy_names_bank(banks, b->bank);
	return !b->found;
}

/* Functions, and texts that patterns make, may name any. */
static bool has_code(const struct mw_val *v)
{
	bool code = v->tag == MW_V_FUNC || v->made == MW_MADE_RE;

	for (size_t i = 0; v->tag == MW_V_TABLE && i < v->count && !code; i++)
		code = has_code(&v->vals[i]);
	return code;
}

static bool tables_load(const struct policy *p, const struct mw_lookup *l, const char *setting,
	struct banks_of_tables *b)
{
	if (is_own(p, setting) && !b->found)
		mw_lookup_entries(l, look_entry, b);
	return b->found || has_code(value(p, setting));
}

/* By what the message is. */
static bool messages_load(const struct policy_set *set, const char *bank)
{
	struct banks_of_tables authors = { set, BANK_OF_AUTHORS, bank, false },
			       viruses = { set, BANK_OF_VIRUSES, bank, false };

	for (const struct policy *p = set->base; p != NULL; p = p->next)
		if (tables_load(p, p->author_banks, "author_to_policy_bank_maps", &authors) ||
			tables_load(p, p->virus_banks, "virus_name_to_policy_bank_maps", &viruses))
			return true;
	return false;
}

/* What the settings load, whatever the client. */
static bool is_loaded(const struct policy_set *set, const char *bank)
{
	const struct mw_val *sockets = mw_conf_val(set->conf, "interface_policy");
	bool ours = strcmp(bank, "MYNETS") == 0, users = strcmp(bank, "MYUSERS") == 0;

	for (size_t i = 0; sockets->tag == MW_V_TABLE && i < sockets->count; i++)
		if (policy_names_bank(mw_val_text(&sockets->vals[i], ""), bank))
			return true;
	for (const struct policy *p = set->base; p != NULL; p = p->next) {
		if ((ours && p->client_count == 0) || (users && p->originating))
			return true;
		for (size_t i = 0; i < p->client_count; i++)
			if (policy_names_bank(p->clients[i].banks, bank))
				return true;
	}
	return false;
}

static void look_banks(struct look *l)
{
	const struct mw_val *banks = value(l->set->base, "policy_bank");

	if (value(l->set->base, "hooks.new")->tag != MW_V_NIL)
		return; /* it may load any */
	for (const struct policy *p = l->set->base; p != NULL; p = p->next)
		if (p->protocol == PROTOCOL_AMPDP)
			return; /* its clients may ask for any */
	for (size_t i = 0; banks->tag == MW_V_TABLE && i < banks->count; i++)
		if (!is_loaded(l->set, banks->keys[i]) && !messages_load(l->set, banks->keys[i]))
			say(l, banks->vals[i].line, "policy_bank.%s: nothing loads it",
				banks->keys[i]);
}

/* A bank of outgoing mail may leave verifying out; where nobody does it something is wrong. */
static void look_authors(struct look *l)
{
	const struct policy *useless = NULL;

	for (const struct policy *p = l->set->base; p != NULL; p = p->next) {
		if (mw_lookup_is_empty(p->author_banks))
			continue;
		if (p->dkim_verify)
			return;
		useless = useless == NULL ? p : useless;
	}
	if (useless != NULL)
		say(l, value(useless, "author_to_policy_bank_maps")->line,
			"author_to_policy_bank_maps loads no bank%s: enable_dkim_verification is "
			"off",
			OF_BANK(useless));
}

/* ------------------------------------------------------------------ all */

static const struct warning_row rows[] = {
	{ "local_domains_missing", look_local_domains,
		"name your domains, as local_domains_maps = { \".example.org\" }" },
	{ "checks_bypassed", look_bypass, "take the constant away, or name recipients" },
	{ "kill_below_tag2", look_kill, "raise the kill level, or lower the tag2 level" },
	{ "tag_above_tag2", look_tag, "lower the tag level" },
	{ "quarantine_missing", look_quarantine,
		"make the folder, for the services' user to write; they try to make it at start" },
	{ "retention_missing", look_retention,
		"set quarantine.retention, quarantine.quota_octets or quarantine.quota_entries" },
	{ "discarded_unkept", look_discarded, "set its *_quarantine_method, or another destiny" },
	{ "signing_without_key", look_sign,
		"add keys to dkim_key, or take enable_dkim_signing away" },
	{ "keys_without_signing", look_keys,
		"set enable_dkim_signing in the bank of your users, and originating if it is not "
		"MYNETS" },
	{ "networks_open", look_open, "name your own networks alone" },
	{ "bank_shadowed", look_shadowed, "put the smaller networks first" },
	{ "interface_policy_unused", look_sockets,
		"see inet_socket_port, inet_socket_bind and unix_socketname" },
	{ "author_banks_unused", look_authors, "set enable_dkim_verification" },
	{ "bank_unused", look_banks,
		"load it by interface_policy or client_ipaddr_policy, or take it away" },
};

void policy_warn(const struct policy_set *set, const struct policy_socket *sockets, size_t count,
	void (*tell)(void *arg, const struct policy_warning *w), void *arg)
{
	struct look *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return;
	l->set = set;
	l->sockets = sockets;
	l->socket_count = count;
	l->tell = tell;
	l->arg = arg;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		l->row = &rows[i];
		rows[i].look(l);
	}
	free(l);
}

static void log_one(void *arg, const struct policy_warning *w)
{
	const struct mw_conf *conf = arg;
	char where[400];

	mw_log(MW_WARN, w->name, "at=%s what=%s hint=%s",
		mw_quote(mw_conf_where(conf, w->line, where, sizeof(where))), mw_quote(w->text),
		mw_quote(w->hint));
}

void policy_warn_log(
	const struct policy_set *set, const struct policy_socket *sockets, size_t count)
{
	policy_warn(set, sockets, count, log_one, (void *)(uintptr_t)set->conf);
}

struct printer {
	const struct mw_conf *conf;
	struct mw_text *out;
};

static void print_one(void *arg, const struct policy_warning *w)
{
	struct printer *p = arg;
	char where[400];

	mw_text_addf(p->out, "%s: %s (%s)\n", mw_conf_where(p->conf, w->line, where, sizeof(where)),
		w->text, w->hint);
}

void policy_warn_print(const struct policy_set *set, struct mw_text *out)
{
	struct printer p = { set->conf, out };

	policy_warn(set, set->sockets, set->socket_count, print_one, &p);
}
