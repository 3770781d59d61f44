/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker that has been taken over. It is started by the real broker in the place of a device's
 * worker, closes the same sandbox with the same policy after the same preparation, and then tries
 * the one attempt that its device id names. POLICY_HEADER and POLICY are given by the build.
 *
 * It first waits for its order (struct order, one packet) and afterwards sends the result (an
 * int64_t), if it still can. The device id "bystander" is a worker like any other instead: it
 * answers every request until it is told to stop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devworkers/common/sandbox.h"
#include "ipc/frame.h"
#include "tests/redteam/attempts.h"
#include "tests/redteam/hostile_ring.h"

#include POLICY_HEADER

#define WORKER_MAX_FDS 256

static int prepare(void *opaque, struct error *err)
{
	(void)opaque;
	return hostile_ring_prepare(err);
}

/* NUL-terminated copy of "--device-id=0123" -> index 123; -1 for the bystander. */
static long attempt_index(int argc, char **argv)
{
	static const char option[] = "--device-id=attempt-";

	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], option, sizeof(option) - 1) == 0)
			return strtol(argv[i] + sizeof(option) - 1, NULL, 10);
	return -1;
}

static bool argument_given(int argc, char **argv, const char *argument)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], argument) == 0)
			return true;
	return false;
}

static void be_a_bystander(void)
{
	unsigned char packet[4096];
	struct iovec part = {packet, sizeof(packet)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct frame_header header;
	ssize_t got;

	for (;;) {
		part.iov_len = sizeof(packet);
		got = recvmsg(SANDBOX_CORE_FD, &message, 0);
		if (got < (ssize_t)sizeof(header))
			return;
		memcpy(&header, packet, sizeof(header));
		frame_header_init(&header, FRAME_REPLY, header.type, header.id, 0, 0, 0);
		memcpy(packet, &header, sizeof(header));
		part.iov_len = sizeof(header);
		if (sendmsg(SANDBOX_CORE_FD, &message, MSG_NOSIGNAL) < 0)
			return;
	}
}

static long attempt_run(const struct attempt *attempt, const struct order *order)
{
	const long *arguments = attempt->arguments;

	if (attempt->run)
		return attempt->run(order);
	return attempt_call(attempt->number, arguments[0], arguments[1], arguments[2], arguments[3],
			    arguments[4], arguments[5]);
}

static void tell(int64_t result)
{
	struct iovec part = {&result, sizeof(result)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	(void)sendmsg(SANDBOX_CORE_FD, &message, MSG_NOSIGNAL);
}

int main(int argc, char **argv)
{
	const struct sandbox_options sandbox = {
		.policy = &POLICY,
		.seccomp_mode = argument_given(argc, argv, "--seccomp=false")
					? SANDBOX_SECCOMP_OFF
					: SANDBOX_SECCOMP_ENFORCE,
		.max_fds = WORKER_MAX_FDS,
	};
	long index = attempt_index(argc, argv);
	const struct attempt *attempt = index >= 0 ? attempt_at((size_t)index) : NULL;
	struct error err = ERROR_INIT;
	struct order order;

	if (sandbox_enter_and_report(&sandbox, prepare, NULL, &err) != 0)
		return EXIT_FAILURE;
	if (!attempt) {
		be_a_bystander();
		return EXIT_SUCCESS;
	}
	if (read(SANDBOX_CORE_FD, &order, sizeof(order)) != (ssize_t)sizeof(order))
		return EXIT_FAILURE;
	tell(attempt_run(attempt, &order));
	return EXIT_SUCCESS;
}
