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
import mwdisk
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
    "zip between octets": lambda n, o: b"x" * 500 + z.archive(z.Member(n, o)) + b"x" * 70000,
    "zip between octets, offsets told": lambda n, o: b"x" * 500 + z.archive(z.Member(n, o), base=500) + b"x" * 70000,
    "zip between octets, a PDF": lambda n, o: b"%PDF-1.4\n" + z.archive(z.Member(n, o)) + b"x" * 70000,
    "zip without directory behind text": lambda n, o: b"x" * 500 + z.without_directory(n, o),
    "zip without directory before a zip": lambda n, o: b"x" * 500 + z.without_directory(n, o) + z.archive(z.Member("readme.txt", z.HARMLESS)),
    "zip of a span": lambda n, o: b"PK\7\x08" + z.archive(z.Member(n, o), base=4),
    "zip of one volume": lambda n, o: b"PK00" + z.archive(z.Member(n, o), base=4),
    "zip with text behind": lambda n, o: z.archive(z.Member(n, o)) + b"x" * 300,
    "zip with octets between": z.simple(between=b"x" * 300),
    "zip local only": z.only_local,
    "zip central only": z.only_central,
    "zip points elsewhere": z.other_offset,
    "zip points at two": z.two_offsets,
    "zip twice, evil last": z.two_ends(True),
    "zip twice, evil first": z.two_ends(False),
    "zip end in comment, evil inner": z.end_in_comment(True),
    "zip end in comment, evil outer": z.end_in_comment(False),
    "zip end covered, Deflate": z.covered_by(z.DEFLATED),
    "zip end covered, bzip2": z.covered_by(z.BZIP2),
    "zip end covered, xz": z.covered_by(z.XZ),
    "zip end covered, Zstandard": z.covered_by(z.ZSTD),
    "zip end covered, LZMA": z.covered_by(z.LZMA),
    "zip without directory": z.without_directory,
    "zip local name differs": z.lying(local={"name": b"readme.txt"}),
    "zip central name differs": z.lying(central={"name": b"readme.txt"}),
    "zip local sizes zero": z.lying(local={"csize": 0, "size": 0, "crc": 0}),
    "zip central sizes zero": z.lying(central={"csize": 0, "size": 0, "crc": 0}),
    "zip local method stored": z.lying(local={"method": z.STORED}),
    "zip central method stored": z.lying(central={"method": z.STORED}),
    "zip size too small": z.lying(local={"size": 1}, central={"size": 1}),
    "zip size of stored larger": z.lying(z.STORED, local={"csize": 1}, central={"csize": 1}),
    "zip local descriptor says more": z.described(0),
    "zip local descriptor says less": z.described_before,
    "zip folder with a stream": z.folder_with_stream,
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
    "zip name in extra field of two": z.two_unicode_names,
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
box("zip aes of two methods, password told", "archive", z.aes_of_two_methods, "invoice.zip", b"application/zip", PASSWORD_NOTE, odd=True)
for case_name, wrap_ in (("7z", ar.seven("lzma")), ("rar5", ar.rar5), ("gzip", lambda _, o: gzip.compress(o))):
    box(f"{case_name} between a zip's members", "archive", lambda n, o, w=wrap_: z.archive(z.Member("readme.txt", z.HARMLESS), between=w(n, o)),
        "invoice.zip", odd=True, tells_name=case_name != "gzip")
    box(f"{case_name} in a zip's comment", "archive", lambda n, o, w=wrap_: z.simple(comment=w(n, o))("readme.txt", z.HARMLESS), "invoice.zip",
        odd=True, tells_name=case_name != "gzip")

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
# What libarchive and unrar do not read alike.
for case_name, wrap_ in (("rar5 behind a block of type 0", ar.rar5_type_0), ("rar5 behind an unknown block", ar.rar5_gap),
        ("rar5 behind octets in the main header", ar.rar5_loose_main), ("rar5 name beyond its header", ar.rar5_long_name),
        ("rar5 quick open of another file", ar.rar5_quick_other),
        ("rar4 behind an old recovery block", ar.rar4_gap(0x78)), ("rar4 behind an old service block", ar.rar4_gap(0x77)),
        ("rar5 fifo of Unix", ar.rar5_of_unix(0x11A4)), ("rar5 folder of Unix", ar.rar5_of_unix(0x41ED)),
        ("rar5 link of Unix", ar.rar5_of_unix(0xA1FF)), ("rar4 fifo of Unix", ar.rar4(system=3, attributes=0x11A4)),
        ("rar4 device of Unix", ar.rar4(system=3, attributes=0x21A4)), ("rar4 link of a Mac", ar.rar4(system=4, attributes=0xA1FF)),
        ("rar4 folder of Windows", ar.rar4(attributes=0x10))):
    box(case_name, "archive", wrap_, "a.rar", odd=True)
box("rar5 name that is no text", "archive", ar.rar5_raw_name, "a.rar")
box("rar5 quick open", "archive", ar.rar5_quick, "a.rar")
box("rar4 link of Unix", "archive", ar.rar4(system=3, attributes=0xA1FF), "a.rar")

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
for case_name, wrap_ in (("iso, in a folder that is longer", ar.long_folder_disc), ("iso, in a folder that is elsewhere", ar.moved_folder_disc),
        ("iso, in a folder behind attributes", ar.attributes_disc), ("iso, behind a gap between descriptors", ar.gap_disc)):
    DISCS[case_name] = wrap_, True
for case_name, (wrap_, odd_) in DISCS.items():
    box(case_name, "archive", wrap_, "a.iso", odd=odd_)
box("iso behind a gzip file", "archive", ar.iso_behind_gzip, "a.iso", odd=True)
for case_name, wrap_ in mwdisk.DISKS.items():
    box(case_name, "archive", wrap_, "a.img")
box("disk in zip", "archive", lambda n, o: z.simple(z.STORED)("a.img", mwdisk.mbr(n, o)), "a.zip", b"application/zip")

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
# Readers join what stands one behind the other: alone neither piece is anything.
PIECES = {
    "xz": lzma.compress,
    "xz of another check": lambda o: lzma.compress(o, check=lzma.CHECK_CRC32),
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "zstd": ar.zstd,
    "lz4": ar.lz4,
    "lzip": ar.lzip,
    "lzop": ar.lzop,
}
for case_name, piece_ in PIECES.items():
    behind_ = lzma.compress if case_name.startswith("xz") else piece_
    lone(case_name + " in pieces", lambda o, a=piece_, b=behind_: a(o[:1]) + b(o[1:]), "a." + case_name.split()[0], odd=case_name == "lzop")
lone("xz in pieces with padding between", lambda o: lzma.compress(o[:1]) + bytes(8) + lzma.compress(o[1:], check=lzma.CHECK_SHA256), "a.xz")
lone("zstd in pieces with a skippable frame between", lambda o: ar.zstd(o[:1]) + ar.zstd_skippable(o[1:]), "a.zst")
lone("lz4 in pieces, the last legacy", lambda o: ar.lz4(o[:1]) + ar.lz4_legacy(o[1:]), "a.lz4")
lone("lz4 in pieces, the first legacy", lambda o: ar.lz4_legacy(o[:20]) + ar.lz4(o[20:]), "a.lz4")
# Few readers join these: told.
lone("gzip in pieces with zeros between", lambda o: gzip.compress(o[:1]) + bytes(64) + gzip.compress(o[1:]), "a.gz", odd=True)
lone("zstd and gzip", lambda o: ar.zstd(o[:1]) + gzip.compress(o[1:]), "a.zst", odd=True)
lone("xz and gzip", lambda o: lzma.compress(o[:1]) + gzip.compress(o[1:]), "a.xz", odd=True)
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
    "ole package with names in UTF-16": (doc.word_wide, "a.doc"),
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
    "pdf before two web pages": (doc.pdf_before_mht_small, "a.doc"),
    "flat opc": (doc.flat_opc, "a.xml"),
    "flat opc, blanks in its tags": (lambda n, o: doc.flat_opc(n, o).replace(b"pkg:name=", b"pkg:name\n= "), "a.xml"),
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
for tag in ("3707001E", "3707001F", "3704001E", "3704001F", "3001001F", "370C001F"):
    box("msg name in " + tag, "document", doc.msg_named(tag), "a.msg")
for i_, which_ in enumerate(("first long", "shown", "short", "transport", "last long", "title", "transport attribute")):
    box("tnef name is the " + which_, "document", doc.tnef_named(i_), "winmail.dat")
for case_name in list(doc.FILTERS)[1:]:
    box("pdf " + case_name, "document", doc.pdf(case_name), "a.pdf")
box("ole contents", "document", doc.ole_contents, "a.doc", tells_name=False)
for case_name in ("base64", "blanks", "escaped base64", "entities", "percent"):
    box("html " + case_name, "document", doc.html(case_name), "a.html", b"text/html", tells_name=False)
for case_name, text_ in doc.PAGES.items():
    box("html, " + case_name, "document", doc.saved_page(text_), "a.html", b"text/html", tells_name="n}" in text_ and case_name != "refresh")
box("html in UTF-16", "document", lambda n, o: doc.html()(n, o).decode().encode("utf-16"), "a.html", b"text/html", tells_name=False)
box("html in UTF-16 without a mark", "document", lambda n, o: "\u4e2d".encode("utf-16le") + doc.html()(n, o).decode().encode("utf-16le"), "a.html",
    b"text/html; charset=utf-16le", tells_name=False)
box("zip in a script", "document", doc.in_script(), "a.html", b"text/html")
for case_name in ("small pieces", "lines", "written lines", "lines that go on", "an element"):
    box("zip in a script, " + case_name, "document", doc.in_script(case_name), "a.html", b"text/html")
box("active mime", "document", doc.active_mime(), "a.mso", tells_name=False)
box("active mime behind nothing, deflated", "document", doc.active_mime(bytes(6) + bytes.fromhex("789c030000000001")), "a.mso", tells_name=False)
box("active mime behind another", "document", doc.active_mime(bytes(6) + bytes.fromhex("789c4b4c0400012500c3")), "a.mso", tells_name=False)
box("onenote", "document", doc.onenote, "a.one", tells_name=False)
CALENDARS = {
    "calendar": doc.calendar(),
    "calendar, encoding b": doc.calendar("FILENAME=readme.txt;ENCODING=b;X-FILENAME={}"),
    "calendar behind a mark and empty lines": doc.calendar(before="\ufeff\r\n\r\n"),
    "calendar in UTF-16": lambda n, o: doc.calendar(before="\r\n")(n, o).decode().encode("utf-16"),
    "calendar with an address": doc.calendar_address,
    "card": doc.card,
}
for case_name, wrap_ in CALENDARS.items():
    box(case_name, "document", wrap_, "a.ics", b"text/calendar")
box("calendar as text", "document", doc.calendar(), "a.txt", b"text/plain")
add("calendar body of a mail", "document", lambda n, o: mwodd.HEAD + b"Content-Type: text/calendar; method=REQUEST\r\n\r\n" + doc.calendar()(n, o))
box("onenote of a cloud", "document", doc.onenote_package, "a.one", tells_name=False)
box("html unquoted", "document", doc.html(attribute="href={}"), "a.html", b"text/html", tells_name=False)
box("html of an image", "document", doc.html(attribute="><img src='{}'"), "a.html", b"text/html", tells_name=False)
add("html body of a mail", "document", lambda n, o: mwodd.HEAD + b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
    mwodd.base64_lines(doc.html()(n, o)), tells_name=False)

# ------------------------------------------------------------------ programs with an archive behind them

for case_name, wrap_ in (("zip", z.simple()), ("7z", ar.seven("lzma")), ("rar4", ar.rar4()), ("rar5", ar.rar5), ("cab", ar.cab(True)),
        ("zip, offsets told", lambda n, o: z.archive(z.Member(n, o), base=512))):
    box("program with " + case_name, "program", lambda n, o, w=wrap_: program().ljust(512, b"\0") + w(n, o), "setup.bin")

for case_name, wrap_ in (("rar5 of a long main block", ar.rar5_long_main), ("rar5 of a padded size", ar.rar5_padded_size),
        ("rar4 of another first block", ar.rar4_other_first)):
    box("text with " + case_name, "archive", lambda n, o, w=wrap_: b"text " * 20 + w(n, o), "a.rar", odd="long main" in case_name)

# ------------------------------------------------------------------ archives in archives that are no members of them

HIDES = {
    "PK and octets": lambda o: b"PK" + bytes(range(20)) + o,
    "the octets between a zip's members": lambda o: z.archive(z.Member("readme.txt", ar.TEXT), between=o),
    "the comment of a zip called a.rar": lambda o: z.archive(z.Member("readme.txt", ar.TEXT), comment=o),
    "a zip's extra field": lambda o: z.archive(z.Member("readme.txt", ar.TEXT, extra=struct.pack("<HH", 0x7777, len(o)) + o)),
    "a gzip's extra field": ar.in_gzip_field,
    "a zstd frame that is skipped": ar.in_zstd_frame,
    "metadata of a warc": ar.in_warc_metadata,
    "sectors of no file": ar.in_iso_sectors,
}
for case_name, hide in HIDES.items():
    for inner, wrap_ in (("rar4", ar.rar4()), ("rar5", ar.rar5), ("7z", ar.seven("lzma"))):
        box(f"{inner} in {case_name}", "archive", lambda n, o, w=wrap_, h=hide: h(w(n, o)), "a.rar", odd=True)
# And those that are members, as they stand: their reader gives them out, and nothing is odd.
MEMBERS = {
    "stored in a zip": lambda n, o: z.archive(z.Member("readme.txt", ar.TEXT, z.STORED), z.Member("a.rar", ar.rar5(n, o), z.STORED),
        z.Member("b.7z", ar.seven()("b.txt", ar.TEXT), z.STORED), z.Member("c.rar", ar.rar4()("c.txt", ar.TEXT), z.STORED)),
    "stored in a zip in a zip": lambda n, o: z.simple(z.STORED)("a.zip", z.simple(z.STORED)("a.rar", ar.rar5(n, o))),
    "in a tar": lambda n, o: ar.tar()("a.rar", ar.rar4()(n, o)),
    "in a cpio": lambda n, o: ar.cpio("newc")("a.rar", ar.rar5(n, o)),
    "in a disc": lambda n, o: ar.iso("a.rar", ar.rar5(n, o)),
    "in a rar": lambda n, o: ar.rar5("a.rar", ar.rar4()(n, o)),
    "in a 7z": lambda n, o: ar.seven()("a.rar", ar.rar5(n, o)),
    "in a gzip that could not compress it": lambda n, o: gzip.compress(ar.rar5(n, o)[:-len(ar.RAR5_END)] +
        ar.rar5_file("noise", ar.noise(200000)) + ar.RAR5_END),
    "in a gzip that did not compress it": lambda n, o: gzip.compress(ar.rar5(n, o), 0),
}
for case_name, wrap_ in MEMBERS.items():
    box("rar " + case_name, "nest", wrap_, "a.bin")

# ------------------------------------------------------------------ text that holds files, as files of their own

for case_name, wrap_ in (("uue", ar.uuencoded), ("uue with octets behind the lines", ar.uuencoded_behind), ("begin-base64", ar.begin_base64), ("yenc", ar.yenc), ("hqx", ar.binhex)):
    box(case_name + " file", "text", wrap_, "a." + case_name)
box("uue with CR alone", "text", lambda n, o: ar.uuencoded(n, o).replace(b"\r\n", b"\r"), "a.uue")
box("uue with blanks", "text", lambda n, o: ar.uuencoded(n, o).replace(b"begin 644 ", b"begin  644\t"), "a.uue")
box("uue without a mode", "text", lambda n, o: ar.uuencoded(n, o).replace(b"begin 644 ", b"begin  "), "a.uue")
box("hqx behind text", "text", lambda n, o: ar.binhex(n, o).replace(b"\r\n\r\n:", b"\r\n\r\nhello :-)\r\n:", 1), "a.hqx")

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
    "tnef in zip": (TNEF, ZIP),
    "msg in zip": ((doc.msg, "a.msg"), ZIP),
    "msg in tnef": ((doc.msg, "a.msg"), TNEF),
    "mht in zip": ((doc.mht, "a.mht"), ZIP),
    "mht as doc in zip": ((doc.mht, "a.doc"), ZIP),
    "onenote in zip": ((doc.onenote, "a.one"), ZIP),
    "rar in ole": (RAR, OLE),
    "pdf in zip": (PDF, ZIP),
    "zip in pdf": (ZIP, PDF),
    "ole in pdf in tar.gz": (OLE, PDF, TGZ),
    "7z in rar in iso": (SEVEN, RAR, (ar.iso, "a.iso")),
    "gzip in gzip in gzip": (GZ, GZ, GZ),
    "cab in rpm": ((ar.cab(True), "a.cab"), (ar.rpm(), "a.rpm")),
    "eml in eml in eml": (EML, EML, EML),
    "zip in html": (ZIP, (doc.html(), "a.html")),
    "calendar in zip": ((doc.calendar(), "a.ics"), ZIP),
    "html in zip": ((doc.html(), "a.html"), ZIP),
    "zip in uue in zip": (ZIP, (ar.uuencoded, "a.uue"), ZIP),
    "rtf in zip": ((doc.rtf_package(), "a.rtf"), ZIP),
    "mbox in tar.gz": ((doc.mbox, "a.mbox"), TGZ),
    "zip in lzop": (ZIP, (lambda n, o: ar.lzop(o), "a.lzo")),
    "arj in zip": ((ar.arj, "a.arj"), ZIP),
    "zip in a program": (ZIP, (lambda n, o: program().ljust(512, b"\0") + z.simple()(n, o), "setup.bin")),
    "secret zip in zip": ((z.zipcrypto(), "a.zip"), ZIP),
}
NO_NAMES = ("gzip in gzip in gzip", "html in zip", "onenote in zip")
for case_name, steps_ in NESTS.items():
    box(case_name, "program" if "a program" in case_name else "nest", nest(*steps_), steps_[-1][1], tells_name=case_name not in NO_NAMES)
add("zip in tar.gz in a message", "nest", lambda n, o: mwodd.forwarded("a.tgz", nest(ZIP, TGZ)(n, o)))
add("eml in zip in a message in base64", "nest", lambda n, o: mwodd.ODD["message in base64"]("a.zip", nest(EML, ZIP)(n, o)), odd=True)
add("docx in uuencode in text", "nest", lambda n, o: mwodd.ODD["uuencode in text"]("a.docx", doc.docx_object(n, o)), odd=True)
add("zip in two boundaries", "nest", lambda n, o: mwodd.two_views("a.zip", z.simple()(n, o)), odd=True)
