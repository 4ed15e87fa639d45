/*
 * One release of a mail at a time: of this front by its table, of all fronts that share a
 * QUARANTINEDIR by a lock. Each mail has an octet of its own in one file that stays empty, so that
 * releases of different mails do not meet; the system gives back what a front that dies has locked.
 * A lock outlives its claim until audit.log has who got the mail: another front reads it there.
 * Here a claim may follow at once, for its look-up is queued behind what is to be written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "clerk_priv.h"
#include "log.h"

#define RELEASE_LOCK ".release.lock"

static int64_t octet_of(const char *mail_id)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */

	for (; *mail_id != '\0'; mail_id++)
		h = (h ^ (unsigned char)*mail_id) * 1099511628211u;
	return (int64_t)(h >> 2); /* a place that a file may have */
}

/*
 * A folder that nobody can have anything in locks nobody out: where rows alone are kept there may
 * be none.
 */
static bool is_nothing_to_share(int error)
{
	return error == ENOENT || error == ENOTDIR || error == EROFS;
}

/* Or there are no locks, as on some file systems of the network. */
static bool is_without_locks(int error)
{
	return error == ENOLCK || error == EINVAL || error == EOPNOTSUPP || error == ENOSYS;
}

/*
 * Waits for nobody: it is the loop's. Its own open file for each claim, because the locks of one
 * would not exclude each other. False: another front has it, or nobody knows. Where there can be no
 * lock, now or ever, this front's own table has to do.
 */
static bool lock(const struct clerk *c, const char *mail_id, int *fd_r)
{
	char path[CLERK_DIR_MAX + 32];
	struct flock octet = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = octet_of(mail_id), .l_len = 1
	};

	bool alone;

	*fd_r = -1;
	if (c->dir[0] == '\0')
		return true;
	snprintf(path, sizeof(path), "%s/" RELEASE_LOCK, c->dir);
	*fd_r = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	if (*fd_r < 0 && is_nothing_to_share(errno))
		return true;
	if (*fd_r >= 0 && fcntl(*fd_r, F_OFD_SETLK, &octet) == 0)
		return true;
	alone = *fd_r < 0 ? errno == EACCES || errno == EPERM : is_without_locks(errno);
	if (*fd_r < 0 || (errno != EAGAIN && errno != EACCES))
		mw_log(MW_WARN, "quarantine_release_lock", "file=%s why=%s%s", mw_quote(path),
			mw_quote(strerror(errno)),
			alone ? " effect=\"another front may release the same mail meanwhile\""
			      : "");
	if (*fd_r >= 0)
		close(*fd_r);
	*fd_r = -1;
	return alone;
}

static struct clerk_claim *find(struct clerk *c, const char *mail_id)
{
	for (size_t i = 0; i < CLERK_CLAIMS_MAX; i++)
		if (strcmp(c->claims[i].mail_id, mail_id) == 0)
			return &c->claims[i];
	return NULL;
}

static void give_back(struct clerk_claim *claim)
{
	if (claim->lock >= 0)
		close(claim->lock); /* and with it the lock */
	claim->mail_id[0] = '\0';
}

/* That of before, whose release is being written down. */
static bool claim_again(struct clerk *c, const char *mail_id, bool *taken_r)
{
	struct clerk_claim *known;
	bool again;

	pthread_mutex_lock(&c->lock);
	known = find(c, mail_id);
	again = known != NULL && !known->claimed;
	if (again)
		known->claimed = true;
	*taken_r = known != NULL && !again;
	pthread_mutex_unlock(&c->lock);
	return again;
}

bool clerk_claim(struct clerk *c, const char *mail_id)
{
	struct clerk_claim made = { .claimed = true }, *room;
	bool taken;

	if (c == NULL || *mail_id == '\0' ||
		!mw_strncpy(made.mail_id, sizeof(made.mail_id), mail_id, strlen(mail_id)))
		return false;
	if (claim_again(c, mail_id, &taken))
		return true;
	if (taken || !lock(c, mail_id, &made.lock))
		return false;
	pthread_mutex_lock(&c->lock);
	room = find(c, "");
	if (room != NULL)
		*room = made;
	else
		give_back(&made);
	pthread_mutex_unlock(&c->lock);
	return room != NULL;
}

void clerk_unclaim(struct clerk *c, const char *mail_id)
{
	struct clerk_claim *claim;

	if (c == NULL || *mail_id == '\0')
		return;
	pthread_mutex_lock(&c->lock);
	claim = find(c, mail_id);
	if (claim != NULL) {
		claim->claimed = false;
		if (claim->writing == 0)
			give_back(claim);
	}
	pthread_mutex_unlock(&c->lock);
}

void clerk_claim_writing(struct clerk *c, const char *mail_id)
{
	struct clerk_claim *claim;

	pthread_mutex_lock(&c->lock);
	claim = find(c, mail_id);
	if (claim != NULL)
		claim->writing++;
	pthread_mutex_unlock(&c->lock);
}

void clerk_claim_written(struct clerk *c, const char *mail_id)
{
	struct clerk_claim *claim;

	pthread_mutex_lock(&c->lock);
	claim = find(c, mail_id);
	if (claim != NULL && claim->writing > 0 && --claim->writing == 0 && !claim->claimed)
		give_back(claim);
	pthread_mutex_unlock(&c->lock);
}

void clerk_unclaim_all(struct clerk *c)
{
	for (size_t i = 0; i < CLERK_CLAIMS_MAX; i++)
		if (c->claims[i].mail_id[0] != '\0')
			give_back(&c->claims[i]);
}
