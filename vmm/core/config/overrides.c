/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/config/overrides.h"

#include <errno.h>
#include <string.h>

#include "vmm/core/config/option_string.h"
#include "vmm/core/config/vm_config.h"

static int override_string(char **target, const char *value, struct error *err)
{
	if (!value[0] || option_set_string(target, value, strlen(value)) == 0)
		return 0;
	return error_set(err, -ENOMEM, "out of memory");
}

static Bulkhead__Config__Disk *override_find_disk(const Bulkhead__Config__Vm *config,
						  const char *id)
{
	for (size_t i = 0; i < config->n_disks; i++)
		if (strcmp(config->disks[i]->id, id) == 0)
			return config->disks[i];
	return NULL;
}

static int override_disk(const Bulkhead__Config__Vm *config, const Bulkhead__Config__Disk *from,
			 struct error *err)
{
	Bulkhead__Config__Disk *disk;

	if (!from->id[0])
		return error_set(err, -EINVAL,
				 "--disk: with --restore a disk is named by id=, which is missing");
	disk = override_find_disk(config, from->id);
	if (!disk)
		return error_set(err, -EINVAL, "--disk: the snapshot has no disk \"%s\"", from->id);
	if (from->num_queues || from->queue_size || from->serial[0])
		return error_set(
			err, -EINVAL,
			"--disk: id=%s: only path=, readonly= and direct= can differ from the "
			"snapshot",
			from->id);
	if (from->read_only && !disk->read_only)
		return error_set(err, -EINVAL,
				 "--disk: id=%s: the guest writes to this disk, it cannot become "
				 "read-only",
				 from->id);
	if (from->direct)
		disk->direct = true;
	return override_string(&disk->path, from->path, err);
}

/* A path without a word of what it is: a socket if it was one, else a file. */
static int override_terminal(Bulkhead__Config__SerialMode *mode, char **path,
			     Bulkhead__Config__SerialMode new_mode, const char *new_path,
			     struct error *err)
{
	if (new_mode != BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_DEFAULT)
		*mode = new_mode;
	else if (*mode != BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_SOCKET)
		*mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE;
	return override_string(path, new_path, err);
}

/* A device that the guest knows neither comes nor goes. */
static int override_check_presence(const char *option, const char *device, bool there,
				   Bulkhead__Config__SerialMode mode, struct error *err)
{
	bool wanted = mode != BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_OFF;

	if (!wanted && there)
		return error_set(err, -EINVAL, "%s off: the snapshot has a %s; write null", option,
				 device);
	if (wanted && !there)
		return error_set(err, -EINVAL, "%s: the snapshot has no %s", option, device);
	return 0;
}

static int override_serial(Bulkhead__Config__Vm *config, const Bulkhead__Config__Serial *from,
			   struct error *err)
{
	bool there = config->serial->mode != BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_OFF;
	int result = override_check_presence("--serial", "serial port", there, from->mode, err);

	if (result < 0 || !there)
		return result;
	return override_terminal(&config->serial->mode, &config->serial->path, from->mode,
				 from->path, err);
}

static int override_console(Bulkhead__Config__Vm *config, const Bulkhead__Config__Console *from,
			    struct error *err)
{
	bool there = config->console &&
		     config->console->mode != BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_OFF;
	int result = override_check_presence("--console", "console", there, from->mode, err);

	if (result < 0 || !there)
		return result;
	return override_terminal(&config->console->mode, &config->console->path, from->mode,
				 from->path, err);
}

static int override_check_fixed(const Bulkhead__Config__Vm *overrides, struct error *err)
{
	const char *option = NULL;

	if (overrides->payload->kernel[0])
		option = "--kernel";
	else if (overrides->payload->initramfs[0])
		option = "--initramfs";
	else if (overrides->payload->cmdline[0])
		option = "--cmdline";
	else if (overrides->cpus->boot || overrides->cpus->max)
		option = "--cpus";
	else if (overrides->memory->size_bytes || overrides->memory->hugepages ||
		 overrides->memory->file[0] || overrides->memory->prefault ||
		 overrides->memory->thp)
		option = "--memory";
	else if (overrides->rng)
		option = "--rng";
	if (!option)
		return 0;
	return error_set(err, -EINVAL,
			 "%s cannot be given with --restore: it comes from the snapshot", option);
}

int vm_config_apply_overrides(Bulkhead__Config__Vm *config, const Bulkhead__Config__Vm *overrides,
			      struct error *err)
{
	if (override_check_fixed(overrides, err) < 0)
		return err->code;
	for (size_t i = 0; i < overrides->n_disks; i++)
		if (override_disk(config, overrides->disks[i], err) < 0)
			return err->code;
	if ((overrides->serial->mode != BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_DEFAULT ||
	     overrides->serial->path[0]) &&
	    override_serial(config, overrides->serial, err) < 0)
		return err->code;
	if (overrides->console && override_console(config, overrides->console, err) < 0)
		return err->code;
	if (override_string(&config->name, overrides->name, err) < 0)
		return err->code;
	return vm_config_complete(config, err);
}
