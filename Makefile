# SPDX-License-Identifier: MIT
# A newcomer needs `make run` and `make check`. Everything else is meson's; this file names it.
.PHONY: run check build setup soak fuzz fuzz-coverage bench format clean

run: build
	@tools/run

check: build
	@tools/check

build: setup
	@tools/build

setup:
	@tools/setup

# The long forms of tests that `make check` runs briefly.
soak: build
	@tools/check --soak

# Seconds for each target.
SECONDS ?= 60
fuzz: setup
	@tools/fuzz run $(SECONDS)

fuzz-coverage: setup
	@tools/fuzz coverage

bench: build
	@bench/run

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf build
