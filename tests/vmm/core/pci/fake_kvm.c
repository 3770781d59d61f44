/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vmm/core/pci/fake_kvm.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST_MSI_GSI 24

static void fake_unlock(pthread_mutex_t **lock)
{
	pthread_mutex_unlock(*lock);
}

static pthread_mutex_t *fake_lock(struct kvm_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	return &vm->lock;
}

/* Holds the lock until the function returns. */
#define FAKE_LOCKED(vm)                                                                            \
	pthread_mutex_t *locked __attribute__((cleanup(fake_unlock))) = fake_lock(vm);             \
	(void)locked

struct kvm_vm *fake_kvm_new(void)
{
	struct kvm_vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		abort();
	pthread_mutex_init(&vm->lock, NULL);
	for (unsigned i = 0; i < FAKE_KVM_GSIS; i++)
		vm->gsis[i].irqfd = -1;
	return vm;
}

unsigned fake_kvm_destroy(struct kvm_vm *vm)
{
	unsigned left = vm->misuses + fake_kvm_irqfd_count(vm) + fake_kvm_ioeventfd_count(vm);

	for (unsigned i = 0; i < FAKE_KVM_GSIS; i++)
		left += vm->gsis[i].allocated + vm->gsis[i].routed;
	pthread_mutex_destroy(&vm->lock);
	free(vm);
	return left;
}

unsigned fake_kvm_irqfd_count(const struct kvm_vm *vm)
{
	unsigned count = 0;

	for (unsigned i = 0; i < FAKE_KVM_GSIS; i++)
		count += vm->gsis[i].irqfd >= 0;
	return count;
}

unsigned fake_kvm_ioeventfd_count(const struct kvm_vm *vm)
{
	unsigned count = 0;

	for (unsigned i = 0; i < FAKE_KVM_IOEVENTFDS; i++)
		count += vm->ioeventfds[i].used;
	return count;
}

static void fake_signal(int eventfd)
{
	static const uint64_t one = 1;

	if (write(eventfd, &one, sizeof(one)) < 0)
		return;
}

bool fake_kvm_guest_write(struct kvm_vm *vm, uint64_t gpa, unsigned length_bytes)
{
	FAKE_LOCKED(vm);
	for (unsigned i = 0; i < FAKE_KVM_IOEVENTFDS; i++) {
		struct fake_ioeventfd *entry = &vm->ioeventfds[i];

		if (!entry->used || entry->gpa != gpa ||
		    (entry->length_bytes != 0 && entry->length_bytes != length_bytes))
			continue;
		fake_signal(entry->eventfd);
		return true;
	}
	return false;
}

unsigned fake_kvm_deliver(struct kvm_vm *vm, uint64_t address, uint32_t data)
{
	FAKE_LOCKED(vm);
	unsigned delivered = 0;

	for (unsigned i = 0; i < FAKE_KVM_GSIS; i++) {
		struct fake_gsi *gsi = &vm->gsis[i];
		uint64_t count;

		if (gsi->irqfd < 0 || !gsi->routed || read(gsi->irqfd, &count, sizeof(count)) < 0)
			continue;
		delivered += gsi->message.address == address && gsi->message.data == data;
	}
	return delivered;
}

int kvm_gsi_allocate(struct kvm_vm *vm)
{
	FAKE_LOCKED(vm);
	unsigned limit = vm->gsi_limit ? vm->gsi_limit : FAKE_KVM_GSIS;

	for (unsigned i = FIRST_MSI_GSI; i < limit; i++) {
		if (vm->gsis[i].allocated)
			continue;
		vm->gsis[i].allocated = true;
		return (int)i;
	}
	return -ENOSPC;
}

static struct fake_gsi *fake_gsi_get(struct kvm_vm *vm, uint32_t gsi)
{
	if (gsi < FAKE_KVM_GSIS && vm->gsis[gsi].allocated)
		return &vm->gsis[gsi];
	vm->misuses++;
	return NULL;
}

void kvm_gsi_release(struct kvm_vm *vm, uint32_t gsi)
{
	FAKE_LOCKED(vm);
	struct fake_gsi *entry = fake_gsi_get(vm, gsi);

	if (!entry)
		return;
	if (entry->routed || entry->irqfd >= 0)
		vm->misuses++;
	entry->allocated = false;
}

int kvm_gsi_route_msi(struct kvm_vm *vm, uint32_t gsi, const struct msi_message *msi)
{
	FAKE_LOCKED(vm);
	struct fake_gsi *entry = fake_gsi_get(vm, gsi);

	if (!entry)
		return -EINVAL;
	if (vm->refuse_routes)
		return -EINVAL;
	vm->route_changes++;
	entry->routed = msi != NULL;
	if (msi)
		entry->message = *msi;
	return 0;
}

int kvm_irqfd_assign(struct kvm_vm *vm, int eventfd, uint32_t gsi)
{
	FAKE_LOCKED(vm);
	struct fake_gsi *entry = fake_gsi_get(vm, gsi);

	if (!entry)
		return -EINVAL;
	if (entry->irqfd >= 0) {
		vm->misuses++;
		return -EBUSY;
	}
	entry->irqfd = eventfd;
	return 0;
}

int kvm_irqfd_deassign(struct kvm_vm *vm, int eventfd, uint32_t gsi)
{
	FAKE_LOCKED(vm);
	struct fake_gsi *entry = fake_gsi_get(vm, gsi);

	if (!entry || entry->irqfd != eventfd) {
		vm->misuses++;
		return -EINVAL;
	}
	entry->irqfd = -1;
	return 0;
}

int kvm_ioeventfd_assign(struct kvm_vm *vm, uint64_t gpa, unsigned length_bytes, int eventfd)
{
	FAKE_LOCKED(vm);
	if (vm->refuse_ioeventfds || (vm->refuse_any_length && length_bytes == 0))
		return -EINVAL;
	for (unsigned i = 0; i < FAKE_KVM_IOEVENTFDS; i++) {
		struct fake_ioeventfd *entry = &vm->ioeventfds[i];

		if (entry->used && entry->gpa == gpa)
			return -EEXIST;
		if (entry->used)
			continue;
		*entry = (struct fake_ioeventfd){true, gpa, length_bytes, eventfd};
		return 0;
	}
	return -ENOSPC;
}

int kvm_ioeventfd_deassign(struct kvm_vm *vm, uint64_t gpa, unsigned length_bytes, int eventfd)
{
	FAKE_LOCKED(vm);
	for (unsigned i = 0; i < FAKE_KVM_IOEVENTFDS; i++) {
		struct fake_ioeventfd *entry = &vm->ioeventfds[i];

		if (!entry->used || entry->gpa != gpa || entry->length_bytes != length_bytes ||
		    entry->eventfd != eventfd)
			continue;
		entry->used = false;
		return 0;
	}
	vm->misuses++;
	return -ENOENT;
}

/* The rest of vm.h, so that vm.o is not pulled in beside this. Nothing here calls it. */

struct kvm_vm *kvm_vm_new(int kvm_fd, struct error *err)
{
	(void)kvm_fd;
	(void)err;
	return fake_kvm_new();
}

void kvm_vm_destroy(struct kvm_vm *vm)
{
	free(vm);
}

int kvm_vm_fd(const struct kvm_vm *vm)
{
	(void)vm;
	return -1;
}

int kvm_vm_system_fd(const struct kvm_vm *vm)
{
	(void)vm;
	return -1;
}

unsigned kvm_vm_vcpu_map_bytes(const struct kvm_vm *vm)
{
	(void)vm;
	return 0;
}

int kvm_vm_map_memory(struct kvm_vm *vm, uint32_t slot, uint64_t gpa, uint64_t size_bytes,
		      void *hva, struct error *err)
{
	(void)vm;
	(void)slot;
	(void)gpa;
	(void)size_bytes;
	(void)hva;
	return error_set(err, -ENOTSUP, "no memory here");
}

void kvm_irq_line_set(struct kvm_vm *vm, uint32_t gsi, bool level)
{
	(void)vm;
	(void)gsi;
	(void)level;
}
