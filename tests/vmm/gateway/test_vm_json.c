/* SPDX-License-Identifier: Apache-2.0 */
/* VmConfig: what is taken, what is refused by its name, what is echoed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/gateway/json_text.h"
#include "vmm/gateway/vm_json.h"

#define PAYLOAD "\"payload\":{\"kernel\":\"/boot/vmlinuz\"}"

static struct json_errors errors;

static Bulkhead__Config__Vm *read_text(const char *text)
{
	json_t *value;
	Bulkhead__Config__Vm *config;

	memset(&errors, 0, sizeof(errors));
	value = json_text_parse(text, strlen(text), &errors);
	config = value ? vm_json_read(value, &errors) : NULL;
	json_decref(value);
	assert_true((config == NULL) == (errors.count > 0));
	return config;
}

static void refused(const char *text, const char *message)
{
	Bulkhead__Config__Vm *config = read_text(text);

	assert_null(config);
	if (!strstr(errors.messages[0], message))
		fail_msg("%s: \"%s\" instead of \"%s\"", text, errors.messages[0], message);
}

static void every_field_that_has_an_effect_arrives(void **state)
{
	Bulkhead__Config__Vm *config = read_text(
		"{\"name\":\"web\",\"cpus\":{\"boot_vcpus\":2,\"max_vcpus\":4},"
		"\"memory\":{\"size\":1073741824,\"hugepages\":true,\"prefault\":true,\"thp\":true}"
		","
		"\"payload\":{\"kernel\":\"/k\",\"initramfs\":\"/i\",\"cmdline\":\"console=hvc0\"},"
		"\"disks\":[{\"path\":\"/a\",\"readonly\":true,\"direct\":true,\"num_queues\":2,"
		"\"queue_size\":64,\"id\":\"root\",\"serial\":\"S1\"},{\"path\":\"/b\"}],"
		"\"rng\":{\"src\":\"/dev/hwrng\"},"
		"\"serial\":{\"mode\":\"File\",\"file\":\"/log\"},"
		"\"console\":{\"mode\":\"Socket\",\"socket\":\"/sock\"}}");

	(void)state;
	assert_non_null(config);
	assert_string_equal(config->name, "web");
	assert_int_equal(config->cpus->boot, 2);
	assert_int_equal(config->cpus->max, 4);
	assert_int_equal(config->memory->size_bytes, 1073741824);
	assert_true(config->memory->hugepages && config->memory->prefault && config->memory->thp);
	assert_string_equal(config->payload->kernel, "/k");
	assert_string_equal(config->payload->initramfs, "/i");
	assert_string_equal(config->payload->cmdline, "console=hvc0");
	assert_int_equal(config->n_disks, 2);
	assert_true(config->disks[0]->read_only && config->disks[0]->direct);
	assert_int_equal(config->disks[0]->num_queues, 2);
	assert_int_equal(config->disks[0]->queue_size, 64);
	assert_string_equal(config->disks[0]->id, "root");
	assert_string_equal(config->disks[0]->serial, "S1");
	assert_string_equal(config->disks[1]->path, "/b");
	assert_string_equal(config->rng->src, "/dev/hwrng");
	assert_int_equal(config->serial->mode, BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE);
	assert_string_equal(config->serial->path, "/log");
	assert_int_equal(config->console->mode, BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_SOCKET);
	assert_string_equal(config->console->path, "/sock");
	bulkhead__config__vm__free_unpacked(config, NULL);
}

static void what_is_left_out_means_what_the_api_says(void **state)
{
	Bulkhead__Config__Vm *config = read_text("{" PAYLOAD "}");

	(void)state;
	assert_non_null(config);
	assert_int_equal(config->serial->mode, BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_NULL);
	assert_null(config->console);
	assert_non_null(config->rng);
	assert_non_null(config->cpus);
	assert_non_null(config->memory);
	bulkhead__config__vm__free_unpacked(config, NULL);
}

static void a_field_without_effect_is_refused_by_its_name(void **state)
{
	static const char *const cases[][2] = {
		{"\"net\":[{\"tap\":\"t\"}]", "net: not supported"},
		{"\"fs\":[{}]", "fs: not supported"},
		{"\"pmem\":[1]", "pmem: not supported"},
		{"\"balloon\":{\"size\":1}", "balloon: not supported"},
		{"\"vsock\":{\"cid\":3,\"socket\":\"/s\"}", "vsock: not supported"},
		{"\"iommu\":true", "iommu: not supported by this version; only false is"},
		{"\"watchdog\":true", "watchdog: not supported"},
		{"\"cpus\":{\"boot_vcpus\":1,\"max_vcpus\":1,\"kvm_hyperv\":true}",
		 "cpus.kvm_hyperv: not supported"},
		{"\"cpus\":{\"boot_vcpus\":1,\"max_vcpus\":1,\"topology\":{}}",
		 "cpus.topology: not supported"},
		{"\"memory\":{\"size\":1,\"mergeable\":true}", "memory.mergeable: not supported"},
		{"\"memory\":{\"size\":1,\"zones\":[{}]}", "memory.zones: not supported"},
		{"\"disks\":[{\"path\":\"/a\"},{\"path\":\"/b\",\"iommu\":true}]",
		 "disks[1].iommu: not supported"},
		{"\"disks\":[{\"path\":\"/a\",\"rate_limiter_config\":{}}]",
		 "disks[0].rate_limiter_config: not supported"},
		{"\"platform\":{\"num_pci_segments\":10}",
		 "platform.num_pci_segments: not supported"},
		{"\"tpm\":{\"socket\":\"/s\"}", "tpm: not supported"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[512];

		(void)snprintf(text, sizeof(text), "{" PAYLOAD ",%s}", cases[i][0]);
		refused(text, cases[i][1]);
	}
}

static void what_is_the_case_anyway_may_be_asked_for(void **state)
{
	static const char *const cases[] = {
		"\"net\":null",
		"\"fs\":[]",
		"\"iommu\":false",
		"\"landlock_enable\":false",
		"\"platform\":{}",
		"\"platform\":{\"num_pci_segments\":1,\"tdx\":false}",
		"\"console\":null",
		"\"memory\":{\"size\":2097152,\"shared\":true}",
		"\"memory\":{\"size\":2097152,\"shared\":false}",
		"\"disks\":[{\"path\":\"/a\",\"image_type\":\"Raw\",\"vhost_user\":false}]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[512];
		Bulkhead__Config__Vm *config;

		(void)snprintf(text, sizeof(text), "{" PAYLOAD ",%s}", cases[i]);
		config = read_text(text);
		if (!config)
			fail_msg("%s: %s", cases[i], errors.messages[0]);
		bulkhead__config__vm__free_unpacked(config, NULL);
	}
}

static void wrong_types_and_values_name_the_field(void **state)
{
	static const char *const cases[][2] = {
		{"[]", "must be an object"},
		{"{}", "payload: is missing"},
		{"{\"payload\":{}}", "payload.kernel: is missing"},
		{"{\"payload\":null}", "payload: must be an object"},
		{"{\"payload\":{\"kernel\":7}}", "payload.kernel: must be a string"},
		{"{\"payload\":{\"kernel\":\"\"}}", "payload.kernel: must not be empty"},
		{"{" PAYLOAD ",\"cpus\":{\"boot_vcpus\":1}}", "cpus.max_vcpus: is missing"},
		{"{" PAYLOAD ",\"cpus\":{\"boot_vcpus\":-1,\"max_vcpus\":1}}",
		 "cpus.boot_vcpus: must be from 1 to"},
		{"{" PAYLOAD ",\"cpus\":{\"boot_vcpus\":1.5,\"max_vcpus\":1}}",
		 "cpus.boot_vcpus: must be an integer"},
		{"{" PAYLOAD ",\"cpus\":{\"boot_vcpus\":4294967296,\"max_vcpus\":1}}",
		 "cpus.boot_vcpus: must be from 1 to 4294967295"},
		{"{" PAYLOAD ",\"memory\":{\"size\":\"1G\"}}", "memory.size: must be an integer"},
		{"{" PAYLOAD ",\"memory\":{\"size\":99999999999999999999}}", "too big integer"},
		{"{" PAYLOAD ",\"memory\":{\"size\":1,\"hugepages\":1}}",
		 "memory.hugepages: must be true or false"},
		{"{" PAYLOAD ",\"disks\":{}}", "disks: must be a list"},
		{"{" PAYLOAD ",\"disks\":[7]}", "disks[0]: must be an object"},
		{"{" PAYLOAD ",\"disks\":[{}]}", "disks[0].path: is missing"},
		{"{" PAYLOAD ",\"serial\":{\"mode\":\"Loud\"}}",
		 "serial.mode: must be one of Off, Tty, File, Pty, Socket, Null"},
		{"{" PAYLOAD ",\"serial\":{\"mode\":\"File\"}}", "serial.file: is missing"},
		{"{" PAYLOAD ",\"serial\":{\"mode\":\"Off\",\"file\":\"/f\"}}",
		 "serial.file: belongs to the mode File only"},
		{"{" PAYLOAD ",\"console\":{\"mode\":\"Socket\",\"socket\":\"\"}}",
		 "console.socket: is missing"},
		{"{" PAYLOAD ",\"kernal\":1}", "kernal: unknown field"},
		{"{" PAYLOAD ",\"disks\":[{\"path\":\"/a\",\"sise\":1}]}",
		 "disks[0].sise: unknown field"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		refused(cases[i][0], cases[i][1]);
}

static void text_that_is_no_good_json_is_refused(void **state)
{
	(void)state;
	refused("", "JSON: ");
	refused("{" PAYLOAD, "JSON: line 1");
	refused("{" PAYLOAD "," PAYLOAD "}", "duplicate object key");
	refused("{\"payload\":{\"kernel\":\"\xff\"}}", "unable to decode byte 0xff");
	refused("{\"payload\":{\"kernel\":\"a\\u0000b\"}}", "\\u0000");
	refused("{\"x\":[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]}", "levels of nesting");
	refused("{" PAYLOAD "} trailing", "JSON: ");
}

static void all_errors_are_told_at_once(void **state)
{
	char *text;

	(void)state;
	assert_null(read_text("{\"payload\":{\"kernel\":1},\"net\":[1],\"oops\":2}"));
	assert_int_equal(errors.count, 3);
	text = json_errors_text(&errors);
	assert_non_null(strstr(text, "[\"payload.kernel: must be a string\","));
	assert_non_null(strstr(text, "\"oops: unknown field\""));
	free(text);
}

static void errors_are_utf_8_however_long_the_name_is(void **state)
{
	char name[400] = "", text[600];
	char *array;
	json_t *parsed;

	(void)state;
	for (int i = 0; i < 100; i++)
		memcpy(name + 2 * i, "\xc3\xa9", 3);
	(void)snprintf(text, sizeof(text), "{" PAYLOAD ",\"%s\":1}", name);
	assert_null(read_text(text));
	array = json_errors_text(&errors);
	parsed = json_loads(array, 0, NULL);
	assert_non_null(parsed);
	json_decref(parsed);
	free(array);
}

static void what_was_read_is_echoed_and_reads_the_same_again(void **state)
{
	static const char text[] =
		"{\"cpus\":{\"boot_vcpus\":2,\"max_vcpus\":2},\"memory\":{\"size\":2097152},"
		"\"payload\":{\"kernel\":\"/k\"},\"disks\":[{\"path\":\"/a\",\"id\":\"d\","
		"\"num_queues\":1,\"queue_size\":256}],\"serial\":{\"mode\":\"File\",\"file\":"
		"\"/l\"},\"console\":{\"mode\":\"Pty\",\"id\":\"console\"},\"rng\":{\"src\":\"/"
		"r\",\"id\":\"rng\"}}";
	Bulkhead__Config__Vm *config = read_text(text);
	Bulkhead__Config__Vm *again;
	json_t *echo;
	char *echo_text;

	(void)state;
	assert_non_null(config);
	echo = vm_json_write(config, NULL, 0);
	echo_text = json_dumps(echo, 0);
	assert_false(json_is_true(json_object_get(json_object_get(echo, "memory"), "mergeable")));
	assert_true(json_is_false(json_object_get(echo, "iommu")));
	again = read_text(echo_text);
	if (!again)
		fail_msg("%s", errors.messages[0]);
	assert_int_equal(bulkhead__config__vm__get_packed_size(config),
			 bulkhead__config__vm__get_packed_size(again));
	free(echo_text);
	json_decref(echo);
	bulkhead__config__vm__free_unpacked(config, NULL);
	bulkhead__config__vm__free_unpacked(again, NULL);
}

static void a_pseudo_terminal_is_echoed_as_the_file(void **state)
{
	Bulkhead__Config__Vm *config = read_text("{" PAYLOAD ",\"serial\":{\"mode\":\"Pty\"}}");
	Bulkhead__Control__Terminal terminal = BULKHEAD__CONTROL__TERMINAL__INIT;
	Bulkhead__Control__Terminal *terminals[] = {&terminal};
	char id[] = "serial", path[] = "/dev/pts/3";
	json_t *echo;

	(void)state;
	terminal.device_id = id;
	terminal.path = path;
	echo = vm_json_write(config, terminals, 1);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(echo, "serial"), "file")), path);
	json_decref(echo);
	bulkhead__config__vm__free_unpacked(config, NULL);
}

static void a_configuration_file_gives_one_line_of_errors(void **state)
{
	static const char text[] = "{\"payload\":{},\"x\":1}";
	struct error err = ERROR_INIT;

	(void)state;
	assert_null(vm_json_parse_text(text, strlen(text), &err));
	assert_int_equal(err.code, -EINVAL);
	assert_string_equal(err.message, "payload.kernel: is missing; x: unknown field");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_that_has_an_effect_arrives),
		cmocka_unit_test(what_is_left_out_means_what_the_api_says),
		cmocka_unit_test(a_field_without_effect_is_refused_by_its_name),
		cmocka_unit_test(what_is_the_case_anyway_may_be_asked_for),
		cmocka_unit_test(wrong_types_and_values_name_the_field),
		cmocka_unit_test(text_that_is_no_good_json_is_refused),
		cmocka_unit_test(all_errors_are_told_at_once),
		cmocka_unit_test(errors_are_utf_8_however_long_the_name_is),
		cmocka_unit_test(what_was_read_is_echoed_and_reads_the_same_again),
		cmocka_unit_test(a_pseudo_terminal_is_echoed_as_the_file),
		cmocka_unit_test(a_configuration_file_gives_one_line_of_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
