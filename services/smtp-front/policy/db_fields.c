#include "db_fields.h"

#include <math.h>
#include <stdlib.h>

#define NUMBER_MAX 64 /* octets of a number; the rest is not looked at */

#define B1(setting, column, attribute)                                                             \
	{                                                                                          \
		setting, column, attribute, DB_BOOL, true                                          \
	}
#define B(setting, column, attribute)                                                              \
	{                                                                                          \
		setting, column, attribute, DB_BOOL, false                                         \
	}
#define N(setting, column, attribute)                                                              \
	{                                                                                          \
		setting, column, attribute, DB_NUMBER, false                                       \
	}
#define S(setting, column, attribute)                                                              \
	{                                                                                          \
		setting, column, attribute, DB_TEXT, false                                         \
	}

const struct db_field db_fields[] = {
	S("user_id", "id", NULL),
	S("policy_id", "policy_id", NULL),
	B1("local_domains_maps", "local", "amavisLocal"),
	B("virus_lovers_maps", "virus_lover", "amavisVirusLover"),
	B("spam_lovers_maps", "spam_lover", "amavisSpamLover"),
	B("unchecked_lovers_maps", "unchecked_lover", "amavisUncheckedLover"),
	B("banned_files_lovers_maps", "banned_files_lover", "amavisBannedFilesLover"),
	B("bad_header_lovers_maps", "bad_header_lover", "amavisBadHeaderLover"),
	B("bypass_virus_checks_maps", "bypass_virus_checks", "amavisBypassVirusChecks"),
	B("bypass_spam_checks_maps", "bypass_spam_checks", "amavisBypassSpamChecks"),
	B("bypass_banned_checks_maps", "bypass_banned_checks", "amavisBypassBannedChecks"),
	B("bypass_header_checks_maps", "bypass_header_checks", "amavisBypassHeaderChecks"),
	N("spam_tag_level_maps", "spam_tag_level", "amavisSpamTagLevel"),
	N("spam_tag2_level_maps", "spam_tag2_level", "amavisSpamTag2Level"),
	N("spam_tag3_level_maps", "spam_tag3_level", "amavisSpamTag3Level"),
	N("spam_kill_level_maps", "spam_kill_level", "amavisSpamKillLevel"),
	N("spam_dsn_cutoff_level_maps", "spam_dsn_cutoff_level", "amavisSpamDsnCutoffLevel"),
	N("spam_quarantine_cutoff_level_maps", "spam_quarantine_cutoff_level",
		"amavisSpamQuarantineCutoffLevel"),
	S("spam_subject_tag_maps", "spam_subject_tag", "amavisSpamSubjectTag"),
	S("spam_subject_tag2_maps", "spam_subject_tag2", "amavisSpamSubjectTag2"),
	S("spam_subject_tag3_maps", "spam_subject_tag3", "amavisSpamSubjectTag3"),
	S("virus_quarantine_to_maps", "virus_quarantine_to", "amavisVirusQuarantineTo"),
	S("spam_quarantine_to_maps", "spam_quarantine_to", "amavisSpamQuarantineTo"),
	S("banned_quarantine_to_maps", "banned_quarantine_to", "amavisBannedQuarantineTo"),
	S("unchecked_quarantine_to_maps", "unchecked_quarantine_to", "amavisUncheckedQuarantineTo"),
	S("bad_header_quarantine_to_maps", "bad_header_quarantine_to",
		"amavisBadHeaderQuarantineTo"),
	S("clean_quarantine_to_maps", "clean_quarantine_to", "amavisCleanQuarantineTo"),
	S("archive_quarantine_to_maps", "archive_quarantine_to", "amavisArchiveQuarantineTo"),
	N("message_size_limit_maps", "message_size_limit", "amavisMessageSizeLimit"),
	S("addr_extension_virus_maps", "addr_extension_virus", "amavisAddrExtensionVirus"),
	S("addr_extension_spam_maps", "addr_extension_spam", "amavisAddrExtensionSpam"),
	S("addr_extension_banned_maps", "addr_extension_banned", "amavisAddrExtensionBanned"),
	S("addr_extension_bad_header_maps", "addr_extension_bad_header",
		"amavisAddrExtensionBadHeader"),
	B("warnvirusrecip_maps", "warnvirusrecip", "amavisWarnVirusRecip"),
	B("warnbannedrecip_maps", "warnbannedrecip", "amavisWarnBannedRecip"),
	B("warnbadhrecip_maps", "warnbadhrecip", "amavisWarnBadHeaderRecip"),
	S("newvirus_admin_maps", "newvirus_admin", "amavisNewVirusAdmin"),
	S("virus_admin_maps", "virus_admin", "amavisVirusAdmin"),
	S("spam_admin_maps", "spam_admin", "amavisSpamAdmin"),
	S("banned_admin_maps", "banned_admin", "amavisBannedAdmin"),
	S("bad_header_admin_maps", "bad_header_admin", "amavisBadHeaderAdmin"),
	S("banned_filename_maps", "banned_rulenames", "amavisBannedRuleNames"),
	S("disclaimer_options_bysender_maps", "disclaimer_options", "amavisDisclaimerOptions"),
	S("forward_method_maps", "forward_method", "amavisForwardMethod"),
	S("sa_userconf_maps", "sa_userconf", "amavisSaUserConf"),
	S("sa_username_maps", "sa_username", "amavisSaUserName"),
	/* Lists: with several values, read by db_record_value(). */
	S("blacklist_sender_maps", NULL, "amavisBlacklistSender"),
	S("whitelist_sender_maps", NULL, "amavisWhitelistSender"),
};
const size_t db_field_count = MW_COUNT(db_fields);

const struct db_field *db_field_find(const char *setting)
{
	for (size_t i = 0; i < MW_COUNT(db_fields); i++)
		if (strcmp(db_fields[i].setting, setting) == 0)
			return &db_fields[i];
	return NULL;
}

/* The catch-all record says nothing about being local unless it has the field. */
static bool is_catch_all(const struct db_record *record)
{
	const struct db_cell *key =
		db_record_cell(record, record->source == DB_SQL ? "email" : "mail");

	return key != NULL && key->value != NULL && key->n == 2 && memcmp(key->value, "@.", 2) == 0;
}

/*
 * The first value, or NULL. *missing_r: a record came before it that has no such field, of a kind
 * that then reads as true.
 */
static const struct db_cell *first_value(const struct db_records *r, const struct db_field *f,
	const struct db_record **record_r, bool *missing_r)
{
	*missing_r = false;
	*record_r = NULL;
	for (size_t i = 0; i < r->count; i++) {
		const struct db_record *record = &r->records[i];
		const char *name = record->source == DB_SQL ? f->column : f->attribute;
		const struct db_cell *cell = name != NULL ? db_record_cell(record, name) : NULL;

		*record_r = record;
		if (cell != NULL && cell->value != NULL)
			return cell;
		if (cell == NULL && name != NULL && f->missing_is_true && !is_catch_all(record)) {
			*missing_r = true;
			return NULL;
		}
	}
	return NULL;
}

const struct db_record *db_field_record(const struct db_records *r, const struct db_field *f)
{
	const struct db_record *record;
	bool missing;
	const struct db_cell *cell = first_value(r, f, &record, &missing);

	return cell != NULL || missing ? record : NULL;
}

const char *db_record_key(const struct db_record *record)
{
	const struct db_cell *key =
		db_record_cell(record, record->source == DB_SQL ? "email" : "mail");

	return key != NULL ? key->value : NULL;
}

static size_t without_blanks(const char *p, size_t n)
{
	while (n > 0 && p[n - 1] == ' ')
		n--;
	return n;
}

bool db_field_text(
	const struct db_records *r, const struct db_field *f, bool trim, struct mw_octets *text_r)
{
	const struct db_record *record;
	bool missing;
	const struct db_cell *cell = first_value(r, f, &record, &missing);

	if (cell == NULL)
		return false;
	*text_r = mw_octets_of(cell->value, trim ? without_blanks(cell->value, cell->n) : cell->n);
	return true;
}

static bool all_are(const char *p, size_t n, char c)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != c)
			return false;
	return true;
}

static bool sql_truth(const struct db_cell *cell)
{
	size_t n = without_blanks(cell->value, cell->n);

	if (n == 1 && strchr("NnFf", cell->value[0]) != NULL)
		return false; /* a lone NUL is found too: that is false as well */
	return !all_are(cell->value, n, '0') && !all_are(cell->value, n, '\0');
}

bool db_field_bool(const struct db_records *r, const struct db_field *f, bool *value_r)
{
	const struct db_record *record;
	bool missing;
	const struct db_cell *cell = first_value(r, f, &record, &missing);

	if (cell == NULL && !missing)
		return false;
	if (missing)
		*value_r = true;
	else if (record->source == DB_LDAP)
		*value_r = cell->n == 4 && memcmp(cell->value, "TRUE", 4) == 0;
	else
		*value_r = sql_truth(cell);
	return true;
}

bool db_field_number(const struct db_records *r, const struct db_field *f, double *value_r)
{
	const struct db_record *record;
	bool missing;
	const struct db_cell *cell = first_value(r, f, &record, &missing);
	char text[NUMBER_MAX + 1];
	size_t n;

	if (cell == NULL)
		return false;
	mw_strncpy(text, sizeof(text), cell->value, cell->n);
	/* Decimal numbers alone: strtod would also know hexadecimal ones, and infinity. */
	n = strspn(text, " \t\r\n");
	n += strspn(text + n, "+-0123456789.eE");
	text[n] = '\0';
	*value_r = strtod(text, NULL);
	if (!isfinite(*value_r))
		*value_r = 0;
	return true;
}

bool db_field_milli(const struct db_records *r, const struct db_field *f, int64_t *milli_r)
{
	const double most = 9007199254740992.0; /* 2^53: whole numbers up to there are exact */
	double value;

	if (!db_field_number(r, f, &value))
		return false;
	value = round(value * 1000);
	*milli_r = (int64_t)(value > most ? most : value < -most ? -most : value);
	return true;
}
