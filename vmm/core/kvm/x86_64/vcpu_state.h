/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's registers as the protobuf that a snapshot keeps (proto/vm_state.proto, Vcpu), and back.
 * The protobuf may come from a hostile file: lengths and counts are checked here, values by KVM
 * itself, which accepts nothing that would endanger the host.
 */
#ifndef BULKHEAD_VMM_CORE_KVM_X86_64_VCPU_STATE_H
#define BULKHEAD_VMM_CORE_KVM_X86_64_VCPU_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/error.h"
#include "vmm/core/kvm/vcpu_registers.h"

/* Pack without the checksum. *state is malloc'ed, the caller's. */
int vcpu_state_pack(const struct vcpu_registers *registers, unsigned index, uint8_t **state,
		    size_t *state_bytes, struct error *err);

/*
 * Unpack into registers, which own what they point to afterwards (vcpu_registers_release), also
 * after a failure. err names the field.
 */
int vcpu_state_unpack(const uint8_t *state, size_t state_bytes, unsigned index,
		      struct vcpu_registers *registers, struct error *err);

#endif
