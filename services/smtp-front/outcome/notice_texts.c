#include "notice_texts.h"

#include "base.h"

/* What every text about a mail ends with: how it can be found again, and what it was. */
#define REFERENCES                                                                                 \
	"\nThis is how we know it:\n"                                                              \
	"    Host: %h\n"                                                                           \
	"    Log id: %n\n"                                                                         \
	"    Mail id: %i\n"                                                                        \
	"\nThis is what it says of itself:\n"                                                      \
	"    Return-Path: %s\n"                                                                    \
	"[?[:header_field|From]||    From: [:header_field|From|200]\n]"                            \
	"[?[:header_field|Sender]||    Sender: [:header_field|Sender|200]\n]"                      \
	"[?%m||    Message-ID: %m\n]"                                                              \
	"[?[:header_field|Date]||    Date: [:header_field|Date|100]\n]"                            \
	"[?%j||    Subject: [:mime2utf8|%j|200]\n]"

#define CAME_FROM                                                                                  \
	"[?%a||\nIt was handed to us by %a.\n]"                                                    \
	"[?%e||The oldest address in its trace is %e.\n]"

#define UNDELIVERED                                                                                \
	"[?%#N||\nIt was not delivered to:\n[%N|%N|\n]\n]"                                         \
	"[?%#D||\nIt was delivered to:\n[%D|    %D|\n]\n]"

/* Major 4, by its minors. */
#define BAD_HEADER                                                                                 \
	"[?[:ccat|major]|||||"                                                                     \
	"\nIts header section is not what RFC 5322 asks for. "                                     \
	"[?[:ccat|minor]"                                                                          \
	"|Please look at the program that wrote it."                                               \
	"|Its MIME structure is broken: parts have no end, or say twice what they are "            \
	"(RFC 2045, RFC 2046)."                                                                    \
	"|A field has characters beyond ASCII that are not encoded. Subjects and names are "       \
	"written as encoded words (RFC 2047)."                                                     \
	"|A field has a NUL or a carriage return in it. Lines end with CR LF, and neither stands " \
	"anywhere else (RFC 5322, section 2.2)."                                                   \
	"|A field is continued by a line of white space alone, which many programs take for the "  \
	"end of the header section (RFC 5322, section 3.2.2)."                                     \
	"|A line is longer than 998 octets (RFC 5322, section 2.1.1). Long fields are folded."     \
	"|A line is no field: fields have a name of printable characters, followed by a colon "    \
	"(RFC 5322, section 2.2)."                                                                 \
	"|A field is missing that every message has: Date or From (RFC 5322, section 3.6)."        \
	"|A field is there twice that may be there once (RFC 5322, section 3.6).]"                 \
	"\n[?%#X||\nWhat was found:\n[%X|    %X|\n]\n]"                                            \
	"|]"

/* What was found, for everybody. */
#define FINDINGS                                                                                   \
	"[?%#V||Viruses: [%V|%V|, ]\n]"                                                            \
	"[?%#F||Banned parts: %F\n]"                                                               \
	"[?%#X||Header section: [%X|%X|; ]\n]"

#define KEPT "[?%#q||It is kept in the quarantine: [%q|%q|, ]\n]"

static const char sender[] =
	"Subject: [?%#N|Mail passed on|Undelivered mail] ([:ccat|name])\n"
	"\n"
	"This is the mail content filter at %h.\n"
	"\n"
	"[?%#N|A message of yours has been passed on.|A message of yours could not be delivered "
	"to everybody.]\n" UNDELIVERED BAD_HEADER REFERENCES;

static const char virus_sender[] =
	"Subject: [?%#V|Message with banned contents|Infected message] from you\n"
	"\n"
	"This is the mail content filter at %h.\n"
	"\n"
	"In a message that bears your address as its sender something was found that does not "
	"pass here:\n"
	"\n" FINDINGS CAME_FROM UNDELIVERED
	"[?%#V|\nThe types or names of some of its parts are not taken here. Send them in another "
	"way, or ask the recipient how.\n|\nPlease check your computer for viruses. If you did not "
	"send the message, somebody else used your address.\n]" REFERENCES;

static const char spam_sender[] =
	"Subject: Your message was taken for spam\n"
	"\n"
	"This is the mail content filter at %h.\n"
	"\n"
	"A message of yours looks like unsolicited mail and was not "
	"delivered to everybody.\n" UNDELIVERED
	"\nIf it is none, please tell the recipient in another way.\n" REFERENCES;

static const char virus_admin[] = "Subject: [:ccat|name] in mail [?%l|TO|FROM] LOCAL, sender %s\n"
				  "\n"
				  "Found in a message: [:ccat|name]\n" FINDINGS CAME_FROM
				  "[?%#t||First hop of its trace: %t\n]" KEPT UNDELIVERED REFERENCES
				  "[?%#W||\nScanners that found something: [%W|%W|, ]\n]"
				  "[?%v||\nWhat they said:\n%v\n]";

static const char spam_admin[] =
	"Subject: Spam, score %c, sender %s\n"
	"\n"
	"Taken for spam: score %c[?[:TESTS]||, tests [:TESTS]]\n" FINDINGS CAME_FROM
	"[?%#t||First hop of its trace: %t\n]" KEPT UNDELIVERED REFERENCES
	"[?%#A||\nReport:\n[%A|%A|\n]\n]";

static const char virus_recips[] =
	"Subject: [?%#V|Something was found in|A virus was found in] mail to you\n"
	"\n"
	"This is the mail content filter at %h.\n"
	"\n"
	"A message to you was [?%#O|marked|held back]: [:ccat|name]\n"
	"\n" FINDINGS "It seems to come from %o.\n" KEPT
	"Your postmaster can look at it.\n" REFERENCES;

const char *notice_text_default(const char *setting)
{
	static const struct {
		const char *setting, *text;
	} rows[] = {
		{ "notify_sender_templ", sender },
		{ "notify_virus_sender_templ", virus_sender },
		{ "notify_spam_sender_templ", spam_sender },
		{ "notify_virus_admin_templ", virus_admin },
		{ "notify_spam_admin_templ", spam_admin },
		{ "notify_virus_recips_templ", virus_recips },
		{ "notify_spam_recips_templ", "" },
	};

	for (size_t i = 0; i < MW_COUNT(rows); i++)
		if (strcmp(rows[i].setting, setting) == 0)
			return rows[i].text;
	return "";
}
