/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restores that must not start a guest: damaged, forged, incomplete directories, each refused with
 * the file and the reason; and many at once from one directory that nobody may write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/pci.pb-c.h"
#include "proto/vm_state.pb-c.h"
#include "tests/vmm/core/snapshot/forgery.h"
#include "tests/vmm/core/snapshot/vm_under_test.h"
#include "vmm/core/config/option_string.h"
#include "vmm/core/config/vm_config.h"
#include "vmm/core/control/vm_parts.h"
#include "vmm/core/snapshot/manifest.h"
#include "vmm/core/snapshot/snapshot_file.h"

#define CLONES 3

static struct vm_under_test test;
static char snapshot_path[128];
static bool possible;

/* One snapshot for all tests; each undoes what it does to it. */
static int setup_once(void **state)
{
	(void)state;
	possible = vm_under_test_possible();
	if (possible)
		vm_under_test_init_saved(&test, snapshot_path, sizeof(snapshot_path));
	return 0;
}

static int teardown_once(void **state)
{
	(void)state;
	if (possible)
		vm_under_test_destroy(&test);
	return 0;
}

static void require_machine(void)
{
	if (!possible)
		skip();
}

static char *file_path(const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", snapshot_path, name);
	return path;
}

static void assert_goes_on(void)
{
	unsigned ticks = vm_under_test_count_text(&test, "TICK");
	unsigned failures = vm_under_test_count_bad(&test);

	assert_int_equal(vm_under_test_resume(&test), 0);
	assert_true(vm_under_test_wait_text(&test, "TICK", ticks + 1));
	assert_int_equal(vm_under_test_count_bad(&test), failures);
}

static void assert_refused(const char *name, const char *reason)
{
	unsigned ticks = vm_under_test_count_text(&test, "TICK");

	if (vm_under_test_restore(&test, snapshot_path, false) == 0)
		fail_msg("%s: %s: restored", name, reason);
	if (!strstr(test.result.message, name) || !strstr(test.result.message, reason))
		fail_msg("\"%s\" does not say \"%s\" and \"%s\"", test.result.message, name,
			 reason);
	vm_under_test_end_vm(&test);
	assert_int_equal(vm_under_test_count_text(&test, "TICK"), ticks);
}

static void assert_restorable(void)
{
	if (vm_under_test_restore(&test, snapshot_path, false) != 0)
		fail_msg("%s", test.result.message);
	assert_goes_on();
	vm_under_test_end_vm(&test);
}

static Bulkhead__Snapshot__DeviceBlob *load_blob(const char *name)
{
	Bulkhead__Snapshot__DeviceBlob *blob;
	size_t bytes;
	uint8_t *data = forgery_load(snapshot_path, name, &bytes);

	blob = bulkhead__snapshot__device_blob__unpack(NULL, bytes - SNAPSHOT_TRAILER_BYTES, data);
	assert_non_null(blob);
	free(data);
	return blob;
}

static void refuse_blob(const char *name, Bulkhead__Snapshot__DeviceBlob *blob, const char *device)
{
	struct forgery forgery = forgery_make(snapshot_path, name, &blob->base);

	assert_refused(device, "");
	forgery_undo(&forgery);
	bulkhead__snapshot__device_blob__free_unpacked(blob, NULL);
}

static void swap_bytes(ProtobufCBinaryData *one, ProtobufCBinaryData *other)
{
	ProtobufCBinaryData copy = *one;

	*one = *other;
	*other = copy;
}

static void blobs_of_other_devices_are_refused(void **state)
{
	Bulkhead__Snapshot__DeviceBlob *root, *rng;

	(void)state;
	require_machine();
	root = load_blob("devices/root.pb");
	rng = load_blob("devices/rng.pb");
	swap_bytes(&root->worker_state, &rng->worker_state);
	refuse_blob("devices/root.pb", root, "\"root\"");
	refuse_blob("devices/rng.pb", rng, "\"rng\"");
	root = load_blob("devices/root.pb");
	rng = load_blob("devices/rng.pb");
	swap_bytes(&root->transport_state, &rng->transport_state);
	refuse_blob("devices/root.pb", root, "\"root\"");
	refuse_blob("devices/rng.pb", rng, "\"rng\"");
}

static void garbage_for_a_worker_is_refused(void **state)
{
	Bulkhead__Snapshot__DeviceBlob *blob;

	(void)state;
	require_machine();
	blob = load_blob("devices/root.pb");
	memset(blob->worker_state.data, 0xff, blob->worker_state.len);
	refuse_blob("devices/root.pb", blob, "\"root\"");
	blob = load_blob("devices/console.pb");
	blob->worker_state.len /= 2;
	memset(blob->transport_state.data, 0xff, blob->transport_state.len);
	refuse_blob("devices/console.pb", blob, "\"console\"");
}

/* Rings anywhere but in memory: the transport or the worker has to say no. */
static void rings_outside_of_memory_are_refused(void **state)
{
	static const uint64_t places[] = {0x8000000, 0xfffffffffffff000, 0x7fffff0, 0xfec00000};

	(void)state;
	require_machine();
	for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
		Bulkhead__Snapshot__DeviceBlob *blob = load_blob("devices/root.pb");
		Bulkhead__Pci__VirtioPciState *transport = bulkhead__pci__virtio_pci_state__unpack(
			NULL, blob->transport_state.len, blob->transport_state.data);

		assert_non_null(transport);
		transport->queues[0]->device_area = places[i];
		free(blob->transport_state.data);
		blob->transport_state.len =
			bulkhead__pci__virtio_pci_state__get_packed_size(transport);
		blob->transport_state.data = malloc(blob->transport_state.len);
		assert_non_null(blob->transport_state.data);
		bulkhead__pci__virtio_pci_state__pack(transport, blob->transport_state.data);
		bulkhead__pci__virtio_pci_state__free_unpacked(transport, NULL);
		refuse_blob("devices/root.pb", blob, "\"root\"");
	}
	assert_restorable();
}

static Bulkhead__Vmstate__Vcpu *load_vcpu(void)
{
	Bulkhead__Vmstate__Vcpu *vcpu;
	size_t bytes;
	uint8_t *data = forgery_load(snapshot_path, "vcpu-0.pb", &bytes);

	vcpu = bulkhead__vmstate__vcpu__unpack(NULL, bytes - SNAPSHOT_TRAILER_BYTES, data);
	assert_non_null(vcpu);
	free(data);
	return vcpu;
}

static void a_guest_with_features_that_this_host_lacks_is_refused(void **state)
{
	Bulkhead__Vmstate__Vcpu *vcpu;
	struct forgery forgery;

	(void)state;
	require_machine();
	vcpu = load_vcpu();
	for (size_t i = 0; i < vcpu->n_cpuid; i++)
		if (vcpu->cpuid[i]->function == 1)
			vcpu->cpuid[i]->edx = UINT32_MAX;
	forgery = forgery_make(snapshot_path, "vcpu-0.pb", &vcpu->base);
	assert_refused("features that this host lacks", "leaf 1 edx");
	forgery_undo(&forgery);
	bulkhead__vmstate__vcpu__free_unpacked(vcpu, NULL);
}

/* KVM has the last word on registers; whatever it says, nothing of ours may fall over. */
static void registers_that_cannot_be_do_no_harm(void **state)
{
	(void)state;
	require_machine();
	for (unsigned kind = 0; kind < 6; kind++) {
		Bulkhead__Vmstate__Vcpu *vcpu = load_vcpu();
		struct forgery forgery;

		vcpu->system->cr0 = kind == 0 ? UINT64_MAX : vcpu->system->cr0;
		vcpu->system->cr4 = kind == 1 ? UINT64_MAX : vcpu->system->cr4;
		vcpu->system->apic_base = kind == 2 ? UINT64_MAX : vcpu->system->apic_base;
		vcpu->mp_state = kind == 3 ? 77 : vcpu->mp_state;
		vcpu->events->flags = kind == 4 ? UINT32_MAX : vcpu->events->flags;
		vcpu->registers->rip = kind == 5 ? 0xfff0000000000000 : vcpu->registers->rip;
		forgery = forgery_make(snapshot_path, "vcpu-0.pb", &vcpu->base);
		if (vm_under_test_restore(&test, snapshot_path, false) == 0) {
			assert_int_equal(vm_under_test_resume(&test), 0);
			vm_under_test_run_ms(&test, 100);
		} else {
			assert_non_null(strstr(test.result.message, "vcpu-0.pb"));
		}
		vm_under_test_end_vm(&test);
		forgery_undo(&forgery);
		bulkhead__vmstate__vcpu__free_unpacked(vcpu, NULL);
	}
	assert_restorable();
}

static void devices_that_the_configuration_lacks_are_refused(void **state)
{
	Bulkhead__Snapshot__Manifest *manifest;
	size_t bytes;
	uint8_t *data;

	(void)state;
	require_machine();
	data = forgery_load(snapshot_path, MANIFEST_FILE_NAME, &bytes);
	manifest = forgery_read_manifest(snapshot_path);
	free(manifest->devices[0]->kind);
	manifest->devices[0]->kind = strdup("rng");
	forgery_write_manifest(snapshot_path, manifest);
	manifest_free(manifest);
	assert_refused("\"root\"", "no such blk device");
	manifest = forgery_read_manifest(snapshot_path);
	for (size_t i = 0; i < manifest->n_files; i++)
		if (strcmp(manifest->files[i]->name, "devices/rng.pb") == 0) {
			free(manifest->files[i]->name);
			manifest->files[i]->name = strdup("devices/ring.pb");
		}
	for (size_t i = 0; i < manifest->n_devices; i++)
		if (strcmp(manifest->devices[i]->id, "rng") == 0) {
			free(manifest->devices[i]->id);
			free(manifest->devices[i]->file);
			manifest->devices[i]->id = strdup("ring");
			manifest->devices[i]->file = strdup("devices/ring.pb");
		}
	forgery_write_manifest(snapshot_path, manifest);
	manifest_free(manifest);
	assert_refused("devices/ring.pb", "");
	forgery_store(snapshot_path, MANIFEST_FILE_NAME, data, bytes);
	free(data);
	assert_restorable();
}

static void another_vendors_snapshot_is_refused(void **state)
{
	Bulkhead__Snapshot__Manifest *manifest;
	size_t bytes;
	uint8_t *data;

	(void)state;
	require_machine();
	data = forgery_load(snapshot_path, MANIFEST_FILE_NAME, &bytes);
	manifest = forgery_read_manifest(snapshot_path);
	free(manifest->host->cpu_vendor);
	manifest->host->cpu_vendor = strdup("SomebodyElse");
	forgery_write_manifest(snapshot_path, manifest);
	manifest_free(manifest);
	assert_refused("SomebodyElse", "");
	forgery_store(snapshot_path, MANIFEST_FILE_NAME, data, bytes);
	free(data);
}

static void damaged_memory_is_refused_before_the_guest_runs(void **state)
{
	int fd;
	uint8_t byte;

	(void)state;
	require_machine();
	fd = open(file_path("memory-region-0"), O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, 0x100000), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, 0x100000), 1);
	assert_refused("memory-region-0", "damaged at 1048576");
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, 0x100000), 1);
	close(fd);
	assert_restorable();
}

static void memory_of_another_size_is_refused(void **state)
{
	struct stat status;

	(void)state;
	require_machine();
	assert_int_equal(stat(file_path("memory-region-0"), &status), 0);
	assert_int_equal(truncate(file_path("memory-region-0"), status.st_size + 4096), 0);
	assert_refused("memory-region-0", "the manifest says");
	assert_int_equal(truncate(file_path("memory-region-0"), status.st_size), 0);
	assert_restorable();
}

static void what_stands_in_memorys_place_is_refused(void **state)
{
	char path[256], aside[128];

	(void)state;
	require_machine();
	(void)snprintf(path, sizeof(path), "%s", file_path("memory-region-0"));
	vm_under_test_path(&test, "aside", aside, sizeof(aside));
	assert_int_equal(rename(path, aside), 0);
	assert_refused("memory-region-0", "No such file");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refused("memory-region-0", "is not a regular file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(aside, path), 0);
	assert_refused("memory-region-0", "");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_refused("memory-region-0", "is not a regular file");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rename(aside, path), 0);
	assert_restorable();
}

static void set_modes(mode_t directory, mode_t file)
{
	static const char *const folders[] = {".", "devices"};

	for (unsigned i = 0; i < 2; i++) {
		DIR *stream;
		const struct dirent *entry;
		char path[256];

		(void)snprintf(path, sizeof(path), "%s", file_path(folders[i]));
		assert_int_equal(chmod(path, directory), 0);
		stream = opendir(path);
		assert_non_null(stream);
		while ((entry = readdir(stream)))
			if (entry->d_type == DT_REG)
				assert_int_equal(fchmodat(dirfd(stream), entry->d_name, file, 0),
						 0);
		closedir(stream);
	}
}

static Bulkhead__Config__Vm *clone_overrides(struct vm_under_test *clone)
{
	Bulkhead__Config__Vm *overrides = vm_config_new();
	Bulkhead__Config__Disk *disk = vm_config_add_disk(overrides);
	uint8_t *content;
	char path[128];
	int fd;

	vm_under_test_path(clone, "disk", path, sizeof(path));
	content = malloc(1 << 20);
	assert_non_null(content);
	fd = open(vm_under_test_path(&test, "disk", path, sizeof(path)), O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, content, 1 << 20), 1 << 20);
	close(fd);
	vm_under_test_path(clone, "disk", path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, content, 1 << 20), 1 << 20);
	close(fd);
	free(content);
	assert_int_equal(option_set_string(&disk->id, "root", 4), 0);
	assert_int_equal(option_set_string(&disk->path, path, strlen(path)), 0);
	overrides->serial->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE;
	assert_int_equal(
		option_set_string(&overrides->serial->path, clone->serial, strlen(clone->serial)),
		0);
	vm_config_console(overrides)->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_NULL;
	return overrides;
}

static void clones_run_at_once_from_a_directory_that_is_read_only(void **state)
{
	static struct vm_under_test clones[CLONES];

	(void)state;
	require_machine();
	set_modes(0500, 0400);
	for (unsigned i = 0; i < CLONES; i++) {
		vm_under_test_init(&clones[i]);
		if (vm_under_test_restore_with(&clones[i], snapshot_path, false,
					       clone_overrides(&clones[i])) != 0)
			fail_msg("clone %u: %s", i, clones[i].result.message);
	}
	for (unsigned i = 0; i < CLONES; i++)
		assert_int_equal(vm_under_test_resume(&clones[i]), 0);
	for (unsigned i = 0; i < CLONES; i++) {
		assert_true(vm_under_test_wait_text(&clones[i], "TICK", 2));
		vm_under_test_assert_good(&clones[i]);
	}
	for (unsigned i = 0; i < CLONES; i++)
		vm_under_test_destroy(&clones[i]);
	set_modes(0700, 0600);
	assert_restorable();
}

static void every_restore_has_a_generation_id_of_its_own(void **state)
{
	uint8_t ids[3][16];

	(void)state;
	require_machine();
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(vm_under_test_restore(&test, snapshot_path, false), 0);
		assert_int_equal(guest_memory_read(&test.vm->memory, boot_vmgenid_gpa(), ids[i],
						   sizeof(ids[i])),
				 0);
		vm_under_test_end_vm(&test);
	}
	assert_memory_not_equal(ids[0], ids[1], 16);
	assert_memory_not_equal(ids[0], ids[2], 16);
	assert_memory_not_equal(ids[1], ids[2], 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blobs_of_other_devices_are_refused),
		cmocka_unit_test(garbage_for_a_worker_is_refused),
		cmocka_unit_test(rings_outside_of_memory_are_refused),
		cmocka_unit_test(a_guest_with_features_that_this_host_lacks_is_refused),
		cmocka_unit_test(registers_that_cannot_be_do_no_harm),
		cmocka_unit_test(devices_that_the_configuration_lacks_are_refused),
		cmocka_unit_test(another_vendors_snapshot_is_refused),
		cmocka_unit_test(damaged_memory_is_refused_before_the_guest_runs),
		cmocka_unit_test(memory_of_another_size_is_refused),
		cmocka_unit_test(what_stands_in_memorys_place_is_refused),
		cmocka_unit_test(clones_run_at_once_from_a_directory_that_is_read_only),
		cmocka_unit_test(every_restore_has_a_generation_id_of_its_own),
	};

	return cmocka_run_group_tests(tests, setup_once, teardown_once);
}
