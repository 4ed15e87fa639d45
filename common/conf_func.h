/*
 * Calling the functions of a settings file while the service runs. A call has limits of its own for
 * instructions, CPU time and memory; meeting one, or an error of the function, ends the call and
 * nothing else. Functions see what the file saw, settings to be read included; they can change
 * none.
 */
#ifndef MW_CONF_FUNC_H
#define MW_CONF_FUNC_H

#include "conf.h"

#define MW_FUNC_TEXT_MAX 1024 /* octets of a text that a function returns, NUL included */

struct mw_func_limits {
	unsigned steps; /* Lua instructions */
	unsigned time_ms;
	size_t octets; /* of memory, above what the file held when it was loaded */
};

struct mw_func_answer {
	enum { MW_FUNC_NIL, MW_FUNC_BOOL, MW_FUNC_NUM, MW_FUNC_TEXT } type;
	bool b;
	double num;
	char text[MW_FUNC_TEXT_MAX];
};

/* f(arg), f->tag being MW_V_FUNC. On anything but MW_OK the answer is nil and err_r says why:
 * MW_ERR_LIMIT, MW_ERR_CONF (its error, or a value that is no scalar). One thread at a time for all
 * functions of a file. */
enum mw_rc mw_func_call(const struct mw_val *f, const char *arg,
	const struct mw_func_limits *limits, struct mw_func_answer *answer_r, struct mw_err *err_r);

#endif
