/*
 * The decision as a table: what was found, what the settings say, and what comes of it; and that
 * none of many random cases ends as 2xx that nobody stands behind, or as clean what was not looked
 * at.
 */
#include "make_txn.h"

#include "outcome/decide.h"
#include "outcome/reply.h"

/*
 * Settings are words: v b u s h y o c * are the destinies of viruses, banned parts, unchecked mail,
 * spam, bad headers, spammy, oversized and clean mail, and of the catch-all, with a digit those of
 * minors: P D R B T. +v: a lover; -v: who bypasses the check; rules: some ban parts.
 * Found are: V a virus, B a banned part, X a failed scan, L and l a limit, told by the findings or
 * by their status alone, D a damaged archive, E and A encrypted and ambiguous parts, H27 faults of
 * the header section by minor, Z more octets than the limit, S6.5 a score, s! a failed spam check;
 * W, K the sender is white, black; N the null sender, M a mailing list.
 */
static const struct row {
	const char *settings, *found;
	unsigned main, blocking;
	const char *reply; /* "CODE WORD|REASON"; NULL: it passes */
} rows[] = {
#include "decisions.inc"
};

#define BASE                                                                                       \
	"sa_tag2_level_deflt = 5\nsa_kill_level_deflt = 8\n"                                       \
	"enforce_smtpd_message_size_limit_64kb_min = false\n"                                      \
	"whitelist_sender_maps = { { 'w@x', 'wk@x' } }\n"                                          \
	"blacklist_sender_maps = { { 'k@x', 'wk@x' } }\n"

/* ------------------------------------------------------------------ settings */

static const char *destiny_named(char letter)
{
	return letter == 'P'   ? "D_PASS"
	       : letter == 'D' ? "D_DISCARD"
	       : letter == 'R' ? "D_REJECT"
	       : letter == 'B' ? "D_BOUNCE"
			       : "D_TEMPFAIL";
}

static void add_destiny(struct mw_text *lua, struct mw_text *by, const char *word)
{
	static const struct {
		char letter;
		const char *setting, *category;
	} names[] = {
		{ 'v', "final_virus_destiny", "CC_VIRUS" },
		{ 'b', "final_banned_destiny", "CC_BANNED" },
		{ 'u', "final_unchecked_destiny", "CC_UNCHECKED" },
		{ 's', "final_spam_destiny", "CC_SPAM" },
		{ 'h', "final_bad_header_destiny", "CC_BADH" },
		{ 'y', NULL, "CC_SPAMMY" },
		{ 'o', NULL, "CC_OVERSIZED" },
		{ 'c', NULL, "CC_CLEAN" },
		{ '*', NULL, "CC_CATCHALL" },
	};
	size_t i = 0, n = strlen(word);

	while (names[i].letter != word[0])
		i++;
	if (n == 4)
		mw_text_addf(
			by, "['%s,%c'] = %s, ", names[i].category, word[1], destiny_named(word[3]));
	else if (names[i].setting != NULL)
		mw_text_addf(lua, "%s = %s\n", names[i].setting, destiny_named(word[2]));
	else
		mw_text_addf(by, "[%s] = %s, ", names[i].category, destiny_named(word[2]));
}

static const char *check_named(const char *const names[5], char letter)
{
	return names[strchr("vbush", letter) - "vbush"];
}

static void add_word(struct mw_text *lua, struct mw_text *by, const char *word)
{
	static const char *const lovers[] = { "virus_lovers_maps", "banned_files_lovers_maps",
		"unchecked_lovers_maps", "spam_lovers_maps", "bad_header_lovers_maps" };
	static const char *const checks[] = { "bypass_virus_checks_maps",
		"bypass_banned_checks_maps", NULL, "bypass_spam_checks_maps",
		"bypass_header_checks_maps" };
	static const struct {
		const char *word, *lua;
	} others[] = {
		{ "soft", "soft_bounce = true\n" },
		{ "softd", "soft_bounce_discards = true\n" },
		{ "warnb", "warnbannedsender = true\n" },
		{ "warnh", "warnbadhsender = true\n" },
		{ "rules", "banned_filename_re = new_RE { 'exe$' }\n" },
		{ "tag3=", "sa_tag3_level_deflt = " },
		{ "tag2=", "sa_tag2_level_deflt = " },
		{ "kill=", "sa_kill_level_deflt = " },
	};

	for (size_t i = 0; i < MW_COUNT(others); i++) {
		size_t n = strlen(others[i].word);

		if (strcmp(word, others[i].word) == 0 ||
			(others[i].word[n - 1] == '=' && strncmp(word, others[i].word, n) == 0)) {
			mw_text_addf(lua, "%s%s\n", others[i].lua, word + n);
			return;
		}
	}
	if (word[0] == '+')
		mw_text_addf(lua, "%s = { true }\n", check_named(lovers, word[1]));
	else if (word[0] == '-')
		mw_text_addf(lua, "%s = { true }\n", check_named(checks, word[1]));
	else
		add_destiny(lua, by, word);
}

static struct made *made_with(const char *settings)
{
	struct mw_text lua = { 0 }, by = { 0 };
	char words[200], *save;
	struct made *m;

	mw_text_add(&lua, BASE);
	mw_text_add(&by, "final_destiny_by_ccat = { ");
	mw_strlcpy(words, settings, sizeof(words));
	for (char *w = strtok_r(words, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		add_word(&lua, &by, w);
	mw_text_addf(&lua, "%s}\n", by.p);
	m = make_txn(lua.p);
	make_body(m, "Subject: x\r\n\r\n", 14);
	mw_text_fini(&lua);
	mw_text_fini(&by);
	return m;
}

/* ------------------------------------------------------------------ findings */

static void forget(struct made *m)
{
	struct txn *t = &m->txn;

	smtp_arena_fini(&t->arena);
	memset(&t->found, 0, sizeof(t->found));
	memset(&t->badh, 0, sizeof(t->badh));
	memset(&t->facts, 0, sizeof(t->facts));
	t->checks[JOB_SPAM].state = CHECK_SKIPPED;
	t->rcpt_count = 0;
	t->added_count = 0;
	t->quarantined = false;
	t->sender = "sender@example.com";
	make_check(m, JOB_SCAN, MW_DONE);
}

static void find_more(struct made *m, struct txn_rcpt *r, const char *word)
{
	struct txn *t = &m->txn;

	switch (word[0]) {
	case 'V':
		make_virus(m, "Eicar");
		break;
	case 'B':
		r->banned = true;
		r->banned_part = "part.exe";
		break;
	case 'L':
		t->found.limit_count = 1;
		break;
	case 'l':
		make_check(m, JOB_SCAN, MW_LIMIT);
		break;
	case 'D':
		t->found.broken = true;
		break;
	case 'E':
		t->found.encrypted = 1;
		break;
	case 'A':
		t->found.ambiguous = true;
		break;
	case 'X':
		make_check(m, JOB_SCAN, MW_FAILED);
		break;
	case 'Z':
		r->size_limit = 1;
		break;
	case 'H':
		for (const char *p = word + 1; *p != '\0'; p++)
			t->badh.minors |= MW_BIT((unsigned)(*p - '0'));
		t->badh.count = strlen(word + 1);
		break;
	case 'S':
		make_check(m, JOB_SPAM, MW_DONE);
		t->found.has_spam = true;
		t->found.spam_milli =
			(int32_t)(strtod(word + 1, NULL) * 1000 + (word[1] == '-' ? -0.5 : 0.5));
		break;
	case 's':
		make_check(m, JOB_SPAM, MW_FAILED);
		break;
	case 'W':
		t->sender = strcmp(t->sender, "k@x") == 0 ? "wk@x" : "w@x";
		break;
	case 'K':
		t->sender = strcmp(t->sender, "w@x") == 0 ? "wk@x" : "k@x";
		break;
	case 'N':
		t->sender = "";
		break;
	case 'M':
		t->facts.is_bulk = true;
		break;
	default:
		fail_msg("%s is nothing that could be found", word);
	}
}

static void find_all(struct made *m, struct txn_rcpt *r, const char *found)
{
	char words[100], *save;

	mw_strlcpy(words, found, sizeof(words));
	for (char *w = strtok_r(words, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		find_more(m, r, w);
}

/* ------------------------------------------------------------------ the table */

static const char *expected(const struct row *row)
{
	static char text[300];
	const char *bar = strchr(row->reply, '|');

	snprintf(text, sizeof(text), "%.*s, id=00001-01 - %s", (int)(bar - row->reply), row->reply,
		bar + 1);
	return text;
}

/* What one recipient's decision makes of the reply for all. */
static void the_reply_follows(struct txn *t, struct txn_rcpt *r)
{
	bool bounces = r->action == MW_ACT_BOUNCE;

	assert_int_equal(reply_needs_dsn(t, r), bounces);
	outcome_reply(t);
	assert_string_equal(t->reply, r->reply); /* nobody was notified: as a refusal */
	if (!bounces)
		return;
	r->dsn = DSN_SENT;
	outcome_reply(t);
	assert_string_equal(t->reply, "250 2.5.0 Ok, id=00001-01, BOUNCE");
}

static void row_is_right(struct made *m, const struct row *row, size_t i)
{
	struct txn *t = &m->txn;
	struct txn_rcpt *r;

	forget(m);
	r = make_rcpt(m, "a@example.org");
	find_all(m, r, row->found);
	decide(t);
	r = &t->rcpts[0];
	if (r->ccats[0] != row->main || r->ccat_blocking != row->blocking ||
		(r->reply == NULL) != (row->reply == NULL) ||
		(row->reply != NULL && strcmp(r->reply, expected(row)) != 0))
		fail_msg("row %zu, \"%s\" of \"%s\": %u, %u, %s", i, row->found, row->settings,
			r->ccats[0], r->ccat_blocking, r->reply != NULL ? r->reply : "passes");
	for (size_t k = 1; k < r->ccat_count; k++)
		assert_true(r->ccats[k] < r->ccats[k - 1]);
	assert_int_equal(t->ccats[0] >= r->ccats[0], true);
	if (row->reply != NULL)
		the_reply_follows(t, r);
}

static void each_row_of_the_table_is_what_comes_of_it(void **state)
{
	struct made *m = NULL;

	(void)state;
	assert_true(MW_COUNT(rows) >= 500);
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		if (m == NULL || strcmp(rows[i].settings, rows[i - 1].settings) != 0) {
			if (m != NULL)
				end_txn(m);
			m = made_with(rows[i].settings);
		}
		row_is_right(m, &rows[i], i);
	}
	end_txn(m);
}

/* ------------------------------------------------------------------ any other case */

static uint32_t random_below(uint32_t n)
{
	static uint32_t x = 2463534242u; /* always the same: a failure can be had again */

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x % n;
}

static bool chance(uint32_t in)
{
	return random_below(in) == 0;
}

static void random_policy(struct policy *p)
{
	static const enum mw_destiny all[] = { MW_D_PASS, MW_D_PASS, MW_D_DISCARD, MW_D_REJECT,
		MW_D_BOUNCE, MW_D_TEMPFAIL };

	for (unsigned s = 0; s < CCAT_SLOTS; s++)
		p->asks[ASK_DESTINY + s].dflt.milli = all[random_below(MW_COUNT(all))] * 1000;
	p->asks[ASK_DESTINY + CCAT_CLEAN].dflt.milli = MW_D_PASS * 1000;
	p->asks[ASK_DESTINY + CCAT_CLEAN_TAG].dflt.milli = MW_D_PASS * 1000;
	p->soft_bounce = chance(8);
	p->soft_bounce_discards = chance(2);
	p->warn_banned_sender = chance(4);
	p->warn_bad_header_sender = chance(4);
	p->bans = chance(2);
	assert_int_equal(rcpt_policy_prepare(p, NULL), MW_OK);
}

static void random_findings(struct made *m)
{
	static const char *const words[] = { "V", "L", "l", "D", "E", "A", "X", "H2", "H27", "S1",
		"S6", "S9", "s!", "W", "K", "N", "M" };

	forget(m);
	for (size_t i = random_below(3) + 1; i-- > 0;) {
		struct txn_rcpt *r = make_rcpt(m, "a@example.org");

		r->bypass_virus = chance(5);
		r->bypass_spam = chance(5);
		r->bypass_banned = chance(5);
		r->bypass_header = chance(5);
		r->banned = chance(6);
		r->size_limit = chance(8);
		for (unsigned s = 0; s < CCAT_SLOTS; s++)
			r->loves[s] = chance(10);
	}
	for (size_t i = random_below(4); i-- > 0;)
		find_more(m, &m->txn.rcpts[0], words[random_below(MW_COUNT(words))]);
}

/* As transaction_delivery.c takes the next hop's answers. */
static void random_delivery(struct txn *t)
{
	static const unsigned codes[] = { 250, 250, 250, 450, 554, 0, 354 };

	for (size_t i = 0; i < t->rcpt_count; i++) {
		struct txn_rcpt *r = &t->rcpts[i];

		if (r->code != 0)
			continue;
		r->code = codes[random_below(MW_COUNT(codes))];
		r->from_next_hop = true;
		r->delivered = r->code / 100 == 2;
		r->reply = r->delivered		? "250 2.0.0 queued"
			   : r->code / 100 == 4 ? "450 4.0.0 later"
						: "554 5.0.0 no";
		r->action = r->delivered	 ? MW_ACT_PASS
			    : r->code / 100 == 5 ? MW_ACT_REJECT
						 : MW_ACT_TEMPFAIL;
		if (r->code / 100 == 4 || r->code / 100 == 5)
			decide_hop_refusal(t, r);
	}
}

static void random_notices(struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (reply_needs_dsn(t, &t->rcpts[i]))
			t->rcpts[i].dsn = (enum txn_dsn)random_below(3);
	t->quarantined = chance(2);
	for (size_t i = 0; i < t->rcpt_count; i++)
		t->rcpts[i].copy =
			t->quarantined && t->rcpts[i].code / 100 == 5 && chance(2) ? 0 : -1;
}

/* Somebody has it, or policy threw it away, or the sender was told. */
static bool stands_behind(const struct txn *t, const struct txn_rcpt *r)
{
	if (r->code / 100 == 2)
		return r->delivered || r->destiny == MW_D_DISCARD;
	if (r->code / 100 != 5)
		return false;
	return r->dsn != DSN_NONE || (t->client_delivers && t->quarantined && r->copy >= 0);
}

static void is_honest(const struct txn *t, size_t round)
{
	const struct findings *f = &t->found;
	bool scan_failed = t->checks[JOB_SCAN].status == MW_FAILED,
	     untold = f->limit_count > 0 || f->broken || t->checks[JOB_SCAN].status == MW_LIMIT,
	     spam_failed = t->checks[JOB_SPAM].state == CHECK_OVER &&
			   t->checks[JOB_SPAM].status == MW_FAILED;

	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct txn_rcpt *r = &t->rcpts[i];
		bool unknown = (scan_failed && !(r->bypass_virus && r->bypass_banned)) ||
			       (spam_failed && !r->bypass_spam) || f->ambiguous ||
			       (!r->bypass_virus && (untold || f->encrypted > 0)) ||
			       (!r->bypass_banned && t->policy->bans && untold);

		if (unknown && r->ccats[0] < MW_CCAT(MW_CC_UNCHECKED, 0))
			fail_msg("round %zu, recipient %zu: %u", round, i, r->ccats[0]);
		if (t->reply_code / 100 == 2 && !stands_behind(t, r) &&
			!(t->per_rcpt && !t->client_delivers))
			fail_msg("round %zu, recipient %zu: %s", round, i, t->reply);
		if (r->told != NULL && r->told[0] == '2' && !stands_behind(t, r))
			fail_msg("round %zu, recipient %zu: %s", round, i, r->told);
		if (r->ccat_blocking != 0 &&
			r->destinies[ccat_slot_of(r->ccat_blocking)] == MW_D_TEMPFAIL)
			assert_int_equal(r->code / 100, 4);
	}
	assert_int_equal(strtoul(t->reply, NULL, 10), t->reply_code);
}

static void no_case_is_clean_unseen_or_told_2xx_without_somebody_behind_it(void **state)
{
	struct made *m = made_with("");
	struct policy policy = *m->txn.policy;
	struct txn *t = &m->txn;

	(void)state;
	t->policy = &policy;
	for (size_t round = 0; round < 60000; round++) {
		if (round % 8 == 0)
			random_policy(&policy);
		random_findings(m);
		t->per_rcpt = chance(2);
		t->client_delivers = chance(3);
		decide(t);
		random_delivery(t);
		random_notices(t);
		outcome_reply(t);
		is_honest(t, round);
	}
	end_txn(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_of_the_table_is_what_comes_of_it),
		cmocka_unit_test(no_case_is_clean_unseen_or_told_2xx_without_somebody_behind_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
