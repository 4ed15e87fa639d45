/*
 * The judge of fuzz_smtp_session.c: reads what the client said and what it was answered side by
 * side, knowing only what RFC 5321, 2033 and 3030 say of who speaks when. Each command has its one
 * reply, each mail its one (LMTP: one for each recipient), in order; the mails that were handed
 * over are those that the octets hold, no more and no other.
 */
#ifndef FUZZ_SMTP_SESSION_JUDGE_H
#define FUZZ_SMTP_SESSION_JUDGE_H

#include <ctype.h>
#include <strings.h>

#include "smtp_session_world.h"

struct reply {
	unsigned code;
	const char *words; /* of its first line, behind "250 " */
	size_t n;
	bool ends; /* the session's last; a mail's 421 has no 4.x.x here */
};

struct judge {
	size_t in, out;
	bool whole; /* the session is at rest: nothing may be missing */
	bool over;  /* nothing more is said */
	bool lmtp, mail, chunks;
	size_t rcpts, mails;
	struct mw_text octets; /* of the mail that comes */
	bool bare, odd;
};

static bool has_words(const struct reply *r, const char *words)
{
	size_t n = strlen(words);

	return r->n >= n && memcmp(r->words, words, n) == 0;
}

/* A line of a reply: where it ends, and that it is one (RFC 5321 section 4.2). 0: it was cut. */
static size_t reply_line(const char *p, size_t n, bool *last_r)
{
	const char *lf = memchr(p, '\n', n);
	size_t len;

	if (lf == NULL)
		return 0;
	len = (size_t)(lf - p);
	require(len >= 5 && p[len - 1] == '\r' && p[0] >= '2' && p[0] <= '5');
	require(isdigit((unsigned char)p[1]) && isdigit((unsigned char)p[2]));
	require(p[3] == ' ' || p[3] == '-');
	for (size_t i = 0; i < len - 1; i++)
		require((unsigned char)p[i] >= 0x20 && p[i] != 0x7f);
	*last_r = p[3] == ' ';
	return len + 1;
}

/* False: none is there, or the connection went in the middle of it. */
static bool peek(const struct judge *j, struct reply *r, size_t *end_r)
{
	const char *p = world.out.p;
	size_t at = j->out, n;
	bool last = false;

	do {
		n = at < world.out.n ? reply_line(p + at, world.out.n - at, &last) : 0;
		if (n == 0) {
			require(!j->whole || (at == world.out.n && at == j->out));
			return false;
		}
		require(memcmp(p + at, p + j->out, 3) == 0);
		if (at == j->out) {
			r->words = p + at + 4;
			r->n = n - 6;
		}
		at += n;
	} while (!last);
	r->code = (unsigned)atoi(p + j->out);
	r->ends = r->code == 221 || (r->code == 421 && has_words(r, "4."));
	*end_r = at;
	return true;
}

/* The next reply. False: there is none, which is right only when the session did not come to it. */
static bool next(struct judge *j, struct reply *r)
{
	size_t end;

	if (!peek(j, r, &end)) {
		require(!j->whole);
		j->over = true;
		return false;
	}
	j->out = end;
	j->over |= r->ends;
	return true;
}

static void no_mail(struct judge *j)
{
	j->mail = j->chunks = false;
	j->rcpts = 0;
	mw_text_clear(&j->octets);
	j->bare = j->odd = false;
}

/* ------------------------------------------------------------------ the end of a mail */

/*
 * What another server could take for the end of the mail, once dots behind LF are doubled: one dot
 * between any two of CR and LF, NULs left out.
 */
static bool smuggles(const char *p, size_t n)
{
	char last[2] = { '\n', '\n' };

	for (size_t i = 0; i < n; i++) {
		bool doubled = p[i] == '.' && (i == 0 || p[i - 1] == '\n');

		if (p[i] == '\0')
			continue;
		for (int k = 0; k <= doubled; k++) {
			if ((p[i] == '\r' || p[i] == '\n') && last[1] == '.' &&
				(last[0] == '\r' || last[0] == '\n'))
				return true;
			last[0] = last[1];
			last[1] = p[i];
		}
	}
	return false;
}

/* It was handed over: as it came, and fit to go on. */
static void look_at_mail(const struct judge *j)
{
	const struct world_mail *m = &world.mails[j->mails];
	enum policy_newline newline = world.policy.bare_newline;

	require(m->rcpts == j->rcpts && m->n == j->octets.n);
	require(m->n == 0 || memcmp(m->octets, j->octets.p, m->n) == 0);
	require(m->n == 0 || m->octets[m->n - 1] == '\n');
	require(newline != NEWLINE_REJECT || !j->bare);
	require(newline == NEWLINE_PASS || !smuggles(m->octets, m->n));
}

/* It was refused: there has to be a reason. */
static void look_at_refusal(const struct judge *j, const struct reply *r)
{
	enum policy_newline newline = world.policy.bare_newline;

	require(r->code >= 400);
	if (r->code == 552)
		require(j->octets.n > world.policy.message_size_limit);
	else if (r->code == 452)
		require(j->octets.n > front.bodies.held_limit);
	else
		require(r->code == 550 && ((newline == NEWLINE_REJECT && j->bare) ||
						  (newline != NEWLINE_PASS && j->odd &&
							  smuggles(j->octets.p, j->octets.n))));
}

static void end_of_mail(struct judge *j)
{
	const struct world_mail *m = j->mails < world.mail_count ? &world.mails[j->mails] : NULL;
	size_t answers = j->lmtp ? j->rcpts : 1;
	bool handed = false;
	struct reply r;

	for (size_t i = 0; i < answers; i++) {
		if (!next(j, &r)) {
			if (m != NULL && !m->over && i == 0)
				look_at_mail(j);
			if (m != NULL && i == 0)
				j->mails++; /* left in the middle */
			return;
		}
		if (r.ends) {
			require(i == 0); /* a limit of time or the service's end, before it all */
			return;
		}
		if (i == 0) {
			handed = m != NULL && r.code != 552 && r.code != 452 && m->over &&
				 r.code == (j->lmtp ? m->codes[0] : m->code) &&
				 (r.code != 550 || memmem(r.words, r.n, "<", 1) == NULL ||
					 memmem(r.words, r.n, "bare", 4) == NULL);
			if (handed)
				look_at_mail(j);
			else
				look_at_refusal(j, &r);
		}
		if (handed) {
			require(r.code == (j->lmtp ? m->codes[i] : m->code));
			j->over |= !j->lmtp && r.code == 421;
		} else {
			look_at_refusal(j, &r);
		}
	}
	j->mails += handed;
	no_mail(j);
}

/* ------------------------------------------------------------------ its octets */

static void keep(struct judge *j, char c)
{
	mw_text_add_octets(&j->octets, &c, 1);
}

/* One octet of the mail, the one before it in the mail's octets as they came. */
static void take(struct judge *j, char before, char c)
{
	if (c == '\n' && before != '\r') {
		j->bare = true;
		if (world.policy.bare_newline == NEWLINE_NORMALISE)
			keep(j, '\r');
	}
	j->odd |= c == '\0' || (before == '\r' && c != '\n');
	keep(j, c);
}

/* From in, to the end of the data. False: it has not come. */
static bool data(struct judge *j)
{
	bool normalise = world.policy.bare_newline == NEWLINE_NORMALISE;
	const char *p = world.in.p;
	char before = '\n';
	bool start = true, soft = false; /* soft: behind a bare LF that becomes CRLF */

	for (size_t i = j->in; i < world.in.n; i++) {
		if (p[i] == '.' && (start || soft)) {
			if (start && world.in.n - i >= 3 && p[i + 1] == '\r' && p[i + 2] == '\n') {
				j->in = i + 3;
				return true;
			}
			before = '.';
			start = soft = false;
			continue;
		}
		start = p[i] == '\n' && before == '\r';
		soft = p[i] == '\n' && !start && normalise;
		take(j, before, p[i]);
		before = p[i];
	}
	j->in = world.in.n;
	return false;
}

/* ------------------------------------------------------------------ BDAT */

static bool bdat_args(const char *p, size_t n, size_t *octets_r, bool *last_r)
{
	char args[2048]; /* as the longest line here */
	size_t used = 0, gap;

	*octets_r = 0;
	if (n >= sizeof(args))
		return false;
	memcpy(args, p, n);
	args[n] = '\0';
	while (isdigit((unsigned char)args[used]) && used < 18)
		*octets_r = *octets_r * 10 + (size_t)(args[used++] - '0');
	gap = strspn(args + used, " ");
	*last_r = gap > 0 && strcasecmp(args + used + gap, "LAST") == 0;
	return used > 0 && (*last_r || args[used] == '\0');
}

static void chunk_last(struct judge *j)
{
	size_t n = j->octets.n;
	const char *p = j->octets.p;

	if (n > 0 && (p[n - 1] != '\n' || n < 2 || p[n - 2] != '\r')) {
		j->odd |= p[n - 1] == '\r';
		mw_text_add(&j->octets, "\r\n");
	}
	end_of_mail(j);
}

/* The octets of a chunk are no commands, whatever becomes of them. */
static void bdat(struct judge *j, const char *args, size_t n)
{
	bool last, wanted = j->mail && j->rcpts > 0;
	size_t octets, there = world.in.n - j->in, end;
	const char *p = world.in.p + j->in;
	struct reply r;

	if (peek(j, &r, &end) && r.code == 421 && r.ends) {
		next(j, &r);
		return;
	}
	if (!bdat_args(args, n, &octets, &last)) {
		if (next(j, &r)) {
			require(r.code == 501);
			j->over = true;
		}
		return;
	}
	if (there < octets) {
		j->in = world.in.n;
		j->over = true;
		return;
	}
	j->in += octets;
	if (peek(j, &r, &end) && (r.code == 503 || r.code == 502)) {
		require(r.code == 502 || !wanted);
		next(j, &r);
		return;
	}
	if (wanted) {
		char before = j->octets.n > 0 ? j->octets.p[j->octets.n - 1] : '\n';

		for (size_t i = 0; i < octets; i++) {
			take(j, before, p[i]);
			before = p[i];
		}
	}
	if (wanted && last) {
		chunk_last(j);
	} else if (next(j, &r) && !r.ends) {
		require(wanted);
		j->chunks = true;
		if (r.code != 250) {
			look_at_refusal(j, &r);
			no_mail(j);
		}
	}
}

/* ------------------------------------------------------------------ commands */

static bool is_verb(const char *line, size_t n, const char *verb)
{
	size_t v = strlen(verb);

	return n >= v && strncasecmp(line, verb, v) == 0 && (n == v || line[v] == ' ');
}

static void after_command(struct judge *j, const char *line, size_t n, const struct reply *r)
{
	if ((is_verb(line, n, "EHLO") || is_verb(line, n, "HELO") || is_verb(line, n, "LHLO")) &&
		r->code == 250) {
		no_mail(j);
		j->lmtp = toupper((unsigned char)line[0]) == 'L';
	} else if (is_verb(line, n, "MAIL") && r->code == 250) {
		require(!j->mail);
		j->mail = true;
	} else if (is_verb(line, n, "RCPT") && r->code == 250) {
		require(j->mail && !j->chunks);
		j->rcpts++;
	} else if (is_verb(line, n, "RSET") && r->code == 250) {
		no_mail(j);
	} else if (is_verb(line, n, "STARTTLS") && r->code == 220) {
		require(!j->mail);
		j->lmtp = false;
	} else if (is_verb(line, n, "STARTTLS") && has_words(r, "5.5.0")) {
		j->over = true;
	} else if (r->code == 354) {
		require(is_verb(line, n, "DATA") && j->mail && j->rcpts > 0 && !j->chunks);
		if (data(j))
			end_of_mail(j);
	} else {
		require(r->code < 300 || r->code >= 400);
	}
}

/* What is left is no whole command: too long a one, or nothing to be answered. */
static void rest(struct judge *j)
{
	struct reply r;
	size_t end;

	j->in = world.in.n;
	if (peek(j, &r, &end)) {
		next(j, &r);
		require(r.ends || (r.code == 500 && has_words(&r, "5.5.2 command line too long")));
		j->over = true;
	}
}

static void command(struct judge *j)
{
	const char *line = world.in.p + j->in, *lf;
	size_t limit = front.limits.line_octets, n, args = 0;
	struct reply r;

	lf = world.in.n > j->in ? memchr(line, '\n', world.in.n - j->in) : NULL;
	if (lf == NULL) {
		rest(j);
		return;
	}
	n = (size_t)(lf - line);
	j->in += n + 1;
	if (n > 0 && n < limit && line[n - 1] == '\r' && memchr(line, '\0', n) == NULL) {
		n--;
		while (args < n && isalpha((unsigned char)line[args]))
			args++;
		while (args < n && line[args] == ' ')
			args++;
		if (is_verb(line, n, "BDAT")) {
			bdat(j, line + args, n - args);
			return;
		}
		if (next(j, &r) && !r.ends)
			after_command(j, line, n, &r);
	} else if (next(j, &r) && !r.ends) {
		require(r.code == 500);
		j->over |= n >= limit;
	}
}

/* whole: all is written, nothing runs, the session is open. */
static void judge_all(bool whole)
{
	struct judge j = { .whole = whole };
	struct reply r;
	size_t end;

	if (next(&j, &r)) {
		j.over |= r.code != 220;
		while (!j.over && j.in < world.in.n)
			command(&j);
		if (!j.over)
			rest(&j);
	}
	require(!peek(&j, &r, &end) && (!whole || j.out == world.out.n));
	require(j.mails <= world.mail_count && world.mail_count - j.mails <= !whole);
	mw_text_fini(&j.octets);
}

#endif
