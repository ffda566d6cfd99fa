# QEMU started straight by a test: it ends with the test, and within its deadline.
# SPDX-License-Identifier: MIT
import ctypes
import resource
import signal
import subprocess

COMMAND = ["qemu-system-x86_64", "-machine", "q35", "-cpu", "max", "-nodefaults", "-display", "none", "-no-reboot"]


def die_with_parent():
    """For preexec_fn: the process ends with this one, and leaves no core file."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def start(arguments):
    return subprocess.Popen(COMMAND + arguments, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)


def ended_within(process, seconds):
    """Waits for the end; what goes on after `seconds` is killed, and the answer is False."""
    try:
        process.wait(max(seconds, 0))
        return True
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
