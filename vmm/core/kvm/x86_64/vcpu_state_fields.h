/* SPDX-License-Identifier: Apache-2.0 */
/* Which fields of KVM's structs are fields of the protobuf, once for both directions. */
#ifndef BULKHEAD_VMM_CORE_KVM_X86_64_VCPU_STATE_FIELDS_H
#define BULKHEAD_VMM_CORE_KVM_X86_64_VCPU_STATE_FIELDS_H

#define VCPU_GENERAL_REGISTERS(X)                                                                  \
	X(rax)                                                                                     \
	X(rbx)                                                                                     \
	X(rcx)                                                                                     \
	X(rdx)                                                                                     \
	X(rsi)                                                                                     \
	X(rdi)                                                                                     \
	X(rsp)                                                                                     \
	X(rbp)                                                                                     \
	X(r8)                                                                                      \
	X(r9)                                                                                      \
	X(r10)                                                                                     \
	X(r11)                                                                                     \
	X(r12)                                                                                     \
	X(r13)                                                                                     \
	X(r14)                                                                                     \
	X(r15)                                                                                     \
	X(rip)                                                                                     \
	X(rflags)

#define VCPU_SEGMENTS(X)                                                                           \
	X(cs)                                                                                      \
	X(ds)                                                                                      \
	X(es)                                                                                      \
	X(fs)                                                                                      \
	X(gs)                                                                                      \
	X(ss)                                                                                      \
	X(tr)                                                                                      \
	X(ldt)

#define VCPU_SEGMENT_FIELDS(X)                                                                     \
	X(limit)                                                                                   \
	X(selector)                                                                                \
	X(type)                                                                                    \
	X(present)                                                                                 \
	X(dpl)                                                                                     \
	X(db)                                                                                      \
	X(s)                                                                                       \
	X(l)                                                                                       \
	X(g)                                                                                       \
	X(avl)                                                                                     \
	X(unusable)

#define VCPU_CONTROL_REGISTERS(X)                                                                  \
	X(cr0)                                                                                     \
	X(cr2)                                                                                     \
	X(cr3)                                                                                     \
	X(cr4)                                                                                     \
	X(cr8)                                                                                     \
	X(efer)                                                                                    \
	X(apic_base)

/* X(protobuf field, field of struct kvm_vcpu_events) */
#define VCPU_EVENT_FIELDS(X)                                                                       \
	X(exception_injected, exception.injected)                                                  \
	X(exception_number, exception.nr)                                                          \
	X(exception_has_error_code, exception.has_error_code)                                      \
	X(exception_pending, exception.pending)                                                    \
	X(exception_error_code, exception.error_code)                                              \
	X(interrupt_injected, interrupt.injected)                                                  \
	X(interrupt_number, interrupt.nr)                                                          \
	X(interrupt_soft, interrupt.soft)                                                          \
	X(interrupt_shadow, interrupt.shadow)                                                      \
	X(nmi_injected, nmi.injected)                                                              \
	X(nmi_pending, nmi.pending)                                                                \
	X(nmi_masked, nmi.masked)                                                                  \
	X(sipi_vector, sipi_vector)                                                                \
	X(flags, flags)                                                                            \
	X(smi_smm, smi.smm)                                                                        \
	X(smi_pending, smi.pending)                                                                \
	X(smi_inside_nmi, smi.smm_inside_nmi)                                                      \
	X(smi_latched_init, smi.latched_init)                                                      \
	X(exception_has_payload, exception_has_payload)                                            \
	X(exception_payload, exception_payload)                                                    \
	X(triple_fault_pending, triple_fault.pending)

#endif
