"""How a host and a board talk: the frames (docs/link.md) and the hardware at the board's end."""
