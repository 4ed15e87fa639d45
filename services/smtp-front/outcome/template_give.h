/* What gives macros of a mail their values: the functions behind template_macros.c's table. */
#ifndef SMTP_TEMPLATE_GIVE_H
#define SMTP_TEMPLATE_GIVE_H

#include "template_priv.h"
#include "transaction.h"

/* template_mail.c: the message, its envelope, its client */
enum give_id {
	ID_LOG,
	ID_MAIL,
	ID_PARENT,
	ID_HOST,
	ID_QUEUE,
	ID_CLIENT_HELO,
	ID_CLIENT_PROTO,
	ID_PROTOCOL,
	ID_CLIENT_NAME,
	ID_PEER
};
void give_id(struct template_call *c, int what);
void give_partition(struct template_call *c, int arg);
void give_banks(struct template_call *c, int arg);
void give_size(struct template_call *c, int arg);
void give_body_digest(struct template_call *c, int raw);
void give_elapsed(struct template_call *c, int arg);
enum give_time { TIME_RFC5322, TIME_ISO_UTC, TIME_ISO_LOCAL, TIME_UNIX, TIME_WEEK, TIME_WEEKDAY };
void give_time(struct template_call *c, int what);
void give_sender(struct template_call *c, int origin); /* origin: who is behind it really */
enum give_rcpts { RCPTS_ALL, RCPTS_DELIVERED, RCPTS_NOT, RCPTS_WHY_NOT };
void give_rcpts(struct template_call *c, int which);
void give_originating(struct template_call *c, int arg);
void give_field(struct template_call *c, int id); /* enum mw_field_id, or -1: by argument */
enum give_resent { RESENT_MESSAGE_ID, RESENT_FROM, RESENT_SENDER };
void give_resent(struct template_call *c, int which);
void give_addresses(struct template_call *c, int sender);
void give_useragent(struct template_call *c, int arg);
void give_header(struct template_call *c, int arg);
void give_log_domains(struct template_call *c, int arg);
void give_dsn_notify(struct template_call *c, int arg);
enum give_client { CLIENT_IP, CLIENT_PORT, CLIENT_BOTH };
void give_client(struct template_call *c, int what);
void give_peer_name(struct template_call *c, int arg);
void give_tls(struct template_call *c, int arg);
enum give_trace {
	TRACE_OLDEST,
	TRACE_FIELD,
	TRACE_ALL,
	TRACE_PUBLIC,
	TRACE_PROTO,
	TRACE_PROTO_PUBLIC
};
void give_trace(struct template_call *c, int what);
enum give_response { RESPONSE_MTA, RESPONSE_WHOLE, RESPONSE_OF_MTA };
void give_response(struct template_call *c, int what);

/* template_results.c: what was found, and what became of it */
enum give_ccat { CCAT_BY_ARG, CCAT_MAJOR, CCAT_MINOR, CCAT_NAME };
void give_ccat(struct template_call *c, int what);
void give_actions(struct template_call *c, int arg);
void give_score(struct template_call *c, int arg);
void give_stars(struct template_call *c, int arg);
enum give_tests { TESTS_LIST, TESTS_NAMES, TESTS_SCORES };
void give_tests(struct template_call *c, int how);
enum give_level { LEVEL_TAG, LEVEL_TAG2, LEVEL_KILL };
void give_level(struct template_call *c, int which);
void give_required(struct template_call *c, int arg);
void give_above(struct template_call *c, int which);
void give_yesno(struct template_call *c, int capitals);
void give_supplementary(struct template_call *c, int arg);
void give_autolearn(struct template_call *c, int arg);
enum give_report { REPORT_LIST, REPORT_SUMMARY, REPORT_TERSE };
void give_report(struct template_call *c, int how);
enum give_virus { VIRUS_NAMES, VIRUS_SCANNERS, VIRUS_OUTPUT };
void give_virus(struct template_call *c, int what);
enum give_banned { BANNED_PART, BANNED_PARTS, BANNED_KEY, BANNED_COMMENT };
void give_banned(struct template_call *c, int what);
void give_header_findings(struct template_call *c, int arg);
void give_quarantined(struct template_call *c, int arg);
void give_dkim(struct template_call *c, int arg);
void give_usage(struct template_call *c, int arg);
void give_number(struct template_call *c, int arg);
void give_local(struct template_call *c, int arg);

/* template_functions.c: of their arguments alone */
void give_wrap(struct template_call *c, int arg);
void give_case(struct template_call *c, int upper);
void give_substr(struct template_call *c, int arg);
void give_index(struct template_call *c, int arg);
void give_len(struct template_call *c, int arg);
enum give_sum { SUM_ADD, SUM_SUBTRACT, SUM_LEAST, SUM_MOST };
void give_sum(struct template_call *c, int how);
void give_sprintf(struct template_call *c, int arg);
void give_join(struct template_call *c, int arg);
void give_limit(struct template_call *c, int arg);
enum give_quote { QUOTE_DOUBLE, QUOTE_BLANKS };
void give_quote(struct template_call *c, int how);
void give_rot13(struct template_call *c, int arg);
enum give_encode { ENCODE_HEX, ENCODE_BASE64, ENCODE_BASE64_BARE, ENCODE_BASE64URL };
void give_encode(struct template_call *c, int how);
void give_address_decode(struct template_call *c, int arg);
void give_mime_decode(struct template_call *c, int arg);

/* For several of them. */
struct mw_octets give_copy(struct template_call *c, const void *p, size_t n);
/* An argument as a number; dflt where there is none, or it is none. */
long give_arg_number(const struct template_call *c, size_t i, long dflt);
/* Cut to so many octets, "[...]" at the end; less than 6 cut nothing. */
struct mw_octets give_cut(struct template_call *c, struct mw_octets s, size_t most);
/* "-1.5", "3": no zeros at the end; width: least characters of its integer part, of zeros or
 * blanks. */
size_t give_milli(char *buf, size_t size, int64_t milli, size_t width, char pad);
/* Recipients that the scope is about: *n_r of them. */
const struct txn_rcpt *give_scope(const struct template_call *c, size_t *n_r);

#endif
