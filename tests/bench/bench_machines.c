/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench_machines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/cleanup.h"

#define DISK_BYTES    (1 << 20) /* as in tests/vmm/core/snapshot: a snapshot fits one size only */
#define LOCK_WAIT_MS  5000
#define LOCK_RETRY_US 1000
#define QEMU	      "qemu-system-x86_64"

static void add_bulkhead_devices(const struct bench_machine *machine, struct bench_command *command)
{
	bench_command_add(command, "--disk id=root,path=%s --console null --serial tty",
			  machine->disk);
}

void bench_machine_bulkhead(const struct bench_machine *machine, struct bench_command *command)
{
	bench_command_init(command);
	bench_command_add(command, "%s/bin/bulkhead --cpus boot=1 --memory size=%uM",
			  machine->build, machine->memory_mib);
	bench_command_add(command, "--kernel %s/guests/%s.elf --rng src=/dev/urandom",
			  machine->build, machine->guest);
	if (machine->cmdline)
		bench_command_add(command, "--cmdline %s", machine->cmdline);
	add_bulkhead_devices(machine, command);
}

void bench_machine_bulkhead_restore(const struct bench_machine *machine, const char *from,
				    bool on_demand, struct bench_command *command)
{
	bench_command_init(command);
	bench_command_add(command, "%s/bin/bulkhead", machine->build);
	bench_command_add(command,
			  "--restore source_url=file://%s,memory_restore_mode=%s,resume=on", from,
			  on_demand ? "ondemand" : "copy");
	add_bulkhead_devices(machine, command);
}

/*
 * What QEMU itself says makes a microvm quick: no defaults, no ACPI, no clock chip. The interrupt
 * controllers and the timer are those that Bulkhead has. One CPU feature is left out that some
 * hosts' KVM names but does not let anybody set.
 */
void bench_machine_qemu(const struct bench_machine *machine, struct bench_command *command)
{
	bench_command_init(command);
	bench_command_add(command,
			  QEMU " -M microvm,acpi=off,pit=on,pic=on,rtc=off,isa-serial=on"
			       " -accel kvm -cpu host,-arch-capabilities -smp 1"
			       " -nodefaults -no-user-config -no-reboot -display none"
			       " -serial stdio -kernel %s/guests/%s.elf",
			  machine->build, machine->guest);
	bench_command_add(command, "-m %u", machine->memory_mib);
	if (machine->cmdline)
		bench_command_add(command, "-append %s", machine->cmdline);
	bench_command_add(command,
			  "-drive file=%s,if=none,id=root,format=raw"
			  " -device virtio-blk-device,drive=root"
			  " -object rng-random,id=entropy,filename=/dev/urandom"
			  " -device virtio-rng-device,rng=entropy"
			  " -chardev null,id=console -device virtio-serial-device"
			  " -device virtconsole,chardev=console",
			  machine->disk);
}

void bench_machine_qemu_incoming(const struct bench_machine *machine, const char *from,
				 struct bench_command *command)
{
	bench_machine_qemu(machine, command);
	bench_command_add(command, "-incoming exec:cat<%s", from);
}

bool bench_machine_have_kvm(void)
{
	if (access("/dev/kvm", R_OK | W_OK) == 0)
		return true;
	printf("skip: no access to /dev/kvm\n");
	return false;
}

bool bench_machine_have_qemu(void)
{
	const char *folders = getenv("PATH");
	cleanup_free char *path = strdup(folders ? folders : "/usr/bin");
	char program[512], *save = NULL;

	for (char *folder = path ? strtok_r(path, ":", &save) : NULL; folder;
	     folder = strtok_r(NULL, ":", &save)) {
		(void)snprintf(program, sizeof(program), "%s/" QEMU, folder);
		if (access(program, X_OK) == 0)
			return true;
	}
	printf("skip: " QEMU " is not installed: no comparison with it\n");
	return false;
}

int bench_machine_make_disk(const char *path, struct error *err)
{
	cleanup_fd int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, DISK_BYTES) != 0)
		return error_set_errno(err, -errno, "create %s", path);
	return 0;
}

void bench_machine_wait_disk(const char *path)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	cleanup_fd int fd = open(path, O_RDWR | O_CLOEXEC);
	double deadline_ms = bench_now_ms() + LOCK_WAIT_MS;

	while (fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) != 0 && bench_now_ms() < deadline_ms)
		(void)usleep(LOCK_RETRY_US);
}
