/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vmm/core/snapshot/huge_pages.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>

#include "ipc/cleanup.h"

#define SETTING "/proc/sys/vm/nr_hugepages"

/* Given back also when a test fails half-way, from its teardown: hence not the test's. */
static unsigned reserved;
/* Held from reserve to give back: two tests that count at the same time would count wrong. */
static int lock_fd = -1;

static bool setting_read(unsigned *count)
{
	FILE *file = fopen(SETTING, "re");
	char text[32] = "";
	bool done = file && fgets(text, sizeof(text), file);

	if (file)
		(void)fclose(file);
	*count = (unsigned)strtoul(text, NULL, 10);
	return done;
}

static bool setting_write(unsigned count)
{
	FILE *file = fopen(SETTING, "we");

	if (!file)
		return false;
	(void)fprintf(file, "%u\n", count);
	return fclose(file) == 0;
}

bool huge_pages_reserve(unsigned count)
{
	unsigned before, now;

	lock_fd = open(SETTING, O_RDONLY | O_CLOEXEC);
	if (lock_fd >= 0)
		(void)flock(lock_fd, LOCK_EX);
	if (setting_read(&before) && setting_write(before + count)) {
		reserved = count;
		if (setting_read(&now) && now >= before + count)
			return true;
	}
	huge_pages_give_back();
	printf("skip: cannot reserve %u huge pages\n", count);
	return false;
}

void huge_pages_give_back(void)
{
	unsigned now;

	if (reserved && setting_read(&now) && now >= reserved)
		(void)setting_write(now - reserved);
	reserved = 0;
	fd_close(&lock_fd);
}
