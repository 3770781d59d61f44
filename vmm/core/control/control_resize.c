/* SPDX-License-Identifier: Apache-2.0 */
/* vm.resize-disk: the disk's worker gives its image the size and tells the driver. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "proto/blk.pb-c.h"
#include "vmm/core/control/control_parts.h"
#include "vmm/core/control/control_view.h"

#define SECTOR_BYTES 512U

static void on_resized(void *opaque, struct worker_device *device, const struct error *err)
{
	struct control_call *call = opaque;

	(void)device;
	if (err)
		control_call_fail_operation(call, err);
	else
		control_call_reply(call, NULL);
}

void control_do_resize_disk(struct control *control, const ProtobufCMessage *request,
			    struct control_call *call)
{
	const Bulkhead__Control__ResizeDisk *resize =
		(const Bulkhead__Control__ResizeDisk *)request;
	Bulkhead__Blk__Update update = BULKHEAD__BLK__UPDATE__INIT;
	struct vm *vm = control_call_vm(call);
	struct worker_device *device;
	struct error err = ERROR_INIT;
	uint8_t packed[32];
	size_t bytes;

	(void)control;
	if (!vm)
		return;
	if (vm_state(vm) != VM_RUNNING && vm_state(vm) != VM_PAUSED) {
		control_call_fail_text(call, -EBADFD, "cannot resize a disk: the VM is %s",
				       vm_state_name(vm_state(vm)));
		return;
	}
	device = control_view_find_device(vm, resize->id);
	if (!device || strcmp(worker_device_kind(device), "blk") != 0) {
		control_call_fail_text(call, -ENOENT, "id: no disk is called \"%.64s\"",
				       resize->id);
		return;
	}
	if (resize->size_bytes == 0 || resize->size_bytes % SECTOR_BYTES ||
	    resize->size_bytes > INT64_MAX) {
		control_call_fail_text(call, -EINVAL,
				       "desired_size: %" PRIu64 " is not a multiple of %u bytes",
				       resize->size_bytes, SECTOR_BYTES);
		return;
	}
	update.size_bytes = resize->size_bytes;
	update.grow = true;
	bytes = bulkhead__blk__update__pack(&update, packed);
	if (worker_device_update(device, packed, bytes, NULL, 0, on_resized, call, &err) < 0)
		control_call_fail_operation(call, &err);
}
