/* What each recipient has of its own: which key, which table, which layer, and databases before all
 * of them; that asking again gives the same. */
#include "make_txn.h"

#include "delivery/next_hop.h"
#include "policy/rcpt_policy.h"

#define ADDR "User+Ext@Sub.Example.org"
#define DESTINY(slot) (enum rcpt_ask)(ASK_DESTINY + (slot))
#define LOVES(slot) (enum rcpt_ask)(ASK_LOVES + (slot))
#define FOLDER(slot) (enum rcpt_ask)(ASK_QUARANTINE + (slot))

static size_t rows_seen;

/* ------------------------------------------------------------------ answers as texts */

static void show_hops(const struct txn_rcpt *r, char *out, size_t size)
{
	size_t n = 0;

	snprintf(out, size, "%s", r->no_route != NULL ? "bad" : "usual");
	for (size_t i = 0; r->route != NULL && i < r->route->count; i++)
		n += (size_t)snprintf(
			out + n, size - n, "%s%s", i > 0 ? " " : "", r->route->hop[i].text);
}

static const char *shown(const struct txn_rcpt *r, unsigned ask)
{
	static char out[2000];
	const bool *flags[] = { &r->is_local, &r->bypass_virus, &r->bypass_spam, &r->bypass_banned,
		&r->bypass_header };
	const int32_t *scores[] = { &r->tag_milli, &r->tag2_milli, &r->tag3_milli, &r->kill_milli,
		&r->quarantine_cutoff_milli, &r->admin_cutoff_milli, &r->dsn_cutoff_milli,
		&r->credible_dsn_cutoff_milli };

	if (ask <= ASK_BYPASS_HEADER)
		return *flags[ask] ? "yes" : "no";
	if (ask <= ASK_CREDIBLE_DSN_CUTOFF && *scores[ask - ASK_TAG] == RCPT_NO_LEVEL)
		return "null";
	if (ask <= ASK_CREDIBLE_DSN_CUTOFF)
		snprintf(out, sizeof(out), "%d", (int)*scores[ask - ASK_TAG]);
	else if (ask == ASK_SIZE)
		snprintf(out, sizeof(out), "%llu", (unsigned long long)r->size_limit);
	else if (ask == ASK_NEXT_HOP)
		show_hops(r, out, sizeof(out));
	else if (ask < ASK_LOVES)
		return mw_destiny_name(r->destinies[ask - ASK_DESTINY]);
	else if (ask < ASK_QUARANTINE)
		return r->loves[ask - ASK_LOVES] ? "yes" : "no";
	else
		return r->keep_to[ask - ASK_QUARANTINE] != NULL
			       ? rcpt_policy_folder(r->keep_to[ask - ASK_QUARANTINE])
			       : "none";
	return out;
}

/* "column=value|column=value;column=value": records between ;. NULL as a value is the word. */
static struct db_records *records_of(const char *text)
{
	struct db_records *r = db_records_new();
	char copy[400], *save, *in;

	assert_non_null(r);
	mw_strlcpy(copy, text, sizeof(copy));
	for (char *record = strtok_r(copy, ";", &save); record != NULL;
		record = strtok_r(NULL, ";", &save)) {
		assert_int_equal(db_records_add(r, DB_SQL, 8), MW_OK);
		for (char *cell = strtok_r(record, "|", &in); cell != NULL;
			cell = strtok_r(NULL, "|", &in)) {
			char *value = strchr(cell, '=');

			*value++ = '\0';
			assert_int_equal(
				db_records_put(r, cell, strcmp(value, "NULL") == 0 ? NULL : value,
					strlen(value)),
				MW_OK);
		}
	}
	return r;
}

static void expect(struct made *m, const char *addr, const char *db, unsigned ask, const char *is)
{
	struct db_records *records = db != NULL ? records_of(db) : NULL;
	struct txn_rcpt r = { .addr = addr };

	/* Twice: banks that come later ask again. */
	for (int i = 0; i < 2; i++) {
		rcpt_policy_resolve(&m->txn, &r, records);
		if (strcmp(shown(&r, ask), is) != 0)
			fail_msg("<%s>, question %u, database %s: %s, expected %s", addr, ask,
				db != NULL ? db : "-", shown(&r, ask), is);
	}
	db_records_unref(&records);
	rows_seen++;
}

/* ------------------------------------------------------------------ every kind, every key */

/* Values of a setting, as Lua and as answers. */
static const struct kind {
	const char *setting, *category;
	enum rcpt_ask ask;
	const char *column;
	const char *values[2], *answers[2], *cells[2], *otherwise;
} kinds[] = {
	{ "bypass_virus_checks_maps", NULL, ASK_BYPASS_VIRUS, "bypass_virus_checks",
		{ "true", "false" }, { "yes", "no" }, { "Y", "N" }, "no" },
	{ "bypass_spam_checks_maps", NULL, ASK_BYPASS_SPAM, "bypass_spam_checks", { "1", "0" },
		{ "yes", "no" }, { "1", "0" }, "no" },
	{ "bypass_header_checks_maps", NULL, ASK_BYPASS_HEADER, "bypass_header_checks",
		{ "1", "0" }, { "yes", "no" }, { "Y", "0" }, "no" },
	{ "spam_tag3_level_maps", NULL, ASK_TAG3, "spam_tag3_level", { "9.5", "-3" },
		{ "9500", "-3000" }, { "1.5", "x" }, "null" },
	{ "spam_quarantine_cutoff_level_maps", NULL, ASK_QUARANTINE_CUTOFF,
		"spam_quarantine_cutoff_level", { "20", "0" }, { "20000", "0" }, { "9", "10" },
		"null" },
	{ "spam_dsn_cutoff_level_maps", NULL, ASK_DSN_CUTOFF, "spam_dsn_cutoff_level",
		{ "10", "5" }, { "10000", "5000" }, { "9", "10" }, "null" },
	{ "banned_files_lovers_maps", NULL, LOVES(CCAT_BANNED), "banned_files_lover",
		{ "true", "0" }, { "yes", "no" }, { "y", "f" }, "no" },
	{ "bad_header_lovers_maps", NULL, LOVES(CCAT_BADH_LONG), "bad_header_lover",
		{ "true", "0" }, { "yes", "no" }, { "y", "f" }, "no" },
	{ "banned_quarantine_to_maps", NULL, FOLDER(CCAT_BANNED), "banned_quarantine_to",
		{ "'tenant-1'", "''" }, { "tenant-1", "none" }, { "other.place", "" }, "none" },
	{ "bad_header_quarantine_to_maps", NULL, FOLDER(CCAT_BADH_MIME), "bad_header_quarantine_to",
		{ "'tenant-1'", "''" }, { "tenant-1", "none" }, { "other.place", "" }, "none" },
	{ "spam_kill_level_maps", NULL, ASK_KILL, "spam_kill_level", { "5.5", "'-1'" },
		{ "5500", "-1000" }, { "7.25", "3" }, "6310" },
	{ "spam_tag_level_maps", NULL, ASK_TAG, "spam_tag_level", { "-999", "1e9" },
		{ "-999000", "2147483647" }, { "1", "-1e12" }, "2000" },
	{ "message_size_limit_maps", NULL, ASK_SIZE, "message_size_limit", { "100000", "10" },
		{ "100000", "65536" }, { "200000", "0" }, "0" },
	{ "forward_method_maps", NULL, ASK_NEXT_HOP, "forward_method",
		{ "'smtp:[192.0.2.1]:25'", "'smtp:a:1, smtp:/b'" },
		{ "smtp:[192.0.2.1]:25", "smtp:[a]:1 smtp:/b" }, { "lmtp:[::1]:24", "smtp:*:*" },
		"usual" },
	{ "virus_quarantine_to_maps", NULL, FOLDER(CCAT_VIRUS), "virus_quarantine_to",
		{ "'tenant-1'", "''" }, { "tenant-1", "none" }, { "other.place", "" }, "none" },
	{ "spam_quarantine_to_maps", NULL, FOLDER(CCAT_SPAM), "spam_quarantine_to",
		{ "'spam-quarantine'", "false" }, { "", "none" }, { "a_b", "0" }, "none" },
	{ "virus_lovers_maps", NULL, LOVES(CCAT_VIRUS), "virus_lover", { "true", "0" },
		{ "yes", "no" }, { "y", "f" }, "no" },
	{ "unchecked_lovers_maps", NULL, LOVES(CCAT_OVER_LIMITS), "unchecked_lover",
		{ "true", "0" }, { "yes", "no" }, { "T", "0" }, "no" },
	{ "lovers_maps_by_ccat", "CC_SPAM", LOVES(CCAT_SPAM), "spam_lover", { "true", "false" },
		{ "yes", "no" }, { "Y", "N" }, "no" },
	{ "quarantine_to_maps_by_ccat", "CC_UNCHECKED", FOLDER(CCAT_ENCRYPTED),
		"unchecked_quarantine_to", { "'xx'", "''" }, { "xx", "none" }, { "yy", "" }, "" },
	{ "final_destiny_maps_by_ccat", "CC_VIRUS", DESTINY(CCAT_VIRUS), NULL,
		{ "D_PASS", "'D_TEMPFAIL'" }, { "D_PASS", "D_TEMPFAIL" }, { NULL, NULL },
		"D_DISCARD" },
	{ "final_destiny_maps_by_ccat", "CC_SPAMMY", DESTINY(CCAT_SPAMMY), NULL,
		{ "D_REJECT", "D_DISCARD" }, { "D_REJECT", "D_DISCARD" }, { NULL, NULL },
		"D_PASS" },
};

static struct made *with(const struct kind *k, const char *tables)
{
	char lua[3000];

	snprintf(lua, sizeof(lua), "recipient_delimiter = '+'\n%s = { %s%s%s { %s } %s }\n",
		k->setting, k->category != NULL ? "[" : "", k->category != NULL ? k->category : "",
		k->category != NULL ? "] =" : "", tables, "");
	if (k->category == NULL)
		snprintf(lua, sizeof(lua), "recipient_delimiter = '+'\n%s = { %s }\n", k->setting,
			tables);
	return make_txn(lua);
}

static void the_most_special_key_of_a_hash_decides_whatever_the_kind(void **state)
{
	static const char *const keys[] = { "user+ext@sub.example.org", "user@sub.example.org",
		"user+ext@", "user@", "sub.example.org", ".sub.example.org", ".example.org", ".org",
		"." };

	(void)state;
	for (size_t k = 0; k < MW_COUNT(kinds); k++)
		for (size_t first = 0; first < MW_COUNT(keys); first++) {
			struct mw_text hash = { 0 };
			struct made *m;

			/* The most special has one value, all behind it the other. */
			mw_text_add(&hash, "{ ");
			for (size_t i = first; i < MW_COUNT(keys); i++)
				mw_text_addf(&hash, "['%s'] = %s, ", keys[i],
					kinds[k].values[i != first]);
			mw_text_add(&hash, "}");
			m = with(&kinds[k], hash.p);
			expect(m, ADDR, NULL, kinds[k].ask, kinds[k].answers[0]);
			end_txn(m);
			mw_text_fini(&hash);
		}
}

static void the_first_table_with_a_defined_value_decides(void **state)
{
	static const struct {
		const char *before, *behind; /* of two values */
		int answer;		     /* -1: none */
	} rows[] = {
		{ "{ ['user@'] = undef },", "%s, %s", 0 },
		{ "{ ['b@example.com'] = %s },", "%s", 1 },
		{ "label 'x', undef,", "%s, %s", 0 },
		{ "new_RE { { '^nobody@', %s }, { '(?i)example', %s } },", "", 1 },
		{ "function() end,", "%s", 0 },
		{ "function() return {} end,", "%s", 0 },
		{ "function(a) if a then return %s end end,", "%s", 0 },
		{ "{ ['b@example.com'] = %s },", "", -1 },
	};

	(void)state;
	for (size_t k = 0; k < MW_COUNT(kinds); k++)
		for (size_t i = 0; i < MW_COUNT(rows); i++) {
			char format[300], tables[600];
			struct made *m;

			snprintf(format, sizeof(format), "%s %s", rows[i].before, rows[i].behind);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(tables, sizeof(tables), format, kinds[k].values[0],
				kinds[k].values[1]);
#pragma GCC diagnostic pop
			/* Strings side by side are one list where the answer is yes or no. */
			m = with(&kinds[k], tables);
			expect(m, ADDR, NULL, kinds[k].ask,
				rows[i].answer < 0 ? kinds[k].otherwise
						   : kinds[k].answers[rows[i].answer]);
			end_txn(m);
		}
}

static void a_database_goes_before_all_tables(void **state)
{
	static const char *const answers[][2] = { { "yes", "no" }, { "yes", "no" }, { "yes", "no" },
		{ "1500", "0" }, { "9000", "10000" }, { "9000", "10000" }, { "yes", "no" },
		{ "yes", "no" }, { "other.place", "none" }, { "other.place", "none" },
		{ "7250", "3000" }, { "1000", "-2147483647" }, { "200000", "0" },
		{ "lmtp:[::1]:24", "smtp:[*]:0" }, { "other.place", "none" }, { "a_b", "none" },
		{ "yes", "no" }, { "yes", "no" }, { "yes", "no" }, { "yy", "none" } };

	(void)state;
	for (size_t k = 0; k < MW_COUNT(answers); k++) {
		struct made *fixed = with(&kinds[k], kinds[k].values[1]);
		char hash[200];
		struct made *m;

		snprintf(hash, sizeof(hash), "{ ['user@sub.example.org'] = %s }",
			kinds[k].values[0]);
		m = with(&kinds[k], hash);
		for (size_t v = 0; v < 2; v++) {
			char db[400];

			snprintf(db, sizeof(db), "%s=%s", kinds[k].column, kinds[k].cells[v]);
			expect(m, ADDR, db, kinds[k].ask, answers[k][v]);
			expect(fixed, ADDR, db, kinds[k].ask, answers[k][v]);
			/* The first record that has a value, wherever it stands. */
			snprintf(db, sizeof(db), "%s=NULL;x=y;%s=%s;%s=%s", kinds[k].column,
				kinds[k].column, kinds[k].cells[v], kinds[k].column,
				kinds[k].cells[!v]);
			expect(m, ADDR, db, kinds[k].ask, answers[k][v]);
			/* It says nothing: the tables do. */
			snprintf(db, sizeof(db), "%s=NULL;x=y", kinds[k].column);
			expect(m, ADDR, db, kinds[k].ask, kinds[k].answers[0]);
			expect(fixed, ADDR, db, kinds[k].ask, kinds[k].answers[1]);
		}
		end_txn(fixed);
		end_txn(m);
	}
}

/* ------------------------------------------------------------------ layers */

static void layers_by_category_go_from_the_exact_to_the_catch_all(void **state)
{
	static const struct {
		const char *lua;
		struct {
			const char *addr;
			enum rcpt_ask ask;
			const char *is;
		} rows[18];
	} groups[] = {
		{ "", { { "a@x", DESTINY(CCAT_VIRUS), "D_DISCARD" },
			      { "a@x", DESTINY(CCAT_UNCHECKED), "D_PASS" },
			      { "a@x", DESTINY(CCAT_ENCRYPTED), "D_PASS" },
			      { "a@x", DESTINY(CCAT_SPAM), "D_PASS" },
			      { "a@x", DESTINY(CCAT_SPAMMY), "D_PASS" },
			      { "a@x", DESTINY(CCAT_OVERSIZED), "D_REJECT" },
			      { "a@x", DESTINY(CCAT_BANNED), "D_DISCARD" },
			      { "a@x", DESTINY(CCAT_BADH_MISSING), "D_PASS" },
			      { "a@x", DESTINY(CCAT_MTA_TEMPFAILED), "D_TEMPFAIL" },
			      { "a@x", DESTINY(CCAT_MTA_REJECTED), "D_REJECT" },
			      { "a@x", DESTINY(CCAT_CLEAN), "D_PASS" },
			      { "a@x", DESTINY(CCAT_CLEAN_TAG), "D_PASS" },
			      { "a@x", FOLDER(CCAT_VIRUS), "" },
			      { "a@x", FOLDER(CCAT_AMBIGUOUS), "" },
			      { "a@x", FOLDER(CCAT_CLEAN), "" }, { "a@x", LOVES(CCAT_VIRUS), "no" },
			      { "a@x", ASK_NEXT_HOP, "usual" }, { "a@x", ASK_SIZE, "0" } } },
		{ "final_unchecked_destiny = D_REJECT\n"
		  "final_destiny_maps_by_ccat = { ['CC_UNCHECKED,1'] = { { ['a@x'] = D_PASS } },\n"
		  "  [CC_UNCHECKED] = { { ['b@x'] = D_TEMPFAIL } } }\n"
		  "final_destiny_by_ccat = { ['CC_UNCHECKED,2'] = D_DISCARD }\n",
			{ { "a@x", DESTINY(CCAT_ENCRYPTED), "D_PASS" },
				{ "b@x", DESTINY(CCAT_ENCRYPTED), "D_TEMPFAIL" },
				{ "c@x", DESTINY(CCAT_ENCRYPTED), "D_REJECT" },
				{ "a@x", DESTINY(CCAT_OVER_LIMITS), "D_DISCARD" },
				{ "b@x", DESTINY(CCAT_OVER_LIMITS), "D_DISCARD" },
				{ "a@x", DESTINY(CCAT_AMBIGUOUS), "D_REJECT" },
				{ "b@x", DESTINY(CCAT_AMBIGUOUS), "D_TEMPFAIL" },
				{ "a@x", DESTINY(CCAT_UNCHECKED), "D_REJECT" },
				{ "b@x", DESTINY(CCAT_UNCHECKED), "D_TEMPFAIL" },
				{ "a@x", DESTINY(CCAT_VIRUS), "D_DISCARD" } } },
		{ "final_destiny_maps_by_ccat = { [CC_CATCHALL] = { { ['a@x'] = D_REJECT } } }\n"
		  "final_destiny_by_ccat = { [CC_CATCHALL] = D_DISCARD, ['CC_CLEAN,1'] = D_PASS "
		  "}\n",
			{ { "a@x", DESTINY(CCAT_SPAMMY), "D_REJECT" },
				{ "b@x", DESTINY(CCAT_SPAMMY), "D_DISCARD" },
				{ "a@x", DESTINY(CCAT_CLEAN), "D_REJECT" },
				{ "a@x", DESTINY(CCAT_CLEAN_TAG), "D_PASS" },
				{ "a@x", DESTINY(CCAT_SPAM), "D_PASS" },
				{ "a@x", DESTINY(CCAT_OVERSIZED), "D_REJECT" },
				{ "b@x", DESTINY(CCAT_OVERSIZED), "D_REJECT" } } },
		{ "final_destiny_by_ccat = { [CC_VIRUS] = D_REJECT, [CC_OVERSIZED] = D_PASS }\n"
		  "final_destiny_maps_by_ccat = { [CC_VIRUS] = { { ['a@x'] = D_PASS } } }\n",
			{ { "a@x", DESTINY(CCAT_VIRUS), "D_PASS" },
				{ "b@x", DESTINY(CCAT_VIRUS), "D_REJECT" },
				{ "a@x", DESTINY(CCAT_OVERSIZED), "D_PASS" } } },
		{ "final_destiny_by_ccat = { [CC_MTA] = D_DISCARD, ['CC_BADH,5'] = D_REJECT,\n"
		  "  [CC_CATCHALL] = D_TEMPFAIL }\nfinal_bad_header_destiny = D_DISCARD\n",
			{ { "a@x", DESTINY(CCAT_MTA_TEMPFAILED), "D_DISCARD" },
				{ "a@x", DESTINY(CCAT_MTA_REJECTED), "D_DISCARD" },
				{ "a@x", DESTINY(CCAT_BADH_LONG), "D_REJECT" },
				{ "a@x", DESTINY(CCAT_BADH_SPACE), "D_DISCARD" },
				{ "a@x", DESTINY(CCAT_SPAMMY3), "D_TEMPFAIL" } } },
		{ "final_destiny_by_ccat = { [CC_CATCHALL] = D_PASS }\n",
			{ { "a@x", DESTINY(CCAT_MTA_TEMPFAILED), "D_TEMPFAIL" },
				{ "a@x", DESTINY(CCAT_MTA_REJECTED), "D_REJECT" } } },
		{ "lovers_maps_by_ccat = { ['CC_UNCHECKED,3'] = { { 'a@x', '!b@x' } },\n"
		  "  [CC_UNCHECKED] = { { ['b@x'] = true, ['c@x'] = false } },\n"
		  "  [CC_CATCHALL] = { { 'd@x' } }, [CC_SPAMMY] = { { '!a@x' } } }\n"
		  "unchecked_lovers_maps = { 'b@x', 'c@x' }\nspam_lovers_maps = { 'a@x' }\n",
			{ { "a@x", LOVES(CCAT_AMBIGUOUS), "yes" },
				{ "b@x", LOVES(CCAT_AMBIGUOUS), "no" },
				{ "b@x", LOVES(CCAT_UNCHECKED), "yes" },
				{ "c@x", LOVES(CCAT_AMBIGUOUS), "no" },
				{ "c@x", LOVES(CCAT_ENCRYPTED), "no" },
				{ "d@x", LOVES(CCAT_ENCRYPTED), "yes" },
				{ "d@x", LOVES(CCAT_VIRUS), "yes" },
				{ "d@x", LOVES(CCAT_CLEAN), "yes" },
				{ "a@x", LOVES(CCAT_SPAM), "yes" },
				{ "a@x", LOVES(CCAT_SPAMMY), "no" },
				{ "b@x", LOVES(CCAT_SPAMMY), "no" },
				{ "e@x", LOVES(CCAT_UNCHECKED), "no" } } },
		{ "unchecked_quarantine_to_maps = { { ['a@x'] = 'folder-a', ['c@x'] = '' } }\n"
		  "quarantine_to_maps_by_ccat = { ['CC_UNCHECKED,2'] = { { ['a@x'] = 'large' } },\n"
		  "  [CC_CLEAN] = 'tidy' }\n",
			{ { "a@x", FOLDER(CCAT_UNCHECKED), "folder-a" },
				{ "a@x", FOLDER(CCAT_OVER_LIMITS), "large" },
				{ "a@x", FOLDER(CCAT_ENCRYPTED), "folder-a" },
				{ "b@x", FOLDER(CCAT_OVER_LIMITS), "none" },
				{ "c@x", FOLDER(CCAT_OVER_LIMITS), "none" },
				{ "b@x", FOLDER(CCAT_CLEAN_TAG), "tidy" },
				{ "b@x", FOLDER(CCAT_SPAM), "" },
				{ "b@x", FOLDER(CCAT_OVERSIZED), "" } } },
		{ "message_size_limit_maps = { { ['a@x'] = 10, ['b@x'] = 0, ['c@x'] = -5 }, 70000 "
		  "}\n",
			{ { "a@x", ASK_SIZE, "65536" }, { "b@x", ASK_SIZE, "0" },
				{ "c@x", ASK_SIZE, "0" }, { "d@x", ASK_SIZE, "70000" } } },
		{ "message_size_limit_maps = { 10 }\n"
		  "enforce_smtpd_message_size_limit_64kb_min = false\n",
			{ { "a@x", ASK_SIZE, "10" } } },
		{ "forward_method_maps = { new_RE { { '^(.*)@x$', 'smtp:$1:25' } } }\n",
			{ { "mx.example.org@x", ASK_NEXT_HOP, "smtp:[mx.example.org]:25" },
				{ "a:b@x", ASK_NEXT_HOP, "bad" },
				{ "a@y", ASK_NEXT_HOP, "usual" } } },
		{ "forward_method_maps = { function(a) return '' end }\n",
			{ { "a@x", ASK_NEXT_HOP, "bad" } } },
		{ "virus_quarantine_to_maps = { function(a) return a end }\n",
			{ { "a@x", FOLDER(CCAT_VIRUS), "" } } },
		{ "final_destiny_maps_by_ccat = { [CC_VIRUS] = { function() return D_BOUNCE end, "
		  "D_REJECT } }\n",
			{ { "a@x", DESTINY(CCAT_VIRUS), "D_BOUNCE" } } },
	};

	(void)state;
	for (size_t g = 0; g < MW_COUNT(groups); g++) {
		struct made *m = make_txn(groups[g].lua);

		for (size_t i = 0; i < 18 && groups[g].rows[i].addr != NULL; i++)
			expect(m, groups[g].rows[i].addr, NULL, groups[g].rows[i].ask,
				groups[g].rows[i].is);
		end_txn(m);
	}
}

static void odd_texts_of_a_database_are_never_followed(void **state)
{
	static const struct {
		const char *db;
		enum rcpt_ask ask;
		const char *is;
	} rows[] = {
		{ "forward_method=", ASK_NEXT_HOP, "bad" },
		{ "forward_method=smtp", ASK_NEXT_HOP, "bad" },
		{ "forward_method=smtp:a:25 lmtp:b:25", ASK_NEXT_HOP, "bad" },
		{ "forward_method=pipe:/bin/sh", ASK_NEXT_HOP, "bad" },
		{ "forward_method= smtp:a:25,", ASK_NEXT_HOP, "smtp:[a]:25" },
		{ "virus_quarantine_to=a@b", FOLDER(CCAT_VIRUS), "" },
		{ "virus_quarantine_to=../x", FOLDER(CCAT_VIRUS), "" },
		{ "virus_quarantine_to=/etc", FOLDER(CCAT_VIRUS), "" },
		{ "virus_quarantine_to=.hidden", FOLDER(CCAT_VIRUS), "" },
		{ "virus_quarantine_to=a", FOLDER(CCAT_VIRUS), "" },
		{ "virus_quarantine_to=poison", FOLDER(CCAT_VIRUS), "" },
		{ "virus_quarantine_to=with blank", FOLDER(CCAT_VIRUS), "" },
		{ "message_size_limit=-1", ASK_SIZE, "0" },
		{ "message_size_limit=x", ASK_SIZE, "0" },
		{ "message_size_limit=1e300", ASK_SIZE, "9007199254740" },
	};
	struct made *m = make_txn("forward_method_maps = { { ['a@x'] = 'smtp:t:25' } }\n");

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		expect(m, "a@x", rows[i].db, rows[i].ask, rows[i].is);
	end_txn(m);
}

static void more_next_hops_than_are_kept_serve_their_mail(void **state)
{
	struct made *m = make_txn("");

	(void)state;
	for (unsigned i = 0; i < 1500; i++) {
		char db[80], is[80];

		snprintf(db, sizeof(db), "forward_method=smtp:h%u:25", i % 700);
		snprintf(is, sizeof(is), "smtp:[h%u]:25", i % 700);
		expect(m, "a@x", db, ASK_NEXT_HOP, is);
	}
	end_txn(m);
}

/* ------------------------------------------------------------------ refused at load */

static void what_nobody_could_mean_is_refused_at_load(void **state)
{
	static const struct {
		const char *lua, *says;
	} rows[] = {
		{ "final_destiny_maps_by_ccat = { ['CC_BANNED,1'] = { D_PASS } }\n", "CC_BANNED" },
		{ "final_destiny_maps_by_ccat = { ['CC_BADH,9'] = { D_PASS } }\n", "CC_BADH" },
		{ "final_destiny_by_ccat = { ['CC_MTA,3'] = D_REJECT }\n", "CC_MTA,3" },
		{ "final_destiny_by_ccat = { ['CC_UNCHECKED,5'] = D_REJECT }\n", "CC_UNCHECKED,5" },
		{ "final_destiny_by_ccat = { ['9'] = D_REJECT }\n", "expected CC_VIRUS" },
		{ "final_destiny_by_ccat = { [CC_VIRUS] = 7 }\n", "expected D_PASS" },
		{ "final_destiny_by_ccat = { [CC_VIRUS] = { D_PASS } }\n", "expected D_PASS" },
		{ "final_destiny_maps_by_ccat = { [CC_VIRUS] = { -1 } }\n", "expected D_PASS" },
		{ "final_destiny_maps_by_ccat = { [CC_VIRUS] = { true } }\n", "expected D_PASS" },
		{ "final_destiny_maps_by_ccat = { [CC_VIRUS] = { { 'a@x' } } }\n", "yes or no" },
		{ "quarantine_method_by_ccat = { [CC_SPAM] = 'pipe:x' }\n", "no programs" },
		{ "quarantine_to_maps_by_ccat = { [CC_SPAM] = { 'a@x y' } }\n", "an address" },
		{ "virus_quarantine_to_maps = { { ['a@x'] = '@y' } }\n", "an address" },
		{ "virus_quarantine_to_maps = { '../up' }\n", "folder" },
		{ "virus_quarantine_to_maps = { { 'a@x' } }\n", "yes or no" },
		{ "forward_method_maps = { 'smtp:x' }\n", "forward_method_maps" },
		{ "forward_method_maps = { '' }\n", "no next hop" },
		{ "forward_method_maps = { { ['a@x'] = 'smtp:a:1 lmtp:b:1' } }\n", "mixes" },
		{ "tls_security_level_out = 'verify'\nforward_method_maps = { { ['a@x'] = "
		  "'smtp:/x' } }\n",
			"certificate" },
		{ "policy_bank.B = { tls_security_level_out = 'verify' }\n"
		  "forward_method_maps = { { ['a@x'] = 'smtp:/x' } }\n",
			"certificate" },
		{ "policy_bank.B = { final_destiny_by_ccat = { [CC_BANNED] = 7 } }\n", "B: " },
		/* one layer against another, in one place */
		{ "final_virus_destiny = D_REJECT\nfinal_destiny_by_ccat = { [CC_VIRUS] = D_PASS "
		  "}\n",
			"never asked" },
		{ "final_destiny_by_ccat = { [CC_VIRUS] = D_PASS }\n"
		  "final_destiny_maps_by_ccat = { [CC_VIRUS] = { D_REJECT } }\n",
			"never asked" },
		{ "lovers_maps_by_ccat = { [CC_VIRUS] = { true } }\nvirus_lovers_maps = { 'a@x' "
		  "}\n",
			"never asked" },
		{ "policy_bank.B = { final_spam_destiny = D_PASS, final_destiny_by_ccat = { "
		  "[CC_SPAM] = D_REJECT } }\n",
			"never asked" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char *errors = NULL;
		struct mw_conf *conf = conf_of(rows[i].lua, &errors);
		struct policy_set *set = NULL;
		struct mw_err err = { "" };

		if (conf == NULL)
			fail_msg("%s: %s", rows[i].lua, errors);
		if (policy_set_new(conf, &set, &err) == MW_OK)
			fail_msg("taken: %s", rows[i].lua);
		if (strstr(err.text, rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].lua, err.text);
		mw_conf_destroy(&conf);
		rows_seen++;
	}
}

static void a_bank_on_top_says_what_it_likes(void **state)
{
	struct made *m = make_txn(
		"final_destiny_by_ccat = { [CC_VIRUS] = D_REJECT }\n"
		"final_destiny_maps_by_ccat = { [CC_SPAM] = { { ['a@x'] = D_REJECT } } }\n"
		"policy_bank.A = { final_virus_destiny = D_PASS }\n"
		"policy_bank.B = { final_destiny_by_ccat = { [CC_VIRUS] = D_PASS } }\n"
		"policy_bank.C = { final_destiny_maps_by_ccat = { REPLACE = true } }\n"
		"policy_bank.D = { final_destiny_maps_by_ccat = { [CC_CLEAN] = D_TEMPFAIL } }\n");
	static const struct {
		const char *banks;
		enum rcpt_ask ask;
		const char *is;
	} rows[] = {
		{ "", DESTINY(CCAT_VIRUS), "D_REJECT" },
		{ "A", DESTINY(CCAT_VIRUS), "D_REJECT" },
		{ "B", DESTINY(CCAT_VIRUS), "D_PASS" },
		{ "B, A", DESTINY(CCAT_VIRUS), "D_PASS" },
		{ "", DESTINY(CCAT_SPAM), "D_REJECT" },
		{ "C", DESTINY(CCAT_SPAM), "D_PASS" },
		{ "D", DESTINY(CCAT_SPAM), "D_REJECT" },
		{ "D", DESTINY(CCAT_CLEAN), "D_TEMPFAIL" },
		{ "C D", DESTINY(CCAT_SPAM), "D_PASS" },
		{ "D C", DESTINY(CCAT_CLEAN), "D_PASS" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_err err = { "" };

		m->txn.policy = policy_load_all(m->txn.set, m->txn.set->base, rows[i].banks, &err);
		if (m->txn.policy == NULL)
			fail_msg("%s: %s", rows[i].banks, err.text);
		expect(m, "a@x", NULL, rows[i].ask, rows[i].is);
	}
	/* Tables that no bank touches are one for all. */
	m->txn.policy = policy_load_all(m->txn.set, m->txn.set->base, "A", NULL);
	assert_ptr_equal(m->txn.policy->by_ccat[CCAT_SPAM].destinies,
		m->txn.set->base->by_ccat[CCAT_SPAM].destinies);
	end_txn(m);
}

static void there_were_rows_enough(void **state)
{
	(void)state;
	assert_true(rows_seen >= 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_most_special_key_of_a_hash_decides_whatever_the_kind),
		cmocka_unit_test(the_first_table_with_a_defined_value_decides),
		cmocka_unit_test(a_database_goes_before_all_tables),
		cmocka_unit_test(layers_by_category_go_from_the_exact_to_the_catch_all),
		cmocka_unit_test(odd_texts_of_a_database_are_never_followed),
		cmocka_unit_test(more_next_hops_than_are_kept_serve_their_mail),
		cmocka_unit_test(what_nobody_could_mean_is_refused_at_load),
		cmocka_unit_test(a_bank_on_top_says_what_it_likes),
		cmocka_unit_test(there_were_rows_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
