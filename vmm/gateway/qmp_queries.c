/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/qmp_queries.h"

#include <stdio.h>

#include "proto/control.pb-c.h"
#include "vmm/gateway/api_write.h"
#include "vmm/gateway/gateway.h"
#include "vmm/gateway/qmp_commands.h"

json_t *qmp_version(void)
{
	return json_pack("{s:{s:i, s:i, s:i}, s:s}", "qemu", "micro", 0, "minor", 0, "major",
			 QMP_VERSION_MAJOR, "package", "bulkhead v" BULKHEAD_VERSION);
}

json_t *qmp_answer_version(const struct gateway *gateway)
{
	(void)gateway;
	return qmp_version();
}

json_t *qmp_write_name(const ProtobufCMessage *reply)
{
	const Bulkhead__Control__Info *info = (const Bulkhead__Control__Info *)reply;

	return json_pack("{s:s}", "name", info->config ? info->config->name : "");
}

json_t *qmp_answer_name(const struct gateway *gateway)
{
	return json_pack("{s:s}", "name", gateway->vm_name);
}

static json_t *status_of(const char *status, bool running)
{
	return json_pack("{s:s, s:b, s:b}", "status", status, "running", running, "singlestep", 0);
}

json_t *qmp_answer_no_vm(const struct gateway *gateway)
{
	(void)gateway;
	return status_of("prelaunch", false);
}

json_t *qmp_write_status(const ProtobufCMessage *reply)
{
	switch (((const Bulkhead__Control__Info *)reply)->state) {
	case BULKHEAD__CONTROL__VM_STATE__STATE_RUNNING:
		return status_of("running", true);
	case BULKHEAD__CONTROL__VM_STATE__STATE_PAUSED:
		return status_of("paused", false);
	case BULKHEAD__CONTROL__VM_STATE__STATE_SHUTDOWN:
		return status_of("shutdown", false);
	default:
		return status_of("prelaunch", false);
	}
}

json_t *qmp_write_cpus(const ProtobufCMessage *reply)
{
	const Bulkhead__Control__Info *info = (const Bulkhead__Control__Info *)reply;
	json_t *list = json_array();
	unsigned count = info->config && info->config->cpus ? info->config->cpus->boot : 0;

	for (unsigned i = 0; i < count && i < 1024; i++) {
		char path[48];
		json_t *cpu;

		(void)snprintf(path, sizeof(path), "/machine/unattached/device[%u]", i);
		cpu = json_pack("{s:i, s:s, s:s}", "cpu-index", (int)i, "qom-path", path, "target",
				"x86_64");
		if (i < info->n_vcpu_threads)
			(void)json_object_set_new(cpu, "thread-id",
						  json_integer(info->vcpu_threads[i]));
		(void)json_array_append_new(list, cpu);
	}
	return list;
}

/* No limit is set, no image stands behind another. */
static json_t *block_inserted(const Bulkhead__Config__Disk *disk)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:i, s:s, s:b, s:i, s:i, s:i, s:i, s:i, s:i, s:i, "
			 "s:{s:b, s:b, s:b}}",
			 "file", disk->path, "node-name", disk->id, "drv", "raw", "ro",
			 (int)disk->read_only, "backing_file_depth", 0, "detect_zeroes", "off",
			 "encrypted", 0, "bps", 0, "bps_rd", 0, "bps_wr", 0, "iops", 0, "iops_rd",
			 0, "iops_wr", 0, "write_threshold", 0, "cache", "writeback", 1, "direct",
			 (int)disk->direct, "no-flush", 0);
}

json_t *qmp_write_block(const ProtobufCMessage *reply)
{
	const Bulkhead__Control__Info *info = (const Bulkhead__Control__Info *)reply;
	json_t *list = json_array();

	for (size_t i = 0; info->config && i < info->config->n_disks; i++) {
		const Bulkhead__Config__Disk *disk = info->config->disks[i];
		json_t *inserted = block_inserted(disk);
		json_t *device =
			json_pack("{s:s, s:s, s:s, s:b, s:b}", "device", disk->id, "qdev", disk->id,
				  "type", "unknown", "removable", 0, "locked", 0);

		(void)json_object_set_new(device, "inserted", inserted);
		(void)json_array_append_new(list, device);
	}
	return list;
}

json_t *qmp_write_migrate(const ProtobufCMessage *reply)
{
	const Bulkhead__Control__SnapshotProgress *progress =
		(const Bulkhead__Control__SnapshotProgress *)reply;
	uint64_t left = progress->total_bytes > progress->done_bytes
				? progress->total_bytes - progress->done_bytes
				: 0;
	json_t *object = json_pack("{s:s}", "status", api_snapshot_status_name(progress->status));

	if (progress->status == BULKHEAD__CONTROL__SNAPSHOT_STATUS__SNAPSHOT_NONE)
		return object;
	(void)json_object_set_new(object, "total-time",
				  json_integer((json_int_t)(progress->elapsed_ms & INT64_MAX)));
	(void)json_object_set_new(object, "ram",
				  json_pack("{s:I, s:I, s:I}", "transferred",
					    (json_int_t)(progress->done_bytes & INT64_MAX),
					    "remaining", (json_int_t)(left & INT64_MAX), "total",
					    (json_int_t)(progress->total_bytes & INT64_MAX)));
	if (progress->error[0])
		(void)json_object_set_new(object, "error-desc", json_string(progress->error));
	return object;
}
