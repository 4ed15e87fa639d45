"""Mails that want to become too large, too deep or too many: each ends, says at which limit, and the next mail is scanned."""
import time

import pytest

import mw
import mwbombs
from test_scanner import CLEAN, EICAR, NAME, made  # noqa: F401


def test_every_bomb_ends_at_a_limit_that_is_told(made):  # noqa: F811
    front = made().front
    jobs = {name: front.send(make(), ms=int(120000 * mw.SLOW)) for name, (make, _) in mwbombs.BOMBS.items()}
    wrong = []
    for name, job in jobs.items():
        v = front.verdict(job, 120)
        told = set(v.findings["limits"]) if v.findings else set()
        one_of = mwbombs.BOMBS[name][1]
        if one_of is mwbombs.ANY and v.status != "failed":
            continue
        if not (told & one_of if one_of else told or "archive_broken" in v.findings["mime_errors"]) or v.status == "failed":
            wrong.append((name, v))
    assert wrong == []
    assert front.scan(CLEAN).status == "done"


def test_beside_a_bomb_the_raw_mail_is_looked_at_whole(made):  # noqa: F811
    bomb = mwbombs.attached(mwbombs.zip_of_zeros(mwbombs.GIB), "zeros.zip").replace(b"--bb--", b"--bb\r\n\r\n" + EICAR + b"\r\n--bb--")
    v = made().front.scan(bomb, ms=int(60000 * mw.SLOW))
    assert v.status == "limit" and [name for name, _ in v.viruses] == [NAME]


@pytest.mark.parametrize("name", ["zip of 255 ends and 131,072 entries", "zip of 255 ends and 131,072 folders"])
def test_a_directory_that_is_read_again_for_every_end_costs_less_than_two_seconds(made, name):  # noqa: F811
    front, mail = made().front, mwbombs.BOMBS[name][0]()
    front.scan(CLEAN)
    begin = time.monotonic()
    v = front.scan(mail, ms=int(60000 * mw.SLOW))
    assert v.status != "failed" and time.monotonic() - begin < 2 * mw.SLOW
