/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/pending.h"

#include <errno.h>
#include <string.h>

static bool id_in_use(const struct pending_table *table, uint32_t id)
{
	for (unsigned i = 0; i < table->count; i++)
		if (table->requests[i].id == id)
			return true;
	for (unsigned i = 0; i < table->late_count; i++)
		if (table->late[i].id == id)
			return true;
	return false;
}

int pending_add(struct pending_table *table, struct pending_request *request)
{
	if (table->count == CHANNEL_MAX_PENDING)
		return -EBUSY;
	do
		table->last_id++;
	while (table->last_id == 0 || id_in_use(table, table->last_id));
	request->id = table->last_id;
	table->requests[table->count++] = *request;
	return 0;
}

static void remove_at(struct pending_table *table, unsigned index, struct pending_request *request)
{
	*request = table->requests[index];
	table->count--;
	memmove(&table->requests[index], &table->requests[index + 1],
		(table->count - index) * sizeof(table->requests[0]));
}

bool pending_take(struct pending_table *table, uint32_t id, struct pending_request *request)
{
	for (unsigned i = 0; i < table->count; i++) {
		if (table->requests[i].id == id) {
			remove_at(table, i, request);
			return true;
		}
	}
	return false;
}

bool pending_take_first(struct pending_table *table, struct pending_request *request)
{
	if (table->count == 0)
		return false;
	remove_at(table, 0, request);
	return true;
}

bool pending_take_expired(struct pending_table *table, uint64_t now_ms,
			  struct pending_request *request)
{
	for (unsigned i = 0; i < table->count; i++) {
		if (table->requests[i].deadline_ms <= now_ms) {
			remove_at(table, i, request);
			return true;
		}
	}
	return false;
}

int pending_add_late(struct pending_table *table, const struct pending_request *request)
{
	if (table->late_count == PENDING_MAX_LATE)
		return -ENOSPC;
	table->late[table->late_count++] =
		(struct pending_late){.id = request->id, .type = request->type};
	return 0;
}

bool pending_take_late(struct pending_table *table, uint32_t id, struct pending_late *late)
{
	for (unsigned i = 0; i < table->late_count; i++) {
		if (table->late[i].id == id) {
			*late = table->late[i];
			table->late[i] = table->late[--table->late_count];
			return true;
		}
	}
	return false;
}

uint64_t pending_next_deadline_ms(const struct pending_table *table)
{
	uint64_t next_ms = UINT64_MAX;

	for (unsigned i = 0; i < table->count; i++)
		if (table->requests[i].deadline_ms < next_ms)
			next_ms = table->requests[i].deadline_ms;
	return next_ms;
}
