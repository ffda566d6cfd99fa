# Disks as programs use them: /dev, reading and writing, what they answer, and what happens when one does not answer.
# SPDX-License-Identifier: MIT
import base64
import unittest

from test_image import Images

MIB = 1 << 20
BYTES = bytes(range(256)) * 40

# What Linux answers (block/fops.c, block/ioctl.c), as Python's calls tell it.
ASK = r"""
import errno, fcntl, mmap, os, stat, struct, sys
path, major, minor = sys.argv[1:]
def say(name, call):
    try:
        print(name, call())
    except OSError as error:
        print(name, errno.errorcode[error.errno])
def ask(request, size=8):
    return int.from_bytes(fcntl.ioctl(fd, request, bytes(size)), "little")
def span(request, start, length):
    return len(fcntl.ioctl(fd, request, struct.pack("QQ", start, length)))
node = os.stat(path)
print(stat.filemode(node.st_mode), os.major(node.st_rdev) == int(major), os.minor(node.st_rdev) == int(minor))
fd = os.open(path, os.O_RDWR)
size = os.lseek(fd, 0, os.SEEK_END)
print(size, ask(0x80081272), ask(0x1260) * 512, ask(0x1268, 4), ask(0x127b, 4), ask(0x125e, 4))
say("beyond", lambda: os.lseek(fd, 1, os.SEEK_END))
say("hole", lambda: os.lseek(fd, 0, os.SEEK_HOLE))
say("at the end", lambda: os.pread(fd, 10, size))
say("over the end", lambda: os.pwrite(fd, b"x" * 100, size - 10))
say("behind the end", lambda: os.pwrite(fd, b"x", size))
say("the last ten", lambda: os.pread(fd, 100, size - 10))
say("unaligned", lambda: os.pwrite(fd, b"ab" * 3000, 1001))
say("its edges", lambda: (os.pread(fd, 3, 1000), os.pread(fd, 2, 7000)))
say("vector", lambda: os.preadv(fd, [bytearray(7), bytearray(600)], 3))
say("flush", lambda: (os.fsync(fd), os.fdatasync(fd)))
say("BLKFLSBUF", lambda: ask(0x1261))
say("truncate", lambda: os.ftruncate(fd, 0))
say("zero", lambda: span(0x127f, 1024, 4096))
say("zeroed", lambda: (os.pread(fd, 5120, 1024).count(0), os.pread(fd, 1, 1001)))
say("zero what is no block", lambda: span(0x127f, 1, 512))
say("zero nothing", lambda: span(0x127f, 0, 0))
say("zero too much", lambda: span(0x127f, 0, size + 512))
say("discard", lambda: span(0x1277, 1 << 20, 1 << 20))
say("discard what wraps", lambda: span(0x1277, 2**64 - 512, 1024))
say("unknown", lambda: ask(0x12ff))
say("mmap", lambda: mmap.mmap(fd, 4096))
reader = os.open(path, os.O_RDONLY)
fd, writer = reader, fd
say("zero as a reader", lambda: span(0x127f, 0, 512))
say("write as a reader", lambda: os.write(fd, b"x"))
direct = os.open(path, os.O_RDWR | os.O_DIRECT)
room = mmap.mmap(-1, 8192)
say("direct", lambda: os.preadv(direct, [room], 4096))
say("direct, odd length", lambda: os.preadv(direct, [memoryview(room)[:100]], 0))
say("direct, odd place", lambda: os.preadv(direct, [room], 100))
say("direct write, odd length", lambda: os.pwritev(direct, [memoryview(room)[:513]], 0))
lasting = os.open(path, os.O_WRONLY | os.O_SYNC)
say("lasting", lambda: os.pwrite(lasting, b"kept", 2000))
say("of it", lambda: os.pread(reader, 4, 2000))
os.setuid(1000)
say("another user", lambda: os.open(path, os.O_RDONLY))
"""
ANSWERS = """\
brw------- True True
67108864 67108864 67108864 512 512 0
beyond EINVAL
hole EINVAL
at the end b''
over the end 10
behind the end ENOSPC
the last ten b'xxxxxxxxxx'
unaligned 6000
its edges (b'\\x00ab', b'b\\x00')
vector 607
flush (None, None)
BLKFLSBUF 0
truncate EINVAL
zero 16
zeroed (4096, b'a')
zero what is no block EINVAL
zero nothing EINVAL
zero too much EINVAL
discard 16
discard what wraps EINVAL
unknown ENOTTY
mmap ENODEV
zero as a reader EBADF
write as a reader EBADF
direct 8192
direct, odd length EINVAL
direct, odd place EINVAL
direct write, odd length EINVAL
lasting 4
of it b'kept'
another user EACCES
"""

# Reads on while nothing answers; each program's end, and how long the first one took.
STALLED = r"""
read before _ < /proc/uptime
dd if=/dev/DISK of=/dev/null bs=64k count=100 2>&1 | grep -c error
read after _ < /proc/uptime
echo in time: $(( ${after%.*} - ${before%.*} < 8 ))
dd if=/dev/OTHER of=/dev/null bs=1M count=8 2>/dev/null && echo the other goes on
dd if=/dev/DISK of=/dev/null bs=64k count=100 2>/dev/null & kill -9 $!; wait $!; echo killed: $?
tries=0
until dd if=/dev/DISK of=/dev/null bs=1M count=8 2>/dev/null; do tries=$((tries + 1)); [ $tries -lt 60 ] || exit 9; usleep 500000; done
echo answers again
"""


class Bytes(Images):
    """`dd` in the guest, and the host's file."""

    def judge(self, *options):
        nvme, virtio = self.folder / "nvme.img", self.folder / "virtio.img"
        for disk in (nvme, virtio):
            disk.write_bytes(b"\xee" * (8 * MIB))
        script = ("base64 -d > /tmp/data; ls -l /dev/nvme0n1 /dev/vda; for disk in nvme0n1 vda; do "
                  "dd if=/tmp/data of=/dev/$disk bs=777 seek=1 conv=notrunc 2>/dev/null; "
                  "dd if=/dev/$disk bs=777 skip=1 count=14 2>/dev/null | head -c 10240 | cmp - /tmp/data && echo same; "
                  "cat /sys/block/$disk/size; grep $disk /proc/partitions; blockdev --getsize64 /dev/$disk; done; sync")
        self.KERNEL = ("--disk", f"nvme:{nvme}", "--disk", f"virtio-blk:{virtio}", *options)
        result = self.command("minimal", "sh", "-c", script, stdin=base64.encodebytes(BYTES).decode())
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = [line.split() for line in result.stdout.splitlines()]
        self.assertEqual([line[:1] + line[4:6] for line in lines[:2]], [["brw-------", "259,", "0"], ["brw-------", "254,", "0"]])
        for part, name, major in ((lines[2:6], "nvme0n1", "259"), (lines[6:10], "vda", "254")):
            self.assertEqual(part, [["same"], ["16384"], [major, "0", "8192", name], [str(8 * MIB)]], result.stdout)
        for disk in (nvme, virtio):
            self.assertTrue(disk.read_bytes() == b"\xee" * 777 + BYTES + b"\xee" * (8 * MIB - 777 - len(BYTES)), disk)

    def test_plain(self):
        self.judge()

    def test_behind_an_iommu(self):
        self.judge("--iommu", "intel", "--smp", "2")


class Answers(Images):
    def judge(self, disk, path, major):
        self.KERNEL = ("--disk", f"{disk}:64M")
        result = self.command("python", "python3", "-c", ASK, path, major, "0")
        self.assertEqual((result.stdout, result.returncode), (ANSWERS, 0), result.stderr)

    def test_nvme(self):
        self.judge("nvme", "/dev/nvme0n1", "259")

    def test_virtio_blk(self):
        self.judge("virtio-blk", "/dev/vda", "254")


class Stalled(Images):
    """A disk that does not answer: who reads is told in time, may be killed, and reads again once it answers."""

    def judge(self, kind, disk, other):
        script = STALLED.replace("DISK", disk).replace("OTHER", other)
        more = "virtio-blk" if kind == "nvme" else "nvme"
        result = self.paravane("run", "minimal", "--disk", f"{kind}:64M", "--disk", f"{more}:64M", "--timeout", "120s",
                               "--fault", "stall disk0 read after 20 for 12s", "--append", "disk-deadline=1s", "--", "sh", "-c", script)
        self.assert_status(result, 0)
        got = [line for line in result.stdout.splitlines() if not line.startswith("[") and line != "Killed"]
        self.assertEqual(got, ["1", "in time: 1", "the other goes on", "killed: 137", "answers again"], str(result))

    def test_nvme(self):
        self.judge("nvme", "nvme0n1", "vda")

    def test_virtio_blk(self):
        self.judge("virtio-blk", "vda", "nvme0n1")


if __name__ == "__main__":
    unittest.main()
