/*
 * Calling the functions of a settings file while the service runs. A call has limits of its own for
 * instructions, CPU time and memory; meeting one, or an error of the function, ends the call and
 * nothing else. Functions see what the file saw, settings to be read included; they can change
 * none.
 *
 * All functions of a file share one Lua state, and what they keep in the file's local variables.
 */
#ifndef MW_CONF_FUNC_H
#define MW_CONF_FUNC_H

#include "conf.h"

struct lua_State;

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

/* ---- for who hands more than a text to a function (hooks) ---- */

/*
 * Run body as a Lua C function within the limits; f is at index 1, arg as light userdata at index
 * 2. What body leaves is dropped. Errors, its own and those of what it calls, are as above; after
 * one the body has been left by longjmp. Not to be nested.
 */
enum mw_rc mw_func_run(const struct mw_val *f, int (*body)(struct lua_State *L), void *arg,
	const struct mw_func_limits *limits, struct mw_err *err_r);
/* A C function that body's functions call has done the work of so many instructions; raises an
 * error when that, or the time, is too much. */
void mw_func_charge(struct lua_State *L, size_t steps);
/*
 * Functions called by mw_func_run keep and use up to that many octets, and what the program holds
 * now is not counted: then what they keep is not taken from functions called by mw_func_call.
 */
void mw_func_reserve(const struct mw_val *f, size_t octets);

#endif
