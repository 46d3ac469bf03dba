/* Phones for scripts/bench_media.py: many RTP streams at once, and how evenly the answers come.
 *
 *   rtp_load LEGS SECONDS FILE...    FILE: whole RTP packets, each behind its length (16 bits, big-endian), sent
 *                                    one every 20 ms; leg n speaks the n-th FILE in turn, each from another place
 *
 * Packets are sent as they stand in the file, so any codec will do, and SRTP, too: every leg has its port for itself.
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

enum { HEADER = 12, SLOTS = 20, MAX_EVENTS = 256, HISTOGRAM_US = 100000, MOST_FILES = 4, MOST_PACKETS = 60000 };

struct speech {
    unsigned char *bytes;
    uint32_t at[MOST_PACKETS];
    int packets;
};

struct leg {
    int fd;
    struct sockaddr_in to;
    const struct speech *speech;
    int next;
    int64_t last_arrival_ns;
    uint16_t last_sequence;
    uint32_t last_timestamp;
    double jitter_ms;
    uint64_t received, lost;
};

static struct speech speeches[MOST_FILES];
static double clock_khz = 8;
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

static void read_speech(struct speech *speech, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) die(path);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    speech->bytes = malloc((size_t)size);
    if (!speech->bytes || fread(speech->bytes, 1, (size_t)size, file) != (size_t)size) die(path);
    fclose(file);
    for (long at = 0; at + 2 < size && speech->packets < MOST_PACKETS;) {
        speech->at[speech->packets++] = (uint32_t)at;
        at += 2 + (speech->bytes[at] << 8 | speech->bytes[at + 1]);
    }
    if (!speech->packets) die("no packets");
}

static void speak(struct leg *leg) {
    const unsigned char *packet = leg->speech->bytes + leg->speech->at[leg->next++ % leg->speech->packets];
    ssize_t size = packet[0] << 8 | packet[1];
    if (send(leg->fd, packet + 2, (size_t)size, 0) == size) sent++;
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
    uint32_t timestamp;
    memcpy(&timestamp, packet + 4, 4);
    timestamp = ntohl(timestamp);
    if ((packet[1] & 0x7f) >= 64 && (packet[1] & 0x7f) < 96) return; /* RTCP on the RTP port */
    if (leg->received++) {
        uint16_t step = sequence - leg->last_sequence;
        if (step != 1) leg->lost += (uint16_t)(step - 1);
        int64_t off_us = (arrival_ns - leg->last_arrival_ns) / 1000 - 20000;
        if (off_us < 0) off_us = -off_us;
        histogram[off_us > HISTOGRAM_US ? HISTOGRAM_US : off_us]++;
        gaps++;
        /* RFC 3550 section 6.4.1 */
        double late_ms = (double)(arrival_ns - leg->last_arrival_ns) / 1e6 -
                         (int32_t)(timestamp - leg->last_timestamp) / clock_khz;
        leg->jitter_ms += ((late_ms < 0 ? -late_ms : late_ms) - leg->jitter_ms) / 16;
    }
    for (ssize_t n = HEADER; n < size; n++) loud += (packet[n] & 0x7f) < 0x60;
    leg->last_timestamp = timestamp;
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
    if (count < 4 || count > 3 + MOST_FILES) {
        fprintf(stderr, "usage: rtp_load LEGS SECONDS FILE...\n");
        return 2;
    }
    int legs = atoi(words[1]), kinds = count - 3;
    double seconds = atof(words[2]);
    for (int n = 0; n < kinds; n++) read_speech(&speeches[n], words[3 + n]);
    struct rlimit files = {65536, 65536};
    setrlimit(RLIMIT_NOFILE, &files);
    struct leg *all = calloc((size_t)legs, sizeof *all);
    int epoll = epoll_create1(0);
    if (!all || epoll < 0) die("start");
    for (int n = 0; n < legs; n++) open_leg(&all[n], epoll, n);
    printf("\n");
    fflush(stdout);
    for (int n = 0; n < legs; n++) {
        int port;
        if (scanf("%d", &port) != 1) die("destination ports");
        all[n].to = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
        all[n].speech = &speeches[n % kinds];
        all[n].next = n * 997 % (all[n].speech->packets / 2); /* never over the end: SRTP does not repeat */
        if (connect(all[n].fd, (struct sockaddr *)&all[n].to, sizeof all[n].to) < 0) die("connect"); /* no strays */
    }
    int64_t start_ns = now_ns(), end_ns = start_ns + (int64_t)(seconds * 1e9);
    for (int64_t step = 0; now_ns() < end_ns; step++) {
        int64_t due_ns = start_ns + step * 1000000;
        struct timespec due = {due_ns / 1000000000, due_ns % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        for (int n = (int)(step % SLOTS); n < legs; n += SLOTS) speak(&all[n]);
        struct epoll_event ready[MAX_EVENTS];
        for (int found; (found = epoll_wait(epoll, ready, MAX_EVENTS, 0)) > 0;)
            for (int n = 0; n < found; n++) hear(&all[ready[n].data.u32]);
    }
    uint64_t received = 0, lost = 0;
    double jitter_ms = 0;
    for (int n = 0; n < legs; n++) received += all[n].received, lost += all[n].lost, jitter_ms += all[n].jitter_ms / legs;
    printf("{\"sent\": %lu, \"received\": %lu, \"lost\": %lu, \"loud_bytes\": %lu, \"gap_p50_ms\": %.3f, "
           "\"gap_p99_ms\": %.3f, \"gap_max_ms\": %.3f, \"jitter_ms\": %.3f}\n",
           sent, received, lost, loud, percentile_ms(0.5), percentile_ms(0.99), percentile_ms(0.99999999), jitter_ms);
    return 0;
}
