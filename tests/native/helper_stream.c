/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of a serial port. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "tests/native/helper.h"

#define REFUSED_MS 2000

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int stream_talk(int fd, const char *text, double seconds)
{
	int64_t end = now_ms() + (int64_t)(seconds * 1000);
	char bytes[4096];

	if (*text && write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return 1;
	while (now_ms() < end) {
		struct pollfd ready = {fd, POLLIN, 0};
		ssize_t got;

		if (poll(&ready, 1, (int)(end - now_ms())) < 1)
			break;
		got = read(fd, bytes, sizeof(bytes));
		if (got <= 0)
			break;
		(void)fwrite(bytes, 1, (size_t)got, stdout);
	}
	return fflush(stdout) ? 1 : 0;
}

static int stream_flood(int fd, long bytes)
{
	static char chunk[4096];
	int64_t last = now_ms();

	memset(chunk, 'x', sizeof(chunk));
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	while (bytes > 0 && now_ms() - last < REFUSED_MS) {
		struct pollfd ready = {fd, POLLOUT, 0};
		ssize_t put;

		(void)poll(&ready, 1, 100);
		put = write(fd, chunk, sizeof(chunk));
		if (put < 0 && errno != EAGAIN)
			return 1;
		if (put > 0) {
			bytes -= put;
			last = now_ms();
		}
	}
	return 0;
}

int helper_socket(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (argc < 3)
		return 2;
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[0]);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		perror(argv[0]);
		return 1;
	}
	if (strcmp(argv[1], "send") == 0 && argc == 4)
		return stream_talk(fd, argv[2], strtod(argv[3], NULL));
	if (strcmp(argv[1], "flood") == 0)
		return stream_flood(fd, strtol(argv[2], NULL, 10));
	if (strcmp(argv[1], "idle") == 0)
		return poll(NULL, 0, (int)(strtod(argv[2], NULL) * 1000));
	return 2;
}

int helper_pty(int argc, char **argv)
{
	struct termios settings;
	int fd;

	if (argc != 3)
		return 2;
	fd = open(argv[0], O_RDWR | O_NOCTTY);
	if (fd < 0 || tcgetattr(fd, &settings) != 0) {
		perror(argv[0]);
		return 1;
	}
	cfmakeraw(&settings);
	(void)tcsetattr(fd, TCSANOW, &settings);
	return stream_talk(fd, argv[1], strtod(argv[2], NULL));
}
