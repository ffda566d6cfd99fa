# A terminal with a command on it: what a person types, and what appears.
# SPDX-License-Identifier: MIT
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time


class Terminal:
    """A command of the product on a terminal of 33 rows and 101 columns."""

    def __init__(self, arguments, environment, folder):
        self.shown = b""
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
            os.chdir(folder)
            os.execve(arguments[0], [str(word) for word in arguments], {**environment, "TERM": "xterm"})

    def type(self, text):
        os.write(self.descriptor, text.encode())

    def wait_for(self, text, deadline=120):
        """Everything up to and with `text`, which must appear; what follows is kept for the next call."""
        wanted = text.encode()
        end = time.monotonic() + deadline
        while wanted not in self.shown:
            ready, _, _ = select.select([self.descriptor], [], [], max(0.0, end - time.monotonic()))
            try:
                data = os.read(self.descriptor, 65536) if ready else b""
            except OSError:  # the other end is closed
                data = b""
            if not data:
                raise AssertionError(f"{text!r} did not appear; there is: {self.shown.decode(errors='replace')!r}")
            self.shown += data
        before, self.shown = self.shown.split(wanted, 1)
        return (before + wanted).decode(errors="replace")

    def end(self, deadline=60):
        """Waits for the command's end; its status and all that was shown until then."""
        finish = time.monotonic() + deadline
        while time.monotonic() < finish:
            ready, _, _ = select.select([self.descriptor], [], [], 0.2)
            try:
                data = os.read(self.descriptor, 65536) if ready else b""
                self.shown += data
            except OSError:
                data = b""
            if not data:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.pid = 0
                    return os.waitstatus_to_exitcode(status), self.shown.decode(errors="replace")
        raise AssertionError(f"it did not end; there is:\n{self.shown.decode(errors='replace')}")

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.descriptor)
