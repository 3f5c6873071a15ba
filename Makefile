# SPDX-License-Identifier: Apache-2.0
# Insula. `make help` lists the targets; V=1 shows the commands.

VERSION  := 0.1.0
BUILD    ?= build
PREFIX   ?= /usr/local
DESTDIR  ?=
CC       ?= gcc
AR       ?= ar
PKGCONF  ?= pkg-config
V        ?= 0
WERROR   ?= 0
SANITIZE ?= 0
FAULTS   ?= 0
# For another machine: CC=aarch64-linux-gnu-gcc AR=aarch64-linux-gnu-ar SYSROOT=<a Debian of it, unpacked>.
SYSROOT  ?=

ifeq ($(V),0)
Q := @
say = @printf '  %-7s %s\n' $(1) $(2)
else
Q :=
say = @:
endif

MACHINE := $(shell $(CC) -dumpmachine)
ARCH := $(firstword $(subst -, ,$(MACHINE)))
ifneq ($(SYSROOT),)
SYSROOT_FLAGS := --sysroot=$(SYSROOT)
PKGCONF_ENV := PKG_CONFIG_SYSROOT_DIR=$(SYSROOT) PKG_CONFIG_PATH= \
          PKG_CONFIG_LIBDIR=$(SYSROOT)/usr/lib/$(MACHINE)/pkgconfig:$(SYSROOT)/usr/share/pkgconfig
endif

WARN   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
          -Wvla -Wno-missing-field-initializers
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=gnu17 $(SYSROOT_FLAGS) $(WARN) $(CFLAGS) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
          -DINSULA_VERSION='"$(VERSION)"' -DINSULA_PREFIX='"$(PREFIX)"' \
          -fno-strict-aliasing -ffunction-sections -fdata-sections -fvisibility=hidden
ifeq ($(WERROR),1)
ALL_CFLAGS += -Werror
endif
ifeq ($(FAULTS),1)
# Fault points for tests (base/fault.h); use a build directory of its own: make FAULTS=1 BUILD=...
ALL_CFLAGS += -DINSULA_FAULTS
endif
ifeq ($(SANITIZE),1)
# Sanitizers want a dynamic program.
ALL_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LINK_STATIC := -fsanitize=address,undefined
LIBS_STATIC :=
else
# Nothing here is unwound at run time; debuggers have .debug_frame.
ALL_CFLAGS += -fPIE -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 \
	-fno-asynchronous-unwind-tables -fno-unwind-tables
# Static: the dynamic linker would be a third of a container's start (docs/HACKING.md, "Speed").
comma := ,
# Relocations packed: a twentieth of the program.
LINK_STATIC := -static-pie $(if $(filter x86_64,$(ARCH)),-Wl$(comma)-z$(comma)pack-relative-relocs)
endif
LDFLAGS    ?=
ALL_LDFLAGS = $(LDFLAGS) -Wl,--gc-sections -Wl,-z,relro,-z,now -Wl,-z,noexecstack

# ---- rooms ------------------------------------------------------------------------------------
# Which folders' headers an object of a folder may include. This is the layering; it is enforced by
# giving the compiler no other -I.
ROOMS        := base isolate cgroups images hypervisor vio runtime cli
USES_base    := base
USES_isolate := base isolate
USES_cgroups := base cgroups
USES_images  := base images
USES_hypervisor := base hypervisor
USES_vio     := base vio
USES_runtime := base isolate cgroups images hypervisor vio runtime
USES_cli     := base images vio runtime isolate cgroups cli
USES_tests   := $(ROOMS)

incs = $(foreach r,$(USES_$(1)),-I$(r)/include)

# json-c in base, libseccomp and libcap in isolate, libcgroup in cgroups, nettle in images: nowhere else.
PKGS := json-c libseccomp libcgroup nettle
LIBS := $(shell $(PKGCONF_ENV) $(PKGCONF) --libs --static $(PKGS) 2>/dev/null) -lcap -lpthread
# Decompression, for insula-layer and the tests of its parts. Debian 12 has libisal as a shared library only.
LAYER_LIBS := -lzstd -lisal

# Our own VMM is for x86-64; what of it knows that processor or KVM's x86 interface is left out elsewhere.
X86_ONLY := $(wildcard hypervisor/kvm/x86_*.c) runtime/programs/insula-kvm.c \
	$(addprefix hypervisor/kvm/,machine.c vcpu.c devices.c process.c)
NOT_HERE := $(if $(filter x86_64,$(ARCH)),,$(X86_ONLY))

room_srcs = $(filter-out $(NOT_HERE),$(wildcard $(1)/*.c) $(if $(filter hypervisor,$(1)),$(wildcard hypervisor/*/*.c)))
HELPER_MAINS := $(filter-out $(NOT_HERE),$(wildcard runtime/programs/*.c))
MAINS := cli/insula.c cli/insula-oci.c $(HELPER_MAINS)
ROOM_ARCHIVES := $(foreach r,$(ROOMS),$(BUILD)/lib$(r).a)
# Link order: users before used.
LINK_ARCHIVES := $(foreach r,cli runtime vio hypervisor images cgroups isolate base,$(BUILD)/lib$(r).a)

PROGRAMS := $(BUILD)/insula $(BUILD)/insula-oci
PROGRAMS += $(patsubst runtime/programs/%.c,$(BUILD)/%,$(HELPER_MAINS))

.PHONY: all
## make               build the programs
all: $(PROGRAMS) $(BUILD)/insula-oci-vm

define room_template
OBJS_$(1) := $$(patsubst %.c,$(BUILD)/obj/%.o,$$(filter-out $(MAINS),$$(call room_srcs,$(1))))
$(BUILD)/lib$(1).a: $$(OBJS_$(1))
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && $$(AR) rcs $$@ $$^
$(BUILD)/obj/$(1)/%.o: $(1)/%.c $(BUILD)/flags
	$$(call say,CC,$$<)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALL_CFLAGS) $(call incs,$(1)) -I$(1) -MMD -MP -c -o $$@ $$<
endef
$(foreach r,$(ROOMS),$(eval $(call room_template,$(r))))

# Another compiler or other flags rebuild everything.
.PHONY: FORCE
$(BUILD)/flags: FORCE
	$(Q)mkdir -p $(BUILD)
	$(Q)echo '$(subst ','\'',$(CC) $(ALL_CFLAGS) $(LINK_STATIC))' | cmp -s - $@ || \
		echo '$(subst ','\'',$(CC) $(ALL_CFLAGS) $(LINK_STATIC))' > $@

link = $(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LINK_STATIC) -o $@ $(filter %.o,$^) \
	-Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

# libcgroup brings getpwnam() and friends, which no way of ours reaches; the linker would warn of them.
$(BUILD)/insula: ALL_LDFLAGS += -Wl,--no-warnings
$(BUILD)/insula $(BUILD)/insula-oci: $(BUILD)/%: $(BUILD)/obj/cli/%.o $(LINK_ARCHIVES)
	$(call say,LD,$@)
	$(link)
$(patsubst runtime/programs/%.c,$(BUILD)/%,$(HELPER_MAINS)): $(BUILD)/%: \
		$(BUILD)/obj/runtime/programs/%.o $(LINK_ARCHIVES)
	$(call say,LD,$@)
	$(link)
# The programs with a dynamic linker: everything else that they use is linked into them.
ifneq ($(SANITIZE),1)
$(BUILD)/insula-systemd: private LINK_STATIC := -pie
$(BUILD)/insula-systemd: private LIBS := -Wl,-Bstatic $(LIBS) -Wl,-Bdynamic -lsystemd
$(BUILD)/insula-fetch: private LINK_STATIC := -pie
$(BUILD)/insula-fetch: private LIBS := -Wl,-Bstatic $(LIBS) -Wl,-Bdynamic -lcurl
$(BUILD)/insula-layer: private LINK_STATIC := -pie
$(BUILD)/insula-layer: private LIBS := -Wl,-Bstatic $(LIBS) -lzstd -Wl,-Bdynamic -lisal
else
$(BUILD)/insula-layer: private LIBS += $(LAYER_LIBS)
$(BUILD)/insula-fetch: private LIBS += -lcurl
$(BUILD)/insula-systemd: private LIBS += -lsystemd
endif
$(BUILD)/insula-oci-vm: $(BUILD)/insula-oci
	$(Q)ln -sf insula-oci $@

include tests/tests.mk

# ---- installing -------------------------------------------------------------------------------
## make deps          install what building and running need (apt as root; else prints the line)
.PHONY: deps
deps:
	$(Q)tests/deps.sh build run

## make install       DESTDIR= PREFIX=  programs, helpers, guest kernel, man pages, completion
.PHONY: install
HELPERS := insula-vmm insula-mkguest $(if $(NOT_HERE),,insula-kvm) insula-monitor insula-layer insula-fetch insula-systemd insula-init
install: all man
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/insula \
		$(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 755 $(BUILD)/insula $(BUILD)/insula-oci $(DESTDIR)$(PREFIX)/bin
	ln -sf insula-oci $(DESTDIR)$(PREFIX)/bin/insula-oci-vm
	install -m 755 $(addprefix $(BUILD)/,$(HELPERS)) $(DESTDIR)$(PREFIX)/libexec/insula
	install -m 644 $(MAN_PAGES) $(DESTDIR)$(PREFIX)/share/man/man1
	$(BUILD)/insula --completion > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/insula
	$(BUILD)/insula-oci --completion > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/insula-oci
	if [ -e $(BUILD)/guest/initramfs ]; then \
		install -d $(DESTDIR)$(PREFIX)/lib/insula/guest && \
		install -m 644 $(BUILD)/guest/* $(DESTDIR)$(PREFIX)/lib/insula/guest; fi

.PHONY: uninstall
uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,insula insula-oci insula-oci-vm) \
		$(addprefix $(DESTDIR)$(PREFIX)/share/man/man1/,$(notdir $(MAN_PAGES))) \
		$(addprefix $(DESTDIR)$(PREFIX)/share/bash-completion/completions/,insula insula-oci)
	rm -rf $(DESTDIR)$(PREFIX)/libexec/insula $(DESTDIR)$(PREFIX)/lib/insula

# ---- the rest ---------------------------------------------------------------------------------
include docs/docs.mk
include hypervisor/guest.mk

## make demo          install what is needed, build, and show both kinds at work, timed
# The dependencies come first, and make looks for libraries only when it is started again.
.PHONY: demo
demo:
	$(Q)tests/deps.sh build run
	$(Q)$(MAKE) --no-print-directory all guest
	$(Q)docs/demo.sh $(BUILD)

.PHONY: clean format lint help
## make clean         remove the build directory
clean:
	rm -rf $(BUILD)

## make format        format all C files
## make lint          check layering, forbidden calls, that each mutant is still where its table says
C_FILES := $(shell find $(ROOMS) tests -name '*.[ch]' 2>/dev/null)
format:
	clang-format -i $(C_FILES)

.PHONY: format-check
format-check:
	$(Q)clang-format --dry-run --Werror $(C_FILES)

lint:
	$(Q)tests/lint.sh
	$(Q)tests/mutants/run --check

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
