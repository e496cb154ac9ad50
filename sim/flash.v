// An SPI flash as its data sheet has it, in mode 0: asleep until ABh, then fast reads on one line
// (0Bh), two (3Bh) and four (6Bh). QE, without which there is none on four lines, is that of Winbond:
// bit 1 of what 35h reads, written by 31h after 50h. What a chip would not understand, or what would
// damage it, ends the simulation. What nobody drives is pulled up.
`timescale 1ns / 1ns
`default_nettype none

module flash #(
    parameter BYTES = 1,      // of flash.bin; beyond them everything is FFh
    parameter LINES = 4,      // on which it gives data: 1, 2 or 4
    parameter WAKE_CYCLES = 1 // from ABh until it understands a command
) (
    input wire       clk,     // for the times of data sheets
    input wire       cs,
    input wire       sck,
    input wire [3:0] dq_o,    // what the board drives
    input wire [3:0] dq_oe,
    output wire [3:0] dq_i    // what is on the lines
);
    reg [7:0]  cells [0:BYTES-1];
    reg [31:0] command;
    reg [5:0]  bits;          // of the command, its address and its dummy clocks, 63: it goes on
    reg [23:0] place;
    reg [3:0]  left;          // bits of the byte in hand
    reg [7:0]  data;
    reg [2:0]  gives;         // lines that it drives; 0: none
    reg [3:0]  drives, value;
    reg        awake, enabled, volatile_enabled;
    integer    file, length, now, selected, deselected, woken;
    reg        before_o, before_oe;

    task fail(input [8*64-1:0] what);
        begin
            $display("flash: %0s", what);
            $finish;
        end
    endtask

    initial begin
        awake = 1'b0;
        enabled = 1'b0;
        volatile_enabled = 1'b0;
        drives = 0;
        value = 0;
        gives = 0;
        bits = 0;
        command = 0;
        now = 0;
        selected = 0;
        deselected = -100;
        woken = 0;
        before_o = 0;
        before_oe = 0;
        file = $fopen("flash.bin", "rb");
        length = $fread(cells, file);
        if (length != BYTES) $display("harness: flash.bin has %0d bytes", length);
    end

    assign dq_i = (value & drives) | (dq_o & dq_oe) | ~(drives | dq_oe);

    // Once a cycle, before the board's pins change. A bit must be there a cycle before its clock.
    always @(posedge clk) begin
        now <= now + 1;
        before_o <= dq_o[0];
        before_oe <= dq_oe[0];
        if ((drives & dq_oe) != 0) fail("the board drives a line that the chip drives");
        if (dq_oe[1]) fail("the board drives the output of the chip");
        if (!cs && !enabled && gives == 0 && bits < 32 && (dq_oe[3:2] & dq_o[3:2]) != 2'b11)
            fail("WP# and HOLD# must be high");
    end

    function is_read(input [7:0] what);
        is_read = what == 8'h0B || (LINES >= 2 && what == 8'h3B) || (LINES == 4 && what == 8'h6B);
    endfunction

    always @(negedge cs) begin
        if (sck) fail("the clock must be low where the chip is selected");
        if (now - deselected < 2) fail("the chip was not selected for too short a time");
        selected = now;
        bits = 0;
        command = 0;
        gives = 0;
        left = 0;
    end

    always @(posedge cs) begin
        if (sck) fail("the clock must be low where the chip is deselected");
        deselected = now;
        drives = 0;
        gives = 0;
        if (bits == 8 && command[7:0] == 8'hAB) begin
            if (!awake) woken = now;
            awake = 1'b1;
        end
        if (bits == 8 && command[7:0] == 8'h50) volatile_enabled = 1'b1;
        if (bits == 16 && command[15:8] == 8'h31) begin
            if (!volatile_enabled) fail("writing is not enabled");
            volatile_enabled = 1'b0;
            enabled = command[1];
        end
    end

    always @(posedge sck) if (!cs && gives == 0 && bits != 63) begin
        if (now - selected < 1) fail("the clock begins with the selection");
        if (bits < 32 && (!dq_oe[0] || !before_oe || dq_o[0] != before_o))
            fail("a bit of a command comes late");
        command = {command[30:0], dq_o[0]};
        bits = bits + 1;
        if (bits == 8) begin
            if (command[7:0] != 8'hAB && (!awake || now - woken < WAKE_CYCLES))
                fail("the chip is asleep");
            case (command[7:0])
                8'hAB, 8'h50, 8'h31, 8'h0B, 8'h3B, 8'h6B: ;
                8'h9F: begin gives = 1; data = 8'hEF; end
                8'h05: begin gives = 1; data = 8'h00; end
                8'h35: begin gives = 1; data = {6'd0, enabled, 1'b0}; end
                default: fail("an unknown command");
            endcase
            left = 8;
        end
        // Registers are in the first bytes after their command.
        if (bits == 32 && (command[31:24] == 8'h0B || command[31:24] == 8'h3B
                || command[31:24] == 8'h6B)) begin
            place = command[23:0];
            data = command[31:24];
        end else if (bits == 32) fail("a command is too long");
        if (bits == 40) begin
            bits = 63;
            if (is_read(data) && (data != 8'h6B || enabled))
                gives = data == 8'h6B ? 4 : data == 8'h3B ? 2 : 1;
            left = 0;
        end
    end

    always @(negedge sck) if (!cs && gives != 0) begin
        if (left == 0) begin
            data = (bits == 63 && place < BYTES) ? cells[place] : 8'hFF;
            place = place + 1;
            left = 8;
        end
        case (gives)
            1: begin drives = 4'b0010; value = {2'b00, data[7], 1'b0}; end
            2: begin drives = 4'b0011; value = {2'b00, data[7:6]}; end
            default: begin drives = 4'b1111; value = data[7:4]; end
        endcase
        data = data << gives;
        left = left - gives;
    end
endmodule
`default_nettype wire
