/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/config/vm_config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/cleanup.h"
#include "vmm/core/config/option_string.h"

#define MEMORY_DEFAULT_BYTES (512ULL << 20)
#define MEMORY_MIN_BYTES     (16ULL << 20)
#define MEMORY_MAX_BYTES     (1ULL << 40)
#define MEMORY_ALIGNMENT     (2ULL << 20)
#define ID_MAX_BYTES	     40
#define DISK_SERIAL_BYTES    20
#define PATH_MAX_BYTES	     4095

Bulkhead__Config__Vm *vm_config_new(void)
{
	Bulkhead__Config__Vm *config = calloc(1, sizeof(*config));

	if (!config)
		return NULL;
	bulkhead__config__vm__init(config);
	config->cpus = calloc(1, sizeof(*config->cpus));
	config->memory = calloc(1, sizeof(*config->memory));
	config->payload = calloc(1, sizeof(*config->payload));
	config->serial = calloc(1, sizeof(*config->serial));
	if (config->cpus)
		bulkhead__config__cpus__init(config->cpus);
	if (config->memory)
		bulkhead__config__memory__init(config->memory);
	if (config->payload)
		bulkhead__config__payload__init(config->payload);
	if (config->serial)
		bulkhead__config__serial__init(config->serial);
	if (config->cpus && config->memory && config->payload && config->serial)
		return config;
	vm_config_free(config);
	return NULL;
}

void vm_config_free(Bulkhead__Config__Vm *config)
{
	if (config)
		bulkhead__config__vm__free_unpacked(config, NULL);
}

Bulkhead__Config__Vm *vm_config_copy(const Bulkhead__Config__Vm *config)
{
	size_t bytes = bulkhead__config__vm__get_packed_size(config);
	cleanup_free uint8_t *packed = malloc(bytes + 1);

	if (!packed)
		return NULL;
	bulkhead__config__vm__pack(config, packed);
	return bulkhead__config__vm__unpack(NULL, bytes, packed);
}

Bulkhead__Config__Disk *vm_config_add_disk(Bulkhead__Config__Vm *config)
{
	Bulkhead__Config__Disk **disks =
		realloc(config->disks, (config->n_disks + 1) * sizeof(*disks));

	if (!disks)
		return NULL;
	config->disks = disks;
	disks[config->n_disks] = calloc(1, sizeof(**disks));
	if (!disks[config->n_disks])
		return NULL;
	bulkhead__config__disk__init(disks[config->n_disks]);
	return disks[config->n_disks++];
}

Bulkhead__Config__Rng *vm_config_rng(Bulkhead__Config__Vm *config)
{
	if (!config->rng) {
		config->rng = calloc(1, sizeof(*config->rng));
		if (config->rng)
			bulkhead__config__rng__init(config->rng);
	}
	return config->rng;
}

Bulkhead__Config__Console *vm_config_console(Bulkhead__Config__Vm *config)
{
	if (!config->console) {
		config->console = calloc(1, sizeof(*config->console));
		if (config->console)
			bulkhead__config__console__init(config->console);
	}
	return config->console;
}

static int config_default_string(char **target, const char *value, struct error *err)
{
	if ((*target)[0] || option_set_string(target, value, strlen(value)) == 0)
		return 0;
	return error_set(err, -ENOMEM, "out of memory");
}

static int config_complete_cpus(Bulkhead__Config__Cpus *cpus, struct error *err)
{
	if (!cpus->boot)
		cpus->boot = 1;
	if (!cpus->max)
		cpus->max = cpus->boot;
	if (cpus->boot > VM_CONFIG_MAX_CPUS || cpus->max > VM_CONFIG_MAX_CPUS)
		return error_set(err, -EINVAL, "--cpus: boot=%u,max=%u: at most %d", cpus->boot,
				 cpus->max, VM_CONFIG_MAX_CPUS);
	if (cpus->max < cpus->boot)
		return error_set(err, -EINVAL, "--cpus: max=%u is less than boot=%u", cpus->max,
				 cpus->boot);
	return 0;
}

static int config_complete_memory(Bulkhead__Config__Memory *memory, struct error *err)
{
	if (!memory->size_bytes)
		memory->size_bytes = MEMORY_DEFAULT_BYTES;
	if (memory->size_bytes < MEMORY_MIN_BYTES || memory->size_bytes > MEMORY_MAX_BYTES)
		return error_set(err, -EINVAL, "--memory: size=%" PRIu64 " bytes: from 16M to 1T",
				 memory->size_bytes);
	if (memory->size_bytes % MEMORY_ALIGNMENT)
		return error_set(err, -EINVAL,
				 "--memory: size=%" PRIu64 " bytes is not a multiple of 2M",
				 memory->size_bytes);
	if (memory->hugepages && memory->file[0])
		return error_set(
			err, -EINVAL,
			"--memory: hugepages=on and file= exclude each other; put the file on "
			"hugetlbfs instead");
	return 0;
}

static int config_check_id(const char *option, const char *id, struct error *err)
{
	size_t length = strlen(id);

	if (!length || length > ID_MAX_BYTES)
		return error_set(err, -EINVAL, "%s: id=%.60s: from 1 to %d characters", option, id,
				 ID_MAX_BYTES);
	for (const char *at = id; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr("-_.", *at))
			return error_set(err, -EINVAL,
					 "%s: id=%s: only letters, digits, '-', '_' and '.'",
					 option, id);
	if (id[0] == '.')
		return error_set(err, -EINVAL, "%s: id=%s: must not begin with '.'", option, id);
	return 0;
}

static int config_check_path(const char *option, const char *path, struct error *err)
{
	if (!path[0])
		return error_set(err, -EINVAL, "%s: path= is missing", option);
	if (strlen(path) > PATH_MAX_BYTES)
		return error_set(err, -EINVAL, "%s: path is longer than %d bytes", option,
				 PATH_MAX_BYTES);
	return 0;
}

static int config_complete_disk(Bulkhead__Config__Disk *disk, unsigned index, struct error *err)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "disk%u", index);
	if (config_default_string(&disk->id, name, err) < 0 ||
	    config_check_id("--disk", disk->id, err) < 0 ||
	    config_check_path("--disk", disk->path, err) < 0)
		return err->code;
	if (!disk->num_queues)
		disk->num_queues = 1;
	if (!disk->queue_size)
		disk->queue_size = 256;
	if (disk->num_queues > 16)
		return error_set(err, -EINVAL, "--disk: num_queues=%u: from 1 to 16",
				 disk->num_queues);
	if (disk->queue_size < 4 || disk->queue_size > 1024 ||
	    (disk->queue_size & (disk->queue_size - 1)))
		return error_set(err, -EINVAL,
				 "--disk: queue_size=%u: a power of two from 4 to 1024",
				 disk->queue_size);
	if (strlen(disk->serial) > DISK_SERIAL_BYTES)
		return error_set(err, -EINVAL, "--disk: serial=%.64s is longer than %d bytes",
				 disk->serial, DISK_SERIAL_BYTES);
	if (!disk->serial[0] &&
	    option_set_string(&disk->serial, disk->id, strnlen(disk->id, DISK_SERIAL_BYTES)) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static bool config_has_console(const Bulkhead__Config__Vm *config)
{
	return config->console &&
	       config->console->mode != BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_OFF;
}

static int config_check_unique_id(const Bulkhead__Config__Vm *config, size_t index,
				  struct error *err)
{
	const char *id = config->disks[index]->id;
	bool taken = (config->rng && strcmp(id, config->rng->id) == 0) ||
		     (config_has_console(config) && strcmp(id, config->console->id) == 0);

	for (size_t i = 0; i < index && !taken; i++)
		taken = strcmp(id, config->disks[i]->id) == 0;
	if (taken)
		return error_set(err, -EINVAL, "--disk: id=%s is used by another device", id);
	return 0;
}

/* "--disk: …" to "--disk[1]: …": which of them, from 0. */
static int config_name_disk(size_t index, struct error *err)
{
	static const char option[] = "--disk:";
	char rest[ERROR_MESSAGE_SIZE];

	if (strncmp(err->message, option, sizeof(option) - 1) != 0)
		return err->code;
	memcpy(rest, err->message + sizeof(option) - 2, sizeof(rest) - sizeof(option) + 2);
	return error_set(err, err->code, "--disk[%zu]%s", index, rest);
}

static int config_complete_disks(Bulkhead__Config__Vm *config, struct error *err)
{
	if (config->n_disks > VM_CONFIG_MAX_DISKS)
		return error_set(err, -EINVAL, "--disk: %zu disks: at most %d", config->n_disks,
				 VM_CONFIG_MAX_DISKS);
	for (size_t i = 0; i < config->n_disks; i++)
		if (config_complete_disk(config->disks[i], (unsigned)i, err) < 0 ||
		    config_check_unique_id(config, i, err) < 0)
			return config->n_disks > 1 ? config_name_disk(i, err) : err->code;
	return 0;
}

static int config_check_terminal(const char *option, Bulkhead__Config__SerialMode mode,
				 const char *path, struct error *err)
{
	switch (mode) {
	case BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE:
	case BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_SOCKET:
		return config_check_path(option, path, err);
	case BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_OFF:
	case BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_TTY:
	case BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_PTY:
	case BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_NULL:
		return 0;
	default:
		return error_set(err, -EINVAL, "%s: unknown mode %d", option, (int)mode);
	}
}

/* Without a word about either, the terminal is the serial port's; a console on the terminal turns
 * that off. */
static int config_complete_terminals(Bulkhead__Config__Vm *config, struct error *err)
{
	const Bulkhead__Config__SerialMode tty = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_TTY;

	if (config->console) {
		if (config->console->mode == BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_DEFAULT)
			config->console->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_OFF;
		if (config_default_string(&config->console->id, "console", err) < 0 ||
		    config_check_id("--console", config->console->id, err) < 0 ||
		    config_check_terminal("--console", config->console->mode, config->console->path,
					  err) < 0)
			return err->code;
	}
	if (config->serial->mode == BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_DEFAULT)
		config->serial->mode = config->console && config->console->mode == tty
					       ? BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_OFF
					       : tty;
	if (config->console && config->console->mode == tty && config->serial->mode == tty)
		return error_set(
			err, -EINVAL,
			"--serial tty and --console tty: only one of them can have the terminal");
	return config_check_terminal("--serial", config->serial->mode, config->serial->path, err);
}

static int config_check_presence(const Bulkhead__Config__Vm *config, struct error *err)
{
	if (config->cpus && config->memory && config->payload && config->serial)
		return 0;
	return error_set(err, -EINVAL, "the configuration lacks cpus, memory, payload or serial");
}

int vm_config_complete(Bulkhead__Config__Vm *config, struct error *err)
{
	if (config_check_presence(config, err) < 0 ||
	    config_default_string(&config->name, "vm", err) < 0 ||
	    config_check_id("--name", config->name, err) < 0 ||
	    config_complete_cpus(config->cpus, err) < 0 ||
	    config_complete_memory(config->memory, err) < 0)
		return err->code;
	if (config->rng && (config_default_string(&config->rng->src, "/dev/urandom", err) < 0 ||
			    config_default_string(&config->rng->id, "rng", err) < 0 ||
			    config_check_id("--rng", config->rng->id, err) < 0))
		return err->code;
	if (config_complete_terminals(config, err) < 0)
		return err->code;
	if (config->rng && config_has_console(config) &&
	    strcmp(config->rng->id, config->console->id) == 0)
		return error_set(err, -EINVAL, "--rng: id=%s is used by the console",
				 config->rng->id);
	return config_complete_disks(config, err);
}
