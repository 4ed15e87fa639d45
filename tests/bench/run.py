#!/usr/bin/python3
"""make bench: what a mail costs, on this machine, now.

  (a) the client straight to the sink            what the two ends cost by themselves
  (b) through smtp-front, all checks bypassed
  (c) with scan by libclamav, with a database of the size that sites run: ClamAV's own where it is installed, else
      200,000 signatures made for this (signatures.py); (c1) with the project's one signature: what all but the engine costs
  (d) with scan, DKIM verification and reputation
  (e) memory of 1,000 idle connections
  (f) as (b), with TLS in, out, and both (tls_parts.py)
  (j) the quarantine's index, and copies that expire: see quarantine_parts.py
  (g) the front with LMTP, in company, with large mails: see front_parts.py
  (h) one question to a lookup table: see mwlookup.c
  (l) bombs: time and memory of each; memory of 16 cages (bomb_parts.py)
  (i) the policy of a mail with 50 recipients: see mwpolicy.c
  (k) taking mails apart: see mime_parts.py
  (m) mails while the signatures are replaced: see reload_parts.py
  (n) scanning alone, against libclamav alone: see scan_parts.py

(a) to (d) each at 1, 10 and 100 connections, as fast as it goes, and at a steady pace. CPU time is read from
/proc/PID/task/*/schedstat and /proc/PID/stat before and after, cages and other children included.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import mw  # noqa: E402
import mwmail  # noqa: E402
import signatures  # noqa: E402
from bomb_parts import part_l  # noqa: E402
from front_parts import part_g  # noqa: E402
from mime_parts import part_k  # noqa: E402
from policy_parts import part_i  # noqa: E402
from quarantine_parts import part_j  # noqa: E402
from reload_parts import part_m  # noqa: E402
from scan_parts import part_n, scan_set  # noqa: E402
from tls_parts import certificate, part_f  # noqa: E402

CONNECTIONS = (1, 10, 100)
CELL_S = 2.0          # aim for this long a measurement
RUNS = 3              # measurements of each; the one with the median CPU time a mail is told
CELL_MAILS = (600, 60000)  # but at least and at most so many mails
PACE = 500            # mails a second of the steady measurement
IDLE = 1000
TMPFS = "/dev/shm"
CLAMAV = Path("/var/lib/clamav")  # scanner.clamav_database
REAL_OCTETS = (4400, 9000)  # mails of the corpus that are taken
REAL_COUNT = 1000

AIM_PASS_CPU_US = 100
AIM_PASS_P50_US, AIM_PASS_P99_US = 1000, 5000
AIM_FRONT_KB = 30 * 1024
AIM_SCAN_PERCENT = 15


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", default=str(mw.ROOT / "build/bin"), help="folder of the services")
    p.add_argument("--bench", default=str(mw.ROOT / "build/bench"), help="folder of mwload, mwsink, clambare; result.json goes there")
    p.add_argument("--seconds", type=float, default=CELL_S, help="length of one measurement")
    p.add_argument("--only", default="abcdefghijklmn", help="which parts: letters of abcdefghijklmn")
    p.add_argument("--entries", type=int, default=1000000, help="part j: entries of the quarantine's index")
    p.add_argument("--expire", type=int, default=100000, help="part j: copies that expire")
    p.add_argument("--engine", type=int, default=3, help="part l: so many times 200,000 signatures (11: an engine of 970 MiB)")
    return p.parse_args()


# ------------------------------------------------------------------ mails

def corpus_folder(build, folder):
    """About a thousand real mails of middling size with CRLF; or None when there is no corpus."""
    done = subprocess.run([str(mw.ROOT / "tests/data/fetch_corpus.sh"), str(build)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stderr.strip())
        return None
    folder.mkdir()
    for path in sorted(Path(done.stdout.strip()).iterdir()):
        octets = mwmail.crlf(path.read_bytes())
        if REAL_OCTETS[0] <= len(octets) <= REAL_OCTETS[1]:
            (folder / path.name).write_bytes(octets)
            if len(list(folder.iterdir())) == REAL_COUNT:
                break
    return folder


# ------------------------------------------------------------------ measuring

def steal_ticks():
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8])


class Bench:
    def __init__(self, args, suite, mails):
        self.args, self.suite, self.mails = args, suite, mails
        self.sink = None
        self.rows = []
        self.client = []  # further arguments of mwload
        self.base = {}

    def settings(self, more=None):
        """The settings of one part: what all have, and more."""
        self.suite.settings = {**self.base, **(more or {})}

    def load(self, address, connections, mails, *more, size=None):
        source = ["--corpus", str(self.mails)] if self.mails and not size else ["--size", str(size or 5700)]
        out = subprocess.run([str(mw.BENCH / "mwload"), "--to", address, "--connections", str(connections), "--mails", str(mails),
            "--pipeline", "--reuse", "100", "--json", *source, *self.client, *map(str, more)], capture_output=True, text=True, check=False)
        if not out.stdout:
            raise mw.Failed(f"mwload: {out.stderr}")
        result = json.loads(out.stdout)
        if result["taken"] != mails:
            raise mw.Failed(f"of {mails} mails {result['taken']} were taken: {result}")
        return result

    def measure(self, services, address, connections, pace, mails):
        """One measurement: mwload's result with CPU time a mail of each process."""
        watched = services + [self.sink]
        before = [p.cpu_us() for p in watched]
        r = self.load(address, connections, mails, *(["--rate", pace] if pace else []))
        cost = {p.name: (p.cpu_us() - b) / mails for p, b in zip(watched, before)}
        r["sink_us"] = cost.pop("sink")
        r["front_us"] = cost.get("smtp-front-1", 0)
        r["all_us"] = sum(cost.values()) if cost else r["sink_us"]
        r["cost_us"] = cost
        return r

    def cell(self, part, address, connections, pace=0):
        services = [p for p in self.suite.services.values() if p.running()]
        rate = self.load(address, connections, CELL_MAILS[0])["rate"]  # warms up, and tells how many fit
        if pace:
            rate = min(rate, pace)
        mails = int(min(max(rate * self.args.seconds, CELL_MAILS[0]), CELL_MAILS[1]))
        runs = [self.measure(services, address, connections, pace, mails) for _ in range(RUNS)]
        row = sorted(runs, key=lambda r: r["all_us"])[RUNS // 2]
        row.update(part=part, connections=connections, pace=pace)
        base = next((x for x in self.rows if (x["part"], x["connections"], x["pace"]) == ("a", connections, 0)), None)
        row["ratio"] = row["rate"] / base["rate"] if base and not pace else None
        self.rows.append(row)
        print("%-4s %5d %7s %8d %9.0f %7s %8d %8d %8d %9s %9.0f" % (f"({part})", connections, pace or "-", mails, row["rate"],
            "%.2f" % row["ratio"] if row["ratio"] else "-", row["p50_us"], row["p95_us"], row["p99_us"],
            "%.0f" % row["front_us"] if services else "-", row["all_us"]), flush=True)

    def cells(self, part, address):
        for connections in CONNECTIONS:
            self.cell(part, address, connections)
        self.cell(part, address, 10, PACE)

    def memory(self):
        """Peak resident memory of each process of the services, KiB."""
        found = {}
        for p in self.suite.services.values():
            for pid in [p.pid] + mw.children(p.pid):
                name = p.name if pid == p.pid else f"{p.name}/{Path(mw.command_of(pid).split(' ')[0]).name or '?'}"
                found.setdefault(name, []).append(mw.memory_kb(pid))
        return found


HEAD = "%-4s %5s %7s %8s %9s %7s %8s %8s %8s %9s %9s" % ("part", "conns", "pace/s", "mails", "mails/s", "to (a)", "p50 us", "p95 us",
    "p99 us", "front us", "CPU us")

BYPASS = {"bypass_virus_checks_maps": [1], "bypass_spam_checks_maps": [1], "bypass_banned_checks_maps": [1], "bypass_header_checks_maps": [1]}


def stop_services(suite):
    for p in reversed(suite.processes):
        if p in suite.services.values() and p.running():
            p.stop()
    suite.services.clear()


def address_of_front(suite):
    return suite.front.ready_field("smtp").split(",")[0]


def part_a(b):
    b.cells("a", b.sink.endpoint)


def part_b(b):
    b.settings(BYPASS)
    b.suite.start("smtp-front")
    b.cells("b", address_of_front(b.suite))
    return b.memory()


def wait_workers(b, count):
    """Until the front has that many workers."""
    b.suite.front.wait_log(r" worker_came ", count=count)


def database():
    """Folder of signatures of a real size."""
    return CLAMAV if any(CLAMAV.glob("*.c[vl]d")) else signatures.make(mw.ROOT / "build/bench-signatures")


def scan_part(b, part, folder, connections):
    b.settings({"scanner.clamav_database": str(folder)})
    b.suite.start("smtp-front")
    b.suite.start("scanner")
    wait_workers(b, 1)
    for n in connections:
        b.cell(part, address_of_front(b.suite), n)
    if len(connections) > 1:
        b.cell(part, address_of_front(b.suite), 10, PACE)
    found = b.memory()
    stop_services(b.suite)
    return found


def part_c(b):
    found = scan_part(b, "c", database(), CONNECTIONS)
    scan_part(b, "c1", b.suite.folder / "no-signatures", (10,))
    return found


def part_d(b):
    redis = b.suite.redis()
    b.settings({"storage_redis_dsn": [{"server": redis.path}], "enable_dkim_verification": True, "dkim.dns_local_only": True})
    b.suite.start("smtp-front")
    for service in ("scanner", "dkim", "reputation"):
        b.suite.start(service)
    wait_workers(b, 3)
    b.cells("d", address_of_front(b.suite))
    return b.memory()


def part_e(b):
    """(RSS before, RSS with the idle connections) of the front, KiB."""
    b.settings(BYPASS)
    front = b.suite.start("smtp-front")
    b.load(address_of_front(b.suite), 10, 200)
    before = front.rss_kb()
    idle = subprocess.Popen([str(mw.BENCH / "mwload"), "--to", address_of_front(b.suite), "--idle", str(IDLE)], stdout=subprocess.PIPE,
        text=True)
    line = idle.stdout.readline()
    after = front.rss_kb()
    idle.send_signal(signal.SIGTERM)
    idle.wait()
    if "ready idle" not in line:
        raise mw.Failed("the idle connections did not come up")
    return before, after


def bare_clamav(b):
    """CPU us a mail of the same libclamav calls in a loop of their own, for each part of the scan."""
    program = mw.BENCH / "clambare"
    if not b.mails or not program.exists():
        return {}
    folder = scan_set(b.mails, b.suite.folder / "scanset")
    temp, found = b.base.get("scanner.temp_dir", "/tmp"), {}
    for part, more in (("c", ["--database", str(database())]), ("c1", [])):
        out = subprocess.run([str(program), *more, "--temp-dir", temp, "--seconds", str(max(1, int(b.args.seconds))), str(folder)],
            capture_output=True, text=True, check=False)
        if out.returncode != 0:
            print(out.stderr.strip())
        else:
            found[part] = json.loads(out.stdout)
    return found


def aim(text, value, most, unit):
    print("  %-62s %8.1f %s (aim: at most %g) %s" % (text, value, unit, most, "ok" if value <= most else "MISSED"))


def summary(b, memory, idle, bares):
    def row(part, connections, pace=0):
        return next((r for r in b.rows if (r["part"], r["connections"], r["pace"]) == (part, connections, pace)), None)
    print("\nagainst the aims")
    if row("b", 10):
        aim("pass-through, CPU a mail at 10 connections", row("b", 10)["all_us"], AIM_PASS_CPU_US, "us")
        for r, how in ((row("b", 10), "as fast as it goes"), (row("b", 10, PACE), f"{PACE} mails/s")):
            aim(f"pass-through, p50 at 10 connections, {how}", r["p50_us"], AIM_PASS_P50_US, "us")
            aim(f"pass-through, p99 at 10 connections, {how}", r["p99_us"], AIM_PASS_P99_US, "us")
        aim("pass-through, front's peak memory", max(memory["b"].get("smtp-front-1", [0])), AIM_FRONT_KB, "KiB")
    for part, bare in bares.items():
        r = row(part, 10)
        scan = sum(v for k, v in r["cost_us"].items() if k.startswith("scanner"))
        print(f"  ({part}) bare libclamav loop: {bare['cpu_us']:.0f} us CPU a mail ({bare['parts']:.1f} parts a mail, {bare['signatures']} "
            f"signatures); scanner and cages {scan:.0f} us, {scan - bare['cpu_us']:.0f} us more: {100 * bare['cpu_us'] / scan:.0f} % of its throughput")
        if part == "c":
            aim("scan, scanner and cages against the bare loop", 100 * scan / bare["cpu_us"] - 100, AIM_SCAN_PERCENT, "% more")
            aim("scan, all processes against the bare loop", 100 * r["all_us"] / bare["cpu_us"] - 100, AIM_SCAN_PERCENT, "% more")
    for part, found in memory.items():
        print(f"\npeak memory of each process in ({part}), KiB")
        for name, values in sorted(found.items()):
            print(f"  {name:34} {' '.join(map(str, values))}")
    if idle:
        print(f"\n(e) {IDLE} idle connections: front {idle[0]} KiB before, {idle[1]} KiB with them: "
            f"{(idle[1] - idle[0]) / IDLE:.1f} KiB a connection")


def main():
    args = arguments()
    mw.BIN, mw.BENCH = Path(args.bin).resolve(), Path(args.bench).resolve()
    memory, idle, bare = {}, None, {}
    with mw.Suite(log_lines=5) as suite:
        mails = corpus_folder(mw.ROOT / "build", suite.folder / "mails")
        b = Bench(args, suite, mails)
        pem = certificate(suite.folder / "ca")
        b.sink = mw.Process(suite, "sink", [mw.BENCH / "mwsink", "--tls-cert", pem], ready=r"ready endpoint=(\S+)").wait_ready()
        b.sink.endpoint = b.sink.ready.group(1)
        suite.processes.append(b.sink)
        host, port = mw.split_address(b.sink.endpoint)
        b.base = {**suite.settings, "forward_method": f"smtp:[{host}]:{port}"}
        if os.access(TMPFS, os.W_OK):
            b.base["scanner.temp_dir"] = f"{TMPFS}/{suite.folder.name}"
        sizes = [p.stat().st_size for p in mails.iterdir()] if mails else [5700]
        print(f"{os.cpu_count()} cores; {len(sizes)} {'real' if mails else 'synthetic'} mails of {sum(sizes) / len(sizes):.0f} octets; "
            "to (a): rate against the bare sink's; front us, CPU us: CPU time a mail of smtp-front, of all Mailweir processes\n"
            "(in (a): of the sink)\n")
        print(HEAD)
        started, stolen = time.monotonic(), steal_ticks()
        for part, run in (("a", part_a), ("b", part_b), ("c", part_c), ("d", part_d)):
            if part not in args.only:
                continue
            found = run(b)
            if found:
                memory[part] = found
            stop_services(suite)
        if "e" in args.only:
            idle = part_e(b)
            stop_services(suite)
        if "f" in args.only:
            part_f(b, BYPASS, pem, address_of_front, stop_services)
        if "g" in args.only:
            part_g(b, BYPASS, address_of_front, stop_services)
            stop_services(suite)
        if "h" in args.only:
            print("\n(h) lookup tables")
            sys.stdout.flush()
            subprocess.run([str(mw.BENCH / "mwlookup")], check=True)
        if "i" in args.only:
            part_i(suite.folder)
        if "j" in args.only:
            part_j(b, BYPASS, address_of_front, stop_services, args.entries, args.expire)
        if "k" in args.only:
            part_k(mails, suite.folder / "mime")
        if "m" in args.only:
            part_m(b, database(), address_of_front, stop_services)
        if "l" in args.only:
            part_l(b, suite.folder / "bombs", database(), args.engine, address_of_front, stop_services)
        if "n" in args.only:
            part_n(b, suite.folder / "scanning", database())
        if "c" in args.only:
            bare = bare_clamav(b)
        summary(b, memory, idle, bare)
        shutil.rmtree(f"{TMPFS}/{suite.folder.name}", ignore_errors=True)
        seconds = time.monotonic() - started
        share = 100 * (steal_ticks() - stolen) / os.sysconf("SC_CLK_TCK") / seconds / os.cpu_count()
        print(f"\n{seconds:.0f} s; {share:.0f} % of the cores' time was taken by the host (steal): it counts as CPU time above")
        (mw.BENCH / "result.json").write_text(json.dumps({"rows": b.rows, "memory_kb": memory, "idle_kb": idle, "bare": bare}, indent=1))


if __name__ == "__main__":
    try:
        main()
    except mw.Failed as e:
        sys.exit(f"bench: {e}")
