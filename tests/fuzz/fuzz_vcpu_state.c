/* SPDX-License-Identifier: Apache-2.0 */
/* vcpu-N.pb: the input is the message. What is taken is packed again, and taken again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/kvm/x86_64/vcpu_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct vcpu_registers *registers)
{
	struct vcpu_registers again;
	struct error err = ERROR_INIT;
	uint8_t *packed;
	size_t bytes;

	if (vcpu_state_pack(registers, 0, &packed, &bytes, &err) < 0 ||
	    vcpu_state_unpack(packed, bytes, 0, &again, &err) < 0)
		abort();
	if (memcmp(&again.regs, &registers->regs, sizeof(again.regs)) != 0 ||
	    again.msrs->nmsrs != registers->msrs->nmsrs ||
	    again.cpuid->nent != registers->cpuid->nent ||
	    again.xsave_bytes != registers->xsave_bytes)
		abort();
	vcpu_registers_release(&again);
	free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vcpu_registers registers;
	struct error err = ERROR_INIT;

	if (vcpu_state_unpack(data, size, 0, &registers, &err) == 0)
		check_again(&registers);
	else if (err.code >= 0 || !err.message[0])
		abort();
	vcpu_registers_release(&registers);
	return 0;
}
