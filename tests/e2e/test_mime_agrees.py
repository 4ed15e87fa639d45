"""The scanner's parser, GMime and Python's email package agree on the leaves of real mails, octet by octet.

Where one of them differs, the scanner calls the mail ambiguous, or the difference is of a kind that CLASSES has, with its reason.
"""
import email
import hashlib
import re
import subprocess

import pytest

import mw
import mwmail

ORACLE = mw.ROOT / "tests/oracles/gmime_leaves.c"
MAILS_LEAST = 4000
AMBIGUOUS_MOST = 0.005  # of real mails, most of them spam; of ham none
DIFFERENT_MOST = 0.01
BASE64 = re.compile(rb"[A-Za-z0-9+/]")


# ------------------------------------------------------------------ kinds of differences

class Leaf:
    """A part that is no box, as Python has it."""

    def __init__(self, part):
        self.type = part.get_content_type()
        self.encoding = str(part.get("content-transfer-encoding", "")).strip().lower()
        payload = part.get_payload(decode=False)
        self.raw = payload.encode("utf-8", "surrogateescape") if isinstance(payload, str) else b""
        self.octets = part.get_payload(decode=True) or b""


def base64_is_odd(leaf):
    """Behind the padding stands something, other characters stand in it, or the last group is not whole."""
    if leaf.encoding != "base64":
        return False
    text, _, rest = leaf.raw.partition(b"=")
    return bool(re.sub(rb"[=\s]", b"", rest) or re.sub(rb"[A-Za-z0-9+/\s]", b"", text) or
                (len(BASE64.findall(text)) + leaf.raw.count(b"=")) % 4)


def quoted_is_odd(leaf):
    """Blanks at the end of a line, or a = that begins neither an octet nor a soft line break."""
    return leaf.encoding == "quoted-printable" and re.search(rb"=(?![0-9A-Fa-f]{2}|[ \t]*\r?\n|$)|[ \t]+\r?\n|[ \t]$", leaf.raw) is not None


def only_line_end(ours, theirs):
    """Of the last leaf one has the line end before the message's end, the other has not."""
    return len(ours) == len(theirs) and ours[:-1] == theirs[:-1] and 0 < abs(ours[-1][0] - theirs[-1][0]) <= 2


CLASSES = {
    "base64": ("base64 that is not clean: some decoders stop at padding or junk, some go on, some drop the last group or give all back "
        "undecoded. A footer behind it is usual: the scanner looks at all ways and marks what is no footer",
        lambda leaves, ours, theirs, words: any(map(base64_is_odd, leaves))),
    "quoted-printable": ("RFC 2045 6.7 lets decoders drop blanks at the end of lines and do as they like with a stray =: the octets differ in those",
        lambda leaves, ours, theirs, words: any(map(quoted_is_odd, leaves))),
    "status": ("Python takes message/delivery-status apart into blocks of fields; to all others it is a leaf",
        lambda leaves, ours, theirs, words: any(part == "message/delivery-status" for part in words["types"])),
    "last line": ("without a final boundary Python gives the last line end to the boundary that is not there",
        lambda leaves, ours, theirs, words: "no_final_boundary" in words["errors"] and only_line_end(ours, theirs)),
}


# ------------------------------------------------------------------ the three

def parse(output):
    """NAME -> (fields behind the name, [(octets, sha256) of each leaf], types)."""
    mails = {}
    for line in output.splitlines():
        words = line.split()
        if words[0] == "mail":
            mails[words[1]] = (words[2:], [], [])
        else:
            last = next(reversed(mails.values()))
            last[1].append((int(words[-2]), words[-1]))
            last[2].append(words[-3])
    return mails


def run(*args):
    return subprocess.run([str(a) for a in args], capture_output=True, check=True).stdout.decode("utf-8", "replace")


def python_leaves(octets):
    return [Leaf(p) for p in email.message_from_bytes(octets).walk() if not p.is_multipart()]


def shape(leaves):
    return [(len(x.octets), hashlib.sha256(x.octets).hexdigest()) for x in leaves]


@pytest.fixture(scope="module")
def mails(corpus, tmp_path_factory):
    """The real mails as they come by SMTP."""
    folder = tmp_path_factory.mktemp("mails")
    for path in corpus.iterdir():
        (folder / path.name).write_bytes(mwmail.crlf(path.read_bytes()))
    return folder


@pytest.fixture(scope="module")
def ours(mails):
    return parse(run(mw.BENCH / "mwleaves", mails))


def judge(name, ours, theirs, leaves):
    """The class of a difference; None when there is none that explains it."""
    fields, own, types = ours[name]
    if fields[0] == "1":
        return "ambiguous"
    words = {"errors": fields[2].split(","), "types": types}
    return next((c for c, (_, fits) in CLASSES.items() if fits(leaves, own, theirs, words)), None)


def compare(ours, theirs_of, mails):
    found, unexplained = {}, []
    for name in ours:
        theirs = theirs_of(name)
        if theirs == ours[name][1]:
            continue
        kind = judge(name, ours, theirs, python_leaves((mails / name).read_bytes()))
        found.setdefault(kind, []).append(name)
        if kind is None:
            unexplained.append((name, ours[name], theirs))
    print({k: len(v) for k, v in found.items()})
    assert not unexplained, unexplained
    assert sum(map(len, found.values())) <= DIFFERENT_MOST * len(ours), found


def test_gmime_has_the_same_leaves(ours, mails, tmp_path):
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "gmime-3.0"], capture_output=True, text=True, check=False)
    if flags.returncode != 0:
        pytest.skip("libgmime-3.0-dev is not installed (deploy/packages/test.txt): nothing to compare with")
    program = tmp_path / "gmime_leaves"
    subprocess.run(["cc", "-O1", "-o", str(program), str(ORACLE), *flags.stdout.split()], check=True)
    theirs = parse(run(program, mails))
    assert len(ours) >= MAILS_LEAST and set(ours) == set(theirs)
    compare(ours, lambda name: theirs[name][1], mails)


def test_python_has_the_same_leaves(ours, mails):
    assert len(ours) >= MAILS_LEAST
    compare(ours, lambda name: shape(python_leaves((mails / name).read_bytes())), mails)


def test_real_mail_is_hardly_ever_ambiguous(ours):
    marked = sorted(name for name, (fields, _, _) in ours.items() if fields[0] == "1")
    limited = [name for name, (fields, _, _) in ours.items() if fields[1] == "1"]
    print(f"{len(marked)} of {len(ours)} are ambiguous: {marked}")
    assert not [name for name in marked if "ham" in name]
    assert len(marked) <= AMBIGUOUS_MOST * len(ours)
    assert limited == []
