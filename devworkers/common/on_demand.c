/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/common/on_demand.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/userfaultfd.h>

#include "ipc/cleanup.h"

/* What the pager needs of a registered range: put a page in, and let the waiters go on. */
#define NEEDED_IOCTLS ((UINT64_C(1) << _UFFDIO_COPY) | (UINT64_C(1) << _UFFDIO_WAKE))

static int register_region(int userfaultfd, const struct guest_memory_region *region,
			   struct error *err)
{
	struct uffdio_register request = {
		.range = {.start = (uintptr_t)region->hva, .len = region->size_bytes},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (ioctl(userfaultfd, UFFDIO_REGISTER, &request) < 0)
		return error_set_errno(
			err, -errno, "register memory region 0x%" PRIx64 " on demand", region->gpa);
	if ((request.ioctls & NEEDED_IOCTLS) != NEEDED_IOCTLS)
		return error_set(err, -EOPNOTSUPP,
				 "memory region 0x%" PRIx64 " cannot be served on demand",
				 region->gpa);
	return 0;
}

int on_demand_register(const struct guest_memory *memory, int device_fd, struct error *err)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MISSING_HUGETLBFS,
	};
	cleanup_fd int userfaultfd =
		ioctl(device_fd, USERFAULTFD_IOC_NEW, (unsigned long)(O_CLOEXEC | O_NONBLOCK));

	if (userfaultfd < 0)
		return error_set_errno(err, -errno, "new userfaultfd");
	if (ioctl(userfaultfd, UFFDIO_API, &api) < 0)
		return error_set_errno(err, -errno, "userfaultfd for shared memory");
	for (unsigned i = 0; i < memory->region_count; i++) {
		int ret = register_region(userfaultfd, &memory->regions[i], err);

		if (ret < 0)
			return ret;
	}
	return fd_steal(&userfaultfd);
}

void on_demand_unregister(const struct guest_memory *memory, int userfaultfd)
{
	for (unsigned i = 0; i < memory->region_count; i++) {
		struct uffdio_range range = {
			.start = (uintptr_t)memory->regions[i].hva,
			.len = memory->regions[i].size_bytes,
		};

		(void)ioctl(userfaultfd, UFFDIO_UNREGISTER, &range);
	}
}

void on_demand_abandon(const struct guest_memory *memory, int userfaultfd)
{
	for (unsigned i = 0; i < memory->region_count; i++) {
		const struct guest_memory_region *region = &memory->regions[i];
		struct uffdio_range range = {
			.start = (uintptr_t)region->hva,
			.len = region->size_bytes,
		};

		if (mmap(region->hva, region->size_bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
			 0) == MAP_FAILED)
			continue;
		/* Whoever waited in the old mapping finds the new one. */
		(void)ioctl(userfaultfd, UFFDIO_WAKE, &range);
	}
}
