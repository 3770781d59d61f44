/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/disk_vhost_user.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#define PROTOCOL_VERSION  1U
#define FLAG_REPLY	  4U
#define PROTOCOL_FEATURES (UINT64_C(1) << 30)

enum request {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	SET_VRING_ENABLE = 18,
};

/* virtio 1.2, 6: ring features. */
#define FEATURE_INDIRECT  (UINT64_C(1) << 28)
#define FEATURE_EVENT_IDX (UINT64_C(1) << 29)

struct header {
	uint32_t request, flags, size;
};

struct memory_table {
	uint32_t region_count, padding;
	uint64_t guest_physical_address, size_bytes, user_address, mmap_offset;
};

struct ring_state {
	uint32_t index, value;
};

struct ring_address {
	uint32_t index, flags;
	uint64_t descriptors, used, available, log;
};

static int send_message(int socket_fd, enum request request, const void *body, uint32_t bytes,
			int fd, struct error *err)
{
	struct header header = {request, PROTOCOL_VERSION, bytes};
	struct iovec parts[2] = {{&header, sizeof(header)}, {(void *)(uintptr_t)body, bytes}};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = bytes > 0 ? 2 : 1};

	if (fd >= 0) {
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
	}
	if (sendmsg(socket_fd, &message, MSG_NOSIGNAL) != (ssize_t)(sizeof(header) + bytes))
		return error_set_errno(err, -errno, "vhost-user request %d", (int)request);
	return 0;
}

static int set_number(int fd, enum request request, uint64_t value, struct error *err)
{
	return send_message(fd, request, &value, sizeof(value), -1, err);
}

static int get_number(int fd, enum request request, uint64_t *value, struct error *err)
{
	struct header header;
	int status = send_message(fd, request, NULL, 0, -1, err);

	if (status)
		return status;
	if (recv(fd, &header, sizeof(header), MSG_WAITALL) != (ssize_t)sizeof(header) ||
	    header.request != request || !(header.flags & FLAG_REPLY) ||
	    header.size != sizeof(*value) ||
	    recv(fd, value, sizeof(*value), MSG_WAITALL) != (ssize_t)sizeof(*value))
		return error_set(err, -EPROTO, "vhost-user request %d: no answer to it",
				 (int)request);
	return 0;
}

static int negotiate(int fd, struct error *err)
{
	const uint64_t wanted = (UINT64_C(1) << VIRTIO_F_VERSION_1) | FEATURE_EVENT_IDX |
				FEATURE_INDIRECT | (UINT64_C(1) << VIRTIO_BLK_F_FLUSH) |
				(UINT64_C(1) << VIRTIO_BLK_F_SEG_MAX);
	uint64_t features = 0, protocol_features = 0;
	int status = get_number(fd, GET_FEATURES, &features, err);

	if (status == 0 && (features & wanted) != wanted)
		return error_set(err, -EPROTO, "vhost-user: features 0x%" PRIx64 " of 0x%" PRIx64,
				 features & wanted, wanted);
	if (status == 0 && (features & PROTOCOL_FEATURES)) {
		status = get_number(fd, GET_PROTOCOL_FEATURES, &protocol_features, err);
		if (status == 0)
			status = set_number(fd, SET_PROTOCOL_FEATURES, 0, err);
	}
	if (status == 0)
		status = send_message(fd, SET_OWNER, NULL, 0, -1, err);
	if (status == 0)
		status = set_number(fd, SET_FEATURES, wanted | (features & PROTOCOL_FEATURES), err);
	return status;
}

static int share_memory(int fd, const struct guest_ram *ram, struct error *err)
{
	const struct memory_table table = {
		.region_count = 1,
		.guest_physical_address = ram->gpa,
		.size_bytes = ram->size_bytes,
		.user_address = (uintptr_t)ram->hva,
	};

	return send_message(fd, SET_MEM_TABLE, &table, sizeof(table), ram->fd, err);
}

static int start_ring(int fd, const struct guest_ram *ram, const struct ring_driver *ring,
		      struct error *err)
{
	const struct ring_state size = {.value = ring->size}, base = {0}, on = {.value = 1};
	const struct ring_address address = {
		.descriptors = (uintptr_t)guest_ram_at(ram, ring->descriptor_area),
		.available = (uintptr_t)guest_ram_at(ram, ring->driver_area),
		.used = (uintptr_t)guest_ram_at(ram, ring->device_area),
	};
	const uint64_t queue = 0;
	int status = send_message(fd, SET_VRING_NUM, &size, sizeof(size), -1, err);

	if (status == 0)
		status = send_message(fd, SET_VRING_BASE, &base, sizeof(base), -1, err);
	if (status == 0)
		status = send_message(fd, SET_VRING_ADDR, &address, sizeof(address), -1, err);
	if (status == 0)
		status =
			send_message(fd, SET_VRING_CALL, &queue, sizeof(queue), ring->call_fd, err);
	if (status == 0)
		status =
			send_message(fd, SET_VRING_KICK, &queue, sizeof(queue), ring->kick_fd, err);
	if (status == 0)
		status = send_message(fd, SET_VRING_ENABLE, &on, sizeof(on), -1, err);
	return status;
}

int disk_vhost_user_start(int fd, const struct guest_ram *ram, const struct ring_driver *ring,
			  struct error *err)
{
	uint64_t ignored = 0;
	int status = negotiate(fd, err);

	if (status == 0)
		status = share_memory(fd, ram, err);
	if (status == 0)
		status = start_ring(fd, ram, ring, err);
	/* Messages are handled in order: an answer means that the ring runs. */
	if (status == 0)
		status = get_number(fd, GET_FEATURES, &ignored, err);
	return status;
}
