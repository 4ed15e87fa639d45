"""Mails that want to become too large, too deep or too many: each ends, says at which limit, and the next mail is scanned."""
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
