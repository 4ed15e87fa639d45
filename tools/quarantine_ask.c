/* mailweir quarantine: what smtp-front is asked for, at the socket that it has for us. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "quarantine.h"

#define SUFFIX ".admin"
#define PREFIX "smtp-front@"
#define WAIT_MS (10 * 60 * 1000) /* for one mail: scanned, and taken by the next hop */
#define ANSWER_MAX (128 << 20)	 /* a mail of 32 MiB, encoded */

/* ------------------------------------------------------------------ the front */

static int connect_to(const char *run_dir, const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int n = snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", run_dir, name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && n > 0 && (size_t)n < sizeof(a.sun_path) &&
		connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

int qtool_front(const struct qtool *t)
{
	const char *run_dir = mw_conf_text(t->conf, "pipeline.run_dir");
	DIR *dir = opendir(run_dir);
	int fd = -1, why = ENOENT;

	for (struct dirent *d; dir != NULL && fd < 0 && (d = readdir(dir)) != NULL;) {
		size_t n = strlen(d->d_name);

		if (strncmp(d->d_name, PREFIX, strlen(PREFIX)) != 0 || n <= strlen(SUFFIX) ||
			strcmp(d->d_name + n - strlen(SUFFIX), SUFFIX) != 0)
			continue;
		fd = connect_to(run_dir, d->d_name);
		if (fd < 0)
			why = errno;
	}
	if (dir != NULL)
		closedir(dir);
	if (fd < 0)
		fprintf(stderr,
			"mailweir: no smtp-front can be asked at %s/" PREFIX "*" SUFFIX ": %s\n",
			run_dir, strerror(why));
	return fd;
}

/* ------------------------------------------------------------------ AM.PDP (docs/am-pdp.md) */

void qtool_add_line(struct mw_text *out, const char *name, const char *value)
{
	mw_text_addf(out, "%s=", name);
	for (; *value != '\0'; value++)
		if ((unsigned char)*value > ' ' && (unsigned char)*value < 0x7f && *value != '%')
			mw_text_add_octets(out, value, 1);
		else
			mw_text_addf(out, "%%%02x", (unsigned char)*value);
	mw_text_add(out, "\r\n");
}

static bool send_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent <= 0 && errno != EINTR)
			return false;
		p += sent > 0 ? sent : 0;
		n -= sent > 0 ? (size_t)sent : 0;
	}
	return true;
}

/* Up to the empty line. */
static bool read_answer(int fd, struct mw_text *answer)
{
	uint64_t until = mw_mono_ms() + WAIT_MS;
	char buf[4096];

	while (answer->n < ANSWER_MAX &&
		(answer->n < 4 || memcmp(answer->p + answer->n - 4, "\r\n\r\n", 4) != 0)) {
		uint64_t now = mw_mono_ms();
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t got;

		if (now >= until || poll(&p, 1, (int)(until - now)) < 0)
			return false;
		got = recv(fd, buf, sizeof(buf), 0);
		if (got <= 0)
			return false;
		mw_text_add_octets(answer, buf, (size_t)got);
	}
	return !answer->failed && answer->p != NULL;
}

static int digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

size_t qtool_decode(char *text)
{
	char *p = text, *out = text;

	for (; *p != '\0'; p++) {
		int high = *p == '%' ? digit(p[1]) : -1, low = high >= 0 ? digit(p[2]) : -1;

		if (low >= 0) {
			*out++ = (char)(high << 4 | low);
			p += 2;
		} else {
			*out++ = *p;
		}
	}
	*out = '\0';
	return (size_t)(out - text);
}

bool qtool_ask(int fd, struct mw_text *request, struct mw_text *answer_r)
{
	mw_text_add(request, "\r\n");
	return !request->failed && send_all(fd, request->p, request->n) &&
	       read_answer(fd, answer_r);
}
