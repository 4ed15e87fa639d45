"""deploy/compose.yml on a real Docker engine: keys made, services healthy, three scanners and two fronts found, mail through."""
import json
import os
import re
from types import SimpleNamespace

import pytest

import mw
from mwdocker import Compose, NoEngine, OwnEngine, open_engine
from mwmail import eicar, mail, multipart, part, zipped
from mwsmtp import Smtp

IMAGE = "mailweir:test"
FRONTS, SCANNERS = 2, 3
ONCE = {"keys"}  # services that end


@pytest.fixture(scope="module")
def engine():
    suite = mw.Suite()
    try:
        e = open_engine(suite)
    except NoEngine as why:
        suite.close(failed=False)
        pytest.skip(f"SKIPPED compose: no Docker engine can be started ({why})")
    failed = True
    try:
        e.suite = suite
        yield e
        failed = False
    finally:
        if isinstance(e, OwnEngine):
            e.close()
        suite.close(failed=failed)


def service_of(container):
    return container["Config"]["Labels"]["com.docker.compose.service"]


def unhealthy(compose):
    """Services that are not yet as they should be: (name, why)."""
    waiting = []
    for c in compose.containers():
        state, name = c["State"], c["Name"].lstrip("/")
        if service_of(c) in ONCE:
            if state["Status"] != "exited" or state["ExitCode"] != 0:
                waiting.append((name, state["Status"]))
        elif state.get("Health", {}).get("Status") != "healthy":
            probes = state.get("Health", {}).get("Log") or [{}]
            waiting.append((name, f"{state['Status']}, {state.get('Health', {}).get('Status')}: {probes[-1].get('Output', '').strip()}"))
    return waiting


@pytest.fixture
def compose(engine):
    """The project up, scaled, every container healthy, and its sink."""
    engine.build(IMAGE)
    engine.start()
    with engine.network():
        sink = engine.suite.sink(listen="0.0.0.0:0", forward=False)
    c = Compose(engine, f"mwtest{os.getpid()}", {
        "MAILWEIR_IMAGE": IMAGE,
        "MAILWEIR_PUBLISH": "127.0.0.1:20100-20199",
        "MAILWEIR_PUBLISH_OWN": "127.0.0.1:20200-20299",
        "MAILWEIR_PUBLISH_STATUS": "127.0.0.1:20300-20399",
        "MAILWEIR_PUBLISH_SNMP": "127.0.0.1:20400-20499",
        "MAILWEIR_FORWARD_METHOD": f"smtp:host.docker.internal:{sink.port}",
    })
    c.sink = sink
    passed = False
    try:
        c("up", "-d", "--no-build", "--scale", f"scanner={SCANNERS}", "--scale", f"smtp-front={FRONTS}", timeout_s=300)
        mw.until(lambda: f"all containers to be healthy: {unhealthy(c)}", lambda: not unhealthy(c), 180, every_s=0.5)
        yield c
        passed = True
    finally:
        if not passed:
            print(c("logs", "--tail", "30", check=False))
        c("down", "-v", "--timeout", "20", check=False)


def rows(value, found):
    """All dicts in a JSON value."""
    if isinstance(value, dict):
        found.append(value)
        value = list(value.values())
    for item in value if isinstance(value, list) else []:
        rows(item, found)
    return found


def workers_seen(compose):
    """Names of the workers by service, as mailweir-status tells."""
    text = compose("exec", "-T", "status", "mailweir", "status", "--json", check=False)
    seen = {}
    try:
        found = rows(json.loads(text), [])
    except ValueError:
        return seen
    for row in found:
        if isinstance(row.get("worker"), str) and isinstance(row.get("service"), str):
            seen.setdefault(row["service"], set()).add(row["worker"])
    return seen


def front_address(compose, index):
    text = compose("port", "--index", str(index), "smtp-front", "10024").strip()
    return mw.split_address(text)


@pytest.mark.deadline(2400)
def test_a_scaled_composition_filters_mail_without_a_settings_change(engine, compose):
    # Every front has every scanner: fronts are found by name, all of them.
    def all_workers():
        seen = workers_seen(compose)
        return len(seen.get("scanner", ())) == SCANNERS and {"dkim", "reputation"} <= set(seen)
    mw.until(lambda: f"{SCANNERS} scanners and the other workers in the status: {workers_seen(compose)}", all_workers, 30, every_s=0.5)

    infected = multipart([part("text/plain", b"see attachment\r\n"), part("application/zip", zipped("e.com", eicar()), "e.zip")])
    addresses = [front_address(compose, i + 1) for i in range(FRONTS)]
    assert len(set(addresses)) == FRONTS
    for n, address in enumerate(addresses):
        with engine.network():
            client = Smtp(address, 60 * mw.SLOW)
        with client as c:
            c.hello()
            for i in range(5):
                reply = c.mail("sender@example.com", ["rcpt@example.com"], mail(f"clean {i} by front {n}\r\n", message_id=f"<{n}.{i}@mw.test>"))
                assert reply.code == 250, reply
            reply = c.mail("sender@example.com", ["rcpt@example.com"], infected)
            assert reply.code in (250, 550, 554), reply  # taken and discarded, or rejected; never passed on
            c.quit()

    mw.until("ten clean mails at the next hop", lambda: compose.sink.count() >= 5 * FRONTS)
    mails = compose.sink.mails()
    assert len(mails) == 5 * FRONTS
    for octets in mails:
        assert re.search(rb"(?mi)^X-Virus-Scanned:", octets)
        assert eicar() not in octets

    # The counters of all fronts together, through the SNMP daemon.
    host, port = mw.split_address(compose("port", "--protocol", "udp", "snmpd", "1161").strip())
    snmpd = SimpleNamespace(address=f"{host}:{port}")

    def walk():
        with engine.network():
            return engine.suite.snmpwalk(snmpd)
    mw.until("snmpd to serve our objects", walk, 30, every_s=0.5)

    # No container is privileged or holds a right it does not need, and only what is asked from outside is published.
    for c in compose.containers():
        assert not c["HostConfig"]["Privileged"]
        assert c["HostConfig"]["CapDrop"] == ["ALL"]
        assert c["Config"]["User"] in ("mailweir", "redis")
        published = [p for p, at in (c["NetworkSettings"]["Ports"] or {}).items() if at]
        assert published == [] or service_of(c) in ("smtp-front", "status", "snmpd")
