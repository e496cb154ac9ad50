// Simulation model of the ECP5's multiplier, as Yosys and our passes use it: P = A * B; registers of
// the factors and of the product, if any, have clock CLK0 and enable CE0 and begin with 0. No
// resets, no register between, no cascades. Source: Lattice FPGA-TN-02205, ECP5 sysDSP Usage Guide.
module MULT18X18D (
  input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
  input B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
  input C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
  input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
  input CLK0, CE0, RST0,
  output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19,
    P18, P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
  parameter REG_INPUTA_CLK = "NONE";
  parameter REG_INPUTA_CE = "CE0";
  parameter REG_INPUTA_RST = "RST0";
  parameter REG_INPUTB_CLK = "NONE";
  parameter REG_INPUTB_CE = "CE0";
  parameter REG_INPUTB_RST = "RST0";
  parameter REG_INPUTC_CLK = "NONE";
  parameter REG_PIPELINE_CLK = "NONE";
  parameter REG_OUTPUT_CLK = "NONE";
  parameter REG_OUTPUT_CE = "CE0";
  parameter REG_OUTPUT_RST = "RST0";
  parameter GSR = "ENABLED";

  wire signed [18:0] a = {SIGNEDA & A17, A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6,
      A5, A4, A3, A2, A1, A0};
  wire signed [18:0] b = {SIGNEDB & B17, B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6,
      B5, B4, B3, B2, B1, B0};
  reg signed [18:0] held_a = 19'sd0, held_b = 19'sd0;
  wire signed [18:0] left = REG_INPUTA_CLK == "NONE" ? a : held_a;
  wire signed [18:0] right = REG_INPUTB_CLK == "NONE" ? b : held_b;
  wire signed [37:0] product = left * right;
  reg [35:0] held_product = 36'd0;
  assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19,
      P18,
      P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} =
      REG_OUTPUT_CLK == "NONE" ? product[35:0] : held_product;

  always @(posedge CLK0) if (CE0) begin
    held_a <= a;
    held_b <= b;
    held_product <= product[35:0];
  end

  // Nobody connects the reset of registers that are not used.
  wire registered = REG_INPUTA_CLK != "NONE" || REG_INPUTB_CLK != "NONE"
      || REG_OUTPUT_CLK != "NONE";

  // Not at time 0, when what the ports are connected to may not have come through.
  initial #1 if (SOURCEA || SOURCEB || RST0 && registered || REG_PIPELINE_CLK != "NONE"
              || REG_INPUTA_CLK != "NONE" && REG_INPUTA_CLK != "CLK0"
              || REG_INPUTB_CLK != "NONE" && REG_INPUTB_CLK != "CLK0"
              || REG_OUTPUT_CLK != "NONE" && REG_OUTPUT_CLK != "CLK0"
              || REG_INPUTA_CE != "CE0" || REG_INPUTB_CE != "CE0" || REG_OUTPUT_CE != "CE0") begin
    $display("MULT18X18D: a mode without a model");
    $finish;
  end
endmodule
