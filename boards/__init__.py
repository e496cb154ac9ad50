"""FPGA boards: pins, clocks, bitstreams, programming."""
