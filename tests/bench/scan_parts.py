"""Part (n) of make bench: what the cage does with a mail, against libclamav alone on the same octets."""
import email
import json
import os
import shutil
import statistics
import subprocess

import mw

AIM_PERCENT = 90
TURNS = 3    # of both programs, one after the other
ROUNDS = 5   # of all mails, in one turn of the cage's code
SECONDS = 2  # of one turn of libclamav's


def scan_set(mails, folder):
    """For the bare libclamav loop: one folder a mail with the octets that the scanner gives to the engine."""
    folder.mkdir()
    for i, path in enumerate(sorted(mails.iterdir())):
        octets = path.read_bytes()
        one = folder / f"{i:06d}"
        one.mkdir()
        (one / "000").write_bytes(octets)
        leaves = [p for p in email.message_from_bytes(octets).walk() if not p.is_multipart()]
        for n, leaf in enumerate(leaves, 1):
            (one / f"{n:03d}").write_bytes(leaf.get_payload(decode=True) or b"")
    return folder


def plain_mails(mails, folder):
    """Those of a text alone."""
    folder.mkdir()
    for path in mails.iterdir():
        message = email.message_from_bytes(path.read_bytes())
        if not message.is_multipart() and message.get_content_type() == "text/plain":
            shutil.copy(path, folder)
    return folder


def json_of(argv):
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise mw.Failed(done.stderr)
    return json.loads(done.stdout)


def part_n(b, folder, database):
    if not b.mails:
        return
    print(f"\n(n) scanning in one process, against a bare loop of libclamav's with the same octets and signatures (aim: at least {AIM_PERCENT} %)")
    folder.mkdir()
    temp = b.base.get("scanner.temp_dir", "/tmp")
    os.makedirs(temp, exist_ok=True)  # the services make it, where they ran before; without it libclamav looks at nothing
    for what, mails in (("plain mails", plain_mails(b.mails, folder / "plain")), ("all mails", b.mails)):
        octets = scan_set(mails, folder / f"set of {what}")
        ours, bare, parser = [], [], []
        clambare = [mw.BENCH / "clambare", "--database", database, "--temp-dir", temp, "--seconds", SECONDS]
        for _ in range(TURNS):
            ours.append(json_of([mw.BENCH / "mwscan", "--database", database, "--times", ROUNDS, "--by-turns", *sorted(mails.iterdir())])["cpu_us"])
            bare.append(json_of([*clambare, octets])["cpu_us"])
            parser.append(json_of([*clambare, "--mail", octets])["cpu_us"])
        own, alone, its = map(statistics.median, (ours, bare, parser))
        print(f"  {what:12} {own:6.0f} us CPU a mail, libclamav alone {alone:6.0f}: {100 * alone / own:4.0f} % of its throughput "
            f"{'ok' if 100 * alone / own >= AIM_PERCENT else 'MISSED'}; with its own mail parser {its:.0f}: {100 * its / own:.0f} %")
