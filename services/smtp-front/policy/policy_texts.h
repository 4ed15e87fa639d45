/* Texts of a policy in the language of templates: its log lines, its reasons. */
#ifndef SMTP_POLICY_TEXTS_H
#define SMTP_POLICY_TEXTS_H

#include "ccat.h"
#include "conf.h"

struct policy;
struct template_code;

struct policy_texts {
	struct template_code *log_line, *log_rcpt; /* NULL: none is written */
	struct template_code *reasons[CCAT_SLOTS]; /* smtp_reason_by_ccat; NULL: not set */
	size_t line_octets;			   /* logline_maxlen */
	size_t tests;				   /* macro_tests_sanity_limit */
};

/* Those that its settings do not say anew it has from the policy below it. err_r names the setting,
 * and where in its text what is wrong stands. */
enum mw_rc policy_texts_compile(struct policy *p, struct mw_err *err_r);
void policy_texts_fini(struct policy *p);

#endif
