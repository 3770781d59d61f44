/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot directory opened for reading, through the broker. Everything but memory is read,
 * checked against the manifest's checksums and parsed here, before anything is started. Loop
 * thread.
 */
#ifndef BULKHEAD_VMM_CORE_SNAPSHOT_SNAPSHOT_READER_H
#define BULKHEAD_VMM_CORE_SNAPSHOT_SNAPSHOT_READER_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/error.h"
#include "proto/config.pb-c.h"
#include "proto/snapshot.pb-c.h"
#include "proto/vm_state.pb-c.h"
#include "vmm/core/kvm/vcpu_registers.h"
#include "vmm/core/workers/broker_client.h"

struct snapshot_reader {
	Bulkhead__Snapshot__Manifest *manifest;
	Bulkhead__Config__Vm
		*config; /* completed and checked; may be taken by setting it to NULL */
	Bulkhead__Vmstate__Vm *vm;
	Bulkhead__Snapshot__DeviceBlob *devices[31]; /* in the manifest's order */
	struct vcpu_registers vcpus[16];
	unsigned vcpu_count; /* of them filled */
	int memory_fds[4];   /* -1: none */
};

/* Where a snapshot's files come from: the broker, or (inspect) the directory itself. */
struct snapshot_source {
	/* Open a file for reading; name as in the manifest. *fd is the caller's. */
	int (*open_file)(void *opaque, const char *name, int *fd, struct error *err);
	/* These will be opened: a chance to do it at once. Strings stay valid. May be NULL. */
	void (*expect_files)(void *opaque, const char *const *names, unsigned count);
	void *opaque;
};

/* NULL with err set: the file and what is wrong with it. */
struct snapshot_reader *snapshot_reader_read(const struct snapshot_source *source,
					     struct error *err);

/* The same for the directory at path, through the broker. */
struct snapshot_reader *snapshot_reader_open(struct broker_client *broker, const char *path,
					     struct error *err);
void snapshot_reader_destroy(struct snapshot_reader *reader); /* accepts NULL */

#endif
