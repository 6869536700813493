# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Fuzz targets. `make fuzz T=seconds` needs clang; the replaying programs (fuzz-TARGET in build/bin) are built with any CC.
FUZZ_TARGETS := image replay items ops fsck tar frames answers backup nanos
FUZZ_ENGINE ?= -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
# comparisons are not traced: with a constant checksum and seeds there is little to guess, and it is twice as fast
FUZZ_FAST := -fno-sanitize-coverage=trace-cmp
FUZZ_COMMON := fuzz/port.c fuzz/ram.c fuzz/base.c fuzz/host.c fuzz/use.c fuzz/mutate.c
FUZZ_CORE := $(wildcard tfs/*.c)
FUZZ_B := build/fuzz
FUZZ_O := build/fuzz/obj
# what a target needs besides: of the tools all but main and what opens files
FUZZ_CHECK := fuzz/check.c fuzz/quiet.c $(filter-out fsck/fsck_main.c fsck/fsck_undo.c fsck/fsck_nanos%,$(wildcard fsck/fsck_*.c)) \
	tfs/user/acl.c tfs/user/damage.c tfs/user/cli.c tfs/user/json.c tfs/user/progress.c
FUZZ_WITH_ops := fuzz/model.c fuzz/account.c
FUZZ_WITH_fsck := $(FUZZ_CHECK)
FUZZ_WITH_tar := $(FUZZ_CHECK) $(filter-out mkfs/main.c mkfs/options.c mkfs/target.c mkfs/nanos_%,$(wildcard mkfs/*.c))
FUZZ_WITH_nanos := $(FUZZ_CHECK) $(wildcard tfs/nanos/*.c) $(addprefix fsck/fsck_nanos,.c _tree.c _find.c)
FUZZ_WITH_frames := $(wildcard logship/ship/*.c)
FUZZ_WITH_answers := $(wildcard logship/ship/*.c) $(patsubst %,logship/web/%.c,json fields otlp loki elastic splunk gelf journal format answer)
FUZZ_WITH_backup := backup/index.c backup/small.c
FUZZ_LIBS_answers := -ljson-c
FUZZ_LIBS_fsck := -ljson-c
FUZZ_LIBS_nanos := -ljson-c
FUZZ_LIBS_tar := -ljson-c -ldeflate -larchive -llzma -pthread
LIBS_fuzz-tar := $(FUZZ_LIBS_tar)
LIBS_fuzz-tar-seeds := -larchive
fuzz_sources = $(FUZZ_COMMON) fuzz/$(1).c $(FUZZ_WITH_$(1))
fuzz_objects = $(patsubst %.c,$(B)/%.o,$(call fuzz_sources,$(1)) fuzz/main.c) $(CORE)

fuzz-replay: $(addprefix $(BIN)/fuzz-,$(FUZZ_TARGETS) seeds tar-seeds pack-image pack-replay pack-items) ## build the programs that replay fuzzers' inputs

fuzz: $(addprefix $(FUZZ_B)/,$(FUZZ_TARGETS)) $(BIN)/fuzz-seeds $(BIN)/fuzz-tar-seeds ## fuzz every target for T seconds (default 60) and print a table
	@fuzz/run.sh $(or $(T),60) $(FUZZ_TARGETS)

$(B)/fuzz/%.o: FLAGS += -Wno-frame-larger-than

$(BIN)/fuzz-seeds: $(patsubst %.c,$(B)/%.o,$(FUZZ_COMMON) fuzz/seeds.c) $(CORE)
# inputs as images for the kernel: no libFuzzer, no use of the image here
FUZZ_PACK := $(addprefix $(BIN)/fuzz-pack-,image replay items)
$(FUZZ_PACK): $(BIN)/fuzz-pack-%: $(B)/fuzz/%.o $(patsubst %.c,$(B)/%.o,fuzz/port.c fuzz/ram.c fuzz/base.c fuzz/host.c fuzz/mutate.c fuzz/pack.c) $(CORE)
$(BIN)/fuzz-tar-seeds: $(B)/fuzz/tarseeds.o
$(foreach t,$(FUZZ_TARGETS),$(eval $(BIN)/fuzz-$(t): $(call fuzz_objects,$(t))))

# libFuzzer's build: instrumented, in a folder of its own, always by clang.
$(FUZZ_O)/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(Q)clang -std=gnu11 -Wall -Wextra -Werror -I. -Itfs/user -O1 -g $(subst fuzzer,fuzzer-no-link,$(FUZZ_ENGINE)) $(FUZZ_FAST) -MMD -MP -c $< -o $@
$(foreach t,$(FUZZ_TARGETS),$(eval $(FUZZ_B)/$(t): $(patsubst %.c,$(FUZZ_O)/%.o,$(call fuzz_sources,$(t)) $(FUZZ_CORE))))
$(addprefix $(FUZZ_B)/,$(FUZZ_TARGETS)):
	$(Q)clang $(FUZZ_ENGINE) $^ -o $@ -llz4 -lz $(FUZZ_LIBS_$(@F))

.PHONY: fuzz fuzz-replay
