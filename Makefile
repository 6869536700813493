# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# `make help` lists what there is. V=1 shows commands, SAN=address,undefined builds with sanitizers (in a folder of its own).
CC ?= cc
SAN ?=
B := build/$(if $(SAN),san,obj)
BIN := build/bin$(if $(SAN),-san)
CFLAGS ?= -O2 -g
FLAGS := -std=gnu11 -Wall -Wextra -Werror -Wframe-larger-than=1024 -I. -Itfs/user $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -Wno-frame-larger-than)
LIBS := -llz4 -lz -ljson-c
LIBS_mkfs.tfs := -ldeflate -larchive -llzma -lblkid -pthread
LIBS_dump.tfs := -larchive
LIBS_tfs-fuse := -lfuse3
LIBS_tfs := -lgnutls
LIBS_tfs-logship := -lcurl
LIBS_STORE := -lsodium -lcurl -lexpat
LIBS_tfs-backup := $(LIBS_STORE) -larchive -lfuse3
LIBS_bk-flip := $(LIBS_tfs-backup)
LIBS_store_test := $(LIBS_STORE) -lcmocka
LIBS_store_fault := $(LIBS_STORE)
LIBS_store_tool := $(LIBS_STORE)
LIBS_test_sign := $(LIBS_STORE)
LIBS_test_moved := $(LIBS_tfs-backup)
LIBS_test_web := -lcurl
Q := $(if $(V),,@)

CORE := $(patsubst %.c,$(B)/%.o,$(wildcard tfs/*.c))
SHIP := $(patsubst %.c,$(B)/%.o,$(wildcard logship/ship/*.c))
# user space: port, devices, command line, and the library for Nanos volumes, which no kernel needs
USER := $(patsubst %.c,$(B)/%.o,$(wildcard tfs/user/*.c tfs/nanos/*.c))
POWER := $(patsubst %.c,$(B)/%.o,$(wildcard tests/power/*.c))
UNIT := $(patsubst tests/unit/%.c,$(BIN)/%,$(wildcard tests/unit/test_*.c))
TOOLS := $(addprefix $(BIN)/,mkfs.tfs fsck.tfs dump.tfs tfs tfs-fuse tfs-logship tfs-backup)
TESTS := $(addprefix $(BIN)/,tfs-power tfs-age tfs-craft mutate mutated stop.so differ exercise listing stress posix modelled store_test store_fault store_tool bk-change bk-flip die.so norename.so) $(UNIT)
PACKAGES := gcc make pkg-config liblz4-dev zlib1g-dev libdeflate-dev libjson-c-dev libfuse3-dev fuse3 libcmocka-dev \
	libarchive-dev liblzma-dev libblkid-dev libsodium-dev libcurl4-openssl-dev libgnutls28-dev libexpat1-dev attr python3 curl openssl rsyslog-relp rsyslog-gnutls systemd-journal-remote sqlite3
# to run the module: a machine to boot it in, and Debian's kernels (the newest 6.12 backported to bookworm is found by name)
KERNEL_PACKAGES := qemu-system-x86 busybox-static cpio kmod xz-utils e2fsprogs iproute2 linux-image-amd64 linux-headers-amd64
HEAVY_PACKAGES := fio stress-ng sqlite3 postgresql redis-server mariadb-server dmsetup nfs-kernel-server dkms
BENCH_PACKAGES := xfsprogs btrfs-progs f2fs-tools nilfs-tools tcc
CEPH_PACKAGES := radosgw ceph-mon ceph-osd ceph-common
# servers and other clients for test-backup; by hand for Swift: swift-proxy swift-account swift-container swift-object memcached
BACKUP_PACKAGES := $(CEPH_PACKAGES) s3cmd awscli curl sqlite3 postgresql redis-server mariadb-server
DEBUG_PACKAGES := linux-source-6.1 flex bison bc libelf-dev libssl-dev xz-utils
APT := DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300

all: $(TOOLS) $(TESTS) ## build everything

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

deps: ## install the Debian packages that are missing (as root), or name them
	@missing=$$(for p in $(PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		if [ $$(id -u) = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends $$missing >/dev/null; \
		else echo "missing packages: $$missing; as root: apt-get install $$missing"; exit 1; fi; fi

kernel-deps: ## install QEMU and Debian's kernels with their headers, for the tests of the module (without them these are skipped)
	@new=$$(apt-cache search --names-only '^linux-image-6\.12\.[0-9]+\+deb12-amd64$$' 2>/dev/null | sort -V | tail -1 | cut -d' ' -f1); \
	ls /boot/vmlinuz-6.12* >/dev/null 2>&1 && new=; \
	missing=$$(for p in $(KERNEL_PACKAGES) $$new $$(echo $$new | sed s/image/headers/); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	[ -z "$$missing" ] || { [ $$(id -u) = 0 ] && $(APT) install -yqq --no-install-recommends $$missing >/dev/null; } || \
		echo "NOT INSTALLED, the tests of the module are skipped: as root, apt-get install" $$missing

test: deps kernel-deps ## every test that takes minutes, the module's in QEMU among them; ends with 'N passed, N failed'
	@$(MAKE) --no-print-directory all && tests/run.sh

demo: deps kernel-deps ## build a volume from a directory, look into it, mount it by FUSE and in a kernel, take it out, compare; back it up and restore it (S3=1: into a Ceph on loopback)
	@[ -z "$(S3)" ] || [ $$(id -u) != 0 ] || $(APT) install -yqq --no-install-recommends $(CEPH_PACKAGES) >/dev/null
	@$(MAKE) --no-print-directory all && S3=$(S3) tests/cli/demo.sh

soak: all ## triples of operations then crash histories, then filling and emptying, each for T seconds (600; FROM: where to go on with the first), every bit flipped, 3000 random repairs, 200,000 crafted volumes used, a million names, 16 PiB
	$(BIN)/tfs-power --triples=$(or $(FROM),0) --seconds $(or $(T),600)
	$(BIN)/tfs-power --seconds $(or $(T),600) --length 400
	$(BIN)/tfs-power --torture=100000000:$$$$ --seconds $(or $(T),600)
	$(BIN)/tfs-power --refill=1000000000:$$$$ --seconds $(or $(T),600)
	$(BIN)/tfs-power --flip=all
	tests/fsck/random.sh 1000 4000
	$(BIN)/mutated $$$$000 100000
	$(BIN)/mutated -s $$$$000 100000
	tests/cli/test_large.sh 1000000 1P 16P
	tests/backup/test_kill.sh 1
	tests/backup/test_kills.sh 100 $$$$
	tests/backup/test_repack.sh 1
	tests/backup/test_damage.sh 1

check-memory: all ## the tools' tests under ASan and UBSan, and typical runs under valgrind (minutes)
	@$(MAKE) --no-print-directory SAN=address,undefined all && tests/memory.sh

LINTED = $$(git ls-files '*.c' '*.h')
lint: ## warnings of gcc and clang are errors, layout, license lines
	@$(MAKE) --no-print-directory CC=gcc B=build/gcc BIN=build/gcc/bin all
	@$(MAKE) --no-print-directory CC=clang B=build/clang BIN=build/clang/bin all
	@clang-format --dry-run -Werror $(LINTED)
	@tests/license.sh

breaks: ## break each promise on purpose in a copy and see it noticed (a quarter of an hour)
	tests/power/breaks.sh

MAN := build/man
man: $(BIN)/fsck.tfs ## the man pages, in build/man
	@mkdir -p $(MAN)
	@cp $(wildcard docs/man/*.[1-8]) $(MAN)/
	@$(BIN)/fsck.tfs --problems >$(MAN)/problems
	@sed -e '/@PROBLEMS@/{r $(MAN)/problems' -e 'd}' docs/man/fsck.tfs.8.in >$(MAN)/fsck.tfs.8; rm $(MAN)/problems

PREFIX ?= /usr/local
INSTALLED := mkfs.tfs fsck.tfs dump.tfs tfs
install: all man ## install tools and man pages below DESTDIR and PREFIX (/usr/local)
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,sbin bin lib/systemd/system share/man/man1 share/man/man5 share/man/man8)
	install -m 755 $(addprefix $(BIN)/,$(INSTALLED)) $(DESTDIR)$(PREFIX)/sbin
	install -m 755 $(BIN)/tfs-fuse $(BIN)/tfs-logship $(BIN)/tfs-backup $(DESTDIR)$(PREFIX)/bin
	install -m 644 admin/systemd/*.service admin/systemd/*.timer $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed -i 's,@SBIN@,$(PREFIX)/sbin,' $(addprefix $(DESTDIR)$(PREFIX)/lib/systemd/system/,$(notdir $(wildcard admin/systemd/*.service)))
	install -m 644 backup/systemd/*.service backup/systemd/*.timer logship/systemd/*.service $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed -i 's,@BINDIR@,$(PREFIX)/bin,' $(DESTDIR)$(PREFIX)/lib/systemd/system/tfs-backup*.service $(DESTDIR)$(PREFIX)/lib/systemd/system/tfs-logship@.service
	install -m 644 $(MAN)/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(MAN)/*.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 $(MAN)/*.8 $(DESTDIR)$(PREFIX)/share/man/man8
bench: all ## measure the tools (minutes), and the module beside five other filesystems in one guest (hours), into docs/bench
	@for b in tests/bench/mkfs.sh tests/bench/fsck.sh tests/bench/nanos.sh tests/bench/age.sh; do echo "== $$b"; "$$b" || [ $$? = 77 ] || exit 1; done
	@[ $$(id -u) != 0 ] || $(APT) install -yqq --no-install-recommends $(KERNEL_PACKAGES) $(HEAVY_PACKAGES) $(BENCH_PACKAGES) >/dev/null
	@tests/bench/ship.sh || [ $$? = 77 ]
	@tests/bench/snapshot.sh || [ $$? = 77 ]
	@tests/bench/guest.sh && tests/bench/guest.sh -c && tests/bench/report.sh

module: ## build the kernel module for K (headers of that version installed) into build/K/tfs.ko
	@kernel/linux/build.sh $(or $(K),$(shell uname -r))

MODULES = $(DESTDIR)/lib/modules/$(or $(K),$(shell uname -r))
install-module: module ## install the module for K below DESTDIR/lib/modules
	install -d $(MODULES)/updates
	install -m 644 build/$(or $(K),$(shell uname -r))/tfs.ko $(MODULES)/updates
	@[ -n "$(DESTDIR)" ] || depmod $(or $(K),$(shell uname -r))

DKMS = $(DESTDIR)/usr/src/tfs-$(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' kernel/linux/dkms.conf)
install-dkms: ## install the module's sources for dkms(8) below DESTDIR/usr/src; then: dkms install tfs/0.1
	install -d $(DKMS)/tfs $(DKMS)/kernel/linux $(DKMS)/logship/ship
	install -m 644 kernel/linux/dkms.conf $(DKMS)
	install -m 644 tfs/*.[ch] $(DKMS)/tfs
	install -m 644 logship/ship/*.[ch] $(DKMS)/logship/ship
	install -m 644 kernel/linux/*.[ch] kernel/linux/Kbuild $(DKMS)/kernel/linux
	install -m 755 kernel/linux/*.sh $(DKMS)/kernel/linux

test-kernel: all ## every kernel test in every installed kernel, in QEMU (hours); K=VERSION: in this one
	@[ $$(id -u) != 0 ] || $(APT) install -yqq --no-install-recommends $(HEAVY_PACKAGES) >/dev/null
	@tests/kernel/all.sh $(K)

debug-kernel: ## two kernels with KASAN, lockdep, kmemleak and fault injection, from Debian's source: for QEMU, and user-mode (half an hour)
	@[ $$(id -u) != 0 ] || $(APT) install -yqq --no-install-recommends $(DEBUG_PACKAGES) >/dev/null
	@tests/kernel/build_debug.sh
	@tests/kernel/build_debug.sh uml

test-backup: all ## the stores of tfs-backup against Ceph's RGW (and Swift, s3cmd, awscli where installed), every fault at every request of a store and of a backup; databases under load (an hour)
	@[ $$(id -u) != 0 ] || $(APT) install -yqq --no-install-recommends $(BACKUP_PACKAGES) >/dev/null
	@tests/backup/servers.sh
	@for db in sqlite redis postgresql mariadb; do tests/backup/test_database.sh $$db || exit 1; done

test-debug: all debug-kernel ## the kernel tests in the debugging kernels (hours); ends with 'N passed, N failed'
	@tests/kernel/all.sh debug

format: ## let clang-format decide the layout
	clang-format -i $$(git ls-files '*.c' '*.h')

clean: ## remove build/
	rm -rf build

$(B)/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(if $(filter tests/% backup/% mkfs/% fsck/% admin/% kernel/fuse/% tfs/user/% tfs/fuse/%,$<),-Wno-frame-larger-than) $(CFLAGS) -MMD -MP -c $< -o $@

$(BIN)/tfs-power: $(POWER) $(CORE) $(USER)
# what HTTP and TLS have in common, and the stores of tfs-backup (backup/store.h)
WEB := $(B)/tfs/web/web.o
STORE := $(patsubst %.c,$(B)/%.o,$(wildcard backup/store*.c backup/s3*.c)) $(WEB)
# the repository, and tfs-backup with dump.tfs's commands on what is in it
BACKUP := $(patsubst %.c,$(B)/%.o,$(filter-out backup/main.c,$(wildcard backup/*.c))) $(WEB)
# read-only mounts
VIEW := $(patsubst %.c,$(B)/%.o,$(wildcard tfs/fuse/*.c))
DUMP := $(patsubst %.c,$(B)/%.o,$(filter-out fsck/dump_main.c,$(wildcard fsck/dump*.c)))
$(BIN)/tfs-backup: $(B)/backup/main.o $(BACKUP) $(DUMP) $(VIEW) $(CORE) $(USER)
$(BIN)/bk-flip: $(B)/tests/backup/flip.o $(BACKUP) $(DUMP) $(VIEW) $(CORE) $(USER)
$(BIN)/bk-change: $(B)/tests/backup/change.o $(CORE) $(USER)
$(BIN)/norename.so: tests/backup/norename.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -fsanitize%,$(FLAGS)) $(CFLAGS) -shared -fPIC -o $@ $<
$(BIN)/die.so: tests/backup/die.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -fsanitize%,$(FLAGS)) $(CFLAGS) -shared -fPIC -o $@ $<
$(BIN)/store_test: $(B)/tests/backup/store_test.o $(STORE) $(CORE) $(USER)
$(BIN)/store_tool: $(B)/tests/backup/store_tool.o $(STORE) $(CORE) $(USER)
$(BIN)/store_fault: $(B)/tests/backup/store_fault.o $(STORE) $(CORE) $(USER)
# for guests it is linked statically (quick.sh); here so that what it lacks is known at once
$(BIN)/modelled: $(B)/tests/kernel/modelled.o $(B)/tests/power/ops.o
$(BIN)/tfs-age: $(B)/tests/bench/age.o $(CORE) $(USER)
$(BIN)/tfs-craft: $(B)/tests/cli/craft.o $(CORE) $(USER)
$(BIN)/tfs-logship: $(patsubst %.c,$(B)/%.o,$(wildcard logship/*.c logship/web/*.c)) $(WEB) $(SHIP) $(USER) $(CORE)
$(BIN)/mkfs.tfs: $(patsubst %.c,$(B)/%.o,$(wildcard mkfs/*.c)) $(CORE) $(USER)
$(BIN)/dump.tfs: $(patsubst %.c,$(B)/%.o,$(wildcard fsck/dump*.c)) $(CORE) $(USER)
$(BIN)/tfs: $(patsubst %.c,$(B)/%.o,$(wildcard admin/*.c)) $(SHIP) $(CORE) $(USER)
$(BIN)/fsck.tfs: $(patsubst %.c,$(B)/%.o,$(wildcard fsck/fsck*.c)) $(CORE) $(USER)
FUSE := $(patsubst %.c,$(B)/%.o,$(wildcard kernel/fuse/*.c))
$(FUSE) $(VIEW): FLAGS += $(shell pkg-config --cflags fuse3)
$(BIN)/tfs-fuse: $(FUSE) $(VIEW) $(CORE) $(USER)
$(BIN)/differ: $(B)/tests/fuse/differ.o
$(BIN)/exercise: $(B)/tests/fuse/exercise.o
$(BIN)/listing: $(B)/tests/fuse/listing.o
$(BIN)/stress: $(B)/tests/fuse/stress.o
$(BIN)/posix: $(patsubst %.c,$(B)/%.o,$(wildcard tests/posix/*.c))
MUTATE := $(patsubst %.c,$(B)/%.o,$(wildcard tests/fsck/mutate_*.c))
$(BIN)/mutate: $(B)/tests/fsck/mutate.o $(MUTATE) $(CORE) $(USER)
$(BIN)/mutated: $(patsubst %,$(B)/%.o,tests/fsck/mutated fuzz/use fuzz/host) $(MUTATE) $(CORE) $(USER)
$(BIN)/stop.so: tests/fsck/stop.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -fsanitize%,$(FLAGS)) $(CFLAGS) -shared -fPIC -o $@ $<
$(BIN)/test_ship: $(SHIP)
# the formats of HTTP: all that opens nothing
FORMATS := $(patsubst %,$(B)/logship/web/%.o,json fields otlp loki elastic splunk gelf journal format answer batch)
$(BIN)/test_web: $(FORMATS) $(SHIP) $(WEB)
$(BIN)/test_sign: $(STORE)
$(BIN)/test_schedule: $(B)/backup/schedule_time.o
$(BIN)/test_moved: $(BACKUP) $(DUMP) $(VIEW)
$(UNIT): $(BIN)/test_%: $(B)/tests/unit/test_%.o $(CORE) $(USER)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $^ -o $@ $(LIBS) $(LIBS_$(@F)) -lcmocka
$(BIN)/%:
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $^ -o $@ $(LIBS) $(LIBS_$(@F))

-include $(shell find build/obj build/san build/fuzz/obj -name '*.d' 2>/dev/null)
.PHONY: test-backup install-module install-dkms check-memory lint bench module kernel-deps test-kernel debug-kernel test-debug man install all help deps test demo soak breaks format clean
.SECONDARY:
-include fuzz/fuzz.mk
