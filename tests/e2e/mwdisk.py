"""Images of disks that systems, or 7-Zip, open as folders. A volume of FAT holds the file; the others stand around it, or hold its octets."""
import struct

import mwarchive

SECTOR = 512


def fat(name, octets):
    """FAT12 of 720 KiB with one file, and no label that says so."""
    base, _, ext = name.upper().partition(".")
    clusters = -(-len(octets) // 1024)
    chain = [0xFF9, 0xFFF] + [i + 3 for i in range(clusters - 1)] + [0xFFF] + [0] * (3 * 341 - clusters)
    table = b"".join(struct.pack("<I", a | b << 12)[:3] for a, b in zip(chain[::2], chain[1::2])).ljust(3 * SECTOR, b"\0")[:3 * SECTOR]
    boot = (b"\xeb\x3c\x90" + b"EVIL    " + struct.pack("<HBHBHHBHHHII", SECTOR, 2, 1, 2, 112, 1440, 0xF9, 3, 9, 2, 0, 0)).ljust(510, b"\0") + b"\x55\xaa"
    entry = base.encode()[:8].ljust(8) + ext.encode()[:3].ljust(3) + b"\x20" + bytes(14) + struct.pack("<HI", 2, len(octets))
    return (boot + table * 2 + entry.ljust(7 * SECTOR, b"\0") + octets).ljust(1440 * SECTOR, b"\0")


def table(kind, sectors):
    entry = struct.pack("<B3sB3sII", 0, b"\1\1\0", kind, b"\x3f\x3f\x10", 1, sectors)
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


def mbr(name, octets):
    volume = fat(name, octets)
    return table(1, len(volume) // SECTOR) + volume


def gpt(name, octets):
    return table(0xEE, 0xFFFFFFFE) + b"EFI PART\0\0\1\0\x5c\0\0\0".ljust(SECTOR, b"\0") + bytes(32 * SECTOR) + fat(name, octets)


def apple_map(name, octets):
    def entry(kind, first, count):
        return (b"PM\0\0" + struct.pack(">III", 2, first, count) + b"disk".ljust(32, b"\0") + kind.ljust(32, b"\0")).ljust(SECTOR, b"\0")
    volume = fat(name, octets)
    return (b"ER" + struct.pack(">HI", SECTOR, len(volume) // SECTOR + 3)).ljust(SECTOR, b"\0") + entry(b"Apple_partition_map", 1, 2) + \
        entry(b"DOS_FAT_12", 3, len(volume) // SECTOR) + volume


def vdi(name, octets):
    return b"<<< Oracle VM VirtualBox Disk Image >>>\n".ljust(64, b"\0") + struct.pack("<IHH", 0xBEDA107F, 1, 1) + bytes(440) + fat(name, octets)


def at(offset, magic, behind=4096):
    """Octets that say what it is, and the file in some block."""
    return lambda _, octets: (bytes(offset) + magic).ljust(behind, b"\0") + octets.ljust(4096, b"\0")


def hfs(name, octets):
    return at(1024, b"H+\0\4" + bytes(36) + struct.pack(">I", 4096))(name, octets)


def ext(name, octets):
    return at(1024, struct.pack("<II", 64, 256) + bytes(48) + b"\x53\xef\1\0")(name, octets)


def udf(name, octets):
    """Nothing but the anchor says so."""
    tag = struct.pack("<HHBBHHHI", 2, 2, 0, 0, 0, 0, 0, 256)
    tag = tag[:4] + bytes([sum(tag) & 255]) + tag[5:]
    return octets.ljust(256 * 2048, b"\0") + (tag + struct.pack("<IIII", 16 * 2048, 32, 16 * 2048, 64)).ljust(2048, b"\0")


def cab_reserved(name, octets):
    """Readers do not look at reserved1."""
    whole = mwarchive.cab(True)(name, octets)
    return whole[:4] + b"\1\2\3\4" + whole[8:]


DISKS = {
    "disk of FAT without a label": fat,
    "disk with a table of partitions": mbr,
    "disk with a GPT": gpt,
    "disk of a Mac": apple_map,
    "disk of VirtualBox": vdi,
    "disk of HFS+": hfs,
    "disk of APFS": at(32, b"NXSB\0\x10\0\0"),
    "disk of exFAT": at(3, b"EXFAT   "),
    "disk of Linux": ext,
    "squashfs": at(0, b"hsqs" + bytes(24) + b"\4\0\0\0"),
    "disc of UDF, known by its anchor": udf,
    "disk of a Mac with a password": at(0, b"encrcdsa\0\0\0\2"),
    "package of a Mac": at(0, b"pbzx\0\0\0\0\1\0\0\0", 28),
    "AppleSingle": at(0, b"\0\5\x16\0\0\2\0\0" + bytes(16) + b"\0\1\0\0\0\1\0\0\x10\0\0\0\x10\0"),
    "cab with a reserved field": cab_reserved,
}
