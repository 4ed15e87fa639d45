/*
 * How many sessions each client address has, in constant time: addresses are the client's choice
 * (a /64 has plenty), so the table's hash has a key that nobody outside knows.
 */
#ifndef SMTP_CLIENTS_H
#define SMTP_CLIENTS_H

#include "ip.h"

struct clients;
struct client;

/* NULL: no memory. */
struct clients *clients_new(void);
void clients_destroy(struct clients **c_p);
/* One session more of that address. Whoever gets it gives it back by clients_leave. NULL: no
 * memory.
 */
struct client *clients_enter(struct clients *c, const struct mw_ip *ip);
/* Sessions of it now. */
unsigned clients_count(const struct client *client);
/* One session less; *client_p may be NULL, and is afterwards. */
void clients_leave(struct clients *c, struct client **client_p);

#endif
