# What the golden logs' writers share: the table of cases, and a whole run around what a case is about.
# SPDX-License-Identifier: MIT
from logs import Log

CASES = {}


def case(rule, name):
    def add(function):
        CASES[rule, name] = function
        return function
    return add


def run(about, body):
    """A whole run with `body` between work and shutdown."""
    log = Log(about)
    log.begin()
    log.work()
    body(log)
    log.end()
    return log
