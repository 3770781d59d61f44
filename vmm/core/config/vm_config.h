/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM's configuration (proto/config.proto): made empty, filled by the command line, the control
 * socket or a snapshot, then completed and checked in one place.
 */
#ifndef BULKHEAD_VMM_CORE_CONFIG_VM_CONFIG_H
#define BULKHEAD_VMM_CORE_CONFIG_VM_CONFIG_H

#include "ipc/error.h"
#include "proto/config.pb-c.h"

#define VM_CONFIG_MAX_DISKS 24
#define VM_CONFIG_MAX_CPUS  16

/* An empty configuration with its required parts present. NULL: out of memory. */
Bulkhead__Config__Vm *vm_config_new(void);
void vm_config_free(Bulkhead__Config__Vm *config); /* accepts NULL */

/* Append a disk; NULL: out of memory. */
Bulkhead__Config__Disk *vm_config_add_disk(Bulkhead__Config__Vm *config);

/* The optional parts, made on first use. NULL: out of memory. */
Bulkhead__Config__Rng *vm_config_rng(Bulkhead__Config__Vm *config);
Bulkhead__Config__Console *vm_config_console(Bulkhead__Config__Vm *config);

/*
 * Fill in every default and check everything that can be checked without opening a file. Messages
 * name the field as the command line writes it. The configuration may come from a hostile file.
 */
int vm_config_complete(Bulkhead__Config__Vm *config, struct error *err);

/* A deep copy; NULL: out of memory. */
Bulkhead__Config__Vm *vm_config_copy(const Bulkhead__Config__Vm *config);

#endif
