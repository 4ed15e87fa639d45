#include <clamav.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "av.h"
#include "later.h"
#include "log.h"
#include "scarcity.h"

struct av {
	struct cl_engine *engine;
	uint64_t signatures;
	struct av_room most, room; /* av_conf's; of the scan to come */
	struct av_room set;	   /* what the engine has been told */
	bool project, eicar;
	char text[96];
};

/* ------------------------------------------------------------------ what libclamav says while it
 * scans */

/* Every message counts: 2,600 intact files of Debian (archives, images, pages, programs) brought
 * not one. */
static struct {
	unsigned count;
	bool loading;
	char first[AV_WHY_MAX];
} said;

static void keep_printable(char *dst, size_t size, const char *src)
{
	size_t n = 0;

	for (; *src != '\0' && *src != '\n' && n < size - 1; src++)
		dst[n++] = *src >= 0x20 && *src < 0x7f ? *src : '?';
	dst[n] = '\0';
}

static void hear(enum cl_msg severity, const char *full, const char *text, void *context)
{
	(void)full;
	(void)context;
	if (said.loading && severity >= CL_MSG_WARN)
		mw_log(MW_WARN, "clamav_says", "text=%s", mw_quote(text));
	if (severity < CL_MSG_WARN)
		return;
	if (said.count++ == 0)
		keep_printable(said.first, sizeof(said.first), text);
}

/* ------------------------------------------------------------------ loading */

static const struct {
	enum cl_engine_field field;
	long long value;
} fixed_options[] = {
	{ CL_ENGINE_DISABLE_CACHE, 1 }, /* see av.h */
	{ CL_ENGINE_DISABLE_PE_STATS, 1 },
	{ CL_ENGINE_KEEPTMP, 0 },
	{ CL_ENGINE_FORCETODISK, 0 },
};

static enum mw_rc set_options(
	struct cl_engine *engine, const struct av_conf *conf, struct mw_err *err)
{
	int rc = CL_SUCCESS;

	for (size_t i = 0; i < MW_COUNT(fixed_options) && rc == CL_SUCCESS; i++)
		rc = cl_engine_set_num(engine, fixed_options[i].field, fixed_options[i].value);
	if (rc == CL_SUCCESS)
		rc = cl_engine_set_num(engine, CL_ENGINE_MAX_FILESIZE, (long long)conf->max_file);
	if (rc == CL_SUCCESS)
		rc = cl_engine_set_num(engine, CL_ENGINE_MAX_SCANSIZE, (long long)conf->max_scan);
	if (rc == CL_SUCCESS)
		rc = cl_engine_set_num(
			engine, CL_ENGINE_MAX_RECURSION, (long long)conf->max_recursion);
	if (rc == CL_SUCCESS)
		rc = cl_engine_set_num(engine, CL_ENGINE_MAX_FILES, (long long)conf->max_files);
	if (rc == CL_SUCCESS)
		rc = cl_engine_set_str(engine, CL_ENGINE_TMPDIR, conf->temp_dir);
	if (rc != CL_SUCCESS)
		return mw_fail(
			err, MW_ERR_CONF, "libclamav refuses an option: %s", cl_strerror(rc));
	return MW_OK;
}

/* True when the folder holds anything that libclamav would load. */
static bool has_database(const char *folder)
{
	DIR *d = folder[0] != '\0' ? opendir(folder) : NULL;
	struct dirent *e;
	unsigned n = 0;

	if (d == NULL)
		return false;
	while (n == 0 && (e = readdir(d)) != NULL) {
		const char *dot = strrchr(e->d_name, '.');

		n = e->d_name[0] != '.' && dot != NULL &&
		    strstr(".cvd.cld.cud.ndb.hdb.hsb.ldb.ndu.ldu.mdb.msb.hdu.db.yar.yara.", dot) !=
			    NULL;
	}
	closedir(d);
	return n != 0;
}

/* libclamav loads files by name only: the embedded signatures stand in the temporary folder for a
 * moment. */
static enum mw_rc load_project(
	struct av *av, const char *temp_dir, unsigned *count_r, struct mw_err *err)
{
	struct mw_octets o = av_project_signatures();
	char path[512];
	int fd, rc;

	snprintf(path, sizeof(path), "%s/mailweir-%d.ndb", temp_dir, (int)getpid());
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, o.p, o.n) != (ssize_t)o.n || close(fd) != 0)
		return mw_fail(err, MW_ERR_IO, "cannot write %s", path);
	rc = cl_load(path, av->engine, count_r, CL_DB_STDOPT);
	unlink(path);
	if (rc != CL_SUCCESS)
		return mw_fail(err, MW_ERR_CONF, "the project's signatures do not load: %s",
			cl_strerror(rc));
	av->project = true;
	return MW_OK;
}

static enum mw_rc load(struct av *av, const struct av_conf *conf, struct mw_err *err)
{
	unsigned count = 0;
	enum mw_rc rc = MW_OK;
	int cl;

	if (!has_database(conf->database)) {
		rc = load_project(av, conf->temp_dir, &count, err);
	} else {
		cl = cl_load(conf->database, av->engine, &count, CL_DB_STDOPT);
		if (cl != CL_SUCCESS)
			rc = mw_fail(err, MW_ERR_CONF,
				"signatures in %s do not load: %s (see scanner.clamav_database)",
				conf->database, cl_strerror((cl_error_t)cl));
	}
	if (rc != MW_OK)
		return rc;
	cl = cl_engine_compile(av->engine);
	if (cl != CL_SUCCESS)
		return mw_fail(err, MW_ERR_NOMEM, "signatures do not compile: %s",
			cl_strerror((cl_error_t)cl));
	av->signatures = count;
	return MW_OK;
}

static void describe(struct av *av)
{
	long long version = cl_engine_get_num(av->engine, CL_ENGINE_DB_VERSION, NULL);
	time_t made = (time_t)cl_engine_get_num(av->engine, CL_ENGINE_DB_TIME, NULL);
	struct tm tm;
	char day[16] = "";

	if (av->project) {
		snprintf(av->text, sizeof(av->text), "ClamAV %s, project signatures", cl_retver());
		return;
	}
	if (made > 0 && gmtime_r(&made, &tm) != NULL)
		strftime(day, sizeof(day), " %Y-%m-%d", &tm);
	snprintf(av->text, sizeof(av->text), "ClamAV %s/%lld%s", cl_retver(), version, day);
}

/* A database that does not know EICAR is none: a truncated download, or a folder with private
 * signatures only. */
static enum mw_rc self_test(struct av *av, struct mw_err *err)
{
	/* Put together here, so that this program is not taken for a virus itself. */
	static const char *const pieces[] = { "X5O!P%@AP[4\\PZX54(P^)7CC)7}$",
		"EICAR-STANDARD-ANTIVIRUS-", "TEST-FILE!$H+H*" };
	char eicar[80];
	struct av_result r;

	snprintf(eicar, sizeof(eicar), "%s%s%s", pieces[0], pieces[1], pieces[2]);
	av_scan(av, mw_octets_of(eicar, strlen(eicar)), false, UINT64_MAX, 10000, &r);
	av->eicar = r.end == AV_VIRUS;
	if (av->eicar)
		return MW_OK;
	if (r.end != AV_CLEAN)
		return mw_fail(err, MW_ERR_IO, "the engine does not work: %s", r.why);
	mw_log(MW_WARN, "clamav_without_eicar",
		"text=\"these signatures do not know the EICAR test file: is "
		"scanner.clamav_database complete?\"");
	return MW_OK;
}

enum mw_rc av_open(struct av **av_r, const struct av_conf *conf, struct mw_err *err)
{
	struct av *av = calloc(1, sizeof(*av));
	enum mw_rc rc;

	if (av == NULL)
		return mw_fail(err, MW_ERR_NOMEM, "no memory");
	av->most = (struct av_room){ conf->max_scan, conf->max_file, conf->max_files };
	av->room = av->set = av->most;
	said.loading = true;
	cl_set_clcb_msg(hear);
	av->engine = cl_init(CL_INIT_DEFAULT) == CL_SUCCESS ? cl_engine_new() : NULL;
	rc = av->engine != NULL ? set_options(av->engine, conf, err)
				: mw_fail(err, MW_ERR_NOMEM, "libclamav does not start");
	if (rc == MW_OK)
		rc = load(av, conf, err);
	if (rc == MW_OK) {
		describe(av);
		rc = self_test(av, err);
	}
	said.loading = false;
	if (rc != MW_OK)
		av_close(&av);
	*av_r = av;
	return rc;
}

void av_close(struct av **av_p)
{
	struct av *av = *av_p;

	*av_p = NULL;
	if (av == NULL)
		return;
	if (av->engine != NULL)
		cl_engine_free(av->engine);
	free(av);
}

enum mw_rc av_temp_dir(struct av *av, const char *path)
{
	return cl_engine_set_str(av->engine, CL_ENGINE_TMPDIR, path) == CL_SUCCESS ? MW_OK
										   : MW_ERR_NOMEM;
}

const char *av_engine(const struct av *av)
{
	return av->text;
}

uint64_t av_signatures(const struct av *av)
{
	return av->signatures;
}

bool av_knows_eicar(const struct av *av)
{
	return av->eicar;
}

bool av_is_project(const struct av *av)
{
	return av->project;
}

/* ------------------------------------------------------------------ scanning */

/* What found tells of one scan. */
struct hearing {
	struct av_result *r;
	bool exceeded; /* an engine limit: libclamav reports it as if it were a virus */
	bool time;
};

#define EXCEEDED "Heuristics.Limits.Exceeded"

static void take_name(struct hearing *h, const char *name)
{
	struct av_result *r = h->r;

	if (strncmp(name, EXCEEDED, sizeof(EXCEEDED) - 1) == 0) {
		h->exceeded = true;
		h->time = h->time || strstr(name, "MaxScanTime") != NULL;
		if (r->why[0] == '\0')
			keep_printable(r->why, sizeof(r->why), name);
		return;
	}
	for (unsigned i = 0; i < r->viruses; i++)
		if (strncmp(r->names[i], name, AV_NAME_MAX - 1) == 0)
			return;
	if (r->viruses < AV_VIRUSES_MAX)
		keep_printable(r->names[r->viruses++], AV_NAME_MAX, name);
}

static void found(int fd, const char *name, void *context)
{
	(void)fd;
	if (name != NULL && context != NULL)
		take_name(context, name);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The engine's limits count the octets that are given, too: they must not keep it from those. */
static void set_room(struct av *av, uint64_t n)
{
	struct av_room want = { .octets = least(av->most.octets,
					n + least(av->room.octets, UINT64_MAX - n)),
		.file = least(av->most.file, n > av->room.file ? n : av->room.file),
		.files = least(av->most.files, av->room.files > 0 ? av->room.files : 1) };

	if (want.octets != av->set.octets)
		cl_engine_set_num(av->engine, CL_ENGINE_MAX_SCANSIZE, (long long)want.octets);
	if (want.file != av->set.file)
		cl_engine_set_num(av->engine, CL_ENGINE_MAX_FILESIZE, (long long)want.file);
	if (want.files != av->set.files)
		cl_engine_set_num(av->engine, CL_ENGINE_MAX_FILES, (long long)want.files);
	av->set = want;
}

void av_allow(struct av *av, const struct av_room *room)
{
	av->room = *room;
}

static cl_error_t call(struct av *av, struct mw_octets octets, bool mail, struct hearing *h)
{
	struct cl_scan_options options = {
		.general = CL_SCAN_GENERAL_HEURISTICS,
		.parse = ~(uint32_t)CL_SCAN_PARSE_MAIL | (mail ? CL_SCAN_PARSE_MAIL : 0),
		.heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX,
	};
	const char *name = NULL;
	unsigned long scanned = 0;
	cl_fmap_t *map = cl_fmap_open_memory(octets.p, octets.n);
	cl_error_t rc;

	if (map == NULL)
		return CL_EMEM;
	later_begin();
	rc = cl_scanmap_callback(map, NULL, &name, &scanned, av->engine, &options, h);
	scanned *= CL_COUNT_PRECISION;
	h->r->unpacked = scanned > octets.n ? scanned - octets.n : 0;
	if (rc == CL_VIRUS && name != NULL)
		take_name(h, name);
	later_end();
	cl_fmap_close(map);
	return rc;
}

/* The one place that decides what a scan was worth. */
static void judge(struct av_result *r, const struct hearing *h, cl_error_t rc)
{
	const struct scarcity *s = scarcity_now();
	const char *want = scarcity_word(s);

	r->worn = want != NULL || said.count > 0 || (rc != CL_CLEAN && rc != CL_VIRUS);
	r->end = AV_CLEAN;
	if (s->memory + s->files + s->room != 0) {
		r->end = AV_FAILED;
		mw_strlcpy(r->why, want, sizeof(r->why));
	} else if (rc != CL_CLEAN && rc != CL_VIRUS && s->limit != 0) {
		r->end = AV_LIMIT; /* libclamav gives up where its folder may not grow */
		mw_strlcpy(r->why, want, sizeof(r->why));
	} else if (rc != CL_CLEAN && rc != CL_VIRUS) {
		r->end = rc == CL_ETIMEOUT ? AV_TIME : AV_FAILED;
		keep_printable(r->why, sizeof(r->why), cl_strerror(rc));
	} else if (s->limit != 0 || said.count > 0) {
		r->end = AV_LIMIT;
		mw_strlcpy(r->why, said.count > 0 ? said.first : want, sizeof(r->why));
	} else if (h->exceeded) {
		r->end = h->time ? AV_TIME : AV_LIMIT;
	}
	r->whole = r->end == AV_CLEAN;
	if (r->viruses > 0)
		r->end = AV_VIRUS;
}

void av_scan(struct av *av, struct mw_octets octets, bool mail, uint64_t quota, uint64_t ms_left,
	struct av_result *r)
{
	struct hearing h = { .r = r };
	cl_error_t rc;

	r->end = AV_CLEAN;
	r->viruses = 0;
	r->unpacked = 0;
	r->why[0] = '\0';
	if (octets.n == 0) { /* libclamav refuses an empty map; there is nothing in it */
		r->whole = true;
		r->worn = false;
		return;
	}
	said.count = 0;
	said.first[0] = '\0';
	cl_engine_set_num(
		av->engine, CL_ENGINE_MAX_SCANTIME, (long long)(ms_left > 0 ? ms_left : 1));
	set_room(av, octets.n);
	cl_engine_set_clcb_virus_found(av->engine, found);
	scarcity_begin(quota);
	rc = call(av, octets, mail, &h);
	judge(r, &h, rc);
	scarcity_begin(UINT64_MAX);
}
