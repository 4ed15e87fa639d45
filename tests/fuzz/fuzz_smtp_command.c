/* fuzz: common services/smtp-front */
/* A command line as the session hands it over (no NUL, no CRLF at its end): whatever it holds, what
 * is taken from it is bounded and holds no controls. */
#include <stdlib.h>
#include <strings.h>

#include "intake/smtp_command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

static void no_controls(const char *s)
{
	for (; *s != '\0'; s++)
		require((unsigned char)*s >= 0x20 && *s != 0x7f);
}

static void says_why(const struct smtp_refusal *why)
{
	require(why->code >= 400 && why->code < 600 && why->text != NULL && why->enhanced != NULL);
	require((unsigned)(why->enhanced[0] - '0') == why->code / 100);
	require(mw_is_printable(why->text, strlen(why->text)));
}

static void path(struct smtp_arena *a, const char *line, const char *args, bool is_mail, bool utf8)
{
	struct smtp_refusal why = { 0 };
	struct smtp_mail_params p;
	struct smtp_rcpt_params r;
	const char *addr, *rest;

	if (!smtp_command_path(
		    a, args, is_mail ? "FROM:" : "TO:", is_mail, utf8, &addr, &rest, &why)) {
		says_why(&why);
		return;
	}
	require(strlen(addr) <= SMTP_PATH_MAX && (is_mail || *addr != '\0'));
	require(rest > args && rest <= line + strlen(line) && (*rest == ' ' || *rest == '\0'));
	no_controls(addr);
	require(utf8 || mw_is_printable(addr, strlen(addr)));
	if (is_mail ? !smtp_command_mail_params(a, rest, SMTP_OFFERS_ALL, &p, &why)
		    : !smtp_command_rcpt_params(a, rest, SMTP_OFFERS_ALL, utf8, &r, &why))
		says_why(&why);
	else if (is_mail && p.envid != NULL)
		require(strlen(p.envid) <= SMTP_ENVID_MAX &&
			mw_is_printable(p.envid, strlen(p.envid)));
	else if (!is_mail && r.orcpt != NULL) {
		require(strlen(r.orcpt) <= SMTP_ORCPT_MAX);
		no_controls(r.orcpt);
		require(utf8 || mw_is_printable(r.orcpt, strlen(r.orcpt)));
	}
}

static void xforward(struct smtp_arena *a, const char *args)
{
	struct smtp_xforward x = { 0 };
	struct smtp_refusal why = { 0 };
	const char *values[7];

	/* Twice: an XFORWARD may come in several commands. */
	for (int i = 0; i < 2; i++)
		if (!smtp_command_xforward(a, args, &x, &why))
			says_why(&why);
	memcpy(values,
		(const char *[]){ x.name, x.addr, x.port, x.proto, x.helo, x.ident, x.source },
		sizeof(values));
	for (size_t i = 0; i < MW_COUNT(values); i++)
		if (values[i] != NULL) {
			require(strlen(values[i]) <= 255);
			no_controls(values[i]);
		}
}

static void bdat(const char *args)
{
	uint64_t octets;
	bool last;

	if (smtp_command_bdat(args, &octets, &last))
		require(octets < 1000000000000000000u && args[0] >= '0' && args[0] <= '9');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_arena arena = { 0 };
	char *line = malloc(size + 1);
	size_t verb, args;

	require(line != NULL);
	memcpy(line, data, size);
	line[size] = '\0';
	if (memchr(data, '\0', size) == NULL && smtp_command_verb(line, &verb, &args)) {
		require(verb > 0 && verb <= args && args <= size);
		path(&arena, line, line + args, true, false);
		path(&arena, line, line + args, true, true);
		path(&arena, line, line + args, false, false);
		path(&arena, line, line + args, false, true);
		bdat(line + args);
		xforward(&arena, line + args);
	}
	free(line);
	smtp_arena_fini(&arena);
	return 0;
}
