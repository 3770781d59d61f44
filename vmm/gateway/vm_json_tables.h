/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of VmConfig and of the requests, as tables. */
#ifndef BULKHEAD_VMM_GATEWAY_VM_JSON_TABLES_H
#define BULKHEAD_VMM_GATEWAY_VM_JSON_TABLES_H

#include "vmm/gateway/json_message.h"

extern const struct json_object vm_json_config;

/* ConsoleConfig's modes by enum SerialMode. */
extern const char *const vm_json_console_modes[7];

#endif
