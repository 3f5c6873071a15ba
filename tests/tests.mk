# SPDX-License-Identifier: Apache-2.0
# Tests. A unit test links the archives of its own room and of what that room uses; integration tests
# and the bench programs are built against everything but run the built programs.

# A step of a fixture that fails shows in the assertion after it.
TEST_CFLAGS := $(ALL_CFLAGS) -Wno-unused-result $(foreach r,$(ROOMS),-I$(r)/include) -Itests/include
TEST_LIBS   := -lcmocka $(LAYER_LIBS)

UNIT_SRCS := $(wildcard tests/unit/*/test_*.c)
UNIT_BINS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(UNIT_SRCS))
INTEGRATION_SRCS := $(wildcard tests/integration/test_*.c)
INTEGRATION_BINS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(INTEGRATION_SRCS))
HARNESS_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/harness/*.c))
HELPER_BINS := $(patsubst tests/helpers/%.c,$(BUILD)/tests/helpers/%,$(wildcard tests/helpers/*.c))
STRESS_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/stress/*.c))
STRESS_BIN := $(BUILD)/tests/stress/lifecycles
BENCH_BINS := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/*.c))
BENCH_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/bench/common/*.c))

$(BUILD)/obj/tests/%.o: tests/%.c $(BUILD)/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TEST_CFLAGS) -Itests/harness -MMD -MP -c -o $@ $<

$(UNIT_BINS): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(filter-out $(BUILD)/libcli.a,$(LINK_ARCHIVES)) $(BUILD)/libcli.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(LINK_ARCHIVES) -Wl,--end-group $(LIBS) $(TEST_LIBS)

$(INTEGRATION_BINS): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(HARNESS_OBJS) $(LINK_ARCHIVES)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(HARNESS_OBJS) -Wl,--start-group $(LINK_ARCHIVES) -Wl,--end-group $(LIBS) $(TEST_LIBS)

$(STRESS_BIN): $(STRESS_OBJS) $(HARNESS_OBJS) $(LINK_ARCHIVES)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(STRESS_OBJS) $(HARNESS_OBJS) \
		-Wl,--start-group $(LINK_ARCHIVES) -Wl,--end-group $(LIBS) $(TEST_LIBS)

# Small static programs that run inside sandboxes, and the floor of the benchmark.
$(HELPER_BINS): $(BUILD)/tests/helpers/%: tests/helpers/%.c $(wildcard tests/helpers/*.h) $(BUILD)/flags
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 $(SYSROOT_FLAGS) -D_GNU_SOURCE -O2 -Wall -Wextra -static -o $@ $<

# The validation suite of the OCI runtime specification, and what it runs inside containers.
OCI_SUITE := $(BUILD)/tests/oci/suite
OCI_INSPECT := $(BUILD)/tests/oci/inspect
OCI_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out tests/oci/inspect.c,$(wildcard tests/oci/*.c)))
$(OCI_SUITE): $(OCI_OBJS) $(HARNESS_OBJS) $(LINK_ARCHIVES)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(OCI_OBJS) $(HARNESS_OBJS) \
		-Wl,--start-group $(LINK_ARCHIVES) -Wl,--end-group $(LIBS) $(TEST_LIBS)
$(OCI_INSPECT): tests/oci/inspect.c $(BUILD)/flags
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 $(SYSROOT_FLAGS) -D_GNU_SOURCE -O2 -Wall -Wextra -static -o $@ $<

# Benchmarks are static as the programs they measure: a parent's size is part of its children's peak.
$(BENCH_BINS): $(BUILD)/tests/bench/%: $(BUILD)/obj/tests/bench/%.o $(BENCH_OBJS) $(LINK_ARCHIVES)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LINK_STATIC) -o $@ $< $(BENCH_OBJS) \
		-Wl,--start-group $(LINK_ARCHIVES) -Wl,--end-group $(LIBS)

.PHONY: tests
tests: all $(UNIT_BINS) $(INTEGRATION_BINS) $(HELPER_BINS) $(OCI_SUITE) $(OCI_INSPECT)

## make unit          build and run the unit tests only
.PHONY: unit
unit: $(UNIT_BINS)
	$(Q)tests/run.sh $(UNIT_BINS)

## make test          install what the tests need, build, run all of them
# In two steps, since make looks for libraries when it starts.
.PHONY: test test-all
test:
	$(Q)tests/deps.sh build run test
	$(Q)$(MAKE) --no-print-directory test-all

test-all: tests guest faults
	$(Q)$(BUILD)/insula-oci features --markdown | cmp - docs/oci-support.md || \
		{ echo "docs/oci-support.md is stale: run 'make docs'" >&2; exit 1; }
	$(Q)$(BUILD)/insula-oci features --seccomp-markdown | cmp - docs/seccomp.md || \
		{ echo "docs/seccomp.md is stale: run 'make docs'" >&2; exit 1; }
	$(Q)tests/run.sh $(UNIT_BINS) $(INTEGRATION_BINS)

# The same programs with fault points (base/fault.h), for the tests that make each step fail.
.PHONY: faults
faults:
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/faults FAULTS=1 all

## make test-lab      run the tests that want cgroup v2, full privilege or KVM in the lab host
.PHONY: test-lab
test-lab: tests guest
	$(Q)tests/lab/suite

## make test-engines  podman, buildah, containerd and dockerd with insula-oci as their runtime
ENGINES := $(wildcard tests/engines/[a-z]*)
.PHONY: test-engines
test-engines: all guest
	$(Q)tests/deps.sh engines
	$(Q)BUILD='$(abspath $(BUILD))' tests/run.sh $(filter-out %.sh,$(ENGINES))

## make stress        STRESS_SECONDS=120 SEED=N  random lifecycles by 8 clients, with processes of ours killed
.PHONY: stress
STRESS_SECONDS ?= 120
export STRESS_SECONDS
stress: all $(HELPER_BINS) $(STRESS_BIN)
	$(Q)tests/deps.sh build run test
	$(Q)$(STRESS_BIN)

## make test-oci      the validation suite of the OCI runtime specification, beside crun and runc; RUNTIME=NAME for one alone
# docs/oci-conformance.md must be about the same checks.
.PHONY: test-oci test-oci-run docs-oci
test-oci:
	$(Q)tests/deps.sh build run test oci
	$(Q)$(MAKE) --no-print-directory test-oci-run
test-oci-run: all $(OCI_SUITE) $(OCI_INSPECT)
	$(Q)$(OCI_SUITE) --current docs/oci-conformance.md || \
		{ echo "docs/oci-conformance.md is stale: run 'make docs-oci'" >&2; exit 1; }
	$(Q)tests/run.sh $(OCI_SUITE)

## make docs-oci      run the suite and write docs/oci-conformance.md from its results
docs-oci: all $(OCI_SUITE) $(OCI_INSPECT)
	$(Q)tests/deps.sh oci
	$(Q)$(OCI_SUITE) --document docs/oci-conformance.md

## make asan          the unit and container tests under AddressSanitizer and UBSan
.PHONY: asan
asan:
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=1 asan-run
.PHONY: asan-run
# Not there: what looks at our own mappings, and at the calls that filters leave to threads; sanitizers have more of both.
ASAN_NOT := $(patsubst %,$(BUILD)/tests/unit/%,base/test_self runtime/test_kvm_jail)
asan-run: tests
	$(Q)TEST_KIND=container tests/run.sh $(filter-out $(ASAN_NOT),$(UNIT_BINS)) \
		$(patsubst %,$(BUILD)/tests/integration/test_%,scenarios oci bad_input parallel)

## make hostile-compare  the hostile program under Insula, bubblewrap, podman and firejail, as a table
.PHONY: hostile-compare
hostile-compare: tests
	$(Q)tests/deps.sh build run test rivals
	$(Q)BUILD='$(BUILD)' tests/hostile/compare

## make mutants       MUTANT=name  take each defence of a container away, see that its tests fail
# Each in a copy of the tree; tests/mutants/table lists them, docs/security.md says which row each is of.
.PHONY: mutants
mutants:
	$(Q)tests/deps.sh build run test
	$(Q)CC='$(CC)' MUTANT='$(MUTANT)' tests/mutants/run

## make fuzz          FUZZ_SECONDS=20  every fuzz target for so long; exit 1 when one finds something
# A build of its own: clang, sanitizers, and archives that report their coverage.
.PHONY: fuzz fuzz-run
FUZZ_SECONDS ?= 20
FUZZ_BINS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz:
	$(Q)tests/deps.sh build test
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=clang SANITIZE=1 \
		CFLAGS='-O1 -g -fsanitize=fuzzer-no-link' fuzz-run
fuzz-run: $(FUZZ_BINS)
	$(Q)tests/fuzz/run $(FUZZ_SECONDS) $(BUILD) $(FUZZ_BINS)

# They also look behind the public headers.
$(BUILD)/obj/tests/fuzz/%.o: TEST_CFLAGS += -Ibase -Iimages
$(FUZZ_BINS): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(LINK_ARCHIVES)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< \
		-Wl,--start-group $(LINK_ARCHIVES) -Wl,--end-group $(LIBS) $(LAYER_LIBS)

## make check-aarch64 cross-build, and run the unit and container tests in an emulated aarch64 machine
.PHONY: check-aarch64
check-aarch64:
	$(Q)tests/deps.sh build test aarch64
	+$(Q)BUILD='$(BUILD)' WERROR='$(WERROR)' tests/aarch64/run

## make bench         starts against crun, runc, bubblewrap, podman and a floor; BENCH_ROUNDS=N for more
.PHONY: bench
bench:
	$(Q)tests/deps.sh build run test bench
	$(Q)$(MAKE) --no-print-directory bench-run
## make bench-vm      our own VMM beside QEMU's microvm and q35 in the lab host, in counted instructions
.PHONY: bench-vm
bench-vm: all guest $(BUILD)/tests/bench/vm $(BUILD)/tests/helpers/guest-bench
	$(Q)tests/lab/run -i -t 1800 $(BUILD)/tests/bench/vm
.PHONY: bench-run
bench-run: all $(BENCH_BINS) $(HELPER_BINS)
	$(Q)$(BUILD)/tests/bench/start
	$(Q)$(BUILD)/tests/bench/sandbox

## make bench-thousand  1,000 containers held at once: memory of each, the last start against the first
.PHONY: bench-thousand
bench-thousand: all $(BENCH_BINS)
	$(Q)$(BUILD)/tests/bench/thousand
