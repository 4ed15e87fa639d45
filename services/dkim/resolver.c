#include "resolver.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unbound.h>
#include <unistd.h>

#include "log.h"

#define DNS_TYPE_A 1
#define DNS_TYPE_TXT 16
#define DNS_CLASS_IN 1
#define DNS_RCODE_NOERROR 0
#define DNS_RCODE_NXDOMAIN 3

#define SELF_TEST_MS 5000
#define RESOLV_LINE_MAX 1024

struct dkimsvc_lookup {
	struct dkimsvc_resolver *r;
	void (*came)(void *arg, const struct dkimsvc_txt *txt); /* NULL: forgotten */
	void *arg;
	struct dkimsvc_lookup *next, **prev_p;
};

struct dkimsvc_resolver {
	struct ub_ctx *ub;
	struct mw_fd *watch;
	struct dkimsvc_lookup *waiting;
	size_t waiting_count;
};

const char *dkimsvc_resolver_version(void)
{
	static char text[48];

	if (text[0] == '\0')
		snprintf(text, sizeof(text), "libunbound %s", ub_version());
	return text;
}

size_t dkimsvc_resolver_waiting(const struct dkimsvc_resolver *r)
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
static enum mw_rc read_resolv_conf(struct ub_ctx *ub, const char *path, struct mw_err *err_r)
{
	char line[RESOLV_LINE_MAX], address[128];
	FILE *f = fopen(path, "re");
	enum mw_rc rc = MW_OK;
	size_t count = 0;

	if (f == NULL)
		return mw_fail(err_r, MW_ERR_CONF,
			"dkim.nameservers is empty and %s cannot be read: %s", path,
			strerror(errno));
	while (rc == MW_OK && count < DKIMSVC_NAMESERVERS_MAX &&
		fgets(line, sizeof(line), f) != NULL) {
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
			"dkim.nameservers is empty and %s names no nameserver", path);
	return rc;
}

static enum mw_rc set_nameservers(
	struct ub_ctx *ub, const struct dkimsvc_resolver_conf *conf, struct mw_err *err_r)
{
	enum mw_rc rc = MW_OK;

	if (conf->local_only)
		return MW_OK;
	if (conf->nameserver_count == 0)
		return read_resolv_conf(ub, conf->resolv_conf, err_r);
	for (size_t i = 0; rc == MW_OK && i < conf->nameserver_count; i++)
		rc = add_nameserver(ub, conf->nameservers[i], "dkim.nameservers", err_r);
	return rc;
}

/* After everything else: libunbound takes no other setting once it has data. */
static enum mw_rc set_data(
	struct ub_ctx *ub, const struct dkimsvc_resolver_conf *conf, struct mw_err *err_r)
{
	int rc = conf->local_only ? ub_ctx_zone_add(ub, ".", "static") : 0;

	if (rc != 0)
		return mw_fail(err_r, MW_ERR_CONF, "dkim.dns_local_only: %s", ub_strerror(rc));
	for (size_t i = 0; i < conf->data_count; i++) {
		rc = ub_ctx_data_add(ub, conf->data[i]);
		if (rc != 0)
			return mw_fail(err_r, MW_ERR_CONF,
				"dkim.dns_data: '%.150s' is no record in zone file syntax: %s",
				conf->data[i], ub_strerror(rc));
	}
	return MW_OK;
}

static enum mw_rc set_options(
	struct ub_ctx *ub, const struct dkimsvc_resolver_conf *conf, struct mw_err *err_r)
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
		return mw_fail(err_r, MW_ERR_CONF, "dkim.trust_anchor_file: %s: %s",
			conf->trust_anchor_file, strerror(errno));
	rc = ub_ctx_add_ta_file(ub, conf->trust_anchor_file);
	if (rc != 0)
		return mw_fail(err_r, MW_ERR_CONF, "dkim.trust_anchor_file: %s: %s",
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
static enum mw_rc self_test(struct ub_ctx *ub, struct mw_err *err_r)
{
	static int outcome; /* static: the thread may answer when we have given up */
	uint64_t end_ms = mw_mono_ms() + SELF_TEST_MS;
	int rc;

	outcome = 1;
	rc = ub_resolve_async(
		ub, "localhost.", DNS_TYPE_A, DNS_CLASS_IN, &outcome, self_test_came, NULL);
	if (rc != 0)
		return mw_fail(err_r, MW_ERR_CONF,
			"the resolver does not start: %s (dkim.nameservers, "
			"dkim.trust_anchor_file)",
			ub_strerror(rc));
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
			"the resolver does not work: %s (dkim.trust_anchor_file)",
			ub_strerror(outcome));
	return MW_OK;
}

static void readable(void *arg, int events)
{
	struct dkimsvc_resolver *r = arg;

	(void)events;
	if (ub_process(r->ub) != 0) {
		/* The thread is gone: every look-up would wait for its end in vain. Another worker
		 * has a resolver. */
		mw_log(MW_ERROR, "resolver_gone", "waiting=%zu", r->waiting_count);
		_exit(1);
	}
}

enum mw_rc dkimsvc_resolver_open(struct dkimsvc_resolver **r_r, struct mw_loop *loop,
	const struct dkimsvc_resolver_conf *conf, struct mw_err *err_r)
{
	struct dkimsvc_resolver *r = calloc(1, sizeof(*r));
	enum mw_rc rc;

	*r_r = NULL;
	if (r == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for the resolver");
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
		rc = self_test(r->ub, err_r);
	if (rc == MW_OK) {
		r->watch = mw_fd_new(loop, ub_fd(r->ub), readable, r);
		mw_fd_watch(r->watch, MW_READABLE);
		*r_r = r;
		return MW_OK;
	}
	dkimsvc_resolver_close(&r);
	return rc;
}

static void lookup_free(struct dkimsvc_lookup *l)
{
	*l->prev_p = l->next;
	if (l->next != NULL)
		l->next->prev_p = l->prev_p;
	l->r->waiting_count--;
	free(l);
}

void dkimsvc_resolver_close(struct dkimsvc_resolver **r_p)
{
	struct dkimsvc_resolver *r = *r_p;

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

static void read_answer(const struct ub_result *u, struct dkimsvc_txt *txt)
{
	txt->state = DKIMSVC_DNS_FAILED;
	if (u->bogus)
		txt->why = "DNSSEC: the answer for the key is not valid";
	else if (u->rcode == DNS_RCODE_NXDOMAIN || (u->rcode == DNS_RCODE_NOERROR && !u->havedata))
		txt->state = DKIMSVC_DNS_ABSENT;
	else if (u->rcode != DNS_RCODE_NOERROR)
		txt->why = "DNS could not answer for the key";
	else if (u->answer_len > DKIMSVC_DNS_PACKET_MAX)
		txt->why = "DNS answer too long";
	else
		txt->state = DKIMSVC_DNS_FOUND;
	if (txt->state != DKIMSVC_DNS_FOUND)
		return;
	for (size_t i = 0; u->data[i] != NULL; i++) {
		if (txt->count == DKIMSVC_TXT_RECORDS_MAX) {
			txt->too_many = true;
			return;
		}
		txt->records[txt->count++] =
			mw_octets_of(u->data[i], u->len[i] > 0 ? (size_t)u->len[i] : 0);
	}
}

static void answered(void *arg, int err, struct ub_result *u)
{
	struct dkimsvc_lookup *l = arg;
	struct dkimsvc_txt txt = { .state = DKIMSVC_DNS_FAILED,
		.why = "DNS could not answer for the key" };
	void (*came)(void *, const struct dkimsvc_txt *) = l->came;
	void *came_arg = l->arg;

	if (err == 0 && u != NULL)
		read_answer(u, &txt);
	lookup_free(l);
	if (came != NULL)
		came(came_arg, &txt);
	ub_resolve_free(u);
}

struct dkimsvc_lookup *dkimsvc_resolver_txt(struct dkimsvc_resolver *r, const char *name,
	void (*came)(void *arg, const struct dkimsvc_txt *txt), void *arg)
{
	struct dkimsvc_lookup *l;

	if (r->waiting_count >= DKIMSVC_LOOKUPS_MAX)
		return NULL;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	*l = (struct dkimsvc_lookup){
		.r = r, .came = came, .arg = arg, .next = r->waiting, .prev_p = &r->waiting
	};
	if (r->waiting != NULL)
		r->waiting->prev_p = &l->next;
	r->waiting = l;
	r->waiting_count++;
	if (ub_resolve_async(r->ub, name, DNS_TYPE_TXT, DNS_CLASS_IN, l, answered, NULL) != 0) {
		lookup_free(l);
		return NULL;
	}
	return l;
}

void dkimsvc_lookup_forget(struct dkimsvc_lookup **l_p)
{
	if (*l_p != NULL)
		(*l_p)->came = NULL;
	*l_p = NULL;
}
