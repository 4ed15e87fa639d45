/* Which sockets the settings want to listen at: inet_socket_port, inet_socket_bind,
 * unix_socketname.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <uv.h>

#include "policy_priv.h"

#define PORTS "inet_socket_port"
#define PORT_MOST 65535

static enum mw_rc add_socket(
	struct policy_set *set, const struct policy_socket *s, struct mw_err *err_r)
{
	struct policy_socket *more = realloc(set->sockets, (set->socket_count + 1) * sizeof(*more));

	if (more == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, PORTS ": no memory");
	set->sockets = more;
	set->sockets[set->socket_count++] = *s;
	return MW_OK;
}

static enum mw_rc add_inet(struct policy_set *set, struct policy_socket s, const char *address,
	size_t n, struct mw_err *err_r)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (!mw_strncpy(s.address, sizeof(s.address), address, n) ||
		(uv_ip4_addr(s.address, (int)s.port, &in) != 0 &&
			uv_ip6_addr(s.address, (int)s.port, &in6) != 0))
		return mw_fail(err_r, MW_ERR_CONF,
			"inet_socket_bind, " PORTS ": \"%.*s\" is no "
			"address",
			(int)(n < 100 ? n : 100), address);
	return add_socket(set, &s, err_r);
}

/* A port at all of inet_socket_bind; a host without IPv6, or without IPv4, has the other one. */
static enum mw_rc add_port(struct policy_set *set, const struct mw_conf *conf,
	struct policy_socket s, struct mw_err *err_r)
{
	const char *const *addresses;
	size_t count = mw_conf_list(conf, "inet_socket_bind", &addresses);
	enum mw_rc rc = MW_OK;

	if (count == 0)
		return mw_fail(err_r, MW_ERR_CONF, "inet_socket_bind is empty");
	s.may_fail = true;
	for (size_t i = 0; i < count && rc == MW_OK; i++) {
		const char *a = addresses[i];
		size_t n = strlen(a);

		if (strcmp(a, "*") == 0) {
			rc = add_inet(set, s, "0.0.0.0", 7, err_r);
			s.silent = true;
			if (rc == MW_OK)
				rc = add_inet(set, s, "::", 2, err_r);
			s.silent = false;
		} else if (a[0] == '[' && n > 2) {
			rc = add_inet(set, s, a + 1, n - 2, err_r);
		} else {
			rc = add_inet(set, s, a, n, err_r);
		}
	}
	return rc;
}

/* "address:port", "[v6]:port" */
static enum mw_rc add_text(
	struct policy_set *set, const char *text, struct policy_socket s, struct mw_err *err_r)
{
	const char *colon = strrchr(text, ':');
	char *end = NULL;
	unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : PORT_MOST + 1;
	bool bracket = text[0] == '[';

	if (port > PORT_MOST || end == colon + 1 || *end != '\0' ||
		(bracket && (colon < text + 2 || colon[-1] != ']')))
		return mw_fail(err_r, MW_ERR_CONF,
			PORTS ": \"%.100s\" is neither a port nor address:port", text);
	s.port = (unsigned)port;
	return add_inet(
		set, s, text + bracket, (size_t)(colon - text) - 2 * (size_t)bracket, err_r);
}

static enum mw_rc add_value(struct policy_set *set, const struct mw_conf *conf,
	const struct mw_val *v, unsigned group, struct mw_err *err_r)
{
	struct policy_socket s = { .group = group, .line = v->line };
	char *end;

	if (v->tag == MW_V_NUM && v->num >= 0 && v->num <= PORT_MOST) {
		s.port = (unsigned)v->num;
		return add_port(set, conf, s, err_r);
	}
	if (v->tag != MW_V_STR)
		return mw_fail(err_r, MW_ERR_CONF,
			PORTS ": expected ports (0 to 65535) or \"address:port\"");
	s.port = (unsigned)strtoul(v->str, &end, 10);
	if (*v->str != '\0' && *end == '\0' && s.port <= PORT_MOST)
		return add_port(set, conf, s, err_r);
	return add_text(set, v->str, s, err_r);
}

static enum mw_rc add_path(
	struct policy_set *set, const char *path, unsigned group, struct mw_err *err_r)
{
	struct policy_socket s = { .group = group,
		.unix_socket = true,
		.line = mw_conf_val(set->conf, "unix_socketname")->line };
	size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	if (path[0] != '/' || strlen(path) > most ||
		!mw_strncpy(s.address, sizeof(s.address), path, strlen(path)))
		return mw_fail(err_r, MW_ERR_CONF,
			"unix_socketname: \"%.200s\": expected an absolute path of at most %zu "
			"octets",
			path, most);
	return add_socket(set, &s, err_r);
}

enum mw_rc policy_sockets_compile(struct policy_set *set, struct mw_err *err_r)
{
	const struct mw_val *ports = mw_conf_val(set->conf, PORTS);
	bool many = ports->tag == MW_V_TABLE;
	const char *const *paths;
	size_t count = mw_conf_list(set->conf, "unix_socketname", &paths);
	unsigned group = 0;
	enum mw_rc rc = MW_OK;

	for (size_t i = 0; i < (many ? ports->count : 1) && rc == MW_OK; i++)
		rc = add_value(set, set->conf, many ? &ports->vals[i] : ports, group++, err_r);
	for (size_t i = 0; i < count && rc == MW_OK; i++)
		rc = add_path(set, paths[i], group++, err_r);
	return rc;
}

bool policy_socket_is(const struct policy_socket *s, const char *key)
{
	char whole[128], number[16];

	if (s->unix_socket)
		return strcmp(key, "SOCK") == 0 || strcmp(key, s->address) == 0;
	snprintf(whole, sizeof(whole), "[%s]:%u", s->address, s->port);
	snprintf(number, sizeof(number), "%u", s->port);
	return strcmp(key, number) == 0 || strcmp(key, whole) == 0;
}
