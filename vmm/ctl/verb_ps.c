/* SPDX-License-Identifier: Apache-2.0 */
/* ps: the VM's processes, with what the kernel says of each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "vmm/ctl/ctl.h"

static const char *const namespaces[] = {"user", "pid", "mnt", "ipc", "uts", "net", "cgroup"};

#define NAMESPACE_COUNT (sizeof(namespaces) / sizeof(*namespaces))

struct process_facts {
	int seccomp;	      /* 2: filter */
	int no_new_privs;     /* 1 */
	unsigned long caps;   /* effective */
	unsigned unlike_host; /* namespaces that differ from ours; -1: not to be seen */
	long pss_kib;	      /* -1: not to be seen */
};

/* The number behind "NAME:" in a file of /proc; fallback when it cannot be read. */
static unsigned long proc_number(int pid, const char *file, const char *name, int base,
				 unsigned long fallback)
{
	char path[64], line[256];
	cleanup_stream FILE *stream = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	stream = fopen(path, "re");
	while (stream && fgets(line, sizeof(line), stream))
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
			return strtoul(line + strlen(name) + 1, NULL, base);
	return fallback;
}

static bool namespace_differs(int pid, const char *name, bool *known)
{
	char path[64], own[64], theirs[64];
	ssize_t own_length, length;

	(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	own_length = readlink(path, own, sizeof(own));
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	length = readlink(path, theirs, sizeof(theirs));
	*known = own_length > 0 && length > 0;
	return *known && (length != own_length || memcmp(own, theirs, (size_t)length) != 0);
}

static void facts_read(int pid, struct process_facts *facts)
{
	bool known = true;

	facts->seccomp = (int)proc_number(pid, "status", "Seccomp", 10, 0);
	facts->no_new_privs = (int)proc_number(pid, "status", "NoNewPrivs", 10, 0);
	facts->caps = proc_number(pid, "status", "CapEff", 16, 0);
	facts->pss_kib = (long)proc_number(pid, "smaps_rollup", "Pss", 10, (unsigned long)-1);
	facts->unlike_host = 0;
	for (size_t i = 0; i < NAMESPACE_COUNT && known; i++)
		if (namespace_differs(pid, namespaces[i], &known))
			facts->unlike_host++;
	if (!known)
		facts->unlike_host = (unsigned)-1;
}

/* "filter,nnp,6ns,0caps" */
static void facts_print_sandbox(const struct process_facts *facts, char *text, size_t size)
{
	char spaces[16] = "?ns";

	if (facts->unlike_host != (unsigned)-1)
		(void)snprintf(spaces, sizeof(spaces), "%uns", facts->unlike_host);
	(void)snprintf(text, size, "%s,%s,%s,%dcaps", facts->seccomp == 2 ? "filter" : "no-filter",
		       facts->no_new_privs ? "nnp" : "no-nnp", spaces,
		       __builtin_popcountl(facts->caps));
}

static void print_process(const json_t *process)
{
	int pid = (int)json_integer_value(json_object_get(process, "pid"));
	struct process_facts facts;
	char sandbox[64], memory[32] = "-";

	facts_read(pid, &facts);
	facts_print_sandbox(&facts, sandbox, sizeof(sandbox));
	if (facts.pss_kib >= 0)
		(void)snprintf(memory, sizeof(memory), "%ld", facts.pss_kib);
	printf("%-10s %-12s %7d %10" PRId64 "  %-28s %10s  %s\n",
	       json_string_value(json_object_get(process, "role")),
	       json_string_value(json_object_get(process, "device")), pid,
	       (int64_t)json_integer_value(json_object_get(process, "uid")), sandbox, memory,
	       json_string_value(json_object_get(process, "state")));
}

static void add_facts(json_t *process)
{
	struct process_facts facts;

	facts_read((int)json_integer_value(json_object_get(process, "pid")), &facts);
	(void)json_object_set_new(process, "seccomp", json_integer(facts.seccomp));
	(void)json_object_set_new(process, "no_new_privs", json_boolean(facts.no_new_privs));
	(void)json_object_set_new(process, "effective_capabilities",
				  json_integer(__builtin_popcountl(facts.caps)));
	(void)json_object_set_new(
		process, "namespaces_of_its_own",
		facts.unlike_host == (unsigned)-1 ? json_null() : json_integer(facts.unlike_host));
	(void)json_object_set_new(process, "pss_kib",
				  facts.pss_kib < 0 ? json_null() : json_integer(facts.pss_kib));
}

enum ctl_exit ctl_run_ps(const struct ctl *ctl, int count, char **arguments)
{
	json_t *reply, *process;
	enum ctl_exit result = ctl_request(ctl, "GET", "vmm.processes", NULL, &reply);
	size_t index;

	(void)count;
	(void)arguments;
	if (result != CTL_EXIT_OK)
		return result;
	if (ctl->json) {
		json_array_foreach(reply, index, process)
		{
			add_facts(process);
		}
		return ctl_print_json(reply);
	}
	printf("%-10s %-12s %7s %10s  %-28s %10s  %s\n", "ROLE", "DEVICE", "PID", "UID", "SANDBOX",
	       "PSS KiB", "STATE");
	json_array_foreach(reply, index, process)
	{
		print_process(process);
	}
	json_decref(reply);
	return CTL_EXIT_OK;
}
