/* SPDX-License-Identifier: Apache-2.0 */
/* Answering faults: what goes into memory, and what is said when it cannot. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ipc/log.h"
#include "vmm/pager/pager.h"
#include "vmm/pager/place.h"

#define MAX_DAMAGE_EVENTS 16

/* Whoever asked for it waits on: the core ends the VM before it sees a wrong byte. */
static void tell_damage(struct pager *pager, unsigned region, uint64_t offset,
			const struct error *err)
{
	Bulkhead__Pager__Damaged event = BULKHEAD__PAGER__DAMAGED__INIT;
	char reason[ERROR_MESSAGE_SIZE];

	if (pager->damage_events >= MAX_DAMAGE_EVENTS)
		return;
	pager->damage_events++;
	log_error("memory file %u %s", region, err->message);
	(void)snprintf(reason, sizeof(reason), "%s", err->message);
	event.region = region;
	event.offset = offset;
	event.reason = reason;
	(void)channel_event(pager->channel, PAGER_MESSAGE(DAMAGED), &event.base, NULL, 0, NULL);
	pager_watch_channel(pager);
}

/* False: not placed, and whoever asked for it waits on. */
static bool place_done(struct pager *pager, unsigned region, uint64_t offset, int ret)
{
	struct error err = ERROR_INIT;

	if (ret == 0)
		return true;
	/* The core's memory, or the core, is on its way out: so are we. */
	if (ret == -ESRCH || ret == -ENOENT)
		return false;
	(void)error_set_errno(&err, ret, "cannot be put into memory at %" PRIu64, offset);
	tell_damage(pager, region, offset, &err);
	return false;
}

static void mark_placed(struct pager *pager, struct region *region, uint64_t unit)
{
	if (region_is_placed(region, unit))
		return;
	region_set_placed(region, unit);
	pager->stats.prefault_done_bytes += region_unit_present_bytes(region, unit);
}

bool pager_place_unit(struct pager *pager, unsigned index, uint64_t unit)
{
	struct region *region = &pager->regions[index];
	uint64_t offset = unit * region->unit_bytes, bad_offset = offset;
	struct error err = ERROR_INIT;
	int ret;

	if (region_read_unit(region, unit, pager->buffer, &bad_offset, &err) < 0) {
		tell_damage(pager, index, bad_offset, &err);
		return false;
	}
	pager->stats.chunks += region_unit_present_bytes(region, unit) / region->chunk_bytes;
	ret = place_copy(pager->processes[0].userfaultfd, region->core_address + offset,
			 pager->buffer, region->unit_bytes, region->page_bytes,
			 &pager->stats.placed_bytes);
	if (!place_done(pager, index, offset, ret))
		return false;
	mark_placed(pager, region, unit);
	return true;
}

static bool place_nothing(struct pager *pager, unsigned index, uint64_t offset, uint64_t bytes)
{
	struct region *region = &pager->regions[index];
	int core = pager->processes[0].userfaultfd;
	uint64_t address = region->core_address + offset;
	int ret;

	/* The kernel makes no huge zero pages. */
	if (region->page_bytes == REGION_SMALL_PAGE)
		ret = place_zeros(core, address, bytes, region->page_bytes,
				  &pager->stats.zero_bytes);
	else
		ret = place_copy(core, address, pager->zeros, bytes, region->page_bytes,
				 &pager->stats.zero_bytes);
	return place_done(pager, index, offset, ret);
}

/* A page that was placed and is missing again was given back by the guest. It reads as zeros, as
 * does one that never was there. */
static bool serve_again(struct pager *pager, unsigned index, uint64_t offset)
{
	uint64_t page = pager->regions[index].page_bytes;

	return place_nothing(pager, index, offset - offset % page, page);
}

static bool serve_hole(struct pager *pager, unsigned index, uint64_t unit, uint64_t *bytes)
{
	struct region *region = &pager->regions[index];

	if (region->page_bytes == REGION_SMALL_PAGE)
		region_hole_run(region, unit, bytes);
	if (!place_nothing(pager, index, unit * region->unit_bytes, *bytes))
		return false;
	for (uint64_t done = 0; done < *bytes; done += region->unit_bytes)
		mark_placed(pager, region, unit + done / region->unit_bytes);
	return true;
}

void pager_serve(struct pager *pager, const struct pager_process *process, unsigned index,
		 uint64_t offset)
{
	struct region *region = &pager->regions[index];
	uint64_t unit = offset / region->unit_bytes, bytes = region->unit_bytes;
	bool served;

	if (pager->complete || region_is_placed(region, unit))
		served = serve_again(pager, index, offset);
	else if (region_has_unit(region, unit))
		served = pager_place_unit(pager, index, unit);
	else
		served = serve_hole(pager, index, unit, &bytes);
	if (!served)
		return;
	pager->stats.faults++;
	/* The core was woken by the pages themselves; the others find them in the file now. */
	if (process->id != PAGER_CORE)
		(void)place_wake(process->userfaultfd,
				 process->addresses[index] + unit * region->unit_bytes, bytes);
}
