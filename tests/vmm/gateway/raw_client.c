/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vmm/gateway/raw_client.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int client_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror("connect");
		close(fd);
		return -1;
	}
	return fd;
}

bool client_send_bytes(int fd, const void *data, size_t bytes)
{
	const char *at = data;

	while (bytes) {
		ssize_t sent = send(fd, at, bytes, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		at += sent;
		bytes -= (size_t)sent;
	}
	return true;
}

bool client_send(int fd, const char *text)
{
	return client_send_bytes(fd, text, strlen(text));
}

bool client_send_fds(int fd, const char *text, int other_fd, unsigned fd_count)
{
	union {
		char bytes[CMSG_SPACE(64 * sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	char copy[4096];
	struct iovec part = {.iov_base = copy, .iov_len = strlen(text)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = CMSG_SPACE(fd_count * sizeof(int))};

	(void)snprintf(copy, sizeof(copy), "%s", text);
	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
	for (unsigned i = 0; i < fd_count; i++)
		memcpy(CMSG_DATA(&control.align) + i * sizeof(int), &other_fd, sizeof(int));
	return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)part.iov_len;
}

/* One byte: responses are short, and nothing of the next one is taken. */
static int read_byte(int fd, char *byte, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	if (poll(&poll_fd, 1, timeout_ms) <= 0)
		return -1;
	return recv(fd, byte, 1, 0) == 1 ? 1 : 0;
}

int client_response(int fd, char *text, size_t size)
{
	size_t used = 0, wanted = 0;
	const char *length;
	char *head_end;

	text[0] = '\0';
	while (used + 1 < size) {
		int got = read_byte(fd, text + used, CLIENT_TIMEOUT_MS);

		if (got <= 0)
			return got;
		text[++used] = '\0';
		head_end = strstr(text, "\r\n\r\n");
		if (!head_end)
			continue;
		length = strstr(text, "Content-Length: ");
		wanted = (size_t)(head_end + 4 - text) +
			 (length ? (size_t)strtoul(length + 16, NULL, 10) : 0);
		if (used >= wanted)
			return (int)strtol(text + strlen("HTTP/1.1 "), NULL, 10);
	}
	return -1;
}

int client_line(int fd, char *text, size_t size, int timeout_ms)
{
	size_t used = 0;

	while (used + 1 < size) {
		int got = read_byte(fd, text + used, timeout_ms);

		if (got <= 0)
			return got;
		if (text[used] == '\n') {
			text[used > 0 && text[used - 1] == '\r' ? used - 1 : used] = '\0';
			return 1;
		}
		used++;
	}
	return -1;
}

int client_exchange(int fd, const char *text, char *response, size_t size)
{
	return client_send(fd, text) ? client_response(fd, response, size) : 0;
}

int client_request(const char *path, const char *method, const char *name, const char *body,
		   char *response, size_t size)
{
	int fd = client_connect(path);
	size_t bytes = body ? strlen(body) : 0;
	char head[512];
	int status = 0;

	(void)snprintf(head, sizeof(head),
		       "%s /api/v1/%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
		       method, name, bytes);
	if (client_send(fd, head) && (!body || client_send(fd, body)))
		status = client_response(fd, response, size);
	close(fd);
	return status;
}

bool client_is_closed(int fd, int timeout_ms)
{
	char byte;
	int got;

	do {
		got = read_byte(fd, &byte, timeout_ms);
	} while (got == 1);
	return got == 0;
}

const char *client_body(const char *response)
{
	const char *end = strstr(response, "\r\n\r\n");

	return end ? end + 4 : "";
}
