/*
 * What amavisd writes of each mail, field by field (docs/templates.md has these texts, too). Two
 * lines where somebody gets it and somebody does not. %#x asks whether there is anything in x, for
 * its value may be a number by chance. What a stranger chooses (addresses, names, identifiers) has
 * no blanks in front of our own keys: what looks like one there would be read instead of it.
 */
#include "log_texts.h"

/* The word behind Passed or Blocked, by the main or the blocking category's number. */
#define WORD(which)                                                                                \
	"[? [:ccat|major|" which                                                                   \
	"] |OTHER|CLEAN|MTA-BLOCKED|OVERSIZED|BAD-HEADER[? [:ccat|minor|" which                    \
	"] ||-[:ccat|minor|" which "]]|SPAMMY|SPAM|UNCHECKED[? [:ccat|minor|" which                \
	"] ||-ENCRYPTED|]|BANNED[? %#F || ([:uquote|%F])]|INFECTED[? %#V || ([:uquote|%V])]]"

#define CLIENT                                                                                     \
	",[? %#p || %p][? %#l || LOCAL]"                                                           \
	"[? [:client_addr_port] || [:client_addr_port]][? %#e || \\[%e\\]]"

#define IDS                                                                                        \
	"[? %#q ||, quarantine: %q][? %#Q ||, Queue-ID: %Q][? %#m ||, Message-ID: %m]"             \
	"[? %#r ||, Resent-Message-ID: %r]"

/* The id that a next hop names, or all that it said. */
#define QUEUED                                                                                     \
	"[? [:remote_mta_smtp_response] ||, queued_as: "                                           \
	"[remote_mta_smtp_response|"                                                               \
	"[~%x|[\"queued as ([^ \\t,;)]+)\"]|[\"%1\"]|[\"%0\"]]|/]]"

#define SIGNATURES                                                                                 \
	"[? [:dkim|sig_sd] ||, dkim_sd=[:dkim|sig_sd]]"                                            \
	"[? [:dkim|newsig_sd] ||, dkim_new=[:dkim|newsig_sd]]"

#define DELIVERED "[%D|[:uquote|%D]|,]"
#define REFUSED "[%O|[:uquote|%O]|,]"

#define SHORT(word, recipients, queued)                                                            \
	" {[:actions_performed]}" CLIENT " [:uquote|%s] -> " recipients IDS                        \
	", mail_id: %i, Hits: %c"                                                                  \
	", size: %z" queued "#\n"                                                                  \
	"# [? %#j ||, Subject: [:dquote|[:mime2utf8|%j|100|1]]]#\n"                                \
	"# [? [:rfc2822_from] ||, From: [:uquote|[:rfc2822_from]]]#\n"                             \
	"# [? %#T ||, Tests: \\[[%T|%T|,]\\]]#\n" SIGNATURES ", %y ms"

const char log_short_text[] = "[? %#D ||Passed " WORD("main")
	SHORT("main", DELIVERED, QUEUED) "\n"
					 "]#\n"
					 "[? %#O ||Blocked " WORD("") SHORT("", REFUSED, "") "]";

#define CONTENTS                                                                                   \
	"[? %#j ||, Subject: [:dquote|[:mime2utf8|%j|100|1]]]"                                     \
	"[? [:rfc2822_from] ||, From: [:uquote|[:rfc2822_from]]]"                                  \
	"[? [:dkim|author] || (dkim:AUTHOR)]"                                                      \
	"[? [:useragent|name] ||, [:useragent|name]: [:uquote|[:limit|200|[:useragent|body]]]]"    \
	"[? [:client_helo] ||, helo=[:uquote|[:client_helo]]]"                                     \
	"[? %#T ||, Tests: \\[[%T|%T|,]\\]]"                                                       \
	"[? [:banning_rule_key] ||, b.key=[:banning_rule_key]]"                                    \
	"[? [:banning_rule_comment] ||, b.com=[:banning_rule_comment]]"                            \
	"[? [:banned_parts] ||, b.parts=[:uquote|[:banned_parts]]]"                                \
	"[? [:AUTOLEARN] ||, autolearn=[:AUTOLEARN]]"                                              \
	"[? [:dkim|identity] ||, dkim_i=[:uquote|[:dkim|identity]]]" SIGNATURES                    \
	", rss=[:rusage|ru_maxrss], %y ms"

#define VERBOSE(recipients, queued)                                                                \
	" {[:actions_performed]}" CLIENT                                                           \
	" [:client_protocol]/[:protocol] [:uquote|%s] -> " recipients                              \
	"[? [:tls_in] ||, tls: [:tls_in]]"                                                         \
	"[? [:ip_proto_trace_all] ||, ([ip_proto_trace_all|%x| < ])]" IDS ", mail_id: %i"          \
	", b: [:substr|[:b64urlenc|[:body_digest]]|0|9], Hits: %c, size: %z" queued CONTENTS

const char log_verbose_text[] = "[? %#D ||Passed " WORD("main")
	VERBOSE(DELIVERED, QUEUED) "\n"
				   "]#\n"
				   "[? %#O ||Blocked " WORD("") VERBOSE(REFUSED, "") "]";

const char log_recip_text[] =
	"[? %#D |Blocked|Passed] [? [:ccat|major] |OTHER|CLEAN|MTA-BLOCKED|OVERSIZED|BAD-HEADER"
	"|SPAMMY|SPAM|UNCHECKED|BANNED[? %#F || ([:uquote|%F])]|INFECTED[? %#V || ([:uquote|%V])]]"
	", [:uquote|%s] -> [:uquote|%D%O], Hits: %c"
	", tag=[:tag_level], tag2=[:tag2_level], kill=[:kill_level]"
	"[? %#D ||[remote_mta_smtp_response|[~%x|[\"queued as ([^ \\t,;)]+)\"]"
	"|[\", queued_as: %1\"]|[\", fwd: %0\"]]|]]"
	", %0/%1/%2/%k";
