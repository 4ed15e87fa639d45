/*
 * The objects of AMAVIS-MIB (1.3.6.1.4.1.15312.2.1): one row each, in the order of their OIDs, with
 * how each is fed from a mail record: a quantity, a condition and a direction. Counters count what
 * the record says and nothing else.
 */
#ifndef SNMPSVC_OBJECTS_H
#define SNMPSVC_OBJECTS_H

#include "record.h"

#define SNMPSVC_OBJECTS 331
#define SNMPSVC_TAIL_MAX 4 /* numbers behind the base OID, without the final .0 */

enum snmpsvc_type {
	SNMPSVC_TEXT,
	SNMPSVC_OID,
	SNMPSVC_TICKS,
	SNMPSVC_INT,
	SNMPSVC_C32, /* wraps modulo 2^32 */
	SNMPSVC_C64,
	SNMPSVC_GAUGE,
	SNMPSVC_INTERVAL, /* value in microseconds; shown in 0.01 s, modulo 2^31 */
};

/* What a mail adds to the object. */
enum snmpsvc_quantity {
	SNMPSVC_NOTHING,  /* always 0, or set by others (system, process, queue groups) */
	SNMPSVC_MAILS,	  /* 1 */
	SNMPSVC_OCTETS,	  /* its size */
	SNMPSVC_RCPTS,	  /* its recipients that meet the condition and have the direction */
	SNMPSVC_RELAYS,	  /* its deliveries to a next hop, whatever came of them */
	SNMPSVC_DELIVERS, /* those answered 2xx */
	SNMPSVC_FAILS,	  /* those answered 4xx or broken */
	SNMPSVC_REJECTS,  /* those answered 5xx */
	SNMPSVC_RELAYED,  /* octets taken by a next hop */
	SNMPSVC_COPIES,	  /* quarantine copies */
	SNMPSVC_COPIED,	  /* their octets */
	SNMPSVC_SENT,	  /* relays and copies */
	SNMPSVC_SENT_OCTETS,
	SNMPSVC_SUBMITS, /* copies, and mails of our own */
	SNMPSVC_SUBMITTED,
	SNMPSVC_OWN,	    /* mails of our own of that kind: argument, enum mw_own */
	SNMPSVC_OWN_OCTETS, /* and their octets */
	SNMPSVC_CONN_NEW,
	SNMPSVC_CONN_QUIT,
	SNMPSVC_CONN_REUSE,
	SNMPSVC_CONN_REUSE_FAIL,
	SNMPSVC_ELAPSED, /* wall time of the section, argument: index into snmpsvc_sections */
	SNMPSVC_QUANTITY_COUNT
};

enum snmpsvc_condition {
	SNMPSVC_ALWAYS,
	SNMPSVC_STATUS,	     /* a recipient has an outcome of the mask in the argument */
	SNMPSVC_CONTENT,     /* the category's major number is the argument */
	SNMPSVC_NULL_SENDER, /* empty envelope sender */
	SNMPSVC_IS_BOUNCE,
	SNMPSVC_BY_SMTP,
	SNMPSVC_BY_LMTP,
	SNMPSVC_DECODED, /* the section "decode" ran */
	SNMPSVC_SPAM_RAN,
	SNMPSVC_SCAN_RAN,
	SNMPSVC_PENPALS,     /* pen pals were asked */
	SNMPSVC_PENPALS_HIT, /* and this recipient's was found */
	SNMPSVC_PENPALS_MISS,
	SNMPSVC_CONDITION_COUNT
};

/* Directions of a mail are those of its recipients; the first four are enum mw_direction's. */
enum snmpsvc_way {
	SNMPSVC_INBOUND = MW_DIR_INBOUND,
	SNMPSVC_OUTBOUND = MW_DIR_OUTBOUND,
	SNMPSVC_INTERNAL = MW_DIR_INTERNAL,
	SNMPSVC_OPENRELAY = MW_DIR_OPENRELAY,
	SNMPSVC_ANY,
	SNMPSVC_ORIGINATING,
	SNMPSVC_LOCAL,
};

struct snmpsvc_object {
	uint8_t tail[SNMPSVC_TAIL_MAX], tail_n;
	const char *name;
	enum snmpsvc_type type;
	enum snmpsvc_quantity quantity;
	enum snmpsvc_condition condition;
	unsigned argument;
	enum snmpsvc_way way;
};
extern const struct snmpsvc_object snmpsvc_objects[SNMPSVC_OBJECTS];
extern const char *const snmpsvc_sections[7];

/* Index of the object of that name; SNMPSVC_OBJECTS: none. */
size_t snmpsvc_object_named(const char *name);
/* What the record adds to the object. */
uint64_t snmpsvc_measure(const struct snmpsvc_object *o, const struct mw_record *r);

#endif
