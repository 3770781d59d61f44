/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devworkers/common/on_demand.h"
#include "ipc/cleanup.h"
#include "tests/vmm/pager/pager_fixture.h"

struct check {
	uint64_t offset, bytes;
};

/* Pages in an order that differs from process to process. */
static bool memory_is_as_saved(const uint8_t *memory, const uint8_t *saved,
			       const struct check *check)
{
	uint64_t pages = check->bytes / FIXTURE_PAGE;
	uint64_t first = (uint64_t)getpid() * 7919 % pages;

	for (uint64_t i = 0; i < pages; i++) {
		uint64_t at = check->offset + (first + i) % pages * FIXTURE_PAGE;

		if (memcmp(memory + at, saved + at, FIXTURE_PAGE) != 0)
			return false;
	}
	return true;
}

static void send_fd(int socket, int fd, uint64_t address)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec part = {&address, sizeof(address)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};

	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.align), &fd, sizeof(int));
	if (sendmsg(socket, &message, 0) < 0)
		_exit(3);
}

static int receive_fd(int socket, uint64_t *address)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {address, sizeof(*address)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	int fd = -1;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*address) ||
	    !CMSG_FIRSTHDR(&message))
		abort();
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	return fd;
}

static void mapper_run(const struct pager_fixture *fixture, int socket)
{
	struct guest_memory memory = GUEST_MEMORY_INIT;
	struct check check;
	int userfaultfd;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (guest_memory_add_region(&memory, 0, FIXTURE_BYTES, dup(fixture->memory.regions[0].fd),
				    0, NULL) < 0)
		_exit(1);
	userfaultfd = on_demand_register(&memory, fixture->device, NULL);
	if (userfaultfd < 0)
		_exit(2);
	send_fd(socket, userfaultfd, (uintptr_t)memory.regions[0].hva);
	while (read(socket, &check, sizeof(check)) == (ssize_t)sizeof(check)) {
		uint8_t answer =
			memory_is_as_saved(memory.regions[0].hva, fixture->saved.content, &check);

		if (write(socket, &answer, 1) != 1)
			break;
	}
	_exit(0);
}

void mapper_start(struct mapper *mapper, const struct pager_fixture *fixture)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	mapper->pid = fork();
	if (mapper->pid == 0) {
		close(pair[0]);
		mapper_run(fixture, pair[1]);
	}
	close(pair[1]);
	mapper->socket = pair[0];
	mapper->userfaultfd = receive_fd(pair[0], &mapper->address);
}

void mapper_end(struct mapper *mapper)
{
	(void)kill(mapper->pid, SIGKILL);
	(void)waitpid(mapper->pid, NULL, 0);
	fd_close(&mapper->socket);
	fd_close(&mapper->userfaultfd);
}

void mapper_begin_check(const struct mapper *mapper, uint64_t offset, uint64_t bytes)
{
	const struct check check = {offset, bytes};

	if (write(mapper->socket, &check, sizeof(check)) != (ssize_t)sizeof(check))
		abort();
}

int mapper_end_check(const struct mapper *mapper, unsigned timeout_ms)
{
	struct pollfd ready = {mapper->socket, POLLIN, 0};
	uint8_t answer;

	if (poll(&ready, 1, (int)timeout_ms) != 1 || read(mapper->socket, &answer, 1) != 1)
		return -1;
	return answer;
}
