/* mailweir-status: subscribes to every front, keeps the live state and shows it over HTTP. Wiring
 * only. */
#include <stdio.h>

#include "http.h"
#include "log.h"
#include "page.h"
#include "service.h"
#include "views.h"

#define EXPIRE_MS 1000
#define SOCKETS_PER_FRONT 2 /* events and replay */
#define SOCKETS_BESIDE 16

struct status {
	struct statussvc_live live;
	struct mw_zctx z;
	struct mw_subscriber *subscriber;
	struct mw_http *http;
	struct mw_timer *expire;
};

/* ------------------------------------------------------------------ events */

static void on_state(void *arg, const char *endpoint, const struct mw_state *s)
{
	struct status *st = arg;

	statussvc_live_state(&st->live, endpoint, s, mw_mono_ms());
}

static void on_mail(void *arg, const struct mw_record *r)
{
	struct status *st = arg;

	if (r->own == MW_OWN_NONE)
		statussvc_counts_mail(&st->live.counts, r, mw_mono_ms());
}

static void on_alert(void *arg, uint64_t incarnation, uint64_t sequence, const char *event,
	struct mw_octets text)
{
	struct status *st = arg;

	statussvc_live_alert(&st->live, incarnation, sequence, event, text, mw_wall_ms());
}

static void on_gap(void *arg, uint64_t incarnation, uint64_t from, uint64_t to)
{
	struct status *st = arg;

	statussvc_live_gap(&st->live, from, to);
	mw_log(MW_WARN, "records_lost", "incarnation=%016llx from=%llu to=%llu",
		(unsigned long long)incarnation, (unsigned long long)from, (unsigned long long)to);
}

static void on_front(void *arg, const char *endpoint, bool up)
{
	struct status *st = arg;

	statussvc_live_front(&st->live, endpoint, up, mw_mono_ms());
	mw_log(MW_INFO, up ? "front_up" : "front_down", "endpoint=%s", mw_quote(endpoint));
}

static void on_expire(void *arg)
{
	struct status *st = arg;

	statussvc_live_expire(&st->live, mw_mono_ms());
}

/* ------------------------------------------------------------------ resources */

static unsigned answer(
	struct mw_text *body, const char *text, const char *type, const char **type_r)
{
	*type_r = type;
	mw_text_add(body, text);
	return body->failed ? 500 : 200;
}

static unsigned get_page(void *arg, const char *path, struct mw_text *body, const char **type_r)
{
	(void)arg;
	(void)path;
	return answer(body, statussvc_page_html, "text/html; charset=utf-8", type_r);
}

static unsigned get_css(void *arg, const char *path, struct mw_text *body, const char **type_r)
{
	(void)arg;
	(void)path;
	return answer(body, statussvc_page_css, "text/css; charset=utf-8", type_r);
}

static unsigned get_js(void *arg, const char *path, struct mw_text *body, const char **type_r)
{
	(void)arg;
	(void)path;
	return answer(body, statussvc_page_js, "text/javascript; charset=utf-8", type_r);
}

static unsigned get_state(void *arg, const char *path, struct mw_text *body, const char **type_r)
{
	struct status *st = arg;

	(void)path;
	*type_r = "application/json";
	return statussvc_json(body, &st->live, mw_mono_ms(), mw_wall_ms()) == MW_OK ? 200 : 500;
}

static unsigned get_metrics(void *arg, const char *path, struct mw_text *body, const char **type_r)
{
	struct status *st = arg;

	(void)path;
	*type_r = "text/plain; version=0.0.4; charset=utf-8";
	statussvc_metrics(body, &st->live, mw_mono_ms());
	return body->failed ? 500 : 200;
}

/* Without a front there is nothing to show, but nothing is wrong with this service either. */
static unsigned get_health(void *arg, const char *path, struct mw_text *body, const char **type_r)
{
	struct status *st = arg;

	(void)path;
	*type_r = "text/plain; charset=utf-8";
	mw_text_addf(body, "ok fronts=%zu fronts_up=%zu\n", st->live.front_count,
		statussvc_live_fronts_up(&st->live));
	return body->failed ? 500 : 200;
}

static const struct mw_http_route routes[] = {
	{ "/", get_page },
	{ "/page.css", get_css },
	{ "/page.js", get_js },
	{ "/api/state", get_state },
	{ "/metrics", get_metrics },
	{ "/health", get_health },
	{ NULL, NULL },
};

/* ------------------------------------------------------------------ life */

static const struct mw_subscriber_ops subscriber_ops = {
	.mail = on_mail,
	.alert = on_alert,
	.state = on_state,
	.gap = on_gap,
	.front = on_front,
};

static enum mw_rc status_open(void *arg, struct mw_service *s, struct mw_err *err_r)
{
	struct status *st = arg;
	struct mw_err why = { "" };
	enum mw_rc rc;

	rc = statussvc_live_init(&st->live, (size_t)mw_conf_int(s->conf, "status.max_fronts"),
		(size_t)mw_conf_int(s->conf, "status.alerts"),
		(uint64_t)mw_conf_int(s->conf, "status.keep_front") * 1000, mw_mono_ms());
	if (rc != MW_OK)
		return mw_fail(err_r, rc, "no memory for the live state");
	st->expire = mw_timer_new(s->loop, on_expire, st);
	if (st->expire == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for a timer");
	mw_timer_start(st->expire, EXPIRE_MS, EXPIRE_MS);
	rc = mw_zctx_open(&st->z, "status", s->conf, s->loop,
		SOCKETS_PER_FRONT * (unsigned)mw_conf_int(s->conf, "status.max_fronts") +
			SOCKETS_BESIDE,
		err_r);
	if (rc != MW_OK)
		return rc;
	rc = mw_http_open(
		&st->http, s->loop, mw_conf_text(s->conf, "status.listen"), routes, st, &why);
	if (rc != MW_OK)
		return mw_fail(err_r, rc, "status.listen: %.480s", why.text);
	rc = mw_subscriber_open(&st->subscriber, &st->z, s->loop, s->conf, &subscriber_ops, st,
		NULL, 0, false, err_r);
	if (rc == MW_OK)
		mw_service_ready(s, "listen=%s port=%u", mw_conf_text(s->conf, "status.listen"),
			mw_http_port(st->http));
	return rc;
}

static void status_close(void *arg, struct mw_service *s)
{
	struct status *st = arg;

	(void)s;
	mw_subscriber_close(&st->subscriber);
	mw_http_close(&st->http);
	mw_zctx_close(&st->z);
	mw_timer_destroy(&st->expire);
	statussvc_live_fini(&st->live);
}

static void status_metrics(void *arg, struct mw_service *s, struct mw_text *out)
{
	struct status *st = arg;

	(void)s;
	statussvc_metrics(out, &st->live, mw_mono_ms());
}

int main(int argc, char **argv)
{
	static const struct mw_service_ops ops = {
		.open = status_open,
		.close = status_close,
		.metrics = status_metrics,
	};
	static struct status st;

	return mw_service_main(argc, argv, "status", &ops, &st);
}
