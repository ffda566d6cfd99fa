# Our kernel on IPv6, from the other end of its link: an address by autoconfiguration, neighbours, echo by ICMPv6, UDP and TCP.
# SPDX-License-Identifier: MIT
import ipaddress
import os
import socket
import struct
import unittest

from harness import PASS, EndToEnd
from test_net import ACK, DEADLINE, GUEST_MAC, KERNEL, SYN, Console, Link, ethernet, internet_sum

FIN, PSH = 1, 8
OUR_MAC = bytes.fromhex("020000000001")
PREFIX = ipaddress.IPv6Address("2001:db8::").packed[:8]
IDENTIFIER = bytes((GUEST_MAC[0] ^ 2, *GUEST_MAC[1:3], 0xff, 0xfe, *GUEST_MAC[3:]))  # RFC 4291, appendix A
GUEST = PREFIX + IDENTIFIER
US = PREFIX + (1).to_bytes(8, "big")
ROUTER = ipaddress.IPv6Address("fe80::1").packed
ALL_NODES = ipaddress.IPv6Address("ff02::1").packed
ICMP, UDP, TCP = 58, 17, 6
ROUTER_ADVERTISEMENT, SOLICITATION, ADVERTISEMENT = 134, 135, 136
ECHO_PORT, OUR_PORT = 7, 5000


def checked(source, target, protocol, payload, at):
    """The payload with the checksum of RFC 8200, 8.1, at offset `at`."""
    pseudo = source + target + struct.pack("!IHBB", len(payload), 0, 0, protocol)
    total = internet_sum(pseudo + payload[:at] + b"\0\0" + payload[at + 2:])
    return payload[:at] + struct.pack("!H", total or 0xffff) + payload[at + 2:]


def packet(source, target, protocol, payload, at):
    body = checked(source, target, protocol, payload, at)
    mac = b"\x33\x33" + target[12:] if target[0] == 0xff else GUEST_MAC
    return ethernet(mac, 0x86dd, struct.pack("!IHBB", 6 << 28, len(body), protocol, 255) + source + target + body)


def icmp(kind, rest, source=US, target=GUEST):
    return packet(source, target, ICMP, struct.pack("!BBH", kind, 0, 0) + rest, 2)


class Net6(EndToEnd):
    def answer(self, link, protocol, wanted):
        """The payload of the next packet of `protocol` to us that is `wanted`, its checksum right. Neighbours are answered meanwhile."""
        while True:
            frame = link.frames.get(timeout=DEADLINE)
            if len(frame) < 54 or frame[12:14] != b"\x86\xdd":
                continue
            length, kind = struct.unpack("!HB", frame[18:21])
            source, target, payload = frame[22:38], frame[38:54], frame[54:54 + length]
            if kind == ICMP and payload[0] == SOLICITATION and payload[8:24] == US:
                link.send(icmp(ADVERTISEMENT, struct.pack("!I", 0x60000000) + US + b"\2\1" + OUR_MAC))
            if kind == protocol and target == US and source == GUEST and wanted(payload):
                at = {ICMP: 2, UDP: 6, TCP: 16}[protocol]
                self.assertEqual(payload, checked(source, target, protocol, payload, at), "a wrong checksum")
                return payload

    def test_autoconfiguration_neighbours_and_echo(self):
        path = str(self.folder / "link")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            listener.settimeout(DEADLINE)
            process = self.place.start("run", "--net", f"connect:{path}", "--kernel", KERNEL, "--disk", "nvme:64M", "--append",
                                       "net=address:10.0.0.2/24,pings:0,serve:60s,connections:1")
            guest = Console(process)
            self.addCleanup(lambda: process.poll() is None and (process.kill(), process.wait(DEADLINE)))
            peer, _ = listener.accept()
        with peer:
            peer.settimeout(DEADLINE)
            guest.wait_for("net: serves")
            link = Link(peer)
            prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xc0, 86400, 14400, 0) + PREFIX + bytes(8)
            advertisement = struct.pack("!BBHII", 64, 0, 1800, 0, 0) + prefix + b"\1\1" + OUR_MAC
            link.send(icmp(ROUTER_ADVERTISEMENT, advertisement, ROUTER, ALL_NODES))
            words = ":".join(f"{word:x}" for word in struct.unpack("!8H", GUEST))
            guest.wait_for(f"net0: address {words}")

            solicited = ipaddress.IPv6Address("ff02::1:ff00:0").packed[:13] + GUEST[13:]
            link.send(icmp(SOLICITATION, bytes(4) + GUEST + b"\1\1" + OUR_MAC, target=solicited))
            found = self.answer(link, ICMP, lambda p: p[0] == ADVERTISEMENT)
            self.assertEqual(found[8:24], GUEST)
            self.assertIn(GUEST_MAC, found[24:])

            for length in (0, 1, 1400):
                ask = struct.pack("!HH", 6, length) + os.urandom(length)
                link.send(icmp(128, ask))
                self.assertEqual(self.answer(link, ICMP, lambda p: p[0] == 129)[4:], ask)
                data = os.urandom(length)
                link.send(packet(US, GUEST, UDP, struct.pack("!HHHH", OUR_PORT + length, ECHO_PORT, 8 + length, 0) + data, 6))
                self.assertEqual(self.answer(link, UDP, lambda p: p[2:4] == struct.pack("!H", OUR_PORT + length))[8:], data)
            self.echo_by_tcp(link, os.urandom(20_000))
            status, console = guest.end()
        self.assertEqual(status, PASS, console)
        self.assertIn("served 1 connections and 20000 bytes", console)

    def echo_by_tcp(self, link, data):
        """A connection to the echo service, one segment at a time, opened and closed in order."""
        def send(flags, sequence, acknowledged, part=b""):
            head = struct.pack("!HHIIBBHHH", OUR_PORT, ECHO_PORT, sequence, acknowledged, 5 << 4, flags, 65535, 0, 0)
            link.send(packet(US, GUEST, TCP, head + part, 16))

        def receive(flags, wanted=lambda segment: True):
            return self.answer(link, TCP, lambda p: p[2:4] == struct.pack("!H", OUR_PORT) and p[13] & flags == flags and wanted(p))

        ours = 1000
        send(SYN, ours, 0)
        theirs = struct.unpack("!I", receive(SYN | ACK)[4:8])[0] + 1
        ours += 1
        send(ACK, ours, theirs)
        back = b""
        for at in range(0, len(data), 1000):
            part = data[at:at + 1000]
            send(PSH | ACK, ours, theirs, part)
            ours += len(part)
            while len(back) < at + len(part):
                segment = receive(ACK, lambda p: p[4:8] == struct.pack("!I", theirs) and len(p) > p[12] // 16 * 4)
                piece = segment[segment[12] // 16 * 4:]
                back += piece
                theirs += len(piece)
                send(ACK, ours, theirs)
        self.assertEqual(back, data)
        send(FIN | ACK, ours, theirs)
        receive(FIN, lambda p: p[4:8] == struct.pack("!I", theirs))
        send(ACK, ours + 1, theirs + 1)


if __name__ == "__main__":
    unittest.main()
