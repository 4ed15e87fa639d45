#include "banner.h"

#include <ctype.h>

#define PRODUCT "Mailweir"

static const char *const known[] = {
	"helo-name",
	"myhostname",
	"protocol",
	"product",
	"version",
	"version-id",
};

/* NULL: there is no such word. */
static const char *meaning(const struct mw_banner_words *w, const char *name, size_t n)
{
	const char *const said[MW_COUNT(known)] = { w->helo_name, w->myhostname, w->protocol,
		PRODUCT, PRODUCT "-" MW_VERSION, MW_VERSION };

	for (size_t i = 0; i < MW_COUNT(known); i++)
		if (mw_octets_ieq(mw_octets_of(name, n), known[i]))
			return said[i];
	return NULL;
}

/* The word behind a $, and in *end_r what comes after it. False: the $ stands for itself; a NULL
 * name is a ${ without an end. */
static bool word_at(const char *p, const char **name_r, size_t *n_r, const char **end_r)
{
	if (*p == '{') {
		const char *close = strchr(p, '}');

		*name_r = close != NULL ? p + 1 : NULL;
		*n_r = close != NULL ? (size_t)(close - p - 1) : 0;
		*end_r = close != NULL ? close + 1 : p;
		return true;
	}
	*name_r = p;
	if (!isalpha((unsigned char)*p))
		return false;
	while (isalnum((unsigned char)*p) || *p == '_' ||
		(*p == '-' && isalnum((unsigned char)p[1])))
		p++;
	*n_r = (size_t)(p - *name_r);
	*end_r = p;
	return true;
}

static bool add(char banner[MW_BANNER_MAX], size_t *at, const char *p, size_t n)
{
	if (*at + n >= MW_BANNER_MAX)
		return false;
	memcpy(banner + *at, p, n);
	*at += n;
	banner[*at] = '\0';
	return true;
}

static enum mw_rc unknown(const char *setting, const char *name, size_t n, struct mw_err *err_r)
{
	if (name == NULL)
		return mw_fail(err_r, MW_ERR_CONF, "%s: a ${ without its }", setting);
	return mw_fail(err_r, MW_ERR_CONF,
		"%s: there is no ${%.*s}; expected ${helo-name}, ${myhostname}, ${protocol}, "
		"${product}, ${version} or ${version-id}",
		setting, (int)(n < 60 ? n : 60), name);
}

enum mw_rc mw_banner_fill(const char *setting, const char *text,
	const struct mw_banner_words *words, char banner_r[MW_BANNER_MAX], struct mw_err *err_r)
{
	size_t at = 0;
	bool room = true;

	banner_r[0] = '\0';
	if (*text == '\0' || !mw_is_printable(text, strlen(text)))
		return mw_fail(
			err_r, MW_ERR_CONF, "%s: expected a line of printable ASCII", setting);
	while (*text != '\0' && room) {
		const char *name, *end, *said;
		size_t n = strcspn(text, "$");

		room = add(banner_r, &at, text, n);
		text += n;
		if (*text == '\0' || !room)
			break;
		if (!word_at(text + 1, &name, &n, &end)) {
			room = add(banner_r, &at, text++, 1);
			continue;
		}
		said = name != NULL ? meaning(words, name, n) : NULL;
		if (said == NULL)
			return unknown(setting, name, n, err_r);
		room = add(banner_r, &at, said, strlen(said));
		text = end;
	}
	if (!room)
		return mw_fail(err_r, MW_ERR_CONF, "%s: more than %d octets when it is filled in",
			setting, MW_BANNER_MAX - 1);
	return MW_OK;
}
