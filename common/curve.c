/*
 * Key files (czmq's zcert format) and ZAP. The only file that knows czmq: it is kept from
 * installing signal handlers, and none of its threads or sockets are used.
 */
#include "curve.h"

#include <czmq.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "log.h"
#include "wire.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define ZAP_FRAMES 7 /* version, request id, domain, address, identity, mechanism, key: RFC 27 */
#define KEY_OCTETS 32
#define KEY_FILE_MAX 4096 /* octets of a certificate file; ours have some 350 */
#define AUTHORISED_MAX                                                                             \
	1000		  /* keys that are let in; files beyond are left out, and the log says so */
#define LOOK_EVERY_MS 500 /* how often the folder is looked at for changes while peers come */
#define TELL_EVERY_MS 1000  /* refusals in the log */
#define KNOWN_MAX 16	    /* other services whose key was asked for */
#define PATH_MAX_OCTETS 256 /* czmq's own bound on a certificate's path */

static const char *const services[] = { "front", "scanner", "dkim", "reputation", "logger",
	"snmp-agent", "status" };

struct authorised {
	char key[MW_KEY_TEXT_MAX];
	char name[MW_NAME_MAX];
};

struct mw_curve {
	char folder[PATH_MAX_OCTETS];
	char public[MW_KEY_TEXT_MAX], secret[MW_KEY_TEXT_MAX];
	size_t count;
	struct authorised *list;   /* AUTHORISED_MAX */
	uint64_t stamp, looked_ms; /* of the authorised folder as it was read */
	size_t known_count;
	struct authorised known[KNOWN_MAX];
	void *zap; /* REP */
	struct mw_zwatch *watch;
	struct mw_loop *loop;
	uint64_t told_ms, untold;
};

/* The front's files are called after its role; its process is smtp-front. */
static const char *file_name_of(const char *service)
{
	return strcmp(service, "smtp-front") == 0 ? "front" : service;
}

static void keep_czmq_quiet(void)
{
	setenv("ZSYS_SIGHANDLER", "false", 1);
	zsys_handler_set(NULL);
}

/* ------------------------------------------------------------------ reading keys */

static bool path_of(char *buf, const char *folder, const char *name, const char *ending)
{
	const char *const pieces[] = { folder, "/", name, ending };
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < MW_COUNT(pieces) && n < PATH_MAX_OCTETS; i++)
		n += mw_strlcpy(buf + n, pieces[i], PATH_MAX_OCTETS - n);
	return n < PATH_MAX_OCTETS - sizeof("_secret"); /* zcert appends that itself */
}

static bool is_key(const char *z85)
{
	return z85 != NULL && strlen(z85) == MW_KEY_TEXT_MAX - 1 &&
	       strspn(z85, "0") != MW_KEY_TEXT_MAX - 1;
}

/* zcert_load, for files only: czmq 4.2 leaks when the path is a folder, and prints what it cannot
 * parse. */
static zcert_t *load_file(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > KEY_FILE_MAX)
		return NULL;
	return zcert_load(path);
}

/* Public key of a certificate file; false: there is none in it. */
static bool read_public(const char *path, char *key_r)
{
	zcert_t *cert = load_file(path);
	bool ok = cert != NULL && is_key(zcert_public_txt(cert));

	if (ok)
		mw_strlcpy(key_r, zcert_public_txt(cert), MW_KEY_TEXT_MAX);
	zcert_destroy(&cert);
	return ok;
}

/* A secret that others can read is none. */
static enum mw_rc check_secret_file(const char *folder, const char *name, struct mw_err *err_r)
{
	char path[PATH_MAX_OCTETS];
	struct stat st;

	if (!path_of(path, folder, name, ".key_secret"))
		return mw_fail(err_r, MW_ERR_CONF, "%s: path of more than %d octets", folder,
			PATH_MAX_OCTETS);
	if (stat(path, &st) < 0)
		return mw_fail(err_r, MW_ERR_CONF, "%s: %s; `mailweir keys %s` makes the keys",
			path, strerror(errno), folder);
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return mw_fail(err_r, MW_ERR_CONF,
			"%s: mode %03o lets others at the secret key; chmod 600 it", path,
			(unsigned)st.st_mode & 0777);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return mw_fail(err_r, MW_ERR_CONF, "%s: belongs to another user", path);
	return MW_OK;
}

static enum mw_rc read_own(struct mw_curve *c, const char *name, struct mw_err *err_r)
{
	char path[PATH_MAX_OCTETS];
	enum mw_rc rc = check_secret_file(c->folder, name, err_r);
	zcert_t *cert;

	if (rc != MW_OK)
		return rc;
	path_of(path, c->folder, name, ".key");
	cert = zcert_load(path); /* the _secret beside it holds both halves */
	if (cert == NULL || !is_key(zcert_public_txt(cert)) || !is_key(zcert_secret_txt(cert))) {
		zcert_destroy(&cert);
		return mw_fail(err_r, MW_ERR_CONF, "%s_secret: holds no pair of CURVE keys", path);
	}
	mw_strlcpy(c->public, zcert_public_txt(cert), sizeof(c->public));
	mw_strlcpy(c->secret, zcert_secret_txt(cert), sizeof(c->secret));
	zcert_destroy(&cert);
	return MW_OK;
}

/* ------------------------------------------------------------------ the authorised folder */

static bool is_key_file(const char *name)
{
	size_t n = strlen(name);

	return name[0] != '.' && n > 4 && n - 4 < MW_NAME_MAX && strcmp(name + n - 4, ".key") == 0;
}

/* A number that changes when a key file comes, goes or is written. */
static uint64_t folder_stamp(const char *folder)
{
	DIR *dir = opendir(folder);
	uint64_t stamp = 1;

	for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;) {
		uint64_t h = 14695981039346656037u;
		struct stat st;

		if (!is_key_file(d->d_name) || fstatat(dirfd(dir), d->d_name, &st, 0) < 0)
			continue;
		for (const char *p = d->d_name; *p != '\0'; p++)
			h = (h ^ (unsigned char)*p) * 1099511628211u;
		h ^= (uint64_t)st.st_mtim.tv_sec * 1000000007u + (uint64_t)st.st_mtim.tv_nsec;
		h = (h ^ (uint64_t)st.st_ino) * 1099511628211u + (uint64_t)st.st_size;
		stamp += h; /* a sum: readdir promises no order */
	}
	if (dir != NULL)
		closedir(dir);
	return stamp;
}

static void read_authorised(struct mw_curve *c, const char *folder)
{
	DIR *dir = opendir(folder);

	c->count = 0;
	if (dir == NULL)
		mw_log(MW_WARN, "curve_folder_unreadable", "folder=%s reason=\"%s\"", folder,
			strerror(errno));
	for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;) {
		struct authorised *a = &c->list[c->count];
		char path[PATH_MAX_OCTETS];

		if (!is_key_file(d->d_name))
			continue;
		if (c->count == AUTHORISED_MAX) {
			mw_log(MW_WARN, "curve_keys_left_out", "most=%d folder=%s", AUTHORISED_MAX,
				folder);
			break;
		}
		if (!path_of(path, folder, d->d_name, "") || !read_public(path, a->key)) {
			mw_log(MW_WARN, "curve_key_unreadable", "file=%s", mw_quote(d->d_name));
			continue;
		}
		mw_strncpy(a->name, sizeof(a->name), d->d_name, strlen(d->d_name) - 4);
		c->count++;
	}
	if (dir != NULL)
		closedir(dir);
}

static void refresh(struct mw_curve *c)
{
	uint64_t now = mw_mono_ms(), stamp;
	char folder[PATH_MAX_OCTETS];

	if (c->stamp != 0 && now - c->looked_ms < LOOK_EVERY_MS)
		return;
	c->looked_ms = now;
	if (!path_of(folder, c->folder, "authorised", ""))
		return; /* mw_curve_open refused such a path */
	stamp = folder_stamp(folder);
	if (stamp == c->stamp)
		return;
	c->stamp = stamp;
	read_authorised(c, folder);
}

static const struct authorised *find(struct mw_curve *c, const char *key)
{
	refresh(c);
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->list[i].key, key) == 0)
			return &c->list[i];
	return NULL;
}

bool mw_curve_is_authorised(struct mw_curve *curve, const char *z85_public)
{
	return find(curve, z85_public) != NULL;
}

/* ------------------------------------------------------------------ life */

enum mw_rc mw_curve_open(
	struct mw_curve **curve_r, const char *folder, const char *service, struct mw_err *err_r)
{
	struct mw_curve *c = calloc(1, sizeof(*c));
	char longest[PATH_MAX_OCTETS];
	enum mw_rc rc;

	if (c == NULL || (c->list = calloc(AUTHORISED_MAX, sizeof(*c->list))) == NULL) {
		free(c);
		return mw_fail(err_r, MW_ERR_NOMEM, "CURVE keys: out of memory");
	}
	keep_czmq_quiet();
	if (zmq_has("curve") != 1)
		rc = mw_fail(err_r, MW_ERR_CONF, "this libzmq was built without CURVE");
	else if (mw_strlcpy(c->folder, folder, sizeof(c->folder)) >= sizeof(c->folder) ||
		 !path_of(longest, folder, "authorised/12345678901234567890123456789012", ".key"))
		rc = mw_fail(err_r, MW_ERR_CONF, "pipeline.keys: path of more than %d octets",
			PATH_MAX_OCTETS - 64);
	else
		rc = read_own(c, file_name_of(service), err_r);
	if (rc != MW_OK) {
		mw_curve_close(&c);
		return rc;
	}
	refresh(c);
	*curve_r = c;
	return MW_OK;
}

void mw_curve_close(struct mw_curve **curve_p)
{
	struct mw_curve *c = *curve_p;

	*curve_p = NULL;
	if (c == NULL)
		return;
	if (c->watch != NULL)
		mw_zwatch_destroy(&c->watch);
	if (c->zap != NULL)
		zmq_close(c->zap);
	free(c->list);
	explicit_bzero(c->secret, sizeof(c->secret));
	free(c);
}

const char *mw_curve_public(const struct mw_curve *curve)
{
	return curve->public;
}

const char *mw_curve_secret(const struct mw_curve *curve)
{
	return curve->secret;
}

const char *mw_curve_key_of(struct mw_curve *curve, const char *service)
{
	const char *name = file_name_of(service);
	struct authorised *a;
	char path[PATH_MAX_OCTETS];

	for (size_t i = 0; i < curve->known_count; i++)
		if (strcmp(curve->known[i].name, name) == 0)
			return curve->known[i].key;
	if (curve->known_count == KNOWN_MAX)
		return NULL;
	a = &curve->known[curve->known_count];
	if (!path_of(path, curve->folder, name, ".key") || !read_public(path, a->key) ||
		mw_strlcpy(a->name, name, sizeof(a->name)) >= sizeof(a->name))
		return NULL;
	curve->known_count++;
	return a->key;
}

/* ------------------------------------------------------------------ ZAP, ZeroMQ RFC 27 */

struct zap_request {
	size_t count;
	zmq_msg_t frames[ZAP_FRAMES];
};

static struct mw_octets frame(struct zap_request *q, size_t i)
{
	return i < q->count ? mw_zoctets(&q->frames[i]) : mw_octets_of("", 0);
}

static void tell_refusal(
	struct mw_curve *c, struct mw_octets address, const char *key, const char *why)
{
	uint64_t now = mw_mono_ms();
	char quoted[MW_QUOTE_MAX];

	if (c->told_ms != 0 && now - c->told_ms < TELL_EVERY_MS) {
		c->untold++;
		return;
	}
	mw_log(MW_WARN, "curve_refused", "peer=%s key=%s reason=%s not_told=%llu",
		mw_quote_octets(quoted, sizeof(quoted), address.p, address.n), mw_quote(key), why,
		(unsigned long long)c->untold);
	c->told_ms = now;
	c->untold = 0;
}

/*
 * The user id stays empty: libzmq 4.3 would put it into the connection's pipe as a message that is
 * never counted as read. A socket with a high-water mark of 1, which that of jobs has, would then
 * take nothing for ever.
 */
static void zap_answer(
	struct mw_curve *c, struct mw_octets id, const char *status, const char *text)
{
	if (mw_zsend(c->zap, "1.0", 3, true) != MW_OK ||
		mw_zsend(c->zap, id.p, id.n, true) != MW_OK ||
		mw_zsend(c->zap, status, strlen(status), true) != MW_OK ||
		mw_zsend(c->zap, text, strlen(text), true) != MW_OK ||
		mw_zsend(c->zap, "", 0, true) != MW_OK || mw_zsend(c->zap, "", 0, false) != MW_OK)
		mw_log(MW_ERROR, "zap_answer_lost", "reason=\"%s\"", zmq_strerror(errno));
}

static bool is_text(struct mw_octets o, const char *s)
{
	return o.n == strlen(s) && memcmp(o.p, s, o.n) == 0;
}

static void zap_judge(struct mw_curve *c, struct zap_request *q)
{
	struct mw_octets id = frame(q, 1), key = frame(q, 6);
	char z85[MW_KEY_TEXT_MAX] = "";
	const char *why = NULL;

	if (q->count != ZAP_FRAMES || !is_text(frame(q, 0), "1.0"))
		why = "no_zap_1_0";
	else if (!is_text(frame(q, 5), "CURVE"))
		why = "mechanism";
	else if (key.n != KEY_OCTETS || zmq_z85_encode(z85, key.p, key.n) == NULL)
		why = "key_length";
	else if (find(c, z85) == NULL)
		why = "unknown_key";
	if (why == NULL) {
		zap_answer(c, id, "200", "OK");
		return;
	}
	tell_refusal(c, frame(q, 3), z85, why);
	zap_answer(c, id, "400", "no access");
}

static void zap_readable(void *arg)
{
	struct mw_curve *c = arg;

	for (int i = 0; i < MW_BATCH; i++) {
		struct zap_request q = { 0 };
		bool more = true;
		enum mw_rc rc = MW_OK;

		while (more && q.count < ZAP_FRAMES) {
			rc = mw_zrecv(c->zap, &q.frames[q.count]);
			if (rc != MW_OK)
				break;
			more = mw_zmore(&q.frames[q.count++]);
		}
		if (rc == MW_OK && more) { /* more frames than ZAP 1.0 has */
			mw_zdrain(c->zap, &q.frames[q.count - 1]);
			zmq_msg_close(&q.frames[--q.count]);
		}
		if (rc == MW_OK)
			zap_judge(c, &q);
		while (q.count > 0)
			zmq_msg_close(&q.frames[--q.count]);
		if (rc != MW_OK)
			return;
	}
}

enum mw_rc mw_curve_serve_zap(
	struct mw_curve *curve, void *zmq_ctx, struct mw_loop *loop, struct mw_err *err_r)
{
	int linger = 0;

	curve->zap = zmq_socket(zmq_ctx, ZMQ_REP);
	if (curve->zap == NULL ||
		zmq_setsockopt(curve->zap, ZMQ_LINGER, &linger, sizeof(linger)) != 0 ||
		zmq_bind(curve->zap, ZAP_ENDPOINT) != 0)
		return mw_fail(err_r, MW_ERR_IO, "%s: %s", ZAP_ENDPOINT, zmq_strerror(errno));
	curve->loop = loop;
	curve->watch = mw_zwatch_new(loop, curve->zap, zap_readable, NULL, curve);
	return MW_OK;
}

/* ------------------------------------------------------------------ making keys */

struct maker {
	const char *folder;
	uid_t uid;
	gid_t gid;
	struct mw_err *err;
};

/* Private, and readable by the user that the services run as. */
static enum mw_rc settle_file(const struct maker *m, const char *path)
{
	if (chmod(path, S_IRUSR | S_IWUSR) < 0 ||
		(geteuid() == 0 && lchown(path, m->uid, m->gid) < 0))
		return mw_fail(m->err, MW_ERR_IO, "%s: %s", path, strerror(errno));
	return MW_OK;
}

static enum mw_rc save(
	const struct maker *m, zcert_t *cert, const char *path, int (*how)(zcert_t *, const char *))
{
	if (how(cert, path) != 0)
		return mw_fail(
			m->err, MW_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
	return settle_file(m, path);
}

static bool exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

static enum mw_rc make_pair(const struct maker *m, const char *name)
{
	char secret[PATH_MAX_OCTETS], public[PATH_MAX_OCTETS], granted[PATH_MAX_OCTETS],
		sub[PATH_MAX_OCTETS];
	enum mw_rc rc = MW_OK;
	zcert_t *cert;
	bool fresh;

	if (!path_of(sub, m->folder, "authorised", "") ||
		!path_of(secret, m->folder, name, ".key_secret") ||
		!path_of(public, m->folder, name, ".key") || !path_of(granted, sub, name, ".key"))
		return mw_fail(m->err, MW_ERR_CONF, "%s: path of more than %d octets", m->folder,
			PATH_MAX_OCTETS - 64);
	fresh = !exists(secret);
	cert = fresh ? zcert_new() : zcert_load(public);
	if (cert == NULL || !is_key(zcert_public_txt(cert)))
		rc = mw_fail(m->err, MW_ERR_IO,
			"%s: holds no pair of CURVE keys; remove it to have a new one made",
			secret);
	/* The secret comes last: a run that was cut short is repeated whole. */
	if (rc == MW_OK && (fresh || !exists(granted)))
		rc = save(m, cert, granted, zcert_save_public);
	if (rc == MW_OK && (fresh || !exists(public)))
		rc = save(m, cert, public, zcert_save_public);
	if (rc == MW_OK && fresh)
		rc = save(m, cert, secret, zcert_save_secret);
	zcert_destroy(&cert);
	return rc;
}

static enum mw_rc make_folder(const struct maker *m, const char *path)
{
	if (mkdir(path, S_IRWXU) < 0 && errno != EEXIST)
		return mw_fail(m->err, MW_ERR_IO, "%s: %s", path, strerror(errno));
	if (chmod(path, S_IRWXU) < 0 || (geteuid() == 0 && lchown(path, m->uid, m->gid) < 0))
		return mw_fail(m->err, MW_ERR_IO, "%s: %s", path, strerror(errno));
	return MW_OK;
}

enum mw_rc mw_curve_make_keys(const char *folder, struct mw_err *err_r)
{
	struct maker m = { .folder = folder, .uid = geteuid(), .gid = getegid(), .err = err_r };
	const struct passwd *user = getpwnam("mailweir");
	char sub[PATH_MAX_OCTETS];
	struct stat st;
	mode_t mask = umask(S_IRWXG | S_IRWXO);
	enum mw_rc rc;

	keep_czmq_quiet();
	if (stat(folder, &st) == 0 &&
		st.st_uid != 0) { /* a volume that was prepared for its user */
		m.uid = st.st_uid;
		m.gid = st.st_gid;
	} else if (user != NULL) {
		m.uid = user->pw_uid;
		m.gid = user->pw_gid;
	}
	rc = path_of(sub, folder, "authorised", "")
		     ? make_folder(&m, folder)
		     : mw_fail(err_r, MW_ERR_CONF, "%.100s: path too long", folder);
	if (rc == MW_OK)
		rc = make_folder(&m, sub);
	for (size_t i = 0; rc == MW_OK && i < MW_COUNT(services); i++)
		rc = make_pair(&m, services[i]);
	umask(mask);
	return rc;
}
