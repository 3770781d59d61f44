/* SPDX-License-Identifier: Apache-2.0 */
/* Which devices a configuration asks for: one function a kind, and the table of what PCI shows of
 * each. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/cleanup.h"
#include "proto/blk.pb-c.h"
#include "proto/console.pb-c.h"
#include "proto/rng.pb-c.h"
#include "vmm/core/control/vm_parts.h"

/* The device table: a new kind of device is one row here. Class codes: PCI Code and ID Assignment.
 */
static const struct device_kind {
	const char *kind;   /* bulkhead-KIND, devworkers/KIND */
	uint16_t virtio_id; /* virtio 1.2, 5 */
	uint32_t class_code;
} device_kinds[] = {
	{"blk", 2, 0x010000},	  /* mass storage, SCSI-less */
	{"console", 3, 0x078000}, /* communication, other */
	{"rng", 4, 0x00ff00},	  /* unclassified */
};

static const struct device_kind *device_kind_find(const char *kind)
{
	for (size_t i = 0; i < sizeof(device_kinds) / sizeof(*device_kinds); i++)
		if (strcmp(device_kinds[i].kind, kind) == 0)
			return &device_kinds[i];
	return NULL;
}

/* Pack the kind's config message and start its worker; takes fds in every case. */
static int vm_device_start(struct vm *vm, const char *kind_name, const char *id,
			   const ProtobufCMessage *config, const int *fds, unsigned fd_count,
			   struct error *err)
{
	const struct device_kind *kind = device_kind_find(kind_name);
	struct worker_device_options options = {
		.id = id,
		.kind = kind->kind,
		.virtio_device_id = kind->virtio_id,
		.class_code = kind->class_code,
		.fd_count = fd_count,
	};
	uint8_t packed[1024];
	struct worker_device *device;

	for (unsigned i = 0; i < fd_count; i++)
		options.fds[i] = fds[i];
	if (vm->device_count == VM_MAX_DEVICES ||
	    protobuf_c_message_get_packed_size(config) > sizeof(packed)) {
		for (unsigned i = 0; i < fd_count; i++)
			close(fds[i]);
		return error_set(
			err, -E2BIG,
			"device \"%s\": more than %d devices, or too large a configuration", id,
			VM_MAX_DEVICES);
	}
	options.config = packed;
	options.config_bytes = protobuf_c_message_pack(config, packed);
	if (vm->restore && vm_restore_saved_state(vm, id, kind->kind, &options.saved_state,
						  &options.saved_state_bytes, err) < 0) {
		for (unsigned i = 0; i < fd_count; i++)
			close(fds[i]);
		return err->code;
	}
	device = worker_device_new(&options, &vm->device_context, err);
	if (!device)
		return err->code;
	vm->devices_active[vm->device_count] = false;
	vm->devices[vm->device_count++] = device;
	vm->devices_waited_for++;
	return 0;
}

/* fd: the image; taken in every case. */
static int vm_device_start_disk(struct vm *vm, const Bulkhead__Config__Disk *disk, int fd,
				struct error *err)
{
	Bulkhead__Blk__Config config = BULKHEAD__BLK__CONFIG__INIT;

	config.read_only = disk->read_only;
	config.direct = disk->direct;
	config.num_queues = disk->num_queues;
	config.queue_size = disk->queue_size;
	config.serial = disk->serial;
	return vm_device_start(vm, "blk", disk->id, &config.base, &fd, 1, err);
}

static int vm_device_start_rng(struct vm *vm, const Bulkhead__Config__Rng *rng, struct error *err)
{
	Bulkhead__Rng__Config config = BULKHEAD__RNG__CONFIG__INIT;
	int fd = -1;

	/* The kernel's own generator is reached by getrandom(2), which needs no file. */
	config.has_source =
		strcmp(rng->src, "/dev/urandom") != 0 && strcmp(rng->src, "/dev/random") != 0;
	if (config.has_source && vm_resources_open_one(vm, "rng", NULL, 0, &fd, err) < 0)
		return err->code;
	return vm_device_start(vm, "rng", rng->id, &config.base, &fd, config.has_source, err);
}

static int vm_device_start_console(struct vm *vm, const Bulkhead__Config__Console *console,
				   struct error *err)
{
	static const Bulkhead__Console__Mode modes[] = {
		[BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_TTY] = BULKHEAD__CONSOLE__MODE__MODE_TTY,
		[BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE] = BULKHEAD__CONSOLE__MODE__MODE_FILE,
		[BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_PTY] = BULKHEAD__CONSOLE__MODE__MODE_PTY,
		[BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_SOCKET] =
			BULKHEAD__CONSOLE__MODE__MODE_SOCKET,
		[BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_NULL] = BULKHEAD__CONSOLE__MODE__MODE_NULL,
	};
	Bulkhead__Console__Config config = BULKHEAD__CONSOLE__CONFIG__INIT;
	char path[256] = "";
	int fds[2] = {-1, -1};
	unsigned fd_count = 0;

	config.mode = modes[console->mode];
	if (console->mode == BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_TTY) {
		fds[0] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
		fds[1] = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		fd_count = 2;
	} else if (console->mode != BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_NULL) {
		if (vm_resources_open_one(vm, "console", path, sizeof(path), &fds[0], err) < 0)
			return err->code;
		fd_count = 1;
	}
	if (path[0])
		vm->options.events->terminal(vm->options.opaque, vm, console->id, path);
	return vm_device_start(vm, "console", console->id, &config.base, fds, fd_count, err);
}

int vm_devices_start(struct vm *vm, struct error *err)
{
	const Bulkhead__Config__Vm *config = vm->config;

	for (size_t i = 0; i < config->n_disks; i++)
		if (vm_device_start_disk(vm, config->disks[i], fd_steal(&vm->files.disks[i]), err) <
		    0)
			return err->code;
	if (config->rng && vm_device_start_rng(vm, config->rng, err) < 0)
		return err->code;
	if (config->console && config->console->mode != BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_OFF)
		return vm_device_start_console(vm, config->console, err);
	return 0;
}
