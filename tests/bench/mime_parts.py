"""Part (k) of make bench: how fast mails are taken apart."""
import base64
import json
import os
import subprocess

import mw

AIM_MB_S = 500
SECONDS = 1


def attachment(folder):
    """One mail that is nearly all base64."""
    folder.mkdir()
    (folder / "attachment.eml").write_bytes(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: application/pdf\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(os.urandom(3 << 20)).replace(b"\n", b"\r\n") + b"--b--\r\n")
    return folder


def parts(folder):
    """One mail of many small parts."""
    folder.mkdir()
    (folder / "parts.eml").write_bytes(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
        b"".join(b"--b\r\nContent-Type: text/plain; name=%d.txt\r\n\r\n%s\r\n" % (i, b"x" * 1000) for i in range(1400)) + b"--b--\r\n")
    return folder


def part_k(mails, folder):
    print(f"\n(k) taking mails apart, MB/s of one core (aim: at least {AIM_MB_S} parsed)")
    folder.mkdir()
    for what, where in (("real mails", mails), ("one large attachment", attachment(folder / "attachment")),
                        ("1,400 parts", parts(folder / "parts"))):
        if where is None:
            continue
        done = subprocess.run([str(mw.BENCH / "mwleaves"), "--seconds", str(SECONDS), str(where)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise mw.Failed(done.stderr)
        r = json.loads(done.stdout)
        print(f"  {what:22} {r['parse_mb_s']:6} parsed, {r['decode_mb_s']:6} parsed and decoded ({r['mails']} mails, {r['octets'] // 1024} KiB, "
            f"{r['leaves']} leaves) {'ok' if r['parse_mb_s'] >= AIM_MB_S else 'MISSED'}")
