/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State of a virtio device's transport: the input is the blob, restored into a fresh device of the
 * machine of tests/vmm/core/pci. What it saves afterwards must be restorable, and nothing be left
 * in KVM at the end.
 */
#include <stdint.h>
#include <stdlib.h>

#include "tests/vmm/core/pci/machine.h"
#include "vmm/core/pci/virtio_pci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(struct machine *machine)
{
	struct virtio_activation activation;
	struct error err = ERROR_INIT;
	uint8_t *state;
	size_t bytes;

	(void)virtio_pci_get_activation(machine->virtio, &activation);
	virtio_pci_kick_all(machine->virtio);
	if (virtio_pci_save(machine->virtio, &state, &bytes, &err) < 0)
		abort();
	virtio_pci_power_on_reset(machine->virtio);
	if (virtio_pci_restore(machine->virtio, state, bytes, &err) < 0)
		abort();
	free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine machine;
	struct error err = ERROR_INIT;

	machine_init(&machine);
	virtio_pci_power_on_reset(machine.virtio);
	if (virtio_pci_restore(machine.virtio, data, size, &err) == 0)
		check_again(&machine);
	else if (err.code >= 0 || !err.message[0])
		abort();
	if (machine_destroy(&machine) != 0)
		abort();
	return 0;
}
