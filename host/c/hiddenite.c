/* See hiddenite.h for what this is, docs/link.md for the protocol.
 *
 * Pieces go out as long as the board has room, without waiting for answers. The board answers each
 * right frame of the session once and in order, so the n-th answer is for the n-th frame or a later
 * one: a piece that the board has not taken by then was lost, and is sent again with all after it.
 * Where answers stay away altogether, a time limit does the same. */
#include "hiddenite.h"

#include <string.h>

#define FLAG 0x7e
#define ESCAPE 0x7d
#define ESCAPE_XOR 0x20
#define VERSION 2

enum { HELLO = 0x01, OPEN = 0x02, PROGRAM = 0x10, IMAGE = 0x20, RESULT = 0x30, LAST = 1 };
enum { INFO = 0x81, STATUS = 0x82, RESULT_DATA = 0x83 };
enum { IDLE, RUNNING, STOPPED, NO_SOURCE, MEMORY };
enum { INFO_BYTES = 16, STATUS_BYTES = 14 };
enum { ATTEMPTS = 4, OPENINGS = 3, LONGEST_PAUSE_MS = 8, WINDOW_MS = 50, SMALLEST_WINDOW = 1024 };

/* Numbers and checksums. */

static uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static uint32_t get32(const uint8_t *p) { return get16(p) | (uint32_t)get16(p + 2) << 16; }

static void put16(uint8_t *p, uint32_t value) {
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

/* CRC-32 of bytes behind others that have the CRC `crc`; 0 for none. */
static uint32_t crc32(uint32_t crc, const uint8_t *data, size_t length) {
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};

    crc = ~crc;
    while (length--) {
        crc ^= *data++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

static uint32_t random_number(struct hiddenite *h) {
    h->random = h->random * 1664525u + 1013904223u;
    return h->random >> 16;
}

/* Time. Differences are right across a wrap of the clock. */

static uint32_t now(struct hiddenite *h) { return h->port.clock_ms(h->port.context); }

static int32_t left(uint32_t moment, uint32_t at) { return (int32_t)(moment - at); }

static uint32_t line_ms(struct hiddenite *h, uint32_t bytes) {
    uint32_t kilobaud = h->port.baud / 1000;

    return bytes * 10 / (kilobaud ? kilobaud : 1) + 1;
}

/* Frames. */

static size_t escape(uint8_t *to, uint8_t byte) {
    if (byte != FLAG && byte != ESCAPE) {
        *to = byte;
        return 1;
    }
    to[0] = ESCAPE;
    to[1] = byte ^ ESCAPE_XOR;
    return 2;
}

/* Send the body that lies in `body`. */
static enum hiddenite_error send_body(struct hiddenite *h, const uint8_t *body, size_t length) {
    uint32_t crc = crc32(0, body, length);
    size_t size = 0, i;

    h->frame[size++] = FLAG;
    for (i = 0; i < length; i++) size += escape(h->frame + size, body[i]);
    for (i = 0; i < 4; i++) size += escape(h->frame + size, (uint8_t)(crc >> 8 * i));
    h->frame[size++] = FLAG;
    return h->port.write(h->port.context, h->frame, size) < 0 ? HIDDENITE_LINE : HIDDENITE_OK;
}

/* Take a byte; returns the length of the body in h->body that it ends, 0 if it ends none. */
static size_t take_byte(struct hiddenite *h, uint8_t byte) {
    if (byte == FLAG) {
        size_t length = h->length;
        int right = !h->broken && !h->escaped && length >= 6;

        h->length = h->escaped = h->broken = 0;
        if (!right || crc32(0, h->body, length - 4) != get32(h->body + length - 4)) return 0;
        return length - 4;
    }
    if (h->escaped) {
        h->broken |= byte == ESCAPE;
        byte ^= ESCAPE_XOR;
        h->escaped = 0;
    } else if (byte == ESCAPE) {
        h->escaped = 1;
        return 0;
    }
    if (h->length == sizeof h->body) h->broken = 1;
    else h->body[h->length++] = byte;
    return 0;
}

typedef enum hiddenite_error (*taker)(struct hiddenite *h, size_t length);

/* Wait for bytes until a moment, and give each body to `take`. */
static enum hiddenite_error receive(struct hiddenite *h, uint32_t until, taker take) {
    int32_t wait = left(until, now(h));
    int count = h->port.read(h->port.context, h->received, sizeof h->received,
                             wait > 0 ? (uint32_t)wait : 0);
    enum hiddenite_error e = HIDDENITE_OK;
    int i;

    if (count < 0 || count > (int)sizeof h->received) return HIDDENITE_LINE;
    if (count) h->received_any = 1;
    for (i = 0; i < count && e == HIDDENITE_OK; i++) {
        size_t length = take_byte(h, h->received[i]);

        if (length) e = take(h, length);
    }
    return e;
}

/* Who is there, and the beginning of a session. */

static enum hiddenite_error take_info(struct hiddenite *h, size_t length) {
    struct hiddenite_info *info = &h->info;
    const uint8_t *p = h->body + 2;

    if (h->body[0] != INFO || length < 3) return HIDDENITE_OK;
    if (p[0] != VERSION) return HIDDENITE_VERSION;
    if (length < 2 + INFO_BYTES + 1 || length > 2 + INFO_BYTES + 32) return HIDDENITE_OK;
    h->board_session = h->body[1];
    info->fingerprint = get32(p + 1);
    info->program_buffer = get16(p + 5);
    info->image_buffer = get16(p + 7);
    info->program_bytes = p[9];
    info->post_lanes = p[10];
    info->sources = p[11];
    info->clock_hz = get32(p + 12);
    memcpy(info->name, p + INFO_BYTES, length - 2 - INFO_BYTES);
    info->name[length - 2 - INFO_BYTES] = 0;
    h->answered = 1;
    return HIDDENITE_OK;
}

static enum hiddenite_error take_opened(struct hiddenite *h, size_t length) {
    const uint8_t *p = h->body + 2;

    if (h->body[0] == STATUS && h->body[1] == h->session && length == 2 + STATUS_BYTES)
        /* A session that has already had something is not a new one. */
        h->answered = get16(p + 4) || get16(p + 8) ? 2 : 1;
    return HIDDENITE_OK;
}

/* Send a frame until `take` has found an answer to it. */
static enum hiddenite_error ask(struct hiddenite *h, const uint8_t *body, size_t length,
                                taker take) {
    uint32_t end = now(h) + h->limit_ms;

    h->answered = 0;
    while (left(end, now(h)) > 0) {
        enum hiddenite_error e = send_body(h, body, length);
        uint32_t again = now(h) + h->margin_ms + line_ms(h, 2 * HIDDENITE_LONGEST_FRAME);

        if (left(end, again) < 0) again = end;
        while (e == HIDDENITE_OK && !h->answered && left(again, now(h)) > 0)
            e = receive(h, again, take);
        if (e != HIDDENITE_OK || h->answered) return e;
    }
    return HIDDENITE_SILENT;
}

static enum hiddenite_error greet(struct hiddenite *h) {
    uint8_t body[2];

    body[0] = HELLO;
    body[1] = h->session;
    return ask(h, body, sizeof body, take_info);
}

static void begin_stream(struct hiddenite_stream *s, uint16_t buffer, uint8_t word) {
    /* Several pieces in the buffer keep the line busy while answers are on their way. */
    uint16_t most = buffer / 4;

    memset(s, 0, sizeof *s);
    if (most > HIDDENITE_LONGEST_PIECE) most = HIDDENITE_LONGEST_PIECE;
    s->buffer = buffer;
    s->longest = (uint16_t)(most < word ? word : most / word * word);
}

enum hiddenite_error hiddenite_hello(struct hiddenite *h) {
    enum hiddenite_error e;

    h->received_any = 0;
    h->open = 0;
    e = greet(h);
    if (e == HIDDENITE_SILENT) e = h->received_any ? HIDDENITE_NO_BOARD : HIDDENITE_NO_ANSWER;
    if (e == HIDDENITE_OK && (h->info.program_bytes == 0 || h->info.post_lanes == 0 ||
                              h->info.program_buffer < h->info.program_bytes ||
                              h->info.image_buffer < h->info.post_lanes))
        e = HIDDENITE_CONTRADICTION;
    return e;
}

enum hiddenite_error hiddenite_open(struct hiddenite *h, int own_program) {
    int opening;

    h->open = 0;
    h->sources = own_program ? HIDDENITE_OWN_PROGRAM : 0;
    if (own_program && !(h->info.sources & HIDDENITE_OWN_PROGRAM)) return HIDDENITE_NO_SOURCE;
    for (opening = 0; opening < OPENINGS; opening++) {
        enum hiddenite_error e = greet(h);
        uint8_t before = h->session, body[3];

        if (e != HIDDENITE_OK) return e;
        do h->session = (uint8_t)random_number(h);
        while (h->session == 0 || h->session == before || h->session == h->board_session);
        body[0] = OPEN;
        body[1] = h->session;
        body[2] = h->sources;
        e = ask(h, body, sizeof body, take_opened);
        if (e == HIDDENITE_OK && h->answered == 1) {
            begin_stream(&h->program, h->info.program_buffer, h->info.program_bytes);
            begin_stream(&h->image, h->info.image_buffer, h->info.post_lanes);
            h->expected = h->got = h->there = 0;
            h->open = 1;
            h->sessions++;
            return HIDDENITE_OK;
        }
        if (e != HIDDENITE_OK && e != HIDDENITE_SILENT) return e;
    }
    return HIDDENITE_SILENT;
}

/* The streams to the board. */

static int stream_done(const struct hiddenite_stream *s) { return s->taken == s->begin + s->size; }

/* Learn what the board expects and has room for. Returns -1 if that cannot be, 1 if it has more. */
static int stream_update(struct hiddenite_stream *s, uint16_t expected, uint16_t room) {
    uint16_t more = (uint16_t)(expected - s->taken);

    if (more > s->most - s->taken || room > s->buffer) return -1;
    s->taken += more;
    if (left(s->sent, s->taken) < 0) s->sent = s->taken;
    s->limit = s->taken + room;
    return more > 0;
}

static void stream_add(struct hiddenite_stream *s, uint32_t size) {
    s->begin = s->taken;
    s->size = size;
}

/* Bytes of the next piece, 0 if there is nothing or no room for it. */
static uint32_t stream_next(const struct hiddenite_stream *s) {
    uint32_t size = s->begin + s->size - s->sent;

    if (size > s->longest) size = s->longest;
    return left(s->limit, s->sent + size) < 0 ? 0 : size;
}

static int read_program(struct hiddenite *h, uint32_t at, uint8_t *to, size_t size) {
    const struct hiddenite_program *p = h->program_source;

    if (!p->data) return p->read(p->context, at, to, size);
    memcpy(to, p->data + at, size);
    return 0;
}

/* Bytes of the image's beats: the channels of a pixel, and zeros up to a whole beat. */
static void read_image(struct hiddenite *h, uint32_t at, uint8_t *to, size_t size) {
    const struct hiddenite_image *image = h->image_source;
    uint32_t lanes = h->info.post_lanes;
    uint32_t row = (image->channels + lanes - 1) / lanes * lanes;
    uint32_t pixel = at / row, channel = at % row;

    while (size--) {
        *to++ = channel < image->channels ? image->data[pixel * image->channels + channel] : 0;
        if (++channel == row) {
            channel = 0;
            pixel++;
        }
    }
}

/* Frames in flight. */

static struct hiddenite_stream *stream_of(struct hiddenite *h, const struct hiddenite_frame *f) {
    return f->kind == PROGRAM ? &h->program : f->kind == IMAGE ? &h->image : NULL;
}

static void go_back(struct hiddenite *h, struct hiddenite_stream *s) {
    int i;

    h->bytes_resent += s->sent - s->taken;
    s->sent = s->taken;
    /* The board drops those after the lost one too; that says nothing of what is sent now. */
    for (i = 0; i < h->flying_count; i++)
        if (stream_of(h, &h->flying[i]) == s) h->flying[i].kind = 0;
}

/* Strike off the frames that an answer settles; go back to one that was lost. */
static void resolve(struct hiddenite *h) {
    int settled = h->flying_count > 0, lost_program = 0, lost_image = 0, i;

    for (i = 0; i < h->flying_count; i++) {
        struct hiddenite_stream *s = stream_of(h, &h->flying[i]);

        if (s && left(s->taken, h->flying[i].end) >= 0) settled = i + 1;
    }
    for (i = 0; i < settled; i++) {
        struct hiddenite_stream *s = stream_of(h, &h->flying[i]);

        if (s && left(s->taken, h->flying[i].end) < 0) {
            lost_program |= s == &h->program;
            lost_image |= s == &h->image;
        }
    }
    h->flying_count = (uint8_t)(h->flying_count - settled);
    memmove(h->flying, h->flying + settled, h->flying_count * sizeof h->flying[0]);
    if (lost_program) go_back(h, &h->program);
    if (lost_image) go_back(h, &h->image);
}

static uint32_t bytes_in_flight(const struct hiddenite *h) {
    uint32_t bytes = 0;
    int i;

    for (i = 0; i < h->flying_count; i++) bytes += h->flying[i].size;
    return bytes;
}

static void expect_answer(struct hiddenite *h) {
    h->answer_by =
        now(h) + h->margin_ms + line_ms(h, bytes_in_flight(h) + HIDDENITE_LONGEST_FRAME);
}

static void has_progress(struct hiddenite *h) {
    h->progress_at = h->ask_at = now(h);
    h->pause = 0;
}

/* Answers. */

static enum hiddenite_error learn(struct hiddenite *h, const uint8_t *p) {
    uint8_t state = p[0];
    uint16_t layer = get16(p + 2);
    uint32_t there = h->got + (uint16_t)(get16(p + 12) - h->got);
    int program, image, progress;

    if (state == NO_SOURCE) return HIDDENITE_NO_SOURCE;
    if (state == MEMORY) return HIDDENITE_MEMORY;
    if (state == STOPPED) {
        h->engine_error = p[1];
        h->engine_layer = layer;
        return HIDDENITE_ENGINE;
    }
    if (left(there, h->expected) > 0) return HIDDENITE_RESULT_SIZE;
    program = stream_update(&h->program, get16(p + 4), get16(p + 6));
    image = stream_update(&h->image, get16(p + 8), get16(p + 10));
    if (program < 0 || image < 0) return HIDDENITE_CONTRADICTION;
    progress = program || image || left(there, h->there) > 0 || state != h->state ||
               layer != h->layer;
    if (left(there, h->there) > 0) h->there = there;
    h->state = state;
    h->layer = layer;
    /* With a program of its own the engine may already wait for the next image. */
    h->over = stream_done(&h->program) && stream_done(&h->image) && h->got == h->expected &&
              h->there == h->expected && (state == IDLE || h->sources);
    if (progress) {
        has_progress(h);
    } else {
        h->pause = h->pause ? h->pause * 2 : 1;
        if (h->pause > LONGEST_PAUSE_MS) h->pause = LONGEST_PAUSE_MS;
        h->ask_at = now(h) + h->pause;
    }
    return HIDDENITE_OK;
}

static enum hiddenite_error take_result(struct hiddenite *h, const uint8_t *p, size_t length) {
    if (get16(p) != (uint16_t)h->got) return HIDDENITE_OK;
    if (length - 2 > h->expected - h->got) return HIDDENITE_RESULT_SIZE;
    for (p += 2, length -= 2; length; length--) {
        uint32_t at = h->got++ - h->result_begin;

        h->word |= (uint32_t)*p++ << 8 * (at % 4);
        if (at % 4 == 3) {
            memcpy(&h->result[at / 4], &h->word, 4);
            h->word = 0;
        }
    }
    if (left(h->got, h->there) > 0) h->there = h->got;
    has_progress(h);
    return HIDDENITE_OK;
}

static enum hiddenite_error take_answer(struct hiddenite *h, size_t length) {
    enum hiddenite_error e = HIDDENITE_OK;
    uint8_t kind = h->body[0];

    if (h->body[1] != h->session)
        return kind == INFO && h->silent ? HIDDENITE_RESTARTED : HIDDENITE_OK;
    if (kind == STATUS && length == 2 + STATUS_BYTES) e = learn(h, h->body + 2);
    else if (kind == RESULT_DATA && length > 4) e = take_result(h, h->body + 2, length - 2);
    else if (kind == INFO) h->silent = 0;
    else return HIDDENITE_OK;
    /* Before the answer to HELLO come those to frames that have been given up. */
    if (e == HIDDENITE_OK && !h->silent) {
        resolve(h);
        expect_answer(h);
    }
    return e;
}

/* Send the most useful frame. Returns how many bytes are in it, 0 if none is useful, -1 if a
 * callback has failed. */
static int send_next(struct hiddenite *h) {
    struct hiddenite_frame *f = &h->flying[h->flying_count];
    uint8_t body[HIDDENITE_LONGEST_BODY];
    int asked = 0, i;
    uint32_t size;
    size_t length = 4;

    for (i = 0; i < h->flying_count; i++) asked |= h->flying[i].kind == RESULT;
    body[1] = h->session;
    f->end = 0;
    if (h->silent) {
        /* Who is there, before more is sent to nobody. */
        if (h->flying_count) return 0;
        f->kind = body[0] = HELLO;
        length = 2;
    } else if (left(h->there, h->got) > 0 && !asked) {
        f->kind = body[0] = RESULT;
        put16(body + 2, h->got);
    } else if ((size = stream_next(&h->image)) || (size = stream_next(&h->program))) {
        struct hiddenite_stream *s = stream_next(&h->image) ? &h->image : &h->program;
        uint32_t at = s->sent - s->begin;

        f->kind = s == &h->image ? IMAGE : PROGRAM;
        body[0] = (uint8_t)(f->kind | (at + size == s->size ? LAST : 0));
        put16(body + 2, s->sent);
        if (s == &h->image) read_image(h, at, body + 4, size);
        else if (read_program(h, at, body + 4, size) < 0) return -1;
        s->sent += size;
        if (left(s->sent, s->most) > 0) s->most = s->sent;
        f->end = s->sent;
        length += size;
    } else if (!h->flying_count && left(h->ask_at, now(h)) <= 0) {
        f->kind = body[0] = RESULT;
        put16(body + 2, h->got);
    } else {
        return 0;
    }
    if (send_body(h, body, length) != HIDDENITE_OK) return -1;
    f->size = (uint16_t)(length + 6);
    h->flying_count++;
    return f->size;
}

static enum hiddenite_error send_all(struct hiddenite *h) {
    uint32_t window = h->port.baud / 10 * WINDOW_MS / 1000;
    int sent = 0;

    if (window < SMALLEST_WINDOW) window = SMALLEST_WINDOW;
    while (h->flying_count < HIDDENITE_FRAMES_IN_FLIGHT && bytes_in_flight(h) < window) {
        int size = send_next(h);

        if (size < 0) return HIDDENITE_LINE;
        if (size == 0) break;
        sent = 1;
    }
    if (sent) expect_answer(h);
    return HIDDENITE_OK;
}

static enum hiddenite_error transfer(struct hiddenite *h, uint32_t count) {
    const struct hiddenite_image *image = h->image_source;
    uint32_t lanes = h->info.post_lanes;
    enum hiddenite_error e = HIDDENITE_OK;

    stream_add(&h->program, h->sources ? 0 : h->program_source->size);
    stream_add(&h->image, (image->channels + lanes - 1) / lanes * lanes * image->pixels);
    h->result_begin = h->expected;
    h->expected += 4 * count;
    h->word = 0;
    h->flying_count = h->silent = h->over = 0;
    has_progress(h);
    h->answer_by = now(h);
    while (e == HIDDENITE_OK && !h->over) {
        uint32_t until = h->progress_at + h->limit_ms;
        int32_t late;

        e = send_all(h);
        if (e != HIDDENITE_OK) break;
        if (h->flying_count && left(until, h->answer_by) > 0) until = h->answer_by;
        if (!h->flying_count && left(until, h->ask_at) > 0) until = h->ask_at;
        e = receive(h, until, take_answer);
        if (e != HIDDENITE_OK || h->over) break;
        late = left(now(h), h->progress_at + h->limit_ms);
        if (late >= 0) e = h->silent ? HIDDENITE_SILENT : HIDDENITE_NO_PROGRESS;
        else if (h->flying_count && left(now(h), h->answer_by) >= 0) {
            h->flying_count = 0;
            h->silent = 1;
            go_back(h, &h->program);
            go_back(h, &h->image);
        }
    }
    return e;
}

/* What the user calls. */

void hiddenite_init(struct hiddenite *h, const struct hiddenite_port *port, uint32_t random) {
    memset(h, 0, sizeof *h);
    h->port = *port;
    h->random = random;
    h->limit_ms = 5000;
    h->margin_ms = 100;
}

/* A program begins with "HDNT" and words of a CRC that goes on from the fingerprint of the
 * configuration; each has the lowest bits of the CRC of what comes before, where they count as 0. */
static enum hiddenite_error check_header(struct hiddenite *h, uint32_t size) {
    static const uint8_t zeros[8] = {0};
    uint32_t word = h->info.program_bytes, item = word > 4 ? word : 4, crc, i, byte;
    uint8_t head[16], expected[4];

    if (item > 8 || size < 2 * item) return HIDDENITE_ARGUMENT;
    if (read_program(h, 0, head, 2 * item) < 0) return HIDDENITE_LINE;
    if (memcmp(head, "HDNT", 4) != 0) return HIDDENITE_ARGUMENT;
    crc = crc32(h->info.fingerprint, head, item);
    for (i = 0; i < 4; i += word) {
        for (byte = 0; byte < 4; byte++) expected[byte] = (uint8_t)(crc >> 8 * byte);
        if (memcmp(head + item + i, expected, word < 4 ? word : 4) != 0)
            return HIDDENITE_CONFIGURATION;
        crc = crc32(crc, zeros, word);
    }
    return HIDDENITE_OK;
}

enum hiddenite_error hiddenite_run(struct hiddenite *h, const struct hiddenite_program *program,
                                   const struct hiddenite_image *image, int32_t *result,
                                   uint32_t count) {
    enum hiddenite_error e = HIDDENITE_OK;
    int own = program->size == 0, attempt;

    if (!h->info.post_lanes || !image->data || !image->pixels || !image->channels || !result ||
        !count || count % h->info.post_lanes)
        return HIDDENITE_ARGUMENT;
    h->program_source = program;
    h->image_source = image;
    h->result = result;
    if (!own) {
        if (!program->data && !program->read) return HIDDENITE_ARGUMENT;
        e = check_header(h, program->size);
        if (e != HIDDENITE_OK) return e;
    }
    for (attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (!h->open || own != (h->sources != 0)) e = hiddenite_open(h, own);
        if (e == HIDDENITE_OK) e = transfer(h, count);
        if (e == HIDDENITE_OK) return e;
        h->open = 0;
        if (e != HIDDENITE_ENGINE && e != HIDDENITE_RESTARTED && e != HIDDENITE_CONTRADICTION &&
            e != HIDDENITE_RESULT_SIZE)
            return e;
        if (attempt + 1 < ATTEMPTS) e = HIDDENITE_OK;
    }
    return e;
}

const char *hiddenite_error_text(enum hiddenite_error error) {
    static const char *const texts[] = {
        "no error",
        "an argument breaks a rule",
        "the line has failed",
        "no board answers",
        "what answers is no board, or runs at another baud rate",
        "the board speaks another version of the protocol",
        "the program is for an engine of another configuration",
        "the board has no program of its own",
        "what the board has in its memory is no program for it",
        "the board makes no progress",
        "the board has stopped answering",
        "the engine stopped with an error",
        "the board has restarted",
        "the board reports an inconsistent status",
        "the engine's result is not one of this size"};

    return (size_t)error < sizeof texts / sizeof texts[0] ? texts[error] : "unknown error";
}

const char *hiddenite_engine_error_name(uint8_t code) {
    static const char *const names[] = {"NONE",     "MAGIC",     "CONFIGURATION", "OPCODE",
                                        "CHECKSUM", "TRUNCATED", "TRAILING",      "TIMEOUT",
                                        "IMAGE_SHORT", "IMAGE_LONG"};

    return code < sizeof names / sizeof names[0] ? names[code] : "unknown";
}

/* Results. */

static uint32_t tiles(uint32_t size, uint32_t tile) { return (size + tile - 1) / tile; }

static uint32_t images_of(const struct hiddenite_result_shape *s) {
    return s->images ? s->images : 1;
}

uint32_t hiddenite_result_count(const struct hiddenite_result_shape *s) {
    return images_of(s) * s->height * s->width * tiles(s->channels, s->lanes) * s->lanes;
}

void hiddenite_arrange(const struct hiddenite_result_shape *s, const int32_t *stream,
                       int32_t *values) {
    uint32_t t, image, ty, tx, row, column, channel;

    for (t = 0; t < s->channels; t += s->tile_channels)
        for (image = 0; image < images_of(s); image++)
            for (ty = 0; ty < s->height; ty += s->tile_rows)
                for (tx = 0; tx < s->width; tx += s->tile_columns)
                    for (row = ty; row < ty + s->tile_rows; row++)
                        for (column = tx; column < tx + s->tile_columns; column++) {
                            uint32_t pixel = (image * s->height + row) * s->width + column;
                            uint32_t end = t + s->tile_channels;

                            if (row >= s->height || column >= s->width) continue;
                            if (end > s->channels)
                                end = t + tiles(s->channels - t, s->lanes) * s->lanes;
                            for (channel = t; channel < end; channel++, stream++)
                                if (channel < s->channels)
                                    values[pixel * s->channels + channel] = *stream;
                        }
}
