/* Where a neighbour listens: "/path", "127.0.0.1:783", "[::1]:783". Names are not looked up: that
 * would block the loop. */
#ifndef SCAN_ADDRESS_H
#define SCAN_ADDRESS_H

#include <sys/socket.h>

#include "base.h"

struct address {
	struct sockaddr_storage to;
	socklen_t n; /* 0: nowhere */
};

/* setting: for err_r, as "scanner.spamd". */
enum mw_rc address_parse(
	struct address *a_r, const char *text, const char *setting, struct mw_err *err_r);
/*
 * Begin to connect, without waiting. MW_OK: *fd_r is writable once it is connected or refused (ask
 * SO_ERROR); else *errno_r says why not and *fd_r is -1.
 */
enum mw_rc address_connect(const struct address *a, int *fd_r, int *errno_r);
/* What became of a connection that is writable: 0 or an errno. */
int address_error(int fd);

#endif
