#include "scan_conf.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "log.h"
#include "sandbox.h"

#define CAGES_LEAST 2
#define CAGES_MOST 32

/* Those that this process may use. */
static uint64_t cores_now(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0
		       ? (uint64_t)CPU_COUNT(&set)
		       : 1;
}

static uint64_t cages_of(const struct mw_conf *conf, uint64_t cores)
{
	int64_t n = mw_conf_int(conf, "scanner.cages");

	if (n > 0)
		return (uint64_t)n;
	n = 2 * (int64_t)cores;
	return (uint64_t)(n < CAGES_LEAST ? CAGES_LEAST : n > CAGES_MOST ? CAGES_MOST : n);
}

/* mailweir-cage stands beside mailweir-scanner. */
static enum mw_rc program_of(
	char *path, size_t size, const struct mw_conf *conf, struct mw_err *err)
{
	const char *set = mw_conf_text(conf, "scanner.cage_program");
	char own[SCAN_PATH_MAX];
	ssize_t n;
	char *slash;

	if (set != NULL && set[0] != '\0') {
		mw_strlcpy(path, set, size);
		return MW_OK;
	}
	n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	if (n <= 0)
		return mw_fail(err, MW_ERR_CONF,
			"cannot tell where this program is: set scanner.cage_program");
	own[n] = '\0';
	slash = strrchr(own, '/');
	*(slash != NULL ? slash : own) = '\0';
	if (snprintf(path, size, "%s/mailweir-cage", own) >= (int)size)
		return mw_fail(err, MW_ERR_CONF,
			"the path of mailweir-cage is too long: set scanner.cage_program");
	return MW_OK;
}

static enum mw_rc texts_of(struct scan_conf *c, const struct mw_conf *conf, struct mw_err *err)
{
	const char *temp = mw_conf_text(conf, "scanner.temp_dir");
	const char *database = mw_conf_text(conf, "scanner.clamav_database");
	int n = temp != NULL && temp[0] != '\0'
			? snprintf(c->temp_dir, sizeof(c->temp_dir), "%s", temp)
			: snprintf(c->temp_dir, sizeof(c->temp_dir), "%s/cages",
				  mw_conf_text(conf, "pipeline.run_dir"));

	if (n >= (int)sizeof(c->temp_dir) || !mw_is_printable(c->temp_dir, strlen(c->temp_dir)))
		return mw_fail(err, MW_ERR_CONF,
			"scanner.temp_dir: must be printable ASCII, shorter than %zu octets",
			sizeof(c->temp_dir));
	mw_strlcpy(c->database, database != NULL ? database : "", sizeof(c->database));
	if (!mw_is_printable(c->database, strlen(c->database)))
		return mw_fail(
			err, MW_ERR_CONF, "scanner.clamav_database: must be printable ASCII");
	return MW_OK;
}

static enum mw_rc mode_of(struct scan_conf *c, const struct mw_conf *conf, struct mw_err *err)
{
	const char *word = mw_conf_text(conf, "scanner.clamav_scan");

	for (c->scan_mode = 0; c->scan_mode < SCAN_MODES; c->scan_mode++)
		if (strcmp(word, scan_mode_words[c->scan_mode]) == 0)
			return MW_OK;
	return mw_fail(err, MW_ERR_CONF,
		"scanner.clamav_scan: \"%s\" is none of both, leaves, message", word);
}

/* The passwords of the settings, each with its NUL. */
static enum mw_rc passwords_of(struct scan_conf *c, const struct mw_conf *conf, struct mw_err *err)
{
	const char *const *items;
	size_t count = mw_conf_list(conf, "scanner.archive_passwords", &items);

	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(items[i]) + 1;

		if (n > sizeof(c->passwords) - c->passwords_octets)
			return mw_fail(err, MW_ERR_CONF,
				"scanner.archive_passwords: more than %zu octets in all",
				sizeof(c->passwords));
		memcpy(c->passwords + c->passwords_octets, items[i], n);
		c->passwords_octets += n;
	}
	return MW_OK;
}

static const struct {
	const char *setting;
	size_t at;
} numbers[] = {
	{ "scanner.cage_memory", offsetof(struct scan_conf, memory) },
	{ "scanner.cage_mails", offsetof(struct scan_conf, mails) },
	{ "scanner.cage_files", offsetof(struct scan_conf, files) },
	{ "scanner.temp_file_size", offsetof(struct scan_conf, file_size) },
	{ "scanner.temp_quota", offsetof(struct scan_conf, quota) },
	{ "scanner.clamav_max_file", offsetof(struct scan_conf, max_file) },
	{ "scanner.clamav_max_scan", offsetof(struct scan_conf, max_scan) },
	{ "scanner.clamav_max_files", offsetof(struct scan_conf, engine_files) },
	{ "scanner.clamav_max_levels", offsetof(struct scan_conf, engine_levels) },
	{ "scanner.mime_readings", offsetof(struct scan_conf, mime_readings) },
	{ "scanner.passwords_max", offsetof(struct scan_conf, passwords_max) },
	{ "MAXLEVELS", offsetof(struct scan_conf, budget.max_levels) },
	{ "MAXFILES", offsetof(struct scan_conf, budget.max_files) },
	{ "MIN_EXPANSION_QUOTA", offsetof(struct scan_conf, budget.min_quota) },
	{ "MAX_EXPANSION_QUOTA", offsetof(struct scan_conf, budget.max_quota) },
	{ "MIN_EXPANSION_FACTOR", offsetof(struct scan_conf, budget.min_factor) },
	{ "MAX_EXPANSION_FACTOR", offsetof(struct scan_conf, budget.max_factor) },
	{ "scanner.unpack_memory", offsetof(struct scan_conf, budget.memory) },
};

enum mw_rc scan_settings_read(
	struct scan_settings *s_r, const struct mw_conf *conf, struct mw_err *err)
{
	struct scan_settings s = { 0 };
	enum mw_sandbox_mode mode;
	enum mw_rc rc = mw_sandbox_mode_of(mw_conf_text(conf, "sandbox"), &mode, err);

	if (rc != MW_OK)
		return rc;
	if (mode == MW_SANDBOX_STRICT && mw_landlock_abi() == 0)
		return mw_fail(err, MW_ERR_CONF,
			"this kernel has no Landlock: sandbox = \"best_effort\" goes on without");
	for (size_t i = 0; i < MW_COUNT(numbers); i++) {
		uint64_t n = (uint64_t)mw_conf_int(conf, numbers[i].setting);

		memcpy((char *)&s.cage + numbers[i].at, &n, sizeof(n));
	}
	s.scan_timeout_ms = (uint64_t)mw_conf_int(conf, "scanner.scan_timeout");
	s.cage_grace_ms = (uint64_t)mw_conf_int(conf, "scanner.cage_grace");
	s.engine_timeout_ms = (uint64_t)mw_conf_int(conf, "scanner.engine_timeout");
	s.check_interval_ms = (uint64_t)mw_conf_int(conf, "scanner.signature_check_interval");
	s.cores = cores_now();
	s.cage.cages = cages_of(conf, s.cores);
	s.cage.cpu_s = (s.scan_timeout_ms + s.cage_grace_ms) / 1000 + 1;
	s.cage.strict = mode == MW_SANDBOX_STRICT;
	s.cage.mail_parser = mw_conf_bool(conf, "scanner.clamav_mail_parser");
	s.cage.log_level = mw_log_wants(MW_DEBUG) ? MW_DEBUG : MW_INFO;
	rc = mode_of(&s.cage, conf, err);
	if (rc == MW_OK)
		rc = texts_of(&s.cage, conf, err);
	if (rc == MW_OK)
		rc = passwords_of(&s.cage, conf, err);
	if (rc == MW_OK)
		rc = program_of(s.program, sizeof(s.program), conf, err);
	if (rc == MW_OK)
		*s_r = s;
	return rc;
}
