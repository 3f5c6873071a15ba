# SPDX-License-Identifier: Apache-2.0
# The guest of microVMs: Debian's cloud kernel (downloaded and unpacked, not installed) and an initramfs
# around our guest program.

GUEST_META_x86_64  := linux-image-cloud-amd64
GUEST_META_aarch64 := linux-image-cloud-arm64
GUEST_META         := $(GUEST_META_$(ARCH))
GUEST_DIR          := $(BUILD)/guest
GUEST_TREE         := $(BUILD)/kernel-tree

## make guest         the guest kernel and initramfs for --vm (downloads Debian's cloud kernel once)
.PHONY: guest
guest: $(GUEST_DIR)/initramfs

$(GUEST_DIR)/initramfs: $(BUILD)/insula-mkguest $(BUILD)/insula-guest $(GUEST_TREE).stamp
	$(call say,GUEST,$(GUEST_DIR))
	$(Q)$(BUILD)/insula-mkguest $(GUEST_TREE) $(BUILD)/insula-guest $(GUEST_DIR)

$(GUEST_TREE).stamp:
	$(call say,FETCH,$(GUEST_META))
	$(Q)hypervisor/fetch-kernel.sh "$(GUEST_META)" $(GUEST_TREE)
	$(Q)touch $@

# The tests of whole VMs boot a test program; the kernel is used if `make guest` has fetched it.
$(BUILD)/tests/unit/hypervisor/test_vm: | $(BUILD)/tests/helpers/guest-probe
