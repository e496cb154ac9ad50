/* Hiddenite: the host's end of the link to a board, in C99.
 *
 * For a microcontroller as host: no allocation, no stdio, no threads; about 1.4 KB of state. The
 * protocol is docs/link.md. Bytes may be lost, added or changed on the way: a call ends with the
 * right result or with an error, never with a wrong result, within a limited time.
 *
 * A whole program, with three callbacks of your own:
 *
 *     static struct hiddenite board;
 *     struct hiddenite_port port = {&uart, uart_write, uart_read, uart_clock_ms, 1000000};
 *     struct hiddenite_program program = {program_bytes, sizeof program_bytes, NULL, NULL};
 *     struct hiddenite_image image = {pixels, 8 * 8, 1};
 *     int32_t scores[10];
 *     enum hiddenite_error e;
 *
 *     hiddenite_init(&board, &port, some_random_number);
 *     e = hiddenite_hello(&board);
 *     if (e == HIDDENITE_OK) e = hiddenite_run(&board, &program, &image, scores, 10);
 *     if (e != HIDDENITE_OK) puts(hiddenite_error_text(e));
 *
 * The program's bytes are those of `hiddenite compile`; the .json file beside them has the shapes.
 * Of 10 channels in lanes of 4, 12 values come: hiddenite_result_count says how many.
 */
#ifndef HIDDENITE_H
#define HIDDENITE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HIDDENITE_LONGEST_BODY 261
#define HIDDENITE_LONGEST_PIECE 256
#define HIDDENITE_LONGEST_FRAME (2 * (HIDDENITE_LONGEST_BODY + 4) + 2)
#define HIDDENITE_FRAMES_IN_FLIGHT 16

/* Sources a board may have (`hiddenite_info.sources`). */
#define HIDDENITE_OWN_PROGRAM 1
#define HIDDENITE_OWN_IMAGE 2

enum hiddenite_error {
    HIDDENITE_OK = 0,
    HIDDENITE_ARGUMENT,      /* an argument of the call breaks a rule */
    HIDDENITE_LINE,          /* a callback says that the line has failed */
    HIDDENITE_NO_ANSWER,     /* no board answers */
    HIDDENITE_NO_BOARD,      /* what answers is no board, or runs at another baud rate */
    HIDDENITE_VERSION,       /* the board speaks another version of the protocol */
    HIDDENITE_CONFIGURATION, /* the program is for an engine of another configuration */
    HIDDENITE_NO_SOURCE,     /* the board has no program of its own */
    HIDDENITE_MEMORY,        /* what is in the board's memory is no program for it */
    HIDDENITE_NO_PROGRESS,   /* the board answers, but nothing moves */
    HIDDENITE_SILENT,        /* the board has stopped answering */
    HIDDENITE_ENGINE,        /* the engine stopped with an error, again and again */
    HIDDENITE_RESTARTED,     /* the board restarted, again and again */
    HIDDENITE_CONTRADICTION, /* the board reports an inconsistent status, again and again */
    HIDDENITE_RESULT_SIZE    /* the engine's result has another size than expected */
};

/* The line to the board. Callbacks return less than 0 when the line has failed. */
struct hiddenite_port {
    void *context; /* given to each callback */
    /* Send all bytes; may return before they are on the line. Returns 0. */
    int (*write)(void *context, const uint8_t *data, size_t length);
    /* Read what has come, up to `length` bytes; wait up to `timeout_ms` for the first one.
     * Returns how many bytes there are, 0 if none have come. */
    int (*read)(void *context, uint8_t *data, size_t length, uint32_t timeout_ms);
    /* Milliseconds since some moment; may wrap at 2^32. */
    uint32_t (*clock_ms)(void *context);
    uint32_t baud; /* bits a second, of which a byte takes ten; time limits follow from it */
};

/* What a board says of itself. */
struct hiddenite_info {
    uint32_t fingerprint; /* of the engine's configuration */
    uint16_t program_buffer, image_buffer; /* bytes */
    uint8_t program_bytes; /* of a program word */
    uint8_t post_lanes;    /* bytes of an image beat, values of a result beat */
    uint8_t sources;       /* HIDDENITE_OWN_PROGRAM, HIDDENITE_OWN_IMAGE */
    uint32_t clock_hz;     /* of the engine */
    char name[33];
};

/* A program: its bytes, or a function that reads them from where they are (SPI flash, a card). */
struct hiddenite_program {
    const uint8_t *data; /* NULL if `read` is there */
    uint32_t size;       /* bytes; 0: the program comes from the board's own memory */
    /* Read bytes of the program. The same ones may be asked for again. Returns 0. */
    int (*read)(void *context, uint32_t offset, uint8_t *data, size_t length);
    void *context;
};

/* An image, as it is: height x width x channels, without any padding. The bytes are uint8_t or
 * int8_t, as the network's input is. */
struct hiddenite_image {
    const uint8_t *data;
    uint32_t pixels; /* height x width */
    uint32_t channels;
};

/* What is private to the functions below. */
struct hiddenite_stream {
    uint32_t begin, size;       /* of the item in work; counts from the session's beginning */
    uint32_t taken, sent, most; /* what the board has, what was sent, and the most ever sent */
    uint32_t limit;             /* how far the board has room */
    uint16_t buffer, longest;   /* of the board; of a piece */
};

struct hiddenite_frame {
    uint16_t size;
    uint8_t kind;
    uint32_t end;
};

/* A board. All members may be read; of the first group, some may be changed. */
struct hiddenite {
    /* Milliseconds without progress after which a call gives up: 5000 after hiddenite_init. Add to
     * it what the engine needs to compute an image. */
    uint32_t limit_ms;
    /* Milliseconds after which an answer counts as lost, besides its time on the line: 100. */
    uint32_t margin_ms;

    struct hiddenite_info info;
    uint8_t engine_error;  /* the ErrorCode of the last HIDDENITE_ENGINE */
    uint16_t engine_layer; /* and where it was */
    uint32_t bytes_resent; /* of programs and images, since hiddenite_init */
    uint32_t sessions;     /* begun since hiddenite_init */

    /* Private. */
    struct hiddenite_port port;
    uint32_t random;
    uint8_t session, open, sources, answered;
    uint8_t board_session;
    uint8_t state, silent, over, received_any;
    uint16_t layer;
    struct hiddenite_stream program, image;
    uint32_t expected, got, there; /* bytes of results, from the session's beginning */
    uint32_t progress_at, answer_by, ask_at, pause;
    struct hiddenite_frame flying[HIDDENITE_FRAMES_IN_FLIGHT];
    uint8_t flying_count;
    uint8_t body[HIDDENITE_LONGEST_BODY + 4];
    uint16_t length;
    uint8_t escaped, broken;
    uint8_t received[64];
    uint8_t frame[HIDDENITE_LONGEST_FRAME];
    const struct hiddenite_program *program_source;
    const struct hiddenite_image *image_source;
    int32_t *result;
    uint32_t result_begin, word;
};

/* Prepare a board; nothing is sent. `random` should differ from one start of the host to the next;
 * session numbers come from it. */
void hiddenite_init(struct hiddenite *h, const struct hiddenite_port *port, uint32_t random);

/* Ask who is there; fills `info`. Needed once before hiddenite_run. */
enum hiddenite_error hiddenite_hello(struct hiddenite *h);

/* Begin a new session: the engine is reset. Needs to be called only to do that; hiddenite_run opens
 * sessions by itself. `own_program`: whether the program comes from the board's memory. */
enum hiddenite_error hiddenite_open(struct hiddenite *h, int own_program);

/* Run a program on an image.
 *
 * `result` gets `count` values in the order of the result stream, lanes without a channel
 * included: see hiddenite_result_count and hiddenite_arrange. For a result of 1 x 1 pixels the
 * channels stand there one after another. After an error the values mean nothing. Up to four
 * sessions are tried where the engine stops or the board restarts. */
enum hiddenite_error hiddenite_run(struct hiddenite *h, const struct hiddenite_program *program,
                                   const struct hiddenite_image *image, int32_t *result,
                                   uint32_t count);

/* One line of English, in lower case. */
const char *hiddenite_error_text(enum hiddenite_error error);

/* Name of the engine's ErrorCode, as `hiddenite run` prints it. */
const char *hiddenite_engine_error_name(uint8_t code);

/* The result, as "result" in the .json file of `hiddenite compile` describes it. */
struct hiddenite_result_shape {
    uint16_t height, width, channels;
    uint16_t tile_channels, tile_rows, tile_columns;
    uint16_t lanes;
    uint16_t images; /* "batch" there; 0 is taken for 1 */
};

/* Values on the result stream. */
uint32_t hiddenite_result_count(const struct hiddenite_result_shape *shape);

/* Bring values from the stream's order into images x height x width x channels. */
void hiddenite_arrange(const struct hiddenite_result_shape *shape, const int32_t *stream,
                       int32_t *values);

#ifdef __cplusplus
}
#endif

#endif
