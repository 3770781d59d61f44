/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/unpack.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

struct unpack_budget {
	size_t left_bytes;
	bool exhausted;
};

static void *budget_allocate(void *opaque, size_t bytes)
{
	struct unpack_budget *budget = opaque;

	if (bytes > budget->left_bytes) {
		budget->exhausted = true;
		return NULL;
	}
	budget->left_bytes -= bytes;
	return malloc(bytes);
}

static void budget_free(void *opaque, void *pointer)
{
	(void)opaque;
	free(pointer);
}

int unpack_message(const ProtobufCMessageDescriptor *descriptor, const uint8_t *payload,
		   size_t payload_bytes, ProtobufCMessage **message, struct error *err)
{
	struct unpack_budget budget = {.left_bytes = UNPACK_LIMIT(payload_bytes)};
	ProtobufCAllocator allocator = {
		.alloc = budget_allocate, .free = budget_free, .allocator_data = &budget};

	*message = protobuf_c_message_unpack(descriptor, &allocator, payload_bytes, payload);
	if (*message)
		return 0;
	if (budget.exhausted)
		return error_set(err, -EPROTO, "which needs more than %zu bytes to unpack",
				 UNPACK_LIMIT(payload_bytes));
	return error_set(err, -EPROTO, "which is not a valid %s", descriptor->name);
}
