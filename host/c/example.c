/* Runs a program on images from Linux: an example of the callbacks that hiddenite.h wants.
 *
 *     cc -std=c99 -O2 -o example example.c hiddenite.c
 *     ./example /dev/ttyUSB0 PROGRAM PIXELS CHANNELS VALUES < IMAGES
 *
 * PROGRAM is of `hiddenite compile`, IMAGES are raw bytes, height x width x channels each, VALUES
 * is the size of one result in values of the stream. Prints the values of each image on a line. */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "hiddenite.h"

static int port_write(void *context, const uint8_t *data, size_t length) {
    while (length) {
        ssize_t count = write(*(int *)context, data, length);

        if (count < 0) return -1;
        data += count;
        length -= (size_t)count;
    }
    return 0;
}

static int port_read(void *context, uint8_t *data, size_t length, uint32_t timeout_ms) {
    struct pollfd ready = {*(int *)context, POLLIN, 0};

    if (poll(&ready, 1, (int)timeout_ms) <= 0) return 0;
    return (int)read(ready.fd, data, length);
}

static uint32_t clock_ms(void *context) {
    struct timespec t;

    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint32_t)t.tv_sec * 1000 + (uint32_t)(t.tv_nsec / 1000000);
}

static int open_port(const char *name) {
    int port = open(name, O_RDWR | O_NOCTTY);
    struct termios settings;

    if (port < 0 || tcgetattr(port, &settings) < 0) return -1;
    cfmakeraw(&settings);
    settings.c_cflag |= CLOCAL | CREAD;
    cfsetspeed(&settings, B1000000);
    return tcsetattr(port, TCSAFLUSH, &settings) < 0 ? -1 : port;
}

static int read_program(void *file, uint32_t offset, uint8_t *data, size_t length) {
    if (fseek((FILE *)file, (long)offset, SEEK_SET) < 0) return -1;
    return fread(data, 1, length, (FILE *)file) == length ? 0 : -1;
}

int main(int argc, char **argv) {
    static struct hiddenite board;
    int port = argc == 6 ? open_port(argv[1]) : -1;
    FILE *file = port < 0 ? NULL : fopen(argv[2], "rb");
    struct hiddenite_port line = {&port, port_write, port_read, clock_ms, 1000000};
    enum hiddenite_error e;

    if (!file || fseek(file, 0, SEEK_END) < 0) {
        fprintf(stderr, "usage: %s PORT PROGRAM PIXELS CHANNELS VALUES < IMAGES\n", argv[0]);
        return 2;
    }
    struct hiddenite_program program = {NULL, (uint32_t)ftell(file), read_program, file};
    struct hiddenite_image image = {NULL, (uint32_t)atol(argv[3]), (uint32_t)atol(argv[4])};
    uint32_t count = (uint32_t)atol(argv[5]), i;
    size_t size = (size_t)image.pixels * image.channels;
    uint8_t *pixels = (uint8_t *)malloc(size + 1);
    int32_t *values = (int32_t *)malloc(sizeof *values * (count + 1));

    if (!pixels || !values) return 1;
    image.data = pixels;
    hiddenite_init(&board, &line, clock_ms(NULL));
    e = hiddenite_hello(&board);
    while (e == HIDDENITE_OK && size && fread(pixels, 1, size, stdin) == size) {
        e = hiddenite_run(&board, &program, &image, values, count);
        for (i = 0; e == HIDDENITE_OK && i < count; i++)
            printf("%ld%c", (long)values[i], i + 1 < count ? ' ' : '\n');
    }
    if (e != HIDDENITE_OK) fprintf(stderr, "%s: %s\n", argv[1], hiddenite_error_text(e));
    return e == HIDDENITE_OK ? 0 : 1;
}
