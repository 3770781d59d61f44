/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vmm/gateway/fake_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE(name) BULKHEAD__CONTROL__MESSAGE_TYPE__MESSAGE_##name

void fake_model_reply_empty(struct fake_model *model, uint16_t type, uint32_t id)
{
	(void)channel_reply(model->channel, type, id, NULL, NULL, 0, NULL);
}

void fake_model_reply_error(struct fake_model *model, uint16_t type, uint32_t id, int code,
			    const char *text)
{
	struct error err = ERROR_INIT;

	error_set(&err, code, "%s", text);
	(void)channel_reply_error(model->channel, type, id, &err);
}

static void reply_info(struct fake_model *model, uint16_t type, uint32_t id)
{
	Bulkhead__Control__Info info = BULKHEAD__CONTROL__INFO__INIT;
	Bulkhead__Control__Device device = BULKHEAD__CONTROL__DEVICE__INIT;
	Bulkhead__Control__Device *devices[] = {&device};
	Bulkhead__Control__Terminal terminal = BULKHEAD__CONTROL__TERMINAL__INIT;
	Bulkhead__Control__Terminal *terminals[] = {&terminal};
	int32_t threads[] = {101, 102};

	device.id = (char[]){"disk0"};
	device.kind = (char[]){"blk"};
	device.pci_slot = 1;
	device.worker_state = (char[]){"active"};
	terminal.device_id = (char[]){"serial"};
	terminal.path = (char[]){"/dev/pts/99"};
	info.config = model->config;
	info.state = model->state;
	info.memory_bytes = model->config->memory->size_bytes;
	info.devices = devices;
	info.n_devices = 1;
	info.terminals = terminals;
	info.n_terminals =
		model->config->serial->mode == BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_PTY ? 1 : 0;
	info.vcpu_threads = threads;
	info.n_vcpu_threads = 2;
	(void)channel_reply(model->channel, type, id, &info.base, NULL, 0, NULL);
}

static void reply_counters(struct fake_model *model, uint16_t type, uint32_t id)
{
	Bulkhead__Control__Counters reply = BULKHEAD__CONTROL__COUNTERS__INIT;
	Bulkhead__Control__DeviceCounters devices[2], *device_pointers[2];
	Bulkhead__Control__Counter counters[2], *counter_pointers[2];
	char ids[][8] = {"disk0", "disk1"}, names[][16] = {"read_bytes", "read_ops"},
	     kind[] = "blk";

	for (int i = 0; i < 2; i++) {
		bulkhead__control__counter__init(&counters[i]);
		counters[i].name = names[i];
		counters[i].value = i ? 7 : 4096;
		counter_pointers[i] = &counters[i];
		bulkhead__control__device_counters__init(&devices[i]);
		devices[i].device_id = ids[i];
		devices[i].kind = kind;
		devices[i].counters = counter_pointers;
		devices[i].n_counters = 2;
		device_pointers[i] = &devices[i];
	}
	reply.devices = device_pointers;
	reply.n_devices = 2;
	(void)channel_reply(model->channel, type, id, &reply.base, NULL, 0, NULL);
}

static void reply_processes(struct fake_model *model, uint16_t type, uint32_t id)
{
	Bulkhead__Control__Processes reply = BULKHEAD__CONTROL__PROCESSES__INIT;
	Bulkhead__Control__Process process = BULKHEAD__CONTROL__PROCESS__INIT;
	Bulkhead__Control__Process *pointers[] = {&process};

	process.role = (char[]){"core"};
	process.pid = getpid();
	process.state = (char[]){"running"};
	reply.processes = pointers;
	reply.n_processes = 1;
	(void)channel_reply(model->channel, type, id, &reply.base, NULL, 0, NULL);
}

static void reply_progress(struct fake_model *model, uint16_t type, uint32_t id)
{
	Bulkhead__Control__SnapshotProgress reply = BULKHEAD__CONTROL__SNAPSHOT_PROGRESS__INIT;

	reply.status = BULKHEAD__CONTROL__SNAPSHOT_STATUS__SNAPSHOT_ACTIVE;
	reply.phase = (char[]){"memory"};
	reply.done_bytes = 3;
	reply.total_bytes = 10;
	(void)channel_reply(model->channel, type, id, &reply.base, NULL, 0, NULL);
}

static void reply_pong(struct fake_model *model, uint16_t type, uint32_t id)
{
	Bulkhead__Control__Pong pong = BULKHEAD__CONTROL__PONG__INIT;

	pong.version = (char[]){"v9.9.9"};
	pong.pid = getpid();
	(void)channel_reply(model->channel, type, id, &pong.base, NULL, 0, NULL);
}

static void keep_config(struct fake_model *model, const ProtobufCMessage *body)
{
	size_t bytes = protobuf_c_message_get_packed_size(body);
	uint8_t *packed = malloc(bytes + 1);

	(void)protobuf_c_message_pack(body, packed);
	model->config = bulkhead__config__vm__unpack(NULL, bytes, packed);
	model->state = BULKHEAD__CONTROL__VM_STATE__STATE_CREATED;
	free(packed);
}

/* From a state to another; anything else is refused. */
static void change_state(struct fake_model *model, uint16_t type, uint32_t id,
			 Bulkhead__Control__VmState from, Bulkhead__Control__VmState to)
{
	if (model->state != from) {
		fake_model_reply_error(model, type, id, -EBADFD, "not in this state");
		return;
	}
	model->state = to;
	fake_model_reply_empty(model, type, id);
}

void fake_model_answer(struct fake_model *model, uint16_t type, uint32_t id,
		       const ProtobufCMessage *body)
{
	const Bulkhead__Control__VmState running = BULKHEAD__CONTROL__VM_STATE__STATE_RUNNING;
	const Bulkhead__Control__VmState paused = BULKHEAD__CONTROL__VM_STATE__STATE_PAUSED;

	if (type == MESSAGE(PING)) {
		reply_pong(model, type, id);
	} else if (type == MESSAGE(PROCESSES)) {
		reply_processes(model, type, id);
	} else if (type == MESSAGE(CREATE) && model->config) {
		fake_model_reply_error(model, type, id, -EEXIST, "a VM is created already");
	} else if (type == MESSAGE(CREATE)) {
		keep_config(model, body);
		fake_model_reply_empty(model, type, id);
	} else if (!model->config && type != MESSAGE(VMM_SHUTDOWN) && type != MESSAGE(RESTORE)) {
		fake_model_reply_error(model, type, id, -ENODEV, "no VM is created");
	} else if (type == MESSAGE(INFO)) {
		reply_info(model, type, id);
	} else if (type == MESSAGE(COUNTERS)) {
		reply_counters(model, type, id);
	} else if (type == MESSAGE(SNAPSHOT_PROGRESS)) {
		reply_progress(model, type, id);
	} else if (type == MESSAGE(DELETE)) {
		bulkhead__config__vm__free_unpacked(model->config, NULL);
		model->config = NULL;
		fake_model_reply_empty(model, type, id);
	} else if (type == MESSAGE(BOOT)) {
		change_state(model, type, id, BULKHEAD__CONTROL__VM_STATE__STATE_CREATED, running);
	} else if (type == MESSAGE(PAUSE)) {
		change_state(model, type, id, running, paused);
	} else if (type == MESSAGE(RESUME)) {
		change_state(model, type, id, paused, running);
	} else if (type == MESSAGE(RESIZE_DISK)) {
		if (strcmp(((const Bulkhead__Control__ResizeDisk *)body)->id, "disk0") == 0)
			fake_model_reply_empty(model, type, id);
		else
			fake_model_reply_error(model, type, id, -ENOENT, "id: no such disk");
	} else {
		fake_model_reply_empty(model, type, id);
	}
}
