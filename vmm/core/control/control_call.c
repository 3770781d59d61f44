/* SPDX-License-Identifier: Apache-2.0 */
/* Calls under way: each is answered once, or to nobody when its gateway has gone. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/core/control/control_parts.h"

struct control_call *control_call_new(struct control *control, uint16_t type, uint32_t id)
{
	struct control_call *call =
		control->call_count < CONTROL_MAX_CALLS ? calloc(1, sizeof(*call)) : NULL;
	struct error busy = ERROR_INIT;

	if (!call) {
		error_set(&busy, -EBUSY, "too many commands are under way");
		(void)channel_reply_error(control->gateway->channel, type, id, &busy);
		return NULL;
	}
	*call = (struct control_call){.control = control,
				      .gateway = control->gateway,
				      .type = type,
				      .id = id,
				      .next = control->calls};
	if (call->next)
		call->next->previous = call;
	control->calls = call;
	control->call_count++;
	return call;
}

static void call_free(struct control_call *call)
{
	struct control *control = call->control;

	if (!control) {
		free(call);
		return;
	}
	if (call->previous)
		call->previous->next = call->next;
	else
		control->calls = call->next;
	if (call->next)
		call->next->previous = call->previous;
	control->call_count--;
	free(call);
	control_gateway_update(control);
}

void control_call_forget_gateway(struct control *control, const struct control_gateway *gateway)
{
	for (struct control_call *call = control->calls; call; call = call->next)
		if (call->gateway == gateway)
			call->gateway = NULL;
}

void control_call_reply(struct control_call *call, const ProtobufCMessage *body)
{
	struct error err = ERROR_INIT;

	if (call->gateway && channel_reply(call->gateway->channel, call->type, call->id, body, NULL,
					   0, &err) == -EMSGSIZE) {
		error_set(&err, -EMSGSIZE, "the answer is too long");
		(void)channel_reply_error(call->gateway->channel, call->type, call->id, &err);
	}
	call_free(call);
}

void control_call_fail(struct control_call *call, const struct error *err)
{
	if (call->gateway)
		(void)channel_reply_error(call->gateway->channel, call->type, call->id, err);
	call_free(call);
}

void control_call_fail_text(struct control_call *call, int code, const char *format, ...)
{
	struct error err = {.code = code};
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(err.message, sizeof(err.message), format, arguments);
	va_end(arguments);
	control_call_fail(call, &err);
}

void control_call_fail_operation(struct control_call *call, const struct error *err)
{
	struct error failure = *err;

	switch (err->code) {
	case -EBUSY:
	case -EBADFD:
	case -EOPNOTSUPP:
		break;
	default:
		failure.code = -EIO;
	}
	control_call_fail(call, &failure);
}

void control_call_reply_early(struct control_call *call)
{
	if (call->gateway)
		(void)channel_reply(call->gateway->channel, call->type, call->id, NULL, NULL, 0,
				    NULL);
	call->gateway = NULL;
	control_gateway_update(call->control);
}

void control_call_orphan_all(struct control *control)
{
	struct control_call *next;

	for (struct control_call *call = control->calls; call; call = next) {
		next = call->next;
		call->control = NULL;
		call->gateway = NULL;
	}
	control->calls = NULL;
	control->call_count = 0;
}

struct vm *control_call_vm(struct control_call *call)
{
	struct control *control = call->control;
	struct vm *vm = control->options.host->vm(control->options.opaque);

	if (!vm)
		control_call_fail_text(call, -ENODEV, "no VM is created");
	return vm;
}
