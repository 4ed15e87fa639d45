/*
 * mailweir explain: what would become of a mail, and which line of the settings says so. No mail,
 * no socket: a transaction is made of the question and goes through the functions of the mail's
 * path itself (policy, plan of checks, decision, edits), so that the answer is what mail gets.
 * Checks are taken to end well and to find nothing; a score that was not given is tried at all
 * values.
 */
#ifndef SMTP_EXPLAIN_H
#define SMTP_EXPLAIN_H

#include "outcome/edit.h"
#include "policy/mail_policy.h"
#include "policy/policy_warn.h"
#include "transaction.h"

#define EXPLAIN_RCPTS_MAX 20
#define EXPLAIN_SIGNERS_MAX 10
#define EXPLAIN_VALUE_MAX 300 /* octets of a setting's value; more is cut */

/* The command line. */
struct explain_ask {
	struct mw_conf_given config;
	const char *from, *client, *peer, *helo, *socket, *address, *asked, *header;
	const char *to[EXPLAIN_RCPTS_MAX];
	size_t to_count;
	const char *author; /* NULL: from */
	const char *signer[EXPLAIN_SIGNERS_MAX];
	size_t signer_count;
	unsigned port; /* 0: the first one */
	uint64_t size; /* 0: not given */
	bool has_score, json, warnings;
	int32_t score_milli;
};

struct explain_bank {
	const char *name, *why, *origin;
};

struct explain_setting {
	const char *name, *value, *origin, *bank; /* bank NULL: the base says it */
};

/* Of a recipient: value is JSON, and what a person reads too. */
struct explain_said {
	const char *name, *value, *from;
};

/* Whether something is so, at any score. from: it is so at `at` and above; below: under it. */
enum explain_when { EXPLAIN_NEVER, EXPLAIN_ALWAYS, EXPLAIN_FROM, EXPLAIN_BELOW };

struct explain_field {
	const char *name, *why;
	enum explain_when when;
	int32_t at_milli;
};

struct explain_rcpt {
	const char *address;
	struct explain_said *said;
	size_t said_count;
	const char **hops; /* of which the first that can be talked to */
	size_t hop_count;
	const char *no_hop;			      /* why there is none; NULL */
	struct explain_field fields[EDIT_FIELDS + 1]; /* and DKIM-Signature */
	enum explain_when blocked;
	int32_t blocked_milli;
	const char *reply; /* then */
};

struct explain_check {
	const char *kind, *why; /* why not; NULL: it runs */
};

struct explain {
	const struct explain_ask *ask;
	struct front *front;
	struct mw_conf *conf, *defaults;
	struct policy_set *set;
	struct txn *txn;
	struct smtp_arena arena; /* of all texts */
	const struct policy *socket_policy;
	struct policy_socket socket;
	struct explain_bank banks[POLICY_BANKS_MAX];
	size_t bank_count;
	struct explain_setting *settings;
	size_t setting_count;
	struct explain_rcpt *rcpts;
	struct explain_check checks[JOB_KINDS];
	size_t check_count;
	const char *refused; /* by SMTP, or for now: the mail never comes so far; NULL */
	const char *brought; /* ask->header in the mail itself: "removed" ...; NULL: not asked */
};

/* Never NULL: "" when memory ran out. */
const char *explain_text(struct explain *x, const char *fmt, ...) MW_PRINTF(2, 3);
/* A score as people write it: "6.31". */
const char *explain_points(struct explain *x, int32_t milli);
/* "FILE:LINE", "environment X", "default"; *bank_r: the bank of p's that says it, or NULL. */
const char *explain_origin(
	struct explain *x, const struct policy *p, const char *setting, const char **bank_r);

/* explain_mail.c. False after telling on stderr why there is no answer. */
bool explain_mail(struct explain *x);
/* explain_why.c: banks and settings of x->txn; the settings of a recipient, while records are
 * there. */
bool explain_banks(struct explain *x);
bool explain_settings(struct explain *x);
bool explain_said(struct explain *x, size_t rcpt, const struct db_records *records);
/* explain_fields.c: after the plan of checks. */
void explain_outcome(struct explain *x);

/* explain_print.c, explain_json.c. False: memory. */
bool explain_print(const struct explain *x, struct mw_text *out);
bool explain_json(const struct explain *x, struct mw_text *out);

/* mailweir-smtp-front --explain ...: the exit code. */
int explain_main(struct front *f, int argc, char **argv);

#endif
