#!/usr/bin/env python3
"""Write small documents that hold a file, one of each kind, to tests/fuzz/corpus/doc: what fuzz_doc begins with."""

import base64
import binascii
import pathlib
import struct
import zlib

FILE = b"MZ hello, this is a file\n"
NONE, END = 0xFFFFFFFF, 0xFFFFFFFE


def compound(files):
    """A compound file of short streams: [(name, parent from 1 or 0, octets or None)]."""
    minis = [(len(octets or b"") + 63) // 64 for _, _, octets in files]
    stream = b"".join((octets or b"").ljust(64 * n, b"\0") for (_, _, octets), n in zip(files, minis))
    directory_sectors = (len(files) + 1 + 3) // 4
    stream_sectors = (len(stream) + 511) // 512
    first = 2 + directory_sectors

    def chain(start, n):
        return [start + i + 1 for i in range(n - 1)] + [END] if n else []

    fat = [0xFFFFFFFD, *chain(1, directory_sectors), END, *chain(first, stream_sectors)]
    minifat = []
    for n in minis:
        minifat += chain(len(minifat), n)

    def sibling(start, parent):
        return next((i + 1 for i in range(start, len(files)) if files[i][1] == parent), NONE)

    def entry(name, kind, right, child, start, size):
        wide = name.encode("utf-16-le")
        return (wide.ljust(64, b"\0") + struct.pack("<HBBIII", len(wide) + 2, kind, 1, NONE, right, child)
                + bytes(36) + struct.pack("<IQ", start, size))

    directory = entry("Root Entry", 5, NONE, sibling(0, 0), first, len(stream))
    at = 0
    for i, (name, parent, octets) in enumerate(files):
        directory += entry(name, 1 if octets is None else 2, sibling(i + 1, parent),
                           sibling(0, i + 1) if octets is None else NONE, at, len(octets or b""))
        at += minis[i]
    head = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
            + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(10)
            + struct.pack("<IIIIIIIII", 1, 1, 0, 4096, 1 + directory_sectors, 1, END, 0, 0))

    def table(numbers):
        return struct.pack("<%dI" % len(numbers), *numbers).ljust(512, b"\xff")

    return (head.ljust(512, b"\xff") + table(fat) + directory.ljust(512 * directory_sectors, b"\0")
            + table(minifat) + stream.ljust(512 * stream_sectors, b"\0"))


def package(octets):
    body = (struct.pack("<H", 2) + b"a.pdf\0C:\\x\\b.exe\0" + struct.pack("<HH", 0, 3)
            + struct.pack("<I", 8) + b"C:\\b.exe" + struct.pack("<I", len(octets)) + octets)
    return struct.pack("<I", len(body)) + body


def ole1(name, octets):
    return (struct.pack("<III", 0x501, 2, len(name) + 1) + name + b"\0" + struct.pack("<III", 0, 0, len(octets))
            + octets)


def tnef():
    def attribute(level, number, octets):
        return struct.pack("<BII", level, number, len(octets)) + octets + struct.pack("<H", sum(octets) & 0xFFFF)

    def prop(kind, number, octets):
        return struct.pack("<HHII", kind, number, 1, len(octets)) + octets.ljust(-(-len(octets) // 4) * 4, b"\0")

    lzfu = struct.pack("<IIII", 0x2D, 0x2B, 0x75465A4C, 0xA7C7C5F1) + bytes.fromhex(
        "03000a00726370673132354232 0af32068656c09002062770 5b06c647d0a800fa0".replace(" ", ""))
    names = prop(0x1F, 0x3707, "long name.exe\0".encode("utf-16-le")) + prop(0x0D, 0x3701, bytes(16) + FILE)
    return (b"\x78\x9f\x3e\x22\1\0" + attribute(1, 0x2800C, b"body\0")
            + attribute(1, 0x69003, struct.pack("<I", 1) + prop(0x102, 0x1009, lzfu))
            + attribute(2, 0x69002, bytes(14)) + attribute(2, 0x18010, b"SHORT~1.EXE\0")
            + attribute(2, 0x6800F, FILE) + attribute(2, 0x69005, struct.pack("<I", 2) + names))


def pdf():
    packed = b"3 0 << /EF << /F 1 0 R >> /UF <feff0062002e006500780065> /F (a.pdf) >>"
    return (b"%PDF-1.7\n1 0 obj << /Filter [/ASCIIHexDecode /FlateDecode] >> stream\n"
            + binascii.hexlify(zlib.compress(FILE)) + b">\nendstream endobj\n"
            + b"2 0 obj << /Type /ObjStm /N 1 /First 4 /Filter /FlateDecode >> stream\n" + zlib.compress(packed)
            + b"\nendstream endobj\n4 0 obj << /Type /Embedded#46ile /Filter /LZWDecode /Length 9 >> stream\n"
            + bytes.fromhex("800b6050220c0c8501") + b"\nendstream endobj\n"
            + b"5 0 obj << /Type /EmbeddedFile /Filter /A85 >> stream\n" + base64.a85encode(FILE)
            + b"~>\nendstream endobj\ntrailer << /Root 6 0 R /Encrypt 7 0 R >>\n")


def yenc(octets):
    return b"".join(b"=" + bytes([(c + 106) & 255]) if (c + 42) & 255 in b"\0\n\r=" else bytes([(c + 42) & 255])
                    for c in octets)


def binhex(octets):
    data = (b"\5x.exe\0APPL????\0\0" + struct.pack(">II", len(octets), 1) + b"\0\0" + octets + b"\0\0R\0\0")
    data = data.replace(b"\x90", b"\x90\0").replace(b"????", b"?\x90\4")
    digits = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
    bits = "".join(f"{c:08b}" for c in data)
    return b":" + bytes(digits[int(bits[i:i + 6].ljust(6, "0"), 2)] for i in range(0, len(bits), 6)) + b":"


def texts():
    return (b"text\r\nbegin 644 x.exe\r\n" + binascii.b2a_uu(FILE) + b"`\r\nend\r\n"
            + b"begin-base64 755 y.exe\r\n" + base64.b64encode(FILE) + b"\r\n====\r\n"
            + b"=ybegin part=1 total=2 line=128 size=%d name=z.exe\r\n=ypart begin=1 end=9\r\n" % len(FILE)
            + yenc(FILE[:9]) + b"\r\n=yend size=9\r\n=ybegin part=2 total=2 line=128 name=z.exe\r\n=ypart begin=10\r\n"
            + yenc(FILE[9:]) + b"\r\n=yend\r\n(This file must be converted with BinHex 4.0)\r\n\r\n" + binhex(FILE)
            + b"\r\n")


def documents():
    presentation = struct.pack("<HHI", 0x0F, 1000, 0) + struct.pack("<HHI", 0x10, 0x1011, 4 + len(zlib.compress(FILE)))
    yield "text", texts()
    yield "mbox", b"From a@b Mon\nFrom: a\nSubject: b\n\nhi\n\nFrom c Tue\nMIME-Version: 1.0\n\nho\n"
    yield "tnef", tnef()
    yield "cfb", compound([("one", 0, b"1"), ("Store", 0, None), ("\1Ole10Native", 2, package(FILE)),
                           ("VBA", 2, None), ("_VBA_PROJECT", 4, b"\xcc\x61")])
    yield "msg", compound([("__attach_version1.0_#00000000", 0, None), ("__substg1.0_37010102", 1, FILE),
                           ("__substg1.0_3707001F", 1, "long.exe".encode("utf-16-le")),
                           ("__substg1.0_3704001E", 1, b"SHORT~1.EXE")])
    yield "ppt", compound([("PowerPoint Document", 0, presentation + bytes(4) + zlib.compress(FILE))])
    yield "xls", compound([("Workbook", 0, struct.pack("<HHHHIBBB", 0x2F, 0, 0x85, 8, 0, 0, 1, 1) + b"x"),
                           ("EncryptedPackage", 0, b"x")])
    yield "mso", b"ActiveMime\0\0\1\xf0\4\0\0\0" + zlib.compress(FILE)
    yield "pdf", pdf()
    yield "rtf", (b"{\\rtf1{\\object{\\*\\objdata " + binascii.hexlify(ole1(b"Package", package(FILE)[4:]))
                  + b"}}{\\objdata {\\*\\x 1}\\par \\'01" + binascii.hexlify(ole1(b"x", FILE))
                  + b"\\bin3 abc}{\\*\\datastore d0cf11e0a1b11ae100}}")
    yield "html", (b"<html><a download='x.exe' href='data:application/x;base64," + base64.b64encode(FILE)
                   + b"'>x</a><style>a{src:url(data:text/css,%41b)}</style>")
    yield "xml", (b"<?xml version='1.0'?><pkg:part pkg:name=\"/word/vbaProject.bin\"><pkg:binaryData>"
                  + base64.b64encode(compound([("VBA", 0, None)])[:1024]) + b"</pkg:binaryData></pkg:part>")
    yield "xmltext", (b"<a x='>'><binaryData><!--<-->&#65;<![CDATA[" + base64.b64encode(FILE) + b"]]><?x?></binaryData></a>")
    yield "wide", "<a href='data:a/b;base64,aGVsbG8='>".encode("utf-16")
    yield "onenote", (bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(32) + bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")
                      + struct.pack("<QIQ", len(FILE), 0, 0) + FILE)
    yield "script", (b"<script>b = atob('" + base64.b64encode(b"<html>" + FILE * 3) + b"' + '" + base64.b64encode(FILE) + b"')</script>")
    yield "pdfpage", b"%PDF-1.7\n1 0 obj <<>> endobj\nMIME-Version: 1.0\nContent-Type: text/html\n\n" + FILE
    yield "pdfpredicted", (b"%PDF-1.7\n1 %x\n0 obj <</Filter[3 0 R]/DecodeParms<</Predictor 15/Columns 5>>/Length 4 0 R>>stream\n"
                           + zlib.compress(bytes(range(5)) + b"hello" * 5) + b"\nendstream endobj 2 0 obj <</EF<</F 1 0 R>>/EF 5 0 R"
                           b"/F(x)>> endobj 3 0 obj /Fl endobj 5 0 obj <</UF 1 0 R>> endobj")
    yield "odf", b"<m xmlns:m=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\"><m:encryption-data/></m>"


def main():
    folder = pathlib.Path(__file__).parent / "corpus" / "doc"
    folder.mkdir(parents=True, exist_ok=True)
    for name, octets in documents():
        (folder / name).write_bytes(octets)


if __name__ == "__main__":
    main()
