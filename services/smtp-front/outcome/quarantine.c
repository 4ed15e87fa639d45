#include "quarantine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "decide.h"
#include "edit.h"
#include "log.h"

struct quarantine_job {
	uv_work_t work;
	void (*done)(void *arg, enum mw_rc rc, const char *error);
	void *arg; /* NULL with done: forgotten */
	struct smtp_body *body;
	struct mw_text head;
	char root[256], folder[512], dir[512], path[768], temporary[800];
	enum mw_rc rc;
	char error[256];
};

/* Folders hashed by the id's first character: none grows past a sixty-fourth of all. */
static const char *name_of(struct txn *t, const char *folder, const char *method)
{
	const char *m = strstr(method, "%m");

	return smtp_arena_printf(&t->arena, "%s%s%c/%.*s%s%s", folder, *folder != '\0' ? "/" : "",
		t->mail_id[0], (int)(m - method), method, t->mail_id, m + 2);
}

/* The copy of that name, or a new one; false: no memory. */
static bool copy_into(struct txn *t, struct txn_rcpt *r, const char *name)
{
	if (name == NULL)
		return false;
	for (size_t i = 0; i < t->copy_count; i++)
		if (strcmp(t->copies[i], name) == 0) {
			r->copy = (int)i;
			return true;
		}
	if (t->copy_count == QUARANTINE_COPIES_MAX) {
		txn_log(t, MW_WARN, "quarantine_copies", "log_id=%s rcpt=%s wanted=%s kept=%s",
			t->log_id, mw_quote(r->addr), name, t->copies[0]);
		r->copy = 0;
		return true;
	}
	r->copy = (int)t->copy_count;
	t->copies[t->copy_count++] = name;
	return true;
}

enum mw_rc quarantine_plan(struct txn *t)
{
	t->copy_count = t->copy_at = 0;
	t->copies = smtp_arena_array(&t->arena, QUARANTINE_COPIES_MAX, sizeof(*t->copies));
	if (t->copies == NULL)
		return MW_ERR_NOMEM;
	if (t->poison) {
		t->copies[0] = smtp_arena_printf(&t->arena, "poison/poison-%s.gz", t->mail_id);
		t->copy_count = t->copies[0] != NULL;
		return t->copy_count == 1 ? MW_OK : MW_ERR_NOMEM;
	}
	for (size_t i = 0; i < t->rcpt_count; i++) {
		struct txn_rcpt *r = &t->rcpts[i];
		enum ccat_slot slot = ccat_slot_of(r->ccat_blocking);
		const char *method = t->policy->quarantine[slot];

		if (r->ccat_blocking == 0 || r->destiny == MW_D_TEMPFAIL || *method == '\0' ||
			r->folders[slot] == NULL)
			continue;
		if (!copy_into(t, r, name_of(t, r->folders[slot], method)))
			return MW_ERR_NOMEM;
	}
	return MW_OK;
}

static void add_address(struct mw_text *out, const char *name, const char *addr)
{
	mw_text_addf(out, "%s: <", name);
	for (; *addr != '\0'; addr++)
		if ((unsigned char)*addr >= 0x20 && *addr != 0x7f)
			mw_text_add_octets(out, addr, 1);
	mw_text_add(out, ">\r\n");
}

/* decision.md 13: what a release needs to know, on top of the original. */
static void write_head(struct txn *t, struct mw_text *out)
{
	add_address(out, "Return-Path", t->sender);
	mw_text_add(out, "Delivered-To: quarantine\r\n");
	add_address(out, "X-Envelope-From", t->sender);
	for (size_t i = 0; i < t->rcpt_count; i++)
		add_address(out, "X-Envelope-To", t->rcpts[i].addr);
	/* A release is for those whom this copy is kept for. */
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].ccat_blocking != 0 &&
			(t->poison || t->rcpts[i].copy == (int)t->copy_at))
			add_address(out, "X-Envelope-To-Blocked", t->rcpts[i].addr);
	mw_text_addf(out, "X-Quarantine-ID: <%s>\r\n", t->mail_id);
	if (t->found.virus_count > 0)
		mw_text_addf(out, "X-Amavis-Alert: INFECTED, message contains virus: %s\r\n",
			decide_virus_names(t));
	if (t->poison)
		mw_text_add(out, "X-Amavis-Alert: UNCHECKED, two cages died on this mail\r\n");
	edit_guard(t, out);
}

/* ------------------------------------------------------------------ on libuv's pool */

static void fail_errno(struct quarantine_job *j, const char *what, const char *path)
{
	j->rc = MW_ERR_IO;
	snprintf(j->error, sizeof(j->error), "%s %.120s: %s", what, path, strerror(errno));
}

static bool write_gzip(struct quarantine_job *j, int fd)
{
	struct mw_octets body = smtp_body_octets(j->body);
	gzFile gz = gzdopen(dup(fd), "wb1"); /* speed over size: somebody waits for the reply */
	bool ok = gz != NULL;

	ok = ok && gzwrite(gz, j->head.p, (unsigned)j->head.n) == (int)j->head.n;
	for (size_t at = 0; ok && at < body.n;) {
		unsigned n = body.n - at > (1u << 20) ? 1u << 20 : (unsigned)(body.n - at);

		ok = gzwrite(gz, body.p + at, n) == (int)n;
		at += n;
	}
	return gz != NULL && gzclose(gz) == Z_OK && ok;
}

static bool sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

static void keep_work(uv_work_t *work)
{
	struct quarantine_job *j = work->data;
	const char *dirs[] = { j->folder, j->dir };
	int fd;

	for (size_t i = 0; i < MW_COUNT(dirs); i++)
		if (mkdir(dirs[i], 0750) != 0 && errno != EEXIST) {
			fail_errno(j, "folder", dirs[i]);
			return;
		}
	fd = open(j->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0) {
		fail_errno(j, "file", j->temporary);
		return;
	}
	if (!write_gzip(j, fd) || fsync(fd) != 0)
		fail_errno(j, "writing", j->temporary);
	close(fd);
	/* Never half a file under the final name, and never one that a power cut takes back. */
	if (j->rc == MW_OK && rename(j->temporary, j->path) != 0)
		fail_errno(j, "naming", j->path);
	if (j->rc == MW_OK && !sync_folder(j->dir))
		fail_errno(j, "syncing", j->dir);
	/* The folder itself may be new, by us or by a neighbour who has not synced it yet. */
	if (j->rc == MW_OK && !sync_folder(j->folder))
		fail_errno(j, "syncing", j->folder);
	if (j->rc == MW_OK && !sync_folder(j->root))
		fail_errno(j, "syncing", j->root);
	if (j->rc != MW_OK)
		unlink(j->temporary);
}

static void keep_done(uv_work_t *work, int status)
{
	struct quarantine_job *j = work->data;

	if (status != 0) {
		j->rc = MW_ERR_IO;
		mw_strlcpy(j->error, "cancelled", sizeof(j->error));
	}
	if (j->done != NULL)
		j->done(j->arg, j->rc, j->error);
	smtp_body_unref(&j->body);
	mw_text_fini(&j->head);
	free(j);
}

struct quarantine_job *quarantine_keep(struct txn *t, const char *name,
	void (*done)(void *arg, enum mw_rc rc, const char *error), void *arg)
{
	struct quarantine_job *j = calloc(1, sizeof(*j));
	const char *slash = strrchr(name, '/'), *first = strchr(name, '/');

	if (j == NULL)
		return NULL;
	j->work.data = j;
	j->done = done;
	j->arg = arg;
	write_head(t, &j->head);
	mw_strlcpy(j->root, t->set->quarantine_dir, sizeof(j->root));
	snprintf(j->folder, sizeof(j->folder), "%s/%.*s", t->set->quarantine_dir,
		(int)(first - name), name);
	snprintf(j->dir, sizeof(j->dir), "%s/%.*s", t->set->quarantine_dir, (int)(slash - name),
		name);
	snprintf(j->path, sizeof(j->path), "%s/%.200s", t->set->quarantine_dir, name);
	snprintf(j->temporary, sizeof(j->temporary), "%s/.new-%s", j->dir, t->mail_id);
	j->body = smtp_body_ref(t->body);
	if (j->head.failed ||
		uv_queue_work(mw_loop_uv(t->front->loop), &j->work, keep_work, keep_done) != 0) {
		smtp_body_unref(&j->body);
		mw_text_fini(&j->head);
		free(j);
		return NULL;
	}
	return j;
}

void quarantine_forget(struct quarantine_job **job_p)
{
	struct quarantine_job *j = *job_p;

	*job_p = NULL;
	if (j != NULL)
		j->done = NULL;
}
