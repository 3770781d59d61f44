/* SPDX-License-Identifier: Apache-2.0 */
/* Large or rarely used parts of the kernel, and its settings. */
#include "tests/redteam/attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static char buffer[4096];
static union bpf_attr map = {
	.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1};
static struct perf_event_attr event = {
	.type = PERF_TYPE_SOFTWARE, .size = sizeof(event), .config = PERF_COUNT_SW_CPU_CLOCK};
static struct io_uring_params ring;
static struct timeval some_time = {.tv_sec = 1};
static struct timex adjustment = {.modes = ADJ_TICK, .tick = 10001};
static unsigned long aio_context;
static timer_t timer;

/* The first number of the 32-bit table that is harmless: getpid. */
static long call_32bit(const struct order *order)
{
	long result;

	(void)order;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
	return result;
}

static long call_x32(const struct order *order)
{
	(void)order;
	return attempt_call(0x40000000L | SYS_getpid, 0, 0, 0, 0, 0, 0);
}

const struct attempt attempts_kernel[] = {
	RUN("32-bit system call", BY_SIGSYS, call_32bit),
	RUN("x32 system call", BY_SIGSYS, call_x32),
	{.name = "a number no kernel has", .defence = BY_FILTER, .number = 4000},
	CALL("bpf map", BY_FILTER, bpf, BPF_MAP_CREATE, POINTER(&map), sizeof(map)),
	CALL("perf_event_open", BY_FILTER_ONLY, perf_event_open, POINTER(&event), 0, -1, -1, 0),
	CALL("userfaultfd", BY_FILTER, userfaultfd, 0),
	CALL("userfaultfd, user mode", BY_FILTER_ONLY, userfaultfd, 1),
	CALL("io_uring_setup", BY_FILTER_ONLY, io_uring_setup, 8, POINTER(&ring)),
	CALL("io_setup", BY_FILTER_ONLY, io_setup, 8, POINTER(&aio_context)),
	CALL("keyctl: session keyring", BY_FILTER_ONLY, keyctl, 0, -3, 1),
	CALL("add_key", BY_FILTER_ONLY, add_key, POINTER("user"), POINTER("k"), POINTER("v"), 1,
	     -2),
	CALL("request_key", BY_FILTER_ONLY, request_key, POINTER("user"), POINTER("nobody's"), 0,
	     -2),
	CALL("init_module", BY_FILTER, init_module, POINTER(buffer), sizeof(buffer), POINTER("")),
	CALL("finit_module", BY_FILTER, finit_module, 0, POINTER(""), 0),
	CALL("delete_module", BY_FILTER, delete_module, POINTER("kvm"), 0),
	CALL("kexec_load", BY_FILTER, kexec_load, 0, 0, 0, 0),
	CALL("reboot", BY_FILTER, reboot, 0xfee1dead, 672274793, 0x89abcdef, 0),
	CALL("swapon", BY_FILTER, swapon, POINTER("/dev/sda"), 0),
	CALL("acct", BY_FILTER, acct, 0),
	CALL("settimeofday", BY_FILTER, settimeofday, POINTER(&some_time), 0),
	CALL("adjtimex", BY_FILTER, adjtimex, POINTER(&adjustment)),
	CALL("sethostname", BY_FILTER, sethostname, POINTER("escaped"), 7),
	CALL("uname", BY_FILTER_ONLY, uname, POINTER(buffer)),
	CALL("sysinfo", BY_FILTER_ONLY, sysinfo, POINTER(buffer)),
	CALL("kernel log", BY_FILTER_ONLY, syslog, 3, POINTER(buffer), sizeof(buffer)),
	CALL("iopl", BY_FILTER, iopl, 3),
	CALL("ioperm", BY_FILTER, ioperm, 0x80, 1, 1),
	CALL("modify_ldt", BY_FILTER_ONLY, modify_ldt, 0, POINTER(buffer), 8),
	CALL("personality", BY_FILTER_ONLY, personality, 0x0040000),
	CALL("timer_create", BY_FILTER_ONLY, timer_create, CLOCK_MONOTONIC, 0, POINTER(&timer)),
	CALL("landlock_create_ruleset", BY_FILTER_ONLY, landlock_create_ruleset, 0, 0, 1),
	CALL("ioctl: make a VM", BY_FILTER, ioctl, 0, KVM_CREATE_VM, 0),
	CALL("ioctl: type into the terminal", BY_FILTER, ioctl, 2, TIOCSTI, POINTER("x")),
	CALL("ioctl: take the terminal", BY_FILTER, ioctl, 2, TIOCSCTTY, 1),
	{0},
};
