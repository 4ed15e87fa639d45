#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

static bool parse_port(const char *text, unsigned *port_r)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*port_r = (unsigned)n;
	return *text >= '0' && *text <= '9' && *end == '\0' && n > 0 && n < 65536;
}

static enum mw_rc parse_path(
	struct address *a, const char *text, const char *setting, struct mw_err *err)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&a->to;

	un->sun_family = AF_UNIX;
	if (mw_strlcpy(un->sun_path, text, sizeof(un->sun_path)) >= sizeof(un->sun_path))
		return mw_fail(err, MW_ERR_CONF, "%s: the path is longer than %zu octets", setting,
			sizeof(un->sun_path) - 1);
	a->n = sizeof(*un);
	return MW_OK;
}

static void parse_internet(struct address *a, char *host, unsigned port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&a->to;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a->to;
	size_t n = strlen(host);

	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &in6->sin6_addr) == 1) {
			in6->sin6_family = AF_INET6;
			in6->sin6_port = htons((uint16_t)port);
			a->n = sizeof(*in6);
		}
	} else if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		a->n = sizeof(*in);
	}
}

enum mw_rc address_parse(
	struct address *a_r, const char *text, const char *setting, struct mw_err *err)
{
	const char *colon = strrchr(text, ':');
	struct address a = { 0 };
	enum mw_rc rc = MW_OK;
	char host[64];
	unsigned port;

	if (text[0] == '/')
		rc = parse_path(&a, text, setting, err);
	else if (colon != NULL && parse_port(colon + 1, &port) &&
		 mw_strncpy(host, sizeof(host), text, (size_t)(colon - text)))
		parse_internet(&a, host, port);
	if (rc == MW_OK && a.n == 0)
		rc = mw_fail(err, MW_ERR_CONF,
			"%s = \"%s\": must be ADDRESS:PORT with a numeric address, or a path",
			setting, text);
	if (rc == MW_OK)
		*a_r = a;
	return rc;
}

enum mw_rc address_connect(const struct address *a, int *fd_r, int *errno_r)
{
	int one = 1, fd = socket(a->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*fd_r = -1;
	*errno_r = errno;
	if (fd < 0)
		return MW_ERR_IO;
	if (a->to.ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&a->to, a->n) != 0 && errno != EINPROGRESS) {
		*errno_r = errno;
		close(fd);
		return MW_ERR_GONE;
	}
	*fd_r = fd;
	*errno_r = 0;
	return MW_OK;
}

int address_error(int fd)
{
	int error = 0;
	socklen_t n = sizeof(error);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 ? error : errno;
}
