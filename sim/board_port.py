"""A simulated board's UART as the host sees a serial port."""

from hiddenite.sim.board import SimulatedBoard

__all__ = ["SimulatedPort"]


class SimulatedPort:
    """Transport to a simulated board, as `hiddenite.host.transport.Transport` has it.

    The host takes no time: what passes on its clock is the board's.

    Parameters
    ----------
    board : SimulatedBoard
        A board that has been entered.
    """

    name = "/dev/simulated"

    def __init__(self, board: SimulatedBoard) -> None:
        self.board, self.baud = board, board.parameters.baud

    def write(self, data: bytes) -> None:
        """Send bytes from now on."""
        self.board.write(data)

    def read(self, timeout: float) -> bytes:
        """Bytes from the board, at least one of them within so many simulated seconds."""
        return self.board.read(1, timeout) + self.board.read(4096, 0)

    def clock(self) -> float:
        """Simulated seconds so far."""
        return self.board.cycle / self.board.parameters.clock_hz

    def close(self) -> None:
        """Do nothing: the board is not the port's."""
