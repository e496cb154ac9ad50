// Moves the data of whole runs in and out of the device under test, so that Python wakes only at
// the start and the end of a run. Reads program.bin and image.bin, writes events.txt, all in the
// working directory; hiddenite.sim.records knows their formats. The comments that make the ports
// public are for Verilator: nothing else is visible to VPI, which keeps large designs fast.
`timescale 1ns / 1ns
`default_nettype none

module harness #(
    parameter W = 64,  // bits of a program word
    parameter L = 16   // lanes of the image and result streams
) (
    input wire        go            /* verilator public_flat_rw */,  // toggles to start a run
    input wire [30:0] program_start /* verilator public_flat_rw */,  // byte offset into the file
    input wire [31:0] program_count /* verilator public_flat_rw */,  // words to offer
    input wire [30:0] image_start   /* verilator public_flat_rw */,
    input wire [31:0] image_count   /* verilator public_flat_rw */,
    input wire [7:0]  program_stall /* verilator public_flat_rw */,  // probability in 1/256
    input wire [7:0]  image_stall   /* verilator public_flat_rw */,
    input wire [7:0]  result_stall  /* verilator public_flat_rw */,
    input wire [63:0] seed          /* verilator public_flat_rw */,  // not zero
    input wire        reset_before  /* verilator public_flat_rw */,
    input wire        reset_within  /* verilator public_flat_rw */,  // reset after reset_cycle
    input wire [31:0] reset_cycle   /* verilator public_flat_rw */,
    input wire [31:0] limit         /* verilator public_flat_rw */,  // cycles of a run, at most
    output reg        done          /* verilator public_flat_rd */   // rises at the end of a run
);
    // Not cocotb's clock: its two callbacks a cycle make a small design less than half as fast.
    reg clk;
    initial clk = 1'b0;
    always #1 clk = ~clk;

    localparam [2:0] WAIT = 0, RESET = 1, START = 2, RUN = 3, CLEAR = 4, FINISH = 5;
    localparam [1:0] IDLE = 0, ERROR = 2;

    reg [2:0]  phase;
    reg        rst, taken;
    reg [31:0] cycle;
    reg        active, marked, timed_out, was_reset;
    reg [31:0] program_words, image_beats, program_fetched, image_fetched;

    // Read as {flag byte, data}; the lowest bit of the flag is the stream's last.
    reg [W+7:0]   program_record;
    reg [8*L+7:0] image_record;
    reg [W:0]     program_word;
    reg [8*L:0]   image_beat;
    reg           program_offered, image_offered, result_taken;

    wire          program_ready, image_ready, result_valid;
    wire [32*L:0] result_word;
    wire [1:0]    state;
    wire [3:0]    error;
    wire [15:0]   layer;
    reg  [15:0]   layer_before, layer_end;
    reg  [1:0]    state_end;
    reg  [3:0]    error_end;

    // What is left of the streams is withdrawn in the very cycle that shows the end, or the engine
    // would take it for the beginning of another run.
    wire ended = (phase == RUN) && (state == ERROR || (active && state == IDLE));
    wire program_valid = program_offered & ~ended;
    wire image_valid = image_offered & ~ended;
    wire result_ready = result_taken & ~ended;

    hiddenite dut (
        .clk(clk), .rst(rst),
        .program__payload(program_word), .program__valid(program_valid),
        .program__ready(program_ready),
        .image__payload(image_beat), .image__valid(image_valid), .image__ready(image_ready),
        .result__payload(result_word), .result__valid(result_valid), .result__ready(result_ready),
        .status__state(state), .status__error(error), .status__layer(layer)
    );

    // One xorshift step a cycle gives all three stalls; it depends on nothing but the seed and the
    // number of the cycle, so both simulators see the same stalls.
    reg [63:0] random, mixed;
    always @* begin
        mixed = random ^ (random << 13);
        mixed = mixed ^ (mixed >> 7);
        mixed = mixed ^ (mixed << 17);
    end

    integer program_file, image_file, events;
    initial begin
        program_file = $fopen("program.bin", "rb");
        image_file = $fopen("image.bin", "rb");
        events = $fopen("events.txt", "w");
        if (program_file == 0 || image_file == 0 || events == 0) stop;
        phase = WAIT;
        rst = 1'b1;
        taken = 1'b0;
        done = 1'b0;
        random = 64'd1;
        cycle = 0;
        active = 1'b0;
        marked = 1'b0;
        timed_out = 1'b0;
        was_reset = 1'b0;
        program_word = 0;
        image_beat = 0;
        program_offered = 1'b0;
        image_offered = 1'b0;
        result_taken = 1'b0;
        program_words = 0;
        image_beats = 0;
        program_fetched = 0;
        image_fetched = 0;
        layer_before = 0;
    end

    task stop;
        begin
            $display("harness: an input file is missing or too short");
            $finish;
        end
    endtask

    task fetch_program;
        begin
            if ($fread(program_record, program_file) != W / 8 + 1) stop;
            program_word <= program_record[W:0];
            program_offered <= 1'b1;
            program_fetched <= program_fetched + 1;
        end
    endtask

    task fetch_image;
        begin
            if ($fread(image_record, image_file) != L + 1) stop;
            image_beat <= image_record[8*L:0];
            image_offered <= 1'b1;
            image_fetched <= image_fetched + 1;
        end
    endtask

    // A reset lasts one cycle, which is all that an engine needs; the first is there from time 0.
    always @(posedge clk) begin
        random <= mixed;
        rst <= 1'b0;
        case (phase)
            WAIT: if (go != taken) begin
                taken <= go;
                done <= 1'b0;
                active <= 1'b0;
                marked <= 1'b0;
                timed_out <= 1'b0;
                was_reset <= 1'b0;
                program_words <= 0;
                image_beats <= 0;
                program_fetched <= 0;
                image_fetched <= 0;
                // Both results are used: Verilator 5.48 drops a call whose result is overwritten.
                if ($fseek(program_file, program_start, 0) != 0) stop;
                if ($fseek(image_file, image_start, 0) != 0) stop;
                rst <= reset_before;
                phase <= reset_before ? RESET : START;
            end
            RESET: phase <= START;
            START: begin
                // The first word is offered at once: its cycle is number 0.
                random <= seed;
                cycle <= 0;
                fetch_program;
                phase <= RUN;
            end
            RUN: begin
                cycle <= cycle + 1;
                active <= active | (state != IDLE);
                result_taken <= mixed[23:16] >= result_stall;

                if (program_valid && program_ready) begin
                    program_words <= program_words + 1;
                    program_offered <= 1'b0;
                end
                if ((!program_offered || program_ready) && program_fetched != program_count
                    && mixed[7:0] >= program_stall) fetch_program;

                if (image_valid && image_ready) begin
                    image_beats <= image_beats + 1;
                    image_offered <= 1'b0;
                end
                if ((!image_offered || image_ready) && image_fetched != image_count
                    && mixed[15:8] >= image_stall) fetch_image;

                if (result_valid && result_ready)
                    $fdisplay(events, "r %0d %b %h", cycle, result_word[32*L],
                              result_word[32*L-1:0]);
                if (state != IDLE && (!marked || layer != layer_before)) begin
                    $fdisplay(events, "l %0d %0d", cycle, layer);
                    marked <= 1'b1;
                    layer_before <= layer;
                end

                if (ended || cycle == limit || (reset_within && cycle == reset_cycle)) begin
                    program_offered <= 1'b0;
                    image_offered <= 1'b0;
                    result_taken <= 1'b0;
                    cycle <= cycle;
                    state_end <= state;
                    error_end <= error;
                    layer_end <= layer;
                    phase <= FINISH;
                    if (!ended && reset_within && cycle == reset_cycle) begin
                        was_reset <= 1'b1;
                        rst <= 1'b1;
                        phase <= CLEAR;
                    end else if (!ended) timed_out <= 1'b1;
                end
            end
            CLEAR: phase <= FINISH;
            default: begin
                $fdisplay(events, "e %0d %0d %0d %0d %0d %0d %b %b", cycle, state_end, error_end,
                          layer_end, program_words, image_beats, timed_out, was_reset);
                $fflush(events);
                done <= 1'b1;
                phase <= WAIT;
            end
        endcase
    end
endmodule
`default_nettype wire
