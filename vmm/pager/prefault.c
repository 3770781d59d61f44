/* SPDX-License-Identifier: Apache-2.0 */
/* Reading in the background, a little at a time: a fault never waits for more than one step. */
#include "vmm/pager/pager.h"

#define STEP_BYTES (64U << 10)

static void prefault_end(struct pager *pager)
{
	Bulkhead__Pager__Empty event = BULKHEAD__PAGER__EMPTY__INIT;

	pager->prefaulting = false;
	pager->complete = true;
	(void)channel_event(pager->channel, PAGER_MESSAGE(PREFAULT_DONE), &event.base, NULL, 0,
			    NULL);
	pager_watch_channel(pager);
}

/* The next unit that the snapshot has and memory has not. False: there is none. */
static bool prefault_find(struct pager *pager)
{
	for (; pager->prefault_region < pager->region_count; pager->prefault_region++) {
		const struct region *region = &pager->regions[pager->prefault_region];

		for (; pager->prefault_unit < region->unit_count; pager->prefault_unit++)
			if (!region_is_placed(region, pager->prefault_unit) &&
			    region_has_unit(region, pager->prefault_unit))
				return true;
		pager->prefault_unit = 0;
	}
	return false;
}

bool pager_prefault_step(void *opaque)
{
	struct pager *pager = opaque;
	uint32_t done = 0;

	while (pager->prefaulting && done < STEP_BYTES) {
		if (!prefault_find(pager)) {
			prefault_end(pager);
			break;
		}
		/* What cannot be placed never will be: memory cannot become complete. */
		if (!pager_place_unit(pager, pager->prefault_region, pager->prefault_unit)) {
			pager->prefaulting = false;
			break;
		}
		done += pager->regions[pager->prefault_region].unit_bytes;
		pager->prefault_unit++;
	}
	return pager->prefaulting;
}

void pager_prefault_set(struct pager *pager, bool start)
{
	pager->prefaulting = start;
}
