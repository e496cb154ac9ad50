// A stand-in for the engine: adds up program words and image bytes and puts out four beats. Lane
// i's result in beat b is sum_of_lane_i * (b + 1) + sum_of_program, modulo 2**32. Every eighth
// program word begins a layer. A word 1 ends the run at once, a word 2 is an error, and so is a
// wait of 200 cycles for data.
module hiddenite (
    input  wire                clk, rst,
    input  wire [`WORD:0]      program__payload,
    input  wire                program__valid,
    output wire                program__ready,
    input  wire [8*`LANES:0]   image__payload,
    input  wire                image__valid,
    output wire                image__ready,
    output wire [32*`LANES:0]  result__payload,
    output wire                result__valid,
    input  wire                result__ready,
    output reg  [1:0]          status__state,
    output reg  [3:0]          status__error,
    output reg  [15:0]         status__layer
);
    reg         program_done, image_done;
    reg [31:0]  program_sum;
    reg [31:0]  sums [0:`LANES-1];
    reg [2:0]   words;
    reg [1:0]   beat;
    reg [7:0]   waited;
    reg         sent, odd;
    integer     lane;

    // The image is taken in every second cycle only.
    assign program__ready = status__state != 2 && !program_done;
    assign image__ready = status__state == 1 && !image_done && odd;
    assign result__valid = status__state == 1 && program_done && image_done && !sent;
    assign result__payload[32*`LANES] = beat == 3;
    genvar i;
    generate
        for (i = 0; i < `LANES; i = i + 1) begin : lanes
            assign result__payload[32*i +: 32] = sums[i] * (beat + 32'd1) + program_sum;
        end
    endgenerate

    wire        program_taken = program__valid && program__ready;
    wire        image_taken = image__valid && image__ready;
    wire [`WORD-1:0] word = program__payload[`WORD-1:0];

    task clear;
        begin
            program_done <= 0;
            image_done <= 0;
            program_sum <= 0;
            words <= 0;
            beat <= 0;
            waited <= 0;
            sent <= 0;
            status__state <= 0;
            for (lane = 0; lane < `LANES; lane = lane + 1) sums[lane] <= 0;
        end
    endtask

    always @(posedge clk) begin
        odd <= ~odd;
        if (status__state == 1 && !result__valid) waited <= waited + 1;
        if (waited == 199) begin
            status__state <= 2;
            status__error <= 9;
        end
        if (program_taken) begin
            waited <= 0;
            if (status__state == 0) status__layer <= 0;
            status__state <= 1;
            program_done <= program__payload[`WORD];
            program_sum <= program_sum + word;
            words <= words + 1;
            if (words == 7) status__layer <= status__layer + 1;
        end
        if (image_taken) begin
            waited <= 0;
            image_done <= image__payload[8*`LANES];
            for (lane = 0; lane < `LANES; lane = lane + 1)
                sums[lane] <= sums[lane] + image__payload[8*lane +: 8];
        end
        if (result__valid && result__ready) begin
            beat <= beat + 1;
            sent <= beat == 3;
        end
        if (sent || (program_taken && word == 1)) clear;
        if (program_taken && word == 2) begin
            status__state <= 2;
            status__error <= 5;
        end
        if (rst) begin
            clear;
            odd <= 0;
            status__error <= 0;
            status__layer <= 0;
        end
    end
endmodule
