/* mailweir check-config: settings files are right, or this is all that is wrong with them. */
#include <stdio.h>
#include <stdlib.h>
#include "guard.h"
#include "lookup.h"
#include "settings_check.h"
#include "tools.h"

/* Tables are compiled as the front compiles them, their files are read; and what else it would
 * refuse. */
static bool tables_are_right(const struct mw_conf *conf)
{
	struct mw_text errors = { 0 };
	bool right = mw_lookup_check_all(conf, &errors) + mw_settings_check(conf, &errors) == 0;

	if (!right)
		fputs(errors.p != NULL ? errors.p : "out of memory\n", stderr);
	mw_text_fini(&errors);
	return right;
}

/* Could the services' user write them? user NULL: the one they will have, and then it is a warning,
 * because they may be started as somebody else. False: after telling errors. */
static bool check_user(const struct mw_conf *conf, const char *user)
{
	const char *daemon_user = mw_conf_text(conf, "daemon_user");
	const char *name = user != NULL		 ? user
			   : daemon_user != NULL ? daemon_user
						 : MW_DEFAULT_USER;
	struct mw_text complaints = { 0 };
	struct mw_guard_user who;
	struct mw_err err = { "" };
	char *save = NULL;
	bool safe;

	if (mw_guard_user_named(&who, name, &err) != MW_OK) {
		if (user != NULL || daemon_user != NULL)
			fprintf(stderr, "%s%s\n", user == NULL ? "warning: " : "", err.text);
		return user == NULL;
	}
	safe = mw_guard_conf(conf, &who, &complaints) == MW_OK;
	for (char *line = complaints.p != NULL ? strtok_r(complaints.p, "\n", &save) : NULL;
		line != NULL; line = strtok_r(NULL, "\n", &save))
		fprintf(stderr, "%s%s\n", user == NULL ? "warning: " : "", line);
	mw_text_fini(&complaints);
	return user == NULL || safe;
}

struct mw_conf *mw_tool_checked(struct mw_conf_given *given, const char *user, bool services)
{
	struct mw_text files = { 0 };
	struct mw_conf *conf = mw_tool_conf(given);

	if (conf == NULL || !tables_are_right(conf) || !check_user(conf, user) ||
		(services && !mw_tool_services_agree(given))) {
		mw_conf_destroy(&conf);
		return NULL;
	}
	mw_conf_print_files(&files, conf);
	printf("settings ok: %s\n", files.p != NULL ? files.p : "");
	fflush(stdout);
	mw_text_fini(&files);
	return conf;
}

int mw_tool_check_config(int argc, char **argv)
{
	struct mw_conf_given given = { 0 };
	const char *user = NULL;
	struct mw_conf *conf;
	bool services = true, ok;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--user") == 0 && i + 1 < argc) {
			user = argv[++i];
		} else if (strcmp(argv[i], "--elsewhere") == 0) {
			services = false; /* files that the settings name are on another host */
		} else if (argv[i][0] == '-') {
			mw_tool_usage("check-config [--user NAME] [--elsewhere] [FILE...]");
			return MW_TOOL_USAGE;
		} else if (!mw_tool_give(&given, argv[i])) {
			return MW_TOOL_USAGE;
		}
	}
	conf = mw_tool_checked(&given, user, services);
	ok = conf != NULL;
	mw_conf_destroy(&conf);
	return ok ? MW_TOOL_OK : MW_TOOL_CONFIG;
}
