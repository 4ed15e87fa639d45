"""Acceptance 6, third part: on tcp, whoever has no authorised key gets no job and no event."""
import shutil

import pytest

import mw
from mwmail import mail


@pytest.fixture
def over_tcp(suite):
    """A front on tcp with CURVE; workers are started by the tests."""
    port = mw.free_ports(3)
    for name in ("keys", "strange"):
        done = suite.tool("keys", suite.folder / name)
        assert done.returncode == 0, done.stderr
    suite.endpoint = f"tcp://127.0.0.1:{port}"
    suite.set(pipeline__keys=str(suite.folder / "keys"), pipeline__front=suite.endpoint, pipeline__listen=suite.endpoint, child_timeout=4)
    suite.sink()
    return suite


def strange(suite):
    """A stranger knows the front's public key, as anybody may, and has keys of his own."""
    shutil.copy(suite.folder / "keys/front.key", suite.folder / "strange/front.key")
    (suite.folder / "strange/front.key_secret").unlink(missing_ok=True)
    return {"pipeline.keys": str(suite.folder / "strange")}


def test_authorised_workers_work_over_tcp(over_tcp):
    over_tcp.start_all(services=("scanner", "dkim", "logger"))
    assert over_tcp.send(mail()).code == 250
    mw.until("the record", over_tcp.records)
    assert over_tcp.front.log_lines("curve_refused") == []


def test_a_worker_without_an_authorised_key_gets_no_job_and_one_line_says_so(over_tcp):
    over_tcp.start("smtp-front")
    stranger = over_tcp.start("scanner", conf=strange(over_tcp), wait=False)
    over_tcp.front.wait_log(r" curve_refused .*127\.0\.0\.1")
    r = over_tcp.send(mail())
    assert r.code == 451, r
    assert over_tcp.front.log_lines("worker_came") == []
    assert over_tcp.sinks[0].count() == 0
    stranger.stop()


def test_a_subscriber_without_an_authorised_key_gets_no_event(over_tcp):
    over_tcp.start_all(services=("scanner",))
    over_tcp.start("logger", conf={**strange(over_tcp), "logger.file": str(over_tcp.folder / "stolen.json"),
        "logger.state_dir": str(over_tcp.folder / "spool")}, wait=False)
    over_tcp.front.wait_log(r" curve_refused ")
    assert over_tcp.send(mail()).code == 250
    over_tcp.start("logger", "2")
    mw.until("the record at the logger that may", over_tcp.records)
    assert mw.json_lines(over_tcp.folder / "stolen.json") == []


def test_a_front_whose_key_a_worker_does_not_expect_gets_no_work_done(over_tcp):
    """The worker encrypts to the front it knows: an impostor at that address cannot answer."""
    # The impostor's own pair: not the one whose public half the scanner has.
    over_tcp.start("smtp-front", conf={"pipeline.keys": str(over_tcp.folder / "strange")})
    over_tcp.start("scanner", wait=False)
    assert over_tcp.send(mail()).code == 451
    assert over_tcp.front.log_lines("worker_came") == []


def test_a_key_that_becomes_authorised_is_let_in_without_a_restart(over_tcp):
    over_tcp.start("smtp-front")
    over_tcp.start("scanner", conf=strange(over_tcp), wait=False)
    over_tcp.front.wait_log(r" curve_refused ")
    shutil.copy(over_tcp.folder / "strange/scanner.key", over_tcp.folder / "keys/authorised/newcomer.key")
    # And the worker lets the front connect to its jobs.
    shutil.copy(over_tcp.folder / "keys/front.key", over_tcp.folder / "strange/authorised/front-there.key")
    over_tcp.front.wait_log(r" worker_came ", timeout_s=30)
    assert over_tcp.send(mail()).code == 250
