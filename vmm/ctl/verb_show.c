/* SPDX-License-Identifier: Apache-2.0 */
/* ping, info, counters: answers as a person reads them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vmm/ctl/ctl.h"

static const char *text_at(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static void print_line(const char *name, const char *text)
{
	printf("%-10s ", name);
	ctl_print_text(text);
	(void)puts("");
}

enum ctl_exit ctl_run_ping(const struct ctl *ctl, int count, char **arguments)
{
	json_t *reply;
	enum ctl_exit result = ctl_request(ctl, "GET", "vmm.ping", NULL, &reply);

	(void)count;
	(void)arguments;
	if (result != CTL_EXIT_OK)
		return result;
	if (ctl->json)
		return ctl_print_json(reply);
	print_line("version", text_at(reply, "version"));
	printf("%-10s %" PRId64 "\n", "process",
	       (int64_t)json_integer_value(json_object_get(reply, "pid")));
	json_decref(reply);
	return CTL_EXIT_OK;
}

static void print_disks(const json_t *disks)
{
	size_t index;
	json_t *disk;

	json_array_foreach(disks, index, disk)
	{
		printf("%-10s ", "disk");
		ctl_print_text(text_at(disk, "id"));
		(void)fputs("  ", stdout);
		ctl_print_text(text_at(disk, "path"));
		(void)puts(json_is_true(json_object_get(disk, "readonly")) ? "  read-only" : "");
	}
}

static void print_devices(const json_t *tree)
{
	const char *name;
	json_t *device;

	if (json_object_size(tree))
		printf("\n%-14s %-10s %-14s %s\n", "DEVICE", "KIND", "PCI", "WORKER");
	json_object_foreach((json_t *)(uintptr_t)tree, name, device)
	{
		printf("%-14s %-10s %-14s %s\n", name, text_at(device, "kind"),
		       text_at(device, "pci_bdf"), text_at(device, "worker"));
	}
}

static void print_terminal(const char *name, const json_t *terminal)
{
	const char *mode = text_at(terminal, "mode");
	const char *path = text_at(terminal, strcmp(mode, "Socket") == 0 ? "socket" : "file");

	if (!mode[0] || strcmp(mode, "Off") == 0)
		return;
	printf("%-10s %s ", name, mode);
	ctl_print_text(path);
	(void)puts("");
}

static void print_info(const json_t *info)
{
	const json_t *config = json_object_get(info, "config");
	const json_t *payload = json_object_get(config, "payload");
	int64_t memory = json_integer_value(json_object_get(info, "memory_actual_size"));

	print_line("name", text_at(config, "name"));
	print_line("state", text_at(info, "state"));
	printf("%-10s %" PRId64 "\n", "vCPUs",
	       (int64_t)json_integer_value(
		       json_object_get(json_object_get(config, "cpus"), "boot_vcpus")));
	printf("%-10s %" PRId64 " MiB\n", "memory", memory >> 20);
	print_line("kernel", text_at(payload, "kernel"));
	if (text_at(payload, "initramfs")[0])
		print_line("initramfs", text_at(payload, "initramfs"));
	if (text_at(payload, "cmdline")[0])
		print_line("cmdline", text_at(payload, "cmdline"));
	print_terminal("serial", json_object_get(config, "serial"));
	print_terminal("console", json_object_get(config, "console"));
	print_disks(json_object_get(config, "disks"));
	print_devices(json_object_get(info, "device_tree"));
}

enum ctl_exit ctl_run_info(const struct ctl *ctl, int count, char **arguments)
{
	json_t *reply;
	enum ctl_exit result = ctl_request(ctl, "GET", "vm.info", NULL, &reply);

	(void)count;
	(void)arguments;
	if (result != CTL_EXIT_OK)
		return result;
	if (ctl->json)
		return ctl_print_json(reply);
	print_info(reply);
	json_decref(reply);
	return CTL_EXIT_OK;
}

enum ctl_exit ctl_run_counters(const struct ctl *ctl, int count, char **arguments)
{
	json_t *reply, *device, *value;
	enum ctl_exit result = ctl_request(ctl, "GET", "vm.counters", NULL, &reply);
	const char *id, *name;

	(void)count;
	(void)arguments;
	if (result != CTL_EXIT_OK)
		return result;
	if (ctl->json)
		return ctl_print_json(reply);
	json_object_foreach(reply, id, device)
	{
		json_object_foreach(device, name, value)
		{
			char counter[128];

			(void)snprintf(counter, sizeof(counter), "%s.%s", id, name);
			printf("%-40s %" PRId64 "\n", counter, (int64_t)json_integer_value(value));
		}
	}
	json_decref(reply);
	return CTL_EXIT_OK;
}
