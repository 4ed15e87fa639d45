/*
 * Who could change a file, or put another in its place. Settings are programs: whoever may write
 * them is as strong as who starts us, so a service refuses those that its own user could write, as
 * amavisd does.
 */
#ifndef MW_GUARD_H
#define MW_GUARD_H

#include <sys/types.h>
#include "conf.h"

#define MW_DEFAULT_USER "mailweir" /* of whom services run as when daemon_user is unset */
#define MW_GUARD_GROUPS_MAX 64

/* A user as far as files know him. uid 0: root may write all; then the question is about everybody.
 */
struct mw_guard_user {
	char name[64];
	uid_t uid;
	size_t group_count;
	gid_t groups[MW_GUARD_GROUPS_MAX];
};
/* By name. MW_ERR_CONF: there is none; MW_ERR_LIMIT: he has more groups. */
enum mw_rc mw_guard_user_named(struct mw_guard_user *u_r, const char *name, struct mw_err *err_r);
/* The one that this process runs as. */
enum mw_rc mw_guard_user_self(struct mw_guard_user *u_r, struct mw_err *err_r);

/*
 * MW_OK when that user can neither write path nor replace it or any folder or symbolic link on the
 * way to it; MW_ERR_CONF says which and why. Of a folder: nor put anything into it. What he owns
 * counts as writable (chmod), what is on a read-only file system does not. ACLs are seen when he is
 * who we run as.
 */
enum mw_rc mw_guard_path(const char *path, const struct mw_guard_user *u, struct mw_err *err_r);
/* The same for all files of the settings and their conf.d; a line for each complaint. */
enum mw_rc mw_guard_conf(
	const struct mw_conf *conf, const struct mw_guard_user *u, struct mw_text *complaints);

#endif
