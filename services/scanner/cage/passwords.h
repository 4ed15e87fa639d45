/*
 * Passwords that the mail's own text tells: words that stand behind "password", "Kennwort", "mot de
 * passe" and so on in its subject and its text parts, then those that the settings say. The text is
 * looked at when the first encrypted member asks, wherever in the mail that text stands; mail
 * without such members pays nothing.
 */
#ifndef SCAN_PASSWORDS_H
#define SCAN_PASSWORDS_H

#include "base.h"

#define PASSWORDS_MOST 64     /* words in all */
#define PASSWORDS_OCTETS 2048 /* of all words */
/* What trying may cost in one mail, in tries of a cheap cipher: some microseconds each. */
#define PASSWORDS_COST_MAX 2000
#define PASSWORDS_COST_CHEAP 1
#define PASSWORDS_COST_DEAR 20	  /* a thousand rounds of PBKDF2: some milliseconds */
#define PASSWORDS_SET_OCTETS 1024 /* of those that the settings say, each with its NUL */

struct passwords {
	struct mw_octets message;
	struct mw_octets set; /* NUL behind each; borrowed */
	unsigned most;	      /* words taken from the text */
	bool gathered;
	bool opened;   /* one of them fitted */
	unsigned cost; /* so far */
	unsigned count;
	struct password_word {
		uint16_t at, n; /* in text */
		uint16_t rank;	/* 0: most likely */
	} words[PASSWORDS_MOST];
	size_t octets;
	char text[PASSWORDS_OCTETS];
};

void passwords_begin(
	struct passwords *p, struct mw_octets message, struct mw_octets set, unsigned most);
/* The i-th word to try, from 0, the likeliest first; p NULL: none. False: there are no more, or
 * trying them costs too much. */
bool passwords_next(struct passwords *p, unsigned i, unsigned cost, struct mw_octets *word_r);
/* Whether a try of no word, or of one that is known, may cost that much more; p NULL: as in a mail
 * without any other. */
bool passwords_afford(struct passwords *p, unsigned cost);
/* The i-th fitted: it is the likeliest from now on. */
void passwords_fitted(struct passwords *p, unsigned i);
/* For tests: take the words of one text. */
void passwords_of_text(struct passwords *p, struct mw_octets text, bool html);

#endif
