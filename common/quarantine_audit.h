/*
 * Who took what out of the quarantine: a line of QUARANTINEDIR/audit.log for each deed, synced. The
 *index's knowledge of releases is made of it.
 *
 *	2026-11-28T19:20:11Z release MAIL_ID PATH WHO DETAIL
 *
 * What is not printable, a blank and % are %hh; - stands for nothing.
 */
#ifndef MW_QUARANTINE_AUDIT_H
#define MW_QUARANTINE_AUDIT_H

#include "quarantine_index.h"

#define MW_QAUDIT_FILE "audit.log"
#define MW_QAUDIT_OCTETS_MAX                                                                       \
	(64u << 20) /* then it becomes audit.log.1, in place of an older one                       \
		     */

struct mw_qaudit {
	const char *action; /* "release", "delete", "expire", "repair", "refused" */
	const char *mail_id, *path, *who, *detail;
	uint64_t time_ms; /* whole seconds are kept */
};
enum mw_rc mw_qaudit_write(const char *dir, const struct mw_qaudit *a, struct mw_err *err_r);
/* Every whole line that can be understood, oldest first. MW_OK also when there is no file. */
enum mw_rc mw_qaudit_read(const char *dir, bool (*take)(void *arg, const struct mw_qaudit *a),
	void *arg, struct mw_err *err_r);
/*
 * The index learns of the releases that were written since it did so last, whoever wrote them: all
 * when it was made anew. MW_ERR_IO: they cannot be read, so that nobody knows who has got what.
 */
enum mw_rc mw_qaudit_catch_up(const char *dir, struct mw_qindex *q, struct mw_err *err_r);
/* "root (uid 0)" of a user of this host. Returns buf. */
const char *mw_qaudit_user(unsigned uid, char buf[MW_QINDEX_WHO_MAX]);

#endif
