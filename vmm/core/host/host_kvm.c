/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/host/host_kvm.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "vmm/core/host/x86_64/guest_probe.h"
#include "vmm/core/kvm/vm.h"

#define CPUID_1_ECX_HYPERVISOR (1U << 31)

/* Modules that give /dev/kvm its back end. More than one may be loaded; which is in use, none says.
 */
static void find_backend(struct host_report *report)
{
	static const char *const modules[] = {"kvm_intel", "kvm_amd", "kvm_pvm"};
	size_t used = 0;

	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "/sys/module/%s", modules[i]);
		if (access(path, F_OK) != 0)
			continue;
		used += (size_t)snprintf(report->kvm_backend + used,
					 sizeof(report->kvm_backend) - used, "%s%s",
					 used ? " or " : "", modules[i]);
	}
	if (!used)
		(void)snprintf(report->kvm_backend, sizeof(report->kvm_backend), "unknown");
}

static bool host_is_guest(void)
{
	unsigned eax, ebx, ecx = 0, edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & CPUID_1_ECX_HYPERVISOR);
}

static int check_device(struct host_report *report)
{
	struct host_check *check = host_report_add(report, "kvm", true);
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int version;

	report->nested = host_is_guest();
	if (fd < 0) {
		host_check_missing(check, "/dev/kvm: %s", strerror(errno));
		if (errno == EACCES || errno == EPERM)
			host_check_advise(check, "become a member of the device's group (kvm)");
		else
			host_check_advise(check, "enable virtualization in the firmware and load "
						 "kvm_intel or kvm_amd");
		return -1;
	}
	find_backend(report);
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version == KVM_API_VERSION) {
		host_check_ok(check, "back end %s%s", report->kvm_backend,
			      report->nested ? ", nested: this host is a virtual machine" : "");
		return fd;
	}
	host_check_missing(check, "/dev/kvm speaks API version %d, not %d", version,
			   KVM_API_VERSION);
	host_check_advise(check, "update the kernel");
	close(fd);
	return -1;
}

static void check_execution(struct host_report *report, struct kvm_vm *vm)
{
	struct host_check *check = host_report_add(report, "stock-kernels", false);
	struct error err = ERROR_INIT;

	if (guest_probe_run(vm, &report->execution, &err) < 0) {
		host_check_missing(check, "a trial guest did not run: %s", err.message);
		host_check_advise(check, "see the kernel's log (dmesg)");
	} else if (report->execution == HOST_EXECUTION_NATIVE) {
		host_check_ok(check, "the processor runs guests itself");
	} else {
		host_check_missing(check, "KVM emulates guests instruction by instruction and does "
					  "not know all of them");
		host_check_advise(check, "use a host with hardware virtualization (VT-x, AMD-V)");
	}
}

void host_check_kvm(struct host_report *report)
{
	cleanup_fd int fd = check_device(report);
	struct error err = ERROR_INIT;
	struct host_check *check;
	struct kvm_vm *vm;

	if (fd < 0)
		return;
	check = host_report_add(report, "kvm-features", true);
	vm = kvm_vm_new(fd, &err);
	if (!vm) {
		host_check_missing(check, "%s", err.message);
		host_check_advise(check, "update the kernel, or load another KVM module");
		return;
	}
	host_check_ok(check, "everything that the monitor needs");
	check_execution(report, vm);
	kvm_vm_destroy(vm);
}
