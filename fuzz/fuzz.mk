# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Fuzz targets. `make fuzz T=seconds` needs clang; the replaying programs (fuzz-TARGET in build/bin) are built with any CC.
FUZZ_TARGETS := image replay items ops
FUZZ_ENGINE ?= -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
# comparisons are not traced: with a constant checksum and seeds there is little to guess, and it is twice as fast
FUZZ_FAST := -fno-sanitize-coverage=trace-cmp
FUZZ_COMMON := fuzz/port.c fuzz/ram.c fuzz/base.c fuzz/use.c fuzz/mutate.c
FUZZ_CORE := $(wildcard tfs/*.c)
FUZZ_B := build/fuzz
fuzz_sources = $(FUZZ_COMMON) fuzz/$(1).c $(if $(filter ops,$(1)),fuzz/model.c fuzz/account.c)
fuzz_objects = $(patsubst %.c,$(B)/%.o,$(call fuzz_sources,$(1)) fuzz/main.c) $(CORE)

fuzz-replay: $(addprefix $(BIN)/fuzz-,$(FUZZ_TARGETS) seeds) ## build the programs that replay fuzzers' inputs

fuzz: $(addprefix $(FUZZ_B)/,$(FUZZ_TARGETS)) $(BIN)/fuzz-seeds ## fuzz every target for T seconds (default 60) and print a table
	@fuzz/run.sh $(or $(T),60) $(FUZZ_TARGETS)

$(B)/fuzz/%.o: FLAGS += -Wno-frame-larger-than

$(BIN)/fuzz-seeds: $(patsubst %.c,$(B)/%.o,$(FUZZ_COMMON) fuzz/seeds.c) $(CORE)
$(foreach t,$(FUZZ_TARGETS),$(eval $(BIN)/fuzz-$(t): $(call fuzz_objects,$(t))))

# libFuzzer's build: instrumented, in a folder of its own, always by clang.
$(FUZZ_B)/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(Q)clang -std=gnu11 -Wall -Wextra -Werror -I. -Itfs/user -O1 -g $(subst fuzzer,fuzzer-no-link,$(FUZZ_ENGINE)) $(FUZZ_FAST) -MMD -c $< -o $@
$(foreach t,$(FUZZ_TARGETS),$(eval $(FUZZ_B)/$(t): $(patsubst %.c,$(FUZZ_B)/%.o,$(call fuzz_sources,$(t)) $(FUZZ_CORE))))
$(addprefix $(FUZZ_B)/,$(FUZZ_TARGETS)):
	$(Q)clang $(FUZZ_ENGINE) $^ -o $@ -llz4 -lz

.PHONY: fuzz fuzz-replay
