/*
 * mwscan: one job of the cage without a cage around it: what a mail costs in time and memory, and
 * what is told of it. Each mail has a process of its own, forked with the engine loaded, as cages
 * are.
 *
 *   mwscan [--database FOLDER] [--temp-dir FOLDER] [--ms MILLISECONDS] [--times N]
 *          [--by-turns] [--digests] MAIL...
 *
 * A line of JSON for each mail. --times: each mail so often in the same process; the figures are of
 * one of them. --by-turns: one process does all mails one after the other, as a cage does, so
 * often; one line, of a mail's mean in the median and in the quickest round. --digests: parts are
 * told with theirs.
 */
#include <getopt.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <errno.h>
#include <unistd.h>

#include "bench.h"
#include "log.h"
#include "work.h"

static const char *database = "", *temp_dir = "/dev/shm";
static long milliseconds = 60000, times = 1;
static bool by_turns, digests;

/* The settings' defaults. */
static struct scan_conf conf = {
	.cages = 1,
	.memory = 1536u << 20,
	.quota = 512u << 20,
	.max_file = 400u << 20,
	.max_scan = 800u << 20,
	.engine_files = 10000,
	.engine_levels = 17,
	.mime_readings = 8,
	.passwords_max = 16,
	.budget = { 14, 1500, 102400, 314572800, 5, 500, 192u << 20 },
};

static struct mw_octets read_mail(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *p;

	if (fd < 0 || fstat(fd, &st) != 0)
		die("cannot read %s: %s", path, strerror(errno));
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		die("cannot map %s: %s", path, strerror(errno));
	close(fd);
	return mw_octets_of(p, (size_t)st.st_size);
}

/* A line of /proc/self/status, in KiB. */
static long status_kb(const char *name)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	long kb = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			kb = atol(line + strlen(name) + 1);
	if (f != NULL)
		fclose(f);
	return kb;
}

/* The words of one list of the findings, with spaces between them. */
static const char *words(struct mw_octets findings, const char *key, const char *field)
{
	static char out[1024];
	struct mw_cur c;
	size_t count, n = 0;

	out[0] = '\0';
	if (!mw_map_find(findings, key, &c) || !mw_cur_array(&c, &count))
		return out;
	while (count-- > 0) {
		struct mw_octets v;

		if (field != NULL) {
			if (!mw_cur_raw_map(&c, &v))
				break;
			v = mw_map_octets(v, field);
		} else if (!mw_cur_octets(&c, 1000, &v)) {
			break;
		}
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%.*s", n > 0 ? " " : "",
			(int)v.n, (const char *)v.p);
		if (n >= sizeof(out))
			break;
	}
	return out;
}

/* From now on the peak is this mail's. */
static void forget_peak(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "5", 1) != 1)
		die("cannot reset the peak of memory");
	close(fd);
}

static void tell(const char *path, struct mw_octets mail, struct work *w)
{
	const struct scan_order order = { .virus = true, .decode = true, .digests = digests };
	enum mw_status status = MW_DONE;
	char reason[MW_REASON_MAX];
	struct mw_pack b;
	uint64_t from = now_us(), cpu = cpu_us();
	struct mw_octets f;
	long before;
	bool worn;

	forget_peak();
	before = status_kb("VmRSS:");
	mw_pack_init(&b);
	for (long i = 0; i < times; i++) {
		b.n = 0;
		status = work_run(
			w, mail, &order, mw_mono_ms() + (uint64_t)milliseconds, &b, reason, &worn);
	}
	f = mw_octets_of(b.p, b.n);
	printf("{\"mail\":\"%s\",\"octets\":%zu,\"status\":\"%s\",\"reason\":\"%s\",\"limits\":\"%"
	       "s\",",
		path, mail.n, mw_status_name(status), reason, words(f, "limits", NULL));
	printf("\"viruses\":\"%s\",\"parts\":%lld,", words(f, "viruses", "name"),
		(long long)mw_map_int(f, "parts", 0));
	printf("\"errors\":\"%s\",", words(f, "mime_errors", NULL));
	printf("\"wall_us\":%.0f,\"cpu_us\":%.0f,\"decode_us\":%lld,\"virus_us\":%lld,\"peak_kb\":%"
	       "ld,\"own_kb\":%ld}\n",
		(double)(now_us() - from) / (double)times, (double)(cpu_us() - cpu) / (double)times,
		(long long)mw_map_int(f, "decode_us", 0), (long long)mw_map_int(f, "virus_us", 0),
		status_kb("VmHWM:"), status_kb("VmHWM:") - before);
	mw_pack_fini(&b);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* CPU us of a mail's mean in one round. */
static double one_round(struct work *w, const struct mw_octets *mails, int count, struct mw_pack *b)
{
	const struct scan_order order = { .virus = true, .decode = true, .digests = digests };
	char reason[MW_REASON_MAX];
	uint64_t from = cpu_us();
	bool worn;

	for (int i = 0; i < count; i++) {
		b->n = 0;
		work_run(w, mails[i], &order, mw_mono_ms() + (uint64_t)milliseconds, b, reason,
			&worn);
	}
	return (double)(cpu_us() - from) / (double)count;
}

static void all_by_turns(char **paths, int count, struct av *av)
{
	struct work *w = work_new(&conf, av, NULL);
	struct mw_octets *mails = need(calloc((size_t)count, sizeof(*mails)));
	double *rounds = need(calloc((size_t)times, sizeof(*rounds)));
	char folder[] = "/dev/shm/mwscan-XXXXXX";
	struct mw_pack b;

	if (w == NULL || mkdtemp(folder) == NULL || chdir(folder) != 0)
		die("no folder: %s", strerror(errno));
	av_temp_dir(av, ".");
	mw_pack_init(&b);
	for (int i = 0; i < count; i++)
		mails[i] = read_mail(paths[i]);
	one_round(w, mails, count, &b); /* warm */
	for (long i = 0; i < times; i++)
		rounds[i] = one_round(w, mails, count, &b);
	qsort(rounds, (size_t)times, sizeof(*rounds), by_size);
	printf("{\"mails\":%d,\"cpu_us\":%.1f,\"least_us\":%.1f}\n", count, rounds[times / 2],
		rounds[0]);
	mw_pack_fini(&b);
	free(rounds);
	free(mails);
	rmdir(folder);
}

static void in_a_process_of_its_own(const char *path, struct av *av)
{
	char folder[] = "/dev/shm/mwscan-XXXXXX";
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct work *w = work_new(&conf, av, NULL);
		struct mw_octets mail = read_mail(path);

		if (w == NULL || mkdtemp(folder) == NULL || chdir(folder) != 0)
			die("no folder: %s", strerror(errno));
		av_temp_dir(av, ".");
		tell(path, mail, w);
		fflush(stdout);
		rmdir(folder);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		die("%s: ended with status %d", path, status);
}

static void arguments(int argc, char **argv)
{
	static const struct option longs[] = { { "database", 1, NULL, 'd' },
		{ "temp-dir", 1, NULL, 't' }, { "ms", 1, NULL, 'm' }, { "times", 1, NULL, 'n' },
		{ "by-turns", 0, NULL, 'b' }, { "digests", 0, NULL, 's' }, { 0 } };
	int o;

	while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (o == 'd')
			database = optarg;
		else if (o == 't')
			temp_dir = optarg;
		else if (o == 'm')
			milliseconds = number("ms", optarg, 1, 3600000);
		else if (o == 'n')
			times = number("times", optarg, 1, 1000000);
		else if (o == 'b')
			by_turns = true;
		else if (o == 's')
			digests = true;
		else
			exit(2);
	}
	if (optind >= argc)
		die("usage: mwscan [--database FOLDER] [--temp-dir FOLDER] [--ms N] [--times N] "
		    "[--by-turns] [--digests] MAIL...");
}

int main(int argc, char **argv)
{
	struct av_conf av_conf = { .max_file = conf.max_file,
		.max_scan = conf.max_scan,
		.max_recursion = conf.engine_levels,
		.max_files = conf.engine_files };
	struct mw_err err = { "" };
	struct av *av = NULL;

	arguments(argc, argv);
	av_conf.database = database;
	av_conf.temp_dir = temp_dir;
	mw_log_open("mwscan", MW_ERROR);
	if (av_open(&av, &av_conf, &err) != MW_OK)
		die("%s", err.text);
	if (by_turns)
		all_by_turns(argv + optind, argc - optind, av);
	for (int i = optind; i < argc && !by_turns; i++)
		in_a_process_of_its_own(argv[i], av);
	av_close(&av);
	return 0;
}
