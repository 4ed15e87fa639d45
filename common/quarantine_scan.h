/*
 * The quarantine's folders compared with its index. Whatever a crash, a full queue or a person's
 * hand has left different is mended: copies that are not indexed are read and added, entries
 * without a file are taken out. Only folders that changed since are looked at.
 */
#ifndef MW_QUARANTINE_SCAN_H
#define MW_QUARANTINE_SCAN_H

#include "quarantine_index.h"

#define MW_QHEAD_MAX (1 << 20) /* octets of a copy that are looked at */
#define MW_QFOLDERS_MAX 100000 /* folders below QUARANTINEDIR */
#define MW_QFOLDER_DEPTH_MAX 8 /* and their depth */
#define MW_QTEMPORARY_AGE_S                                                                        \
	3600 /* no mail takes so long: whoever wrote a .new-ID so old is dead                      \
	      */

/* What a copy says of itself, read without trust. Texts are in text, e's point there. */
struct mw_qhead {
	struct mw_qentry e;
	struct mw_text text;
	bool blocked; /* it names whom it is kept from: e.rcpts are those */
	int64_t mtime_ns;
};
/*
 * Read root/path: the entry of that copy, as the index has it; e.rcpts are the blocked recipients,
 * or all when the copy names none. whole: the file is read to its end, so that damage is found.
 * MW_ERR_GONE: no such file; MW_ERR_PROTO: no copy, a link, a damaged one; MW_ERR_IO; MW_ERR_NOMEM.
 */
enum mw_rc mw_qhead_read(
	struct mw_qhead *h_r, const char *root, const char *path, bool whole, struct mw_err *err_r);
void mw_qhead_fini(struct mw_qhead *h);
/* The same from the copy's first octets: path, times and size are the caller's to fill. */
enum mw_rc mw_qhead_parse(struct mw_qhead *h_r, struct mw_octets file, const char *path);

/* A copy's file for reading, or gone: no step of path may be a link. -1: errno tells.
 * MW_ERR_GONE: there was none. */
int mw_quarantine_open(const char *root, const char *path);
enum mw_rc mw_quarantine_unlink(const char *root, const char *path, struct mw_err *err_r);

struct mw_qscan {
	struct mw_qindex *index;
	const char *root;
	bool all;	/* folders that did not change, too */
	bool read_only; /* tell, mend nothing */
	bool whole;	/* read every copy to its end */
	/* Between two folders, and every few files; false: stop here. NULL: never. */
	bool (*go_on)(void *arg);
	/* What was found: "missing", "unknown", "damaged", "wrong_id", "stranger", "unreadable".
	 * NULL: nobody wants to know. */
	void (*found)(void *arg, const char *what, const char *path, const char *why);
	void *arg;
	/* what came of it */
	uint64_t folders, files, added, dropped, wrong, damaged, strangers, temporaries;
	uint64_t unreadable; /* files and folders; they are looked at again the next time */
	bool stopped;
};
enum mw_rc mw_qscan_run(struct mw_qscan *s, struct mw_err *err_r);

#endif
