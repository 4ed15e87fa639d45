"""
Debian's amavisd-new as an ordinary process in a folder of its own, with a hook that reports what it resolved for each
mail (tests/data/amavisd_report.pl).
"""
import json
import os
import pwd
import shutil
import stat

import mw

PROGRAM = "/usr/sbin/amavisd"
USER = "amavis"  # whom Debian's package makes
REPORT = mw.ROOT / "tests/data/amavisd_report.pl"
SCORE = mw.ROOT / "tests/data/amavisd_score.pl"


def why_not():
    """Why amavisd cannot be run here, or None."""
    if not os.access(PROGRAM, os.X_OK):
        return f"there is no {PROGRAM}: Debian's package amavisd-new"
    if os.geteuid() == 0:  # it refuses to be root
        try:
            pwd.getpwnam(USER)
        except KeyError:
            return f"there is no user {USER}"
    return None


def give(path):
    """Make it amavisd's own."""
    if os.geteuid() == 0:
        shutil.chown(path, USER)


class Amavisd:
    """
    home: its MYHOME, made here; files: its configuration, in order, last behind them; listen: "ADDRESS:PORT" and paths.
    stop() ends it, and reports() says what it resolved.
    """

    def __init__(self, suite, home, files, listen, last=REPORT):
        self.home = home
        self.files = suite.folder / "amavisd.conf.d"
        self.files.mkdir()
        own = [shutil.copy(f, self.files / f"{i:02}-{f.name}") for i, f in enumerate([*files, last])]
        for folder in (self.home, self.home / "tmp", self.home / "quarantine"):
            folder.mkdir()
            give(folder)
        # Its own user must not be able to write them, or it does not start.
        for path in (*own, self.files):
            os.chmod(path, os.stat(path).st_mode & ~(stat.S_IWGRP | stat.S_IWOTH) | stat.S_IRGRP | stat.S_IROTH)
        argv = [PROGRAM, *(["-u", USER] if os.geteuid() == 0 else ["-X", "no_conf_file_writable_check"]),
            "-H", self.home, "-T", self.home / "tmp", "-Q", self.home / "quarantine", "-L", self.home / "lock",
            "-D", "", "-P", "", "-R", "", *(a for f in own for a in ("-c", f)), *(a for at in listen for a in ("-p", at)),
            "foreground"]
        self.process = suite.peer("amavisd", argv)
        mw.until(lambda: f"amavisd to be ready\n{self.process.tail()}", self.is_ready, timeout_s=60)

    def is_ready(self):
        if not self.process.running():
            raise mw.Failed(f"amavisd ended before it was ready\n{self.process.tail()}")
        return "READY=1" in self.process.log()

    def stop(self):
        self.process.stop()

    def reports(self):
        """{Message-ID: report}."""
        path = self.home / "report.json"
        return {r["id"].strip(): r for r in map(json.loads, path.read_text().splitlines())} if path.exists() else {}
