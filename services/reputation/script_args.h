/* What a script is called with, as one growing list of octets. Pure: nothing here talks to a
 * server. */
#ifndef REP_SCRIPT_ARGS_H
#define REP_SCRIPT_ARGS_H

#include "scripts.h"
#include "store.h"

/*
 * The list of one call: three places for what the connection puts there (command, script, number of
 * keys), then keys, then arguments. Texts are copied into one buffer, so the list outlives what it
 * was made of.
 */
struct rep_args {
	char *buf;
	size_t len, cap;
	size_t *ends; /* of each item in buf */
	size_t count, room;
	const char **argv; /* made by rep_args_end */
	size_t *argv_len;
	size_t keys;
	bool failed; /* memory ran out; sticky */
};

#define REP_ARGS_HEAD 3 /* EVALSHA, hash, number of keys */

/* What a record needs at the server that is not in the question. */
struct rep_script_conf {
	int64_t penpals_ttl_s; /* 0: records never end */
};

/* Build the arguments of a call; then MW_OK, or MW_ERR_NOMEM. Fini in either case. */
enum mw_rc rep_args_query(
	struct rep_args *a, const struct rep_query *q, const struct rep_script_conf *conf);
enum mw_rc rep_args_learn(
	struct rep_args *a, const struct rep_lesson *l, const struct rep_script_conf *conf);
/* Fill the three places. Texts are borrowed until the next call of this. */
void rep_args_head(
	struct rep_args *a, const char *command, const char *script, const char *keys_text);
void rep_args_fini(struct rep_args *a);

#endif
