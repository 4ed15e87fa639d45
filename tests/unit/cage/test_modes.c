/* Which signatures find what in which mode of scanner.clamav_scan: of every target that a mail or a
 * text in it can be, anchored at either end, over the edge of header and body, in an encoded part.
 */
#include "help.h"

#include <unistd.h>

#include "work.h"

static const char signatures[] =
	"Any.Body:0:*:616e79776865726520697420697320776f727365\n"      /* anywhere it is worse */
	"Any.PartBegins:0:0:6c656166206265677573\n"		       /* leaf begus */
	"Any.PartEnds:0:EOF-12:656e6473206f66206c656166\n"	       /* ends of leaf */
	"Any.MessageBegins:0:0:46726f6d3a207769636b6564\n"	       /* From: wicked */
	"Any.Header:0:*:582d4576696c3a20666f75727465656e\n"	       /* X-Evil: fourteen */
	"Text.Normal:7:*:746865206e6f726d616c20776f726473\n"	       /* the normal words */
	"Html.Normal:3:*:3c7370616e3e746865206d61726b3c2f7370616e3e\n" /* <span>the mark</span> */
	"Mail.Any:4:*:582d4d61696c65723a2065766d61696c6572\n";	       /* X-Mailer: evmailer */
static const char logical[] = /* header and body together: X-First: aleph, then beth follows here */
	"Any.Across;Engine:51-255,Target:0;0&1;582d46697273743a20616c657068;"
	"6265746820666f6c6c6f77732068657265\n";

struct fixture {
	struct av *av;
	char folder[64];
};

static void put(const char *folder, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int open_fixture(void **state)
{
	static struct fixture f;
	struct av_conf conf = { .database = f.folder,
		.temp_dir = "/tmp",
		.max_file = 400u << 20,
		.max_scan = 800u << 20,
		.max_recursion = 17,
		.max_files = 10000 };
	struct mw_err err = { "" };

	strcpy(f.folder, "/tmp/mw-modes-XXXXXX");
	assert_non_null(mkdtemp(f.folder));
	put(f.folder, "a.ndb", signatures);
	put(f.folder, "b.ldb", logical);
	mw_log_open("test", MW_ERROR);
	if (av_open(&f.av, &conf, &err) != MW_OK)
		fail_msg("%s", err.text);
	*state = &f;
	return 0;
}

static int close_fixture(void **state)
{
	struct fixture *f = *state;
	char path[128];

	av_close(&f->av);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", f->folder, i == 0 ? "a.ndb" : "b.ldb");
		unlink(path);
	}
	return rmdir(f->folder);
}

/* True when the one virus of the findings, or one of them, has that name. */
static bool found(struct fixture *f, enum scan_mode mode, const char *mail, const char *name)
{
	static const struct scan_order order = { .virus = true, .decode = true };
	struct scan_conf conf = test_conf();
	struct work *w;
	char reason[MW_REASON_MAX];
	struct mw_pack b;
	struct mw_cur c;
	size_t count;
	bool worn, yes = false;

	conf.scan_mode = mode;
	w = work_new(&conf, f->av, NULL);
	assert_non_null(w);
	mw_pack_init(&b);
	assert_int_equal(work_run(w, mw_octets_of_text(mail), &order, mw_mono_ms() + 20000, &b,
				 reason, &worn),
		MW_DONE);
	assert_true(mw_map_find(mw_octets_of(b.p, b.n), "viruses", &c) && mw_cur_array(&c, &count));
	while (count-- > 0) {
		struct mw_octets v;

		assert_true(mw_cur_raw_map(&c, &v));
		v = mw_map_octets(v, "name");
		yes = yes || (v.n >= strlen(name) && memcmp(v.p, name, strlen(name)) == 0);
	}
	mw_pack_fini(&b);
	work_destroy(&w);
	return yes;
}

#define OTHER "From: a@example.org\r\nTo: b@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
#define MULTIPART OTHER "Content-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n\r\n"

static void both_lose_nothing_that_one_of_them_finds(void **state)
{
	static const struct {
		const char *name, *mail;
		const char *modes; /* letters of scan_mode_words that find it */
	} cases[] = {
		{ "Any.Body", OTHER "\r\nHello, anywhere it is worse\r\n", "blm" },
		{ "Any.Body",
			OTHER
			"Content-Transfer-Encoding: base64\r\n\r\nYW55d2hlcmUgaXQgaXMgd29yc2U=\r\n",
			"blm" },
		{ "Any.PartBegins", OTHER "\r\nleaf begus\r\n", "blm" },
		{ "Any.PartBegins", MULTIPART "x\r\n--bb\r\n\r\nleaf begus\r\n--bb--\r\n", "blm" },
		{ "Any.PartEnds", MULTIPART "this ends of leaf\r\n--bb--\r\n", "bl" },
		{ "Any.MessageBegins", "From: wicked\r\nTo: b@example.org\r\n\r\nhello\r\n", "bm" },
		{ "Any.Header", OTHER "X-Evil: fourteen\r\n\r\nhello\r\n", "bm" },
		{ "Text.Normal", OTHER "\r\nthis has THE   NORMAL \r\n words\r\n", "blm" },
		{ "Html.Normal",
			OTHER "Content-Type: text/html\r\n\r\n<html><body><SPAN>The   "
			      "Mark</SPAN></body></html>\r\n",
			"blm" },
		{ "Mail.Any", OTHER "X-Mailer: evmailer\r\n\r\nhello\r\n", "bm" },
		{ "Any.Across", OTHER "X-First: aleph\r\n\r\nbeth follows here\r\n", "bm" },
	};

	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		char got[SCAN_MODES + 1] = "", line[2][200];

		for (unsigned mode = 0; mode < SCAN_MODES; mode++)
			if (found(*state, mode, cases[i].mail, cases[i].name))
				strncat(got, scan_mode_words[mode], 1);
		snprintf(line[0], sizeof(line[0]), "%zu %s: %s", i, cases[i].name, got);
		snprintf(line[1], sizeof(line[1]), "%zu %s: %s", i, cases[i].name, cases[i].modes);
		assert_string_equal(line[0], line[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_lose_nothing_that_one_of_them_finds),
	};

	return cmocka_run_group_tests_name("modes", tests, open_fixture, close_fixture);
}
