"""Bombs, made when they are wanted: small mails that want to become large, deep or many. bombs() has them by name."""
import base64
import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib

import mw

HEAD = b"From: a@example.org\r\nTo: b@example.net\r\nSubject: bomb\r\nMIME-Version: 1.0\r\n"
MIB, GIB = 1 << 20, 1 << 30


def attached(octets, name):
    return (HEAD + b"Content-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n\r\nsee there\r\n--bb\r\n"
        b"Content-Type: application/octet-stream; name=\"" + name.encode() + b"\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
        base64.encodebytes(octets).replace(b"\n", b"\r\n") + b"\r\n--bb--\r\n")


# ------------------------------------------------------------------ zeros without end, at the cost of none

def crc_of_zeros(n):
    """CRC-32 of n zeros: one of them is a linear step of the register, n of them are that matrix to the power of n."""
    register = 0xffffffff
    step = [zlib.crc32(b"\0", 0xffffffff ^ 1 << i) ^ 0xffffffff for i in range(32)]

    def times(matrix, v):
        out = 0
        for i in range(32):
            if v >> i & 1:
                out ^= matrix[i]
        return out
    while n:
        if n & 1:
            register = times(step, register)
        step = [times(step, x) for x in step]
        n >>= 1
    return register ^ 0xffffffff


def deflated_zeros(n):
    """n zeros, whole MiB: one MiB's blocks end at an octet's edge and refer to nothing before, so they go on and on."""
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    mib = c.compress(b"\0" * MIB) + c.flush(zlib.Z_FULL_FLUSH)
    return mib * (n // MIB) + b"\x03\0"  # an empty last block


def zip_of(members):
    """[(name, deflated or stored octets, method, crc, size)] as a zip."""
    out, central = io.BytesIO(), b""
    for name, data, method, crc, size in members:
        name, at = name.encode(), out.tell()
        large = size >= 0xffffffff
        sizes = (0xffffffff, 0xffffffff) if large else (len(data), size)
        extra = struct.pack("<HHQQ", 1, 16, size, len(data)) if large else b""
        fields = struct.pack("<HHHHHIIIHH", 45, 0, method, 0, 0x21, crc, *sizes, len(name), len(extra))
        out.write(b"PK\3\4" + fields + name + extra + data)
        central += b"PK\1\2" + struct.pack("<H", 45) + fields + struct.pack("<HHHII", 0, 0, 0, 0, at) + name + extra
    at = out.tell()
    count = min(len(members), 0xffff)
    out.write(central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, len(central), at, 0))
    return out.getvalue()


def zip_of_zeros(n, claimed=None):
    return zip_of([("zeros", deflated_zeros(n), 8, crc_of_zeros(n), n if claimed is None else claimed)])


def stored(names_and_octets):
    return zip_of([(name, octets, 0, zlib.crc32(octets), len(octets)) for name, octets in names_and_octets])


def squeezed(names_and_octets):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, octets in names_and_octets:
            z.writestr(name, octets)
    return out.getvalue()


def nest(octets, width, levels):
    """As 42.zip: every level holds the one below so many times."""
    for level in range(levels):
        octets = squeezed([(f"{level}-{i}.zip", octets) for i in range(width)])
    return octets


# ------------------------------------------------------------------ members that lie over each other

def overlapping(count, kernel):
    """One kernel of deflate that count members share (after David Fifield, 2019): each local header is quoted, as a stored block,
    by the member before it."""
    data, crc, size = deflated_zeros(kernel), crc_of_zeros(kernel), kernel
    files = []
    for i in reversed(range(count)):
        name = b"%05d" % i
        if files:
            ahead = files[0][0]
            quote = struct.pack("<BHH", 0, len(ahead), 0xffff ^ len(ahead))
            size += len(ahead)
            packed = files[0][1] + len(quote) + len(ahead)
            crc = zlib.crc32(ahead)  # nobody who reads it to the end will be content: a bomb goes off before
        else:
            quote, packed = b"", len(data)
        header = b"PK\3\4" + struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0x21, crc, packed, size, len(name), 0) + name
        files.insert(0, (header, packed, quote, name, crc, size))
    out, central = io.BytesIO(), b""
    for header, packed, quote, name, crc, size in files:
        central += b"PK\1\2" + struct.pack("<HHHHHHIIIHHHHHII", 20, 20, 0, 8, 0, 0x21, crc, packed, size, len(name), 0, 0, 0, 0, 0,
            out.tell()) + name
        out.write(header + quote)
    out.write(data)
    at = out.tell()
    out.write(central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, len(central), at, 0))
    return out.getvalue()


def zip_of_many_ends(ends, entries, name, local):
    """Records at the end that lead nowhere, in front of a directory whose every entry means the same local header."""
    fields = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0x21, 0, 0, 0, len(name), 0)
    directory = (b"PK\1\2" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name) * entries
    out = local + b"PK\5\6".ljust(22, b"\xff") * ends
    count = entries & 0xffff
    return out + directory + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(out), 0)


def local_of_many_fields(name):
    return b"PK\3\4" + struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0x21, 0, 0, 0, len(name), 65532) + name + bytes(65528) + b"\1\0\0\0"


def many_ends(entries, name):
    return attached(squeezed([("in.zip", zip_of_many_ends(255, entries, name, local_of_many_fields(name)))]), "ends.zip")


# ------------------------------------------------------------------ itself inside itself

def quine_gz():
    """A gzip file that unpacks to itself, after Russ Cox, "Zip Files All The Way Down" (2010).

    L(x) is a stored block of the octets x, R(n) one that repeats the last n octets: five octets each but for x, so that the file
    can be written down in such steps as also write it. Its CRC-32 stands in it twice; as CRCs are linear, 32 equations find it."""
    def stored_block(n):
        return struct.pack("<BHH", 0, n, 0xffff ^ n)

    def repeat(n):
        """Fixed codes: two matches at distance n, 17 to 20, together n long: just 40 bits."""
        bits = "0" + "10"  # not the last; fixed codes
        for length in (n - 10, 10):
            bits += format(length - 3 + 1, "07b")  # code 257 and on: no extra bits up to ten
            bits += format(8, "05b") + format(n - 17, "03b")[::-1]  # distances from 17 to 24
        bits += "0" * 7
        return bytes(int(bits[i:i + 8][::-1], 2) for i in range(0, 40, 8))

    def file(mtime, crc):
        head = b"\x1f\x8b\x08\x08" + struct.pack("<I", mtime) + b"\2\3r\0"
        n = len(head) + 5
        prefix, one, four, again, last = stored_block(n), stored_block(5), stored_block(20), repeat(n), repeat(20)
        tail = stored_block(0) + b"\x03\0" + struct.pack("<I", crc)
        out = head + prefix + head + prefix + again + one + again + one + one + four + again + one + one + four + last
        out += four + last + four + last + four + last + four
        return out + (last + tail + struct.pack("<I", len(out) + 40)) + last + tail + struct.pack("<I", len(out) + 40)

    def solve(rows, wanted):
        """The v with the exclusive or of rows[i] over v's bits equal to wanted; None when there is none."""
        basis = {}
        for i, row in enumerate(rows):
            mask = 1 << i
            while row and row.bit_length() in basis:
                other, m = basis[row.bit_length()]
                row, mask = row ^ other, mask ^ m
            if row:
                basis[row.bit_length()] = row, mask
        v = 0
        while wanted:
            if wanted.bit_length() not in basis:
                return None
            row, mask = basis[wanted.bit_length()]
            wanted, v = wanted ^ row, v ^ mask
        return v
    for mtime in range(1, 1000):
        at_zero = zlib.crc32(file(mtime, 0))
        crc = solve([zlib.crc32(file(mtime, 1 << i)) ^ at_zero ^ 1 << i for i in range(32)], at_zero)
        if crc is not None:
            octets = file(mtime, crc)
            assert gzip.decompress(octets) == octets
            return octets
    raise AssertionError("no such file")


# ------------------------------------------------------------------ absurd numbers in heads

def xz_with_a_dictionary_of_4_gib():
    """The size of the dictionary is one octet in the block's head, which has a CRC of its own."""
    octets = bytearray(lzma.compress(b"\0" * MIB, lzma.FORMAT_XZ))
    size = (octets[12] + 1) * 4
    at = octets.index(b"\x21\x01", 12) + 2
    octets[at] = 40
    octets[12 + size - 4:12 + size] = struct.pack("<I", zlib.crc32(octets[12:12 + size - 4]))
    return bytes(octets)


def lzma_with_a_dictionary_of_4_gib():
    octets = bytearray(lzma.compress(b"\0" * MIB, lzma.FORMAT_ALONE))
    octets[1:5] = b"\0\0\0\xff"
    return bytes(octets)


def seven_zip(header, offset=0, size=None):
    start = struct.pack("<QQI", offset, len(header) if size is None else size, zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start


def seven_zip_of_an_exbibyte():
    """One member, LZMA with a dictionary of 4 GiB, that says that it is 2^60 octets."""
    packed = lzma.compress(b"\0" * MIB, lzma.FORMAT_ALONE)[13:]
    number = lambda n: b"\xff" + struct.pack("<Q", n)  # noqa: E731
    header = (b"\1\4" b"\6\0\1\x09" + number(len(packed)) + b"\0"  # pack info
        b"\7\x0b\1\0\1\x23\3\1\1\5\x5d\xff\xff\xff\xff" b"\x0c" + number(1 << 60) + b"\0"  # coders, sizes
        b"\0" b"\5\1\x11\x09\0z\0e\0r\0\0\0" b"\0\0")  # files: the name "zer"
    return seven_zip(header, len(packed)) + packed + header


def seven_zip_of_zeros(n, mode):
    """Two files in one folder of LZMA2: n zeros, of that mode of Unix, and one octet. Each chunk begins anew, so one does for all."""
    chunk = lzma.compress(b"\0" * (2 * MIB), lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 2 * MIB}])[:-1]
    packed = chunk * (n // (2 * MIB) + 1) + b"\0"
    number = lambda n: b"\xff" + struct.pack("<Q", n)  # noqa: E731
    attributes = struct.pack("<II", mode << 16 | 0x8020, 0x20)
    header = (b"\1\4" b"\6\0\1\x09" + number(len(packed)) + b"\0"
        b"\7\x0b\1\0\1\x21\x21\1\x12" b"\x0c" + number(n + 1) + b"\0"
        b"\x08\x0d\2\x09" + number(n) + b"\0" b"\0"
        b"\5\2\x11\x09\0a\0\0\0b\0\0\0" b"\x15\x0a\1\0" + attributes + b"\0\0")
    return seven_zip(header, len(packed)) + packed + header


def rar5(*blocks):
    out = b"Rar!\x1a\7\1\0"
    for fields, data in blocks:
        body = vint(len(fields)) + fields
        out += struct.pack("<I", zlib.crc32(body)) + body + data
    return out


def vint(n):
    out = b""
    while n > 0x7f:
        out, n = out + bytes([n & 0x7f | 0x80]), n >> 7
    return out + bytes([n])


def rar5_of_an_exbibyte():
    data = b"\xff" * 64
    window_4_gib = 15 << 10 | 3 << 7
    fields = (vint(2) + vint(2) + vint(len(data)) + vint(0) + vint(1 << 60) + vint(0) + vint(window_4_gib) + vint(1) + vint(5) + b"zeros")
    return rar5((vint(1) + vint(0) + vint(0), b""), (fields, data), (vint(5) + vint(0) + vint(0), b""))


def tar_of(names_and_octets):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name, octets in names_and_octets:
            info = tarfile.TarInfo(name)
            info.size = len(octets)
            t.addfile(info, io.BytesIO(octets))
    return out.getvalue()


def rar5_beginnings(count):
    """Each has a first block of all that follows, up to 2 MiB."""
    return (b"Rar!\x1a\7\1\0" + b"\0\0\0\0" + b"\xff\xff\x7f") * count


# ------------------------------------------------------------------ mails

def many_parts(count):
    return (HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * count + b"--b--\r\n")


def deep(levels):
    return HEAD + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(levels)) + b"\r\nx\r\n"


def forwarded(levels):
    return (HEAD + b"Content-Type: message/rfc822\r\n\r\n") * levels + b"\r\nx\r\n"


def forwarded_in_base64(levels):
    mail = HEAD + b"\r\nx\r\n"
    for _ in range(levels):
        mail = (HEAD + b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
            base64.encodebytes(mail).replace(b"\n", b"\r\n"))
    return mail


def gzip_of_zeros(n):
    return b"\x1f\x8b\x08\0\0\0\0\0\2\3" + deflated_zeros(n) + struct.pack("<II", crc_of_zeros(n), n & 0xffffffff)


def tar_of_many(count):
    return tarfile.TarInfo("member").tobuf(tarfile.USTAR_FORMAT) * count + bytes(1024)


def pdf_of_one_long_text(megabytes, uses, use):
    """Every use refers to a text that is long."""
    return (b"%PDF-1.7\n1 0 obj (" + b"x" * (megabytes * MIB) + b") endobj\n" + use * uses + b"trailer <<>>\n")


LENGTHS = b"2 0 obj<</Length 1 0 R>>stream\nendstream endobj\n"
SPECS = b"<</EF 999 0 R/UF 1 0 R/F 1 0 R>>"
FILES = b"<</EF<</F 1 0 R>>>>"


# Name: what makes the mail, and the limits of which one must be told; none: told as damaged or as a limit.
MUCH = {"octets", "ratio", "memory"}
ANY = "any"  # it may be read whole: time and memory are what counts
BOMBS = {
    "zip of 10 GiB of zeros": (lambda: attached(zip_of_zeros(10 * GIB), "zeros.zip"), MUCH),
    "the same, said to be 100 octets": (lambda: attached(zip_of_zeros(10 * GIB, 100), "small.zip"), MUCH),
    "gzip of 10 GiB of zeros": (lambda: attached(gzip_of_zeros(10 * GIB), "zeros.gz"), MUCH),
    "bzip2 of 1 GiB of zeros": (lambda: attached(bz2.compress(b"\0" * (64 * MIB)) * 16, "zeros.bz2"), MUCH),
    "zips in zips, 16 each, 6 levels": (lambda: attached(nest(zip_of_zeros(GIB), 16, 5), "42.zip"), MUCH | {"parts"}),
    "zips in zips, 20 levels": (lambda: attached(nest(squeezed([("x", b"x")]), 1, 20), "deep.zip"), {"depth"}),
    "a gzip that is in itself": (lambda: attached(quine_gz(), "r.gz"), {"depth", "engine"}),
    "zip whose members lie over each other": (lambda: attached(overlapping(1400, 20 * MIB), "over.zip"), MUCH | {"parts"}),
    "zip of 100,000 members": (lambda: attached(stored([(f"{i:05}", b"") for i in range(100000)]), "many.zip"), {"parts"}),
    "zip of 255 ends and 131,072 entries": (lambda: many_ends(131072, b"a"), {"parts"}),
    "zip of 255 ends and 131,072 folders": (lambda: many_ends(131072, b"a/"), {"parts"}),
    "tar of 100,000 members": (lambda: attached(gzip.compress(tar_of_many(100000), 9), "many.tar.gz"), {"parts"}),
    "xz with a dictionary of 4 GiB": (lambda: attached(xz_with_a_dictionary_of_4_gib(), "x.xz"), MUCH),
    "lzma with a dictionary of 4 GiB": (lambda: attached(lzma_with_a_dictionary_of_4_gib(), "x.lzma"), None),
    "7z of an exbibyte": (lambda: attached(seven_zip_of_an_exbibyte(), "x.7z"), None),
    "7z of a pipe of 16 GiB": (lambda: attached(seven_zip_of_zeros(16 * GIB, 0o010644), "x.7z"), MUCH),
    # libarchive makes the memory for it larger again and again, of which a sanitiser makes a copy each time.
    "7z of a link of 16 GiB": (lambda: attached(seven_zip_of_zeros(16 * (GIB if mw.SLOW <= 1 else MIB), 0o120777), "x.7z"), MUCH | {"time", "engine"}),
    "gzip whose name has no end": (lambda: attached(b"\x1f\x8b\x08\x08" + bytes(6) + b"x" * (8 * MIB), "x.gz"), None),
    "7z with a head of an exbibyte": (lambda: attached(seven_zip(b"", 0, 1 << 60) + bytes(1000), "x.7z"), None),
    "rar of an exbibyte": (lambda: attached(rar5_of_an_exbibyte(), "x.rar"), None),
    "beginnings of a million RARs": (lambda: attached(rar5_beginnings(700000), "x.bin"), ANY),
    "beginnings of a million RARs in a zip": (lambda: attached(stored([("x", b"x" + rar5_beginnings(700000))]), "x.zip"), ANY),
    "RARs of a main block in a zip": (lambda: attached(stored([("x", rar5((vint(1) + vint(0) + vint(0), b"")) * 400000)]), "x.zip"), ANY),
    "RARs of a main block in a tar": (lambda: attached(tar_of([("x", rar5((vint(1) + vint(0) + vint(0), b"")) * 400000)]), "x.tar"), ANY),
    "PDF whose lengths are a long text": (lambda: attached(pdf_of_one_long_text(8, 40000, LENGTHS), "a.pdf"), ANY),
    "PDF whose names are a long text": (lambda: attached(pdf_of_one_long_text(8, 1, b"3 0 obj [" + SPECS * 200000 + b"] endobj\n"), "a.pdf"), ANY),
    "PDF whose files are a long text": (lambda: attached(pdf_of_one_long_text(8, 1, b"3 0 obj [" + FILES * 20000 + b"] endobj\n"), "a.pdf"), ANY),
    "1,000,000 parts": (lambda: many_parts(1000000), {"parts"}),
    "10,000 multiparts in each other": (lambda: deep(10000), {"depth"}),
    "10,000 mails in each other": (lambda: forwarded(10000), {"depth"}),
    "25 mails in base64 in each other": (lambda: forwarded_in_base64(25), {"depth"}),
}
