# lmtpq: `make help` lists the targets. Everything that is built goes under $(BUILD).

PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   ?= build
VERSION := 0.1

# All cores, also when nobody says -j.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --jobs=$(shell nproc)
endif

CXX      ?= g++
WARN     := -Wall -Wextra -Wconversion -Wshadow -Werror
HARDEN   := -D_FORTIFY_SOURCE=2 -D_GLIBCXX_ASSERTIONS -fstack-protector-strong \
            -fstack-clash-protection $(if $(filter x86_64,$(shell uname -m)),-fcf-protection)
OPTIMIZE ?= -O2 -g
# `make SANITIZE=address,undefined BUILD=build/asan check`: see check-asan and e2e-asan.
SANITIZE ?=
ifneq ($(SANITIZE),)
HARDEN   := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
OPTIMIZE := -O1 -g
endif
CXXFLAGS += -std=c++20 $(OPTIMIZE) $(WARN) $(HARDEN) -DLMTPQ_VERSION='"$(VERSION)"' -MMD -MP -pthread \
            -fPIC -fno-semantic-interposition
LDFLAGS  += $(if $(SANITIZE),-fsanitize=$(SANITIZE),-Wl,-z,relro,-z,now) -pthread
# libanl: getaddrinfo_a, part of libc itself since glibc 2.34.
LIBS        := -lboost_program_options -lnettle
SECURE_LIBS := -lsasl2 -lssl -lcrypto
SERVE_LIBS  := -lsystemd -lboost_context -lldap -llber -lprometheus-cpp-pull -lprometheus-cpp-core

# Floors: a folder is compiled with its own and the lower floors in sight, so an upward include does
# not compile. Within mailer/ and milter/ tests/check-floors.sh keeps the order.
SEES_common      := -iquote common
SEES_mailer/lmtp := -iquote mailer/lmtp $(SEES_common)
SEES_mailer      := -iquote mailer $(SEES_mailer/lmtp)
SEES_mailer/secure := -iquote mailer/secure $(SEES_mailer)
SEES_mailer/serve := -iquote mailer/serve $(SEES_mailer)
SEES_milter      := -iquote milter $(SEES_common)
SEES_tests/routes := -iquote tests/routes $(SEES_mailer/serve)
SEES_tests/unit  := -iquote tests/unit $(SEES_mailer/secure)
SEES_tests/unit/milter := -iquote tests/unit/milter $(SEES_milter)
SEES_tests/unit/serve := -iquote tests/unit/serve -iquote tests/unit $(SEES_mailer/serve)
SEES_tests/dialogues := -iquote tests/dialogues $(SEES_mailer)
SEES_tests/fuzz  := $(SEES_mailer)
SEES_tests/fuzz/milter := $(SEES_milter)
SEES_tests/peers/store := -iquote tests/peers/store

# `make V=1` shows the commands.
say = $(if $(V),,@echo "$(1)";)

sources = $(sort $(wildcard $(1)/*.cpp))
objects = $(patsubst %.cpp,$(BUILD)/%.o,$(call sources,$(1)))

MILTER_OBJECTS := $(filter-out $(BUILD)/milter/main.o,$(call objects,milter))
MAILER_OBJECTS := $(filter-out $(BUILD)/mailer/main.o,$(call objects,mailer))
LIBRARIES      := $(BUILD)/libmailer.a $(BUILD)/liblmtp.a $(BUILD)/libcommon.a
FUZZERS        := $(patsubst tests/fuzz/fuzz_%.cpp,%,$(wildcard tests/fuzz/fuzz_*.cpp))
REPLAYS        := $(FUZZERS:%=$(BUILD)/tests/fuzz/replay_%) $(BUILD)/tests/fuzz/replay_message
MILTER_LIBRARIES := $(BUILD)/libmilterparts.a $(BUILD)/libcommon.a
TEST_PROGRAMS  := $(BUILD)/tests/unit_tests $(BUILD)/tests/milter_unit_tests \
                  $(BUILD)/tests/serve_unit_tests \
                  $(BUILD)/tests/play_dialogues $(BUILD)/tests/store \
                  $(BUILD)/tests/ask_routes $(REPLAYS)

.PHONY: all help deps tests check e2e test demo bench fuzz lint format format-check install clean \
        check-asan check-tsan e2e-asan tsan-milter faults-asan faults-tsan
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/lmtpq $(BUILD)/lmtpq-serve $(BUILD)/lmtpq-secure.so $(BUILD)/lmtpq-milter

help:
	@sed -n 's/^## //p' Makefile

## make              build/lmtpq, its parts and build/lmtpq-milter
## make deps         install the Debian packages of packages.txt that are missing (root)
## make demo         a private Sendmail, lmtpq and store: three messages and what became of them
## make check        unit tests, dialogues, corpus replay, floors, documents; no root, no network
## make e2e          real Sendmail with real Cyrus, Dovecot and our store; the cf files; patches/, for
##                   which it fetches Sendmail's source into ~/.cache and builds it
## make test         deps, check and e2e: what CI runs
## make bench        speed and memory, against the stock mailer and other proxies; writes build/bench.txt,
##                   the figures of docs/PERFORMANCE.md and docs/performance.svg
## make fuzz         every fuzz target with clang's libFuzzer, FUZZ_SECONDS=60 each
## make check-asan e2e-asan check-tsan   the same under the sanitizers
## make faults-asan faults-tsan          the daemon's faults under load, under the sanitizers
## make lint format format-check         clang-tidy, clang-format
## make install DESTDIR= PREFIX=/usr/local

define object_rule
$$(BUILD)/$(1)/%.o: $(1)/%.cpp
	@mkdir -p $$(@D)
	$$(call say,CXX $$<)$$(CXX) $$(CXXFLAGS) $$(SEES_$(1)) -c $$< -o $$@
endef
$(foreach folder,common mailer/lmtp mailer mailer/secure mailer/serve milter tests/routes tests/unit tests/unit/milter tests/unit/serve tests/dialogues tests/fuzz tests/fuzz/milter tests/peers/store,\
  $(eval $(call object_rule,$(folder))))

$(BUILD)/libcommon.a: $(call objects,common)
$(BUILD)/liblmtp.a: $(call objects,mailer/lmtp)
$(BUILD)/libmailer.a: $(MAILER_OBJECTS)
$(BUILD)/libmilterparts.a: $(MILTER_OBJECTS)
$(BUILD)/lib%.a:
	@rm -f $@
	$(call say,AR $@)$(AR) rcs $@ $^

$(BUILD)/lmtpq: $(BUILD)/mailer/main.o $(LIBRARIES)
	$(call say,LD $@)$(CXX) -pie $(LDFLAGS) $^ $(LIBS) -o $@

# `lmtpq serve` becomes it: what it links would make every other start slower.
SERVE_OBJECTS := $(filter-out $(BUILD)/mailer/serve/main.o,$(call objects,mailer/serve))
$(BUILD)/lmtpq-serve: $(BUILD)/mailer/serve/main.o $(SERVE_OBJECTS) $(LIBRARIES)
	$(call say,LD $@)$(CXX) -pie $(LDFLAGS) $^ $(SERVE_LIBS) $(LIBS) -o $@

# What needs OpenSSL and libsasl2: mailer/secure.h says why it is apart. Both halves must have been
# compiled from the same headers with the same flags.
SHARED_HEADERS := $(wildcard common/*.h mailer/*.h mailer/lmtp/*.h)
BUILD_ID := $(VERSION)-$(shell (cat $(SHARED_HEADERS); echo '$(OPTIMIZE) $(SANITIZE)') | sha256sum | cut -c1-16)
ENDS_OF_SECURE := $(BUILD)/mailer/secure.o $(BUILD)/mailer/secure/plugin.o
$(ENDS_OF_SECURE): CXXFLAGS += -DLMTPQ_BUILD='"$(BUILD_ID)"'
$(ENDS_OF_SECURE): $(SHARED_HEADERS)
$(BUILD)/mailer/secure/%.o: CXXFLAGS += -fvisibility=hidden
$(BUILD)/lmtpq-secure.so: $(call objects,mailer/secure) $(LIBRARIES)
	$(call say,LD $@)$(CXX) $(LDFLAGS) -shared -Wl,--exclude-libs,ALL $^ $(SECURE_LIBS) $(LIBS) -o $@

$(BUILD)/lmtpq-milter: $(BUILD)/milter/main.o $(MILTER_LIBRARIES)
	$(call say,LD $@)$(CXX) -pie $(LDFLAGS) $^ $(LIBS) -lmilter -o $@

$(BUILD)/tests/milter_unit_tests: $(call objects,tests/unit/milter) $(BUILD)/tests/unit/main.o $(MILTER_LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LD $@)$(CXX) -pie $(LDFLAGS) $^ -lcppunit $(LIBS) -lmilter -o $@

$(BUILD)/tests/serve_unit_tests: $(call objects,tests/unit/serve) $(BUILD)/tests/unit/main.o $(SERVE_OBJECTS) $(LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LD $@)$(CXX) -pie $(LDFLAGS) $^ -lcppunit $(SERVE_LIBS) $(LIBS) -o $@

$(BUILD)/tests/unit_tests: $(call objects,tests/unit) $(call objects,mailer/secure) $(LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LD $@)$(CXX) -pie $(LDFLAGS) $^ -lcppunit $(SECURE_LIBS) $(LIBS) -o $@

$(BUILD)/tests/play_dialogues: $(call objects,tests/dialogues) $(LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LD $@)$(CXX) -pie $(LDFLAGS) $^ $(LIBS) -o $@

$(BUILD)/tests/store: $(call objects,tests/peers/store)
	@mkdir -p $(@D)
	$(call say,LD $@)$(CXX) -pie $(LDFLAGS) $^ -o $@

$(BUILD)/tests/ask_routes: $(call objects,tests/routes) $(BUILD)/mailer/serve/ldap_routes.o \
                            $(BUILD)/mailer/serve/ldap_deadline.o $(LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LD $@)$(CXX) -pie $(LDFLAGS) $^ $(LIBS) -lldap -llber -o $@

$(BUILD)/tests/fuzz/replay_message: $(BUILD)/tests/fuzz/milter/fuzz_message.o $(BUILD)/tests/fuzz/replay.o $(MILTER_LIBRARIES)
	$(call say,LD $@)$(CXX) -pie $(LDFLAGS) $^ $(LIBS) -o $@

$(BUILD)/tests/fuzz/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(LIBRARIES)
	$(call say,LD $@)$(CXX) -pie $(LDFLAGS) $^ $(LIBS) -o $@

tests: all $(TEST_PROGRAMS)

deps:
	@sh tests/deps.sh packages.txt

# A suite ends with "N passed, N failed"; tally runs the suites, adds up, and ends the same way.
check: tests
	@tests/tally tests/check.suites BUILD=$(BUILD)

e2e: tests tsan-milter
	@tests/tally tests/e2e.suites BUILD=$(BUILD)

test: deps
	@$(MAKE) --no-print-directory tests tsan-milter
	@tests/tally tests/check.suites tests/e2e.suites BUILD=$(BUILD)

# Whatever else is tested, the milter's threads are tested under ThreadSanitizer.
tsan-milter:
	@$(MAKE) --no-print-directory SANITIZE=thread BUILD=build/tsan build/tsan/lmtpq-milter

check-asan:
	@$(MAKE) --no-print-directory SANITIZE=address,undefined BUILD=build/asan check

e2e-asan:
	@$(MAKE) --no-print-directory SANITIZE=address,undefined BUILD=build/asan e2e

check-tsan:
	@$(MAKE) --no-print-directory SANITIZE=thread BUILD=build/tsan check

demo: deps
	@$(MAKE) --no-print-directory -s all $(BUILD)/tests/store
	@LMTPQ=$(BUILD)/lmtpq LMTPQ_MILTER=$(BUILD)/lmtpq-milter STORE_BIN=$(BUILD)/tests/store tests/e2e/demo

bench: all $(BUILD)/tests/store
	@bash -o pipefail -c "tests/bench/run --lmtpq $(BUILD)/lmtpq --milter $(BUILD)/lmtpq-milter \
	  --store $(BUILD)/tests/store --write | tee $(BUILD)/bench.txt"
	@bash -o pipefail -c "tests/run tests/faults -n 0 -q --build $(BUILD) \
	  | grep -vE '^(\.|$$)' | tee -a $(BUILD)/bench.txt"

# The daemon under load while everything around it dies, under the sanitizers.
faults-asan: SANITIZER := address,undefined
faults-tsan: SANITIZER := thread
faults-asan faults-tsan: faults-%: $(BUILD)/tests/store
	@$(MAKE) --no-print-directory SANITIZE=$(SANITIZER) BUILD=build/$* \
	  build/$*/lmtpq build/$*/lmtpq-serve build/$*/lmtpq-secure.so
	STORE_BIN=$(BUILD)/tests/store tests/run tests/faults -n 0 --build build/$* --messages 1000

FUZZ_SECONDS ?= 60
fuzz: $(FUZZERS:%=fuzz-%) fuzz-message
fuzz-message:
	@mkdir -p $(BUILD)/fuzz/corpus_message
	clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined $(SEES_milter) \
	  tests/fuzz/milter/fuzz_message.cpp $(call sources,common) \
	  $(filter-out milter/main.cpp milter/callbacks.cpp,$(call sources,milter)) $(LIBS) \
	  -o $(BUILD)/fuzz/fuzz_message
	$(BUILD)/fuzz/fuzz_message -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 \
	  $(BUILD)/fuzz/corpus_message tests/fuzz/corpus/message
fuzz-%:
	@mkdir -p $(BUILD)/fuzz/corpus_$*
	clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined $(SEES_tests/fuzz) \
	  tests/fuzz/fuzz_$*.cpp $(call sources,common) $(call sources,mailer/lmtp) \
	  mailer/queue_id.cpp mailer/destination.cpp mailer/tag_filter.cpp mailer/credentials.cpp \
	  mailer/outcome.cpp mailer/route_table.cpp mailer/route_address.cpp $(LIBS) \
	  -o $(BUILD)/fuzz/fuzz_$*
	$(BUILD)/fuzz/fuzz_$* -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 \
	  $(BUILD)/fuzz/corpus_$* tests/fuzz/corpus/$*

FORMATTED := $(foreach folder,common mailer mailer/lmtp mailer/secure mailer/serve milter tests/* tests/*/*,\
               $(wildcard $(folder)/*.h $(folder)/*.cpp))
format:
	clang-format -i $(FORMATTED)
format-check:
	clang-format --dry-run -Werror $(FORMATTED)
lint: format-check
	clang-tidy --quiet $(call sources,common) $(call sources,mailer) $(call sources,mailer/lmtp) \
	  $(call sources,mailer/secure) $(call sources,mailer/serve) -- \
	  -std=c++20 -DLMTPQ_VERSION='"$(VERSION)"' -DLMTPQ_BUILD='""' -iquote mailer/secure \
	  $(SEES_mailer/serve)
	clang-tidy --quiet $(call sources,milter) -- \
	  -std=c++20 -DLMTPQ_VERSION='"$(VERSION)"' $(SEES_milter)

SHARE := $(DESTDIR)$(PREFIX)/share
LIB   := $(DESTDIR)$(PREFIX)/lib
install: all
	install -d $(DESTDIR)$(PREFIX)/libexec/lmtpq $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin \
	  $(SHARE)/lmtpq $(SHARE)/doc/lmtpq $(SHARE)/man/man8 $(SHARE)/man/man5 \
	  $(LIB)/systemd/system $(LIB)/sysusers.d $(LIB)/tmpfiles.d
	install -m 755 $(BUILD)/lmtpq $(BUILD)/lmtpq-serve $(BUILD)/lmtpq-secure.so $(DESTDIR)$(PREFIX)/libexec/lmtpq/
	install -m 755 $(BUILD)/lmtpq-milter $(DESTDIR)$(PREFIX)/sbin/lmtpq-milter
	ln -sf ../libexec/lmtpq/lmtpq $(DESTDIR)$(PREFIX)/bin/lmtpq
	cp -R cf $(SHARE)/lmtpq/
	install -m 644 docs/DAEMON.md docs/METRICS.md docs/ROUTING.md docs/TLS.md docs/TAG.md \
	  $(SHARE)/doc/lmtpq/
	install -m 644 docs/man/lmtpq.8 docs/man/lmtpq-milter.8 $(SHARE)/man/man8/
	install -m 644 docs/man/lmtpq.conf.5 $(SHARE)/man/man5/
	install -m 644 dist/grafana/lmtpq.json $(SHARE)/lmtpq/
	install -m 644 dist/systemd/* $(LIB)/systemd/system/
	install -m 644 dist/sysusers.d/lmtpq.conf $(LIB)/sysusers.d/
	install -m 644 dist/tmpfiles.d/lmtpq.conf $(LIB)/tmpfiles.d/
	find $(SHARE)/lmtpq/cf $(SHARE)/doc/lmtpq $(SHARE)/man/man[58]/lmtpq* $(LIB)/systemd/system/lmtpq* -type f \
	  -exec sed -i 's|/usr/local|$(PREFIX)|g' {} +

clean:
	rm -rf build

# Sendmail's trees have files of that name which are none of ours.
-include $(shell find $(BUILD) -path $(BUILD)/patches -prune -o -name '*.d' -print 2>/dev/null)
