#include "signed_fields.h"

#include <ctype.h>
#include <strings.h>

#include "log.h"

#define SETTING "signed_header_fields"

#define NAME_ONLY(name, times) name,
static const char *const spellings[] = { MW_SIGNED_FIELDS(NAME_ONLY) };

const char *mw_signed_field_name(const char *name, char *buf, size_t size)
{
	for (size_t i = 0; i < MW_COUNT(spellings); i++)
		if (strcasecmp(spellings[i], name) == 0)
			return spellings[i];
	mw_strlcpy(buf, name, size);
	for (char *p = buf; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return buf;
}

/* RFC 5322 section 3.6.8, but for the semicolon: it would end h=. */
static bool is_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= MW_SIGNED_NAME_OCTETS && mw_is_printable(name, n) &&
	       strpbrk(name, " :;") == NULL;
}

/* False: neither 0, 1 nor 2. */
static bool times_of(const struct mw_val *v, unsigned *times_r)
{
	*times_r = v->tag == MW_V_BOOL ? v->b : 0;
	if (v->tag == MW_V_NUM && (v->num == 0 || v->num == 1 || v->num == 2))
		*times_r = (unsigned)v->num;
	else if (v->tag != MW_V_BOOL)
		return false;
	return true;
}

static enum mw_rc check(
	const char *name, const struct mw_val *v, unsigned *times_r, struct mw_err *err_r)
{
	if (!is_name(name))
		return mw_fail(err_r, MW_ERR_CONF, SETTING ": %s is no name of a header field",
			mw_quote(name));
	if (!times_of(v, times_r))
		return mw_fail(err_r, MW_ERR_CONF,
			SETTING
			"[\"%s\"]: expected 0 not signed, 1 signed, 2 signed so that none can "
			"be added",
			name);
	if (strcasecmp(name, "From") == 0 && *times_r == 0)
		return mw_fail(err_r, MW_ERR_CONF,
			SETTING "[\"%s\"] = 0: From is signed always (RFC 6376 section 5.4)", name);
	if (strcasecmp(name, "DKIM-Signature") == 0 && *times_r > 0)
		return mw_fail(err_r, MW_ERR_CONF,
			SETTING "[\"%s\"]: signatures are not signed (RFC 6376 section 5.4)", name);
	return MW_OK;
}

enum mw_rc mw_signed_fields_pack(
	const struct mw_val *table, struct mw_pack *names_r, struct mw_err *err_r)
{
	size_t names = 0, octets = 0;
	unsigned times = 0;
	enum mw_rc rc;

	for (size_t i = 0; i < table->count; i++) {
		rc = check(table->keys[i], &table->vals[i], &times, err_r);
		if (rc != MW_OK)
			return rc;
		names += times;
		octets += times * (strlen(table->keys[i]) + 1);
	}
	if (names > MW_SIGNED_NAMES_MAX || octets > MW_SIGNED_OCTETS_MAX)
		return mw_fail(err_r, MW_ERR_CONF,
			SETTING ": %zu names, %zu octets; a signature may name %d and %d", names,
			octets, MW_SIGNED_NAMES_MAX, MW_SIGNED_OCTETS_MAX);
	mw_pack_init(names_r);
	mw_pack_array(names_r, names);
	for (size_t i = 0; i < table->count; i++)
		for (times_of(&table->vals[i], &times); times > 0; times--)
			mw_pack_text(names_r, table->keys[i]);
	if (!names_r->failed)
		return MW_OK;
	mw_pack_fini(names_r);
	return mw_fail(err_r, MW_ERR_NOMEM, SETTING ": no memory");
}
