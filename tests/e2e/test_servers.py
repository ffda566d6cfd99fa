# A real server on our own kernel, asked from the host: nginx with its workers, through a reload and to its end.
# SPDX-License-Identifier: MIT
import concurrent.futures
import hashlib
import http.client
import shutil
import socket
import unittest

from harness import SOURCE
from test_image import Images
from test_net import DEADLINE, Console, free_port

RECIPE = SOURCE / "tests/e2e/suites/nginx.toml"
CLIENTS, EACH = 6, 20

# Each `nc` waits for the host to say that it goes on. A line comes through the pipe when the next one is there.
SCRIPT = """
cd /tmp; mkdir www; dd if=/dev/urandom of=www/file bs=1000 count=300 2>/dev/null; dd if=/dev/urandom of=www/large bs=100000 count=80 2>/dev/null
echo "file $(sha256sum < www/file)"; echo "large $(sha256sum < www/large)"
until ifconfig net0 | grep -q 'inet addr'; do usleep 50000; done
nginx -c /etc/nginx.conf || exit 1
echo ready; echo waits; nc -l -p 9001
sed -i s/before/after/ /etc/nginx.conf; nginx -c /etc/nginx.conf -s reload || exit 2
echo reloading; echo waits; nc -l -p 9001
nginx -c /etc/nginx.conf -s quit; while [ -e nginx.pid ]; do usleep 50000; done
echo "logged $(wc -l < access.log)"; cat error.log; echo over
"""


def ask(port, path, times=1):
    """What came back for each of several requests over one connection: status, body, the worker's number."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    found = []
    for _ in range(times):
        connection.request("GET", path)
        answer = connection.getresponse()
        found.append((answer.status, answer.read(), answer.headers["X-Worker"]))
    connection.close()
    return found


class Nginx(Images):
    def setUp(self):
        super().setUp()
        shutil.copy(RECIPE, self.folder)

    def go_on(self, port):
        with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(DEADLINE)
            self.assertEqual(connection.recv(10), b"")

    def judge(self, processors):
        port, control = free_port(), free_port()
        process = self.place.start("run", "./nginx.toml", "--smp", processors, "--timeout", "100s", "--net",
                                   f"user,hostfwd=tcp:{port}:8080,hostfwd=tcp:{control}:9001", "--", "sh", "-c", SCRIPT,
                                   environment=self.environment())
        self.addCleanup(lambda: process.poll() is None and process.kill())
        guest = Console(process)
        guest.wait_for("ready", 100)

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            answers = [answer for part in pool.map(lambda _: ask(port, "/file", EACH), range(CLIENTS)) for answer in part]
        first_workers = {worker for _, _, worker in answers}
        self.assertEqual({status for status, _, _ in answers}, {200})
        self.assertEqual(len({body for _, body, _ in answers}), 1)
        self.assertEqual([answer[:2] for answer in ask(port, "/says") + ask(port, "/none")], [(200, b"before\n"), (404, b"none\n")])

        # What an old worker is at, it finishes; who asks anew is answered by the new ones, as the new file says.
        slow = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        slow.request("GET", "/large")
        answer = slow.getresponse()
        large = answer.read(100_000)
        self.go_on(control)
        guest.wait_for("reloading")
        asked = 1
        while (after := ask(port, "/says")[0])[1] != b"after\n" and asked < 1000:
            asked += 1
        self.assertEqual(after[:2], (200, b"after\n"))
        self.assertNotIn(after[2], first_workers)
        large += answer.read()
        slow.close()

        self.go_on(control)
        status, console = guest.end()
        self.assertEqual(status, 0, console)
        for line in (f"file {hashlib.sha256(answers[0][1]).hexdigest()}", f"large {hashlib.sha256(large).hexdigest()}",
                     f"logged {CLIENTS * EACH + 2 + 1 + asked}"):
            self.assertIn(line, console)
        self.assertNotRegex(console, r"\[(error|crit|alert|emerg)\]")

    def test_on_one_processor(self):
        self.judge("1")

    def test_on_four_processors(self):
        self.judge("4")


if __name__ == "__main__":
    unittest.main()
