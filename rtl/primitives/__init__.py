"""What every room uses: registers that wait, memories, and modules that are emitted once."""
