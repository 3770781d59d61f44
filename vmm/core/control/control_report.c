/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that only look: ping, info, processes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/core/config/vm_config.h"
#include "vmm/core/control/control_parts.h"
#include "vmm/core/control/control_view.h"
#include "vmm/core/kvm/vcpu.h"

#define MAX_DEVICES 64

void control_do_ping(struct control *control, const ProtobufCMessage *request,
		     struct control_call *call)
{
	Bulkhead__Control__Pong reply = BULKHEAD__CONTROL__PONG__INIT;
	char version[] = "v" BULKHEAD_VERSION;

	(void)control;
	(void)request;
	reply.version = version;
	reply.pid = getpid();
	control_call_reply(call, &reply.base);
}

/* What the API knows of; the rest is on the way from one to another. */
static Bulkhead__Control__VmState state_for_api(enum vm_state state)
{
	switch (state) {
	case VM_CREATED:
	case VM_BOOTING:
		return BULKHEAD__CONTROL__VM_STATE__STATE_CREATED;
	case VM_PAUSED:
	case VM_SNAPSHOTTING:
		return BULKHEAD__CONTROL__VM_STATE__STATE_PAUSED;
	case VM_SHUTDOWN:
		return BULKHEAD__CONTROL__VM_STATE__STATE_SHUTDOWN;
	default:
		return BULKHEAD__CONTROL__VM_STATE__STATE_RUNNING;
	}
}

/* Texts are borrowed for as long as the reply is being packed. */
static char *borrow(const char *text)
{
	return (char *)(uintptr_t)text;
}

static size_t info_devices(const struct vm *vm, Bulkhead__Control__Device *devices,
			   Bulkhead__Control__Device **pointers)
{
	unsigned count = control_view_device_count(vm);

	if (count > MAX_DEVICES)
		count = MAX_DEVICES;
	for (unsigned i = 0; i < count; i++) {
		const struct worker_device *device = control_view_device(vm, i);

		bulkhead__control__device__init(&devices[i]);
		devices[i].id = borrow(worker_device_id(device));
		devices[i].kind = borrow(worker_device_kind(device));
		devices[i].pci_slot = control_view_pci_slot(device);
		devices[i].worker_state = borrow(control_view_device_state(device));
		pointers[i] = &devices[i];
	}
	return count;
}

void control_do_info(struct control *control, const ProtobufCMessage *request,
		     struct control_call *call)
{
	const struct vm *vm = control_call_vm(call);
	Bulkhead__Control__Info reply = BULKHEAD__CONTROL__INFO__INIT;
	Bulkhead__Control__Device devices[MAX_DEVICES], *device_pointers[MAX_DEVICES];
	Bulkhead__Control__Terminal terminals[CONTROL_MAX_TERMINALS];
	Bulkhead__Control__Terminal *terminal_pointers[CONTROL_MAX_TERMINALS];
	int32_t threads[VCPU_MAX];

	(void)request;
	if (!vm)
		return;
	reply.config = vm_config_copy(vm_config(vm));
	if (!reply.config) {
		control_call_fail_text(call, -ENOMEM, "out of memory");
		return;
	}
	reply.state = state_for_api(vm_state(vm));
	reply.phase = borrow(vm_state_name(vm_state(vm)));
	reply.memory_bytes = reply.config->memory->size_bytes;
	reply.n_devices = info_devices(vm, devices, device_pointers);
	reply.devices = device_pointers;
	reply.n_vcpu_threads = control_view_vcpu_threads(vm, threads, VCPU_MAX);
	reply.vcpu_threads = threads;
	for (unsigned i = 0; i < control->terminal_count; i++) {
		bulkhead__control__terminal__init(&terminals[i]);
		terminals[i].device_id = control->terminals[i].device_id;
		terminals[i].path = control->terminals[i].path;
		terminal_pointers[i] = &terminals[i];
	}
	reply.terminals = terminal_pointers;
	reply.n_terminals = control->terminal_count;
	control_call_reply(call, &reply.base);
	vm_config_free(reply.config);
}

/* ---- processes ---- */

struct process_list {
	Bulkhead__Control__Process items[MAX_DEVICES + 3];
	Bulkhead__Control__Process *pointers[MAX_DEVICES + 3];
	size_t count;
};

static void process_add(struct process_list *list, const char *role, const char *device_id,
			int32_t pid, uint32_t uid, const char *state)
{
	Bulkhead__Control__Process *process = &list->items[list->count];

	bulkhead__control__process__init(process);
	process->role = borrow(role);
	process->device_id = borrow(device_id);
	process->pid = pid;
	process->uid = uid;
	process->state = borrow(state);
	list->pointers[list->count++] = process;
}

static void process_add_devices(struct process_list *list, const struct vm *vm)
{
	for (unsigned i = 0; i < control_view_device_count(vm) && i < MAX_DEVICES; i++) {
		const struct worker_device *device = control_view_device(vm, i);

		process_add(list, worker_device_kind(device), worker_device_id(device),
			    worker_device_pid(device), worker_device_uid(device),
			    control_view_device_state(device));
	}
}

/* Uids as the host sees them: the core's own would be those of its user namespace. */
void control_do_processes(struct control *control, const ProtobufCMessage *request,
			  struct control_call *call)
{
	const Bulkhead__Broker__Welcome *welcome = broker_client_welcome(control->options.broker);
	const struct vm *vm = control->options.host->vm(control->options.opaque);
	Bulkhead__Control__Processes reply = BULKHEAD__CONTROL__PROCESSES__INIT;
	struct process_list *list = calloc(1, sizeof(*list));

	(void)request;
	if (!list) {
		control_call_fail_text(call, -ENOMEM, "out of memory");
		return;
	}
	process_add(list, "core", "", getpid(), welcome->core_uid,
		    vm ? vm_state_name(vm_state(vm)) : "no VM");
	process_add(list, "broker", "", welcome->pid, control->options.owner_uid, "running");
	if (control->gateway)
		process_add(list, "gateway", "", control->gateway->pid, control->gateway->uid,
			    control->gateway->pid ? "running" : "starting");
	if (vm)
		process_add_devices(list, vm);
	reply.processes = list->pointers;
	reply.n_processes = list->count;
	control_call_reply(call, &reply.base);
	free(list);
}
