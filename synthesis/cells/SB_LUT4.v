// Yosys's model of the iCE40's look-up table, for Verilator in one expression, which compiles in a
// fraction of the time. Elsewhere an unknown input that does not matter must not matter here.
module SB_LUT4 (
  input I0, I1, I2, I3,
  output O
);
  parameter [15:0] LUT_INIT = 16'h0000;
`ifdef VERILATOR
  assign O = LUT_INIT[{I3, I2, I1, I0}];
`else
  wire [7:0] s3 = I3 ? LUT_INIT[15:8] : LUT_INIT[7:0];
  wire [3:0] s2 = I2 ? s3[7:4] : s3[3:0];
  wire [1:0] s1 = I1 ? s2[3:2] : s2[1:0];
  assign O = I0 ? s1[1] : s1[0];
`endif
endmodule
