"""Banned parts per recipient and header sections, with a real scanner: names, types, archives, encodings, rules by recipient,
and what the record says of them."""
import mw
import mwhop
import pytest
from mwhop import A, B
from mwlua import Raw, lua_file
from mwmail import mail, multipart, part, zipped

behind = mwhop.behind  # the fixture
MZ = b"MZ\x90\0" + bytes(56) + b"\x40\0\0\0PE\0\0" + bytes(18) + b"\x02\x01" + bytes(200)
BINARY = "application/octet-stream"
RULES = Raw(r"""new_RE {
  { "\\.[^./]*\\.(exe|vbs|pif|scr|bat|cmd|com|cpl|dll)\\.?$(?# double extension )", true },
  { "^allowed\\.exe$", false },
  { "(?i)\\.(exe|vbs|pif|scr)$", "DISCARD, please" },
  { "^\\.(exe-ms|dll)$", true },
  { "^application/x-msdownload$", true },
}""")
TEXT = part("text/plain", b"see the attachment\r\n", encode=False)


def raw(head, octets=b"hello\r\n"):
    return head.encode() + b"\r\n\r\n" + octets


def attached(*parts):
    return multipart([TEXT, *parts])


@pytest.fixture
def sent(suite, behind):
    """Start with settings, then send: the record of that mail."""
    def start(**settings):
        behind(settings={"scanner__clamav_database": str(suite.folder / "none"), **settings},
            services=("scanner", "logger"))
        return send

    def send(octets, rcpts=(A,)):
        before = len(suite.records())
        suite.send(octets, rcpts=rcpts)
        return mw.until("a record", lambda: suite.records()[before:])[0]
    return start


def reasons(record):
    return [r.get("banning_reason") for r in record["recipients"]]


def test_names_and_types_are_banned(sent):
    send = sent(banned_filename_re=RULES)
    rows = [
        (mail(), None),
        (attached(part("application/pdf", b"%PDF-1.4\n", name="a.pdf")), None),
        (attached(part("text/plain", b"hello", name="a.exe")), "text/plain,.asc,a.exe"),
        (attached(part("text/plain", b"hello", name="A.EXE")), "text/plain,.asc,A.EXE"),
        (attached(part("image/png", MZ, name="a.png")), "image/png,.exe,.exe-ms,a.png"),
        (attached(part(BINARY, MZ, name="allowed.exe")), None),
        (attached(part(BINARY, b"x", name="doc.pdf.scr")), f"double extension:{BINARY},.asc,doc.pdf.scr"),
        (attached(part("application/x-msdownload", b"x")), "application/x-msdownload,.asc"),
        (attached(part("application/zip", zipped("in/b.exe", b"x"), name="z.zip")), ".asc,in/b.exe"),
        (attached(part("application/zip", zipped("b.txt", MZ), name="z.zip")), ".exe,.exe-ms,b.txt"),
        (attached(part("application/zip", zipped("y.zip", zipped("c.exe", b"x")))), ".asc,c.exe"),
        (attached(raw(f"Content-Type: {BINARY}; name=\"=?utf-8?B?YS5leGU=?=\"")),
            f"{BINARY},.asc,a.exe,=?utf-8?B?YS5leGU=?="),
        (attached(raw("Content-Type: text/plain\r\nContent-Disposition: attachment; filename*=utf-8''a%2Eex%65")),
            "text/plain,.asc,a.exe"),
        (attached(raw("Content-Type: text/plain; name=a.txt\r\nContent-Disposition: attachment;\r\n"
            " filename*0=b; filename*1=.exe")), "text/plain,.asc,a.txt,b.exe"),
        (mail(b"x", headers=["MIME-Version: 1.0", "Content-Type: text/plain; name=a.exe"]), "text/plain,.asc,a.exe"),
        (attached(raw("Content-Type: message/rfc822", attached(part("text/plain", b"x", name="n.exe")))),
            "text/plain,.asc,n.exe"),
    ]
    for octets, reason in rows:
        got = send(octets)
        assert reasons(got) == [reason], octets
        assert "B" in got["checks_performed"].split()


def test_recipients_have_their_own_rules(sent):
    send = sent(
        banned_rules={"NO_EXE": Raw('new_RE { "\\\\.exe$" }'), "NO_TXT": Raw('{ new_RE { "\\\\.txt$" } }'), "ALL": Raw('new_RE { { "", false } }')},
        banned_filename_maps=[{A: "NO_EXE, NO_TXT", B: Raw('{ new_RE { "^\\\\.asc$" } }'), "c@example.org": "ALL,NO_EXE", ".": "NO_TXT"}],
        bypass_banned_checks_maps=[{"d@example.org": True}])
    rcpts = (A, B, "c@example.org", "d@example.org", "e@example.org", "f@example.org")
    got = send(multipart([part("text/plain", MZ, name="a.exe")]), rcpts)
    assert reasons(got) == ["text/plain,.exe,.exe-ms,a.exe", None, None, None, None, None]
    got = send(multipart([part("text/plain", b"hello", name="a.txt")]), rcpts)
    told = "text/plain,.asc,a.txt"
    assert reasons(got) == [told, told, None, None, told, told]
    assert got["recipients"][3]["bypass_banned_checks"] is True


def test_paths_and_what_cannot_be_read(sent):
    data = bytearray(zipped("secret.txt", b"x" * 100))
    data[6] |= 1  # local header: encrypted
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    secret = attached(part("application/zip", bytes(data), name="s.zip"))
    send = sent(banned_filename_re=Raw('new_RE { "^UNDECIPHERABLE$" }'),
        banned_namepath_re=Raw(r'new_RE { "(?m)\\tT=zip(\\t[^\\n]*)*\\n.*\\tN=b\\.doc$", { "\\tL=1/2\\t", true } }'))
    assert reasons(send(secret)) == ["secret.txt,UNDECIPHERABLE"]
    assert reasons(send(multipart([part("application/zip", zipped("b.doc", b"x"))]))) == [".asc,b.doc"]
    assert reasons(send(multipart([part("application/zip", zipped("b.odt", b"x"))]))) == [None]
    assert reasons(send(attached(part("text/plain", b"x")))) == ["text/plain,.asc"]


def test_nobody_pays_without_rules(suite, sent):
    got = sent()(attached(part(BINARY, MZ, name="a.exe")))
    assert reasons(got) == [None] and got["checks_performed"].split() == ["V", "H"]


def test_banned_parts_are_looked_for_where_viruses_are_not(sent):
    send = sent(banned_filename_re=RULES, bypass_virus_checks_maps=[True])
    assert reasons(send(attached(part(BINARY, MZ, name="a.png")))) == [f"{BINARY},.exe,.exe-ms,a.png"]


def test_wrong_rules_are_told_at_start(suite):
    for settings, told in (
            ({"banned_filename_maps": ["NO_SUCH"]}, 'banned_filename_maps: there is no rule "NO_SUCH" in banned_rules'),
            ({"banned_filename_maps": [{A: "DEFAULT, X"}]}, 'there is no rule "X"'),
            ({"banned_filename_re": Raw('new_RE { "(" }')}, "banned_filename_re"),
            ({"banned_rules": {"A": Raw('new_RE { "(" }')}}, "banned_rules"),
            ({"banned_rules": {"A B": Raw('new_RE { "x" }')}}, "no commas and no blanks"),
            ({"banned_filename_maps": [{A: Raw('{ new_RE { "(" } }')}]}, "banned_filename_maps"),
            ({"policy_bank": {"X": {"banned_filename_maps": ["NO_SUCH"]}}, "interface_policy": {"1": "X"}}, "NO_SUCH"),
            ({"allowed_header_tests": {"sumtax": True}}, "sumtax")):
        path = suite.folder / "wrong.lua"
        path.write_text(lua_file(settings))
        done = suite.tool("check-config", path)
        assert done.returncode != 0 and told in done.stdout + done.stderr, settings


def test_header_sections_are_checked(sent):
    send = sent(bypass_header_checks_maps=[{B: True}], allowed_header_tests={"utf8": True})
    assert "H" in send(mail())["checks_performed"].split()
    got = send(mail(subject="caf\u00e9"))
    assert got["bad_header"] == ["Non-encoded UTF-8 string in non-EAI mail (char C3 A9 hex): Subject: caf\\x{C3}\\x{A9}"]
    assert "bad_header" not in send(mail(subject="caf\u00e9"), rcpts=(B,))


def test_banned_mail_and_bad_headers_have_their_categories(suite, sent):
    send = sent(banned_filename_re=RULES, final_banned_destiny=Raw("D_REJECT"), bypass_banned_checks_maps=[{B: True}])
    got = send(attached(part(BINARY, MZ, name="b.bin")), (A, A))
    assert got["content_type"] == "Banned" and got["action"] == ["REJECT"]
    assert "BANNED: application/octet-stream,.exe,.exe-ms,b.bin" in got["recipients"][0]["smtp_response"]
    assert send(attached(part(BINARY, MZ, name="b.bin")), (B,))["action"] == ["PASS"]
    got = send(mail(headers=["Subject: again"]))
    assert got["content_type"] == "BadHdrDupl" and got["action"] == ["PASS"]
    assert got["bad_header"] == ['Duplicate header field: "Subject"']
