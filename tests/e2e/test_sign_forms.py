"""Signatures of ours are made over what is sent: dkimpy verifies them at the next hop, whatever was done to the mail and for each
cluster of recipients."""
import sys
from pathlib import Path

import pytest

import mw
import mwhop
from mwhop import A, B, send
from mwmail import DkimKey, field, mail, split

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))

from next_hop import NextHop  # noqa: E402

dkim = pytest.importorskip("dkim", reason="python3-dkim is not installed")
behind = mwhop.behind  # the fixture
OUTSIDE, OTHER = "c@example.net", "d@example.net"
ME = "me@example.org"
# What is done to a mail its subject says.
HOOK = """hooks.checks = function(mail)
	if mail:match(mail.subject or "", "scored") then mail:add_score(3, "TEST") end
end
hooks.before_send = function(mail)
	if mail:match(mail.subject or "", "prefix") then mail:prefix_subject("[prefix] ") end
end"""
SETTINGS = {
    "local_domains_maps": [".example.org"], "originating": True, "enable_dkim_signing": True, "recipient_delimiter": "+",
    "sa_tag_level_deflt": 2.0, "spam_subject_tag_maps": ["[scored] "],
    "signed_header_fields": {"x-amavis-modified": 1, "mime-version": 1, "content-type": 1},
}


def verified(key, octets):
    assert field(octets, "DKIM-Signature"), octets[:500]
    found = []

    def ask(name, timeout=5):
        found.append(name)
        return key.record.encode() if name.rstrip(b".") == key.name.encode() else None
    return dkim.verify(octets, dnsfunc=ask) and bool(found)


@pytest.fixture
def signing(behind, suite):
    """signing(settings) is a function: send a mail, and by recipient the octets that arrived, each of which verified."""
    key = DkimKey(suite.folder, "example.org")
    suite.lines += [f'dkim_key("example.org", "{key.selector}", "{key.path}")', HOOK]

    def start(settings=None):
        hop = behind({**SETTINGS, **(settings or {})}, services=("dkim",))

        def forms(octets, to, clusters):
            assert send(suite, to, octets, sender=ME).code == 250
            mw.until(f"{clusters} mails", lambda: len(hop.mails) >= clusters)
            mails, hop.mails = hop.mails, []
            assert len(mails) == clusters
            for m in mails:
                assert verified(key, m.octets), m.octets.decode(errors="replace")
                assert not verified(key, m.octets + b"more\r\n")  # it covers the body that was sent
            return {r: m.octets for m in mails for r in m.rcpts}
        forms.key = key
        return forms
    return start


def octets(subject, **kw):
    return mail(sender=ME, subject=subject, to="rcpt@example.net", **kw)


BODIES = {"plain": b"Hello.\r\n", "empty": b"", "dots": b".\r\n..x\r\n", "blank end": b"x\r\n\r\n\r\n", "large": b"a line \r\n" * 30000,
    "eight bits": "J\u00f6rg\r\n".encode()}


def test_plain_tagged_and_repaired(signing):
    forms = signing({"bad_header_quarantine_method": "local:badh-%m.gz"})
    for body in BODIES.values():
        got = forms(octets("x", body=body), (A, OUTSIDE), 1)
        assert split(got[A])[1] == body
    assert field(forms(octets("prefix"), (OUTSIDE,), 1)[OUTSIDE], "Subject") == "[prefix] prefix"
    # the tag is for local recipients: two clusters, each with a signature of its own
    got = forms(octets("scored"), (A, OUTSIDE), 2)
    assert field(got[A], "Subject") == "[scored] scored" and field(got[OUTSIDE], "Subject") == "scored"
    assert field(got[A], "DKIM-Signature") != field(got[OUTSIDE], "DKIM-Signature")
    for broken in ("X-Long: " + "x" * 1100, "X-Folded: a\r\n \t \r\n b", "Comments: a\rb"):
        # a local recipient alone is told what the copy in the quarantine is called
        got = forms(octets("prefix", headers=[broken]), (A, OUTSIDE), 2)
        assert field(got[A], "X-Quarantine-ID") and not field(got[OUTSIDE], "X-Quarantine-ID")
        for form in got.values():
            assert all(len(line) <= 998 and line.strip() for line in split(form)[0].split(b"\r\n")[:-1])


def test_wrapped(signing):
    forms = signing({"defang_all": True})
    for body in BODIES.values():
        original = octets("scored", body=body)
        got = forms(original, (A, B, OUTSIDE), 2)
        assert original in got[A] and field(got[A], "Content-Type").startswith("multipart/mixed")
        assert got[OUTSIDE].endswith(b"\r\n\r\n" + body)
        assert field(got[A], "Subject") == "[scored] scored" and field(got[A], "X-Amavis-Modified")


def test_by_a_program(signing, suite):
    path = suite.folder / "altermime"
    path.write_text("#!/bin/sh\nfor a; do case $a in --input=*) f=${a#*=};; --say=*) echo ${a#*=} >> $f;; esac; done\n")
    path.chmod(0o755)
    forms = signing({"altermime": str(path), "altermime_args_disclaimer": ["--say=disclaimer _OPTION_"],
        "altermime_args_defang": ["--say=defanged"], "allow_disclaimers": True, "disclaimer_options_bysender_maps": [{ME: "mine"}],
        "defang_maps_by_ccat": {"CC_CATCHALL": [{B: "altermime", OTHER: "nulldisclaimer", ".": "disclaimer"}]}})
    got = forms(octets("prefix", body=BODIES["large"]), (A, B, OUTSIDE, OTHER), 3)
    assert got[A].endswith(b"\r\ndisclaimer mine\r\n") and got[A] == got[OUTSIDE]
    assert got[B].endswith(b"\r\ndefanged\r\n")
    assert got[OTHER].endswith(BODIES["large"]) and field(got[OTHER], "X-Amavis-Modified")
    assert all(field(o, "Subject") == "[prefix] prefix" for o in got.values())


def test_other_addresses_and_one_more(signing):
    forms = signing({"addr_extension_maps_by_ccat": {"CC_CATCHALL": [{A: "ext"}]}, "always_bcc": "all@example.org",
        "addr_rewrite_maps_by_ccat": {"CC_CATCHALL": [{B: "box@example.net"}]}})
    assert set(forms(octets("x"), (A, B, OUTSIDE), 1)) == {"a+ext@example.org", "box@example.net", OUTSIDE, "all@example.org"}
    assert set(forms(octets("scored"), (A, OUTSIDE), 2)) == {"a+ext@example.org", OUTSIDE, "all@example.org"}


def test_each_next_hop(signing, suite):
    """Clusters that differ in where they go, and in their bodies."""
    with NextHop() as other:
        forms = signing({"defang_all": True, "resend_method": other.method})
        forms(octets("x"), (OUTSIDE,), 1)
        assert send(suite, (A, B, OUTSIDE), octets("x"), sender=ME).code == 250
        mw.until("the other hop's mail", lambda: other.mails)
        assert sorted(other.mails[0].rcpts) == [A, B]
        assert verified(forms.key, other.mails[0].octets)

