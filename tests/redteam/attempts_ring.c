/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the blk worker's io_uring is not for. The ring is the real one, made by the real engine; the
 * hostile worker uses it beside the engine, as one that was taken over would.
 */
#include "tests/redteam/attempts.h"
#include "tests/redteam/hostile_ring.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static char buffer[64];

static long ring_open(const struct order *order)
{
	(void)order;
	return hostile_ring_submit(IORING_OP_OPENAT, AT_FDCWD, "/etc/passwd", 0, false);
}

static long ring_connect(const struct order *order)
{
	(void)order;
	return hostile_ring_submit(IORING_OP_CONNECT, 3, buffer, 2, false);
}

static long ring_send(const struct order *order)
{
	(void)order;
	return hostile_ring_submit(IORING_OP_SEND, 3, buffer, sizeof(buffer), false);
}

static long ring_socket(const struct order *order)
{
	(void)order;
	return hostile_ring_submit(IORING_OP_SOCKET, AF_INET, NULL, 0, false);
}

static long ring_read_any_fd(const struct order *order)
{
	(void)order;
	return hostile_ring_submit(IORING_OP_READ, 0, buffer, sizeof(buffer), false);
}

static long ring_read_empty_slot(const struct order *order)
{
	(void)order;
	return hostile_ring_submit(IORING_OP_READ, 1, buffer, sizeof(buffer), true);
}

static long ring_splice(const struct order *order)
{
	(void)order;
	return hostile_ring_submit(IORING_OP_SPLICE, 0, NULL, 1, true);
}

static long ring_nop(const struct order *order)
{
	(void)order;
	return hostile_ring_submit(IORING_OP_NOP, 0, NULL, 0, false);
}

static long ring_register(unsigned opcode, void *argument, unsigned count)
{
	return attempt_call(SYS_io_uring_register, hostile_ring_fd(), opcode, POINTER(argument),
			    count, 0, 0);
}

static long ring_register_buffers(const struct order *order)
{
	(void)order;
	return ring_register(IORING_REGISTER_BUFFERS, buffer, 1);
}

static long ring_unregister_files(const struct order *order)
{
	(void)order;
	return ring_register(IORING_UNREGISTER_FILES, NULL, 0);
}

static long ring_personality(const struct order *order)
{
	(void)order;
	return ring_register(IORING_REGISTER_PERSONALITY, NULL, 0);
}

#define RING(attempt_name, by, function)                                                           \
	{                                                                                          \
		.name = attempt_name, .defence = by, .needs_ring = true, .run = function           \
	}

const struct attempt attempts_ring[] = {
	RING("ring: open a file", BY_KERNEL, ring_open),
	RING("ring: connect", BY_KERNEL, ring_connect),
	RING("ring: send to the core", BY_KERNEL, ring_send),
	RING("ring: make a socket", BY_KERNEL, ring_socket),
	RING("ring: read an fd that is not registered", BY_KERNEL, ring_read_any_fd),
	RING("ring: read a slot that does not exist", BY_KERNEL, ring_read_empty_slot),
	RING("ring: splice", BY_KERNEL, ring_splice),
	RING("ring: nop", BY_KERNEL, ring_nop),
	RING("ring: register buffers", BY_FILTER, ring_register_buffers),
	RING("ring: unregister its files", BY_FILTER, ring_unregister_files),
	RING("ring: register a personality", BY_FILTER, ring_personality),
	{0},
};
