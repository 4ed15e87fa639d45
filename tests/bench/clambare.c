/*
 * clambare: libclamav in a bare loop, as the yardstick of the scanner: the octets, signatures and
 * options that the cage gives to the engine, and nothing else: no process, no socket, no message.
 *
 *   clambare [--database FOLDER] [--temp-dir FOLDER] [--seconds S] [--mail] SET
 *
 * SET has a folder for each mail: 000 is the whole mail, 001 and on are its decoded parts. --mail:
 * the engine's own mail parser looks at 000, too. Without a database: the project's signature
 * (EICAR), as in the cage.
 */
#include <clamav.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bench.h"

/* The engine limits that are the scanner's defaults. */
#define MAX_FILE (400ll << 20)
#define MAX_SCAN (800ll << 20)
#define MAX_RECURSION 17
#define MAX_FILES 10000
#define PARTS_MAX 200000

static const char project_signature[] =
	"Eicar-Test-Signature:0:*:"
	"58354f2150254041505b345c505a58353428505e2937434329377d2445494341"
	"522d5354414e444152442d414e544956495255532d544553542d46494c452124"
	"482b482a\n";

struct octets {
	char *p;
	size_t n;
	bool whole; /* the mail itself, not a part */
};

static struct octets parts[PARTS_MAX];
static size_t part_count, mail_count;
static const char *database, *temp_dir = "/tmp";
static long seconds = 2;
static bool mail_parser;

static void read_part(const char *path, bool whole)
{
	struct octets *o = &parts[part_count];
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) != 0)
		die("cannot read %s: %s", path, strerror(errno));
	o->n = (size_t)st.st_size;
	o->p = need(malloc(o->n + 1));
	o->whole = whole;
	if (read(fd, o->p, o->n) != (ssize_t)o->n)
		die("cannot read %s whole", path);
	close(fd);
	if (o->n != 0) /* libclamav refuses an empty map */
		part_count++;
}

static int visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void read_mail(const char *folder)
{
	struct dirent **names = NULL;
	char path[8192];
	int n = scandir(folder, &names, visible, alphasort);

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%.4000s/%s", folder, names[i]->d_name);
		if (part_count < PARTS_MAX)
			read_part(path, strcmp(names[i]->d_name, "000") == 0);
		free(names[i]);
	}
	free(names);
	mail_count++;
}

static void read_set(const char *folder)
{
	struct dirent **names = NULL;
	char path[8192];
	int n = scandir(folder, &names, visible, alphasort);

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		read_mail(path);
		free(names[i]);
	}
	free(names);
	if (mail_count == 0)
		die("no mails in %s", folder);
}

static unsigned load(struct cl_engine *engine)
{
	char path[] = "/tmp/clambare-XXXXXX.ndb";
	unsigned count = 0;
	int fd, rc;

	if (database != NULL) {
		rc = cl_load(database, engine, &count, CL_DB_STDOPT);
	} else {
		fd = mkstemps(path, 4);
		if (fd < 0 || write(fd, project_signature, sizeof(project_signature) - 1) < 0)
			die("cannot write %s: %s", path, strerror(errno));
		close(fd);
		rc = cl_load(path, engine, &count, CL_DB_STDOPT);
		unlink(path);
	}
	if (rc != CL_SUCCESS || (rc = cl_engine_compile(engine)) != CL_SUCCESS)
		die("signatures do not load: %s", cl_strerror((cl_error_t)rc));
	return count;
}

static struct cl_engine *engine_new(void)
{
	struct cl_engine *engine = cl_init(CL_INIT_DEFAULT) == CL_SUCCESS ? cl_engine_new() : NULL;

	if (engine == NULL)
		die("libclamav does not start");
	cl_engine_set_str(engine, CL_ENGINE_TMPDIR, temp_dir);
	cl_engine_set_num(engine, CL_ENGINE_DISABLE_CACHE, 1);
	cl_engine_set_num(engine, CL_ENGINE_DISABLE_PE_STATS, 1);
	cl_engine_set_num(engine, CL_ENGINE_MAX_FILESIZE, MAX_FILE);
	cl_engine_set_num(engine, CL_ENGINE_MAX_SCANSIZE, MAX_SCAN);
	cl_engine_set_num(engine, CL_ENGINE_MAX_RECURSION, MAX_RECURSION);
	cl_engine_set_num(engine, CL_ENGINE_MAX_FILES, MAX_FILES);
	return engine;
}

static void scan(struct cl_engine *engine, const struct octets *o)
{
	struct cl_scan_options options = {
		.general = CL_SCAN_GENERAL_HEURISTICS,
		.parse = ~(uint32_t)CL_SCAN_PARSE_MAIL,
		.heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX,
	};
	const char *name = NULL;
	unsigned long scanned = 0;
	cl_fmap_t *map = cl_fmap_open_memory(o->p, o->n);

	if (map == NULL)
		die("out of memory");
	if (mail_parser && o->whole)
		options.parse |= CL_SCAN_PARSE_MAIL;
	cl_engine_set_num(engine, CL_ENGINE_MAX_SCANTIME, 120000);
	cl_scanmap_callback(map, NULL, &name, &scanned, engine, &options, NULL);
	cl_fmap_close(map);
}

static void arguments(int argc, char **argv)
{
	static const struct option longs[] = { { "database", 1, NULL, 'd' },
		{ "seconds", 1, NULL, 's' }, { "mail", 0, NULL, 'm' }, { "temp-dir", 1, NULL, 't' },
		{ 0 } };
	int o;

	while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (o == 'd')
			database = optarg;
		else if (o == 't')
			temp_dir = optarg;
		else if (o == 's')
			seconds = number("seconds", optarg, 1, 600);
		else if (o == 'm')
			mail_parser = true;
		else
			exit(2);
	}
	if (optind != argc - 1)
		die("usage: clambare [--database FOLDER] [--temp-dir FOLDER] [--seconds S] "
		    "[--mail] SET");
}

int main(int argc, char **argv)
{
	struct cl_engine *engine;
	unsigned signatures;
	uint64_t begun, cpu;
	unsigned rounds = 0;

	arguments(argc, argv);
	read_set(argv[optind]);
	engine = engine_new();
	signatures = load(engine);
	for (size_t i = 0; i < part_count && i < 200; i++)
		scan(engine, &parts[i]); /* warm */
	begun = now_us();
	cpu = cpu_us();
	do {
		for (size_t i = 0; i < part_count; i++)
			scan(engine, &parts[i]);
		rounds++;
	} while (now_us() - begun < (uint64_t)seconds * 1000000);
	printf("{\"mails\":%zu,\"parts\":%.2f,\"signatures\":%u,\"cpu_us\":%.1f,\"wall_us\":%.1f}"
	       "\n",
		mail_count, (double)part_count / (double)mail_count, signatures,
		(double)(cpu_us() - cpu) / rounds / (double)mail_count,
		(double)(now_us() - begun) / rounds / (double)mail_count);
	cl_engine_free(engine);
	return 0;
}
