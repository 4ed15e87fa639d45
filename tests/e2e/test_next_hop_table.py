"""
Whatever a next hop does at whatever stage: the right answer for each recipient, nothing lost, nothing twice.

One front serves all cases of a kind of next hop side by side, and the fronts of all kinds run side by side, too: each case
has a port, a policy bank and a hop of its own, and B is the recipient that things go wrong with. Then the hop behaves, and
those who got nothing are sent to again.
"""
import contextlib
import gzip
import itertools
import threading
import time
import uuid

import pytest

import mw
import mwhop
import mwtls
from mwampdp import Client, MailDir, check
from mwmail import mail
from mwsmtp import Reply, Smtp, stuffed
from next_hop import DROP, OFFERED, SILENT, NextHop

A, B, C = RCPTS = ["a@example.org", "b@example.org", "c@example.org"]
SENDER = "sender@example.com"
LIMIT_S = max(5, round(2 * mw.SLOW))  # many cases at once: the front's patience with a hop that only has to wait for its turn
SETTINGS = {f"delivery.{k}_timeout": LIMIT_S for k in ("connect", "greeting", "command", "data", "dot")}
CASE_S = 60 * mw.SLOW


# ------------------------------------------------------------------ how mail comes in

class Incoming:
    """A protocol that mail comes in by: send() says what each recipient was told."""
    per_rcpt = False  # it has one answer for all: then a recipient that fails before DATA stops the mail for all
    bank = {}

    def __init__(self, address, suite):
        self.address, self.suite = address, suite

    def send(self, rcpts, octets):
        raise NotImplementedError


class SmtpIn(Incoming):
    def send(self, rcpts, octets):
        with Smtp(self.address, CASE_S) as c:
            c.hello()
            return dict.fromkeys(rcpts, c.mail(SENDER, rcpts, octets))


class LmtpIn(Incoming):
    per_rcpt = True

    def send(self, rcpts, octets):
        with Smtp(self.address, CASE_S) as c:
            c.hello(verb="LHLO")
            refused = c.envelope(SENDER, rcpts) or c.cmd("DATA")
            assert refused.code == 354, refused
            c.write(stuffed(octets))
            return {r: c.reply() for r in rcpts}


def setreplies(answer):
    return [Reply(int(text[:3]), [text]) for text in answer.all("setreply")]


class AmpdpIn(Incoming):
    """A milter that lets us deliver. (Where it delivers by itself, no next hop is asked: test_ampdp.py.)"""
    bank = {"protocol": "AM.PDP"}
    # discard: we have delivered, it shall not. Never continue, which would be a second delivery.
    meanings = {2: ("discard", 99), 4: ("tempfail", 75), 5: ("reject", 69)}

    def send(self, rcpts, octets):
        tempdir = MailDir(self.suite.folder / "milter").put(octets)
        with Client(self.address, CASE_S) as c:
            a = c.ask(*check(tempdir, SENDER, rcpts, delivery_care_of="server"))
        assert [name for name, _ in a.lines] == ["version_server", "log_id", "setreply", "return_value", "exit_code"], a
        assert (a.value, a.exit_code) == self.meanings[a.code // 100], a
        return dict.fromkeys(rcpts, *setreplies(a))


class ReleaseIn(Incoming):
    """Out of the quarantine: released the first time, requeued the second."""
    per_rcpt = True
    bank = {"protocol": "AM.PDP", "auth_required_release": False}

    def __init__(self, *args):
        super().__init__(*args)
        self.requests = itertools.cycle(["release", "requeue"])

    def send(self, rcpts, octets):
        name = f"{uuid.uuid4().hex}.gz"
        envelope = [f"X-Envelope-From: <{SENDER}>", *(f"X-Envelope-To: <{r}>" for r in rcpts), f"X-Quarantine-ID: <{name[:12]}>"]
        copy = "".join(line + "\r\n" for line in envelope).encode() + octets
        (self.suite.folder / "quarantine" / name).write_bytes(gzip.compress(copy))
        with Client(self.address, CASE_S) as c:
            a = c.ask(("request", next(self.requests)), ("mail_file", name))
        assert [name for name, _ in a.lines] == ["version_server", "log_id", *["setreply"] * len(rcpts)], a
        return dict(zip(rcpts, setreplies(a)))


INCOMING = {"smtp in": SmtpIn, "lmtp in": LmtpIn, "am.pdp in": AmpdpIn, "release in": ReleaseIn}


# ------------------------------------------------------------------ what hops do

def says(octets):
    """Says it, and nothing more: it waits until the front has gone."""
    def behave(c, _line):
        c.say(octets)
        return SILENT
    return behave


def slowly(octets):
    """An octet at a time, for longer than the front's patience."""
    def behave(c, _line):
        for octet in octets:
            c.say(bytes([octet]))
            if c.hop.closing.wait(LIMIT_S / 20):
                break
        return SILENT
    return behave


BEHAVIOURS = {
    "4xx": b"450 4.9.1 later, says the hop\r\n",
    "5xx": b"550 5.9.1 never, says the hop\r\n",
    "drop": DROP,
    "silence": SILENT,
    "garbage": says(b"\xff\x00garbage\r\n"),
    "partial line": says(b"45"),
    "too slow": slowly(b"250 2.0.0 this takes longer than the front's patience"),
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

WRONG = {what: how for what, how in BEHAVIOURS.items() if how is not None}
AT_STARTTLS = {**WRONG, "421": b"421 4.3.2 closing, says the hop\r\n", "injection": says(b"220 2.0.0 go\r\n250 2.0.0 injected\r\n")}
# In the place of a ServerHello.
HELLO = b"\x16\x03\x03\x40\x00\x02\xff\xff\xff"  # a record of 16 KiB, of a message of 16 MiB
IN_HANDSHAKE = {
    "drop": DROP,
    "silence": SILENT,
    "garbage": b"HTTP/1.0 400 Bad Request\r\n\r\n",
    "fatal alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "partial record": HELLO[:6],
    "too slow": slowly(HELLO[:5] + b"\x02\x00\x3f\xfc\x03\x03" + b"slow" * 16),
    "very long": HELLO + bytes(16380),
}
# Behind the handshake all is as in plaintext. ("between" writes while another thread reads: not over Python's TLS.)
TLS_CASES = [("starttls", what) for what in AT_STARTTLS] + [("handshake", what) for what in IN_HANDSHAKE] + \
    [(stage, what) for stage in STAGES[1:] for what in WRONG] + [("ehlo", "octet by octet"), ("starttls", "not offered")] + \
    [("between", what) for what in AT_MAIL]
assert max(len(CASES), len(TLS_CASES)) <= 64, "ports of one front"


class Kind:
    """A kind of next hop: its protocol, its transport, whether it offers PIPELINING, the level of TLS that we want of it."""

    def __init__(self, text):
        self.text = text
        (self.protocol, self.transport), *more = (part.split() for part in text.split(","))
        self.lmtp, self.unix = self.protocol == "lmtp", self.transport == "unix"
        self.offered = OFFERED[1:] if ["one", "by", "one"] in more else OFFERED
        self.level = next((level for word, *level in more if word == "tls"), ["none"])[0]
        self.cases = CASES if self.level == "none" else TLS_CASES

    def __repr__(self):
        return self.text


PLAIN_KINDS = [Kind(text) for text in ("smtp tcp", "lmtp tcp", "smtp unix", "lmtp unix", "smtp tcp, one by one", "lmtp tcp, one by one")]
TLS_KINDS = [Kind(f"{kind}, tls {level}") for kind in ("smtp tcp", "lmtp tcp") for level in ("may", "encrypt", "verify")] + \
    [Kind("smtp unix, one by one, tls encrypt")]
if mw.SLOW > 1:  # the sanitised build runs the same code at three of them
    TLS_KINDS = [k for k in TLS_KINDS if repr(k) in ("smtp tcp, tls may", "lmtp tcp, tls encrypt", "smtp unix, one by one, tls encrypt")]


# ------------------------------------------------------------------ what is right

def tls_fails(stage, behaviour):
    return stage == "handshake" or (stage == "starttls" and behaviour != "injection")


def expected(kind, per_rcpt, stage, behaviour):
    """(class of the answer to each recipient when each has its own, who got it)."""
    yes, later, never = {r: 2 for r in RCPTS}, {r: 4 for r in RCPTS}, {r: 5 for r in RCPTS}
    if stage in ("starttls", "handshake"):
        return (yes, RCPTS) if kind.level == "may" and tls_fails(stage, behaviour) else (later, [])
    if stage == "between" or behaviour == "octet by octet":
        return yes, RCPTS
    if stage == "ehlo" and behaviour == "5xx" and not kind.lmtp:
        return yes, RCPTS  # HELO
    refusal = {"4xx": 4, "5xx": 5}.get(behaviour)
    if stage == "dot" and kind.lmtp:
        return (yes | {B: refusal}, [A, C]) if refusal else (later | {A: 2}, [A])
    if stage == "rcpt" and refusal and per_rcpt:
        return yes | {B: refusal}, [A, C]
    if stage in ("connect", "banner", "ehlo"):
        return later, []  # it has not heard of the mail
    return never if refusal == 5 else later, []


def expected_of_tls(stage, behaviour):
    """Enhanced code of an answer that says that there is no TLS (docs/tls.md), or None."""
    if stage == "handshake" or behaviour == "injection":
        return "4.7.5"
    if stage == "starttls":
        answers = {"4xx": "4.7.4", "5xx": "4.7.4", "421": "4.7.4", "not offered": "4.7.4", "garbage": "4.5.0", "very long": "4.5.0"}
        return answers.get(behaviour, "4.4.2")
    return None


# ------------------------------------------------------------------ one case, one front of many

class Case:
    def __init__(self, kind, stage, behaviour, path, tls):
        self.kind, self.stage, self.behaviour = kind, stage, behaviour
        self.bad = True
        self.told, self.taken, self.told_again, self.failure = None, None, None, None
        self.hop = NextHop(lmtp=kind.lmtp, path=path, offered=kind.offered, cut=behaviour == "octet by octet",
            tls=None if behaviour == "not offered" else tls)
        at_stage = AT_STARTTLS if stage == "starttls" else BEHAVIOURS if stage in STAGES else {}
        if at_stage.get(behaviour) is not None:
            self.wrap(stage, at_stage[behaviour], self.is_meant)
        elif stage == "handshake":
            self.hop.shake = IN_HANDSHAKE[behaviour]
        elif behaviour in AT_MAIL:
            self.wrap("mail", AT_MAIL[behaviour], lambda c, _line: c.index == 0 and c.dots > 0)
        elif stage == "connect":
            self.hop.close()

    def is_meant(self, connection, line):
        if not self.bad or (self.kind.level != "none" and self.stage != "starttls" and not connection.tls):
            return False
        return (not line or self.stage != "rcpt" or B in line) and not (self.stage == "dot" and self.hop.lmtp and line != B)

    def wrap(self, stage, bad, when):
        good = self.hop.replies[stage]

        def answer(c, line):
            what = bad if when(c, line) else good
            return what(c, line) if callable(what) else what
        self.hop.replies[stage] = answer

    def behave(self):
        self.bad, self.hop.shake = False, None
        if self.stage == "between" and self.behaviour in BETWEEN:
            try:
                BETWEEN[self.behaviour](self.hop.connections[0])
            except OSError:  # on a slow machine the front has closed it by then
                pass

    def received(self):
        return sorted(r for m in self.hop.mails for r in m.rcpts)

    def run(self, incoming):
        try:
            self.told = incoming.send(RCPTS, mail(b"first\r\n"))
            self.taken = self.received()
            self.behave()
            again = [r for r in RCPTS if r not in self.taken or self.stage == "between"]
            if again and self.stage != "connect" and self.behaviour != "not offered":
                self.told_again = incoming.send(again, mail(b"again\r\n"))
        except Exception as e:  # told by the test of this case
            self.failure = e


class Table:
    """All cases of a kind of hop, and the front before them."""

    def __init__(self, index, kind, incoming, ca, tls):
        self.kind, self.suite = kind, mw.Suite()
        self.cases = {}
        for i, key in enumerate(kind.cases):
            self.cases[key] = Case(kind, *key, self.suite.folder / f"hop-{i}" if kind.unix else None, None if kind.level == "none" else tls)
        # An address for each case: so many ports in a row are not always to be had.
        self.port, self.hosts = mw.free_port(), [f"127.0.{index + 1}.{i + 1}" for i in range(len(self.cases))]
        self.suite.set(inet_socket_port=[f"{host}:{self.port}" for host in self.hosts], bypass_virus_checks_maps=[True],
            ampdp__mail_dirs=[str(self.suite.folder / "milter")], tls_security_level_out=kind.level, smtp_tls_CAfile=str(ca),
            interface_policy={f"[{host}]:{self.port}": f"CASE{i}" for i, host in enumerate(self.hosts)},
            policy_bank={f"CASE{i}": {"forward_method": c.hop.method, **incoming.bank} for i, c in enumerate(self.cases.values())})
        self.suite.settings.update(SETTINGS)
        self.suite.set(**mwhop.NO_DSN, quarantine__release_rescan=False)  # there is no scanner
        self.threads = [threading.Thread(target=c.run, args=(incoming((host, self.port), self.suite),), daemon=True)
            for c, host in zip(self.cases.values(), self.hosts)]

    def start(self):
        self.suite.start_all(services=())
        for t in self.threads:
            t.start()

    def wait(self, until_s):
        for t in self.threads:
            t.join(max(0, until_s - time.monotonic()))

    def close(self, failed):
        self.suite.close(failed)
        for c in self.cases.values():
            c.hop.close()


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    """(whom we believe, what the hops show)."""
    ca = mwtls.Authority(tmp_path_factory.mktemp("ca"))
    return ca.ca, mwtls.server(ca.cert("hop"))


@pytest.fixture(scope="module", params=INCOMING)
def incoming(request):
    return INCOMING[request.param]


def run_all(request, kinds, incoming, certs):
    """Tables by kind, all run at once."""
    failed_before = request.session.testsfailed
    with contextlib.ExitStack() as stack:
        tables = {}
        for i, kind in enumerate(kinds):
            table = tables[kind] = Table(i, kind, incoming, *certs)
            stack.callback(lambda t=table: t.close(request.session.testsfailed > failed_before))
            table.start()
        until_s = time.monotonic() + 3 * CASE_S
        for table in tables.values():
            table.wait(until_s)
        yield tables


@pytest.fixture(scope="module")
def plain_tables(request, incoming, certs):
    yield from run_all(request, PLAIN_KINDS, incoming, certs)


@pytest.fixture(scope="module")
def tls_tables(request, incoming, certs):
    yield from run_all(request, TLS_KINDS, incoming, certs)


def rows(kinds):
    return pytest.mark.parametrize("kind,key", [(kind, key) for kind in kinds for key in kind.cases],
        ids=lambda value: repr(value) if isinstance(value, Kind) else ": ".join(value))


def each_recipient_is_told_the_truth(case, incoming):
    kind, stage, behaviour = case.kind, case.stage, case.behaviour
    assert case.failure is None, repr(case.failure)
    assert case.told is not None, "no answer at all"
    classes, taken = expected(kind, incoming.per_rcpt, stage, behaviour)
    assert case.taken == sorted(taken), case.told
    if not incoming.per_rcpt:  # one answer for all: now beats never, never beats yes
        worst = 4 if 4 in classes.values() else max(classes.values())
        classes = dict.fromkeys(RCPTS, worst)
    assert {r: a.code // 100 for r, a in case.told.items()} == classes, case.told
    if behaviour in ("4xx", "5xx", "421") and case.told[B].code != 250:
        assert "says the hop" in case.told[B].text, "its own words"
    if case.told_again is not None:
        assert all(a.code == 250 for a in case.told_again.values()), case.told_again
    if case.told_again is not None or taken == RCPTS:
        assert case.received() == sorted(RCPTS * (2 if stage == "between" else 1)), "all have it, and have it once"


@rows(PLAIN_KINDS)
def test_each_recipient_is_told_the_truth(plain_tables, incoming, kind, key):
    each_recipient_is_told_the_truth(plain_tables[kind].cases[key], incoming)


@rows(TLS_KINDS)
def test_with_tls_it_is_told_the_truth_too_and_no_mail_goes_plain_but_at_may(tls_tables, incoming, kind, key):
    case = tls_tables[kind].cases[key]
    each_recipient_is_told_the_truth(case, incoming)
    spoken = [bool(c.tls) for c in case.hop.connections if c.count("MAIL")]
    if kind.level == "may" and tls_fails(*key):
        assert spoken == [False]
    else:
        assert all(spoken), "in plaintext"
        if key[1] != "not offered":
            assert spoken
    if not any(case.taken) and expected_of_tls(*key):
        assert {a.enhanced for a in case.told.values()} == {expected_of_tls(*key)}, case.told
