/* The language by itself: what template.c compiles and template_run.c runs, with any table of
 * macros. */
#ifndef SMTP_TEMPLATE_PRIV_H
#define SMTP_TEMPLATE_PRIV_H

#include "arena.h"
#include "pattern.h"
#include "template.h"

struct template_call;

/* What of a value is escaped for a line (template_scope.escape). */
enum template_trust {
	TEMPLATE_FOREIGN, /* control characters and backslashes */
	TEMPLATE_DECODED, /* of arguments, decoded: control characters */
	TEMPLATE_READ,	  /* foreign where there are lines: control characters but tabs */
	TEMPLATE_LINED,	  /* as foreign; where there are lines, newlines are ours and stay */
	TEMPLATE_OURS	  /* our own words, or of arguments: nothing */
};

/* One macro, or function. */
struct template_macro {
	const char *name;
	/* Says the value by template_say and so on; says nothing: it is unset. */
	void (*give)(struct template_call *c, int arg);
	int arg;
	enum template_trust trust;
};

struct template_table {
	const struct template_macro *rows;
	size_t count;
};

/* A call: `[:name|argv[0]|argv[1]]`. */
struct template_call {
	const struct template_scope *scope;
	struct smtp_arena *arena; /* lives as long as the expansion */
	size_t argc;
	const struct mw_octets *argv;
	/* the value */
	bool set, list, failed;
	size_t count, cap;
	struct mw_octets *items, one;
};

/* The value is that text, or has that item, too: octets that live as long as the expansion. */
void template_say(struct template_call *c, struct mw_octets text);
void template_say_text(struct template_call *c, const char *text);
void template_sayf(struct template_call *c, const char *fmt, ...) MW_PRINTF(2, 3);
void template_item(struct template_call *c, struct mw_octets item);
/* It is a list, if only an empty one. */
void template_list(struct template_call *c);
/* An argument; empty where there is none. */
struct mw_octets template_arg(const struct template_call *c, size_t i);

enum template_kind {
	TEMPLATE_TEXT,
	TEMPLATE_MACRO,	   /* %x */
	TEMPLATE_COUNT,	   /* %#x */
	TEMPLATE_NAME,	   /* _NAME_, _NAME(text)_ */
	TEMPLATE_HASH,	   /* #, in quotes: a comment once they are off */
	TEMPLATE_SEP,	   /* | */
	TEMPLATE_CLOSE,	   /* ] or "] */
	TEMPLATE_QUOTE,	   /* [" and from here on what opens */
	TEMPLATE_ITERATOR, /* [ */
	TEMPLATE_SELECT,   /* [? */
	TEMPLATE_REGEXP,   /* [~ */
	TEMPLATE_ACTIVE,   /* [@ */
	TEMPLATE_NEUTRAL,  /* [: */
	TEMPLATE_DEFINE,   /* [= */
};

struct template_token {
	uint8_t kind;
	unsigned char ch;  /* of %x and %#x */
	uint16_t name_len; /* of _NAME(text)_ */
	uint16_t macro;	   /* index in the table + 1; 0: none has the name */
	uint16_t pattern;  /* of a separator: index + 1 of the regexp behind it; 0: none is known */
	uint32_t at, n;	   /* what it is written as, in the pool; of a text what it means */
	uint32_t next;	   /* of an opening and a separator: the next separator of its level, or the
			    * closing; of #: behind the comment */
	uint32_t end;	   /* of an opening: its closing */
};

struct template_code {
	unsigned refs;
	const struct template_table *table;
	size_t count, cap, pool_n, pool_cap;
	struct template_token *tokens;
	char *pool;
	size_t pattern_count;
	struct mw_pattern **patterns;
};

extern const struct template_table template_macros; /* of a mail: template_macros.c */

enum mw_rc template_compile(const char *text, const struct template_table *table,
	struct template_code **template_r, struct mw_err *err_r);
/* Without the blanks at both ends. */
struct mw_octets template_trim(struct mw_octets s);
/* Index in the table + 1; 0: none. */
unsigned template_find(const struct template_table *table, struct mw_octets name);

#endif
