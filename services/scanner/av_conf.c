#include "av_conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cage/program_proto.h"
#include "scan_conf.h"

#define TIMEOUT_MS 30000 /* of one mail at one engine, unless the entry says something else */
#define TIMEOUT_MOST_MS 3600000
#define SLOTS 8
#define SLOTS_MOST 256
#define RETRIES 1
#define RETRIES_MOST 10
#define MEMORY_MOST (1ll << 40)

static const char *const type_names[AVS_TYPE_COUNT] = {
	[AVS_LIBCLAMAV] = "libclamav",
	[AVS_CLAMD] = "clamd",
	[AVS_ICAP] = "icap",
	[AVS_PROGRAM] = "program",
};

/* One entry being read; `place` is "av_scanners[2]". */
struct reading {
	struct avs_entry *e;
	const struct mw_val *v;
	char place[40];
	struct mw_err *err;
};

static enum mw_rc wrong(const struct reading *r, const char *field, const char *what)
{
	return mw_fail(r->err, MW_ERR_CONF, "%s%s%s: %s (docs/scanner-engines.md)", r->place,
		field[0] != '\0' ? "." : "", field, what);
}

/* ------------------------------------------------------------------ fields */

static enum mw_rc read_address(struct reading *r)
{
	const char *text = mw_val_text(mw_val_field(r->v, "socket"), NULL);
	char setting[64];

	if (text == NULL)
		return wrong(r, "socket", "missing: \"/path\" or \"ADDRESS:PORT\"");
	if (mw_strlcpy(r->e->host, text, sizeof(r->e->host)) >= sizeof(r->e->host) ||
		!mw_is_printable(text, strlen(text)))
		return wrong(r, "socket", "too long");
	snprintf(setting, sizeof(setting), "%s.socket", r->place);
	return address_parse(&r->e->address, text, setting, r->err);
}

/* One of two words; *second_r: it is the second. */
static enum mw_rc read_mode(
	struct reading *r, const char *first, const char *second, bool *second_r)
{
	const char *text = mw_val_text(mw_val_field(r->v, "mode"), first);
	char what[80];

	*second_r = strcmp(text, second) == 0;
	if (*second_r || strcmp(text, first) == 0)
		return MW_OK;
	snprintf(what, sizeof(what), "must be \"%s\" or \"%s\"", first, second);
	return wrong(r, "mode", what);
}

static enum mw_rc read_number(struct reading *r, const char *field, int64_t dflt, int64_t least,
	int64_t most, int64_t *v_r)
{
	const struct mw_val *v = mw_val_field(r->v, field);
	char what[80];

	/* What is no whole number is out of every range. */
	*v_r = v == NULL || v->tag == MW_V_NIL ? dflt : mw_val_int(v, INT64_MIN);
	if (*v_r >= least && *v_r <= most)
		return MW_OK;
	snprintf(what, sizeof(what), "must be a whole number, %lld to %lld", (long long)least,
		(long long)most);
	return wrong(r, field, what);
}

static enum mw_rc read_texts(struct reading *r, const char *field, unsigned *count_r,
	const char *texts[AVS_ARGUMENTS_MAX])
{
	const struct mw_val *v = mw_val_field(r->v, field);

	*count_r = 0;
	if (v == NULL || v->tag == MW_V_NIL)
		return MW_OK;
	if (v->tag != MW_V_TABLE || !v->is_array || v->count > AVS_ARGUMENTS_MAX)
		return wrong(r, field, "must be a list of at most 32 texts");
	for (size_t i = 0; i < v->count; i++) {
		texts[i] = mw_val_text(&v->vals[i], NULL);
		if (texts[i] == NULL)
			return wrong(r, field, "must be a list of texts");
	}
	*count_r = (unsigned)v->count;
	return MW_OK;
}

static enum mw_rc read_pattern(
	struct reading *r, const char *field, const char *text, struct mw_pattern **pattern_r)
{
	struct mw_err why = { "" };

	return mw_pattern_new(text, pattern_r, &why) == MW_OK ? MW_OK : wrong(r, field, why.text);
}

/* A list of exit codes, or a pattern on the output. */
static enum mw_rc read_test(struct reading *r, const char *field, struct avs_test *t)
{
	const struct mw_val *v = mw_val_field(r->v, field);

	if (v == NULL || v->tag == MW_V_NIL)
		return MW_OK;
	t->set = true;
	if (v->tag == MW_V_STR)
		return read_pattern(r, field, v->str, &t->pattern);
	if (v->tag != MW_V_TABLE || !v->is_array || v->count > AVS_CODES_MAX || v->count == 0)
		return wrong(r, field, "must be a list of exit codes, or a pattern");
	for (size_t i = 0; i < v->count; i++) {
		int64_t code = mw_val_int(&v->vals[i], -1);

		if (code < 0 || code > 255)
			return wrong(r, field, "exit codes are 0 to 255");
		t->codes[t->count++] = (int)code;
	}
	return MW_OK;
}

static enum mw_rc read_program(struct reading *r)
{
	const char *names = mw_val_text(mw_val_field(r->v, "names"), NULL);
	struct avs_entry *e = r->e;
	int64_t memory = 0;
	bool files = false;
	enum mw_rc rc;

	e->program = mw_val_text(mw_val_field(r->v, "program"), NULL);
	if (e->program == NULL || e->program[0] != '/' || strlen(e->program) >= 200)
		return wrong(r, "program", "must be the path of a program");
	rc = read_number(r, "memory", 0, 0, MEMORY_MOST, &memory);
	e->memory = (uint64_t)memory;
	if (rc == MW_OK)
		rc = read_texts(r, "arguments", &e->argument_count, e->arguments);
	for (unsigned i = 0; i < e->argument_count && rc == MW_OK; i++)
		files = files || strstr(e->arguments[i], "{}") != NULL;
	for (unsigned i = 0; i < e->argument_count && rc == MW_OK; i++)
		if (strlen(e->arguments[i]) > PROGRAM_ARGUMENT_MAX)
			rc = wrong(r, "arguments", "one is longer than 1,024 octets");
	if (rc == MW_OK && !files)
		return wrong(r, "arguments",
			"one must be \"{}\" (the folder of files) or \"{}/*\" (their names)");
	if (rc == MW_OK)
		rc = read_texts(r, "reads", &e->read_count, e->reads);
	if (rc == MW_OK)
		rc = read_test(r, "infected", &e->infected);
	if (rc == MW_OK)
		rc = read_test(r, "clean", &e->clean);
	if (rc == MW_OK && !e->infected.set)
		return wrong(r, "infected", "missing: what an infected file looks like");
	if (rc == MW_OK && names != NULL)
		rc = read_pattern(r, "names", names, &e->names);
	return rc;
}

static enum mw_rc read_by_type(struct reading *r)
{
	const char *service = mw_val_text(mw_val_field(r->v, "service"), NULL);
	enum mw_rc rc;

	switch (r->e->type) {
	case AVS_CLAMD:
		rc = read_mode(r, "instream", "fildes", &r->e->by_descriptor);
		if (rc == MW_OK)
			rc = read_address(r);
		if (rc == MW_OK && r->e->by_descriptor && r->e->host[0] != '/')
			rc = wrong(r, "mode", "descriptors travel over a socket's path alone");
		return rc;
	case AVS_ICAP:
		if (service == NULL || strpbrk(service, " \r\n\t") != NULL ||
			!mw_is_printable(service, strlen(service)) ||
			mw_strlcpy(r->e->service, service, sizeof(r->e->service)) >=
				sizeof(r->e->service))
			return wrong(r, "service", "must be the name of a service, as \"avscan\"");
		rc = read_mode(r, "respmod", "reqmod", &r->e->reqmod);
		return rc == MW_OK ? read_address(r) : rc;
	case AVS_PROGRAM:
		return read_program(r);
	default:
		return MW_OK;
	}
}

/* ------------------------------------------------------------------ one entry */

/* Every field that any type has; a misspelt one must not be taken for one that was left out. */
static bool is_field(const char *key)
{
	static const char *const fields[] = { "name", "type", "socket", "mode", "service",
		"timeout", "slots", "retries", "program", "arguments", "reads", "memory",
		"infected", "clean", "names" };

	for (size_t i = 0; i < MW_COUNT(fields); i++)
		if (strcmp(fields[i], key) == 0)
			return true;
	return false;
}

static enum mw_rc read_type(struct reading *r, const char *text)
{
	for (unsigned i = 0; text != NULL && i < AVS_TYPE_COUNT; i++)
		if (strcmp(text, type_names[i]) == 0) {
			r->e->type = (enum avs_type)i;
			return MW_OK;
		}
	return wrong(r, r->v->tag == MW_V_TABLE ? "type" : "",
		"must be \"libclamav\", \"clamd\", \"icap\" or \"program\"");
}

static enum mw_rc read_entry(struct reading *r)
{
	const struct mw_val *v = r->v;
	const char *type, *name;
	int64_t timeout = TIMEOUT_MS, slots = SLOTS, retries = RETRIES;
	enum mw_rc rc;

	if (v->tag != MW_V_STR && (v->tag != MW_V_TABLE || v->is_array))
		return wrong(r, "", "must be a table, or \"libclamav\"");
	for (size_t i = 0; v->tag == MW_V_TABLE && i < v->count; i++)
		if (!is_field(v->keys[i]))
			return wrong(r, v->keys[i], "there is no such field");
	type = v->tag == MW_V_STR ? v->str : mw_val_text(mw_val_field(v, "type"), NULL);
	rc = read_type(r, type);
	if (rc != MW_OK)
		return rc;
	if (v->tag == MW_V_STR && r->e->type != AVS_LIBCLAMAV)
		return wrong(r, "", "must be a table with the fields of its type");
	name = r->e->type == AVS_LIBCLAMAV ? "ClamAV" : type;
	if (v->tag == MW_V_TABLE) {
		name = mw_val_text(mw_val_field(v, "name"), name);
		rc = read_number(r, "timeout", TIMEOUT_MS, 100, TIMEOUT_MOST_MS, &timeout);
		if (rc == MW_OK)
			rc = read_number(r, "slots", SLOTS, 1, SLOTS_MOST, &slots);
		if (rc == MW_OK)
			rc = read_number(r, "retries", RETRIES, 0, RETRIES_MOST, &retries);
	}
	if (rc != MW_OK)
		return rc;
	if (r->e->type == AVS_LIBCLAMAV && strcmp(name, "ClamAV") != 0)
		return wrong(r, "name", "libclamav's is ClamAV");
	if (name[0] == '\0' || !mw_is_printable(name, strlen(name)) ||
		mw_strlcpy(r->e->name, name, sizeof(r->e->name)) >= sizeof(r->e->name))
		return wrong(r, "name", "must be printable ASCII, at most 47 octets");
	r->e->timeout_ms = (uint64_t)timeout;
	r->e->slots = (unsigned)slots;
	r->e->retries = (unsigned)retries;
	return read_by_type(r);
}

/* ------------------------------------------------------------------ the lists */

static enum mw_rc check_name(const struct avs_conf *c, struct reading *r)
{
	for (unsigned i = 0; i < c->count; i++) {
		if (strcmp(c->entries[i].name, r->e->name) == 0)
			return wrong(r, "name", "is another entry's name too");
		if (r->e->type == AVS_LIBCLAMAV && c->entries[i].type == AVS_LIBCLAMAV)
			return wrong(r, "", "libclamav is there already");
	}
	return MW_OK;
}

static enum mw_rc read_list(
	struct avs_conf *c, const char *setting, bool backup, struct mw_err *err)
{
	const struct mw_val *list = mw_conf_val(c->settings, setting);

	if (list->tag == MW_V_NIL || (list->tag == MW_V_TABLE && list->count == 0))
		return MW_OK;
	if (list->tag != MW_V_TABLE || !list->is_array)
		return mw_fail(err, MW_ERR_CONF, "%s: must be a list of scanners", setting);
	for (size_t i = 0; i < list->count; i++) {
		struct reading r = { &c->entries[c->count], &list->vals[i], "", err };
		enum mw_rc rc;

		if (c->count == AVS_ENTRIES_MAX)
			return mw_fail(err, MW_ERR_CONF, "%s: more than %d scanners", setting,
				AVS_ENTRIES_MAX);
		snprintf(r.place, sizeof(r.place), "%s[%zu]", setting, i + 1);
		r.e->backup = backup;
		rc = read_entry(&r);
		if (rc == MW_OK)
			rc = check_name(c, &r);
		c->count++; /* what it holds is let go of with the others */
		if (rc != MW_OK)
			return rc;
	}
	return MW_OK;
}

enum mw_rc avs_conf_read(struct avs_conf *c, const struct mw_conf *conf, struct mw_err *err)
{
	struct scan_settings s;
	enum mw_rc rc;

	*c = (struct avs_conf){ .settings = mw_conf_ref(conf),
		.first_stops = mw_conf_bool(conf, "first_infected_stops_scan"),
		.test_interval_ms = (uint64_t)mw_conf_int(conf, "scanner.self_test_interval"),
		.retry_ms = (uint64_t)mw_conf_int(conf, "scanner.av_retry_interval") };
	rc = scan_settings_read(&s, conf, err);
	if (rc == MW_OK) {
		mw_strlcpy(c->program, s.program, sizeof(c->program));
		mw_strlcpy(c->temp_dir, s.cage.temp_dir, sizeof(c->temp_dir));
		c->file_size = s.cage.file_size;
		c->quota = s.cage.quota;
		c->strict = s.cage.strict;
		rc = read_list(c, "av_scanners", false, err);
	}
	if (rc == MW_OK)
		rc = read_list(c, "av_scanners_backup", true, err);
	if (rc == MW_OK && c->count == 0)
		rc = mw_fail(err, MW_ERR_CONF,
			"av_scanners and av_scanners_backup are empty: mail without a virus check "
			"is "
			"bypass_virus_checks_maps = { true }");
	return rc;
}

void avs_conf_warn(const struct avs_conf *c, struct mw_text *warnings)
{
	for (unsigned i = 0; i < c->count; i++) {
		const struct avs_entry *e = &c->entries[i];

		if (e->type == AVS_PROGRAM && access(e->program, X_OK) != 0)
			mw_text_addf(warnings, "%s: scanner \"%s\": %s: %s\n",
				e->backup ? "av_scanners_backup" : "av_scanners", e->name,
				e->program, strerror(errno));
	}
}

static void test_fini(struct avs_test *t)
{
	mw_pattern_destroy(&t->pattern);
}

void avs_conf_fini(struct avs_conf *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		test_fini(&c->entries[i].infected);
		test_fini(&c->entries[i].clean);
		mw_pattern_destroy(&c->entries[i].names);
	}
	mw_conf_destroy(&c->settings);
	*c = (struct avs_conf){ 0 };
}
