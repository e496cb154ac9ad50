"""Prints after a run which test files took the most processor time, and each one's share.

Processor time, that of all programs which a test started and waited for included, is about the
same however busy the machine is; time by the clock is not.
"""

import os
from collections import Counter

import pytest

MOST_FILES = 15


def processor_seconds():
    """Processor time of this process and of those that it has waited for."""
    return sum(os.times()[:4])


class FileTimes:
    """Takes the time of every phase of every test; sums up by file where reports arrive.

    With xdist a worker takes the time and its report carries it to the process that prints.
    """

    def __init__(self):
        self._last = processor_seconds()
        self._seconds = Counter()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self):
        self._last = processor_seconds()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self):
        report = yield
        now = processor_seconds()
        report.processor_seconds = now - self._last
        self._last = now
        return report

    def pytest_runtest_logreport(self, report):
        self._seconds[report.nodeid.split("::")[0]] += getattr(report, "processor_seconds", 0)

    def pytest_terminal_summary(self, terminalreporter):
        total = sum(self._seconds.values())
        if len(self._seconds) < 2 or not total:
            return
        terminalreporter.section("processor time by file")
        for file, seconds in self._seconds.most_common(MOST_FILES):
            terminalreporter.line(f"{seconds:8.1f} s {seconds / total:4.0%}  {file}")
        rest = len(self._seconds) - MOST_FILES
        if rest > 0:
            seconds = total - sum(n for _, n in self._seconds.most_common(MOST_FILES))
            terminalreporter.line(f"{seconds:8.1f} s {seconds / total:4.0%}  {rest} more files")
        terminalreporter.line(f"{total:8.1f} s       in all")


def pytest_configure(config):
    config.pluginmanager.register(FileTimes(), "file-times")
