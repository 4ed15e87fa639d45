"""
Acceptance 6, second part: the whole pipeline where there is no IPv4 at all.

The test makes a network namespace with nothing but ::1 and runs this file in it as a program.
"""
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import mw  # noqa: E402
from mwmail import DkimKey, eicar_mail, field, mail  # noqa: E402


@pytest.mark.root
@pytest.mark.deadline(120)
def test_the_whole_pipeline_runs_where_there_is_only_ipv6():
    if not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("needs unshare and ip (util-linux, iproute2)")
    script = f"ip link set lo up && ip addr del 127.0.0.1/8 dev lo && exec {sys.executable} {Path(__file__)}"
    done = subprocess.run(["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, check=False)
    print(done.stdout[-20000:], done.stderr[-5000:])
    if "unshare failed" in done.stderr:
        pytest.skip(f"no network namespace can be made here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr[-2000:]


def xforward(c):
    return c.cmd("XFORWARD NAME=mx.example.com ADDR=IPV6:2001:db8::25:7 PORT=52344 PROTO=ESMTP HELO=mx.example.com IDENT=4QbW2w8yKz "
        "SOURCE=REMOTE")


def inside():
    """In the namespace: listeners, next hop, XFORWARD, tcp pipeline with CURVE, Redis: all on ::1."""
    with mw.Suite(host="::1") as s:
        port, redis_port = mw.free_ports(3, "::1"), mw.free_port("::1")
        s.peer("redis", ["redis-server", "--port", redis_port, "--bind", "::1", "--save", "", "--dir", s.folder],
            ready="eady to accept connections")
        done = s.tool("keys", s.folder / "keys")
        assert done.returncode == 0, done.stderr
        key = DkimKey(s.folder, "example.com")
        s.set(pipeline__keys=str(s.folder / "keys"), pipeline__front=f"tcp://[::1]:{port}", pipeline__listen=f"tcp://[::1]:{port}",
            storage_redis_dsn=[{"server": f"[::1]:{redis_port}"}], enable_dkim_verification=True,
            dkim__dns_local_only=True, dkim__dns_data=[key.dns_line()])
        sink = s.sink(listen="[::1]:0")
        s.start_all()
        with s.smtp() as c:
            c.hello("[IPv6:::1]")
            assert "XFORWARD" in c.features, c.features
            assert xforward(c).code == 250
            r = c.mail("sender@example.com", ["rcpt@example.org"], key.sign(mail(message_id="<six@example.com>")))
            assert r.code == 250, r
            c.mail("sender@example.com", ["rcpt@example.org"], eicar_mail(message_id="<virus@example.com>"))
        envelope, octets = sink.last()
        assert sink.count() == 1
        assert any("2001:db8::25:7" in line.lower() for line in envelope if line.startswith("xforward=")), envelope
        assert "dkim=pass" in field(octets, "Authentication-Results"), octets[:2000]
        records = mw.until("two records", lambda: (x := s.records()) and len(x) >= 2 and x)
        by_id = {x["message_id"]: x for x in records}
        assert by_id["<six@example.com>"]["client_ip"] == "2001:db8::25:7"
        assert by_id["<virus@example.com>"]["content_type"] == "Virus"
        keys = subprocess.run(["redis-cli", "-h", "::1", "-p", str(redis_port), "keys", "ip:*"], capture_output=True, text=True,
            check=True).stdout
        assert "2001:db8::25:7" in keys, keys
    print("all on ::1")


if __name__ == "__main__":
    inside()
