/* SPDX-License-Identifier: Apache-2.0 */
/* What a snapshot remembers of the host it was made on, and how this host compares. */
#ifndef BULKHEAD_VMM_CORE_SNAPSHOT_HOST_FACTS_H
#define BULKHEAD_VMM_CORE_SNAPSHOT_HOST_FACTS_H

#include <linux/kvm.h>

#include "ipc/error.h"
#include "proto/snapshot.pb-c.h"

/* Of this host; freed with the message it is put into. NULL: out of memory. Needs no file. */
Bulkhead__Snapshot__Host *host_facts_new(void);

/* Differences that are only a risk: logged by the caller, one line each. */
#define HOST_FACTS_MAX_RISKS 4
struct host_facts_comparison {
	unsigned risk_count;
	char risks[HOST_FACTS_MAX_RISKS][256];
};

/*
 * Can a guest that was started on `from` go on here? -ENOTSUP with the difference named when it
 * cannot: another CPU vendor. Feature bits are compared by host_facts_check_cpuid().
 */
int host_facts_compare(const Bulkhead__Snapshot__Host *from,
		       struct host_facts_comparison *comparison, struct error *err);

/* Every feature bit that the guest was given must be one that this host's KVM supports
 * (cpuid_supported()). -ENOTSUP names those that are not. */
int host_facts_check_cpuid(const struct kvm_cpuid2 *host, const struct kvm_cpuid2 *guest,
			   struct error *err);

#endif
