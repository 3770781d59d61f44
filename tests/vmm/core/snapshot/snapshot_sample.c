/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vmm/core/snapshot/snapshot_sample.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/vm_state.pb-c.h"
#include "vmm/core/config/option_string.h"
#include "vmm/core/config/vm_config.h"
#include "vmm/core/kvm/x86_64/irqchip_state.h"
#include "vmm/core/kvm/x86_64/vcpu_state.h"
#include "vmm/core/snapshot/host_facts.h"
#include "vmm/core/snapshot/manifest.h"
#include "vmm/core/snapshot/snapshot_file.h"

static const char *const devices[][2] = {{"root", "blk"}, {"rng", "rng"}, {"console", "console"}};

struct sample_file *sample_find(struct snapshot_sample *sample, const char *name)
{
	for (unsigned i = 0; i < sample->count; i++)
		if (strcmp(sample->files[i].name, name) == 0)
			return &sample->files[i];
	return NULL;
}

static struct sample_file *sample_add(struct snapshot_sample *sample, const char *name)
{
	struct sample_file *file = &sample->files[sample->count++];

	assert_true(sample->count <= SAMPLE_MAX_FILES);
	(void)snprintf(file->name, sizeof(file->name), "%s", name);
	return file;
}

/* Takes data, a packed message. */
static void sample_add_small(struct snapshot_sample *sample, const char *name, uint8_t *data,
			     size_t bytes)
{
	struct sample_file *file = sample_add(sample, name);
	struct error err = ERROR_INIT;

	assert_int_equal(snapshot_file_seal(&data, &bytes, &err), 0);
	file->data = data;
	file->bytes = bytes;
	assert_int_equal(manifest_add_file(sample->manifest, name, data, bytes, &err), 0);
}

static void sample_add_message(struct snapshot_sample *sample, const char *name,
			       const ProtobufCMessage *message)
{
	size_t bytes = protobuf_c_message_get_packed_size(message);
	uint8_t *data = malloc(bytes + 1);

	assert_non_null(data);
	protobuf_c_message_pack(message, data);
	sample_add_small(sample, name, data, bytes);
}

static void set_string(char **target, const char *text)
{
	assert_int_equal(option_set_string(target, text, strlen(text)), 0);
}

static void sample_add_config(struct snapshot_sample *sample)
{
	Bulkhead__Snapshot__ConfigFile file = BULKHEAD__SNAPSHOT__CONFIG_FILE__INIT;
	Bulkhead__Config__Vm *config = vm_config_new();
	Bulkhead__Config__Disk *disk = vm_config_add_disk(config);
	struct error err = ERROR_INIT;
	uint8_t *packed;

	set_string(&config->name, "sample");
	set_string(&config->payload->kernel, "/srv/kernel");
	set_string(&disk->id, "root");
	set_string(&disk->path, "/srv/\"disk\"\\\x1b[2J.img");
	(void)vm_config_rng(config);
	vm_config_console(config)->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_NULL;
	config->memory->size_bytes = SAMPLE_MEMORY_BYTES;
	config->cpus->boot = SAMPLE_VCPUS;
	assert_int_equal(vm_config_complete(config, &err), 0);
	file.config.len = bulkhead__config__vm__get_packed_size(config);
	packed = malloc(file.config.len);
	assert_non_null(packed);
	file.config.data = packed;
	bulkhead__config__vm__pack(config, packed);
	sample_add_message(sample, MANIFEST_CONFIG_NAME, &file.base);
	free(packed);
	vm_config_free(config);
}

static void sample_add_vm(struct snapshot_sample *sample)
{
	Bulkhead__Vmstate__Vm message = BULKHEAD__VMSTATE__VM__INIT;
	static const struct irqchip_state irqchip = {.clock.clock = 123456789};
	struct irqchip_message parts;
	uint8_t platform[] = {0x0a, 0x02, 0x08, 0x01}; /* serial { interrupt_enable: 1 } */

	irqchip_state_fill(&message, &parts, &irqchip);
	message.platform.data = platform;
	message.platform.len = sizeof(platform);
	sample_add_message(sample, MANIFEST_VM_NAME, &message.base);
}

static void fill(void *field, size_t bytes, unsigned *seed)
{
	uint8_t *to = field;

	for (size_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)(1 + (*seed)++ % 127);
}

void sample_registers(struct vcpu_registers *registers, unsigned seed)
{
	const unsigned msrs = 5, entries = 3;

	memset(registers, 0, sizeof(*registers));
	fill(&registers->regs, sizeof(registers->regs), &seed);
	fill(&registers->sregs, sizeof(registers->sregs), &seed);
	fill(&registers->lapic, sizeof(registers->lapic), &seed);
	fill(&registers->mp_state, sizeof(registers->mp_state), &seed);
	fill(&registers->events, sizeof(registers->events), &seed);
	fill(&registers->debugregs, sizeof(registers->debugregs), &seed);
	registers->xcrs.nr_xcrs = 2;
	for (unsigned i = 0; i < registers->xcrs.nr_xcrs; i++) {
		registers->xcrs.xcrs[i].xcr = i;
		fill(&registers->xcrs.xcrs[i].value, 8, &seed);
	}
	registers->xsave_bytes = sizeof(struct kvm_xsave) + 64;
	registers->xsave = malloc(registers->xsave_bytes);
	registers->msrs = calloc(1, sizeof(struct kvm_msrs) + msrs * sizeof(struct kvm_msr_entry));
	registers->cpuid =
		calloc(1, sizeof(struct kvm_cpuid2) + entries * sizeof(struct kvm_cpuid_entry2));
	assert_true(registers->xsave && registers->msrs && registers->cpuid);
	fill(registers->xsave, registers->xsave_bytes, &seed);
	registers->msrs->nmsrs = msrs;
	for (unsigned i = 0; i < msrs; i++) {
		fill(&registers->msrs->entries[i].index, 4, &seed);
		fill(&registers->msrs->entries[i].data, 8, &seed);
	}
	registers->cpuid->nent = entries;
	for (unsigned i = 0; i < entries; i++) {
		struct kvm_cpuid_entry2 *entry = &registers->cpuid->entries[i];

		fill(entry, offsetof(struct kvm_cpuid_entry2, padding), &seed);
	}
	fill(&registers->tsc_khz, sizeof(registers->tsc_khz), &seed);
	registers->has_tsc_offset = true;
	registers->tsc_offset = UINT64_C(0xfedcba9876543210) + seed;
}

static void sample_add_vcpus(struct snapshot_sample *sample)
{
	struct error err = ERROR_INIT;

	sample->manifest->vcpu_count = SAMPLE_VCPUS;
	for (unsigned i = 0; i < SAMPLE_VCPUS; i++) {
		struct vcpu_registers registers;
		uint8_t *packed;
		size_t bytes;
		char name[32];

		sample_registers(&registers, i);
		assert_int_equal(vcpu_state_pack(&registers, i, &packed, &bytes, &err), 0);
		vcpu_registers_release(&registers);
		manifest_vcpu_file_name(i, name, sizeof(name));
		sample_add_small(sample, name, packed, bytes);
	}
}

static void sample_add_devices(struct snapshot_sample *sample)
{
	struct error err = ERROR_INIT;

	for (unsigned i = 0; i < sizeof(devices) / sizeof(*devices); i++) {
		Bulkhead__Snapshot__DeviceBlob blob = BULKHEAD__SNAPSHOT__DEVICE_BLOB__INIT;
		uint8_t state[8] = {(uint8_t)i, 1, 2, 3, 4, 5, 6, 7};
		char name[80];

		blob.worker_state.data = state;
		blob.worker_state.len = sizeof(state);
		blob.transport_state.data = state;
		blob.transport_state.len = 4;
		manifest_device_file_name(devices[i][0], name, sizeof(name));
		sample_add_message(sample, name, &blob.base);
		assert_int_equal(manifest_add_device(sample->manifest, devices[i][0], devices[i][1],
						     i + 1, &err),
				 0);
	}
}

static void sample_add_memory(struct snapshot_sample *sample)
{
	struct guest_memory_region region = {.size_bytes = SAMPLE_MEMORY_BYTES};
	struct memory_progress progress = {0};
	struct memory_index index = {0};
	struct error err = ERROR_INIT;
	int fd = memfd_create("file", MFD_CLOEXEC);
	struct sample_file *file = sample_add(sample, "memory-region-0");

	region.fd = memfd_create("memory", MFD_CLOEXEC);
	assert_true(fd >= 0 && region.fd >= 0);
	assert_int_equal(ftruncate(region.fd, SAMPLE_MEMORY_BYTES), 0);
	region.hva =
		mmap(NULL, SAMPLE_MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, region.fd, 0);
	assert_ptr_not_equal(region.hva, MAP_FAILED);
	memset(region.hva + 3 * MEMORY_FILE_CHUNK_BYTES, 0x5a, MEMORY_FILE_CHUNK_BYTES);
	region.hva[7 * MEMORY_FILE_CHUNK_BYTES + 5] = 1;
	assert_int_equal(memory_file_write(&region, fd, &index, &progress, &err), 0);
	assert_int_equal(
		manifest_add_memory(sample->manifest, 0, 0, SAMPLE_MEMORY_BYTES, &index, &err), 0);
	file->bytes = SAMPLE_MEMORY_BYTES;
	file->data = malloc(file->bytes);
	assert_non_null(file->data);
	assert_int_equal(pread(fd, file->data, file->bytes, 0), file->bytes);
	munmap(region.hva, SAMPLE_MEMORY_BYTES);
	close(region.fd);
	close(fd);
}

void sample_write_manifest(struct snapshot_sample *sample)
{
	struct sample_file *file = sample_find(sample, MANIFEST_FILE_NAME);
	struct error err = ERROR_INIT;

	free(file->data);
	assert_int_equal(
		snapshot_file_pack(&sample->manifest->base, &file->data, &file->bytes, &err), 0);
}

void sample_init(struct snapshot_sample *sample)
{
	memset(sample, 0, sizeof(*sample));
	sample->manifest = manifest_new();
	assert_non_null(sample->manifest);
	sample->manifest->host = host_facts_new();
	assert_non_null(sample->manifest->host);
	sample_add_devices(sample);
	sample_add_vm(sample);
	sample_add_vcpus(sample);
	sample_add_config(sample);
	(void)sample_add(sample, MANIFEST_FILE_NAME);
	sample_add_memory(sample);
	sample_write_manifest(sample);
}

void sample_destroy(struct snapshot_sample *sample)
{
	for (unsigned i = 0; i < sample->count; i++)
		free(sample->files[i].data);
	manifest_free(sample->manifest);
}

void sample_replace(struct snapshot_sample *sample, const char *name, const uint8_t *message,
		    size_t bytes)
{
	struct sample_file *file = sample_find(sample, name);
	struct error err = ERROR_INIT;
	uint8_t *data = malloc(bytes + 1);

	assert_non_null(data);
	memcpy(data, message, bytes);
	assert_int_equal(snapshot_file_seal(&data, &bytes, &err), 0);
	free(file->data);
	file->data = data;
	file->bytes = bytes;
	for (size_t i = 0; i < sample->manifest->n_files; i++) {
		Bulkhead__Snapshot__File *entry = sample->manifest->files[i];

		if (strcmp(entry->name, name) != 0)
			continue;
		entry->size_bytes = bytes;
		snapshot_checksum(data, bytes, entry->checksum.data);
	}
	sample_write_manifest(sample);
}

static int sample_open_file(void *opaque, const char *name, int *fd, struct error *err)
{
	struct snapshot_sample *sample = opaque;
	const struct sample_file *file = sample_find(sample, name);

	if (!file || (sample->missing && strcmp(sample->missing, name) == 0))
		return error_set_errno(err, -ENOENT, "%s", name);
	*fd = memfd_create(name, MFD_CLOEXEC);
	assert_true(*fd >= 0);
	/* Memory is only opened by the reader: its size does for that. */
	if (strcmp(name, "memory-region-0") == 0)
		assert_int_equal(ftruncate(*fd, (off_t)file->bytes), 0);
	else
		assert_int_equal(write(*fd, file->data, file->bytes), file->bytes);
	return 0;
}

struct snapshot_source sample_source(struct snapshot_sample *sample)
{
	return (struct snapshot_source){.open_file = sample_open_file, .opaque = sample};
}

struct snapshot_reader *sample_read(struct snapshot_sample *sample, struct error *err)
{
	struct snapshot_source source = sample_source(sample);

	*err = (struct error)ERROR_INIT;
	return snapshot_reader_read(&source, err);
}

void sample_store(struct snapshot_sample *sample, const char *path)
{
	char name[256];

	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(name, sizeof(name), "%s/devices", path);
	assert_int_equal(mkdir(name, 0700), 0);
	for (unsigned i = 0; i < sample->count; i++) {
		int fd;

		(void)snprintf(name, sizeof(name), "%s/%s", path, sample->files[i].name);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, sample->files[i].data, sample->files[i].bytes),
				 sample->files[i].bytes);
		close(fd);
	}
}
