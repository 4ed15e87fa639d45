#include "help.h"

#include "decode.h"
#include "lines.h"
#include "mime.h"

static const struct mime_limits wide = { MIME_DEPTH_MAX, 1000 };

/* What a message looks like to the parser: "path type name encoding body-length;" of each entity,
 * boxes in brackets. */
static const char *shape_of(const char *text, size_t n, const struct mime_limits *limits,
	unsigned choices, struct mime *m)
{
	static char out[4096];
	struct mime_entity e;
	size_t used = 0;

	out[0] = '\0';
	mime_open(m, mw_octets_of(text, n), limits, choices);
	while (mime_next(m, &e) && used < sizeof(out) - 600) {
		if (e.outside)
			continue;
		used += (size_t)snprintf(out + used, sizeof(out) - used,
			e.leaf ? "%s %s%s%s %d:%.*s; " : "[%s %s%s%s] ", e.path, e.type,
			e.name[0] != '\0' ? " " : "", e.name, (int)e.encoding,
			(int)(e.body.n < 40 ? e.body.n : 40), (const char *)e.body.p);
	}
	return out;
}

static struct mime parser;

static const char *shape(const char *text)
{
	return shape_of(text, strlen(text), &wide, 0, &parser);
}

/* The same with one question answered the other way. */
static const char *other_shape(const char *text, enum mime_choice choice)
{
	return shape_of(text, strlen(text), &wide, MW_BIT(choice), &parser);
}

#define MULTI(b) "Content-Type: multipart/mixed; boundary=" b "\r\n\r\n"

/* ------------------------------------------------------------------ structure */

static void a_mail_without_mime_is_one_text_leaf(void **state)
{
	(void)state;
	assert_string_equal(shape("From: a@b\r\n\r\nhello"), "1 text/plain 0:hello; ");
	assert_string_equal(shape("\r\nhello"), "1 text/plain 0:hello; ");
	assert_string_equal(shape("From: a@b\r\n"), "1 text/plain 0:; ");
	assert_string_equal(shape(""), "1 text/plain 0:; ");
	assert_int_equal(parser.errors, 0);
}

static void parts_end_before_the_line_end_of_their_delimiter(void **state)
{
	(void)state;
	assert_string_equal(shape(MULTI("x") "preamble\r\n--x\r\n\r\none\r\n\r\n--x\r\nContent-"
					     "Type: text/html\r\n\r\ntwo\r\n--x--\r\nepilogue"),
		"[1 multipart/mixed] 1/1 text/plain 0:one\r\n; 1/2 text/html 0:two; ");
	assert_int_equal(parser.errors, 0);
	assert_false(parser.ambiguous);
}

static void lf_line_ends_are_read_alike(void **state)
{
	(void)state;
	assert_string_equal(shape("Content-Type: multipart/mixed;\n "
				  "boundary=\"x\"\n\n--x\n\none\n--x\n\ntwo\n--x--\n"),
		"[1 multipart/mixed] 1/1 text/plain 0:one; 1/2 text/plain 0:two; ");
}

static void a_boundary_counts_only_as_a_whole_line(void **state)
{
	(void)state;
	assert_string_equal(shape(MULTI("x") "--x\r\n\r\na--x\r\n--xy\r\n--x z\r\n --x\r\nb\r\n--x "
					     " \t\r\n\r\nc\r\n--x--"),
		"[1 multipart/mixed] 1/1 text/plain 0:a--x\r\n--xy\r\n--x z\r\n --x\r\nb; 1/2 "
		"text/plain 0:c; ");
}

static void without_a_final_boundary_the_rest_is_the_last_part(void **state)
{
	(void)state;
	assert_string_equal(shape(MULTI("x") "--x\r\n\r\none\r\n--x\r\n\r\ntwo"),
		"[1 multipart/mixed] 1/1 text/plain 0:one; 1/2 text/plain 0:two; ");
	assert_int_equal(parser.errors, MW_BIT(MIME_NOT_CLOSED));
}

static void an_inner_multipart_ends_with_its_outer_part(void **state)
{
	(void)state;
	assert_string_equal(
		shape(MULTI("o") "--o\r\n" MULTI("i") "--i\r\n\r\none\r\n--o\r\n\r\ntwo\r\n--o--"),
		"[1 multipart/mixed] [1/1 multipart/mixed] 1/1/1 text/plain 0:one; 1/2 text/plain "
		"0:two; ");
}

static void a_message_inside_is_descended_into(void **state)
{
	(void)state;
	assert_string_equal(
		shape(MULTI("o") "--o\r\nContent-Type: message/rfc822; name=in.eml\r\n\r\nFrom: "
				 "x\r\n" MULTI("i") "--i\r\n\r\none\r\n--i--\r\n--o--"),
		"[1 multipart/mixed] [1/1 message/rfc822 in.eml] [1/1/1 multipart/mixed] 1/1/1/1 "
		"text/plain 0:one; ");
}

static void parts_of_a_digest_are_messages(void **state)
{
	(void)state;
	assert_string_equal(shape("Content-Type: multipart/digest; "
				  "boundary=x\r\n\r\n--x\r\n\r\nFrom: a\r\n\r\none\r\n--x--"),
		"[1 multipart/digest] [1/1 message/rfc822] 1/1/1 text/plain 0:one; ");
}

static void a_multipart_nobody_can_take_apart_is_a_leaf(void **state)
{
	(void)state;
	assert_string_equal(
		shape("Content-Type: multipart/mixed\r\n\r\nabc"), "1 multipart/mixed 0:abc; ");
	assert_int_equal(parser.errors, MW_BIT(MIME_NO_BOUNDARY));
	assert_string_equal(shape(MULTI("x") "abc"), "1 multipart/mixed 0:abc; ");
	assert_int_equal(parser.errors, MW_BIT(MIME_NOT_FOUND));
}

static void parts_behind_the_final_boundary_are_read_and_noted(void **state)
{
	(void)state;
	assert_string_equal(
		shape(MULTI("x") "--x\r\n\r\none\r\n--x--\r\n--x\r\n\r\ntwo\r\n--x--\r\n--x--\r\n"),
		"[1 multipart/mixed] 1/1 text/plain 0:one; 1/2 text/plain 0:two; ");
	assert_int_equal(parser.errors, MW_BIT(MIME_AFTER_CLOSE));
	assert_true(parser.ambiguous);
}

static void an_empty_part_without_an_empty_line_is_no_error(void **state)
{
	(void)state;
	assert_string_equal(
		shape(MULTI("x") "--x\r\nContent-Type: text/html\r\n\r\n--x\r\n--x--\r\n"),
		"[1 multipart/mixed] 1/1 text/html 0:; 1/2 text/plain 0:; ");
	assert_int_equal(parser.errors, 0);
}

/* Octet by octet, what ends a line for whom. */
static size_t line_next_plainly(struct mw_octets text, size_t i, bool cr_ends, bool lf_ends)
{
	for (size_t k = i; k < text.n; k++) {
		bool lf_follows = k + 1 < text.n && text.p[k + 1] == '\n';

		if (text.p[k] == '\r' && lf_follows)
			return k + 2;
		if ((text.p[k] == '\r' && cr_ends) || (text.p[k] == '\n' && lf_ends))
			return k + 1;
	}
	return text.n;
}

/* Each text of seven octets, with as much as a window and more in front of them. */
static void every_line_ends_where_the_choices_say(void **state)
{
	static const char octets[] = "\r\na-";
	static const unsigned fronts[] = { 0, 1, 2, 122, 125, 128, 380, 384, 390 };
	unsigned char text[400];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (unsigned k = 0; k < 1u << 14; k++)
		for (size_t f = 0; f < MW_COUNT(fronts); f++) {
			struct mw_octets o = mw_octets_of(text, fronts[f] + 7);

			for (unsigned i = 0; i < 7; i++)
				text[fronts[f] + i] = (unsigned char)octets[k >> 2 * i & 3];
			for (unsigned c = 0; c < 4; c++) {
				unsigned choices = ((c & 1) != 0 ? MW_BIT(MIME_CHOOSE_CR) : 0) |
						   ((c & 2) != 0 ? MW_BIT(MIME_CHOOSE_LF) : 0);

				for (size_t i = 0; i <= o.n; i = i == 0 ? fronts[f] + 1 : i + 1)
					assert_int_equal(mime_line_next(o, i, choices),
						line_next_plainly(o, i, c & 1, (c & 2) == 0));
			}
			memset(text + fronts[f], 'x', 7);
		}
}

/* ------------------------------------------------------------------ fields */

static void names_come_in_every_dress(void **state)
{
	static const struct {
		const char *field, *name;
	} cases[] = {
		{ "Content-Type: a/b; name=x.zip", "x.zip" },
		{ "Content-Type: a/b; NAME = \"x y.zip\" ", "x y.zip" },
		{ "Content-Type: a/b; name=x y.zip; charset=z", "x y.zip" },
		{ "Content-Type: a/b (c\\)o;m(m)ent); name=\"a\\\"b;c\"", "a\"b;c" },
		{ "Content-Disposition: attachment; filename=x.zip", "x.zip" },
		{ "Content-Disposition: attachment;\r\n\tfilename=\r\n x.zip", "x.zip" },
		{ "Content-Disposition: attachment; filename*=utf-8'en'a%20%e2%82%ac.zip",
			"a \xe2\x82\xac.zip" },
		{ "Content-Disposition: attachment; filename*0=\"a.\"; filename*1=\"exe\"",
			"a.exe" },
		{ "Content-Disposition: attachment; filename*0*=''a%2e; filename*1=e%78e",
			"a.e%78e" },
		{ "Content-Type: a/b; name=\"=?utf-8?B?eC56aXA=?=\"", "x.zip" },
		{ "Content-Type: a/b; name=\"=?utf-8?Q?x=5Fy_?= =?x?q?z.zip?=\"", "x_y z.zip" },
		{ "Content-Type: a/b; name=\"=?broken?B?\"", "=?broken?B?" },
		{ "Content-Type: a/b; name=one.zip\r\nContent-Disposition: attachment; "
		  "filename=two.zip",
			"two.zip" },
		{ "Content-Type: a/b; name=\"a\tb\x01\"", "a?b?" },
		{ "Content-Type: a/b; name=\"unclosed", "unclosed" },
		{ "Content-Type: a/b; ;; =x; name", "" },
	};
	char text[512], want[600];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct mime_entity e;

		snprintf(text, sizeof(text), "%s\r\n\r\nbody", cases[i].field);
		mime_open(&parser, mw_octets_of_text(text), &wide, 0);
		assert_true(mime_next(&parser, &e));
		snprintf(want, sizeof(want), "%zu %s", i, cases[i].name);
		snprintf(text, sizeof(text), "%zu %s", i, e.name);
		assert_string_equal(text, want);
	}
}

/* Is that name among those of the message's only entity? */
static bool has_name(struct mw_octets text, const char *name)
{
	struct mime_entity e;
	const char *p = e.names.text;

	mime_open(&parser, text, &wide, 0);
	assert_true(mime_next(&parser, &e));
	assert_false(e.names.cut);
	for (unsigned i = 0; i < e.names.count; i++, p += strlen(p) + 1)
		if (strcmp(p, name) == 0)
			return true;
	return false;
}

#define NAMED(rest) "Content-Disposition: attachment; " rest

/* Mail programs and web mail save the file as x.js: Thunderbird unless it says otherwise. */
static void every_name_that_some_reader_sees_is_told(void **state)
{
	static const struct {
		const char *field, *name;
	} cases[] = {
		/* where parameters begin */
		{ "Content-Disposition: filename=x.js", "x.js" },
		{ "Content-Disposition: attachment, filename=x.js", "x.js" },
		{ "Content-Disposition: attachment filename=x.js", "x.js" }, /* Outlook */
		{ NAMED("(y; filename=x.js; z=); filename=a.txt"), "x.js" },
		{ NAMED("(y; filename=x.js; z=); filename=a.txt"), "a.txt" },
		{ NAMED("filename (y)=x.js"), "x.js" }, /* by the book */
		{ NAMED("filename=a.txt, filename=x.js"), "x.js" },
		{ "Content-Type: a/b, name=x.js", "x.js" },
		{ "Content-Type: a/b; (; name=x.js", "x.js" },
		{ NAMED("filename=x.js and more"), "x.js" },
		{ NAMED("filename=\"x\".js"), "x.js" }, /* Python */
		/* pieces */
		{ NAMED("filename*=utf-8''x.js; filename*0=.txt"), "x.js" },
		{ NAMED("filename*=utf-8''x.js; filename*0=.txt"), "x.js.txt" },
		{ NAMED("filename*=utf-8''a.txt; filename*=utf-8''x.js"), "x.js" },
		{ NAMED("filename*0=x.js; filename*2=.txt"), "x.js" },
		{ NAMED("filename*0=x.js; filename*2=.txt"), "x.js.txt" },
		{ NAMED("filename*0=x.js; filename*0=.txt"), "x.js" },
		{ NAMED("filename*0=x.js; filename*01=.txt"), "x.js" },
		{ NAMED("filename*0=x; filename*1=.js; filename*1=.txt; filename*2=.a"), "x.js" },
		{ NAMED("filename*1=.js; filename*0*=utf-8''%78"), "x.js" },
		/* words */
		{ NAMED("filename=\"=?utf-8?B?eC5qc?= =?utf-8?B?w==?=\""), "x.js" },
		{ NAMED("filename=\"=?utf-8?B?eC5qc?= =?utf-8?B?w==?=\""), "x.j" },
		{ NAMED("filename=\"=?utf-8?Q?x.j=7?= =?utf-8?Q?3?=\""), "x.js" },
		{ NAMED("filename=\"=?utf-8?Q?x.?=\r\n =?us-ascii?Q?j?= =?us-ascii?B?cw==?=\""),
			"x.js" },
		/* charsets */
		{ NAMED("filename=\"=?ISO-2022-JP?Q?x.=1B(Jj=1B(Bs?=\""), "x.js" },
		{ NAMED("filename=\"=?iso-2022-jp?B?GyRCJDckRBsoQi5qcw==?=\""), "??.js" },
		{ NAMED("filename=\"=?iso-2022-kr?Q?=1B$)Cx.=0E!!=0Fjs?=\""), "x.?js" },
		{ NAMED("filename=\"=?iso-2022-jp?Q?x.j=1B$?= =?iso-2022-jp?Q?B=1B(Bs?=\""),
			"x.js" },
		{ NAMED("filename=\"=?HZ-GB-2312?Q?x.~{~}js?=\""), "x.js" },
		{ NAMED("filename=\"=?utf-7?Q?x.+AGoAcw-?=\""), "x.js" },
		{ NAMED("filename=\"=?utf-7?Q?+-+T2A-+2D3eAA.js?=\""),
			"+\xe4\xbd\xa0\xf0\x9f\x98\x80.js" },
		{ NAMED("filename=\"=?utf-16be?B?AHgALgBqAHM=?=\""), "x.js" },
		{ NAMED("filename=\"=?utf-16le?B?eAAuAGoAcwA=?=\""), "x.js" },
		{ NAMED("filename=\"=?utf-16?B?AHgALgBqAHM=?=\""), "x.js" },
		{ NAMED("filename=\"=?UTF-16?B?eAAuAGoAcwA=?=\""), "x.js" },
		{ NAMED("filename=\"=?utf-16?B?//54AC4AagBzAA==?=\""), "x.js" },
		{ NAMED("filename=\"=?utf-32*en?B?AAAAeAAAAC4AAABqAAAAcw==?=\""), "x.js" },
		{ NAMED("filename=\"=?ibm037?B?p0uRog==?=\""), "x.js" },
		{ NAMED("filename*=utf-16be''%00x%00.%00j%00s"), "x.js" },
		{ NAMED("filename*0*=utf-7''x.%2BAGo; filename*1*=Acw-"), "x.js" },
		{ NAMED("filename*=iso-2022-jp''x.%1B(Jj%1B(Bs"), "x.js" },
		/* NUL */
		{ NAMED("filename=\"=?utf-8?B?eC5qcwAudHh0?=\""), "x.js" },
		{ NAMED("filename=\"=?utf-8?B?eC5qcwAudHh0?=\""), "x.js?.txt" },
		{ NAMED("filename*=utf-8''x.js%00.txt"), "x.js" },
		{ NAMED("filename*=utf-8''x.j%00s"), "x.js" },
		/* fields that are a name */
		{ "Content-Name: x.js", "x.js" },
		{ "X-Sun-Data-Name: x.js", "x.js" },
		{ "X-Sun-Data-Name: =?utf-8?B?eC5qcw==?=", "x.js" },
		{ "content-name : =?utf-8?Q?x?=\r\n =?utf-8?Q?=2Ejs?= ", "x.js" },
		{ "Content-Name: x.js (of ours)", "x.js" },
	};
	char text[512], want[600], got[600];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		snprintf(text, sizeof(text), "%s\r\n\r\nbody", cases[i].field);
		snprintf(want, sizeof(want), "%s: %s", cases[i].field, cases[i].name);
		snprintf(got, sizeof(got), "%s: %s", cases[i].field,
			has_name(mw_octets_of_text(text), cases[i].name) ? cases[i].name
									 : "not told");
		assert_string_equal(got, want);
	}
}

/* Other fields are none, and a usual name has no more forms than its own. */
static void nothing_is_called_by_what_is_no_name(void **state)
{
	static const struct {
		const char *field;
		unsigned names;
	} cases[] = {
		{ "X-Sun-Data-Type: x.js", 0 },
		{ "X-Sun-Data-Names: x.js", 0 },
		{ "Content-Named: x.js", 0 },
		{ "Content-Type: a/b; charset=x; format=flowed", 0 },
		{ NAMED("filename=\"a, b (2).js\""), 1 },
		{ NAMED("filename=x.js; modification-date=\"Sat, 28 Nov 2026 12:00:00 +0000\""),
			1 },
		{ NAMED("filename*0=\"x.\";\r\n filename*1=js"), 1 },
		{ NAMED("filename*0*=utf-8''x.;\r\n filename*1*=%6a;\r\n filename*2=s"), 1 },
		{ "Content-Type: a/b; name=x.js\r\nContent-Disposition: inline; filename=x.js", 1 },
		{ NAMED("filename=\"=?utf-8?B?eC5qcw==?=\""), 2 },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct mime_entity e;

		snprintf(text, sizeof(text), "%s\r\n\r\nbody", cases[i].field);
		mime_open(&parser, mw_octets_of_text(text), &wide, 0);
		assert_true(mime_next(&parser, &e));
		if (e.names.count != cases[i].names || parser.errors != 0 || parser.ambiguous)
			fail_msg("%s: %u names", cases[i].field, e.names.count);
	}
}

/* However long: its end is what tells. */
static void the_end_of_a_long_word_is_decoded(void **state)
{
	static char text[MIME_FIELD_MAX + 100];
	size_t n = (size_t)sprintf(text, NAMED("filename=\"=?utf-8?Q?"));
	struct mime_entity e;

	(void)state;
	for (unsigned i = 0; i < 850; i++)
		n += (size_t)sprintf(text + n, "=E4=B8=AD");
	sprintf(text + n, "=2Ejs?=\"\r\n\r\nbody");
	mime_open(&parser, mw_octets_of_text(text), &wide, 0);
	assert_true(mime_next(&parser, &e));
	assert_string_equal(e.names.text + strlen(e.names.text) - 3, ".js");
	n = (size_t)sprintf(text, NAMED("filename=\"=?utf-16be?B?"));
	for (unsigned i = 0; i < 1000; i++) /* of two octets UTF-8 makes three */
		n += (size_t)sprintf(text + n, "Ti1OLU4t");
	sprintf(text + n, "AC4AagBz?=\"\r\n\r\nbody");
	mime_open(&parser, mw_octets_of_text(text), &wide, 0);
	assert_true(mime_next(&parser, &e));
	assert_string_equal(e.names.text + strlen(e.names.text) - 3, ".js");
}

static void a_type_ends_behind_its_subtype(void **state)
{
	static const struct {
		const char *value, *type;
	} cases[] = {
		{ "a/b; x=y", "a/b" },
		{ "A/B x", "a/b" },
		{ "a/b, x/y", "a/b" },
		{ "a/b\r\n\tx", "a/b" },
		{ "a / b", "a/b" },
		{ "a (c) / (d) b (e); x=y", "a/b" },
		{ "\"a/b\"", "a/b" },
		{ "a/b(c)d", "a/b" },
		{ "a/", "a/" },
		{ "a x/y", "text/plain" },
		{ "a", "text/plain" },
		{ "", "text/plain" },
	};
	char text[200], want[200];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		snprintf(text, sizeof(text), "Content-Type: %s\r\n\r\nbody", cases[i].value);
		snprintf(want, sizeof(want), "1 %s 0:body; ", cases[i].type);
		assert_string_equal(shape(text), want);
	}
}

/* All boundaries that a field has, in the order in which they are tried, "-" where there is none.
 */
static const char *boundaries_of(const char *value)
{
	static char out[100];
	static const unsigned first = MW_BIT(MIME_CHOOSE_FORM), second = MW_BIT(MIME_CHOOSE_FORM_2);
	static const unsigned choices[] = { 0, first, second, first | second };
	char text[600];
	size_t n = 0;

	for (size_t i = 0; i < MW_COUNT(choices); i++) {
		const char *found = "-";

		for (const char *b = "ab\0ba\0evil\0evilx\0good\0a,b\0a\0x\0"; *b != '\0';
			b += strlen(b) + 1) {
			snprintf(text, sizeof(text),
				"Content-Type: "
				"multipart/mixed%s\r\n\r\n--%s\r\n\r\nx\r\n--%s--\r\n",
				value, b, b);
			shape_of(text, strlen(text), &wide, choices[i], &parser);
			if ((parser.errors & (MW_BIT(MIME_NOT_FOUND) | MW_BIT(MIME_NO_BOUNDARY))) ==
				0)
				found = b;
		}
		if ((choices[i] & ~parser.choices_met) == 0)
			n += (size_t)sprintf(out + n, "%s ", found);
	}
	return out;
}

static void a_boundary_has_the_forms_that_readers_see(void **state)
{
	static const struct {
		const char *value, *forms;
	} cases[] = {
		{ "; boundary=good", "good " },
		{ "; x=\"(; boundary=evil; )\"; boundary=good", "good " },
		{ "; boundary=\"a,b\"", "a,b " },
		{ "; boundary*0=a; boundary*1=b", "ab " },
		/* Thunderbird knows no comments, and parameters begin behind a comma, too */
		{ " (; boundary=evil; ); boundary=good", "good evil " },
		{ ", boundary=evil; boundary=good", "good evil " },
		{ "; x=(; boundary=evil; boundary=good", "evil good - evil " },
		{ " boundary=evil", "evil - " },
		{ "; boundary=a,b", "a,b a " },
		/* by the book there may be a comment */
		{ "; boundary (c)=evil; boundary=good", "evil good " },
		/* pieces */
		{ "; boundary*1=b; boundary*0=a", "ab ba " },
		{ "; boundary*0=evil; boundary*2=x", "evil evilx " },
		{ "; boundary*=''evil; boundary*0=x", "evil x evilx evil " },
		{ "; boundary*0=evil; boundary*0=x", "evil evilx " },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		char got[300], want[300];

		snprintf(got, sizeof(got), "%s: %s", cases[i].value, boundaries_of(cases[i].value));
		snprintf(want, sizeof(want), "%s: %s", cases[i].value, cases[i].forms);
		assert_string_equal(got, want);
	}
}

/* RFC 2046 section 5.1.5, where the type is not told; Thunderbird takes an empty one for none. */
static void a_part_of_a_digest_without_a_type_is_a_message(void **state)
{
	static const char digest[] = "Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n";
	char text[300];

	(void)state;
	snprintf(text, sizeof(text), "%sContent-Type:\r\n\r\nFrom: a\r\n\r\none\r\n--x--", digest);
	assert_string_equal(
		shape(text), "[1 multipart/digest] [1/1 message/rfc822] 1/1/1 text/plain 0:one; ");
	assert_int_equal(parser.choices_met, 0);
	snprintf(
		text, sizeof(text), "%sContent-Type: x\r\n\r\nFrom: a\r\n\r\none\r\n--x--", digest);
	assert_string_equal(
		shape(text), "[1 multipart/digest] [1/1 message/rfc822] 1/1/1 text/plain 0:one; ");
	assert_int_equal(parser.choices_met, MW_BIT(MIME_CHOOSE_TEXT));
	assert_int_equal(parser.errors, MW_BIT(MIME_BAD_TYPE));
	assert_string_equal(other_shape(text, MIME_CHOOSE_TEXT),
		"[1 multipart/digest] 1/1 text/plain 0:From: a\r\n\r\none; ");
}

/* As many pieces as a field can have, the first of them last: the name by their numbers is among
 * the names. */
static void pieces_of_a_name_are_never_lost(void **state)
{
	static const unsigned counts[] = { 2, 64, 65, 66, 500 };
	char text[MIME_FIELD_MAX + 100];

	(void)state;
	for (size_t k = 0; k < MW_COUNT(counts); k++) {
		size_t n = (size_t)sprintf(text, "Content-Disposition: a");
		bool found = false;
		struct mime_entity e;
		const char *name;

		for (unsigned i = 0; i < counts[k]; i++) /* the first is the highest number */
			n += (size_t)sprintf(text + n, ";filename*%u=%c", counts[k] - i,
				i < 4 ? "exe."[i] : 'x');
		sprintf(text + n, "\r\n\r\nbody");
		mime_open(&parser, mw_octets_of_text(text), &wide, 0);
		assert_true(mime_next(&parser, &e));
		name = e.names.text;
		for (unsigned i = 0; i < e.names.count; i++, name += strlen(name) + 1)
			found = found || (counts[k] == 2 ? strcmp(name, "xe") == 0
							 : strlen(name) > 4 &&
								   strcmp(name + strlen(name) - 4,
									   ".exe") == 0);
		assert_true(found);
	}
}

static void encodings_are_known_by_name(void **state)
{
	(void)state;
	assert_string_equal(
		shape("Content-Transfer-Encoding: BASE64 (c)\r\n\r\nx"), "1 text/plain 1:x; ");
	assert_string_equal(shape("Content-Transfer-Encoding: quoted-printable;\r\n\r\nx"),
		"1 text/plain 2:x; ");
	assert_string_equal(
		shape("Content-Transfer-Encoding: 8bit\r\n\r\nx"), "1 text/plain 0:x; ");
	assert_int_equal(parser.errors, 0);
	assert_string_equal(
		shape("Content-Transfer-Encoding: x-uue\r\n\r\nx"), "1 text/plain 3:x; ");
	assert_int_equal(parser.errors, MW_BIT(MIME_UNKNOWN_ENCODING));
}

static void contradictions_have_two_readings(void **state)
{
	const char *fields =
		"Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit\r\n\r\nx";
	const char *boundaries = "Content-Type: multipart/mixed; boundary=a; "
				 "boundary=b\r\n\r\n--a\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--";

	(void)state;
	assert_string_equal(shape(fields), "1 text/plain 1:x; ");
	assert_int_equal(parser.choices_met, MW_BIT(MIME_CHOOSE_FIELD));
	assert_string_equal(other_shape(fields, MIME_CHOOSE_FIELD), "1 text/plain 0:x; ");
	assert_string_equal(shape(boundaries),
		"[1 multipart/mixed] 1/1 text/plain 0:one\r\n--b\r\n\r\ntwo\r\n--b--; ");
	assert_true((parser.errors & MW_BIT(MIME_TWO_PARAMETERS)) != 0);
	assert_int_equal(parser.choices_met, MW_BIT(MIME_CHOOSE_FORM));
	assert_string_equal(other_shape(boundaries, MIME_CHOOSE_FORM),
		"[1 multipart/mixed] 1/1 text/plain 0:two; ");
	/* the same value twice contradicts nothing */
	shape("Content-Type: multipart/mixed; boundary=a; boundary=\"a\"\r\n\r\n--a--");
	assert_int_equal(parser.choices_met, 0);
}

static void a_line_that_is_no_field_may_begin_the_body(void **state)
{
	const char *text = "From: a\r\nthis is no field\r\nContent-Type: text/html\r\n\r\nx";

	(void)state;
	assert_string_equal(shape(text), "1 text/html 0:x; ");
	assert_int_equal(parser.errors, MW_BIT(MIME_BAD_HEADER));
	assert_string_equal(other_shape(text, MIME_CHOOSE_HEADER),
		"1 text/plain 0:this is no field\r\nContent-Type: text/htm; ");
}

static void an_encoded_multipart_is_read_both_ways(void **state)
{
	const char *text =
		"Content-Transfer-Encoding: base64\r\n" MULTI("x") "--x\r\n\r\none\r\n--x--";

	(void)state;
	assert_string_equal(shape(text), "[1 multipart/mixed] 1/1 text/plain 0:one; ");
	assert_int_equal(parser.errors, MW_BIT(MIME_ENCODED_BOX));
	assert_int_equal(parser.choices_met, MW_BIT(MIME_CHOOSE_BOX));
	assert_string_equal(other_shape(text, MIME_CHOOSE_BOX),
		"1 multipart/mixed 1:--x\r\n\r\none\r\n--x--; ");
}

/* ------------------------------------------------------------------ limits, cuts */

static void beyond_the_depth_a_box_is_a_leaf(void **state)
{
	const char *text = MULTI("o") "--o\r\n" MULTI("i") "--i\r\n\r\none\r\n--i--\r\n--o--";
	const struct mime_limits one = { 1, 100 }, two = { 2, 100 };

	(void)state;
	assert_string_equal(shape_of(text, strlen(text), &two, 0, &parser),
		"[1 multipart/mixed] [1/1 multipart/mixed] 1/1/1 text/plain 0:one; ");
	assert_int_equal(parser.met, 0);
	assert_string_equal(shape_of(text, strlen(text), &one, 0, &parser),
		"[1 multipart/mixed] 1/1 multipart/mixed 0:--i\r\n\r\none\r\n--i--; ");
	assert_int_equal(parser.met, MIME_MET_DEPTH);
}

static void beyond_the_number_of_parts_reading_ends(void **state)
{
	const char *text = MULTI("o") "--o\r\n\r\none\r\n--o\r\n\r\ntwo\r\n--o--";
	const struct mime_limits two = { 9, 2 }, three = { 9, 3 };

	(void)state;
	shape_of(text, strlen(text), &three, 0, &parser);
	assert_int_equal(parser.met, 0);
	assert_string_equal(shape_of(text, strlen(text), &two, 0, &parser),
		"[1 multipart/mixed] 1/1 text/plain 0:one; ");
	assert_int_equal(parser.met, MIME_MET_PARTS);
}

static void the_deepest_nesting_ends_and_is_noted(void **state)
{
	static char text[200000];
	struct mime_entity e;
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 2000; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
			"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
	mime_open(&parser, mw_octets_of(text, n), &(struct mime_limits){ 1000, 100000 }, 0);
	while (mime_next(&parser, &e))
		;
	assert_int_equal(parser.met, MIME_MET_DEPTH);
	assert_int_equal(parser.parts, MIME_DEPTH_MAX + 1);
}

/* Every entity of every cut lies within the cut; nothing is read beyond it (the sanitisers look
 * on). */
static void every_cut_of_a_message_is_read_within_its_bounds(void **state)
{
	static const char whole[] =
		"From: a\r\nContent-Type: multipart/mixed; (c) boundary*0=\"o\r\n o\"; "
		"boundary*1*=u%20t\r\n\r\npre\r\n"
		"--oo ut\r\nContent-Type: message/rfc822\r\nContent-Disposition: x; "
		"filename=\"=?u?Q?a=41?=\"\r\n\r\n"
		"Subject: x\r\n" MULTI(
			"i") "--i\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--i--\r\n"
			     "--oo ut--\r\nepilogue";

	(void)state;
	for (size_t n = 0; n < sizeof(whole); n++) {
		char *cut = malloc(n != 0 ? n : 1);
		struct mime_entity e;

		memcpy(cut, whole, n);
		for (unsigned choice = 0; choice <= MIME_CHOICES; choice++) {
			unsigned all = MW_BIT(MIME_CHOICES) - 1;

			mime_open(&parser, mw_octets_of(cut, n), &wide,
				choice < MIME_CHOICES ? MW_BIT(choice) : all);
			while (mime_next(&parser, &e)) {
				assert_true(e.body.p >= (unsigned char *)cut);
				assert_true(e.body.p + e.body.n <= (unsigned char *)cut + n);
			}
		}
		free(cut);
	}
}

static void fields_as_long_as_can_be_are_cut_and_noted(void **state)
{
	static char text[40000];
	int n = snprintf(text, sizeof(text), "Content-Type: text/plain; x=");

	(void)state;
	memset(text + n, 'y', 20000);
	strcpy(text + n + 20000, "; name=z\r\n\r\nbody");
	assert_string_equal(shape(text), "1 text/plain 0:body; ");
	assert_true((parser.errors & MW_BIT(MIME_LONG_FIELD)) != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mail_without_mime_is_one_text_leaf),
		cmocka_unit_test(parts_end_before_the_line_end_of_their_delimiter),
		cmocka_unit_test(lf_line_ends_are_read_alike),
		cmocka_unit_test(a_boundary_counts_only_as_a_whole_line),
		cmocka_unit_test(without_a_final_boundary_the_rest_is_the_last_part),
		cmocka_unit_test(an_inner_multipart_ends_with_its_outer_part),
		cmocka_unit_test(a_message_inside_is_descended_into),
		cmocka_unit_test(parts_of_a_digest_are_messages),
		cmocka_unit_test(a_multipart_nobody_can_take_apart_is_a_leaf),
		cmocka_unit_test(parts_behind_the_final_boundary_are_read_and_noted),
		cmocka_unit_test(an_empty_part_without_an_empty_line_is_no_error),
		cmocka_unit_test(every_line_ends_where_the_choices_say),
		cmocka_unit_test(names_come_in_every_dress),
		cmocka_unit_test(every_name_that_some_reader_sees_is_told),
		cmocka_unit_test(nothing_is_called_by_what_is_no_name),
		cmocka_unit_test(the_end_of_a_long_word_is_decoded),
		cmocka_unit_test(a_type_ends_behind_its_subtype),
		cmocka_unit_test(a_boundary_has_the_forms_that_readers_see),
		cmocka_unit_test(a_part_of_a_digest_without_a_type_is_a_message),
		cmocka_unit_test(pieces_of_a_name_are_never_lost),
		cmocka_unit_test(encodings_are_known_by_name),
		cmocka_unit_test(contradictions_have_two_readings),
		cmocka_unit_test(a_line_that_is_no_field_may_begin_the_body),
		cmocka_unit_test(an_encoded_multipart_is_read_both_ways),
		cmocka_unit_test(beyond_the_depth_a_box_is_a_leaf),
		cmocka_unit_test(beyond_the_number_of_parts_reading_ends),
		cmocka_unit_test(the_deepest_nesting_ends_and_is_noted),
		cmocka_unit_test(every_cut_of_a_message_is_read_within_its_bounds),
		cmocka_unit_test(fields_as_long_as_can_be_are_cut_and_noted),
	};

	return cmocka_run_group_tests_name("mime", tests, NULL, NULL);
}
