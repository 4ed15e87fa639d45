#include "lookup_dns.h"

#include <stdlib.h>

#include "resolver.h"

struct mw_tool_dns {
	struct mw_dnsl_source source;
	const struct mw_conf *conf;
	struct mw_loop *loop;
	struct mw_resolver *resolver;
	struct mw_dnsl_answer answer;
	const char *why; /* NULL: answered */
	struct mw_err err;
};

static void stop(void *arg)
{
	struct mw_tool_dns *d = arg;

	mw_loop_stop(d->loop);
}

static void came(void *arg, const struct mw_dns_answer *dns)
{
	struct mw_tool_dns *d = arg;

	d->why = mw_dnsl_read(dns, &d->answer);
	stop(d);
}

static bool open_resolver(struct mw_tool_dns *d)
{
	struct mw_resolver_conf rc = {
		.section = "lookup", .resolv_conf = MW_RESOLV_CONF, .gone = stop, .gone_arg = d
	};

	if (d->resolver != NULL)
		return true;
	rc.nameserver_count = mw_conf_list(d->conf, "lookup.nameservers", &rc.nameservers);
	return mw_resolver_open(&d->resolver, d->loop, &rc, &d->err) == MW_OK;
}

static enum mw_dnsl_state find(struct mw_dnsl_source *src, const struct mw_ip *ip, const char *zone,
	const struct mw_dnsl_answer **answer_r, const char **why_r)
{
	struct mw_tool_dns *d = (struct mw_tool_dns *)src; /* its first field */
	char name[MW_DNSL_NAME_MAX];
	struct mw_dns_lookup *lookup;
	struct mw_timer *timer;

	d->why = d->err.text;
	if (open_resolver(d)) {
		d->why = "no answer in time (lookup.dns_timeout)";
		timer = mw_timer_new(d->loop, stop, d);
		mw_timer_start(timer, (uint64_t)mw_conf_int(d->conf, "lookup.dns_timeout"), 0);
		lookup = mw_resolver_ask(
			d->resolver, mw_dnsl_name(ip, zone, name), MW_DNS_A, came, d);
		if (lookup != NULL)
			mw_loop_run(d->loop);
		mw_timer_destroy(&timer);
	}
	*answer_r = &d->answer;
	*why_r = d->why;
	if (d->why == NULL)
		return MW_DNSL_KNOWN;
	mw_resolver_close(&d->resolver); /* nothing that is late answers another question */
	return MW_DNSL_UNKNOWN;
}

struct mw_tool_dns *mw_tool_dns_new(const struct mw_conf *conf)
{
	struct mw_tool_dns *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->source.find = find;
	d->conf = conf;
	d->loop = mw_loop_new();
	if (d->loop == NULL)
		mw_tool_dns_destroy(&d);
	return d;
}

void mw_tool_dns_destroy(struct mw_tool_dns **d_p)
{
	struct mw_tool_dns *d = *d_p;

	*d_p = NULL;
	if (d == NULL)
		return;
	mw_resolver_close(&d->resolver);
	if (d->loop != NULL)
		mw_loop_destroy(&d->loop);
	free(d);
}

struct mw_dnsl_source *mw_tool_dns_source(struct mw_tool_dns *d)
{
	return &d->source;
}
