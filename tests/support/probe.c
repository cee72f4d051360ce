/* A static program that tests put into containers: it has no library to be missing there.
 *
 *   probe udp-echo PORT            answer every datagram with itself
 *   probe verdicts                 read "NAME NUMBER ARGS.." lines from stdin, one verdict each
 *   probe eat MEBIBYTES            touch that much memory, say "eaten", sleep
 *   probe fork COUNT               fork children that sleep; print how many there are
 *   probe limits                   print the soft and hard nofile and nproc limits
 *   probe stream MILLISECONDS COUNT  print numbered lines at a steady pace
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int udp_echo(int port)
{
    int socket_fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (bind(socket_fd, (struct sockaddr *)&own, sizeof own)) return perror("bind"), 1;
    for (;;) {
        char datagram[65536];
        struct sockaddr_in from;
        socklen_t length = sizeof from;
        ssize_t size =
            recvfrom(socket_fd, datagram, sizeof datagram, 0, (struct sockaddr *)&from, &length);
        if (size >= 0) sendto(socket_fd, datagram, size, 0, (struct sockaddr *)&from, length);
    }
}

/* Made in a child: a call may succeed in a way that ends or changes the process. */
static void verdict(const char *name, long number, const long *arguments)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        errno = 0;
        long result = syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                              arguments[4], arguments[5]);
        printf("%s %d\n", name, result == -1 ? errno : 0);
        fflush(stdout);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    if (!WIFEXITED(status)) printf("%s died %d\n", name, WTERMSIG(status));
}

static int verdicts(void)
{
    char line[512];
    while (fgets(line, sizeof line, stdin)) {
        char name[128];
        long number, arguments[6] = {0};
        if (sscanf(line, "%127s %ld %li %li %li %li %li %li", name, &number, &arguments[0],
                   &arguments[1], &arguments[2], &arguments[3], &arguments[4],
                   &arguments[5]) >= 2)
            verdict(name, number, arguments);
    }
    return 0;
}

static int eat(long mebibytes)
{
    for (long n = 0; n < mebibytes; n++) {
        char *memory = malloc(1 << 20);
        if (!memory) return perror("malloc"), 1;
        memset(memory, 1, 1 << 20);
    }
    puts("eaten");
    fflush(stdout);
    pause();
    return 0;
}

static int fork_children(int count)
{
    int made = 0;
    for (; made < count; made++) {
        pid_t child = fork();
        if (child < 0) break;
        if (child == 0) { pause(); _exit(0); }
    }
    printf("%d %s\n", made, made < count ? strerror(errno) : "all");
    fflush(stdout);
    kill(0, 9);
    return 0;
}

static int limits(void)
{
    struct rlimit files, processes;
    getrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_NPROC, &processes);
    printf("nofile %ld %ld\nnproc %ld %ld\n", (long)files.rlim_cur, (long)files.rlim_max,
           (long)processes.rlim_cur, (long)processes.rlim_max);
    return 0;
}

static int stream(int milliseconds, long count)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (long n = 1; n <= count; n++) {
        printf("line %ld\n", n);
        usleep(milliseconds * 1000);
    }
    return 0;
}

int main(int count, char **words)
{
    const char *verb = count > 1 ? words[1] : "";
    if (!strcmp(verb, "udp-echo") && count == 3) return udp_echo(atoi(words[2]));
    if (!strcmp(verb, "verdicts")) return verdicts();
    if (!strcmp(verb, "eat") && count == 3) return eat(atol(words[2]));
    if (!strcmp(verb, "fork") && count == 3) return fork_children(atoi(words[2]));
    if (!strcmp(verb, "limits")) return limits();
    if (!strcmp(verb, "stream") && count == 4) return stream(atoi(words[2]), atol(words[3]));
    fprintf(stderr, "usage: see probe.c\n");
    return 2;
}
