"""Where an engine is built: FPGA parts."""
