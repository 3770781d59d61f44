/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/kvm/vcpu_exit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

static void exit_on_io(struct kvm_run *run, struct bus *pio)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			bus_write(pio, run->io.port, data, run->io.size);
		else
			bus_read(pio, run->io.port, data, run->io.size);
	}
}

static void exit_on_mmio(struct kvm_run *run, struct bus *mmio)
{
	if (run->mmio.is_write)
		bus_write(mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
	else
		bus_read(mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
}

static uint64_t exit_instruction_pointer(int vcpu_fd)
{
	struct kvm_regs registers;

	return ioctl(vcpu_fd, KVM_GET_REGS, &registers) < 0 ? 0 : registers.rip;
}

static void exit_on_internal_error(const struct kvm_run *run, int vcpu_fd, enum vcpu_fatal *fatal,
				   char *text, size_t text_bytes)
{
	uint64_t rip = exit_instruction_pointer(vcpu_fd);
	char bytes[3 * 15 + 1] = "";

	if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION) {
		*fatal = VCPU_FATAL_INTERNAL;
		(void)snprintf(text, text_bytes, "KVM internal error %u at rip 0x%" PRIx64,
			       run->internal.suberror, rip);
		return;
	}
	*fatal = VCPU_FATAL_EMULATION;
	if (run->emulation_failure.ndata >= 3 &&
	    (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
		unsigned count = run->emulation_failure.insn_size;

		for (unsigned i = 0; i < count && i < 15; i++)
			(void)snprintf(bytes + 3 * i, sizeof(bytes) - 3 * i, " %02x",
				       run->emulation_failure.insn_bytes[i]);
	}
	(void)snprintf(text, text_bytes,
		       "this host's KVM cannot run the guest's instruction at rip 0x%" PRIx64
		       "%s%s",
		       rip, bytes[0] ? ", bytes" : "", bytes);
}

bool vcpu_exit_handle(struct kvm_run *run, int vcpu_fd, struct bus *pio, struct bus *mmio,
		      enum vcpu_fatal *fatal, char *text, size_t text_bytes)
{
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		exit_on_io(run, pio);
		return true;
	case KVM_EXIT_MMIO:
		exit_on_mmio(run, mmio);
		return true;
	case KVM_EXIT_HLT: /* in-kernel LAPIC: only on its way out */
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return true;
	case KVM_EXIT_SHUTDOWN:
		*fatal = VCPU_FATAL_TRIPLE_FAULT;
		(void)snprintf(text, text_bytes, "triple fault at rip 0x%" PRIx64,
			       exit_instruction_pointer(vcpu_fd));
		return false;
	case KVM_EXIT_INTERNAL_ERROR:
		exit_on_internal_error(run, vcpu_fd, fatal, text, text_bytes);
		return false;
	case KVM_EXIT_FAIL_ENTRY:
		*fatal = VCPU_FATAL_INTERNAL;
		(void)snprintf(text, text_bytes,
			       "hardware refused to enter the guest, reason 0x%" PRIx64,
			       (uint64_t)run->fail_entry.hardware_entry_failure_reason);
		return false;
	default:
		*fatal = VCPU_FATAL_INTERNAL;
		(void)snprintf(text, text_bytes, "unexpected exit %u at rip 0x%" PRIx64,
			       run->exit_reason, exit_instruction_pointer(vcpu_fd));
		return false;
	}
}
