/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that change the VM's state. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/core/config/option_string.h"
#include "vmm/core/config/vm_config.h"
#include "vmm/core/control/control_parts.h"

/* The end of an operation that has a callback. */
static void on_done(void *opaque, struct vm *vm, const struct error *err)
{
	struct control_call *call = opaque;

	(void)vm;
	if (err)
		control_call_fail_operation(call, err);
	else
		control_call_reply(call, NULL);
}

/* An operation that was refused: it has no fields, so what does not fit is the state. */
static void refuse(struct control_call *call, struct error *err)
{
	if (err->code == -EINVAL)
		err->code = -EBADFD;
	control_call_fail_operation(call, err);
}

static void finish(struct control_call *call, int result, struct error *err)
{
	if (result < 0)
		refuse(call, err);
	else
		control_call_reply(call, NULL);
}

/* ---- create ---- */

/* The core's messages name fields as the command line does. */
void control_name_as_api(struct error *err)
{
	static const char *const names[][2] = {
		{"--cpus", "cpus"}, {"--memory", "memory"},  {"--disk", "disks"},
		{"--rng", "rng"},   {"--serial", "serial"},  {"--console", "console"},
		{"--name", "name"}, {"--kernel", "payload"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		size_t length = strlen(names[i][0]);
		char rest[ERROR_MESSAGE_SIZE];

		if (strncmp(err->message, names[i][0], length) != 0)
			continue;
		memcpy(rest, err->message + length, sizeof(rest) - length);
		(void)snprintf(err->message, sizeof(err->message), "%s%s", names[i][1], rest);
		return;
	}
}

void control_do_create(struct control *control, const ProtobufCMessage *request,
		       struct control_call *call)
{
	const struct control_host_ops *host = control->options.host;
	struct error err = ERROR_INIT;
	Bulkhead__Config__Vm *config;

	if (host->vm(control->options.opaque)) {
		control_call_fail_text(call, -EEXIST, "a VM is created already");
		return;
	}
	config = vm_config_copy((const Bulkhead__Config__Vm *)request);
	if (!config) {
		control_call_fail_text(call, -ENOMEM, "out of memory");
		return;
	}
	if (!config->name[0])
		(void)option_set_string(&config->name, control->vm_name, strlen(control->vm_name));
	if (vm_config_complete(config, &err) < 0 ||
	    host->create_vm(control->options.opaque, config, &err) < 0) {
		control_name_as_api(&err);
		vm_config_free(config);
		control_call_fail(call, &err);
		return;
	}
	control->terminal_count = 0;
	control_call_reply(call, NULL);
}

/* ---- boot, pause, resume, reboot, buttons ---- */

void control_do_boot(struct control *control, const ProtobufCMessage *request,
		     struct control_call *call)
{
	struct vm *vm = control_call_vm(call);
	struct error err = ERROR_INIT;

	(void)request;
	if (!vm)
		return;
	if (vm_state(vm) != VM_CREATED && vm_state(vm) != VM_SHUTDOWN) {
		control_call_fail_text(call, -EBADFD, "cannot boot: the VM is %s",
				       vm_state_name(vm_state(vm)));
		return;
	}
	control->terminal_count = 0;
	if (vm_boot(vm, on_done, call, &err) < 0)
		control_call_fail_operation(call, &err);
}

void control_do_reboot(struct control *control, const ProtobufCMessage *request,
		       struct control_call *call)
{
	struct vm *vm = control_call_vm(call);
	bool asked_before = control->reset_asked;
	struct error err = ERROR_INIT;

	(void)request;
	if (!vm)
		return;
	control->reset_asked = true;
	if (vm_reset(vm, on_done, call, &err) < 0) {
		control->reset_asked = asked_before; /* by somebody whose reset is under way */
		refuse(call, &err);
	}
}

/* Start what brings the VM into `target`. In it already: done, if the client asks for that. */
static void pause_or_resume(const ProtobufCMessage *request, struct control_call *call,
			    enum vm_state target,
			    int (*start)(struct vm *, vm_done_fn, void *, struct error *))
{
	struct vm *vm = control_call_vm(call);
	struct error err = ERROR_INIT;

	if (!vm)
		return;
	if (((const Bulkhead__Control__Pause *)request)->also_when_done && vm_state(vm) == target)
		control_call_reply(call, NULL);
	else if (start(vm, on_done, call, &err) < 0)
		refuse(call, &err);
}

void control_do_pause(struct control *control, const ProtobufCMessage *request,
		      struct control_call *call)
{
	(void)control;
	pause_or_resume(request, call, VM_PAUSED, vm_pause);
}

void control_do_resume(struct control *control, const ProtobufCMessage *request,
		       struct control_call *call)
{
	(void)control;
	pause_or_resume(request, call, VM_RUNNING, vm_resume);
}

void control_do_power_button(struct control *control, const ProtobufCMessage *request,
			     struct control_call *call)
{
	struct vm *vm = control_call_vm(call);
	struct error err = ERROR_INIT;
	int result;

	(void)request;
	if (!vm)
		return;
	result = vm_power_button(vm, &err);
	finish(call, result, &err);
	if (result == 0)
		control_event(control, BULKHEAD__CONTROL__EVENT_KIND__EVENT_POWERDOWN, "vm",
			      "power-button", NULL);
}

void control_do_nmi(struct control *control, const ProtobufCMessage *request,
		    struct control_call *call)
{
	struct vm *vm = control_call_vm(call);
	struct error err = ERROR_INIT;

	(void)control;
	(void)request;
	if (vm)
		finish(call, vm_inject_nmi(vm, &err), &err);
}

/* ---- shutdown, delete, the end ---- */

static void on_deleted(void *opaque)
{
	struct control_call *call = opaque;

	control_event(call->control, BULKHEAD__CONTROL__EVENT_KIND__EVENT_OTHER, "vm", "deleted",
		      NULL);
	control_call_reply(call, NULL);
}

static void delete_now(struct control *control, struct control_call *call)
{
	struct error err = ERROR_INIT;

	if (control->options.host->delete_vm(control->options.opaque, on_deleted, call, &err) < 0)
		control_call_fail(call, &err);
}

/* The VM has ended. */
void control_finish_shutdown(struct control *control)
{
	struct control_call *call = control->shutdown_call;

	control->shutdown_call = NULL;
	if (!call)
		return;
	if (control->delete_after_shutdown)
		delete_now(control, call);
	else
		control_call_reply(call, NULL);
}

static void shutdown_begin(struct control *control, struct vm *vm, struct control_call *call,
			   bool delete_after)
{
	struct error why = ERROR_INIT;
	struct error err = ERROR_INIT;

	if (control->shutdown_call) {
		control_call_fail_text(call, -EBUSY, "the VM is being shut down already");
		return;
	}
	error_set(&why, CONTROL_OPERATOR_REASON, "shut down by the operator");
	control->shutdown_call = call;
	control->delete_after_shutdown = delete_after;
	if (vm_shutdown(vm, VM_END_POWER_OFF, &why) == 0)
		return;
	control->shutdown_call = NULL;
	error_set(&err, -EBADFD, "cannot shut down: the VM is %s", vm_state_name(vm_state(vm)));
	control_call_fail(call, &err);
}

void control_do_shutdown(struct control *control, const ProtobufCMessage *request,
			 struct control_call *call)
{
	struct vm *vm = control_call_vm(call);

	(void)request;
	if (vm)
		shutdown_begin(control, vm, call, false);
}

void control_do_delete(struct control *control, const ProtobufCMessage *request,
		       struct control_call *call)
{
	struct vm *vm = control_call_vm(call);

	(void)request;
	if (!vm)
		return;
	if (vm_state(vm) == VM_CREATED || vm_state(vm) == VM_SHUTDOWN)
		delete_now(control, call);
	else
		shutdown_begin(control, vm, call, true);
}

void control_do_vmm_shutdown(struct control *control, const ProtobufCMessage *request,
			     struct control_call *call)
{
	bool first = !control->vmm_shutdown_asked;

	(void)request;
	control->vmm_shutdown_asked = true;
	/* The answer is on its way before anything ends. */
	control_call_reply(call, NULL);
	if (first && !control->stopping)
		control->options.host->shutdown_vmm(control->options.opaque);
}
