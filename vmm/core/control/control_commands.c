/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands: adding one is a row here, and one in a front end's table. */
#include "vmm/core/control/control_parts.h"

#define COMMAND(type_, name_, request_, handler_)                                                  \
	{                                                                                          \
		.type = CONTROL_MESSAGE(type_), .name = name_,                                     \
		.request = &bulkhead__control__##request_##__descriptor, .handler = handler_       \
	}

const struct control_command control_commands[] = {
	COMMAND(PING, "ping", empty, control_do_ping),
	COMMAND(INFO, "info", empty, control_do_info),
	COMMAND(COUNTERS, "counters", empty, control_do_counters),
	COMMAND(PROCESSES, "processes", empty, control_do_processes),
	{.type = CONTROL_MESSAGE(CREATE),
	 .name = "create",
	 .request = &bulkhead__config__vm__descriptor,
	 .handler = control_do_create},
	COMMAND(DELETE, "delete", empty, control_do_delete),
	COMMAND(BOOT, "boot", empty, control_do_boot),
	COMMAND(SHUTDOWN, "shutdown", empty, control_do_shutdown),
	COMMAND(REBOOT, "reboot", empty, control_do_reboot),
	COMMAND(PAUSE, "pause", pause, control_do_pause),
	COMMAND(RESUME, "resume", pause, control_do_resume),
	COMMAND(POWER_BUTTON, "power-button", empty, control_do_power_button),
	COMMAND(NMI, "nmi", empty, control_do_nmi),
	COMMAND(RESIZE_DISK, "resize-disk", resize_disk, control_do_resize_disk),
	COMMAND(SNAPSHOT, "snapshot", snapshot, control_do_snapshot),
	COMMAND(SNAPSHOT_PROGRESS, "snapshot-progress", empty, control_do_snapshot_progress),
	COMMAND(SNAPSHOT_CANCEL, "snapshot-cancel", empty, control_do_snapshot_cancel),
	COMMAND(RESTORE, "restore", restore, control_do_restore),
	COMMAND(VMM_SHUTDOWN, "vmm-shutdown", empty, control_do_vmm_shutdown),
};

const size_t control_command_count = sizeof(control_commands) / sizeof(*control_commands);

const struct control_command *control_command_find(uint16_t type)
{
	for (size_t i = 0; i < control_command_count; i++)
		if (control_commands[i].type == type)
			return &control_commands[i];
	return NULL;
}
