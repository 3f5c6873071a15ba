# SPDX-License-Identifier: Apache-2.0
# Tests. A unit test links the archives of its own room and of what that room uses; integration tests
# and the bench programs are built against everything but run the built programs.

TEST_CFLAGS := $(ALL_CFLAGS) $(foreach r,$(ROOMS),-I$(r)/include) -Itests/include
TEST_LIBS   := -lcmocka

UNIT_SRCS := $(wildcard tests/unit/*/test_*.c)
UNIT_BINS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(UNIT_SRCS))
INTEGRATION_SRCS := $(wildcard tests/integration/test_*.c)
INTEGRATION_BINS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(INTEGRATION_SRCS))
HARNESS_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/harness/*.c))
HELPER_BINS := $(patsubst tests/helpers/%.c,$(BUILD)/tests/helpers/%,$(wildcard tests/helpers/*.c))
BENCH_BINS := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/*.c))

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

# Small static programs that run inside sandboxes, and the floor of the benchmark.
$(HELPER_BINS): $(BUILD)/tests/helpers/%: tests/helpers/%.c $(BUILD)/flags
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -static -o $@ $<

.PHONY: tests
tests: all $(UNIT_BINS) $(INTEGRATION_BINS) $(HELPER_BINS)

## make unit          build and run the unit tests only
.PHONY: unit
unit: $(UNIT_BINS)
	$(Q)tests/run.sh $(UNIT_BINS)
