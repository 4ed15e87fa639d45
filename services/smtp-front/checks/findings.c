#include "findings.h"

#include <math.h>

#include "digest.h"

#define ITEMS_MAX 1000 /* of any list in findings */
#define TEXT_MAX 1000  /* octets of a name or reason that is kept */
#define PARTS_MAX 2000 /* as many as a scanner tells of */
#define PART_FIELDS                                                                                \
	7 /* of one in the tree at least; the digest and more come from newer scanners */

static bool keep(struct txn *t, struct mw_octets *o)
{
	o->n = o->n > TEXT_MAX ? TEXT_MAX : o->n;
	o->p = (const unsigned char *)smtp_arena_copy(&t->arena, o->p, o->n);
	return o->p != NULL;
}

/* Items of a list in a map; 0 when it is absent. False: it is there and no list, or too long. */
static bool open_list(struct mw_octets map, const char *key, struct mw_cur *c_r, size_t *count_r)
{
	*count_r = 0;
	if (!mw_map_find(map, key, c_r))
		return true;
	return mw_cur_array(c_r, count_r) && *count_r <= ITEMS_MAX;
}

/* False: it is there and no boolean; absent is false. */
static bool bool_field(struct mw_octets map, const char *key, bool *v_r)
{
	struct mw_cur c;

	*v_r = false;
	return !mw_map_find(map, key, &c) || mw_cur_bool(&c, v_r);
}

static bool text_field(struct txn *t, struct mw_octets map, const char *key, struct mw_octets *o_r)
{
	*o_r = mw_map_octets(map, key);
	return o_r->p == NULL || keep(t, o_r);
}

static bool text_list(struct txn *t, struct mw_octets map, const char *key, struct mw_list *list_r)
{
	struct mw_octets *items;
	struct mw_cur c;
	size_t count;

	if (!open_list(map, key, &c, &count))
		return false;
	items = smtp_arena_array(&t->arena, count, sizeof(*items));
	if (items == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!mw_cur_octets(&c, SIZE_MAX, &items[i]) || !keep(t, &items[i]))
			return false;
	*list_r = (struct mw_list){ count, items };
	return true;
}

static bool take_viruses(struct txn *t, struct mw_octets map)
{
	struct mw_octets item;
	struct mw_cur c;
	size_t count;

	/* Not there is not none: a scan that does not speak of viruses has not looked for any. */
	if (!mw_map_find(map, "viruses", &c) || !open_list(map, "viruses", &c, &count))
		return false;
	t->found.viruses = smtp_arena_array(&t->arena, count, sizeof(*t->found.viruses));
	if (t->found.viruses == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct finding_virus *v = &t->found.viruses[i];

		if (!mw_cur_raw_map(&c, &item) || !text_field(t, item, "scanner", &v->scanner) ||
			!text_field(t, item, "name", &v->name))
			return false;
	}
	t->found.virus_count = count; /* a virus without a name is a virus */
	return true;
}

/* Words among mime_errors that are no fault of the mail's MIME. */
static const char *const no_errors[] = { "archive_broken", "archive_ambiguous", "archive_password",
	"external_body", NULL };
static const char *const none[] = { NULL };

static bool is_among(struct mw_octets word, const char *const *words)
{
	while (*words != NULL && !mw_octets_ieq(word, *words))
		words++;
	return *words != NULL;
}

static bool has_word(const struct mw_list *list, const char *word)
{
	for (size_t i = 0; i < list->count; i++)
		if (mw_octets_ieq(list->items[i], word))
			return true;
	return false;
}

/* "a,b,c", of words but for some. */
static bool join_words(struct txn *t, const struct mw_list *list, const char *const *but,
	struct mw_octets *words_r)
{
	struct mw_text words = { 0 };

	for (size_t i = 0; i < list->count; i++) {
		if (is_among(list->items[i], but))
			continue;
		mw_text_add(&words, words.n > 0 ? "," : "");
		mw_text_add_octets(&words, list->items[i].p, list->items[i].n);
	}
	*words_r = mw_octets_of(smtp_arena_copy(&t->arena, words.p, words.n), words.n);
	mw_text_fini(&words);
	return words_r->p != NULL;
}

/* ".exe": so rules see short types. */
static bool add_dot(struct txn *t, struct mw_octets *type)
{
	const char *s = smtp_arena_printf(
		&t->arena, ".%.*s", (int)(type->n < 40 ? type->n : 40), (const char *)type->p);

	*type = mw_octets_of_text(s);
	return s != NULL;
}

/* The items of the list that the cursor stands at, kept. */
static bool read_texts(struct txn *t, struct mw_cur *c, struct mw_list *list_r, bool dots)
{
	struct mw_octets *items;
	size_t count;

	if (!mw_cur_array(c, &count) || count > ITEMS_MAX)
		return false;
	items = smtp_arena_array(&t->arena, count, sizeof(*items));
	if (items == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!mw_cur_octets(c, SIZE_MAX, &items[i]) || !keep(t, &items[i]) ||
			(dots && !add_dot(t, &items[i])))
			return false;
	*list_r = (struct mw_list){ count, items };
	return true;
}

/* Older scanners tell none. What is no digest is not taken for one. */
static bool read_digest(struct txn *t, struct mw_cur *c, size_t *fields, struct finding_part *p)
{
	if (*fields == 0)
		return true;
	--*fields;
	return mw_cur_octets(c, MW_SHA256_OCTETS, &p->digest) &&
	       (p->digest.n == 0 || p->digest.n == MW_SHA256_OCTETS) && keep(t, &p->digest);
}

static bool read_part(struct txn *t, struct mw_cur *c, size_t number)
{
	struct finding_part *p = &t->found.parts[number - 1];
	uint64_t parent;
	size_t fields;

	/* Nothing lies in itself, or in what comes behind it. */
	if (!mw_cur_array(c, &fields) || fields < PART_FIELDS ||
		!mw_cur_uint(c, number - 1, &parent) ||
		!mw_cur_octets(c, SIZE_MAX, &p->placement) || !keep(t, &p->placement) ||
		!mw_cur_octets(c, SIZE_MAX, &p->type) || !keep(t, &p->type) ||
		!read_texts(t, c, &p->names, false) || !read_texts(t, c, &p->types, true) ||
		!mw_cur_octets(c, SIZE_MAX, &p->attributes) || !keep(t, &p->attributes) ||
		!mw_cur_uint(c, UINT64_MAX, &p->size))
		return false;
	fields -= PART_FIELDS;
	if (!read_digest(t, c, &fields, p) || !mw_cur_skip(c, fields))
		return false;
	p->parent = (size_t)parent;
	p->leaf = true;
	if (parent > 0)
		t->found.parts[parent - 1].leaf = false;
	return true;
}

static bool take_tree(struct txn *t, struct mw_octets map)
{
	struct mw_cur c;
	size_t count;

	if (!mw_map_find(map, "tree", &c))
		return true;
	if (!mw_cur_array(&c, &count) || count > PARTS_MAX)
		return false;
	t->found.parts = smtp_arena_array(&t->arena, count, sizeof(*t->found.parts));
	if (t->found.parts == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!read_part(t, &c, i + 1))
			return false;
	t->found.part_count = count;
	/* Every mail is a part: none is not "nothing banned". Nor is what was not asked for. */
	t->found.has_tree = count > 0 && t->tree_ordered;
	return true;
}

static bool take_scan(struct txn *t, struct mw_octets map)
{
	struct mw_list limits = { 0 }, errors = { 0 };
	struct mw_cur c;

	if (!take_viruses(t, map) || !text_list(t, map, "names", &t->found.names) ||
		!text_list(t, map, "content", &t->found.content) ||
		!text_list(t, map, "limits", &limits) ||
		!text_list(t, map, "mime_errors", &errors) ||
		!open_list(map, "encrypted", &c, &t->found.encrypted) ||
		!bool_field(map, "ambiguous", &t->found.ambiguous) || !take_tree(t, map))
		return false;
	t->found.decode_us = (uint64_t)mw_map_int(map, "decode_us", 0);
	t->found.virus_us = (uint64_t)mw_map_int(map, "virus_us", 0);
	t->found.limit_count = limits.count;
	t->found.broken = has_word(&errors, "archive_broken");
	return join_words(t, &limits, none, &t->found.limits) &&
	       join_words(t, &errors, no_errors, &t->found.mime_errors);
}

static bool take_auth(struct txn *t, struct mw_octets map)
{
	struct mw_octets item;
	struct mw_cur c;
	size_t count;

	if (!open_list(map, "signatures", &c, &count))
		return false;
	t->found.signatures = smtp_arena_array(&t->arena, count, sizeof(*t->found.signatures));
	if (t->found.signatures == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct finding_signature *s = &t->found.signatures[i];

		if (!mw_cur_raw_map(&c, &item) || !text_field(t, item, "d", &s->d) ||
			!text_field(t, item, "s", &s->s) || !text_field(t, item, "a", &s->a) ||
			!text_field(t, item, "b", &s->b) ||
			!text_field(t, item, "result", &s->result) ||
			!text_field(t, item, "reason", &s->reason) || s->result.n == 0)
			return false;
		s->bits = mw_map_int(item, "bits", 0);
		s->expired = mw_map_bool(item, "expired", false);
		s->testing = mw_map_bool(item, "testing", false);
	}
	t->found.signature_count = count;
	return true;
}

#define SCORE_MILLI_MAX 100000000 /* points times 1000: no engine says more */

/* Lines of printable ASCII (docs/wire.md): what they become part of needs no look at them. */
static bool is_report(struct mw_octets o)
{
	const unsigned char *p = o.p, *end = o.p + o.n, *eol;

	if (o.n > MW_SPAM_REPORT_MAX)
		return false;
	for (; p < end; p = eol + 1) {
		eol = memchr(p, '\n', (size_t)(end - p));
		if (eol == NULL || eol - p > MW_SPAM_REPORT_LINE_MAX ||
			!mw_is_printable(p, (size_t)(eol - p)))
			return false;
	}
	return true;
}

static bool take_report(struct txn *t, struct mw_octets map)
{
	struct mw_octets report = mw_map_octets(map, "report");

	if (report.n == 0)
		return true;
	if (!is_report(report))
		return false;
	report.p = (const unsigned char *)smtp_arena_copy(&t->arena, report.p, report.n);
	if (report.p != NULL)
		t->found.report = report;
	return report.p != NULL;
}

static bool take_spam(struct txn *t, struct mw_octets map)
{
	int64_t score = mw_map_int(map, "score_milli", INT64_MAX), milli;
	struct mw_cur c;
	size_t count, pair;

	if (score > SCORE_MILLI_MAX || score < -SCORE_MILLI_MAX ||
		!open_list(map, "tests", &c, &count))
		return false;
	t->found.tests = smtp_arena_array(&t->arena, count + 2, sizeof(*t->found.tests));
	if (t->found.tests == NULL || !text_field(t, map, "autolearn", &t->found.autolearn))
		return false;
	for (size_t i = 0; i < count; i++) {
		struct mw_record_test *test = &t->found.tests[i];

		if (!mw_cur_array(&c, &pair) || pair < 2 || !mw_cur_octets(&c, 200, &test->name) ||
			!keep(t, &test->name) || !mw_is_printable(test->name.p, test->name.n) ||
			!mw_cur_int(&c, &milli) || milli > SCORE_MILLI_MAX ||
			milli < -SCORE_MILLI_MAX || !mw_cur_skip(&c, pair - 2))
			return false;
		test->milli = (int32_t)milli;
	}
	if (!take_report(t, map))
		return false;
	t->found.test_count = count;
	t->found.spam_milli = (int32_t)score;
	t->found.has_spam = true;
	return true;
}

/* reputation.md 5.2: -bonus * 2^(-age / halflife). */
static bool read_penpals(struct txn *t, struct mw_octets map)
{
	struct mw_octets item;
	struct mw_cur c;
	size_t count;

	if (!open_list(map, "penpals", &c, &count))
		return false;
	for (; count > 0; count--) {
		int64_t index, age;
		struct txn_rcpt *r;

		if (!mw_cur_raw_map(&c, &item))
			return false;
		index = mw_map_int(item, "rcpt", -1);
		age = mw_map_int(item, "age_s", -1);
		if (index < 0 || (uint64_t)index >= t->rcpt_count || age < 0)
			return false;
		r = &t->rcpts[index];
		if (!text_field(t, item, "mail_id", &r->mail_id_related))
			return false;
		r->penpals_age_s = age;
		r->penpals_milli = -(int32_t)lround(
			(double)t->policy->penpals_bonus_milli *
			exp2(-(double)age / (double)t->policy->penpals_halflife_s));
	}
	return true;
}

/* All or none: a bonus out of a map that lies rescues nothing. */
static bool take_penpals(struct txn *t, struct mw_octets map)
{
	bool ok = read_penpals(t, map);

	for (size_t i = 0; i < t->rcpt_count && !ok; i++) {
		t->rcpts[i].penpals_age_s = -1;
		t->rcpts[i].penpals_milli = 0;
	}
	return ok;
}

/* reputation.md 4.1: counts only from 0.5 on; capped by ip_repu_score_limit. */
static bool take_reputation(struct txn *t, struct mw_octets map)
{
	struct mw_cur c;
	int64_t milli = 0;

	if ((mw_map_find(map, "score_milli", &c) && !mw_cur_int(&c, &milli)) ||
		milli > SCORE_MILLI_MAX || milli < 0 ||
		!text_field(t, map, "worst", &t->found.ip_worst) || !take_penpals(t, map))
		return false;
	if (t->policy->ip_repu && milli >= 500) {
		int32_t limit = t->policy->ip_repu_limit_milli;

		t->found.ip_milli = limit > 500 && milli > limit ? limit : (int32_t)milli;
	}
	return true;
}

/* What may stand behind a line's end: nothing, the rest of a folded field, or another signature. */
static bool goes_on(const unsigned char *p, size_t n)
{
	return n == 0 || *p == ' ' || *p == '\t' ||
	       (n > 15 && memcmp(p, "DKIM-Signature:", 15) == 0);
}

static bool take_sign(struct txn *t, struct mw_octets map)
{
	struct mw_octets fields = mw_map_octets(map, "fields");

	/* It stands above the mail: it has to be fields, and nothing but. */
	if (fields.n < 20 || fields.n > 64 * 1024 || memcmp(fields.p, "DKIM-Signature:", 15) != 0 ||
		memcmp(fields.p + fields.n - 2, "\r\n", 2) != 0)
		return false;
	for (size_t i = 0; i < fields.n; i++)
		if (fields.p[i] == '\0' ||
			(fields.p[i] == '\r') != (i + 1 < fields.n && fields.p[i + 1] == '\n') ||
			(fields.p[i] == '\n' && !goes_on(fields.p + i + 1, fields.n - i - 1)))
			return false;
	if (!text_list(t, map, "domains", &t->found.signed_domains))
		return false;
	t->found.sign_fields.p =
		(const unsigned char *)smtp_arena_copy(&t->arena, fields.p, fields.n);
	t->found.sign_fields.n = fields.n;
	return t->found.sign_fields.p != NULL;
}

enum mw_rc findings_take(struct txn *t, enum dispatch_kind kind, struct mw_octets map)
{
	static bool (*const take[JOB_KINDS])(struct txn * t, struct mw_octets map) = {
		[JOB_AUTH] = take_auth,
		[JOB_SCAN] = take_scan,
		[JOB_REPUTATION] = take_reputation,
		[JOB_SPAM] = take_spam,
		[JOB_SIGN] = take_sign,
	};

	struct mw_cur c = mw_cur_of(map.p, map.n);
	struct mw_octets whole;

	/* Looking up a key in half a map finds nothing, and nothing found would be clean. */
	if (!mw_cur_raw_map(&c, &whole) || !mw_cur_end(&c))
		return MW_ERR_PROTO;
	return take[kind] == NULL || take[kind](t, map) ? MW_OK : MW_ERR_PROTO;
}
