#include "av_check.h"

#include <stdio.h>

bool avc_answered(const struct avc_told *t)
{
	return avs_answered(&t->others) || (t->builtin_asked && t->builtin <= AVS_INFECTED);
}

static int list_length(struct mw_octets findings, const char *key, struct mw_cur *c)
{
	size_t n;

	return mw_map_find(findings, key, c) && mw_cur_array(c, &n) && n <= INT32_MAX ? (int)n : -1;
}

int avc_viruses(struct mw_octets findings)
{
	struct mw_cur c;

	return list_length(findings, "viruses", &c);
}

enum avs_answer avc_builtin(enum scan_engine_end end, struct mw_octets findings)
{
	return avc_viruses(findings) > 0     ? AVS_INFECTED
	       : end == SCAN_ENGINE_ANSWERED ? AVS_CLEAN
					     : AVS_FAILED;
}

int avc_limits(struct mw_octets findings, bool drop_engine)
{
	struct mw_cur c;
	struct mw_octets word;
	int n = list_length(findings, "limits", &c), left = 0;

	for (int i = 0; i < n; i++)
		if (mw_cur_octets(&c, SIZE_MAX, &word))
			left += !(drop_engine && mw_octets_ieq(word, "engine"));
	return n < 0 ? -1 : left;
}

/* ------------------------------------------------------------------ the list of what was found */

static void put_find(struct mw_pack *b, const struct avs_find *f)
{
	mw_pack_map(b, 3);
	mw_pack_kv_text(b, "scanner", f->scanner);
	mw_pack_kv_text(b, "name", f->name);
	mw_pack_kv_text(b, "part", f->part);
}

static void put_viruses(
	struct mw_pack *b, struct mw_octets findings, const struct avc_told *told, unsigned lists)
{
	struct mw_octets item;
	struct mw_cur c;
	int own = list_length(findings, "viruses", &c);
	size_t all = own > 0 ? (size_t)own : 0;

	for (unsigned l = 0; l < lists; l++)
		all += told[l].others.find_count;
	mw_pack_array(b, all);
	for (int i = 0; i < own; i++) {
		b->failed = b->failed || !mw_cur_raw_map(&c, &item);
		if (!b->failed)
			mw_pack_raw(b, item);
	}
	for (unsigned l = 0; l < lists; l++)
		for (unsigned i = 0; i < told[l].others.find_count; i++)
			put_find(b, &told[l].others.finds[i]);
}

static void put_limits(struct mw_pack *b, struct mw_octets findings, bool drop_engine)
{
	struct mw_octets word;
	struct mw_cur c;
	int n = list_length(findings, "limits", &c), left = avc_limits(findings, drop_engine);

	mw_pack_array(b, left > 0 ? (size_t)left : 0);
	for (int i = 0; i < n; i++)
		if (mw_cur_octets(&c, SIZE_MAX, &word) &&
			!(drop_engine && mw_octets_ieq(word, "engine")))
			mw_pack_octets(b, word);
}

/* ------------------------------------------------------------------ how each fared */

static void put_told(struct mw_pack *b, const char *scanner, enum avs_answer answer,
	const char *why, uint64_t us)
{
	mw_pack_map(b, 4);
	mw_pack_kv_text(b, "scanner", scanner);
	mw_pack_kv_text(b, "answer", avs_answer_name(answer));
	mw_pack_kv_text(b, "why", why);
	mw_pack_kv_int(b, "us", (int64_t)us);
}

static void put_scanners(
	struct mw_pack *b, const char *builtin, const struct avc_told *told, unsigned lists)
{
	size_t n = 0;

	for (unsigned l = 0; l < lists; l++)
		n += told[l].others.told_count + told[l].builtin_asked;
	mw_pack_text(b, "scanners");
	mw_pack_array(b, n);
	for (unsigned l = 0; l < lists; l++) {
		const struct avs_result *r = &told[l].others;

		if (told[l].builtin_asked)
			put_told(b, builtin, told[l].builtin, told[l].builtin_why, 0);
		for (unsigned i = 0; i < r->told_count; i++)
			put_told(b, r->told[i].scanner, r->told[i].answer, r->told[i].why,
				r->told[i].us);
	}
}

static uint64_t slowest_us(const struct avc_told *told, unsigned lists)
{
	uint64_t all = 0;

	for (unsigned l = 0; l < lists; l++) {
		uint64_t most = 0;

		for (unsigned i = 0; i < told[l].others.told_count; i++)
			if (told[l].others.told[i].us > most)
				most = told[l].others.told[i].us;
		all += most;
	}
	return all;
}

static void put_pair(struct mw_pack *b, struct mw_octets key, struct mw_octets value,
	struct mw_octets findings, const struct avc_told *told, unsigned lists, bool drop_engine)
{
	mw_pack_octets(b, key);
	if (mw_key_is(key, "viruses"))
		put_viruses(b, findings, told, lists);
	else if (mw_key_is(key, "limits"))
		put_limits(b, findings, drop_engine);
	else if (mw_key_is(key, "virus_us"))
		mw_pack_int(
			b, mw_map_int(findings, "virus_us", 0) + (int64_t)slowest_us(told, lists));
	else
		mw_pack_raw(b, value);
}

void avc_merge(struct mw_pack *b, struct mw_octets findings, const char *builtin,
	const struct avc_told *told, unsigned lists, bool drop_engine)
{
	struct mw_cur c = mw_cur_of(findings.p, findings.n);
	struct mw_octets key, value;
	size_t pairs = 0;

	if (!mw_cur_map(&c, &pairs))
		pairs = 0;
	mw_pack_map(b, pairs + 1);
	for (size_t i = 0; i < pairs; i++) {
		if (!mw_cur_key(&c, &key) || !mw_cur_raw(&c, &value)) {
			b->failed = true; /* it was one whole map when it came: never */
			return;
		}
		put_pair(b, key, value, findings, told, lists, drop_engine);
	}
	put_scanners(b, builtin, told, lists);
}

/* ------------------------------------------------------------------ why nobody answered */

static size_t add_why(char *text, size_t size, size_t n, const char *scanner, const char *why)
{
	int more =
		n < size ? snprintf(text + n, size - n, "%s%s: %s", n > 0 ? "; " : "", scanner, why)
			 : 0;

	return n + (more > 0 ? (size_t)more : 0);
}

void avc_why(
	char *text, size_t size, const struct avc_told *told, unsigned lists, const char *builtin)
{
	size_t n = 0;

	text[0] = '\0';
	for (unsigned l = 0; l < lists; l++) {
		const struct avs_result *r = &told[l].others;

		if (told[l].builtin_asked && told[l].builtin >= AVS_REFUSED)
			n = add_why(text, size, n, builtin, told[l].builtin_why);
		for (unsigned i = 0; i < r->told_count; i++)
			if (r->told[i].answer >= AVS_REFUSED)
				n = add_why(text, size, n, r->told[i].scanner, r->told[i].why);
	}
	if (n == 0)
		mw_strlcpy(text, "no scanner vouches", size);
}
