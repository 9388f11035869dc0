// Loads for measuring the cost of being monitored: one kind of act, repeated.
//
//     load ACT BATCHES COUNT [PATH…]
//
// performs BATCHES batches of COUNT acts and prints nanoseconds per act, in the fastest batch and
// over all. A batch is short, so that some run without interruption. The paths are for the act
// `open`, which opens them in turn, whether they exist or not.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *program;
static char file[] = "/tmp/peregrine-load-XXXXXX";
static int listener;
static char **paths;
static int path_count;
static struct sockaddr_in address = {.sin_family = AF_INET};

static void check(int good, const char *what)
{
	if (!good) {
		perror(what);
		exit(1);
	}
}

static void getppid_(void) { syscall(SYS_getppid); }
static void open_missing(void) { check(open("/tmp/no/such/file", O_RDONLY) < 0, "open"); }
static void open_close(void) { check(close(open(file, O_RDONLY)) == 0, "close"); }

static void open_paths(void)
{
	static int turn;
	int fd = open(paths[turn++ % path_count], O_RDONLY);
	if (fd >= 0)
		close(fd);
}

static void dup_close(void) { check(close(dup(0)) == 0, "close"); }

static void await(pid_t child)
{
	int status;
	check(child > 0 && waitpid(child, &status, 0) == child && status == 0, "child");
}

static void fork_(void)
{
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	await(child);
}

// Of itself: without arguments it ends at once.
static void exec(void)
{
	pid_t child = vfork();
	if (child == 0) {
		execl(program, program, (char *)NULL);
		_exit(1);
	}
	await(child);
}

static void listen_(void)
{
	socklen_t len = sizeof(address);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	check(bind(listener, (void *)&address, len) == 0 && listen(listener, 16) == 0, "listen");
	check(getsockname(listener, (void *)&address, &len) == 0, "getsockname");
}

// A connection, a byte over it, and its end by reset, so that no port stays in use.
static void connect_(void)
{
	struct linger reset = {.l_onoff = 1};
	char byte = 0;
	int client = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	check(connect(client, (void *)&address, sizeof(address)) == 0, "connect");
	int server = accept(listener, NULL, NULL);
	check(send(client, &byte, 1, 0) == 1 && recv(server, &byte, 1, 0) == 1, "send");
	close(client);
	close(server);
}

static const struct {
	const char *name;
	void (*act)(void);
} ACTS[] = {
	{"getppid", getppid_}, {"openfail", open_missing}, {"open", open_close}, {"dup", dup_close},
	{"fork", fork_},       {"exec", exec},             {"tcp", connect_},
};

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int argc, char **argv)
{
	if (argc == 1)
		return 0;
	void (*act)(void) = NULL;
	for (size_t i = 0; i < sizeof(ACTS) / sizeof(*ACTS); i++)
		if (!strcmp(argv[1], ACTS[i].name))
			act = ACTS[i].act;
	if (argc < 4 || !act) {
		fprintf(stderr, "usage: load ACT BATCHES COUNT [PATH…]\n");
		return 2;
	}
	program = argv[0];
	paths = argv + 4;
	path_count = argc - 4;
	if (act == open_close && path_count > 0)
		act = open_paths;
	int batches = atoi(argv[2]), count = atoi(argv[3]);
	if (act == open_close)
		close(mkstemp(file));
	if (act == connect_)
		listen_();
	double fastest = 1e18, began = now();
	for (int batch = 0; batch < batches; batch++) {
		double start = now();
		for (int i = 0; i < count; i++)
			act();
		double took = (now() - start) / count;
		if (took < fastest)
			fastest = took;
	}
	printf("%.1f %.1f\n", fastest, (now() - began) / batches / count);
	if (act == open_close)
		unlink(file);
	return 0;
}
