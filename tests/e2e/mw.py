"""The harness of the end-to-end tests, the benchmark and the demo: Python's standard library only.

A Suite is a private folder with one mailweir.lua, the services started from it and the peers they need (next hop,
Redis, snmpd, spamd). Ports are picked by the kernel, a process is ready when it says so, and close() ends what was
started, by process id, and tells what was left over.

  with Suite() as s:
      s.sink()
      s.redis()
      s.start("smtp-front"); s.start("scanner")
      with s.smtp() as c:
          c.hello()
          print(c.mail("a@example.com", ["b@example.org"], mail(subject="x")))
      print(s.sinks[0].mails())
"""
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

from mwlua import lua_file
from mwsmtp import Smtp

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("MW_BIN", ROOT / "build/bin"))
BENCH = Path(os.environ.get("MW_BENCH", ROOT / "build/bench"))
# A sanitised build on a busy machine is slower: every wait is that many times longer.
SLOW = float(os.environ.get("MW_SLOW", "1"))
WAIT_S = 20.0
WORKERS = ("scanner", "dkim", "reputation")
MARK = "MAILWEIR_TEST_SUITE"  # environment variable that every process of a suite carries


def other_side(program):
    """Where mwsink or mwload is: a sanitised run may take those of the plain build."""
    return Path(os.environ.get("MW_PEERS", BENCH)) / program


class Failed(AssertionError):
    """Something the harness waited for did not come."""


def until(what, condition, timeout_s=WAIT_S, every_s=0.01):
    """Ask condition() until it is true and return its value; after timeout_s say what did not come."""
    end = time.monotonic() + timeout_s * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"waited {timeout_s * SLOW:.0f} s for {what() if callable(what) else what}")
        time.sleep(every_s)


# Ports that have to be named before they are bound. Below those that the kernel gives to whoever connects: one of these may be
# taken by any client before a slow server comes to it. Each process of the run has its own share, and walks it from anywhere.
PORTS, SHARES = (12000, 32000), 16
SHARE = (PORTS[1] - PORTS[0]) // SHARES
_share = PORTS[0] + SHARE * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % SHARES)
_walk = random.randrange(SHARE)


def _bindable(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family, kind) as s:
            if kind == socket.SOCK_STREAM:
                # As the services do: connections that ended there a moment ago are in nobody's way.
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((host, port))
            except OSError:
                return False
    return True


def free_ports(count, host="127.0.0.1"):
    """The first of that many ports in a row, all free: a front on tcp takes three."""
    global _walk  # pylint: disable=global-statement
    for _ in range(SHARE):
        first = _share + _walk
        _walk += count
        if _walk > SHARE:
            _walk = 0
        elif all(_bindable(host, first + i) for i in range(count)):
            return first
    raise Failed(f"no {count} free ports in a row")


def free_port(host="127.0.0.1"):
    return free_ports(1, host)


def split_address(text):
    """"127.0.0.1:25" or "[::1]:25" as (host, port)."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


# ------------------------------------------------------------------ /proc

def proc_stat(pid):
    """Fields of /proc/PID/stat behind the name, or None."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2:].split()


def alive(pid):
    stat = proc_stat(pid)
    return stat is not None and stat[0] not in "ZX"


def tell(pid, signum):
    """Send a signal to a process that may have ended since it was looked for; True when it was there."""
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return False
    return True


def all_pids():
    return [int(d) for d in os.listdir("/proc") if d.isdigit()]


def children(pid):
    """Living descendants of pid, nearest first."""
    parents = {}
    for p in all_pids():
        stat = proc_stat(p)
        if stat is not None and stat[0] not in "ZX":
            parents.setdefault(int(stat[1]), []).append(p)
    found, queue = [], [pid]
    while queue:
        nearest = parents.get(queue.pop(0), [])
        found += nearest
        queue += nearest
    return found


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def memory_kb(pid, field="VmHWM"):
    """A field of /proc/PID/status in KiB, 0 when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    m = re.search(rf"^{field}:\s+(\d+) kB", text, re.M)
    return int(m.group(1)) if m else 0


# ------------------------------------------------------------------ processes

class Process:
    """One program under a suite: its log files, its ready line, its end."""

    def __init__(self, suite, name, argv, env=None, ready=None, cwd=None, limit=None):
        self.suite, self.name, self.argv = suite, name, [str(a) for a in argv]
        self.end_signal = signal.SIGTERM  # what stop() sends: SIGKILL to a peer that takes seconds to end
        self.ready_pattern = re.compile(ready) if isinstance(ready, str) else ready
        self.out_path = suite.logs / f"{name}.out"
        self.err_path = suite.logs / f"{name}.err"
        self._out_from = self.out_path.stat().st_size if self.out_path.exists() else 0
        full_env = dict(os.environ, **suite.env, **(env or {}))
        with open(self.out_path, "ab") as out, open(self.err_path, "ab") as err:
            self.popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env=full_env, cwd=cwd or suite.folder, start_new_session=True, preexec_fn=limit)
        self.pid = self.popen.pid
        suite.sessions.add(self.pid)

    def out(self):
        """What it wrote to stdout since this start."""
        with open(self.out_path, "rb") as f:
            f.seek(self._out_from)
            return f.read().decode(errors="replace")

    def log(self):
        """Its whole log: every start of a process of that name."""
        return self.err_path.read_text(errors="replace")

    def log_lines(self, event):
        """Log lines with that event name."""
        return [line for line in self.log().splitlines() if f" {event} " in line + " "]

    def wait_log(self, pattern, timeout_s=WAIT_S, count=1):
        """The count-th line of the log that matches."""
        rx = re.compile(pattern)

        def found():
            lines = [line for line in self.log().splitlines() if rx.search(line)]
            return lines[count - 1] if len(lines) >= count else None
        return until(lambda: f"{pattern!r} in the log of {self.name}\n{self.tail()}", found, timeout_s)

    def wait_ready(self, timeout_s=WAIT_S):
        def ready():
            m = self.ready_pattern.search(self.out())
            if m is None and self.popen.poll() is not None:
                raise Failed(f"{self.name} ended with {self.popen.returncode} before it was ready\n{self.tail()}")
            return m
        self.ready = until(lambda: f"{self.name} to be ready\n{self.tail()}", ready, timeout_s)
        return self

    def ready_field(self, key):
        """Value of key=value in the ready line."""
        m = re.search(rf"\b{re.escape(key)}=(\S+)", self.ready.string[self.ready.start():].split("\n", 1)[0])
        return m.group(1) if m else None

    def tail(self, lines=25):
        text = (self.out() + self.log()).splitlines()[-lines:]
        return "\n".join(f"    {self.name}: {line}" for line in text)

    def running(self):
        return self.popen.poll() is None

    def wait_end(self, timeout_s=WAIT_S):
        """Its exit code, as soon as it has ended: Popen.wait() looks every 50 ms. Raises subprocess.TimeoutExpired."""
        if self.running():
            pidfd = os.pidfd_open(self.pid)
            try:
                ended = select.poll()
                ended.register(pidfd, select.POLLIN)
                ended.poll(timeout_s * SLOW * 1000)
            finally:
                os.close(pidfd)
        return self.popen.wait(0)

    def signal(self, signum):
        if self.running():
            os.kill(self.pid, signum)

    def kill(self):
        """SIGKILL, and gone when this returns."""
        self.signal(signal.SIGKILL)
        self.wait_end()

    def stop(self, timeout_s=WAIT_S):
        """SIGTERM and wait; returns the exit code. Killed, and Failed, when it does not end."""
        self.signal(signal.SIGCONT)
        self.signal(self.end_signal)
        try:
            return self.wait_end(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"{self.name} did not end within {timeout_s * SLOW:.0f} s of SIGTERM\n{self.tail()}") from None

    def rss_kb(self):
        return memory_kb(self.pid, "VmRSS")

    def cpu_us(self):
        """CPU time of the process and its living and waited-for descendants, microseconds."""
        return sum(cpu_us(p) for p in [self.pid] + children(self.pid))


TICK_US = 1000000 // os.sysconf("SC_CLK_TCK")


def cpu_us(pid):
    """CPU time of one process, all its threads, and the children it has waited for."""
    stat = proc_stat(pid)
    if stat is None:
        return 0
    own = 0
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            own += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0]) // 1000
    except (OSError, ValueError, IndexError):
        own = 0
    ticks = (int(stat[11]) + int(stat[12])) * TICK_US
    # schedstat is exact but forgets threads that ended; the ticks do not.
    return max(own, ticks - 2 * TICK_US) + (int(stat[13]) + int(stat[14])) * TICK_US


class Sink(Process):
    """A next hop: build/bench/mwsink that keeps what it gets."""

    def __init__(self, suite, name, args=(), listen="127.0.0.1:0", store=True):
        self.store = suite.folder / name
        keep = ["--store", self.store] if store else ["--index", suite.folder / f"{name}.index"]
        self.index_path = self.store / "index" if store else suite.folder / f"{name}.index"
        super().__init__(suite, name, [other_side("mwsink"), "--listen", listen, *keep, *args], ready=r"ready endpoint=(\S+)")
        self.wait_ready()
        self.endpoint = self.ready.group(1)
        self.port = split_address(self.endpoint)[1]

    @property
    def method(self):
        """As forward_method wants it."""
        host, port = split_address(self.endpoint)
        return f"smtp:[{host}]:{port}"

    def index(self):
        """A dict for each mail taken, in order."""
        keys = ["id", "sender", "rcpts", "size", "sha256", "message_id", "time"]
        if not self.index_path.exists():
            return []
        text = self.index_path.read_text(errors="replace")
        rows = [dict(zip(keys, line.split("\t"))) for line in text.splitlines() if line.count("\t") == 6]
        for row in rows:
            row["rcpts"] = row["rcpts"].split(",")
            row["sender"] = row["sender"][1:-1]
        return rows

    def count(self):
        return len(self.index())

    def mail(self, queue_id):
        """(envelope lines, octets) of one mail."""
        data = (self.store / queue_id).read_bytes()
        head, _, octets = data.partition(b"\n\n")
        return head.decode(errors="replace").split("\n"), octets

    def mails(self):
        """Octets of all mails, in order."""
        return [self.mail(row["id"])[1] for row in self.index()]

    def last(self):
        return self.mail(self.index()[-1]["id"])


# ------------------------------------------------------------------ the suite

class Suite:
    def __init__(self, settings=None, folder=None, host="127.0.0.1", log_lines=40):
        self.log_lines = log_lines  # printed of each log after a failure
        self.folder = Path(folder or tempfile.mkdtemp(prefix="mw-"))
        os.chmod(self.folder, 0o755)
        self.id = uuid.uuid4().hex
        self.env = {MARK: self.id}
        if os.geteuid() != 0:  # the settings are then our own, and so the services'
            self.env["MAILWEIR_ALLOW_WRITABLE_SETTINGS"] = "yes"
        self.logs = self.folder / "logs"
        self.sessions, self.processes, self.sinks = set(), [], []
        self.services = {}  # (service, instance) -> Process, the latest
        for name in ("logs", "run", "quarantine", "spool", "tmp", "state"):
            (self.folder / name).mkdir(exist_ok=True)
        at = f"[{host}]" if ":" in host else host
        self.lines = []  # further Lua statements, as dkim_key(...)
        self.settings = {
            "myhostname": "mw.test",
            "pipeline.run_dir": str(self.folder / "run"),
            "pipeline.lookup_interval": 200,
            "events.spool_dir": str(self.folder / "spool"),
            "front.spool_dir": str(self.folder / "spool"),
            "inet_socket_port": [f"{at}:0"],
            "QUARANTINEDIR": str(self.folder / "quarantine"),
            "local_domains_maps": [".example.org"],
            "logger.stdout": False,
            "logger.file": str(self.folder / "mail.json"),
            "logger.state_dir": str(self.folder / "state"),
            "status.listen": f"{at}:{free_port(host)}",
        }
        self.settings.update(settings or {})

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close(failed=exc[0] is not None)

    # ---- settings

    def set(self, **values):
        """Change settings; a dot in a name is written as two underscores."""
        self.settings.update({k.replace("__", "."): v for k, v in values.items()})
        return self

    def conf_path(self, service, instance, extra=None):
        """The settings file of one process, written now."""
        path = self.folder / (f"mailweir-{service}-{instance}.lua" if extra else "mailweir.lua")
        tmp = path.with_suffix(".new")
        tmp.write_text(lua_file({**self.settings, **(extra or {})}) + "".join(line + "\n" for line in self.lines))
        os.rename(tmp, path)
        return path

    # ---- services

    def start(self, service, instance="1", conf=None, wait=True, env=None, limit=None, bin_dir=None, prefix=()):
        """
        Start mailweir-SERVICE -i INSTANCE. conf: settings of this one process on top; prefix: a command that runs it,
        as nsenter, and becomes it.
        """
        argv = [*prefix, Path(bin_dir or BIN) / f"mailweir-{service}", "-c", self.conf_path(service, instance, conf), "-i", instance]
        p = Process(self, f"{service}-{instance}", argv, env=env, ready=rf"ready service={service}\b.*\n", limit=limit)
        p.service, p.instance, p.again = service, instance, (conf, env, limit, bin_dir, prefix)
        self.services[service, instance] = p
        self.processes.append(p)
        return p.wait_ready() if wait else p

    def restart(self, p, wait=True):
        """Start again, as it was started, a service that has ended."""
        return self.start(p.service, p.instance, p.again[0], wait, *p.again[1:])

    def start_all(self, workers=1, services=("scanner", "dkim", "reputation", "logger", "status"), bin_dir=None):
        """
        A front, and of each other service one, of each worker as many as asked for; all ready. bin_dir: where those
        services are taken from that it has.
        """
        def binaries(service):
            return bin_dir if bin_dir and (Path(bin_dir) / f"mailweir-{service}").exists() else None
        started = []
        for service in ("smtp-front", *services):
            count = workers if service in WORKERS else 1
            started += [self.start(service, str(i + 1), wait=False, bin_dir=binaries(service)) for i in range(count)]
        for p in started:
            p.wait_ready()
        return self

    def service(self, service, instance="1"):
        return self.services[service, instance]

    @property
    def front(self):
        return self.service("smtp-front")

    def smtp_address(self, at=0, instance="1"):
        """(host, port) of the at-th SMTP listener of a front."""
        return split_address(self.service("smtp-front", instance).ready_field("smtp").split(",")[at])

    def smtp(self, at=0, instance="1", timeout_s=30):
        return Smtp(self.smtp_address(at, instance), timeout_s * SLOW)

    def send(self, octets, sender="sender@example.com", rcpts=("rcpt@example.org",), at=0, timeout_s=60, **kw):
        """One mail over a connection of its own; returns the last reply."""
        with self.smtp(at, timeout_s=timeout_s) as c:
            c.hello()
            return c.mail(sender, rcpts, octets, **kw)

    # ---- the command and the state

    def tool(self, *args, timeout_s=20):
        """Run `mailweir ARGS`; returns the CompletedProcess."""
        return subprocess.run([str(BIN / "mailweir"), *map(str, args)], capture_output=True, text=True, timeout=timeout_s * SLOW,
            env=dict(os.environ, **self.env), cwd=self.folder, check=False)

    def status(self):
        """What `mailweir status --json` prints, or None while mailweir-status cannot be asked."""
        done = self.tool("status", "--json", "-c", self.folder / "mailweir.lua")
        return json.loads(done.stdout) if done.returncode == 0 else None

    # ---- peers

    def sink(self, name="sink", args=(), listen="127.0.0.1:0", store=True, forward=True):
        p = Sink(self, name, args, listen, store)
        self.processes.append(p)
        self.sinks.append(p)
        if forward:
            self.settings["forward_method"] = p.method
        return p

    def peer(self, name, argv, ready=None, **kw):
        """Any other program; ready: a pattern of its stdout."""
        p = Process(self, name, argv, ready=ready, **kw)
        self.processes.append(p)
        return p.wait_ready() if ready else p

    def redis(self, name="redis", args=()):
        """A private redis-server on a unix socket; .path is the socket."""
        path = self.folder / f"{name}.sock"
        p = self.peer(name, ["redis-server", "--port", "0", "--unixsocket", path, "--unixsocketperm", "777", "--save", "",
            "--appendonly", "no", "--dir", self.folder, "--daemonize", "no", *args], ready=r"ready to accept connections")
        p.path = str(path)
        p.end_signal = signal.SIGKILL  # it looks for SIGTERM every 100 ms, and saves nothing
        return p

    def redis_cli(self, *args, redis=None):
        path = redis.path if redis else str(self.folder / "redis.sock")
        return subprocess.run(["redis-cli", "-s", path, "--raw", *map(str, args)], capture_output=True, text=True,
            timeout=WAIT_S * SLOW, check=True).stdout.rstrip("\n")

    def snmpd(self, name="snmpd"):
        """A private snmpd as AgentX master; .agentx is its socket, .address its UDP address."""
        port = free_port()
        sock = self.folder / "agentx.sock"
        conf = self.folder / "snmpd.conf"
        conf.write_text(f"rocommunity public 127.0.0.1\nmaster agentx\nagentXSocket {sock}\nagentXPerms 0777 0777\n"
            "agentXTimeout 2\nagentXRetries 1\n")
        p = self.peer(name, ["snmpd", "-f", "-I", "-smux", "-C", "-c", conf, "-Lo", "-p", self.folder / "snmpd.pid", f"udp:127.0.0.1:{port}"],
            env={"SNMP_PERSISTENT_DIR": str(self.folder / "tmp"), "MIBS": ""})
        p.agentx, p.address = str(sock), f"127.0.0.1:{port}"
        until(lambda: f"snmpd's AgentX socket\n{p.tail()}", sock.exists)
        return p

    def snmpwalk(self, snmpd, oid="1.3.6.1.4.1.15312.2.1"):
        """{oid: value} of a walk, numeric; empty when nothing is there."""
        out = subprocess.run(["snmpwalk", "-v2c", "-c", "public", "-On", "-Oe", "-OU", "-Ot", "-t", "3", "-r", "2", snmpd.address, oid],
            capture_output=True, text=True, timeout=60 * SLOW, env=dict(os.environ, MIBS=""), check=False).stdout
        found = {}
        for line in out.splitlines():
            m = re.match(r"\.([\d.]+) = (?:([\w-]+): )?(.*)$", line)
            if m and "No Such" not in line and "No more" not in line:
                found[m.group(1)] = m.group(3).strip('"')
        return found

    def spamd(self, name="spamd", rules=""):
        """SpamAssassin's spamd, no network, own folders; .address is HOST:PORT."""
        home = self.folder / "spamd"
        home.mkdir()
        site = home / "site"
        shutil.copytree("/etc/spamassassin", site, ignore=lambda d, names: [n for n in names if not n.endswith((".pre", ".cf"))])
        (site / "local.cf").write_text("use_bayes 0\nskip_rbl_checks 1\ndns_available no\n" + rules)
        port = free_port()
        p = self.peer(name, ["spamd", "-L", "-x", "-m", "2", "--min-children=1", "-i", "127.0.0.1", "-p", port, "-s", "stderr",
            f"--siteconfigpath={site}", f"--helper-home-dir={home}", "-r", home / "pid"], env={"HOME": str(home)})
        p.address = f"127.0.0.1:{port}"
        p.wait_log(r"server started on|server pid", timeout_s=60)
        return p

    # ---- the end

    def full(self, **kw):
        """Settings for every check but spam: Redis, DKIM without the network, records into a file."""
        self.redis()
        # A busy machine is given time: these tests are about what Redis says, not how soon.
        self.set(storage_redis_dsn=[{"server": str(self.folder / "redis.sock")}], enable_dkim_verification=True,
            dkim__dns_local_only=True, redis__timeout_ms=min(10000, int(2000 * SLOW)), checks__reputation_timeout=round(5 * SLOW))
        return self

    def records(self):
        """What the logger wrote: one dict a mail."""
        return [r for r in json_lines(self.folder / "mail.json") if r["event"] == "main"]

    def alerts(self):
        """The alerts among what the logger wrote."""
        return [r for r in json_lines(self.folder / "mail.json") if r["event"] == "alert"]

    def load(self, *args, mails=1000, connections=10, address=None, wait=True):
        """build/bench/mwload against the front (or address). Its result; with wait=False the Process."""
        to = address or self.service("smtp-front").ready_field("smtp").split(",")[0]
        self.loads = getattr(self, "loads", 0) + 1
        p = Process(self, f"load-{self.loads}", [other_side("mwload"), "--to", to, "--mails", mails, "--connections", connections, "--json",
            *args], ready=r"(\{.*\})\n")
        self.processes.append(p)
        return load_result(p) if wait else p

    def leftovers(self):
        """Processes of this suite that still run: (pid, command)."""
        mark = f"{MARK}={self.id}".encode()
        found = []
        for pid in all_pids():
            stat = proc_stat(pid)
            if stat is None or stat[0] in "ZX":
                continue
            try:
                ours = int(stat[3]) in self.sessions or mark in Path(f"/proc/{pid}/environ").read_bytes()
            except OSError:
                ours = False
            if ours:
                found.append((pid, command_of(pid)))
        return found

    def close(self, failed=False):
        """End everything, services before their peers; Failed when one did not end as told or left something."""
        trouble = []
        for p in reversed(self.processes):
            if not p.running():
                continue
            try:
                code = p.stop(10)
                if code != 0 and hasattr(p, "service"):
                    trouble.append(f"{p.name} ended with {code} after SIGTERM\n{p.tail()}")
            except Failed as e:
                trouble.append(str(e))
        trouble += self.sanitizer_reports()
        # Holders and cages go when their scanner has gone; a killed scanner's need a moment.
        try:
            until("", lambda: not self.leftovers(), 5)
        except Failed:
            left = self.leftovers()
            trouble += [f"left over: {pid} {command}" for pid, command in left]
            for pid, _ in left:
                tell(pid, signal.SIGKILL)
        if failed or trouble:
            self.print_logs()
        if not os.environ.get("MW_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)
        if trouble and not failed:
            raise Failed("\n".join(trouble))

    def sanitizer_reports(self):
        """What a sanitised build complained about, anywhere."""
        found = []
        for path in sorted(self.logs.glob("*.err")):
            lines = path.read_text(errors="replace").splitlines()
            at = next((i for i, line in enumerate(lines) if "Sanitizer" in line or ": runtime error: " in line), None)
            if at is not None:
                found.append("\n".join([path.name, *lines[at:at + 40]]))
        return found

    def print_logs(self):
        lines = self.log_lines
        for path in sorted(self.logs.iterdir()):
            text = path.read_text(errors="replace").splitlines()
            if text:
                print(f"---- {path.name}, the last {min(lines, len(text))} of {len(text)} lines")
                print("\n".join(text[-lines:]))


def load_result(p, timeout_s=100):
    """The result of an mwload that may still run."""
    p.wait_ready(timeout_s)
    p.popen.wait(WAIT_S)
    return json.loads(p.ready.group(1))


def json_lines(path):
    """Objects of a file with one JSON object a line; a last line without its end is not one yet."""
    path = Path(path)
    if not path.exists():
        return []
    text = path.read_text(errors="replace")
    return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines() if line]
