/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verbs. A verb is a row; most are one request and nothing else. */
#include "vmm/ctl/ctl.h"

#define SIMPLE(name_, request_, summary_)                                                          \
	{                                                                                          \
		.name = name_, .arguments = "", .summary = summary_, .method = "PUT",              \
		.request = request_                                                                \
	}

const struct ctl_verb ctl_verbs[] = {
	{.name = "ping",
	 .arguments = "",
	 .summary = "say whether the VMM answers, its version and process",
	 .run = ctl_run_ping},
	{.name = "info",
	 .arguments = "",
	 .summary = "state, configuration and devices of the VM",
	 .run = ctl_run_info},
	{.name = "create",
	 .arguments = "FILE",
	 .summary = "create the VM from a configuration (JSON; - is standard input)",
	 .details = "FILE is in the schema of vm.create; docs/API.md lists its fields. The VM is\n"
		    "not started: boot does that.\n",
	 .min_arguments = 1,
	 .max_arguments = 1,
	 .run = ctl_run_create},
	SIMPLE("boot", "vm.boot", "start the VM"),
	SIMPLE("pause", "vm.pause", "stop the VM's processors"),
	SIMPLE("resume", "vm.resume", "let a paused VM run on"),
	SIMPLE("reboot", "vm.reboot", "reset the VM without asking the guest"),
	SIMPLE("shutdown", "vm.shutdown", "switch the VM off without asking the guest"),
	SIMPLE("power-button", "vm.power-button", "press the power button: the guest shuts down"),
	SIMPLE("nmi", "vm.nmi", "inject a non-maskable interrupt"),
	SIMPLE("delete", "vm.delete", "switch the VM off and forget it"),
	SIMPLE("shutdown-vmm", "vmm.shutdown", "end the VM and all its processes"),
	{.name = "resize-disk",
	 .arguments = "ID SIZE",
	 .summary = "give a disk's image another size (bytes, or 512M, 4G, 1T)",
	 .min_arguments = 2,
	 .max_arguments = 2,
	 .run = ctl_run_resize_disk},
	{.name = "counters",
	 .arguments = "",
	 .summary = "what each device has done",
	 .run = ctl_run_counters},
	{.name = "events",
	 .arguments = "",
	 .summary = "follow what happens until the VMM ends or you interrupt",
	 .run = ctl_run_events},
	{.name = "ps",
	 .arguments = "",
	 .summary = "every process of the VM: role, device, pid, uid, sandbox, memory, state",
	 .run = ctl_run_ps},
	{.name = "snapshot",
	 .arguments = "DIRECTORY",
	 .summary = "save a paused VM (file:///DIR or a path)",
	 .details = "DIRECTORY may exist if it is empty; the folder it is in must exist. On a\n"
		    "terminal a bar shows how far it is; interrupting cancels the snapshot.\n",
	 .min_arguments = 1,
	 .max_arguments = 1,
	 .run = ctl_run_snapshot},
	{.name = "snapshot-progress",
	 .arguments = "",
	 .summary = "how far the snapshot is, or how the last one ended",
	 .run = ctl_run_progress},
	SIMPLE("snapshot-cancel", "vm.snapshot-cancel", "give up the snapshot that is being taken"),
	{.name = "restore",
	 .arguments = "DIRECTORY [resume] [ondemand] [prefault] [force] [ID=PATH]...",
	 .summary = "create the VM from a snapshot (file:///DIR or a path)",
	 .details = "  resume      let it run; otherwise it is paused\n"
		    "  ondemand    read memory when the guest touches it; otherwise all at once\n"
		    "  prefault    with ondemand: read the rest in the background\n"
		    "  force       go on where the host differs and that is only a risk\n"
		    "  ID=PATH     back the disk, serial or console ID by PATH\n",
	 .min_arguments = 1,
	 .max_arguments = 64,
	 .run = ctl_run_restore},
};

const unsigned ctl_verb_count = sizeof(ctl_verbs) / sizeof(*ctl_verbs);
