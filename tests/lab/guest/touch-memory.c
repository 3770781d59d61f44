/* SPDX-License-Identifier: Apache-2.0 */
/*
 * touch-memory MIB [FILE]: runs inside the second-level guest (statically linked). Maps MIB of
 * anonymous memory, writes a different word into every page, then reads all of them back: two guest
 * pages backed by one host page, which is what a mistake at the hole below 4 GiB gives, would show
 * as a wrong word. /proc/self/pagemap tells how many of the frames lie above 4 GiB. With FILE it
 * then reads them again every second until there is something in FILE. Exit status 0 when every
 * word was right.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_SIZE_BYTES	     4096UL
#define FIRST_FRAME_ABOVE_4G (1UL << 20)
#define PAGEMAP_PRESENT	     (1UL << 63)
#define PAGEMAP_FRAME_MASK   ((1UL << 55) - 1)

/* The word expected in page `index`: never equal for two pages, never zero. */
static uint64_t page_pattern(size_t index)
{
	return (index + 1) * 0x9e3779b97f4a7c15UL;
}

static size_t count_wrong_pages(const unsigned char *memory, size_t pages)
{
	size_t wrong = 0;
	for (size_t i = 0; i < pages; i++) {
		const uint64_t *word =
			(const uint64_t *)(const void *)(memory + i * PAGE_SIZE_BYTES);
		if (*word != page_pattern(i))
			wrong++;
	}
	return wrong;
}

/* Pages whose frame is above 4 GiB, or -1 when pagemap cannot be read or hides the frames. */
static long count_pages_above_4g(const unsigned char *memory, size_t pages)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	long above = 0;
	for (size_t i = 0; i < pages && above >= 0; i++) {
		uint64_t entry = 0;
		off_t offset = (off_t)(((uintptr_t)memory / PAGE_SIZE_BYTES + i) * sizeof(entry));
		if (pread(fd, &entry, sizeof(entry), offset) != (ssize_t)sizeof(entry) ||
		    !(entry & PAGEMAP_PRESENT) || !(entry & PAGEMAP_FRAME_MASK))
			above = -1;
		else if ((entry & PAGEMAP_FRAME_MASK) >= FIRST_FRAME_ABOVE_4G)
			above++;
	}
	close(fd);
	return above;
}

/* Again and again until somebody writes into the file `stop`. Returns how many were wrong at last.
 */
static size_t watch_pages(const unsigned char *memory, size_t pages, const char *stop)
{
	struct stat status;
	size_t wrong = 0;
	for (unsigned round = 1; wrong == 0 && (stat(stop, &status) < 0 || !status.st_size);
	     round++) {
		wrong = count_wrong_pages(memory, pages);
		printf("guest: fact held round=%u wrong=%zu\n", round, wrong);
		(void)fflush(stdout);
		sleep(1);
	}
	return wrong;
}

int main(int argc, char **argv)
{
	unsigned long mib = argc == 2 || argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
	if (mib == 0 || mib > 1024UL * 1024UL) {
		fprintf(stderr, "usage: touch-memory MIB [FILE]\n");
		return 2;
	}
	size_t pages = mib * (1024UL * 1024UL / PAGE_SIZE_BYTES);
	unsigned char *memory = mmap(NULL, pages * PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("touch-memory: mmap");
		return 1;
	}
	for (size_t i = 0; i < pages; i++)
		*(uint64_t *)(void *)(memory + i * PAGE_SIZE_BYTES) = page_pattern(i);
	size_t wrong = count_wrong_pages(memory, pages);
	printf("guest: fact touched pages=%zu wrong=%zu above_4gib=%ld\n", pages, wrong,
	       count_pages_above_4g(memory, pages));
	(void)fflush(stdout);
	if (argc == 3 && wrong == 0)
		wrong = watch_pages(memory, pages, argv[2]);
	return wrong == 0 ? 0 : 1;
}
