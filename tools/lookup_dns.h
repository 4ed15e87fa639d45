/* DNS lists for `mailweir lookup`: asked one after the other, and waited for. */
#ifndef MW_TOOL_LOOKUP_DNS_H
#define MW_TOOL_LOOKUP_DNS_H

#include "lookup.h"

struct mw_tool_dns;
/* The resolver starts with the first question. NULL: no memory. */
struct mw_tool_dns *mw_tool_dns_new(const struct mw_conf *conf);
void mw_tool_dns_destroy(struct mw_tool_dns **d_p);
struct mw_dnsl_source *mw_tool_dns_source(struct mw_tool_dns *d);

#endif
