/* What a service alone knows is asked from it: its program stands beside this one. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "explain_record.h"

#define FRONT "mailweir-smtp-front"
#define SCANNER "mailweir-scanner"

/* False: its path is too long, or /proc is not there. */
static bool service_path(char *path, size_t size, const char *program)
{
	char own[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	if (n <= 0)
		return false;
	own[n] = '\0';
	slash = strrchr(own, '/');
	if (slash == NULL)
		return false;
	*slash = '\0';
	return snprintf(path, size, "%s/%s", own, program) < (int)size;
}

/* MAIL_ID [--json] [-c FILE]...: of a mail that was; anything else is about one that may be. */
static bool asks_of_a_mail(
	int argc, char **argv, const char **id_r, bool *json_r, struct mw_conf_given *given)
{
	*id_r = NULL;
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--json") == 0)
			*json_r = true;
		else if (strcmp(argv[i], "-c") == 0 && i + 1 < argc)
			(void)mw_tool_give(given, argv[++i]);
		else if (strncmp(argv[i], "--", 2) == 0 || *id_r != NULL)
			return false;
		else
			*id_r = argv[i];
	return *id_r != NULL;
}

static int explain_mail(const char *id, bool json, struct mw_conf_given *given)
{
	struct mw_conf *conf = mw_tool_conf(given);
	int code = conf != NULL ? explain_record(conf, id, json) : MW_TOOL_CONFIG;

	mw_conf_destroy(&conf);
	return code;
}

int mw_tool_explain(int argc, char **argv)
{
	struct mw_conf_given given = { 0 };
	bool json = false;
	const char *id;

	char path[PATH_MAX];
	char **args;

	if (asks_of_a_mail(argc, argv, &id, &json, &given))
		return explain_mail(id, json, &given);
	args = calloc((size_t)argc + 2, sizeof(*args));
	if (args == NULL || !service_path(path, sizeof(path), FRONT))
		return MW_TOOL_FAILED;
	args[0] = (char *)FRONT;
	args[1] = (char *)"--explain";
	memcpy(args + 2, argv + 1, (size_t)(argc - 1) * sizeof(*args));
	execv(path, args);
	fprintf(stderr, "mailweir: %s: %s; explain asks smtp-front, where it is installed\n", path,
		strerror(errno));
	free(args);
	return MW_TOOL_FAILED;
}

/* Run it with these words and the files as they were given; what it prints goes to stderr. */
static void run_service(
	const char *path, const char *const *words, const struct mw_conf_given *given)
{
	char *args[2 * MW_CONF_GIVEN_MAX + 4];
	size_t n = 0;

	for (; words[n] != NULL; n++)
		args[n] = (char *)(uintptr_t)words[n];
	for (size_t i = 0; i < given->count; i++) {
		args[n++] = (char *)"-c";
		args[n++] = (char *)(uintptr_t)given->names[i];
	}
	args[n] = NULL;
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execv(path, args);
	_exit(127);
}

/* words: the program's name and its arguments, at most 3 in all, then NULL. */
static bool service_agrees(const char *const *words, const struct mw_conf_given *given)
{
	char path[PATH_MAX];
	int status = 0;
	pid_t pid;

	if (!service_path(path, sizeof(path), words[0]) || access(path, X_OK) != 0) {
		fprintf(stderr,
			"note: %s is not installed here: what it would say of these settings is "
			"left out\n",
			words[0]);
		return true;
	}
	pid = fork();
	if (pid == 0)
		run_service(path, words, given);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool mw_tool_services_agree(const struct mw_conf_given *given)
{
	static const char *const front[] = { FRONT, "--explain", "--warnings", NULL };
	static const char *const scanner[] = { SCANNER, "--check-settings", NULL };
	bool fits = service_agrees(front, given);

	return service_agrees(scanner, given) && fits;
}
