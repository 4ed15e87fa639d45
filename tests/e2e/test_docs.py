"""Tables of the documentation that the code has too: they say the same. When this fails: python3 tests/e2e/test_docs.py"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEF = ROOT / "services/smtp-front/intake/replies.def"
DOC = ROOT / "docs/smtp.md"
BEGIN, END = "<!-- replies: begin -->\n", "<!-- replies: end -->\n"
ROW = re.compile(r'^SMTP_REPLY\((\w+), (\d{3}), "([\d.]+)", "((?:[^"\\]|\\.)*)", "((?:[^"\\]|\\.)*)"\)$', re.M)


def escaped(text):
    return text.replace("<", "&lt;").replace(">", "&gt;").replace("|", "\\|")


def table():
    rows = ROW.findall(DEF.read_text())
    assert len(rows) == len(re.findall(r"^SMTP_REPLY\(", DEF.read_text(), re.M)), "a row of another shape"
    lines = [f"| {code} {enhanced} | {escaped(text)} | {when} |\n" for _, code, enhanced, text, when in rows]
    return "| code | text | when |\n|---|---|---|\n" + "".join(lines)


def test_the_replies_in_the_documentation_are_those_of_the_code():
    assert DOC.read_text().partition(BEGIN)[2].partition(END)[0] == table()


if __name__ == "__main__":
    head, _, rest = DOC.read_text().partition(BEGIN)
    DOC.write_text(head + BEGIN + table() + END + rest.partition(END)[2])
    sys.exit(0)
