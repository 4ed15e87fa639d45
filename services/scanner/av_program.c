#include "av_program.h"

#include <stdio.h>

#define LINES_MAX 4096 /* of one output that are looked through for names */

/* MW_OK: it is so; MW_ERR_GONE: it is not; MW_ERR_LIMIT: nobody knows. Output has names that
 * senders choose, and patterns have limits. */
static enum mw_rc is(const struct avs_test *t, const struct program_ran *ran)
{
	if (t->pattern != NULL)
		return mw_pattern_match(t->pattern, ran->output);
	for (unsigned i = 0; i < t->count && !ran->late && ran->signal == 0; i++)
		if ((int)ran->code == t->codes[i])
			return MW_OK;
	return MW_ERR_GONE;
}

/* The last "pNNN" of the line that is one of the run's files. */
static size_t file_in(struct mw_octets line, const struct program_ran *ran)
{
	size_t file = ran->first;

	for (size_t i = 0; i + 3 < line.n; i++) {
		size_t number = 0, k = i + 1;

		if (line.p[i] != 'p')
			continue;
		for (; k < line.n && line.p[k] >= '0' && line.p[k] <= '9' && k - i < 9; k++)
			number = number * 10 + (size_t)(line.p[k] - '0');
		if (k - i >= 4 && number > ran->first && number <= ran->first + ran->count)
			file = number - 1;
	}
	return file;
}

/* False: there is no name in it. */
static bool name_in(struct mw_pattern *names, struct mw_octets line, char name[AVS_VIRUS_MAX])
{
	struct mw_octets got;

	if (names == NULL || mw_pattern_match(names, line) != MW_OK)
		return false;
	got = mw_pattern_capture(names, line, mw_pattern_captures(names) > 0 ? 1 : 0);
	mw_strncpy(name, AVS_VIRUS_MAX, got.p, got.n);
	return got.n > 0;
}

static void tell_names(const struct avs_entry *e, const struct program_ran *ran,
	void (*virus)(void *arg, const char *name, size_t file), void *arg)
{
	struct mw_octets rest = ran->output;
	bool any = false;

	for (unsigned i = 0; rest.n > 0 && i < LINES_MAX; i++) {
		const unsigned char *end = memchr(rest.p, '\n', rest.n);
		size_t n = end != NULL ? (size_t)(end - rest.p) : rest.n;
		struct mw_octets line = mw_octets_of(rest.p, n);
		char name[AVS_VIRUS_MAX];

		if (name_in(e->names, line, name)) {
			virus(arg, name, file_in(line, ran));
			any = true;
		}
		rest = mw_octets_of(rest.p + n + (end != NULL), rest.n - n - (end != NULL));
	}
	if (!any)
		virus(arg, "", ran->first);
}

enum avs_answer avs_program_judge(const struct avs_entry *e, const struct program_ran *ran,
	void (*virus)(void *arg, const char *name, size_t file), void *arg, char why_r[AVS_WHY_MAX])
{
	enum mw_rc infected = is(&e->infected, ran);

	why_r[0] = '\0';
	if (infected == MW_OK) {
		tell_names(e, ran, virus, arg);
		return AVS_INFECTED;
	}
	if (ran->late) {
		mw_strlcpy(why_r, "its time was up, or it wrote too much", AVS_WHY_MAX);
		return AVS_FAILED;
	}
	if (ran->signal != 0) {
		snprintf(why_r, AVS_WHY_MAX, "ended by signal %u", (unsigned)ran->signal);
		return AVS_REFUSED;
	}
	if (infected != MW_ERR_GONE) {
		mw_strlcpy(why_r, "`infected` met its limits on the output", AVS_WHY_MAX);
		return AVS_REFUSED;
	}
	if (!e->clean.set) {
		mw_strlcpy(why_r, "never vouches", AVS_WHY_MAX);
		return AVS_SILENT;
	}
	if (is(&e->clean, ran) == MW_OK)
		return AVS_CLEAN;
	snprintf(why_r, AVS_WHY_MAX, "neither infected nor clean, exit code %u",
		(unsigned)ran->code);
	return AVS_REFUSED;
}
