# Programs that talk over the network of our kernel, from a recipe: to the host, from the host, and among themselves.
# SPDX-License-Identifier: MIT
import hashlib
import http.server
import os
import socket
import threading
import unittest
import urllib.request

from test_image import Images
from test_net import DEADLINE, Console, free_port

SERVED = os.urandom(300_000)

# Each line waits for what the one before brought about; the last one for the host. A line comes through the pipe when the next
# one is there: so there is one behind `ready`.
BUSYBOX = """
until ifconfig net0 | grep -q 'inet addr'; do usleep 50000; done
wget -q -O - http://10.0.2.2:HOST/file | sha256sum
mkdir /www; dd if=/dev/urandom bs=1000 count=700 of=/www/file 2>/dev/null; sha256sum < /www/file
httpd -p 8080 -h /www; wget -q -O - http://localhost:8080/file | sha256sum
grep -c nameserver /etc/resolv.conf; netstat -ln | grep -c :8080; route -n | grep -c ^0.0.0.0
echo ready; echo waits; nc -l -p 9001; echo over
"""

PYTHON = """
import hashlib, http.server, os, socket, threading, urllib.request
assert socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
body = os.urandom(200000)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def do_POST(self):
        digest = hashlib.sha256(self.rfile.read(int(self.headers["Content-Length"]))).hexdigest().encode()
        self.send_response(200); self.send_header("Content-Length", str(len(digest))); self.end_headers(); self.wfile.write(digest)
        threading.Thread(target=self.server.shutdown).start()
    def log_message(self, *a): pass
server = http.server.ThreadingHTTPServer(("", 8080), Handler)
thread = threading.Thread(target=server.serve_forever); thread.start()
assert urllib.request.urlopen("http://127.0.0.1:8080/").read() == body
print("ready", hashlib.sha256(body).hexdigest(), flush=True)
print("waits", flush=True)
thread.join()
"""


class Files(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(SERVED)))
        self.end_headers()
        self.wfile.write(SERVED)

    def log_message(self, *_):
        pass


class Sockets(Images):
    def serve(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def stop():
            server.shutdown()
            thread.join()
            server.server_close()

        self.addCleanup(stop)
        return server.server_address[1]

    def start(self, recipe, forwards, *words, smp):
        ports = "".join(f",hostfwd=tcp:{host}:{guest}" for host, guest in forwards)
        process = self.place.start("run", recipe, "--smp", smp, "--timeout", "200s", "--net", f"user{ports}", "--", *words,
                                   environment=self.environment())
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return Console(process)

    def judge_busybox(self, smp):
        http_port, end_port = free_port(), free_port()
        guest = self.start("minimal", [(http_port, 8080), (end_port, 9001)], "sh", "-c", BUSYBOX.replace("HOST", str(self.serve())), smp=smp)
        guest.wait_for("ready", 200)
        with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/file", timeout=DEADLINE) as answer:
            body = answer.read()
        with socket.create_connection(("127.0.0.1", end_port), DEADLINE) as end:
            end.sendall(b"said by the host\n")
            end.shutdown(socket.SHUT_WR)
            end.settimeout(DEADLINE)
            self.assertEqual(end.recv(10), b"")
        status, console = guest.end()
        digest = hashlib.sha256(body).hexdigest()
        wanted = [hashlib.sha256(SERVED).hexdigest() + "  -", digest + "  -", digest + "  -", "1", "1", "1", "ready",
                  "said by the host", "over"]
        # The kernel's own lines come in between.
        got = [line for line in console.splitlines() if line in wanted]
        self.assertEqual((status, got), (0, wanted), console)

    def test_busybox_fetches_serves_and_is_reached(self):
        self.judge_busybox("1")

    def test_busybox_on_four_processors(self):
        self.judge_busybox("4")

    def test_python_serves_and_is_reached(self):
        port = free_port()
        guest = self.start("python", [(port, 8080)], "python3", "-c", PYTHON, smp="2")
        guest.wait_for("ready", 200)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=DEADLINE) as answer:
            body = answer.read()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", data=SERVED, timeout=DEADLINE) as answer:
            self.assertEqual(answer.read().decode(), hashlib.sha256(SERVED).hexdigest())
        status, console = guest.end()
        self.assertEqual(status, 0, console)
        self.assertIn(f"ready {hashlib.sha256(body).hexdigest()}", console)


if __name__ == "__main__":
    unittest.main()
