/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/qmp_commands.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/gateway/core_link.h"
#include "vmm/gateway/gateway.h"
#include "vmm/gateway/qmp_queries.h"
#include "vmm/gateway/qmp_read.h"

static json_t *answer_commands(const struct gateway *gateway);
static json_t *answer_events(const struct gateway *gateway);

#define COMMAND(name_, message_, ...)                                                              \
	{                                                                                          \
		.name = name_, .message = CORE_MESSAGE(message_), ##__VA_ARGS__                    \
	}
#define LONG .is_long = true

static const struct qmp_command commands[] = {
	{.name = "query-commands", .answer = answer_commands},
	{.name = "query-events", .answer = answer_events},
	{.name = "query-version", .answer = qmp_answer_version},
	COMMAND("query-name", INFO, .write = qmp_write_name, .answer = qmp_answer_name),
	COMMAND("query-status", INFO, .write = qmp_write_status, .answer = qmp_answer_no_vm),
	COMMAND("query-cpus-fast", INFO, .write = qmp_write_cpus),
	COMMAND("query-block", INFO, .write = qmp_write_block),
	COMMAND("stop", PAUSE, LONG, .read = qmp_read_pause),
	COMMAND("cont", RESUME, LONG, .read = qmp_read_pause),
	COMMAND("quit", VMM_SHUTDOWN, LONG),
	COMMAND("system_powerdown", POWER_BUTTON),
	COMMAND("system_reset", REBOOT, LONG),
	COMMAND("inject-nmi", NMI),
	COMMAND("block_resize", RESIZE_DISK, LONG, .read = qmp_read_block_resize),
	COMMAND("migrate", SNAPSHOT, LONG, .read = qmp_read_migrate),
	COMMAND("query-migrate", SNAPSHOT_PROGRESS, .write = qmp_write_migrate),
	COMMAND("migrate_cancel", SNAPSHOT_CANCEL),
};

static const struct {
	Bulkhead__Control__EventKind kind;
	const char *name;
} events[] = {
	{BULKHEAD__CONTROL__EVENT_KIND__EVENT_STOP, "STOP"},
	{BULKHEAD__CONTROL__EVENT_KIND__EVENT_RESUME, "RESUME"},
	{BULKHEAD__CONTROL__EVENT_KIND__EVENT_SHUTDOWN, "SHUTDOWN"},
	{BULKHEAD__CONTROL__EVENT_KIND__EVENT_POWERDOWN, "POWERDOWN"},
	{BULKHEAD__CONTROL__EVENT_KIND__EVENT_RESET, "RESET"},
	{BULKHEAD__CONTROL__EVENT_KIND__EVENT_DEVICE_DELETED, "DEVICE_DELETED"},
	{BULKHEAD__CONTROL__EVENT_KIND__EVENT_MIGRATION, "MIGRATION"},
};

static json_t *answer_commands(const struct gateway *gateway)
{
	json_t *list = json_array();

	(void)gateway;
	(void)json_array_append_new(list, json_pack("{s:s}", "name", "qmp_capabilities"));
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		(void)json_array_append_new(list, json_pack("{s:s}", "name", commands[i].name));
	return list;
}

static json_t *answer_events(const struct gateway *gateway)
{
	json_t *list = json_array();

	(void)gateway;
	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
		(void)json_array_append_new(list, json_pack("{s:s}", "name", events[i].name));
	return list;
}

const struct qmp_command *qmp_command_find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

const char *qmp_event_name(Bulkhead__Control__EventKind kind)
{
	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
		if (events[i].kind == kind)
			return events[i].name;
	return NULL;
}
