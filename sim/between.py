"""What a testbench inside the simulator and the process that starts it know of one another.

It is here because testbenches import cocotb, which takes orders from the user's environment as soon
as it is imported: no other process does that.
"""

RUNS_TESTBENCH = "hiddenite.sim.testbench"
"""The module that offers runs."""
JOB_VARIABLE = "HIDDENITE_SIM_JOB"
"""Names its file of runs."""
STOP_VARIABLE = "HIDDENITE_SIM_STOP"
"""Names the file whose appearance ends the simulation early; need not be there."""
SECONDS_FILE = "seconds.txt"
"""What it writes at the end, beside the file of runs: the seconds that these took."""

BOARD_TESTBENCH = "hiddenite.sim.board_testbench"
"""The module that serves a board's other end."""
SOCKET_VARIABLE = "HIDDENITE_BOARD_SOCKET"
"""Names its socket."""
