#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proto.h"
#include "utf8.h"

#define VERSION 1

static void head(struct mw_pack *b, enum scan_message type, size_t fields)
{
	mw_pack_array(b, fields + 2);
	mw_pack_uint(b, VERSION);
	mw_pack_uint(b, type);
}

static bool head_read(struct mw_cur *c, enum scan_message type, size_t fields)
{
	size_t items;
	uint64_t version, got;

	return mw_cur_array(c, &items) && items == fields + 2 &&
	       mw_cur_uint(c, UINT8_MAX, &version) && version == VERSION &&
	       mw_cur_uint(c, UINT8_MAX, &got) && got == (uint64_t)type;
}

enum scan_message scan_message_type(struct mw_octets m)
{
	struct mw_cur c = mw_cur_of(m.p, m.n);
	size_t items;
	uint64_t version, type;

	if (!mw_cur_array(&c, &items) || !mw_cur_uint(&c, UINT8_MAX, &version) ||
		version != VERSION || !mw_cur_uint(&c, SCAN_MSG_COUNT - 1, &type))
		return SCAN_MSG_NONE;
	return (enum scan_message)type;
}

/* ------------------------------------------------------------------ conf: numbers by a table, then
 * two texts */

const char *const scan_mode_words[SCAN_MODES] = {
	[SCAN_BOTH] = "both",
	[SCAN_LEAVES] = "leaves",
	[SCAN_MESSAGE] = "message",
};

#define NUMBER(field) offsetof(struct scan_conf, field)
static const size_t conf_numbers[] = {
	NUMBER(cages),
	NUMBER(memory),
	NUMBER(files),
	NUMBER(mails),
	NUMBER(cpu_s),
	NUMBER(file_size),
	NUMBER(quota),
	NUMBER(strict),
	NUMBER(mail_parser),
	NUMBER(scan_mode),
	NUMBER(mime_readings),
	NUMBER(log_level),
	NUMBER(max_file),
	NUMBER(max_scan),
	NUMBER(engine_files),
	NUMBER(engine_levels),
	NUMBER(budget.max_levels),
	NUMBER(budget.max_files),
	NUMBER(budget.min_quota),
	NUMBER(budget.max_quota),
	NUMBER(budget.min_factor),
	NUMBER(budget.max_factor),
	NUMBER(budget.memory),
	NUMBER(passwords_max),
};

void scan_conf_encode(struct mw_pack *b, const struct scan_conf *v)
{
	head(b, SCAN_MSG_CONF, MW_COUNT(conf_numbers) + 3);
	for (size_t i = 0; i < MW_COUNT(conf_numbers); i++) {
		uint64_t n;

		memcpy(&n, (const char *)v + conf_numbers[i], sizeof(n));
		mw_pack_uint(b, n);
	}
	mw_pack_text(b, v->temp_dir);
	mw_pack_text(b, v->database);
	mw_pack_octets(b, mw_octets_of(v->passwords, v->passwords_octets));
}

enum mw_rc scan_conf_decode(struct mw_octets m, struct scan_conf *v_r)
{
	struct mw_cur c = mw_cur_of(m.p, m.n);
	struct scan_conf v = { 0 };
	struct mw_octets passwords;

	if (!head_read(&c, SCAN_MSG_CONF, MW_COUNT(conf_numbers) + 3))
		return MW_ERR_PROTO;
	for (size_t i = 0; i < MW_COUNT(conf_numbers); i++) {
		uint64_t n = 0;

		mw_cur_uint(&c, UINT64_MAX, &n);
		memcpy((char *)&v + conf_numbers[i], &n, sizeof(n));
	}
	if (!mw_cur_text(&c, v.temp_dir, sizeof(v.temp_dir)) ||
		!mw_cur_text(&c, v.database, sizeof(v.database)) ||
		!mw_cur_octets(&c, sizeof(v.passwords), &passwords) || !mw_cur_end(&c) ||
		(passwords.n > 0 && passwords.p[passwords.n - 1] != '\0'))
		return MW_ERR_PROTO;
	memcpy(v.passwords, passwords.p, passwords.n);
	v.passwords_octets = passwords.n;
	*v_r = v;
	return MW_OK;
}

/* ------------------------------------------------------------------ the others */

void scan_engine_encode(struct mw_pack *b, const struct scan_engine *v)
{
	head(b, SCAN_MSG_ENGINE, 5);
	mw_pack_text(b, v->text);
	mw_pack_uint(b, v->signatures);
	mw_pack_uint(b, v->load_ms);
	mw_pack_bool(b, v->project);
	mw_pack_bool(b, v->eicar);
}

enum mw_rc scan_engine_decode(struct mw_octets m, struct scan_engine *v_r)
{
	struct mw_cur c = mw_cur_of(m.p, m.n);
	struct scan_engine v = { "" };

	if (!head_read(&c, SCAN_MSG_ENGINE, 5) || !mw_cur_text(&c, v.text, sizeof(v.text)) ||
		!mw_cur_uint(&c, UINT64_MAX, &v.signatures) ||
		!mw_cur_uint(&c, UINT64_MAX, &v.load_ms) || !mw_cur_bool(&c, &v.project) ||
		!mw_cur_bool(&c, &v.eicar) || !mw_cur_end(&c))
		return MW_ERR_PROTO;
	*v_r = v;
	return MW_OK;
}

void scan_born_encode(struct mw_pack *b, const struct scan_born *v)
{
	head(b, SCAN_MSG_BORN, 2);
	mw_pack_uint(b, v->serial);
	mw_pack_uint(b, v->pid);
}

enum mw_rc scan_born_decode(struct mw_octets m, struct scan_born *v_r)
{
	struct mw_cur c = mw_cur_of(m.p, m.n);
	struct scan_born v;

	if (!head_read(&c, SCAN_MSG_BORN, 2) || !mw_cur_uint(&c, UINT64_MAX, &v.serial) ||
		!mw_cur_uint(&c, INT32_MAX, &v.pid) || !mw_cur_end(&c))
		return MW_ERR_PROTO;
	*v_r = v;
	return MW_OK;
}

void scan_died_encode(struct mw_pack *b, const struct scan_died *v)
{
	head(b, SCAN_MSG_DIED, 4);
	mw_pack_uint(b, v->serial);
	mw_pack_uint(b, v->signal);
	mw_pack_uint(b, v->code);
	mw_pack_bool(b, v->ours);
}

enum mw_rc scan_died_decode(struct mw_octets m, struct scan_died *v_r)
{
	struct mw_cur c = mw_cur_of(m.p, m.n);
	struct scan_died v;

	if (!head_read(&c, SCAN_MSG_DIED, 4) || !mw_cur_uint(&c, UINT64_MAX, &v.serial) ||
		!mw_cur_uint(&c, 255, &v.signal) || !mw_cur_uint(&c, 255, &v.code) ||
		!mw_cur_bool(&c, &v.ours) || !mw_cur_end(&c))
		return MW_ERR_PROTO;
	*v_r = v;
	return MW_OK;
}

void scan_order_encode(struct mw_pack *b, const struct scan_order *v)
{
	head(b, SCAN_MSG_JOB, 8);
	mw_pack_uint(b, v->id);
	mw_pack_uint(b, v->until_ms);
	mw_pack_uint(b, v->most_ms);
	mw_pack_uint(b, v->size);
	mw_pack_bool(b, v->virus);
	mw_pack_bool(b, v->decode);
	mw_pack_bool(b, v->parts);
	mw_pack_bool(b, v->digests);
}

enum mw_rc scan_order_decode(struct mw_octets m, struct scan_order *v_r, struct mw_octets *rest_r)
{
	struct mw_cur c = mw_cur_of(m.p, m.n);
	struct scan_order v;

	if (!head_read(&c, SCAN_MSG_JOB, 8) || !mw_cur_uint(&c, UINT64_MAX, &v.id) ||
		!mw_cur_uint(&c, INT64_MAX, &v.until_ms) ||
		!mw_cur_uint(&c, UINT32_MAX, &v.most_ms) || !mw_cur_uint(&c, INT64_MAX, &v.size) ||
		!mw_cur_bool(&c, &v.virus) || !mw_cur_bool(&c, &v.decode) ||
		!mw_cur_bool(&c, &v.parts) || !mw_cur_bool(&c, &v.digests))
		return MW_ERR_PROTO;
	*v_r = v;
	*rest_r = mw_octets_of(c.p, (size_t)(c.end - c.p));
	return MW_OK;
}

void scan_result_encode(struct mw_pack *b, const struct scan_result *v)
{
	head(b, SCAN_MSG_RESULT, 7);
	mw_pack_uint(b, v->id);
	mw_pack_uint(b, v->status);
	mw_pack_text(b, v->reason);
	mw_pack_uint(b, v->cpu_us);
	mw_pack_uint(b, v->engine);
	mw_pack_uint(b, v->worn);
	if (v->findings.n > 0)
		mw_pack_raw(b, v->findings);
	else
		mw_pack_map(b, 0);
}

enum mw_rc scan_result_decode(struct mw_octets m, struct scan_result *v_r)
{
	struct mw_cur c = mw_cur_of(m.p, m.n);
	struct scan_result v;
	uint64_t status, engine, worn;

	if (!head_read(&c, SCAN_MSG_RESULT, 7) || !mw_cur_uint(&c, UINT64_MAX, &v.id) ||
		!mw_cur_uint(&c, MW_STATUS_COUNT - 1, &status) ||
		!mw_cur_text(&c, v.reason, sizeof(v.reason)) ||
		!mw_cur_uint(&c, UINT64_MAX, &v.cpu_us) ||
		!mw_cur_uint(&c, SCAN_ENGINE_ENDS - 1, &engine) || !mw_cur_uint(&c, 1, &worn) ||
		!mw_cur_raw_map(&c, &v.findings) || !mw_cur_end(&c))
		return MW_ERR_PROTO;
	v.status = (enum mw_status)status;
	v.engine = (enum scan_engine_end)engine;
	v.worn = worn != 0;
	*v_r = v;
	return MW_OK;
}

void scan_text_encode(struct mw_pack *b, enum scan_message type, const char *text)
{
	head(b, type, 1);
	mw_pack_text(b, text);
}

enum mw_rc scan_text_decode(struct mw_octets m, char *text, size_t size)
{
	struct mw_cur c = mw_cur_of(m.p, m.n);
	char got[512];

	if (!head_read(&c, scan_message_type(m), 1) || !mw_cur_text(&c, got, sizeof(got)) ||
		!mw_cur_end(&c))
		return MW_ERR_PROTO;
	mw_strlcpy(text, got, size);
	return MW_OK;
}

void scan_number_encode(struct mw_pack *b, enum scan_message type, uint64_t n)
{
	head(b, type, 1);
	mw_pack_uint(b, n);
}

enum mw_rc scan_number_decode(struct mw_octets m, uint64_t *n_r)
{
	struct mw_cur c = mw_cur_of(m.p, m.n);
	uint64_t n;

	if (!head_read(&c, scan_message_type(m), 1) || !mw_cur_uint(&c, UINT64_MAX, &n) ||
		!mw_cur_end(&c))
		return MW_ERR_PROTO;
	*n_r = n;
	return MW_OK;
}

/* ------------------------------------------------------------------ datagrams */

#define PARTS_MAX MW_JOB_PARTS_MAX

union fd_room {
	char buf[CMSG_SPACE(
		4 * sizeof(int))]; /* more than one is refused, but must not be lost open */
	struct cmsghdr align;
};

enum mw_rc scan_send(
	int sock, struct mw_octets first, const struct mw_octets *parts, size_t count, int pass_fd)
{
	struct iovec v[1 + PARTS_MAX];
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 1 };
	union fd_room room = { .buf = { 0 } };
	ssize_t n;

	v[0] = (struct iovec){ (void *)first.p, first.n };
	for (size_t i = 0; i < count && i < PARTS_MAX; i++)
		v[m.msg_iovlen++] = (struct iovec){ (void *)parts[i].p, parts[i].n };
	if (pass_fd >= 0) {
		struct cmsghdr *c;

		m.msg_control = room.buf;
		m.msg_controllen = CMSG_SPACE(sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass_fd, sizeof(int));
	}
	do {
		n = sendmsg(sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return MW_OK;
	if (errno == EAGAIN || errno == ENOBUFS)
		return MW_AGAIN;
	return errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN ? MW_ERR_GONE : MW_ERR_IO;
}

/* Keep the first descriptor, close every other one. */
static int take_fd(struct msghdr *m)
{
	int kept = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		size_t n = c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS
				   ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int)
				   : 0;

		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (kept < 0)
				kept = fd;
			else
				close(fd);
		}
	}
	return kept;
}

enum mw_rc scan_recv(int sock, void *buf, size_t size, size_t *n_r, int *fd_r)
{
	struct iovec v = { buf, size };
	union fd_room room;
	struct msghdr m = { .msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = room.buf,
		.msg_controllen = sizeof(room) };
	ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);

	/* A peer that ended with something unread is told first, once; what it had said before
	 * stands behind that. */
	if (n < 0 && errno == ECONNRESET)
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	*fd_r = -1;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? MW_AGAIN : MW_ERR_GONE;
	*fd_r = take_fd(&m);
	if (n == 0)
		return MW_ERR_GONE;
	*n_r = (size_t)n;
	return (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ? MW_ERR_PROTO : MW_OK;
}

/* ------------------------------------------------------------------ sealed memory */

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

bool scan_write_all(int fd, struct mw_octets o)
{
	while (o.n > 0) {
		ssize_t n = write(fd, o.p, o.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		o = mw_octets_of(o.p + n, o.n - (size_t)n);
	}
	return true;
}

int scan_seal(const struct mw_octets *parts, size_t count)
{
	int fd = memfd_create("mail", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (!scan_write_all(fd, parts[i])) {
			close(fd);
			return -1;
		}
	if (fcntl(fd, F_ADD_SEALS, SEALS) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

const unsigned char *scan_map_sealed(int fd, uint64_t size)
{
	struct stat st;
	void *p;

	if (size == 0 || fcntl(fd, F_GET_SEALS) != SEALS || fstat(fd, &st) != 0 ||
		(uint64_t)st.st_size != size)
		return NULL;
	p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	return p != MAP_FAILED ? p : NULL;
}

/* ------------------------------------------------------------------ leaves for other engines */

int scan_leaf_next(struct mw_octets *rest, struct mw_octets *path_r, struct mw_octets *octets_r)
{
	struct scan_leaf_head h;

	if (rest->n == 0)
		return 0;
	if (rest->n < sizeof(h))
		return -1;
	memcpy(&h, rest->p, sizeof(h));
	if (h.mark != SCAN_LEAF_MARK || h.path >= SCAN_PATH_MAX || h.path > rest->n - sizeof(h) ||
		h.octets > rest->n - sizeof(h) - h.path)
		return -1;
	*path_r = mw_octets_of(rest->p + sizeof(h), h.path);
	*octets_r = mw_octets_of(rest->p + sizeof(h) + h.path, h.octets);
	*rest = mw_octets_of(octets_r->p + h.octets, rest->n - sizeof(h) - h.path - h.octets);
	return 1;
}

int scan_leaves_new(void)
{
	return memfd_create("leaves", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

enum mw_rc scan_leaves_map(int fd, struct mw_octets *map_r)
{
	struct stat st;
	void *p;

	*map_r = mw_octets_of(NULL, 0);
	if (fcntl(fd, F_ADD_SEALS, SEALS) != 0 || fstat(fd, &st) != 0)
		return MW_ERR_PROTO;
	if (st.st_size == 0)
		return MW_OK;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return MW_ERR_NOMEM;
	*map_r = mw_octets_of(p, (size_t)st.st_size);
	return MW_OK;
}

/* ------------------------------------------------------------------ texts */

void scan_copy_utf8(char *dst, size_t size, struct mw_octets src)
{
	size_t n = 0;

	while (src.n > 0 && src.p[0] != '\0') {
		size_t one = mw_utf8_length(src.p, src.n), take = one != 0 ? one : 1;

		if (n + take >= size)
			break;
		if (one == 0)
			dst[n] = '?';
		else
			memcpy(dst + n, src.p, one);
		n += take;
		src = mw_octets_of(src.p + take, src.n - take);
	}
	dst[n] = '\0';
}
