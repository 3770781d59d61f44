/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/devworkers/common/guest_ram.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void require(int condition, const char *what)
{
	if (condition)
		return;
	perror(what);
	abort();
}

void guest_ram_init(struct guest_ram *ram, uint64_t gpa, uint64_t size_bytes)
{
	ram->fd = memfd_create("guest-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	require(ram->fd >= 0, "memfd_create");
	require(ftruncate(ram->fd, (off_t)size_bytes) == 0, "ftruncate");
	require(fcntl(ram->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0,
		"seal");
	ram->hva = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ram->fd, 0);
	require(ram->hva != MAP_FAILED, "mmap");
	ram->gpa = ram->next_free = gpa;
	ram->size_bytes = size_bytes;
}

void guest_ram_destroy(struct guest_ram *ram)
{
	if (!ram->hva)
		return;
	munmap(ram->hva, ram->size_bytes);
	close(ram->fd);
	memset(ram, 0, sizeof(*ram));
}

uint64_t guest_ram_allocate(struct guest_ram *ram, uint64_t bytes, uint64_t alignment)
{
	uint64_t start = (ram->next_free + alignment - 1) / alignment * alignment;

	require(start + bytes <= ram->gpa + ram->size_bytes, "guest ram is used up");
	ram->next_free = start + bytes;
	return start;
}

void *guest_ram_at(const struct guest_ram *ram, uint64_t gpa)
{
	require(gpa >= ram->gpa && gpa - ram->gpa < ram->size_bytes, "gpa outside guest ram");
	return ram->hva + (gpa - ram->gpa);
}

int guest_ram_log_file(size_t bytes)
{
	int fd = memfd_create("log", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	require(fd >= 0, "memfd_create");
	require(ftruncate(fd, (off_t)bytes) == 0, "ftruncate");
	require(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0, "seal");
	return fd;
}
