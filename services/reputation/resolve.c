#include "resolve.h"

#include <netinet/in.h>
#include <stdlib.h>

struct rep_lookup {
	uv_getaddrinfo_t uv;
	rep_resolved *done; /* NULL: forgotten */
	void *arg;
};

static unsigned running;

static bool ip_of(const struct sockaddr *sa, struct mw_ip *ip_r)
{
	static const unsigned char v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

	if (sa->sa_family == AF_INET6) {
		memcpy(ip_r->a, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr,
			sizeof(ip_r->a));
		return true;
	}
	if (sa->sa_family != AF_INET)
		return false;
	memcpy(ip_r->a, v4_prefix, sizeof(v4_prefix));
	memcpy(ip_r->a + sizeof(v4_prefix),
		&((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	return true;
}

static void resolved(uv_getaddrinfo_t *uv, int status, struct addrinfo *list)
{
	struct rep_lookup *l = uv->data;
	struct mw_ip ips[REP_ADDRESSES_MAX];
	size_t count = 0;

	running--;
	for (struct addrinfo *a = list; status == 0 && a != NULL && count < REP_ADDRESSES_MAX;
		a = a->ai_next)
		count += ip_of(a->ai_addr, &ips[count]);
	uv_freeaddrinfo(list);
	if (l->done != NULL)
		l->done(l->arg, ips, count,
			status == 0 ? "the name has no address" : uv_strerror(status));
	free(l);
}

struct rep_lookup *rep_lookup_start(
	struct mw_loop *loop, const char *host, rep_resolved *done, void *arg)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC };
	struct rep_lookup *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->uv.data = l;
	l->done = done;
	l->arg = arg;
	if (uv_getaddrinfo(mw_loop_uv(loop), &l->uv, resolved, host, NULL, &hints) != 0) {
		free(l);
		return NULL;
	}
	running++;
	return l;
}

void rep_lookup_forget(struct rep_lookup **lookup_p)
{
	struct rep_lookup *l = *lookup_p;

	*lookup_p = NULL;
	if (l == NULL)
		return;
	l->done = NULL;
	uv_cancel(
		(uv_req_t *)&l->uv); /* if it has not begun; resolved() is called in either case */
}

unsigned rep_lookups_running(void)
{
	return running;
}
