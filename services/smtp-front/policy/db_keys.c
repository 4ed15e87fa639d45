#include "db_keys.h"

#include <idn2.h>

#include "utf8.h"

void db_make_utf8(char *s)
{
	while (*s != '\0') {
		size_t n = mw_utf8_length((const unsigned char *)s, strnlen(s, MW_UTF8_MOST));

		if (n == 0)
			*s = '?';
		s += n != 0 ? n : 1;
	}
}

static void fold_ascii(char *s)
{
	for (; *s != '\0'; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
}

static bool is_ascii(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

/* Lower case, A-labels, no dots at the end. A domain that has no A-labels stays as it is. */
static const char *fold_domain(struct smtp_arena *a, const char *domain)
{
	char *ascii = NULL, *folded;
	size_t n;

	if (!is_ascii(domain) &&
		idn2_to_ascii_8z(domain, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK)
		domain = ascii;
	n = strlen(domain);
	while (n > 0 && domain[n - 1] == '.')
		n--;
	folded = smtp_arena_copy(a, domain, n);
	idn2_free(ascii);
	if (folded != NULL)
		fold_ascii(folded);
	return folded;
}

static bool begins_like(const char *s, const char *with)
{
	for (; *with != '\0'; s++, with++)
		if ((*s | 0x20) != *with)
			return false;
	return true;
}

/* Where the extension of a folded or unfolded user begins: its delimiter, or the end. */
static size_t extension_at(const char *user, const char *delimiter)
{
	size_t n = strlen(user), at;

	if (delimiter == NULL || *delimiter == '\0' || n < 2)
		return n;
	if (mw_ieq(user, "postmaster") || mw_ieq(user, "mailer-daemon") ||
		mw_ieq(user, "double-bounce"))
		return n;
	/* Lists' own addresses: owner-list, list-request. */
	if (strchr(delimiter, '-') != NULL &&
		((n > 6 && begins_like(user, "owner-")) ||
			(n > 8 && begins_like(user + n - 8, "-request"))))
		return n;
	at = 1 + strcspn(user + 1, delimiter); /* a user is not empty */
	return at;
}

/* A key that is not there already. False: no memory. */
static bool add(struct smtp_arena *a, struct db_keys *k, const char *one, const char *two,
	const char *three, const char *four)
{
	const char *key = smtp_arena_printf(a, "%s%s%s%s", one, two, three, four);

	if (key == NULL)
		return false;
	for (size_t i = 0; i < k->count; i++)
		if (strcmp(k->keys[i], key) == 0)
			return true;
	k->keys[k->count++] = key;
	return true;
}

static bool add_users(struct smtp_arena *a, struct db_keys *k, const struct db_notation *how)
{
	const char *at = how->no_at_means_domain ? "@" : "";

	if (how->brackets_for_null && *k->address == '\0' && !add(a, k, "<>", "", "", ""))
		return false;
	if (!add(a, k, k->address, "", "", ""))
		return false;
	if (*k->extension != '\0' && !add(a, k, k->user, k->extension, "@", k->domain))
		return false;
	if (!add(a, k, k->user, "@", k->domain, ""))
		return false;
	if (!how->local)
		return true;
	return (*k->extension == '\0' || add(a, k, k->user, k->extension, at, "")) &&
	       add(a, k, k->user, at, "", "");
}

/* Of a domain with very many labels the last keys are the ones that somebody may have stored. */
static const char *first_dotted(const char *domain)
{
	size_t labels = 1;

	for (const char *p = domain; (p = strchr(p, '.')) != NULL; p++)
		labels++;
	for (; labels >= DB_DOTTED_KEYS_MAX; labels--)
		domain = strchr(domain, '.') + 1;
	return domain;
}

static bool add_domains(struct smtp_arena *a, struct db_keys *k, const struct db_notation *how)
{
	const char *at = how->no_at_means_domain ? "" : "@";
	const char *d = k->domain;

	/* Without "@" the null address's domain is the empty key, which is there already. */
	if (!add(a, k, at, d, "", ""))
		return false;
	if (strchr(d, '[') == NULL && *d != '\0') {
		for (d = first_dotted(d);; d++) {
			if (!add(a, k, at, ".", d, ""))
				return false;
			d = strchr(d, '.');
			if (d == NULL)
				break;
		}
	}
	return add(a, k, at, ".", "", "");
}

static bool split(
	struct smtp_arena *a, const char *text, const struct db_notation *how, struct db_keys *k)
{
	const char *at = strrchr(text, '@');
	size_t n = at != NULL ? (size_t)(at - text) : strlen(text), cut;
	char *user = smtp_arena_copy(a, text, n);

	k->localpart = smtp_arena_copy(a, text, n);
	k->domain = fold_domain(a, at != NULL ? at + 1 : "");
	if (user == NULL || k->localpart == NULL || k->domain == NULL)
		return false;
	if (!how->case_sensitive)
		fold_ascii(user);
	cut = extension_at(user, how->delimiter);
	k->extension = smtp_arena_copy(a, user + cut, n - cut);
	user[cut] = '\0';
	k->user = user;
	return k->extension != NULL;
}

enum mw_rc db_keys_make(struct smtp_arena *a, const char *address, const struct db_notation *how,
	struct db_keys *keys_r)
{
	size_t n = strlen(address);
	struct db_keys k = { 0 };
	char *text;

	if (n > DB_ADDRESS_MAX)
		return MW_ERR_LIMIT;
	text = smtp_arena_copy(a, address, n);
	if (text == NULL)
		return MW_ERR_NOMEM;
	db_make_utf8(text);
	k.address = text;
	if (!split(a, text, how, &k) || !add_users(a, &k, how) || !add_domains(a, &k, how))
		return MW_ERR_NOMEM;
	*keys_r = k;
	return MW_OK;
}
