/* What the tests of container readers share: a budget, and what came out. */
#ifndef TEST_CAGE_CONTAINERS_H
#define TEST_CAGE_CONTAINERS_H

#include "help.h"

#include "container.h"

struct seen {
	unsigned count, others, encrypted, broken, stop_after; /* others: folders, links */
	size_t octets;
	bool ambiguous;
	struct budget *into; /* members without a name are opened as well, not noted */
	char names[1024];    /* each with a semicolon; aliases behind a bar */
	char contents[2048]; /* of the members: texts, each with a semicolon */
};

static inline void note(char *to, size_t size, const char *text, size_t n)
{
	size_t at = strlen(to);

	if (n == 0 || at + n + 1 > size)
		return;
	memcpy(to + at, text, n);
	to[at + n] = '\0';
}

static inline bool seen_got(void *arg, const struct container_member *m)
{
	struct seen *s = arg;
	struct container_job inner = { .octets = m->octets,
		.name = "",
		.budget = s->into,
		.got = seen_got,
		.arg = s,
		.ambiguous_r = &s->ambiguous };

	if (s->into != NULL && m->name[0] == '\0') {
		for (const struct container *const *c = container_rows; *c != NULL; c++)
			if ((*c)->knows(m->octets) && (*c)->open(&inner) != CONTAINER_WHOLE)
				return false;
		return true;
	}
	s->others += m->kind != 0;
	s->count += m->kind == 0;
	s->encrypted += m->encrypted;
	s->broken += m->broken;
	s->octets += m->octets.n;
	note(s->names, sizeof(s->names), m->name, strlen(m->name));
	for (unsigned i = 0; i < CONTAINER_ALIASES_MAX && m->aliases[i] != NULL; i++) {
		note(s->names, sizeof(s->names), "|", 1);
		note(s->names, sizeof(s->names), m->aliases[i], strlen(m->aliases[i]));
	}
	note(s->names, sizeof(s->names), ";", 1);
	if (m->octets.n < 100) {
		note(s->contents, sizeof(s->contents), (const char *)m->octets.p, m->octets.n);
		note(s->contents, sizeof(s->contents), ";", 1);
	}
	return s->stop_after == 0 || s->count < s->stop_after;
}

static inline struct budget wide_budget(void)
{
	static const struct budget_conf conf = { 14, 1500, 10 << 20, 10 << 20, 5, 500 };
	struct budget b;

	budget_open(&b, &conf, 1000, mw_mono_ms() + 60000);
	return b;
}

/* Every reader that knows the octets, one level deep; the worst end. CONTAINER_WHOLE and count 0
 * when nobody knows them. */
static inline enum container_end open_with(struct mw_octets o, struct budget *b, struct seen *s,
	const char *name, struct passwords *passwords)
{
	struct container_job job = { .octets = o,
		.name = name,
		.budget = b,
		.passwords = passwords,
		.got = seen_got,
		.arg = s,
		.ambiguous_r = &s->ambiguous };
	enum container_end worst = CONTAINER_WHOLE, end;
	const struct seen orders = { .stop_after = s->stop_after, .into = s->into };

	*s = orders;
	for (const struct container *const *c = container_rows; *c != NULL; c++) {
		if (!(*c)->knows(o))
			continue;
		end = (*c)->open(&job);
		worst = end > worst ? end : worst;
	}
	return worst;
}

static inline enum container_end open_all(struct mw_octets o, struct budget *b, struct seen *s)
{
	return open_with(o, b, s, "", NULL);
}

#endif
