/* SPDX-License-Identifier: Apache-2.0 */
/* What a snapshot consists of but memory: read out of the stopped machine into packed files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/cleanup.h"
#include "proto/vm_state.pb-c.h"
#include "vmm/core/kvm/vcpu_registers.h"
#include "vmm/core/kvm/x86_64/cpuid.h"
#include "vmm/core/kvm/x86_64/irqchip_state.h"
#include "vmm/core/kvm/x86_64/vcpu_state.h"
#include "vmm/core/snapshot/host_facts.h"
#include "vmm/core/snapshot/snapshot_file.h"
#include "vmm/core/snapshot/snapshot_parts.h"

/* Add a packed message that has no checksum yet; takes *data. */
static int collect_add_packed(struct snapshot *snapshot, const char *name, uint8_t **data,
			      size_t bytes, struct error *err)
{
	struct snapshot_small_file *file = &snapshot->files[snapshot->file_count];

	if (snapshot->file_count == SNAPSHOT_MAX_SMALL_FILES)
		return error_set(err, -E2BIG, "too many files");
	if (snapshot_file_seal(data, &bytes, err) < 0)
		return err->code;
	if (bytes > MANIFEST_MAX_SMALL_BYTES) /* no restore would read it */
		return error_set(err, -EFBIG, "%s would have %zu bytes, at most %u can be saved",
				 name, bytes, MANIFEST_MAX_SMALL_BYTES);
	(void)snprintf(file->name, sizeof(file->name), "%s", name);
	file->data = *data;
	file->bytes = bytes;
	file->fd = -1;
	*data = NULL;
	snapshot->file_count++;
	return manifest_add_file(snapshot->manifest, name, file->data, bytes, err);
}

static int collect_add_message(struct snapshot *snapshot, const char *name,
			       const ProtobufCMessage *message, struct error *err)
{
	size_t bytes = protobuf_c_message_get_packed_size(message);
	cleanup_free uint8_t *data = malloc(bytes + 1);

	if (!data)
		return error_set(err, -ENOMEM, "out of memory");
	protobuf_c_message_pack(message, data);
	return collect_add_packed(snapshot, name, &data, bytes, err);
}

static int collect_config(struct snapshot *snapshot, struct error *err)
{
	Bulkhead__Snapshot__ConfigFile file = BULKHEAD__SNAPSHOT__CONFIG_FILE__INIT;
	const Bulkhead__Config__Vm *config = snapshot->vm->config;
	size_t bytes = bulkhead__config__vm__get_packed_size(config);
	cleanup_free uint8_t *packed = malloc(bytes + 1);

	if (!packed)
		return error_set(err, -ENOMEM, "out of memory");
	bulkhead__config__vm__pack(config, packed);
	file.config.data = packed;
	file.config.len = bytes;
	return collect_add_message(snapshot, MANIFEST_CONFIG_NAME, &file.base, err);
}

static int collect_vcpu(struct snapshot *snapshot, unsigned index, struct error *err)
{
	struct vm *vm = snapshot->vm;
	cleanup_free uint8_t *packed = NULL;
	struct vcpu_registers registers;
	size_t bytes = 0;
	char name[32];
	int result;

	result = vcpu_registers_capture(kvm_vm_system_fd(vm->kvm), vcpu_set_fd(vm->vcpus, index),
					&registers, err);
	if (result == 0) {
		registers.cpuid = cpuid_copy(vcpu_set_cpuid(vm->vcpus, index));
		if (!registers.cpuid)
			result = error_set(err, -ENOMEM, "out of memory");
	}
	if (result == 0)
		result = vcpu_state_pack(&registers, index, &packed, &bytes, err);
	if (result == 0 && index == 0)
		snapshot->manifest->host->tsc_khz = registers.tsc_khz;
	vcpu_registers_release(&registers);
	if (result < 0)
		return error_prefix(err, "vCPU %u", index);
	manifest_vcpu_file_name(index, name, sizeof(name));
	return collect_add_packed(snapshot, name, &packed, bytes, err);
}

static int collect_vcpus(struct snapshot *snapshot, struct error *err)
{
	unsigned count = vcpu_set_count(snapshot->vm->vcpus);

	snapshot->manifest->vcpu_count = count;
	for (unsigned i = 0; i < count; i++)
		if (collect_vcpu(snapshot, i, err) < 0)
			return err->code;
	return 0;
}

static int collect_machine(struct snapshot *snapshot, struct error *err)
{
	struct vm *vm = snapshot->vm;
	Bulkhead__Vmstate__Vm message = BULKHEAD__VMSTATE__VM__INIT;
	cleanup_free uint8_t *platform = NULL;
	struct irqchip_message parts;
	struct irqchip_state irqchip;
	uint8_t generation_id[16];
	size_t platform_bytes = 0;

	if (irqchip_capture(kvm_vm_fd(vm->kvm), &irqchip, err) < 0 ||
	    platform_save(vm->platform, &platform, &platform_bytes, err) < 0)
		return err->code;
	irqchip_state_fill(&message, &parts, &irqchip);
	message.pci_config_address = pci_bus_get_address(vm->pci);
	message.platform.data = platform;
	message.platform.len = platform_bytes;
	if (guest_memory_read(&vm->memory, boot_vmgenid_gpa(), generation_id,
			      sizeof(generation_id)) == 0) {
		message.vm_generation_id.data = generation_id;
		message.vm_generation_id.len = sizeof(generation_id);
	}
	return collect_add_message(snapshot, MANIFEST_VM_NAME, &message.base, err);
}

static int collect_device(struct snapshot *snapshot, unsigned index, struct error *err)
{
	Bulkhead__Snapshot__DeviceBlob blob = BULKHEAD__SNAPSHOT__DEVICE_BLOB__INIT;
	struct worker_device *device = snapshot->vm->devices[index];
	struct virtio_pci *transport = worker_device_transport(device);
	cleanup_free uint8_t *state = NULL;
	size_t bytes = 0;
	char name[80];

	if (virtio_pci_save(transport, &state, &bytes, err) < 0)
		return error_prefix(err, "device \"%s\"", worker_device_id(device));
	blob.worker_state.data = snapshot->devices[index].worker_state;
	blob.worker_state.len = snapshot->devices[index].worker_state_bytes;
	blob.transport_state.data = state;
	blob.transport_state.len = bytes;
	manifest_device_file_name(worker_device_id(device), name, sizeof(name));
	if (collect_add_message(snapshot, name, &blob.base, err) < 0)
		return err->code;
	return manifest_add_device(snapshot->manifest, worker_device_id(device),
				   worker_device_kind(device), virtio_pci_slot(transport), err);
}

int snapshot_collect_state(struct snapshot *snapshot, struct error *err)
{
	snapshot->manifest = manifest_new();
	if (!snapshot->manifest)
		return error_set(err, -ENOMEM, "out of memory");
	snapshot->manifest->host = host_facts_new();
	if (!snapshot->manifest->host)
		return error_set(err, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < snapshot->vm->device_count; i++)
		if (collect_device(snapshot, i, err) < 0)
			return err->code;
	if (collect_machine(snapshot, err) < 0 || collect_vcpus(snapshot, err) < 0)
		return err->code;
	return collect_config(snapshot, err);
}
