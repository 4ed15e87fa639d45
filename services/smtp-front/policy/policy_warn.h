/*
 * Settings that can be and hardly ever are meant: the classic mistakes, told when settings are
 * read. Nothing here is an error, and nothing stops mail.
 */
#ifndef SMTP_POLICY_WARN_H
#define SMTP_POLICY_WARN_H

#include "policy.h"

#define POLICY_WARNINGS_MAX 50 /* told at once; more are left out */
#define POLICY_WARNING_MAX 400 /* octets of one's text */

struct policy_warning {
	const char *name; /* a stable word: "kill_below_tag2" */
	unsigned line;	  /* mw_conf_at() of who said it; 0: a default */
	const char *text; /* what is so */
	const char *hint; /* what to do about it */
};

/*
 * Tell all of a set. sockets: what is listened at, or, where nobody listens yet, set->sockets;
 * a port 0 there may become any.
 */
void policy_warn(const struct policy_set *set, const struct policy_socket *sockets, size_t count,
	void (*tell)(void *arg, const struct policy_warning *w), void *arg);
/* The same into the log, a line each. */
void policy_warn_log(
	const struct policy_set *set, const struct policy_socket *sockets, size_t count);
/* The same of a set that nobody listens for, "FILE:LINE: TEXT (HINT)" and a newline each. */
void policy_warn_print(const struct policy_set *set, struct mw_text *out);

#endif
