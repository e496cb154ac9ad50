"""The part of a simulated board that runs inside the simulator, under cocotb."""

import os
from multiprocessing.connection import Client

import cocotb
from cocotb.triggers import Timer

from hiddenite.sim.between import SOCKET_VARIABLE


@cocotb.test()
async def serve(dut):
    """Do what the other end of the socket asks for until it is closed.

    A request is (bytes to send or b"", cycles of a gap between bytes, cycle at which to stop,
    received bytes at which to stop); an answer is (bytes received, cycle, whether bytes are still
    being sent, LEDs, number).
    """
    go = run = 0
    dut.go.value = dut.run.value = dut.count.value = dut.gap.value = 0
    # Until then, `stopped` changes from unknown to its initial value.
    await Timer(1, "ns")
    stopped = dut.stopped.value_change
    with Client(os.environ[SOCKET_VARIABLE], "AF_UNIX") as requests:
        while True:
            try:
                burst, gap, cycle, enough = requests.recv()
            except EOFError:
                return
            if burst:
                go ^= 1
                dut.burst.value = int.from_bytes(burst, "little")
                dut.count.value = len(burst)
                dut.gap.value = gap
                dut.go.value = go
            dut.until_cycle.value = cycle
            dut.until_bytes.value = enough
            run ^= 1
            dut.run.value = run
            await stopped
            count = int(dut.received_count.value)
            received = b""
            if count:
                received = int(dut.received.value).to_bytes(len(dut.received) // 8, "little")[
                    :count
                ]
            requests.send(
                (
                    received,
                    int(dut.cycle.value),
                    bool(dut.sending.value),
                    int(dut.leds.value),
                    int(dut.number.value),
                )
            )
