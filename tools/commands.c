/* The sub-commands of mailweir. */
#include "tools.h"

const struct mw_tool mw_tools[] = {
	{ "status", "[--once] [--json] ...", "mails in flight and workers, live", mw_tool_status,
		"--once --json --interval=VALUE --url=VALUE --config=FILE -c=FILE --help" },
	{ "check-config", "[--user NAME] [--elsewhere] [FILE...]",
		"read the settings, tell all that is wrong with them", mw_tool_check_config,
		"--user=USER --elsewhere FILE" },
	{ "config", "get NAME | dump | doc | table", "values of settings, and who set them",
		mw_tool_config,
		"get dump doc table -c=FILE|get SETTING --origin --bank=BANK -c=FILE"
		"|dump --all --bank=BANK -c=FILE" },
	{ "reload", "[SERVICE[@INSTANCE]...]", "running services read their settings again",
		mw_tool_reload, "-c=FILE SERVICE" },
	{ "lookup", "MAP KEY [--bank BANK]", "what a *_maps setting says for an address, and why",
		mw_tool_lookup, "SETTING --bank=BANK --all -c=FILE" },
	{ "explain", "MAIL_ID | --from A --to B ...",
		"what became of a mail, or would, and which line of the settings says so",
		mw_tool_explain,
		"--from=VALUE --to=VALUE --client=VALUE --port=VALUE --address=VALUE --socket=FILE "
		"--author=VALUE --dkim=VALUE --peer=VALUE --helo=VALUE --asked=BANK --score=VALUE "
		"--size=VALUE --header=VALUE "
		"--json --config=FILE -c=FILE --help FILE" },
	{ "quarantine", "list | search | show | ...",
		"what is kept: find it, look at it, let it go", mw_tool_quarantine,
		"list search show release delete expire verify"
		"|list --category=VALUE --since=VALUE --before=VALUE --released --kept --oldest "
		"--limit=VALUE --offset=VALUE --json -c=FILE"
		"|search --sender=VALUE --recipient=VALUE --subject=VALUE --category=VALUE "
		"--since=VALUE --before=VALUE --released --kept --oldest --limit=VALUE "
		"--offset=VALUE --json -c=FILE"
		"|show VALUE --raw --json -c=FILE"
		"|release VALUE --recipient=VALUE --requeue --no-scan --again -c=FILE"
		"|delete VALUE -c=FILE|expire --dry-run -c=FILE|verify --quick --repair -c=FILE" },
	{ "import-amavisd", "FILE|FOLDER ...", "make mailweir.lua of an amavisd.conf",
		mw_tool_import_amavisd, "-o=FILE --time-limit=VALUE --run-commands FILE" },
	{ "keys", "DIR", "make the CURVE keys of all services", mw_tool_keys, "DIR" },
	{ "completion", "bash | zsh", "what a shell needs to complete all this", mw_tool_completion,
		"bash zsh" },
	{ NULL },
};
