/* Files in calendars and cards. */
#include "doc_help.h"

#define CALENDAR(lines)                                                                            \
	"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n" lines "END:VEVENT\r\nEND:VCALENDAR\r\n"
#define CARD(lines) "BEGIN:VCARD\nVERSION:2.1\n" lines "END:VCARD\n"

static void files_are_given_out_with_their_names(void **state)
{
	static const struct {
		const char *what, *text, *want;
	} cases[] = {
		{ "as Outlook writes it",
			CALENDAR("ATTACH;ENCODING=BASE64;VALUE=BINARY;X-FILENAME=\"a.exe\":aGVs\r\n"
				 " bG8=\r\n"),
			"a.exe=hello;" },
		{ "folded anywhere",
			CALENDAR("ATTA\r\n CH;ENCO\n\tDING=BA\r SE64;X-FILEN\r\r\n AME=a.e\r\n "
				 "xe:aG\r\n "
				 "Vs\r\nX:y\r\n"),
			"a.exe=hel;" },
		{ "in any case, no quotes, blanks",
			"begin:vcalendar\nattach; encoding = base64 ;x-filename= a.exe :aGVs\n",
			"a.exe=hel;" },
		{ "behind a mark and empty lines",
			"\xef\xbb\xbf\r\n \r\n" CALENDAR("ATTACH;ENCODING=b;FILENAME=a:aGVs\r\n"),
			"a=hel;" },
		{ "its first line is folded", "BEGIN:VCAL\r\n ENDAR\r\nA;BASE64:aGVs\r\n",
			"=hel;" },
		{ "several names",
			CALENDAR("ATTACH;FILENAME=a.txt;ENCODING=BASE64;X-ORACLE-FILENAME=b.exe:"
				 "aGVs\r\n"),
			"a.txt|b.exe=hel;" },
		{ "separators in a name",
			CALENDAR("ATTACH;X-FILENAME=\"a;b:c.exe\";ENCODING=BASE64:aGVs\r\n"),
			"a;b:c.exe=hel;" },
		{ "a quote that does not close",
			CALENDAR("ATTACH;X-FILENAME=\"a.exe;ENCODING=BASE64:aGVs\r\n"),
			"a.exe=hel;" },
		{ "a quote that some do not know",
			CALENDAR("ATTACH;ENCODING=BASE64;X-FILENAME=\"a:aGVs\":\r\n"), "a=hel;" },
		{ "nothing but its form is told", CALENDAR("ATTACH;VALUE=BINARY:aGVs\r\n"),
			"=hel;" },
		{ "any property", CALENDAR("X-OTHER;ENCODING=BASE64:aGVs\r\n"), "=hel;" },
		{ "two files",
			CALENDAR("ATTACH;ENCODING=BASE64:aGVs\r\nATTACH;ENCODING=BASE64:bG8=\r\n"),
			"=hel;=lo;" },
		{ "an address",
			CALENDAR("ATTACH;FILENAME=a.exe:da\r\n ta:x/y;base64\\,aG\r\n Vs\r\n"),
			"a.exe=hel;" },
		{ "an address with percent signs", CALENDAR("ATTACH:data:x/y,%68%6\r\n 5l\r\n"),
			"=hel;" },
		{ "vCard 2.1 does not fold with a blank",
			CARD("PHOTO;JPEG;BASE64:aGVs\nbG8=\n\naGVs\n"), "=hello;" },
		{ "nor does what has another end", CARD("KEY;BASE64:\naGVs\nbG8=\nNOTE:x\n"),
			"=hello;" },
		{ "vCard 3", CARD("item1.PHOTO;ENCODING=b;TYPE=JPEG:aG\n Vs\n"), "=hel;" },
		{ "quoted-printable",
			"BEGIN:VCALENDAR\nATTACH;ENCODING=QUOTED-PRINTABLE:h=65=\nl=\n", "=hel;" },
		{ "quoted-printable with a name",
			CARD("X-FILE;ENCODING=QUOTED-PRINTABLE;X-FILENAME=a.js:h=65l\n"),
			"a.js=hel;" },
		{ "quoted-printable that is no text",
			CARD("NOTE;ENCODING=QUOTED-PRINTABLE:h=00l\n"), "=h.l;" },
		{ "both forms", CARD("PHOTO;ENCODING=QUOTED-PRINTABLE;ENCODING=BASE64:aGVs\n"),
			"=hel;=aGVs;" },
		{ "text alone",
			CARD("NOTE;CHARSET=x;ENCODING=QUOTED-PRINTABLE:J=FCrgen\nURL:http://x/"
			     "base64\n"
			     "TEL;HOME:base64\n"),
			"" },
		{ "an address of the web", CALENDAR("ATTACH:http://example.com/a.exe\r\n"), "" },
		{ "no calendar", "ATTACH;ENCODING=BASE64:aGVs\r\n", "" },
		{ "nothing in it",
			CALENDAR("ATTACH;ENCODING=BASE64:\r\nATTACH;ENCODING=BASE64:=\r\n"), "" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++)
		assert_gives(&container_ical, mw_octets_of_text(cases[i].text), cases[i].what,
			cases[i].want);
}

/* More names than a member has room for: the file comes once more. */
static void no_name_is_left_out(void **state)
{
	static struct made m;
	char name[32];

	(void)state;
	m.n = 0;
	put_text(&m, "BEGIN:VCARD\nA;BASE64");
	for (unsigned i = 0; i <= 1 + CONTAINER_ALIASES_MAX; i++) {
		snprintf(name, sizeof(name), ";NAME=%u.exe", i);
		put_text(&m, name);
	}
	put_text(&m, ":aGVs\n");
	assert_string_equal(members(&container_ical, made(&m)),
		"0.exe|1.exe|2.exe|3.exe|4.exe|5.exe|6.exe|7.exe=hel;8.exe=hel;");
}

static bool has_type(void *arg, const struct container_member *m)
{
	mw_strlcpy(arg, m->type != NULL ? m->type : "none", DOC_TYPE_MAX);
	return true;
}

static void a_type_is_told(void **state)
{
	static const char text[] =
		CALENDAR("ATTACH;ENCODING=BASE64;FMTTYPE=Application/\x01X:aGVs\r\n");
	char type[DOC_TYPE_MAX];
	struct budget b = wide();
	const struct container_job job = {
		.octets = mw_octets_of_text(text), .budget = &b, .got = has_type, .arg = type
	};

	(void)state;
	assert_int_equal(container_ical.open(&job), CONTAINER_WHOLE);
	assert_string_equal(type, "application/?x");
}

static void limits_and_damage(void **state)
{
	static const char text[] =
		CALENDAR("ATTACH;FMTTYPE=a/b;X-FILENAME=\"x.exe\";ENCODING=BASE64:aGVs\r\n"
			 " bG8=\r\nATTACH:data:a/b;base64,aGVs\r\n"
			 "ATTACH;QUOTED-PRINTABLE:=41=\r\n=42\r\n");

	(void)state;
	every_limit_is_told(&container_ical, mw_octets_of_text(text));
	every_damage_ends(&container_ical, mw_octets_of_text(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_given_out_with_their_names),
		cmocka_unit_test(no_name_is_left_out),
		cmocka_unit_test(a_type_is_told),
		cmocka_unit_test(limits_and_damage),
	};

	return cmocka_run_group_tests_name("doc_ical", tests, NULL, NULL);
}
