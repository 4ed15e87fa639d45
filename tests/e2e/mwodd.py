"""
Mails that readers read in different ways, or that hardly any reader likes: each is a function of a file's name and octets, and some
reader of this world shows or saves that file. ODD: those that a filter may call ambiguous; PLAIN: those with one reading.
"""
import base64
import quopri
import re


import mwarchive
from mwmail import base64_lines

HEAD = (b"From: Eve <eve@example.com>\r\nTo: bob@example.org\r\nDate: Sun, 02 Mar 2025 08:15:30 +0000\r\nSubject: hello\r\n"
    b"MIME-Version: 1.0\r\n")
NOTE = b"Content-Type: text/plain\r\n\r\nsee the attachment\r\n"
BINARY = b"application/octet-stream"


def file_head(name, ctype=BINARY, encoding=b"base64"):
    return (b"Content-Type: " + ctype + b"; name=\"" + name.encode() + b"\"\r\nContent-Disposition: attachment; filename=\"" + name.encode() +
        b"\"\r\n" + (b"Content-Transfer-Encoding: " + encoding + b"\r\n" if encoding else b""))


def file_part(name, octets, ctype=BINARY):
    return file_head(name, ctype) + b"\r\n" + base64_lines(octets)


def parts(*bodies, mark=b"bb", end=b"--bb--\r\n", before=b"", after=b""):
    return before + b"".join(b"--" + mark + b"\r\n" + body + (b"" if body.endswith(b"\n") else b"\r\n") for body in bodies) + end + after


def multipart(*bodies, field=b"Content-Type: multipart/mixed; boundary=bb\r\n", head=HEAD, **kw):
    return head + field + b"\r\n" + parts(*bodies, **kw)


def attached(name, octets, ctype=BINARY, note=NOTE):
    return multipart(note, file_part(name, octets, ctype))


def inner(name, octets):
    """A mail that goes into another one: its boundary is its own."""
    return multipart(NOTE, file_part(name, octets), field=b"Content-Type: multipart/mixed; boundary=in\r\n", mark=b"in", end=b"--in--\r\n")


# ------------------------------------------------------------------ transfer encodings

def encoded(encoding, encode):
    return lambda name, octets: multipart(NOTE, file_head(name, encoding=encoding) + b"\r\n" + encode(octets) + b"\r\n")


def quoted_all(octets):
    return b"=\r\n".join(b"".join(b"=%02X" % c for c in octets[i:i + 24]) for i in range(0, len(octets), 24))


def quoted_small(octets):
    """Lower case, and blanks before the soft line ends: neither is allowed, both are read."""
    return quoted_all(octets).lower().replace(b"=\r\n", b"= \t\r\n")


def junk_lines(octets):
    """Characters of no alphabet between those of base64 (RFC 2045 section 6.8: to be ignored)."""
    return b"\r\n".join(b"!*(".join(line[i:i + 10] for i in range(0, len(line), 10)) for line in base64.encodebytes(octets).split(b"\n"))


def padded_inside(octets):
    """Several encoded texts one behind the other, each with its own padding."""
    return b"\r\n".join(base64.b64encode(octets[i:i + 31]) for i in range(0, len(octets), 31))


def padding_first(octets):
    return b"====\r\n" + base64_lines(octets)


def text_behind(octets):
    return base64_lines(octets) + b"\r\n-- \r\nthis list is run by volunteers; unsubscribe there\r\n"


def one_a_line(octets):
    return b"\r\n".join(bytes([c]) for c in base64.b64encode(octets))


def both_encodings(first, second, encode):
    def make(name, octets):
        fields = b"Content-Transfer-Encoding: " + first + b"\r\nContent-Transfer-Encoding: " + second + b"\r\n"
        return multipart(NOTE, file_head(name, encoding=b"") + fields + b"\r\n" + encode(octets) + b"\r\n")
    return make


def uuencoded_part(encoding):
    return lambda name, octets: multipart(NOTE, file_head(name, encoding=encoding) + b"\r\n" + mwarchive.uuencoded(name, octets))


def in_text(encode):
    """A file in the text of a mail without MIME, as in the eighties."""
    return lambda name, octets: HEAD.replace(b"MIME-Version: 1.0\r\n", b"") + b"\r\nHello,\r\n\r\n" + encode(name, octets) + b"\r\nbye\r\n"


def encoded_box(encoding=b"base64"):
    """RFC 2045 section 6.4 forbids an encoded multipart."""
    return lambda name, octets: (HEAD + b"Content-Type: multipart/mixed; boundary=bb\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" +
        base64_lines(parts(NOTE, file_part(name, octets))))


def box_says_base64(name, octets):
    """The multipart claims to be encoded and is not."""
    return multipart(NOTE, file_part(name, octets),
        field=b"Content-Type: multipart/mixed; boundary=bb\r\nContent-Transfer-Encoding: base64\r\n")


def inner_box_encoded(name, octets):
    box = parts(NOTE, file_part(name, octets), mark=b"in", end=b"--in--\r\n")
    return multipart(NOTE, b"Content-Type: multipart/mixed; boundary=in\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64_lines(box))


def message_encoded(encoding, encode):
    return lambda name, octets: multipart(NOTE, b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" +
        encode(inner(name, octets)))


# ------------------------------------------------------------------ boundaries

def bounded(parameter, mark, **kw):
    """The field says the boundary in its own way."""
    return lambda name, octets: multipart(NOTE, file_part(name, octets), field=b"Content-Type: multipart/mixed;" + parameter + b"\r\n", mark=mark,
        end=b"--" + mark + b"--\r\n", **kw)


def hidden_in(value):
    """Two boundaries in one Content-Type; by aa, the one by the book, the file is text, by bb it is a part."""
    def make(name, octets):
        field = b"Content-Type: multipart/mixed" + value + b"\r\n"
        return HEAD + field + b"\r\n--aa\r\n" + NOTE + parts(file_part(name, octets)) + b"--aa--\r\n"
    return make


def message_type(value):
    """What looks like text to those who do not know the type is a mail that has nothing but its structure."""
    def make(name, octets):
        box = b"Content-Type: multipart/mixed; boundary=in\r\n\r\n" + parts(file_part(name, octets), mark=b"in", end=b"--in--\r\n")
        return multipart(NOTE, b"Content-Type: " + value + b"\r\n\r\n" + box)
    return make


def digest_type(field):
    """In a multipart/digest a part is a mail unless its type says something else."""
    def make(name, octets):
        box = b"Content-Type: multipart/mixed; boundary=in\r\n\r\n" + parts(file_part(name, octets), mark=b"in", end=b"--in--\r\n")
        return multipart(field + b"\r\n" + box, field=b"Content-Type: multipart/digest; boundary=bb\r\n")
    return make


def two_types(first, second, mark):
    """Two Content-Type fields: which one counts?"""
    return lambda name, octets: multipart(NOTE, file_part(name, octets), mark=mark, end=b"--" + mark + b"--\r\n",
        field=b"Content-Type: " + first + b"\r\nContent-Type: " + second + b"\r\n")


def two_views(name, octets):
    """With one boundary there is only text, with the other one the file."""
    field = b"Content-Type: multipart/mixed; boundary=aa; boundary=bb\r\n"
    return (HEAD + field + b"\r\n--aa\r\n" + NOTE + b"--aa\r\nContent-Type: text/plain\r\n\r\nmore\r\n" + parts(file_part(name, octets)) +
        b"--aa--\r\n")


def prefixed_boundary(name, octets):
    """The inner boundary begins with the outer one; readers that compare beginnings end the inner multipart there."""
    box = b"Content-Type: multipart/mixed; boundary=bbb\r\n\r\n" + parts(NOTE, file_part(name, octets), mark=b"bbb", end=b"--bbb--\r\n")
    return multipart(NOTE, box)


def same_boundary(name, octets):
    box = b"Content-Type: multipart/mixed; boundary=bb\r\n\r\n" + parts(NOTE, file_part(name, octets))
    return multipart(NOTE, box)


def boundary_and_more(name, octets):
    """Text behind the boundary on its line: no delimiter by RFC 2046, one for readers that compare beginnings."""
    return multipart(NOTE, b"Content-Type: text/plain\r\n\r\nmore\r\n--bb trailing\r\n" + file_part(name, octets))


def no_final(name, octets):
    return multipart(NOTE, file_part(name, octets), end=b"")


def cut_in_file(name, octets):
    """The mail ends within the file's last line: no final boundary, no padding."""
    return multipart(NOTE, file_part(name, octets).rstrip(b"\r\n="), end=b"").rstrip(b"\r\n")


def in_preamble(name, octets):
    """Before the first boundary: a mail of its own for readers that know no MIME."""
    return multipart(NOTE, before=mwarchive.uuencoded(name, octets))


def in_epilogue(name, octets):
    return multipart(NOTE, after=b"\r\n" + mwarchive.uuencoded(name, octets))


def part_behind_final(name, octets):
    return multipart(NOTE, after=parts(file_part(name, octets)))


def final_first(name, octets):
    """The first line is the final boundary already."""
    return multipart(file_part(name, octets), before=b"--bb--\r\n")


def no_boundary(name, octets):
    """multipart without the parameter: readers guess it from the first line."""
    return multipart(NOTE, file_part(name, octets), field=b"Content-Type: multipart/mixed\r\n")


def wrong_boundary(name, octets):
    return multipart(NOTE, file_part(name, octets), field=b"Content-Type: multipart/mixed; boundary=other\r\n")


def bad_type(value):
    """A Content-Type that is none: readers look at the name, or take what they like."""
    def make(name, octets):
        fields = (b"Content-Type: " + value + b"\r\nContent-Disposition: attachment; filename=\"" + name.encode() +
            b"\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
        return multipart(NOTE, fields + base64_lines(octets))
    return make


# ------------------------------------------------------------------ header sections and line ends

def field_trick(change):
    """The part's fields written in a way that not everybody takes for fields."""
    return lambda name, octets: multipart(NOTE, change(file_head(name)) + b"\r\n" + base64_lines(octets))


def top_trick(change):
    def make(name, octets):
        return multipart(NOTE, file_part(name, octets), field=change(b"Content-Type: multipart/mixed; boundary=bb\r\n"))
    return make


def blank_line_inside(head):
    """A line of blanks only within the header: its end, for some."""
    return head.replace(b"Content-Transfer", b" \t\r\nContent-Transfer")


def text_line_inside(head):
    return head.replace(b"Content-Transfer", b"this is no field\r\nContent-Transfer")


def no_empty_line(name, octets):
    """The body begins where a field should."""
    return multipart(NOTE, file_head(name) + base64_lines(octets))


def bare_lf(name, octets):
    return attached(name, octets).replace(b"\r\n", b"\n")


def bare_cr(name, octets):
    return attached(name, octets).replace(b"\r\n", b"\r")


def cr_in_head(name, octets):
    """Bare CRs end the lines of the file's own header section."""
    return multipart(NOTE, file_head(name).replace(b"\r\n", b"\r") + b"\r" + base64_lines(octets))


def cr_hides_field(name, octets):
    """Behind a bare CR stands another Content-Type of the whole mail."""
    return multipart(NOTE, file_part(name, octets), field=b"Content-Type: text/plain\rContent-Type: multipart/mixed; boundary=bb\r\n")


def lf_before_boundary(name, octets):
    mail = attached(name, octets)
    return mail.replace(b"\r\n--bb", b"\n--bb")


def cr_before_boundary(name, octets):
    return attached(name, octets).replace(b"\r\n--bb", b"\r--bb")


def nul_in_head(name, octets):
    return multipart(NOTE, file_part(name, octets), field=b"Content-Type: multipart/mixed\0; boundary=bb\r\n")


def mixed_ends(name, octets):
    lines = iter(range(10000))
    return re.sub(rb"\r\n", lambda m: b"\n" if next(lines) % 2 else m.group(), attached(name, octets))


# ------------------------------------------------------------------ messages in messages

def forwarded(name, octets):
    return multipart(NOTE, b"Content-Type: message/rfc822\r\n\r\n" + inner(name, octets))


def digest(name, octets):
    return multipart(b"\r\n" + inner(name, octets), field=b"Content-Type: multipart/digest; boundary=bb\r\n")


def partial(number, total):
    """One fragment; a reader that has them all puts them together (RFC 2046 section 5.2.2)."""
    def make(name, octets):
        field = b"Content-Type: message/partial; id=\"x@example.com\"; number=%d; total=%d\r\n\r\n" % (number, total)
        whole = inner(name, octets)
        return HEAD + field + (whole if total == 1 else whole[:whole.index(b"base64")] if number == 1 else whole[whole.index(b"base64"):])
    return make


def external(name, octets):
    """The file lies elsewhere; what stands here is a body that readers are told to ignore (section 5.2.3)."""
    return multipart(NOTE, b"Content-Type: message/external-body; access-type=URL; URL=\"http://example.com/" + name.encode() + b"\"\r\n\r\n" +
        file_part(name, octets))


def file_as_message(name, octets):
    """A message of the wrong type, encoded."""
    return attached("inner.eml", inner(name, octets))


# ------------------------------------------------------------------ names

def named(*fields):
    """Fields of the file with its name written in some way: %N is the name, %Q per cent encoded, %B as base64, %E as quoted-printable,
    %1 and %2 its beginning and the rest, %b1 and %b2 those as base64, %c1 and %c2 base64 cut within an octet; in UTF-16 %W as base64, %P
    per cent encoded; %7 UTF-7, %J ISO-2022-JP with needless escapes; %Z as base64 with a NUL and .txt behind it."""
    def make(name, octets):
        n, wide = name.encode(), name.encode("utf-16-be")
        whole = base64.b64encode(n)
        forms = {"N": n, "Q": b"".join(b"%%%02x" % c for c in n), "B": whole, "E": b"".join(b"=%02X" % c for c in n),
            "1": n[:3], "2": n[3:], "b1": base64.b64encode(n[:3]), "b2": base64.b64encode(n[3:]), "c1": whole[:-3], "c2": whole[-3:],
            "W": base64.b64encode(wide), "P": b"".join(b"%%%02x" % c for c in wide), "7": b"+" + base64.b64encode(wide).rstrip(b"=") + b"-",
            "J": n[:3] + b"=1B(J" + n[3:-2] + b"=1B(B" + n[-2:], "Z": base64.b64encode(n + b"\0.txt")}
        head = b"".join(re.sub(rb"%(b1|b2|c1|c2|[NQBE12WP7JZ])", lambda m: forms[m.group(1).decode()], f.encode()) + b"\r\n" for f in fields)
        if b"Content-Type" not in head:
            head = b"Content-Type: application/octet-stream\r\n" + head
        return multipart(NOTE, head + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64_lines(octets))
    return make


DISP = "Content-Disposition: attachment; "
TYPE = "Content-Type: application/octet-stream; "

PLAIN = {
    "8-bit with a URL": lambda n, o: multipart(NOTE.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: 8-bit\r\n\r\nhttp://a.example/?id=12\r\n"),
        file_part(n, o)),
    "boundary with a comma and a bracket": bounded(b' boundary="b(,b"; x="(,"', b"b(,b"),
    "base64": attached,
    "quoted-printable": encoded(b"quoted-printable", quopri.encodestring),
    "quoted-printable all": encoded(b"quoted-printable", quoted_all),
    "quoted-printable small": encoded(b"quoted-printable", quoted_small),
    "8bit": encoded(b"8bit", bytes),
    "binary": encoded(b"binary", bytes),
    "base64 mixed case": encoded(b"BaSe64", base64_lines),
    "base64 folded": encoded(b"\r\n\tbase64", base64_lines),
    "base64 in one line": encoded(b"base64", base64.b64encode),
    "base64 one a line": encoded(b"base64", one_a_line),
    "forwarded": forwarded,
    "digest": digest,
    "whole mail is the file": lambda n, o: HEAD + file_head(n) + b"\r\n" + base64_lines(o),
    "quoted boundary": bounded(b' boundary="bb \'()+_,-./:=?x"', b"bb '()+_,-./:=?x"),
    "folded boundary": bounded(b"\r\n\tboundary=\r\n bb", b"bb"),
    "continued boundary": bounded(b' boundary*0="b"; boundary*1=b', b"bb"),
    "upper case": lambda n, o: multipart(NOTE, file_part(n, o), field=b"CONTENT-TYPE: MULTIPART/MIXED; BOUNDARY=bb\r\n"),
    "blanks behind boundary": lambda n, o: attached(n, o).replace(b"--bb\r\n", b"--bb \t \r\n"),
    "name in type": named(TYPE + 'name="%N"'),
    "name in disposition": named(DISP + 'filename="%N"'),
    "name unquoted": named(DISP + "filename=%N"),
    "name extended": named(DISP + "filename*=utf-8''%Q"),
    "name continued": named(DISP + 'filename*0="%1"; filename*1="%2"'),
    "name continued, folded": named(DISP.rstrip() + '\r\n filename*0="%1";\r\n filename*1="%2"'),
    "name continued, extended": named(DISP + "filename*0*=utf-8''%1; filename*1*=%2"),
    "name encoded-word b": named(DISP + 'filename="=?utf-8?B?%B?="'),
    "name encoded-word q": named(TYPE + 'name="=?iso-8859-1?Q?%E?="'),
    "name in two encoded-words": named(DISP + 'filename="=?utf-8?B?%b1?= =?utf-8?B?%b2?="'),
    "name in inline": named('Content-Disposition: inline; filename="%N"'),
    "name with a path": named(DISP + 'filename="C:\\\\tmp\\\\%N"'),
    "name extended, folded": named(DISP + "filename*0*=utf-8''%1;\r\n filename*1*=%2"),
    "name with a comma and brackets beside": named(DISP + 'filename="%N"; x="a, (b"'),
    "name behind a line of text": named(TYPE + 'name="see\r\n %N"'),
}

ODD = {
    "base64 with junk": encoded(b"base64", junk_lines),
    "base64 padded inside": encoded(b"base64", padded_inside),
    "base64 padding first": encoded(b"base64", padding_first),
    "base64 without padding": encoded(b"base64", lambda o: base64_lines(o).rstrip(b"\r\n=")),
    "base64 with text behind": encoded(b"base64", text_behind),
    "encoding with a comment": encoded(b"(x) base64 (y)", base64_lines),
    "encoding with more": encoded(b"base64; x=y", base64_lines),
    "encoding quoted": encoded(b'"base64"', base64_lines),
    "encoding unknown": encoded(b"x-base64", base64_lines),
    "encoding twice, 7bit first": both_encodings(b"7bit", b"base64", base64_lines),
    "encoding twice, 7bit last": both_encodings(b"base64", b"7bit", base64_lines),
    "encoding twice, quoted first": both_encodings(b"quoted-printable", b"base64", base64_lines),
    "encoding twice, quoted last": both_encodings(b"base64", b"quoted-printable", quoted_all),
    "x-uuencode": uuencoded_part(b"x-uuencode"),
    "uuencode in a part": uuencoded_part(b"7bit"),
    "uuencode in text": in_text(mwarchive.uuencoded),
    "begin-base64 in text": in_text(mwarchive.begin_base64),
    "yenc in text": in_text(mwarchive.yenc),
    "binhex in text": in_text(mwarchive.binhex),
    "binhex in a part": lambda n, o: multipart(NOTE, b"Content-Type: application/mac-binhex40; name=x.hqx\r\n\r\n" + mwarchive.binhex(n, o)),
    "multipart encoded": encoded_box(),
    "multipart says base64": box_says_base64,
    "inner multipart encoded": inner_box_encoded,
    "message in base64": message_encoded(b"base64", base64_lines),
    "message in quoted-printable": message_encoded(b"quoted-printable", quopri.encodestring),
    "boundary twice, right first": bounded(b" boundary=bb; boundary=aa", b"bb"),
    "boundary twice, right last": bounded(b" boundary=aa; boundary=bb", b"bb"),
    "boundary twice, two views": two_views,
    "boundary plain and extended": bounded(b" boundary=aa; boundary*=us-ascii''bb", b"bb"),
    "boundary extended and plain": bounded(b" boundary*=us-ascii''aa; boundary=bb", b"bb"),
    "boundary continued and plain": bounded(b" boundary*0=b; boundary*1=b; boundary=aa", b"bb"),
    "boundary not closed": bounded(b' boundary="bb', b"bb"),
    "boundary in single quotes": bounded(b" boundary='bb'", b"bb"),
    "boundary with a blank at its end": bounded(b' boundary="bb "', b"bb"),
    "boundary with blanks around": bounded(b" boundary = bb", b"bb"),
    "boundary with a colon": bounded(b" boundary=b:b", b"b:b"),
    "boundary empty": bounded(b' boundary=""', b""),
    "boundary of 200": bounded(b" boundary=" + b"b" * 200, b"b" * 200),
    "boundary of 400": bounded(b" boundary=" + b"b" * 400, b"b" * 400),
    "boundary without semicolon": lambda n, o: multipart(NOTE, file_part(n, o), field=b"Content-Type: multipart/mixed boundary=bb\r\n"),
    "boundary behind a comma": lambda n, o: multipart(NOTE, file_part(n, o), field=b"Content-Type: multipart/mixed, boundary=bb\r\n"),
    "boundary hidden in a comment": hidden_in(b" (; boundary=bb; ); boundary=aa"),
    "boundary hidden behind a comma": hidden_in(b", boundary=bb; boundary=aa"),
    "boundary hidden before a comma": hidden_in(b"; boundary=aa, boundary=bb"),
    "boundary with a comment in its name": hidden_in(b"; boundary (x)=bb; boundary=aa"),
    "boundary in pieces out of order": bounded(b" boundary*1=c; boundary*0=b", b"bc"),
    "boundary in pieces as they come": bounded(b" boundary*1=c; boundary*0=b", b"cb"),
    "boundary in pieces with a gap": hidden_in(b"; boundary*0=bb; boundary*2=a"),
    "boundary in pieces, one twice": hidden_in(b"; boundary*0=bb; boundary*0=a"),
    "boundary extended beside pieces": hidden_in(b"; boundary*=''bb; boundary*0=a"),
    "message with a word behind its type": message_type(b"message/rfc822 x"),
    "message with a comma behind its type": message_type(b"message/rfc822, x"),
    "digest with an empty type": digest_type(b"Content-Type:\r\n"),
    "digest with a type that is none": digest_type(b"Content-Type: x\r\n"),
    "type twice, multipart first": two_types(b"multipart/mixed; boundary=bb", b"text/plain", b"bb"),
    "type twice, multipart last": two_types(b"text/plain", b"multipart/mixed; boundary=bb", b"bb"),
    "type twice, two boundaries": two_types(b"multipart/mixed; boundary=aa", b"multipart/mixed; boundary=bb", b"bb"),
    "type text, then message": lambda n, o: HEAD + b"Content-Type: text/plain\r\nContent-Type: message/rfc822\r\n\r\n" + inner(n, o),
    "boundary among comments": bounded(b" (x; boundary=aa) boundary=bb (y)", b"bb"),
    "boundary escaped": bounded(b' boundary="\\b\\b"', b"bb"),
    "boundary prefix": prefixed_boundary,
    "boundary of the outer": same_boundary,
    "boundary and more": boundary_and_more,
    "no final boundary": no_final,
    "cut in the file": cut_in_file,
    "in the preamble": in_preamble,
    "in the epilogue": in_epilogue,
    "part behind the final boundary": part_behind_final,
    "final boundary first": final_first,
    "multipart without boundary": no_boundary,
    "multipart with a wrong boundary": wrong_boundary,
    "type is nonsense": bad_type(b"nonsense"),
    "type is empty": bad_type(b""),
    "type is half": bad_type(b"application/"),
    "type multipart of a file": bad_type(b"multipart/mixed"),
    "type message of a file": bad_type(b"message/rfc822"),
    "colon behind blanks": field_trick(lambda h: h.replace(b"-Encoding:", b"-Encoding :")),
    "no blank behind the colon": field_trick(lambda h: h.replace(b": ", b":")),
    "line of blanks in the header": field_trick(blank_line_inside),
    "line of text in the header": field_trick(text_line_inside),
    "header begins with a blank": field_trick(lambda h: b" " + h),
    "header begins with text": field_trick(lambda h: b"not a field\r\n" + h),
    "folded name of a field": field_trick(lambda h: h.replace(b"Content-Transfer-Encoding:", b"Content-Transfer-Encoding\r\n :")),
    "type folded behind the colon": top_trick(lambda f: f.replace(b": ", b":\r\n\t\r\n ")),
    "type behind a line of blanks": top_trick(lambda f: b"X-Pad: x\r\n \r\n" + f),
    "type behind 9 KB of folds": top_trick(lambda f: f.replace(b"; ", b";" + b" x=y;\r\n" * 1500)),
    "no empty line": no_empty_line,
    "bare LF": bare_lf,
    "bare CR": bare_cr,
    "bare CR in a header": cr_in_head,
    "bare CR hides a field": cr_hides_field,
    "bare LF before boundaries": lf_before_boundary,
    "bare CR before boundaries": cr_before_boundary,
    "CRLF and LF in turn": mixed_ends,
    "NUL in a field": nul_in_head,
    "message/partial 1 of 1": partial(1, 1),
    "message/partial 1 of 2": partial(1, 2),
    "message/partial 2 of 2": partial(2, 2),
    "message/external-body": external,
    "name plain and extended": named(DISP + "filename=a.txt; filename*=utf-8''%Q"),
    "name extended and plain": named(DISP + "filename*=utf-8''a.txt; filename=%N"),
    "name twice": named(DISP + "filename=a.txt; filename=%N"),
    "name in type and disposition": named(TYPE + "name=a.txt", DISP + "filename=%N"),
    "name in disposition and type": named(TYPE + "name=%N", DISP + "filename=a.txt"),
    "disposition twice": named(DISP + "filename=a.txt", DISP + "filename=%N"),
    "name unquoted with blanks": named(DISP + "filename=see %N"),
    "name not closed": named(DISP + 'filename="%N'),
    "name escaped": named(DISP + 'filename="%1\\%2"'),
    "name continued out of order": named(DISP + 'filename*1="%2"; filename*0="%1"'),
    "name encoded-word unquoted": named(DISP + "filename==?utf-8?B?%B?="),
    "name encoded-word in pieces": named(DISP + 'filename="a=?utf-8?B?%B?="'),
    "name extended of no charset": named(DISP + "filename*=%Q"),
    "name without a type": named("Content-Disposition: filename=%N"),
    "name behind a comma": named("Content-Disposition: attachment, filename=%N"),
    "name without a semicolon": named("Content-Disposition: attachment filename=%N"),
    "name in a comment": named(DISP + "(x; filename=%N; y=); filename=a.txt"),
    "name with a comment": named(DISP + "filename (x)=%N"),
    "name with text behind it": named(DISP + "filename=%N x.txt"),
    "name with text behind its quotes": named(DISP + 'filename="%1"%2'),
    "name extended, and pieces": named(DISP + "filename*=utf-8''%Q; filename*0=.txt"),
    "name continued with a gap": named(DISP + "filename*0=%N; filename*2=.txt"),
    "name continued, one twice": named(DISP + "filename*0=%N; filename*0=.txt"),
    "name continued, with a zero": named(DISP + "filename*0=%N; filename*01=.txt"),
    "name cut within an octet": named(DISP + 'filename="=?utf-8?B?%c1?= =?utf-8?B?%c2?="'),
    "name in a long encoded-word": named(DISP + 'filename="=?utf-8?Q?' + 120 * "=E4=B8=AD" + '%E?="'),
    "name in UTF-16": named(DISP + 'filename="=?utf-16be?B?%W?="'),
    "name in UTF-16, extended": named(DISP + "filename*=utf-16be''%P"),
    "name in UTF-7": named(DISP + 'filename="=?utf-7?Q?%7?="'),
    "name in ISO-2022-JP": named(DISP + 'filename="=?iso-2022-jp?Q?%J?="'),
    "name before a NUL": named(DISP + 'filename="=?utf-8?B?%Z?="'),
    "name before a NUL, extended": named(DISP + "filename*=utf-8''%Q%00.txt"),
    "name in Content-Name": named("Content-Name: %N"),
    "name in X-Sun-Data-Name": named("X-Sun-Data-Name: %N"),
    "name behind a bare CR": named("X: y\r" + DISP + "filename=%N"),
    "name before a bare NUL": named(DISP + 'filename="%N\0.txt"'),
    "name in a comment's company": named(DISP + "filename=(x)%N(y)"),
}
