/*
 * Messages that some reader reads in another way than ours: what hides in them is found all the
 * same, and the message is told to be ambiguous. Beside them, what is sloppy and no more.
 */
#include "help.h"

#include <time.h>
#include <unistd.h>

#include "mime.h"
#include "work.h"

static struct scan_conf conf;
static struct av *av;
static struct work *work;
static char folder[64];

static int open_all(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/mw-evasions-XXXXXX");
	assert_non_null(mkdtemp(folder));
	conf = test_conf();
	av = test_engine(folder);
	work = work_new(&conf, av, NULL);
	return work != NULL ? 0 : -1;
}

static int close_all(void **state)
{
	(void)state;
	work_destroy(&work);
	av_close(&av);
	return rmdir(folder);
}

/* What is told of a message: "STATUS ambiguous found words". */
static const char *told(struct mw_octets message, bool virus)
{
	static char text[1000];
	const struct scan_order order = { .virus = virus, .decode = true, .parts = true };
	char reason[MW_REASON_MAX];
	struct mw_octets map;
	struct mw_cur c;
	struct mw_pack b;
	size_t viruses, words, limits;
	enum mw_status status;
	bool worn;

	mw_pack_init(&b);
	status = work_run(work, message, &order, mw_mono_ms() + 120000, &b, reason, &worn);
	map = mw_octets_of(b.p, b.n);
	assert_true(mw_map_find(map, "viruses", &c) && mw_cur_array(&c, &viruses));
	snprintf(text, sizeof(text), "%s%s%s", status == MW_DONE ? "done" : "limit",
		mw_map_bool(map, "ambiguous", false) ? " ambiguous" : "",
		viruses > 0 ? " found" : "");
	assert_true(mw_map_find(map, "mime_errors", &c) && mw_cur_array(&c, &words));
	for (size_t i = 0; i < words; i++) {
		struct mw_octets word;

		assert_true(mw_cur_octets(&c, 100, &word));
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %.*s", (int)word.n,
			(const char *)word.p);
	}
	assert_true(mw_map_find(map, "limits", &c) && mw_cur_array(&c, &limits));
	for (size_t i = 0; i < limits; i++) {
		struct mw_octets word;

		assert_true(mw_cur_octets(&c, 100, &word));
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " limit=%.*s",
			(int)word.n, (const char *)word.p);
	}
	mw_pack_fini(&b);
	return text;
}

#define EICAR_B64                                                                                  \
	"WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgr" \
	"SCo="
#define TYPE "Content-Type: multipart/mixed; boundary="
#define B64 "Content-Transfer-Encoding: base64\r\n"
/* Part of a multipart that hides it; and a harmless one. */
#define EVIL(b) "--" b "\r\n" B64 "\r\n" EICAR_B64 "\r\n"
#define GOOD(b) "--" b "\r\n\r\nhello\r\n"
#define END(b) "--" b "--\r\n"

struct evasion {
	const char *what, *told, *mail;
	size_t n; /* 0: a text without NUL */
};

static const struct evasion evasions[] = {
	/* boundaries */
	{ "the first of two boundaries", "done ambiguous found duplicate_parameter",
		HEAD TYPE "a; boundary=b\r\n\r\n" EVIL("a") END("a") },
	{ "the second of two boundaries",
		"done ambiguous found duplicate_parameter encoded_outside_parts",
		HEAD TYPE "a; boundary=b\r\n\r\n" GOOD("a") END("a") EVIL("b") END("b") },
	{ "the third of three boundaries",
		"done ambiguous found duplicate_parameter encoded_outside_parts",
		HEAD TYPE "a; boundary=b; boundary=c\r\n\r\n" GOOD("a") END("a") EVIL("c")
			END("c") },
	{ "a boundary in pieces against a plain one",
		"done ambiguous found duplicate_parameter encoded_outside_parts",
		HEAD TYPE "a; boundary*0=b; boundary*1=c\r\n\r\n" GOOD("a") END("a") EVIL("bc")
			END("bc") },
	{ "a boundary in pieces alone is read", "done found",
		HEAD
		"Content-Type: multipart/mixed; boundary*0=b;\r\n boundary*1*=%63\r\n\r\n" EVIL(
			"bc") END("bc") },
	{ "the first of two types", "done ambiguous found duplicate_field",
		HEAD TYPE "a\r\nContent-Type: text/plain\r\n\r\n" EVIL("a") END("a") },
	{ "the second of two types", "done ambiguous found duplicate_field",
		HEAD "Content-Type: text/plain\r\n" TYPE "a\r\n\r\n" EVIL("a") END("a") },
	{ "the second of two types, a mail in base64",
		"done ambiguous found duplicate_field encoded_multipart unknown_encoding",
		HEAD "Content-Type: text/plain\r\nContent-Type: message/rfc822\r\n" B64 "\r\n"
		     "Q29udGVudC1UcmFuc2Zlci1FbmNvZGluZzogeC1iYXNlNjQNCg0KV0RWUElWQWxRRUZRV3pS"
		     "Y1VGcFlOVFFvVUY0cE4wTkRLVGQ5SkVWSlEwRlNMVk5VUVU1RVFWSkVMVUZPVkVsV1NWSlZV"
		     "eTFVUlZOVUxVWkpURVVoSkVnclNDbz0=" },
	{ "a text and a file, a mail in base64",
		"done ambiguous found duplicate_field unknown_encoding",
		HEAD "Content-Type: text/plain\r\nContent-Type: application/octet-stream\r\n" B64
		     "\r\n"
		     "RnJvbTogYUBleGFtcGxlLmNvbQ0KVG86IGJAZXhhbXBsZS5vcmcNClN1YmplY3Q6IGMNCkRh"
		     "dGU6IFNhdCwgMjggTm92IDIwMjYgMTI6MDA6MDAgKzAwMDANCkNvbnRlbnQtVHJhbnNmZXIt"
		     "RW5jb2Rpbmc6IHgtYmFzZTY0DQoNCldEVlBJVkFsUUVGUVd6UmNVRnBZTlRRb1VGNHBOME5E"
		     "S1RkOUpFVkpRMEZTTFZOVVFVNUVRVkpFTFVGT1ZFbFdTVkpWVXkxVVJWTlVMVVpKVEVVaEpF"
		     "Z3JTQ289" },
	{ "blanks at a boundary's end",
		"done ambiguous found no_final_boundary boundary_forms boundary_prefix",
		HEAD TYPE "\"a \"\r\n\r\n" EVIL("a ") END("a ") },
	{ "text behind a boundary's quotes",
		"done ambiguous found boundary_forms boundary_prefix encoded_outside_parts",
		HEAD TYPE "\"a\"b\r\n\r\n" GOOD("a") END("a") EVIL("ab") END("ab") },
	{ "a boundary whose quotes never close",
		"done ambiguous found boundary_not_found boundary_forms boundary_guessed",
		HEAD TYPE "\"a; x=y\r\n\r\n" EVIL("a") END("a") },
	{ "a backslash in a boundary", "done ambiguous found boundary_forms encoded_outside_parts",
		HEAD TYPE "\"a\\b\"\r\n\r\n" GOOD("ab") END("ab") EVIL("a\\b") END("a\\b") },
	{ "a comment behind a boundary",
		"done ambiguous found boundary_not_found boundary_forms boundary_guessed",
		HEAD TYPE "a(c)\r\n\r\n" EVIL("a") END("a") },
	{ "single quotes around a boundary",
		"done ambiguous found boundary_not_found boundary_forms boundary_guessed",
		HEAD TYPE "'a'\r\n\r\n" EVIL("a") END("a") },
	{ "an encoded word as a boundary",
		"done ambiguous found boundary_not_found boundary_forms boundary_guessed",
		HEAD TYPE "\"=?us-ascii?Q?ab?=\"\r\n\r\n" EVIL("ab") END("ab") },
	{ "a boundary in a comment", "done ambiguous found boundary_forms",
		HEAD "Content-Type: multipart/mixed (; boundary=b; ); boundary=a\r\n\r\n" GOOD("a")
			EVIL("b") END("b") END("a") },
	{ "a boundary behind a comma", "done ambiguous found boundary_forms",
		HEAD "Content-Type: multipart/mixed, boundary=b; boundary=a\r\n\r\n" GOOD("a")
			EVIL("b") END("b") END("a") },
	{ "a boundary with a comment in its name", "done ambiguous found duplicate_parameter",
		HEAD "Content-Type: multipart/mixed; boundary (c)=b; boundary=a\r\n\r\n" GOOD("a")
			EVIL("b") END("b") END("a") },
	{ "a boundary without a semicolon", "done ambiguous found boundary_forms",
		HEAD "Content-Type: multipart/mixed boundary=b\r\n\r\n" EVIL("b") END("b") },
	{ "an empty boundary beside one without a semicolon",
		"done ambiguous found no_boundary boundary_forms boundary_guessed base64_junk "
		"encoded_outside_parts",
		HEAD "Content-Type: multipart/mixed boundary=a\r\n\r\n" GOOD("a") END("a") EVIL("")
			END("") },
	{ "pieces of a boundary out of order", "done ambiguous found boundary_forms",
		HEAD "Content-Type: multipart/mixed; boundary*1=d; boundary*0=c\r\n\r\n" GOOD("dc")
			EVIL("cd") END("cd") END("dc") },
	{ "pieces of a boundary in the order in which they come",
		"done ambiguous found boundary_forms",
		HEAD "Content-Type: multipart/mixed; boundary*1=d; boundary*0=c\r\n\r\n" GOOD("cd")
			EVIL("dc") END("dc") END("cd") },
	{ "a boundary up to a piece that is missing",
		"done ambiguous found no_final_boundary parts_after_final_boundary boundary_forms "
		"boundary_prefix",
		HEAD "Content-Type: multipart/mixed; boundary*0=c; boundary*2=d\r\n\r\n" GOOD("cd")
			EVIL("c") END("c") END("cd") },
	{ "a boundary alone beside pieces", "done ambiguous found boundary_forms",
		HEAD "Content-Type: multipart/mixed; boundary*=''c; boundary*0=d\r\n\r\n" GOOD("d")
			EVIL("c") END("c") END("d") },
	{ "a quoted boundary with a comma and a bracket is no oddity", "done found",
		HEAD TYPE "\"Boundary_(ID,b)\"; x=\"(\"\r\n\r\n" EVIL("Boundary_(ID,b)")
			END("Boundary_(ID,b)") },
	/* types */
	{ "a message with a word behind its type", "done found",
		HEAD "Content-Type: message/rfc822 x\r\n\r\n" TYPE "a\r\n\r\n" EVIL("a") END("a") },
	{ "a message with a comma behind its type", "done found",
		HEAD "Content-Type: message/rfc822, x\r\n\r\n" TYPE "a\r\n\r\n" EVIL("a")
			END("a") },
#define DIGEST(type)                                                                               \
	HEAD "Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n" type "\r\n" TYPE          \
	     "a\r\n\r\n" EVIL("a") END("a") END("d")
	{ "a message in a digest", "done found", DIGEST("") },
	{ "an empty type in a digest", "done found", DIGEST("Content-Type:\r\n") },
	{ "a type that is none in a digest", "done ambiguous found bad_type",
		DIGEST("Content-Type: x\r\n") },
	{ "a text in a digest", "done ambiguous bad_header_line bad_type",
		HEAD "Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\nContent-Type: "
		     "x\r\n\r\nContent-Transfer-Encoding: base64\r\nbegin 644 a\r\n" END("d") },
	{ "a line that only begins with a delimiter", "done ambiguous found boundary_prefix",
		HEAD TYPE "a\r\n\r\n" GOOD("a") EVIL("ab") END("a") },
	{ "a boundary that begins the inner one is no oddity", "done found",
		HEAD TYPE "a\r\n\r\n--a\r\n" TYPE "ab\r\n\r\n" EVIL("ab") END("ab") END("a") },
	{ "and the other way round", "done found",
		HEAD TYPE "ab\r\n\r\n--ab\r\n" TYPE "a\r\n\r\n" EVIL("a") END("a") END("ab") },
	{ "an inner multipart that goes on behind an outer delimiter",
		"done ambiguous found no_final_boundary boundaries_crossed",
		HEAD TYPE "a\r\n\r\n--a\r\n" TYPE
			  "b\r\n\r\n" GOOD("b") "--a\r\n\r\ntext\r\n" EVIL("b") END("b") END("a") },
	{ "no final boundary", "done found no_final_boundary", HEAD TYPE "a\r\n\r\n" EVIL("a") },
	{ "behind the final boundary", "done ambiguous found parts_after_final_boundary",
		HEAD TYPE "a\r\n\r\n" GOOD("a") END("a") EVIL("a") END("a") },
	{ "an empty boundary", "done ambiguous found no_boundary boundary_guessed",
		HEAD TYPE "\"\"\r\n\r\n" EVIL("") END("") },
	{ "an empty boundary behind what looks like another",
		"done ambiguous found no_boundary no_final_boundary boundary_guessed",
		HEAD TYPE "\"\"\r\n\r\n" GOOD("a") EVIL("") END("") },
	{ "a boundary that is not told and empty",
		"done ambiguous found no_boundary boundary_guessed",
		HEAD "Content-Type: multipart/mixed\r\n\r\n" EVIL("") END("") },
	{ "a signature in a multipart without a boundary", "done no_boundary",
		HEAD "Content-Type: multipart/mixed\r\n\r\nhello\r\n-- \r\nJohn\r\n" },
	{ "a multipart without a boundary", "done ambiguous found no_boundary boundary_guessed",
		HEAD "Content-Type: multipart/mixed\r\n\r\n" EVIL("a") END("a") },
	{ "a multipart with another boundary",
		"done ambiguous found boundary_not_found boundary_guessed",
		HEAD TYPE "b\r\n\r\n" EVIL("a") END("a") },
	/* outside of parts */
	{ "base64 before the first delimiter", "done ambiguous found encoded_outside_parts",
		HEAD TYPE "a\r\n\r\n" EICAR_B64 "\r\n" GOOD("a") END("a") },
	{ "base64 behind the last", "done ambiguous found encoded_outside_parts",
		HEAD TYPE "a\r\n\r\n" GOOD("a") END("a") "\r\n" EICAR_B64 "\r\n" },
	{ "a whole message before the first delimiter",
		"done ambiguous found encoded_outside_parts",
		HEAD TYPE "a\r\n\r\n" TYPE "b\r\n\r\n" EVIL("b") END("b") GOOD("a") END("a") },
	{ "an encoded part of nothing behind the last",
		"done ambiguous found encoded_outside_parts",
		HEAD TYPE "a\r\n\r\n" GOOD("a") END("a") EVIL("b") END("b") },
	/* encodings */
	{ "the first of two encodings", "done ambiguous found duplicate_field",
		HEAD B64 "Content-Transfer-Encoding: 7bit\r\n\r\n" EICAR_B64 },
	{ "the second of two encodings", "done ambiguous found duplicate_field",
		HEAD "Content-Transfer-Encoding: 7bit\r\n" B64 "\r\n" EICAR_B64 },
	{ "an encoding nobody knows", "done ambiguous found unknown_encoding",
		HEAD "Content-Transfer-Encoding: x-base64\r\n\r\n" EICAR_B64 },
	{ "an encoding with a blank in it", "done ambiguous found unknown_encoding encoding_junk",
		HEAD "Content-Transfer-Encoding: base 64\r\n\r\n" EICAR_B64 },
	{ "an encoding in quotes", "done ambiguous found unknown_encoding",
		HEAD "Content-Transfer-Encoding: \"base64\"\r\n\r\n" EICAR_B64 },
	{ "an encoding with octets beyond ASCII", "done ambiguous found unknown_encoding",
		HEAD "Content-Transfer-Encoding: base64\xa0\r\n\r\n" EICAR_B64 },
	{ "an encoding with a semicolon", "done ambiguous found encoding_junk",
		HEAD "Content-Transfer-Encoding: base64;\r\n\r\n" EICAR_B64 },
	{ "an encoding with a comment", "done ambiguous found encoding_junk",
		HEAD "Content-Transfer-Encoding: (c) base64\r\n\r\n" EICAR_B64 },
	{ "an encoding on the next line", "done found",
		HEAD "Content-Transfer-Encoding:\r\n base64\r\n\r\n" EICAR_B64 },
	{ "quoted-printable under another name", "done ambiguous found unknown_encoding",
		HEAD
		"Content-Transfer-Encoding: quoted_printable\r\n\r\nX5O!P%@AP[4=5CPZX54(P^)7CC)7}$"
		"EICAR=\r\n-STANDARD-ANTIVIRUS-TEST-FI=4CE!$H+H*\r\n" },
	{ "base64 behind padding", "done ambiguous found base64_after_padding",
		HEAD B64 "\r\naGVsbG8=\r\n" EICAR_B64 },
	{ "base64 whose padding some skip", "done ambiguous found base64_after_padding",
		HEAD B64 "\r\nWDVPIV=AlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWSVJV"
			 "Uy1URVNULUZJTEUhJEgrSCo\r\n" },
	{ "base64 with junk", "done ambiguous found base64_junk",
		HEAD B64 "\r\nWDV!PIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWSVJV"
			 "Uy1URVNULUZJTEUhJEgrSCo=\r\n" },
	{ "base64 that ends at junk", "done ambiguous found base64_junk",
		HEAD B64 "\r\n" EICAR_B64 "!" },
	{ "a footer behind base64 is no oddity", "done found",
		HEAD B64 "\r\n" EICAR_B64 "\r\n\r\n_____\r\nA list, of people\r\n" },
	{ "an encoded multipart", "done ambiguous found boundary_not_found encoded_multipart",
		HEAD TYPE "a\r\n" B64
			  "\r\nLS1hDQpDb250ZW50LVRyYW5zZmVyLUVuY29kaW5nOiBiYXNlNjQNCg0KV0RWUElWQWxR"
			  "RUZRV3pSY1VGcFlOVFFvVUY0cE4wTkRLVGQ5SkVWSlEwRlNMVk5VUVU1RVFWSkVMVUZPVkVs"
			  "V1NWSlZVeTFVUlZOVUxVWkpURVVoSkVnclNDbz0NCi0tYS0tDQo=\r\n" },
	{ "a multipart that says to be encoded",
		"done ambiguous found no_final_boundary encoded_multipart base64_junk",
		HEAD TYPE "a\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" EVIL("a")
			END("a") },
	/* header sections */
	{ "a field behind a line that is none", "done ambiguous found bad_header_line",
		HEAD "this is none\r\n" B64 "\r\n" EICAR_B64 },
	{ "a line that is none, as base64", "done ambiguous found bad_header_line",
		HEAD B64 "WDVP\r\n\r\nIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWS"
			 "VJVUy1URVNULUZJTEUhJEgrSCo=" },
	{ "a field behind a line of blanks", "done ambiguous found blank_header_line",
		HEAD "X: y\r\n \t\r\n" B64 "\r\n" EICAR_B64 },
	{ "a value behind a line of blanks", "done ambiguous found blank_header_line",
		HEAD "Content-Transfer-Encoding:\r\n \r\n base64\r\n\r\n" EICAR_B64 },
	{ "blanks before a colon", "done ambiguous found blank_before_colon",
		HEAD "Content-Transfer-Encoding : base64\r\n\r\n" EICAR_B64 },
	{ "a first line that begins with a blank", "done ambiguous found bad_header_line",
		" x: y\r\n" B64 "\r\n" EICAR_B64 },
	/* line ends */
	{ "bare CR in a header section", "done ambiguous found bare_cr",
		HEAD "X: y\rContent-Transfer-Encoding: base64\r\n\r\n" EICAR_B64 },
	{ "a type behind a bare CR", "done ambiguous found duplicate_field bare_cr",
		HEAD "Content-Type: text/plain\r" TYPE "a\r\n\r\n" EVIL("a") END("a") },
	{ "a type behind a bare CR and one before",
		"done ambiguous found boundary_not_found duplicate_field boundary_forms "
		"boundary_guessed bare_cr",
		HEAD TYPE "a\rContent-Type: text/plain\r\n\r\n" EVIL("a") END("a") },
	{ "a message whose lines end with CR", "done ambiguous found bare_cr",
		"X: y\rContent-Transfer-Encoding: base64\r\r" EICAR_B64 },
	{ "a delimiter between CR", "done ambiguous found bare_cr",
		HEAD TYPE "a\r\n\r\n--a\r\n\r\nhello\r--a\r" B64 "\r\n" EICAR_B64 "\r\n" END("a") },
	{ "bare LF among CRLF", "done ambiguous found bare_lf",
		HEAD "X: y\nContent-Transfer-Encoding: base64\r\n\r\n" EICAR_B64 },
	{ "a delimiter between LF among CRLF", "done ambiguous found bare_lf",
		HEAD TYPE "a\r\n\r\n" GOOD("a") "text\n--a\n" B64 "\r\n" EICAR_B64
						"\r\n" END("a") },
	{ "a name behind a bare CR", "done ambiguous bare_cr",
		HEAD TYPE "a\r\n\r\n--a\r\nContent-Type: application/x; name=a.txt\r\nX: "
			  "y\rContent-Disposition: "
			  "attachment; filename=x.js\r\n\r\nhello\r\n" END("a") },
	{ "a mail's name behind a bare CR", "done ambiguous found bare_cr",
		HEAD TYPE "a\r\n\r\n--a\r\nX: y\rContent-Disposition: attachment; "
			  "filename=x.eml\r\n\r\n" TYPE "b\r\n\r\n" EVIL("b") END("b") END("a") },
#define NUL_IN_NAME HEAD "Content-Disposition: attachment; filename=\"x.js\0.txt\"\r\n\r\nhello"
	{ "a name before a NUL", "done ambiguous nul_in_header", NUL_IN_NAME,
		sizeof(NUL_IN_NAME) - 1 },
	/* what is not all here */
	{ "a piece of a message", "limit ambiguous partial_message limit=engine",
		HEAD "Content-Type: message/partial; id=x; number=1; total=2\r\n\r\nX: y\r\n" },
	{ "content that is elsewhere", "done external_body",
		HEAD "Content-Type: message/external-body; access-type=anon-ftp; site=x; "
		     "name=y\r\n\r\nContent-Type: text/plain\r\n\r\n" },
#define WITH_NUL HEAD "Content-Transfer-Enc\0oding: base64\r\n\r\n" EICAR_B64
	{ "NUL in a field's name", "done ambiguous found nul_in_header", WITH_NUL,
		sizeof(WITH_NUL) - 1 },
#define NUL_FIRST HEAD "\0Content-Transfer-Encoding: base64\r\n\r\n" EICAR_B64
	{ "NUL before a field's name", "done ambiguous found nul_in_header", NUL_FIRST,
		sizeof(NUL_FIRST) - 1 },
#define NUL_VALUE HEAD TYPE "a\0b\r\n\r\n" EVIL("a") END("a")
	{ "NUL in a boundary",
		"done ambiguous found boundary_not_found boundary_guessed nul_in_header", NUL_VALUE,
		sizeof(NUL_VALUE) - 1 },
	/* sloppy, and read alike by all */
	{ "the same field twice", "done found duplicate_field",
		HEAD B64 "Content-Transfer-Encoding:  base64\r\n\r\n" EICAR_B64 },
	{ "a name in two forms", "done",
		HEAD "Content-Disposition: attachment; filename=\"a.txt\"; "
		     "filename*=utf-8''%C3%A4.txt\r\n\r\nhello\r\n" },
	{ "a line that is none and changes nothing", "done bad_header_line",
		HEAD "this is none\r\n\r\nhello\r\n" },
	{ "prose outside of parts", "done",
		HEAD TYPE "a\r\n\r\nThis is a multi-part message in MIME format.\r\n\r\n" GOOD("a")
			END("a") "\r\n____________________________________________________\r\n"
				 "A list\r\nhttp://lists.example.org/mailman/listinfo/users\r\n" },
	{ "lines that end with LF", "done found",
		"From: a\n" TYPE "a\n\n--a\nContent-Transfer-Encoding: base64\n\n" EICAR_B64
		"\n--a--\n" },
	{ "8 bit is no encoding", "done",
		HEAD "Content-Transfer-Encoding: 8-bit\r\n\r\nsee http://a.example/?id=12\r\n" },
	{ "a charset is no encoding", "done",
		HEAD "Content-Transfer-Encoding: utf-8\r\n\r\nsee http://a.example/?id=12\r\n" },
	{ "a URL is not quoted-printable", "done unknown_encoding",
		HEAD "Content-Transfer-Encoding: x-none\r\n\r\nsee http://a.example/?id=12\r\n" },
	{ "what looks like a URL is decoded all the same", "done found unknown_encoding",
		HEAD "Content-Transfer-Encoding: x-none\r\n\r\nX5O!P%@AP[4=5CPZX54(P^)7CC)7}$"
		     "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*\r\n" },
};

static struct mw_octets mail_of(const struct evasion *e)
{
	return mw_octets_of(e->mail, e->n != 0 ? e->n : strlen(e->mail));
}

static void what_some_reader_sees_is_found_and_told(void **state)
{
	char got[1200], want[1200];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(evasions); i++) {
		snprintf(got, sizeof(got), "%s: %s", evasions[i].what,
			told(mail_of(&evasions[i]), true));
		snprintf(want, sizeof(want), "%s: %s", evasions[i].what, evasions[i].told);
		assert_string_equal(got, want);
	}
}

/* ------------------------------------------------------------------ names of other readings */

/* How many parts have that name, of all readings; *ambiguous_r. */
static unsigned parts_named(struct mw_octets message, const char *name, bool *ambiguous_r)
{
	const struct scan_order order = { .virus = false, .decode = true, .parts = true };
	size_t parts, fields, names;
	char reason[MW_REASON_MAX];
	struct mw_octets map;
	unsigned count = 0;
	struct mw_pack b;
	struct mw_cur c;
	bool worn;

	mw_pack_init(&b);
	assert_int_equal(
		work_run(work, message, &order, mw_mono_ms() + 120000, &b, reason, &worn), MW_DONE);
	map = mw_octets_of(b.p, b.n);
	*ambiguous_r = mw_map_bool(map, "ambiguous", false);
	assert_true(mw_map_find(map, "tree", &c) && mw_cur_array(&c, &parts));
	for (size_t i = 0; i < parts; i++) {
		assert_true(mw_cur_array(&c, &fields) && mw_cur_skip(&c, 3) &&
			    mw_cur_array(&c, &names));
		for (size_t k = 0; k < names; k++) {
			struct mw_octets text;

			assert_true(mw_cur_octets(&c, MIME_NAME_MAX, &text));
			count += mw_octets_ieq(text, name);
		}
		assert_true(mw_cur_skip(&c, fields - 4));
	}
	mw_pack_fini(&b);
	return count;
}

/* The octets are those of a part that was seen. */
static void a_name_that_only_another_reading_shows_is_told_once(void **state)
{
	static const char cr[] =
		HEAD TYPE "a\r\n\r\n--a\r\nContent-Type: application/x\r\nX: "
			  "y\rContent-Disposition: attachment; "
			  "filename=x.js\r\n\r\nhello\r\n--a\r\n\r\nhello\r\n" END("a");
	static const char nul[] =
		HEAD "Content-Disposition: attachment; filename=\"x.js\0.txt\"\r\n\r\nhello";
	static const char twice[] =
		HEAD TYPE "a\r\n\r\n--a\r\nX: y\rContent-Type: text/x; name=x.js\r\n"
			  "Z: z\nW: w\r\nV: v\rContent-Disposition: attachment; "
			  "filename=x.js\r\n\r\nhello\r\n" END("a");
	static const char eml[] = HEAD TYPE
		"a\r\n\r\n--a\r\nX: y\rContent-Disposition: attachment; filename=x.eml\r\n\r\n" TYPE
		"b\r\n\r\n" EVIL("b") END("b") END("a");
	/* one reading has fewer than the other */
	static const char fewer[] = HEAD TYPE
		"a\r\n\r\n--a\r\nContent-Type: text/x; name=x.js\rV: w\r\n\r\nhello\r\n" END("a");
	bool ambiguous;

	(void)state;
	assert_int_equal(parts_named(mw_octets_of(cr, sizeof(cr) - 1), "x.js", &ambiguous), 1);
	assert_true(ambiguous);
	assert_int_equal(parts_named(mw_octets_of(nul, sizeof(nul) - 1), "x.js", &ambiguous), 1);
	assert_int_equal(
		parts_named(mw_octets_of(nul, sizeof(nul) - 1), "x.js.txt", &ambiguous), 1);
	assert_true(ambiguous);
	assert_int_equal(parts_named(mw_octets_of_text(twice), "x.js", &ambiguous), 1);
	assert_true(ambiguous);
	assert_int_equal(parts_named(mw_octets_of_text(fewer), "x.js", &ambiguous), 1);
	assert_false(ambiguous);
	assert_string_equal(told(mw_octets_of_text(eml), true), "done ambiguous found bare_cr");
}

/* In every reading, within its bounds (the sanitisers look on). */
static void every_cut_of_each_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(evasions); i++) {
		struct mw_octets whole = mail_of(&evasions[i]);

		for (size_t n = 0; n < whole.n; n++) {
			unsigned char *cut = malloc(n != 0 ? n : 1);

			memcpy(cut, whole.p, n);
			assert_int_equal(strncmp(told(mw_octets_of(cut, n), false), "done", 4), 0);
			free(cut);
		}
	}
}

/* ------------------------------------------------------------------ limits */

static const char four_questions[] = HEAD TYPE
	"a; boundary=b; boundary=c\r\nContent-Type: multipart/digest; boundary=d\r\n"
	"X: y\r\n \r\n" TYPE "e\r\n\r\n" GOOD("a") GOOD("b") GOOD("c") GOOD("d") EVIL("e");

static void more_readings_than_the_setting_allows_are_a_limit(void **state)
{
	const char *one = HEAD "X: y\rContent-Transfer-Encoding: base64\r\n\r\n" EICAR_B64;

	(void)state;
	assert_non_null(strstr(told(mw_octets_of_text(four_questions), true), "limit=readings"));
	conf.mime_readings = 2;
	assert_string_equal(told(mw_octets_of_text(one), true), "done ambiguous found bare_cr");
	conf.mime_readings = 1;
	assert_string_equal(
		told(mw_octets_of_text(one), true), "limit found bare_cr limit=readings");
	conf.mime_readings = 64;
	assert_null(strstr(told(mw_octets_of_text(four_questions), true), "limit="));
	conf.mime_readings = 8;
	/* more forms than can be chosen from */
	assert_non_null(strstr(
		told(mw_octets_of_text(HEAD TYPE
			     "a; boundary=b; boundary=c; boundary=d; boundary=e\r\n\r\n" GOOD("a")),
			true),
		"limit=readings"));
}

/* Not the time on the clock: other programs may be at work. */
static double cpu_s(clock_t from)
{
	return (double)(clock() - from) / CLOCKS_PER_SEC;
}

static void big(const char *step, unsigned times, const char *word)
{
	size_t one = strlen(step) + 16, n = 0;
	char *text = malloc(one * times + 200);
	clock_t from = clock();
	const char *got;

	assert_non_null(text);
	n = (size_t)sprintf(text, HEAD TYPE "b\r\n\r\n");
	for (unsigned i = 0; i < times; i++)
		n += (size_t)sprintf(text + n, step, i, i);
	got = told(mw_octets_of(text, n), false);
	if (strstr(got, word) == NULL)
		fail_msg("%.20s: %s instead of %s", step, got, word);
	assert_true(cpu_s(from) < 15); /* a square would take hours */
	free(text);
}

/* A field of one name, a million times; a million parameters. */
static void what_is_repeated_without_end_is_read_soon(void **state)
{
	static char text[24000000];
	clock_t from = clock();
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < 1000000; i++)
		n += (size_t)sprintf(text + n, "Content-Type: a/b%u\r\n", i % 7);
	assert_non_null(strstr(told(mw_octets_of(text, n), false), "ambiguous duplicate_field"));
	n = (size_t)sprintf(text, HEAD);
	for (unsigned i = 0; i < 1000000; i++)
		n += (size_t)sprintf(text + n, "Content-Name: %x\r\n", i);
	assert_string_equal(told(mw_octets_of(text, n), false), "limit limit=parts");
	n = (size_t)sprintf(text, HEAD "Content-Disposition: x");
	for (unsigned i = 0; i < 500; i++)
		n += (size_t)sprintf(text + n, ";filename*=(,%x", i);
	assert_string_equal(told(mw_octets_of(text, n), false), "done");
	n = (size_t)sprintf(text, HEAD "Content-Type: multipart/mixed");
	for (unsigned i = 0; i < 2000; i++)
		n += (size_t)sprintf(text + n, ";a=");
	n += (size_t)sprintf(text + n, ";boundary=a\r\n\r\n" EVIL("a") END("a"));
	assert_string_equal(told(mw_octets_of(text, n), true), "done found");
	assert_true(cpu_s(from) < 15);
}

/* Where CR ends lines no LF is near, and the other way round: no line costs more than itself. */
static void lines_that_end_with_cr_alone_are_read_soon(void **state)
{
	static const char *const beginnings[] = { TYPE "b\r\n\r\n", /* text outside of parts */
		"X: y\rz: w\r\n" TYPE "b\r\n\r\n--b\r\n\r\n--b\n" };
	static char text[6000000];
	clock_t from = clock();

	(void)state;
	for (size_t k = 0; k < MW_COUNT(beginnings); k++) {
		size_t n = (size_t)sprintf(text, HEAD "%s", beginnings[k]);

		for (unsigned i = 0; i < 2000000; i++)
			n += (size_t)sprintf(text + n, "a\r");
		n += (size_t)sprintf(text + n, "http://example.org/a-long-word-is-looked-into\r");
		memset(text + n, '\n', 1000000);
		n += 1000000;
		n += (size_t)sprintf(text + n, "\r\n--b--\r\n");
		assert_int_equal(strncmp(told(mw_octets_of(text, n), false), "done", 4), 0);
	}
	assert_true(cpu_s(from) < 15);
}

/* Nothing is walked over again for each level, part, or doubtful line. */
static void huge_structures_end_soon_and_say_which_limit(void **state)
{
	(void)state;
	big("--b\r\n\r\nx\r\n", 1000000, "limit=parts");
	big("--b%u\r\n" TYPE "b%u\r\n\r\n", 10000, "limit=parts");
	big("--b\r\n" TYPE "b\r\n\r\n", 10000, "limit=depth");
	big("--b\r\n" TYPE "x\r\n\r\n", 100000, "limit=parts");
	big("--b%u\r\n", 1000000, "boundary_prefix");
	big("--b\r\n" TYPE "c%u; boundary=d%u\r\n\r\n", 1400, "duplicate_parameter");
	big("--b--\r\nContent-Type: x\r\n", 100000, "encoded_outside_parts");
	big("--b\r\nContent-Type: a/b%u; name=%u\r\nContent-Type: c/d\r\nContent-Type: e/f\r\n",
		200000, "limit=parts");
	big("X: y\r--b\r", 1000000, "bare_cr");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_some_reader_sees_is_found_and_told),
		cmocka_unit_test(a_name_that_only_another_reading_shows_is_told_once),
		cmocka_unit_test(every_cut_of_each_is_read),
		cmocka_unit_test(more_readings_than_the_setting_allows_are_a_limit),
		cmocka_unit_test(what_is_repeated_without_end_is_read_soon),
		cmocka_unit_test(lines_that_end_with_cr_alone_are_read_soon),
		cmocka_unit_test(huge_structures_end_soon_and_say_which_limit),
	};

	return cmocka_run_group_tests_name("evasions", tests, open_all, close_all);
}
