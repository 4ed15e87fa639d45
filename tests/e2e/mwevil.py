"""
The corpus of hidden files: CASES has every way in which a file is wrapped, as a function of the file's name and octets that gives a
whole mail. The same ways hide a virus, a program and a harmless text.

  for case in CASES.values():
      octets = case.mail("evil.exe", eicar())

group: what hides it (archive, compressed, document, text, mime, smime, name, type, program, nest). tells_name: readers of that format see
the file's name; odd: a filter may well call the mail ambiguous.
"""
import bz2
import gzip
import lzma
import struct
import tarfile
from dataclasses import dataclass
from typing import Callable

import mwarchive as ar
import mwdocument as doc
import mwodd
import mwsmime
import mwzip as z

PASSWORD_NOTE = b"Content-Type: text/plain\r\n\r\nAs agreed.\r\n\r\nThe password is: " + z.PASSWORD.encode() + b"\r\n\r\nRegards, Eve\r\n"


def program():
    """A Windows program (PE32) of 400 octets that returns at once; no line ends in it, so that any transfer encoding will do."""
    stub = b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0\xb8" + bytes(43) + struct.pack("<I", 0x40)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x14C, 1, 0x67C40000, 0, 0, 0xE0, 0x0103)
    optional = (struct.pack("<HBBIIIIII", 0x10B, 8, 0, 16, 0, 0, 0x180, 0x180, 0x190) + struct.pack("<III", 0x400000, 16, 16) +
        struct.pack("<HHHHHHIIIIHH", 4, 0, 0, 0, 4, 0, 0, 0x190, 0x180, 0, 3, 0) + struct.pack("<IIIIII", 0x100000, 0x1000, 0x100000, 0x1000, 0, 16))
    section = struct.pack("<8sIIIIIIHHI", b".text", 16, 0x180, 16, 0x180, 0, 0, 0, 0, 0x60000020)
    whole = (stub + coff + optional.ljust(0xE0, b"\0") + section).ljust(0x180, b"\0") + b"\x31\xc0\xc3" + b"\xcc" * 13
    assert len(whole) == 400 and b"\r" not in whole and b"\n" not in whole
    return whole


@dataclass(frozen=True)
class Case:
    name: str
    group: str
    mail: Callable[[str, bytes], bytes]
    tells_name: bool = True
    odd: bool = False


CASES = {}


def add(name, group, mail, **kw):
    assert name not in CASES, name
    CASES[name] = Case(name, group, mail, **kw)


def box(name, group, wrap, file_name, ctype=b"application/octet-stream", note=mwodd.NOTE, **kw):
    """wrap(name, octets) becomes the second part of an ordinary mail."""
    add(name, group, lambda n, o: mwodd.attached(file_name, wrap(n, o), ctype, note), **kw)


def lone(name, compress, file_name, **kw):
    """A compressed file without its name."""
    box(name, "compressed", lambda _, o: compress(o), file_name, tells_name=False, **kw)


# ------------------------------------------------------------------ archives

ZIPS = {
    "zip stored": z.simple(z.STORED),
    "zip": z.simple(),
    "zip bzip2": z.simple(z.BZIP2),
    "zip lzma": z.simple(z.LZMA),
    "zip xz": z.simple(z.XZ),
    "zip zstd": z.simple(z.ZSTD),
    "zip deflate64": z.simple(z.DEFLATE64),
    "zip descriptor": z.descriptor(),
    "zip descriptor stored": z.descriptor(z.STORED),
    "zip descriptor without signature": z.descriptor(signature=b""),
    "zip64": z.zip64,
    "zip with a comment": z.simple(comment=b"x" * 65535),
    "zip behind text": lambda n, o: b"x" * 500 + z.archive(z.Member(n, o)),
    "zip behind text, offsets told": lambda n, o: b"x" * 500 + z.archive(z.Member(n, o), base=500),
    "zip of a span": lambda n, o: b"PK\7\x08" + z.archive(z.Member(n, o), base=4),
    "zip of one volume": lambda n, o: b"PK00" + z.archive(z.Member(n, o), base=4),
    "zip with text behind": lambda n, o: z.archive(z.Member(n, o)) + b"x" * 300,
    "zip with octets between": z.simple(between=b"x" * 300),
    "zip local only": z.only_local,
    "zip central only": z.only_central,
    "zip points elsewhere": z.other_offset,
    "zip twice, evil last": z.two_ends(True),
    "zip twice, evil first": z.two_ends(False),
    "zip end in comment, evil inner": z.end_in_comment(True),
    "zip end in comment, evil outer": z.end_in_comment(False),
    "zip without directory": z.without_directory,
    "zip local name differs": z.lying(local={"name": b"readme.txt"}),
    "zip central name differs": z.lying(central={"name": b"readme.txt"}),
    "zip local sizes zero": z.lying(local={"csize": 0, "size": 0, "crc": 0}),
    "zip central sizes zero": z.lying(central={"csize": 0, "size": 0, "crc": 0}),
    "zip local method stored": z.lying(local={"method": z.STORED}),
    "zip central method stored": z.lying(central={"method": z.STORED}),
    "zip size too small": z.lying(local={"size": 1}, central={"size": 1}),
    "zip wrong checksum": z.lying(crc=0x12345678),
    "zip says encrypted": z.lying(flags=z.ENCRYPTED),
    "zip local says encrypted": z.lying(local={"flags": z.ENCRYPTED}),
    "zip central says encrypted": z.lying(central={"flags": z.ENCRYPTED}),
    "zip name absolute": lambda n, o: z.archive(z.Member("/../../tmp/" + n, o)),
    "zip name of Windows": lambda n, o: z.archive(z.Member("..\\..\\" + n, o)),
    "zip name with NUL": lambda n, o: z.archive(z.Member(n.encode() + b"\0.txt", o)),
    "zip name in UTF-8": lambda n, o: z.archive(z.Member("\u00e4\u4e2d" + n, o, flags=z.UTF8)),
    "zip name in extra field": z.unicode_name,
    "zip folder with octets": z.directory_with_octets,
    "zip folder by attribute": z.lying(central={"attributes": 0x10}),
    "zip of many": lambda n, o: z.archive(*(z.Member(f"{i}.txt", z.HARMLESS) for i in range(200)), z.Member(n, o)),
}
# Those whose two directories do not say the same: readers that believe the one do not see what readers of the other do.
LYING = ("zip local", "zip central", "zip points", "zip twice", "zip end", "zip without directory", "zip folder", "zip name", "zip size",
    "zip wrong")
for case_name, wrap_ in ZIPS.items():
    box(case_name, "archive", wrap_, "invoice.zip", b"application/zip", odd=case_name.startswith(LYING))

SECRET_ZIPS = {"zipcrypto": z.zipcrypto(), "zipcrypto stored": z.zipcrypto(z.STORED), "zip aes-128": z.aes(128), "zip aes-256": z.aes(256),
    "zip ae-1": z.aes(256, 1)}
for case_name, wrap_ in SECRET_ZIPS.items():
    box(case_name, "archive", wrap_, "invoice.zip", b"application/zip")
    box(case_name + ", password told", "archive", wrap_, "invoice.zip", b"application/zip", PASSWORD_NOTE)

ARCHIVES = {
    "7z copy": (ar.seven(), "a.7z"),
    "7z lzma": (ar.seven("lzma"), "a.7z"),
    "7z lzma2": (ar.seven("lzma2"), "a.7z"),
    "7z deflate": (ar.seven("deflate"), "a.7z"),
    "7z without substreams": (ar.seven(substreams=False), "a.7z"),
    "7z packed header": (ar.seven("lzma", True), "a.7z"),
    "7z aes": (ar.seven("aes"), "a.7z"),
    "7z secret header": (ar.seven_secret_header, "a.7z"),
    "rar4": (ar.rar4(), "a.rar"),
    "rar4 encrypted": (ar.rar4(0x8404), "a.rar"),
    "rar4 secret header": (ar.rar4_secret_header, "a.rar"),
    "rar5": (ar.rar5, "a.rar"),
    "rar5 stream of NTFS": (ar.rar5_stream, "a.rar"),
    "rar4 stream of NTFS": (ar.rar4_stream, "a.rar"),
    "rar5 encrypted": (ar.rar5_secret, "a.rar"),
    "rar5 secret header": (ar.rar5_secret_header, "a.rar"),
    "tar v7": (ar.tar_v7, "a.tar"),
    "tar ustar": (ar.tar(), "a.tar"),
    "tar gnu": (ar.tar(tarfile.GNU_FORMAT), "a.tar"),
    "tar gnu long name": (ar.tar(tarfile.GNU_FORMAT, prefix="x" * 120 + "/"), "a.tar"),
    "tar pax": (ar.pax_name, "a.tar"),
    "tar.gz": (ar.tar(mode="w:gz"), "a.tgz"),
    "tar.bz2": (ar.tar(mode="w:bz2"), "a.tar.bz2"),
    "tar.xz": (ar.tar(mode="w:xz"), "a.tar.xz"),
    "tar.lzma": (lambda n, o: lzma.compress(ar.tar()(n, o), lzma.FORMAT_ALONE), "a.tar.lzma"),
    "tar.Z": (lambda n, o: ar.compress(ar.tar()(n, o)), "a.tar.Z"),
    "tar.zst": (lambda n, o: ar.zstd(ar.tar()(n, o)), "a.tar.zst"),
    "tar.lz4": (lambda n, o: ar.lz4(ar.tar()(n, o)), "a.tar.lz4"),
    "tar.lzo": (lambda n, o: ar.lzop(ar.tar()(n, o)), "a.tar.lzo"),
    "cpio odc": (ar.cpio("odc"), "a.cpio"),
    "cpio newc": (ar.cpio("newc"), "a.cpio"),
    "cpio crc": (ar.cpio("crc"), "a.cpio"),
    "cpio bin": (ar.cpio("bin"), "a.cpio"),
    "cpio bin, high octet first": (ar.cpio("big"), "a.cpio"),
    "ar": (ar.ar(), "a.a"),
    "ar bsd": (ar.ar("bsd"), "a.a"),
    "ar gnu": (ar.ar("gnu"), "a.a"),
    "deb": (ar.deb(), "a.deb"),
    "deb xz": (ar.deb("xz"), "a.deb"),
    "rpm": (ar.rpm(), "a.rpm"),
    "rpm xz": (ar.rpm("xz"), "a.rpm"),
    "cab": (ar.cab(), "a.cab"),
    "cab mszip": (ar.cab(True), "a.cab"),
    "lha 0": (ar.lha(0), "a.lzh"),
    "lha 1": (ar.lha(1), "a.lzh"),
    "lha 2": (ar.lha(2), "a.lzh"),
    "arj": (ar.arj, "a.arj"),
    "xar": (ar.xar(), "a.xar"),
    "xar stored": (ar.xar(False), "a.xar"),
    "iso": (ar.iso, "a.iso"),
    "iso short": (lambda n, o: ar.iso(n, o, 22), "a.iso"),
}
for case_name, (wrap_, file_name_) in ARCHIVES.items():
    box(case_name, "archive", wrap_, file_name_)
# What says to be no plain file, and has octets: some readers make one of it.
MODES = {"pipe": ar.PIPE, "device": ar.DEVICE, "folder": ar.FOLDER, "link": ar.LINK}
for case_name, mode_ in MODES.items():
    box("7z of a " + case_name, "archive", ar.seven("lzma", mode=mode_), "a.7z", odd=case_name == "link")
    box("rar4 of a " + case_name, "archive", ar.rar4(mode=mode_), "a.rar", odd=case_name == "link")
    box("rar5 of a " + case_name, "archive", lambda n, o, m=mode_: ar.rar5(n, o, mode=m), "a.rar")
    box("cpio of a " + case_name, "archive", ar.cpio("newc", mode_), "a.cpio", odd=case_name == "link")
box("xar of a fifo", "archive", ar.xar(kind="fifo"), "a.xar")
for case_name in ("lh1", "lzs"):
    box("lha of " + case_name, "archive", ar.lha(1, b"-%s-" % case_name.encode()), "a.lzh")
box("lha that begins as a cpio", "archive", ar.lha_like_cpio, "a.lzh", odd=True)

# What one system shows of a disc and the next one does not.


def upper(name):
    return name.upper().encode() + b";1"


DISCS = {
    "iso with Joliet": (lambda n, o: ar.disc([o], [(upper(n), 0, len(o), b"")], [(ar.wide_name(n), 0, len(o), b"")]), False),
    "iso with Rock Ridge and Joliet": (lambda n, o: ar.disc([o], [(b"A.;1", 0, len(o), ar.rock_name(n.encode()))],
        [(ar.wide_name(n), 0, len(o), b"")]), False),
    "iso, in Joliet alone": (lambda n, o: ar.disc([ar.README, o], [(b"A.TXT;1", 0, 27, ar.rock_name(b"a.txt"))],
        [(ar.wide_name(n), 1, len(o), b"")]), True),
    "iso, not in Joliet": (lambda n, o: ar.disc([ar.README, o], [(upper(n), 1, len(o), b"")], [(ar.wide_name("a.txt"), 0, 27, b"")]), True),
    "iso of two files at one place": (lambda n, o: ar.disc([o], [(b"A.TXT;1", 0, 1, b""), (upper(n), 0, len(o), b"")]), False),
    "iso of two files with one number": (lambda n, o: ar.disc([ar.README, o], [(b"A.TXT;1", 0, 27, ar.ROCK_PIPE),
        (upper(n), 1, len(o), ar.ROCK_PIPE)]), False),
    "iso of a pipe": (lambda n, o: ar.disc([o], [(upper(n), 0, len(o), ar.ROCK_PIPE)]), False),
    "iso that says to be short": (lambda n, o: ar.disc([o], [(upper(n), 0, len(o), b"")], sectors=24), False),
    "iso, in the path table alone": (lambda n, o: ar.disc([ar.README, o], [(b"A.TXT;1", 0, 27, b"")], by_table=[(upper(n), 1, len(o), b"")]), True),
}
for case_name, (wrap_, odd_) in DISCS.items():
    box(case_name, "archive", wrap_, "a.iso", odd=odd_)
box("iso behind a gzip file", "archive", ar.iso_behind_gzip, "a.iso", odd=True)


# ------------------------------------------------------------------ one compressed file

lone("gzip", gzip.compress, "a.gz")
lone("gzip of two", lambda o: gzip.compress(o[:30]) + gzip.compress(o[30:]), "a.gz")
lone("gzip with junk behind", lambda o: gzip.compress(o) + b"junk" * 20, "a.gz")
lone("gzip cut", lambda o: gzip.compress(o)[:-8], "a.gz")
box("gzip with a name", "compressed", lambda n, o: ar.gz(o, n.encode()), "a.gz")
add("gzip named otherwise inside", "compressed", lambda n, o: mwodd.attached(n + ".gz", ar.gz(o, b"a.txt")))
add("lzop named otherwise inside", "compressed", lambda n, o: mwodd.attached(n + ".lzo", ar.lzop(o, b"a.txt")))
box("gzip of two with names", "compressed", lambda n, o: ar.gz(b"", n.encode()) + ar.gz(o, b"a.txt"), "a.gz")
lone("bzip2", bz2.compress, "a.bz2")
lone("bzip2 of two", lambda o: bz2.compress(o[:30]) + bz2.compress(o[30:]), "a.bz2")
lone("xz", lzma.compress, "a.xz")
lone("xz of two", lambda o: lzma.compress(o[:30]) + lzma.compress(o[30:]), "a.xz")
lone("lzma", lambda o: lzma.compress(o, lzma.FORMAT_ALONE), "a.lzma")
lone("lzma of other bits", ar.lzma_alone(pb=0), "a.lzma")
lone("lzma of other bits, as data", ar.lzma_alone(pb=0, lc=0, told=True), "a.dat")
lone("lzma -e", ar.lzma_alone(lc=4), "a.lzma")
lone("lzma of a small dictionary", ar.lzma_alone(4096), "a.dat")
lone("lzma of a dictionary and a half", ar.lzma_alone(3 << 15, True), "a.dat")
lone("lzip", ar.lzip, "a.lz")
lone("lz4", ar.lz4, "a.lz4")
lone("lz4 legacy", ar.lz4_legacy, "a.lz4")
lone("zstd", ar.zstd, "a.zst")
lone("zstd behind a skippable frame", ar.zstd_skippable, "a.zst")
lone("compress", ar.compress, "a.Z")
lone("compress, table emptied", ar.compress_cleared, "a.Z")
lone("lzop", ar.lzop, "a.lzo")


def behind_another(compress):
    """What comes out begins with a file of the same compression: who takes off both layers at once ends with the inner one."""
    return lambda n, o: compress(compress(b"x" * 40) + z.simple()(n, o))


for case_name, compress_ in (("gzip", gzip.compress), ("bzip2", bz2.compress), ("xz", lzma.compress), ("lzip", ar.lzip), ("zstd", ar.zstd),
        ("lz4", ar.lz4)):
    box(case_name + " of the same, zip behind", "compressed", behind_another(compress_), "report.zip." + case_name)
box("compress of the same, zip behind", "compressed", lambda n, o: ar.compress(ar.compress_full() + z.simple()(n, o)), "report.zip.Z",
    odd=True)
box("rpm of the same, zip behind", "compressed", lambda n, o: ar.rpm_of(gzip.compress(gzip.compress(b"x" * 40) + z.simple()(n, o))), "a.rpm")

# ------------------------------------------------------------------ documents

DOCUMENTS = {
    "ole package": (doc.word, "a.doc"),
    "ole package in long sectors": (doc.ole_long, "a.xls"),
    "msg": (doc.msg, "a.msg"),
    "msg in msg": (doc.msg_in_msg, "a.msg"),
    "office encrypted": (doc.encrypted_office, "a.docx"),
    "docx with a package": (doc.docx_object, "a.docx"),
    "docx with a file": (doc.docx_file, "a.docx"),
    "docx in docx": (doc.docx_in_docx, "a.docx"),
    "odt with a file": (doc.odt_file, "a.odt"),
    "tnef": (doc.tnef(), "winmail.dat"),
    "tnef long name": (doc.tnef("long name"), "winmail.dat"),
    "tnef data among properties": (doc.tnef("properties"), "winmail.dat"),
    "pdf": (doc.pdf(), "a.pdf"),
    "pdf in an object stream": (doc.pdf("/FlateDecode", packed=True), "a.pdf"),
    "pdf name in UTF-16": (doc.pdf(name_as=doc.pdf_name_utf16), "a.pdf"),
    "pdf name in octal": (doc.pdf(name_as=doc.pdf_name_octal), "a.pdf"),
    "pdf type escaped": (doc.pdf("/FlateDecode", type_as="/Embedded#46ile"), "a.pdf"),
    "pdf behind text": (lambda n, o: b"x" * 700 + b"\n" + doc.pdf("/FlateDecode")(n, o), "a.pdf"),
    "pdf encrypted": (doc.pdf(secret=True), "a.pdf"),
    "pdf with a predictor": (doc.pdf_predicted, "a.pdf"),
    "pdf before a web page": (doc.pdf_before_mht, "a.doc"),
    "flat opc": (doc.flat_opc, "a.xml"),
    "flat opc in UTF-16": (lambda n, o: doc.flat_opc(n, o, "utf-16"), "a.xml"),
    "rtf package": (doc.rtf_package(), "a.rtf"),
    "rtf with blanks": (doc.rtf_package("blanks"), "a.rtf"),
    "rtf with groups": (doc.rtf_package("groups"), "a.rtf"),
    "rtf binary": (doc.rtf_package("bin"), "a.rtf"),
    "rtf with a compound file": (doc.rtf_compound, "a.rtf"),
    "rtf as doc": (doc.rtf_package(), "a.doc"),
    "eml": (doc.eml, "a.eml"),
    "mbox": (doc.mbox, "a.mbox"),
    "mht": (doc.mht, "a.mht"),
}
for case_name, (wrap_, file_name_) in DOCUMENTS.items():
    box(case_name, "document", wrap_, file_name_)
for case_name in list(doc.FILTERS)[1:]:
    box("pdf " + case_name, "document", doc.pdf(case_name), "a.pdf")
box("ole contents", "document", doc.ole_contents, "a.doc", tells_name=False)
for case_name in ("base64", "blanks", "escaped base64", "entities", "percent"):
    box("html " + case_name, "document", doc.html(case_name), "a.html", b"text/html", tells_name=False)
box("html in UTF-16", "document", lambda n, o: doc.html()(n, o).decode().encode("utf-16"), "a.html", b"text/html", tells_name=False)
box("zip in a script", "document", doc.in_script, "a.html", b"text/html")
box("onenote", "document", doc.onenote, "a.one", tells_name=False)
box("html unquoted", "document", doc.html(attribute="href={}"), "a.html", b"text/html", tells_name=False)
box("html of an image", "document", doc.html(attribute="><img src='{}'"), "a.html", b"text/html", tells_name=False)
add("html body of a mail", "document", lambda n, o: mwodd.HEAD + b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
    mwodd.base64_lines(doc.html()(n, o)), tells_name=False)

# ------------------------------------------------------------------ programs with an archive behind them

for case_name, wrap_ in (("zip", z.simple()), ("7z", ar.seven("lzma")), ("rar4", ar.rar4()), ("rar5", ar.rar5), ("cab", ar.cab(True)),
        ("zip, offsets told", lambda n, o: z.archive(z.Member(n, o), base=512))):
    box("program with " + case_name, "program", lambda n, o, w=wrap_: program().ljust(512, b"\0") + w(n, o), "setup.bin")

# ------------------------------------------------------------------ text that holds files, as files of their own

for case_name, wrap_ in (("uue", ar.uuencoded), ("uue with octets behind the lines", ar.uuencoded_behind), ("begin-base64", ar.begin_base64), ("yenc", ar.yenc), ("hqx", ar.binhex)):
    box(case_name + " file", "text", wrap_, "a." + case_name)

# ------------------------------------------------------------------ MIME

for case_name, make_ in mwodd.PLAIN.items():
    add(case_name, "name" if case_name.startswith("name") else "mime", make_)
for case_name, make_ in mwodd.ODD.items():
    add(case_name, "name" if case_name.startswith("name") else "mime", make_, odd=True)
add("forwarded, encoded file", "mime", mwodd.file_as_message)

# ------------------------------------------------------------------ S/MIME

for case_name, (make_, more_) in mwsmime.CASES.items():
    add(case_name, "smime", make_, **{k: v for k, v in more_.items() if k != "secret"})

# ------------------------------------------------------------------ wrong types and extensions

for case_name, wrap_, file_name_, ctype_ in (
        ("zip as text", z.simple(), "a.txt", b"text/plain"),
        ("zip as image", z.simple(), "a.png", b"image/png"),
        ("zip as html", z.simple(), "a.html", b"text/html"),
        ("rar as zip", ar.rar5, "a.zip", b"application/zip"),
        ("7z as pdf", ar.seven("lzma"), "a.pdf", b"application/pdf"),
        ("tar.gz as doc", ar.tar(mode="w:gz"), "a.doc", b"application/msword"),
        ("docx as jpg", doc.docx_object, "a.jpg", b"image/jpeg"),
        ("eml as pdf", doc.eml, "a.pdf", b"application/pdf"),
        ("html as text", doc.html(), "a.txt", b"text/plain"),
        ("tnef as text", doc.tnef(), "a.txt", b"text/plain"),
        ("pdf as video", doc.pdf("/FlateDecode"), "a.mpg", b"video/mpeg"),
        ("zip as multipart/x", z.simple(), "a.dat", b"multipart/x-zip")):
    box(case_name, "type", wrap_, file_name_, ctype_, tells_name=not case_name.startswith("html"), odd="multipart" in case_name)
for case_name, ctype_ in (("file as image", b"image/jpeg"), ("file as text", b"text/plain"), ("file as html", b"text/html"),
        ("file as message/delivery-status", b"message/delivery-status"), ("file as x/y", b"x/y")):
    add(case_name, "type", lambda n, o, c=ctype_: mwodd.attached(n, o, c), odd="message" in case_name)

# ------------------------------------------------------------------ one in the other


def nest(*steps):
    """From the inside outward: (wrap, name of what it makes)."""
    def make(name, octets):
        for wrap, made in steps:
            name, octets = made, wrap(name, octets)
        return octets
    return make


ZIP, TGZ, EML = (z.simple(), "a.zip"), (ar.tar(mode="w:gz"), "a.tgz"), (doc.eml, "a.eml")
SEVEN, RAR, DOCX, TNEF = (ar.seven("lzma"), "a.7z"), (ar.rar5, "a.rar"), (doc.docx_object, "a.docx"), (doc.tnef(), "winmail.dat")
GZ, OLE, PDF = (lambda n, o: gzip.compress(o), "a.gz"), (doc.word, "a.doc"), (doc.pdf("/FlateDecode"), "a.pdf")
NESTS = {
    "zip in zip": (ZIP, ZIP),
    "zip in zip in zip": (ZIP, ZIP, ZIP),
    "zip in tar.gz": (ZIP, TGZ),
    "tar.gz in zip": (TGZ, ZIP),
    "eml in zip in 7z": (EML, ZIP, SEVEN),
    "docx in zip": (DOCX, ZIP),
    "docx in eml": (DOCX, EML),
    "zip in docx": (ZIP, DOCX),
    "zip in tnef": (ZIP, TNEF),
    "zip in msg": (ZIP, (doc.msg, "a.msg")),
    "tnef in eml": (TNEF, EML),
    "rar in ole": (RAR, OLE),
    "pdf in zip": (PDF, ZIP),
    "zip in pdf": (ZIP, PDF),
    "ole in pdf in tar.gz": (OLE, PDF, TGZ),
    "7z in rar in iso": (SEVEN, RAR, (ar.iso, "a.iso")),
    "gzip in gzip in gzip": (GZ, GZ, GZ),
    "cab in rpm": ((ar.cab(True), "a.cab"), (ar.rpm(), "a.rpm")),
    "eml in eml in eml": (EML, EML, EML),
    "zip in html": (ZIP, (doc.html(), "a.html")),
    "html in zip": ((doc.html(), "a.html"), ZIP),
    "zip in uue in zip": (ZIP, (ar.uuencoded, "a.uue"), ZIP),
    "rtf in zip": ((doc.rtf_package(), "a.rtf"), ZIP),
    "mbox in tar.gz": ((doc.mbox, "a.mbox"), TGZ),
    "zip in lzop": (ZIP, (lambda n, o: ar.lzop(o), "a.lzo")),
    "arj in zip": ((ar.arj, "a.arj"), ZIP),
    "zip in a program": (ZIP, (lambda n, o: program().ljust(512, b"\0") + z.simple()(n, o), "setup.bin")),
    "secret zip in zip": ((z.zipcrypto(), "a.zip"), ZIP),
}
NO_NAMES = ("gzip in gzip in gzip", "html in zip")
for case_name, steps_ in NESTS.items():
    box(case_name, "program" if "a program" in case_name else "nest", nest(*steps_), steps_[-1][1], tells_name=case_name not in NO_NAMES)
add("zip in tar.gz in a message", "nest", lambda n, o: mwodd.forwarded("a.tgz", nest(ZIP, TGZ)(n, o)))
add("eml in zip in a message in base64", "nest", lambda n, o: mwodd.ODD["message in base64"]("a.zip", nest(EML, ZIP)(n, o)), odd=True)
add("docx in uuencode in text", "nest", lambda n, o: mwodd.ODD["uuencode in text"]("a.docx", doc.docx_object(n, o)), odd=True)
add("zip in two boundaries", "nest", lambda n, o: mwodd.two_views("a.zip", z.simple()(n, o)), odd=True)
