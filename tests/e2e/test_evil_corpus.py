"""
Nothing hides: a virus, a program and a name, wrapped in every way of mwevil.py, are found, or the mail is told to hold what nobody
can look into; a harmless text in the same wrapping is never taken for them.

The virus alone would not prove that our own readers open a format: libclamav opens many when it is given the outer octets. A program
under a harmless name, and a harmless text under a program's name, must be seen in the tree of parts, which is ours alone.
"""
import re

import pytest

import mw
import mwdisk
import mwevil
import mwsmime
from mwhop import A, B, NO_DSN, behind  # noqa: F401
from mwlua import Raw
from mwmail import eicar
from mwzip import HARMLESS
from test_scanner import TREE, Worker

# ------------------------------------------------------------------ what is not simply found, and why

# Nobody can look in without a password: found by nobody, told as undecipherable by all. With names where they are not encrypted.
SECRET = {
    "zipcrypto": "the password is not in the mail",
    "zipcrypto stored": "the password is not in the mail",
    "zip aes-128": "the password is not in the mail",
    "zip aes-256": "the password is not in the mail",
    "zip ae-1": "the password is not in the mail",
    "zip says encrypted": "it says so in both places; readers ask for a password",
    "7z aes": "the password is not in the mail",
    "7z secret header": "names are encrypted, too",
    "rar4 encrypted": "the password is not in the mail",
    "rar4 secret header": "names are encrypted, too",
    "rar5 encrypted": "the password is not in the mail",
    "rar5 secret header": "names are encrypted, too",
    "office encrypted": "the whole document is one encrypted stream",
    "pdf encrypted": "streams and texts are encrypted",
    "secret zip in zip": "the password is not in the mail",
    **{name: "nobody has the key" for name, (_, more) in mwsmime.CASES.items() if "secret" in more},
}
NO_NAMES = {"7z secret header", "rar4 secret header", "rar5 secret header", "office encrypted", "pdf encrypted",
    *(name for name, (_, more) in mwsmime.CASES.items() if "secret" in more)}
# Found, or told as undecipherable or broken: what libarchive cannot read and libclamav, given the archive whole, may.
UNREADABLE = {
    "zip deflate64": "libarchive 3.6 has no Deflate64; libclamav alone opens it",
    "zip name with NUL": "the name ends at the NUL for some",
    "7z without substreams": "libarchive 3.6 calls it damaged; libclamav alone opens it",
    "7z of a link": "libarchive tells a link's target up to the first NUL",
    "rar4 of a link": "likewise",
    "cpio of a link": "likewise",
    "lha of lh1": "nobody here undoes that method",
    "lha of lzs": "likewise",
    "gzip cut": "its end is missing: what came before is looked at, and the file is broken",
    "zip without directory": "it is cut",
    "zip without directory behind text": "it is cut",
    "zip between octets, a PDF": "it is no PDF",
    "zip wrong checksum": "it is damaged",
    "zip size too small": "it is damaged",
    "onenote of a cloud": "its files lie in pieces that nobody here puts together",
    **{name: "nobody here opens disks" for name in (*mwdisk.DISKS, "disk in zip")},
}
# Found, or the mail is marked as one that readers read in different ways.
TOLD = {
    "gzip in pieces with zeros between": "few readers join them",
    "zstd and gzip": "zstd alone joins them",
    "xz and gzip": "zstd alone joins them",
    "message/partial 1 of 2": "the file begins in the one mail and ends in the other",
    "message/partial 2 of 2": "the file began in another mail",
    "message/external-body": "the body is there for readers that do not know the type",
}
# Found, or a limit is told.
LIMITED = {
    "type behind 9 KB of folds": "fields are looked at up to 8 KiB (MIME_FIELD_MAX), and by libclamav less far",
    "message/partial 1 of 1": "libclamav refuses fragments of messages, even the only one",
    "boundary of 400": "boundaries are looked for up to 256 octets (RFC 2046: 70)",
}
# What stands around the file is called bad with anything in it.
FALSE_FINDS = {
    "pdf type escaped": ("Heuristics.PDF.ObfuscatedNameObject", "libclamav suspects every PDF with escaped names"),
}

EXE_NAME = re.compile(r"\.exe[. ]*$", re.I)
GOOD = HARMLESS * 2
KINDS = {
    "virus": ("report.dat", eicar()),
    "program": ("report.dat", mwevil.program()),
    "name": ("evil.exe", GOOD),
    "harmless": ("report.dat", GOOD),
}
MOST_IN_FLIGHT = 50


# ------------------------------------------------------------------ what the scanner says of each

def has_virus(v):
    return bool(v.viruses)


def has_program(v):
    return any("exe-ms" in part[4] for part in v.findings["tree"])


def has_name(v):
    return any(EXE_NAME.search(name) for part in v.findings["tree"] for name in part[3])


def is_unreadable(v):
    f = v.findings
    return bool(f["encrypted"]) or "archive_broken" in f["mime_errors"] or any(set("UC") & set(part[5]) for part in f["tree"])


NO_FAULT = {"archive_password"}  # words that say what was done


def is_odd(v):
    return v.findings["ambiguous"] or bool(set(v.findings["mime_errors"]) - NO_FAULT)


def excused(case, v):
    """It was not found: did the verdict say why, in the way that the tables above allow?"""
    if case.name in SECRET or case.name in UNREADABLE:
        return is_unreadable(v)
    if case.name in TOLD:
        return is_odd(v)
    return case.name in LIMITED and v.status == "limit"


class Corpus:
    def __init__(self, front):
        self.verdicts, waiting = {}, []

        def take():
            job, key = waiting.pop(0)
            self.verdicts[key] = front.verdict(job)
        for case in mwevil.CASES.values():
            for kind, (name, octets) in KINDS.items():
                waiting.append((front.send(case.mail(name, octets), orders=TREE, ms=60000), (case.name, kind)))
                if len(waiting) > MOST_IN_FLIGHT:
                    take()
        while waiting:
            take()

    def misses(self, kind, wrong):
        """A line for each case whose verdict is wrong."""
        found = []
        for case in mwevil.CASES.values():
            v = self.verdicts[case.name, kind]
            if wrong(case, v):
                f = v.findings
                found.append(f"{case.name}: {v.status} {v.reason} viruses={v.viruses} encrypted={f['encrypted']} ambiguous={f['ambiguous']} "
                    f"mime_errors={f['mime_errors']} tree={[part[2:] for part in f['tree']]}")
        return found


@pytest.fixture(scope="module")
def corpus():
    with mw.Suite() as suite:
        worker = Worker(suite)
        try:
            yield Corpus(worker.front)
        finally:
            worker.close()


def test_there_are_enough_ways():
    assert len(mwevil.CASES) > 450 and len(mwsmime.CASES) >= 120
    listed = [*SECRET, *UNREADABLE, *TOLD, *LIMITED, *FALSE_FINDS]
    assert len(listed) == len(set(listed)) and set(listed) <= set(mwevil.CASES) and NO_NAMES <= set(SECRET)


def none(misses):
    assert not misses, f"{len(misses)} cases:\n" + "\n".join(misses)


def test_the_virus_is_found(corpus):
    none(corpus.misses("virus", lambda case, v: not has_virus(v) and not excused(case, v)))


def test_the_program_is_seen_by_our_own_readers(corpus):
    none(corpus.misses("program", lambda case, v: not has_program(v) and not excused(case, v)))


def test_the_name_is_seen_by_our_own_readers(corpus):
    none(corpus.misses("name", lambda case, v: case.tells_name and case.name not in NO_NAMES and not has_name(v) and not excused(case, v)))


def false_find(case, v):
    if [name for name, _ in v.viruses] not in ([], [FALSE_FINDS.get(case.name, [""])[0]]):
        return True
    if has_name(v) or has_program(v) and case.group != "program":
        return True
    if v.status != "done":
        return case.name not in LIMITED and case.name not in TOLD  # libclamav refuses fragments of a message
    plain = not (case.odd or case.name in SECRET or case.name in UNREADABLE)
    return plain and (is_odd(v) or is_unreadable(v))


def test_a_harmless_text_is_never_taken_for_them(corpus):
    none(corpus.misses("harmless", false_find))


# ------------------------------------------------------------------ and what the front makes of it

RULES = Raw(r"""new_RE { "(?i)\\.exe[. ]*$", "^\\.exe-ms$", "^UNDECIPHERABLE$" }""")


def sent(suite, kind, rcpt):
    """Each case over SMTP; its record by its name."""
    name, octets = KINDS[kind]
    before = len(suite.records())
    cases = list(mwevil.CASES.values())
    with suite.smtp() as c:
        c.hello()
        for i, case in enumerate(cases):
            reply = c.mail(f"case-{i}@example.com", [rcpt], case.mail(name, octets))
            assert reply.ok, (case.name, reply)
    records = mw.until("all records", lambda: len(suite.records()) >= before + len(cases) and suite.records()[before:])
    return {cases[int(re.search(r"case-(\d+)@", r["mail_from"]).group(1))].name: r for r in records}


def test_what_hides_is_banned_or_never_clean(suite, behind):  # noqa: F811
    """The program is banned by a part's type, or as undecipherable; of the mails with the virus none is clean."""
    behind(services=("scanner", "logger"), settings={"scanner__clamav_database": str(suite.folder / "none"), "bare_newline": "pass",
        "final_virus_destiny": Raw("D_PASS"), "final_banned_destiny": Raw("D_PASS"), "banned_filename_re": RULES,
        "bypass_banned_checks_maps": [{B: True}], **NO_DSN})
    program = sent(suite, "program", A)
    none([name for name, r in program.items() if not r["recipients"][0].get("banning_reason") and name not in {**TOLD, **LIMITED}])
    virus = sent(suite, "virus", B)
    none([name for name, r in virus.items() if r["content_type"] in ("Clean", "CleanTag")])
