/* SPDX-License-Identifier: Apache-2.0 */
/* Every field of VmConfig, one row each, in the order of the API's schema. */
#include "vmm/gateway/vm_json_tables.h"

#include <string.h>

#include "proto/config.pb-c.h"

#define FIELD(name_, ...)                                                                          \
	{                                                                                          \
		.name = name_, .rule = JSON_FIELD, ##__VA_ARGS__                                   \
	}
#define NO_EFFECT(name_, text_)                                                                    \
	{                                                                                          \
		.name = name_, .rule = JSON_NO_EFFECT, .text = (text_)                             \
	}
#define CONSTANT(name_, text_)                                                                     \
	{                                                                                          \
		.name = name_, .rule = JSON_CONSTANT, .text = (text_)                              \
	}
#define OBJECT(message_, fields_, ...)                                                             \
	{                                                                                          \
		.message = (message_), .fields = (fields_),                                        \
		.field_count = sizeof(fields_) / sizeof((fields_)[0]), ##__VA_ARGS__               \
	}

#define PCI_PLACE NO_EFFECT("pci_segment", NULL), NO_EFFECT("pci_device_id", NULL)

static const struct json_field cpus_fields[] = {
	FIELD("boot_vcpus", .proto = "boot", .required = true, .minimum = 1),
	FIELD("max_vcpus", .proto = "max", .required = true, .minimum = 1),
	NO_EFFECT("topology", NULL),
	NO_EFFECT("kvm_hyperv", "false"),
	NO_EFFECT("max_phys_bits", NULL),
	NO_EFFECT("nested", "true"),
	NO_EFFECT("affinity", NULL),
	NO_EFFECT("features", NULL),
	NO_EFFECT("core_scheduling", "\"Off\""),
};
static const struct json_object cpus = OBJECT(&bulkhead__config__cpus__descriptor, cpus_fields);

static const struct json_field memory_fields[] = {
	FIELD("size", .proto = "size_bytes", .required = true, .minimum = 1),
	NO_EFFECT("hotplug_size", NULL),
	NO_EFFECT("hotplugged_size", NULL),
	NO_EFFECT("mergeable", "false"),
	NO_EFFECT("hotplug_method", "\"Acpi\""),
	CONSTANT("shared", "true"), /* with the workers, always */
	FIELD("hugepages"),
	NO_EFFECT("hugepage_size", NULL),
	FIELD("prefault"),
	NO_EFFECT("reserve", "false"),
	FIELD("thp"),
	NO_EFFECT("zones", NULL),
	FIELD("file", .minimum = 1), /* ours: the backing file of all of it */
};
static const struct json_object memory =
	OBJECT(&bulkhead__config__memory__descriptor, memory_fields);

static const struct json_field payload_fields[] = {
	NO_EFFECT("firmware", NULL),
	FIELD("kernel", .required = true, .minimum = 1),
	FIELD("cmdline"),
	FIELD("initramfs", .minimum = 1),
	NO_EFFECT("igvm", NULL),
	NO_EFFECT("host_data", NULL),
};
static const struct json_object payload =
	OBJECT(&bulkhead__config__payload__descriptor, payload_fields);

static const struct json_field disk_fields[] = {
	FIELD("path", .required = true, .minimum = 1),
	FIELD("readonly", .proto = "read_only"),
	FIELD("direct"),
	NO_EFFECT("iommu", "false"),
	FIELD("num_queues", .minimum = 1),
	FIELD("queue_size", .minimum = 1),
	NO_EFFECT("vhost_user", "false"),
	NO_EFFECT("vhost_socket", NULL),
	NO_EFFECT("rate_limiter_config", NULL),
	PCI_PLACE,
	FIELD("id", .minimum = 1),
	FIELD("serial"),
	NO_EFFECT("rate_limit_group", NULL),
	NO_EFFECT("queue_affinity", NULL),
	NO_EFFECT("backing_files", "false"),
	NO_EFFECT("sparse", "true"),
	NO_EFFECT("image_type", "\"Raw\""),
	NO_EFFECT("lock_granularity", NULL),
};
static const struct json_object disk = OBJECT(&bulkhead__config__disk__descriptor, disk_fields);

static const struct json_field rng_fields[] = {
	FIELD("src", .required = true, .minimum = 1),
	FIELD("id", .minimum = 1),
	PCI_PLACE,
	NO_EFFECT("iommu", "false"),
};
static const struct json_object rng = OBJECT(&bulkhead__config__rng__descriptor, rng_fields);

const char *const vm_json_console_modes[7] = {NULL, "Off", "Tty", "File", "Pty", "Socket", "Null"};

/* "file" and "socket" are one path in the message; which of them is meant is said by the mode. */
static void terminal_read(json_t *object, int mode, char **path, const char *parent,
			  struct json_errors *errors)
{
	const char *file = json_string_value(json_object_get(object, "file"));
	const char *socket = json_string_value(json_object_get(object, "socket"));
	bool wants_file = mode == BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE;
	bool wants_socket = mode == BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_SOCKET;
	char where[JSON_PATH_SIZE + 16];

	(void)snprintf(where, sizeof(where), "%s.file", parent);
	if (wants_file && (!file || !file[0]))
		json_errors_add(errors, where, "is missing, for the mode is File");
	else if (file && !wants_file)
		json_errors_add(errors, where, "belongs to the mode File only");
	(void)snprintf(where, sizeof(where), "%s.socket", parent);
	if (wants_socket && (!socket || !socket[0]))
		json_errors_add(errors, where, "is missing, for the mode is Socket");
	else if (socket && !wants_socket)
		json_errors_add(errors, where, "belongs to the mode Socket only");
	if ((wants_file && file && json_message_set_string(path, file) < 0) ||
	    (wants_socket && socket && json_message_set_string(path, socket) < 0))
		json_errors_add(errors, parent, "out of memory");
}

static void terminal_write(int mode, const char *path, json_t *object)
{
	const char *name = mode == BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_SOCKET ? "socket" : "file";

	if (path[0])
		(void)json_object_set_new(object, name, json_string(path));
}

static void console_read(json_t *object, ProtobufCMessage *message, const char *path,
			 struct json_errors *errors)
{
	Bulkhead__Config__Console *console = (Bulkhead__Config__Console *)message;

	terminal_read(object, (int)console->mode, &console->path, path, errors);
}

static void console_write(const ProtobufCMessage *message, json_t *object)
{
	const Bulkhead__Config__Console *console = (const Bulkhead__Config__Console *)message;

	terminal_write((int)console->mode, console->path, object);
}

static void serial_read(json_t *object, ProtobufCMessage *message, const char *path,
			struct json_errors *errors)
{
	Bulkhead__Config__Serial *serial = (Bulkhead__Config__Serial *)message;

	terminal_read(object, (int)serial->mode, &serial->path, path, errors);
}

static void serial_write(const ProtobufCMessage *message, json_t *object)
{
	const Bulkhead__Config__Serial *serial = (const Bulkhead__Config__Serial *)message;

	terminal_write((int)serial->mode, serial->path, object);
}

#define TERMINAL_FIELDS                                                                            \
	{.name = "file", .rule = JSON_SPECIAL}, {.name = "socket", .rule = JSON_SPECIAL},          \
		FIELD("mode", .required = true, .enum_names = vm_json_console_modes,               \
		      .enum_count = 7)

static const struct json_field serial_fields[] = {TERMINAL_FIELDS};
static const struct json_object serial =
	OBJECT(&bulkhead__config__serial__descriptor, serial_fields, .read = serial_read,
	       .write = serial_write);

static const struct json_field console_fields[] = {
	TERMINAL_FIELDS,
	NO_EFFECT("iommu", "false"),
	FIELD("id", .minimum = 1),
	PCI_PLACE,
};
static const struct json_object console =
	OBJECT(&bulkhead__config__console__descriptor, console_fields, .read = console_read,
	       .write = console_write);

static const struct json_field platform_fields[] = {
	NO_EFFECT("num_pci_segments", "1"),
	NO_EFFECT("iommu_segments", NULL),
	NO_EFFECT("iommu_address_width_bits", NULL),
	NO_EFFECT("system_serial_number", NULL),
	NO_EFFECT("serial_number", NULL),
	NO_EFFECT("system_uuid", NULL),
	NO_EFFECT("uuid", NULL),
	NO_EFFECT("oem_strings", NULL),
	NO_EFFECT("system_manufacturer", NULL),
	NO_EFFECT("system_product_name", NULL),
	NO_EFFECT("system_version", NULL),
	NO_EFFECT("system_family", NULL),
	NO_EFFECT("system_sku_number", NULL),
	NO_EFFECT("chassis_asset_tag", NULL),
	NO_EFFECT("tdx", "false"),
	NO_EFFECT("sev_snp", "false"),
	NO_EFFECT("iommufd", "false"),
	NO_EFFECT("vfio_p2p_dma", "true"),
};
static const struct json_object platform = OBJECT(NULL, platform_fields);

static const struct json_field config_fields[] = {
	FIELD("name", .minimum = 1), /* ours: for logs and process lists */
	FIELD("cpus", .object = &cpus),
	FIELD("memory", .object = &memory),
	FIELD("payload", .required = true, .object = &payload),
	NO_EFFECT("rate_limit_groups", NULL),
	FIELD("disks", .object = &disk),
	NO_EFFECT("net", NULL),
	FIELD("rng", .object = &rng),
	NO_EFFECT("balloon", NULL),
	NO_EFFECT("fs", NULL),
	NO_EFFECT("generic_vhost_user", NULL),
	NO_EFFECT("pmem", NULL),
	FIELD("serial", .object = &serial),
	FIELD("console", .object = &console),
	NO_EFFECT("debug_console", NULL),
	NO_EFFECT("devices", NULL),
	NO_EFFECT("user_devices", NULL),
	NO_EFFECT("vdpa", NULL),
	NO_EFFECT("vsock", NULL),
	NO_EFFECT("numa", NULL),
	NO_EFFECT("iommu", "false"),
	NO_EFFECT("watchdog", "false"),
	NO_EFFECT("rtc", NULL),
	NO_EFFECT("pvpanic", "false"),
	NO_EFFECT("pci_segments", NULL),
	{.name = "platform", .rule = JSON_NO_EFFECT, .object = &platform},
	NO_EFFECT("tpm", NULL),
	CONSTANT("landlock_enable", "true"), /* no process keeps a path, asked for or not */
	NO_EFFECT("landlock_rules", NULL),
};
const struct json_object vm_json_config = OBJECT(&bulkhead__config__vm__descriptor, config_fields);
