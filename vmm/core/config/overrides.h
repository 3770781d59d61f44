/* SPDX-License-Identifier: Apache-2.0 */
/* What may differ when a VM is restored: where its devices' files are. Everything else is the
 * snapshot's. */
#ifndef BULKHEAD_VMM_CORE_CONFIG_OVERRIDES_H
#define BULKHEAD_VMM_CORE_CONFIG_OVERRIDES_H

#include "ipc/error.h"
#include "proto/config.pb-c.h"

/*
 * Apply the parts that `overrides` (a configuration as the command line or the control socket gave
 * it, not completed) names to the snapshot's configuration: disks by id (path, readonly only as it
 * was), serial and console targets, the VM's name. -EINVAL names what cannot be overridden or is
 * not there.
 */
int vm_config_apply_overrides(Bulkhead__Config__Vm *config, const Bulkhead__Config__Vm *overrides,
			      struct error *err);

#endif
