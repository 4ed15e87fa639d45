"""Two recipients of one mail with settings of their own: levels, lovers, bypasses."""
import re

import mwhop
from mwhop import A, B
from mwlua import D_REJECT
from mwmail import eicar_mail, field, gtube, mail
from mwsmtp import stuffed

behind = mwhop.behind  # the fixture
SAMPLE = {"local_domains_maps": [".example.org"], "sa_tag_level_deflt": -1000}


def deliveries(hop):
    """Octets by recipient."""
    return {r: m.octets for m in hop.mails for r in m.rcpts}


def send(suite, octets, verb="LHLO"):
    with suite.smtp() as c:
        c.hello(verb=verb)
        assert c.envelope("x@example.com", [A, B]) is None
        assert c.cmd("DATA").code == 354
        c.write(stuffed(octets))
        return [c.reply() for _ in (A, B)] if verb == "LHLO" else [c.reply()]


def test_a_lover_gets_the_virus_marked_and_the_other_a_refusal(behind, suite):
    hop = behind({"final_virus_destiny": D_REJECT, "virus_quarantine_method": "", "virus_lovers_maps": [B]},
                 services=("scanner",))
    assert [r.code for r in send(suite, eicar_mail())] == [554, 250]
    assert list(deliveries(hop)) == [B]
    assert b"X-Virus-Scanned" in hop.mails[0].octets


def test_over_smtp_the_one_reply_says_for_how_many(behind, suite):
    hop = behind({**mwhop.NO_DSN, "final_virus_destiny": D_REJECT, "virus_quarantine_method": "", "virus_lovers_maps": [B]},
                 services=("scanner",))
    reply, = send(suite, eicar_mail(), verb="EHLO")
    assert reply.code == 554 and "delivered to 1 of 2 recipients" in reply.text
    assert list(deliveries(hop)) == [B]


def test_levels_by_recipient(behind, suite):
    spamd = suite.spamd()
    hop = behind({**SAMPLE, "scanner.spamd": spamd.address, "final_spam_destiny": D_REJECT, "spam_quarantine_method": "",
                  "spam_kill_level_maps": [{A: 10, B: 5000}], "spam_tag2_level_maps": [{B: 7.5}],
                  "allowed_added_header_fields": {"X-Spam-Report": True}},
                 services=("scanner",))
    assert [r.code for r in send(suite, mail(body=gtube().encode() + b"\r\n"))] == [554, 250]
    got = deliveries(hop)
    assert list(got) == [B]
    assert "required=7.5" in field(got[B], "X-Spam-Status")
    assert re.search(r"\* +1000 GTUBE BODY: ", field(got[B], "X-Spam-Report"))
