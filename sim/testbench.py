"""The part that runs inside the simulator, under cocotb: offers one run after another."""

import json
import os
import time
from pathlib import Path

import cocotb
from cocotb.triggers import RisingEdge

JOB_VARIABLE = "HIDDENITE_SIM_JOB"
SECONDS_FILE = "seconds.txt"


@cocotb.test()
async def offer_runs(dut):
    """Start every run of the job and wait for its end; the harness writes what comes out.

    The job is a JSON list with one object a run, which gives the value of each port of the
    harness by its name.
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
        await finished
    job.with_name(SECONDS_FILE).write_text(repr(time.perf_counter() - began))
