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
#include "vmm/core/config/resources.h"
#include "vmm/core/control/vm_parts.h"

int vm_resources_declare(struct vm *vm, struct error *err)
{
	cleanup_free struct resource_list *list = NULL;
	Bulkhead__Broker__Declare declare = BULKHEAD__BROKER__DECLARE__INIT;

	/* The gateway has declared them from what its client sent; but not what a snapshot names.
	 */
	if (broker_is_sealed(vm->options.broker) && !vm->restore)
		return 0;
	list = resource_list_new(vm->config);
	if (!list)
		return error_set(err, -ENOMEM, "out of memory");
	if (vm_restore_is_on_demand(vm))
		(void)resource_list_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_USERFAULTFD,
					"userfaultfd", "", "");
	declare.resources = list->pointers;
	declare.n_resources = list->count;
	return broker_declare(vm->options.broker, &declare, err);
}

/* As this VM's configuration has it: what other clients declared for VMs that were refused is not
 * ours. */
int vm_resources_open_one(struct vm *vm, const char *id, char *path, size_t path_bytes, int *fd,
			  struct error *err)
{
	cleanup_free struct resource_list *list = resource_list_new(vm->config);

	if (!list)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].id, id) == 0)
			return broker_open_declared(vm->options.broker, &list->items[i], path,
						    path_bytes, fd, err);
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

	if ((!payload->kernel[0] ||
	     vm_resources_open_one(vm, "kernel", NULL, 0, &vm->files.kernel, err) == 0) &&
	    (!payload->initramfs[0] ||
	     vm_resources_open_one(vm, "initramfs", NULL, 0, &vm->files.initramfs, err) == 0))
		return 0;
	if (!vm->restore)
		return err->code;
	log_warning("%s: the guest will not be able to reboot", err->message);
	fd_close(&vm->files.kernel);
	return 0;
}

int vm_resources_open_locked(struct vm *vm, struct error *err)
{
	const Bulkhead__Config__Vm *config = vm->config;
	char resource[96];

	if (config->n_disks > VM_MAX_DEVICES)
		return error_set(err, -E2BIG, "more than %d disks", VM_MAX_DEVICES);
	for (size_t i = 0; i < config->n_disks; i++) {
		const char *id = config->disks[i]->id;

		(void)snprintf(resource, sizeof(resource), "disk:%s", id);
		if (vm->files.disks[i] < 0 &&
		    vm_resources_open_one(vm, resource, NULL, 0, &vm->files.disks[i], err) < 0)
			return err->code;
	}
	if (config->memory->file[0] && vm->files.memory < 0 &&
	    vm_resources_open_one(vm, "memory", NULL, 0, &vm->files.memory, err) < 0)
		return err->code;
	return 0;
}

/* Not a file of the operator's: it is for the host to have it, and to let us have it. */
static int host_lacks(struct error *err)
{
	if (err->code == -ENOENT || err->code == -EACCES || err->code == -EPERM)
		err->code = -ENODEV;
	return err->code;
}

int vm_resources_open(struct vm *vm, struct error *err)
{
	if (vm_resources_open_one(vm, "kvm", NULL, 0, &vm->files.kvm, err) < 0)
		return host_lacks(err);
	if (vm_resources_open_payload(vm, err) < 0)
		return err->code;
	if (vm_resources_open_serial(vm, err) < 0)
		return err->code;
	if (vm_restore_is_on_demand(vm) &&
	    vm_resources_open_one(vm, "userfaultfd", NULL, 0, &vm->files.userfaultfd, err) < 0) {
		error_prefix(err, "memory on demand");
		return host_lacks(err);
	}
	vm->device_context.userfaultfd_device = vm->files.userfaultfd;
	return 0;
}

void vm_resources_close(struct vm *vm)
{
	fd_close(&vm->files.kvm);
	fd_close(&vm->files.kernel);
	fd_close(&vm->files.initramfs);
	fd_close(&vm->files.memory);
	for (unsigned i = 0; i < VM_MAX_DEVICES; i++)
		fd_close(&vm->files.disks[i]);
	fd_close(&vm->files.serial_input);
	fd_close(&vm->files.serial_output);
	fd_close(&vm->files.userfaultfd);
	vm->device_context.userfaultfd_device = -1;
}
