# Mailweir: one Makefile, not recursive. `make help` tells what there is.
# A person's CFLAGS and LDFLAGS add to ours.

BUILD   ?= build
PREFIX  ?= /usr
DESTDIR ?=
FUZZ_S  ?= 60

CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla -Wpointer-arith \
	-Wno-missing-field-initializers
HARDEN  := -fstack-protector-strong -D_FORTIFY_SOURCE=2
MW_CFLAGS = -std=c17 -D_GNU_SOURCE -Icommon -MMD -MP $(WARN) $(HARDEN) $(CFLAGS)
ifneq ($(SAN),)
HARDEN    := -fstack-protector-strong
MW_SAN    := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
MW_CFLAGS += $(MW_SAN)
endif
ifneq ($(TEST_TRIGGERS),)
MW_CFLAGS += -DMW_TEST_TRIGGERS
endif

PKG_CONFIG ?= pkg-config
pkg_cflags = $(if $(1),$(shell $(PKG_CONFIG) --cflags $(1)))
pkg_libs   = $(if $(1),$(shell $(PKG_CONFIG) --libs $(1)))

SERVICES := smtp-front scanner dkim reputation logger snmp-agent status
PKGS_common     := libczmq libzmq msgpack libuv lua5.4 libmicrohttpd libseccomp
PKGS_smtp-front := zlib
PKGS_scanner    :=
# libunbound's .pc file wants libevent's headers, which nothing here needs: named by hand.
PKGS_dkim       := opendkim openssl
LIBS_dkim       := -lunbound
PKGS_reputation := hiredis
PKGS_logger     := jansson hiredis
PKGS_snmp-agent :=
PKGS_status     := jansson
LIBS_scanner    :=
LIBS_snmp-agent  = $(shell net-snmp-config --agent-libs)
# The engine holder is a program of its own: no ZeroMQ, no network.
PKGS_cage       := libclamav libarchive
LIBS_cage       :=
PKGS_tools      := jansson ncursesw libcurl

.DEFAULT_GOAL := all
.PHONY: all deps demo test check e2e asan fuzz fuzz-replay bench lint fmt install images help clean
.DELETE_ON_ERROR:

# ---------------------------------------------------------------- libmailweir.a
COMMON_SRC := $(sort $(wildcard common/*.c))
COMMON_OBJ := $(COMMON_SRC:%.c=$(BUILD)/%.o)
$(BUILD)/common/%.o: PKG_C := $(call pkg_cflags,$(PKGS_common))
$(BUILD)/libmailweir.a: $(COMMON_OBJ)
	@rm -f $@
	ar rcs $@ $^
LINK_common = $(BUILD)/libmailweir.a $(call pkg_libs,$(PKGS_common)) -lpthread -lm

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(MW_CFLAGS) $(PKG_C) $(INC) -c -o $@ $<

# ---------------------------------------------------------------- services: one folder, one binary
define service_template
SRC_$(1) := $$(sort $$(wildcard services/$(1)/*.c services/$(1)/*/*.c))
# The cage is a program of its own; what it and the scanner say to each other (proto.c) is in both.
SRC_$(1) := $$(filter-out $$(filter-out services/scanner/cage/proto.c,$$(wildcard services/scanner/cage/*.c)),$$(SRC_$(1)))
OBJ_$(1) := $$(SRC_$(1):%.c=$$(BUILD)/%.o)
$$(BUILD)/services/$(1)/%.o: PKG_C := $$(call pkg_cflags,$$(PKGS_common) $$(PKGS_$(1)))
$$(BUILD)/services/$(1)/%.o: INC := -Iservices/$(1)
$$(BUILD)/bin/mailweir-$(1): $$(OBJ_$(1)) $$(BUILD)/libmailweir.a
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(MW_SAN) $$(LDFLAGS) -o $$@ $$(OBJ_$(1)) $$(LINK_common) $$(call pkg_libs,$$(PKGS_$(1))) $$(LIBS_$(1))
ifneq ($$(SRC_$(1)),)
BINARIES += $$(BUILD)/bin/mailweir-$(1)
endif
endef
$(foreach s,$(SERVICES),$(eval $(call service_template,$(s))))

SRC_cage := $(sort $(wildcard services/scanner/cage/*.c))
OBJ_cage := $(SRC_cage:%.c=$(BUILD)/%.o)
$(BUILD)/services/scanner/cage/%.o: PKG_C := $(call pkg_cflags,$(PKGS_common) $(PKGS_cage))
$(BUILD)/services/scanner/cage/%.o: INC := -Iservices/scanner/cage -Iservices/scanner
# From libmailweir.a the cage takes only what needs no network: base, log, text, wire, conf.
$(BUILD)/bin/mailweir-cage: $(OBJ_cage) $(BUILD)/libmailweir.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(MW_SAN) $(LDFLAGS) -o $@ $(OBJ_cage) $(BUILD)/libmailweir.a \
		$(call pkg_libs,$(PKGS_cage) msgpack lua5.4 libseccomp) $(LIBS_cage) -lpthread -lm
ifneq ($(SRC_cage),)
BINARIES += $(BUILD)/bin/mailweir-cage
endif

SRC_tools := $(sort $(wildcard tools/*.c))
OBJ_tools := $(SRC_tools:%.c=$(BUILD)/%.o)
$(BUILD)/tools/%.o: PKG_C := $(call pkg_cflags,$(PKGS_common) $(PKGS_tools))
$(BUILD)/bin/mailweir: $(OBJ_tools) $(BUILD)/libmailweir.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(MW_SAN) $(LDFLAGS) -o $@ $(OBJ_tools) $(LINK_common) $(call pkg_libs,$(PKGS_tools))
ifneq ($(SRC_tools),)
BINARIES += $(BUILD)/bin/mailweir
endif

# ---------------------------------------------------------------- load generator and sink: tests/bench/NAME.c
BENCH_SRC := $(sort $(wildcard tests/bench/*.c))
BENCH_BIN := $(BENCH_SRC:tests/bench/%.c=$(BUILD)/bench/%)
$(BUILD)/bench/%: tests/bench/%.c $(BUILD)/libmailweir.a
	@mkdir -p $(@D)
	$(CC) $(MW_CFLAGS) $(call pkg_cflags,$(PKGS_common)) -MF $@.d -o $@ $< $(LINK_common) $(call pkg_libs,libclamav libcrypto)

all: $(BINARIES) $(BENCH_BIN)

# ---------------------------------------------------------------- unit tests: tests/unit/DIR/test_X.c, cmocka
# A test links libmailweir.a and the objects of its own service but main.o.
UNIT_SRC := $(sort $(wildcard tests/unit/*/test_*.c tests/unit/*/*/test_*.c))
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)
unit_service = $(firstword $(subst /, ,$(patsubst tests/unit/%,%,$(1))))
define unit_template
$(BUILD)/unit/$(patsubst tests/unit/%.c,%,$(1)): $(1) $(BUILD)/libmailweir.a \
		$$(filter-out %/main.o,$$(OBJ_$(call unit_service,$(1))))
	@mkdir -p $$(@D)
	$$(CC) $$(MW_CFLAGS) -Iservices/$(call unit_service,$(1)) -Itests/unit $(if $(filter cage,$(call unit_service,$(1))),-Iservices/scanner/cage -Iservices/scanner) \
		$$(call pkg_cflags,$$(PKGS_common) $$(PKGS_$(call unit_service,$(1))) cmocka) -MF $$@.d -o $$@ $$< \
		$$(filter %.o,$$^) $$(LINK_common) $$(call pkg_libs,$$(PKGS_$(call unit_service,$(1))) cmocka) $$(LIBS_$(call unit_service,$(1)))
endef
$(foreach t,$(UNIT_SRC),$(eval $(call unit_template,$(t))))

# ---------------------------------------------------------------- fuzz targets: tests/fuzz/fuzz_X.c, corpus in tests/fuzz/corpus/X/
FUZZ_CC  ?= clang
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/fuzz/%)
FUZZ_OBJ_SRC := common services

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
