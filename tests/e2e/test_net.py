# Our kernel on a network: an address by DHCP, echo through a forwarded port, two guests on a link, a link that goes, garbage.
# SPDX-License-Identifier: MIT
import json
import os
import queue
import random
import socket
import struct
import threading
import unittest

from harness import LIBRARY, PASS, RULES, EndToEnd

KERNEL = LIBRARY / "paravane-kernel.elf"
DEADLINE = 60
SYN, RST, ACK = 2, 4, 16
NOISY_PORT, OUR_PORT = 4000, 5000
GUEST_MAC = bytes.fromhex("525400707680")  # of whoever connects


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Console:
    """A started guest's console, line by line, so that a test waits for what happens and not for a time."""

    def __init__(self, process):
        self.process, self.lines, self.changed = process, [], threading.Condition()
        self.readers = [threading.Thread(target=self.read, args=(stream,), daemon=True) for stream in (process.stdout, process.stderr)]
        for reader in self.readers:
            reader.start()

    def read(self, stream):
        for line in stream:
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()

    def wait_for(self, text, deadline=DEADLINE):
        with self.changed:
            if not self.changed.wait_for(lambda: any(text in line for line in self.lines), deadline):
                raise AssertionError(f"no line with '{text}':\n{''.join(self.lines)}")

    def end(self, deadline=DEADLINE):
        status = self.process.wait(deadline)
        for reader in self.readers:
            reader.join(deadline)
        self.process.stdout.close()
        self.process.stderr.close()
        return status, "".join(self.lines)


def echo_over_tcp(port, data):
    """What comes back of `data`, sent and received at once, until the other side is done."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
        connection.settimeout(DEADLINE)

        def send():
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        back = bytearray()
        while part := connection.recv(65536):
            back += part
        sender.join(DEADLINE)
        return bytes(back)


class Net(EndToEnd):
    def start(self, *arguments):
        process = self.place.start(*arguments)
        self.addCleanup(self.stop, process)
        return Console(process)

    def stop(self, process):
        if process.poll() is None:
            process.kill()
            process.wait(DEADLINE)

    def test_every_rule_is_observed_on_a_network_behind_the_iommu(self):
        trace = self.folder / "trace.db"
        result = self.paravane("check", "--json", "--output", trace, "--smp", "4", "--iommu", "intel", "--disk", "nvme:64M",
                               "--disk", "virtio-blk:64M", "--net", "user")
        self.assert_status(result, PASS)
        self.assertEqual(result.json["verdict"], "pass", str(result))
        self.assertLessEqual(set(RULES), result.rules("held"), str(result))

        def count(sql):
            return next(iter(json.loads(self.paravane("query", trace, "--json", sql).stdout)[0].values()))

        # 00:0c.0: its frames are commands that were answered, its memory is mapped, its doorbells were rung.
        submitted = count("select count(*) from marker_command_submit where device = 0x60")
        self.assertGreaterEqual(submitted, 33)
        self.assertEqual(submitted, count("select count(*) from marker_command_complete where device = 0x60"))
        self.assertGreaterEqual(count("select count(*) from marker_dma_map where device = 0x60"), 6)
        self.assertGreater(count("select count(*) from marker_doorbell where device = 0x60"), 0)

    def test_a_virtio_iommu_and_none_change_nothing(self):
        for iommu in ("virtio", "none"):
            result = self.paravane("check", "--json", "--smp", "2", "--iommu", iommu, "--disk", "virtio-blk:64M", "--net", "user")
            self.assert_status(result, PASS)
            self.assertEqual(result.json["verdict"], "pass", str(result))

    def test_echo_returns_a_megabyte_and_datagrams_intact(self):
        tcp, udp = free_port(), free_port()
        guest = self.start("run", "--net", f"user,hostfwd=tcp:{tcp}:7,hostfwd=udp:{udp}:7", "--kernel", KERNEL, "--disk", "nvme:64M",
                           "--append", "net=serve:60s,connections:1")
        guest.wait_for("net: serves")
        # Datagrams may be lost, so each is asked for until it comes.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.settimeout(1)
            for length in (1, 1400):
                data = os.urandom(length)
                for _ in range(10):
                    datagrams.sendto(data, ("127.0.0.1", udp))
                    try:
                        self.assertEqual(datagrams.recv(2048), data)
                        break
                    except TimeoutError:
                        continue
                else:
                    self.fail(f"no datagram of {length} bytes came back")
        data = os.urandom(1 << 20)
        self.assertTrue(echo_over_tcp(tcp, data) == data)
        status, console = guest.end()
        self.assertEqual(status, PASS, console)
        self.assertIn("by DHCP", console)
        self.assertIn("served 1 connections and 1048576 bytes", console)

    def test_two_guests_talk_over_a_link(self):
        link = self.folder / "link"
        server = self.start("run", "--net", f"listen:{link}", "--kernel", KERNEL, "--disk", "nvme:64M", "--append",
                            "net=address:10.0.0.1/24,pings:0,serve:60s,connections:1")
        server.wait_for("net: serves")
        client = self.place.run("run", "--net", f"connect:{link}", "--kernel", KERNEL, "--disk", "nvme:64M", "--smp", "2", "--append",
                                "net=address:10.0.0.2/24,peer:10.0.0.1,pings:64,echo:1M")
        self.assert_status(client, PASS)
        said = client.stdout + client.stderr
        self.assertIn("10.0.0.1 answered 64 of 64 echo requests", said)
        self.assertRegex(said, r"10\.0\.0\.1 returned 1048576 of 1048576 bytes by TCP in .*, 0 wrong")
        status, console = server.end()
        self.assertEqual(status, PASS, console)
        self.assertIn("served 1 connections and 1048576 bytes", console)

    def test_a_link_that_goes_and_comes_back(self):
        port, monitor = free_port(), self.folder / "monitor"
        guest = Console(self.place.start(
            "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256", "-display", "none", "-nodefaults", "-no-reboot", "-serial",
            "stdio", "-kernel", KERNEL, "-append", "net=serve:60s,connections:2", "-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{port}-:7",
            "-device", "virtio-net-pci,netdev=n,id=net0", "-qmp", f"unix:{monitor},server=on,wait=off", program="qemu-system-x86_64"))
        self.addCleanup(self.stop, guest.process)
        guest.wait_for("net: serves")
        data = os.urandom(100_000)
        self.assertTrue(echo_over_tcp(port, data) == data)
        with socket.socket(socket.AF_UNIX) as qmp:
            qmp.settimeout(DEADLINE)
            qmp.connect(str(monitor))
            answers = qmp.makefile("rb")
            answers.readline()
            for command in ({"execute": "qmp_capabilities"}, *({"execute": "set_link", "arguments": {"name": "net0", "up": up}}
                                                               for up in (False, True))):
                qmp.sendall(json.dumps(command).encode() + b"\n")
                self.assertIn(b"return", answers.readline())
                if "arguments" in command:
                    guest.wait_for(f"net0: link {'up' if command['arguments']['up'] else 'down'}")
            answers.close()
        self.assertTrue(echo_over_tcp(port, data) == data)
        status, console = guest.end()
        self.assertEqual(status, 0, console)
        self.assertIn("status 0", console)

    def test_a_queue_that_stalls_is_said_and_the_device_reset(self):
        """The other end reads nothing: QEMU holds the guest's frames. Then it reads again, and the guest answers."""
        path = str(self.folder / "link")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            listener.bind(path)
            listener.listen(1)
            listener.settimeout(DEADLINE)
            guest = self.start("run", "--net", f"connect:{path}", "--kernel", KERNEL, "--disk", "nvme:64M", "--append",
                               "net=address:10.0.0.2/24,pings:0,serve:60s,connections:1")
            peer, _ = listener.accept()
        with peer:
            peer.settimeout(DEADLINE)
            guest.wait_for("net: serves")
            ask = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + bytes(1000)
            ask = ask[:2] + struct.pack("!H", internet_sum(ask)) + ask[4:]
            link = Link(peer, reads=False)
            link.send(ethernet(b"\xff" * 6, 0x0806, arp_request()))
            for _ in range(1000):
                link.send(ethernet(GUEST_MAC, 0x0800, ipv4(1, ask)))
            guest.wait_for("frames wait for the device")
            guest.wait_for("it was reset and serves again")
            link.start()
            link.discard_connection()
            status, console = guest.end()
        self.assertEqual(status, PASS, console)
        self.assertIn("served 1 connections", console)

    def test_garbage_does_no_harm(self):
        """Frames of every sort of nonsense, from the other end of the link; then the guest still answers."""
        path = str(self.folder / "link")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            listener.settimeout(DEADLINE)
            guest = self.start("run", "--net", f"connect:{path}", "--kernel", KERNEL, "--disk", "nvme:64M", "--append",
                               "net=address:10.0.0.2/24,pings:0,serve:60s,connections:1")
            peer, _ = listener.accept()
        with peer:
            peer.settimeout(DEADLINE)
            guest.wait_for("net: serves")
            link = Link(peer)
            for frame in nonsense(random.Random(4), GUEST_MAC):
                link.send(frame)
            # Then a connection as it should be, which is what the guest waits for.
            link.discard_connection()
            status, console = guest.end()
        self.assertEqual(status, PASS, console)
        self.assertIn("served 1 connections", console)
        self.assertNotIn("the network stops", console)


class Link:
    """The other end of a guest's link: each frame comes after its length (QEMU's stream socket)."""

    def __init__(self, peer, reads=True):
        self.peer, self.frames = peer, queue.Queue()
        if reads:
            self.start()

    def start(self):
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        stream = self.peer.makefile("rb")
        try:
            while head := stream.read(4):
                self.frames.put(stream.read(struct.unpack("!I", head)[0]))
        except (OSError, ValueError):
            pass

    def send(self, frame):
        self.peer.sendall(struct.pack("!I", len(frame)) + frame)

    def wait_for_syn_ack(self):
        """The sequence number of the answer to a SYN from our port."""
        while True:
            frame = self.frames.get(timeout=DEADLINE)
            if len(frame) >= 54 and frame[12:14] == b"\x08\0" and frame[23] == 6 and frame[36:38] == struct.pack("!H", OUR_PORT):
                if frame[47] & (SYN | ACK) == SYN | ACK and frame[42:46] == struct.pack("!I", 1001):
                    return struct.unpack("!I", frame[38:42])[0]


    def discard_connection(self):
        """Opens a connection to the guest's discard service, sends something, and resets it."""
        self.send(ethernet(b"\xff" * 6, 0x0806, arp_request()))
        self.send(ethernet(GUEST_MAC, 0x0800, ipv4(6, tcp(SYN, 1000))))
        acknowledged = self.wait_for_syn_ack() + 1
        self.send(ethernet(GUEST_MAC, 0x0800, ipv4(6, tcp(ACK, 1001, acknowledged, data=b"discard this"))))
        self.send(ethernet(GUEST_MAC, 0x0800, ipv4(6, tcp(RST | ACK, 1013, acknowledged))))


def arp_request():
    return struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, bytes.fromhex("020000000001"), bytes((10, 0, 0, 1)), bytes(6),
                       bytes((10, 0, 0, 2)))


def internet_sum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(protocol, payload, fragment=0, length=None, header=5):
    head = struct.pack("!BBHHHBBH4s4s", 4 << 4 | header, 0, length or 20 + len(payload), 7, fragment, 64, protocol, 0,
                       bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)))
    return head[:10] + struct.pack("!H", internet_sum(head)) + head[12:] + payload


def tcp(flags, sequence, acknowledged=0, port=9, data=b"", options=b"", offset=None, source=None):
    words = 5 + len(options) // 4 if offset is None else offset
    segment = struct.pack("!HHIIBBHHH", source or OUR_PORT, port, sequence, acknowledged, words << 4, flags, 8192, 0, 0) + options + data
    pseudo = bytes((10, 0, 0, 1, 10, 0, 0, 2, 0, 6)) + struct.pack("!H", len(segment))
    return segment[:16] + struct.pack("!H", internet_sum(pseudo + segment)) + segment[18:]


def ethernet(mac, kind, payload):
    return mac + bytes.fromhex("020000000001") + struct.pack("!H", kind) + payload


def nonsense(chance, mac):
    def noise(most=200):
        return chance.randbytes(chance.randrange(most))

    everybody = b"\xff" * 6
    for i in range(3000):
        to = everybody if chance.random() < 0.3 else mac
        yield (lambda: chance.randbytes(chance.randrange(1, 1514)),
               lambda: ethernet(to, 0x0806, noise(60)),
               lambda: ethernet(to, 0x0800, noise()),
               lambda: ethernet(to, 0x86dd, b"\x60" + noise()),
               lambda: ethernet(to, 0x8100, noise()),
               lambda: ethernet(to, 0x0800, ipv4(chance.randrange(256), noise(), fragment=chance.randrange(1 << 16))),
               lambda: ethernet(to, 0x0800, ipv4(chance.choice((1, 6, 17)), noise(), length=chance.randrange(1, 3000))),
               lambda: ethernet(to, 0x0800, ipv4(chance.choice((1, 6, 17)), noise(), header=chance.randrange(16))),
               lambda: ethernet(to, 0x0800, ipv4(1, bytes((chance.choice((0, 3, 5, 8, 11)), 0)) + noise())),
               lambda: ethernet(to, 0x0800, ipv4(6, tcp(chance.randrange(256), chance.getrandbits(32), port=chance.choice((7, 9, 80)),
                                                        options=noise(10) * 4, offset=chance.randrange(16), data=noise(), source=NOISY_PORT))),
               lambda: ethernet(to, 0x0800, ipv4(17, struct.pack("!HHHH", 67, 68, chance.randrange(300), 0) + noise())),
               lambda: ethernet(to, 0x86dd, struct.pack("!IHBB", 6 << 28, chance.randrange(300), chance.choice((0, 43, 44, 58, 60)), 255) +
                                bytes(15) + b"\1" + bytes.fromhex("ff020000000000000000000000000001") + noise()),
               )[i % 12]()[:1514]


if __name__ == "__main__":
    unittest.main()
