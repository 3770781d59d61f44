/* SPDX-License-Identifier: Apache-2.0 */
/* Processes: from SPAWN over the sandbox report, violations and deadlines to reaping. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "proto/broker.pb-c.h"
#include "vmm/broker/broker.h"
#include "vmm/broker/syscall_names.h"

#define ARGUMENT_SIZE 128
#define MAX_ARGUMENTS 6

/* What a process may say: a guest can make it say things. */
#define LOG_BURST_LINES 200
#define LOG_LINE_MS	20

/* argv of a worker (devworkers/common/worker.h) and the text behind it. */
struct argument_list {
	char text[MAX_ARGUMENTS][ARGUMENT_SIZE];
	char *argv[MAX_ARGUMENTS + 1];
};

static int device_id_check(const char *id, struct error *err)
{
	size_t length = strlen(id);

	if (length == 0 || length >= PROCESS_DEVICE_ID_SIZE)
		return error_set(err, -EINVAL, "spawn: the device id is empty or too long");
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)id[i]) && !strchr("._:-", id[i]))
			return error_set(err, -EINVAL, "spawn: the device id is not plain");
	return 0;
}

static void arguments_fill(struct argument_list *list, const struct broker_options *options,
			   const char *program, const char *device_id)
{
	unsigned count = 0;

	(void)snprintf(list->text[count++], ARGUMENT_SIZE, "%s", program);
	(void)snprintf(list->text[count++], ARGUMENT_SIZE, "--device-id=%s", device_id);
	(void)snprintf(list->text[count++], ARGUMENT_SIZE, "--vm-name=%.100s", options->vm_name);
	(void)snprintf(list->text[count++], ARGUMENT_SIZE, "--log-level=%d", options->log_level);
	(void)snprintf(list->text[count++], ARGUMENT_SIZE, "--seccomp=%s", options->seccomp);
	(void)snprintf(list->text[count++], ARGUMENT_SIZE, "--log-relay");
	for (unsigned i = 0; i < count; i++)
		list->argv[i] = list->text[i];
	list->argv[count] = NULL;
}

static struct process *process_slot(struct broker *broker)
{
	for (unsigned i = 0; i < BROKER_MAX_PROCESSES; i++)
		if (broker->processes[i].state == PROCESS_NONE)
			return &broker->processes[i];
	return NULL;
}

int broker_choose_uid(struct broker *broker, uint32_t *uid, struct error *err)
{
	for (unsigned i = 0; i < UID_SLOT_IDS; i++) {
		bool taken = false;

		*uid = uid_slot_next(&broker->uids);
		for (unsigned j = 0; j < BROKER_MAX_PROCESSES; j++)
			taken = taken || (broker->processes[j].state != PROCESS_NONE &&
					  broker->processes[j].uid == *uid);
		if (!taken)
			return 0;
	}
	return error_set(err, -EAGAIN, "every uid of this VM is in use");
}

static int spawn_start(struct broker *broker, struct process *process,
		       struct process_recipe *recipe, struct error *err)
{
	int rc;

	recipe->null_fd = broker->null_fd;
	recipe->broker_pidfd = broker->own_pidfd;
	recipe->map_ids = broker->root;
	recipe->uid = geteuid();
	if (broker->root && broker_choose_uid(broker, &recipe->uid, err) < 0)
		return err->code;
	recipe->gid = broker->root ? recipe->uid : getegid();
	recipe->allow_missing = broker->options->allow_missing;
	recipe->cgroup_fd = vm_cgroup_add(&broker->cgroup, process->kind, process->device_id,
					  process->cgroup, sizeof(process->cgroup));
	rc = process_start(process, recipe, err);
	fd_close(&recipe->cgroup_fd);
	if (rc != 0)
		vm_cgroup_remove(&broker->cgroup, process->cgroup);
	return rc;
}

int broker_spawn(struct broker *broker, const char *kind, const char *device_id, bool helper,
		 int core_fd, uint32_t request_id, struct error *err)
{
	struct process *process = process_slot(broker);
	struct process_recipe recipe = {
		.core_fd = core_fd,
		.broker_fd = -1,
		.log_fd = -1,
	};
	struct argument_list arguments;
	int rc = device_id_check(device_id, err);

	if (rc != 0)
		return rc;
	if (!process)
		return error_set(err, -EAGAIN, "more than %d processes", BROKER_MAX_PROCESSES);
	rc = kind_table_find(&broker->kinds, kind, helper, &recipe.program_fd, &recipe.program,
			     err);
	if (rc != 0)
		return error_prefix(err, "spawn");
	arguments_fill(&arguments, broker->options, recipe.program, device_id);
	recipe.arguments = arguments.argv;
	*process = (struct process){
		.kind = recipe.program + strlen("bulkhead-"),
		.spawn_request_id = request_id,
		.log_fd = -1,
		.log_limit = {.burst = LOG_BURST_LINES,
			      .interval_ms = LOG_LINE_MS,
			      .tokens = LOG_BURST_LINES},
		.deadline_ms = channel_now_ms() + BROKER_START_MS,
	};
	(void)snprintf(process->device_id, sizeof(process->device_id), "%s", device_id);
	rc = process_open_log(process, &recipe.log_fd, err);
	if (rc == 0 && helper && strcmp(kind, "gateway") == 0)
		rc = gateway_channel_open(broker, &recipe.broker_fd, err);
	if (rc == 0)
		rc = spawn_start(broker, process, &recipe, err);
	fd_close(&recipe.broker_fd);
	fd_close(&recipe.log_fd);
	if (rc != 0)
		fd_close(&process->log_fd);
	return rc == 0 ? 0 : error_prefix(err, "%s \"%s\"", process->kind, device_id);
}

struct process *broker_find_process(struct broker *broker, int32_t pid)
{
	for (unsigned i = 0; i < BROKER_MAX_PROCESSES; i++)
		if (broker->processes[i].state != PROCESS_NONE && broker->processes[i].pid == pid)
			return &broker->processes[i];
	return NULL;
}

/* The SPAWN request fails; the process goes. */
static void spawn_fail(struct broker *broker, struct process *process, struct error *err)
{
	(void)error_prefix(err, "%s \"%s\"", process->kind, process->device_id);
	process_kill(process, channel_now_ms() + BROKER_END_MS);
	if (!broker->core_gone)
		(void)channel_reply_error(broker->channel,
					  BULKHEAD__BROKER__MESSAGE_TYPE__MESSAGE_SPAWN,
					  process->spawn_request_id, err);
}

void broker_on_report(struct broker *broker, struct process *process)
{
	Bulkhead__Broker__Spawned reply;
	char names[SANDBOX_STAGE_COUNT][32];
	char *missing[SANDBOX_STAGE_COUNT];
	struct error err = ERROR_INIT;

	bulkhead__broker__spawned__init(&reply);
	if (process_receive_report(process, &err) != 0) {
		spawn_fail(broker, process, &err);
		return;
	}
	reply.pid = process->pid;
	reply.uid = process->uid;
	reply.gid = process->gid;
	reply.missing_stages = missing;
	for (unsigned stage = 0; stage < SANDBOX_STAGE_COUNT; stage++) {
		if (!(process->missing & (1U << stage)))
			continue;
		(void)snprintf(names[stage], sizeof(names[stage]), "%s", sandbox_stage_name(stage));
		log_warning("%s \"%s\" runs without the sandbox stage \"%s\"", process->kind,
			    process->device_id, names[stage]);
		missing[reply.n_missing_stages++] = names[stage];
	}
	process->announced = true;
	(void)channel_reply(broker->channel, BULKHEAD__BROKER__MESSAGE_TYPE__MESSAGE_SPAWN,
			    process->spawn_request_id, &reply.base, NULL, 0, NULL);
}

void broker_on_log(struct process *process, unsigned most_lines)
{
	char line[PROCESS_LOG_LINE_SIZE];
	uint32_t dropped;
	ssize_t got = 1;

	while (most_lines-- && process->log_fd >= 0 && got > 0) {
		got = read(process->log_fd, line, sizeof(line));
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			fd_close(&process->log_fd);
		if (got <= 0 || !log_ratelimit_allow(&process->log_limit, &dropped))
			continue;
		if (dropped)
			log_warning("%s \"%s\" says too much: %u lines are left out", process->kind,
				    process->device_id, dropped);
		log_relayed(process->kind, process->device_id, line, (size_t)got);
	}
}

void broker_on_violation(struct broker *broker, struct process *process)
{
	Bulkhead__Broker__Violation event;
	int number = process_receive_violation(process);
	char name[32], kind[32];

	bulkhead__broker__violation__init(&event);
	if (number < 0 && number > -4096) {
		/* The call was given up meanwhile, or all threads are gone. */
		if (number != -ENOENT && number != -EINTR && number != -EAGAIN)
			fd_close(&process->listener_fd);
		return;
	}
	process_kill(process, channel_now_ms() + BROKER_END_MS);
	(void)snprintf(name, sizeof(name), "%s", syscall_name(number));
	(void)snprintf(kind, sizeof(kind), "%s", process->kind);
	event.pid = process->pid;
	event.device_id = process->device_id;
	event.kind = kind;
	event.syscall_number = number;
	event.syscall_name = name;
	(void)channel_event(broker->channel, BULKHEAD__BROKER__MESSAGE_TYPE__MESSAGE_VIOLATION,
			    &event.base, NULL, 0, NULL);
}

void broker_on_exit(struct broker *broker, struct process *process)
{
	Bulkhead__Broker__Exited event;
	struct error err = ERROR_INIT;
	int status = 0, signal = 0;

	bulkhead__broker__exited__init(&event);
	/* What it had to say comes before that it is gone. */
	if (process->state == PROCESS_RUNNING && process->listener_fd >= 0)
		fd_close(&process->listener_fd);
	if (process->state == PROCESS_STARTING) {
		broker_on_report(broker, process);
		if (process->state == PROCESS_STARTING)
			spawn_fail(broker, process, &err);
	}
	if (!process_reap(process, &status, &signal))
		return;
	broker_on_log(process, PROCESS_LOG_LINES);
	vm_cgroup_remove(&broker->cgroup, process->cgroup);
	if (process->announced && !broker->core_gone) {
		event.pid = process->pid;
		event.device_id = process->device_id;
		event.exit_status = status;
		event.signal = signal;
		(void)channel_event(broker->channel, BULKHEAD__BROKER__MESSAGE_TYPE__MESSAGE_EXITED,
				    &event.base, NULL, 0, NULL);
	}
	process_forget(process);
}

void broker_check_deadlines(struct broker *broker, uint64_t now_ms)
{
	for (unsigned i = 0; i < BROKER_MAX_PROCESSES; i++) {
		struct process *process = &broker->processes[i];
		struct error err = ERROR_INIT;

		if (process->state == PROCESS_STARTING && process->deadline_ms <= now_ms) {
			(void)error_set(&err, -ETIMEDOUT, "its sandbox was not closed in time");
			spawn_fail(broker, process, &err);
		} else if (process->state == PROCESS_ENDING && process->deadline_ms <= now_ms) {
			log_warning("%s \"%s\" (pid %d) does not end", process->kind,
				    process->device_id, process->pid);
			process->deadline_ms = UINT64_MAX;
		}
	}
}

bool broker_has_processes(const struct broker *broker)
{
	for (unsigned i = 0; i < BROKER_MAX_PROCESSES; i++)
		if (broker->processes[i].state != PROCESS_NONE)
			return true;
	return false;
}
