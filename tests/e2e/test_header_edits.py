"""What is done to the header section of mail that passes: one front, many mails; and the same by Debian's amavisd-new."""
import email.header
import re

import pytest

import mw
import mwamavisd
import mwhop
from mwampdp import Client, MailDir, applied, check
from mwhop import A, B, NextHop
from mwmail import field, fields
from mwsmtp import Smtp

behind = mwhop.behind  # the fixture
OUT = "x@example.com"  # not local
SPAM = "***SPAM*** "
HOOK = r"""hooks.checks = function(mail)
  local test = mail:header("X-Test") or ""
  local _, score = mail:match(test, "score=(\\S+)")
  if score then
    local left = tonumber(score)
    local _, rest = mail:match(test, "tests=(\\S+)")
    while rest and rest ~= "" do
      local all, name, points = mail:match(rest, "^,?(\\w+)=([\\d.-]+)")
      mail:add_score(tonumber(points), name)
      left = left - tonumber(points)
      rest = rest:sub(#all + 1)
    end
    if left > 0.0005 or left < -0.0005 then mail:add_score(left, "REST") end
  end
  local _, virus = mail:match(test, "virus=(\\S+)")
  if virus then mail:add_virus(virus) end
end"""


def made(*lines, body=b"Hello.\r\n"):
    """A mail of these lines below X-Mark and the usual ones."""
    head = ["X-Mark: x", "From: s@example.com", "To: a@example.org", "Date: Mon, 02 Mar 2026 08:15:30 +0000",
            "Message-ID: <1@example.com>", *lines]
    return "\r\n".join(head).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def ours(octets):
    """The fields above the mail's own first one, X-Mark."""
    return octets.partition(b"X-Mark:")[0].decode()


# ------------------------------------------------------------------ amavisd writes the same

CONF = """use strict;
$mydomain = 'mw.test'; $myhostname = 'mw.test'; $localhost_name = 'mw.test';
@local_domains_maps = (['.example.org']);
$sa_tag_level_deflt = 2; $sa_tag2_level_deflt = 6.31; $sa_kill_level_deflt = 6.31;
@spam_tag_level_maps = ({ 'low@example.org' => -10 }, \$sa_tag_level_deflt);
@bypass_virus_checks_maps = ({ 'x@example.com' => 1 });
$final_spam_destiny = $final_virus_destiny = $final_bad_header_destiny = D_PASS;
$spam_quarantine_method = $virus_quarantine_method = $bad_header_quarantine_method = undef;
$sa_spam_subject_tag = '***SPAM*** ';
$sa_spam_subject_tag1 = '(maybe) ';
$X_HEADER_LINE = 'mailweir at mw.test';
$allowed_added_header_fields{lc('X-Amavis-Category')} = 1;
$forward_method = '%s';
$notify_method = $forward_method;
1;
"""
OURS = {"spam_tag_level_maps": [{"low@example.org": -10}], "local_domains_maps": [".example.org"], "sa_tag_level_deflt": 2, "sa_tag2_level_deflt": 6.31,
        "sa_kill_level_deflt": 6.31, "sa_spam_subject_tag": SPAM, "sa_spam_subject_tag1": "(maybe) ",
        "final_spam_destiny": 1, "final_virus_destiny": 1, "myhostname": "mw.test",
        "spam_quarantine_method": "", "virus_quarantine_method": "", "bad_header_quarantine_method": "",
        "allowed_added_header_fields": {"X-Amavis-Category": True}, "bypass_virus_checks_maps": [[OUT]]}
MANY = ",".join(f"RULE_NUMBER_{i}=1.{i}" for i in range(11, 40) if i % 10)
SUM = sum(int(1000 * float(r.split("=")[1]) + 0.5) for r in MANY.split(",")) / 1000
COMPARED = [
    (A, "", "Subject: plain"),
    (A, "score=1.999 tests=A=1.999", "Subject: plain"),
    ("low@example.org", "score=0.5 tests=A=0.5", "Subject: plain"),
    ("low@example.org", "score=-3.25 tests=A=-3.25", "Subject: plain"),
    (A, "score=2 tests=A=2", "Subject: plain"),
    (A, "score=2.5 tests=A=2,B=0.5", "Subject: plain"),
    (A, "score=6.31 tests=A=6.31", "Subject: plain"),
    (A, "score=12.340 tests=A=12.34", "Subject: ***SPAM*** again"),
    (A, "score=7 tests=A=7", "Subject: Re: ***SPAM*** (maybe) ***SPAM*** again"),
    (A, "score=70 tests=A=70", "Subject: " + "a word and " * 12 + "the end"),
    (A, "score=7 tests=A=7", "Subject: first line\r\n second line\r\n\tthird"),
    (A, f"score={SUM} tests={MANY}", "Subject: many"),
    (A, "score=8 tests=A=8", "X-Nothing: no subject"),
    (A, "score=8 tests=A=8", "Subject:"),
    (OUT, "score=8 tests=A=8", "Subject: not local"),
    (A, "virus=Eicar", "Subject: infected"),
    (A, "score=9 virus=A.Virus tests=A=9", "Subject: both"),
    (A, "score=9 tests=A=9", "Subject: forged\r\nX-Spam-Flag: NO\r\nX-Spam-Status: No\r\nX-Amavis-Hold: x\r\nX-Spam-Other: x"),
]


def same(octets):
    """What both must have: ids, dates, sockets and the product's name apart."""
    text = octets.decode().partition("\r\n\r\n")[0]
    text = re.sub(r"\r\n[ \t]+", " ", text.replace("amavis,", "mailweir,"))
    text = re.sub(r"(Received: from \S+ \(\[127\.0\.0\.1\]\) by mw\.test) .*?; .*", r"\1", text)
    return [line.rstrip() for line in text.split("\r\n")]  # we leave no blank behind a tag that is all there is


@pytest.mark.deadline(200)
@pytest.mark.skipif(mwamavisd.why_not() is not None, reason=str(mwamavisd.why_not()))
def test_amavisd_makes_the_same_edits(behind, suite):
    suite.lines.append(HOOK)
    hop = behind(OURS, services=("scanner",))
    octets = [made(f"X-Test: {test}", lines) for _, test, lines in COMPARED]
    with NextHop() as theirs:
        conf = suite.folder / "edits.conf"
        conf.write_text(CONF % theirs.method)
        port = mw.free_port()
        amavisd = mwamavisd.Amavisd(suite, suite.folder / "amavisd", [conf], [f"127.0.0.1:{port}"],
                                    mw.ROOT / "tests/data/amavisd_edits.pl")
        with Smtp(("127.0.0.1", port), 60 * mw.SLOW) as c:
            c.hello()
            for (rcpt, _, _), o in zip(COMPARED, octets):
                assert c.mail("s@example.com", [rcpt], o).code == 250
        amavisd.stop()
        with suite.smtp() as c:
            c.hello()
            for (rcpt, _, _), o in zip(COMPARED, octets):
                assert c.mail("s@example.com", [rcpt], o).code == 250
        for case, a, b in zip(COMPARED, theirs.mails, hop.mails):
            print("=====", case, "\n", a.octets.decode(), "\n-----\n", b.octets.decode())
        for case, a, b in zip(COMPARED, theirs.mails, hop.mails):
            assert same(a.octets) == same(b.octets), case


# ------------------------------------------------------------------ repairs, tags, AM.PDP

REPAIRED = [
    (["A: b", " \t ", " c"], ["A: b", " c"]),
    (["A: one\rtwo"], ["A: onetwo"]),
    (["\rX-Spam-Flag: NO"], []),
    (["X-Amavis\r-Alert: none"], []),
    (["X-Spam-Status", " : No"], []),
    (["\r"], []),
    (["\r."], ["."]),
    (["A: " + "y" * 2000], ["A: " + "y" * 992 + "..."]),
    (["A: " + "y" * 995], ["A: " + "y" * 995]),
]


def test_header_sections_are_repaired_and_bodies_are_not(behind, suite):
    body = b"one\rtwo\r\n \t \r\n" + b"z" * 2000 + b"\r\n.\r\n"
    hop = behind({"bare_newline": "pass"})
    with suite.smtp() as c:
        c.hello()
        for lines, _ in REPAIRED:
            assert c.mail("s@example.com", [A], made(*lines, "Subject: x", body=body)).code == 250
    for (lines, left), m in zip(REPAIRED, hop.mails):
        head, _, got = m.octets.partition(b"\r\n\r\n")
        assert got == body, lines
        assert head.decode().partition("<1@example.com>\r\n")[2].split("\r\n") == [*left, "Subject: x"], lines


SUBJECTS = [
    ("Subject: plain", "⚠ plain"),
    ("Subject: =?ISO-8859-1?Q?gr=FC=DFe?= you", "⚠ grüße you"),
    ("Subject: =?UTF-8?B?4pqg?= =?UTF-8?Q?_again?=", "⚠ again"),
    ("Subject: =?UTF-8?Q?Re:_=E2=9A=A0_again_?=\r\n =?UTF-8?Q?=C3=BC?=", "⚠ Re: again ü"),
    ("X-Nothing: here", "⚠"),
]


def test_tags_beyond_ascii_are_read_as_they_were_meant(behind, suite):
    suite.lines.append(HOOK)
    hop = behind({"local_domains_maps": [".example.org"], "sa_tag_level_deflt": 1, "sa_tag2_level_deflt": 5,
                  "sa_kill_level_deflt": 100, "sa_spam_subject_tag": "⚠ "})
    with suite.smtp() as c:
        c.hello()
        for subject, _ in SUBJECTS:
            assert c.mail("s@example.com", [A, B, OUT], made("X-Test: score=7 tests=A=7", subject)).code == 250
    assert len(hop.mails) == 2 * len(SUBJECTS), "local recipients share a delivery, others have their own"
    for subject, read in SUBJECTS:
        tagged, plain = sorted(hop.mails[:2], key=lambda m: OUT in m.rcpts)
        del hop.mails[:2]
        assert tagged.rcpts == [A, B] and all(len(line) <= 78 for line in tagged.octets.split(b"\r\n"))
        value = field(tagged.octets, "Subject")
        assert str(email.header.make_header(email.header.decode_header(value))).rstrip() == read, subject
        assert (subject.encode() in plain.octets) and b"X-Spam" not in ours(plain.octets).encode()


def test_a_milter_changes_subjects_and_takes_all_claims_away(suite):
    files = MailDir(suite.folder / "milter")
    path = suite.folder / "run/ampdp.sock"
    suite.lines.append(HOOK)
    suite.sink()
    suite.set(ampdp__mail_dirs=[str(files.folder)], unix_socketname=[str(path)], unix_socket_mode="0666",
              bypass_virus_checks_maps=[True], interface_policy={"SOCK": "AM.PDP"}, sa_spam_subject_tag=SPAM,
              local_domains_maps=[".example.org"], sa_kill_level_deflt=100,
              policy_bank={"AM.PDP": {"protocol": "AM.PDP", "prepend_header_fields_hdridx": 1}})
    suite.start_all(services=())
    octets = made("X-Test: score=7 tests=A=7", "X-Spam-Flag: NO", "Subject: one", "x-spam-flag: NO", "Subject: ***SPAM*** two",
                  "X-Amavis-Alert: none", "X-Spam-Flag: NO")
    with Client(path, 60 * mw.SLOW) as c:
        a = c.ask(*check(files.put(octets), rcpts=(A,)))
    got, left = applied(a, octets, [A])
    assert a.value == "continue" and left == [A]
    names = [name.lower() for name, _ in fields(got)]
    assert names[0] == "x-mark", "prepend_header_fields_hdridx"
    assert [v for n, v in fields(got) if n == "Subject"] == [SPAM + "one", SPAM + "two"]
    assert field(got, "X-Spam-Flag") == "YES" and names.count("x-spam-flag") == 1
    # of two subjects the header check tells: the claim is gone, ours stands
    assert names.count("x-amavis-alert") == 1 and field(got, "X-Amavis-Alert").startswith("BAD HEADER SECTION, ")
