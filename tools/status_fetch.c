/* The only file of tools that includes <curl/curl.h>. */
#include "status_fetch.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#define PATH "/api/state"
#define URL_MAX 1024

struct status_fetch {
	CURL *curl;
	char url[URL_MAX];
	const volatile sig_atomic_t *stop;
	struct mw_text *body; /* of the running request */
};

static size_t on_octets(char *p, size_t size, size_t n, void *arg)
{
	struct status_fetch *f = arg;

	if (n * size > STATUS_FETCH_OCTETS - f->body->n)
		return 0;
	mw_text_add_octets(f->body, p, n * size);
	return f->body->failed ? 0 : n * size;
}

static int on_progress(
	void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
	struct status_fetch *f = arg;

	(void)down_all;
	(void)down;
	(void)up_all;
	(void)up;
	return f->stop != NULL && *f->stop != 0;
}

static bool set_options(struct status_fetch *f)
{
	CURL *c = f->curl;

	return curl_easy_setopt(c, CURLOPT_URL, f->url) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_NOPROXY, "*") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)STATUS_FETCH_MS) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_USERAGENT, "mailweir/" MW_VERSION) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_octets) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEDATA, f) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_XFERINFODATA, f) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
}

struct status_fetch *status_fetch_new(const char *url, const volatile sig_atomic_t *stop)
{
	struct status_fetch *f = calloc(1, sizeof(*f));
	size_t n = strlen(url);

	if (f == NULL)
		return NULL;
	while (n > 0 && url[n - 1] == '/')
		n--;
	snprintf(f->url, sizeof(f->url), "%.*s" PATH, (int)(n < URL_MAX ? n : URL_MAX), url);
	f->stop = stop;
	f->curl = curl_easy_init();
	if (f->curl == NULL || !set_options(f))
		status_fetch_destroy(&f);
	return f;
}

void status_fetch_destroy(struct status_fetch **f_p)
{
	struct status_fetch *f = *f_p;

	*f_p = NULL;
	if (f == NULL)
		return;
	if (f->curl != NULL)
		curl_easy_cleanup(f->curl);
	free(f);
}

enum mw_rc status_fetch_get(struct status_fetch *f, struct mw_text *body_r, struct mw_err *err_r)
{
	long status = 0;
	CURLcode rc;

	mw_text_clear(body_r);
	f->body = body_r;
	rc = curl_easy_perform(f->curl);
	f->body = NULL;
	if (rc == CURLE_WRITE_ERROR)
		return mw_fail(err_r, MW_ERR_LIMIT, "the answer of %s does not fit in %u octets",
			f->url, STATUS_FETCH_OCTETS);
	if (rc != CURLE_OK)
		return mw_fail(err_r, MW_ERR_IO,
			"no answer from %s: %s; does mailweir-status run there?", f->url,
			curl_easy_strerror(rc));
	curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return mw_fail(
			err_r, MW_ERR_PROTO, "%s answers with HTTP status %ld", f->url, status);
	return MW_OK;
}
