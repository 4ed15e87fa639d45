/* Where a virus may hide, and what is told about the mail around it. */
#include "help.h"

#include <unistd.h>

#include "digest.h"
#include "text.h"
#include "work_priv.h"

struct fixture {
	struct av *av;
	struct scan_conf conf;
	struct work *work;
	char folder[64];
};

static int open_fixture(void **state)
{
	static struct fixture f;

	strcpy(f.folder, "/tmp/mw-work-XXXXXX");
	assert_non_null(mkdtemp(f.folder));
	f.conf = test_conf();
	f.av = test_engine(f.folder);
	f.work = work_new(&f.conf, f.av, NULL);
	assert_non_null(f.work);
	*state = &f;
	return 0;
}

static int close_fixture(void **state)
{
	struct fixture *f = *state;

	work_destroy(&f->work);
	av_close(&f->av);
	return rmdir(f->folder);
}

struct outcome {
	enum mw_status status;
	char reason[MW_REASON_MAX];
	bool worn;
	struct mw_pack b;
};

static const struct scan_order usual = { .virus = true, .decode = true };

static struct mw_octets run_as(
	struct fixture *f, struct outcome *o, const char *text, const struct scan_order *order)
{
	memset(o, 0, sizeof(*o));
	mw_pack_init(&o->b);
	o->status = work_run(f->work, mw_octets_of_text(text), order, mw_mono_ms() + 20000, &o->b,
		o->reason, &o->worn);
	assert_false(o->b.failed);
	return mw_octets_of(o->b.p, o->b.n);
}

static struct mw_octets run(struct fixture *f, struct outcome *o, const char *text)
{
	return run_as(f, o, text, &usual);
}

/* "name part;" of each virus. */
static const char *viruses(struct mw_octets findings)
{
	static char out[4096];
	struct mw_cur c;
	size_t count;

	out[0] = '\0';
	assert_true(mw_map_find(findings, "viruses", &c));
	assert_true(mw_cur_array(&c, &count));
	while (count-- > 0) {
		struct mw_octets v, name, part;

		assert_true(mw_cur_raw_map(&c, &v));
		name = mw_map_octets(v, "name");
		part = mw_map_octets(v, "part");
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%.*s %.*s;", (int)name.n,
			(const char *)name.p, (int)part.n, (const char *)part.p);
	}
	return out;
}

static const char *texts(struct mw_octets findings, const char *key)
{
	static char out[8192];
	struct mw_cur c;
	size_t count;

	out[0] = '\0';
	assert_true(mw_map_find(findings, key, &c));
	assert_true(mw_cur_array(&c, &count));
	while (count-- > 0) {
		struct mw_octets v;

		assert_true(mw_cur_octets(&c, 1000, &v));
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%.*s;", (int)v.n,
			(const char *)v.p);
	}
	return out;
}

#define Q "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EI" /* the first half; the second is put behind */
#define QREST "CAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
#define EICAR_B64                                                                                  \
	"WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgr" \
	"SCo="
#define PART(fields, body)                                                                         \
	HEAD "Content-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n" fields "\r\n" body       \
	     "\r\n--bb--\r\n"

static void eicar_is_found_however_it_is_wrapped(void **state)
{
	static const struct {
		const char *what, *mail, *part;
	} cases[] = {
		{ "base64", PART("Content-Transfer-Encoding: base64\r\n", EICAR_B64), "1/1" },
		{ "base64 cut by junk",
			PART("Content-Transfer-Encoding: base64\r\n",
				"WDVP!IVAl\r\nQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FS"
				"LVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCo"),
			"1/1" },
		{ "base64 behind padding",
			PART("Content-Transfer-Encoding: base64\r\n", "aGVsbG8=\r\n" EICAR_B64),
			"1/1" },
		{ "quoted-printable",
			PART("Content-Transfer-Encoding: quoted-printable\r\n",
				"X5O!P%@AP[4=5CPZX54(P^)7CC)7}$EIC=\r\n"
				"AR-STANDARD-ANTIVIRUS-TEST-FI=4CE!$H+H*"),
			"1/1" },
		{ "no final boundary",
			HEAD "Content-Type: multipart/mixed; "
			     "boundary=bb\r\n\r\n--bb\r\nContent-Transfer-Encoding: base64\r\n"
			     "\r\n" EICAR_B64,
			"1/1" },
		{ "LF line ends",
			"Content-Type: multipart/mixed; "
			"boundary=bb\n\n--bb\nContent-Transfer-Encoding: base64\n\n" EICAR_B64
			"\n--bb--\n",
			"1/1" },
		{ "first of two encodings",
			PART("Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: "
			     "7bit\r\n",
				EICAR_B64),
			"1/1" },
		{ "last of two encodings",
			PART("Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: "
			     "base64\r\n",
				EICAR_B64),
			"1/1" },
		{ "last of two boundaries",
			HEAD
			"Content-Type: multipart/mixed; boundary=aa; boundary=bb\r\n\r\n--bb\r\n"
			"Content-Transfer-Encoding: base64\r\n\r\n" EICAR_B64 "\r\n--bb--\r\n",
			"1/1" },
		{ "behind the final boundary",
			PART("", "hello\r\n--bb--\r\n--bb\r\nContent-Transfer-Encoding: "
				 "base64\r\n\r\n" EICAR_B64),
			"1/2" },
		{ "an encoded message inside",
			PART("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: "
			     "base64\r\n",
				"Q29udGVudC1UcmFuc2Zlci1FbmNvZGluZzogYmFzZTY0DQoNCldEVlBJVkFsUUVGUV"
				"d6UmNVRnBZTlRRb1VGNHBOME5ES1RkOUpFVkpRMEZT"
				"TFZOVVFVNUVRVkpFTFVGT1ZFbFdTVkpWVXkxVVJWTlVMVVpKVEVVaEpFZ3JTQ289"),
			"1/1/1" },
		{ "zip", EICAR_ZIP_MAIL, "1/2/foo.zip/eicar.com" },
		{ "uuencode",
			HEAD "\r\nbegin 644 x.com\r\n"
			     "M6#5/"
			     "(5`E0$%06S1<4%I8-30H4%XI-T-#*3=])$5)0T%2+5-404Y$05)$+4%.\r\n75$E625)"
			     "54RU415-4+49)3$4A)$@K2\"H`\r\n`\r\nend\r\n",
			"1/x.com" },
	};

	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct outcome o;
		char want[200], got[4400];

		snprintf(got, sizeof(got), "%s: %s", cases[i].what,
			viruses(run(*state, &o, cases[i].mail)));
		snprintf(want, sizeof(want), "%s: " VIRUS " %s;", cases[i].what, cases[i].part);
		assert_string_equal(got, want);
		mw_pack_fini(&o.b);
	}
}

static void a_clean_mail_is_done(void **state)
{
	struct outcome o;
	struct mw_octets f =
		run(*state, &o, PART("Content-Type: text/plain; name=a.txt\r\n", "hello"));

	assert_int_equal(o.status, MW_DONE);
	assert_string_equal(o.reason, "");
	assert_false(o.worn);
	assert_string_equal(viruses(f), "");
	assert_string_equal(texts(f, "names"), "a.txt;");
	assert_string_equal(texts(f, "limits"), "");
	assert_string_equal(texts(f, "encrypted"), "");
	assert_string_equal(texts(f, "mime_errors"), "");
	assert_int_equal(mw_map_int(f, "parts", 0), 2);
	assert_int_equal(mw_map_int(f, "decoded_octets", 0), 5);
	assert_false(mw_map_bool(f, "ambiguous", true));
	assert_true(mw_map_bool(f, "project_signatures", false));
	assert_int_equal(mw_map_int(f, "signatures", 0), 1);
	mw_pack_fini(&o.b);
}

static void names_come_breadth_first_and_as_utf8(void **state)
{
	struct outcome o;
	struct mw_octets f = run(*state, &o,
		HEAD "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: "
		     "message/rfc822; name=deep.eml\r\n\r\n"
		     "Content-Type: text/plain; name=deeper.txt\r\n\r\nx\r\n--o\r\nContent-Type: "
		     "a/b; name=\"\xe4\xc3\xa4.txt\"\r\n\r\ny\r\n--o--\r\n");

	assert_string_equal(texts(f, "names"), "deep.eml;?\xc3\xa4.txt;deeper.txt;");
	mw_pack_fini(&o.b);
}

static void more_names_than_are_told_are_dropped(void **state)
{
	static char mail[400000];
	size_t n = (size_t)snprintf(
		mail, sizeof(mail), HEAD "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	struct outcome o;
	struct mw_octets f;
	struct mw_cur c;
	size_t count = 0;

	for (int i = 0; i < 300; i++)
		n += (size_t)snprintf(mail + n, sizeof(mail) - n,
			"--b\r\nContent-Type: a/b; name=\"%0200d.txt\"\r\n\r\nx\r\n", i);
	f = run(*state, &o, mail);
	assert_int_equal(o.status, MW_DONE);
	assert_true(mw_map_find(f, "names", &c) && mw_cur_array(&c, &count));
	assert_int_equal(count, FINDINGS_NAMES_MAX);
	assert_true(o.b.n < SCAN_FINDINGS_MAX);
	mw_pack_fini(&o.b);
}

static void levels_beyond_the_limit_are_told(void **state)
{
	static char mail[20000];
	size_t n = 0;
	struct outcome o;
	struct mw_octets f;

	for (int i = 0; i < 20; i++)
		n += (size_t)snprintf(mail + n, sizeof(mail) - n,
			"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
	snprintf(mail + n, sizeof(mail) - n, "\r\n%s%s\r\n", Q, QREST);
	f = run(*state, &o, mail);
	assert_int_equal(o.status, MW_LIMIT);
	assert_non_null(strstr(texts(f, "limits"), "depth;"));
	assert_non_null(strstr(viruses(f), VIRUS)); /* the raw octets were scanned all the same */
	mw_pack_fini(&o.b);
}

static void a_mail_whose_time_is_up_is_a_limit(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .status = MW_DONE };

	mw_pack_init(&o.b);
	o.status = work_run(
		f->work, mw_octets_of_text(EICAR_ZIP_MAIL), &usual, 1, &o.b, o.reason, &o.worn);
	assert_int_equal(o.status, MW_LIMIT);
	assert_string_equal(texts(mw_octets_of(o.b.p, o.b.n), "limits"), "time;");
	mw_pack_fini(&o.b);
}

static void contradictions_are_told(void **state)
{
	struct outcome o;
	struct mw_octets f = run(*state, &o,
		PART("Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit\r\n",
			"aGVs"));

	assert_int_equal(o.status, MW_DONE);
	assert_true(mw_map_bool(f, "ambiguous", false));
	assert_string_equal(texts(f, "mime_errors"), "duplicate_field;");
	mw_pack_fini(&o.b);
}

static void a_broken_archive_is_noted_and_no_limit(void **state)
{
	struct outcome o;
	struct mw_octets f = run(*state, &o,
		PART("Content-Transfer-Encoding: base64\r\n",
			"UEsDBBQAAAAIAAAAIQA8z1FoRgAAAEQAAAAJAAAA"));

	assert_int_equal(o.status, MW_DONE);
	assert_string_equal(texts(f, "mime_errors"), "archive_broken;");
	mw_pack_fini(&o.b);
}

/* Mails that are files: with an innocent type, or in an archive (here a mailbox). */
static void a_mail_that_is_a_file_is_read_as_one(void **state)
{
#define INNER                                                                                      \
	"MIME-Version: 1.0\r\nFrom: a@example.org\r\nContent-Type: text/plain; name=tief.txt\r\n"
	static const struct {
		const char *mail, *names;
	} cases[] = {
		{ PART("Content-Type: application/octet-stream\r\n", INNER "\r\nhi"), "tief.txt;" },
		{ PART("Content-Type: text/plain; name=a.eml\r\n", INNER "\r\nhi"),
			"a.eml;tief.txt;" },
		{ PART("Content-Type: application/octet-stream; name=b\r\n"
		       "Content-Transfer-Encoding: quoted-printable\r\n",
			  INNER "\r\nhi"),
			"b;tief.txt;" },
		{ PART("Content-Type: application/mbox\r\n",
			  "From a Mon\r\n" INNER "\r\nhi\r\n\r\nFrom b Tue\r\n" INNER "\r\nho"),
			"tief.txt;tief.txt;" },
		{ PART("Content-Type: text/plain\r\n", INNER "\r\nhi"), "" },
		/* empty lines in front */
		{ PART("Content-Type: application/octet-stream\r\n", "\r\n\r\n" INNER "\r\nhi"),
			"tief.txt;" },
		{ PART("Content-Type: application/mbox\r\n",
			  "From a Mon\r\nX: y\r\nContent-Type: application/zip\r\n"
			  "Content-Transfer-Encoding: "
			  "base64\r\n\r\nCgpNSU1FLVZlcnNpb246IDEuMApDb250"
			  "ZW50LVR5cGU6IGEvYjsgbmFtZT10aWVmLnR4dAoKaGkK"),
			"tief.txt;" },
		{ PART("Content-Type: text/plain; name=a.eml\r\n", "\n\nhello\r\nyou"), "a.eml;" },
		{ PART("Content-Type: text/plain\r\n",
			  "hi\r\nbegin 644 x.eml\r\n"
			  "M0V]N=&5N=\"U4>7!E.B!T97AT+W!L86EN.R!N86UE/6%A+F5X90T*#0IX\r\n`\r\nend"),
			"x.eml;aa.exe;" },
	};

	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct outcome o;

		assert_string_equal(texts(run(*state, &o, cases[i].mail), "names"), cases[i].names);
		assert_int_equal(o.status, MW_DONE);
		mw_pack_fini(&o.b);
	}
}

static void a_mail_behind_empty_lines_is_read_in_two_ways(void **state)
{
	struct outcome o;
	struct mw_octets f = run(*state, &o,
		PART("Content-Type: application/octet-stream; name=x\r\n",
			"\r\n" HEAD "Content-Type: multipart/mixed; boundary=in\r\n\r\n--in\r\n"
			"Content-Transfer-Encoding: base64\r\n\r\n" EICAR_B64 "\r\n--in--\r\n"));

	assert_non_null(strstr(viruses(f), VIRUS " 1/1/x/1/1;"));
	assert_true(mw_map_bool(f, "ambiguous", false));
	assert_string_equal(texts(f, "mime_errors"), "blank_header_line;");
	mw_pack_fini(&o.b);
}

#define SMIME                                                                                      \
	"Content-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: "      \
	"base64\r\n"

static void what_is_signed_is_read_as_a_part_and_what_is_encrypted_told(void **state)
{
	static const struct {
		const char *mail, *viruses, *names, *encrypted, *errors;
	} cases[] = {
		{ PART(SMIME, "MIAGCSqGSIb3DQEHAqCAMIACAQExgDANBglghkgBZQMEAgEFAAAAMIAGCSqGSIb3DQEH"
			      "AaCAJIAEB0NvbnRlbnQEBy1UeXBlOiAEB2FwcGxpY2EEB3Rpb24veDsEByBuYW1lPXQE"
			      "B2llZi5leGUEBw0KQ29udGUEB250LVRyYW4EB3NmZXItRW4EB2NvZGluZzoEByBiYXNl"
			      "NjQEBw0KDQpXRFYEB1BJVkFsUUUEB0ZRV3pSY1UEB0ZwWU5UUW8EB1VGNHBOME4EB0RL"
			      "VGQ5SkUEB1ZKUTBGU0wEB1ZOVVFVNUUEB1FWSkVMVUYEB09WRWxXU1YEB0pWVXkxVVIE"
			      "B1ZOVUxVWkoEB1RFVWhKRWcEBXJTQ289AAAAAAAAMYAAAAAAAAAAAA=="),
			VIRUS " 1/1/smime.p7m/1/tief.exe;", "smime.p7m;tief.exe;", "", "" },
		{ PART("Content-Type: application/x; name=\"a.pdf.p7m\"\r\n"
		       "Content-Transfer-Encoding: base64\r\n",
			  "MEQGCSqGSIb3DQEHAqA3MDUCAQExDzANBglghkgBZQMEAgEFADAdBgkqhkiG9w0BBwGgEAQO"
			  "JVBERi0xLjcgaGVsbG8xAA=="),
			"", "a.pdf.p7m;a.pdf;", "", "" },
		{ PART(SMIME, "MIQAAACCBgkqhkiG9w0BBwOgdTBzAgEBMQAwbAYJKoZIhvcNAQcBMB0GCWCGSAFlAwQB"
			      "KgQQAAAAAAAAAAAAAAAAAAAAAIBAAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
			      "Hh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="),
			"", "smime.p7m;", "1/1/smime.p7m;", "" },
		{ PART(SMIME, "aGVsbG8sIHRoaXMgaXMgbm9uZQ=="), "", "smime.p7m;", "",
			"archive_broken;" },
		{ PART("Content-Type: a/b; name=b.P7M\r\n", "hello"), "", "b.P7M;", "",
			"archive_broken;" },
		{ PART(SMIME, ""), "", "smime.p7m;", "", "" },
	};

	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct outcome o;
		struct mw_octets f = run(*state, &o, cases[i].mail);

		assert_int_equal(o.status, MW_DONE);
		assert_string_equal(viruses(f), cases[i].viruses);
		assert_string_equal(texts(f, "names"), cases[i].names);
		assert_string_equal(texts(f, "encrypted"), cases[i].encrypted);
		assert_string_equal(texts(f, "mime_errors"), cases[i].errors);
		assert_false(mw_map_bool(f, "ambiguous", false));
		mw_pack_fini(&o.b);
	}
}

/* A multipart whose decoded content has its delimiters, at the last level. */
static void a_level_too_deep_for_a_decoded_multipart_is_told(void **state)
{
	struct fixture *f = *state;

	for (int levels = 12; levels <= 15; levels++) {
		char mail[4000] = "";
		size_t n = 0;
		struct outcome o;
		struct mw_octets findings;

		for (int i = 0; i < 13; i++)
			n += (size_t)snprintf(mail + n, sizeof(mail) - n,
				"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i,
				i);
		/* --z, a header with base64, EICAR in it, --z-- */
		snprintf(mail + n, sizeof(mail) - n,
			"Content-Type: multipart/mixed; boundary=z\r\n"
			"Content-Transfer-Encoding: base64\r\n\r\n"
			"LS16DQpDb250ZW50LVRyYW5zZmVyLUVuY29kaW5nOiBiYXNlNjQNCg0KV0RWUElWQWxRRUZR"
			"V3pSY1VGcFlOVFFvVUY0cE4wTkRLVGQ5SkVWSlEwRlNMVk5VUVU1RVFWSkVMVUZPVkVsV1NW"
			"SlZVeTFVUlZOVUxVWkpURVVoSkVnclNDbz0NCi0tei0tDQo=\r\n");
		f->conf.budget.max_levels = (uint64_t)levels;
		findings = run(f, &o, mail);
		assert_int_equal(o.status, levels == 15 ? MW_DONE : MW_LIMIT);
		assert_string_equal(texts(findings, "limits"), levels == 15 ? "" : "depth;");
		if (levels == 15)
			assert_non_null(strstr(viruses(findings), VIRUS));
		mw_pack_fini(&o.b);
	}
	f->conf.budget.max_levels = 14;
}

/* Others may stand for an engine that failed, not for a mail that was not taken apart. */
static void without_memory_it_is_not_the_engine_that_failed(void **state)
{
	struct fixture *f = *state;

	f->work->virus = f->work->failed = true;
	f->work->no_memory = false;
	f->work->budget.met = 0;
	assert_int_equal(work_engine(f->work), SCAN_ENGINE_FAILED);
	f->work->no_memory = true;
	assert_int_equal(work_engine(f->work), SCAN_ENGINE_ANSWERED);
}

static void one_mail_leaves_nothing_for_the_next(void **state)
{
	struct outcome o;

	for (int i = 0; i < 3; i++) {
		assert_non_null(strstr(viruses(run(*state, &o, EICAR_ZIP_MAIL)), VIRUS));
		mw_pack_fini(&o.b);
		assert_string_equal(viruses(run(*state, &o, HEAD "\r\nhello")), "");
		assert_int_equal(o.status, MW_DONE);
		mw_pack_fini(&o.b);
	}
}

/* The raw mail is looked at, and says so, however late it is; what is encoded was not looked into.
 */
static void the_raw_mail_is_scanned_when_time_is_up(void **state)
{
	struct fixture *f = *state;
	char mail[400];
	struct outcome o;

	snprintf(mail, sizeof(mail), HEAD "\r\n%s\r\n", eicar());
	memset(&o, 0, sizeof(o));
	mw_pack_init(&o.b);
	o.status = work_run(
		f->work, mw_octets_of_text(mail), &usual, mw_mono_ms(), &o.b, o.reason, &o.worn);
	assert_int_equal(o.status, MW_LIMIT);
	assert_string_equal(texts(mw_octets_of(o.b.p, o.b.n), "limits"), "time;");
	assert_string_equal(viruses(mw_octets_of(o.b.p, o.b.n)), VIRUS " message;");
	mw_pack_fini(&o.b);
}

/* "type size digest;" of each part; of a digest the first four octets, "-" where it has none. */
static const char *digests(struct mw_octets findings)
{
	static char out[4096];
	struct mw_cur c;
	size_t count, fields, n;

	out[0] = '\0';
	assert_true(mw_map_find(findings, "tree", &c));
	assert_true(mw_cur_array(&c, &count));
	while (count-- > 0) {
		struct mw_octets type, digest;
		uint64_t size;
		char hex[2 * MW_SHA256_OCTETS + 1] = "-";

		assert_true(mw_cur_array(&c, &fields));
		assert_int_equal(fields, 8);
		assert_true(mw_cur_skip(&c, 2) && mw_cur_octets(&c, 100, &type) &&
			    mw_cur_skip(&c, 3) && mw_cur_uint(&c, UINT64_MAX, &size) &&
			    mw_cur_octets(&c, 100, &digest));
		if (digest.n > 0) {
			assert_int_equal(digest.n, MW_SHA256_OCTETS);
			mw_hex(digest.p, digest.n, hex);
			hex[8] = '\0';
		}
		n = strlen(out);
		snprintf(out + n, sizeof(out) - n, "%.*s %u %s;", (int)type.n, (const char *)type.p,
			(unsigned)size, hex);
	}
	return out;
}

#define ABC_MAIL                                                                                   \
	PART("Content-Type: text/plain\r\n",                                                       \
		"abc\r\n--bb\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: "                  \
		"base64\r\n\r\nYWJj\r\n--bb\r\nContent-Type: a/c\r\n\r\n")

/* Of what is decoded: abc is abc however it came. */
static void parts_have_digests_when_asked_for(void **state)
{
	static const struct scan_order with = { .decode = true, .digests = true },
				       without = { .decode = true, .parts = true };
	struct outcome o;

	assert_string_equal(digests(run_as(*state, &o, ABC_MAIL, &with)),
		"multipart/mixed 0 -;text/plain 3 ba7816bf;a/b 3 ba7816bf;a/c 0 e3b0c442;");
	assert_int_equal(o.status, MW_DONE);
	mw_pack_fini(&o.b);
	assert_string_equal(digests(run_as(*state, &o, ABC_MAIL, &without)),
		"multipart/mixed 0 -;text/plain 3 -;a/b 3 -;a/c 0 -;");
	mw_pack_fini(&o.b);
}

#define WIDE_PARTS 1000

/* count parts, each with a name of 40 octets. */
static char *wide_mail(unsigned count)
{
	struct mw_text m = { 0 };

	mw_text_add(&m, HEAD "Content-Type: multipart/mixed; boundary=bb\r\n\r\n");
	for (unsigned i = 0; i < count; i++)
		mw_text_addf(&m, "--bb\r\nContent-Type: a/b; name=\"%040u\"\r\n\r\n%u\r\n", i, i);
	mw_text_add(&m, "--bb--\r\n");
	assert_false(m.failed);
	return m.p;
}

/* Names are for banned rules, which have to know all of them; digests get what room is left. */
static void digests_take_no_room_from_names(void **state)
{
	static const struct scan_order order = { .decode = true, .parts = true, .digests = true };
	char *mail = wide_mail(WIDE_PARTS);
	struct outcome o;
	struct mw_octets f = run_as(*state, &o, mail, &order), digest;
	struct mw_cur c;
	size_t count, fields, told = 0;

	assert_true(mw_map_find(f, "tree", &c) && mw_cur_array(&c, &count));
	assert_int_equal(count, WIDE_PARTS + 1);
	for (size_t i = 0; i < count; i++) {
		assert_true(mw_cur_array(&c, &fields) && mw_cur_skip(&c, fields - 1) &&
			    mw_cur_octets(&c, MW_SHA256_OCTETS, &digest));
		told += digest.n == MW_SHA256_OCTETS;
	}
	assert_in_range(told, 1, WIDE_PARTS - 1);
	assert_int_equal(o.status, MW_DONE);
	assert_true(o.b.n < SCAN_FINDINGS_MAX);
	mw_pack_fini(&o.b);
	free(mail);
}

/* What does not fit is missed by banned rules alone. */
static void a_list_for_the_record_may_be_cut(void **state)
{
	static const struct scan_order record = { .decode = true, .digests = true },
				       rules = { .decode = true, .parts = true };
	char *mail = wide_mail(1400);
	struct outcome o;

	assert_string_equal(texts(run_as(*state, &o, mail, &rules), "limits"), "parts;");
	assert_int_equal(o.status, MW_LIMIT);
	mw_pack_fini(&o.b);
	assert_string_equal(texts(run_as(*state, &o, mail, &record), "limits"), "");
	assert_int_equal(o.status, MW_DONE);
	mw_pack_fini(&o.b);
	free(mail);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eicar_is_found_however_it_is_wrapped),
		cmocka_unit_test(a_clean_mail_is_done),
		cmocka_unit_test(names_come_breadth_first_and_as_utf8),
		cmocka_unit_test(more_names_than_are_told_are_dropped),
		cmocka_unit_test(levels_beyond_the_limit_are_told),
		cmocka_unit_test(a_mail_whose_time_is_up_is_a_limit),
		cmocka_unit_test(contradictions_are_told),
		cmocka_unit_test(a_broken_archive_is_noted_and_no_limit),
		cmocka_unit_test(a_mail_that_is_a_file_is_read_as_one),
		cmocka_unit_test(a_mail_behind_empty_lines_is_read_in_two_ways),
		cmocka_unit_test(what_is_signed_is_read_as_a_part_and_what_is_encrypted_told),
		cmocka_unit_test(a_level_too_deep_for_a_decoded_multipart_is_told),
		cmocka_unit_test(without_memory_it_is_not_the_engine_that_failed),
		cmocka_unit_test(one_mail_leaves_nothing_for_the_next),
		cmocka_unit_test(the_raw_mail_is_scanned_when_time_is_up),
		cmocka_unit_test(parts_have_digests_when_asked_for),
		cmocka_unit_test(digests_take_no_room_from_names),
		cmocka_unit_test(a_list_for_the_record_may_be_cut),
	};

	return cmocka_run_group_tests_name("work", tests, open_fixture, close_fixture);
}
