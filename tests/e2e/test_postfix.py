"""Acceptance 6, first part: Postfix sends through Mailweir to itself, after the queue and before it."""
import shutil

import pytest

import mw
from mwmail import eicar_mail, field, fields, mail
from mwlua import D_REJECT
from mwpostfix import Postfix

pytestmark = [pytest.mark.root, pytest.mark.skipif(shutil.which("postfix") is None, reason="Postfix is not installed")]


@pytest.fixture
def beside_postfix(suite):
    suite.full().set(final_virus_destiny=D_REJECT)
    sink = suite.sink(forward=False)
    suite.postfix = Postfix(suite, f"[127.0.0.1]:{sink.port}")
    suite.set(forward_method=suite.postfix.method)
    suite.start_all(services=("scanner", "dkim", "reputation", "logger"))
    suite.postfix.start(suite.smtp_address())
    return suite


def send(suite, port, octets, rcpts=("rcpt@example.org",)):
    with mw.Smtp(("127.0.0.1", port), 60 * mw.SLOW) as c:
        c.hello("client.example.com")
        return c.mail("sender@example.com", rcpts, octets)


def arrived(suite, message_id):
    def look():
        for row in suite.sinks[0].index():
            if row["message_id"] == message_id:
                return row
        return None
    return mw.until(lambda: f"{message_id} at the next hop\n{suite.postfix.log()[-3000:]}", look, 30)


def test_mail_goes_through_content_filter_and_back(beside_postfix):
    s = beside_postfix
    for i in range(20):
        r = send(s, s.postfix.port_in, mail(message_id=f"<after-{i}@example.com>"))
        assert r.code == 250, r
    for i in range(20):
        arrived(s, f"<after-{i}@example.com>")
    octets = s.sinks[0].last()[1]
    assert field(octets, "X-Virus-Scanned")
    assert sum("by mw.test" in v for n, v in fields(octets) if n.lower() == "received") == 1
    # XFORWARD: the record knows Postfix's client and its queue id.
    records = mw.until("records", lambda: (x := s.records()) and len(x) >= 20 and x)
    assert all(x.get("client_ip") == "127.0.0.1" and x.get("queue_id") for x in records)
    mw.until("an empty queue", s.postfix.queue_is_empty)


def test_mail_goes_through_the_proxy_filter_before_the_queue(beside_postfix):
    s = beside_postfix
    for i in range(20):
        r = send(s, s.postfix.port_proxy, mail(message_id=f"<before-{i}@example.com>"))
        assert r.code == 250, r
    for i in range(20):
        arrived(s, f"<before-{i}@example.com>")


def test_a_virus_is_refused_to_the_client_before_the_queue(beside_postfix):
    s = beside_postfix
    r = send(s, s.postfix.port_proxy, eicar_mail(message_id="<virus@example.com>"))
    assert 500 <= r.code < 600, r
    assert not any(row["message_id"] == "<virus@example.com>" for row in s.sinks[0].index())


def test_postfix_keeps_mail_while_mailweir_is_away(beside_postfix):
    s = beside_postfix
    front_port = s.smtp_address()
    s.front.kill()
    assert send(s, s.postfix.port_in, mail(message_id="<later@example.com>")).code == 250
    mw.until("Postfix's deferral", lambda: "status=deferred" in s.postfix.log())
    s.set(inet_socket_port=[f"{front_port[0]}:{front_port[1]}"])
    s.restart(s.front)
    arrived(s, "<later@example.com>")
