/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pager/region.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "ipc/cleanup.h"

#define WORD_BITS	     64U
#define HOLE_MAX_AHEAD_BYTES ((uint64_t)2 << 20)
#define MAX_REGION_BYTES     ((uint64_t)1 << 40)

static uint64_t words_of(uint64_t bits)
{
	return (bits + WORD_BITS - 1) / WORD_BITS;
}

static bool bit_is_set(const uint64_t *words, uint64_t bit)
{
	return words[bit / WORD_BITS] >> (bit % WORD_BITS) & 1;
}

static int region_check_layout(const struct region_layout *layout, struct error *err)
{
	uint32_t chunk = layout->chunk_bytes, page = layout->page_bytes;

	if (chunk < REGION_MIN_CHUNK_BYTES || chunk > REGION_MAX_CHUNK_BYTES ||
	    (chunk & (chunk - 1)))
		return error_set(err, -EINVAL, "has chunks of %" PRIu32 " bytes", chunk);
	if (page != REGION_SMALL_PAGE && page != REGION_HUGE_PAGE)
		return error_set(err, -EINVAL, "has pages of %" PRIu32 " bytes", page);
	if (!layout->size_bytes || layout->size_bytes > MAX_REGION_BYTES ||
	    layout->size_bytes % chunk || layout->size_bytes % page)
		return error_set(err, -EINVAL, "has a size of %" PRIu64 " bytes",
				 layout->size_bytes);
	if (layout->core_address % page || layout->core_address > UINT64_MAX - layout->size_bytes)
		return error_set(err, -EINVAL, "cannot be at 0x%" PRIx64, layout->core_address);
	return 0;
}

static int region_check_file(int fd, uint64_t size_bytes, struct error *err)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return error_set_errno(err, -errno, "cannot be examined");
	if (!S_ISREG(status.st_mode))
		return error_set(err, -EINVAL, "is not a regular file");
	if ((uint64_t)status.st_size != size_bytes)
		return error_set(err, -EINVAL, "has %lld bytes, the manifest says %" PRIu64,
				 (long long)status.st_size, size_bytes);
	return 0;
}

/* Count the chunks that there are; fills ranks. */
static uint64_t region_rank(struct region *region, uint64_t chunks)
{
	uint64_t set = 0;

	for (uint64_t word = 0; word < words_of(chunks); word++) {
		region->ranks[word] = (uint32_t)set;
		set += (uint64_t)__builtin_popcountll(region->present[word]);
	}
	return set;
}

static int region_take_index(struct region *region, const uint8_t **index, size_t *index_bytes,
			     struct error *err)
{
	uint64_t chunks = region->size_bytes / region->chunk_bytes;
	uint64_t words = words_of(chunks), set;

	if (words * sizeof(uint64_t) > *index_bytes)
		return error_set(err, -EINVAL, "has no chunk map");
	region->present = (const uint64_t *)(const void *)*index;
	*index += words * sizeof(uint64_t);
	*index_bytes -= words * sizeof(uint64_t);
	if (chunks % WORD_BITS && region->present[words - 1] >> (chunks % WORD_BITS))
		return error_set(err, -EINVAL, "has a chunk behind its end");
	region->ranks = calloc(words, sizeof(*region->ranks));
	region->placed = calloc(words_of(region->unit_count), sizeof(*region->placed));
	if (!region->ranks || !region->placed)
		return error_set(err, -ENOMEM, "out of memory");
	set = region_rank(region, chunks);
	if (set * REGION_CHECKSUM_BYTES > *index_bytes)
		return error_set(err, -EINVAL, "has more chunks than checksums");
	region->present_bytes = set * region->chunk_bytes;
	region->checksums = *index;
	*index += set * REGION_CHECKSUM_BYTES;
	*index_bytes -= set * REGION_CHECKSUM_BYTES;
	return 0;
}

int region_init(struct region *region, const struct region_layout *layout, const uint8_t **index,
		size_t *index_bytes, int file_fd, struct error *err)
{
	int ret = region_check_layout(layout, err);

	*region = (struct region){.fd = -1};
	if (ret == 0 && !layout->file_is_done)
		ret = region_check_file(file_fd, layout->size_bytes, err);
	if (ret < 0)
		return ret;
	region->size_bytes = layout->size_bytes;
	region->chunk_bytes = layout->chunk_bytes;
	region->page_bytes = layout->page_bytes;
	region->core_address = layout->core_address;
	region->unit_bytes =
		layout->chunk_bytes > layout->page_bytes ? layout->chunk_bytes : layout->page_bytes;
	region->unit_count = region->size_bytes / region->unit_bytes;
	region->hole_next = UINT64_MAX;
	ret = region_take_index(region, index, index_bytes, err);
	if (ret < 0) {
		region_destroy(region);
		return ret;
	}
	region->fd = file_fd;
	return 0;
}

void region_destroy(struct region *region)
{
	fd_close(&region->fd);
	free(region->ranks);
	free(region->placed);
	*region = (struct region){.fd = -1};
}

uint64_t region_unit_present_bytes(const struct region *region, uint64_t unit)
{
	uint64_t chunks = region->unit_bytes / region->chunk_bytes, bytes = 0;

	for (uint64_t chunk = unit * chunks; chunk < (unit + 1) * chunks; chunk++)
		if (bit_is_set(region->present, chunk))
			bytes += region->chunk_bytes;
	return bytes;
}

bool region_has_unit(const struct region *region, uint64_t unit)
{
	return region_unit_present_bytes(region, unit) > 0;
}

static const uint8_t *region_checksum(const struct region *region, uint64_t chunk)
{
	uint64_t word = chunk / WORD_BITS;
	uint64_t before = region->present[word] & ((UINT64_C(1) << (chunk % WORD_BITS)) - 1);
	uint64_t rank = region->ranks[word] + (uint64_t)__builtin_popcountll(before);

	return region->checksums + rank * REGION_CHECKSUM_BYTES;
}

static int chunk_read(const struct region *region, uint64_t offset, uint8_t *to, struct error *err)
{
	size_t done = 0;

	while (done < region->chunk_bytes) {
		ssize_t got = pread(region->fd, to + done, region->chunk_bytes - done,
				    (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set_errno(err, -errno, "cannot be read at %" PRIu64, offset);
		if (got == 0)
			return error_set(err, -EINVAL, "is cut short at %" PRIu64, offset + done);
		done += (size_t)got;
	}
	return 0;
}

static int chunk_check(const struct region *region, uint64_t offset, const uint8_t *data,
		       struct error *err)
{
	XXH128_canonical_t actual;

	XXH128_canonicalFromHash(&actual, XXH3_128bits(data, region->chunk_bytes));
	if (memcmp(actual.digest, region_checksum(region, offset / region->chunk_bytes),
		   REGION_CHECKSUM_BYTES) != 0)
		return error_set(err, -EINVAL,
				 "is damaged at %" PRIu64 ": its checksum does not fit", offset);
	return 0;
}

int region_read_unit(const struct region *region, uint64_t unit, uint8_t *to, uint64_t *bad_offset,
		     struct error *err)
{
	uint64_t begin = unit * region->unit_bytes;

	for (uint32_t at = 0; at < region->unit_bytes; at += region->chunk_bytes) {
		int ret;

		if (!bit_is_set(region->present, (begin + at) / region->chunk_bytes)) {
			memset(to + at, 0, region->chunk_bytes);
			continue;
		}
		ret = chunk_read(region, begin + at, to + at, err);
		if (ret == 0)
			ret = chunk_check(region, begin + at, to + at, err);
		if (ret < 0) {
			*bad_offset = begin + at;
			return ret;
		}
	}
	return 0;
}

bool region_is_placed(const struct region *region, uint64_t unit)
{
	return bit_is_set(region->placed, unit);
}

void region_set_placed(struct region *region, uint64_t unit)
{
	region->placed[unit / WORD_BITS] |= UINT64_C(1) << (unit % WORD_BITS);
}

void region_hole_run(struct region *region, uint64_t unit, uint64_t *bytes)
{
	uint64_t begin = unit * region->unit_bytes, end = unit + 1;

	if (begin != region->hole_next)
		region->hole_ahead_bytes = region->unit_bytes;
	else if (region->hole_ahead_bytes < HOLE_MAX_AHEAD_BYTES)
		region->hole_ahead_bytes *= 2;
	while (end < region->unit_count &&
	       (end + 1 - unit) * region->unit_bytes <= region->hole_ahead_bytes &&
	       !region_is_placed(region, end) && !region_has_unit(region, end))
		end++;
	*bytes = (end - unit) * region->unit_bytes;
	region->hole_next = begin + *bytes;
}
