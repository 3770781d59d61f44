/* SPDX-License-Identifier: Apache-2.0 */
/* What happens, told to the event monitor as JSON and to the gateway as a message. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ipc/log_format.h"
#include "vmm/core/control/control_parts.h"
#include "vmm/core/control/control_view.h"

#define MAX_PROPERTIES	  8
#define MONITOR_LINE_SIZE 4096 /* at most PIPE_BUF: a line in a pipe comes whole or not at all */

#define OTHER BULKHEAD__CONTROL__EVENT_KIND__EVENT_OTHER

/* ---- the monitor ---- */

static size_t line_add(char *line, size_t used, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The new length; MONITOR_LINE_SIZE: it does not fit. */
static size_t line_add(char *line, size_t used, const char *format, ...)
{
	va_list arguments;
	int length;

	if (used >= MONITOR_LINE_SIZE)
		return MONITOR_LINE_SIZE;
	va_start(arguments, format);
	length = vsnprintf(line + used, MONITOR_LINE_SIZE - used, format, arguments);
	va_end(arguments);
	return length < 0 || (size_t)length >= MONITOR_LINE_SIZE - used ? MONITOR_LINE_SIZE
									: used + (size_t)length;
}

static size_t line_add_properties(char *line, size_t used, const Bulkhead__Control__Event *event)
{
	char value[1024];

	if (event->n_properties == 0)
		return line_add(line, used, "null");
	for (size_t i = 0; i < event->n_properties; i++) {
		(void)log_escape(value, sizeof(value), event->properties[i]->value, true);
		used = line_add(line, used, "%s\"%s\":\"%s\"", i ? "," : "{",
				event->properties[i]->name, value);
	}
	return line_add(line, used, "}");
}

/* One object, then a blank line: how readers tell them apart. */
static void monitor_write(struct control *control, const Bulkhead__Control__Event *event)
{
	char line[MONITOR_LINE_SIZE];
	size_t used = line_add(line, 0,
			       "{\"timestamp\":{\"secs\":%" PRIu64 ",\"nanos\":%u},"
			       "\"source\":\"%s\",\"event\":\"%s\",\"properties\":",
			       event->seconds, event->nanoseconds, event->source, event->event);

	used = line_add_properties(line, used, event);
	used = line_add(line, used, "}\n\n");
	if (used == MONITOR_LINE_SIZE ||
	    write(control->options.event_monitor_fd, line, used) != (ssize_t)used)
		if (control->events_lost++ == 0)
			log_warning("the event monitor does not take events: some are lost");
}

/* ---- events ---- */

static size_t event_take_properties(Bulkhead__Control__Property *properties,
				    Bulkhead__Control__Property **pointers, va_list arguments)
{
	size_t count = 0;
	char *name;

	while (count < MAX_PROPERTIES && (name = va_arg(arguments, char *))) {
		bulkhead__control__property__init(&properties[count]);
		properties[count].name = name;
		properties[count].value = va_arg(arguments, char *);
		pointers[count] = &properties[count];
		count++;
	}
	return count;
}

static void event_send(struct control *control, const Bulkhead__Control__Event *event)
{
	struct error err = ERROR_INIT;

	if (!control->gateway || control->gateway->closing)
		return;
	if (channel_event(control->gateway->channel, CONTROL_MESSAGE(EVENT), &event->base, NULL, 0,
			  &err) < 0)
		log_debug("event for the gateway: %s", err.message);
	control_gateway_update(control);
}

void control_event(struct control *control, Bulkhead__Control__EventKind kind, const char *source,
		   const char *event, ...)
{
	Bulkhead__Control__Event message = BULKHEAD__CONTROL__EVENT__INIT;
	Bulkhead__Control__Property properties[MAX_PROPERTIES], *pointers[MAX_PROPERTIES];
	struct timespec now;
	va_list arguments;

	if (!control)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	message.kind = kind;
	message.seconds = (uint64_t)now.tv_sec;
	message.nanoseconds = (uint32_t)now.tv_nsec;
	message.source = (char *)(uintptr_t)source;
	message.event = (char *)(uintptr_t)event;
	va_start(arguments, event);
	message.n_properties = event_take_properties(properties, pointers, arguments);
	va_end(arguments);
	message.properties = pointers;
	if (control->options.event_monitor_fd >= 0)
		monitor_write(control, &message);
	event_send(control, &message);
}

/* ---- what the VM's owner passes on ---- */

struct state_event {
	enum vm_state from, to;
	Bulkhead__Control__EventKind kind;
	const char *event;
};

/* ANY: whatever it was before. Several rows may fit: all are told, in this order. */
#define ANY ((enum vm_state) - 1)

static const struct state_event state_events[] = {
	{VM_BOOTING, VM_RUNNING, OTHER, "booted"},
	{VM_BOOTING, VM_PAUSED, OTHER, "restored"},
	{ANY, VM_PAUSING, OTHER, "pausing"},
	{VM_PAUSING, VM_PAUSED, BULKHEAD__CONTROL__EVENT_KIND__EVENT_STOP, "paused"},
	{VM_PAUSED, VM_RUNNING, OTHER, "resuming"},
	{VM_PAUSED, VM_RUNNING, BULKHEAD__CONTROL__EVENT_KIND__EVENT_RESUME, "resumed"},
	{ANY, VM_SNAPSHOTTING, OTHER, "snapshotting"},
	{ANY, VM_RESETTING, OTHER, "rebooting"},
};

static void tell_reset(struct control *control)
{
	bool by_host = control->reset_asked;

	control->reset_asked = false;
	control_event(control, BULKHEAD__CONTROL__EVENT_KIND__EVENT_RESET, "vm", "rebooted",
		      "guest", by_host ? "false" : "true", "reason",
		      by_host ? "host-qmp-system-reset" : "guest-reset", NULL);
	if (control->reset_resumes)
		control_event(control, BULKHEAD__CONTROL__EVENT_KIND__EVENT_RESUME, "vm", "resumed",
			      NULL);
}

/* A new life of the VM: what is left of the last one is forgotten. */
static void begin(struct control *control)
{
	const struct vm *vm = control->options.host->vm(control->options.opaque);
	bool restores = vm && control_view_is_restoring(vm);

	control->vm_shutdown_told = control->reset_asked = false;
	control_event(control, OTHER, "vm", restores ? "restoring" : "booting", NULL);
}

static void tell_workers(struct control *control)
{
	const struct vm *vm = control->options.host->vm(control->options.opaque);

	for (unsigned i = 0; vm && i < control_view_device_count(vm); i++) {
		const struct worker_device *device = control_view_device(vm, i);
		char pid_text[16];

		(void)snprintf(pid_text, sizeof(pid_text), "%d", worker_device_pid(device));
		control_event(control, OTHER, "worker", "started", "id", worker_device_id(device),
			      "kind", worker_device_kind(device), "pid", pid_text, NULL);
	}
}

void control_on_vm_state(struct control *control, enum vm_state from, enum vm_state to)
{
	if (!control)
		return;
	if (to == VM_BOOTING)
		begin(control);
	if (from == VM_BOOTING && (to == VM_RUNNING || to == VM_PAUSED))
		tell_workers(control);
	if (to == VM_RESETTING)
		control->reset_resumes = from == VM_PAUSED;
	for (size_t i = 0; i < sizeof(state_events) / sizeof(*state_events); i++) {
		const struct state_event *row = &state_events[i];

		if (row->to == to && (row->from == from || row->from == ANY))
			control_event(control, row->kind, "vm", row->event, NULL);
	}
	if (from == VM_RESETTING && to == VM_RUNNING)
		tell_reset(control);
}

/* The reasons that QMP knows (RunState's ShutdownCause). */
static const char *end_reason(const struct control *control, enum vm_end why, int code,
			      const char **guest)
{
	*guest = "false";
	switch (why) {
	case VM_END_POWER_OFF:
		break;
	case VM_END_PANIC:
		*guest = "true";
		return "guest-panic";
	case VM_END_TRIPLE_FAULT:
		*guest = "true";
		return "guest-reset";
	default:
		return "host-error";
	}
	if (code == -EINTR)
		return "host-signal";
	if (control->vmm_shutdown_asked || code == CONTROL_OPERATOR_REASON)
		return "host-qmp-quit";
	*guest = "true";
	return "guest-shutdown";
}

void control_on_vm_ended(struct control *control, enum vm_end why, const struct error *text)
{
	const char *guest;
	const char *reason;

	if (!control)
		return;
	reason = end_reason(control, why, text->code, &guest);
	control->vm_shutdown_told = true;
	control_event(control, BULKHEAD__CONTROL__EVENT_KIND__EVENT_SHUTDOWN, "vm", "shutdown",
		      "guest", guest, "reason", reason, "text", text->message, NULL);
	control_finish_shutdown(control);
}

void control_on_device_failed(struct control *control, const char *device_id,
			      const struct error *err)
{
	control_event(control, OTHER, "worker", "died", "id", device_id, "reason", err->message,
		      NULL);
}

void control_on_device_active(struct control *control, const char *device_id, bool active)
{
	control_event(control, OTHER, "virtio-device", active ? "activated" : "reset", "id",
		      device_id, NULL);
}

void control_on_terminal(struct control *control, const char *device_id, const char *path)
{
	struct control_terminal *terminal;

	if (!control || control->terminal_count == CONTROL_MAX_TERMINALS)
		return;
	terminal = &control->terminals[control->terminal_count++];
	(void)snprintf(terminal->device_id, sizeof(terminal->device_id), "%s", device_id);
	(void)snprintf(terminal->path, sizeof(terminal->path), "%s", path);
}

/* ---- what the broker's client passes on ---- */

void control_on_process_exited(struct control *control, int32_t pid, const char *device_id,
			       int32_t exit_status, int32_t signal_number)
{
	char pid_text[16], status_text[16];

	if (!control)
		return;
	if (control->ended_gateway_pid == pid)
		return;
	if (control->gateway && control->gateway->pid == pid) {
		control->gateway->pid = 0; /* its channel tells the rest */
		return;
	}
	(void)snprintf(pid_text, sizeof(pid_text), "%d", pid);
	(void)snprintf(status_text, sizeof(status_text), "%d",
		       signal_number ? signal_number : exit_status);
	control_event(control, OTHER, "worker", "exited", "id", device_id, "pid", pid_text,
		      signal_number ? "signal" : "status", status_text, NULL);
}

void control_on_violation(struct control *control, int32_t pid, const char *kind,
			  const char *device_id, const char *syscall_name)
{
	char pid_text[16];

	(void)snprintf(pid_text, sizeof(pid_text), "%d", pid);
	control_event(control, OTHER, "worker", "sandbox-violation", "id", device_id, "kind", kind,
		      "pid", pid_text, "syscall", syscall_name, NULL);
}
