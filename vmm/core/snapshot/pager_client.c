/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/snapshot/pager_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devworkers/common/on_demand.h"
#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vmm/core/snapshot/pager_client_parts.h"

#define SMALL_PAGE_BYTES 4096U
#define HUGE_PAGE_BYTES	 (2U << 20)

static void client_free(struct pager_client *client)
{
	void (*gone)(void *) = client->gone;
	void *opaque = client->gone_opaque;

	free(client);
	if (gone)
		gone(opaque);
}

void pager_client_handle_closed(struct pager_client *client)
{
	if (--client->open_handles == 0 && client->destroying)
		client_free(client);
}

static void on_heartbeat_closed(uv_handle_t *handle)
{
	pager_client_handle_closed(handle->data);
}

/* ---- what becomes of a pager ---- */

static void on_heartbeat(uv_timer_t *timer)
{
	struct pager_client *client = timer->data;

	if (client->link)
		pager_link_ask_stats(client->link);
}

/* A pager that does not answer is replaced, even if it is only in somebody's way. */
static void heartbeat_set(struct pager_client *client)
{
	bool busy = client->prefault && !client->complete;
	uint64_t period_ms = busy ? PAGER_BUSY_HEARTBEAT_MS : PAGER_SILENT_HEARTBEAT_MS;

	if (client->destroying)
		return;
	(void)uv_timer_start(&client->heartbeat, on_heartbeat, period_ms, period_ms);
}

void pager_client_on_serving(struct pager_client *client)
{
	struct error death = client->death;

	heartbeat_set(client);
	client->death = (struct error)ERROR_INIT;
	if (!client->ready) {
		client->ready = true;
		client->callbacks->ready(client->opaque, NULL);
	} else if (client->callbacks->restarted) {
		client->callbacks->restarted(client->opaque, &death);
	}
}

void pager_client_on_complete(struct pager_client *client)
{
	if (client->complete)
		return;
	client->complete = true;
	if (client->link)
		pager_link_ask_stats(client->link);
	heartbeat_set(client);
	if (client->callbacks->prefault_done)
		client->callbacks->prefault_done(client->opaque);
}

static void client_fail(struct pager_client *client, const struct error *err)
{
	if (client->failed)
		return;
	client->failed = true;
	(void)uv_timer_stop(&client->heartbeat);
	if (!client->ready)
		client->callbacks->ready(client->opaque, err);
	else if (client->callbacks->failed)
		client->callbacks->failed(client->opaque, err);
}

/* False: it died too often of late. */
static bool restart_is_worth_it(struct pager_client *client)
{
	uint64_t *times = client->restart_times_ms;
	uint64_t now_ms = channel_now_ms();

	if (times[0] && now_ms - times[0] < PAGER_RESTART_WINDOW_MS)
		return false;
	memmove(&times[0], &times[1], (PAGER_MAX_RESTARTS - 1) * sizeof(times[0]));
	times[PAGER_MAX_RESTARTS - 1] = now_ms;
	return true;
}

void pager_client_on_lost(struct pager_client *client, const struct error *err)
{
	struct error failure = ERROR_INIT;

	pager_slots_forget_told(client);
	if (client->destroying)
		return;
	if (!client->ready) {
		client_fail(client, err);
		return;
	}
	log_error("pager lost: %s", err->message);
	if (!client->death.code)
		client->death = *err;
	if (!restart_is_worth_it(client)) {
		(void)error_set(&failure, -EAGAIN, "the pager died %d times in a minute: %s",
				PAGER_MAX_RESTARTS + 1, err->message);
		client_fail(client, &failure);
		return;
	}
	client->stats.restarts++;
	if (pager_link_start(client, &failure) < 0) {
		(void)error_prefix(&failure, "the pager cannot be started again");
		client_fail(client, &failure);
	}
}

/* ---- life ---- */

static int client_check_options(const struct pager_client_options *options, struct error *err)
{
	if (options->region_count == 0 || options->region_count > GUEST_MEMORY_MAX_REGIONS ||
	    options->region_count != options->memory->region_count)
		return error_set(err, -EINVAL, "the snapshot has %u memory regions",
				 options->region_count);
	for (unsigned i = 0; i < options->region_count; i++) {
		uint32_t page = options->regions[i].page_bytes;

		if (page != SMALL_PAGE_BYTES && page != HUGE_PAGE_BYTES)
			return error_set(
				err, -EOPNOTSUPP,
				"memory with pages of %u bytes cannot be restored on demand", page);
		if (options->memory->regions[i].size_bytes % page ||
		    (uintptr_t)options->memory->regions[i].hva % page)
			return error_set(err, -EINVAL, "memory region %u is not in whole pages", i);
	}
	return 0;
}

static int client_register(struct pager_client *client, int device_fd, struct error *err)
{
	client->userfaultfd = on_demand_register(client->memory, device_fd, err);
	if (client->userfaultfd >= 0)
		return 0;
	if (err->code != -EINVAL)
		return err->code;
	/* The kernel's word for a file that is not on tmpfs or hugetlbfs. */
	err->code = -EOPNOTSUPP;
	return error_prefix(err,
			    "memory that is neither anonymous nor on tmpfs or hugetlbfs cannot "
			    "be restored on demand");
}

static struct pager_client *client_new(const struct pager_client_options *options)
{
	struct pager_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->loop = options->loop;
	client->broker = options->broker;
	client->memory = options->memory;
	client->callbacks = options->callbacks;
	client->opaque = options->opaque;
	client->prefault = options->prefault;
	client->userfaultfd = client->index_fd = -1;
	for (unsigned i = 0; i < PAGER_SLOTS; i++)
		client->slots[i].userfaultfd = -1;
	for (unsigned i = 0; i < GUEST_MEMORY_MAX_REGIONS; i++)
		client->memory_fds[i] = -1;
	for (unsigned i = 0; i < options->region_count; i++) {
		client->memory_fds[i] = options->regions[i].memory_fd;
		client->chunk_bytes[i] = options->regions[i].index.chunk_bytes;
		client->page_bytes[i] = options->regions[i].page_bytes;
	}
	return client;
}

struct pager_client *pager_client_start(const struct pager_client_options *options,
					struct error *err)
{
	struct pager_client *client = NULL;

	if (options->region_count <= GUEST_MEMORY_MAX_REGIONS)
		client = client_new(options);
	if (!client) {
		for (unsigned i = 0; i < options->region_count && i < GUEST_MEMORY_MAX_REGIONS; i++)
			close(options->regions[i].memory_fd);
		(void)error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	(void)uv_timer_init(client->loop, &client->heartbeat);
	client->heartbeat.data = client;
	client->open_handles = 1;
	if (client_check_options(options, err) < 0)
		goto fail;
	client->index_fd = pager_index_create(options, err);
	if (client->index_fd < 0 || client_register(client, options->userfaultfd_device, err) < 0 ||
	    pager_link_start(client, err) < 0)
		goto fail;
	return client;
fail:
	pager_client_destroy(client, NULL, NULL);
	return NULL;
}

void pager_client_abandon(struct pager_client *client)
{
	on_demand_abandon(client->memory, client->userfaultfd);
}

void pager_client_destroy(struct pager_client *client, void (*gone)(void *opaque), void *opaque)
{
	if (!client) {
		if (gone)
			gone(opaque);
		return;
	}
	client->destroying = true;
	client->gone = gone;
	client->gone_opaque = opaque;
	pager_link_retire(client);
	if (client->userfaultfd >= 0)
		on_demand_unregister(client->memory, client->userfaultfd);
	fd_close(&client->userfaultfd);
	fd_close(&client->index_fd);
	for (unsigned i = 0; i < GUEST_MEMORY_MAX_REGIONS; i++)
		fd_close(&client->memory_fds[i]);
	pager_slots_close(client);
	uv_close((uv_handle_t *)&client->heartbeat, on_heartbeat_closed);
}

/* ---- small things ---- */

int pager_client_prefault(struct pager_client *client, bool start, struct error *err)
{
	if (client->failed)
		return error_set(err, -ECONNRESET, "there is no pager");
	client->prefault = start;
	heartbeat_set(client);
	if (client->link)
		pager_link_pump(client->link);
	return 0;
}

bool pager_client_has_failed(const struct pager_client *client)
{
	return client->failed;
}

bool pager_client_is_complete(const struct pager_client *client)
{
	return client->complete;
}

void pager_client_stats(const struct pager_client *client, struct pager_client_stats *stats)
{
	*stats = client->stats;
}

int32_t pager_client_pid(const struct pager_client *client)
{
	return client->link ? client->link->pid : 0;
}
