/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vmm/core/kvm/kvm_machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

const uint8_t kvm_code_count[6] = {0xff, 0x06, COUNTER_GPA & 0xff, COUNTER_GPA >> 8, 0xeb, 0xfa};

bool kvm_machine_possible(void)
{
	if (access("/dev/kvm", R_OK | W_OK) == 0)
		return true;
	printf("skip: no access to /dev/kvm\n");
	return false;
}

void kvm_machine_sleep_ms(unsigned milliseconds)
{
	struct timespec time = {.tv_sec = milliseconds / 1000,
				.tv_nsec = (long)(milliseconds % 1000) * 1000000L};

	(void)nanosleep(&time, NULL);
}

void kvm_machine_wait(const _Atomic unsigned *value, unsigned least)
{
	for (unsigned waited = 0; atomic_load(value) < least; waited++) {
		if (waited == WAIT_MS)
			fail_msg("%u of %u came in time", atomic_load(value), least);
		kvm_machine_sleep_ms(1);
	}
}

uint16_t kvm_machine_counter(const struct kvm_machine *machine)
{
	return *(volatile const uint16_t *)(const void *)(machine->memory + COUNTER_GPA);
}

void kvm_machine_wait_progress(const struct kvm_machine *machine)
{
	uint16_t from = kvm_machine_counter(machine);

	for (unsigned waited = 0; kvm_machine_counter(machine) == from; waited++) {
		if (waited == WAIT_MS)
			fail_msg("the guest does not run");
		kvm_machine_sleep_ms(1);
	}
}

static void on_parked(void *opaque)
{
	atomic_fetch_add(&((struct kvm_machine *)opaque)->parked, 1);
}

static void on_fatal(void *opaque, unsigned index, enum vcpu_fatal what, const char *text)
{
	struct kvm_machine *machine = opaque;

	(void)index;
	(void)text;
	atomic_store(&machine->what, what);
	atomic_fetch_add(&machine->fatal, 1);
}

static void port_write(void *opaque, uint64_t offset, const uint8_t *data, unsigned bytes)
{
	struct kvm_machine *machine = opaque;

	(void)offset;
	(void)data;
	(void)bytes;
	atomic_fetch_add(&machine->port_accesses, 1);
	if (machine->on_port)
		machine->on_port(machine);
}

static void port_read(void *opaque, uint64_t offset, uint8_t *data, unsigned bytes)
{
	memset(data, 0, bytes);
	port_write(opaque, offset, data, bytes);
}

static void mmio_write(void *opaque, uint64_t offset, const uint8_t *data, unsigned bytes)
{
	struct kvm_machine *machine = opaque;

	(void)data;
	(void)bytes;
	atomic_store(&machine->last_mmio_offset, offset);
	atomic_fetch_add(&machine->mmio_accesses, 1);
	if (machine->on_mmio)
		machine->on_mmio(machine);
}

static void mmio_read(void *opaque, uint64_t offset, uint8_t *data, unsigned bytes)
{
	memset(data, 0x5a, bytes);
	mmio_write(opaque, offset, data, bytes);
}

static const struct bus_device_ops port_ops = {"port", port_read, port_write};
static const struct bus_device_ops mmio_ops = {"mmio", mmio_read, mmio_write};

static void make_buses(struct kvm_machine *machine)
{
	struct error err = ERROR_INIT;

	machine->pio = bus_new("port I/O");
	machine->mmio = bus_new("MMIO");
	assert_int_equal(bus_add(machine->pio, PORT_UNDER_TEST, 1, &port_ops, machine, &err), 0);
	/* One range a page, so that an access across the two is one to each. */
	assert_int_equal(bus_add(machine->mmio, MMIO_UNDER_TEST, 0x2000, &mmio_ops, machine, &err),
			 0);
}

void kvm_machine_init(struct kvm_machine *machine, unsigned vcpus)
{
	struct vcpu_set_options options = {.count = vcpus,
					   .max = vcpus,
					   .seccomp = SANDBOX_SECCOMP_OFF,
					   .opaque = machine,
					   .all_parked = on_parked,
					   .fatal = on_fatal};
	struct error err = ERROR_INIT;

	memset(machine, 0, sizeof(*machine));
	machine->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	machine->vm = kvm_vm_new(machine->kvm_fd, &err);
	if (!machine->vm)
		fail_msg("%s", err.message);
	machine->memory =
		mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(machine->memory, MAP_FAILED);
	assert_int_equal(kvm_vm_map_memory(machine->vm, 0, 0, MEMORY_BYTES, machine->memory, &err),
			 0);
	make_buses(machine);
	options.vm = machine->vm;
	options.pio = machine->pio;
	options.mmio = machine->mmio;
	machine->set = vcpu_set_new(&options, &err);
	if (!machine->set)
		fail_msg("%s", err.message);
	kvm_machine_wait(&machine->parked, 1);
	for (unsigned i = 0; i < vcpus; i++)
		kvm_machine_aim(machine, i);
}

void kvm_machine_destroy(struct kvm_machine *machine)
{
	vcpu_set_destroy(machine->set);
	bus_destroy(machine->pio);
	bus_destroy(machine->mmio);
	kvm_vm_destroy(machine->vm);
	munmap(machine->memory, MEMORY_BYTES);
	close(machine->kvm_fd);
}

void kvm_machine_code(struct kvm_machine *machine, unsigned vcpu, const uint8_t *code, size_t bytes)
{
	assert_true(bytes <= CODE_BYTES);
	memcpy(machine->memory + CODE_GPA + vcpu * CODE_BYTES, code, bytes);
}

void kvm_machine_aim(struct kvm_machine *machine, unsigned vcpu)
{
	struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
	struct kvm_regs regs = {.rip = CODE_GPA + vcpu * CODE_BYTES, .rsp = 0x8000, .rflags = 2};
	int fd = vcpu_set_fd(machine->set, vcpu);
	struct kvm_sregs sregs;

	assert_int_equal(ioctl(fd, KVM_SET_MP_STATE, &runnable), 0);
	assert_int_equal(ioctl(fd, KVM_GET_SREGS, &sregs), 0);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	assert_int_equal(ioctl(fd, KVM_SET_SREGS, &sregs), 0);
	assert_int_equal(ioctl(fd, KVM_SET_REGS, &regs), 0);
}

void kvm_machine_park(struct kvm_machine *machine)
{
	unsigned before = atomic_load(&machine->parked);

	vcpu_set_park(machine->set);
	kvm_machine_wait(&machine->parked, before + 1);
	assert_true(vcpu_set_is_parked(machine->set));
}
