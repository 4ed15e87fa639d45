/* What the files of the quarantine's index share. Nobody else includes this. */
#ifndef MW_QUARANTINE_INDEX_PRIV_H
#define MW_QUARANTINE_INDEX_PRIV_H

#include <sqlite3.h>
#include <sys/types.h>
#include "quarantine_index.h"

enum qstmt {
	QS_FIND_PATH,
	QS_FULLER,
	QS_ADD,
	QS_DROP,
	QS_RCPT_ADD,
	QS_RCPT_DROP,
	QS_FOLDER,
	QS_FOLDER_ID,
	QS_FOLDER_SET,
	QS_RELEASED,
	QS_RELEASED_COPY,
	QS_WAS_RELEASED,
	QS_WAS_RELEASED_ANY,
	QS_META,
	QS_META_SET,
	QS_STRANGER,
	QS_STRANGER_SET,
	QS_COUNT
};

struct mw_qindex {
	sqlite3 *lite;
	char dir[MW_QINDEX_PATH_MAX], path[MW_QINDEX_PATH_MAX + 32];
	enum mw_qindex_mode mode;
	bool broken, inside; /* of a transaction */
	dev_t device;
	ino_t inode;
	sqlite3_stmt *statements[QS_COUNT];
};

/* The words of an error, and whether the file is to blame. */
enum mw_rc mw_qindex_failed(struct mw_qindex *q, int code, struct mw_err *err_r);
/* A prepared statement without values; NULL: err_r says why. */
sqlite3_stmt *mw_qindex_stmt(struct mw_qindex *q, enum qstmt id, struct mw_err *err_r);
/* Run it; rows are none of its business. It is reset. */
enum mw_rc mw_qindex_step(struct mw_qindex *q, sqlite3_stmt *s, struct mw_err *err_r);
void mw_qindex_bind_text(sqlite3_stmt *s, int at, const char *text);
/* A column's text; "" when somebody has put something else there. */
const char *mw_qindex_text(sqlite3_stmt *s, int column);

#endif
