/* Load for a published port: a static helper, in the container and outside of it.
 *
 *   netload serve PORT               first byte of a connection: 'S' read to the end, then answer
 *                                    one byte; anything else: answer one byte and close
 *   netload send HOST PORT MBYTES    print MB/s, counted when the receiver has answered
 *   netload connect HOST PORT SECONDS  print connections per second, one after the other
 *   netload names NAME SECONDS       ask 127.0.0.11 for a name's address, one question after the
 *                                    other; print look-ups per second, and the 99th percentile
 *                                    of their times in microseconds
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char block[1 << 20];

static double now(void)
{
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return moment.tv_sec + moment.tv_nsec / 1e9;
}

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static int dial(const char *host, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int stream = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    inet_pton(AF_INET, host, &to.sin_addr);
    setsockopt(stream, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(stream, (struct sockaddr *)&to, sizeof to)) {
        close(stream);
        return -1;
    }
    return stream;
}

static void answer(int stream)
{
    char kind;
    if (read(stream, &kind, 1) == 1) {
        if (kind == 'S')
            while (read(stream, block, sizeof block) > 0) {}
        if (write(stream, &kind, 1) != 1) perror("write");
    }
    close(stream);
}

static int serve(int port)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&own, sizeof own)) return fail("bind");
    listen(listener, 1024);
    for (;;) {
        int stream = accept(listener, NULL, NULL);
        if (stream >= 0) answer(stream);
    }
}

static int send_megabytes(const char *host, int port, long megabytes)
{
    int stream = dial(host, port);
    if (stream < 0) return fail("connect");
    memset(block, 'S', sizeof block);
    double begun = now();
    long left = megabytes * 1000000;
    while (left > 0) {
        ssize_t size = write(stream, block, left < (long)sizeof block ? left : (long)sizeof block);
        if (size <= 0) return fail("write");
        left -= size;
    }
    shutdown(stream, SHUT_WR);
    if (read(stream, block, 1) != 1) return fail("read");
    printf("%.1f\n", megabytes / (now() - begun));
    return 0;
}

static int connect_again_and_again(const char *host, int port, double seconds)
{
    struct linger reset = {.l_onoff = 1};  /* or 28,000 ports would soon wait out their minute */
    long count = 0;
    double begun = now();
    while (now() - begun < seconds) {
        char word = 'P';
        int stream = dial(host, port);
        if (stream < 0) return fail("connect");
        setsockopt(stream, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        if (write(stream, &word, 1) != 1 || read(stream, &word, 1) != 1) return fail("exchange");
        close(stream);
        count++;
    }
    printf("%.1f\n", count / (now() - begun));
    return 0;
}

static int by_size(const void *one, const void *other)
{
    double left = *(const double *)one, right = *(const double *)other;
    return left < right ? -1 : left > right;
}

/* A question of RFC 1035 for an A record; returns its size. */
static size_t question(unsigned char *packet, const char *name)
{
    memcpy(packet, "\0\0\1\0\0\1\0\0\0\0\0\0", 12);
    size_t length = strlen(name), at = 12;
    packet[at++] = length;
    memcpy(packet + at, name, length);
    memcpy(packet + at + length, "\0\0\1\0\1", 5);
    return at + length + 5;
}

static int look_up_again_and_again(const char *name, double seconds)
{
    static double took[2000000];
    unsigned char packet[512], heard[512];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53)};
    struct timeval patience = {1, 0};
    size_t size = question(packet, name), count = 0;
    int asking = socket(AF_INET, SOCK_DGRAM, 0);
    inet_pton(AF_INET, "127.0.0.11", &to.sin_addr);
    setsockopt(asking, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(asking, (struct sockaddr *)&to, sizeof to)) return fail("connect");
    double begun = now(), each = begun;
    while (each - begun < seconds && count < sizeof took / sizeof *took) {
        packet[0] = count >> 8, packet[1] = count;
        memset(heard, 0xff, 2);
        do {  /* what is lost is asked again, as resolvers do; its time counts */
            if (send(asking, packet, size, 0) < 0) return fail("send");
        } while (recv(asking, heard, sizeof heard, 0) < 12 || memcmp(heard, packet, 2));
        if (!heard[7]) return fail("no such name");
        double after = now();
        took[count++] = after - each, each = after;
    }
    qsort(took, count, sizeof *took, by_size);
    printf("%.1f %.1f\n", count / (each - begun), took[count * 99 / 100] * 1e6);
    return 0;
}

int main(int count, char **words)
{
    signal(SIGPIPE, SIG_IGN);
    if (count == 3 && !strcmp(words[1], "serve")) return serve(atoi(words[2]));
    if (count == 5 && !strcmp(words[1], "send"))
        return send_megabytes(words[2], atoi(words[3]), atol(words[4]));
    if (count == 5 && !strcmp(words[1], "connect"))
        return connect_again_and_again(words[2], atoi(words[3]), atof(words[4]));
    if (count == 4 && !strcmp(words[1], "names"))
        return look_up_again_and_again(words[2], atof(words[3]));
    fprintf(stderr, "usage: see netload.c\n");
    return 2;
}
