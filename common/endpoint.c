/* Finding the fronts: sockets in a folder, or all addresses behind names. */
#include "endpoint.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include "log.h"
#include "wire.h"

#define FRONTS_MAX 64	    /* fronts that are found; more are told in the log */
#define HOSTS_MAX 16	    /* names in pipeline.front */
#define MISSES_MAX 3	    /* look-ups without it until a front counts as gone */
#define FOLDER_SETTLE_MS 20 /* from a change in run_dir to the look at it */

static const char *const door_names[MW_DOOR_COUNT] = { "verdicts", "events", "replay" };

struct host {
	struct mw_finder *finder;
	uv_getaddrinfo_t req;
	char name[256], port[8];
	bool failed; /* this round brought no answer: what was found before still counts */
};

struct front {
	struct mw_front_address address;
	size_t host;
	bool seen; /* in this round */
	unsigned misses;
};

struct mw_finder {
	struct mw_loop *loop;
	void (*came)(void *arg, const struct mw_front_address *a);
	void (*gone)(void *arg, const struct mw_front_address *a);
	void *arg;
	struct mw_timer *timer;
	uint64_t interval_ms;
	char *folder; /* ipc: pipeline.run_dir; NULL: tcp */
	uv_fs_event_t changes;
	size_t host_count, pending;
	struct host hosts[HOSTS_MAX];
	size_t front_count;
	struct front fronts[FRONTS_MAX];
	bool full_told, dead;
	int users; /* handles, look-ups and callbacks that still point here */
};

/* ------------------------------------------------------------------ endpoint texts */

static bool parse_port(const char *text, unsigned *port_r)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || port == 0 ||
		port > UINT16_MAX - (MW_DOOR_COUNT - 1))
		return false;
	*port_r = (unsigned)port;
	return true;
}

/* "tcp://HOST:PORT", HOST bracketed when it is IPv6; name_r without the brackets. */
static bool parse_tcp(const char *text, size_t n, char *name_r, size_t size, unsigned *port_r)
{
	char copy[300], *host = copy + 6, *colon;

	if (!mw_strncpy(copy, sizeof(copy), text, n) || strncmp(copy, "tcp://", 6) != 0)
		return false;
	colon = strrchr(host, ':');
	if (colon == NULL || !parse_port(colon + 1, port_r))
		return false;
	*colon = '\0';
	if (host[0] == '[') {
		if (colon == host + 1 || colon[-1] != ']')
			return false;
		colon[-1] = '\0';
		host++;
	} else if (strchr(host, ':') != NULL) {
		return false;
	}
	return *host != '\0' && mw_is_printable(host, strlen(host)) && strchr(host, ' ') == NULL &&
	       mw_strlcpy(name_r, host, size) < size;
}

static void tcp_doors(struct mw_front_address *a, const char *host, unsigned port)
{
	bool six = strchr(host, ':') != NULL;

	for (unsigned i = 0; i < MW_DOOR_COUNT; i++)
		snprintf(a->door[i], sizeof(a->door[i]), six ? "tcp://[%s]:%u" : "tcp://%s:%u",
			host, port + i);
}

static void ipc_doors(
	struct mw_front_address *a, const char *folder, const char *instance, size_t n)
{
	for (unsigned i = 0; i < MW_DOOR_COUNT; i++)
		snprintf(a->door[i], sizeof(a->door[i]), "ipc://%.120s/front-%.*s.%s", folder,
			(int)n, instance, door_names[i]);
}

static bool fits_socket_path(const char *endpoint)
{
	return strlen(endpoint + strlen("ipc://")) < sizeof(((struct sockaddr_un *)NULL)->sun_path);
}

static bool is_numeric(const char *host)
{
	unsigned char buf[sizeof(struct in6_addr)];

	return strcmp(host, "*") == 0 || inet_pton(AF_INET, host, buf) == 1 ||
	       inet_pton(AF_INET6, host, buf) == 1;
}

enum mw_rc mw_front_doors(const struct mw_conf *conf, const char *instance,
	struct mw_front_address *a_r, struct mw_err *err_r)
{
	const char *listen_on = mw_conf_text(conf, "pipeline.listen");
	struct mw_front_address a = { 0 };
	char host[256];
	unsigned port;

	if (strcmp(listen_on, "ipc") == 0) {
		ipc_doors(&a, mw_conf_text(conf, "pipeline.run_dir"), instance,
			strnlen(instance, MW_NAME_MAX));
		if (!fits_socket_path(a.door[MW_DOOR_VERDICTS]))
			return mw_fail(err_r, MW_ERR_CONF,
				"%s: longer than a socket path may be; shorten pipeline.run_dir",
				a.door[MW_DOOR_VERDICTS]);
	} else if (parse_tcp(listen_on, strlen(listen_on), host, sizeof(host), &port) &&
		   is_numeric(host)) {
		tcp_doors(&a, host, port);
	} else {
		return mw_fail(err_r, MW_ERR_CONF,
			"pipeline.listen = \"%s\": expected ipc or tcp://ADDRESS:PORT, the address "
			"numeric or *, the port 1 to %d",
			listen_on, UINT16_MAX - (MW_DOOR_COUNT - 1));
	}
	*a_r = a;
	return MW_OK;
}

/* ------------------------------------------------------------------ what was found */

static void finder_free(struct mw_finder *f)
{
	free(f->folder);
	free(f);
}

/* One user less; the last one of a destroyed finder frees it. */
static void release(struct mw_finder *f)
{
	if (--f->users == 0 && f->dead)
		finder_free(f);
}

static void found(struct mw_finder *f, const struct mw_front_address *a, size_t host)
{
	struct front *front;

	for (size_t i = 0; i < f->front_count; i++)
		if (strcmp(f->fronts[i].address.door[0], a->door[0]) == 0) {
			f->fronts[i].seen = true;
			f->fronts[i].misses = 0;
			return;
		}
	if (f->front_count == FRONTS_MAX) {
		if (!f->full_told)
			mw_log(MW_WARN, "fronts_left_out", "most=%d first=%s", FRONTS_MAX,
				a->door[0]);
		f->full_told = true;
		return;
	}
	front = &f->fronts[f->front_count++];
	*front = (struct front){ .address = *a, .host = host, .seen = true };
	mw_log(MW_DEBUG, "front_found", "endpoint=%s", a->door[0]);
	f->came(f->arg, a);
}

/* The round is over: count who was not seen. */
static void settle(struct mw_finder *f)
{
	for (size_t i = 0; i < f->front_count && !f->dead;) {
		struct front *front = &f->fronts[i];
		bool counts = front->seen || (f->folder == NULL && f->hosts[front->host].failed);
		struct mw_front_address lost = front->address;

		front->seen = false;
		if (counts || ++front->misses < MISSES_MAX) {
			i++;
			continue;
		}
		*front = f->fronts[--f->front_count];
		mw_log(MW_DEBUG, "front_lost", "endpoint=%s", lost.door[0]);
		f->gone(f->arg, &lost);
	}
	if (!f->dead)
		mw_timer_start(f->timer, f->interval_ms, 0);
}

/* ------------------------------------------------------------------ ipc: a folder */

static void look_in_folder(struct mw_finder *f)
{
	static const char before[] = "front-", after[] = ".verdicts";
	DIR *dir = opendir(f->folder);

	if (dir == NULL)
		mw_log(MW_DEBUG, "run_dir_unreadable", "folder=%s reason=\"%s\"", f->folder,
			strerror(errno));
	for (struct dirent *d; dir != NULL && !f->dead && (d = readdir(dir)) != NULL;) {
		size_t n = strlen(d->d_name),
		       instance = n - (sizeof(before) - 1) - (sizeof(after) - 1);
		struct mw_front_address a = { 0 };

		if (n <= sizeof(before) - 1 + sizeof(after) - 1 || instance >= MW_NAME_MAX ||
			strncmp(d->d_name, before, sizeof(before) - 1) != 0 ||
			strcmp(d->d_name + n - (sizeof(after) - 1), after) != 0)
			continue;
		ipc_doors(&a, f->folder, d->d_name + sizeof(before) - 1, instance);
		if (fits_socket_path(a.door[MW_DOOR_VERDICTS]))
			found(f, &a, 0);
	}
	if (dir != NULL)
		closedir(dir);
	settle(f);
}

/* A front that starts is found at once, not at the next look. */
static void on_change(uv_fs_event_t *e, const char *name, int events, int status)
{
	struct mw_finder *f = e->data;

	(void)events;
	if (status == 0 && name != NULL && strstr(name, ".verdicts") != NULL)
		mw_timer_start(f->timer, FOLDER_SETTLE_MS, 0);
}

/* ------------------------------------------------------------------ tcp: names */

static void take_addresses(struct host *h, const struct addrinfo *list)
{
	struct mw_finder *f = h->finder;

	for (const struct addrinfo *i = list; i != NULL && !f->dead; i = i->ai_next) {
		struct mw_front_address a = { 0 };
		char text[NI_MAXHOST];

		if ((i->ai_family != AF_INET && i->ai_family != AF_INET6) ||
			getnameinfo(i->ai_addr, i->ai_addrlen, text, sizeof(text), NULL, 0,
				NI_NUMERICHOST) != 0 ||
			strlen(text) > 128)
			continue;
		tcp_doors(&a, text, (unsigned)strtoul(h->port, NULL, 10));
		found(f, &a, (size_t)(h - f->hosts));
	}
}

static void on_addresses(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct host *h = req->data;
	struct mw_finder *f = h->finder;

	f->pending--;
	/* "No such name" is an answer: the service has no process now. Any other failure is no
	 * news. */
	h->failed = status != 0 && status != UV_EAI_NONAME && status != UV_EAI_NODATA;
	if (h->failed && !f->dead)
		mw_log(MW_WARN, "front_lookup_failed", "name=%s reason=\"%s\"", h->name,
			uv_strerror(status));
	if (status == 0)
		take_addresses(h, list);
	uv_freeaddrinfo(list);
	if (f->pending == 0 && !f->dead)
		settle(f);
	release(f); /* last: came and gone may destroy the finder */
}

static void look_up_names(struct mw_finder *f)
{
	/* No AI_ADDRCONFIG: a host that has only ::1 would be told that it has no IPv6. */
	static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV };

	for (size_t i = 0; i < f->host_count; i++) {
		struct host *h = &f->hosts[i];

		h->failed = uv_getaddrinfo(mw_loop_uv(f->loop), &h->req, on_addresses, h->name,
				    h->port, &hints) != 0;
		if (h->failed)
			continue;
		f->users++;
		f->pending++;
	}
	if (f->pending == 0)
		settle(f);
}

/* ------------------------------------------------------------------ life */

static void look(void *arg)
{
	struct mw_finder *f = arg;

	f->users++;
	if (f->folder != NULL)
		look_in_folder(f);
	else if (f->pending == 0)
		look_up_names(f);
	release(f);
}

static enum mw_rc take_hosts(struct mw_finder *f, const char *text, struct mw_err *err_r)
{
	while (*text != '\0') {
		size_t n = strcspn(text, ",");
		struct host *h = &f->hosts[f->host_count];
		unsigned port;

		if (f->host_count == HOSTS_MAX)
			return mw_fail(err_r, MW_ERR_CONF, "pipeline.front: more than %d endpoints",
				HOSTS_MAX);
		if (!parse_tcp(text, n, h->name, sizeof(h->name), &port))
			return mw_fail(err_r, MW_ERR_CONF,
				"pipeline.front = \"%.*s\": expected ipc or tcp://HOST:PORT[,...], "
				"the port 1 to %d",
				(int)n, text, UINT16_MAX - (MW_DOOR_COUNT - 1));
		snprintf(h->port, sizeof(h->port), "%u", port);
		h->finder = f;
		h->req.data = h;
		f->host_count++;
		text += n;
		text += strspn(text, ", ");
	}
	return f->host_count > 0 ? MW_OK : mw_fail(err_r, MW_ERR_CONF, "pipeline.front is empty");
}

struct mw_finder *mw_finder_new(struct mw_loop *loop, const struct mw_conf *conf,
	void (*came)(void *arg, const struct mw_front_address *a),
	void (*gone)(void *arg, const struct mw_front_address *a), void *arg, struct mw_err *err_r)
{
	const char *where = mw_conf_text(conf, "pipeline.front");
	struct mw_finder *f = calloc(1, sizeof(*f));
	enum mw_rc rc = MW_OK;

	if (f == NULL) {
		mw_fail(err_r, MW_ERR_NOMEM, "finder: out of memory");
		return NULL;
	}
	*f = (struct mw_finder){ .loop = loop, .came = came, .gone = gone, .arg = arg };
	f->interval_ms = (uint64_t)mw_conf_int(conf, "pipeline.lookup_interval");
	if (strcmp(where, "ipc") == 0) {
		f->folder = strdup(mw_conf_text(conf, "pipeline.run_dir"));
		if (f->folder == NULL)
			rc = mw_fail(err_r, MW_ERR_NOMEM, "finder: out of memory");
	} else {
		rc = take_hosts(f, where, err_r);
	}
	if (rc != MW_OK) {
		finder_free(f);
		return NULL;
	}
	f->timer = mw_timer_new(loop, look, f);
	mw_timer_start(f->timer, 0, 0);
	if (f->folder != NULL) {
		uv_fs_event_init(mw_loop_uv(loop), &f->changes);
		f->changes.data = f;
		/* Without it (no inotify, no such folder yet) the timer finds them, only later. */
		uv_fs_event_start(&f->changes, on_change, f->folder, 0);
		uv_unref((uv_handle_t *)&f->changes);
		f->users++;
	}
	return f;
}

static void on_closed(uv_handle_t *handle)
{
	release(handle->data);
}

void mw_finder_destroy(struct mw_finder **f_p)
{
	struct mw_finder *f = *f_p;

	*f_p = NULL;
	if (f == NULL)
		return;
	f->users++;
	f->dead = true;
	mw_timer_destroy(&f->timer);
	for (size_t i = 0; i < f->host_count; i++)
		uv_cancel((uv_req_t *)&f->hosts[i].req); /* one that runs already ends by itself */
	if (f->folder != NULL)
		uv_close((uv_handle_t *)&f->changes, on_closed);
	release(f);
}
