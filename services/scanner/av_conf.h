/*
 * av_scanners and av_scanners_backup as they stand in the settings: who looks at a mail, and how it
 * is asked. docs/scanner-engines.md has the form.
 */
#ifndef SCAN_AV_CONF_H
#define SCAN_AV_CONF_H

#include "address.h"
#include "conf.h"
#include "pattern.h"
#include "text.h"

#define AVS_ENTRIES_MAX 16 /* of both lists together */
#define AVS_NAME_MAX 48
#define AVS_ARGUMENTS_MAX 32
#define AVS_CODES_MAX 16

enum avs_type {
	AVS_LIBCLAMAV, /* the engine in our own cages */
	AVS_CLAMD,
	AVS_ICAP,
	AVS_PROGRAM,
	AVS_TYPE_COUNT
};

/* What an exit code or the output must be. */
struct avs_test {
	bool set;
	unsigned count;
	int codes[AVS_CODES_MAX];
	struct mw_pattern *pattern; /* or this, on the output */
};

struct avs_entry {
	char name[AVS_NAME_MAX];
	enum avs_type type;
	bool backup;
	uint64_t timeout_ms; /* for one mail */
	unsigned slots;	     /* mails at once; more wait */
	unsigned retries;    /* when nobody listened, or the connection broke */
	struct address address;
	char host[200];	    /* as it stands in socket */
	bool by_descriptor; /* clamd: FILDES */
	bool reqmod;	    /* icap */
	char service[200];
	const char *program; /* borrowed from the settings, as the arguments */
	unsigned argument_count;
	const char *arguments[AVS_ARGUMENTS_MAX];
	unsigned read_count;
	const char
		*reads[AVS_ARGUMENTS_MAX]; /* folders that the program may read, beyond the usual */
	uint64_t memory;		   /* octets of address space; 0: unbounded */
	struct avs_test infected, clean;
	struct mw_pattern *names;
};

struct avs_conf {
	struct mw_conf *settings; /* kept, because texts are borrowed */
	unsigned count;
	struct avs_entry entries[AVS_ENTRIES_MAX]; /* primaries first */
	bool first_stops;			   /* first_infected_stops_scan */
	uint64_t test_interval_ms, retry_ms;
	char program[256], temp_dir[256]; /* mailweir-cage; where files for programs lie */
	uint64_t file_size, quota;	  /* octets of one file of a program, of all of them */
	bool strict;
};

/* err_r names entry and field. Fini also after a failure. */
enum mw_rc avs_conf_read(struct avs_conf *c_r, const struct mw_conf *conf, struct mw_err *err_r);
void avs_conf_fini(struct avs_conf *c);
/* Programs that are not there, a line each, for --check: they may be on another host. */
void avs_conf_warn(const struct avs_conf *c, struct mw_text *warnings);

#endif
