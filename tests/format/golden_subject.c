/* A process with one of nearly everything that an image holds, small enough to be kept for ever: what a golden image of real kinds is made of.
 *
 *     cc -static -O1 -o subject tests/format/golden_subject.c -lpthread
 *     setsid ./subject </dev/null >/dev/null 2>&1 & holdfast dump PID -o real
 *     python -m tests.format.make_golden VERSION real
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int failures;

static void must(int result)
{
	if (result < 0)
		failures++;
}

static void handler(int number)
{
	(void)number;
}

static void *sleeper(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return NULL;
}

static void descriptors(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = 7 };
	struct itimerspec later = { .it_value.tv_sec = 1000000, .it_interval.tv_sec = 5 };
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0holdfast golden" };
	struct f_owner_ex owner = { F_OWNER_PID, getpid() };
	sigset_t some;
	int p[2], s[2], set, fd, one = 1;

	must(pipe2(p, O_NONBLOCK));
	must(write(p[1], "in a pipe", 9));
	must(fcntl(p[0], F_SETOWN_EX, &owner));
	must(fcntl(p[0], F_SETPIPE_SZ, 1 << 17));
	must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
	must(send(s[0], "one", 3, 0));
	must(send(s[0], "two", 3, 0));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	must(bind(fd, (struct sockaddr *)&name, sizeof(sa_family_t) + 16));
	must(listen(fd, 9));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	must(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)));
	must(bind(fd, (struct sockaddr *)&here, sizeof(here)));
	must(listen(fd, 5));
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	must(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)));
	must(bind(fd, (struct sockaddr *)&here, sizeof(here)));
	must(socket(AF_NETLINK, SOCK_RAW, 0));
	set = epoll_create1(EPOLL_CLOEXEC);
	must(epoll_ctl(set, EPOLL_CTL_ADD, p[0], &event));
	must(eventfd(41, EFD_SEMAPHORE));
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	must(timerfd_settime(fd, 0, &later, NULL));
	sigemptyset(&some);
	sigaddset(&some, SIGUSR2);
	must(signalfd(-1, &some, 0));
	fd = inotify_init1(0);
	must(inotify_add_watch(fd, "/", IN_CREATE | IN_MOVED_TO));
	fd = memfd_create("golden", MFD_ALLOW_SEALING);
	must(write(fd, "in memory", 9));
	must(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
	must(open("/", O_DIRECTORY | O_PATH));
	must(open("/dev", O_DIRECTORY));
	must(open("/dev/zero", O_RDWR | O_APPEND));
	must(open("/proc/self/stat", O_RDONLY));
	fd = open("/tmp", O_TMPFILE | O_RDWR, 0640);
	must(write(fd, "without a name", 14));
	must(flock(fd, LOCK_SH));
	must(posix_fallocate(fd, 0, 8192));
	must(dup3(0, 200, O_CLOEXEC));
	must(posix_openpt(O_RDWR | O_NOCTTY));
}

static void memory(void)
{
	char *area = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	strcpy(area, "private");
	strcpy(shared, "shared");
	must(madvise(area, 4096, MADV_DONTFORK));
	must(mprotect(area + 4 * 4096, 4096, PROT_READ));
	must(mlock(area + 8 * 4096, 4096));
}

static void task(void)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART | SA_NODEFER };
	struct itimerval often = { { 1000, 0 }, { 1000000, 0 } };
	struct itimerspec later = { .it_value.tv_sec = 1000000 };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3, .sigev_value.sival_int = 9 };
	static char stack[1 << 14];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct rlimit limit = { 100, 200 };
	union sigval value = { .sival_int = 11 };
	sigset_t some;
	timer_t timer;

	umask(027);
	must(sigaction(SIGUSR1, &action, NULL));
	must(sigaltstack(&alternate, NULL));
	sigemptyset(&some);
	sigaddset(&some, SIGRTMIN + 1);
	sigaddset(&some, SIGUSR2);
	must(sigprocmask(SIG_BLOCK, &some, NULL));
	must(sigqueue(getpid(), SIGRTMIN + 1, value));
	must(setitimer(ITIMER_REAL, &often, NULL));
	must(timer_create(CLOCK_BOOTTIME, &event, &timer));
	must(timer_settime(timer, 0, &later, NULL));
	must(setrlimit(RLIMIT_MSGQUEUE, &limit));
	must(nice(3));
	must(prctl(PR_SET_NAME, "golden one"));
	must(prctl(PR_SET_PDEATHSIG, SIGTERM));
	must(prctl(PR_SET_CHILD_SUBREAPER, 1));
	must(prctl(PR_SET_TIMERSLACK, 70000));
	must(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
}

int main(void)
{
	pthread_t thread;
	int i;

	if (fork() == 0)
		_exit(3); /* a zombie */
	if (fork() == 0) {
		must(setpgid(0, 0));
		for (;;)
			pause();
	}
	descriptors();
	memory();
	task();
	for (i = 0; i < 2; i++) /* they block what waits for the process */
		failures += pthread_create(&thread, NULL, sleeper, NULL) != 0;
	printf("%d failures\n", failures);
	fflush(stdout);
	for (;;)
		pause();
}
