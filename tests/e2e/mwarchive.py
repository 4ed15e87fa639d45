"""
Archives and compressed files octet for octet, for the formats that Python's library does not write. Each function takes a
member's name and octets. Stored wherever the format allows: what is tested are readers of headers, not of compression.
"""
import binascii
import gzip
import hashlib
import io
import lzma
import struct
import tarfile
import zlib

from mwzip import deflated, openssl, zstd_frame

MTIME = 1740902400  # 2025-03-02


def crc16(octets, crc=0):
    """CRC-16/ARC."""
    for c in octets:
        crc ^= c
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


# ------------------------------------------------------------------ 7z

LZMA1 = {"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}
LZMA2 = {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}


def number7(n):
    if n < 0x80:
        return bytes([n])
    assert n < 0x4000
    return bytes([0x80 | n >> 8, n & 0xFF])


def streams7(at, data, coder, size, crc, substreams=False):
    """PackInfo and UnpackInfo of one folder with one coder; the checksum stands there or in SubStreamsInfo."""
    check = b"\x0a\x01" + struct.pack("<I", crc)
    return (b"\x06" + number7(at) + b"\x01\x09" + number7(len(data)) + b"\0" +
        b"\x07\x0b\x01\0\x01" + coder + b"\x0c" + number7(size) + (b"\0\x08" + check + b"\0" if substreams else check + b"\0"))


def coder7(identity, properties=b""):
    return bytes([len(identity) | (0x20 if properties else 0)]) + identity + (bytes([len(properties)]) + properties if properties else b"")


def start7(body, header):
    start = struct.pack("<QQI", len(body), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start + body + header


def raw_lzma(octets):
    """Properties and octets of LZMA without a header."""
    return b"\x5d" + struct.pack("<I", 1 << 16), lzma.compress(octets, lzma.FORMAT_RAW, filters=[LZMA1])


PIPE, DEVICE, FOLDER, LINK, PLAIN = 0o010644, 0o020644, 0o040755, 0o120777, 0o100644


def seven(how="copy", packed_header=False, substreams=True, mode=None):
    """substreams: what 7-Zip always writes, and nobody needs for one file. mode: as 7-Zip tells it on Unix, beside Windows' attributes."""
    def make(name, octets):
        if how == "lzma":
            properties, data = raw_lzma(octets)
            coder = coder7(b"\3\1\1", properties)
        elif how == "lzma2":
            coder, data = coder7(b"\x21", b"\x08"), lzma.compress(octets, lzma.FORMAT_RAW, filters=[LZMA2])
        elif how == "deflate":
            coder, data = coder7(b"\4\1\x08"), deflated(octets)
        elif how == "aes":
            data = octets + bytes(-len(octets) % 16)
            iv, cycles = bytes(range(16)), 4
            key = hashlib.sha256(b"".join("Sesame-4711".encode("utf-16le") + struct.pack("<Q", i) for i in range(1 << cycles))).digest()
            coder = coder7(b"\6\xf1\7\1", bytes([0x40 | cycles, 0x0F]) + iv)
            data = openssl("aes-256-cbc", key, data, "-iv", iv.hex())
        else:
            coder, data = coder7(b"\0"), octets
        names = b"\0" + name.encode("utf-16le") + b"\0\0"
        attributes = b"" if mode is None else b"\x15\6\1\0" + struct.pack("<I", mode << 16 | 0x8020)
        header = (b"\1\4" + streams7(0, data, coder, len(octets), zlib.crc32(octets), substreams) + b"\0" +
            b"\5\1\x11" + number7(len(names)) + names + attributes + b"\0\0")
        if packed_header:
            properties, again = raw_lzma(header)
            tail = b"\x17" + streams7(len(data), again, coder7(b"\3\1\1", properties), len(header), zlib.crc32(header)) + b"\0"
            return start7(data + again, tail)
        return start7(data, header)
    return make


def seven_secret_header(name, octets):
    """Even the names are encrypted."""
    secret = hashlib.sha512(name.encode() + octets).digest() * 4
    coder = coder7(b"\6\xf1\7\1", bytes([0x53, 0x0F]) + bytes(range(16)))
    tail = b"\x17" + streams7(len(secret), secret, coder, len(secret) - 3, 0x12345678) + b"\0"
    return start7(secret + secret, tail)


# ------------------------------------------------------------------ rar

def rar4_block(kind, flags, body):
    rest = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
    return struct.pack("<H", zlib.crc32(rest) & 0xFFFF) + rest


def rar4(flags=0x8000, system=2, attributes=0x20, mode=None):
    """mode: as on Unix."""
    if mode is not None:
        system, attributes = 3, mode

    def make(name, octets):
        head = struct.pack("<IIBIIBBHI", len(octets), len(octets), system, zlib.crc32(octets), 0x5A620000, 29, 0x30, len(name), attributes)
        salt = b"saltsalt" if flags & 0x400 else b""
        if flags & 4:
            octets = hashlib.sha512(octets).digest() * (len(octets) // 64 + 1)
            head = struct.pack("<I", len(octets)) + head[4:]
        return RAR4 + rar4_block(0x74, flags, head + name.encode() + salt) + octets + RAR4_END
    return make


RAR4 = b"Rar!\x1a\x07\0" + rar4_block(0x73, 0, bytes(6))
RAR4_END = rar4_block(0x7B, 0x4000, b"")


def rar4_gap(kind):
    """What unrar passes over behind an old block, libarchive takes for blocks: a harmless file, and the archive's end."""
    def make(name, octets):
        gap = rar4()("readme.txt", b"hello")[len(RAR4):]
        return RAR4 + rar4_block(kind, 0, struct.pack("<IHB", len(gap), 0, 0)) + gap + rar4()(name, octets)[len(RAR4):]
    return make


def rar4_secret_header(name, octets):
    return b"Rar!\x1a\x07\0" + rar4_block(0x73, 0x80, bytes(6)) + b"saltsalt" + hashlib.sha512(name.encode() + octets).digest() * 4


def vint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def rar5_block(body):
    sized = vint(len(body)) + body
    return struct.pack("<I", zlib.crc32(sized)) + sized


RAR5 = b"Rar!\x1a\x07\x01\0"
RAR5_END = rar5_block(b"\5\0\0")


RAR5_MAIN = rar5_block(b"\1\0\0")


def rar5_file(name, octets, extra=b"", system=0, attributes=0x20, name_size=None, raw_name=None, mode=None, kind=4):
    """mode: as on Unix. kind: 4, with a checksum; and 1, a folder."""
    if mode is not None:
        system, attributes = 1, mode
    flags = 2 | (1 if extra else 0)
    head = (b"\2" + vint(flags) + (vint(len(extra)) if extra else b"") + vint(len(octets)) + vint(kind) + vint(len(octets)) + vint(attributes) +
        struct.pack("<I", zlib.crc32(octets)) + b"\0" + vint(system) + vint(name_size or len(name)) + (raw_name or name.encode()) + extra)
    return rar5_block(head) + octets


def rar5(name, octets, extra=b"", **fields):
    return RAR5 + RAR5_MAIN + rar5_file(name, octets, extra, **fields) + RAR5_END


def rar5_raw_name(name, octets):
    """Its first octet is no UTF-8: libarchive has no name for it."""
    return rar5("?" + name, octets, raw_name=b"\xff" + name.encode())


def rar5_of_unix(attributes):
    """A file that its attributes call something else: without a record that says so unrar writes a file."""
    return lambda name, octets: rar5(name, octets, system=1, attributes=attributes)


RAR5_README = rar5_file("readme.txt", b"hello")


def rar5_type_0(name, octets):
    """To libarchive a block of type 0 is the end."""
    return RAR5 + RAR5_MAIN + RAR5_README + rar5_block(b"\0\0") + rar5_file(name, octets) + RAR5_END


def rar5_gap(name, octets):
    """A block that may be skipped, with data: libarchive takes them for blocks."""
    gap = RAR5_README + RAR5_END
    return RAR5 + RAR5_MAIN + rar5_block(b"\x09" + vint(2 | 4) + vint(len(gap))) + gap + rar5_file(name, octets) + RAR5_END


def rar5_loose_main(name, octets):
    """The same in the main block's header, behind its fields."""
    return RAR5 + rar5_block(b"\1\0\0" + RAR5_README + RAR5_END) + rar5_file(name, octets) + RAR5_END


def rar5_long_name(name, octets):
    """libarchive wants the whole name, which would end behind the archive's end; unrar cuts it where the header ends."""
    return rar5(name, octets, name_size=2000)


def rar5_with_copies(file, copy):
    """Copies of headers at the end, "quick open", which readers take for the headers; copy: what is said to be the file's."""
    def main(offset):
        locator = b"\1\1" + bytes([offset & 0x7F | 0x80, offset >> 7 & 0x7F | 0x80, offset >> 14])
        return rar5_block(b"\1\1" + vint(len(locator) + 1) + b"\0" + vint(len(locator)) + locator)
    at = len(RAR5) + len(main(0))
    quick = at + len(file)
    copies = rar5_block(b"\0" + vint(quick - at) + vint(len(copy)) + copy)
    head = b"\3\2" + vint(len(copies)) + b"\0" + vint(len(copies)) + b"\0\0\0\2QO"
    return RAR5 + main(quick - len(RAR5)) + file + rar5_block(head) + copies + RAR5_END


def rar5_quick(name, octets):
    file = rar5_file(name, octets)
    return rar5_with_copies(file, file[:-len(octets)])


def rar5_quick_other(name, octets):
    """The file is one of noise, unless one believes the copy: its header is longer, and the noise's rest another file."""
    noise = b"noise" * 12
    file = rar5_file("readme.txt", noise + octets)
    wanted = len(file) - len(octets)
    for n in range(100):
        copy = rar5_file(name, octets, vint(n + 1) + b"\x50" + bytes(n))[:-len(octets)]
        if len(copy) == wanted:
            return rar5_with_copies(file, copy)
    raise AssertionError(wanted)


def rar5_long_main(name, octets):
    """The main block has 200 octets, more than one octet says: a record of a type that nobody knows."""
    return RAR5 + rar5_block(b"\1\1" + vint(184) + b"\0" + vint(182) + b"\x70" + bytes(181)) + rar5_file(name, octets) + RAR5_END


def rar5_padded_size(name, octets):
    """The main block's size is said in two octets, where one would do."""
    sized = b"\x83\0\1\0\0"
    return RAR5 + struct.pack("<I", zlib.crc32(sized)) + sized + rar5_file(name, octets) + RAR5_END


def rar4_other_first(name, octets):
    """A block in front of the main one."""
    return RAR4[:7] + rar4_block(0x79, 0, b"") + RAR4[7:] + rar4()(name, octets)[len(RAR4):]


def rar5_stream(name, octets):
    """The file is a stream of NTFS that belongs to another one (technote.htm, "STM")."""
    record = b"\7:" + name.encode()
    extra = vint(len(record)) + record
    head = (b"\3" + vint(3) + vint(len(extra)) + vint(len(octets)) + vint(4) + vint(len(octets)) + vint(0) + struct.pack("<I", zlib.crc32(octets)) +
        b"\0\0" + vint(3) + b"STM" + extra)
    return rar5("readme.txt", b"hello")[:-len(RAR5_END)] + rar5_block(head) + octets + RAR5_END


def rar4_stream(name, octets):
    """The same before RAR 5: a block of type 0x7a, the stream's name behind its own."""
    head = struct.pack("<IIBIIBBHI", len(octets), len(octets), 2, zlib.crc32(octets), 0x5A620000, 29, 0x30, 3, 0) + b"STM"
    end = rar4_block(0x7B, 0x4000, b"")
    return rar4()("readme.txt", b"hello")[:-len(end)] + rar4_block(0x7A, 0x8000, head + (":" + name).encode("utf-16le")) + octets + end


def rar5_secret(name, octets):
    record = b"\1\0\0\x0f" + bytes(range(32))
    return rar5(name, hashlib.sha512(octets).digest() * (len(octets) // 64 + 1), vint(len(record)) + record)


def rar5_secret_header(name, octets):
    return RAR5 + rar5_block(b"\4\0\0\0\x0f" + bytes(range(16))) + hashlib.sha512(name.encode() + octets).digest() * 4


# ------------------------------------------------------------------ tar, cpio, ar

def tar(form=tarfile.USTAR_FORMAT, mode="w", prefix=""):
    def make(name, octets):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode=mode, format=form) as t:
            info = tarfile.TarInfo(prefix + name)
            info.size, info.mtime = len(octets), MTIME
            t.addfile(info, io.BytesIO(octets))
        return out.getvalue()
    return make


def tar_v7(name, octets):
    """Before POSIX: no magic, the checksum alone says that it is one."""
    head = bytearray(512)
    for at, text in ((0, name), (100, "0000644\0"), (108, "0000000\0"), (116, "0000000\0"), (124, f"{len(octets):011o} "),
            (136, f"{MTIME:011o} "), (148, " " * 8)):
        head[at:at + len(text)] = text.encode()
    head[148:156] = f"{sum(head):06o}\0 ".encode()
    return bytes(head) + octets + bytes(-len(octets) % 512 + 1024)


def pax_name(name, octets):
    """The extended header says another name than the header itself (POSIX pax)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        info = tarfile.TarInfo("readme.txt")
        info.size, info.pax_headers = len(octets), {"path": name}
        t.addfile(info, io.BytesIO(octets))
    return out.getvalue()


def cpio(form, file_mode=PLAIN):
    def one(name, octets):
        n, size, mode = name.encode() + b"\0", len(octets), file_mode if name != "TRAILER!!!" else 0
        if form == "odc":
            return f"070707{0:06o}{1:06o}{mode:06o}{0:06o}{0:06o}{1:06o}{0:06o}{MTIME:011o}{len(n):06o}{size:011o}".encode() + n + octets
        if form in ("newc", "crc"):
            magic, check = ("070702", sum(octets)) if form == "crc" else ("070701", 0)
            head = magic + "".join(f"{v:08x}" for v in (1, mode, 0, 0, 1, MTIME, size, 0, 0, 0, 0, len(n), check))
            named = head.encode() + n
            named += bytes(-len(named) % 4)
            return named + octets + bytes(-size % 4)
        order = "<" if form == "bin" else ">"
        head = struct.pack(order + "13H", 0o070707, 0, 1, mode, 0, 0, 1, 0, MTIME >> 16, MTIME & 0xFFFF, len(n), size >> 16, size & 0xFFFF)
        return head + n + bytes(len(n) % 2) + octets + bytes(size % 2)

    def make(name, octets):
        return one(name, octets) + one("TRAILER!!!", b"")
    return make


def ar_member(name, octets):
    return f"{name:<16}{MTIME:<12}{0:<6}{0:<6}{'100644':<8}{len(octets):<10}`\n".encode() + octets + b"\n" * (len(octets) % 2)


def ar(style="svr4"):
    def make(name, octets):
        if style == "bsd":
            n = name.encode()
            return b"!<arch>\n" + ar_member(f"#1/{len(n)}", n + octets)
        if style == "gnu":
            return b"!<arch>\n" + ar_member("//", name.encode() + b"/\n") + ar_member("/0", octets)
        return b"!<arch>\n" + ar_member(name + "/", octets)
    return make


def deb(how="gz"):
    def make(name, octets):
        return (b"!<arch>\n" + ar_member("debian-binary", b"2.0\n") + ar_member("control.tar.gz", tar(mode="w:gz")("control", b"Package: x\n")) +
            ar_member(f"data.tar.{how}", tar(mode=f"w:{how}", prefix="./usr/bin/")(name, octets)))
    return make


def rpm_of(packed):
    """Lead, an empty signature, an empty header, a compressed cpio."""
    lead = struct.pack(">4sBBHH66sHH16s", b"\xed\xab\xee\xdb", 3, 0, 0, 1, b"evil-1-1", 1, 5, bytes(16))
    empty = b"\x8e\xad\xe8\x01" + bytes(12)
    return lead + empty + empty + packed


def rpm(how="gzip"):
    def make(name, octets):
        payload = cpio("newc")("./usr/bin/" + name, octets)
        return rpm_of(lzma.compress(payload) if how == "xz" else gz(payload))
    return make


# ------------------------------------------------------------------ cab, lha, arj, xar, iso

def cab(mszip=False):
    def make(name, octets):
        data = b"CK" + deflated(octets) if mszip else octets
        entry = struct.pack("<IIHHHH", len(octets), 0, 0, 0x5A62, 0, 0x20) + name.encode() + b"\0"
        at = 36 + 8 + len(entry)
        block = struct.pack("<IHH", 0, len(data), len(octets)) + data
        head = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, at + len(block), 0, 44, 0, 3, 1, 1, 1, 0, 1, 0)
        return head + struct.pack("<IHH", at, 1, 1 if mszip else 0) + entry + block
    return make


def lha(level=0, method=b"-lh0-"):
    def make(name, octets):
        n, size = name.encode(), struct.pack("<II", len(octets), len(octets))
        if level == 2:
            def head(check):
                ext = struct.pack("<HBH", 5, 0, check) + struct.pack("<H", 3 + len(n)) + b"\1" + n + struct.pack("<H", 0)
                whole = method + size + struct.pack("<IBBHB", MTIME, 0x20, 2, crc16(octets), 0x55) + ext
                return struct.pack("<H", 2 + len(whole)) + whole
            return head(crc16(head(0))) + octets + b"\0"
        head = method + size + struct.pack("<IBBB", 0x5A620000, 0x20, level, len(n)) + n + struct.pack("<H", crc16(octets))
        if level == 1:
            head += b"U\0\0"
        return bytes([len(head), sum(head) & 0xFF]) + head + octets + b"\0"
    return make


def lha_like_cpio(name, octets):
    """The size of its header and the sum of that are the magic number of a binary cpio."""
    for letter in range(0x61, 0x7B):
        for count in range(1, 160):
            folder = "a" * (176 - len(name) - count) + chr(letter) * count
            whole = lha(0)(folder + "/" + name, octets)
            if whole[:2] == b"\xc7\x71":
                return whole
    raise AssertionError("no such name")


def arj(name, octets):
    def header(body):
        return b"\x60\xea" + struct.pack("<H", len(body)) + body + struct.pack("<IH", zlib.crc32(body), 0)
    first = struct.pack("<BBBBBBBBIIIIHHH", 30, 11, 1, 0, 0, 0, 2, 0, 0x5A620000, 0x5A620000, 0, 0, 0, 0, 0) + b"a.arj\0\0"
    member = struct.pack("<BBBBBBBBIIIIHHH", 30, 11, 1, 0, 0, 0, 0, 0, 0x5A620000, len(octets), len(octets), zlib.crc32(octets), 0, 0x20, 0)
    return header(first) + header(member + name.encode() + b"\0\0") + octets + b"\x60\xea\0\0"


def xar(zipped=True, kind="file", more=""):
    def make(name, octets):
        data = zlib.compress(octets) if zipped else octets
        style = "application/x-gzip" if zipped else "application/octet-stream"
        toc = (f'<?xml version="1.0" encoding="UTF-8"?><xar><toc><checksum style="sha1"><offset>0</offset><size>20</size></checksum>'
            f'<file id="1"><name>{name}</name><type>{kind}</type><mode>0644</mode>{more}<data><length>{len(data)}</length><offset>20</offset>'
            f'<size>{len(octets)}</size><encoding style="{style}"/>'
            f'<extracted-checksum style="sha1">{hashlib.sha1(octets).hexdigest()}</extracted-checksum>'
            f'<archived-checksum style="sha1">{hashlib.sha1(data).hexdigest()}</archived-checksum></data></file></toc></xar>').encode()
        short = zlib.compress(toc)
        return struct.pack(">4sHHQQI", b"xar!", 28, 1, len(short), len(toc), 1) + short + hashlib.sha1(short).digest() + data
    return make


def both(n, size=4):
    """ISO 9660 writes numbers twice: low octet first, high octet first."""
    return n.to_bytes(size, "little") + n.to_bytes(size, "big")


def iso_record(name, sector, size, flags, rock=b""):
    head = b"\0" + both(sector) + both(size) + bytes([125, 3, 2, 8, 0, 0, 0, flags, 0, 0]) + both(1, 2) + bytes([len(name)]) + name
    head += bytes((len(head) + 1) % 2)
    head += rock + bytes(len(rock) % 2)
    return bytes([len(head) + 1]) + head


def iso_behind_gzip(name, octets):
    """The first sixteen sectors are nobody's."""
    head = gzip.compress(b"hello, this is only a text\n")
    return head + iso(name, octets)[len(head):]


def iso(name, octets, least=64):
    """ECMA-119: descriptor in sector 16, root folder in 20, the file in 21; at least so many sectors."""
    root = iso_record(b"\0", 20, 2048, 2)
    table = b"\1\0" + struct.pack("<I", 20) + b"\1\0\0\0"
    file_name = name.upper().encode() + b";1"
    folder = root + iso_record(b"\1", 20, 2048, 2) + iso_record(file_name, 21, len(octets), 0)
    sectors = max(22 + len(octets) // 2048, least)
    d = (b"\1CD001\1\0" + b" " * 32 + b"EVIL".ljust(32) + bytes(8) + both(sectors) + bytes(32) + both(1, 2) + both(1, 2) + both(2048, 2) +
        both(len(table)) + struct.pack("<II", 18, 0) + struct.pack(">II", 19, 0) + root + b" " * 623 + b"2025030208000000\0" * 2 +
        b"0" * 16 + b"\0" + b"0" * 16 + b"\0\1\0")

    def sector(o):
        return o.ljust(2048, b"\0")
    return (bytes(16 * 2048) + sector(d) + sector(b"\xffCD001\1") + sector(table) + sector(b"\1\0" + struct.pack(">I", 20) + b"\0\1\0\0") +
        sector(folder) + octets.ljust((sectors - 21) * 2048, b"\0"))


# Rock Ridge: that it is there; another name; a pipe, whose serial number is always the same.
ROCK_THERE = b"SP\7\1\xbe\xef\0"


def rock_name(name):
    return b"NM" + bytes([5 + len(name), 1, 0]) + name


ROCK_PIPE = b"PX\x2c\1" + both(0o010644) + both(1) + both(0) + both(0) + both(4711)


def disc(contents, first, joliet=None, by_table=None, sectors=0):
    """Lists of files, (name, which of the contents, its size, Rock Ridge's fields): the first one, Joliet's, and that of a folder to
    which the path table alone leads. Descriptors from sector 16 on, a path table of each in 19 and 20, folders from 21 on, contents behind.
    sectors: as the disc says of itself."""
    places, at = [], 24
    for octets in contents:
        places.append(at)
        at += len(octets) // 2048 + 1

    def folder(place, files, rock=b""):
        own = iso_record(b"\0", place, 2048, 2, rock)
        return (own + iso_record(b"\1", 21, 2048, 2) + b"".join(iso_record(n, places[i], size, 0, r) for n, i, size, r in files)).ljust(2048, b"\0")

    def descriptor(kind, place, escape=b""):
        return (bytes([kind]) + b"CD001\1\0" + b" " * 32 + b"EVIL".ljust(32) + bytes(8) + both(sectors or at) + escape.ljust(32, b"\0") +
            both(1, 2) + both(1, 2) + both(2048, 2) + both(22 if by_table is not None and kind == 1 else 10) + struct.pack("<II", place - 2, 0) + struct.pack(">II", 0, 0) +
            iso_record(b"\0", place, 2048, 2) + b" " * 623 + b"2025030208000000\0" * 2 + b"0" * 16 + b"\0" + b"0" * 16 + b"\0\1\0").ljust(2048, b"\0")
    second = descriptor(2, 22, b"%/E") if joliet is not None else b"\0CD001\1".ljust(2048, b"\0")
    return (bytes(16 * 2048) + descriptor(1, 21) + second + b"\xffCD001\1".ljust(2048, b"\0") + table(21, by_table) + table(22) +
        folder(21, first, ROCK_THERE if any(r for *_, r in first) else b"") + folder(22, joliet or []) + folder(23, by_table or []) +
        b"".join(o.ljust((len(o) // 2048 + 1) * 2048, b"\0") for o in contents))


def patched(o, at, octets):
    return o[:at] + octets + o[at + len(octets):]


def hidden_disc(name, octets):
    """A text in the root folder, in sector 21; the other file is told of in sector 22, to which no descriptor leads."""
    o = disc([README, octets], [(b"A.TXT;1", 0, 27, b"")], [(name.upper().encode() + b";1", 1, len(octets), b"")])
    return patched(o, 17 * 2048, o[18 * 2048:19 * 2048])


def long_folder_disc(name, octets):
    """The folder says itself that it is longer than its parent says."""
    return patched(hidden_disc(name, octets), 21 * 2048 + 10, both(4096))


def moved_folder_disc(name, octets):
    """The folder says itself that it is elsewhere."""
    return patched(hidden_disc(name, octets), 21 * 2048 + 2, both(22))


def attributes_disc(name, octets):
    """A sector of attributes stands in front of the folder, to readers that know of them."""
    return patched(hidden_disc(name, octets), 16 * 2048 + 156 + 1, b"\1")


def gap_disc(name, octets):
    """Between two descriptors stands what is none."""
    o = disc([README, octets], [(b"A.TXT;1", 0, 27, b"")], [(wide_name(name), 1, len(octets), b"")])
    return patched(o, 17 * 2048, b"nothing".ljust(2048, b"\0") + o[17 * 2048:18 * 2048])


def table(root, by_table=None):
    """A path table: the root, and what else there is."""
    more = b"\3\0" + struct.pack("<IH", 23, 1) + b"SUB\0" if by_table is not None else b""
    return (b"\1\0" + struct.pack("<IH", root, 1) + b"\0\0" + more).ljust(2048, b"\0")


def wide_name(name):
    return name.encode("utf-16be")


README = b"hello, this is only a text\n"


# ------------------------------------------------------------------ archives that stand in another one, and are no member of it

TEXT = b"The report is attached. " * 12


def in_iso_sectors(o):
    """Sectors that no file has."""
    disc = iso("readme.txt", TEXT)
    return disc[:40 * 2048] + o + disc[40 * 2048 + len(o):]


def in_gzip_field(o):
    """An extra field of gzip's header (RFC 1952 section 2.3.1.1)."""
    head = gz(TEXT)
    return head[:3] + b"\4" + head[4:10] + struct.pack("<H2sH", len(o) + 4, b"xx", len(o)) + o + head[10:]


def in_zstd_frame(o):
    """A frame that readers pass over (RFC 8878 section 3.1.2)."""
    return b"\x50\x2a\x4d\x18" + struct.pack("<I", len(o)) + o + zstd_frame(TEXT)


def in_warc_metadata(o):
    """A record of a kind that holds no file."""
    def record(kind, o):
        return (b"WARC/1.0\r\nWARC-Type: " + kind + b"\r\nWARC-Record-ID: <urn:uuid:92283950-ef2f-4d72-b224-f54c6ec90bb0>\r\n"
            b"WARC-Target-URI: http://a.example/readme.txt\r\nWARC-Date: 2025-03-02T08:00:00Z\r\nContent-Length: " + str(len(o)).encode() +
            b"\r\n\r\n" + o + b"\r\n\r\n")
    return record(b"metadata", o) + record(b"resource", TEXT)


def noise(n):
    """Octets that nothing makes smaller."""
    return b"".join(hashlib.sha512(struct.pack("<I", i)).digest() for i in range(n // 64))


# ------------------------------------------------------------------ one compressed file

def gz(octets, name=b""):
    tail = struct.pack("<II", zlib.crc32(octets), len(octets))
    return b"\x1f\x8b\x08" + (b"\x08" if name else b"\0") + bytes(4) + b"\0\3" + (name + b"\0" if name else b"") + deflated(octets) + tail


def lzma_alone(dictionary=1 << 16, told=False, **properties):
    """told: the size is."""
    p = {"lc": 3, "lp": 0, "pb": 2, **properties}

    def make(octets):
        packed = lzma.compress(octets, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, **p}])
        return (bytes([(p["pb"] * 5 + p["lp"]) * 9 + p["lc"]]) + struct.pack("<I", dictionary) +
            (struct.pack("<Q", len(octets)) if told else b"\xff" * 8) + packed)
    return make


def lzip(octets):
    """Version 1, 64 KiB of dictionary; member size with head and tail."""
    data = raw_lzma(octets)[1]
    return b"LZIP\1\x10" + data + struct.pack("<IQQ", zlib.crc32(octets), len(octets), 26 + len(data))


def lz4(octets):
    """A frame with one stored block."""
    return b"\x04\x22\x4d\x18\x60\x40\x82" + struct.pack("<I", len(octets) | 0x80000000) + octets + bytes(4)


def lz4_legacy(octets):
    """One block of literals alone."""
    rest = len(octets) - 15
    assert rest >= 0
    data = b"\xf0" + b"\xff" * (rest // 255) + bytes([rest % 255]) + octets
    return b"\x02\x21\x4c\x18" + struct.pack("<I", len(data)) + data


def zstd(octets):
    return zstd_frame(octets)


def zstd_skippable(octets):
    """A frame that readers pass over stands first."""
    return b"\x50\x2a\x4d\x18" + struct.pack("<I", 8) + b"skipped!" + zstd_frame(octets)


def compress(octets):
    """LZW, least bit first; before codes grow, the group of eight is filled (as compress(1) does)."""
    out, group, table, width, have = bytearray(), [], {bytes([c]): c for c in range(256)}, 9, b""

    def flush():
        bits = sum(code << i * width for i, code in enumerate(group))
        out.extend(bits.to_bytes((len(group) * width + 7) // 8, "little"))
        group.clear()

    def put(code):
        nonlocal width
        group.append(code)
        if free > (1 << width) - 1:
            group.extend([0] * (-len(group) % 8))
            flush()
            width += 1
        elif len(group) == 8:
            flush()
    free = 257
    for c in octets:
        if have + bytes([c]) in table:
            have += bytes([c])
            continue
        put(table[have])
        table[have + bytes([c])] = free
        free += 1
        have = bytes([c])
    put(table[have])
    flush()
    return b"\x1f\x9d\x90" + bytes(out)


def compress_full():
    """Codes of nine bits at most, and all of them have a meaning: whatever stands behind is valid."""
    bits = sum(65 << i * 9 for i in range(512))
    return b"\x1f\x9d\x89" + bits.to_bytes(576, "little")


def compress_cleared(octets):
    """LZW of literals alone: 199, then the code that empties the table, so that codes stay 9 bits wide."""
    bits = count = 0
    for i, c in enumerate(octets):
        if i and i % 199 == 0:
            bits |= 256 << count * 9
            count += 1
        bits |= c << count * 9
        count += 1
    return b"\x1f\x9d\x90" + bits.to_bytes((count * 9 + 7) // 8, "little")


def lzop(octets, name=b""):
    """One stored block; checksums are Adler-32."""
    head = struct.pack(">HHHBBIIIIB", 0x1030, 0x2080, 0x0940, 1, 5, 0x03000001, 0o100644, MTIME, 0, len(name)) + name
    block = struct.pack(">III", len(octets), len(octets), zlib.adler32(octets)) + octets
    return b"\x89LZO\0\r\n\x1a\n" + head + struct.pack(">I", zlib.adler32(head)) + block + bytes(4)


# ------------------------------------------------------------------ text that holds a file

def uuencoded(name, octets):
    lines = [b"begin 644 " + name.encode()]
    lines += [binascii.b2a_uu(octets[i:i + 45]).rstrip(b"\n") for i in range(0, len(octets), 45)]
    return b"\r\n".join(lines + [b"`", b"end", b""])


def uuencoded_behind(name, octets):
    """Decoders do not look at what stands behind a line's octets."""
    head, *lines, mark, end, last = uuencoded(name, octets).split(b"\r\n")
    return b"\r\n".join([head, *[line + b"        and more" for line in lines], mark, end, last])


def begin_base64(name, octets):
    text = binascii.b2a_base64(octets, newline=False)
    return b"\r\n".join([b"begin-base64 644 " + name.encode(), *[text[i:i + 60] for i in range(0, len(text), 60)], b"====", b""])


def yenc(name, octets):
    out, line = [], bytearray()
    for c in octets:
        c = c + 42 & 0xFF
        line += bytes([c]) if c not in (0, 9, 10, 13, 46, 61) else bytes([0x3D, c + 64 & 0xFF])
        if len(line) >= 128:
            out.append(bytes(line))
            line.clear()
    out += [bytes(line)] if line else []
    n = len(octets)
    return b"\r\n".join([b"=ybegin line=128 size=%d name=%s" % (n, name.encode()), *out, b"=yend size=%d crc32=%08x" % (n, zlib.crc32(octets)), b""])


HQX = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"


def binhex(name, octets):
    """BinHex 4.0 (RFC 1741): header, data, an empty resource fork, each with its CRC; 0x90 marks runs."""
    head = bytes([len(name)]) + name.encode() + b"\0BINAmdos\0\0" + struct.pack(">II", len(octets), 0)
    plain = head + struct.pack(">H", binascii.crc_hqx(head, 0)) + octets + struct.pack(">H", binascii.crc_hqx(octets, 0)) + b"\0\0"
    plain = plain.replace(b"\x90", b"\x90\0")
    bits = int.from_bytes(plain + bytes(-len(plain) % 3), "big")
    count = (len(plain) * 8 + 5) // 6
    total = (len(plain) + 2) // 3 * 4
    text = b":" + bytes(HQX[bits >> 6 * (total - 1 - i) & 63] for i in range(count)) + b":"
    return b"(This file must be converted with BinHex 4.0)\r\n\r\n" + b"\r\n".join(text[i:i + 64] for i in range(0, len(text), 64)) + b"\r\n"
