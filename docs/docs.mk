# SPDX-License-Identifier: Apache-2.0
# Documents that are made from the tables in the code.

MAN_PAGES := $(BUILD)/man/insula.1 $(BUILD)/man/insula-oci.1 $(BUILD)/man/insula-vmm.1

.PHONY: man
man: $(MAN_PAGES)
# A program's own page is its tables' list, with what tables cannot say appended.
$(BUILD)/man/insula.1 $(BUILD)/man/insula-oci.1: $(BUILD)/man/%.1: $(BUILD)/% docs/man/%.1.in
	$(Q)mkdir -p $(@D)
	$(Q)$(BUILD)/$* --man > $@.tmp && cat docs/man/$*.1.in >> $@.tmp && mv $@.tmp $@
$(BUILD)/man/insula-vmm.1: docs/man/insula-vmm.1
	$(Q)mkdir -p $(@D)
	$(Q)cp $< $@

## make docs          write docs/oci-support.md and docs/seccomp.md from their tables
.PHONY: docs
docs: $(BUILD)/insula-oci
	$(Q)$(BUILD)/insula-oci features --markdown > docs/oci-support.md
	$(Q)$(BUILD)/insula-oci features --seccomp-markdown > docs/seccomp.md
