/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of a start: the least that a program has to do before a guest's first instruction. A VM
 * with interrupt controllers, timer, 128 MiB of memory and one vCPU; one OUT; the byte goes to
 * standard output. Nothing is checked, sandboxed, emulated or logged. Used by start.c.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define RAM_BYTES (128U << 20)
#define TSS_GPA	  0xfffbd000U
#define ENTRY_GPA 0x1000U

/* mov $0x31, %al; out %al, $0xf4; hlt */
static const uint8_t code[] = {0xb0, 0x31, 0xe6, 0xf4, 0xf4};

static int make_vm(int kvm_fd, uint8_t *ram)
{
	struct kvm_userspace_memory_region region = {.memory_size = RAM_BYTES,
						     .userspace_addr = (uintptr_t)ram};
	struct kvm_pit_config pit = {.flags = 0};
	int fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);

	if (fd < 0 || ioctl(fd, KVM_SET_TSS_ADDR, TSS_GPA) < 0 ||
	    ioctl(fd, KVM_CREATE_IRQCHIP, 0) < 0 || ioctl(fd, KVM_CREATE_PIT2, &pit) < 0 ||
	    ioctl(fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return -1;
	return fd;
}

static int run_guest(int kvm_fd, int vm_fd)
{
	struct kvm_regs regs = {.rip = ENTRY_GPA, .rflags = 2};
	struct kvm_sregs sregs;
	int fd = ioctl(vm_fd, KVM_CREATE_VCPU, 0);
	size_t run_bytes = (size_t)ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	struct kvm_run *run;

	if (fd < 0 || ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return -1;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	run = mmap(NULL, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (run == MAP_FAILED || ioctl(fd, KVM_SET_SREGS, &sregs) < 0 ||
	    ioctl(fd, KVM_SET_REGS, &regs) < 0 || ioctl(fd, KVM_RUN, 0) < 0 ||
	    run->exit_reason != KVM_EXIT_IO)
		return -1;
	return *((uint8_t *)run + run->io.data_offset);
}

int main(void)
{
	int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	uint8_t *ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int vm_fd, byte;
	char text;

	if (kvm_fd < 0 || ram == MAP_FAILED)
		return 1;
	vm_fd = make_vm(kvm_fd, ram);
	memcpy(ram + ENTRY_GPA, code, sizeof(code));
	byte = vm_fd < 0 ? -1 : run_guest(kvm_fd, vm_fd);
	text = (char)byte;
	return byte < 0 || write(STDOUT_FILENO, &text, 1) != 1;
}
