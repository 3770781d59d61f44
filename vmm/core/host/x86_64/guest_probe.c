/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/host/x86_64/guest_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "vmm/core/boot/x86_64/vcpu_entry.h"
#include "vmm/core/memory/vm_memory.h"
#include "vmm/core/platform/memory_map.h"

#define PROBE_RAM_BYTES MAP_MIB(2)
#define PROBE_CODE_GPA	MAP_HIGH_RAM
#define PROBE_PORT	0x80
#define PROBE_TIMEOUT_S 5
#define CR4_OSFXSR	(1ULL << 9) /* SSE instructions are valid */
#define CR4_OSXMMEXCPT	(1ULL << 10)

/*
 * 64-bit code, as a kernel's is: real mode would be emulated on some processors whatever the back
 * end. Every x86_64 processor has paddd; KVM's emulator, which knows of SSE little more than moves,
 * does not.
 */
static const uint8_t probe_code[] = {
	0x66, 0x0f,	  0xfe, 0xc0, /* paddd %xmm0, %xmm0 */
	0xe6, PROBE_PORT,	      /* out %al, $PROBE_PORT */
	0xf4,			      /* hlt */
};

struct probe {
	struct guest_memory memory;
	int vcpu_fd;
	struct kvm_run *run;
	size_t run_bytes;
};

static int probe_set_registers(const struct probe *probe, struct error *err)
{
	const struct boot_entry entry = {.protocol = BOOT_LINUX64, .rip = PROBE_CODE_GPA};
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (ioctl(probe->vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return error_set_errno(err, -errno, "KVM_GET_SREGS");
	boot_vcpu_registers(&entry, &regs, &sregs);
	sregs.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
	if (ioctl(probe->vcpu_fd, KVM_SET_SREGS, &sregs) < 0)
		return error_set_errno(err, -errno, "KVM_SET_SREGS");
	if (ioctl(probe->vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return error_set_errno(err, -errno, "KVM_SET_REGS");
	return 0;
}

static int probe_create(struct probe *probe, struct kvm_vm *vm, struct error *err)
{
	const struct vm_memory_options options = {.size_bytes = PROBE_RAM_BYTES, .file_fd = -1};

	if (vm_memory_create(&probe->memory, &options, err) < 0 ||
	    vm_memory_attach(&probe->memory, vm, err) < 0 ||
	    boot_write_vcpu_tables(BOOT_LINUX64, &probe->memory, err) < 0)
		return err->code;
	if (guest_memory_write(&probe->memory, PROBE_CODE_GPA, probe_code, sizeof(probe_code)) < 0)
		return error_set(err, -EFAULT, "the trial guest does not fit its memory");
	probe->vcpu_fd = ioctl(kvm_vm_fd(vm), KVM_CREATE_VCPU, 0UL);
	if (probe->vcpu_fd < 0)
		return error_set_errno(err, -errno, "KVM_CREATE_VCPU");
	(void)fcntl(probe->vcpu_fd, F_SETFD, FD_CLOEXEC);
	probe->run_bytes = kvm_vm_vcpu_map_bytes(vm);
	probe->run =
		mmap(NULL, probe->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, probe->vcpu_fd, 0);
	if (probe->run == MAP_FAILED)
		return error_set_errno(err, -errno, "cannot map the vCPU's run area");
	return probe_set_registers(probe, err);
}

static void probe_destroy(struct probe *probe)
{
	if (probe->run != MAP_FAILED)
		munmap(probe->run, probe->run_bytes);
	fd_close(&probe->vcpu_fd);
	guest_memory_destroy(&probe->memory);
}

static void probe_on_alarm(int signal_number)
{
	(void)signal_number; /* it only has to interrupt KVM_RUN */
}

/* KVM_RUN once, ended by SIGALRM at the latest. */
static int probe_enter(const struct probe *probe)
{
	const struct itimerval timeout = {.it_value.tv_sec = PROBE_TIMEOUT_S};
	const struct itimerval off = {0};
	struct sigaction alarm = {.sa_handler = probe_on_alarm}, before;
	int result;

	sigemptyset(&alarm.sa_mask);
	if (sigaction(SIGALRM, &alarm, &before) < 0 || setitimer(ITIMER_REAL, &timeout, NULL) < 0)
		return -errno;
	result = ioctl(probe->vcpu_fd, KVM_RUN, 0) < 0 ? -errno : 0;
	(void)setitimer(ITIMER_REAL, &off, NULL);
	(void)sigaction(SIGALRM, &before, NULL);
	return result;
}

int guest_probe_run(struct kvm_vm *vm, enum host_execution *execution, struct error *err)
{
	struct probe probe = {GUEST_MEMORY_INIT, -1, MAP_FAILED, 0};
	const struct kvm_run *run;
	int result = probe_create(&probe, vm, err);

	if (result < 0)
		goto out;
	run = probe.run;
	result = probe_enter(&probe);
	if (result < 0)
		error_set_errno(err, result, "KVM_RUN");
	else if (run->exit_reason == KVM_EXIT_IO && run->io.port == PROBE_PORT)
		*execution = HOST_EXECUTION_NATIVE;
	else if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
		 run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
		*execution = HOST_EXECUTION_EMULATED;
	else
		result = error_set(err, -EIO, "it stopped with KVM exit reason %u",
				   run->exit_reason);
out:
	probe_destroy(&probe);
	return result;
}
