#include "resolver.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unbound.h>
#include <unistd.h>

#include "log.h"

#define DNS_CLASS_IN 1
#define DNS_RCODE_NOERROR 0
#define DNS_RCODE_NXDOMAIN 3

#define SELF_TEST_MS 5000
#define RESOLV_LINE_MAX 1024

struct mw_dns_lookup {
	struct mw_resolver *r;
	void (*came)(void *arg, const struct mw_dns_answer *answer); /* NULL: forgotten */
	void *arg;
	struct mw_dns_lookup *next, **prev_p;
};

struct mw_resolver {
	struct ub_ctx *ub;
	struct mw_fd *watch;
	struct mw_dns_lookup *waiting;
	size_t waiting_count;
	bool is_gone;
	void (*gone)(void *arg);
	void *gone_arg;
};

const char *mw_resolver_version(void)
{
	static char text[48];

	if (text[0] == '\0')
		snprintf(text, sizeof(text), "libunbound %s", ub_version());
	return text;
}

size_t mw_resolver_waiting(const struct mw_resolver *r)
{
	return r->waiting_count;
}

/* ------------------------------------------------------------------ settings */

/*
 * What differs from libunbound's defaults. Its 16 outgoing sockets let a few silent servers block
 * all others; and it refuses to ask 127.0.0.1, where a host's own resolver usually is.
 */
static const char *const ub_options[][2] = {
	{ "do-not-query-localhost:", "no" },
	{ "outgoing-range:", "256" },
	{ "num-queries-per-thread:", "1024" },
	{ "msg-cache-size:", "8m" },
	{ "rrset-cache-size:", "16m" },
	{ "edns-buffer-size:", "1232" },
};

static enum mw_rc add_nameserver(
	struct ub_ctx *ub, const char *address, const char *from, struct mw_err *err_r)
{
	int rc = ub_ctx_set_fwd(ub, address);

	if (rc == 0)
		return MW_OK;
	return mw_fail(err_r, MW_ERR_CONF,
		"%s: '%.100s' is no nameserver address (ADDRESS or ADDRESS@PORT): %s", from,
		address, ub_strerror(rc));
}

/* "fe80::1%eth0" as libunbound takes it, "fe80::1%2": IPv6-only networks announce such addresses.
 */
static bool number_scope(const char *address, char *buf, size_t size)
{
	const char *percent = strchr(address, '%');
	unsigned index;

	if (percent == NULL || percent[1] == '\0' || (percent[1] >= '0' && percent[1] <= '9'))
		return mw_strlcpy(buf, address, size) < size;
	index = if_nametoindex(percent + 1);
	return index != 0 && (size_t)snprintf(buf, size, "%.*s%%%u", (int)(percent - address),
				     address, index) < size;
}

/* ub_ctx_resolvconf cuts addresses at "%" and takes 127.0.0.1 when there is no line at all; so this
 * reads it. */
static enum mw_rc read_resolv_conf(
	struct ub_ctx *ub, const struct mw_resolver_conf *conf, struct mw_err *err_r)
{
	const char *path = conf->resolv_conf;
	char line[RESOLV_LINE_MAX], address[128];
	FILE *f = fopen(path, "re");
	enum mw_rc rc = MW_OK;
	size_t count = 0;

	if (f == NULL)
		return mw_fail(err_r, MW_ERR_CONF,
			"%s.nameservers is empty and %s cannot be read: %s", conf->section, path,
			strerror(errno));
	while (rc == MW_OK && count < MW_NAMESERVERS_MAX && fgets(line, sizeof(line), f) != NULL) {
		char *save, *word = strtok_r(line, " \t\r\n", &save);

		if (word == NULL || strcmp(word, "nameserver") != 0)
			continue;
		word = strtok_r(NULL, " \t\r\n", &save);
		if (word == NULL || !number_scope(word, address, sizeof(address)))
			continue; /* an interface that is down has no index: another line may do */
		rc = add_nameserver(ub, address, path, err_r);
		count++;
	}
	fclose(f);
	if (rc == MW_OK && count == 0)
		rc = mw_fail(err_r, MW_ERR_CONF,
			"%s.nameservers is empty and %s names no nameserver", conf->section, path);
	return rc;
}

static enum mw_rc set_nameservers(
	struct ub_ctx *ub, const struct mw_resolver_conf *conf, struct mw_err *err_r)
{
	enum mw_rc rc = MW_OK;
	char setting[64];

	snprintf(setting, sizeof(setting), "%s.nameservers", conf->section);
	if (conf->local_only)
		return MW_OK;
	if (conf->nameserver_count == 0)
		return read_resolv_conf(ub, conf, err_r);
	for (size_t i = 0; rc == MW_OK && i < conf->nameserver_count; i++)
		rc = add_nameserver(ub, conf->nameservers[i], setting, err_r);
	return rc;
}

/* After everything else: libunbound takes no other setting once it has data. */
static enum mw_rc set_data(
	struct ub_ctx *ub, const struct mw_resolver_conf *conf, struct mw_err *err_r)
{
	int rc = conf->local_only ? ub_ctx_zone_add(ub, ".", "static") : 0;

	if (rc != 0)
		return mw_fail(err_r, MW_ERR_CONF, "%s.dns_local_only: %s", conf->section,
			ub_strerror(rc));
	for (size_t i = 0; i < conf->data_count; i++) {
		rc = ub_ctx_data_add(ub, conf->data[i]);
		if (rc != 0)
			return mw_fail(err_r, MW_ERR_CONF,
				"%s.dns_data: '%.150s' is no record in zone file syntax: %s",
				conf->section, conf->data[i], ub_strerror(rc));
	}
	return MW_OK;
}

static enum mw_rc set_options(
	struct ub_ctx *ub, const struct mw_resolver_conf *conf, struct mw_err *err_r)
{
	int rc;

	for (size_t i = 0; i < MW_COUNT(ub_options); i++) {
		rc = ub_ctx_set_option(ub, ub_options[i][0], ub_options[i][1]);
		if (rc != 0)
			return mw_fail(err_r, MW_ERR_CONF, "libunbound refuses %s %s: %s",
				ub_options[i][0], ub_options[i][1], ub_strerror(rc));
	}
	if (conf->trust_anchor_file == NULL || conf->trust_anchor_file[0] == '\0')
		return MW_OK;
	/* libunbound opens it only with the first question, and then as a failed question. */
	if (access(conf->trust_anchor_file, R_OK) != 0)
		return mw_fail(err_r, MW_ERR_CONF, "%s.trust_anchor_file: %s: %s", conf->section,
			conf->trust_anchor_file, strerror(errno));
	rc = ub_ctx_add_ta_file(ub, conf->trust_anchor_file);
	if (rc != 0)
		return mw_fail(err_r, MW_ERR_CONF, "%s.trust_anchor_file: %s: %s", conf->section,
			conf->trust_anchor_file, ub_strerror(rc));
	return MW_OK;
}

/* ------------------------------------------------------------------ start and end */

static void self_test_came(void *arg, int err, struct ub_result *result)
{
	*(int *)arg = err;
	ub_resolve_free(result);
}

/* One question that is answered without the network: it finishes the settings and starts the
 * thread. */
static enum mw_rc self_test(
	struct ub_ctx *ub, const struct mw_resolver_conf *conf, struct mw_err *err_r)
{
	static int outcome; /* static: the thread may answer when we have given up */
	uint64_t end_ms = mw_mono_ms() + SELF_TEST_MS;
	int rc;

	outcome = 1;
	rc = ub_resolve_async(
		ub, "localhost.", MW_DNS_A, DNS_CLASS_IN, &outcome, self_test_came, NULL);
	if (rc != 0)
		return mw_fail(err_r, MW_ERR_CONF,
			"the resolver does not start: %s (%s.nameservers, trust_anchor_file)",
			ub_strerror(rc), conf->section);
	while (outcome == 1) {
		struct pollfd p = { .fd = ub_fd(ub), .events = POLLIN };
		uint64_t now_ms = mw_mono_ms();

		if (now_ms >= end_ms)
			return mw_fail(err_r, MW_ERR_TIMEOUT,
				"the resolver did not answer for itself within %d ms",
				SELF_TEST_MS);
		if (poll(&p, 1, (int)(end_ms - now_ms)) > 0 && ub_process(ub) != 0)
			return mw_fail(err_r, MW_ERR_IO, "the resolver's thread is gone");
	}
	if (outcome != 0)
		return mw_fail(err_r, MW_ERR_CONF,
			"the resolver does not work: %s (%s.trust_anchor_file)",
			ub_strerror(outcome), conf->section);
	return MW_OK;
}

static void readable(void *arg, int events)
{
	struct mw_resolver *r = arg;

	(void)events;
	if (ub_process(r->ub) == 0)
		return;
	mw_log(MW_ERROR, "resolver_gone", "waiting=%zu", r->waiting_count);
	mw_fd_watch(r->watch, 0);
	r->is_gone = true;
	r->gone(r->gone_arg);
}

enum mw_rc mw_resolver_open(struct mw_resolver **r_r, struct mw_loop *loop,
	const struct mw_resolver_conf *conf, struct mw_err *err_r)
{
	struct mw_resolver *r = calloc(1, sizeof(*r));
	enum mw_rc rc;

	*r_r = NULL;
	if (r == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for the resolver");
	r->gone = conf->gone;
	r->gone_arg = conf->gone_arg;
	r->ub = ub_ctx_create();
	if (r->ub == NULL) {
		free(r);
		return mw_fail(err_r, MW_ERR_NOMEM,
			"libunbound makes no context: no memory or no randomness");
	}
	rc = set_options(r->ub, conf, err_r);
	if (rc == MW_OK)
		rc = set_nameservers(r->ub, conf, err_r);
	if (rc == MW_OK && ub_ctx_async(r->ub, 1) != 0)
		rc = mw_fail(err_r, MW_ERR_IO, "libunbound takes no thread");
	if (rc == MW_OK)
		rc = set_data(r->ub, conf, err_r);
	if (rc == MW_OK)
		rc = self_test(r->ub, conf, err_r);
	if (rc == MW_OK) {
		r->watch = mw_fd_new(loop, ub_fd(r->ub), readable, r);
		mw_fd_watch(r->watch, MW_READABLE);
		*r_r = r;
		return MW_OK;
	}
	mw_resolver_close(&r);
	return rc;
}

static void lookup_free(struct mw_dns_lookup *l)
{
	*l->prev_p = l->next;
	if (l->next != NULL)
		l->next->prev_p = l->prev_p;
	l->r->waiting_count--;
	free(l);
}

void mw_resolver_close(struct mw_resolver **r_p)
{
	struct mw_resolver *r = *r_p;

	*r_p = NULL;
	if (r == NULL)
		return;
	if (r->watch != NULL)
		mw_fd_destroy(&r->watch);
	ub_ctx_delete(r->ub); /* ends the thread; no callback comes from here on */
	while (r->waiting != NULL)
		lookup_free(r->waiting);
	free(r);
}

/* ------------------------------------------------------------------ questions */

static void read_answer(const struct ub_result *u, struct mw_dns_answer *a)
{
	a->state = MW_DNS_FAILED;
	a->ttl_s = u->ttl > 0 ? (uint32_t)u->ttl : 0;
	if (u->bogus)
		a->why = "DNSSEC: the answer is not valid";
	else if (u->rcode == DNS_RCODE_NXDOMAIN || (u->rcode == DNS_RCODE_NOERROR && !u->havedata))
		a->state = MW_DNS_ABSENT;
	else if (u->rcode != DNS_RCODE_NOERROR)
		a->why = "DNS could not answer";
	else if (u->answer_len > MW_DNS_PACKET_MAX)
		a->why = "DNS answer too long";
	else
		a->state = MW_DNS_FOUND;
	if (a->state != MW_DNS_FOUND)
		return;
	for (size_t i = 0; u->data[i] != NULL; i++) {
		if (a->count == MW_DNS_RECORDS_MAX) {
			a->too_many = true;
			return;
		}
		a->records[a->count++] =
			mw_octets_of(u->data[i], u->len[i] > 0 ? (size_t)u->len[i] : 0);
	}
}

static void answered(void *arg, int err, struct ub_result *u)
{
	struct mw_dns_lookup *l = arg;
	struct mw_dns_answer answer = { .state = MW_DNS_FAILED, .why = "DNS could not answer" };
	void (*came)(void *, const struct mw_dns_answer *) = l->came;
	void *came_arg = l->arg;

	if (err == 0 && u != NULL)
		read_answer(u, &answer);
	lookup_free(l);
	if (came != NULL)
		came(came_arg, &answer);
	ub_resolve_free(u);
}

struct mw_dns_lookup *mw_resolver_ask(struct mw_resolver *r, const char *name,
	enum mw_dns_type type, void (*came)(void *arg, const struct mw_dns_answer *answer),
	void *arg)
{
	struct mw_dns_lookup *l;

	if (r->waiting_count >= MW_DNS_LOOKUPS_MAX || r->is_gone)
		return NULL;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	*l = (struct mw_dns_lookup){
		.r = r, .came = came, .arg = arg, .next = r->waiting, .prev_p = &r->waiting
	};
	if (r->waiting != NULL)
		r->waiting->prev_p = &l->next;
	r->waiting = l;
	r->waiting_count++;
	if (ub_resolve_async(r->ub, name, (int)type, DNS_CLASS_IN, l, answered, NULL) != 0) {
		lookup_free(l);
		return NULL;
	}
	return l;
}

void mw_dns_lookup_forget(struct mw_dns_lookup **l_p)
{
	if (*l_p != NULL)
		(*l_p)->came = NULL;
	*l_p = NULL;
}
