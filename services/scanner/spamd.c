#include "spamd.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"

/* ------------------------------------------------------------------ the request */

size_t spamd_request_head(char *buf, size_t size, uint64_t octets)
{
	int n = snprintf(buf, size, "REPORT SPAMC/1.5\r\nContent-length: %llu\r\n\r\n",
		(unsigned long long)octets);

	return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

/* Octet at that offset of the concatenation. */
static unsigned char octet_at(const struct mw_octets *parts, size_t count, size_t at)
{
	for (size_t i = 0; i < count; i++) {
		if (at < parts[i].n)
			return parts[i].p[at];
		at -= parts[i].n;
	}
	return '\0';
}

/* Offset of the body: behind the first empty line, which may lie across two parts. */
static size_t body_offset(const struct mw_octets *parts, size_t count, size_t total)
{
	size_t base = 0, line = 0;

	for (size_t i = 0; i < count; base += parts[i++].n) {
		const unsigned char *p = parts[i].p, *end = p + parts[i].n;

		while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
			size_t at = base + (size_t)(p++ - parts[i].p);

			if (at == line || (at == line + 1 && octet_at(parts, count, line) == '\r'))
				return at + 1;
			line = at + 1;
		}
	}
	return total;
}

/* Append the range of the concatenation to out. */
static size_t add_range(
	const struct mw_octets *parts, size_t count, size_t from, size_t n, struct mw_octets *out)
{
	size_t used = 0;

	for (size_t i = 0; i < count && n > 0; i++) {
		size_t take = from < parts[i].n ? parts[i].n - from : 0;

		take = take < n ? take : n;
		if (take > 0)
			out[used++] = mw_octets_of(parts[i].p + from, take);
		from = from < parts[i].n ? 0 : from - parts[i].n;
		n -= take;
	}
	return used;
}

bool spamd_cut(const struct mw_octets *parts, size_t count, uint64_t body_limit,
	struct mw_octets out[SPAMD_PIECES_MAX], size_t *count_r)
{
	size_t total = 0, body, head, rest;
	bool cut;

	if (count > 2)
		count = 2;
	for (size_t i = 0; i < count; i++)
		total += parts[i].n;
	body = body_offset(parts, count, total);
	head = body < SPAMD_HEADER_MAX ? body : SPAMD_HEADER_MAX;
	rest = total - body < body_limit ? total - body : (size_t)body_limit;
	cut = body_limit != 0 && total > head + 1 + rest + SPAMD_TRUNCATE_MIN;
	if (!cut) {
		*count_r = add_range(parts, count, 0, total, out);
		return false;
	}
	*count_r = add_range(parts, count, 0, head, out);
	*count_r += add_range(parts, count, body, rest, out + *count_r);
	return true;
}

/* ------------------------------------------------------------------ the reply comes in */

void spamd_reply_fini(struct spamd_reply *r)
{
	free(r->text);
	*r = (struct spamd_reply){ 0 };
}

static bool grow(struct spamd_reply *r, size_t n)
{
	size_t cap = r->cap != 0 ? r->cap : 4096;
	char *p;

	while (cap < r->n + n + 1)
		cap *= 2;
	if (cap == r->cap)
		return true;
	p = realloc(r->text, cap);
	if (p == NULL)
		return false;
	r->text = p;
	r->cap = cap;
	return true;
}

/* The reply's own header ends with an empty line. NULL: not there yet. */
static const char *reply_body(const struct spamd_reply *r)
{
	const char *p = r->text != NULL ? strstr(r->text, "\r\n\r\n") : NULL;

	return p != NULL ? p + 4 : NULL;
}

/* Value of a field of the reply's header, behind its colon and blanks; NULL: none. */
static const char *reply_field(const struct spamd_reply *r, const char *name)
{
	const char *end = reply_body(r), *p = r->text;
	size_t n = strlen(name);

	while (p != NULL && p < end) {
		p = strstr(p, "\r\n");
		if (p == NULL || p + 2 >= end)
			return NULL;
		p += 2;
		if (strncasecmp(p, name, n) == 0 && p[n] == ':')
			return p + n + 1 + strspn(p + n + 1, " \t");
	}
	return NULL;
}

/* The decimal number at p, at most `most`; -1: none. */
static long number_at(const char *p, long most)
{
	long v = 0;

	if (p == NULL || !isdigit((unsigned char)*p))
		return -1;
	for (; isdigit((unsigned char)*p); p++) {
		v = v * 10 + (*p - '0');
		if (v > most)
			return -1;
	}
	return v;
}

int spamd_reply_take(struct spamd_reply *r, const void *p, size_t n)
{
	const char *body;
	long want;

	if (n > SPAMD_REPLY_MAX - r->n || !grow(r, n))
		return -1;
	memcpy(r->text + r->n, p, n);
	r->n += n;
	r->text[r->n] = '\0';
	if (memchr(r->text + (r->n - n), '\0', n) != NULL)
		return -1; /* no octet of a reply is NUL; ours ends it for the functions that read
			      it */
	body = reply_body(r);
	if (body == NULL)
		return 0;
	want = number_at(reply_field(r, "Content-length"), SPAMD_REPLY_MAX);
	return want >= 0 && r->n - (size_t)(body - r->text) >= (size_t)want ? 1 : 0;
}

/* ------------------------------------------------------------------ what it says */

/* "-12.345" as thousandths; *end_r behind it. False: no number, or one beyond what a score can be.
 */
static bool milli_at(const char *p, const char **end_r, int32_t *milli_r)
{
	bool minus = *p == '-';
	int64_t v = 0, unit = 100;
	const char *digits;

	if (*p == '-' || *p == '+')
		p++;
	digits = p;
	for (; isdigit((unsigned char)*p); p++) {
		v = v * 10 + (*p - '0');
		if (v > 1000000)
			return false;
	}
	if (p == digits)
		return false;
	v *= 1000;
	if (*p == '.')
		for (p++; isdigit((unsigned char)*p); p++, unit /= 10)
			v += (*p - '0') * unit;
	*end_r = p;
	*milli_r = (int32_t)(minus ? -v : v);
	return true;
}

static bool read_status(const struct spamd_reply *r, struct spamd_result *v, struct mw_err *why)
{
	const char *p = r->text, *space;
	size_t n;

	if (p == NULL || strncmp(p, "SPAMD/", 6) != 0) {
		mw_fail(why, MW_ERR_PROTO, "spamd: not a spamd's reply");
		return false;
	}
	p += 6;
	n = strspn(p, "0123456789.");
	mw_strncpy(v->version, sizeof(v->version), p,
		n < sizeof(v->version) ? n : sizeof(v->version) - 1);
	space = p + n + strspn(p + n, " ");
	if (number_at(space, 999) != 0) {
		char line[80];

		mw_quote_octets(line, sizeof(line), space, strcspn(space, "\r\n"));
		mw_fail(why, MW_ERR_PROTO, "spamd: %s", line);
		return false;
	}
	return true;
}

/* "True ; 15.3 / 5.0" */
static bool read_score(const struct spamd_reply *r, struct spamd_result *v)
{
	const char *p = reply_field(r, "Spam");

	if (p == NULL)
		return false;
	v->spam = strncasecmp(p, "true", 4) == 0 || strncasecmp(p, "yes", 3) == 0;
	if (!v->spam && strncasecmp(p, "false", 5) != 0 && strncasecmp(p, "no", 2) != 0)
		return false;
	p += strcspn(p, ";\r\n");
	if (*p != ';')
		return false;
	p++;
	p += strspn(p, " ");
	if (!milli_at(p, &p, &v->score_milli))
		return false;
	p += strspn(p, " ");
	if (*p != '/')
		return false;
	p++;
	p += strspn(p, " ");
	return milli_at(p, &p, &v->required_milli) && (*p == '\r' || *p == '\n' || *p == ' ');
}

/* "---- ------------" : the line above the first rule. The last one in the report is the table's.
 */
static bool is_ruler(const char *line)
{
	size_t n = strspn(line, "-");

	return n >= 3 && line[n] == ' ' && strspn(line + n + 1, "-") >= 3;
}

static const char *next_line(const char *p)
{
	p += strcspn(p, "\n");
	return *p == '\n' ? p + 1 : NULL;
}

static const char *table_of(const char *body)
{
	const char *table = NULL;

	for (const char *p = body; p != NULL; p = next_line(p))
		if (is_ruler(p))
			table = next_line(p);
	return table;
}

/* " 0.7 RULE_NAME      what it means". A line that starts further right goes on with the text of
 * the rule before. */
static bool read_rule(const char *line, struct spamd_test *t)
{
	size_t blanks = strspn(line, " "), n;
	const char *p;

	if (blanks > 5 || !milli_at(line + blanks, &p, &t->milli) || *p != ' ')
		return false;
	p += strspn(p, " ");
	n = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
	if (n == 0 || n >= sizeof(t->name) ||
		(p[n] != ' ' && p[n] != '\r' && p[n] != '\n' && p[n] != '\0'))
		return false;
	return mw_strncpy(t->name, sizeof(t->name), p, n);
}

static void read_rules(const char *table, struct spamd_result *v)
{
	v->test_count = 0;
	for (const char *p = table; p != NULL && v->test_count < SPAMD_TESTS_MAX; p = next_line(p))
		if (read_rule(p, &v->tests[v->test_count]))
			v->test_count++;
}

/* A line as ASCII, and so much of it as a line may have; no blanks at its end. Returns its length.
 */
static size_t clean_line(const char *p, size_t n, char line[MW_SPAM_REPORT_LINE_MAX])
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];
		char text[8] = { c == '\t' ? ' ' : (char)c, '\0' };
		size_t take = 1;

		if ((c < ' ' && c != '\t') || c > '~')
			take = (size_t)snprintf(text, sizeof(text), "\\x{%02X}", c);
		if (take > MW_SPAM_REPORT_LINE_MAX - len)
			break;
		memcpy(line + len, text, take);
		len += take;
	}
	while (len > 0 && line[len - 1] == ' ')
		len--;
	return len;
}

static void read_report(const char *table, struct spamd_result *v)
{
	v->report_n = 0;
	for (const char *p = table; p != NULL; p = next_line(p)) {
		char line[MW_SPAM_REPORT_LINE_MAX];
		size_t n = strcspn(p, "\n"), len;

		while (n > 0 && (p[n - 1] == '\r' || p[n - 1] == ' '))
			n--;
		len = clean_line(p, n, line);
		if (len == 0)
			continue;
		if (len + 1 > sizeof(v->report) - v->report_n)
			break;
		memcpy(v->report + v->report_n, line, len);
		v->report_n += len;
		v->report[v->report_n++] = '\n';
	}
}

enum mw_rc spamd_reply_read(
	const struct spamd_reply *r, struct spamd_result *result_r, struct mw_err *why)
{
	const char *body = reply_body(r), *table;
	long want =
		number_at(body != NULL ? reply_field(r, "Content-length") : NULL, SPAMD_REPLY_MAX);

	memset(result_r, 0, offsetof(struct spamd_result, tests));
	if (!read_status(r, result_r, why))
		return MW_ERR_PROTO;
	if (body == NULL || (want >= 0 && r->n - (size_t)(body - r->text) < (size_t)want))
		return mw_fail(why, MW_ERR_PROTO, "spamd: reply cut short");
	if (!read_score(r, result_r))
		return mw_fail(why, MW_ERR_PROTO, "spamd: reply without a score");
	table = table_of(body);
	read_rules(table, result_r);
	read_report(table, result_r);
	return MW_OK;
}
