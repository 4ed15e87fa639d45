/*
 * Who gets which treatment. A policy is what the base and the banks loaded on top of it say,
 * compiled from the settings into plain fields; nothing is looked up by name while mail runs. Every
 * bank is compiled at load, on the base and where a socket, a client's address and MYUSERS load it,
 * so that what is wrong with one, or with two together, is told then; so is what a signature or a
 * virus may load on top of that. A sequence of banks that only AM.PDP's clients bring, or several
 * signatures, is compiled when it comes first. A set holds them all and lives until the
 * last mail that began with it is over.
 */
#ifndef SMTP_POLICY_H
#define SMTP_POLICY_H

#include "banner.h"
#include "conf.h"
#include "delivery/delivery.h"
#include "log.h"
#include "lookup.h"
#include "policy_texts.h"
#include "policy_notices.h"
#include "rcpt_policy.h"
#include "rcpt_texts.h"
#include "tls.h"
#include "wire.h"

/* What a listening socket speaks; auto: SMTP or LMTP, as the client greets. */
enum policy_protocol { PROTOCOL_AUTO, PROTOCOL_SMTP, PROTOCOL_LMTP, PROTOCOL_AMPDP };

/* What becomes of mail with an LF that no CR stands before. */
enum policy_newline { NEWLINE_REJECT, NEWLINE_NORMALISE, NEWLINE_PASS };

/* Banks on top of one another for one mail, and sequences of them in one set. */
#define POLICY_BANKS_MAX 12
#define POLICIES_MAX 1000
#define POLICIES_ASKED_MAX 500 /* of them, so many that AM.PDP's clients may bring */
#define POLICIES_MADE_MAX 500  /* at load, no more of those that a message may bring */

struct sender_lists; /* sender_lists.h */

/* A pair of client_ipaddr_policy. */
struct policy_client {
	struct mw_lookup *nets;
	char *banks; /* "A, B" */
};

/* In which a mail leaves the quarantine (outcome/release_form.h). */
enum release_format { RELEASE_RESEND, RELEASE_ATTACH, RELEASE_PLAIN, RELEASE_ARF };

struct policy {
	char bank[64]; /* the last that was loaded; "" is the base */
	const struct policy *below;
	const char *banks[POLICY_BANKS_MAX]; /* all that were, in their order */
	size_t bank_count;
	struct mw_conf *conf;		      /* what it was compiled from */
	struct policy *next, *above, *beside; /* all of the set; what was loaded on this one */
	struct mw_lookup *mynetworks;
	struct policy_client *clients; /* none: mynetworks load MYNETS */
	size_t client_count;
	size_t dns_lists; /* in the tables that a client's address is looked for in */
	enum policy_protocol protocol;
	enum policy_newline bare_newline;
	unsigned offers; /* bits of enum smtp_offer */
	bool originating;
	struct mw_log_voice voice; /* of lines about its mail */
	struct policy_texts texts; /* log lines, reasons */
	/* By recipient. */
	struct mw_lookup *local_domains, *bypass_virus, *bypass_spam, *bypass_banned,
		*bypass_header;
	const char *delimiters; /* recipient_delimiter, or NULL; the settings' */
	bool case_sensitive;	/* localpart_is_case_sensitive */
	struct mw_lookup *tag_levels, *tag2_levels, *tag3_levels, *kill_levels;
	struct mw_lookup *quarantine_cutoffs, *admin_cutoffs, *dsn_cutoffs, *credible_dsn_cutoffs;
	struct mw_lookup *sender_dsn_cutoffs, *sender_credible_dsn_cutoffs; /* by sender */
	struct mw_lookup *virus_lovers, *spam_lovers, *unchecked_lovers, *banned_lovers,
		*bad_header_lovers;
	struct mw_lookup *size_limits, *forward_methods;
	struct mw_lookup *subject_tags, *subject_tags2, *subject_tags3, *spam_fields_go;
	struct mw_lookup *virus_quarantine_to, *spam_quarantine_to, *unchecked_quarantine_to,
		*banned_quarantine_to, *bad_header_quarantine_to, *clean_quarantine_to;
	bool size_limit_64k; /* they are that at least */
	struct policy_by_ccat by_ccat[CCAT_SLOTS];
	const struct quarantine_method *quarantine[CCAT_SLOTS]; /* NULL: nobody says anything */
	struct quarantine_method *archive_method;		/* nowhere, or of all mail */
	struct mw_lookup *archive_to, *spam_by_sender;
	const char *quarantine_sender;	   /* of copies that are mailed; NULL: the mail's own */
	struct policy_ask asks[RCPT_ASKS]; /* all of that, in the order of asking */
	struct txn_rcpt *usual;		   /* what is so for everybody */
	uint16_t asked[RCPT_ASKS];	   /* enum rcpt_ask: what is not */
	size_t asked_count;
	/* Changes of addresses and bodies. */
	struct policy_rcpt_texts rcpt_texts;
	struct policy_bcc bcc, dsn_bcc;
	struct policy_notices notices;
	bool replaces_extension, defang_all, allow_disclaimers, outbound_disclaimers_only;
	struct mw_lookup *disclaimer_options; /* by sender */
	struct mw_lookup *banned_filename, *banned_namepath;
	bool bans; /* some rule could ban something for somebody, by the settings */
	bool bypass_decode_parts, part_digests;
	unsigned header_tests;				     /* bits of enum header_test */
	int32_t dsn_cutoff_milli, credible_dsn_cutoff_milli; /* RCPT_NO_LEVEL: none */
	bool virus_failure_fatal, spam_failure_fatal;
	uint32_t fields_off; /* bits of enum edit_field: never added */
	bool x_scanned_goes; /* remove_existing_x_scanned_headers */
	bool fix_header, fix_folding, fix_long_lines;
	unsigned field_index; /* prepend_header_fields_hdridx */
	char x_header_tag[64], x_header_line[256], level_char[2], authserv_id[256],
		localhost_name[256];
	char greeting[MW_BANNER_MAX], goodbye[2][MW_BANNER_MAX]; /* [1]: to who said LHLO */
	struct next_hops forward, notify, release, requeue;
	struct next_hops resend;       /* of changed mail; count 0: where it goes anyway */
	struct next_hop_source source; /* of connections to all of them; every hop has it, too */
	bool auth_required_release, release_rescan;
	enum release_format release_format, report_format;
	enum tls_level tls_in;
	uint64_t message_size_limit;
	unsigned recipient_limit;
	uint64_t smtpd_timeout_ms, child_timeout_ms;
	bool dkim_verify, dkim_sign;
	struct mw_pack signed_fields; /* of the order `headers`; empty: the worker's own list */
	unsigned dkim_minimum_bits;
	struct mw_lookup *author_banks, *virus_banks;  /* names of banks by author, by virus */
	struct mw_lookup *virus_scores, *virus_fakers; /* by name */
	struct mw_lookup *white_senders, *black_senders;
	struct sender_lists *rcpt_white_senders, *rcpt_black_senders, *sender_scores; /* or NULL */
	bool warn_banned_sender, warn_bad_header_sender, soft_bounce, soft_bounce_discards;
	bool ip_repu;
	int32_t ip_repu_limit_milli; /* 0: none */
	int32_t penpals_bonus_milli; /* 0: off */
	uint64_t penpals_halflife_s;
	int32_t penpals_threshold_low_milli;
	struct mw_lookup *acl, *proxies; /* by address: of the client; of proxies that name it */
	bool haproxy;			 /* connections begin with a PROXY header */
	uint64_t haproxy_timeout_ms;
};

struct policy_signer {
	char domain[256], selector[128];
};

struct policy_port {
	char key[128]; /* "10026", "[::1]:10026", "/run/x.sock" or "SOCK" */
	const struct policy *policy;
};

/* A socket that the settings want to listen at. */
struct policy_socket {
	char address[108]; /* without [], or the path of a Unix socket */
	unsigned port;	   /* 0: the kernel picks one, or a Unix socket */
	bool unix_socket;
	unsigned group; /* sockets of one value of the settings have the same */
	bool may_fail;	/* as long as another of its group opens */
	bool silent;	/* and nobody is told */
	unsigned line;	/* mw_conf_at() */
};

struct policy_set {
	unsigned refs;
	struct mw_conf *conf;
	struct policy *base, **last_p; /* all, by next, the base first */
	size_t count;
	struct policy_port *ports;
	size_t port_count;
	struct policy_socket *sockets;
	size_t socket_count;
	struct policy_signer *signers; /* domains that the dkim workers have a key for */
	size_t signer_count;
	struct mw_lookup_files *files; /* behind the tables of all policies */
	struct banned_rules *banned_rules;
	bool bans;		      /* some policy does */
	struct policy_routes *routes; /* next hops by recipient; NULL: none yet */
	/* global */
	struct mw_tls_ctx *tls_in, *tls_out; /* NULL: no policy of the set wants it */
	char myhostname[256], quarantine_dir[256];
	char altermime[256], spool_dir[256]; /* "": there is no such program */
	uint64_t altermime_timeout_ms;
	bool quarantine_subdirs, quarantine_sync;
	size_t sql_chunk_octets;
	unsigned mail_id_octets; /* of the secret that mail ids are made of */
	unsigned partition_tag;	 /* of rows and names; by_week: the ISO week of the mail's time */
	bool partition_by_week;
	char **mail_dirs; /* of AM.PDP's clients */
	size_t mail_dir_count;
	struct hooks *hooks; /* NULL: none is set */
	bool check_spam, check_reputation;
	bool dns_lists; /* some policy has them */
	unsigned delivery_reserve_percent;
	uint64_t loaded_ms;		/* wall clock */
	size_t decisions_recipients;	/* whose settings the record tells */
	struct policy_origins *origins; /* texts; NULL: none yet */
	uint64_t auth_timeout_ms;
};

/* Compile all banks. err_r names the setting that cannot be. */
enum mw_rc policy_set_new(
	const struct mw_conf *conf, struct policy_set **set_r, struct mw_err *err_r);
struct policy_set *policy_set_ref(struct policy_set *set);
void policy_set_unref(struct policy_set **set_p);
/* The banks of a listening socket: those of its port, then those of its [address]:port on top;
 * those of SOCK, then those of a Unix socket's path; the base when none are named. */
const struct policy *policy_for_socket(
	const struct policy_set *set, const char *address, unsigned port);
/* A key of interface_policy means that socket. */
bool policy_socket_is(const struct policy_socket *s, const char *key);
/*
 * The policy with that bank on top of p; p itself when it is on top already. NULL, and *err_r says
 * why: there is no such bank, more than POLICY_BANKS_MAX, it would be one more sequence than most,
 * or it cannot be compiled (memory, settings that do not go together).
 */
const struct policy *policy_load(struct policy_set *set, const struct policy *p, const char *bank,
	size_t n, size_t most, struct mw_err *err_r);
/* The same with all banks of a list, comma- or blank-separated, in its order; most is POLICIES_MAX.
 */
const struct policy *policy_load_all(
	struct policy_set *set, const struct policy *p, const char *banks, struct mw_err *err_r);
/* Some mail is kept in that way. */
bool policy_keeps(const struct policy *p, enum quarantine_kind kind);
/* Some is kept below QUARANTINEDIR. */
bool policy_keeps_files(const struct policy *p);
/*
 * Which banks a value of author_to_policy_bank_maps or virus_name_to_policy_bank_maps means, as a
 * list: "1" is the bank approved, where there is one. NULL: none.
 */
const char *policy_banks_meant(
	const struct policy_set *set, const char *value, const char *approved);
#define BANK_OF_AUTHORS "AUTHOR_APPROVED"
#define BANK_OF_VIRUSES "VIRUS"
/* The next name of a list of banks, *rest_p is then behind it; of length 0: the list has ended. */
struct mw_octets policy_next_bank(const char **rest_p);
/* It is among those of such a list. */
bool policy_names_bank(const char *banks, const char *bank);
/* There is a bank of that name. */
bool policy_has_bank(const struct policy_set *set, const char *bank, size_t n);
/* The banks that the original client's address loads (policy-and-lookups 2, step 3); ip NULL: it is
 * not known. dnsl: the answers of DNS lists, or NULL. NULL: none. r: the entry that matched, of
 * client_ipaddr_policy, or of mynetworks where p has no such pairs. */
const char *policy_banks_of_client(const struct policy_set *set, const struct policy *p,
	const char *ip, struct mw_dnsl_source *dnsl, struct mw_lookup_result *r);
/* The key to sign with for that address's domain; NULL: none. */
const struct policy_signer *policy_signer_for(const struct policy_set *set, const char *address);

#endif
