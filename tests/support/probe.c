/* A static program that tests put into containers: it has no library to be missing there.
 *
 *   probe udp-echo PORT            answer every datagram with itself
 *   probe verdicts                 read "NAME NUMBER ARGS.." lines from stdin, one verdict each
 *   probe eat MEBIBYTES            touch that much memory, say "eaten", sleep
 *   probe fork COUNT               fork children that sleep; print how many there are
 *   probe limits                   print the soft and hard nofile and nproc limits
 *   probe stream MILLISECONDS COUNT  print numbered lines at a steady pace
 *   probe numbers FIRST LAST       make each system call with six times -1, print its errno
 *   probe devices LAST MINORS..    make and open nodes of every major, print who may be opened
 *   probe swap A B                 exchange two names again and again (renameat2)
 *   probe look WORD                look into all processes until stdin ends; count what is seen
 *   probe ask SOCKET WORD          write a word to a Unix socket, print the answer
 *   probe write SECONDS BYTES COUNT  write lines of a size; at the end the longest write, in ms
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
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

/* No library between us and the kernel: a vfork returns twice on one stack. */
static inline __attribute__((always_inline)) long raw(long number, long argument)
{
#ifdef __x86_64__
    long result;
    register long r10 __asm__("r10") = argument;
    register long r8 __asm__("r8") = argument;
    register long r9 __asm__("r9") = argument;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(argument), "S"(argument), "d"(argument), "r"(r10),
                       "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#else
    long result = syscall(number, argument, argument, argument, argument, argument, argument);
    return result == -1 ? -errno : result;
#endif
}

static int numbers(long first, long last)
{
    for (long number = first; number <= last; number++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            alarm(1);
            long result = raw(number, -1);
            raw(SYS_exit_group, result < 0 && result > -255 ? -result : 0);
        }
        int status;
        waitpid(child, &status, 0);
        if (WIFEXITED(status)) printf("%ld %d\n", number, WEXITSTATUS(status));
        else printf("%ld died %d\n", number, WTERMSIG(status));
    }
    return 0;
}

static int devices(int last, int count, char **minors)
{
    const char *node = "/tmp/node";
    for (int kind = 0; kind < 2; kind++)
        for (int major_number = 0; major_number <= last; major_number++)
            for (int n = 0; n < count; n++) {
                int minor_number = atoi(minors[n]), made = 0, opened = 0;
                unlink(node);
                if (mknod(node, (kind ? S_IFBLK : S_IFCHR) | 0666,
                          makedev(major_number, minor_number)))
                    made = errno;
                int fd = open(node, O_RDWR | O_NONBLOCK | O_NOCTTY);
                if (fd < 0) opened = errno;
                else close(fd);
                printf("%c %d %d %d %d\n", "cb"[kind], major_number, minor_number, made, opened);
            }
    unlink(node);
    return 0;
}

static int swap(const char *one, const char *other)
{
    const unsigned exchange = 2; /* RENAME_EXCHANGE */
    for (;;)
        if (syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, exchange))
            return perror("renameat2"), 1;
}

static int holds_word(const char *path, const char *word)
{
    char content[65536];
    int fd = open(path, O_RDONLY);
    if (fd < 0) return 0;
    ssize_t size = read(fd, content, sizeof content);
    close(fd);
    return size > 0 && memmem(content, size, word, strlen(word)) != NULL;
}

/* What a process that is about to join shows of the host: its interpreter, its environment,
 * its descriptors. Nothing is ever written: an open that succeeds is the finding. */
static int look(const char *word)
{
    long seen = 0, read_only = 0, busy = 0, opened = 0, environments = 0, descriptors = 0;
    struct pollfd input = {.fd = 0, .events = POLLIN};
    while (poll(&input, 1, 0) == 0) {
        DIR *processes = opendir("/proc");
        struct dirent *entry;
        while ((entry = readdir(processes))) {
            char path[512], target[512];
            if (!isdigit(entry->d_name[0]) || atoi(entry->d_name) == getpid()) continue;
            snprintf(path, sizeof path, "/proc/%s/exe", entry->d_name);
            ssize_t length = readlink(path, target, sizeof target - 1);
            if (length > 0) {
                target[length] = 0;
                if (strstr(target, "python")) {
                    seen++;
                    int fd = open(path, O_WRONLY);
                    if (fd >= 0) opened++, close(fd);
                    else if (errno == EROFS) read_only++;
                    else if (errno == ETXTBSY) {
                        /* Its own program by now, perhaps: that is the container's. */
                        length = readlink(path, target, sizeof target - 1);
                        if (length > 0) target[length] = 0;
                        if (length > 0 && strstr(target, "python")) busy++;
                    }
                }
            }
            snprintf(path, sizeof path, "/proc/%s/environ", entry->d_name);
            environments += holds_word(path, word);
            for (int fd = 3; fd < 16; fd++) {
                snprintf(path, sizeof path, "/proc/%s/fd/%d", entry->d_name, fd);
                length = readlink(path, target, sizeof target - 1);
                if (length > 0) target[length] = 0;
                if (length > 0 && strstr(target, "/wh-")) descriptors++;
            }
        }
        closedir(processes);
    }
    printf("%ld %ld %ld %ld %ld %ld\n", seen, read_only, busy, opened, environments, descriptors);
    return 0;
}

static long milliseconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Lines of a size, spread evenly over a time; the longest write is the longest stall. */
static int write_lines(long seconds, long size, long count)
{
    char *line = malloc(size + 1);
    long begun = milliseconds_now(), longest = 0;
    for (long n = 0; n < count; n++) {
        int head = sprintf(line, "%010ld ", n);
        memset(line + head, 'x', size - head - 1);
        line[size - 1] = '\n';
        long before = milliseconds_now(), done = 0;
        while (done < size) {
            ssize_t part = write(1, line + done, size - done);
            if (part < 0) return 1;
            done += part;
        }
        long took = milliseconds_now() - before;
        if (took > longest) longest = took;
        long due = begun + seconds * 1000 * (n + 1) / count - milliseconds_now();
        if (due > 0) usleep(due * 1000);
    }
    printf("longest %ld\n", longest);
    return 0;
}

static int ask(const char *path, const char *word)
{
    char answer[256];
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int connection = socket(AF_UNIX, SOCK_STREAM, 0);
    strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    if (connect(connection, (struct sockaddr *)&to, sizeof to)) {
        perror(path);
        return 1;
    }
    if (write(connection, word, strlen(word)) < 0) return 1;
    ssize_t size = read(connection, answer, sizeof answer);
    return size <= 0 || write(1, answer, size) != size;
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
    if (!strcmp(verb, "numbers") && count == 4) return numbers(atol(words[2]), atol(words[3]));
    if (!strcmp(verb, "devices") && count > 3) return devices(atoi(words[2]), count - 3, words + 3);
    if (!strcmp(verb, "swap") && count == 4) return swap(words[2], words[3]);
    if (!strcmp(verb, "ask") && count == 4) return ask(words[2], words[3]);
    if (!strcmp(verb, "look") && count == 3) return look(words[2]);
    if (!strcmp(verb, "write") && count == 5)
        return write_lines(atol(words[2]), atol(words[3]), atol(words[4]));
    fprintf(stderr, "usage: see probe.c\n");
    return 2;
}
