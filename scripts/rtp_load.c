/* Phones for scripts/bench_media.py: many RTP streams at once, and how evenly the answers come.
 *
 *   rtp_load LEGS SECONDS FILE       FILE: G.711 bytes, spoken in a loop, each leg from another place
 *
 * It binds LEGS ports on 127.0.0.1 and prints them on one line. Then it reads LEGS destination ports from
 * standard input, speaks for SECONDS, and prints one JSON object. Legs are spread over the 20 ms, as calls
 * are. Arrival times are the kernel's (SO_TIMESTAMPNS), so this program's own lateness is not in them. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FRAME = 160, HEADER = 12, SLOTS = 20, MAX_EVENTS = 256, HISTOGRAM_US = 100000 };

struct leg {
    int fd;
    struct sockaddr_in to;
    uint16_t sequence;
    uint32_t timestamp;
    size_t at;
    int64_t last_arrival_ns;
    uint16_t last_sequence;
    uint64_t received, lost;
};

static uint32_t histogram[HISTOGRAM_US + 1]; /* |gap between packets - 20 ms| in µs */
static uint64_t gaps, sent, loud;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void open_leg(struct leg *leg, int epoll, int number) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    int on = 1;
    leg->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (leg->fd < 0 || bind(leg->fd, (struct sockaddr *)&here, size) < 0) die("bind");
    setsockopt(leg->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    getsockname(leg->fd, (struct sockaddr *)&here, &size);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)number};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, leg->fd, &event) < 0) die("epoll_ctl");
    printf("%d ", ntohs(here.sin_port));
}

static void speak(struct leg *leg, uint32_t ssrc, const unsigned char *sound, size_t size) {
    unsigned char packet[HEADER + FRAME] = {0x80, 0};
    uint16_t sequence = htons(leg->sequence++);
    uint32_t timestamp = htonl(leg->timestamp), source = htonl(ssrc);
    leg->timestamp += FRAME;
    memcpy(packet + 2, &sequence, 2);
    memcpy(packet + 4, &timestamp, 4);
    memcpy(packet + 8, &source, 4);
    memcpy(packet + HEADER, sound + leg->at, FRAME);
    leg->at = leg->at + 2 * FRAME > size ? 0 : leg->at + FRAME;
    if (send(leg->fd, packet, sizeof packet, 0) == sizeof packet) sent++;
}

static void hear(struct leg *leg) {
    unsigned char packet[2048], control[128];
    struct iovec part = {packet, sizeof packet};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t size = recvmsg(leg->fd, &message, 0);
    if (size < HEADER) return;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    struct timespec t;
    if (!head || head->cmsg_type != SCM_TIMESTAMPNS) return;
    memcpy(&t, CMSG_DATA(head), sizeof t);
    int64_t arrival_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    uint16_t sequence;
    memcpy(&sequence, packet + 2, 2);
    sequence = ntohs(sequence);
    if (leg->received++) {
        uint16_t step = sequence - leg->last_sequence;
        if (step != 1) leg->lost += (uint16_t)(step - 1);
        int64_t off_us = (arrival_ns - leg->last_arrival_ns) / 1000 - 20000;
        if (off_us < 0) off_us = -off_us;
        histogram[off_us > HISTOGRAM_US ? HISTOGRAM_US : off_us]++;
        gaps++;
    }
    for (ssize_t n = HEADER; n < size; n++) loud += (packet[n] & 0x7f) < 0x60;
    leg->last_sequence = sequence;
    leg->last_arrival_ns = arrival_ns;
}

static double percentile_ms(double part) {
    uint64_t want = (uint64_t)(part * (double)gaps), seen = 0;
    for (int us = 0; us <= HISTOGRAM_US; us++)
        if ((seen += histogram[us]) > want) return us / 1000.0;
    return HISTOGRAM_US / 1000.0;
}

int main(int count, char **words) {
    if (count != 4) {
        fprintf(stderr, "usage: rtp_load LEGS SECONDS FILE\n");
        return 2;
    }
    int legs = atoi(words[1]);
    double seconds = atof(words[2]);
    FILE *file = fopen(words[3], "rb");
    if (!file) die(words[3]);
    static unsigned char sound[1 << 22];
    size_t size = fread(sound, 1, sizeof sound, file) / FRAME * FRAME;
    fclose(file);
    struct rlimit files = {65536, 65536};
    setrlimit(RLIMIT_NOFILE, &files);
    struct leg *all = calloc((size_t)legs, sizeof *all);
    int epoll = epoll_create1(0);
    if (!all || epoll < 0 || size < FRAME) die("start");
    for (int n = 0; n < legs; n++) open_leg(&all[n], epoll, n);
    printf("\n");
    fflush(stdout);
    for (int n = 0; n < legs; n++) {
        int port;
        if (scanf("%d", &port) != 1) die("destination ports");
        all[n].to = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
        all[n].at = ((size_t)n * 7919 * FRAME) % size;
        if (connect(all[n].fd, (struct sockaddr *)&all[n].to, sizeof all[n].to) < 0) die("connect"); /* no strays */
    }
    int64_t start_ns = now_ns(), end_ns = start_ns + (int64_t)(seconds * 1e9);
    for (int64_t step = 0; now_ns() < end_ns; step++) {
        int64_t due_ns = start_ns + step * 1000000;
        struct timespec due = {due_ns / 1000000000, due_ns % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        for (int n = (int)(step % SLOTS); n < legs; n += SLOTS) speak(&all[n], (uint32_t)n + 1000, sound, size);
        struct epoll_event ready[MAX_EVENTS];
        for (int found; (found = epoll_wait(epoll, ready, MAX_EVENTS, 0)) > 0;)
            for (int n = 0; n < found; n++) hear(&all[ready[n].data.u32]);
    }
    uint64_t received = 0, lost = 0;
    for (int n = 0; n < legs; n++) received += all[n].received, lost += all[n].lost;
    printf("{\"sent\": %lu, \"received\": %lu, \"lost\": %lu, \"loud_bytes\": %lu, \"gap_p50_ms\": %.3f, "
           "\"gap_p99_ms\": %.3f, \"gap_max_ms\": %.3f}\n",
           sent, received, lost, loud, percentile_ms(0.5), percentile_ms(0.99), percentile_ms(0.99999999));
    return 0;
}
