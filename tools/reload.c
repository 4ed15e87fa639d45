/* mailweir reload: running services read their settings again, each says whether it took them. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "service_priv.h"
#include "tools.h"

#define USAGE "reload [-c FILE]... [SERVICE[@INSTANCE]...]"
#define SERVICES_MAX 1000 /* processes of one host that are told */

struct target {
	char *name; /* "scanner@1" */
	int fd;	    /* -1: it could not be asked, why says why */
	int why;
};

struct targets {
	size_t count;
	struct target *list[SERVICES_MAX];
	char *const *wanted;
	size_t wanted_count;
	bool *seen; /* of each that is wanted */
};

/* ------------------------------------------------------------------ who is there */

/* "scanner" is every instance, "scanner@2" that one. */
static bool is_wanted(struct targets *t, const char *name)
{
	bool wanted = t->wanted_count == 0;

	for (size_t i = 0; i < t->wanted_count; i++) {
		size_t n = strlen(t->wanted[i]);

		if (strncmp(name, t->wanted[i], n) != 0 ||
			(name[n] != '\0' && (name[n] != '@' || strchr(t->wanted[i], '@') != NULL)))
			continue;
		t->seen[i] = true;
		wanted = true;
	}
	return wanted;
}

static int by_name(const void *a, const void *b)
{
	const struct target *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static bool find_targets(struct targets *t, const char *run_dir)
{
	DIR *dir = opendir(run_dir);

	if (dir == NULL) {
		fprintf(stderr, "mailweir: %s: %s\n", run_dir, strerror(errno));
		return false;
	}
	for (struct dirent *d; (d = readdir(dir)) != NULL && t->count < SERVICES_MAX;) {
		size_t n = strlen(d->d_name), suffix = strlen(MW_CONTROL_SUFFIX);
		struct target *target;

		if (n <= suffix || strcmp(d->d_name + n - suffix, MW_CONTROL_SUFFIX) != 0)
			continue;
		target = calloc(1, sizeof(*target));
		if (target != NULL)
			target->fd = -1;
		if (target == NULL || (target->name = strndup(d->d_name, n - suffix)) == NULL ||
			!is_wanted(t, target->name)) {
			free(target != NULL ? target->name : NULL);
			free(target);
			continue;
		}
		t->list[t->count++] = target;
	}
	closedir(dir);
	qsort(t->list, t->count, sizeof(struct target *), by_name);
	return true;
}

/* ------------------------------------------------------------------ asking */

/* All are told before the first is listened to: they work at the same time. */
static void ask(struct target *t, const char *run_dir)
{
	static const char order[] = "reload\n";
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int n = snprintf(
		a.sun_path, sizeof(a.sun_path), "%s/%s" MW_CONTROL_SUFFIX, run_dir, t->name);

	t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->fd >= 0 && n > 0 && (size_t)n < sizeof(a.sun_path) &&
		connect(t->fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
		send(t->fd, order, sizeof(order) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(order) - 1)
		return;
	t->why = errno;
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

/* Until the end of the answer or of the time. False: there is none. */
static bool listen_to(const struct target *t, char *buf, size_t size, uint64_t until_ms)
{
	size_t n = 0;

	while (n < size - 1) {
		uint64_t now = mw_mono_ms();
		struct pollfd p = { .fd = t->fd, .events = POLLIN };
		ssize_t got = -1;

		if (now < until_ms && poll(&p, 1, (int)(until_ms - now)) < 0 && errno == EINTR)
			continue;
		got = recv(t->fd, buf + n, size - 1 - n, MSG_DONTWAIT);
		if (got <= 0) {
			buf[n] = '\0';
			return got == 0 && n > 0;
		}
		n += (size_t)got;
	}
	buf[n] = '\0';
	return true;
}

/* True when it took the settings. */
static bool report(const struct target *t, uint64_t until_ms)
{
	char buf[MW_CONTROL_ANSWER_MAX + 1], *rest, *save = NULL;

	if (t->fd < 0) {
		printf("%s: not running (%s)\n", t->name, strerror(t->why));
		return false;
	}
	if (!listen_to(t, buf, sizeof(buf), until_ms)) {
		printf("%s: no answer within %d s, or it ended meanwhile; see its log\n", t->name,
			MW_CONTROL_WAIT_MS / 1000);
		return false;
	}
	rest = buf + strcspn(buf, "\n");
	if (*rest != '\0')
		*rest++ = '\0';
	if (strncmp(buf, "ok ", 3) == 0) {
		printf("%s: took %s\n", t->name, buf + 3);
		return true;
	}
	printf("%s: keeps the settings it has\n", t->name);
	for (char *line = strtok_r(rest, "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save))
		printf("  %s\n", line);
	return false;
}

static int reload(struct targets *t, const char *run_dir)
{
	uint64_t until_ms = mw_mono_ms() + MW_CONTROL_WAIT_MS;
	int code = MW_TOOL_OK;

	for (size_t i = 0; i < t->count; i++)
		ask(t->list[i], run_dir);
	for (size_t i = 0; i < t->count; i++)
		if (!report(t->list[i], until_ms))
			code = MW_TOOL_FAILED;
	for (size_t i = 0; i < t->wanted_count; i++)
		if (!t->seen[i]) {
			printf("%s: not running here\n", t->wanted[i]);
			code = MW_TOOL_FAILED;
		}
	if (t->count == 0 && t->wanted_count == 0) {
		printf("no service runs here: there is no *" MW_CONTROL_SUFFIX " in %s\n", run_dir);
		code = MW_TOOL_FAILED;
	}
	return code;
}

static void targets_free(struct targets **t_p)
{
	struct targets *t = *t_p;

	*t_p = NULL;
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->count; i++) {
		if (t->list[i]->fd >= 0)
			close(t->list[i]->fd);
		free(t->list[i]->name);
		free(t->list[i]);
	}
	free(t->seen);
	free(t);
}

/* NULL after telling why. */
static struct targets *targets_new(char *const *wanted, size_t wanted_count, const char *run_dir)
{
	struct targets *t = calloc(1, sizeof(*t));

	if (t == NULL || (t->seen = calloc(wanted_count + 1, sizeof(*t->seen))) == NULL) {
		fprintf(stderr, "mailweir: out of memory\n");
		targets_free(&t);
		return NULL;
	}
	t->wanted = wanted;
	t->wanted_count = wanted_count;
	if (!find_targets(t, run_dir))
		targets_free(&t);
	return t;
}

int mw_tool_services(void)
{
	struct mw_conf *conf = mw_tool_conf(&(struct mw_conf_given){ 0 });
	struct targets *t;
	const char *last = "";

	if (conf == NULL)
		return MW_TOOL_CONFIG;
	t = targets_new(NULL, 0, mw_conf_text(conf, "pipeline.run_dir"));
	for (size_t i = 0; t != NULL && i < t->count; i++) {
		size_t n = strcspn(t->list[i]->name, "@");

		if (strncmp(last, t->list[i]->name, n + 1) != 0)
			printf("%.*s\n", (int)n, t->list[i]->name);
		last = t->list[i]->name;
	}
	targets_free(&t);
	mw_conf_destroy(&conf);
	return MW_TOOL_OK;
}

int mw_tool_reload(int argc, char **argv)
{
	struct mw_conf_given given = { 0 };
	struct mw_conf *conf;
	struct targets *t;
	const char *run_dir;
	int i = 1, code = MW_TOOL_FAILED;

	for (; i < argc && argv[i][0] == '-'; i += 2) {
		if (strcmp(argv[i], "-c") != 0 || i + 1 == argc) {
			mw_tool_usage(USAGE);
			return MW_TOOL_USAGE;
		}
		if (!mw_tool_give(&given, argv[i + 1]))
			return MW_TOOL_USAGE;
	}
	conf = mw_tool_checked(&given, NULL, false);
	if (conf == NULL) {
		fprintf(stderr, "mailweir: no service was told; all keep the settings they have\n");
		return MW_TOOL_CONFIG;
	}
	run_dir = mw_conf_text(conf, "pipeline.run_dir");
	t = targets_new(argv + i, (size_t)(argc - i), run_dir);
	if (t != NULL)
		code = reload(t, run_dir);
	targets_free(&t);
	mw_conf_destroy(&conf);
	return code;
}
