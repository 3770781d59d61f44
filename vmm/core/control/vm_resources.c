/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a VM: declared to the broker, which opens nothing else, and opened through it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "proto/broker.pb-c.h"
#include "vmm/core/control/vm_parts.h"

#define MAX_RESOURCES 64

struct resource_list {
	Bulkhead__Broker__Resource items[MAX_RESOURCES];
	Bulkhead__Broker__Resource *pointers[MAX_RESOURCES];
	char ids[MAX_RESOURCES][96];
	size_t count;
};

static Bulkhead__Broker__Resource *resource_add(struct resource_list *list,
						Bulkhead__Broker__ResourceKind kind,
						const char *prefix, const char *id, char *path)
{
	Bulkhead__Broker__Resource *resource;

	if (list->count == MAX_RESOURCES)
		return NULL;
	resource = &list->items[list->count];
	bulkhead__broker__resource__init(resource);
	(void)snprintf(list->ids[list->count], sizeof(list->ids[0]), "%s%s", prefix, id);
	resource->id = list->ids[list->count];
	resource->kind = kind;
	resource->path = path;
	list->pointers[list->count++] = resource;
	return resource;
}

static void resource_add_terminal(struct resource_list *list, const char *id,
				  Bulkhead__Config__SerialMode mode, char *path)
{
	switch (mode) {
	case BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE:
		resource_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_OUTPUT_FILE, id, "",
			     path);
		break;
	case BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_PTY:
		resource_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_PTY, id, "", path);
		break;
	case BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_SOCKET:
		resource_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_LISTEN_SOCKET, id, "",
			     path);
		break;
	default:
		break;
	}
}

static void resource_list_fill(struct resource_list *list, const Bulkhead__Config__Vm *config)
{
	resource_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_KVM, "kvm", "", (char[]){""});
	if (config->payload->kernel[0])
		resource_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_FILE_READ, "kernel",
			     "", config->payload->kernel);
	if (config->payload->initramfs[0])
		resource_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_FILE_READ, "initramfs",
			     "", config->payload->initramfs);
	if (config->memory->file[0]) {
		Bulkhead__Broker__Resource *memory =
			resource_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_MEMORY_FILE,
				     "memory", "", config->memory->file);
		memory->size_bytes = config->memory->size_bytes;
	}
	for (size_t i = 0; i < config->n_disks; i++) {
		Bulkhead__Broker__Resource *disk =
			resource_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_DISK,
				     "disk:", config->disks[i]->id, config->disks[i]->path);
		if (!disk)
			return;
		disk->read_only = config->disks[i]->read_only;
		disk->direct = config->disks[i]->direct;
	}
	if (config->rng)
		resource_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_CHARACTER, "rng", "",
			     config->rng->src);
	resource_add_terminal(list, "serial", config->serial->mode, config->serial->path);
	if (config->console)
		resource_add_terminal(list, "console", config->console->mode,
				      config->console->path);
}

int vm_resources_declare(struct vm *vm, struct error *err)
{
	cleanup_free struct resource_list *list = calloc(1, sizeof(*list));
	Bulkhead__Broker__Declare declare = BULKHEAD__BROKER__DECLARE__INIT;

	if (!list)
		return error_set(err, -ENOMEM, "out of memory");
	resource_list_fill(list, vm->config);
	if (vm_restore_is_on_demand(vm))
		resource_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_USERFAULTFD,
			     "userfaultfd", "", (char[]){""});
	declare.resources = list->pointers;
	declare.n_resources = list->count;
	return broker_declare(vm->options.broker, &declare, err);
}

int vm_resources_open_one(struct vm *vm, const char *id, char *path, size_t path_bytes, int *fd,
			  struct error *err)
{
	return broker_open(vm->options.broker, id, path, path_bytes, fd, err);
}

static int vm_resources_open_serial(struct vm *vm, struct error *err)
{
	char path[256] = "";

	switch (vm->config->serial->mode) {
	case BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_TTY:
		vm->files.serial_input = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
		vm->files.serial_output = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		return 0;
	case BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE:
		return vm_resources_open_one(vm, "serial", NULL, 0, &vm->files.serial_output, err);
	case BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_PTY:
		if (vm_resources_open_one(vm, "serial", path, sizeof(path), &vm->files.serial_input,
					  err) < 0)
			return err->code;
		vm->options.events->terminal(vm->options.opaque, vm, "serial", path);
		return 0;
	case BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_SOCKET:
		return vm_resources_open_one(vm, "serial", NULL, 0, &vm->files.serial_input, err);
	default:
		return 0;
	}
}

/* A restored VM needs its kernel only to reboot: without the file it runs all the same. */
static int vm_resources_open_payload(struct vm *vm, struct error *err)
{
	const Bulkhead__Config__Payload *payload = vm->config->payload;

	if (payload->kernel[0] &&
	    vm_resources_open_one(vm, "kernel", NULL, 0, &vm->files.kernel, err) < 0)
		error_prefix(err, "kernel");
	else if (payload->initramfs[0] &&
		 vm_resources_open_one(vm, "initramfs", NULL, 0, &vm->files.initramfs, err) < 0)
		error_prefix(err, "initramfs");
	else
		return 0;
	if (!vm->restore)
		return err->code;
	log_warning("%s: the guest will not be able to reboot", err->message);
	fd_close(&vm->files.kernel);
	return 0;
}

int vm_resources_open(struct vm *vm, struct error *err)
{
	const Bulkhead__Config__Vm *config = vm->config;

	if (vm_resources_open_one(vm, "kvm", NULL, 0, &vm->files.kvm, err) < 0)
		return err->code;
	if (vm_resources_open_payload(vm, err) < 0)
		return err->code;
	if (config->memory->file[0] &&
	    vm_resources_open_one(vm, "memory", NULL, 0, &vm->files.memory, err) < 0)
		return error_prefix(err, "guest memory");
	if (vm_resources_open_serial(vm, err) < 0)
		return error_prefix(err, "serial");
	if (vm_restore_is_on_demand(vm) &&
	    vm_resources_open_one(vm, "userfaultfd", NULL, 0, &vm->files.userfaultfd, err) < 0)
		return error_prefix(err, "memory on demand");
	vm->device_context.userfaultfd_device = vm->files.userfaultfd;
	return 0;
}

void vm_resources_close(struct vm *vm)
{
	fd_close(&vm->files.kvm);
	fd_close(&vm->files.kernel);
	fd_close(&vm->files.initramfs);
	fd_close(&vm->files.memory);
	fd_close(&vm->files.serial_input);
	fd_close(&vm->files.serial_output);
	fd_close(&vm->files.userfaultfd);
	vm->device_context.userfaultfd_device = -1;
}
