// A board: an engine with its link, an SPI flash, and the host's end of the UART. Bytes go to and
// from Python in bursts. The UART here is written apart from the board's, so that the two can only
// agree on what a UART is. Before it stand `define FLASH, `define STANDALONE where they are there.
`timescale 1ns / 1ns
`default_nettype none

module harness #(
    parameter W = 8,          // bits of a program word
    parameter L = 1,          // lanes of the image and result streams
    parameter DIVISOR = 4,    // clock cycles of a bit
    parameter BURST = 512,    // bytes of a burst, at most
    parameter FLASH_BYTES = 1,
    parameter FLASH_LINES = 4,
    parameter WAKE_CYCLES = 1
) (
    input wire                 go       /* verilator public_flat_rw */,  // toggles to send a burst
    input wire [8*BURST-1:0]   burst    /* verilator public_flat_rw */,  // the first byte lowest
    input wire [15:0]          count    /* verilator public_flat_rw */,  // its bytes
    input wire [15:0]          gap      /* verilator public_flat_rw */,  // idle cycles between bytes
    input wire [31:0]          until_cycle /* verilator public_flat_rw */,
    input wire [15:0]          until_bytes /* verilator public_flat_rw */,
    input wire                 run      /* verilator public_flat_rw */,  // toggles to go on
    output reg                 stopped  /* verilator public_flat_rd */,  // toggles when it stops
    output reg [31:0]          cycle    /* verilator public_flat_rd */,
    output reg [8*BURST-1:0]   received /* verilator public_flat_rd */,
    output reg [15:0]          received_count /* verilator public_flat_rd */,
    output wire                sending  /* verilator public_flat_rd */,
    output wire [1:0]          leds     /* verilator public_flat_rd */,  // error, running
    output wire [7:0]          number   /* verilator public_flat_rd */
);
    reg clk, rst;
    initial begin
        clk = 1'b0;
        rst = 1'b1;
        cycle = 0;
        stopped = 1'b0;
    end

    // Time stands still until Python lets it go on.
    reg taken_run;
    initial taken_run = 1'b0;
    always begin
        // Not `wait`: a simulator with nothing left to do ends. Until Python sets it, `run` is unknown.
        while ((run ^ taken_run) !== 1'b1) #1;
        taken_run = run;
        received_count = 0;
        while (cycle != until_cycle && received_count < until_bytes) begin
            #1 clk = 1'b1;
            #1 clk = 1'b0;
            cycle = cycle + 1;
            if (cycle == 1) rst = 1'b0;
        end
        stopped = ~stopped;
    end

    // To the board.
    reg        rx, taken;
    reg [15:0] left, sent;
    reg [3:0]  bit_number;
    reg [31:0] wait_cycles;
    initial begin
        rx = 1'b1;
        taken = 1'b0;
        left = 0;
        bit_number = 0;
        wait_cycles = 0;
    end
    assign sending = left != 0 || wait_cycles != 0 || go != taken;
    always @(posedge clk) begin
        if (go != taken) begin
            taken <= go;
            sent <= 0;
            left <= count;
        end else if (wait_cycles != 0) wait_cycles <= wait_cycles - 1;
        else if (left != 0) begin
            wait_cycles <= DIVISOR - 1;
            bit_number <= bit_number + 1;
            if (bit_number == 0) rx <= 1'b0;
            // Python leaves the burst alone while it is being sent.
            else if (bit_number <= 8) rx <= burst[8 * sent + bit_number - 1];
            else begin
                rx <= 1'b1;
                bit_number <= 0;
                sent <= sent + 1;
                left <= left - 1;
                wait_cycles <= DIVISOR - 1 + gap;
            end
        end
    end

    // From the board.
    wire       tx;
    reg [31:0] age;
    reg [7:0]  bits;
    reg        receiving;
    initial begin
        receiving = 1'b0;
        received_count = 0;
        received = 0;
    end
    always @(posedge clk) begin
        if (!receiving) begin
            age <= 1;
            if (!tx) receiving <= 1'b1;
        end else begin
            age <= age + 1;
            if (age % DIVISOR == DIVISOR / 2 && age > DIVISOR && age < 9 * DIVISOR)
                bits <= {tx, bits[7:1]};
            if (age == 9 * DIVISOR + DIVISOR / 2) begin
                if (tx) begin
                    received[8*received_count +: 8] = bits;
                    received_count = received_count + 1;
                end
                receiving <= 1'b0;
            end
        end
    end

    wire           engine_reset, running, error;
    wire [W:0]     program_word;
    wire [8*L:0]   image_beat;
    wire [32*L:0]  result_beat;
    wire           program_valid, program_ready, image_valid, image_ready;
    wire           result_valid, result_ready;
    wire [1:0]     state;
    wire [3:0]     code;
    wire [15:0]    layer;
    assign leds = {error, running};

    board_link link (
        .clk(clk), .rst(rst), .rx(rx), .tx(tx),
`ifdef FLASH
        .cs(cs), .sck(sck), .dq_o(dq_o), .dq_oe(dq_oe), .dq_i(dq_i),
`endif
`ifdef STANDALONE
        .number(number),
`endif
        .program__payload(program_word), .program__valid(program_valid),
        .program__ready(program_ready),
        .image__payload(image_beat), .image__valid(image_valid), .image__ready(image_ready),
        .result__payload(result_beat), .result__valid(result_valid), .result__ready(result_ready),
        .status__state(state), .status__error(code), .status__layer(layer),
        .engine_reset(engine_reset), .running(running), .error(error)
    );
    hiddenite engine (
        .clk(clk), .rst(engine_reset),
        .program__payload(program_word), .program__valid(program_valid),
        .program__ready(program_ready),
        .image__payload(image_beat), .image__valid(image_valid), .image__ready(image_ready),
        .result__payload(result_beat), .result__valid(result_valid), .result__ready(result_ready),
        .status__state(state), .status__error(code), .status__layer(layer)
    );
`ifndef STANDALONE
    assign number = 8'd0;
`endif

`ifdef FLASH
    wire       cs, sck;
    wire [3:0] dq_o, dq_oe, dq_i;
    flash #(.BYTES(FLASH_BYTES), .LINES(FLASH_LINES), .WAKE_CYCLES(WAKE_CYCLES)) flash (
        .clk(clk), .cs(cs), .sck(sck), .dq_o(dq_o), .dq_oe(dq_oe), .dq_i(dq_i)
    );
`endif
endmodule
`default_nettype wire
