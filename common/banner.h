/*
 * What a session is greeted with and dismissed with: smtpd_greeting_banner and smtpd_quit_banner,
 * whose ${words} are amavisd's.
 */
#ifndef MW_BANNER_H
#define MW_BANNER_H

#include "base.h"

/* With "220 " in front and CRLF behind, a reply line has at most 512 octets (RFC 5321 section
 * 4.5.3.1.5); "221 2.0.0 " is longer. */
#define MW_BANNER_MAX 501

/* What the words stand for. */
struct mw_banner_words {
	const char *helo_name, *myhostname, *protocol;
};

/*
 * text with every ${word} and $word filled in, into banner_r. MW_ERR_CONF: a word that there is
 * not, a ${ without its }, no text at all, what is no printable ASCII, or more than a line takes;
 * setting: its name, for the error.
 */
enum mw_rc mw_banner_fill(const char *setting, const char *text,
	const struct mw_banner_words *words, char banner_r[MW_BANNER_MAX], struct mw_err *err_r);

#endif
