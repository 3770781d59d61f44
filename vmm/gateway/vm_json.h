/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM's configuration as the API writes it: VmConfig, the body of vm.create, the configuration
 * file and what vm.info echoes.
 */
#ifndef BULKHEAD_VMM_GATEWAY_VM_JSON_H
#define BULKHEAD_VMM_GATEWAY_VM_JSON_H

#include <stddef.h>

#include <jansson.h>

#include "ipc/error.h"
#include "proto/config.pb-c.h"
#include "proto/control.pb-c.h"
#include "vmm/gateway/json_errors.h"

#define VM_JSON_MAX_BYTES 51200

/* A new configuration, or NULL with errors added. */
Bulkhead__Config__Vm *vm_json_read(json_t *value, struct json_errors *errors);

/* The same from text of a file. */
Bulkhead__Config__Vm *vm_json_parse_text(const char *text, size_t bytes, struct error *err);

/* VmConfig. terminals: the pseudo terminals that stand for "file". */
json_t *vm_json_write(const Bulkhead__Config__Vm *config,
		      Bulkhead__Control__Terminal *const *terminals, size_t terminal_count);

/* VmInfo. */
json_t *vm_json_write_info(const Bulkhead__Control__Info *info);

/* "Created", "Running", "Paused", "Shutdown". */
const char *vm_json_state_name(Bulkhead__Control__VmState state);

#endif
