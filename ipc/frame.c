/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/frame.h"

#include <errno.h>
#include <string.h>

_Static_assert(sizeof(struct frame_header) == 24, "the frame header has no padding");

const char *frame_kind_name(unsigned kind)
{
	switch (kind) {
	case FRAME_REQUEST:
		return "request";
	case FRAME_REPLY:
		return "reply";
	case FRAME_EVENT:
		return "event";
	default:
		return "packet of unknown kind";
	}
}

void frame_header_init(struct frame_header *header, enum frame_kind kind, uint16_t type,
		       uint32_t id, int32_t error_code, size_t payload_bytes, unsigned fd_count)
{
	*header = (struct frame_header){
		.magic = FRAME_MAGIC,
		.version = FRAME_VERSION,
		.kind = (uint8_t)kind,
		.type = type,
		.id = id,
		.error_code = error_code,
		.payload_bytes = (uint32_t)payload_bytes,
		.fd_count = (uint16_t)fd_count,
	};
}

/* What identifies the packet as one of ours at all. */
static int check_origin(const struct frame_header *header, struct error *err)
{
	if (header->magic != FRAME_MAGIC)
		return error_set(err, -EPROTO, "sent a packet with a wrong magic (0x%08x)",
				 header->magic);
	if (header->version != FRAME_VERSION)
		return error_set(err, -EPROTO, "sent a packet of version %u, expected %u",
				 header->version, FRAME_VERSION);
	if (header->reserved != 0)
		return error_set(err, -EPROTO, "sent a packet with reserved bits set (0x%04x)",
				 header->reserved);
	return 0;
}

static int check_lengths(const struct frame_header *header, size_t packet_bytes,
			 unsigned fds_received, struct error *err)
{
	size_t payload_bytes = packet_bytes - sizeof(*header);

	if (header->payload_bytes != payload_bytes)
		return error_set(err, -EPROTO,
				 "sent a packet that claims %u bytes of payload and has %zu",
				 header->payload_bytes, payload_bytes);
	if (payload_bytes > FRAME_MAX_PAYLOAD)
		return error_set(err, -EPROTO, "sent %zu bytes of payload, more than %zu",
				 payload_bytes, FRAME_MAX_PAYLOAD);
	if (header->fd_count != fds_received)
		return error_set(err, -EPROTO,
				 "sent a packet that claims %u file descriptors and has %u",
				 header->fd_count, fds_received);
	return 0;
}

static int check_kind(const struct frame_header *header, struct error *err)
{
	if (header->kind < FRAME_REQUEST || header->kind > FRAME_EVENT)
		return error_set(err, -EPROTO, "sent a packet of unknown kind %u", header->kind);
	if (header->type == 0)
		return error_set(err, -EPROTO, "sent a %s without a type",
				 frame_kind_name(header->kind));
	if ((header->id == 0) != (header->kind == FRAME_EVENT))
		return error_set(err, -EPROTO, "sent a %s with id %u",
				 frame_kind_name(header->kind), header->id);
	return 0;
}

static int check_error_code(const struct frame_header *header, struct error *err)
{
	if (header->error_code == 0)
		return 0;
	if (header->kind != FRAME_REPLY)
		return error_set(err, -EPROTO, "sent a %s with an error code",
				 frame_kind_name(header->kind));
	if (header->error_code > 0 || header->error_code < -FRAME_MAX_ERRNO)
		return error_set(err, -EPROTO, "sent a reply with the impossible error code %d",
				 header->error_code);
	if (header->fd_count != 0)
		return error_set(err, -EPROTO, "sent file descriptors with an error reply");
	if (header->payload_bytes >= ERROR_MESSAGE_SIZE)
		return error_set(err, -EPROTO, "sent an error text of %u bytes",
				 header->payload_bytes);
	return 0;
}

int frame_check(const void *packet, size_t packet_bytes, unsigned fds_received,
		struct frame_header *header, struct error *err)
{
	int result;

	if (packet_bytes < sizeof(*header))
		return error_set(err, -EPROTO, "sent a packet of %zu bytes, shorter than a header",
				 packet_bytes);
	memcpy(header, packet, sizeof(*header));
	result = check_origin(header, err);
	if (result == 0)
		result = check_lengths(header, packet_bytes, fds_received, err);
	if (result == 0)
		result = check_kind(header, err);
	if (result == 0)
		result = check_error_code(header, err);
	return result;
}
