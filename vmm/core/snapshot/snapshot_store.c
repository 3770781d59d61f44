/* SPDX-License-Identifier: Apache-2.0 */
/* Writing what a snapshot consists of. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "vmm/core/snapshot/snapshot_file.h"
#include "vmm/core/snapshot/snapshot_parts.h"
#include "vmm/core/workers/broker_snapshot.h"

int snapshot_open_files(struct snapshot *snapshot, struct error *err)
{
	struct broker_client *broker = snapshot->vm->options.broker;

	for (unsigned i = 0; i < snapshot->vm->memory.region_count; i++) {
		char name[32];

		manifest_memory_file_name(i, name, sizeof(name));
		if (broker_snapshot_file(broker, name, &snapshot->memory_fds[i], err) < 0)
			return err->code;
	}
	for (unsigned i = 0; i < snapshot->file_count; i++)
		if (broker_snapshot_file(broker, snapshot->files[i].name, &snapshot->files[i].fd,
					 err) < 0)
			return err->code;
	return broker_snapshot_file(broker, MANIFEST_TEMPORARY_NAME, &snapshot->manifest_fd, err);
}

static int snapshot_store_memory(struct snapshot *snapshot, struct error *err)
{
	const struct guest_memory *memory = &snapshot->vm->memory;

	for (unsigned i = 0; i < memory->region_count; i++) {
		const struct guest_memory_region *region = &memory->regions[i];
		struct memory_index index = {0};

		if (memory_file_write(region, snapshot->memory_fds[i], &index, &snapshot->progress,
				      err) < 0 ||
		    manifest_add_memory(snapshot->manifest, i, region->gpa, region->size_bytes,
					&index, err) < 0) {
			memory_index_destroy(&index);
			return error_prefix(err, "memory-region-%u", i);
		}
	}
	return 0;
}

static int snapshot_store_manifest(struct snapshot *snapshot, struct error *err)
{
	cleanup_free uint8_t *data = NULL;
	size_t bytes;

	if (snapshot_file_pack(&snapshot->manifest->base, &data, &bytes, err) < 0 ||
	    snapshot_file_write(snapshot->manifest_fd, data, bytes, err) < 0)
		return error_prefix(err, "%s", MANIFEST_FILE_NAME);
	return 0;
}

int snapshot_store(struct snapshot *snapshot, struct error *err)
{
	if (snapshot_store_memory(snapshot, err) < 0)
		return err->code;
	for (unsigned i = 0; i < snapshot->file_count; i++) {
		struct snapshot_small_file *file = &snapshot->files[i];

		if (atomic_load(&snapshot->progress.cancelled))
			return error_set(err, -ECANCELED, "cancelled");
		if (snapshot_file_write(file->fd, file->data, file->bytes, err) < 0)
			return error_prefix(err, "%s", file->name);
	}
	return snapshot_store_manifest(snapshot, err);
}
