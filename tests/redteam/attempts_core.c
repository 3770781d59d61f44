/* SPDX-License-Identifier: Apache-2.0 */
/* Hurting the core through the one socket that a worker has, or by doing nothing. The driver judges
 * these by what became of its own end. */
#include "tests/redteam/attempts.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ipc/frame.h"
#include "proto/worker.pb-c.h"

#define CORE_FD	 3
#define TOO_MANY 250 /* the kernel's limit is 253 */

static unsigned char packet[128 * 1024];

static void packet_header(enum frame_kind kind, unsigned type, uint32_t id, size_t payload_bytes,
			  unsigned fd_count)
{
	struct frame_header header;

	frame_header_init(&header, kind, (uint16_t)type, id, 0, payload_bytes, fd_count);
	memcpy(packet, &header, sizeof(header));
}

static long packet_send(size_t bytes, int fd, unsigned fd_count)
{
	union {
		char bytes[CMSG_SPACE(TOO_MANY * sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec part = {packet, bytes};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	int fds[TOO_MANY];

	for (unsigned i = 0; i < fd_count; i++)
		fds[i] = fd;
	if (fd_count) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, fd_count * sizeof(int));
	}
	return sendmsg(CORE_FD, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static long sleep_for_ever(void) __attribute__((noreturn));
static long sleep_for_ever(void)
{
	for (;;)
		(void)attempt_call(SYS_ppoll, 0, 0, 0, 0, 0, 0);
}

static long say_nothing(const struct order *order)
{
	(void)order;
	sleep_for_ever();
}

static long spin(const struct order *order)
{
	volatile bool for_ever = true;

	(void)order;
	while (for_ever)
		;
	return 0;
}

static long flood_with_events(const struct order *order)
{
	(void)order;
	packet_header(FRAME_EVENT, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_NEEDS_RESET, 0, 0, 0);
	while (packet_send(sizeof(struct frame_header), -1, 0) != -EPIPE)
		;
	sleep_for_ever();
}

static long send_garbage(const struct order *order)
{
	(void)order;
	memset(packet, 0xa5, 64);
	(void)packet_send(64, -1, 0);
	sleep_for_ever();
}

static long send_too_much(const struct order *order)
{
	(void)order;
	packet_header(FRAME_EVENT, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_NEEDS_RESET, 0,
		      FRAME_MAX_PAYLOAD + 4096, 0);
	(void)packet_send(FRAME_MAX_BYTES + 4096, -1, 0);
	sleep_for_ever();
}

static long send_fds_nobody_asked_for(const struct order *order)
{
	(void)order;
	packet_header(FRAME_EVENT, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_NEEDS_RESET, 0, 0, 8);
	(void)packet_send(sizeof(struct frame_header), 0, 8);
	sleep_for_ever();
}

static long send_hidden_fds(const struct order *order)
{
	(void)order;
	packet_header(FRAME_EVENT, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_NEEDS_RESET, 0, 0, 0);
	(void)packet_send(sizeof(struct frame_header), 0, TOO_MANY);
	sleep_for_ever();
}

static long answer_nothing_asked(const struct order *order)
{
	(void)order;
	packet_header(FRAME_REPLY, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_STATS, 4711, 0, 0);
	(void)packet_send(sizeof(struct frame_header), -1, 0);
	sleep_for_ever();
}

static long ask_like_a_core(const struct order *order)
{
	(void)order;
	packet_header(FRAME_REQUEST, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_SHUTDOWN, 1, 0, 0);
	(void)packet_send(sizeof(struct frame_header), -1, 0);
	sleep_for_ever();
}

static long send_broken_body(const struct order *order)
{
	(void)order;
	packet_header(FRAME_EVENT, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_NEEDS_RESET, 0, 16, 0);
	memset(packet + sizeof(struct frame_header), 0xff, 16);
	(void)packet_send(sizeof(struct frame_header) + 16, -1, 0);
	sleep_for_ever();
}

static long crash(const struct order *order)
{
	(void)order;
	__builtin_trap();
}

static long leave(const struct order *order)
{
	(void)order;
	_exit(0);
}

const struct attempt attempts_core[] = {
	RUN("crash", BY_CORE, crash),
	RUN("leave", BY_CORE, leave),
	RUN("never answer", BY_CORE, say_nothing),
	RUN("use all of a processor", BY_CORE, spin),
	RUN("flood the core with events", BY_CORE, flood_with_events),
	RUN("send garbage", BY_CORE, send_garbage),
	RUN("send more than a packet may be", BY_CORE, send_too_much),
	RUN("send fds nobody asked for", BY_CORE, send_fds_nobody_asked_for),
	RUN("send 250 fds without saying so", BY_CORE, send_hidden_fds),
	RUN("answer what nobody asked", BY_CORE, answer_nothing_asked),
	RUN("send the core a request", BY_CORE, ask_like_a_core),
	RUN("send a body that is no message", BY_CORE, send_broken_body),
	{0},
};
