/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench_memory.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/cleanup.h"

#define MAX_PROCESSES 4096

struct tree_entry {
	pid_t pid, parent;
	bool wanted;
};

/* Names of the memfds that hold guest memory: Bulkhead's, and a QEMU memory backend's. */
static bool is_guest_memory(const char *mapping)
{
	return strstr(mapping, "/memfd:guest-memory") ||
	       strstr(mapping, "/memfd:memory-backend-memfd");
}

/* A mapping begins with its addresses in hexadecimal; what is said about it begins with a capital.
 */
static bool is_mapping(const char *line)
{
	return (*line >= '0' && *line <= '9') || (*line >= 'a' && *line <= 'f');
}

static void process_name(pid_t pid, char *name, size_t bytes)
{
	char path[64];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	name[0] = '\0';
	if (!file)
		return;
	if (fgets(name, (int)bytes, file))
		name[strcspn(name, "\n")] = '\0';
	(void)fclose(file);
}

static int add_process(pid_t pid, bool verbose, struct bench_memory *memory, struct error *err)
{
	cleanup_stream FILE *file = NULL;
	static const char pss[] = "Pss:";
	double own_kib = 0, guest_kib = 0;
	char line[512], name[32];
	bool guest = false;

	(void)snprintf(line, sizeof(line), "/proc/%d/smaps", pid);
	file = fopen(line, "re");
	if (!file)
		return error_set_errno(err, -errno, "read /proc/%d/smaps", pid);
	while (fgets(line, sizeof(line), file)) {
		if (is_mapping(line))
			guest = is_guest_memory(line);
		else if (strncmp(line, pss, strlen(pss)) == 0)
			*(guest ? &guest_kib : &own_kib) += strtod(line + strlen(pss), NULL);
	}
	process_name(pid, name, sizeof(name));
	if (verbose)
		printf("  %-18s %7.0f KiB, guest memory %7.0f KiB\n", name, own_kib, guest_kib);
	memory->own_kib += own_kib;
	memory->guest_kib += guest_kib;
	memory->processes++;
	return 0;
}

static bool read_entry(const char *name, struct tree_entry *entry)
{
	cleanup_stream FILE *file = NULL;
	char path[300], text[512], *after;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/stat", name);
	file = fopen(path, "re");
	if (!file || !fgets(text, sizeof(text), file))
		return false;
	after = strrchr(text, ')'); /* the name may hold anything */
	if (!after || strlen(after) < strlen(") S 1"))
		return false;
	*entry = (struct tree_entry){
		.pid = (pid_t)strtol(text, NULL, 10),
		.parent = (pid_t)strtol(after + strlen(") S "), NULL, 10),
	};
	return true;
}

static unsigned read_entries(struct tree_entry *entries)
{
	DIR *proc = opendir("/proc");
	const struct dirent *found;
	unsigned count = 0;

	while (proc && count < MAX_PROCESSES && (found = readdir(proc)))
		if (found->d_name[0] >= '1' && found->d_name[0] <= '9' &&
		    read_entry(found->d_name, &entries[count]))
			count++;
	if (proc)
		(void)closedir(proc);
	return count;
}

static void mark_descendants(struct tree_entry *entries, unsigned count, pid_t root)
{
	bool changed = true;

	for (unsigned i = 0; i < count; i++)
		entries[i].wanted = entries[i].pid == root;
	while (changed) {
		changed = false;
		for (unsigned i = 0; i < count; i++)
			for (unsigned j = 0; j < count && !entries[i].wanted; j++)
				if (entries[j].wanted && entries[j].pid == entries[i].parent)
					changed = entries[i].wanted = true;
	}
}

int bench_memory_of_tree(pid_t root, bool verbose, struct bench_memory *memory, struct error *err)
{
	cleanup_free struct tree_entry *entries = calloc(MAX_PROCESSES, sizeof(*entries));
	unsigned count = entries ? read_entries(entries) : 0;
	int rc = 0;

	*memory = (struct bench_memory){0};
	mark_descendants(entries, count, root);
	for (unsigned i = 0; rc == 0 && i < count; i++)
		if (entries[i].wanted)
			rc = add_process(entries[i].pid, verbose, memory, err);
	if (rc == 0 && memory->processes == 0)
		rc = error_set(err, -ESRCH, "no process %d", root);
	return rc;
}
