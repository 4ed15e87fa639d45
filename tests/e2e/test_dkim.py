"""mailweir-dkim with a real nameserver (nsd): a fake front gives it jobs; dkimpy signs and verifies on the other side."""
import base64
import itertools
import os
import signal
import socket
import struct
import subprocess
import threading
import time

import msgpack
import pytest
import zmq

import mw

dkim = pytest.importorskip("dkim", reason="python3-dkim is not installed")

STATUS = ["done", "limit", "failed"]
HEAD = b"From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: hello\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n"
BODY = b"Hello,\r\n\r\nthis is a  mail. \r\n\r\n\r\n"
MAIL = HEAD + b"\r\n" + BODY


# ------------------------------------------------------------------ keys and zone

class Key:
    """A key pair as OpenSSL makes it, and its record."""

    def __init__(self, folder, name, bits=0):
        self.path = folder / f"{name}.pem"
        how = ["RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}"] if bits else ["ed25519"]
        subprocess.run(["openssl", "genpkey", "-algorithm", *how, "-out", self.path], check=True, capture_output=True)
        os.chmod(self.path, 0o600)
        der = subprocess.run(["openssl", "pkey", "-in", self.path, "-pubout", "-outform", "DER"], check=True,
            capture_output=True).stdout
        self.bits = bits or 256
        self.type = "rsa" if bits else "ed25519"
        self.public = base64.b64encode(der if bits else der[-32:]).decode()

    @property
    def record(self):
        return f"v=DKIM1; k={self.type}; p={self.public}"

    def dkimpy(self):
        """The private key as dkimpy wants it."""
        if self.type == "rsa":
            return self.path.read_bytes()
        der = subprocess.run(["openssl", "pkey", "-in", self.path, "-outform", "DER"], check=True, capture_output=True).stdout
        return base64.b64encode(der[-32:])


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    os.chmod(folder, 0o755)
    return {"rsa1024": Key(folder, "rsa1024", 1024), "rsa2048": Key(folder, "rsa2048", 2048), "rsa4096": Key(folder, "rsa4096", 4096),
        "ed": Key(folder, "ed")}


def zone_records(keys):
    records = {f"{name}._domainkey": key.record for name, key in keys.items()}
    records["revoked._domainkey"] = "v=DKIM1; p="
    records["testing._domainkey"] = keys["ed"].record.replace("v=DKIM1;", "v=DKIM1; t=y;")
    records["spf._domainkey"] = "v=spf1 -all"
    return records


def strings(text):
    return " ".join(f'"{text[i:i + 250]}"' for i in range(0, len(text), 250))


def ask_soa(family, host, port):
    """One raw question; True when somebody answers."""
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(0.2)
        try:
            s.connect((host, port))
            s.send(struct.pack(">6H", 7, 0, 1, 0, 0, 0) + b"\7example\3org\0" + struct.pack(">2H", 6, 1))
            return len(s.recv(512)) > 12
        except OSError:
            return False


def nameserver(suite, keys, host="127.0.0.1"):
    """nsd with the zone example.org; its address as libunbound takes it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    port = mw.free_port(host)
    lines = ["$ORIGIN example.org.", "$TTL 60", "@ IN SOA ns root 1 3600 600 86400 60", "@ IN NS ns", f"ns IN A 127.0.0.1"]
    lines += [f"{name} IN TXT {strings(text)}" for name, text in zone_records(keys).items()]
    lines += ["two._domainkey IN TXT \"v=DKIM1; p=AAAA\"", "two._domainkey IN TXT \"v=DKIM1; p=BBBB\""]
    folder = suite.folder / "nsd"
    folder.mkdir()
    (folder / "zone").write_text("\n".join(lines) + "\n")
    (folder / "nsd.conf").write_text(f"""server:
    ip-address: {host}@{port}
    username: ""
    chroot: ""
    zonesdir: "{folder}"
    database: ""
    pidfile: "{folder}/pid"
    xfrdfile: "{folder}/xfrd"
    zonelistfile: "{folder}/zones"
    xfrdir: "{folder}"
    server-count: 1
remote-control:
    control-enable: no
zone:
    name: "example.org"
    zonefile: "zone"
""")
    suite.peer("nsd", ["nsd", "-d", "-c", folder / "nsd.conf"])
    mw.until("nsd", lambda: ask_soa(family, host, port))
    return f"{host}@{port}"


@pytest.fixture
def silence():
    """A nameserver that takes questions and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        yield f"127.0.0.1@{s.getsockname()[1]}"


# ------------------------------------------------------------------ a front

class Verdict:
    def __init__(self, fields):
        (_, _, self.job, self.attempt, self.kind, status, self.reason, self.wall_us, self.cpu_us, self.findings) = fields
        self.status = STATUS[status]
        if "fields" in self.findings:  # octets are packed as a str
            self.findings["fields"] = self.findings["fields"].encode()

    def __repr__(self):
        return f"Verdict({self.status}, {self.reason!r}, {self.findings})"


class Front:
    def __init__(self, suite):
        self.ctx = zmq.Context()
        self.ids = itertools.count(1)
        self.hello = self.push = None
        self.verdicts, self.alive_at, self.phases, self.bye = {}, [], set(), False
        self.came = threading.Condition()
        self.closing = False
        router = self.ctx.socket(zmq.ROUTER)
        router.bind(f"ipc://{suite.folder}/run/front-fake.verdicts")
        self.thread = threading.Thread(target=self._read, args=(router,), daemon=True)
        self.thread.start()

    def _read(self, router):
        while not self.closing:
            if not router.poll(20):
                continue
            identity, octets = router.recv_multipart()
            f = msgpack.unpackb(octets)
            if f[1] == 1:
                router.send_multipart([identity, msgpack.packb([1, 5, 77, "fake"])])
            elif f[1] == 4:
                router.send_multipart([identity, msgpack.packb([1, 4, ""])])
            with self.came:
                if f[1] == 1:
                    self.hello = f
                elif f[1] == 2:
                    self.alive_at.append(time.monotonic())
                    self.phases |= {held[2] for held in f[7]}
                elif f[1] == 3:
                    self.verdicts[f[2]] = Verdict(f)
                elif f[1] == 4:
                    self.bye = True
                self.came.notify_all()
        router.close(linger=0)

    def wait(self, what, condition, timeout_s=15):
        with self.came:
            assert self.came.wait_for(condition, timeout_s * mw.SLOW), f"waited for {what}"

    def wait_worker(self):
        self.wait("a worker that has our welcome", lambda: self.hello and self.alive_at)
        self.push = self.ctx.socket(zmq.PUSH)
        self.push.connect(self.hello[4])
        return self

    def send(self, kind, orders, parts, ms=15000):
        job = 77 << 32 | next(self.ids)
        head = [1, 16, job, 1, kind, ms, "task-1", "aaaaaaaaaaaa", sum(map(len, parts)),
            ["a@example.org", ["b@example.net"], "helo", "203.0.113.9", "client.example", 2525, "", "", ""], orders]
        self.push.send_multipart([msgpack.packb(head), *parts])
        return job

    def verdict(self, job):
        self.wait(f"a verdict for {job}", lambda: job in self.verdicts, 30)
        return self.verdicts.pop(job)

    def auth(self, octets, **kw):
        return self.verdict(self.send("auth", {}, [octets], **kw))

    def results(self, octets, **kw):
        """Result of each signature; the check itself must have come to its end."""
        v = self.auth(octets, **kw)
        assert v.status == "done", v
        return [s["result"] for s in v.findings["signatures"]]

    def one(self, octets, **kw):
        v = self.auth(octets, **kw)
        assert v.status == "done" and len(v.findings["signatures"]) == 1, v
        return v.findings["signatures"][0]

    def sign(self, signers, header=HEAD + b"\r\n", body=BODY, **kw):
        return self.verdict(self.send("sign", {"signers": signers}, [header, body], **kw))

    def close(self):
        self.closing = True
        self.thread.join()
        self.ctx.destroy(linger=0)


def signer(s, d="example.org", i="", ttl_s=0, headers=()):
    return {"d": d, "s": s, "i": i, "ttl_s": ttl_s, "headers": list(headers)}


class Worker:
    """A suite with one dkim worker, its front and, unless told otherwise, nsd."""

    def __init__(self, suite, keys, nameservers=None, host="127.0.0.1", **settings):
        self.suite = suite
        if nameservers is None and not settings.get("dkim__dns_local_only"):
            nameservers = [nameserver(suite, keys, host)]
        suite.set(enable_dkim_verification=True, enable_dkim_signing=True, dkim__nameservers=nameservers or [], **settings)
        self.front = Front(suite)
        suite.lines += [f'dkim_key("example.org", "{name}", "{key.path}")' for name, key in keys.items()]
        self.process = suite.start("dkim")
        self.front.wait_worker()

    def close(self):
        if self.process.running():
            self.process.stop()
        self.front.close()


@pytest.fixture
def made(suite, keys):
    all_made = []

    def make(**kw):
        all_made.append(Worker(suite, keys, **kw))
        return all_made[-1]
    yield make
    for w in all_made:
        w.close()


@pytest.fixture
def front(made):
    return made().front


def signed_by_dkimpy(keys, name, mail=MAIL, selector=None, **kw):
    key = keys[name]
    return dkim.sign(mail, (selector or name).encode(), b"example.org", key.dkimpy(),
        signature_algorithm=b"rsa-sha256" if key.type == "rsa" else b"ed25519-sha256", **kw) + mail


def dkimpy_dns(keys):
    records = zone_records(keys)

    def answer(name, timeout=5):
        text = records.get(name.decode().rstrip(".").removesuffix(".example.org"))
        return text.encode() if text else None
    return answer


# ------------------------------------------------------------------ verifying

def test_hello_names_kinds_slots_and_engines(front):
    assert front.hello[2] == "dkim"
    assert sorted(front.hello[9]) == [["auth", 64], ["sign", 64]]
    assert "libopendkim 2.11" in front.hello[7] and "libunbound" in front.hello[7]


def test_mail_without_a_signature_has_none(front):
    v = front.auth(MAIL)
    assert v.status == "done" and v.findings["signatures"] == [] and v.reason == ""


@pytest.mark.parametrize("canon", [(h, b) for h in (b"simple", b"relaxed") for b in (b"simple", b"relaxed")],
    ids=lambda c: b"-".join(c).decode())
def test_what_dkimpy_signs_passes_and_altered_fails(front, keys, canon):
    for name in ("rsa1024", "rsa2048", "ed"):
        mail = signed_by_dkimpy(keys, name, canonicalize=canon)
        s = front.one(mail)
        assert (s["result"], s["reason"], s["bits"], s["d"], s["s"]) == ("pass", "", keys[name].bits, "example.org", name), s
        assert len(s["b"]) == 8 and s["i"] == "@example.org" and s["expired"] is False
        s = front.one(mail.replace(b"this is a  mail", b"this is a  mailX"))
        assert (s["result"], s["reason"]) == ("fail", "body has been altered")
        s = front.one(mail.replace(b"Subject: hello", b"Subject: goodbye"))
        assert (s["result"], s["reason"]) == ("fail", "signature did not verify")


def test_a_4096_bit_key_in_several_strings_is_put_together(front, keys):
    s = front.one(signed_by_dkimpy(keys, "rsa4096"))
    assert (s["result"], s["bits"]) == ("pass", 4096)


def test_keys_that_are_missing_revoked_doubled_or_no_keys(front, keys):
    for selector, reason in (("missing", "no key for signature"), ("revoked", "key revoked"), ("two", "several key records"),
            ("spf", "no valid key record")):
        s = front.one(signed_by_dkimpy(keys, "rsa1024", selector=selector))
        assert (s["result"], s["reason"]) == ("permerror", reason)
    s = front.one(signed_by_dkimpy(keys, "ed", selector="testing"))
    assert (s["result"], s["testing"]) == ("pass", True)
    # nsd refuses questions about other zones: nobody knows
    s = front.one(signed_by_dkimpy(keys, "ed").replace(b"d=example.org", b"d=example.com").replace(b"i=@example.org", b"i=@example.com"))
    assert (s["result"], s["reason"]) == ("temperror", "DNS could not answer")


def test_each_of_several_signatures_is_told_top_down(front, keys):
    mail = signed_by_dkimpy(keys, "rsa2048")
    mail = signed_by_dkimpy(keys, "ed", mail=mail)
    mail = b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=rsa1024;\r\n h=from; bh=AAAA; b=AAAA\r\n" + mail
    mail = b"DKIM-Signature: broken\r\n" + mail
    v = front.auth(mail)
    assert [(s["s"], s["result"]) for s in v.findings["signatures"]] == [("", "neutral"), ("rsa1024", "fail"), ("ed", "pass"),
        ("rsa2048", "pass")]
    assert v.findings["dns_us"] > 0 and v.cpu_us > 0


def test_more_signatures_than_are_verified_is_a_limit(front, keys):
    one = signed_by_dkimpy(keys, "ed")[:-len(MAIL)]
    v = front.auth(one * 20 + MAIL)
    assert v.status == "done" and [s["result"] for s in v.findings["signatures"]] == ["pass"] * 20
    v = front.auth(one * 21 + MAIL)
    assert (v.status, v.reason) == ("limit", "too many signatures")
    assert [s["result"] for s in v.findings["signatures"]] == ["pass"] * 20 + ["permerror"]
    v = front.auth(one * 3000 + MAIL)
    assert v.status == "limit" and len(v.findings["signatures"]) == 100


def test_a_header_section_over_the_limit_is_a_limit(front, keys):
    v = front.auth(signed_by_dkimpy(keys, "ed").replace(b"Subject: hello", b"Subject: hello\r\nX: " + b"x" * (4 << 20)))
    assert (v.status, v.reason, v.findings["signatures"]) == ("limit", "header section too large", [])


def test_hostile_octets_are_answered_and_the_worker_lives(front, keys):
    sig = signed_by_dkimpy(keys, "ed")[:-len(MAIL)]
    for octets in (b"\r\n", b"\0", b"\r\n\r\n", b"x" * 100000, sig, sig + b"\r\n", sig.replace(b"i=@", b"i=="), b":" * 5000,
            sig.replace(b"example.org", b"\xff" * 20), sig + b"From: " + b"(" * 50000 + b"\r\n\r\n",
            sig + b"From: a\0b\r\n\r\n", sig + MAIL.replace(b"\r\n", b"\n"), sig + b"From : x\r\n\r\n"):
        assert front.auth(octets).status == "done", octets[:40]
    assert front.results(sig + MAIL) == ["pass"]


@pytest.mark.parametrize("octets", [b"", None])
def test_a_job_without_octets_fails(front, octets):
    v = front.verdict(front.send("auth", {}, [] if octets is None else [octets]))
    assert v.status == ("failed" if octets is None else "done")


def test_a_large_mail_is_verified_while_alive_messages_go_on(front, keys):
    body = b"".join(b"%070d\r\n" % i for i in range(300000))
    mail = signed_by_dkimpy(keys, "rsa2048", mail=HEAD + b"\r\n" + body, canonicalize=(b"relaxed", b"relaxed"))
    front.alive_at.clear()
    jobs = [front.send("auth", {}, [mail]) for _ in range(4)]
    began = time.monotonic()
    for job in jobs:
        assert front.verdict(job).findings["signatures"][0]["result"] == "pass"
    times = [began, *[t for t in front.alive_at if t > began], time.monotonic()]
    assert max(b - a for a, b in zip(times, times[1:])) < 5 * mw.SLOW
    assert len(times) > 2 or times[-1] - began < 1, "no alive message while it was at work"


def test_an_ipv6_nameserver_serves(made, keys):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        try:
            s.bind(("::1", 0))
        except OSError:
            pytest.skip("no ::1 here")
    assert made(host="::1").front.results(signed_by_dkimpy(keys, "ed")) == ["pass"]


# ------------------------------------------------------------------ DNS that does not help

def test_a_silent_nameserver_costs_a_temperror_not_the_check(made, keys, silence):
    front = made(nameservers=[silence], dkim__dns_timeout_ms=700).front
    mail = signed_by_dkimpy(keys, "ed")
    began = time.monotonic()
    jobs = [front.send("auth", {}, [mail]) for _ in range(20)]
    for job in jobs:
        v = front.verdict(job)
        assert v.status == "done" and v.findings["signatures"][0]["result"] == "temperror"
        assert v.findings["signatures"][0]["reason"] == "DNS did not answer in time"
    assert time.monotonic() - began < 10 * mw.SLOW, "one after the other would be 14 s"
    assert front.auth(MAIL).status == "done"


def test_dns_leaves_time_to_answer_before_the_jobs_deadline(made, keys, silence):
    front = made(nameservers=[silence], dkim__dns_timeout_ms=30000).front
    ms = int(4000 * mw.SLOW)
    v = front.auth(signed_by_dkimpy(keys, "ed"), ms=ms)
    assert v.status == "done" and v.findings["signatures"][0]["result"] == "temperror"
    assert v.wall_us < ms * 1000
    assert "dns" in front.phases


def test_a_nameserver_that_comes_back_is_used_again(made, suite, keys):
    w = made()
    nsd = next(p for p in suite.processes if p.name == "nsd")
    mail = signed_by_dkimpy(keys, "rsa1024")
    nsd.signal(signal.SIGSTOP)
    for child in mw.children(nsd.pid):
        os.kill(child, signal.SIGSTOP)
    job = w.front.send("auth", {}, [mail])
    w.front.wait("the question to be out", lambda: "dns" in w.front.phases)
    for child in mw.children(nsd.pid):
        os.kill(child, signal.SIGCONT)
    nsd.signal(signal.SIGCONT)
    assert w.front.verdict(job).findings["signatures"][0]["result"] in ("pass", "temperror")
    mw.until("a pass", lambda: w.front.results(mail) == ["pass"], every_s=0.2)


def test_records_in_the_settings_need_no_nameserver(made, keys):
    data = [f"{name}.example.org. 60 IN TXT {strings(text)}" for name, text in zone_records(keys).items()]
    front = made(dkim__dns_data=data, dkim__dns_local_only=True).front
    for name in keys:
        assert front.results(signed_by_dkimpy(keys, name)) == ["pass"]
    assert front.one(signed_by_dkimpy(keys, "ed", selector="missing"))["result"] == "permerror"


def refused_start(suite, **settings):
    suite.set(**settings)
    p = suite.start("dkim", wait=False)
    code = p.popen.wait(mw.WAIT_S)
    return code, p.log()


def test_a_resolver_that_cannot_work_stops_the_start(suite):
    for settings, says in (({"dkim__nameservers": ["dns.example.org"]}, "is no nameserver address"),
            ({"dkim__nameservers": [], "dkim__dns_local_only": True, "dkim__dns_data": ["nonsense"]}, "is no record"),
            ({"dkim__dns_data": [], "dkim__trust_anchor_file": "/nonexistent"}, "/nonexistent: No such file")):
        code, log = refused_start(suite, **settings)
        assert code == 78 and says in log, log


# ------------------------------------------------------------------ signing

def test_what_we_sign_verifies_with_dkimpy_and_with_us(front, keys):
    for name in keys:
        v = front.sign([signer(name)])
        assert v.status == "done" and v.findings["domains"] == ["example.org"], v
        fields = v.findings["fields"]
        assert fields.startswith(b"DKIM-Signature: v=1;") and fields.endswith(b"\r\n")
        assert all(len(line) <= 998 for line in fields.split(b"\r\n")) and b"\n" not in fields.replace(b"\r\n", b"")
        assert dkim.verify(fields + MAIL, dnsfunc=dkimpy_dns(keys)), name
        assert not dkim.verify(fields + MAIL.replace(b"hello", b"hallo"), dnsfunc=dkimpy_dns(keys))
        assert front.results(fields + MAIL) == ["pass"]


def test_two_signatures_at_once_stand_in_the_order_asked_for(front, keys):
    v = front.sign([signer("rsa2048"), signer("ed", ttl_s=3600)])
    fields = v.findings["fields"]
    d = dkim.DKIM(fields + MAIL)
    assert d.verify(idx=0, dnsfunc=dkimpy_dns(keys)) and d.verify(idx=1, dnsfunc=dkimpy_dns(keys))
    assert [(s["s"], s["result"]) for s in front.auth(fields + MAIL).findings["signatures"]] == [("rsa2048", "pass"), ("ed", "pass")]
    assert b"x=" in fields and v.findings["domains"] == ["example.org", "example.org"]


def test_fields_identity_and_wildcards_are_as_ordered(front, keys):
    v = front.sign([signer("ed", i="@mail.example.org", headers=["From", "from", "To", "Subject"])])
    flat = b"".join(v.findings["fields"].split())
    assert b"h=From:To:Subject:From;" in flat or b"h=From:To:Subject:from;" in flat, flat
    assert b"i=@mail.example.org;" in flat
    assert dkim.verify(v.findings["fields"] + MAIL, dnsfunc=dkimpy_dns(keys))


@pytest.mark.parametrize("header, body", [(HEAD + b"\r\n", b""), (HEAD + b"Received: a\r\nReceived: b\r\n\tc\r\n\r\n", BODY),
    (HEAD + b"Content-Type: text/plain; charset=x\r\nX: \xff\r\n\r\n", b"\r\n" * 10), (HEAD + b"\r\n", b"no line end"),
    (HEAD + b"\r\n", b"%070d\r\n" % 1 * 50000)], ids=["empty", "received", "8-bit", "cut", "large"])
def test_odd_mail_is_signed_so_that_others_verify_it(front, keys, header, body):
    for name in ("rsa2048", "ed"):
        v = front.sign([signer(name)], header, body)
        assert v.status == "done", v
        whole = v.findings["fields"] + header + body
        assert front.results(whole) == ["pass"]
        if not body or body.endswith(b"\n"):  # dkimpy wants whole lines
            assert dkim.verify(whole, dnsfunc=dkimpy_dns(keys))


def test_what_cannot_be_signed_fails_and_says_why(front):
    for orders, says in (([signer("nokey")], "no dkim_key for domain example.org and selector nokey"),
            ([signer("ed", d="example.com")], "no dkim_key for domain example.com"),
            ([signer("ed", i="@example.com")], "does not fit d="), ([signer("ed", i="x")], "does not fit d="), ([], "signers"),
            ([signer("ed")] * 9, "9 signers"), ([7], "malformed orders"), ([signer("ed", headers=["a:b"])], "malformed orders")):
        v = front.sign(orders)
        assert v.status == "failed" and says in v.reason, v
    assert front.sign([signer("ed")], b"Subject: x\r\n\r\n").reason == "no From field to sign"
    assert "line feed" in front.sign([signer("ed")], HEAD + b"\r\n", b"a\nb\r\n").reason
    assert front.verdict(front.send("sign", {}, [HEAD + b"\r\n", BODY])).status == "failed"
    assert front.verdict(front.send("sign", {"signers": [signer("ed")]}, [])).status == "failed"
    assert front.sign([signer("ed")]).status == "done"


def test_keys_are_read_again_on_hup_and_a_bad_one_changes_nothing(made, suite, keys):
    w = made(dkim__dns_local_only=True)
    assert w.front.sign([signer("new")]).status == "failed"
    suite.lines.append(f'dkim_key("example.org", "new", "{keys["ed"].path}")')
    suite.conf_path("dkim", "1")
    w.process.signal(signal.SIGHUP)
    w.process.wait_log(r"dkim_keys count=5")
    assert w.front.sign([signer("new")]).status == "done"
    suite.lines.append('dkim_key("example.org", "newer", "/nonexistent")')
    suite.conf_path("dkim", "1")
    w.process.signal(signal.SIGHUP)
    w.process.wait_log(r"/nonexistent: No such file")
    assert w.front.sign([signer("new")]).status == "done"


def test_a_key_that_everybody_can_read_stops_the_start_and_is_not_shown(suite, keys, tmp_path):
    text = keys["rsa1024"].path.read_text()
    path = tmp_path / "open.pem"
    path.write_text(text)
    os.chmod(path, 0o644)
    suite.lines.append(f'dkim_key("example.org", "s", "{path}")')
    code, log = refused_start(suite, dkim__dns_local_only=True)
    assert code == 78 and "its mode 0644 gives it to everybody" in log, log
    assert not any(line in log for line in text.splitlines() if line)


# ------------------------------------------------------------------ life

def test_jobs_under_way_are_finished_when_told_to_stop(made, keys, silence):
    w = made(nameservers=[silence], dkim__dns_timeout_ms=1000)
    jobs = [w.front.send("auth", {}, [signed_by_dkimpy(keys, "ed")]) for _ in range(5)]
    jobs += [w.front.send("sign", {"signers": [signer("rsa4096")]}, [HEAD + b"\r\n", BODY]) for _ in range(20)]
    w.front.wait("work", lambda: "dns" in w.front.phases)
    w.process.signal(signal.SIGTERM)
    assert [w.front.verdict(job).status for job in jobs] == ["done"] * 25
    assert w.process.popen.wait(mw.WAIT_S) == 0 and w.front.bye


def test_jobs_whose_time_is_up_are_let_go_in_every_phase(made, keys, silence):
    front = made(nameservers=[silence], dkim__dns_timeout_ms=30000).front
    big = b"%070d\r\n" % 1 * 200000
    for ms in (1, 5, 20, 60):
        jobs = [front.send("sign", {"signers": [signer("rsa4096")] * 8}, [HEAD + b"\r\n", big], ms=ms) for _ in range(6)]
        jobs += [front.send("auth", {}, [signed_by_dkimpy(keys, "ed")], ms=ms) for _ in range(6)]
    # the worker says so for each, or was never given time to: what counts is that it goes on
    assert front.auth(MAIL).status == "done"
    assert front.sign([signer("ed")]).status == "done"
