# Fuzz targets: tests/fuzz/fuzz_X.c (libFuzzer), corpus in tests/fuzz/corpus/X/, dictionary tests/fuzz/dict/X.dict.
#
# A target's first line names what it is linked with: folders of ours, and pkg-config names beyond those that the
# folder's own PKGS_ row has, as in
#	/* fuzz: common services/scanner/cage zlib */
# A word with - in front goes to the linker's command line, as -Wl,--wrap=mw_log.
# A folder stands for its *.c and */*.c without main.c. Without such a line: common.
#
#   make fuzz         every target for FUZZ_S seconds
#   make fuzz-all     all targets for FUZZ_TOTAL seconds together
#   make fuzz-replay  every file of the corpora once
# New inputs are kept in $(BUILD)/fuzz-corpus/X/, inputs that end a target in $(BUILD)/fuzz-crash/.

FUZZ_CC    ?= clang
FUZZ_S     ?= 60
FUZZ_TOTAL ?= 60
FUZZ_SRC   := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BIN   := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/fuzz/%)

FUZZ_SAN     := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FUZZ_CFLAGS  = -std=c17 -D_GNU_SOURCE -Icommon -MMD -MP $(WARN) -O1 -g $(FUZZ_SAN) -DMW_FUZZ

# What stands in the first line, split into folders and pkg-config names.
fuzz_words   = $(or $(shell sed -n '1s@^/\* fuzz: \(.*\) \*/$$@\1@p' $(1)),common)
fuzz_folders = $(foreach w,$(1),$(if $(wildcard $(w)/*.c $(w)/*/*.c),$(w)))
fuzz_flags   = $(filter -%,$(1))
fuzz_extra   = $(filter-out $(call fuzz_folders,$(1)) -%,$(1))
# services/scanner/cage has a PKGS_ row of its own; services/smtp-front/intake uses its service's.
fuzz_row     = $(if $(filter services/scanner/cage,$(1)),cage,$(if $(filter services/%,$(1)),$(word 2,$(subst /, ,$(1))),$(1)))
fuzz_rows    = $(sort common $(foreach f,$(1),$(call fuzz_row,$(f))))
fuzz_pkgs    = $(foreach r,$(call fuzz_rows,$(1)),$(PKGS_$(r)))
fuzz_libs    = $(foreach r,$(call fuzz_rows,$(1)),$(LIBS_$(r)))
fuzz_inc     = $(foreach r,$(filter-out common tools cage,$(call fuzz_rows,$(1))),-Iservices/$(r)) $(addprefix -I,$(filter-out common,$(1)))
fuzz_src     = $(sort $(wildcard $(1)/*.c $(1)/*/*.c))
fuzz_lib     = $(BUILD)/fuzz-obj/lib$(subst /,-,$(1)).a

# One archive a folder, so that a target takes only the objects that it reaches.
define fuzz_folder_template
FUZZ_OBJ_$(1) := $$(patsubst %.c,$$(BUILD)/fuzz-obj/%.o,$$(filter-out %/main.c \
	$$(if $$(filter services/scanner,$(1)),services/scanner/cage/%),$$(call fuzz_src,$(1))))
$$(call fuzz_lib,$(1)): $$(FUZZ_OBJ_$(1))
	@mkdir -p $$(@D) && rm -f $$@
	ar rcs $$@ $$^
endef

# Objects know their folder's row by their path.
fuzz_src_inc = $(if $(filter services/scanner/cage/%,$(1)),-Iservices/scanner/cage -Iservices/scanner,$(if \
	$(filter services/%,$(1)),-Iservices/$(word 2,$(subst /, ,$(1)))))
fuzz_src_row = $(call fuzz_row,$(if $(filter services/scanner/cage/%,$(1)),services/scanner/cage,$(if \
	$(filter services/%,$(1)),$(1),$(word 1,$(subst /, ,$(1))))))
$(BUILD)/fuzz-obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $@"
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link $(call fuzz_src_inc,$<) \
		$(call pkg_cflags,$(sort $(PKGS_common) $(PKGS_$(call fuzz_src_row,$<)))) -c -o $@ $<

define fuzz_target_template
FUZZ_NEEDS_$(1) := $$(call fuzz_words,tests/fuzz/$(1).c)
$$(BUILD)/fuzz/$(1): tests/fuzz/$(1).c $$(foreach f,$$(call fuzz_folders,$$(FUZZ_NEEDS_$(1))),$$(call fuzz_lib,$$(f)))
	@mkdir -p $$(@D)
	@echo "  LD $$@"
	$$(Q)$$(FUZZ_CC) $$(FUZZ_CFLAGS) -fsanitize=fuzzer $$(call fuzz_inc,$$(call fuzz_folders,$$(FUZZ_NEEDS_$(1)))) \
		$$(call pkg_cflags,$$(call fuzz_pkgs,$$(call fuzz_folders,$$(FUZZ_NEEDS_$(1)))) $$(call fuzz_extra,$$(FUZZ_NEEDS_$(1)))) \
		-MF $$@.d -o $$@ $$< $$(call fuzz_flags,$$(FUZZ_NEEDS_$(1))) -Wl,--as-needed -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group \
		$$(call pkg_libs,$$(call fuzz_pkgs,$$(call fuzz_folders,$$(FUZZ_NEEDS_$(1)))) $$(call fuzz_extra,$$(FUZZ_NEEDS_$(1)))) \
		$$(call fuzz_libs,$$(call fuzz_folders,$$(FUZZ_NEEDS_$(1)))) -lpthread -lm
endef

FUZZ_NAMES := $(FUZZ_SRC:tests/fuzz/%.c=%)
$(foreach t,$(FUZZ_NAMES),$(eval $(call fuzz_target_template,$(t))))
$(foreach f,$(sort $(foreach t,$(FUZZ_NAMES),$(call fuzz_folders,$(FUZZ_NEEDS_$(t))))),$(eval $(call fuzz_folder_template,$(f))))

.PHONY: fuzz fuzz-all fuzz-replay
fuzz: $(FUZZ_BIN)
	tests/fuzz/run.sh $(BUILD) $(FUZZ_S) $(FUZZ_NAMES)
fuzz-all: $(FUZZ_BIN)
	tests/fuzz/run.sh $(BUILD) /$(FUZZ_TOTAL) $(FUZZ_NAMES)
fuzz-replay: $(FUZZ_BIN)
	tests/fuzz/run.sh $(BUILD) replay $(FUZZ_NAMES)
