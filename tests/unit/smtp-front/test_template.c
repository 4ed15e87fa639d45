/* The language of templates by itself, with macros of the test's own: what amavisd makes of the
 * same texts. */
#include "make_txn.h"

#include <ctype.h>

#include "outcome/template_priv.h"

/* ------------------------------------------------------------------ macros */

static void give_text(struct template_call *c, int arg)
{
	static const char *const texts[] = { "LOGID", "123", "X%z", "", "   ", "", "zero" };

	template_say_text(c, texts[arg]);
}

static void give_list(struct template_call *c, int arg)
{
	static const char *const lists[][4] = { { "<a@x>", "<b@y>" }, { NULL }, { "Eicar", "Foo" },
		{ "p", "q r", "s" }, { "l1", "l2" } };

	template_list(c);
	for (size_t i = 0; lists[arg][i] != NULL; i++)
		template_item(c, mw_octets_of_text(lists[arg][i]));
}

static void give_lower(struct template_call *c, int arg)
{
	struct mw_octets s = template_arg(c, 0);
	char *copy = smtp_arena_copy(c->arena, s.p, s.n);

	(void)arg;
	for (size_t i = 0; i < s.n; i++)
		copy[i] = (char)tolower((unsigned char)copy[i]);
	template_say(c, mw_octets_of(copy, s.n));
}

static void give_args(struct template_call *c, int arg)
{
	char text[1024];
	size_t n = (size_t)snprintf(text, sizeof(text), "%s", arg ? "SCORE" : "<args>");

	for (size_t i = 0; i < c->argc; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, arg ? ":%.*s" : "/<%.*s>",
			(int)c->argv[i].n, (const char *)c->argv[i].p);
	template_say(c, mw_octets_of(smtp_arena_copy(c->arena, text, n), n));
}

static void give_control(struct template_call *c, int arg)
{
	(void)arg;
	template_list(c);
	template_item(c, mw_octets_of("a\nb\0c", 5));
	template_item(c, mw_octets_of_text("\x1b[2J\\\x7f"));
}

/* A value of no octets, for which a mebibyte was needed. */
static void give_large(struct template_call *c, int arg)
{
	(void)arg;
	template_say(c, mw_octets_of(smtp_arena_get(c->arena, 1 << 20), 0));
}

static const struct template_macro macros[] = {
	{ "n", give_text, 0, TEMPLATE_FOREIGN },
	{ "z", give_text, 1, TEMPLATE_FOREIGN },
	{ "x", give_text, 2, TEMPLATE_FOREIGN },
	{ "q", give_text, 3, TEMPLATE_FOREIGN },
	{ "B", give_text, 4, TEMPLATE_FOREIGN },
	{ "1", give_text, 5, TEMPLATE_FOREIGN },
	{ "0", give_text, 6, TEMPLATE_FOREIGN },
	{ "R", give_list, 0, TEMPLATE_FOREIGN },
	{ "O", give_list, 1, TEMPLATE_FOREIGN },
	{ "V", give_list, 2, TEMPLATE_FOREIGN },
	{ "list", give_list, 3, TEMPLATE_FOREIGN },
	{ "mac", give_list, 4, TEMPLATE_FOREIGN },
	{ "lc", give_lower, 0, TEMPLATE_OURS },
	{ "args", give_args, 0, TEMPLATE_OURS },
	{ "SCORE", give_args, 1, TEMPLATE_OURS },
	{ "control", give_control, 0, TEMPLATE_FOREIGN },
	{ "ours", give_control, 0, TEMPLATE_OURS },
	{ "large", give_large, 0, TEMPLATE_OURS },
};
static const struct template_table table = { macros, MW_COUNT(macros) };

/* ------------------------------------------------------------------ by table */

static void expand_as(const char *text, const struct template_scope *scope, enum mw_rc wanted,
	const char *expected)
{
	struct template_code *t = NULL;
	struct mw_text out = { 0 };
	struct mw_err err = { "" };
	enum mw_rc rc = template_compile(text, &table, &t, &err);

	if (rc != MW_OK)
		fail_msg("%s: %s", text, err.text);
	for (int again = 0; again < 2; again++) { /* an expansion leaves nothing behind */
		mw_text_clear(&out);
		rc = template_expand(t, scope, &out);
		if (rc != wanted || strcmp(out.p != NULL ? out.p : "", expected) != 0)
			fail_msg("%s\n  became %s (%s)\n  expected %s", text,
				out.p != NULL ? out.p : "", mw_rc_name(rc), expected);
	}
	template_unref(&t);
	mw_text_fini(&out);
}

static const struct {
	const char *text, *expected;
} rows[] = {
	{ "a%%b%qc%Qd%", "a%bcd%" },
	{ "\\n\\t\\%\\[\\]\\|\\#\\x\\101\\1012\\_z\\\nend", "\n\t%[]|#xAA2zend" },
	{ "a#comment %n\nb#c2\nc", "abc" },
	{ "a\\nb # x \\n y\nz", "a\nb z" },
	{ "[\"a#b\nc\"]d", "a#b\ncd" },
	{ "[\"a[\"b\"]c\"]", "a[\"b\"]c" },
	{ "[\"%n\"] %n", "%n LOGID" },
	{ "[\"[\"%n\"]\"]", "[\"%n\"]" },
	{ "[?%#O|none|one|many]", "none" },
	{ "[?%#R|none|one|many]", "many" },
	{ "[?%#V|none|one|many] [? %z |a|b] [?|a|b] [? |a|b] [?xx|a|b] [?x|a] [?0|a] [?2|a|b] "
	  "[?2|a|b|c] [?00|a|b] [?1.5|a|b|c] [?-1|a|b|c]",
		"many b a a b  a b c a b b" },
	{ "[? %#V |[?%#R|x|y|z]|one | b | %n c]", " b " },
	{ "[?1|a|\"b|c\"|d] [?1|a|[\"b|c\"]|d]", "\"b b|c" },
	{ "[~%n|[\"^LOG\"]|[\"[%R|..]\"]|no]", "<a@x>..<b@y>" },
	{ "[\"[~%n|[\"^LOG\"]|[\"[%R|..]\"]|no]\"]", "[~%n|[\"^LOG\"]|[\"[%R|..]\"]|no]" },
	{ "[~ %n|[\"LOG\"]|[\"[%V|..]\"]]", "Eicar..Foo" },
	{ "[? 1 ||[\"[%R|..]\"]]", "[%R|..]" },
	{ "[\"[~%n|LOG|[%R|..]]\"]", "[~%n|LOG|[%R|..]]" },
	{ "[~%n|LOG|[%R|..]]", "<a@x>..<b@y>" },
	{ "[\"[~ %n|LOG|[\"[%R|..]\"]|no]\"]", "[~ %n|LOG|[\"[%R|..]\"]|no]" },
	{ "[? %#V ||[~%n|[\"L\"]|[\"[%V|, ]\"]]]", "Eicar, Foo" },
	{ "[\"[\"[~%n|[\"L\"]|[\"[%V|, ]\"]]\"]\"]", "[\"[~%n|[\"L\"]|[\"[%V|, ]\"]]\"]" },
	{ "[~%n|[\"L\"]|[\"[\"[%V|, ]\"]\"]]", "[%V|, ]" },
	{ "[~[%R|..]|[\"a@x\"]|[\"y[%V|..]\"]|[\"n\"]]", "yEicar..Foo" },
	{ "[~%n|[\"L\"]|[\"[%V|%V|..]\"]]", "Eicar..Foo" },
	{ "[~%n|[\"(L)\"]|[\"[%V|%1%V|..]\"]]", "LEicar..LFoo" },
	{ "[\"[~%q|[\"^$\"]|[\"[%V|..]\"]]\"]", "[~%q|[\"^$\"]|[\"[%V|..]\"]]" },
	{ "[~%q|[\"^$\"]|[\"[%O|..]\"]|[\"[%R|..]\"]]", "" },
	{ "[=f|[\"[~%1|[\"L\"]|[\"[%V|..]\"]]\"]][@f|%n]", "Eicar..Foo" },
	{ "[%V|[~%n|[\"L\"]|[\"[%R|..]\"]]|,]", "<a@x>..<b@y>,<a@x>..<b@y>" },
	{ "[~abc|b|[\"yes %0 %1\"]|[\"no\"]]", "yes abc " },
	{ "[~abc|[\"^(a)(.)\"]|[\"<%0,%1,%2,%3>\"]|[\"no %0\"]]", "<abc,a,b,>" },
	{ "[~%n|[\"^LOG\"]|[\"%n %0\"]|no]", "LOGID LOGID" },
	{ "[~abc|[\"^(?<x>a)\"]|[\"%1\"]]", "a" },
	{ "[%R|<%R>|, ] [%R|%R %n|;] [ %R | %R | , ]",
		"<<a@x>>, <<b@y>> <a@x> LOGID;<b@y> LOGID  <a@x>  ,  <b@y> " },
	{ "[ %R|, ] [%R] [<%R>| ]", " <a@x>,  <b@y> <a@x><b@y> <<a@x>> <<b@y>>" },
	{ "[list|(%x)|,] [mac|%x%n|-] [ mac | %x | - ]",
		"(p),(q r),(s) l1LOGID-l2LOGID  l1  -  l2 " },
	{ "[%O|%O|,] [%n|%n!|,]", " LOGID!" },
	{ "[= foo|a%1b%2c%0]x [:foo|1|2] [@foo|1|2]", "x abczero abczero" },
	{ "[=foo|[\"a%1b\"]] [:foo|Q] [@foo|Q] %n", " aQb aQb LOGID" },
	{ "[=f|x%z] [:f] %f [@f] [:f|%n]", " x123 x123 x123 x123" },
	{ "_SCORE_ _SCORE(0)_ _SCORE( )_ _NOSUCH_ _NOSUCH(a)_ a_SCORE_b __SCORE__ _score_ "
	  "_SCORE(a)b_ ",
		"SCORE SCORE:0 SCORE:    aSCOREb _SCORE_ _score_ _SCORE(a)b_ " },
	{ "a]b ] | c", "a]b ] | c" },
	{ "[:lc|A|B] [:lc|A%nB] [:lc|[\"A%nB\"]]", "a alogidb a%nb" },
	{ "[?1|x|%n %z [:lc|ABC]]", "LOGID 123 abc" },
	{ "[\"a\\]b\"] [?1|a|b\\|c] [?1|a|b\\]c]", "a]b b|c b]c" },
	{ "%#", "" },
	{ "%#n# foo\nbar", "1bar" },
	{ "[?%#q|#\n|, x: %q]end", "end" },
	{ "[?%#n|#\n|, x: %n]end", ", x: LOGIDend" },
	{ "[:args|] [:args||] [:args] [:args|  | a]",
		"<args>/<> <args>/<>/<> <args> <args>/<  >/< a>" },
	{ "[:args|[:args|x]|[?1|a|b]]", "<args>/<<args>/<x>>/<b>" },
	{ "[:args|%R|%#R]", "<args>/<<a@x>, <b@y>>/<2>" },
	{ "%", "%" },
	{ "[?[:lc|]|a|b][?[\"%n\"]|a|b]", "ab" },
	{ "\\\nx", "x" },
	{ "[@args|%n|[\"%n\"]] [:args|%n|[\"%n\"]]", "<args>/<LOGID>/<%n> <args>/<LOGID>/<%n>" },
	{ "[=d|%1[?%#n|no|yes]] [:d|a] [@d|a]", " yes yes" },
	{ "[=d|[:d2|%1]][=d2|<%1>] [:d|a] [@d|a]", "  " },
	{ "%1 %0 %9 [:1] [?%#1|a|b]", " zero   a" },
	{ "[%V|[%R|%V-%R|,]|;]", "Eicar-<a@x>,Eicar-<b@y>;Foo-<a@x>,Foo-<b@y>" },
	{ "[? 1 | a | b ] [? 1\n|a|b]", " b  b" },
	{ "[?3|a|b|] [?3|a|b] [?0||b]", " b " },
	{ "[:list] [:join|/|[:list]] %list", "p, q r, s  ist" },
	{ "_SCORE_X _SCORE _SCOREX_ x_SCORE(%n)_", "SCOREX _SCORE  xSCORE:%n" },
	{ "\\133a\\135 [~a\\.b|[\"a\\.b\"]|[\"%0\"]|no] [~a.b|[\"a\\\\.b\"]|[\"%0\"]|no]",
		"[a] a.b a.b" },
	{ "a\"]b", "a\"]b" },
	{ "[%R|[\"%R\"]|,] [%R|[\"[\"%R\"]\"]|,]", "<a@x>,<b@y> [\"<a@x>\"],[\"<b@y>\"]" },
	{ "[%q|<%q>|,] [%Q|<%Q>|,] [%B|<%B>|,]", "<>  <   >" },
	{ "[=f|[\"%1[?%2|no|yes]\"]] [:f|a|0] [:f|%n|1] [@f|a|[\"%n\"]]",
		" a[?0|no|yes] LOGID[?1|no|yes] ayes" },
	{ "[=f|[\"%1\"]] [:f|[\"%n\"]] [@f|[\"%n\"]] [:f|[\"[\"%n\"]\"]] [@f|[\"[\"%n\"]\"]]",
		" %n LOGID [\"%n\"] %n" },
	{ "[=f|[\"[\"%1\"]\"]] [:f|%n] [@f|%n]", " [\"LOGID\"] LOGID" },
	{ "[=f|[\"%1[? %1 |.|[:f|0]]\"]] [:f|1] [:f|3]", " 1[? 1 |.|[:f|0]] 3[? 3 |.|[:f|0]]" },
	{ "[=f|[\"<%1>[? %1 |.|[@f|0]]\"]] [@f|1]", " <1><0>." },
	{ "[=f|[\"%#1 %#2 %#3\"]] [:f|a| ]", " %#1 %#2 %#3" },
	{ "[=f|[\"%1%n%z\"]][=n|[\"newn\"]] %n [:f|%R] [:n]", " newn <a@x>, <b@y>%n%z newn" },
	{ "[=f|[\"%f\"]][:f]", "%f" },
	{ "[~abc|[\"(b)\"]|[\"[~%0|[\"c\"]|[\"%0%1\"]]-%1\"]]", "abcb-b" },
	{ "[~%R|[\"@(.)\"]|[\"%1\"]] [~[\"%R\"]|[\"R\"]|[\"%0\"]]", "x %R" },
	{ "[~abc|[\"(?i)ABC\"]|[\"y\"]|n] [~a|[\"^a$\"]|y|n] [~|[\"^$\"]|[\"empty\"]|[\"n\"]]",
		"y y empty" },
	{ "[~abc|[\"b\"]|%n] [~abc|x|[\"a\"]|%n] [~abc] [~abc|b] [~]", "LOGID LOGID  b " },
	{ "[?] [?|] [?1] [?1|] [:] [@] [=x] [=x|] [] [|] [a] [%n] [%R]",
		"           LOGID <a@x><b@y>" },
	{ "[:x] [=x|[\"q\"]] [:x] %x [=long name|[\"v%1\"]] [:long name|1] [: long name |2]",
		"X%z  q q  v1 v2" },
	{ "[R|%x|;] [list|%n%x|;] [ list |%x] [list]", "<a@x>;<b@y> LOGIDp;LOGIDq r;LOGIDs  " },
	{ "[%R|a%%R%R|,] [%R|a\\%R%R|,] [%R|_SCORE_%R|,]",
		"a%R<a@x>,a%R<b@y> a%R<a@x>,a%R<b@y> SCORE<a@x>,SCORE<b@y>" },
	{ "[%R|%#R|,] [%R|%#n%R|,] [%n%R|%R|,] [x%R|%R|,]",
		"2,2 1<a@x>,1<b@y> <a@x>, <b@y> <a@x>,<b@y>" },
	{ "[\"[?1|a|b]\"] [@args|[\"[?1|a|b]\"]] [@args|[\"[\"[?1|a|b]\"]\"]]",
		"[?1|a|b] <args>/<[?1|a|b]> <args>/<[\"[?1|a|b]\"]>" },
	{ "[? [\"1\"] |a|b] [? 0 |a|b] [?[:list]|a|b] [? %R |a|b]", "b a b b" },
	{ "[:args|a#b\nc|d]", "<args>/<ac>/<d>" },
	{ "[:args|a\nb|c]", "<args>/<a\nb>/<c>" },
	{ "[:args\n|a] [\n:args|a]", "<args>/<a> " },
	{ "%%%n%%n %\\n %[ x", "%LOGID%n n  x" },
	{ "%_ %| %] %\" %\nx", "    x" },
	{ "[:args|_SCORE(a]b)_]", "<args>/<SCORE:a]b>" },
	{ "[:ar%gs] [:[:lc|ARGS]|x] [[\"args\"]|x] [:[\"args\"]|x]", " <args>/<x>  <args>/<x>" },
	{ "a\"b [\"a\"b\"] [\" \"]", "a\"b a\"b  " },
	{ "[@f|x][=f|[\"%1\"]] [@f|[@f|y]]", " y" },
	{ "[%R|%R[= y|[\"Y\"]]%y|,] %y", "<a@x>Y,<b@y>Y Y" },
	{ "[? %#R |a|[%R|[? %#V |x|<%R>]|,]]", "<<a@x>>,<<b@y>>" },
	{ "[ ? 1|a|b] [ :args|a] [ ~abc|b|c] [? 1 ]", "   " },
	{ "[:args|a\\|b|c\\]d] [?1|x|\\[y\\]]", "<args>/<a|b>/<c]d> [y]" },
	{ "\\[\"a\\\"] x \\[\"", "[\"a\"] x [\"" },
	{ "%.x %.y %0y %1y %*z", "x y zeroy y z" },
	{ "[list|%.x-%x|;] [list|%#x|;]", "x-p;x-q r;x-s 1;1;1" },
	{ "[= 0|[\"x\"]]%0 [=5|[\"%1\"]][:5|g] %5", "x g " },
	{ "[:list|]-[@list]-[:mac] %#mac [%m|%m]", "p, q r, s-p, q r, s-l1, l2 0ac " },
	{ "[?%1|a|b][?%#1|a|b][? %e |a|b]", "aaa" },
	{ "[@args|[\"a#b\nc\"]] [=f|[\"a#b\nc\"]] [:f]/[@f] [?1|x|[\"a#b\nc\"]] "
	  "[~a|a|[\"x#b\ny\"]]",
		"<args>/<a#b\nc>  a#b\nc/ac a#b\nc xy" },
	{ "[%R|%R|%n] [%R|%R|[\"%R\"]] [%R|%R|%R]",
		"<a@x>LOGID<b@y> <a@x>%R<b@y> <a@x><a@x>, <b@y><b@y>" },
	{ "[=SCORE|[\"x%1\"]]_SCORE_ _SCORE(q)_ [:SCORE|r]", "x xq xr" },
	{ "[%R|[%R|%R|,]|;]", ";" },
	{ "[~abc|[\"(b)\"]|[\"[~xyz|[\"(y)\"]|[\"%1\"]]\"]]", "b" },
	{ "[~abc|[\"(b)\"]|[\"[=g|[\"<%1>\"]][:g|Q][@g|Q]\"]]", "<b><b>" },
	{ "[%R|[=g|[\"<%R%1>\"]]|][:g|Q][@g|Q]", "<<b@y>Q><<b@y>Q>" },
	{ "[=f|[\"a\"]%n[\"%1b\"]][:f|Q] [@f|Q] [=f|%1][:f|Q] ", "aLOGIDQb aLOGIDQb  " },
	{ "[~abc|[\"b\"]|x%0|no] [~abc|[\"b\"]|x[\"%0\"]y|no]", "xzero xabcy" },
	{ "[?1|a|%n[\"%n\"]] [@args|%n[\"%n\"]x|%n]", "LOGID%n <args>/<LOGID%nx>/<LOGID>" },
	{ "[=f|[\"%%1 \\%1 %1\"]][:f|Q] [@f|Q]", "%1 %1 Q %1 %1 Q" },
	{ "[=f|[\"[\"a\"]b\"]][:f] [@f] [@f][@f]", "[\"a\"]b ab abab" },
	{ "[=f|[\"[:args|%1|%2]\"]] [@f|x y] [@f|x] [:f|x]",
		" <args>/<x y>/<> <args>/<x>/<> [:args|x|]" },
	{ "[:args|\\n|a\\tb]", "<args>/<\n>/<a\tb>" },
	{ "a|b [:lc|]]x", "a|b ]x" },
	{ "[%R|_SCORE(%R)_|,] [~ab|[\"a\"]|[\"_SCORE(%0)_\"]]", "SCORE:%R,SCORE:%R SCORE:%0" },
	{ "[~ab\nc|[\"b$\"]|[\"1\"]|[\"b.c\"]|[\"2\"]|[\"3\"]]", "3" },
	{ "[~aXc|[\"x\"]|[\"1\"]|[\"3\"]] [~%R|[\"^<a@x>, \"]|y|n]", "3 y" },
	{ "[list|%x|, ] [ list | %x |]  [ %R | %R ]",
		"p, q r, s  p  q r  s    <a@x>  <a@x>, <b@y>  <b@y> " },
	{ "[%0|%0|,] [0|%x|,] [R|%R|,]", "zero zero <a@x>, <b@y>,<a@x>, <b@y>" },
	{ "[~abc|[\"b\"]|[\"%#0 %#1\"]]", "1 0" },
	{ "[<[?1|a|%R]>|,] [[\"%R\"]|,] [%#R %R|,] [[:args|%R]|,]",
		"<<a@x>>,<<b@y>> <a@x>,<b@y> 2 <a@x>,2 <b@y> <args>/<<a@x>>,<args>/<<b@y>>" },
	{ "a # foo \\\nbar\nbaz", "a baz" },
	{ "a [\"#x\ny\"] # [\"z\nw\"] b", "a #x\ny w\"] b" },
	{ "[= f|[\"# com [?1|a]\nb\"]][@f] [:f]", "b # com [?1|a]\nb" },
	{ "_LC(X)_ _LIST_ _R_ [=LONG|[\"l\"]]_LONG_", "  <a@x>, <b@y> l" },
	{ "[: f\noo |a][= b a |[\"x\"]][:b a][: b a ]", "xx" },
	{ "[? [= q|[\"z\"]] |a|b] [:q]", "a z" },
	{ "[=f|[\"%1\"]][@f|[:list]] [%1|x]", "p, q r, s " },
	{ "%#1 %#c %#x %#V [?%#V|n|o|m]", "0 0 1 2 m" },
	{ "[~aaa|[\"a(x)?(a)\"]|[\"%1-%2\"]] [~a|[\"A\"]|y|n] ", "-a n " },
	{ "[~[\"x|y\"]|[\"^x\\\\|y$\"]|ok|no] [~x|[\"x\\|y\"]|ok|no] [~a.b|[\"a\\.b\"]|y|n] "
	  "[~axb|[\"a\\.b\"]|y|n] [~axb|[\"a\\\\.b\"]|y|n] [~a\\\\b|[\"\\\\\\\\\"]|y|n]",
		"ok ok y y n y" },
	{ "[~ab|[\"a\\\nb\"]|y|n]", "y" },
	{ "[?1|x|[\"a\"][\"b\"]\"] [:lc|\"A\"] [:lc|\"A\"B]", "ab\" \"a\" \"a\"b" },
	{ "[? %z|a|b|c] [? 0.0 |a|b|c] [? 0x1 |a|b|c] [? + |a|b] [?  1 2|a|b|c]", "c b b b b" },
	{ "[=f|[\"[:args|%1|%2]\"]] [@f|[\"%n\"]|[\"[\"%n\"]\"]] [:f|[\"%n\"]]",
		" <args>/<LOGID>/<%n> [:args|%n|]" },
	{ "[%R|[%V|%R/%V|;]|,]", "<a@x>/Eicar;<a@x>/Foo,<b@y>/Eicar;<b@y>/Foo" },
	{ "[%V|[~%V|[\"(.)oo\"]|[\"%1!\"]|[\"%0?\"]]|,]", "Eicar?,F!" },
	{ "[%R|[\"[%V|%R|]\"]|,]", "[%V|<a@x>|],[%V|<b@y>|]" },
	{ "[=row|[\"[%V|%V:%1| ]\"]][@row|Q][%R|[@row|%R]|/]",
		"Eicar:Q Foo:QEicar:<a@x> Foo:<a@x>/Eicar:<b@y> Foo:<b@y>" },
	{ "[? %#V |clean|INFECTED ([%V|%V|, ])] {%z}[?%q||, q: %q][? %#O ||, %O], %n ms",
		"INFECTED (Eicar, Foo) {123}, LOGID ms" },
	{ "_SCORE(  )_ _R_ _V_ _NOPE_[:lc|_SCORE(A)_]",
		"SCORE:   <a@x>, <b@y> Eicar, Foo score:a" },
	{ "[~%n|[\"^(L)(O)(G)(I)(D)$\"]|[\"%5%4%3%2%1\"]|[\"-\"]] [~|[\".\"]|[\"y\"]|[\"n\"]] "
	  "[~abc|[\"b\"]|[\"%9%1%0\"]]",
		"DIGOL n abc" },
	{ "[~[\"a\nb\"]|[\"^b\"]|[\"y\"]|[\"n\"]] [~[\"a\nb\"]|[\"(?m)^b\"]|[\"y\"]|[\"n\"]] "
	  "[~[\"a\nb\"]|[\"^a$\"]|[\"y\"]|[\"(?s)a.b\"]|[\"s\"]]",
		"n y s" },
	{ "[=a|[\"x%1\"]][=b|[\"[@a|%1]y\"]][=c|[\"[@b|%1]z\"]] [@c|1] [:c|1] [@b|[\"[@a|2]\"]]",
		" x1yz [@b|1]z xx2y" },
	{ "[=up|[\"[? %1 "
	  "|.|%1[@down|%2|%1]]\"]][=down|[\"[~%1|[\"^(.)(.*)\"]|[\"[@up|%1|%2]\"]]\"]][@down|123|"
	  "0]",
		"123." },
	{ "[%R|[= r|[\"%R\"]]|][:r] [@r]", "<b@y> <b@y>" },
	{ "[:args|[%R|%R|;]|[? 0 |a|b]|[~x|[\"x\"]|[\"y\"]]]", "<args>/<<a@x>;<b@y>>/<a>/<y>" },
	{ "%R[%O|no|,]|[%q|one|,]", "<a@x>, <b@y>|one" },
	{ " [? %z\n|a|b|c ] \\\nx", " c  x" },
	{ "[%R|%%R_R_\\%R|,] [\"%%R\"] [\"\\%R\"] [:args|\\|\\]\\[\\#]",
		"%R<a@x>, <b@y>%R,%R<a@x>, <b@y>%R %R %R <args>/<|][#>" },
};

static void texts_expand_as_amavisd_expands_them(void **state)
{
	const struct template_scope scope = { .most = 65536 };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		expand_as(rows[i].text, &scope, MW_OK, rows[i].expected);
}

static void refused(const char *text, enum mw_rc wanted, const char *said)
{
	struct template_code *t = NULL;
	struct mw_err err = { "" };

	assert_int_equal(template_compile(text, &table, &t, &err), wanted);
	assert_null(t);
	if (strstr(err.text, said) == NULL)
		fail_msg("%s: %s", text, err.text);
}

static void what_is_wrong_is_told_with_its_place(void **state)
{
	char deep[TEMPLATE_NESTING_MAX + 2];

	(void)state;
	refused("[? %#V |a", MW_ERR_CONF, "line 1, character 1");
	refused("a\nb\n  [%R|x", MW_ERR_CONF, "line 3, character 3");
	refused("[\"a]b\"]", MW_ERR_CONF, "character 1: a quote");
	refused("[~x|[\"(\"]|y|n]", MW_ERR_CONF, "regexp (");
	refused("\\400", MW_ERR_CONF, "\\377");
	memset(deep, '[', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	refused(deep, MW_ERR_LIMIT, "nested");
}

static void an_expansion_has_bounds(void **state)
{
	const struct template_scope scope = { .most = 10 }, wide = { .most = 1000 };
	struct template_code *t = NULL;
	struct mw_text out = { 0 };

	(void)state;
	expand_as("1234567890", &scope, MW_OK, "1234567890");
	expand_as("12345678901", &scope, MW_ERR_LIMIT, "1234567890");
	expand_as("[=f|[\"[@f]\"]]a[@f]b", &wide, MW_ERR_LIMIT, "a");
	assert_int_equal(
		template_compile("[=f|[\"%1[@f|%1%1]\"]][@f|xx]", &table, &t, NULL), MW_OK);
	assert_int_equal(template_expand(t, &wide, &out), MW_ERR_LIMIT);
	assert_true(out.n <= 1000);
	template_unref(&t);
	mw_text_fini(&out);
}

/* One call within the bounds, a thousand of them not. */
static void what_values_take_is_bounded(void **state)
{
	const struct template_scope scope = { .most = 1000 };
	struct mw_text loop = { 0 };

	(void)state;
	expand_as("[:large][:large]x", &scope, MW_OK, "x");
	for (int i = 0; i < 20; i++)
		mw_text_add(&loop, "[:large]");
	mw_text_add(&loop, "x");
	expand_as(loop.p, &scope, MW_ERR_LIMIT, "");
	mw_text_fini(&loop);
}

static void functions_of_numbers_have_bounds(void **state)
{
	static const struct {
		const char *text, *expected;
		size_t n; /* when expected is NULL */
	} numbers[] = {
		{ "[:sprintf|%%5.2f|1.256]", " 1.26", 0 },
		{ "[:sprintf|%%999s|x]", NULL, 999 },
		{ "[:sprintf|%%99999999s|x]", NULL, 999 },
		{ "[:sprintf|%%9999999999999999999s|x]", NULL, 999 },
		{ "[:sprintf|%%1.99999999f|1]", NULL, 1001 },
		{ "[:incr|1e999|-1e999]", "nan", 0 },
		{ "[:sprintf|%%d|nan]", "0", 0 },
	};
	const struct template_scope scope = { .most = 1 << 20 };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(numbers); i++) {
		struct template_code *t = NULL;
		struct mw_text out = { 0 };

		mw_text_add(&out, "");
		assert_int_equal(template_new(numbers[i].text, &t, NULL), MW_OK);
		assert_int_equal(template_expand(t, &scope, &out), MW_OK);
		if (numbers[i].expected != NULL)
			assert_string_equal(
				out.p + (strcmp(out.p, "-nan") == 0), numbers[i].expected);
		else
			assert_int_equal(out.n, numbers[i].n);
		template_unref(&t);
		mw_text_fini(&out);
	}
}

static void values_are_escaped_for_a_line(void **state)
{
	static const struct mw_octets items[] = { { (const unsigned char *)"a\nb", 3 },
		{ (const unsigned char *)"c", 1 } };
	static const struct template_extra extras[] = { { "T", 2, items }, { "n", 1, items + 1 } };
	const struct template_scope scope = {
		.most = 1000, .escape = true, .extras = extras, .extra_count = MW_COUNT(extras)
	};

	(void)state;
	expand_as("[:control]\n[control|<%x>|,]", &scope, MW_OK,
		"a\\nb\\x00c, \\e[2J\\\\\\x7F\n<a\\nb\\x00c>,<\\e[2J\\\\\\x7F>");
	expand_as("%T %#T %n", &scope, MW_OK, "a\\nb, c 2 c");
	assert_int_equal(items[0].p[1], '\n'); /* the caller's are not touched */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_expand_as_amavisd_expands_them),
		cmocka_unit_test(what_is_wrong_is_told_with_its_place),
		cmocka_unit_test(an_expansion_has_bounds),
		cmocka_unit_test(what_values_take_is_bounded),
		cmocka_unit_test(functions_of_numbers_have_bounds),
		cmocka_unit_test(values_are_escaped_for_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
