/*
 * JSON as the log wants it: no whitespace, `"`, `\`, 00-1F, 7F, U+2028 and U+2029 escaped (short
 * forms, else \u and four upper-case digits), all else literal; octets that are no UTF-8 become
 * U+FFFD, so the result is valid whatever comes. Keys are written in the order in which the caller
 * adds them: sorted by code point is the caller's promise.
 */
#ifndef LOGSVC_JSON_H
#define LOGSVC_JSON_H

#include "base.h"
#include "text.h"

struct logsvc_json {
	struct mw_text *out;
	bool comma; /* a member stands before the next one */
};

void logsvc_json_begin(struct logsvc_json *j, struct mw_text *out);
/* key NULL: in an array. bracket: '{' or '['. */
void logsvc_json_open(struct logsvc_json *j, const char *key, char bracket);
void logsvc_json_close(struct logsvc_json *j, char bracket);
void logsvc_json_text(struct logsvc_json *j, const char *key, struct mw_octets value);
void logsvc_json_word(struct logsvc_json *j, const char *key, const char *value);
void logsvc_json_uint(struct logsvc_json *j, const char *key, uint64_t value);
void logsvc_json_bool(struct logsvc_json *j, const char *key, bool value);
/* Thousandths as a number, without needless zeros: -1.1, 5, 0.05. */
void logsvc_json_milli(struct logsvc_json *j, const char *key, int64_t milli);
/* Microseconds as seconds with three decimals. */
void logsvc_json_seconds(struct logsvc_json *j, const char *key, uint64_t us);
/* A key that came from outside. */
void logsvc_json_key(struct logsvc_json *j, struct mw_octets key);

#endif
