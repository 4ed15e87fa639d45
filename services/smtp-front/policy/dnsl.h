/*
 * DNS lists among the tables of client addresses (docs/policy.md, "DNS lists"). Lookups never wait,
 * so whoever has an address looked at does it twice where tables hold such lists: a first lookup
 * notes whose answers are missing (only lists that the search reaches), these are asked for side by
 * side, and the second lookup finds them.
 *
 * One object for the front, used from the loop alone. Until a policy has a DNS list there is no
 * resolver and no thread. Answers are kept for their time to live; the same question of many mails
 * is asked once. No answer within lookup.dns_timeout is "unknown", never "not listed".
 */
#ifndef SMTP_DNSL_H
#define SMTP_DNSL_H

#include "conf.h"
#include "down.h"
#include "lookup.h"
#include "loop.h"
#include "text.h"

#define DNSL_LISTS_MAX 32 /* in the tables that one mail's client is looked for in */
/* So many questions in a row about one zone without an answer, and it is not asked for a while:
 * otherwise each mail would wait for a dead zone. */
#define DNSL_FAILURES_MAX 10
#define DNSL_PAUSE_MS 5000

struct dnsl;
struct dnsl_ask;

/* Without a resolver. NULL: no memory. */
struct dnsl *dnsl_new(struct mw_loop *loop);
/* Questions in flight are never answered. */
void dnsl_destroy(struct dnsl **d_p);
/*
 * The settings of now; wanted: some policy has DNS lists. Questions in flight are asked again where
 * other nameservers are to be asked. MW_ERR_CONF: they cannot be; all stays as it was.
 */
enum mw_rc dnsl_configure(
	struct dnsl *d, const struct mw_conf *conf, bool wanted, struct mw_err *err_r);

/* Everything about one address; zones are borrowed from the tables. NULL: no memory. */
struct dnsl_ask *dnsl_ask_new(struct dnsl *d, const struct mw_ip *ip);
/* done will not be called any more. */
void dnsl_ask_destroy(struct dnsl_ask **a_p);
/* For mw_lookup_ip_dnsl with that address: notes before dnsl_ask_start, knows after done. */
struct mw_dnsl_source *dnsl_ask_source(struct dnsl_ask *a);
/* Once. True: there is nothing to wait for. False: done comes from the loop, in lookup.dns_timeout
 * at the latest. */
bool dnsl_ask_start(struct dnsl_ask *a, void (*done)(void *arg), void *arg);

/* Names the zones that have stopped to answer. */
void dnsl_down(const struct dnsl *d, struct mw_down *down);
/* For GET /metrics. */
void dnsl_metrics(const struct dnsl *d, struct mw_text *out);

#endif
