/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench_qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "tests/bench/bench_process.h"

#define CONNECT_MS 10000
#define ANSWER_MS  10000
#define SAVE_MS	   120000
#define RETRY_US   1000

/* Read until one of the texts comes; an error of QEMU's is ours. Lines may come in any pieces. */
static int read_until(int fd, const char *text, struct error *err)
{
	struct pollfd input = {.fd = fd, .events = POLLIN};
	char buffer[8192] = "";
	size_t used = 0;
	ssize_t got;

	while (used < sizeof(buffer) - 1 && poll(&input, 1, ANSWER_MS) > 0) {
		got = read(fd, buffer + used, sizeof(buffer) - 1 - used);
		if (got <= 0)
			break;
		used += (size_t)got;
		buffer[used] = '\0';
		if (strstr(buffer, "\"error\""))
			return error_set(err, -EIO, "QEMU says %.300s", buffer);
		if (strstr(buffer, text))
			return 0;
	}
	return error_set(err, -ETIMEDOUT, "QEMU does not answer");
}

int bench_qmp_command(int fd, const char *name, const char *arguments, struct error *err)
{
	char line[1024];
	int length = snprintf(line, sizeof(line), "{\"execute\": \"%s\"%s%s}\n", name,
			      *arguments ? ", \"arguments\": " : "", arguments);

	if (length < 0 || (size_t)length >= sizeof(line))
		return error_set(err, -E2BIG, "command too long");
	if (write(fd, line, (size_t)length) != length)
		return error_set_errno(err, -errno, "write to QEMU");
	return read_until(fd, "\"return\"", err);
}

int bench_qmp_connect(const char *path, struct error *err)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	double deadline_ms = bench_now_ms() + CONNECT_MS;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		if (bench_now_ms() > deadline_ms)
			return error_set_errno(err, -errno, "connect to %s", path);
		(void)usleep(RETRY_US);
	}
	if (read_until(fd, "\"QMP\"", err) != 0 ||
	    bench_qmp_command(fd, "qmp_capabilities", "", err) != 0)
		return err->code;
	return fd_steal(&fd);
}

/* The command that takes the stream leaves a file behind when all is on the disk. */
int bench_qmp_save(int fd, const char *path, struct error *err)
{
	double deadline_ms = bench_now_ms() + SAVE_MS;
	char arguments[512], done[256];
	int rc;

	(void)snprintf(done, sizeof(done), "%s.done", path);
	(void)unlink(done);
	(void)snprintf(arguments, sizeof(arguments),
		       "{\"uri\": \"exec:dd of=%s bs=1M iflag=fullblock conv=fsync status=none && "
		       "touch %s\"}",
		       path, done);
	rc = bench_qmp_command(fd, "migrate-set-parameters", "{\"max-bandwidth\": 1099511627776}",
			       err);
	if (rc == 0)
		rc = bench_qmp_command(fd, "migrate", arguments, err);
	while (rc == 0 && access(done, F_OK) != 0) {
		if (bench_now_ms() > deadline_ms)
			rc = error_set(err, -ETIMEDOUT, "QEMU does not end its migration");
		(void)usleep(RETRY_US);
	}
	(void)unlink(done);
	return rc;
}
