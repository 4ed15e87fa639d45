# Mailweir: one Makefile, not recursive. `make help` tells what there is.
# A person's CFLAGS and LDFLAGS add to ours.

BUILD   ?= build
PREFIX  ?= /usr
DESTDIR ?=

CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla -Wpointer-arith \
	-Wno-missing-field-initializers
HARDEN  := -fstack-protector-strong -D_FORTIFY_SOURCE=2
MW_CFLAGS = -std=c17 -D_GNU_SOURCE -Icommon -MMD -MP $(WARN) $(HARDEN) $(CFLAGS)
ifneq ($(SAN),)
HARDEN    := -fstack-protector-strong
# Not position-independent: a hundred thousand relocations less at each start.
MW_SAN    := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -fno-pie -no-pie
MW_CFLAGS += $(MW_SAN)
endif

PKG_CONFIG ?= pkg-config
pkg_cflags = $(if $(1),$(shell $(PKG_CONFIG) --cflags $(1)))
pkg_libs   = $(if $(1),$(shell $(PKG_CONFIG) --libs $(1)))

SERVICES := smtp-front scanner dkim reputation logger snmp-agent status
PKGS_common     := libczmq libzmq msgpack libuv lua5.4 libmicrohttpd libseccomp openssl libpcre2-8 libidn2 sqlite3 zlib
# libunbound's .pc file wants libevent's headers, which nothing here needs: named by hand.
LIBS_common     := -lunbound
PKGS_smtp-front := zlib libpq libmariadb sqlite3 ldap
PKGS_scanner    :=
PKGS_dkim       := opendkim openssl
PKGS_reputation := hiredis
PKGS_logger     := jansson hiredis sqlite3
PKGS_snmp-agent :=
PKGS_status     := jansson
LIBS_scanner    :=
LIBS_snmp-agent := -lnetsnmpagent -lnetsnmp
# The engine holder is a program of its own: no ZeroMQ, no network.
PKGS_cage       := libclamav libarchive libmagic libcrypto zlib lzo2
LIBS_cage       :=
PKGS_tools      := jansson ncursesw libcurl zlib sqlite3

.DEFAULT_GOAL := all
.PHONY: all deps deps-build demo test test-here check e2e asan unit sanitized triggers fuzz fuzz-all fuzz-replay bench lint fmt install images help clean
# Short lines; make V=1 shows the commands.
ifeq ($(V),)
Q := @
endif
.DELETE_ON_ERROR:

# ---------------------------------------------------------------- libmailweir.a
COMMON_SRC := $(sort $(wildcard common/*.c))
COMMON_OBJ := $(COMMON_SRC:%.c=$(BUILD)/%.o)
$(BUILD)/common/%.o: PKG_C := $(call pkg_cflags,$(PKGS_common))
$(BUILD)/libmailweir.a: $(COMMON_OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^
# Who speaks no TLS, HTTP or DNS does not load the library for it.
LINK_common = $(BUILD)/libmailweir.a -Wl,--push-state,--as-needed $(call pkg_libs,$(PKGS_common)) $(LIBS_common) -Wl,--pop-state -lpthread -lm

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo '  CC $<'
	$(Q)$(CC) $(MW_CFLAGS) $(PKG_C) $(INC) -c -o $@ $<

# ---------------------------------------------------------------- test-only triggers
# What knows of them is compiled a second time, into a folder of its own; nothing of it is installed.
TRIGGERS := $(BUILD:%-asan=%)-triggers$(if $(SAN),-asan)
TRIGGER_HEADERS := $(notdir $(shell grep -rl --include='*.h' MW_TEST_TRIGGERS services))
TRIGGER_SRC := $(shell grep -rl --include='*.c' $(TRIGGER_HEADERS:%=-e '%"') services)
triggered = $(foreach o,$(1),$(if $(filter $(o:$(BUILD)/%.o=%.c),$(TRIGGER_SRC)),$(o:$(BUILD)/%=$(TRIGGERS)/%),$(o)))
$(TRIGGERS)/%.o: %.c
	@mkdir -p $(@D)
	@echo '  CC $@'
	$(Q)$(CC) $(MW_CFLAGS) -DMW_TEST_TRIGGERS $(PKG_C) $(INC) -c -o $@ $<

# ---------------------------------------------------------------- services: one folder, one binary
define service_template
SRC_$(1) := $$(sort $$(wildcard services/$(1)/*.c services/$(1)/*/*.c))
# The cage is a program of its own; what it and the scanner say to each other (proto.c, program_proto.c) is in both.
SRC_$(1) := $$(filter-out $$(filter-out services/scanner/cage/proto.c services/scanner/cage/program_proto.c,$$(wildcard services/scanner/cage/*.c)),$$(SRC_$(1)))
OBJ_$(1) := $$(SRC_$(1):%.c=$$(BUILD)/%.o)
$$(BUILD)/services/$(1)/%.o $$(TRIGGERS)/services/$(1)/%.o: PKG_C := $$(call pkg_cflags,$$(PKGS_common) $$(PKGS_$(1)))
$$(BUILD)/services/$(1)/%.o $$(TRIGGERS)/services/$(1)/%.o: INC := -Iservices/$(1)
$$(BUILD)/bin/mailweir-$(1): $$(OBJ_$(1)) $$(BUILD)/libmailweir.a
$$(TRIGGERS)/bin/mailweir-$(1): $$(call triggered,$$(OBJ_$(1))) $$(BUILD)/libmailweir.a
$$(BUILD)/bin/mailweir-$(1) $$(TRIGGERS)/bin/mailweir-$(1):
	@mkdir -p $$(@D)
	@echo '  LD $$@'
	$$(Q)$$(CC) $$(CFLAGS) $$(MW_SAN) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) $$(LINK_common) $$(call pkg_libs,$$(PKGS_$(1))) $$(LIBS_$(1))
ifneq ($$(SRC_$(1)),)
BINARIES += $$(BUILD)/bin/mailweir-$(1)
endif
endef
$(foreach s,$(SERVICES),$(eval $(call service_template,$(s))))

SRC_cage := $(sort $(wildcard services/scanner/cage/*.c))
OBJ_cage := $(SRC_cage:%.c=$(BUILD)/%.o)
$(BUILD)/services/scanner/cage/%.o $(TRIGGERS)/services/scanner/cage/%.o: PKG_C := $(call pkg_cflags,$(PKGS_common) $(PKGS_cage))
$(BUILD)/services/scanner/cage/%.o $(TRIGGERS)/services/scanner/cage/%.o: INC := -Iservices/scanner/cage -Iservices/scanner
# From libmailweir.a the cage takes only what needs no network: base, log, text, wire, conf.
$(BUILD)/bin/mailweir-cage: $(OBJ_cage) $(BUILD)/libmailweir.a
$(TRIGGERS)/bin/mailweir-cage: $(call triggered,$(OBJ_cage)) $(BUILD)/libmailweir.a
$(BUILD)/bin/mailweir-cage $(TRIGGERS)/bin/mailweir-cage:
	@mkdir -p $(@D)
	@echo '  LD $@'
	$(Q)$(CC) $(CFLAGS) $(MW_SAN) $(LDFLAGS) -o $@ $(filter %.o,$^) $(BUILD)/libmailweir.a \
		$(call pkg_libs,$(PKGS_cage) msgpack lua5.4 libseccomp) $(LIBS_cage) -lpthread -lm
ifneq ($(SRC_cage),)
BINARIES += $(BUILD)/bin/mailweir-cage
endif

SRC_tools := $(sort $(wildcard tools/*.c))
OBJ_tools := $(SRC_tools:%.c=$(BUILD)/%.o)
$(BUILD)/tools/%.o: PKG_C := $(call pkg_cflags,$(PKGS_common) $(PKGS_tools))
$(BUILD)/bin/mailweir: $(OBJ_tools) $(BUILD)/libmailweir.a
	@mkdir -p $(@D)
	@echo '  LD $@'
	$(Q)$(CC) $(CFLAGS) $(MW_SAN) $(LDFLAGS) -o $@ $(OBJ_tools) $(LINK_common) $(call pkg_libs,$(PKGS_tools))
ifneq ($(SRC_tools),)
BINARIES += $(BUILD)/bin/mailweir
endif

# Perl beside it, where it is found from the program: ../share/mailweir/import.
IMPORT_SRC := $(wildcard tools/import/*.pl tools/import/*/*.pm)
IMPORT_OUT := $(IMPORT_SRC:tools/import/%=$(BUILD)/share/mailweir/import/%) $(BUILD)/share/mailweir/import/MailweirImport/amavisd.def
$(BUILD)/share/mailweir/import/MailweirImport/amavisd.def: common/settings/amavisd.def
	@mkdir -p $(@D)
	$(Q)cp $< $@
$(BUILD)/share/mailweir/import/%: tools/import/%
	$(Q)install -D -m 0644 $< $@

# ---------------------------------------------------------------- load generator and sink: tests/bench/NAME.c
BENCH_SRC := $(sort $(wildcard tests/bench/*.c))
BENCH_BIN := $(BENCH_SRC:tests/bench/%.c=$(BUILD)/bench/%)
$(BUILD)/bench/%: tests/bench/%.c $(BUILD)/libmailweir.a
	@mkdir -p $(@D)
	@echo '  LD $@'
	$(Q)$(CC) $(MW_CFLAGS) $(call pkg_cflags,$(PKGS_common)) -MF $@.d -o $@ $< $(LINK_common) $(call pkg_libs,libclamav libcrypto)
# The policy room's lookups in databases without a front around them: what tests of real databases drive.
LOOKUP_OBJ := $(filter $(BUILD)/services/smtp-front/policy/db%,$(OBJ_smtp-front)) $(BUILD)/services/smtp-front/arena.o
$(BUILD)/bench/mwdb: tests/bench/mwdb.c $(LOOKUP_OBJ) $(BUILD)/libmailweir.a
	@mkdir -p $(@D)
	@echo '  LD $@'
	$(Q)$(CC) $(MW_CFLAGS) -Iservices/smtp-front $(call pkg_cflags,$(PKGS_common)) -MF $@.d -o $@ $< $(LOOKUP_OBJ) \
		$(LINK_common) $(call pkg_libs,$(PKGS_smtp-front))
# The same with all of its policy.
FRONT_OBJ := $(filter-out %/main.o,$(OBJ_smtp-front))
$(BUILD)/bench/mwpolicy: tests/bench/mwpolicy.c $(FRONT_OBJ) $(BUILD)/libmailweir.a
	@mkdir -p $(@D)
	@echo '  LD $@'
	$(Q)$(CC) $(MW_CFLAGS) -Iservices/smtp-front $(call pkg_cflags,$(PKGS_common)) -MF $@.d -o $@ $< $(FRONT_OBJ) \
		$(LINK_common) $(call pkg_libs,$(PKGS_smtp-front))
# The cage's parser of mails alone.
CAGE_OBJ := $(filter-out %/main.o,$(OBJ_cage))
$(BUILD)/bench/mwleaves: tests/bench/mwleaves.c $(CAGE_OBJ) $(BUILD)/libmailweir.a
	@mkdir -p $(@D)
	@echo '  LD $@'
	$(Q)$(CC) $(MW_CFLAGS) -Iservices/scanner/cage -Iservices/scanner $(call pkg_cflags,$(PKGS_common) $(PKGS_cage)) -MF $@.d -o $@ $< \
		$(CAGE_OBJ) $(LINK_common) $(call pkg_libs,$(PKGS_cage) libcrypto)
# One job of the cage without a cage around it.
$(BUILD)/bench/mwscan: tests/bench/mwscan.c $(CAGE_OBJ) $(BUILD)/libmailweir.a
	@mkdir -p $(@D)
	@echo '  LD $@'
	$(Q)$(CC) $(MW_CFLAGS) -Iservices/scanner/cage -Iservices/scanner $(call pkg_cflags,$(PKGS_common)) -MF $@.d -o $@ $< \
		$(CAGE_OBJ) $(LINK_common) $(call pkg_libs,$(PKGS_cage)) $(LIBS_cage)

all: $(BINARIES) $(BENCH_BIN) $(IMPORT_OUT)

# ---------------------------------------------------------------- unit tests: tests/unit/DIR/test_X.c, cmocka
# A test links libmailweir.a and, of its own service but main.o, the objects that it reaches.
UNIT_SRC := $(sort $(wildcard tests/unit/*/test_*.c tests/unit/*/*/test_*.c))
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)
unit_service = $(firstword $(subst /, ,$(patsubst tests/unit/%,%,$(1))))
UNIT_SERVICES := $(filter-out common,$(sort $(foreach t,$(UNIT_SRC),$(call unit_service,$(t)))))
$(foreach s,$(UNIT_SERVICES),$(eval $(BUILD)/unit/lib$(s).a: $(filter-out %/main.o,$(OBJ_$(s)))))
$(UNIT_SERVICES:%=$(BUILD)/unit/lib%.a):
	@mkdir -p $(@D) && rm -f $@
	$(Q)ar rcs $@ $^
define unit_template
$(BUILD)/unit/$(patsubst tests/unit/%.c,%,$(1)): $(1) $(BUILD)/libmailweir.a $(filter $(BUILD)/unit/lib$(call unit_service,$(1)).a,$(UNIT_SERVICES:%=$(BUILD)/unit/lib%.a))
	@mkdir -p $$(@D)
	@echo '  LD $$@'
	$$(Q)$$(CC) $$(MW_CFLAGS) -Iservices/$(call unit_service,$(1)) -Itests/unit $(if $(filter cage,$(call unit_service,$(1))),-Iservices/scanner/cage -Iservices/scanner) \
		$$(call pkg_cflags,$$(PKGS_common) $$(PKGS_$(call unit_service,$(1))) cmocka) -MF $$@.d -o $$@ $$< \
		$$(filter $$(BUILD)/unit/%.a,$$^) $$(LINK_common) $$(call pkg_libs,$$(PKGS_$(call unit_service,$(1))) cmocka) $$(LIBS_$(call unit_service,$(1)))
endef
$(foreach t,$(UNIT_SRC),$(eval $(call unit_template,$(t))))

include fuzz.mk

# The page of mailweir-status is taken in by .incbin, which the compiler's dependencies do not see.
$(BUILD)/services/status/page.o: $(wildcard services/status/page.html services/status/page.css services/status/page.js)

# ---------------------------------------------------------------- packages
deps: ## install all packages (sudo when not root)
	deploy/deps.sh build runtime test
deps-build:
	deploy/deps.sh build

# ---------------------------------------------------------------- tests
# Sanitized objects live in folders of their own; nothing of them is installed.
unit: $(UNIT_BIN)
fuzz-binaries: $(FUZZ_BIN)
.PHONY: fuzz-binaries
sanitized:
	+@$(MAKE) --no-print-directory BUILD=$(BUILD)-asan SAN=1 CFLAGS='-O1 -g' all unit triggers
triggers: $(TRIGGERS)/bin/mailweir-scanner $(TRIGGERS)/bin/mailweir-cage $(TRIGGERS)/bin/mailweir-smtp-front

# The two commands of the README build on all cores; a person's -j goes before that.
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
RUN_ALL := /usr/bin/python3 tests/run_all.py
# End-to-end tests, files side by side, one for each core (with more, tests that wait for a second wait for the machine). Those that load it, measure
# or kill at random come behind them, one for each core; the one that builds an image comes last and alone.
comma := ,
CORES := $(shell nproc)
BESIDE := -n=$(CORES) --dist=loadfile
LOADS := chaos crowd quarantine_crash bench_tools deploy
ALONE := $(LOADS) compose
E2E_BESIDE = $(subst $() ,$(comma),tests/e2e $(BESIDE) $(ALONE:%=--ignore=tests/e2e/test_%.py))
E2E_LOADS = $(subst $() ,$(comma),-n=$(CORES) --dist=loadfile $(LOADS:%=tests/e2e/test_%.py))
E2E_ALONE := pytest@loads=$(BUILD):1200:$(E2E_LOADS) pytest@compose=$(BUILD):1200:tests/e2e/test_compose.py
# Once more against the sanitized build, where nothing is measured. Load tests, and those of perl and the shell, are left to the plain
# one; what plays the other side, mwsink and mwload, comes from it: sanitized, a sink took a fifth of all time.
ASAN_ENV := MW_SLOW=4,MW_PEERS=$(abspath $(BUILD)/bench),ASAN_OPTIONS=allocator_may_return_null=1,MW_TRIGGER_BIN=$(abspath $(BUILD)-triggers-asan/bin),LSAN_OPTIONS=suppressions=$(abspath tests/lsan.supp)
ASAN_SKIPS := $(ALONE) import_amavisd amavisd_agrees amavisd_outcome completion
ASAN_E2E = $(subst $() ,$(comma),tests/e2e $(BESIDE) $(ASAN_SKIPS:%=--ignore=tests/e2e/test_%.py))

test: deps ## everything; the last line is the count
	+@$(MAKE) --no-print-directory $(JOBS) test-here
test-here: all unit triggers sanitized fuzz-binaries
	$(RUN_ALL) unit=$(BUILD)/unit unit@asan=$(BUILD)-asan/unit fuzz@corpus=$(BUILD):replay fuzz@30s=$(BUILD):/30 \
		pytest=$(BUILD):2400:$(E2E_BESIDE) $(E2E_ALONE) 'pytest@asan=$(BUILD)-asan:2100:$(ASAN_E2E),$(ASAN_ENV)'
check: unit ## unit tests
	$(RUN_ALL) unit=$(BUILD)/unit
e2e: all triggers ## end-to-end tests
	$(RUN_ALL) pytest=$(BUILD):2400:$(E2E_BESIDE) $(E2E_ALONE)
asan: sanitized $(BUILD)/bench/mwsink $(BUILD)/bench/mwload ## unit and end-to-end tests under AddressSanitizer and UBSan
	$(RUN_ALL) unit@asan=$(BUILD)-asan/unit 'pytest@asan=$(BUILD)-asan:2400:$(ASAN_E2E),$(ASAN_ENV)'
bench: all ## figures of this machine
	/usr/bin/python3 tests/bench/run.py --bin $(BUILD)/bin --bench $(BUILD)/bench
demo: deps ## install, build, run the main job on embedded defaults, show the result
	+@$(MAKE) --no-print-directory $(JOBS) all
	/usr/bin/python3 deploy/demo/demo.py --bin $(BUILD)/bin --bench $(BUILD)/bench

# ---------------------------------------------------------------- care
C_FILES = $(shell git ls-files '*.c' '*.h')
lint: ## cppcheck and the layout
	@cppcheck --quiet --enable=warning,portability --inline-suppr --std=c11 --library=posix --library=gnu --library=bsd \
		'-DTAILQ_HEAD(n,t)=struct n {struct t *tqh_first;}' -Icommon --suppress=normalCheckLevelMaxBranches \
		--error-exitcode=1 common services tools
	@clang-format --dry-run $(C_FILES) 2>&1 | grep -c warning | sed 's/^/lines clang-format would change: /'
fmt: ## settle layout
	clang-format -i $(C_FILES)

# ---------------------------------------------------------------- install
install: all ## DESTDIR, PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/mailweir/import/MailweirImport \
		$(DESTDIR)$(PREFIX)/share/doc/mailweir $(DESTDIR)$(PREFIX)/lib/systemd/system/mailweir-.service.d $(DESTDIR)$(PREFIX)/lib/sysusers.d \
		$(DESTDIR)$(PREFIX)/lib/tmpfiles.d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 0755 $(BINARIES) $(DESTDIR)$(PREFIX)/bin/
	install -m 0644 tools/import/*.pl $(DESTDIR)$(PREFIX)/share/mailweir/import/
	install -m 0644 tools/import/MailweirImport/*.pm common/settings/amavisd.def $(DESTDIR)$(PREFIX)/share/mailweir/import/MailweirImport/
	$(BUILD)/bin/mailweir completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/mailweir
	chmod 0644 $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mailweir
	install -m 0644 services/scanner/data/* $(DESTDIR)$(PREFIX)/share/mailweir/
	install -m 0644 deploy/examples/mailweir.lua docs/*.md README.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/mailweir/
	install -m 0644 deploy/systemd/*.service deploy/systemd/*.target $(DESTDIR)$(PREFIX)/lib/systemd/system/
	install -m 0644 deploy/systemd/mailweir-.service.d/* $(DESTDIR)$(PREFIX)/lib/systemd/system/mailweir-.service.d/
	install -m 0644 deploy/systemd/mailweir.sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/mailweir.conf
	install -m 0644 deploy/systemd/mailweir.tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/mailweir.conf
images: ## container image
	deploy/images.sh
clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-triggers $(BUILD)-triggers-asan
help: ## this
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | sort

-include $(shell find $(BUILD) $(TRIGGERS) -name '*.d' 2>/dev/null)
