"""Other bodies and other addresses for mail that passes: wrapping, altermime, disclaimers, extensions, rewriting, always_bcc."""
import email
import email.policy
import os
import sys
import textwrap
from pathlib import Path

import pytest

import mw
import mwhop
from mwhop import A, B, send
from mwlua import D_REJECT
from mwmail import field, mail, split
from mwsmtp import stuffed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))

from next_hop import OFFERED, NextHop  # noqa: E402

behind = mwhop.behind  # the fixture
ALTERMIME = "/usr/bin/altermime"
OUTSIDE = "c@example.net"
LOCAL = {"local_domains_maps": [".example.org"], "virus_lovers_maps": [True], "spam_lovers_maps": [True]}
# What a mail is, its subject says.
HOOK = """hooks.checks = function(mail)
	if mail:match(mail.subject or "", "virus") then mail:add_virus("Test.Virus") end
	if mail:match(mail.subject or "", "spam") then mail:add_score(20, "TEST") end
end"""


def start(behind, suite, settings=None, scanner=False, **kw):
    """scanner: viruses count, also those of the hook."""
    suite.lines.append(HOOK)
    kw["services"] = ("scanner",) if scanner else ()
    return behind({**LOCAL, **(settings or {})}, **kw)


def taken(hop, count=1):
    mw.until(f"{count} mails at the hop", lambda: len(hop.mails) >= count)
    mails, hop.mails = hop.mails, []
    return mails


def rcpts(hop, count=1):
    return sorted(r for m in taken(hop, count) for r in m.rcpts)


def wrapped(octets):
    """The text and the attached octets of a wrapped mail, as Python's parser has them."""
    message = email.message_from_bytes(octets, policy=email.policy.SMTP)
    assert message.get_content_type() == "multipart/mixed" and not message.defects, message.defects
    text, attached = message.get_payload()
    assert text.get_content_type() == "text/plain" and attached.get_content_type() == "message/rfc822"
    assert attached.get_filename() == "message"
    boundary = b"\r\n--" + message.get_boundary().encode()
    parts = octets.split(boundary)
    assert len(parts) == 4 and parts[3] == b"--\r\n"
    return text.get_payload(), parts[2].split(b"\r\n\r\n", 1)[1]


# ------------------------------------------------------------------ wrapping

ODD = [mail(subject="virus"), mail(subject="virus", body=b""), mail(subject="virus", body=b".\r\n..\r\n.x\r\n"),
    mail(subject="virus", body="J\u00f6rg\r\n".encode()), mail(subject="virus", body=b"x" * 998 + b"\r\n"),
    mail(subject="virus", body=b"line of a larger mail\r\n" * 20000),
    mail(subject="virus", headers=['Content-Type: multipart/mixed; boundary="b"'], body=b"--b\r\n\r\nx\r\n--b--\r\n")]


def test_the_original_is_attached_octet_by_octet(behind, suite):
    hop = start(behind, suite, {"defang_virus": "attach"}, scanner=True, offered=OFFERED)
    for octets in ODD:
        assert send(suite, octets=octets).code == 250
        got = taken(hop)[0].octets
        text, attached = wrapped(got)
        assert attached == octets
        assert "WARNING: contains virus Test.Virus\r\n" in text
        assert field(got, "X-Amavis-Modified") == "Mail body modified (using attach) - mw.test"
        assert field(got, "From") == field(octets, "From") and field(got, "Message-ID") == field(octets, "Message-ID")
        assert field(got, "Subject").endswith(field(octets, "Subject"))
    assert send(suite, octets=mail(subject="clean")).code == 250
    assert split(taken(hop)[0].octets)[1] == split(mail(subject="clean"))[1]


def test_only_local_recipients_and_each_with_its_own_warning(behind, suite):
    hop = start(behind, suite, {"defang_maps_by_ccat": {"CC_VIRUS": [{B: 0, ".": "attach"}]}, "defang_spam": True}, scanner=True)
    assert send(suite, (A, B, OUTSIDE, "d@example.org"), mail(subject="virus spam")).code == 250
    got = {tuple(m.rcpts): m.octets for m in taken(hop, 2)}
    plain = {r for k, o in got.items() if b"multipart/mixed" not in o for r in k}
    assert plain == {B, OUTSIDE}
    text = wrapped(got[(A, "d@example.org")])[0]
    assert "contains virus Test.Virus" in text and "spam, score=20.000 tests=TEST=20.000" in text
    assert send(suite, (A, B), mail(subject="spam")).code == 250
    assert "contains virus" not in wrapped(taken(hop)[0].octets)[0]


def test_null_says_it_and_resend_method_is_for_what_was_changed(behind, suite):
    with NextHop() as other:
        hop = start(behind, suite, {"defang_spam": "null", "resend_method": other.method})
        octets = mail(subject="spam")
        assert send(suite, (A, OUTSIDE), octets).code == 250
        changed, plain = taken(other)[0], taken(hop)[0]
        assert (changed.rcpts, plain.rcpts) == ([A], [OUTSIDE])
        assert field(changed.octets, "X-Amavis-Modified") == "Mail body modified (using null) - mw.test"
        assert field(plain.octets, "X-Amavis-Modified") is None
        assert split(changed.octets)[1] == split(octets)[1]


# ------------------------------------------------------------------ programs

def program(suite, body):
    """A stand-in for altermime; $1 is --input=FILE."""
    path = suite.folder / "altermime"
    path.write_text("#!/bin/sh\nfile=${1#--input=}\n" + textwrap.dedent(body))
    path.chmod(0o755)
    return {"altermime": str(path), "defang_all": True}


def test_a_program_makes_the_body(behind, suite):
    hop = start(behind, suite, program(suite, r"""
        printf 'X-Program: %s\n' "$(pwd | sed s,.*/,,) $(ls -l /proc/self/fd | grep -c ' [3-9] ->') $(ls)" > new
        cat "$file" >> new
        printf 'no end' >> new
        mv new "$file" """))
    octets = mail(body=b"Hello.\r\n.dot\r\n")
    assert send(suite, (A, OUTSIDE), octets).code == 250
    got = {m.rcpts[0]: m.octets for m in taken(hop, 2)}
    assert got[OUTSIDE].endswith(octets)
    assert got[A].endswith(b"\r\nHello.\r\n.dot\r\nno end\r\n")
    folder, fds, files = field(got[A], "X-Program").split(" ", 2)
    assert folder.startswith("mailweir-body-") and files == "mail"
    assert int(fds) <= 1  # ls's own
    assert field(got[A], "X-Amavis-Modified") == "Mail body modified (defanged) - mw.test"
    assert not list((suite.folder / "spool").iterdir())


@pytest.mark.parametrize("fixing", [True, False])
def test_the_header_section_of_a_program_is_repaired_too(behind, suite, fixing):
    """A CR alone hides a field, and a line of one would be empty for the program, whose lines end with LF."""
    hop = start(behind, suite, {**program(suite, "true"), "allow_fixing_improper_header": fixing, "bad_header_lovers_maps": [True]})
    octets = b"X-A: a\rX-Spam-Flag: NO\r\n\r\r\n \r\nX-Long: " + b"x" * 1200 + b"\r\n" + mail(body=b"Hello.\r\n")
    assert send(suite, octets=octets).code == 250
    head, body = split(taken(hop)[0].octets)
    assert body == b"Hello.\r\n"
    assert b"\r\nX-A: aX-Spam-Flag: NO\r\n" in head
    assert b"\r" not in head.replace(b"\r\n", b"")
    assert (b"\r\n \r\n" in head, max(map(len, head.split(b"\r\n"))) > 998) == (not fixing, not fixing)


FAILING = {"exit": "exit 3", "nothing": ": > $file", "gone": "rm $file", "link": "ln -sf /etc/passwd $file", "killed": "kill -9 $$",
    "endless": "sleep 600 & sleep 600", "huge": "yes xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx > $file", "folder": "rm $file; mkdir -p $file/x; ln -s /etc $file/x/y; touch $file/x/z"}


@pytest.mark.parametrize("what", FAILING)
def test_a_program_that_fails_leaves_the_mail_as_it_is(behind, suite, what):
    hop = start(behind, suite, {**program(suite, FAILING[what]), "altermime_timeout": 1 if what == "endless" else 30})
    octets = mail()
    assert send(suite, octets=octets).code == 250
    got = taken(hop)[0].octets
    assert got.endswith(octets) and field(got, "X-Amavis-Modified") is None
    assert "body_not_changed" in suite.front.log()
    assert not list((suite.folder / "spool").iterdir())


def test_a_program_that_is_not_there(behind, suite):
    hop = start(behind, suite, {"altermime": str(suite.folder / "nowhere"), "defang_all": True})
    octets = mail()
    assert send(suite, octets=octets).code == 250
    assert taken(hop)[0].octets.endswith(octets)
    assert "it cannot be run" in suite.front.log()


def test_mails_wait_for_the_program(behind, suite):
    """More mails than programs at once, one client gone while its mail waits."""
    hop = start(behind, suite, program(suite, "sleep 0.2; echo more >> $file"))
    clients = [suite.smtp() for _ in range(7)]
    for c in clients:
        c.hello()
        assert [c.cmd(line).code for line in ("MAIL FROM:<x@example.com>", f"RCPT TO:<{A}>", "DATA")] == [250, 250, 354]
        c.write(stuffed(mail()))
    clients[-1].close()
    for c in clients[:-1]:
        assert c.reply().code == 250
        c.close()
    assert all(m.octets.endswith(b"\r\nmore\r\n") for m in taken(hop, 6))


@pytest.mark.skipif(not os.path.exists(ALTERMIME), reason="altermime is not installed")
def test_disclaimers_by_altermime(behind, suite):
    for who in "a", "other":
        (suite.folder / f"{who}.txt").write_text(f"Disclaimer of {who}.\n")
    hop = start(behind, suite, {"altermime": ALTERMIME, "altermime_args_disclaimer": [f"--disclaimer={suite.folder}/_OPTION_.txt"],
        "defang_maps_by_ccat": {"CC_CATCHALL": ["disclaimer"]}, "disclaimer_options_bysender_maps": [{A: "a", ".example.org": "other"}],
        "allow_disclaimers": True, "outbound_disclaimers_only": True})
    for sender, says in ((A, b"Disclaimer of a."), ("z@example.org", b"Disclaimer of other."), ("x@example.com", None)):
        octets = mail(sender=sender)
        assert send(suite, (B, OUTSIDE), octets, sender=sender).code == 250
        got = {r: m.octets for m in taken(hop, 2 if says else 1) for r in m.rcpts}
        assert got[B].endswith(octets)
        if says:
            assert says in split(got[OUTSIDE])[1] and b"Hello." in split(got[OUTSIDE])[1]
            assert field(got[OUTSIDE], "X-Amavis-Modified") == "Mail body modified (using disclaimer) - mw.test"
        else:
            assert got[OUTSIDE].endswith(octets)


def test_a_program_is_named_by_its_path(suite):
    suite.set(altermime="altermime")
    front = suite.start("smtp-front", wait=False)
    front.popen.wait(60)
    assert front.popen.returncode != 0 and "expected a path" in front.log(), front.log()


# ------------------------------------------------------------------ addresses

EXTENSIONS = {"recipient_delimiter": "+", "addr_extension_spam_maps": ["spam"], "addr_extension_virus_maps": [{A: "virus"}]}


def rcpt_lines(hop):
    return [line for line in hop.commands if line.startswith("RCPT")]


def test_extensions_and_the_original_recipient(behind, suite):
    hop = start(behind, suite, EXTENSIONS, scanner=True, offered=OFFERED + ("DSN",))
    assert send(suite, (A, "b+x@example.org", OUTSIDE), mail(subject="spam")).code == 250
    assert rcpts(hop, 1) == ["a+spam@example.org", "b+spam@example.org", OUTSIDE]
    assert sorted(line.strip() for line in rcpt_lines(hop)) == ["RCPT TO:<a+spam@example.org> ORCPT=rfc822;a@example.org",
        "RCPT TO:<b+spam@example.org> ORCPT=rfc822;b+2Bx@example.org", "RCPT TO:<c@example.net>"]
    assert send(suite, (A, B), mail(subject="virus spam")).code == 250
    assert rcpts(hop) == ["a+virus@example.org", B]


def test_rewriting_and_what_does_not_fit(behind, suite):
    long = "x" * 60
    hop = start(behind, suite, {**EXTENSIONS, "addr_rewrite_maps_by_ccat": {"CC_VIRUS": [{A: "box@example.net", B: "@example.net"}]}}, scanner=True)
    assert send(suite, (A, B), mail(subject="virus")).code == 250
    assert rcpts(hop) == ["b@example.net", "box+virus@example.net"]
    assert send(suite, (f"{long}@example.org",), mail(subject="spam")).code == 250
    assert rcpts(hop) == [f"{long}@example.org"]
    assert "address_not_changed" in suite.front.log()


# ------------------------------------------------------------------ always_bcc

ALWAYS = {"always_bcc": "all@archive.example", "always_bcc_by_ccat": {"CC_SPAM": "junk@archive.example", "CC_VIRUS": ""}}


def lmtp(suite, octets, to=(A, B)):
    with suite.smtp() as c:
        c.hello(verb="LHLO")
        assert c.cmd("MAIL FROM:<x@example.com>").code == 250
        assert all(c.cmd(f"RCPT TO:<{r}>").code == 250 for r in to)
        assert c.cmd("DATA").code == 354
        c.write(stuffed(octets))
        replies = [c.reply() for _ in to]
        assert c.cmd("NOOP").code == 250  # and not one reply more than recipients
        return [r.code for r in replies]


def test_one_more_recipient_by_category(behind, suite):
    hop = start(behind, suite, {**ALWAYS, "final_spam_destiny": D_REJECT, "spam_lovers_maps": [{A: True}]}, scanner=True, offered=OFFERED + ("DSN",))
    assert lmtp(suite, mail()) == [250, 250]
    assert rcpts(hop, 1) == [A, "all@archive.example", B]
    assert any("<all@archive.example> NOTIFY=NEVER" in line for line in rcpt_lines(hop))
    assert lmtp(suite, mail(subject="spam")) == [250, 554]
    assert rcpts(hop, 2) == [A, "junk@archive.example"]
    assert lmtp(suite, mail(subject="virus")) == [250, 250]
    assert rcpts(hop) == [A, B]
    assert lmtp(suite, mail(subject="spam"), (B,)) == [554]  # nobody gets it
    assert send(suite, (B,), mail()).code == 250
    assert rcpts(hop) == ["all@archive.example", B]


@pytest.mark.parametrize("reply", [b"450 4.2.2 later\r\n", b"550 5.1.1 nobody\r\n"])
def test_when_it_is_refused_the_client_keeps_the_mail(behind, suite, reply):
    hop = start(behind, suite, {"always_bcc": "all@archive.example"},
        rcpt=lambda _c, line: reply if "archive" in line else b"250 2.1.5 Ok\r\n")
    assert lmtp(suite, mail()) == [451 if reply[0:1] == b"5" else r for r in lmtp(suite, mail())]
    assert send(suite, (A,), mail()).code // 100 == 4
    assert hop.mails == []


@pytest.mark.parametrize("bank", [{}, {"addr_extension_maps_by_ccat": {"CC_CATCHALL": ["x"]}}], ids=["same cluster", "own cluster"])
def test_the_client_hears_nothing_of_it(behind, suite, bank):
    start(behind, suite, {"always_bcc": "all@archive.example", **bank},
        rcpt=lambda _c, line: b"452 4.2.2 <all@archive.example> mailbox full\r\n" if "archive" in line else b"250 2.1.5 Ok\r\n")
    reply = send(suite, (A, B), mail())
    assert reply.code == 451 and reply.text.endswith(", not delivered for now")
    with suite.smtp() as c:
        c.hello(verb="LHLO")
        c.cmd("MAIL FROM:<x@example.com>"), c.cmd(f"RCPT TO:<{A}>"), c.cmd("DATA")
        c.write(stuffed(mail()))
        assert c.reply().text.endswith(", not delivered for now")
    assert "mailbox full" in suite.front.log()
