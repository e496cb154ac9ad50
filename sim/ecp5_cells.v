// Cells of the ECP5 that emitted Verilog has where the array is built as chains, for simulation.
// Synthesis for an ECP5 knows them itself.

// Two bits of a carry chain, each with a LUT of four inputs; Lattice FPGA-TN-02200. INJECT1 "YES"
// separates a bit's sum from the chain and lets no carry begin there.
module CCU2C #(
    parameter [15:0] INIT0 = 16'h0000,
    parameter [15:0] INIT1 = 16'h0000,
    parameter INJECT1_0 = "YES",
    parameter INJECT1_1 = "YES"
) (
    input  wire CIN,
    input  wire A0, B0, C0, D0,
    input  wire A1, B1, C1, D1,
    output wire S0, S1,
    output wire COUT
);
    wire lut0 = INIT0[{D0, C0, B0, A0}];
    wire lut1 = INIT1[{D1, C1, B1, A1}];
    wire generate0 = INIT0[{2'b00, B0, A0}] & (INJECT1_0 != "YES");
    wire generate1 = INIT1[{2'b00, B1, A1}] & (INJECT1_1 != "YES");
    wire carry0 = (~lut0 & generate0) | (lut0 & CIN);
    assign COUT = (~lut1 & generate1) | (lut1 & carry0);
    assign S0 = lut0 ^ (CIN & (INJECT1_0 != "YES"));
    assign S1 = lut1 ^ (carry0 & (INJECT1_1 != "YES"));
endmodule
