"""Tests of the front with a next hop of tests/fakes behind it: the fixture behind() and what goes with it."""
import sys
from pathlib import Path

import pytest

from mwmail import mail

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))

from next_hop import NextHop, OFFERED  # noqa: E402

A, B = "a@example.org", "b@example.org"
# Nobody is told but by the reply.
NO_DSN = {"notify_sender_templ": "", "notify_virus_sender_templ": "", "notify_spam_sender_templ": "",
          "viruses_that_fake_sender_maps": [False]}
PIPELINING = pytest.mark.parametrize("offered", [OFFERED, OFFERED[1:]], ids=["pipelining", "one by one"])


@pytest.fixture
def behind(suite):
    """Start a front in front of a next hop: behind(rcpt=b"550 no\\r\\n", settings={...}, services=(...)) is the hop."""
    hops = []

    def start(settings=None, services=(), **kw):
        hops.append(NextHop(**kw))
        suite.set(forward_method=hops[-1].method)
        if "scanner" not in services:
            suite.set(bypass_virus_checks_maps=[True])
        suite.set(**(settings or {}))
        suite.start_all(services=services)
        return hops[-1]
    yield start
    for hop in hops:
        hop.close()


def class_of(reply):
    return reply.code // 100


def send(suite, rcpts=(A,), octets=None, **kw):
    return suite.send(octets or mail(), rcpts=rcpts, **kw)
