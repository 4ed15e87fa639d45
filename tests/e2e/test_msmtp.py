"""msmtp, a client of its own making, in front of the front."""
import shutil
import subprocess

import pytest

import mw
from mwlua import D_REJECT
from mwmail import mail
from test_scanner import PLAIN

pytestmark = pytest.mark.skipif(shutil.which("msmtp") is None, reason="msmtp is not installed")
BYPASS = {f"bypass_{what}_checks_maps": [True] for what in ("virus", "spam", "banned", "header")}


def msmtp(suite, octets, *args, rcpts=("rcpt@example.org",)):
    host, port = suite.smtp_address()
    return subprocess.run(["msmtp", "-C", "/dev/null", f"--host={host}", f"--port={port}", "--timeout=20", "--from=sender@example.com", *args,
        "--", *rcpts], input=octets.replace(b"\r\n", b"\n"), capture_output=True, timeout=60 * mw.SLOW, check=False)


@pytest.fixture
def sink(suite):
    suite.set(**BYPASS)
    sink = suite.sink()
    suite.start("smtp-front")
    return sink


def test_its_mail_comes_through(suite, sink):
    done = msmtp(suite, mail(b"Hello,\r\n.\r\n..dots\r\n"))
    assert done.returncode == 0, done
    assert sink.last()[1].endswith(b"Hello,\r\n.\r\n..dots\r\n")


def test_it_learns_of_a_refusal(suite, sink):
    suite.front.stop()
    suite.set(forward_method=suite.sink("refusing", ["--reply", "rcpt=550 5.1.1 nobody of that name"], forward=False).method)
    suite.restart(suite.front)
    done = msmtp(suite, mail())
    assert done.returncode != 0 and b"nobody of that name" in done.stderr, done


def test_a_virus_is_refused_to_it(suite):
    suite.sink()
    suite.set(final_virus_destiny=D_REJECT)
    suite.start_all(services=("scanner",))
    suite.front.wait_log(r" worker_came ")
    done = msmtp(suite, PLAIN)
    assert done.returncode != 0 and b"554" in done.stderr, done
