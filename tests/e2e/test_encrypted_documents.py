"""Encrypted documents: PDF as qpdf writes it, office documents. What readers show without asking is read, and so is what the mail's text opens."""
import random
import re
import shutil
import struct
import subprocess
import zlib

import pytest

import mw
import mwdocument
from mwbombs import stored
from test_scanner import EICAR, HEAD, MZ, NAME, NO_UTF8, TREE, Worker, attached

pytestmark = pytest.mark.skipif(shutil.which("qpdf") is None, reason="qpdf is not installed")

# Revisions 2, 3, 4 with either cipher, 5, 6.
WAYS = {"40 bits": ["40"], "128 bits": ["128", "--use-aes=n"], "128 bits, version 4": ["128", "--force-V4"], "AES": ["128", "--use-aes=y"],
    "AES, metadata plain": ["128", "--use-aes=y", "--cleartext-metadata"], "AES of 256 bits, revision 5": ["256", "--force-R5"],
    "AES of 256 bits": ["256"]}
USER, OWNER = "Sesam-7", "Cerberus-9"
NOISE = random.Random(1).randbytes(9000)  # always the same: others begin as a file of some type does
EVIL = MZ + EICAR  # a virus to engines, which may open the document themselves, and a program in the tree of parts, which is ours


def plain_pdf(octets=EVIL, name="evil.exe", filtered=True):
    packed = zlib.compress(octets) if filtered else octets
    objects = [b"<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles<</Names[(a) 4 0 R]>>>>>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>", f"<</Type/Filespec/F({name})/UF({name})/EF<</F 5 0 R>>>>".encode(),
        b"<</Type/EmbeddedFile%s/Length %d>>\nstream\n%s\nendstream" % (b"/Filter/FlateDecode" if filtered else b"", len(packed), packed)]
    out, at = b"%PDF-1.7\n", []
    for i, o in enumerate(objects, 1):
        at.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (i, o)
    return (out + b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % a for a in at) +
        b"trailer <</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(out))


def encrypted(folder, way, user="", packed=False, pdf=None):
    plain, sealed = folder / "plain.pdf", folder / "sealed.pdf"
    plain.write_bytes(pdf or plain_pdf())
    subprocess.run(["qpdf", "--allow-weak-crypto", f"--object-streams={'generate' if packed else 'preserve'}",
        f"--stream-data={'compress' if pdf is None else 'preserve'}", plain, "--encrypt", user, OWNER, *WAYS[way], "--", sealed], check=True)
    return sealed.read_bytes()


@pytest.fixture
def front(suite):
    w = Worker(suite)
    yield w.front
    w.close()


def names(v):
    return [name for part in v.findings["tree"] for name in part[3]]


def viruses(v):
    """Names, where our reader has seen the program, too."""
    assert bool(v.findings["viruses"]) == any("exe-ms" in part[4] for part in v.findings["tree"]), v
    return [x["name"] for x in v.findings["viruses"]]


def noted(octets, text):
    """The mail with a text that names a password."""
    return attached(octets, "bill.pdf", head=HEAD).replace(b"see there", b"The password is: " + text.encode())


@pytest.mark.parametrize("packed", [False, True], ids=["objects", "packed objects"])
@pytest.mark.parametrize("way", WAYS)
def test_what_every_reader_opens_is_read(front, tmp_path, way, packed):
    v = front.scan(attached(encrypted(tmp_path, way, packed=packed), "bill.pdf"), orders=TREE)
    assert v.status == "done" and viruses(v) == [NAME] and "evil.exe" in names(v), v
    assert v.findings["encrypted"] == [] and "encrypted_document" not in v.findings["content"], v
    harmless = encrypted(tmp_path, way, packed=packed, pdf=plain_pdf(b"hello", "a.txt"))
    v = front.scan(attached(harmless, "bill.pdf"), orders=TREE)
    assert v.status == "done" and viruses(v) == [] and v.findings["encrypted"] == [] and "a.txt" in names(v), v
    assert "archive_broken" not in v.findings["mime_errors"], v


@pytest.mark.parametrize("packed", [False, True], ids=["objects", "packed objects"])
@pytest.mark.parametrize("way", WAYS)
def test_a_password_is_needed_and_may_stand_in_the_text(front, tmp_path, way, packed):
    pdf = encrypted(tmp_path, way, USER, packed)
    v = front.scan(attached(pdf, "bill.pdf"), orders=TREE)
    assert viruses(v) == [] and v.findings["encrypted"] and v.findings["content"] == ["encrypted_document"], v
    for word in (USER, OWNER):
        v = front.scan(noted(pdf, word), orders=TREE)
        assert viruses(v) == [NAME] and v.findings["encrypted"] == [] and "evil.exe" in names(v), v
    v = front.scan(noted(pdf, "another"), orders=TREE)
    assert viruses(v) == [] and v.findings["encrypted"], v


@pytest.mark.parametrize("way", WAYS)
def test_a_file_without_a_filter_is_read_in_both_ways(front, tmp_path, way):
    v = front.scan(attached(encrypted(tmp_path, way, pdf=plain_pdf(filtered=False)), "bill.pdf"), orders=TREE)
    assert viruses(v) == [NAME] and v.findings["encrypted"] == [], v


def test_the_vector_looks_like_the_whole_file(front, tmp_path):
    """AES begins with sixteen octets of the sender's choice: a whole stream of zlib there is not what readers see."""
    pdf = encrypted(tmp_path, "AES of 256 bits")
    shown = subprocess.run(["qpdf", "--show-encryption", "--show-encryption-key", tmp_path / "sealed.pdf"], check=True, capture_output=True,
        text=True).stdout
    key = next(line.split()[-1] for line in shown.splitlines() if line.startswith("Encryption key"))
    vector = zlib.compress(b"hi").ljust(16, b"\0")
    sealed = vector + subprocess.run(["openssl", "enc", "-aes-256-cbc", "-K", key, "-iv", vector.hex()], input=zlib.compress(EVIL), check=True,
        capture_output=True).stdout
    dictionary = pdf.index(b"/EmbeddedFile")
    at = pdf.index(b"stream\n", dictionary) + len(b"stream\n")
    end = pdf.index(b"endstream", at)
    assert end - at - len(sealed) in (0, 1), "the file is as long as before"
    v = front.scan(attached(pdf[:at] + sealed + pdf[at + len(sealed):], "bill.pdf"), orders=TREE)
    assert viruses(v) == [NAME], v


def told(v):
    return bool(v.findings["encrypted"]) or "archive_broken" in v.findings["mime_errors"]


def filterless(folder, way, octets=EVIL, name="evil.exe"):
    return encrypted(folder, way, pdf=plain_pdf(octets, name, filtered=False))


def encrypt_object(pdf):
    """Number of the encryption dictionary, and its octets with the ID of the trailer."""
    number = re.search(rb"/Encrypt (\d+) 0 R", pdf).group(1)
    return number, re.search(rb"\n%s 0 obj\s*(.*?)endobj" % number, pdf, re.S).group(1), re.search(rb"/ID ?\[.*?\]", pdf, re.S).group(0)


@pytest.mark.parametrize("way", WAYS)
def test_the_key_s_name_is_written_in_another_way(front, tmp_path, way):
    v = front.scan(attached(filterless(tmp_path, way).replace(b"/Encrypt ", b"/#45ncrypt "), "bill.pdf"), orders=TREE)
    assert viruses(v) == [NAME] and v.findings["encrypted"] == [], v


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", ["in front", "behind"])
def test_another_trailer_that_opens_too(front, tmp_path, way, place):
    pdf, decoy = filterless(tmp_path, way), encrypted(tmp_path, "128 bits", pdf=plain_pdf(b"hello", "a.txt"))
    _, dictionary, ids = encrypt_object(decoy)
    false = b"\n90 0 obj\n" + dictionary + b"endobj\ntrailer <</Encrypt 90 0 R" + ids + b">>\n"
    pdf = pdf.replace(b"\n", b"\n" + false, 1) if place == "in front" else pdf + false
    v = front.scan(attached(pdf, "bill.pdf"), orders=TREE)
    assert viruses(v) == [NAME], v


@pytest.mark.parametrize("way", ["AES", "AES of 256 bits", "128 bits, version 4"])
@pytest.mark.parametrize("change", [
    (rb"/CFM ?/(\w+)", rb"/CFM 99 0 R", rb"99 0 obj /\1 endobj\n"), (rb"/StmF ?/StdCF", rb"/StmF /StdCF /EFF /Identity", rb""),
    (rb"/StdCF", rb"/" + b"S" * 40, rb"")], ids=["by reference", "files are plain, it says", "a long name"])
def test_the_cipher_is_said_in_a_roundabout_way(front, tmp_path, way, change):
    pdf = filterless(tmp_path, way)
    pattern, new, more = change
    found = re.search(pattern, pdf)
    pdf = re.sub(pattern, new, pdf).replace(b"\n", b"\n" + found.expand(more), 1)
    v = front.scan(attached(pdf, "bill.pdf"), orders=TREE)
    assert viruses(v) == [NAME], v


@pytest.mark.parametrize("raw", NO_UTF8)
def test_names_of_a_pdf_that_are_no_utf_8_are_told_as_utf_8(front, tmp_path, raw):
    """As they stand there, and with a cipher undone that was not there."""
    pdf = plain_pdf(name="x@@@@@y.exe").replace(b"@@@@@", raw.ljust(5, b"-"))
    for octets in (pdf, encrypted(tmp_path, "AES", pdf=pdf)):
        v = front.scan(attached(octets, "bill.pdf"), orders=TREE)
        assert viruses(v) == [NAME] and any(n.startswith("x") and n.endswith("y.exe") for n in names(v)), v


def test_an_object_behind_a_long_comment_is_told(front):
    pdf = plain_pdf().replace(b"5 0 obj", b"5 0 %" + b"x" * 1100 + b"\nobj").replace(b"/Type/EmbeddedFile", b"")
    v = front.scan(attached(pdf, "bill.pdf"), orders=TREE)
    assert told(v) or viruses(v), v


@pytest.mark.parametrize("before", ["<!-- <p:encryptedKey spinCount='1'/> -->", "<!DOCTYPE x []>"])
def test_a_description_that_no_program_writes_is_not_believed(front, before):
    v = front.scan(attached(mwdocument.agile(document(), "VelvetSweatshop", rounds=10, before=before), "bill.xlsx"), orders=TREE)
    assert v.findings["encrypted"], v


def test_what_opens_and_is_no_document_is_told(front):
    v = front.scan(attached(mwdocument.agile(NOISE, "VelvetSweatshop", rounds=10), "bill.xlsx"), orders=TREE)
    assert v.findings["encrypted"], v


def test_many_of_them_cost_no_more_than_a_mail_may(front, tmp_path):
    """Each try of revision 6 costs milliseconds: behind a hundred of them the rest is told encrypted."""
    pdf = encrypted(tmp_path, "AES of 256 bits", pdf=plain_pdf(b"hello", "a.txt"))
    mail = attached(stored([(f"{i}.pdf", pdf) for i in range(400)]), "many.zip")
    v = front.scan(mail, orders=TREE)
    assert v.status in ("done", "limit") and v.findings["encrypted"], v.status


# ------------------------------------------------------------------ office documents

OFFICE = {"agile": mwdocument.agile, "agile, SHA-1 and 128 bits": lambda o, p: mwdocument.agile(o, p, "sha1", 128),
    "agile, SHA-256 and 192 bits": lambda o, p: mwdocument.agile(o, p, "sha256", 192), "agile, SHA-384": lambda o, p: mwdocument.agile(o, p, "sha384"),
    "standard": mwdocument.standard, "standard, 256 bits": lambda o, p: mwdocument.standard(o, p, 256)}


def document(octets=EVIL):
    """Longer than two segments of the cipher."""
    return stored([("[Content_Types].xml", b"<Types/>"), ("word/media/noise.bin", NOISE), ("word/embeddings/evil.bin", octets)])


@pytest.mark.parametrize("way", OFFICE)
def test_an_office_document_opens_with_a_word_of_the_mail(front, way):
    doc = OFFICE[way](document(), USER)
    v = front.scan(attached(doc, "bill.docx"), orders=TREE)
    assert viruses(v) == [] and v.findings["encrypted"] and v.findings["content"] == ["encrypted_document"], v
    v = front.scan(noted(doc, USER), orders=TREE)
    assert viruses(v) == [NAME] and v.findings["encrypted"] == [] and "word/embeddings/evil.bin" in names(v), v
    assert v.findings["content"] == ["encrypted_document"] and "archive_broken" not in v.findings["mime_errors"], v
    v = front.scan(noted(doc, "another"), orders=TREE)
    assert viruses(v) == [] and v.findings["encrypted"], v


def test_words_in_other_letters(front):
    v = front.scan(noted(mwdocument.agile(document(), "Gruße-7€"), "Gruße-7€"), orders=TREE)
    assert viruses(v) == [NAME], v


@pytest.mark.parametrize("way", OFFICE)
def test_what_excel_opens_without_asking_is_read(front, way):
    v = front.scan(attached(OFFICE[way](document(), "VelvetSweatshop"), "bill.xlsx"), orders=TREE)
    assert viruses(v) == [NAME] and v.findings["encrypted"] == [] and v.findings["content"] == [], v


@pytest.mark.parametrize("rounds", [10_000_000, 99_999_999, 4_294_967_296])
def test_more_rounds_than_a_mail_may_cost_are_not_tried(front, rounds):
    doc = mwdocument.agile(document(), USER, rounds=1, said=rounds)
    v = front.scan(noted(doc, USER), orders=TREE)
    assert v.findings["encrypted"] and v.cpu_us < 1_000_000 * mw.SLOW, v


def test_many_documents_cost_no_more_than_a_mail_may(front):
    doc = mwdocument.agile(document(b"hello"), USER)
    v = front.scan(noted(stored([(f"{i}.docx", doc) for i in range(30)]), USER), orders=TREE)
    assert v.status == "done" and v.findings["encrypted"] and "word/embeddings/evil.bin" in names(v), v


def test_an_encrypted_presentation_is_told(front):
    """Its streams look as usual; that they are encrypted stands beside them ([MS-PPT] 2.3.2)."""
    def ppt(token):
        user = struct.pack("<HHIIIIHHBBH", 0, 0x0FF6, 20, 20, token, 0, 0, 0x03F4, 3, 0, 0)
        return mwdocument.cfb({"PowerPoint Document": NOISE, "Current User": user})
    v = front.scan(attached(ppt(0xF3D1C4DF), "slides.ppt"), orders=TREE)
    assert v.findings["encrypted"] and v.findings["content"] == ["encrypted_document"], v
    v = front.scan(attached(ppt(0xE391C05F), "slides.ppt"), orders=TREE)
    assert v.findings["encrypted"] == [] and v.findings["content"] == [], v
