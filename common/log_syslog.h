/*
 * The local syslog: lines as RFC 3164 describes them and glibc's syslog(3) writes them, one
 * datagram each. glibc's own takes a lock, waits for a full socket and knows one identity; this one
 * never waits and says who speaks with each line. Nothing is connected, so a syslogd that was
 * started again is found by the next line.
 */
#ifndef MW_LOG_SYSLOG_H
#define MW_LOG_SYSLOG_H

#include <sys/un.h>
#include <time.h>

#include "base.h"

/* "mail", "LOG_LOCAL0" ..., whatever the case: LOG_MAIL as syslog(3) counts; -1: there is none. */
int mw_syslog_facility(const char *name);
/* A tag of 1 to MW_LOG_IDENT_MAX - 1 octets that no syslogd takes for something else: letters,
 * digits and ._-/@+ */
bool mw_syslog_is_ident(const char *ident);
/* "<22>Nov  8 15:04:05 ident[123]: "; returns its octets. priority: facility | severity. */
size_t mw_syslog_head(
	char *buf, size_t size, int priority, time_t when, const char *ident, int pid);

enum mw_syslog_sent {
	MW_SYSLOG_SENT,
	MW_SYSLOG_FULL, /* it does not keep up */
	MW_SYSLOG_AWAY	/* nobody takes datagrams there */
};
/* A socket to send by, -1: none is to be had. */
int mw_syslog_socket(void);
/* False: the path does not fit. */
bool mw_syslog_address(const char *path, struct sockaddr_un *to_r);
/* Somebody takes datagrams at that path; false: why not. */
bool mw_syslog_answers(const char *path, struct mw_err *err_r);
enum mw_syslog_sent mw_syslog_send(int fd, const struct sockaddr_un *to, const char *p, size_t n);

#endif
