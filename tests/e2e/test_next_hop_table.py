"""
Whatever a next hop does at whatever stage: the right reply for each recipient, nothing lost, nothing twice.

One front serves all cases of a kind of next hop side by side: each case has a port, a policy bank and a hop of its own, and
B is the recipient that things go wrong with. Then the hop behaves, and those who got nothing are sent to again.
"""
import threading

import pytest

import mw
import mwhop  # noqa: F401  where the fakes are
from mwmail import mail
from mwsmtp import Smtp, stuffed
from next_hop import DROP, OFFERED, SILENT, NextHop

A, B, C = RCPTS = ["a@example.org", "b@example.org", "c@example.org"]
LIMIT_S = max(2, round(mw.SLOW))
SETTINGS = {f"delivery.{k}_timeout": LIMIT_S for k in ("connect", "greeting", "command", "data", "dot")}
CASE_S = 60 * mw.SLOW


# ------------------------------------------------------------------ how mail comes in

class Incoming:
    """A protocol that mail comes in by: send() says what each recipient was told."""
    per_rcpt = False  # it has one answer for all: then a recipient that fails before DATA stops the mail for all

    def __init__(self, address):
        self.address = address

    def send(self, rcpts, octets):
        raise NotImplementedError


class SmtpIn(Incoming):
    def send(self, rcpts, octets):
        with Smtp(self.address, CASE_S) as c:
            c.hello()
            return dict.fromkeys(rcpts, c.mail("sender@example.com", rcpts, octets))


class LmtpIn(Incoming):
    per_rcpt = True

    def send(self, rcpts, octets):
        with Smtp(self.address, CASE_S) as c:
            c.hello(verb="LHLO")
            refused = c.envelope("sender@example.com", rcpts) or c.cmd("DATA")
            assert refused.code == 354, refused
            c.write(stuffed(octets))
            return {r: c.reply() for r in rcpts}


INCOMING = {"smtp in": SmtpIn, "lmtp in": LmtpIn}


# ------------------------------------------------------------------ what hops do

def says(octets):
    """Says it, and nothing more: it waits until the front has gone."""
    def behave(c, _line):
        c.say(octets)
        return SILENT
    return behave


def too_slow(c, _line):
    for octet in b"250 2.0.0 this takes longer than the front's patience":
        c.say(bytes([octet]))
        if c.hop.closing.wait(LIMIT_S / 20):
            break
    return SILENT


BEHAVIOURS = {
    "4xx": b"450 4.9.1 later, says the hop\r\n",
    "5xx": b"550 5.9.1 never, says the hop\r\n",
    "drop": DROP,
    "silence": SILENT,
    "garbage": says(b"\xff\x00garbage\r\n"),
    "partial line": says(b"45"),
    "too slow": too_slow,
    "very long": says(b"".join(b"554-%d\r\n" % i for i in range(200)) + b"554 end\r\n"),
    "octet by octet": None,	# what it says is right
}
STAGES = ["banner", "ehlo", "mail", "rcpt", "data", "dot"]
AT_ONCE = [(stage, behaviour) for stage in STAGES for behaviour in BEHAVIOURS] + [("connect", "refused")]
# What happens to a connection that was kept, before or at the beginning of the second mail.
BETWEEN = {
    "drop": lambda c: c.sock.shutdown(2),
    "421": lambda c: c.say(b"421 4.4.2 too long idle\r\n"),
    "garbage": lambda c: c.say(b"\xff\xff"),
}
AT_MAIL = {"drop at MAIL": DROP, "421 at MAIL": b"421 4.3.2 closing\r\n", "silence at MAIL": SILENT}
CASES = AT_ONCE + [("between", what) for what in (*BETWEEN, *AT_MAIL)]
assert len(CASES) <= 64, "ports of one front"


def expected(lmtp, per_rcpt, stage, behaviour):
    """(class of the answer to each recipient when each has its own, who got it)."""
    yes, later, never = {r: 2 for r in RCPTS}, {r: 4 for r in RCPTS}, {r: 5 for r in RCPTS}
    if stage == "between" or behaviour == "octet by octet":
        return yes, RCPTS
    if stage == "ehlo" and behaviour == "5xx" and not lmtp:
        return yes, RCPTS  # HELO
    refusal = {"4xx": 4, "5xx": 5}.get(behaviour)
    if stage == "dot" and lmtp:
        return (yes | {B: refusal}, [A, C]) if refusal else (later | {A: 2}, [A])
    if stage == "rcpt" and refusal and per_rcpt:
        return yes | {B: refusal}, [A, C]
    if stage in ("connect", "banner", "ehlo"):
        return later, []  # it has not heard of the mail
    return never if refusal == 5 else later, []


class Case:
    def __init__(self, stage, behaviour, lmtp, path, offered):
        self.stage, self.behaviour = stage, behaviour
        self.bad = True
        self.told, self.taken, self.told_again, self.failure = None, None, None, None
        self.hop = NextHop(lmtp=lmtp, path=path, offered=offered, cut=behaviour == "octet by octet")
        if stage in STAGES and BEHAVIOURS[behaviour] is not None:
            self.wrap(stage, BEHAVIOURS[behaviour], self.is_meant)
        elif behaviour in AT_MAIL:
            self.wrap("mail", AT_MAIL[behaviour], lambda c, _line: c.index == 0 and c.dots > 0)
        elif stage == "connect":
            self.hop.close()

    def is_meant(self, _connection, line):
        return self.bad and (not line or self.stage != "rcpt" or B in line) and not (self.stage == "dot" and self.hop.lmtp and line != B)

    def wrap(self, stage, bad, when):
        good = self.hop.replies[stage]

        def answer(c, line):
            what = bad if when(c, line) else good
            return what(c, line) if callable(what) else what
        self.hop.replies[stage] = answer

    def received(self):
        return sorted(r for m in self.hop.mails for r in m.rcpts)

    def run(self, incoming):
        try:
            self.told = incoming.send(RCPTS, mail(b"first\r\n"))
            self.taken = self.received()
            self.bad = False
            if self.stage == "between" and self.behaviour in BETWEEN:
                BETWEEN[self.behaviour](self.hop.connections[0])
            again = [r for r in RCPTS if r not in self.taken or self.stage == "between"]
            if again and self.stage != "connect":
                self.told_again = incoming.send(again, mail(b"again\r\n"))
        except Exception as e:  # told by the test of this case
            self.failure = e


@pytest.fixture(scope="module", params=INCOMING)
def incoming(request):
    return INCOMING[request.param]


@pytest.fixture(scope="module", params=["smtp tcp", "lmtp tcp", "smtp unix", "lmtp unix", "smtp tcp, one by one", "lmtp tcp, one by one"])
def table(request, incoming):
    """All cases of this kind of hop, run."""
    protocol, transport = request.param.split(",")[0].split(" ")
    offered = OFFERED[1:] if "one by one" in request.param else OFFERED  # without PIPELINING
    failed_before = request.session.testsfailed
    suite = mw.Suite()
    cases = {}
    try:
        for i, key in enumerate(CASES):
            path = suite.folder / f"hop-{i}" if transport == "unix" else None
            cases[key] = Case(*key, protocol == "lmtp", path, offered)
        # An address for each case: so many ports in a row are not always to be had.
        port, hosts = mw.free_port(), [f"127.0.1.{i + 1}" for i in range(len(CASES))]
        suite.set(inet_socket_port=[f"{host}:{port}" for host in hosts], bypass_virus_checks_maps=[True],
            interface_policy={f"[{host}]:{port}": f"CASE{i}" for i, host in enumerate(hosts)},
            policy_bank={f"CASE{i}": {"forward_method": c.hop.method} for i, c in enumerate(cases.values())})
        suite.settings.update(SETTINGS)
        suite.start_all(services=())
        threads = [threading.Thread(target=c.run, args=(incoming((host, port)),), daemon=True) for c, host in zip(cases.values(), hosts)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(3 * CASE_S)
        yield protocol == "lmtp", cases
    finally:
        suite.close(failed=request.session.testsfailed > failed_before)
        for c in cases.values():
            c.hop.close()


@pytest.mark.parametrize("key", CASES, ids=lambda k: f"{k[0]}: {k[1]}")
def test_each_recipient_is_told_the_truth(table, incoming, key):
    lmtp, cases = table
    case = cases[key]
    assert case.failure is None, repr(case.failure)
    assert case.told is not None, "no answer at all"
    classes, taken = expected(lmtp, incoming.per_rcpt, *key)
    assert case.taken == sorted(taken), case.told
    if not incoming.per_rcpt:  # one answer for all: now beats never, never beats yes
        worst = 4 if 4 in classes.values() else max(classes.values())
        classes = dict.fromkeys(RCPTS, worst)
    assert {r: a.code // 100 for r, a in case.told.items()} == classes, case.told
    if key[1] in ("4xx", "5xx") and case.told[B].code != 250:
        assert "says the hop" in case.told[B].text, "its own words"
    if case.told_again is not None:
        assert all(a.code == 250 for a in case.told_again.values()), case.told_again
    if key[0] != "connect":
        assert case.received() == sorted(RCPTS * (2 if key[0] == "between" else 1)), "all have it, and have it once"
