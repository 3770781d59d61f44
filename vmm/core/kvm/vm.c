/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/kvm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "vmm/core/platform/memory_map.h"

#define IOAPIC_PINS    24U
#define PIC_PINS       16U
#define MSI_GSI_FIRST  IOAPIC_PINS
#define MSI_GSI_COUNT  1000U
#define MAX_ROUTES     (IOAPIC_PINS + PIC_PINS + MSI_GSI_COUNT)
#define IOAPIC_PIT_PIN 2U /* MADT's interrupt source override sends IRQ 0 there */

struct kvm_vm {
	int vm_fd;
	int system_fd;
	unsigned vcpu_map_bytes;
	pthread_mutex_t routes_lock; /* guards the members below */
	bool gsi_used[MSI_GSI_COUNT];
	bool msi_valid[MSI_GSI_COUNT];
	struct msi_message msi[MSI_GSI_COUNT];
};

static const struct {
	int capability;
	const char *name;
} required_capabilities[] = {
	{KVM_CAP_IRQCHIP, "in-kernel interrupt controllers (KVM_CAP_IRQCHIP)"},
	{KVM_CAP_PIT2, "in-kernel timer (KVM_CAP_PIT2)"},
	{KVM_CAP_IRQFD, "interrupts from eventfds (KVM_CAP_IRQFD)"},
	{KVM_CAP_IOEVENTFD, "kicks to eventfds (KVM_CAP_IOEVENTFD)"},
	{KVM_CAP_IOEVENTFD_ANY_LENGTH, "kicks of any length (KVM_CAP_IOEVENTFD_ANY_LENGTH)"},
	{KVM_CAP_SIGNAL_MSI, "message-signalled interrupts (KVM_CAP_SIGNAL_MSI)"},
	{KVM_CAP_USER_MEMORY, "user memory (KVM_CAP_USER_MEMORY)"},
	{KVM_CAP_IMMEDIATE_EXIT, "immediate exit (KVM_CAP_IMMEDIATE_EXIT)"},
	{KVM_CAP_MP_STATE, "processor state (KVM_CAP_MP_STATE)"},
};

static int kvm_check_host(int kvm_fd, struct error *err)
{
	int version = ioctl(kvm_fd, KVM_GET_API_VERSION, 0);

	if (version < 0)
		return error_set(err, -ENODEV, "/dev/kvm is not KVM (KVM_GET_API_VERSION: %s)",
				 strerror(errno));
	if (version != KVM_API_VERSION)
		return error_set(err, -ENOTSUP, "KVM API version %d, need %d", version,
				 KVM_API_VERSION);
	for (size_t i = 0; i < sizeof(required_capabilities) / sizeof(*required_capabilities);
	     i++) {
		if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, required_capabilities[i].capability) <= 0)
			return error_set(err, -ENOTSUP, "this host's KVM lacks %s",
					 required_capabilities[i].name);
	}
	return 0;
}

static unsigned routes_add_irqchips(struct kvm_irq_routing_entry *entries)
{
	unsigned count = 0;

	for (unsigned pin = 0; pin < PIC_PINS; pin++) {
		if (pin == IOAPIC_PIT_PIN) /* the cascade */
			continue;
		entries[count++] = (struct kvm_irq_routing_entry){
			.gsi = pin,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = {.irqchip = pin < 8 ? KVM_IRQCHIP_PIC_MASTER
							 : KVM_IRQCHIP_PIC_SLAVE,
				      .pin = pin % 8},
		};
	}
	for (unsigned gsi = 0; gsi < IOAPIC_PINS; gsi++) {
		if (gsi == IOAPIC_PIT_PIN)
			continue;
		entries[count++] = (struct kvm_irq_routing_entry){
			.gsi = gsi,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = {.irqchip = KVM_IRQCHIP_IOAPIC,
				      .pin = gsi ? gsi : IOAPIC_PIT_PIN},
		};
	}
	return count;
}

/* Caller holds routes_lock (or is the constructor). */
static int routes_commit(struct kvm_vm *vm)
{
	/* Too large for a stack that keeps every page it has ever touched. */
	cleanup_free struct kvm_irq_routing *table =
		calloc(1, sizeof(*table) + MAX_ROUTES * sizeof(table->entries[0]));
	unsigned count;

	if (!table)
		return -ENOMEM;
	count = routes_add_irqchips(table->entries);
	for (unsigned i = 0; i < MSI_GSI_COUNT; i++) {
		if (!vm->msi_valid[i])
			continue;
		table->entries[count++] = (struct kvm_irq_routing_entry){
			.gsi = MSI_GSI_FIRST + i,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = {.address_lo = (uint32_t)vm->msi[i].address,
				  .address_hi = (uint32_t)(vm->msi[i].address >> 32),
				  .data = vm->msi[i].data},
		};
	}
	table->nr = count;
	return ioctl(vm->vm_fd, KVM_SET_GSI_ROUTING, table) < 0 ? -errno : 0;
}

static int kvm_vm_create_chips(struct kvm_vm *vm, struct error *err)
{
	uint64_t identity = MAP_KVM_IDENTITY;
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};

	if (ioctl(vm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
		return error_set_errno(err, -errno, "KVM_SET_IDENTITY_MAP_ADDR");
	if (ioctl(vm->vm_fd, KVM_SET_TSS_ADDR, (unsigned long)MAP_KVM_TSS) < 0)
		return error_set_errno(err, -errno, "KVM_SET_TSS_ADDR");
	if (ioctl(vm->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return error_set_errno(err, -errno, "KVM_CREATE_IRQCHIP");
	if (ioctl(vm->vm_fd, KVM_CREATE_PIT2, &pit) < 0)
		return error_set_errno(err, -errno, "KVM_CREATE_PIT2");
	if (routes_commit(vm) < 0)
		return error_set_errno(err, -errno, "KVM_SET_GSI_ROUTING");
	return 0;
}

static int kvm_vm_open(struct kvm_vm *vm, int kvm_fd, struct error *err)
{
	int bytes;

	vm->system_fd = fcntl(kvm_fd, F_DUPFD_CLOEXEC, 3);
	if (vm->system_fd < 0)
		return error_set_errno(err, -errno, "cannot duplicate the KVM file descriptor");
	vm->vm_fd = ioctl(vm->system_fd, KVM_CREATE_VM, 0);
	if (vm->vm_fd < 0)
		return error_set_errno(err, -errno, "KVM_CREATE_VM");
	bytes = ioctl(vm->system_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (bytes < (int)sizeof(struct kvm_run))
		return error_set(err, -ENOTSUP, "KVM_GET_VCPU_MMAP_SIZE gives %d", bytes);
	vm->vcpu_map_bytes = (unsigned)bytes;
	return 0;
}

struct kvm_vm *kvm_vm_new(int kvm_fd, struct error *err)
{
	struct kvm_vm *vm;

	if (kvm_check_host(kvm_fd, err) < 0)
		return NULL;
	vm = calloc(1, sizeof(*vm));
	if (!vm) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	vm->vm_fd = vm->system_fd = -1;
	pthread_mutex_init(&vm->routes_lock, NULL);
	if (kvm_vm_open(vm, kvm_fd, err) < 0 || kvm_vm_create_chips(vm, err) < 0) {
		kvm_vm_destroy(vm);
		return NULL;
	}
	return vm;
}

void kvm_vm_destroy(struct kvm_vm *vm)
{
	if (!vm)
		return;
	fd_close(&vm->vm_fd);
	fd_close(&vm->system_fd);
	pthread_mutex_destroy(&vm->routes_lock);
	free(vm);
}

int kvm_vm_fd(const struct kvm_vm *vm)
{
	return vm->vm_fd;
}

int kvm_vm_system_fd(const struct kvm_vm *vm)
{
	return vm->system_fd;
}

unsigned kvm_vm_vcpu_map_bytes(const struct kvm_vm *vm)
{
	return vm->vcpu_map_bytes;
}

int kvm_vm_map_memory(struct kvm_vm *vm, uint32_t slot, uint64_t gpa, uint64_t size_bytes,
		      void *hva, struct error *err)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size_bytes,
		.userspace_addr = (uint64_t)(uintptr_t)hva,
	};

	if (ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return error_set_errno(err, -errno, "KVM_SET_USER_MEMORY_REGION");
	return 0;
}

void kvm_irq_line_set(struct kvm_vm *vm, uint32_t gsi, bool level)
{
	struct kvm_irq_level line = {.irq = gsi, .level = level};

	/* It can fail only for a GSI that does not exist, which would be our own bug. */
	(void)ioctl(vm->vm_fd, KVM_IRQ_LINE, &line);
}

int kvm_gsi_allocate(struct kvm_vm *vm)
{
	int gsi = -ENOSPC;

	pthread_mutex_lock(&vm->routes_lock);
	for (unsigned i = 0; i < MSI_GSI_COUNT; i++) {
		if (vm->gsi_used[i])
			continue;
		vm->gsi_used[i] = true;
		gsi = (int)(MSI_GSI_FIRST + i);
		break;
	}
	pthread_mutex_unlock(&vm->routes_lock);
	return gsi;
}

static bool gsi_is_msi(uint32_t gsi)
{
	return gsi >= MSI_GSI_FIRST && gsi < MSI_GSI_FIRST + MSI_GSI_COUNT;
}

void kvm_gsi_release(struct kvm_vm *vm, uint32_t gsi)
{
	if (!gsi_is_msi(gsi))
		return;
	kvm_gsi_route_msi(vm, gsi, NULL);
	pthread_mutex_lock(&vm->routes_lock);
	vm->gsi_used[gsi - MSI_GSI_FIRST] = false;
	pthread_mutex_unlock(&vm->routes_lock);
}

int kvm_gsi_route_msi(struct kvm_vm *vm, uint32_t gsi, const struct msi_message *msi)
{
	uint32_t index = gsi - MSI_GSI_FIRST;
	int result = 0;

	if (!gsi_is_msi(gsi))
		return -EINVAL;
	pthread_mutex_lock(&vm->routes_lock);
	/* The routing table is replaced as a whole and waits for readers: spare every needless
	 * change. */
	if (vm->msi_valid[index] != (msi != NULL) ||
	    (msi && (vm->msi[index].address != msi->address || vm->msi[index].data != msi->data))) {
		vm->msi_valid[index] = msi != NULL;
		if (msi)
			vm->msi[index] = *msi;
		result = routes_commit(vm);
		if (result < 0)
			vm->msi_valid[index] = false;
	}
	pthread_mutex_unlock(&vm->routes_lock);
	return result;
}

static int kvm_irqfd(struct kvm_vm *vm, int eventfd, uint32_t gsi, uint32_t flags)
{
	struct kvm_irqfd irqfd = {.fd = (uint32_t)eventfd, .gsi = gsi, .flags = flags};

	return ioctl(vm->vm_fd, KVM_IRQFD, &irqfd) < 0 ? -errno : 0;
}

int kvm_irqfd_assign(struct kvm_vm *vm, int eventfd, uint32_t gsi)
{
	return kvm_irqfd(vm, eventfd, gsi, 0);
}

int kvm_irqfd_deassign(struct kvm_vm *vm, int eventfd, uint32_t gsi)
{
	return kvm_irqfd(vm, eventfd, gsi, KVM_IRQFD_FLAG_DEASSIGN);
}

static int kvm_ioeventfd(struct kvm_vm *vm, uint64_t gpa, unsigned length_bytes, int eventfd,
			 uint32_t flags)
{
	struct kvm_ioeventfd ioeventfd = {
		.addr = gpa, .len = length_bytes, .fd = eventfd, .flags = flags};

	return ioctl(vm->vm_fd, KVM_IOEVENTFD, &ioeventfd) < 0 ? -errno : 0;
}

int kvm_ioeventfd_assign(struct kvm_vm *vm, uint64_t gpa, unsigned length_bytes, int eventfd)
{
	return kvm_ioeventfd(vm, gpa, length_bytes, eventfd, 0);
}

int kvm_ioeventfd_deassign(struct kvm_vm *vm, uint64_t gpa, unsigned length_bytes, int eventfd)
{
	return kvm_ioeventfd(vm, gpa, length_bytes, eventfd, KVM_IOEVENTFD_FLAG_DEASSIGN);
}
