#include <ctype.h>
#include <stdlib.h>

#include "decode.h"
#include "passwords.h"

#define TEXT_MOST ((size_t)256 * 1024) /* octets of one text part that are looked at */
#define TEXTS_MOST 32		       /* text parts */
#define HEADER_MOST ((size_t)64 * 1024)
#define WORD_MOST 64 /* octets of a password */
#define NEAR 4	     /* words behind "password" that may be it */
#define RANK_BEFORE 6
#define DEPTH 14
#define PARTS 200

/* ------------------------------------------------------------------ words */

static bool same_word(const struct passwords *p, const struct password_word *w, struct mw_octets o)
{
	return w->n == o.n && memcmp(p->text + w->at, o.p, o.n) == 0;
}

static void add(struct passwords *p, struct mw_octets o, unsigned rank)
{
	unsigned at = p->count;
	/* What the settings say has its place, whatever the mail says. */
	size_t kept = rank == UINT16_MAX || p->set.n > sizeof(p->text) ? 0 : p->set.n;

	if (o.n == 0 || o.n > WORD_MOST || p->count == PASSWORDS_MOST ||
		o.n + kept > sizeof(p->text) - p->octets)
		return;
	for (unsigned i = 0; i < p->count; i++)
		if (same_word(p, &p->words[i], o))
			return;
	memcpy(p->text + p->octets, o.p, o.n);
	while (at > 0 && p->words[at - 1].rank > rank) {
		p->words[at] = p->words[at - 1];
		at--;
	}
	p->words[at] = (struct password_word){ (uint16_t)p->octets, (uint16_t)o.n, (uint16_t)rank };
	p->octets += o.n;
	p->count++;
}

/* What people put around a word: octets, and UTF-8's quotation marks. */
static const char *const around[] = { "\"", "'", "`", "<", ">", "(", ")", "[", "]", "{", "}", "*",
	"_", ".", ",", ";", ":", "!", "?", "=", "\u201c", "\u201d", "\u201e", "\u2018", "\u2019",
	"\u00ab", "\u00bb", "\uff1a", "\u3002", "\uff0c", "\u300c", "\u300d" };

static struct mw_octets stripped(struct mw_octets o)
{
	for (size_t i = 0; i < MW_COUNT(around); i++) {
		size_t n = strlen(around[i]);

		if (o.n >= n && memcmp(o.p, around[i], n) == 0)
			o = mw_octets_of(o.p + n, o.n - n);
		else if (o.n >= n && memcmp(o.p + o.n - n, around[i], n) == 0)
			o = mw_octets_of(o.p, o.n - n);
		else
			continue;
		i = (size_t)-1; /* from the first again */
	}
	return o;
}

static void add_both(struct passwords *p, struct mw_octets o, unsigned rank)
{
	struct mw_octets bare = stripped(o);

	if (bare.n == 0)
		return;
	add(p, bare, rank);
	if (bare.n != o.n)
		add(p, o, rank + 1);
}

/* Where `stem` stands in o, without regard to ASCII's case; NULL: nowhere. */
static const unsigned char *find_stem(struct mw_octets o, const char *stem)
{
	size_t n = strlen(stem);

	for (size_t at = 0; at + n <= o.n; at++) {
		size_t i = 0;

		while (i < n && tolower(o.p[at + i]) == (unsigned char)stem[i])
			i++;
		if (i == n)
			return o.p + at + n;
	}
	return NULL;
}

static const char *const stems[] = { "passw", "passe", "passc", "passp", "kennw", "losung",
	"contrase", "clave", "senha", "wachtwoord", "parola", "heslo", "salasana", "l\u00f6senord",
	"has\u0142o", "\u043f\u0430\u0440\u043e\u043b\u044c",
	"\u041f\u0430\u0440\u043e\u043b\u044c", "\u5bc6\u7801", "\u5bc6\u78bc", "\u53e3\u4ee4",
	"\u30d1\u30b9\u30ef\u30fc\u30c9", "\ube44\ubc00\ubc88\ud638" };
static const char *const whole[] = { "pass", "pwd", "pw", "pin", "code", "key", "p/w" };
static const char *const fillers[] = { "is", "ist", "est", "es", "the", "der", "die", "das", "for",
	"to", "lautet", "zip", "file", "archive", "archiv", "protected", "of", "de", "le", "la",
	"attachment", "this", "your", "open", "and", "-", "->", "=>" };

static bool is_one_of(struct mw_octets o, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (mw_octets_ieq(o, words[i]))
			return true;
	return false;
}

/* A word that announces a password; *rest_r: what stands behind its colon. */
static bool announces(struct mw_octets o, struct mw_octets *rest_r)
{
	const unsigned char *end = NULL, *colon = NULL;
	struct mw_octets left;

	for (size_t i = 0; i < o.n && colon == NULL; i++)
		if (o.p[i] == ':' || o.p[i] == '=')
			colon = o.p + i + 1;
	if (colon == NULL && (end = memmem(o.p, o.n, "\uff1a", 3)) != NULL)
		colon = end + 3;
	left = stripped(mw_octets_of(o.p, colon != NULL ? (size_t)(colon - o.p) : o.n));
	end = is_one_of(left, whole, MW_COUNT(whole)) ? left.p : NULL;
	for (size_t i = 0; i < MW_COUNT(stems) && end == NULL; i++)
		end = find_stem(left, stems[i]);
	if (end == NULL)
		return false;
	*rest_r = colon != NULL ? mw_octets_of(colon, (size_t)(o.p + o.n - colon))
				: mw_octets_of(o.p, 0);
	return true;
}

/* ------------------------------------------------------------------ texts */

struct reader {
	struct mw_octets before[2];
	unsigned near; /* words that may still be one */
};

static void take_word(struct passwords *p, struct reader *r, struct mw_octets o)
{
	struct mw_octets rest;

	if (o.n > WORD_MOST)
		return;
	if (announces(o, &rest)) {
		/* "The password is Password123" announces two times, and means the second. */
		if (r->near > 0 && rest.p == o.p)
			add_both(p, o, 1 + NEAR - r->near);
		add_both(p, r->before[1], RANK_BEFORE);
		add_both(p, r->before[0], RANK_BEFORE + 1);
		add_both(p, rest, 0);
		r->near = NEAR;
		return;
	}
	if (is_one_of(stripped(o), fillers, MW_COUNT(fillers)))
		return;
	if (r->near > 0) {
		add_both(p, o, 1 + NEAR - r->near);
		if (stripped(o).n > 0)
			r->near--;
	}
	r->before[0] = r->before[1];
	r->before[1] = o;
}

static bool is_gap(const unsigned char *p, const unsigned char *end)
{
	return *p <= ' ' || (*p == 0xc2 && p + 1 < end && p[1] == 0xa0);
}

void passwords_of_text(struct passwords *p, struct mw_octets text, bool html)
{
	const unsigned char *at = text.p, *end = text.p + text.n, *from;
	struct reader r = { .near = 0 };

	while (at < end) {
		if (html && *at == '<') {
			from = memchr(at, '>', (size_t)(end - at));
			at = from != NULL ? from + 1 : end;
		} else if (html && end - at >= 6 && memcmp(at, "&nbsp;", 6) == 0) {
			at += 6;
		} else if (is_gap(at, end)) {
			at += *at == 0xc2 ? 2 : 1;
		} else {
			from = at;
			while (at < end && !is_gap(at, end) && !(html && at > from && *at == '<') &&
				!(html && end - at >= 6 && memcmp(at, "&nbsp;", 6) == 0))
				at++;
			take_word(p, &r, mw_octets_of(from, (size_t)(at - from)));
		}
	}
}

static void subject(struct passwords *p)
{
	struct mw_octets head =
		mw_octets_of(p->message.p, p->message.n < HEADER_MOST ? p->message.n : HEADER_MOST);
	const unsigned char *at = head.p, *end = head.p + head.n;

	while (at < end && *at != '\n' && *at != '\r') {
		const unsigned char *line_end = memchr(at, '\n', (size_t)(end - at));

		line_end = line_end != NULL ? line_end + 1 : end;
		if (line_end - at > 8 && strncasecmp((const char *)at, "subject:", 8) == 0)
			passwords_of_text(
				p, mw_octets_of(at + 8, (size_t)(line_end - at - 8)), false);
		at = line_end;
	}
}

static void take_text(struct passwords *p, const struct mime_entity *e)
{
	struct mw_octets body = e->body;
	unsigned char *own;
	bool html = strcmp(e->type, "text/html") == 0;

	body.n = body.n < TEXT_MOST ? body.n : TEXT_MOST;
	if (e->encoding != MIME_BASE64 && e->encoding != MIME_QUOTED) {
		passwords_of_text(p, body, html);
		return;
	}
	own = malloc(body.n + 1);
	if (own == NULL)
		return; /* without that text the members stay encrypted, and are told as such */
	passwords_of_text(p, mw_octets_of(own, mime_decode(e->encoding, body, own)), html);
	free(own);
}

static void gather(struct passwords *p)
{
	static const struct mime_limits limits = { DEPTH, PARTS };
	struct mime *m = malloc(sizeof(*m));
	struct mime_entity *e = malloc(sizeof(*e));
	unsigned texts = 0, set = 0;

	p->gathered = true;
	if (p->most > 0 && m != NULL && e != NULL) {
		subject(p);
		mime_open(m, p->message, &limits, 0);
		while (texts < TEXTS_MOST && mime_next(m, e))
			if (e->leaf && strncmp(e->type, "text/", 5) == 0) {
				take_text(p, e);
				texts++;
			}
	}
	free(e);
	free(m);
	for (size_t i = 0; i < p->set.n; i++)
		set += p->set.p[i] == '\0';
	if (p->count > p->most)
		p->count = p->most;
	if (set < PASSWORDS_MOST && p->count > PASSWORDS_MOST - set)
		p->count = PASSWORDS_MOST - set;
	for (const unsigned char *s = p->set.p; s < p->set.p + p->set.n;
		s += strlen((const char *)s) + 1)
		add(p, mw_octets_of_text((const char *)s), UINT16_MAX);
}

/* ------------------------------------------------------------------ for the readers */

void passwords_begin(
	struct passwords *p, struct mw_octets message, struct mw_octets set, unsigned most)
{
	p->message = message;
	p->set = set;
	p->most = most < PASSWORDS_MOST ? most : PASSWORDS_MOST;
	p->gathered = p->opened = false;
	p->cost = p->count = 0;
	p->octets = 0;
}

bool passwords_afford(struct passwords *p, unsigned cost)
{
	if (p == NULL)
		return cost <= PASSWORDS_COST_MAX;
	if (p->cost + cost > PASSWORDS_COST_MAX)
		return false;
	p->cost += cost;
	return true;
}

bool passwords_next(struct passwords *p, unsigned i, unsigned cost, struct mw_octets *word_r)
{
	if (p == NULL)
		return false;
	if (!p->gathered)
		gather(p);
	if (i >= p->count || !passwords_afford(p, cost))
		return false;
	*word_r = mw_octets_of(p->text + p->words[i].at, p->words[i].n);
	return true;
}

void passwords_fitted(struct passwords *p, unsigned i)
{
	struct password_word w = p->words[i];

	memmove(&p->words[1], &p->words[0], i * sizeof(w));
	p->words[0] = w;
	p->opened = true;
}
