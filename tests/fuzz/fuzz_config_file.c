/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration in a snapshot: the input is the message. One that is taken is complete: taken
 * again it does not change, and every part that the core uses unasked is there.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/unpack.h"
#include "vmm/core/config/vm_config.h"
#include "vmm/core/memory/vm_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *pack(const Bulkhead__Config__Vm *config, size_t *bytes)
{
	uint8_t *packed;

	*bytes = bulkhead__config__vm__get_packed_size(config);
	packed = malloc(*bytes + 1);
	if (!packed)
		abort();
	bulkhead__config__vm__pack(config, packed);
	return packed;
}

static void check_complete(Bulkhead__Config__Vm *config)
{
	uint64_t gpa[2], region_bytes[2];
	struct error err = ERROR_INIT;
	size_t bytes, again_bytes;
	uint8_t *before, *after;

	if (!config->cpus || !config->memory || !config->payload || !config->serial ||
	    config->cpus->boot < 1 || config->cpus->boot > VM_CONFIG_MAX_CPUS ||
	    config->n_disks > VM_CONFIG_MAX_DISKS ||
	    vm_memory_layout(config->memory->size_bytes, gpa, region_bytes) > 2)
		abort();
	before = pack(config, &bytes);
	if (vm_config_complete(config, &err) < 0)
		abort();
	after = pack(config, &again_bytes);
	if (bytes != again_bytes || memcmp(before, after, bytes) != 0)
		abort();
	free(before);
	free(after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ProtobufCMessage *message;
	struct error err = ERROR_INIT;

	if (unpack_message(&bulkhead__config__vm__descriptor, data, size, &message, &err) < 0)
		return 0;
	if (vm_config_complete((Bulkhead__Config__Vm *)message, &err) == 0)
		check_complete((Bulkhead__Config__Vm *)message);
	else if (err.code >= 0 || !err.message[0])
		abort();
	vm_config_free((Bulkhead__Config__Vm *)message);
	return 0;
}
