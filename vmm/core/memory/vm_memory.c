/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/memory/vm_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "vmm/core/platform/memory_map.h"

#define PREFAULT_STEP_BYTES (UINT64_C(64) << 20) /* some ten milliseconds */

unsigned vm_memory_layout(uint64_t size_bytes, uint64_t gpa[2], uint64_t region_bytes[2])
{
	gpa[0] = 0;
	region_bytes[0] = size_bytes < MAP_HOLE_START ? size_bytes : MAP_HOLE_START;
	if (size_bytes <= MAP_HOLE_START)
		return 1;
	gpa[1] = MAP_HOLE_END;
	region_bytes[1] = size_bytes - MAP_HOLE_START;
	return 2;
}

static int vm_memory_open_memfd(unsigned index, uint64_t size_bytes, bool hugepages,
				struct error *err)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	cleanup_fd int fd = -1;
	char name[32];

	if (hugepages)
		flags |= MFD_HUGETLB | MFD_HUGE_2MB;
	(void)snprintf(name, sizeof(name), "guest-memory-%u", index);
	fd = memfd_create(name, flags);
	if (fd < 0)
		return error_set_errno(err, -errno, "memfd_create");
	if (ftruncate(fd, (off_t)size_bytes) < 0)
		return error_set_errno(err, -errno, "cannot size guest memory");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return error_set_errno(err, -errno, "cannot seal guest memory");
	return fd_steal(&fd);
}

static int vm_memory_open_region(unsigned index, uint64_t size_bytes,
				 const struct vm_memory_options *options, struct error *err)
{
	int fd;

	if (options->file_fd < 0)
		return vm_memory_open_memfd(index, size_bytes, options->hugepages, err);
	fd = fcntl(options->file_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return error_set_errno(err, -errno, "cannot duplicate the backing file");
	return fd;
}

static void vm_memory_advise(const struct guest_memory_region *region,
			     const struct vm_memory_options *options)
{
	/* Advice only: a kernel that does not take it runs the VM as well. */
	if (options->thp)
		(void)madvise(region->hva, region->size_bytes, MADV_HUGEPAGE);
	(void)madvise(region->hva, region->size_bytes, MADV_DONTDUMP);
}

static int vm_memory_add(struct guest_memory *memory, unsigned index, uint64_t gpa,
			 uint64_t size_bytes, uint64_t file_offset,
			 const struct vm_memory_options *options, struct error *err)
{
	cleanup_fd int fd = vm_memory_open_region(index, size_bytes, options, err);

	if (fd < 0)
		return fd;
	if (guest_memory_add_region(memory, gpa, size_bytes, fd, file_offset, err) < 0) {
		if (options->hugepages && err && err->code == -ENOMEM)
			error_prefix(err, "not enough free 2 MiB huge pages "
					  "(raise /proc/sys/vm/nr_hugepages)");
		return err ? err->code : -EIO;
	}
	fd_steal(&fd);
	vm_memory_advise(&memory->regions[index], options);
	return 0;
}

int vm_memory_create(struct guest_memory *memory, const struct vm_memory_options *options,
		     struct error *err)
{
	uint64_t gpa[2], bytes[2], offset = 0;
	unsigned count = vm_memory_layout(options->size_bytes, gpa, bytes);

	*memory = (struct guest_memory)GUEST_MEMORY_INIT;
	if (!options->size_bytes || options->size_bytes % VM_MEMORY_ALIGNMENT)
		return error_set(err, -EINVAL,
				 "guest memory of %" PRIu64 " bytes is not a multiple of 2 MiB",
				 options->size_bytes);
	for (unsigned i = 0; i < count; i++) {
		if (vm_memory_add(memory, i, gpa[i], bytes[i], offset, options, err) < 0) {
			guest_memory_destroy(memory);
			return error_prefix(err, "memory region %u", i);
		}
		if (options->file_fd >= 0)
			offset += bytes[i];
	}
	return 0;
}

static int region_prefault(const struct guest_memory_region *region, const _Atomic bool *cancelled,
			   struct error *err)
{
	for (uint64_t at = 0; at < region->size_bytes; at += PREFAULT_STEP_BYTES) {
		uint64_t left = region->size_bytes - at;

		if (atomic_load(cancelled))
			return error_set(err, -ECANCELED, "cancelled");
		if (madvise(region->hva + at,
			    left < PREFAULT_STEP_BYTES ? left : PREFAULT_STEP_BYTES,
			    MADV_POPULATE_WRITE) < 0)
			return error_set_errno(err, -errno,
					       "cannot prefault %" PRIu64 " MiB of guest memory",
					       region->size_bytes >> 20);
	}
	return 0;
}

int vm_memory_prefault(const struct guest_memory *memory, const _Atomic bool *cancelled,
		       struct error *err)
{
	for (unsigned i = 0; i < memory->region_count; i++)
		if (region_prefault(&memory->regions[i], cancelled, err) < 0)
			return err->code;
	return 0;
}

int vm_memory_attach(const struct guest_memory *memory, struct kvm_vm *vm, struct error *err)
{
	for (unsigned i = 0; i < memory->region_count; i++) {
		const struct guest_memory_region *region = &memory->regions[i];

		if (kvm_vm_map_memory(vm, i, region->gpa, region->size_bytes, region->hva, err) < 0)
			return error_prefix(err, "memory region %u", i);
	}
	return 0;
}
