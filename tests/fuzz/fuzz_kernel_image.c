/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel files: the input is the file, loaded into 32 MiB of guest memory with itself as the
 * initramfs. Beyond not crashing, a file that is refused must be explained, and one that is taken
 * must start inside RAM and leave the boot data that the guest is pointed to.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/core/boot/boot.h"
#include "vmm/core/platform/memory_map.h"

#define RAM_BYTES MAP_MIB(32)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_new(const uint8_t *data, size_t size)
{
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	return fd;
}

static void check_result(int result, const struct error *err, const struct guest_memory *memory,
			 const struct boot_entry *entry)
{
	const uint8_t *ram = memory->regions[0].hva;

	if (result < 0) {
		if (err->code != result || !err->message[0])
			abort();
		return;
	}
	if (entry->rip < MAP_HIGH_RAM || entry->rip >= RAM_BYTES)
		abort();
	if (memcmp(ram + MAP_ACPI_START, "RSD PTR ", 8) != 0)
		abort();
	if (strcmp((const char *)ram + MAP_BOOT_CMDLINE, "console=ttyS0") != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest_memory memory = {.region_count = 1};
	struct boot_request request = {
		.kernel_fd = file_new(data, size),
		.kernel_path = "kernel",
		.initramfs_path = "initramfs",
		.cmdline = "console=ttyS0",
		.cpus_boot = 1,
		.cpus_max = 2,
	};
	struct error err = ERROR_INIT;
	struct boot_entry entry;
	void *ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (ram == MAP_FAILED)
		abort();
	request.initramfs_fd = request.kernel_fd;
	memory.regions[0] =
		(struct guest_memory_region){.size_bytes = RAM_BYTES, .hva = ram, .fd = -1};
	check_result(boot_load(&request, &memory, &entry, &err), &err, &memory, &entry);
	munmap(ram, RAM_BYTES);
	close(request.kernel_fd);
	return 0;
}
