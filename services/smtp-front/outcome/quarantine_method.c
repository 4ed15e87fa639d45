#include "quarantine_method.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define SENDER_MAX 100	  /* octets of %s, as amavisd cuts it; "_at_" may come on top of that */
#define COMPONENT_MAX 240 /* octets of a file's name: NAME_MAX less what a temporary name adds */

/* ------------------------------------------------------------------ placeholders */

static void put_sender(struct mw_octets sender, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < sender.n && i < SENDER_MAX && n + 5 < size; i++) {
		char c = (char)sender.p[i];

		if (c == '@') {
			memcpy(out + n, "_at_", 4);
			n += 4;
		} else {
			bool harmless = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
					(c >= '0' && c <= '9') || (c != '\0' && strchr("._+-", c));

			out[n++] = harmless ? c : '=';
		}
	}
	out[n] = '\0';
}

static void put_time(uint64_t time_ms, char *out, size_t size)
{
	time_t second = (time_t)(time_ms / 1000);
	struct tm tm;

	localtime_r(&second, &tm);
	strftime(out, size, "%Y%m%dT%H%M%S", &tm); /* no colons: it is a file's name */
}

/* False: there is no such placeholder. */
static bool put(char letter, const struct quarantine_names *n, char *out, size_t size)
{
	switch (letter) {
	case 'm':
		mw_strlcpy(out, n->mail_id, size);
		return true;
	case 'n':
		mw_strlcpy(out, n->log_id, size);
		return true;
	case 'b':
		mw_strlcpy(out, n->digest != NULL ? n->digest : "", size);
		return true;
	case 'P':
		snprintf(out, size, "%u", n->partition_tag);
		return true;
	case 'i':
		put_time(n->time_ms, out, size);
		return true;
	case 's':
		put_sender(mw_octets_of_text(n->sender), out, size);
		return true;
	case '%':
		mw_strlcpy(out, "%", size);
		return true;
	default:
		return false;
	}
}

/* Cut where there is no room: what was checked with the longest names never is. */
static bool expand(
	const char *template, const struct quarantine_names *names, char *out, size_t size)
{
	char word[SENDER_MAX * 4 + 8];
	size_t n = 0;

	for (const char *p = template; *p != '\0'; p++) {
		size_t add;

		if (*p != '%') {
			word[0] = *p;
			word[1] = '\0';
		} else if (!put(*++p, names, word, sizeof(word))) {
			return false;
		}
		add = strlen(word);
		if (n + add + 1 > size)
			return false;
		memcpy(out + n, word, add);
		n += add;
	}
	out[n] = '\0';
	return true;
}

void quarantine_method_name(const struct quarantine_method *m, const struct quarantine_names *n,
	char name_r[QUARANTINE_PATH_MAX])
{
	if (!expand(m->template, n, name_r, QUARANTINE_PATH_MAX))
		name_r[0] = '\0'; /* never: quarantine_method_new tried longer ones */
}

/* ------------------------------------------------------------------ templates */

static bool has(const char *template, char letter)
{
	for (const char *p = strchr(template, '%'); p != NULL && p[1] != '\0';
		p = strchr(p + 2, '%'))
		if (p[1] == letter)
			return true;
	return false;
}

static bool knows_all(const char *template, const char *letters)
{
	for (const char *p = template; *p != '\0'; p++) {
		if (*p != '%')
			continue;
		p++;
		if (*p == '\0' || strchr(letters, *p) == NULL)
			return false;
	}
	return true;
}

/* Of a path: no component is empty, "." or "..", begins with a dot or is too long. */
static const char *component_fault(const char *path)
{
	while (*path != '\0') {
		size_t n = strcspn(path, "/");

		if (n == 0)
			return "an empty folder's name";
		if (path[0] == '.')
			return "a name that begins with a dot";
		if (n > COMPONENT_MAX)
			return "a name that may become longer than a file's may be";
		path += n;
		path += *path == '/';
	}
	return NULL;
}

static const char *template_fault(const struct quarantine_method *m)
{
	bool batch = m->kind == QUARANTINE_BSMTP;
	const char *t = m->template;
	char path[QUARANTINE_PATH_MAX], sender[SENDER_MAX + 1];
	struct quarantine_names n = { .mail_id = "abcdefghijklmnopqrst",
		.log_id = "0000000-0000000000000",
		.digest = "0123456789abcdef0123456789abcdef",
		.sender = sender,
		.partition_tag = UINT32_MAX };

	memset(sender, 'x', SENDER_MAX);
	memset(sender, '@', 2);
	sender[SENDER_MAX] = '\0';
	if (*t == '\0')
		return "no file's name";
	if (strlen(t) > QUARANTINE_TEMPLATE_MAX)
		return "a longer name than 120 octets";
	if (!mw_is_printable(t, strlen(t)) || strchr(t, ' ') != NULL || strchr(t, '\\') != NULL)
		return "a character that has no place in a file's name";
	if (!knows_all(t, batch ? "mnbPis%" : "mnbPi%"))
		return batch ? "a placeholder other than %m %n %b %P %i %s %%"
			     : "a placeholder other than %m %n %b %P %i %%";
	if (!has(t, 'm'))
		return "no %m: two mails would have the same name";
	if (!batch && strchr(t, '/') != NULL)
		return "a folder: *_quarantine_to_maps name those";
	if (!expand(t, &n, path, sizeof(path)))
		return "a name that may become longer than a path may be";
	return component_fault(path + (batch && path[0] == '/'));
}

/* ------------------------------------------------------------------ methods */

static enum mw_rc parse(struct quarantine_method *m, struct mw_err *err_r)
{
	static const struct {
		const char *word;
		enum quarantine_kind kind;
	} kinds[] = { { "local:", QUARANTINE_LOCAL }, { "bsmtp:", QUARANTINE_BSMTP },
		{ "smtp:", QUARANTINE_MAIL }, { "lmtp:", QUARANTINE_MAIL },
		{ "sql:", QUARANTINE_SQL } };
	const char *fault = NULL;
	size_t i = 0;

	while (i < MW_COUNT(kinds) &&
		strncasecmp(m->text, kinds[i].word, strlen(kinds[i].word)) != 0)
		i++;
	if (strncasecmp(m->text, "pipe:", 5) == 0)
		return mw_fail(err_r, MW_ERR_CONF,
			"\"%.100s\": this version gives mail to no programs; use local:, bsmtp:, "
			"smtp:, lmtp: or sql:",
			m->text);
	if (i == MW_COUNT(kinds))
		return mw_fail(err_r, MW_ERR_CONF,
			"\"%.100s\": expected local:NAME with %%m in it, bsmtp:NAME, "
			"smtp:[host]:port, lmtp:[host]:port or sql:",
			m->text);
	m->kind = kinds[i].kind;
	m->template = m->text + strlen(kinds[i].word);
	if (m->kind == QUARANTINE_LOCAL || m->kind == QUARANTINE_BSMTP)
		fault = template_fault(m);
	if (m->kind == QUARANTINE_SQL && *m->template != '\0')
		fault = "nothing may stand behind sql:, storage_sql_dsn says where";
	if (fault != NULL)
		return mw_fail(err_r, MW_ERR_CONF, "\"%.100s\": %s", m->text, fault);
	m->wants_digest = m->kind <= QUARANTINE_BSMTP && has(m->template, 'b');
	if (m->kind != QUARANTINE_MAIL)
		return MW_OK;
	m->hops.hop = calloc(1, sizeof(*m->hops.hop));
	if (m->hops.hop == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory");
	m->hops.count = 1;
	return next_hop_parse("quarantine method", m->text, m->hops.hop, err_r);
}

enum mw_rc quarantine_method_new(
	const char *text, struct quarantine_method **m_r, struct mw_err *err_r)
{
	struct quarantine_method *m = calloc(1, sizeof(*m));
	enum mw_rc rc = MW_OK;

	if (m == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory");
	m->template = m->text;
	if (mw_strlcpy(m->text, text, sizeof(m->text)) >= sizeof(m->text))
		rc = mw_fail(err_r, MW_ERR_CONF, "\"%.100s...\": longer than %zu octets", text,
			sizeof(m->text) - 1);
	else if (*text != '\0')
		rc = parse(m, err_r);
	if (rc != MW_OK)
		quarantine_method_destroy(&m);
	else
		*m_r = m;
	return rc;
}

void quarantine_method_destroy(struct quarantine_method **m_p)
{
	struct quarantine_method *m = *m_p;

	*m_p = NULL;
	if (m == NULL)
		return;
	free(m->hops.hop);
	free(m);
}
