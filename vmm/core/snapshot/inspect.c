/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/snapshot/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "vmm/core/snapshot/inspect_text.h"
#include "vmm/core/snapshot/manifest.h"
#include "vmm/core/snapshot/snapshot_reader.h"

#define EXIT_OK	 0
#define EXIT_BAD 2

struct inspect_options {
	const char *path;
	bool json, verify, help;
};

static int inspect_open_file(void *opaque, const char *name, int *fd, struct error *err)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	const int *directory = opaque;

	*fd = (int)syscall(SYS_openat2, *directory, name, &how, sizeof(how));
	return *fd < 0 ? error_set_errno(err, -errno, "%s", name) : 0;
}

static uint64_t stored_bytes(const Bulkhead__Snapshot__MemoryRegion *region)
{
	return region->chunk_checksums.len / 16 * region->chunk_bytes;
}

static void format_time(const Bulkhead__Snapshot__Manifest *manifest, char *text, size_t bytes)
{
	time_t seconds = (time_t)(manifest->created_at_ns / 1000000000U);
	struct tm split;

	if (!gmtime_r(&seconds, &split) || !strftime(text, bytes, "%Y-%m-%dT%H:%M:%SZ", &split))
		(void)snprintf(text, bytes, "unknown");
}

static void print_hex(const ProtobufCBinaryData *data)
{
	for (size_t i = 0; i < data->len; i++)
		printf("%02x", data->data[i]);
}

static void print_text_disks(const Bulkhead__Config__Vm *config)
{
	for (size_t i = 0; i < config->n_disks; i++) {
		printf("%s%-24s ", i ? "" : "\ndisk\n", config->disks[i]->id);
		inspect_print_text(stdout, config->disks[i]->path);
		printf("%s\n", config->disks[i]->read_only ? " (read-only)" : "");
	}
}

static void print_text(const struct snapshot_reader *reader, const struct inspect_options *options)
{
	const Bulkhead__Snapshot__Manifest *manifest = reader->manifest;
	char created[32];

	format_time(manifest, created, sizeof(created));
	printf("snapshot   %s\n", options->path);
	printf("made       %s by bulkhead ", created);
	inspect_print_text(stdout, manifest->product_version);
	printf(", format %u\nhost       ", manifest->format_version);
	inspect_print_text(stdout, manifest->host->cpu_vendor);
	printf(", ");
	inspect_print_text(stdout, manifest->host->cpu_model);
	printf(", Linux ");
	inspect_print_text(stdout, manifest->host->kernel_release);
	printf("\nvm         \"");
	inspect_print_text(stdout, reader->config->name);
	printf("\", %u vCPUs, %" PRIu64 " MiB of memory\n", manifest->vcpu_count,
	       reader->config->memory->size_bytes >> 20);
	printf("parent     ");
	if (manifest->parent_digest.len)
		print_hex(&manifest->parent_digest);
	else
		printf("none: a full snapshot");
	printf("\n\n%-24s %-10s %12s %12s\n", "memory", "at", "size MiB", "stored MiB");
	for (size_t i = 0; i < manifest->n_memory; i++)
		printf("%-24s 0x%-8" PRIx64 " %12" PRIu64 " %12" PRIu64 "\n",
		       manifest->memory[i]->file, manifest->memory[i]->guest_physical_address,
		       manifest->memory[i]->size_bytes >> 20,
		       stored_bytes(manifest->memory[i]) >> 20);
	printf("\n%-24s %-10s %12s %12s\n", "device", "kind", "slot", "state bytes");
	for (size_t i = 0; i < manifest->n_devices; i++)
		printf("%-24s %-10s 0000:00:%02x.0 %12zu\n", manifest->devices[i]->id,
		       manifest->devices[i]->kind, manifest->devices[i]->pci_slot,
		       reader->devices[i]->worker_state.len);
	print_text_disks(reader->config);
	printf("\n%s\n", options->verify
				 ? "every checksum fits"
				 : "small files' checksums fit; --verify checks memory, too");
}

static void print_json_member(const char *name, const char *text)
{
	printf("\"%s\":", name);
	inspect_print_json_string(text);
	putchar(',');
}

static void print_json_lists(const struct snapshot_reader *reader)
{
	const Bulkhead__Snapshot__Manifest *manifest = reader->manifest;

	printf("\"memory\":[");
	for (size_t i = 0; i < manifest->n_memory; i++)
		printf("%s{\"file\":\"%s\",\"address\":%" PRIu64 ",\"size_bytes\":%" PRIu64
		       ",\"stored_bytes\":%" PRIu64 "}",
		       i ? "," : "", manifest->memory[i]->file,
		       manifest->memory[i]->guest_physical_address, manifest->memory[i]->size_bytes,
		       stored_bytes(manifest->memory[i]));
	printf("],\"devices\":[");
	for (size_t i = 0; i < manifest->n_devices; i++)
		printf("%s{\"id\":\"%s\",\"kind\":\"%s\",\"pci_slot\":%u,\"state_bytes\":%zu}",
		       i ? "," : "", manifest->devices[i]->id, manifest->devices[i]->kind,
		       manifest->devices[i]->pci_slot, reader->devices[i]->worker_state.len);
	printf("],\"disks\":[");
	for (size_t i = 0; i < reader->config->n_disks; i++) {
		printf("%s{\"id\":\"%s\",\"readonly\":%s,\"path\":", i ? "," : "",
		       reader->config->disks[i]->id,
		       reader->config->disks[i]->read_only ? "true" : "false");
		inspect_print_json_string(reader->config->disks[i]->path);
		putchar('}');
	}
	printf("]");
}

static void print_json(const struct snapshot_reader *reader, const struct inspect_options *options)
{
	const Bulkhead__Snapshot__Manifest *manifest = reader->manifest;
	char created[32];

	format_time(manifest, created, sizeof(created));
	putchar('{');
	print_json_member("path", options->path);
	print_json_member("created", created);
	print_json_member("product_version", manifest->product_version);
	print_json_member("cpu_vendor", manifest->host->cpu_vendor);
	print_json_member("cpu_model", manifest->host->cpu_model);
	print_json_member("kernel_release", manifest->host->kernel_release);
	print_json_member("name", reader->config->name);
	printf("\"format_version\":%u,\"vcpus\":%u,\"verified\":%s,\"parent\":\"",
	       manifest->format_version, manifest->vcpu_count, options->verify ? "true" : "false");
	print_hex(&manifest->parent_digest);
	printf("\",");
	print_json_lists(reader);
	printf("}\n");
}

static int inspect_verify(const struct snapshot_reader *reader, struct error *err)
{
	struct memory_progress progress = {0};

	for (size_t i = 0; i < reader->manifest->n_memory; i++) {
		const Bulkhead__Snapshot__MemoryRegion *region = reader->manifest->memory[i];
		struct memory_index index = manifest_memory_index(region);

		if (memory_file_verify(reader->memory_fds[i], region->size_bytes, &index, &progress,
				       err) < 0)
			return error_prefix(err, "%s", region->file);
	}
	return 0;
}

static int inspect_parse(int argc, char **argv, struct inspect_options *options, struct error *err)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			options->json = true;
		else if (strcmp(argv[i], "--verify") == 0)
			options->verify = true;
		else if (strcmp(argv[i], "--help") == 0)
			options->help = true;
		else if (argv[i][0] == '-' || options->path)
			return error_set(err, -EINVAL, "unexpected argument \"%s\"; see --help",
					 argv[i]);
		else
			options->path = argv[i];
	}
	if (!options->path && !options->help)
		return error_set(err, -EINVAL, "give the snapshot's directory");
	return 0;
}

static int inspect_run(const struct inspect_options *options, struct error *err)
{
	const char *path = options->path ? options->path : "";
	cleanup_fd int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct snapshot_source source = {.open_file = inspect_open_file, .opaque = &directory};
	struct snapshot_reader *reader;
	int result = 0;

	if (directory < 0)
		return error_set_errno(err, -errno, "%s", options->path);
	reader = snapshot_reader_read(&source, err);
	if (!reader)
		return error_prefix(err, "%s", options->path);
	if (options->verify)
		result = inspect_verify(reader, err);
	if (result < 0)
		error_prefix(err, "%s", options->path);
	else if (options->json)
		print_json(reader, options);
	else
		print_text(reader, options);
	snapshot_reader_destroy(reader);
	return result;
}

static int inspect_fail(const struct error *err)
{
	(void)fprintf(stderr, "bulkhead inspect: ");
	inspect_print_text(stderr, err->message);
	(void)fprintf(stderr, "\n");
	return EXIT_BAD;
}

int inspect_main(int argc, char **argv)
{
	struct inspect_options options = {0};
	struct error err = ERROR_INIT;

	if (inspect_parse(argc, argv, &options, &err) < 0)
		return inspect_fail(&err);
	if (options.help) {
		printf("Usage: bulkhead inspect DIR [--json] [--verify]\n"
		       "Show what is in a snapshot. The checksums of all small files are always "
		       "checked, "
		       "those of memory with --verify.\n"
		       "Exit status: 0 the snapshot is whole as far as it was checked; 2 it is "
		       "not, or "
		       "bad usage.\n");
		return EXIT_OK;
	}
	return inspect_run(&options, &err) < 0 ? inspect_fail(&err) : EXIT_OK;
}
