/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/pci/msix.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "vmm/core/pci/little_endian.h"
#include "vmm/core/pci/shared_eventfd.h"

/* Where a local APIC takes messages: others would be writes to memory, which nobody makes here. */
#define MSI_ADDRESS_BASE 0xfee00000ULL
#define MSI_ADDRESS_MASK 0xfffffffffff00000ULL

static void msix_clear_table(struct msix *msix)
{
	memset(msix->table, 0, sizeof(msix->table));
	for (unsigned i = 0; i < msix->vector_count; i++)
		msix->table[i * MSIX_ENTRY_BYTES + PCI_MSIX_ENTRY_VECTOR_CTRL] =
			PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

static int msix_source_init(struct msix_source *source, struct kvm_vm *vm, struct error *err)
{
	source->vector = MSIX_NO_VECTOR;
	source->gsi = -1;
	source->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (source->eventfd < 0)
		return error_set_errno(err, -errno, "interrupt eventfd");
	source->gsi = kvm_gsi_allocate(vm);
	if (source->gsi < 0)
		return error_set_errno(err, source->gsi, "interrupt number");
	return 0;
}

int msix_init(struct msix *msix, struct kvm_vm *vm, unsigned vector_count, struct error *err)
{
	memset(msix, 0, sizeof(*msix));
	if (vector_count == 0 || vector_count > MSIX_MAX_VECTORS)
		return error_set(err, -EINVAL, "%u interrupt vectors", vector_count);
	msix->vm = vm;
	msix->vector_count = vector_count;
	msix_clear_table(msix);
	while (msix->source_count < vector_count) {
		int result = msix_source_init(&msix->sources[msix->source_count++], vm, err);

		if (result < 0)
			return result;
	}
	return 0;
}

static void msix_source_unassign(struct msix *msix, struct msix_source *source)
{
	if (source->assigned)
		(void)kvm_irqfd_deassign(msix->vm, source->eventfd, (uint32_t)source->gsi);
	source->assigned = false;
}

void msix_destroy(struct msix *msix)
{
	for (unsigned i = 0; i < msix->source_count; i++) {
		struct msix_source *source = &msix->sources[i];

		msix_source_unassign(msix, source);
		if (source->routed)
			(void)kvm_gsi_route_msi(msix->vm, (uint32_t)source->gsi, NULL);
		if (source->gsi >= 0)
			kvm_gsi_release(msix->vm, (uint32_t)source->gsi);
		fd_close(&source->eventfd);
	}
	msix->source_count = 0;
}

void msix_fill_capability(const struct msix *msix, uint32_t table_offset, uint32_t pba_offset,
			  uint8_t body[MSIX_CAPABILITY_SIZE - 2])
{
	little_endian_store(body, 2, msix->vector_count - 1);
	little_endian_store(body + 2, 4, table_offset); /* BAR 0 */
	little_endian_store(body + 6, 4, pba_offset);
}

static uint8_t *msix_entry(struct msix *msix, unsigned vector)
{
	return &msix->table[(size_t)vector * MSIX_ENTRY_BYTES];
}

/* The message of a source's vector; false while it must not be delivered. */
static bool msix_deliverable(struct msix *msix, const struct msix_source *source,
			     struct msi_message *message)
{
	const uint8_t *entry;

	if (!msix->enabled || msix->function_masked || source->vector >= msix->vector_count)
		return false;
	entry = msix_entry(msix, source->vector);
	message->address = little_endian_load(entry + PCI_MSIX_ENTRY_LOWER_ADDR, 8);
	message->data = (uint32_t)little_endian_load(entry + PCI_MSIX_ENTRY_DATA, 4);
	if (entry[PCI_MSIX_ENTRY_VECTOR_CTRL] & PCI_MSIX_ENTRY_CTRL_MASKBIT)
		return false;
	return (message->address & MSI_ADDRESS_MASK) == MSI_ADDRESS_BASE;
}

/* Make KVM's view of a source what the registers say. */
static void msix_source_update(struct msix *msix, struct msix_source *source)
{
	struct msi_message message;

	if (!msix_deliverable(msix, source, &message)) {
		/* The route stays: drivers mask and unmask without changing the message, and a new
		 * routing table is what is slow. */
		msix_source_unassign(msix, source);
		return;
	}
	if (!source->routed || source->message.address != message.address ||
	    source->message.data != message.data) {
		if (kvm_gsi_route_msi(msix->vm, (uint32_t)source->gsi, &message) < 0) {
			/* Nothing is deliverable to address 0: the next update tries again. */
			source->message.address = 0;
			msix_source_unassign(msix, source);
			return;
		}
		source->routed = true;
		source->message = message;
	}
	if (!source->assigned)
		source->assigned =
			kvm_irqfd_assign(msix->vm, source->eventfd, (uint32_t)source->gsi) == 0;
}

static void msix_update_all(struct msix *msix)
{
	for (unsigned i = 0; i < msix->source_count; i++)
		msix_source_update(msix, &msix->sources[i]);
}

void msix_reset(struct msix *msix)
{
	msix->enabled = false;
	msix->function_masked = false;
	msix_clear_table(msix);
	for (unsigned i = 0; i < msix->source_count; i++)
		msix->sources[i].vector = MSIX_NO_VECTOR;
	msix_update_all(msix);
	for (unsigned i = 0; i < msix->source_count; i++)
		(void)msix_source_drain(msix, i);
}

void msix_set_control(struct msix *msix, bool enabled, bool function_masked)
{
	if (msix->enabled == enabled && msix->function_masked == function_masked)
		return;
	msix->enabled = enabled;
	msix->function_masked = function_masked;
	msix_update_all(msix);
}

void msix_table_read(const struct msix *msix, uint64_t offset, uint8_t *data, unsigned length_bytes)
{
	uint64_t table_bytes = (uint64_t)msix->vector_count * MSIX_ENTRY_BYTES;

	for (unsigned i = 0; i < length_bytes; i++)
		data[i] = offset + i < table_bytes ? msix->table[offset + i] : 0;
}

static void msix_update_vector(struct msix *msix, unsigned vector)
{
	for (unsigned i = 0; i < msix->source_count; i++)
		if (msix->sources[i].vector == vector)
			msix_source_update(msix, &msix->sources[i]);
}

void msix_table_write(struct msix *msix, uint64_t offset, const uint8_t *data,
		      unsigned length_bytes)
{
	unsigned vector = (unsigned)(offset / MSIX_ENTRY_BYTES);
	uint8_t *entry;

	if (offset >= (uint64_t)msix->vector_count * MSIX_ENTRY_BYTES ||
	    (length_bytes != 4 && length_bytes != 8) || offset % length_bytes != 0)
		return;
	memcpy(&msix->table[offset], data, length_bytes);
	/* The rest of vector control is reserved and reads as zero. */
	entry = msix_entry(msix, vector);
	little_endian_store(entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 4,
			    entry[PCI_MSIX_ENTRY_VECTOR_CTRL] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
	msix_update_vector(msix, vector);
}

void msix_set_entry(struct msix *msix, unsigned vector, uint64_t address, uint32_t data,
		    bool masked)
{
	uint8_t *entry = msix_entry(msix, vector);

	little_endian_store(entry + PCI_MSIX_ENTRY_LOWER_ADDR, 8, address);
	little_endian_store(entry + PCI_MSIX_ENTRY_DATA, 4, data);
	little_endian_store(entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 4,
			    masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
	msix_update_vector(msix, vector);
}

void msix_pba_read(const struct msix *msix, uint64_t offset, uint8_t *data, unsigned length_bytes)
{
	uint64_t pending = 0;
	uint8_t bytes[8];

	for (unsigned i = 0; i < msix->source_count; i++)
		if (msix->sources[i].vector < msix->vector_count && msix_source_is_pending(msix, i))
			pending |= 1ULL << msix->sources[i].vector;
	little_endian_store(bytes, sizeof(bytes), pending);
	for (unsigned i = 0; i < length_bytes; i++)
		data[i] = offset + i < sizeof(bytes) ? bytes[offset + i] : 0;
}

void msix_bind_source(struct msix *msix, unsigned source, uint16_t vector)
{
	if (msix->sources[source].vector == vector)
		return;
	msix->sources[source].vector = vector;
	msix_source_update(msix, &msix->sources[source]);
}

bool msix_source_is_pending(const struct msix *msix, unsigned source)
{
	struct pollfd poller = {.fd = msix->sources[source].eventfd, .events = POLLIN};

	/* An irqfd's count is KVM's business. */
	return !msix->sources[source].assigned && poll(&poller, 1, 0) == 1 &&
	       (poller.revents & POLLIN);
}

bool msix_source_drain(struct msix *msix, unsigned source)
{
	/* An irqfd's count is KVM's business. */
	return !msix->sources[source].assigned &&
	       shared_eventfd_drain(msix->sources[source].eventfd);
}

void msix_source_signal(const struct msix *msix, unsigned source)
{
	shared_eventfd_signal(msix->sources[source].eventfd);
}
