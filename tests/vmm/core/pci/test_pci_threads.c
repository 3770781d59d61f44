/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPU threads that fight over one device's registers while the loop thread plugs, unplugs and
 * reports: no deadlock, and the books of KVM balance. (Most telling under the thread sanitizer.)
 */
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/vmm/core/pci/machine.h"
#include "vmm/core/platform/memory_map.h"

#define ROUNDS	   3000
#define OTHER_SLOT 5

struct vcpu {
	struct machine *machine;
	unsigned seed;
};

static unsigned vcpu_random(struct vcpu *vcpu)
{
	vcpu->seed = vcpu->seed * 1103515245 + 12345;
	return vcpu->seed >> 8;
}

static void vcpu_step(struct vcpu *vcpu)
{
	struct machine *machine = vcpu->machine;
	unsigned slot = vcpu_random(vcpu) & 1 ? machine->slot : OTHER_SLOT;
	uint64_t place = MAP_PCI_MMIO_START + (vcpu_random(vcpu) % 4) * 0x8000ULL;

	switch (vcpu_random(vcpu) % 6) {
	case 0:
		ecam_write(machine, slot, PCI_BASE_ADDRESS_0, place, 4);
		break;
	case 1:
		ecam_write(machine, slot, PCI_COMMAND, vcpu_random(vcpu) & 7, 2);
		break;
	case 2:
		ecam_write(machine, slot, machine->layout.msix_capability + PCI_MSIX_FLAGS,
			   vcpu_random(vcpu), 2);
		break;
	case 3:
		mmio_write(machine, place + (vcpu_random(vcpu) & 0x3f), vcpu_random(vcpu), 1);
		break;
	case 4:
		mmio_write(machine, place + 0x4000 + (vcpu_random(vcpu) & 0x3c), MSI_ADDRESS, 4);
		break;
	default:
		(void)mmio_read(machine, place + (vcpu_random(vcpu) & 0x5ff8), 8);
		break;
	}
}

static void *vcpu_run(void *opaque)
{
	struct vcpu *vcpu = opaque;

	for (unsigned i = 0; i < ROUNDS; i++)
		vcpu_step(vcpu);
	return NULL;
}

static void vcpus_and_the_loop_share_devices_without_deadlock(void **state)
{
	static const uint8_t space[4] = {1};
	struct machine *machine = *state;
	struct vcpu vcpus[3];
	pthread_t threads[3];

	for (unsigned i = 0; i < 3; i++) {
		vcpus[i] = (struct vcpu){machine, i + 1};
		assert_int_equal(pthread_create(&threads[i], NULL, vcpu_run, &vcpus[i]), 0);
	}
	for (unsigned i = 0; i < 200; i++) {
		struct virtio_pci *other = machine_add_virtio(machine, "other", OTHER_SLOT, NULL);

		virtio_pci_set_config_space(machine->virtio, space, sizeof(space));
		virtio_pci_reset_done(machine->virtio);
		virtio_pci_set_needs_reset(machine->virtio);
		virtio_pci_kick_all(machine->virtio);
		virtio_pci_destroy(other);
	}
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_in_range(fake_kvm_ioeventfd_count(machine->vm), 0, MACHINE_QUEUES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(vcpus_and_the_loop_share_devices_without_deadlock,
						machine_setup, machine_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
