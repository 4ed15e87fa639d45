/* A record with every field set to something of its own, for the tests that move records about. */
#ifndef SAMPLE_RECORD_H
#define SAMPLE_RECORD_H

#include "record.h"

/* The same octets as an initialiser and as a value. */
#define S(text)                                                                                    \
	{                                                                                          \
		(const unsigned char *)"" text, sizeof(text) - 1                                   \
	}
#define O(text) ((struct mw_octets)S(text))

static const struct mw_record_check sample_checks[] = {
	{ S("scan"), S("scan-1"), true, MW_DONE, S(""), 1, 120, 5000, 4000 },
	{ S("spam"), S(""), false, MW_FAILED, S("bypassed"), 0, 0, 0, 0 },
};
static const struct mw_record_test sample_tests[] = { { S("BAYES_00"), -1900 },
	{ S("AM.X"), 100 } };
static const struct mw_record_av sample_av[] = { { S("ClamAV"), S("Eicar-Test") } };
static const struct mw_record_part sample_parts[] = {
	{ 0, S("1"), S("a/b"), S("n\xff.zip"), S("B"), 70000,
		S("0123456789abcdef0123456789abcdef") },
	{ 1, S(""), S(""), S(""), S(""), 0, S("") },
};
static const struct mw_record_elapsed sample_elapsed[] = {
	{ S("receiving"), 1000, 0 },
	{ S("total"), 9000, 700 },
};
static const struct mw_record_rcpt sample_rcpts[] = {
	{ S("b@example.net"), true, MW_ACT_PASS, S("250 2.0.0 ok"), S("QID1"), true, 1500, false,
		true, false, MW_CCAT(1, 1), 0, S("relmailid"), 77, true, true },
	{ S("c@example.org"), false, MW_ACT_REJECT, S("554 5.7.0 no"), S(""), false, 0, true, false,
		true, MW_CCAT(9, 0), MW_CCAT(9, 0), S(""), -1, false, false },
};

static const struct mw_octets sample_two[] = { S("MYNETS"), S("ORIGINATING") };
static const struct mw_octets sample_id[] = { S("<1@example.com>") };
static const struct mw_octets sample_files[] = { S("a.pdf"), S("\xff\0zin"), S("") };

static inline struct mw_record sample_record(void)
{

	const struct mw_list banks = { MW_COUNT(sample_two), sample_two };
	const struct mw_list one = { MW_COUNT(sample_id), sample_id };
	const struct mw_list names = { MW_COUNT(sample_files), sample_files };

	return (struct mw_record){
		.incarnation = 77,
		.sequence = 3,
		.host = O("mx.example.net"),
		.log_id = O("00001-01"),
		.mail_id = O("abcDEF123456"),
		.mail_id_parent = O("parent"),
		.time_ms = 1772439330120u,
		.policy_banks = banks,
		.originating = true,
		.src_ip = O("127.0.0.1"),
		.dst_ip = O("127.0.0.2"),
		.client_ip = O("198.51.100.7"),
		.client_name = O("client.example"),
		.helo = O("helo.example"),
		.protocol = O("ESMTP"),
		.queue_id = O("4QbW"),
		.src_port = 1,
		.dst_port = 10024,
		.client_port = 65535,
		.ip_trace = one,
		.ip_proto_trace = banks,
		.mail_from = O("a@example.com"),
		.sender = O("s@example.com"),
		.subject = O("=?UTF-8?Q?caf=C3=A9?="),
		.message_id = O("<1@example.com>"),
		.user_agent = O("Mutt/2.2"),
		.author = one,
		.to_addr = banks,
		.cc_addr = one,
		.references = one,
		.attached_file_names = names,
		.size = 8123,
		.is_auto = true,
		.is_mlist = false,
		.is_bulk = true,
		.is_bounce = true,
		.ccat = MW_CCAT(9, 0),
		.check_count = MW_COUNT(sample_checks),
		.checks = sample_checks,
		.has_score = true,
		.score_milli = -1800,
		.ip_repu_milli = 250,
		.test_count = MW_COUNT(sample_tests),
		.tests = sample_tests,
		.av_count = MW_COUNT(sample_av),
		.av = sample_av,
		.quarantine = O("virus/v-abc.gz"),
		.quar_type = O("Z"),
		.quarantines = one,
		.quarantine_octets = 4000,
		.dkim_valid_sig = one,
		.dkim_new_sig = one,
		.dkim_author_sig = O("example.com"),
		.dkim_signatures = 2,
		.penpals_asked = true,
		.poison = true,
		.reply = O("250 2.0.0 ok"),
		.aborted = false,
		.rcpt_count = MW_COUNT(sample_rcpts),
		.rcpts = sample_rcpts,
		.elapsed_count = MW_COUNT(sample_elapsed),
		.elapsed = sample_elapsed,
		.out_msgs = 1,
		.out_msgs_failed = 2,
		.out_msgs_rejected = 3,
		.out_octets = 9000,
		.out_lmtp = true,
		.conn_new = 4,
		.conn_quit = 5,
		.conn_reuse = 6,
		.conn_reuse_fail = 7,
		.own = MW_OWN_NOTICE,
		.part_count = MW_COUNT(sample_parts),
		.parts = sample_parts,
	};
}

#endif
