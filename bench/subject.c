/* A process to be dumped: SIZE MiB of touched memory, THREADS sleeping threads, CHILDREN children, FILES descriptors of a KIND: f files, each
 * open by itself at a place of its own, p pipes, s pairs of unix stream sockets, e eventfds.
 * It writes a byte to the first page of the shared STAT file when ready, and the longest gap between two turns of its loop, in ns,
 * to the next word; a write of 1 to the third word clears the gap. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void *sleeper(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

static int open_some(char kind, int n, const char *path)
{
	struct rlimit room = { 4096, 4096 };
	int i, p[2];

	if (n > 900 && setrlimit(RLIMIT_NOFILE, &room))
		return -1;
	for (i = 0; i < n; i++) {
		if (kind == 'f') {
			int fd = open(path, O_RDONLY);

			if (fd < 0 || lseek(fd, i, SEEK_SET) != i)
				return -1;
		} else if (kind == 'e') {
			if (eventfd(i, 0) < 0)
				return -1;
		} else {
			if (kind == 'p' ? pipe(p) : socketpair(AF_UNIX, SOCK_STREAM, 0, p))
				return -1;
			i++;
		}
	}
	return 0;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

int main(int argc, char **argv)
{
	size_t mib = atoi(argv[2]);
	int threads = atoi(argv[3]), children = atoi(argv[4]), files = atoi(argv[5]), i;
	int fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	volatile uint64_t *stat;
	uint64_t last, t;
	uint32_t x = 1;

	(void)argc;
	if (fd < 0 || ftruncate(fd, 4096))
		return 1;
	stat = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (mib) {
		uint32_t *m = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		madvise(m, mib << 20, MADV_NOHUGEPAGE);
		for (size_t k = 0; k < mib << 18; k++) {
			x = x * 1664525u + 1013904223u;
			m[k] = x;
		}
	}
	for (i = 0; i < threads; i++) {
		pthread_t id;
		pthread_attr_t a;

		pthread_attr_init(&a);
		pthread_attr_setstacksize(&a, 65536);
		if (pthread_create(&id, &a, sleeper, NULL))
			return 2;
	}
	if (open_some(argv[6][0], files, argv[0]))
		return 3;
	for (i = 0; i < children; i++)
		if (fork() == 0)
			sleeper(NULL);
	stat[0] = 1;
	last = now();
	for (;;) {
		struct timespec ms = { 0, 1000000 };

		clock_nanosleep(CLOCK_MONOTONIC, 0, &ms, &ms);
		t = now();
		if (stat[2]) {
			stat[2] = 0;
			stat[1] = 0;
		} else if (t - last > stat[1]) {
			stat[1] = t - last;
		}
		last = t;
	}
}
