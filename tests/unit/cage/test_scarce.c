/* libclamav says CLEAN when it runs out of things (services/scanner/cage/scarcity.h): we never do.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "decode.h"
#include "help.h"
#include "work.h"

#define NOBODY 65534

#if defined(__SANITIZE_ADDRESS__)
#define OWN_ALLOCATOR false
#else
#define OWN_ALLOCATOR true
#endif

enum { CLEAN, FOUND, NOT_WHOLE, SKIPPED };
static const char *const words[] = { "clean", "found", "not whole", "skipped" };

struct fixture {
	struct av *av;
	struct scan_conf conf;
	char folder[64];
	unsigned char zip[512];
	size_t zip_n;
};

static int open_fixture(void **state)
{
	static struct fixture f;
	const char *text = EICAR_ZIP_BASE64;

	strcpy(f.folder, "/tmp/mw-scarce-XXXXXX");
	assert_non_null(mkdtemp(f.folder));
	assert_int_equal(chmod(f.folder, 0777), 0);
	f.conf = test_conf();
	f.av = test_engine(f.folder);
	f.zip_n = mime_decode(MIME_BASE64, mw_octets_of_text(text), f.zip);
	*state = &f;
	return 0;
}

static int close_fixture(void **state)
{
	struct fixture *f = *state;

	av_close(&f->av);
	rmdir(f->folder);
	return 0;
}

/* ------------------------------------------------------------------ three ways to look at the same
 * virus */

static int judge(enum mw_status status, struct mw_octets findings)
{
	struct mw_cur c;
	size_t n = 0;

	if (findings.n > 0 && mw_map_find(findings, "viruses", &c) && mw_cur_array(&c, &n) && n > 0)
		return FOUND;
	return status == MW_DONE ? CLEAN : NOT_WHOLE;
}

static int look_by_work(struct fixture *f, bool decode)
{
	const struct scan_order order = { .virus = true, .decode = decode };
	struct work *w = work_new(&f->conf, f->av, NULL);
	struct mw_pack b;
	char reason[MW_REASON_MAX];
	bool worn;
	enum mw_status status;

	if (w == NULL)
		return NOT_WHOLE;
	mw_pack_init(&b);
	status = work_run(w, mw_octets_of_text(EICAR_ZIP_MAIL), &order, mw_mono_ms() + 20000, &b,
		reason, &worn);
	return b.failed ? NOT_WHOLE : judge(status, mw_octets_of(b.p, b.n));
}

static int look_decoding(struct fixture *f)
{
	return look_by_work(f, true);
}

static int look_without_decoding(struct fixture *f)
{
	return look_by_work(f, false);
}

static int look_at_zip(struct fixture *f)
{
	struct av_result r;

	av_scan(f->av, mw_octets_of(f->zip, f->zip_n), false, f->conf.quota, 20000, &r);
	return r.end == AV_VIRUS ? FOUND : r.end == AV_CLEAN ? CLEAN : NOT_WHOLE;
}

static int (*const looks[])(
	struct fixture *f) = { look_at_zip, look_without_decoding, look_decoding };

/* ------------------------------------------------------------------ want of something */

/* Each runs in a child: false: this machine cannot arrange it. */
typedef bool want(struct fixture *f, long amount);

static bool want_nothing(struct fixture *f, long amount)
{
	(void)amount;
	return av_temp_dir(f->av, f->folder) == MW_OK;
}

static bool own_tmpfs(struct fixture *f, const char *options)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", f->folder, "tmpfs", 0, options) == 0 && chmod(f->folder, 0777) == 0;
}

/* The folder has that many octets left. */
static bool want_room(struct fixture *f, long amount)
{
	char path[128];
	char block[4096] = { 1 };
	int fd;

	if (!own_tmpfs(f, "size=256k"))
		return false;
	snprintf(path, sizeof(path), "%s/filler", f->folder);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	for (long n = 0; n < 256 * 1024 - amount; n += (long)sizeof(block))
		if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
			break;
	close(fd);
	return av_temp_dir(f->av, f->folder) == MW_OK;
}

static bool want_inodes(struct fixture *f, long amount)
{
	char options[64];

	snprintf(options, sizeof(options), "size=1m,nr_inodes=%ld",
		1 + amount); /* the folder itself is one */
	return own_tmpfs(f, options) && av_temp_dir(f->av, f->folder) == MW_OK;
}

static bool want_permission(struct fixture *f, long amount)
{
	(void)amount;
	return chmod(f->folder, 0555) == 0 && (geteuid() != 0 || setuid(NOBODY) == 0) &&
	       av_temp_dir(f->av, f->folder) == MW_OK;
}

static bool want_folder(struct fixture *f, long amount)
{
	(void)amount;
	return av_temp_dir(f->av, "/nonexistent/folder") == MW_OK;
}

static bool want_descriptors(struct fixture *f, long amount)
{
	int next = open("/dev/null", O_RDONLY);
	struct rlimit l = { (rlim_t)(next + amount), (rlim_t)(next + amount) };

	close(next);
	return av_temp_dir(f->av, f->folder) == MW_OK && setrlimit(RLIMIT_NOFILE, &l) == 0;
}

static bool want_file_size(struct fixture *f, long amount)
{
	struct rlimit l = { (rlim_t)amount, (rlim_t)amount };

	signal(SIGXFSZ, SIG_IGN);
	return av_temp_dir(f->av, f->folder) == MW_OK && setrlimit(RLIMIT_FSIZE, &l) == 0;
}

static bool want_quota(struct fixture *f, long amount)
{
	f->conf.quota = (uint64_t)amount;
	return av_temp_dir(f->av, f->folder) == MW_OK;
}

static bool want_memory(struct fixture *f, long kib)
{
	long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");
	struct rlimit l;

	if (!OWN_ALLOCATOR || statm == NULL || fscanf(statm, "%ld", &pages) != 1)
		return false;
	fclose(statm);
	l.rlim_cur = l.rlim_max =
		(rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (rlim_t)kib * 1024;
	return av_temp_dir(f->av, f->folder) == MW_OK && setrlimit(RLIMIT_AS, &l) == 0;
}

/* One look in a child. A death is a death of the cage: not clean either. */
static int look(struct fixture *f, want *wanting, long amount, size_t how)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		close(STDERR_FILENO);
		_exit(wanting(f, amount) ? looks[how](f) : SKIPPED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	chmod(f->folder, 0777);
	return WIFEXITED(status) ? WEXITSTATUS(status) : NOT_WHOLE;
}

static void never_clean(struct fixture *f, want *wanting, long amount)
{
	for (size_t how = 0; how < MW_COUNT(looks); how++) {
		int end = look(f, wanting, amount, how);

		if (end == SKIPPED)
			skip();
		if (end != FOUND && end != NOT_WHOLE)
			fail_msg("with %ld left, look %zu: %s", amount, how,
				end <= SKIPPED ? words[end] : "?");
	}
}

/* ------------------------------------------------------------------ tests */

static void with_everything_there_the_virus_is_found_every_way(void **state)
{
	for (size_t how = 0; how < MW_COUNT(looks); how++)
		assert_int_equal(look(*state, want_nothing, 0, how), FOUND);
}

static void a_full_folder_is_never_clean(void **state)
{
	for (long left = 0; left <= 16384; left += 4096)
		never_clean(*state, want_room, left);
}

static void a_folder_without_inodes_is_never_clean(void **state)
{
	for (long left = 0; left <= 5; left++)
		never_clean(*state, want_inodes, left);
}

static void an_unwritable_folder_is_never_clean(void **state)
{
	never_clean(*state, want_permission, 0);
}

static void a_folder_that_is_gone_is_never_clean(void **state)
{
	never_clean(*state, want_folder, 0);
}

static void no_descriptors_left_is_never_clean(void **state)
{
	for (long left = 0; left <= 4; left++)
		never_clean(*state, want_descriptors, left);
}

static void files_at_their_size_limit_are_never_clean(void **state)
{
	for (long most = 0; most < 68; most += 4)
		never_clean(*state, want_file_size, most);
}

static void a_used_up_quota_is_never_clean(void **state)
{
	for (long most = 0; most < 68; most += 4)
		never_clean(*state, want_quota, most);
}

static void little_address_space_is_never_clean(void **state)
{
	if (!OWN_ALLOCATOR)
		skip();
	for (long kib = 0; kib <= 256; kib += 16)
		never_clean(*state, want_memory, kib);
	for (long kib = 256; kib <= 4096; kib += 128)
		never_clean(*state, want_memory, kib);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_everything_there_the_virus_is_found_every_way),
		cmocka_unit_test(a_full_folder_is_never_clean),
		cmocka_unit_test(a_folder_without_inodes_is_never_clean),
		cmocka_unit_test(an_unwritable_folder_is_never_clean),
		cmocka_unit_test(a_folder_that_is_gone_is_never_clean),
		cmocka_unit_test(no_descriptors_left_is_never_clean),
		cmocka_unit_test(files_at_their_size_limit_are_never_clean),
		cmocka_unit_test(a_used_up_quota_is_never_clean),
		cmocka_unit_test(little_address_space_is_never_clean),
	};

	return cmocka_run_group_tests_name("scarce", tests, open_fixture, close_fixture);
}
