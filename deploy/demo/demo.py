#!/usr/bin/python3
"""make demo: every service of Mailweir in a private folder, eight mails through all of them, one table.

Beside Mailweir it starts a redis-server on a Unix socket, an snmpd as AgentX master, SpamAssassin's spamd and a next
hop that keeps what it gets. DKIM keys are made now; their DNS records are a local zone (dkim.dns_data): nothing
leaves this machine and nothing outside the folder is touched. Exit 0 when every mail came out as expected. On a
terminal the live status stays on the screen until Ctrl-C.
"""
import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
import mw  # noqa: E402
import mwmail as m  # noqa: E402
from mwlua import D_DISCARD, D_REJECT  # noqa: E402

OURS, PARTNER = "example.org", "example.com"
ALICE, BOB, MALLORY = f"alice@{OURS}", f"bob@{PARTNER}", "mallory@example.net"


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", default=str(ROOT / "build/bin"))
    p.add_argument("--bench", default=str(ROOT / "build/bench"), help="folder of mwsink, the next hop")
    p.add_argument("--no-status", action="store_true", help="do not stay with the live status on a terminal")
    return p.parse_args()


# ------------------------------------------------------------------ the house

def settings(s, redis, snmpd, spamd, ours, partner):
    inbound, out = mw.free_port(), mw.free_port()
    s.incoming, s.outgoing = ("127.0.0.1", inbound), ("127.0.0.1", out)
    s.lines.append(f'dkim_key("{OURS}", "{ours.selector}", "{ours.path}")')
    s.set(myhostname=f"mail.{OURS}",
        inet_socket_port=[f"127.0.0.1:{inbound}", f"127.0.0.1:{out}"],
        interface_policy={str(out): "ORIGINATING"},
        policy_bank={"ORIGINATING": {"originating": True}},
        local_domains_maps=[f".{OURS}"],
        final_virus_destiny=D_DISCARD, final_spam_destiny=D_REJECT,
        sa_tag_level_deflt=-999,
        storage_redis_dsn=[{"server": redis.path}],
        penpals_bonus_score=8, penpals_threshold_low=-100,
        enable_dkim_verification=True, enable_dkim_signing=True,
        dkim__dns_local_only=True, dkim__dns_data=[partner.dns_line(), ours.dns_line()],
        scanner__spamd=spamd.address, snmp__agentx=snmpd.agentx)


def start(s):
    redis, snmpd, spamd = s.redis(), s.snmpd(), s.spamd()
    ours, partner = m.DkimKey(s.folder, OURS, "demo"), m.DkimKey(s.folder, PARTNER, "p1")
    settings(s, redis, snmpd, spamd, ours, partner)
    s.sink()
    s.start_all(services=("scanner", "dkim", "reputation", "logger", "snmp-agent", "status"))
    return partner


# ------------------------------------------------------------------ the mails

class Case:
    """One mail, and what has to become of it: reply code, found: predicate on its record, got: on its octets."""

    def __init__(self, title, octets, code, found, got, outgoing=False, sender=BOB, rcpt=ALICE):
        self.title, self.octets, self.code, self.found, self.got = title, octets, code, found, got
        self.outgoing, self.sender, self.rcpt = outgoing, sender, rcpt
        self.message_id = m.field(octets, "Message-ID")


def build(title, make, number, **kw):
    kw.setdefault("subject", title)
    return make(message_id=f"<demo-{number}@{kw.pop('domain', PARTNER)}>", sender=kw.pop("sender", BOB), to=kw.pop("to", ALICE), **kw)


def auth(octets):
    return m.field(octets, "Authentication-Results") or ""


def has_virus(r):
    return bool(r.get("virusnames")) and r["content_type"] == "Virus"


def clean(r):
    return r["content_type"].startswith("Clean") and not r.get("virusnames")


def cases(partner):
    signed = partner.sign(build("signed", m.mail, 4, body="Signed by example.com.\r\n"))
    altered = partner.sign(build("altered", m.mail, 5, body="Pay 100 to account 1.\r\n")).replace(b"Pay 100", b"Pay 900")
    written = build("written", m.mail, 6, domain=OURS, sender=ALICE, to=BOB, body="When do we meet?\r\n")
    answer = build("Re: written", m.mail, 7, body="At noon.\r\n", headers=[f"In-Reply-To: <demo-6@{OURS}>", f"References: <demo-6@{OURS}>"])
    return [
        Case("clean", build("clean", m.mail, 1, body="Nothing to see.\r\n"), 250, clean, lambda o: m.field(o, "X-Virus-Scanned")),
        Case("EICAR attached", build("eicar", m.eicar_mail, 2), 250, has_virus, None),
        Case("EICAR in a zip in a mail in a mail", build("zipped", m.eicar_zip_in_rfc822, 3), 250, has_virus, None),
        Case("DKIM-signed by example.com", signed, 250, lambda r: clean(r) and r.get("dkim_valid_sig") == [PARTNER],
            lambda o: "dkim=pass" in auth(o)),
        Case("DKIM-signed, then altered", altered, 250, lambda r: clean(r) and not r.get("dkim_valid_sig"), lambda o: "dkim=fail" in auth(o)),
        Case("outgoing, signed by us", written, 250, lambda r: r.get("originating") and r.get("dkim_new_sig") == [OURS],
            lambda o: f"d={OURS}" in (m.field(o, "DKIM-Signature") or ""), outgoing=True, sender=ALICE, rcpt=BOB),
        Case("an answer to it (pen pals)", answer, 250, lambda r: "AM.PENPAL" in r.get("tests", []), lambda o: m.field(o, "X-Virus-Scanned")),
        Case("GTUBE (SpamAssassin)", build("gtube", m.mail, 8, sender=MALLORY, body=m.gtube() + "\r\n"), 554,
            lambda r: r["content_type"] == "Spam" and "GTUBE" in r["tests"], None, sender=MALLORY),
    ]


def send(s, case):
    """Reply and milliseconds."""
    begun = time.monotonic()
    with mw.Smtp(s.outgoing if case.outgoing else s.incoming, 60) as c:
        c.hello("client." + (OURS if case.outgoing else PARTNER))
        if not case.outgoing:
            c.cmd("XFORWARD ADDR=203.0.113.40 NAME=mx.example.com")
        reply = c.mail(case.sender, [case.rcpt], case.octets)
    return reply, (time.monotonic() - begun) * 1000


# ------------------------------------------------------------------ the table

def findings(record):
    """What the checks found, in a few words."""
    words = []
    if record.get("virusnames"):
        words.append("virus " + ",".join(record["virusnames"]))
    if record.get("dkim_valid_sig"):
        words.append("dkim valid " + ",".join(record["dkim_valid_sig"]))
    elif any(c["kind"] == "auth" and c["status"] == "done" for c in record["checks"]):
        words.append("no valid DKIM signature")
    if record.get("dkim_new_sig"):
        words.append("signed " + ",".join(record["dkim_new_sig"]))
    if "spam_score" in record:
        words.append(f"score {record['spam_score']:g}")
    words += [t for t in record.get("tests", []) if t.startswith("AM.") or t == "GTUBE"]
    return f"{record['content_type']}: {'; '.join(words) or 'nothing'}"


def arrived(s, case):
    """Octets at the next hop, or None."""
    row = next((r for r in s.sinks[0].index() if r["message_id"] == case.message_id), None)
    return s.sinks[0].mail(row["id"])[1] if row else None


def delivered(octets):
    """What the next hop got, in a few words."""
    if octets is None:
        return "nothing"
    marks = ["mail"]
    if "dkim=" in auth(octets):
        marks.append("dkim=" + auth(octets).split("dkim=", 1)[1].split()[0].rstrip(";"))
    if f"d={OURS}" in (m.field(octets, "DKIM-Signature") or ""):
        marks.append(f"DKIM-Signature of {OURS}")
    if m.field(octets, "X-Spam-Status"):
        marks.append("X-Spam-Status: " + m.field(octets, "X-Spam-Status").split(",")[0])
    return ", ".join(marks)


def wrong(case, reply, record, octets):
    """Why this is not what was expected, or None."""
    if reply.code != case.code:
        return f"expected reply {case.code}, got {reply}"
    if record is None:
        return "no JSON record"
    if not case.found(record):
        return f"unexpected findings: {record}"
    if case.got is None:
        return "it must not have arrived" if octets is not None else None
    if octets is None:
        return "it did not arrive"
    return None if case.got(octets) else f"unexpected header: {octets[:1500]!r}"


def table(rows):
    head = ("mail sent", "checks found", "reply", "next hop got", "ms", "")
    widths = [max(len(str(r[i])) for r in rows + [head]) for i in range(len(head))]
    for r in [head, tuple("-" * w for w in widths)] + rows:
        print("  ".join(str(v).rjust(w) if i == 4 else str(v).ljust(w) for i, (v, w) in enumerate(zip(r, widths))).rstrip())


def run(s, partner):
    rows, trouble = [], []
    for case in cases(partner):
        reply, ms = send(s, case)

        def record_of(message_id=case.message_id):
            return [r for r in s.records() if r.get("message_id") == message_id]
        try:
            record = mw.until("its record", record_of, 5)[0]
        except mw.Failed:
            record = None
        octets = arrived(s, case)
        why = wrong(case, reply, record, octets)
        if why:
            trouble.append(f"{case.title}: {why}")
        rows.append((case.title, findings(record) if record else "?", reply.code, delivered(octets), f"{ms:.0f}", "NOT EXPECTED" if why else "ok"))
    table(rows)
    return trouble


def live_status(s):
    print("\nlive status; Ctrl-C ends the demo")
    try:
        subprocess.run([str(mw.BIN / "mailweir"), "status", "-c", str(s.folder / "mailweir.lua")], check=False)
    except KeyboardInterrupt:
        pass


def main():
    args = arguments()
    mw.BIN, mw.BENCH = Path(args.bin).resolve(), Path(args.bench).resolve()
    with mw.Suite() as s:
        partner = start(s)
        print(f"all services are ready (folder {s.folder})\n")
        trouble = run(s, partner)
        print()
        for text in trouble:
            print(text)
        print("all as expected" if not trouble else f"{len(trouble)} not as expected")
        if sys.stdout.isatty() and sys.stdin.isatty() and not args.no_status:
            live_status(s)
    return 1 if trouble else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except mw.Failed as e:
        sys.exit(f"demo: {e}")
    except KeyboardInterrupt:
        sys.exit(130)
