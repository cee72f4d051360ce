/* Load for a published port: a static helper, in the container and outside of it.
 *
 *   netload serve PORT               first byte of a connection: 'S' read to the end, then answer
 *                                    one byte; anything else: answer one byte and close
 *   netload send HOST PORT MBYTES    print MB/s, counted when the receiver has answered
 *   netload connect HOST PORT SECONDS  print connections per second, one after the other
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
    long count = 0;
    double begun = now();
    while (now() - begun < seconds) {
        char word = 'P';
        int stream = dial(host, port);
        if (stream < 0) return fail("connect");
        if (write(stream, &word, 1) != 1 || read(stream, &word, 1) != 1) return fail("exchange");
        close(stream);
        count++;
    }
    printf("%.1f\n", count / (now() - begun));
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
    fprintf(stderr, "usage: see netload.c\n");
    return 2;
}
