"""The tools that the other tests believe: the sink keeps what it gets, the load generator counts right."""
import hashlib
import time

import pytest

import mw
import mwtls
from mwmail import mail, split
from mwsmtp import Gone, Smtp


def client(sink, timeout_s=10):
    return Smtp(mw.split_address(sink.endpoint), timeout_s * mw.SLOW)


def load(suite, sink, *args, **kw):
    return suite.load(*args, address=sink.endpoint, **kw)


@pytest.mark.parametrize("octets", [b"", b".", b"\r\n", b"..\r\n.\r\n", b"a\r\n.b\r\n", b"a\r.\r\nb\n.\nc\r\n", b"\r\n.\r", mail(b".\r\n" * 3)])
@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_the_sink_keeps_octets_exactly_however_they_are_cut(suite, octets, step):
    from mwsmtp import stuffed
    sink = suite.sink()
    with client(sink) as c:
        c.hello()
        c.envelope("a@example.com", ["b@example.org"])
        assert c.cmd("DATA").code == 354
        wire = stuffed(octets)
        for i in range(0, len(wire), step):
            c.write(wire[i:i + step])
        assert c.reply().code == 250
    want = octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n"
    assert sink.mails() == [want]
    row = sink.index()[0]
    assert row["sha256"] == hashlib.sha256(split(want)[1]).hexdigest() and int(row["size"]) == len(want)


@pytest.mark.parametrize("more", [["--reuse", "1"], ["--pipeline"], ["--pipeline", "--size", "3000000", "--mails", "6"]])
def test_load_and_sink_speak_tls(suite, more):
    pem = mwtls.Authority(suite.folder / "ca").cert("sink")
    sink = suite.sink(args=["--tls-cert", pem])
    r = load(suite, sink, "--tls", *more, mails=60, connections=3)
    assert r["taken"] == r["mails"] == sink.count()
    sizes = {row["size"] for row in sink.index()}
    assert len(sizes) == 1


def test_the_sink_misbehaves_as_told(suite):
    refusing = suite.sink("refusing", ["--reply", "rcpt=450 4.2.0 later", "--times", "2"])
    with client(refusing) as c:
        c.hello()
        assert [c.mail("a@b.example", ["c@d.example"], mail()).code for _ in range(3)] == [450, 450, 250]
    dropping = suite.sink("dropping", ["--drop", "data"])
    with client(dropping) as c, pytest.raises(Gone):
        c.hello()
        c.mail("a@b.example", ["c@d.example"], mail())
    silent = suite.sink("silent", ["--silent", "mail"])
    with client(silent) as c, pytest.raises(TimeoutError):
        c.hello()
        c.sock.settimeout(1)
        c.cmd("MAIL FROM:<a@b.example>", timeout_s=0.3)
    slow = suite.sink("slow", ["--delay-ms", "dot=200"])
    with client(slow) as c:
        c.hello()
        begun = time.monotonic()
        assert c.mail("a@b.example", ["c@d.example"], mail()).code == 250
        assert time.monotonic() - begun >= 0.2
    some = suite.sink("some", ["--rcpt-reply", "bad@d.example=550 5.1.1 nobody"])
    with client(some) as c:
        c.hello()
        assert [r.code for r in c.mail_pipelined("a@b.example", ["bad@d.example", "good@d.example"], mail())] == [250, 550, 250, 354, 250]
    assert some.index()[0]["rcpts"] == ["good@d.example"]


@pytest.mark.parametrize("pipeline", [[], ["--pipeline"]])
def test_the_load_generator_sends_every_mail_once(suite, pipeline):
    sink = suite.sink(store=False)
    result = load(suite, sink, "--tag", "once", "--reuse", "7", *pipeline, mails=500, connections=10)
    assert result["taken"] == 500 and result["replies"] == {"250": 500} and result["disconnects"] == 0
    assert sorted(r["message_id"] for r in sink.index()) == [f"<once-{i:06d}@load.test>" for i in range(500)]
    assert 0 < result["p50_us"] <= result["p95_us"] <= result["p99_us"] <= result["max_us"]


def test_the_load_generator_retries_as_an_mta_does(suite):
    for stage in ("mail", "rcpt", "data", "dot"):
        for fault in (["--reply", f"{stage}=451 4.3.0 no"], ["--drop", stage]):
            sink = suite.sink(f"{stage}-{fault[0]}", [*fault, "--times", "5"], store=False)
            result = load(suite, sink, "--tag", "r", "--retry-for", "30", "--pipeline", mails=50, connections=5)
            assert result["taken"] == 50 and result["retries"] >= 1, (stage, fault, result)
            assert len({r["message_id"] for r in sink.index()}) == 50


def test_the_load_generator_gives_up_on_5xx(suite):
    sink = suite.sink(args=["--reply", "rcpt=550 5.1.1 nobody", "--times", "3"])
    result = load(suite, sink, "--retry-for", "30", mails=20, connections=2)
    assert result["taken"] == 17 and result["refused"] == 3 and result["retries"] == 0
