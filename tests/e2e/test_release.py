"""Release and requeue over AM.PDP: who gets what was kept, and when it is said to be done."""
import email
import email.policy
import email.utils
import gzip
import io
import os
import re
import signal
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

import mw
import mwampdp
import mwzip
from mwbombs import attached
from mwlua import D_DISCARD
from mwmail import eicar_mail, field, fields, mail
from test_ampdp import Asked, mails_in_flight


@pytest.fixture
def keeper(suite):
    """A front that keeps viruses, and releases to whoever reaches its socket."""
    suite.sink()
    keeper = Asked(suite)
    keeper.bank["auth_required_release"] = False
    keeper.suite.set(quarantine__release_rescan=False)
    suite.set(final_virus_destiny=D_DISCARD)
    return keeper


def keep(keeper, octets=None, rcpts=("a@example.org", "b@example.org"), sender="sender@example.com"):
    """A mail into the quarantine; its (mail_id, path below QUARANTINEDIR)."""
    before = set(kept(keeper))
    assert keeper.suite.send(octets or eicar_mail(message_id="<kept@example.com>"), sender=sender, rcpts=rcpts).code == 250
    path, = set(kept(keeper)) - before
    return re.search(r"virus-(.*)\.gz", path).group(1), path


def folder(keeper):
    return keeper.suite.folder / "quarantine"


def kept(keeper):
    return [str(p.relative_to(folder(keeper))) for p in folder(keeper).rglob("*.gz")]


def ask(keeper, kind="release", rcpts=(), **lines):
    with keeper.client() as c:
        return c.ask(("request", kind), *lines.items(), *(("recipient", r) for r in rcpts))


def codes(answer):
    return [int(v[:3]) for v in answer.all("setreply")]


def refused(answer):
    return codes(answer) == [450] and answer.value == "tempfail" and "ERROR" in answer.text


def original_of(octets):
    """Without the fields that a release puts on top."""
    return octets[re.search(rb"^(?!Received:|Resent-|[ \t])", octets, re.M).start():]


@pytest.mark.parametrize("by", ["mail_id", "mail_file", "both", "id as file", "file without folder"])
def test_a_released_mail_reaches_those_it_was_kept_from(keeper, by):
    keeper.start()
    octets = eicar_mail(message_id="<kept@example.com>", headers=["X-Envelope-To: evil@example.org"])
    mail_id, path = keep(keeper, octets)
    names = {"mail_id": {"mail_id": mail_id}, "mail_file": {"mail_file": path}, "both": {"mail_id": mail_id, "mail_file": path},
        "id as file": {"mail_id": mail_id, "mail_file": mail_id},
        "file without folder": {"mail_id": mail_id, "mail_file": path.partition("/")[2], "quar_type": "Z"}}
    a = ask(keeper, **names[by], requested_by="<admin@example.org>")
    assert codes(a) == [250, 250] and all("queued as" in v for v in a.all("setreply"))
    assert a.one("log_id").startswith("rel-") and mail_id not in a.one("log_id")
    row, got = keeper.suite.sinks[0].index()[-1], keeper.suite.sinks[0].last()[1]
    assert row["sender"] == "sender@example.com" and row["rcpts"] == ["a@example.org", "b@example.org"]
    assert original_of(got) == octets
    assert [n for n, _ in fields(got)][:6] == ["Received", "Resent-From", "Resent-Sender", "Resent-To", "Resent-Date",
        "Resent-Message-ID"]
    assert field(got, "Resent-From") == "<admin@example.org>" and field(got, "Resent-To") == "undisclosed-recipients:;"
    assert keeper.suite.front.log_lines("release")
    assert (folder(keeper) / path).exists(), "the copy stays"


def test_many_who_release_one_mail_at_once_deliver_it_once(keeper):
    keeper.start()
    mails = [keep(keeper, eicar_mail(message_id=f"<kept-{i}@example.com>"))[0] for i in range(8)]
    with ThreadPoolExecutor(6) as several:
        for mail_id in mails:
            answers = list(several.map(lambda _, mail_id=mail_id: ask(keeper, mail_id=mail_id), range(6)))
            done = [a for a in answers if codes(a) == [250, 250]]
            assert sum(all("queued as" in v for v in a.all("setreply")) for a in done) == 1
            assert all("at this moment" in a.text for a in answers if a not in done)
    assert keeper.suite.sinks[0].count() == len(mails)


def test_a_requeued_mail_gets_a_received_field_only(keeper):
    keeper.start()
    octets = eicar_mail(message_id="<kept@example.com>")
    mail_id, _ = keep(keeper, octets)
    assert codes(ask(keeper, "requeue", mail_id=mail_id)) == [250, 250]
    got = keeper.suite.sinks[0].last()[1]
    assert original_of(got) == octets and not any(n.startswith("Resent") for n, _ in fields(got))


def test_only_the_blocked_recipients_get_it(keeper):
    keeper.suite.set(bypass_virus_checks_maps=["brave@example.org"])
    keeper.start()
    mail_id, _ = keep(keeper, rcpts=("a@example.org", "brave@example.org"))
    assert codes(ask(keeper, mail_id=mail_id)) == [250]
    assert keeper.suite.sinks[0].index()[-1]["rcpts"] == ["a@example.org"]


def test_who_has_the_mail_and_a_copy_of_his_own_gets_it_no_second_time(keeper):
    loves = "loves@example.org"
    keeper.suite.set(virus_lovers_maps=[[loves]], virus_quarantine_to_maps=[{loves: "own", ".": "all"}])
    keeper.start()
    octets = eicar_mail(message_id="<kept@example.com>")
    assert keeper.suite.send(octets, rcpts=("a@example.org", loves)).code == 250
    assert keeper.suite.sinks[0].index()[-1]["rcpts"] == [loves]
    paths = sorted(kept(keeper))
    assert [p.split("/")[0] for p in paths] == ["all", "own"]
    mail_id = re.search(r"virus-(.*)\.gz", paths[0]).group(1)
    assert codes(ask(keeper, mail_id=mail_id)) == [250]
    assert keeper.suite.sinks[0].index()[-1]["rcpts"] == ["a@example.org"]
    # By the file of who has it: it is for those who have not.
    assert codes(ask(keeper, mail_file=paths[1], again="yes")) == [250]
    assert keeper.suite.sinks[0].index()[-1]["rcpts"] == ["a@example.org"] and keeper.suite.sinks[0].count() == 3


def test_the_request_may_name_others(keeper):
    keeper.start()
    mail_id, _ = keep(keeper)
    assert codes(ask(keeper, mail_id=mail_id, sender="<>", rcpts=["<other@example.org>"])) == [250]
    row = keeper.suite.sinks[0].index()[-1]
    assert row["sender"] == "" and row["rcpts"] == ["other@example.org"]
    assert field(keeper.suite.sinks[0].last()[1], "Resent-To") == "<other@example.org>"


def test_methods_of_their_own(keeper):
    other = keeper.suite.sink("other", forward=False)
    keeper.bank["release_method"] = other.method
    keeper.start()
    mail_id, _ = keep(keeper)
    assert codes(ask(keeper, mail_id=mail_id)) == [250, 250]
    assert (other.count(), keeper.suite.sinks[0].count()) == (1, 0)
    assert codes(ask(keeper, "requeue", mail_id=mail_id, again="yes")) == [250, 250]
    assert (other.count(), keeper.suite.sinks[0].count()) == (1, 1)


@pytest.mark.parametrize("refusal", ["450 4.2.0 later", "554 5.7.1 never"])
def test_a_next_hop_that_refuses_is_told_for_each_recipient(suite, refusal):
    suite.sink(args=["--reply", f"dot={refusal}"])
    keeper = Asked(suite)
    keeper.bank["auth_required_release"] = False
    keeper.suite.set(quarantine__release_rescan=False)
    suite.set(final_virus_destiny=D_DISCARD)
    keeper.start()
    mail_id, _ = keep(keeper)
    assert codes(ask(keeper, mail_id=mail_id)) == [int(refusal[:3])] * 2


def test_a_next_hop_that_is_not_there_is_4xx(keeper):
    keeper.start()
    mail_id, _ = keep(keeper)
    keeper.suite.sinks[0].kill()
    assert codes(ask(keeper, mail_id=mail_id)) == [450, 450]


def test_release_is_shut_until_it_is_opened(keeper):
    del keeper.bank["auth_required_release"]
    keeper.start()
    mail_id, _ = keep(keeper)
    a = ask(keeper, mail_id=mail_id)
    assert refused(a) and "auth_required_release" in a.text
    assert keeper.suite.sinks[0].count() == 0


def test_what_must_not_be_released_is_not(keeper):
    keeper.start()
    mail_id, path = keep(keeper)
    root = folder(keeper)
    outside = keeper.suite.folder / "outside.gz"
    outside.write_bytes((root / path).read_bytes())
    os.symlink(outside, root / "link.gz")
    (root / "plain.txt").write_bytes(mail())
    (root / "half.gz").write_bytes((root / path).read_bytes()[:-9])
    (root / "bomb.gz").write_bytes(gzip.compress(gzip.decompress((root / path).read_bytes()) + b"\0" * 150_000_000))
    for what in ({}, {"mail_id": "absent"}, {"mail_id": "../" + mail_id}, {"mail_id": mail_id + "\n"}, {"mail_id": "a" * 200},
            {"mail_id": mail_id, "secret_id": "x"}, {"mail_id": mail_id, "quar_type": "Q"}, {"mail_id": mail_id, "quar_type": "M"}, {"mail_file": "../outside.gz"},
            {"mail_file": f"{path[0]}/../../outside.gz"}, {"mail_file": outside}, {"mail_file": "link.gz"}, {"mail_file": "plain.txt"},
            {"mail_file": "half.gz"}, {"mail_file": "bomb.gz"}, {"mail_file": path, "mail_id": "other"}, {"mail_file": ""},
            {"mail_file": path[0]}, {"mail_id": mail_id, "sender": "a b"}):
        assert refused(ask(keeper, **what)), what
    assert refused(ask(keeper, mail_id=mail_id, rcpts=["<a>b@x>"]))
    with keeper.client() as c:
        assert c.ask(("request", "report"), ("mail_id", mail_id)).value == "tempfail", "without a recipient"
        a = c.ask(("request", "release"), ("mail_id", mail_id))
        assert codes(a) == [250, 250], "and the connection still serves"
    assert keeper.suite.sinks[0].count() == 1


def test_one_of_several_copies_is_released_by_its_file_alone(keeper):
    copy = b"X-Envelope-From: <sender@example.com>\r\nX-Envelope-To: <a@example.org>\r\nX-Quarantine-ID: <abcdefghijkl>\r\n" + mail()
    folder(keeper).mkdir(exist_ok=True)
    for name in ("one.gz", "two.gz"):
        (folder(keeper) / name).write_bytes(gzip.compress(copy))
    keeper.start(services=())
    mw.until("both indexed", lambda: " added=2 " in keeper.suite.front.log())
    assert codes(ask(keeper, mail_file="one.gz")) == [250]


def test_poison_is_released_only_by_its_name(keeper):
    keeper.start()
    mail_id, path = keep(keeper)
    poison = f"poison/poison-{mail_id}.gz"
    (folder(keeper) / path).rename(folder(keeper) / poison)
    assert refused(ask(keeper, mail_id=mail_id))
    assert codes(ask(keeper, mail_file=poison)) == [250, 250]
    assert " warn release " in keeper.suite.front.log()


def parsed(keeper):
    return email.message_from_bytes(keeper.suite.sinks[0].last()[1], policy=email.policy.default)


def test_a_mail_leaves_in_the_form_that_is_wanted(keeper):
    keeper.bank["release_format"] = "attach"
    keeper.banks["PLAIN"] = {**keeper.bank, "release_format": "plain", "report_format": "attach", "mailfrom_notify_recip": "filter@example.org"}
    plain = keeper.suite.folder / "run/plain.sock"
    keeper.suite.set(unix_socketname=[str(keeper.path), str(plain)], hdrfrom_notify_report="Filter <abuse@example.org>")
    keeper.banks["AM.PDP"] = keeper.bank
    keeper.suite.set(policy_bank=keeper.banks, interface_policy={str(keeper.path): "AM.PDP", str(plain): "PLAIN", str(keeper.port): "AM.PDP"})
    keeper.suite.start_all(services=("scanner",))
    octets = eicar_mail(message_id="<kept@example.com>", subject="=?utf-8?q?B=C3=B6se?=") + b"caf\xc3\xa9\r\n.dot\r\n"
    mail_id, _ = keep(keeper, octets)
    # attached
    assert codes(ask(keeper, mail_id=mail_id, requested_by="<admin@example.org>")) == [250, 250]
    row, got = keeper.suite.sinks[0].index()[-1], parsed(keeper)
    assert row["sender"] == "" and row["rcpts"] == ["a@example.org", "b@example.org"] and got.get_content_type() == "multipart/mixed"
    text, original = got.iter_parts()
    assert mail_id in text.get_content() and "admin@example.org" in text.get_content() and not got.defects
    assert original.get_content_type() == "message/rfc822" and original.get_content()["Message-ID"] == "<kept@example.com>"
    assert octets in keeper.suite.sinks[0].last()[1] and "Content-filter at" in got["From"]
    # reported: nobody has got it by that
    assert "recipient" in ask(keeper, "report", mail_id=mail_id).text
    assert codes(ask(keeper, "report", mail_id=mail_id, rcpts=["<abuse@example.net>"])) == [250]
    got = parsed(keeper)
    assert got.get_content_type() == "multipart/report" and got.get_param("report-type") == "feedback-report"
    assert got["From"] == "Filter <abuse@example.org>" and "abuse@example.net" in got["To"] and "Böse" in got["Subject"]
    text, report, original = got.iter_parts()
    assert report.get_content_type() == "message/feedback-report" and original.get_content_type() == "message/rfc822"
    told = dict(line.split(": ", 1) for line in report.as_string().split("\n\n", 1)[1].splitlines() if ": " in line)
    assert (told["Feedback-Type"], told["Version"], told["Source-IP"]) == ("abuse", "1", "127.0.0.1") and told["User-Agent"].startswith("Mailweir/")
    assert told["Original-Mail-From"] == "<sender@example.com>" and told["Original-Rcpt-To"] == "<b@example.org>", "the last of two"
    assert email.utils.parsedate_to_datetime(told["Arrival-Date"])
    # as text, over the other socket
    with mwampdp.Client(plain, 60 * mw.SLOW) as c:
        assert codes(c.ask(("request", "release"), ("mail_id", mail_id), ("recipient", "<c@example.org>"))) == [250]
    row, got = keeper.suite.sinks[0].index()[-1], parsed(keeper)
    assert row["sender"] == "filter@example.org" and got.get_content_type() == "text/plain" and "kept@example.com" in got.get_content()
    # requeued: always as it came
    assert codes(ask(keeper, "requeue", mail_id=mail_id, again="yes")) == [250, 250] and original_of(keeper.suite.sinks[0].last()[1]) == octets


@pytest.mark.parametrize("kind", ["release", "requeue"])
def test_what_a_kept_mail_claims_in_our_name_goes(keeper, kind):
    keeper.suite.set(myauthservid="mx.example.org", remove_existing_spam_headers_maps=[{"b@example.org": False, ".": True}])
    keeper.start()
    real = ["DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=x; h=from; bh=x; b=x", "Authentication-Results: other.example; spf=pass"]
    forged = ["Authentication-Results: mx.example.org;\r\n\tdkim=pass header.d=bank.example", "X-Amavis-Alert: none", "X-Spam-Flag: NO",
        "X-Quarantine-ID: <x>", "X-Am\ravis-PenPals: age 1"]
    octets = eicar_mail(message_id="<kept@example.com>", headers=[forged[0], real[0], *forged[1:4], real[1], forged[4]])
    clean = eicar_mail(message_id="<kept@example.com>", headers=real)
    mail_id, _ = keep(keeper, octets)
    assert codes(ask(keeper, kind, mail_id=mail_id)) == [250, 250]
    assert original_of(keeper.suite.sinks[0].last()[1]) == clean
    assert codes(ask(keeper, kind, mail_id=mail_id, rcpts=["<b@example.org>"], again="yes")) == [250]
    assert field(keeper.suite.sinks[0].last()[1], "X-Spam-Flag") == "NO", "b wants them"


def test_batch_smtp_is_released_without_its_envelope_and_dots(keeper):
    keeper.suite.set(virus_quarantine_method="bsmtp:virus-%m.gz", bypass_virus_checks_maps=["brave@example.org"])
    keeper.start()
    octets = eicar_mail(message_id="<kept@example.com>") + b"\r\n.dot\r\n..\r\n.\r\n.x\r\n"
    mail_id, path = keep(keeper, octets, rcpts=("a@example.org", "brave@example.org"))
    whole = gzip.decompress((folder(keeper) / path).read_bytes())
    assert whole.startswith(b"EHLO ") and b"\r\n..dot\r\n...\r\n..\r\n" in whole
    half = folder(keeper) / path.replace("virus-", "half-")
    half.write_bytes(gzip.compress(whole[:-20]))
    assert refused(ask(keeper, mail_file=half.name, quar_type="B"))
    half.unlink()
    mw.until("the copy to be indexed", lambda: keeper.suite.tool("quarantine", "show", mail_id, "--raw", "-c", keeper.suite.folder / "mailweir.lua").returncode == 0)
    tool = keeper.suite.tool("quarantine", "show", mail_id, "--raw", "-c", keeper.suite.folder / "mailweir.lua")
    assert tool.stdout.encode().endswith(octets.replace(b"\r\n", b"\n")) and "EHLO" not in tool.stdout
    assert "1 damaged" not in keeper.suite.tool("quarantine", "verify", "-c", keeper.suite.folder / "mailweir.lua").stdout
    assert codes(ask(keeper, mail_id=mail_id, quar_type="B")) == [250]
    row, got = keeper.suite.sinks[0].index()[-1], keeper.suite.sinks[0].last()[1]
    assert (row["sender"], row["rcpts"]) == ("sender@example.com", ["a@example.org"]) and original_of(got) == octets


def test_a_fold_as_first_line_goes_with_the_field_that_the_quarantine_put_above_it(keeper):
    keeper.start()
    octets = eicar_mail(message_id="<kept@example.com>")
    mail_id, _ = keep(keeper, b"\t; dkim=pass header.d=bank.example\r\n" + octets)
    assert codes(ask(keeper, mail_id=mail_id)) == [250, 250]
    assert original_of(keeper.suite.sinks[0].last()[1]) == octets


def test_a_release_in_flight_is_finished_before_the_front_ends(keeper):
    suite = keeper.suite
    keeper.start(services=(), settings={"http.listen": f"127.0.0.1:{mw.free_port()}"})
    copy = (b"Return-Path: <a@example.com>\r\nX-Envelope-From: <a@example.com>\r\nX-Envelope-To: <b@example.org>\r\n"
        b"X-Quarantine-ID: <abcdefghijkl>\r\n" + mail())
    (folder(keeper) / "copy.gz").write_bytes(gzip.compress(copy))
    suite.sinks[0].signal(signal.SIGSTOP)
    with keeper.client() as c:
        c.write(b"request=release\nmail_file=copy.gz\n\n")
        mw.until("the release at work", lambda: mails_in_flight(suite) == 1)
        suite.front.signal(signal.SIGTERM)
        suite.front.wait_log("drain_begun")
        suite.sinks[0].signal(signal.SIGCONT)
        assert codes(c.answer()) == [250]
    mw.until("the front's end", lambda: not suite.front.running())
    assert suite.sinks[0].index()[-1]["rcpts"] == ["b@example.org"]


def test_without_an_index_nobody_knows_who_has_got_it_before(keeper):
    folder(keeper).mkdir(exist_ok=True)
    (folder(keeper) / "index.sqlite").mkdir()  # it cannot be had, nor be made
    keeper.start()
    _, path = keep(keeper)
    a = ask(keeper, mail_file=path)
    assert refused(a) and "who has got it before" in a.text and not keeper.suite.sinks[0].index()
    assert codes(ask(keeper, mail_file=path, again="yes")) == [250, 250]


def test_what_is_not_scanned_to_its_end_is_not_released(keeper):
    keeper.suite.set(archive_quarantine_method="local:virus-%m.gz", MAXFILES=4, final_virus_destiny=D_DISCARD)
    keeper.start()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for i in range(9):
            z.writestr(f"{i}.txt", "harmless")
    mail_id, _ = keep(keeper, attached(out.getvalue(), "many.zip"))
    passed = len(keeper.suite.sinks[0].index())
    a = ask(keeper, mail_id=mail_id, rcpts=["<a@example.org>"], rescan="yes")
    assert refused(a) and "could not be scanned to its end" in a.text and len(keeper.suite.sinks[0].index()) == passed
    assert codes(ask(keeper, mail_id=mail_id, rcpts=["<a@example.org>"], rescan="no")) == [250]


def damaged(name, octets):
    whole = mwzip.simple()(name, octets)
    return whole[:len(whole) // 2]


AMBIGUOUS = mail(headers=["Content-Type: text/plain", "Content-Type: multipart/mixed; boundary=x"])


@pytest.mark.parametrize("octets, why", [
    (attached(mwzip.zipcrypto(password="not guessed")("a.txt", b"harmless " * 100), "a.zip"), "encrypted parts"),
    (attached(damaged("a.txt", b"harmless " * 100), "a.zip"), "a damaged archive"),
    (AMBIGUOUS, "a structure that others"),
], ids=["encrypted", "damaged", "ambiguous"])
def test_what_the_scan_cannot_look_into_is_not_released(keeper, octets, why):
    keeper.suite.set(archive_quarantine_method="local:virus-%m.gz", final_virus_destiny=D_DISCARD)
    keeper.start()
    mail_id, _ = keep(keeper, octets)
    passed = len(keeper.suite.sinks[0].index())
    a = ask(keeper, mail_id=mail_id, rcpts=["<a@example.org>"], rescan="yes")
    assert refused(a) and "could not be scanned whole: " + why in a.text and "rescan=no" in a.text, a.text
    assert len(keeper.suite.sinks[0].index()) == passed
    assert codes(ask(keeper, mail_id=mail_id, rcpts=["<a@example.org>"], rescan="no")) == [250]
