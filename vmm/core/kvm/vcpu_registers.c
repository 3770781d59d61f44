/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/kvm/vcpu_registers.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "ipc/cleanup.h"

#define MSR_MTRR_DEF_TYPE	0x2ffU
#define MTRR_ENABLE_WRITE_BACK	0x806U
#define MSR_MISC_ENABLE		0x1a0U
#define MISC_ENABLE_FAST_STRING 1U
#define MSR_TSC			0x10U
#define MSR_TSC_DEADLINE	0x6e0U

#define LAPIC_LVT_LINT0 0x350
#define LAPIC_LVT_LINT1 0x360
#define LVT_MODE_EXTINT 0x700U
#define LVT_MODE_NMI	0x400U
#define LVT_MODE_MASK	0x700U
#define LVT_MASKED	0x10000U
#define MAX_MSRS	512U
#define MAX_XSAVE_BYTES 65536

static int registers_set_msr(int vcpu_fd, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entry;
	} msrs = {.header = {.nmsrs = 1}, .entry = {.index = index, .data = value}};

	return ioctl(vcpu_fd, KVM_SET_MSRS, &msrs) == 1 ? 0 : -EINVAL;
}

static void lapic_set_lvt(struct kvm_lapic_state *lapic, size_t offset, uint32_t mode)
{
	uint32_t value;

	memcpy(&value, lapic->regs + offset, sizeof(value));
	value = (value & ~(LVT_MODE_MASK | LVT_MASKED)) | mode;
	memcpy(lapic->regs + offset, &value, sizeof(value));
}

int vcpu_registers_setup(int vcpu_fd, struct error *err)
{
	struct kvm_lapic_state lapic;

	if (registers_set_msr(vcpu_fd, MSR_MTRR_DEF_TYPE, MTRR_ENABLE_WRITE_BACK) < 0)
		return error_set(err, -EIO, "cannot set the memory type (MSR_MTRRdefType)");
	/* Not every processor has it. */
	(void)registers_set_msr(vcpu_fd, MSR_MISC_ENABLE, MISC_ENABLE_FAST_STRING);
	if (ioctl(vcpu_fd, KVM_GET_LAPIC, &lapic) < 0)
		return error_set_errno(err, -errno, "KVM_GET_LAPIC");
	lapic_set_lvt(&lapic, LAPIC_LVT_LINT0, LVT_MODE_EXTINT);
	lapic_set_lvt(&lapic, LAPIC_LVT_LINT1, LVT_MODE_NMI);
	if (ioctl(vcpu_fd, KVM_SET_LAPIC, &lapic) < 0)
		return error_set_errno(err, -errno, "KVM_SET_LAPIC");
	return 0;
}

/* KVM_GET_MSRS stops at the first MSR it cannot read: drop that one and go on. */
static int registers_read_msrs(int vcpu_fd, struct kvm_msrs *msrs)
{
	while (msrs->nmsrs) {
		int done = ioctl(vcpu_fd, KVM_GET_MSRS, msrs);

		if (done < 0)
			return -errno;
		if ((unsigned)done >= msrs->nmsrs)
			return 0;
		memmove(&msrs->entries[done], &msrs->entries[done + 1],
			(msrs->nmsrs - (unsigned)done - 1) * sizeof(msrs->entries[0]));
		msrs->nmsrs--;
	}
	return 0;
}

static int registers_capture_msrs(int system_fd, int vcpu_fd, struct vcpu_registers *registers,
				  struct error *err)
{
	cleanup_free struct kvm_msr_list *list =
		calloc(1, sizeof(*list) + MAX_MSRS * sizeof(list->indices[0]));

	registers->msrs =
		calloc(1, sizeof(*registers->msrs) + MAX_MSRS * sizeof(struct kvm_msr_entry));
	if (!list || !registers->msrs)
		return error_set(err, -ENOMEM, "out of memory");
	list->nmsrs = MAX_MSRS;
	if (ioctl(system_fd, KVM_GET_MSR_INDEX_LIST, list) < 0)
		return error_set_errno(err, -errno, "KVM_GET_MSR_INDEX_LIST");
	registers->msrs->nmsrs = list->nmsrs;
	for (unsigned i = 0; i < list->nmsrs; i++)
		registers->msrs->entries[i].index = list->indices[i];
	if (registers_read_msrs(vcpu_fd, registers->msrs) < 0)
		return error_set_errno(err, -errno, "KVM_GET_MSRS");
	return 0;
}

static int registers_capture_xsave(int vcpu_fd, struct vcpu_registers *registers, struct error *err)
{
	int bytes = ioctl(vcpu_fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
	bool extended = bytes > (int)sizeof(struct kvm_xsave) && bytes <= MAX_XSAVE_BYTES;

	registers->xsave_bytes = extended ? (size_t)bytes : sizeof(struct kvm_xsave);
	registers->xsave = calloc(1, registers->xsave_bytes);
	if (!registers->xsave)
		return error_set(err, -ENOMEM, "out of memory");
	if (ioctl(vcpu_fd, extended ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, registers->xsave) < 0)
		return error_set_errno(err, -errno, "KVM_GET_XSAVE");
	return 0;
}

/* The offset says more than the TSC's value, which is old by the time it is read. */
static void registers_capture_tsc(int vcpu_fd, struct vcpu_registers *registers)
{
	struct kvm_device_attr attribute = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uint64_t)(uintptr_t)&registers->tsc_offset,
	};
	int khz = ioctl(vcpu_fd, KVM_GET_TSC_KHZ, 0);

	registers->tsc_khz = khz > 0 ? (unsigned)khz : 0;
	registers->has_tsc_offset = ioctl(vcpu_fd, KVM_GET_DEVICE_ATTR, &attribute) == 0;
}

int vcpu_registers_capture(int system_fd, int vcpu_fd, struct vcpu_registers *registers,
			   struct error *err)
{
	memset(registers, 0, sizeof(*registers));
	/* First: KVM settles pending INIT and SIPI here, which changes what follows. */
	if (ioctl(vcpu_fd, KVM_GET_MP_STATE, &registers->mp_state) < 0)
		return error_set_errno(err, -errno, "KVM_GET_MP_STATE");
	if (ioctl(vcpu_fd, KVM_GET_REGS, &registers->regs) < 0)
		return error_set_errno(err, -errno, "KVM_GET_REGS");
	if (ioctl(vcpu_fd, KVM_GET_SREGS, &registers->sregs) < 0)
		return error_set_errno(err, -errno, "KVM_GET_SREGS");
	if (registers_capture_xsave(vcpu_fd, registers, err) < 0)
		return err->code;
	if (ioctl(vcpu_fd, KVM_GET_XCRS, &registers->xcrs) < 0)
		registers->xcrs.nr_xcrs = 0; /* a host without XSAVE */
	if (ioctl(vcpu_fd, KVM_GET_DEBUGREGS, &registers->debugregs) < 0)
		return error_set_errno(err, -errno, "KVM_GET_DEBUGREGS");
	if (ioctl(vcpu_fd, KVM_GET_LAPIC, &registers->lapic) < 0)
		return error_set_errno(err, -errno, "KVM_GET_LAPIC");
	if (registers_capture_msrs(system_fd, vcpu_fd, registers, err) < 0)
		return err->code;
	if (ioctl(vcpu_fd, KVM_GET_VCPU_EVENTS, &registers->events) < 0)
		return error_set_errno(err, -errno, "KVM_GET_VCPU_EVENTS");
	registers_capture_tsc(vcpu_fd, registers);
	return 0;
}

/* As many as KVM takes: read-only ones (some feature MSRs) are refused when written and skipped. */
/* Refused, but is what it should be: a read-only MSR of the same host. */
static bool registers_msr_is(int vcpu_fd, const struct kvm_msr_entry *wanted)
{
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entry;
	} msrs = {.header = {.nmsrs = 1}, .entry = {.index = wanted->index}};

	return ioctl(vcpu_fd, KVM_GET_MSRS, &msrs) == 1 && msrs.entry.data == wanted->data;
}

/* refused may be NULL. */
static void registers_apply_msrs(int vcpu_fd, const struct kvm_msrs *from, bool deadline,
				 struct vcpu_refused_msrs *refused)
{
	for (unsigned i = 0; i < from->nmsrs; i++) {
		const struct kvm_msr_entry *entry = &from->entries[i];

		if ((entry->index == MSR_TSC_DEADLINE) != deadline ||
		    registers_set_msr(vcpu_fd, entry->index, entry->data) == 0 || !refused ||
		    registers_msr_is(vcpu_fd, entry))
			continue;
		if (refused->count < VCPU_MAX_REFUSED_MSRS)
			refused->entries[refused->count] = *entry;
		refused->count++;
	}
}

int vcpu_registers_apply(int vcpu_fd, const struct vcpu_registers *registers, struct error *err)
{
	struct vcpu_refused_msrs refused;

	return vcpu_registers_apply_checked(vcpu_fd, registers, &refused, err);
}

int vcpu_registers_apply_checked(int vcpu_fd, const struct vcpu_registers *registers,
				 struct vcpu_refused_msrs *refused, struct error *err)
{
	struct kvm_vcpu_events events = registers->events;

	refused->count = 0;
	if (ioctl(vcpu_fd, KVM_SET_REGS, &registers->regs) < 0)
		return error_set_errno(err, -errno, "KVM_SET_REGS");
	if (registers->xcrs.nr_xcrs && ioctl(vcpu_fd, KVM_SET_XCRS, &registers->xcrs) < 0)
		return error_set_errno(err, -errno, "KVM_SET_XCRS");
	if (ioctl(vcpu_fd, KVM_SET_XSAVE, registers->xsave) < 0)
		return error_set_errno(err, -errno, "KVM_SET_XSAVE");
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &registers->sregs) < 0)
		return error_set_errno(err, -errno, "KVM_SET_SREGS");
	if (ioctl(vcpu_fd, KVM_SET_DEBUGREGS, &registers->debugregs) < 0)
		return error_set_errno(err, -errno, "KVM_SET_DEBUGREGS");
	registers_apply_msrs(vcpu_fd, registers->msrs, false, refused);
	/* After the APIC base and the TSC, before the deadline MSR, which the LAPIC's timer mode
	 * decides about. */
	if (ioctl(vcpu_fd, KVM_SET_LAPIC, &registers->lapic) < 0)
		return error_set_errno(err, -errno, "KVM_SET_LAPIC");
	registers_apply_msrs(vcpu_fd, registers->msrs, true, NULL);
	if (ioctl(vcpu_fd, KVM_SET_MP_STATE, &registers->mp_state) < 0)
		return error_set_errno(err, -errno, "KVM_SET_MP_STATE");
	/* What was read tells what is valid, except that these have to be asked for explicitly. */
	events.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR;
	if (ioctl(vcpu_fd, KVM_SET_VCPU_EVENTS, &events) < 0)
		return error_set_errno(err, -errno, "KVM_SET_VCPU_EVENTS");
	return 0;
}

int vcpu_registers_apply_tsc_rate(int vcpu_fd, const struct vcpu_registers *registers,
				  struct error *err)
{
	int khz = ioctl(vcpu_fd, KVM_GET_TSC_KHZ, 0);

	if (registers->tsc_khz && khz > 0 && (unsigned)khz != registers->tsc_khz &&
	    ioctl(vcpu_fd, KVM_SET_TSC_KHZ, (unsigned long)registers->tsc_khz) < 0)
		return error_set_errno(err, -errno,
				       "this host cannot give the guest its TSC rate of %u kHz",
				       registers->tsc_khz);
	return 0;
}

void vcpu_registers_release(struct vcpu_registers *registers)
{
	free(registers->xsave);
	free(registers->msrs);
	free(registers->cpuid);
	registers->xsave = NULL;
	registers->msrs = NULL;
	registers->cpuid = NULL;
}

int vcpu_registers_set_tsc(int vcpu_fd, uint64_t tsc)
{
	return registers_set_msr(vcpu_fd, MSR_TSC, tsc);
}

uint64_t vcpu_registers_tsc(const struct vcpu_registers *registers)
{
	for (unsigned i = 0; i < registers->msrs->nmsrs; i++)
		if (registers->msrs->entries[i].index == MSR_TSC)
			return registers->msrs->entries[i].data;
	return 0;
}

void vcpu_registers_rearm_deadline(int vcpu_fd, const struct vcpu_registers *registers)
{
	registers_apply_msrs(vcpu_fd, registers->msrs, true, NULL);
}
