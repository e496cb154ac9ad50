// Yosys's model of the iCE40's look-up table in one expression, which Verilator compiles in a
// fraction of the time.
module SB_LUT4 (
  output O,
  input I0, I1, I2, I3
);
  parameter [15:0] LUT_INIT = 16'h0000;
  assign O = LUT_INIT[{I3, I2, I1, I0}];
endmodule
