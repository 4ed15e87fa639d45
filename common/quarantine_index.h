/*
 * The quarantine's index: an SQLite file beside the copies, so that one of a million is found at
 * once. The files are the truth and the index is made of them: whatever it lacks or has too much is
 * repaired by quarantine_scan.h, and one that is broken is set aside and made anew. It is written
 * off the mail path only; several processes of a host may share it.
 *
 * One thread uses one struct. Every function may take as long as the disk does.
 */
#ifndef MW_QUARANTINE_INDEX_H
#define MW_QUARANTINE_INDEX_H

#include "record.h"
#include "text.h"

#define MW_QINDEX_FILE "index.sqlite"
#define MW_QINDEX_RCPTS_MAX 2000	      /* recipients of one copy that are indexed */
#define MW_QINDEX_RCPTS_OCTETS_MAX (64 << 10) /* and their octets */
#define MW_QINDEX_TEXT_MAX 1000 /* octets of a sender, a subject; longer ones are cut */
#define MW_QINDEX_PATH_MAX 512
#define MW_QINDEX_WHO_MAX 100
#define MW_QRELEASED_SOMETIME UINT64_MAX /* released, and nobody knows when */
#define MW_QINDEX_NEEDLE_MIN 3		 /* octets of a part of a text that is searched for */

/* What retention tells apart: the majors of contents categories, and poison. */
#define MW_QCLASS_POISON MW_CC_COUNT
#define MW_QCLASSES (MW_CC_COUNT + 1)
/* "virus", "spam", "poison" ...; and back, -1: none. */
const char *mw_qclass_name(unsigned class);
int mw_qclass_of_name(const char *name);

/* One copy. Texts are the owner's: borrowed by mw_qindex_put, of a row only during its callback. */
struct mw_qentry {
	int64_t id;				  /* grows with time_ms; 0: not indexed yet */
	const char *path;			  /* below QUARANTINEDIR */
	const char *mail_id, *secret_id, *log_id; /* "": not known */
	char quar_type; /* F file, Z file with gzip, B batch SMTP, Q in SQL, M mailed */
	uint64_t time_ms;
	unsigned ccat, class; /* MW_CCAT(); MW_QCLASS */
	bool has_score;
	int32_t score_milli;
	uint64_t size;		      /* octets on disk */
	const char *sender, *subject; /* decoded, UTF-8 or whatever the sender made of it */
	const char *rcpts;	      /* those it was kept from, a line each */
	uint64_t released_ms;	      /* 0: not released */
	const char *released_by;
};

struct mw_qindex;

enum mw_qindex_mode { MW_QINDEX_READ, MW_QINDEX_WRITE };

/*
 * Open dir/index.sqlite. WRITE makes it where it is missing, and sets aside what is broken or of
 * another version (as index.sqlite.broken). READ: MW_ERR_GONE when there is none, or none that can
 * be read.
 */
enum mw_rc mw_qindex_open(
	struct mw_qindex **q_r, const char *dir, enum mw_qindex_mode mode, struct mw_err *err_r);
void mw_qindex_close(struct mw_qindex **q_p);
/*
 * Before work: when the file was taken away or replaced, or an answer said that it is broken, it is
 * opened anew. True in *new_r (NULL: not asked): it is empty now and wants a scan.
 */
enum mw_rc mw_qindex_refresh(struct mw_qindex *q, bool *new_r, struct mw_err *err_r);
/* A call failed because the file is broken; refresh makes it anew. */
bool mw_qindex_is_broken(const struct mw_qindex *q);

/* All between is written at once or not at all. */
enum mw_rc mw_qindex_begin(struct mw_qindex *q, struct mw_err *err_r);
enum mw_rc mw_qindex_commit(struct mw_qindex *q, struct mw_err *err_r);
void mw_qindex_rollback(struct mw_qindex *q);

/*
 * Add a copy, or write anew what is said of that path; whether it was released stays. An entry
 * without secret_id and log_id, as a file's own fields give it, does not replace one of the same
 * mail_id and size that has them.
 */
enum mw_rc mw_qindex_put(struct mw_qindex *q, const struct mw_qentry *e, struct mw_err *err_r);
/* Take an entry out; MW_OK when there is none, too. */
enum mw_rc mw_qindex_drop(struct mw_qindex *q, const char *path, struct mw_err *err_r);
/* Who has released a mail to whom. */
enum mw_rc mw_qindex_released(struct mw_qindex *q, const char *mail_id, const char *rcpt,
	const char *who, uint64_t time_ms, struct mw_err *err_r);
/* When it was released to that one; 0: never. by_r: "" or who did. */
uint64_t mw_qindex_was_released(
	struct mw_qindex *q, const char *mail_id, const char *rcpt, char by_r[MW_QINDEX_WHO_MAX]);
/* All releases of a mail; row() returns false to stop. */
enum mw_rc mw_qindex_releases(struct mw_qindex *q, const char *mail_id,
	bool (*row)(void *arg, const char *rcpt, const char *who, uint64_t time_ms), void *arg,
	struct mw_err *err_r);

/* What is looked for; NULL, 0 and -1 ask for nothing. Newest first. */
struct mw_qquery {
	const char *mail_id;
	/* An address is looked for as it is, anything else as a part of one. */
	const char *sender, *rcpt;
	const char *subject, *text; /* a part of it; of any of the three */
	int class;		    /* -1: all */
	uint64_t since_ms, before_ms;
	int released; /* -1: all; 0, 1 */
	size_t limit, offset;
	bool oldest_first;
};
/* MW_ERR_CONF: a part of a text is too short to be looked for. row() returns false to stop. */
enum mw_rc mw_qindex_search(struct mw_qindex *q, const struct mw_qquery *query,
	bool (*row)(void *arg, const struct mw_qentry *e), void *arg, struct mw_err *err_r);

struct mw_qtotals {
	uint64_t entries[MW_QCLASSES], octets[MW_QCLASSES];
};
enum mw_rc mw_qindex_totals(struct mw_qindex *q, struct mw_qtotals *t_r, struct mw_err *err_r);

/* A number that processes share: when it was scanned last. 0: not set. */
uint64_t mw_qindex_meta(struct mw_qindex *q, const char *name);
enum mw_rc mw_qindex_set_meta(
	struct mw_qindex *q, const char *name, uint64_t value, struct mw_err *err_r);

/* ---- folders, for quarantine_scan.c */

/* mtime as of when it was compared last; -1: never. */
int64_t mw_qindex_folder_mtime(struct mw_qindex *q, const char *folder);
enum mw_rc mw_qindex_set_folder(
	struct mw_qindex *q, const char *folder, int64_t mtime_ns, struct mw_err *err_r);
/* It is there, and was never compared, unless it is known already. */
enum mw_rc mw_qindex_add_folder(struct mw_qindex *q, const char *folder, struct mw_err *err_r);
enum mw_rc mw_qindex_drop_folder(struct mw_qindex *q, const char *folder, struct mw_err *err_r);
/* Those that are known, and the files that are indexed in one: "" is QUARANTINEDIR itself. */
enum mw_rc mw_qindex_folders(struct mw_qindex *q, bool (*row)(void *arg, const char *folder),
	void *arg, struct mw_err *err_r);
enum mw_rc mw_qindex_names(struct mw_qindex *q, const char *folder,
	bool (*row)(void *arg, const char *name, const char *mail_id), void *arg,
	struct mw_err *err_r);
/* Everything in the file agrees with itself; takes its time. MW_ERR_GONE: it does not, and refresh
 * makes it anew. */
enum mw_rc mw_qindex_check(struct mw_qindex *q, struct mw_err *err_r);
/* A file that is no copy, so that it is not read again while it stays as it is. */
bool mw_qindex_is_stranger(struct mw_qindex *q, const char *path, uint64_t size, int64_t mtime_ns);
enum mw_rc mw_qindex_set_stranger(struct mw_qindex *q, const char *path, uint64_t size,
	int64_t mtime_ns, struct mw_err *err_r);

/* One process at a time: QUARANTINEDIR/NAME, locked until it is closed. -1: another has it, or it
 * cannot be had. */
int mw_quarantine_lock(const char *dir, const char *name, bool wait);
#define MW_QHOUSEKEEPER_LOCK ".housekeeper.lock"

#endif
