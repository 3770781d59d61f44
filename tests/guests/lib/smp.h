/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the other CPUs with INIT and start-up IPIs (Intel SDM 3A, 8.4). */
#ifndef GUEST_SMP_H
#define GUEST_SMP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Runs on the new CPU, on a stack of its own, with the IDT loaded, its LAPIC enabled and
 * interrupts off. When it returns the CPU halts for ever.
 */
typedef void smp_function(uint32_t cpu_index);

/*
 * Starts the CPU with that APIC id and waits, for at most a second, until it runs. cpu_index is
 * what function gets. Returns false if the CPU did not come up. BSP only, one CPU at a time.
 */
bool smp_start_cpu(uint8_t apic_id, uint32_t cpu_index, smp_function *function);

#endif
