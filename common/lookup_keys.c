#include "lookup_keys.h"

#include <stdio.h>

#include "idna.h"

#define SUFFIX "/@" /* between an author and a signature's domain */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static void copy_lower(char *dst, const char *src, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = lower(src[i]);
}

/* ------------------------------------------------------------------ hash */

static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Eight octets at a time: the keys of a lookup are hashed one and all. Those who choose the keys of
 * a table are its admins, so no seed is needed against floods. */
uint32_t mw_key_hash(const char *p, size_t n)
{
	uint64_t h = 0x9e3779b97f4a7c15u ^ n, word;

	for (; n >= sizeof(word); p += sizeof(word), n -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = mix(h ^ word, 0xd6e8feb86659fd93u);
	}
	word = 0;
	memcpy(&word, p, n);
	h = mix(h ^ word, 0xa0761d6478bd642fu);
	return (uint32_t)(h ^ (h >> 32)) | 1;
}

/* ------------------------------------------------------------------ domains */

/*
 * The domain in its one form, into buf of at least n + 1 and MW_IDNA_MAX + 1 octets. A dot in front
 * stays; what cannot be made A-labels is only made lower case.
 */
static size_t domain_form(const char *domain, size_t n, char *buf)
{
	char whole[MW_LOOKUP_KEY_MAX + 1], ascii[MW_IDNA_MAX];
	size_t dot = n > 1 && domain[0] == '.';

	while (n > 0 && domain[n - 1] == '.')
		n--;
	if (!mw_is_ascii(domain, n) && mw_strncpy(whole, sizeof(whole), domain + dot, n - dot) &&
		mw_idna_to_ascii(whole, ascii)) {
		if (dot)
			*buf = '.';
		strcpy(buf + dot, ascii);
		return dot + strlen(ascii);
	}
	copy_lower(buf, domain, n);
	buf[n] = '\0';
	return n;
}

/* ------------------------------------------------------------------ local parts */

/* The @ between local part and domain; n when there is none. In a quoted local part @ is a letter
 * (RFC 5321 section 4.1.2). *quoted_r: the local part is one whole quoted string. */
static size_t find_at(const char *s, size_t n, bool *quoted_r)
{
	size_t i = 1;

	*quoted_r = false;
	if (n >= 2 && s[0] == '"') {
		while (i < n && s[i] != '"')
			i += s[i] == '\\' ? 2 : 1;
		*quoted_r = i < n && (i + 1 == n || s[i + 1] == '@');
		if (*quoted_r)
			return i + 1;
	}
	for (i = n; i > 0; i--)
		if (s[i - 1] == '@')
			return i - 1;
	return n;
}

/* The octets that a quoted string stands for; returns how many. */
static size_t unquote(const char *s, size_t n, char *buf)
{
	size_t made = 0;

	for (size_t i = 1; i + 1 < n; i++) {
		if (s[i] == '\\' && i + 2 < n)
			i++;
		buf[made++] = s[i];
	}
	return made;
}

static bool same_word(const char *s, size_t n, const char *word)
{
	return mw_octets_ieq(mw_octets_of(s, n), word);
}

/* Names that have no extension, whatever they look like. */
static bool is_whole(const char *s, size_t n, const char *delimiters)
{
	if (same_word(s, n, "postmaster") || same_word(s, n, "mailer-daemon") ||
		same_word(s, n, "double-bounce"))
		return true;
	return strchr(delimiters, '-') != NULL &&
	       ((n >= 6 && same_word(s, 6, "owner-")) ||
		       (n >= 8 && same_word(s + n - 8, 8, "-request")));
}

/* Octets in front of the extension; n when there is none. A user without a name is none. */
static size_t user_length(const char *s, size_t n, const char *delimiters)
{
	if (delimiters == NULL || *delimiters == '\0' || is_whole(s, n, delimiters))
		return n;
	for (size_t i = 1; i < n; i++)
		if (strchr(delimiters, s[i]) != NULL)
			return i;
	return n;
}

bool mw_address_split(const char *address, const char *delimiters, struct mw_address_parts *parts_r)
{
	size_t n = strlen(address), at;

	if (n >= sizeof(parts_r->local))
		return false;
	at = find_at(address, n, &parts_r->quoted);
	if (parts_r->quoted)
		parts_r->local_len = unquote(address, at, parts_r->local);
	else
		memcpy(parts_r->local, address, parts_r->local_len = at);
	parts_r->local[parts_r->local_len] = '\0';
	parts_r->user = user_length(parts_r->local, parts_r->local_len, delimiters);
	parts_r->domain = address + at;
	return true;
}

/* ------------------------------------------------------------------ the sequence */

static void add(struct mw_keys *k, const char *p, size_t n, enum mw_key_sort sort)
{
	k->key[k->count++] = (struct mw_key){ p, (uint32_t)n, 0, sort };
}

/* domain, .domain, each .parent, "."; k->dotted holds ".domain". */
static void add_domain(struct mw_keys *k, size_t n)
{
	const char *p = k->dotted, *end = k->dotted + 1 + n;
	size_t dots = 0;

	if (n > 0)
		add(k, p + 1, n, MW_SORT_DOMAIN);
	if (n > 0 && memchr(p + 1, '[', n) == NULL) {
		for (const char *d = p; d != NULL; d = memchr(d + 1, '.', (size_t)(end - d) - 1))
			dots++;
		for (const char *d = p; d != NULL; d = memchr(d + 1, '.', (size_t)(end - d) - 1))
			if (dots-- < MW_KEYS_DOTTED_MAX) /* one is left for "." */
				add(k, d, (size_t)(end - d), MW_SORT_DOTTED);
	}
	add(k, ".", 1, MW_SORT_DOTTED);
}

static void add_local(struct mw_keys *k, size_t local, size_t user, size_t all)
{
	const char *plain = user < local ? k->plain : k->text;
	size_t domain = all - local - 1;

	add(k, k->text, all, domain > 0 ? MW_SORT_ADDRESS : MW_SORT_USER);
	if (user < local)
		add(k, plain, all - (local - user), domain > 0 ? MW_SORT_ADDRESS : MW_SORT_USER);
	if (domain == 0)
		return; /* these are user@ already */
	if (user < local)
		add(k, k->text, local + 1, MW_SORT_USER);
	add(k, plain, user + 1, MW_SORT_USER);
}

static void null_address(struct mw_keys *k)
{
	k->given[0] = '\0';
	k->raw = mw_octets_of(k->given, 0);
	k->full_local = k->user = k->extension = k->domain = k->raw;
	add(k, "", 0, MW_SORT_NULL);
	add(k, "@", 1, MW_SORT_USER);
	add(k, ".", 1, MW_SORT_DOTTED);
}

/* As given, but for the quotes of the local part. Returns where its @ is, n_r its length. */
static size_t take_raw(struct mw_keys *k, const char *address, size_t *n_r)
{
	size_t n = *n_r, at, local;
	bool quoted;

	at = find_at(address, n, &quoted);
	if (!quoted) {
		memcpy(k->given, address, n + 1);
		local = at;
	} else {
		local = unquote(address, at, k->given);
		memcpy(k->given + local, address + at, n - at + 1);
	}
	*n_r = local + (n - at);
	k->raw = mw_octets_of(k->given, *n_r);
	return local;
}

void mw_keys_of_address(
	struct mw_keys *k, const char *address, const char *delimiters, bool case_sensitive)
{
	size_t n = strnlen(address, MW_LOOKUP_KEY_MAX + 1), local, user, domain;
	bool bare;

	k->count = 0;
	k->suffix = (struct mw_octets){ NULL, 0 };
	k->too_long = n > MW_LOOKUP_KEY_MAX;
	if (k->too_long)
		return;
	if (n == 0 || strcmp(address, "<>") == 0) {
		null_address(k);
		return;
	}
	local = take_raw(k, address, &n);
	bare = local == n;
	domain = bare ? 0 : domain_form(k->given + local + 1, n - local - 1, k->dotted + 1);
	k->dotted[0] = '.';
	k->dotted[1 + domain] = '\0';
	/* Postmaster is meant in any case (RFC 5321 section 4.5.1), and others without a domain
	 * too. */
	if (case_sensitive && !bare)
		memcpy(k->text, k->given, local);
	else
		copy_lower(k->text, k->given, local);
	k->text[local] = '@';
	memcpy(k->text + local + 1, k->dotted + 1, domain + 1);
	user = user_length(k->text, local, delimiters);
	memcpy(k->plain, k->text, user);
	memcpy(k->plain + user, k->text + local, domain + 2);
	k->full_local = mw_octets_of(k->text, local);
	k->user = mw_octets_of(k->text, user);
	k->extension = mw_octets_of(k->text + user, local - user);
	k->domain = mw_octets_of(k->dotted + 1, domain);
	if (bare)
		add(k, k->text, local, MW_SORT_DOMAIN);
	add_local(k, local, user, local + 1 + domain);
	add_domain(k, domain);
}

void mw_keys_of_author(struct mw_keys *k, const char *address, const char *signer,
	const char *delimiters, bool case_sensitive)
{
	size_t n = strlen(signer);

	mw_keys_of_address(k, address, delimiters, case_sensitive);
	if (k->too_long)
		return;
	if (n >= MW_KEYS_DOMAIN_MAX) {
		k->count = 0;
		k->too_long = true;
		return;
	}
	memcpy(k->suffix_text, SUFFIX, 2);
	n = 2 + domain_form(signer, n, k->suffix_text + 2);
	k->suffix = mw_octets_of(k->suffix_text, n);
	memcpy(k->given + k->raw.n, k->suffix_text, n + 1);
}

size_t mw_keys_find_suffix(const char *key)
{
	size_t n = strlen(key);
	const char *last = strrchr(key, '@');
	bool quoted;
	size_t at = find_at(key, n, &quoted);

	/* Within quotes it is part of a name. */
	if (last == NULL || last == key || last[-1] != '/' || last[1] == '\0' ||
		(quoted && (size_t)(last - key) < at))
		return n;
	return (size_t)(last - 1 - key);
}

bool mw_keys_same_domain(const char *address, const char *domain)
{
	char one[MW_KEYS_TEXT_MAX], other[MW_KEYS_TEXT_MAX];
	size_t n = strnlen(address, MW_LOOKUP_KEY_MAX + 1),
	       m = strnlen(domain, MW_LOOKUP_KEY_MAX + 1), at;
	bool quoted;

	if (n > MW_LOOKUP_KEY_MAX || m > MW_LOOKUP_KEY_MAX)
		return false;
	at = find_at(address, n, &quoted);
	if (at == n)
		return false;
	n = domain_form(address + at + 1, n - at - 1, one);
	m = domain_form(domain, m, other);
	return n > 0 && n == m && memcmp(one, other, n) == 0;
}

void mw_keys_of_text(struct mw_keys *k, const char *text)
{
	size_t n = strnlen(text, MW_LOOKUP_KEY_MAX + 1);

	k->count = 0;
	k->suffix = (struct mw_octets){ NULL, 0 };
	k->too_long = n > MW_LOOKUP_KEY_MAX;
	if (k->too_long)
		return;
	memcpy(k->given, text, n + 1);
	k->raw = mw_octets_of(k->given, n);
	k->full_local = k->user = k->raw;
	k->extension = k->domain = mw_octets_of("", 0);
	add(k, k->given, n, MW_SORT_ADDRESS);
}

/* ------------------------------------------------------------------ IP addresses */

static size_t full_form(const struct mw_ip *ip, char *buf)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (size_t i = 0; i < sizeof(ip->a); i++) {
		if (i > 0 && i % 2 == 0)
			buf[n++] = ':';
		buf[n++] = digits[ip->a[i] >> 4];
		buf[n++] = digits[ip->a[i] & 15];
	}
	buf[n] = '\0';
	return n;
}

void mw_keys_of_ip(struct mw_keys *k, const struct mw_ip *ip)
{
	size_t n;

	k->count = 0;
	k->suffix = (struct mw_octets){ NULL, 0 };
	k->too_long = ip == NULL;
	k->given[0] = '\0';
	if (ip == NULL)
		return;
	mw_ip_format(ip, k->given);
	n = strlen(k->given);
	k->raw = mw_octets_of(k->given, n);
	k->full_local = k->user = k->raw;
	k->extension = k->domain = mw_octets_of("", 0);
	while (mw_ip_is_v4(ip) && n > 0) {
		add(k, k->given, n, MW_SORT_DOMAIN);
		for (n--; n > 0 && k->given[n] != '.'; n--)
			;
	}
	add(k, k->text, full_form(ip, k->text), MW_SORT_ADDRESS);
}

/* ------------------------------------------------------------------ keys of tables */

static bool normalise_ip(const char *key, char *buf, enum mw_key_sort *sort_r)
{
	struct mw_ip ip;
	struct mw_net net;
	char whole[MW_IP_TEXT_MAX + 4];

	*sort_r = MW_SORT_DOMAIN;
	if (mw_ip_parse(key, &ip)) {
		if (mw_ip_is_v4(&ip)) {
			mw_ip_format(&ip, buf);
		} else {
			full_form(&ip, buf);
			*sort_r = MW_SORT_ADDRESS;
		}
		return true;
	}
	/* a, a.b, a.b.c: what a network of that length would begin with */
	if (key[0] == '!' || strlen(key) > 11 || strpbrk(key, ":/") != NULL)
		return false;
	snprintf(whole, sizeof(whole), "%s/8", key);
	if (!mw_net_parse(whole, &net))
		return false;
	strcpy(buf, key);
	return true;
}

static bool normalise_address(
	const char *key, size_t n, bool case_sensitive, char *buf, enum mw_key_sort *sort_r)
{
	bool quoted;
	size_t at = find_at(key, n, &quoted), local;

	if (n == 0 || strcmp(key, "<>") == 0 || strcmp(key, ".") == 0) {
		strcpy(buf, strcmp(key, ".") == 0 ? "." : "");
		*sort_r = *buf == '.' ? MW_SORT_DOTTED : MW_SORT_NULL;
		return true;
	}
	if (at == n && !quoted) {
		domain_form(key, n, buf);
		*sort_r = key[0] == '.' ? MW_SORT_DOTTED : MW_SORT_DOMAIN;
		return true;
	}
	if (quoted)
		local = unquote(key, at, buf);
	else
		memcpy(buf, key, local = at);
	if (!case_sensitive || at == n)
		copy_lower(buf, buf, local);
	buf[local] = '\0';
	*sort_r = MW_SORT_DOMAIN;
	if (at == n)
		return true;
	buf[local] = '@';
	*sort_r = domain_form(key + at + 1, n - at - 1, buf + local + 1) > 0 ? MW_SORT_ADDRESS
									     : MW_SORT_USER;
	return true;
}

static bool normalise_author(
	const char *key, bool case_sensitive, char *buf, enum mw_key_sort *sort_r)
{
	char address[MW_LOOKUP_KEY_MAX + 1];
	size_t n = mw_keys_find_suffix(key), made;

	memcpy(address, key, n);
	address[n] = '\0';
	normalise_address(address, n, case_sensitive, buf, sort_r);
	if (key[n] == '\0')
		return true;
	made = strlen(buf);
	memcpy(buf + made, SUFFIX, 2);
	domain_form(key + n + 2, strlen(key) - n - 2, buf + made + 2);
	*sort_r += MW_SORT_SIGNED;
	return true;
}

bool mw_key_normalise(const char *key, enum mw_lookup_key type, bool case_sensitive, char *buf,
	size_t size, enum mw_key_sort *sort_r)
{
	size_t n = strnlen(key, MW_LOOKUP_KEY_MAX + 1);

	if (n > MW_LOOKUP_KEY_MAX || size < MW_KEYS_TEXT_MAX)
		return false;
	if (type == MW_KEY_IP)
		return normalise_ip(key, buf, sort_r);
	if (type == MW_KEY_ADDRESS)
		return normalise_address(key, n, case_sensitive, buf, sort_r);
	if (type == MW_KEY_AUTHOR)
		return normalise_author(key, case_sensitive, buf, sort_r);
	memcpy(buf, key, n + 1);
	*sort_r = MW_SORT_ADDRESS;
	return true;
}
