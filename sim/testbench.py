"""The part that runs inside the simulator, under cocotb: offers one run after another."""

import json
import os
import time
from pathlib import Path

import cocotb
from cocotb.triggers import First, RisingEdge, Timer, Trigger

from hiddenite.sim.between import JOB_VARIABLE, SECONDS_FILE, STOP_VARIABLE

_LOOK_SECONDS = 0.1
_FIRST_LOOK_NS = 1000


@cocotb.test()
async def offer_runs(dut):
    """Start every run of the job and wait for its end; the harness writes what comes out.

    The job is a JSON list with one object a run, which gives the value of each port of the
    harness by its name. Where a file for it is named, its appearance ends the simulation early.
    """
    job = Path(os.environ[JOB_VARIABLE])
    began = time.perf_counter()
    go = 0
    finished = RisingEdge(dut.done)
    for ports in json.loads(job.read_text()):
        for name, value in ports.items():
            getattr(dut, name).value = value
        go ^= 1
        dut.go.value = go
        if not await _ends(finished):
            return
    job.with_name(SECONDS_FILE).write_text(repr(time.perf_counter() - began))


async def _ends(finished: Trigger) -> bool:
    """Wait for a trigger; False if the simulation is to end before."""
    if STOP_VARIABLE not in os.environ:
        await finished
        return True
    stop = Path(os.environ[STOP_VARIABLE])
    nanoseconds = _FIRST_LOOK_NS
    while True:
        began = time.perf_counter()
        # Whole nanoseconds: the clock has an edge then anyway, so that nothing is added.
        look = Timer(nanoseconds, "ns")
        if await First(finished, look) is not look:
            return True
        if stop.exists():
            return False
        seconds = time.perf_counter() - began
        if seconds < _LOOK_SECONDS / 2:
            nanoseconds *= 2
        elif seconds > _LOOK_SECONDS * 2:
            nanoseconds = max(_FIRST_LOOK_NS, nanoseconds // 2)
