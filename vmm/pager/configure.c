/* SPDX-License-Identifier: Apache-2.0 */
/* CONFIGURE: the index, the regions and the core as the first process that is served. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "ipc/cleanup.h"
#include "vmm/pager/pager.h"

/* fds of CONFIGURE. */
enum {
	INDEX_FD,
	CORE_FD,
	FIRST_FILE_FD
};

static int index_map(struct pager *pager, int fd, struct error *err)
{
	int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat status;
	void *mapped;

	if (seals < 0 || (seals & wanted) != wanted)
		return error_set(err, -EINVAL, "the index is not sealed");
	if (fstat(fd, &status) < 0)
		return error_set_errno(err, -errno, "the index");
	if (status.st_size <= 0)
		return error_set(err, -EINVAL, "the index is empty");
	/* Private: not every kernel maps a sealed file as shared, not even to read it. */
	mapped = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (mapped == MAP_FAILED)
		return error_set_errno(err, -errno, "map the index");
	pager->index = mapped;
	pager->index_bytes = (size_t)status.st_size;
	return 0;
}

static int region_add(struct pager *pager, const Bulkhead__Pager__Region *body, bool complete,
		      const uint8_t **index, size_t *index_bytes, int *file_fd, struct error *err)
{
	const struct region_layout layout = {
		.size_bytes = body->size_bytes,
		.chunk_bytes = body->chunk_bytes,
		.page_bytes = body->page_bytes,
		.core_address = body->core_address,
		.file_is_done = complete,
	};
	unsigned number = pager->region_count;
	int ret = region_init(&pager->regions[number], &layout, index, index_bytes, *file_fd, err);

	if (ret < 0)
		return error_prefix(err, "memory file %u", number);
	(void)fd_steal(file_fd);
	pager->region_count++;
	pager->stats.present_bytes += pager->regions[number].present_bytes;
	return 0;
}

static int regions_add(struct pager *pager, const Bulkhead__Pager__Configure *body, int *fds,
		       struct error *err)
{
	const uint8_t *index = pager->index;
	size_t index_bytes = pager->index_bytes;

	for (size_t i = 0; i < body->n_regions; i++)
		if (region_add(pager, body->regions[i], body->complete, &index, &index_bytes,
			       &fds[FIRST_FILE_FD + i], err) < 0)
			return err->code;
	if (index_bytes)
		return error_set(err, -EINVAL, "the index is %zu bytes too long", index_bytes);
	return 0;
}

static int buffers_make(struct pager *pager, struct error *err)
{
	uint32_t unit_bytes = 0;
	bool huge = false;

	for (unsigned i = 0; i < pager->region_count; i++) {
		if (pager->regions[i].unit_bytes > unit_bytes)
			unit_bytes = pager->regions[i].unit_bytes;
		huge |= pager->regions[i].page_bytes == REGION_HUGE_PAGE;
	}
	pager->buffer = malloc(unit_bytes);
	/* A unit of a region with huge pages may be as large as the largest chunk. */
	if (huge)
		pager->zeros = calloc(1, REGION_MAX_UNIT_BYTES);
	if (!pager->buffer || (huge && !pager->zeros))
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

int pager_configure(struct pager *pager, const Bulkhead__Pager__Configure *body, int *fds,
		    unsigned fd_count, struct error *err)
{
	uint64_t addresses[GUEST_MEMORY_MAX_REGIONS];
	int ret;

	if (body->n_regions == 0 || body->n_regions > GUEST_MEMORY_MAX_REGIONS ||
	    fd_count != FIRST_FILE_FD + body->n_regions)
		return error_set(err, -EINVAL, "%zu regions with %u descriptors", body->n_regions,
				 fd_count);
	ret = index_map(pager, fds[INDEX_FD], err);
	if (ret == 0)
		ret = regions_add(pager, body, fds, err);
	if (ret == 0)
		ret = buffers_make(pager, err);
	if (ret < 0)
		return ret;
	for (unsigned i = 0; i < pager->region_count; i++)
		addresses[i] = pager->regions[i].core_address;
	ret = pager_process_add(pager, PAGER_CORE, "core", fds[CORE_FD], addresses, err);
	if (ret < 0)
		return ret;
	(void)fd_steal(&fds[CORE_FD]);
	pager->complete = body->complete;
	pager->configured = true;
	return 0;
}
