/* What the files of the hooks share: hooks.c (settings), hooks_call.c (calls, failures),
 * hooks_mail.c (the mail as Lua reads it), hooks_act.c (what Lua asks for), hooks_apply.c (doing
 * it). Nobody else includes this. */
#ifndef SMTP_HOOKS_PRIV_H
#define SMTP_HOOKS_PRIV_H

#include <lua.h>
#include <lauxlib.h>

#include "conf_func.h"
#include "hooks.h"
#include "pattern.h"
#include "text.h"

#define HOOK_ACTS_MAX 100  /* of one call */
#define HOOK_TESTS_MAX 100 /* of one mail, as all that follow */
#define HOOK_VIRUSES_MAX 20
#define HOOK_EDITS_MAX 50	  /* fields added or removed */
#define HOOK_EDIT_OCTETS_MAX 8192 /* of their names and values together */
#define HOOK_LINE_MAX 998	  /* octets of a header line, RFC 5322 section 2.1.1 */
#define HOOK_LOGS_MAX 20	  /* lines of one call */
#define HOOK_LOG_OCTETS_MAX 500	  /* of one */
#define HOOK_SCORE_MAX 1000	  /* points, either way, of one test */
#define HOOK_PATTERNS_MAX 64	  /* kept compiled; one more takes the oldest's place */
#define HOOK_SAID_MAX 400	  /* octets of what the record tells of a call */
#define HOOK_MAIL "mailweir mail" /* metatables' names */
#define HOOK_RCPT "mailweir recipient"

struct hook_call;

struct hook {
	const struct mw_val *run; /* NULL: not set; the settings' */
	bool defers;
};

struct hooks {
	struct hook points[HOOK_POINTS];
	const struct mw_val *any; /* one of them: all are functions of one program */
	struct mw_func_limits limits;
	struct hook_call *call; /* the one that runs; NULL: none */
	struct hooks **self;	/* in the mail object, which outlives this */
	int mail_ref;		/* the mail object in Lua's registry */
	struct mw_pattern *patterns[HOOK_PATTERNS_MAX];
	size_t pattern_next;
};

enum hook_act_kind {
	ACT_LOAD_BANK,
	ACT_ADD_SCORE,
	ACT_ADD_VIRUS,
	ACT_ADD_UNCHECKED,
	ACT_ADD_FIELD,
	ACT_REMOVE_FIELD,
	ACT_PREFIX_SUBJECT,
	ACT_ADD_RCPT,
	ACT_REMOVE_RCPT,
	ACT_REWRITE_RCPT
};

struct hook_act {
	enum hook_act_kind kind;
	const char *text, *more; /* in the mail's arena */
	int32_t milli;
	bool for_all; /* ACT_ADD_SCORE: not for the recipient `more` alone */
};

/* One call. */
struct hook_call {
	struct hooks *h;
	struct txn *t;
	enum hook_point point;
	size_t act_count, log_count;
	size_t tests, viruses, edits, edit_octets; /* the mail's, with those of this call */
	bool nomem;
	const char **seen; /* addresses of the recipients before its acts */
	size_t seen_count;
	struct hook_act acts[HOOK_ACTS_MAX];
};

/* The call that a method's first argument, the mail, is about; raises an error when there is none.
 */
struct hook_call *hook_call_of(lua_State *L);
/* Address of the recipient at that index, an object of mail.recipients or a text. */
const char *hook_rcpt_arg(lua_State *L, struct hook_call *c, int at);

/* hooks_mail.c: a Lua C function that leaves the metatables of mail and recipients in the registry.
 */
void hook_mail_open(lua_State *L);
/* hooks_act.c: methods into the table at the top. */
void hook_acts_open(lua_State *L);

/* hooks_apply.c: do all that the call has asked for, or nothing. MW_ERR_NOMEM; others: *err_r says
 * why. */
enum mw_rc hook_apply(struct hook_call *c, struct mw_err *err_r);
/* What was done, for the record. */
void hook_acts_text(const struct hook_call *c, struct mw_text *out);

#endif
