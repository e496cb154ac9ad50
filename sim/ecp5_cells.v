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
    // Choices one after the other, and not an index: what a LUT does not depend on may be unknown.
    wire [7:0] deep0 = D0 ? INIT0[15:8] : INIT0[7:0];
    wire [7:0] deep1 = D1 ? INIT1[15:8] : INIT1[7:0];
    wire [3:0] upper0 = C0 ? deep0[7:4] : deep0[3:0];
    wire [3:0] upper1 = C1 ? deep1[7:4] : deep1[3:0];
    wire [1:0] pair0 = B0 ? upper0[3:2] : upper0[1:0];
    wire [1:0] pair1 = B1 ? upper1[3:2] : upper1[1:0];
    wire lut0 = A0 ? pair0[1] : pair0[0];
    wire lut1 = A1 ? pair1[1] : pair1[0];
    // The LUT where C = D = 0.
    wire [1:0] low0 = B0 ? INIT0[3:2] : INIT0[1:0];
    wire [1:0] low1 = B1 ? INIT1[3:2] : INIT1[1:0];
    wire generate0 = (A0 ? low0[1] : low0[0]) & (INJECT1_0 != "YES");
    wire generate1 = (A1 ? low1[1] : low1[0]) & (INJECT1_1 != "YES");
    wire carry0 = (~lut0 & generate0) | (lut0 & CIN);
    assign COUT = (~lut1 & generate1) | (lut1 & carry0);
    assign S0 = lut0 ^ (CIN & (INJECT1_0 != "YES"));
    assign S1 = lut1 ^ (carry0 & (INJECT1_1 != "YES"));
endmodule
