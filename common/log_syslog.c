#include "log_syslog.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

/* RFC 3164 section 4.1.1; the place is the number. */
static const char *const facilities[] = {
	"kern",
	"user",
	"mail",
	"daemon",
	"auth",
	"syslog",
	"lpr",
	"news",
	"uucp",
	"cron",
	"authpriv",
	"ftp",
	NULL,
	NULL,
	NULL,
	NULL,
	"local0",
	"local1",
	"local2",
	"local3",
	"local4",
	"local5",
	"local6",
	"local7",
};

int mw_syslog_facility(const char *name)
{
	if (strncasecmp(name, "LOG_", 4) == 0)
		name += 4;
	for (size_t i = 1; i < MW_COUNT(facilities); i++) /* the kernel speaks for itself */
		if (facilities[i] != NULL && strcasecmp(name, facilities[i]) == 0)
			return (int)(i << 3);
	return -1;
}

bool mw_syslog_is_ident(const char *ident)
{
	size_t n = strlen(ident);

	return n > 0 && n < MW_LOG_IDENT_MAX &&
	       strspn(ident,
		       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/@+") == n;
}

/* The date as RFC 3164 has it: local time, English months. Made once a second and thread. */
static const char *date_of(time_t when)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static _Thread_local time_t made = -1;
	static _Thread_local char text[64];
	struct tm tm;

	if (when == made || localtime_r(&when, &tm) == NULL)
		return text;
	snprintf(text, sizeof(text), "%.3s %2d %02d:%02d:%02d", months + 3 * tm.tm_mon, tm.tm_mday,
		tm.tm_hour, tm.tm_min, tm.tm_sec);
	made = when;
	return text;
}

size_t mw_syslog_head(char *buf, size_t size, int priority, time_t when, const char *ident, int pid)
{
	int n = snprintf(buf, size, "<%d>%s %s[%d]: ", priority, date_of(when), ident, pid);

	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

int mw_syslog_socket(void)
{
	return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

bool mw_syslog_address(const char *path, struct sockaddr_un *to_r)
{
	*to_r = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return path[0] == '/' &&
	       mw_strlcpy(to_r->sun_path, path, sizeof(to_r->sun_path)) < sizeof(to_r->sun_path);
}

bool mw_syslog_answers(const char *path, struct mw_err *err_r)
{
	struct sockaddr_un to;
	int fd = mw_syslog_socket();
	bool yes = mw_syslog_address(path, &to) && fd >= 0 &&
		   connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0;

	if (!yes)
		mw_fail(err_r, MW_ERR_IO, "%s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return yes;
}

enum mw_syslog_sent mw_syslog_send(int fd, const struct sockaddr_un *to, const char *p, size_t n)
{
	if (sendto(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)to,
		    sizeof(*to)) >= 0)
		return MW_SYSLOG_SENT;
	return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == EMSGSIZE
		       ? MW_SYSLOG_FULL
		       : MW_SYSLOG_AWAY;
}
