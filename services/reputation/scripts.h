/*
 * The two programs that Redis runs for us, one call each: all that a message asks or teaches
 * happens at once at the server, for one round trip and without another client in between. Keys:
 * README.md, "Keys".
 *
 * Both take the keys they know in KEYS (an ip: key for each address, then mail_id when it is kept)
 * and the rest in ARGV, one after another in the order that script_args.c writes and the scripts
 * read. Data of the wrong kind makes them end with the word BADDATA: what is not understood is not
 * built upon.
 */
#ifndef REP_SCRIPTS_H
#define REP_SCRIPTS_H

enum rep_script { REP_SCRIPT_QUERY, REP_SCRIPT_LEARN, REP_SCRIPT_COUNT };

/* Lua 5.1 as Redis and Valkey run it. */
extern const char *const rep_script_source[REP_SCRIPT_COUNT];
extern const char *const rep_script_name[REP_SCRIPT_COUNT];

#define REP_BAD_DATA "BADDATA"

#endif
