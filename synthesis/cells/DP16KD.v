// Simulation model of the ECP5's block RAM, as Yosys uses it: 1,024 rows of 18 bits, two ports of
// 1, 2, 4, 9 or 18 bits, or a write port A and a read port B of 36; an output register at port B
// alone, below 36 bits; chip selects at 0. A word that is read and written in one cycle gives its old value. Source: Lattice
// FPGA-TN-02204, ECP5 Memory Usage Guide; contents in INITVAL as Yosys puts them.
module DP16KD (
  input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5,
    DIA4, DIA3, DIA2, DIA1, DIA0,
  input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
  input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
  output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5,
    DOA4, DOA3, DOA2, DOA1, DOA0,
  input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5,
    DIB4, DIB3, DIB2, DIB1, DIB0,
  input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
  input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
  output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5,
    DOB4, DOB3, DOB2, DOB1, DOB0
);
  parameter DATA_WIDTH_A = 18;
  parameter DATA_WIDTH_B = 18;
  parameter REGMODE_A = "NOREG";
  parameter REGMODE_B = "NOREG";
  parameter RESETMODE = "SYNC";
  parameter ASYNC_RESET_RELEASE = "SYNC";
  parameter CSDECODE_A = "0b000";
  parameter CSDECODE_B = "0b000";
  parameter WRITEMODE_A = "NORMAL";
  parameter WRITEMODE_B = "NORMAL";
  parameter CLKAMUX = "CLKA";
  parameter CLKBMUX = "CLKB";
  parameter GSR = "ENABLED";
  parameter [319:0] INITVAL_00 = 320'd0;
  parameter [319:0] INITVAL_01 = 320'd0;
  parameter [319:0] INITVAL_02 = 320'd0;
  parameter [319:0] INITVAL_03 = 320'd0;
  parameter [319:0] INITVAL_04 = 320'd0;
  parameter [319:0] INITVAL_05 = 320'd0;
  parameter [319:0] INITVAL_06 = 320'd0;
  parameter [319:0] INITVAL_07 = 320'd0;
  parameter [319:0] INITVAL_08 = 320'd0;
  parameter [319:0] INITVAL_09 = 320'd0;
  parameter [319:0] INITVAL_0A = 320'd0;
  parameter [319:0] INITVAL_0B = 320'd0;
  parameter [319:0] INITVAL_0C = 320'd0;
  parameter [319:0] INITVAL_0D = 320'd0;
  parameter [319:0] INITVAL_0E = 320'd0;
  parameter [319:0] INITVAL_0F = 320'd0;
  parameter [319:0] INITVAL_10 = 320'd0;
  parameter [319:0] INITVAL_11 = 320'd0;
  parameter [319:0] INITVAL_12 = 320'd0;
  parameter [319:0] INITVAL_13 = 320'd0;
  parameter [319:0] INITVAL_14 = 320'd0;
  parameter [319:0] INITVAL_15 = 320'd0;
  parameter [319:0] INITVAL_16 = 320'd0;
  parameter [319:0] INITVAL_17 = 320'd0;
  parameter [319:0] INITVAL_18 = 320'd0;
  parameter [319:0] INITVAL_19 = 320'd0;
  parameter [319:0] INITVAL_1A = 320'd0;
  parameter [319:0] INITVAL_1B = 320'd0;
  parameter [319:0] INITVAL_1C = 320'd0;
  parameter [319:0] INITVAL_1D = 320'd0;
  parameter [319:0] INITVAL_1E = 320'd0;
  parameter [319:0] INITVAL_1F = 320'd0;
  parameter [319:0] INITVAL_20 = 320'd0;
  parameter [319:0] INITVAL_21 = 320'd0;
  parameter [319:0] INITVAL_22 = 320'd0;
  parameter [319:0] INITVAL_23 = 320'd0;
  parameter [319:0] INITVAL_24 = 320'd0;
  parameter [319:0] INITVAL_25 = 320'd0;
  parameter [319:0] INITVAL_26 = 320'd0;
  parameter [319:0] INITVAL_27 = 320'd0;
  parameter [319:0] INITVAL_28 = 320'd0;
  parameter [319:0] INITVAL_29 = 320'd0;
  parameter [319:0] INITVAL_2A = 320'd0;
  parameter [319:0] INITVAL_2B = 320'd0;
  parameter [319:0] INITVAL_2C = 320'd0;
  parameter [319:0] INITVAL_2D = 320'd0;
  parameter [319:0] INITVAL_2E = 320'd0;
  parameter [319:0] INITVAL_2F = 320'd0;
  parameter [319:0] INITVAL_30 = 320'd0;
  parameter [319:0] INITVAL_31 = 320'd0;
  parameter [319:0] INITVAL_32 = 320'd0;
  parameter [319:0] INITVAL_33 = 320'd0;
  parameter [319:0] INITVAL_34 = 320'd0;
  parameter [319:0] INITVAL_35 = 320'd0;
  parameter [319:0] INITVAL_36 = 320'd0;
  parameter [319:0] INITVAL_37 = 320'd0;
  parameter [319:0] INITVAL_38 = 320'd0;
  parameter [319:0] INITVAL_39 = 320'd0;
  parameter [319:0] INITVAL_3A = 320'd0;
  parameter [319:0] INITVAL_3B = 320'd0;
  parameter [319:0] INITVAL_3C = 320'd0;
  parameter [319:0] INITVAL_3D = 320'd0;
  parameter [319:0] INITVAL_3E = 320'd0;
  parameter [319:0] INITVAL_3F = 320'd0;

  reg [17:0] rows [0:1023];

  task load(input integer number, input [319:0] content);
    integer i;
    for (i = 0; i < 16; i = i + 1) rows[16 * number + i] = content[20 * i +: 18];
  endtask

  initial begin
      load(0, INITVAL_00);
      load(1, INITVAL_01);
      load(2, INITVAL_02);
      load(3, INITVAL_03);
      load(4, INITVAL_04);
      load(5, INITVAL_05);
      load(6, INITVAL_06);
      load(7, INITVAL_07);
      load(8, INITVAL_08);
      load(9, INITVAL_09);
      load(10, INITVAL_0A);
      load(11, INITVAL_0B);
      load(12, INITVAL_0C);
      load(13, INITVAL_0D);
      load(14, INITVAL_0E);
      load(15, INITVAL_0F);
      load(16, INITVAL_10);
      load(17, INITVAL_11);
      load(18, INITVAL_12);
      load(19, INITVAL_13);
      load(20, INITVAL_14);
      load(21, INITVAL_15);
      load(22, INITVAL_16);
      load(23, INITVAL_17);
      load(24, INITVAL_18);
      load(25, INITVAL_19);
      load(26, INITVAL_1A);
      load(27, INITVAL_1B);
      load(28, INITVAL_1C);
      load(29, INITVAL_1D);
      load(30, INITVAL_1E);
      load(31, INITVAL_1F);
      load(32, INITVAL_20);
      load(33, INITVAL_21);
      load(34, INITVAL_22);
      load(35, INITVAL_23);
      load(36, INITVAL_24);
      load(37, INITVAL_25);
      load(38, INITVAL_26);
      load(39, INITVAL_27);
      load(40, INITVAL_28);
      load(41, INITVAL_29);
      load(42, INITVAL_2A);
      load(43, INITVAL_2B);
      load(44, INITVAL_2C);
      load(45, INITVAL_2D);
      load(46, INITVAL_2E);
      load(47, INITVAL_2F);
      load(48, INITVAL_30);
      load(49, INITVAL_31);
      load(50, INITVAL_32);
      load(51, INITVAL_33);
      load(52, INITVAL_34);
      load(53, INITVAL_35);
      load(54, INITVAL_36);
      load(55, INITVAL_37);
      load(56, INITVAL_38);
      load(57, INITVAL_39);
      load(58, INITVAL_3A);
      load(59, INITVAL_3B);
      load(60, INITVAL_3C);
      load(61, INITVAL_3D);
      load(62, INITVAL_3E);
      load(63, INITVAL_3F);
  end

  wire [13:0] address_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3,
      ADA2, ADA1, ADA0};
  wire [13:0] address_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3,
      ADB2, ADB1, ADB0};
  wire [17:0] data_a = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8,
      DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
  wire [17:0] data_b = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8,
      DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
  reg [17:0] read_a = 18'd0, read_b = 18'd0, wide = 18'd0, held_b = 18'd0;
  assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5,
      DOA4, DOA3, DOA2, DOA1, DOA0} =
      DATA_WIDTH_B == 36 ? wide : read_a;
  assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5,
      DOB4, DOB3, DOB2, DOB1, DOB0} =
      REGMODE_B == "OUTREG" ? held_b : read_b;

  // First bit of an access within its row; the ninth bit of a byte is not used below width 9.
  function [4:0] start(input integer width, input [3:0] low);
    case (width)
      1: start = 9 * low[3] + low[2:0];
      2: start = 9 * low[3] + 2 * low[2:1];
      4: start = 9 * low[3] + 4 * low[2];
      9: start = 9 * low[3];
      default: start = 0;
    endcase
  endfunction

  // Which bits of a row an access writes.
  function [17:0] written(input integer width, input [4:0] first, input [1:0] bytes);
    case (width)
      1: written = 18'h1 << first;
      2: written = 18'h3 << first;
      4: written = 18'hf << first;
      9: written = 18'h1ff << first;
      default: written = {{9{bytes[1]}}, {9{bytes[0]}}};
    endcase
  endfunction

  function [17:0] masked(input integer width, input [17:0] row);
    case (width)
      1: masked = row & 18'h1;
      2: masked = row & 18'h3;
      4: masked = row & 18'hf;
      9: masked = row & 18'h1ff;
      default: masked = row;
    endcase
  endfunction

  wire [4:0] start_a = start(DATA_WIDTH_A, address_a[3:0]);
  wire [4:0] start_b = start(DATA_WIDTH_B, address_b[3:0]);
  wire [17:0] written_a = written(DATA_WIDTH_A, start_a, address_a[1:0]);
  wire [17:0] written_b = written(DATA_WIDTH_B, start_b, address_b[1:0]);
  wire [9:0] row_a = address_a[13:4], row_b = address_b[13:4];
  wire [9:0] high_a = {address_a[13:5], 1'b1}, low_a = {address_a[13:5], 1'b0};
  wire [9:0] high_b = {address_b[13:5], 1'b1}, low_b = {address_b[13:5], 1'b0};
  wire [17:0] high_written = {{9{address_a[3]}}, {9{address_a[2]}}};

  wire clock_a = CLKAMUX == "INV" ? ~CLKA : CLKA;
  wire clock_b = CLKBMUX == "INV" ? ~CLKB : CLKB;

  always @(posedge clock_a) if (CEA) begin
    if (DATA_WIDTH_A == 36) begin
      if (WEA) begin
        rows[low_a] <= rows[low_a] & ~written_a | data_a & written_a;
        rows[high_a] <= rows[high_a] & ~high_written | data_b & high_written;
      end
    end else begin
      if (WEA) rows[row_a] <= rows[row_a] & ~written_a | (data_a << start_a) & written_a;
      if (!WEA || WRITEMODE_A == "READBEFOREWRITE")
        read_a <= masked(DATA_WIDTH_A, rows[row_a] >> start_a);
    end
    if (RSTA) read_a <= 18'd0;
  end

  always @(posedge clock_b) if (CEB) begin
    if (DATA_WIDTH_B == 36) begin
      wide <= rows[low_b];
      read_b <= rows[high_b];
    end else begin
      if (WEB) rows[row_b] <= rows[row_b] & ~written_b | (data_b << start_b) & written_b;
      if (!WEB || WRITEMODE_B == "READBEFOREWRITE")
        read_b <= masked(DATA_WIDTH_B, rows[row_b] >> start_b);
    end
    if (RSTB) begin
      read_b <= 18'd0;
      wide <= 18'd0;
    end
  end

  always @(posedge clock_b) if (OCEB) held_b <= RSTB ? 18'd0 : read_b;

  initial if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG" && DATA_WIDTH_B == 36 || WRITEMODE_A == "WRITETHROUGH"
              || WRITEMODE_B == "WRITETHROUGH" || CSDECODE_A != "0b000" || CSDECODE_B != "0b000")
  begin
    $display("DP16KD: a mode without a model");
    $finish;
  end
endmodule
